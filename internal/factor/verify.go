package factor

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/store"
)

// Proven is somebody who has given a second factor in a session.
type Proven struct {
	// Signed is who it is, with the new value of the session's cookie in Cookie.
	*signin.Signed
	// Remember is the value of a cookie of its own, by which this browser is spared
	// the second factor until Until; empty: it is not.
	Remember string
	Until    time.Time
	Left     int // recovery codes that are left, after one was used
}

// VerifyCode proves a second factor in the session of signed: the code of an
// authenticator app, a recovery code, or a temporary access pass; which one is told
// by its form. remember asks that this browser be spared it for a while. Kinds:
// Unauthenticated (with ErrCode: it is none of them), Revoked with *standing.Dead,
// Limited with *signin.TooMany, Unavailable.
func (s *Service) VerifyCode(ctx context.Context, signed *signin.Signed, code string, remember bool) (*Proven, error) {
	if signed == nil || signed.Session == nil {
		return nil, fault.New(fault.Unauthenticated, "Sign in first.")
	}
	code = plain(code)
	giveBack, err := s.tryCode(ctx, signed, code)
	if err != nil {
		s.SignIn.Noted(nil, signed, signin.Attempt{}, err)
		return nil, err
	}
	var used *directory.Method
	p, err := s.prove(ctx, signed, remember, func(tx *store.Tx, now *signin.Signed, all []*directory.Method) (signin.Proof, error) {
		var amr string
		var err error
		if used, amr, err = s.use(tx, all, code); err != nil {
			return signin.Proof{}, err
		}
		return signin.Proof{AMR: []string{amr}, First: used.Kind == directory.MethodPass}, nil
	})
	if errors.Is(err, ErrCode) {
		s.SignIn.Noted(nil, signed, signin.Attempt{}, err)
		return nil, err // counted
	}
	giveBack()
	if err != nil {
		return nil, err
	}
	if used.Kind == directory.MethodCodes {
		p.Left = len(spareOf(used).Left)
		s.tell(Notice{User: signed.User, What: CodeSpent, Left: p.Left, IP: signed.Actor.IP, At: used.Used})
	}
	return p, nil
}

// tryCode counts a try. Only codes of six digits can be guessed; what is as long as a
// recovery code or a pass counts like a password.
func (s *Service) tryCode(ctx context.Context, signed *signin.Signed, code string) (giveBack func(), err error) {
	if len(code) == codeLetters {
		return s.SignIn.Try(ctx, signed.User.Name, signed.Actor.IP, signed.User)
	}
	return s.SignIn.TryCode(ctx, signed.User, signed.Actor.IP)
}

// use finds the method of whose code this is, and uses it up. ErrCode.
func (s *Service) use(tx *store.Tx, all []*directory.Method, code string) (used *directory.Method, amr string, err error) {
	mac := []byte(nil)
	for _, m := range all {
		if used != nil || !m.Live(tx.Now) {
			continue
		}
		if mac == nil {
			mac = s.mac(m.User, code)
		}
		switch m.Kind {
		case directory.MethodTOTP:
			secret, err := s.Keys.Unseal(sealing, m.User.String(), read[app](m).Secret)
			if err != nil {
				return nil, "", err
			}
			if at := matches(secret, code, tx.Now, m.Counter); at != 0 {
				m.Counter = at
				used, amr = m, grant.AMROTP
			}
		case directory.MethodCodes:
			if c := spareOf(m); c.take(mac) {
				m.Counter++
				fill(m, c)
				used, amr = m, grant.AMRRecovery
			}
		case directory.MethodPass:
			if good(m, tx.Now, mac) {
				used, amr = m, passAMR(m)
			}
		}
	}
	if used == nil {
		return nil, "", wrongCode()
	}
	return used, amr, s.note(tx, used)
}

// note writes down that a method was used. A pass that was good once is gone by it,
// without a line: nothing that it has proven ends.
func (s *Service) note(tx *store.Tx, m *directory.Method) error {
	m.Used = tx.Now
	if m.Kind == directory.MethodPass && passOf(m).Once {
		return spendPass(tx, m)
	}
	return tx.UseMethod(m)
}

