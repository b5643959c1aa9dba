package signin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/mail"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/journal"
)

// Service signs people in. DB, Revoke, Hasher and Limits are required.
type Service struct {
	DB        *store.DB
	Revoke    *revoke.Service
	Lifetimes grant.Lifetimes  // the zero value is grant.DefaultLifetimes
	Now       func() time.Time // for throttling; nil is time.Now
	Log       *slog.Logger     // nil discards
	Hasher    *Hasher
	Limits    *Limits
	// Attacked is told, at most once an hour for each account, that somebody guesses
	// at it from many addresses. It must not wait. Nil: the audit log alone.
	Attacked func(u *directory.User)
	Journal  *journal.Journal // the sign-in log; nil: none is kept
	Access   *access.Service  // asks the policies; nil: all the same, and knows less
	// Watch looks at each session that is being born, in its transaction; nil: nobody does.
	Watch func(*store.Tx, *grant.Session) error
	// Wrong is told of each wrong password, for an account that need not be anybody's.
	// It must not wait. Nil: nobody is.
	Wrong func(ip, account string)
	// Changed is told that somebody's password was changed by themselves. It must not
	// wait. Nil: nobody is.
	Changed func(u *directory.User, ip string)
	// Mail brings the link of a reset to whose it is, in the words of Letters; nil: no
	// password is reset by mail.
	Mail    *mail.Sender
	Letters func() mail.Writer
}

// Attempt is one try to sign in, as the surface saw it.
type Attempt struct {
	Username string // as typed
	Password string
	IP       string
	Agent    string // the User-Agent header
	Request  string // correlation id
	Keep     bool   // keep me signed in
	// Reprove is the cookie this browser has, if any. When its session is alive
	// and the same person's, that session is proven anew instead of a second one
	// being opened; somebody else's is signed out.
	Reprove string
}

// Signed is somebody who is signed in.
type Signed struct {
	Session *grant.Session
	User    *directory.User
	Held    directory.Held
	Actor   directory.Actor
	// Cookie is the value to set; empty when the browser's stays as it is.
	Cookie string
}

// MustChange says that the password was right and has to be changed first.
type MustChange struct {
	Ticket string // for FinishChange; good once, for Lifetimes.Ticket
}

// Sentinels behind faults, for surfaces that put the sentence beside a field.
var (
	ErrPair    = errors.New("user name and password do not belong together")
	ErrCurrent = errors.New("not the current password")
	ErrNew     = errors.New("unfit as a new password")
	ErrName    = errors.New("unfit as a user name")
)

// errChanged: the row is not the one that the password was compared with.
var errChanged = errors.New("the password was changed meanwhile")

// restarts bounds how often a sign-in starts over because the row was changed
// between the hash and the transaction.
const restarts = 3

var amr = []string{"pwd"} // RFC 8176

func (s *Service) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

func (s *Service) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

func (s *Service) lifetimes() grant.Lifetimes {
	if s.Lifetimes == (grant.Lifetimes{}) {
		return grant.DefaultLifetimes()
	}
	return s.Lifetimes
}

// Password signs somebody in with user name and password. Exactly one of the
// results is set. Kinds: Unauthenticated with ErrPair (the pair is not right),
// Revoked with *standing.Dead (it is right, and the account cannot sign in, or
// was cut while it signed in), Limited with *TooMany, Unavailable.
func (s *Service) Password(ctx context.Context, a Attempt) (*Signed, *MustChange, error) {
	var who *directory.User
	for range restarts {
		p, err := s.prove(ctx, a.Username, a.Password, a.IP, func(tx *store.Tx) (_ *directory.User, err error) { who, err = byName(tx, a.Username); return who, err })
		if err != nil {
			s.outcome("refused", nil, nil, a.Request, err)
			s.note("password", who, nil, a, 0, err)
			return nil, nil, err
		}
		if p == nil {
			s.outcome("wrong", nil, nil, a.Request, nil)
			if s.Wrong != nil {
				s.Wrong(a.IP, a.Username)
			}
			err := fault.Wrap(fault.Unauthenticated, "The user name or the password is not right", ErrPair)
			number := wrongPassword
			if who == nil {
				number = wrongName
			}
			s.note("password", who, nil, a, number, err)
			return nil, nil, err
		}
		signed, must, err := s.open(ctx, p, a)
		switch {
		case errors.Is(err, errChanged):
			continue
		case err != nil:
			s.outcome("refused", p.user, nil, a.Request, err)
			s.note("password", p.user, nil, a, 0, err)
		case must != nil:
			s.outcome("must change", p.user, nil, a.Request, nil)
			s.note("password", p.user, nil, a, mustChange, fault.New(fault.Denied, "The password has to be changed first."))
		default:
			s.outcome("signed in", signed.User, signed.Session, a.Request, nil)
			s.note("password", signed.User, signed.Session, a, 0, nil)
		}
		return signed, must, err
	}
	return nil, nil, tooBusy()
}

