package revoke

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
)

// Service revokes.
type Service struct {
	DB        *store.DB
	Log       *slog.Logger
	Lifetimes grant.Lifetimes
	Now       func() time.Time
	// Issuers are the iss of our own ID tokens, by which others name our people.
	Issuers []string
	// Reused is told, in the transaction in which a grant ends by reuse, from which
	// address that came; nil: nobody is.
	Reused func(tx *store.Tx, g *grant.Grant, ip string) error
}

// Options of a revocation.
type Options struct {
	// Reason is free text for ledger, receipt and audit, at most 500 characters.
	Reason string
	// KeepSession spares the actor's own browser session: "sign out everywhere
	// else", "everyone except me". It must be the session the actor acts in.
	KeepSession directory.SessionID
	// DryRun judges whether it is allowed and changes nothing.
	DryRun bool
}

// Result of a revocation.
type Result struct {
	// Receipt is nil after a dry run, when nothing had to be cut, and when a
	// sign-out appended no line.
	Receipt *store.Receipt
	// Cookie is the new cookie value of the session that was kept.
	Cookie string
	// Already: a session or grant was cut or gone already; nothing was written.
	Already bool
}

// activity is the name under which Microsoft logs a revocation; tools that read
// audit logs search for it.
const activity = "Update StsRefreshTokenValidFrom Timestamp"

var (
	errDry = errors.New("dry run")
	// errNothing undoes what led to the finding that there is nothing to cut.
	errNothing = errors.New("nothing to cut")
)

// maxReason bounds the reason, in bytes.
const maxReason = 500

// freshProof is how recently somebody must have signed in to cut the directory.
const freshProof = 10 * time.Minute

// User ends everything the user holds: browser sessions, grants, access tokens,
// and whatever is half-finished. Kinds: Denied, NotFound, Invalid, Limited with
// *TooMany (one's own, too often), Revoked (the actor was cut meanwhile),
// Unavailable.
func (s *Service) User(ctx context.Context, actor directory.Actor, id directory.UserID, o Options) (Result, error) {
	return s.cut(ctx, actor, o, func(tx *store.Tx, a directory.Actor, cookie [32]byte) (*store.Cut, error) {
		u, err := tx.User(id)
		if err != nil || !u.Deleted.IsZero() {
			return nil, noUser(err)
		}
		if err := allow(tx, a, role.RevokeSessions, u); err != nil {
			return nil, err
		}
		if err := Pace(tx, a, id); err != nil {
			return nil, err
		}
		c, u, err := tx.RevokeUser(id, o.KeepSession, cookie)
		if err != nil {
			return nil, err
		}
		tx.Audit(audit.Record{Action: activity, Target: store.UserParty(u), Changes: []audit.Change{{
			Property: "StsRefreshTokensValidFrom", Old: stamp(u.ValidFrom), New: stamp(tx.Now)}}})
		return c, nil
	})
}

// Session ends one browser session, and every grant given in it. Kinds as User.
func (s *Service) Session(ctx context.Context, actor directory.Actor, id directory.SessionID, o Options) (Result, error) {
	return s.cut(ctx, actor, o, func(tx *store.Tx, a directory.Actor, _ [32]byte) (*store.Cut, error) {
		x, err := tx.Session(id)
		if errors.Is(err, store.ErrNotFound) {
			return nil, fault.New(fault.NotFound, "There is no such session.")
		}
		if err != nil {
			return nil, err
		}
		u, err := tx.User(x.User)
		if err != nil {
			return nil, err
		}
		if err := allow(tx, a, role.RevokeSession, u); err != nil {
			return nil, err
		}
		if err := Pace(tx, a, u.ID); err != nil {
			return nil, err
		}
		c, err := s.cutSession(tx, x, u, standing.SessionRevoked)
		if c == nil && err == nil {
			err = errNothing // what writes no line takes no place
		}
		return c, err
	})
}