// prove runs f in a transaction on behalf of who is signed in; what it proves is
// noted on the session, under a new cookie value.
func (s *Service) prove(ctx context.Context, signed *signin.Signed, remember bool, f func(*store.Tx, *signin.Signed, []*directory.Method) (signin.Proof, error)) (*Proven, error) {
	if signed == nil || signed.Session == nil {
		return nil, fault.New(fault.Unauthenticated, "Sign in first.")
	}
	var p *Proven
	err := s.DB.Update(ctx, func(tx *store.Tx) error {
		p = &Proven{}
		tx.By(store.By{Actor: signed.Actor})
		now, all, err := s.again(tx, signed)
		if err != nil {
			return err
		}
		proof, err := f(tx, now, all)
		if err != nil {
			return err
		}
		if proof.Second.IsZero() {
			proof.Second = tx.Now
		} else {
			remember = false // what is remembered is not remembered for longer by that
		}
		if p.Signed, err = s.SignIn.Raise(tx, now, proof); err != nil {
			return err
		}
		// A pass and a recovery code are for getting in once more, not for weeks.
		spare := slices.ContainsFunc(proof.AMR, func(m string) bool { return m != grant.AMROTP && m != grant.AMRPasskey })
		if remember && s.Remember > 0 && !spare {
			p.Remember, p.Until, err = s.remember(tx, now.User.ID, proof)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	s.SignIn.Noted(nil, p.Signed, signin.Attempt{}, nil)
	s.log().Info("second factor", "outcome", "given", "amr", strings.Join(p.Session.AMR, "+"), "user", p.User.ID.String(), "session", p.Session.ID.String(), "request", signed.Actor.Request)
	return p, nil
}

// BeginAssertion begins to prove a second factor by passkey. Kinds: Unauthenticated,
// Revoked, NotFound (the person has none), Unavailable.
func (s *Service) BeginAssertion(ctx context.Context, signed *signin.Signed) (*Ceremony, error) {
	party, err := s.party()
	if err != nil {
		return nil, err
	}
	c := &Ceremony{}
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		now, all, err := s.again(tx, signed)
		if err != nil {
			return err
		}
		tx.By(store.By{Actor: now.Actor})
		o := ownerOf(now.User, all)
		if len(o.keys) == 0 {
			return fault.New(fault.NotFound, "You have no passkey here.")
		}
		request, web, err := party.BeginLogin(o)
		if err != nil {
			return err
		}
		return c.open(tx, assertion, now.User.ID, request.Response, errand{Session: now.Session.ID, Web: web})
	})
	return c.orNil(err)
}

// VerifyPasskey proves both factors anew in the session of signed; response is the
// toJSON of what the browser answered. Kinds: Unauthenticated with ErrPasskey,
// Revoked with *standing.Dead, Denied (the key seems copied), Unavailable.
func (s *Service) VerifyPasskey(ctx context.Context, signed *signin.Signed, ticket string, response []byte, remember bool) (*Proven, error) {
	if signed == nil || signed.Session == nil {
		return nil, fault.New(fault.Unauthenticated, "Sign in first.")
	}
	x, err := s.check(ctx, assertion, ticket, signed.Session.ID, "", response)
	if err != nil {
		s.SignIn.Noted(nil, signed, signin.Attempt{}, err)
		return nil, err
	}
	p, err := s.prove(ctx, signed, remember, func(tx *store.Tx, now *signin.Signed, _ []*directory.Method) (signin.Proof, error) {
		t, _, err := find(tx, assertion, ticket, now.Session.ID, "")
		if err != nil {
			return signin.Proof{}, err
		}
		if err := spend(tx, t); err != nil {
			return signin.Proof{}, err
		}
		return signin.Proof{AMR: []string{grant.AMRPasskey}, First: true}, x.accept(tx)
	})
	return p, s.alarm(ctx, x, signed.Actor.IP, signed.Actor.Request, err)
}

// BeginPasskeySignIn begins a sign-in by passkey alone, without a user name. browser
// is something that only this browser brings along, such as the value of a cookie.
// Kinds: Invalid (no browser), Limited, Conflict, Unavailable.
func (s *Service) BeginPasskeySignIn(ctx context.Context, browser, ip string) (*Ceremony, error) {
	if browser == "" {
		return nil, fault.New(fault.Invalid, "This browser keeps no cookies. A sign-in needs one.")
	}
	if err := s.SignIn.TryAddress(ip); err != nil {
		return nil, err
	}
	party, err := s.party()
	if err != nil {
		return nil, err
	}
	request, web, err := party.BeginDiscoverableLogin()
	if err != nil {
		return nil, err
	}
	c := &Ceremony{}
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		return c.open(tx, entrance, directory.UserID{}, request.Response, errand{Browser: bound(browser), Web: web})
	})
	return c.orNil(err)
}