func tooBusy() error {
	return fault.Wrap(fault.Unavailable, "The account was being changed. Try again.", errChanged)
}

// outcome is the one line of a sign-in: ids and kinds, no names.
func (s *Service) outcome(what string, u *directory.User, x *grant.Session, request string, err error) {
	args := []any{"outcome", what, "request", request}
	if u != nil {
		args = append(args, "user", u.ID.String())
	}
	if x != nil {
		args = append(args, "session", x.ID.String())
	}
	if err != nil {
		args = append(args, "kind", fault.KindOf(err).String())
	}
	s.log().Info("sign-in", args...)
}

// maxName bounds a user name as typed, in bytes.
const maxName = 1024

// byName finds a user by what was typed. What no database takes as text is
// nobody's name.
func byName(tx *store.Tx, name string) (*directory.User, error) {
	if len(name) > maxName || !utf8.ValidString(name) || strings.ContainsRune(name, 0) {
		return nil, store.ErrNotFound
	}
	return tx.UserByName(name)
}

// proven is a password that was right for a user's row as it was read.
type proven struct {
	user     *directory.User
	priority bool
	rehashed string // the same password under today's parameters; empty: not needed
}

// same reports whether u still has the password that was proven. The version
// alone would not do: a hash put back by hand has no new one.
func (p *proven) same(u *directory.User) bool {
	return u.Password.Version == p.user.Password.Version && u.Password.Hash == p.user.Password.Hash && u.Password.Hash != ""
}

