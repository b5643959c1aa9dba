package revoke

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

// Subject names a person in one of the formats of RFC 9493 that are taken here.
type Subject struct {
	Format string // "email", "iss_sub" or "opaque"
	Email  string
	Issuer string // of iss_sub
	ID     string // of iss_sub and opaque
}

// Order is the signed word of another identity provider, verified by the caller.
type Order struct {
	Provider *directory.Provider // by whose keys
	JTI      string
	Expires  time.Time // until when the same word could come again
	IP       string    // where it came from
	Request  string    // correlation id
}

// globalActivity is what the audit log calls it, done or refused.
const globalActivity = "Global token revocation"

// kindOrder are the orders that were followed, for as long as they could come again.
const kindOrder = "order"

// manyNamesakes bounds the people of one address.
const manyNamesakes = 20

var (
	errWhom     = fault.New(fault.NotFound, "There is no such user.")
	errProvider = fault.New(fault.Unauthenticated, "That identity provider is not one of this directory.")
	errOrdered  = fault.New(fault.Unauthenticated, "The token was used before. Sign a new one for each request.")
)

// Global ends everything a person holds, as User does, for a system that may do
// nothing else (Global Token Revocation). An address may be that of several
// people, unless it is somebody's user name: then it is all of them, for too
// little would be worse. Kinds: Denied, Invalid, NotFound, Conflict (that cannot be
// done), Limited (one's own, too often), Revoked, Unavailable.
func (s *Service) Global(ctx context.Context, actor directory.Actor, who Subject) error {
	return s.global(ctx, actor, who, func(tx *store.Tx, all []*directory.User) error {
		a, err := tx.ActorNow(actor)
		if err != nil {
			return err
		}
		if !a.Operator && !slices.Contains(a.Scopes, directory.GlobalRevocation) {
			return fault.New(fault.Denied, "The application needs the permission "+directory.GlobalRevocation+".")
		}
		// It stands for the permission that Microsoft has for the same act.
		a.Scopes = append(slices.Clip(a.Scopes), "User.RevokeSessions.All")
		if len(all) == 0 { // who could end nobody's does not learn who is here
			return role.Allowed(a, role.RevokeSessions, role.Target{ID: directory.UserID{1}}).Err("")
		}
		for _, u := range all {
			if err := allow(tx, a, role.RevokeSessions, u); err != nil {
				return err
			}
			if err := Pace(tx, a, u.ID); err != nil {
				return err
			}
		}
		return nil
	}, nil)
}

// Ordered is Global on the order of another identity provider, for people who are
// linked to it. An order is good once. Kinds: Unauthenticated (not, or not any more,
// a provider of this directory; used before), Invalid, NotFound, Conflict,
// Unavailable.
func (s *Service) Ordered(ctx context.Context, o Order, who Subject) error {
	actor := directory.Actor{Provider: o.Provider.ID, Name: o.Provider.Name, IP: o.IP, Request: o.Request}
	return s.global(ctx, actor, who, func(tx *store.Tx, _ []*directory.User) error {
		t := &store.Ticket{Hash: sha256.Sum256([]byte(kindOrder + "\x00" + string(o.Provider.ID) + "\x00" + o.JTI)), Kind: kindOrder, Expires: o.Expires}
		if _, err := tx.Ticket(kindOrder, t.Hash); err == nil {
			return errOrdered
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		err := tx.CreateTicket(t)
		if errors.Is(err, store.ErrDuplicate) { // two came at once
			return errOrdered
		}
		return err
	}, o.Provider)
}

// Provider returns the identity provider of an issuer, to know whose keys verify its
// word. Kinds: Unauthenticated, Unavailable.
func (s *Service) Provider(ctx context.Context, issuer string) (p *directory.Provider, err error) {
	err = s.DB.Read(ctx, func(tx *store.Tx) error { p, err = providerOf(tx, issuer); return err })
	return p, err
}

func providerOf(tx *store.Tx, issuer string) (*directory.Provider, error) {
	all, err := tx.Providers()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(p *directory.Provider) bool { return p.Issuer == issuer && p.Enabled })
	if i < 0 {
		return nil, errProvider
	}
	return all[i], nil
}