// cutSession cuts a session and, where the event ends them, each grant with
// offline_access by its own id, because it remembers its session without
// belonging to it. What is dead already is not cut again.
func (s *Service) cutSession(tx *store.Tx, x *grant.Session, u *directory.User, e standing.Event) (*store.Cut, error) {
	row, err := tx.Row(e)
	if err != nil {
		return nil, err
	}
	var v standing.Victim
	if alive, err := aliveSession(tx, x); err != nil {
		return nil, err
	} else if alive {
		v.Session = x.ID.String()
	}
	if row.Has(standing.GivenInIt) {
		if err := tx.HoldSession(x.ID); err != nil {
			return nil, err
		}
		grants, err := tx.GrantsOfSession(x.ID)
		if err != nil {
			return nil, err
		}
		for _, g := range grants {
			if alive, err := aliveGrant(tx, g); err != nil {
				return nil, err
			} else if alive && g.EndsWith().IsZero() {
				v.Grants = append(v.Grants, g.ID.String())
			}
		}
	}
	if v.Session == "" && len(v.Grants) == 0 {
		return nil, nil
	}
	v.User = u.ID.String()
	c, err := cutEvent(tx, e, v, sessionParty(x, u))
	if err != nil {
		return nil, err
	}
	tx.Audit(audit.Record{Action: "Revoke session", Target: c.Target, Whose: u.ID.String()})
	return c, nil
}

// cutEvent appends the line of an event.
func cutEvent(tx *store.Tx, e standing.Event, v standing.Victim, target audit.Party) (*store.Cut, error) {
	c, err := tx.Event(e, v, target)
	if err == nil {
		tx.Cut(c)
	}
	return c, err
}

func sessionParty(x *grant.Session, u *directory.User) audit.Party {
	return audit.Party{Kind: "session", ID: x.ID.String(), Name: u.Name}
}

func aliveSession(tx *store.Tx, x *grant.Session) (bool, error) {
	o := x.Owner()
	p, err := tx.Latest(&o, cutoff.Browser)
	return x.Born >= p, err
}

// Grant ends one grant: one application of one user on one device. Kinds as User.
func (s *Service) Grant(ctx context.Context, actor directory.Actor, id directory.GrantID, o Options) (Result, error) {
	return s.cut(ctx, actor, o, func(tx *store.Tx, a directory.Actor, _ [32]byte) (*store.Cut, error) {
		g, err := tx.Grant(id)
		if errors.Is(err, store.ErrNotFound) {
			return nil, fault.New(fault.NotFound, "There is no such grant.")
		}
		if err != nil {
			return nil, err
		}
		u, err := tx.User(g.User)
		if err != nil {
			return nil, err
		}
		if err := allow(tx, a, role.RevokeSession, u); err != nil {
			return nil, err
		}
		return cutOneGrant(tx, a, g, u, standing.GrantRevoked)
	})
}

// EndGrant ends a grant by an event that is not an administrator's: its old
// refresh token or code was presented again, or its own client gave it back. It
// writes one line for each grant at most, so that nobody can grow the ledger by
// presenting it again and again. When the grant's row was swept, what was made
// from it still ends.
func (s *Service) EndGrant(ctx context.Context, id directory.GrantID, e standing.Event, ip string) (Result, error) {
	return s.cut(ctx, directory.Actor{System: true}, Options{}, func(tx *store.Tx, a directory.Actor, _ [32]byte) (*store.Cut, error) {
		g, err := tx.Grant(id)
		if errors.Is(err, store.ErrNotFound) {
			return cutBelow(tx, id, e)
		}
		if err != nil {
			return nil, err
		}
		u, err := tx.User(g.User)
		if err != nil {
			return nil, err
		}
		c, err := cutOneGrant(tx, a, g, u, e)
		if err == nil && c != nil && e == standing.GrantReused && s.Reused != nil {
			err = s.Reused(tx, g, ip)
		}
		return c, err
	})
}

