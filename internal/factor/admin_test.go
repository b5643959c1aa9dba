package factor

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
)

func TestAPassIsBothFactors(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		ada := h.person("ada")
		anna := h.person("anna", role.AuthenticationAdministrator)
		in := h.signIn("ada")
		p, err := h.IssuePass(ctx, anna, "ada@contoso.example", PassWish{Once: true}, manage.Act{})
		h.must(err)
		if !p.Method.Once || !p.Method.Expires.Equal(h.clock.now().Add(DefaultPass)) || p.Receipt != nil || len(plain(p.Value)) != codeLetters || !h.live(in.Cookie) {
			t.Errorf("%+v", p)
		}
		// Who was given one has to use it.
		_, err = h.BeginTOTP(ctx, in)
		wantProve(t, err, true)
		try := func(name, value string) (*signin.Signed, error) {
			return h.PassSignIn(ctx, signin.Attempt{Username: name + "@contoso.example", Password: value, IP: ordinary})
		}
		said := map[string]bool{}
		for _, x := range [][2]string{{"ada", "wrong"}, {"ada", ""}, {"anna", p.Value}, {"nobody", p.Value}, {"ada", p.Value + "x"}} {
			_, err := try(x[0], x[1])
			want(t, err, fault.Unauthenticated, signin.ErrPair)
			said[fault.Public(err)] = true
		}
		if len(said) != 1 {
			t.Errorf("the answers differ: %v", said)
		}
		got, err := try("ada", strings.ToUpper(p.Value))
		h.must(err)
		x := h.at(got.Cookie).Session
		if x.User != ada.User || strings.Join(x.AMR, " ") != "tap" || !x.SecondTime.Equal(h.clock.now()) {
			t.Errorf("%+v", x)
		}
		_, err = try("ada", p.Value)
		want(t, err, fault.Unauthenticated, signin.ErrPair)
		if !h.live(got.Cookie) || !h.live(in.Cookie) {
			t.Error("using a pass up ends something")
		}
		h.passkey(h.at(got.Cookie)) // which is what it is for

		// One that is good many times, also as a second factor.
		p, err = h.IssuePass(ctx, anna, "ada@contoso.example", PassWish{Life: time.Hour}, manage.Act{})
		h.must(err)
		for range 3 {
			got, err = try("ada", p.Value)
			h.must(err)
		}
		q, err := h.VerifyCode(ctx, h.signIn("ada"), p.Value, false)
		h.must(err)
		if strings.Join(q.Session.AMR, " ") != "pwd tapm" || strings.Join(got.Session.AMR, " ") != "tapm" {
			t.Errorf("%v %v", q.Session.AMR, got.Session.AMR)
		}
		// A new one takes the old one's place, and ends what came by it.
		p2, err := h.IssuePass(ctx, anna, "ada@contoso.example", PassWish{}, manage.Act{Reason: "lost"})
		h.must(err)
		if p2.Receipt == nil || p2.Receipt.Cause != standing.MethodReset || h.live(got.Cookie) {
			t.Errorf("%+v, what the old pass opened lives: %v", p2.Receipt, h.live(got.Cookie))
		}
		_, err = try("ada", p.Value)
		want(t, err, fault.Unauthenticated, signin.ErrPair)
		h.clock.add(DefaultPass)
		_, err = try("ada", p2.Value)
		want(t, err, fault.Unauthenticated, signin.ErrPair)
		if got := h.actions(ada); strings.Count(strings.Join(got, ","), "Admin registered security info") != 3 {
			t.Errorf("the audit log says %v", got)
		}
	})
}

func TestAPassOnceIsUsedByWhoeverComesFirst(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.person("ada")
		anna := h.person("anna", role.AuthenticationAdministrator)
		p, err := h.IssuePass(t.Context(), anna, "ada@contoso.example", PassWish{Once: true}, manage.Act{})
		h.must(err)
		var wg sync.WaitGroup
		var mu sync.Mutex
		right := 0
		for i := range 5 {
			wg.Go(func() {
				_, err := h.PassSignIn(t.Context(), signin.Attempt{Username: "ada@contoso.example", Password: p.Value, IP: fmt.Sprintf("192.0.2.%d", i)})
				if err == nil {
					mu.Lock()
					right++
					mu.Unlock()
				} else if !errors.Is(err, signin.ErrPair) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if right != 1 {
			t.Errorf("a pass that is good once was good %d times", right)
		}
	})
}

func TestAPassLivesAsLongAsEntraLetsIt(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.person("ada")
		anna := h.person("anna", role.AuthenticationAdministrator)
		for life, ok := range map[time.Duration]bool{time.Minute: false, LeastPass - 1: false, LeastPass: true, LongestPass: true, LongestPass + 1: false, -time.Hour: false} {
			if _, err := h.IssuePass(t.Context(), anna, "ada@contoso.example", PassWish{Life: life}, manage.Act{}); (err == nil) != ok || err != nil && !fault.Is(err, fault.Invalid) {
				t.Errorf("%v: %v", life, err)
			}
		}
	})
}

