package federate

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
)

const (
	links   = "Link external identity"
	unlinks = "Unlink external identity"
)

// person is a user with what the matrix has to know, who may have links.
func (c *step) person(activity string, id directory.UserID) (*directory.User, error) {
	u, err := c.User(id)
	if err == nil && (!u.Deleted.IsZero() || u.Service) {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, missing(err, errNoUser)
	}
	held, err := c.Held(u.ID)
	if err != nil {
		return nil, err
	}
	name := store.UserParty(u)
	return u, c.allow(activity, name, role.LinkUser, role.Target{ID: u.ID, Held: held})
}

// Links lists who a user is elsewhere. Kinds: Denied, NotFound, Unavailable.
func (s *Service) Links(ctx context.Context, actor directory.Actor, user directory.UserID) (all []directory.Link, err error) {
	err = s.read(ctx, actor, func(c *step) error {
		all = nil
		if err := role.Allowed(c.Actor, role.ReadUsers, role.Target{ID: user}).Err(""); err != nil {
			return err
		}
		if _, err := c.User(user); err != nil {
			return missing(err, errNoUser)
		}
		rows, err := c.Tx.Links(user)
		for _, l := range rows {
			all = append(all, l.Link)
		}
		return err
	})
	return all, err
}

// Link makes a subject of a provider a user here, for an administrator who may take
// the account over anyhow. Nobody asks the subject: it must be the provider's sub to
// the byte. Kinds: Denied, NotFound, Invalid, Conflict, Revoked, Unavailable.
func (s *Service) Link(ctx context.Context, actor directory.Actor, id directory.ProviderID, subject string, user directory.UserID, act manage.Act) error {
	_, err := s.write(ctx, actor, act, func(c *step) error {
		p, err := c.HoldProvider(id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		u, uerr := c.person(links, user)
		if uerr != nil {
			return uerr
		}
		if err != nil {
			return errNoProvider
		}
		return c.link(p, subject, u)
	})
	return err
}

// link writes the row. A subject whose user was deleted is nobody's any more.
func (c *step) link(p *directory.Provider, subject string, u *directory.User) error {
	if subject == "" || len(subject) > directory.MaxSubject || strings.ContainsFunc(subject, func(r rune) bool { return r < ' ' || r == 0xfffd }) {
		return fault.New(fault.Invalid, "The subject is the sub of the identity provider: 1 to 255 characters.")
	}
	l, err := c.Linked(p.ID, subject)
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return err
	case l.User == u.ID:
		return nil
	default:
		other, err := c.User(l.User)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if other != nil && other.Deleted.IsZero() {
			return fault.New(fault.Conflict, "That account at "+p.Name+" is somebody else's here. Unlink it first.")
		}
		if _, err := c.Unlink(p, l.User); err != nil {
			return err
		}
	}
	if err := c.Tx.Link(p.ID, subject, u.ID); err != nil {
		return err
	}
	line, err := c.Event(standing.UserLinked, standing.Victim{User: u.ID.String()}, store.UserParty(u))
	if err != nil {
		return err
	}
	c.Tx.Cut(line)
	c.Audit(audit.Record{Action: links, Target: store.UserParty(u), Changes: []audit.Change{{Property: string(p.ID), New: subject}}})
	c.Said = append(c.Said, "Links "+u.Name+" to an account at "+p.Name+".")
	return nil
}

// Unlink takes the links of a user to a provider away and ends the sessions that
// came through them. People may unlink themselves. Kinds: Denied, NotFound, Revoked,
// Limited, Unavailable.
func (s *Service) Unlink(ctx context.Context, actor directory.Actor, id directory.ProviderID, user directory.UserID, act manage.Act) (*store.Receipt, error) {
	return s.write(ctx, actor, act, func(c *step) error {
		p, err := c.LockProvider(id)
		if err != nil {
			return missing(err, errNoProvider)
		}
		u, err := c.User(user)
		if err != nil {
			return missing(err, errNoUser)
		}
		switch {
		case c.Actor.User == user && !c.Actor.Session.IsZero() && c.Actor.Scopes == nil: // on the account page
			err = c.unlinkOwn(p, u)
		case !u.Deleted.IsZero(): // what is left of somebody
			err = c.allow(unlinks, store.UserParty(u), role.UpdateProvider, role.Target{})
		default:
			_, err = c.person(unlinks, user)
		}
		if err != nil {
			return err
		}
		if c.Cut, err = c.Tx.Unlink(p, user); err != nil {
			return missing(err, fault.New(fault.NotFound, "That user is not linked to "+p.Name+"."))
		}
		c.Audit(audit.Record{Action: unlinks, Target: store.UserParty(u), Changes: []audit.Change{{Property: string(p.ID), New: "unlinked"}}})
		c.Said = append(c.Said, "Unlinks "+u.Name+" from "+p.Name+" and ends the sessions that came through it.")
		return nil
	})
}

// unlinkOwn judges whether somebody may take an own link away.
func (c *step) unlinkOwn(p *directory.Provider, u *directory.User) error {
	all, err := c.Tx.Links(u.ID)
	if err != nil {
		return err
	}
	others := slices.ContainsFunc(all, func(l *store.LinkAt) bool { return l.Provider != p.ID })
	if u.Password.Hash == "" && !others {
		return fault.New(fault.Conflict, "You have no password here and no other way to sign in. Ask an administrator for a password first.")
	}
	return revoke.Pace(c.Tx, c.Actor, u.ID)
}