// PasskeySignIn signs in whoever's passkey it is, with both factors. Name and
// password of a are not read. Kinds: Unauthenticated with ErrPasskey (an unknown
// passkey too), Revoked with *standing.Dead, Denied (the key seems copied), Limited,
// Unavailable.
func (s *Service) PasskeySignIn(ctx context.Context, ticket, browser string, response []byte, a signin.Attempt) (*signin.Signed, error) {
	if err := s.SignIn.TryAddress(a.IP); err != nil {
		return nil, err
	}
	x, err := s.check(ctx, entrance, ticket, directory.SessionID{}, browser, response)
	if err != nil {
		s.SignIn.Noted(nil, nil, a, err)
		return nil, err
	}
	signed, err := s.enter(ctx, a, func(tx *store.Tx) (signin.Proof, error) {
		t, _, err := find(tx, entrance, ticket, directory.SessionID{}, browser)
		if err != nil {
			return signin.Proof{}, err
		}
		if err := spend(tx, t); err != nil {
			return signin.Proof{}, err
		}
		return signin.Proof{User: x.method.User, AMR: []string{grant.AMRPasskey}, First: true, Second: tx.Now, Born: t.Born}, x.accept(tx)
	})
	if err != nil {
		s.SignIn.Noted(x.user, nil, a, err)
	}
	return signed, s.alarm(ctx, x, a.IP, a.Request, err)
}

// enter opens a session for whom f has proven, or proves the one that is here anew.
func (s *Service) enter(ctx context.Context, a signin.Attempt, f func(*store.Tx) (signin.Proof, error)) (*signin.Signed, error) {
	var in *signin.Entered
	err := s.DB.Update(ctx, func(tx *store.Tx) error {
		proof, err := f(tx)
		if err == nil {
			in, err = s.SignIn.Admit(tx, proof, a)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := s.SignIn.Left(ctx, in, a.Request); err != nil {
		return nil, err
	}
	return in.Signed, nil
}

// alarm says that a passkey seems copied, and returns the refusal.
func (s *Service) alarm(ctx context.Context, x *shown, ip, request string, refusal error) error {
	if !errors.Is(refusal, errCloned) {
		return refusal
	}
	now := time.Time{}
	err := s.DB.Update(ctx, func(tx *store.Tx) error {
		now = tx.Now
		tx.Audit(audit.Record{Action: "Passkey refused", Result: audit.Failure, Target: store.UserParty(x.user), IP: ip, Request: request,
			Elaborate: "The sign counter of " + words(x.method) + " went back: there may be a copy of it."})
		return nil
	})
	s.tell(Notice{User: x.user, What: Cloned, Method: words(x.method), IP: ip, At: now})
	return errors.Join(refusal, err)
}

const remembered = "remembered"

// memory is what a ticket of a remembered second factor holds.
type memory struct {
	AMR []string `json:"amr"`
	At  int64    `json:"at"` // when it was given, microseconds of Unix time
}

func (s *Service) remember(tx *store.Tx, user directory.UserID, p signin.Proof) (value string, until time.Time, err error) {
	doc, err := json.Marshal(memory{AMR: p.AMR, At: tx.Now.UnixMicro()})
	if err != nil {
		return "", until, err
	}
	value, hash := signin.NewSecret()
	until = tx.Now.Add(s.Remember)
	return value, until, tx.CreateTicket(&store.Ticket{Hash: hash, Kind: remembered, User: user, Expires: until, Doc: string(doc)})
}

// VerifyRemembered notes on the session of signed the second factor that this browser
// was given earlier, as of then: it counts as long as policy lets so old a proof count.
// Any cut of the person ends it. Kinds: Unauthenticated with ErrCode (it is not good,
// or somebody else's), Revoked, Unavailable.
func (s *Service) VerifyRemembered(ctx context.Context, signed *signin.Signed, value string) (*Proven, error) {
	return s.prove(ctx, signed, false, func(tx *store.Tx, now *signin.Signed, _ []*directory.Method) (p signin.Proof, err error) {
		not := fault.Wrap(fault.Unauthenticated, "This browser is not spared the second factor.", ErrCode)
		t, err := tx.Ticket(remembered, signin.HashSecret(value))
		if errors.Is(err, store.ErrNotFound) {
			return p, not
		}
		if err != nil {
			return p, err
		}
		cuts, err := tx.CutsAfter(directory.Belongs(t.User, directory.SessionID{}, directory.GrantID{}, "", directory.DeviceID{}), cutoff.Browser, t.Born)
		if err != nil {
			return p, err
		}
		var m memory
		at := time.Time{}
		if err := json.Unmarshal([]byte(t.Doc), &m); err == nil {
			at = time.UnixMicro(m.At).UTC()
		}
		// The setting counts as it is now: shortened, it shortens what was handed out.
		if s.Remember <= 0 || t.User != now.User.ID || !tx.Now.Before(t.Expires) || !tx.Now.Before(at.Add(s.Remember)) || len(cuts) > 0 {
			return p, not
		}
		return signin.Proof{AMR: m.AMR, Second: at}, nil
	})
}