func TestWhatAnAdministratorTakesAwayEndsEverything(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		ada := h.person("ada")
		anna := h.person("anna", role.AuthenticationAdministrator)
		in := h.signIn("ada")
		h.app(in)
		p, err := h.Methods(ctx, anna, "ada@contoso.example")
		h.must(err)
		if len(p.Methods) != 1 || p.User.ID != ada.User || p.User.Password.Hash != "" {
			t.Fatalf("%+v", p)
		}
		id := p.Methods[0].ID
		var said []string
		_, err = h.RemoveOf(ctx, anna, ada.User.String(), "", id, manage.Act{DryRun: true, Effects: &said})
		h.must(err)
		if len(said) != 1 || !h.live(in.Cookie) {
			t.Errorf("a dry run: %v, the session lives %v", said, h.live(in.Cookie))
		}
		_, err = h.RemoveOf(ctx, anna, "ada@contoso.example", "", directory.NewID[directory.Method](h.clock.now()), manage.Act{})
		want(t, err, fault.NotFound, nil)
		_, err = h.RemoveOf(ctx, anna, "ada@contoso.example", directory.MethodPasskey, id, manage.Act{})
		want(t, err, fault.NotFound, nil)
		r, err := h.RemoveOf(ctx, anna, "ada@contoso.example", directory.MethodTOTP, id, manage.Act{Reason: "stolen phone"})
		h.must(err)
		if r == nil || r.Cause != standing.MethodReset || h.live(in.Cookie) {
			t.Errorf("%+v", r)
		}
		a := h.passkey(h.signIn("ada"))
		got, err := h.enter(a)
		h.must(err)
		_, err = h.MakeCodes(ctx, got)
		h.must(err)
		_, err = h.Reset(ctx, anna, "ada@contoso.example", manage.Act{})
		h.must(err)
		if h.live(got.Cookie) {
			t.Error("a session outlives the reset of its methods")
		}
		_, err = h.enter(a)
		want(t, err, fault.Unauthenticated, ErrPasskey)
		_, err = h.Reset(ctx, anna, "ada@contoso.example", manage.Act{})
		want(t, err, fault.NotFound, nil)
		acts := strings.Join(h.actions(ada), ",")
		if strings.Count(acts, "Admin deleted security info") != 3 {
			t.Errorf("the audit log says %v", acts)
		}
	})
}

func TestWhoMayDoWhatToWhose(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		ada := h.person("ada")
		h.person("grace", role.GlobalAdministrator)
		anna := h.person("anna", role.AuthenticationAdministrator)
		paula := h.person("paula", role.PrivilegedAuthAdministrator)
		ursula := h.person("ursula", role.UserAdministrator)
		h.app(h.signIn("ada"))
		h.app(h.signIn("grace"))
		all := func(actor directory.Actor, ref string) map[string]error {
			_, a := h.IssuePass(ctx, actor, ref, PassWish{}, manage.Act{DryRun: true})
			_, b := h.Reset(ctx, actor, ref, manage.Act{DryRun: true})
			p, err := h.Methods(ctx, h.person("g"+directory.NewID[directory.User](h.clock.now()).String(), role.GlobalReader), ref)
			h.must(err)
			_, c := h.RemoveOf(ctx, actor, ref, "", p.Methods[0].ID, manage.Act{DryRun: true})
			return map[string]error{"pass": a, "reset": b, "remove": c}
		}
		for _, x := range []struct {
			actor directory.Actor
			ref   string
			says  string // empty: may
		}{
			{anna, "ada@contoso.example", ""}, {paula, "ada@contoso.example", ""}, {paula, "grace@contoso.example", ""},
			{anna, "grace@contoso.example", "Privileged Authentication Administrator or Global Administrator"},
			{ursula, "ada@contoso.example", "Authentication Administrator"},
			{ada, "grace@contoso.example", "you need"}, {ada, "ada@contoso.example", "account page"},
			{directory.Actor{App: "x", AppOnly: true, Name: "x", Scopes: []string{"User.ReadWrite.All"}, Born: 1 << 50}, "ada@contoso.example", "UserAuthenticationMethod.ReadWrite.All"},
			{directory.Actor{App: "x", AppOnly: true, Name: "x", Scopes: []string{"UserAuthenticationMethod.ReadWrite.All"}, Born: 1 << 50}, "grace@contoso.example", "RoleManagement.ReadWrite.Directory"},
		} {
			for what, err := range all(x.actor, x.ref) {
				if (x.says == "") != (err == nil) || err != nil && (!fault.Is(err, fault.Denied) || !strings.Contains(fault.Public(err), x.says)) {
					t.Errorf("%s of %s by %s: %v", what, x.ref, x.actor.Name, err)
				}
			}
		}
		// A refusal that was no dry run is written down.
		_, err := h.Reset(ctx, ursula, "ada@contoso.example", manage.Act{})
		want(t, err, fault.Denied, nil)
		if got := h.actions(ada); got[len(got)-1] != "Admin deleted security info refused" {
			t.Errorf("the audit log says %v", got)
		}
	})
}

