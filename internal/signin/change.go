package signin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/risk"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/risks"
)

// Kinds of tickets.
const (
	changeTicket = "change" // a right password that has to be changed first
	setupTicket  = "setup"  // the first Global Administrator
)

// pending is what a change ticket holds: which password was proven.
type pending struct {
	Version int64 `json:"version"`
}

// createTicket hands out a ticket, born at the head of the transaction in which
// its facts were judged.
func (s *Service) createTicket(tx *store.Tx, kind string, fresh secret, u *directory.User, life time.Duration, alias string) error {
	t := &store.Ticket{Hash: fresh.hash, Kind: kind, Alias: alias, Expires: tx.Now.Add(life), Doc: "{}"}
	if u != nil {
		doc, err := json.Marshal(pending{Version: u.Password.Version})
		if err != nil {
			return err
		}
		t.User, t.Doc = u.ID, string(doc)
	}
	return tx.CreateTicket(t)
}

// changing reads a change ticket and judges it: unused, unexpired, not cut since
// its birth, of an account that can sign in, for the password that was proven.
func (s *Service) changing(tx *store.Tx, ticket string) (*store.Ticket, *directory.User, error) {
	t, err := tx.Ticket(changeTicket, hashSecret(ticket))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, dead([]standing.Cause{standing.Over})
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read ticket: %w", err)
	}
	u, err := tx.User(t.User)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, nil, fmt.Errorf("read user: %w", err)
	}
	b := directory.Belongs(t.User, directory.SessionID{}, directory.GrantID{}, "", directory.DeviceID{})
	f := standing.Facts{Now: tx.Now, User: u, End: t.Expires}
	if f.Cuts, err = tx.CutsAfter(b, cutoff.Browser, t.Born); err != nil {
		return nil, nil, fmt.Errorf("read cutoffs of a ticket: %w", err)
	}
	causes := standing.Check(f)
	var doc pending
	switch {
	case len(causes) > 0:
		return nil, nil, dead(causes)
	case !t.Used.IsZero():
		return nil, nil, dead([]standing.Cause{standing.Over})
	case json.Unmarshal([]byte(t.Doc), &doc) != nil || doc.Version != u.Password.Version:
		return nil, nil, dead([]standing.Cause{standing.PasswordChanged})
	}
	return t, u, nil
}