// cutBelow ends what was made from a grant that is not there any more.
func cutBelow(tx *store.Tx, id directory.GrantID, e standing.Event) (*store.Cut, error) {
	below, err := tx.GrantsBelow(id)
	if err != nil {
		return nil, err
	}
	for _, g := range below {
		alive, err := aliveGrant(tx, g)
		if err != nil {
			return nil, err
		}
		if !alive {
			continue
		}
		c, err := cutEvent(tx, e, standing.Victim{User: g.User.String(), Grants: []string{id.String()}}, audit.Party{Kind: "grant", ID: id.String()})
		if err == nil {
			tx.Audit(audit.Record{Action: "Revoke grant", Target: c.Target, Whose: g.User.String(), Elaborate: string(c.Cause)})
		}
		return c, err
	}
	return nil, nil
}

func cutOneGrant(tx *store.Tx, a directory.Actor, g *grant.Grant, u *directory.User, e standing.Event) (*store.Cut, error) {
	alive, err := aliveGrant(tx, g)
	if err != nil || !alive {
		return nil, err
	}
	if err := Pace(tx, a, u.ID); err != nil {
		return nil, err
	}
	c, err := cutEvent(tx, e, standing.Victim{User: u.ID.String(), Grants: []string{g.ID.String()}},
		audit.Party{Kind: "grant", ID: g.ID.String(), Name: u.Name + " in " + string(g.App)})
	if err == nil {
		tx.Audit(audit.Record{Action: "Revoke grant", Target: c.Target, Whose: u.ID.String(), Elaborate: string(c.Cause)})
	}
	return c, err
}

func aliveGrant(tx *store.Tx, g *grant.Grant) (bool, error) {
	o := g.Owner()
	p, err := tx.Latest(&o, cutoff.Token)
	return g.Born >= p, err
}

// App ends what an application holds, for everybody. It can go on afterwards;
// disabling is another act. Kinds as User.
func (s *Service) App(ctx context.Context, actor directory.Actor, id directory.AppID, o Options) (Result, error) {
	return s.cut(ctx, actor, o, func(tx *store.Tx, a directory.Actor, _ [32]byte) (*store.Cut, error) {
		app, err := tx.App(id)
		if errors.Is(err, store.ErrNotFound) {
			return nil, fault.New(fault.NotFound, "There is no such application.")
		}
		if err != nil {
			return nil, err
		}
		if err := role.Allowed(a, role.CutApp, role.Target{}).Err(app.Name); err != nil {
			return nil, err
		}
		c, err := cutEvent(tx, standing.ClientRevoked, standing.Victim{App: string(id)}, store.AppParty(app))
		if err == nil {
			tx.Audit(audit.Record{Action: "Revoke application", Target: c.Target})
		}
		return c, err
	})
}

// UserApp ends what one application holds of one user. Kinds as User.
func (s *Service) UserApp(ctx context.Context, actor directory.Actor, user directory.UserID, app directory.AppID, o Options) (Result, error) {
	return s.cut(ctx, actor, o, func(tx *store.Tx, a directory.Actor, _ [32]byte) (*store.Cut, error) {
		u, err := tx.User(user)
		if err != nil || !u.Deleted.IsZero() {
			return nil, noUser(err)
		}
		if err := allow(tx, a, role.RevokeSession, u); err != nil {
			return nil, err
		}
		if !directory.ValidAppID(string(app)) {
			return nil, fault.New(fault.Invalid, "That is not a client_id.")
		}
		if err := Pace(tx, a, u.ID); err != nil {
			return nil, err
		}
		c, err := cutEvent(tx, standing.UserAppRevoked, standing.Victim{User: user.String(), App: string(app)}, audit.Party{Kind: "user", ID: u.ID.String(), Name: u.Name + " in " + string(app)})
		if err == nil {
			tx.Audit(audit.Record{Action: "Revoke application", Target: c.Target})
		}
		return c, err
	})
}