// global finds who is meant and cuts them. by is nil for our own callers.
func (s *Service) global(ctx context.Context, actor directory.Actor, who Subject, judge func(*store.Tx, []*directory.User) error, by *directory.Provider) error {
	var cuts []*store.Cut
	err := s.DB.Urgent(ctx, func(tx *store.Tx) error {
		cuts = nil
		tx.By(store.By{Actor: actor, Reason: "Ordered by " + actor.Name})
		if by != nil {
			now, err := providerOf(tx, by.Issuer)
			if err != nil {
				return err
			}
			if now.ID != by.ID || now.Version != by.Version {
				return fault.New(fault.Unavailable, "The identity provider was changed meanwhile. Try again.")
			}
		}
		all, err := s.find(tx, who, by)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if jerr := judge(tx, all); jerr != nil {
			return jerr
		}
		if err != nil {
			return err
		}
		for _, u := range all {
			c, _, err := tx.RevokeUser(u.ID, directory.SessionID{}, [32]byte{})
			if err != nil {
				return err
			}
			cuts = append(cuts, c)
			tx.Audit(audit.Record{Action: globalActivity, Target: store.UserParty(u), Elaborate: "Named by " + who.Format + "."})
		}
		return nil
	})
	if err != nil {
		return errors.Join(err, s.notGlobal(ctx, actor, who, err))
	}
	for _, c := range cuts {
		s.Counted(ctx, c, "")
	}
	return nil
}

// notGlobal writes down a call that ended nothing, by the format of its subject
// only: the rest is somebody else's text.
func (s *Service) notGlobal(ctx context.Context, actor directory.Actor, who Subject, why error) error {
	result := audit.Failure
	switch fault.KindOf(why) {
	case fault.Internal, fault.Unavailable:
		return nil
	case fault.Denied, fault.Unauthenticated, fault.Revoked:
		result = audit.Refused
	}
	actor.Owner, actor.Born = cutoff.Owner{}, cutoff.MaxPos
	return s.DB.Update(ctx, func(tx *store.Tx) error {
		tx.By(store.By{Actor: actor})
		tx.Audit(audit.Record{Action: globalActivity, Result: result, Elaborate: fmt.Sprintf("Named by %s. %s", who.Format, fault.Public(why))})
		return nil
	})
}

// find returns the people that a subject means; a provider's are those linked to it.
func (s *Service) find(tx *store.Tx, who Subject, by *directory.Provider) (all []*directory.User, err error) {
	switch who.Format {
	case "email":
		all, err = byAddress(tx, who.Email)
	case "iss_sub":
		all, err = s.bySubject(tx, who.Issuer, who.ID)
	case "opaque":
		if all, err = one(tx, who.ID); by != nil && fault.Is(err, fault.NotFound) {
			all, err = linked(tx, by.ID, who.ID)
		}
	default:
		return nil, fault.New(fault.Invalid, "The subject's format is none of email, iss_sub and opaque.")
	}
	if err != nil {
		return nil, err
	}
	var theirs []*directory.User
	for _, u := range all {
		ok := by == nil
		if !ok {
			if ok, err = tx.HasLink(u.ID, by.ID); err != nil {
				return nil, err
			}
		}
		if ok && u.Deleted.IsZero() {
			theirs = append(theirs, u)
		}
	}
	if len(theirs) == 0 {
		return nil, errWhom
	}
	return theirs, nil
}

// one is the user with an object id.
func one(tx *store.Tx, text string) ([]*directory.User, error) {
	id, err := directory.ParseID[directory.User](text)
	if err != nil {
		return nil, errWhom
	}
	u, err := tx.User(id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errWhom
	}
	return []*directory.User{u}, err
}

func linked(tx *store.Tx, provider directory.ProviderID, subject string) ([]*directory.User, error) {
	l, err := tx.Linked(provider, subject)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errWhom
	}
	if err != nil {
		return nil, err
	}
	return one(tx, l.User.String())
}

func (s *Service) bySubject(tx *store.Tx, issuer, subject string) ([]*directory.User, error) {
	if slices.Contains(s.Issuers, issuer) {
		return one(tx, subject)
	}
	p, err := providerOf(tx, issuer)
	if fault.Is(err, fault.Unauthenticated) {
		return nil, errWhom
	}
	if err != nil {
		return nil, err
	}
	return linked(tx, p.ID, subject)
}

// byAddress is whose user name an address is, or else everybody whose mail it is.
func byAddress(tx *store.Tx, address string) ([]*directory.User, error) {
	if address = strings.TrimSpace(address); address == "" {
		return nil, errWhom
	}
	u, err := tx.UserByName(address)
	if err == nil {
		return []*directory.User{u}, nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	is := func(op directory.Op) *directory.Expr {
		return &directory.Expr{Op: op, Field: directory.FieldMail, Values: []directory.Value{{Kind: directory.KindText, Text: address}}}
	}
	page, err := tx.Users(directory.UserQuery{Filter: &directory.Expr{Op: directory.And, Args: []*directory.Expr{is(directory.HasWords), is(directory.Equal)}}, Top: manyNamesakes})
	switch {
	case err != nil:
		return nil, err
	case page.Next != "":
		return nil, fault.New(fault.Conflict, "Too many people have that address. Name them by another format.")
	case len(page.Users) == 0:
		return nil, errWhom
	}
	return page.Users, nil
}
