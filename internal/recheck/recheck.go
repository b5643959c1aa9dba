package recheck

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
)

// Service judges tokens again.
type Service struct {
	DB        *store.DB
	Issue     *issue.Service
	Access    *access.Service
	Lifetimes grant.Lifetimes
}

// Question is what a guard asks.
type Question struct {
	Token   string
	Pos     cutoff.Pos // of the line that put it in doubt
	Address string     // of whoever showed it, as the guard sees it; empty: not known
}

// Why the answer refuses: the words of the wire, see guard/internal/again.
const (
	Revoked = "revoked"
	Policy  = "policy"
	StepUp  = "step_up"
	Place   = "place"
)

// Answer is one of RFC 7662 with what a guard must know beside.
type Answer struct {
	Active  bool       `json:"active"`
	Judged  cutoff.Pos `json:"judged,omitempty"` // the head under which all of it was read
	JTI     string     `json:"jti,omitempty"`
	Expires int64      `json:"exp,omitempty"`  // of the token, or sooner if a proof is too old then
	Here    bool       `json:"here,omitempty"` // from another address it might be another answer
	Refused string     `json:"refused,omitempty"`
}

// Judge judges a token for a client that guards its resource; to any other it says
// "not active" and nothing more. Kinds: Unavailable, also where this history does not
// have the line that the guard knows.
func (s *Service) Judge(ctx context.Context, caller *issue.Client, q Question) (*Answer, error) {
	a, err := s.Issue.Good(ctx, q.Token)
	switch {
	case fault.Is(err, fault.Unavailable):
		return nil, err
	case a == nil: // not one of ours
		return &Answer{}, nil
	}
	i := slices.IndexFunc(caller.Guards, func(r directory.ResourceID) bool { return s.Issue.Audience(r) == a.Audience })
	switch {
	case i < 0:
		return &Answer{}, nil
	case fault.Is(err, fault.Revoked):
		return &Answer{Refused: Revoked}, nil
	case err != nil:
		return silent(err)
	}
	var out *Answer
	err = s.DB.Read(ctx, func(tx *store.Tx) error {
		out = &Answer{Judged: tx.Head, JTI: a.JTI, Expires: a.Expires}
		return s.judge(tx, a, caller.Guards[i], q.Address, out)
	})
	if err != nil {
		return nil, err
	}
	if out.Judged < q.Pos {
		return nil, fault.New(fault.Unavailable, "The ledger does not have the line that is asked about. Ask again.")
	}
	if out.Active = out.Refused == ""; !out.Active {
		out.JTI, out.Expires = "", 0
	}
	return out, nil
}

// silent is the answer about what is no token of ours, or cannot be told.
func silent(err error) (*Answer, error) {
	if fault.Is(err, fault.Unavailable) || fault.KindOf(err) == fault.Internal && err != nil {
		return nil, err
	}
	return &Answer{}, nil
}

// judge fills in what refuses the token, if anything does. The head was read before
// anything else here.
func (s *Service) judge(tx *store.Tx, a *issue.Access, resource directory.ResourceID, address string, out *Answer) error {
	o := a.Owner()
	cut, err := tx.Latest(&o, cutoff.Token)
	if err != nil {
		return err
	}
	who, err := directory.ParseID[directory.User](a.OID)
	if err != nil || a.Born < cut {
		out.Refused = Revoked
		return nil
	}
	u, err := tx.User(who)
	if err == nil {
		var app *directory.App
		if app, err = tx.App(directory.AppID(a.ClientID)); err == nil {
			if a.IDType == "app" { // no policy is about what an application does as itself
				out.refuse(standing.Check(standing.Facts{Now: tx.Now, User: u, App: app, NeedsApp: true}))
				return nil
			}
			err = s.judgeGrant(tx, a, u, app, resource, address, out)
		}
	}
	if errors.Is(err, store.ErrNotFound) { // the person, the application or the grant has gone
		out.Refused = Revoked
		return nil
	}
	return err
}

func (s *Service) judgeGrant(tx *store.Tx, a *issue.Access, u *directory.User, app *directory.App, resource directory.ResourceID, address string, out *Answer) error {
	id, err := directory.ParseID[directory.Grant](a.GID)
	if err != nil {
		out.Refused = Revoked
		return nil
	}
	g, err := tx.Grant(id)
	if err != nil {
		return err
	}
	if g.User != u.ID || g.App != app.ID {
		out.Refused = Revoked
		return nil
	}
	f := standing.Facts{Now: tx.Now, User: u, App: app, NeedsApp: true, Ends: g.Ends(s.Lifetimes), End: g.End}
	if f.Unassigned, err = tx.Unassigned(app, u.ID); err != nil {
		return err
	}
	if f.Cuts, err = tx.CutsAfter(g.Belongs(), cutoff.Token, g.Born); err != nil {
		return err
	}
	above, err := tx.Above(g, u)
	if err != nil {
		return err
	}
	f.Above, f.Orphan = above.Facts, above.Orphan
	if out.refuse(standing.Check(f)); out.Refused != "" {
		return nil
	}
	use := (&access.Use{IP: address, Resource: resource, Contexts: a.ACRS, Program: access.ProgramOf(app, "")}).OfGrant(g)
	if use.Held, err = tx.Held(u.ID); err != nil {
		return err
	}
	r, err := s.Access.Judge(tx, use)
	var refused *access.Refused
	switch {
	case errors.As(err, &refused) && refused.Place() && (refused.Decision == policy.Block || slices.Contains(a.CC, "CP1")):
		out.Refused = Place // who can prove more elsewhere as well as here is told that instead
	case errors.As(err, &refused) && refused.Decision == policy.Block:
		out.Refused = Policy
	case errors.As(err, &refused):
		out.Refused = StepUp
	case err != nil:
		return err
	default:
		out.Expires = sooner(out.Expires, r.Limits.Until)
		out.Here = r.Limits.Continuous != policy.NotContinuous && r.Here()
	}
	return nil
}

func (a *Answer) refuse(causes []standing.Cause) {
	if len(causes) > 0 {
		a.Refused = Revoked
	}
}

// sooner is the earlier of a unix time and an instant; a zero instant is never.
func sooner(at int64, t time.Time) int64 {
	if t.IsZero() {
		return at
	}
	return min(at, t.Unix())
}