// prove throttles, then compares the password with that of the user find
// returns. Nil means that it is not right, for whatever reason. Whether the
// account may sign in is for the transaction to judge.
func (s *Service) prove(ctx context.Context, account, password, ip string, find func(*store.Tx) (*directory.User, error)) (*proven, error) {
	var p proven
	err := s.DB.Read(ctx, func(tx *store.Tx) (err error) {
		var id directory.UserID
		p.user, err = find(tx)
		switch {
		case errors.Is(err, store.ErrNotFound):
			p.user = nil
		case err != nil:
			return err
		default:
			id = p.user.ID
		}
		held, err := tx.Held(id) // of nobody too: the same work for every name
		p.priority = len(held.Roles) > 0
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read user: %w", err)
	}
	giveBack, err := s.Try(ctx, account, ip, p.user)
	if err != nil {
		return nil, err
	}
	hash := ""
	if p.user != nil && !p.user.Service {
		hash = p.user.Password.Hash
	}
	ok, rehash, err := s.Hasher.Verify(ctx, hash, password, p.priority)
	if err != nil {
		giveBack() // nothing was compared
		return nil, err
	}
	if !ok {
		return nil, nil
	}
	giveBack()
	if rehash {
		// A full pool is no reason to refuse; the next sign-in will do it.
		p.rehashed, err = s.Hasher.Hash(ctx, password, p.priority)
		if err != nil && !fault.Is(err, fault.Limited) {
			return nil, err
		}
	}
	return &p, nil
}

// signedInAt reports whether the user has a live session, of which also holds, that
// was opened from the network of ip.
func (s *Service) signedInAt(ctx context.Context, u *directory.User, ip string, also func(*grant.Session) bool) (known bool, err error) {
	if u == nil {
		return false, nil
	}
	err = s.DB.Read(ctx, func(tx *store.Tx) error {
		known = false
		all, err := tx.Sessions(u.ID, 50)
		if err != nil {
			return err
		}
		for _, x := range all {
			if network(x.IP) != network(ip) || !also(x) {
				continue
			}
			causes, err := s.judge(tx, x, u)
			if err != nil {
				return err
			}
			known = known || len(causes) == 0
		}
		return nil
	})
	return known, err
}

// open turns a proven password into a session, or a ticket to change it. In one
// transaction: the head, then the row compared and judged, then the birth.
func (s *Service) open(ctx context.Context, p *proven, a Attempt) (signed *Signed, must *MustChange, err error) {
	var stranger directory.SessionID
	fresh := newSecret()
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		signed, must, stranger = nil, nil, directory.SessionID{}
		u, held, err := s.still(tx, p)
		if err != nil {
			return err
		}
		if p.rehashed != "" {
			if err := tx.RehashPassword(u.ID, u.Password.Version, p.rehashed); err != nil {
				return err
			}
		}
		if u.Password.MustChange {
			must = &MustChange{Ticket: fresh.value}
			tx.By(store.By{Actor: person(u, held, tx.Head, a)})
			return s.createTicket(tx, changeTicket, fresh, u, s.lifetimes().Ticket, "")
		}
		if a.Reprove != "" {
			old, err := tx.SessionByCookie(hashSecret(a.Reprove))
			switch {
			case errors.Is(err, store.ErrNotFound):
			case err != nil:
				return err
			case old.User != u.ID:
				stranger = old.ID
			default:
				causes, err := s.judge(tx, old, u)
				if err != nil {
					return err
				}
				if len(causes) == 0 {
					methods := grant.Reproved(old.AMR, amr)
					if err := tx.ReproveSession(old.ID, tx.Now, methods); err != nil {
						return err
					}
					old.AuthTime, old.LastUsed, old.AMR = tx.Now, tx.Now, methods
					signed = signedAs(old, u, held, a.IP, a.Request)
				}
			}
		}
		if signed == nil {
			signed, err = s.createSession(tx, u, held, fresh, a)
			if err != nil {
				return err
			}
		}
		// Before the commit the store judges this actor once more: a session that
		// a revocation has overtaken is refused here and not at its first use.
		tx.By(store.By{Actor: signed.Actor})
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if !stranger.IsZero() {
		// Only now: who cannot sign in here ends nobody's session. Should it fail,
		// the new session is not handed out either.
		if _, err := s.Revoke.SignOut(ctx, stranger); err != nil {
			return nil, nil, fmt.Errorf("sign out the session that was here before: %w", err)
		}
	}
	return signed, must, nil
}

// still reads the user again in this transaction: it must be the row that was
// proven, and an account that can sign in.
func (s *Service) still(tx *store.Tx, p *proven) (*directory.User, directory.Held, error) {
	u, err := tx.User(p.user.ID)
	if err != nil {
		return nil, directory.Held{}, fmt.Errorf("read user: %w", err)
	}
	if causes := standing.Check(standing.Facts{Now: tx.Now, User: u}); len(causes) > 0 {
		return nil, directory.Held{}, dead(causes)
	}
	if !p.same(u) {
		return nil, directory.Held{}, errChanged
	}
	held, err := tx.Held(u.ID)
	return u, held, err
}

// dead is the refusal of what is no longer good.
func dead(causes []standing.Cause) error {
	d := &standing.Dead{Causes: causes}
	public := "This sign-in is over. Sign in again."
	switch {
	case d.Has(standing.Deleted), d.Has(standing.Unknown):
		public = "This account is not there any more."
	case d.Has(standing.Disabled):
		public = "This account is disabled."
	}
	return fault.Wrap(fault.Revoked, public, d)
}

// person is somebody who has proven who they are and has no session yet, in a
// transaction whose head is born.
func person(u *directory.User, held directory.Held, born cutoff.Pos, a Attempt) directory.Actor {
	return directory.Actor{User: u.ID, Name: u.Name, Held: held, Born: born, Kind: cutoff.Browser, IP: a.IP, Request: a.Request,
		Owner: cutoff.NewOwner(directory.Belongs(u.ID, directory.SessionID{}, directory.GrantID{}, "", directory.DeviceID{}))}
}
