package federate

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/deed"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/upstream"
)

// Answer is what a browser brought back from a provider.
type Answer struct {
	Provider           directory.ProviderID // whose address it came to
	State, Code, Error string
	Issuer             string // iss (RFC 9207); empty: it did not say
	Browser            string // as in Begin
	// Attempt tells of the browser; Reprove is the cookie it has.
	Attempt signin.Attempt
}

// Done is what became of it: exactly one of Signed, Again and Linked is set.
type Done struct {
	Next   string
	Signed *signin.Signed
	// Fresh: the person has proven who they are since the sign-in began.
	Fresh bool
	// Again is where the browser has to go once more, because a session of the
	// provider's from before a cutoff would not do.
	Again string
	// Linked is the provider to which an account of the session was linked.
	Linked *directory.Provider
}

// Leeway is how much older than the beginning of the sign-in an auth_time may look:
// so far two clocks may be apart. What this lets through that is older than a
// cutoff is caught by its being no newer than the last one seen.
const Leeway = 30 * time.Second

var (
	errOver    = fault.New(fault.Invalid, "This sign-in is over, or was begun in another browser. Start again.")
	errChanged = fault.New(fault.Conflict, "The identity provider was changed meanwhile. Start again.")
	errAgain   = errors.New("a fresh proof is needed")
)

// Finish ends a sign-in through a provider, or the linking of an account. An answer
// is good once, whatever becomes of it. The error comes with Next, where there is
// something to go back to. Kinds: Invalid (not, or not any more, an answer to
// anything), Unauthenticated (not to be believed), Denied (refused there, or nobody
// here), Conflict, Revoked with *standing.Dead, Unavailable.
func (s *Service) Finish(ctx context.Context, a Answer) (Done, error) {
	row, t, p, err := s.take(ctx, a)
	if err != nil {
		return Done{}, err
	}
	done := Done{Next: t.Next, Fresh: t.Fresh}
	id, err := s.redeem(ctx, p, t, a)
	if err != nil {
		s.SignIn.Turned(a.Attempt, p.Name, err)
		return done, err
	}
	if !t.Session.IsZero() {
		done.Linked = p
		return done, s.linkOwn(ctx, a, row, t, id)
	}
	var in *signin.Entered
	err = s.DB.Update(ctx, func(tx *store.Tx) (err error) {
		in, err = s.enter(tx, a, row, t, id)
		return err
	})
	if errors.Is(err, errAgain) {
		t.Fresh = true
		done.Again, err = s.begin(ctx, t, nil)
		return done, err
	}
	if err != nil {
		s.SignIn.Turned(a.Attempt, p.Name, err)
		return done, err
	}
	done.Signed = in.Signed
	return done, s.SignIn.Left(ctx, in, a.Attempt.Request)
}

// take finds the ticket of an answer and uses it up.
func (s *Service) take(ctx context.Context, a Answer) (row *store.Ticket, t ticket, p *directory.Provider, err error) {
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		if row, err = tx.Ticket(kindTicket, sha256.Sum256([]byte(a.State))); errors.Is(err, store.ErrNotFound) {
			return errOver
		} else if err != nil {
			return err
		}
		t = ticket{}
		if err := json.Unmarshal([]byte(row.Doc), &t); err != nil {
			return err
		}
		sum := sha256.Sum256([]byte(a.Browser))
		switch {
		case !row.Used.IsZero(), !tx.Now.Before(row.Expires):
			return errOver
		case t.Provider != a.Provider: // the address of one provider, the state of another: a mix-up (RFC 9700 §4.4)
			return errOver
		case a.Browser == "" || subtle.ConstantTimeCompare(sum[:], t.Browser) != 1:
			return errOver
		}
		row.Used = tx.Now
		if err := tx.SaveTicket(row); err != nil {
			return err
		}
		if p, err = enabled(tx, t.Provider); err != nil {
			return err
		}
		if p.Version != t.Version {
			return errChanged
		}
		return nil
	})
	return row, t, p, err
}

