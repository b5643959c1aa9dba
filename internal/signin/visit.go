package signin

import (
	"context"
	"errors"

	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
)

// Visit is one request of a browser to the directory's own pages.
type Visit struct {
	App directory.AppID // access.Portal or access.Account
	// Action is what is done with the own account. Where there is one, policies about
	// it count and those about applications do not, or whoever must register a method,
	// or change the password, first could not.
	Action    policy.Action
	IP, Agent string
}

func (v Visit) use() *access.Use {
	u := &access.Use{Client: v.App, Resource: directory.OwnAPI, IP: v.IP, Platform: access.PlatformOf(v.Agent), Program: policy.Browser, Flow: policy.NoFlow, Interactive: true}
	if v.Action != 0 {
		u.Client, u.Resource, u.Action = "", "", v.Action
	}
	return u
}

// Visit returns who is behind a cookie, if policies let them onto those pages.
// [Service.Session] does not ask that: it is for finding out what somebody who has
// proven only part of what is demanded must still give. Kinds: as Session, and what
// access.Service.Judge refuses with.
func (s *Service) Visit(ctx context.Context, cookie string, v Visit) (*Signed, error) {
	return s.session(ctx, cookie, v.IP, func(tx *store.Tx, x *grant.Session, held directory.Held) error {
		use := v.use().OfSession(x)
		use.Held = held
		r, err := s.Access.Judge(tx, use)
		if err == nil && r.Over(x, tx.Now, s.lifetimes()) {
			err = dead([]standing.Cause{standing.Idle})
		}
		return err
	})
}

// keep lets policies decide whether a new session outlives the browser. What else
// they say is for what it is used for.
func (s *Service) keep(tx *store.Tx, x *grant.Session, held directory.Held, a Attempt) error {
	use := Visit{App: access.Account, IP: a.IP, Agent: a.Agent}.use().OfSession(x)
	use.Held = held
	r, err := s.Access.Judge(tx, use)
	if refused := (*access.Refused)(nil); errors.As(err, &refused) {
		r, err = refused.Ruling, nil
	}
	if err != nil {
		return err
	}
	if r.Set.Spares(x.User) {
		if err := s.noteSpared(tx, x.User); err != nil {
			return err
		}
	}
	switch r.Limits.Persistent {
	case policy.Always:
		x.Kept = true
	case policy.Never:
		x.Kept = false
	}
	return nil
}

// noteSpared writes down that an account was used that no policy touches: that is for
// the day on which everybody else is locked out, and on any other day an alarm.
func (s *Service) noteSpared(tx *store.Tx, id directory.UserID) error {
	u, err := tx.User(id)
	if err != nil {
		return err
	}
	tx.Audit(audit.Record{Action: "Sign in by account spared by conditional access", Target: store.UserParty(u)})
	name := u.ID.String()
	tx.AfterCommit(func() { s.log().Warn("an account that no policy touches has signed in", "user", name) })
	return nil
}

// errNobody: no session has that cookie.
var errNobody = fault.New(fault.Unauthenticated, "Sign in first.")