// Everyone ends everything in the directory, but for the actor's own session
// when that is to be kept. It needs a Global Administrator who has just signed
// in. Kinds as User.
func (s *Service) Everyone(ctx context.Context, actor directory.Actor, o Options) (Result, error) {
	return s.cut(ctx, actor, o, func(tx *store.Tx, a directory.Actor, cookie [32]byte) (*store.Cut, error) {
		if err := mayCutDirectory(tx, a, "revoke everyone"); err != nil {
			return nil, err
		}
		c, err := cutEvent(tx, standing.EveryoneRevoked, standing.Victim{}, audit.Party{Kind: "directory", Name: "everyone"})
		if err == nil {
			c.Keep, c.Cookie = o.KeepSession, cookie
			tx.Audit(audit.Record{Action: activity, Target: c.Target})
		}
		return c, err
	})
}

// cut runs one revocation: judge and write in one transaction at the head of
// the queue, then count what is left.
func (s *Service) cut(ctx context.Context, actor directory.Actor, o Options, f func(*store.Tx, directory.Actor, [32]byte) (*store.Cut, error)) (Result, error) {
	if len(o.Reason) > maxReason {
		return Result{}, fault.New(fault.Invalid, "The reason is too long: 500 characters at most.")
	}
	if !o.KeepSession.IsZero() && o.KeepSession != actor.Session {
		return Result{}, fault.New(fault.Invalid, "Only the session you are in can be kept.")
	}
	var res Result
	var hash [32]byte
	if !o.KeepSession.IsZero() {
		var v [32]byte
		rand.Read(v[:])
		res.Cookie = base64.RawURLEncoding.EncodeToString(v[:])
		hash = sha256.Sum256([]byte(res.Cookie))
	}
	var c *store.Cut
	err := s.DB.Urgent(ctx, func(tx *store.Tx) error {
		tx.By(store.By{Actor: actor, Reason: o.Reason})
		a, err := tx.ActorNow(actor)
		if err != nil {
			return err
		}
		if c, err = f(tx, a, hash); err != nil {
			return err
		}
		if o.DryRun {
			return errDry
		}
		return nil
	})
	switch {
	case errors.Is(err, errDry):
		return Result{Already: c == nil}, nil
	case errors.Is(err, errNothing):
		return Result{Already: true}, nil
	case fault.Is(err, fault.Denied):
		return Result{}, errors.Join(err, s.refused(ctx, actor, o, err))
	case err != nil:
		return Result{}, err
	case c == nil:
		return Result{Already: true}, nil
	}
	if !c.Kept {
		res.Cookie = ""
	}
	res.Receipt = s.Counted(ctx, c, o.Reason)
	return res, nil
}

// refused writes the refusal to the audit log, in a transaction of its own.
func (s *Service) refused(ctx context.Context, actor directory.Actor, o Options, why error) error {
	actor.Owner, actor.Born = cutoff.Owner{}, cutoff.MaxPos // whoever was cut is refused on record as well
	return s.DB.Update(ctx, func(tx *store.Tx) error {
		tx.By(store.By{Actor: actor, Reason: o.Reason})
		tx.Audit(audit.Record{Action: activity, Result: audit.Refused, Elaborate: fault.Public(why)})
		return nil
	})
}

func allow(tx *store.Tx, a directory.Actor, action role.Action, u *directory.User) error {
	held, err := tx.Held(u.ID)
	if err != nil {
		return err
	}
	t := role.Target{ID: u.ID, Held: held, Service: u.Service}
	if u.Service {
		app, err := tx.AppByPrincipal(u.ID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if app != nil {
			for _, p := range app.AppPermissions {
				t.Permissions = append(t.Permissions, p.Scopes...) // of any resource: doubt closes
			}
		}
	}
	name := u.DisplayName
	if name == "" {
		name = u.Name
	}
	return role.Allowed(a, action, t).Err(name)
}

func noUser(err error) error {
	if err == nil || errors.Is(err, store.ErrNotFound) {
		return fault.New(fault.NotFound, "There is no such user.")
	}
	return fmt.Errorf("read user: %w", err)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return `["` + t.UTC().Format(time.RFC3339) + `"]`
}
