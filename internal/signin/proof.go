package signin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/journal"
)

// This file is for the verb that proves people by other means than a password
// (internal/factor): the limits of tries, and what becomes of sessions.

// ByName finds a user by what was typed; store.ErrNotFound.
func ByName(tx *store.Tx, name string) (*directory.User, error) { return byName(tx, name) }

// Try counts a try to prove who somebody is by a name that was typed and a secret,
// before any work is done for it; giveBack takes it back when it was right. u is
// who that is, nil: nobody. Kinds: Limited, with *TooMany.
func (s *Service) Try(ctx context.Context, account, ip string, u *directory.User) (giveBack func(), err error) {
	giveBack, err = s.Limits.try(account, ip, s.now(), func() (bool, error) {
		return s.signedInAt(ctx, u, ip, func(*grant.Session) bool { return true })
	})
	return giveBack, s.attacked(ctx, u, err)
}

// TryCode is Try for a code that can be guessed, of somebody who has proven the
// password. Who guesses is signed in too, so that only a session in which a second
// factor was given makes an address known.
func (s *Service) TryCode(ctx context.Context, u *directory.User, ip string) (giveBack func(), err error) {
	giveBack, err = s.Limits.within(&s.Limits.codePair, s.codes(ctx, u), u.Name, ip, s.now(), func() (bool, error) {
		return s.signedInAt(ctx, u, ip, func(x *grant.Session) bool { return !x.SecondTime.IsZero() })
	})
	return giveBack, s.attacked(ctx, u, err)
}

// codeTries is the sort of the paces that hold how many codes were tried.
const codeTries = "codes"

// codes is an account's allowance of wrong codes. It is counted before the code is
// looked at, in a commit of its own: what is undone by a refusal counts nothing.
func (s *Service) codes(ctx context.Context, u *directory.User) allowance {
	return allowance{
		take: func() (until time.Time, err error) {
			err = s.DB.Update(ctx, func(tx *store.Tx) (err error) {
				until, err = tx.Pace(u.ID, codeTries, perCodeAccount.burst, perCodeAccount.every)
				return err
			})
			return until, err
		},
		giveBack: func() { // if it cannot be, one try less is the safe side
			if err := s.DB.Update(ctx, func(tx *store.Tx) error { return tx.Unpace(u.ID, codeTries, perCodeAccount.every) }); err != nil {
				s.log().Warn("a try of a code that counts for nothing was counted", "user", u.ID.String(), "error", err)
			}
		},
	}
}

// TryAddress counts something that anybody may ask for without a name. Kinds:
// Limited, with *TooMany.
func (s *Service) TryAddress(ip string) error {
	if until := s.Limits.ceremony.take(network(ip), s.now()); !until.IsZero() {
		return tooMany(until)
	}
	return nil
}

// attacked says, once an hour, that an account is guessed at from many addresses,
// and returns the refusal.
func (s *Service) attacked(ctx context.Context, u *directory.User, refusal error) error {
	if u == nil || !errors.Is(refusal, errAttacked) || !s.Limits.alarm.take(u.ID.String(), s.now()).IsZero() {
		return refusal
	}
	err := s.DB.Update(ctx, func(tx *store.Tx) error {
		tx.Audit(audit.Record{Action: "Account under attack", Result: audit.Failure, Target: store.UserParty(u),
			Elaborate: "Too many wrong passwords or codes from many addresses. Addresses at which the person is signed in are let through."})
		return nil
	})
	if err != nil { // the refusal is what counts
		s.log().Error("an attack could not be written down", "user", u.ID.String(), "error", err)
	}
	if s.Attacked != nil {
		s.Attacked(u)
	}
	return refusal
}

// Proof is how somebody has proven who they are to another verb.
type Proof struct {
	User directory.UserID
	AMR  []string
	// First: it says who they are, as a password does.
	First bool
	// Second is when a second factor was given; zero: none was.
	Second time.Time
	// Born is the head under which the sign-in began. What was proven outside this
	// transaction cannot be looked at again, so a new session takes it.
	Born cutoff.Pos
}

// admissible reads who was proven elsewhere since born: an account that can sign in,
// and that nothing has cut since. Kinds: Revoked with *standing.Dead.
func admissible(tx *store.Tx, id directory.UserID, born cutoff.Pos) (*directory.User, directory.Held, error) {
	u, err := tx.User(id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, directory.Held{}, fmt.Errorf("read user: %w", err)
	}
	cuts, err := tx.CutsAfter(directory.Belongs(id, directory.SessionID{}, directory.GrantID{}, "", directory.DeviceID{}), cutoff.Browser, born)
	if err != nil {
		return nil, directory.Held{}, fmt.Errorf("read cutoffs: %w", err)
	}
	if causes := standing.Check(standing.Facts{Now: tx.Now, User: u, Cuts: cuts}); len(causes) > 0 {
		return nil, directory.Held{}, dead(causes)
	}
	held, err := tx.Held(u.ID)
	return u, held, err
}

