package factor

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/store"
)

// The bounds of a pass's life, as Entra has them, and the default.
const (
	LeastPass   = 10 * time.Minute
	LongestPass = 30 * 24 * time.Hour
	DefaultPass = time.Hour
)

// pass is what is stored of a temporary access pass.
type pass struct {
	MAC  []byte `json:"mac"`
	Once bool   `json:"once,omitempty"`
	By   string `json:"by,omitempty"` // who gave it
}

func passOf(m *directory.Method) pass { return read[pass](m) }

func passAMR(m *directory.Method) string {
	if passOf(m).Once {
		return grant.AMRPass
	}
	return grant.AMRPassMulti
}

// good reports whether this is the pass, and not over.
func good(m *directory.Method, now time.Time, mac []byte) bool {
	return subtle.ConstantTimeCompare(passOf(m).MAC, mac) == 1 && m.Live(now)
}

// spendPass deletes a pass that was good once. What it has proven goes on.
func spendPass(tx *store.Tx, m *directory.Method) error { return tx.ForgetMethod(m.ID) }

// PassWish is what a temporary access pass is to be.
type PassWish struct {
	Life time.Duration // zero: DefaultPass
	Once bool
}

// Pass is a new temporary access pass. Value is shown once.
type Pass struct {
	Method  Method
	Value   string
	Receipt *Receipt // of what ended, because another pass was replaced; nil: nothing
}

// IssuePass gives a person a temporary access pass, with which they can sign in and
// register methods: it stands for both factors. Another one that is still good is
// taken away by it. Kinds: Denied, NotFound, Invalid, Revoked, Unavailable.
func (s *Service) IssuePass(ctx context.Context, actor directory.Actor, ref string, wish PassWish, act manage.Act) (*Pass, error) {
	if wish.Life == 0 {
		wish.Life = DefaultPass
	}
	p := &Pass{Value: newCode()}
	receipt, err := s.write(ctx, actor, act, func(c *step) error {
		u, err := c.person(registersFor, role.CreateMethod, ref)
		if err != nil {
			return err
		}
		if wish.Life < LeastPass || wish.Life > LongestPass {
			return fault.New(fault.Invalid, "A temporary access pass lives for 10 minutes to 30 days.")
		}
		removed, cut, err := c.RemoveMethods(u.ID, store.UserChange{}, func(m *directory.Method) bool { return m.Kind == directory.MethodPass })
		if err != nil {
			return err
		}
		c.Cut = cut
		m := &directory.Method{ID: directory.NewID[directory.Method](c.Now), User: u.ID, Kind: directory.MethodPass, Name: kindWords[directory.MethodPass], Created: c.Now, Expires: c.Now.Add(wish.Life)}
		fill(m, pass{MAC: s.mac(u.ID, plain(p.Value)), Once: wish.Once, By: c.Actor.Name})
		line, err := c.AddMethod(m, store.UserChange{})
		if err != nil {
			return err
		}
		if c.Cut == nil {
			c.Cut = line
		}
		p.Method, c.user = view(m), u
		how := "many times"
		if wish.Once {
			how = "once"
		}
		for _, old := range removed {
			c.Audit(audit.Record{Action: deletesOf, Target: store.UserParty(u), Changes: []audit.Change{{Property: "AuthenticationMethod", Old: words(old)}}})
		}
		c.Audit(audit.Record{Action: registersFor, Target: store.UserParty(u), Changes: []audit.Change{{Property: "AuthenticationMethod", New: words(m)}, {Property: "Lifetime", New: wish.Life.String() + ", good " + how}}})
		c.Said = append(c.Said, fmt.Sprintf("Gives %s a temporary access pass, good %s for %s.", u.Name, how, wish.Life))
		return nil
	}, func(c *step) {
		s.tell(Notice{User: c.user, What: Added, Method: kindWords[directory.MethodPass], IP: actor.IP, At: c.Now})
	})
	if err != nil {
		return nil, err
	}
	if p.Receipt = receipt; act.DryRun {
		p.Value = ""
	}
	return p, nil
}

// PassSignIn signs somebody in with a.Username and a temporary access pass in
// a.Password, which stands for both factors. Kinds: Unauthenticated with
// signin.ErrPair (no such person, no pass, or not this one), Revoked with
// *standing.Dead, Limited with *signin.TooMany, Unavailable.
func (s *Service) PassSignIn(ctx context.Context, a signin.Attempt) (*signin.Signed, error) {
	wrong := func() error {
		return fault.Wrap(fault.Unauthenticated, "The user name or the pass is not right", signin.ErrPair)
	}
	code := plain(a.Password)
	u, giveBack, err := s.named(ctx, a)
	if err != nil {
		s.SignIn.Noted(u, nil, a, err)
		return nil, err
	}
	id := directory.UserID{}
	if u != nil {
		id = u.ID
	}
	// The same work for every name: a pass of nobody's is compared too.
	mac, none := s.mac(id, code), make([]byte, 32)
	rand.Read(none)
	match := func(tx *store.Tx) (m *directory.Method, err error) {
		all, err := tx.Methods(id)
		if err != nil {
			return nil, err
		}
		all = append(all, &directory.Method{Kind: directory.MethodPass, Doc: `{"mac":""}`})
		for _, x := range all {
			if x.Kind == directory.MethodPass && good(x, tx.Now, mac) && !x.User.IsZero() {
				m = x
			}
		}
		return m, nil
	}
	var m *directory.Method
	if err := s.DB.Read(ctx, func(tx *store.Tx) (err error) { m, err = match(tx); return err }); err != nil {
		giveBack()
		return nil, err
	}
	if m == nil {
		err := wrong()
		s.SignIn.Noted(u, nil, a, err)
		return nil, err
	}
	signed, err := s.enter(ctx, a, func(tx *store.Tx) (signin.Proof, error) {
		m, err := match(tx)
		if err != nil {
			return signin.Proof{}, err
		}
		if m == nil { // used by somebody else meanwhile
			return signin.Proof{}, wrong()
		}
		return signin.Proof{User: m.User, AMR: []string{passAMR(m)}, First: true, Second: tx.Now, Born: tx.Head}, s.note(tx, m)
	})
	if !errors.Is(err, signin.ErrPair) {
		giveBack()
	}
	if err != nil {
		s.SignIn.Noted(u, nil, a, err)
	}
	return signed, err
}

// named finds who a user name is, and counts the try.
func (s *Service) named(ctx context.Context, a signin.Attempt) (u *directory.User, giveBack func(), err error) {
	err = s.DB.Read(ctx, func(tx *store.Tx) (err error) {
		if u, err = signin.ByName(tx, a.Username); errors.Is(err, store.ErrNotFound) {
			u, err = nil, nil
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	giveBack, err = s.SignIn.Try(ctx, a.Username, a.IP, u)
	return u, giveBack, err
}