// redeem asks the provider who it is.
func (s *Service) redeem(ctx context.Context, p *directory.Provider, t ticket, a Answer) (*upstream.Identity, error) {
	m, err := s.Upstream.Metadata(ctx, p.Issuer)
	if err != nil {
		return nil, err
	}
	switch {
	case a.Issuer != "" && a.Issuer != p.Issuer, a.Issuer == "" && m.NamesItself:
		return nil, fault.New(fault.Unauthenticated, "The answer did not come from the identity provider that was asked.")
	case a.Error == "access_denied":
		return nil, fault.New(fault.Denied, p.Name+" did not let you in, or you turned back there.")
	case a.Error != "":
		return nil, fault.New(fault.Unauthenticated, p.Name+" answered with an error: "+fault.Quote(a.Error[:min(len(a.Error), 60)])+".")
	case a.Code == "":
		return nil, fault.New(fault.Invalid, "The identity provider sent neither a code nor an error.")
	}
	own, err := s.credential(ctx, p, m)
	if err != nil {
		return nil, err
	}
	id, err := s.Upstream.Redeem(ctx, p, own, a.Code, s.request(t, a.State))
	if err != nil && !fault.Is(err, fault.Unavailable) {
		s.log().WarnContext(ctx, "a sign-in through an identity provider was not believed", "provider", p.ID, "why", err, "request", a.Attempt.Request)
	}
	return id, err
}

// hold reads again, in the transaction that decides, what the sign-in rests on.
func hold(tx *store.Tx, row *store.Ticket, t ticket, id *upstream.Identity) (*directory.Provider, error) {
	p, err := enabled(tx, t.Provider)
	if err != nil {
		return nil, err
	}
	if p.Version != t.Version {
		return nil, errChanged
	}
	over, err := revoke.EndedMeanwhile(tx, p.ID, id.Subject, id.SID, row.Born, t.Began)
	if err == nil && over {
		err = fault.New(fault.Revoked, "Your session at "+p.Name+" has ended meanwhile. Start again.")
	}
	return p, err
}

// enter finds out who it is and opens the session, or says that a fresh proof is
// needed first.
func (s *Service) enter(tx *store.Tx, a Answer, row *store.Ticket, t ticket, id *upstream.Identity) (*signin.Entered, error) {
	p, err := hold(tx, row, t, id)
	if err != nil {
		return nil, err
	}
	l, err := tx.Linked(p.ID, id.Subject)
	if errors.Is(err, store.ErrNotFound) {
		l, err = s.welcome(tx, p, id)
	}
	if err != nil {
		return nil, err
	}
	owner := cutoff.NewOwner(directory.Belongs(l.User, directory.SessionID{}, directory.GrantID{}, "", directory.DeviceID{}))
	cut, err := tx.Latest(&owner, cutoff.Browser)
	if err != nil {
		return nil, err
	}
	after := l.Proved < cut // the first through this link since a cutoff
	switch {
	case after && !t.Fresh:
		return nil, errAgain
	case t.Fresh:
		if err := fresh(p, l, t, id, after); err != nil {
			return nil, err
		}
	}
	in, err := s.SignIn.Enter(tx, signin.Elsewhere{User: l.User, Provider: p.ID, SID: id.SID, AuthTime: earlier(id.AuthTime, tx.Now), AMR: id.AMR, Born: row.Born}, a.Attempt)
	if err != nil {
		return nil, err
	}
	l.Proved, l.AuthTime = row.Born, id.AuthTime
	return in, tx.ProveLink(l)
}

// earlier keeps a provider's clock that runs ahead from making a proof newer than now.
func earlier(t, now time.Time) time.Time {
	if t.After(now) {
		return now
	}
	return t
}

// fresh judges an auth_time that must be newer than the beginning of this sign-in:
// the provider was asked for prompt=login and may not have heard. auth_time has
// whole seconds. Its own earlier word needs no clock of ours: after a cutoff, one
// that was seen before is the session that the cutoff meant to end.
func fresh(p *directory.Provider, l *store.LinkAt, t ticket, id *upstream.Identity, after bool) error {
	switch {
	case id.AuthTime.IsZero():
		return fault.New(fault.Denied, p.Name+" does not say when you signed in there (auth_time), and a new sign-in is needed. Ask an administrator.")
	case id.AuthTime.Before(t.Began.Truncate(time.Second).Add(-Leeway)), after && l != nil && !id.AuthTime.After(l.AuthTime):
		return fault.New(fault.Denied, p.Name+" let you in without asking who you are, and a new sign-in is needed. Sign out there, then start again.")
	}
	return nil
}