// Admit opens a session for somebody whom another verb has proven, in the
// transaction in which it has judged the proof. A live session of this browser that
// is the same person's goes on, under a new cookie value. A cutoff since p.Born
// refuses it here or before the commit. Call Left after the commit. Kinds: Revoked
// with *standing.Dead.
func (s *Service) Admit(tx *store.Tx, p Proof, a Attempt) (*Entered, error) {
	u, held, err := admissible(tx, p.User, p.Born)
	if err != nil {
		return nil, err
	}
	done, fresh := &Entered{attempt: a}, newSecret()
	if a.Reprove != "" {
		old, err := tx.SessionByCookie(hashSecret(a.Reprove))
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return nil, err
		case old.User != u.ID:
			done.stranger = old.ID
		default:
			causes, err := s.judge(tx, old, u)
			if err != nil {
				return nil, err
			}
			if len(causes) == 0 {
				if done.Signed, err = raise(tx, signedAs(old, u, held, a.IP, a.Request), p, fresh); err != nil {
					return nil, err
				}
			}
		}
	}
	if done.Signed == nil {
		x := newSession(tx, u, fresh, a)
		x.Born, x.AMR, x.SecondTime = p.Born, p.AMR, p.Second
		if err := s.keep(tx, x, held, a); err != nil {
			return nil, err
		}
		if err := s.create(tx, x); err != nil {
			return nil, fmt.Errorf("create session: %w", err)
		}
		done.Signed = signedAs(x, u, held, a.IP, a.Request)
		done.Cookie = fresh.value
	}
	// As in open: a session that a revocation has overtaken is refused here.
	tx.By(store.By{Actor: done.Actor})
	return done, nil
}

// raise notes what was proven in a live session. The cookie gets a new value: who
// has a copy of the old one is not raised with it.
func raise(tx *store.Tx, signed *Signed, p Proof, fresh secret) (*Signed, error) {
	x := signed.Session
	x.AMR = grant.Added(x.AMR, p.AMR)
	if p.First {
		x.AuthTime = tx.Now
		if err := tx.ReproveSession(x.ID, x.AuthTime, x.AMR); err != nil {
			return nil, err
		}
	}
	if p.Second.After(x.SecondTime) {
		x.SecondTime = p.Second
		if err := tx.ProveSecond(x.ID, x.SecondTime, p.AMR); err != nil {
			return nil, err
		}
	}
	if err := tx.RenewCookie(x.ID, fresh.hash); err != nil {
		return nil, err
	}
	x.LastUsed, x.Cookie = tx.Now, fresh.hash
	signed.Cookie, signed.Actor.AuthTime = fresh.value, x.AuthTime
	return signed, nil
}

// Again reads somebody who is signed in once more, in this transaction, and judges
// the session. It must still have the cookie that it came with. Kinds:
// Unauthenticated, Revoked with *standing.Dead.
func (s *Service) Again(tx *store.Tx, signed *Signed) (*Signed, error) {
	if signed == nil || signed.Session == nil {
		return nil, fault.New(fault.Unauthenticated, "Sign in first.")
	}
	x, err := tx.Session(signed.Session.ID)
	if errors.Is(err, store.ErrNotFound) || err == nil && x.Cookie != signed.Session.Cookie {
		return nil, fault.New(fault.Unauthenticated, "Sign in first.")
	}
	if err != nil {
		return nil, fmt.Errorf("read session: %w", err)
	}
	u, err := tx.User(x.User)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("read user: %w", err)
	}
	causes, err := s.judge(tx, x, u)
	if err != nil {
		return nil, err
	}
	if len(causes) > 0 {
		return nil, dead(causes)
	}
	held, err := tx.Held(u.ID)
	if err != nil {
		return nil, err
	}
	return signedAs(x, u, held, signed.Actor.IP, signed.Actor.Request), nil
}

// Raise notes what somebody who is signed in, as Again has read them in this
// transaction, has proven. The session gets a new cookie value, in the result.
func (s *Service) Raise(tx *store.Tx, now *Signed, p Proof) (*Signed, error) {
	return raise(tx, now, p, newSecret())
}

// Noted writes down that somebody has proven who they are, or with err that they could
// not: signed, in a session, by a second factor; or u, nil for nobody that is known, at
// the door.
func (s *Service) Noted(u *directory.User, signed *Signed, a Attempt, err error) {
	number := 0
	var x *grant.Session
	switch {
	case err == nil:
	case fault.Is(err, fault.Limited) || fault.Is(err, fault.Revoked) || !fault.Is(err, fault.Unauthenticated):
	case signed != nil:
		number = wrongSecond
	case u == nil:
		number = wrongName
	default:
		number = wrongPassword
	}
	if signed != nil {
		u, x, a.IP, a.Request = signed.User, signed.Session, signed.Actor.IP, signed.Actor.Request
	}
	s.note("factor", u, x, a, number, err)
}

// Turned writes down that somebody came back from another provider and was not let
// in. Whoever has a browser can cause it, without an account anywhere.
func (s *Service) Turned(a Attempt, provider string, err error) {
	e := &journal.Entry{Kind: journal.Interactive, Flow: "provider", IP: a.IP, Program: policy.Browser, Agent: agent(a.Agent), Request: a.Request,
		Error: journal.Number(fault.KindOf(err)), Reason: provider + ": " + fault.Public(err)}
	if fault.Is(err, fault.Unauthenticated) { // it was no client's secret
		e.Error = notBelieved
	}
	s.Journal.Rarely(e)
}

// NewSecret is a random value to hand out, and its hash, which is what is stored.
func NewSecret() (value string, hash [32]byte) {
	fresh := newSecret()
	return fresh.value, fresh.hash
}

// HashSecret is the hash of such a value.
func HashSecret(value string) [32]byte { return hashSecret(value) }
