package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
)

// touchEvery is how often a session's last use is written.
const touchEvery = 5 * time.Minute

// secret is a random value to hand out, of which only the hash is kept.
type secret struct {
	value string
	hash  [32]byte
}

func newSecret() secret {
	var b [32]byte
	rand.Read(b[:])
	v := base64.RawURLEncoding.EncodeToString(b[:])
	return secret{value: v, hash: hashSecret(v)}
}

// hashSecret is fast on purpose: 256 random bits are not guessed.
func hashSecret(value string) [32]byte { return sha256.Sum256([]byte(value)) }

// createSession opens a session, born at the transaction's head.
func (s *Service) createSession(tx *store.Tx, u *directory.User, held directory.Held, cookie secret, a Attempt) (*Signed, error) {
	x := newSession(tx, u, cookie, a)
	if err := s.keep(tx, x, held, a); err != nil {
		return nil, err
	}
	if err := s.create(tx, x); err != nil {
		return nil, fmt.Errorf("create session: %w", err)
	}
	signed := signedAs(x, u, held, a.IP, a.Request)
	signed.Cookie = cookie.value
	return signed, nil
}

// create keeps a session that is being born, after its sign-in was looked at.
func (s *Service) create(tx *store.Tx, x *grant.Session) error {
	if s.Watch != nil {
		if err := s.Watch(tx, x); err != nil {
			return err
		}
	}
	return tx.CreateSession(x)
}

func newSession(tx *store.Tx, u *directory.User, cookie secret, a Attempt) *grant.Session {
	return &grant.Session{
		ID: directory.NewID[directory.Session](tx.Now), User: u.ID, Cookie: cookie.hash, Created: tx.Now, LastUsed: tx.Now, AuthTime: tx.Now,
		Kept: a.Keep, AMR: amr, IP: a.IP, Agent: agent(a.Agent),
	}
}

func signedAs(x *grant.Session, u *directory.User, held directory.Held, ip, request string) *Signed {
	return &Signed{Session: x, User: u, Held: held, Actor: directory.Actor{
		User: u.ID, Name: u.Name, Held: held, Born: x.Born, Owner: x.Owner(), Kind: cutoff.Browser,
		AuthTime: x.AuthTime, Session: x.ID, IP: ip, Request: request,
	}}
}

// judge lists why a session is no longer good; none means that it is.
func (s *Service) judge(tx *store.Tx, x *grant.Session, u *directory.User) ([]standing.Cause, error) {
	cuts, err := tx.CutsAfter(directory.Belongs(x.User, x.ID, directory.GrantID{}, "", x.Device), cutoff.Browser, x.Born)
	if err != nil {
		return nil, fmt.Errorf("read cutoffs of session %s: %w", x.ID, err)
	}
	l := s.lifetimes()
	f := standing.Facts{Now: tx.Now, User: u, End: x.Created.Add(l.SessionAbsolute), Cuts: cuts}
	if ends := x.Ends(l); ends.Before(f.End) {
		f.Ends = ends
	}
	return standing.Check(f), nil
}

// Session returns who is behind a cookie. ip is where this request came from,
// for the audit log. The caller adds the request's id to the Actor. Kinds:
// Unauthenticated (no such session), Revoked with *standing.Dead, Unavailable.
func (s *Service) Session(ctx context.Context, cookie, ip string) (*Signed, error) {
	return s.session(ctx, cookie, ip, nil)
}

// session also asks more, unless that is nil, about a session that is good.
func (s *Service) session(ctx context.Context, cookie, ip string, more func(*store.Tx, *grant.Session, directory.Held) error) (*Signed, error) {
	var signed *Signed
	var now time.Time
	err := s.DB.Read(ctx, func(tx *store.Tx) error {
		signed, now = nil, tx.Now
		x, err := tx.SessionByCookie(hashSecret(cookie))
		if errors.Is(err, store.ErrNotFound) {
			return errNobody
		}
		if err != nil {
			return fmt.Errorf("read session: %w", err)
		}
		u, err := tx.User(x.User)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("read user: %w", err)
		}
		causes, err := s.judge(tx, x, u)
		if err != nil {
			return err
		}
		if len(causes) > 0 {
			return dead(causes)
		}
		held, err := tx.Held(u.ID)
		if err != nil {
			return err
		}
		signed = signedAs(x, u, held, ip, "")
		if more != nil {
			return more(tx, x, held)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if now.Sub(signed.Session.LastUsed) >= touchEvery {
		if err := s.DB.Update(ctx, func(tx *store.Tx) error { return tx.TouchSession(signed.Session.ID, now) }); err != nil {
			return nil, fmt.Errorf("note that a session was used: %w", err)
		}
		signed.Session.LastUsed = now
	}
	return signed, nil
}

// SignOut ends the session of this browser, if there is one. Kind: Unavailable.
func (s *Service) SignOut(ctx context.Context, cookie string) error {
	var id directory.SessionID
	err := s.DB.Read(ctx, func(tx *store.Tx) error {
		x, err := tx.SessionByCookie(hashSecret(cookie))
		if err == nil {
			id = x.ID
		}
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read session: %w", err)
	}
	_, err = s.Revoke.SignOut(ctx, id)
	return err
}

// leave signs out whatever session this browser had before a new one began.
func (s *Service) leave(ctx context.Context, a Attempt) error {
	if a.Reprove == "" {
		return nil
	}
	if err := s.SignOut(ctx, a.Reprove); err != nil {
		return fmt.Errorf("sign out the session that was here before: %w", err)
	}
	return nil
}
