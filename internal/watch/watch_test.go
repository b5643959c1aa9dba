package watch_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/risk"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/risks"
	"github.com/curfew-id/curfew/internal/store/storetest"
	"github.com/curfew-id/curfew/internal/watch"
)

type world struct {
	*storetest.World
	*watch.Service
	t *testing.T
}

func newWorld(t *testing.T, e storetest.Engine, on ...risk.Rule) *world {
	w := &world{World: storetest.NewWorld(t, e, store.Hooks{}), t: t}
	w.Service = &watch.Service{DB: w.World.DB, Now: w.Clock.Now}
	set := map[risk.Rule]bool{}
	for _, r := range on {
		set[r] = true
	}
	if err := w.SetRules(t.Context(), operator, set, manage.Act{}); err != nil {
		t.Fatal(err)
	}
	return w
}

var operator = directory.Actor{Operator: true, Name: "operator"}

// signIn is ada in a new session, an hour after whatever was before.
func (w *world) signIn(ip, agent string) *grant.Session {
	w.t.Helper()
	w.Clock.Add(time.Hour)
	now := w.Clock.Now()
	x := &grant.Session{ID: directory.NewID[directory.Session](now), User: w.Ada.ID, Created: now, LastUsed: now, AuthTime: now, AMR: []string{"pwd"}, IP: ip, Agent: agent}
	copy(x.Cookie[:], x.ID[:])
	w.Update(func(tx *store.Tx) error {
		if err := w.SignedIn(tx, x); err != nil {
			return err
		}
		return tx.CreateSession(x)
	})
	return x
}

func (w *world) risk(x *grant.Session) (signIn, account policy.Risk, changed bool) {
	w.t.Helper()
	w.Read(func(tx *store.Tx) (err error) {
		signIn, account, changed, err = w.Risk(tx, w.Ada.ID, x.ID)
		return err
	})
	return signIn, account, changed
}

func TestASignInIsLookedAtByRulesThatAreOn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		off := newWorld(t, e)
		off.signIn("192.0.2.1", "Firefox on Linux")
		if s, a, _ := off.risk(off.signIn("198.51.100.1", "Chrome on Windows")); s != 0 || a != policy.NoRisk {
			t.Errorf("every rule about sign-ins is off: the sign-in %v, the account %v", s, a)
		}
		w := newWorld(t, e, risk.NewNetwork, risk.NewProgram)
		for _, tt := range []struct {
			name, ip, agent string
			signIn, account policy.Risk
		}{
			{"the first", "192.0.2.1", "Firefox on Linux", policy.NoRisk, policy.NoRisk},
			{"as ever", "192.0.2.2", "Firefox on Linux", policy.NoRisk, policy.NoRisk},
			{"another network", "198.51.100.1", "Firefox on Linux", policy.LowRisk, policy.LowRisk},
			{"at home again", "192.0.2.2", "Firefox on Linux", policy.NoRisk, policy.LowRisk},
		} {
			if s, a, _ := w.risk(w.signIn(tt.ip, tt.agent)); s != tt.signIn || a != tt.account {
				t.Errorf("%s: the sign-in %v, the account %v", tt.name, s, a)
			}
		}
	})
}

func TestAnAddressThatFailedAtManyAccountsSprays(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, risk.PasswordSpray)
		fail := func(n int, ip string) {
			for i := range n {
				w.Failed(ip, fmt.Sprintf("person%d@contoso.example", i))
				w.Failed(ip, fmt.Sprintf("PERSON%d@contoso.example", i))
			}
		}
		at := func(ip string, want policy.Risk) {
			t.Helper()
			w.Clock.Add(-time.Hour) // signIn goes on by one
			if s, _, _ := w.risk(w.signIn(ip, "Firefox on Linux")); s != want {
				t.Errorf("%s: %v, want %v", ip, s, want)
			}
		}
		fail(risk.SprayAccounts-1, "192.0.2.1")
		at("192.0.2.1", policy.NoRisk)
		fail(risk.SprayAccounts, "192.0.2.1")
		at("192.0.2.2", policy.NoRisk)
		at("192.0.2.1", policy.MediumRisk)
		fail(risk.SprayAccounts, "2001:db8::1")
		at("2001:db8::2", policy.MediumRisk)
		w.Clock.Add(11 * time.Minute)
		at("192.0.2.1", policy.NoRisk)
	})
}