// Every method of the verb that takes an actor refuses one who may nothing, and every
// one that takes somebody signed in refuses nobody and who was cut.
func TestWhoeverMayNothingIsRefusedEverything(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		h.person("ada")
		bob := h.person("bob")
		in := h.signIn("ada")
		h.app(in)
		cut := *h.signIn("bob")
		h.must(h.DB.Update(ctx, func(tx *store.Tx) error {
			_, _, err := tx.RevokeUser(bob.User, directory.SessionID{}, [32]byte{})
			return err
		}))
		anybody := map[string]bool{"BeginPasskeySignIn": true, "PasskeySignIn": true, "PassSignIn": true}
		v := reflect.ValueOf(h.Service)
		for i := range v.NumMethod() {
			m := v.Type().Method(i)
			if anybody[m.Name] {
				continue
			}
			f := v.Method(i)
			call := func(who any) error {
				args := []reflect.Value{reflect.ValueOf(ctx), reflect.ValueOf(who)}
				for n := 2; n < f.Type().NumIn(); n++ {
					a := reflect.New(f.Type().In(n)).Elem()
					if n == 2 && a.Kind() == reflect.String {
						a.SetString("ada@contoso.example")
					}
					args = append(args, a)
				}
				out := f.Call(args)
				err, _ := out[len(out)-1].Interface().(error)
				return err
			}
			switch f.Type().In(1) {
			case reflect.TypeFor[directory.Actor]():
				for _, who := range []directory.Actor{{}, bob} {
					if err := call(who); !fault.Is(err, fault.Denied) {
						t.Errorf("%s by %+v: %v", m.Name, who.Name, err)
					}
				}
			case reflect.TypeFor[*signin.Signed]():
				for what, who := range map[string]*signin.Signed{"nobody": nil, "no session": {}, "who was cut": &cut} {
					if err := call(who); !fault.Is(err, fault.Unauthenticated) && !fault.Is(err, fault.Revoked) && !fault.Is(err, fault.Invalid) {
						t.Errorf("%s by %s: %v", m.Name, what, err)
					}
				}
			default:
				t.Errorf("%s takes neither an actor nor somebody signed in", m.Name)
			}
		}
	})
}

// A pass is there before and after; what it opens is for accounts that can sign in.
func TestAPassOpensNothingForWhoIsDisabled(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		ada := h.person("ada")
		anna := h.person("anna", role.AuthenticationAdministrator)
		p, err := h.IssuePass(t.Context(), anna, "ada@contoso.example", PassWish{}, manage.Act{})
		h.must(err)
		enable := func(on bool) {
			t.Helper()
			h.must(h.DB.Update(t.Context(), func(tx *store.Tx) error {
				_, err := tx.ChangeUser(ada.User, store.UserChange{}, func(u *directory.User) error { u.Enabled = on; return nil })
				return err
			}))
		}
		try := func() (*signin.Signed, error) {
			return h.PassSignIn(t.Context(), signin.Attempt{Username: "ada@contoso.example", Password: p.Value, IP: ordinary})
		}
		got, err := try()
		h.must(err)
		enable(false)
		if _, err := try(); !fault.Is(err, fault.Revoked) || h.live(got.Cookie) {
			t.Errorf("disabled: %v, the session before lives: %v", err, h.live(got.Cookie))
		}
		enable(true)
		again, err := try()
		h.must(err)
		if h.live(got.Cookie) || !h.live(again.Cookie) {
			t.Error("what was ended came back, or what is new does not live")
		}
	})
}