// welcome is for a subject that is nobody here: it becomes a new user where the
// registration says so. A name that is there is never taken over.
func (s *Service) welcome(tx *store.Tx, p *directory.Provider, id *upstream.Identity) (*store.LinkAt, error) {
	if !p.Create {
		return nil, fault.New(fault.Denied, "Nobody here is linked to that account at "+p.Name+". Sign in here and link it under My account, or ask an administrator.")
	}
	claims := p.Claims.Or()
	u := &directory.User{ID: directory.NewID[directory.User](tx.Now), Name: id.Text(claims.UserName), DisplayName: id.Text(claims.DisplayName), Enabled: true, Created: tx.Now}
	if u.DisplayName == "" || directory.CheckText("The name", u.DisplayName, 256) != nil {
		u.DisplayName = u.Name
	}
	if m := id.Text(claims.Mail); id.MailVerified() && directory.CheckMail(m) == nil {
		u.Mail = m
	}
	if claims.UserName == "email" && !id.MailVerified() {
		return nil, fault.New(fault.Denied, p.Name+" has not verified your mail address, which would be your user name here.")
	}
	if err := directory.CheckUserName(u.Name); err != nil || !p.Owns(u.Name) {
		return nil, fault.Wrap(fault.Denied, "Your account at "+p.Name+" has no name that can be a user name here. Ask an administrator.", err)
	}
	if err := tx.CreateUser(u); errors.Is(err, store.ErrDuplicate) {
		return nil, fault.Wrap(fault.Conflict, "There is a user of your name here already. If that is you, sign in and link the account, or ask an administrator.", err)
	} else if err != nil {
		return nil, err
	}
	if err := tx.Link(p.ID, id.Subject, u.ID); err != nil {
		return nil, err
	}
	tx.Audit(audit.Record{Action: "Add user", Target: store.UserParty(u), Elaborate: "Came through " + p.Name + "."})
	return &store.LinkAt{Link: directory.Link{Provider: p.ID, Subject: id.Subject, User: u.ID}}, nil
}

// linkOwn links the account to whoever is signed in in this browser: the session in
// which it was begun, alive.
func (s *Service) linkOwn(ctx context.Context, a Answer, row *store.Ticket, t ticket, id *upstream.Identity) error {
	signed, err := s.SignIn.Visit(ctx, a.Attempt.Reprove, signin.Visit{Action: policy.RegisterSecurityInfo, IP: a.Attempt.IP, Agent: a.Attempt.Agent})
	if err != nil {
		return err
	}
	if signed.Session.ID != t.Session || signed.User.ID != row.User {
		return errOver
	}
	signed.Actor.Request = a.Attempt.Request
	return s.DB.Update(ctx, func(tx *store.Tx) error {
		// The session is judged before the commit; it may have outlived a cutoff of
		// its user ("all but this one"), which what was half-finished does not.
		tx.By(store.By{Actor: signed.Actor})
		p, err := hold(tx, row, t, id)
		if err != nil {
			return err
		}
		u, err := tx.User(signed.User.ID)
		if err != nil {
			return err
		}
		cuts, err := tx.CutsAfter(directory.Belongs(u.ID, directory.SessionID{}, directory.GrantID{}, "", directory.DeviceID{}), cutoff.Browser, row.Born)
		if err != nil {
			return err
		}
		if len(cuts) > 0 || !u.Enabled || !u.Deleted.IsZero() {
			return errOver
		}
		if err := fresh(p, nil, t, id, false); err != nil {
			return err
		}
		c := &step{&deed.Step{Tx: tx, Actor: signed.Actor}, s}
		if err := revoke.Pace(tx, signed.Actor, u.ID); err != nil {
			return err
		}
		if err := c.link(p, id.Subject, u); err != nil {
			return err
		}
		return tx.ProveLink(&store.LinkAt{Link: directory.Link{Provider: p.ID, Subject: id.Subject, AuthTime: id.AuthTime}, Proved: row.Born})
	})
}