func TestReuseIsFoundByItselfAndNothingElseIs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		x := w.Session(w.Ada)
		g := w.Grant(x, true)
		found := func(r risk.Rule) {
			t.Helper()
			w.Update(func(tx *store.Tx) error { return w.Note(tx, r, g, "192.0.2.9", "A fact.") })
		}
		found(risk.TwoNetworks)
		if _, a, _ := w.risk(x); a != policy.NoRisk {
			t.Errorf("a rule that is off: %v", a)
		}
		found(risk.TokenReused)
		if s, a, changed := w.risk(x); s != 0 || a != policy.MediumRisk || changed {
			t.Errorf("reuse: %v %v %v", s, a, changed)
		}
		w.Clock.Add(time.Minute)
		w.Update(func(tx *store.Tx) error {
			_, err := tx.ChangeUser(w.Ada.ID, store.UserChange{}, func(u *directory.User) error {
				u.Password = directory.Credential{Hash: "another", Version: u.Password.Version + 1, Changed: w.Clock.Now()}
				return nil
			})
			return err
		})
		if _, a, changed := w.risk(x); a != policy.MediumRisk || !changed {
			t.Errorf("after a new password: %v, changed %v", a, changed)
		}
		w.Clock.Add(time.Minute)
		found(risk.TokenReused)
		if _, _, changed := w.risk(x); changed {
			t.Error("a password from before the newest finding counts")
		}
		if err := w.SetRules(t.Context(), operator, map[risk.Rule]bool{risk.TokenReused: false}, manage.Act{}); err != nil {
			t.Fatal(err)
		}
		if _, a, _ := w.risk(w.Session(w.Ada)); a != policy.MediumRisk {
			t.Errorf("what was found went with its rule: %v", a)
		}
		if err := w.Dismiss(t.Context(), operator, w.Ada.ID, manage.Act{}); err != nil {
			t.Fatal(err)
		}
		if _, a, _ := w.risk(x); a != 0 {
			t.Errorf("no rule is on: the risk is %v, want not known", a)
		}
	})
}

func TestAnAdministratorConfirmsAndDismisses(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		ctx, x := t.Context(), w.Session(w.Ada)
		said := []string{}
		if err := w.Confirm(ctx, operator, w.Ada.ID, manage.Act{DryRun: true, Effects: &said}); err != nil || len(said) != 1 {
			t.Fatal(err, said)
		}
		if _, a, _ := w.risk(x); a != policy.NoRisk {
			t.Errorf("a dry run: %v", a)
		}
		if err := w.Confirm(ctx, operator, w.Ada.ID, manage.Act{Reason: "she called"}); err != nil {
			t.Fatal(err)
		}
		u, err := w.User(ctx, operator, w.Ada.ID)
		if _, a, _ := w.risk(x); err != nil || a != policy.HighRisk || u.Level != policy.HighRisk || u.State.State != risks.Compromised || u.Name != w.Ada.Name {
			t.Errorf("confirmed: %v %+v %v", a, u, err)
		}
		if err := w.Dismiss(ctx, operator, w.Ada.ID, manage.Act{}); err != nil {
			t.Fatal(err)
		}
		all, _, err := w.Users(ctx, operator, watch.Query{}, directory.UserID{})
		if err != nil || len(all) != 1 || all[0].Level != policy.NoRisk || all[0].State.State != risks.Dismissed {
			t.Errorf("%+v %v", all, err)
		}
		found, _, err := w.History(ctx, operator, w.Ada.ID, watch.DetectionID{})
		if err != nil || len(found) != 2 {
			t.Errorf("%+v %v", found, err)
		}
		if err := w.Confirm(ctx, operator, directory.UserID{7}, manage.Act{}); !fault.Is(err, fault.NotFound) {
			t.Errorf("nobody: %v", err)
		}
		if err := w.SetRules(ctx, operator, map[risk.Rule]bool{"magic": true}, manage.Act{}); !fault.Is(err, fault.Invalid) {
			t.Errorf("a rule that is none: %v", err)
		}
	})
}

// Whether a risk is known hangs on the rules, and so do policies about it.
func TestSwitchingARuleHasEverythingJudgedAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		head := func() (p cutoff.Pos) {
			w.Read(func(tx *store.Tx) error { p = tx.Head; return nil })
			return p
		}
		for i, tt := range []struct{ on, line bool }{{true, true}, {true, false}, {false, true}} {
			before := head()
			if err := w.SetRules(t.Context(), operator, map[risk.Rule]bool{risk.NewNetwork: tt.on}, manage.Act{}); err != nil {
				t.Fatal(err)
			}
			if (head() > before) != tt.line {
				t.Errorf("%d: from %d to %d", i, before, head())
			}
		}
	})
}

func TestWhoHoldsNothingSeesAndChangesNoRisk(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		ctx, s := t.Context(), w.Session(w.Ada)
		ada := directory.Actor{User: w.Ada.ID, Name: w.Ada.Name, Born: s.Born, Owner: s.Owner(), Kind: cutoff.Browser, Session: s.ID, AuthTime: s.AuthTime}
		for name, do := range map[string]func() error{
			"Rules":    func() error { _, err := w.Rules(ctx, ada); return err },
			"SetRules": func() error { return w.SetRules(ctx, ada, map[risk.Rule]bool{risk.TokenReused: false}, manage.Act{}) },
			"Users":    func() error { _, _, err := w.Users(ctx, ada, watch.Query{}, directory.UserID{}); return err },
			"User":     func() error { _, err := w.User(ctx, ada, w.Ada.ID); return err },
			"Detections": func() error {
				_, _, err := w.Detections(ctx, ada, watch.Query{}, watch.DetectionID{})
				return err
			},
			"Confirm": func() error { return w.Confirm(ctx, ada, w.Grace.ID, manage.Act{}) },
			"Dismiss": func() error { return w.Dismiss(ctx, ada, w.Ada.ID, manage.Act{}) },
		} {
			if err := do(); !fault.Is(err, fault.Denied) {
				t.Errorf("%s: %v", name, err)
			}
		}
		w.Read(func(tx *store.Tx) error {
			rules, err := risks.Rules(tx)
			if !rules.On(risk.TokenReused) {
				t.Error("a refused order was carried out")
			}
			return err
		})
	})
}