// FinishChange ends a sign-in that met a password which had to be changed: it
// sets the new one, ends everything else of the user, and signs in. Name and
// password of a are not read; the session of a.Reprove ends. Kinds: Revoked with *standing.Dead (the
// ticket is not good), Invalid with ErrNew, Limited with *TooMany, Unavailable.
func (s *Service) FinishChange(ctx context.Context, ticket, newPassword string, a Attempt) (*Signed, error) {
	var u *directory.User
	var held directory.Held
	err := s.DB.Read(ctx, func(tx *store.Tx) (err error) {
		if _, u, err = s.changing(tx, ticket); err == nil {
			held, err = tx.Held(u.ID)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := s.CheckNew(u, newPassword); err != nil {
		return nil, err
	}
	// Whoever holds a ticket could keep the pool busy with tries of the old one.
	giveBack, err := s.Limits.try(u.Name, a.IP, s.now(), func() (bool, error) { return false, nil })
	if err != nil {
		return nil, err
	}
	priority := len(held.Roles) > 0
	old, _, err := s.Hasher.Verify(ctx, u.Password.Hash, newPassword, priority)
	if err == nil && old {
		return nil, sameAgain()
	}
	giveBack()
	if err != nil {
		return nil, err
	}
	hash, err := s.Hasher.Hash(ctx, newPassword, priority)
	if err != nil {
		return nil, err
	}
	var signed *Signed
	var cut *store.Cut
	cookie := newSecret()
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		t, u, err := s.changing(tx, ticket)
		if err != nil {
			return err
		}
		by := person(u, held, t.Born, a)
		tx.By(store.By{Actor: by})
		t.Used = tx.Now
		if err := tx.SaveTicket(t); err != nil {
			return err
		}
		held, err := tx.Held(u.ID)
		if err != nil {
			return err
		}
		// The change ends all sessions of the user, this one's birth at the head
		// included; as the one that is kept it is born again with the change,
		// unless something else has cut it by then.
		if signed, err = s.createSession(tx, u, held, cookie, a); err != nil {
			return err
		}
		before := u.Password.Version
		cut, err = tx.ChangeUser(u.ID, store.UserChange{Keep: signed.Session.ID}, func(u *directory.User) error {
			if u.Password.Version != before {
				return dead([]standing.Cause{standing.PasswordChanged})
			}
			setPassword(u, hash, tx.Now)
			signed.User = u
			return nil
		})
		if err != nil {
			return fmt.Errorf("change password: %w", err)
		}
		tx.Audit(audit.Record{Action: "Change user password", Target: store.UserParty(u)})
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.Revoke.Counted(ctx, cut, "")
	if !cut.Kept {
		return nil, dead([]standing.Cause{standing.Revoked})
	}
	signed.Session.Born, signed.Actor.Born = cut.Pos, cut.Pos
	if err := s.leave(ctx, a); err != nil {
		return nil, err
	}
	s.outcome("changed and signed in", signed.User, signed.Session, a.Request, nil)
	s.changed(signed.User, a.IP)
	s.note("password", signed.User, signed.Session, a, 0, nil)
	return signed, nil
}

func sameAgain() error {
	return fault.Wrap(fault.Invalid, "The new password must differ from the one now", ErrNew)
}

func setPassword(u *directory.User, hash string, now time.Time) {
	u.Password = directory.Credential{Hash: hash, Version: u.Password.Version + 1, Changed: now}
}

// ChangePassword changes one's own password, with the current one. Every other
// session of the user ends, and every grant but those of the session signed is
// in, which gets the new cookie value that is returned; empty when nothing was
// kept (signed.Session is nil for somebody who came with a token). signed is
// brought up to date. Kinds:
// Denied (not one's own), Invalid with ErrCurrent or ErrNew, Limited with
// *TooMany, Revoked, Unavailable.
func (s *Service) ChangePassword(ctx context.Context, signed *Signed, current, next string) (cookie string, receipt *store.Receipt, err error) {
	actor, id := signed.Actor, signed.User.ID
	if err := role.Allowed(actor, role.ChangePassword, role.Target{ID: id, Service: signed.User.Service}).Err(signed.User.DisplayName); err != nil {
		return "", nil, err
	}
	var hash string
	for range restarts {
		p, err := s.prove(ctx, signed.User.Name, current, actor.IP, func(tx *store.Tx) (*directory.User, error) { return tx.User(id) })
		if err != nil {
			return "", nil, err
		}
		if p == nil {
			return "", nil, fault.Wrap(fault.Invalid, "The current password is not right", ErrCurrent)
		}
		if err := s.CheckNew(p.user, next); err != nil {
			return "", nil, err
		}
		if next == current {
			return "", nil, sameAgain()
		}
		if hash == "" {
			if hash, err = s.Hasher.Hash(ctx, next, p.priority); err != nil {
				return "", nil, err
			}
		}
		fresh := newSecret()
		cut, err := s.replace(ctx, p, signed, hash, fresh)
		if errors.Is(err, errChanged) {
			continue
		}
		if err != nil {
			return "", nil, err
		}
		s.changed(p.user, actor.IP)
		if cut.Kept {
			cookie = fresh.value
			signed.Session.Born, signed.Session.Cookie, signed.Actor.Born = cut.Pos, fresh.hash, cut.Pos
		}
		return cookie, s.Revoke.Counted(ctx, cut, ""), nil
	}
	return "", nil, tooBusy()
}

// replace is the transaction of an own password change.
func (s *Service) replace(ctx context.Context, p *proven, signed *Signed, hash string, cookie secret) (cut *store.Cut, err error) {
	how := store.UserChange{Own: true, Cookie: cookie.hash}
	if signed.Session != nil {
		how.Keep = signed.Session.ID
	}
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		// Before the commit the store judges under the head lock that this actor's
		// own session or token is not cut.
		tx.By(store.By{Actor: signed.Actor})
		actor, err := tx.ActorNow(signed.Actor)
		if err != nil {
			return err
		}
		u, held, err := s.still(tx, p)
		if err != nil {
			return err
		}
		if err := role.Allowed(actor, role.ChangePassword, role.Target{ID: u.ID, Held: held, Service: u.Service}).Err(u.DisplayName); err != nil {
			return err
		}
		if err := revoke.PacePassword(tx, u.ID); err != nil {
			return err
		}
		cut, err = tx.ChangeUser(u.ID, how, func(u *directory.User) error {
			if !p.same(u) { // the row is locked only now
				return errChanged
			}
			setPassword(u, hash, tx.Now)
			return nil
		})
		if err != nil {
			return fmt.Errorf("change password: %w", err)
		}
		tx.Audit(audit.Record{Action: "Change user password", Target: store.UserParty(u)})
		return remediate(tx, signed, actor)
	})
	return cut, err
}

// remediate closes what was found about the risk of an account whose owner has changed
// the password in a session with two factors, the second given since the newest
// finding: who was signed in before may be whom it is about.
func remediate(tx *store.Tx, signed *Signed, actor directory.Actor) error {
	if signed.Session == nil {
		return nil // with a token: how its owner was proven is not known here
	}
	x, err := tx.Session(signed.Session.ID) // as it is now, not as it was when it came
	if err != nil || !policy.TwoFactors(policy.MethodsOf(x.AMR)) {
		return err
	}
	return risks.Remediate(tx, &risks.Detection{User: x.User, Rule: risk.Changed, IP: actor.IP, Request: actor.Request,
		Why: "The password was changed after a sign-in with a second factor."}, x.SecondTime)
}
