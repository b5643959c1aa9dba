package factor

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
)

func TestRecoveryCodesAreGoodOnceAndUntilTheyAreReplaced(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		ada := h.person("ada")
		in := h.signIn("ada")
		done, err := h.MakeCodes(ctx, in)
		h.must(err)
		codes := done.Codes
		if len(codes) != recoveryCodes || done.Cookie != "" || done.Method.Left != recoveryCodes {
			t.Fatalf("%+v", done)
		}
		for _, c := range codes {
			if len(c) != 14 || strings.Trim(c, alphabet+"-") != "" || strings.Count(c, "-") != 2 {
				t.Errorf("the code %q", c)
			}
		}
		if slices.Sort(codes); len(slices.Compact(slices.Clone(codes))) != recoveryCodes {
			t.Error("codes repeat")
		}
		h.must(h.DB.Read(ctx, func(tx *store.Tx) error {
			all, err := tx.Methods(ada.User)
			for _, c := range codes {
				if strings.Contains(all[0].Doc, c) || strings.Contains(all[0].Doc, plain(c)) {
					t.Error("a code is stored as it is")
				}
			}
			return err
		}))
		there := h.signIn("ada")
		p, err := h.VerifyCode(ctx, there, strings.ToUpper(strings.ReplaceAll(codes[3], "-", " ")), true)
		h.must(err)
		if p.Left != recoveryCodes-1 || p.Remember != "" || strings.Join(p.Session.AMR, " ") != "pwd rc" {
			t.Errorf("%+v %v", p, p.Session.AMR)
		}
		if n := h.told[len(h.told)-1]; n.What != CodeSpent || n.Left != recoveryCodes-1 {
			t.Errorf("told %+v", n)
		}
		_, err = h.VerifyCode(ctx, h.signIn("ada"), codes[3], false)
		want(t, err, fault.Unauthenticated, ErrCode)
		// Somebody else's code is nobody's here.
		h.person("bob")
		_, err = h.VerifyCode(ctx, h.signIn("bob"), codes[4], false)
		want(t, err, fault.Unauthenticated, ErrCode)

		// Replacing them takes proof with one of them, and ends the others.
		_, err = h.MakeCodes(ctx, in)
		wantProve(t, err, true)
		there = h.at(p.Cookie)
		halfDone, err := h.BeginTOTP(ctx, there)
		h.must(err)
		done, err = h.MakeCodes(ctx, there)
		h.must(err)
		if done.Cookie == "" || done.Over || h.live(p.Cookie) || !h.live(done.Cookie) || h.live(in.Cookie) || done.Receipt == nil || done.Receipt.Cause != standing.MethodRemoved {
			t.Errorf("%+v, the sessions live %v %v %v", done, h.live(p.Cookie), h.live(done.Cookie), h.live(in.Cookie))
		}
		// What was half-done in this session before is over, although the session lives.
		if _, err := h.FinishTOTP(ctx, h.at(done.Cookie), halfDone.Ticket, "000000", ""); !isDead(err, standing.MethodRemoved) {
			t.Errorf("a registration begun before the cut goes on: %v", err)
		}
		_, err = h.VerifyCode(ctx, h.signIn("ada"), codes[5], false)
		want(t, err, fault.Unauthenticated, ErrCode)
		_, err = h.VerifyCode(ctx, h.signIn("ada"), done.Codes[5], false)
		h.must(err)
	})
}

func TestWhatIsRegisteredIsWhatCanBeGiven(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		anna := h.person("anna", role.AuthenticationAdministrator)
		ada := h.person("ada")
		registered := func() (m policy.Methods) {
			h.must(h.DB.Read(ctx, func(tx *store.Tx) (err error) { m, err = Registered(tx, ada.User); return err }))
			return m
		}
		want := policy.Password.Set()
		check := func(what string, more policy.Methods) {
			t.Helper()
			if want |= more; registered() != want {
				t.Errorf("%s: %b, want %b", what, registered(), want)
			}
		}
		check("nothing", 0)
		in := h.signIn("ada")
		h.app(in)
		check("an app", policy.SoftwareOTP.Set())
		p, err := h.IssuePass(ctx, anna, "ada@contoso.example", PassWish{}, manage.Act{})
		h.must(err)
		check("a pass", policy.PassMulti.Set())
		got, err := h.PassSignIn(ctx, signin.Attempt{Username: "ada@contoso.example", Password: p.Value})
		h.must(err)
		h.passkey(h.at(got.Cookie))
		check("a passkey", policy.Passkey.Set())
		_, err = h.MakeCodes(ctx, h.at(got.Cookie))
		h.must(err)
		check("codes", policy.RecoveryCode.Set())
		_, err = h.IssuePass(ctx, anna, "ada@contoso.example", PassWish{Once: true}, manage.Act{})
		h.must(err)
		want &^= policy.PassMulti.Set()
		check("a pass for once", policy.PassOnce.Set())
		h.clock.add(DefaultPass)
		want &^= policy.PassOnce.Set()
		check("a pass that is over", 0)
		bob := h.person("bob")
		b := h.signIn("bob")
		done, err := h.MakeCodes(ctx, b)
		h.must(err)
		for _, c := range done.Codes {
			p, err := h.VerifyCode(ctx, b, c, false)
			h.must(err)
			b = h.at(p.Cookie)
		}
		h.clock.add(time.Hour)
		ada, want = bob, policy.Password.Set()
		check("codes that are used up", 0)
		// Who has nothing left to give registers as somebody who never had anything.
		if w, err := h.Ways(ctx, h.signIn("bob")); err != nil || w.Any() {
			t.Errorf("%+v %v", w, err)
		}
		h.app(h.signIn("bob"))
	})
}

func TestRegisteringTakesAFreshProof(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		h.person("ada")
		in := h.signIn("ada")
		h.clock.add(fresh + time.Second)
		begin := func(in *signin.Signed) (errs []error) {
			_, a := h.BeginTOTP(ctx, in)
			_, b := h.BeginPasskey(ctx, in)
			_, c := h.MakeCodes(ctx, in)
			return []error{a, b, c}
		}
		for _, err := range begin(in) {
			wantProve(t, err, false)
		}
		in = h.signIn("ada")
		n, err := h.BeginTOTP(ctx, in)
		h.must(err)
		key := h.app(in) // in another tab
		for _, err := range append(begin(in), func() error {
			_, err := h.Remove(ctx, in, directory.NewID[directory.Method](h.clock.now()))
			return err
		}()) {
			wantProve(t, err, true)
		}
		// What was begun while there was no method needs one now.
		_, err = h.FinishTOTP(ctx, in, n.Ticket, "000000", "")
		wantProve(t, err, true)
		// A page may lie open for as long as its ticket lives.
		p, err := h.VerifyCode(ctx, in, h.code(key), false)
		h.must(err)
		in = h.at(p.Cookie)
		h.clock.add(fresh - time.Second)
		c, err := h.BeginPasskey(ctx, in)
		h.must(err)
		h.clock.add(life - time.Second)
		a := newAuthenticator(t)
		_, err = h.FinishPasskey(ctx, in, c.Ticket, a.create(c), "")
		h.must(err)
		_, err = h.BeginPasskey(ctx, in)
		wantProve(t, err, true)
		// Policy is asked too, at the beginning and at the end.
		got, err := h.enter(a)
		h.must(err)
		no := errors.New("policy says no")
		c, err = h.BeginPasskey(ctx, got)
		h.must(err)
		h.Judge = func(*store.Tx, *signin.Signed) error { return fault.Wrap(fault.Denied, "Not here.", no) }
		_, err = h.FinishPasskey(ctx, got, c.Ticket, newAuthenticator(t).create(c), "")
		want(t, err, fault.Denied, no)
		for _, err := range begin(got) {
			want(t, err, fault.Denied, no)
		}
	})
}

func TestRemovingOnesOwnMethodEndsEverythingElse(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		ada := h.person("ada")
		key := h.app(h.signIn("ada"))
		elsewhere := h.signIn("ada")
		p, err := h.VerifyCode(ctx, h.signIn("ada"), h.code(key), false)
		h.must(err)
		in := h.at(p.Cookie)
		s, err := h.Own(ctx, in)
		h.must(err)
		h.must(h.Rename(ctx, in, s.Methods[0].ID, "Old phone"))
		want(t, h.Rename(ctx, in, s.Methods[0].ID, " \n "), fault.Invalid, nil)
		want(t, h.Rename(ctx, in, s.Methods[0].ID, strings.Repeat("é", maxName+1)), fault.Invalid, nil)
		_, err = h.Remove(ctx, in, directory.NewID[directory.Method](h.clock.now()))
		want(t, err, fault.NotFound, nil)
		done, err := h.Remove(ctx, in, s.Methods[0].ID)
		h.must(err)
		if done.Method.Name != "Old phone" || done.Cookie == "" || done.Cookie == p.Cookie || h.live(p.Cookie) || !h.live(done.Cookie) || h.live(elsewhere.Cookie) || done.Receipt == nil {
			t.Errorf("%+v", done)
		}
		if got := h.actions(ada); got[len(got)-1] != "User deleted security info" {
			t.Errorf("the audit log says %v", got)
		}
		if n := h.told[len(h.told)-1]; n.What != Removed || n.Method != "authenticator app “Old phone”" {
			t.Errorf("told %+v", n)
		}
		// Somebody else's is not there.
		h.person("bob")
		bob := h.signIn("bob")
		h.passkey(bob)
		b, err := h.Own(ctx, bob)
		h.must(err)
		_, err = h.Remove(ctx, h.at(done.Cookie), b.Methods[0].ID)
		want(t, err, fault.NotFound, nil)
	})
}

func TestChangesOfMethodsArePaced(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.person("ada")
		in := h.signIn("ada")
		a := h.passkey(in)
		in, err := h.enter(a)
		h.must(err)
		limited := false
		for range 30 {
			done, err := h.MakeCodes(t.Context(), in)
			if fault.Is(err, fault.Limited) {
				var x *revoke.TooMany
				limited = errors.As(err, &x)
				break
			}
			h.must(err)
			if done.Cookie != "" {
				in = h.at(done.Cookie)
			}
		}
		if !limited {
			t.Error("each change appends a line, and nobody counts them")
		}
	})
}

func TestARememberedSecondFactorIsSparedUntilACut(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		ada := h.person("ada")
		key := h.app(h.signIn("ada"))
		p, err := h.VerifyCode(ctx, h.signIn("ada"), h.code(key), true)
		h.must(err)
		if p.Remember != "" {
			t.Error("remembered although the setting is off")
		}
		h.Remember = 30 * 24 * time.Hour
		p, err = h.VerifyCode(ctx, h.signIn("ada"), h.code(key), true)
		h.must(err)
		given := h.clock.now()
		if p.Remember == "" || !p.Until.Equal(given.Add(h.Remember)) {
			t.Fatalf("%+v", p)
		}
		h.clock.add(24 * time.Hour)
		in := h.signIn("ada")
		q, err := h.VerifyRemembered(ctx, in, p.Remember)
		h.must(err)
		x := h.at(q.Cookie).Session
		if !x.SecondTime.Equal(given) || strings.Join(x.AMR, " ") != "pwd otp" || q.Remember != "" || h.live(in.Cookie) || !x.AuthTime.Equal(h.clock.now()) {
			t.Errorf("%+v", x)
		}
		// It is old: it does not open the page of methods.
		s, err := h.Own(ctx, h.at(q.Cookie))
		h.must(err)
		wantProve(t, s.Change, true)
		h.person("bob")
		for what, err := range map[string]error{
			"somebody else's": func() error { _, err := h.VerifyRemembered(ctx, h.signIn("bob"), p.Remember); return err }(),
			"nobody's":        func() error { _, err := h.VerifyRemembered(ctx, h.signIn("ada"), "x"); return err }(),
		} {
			if !errors.Is(err, ErrCode) {
				t.Errorf("%s: %v", what, err)
			}
		}
		h.Remember = time.Hour // shortened
		_, err = h.VerifyRemembered(ctx, h.signIn("ada"), p.Remember)
		want(t, err, fault.Unauthenticated, ErrCode)
		h.Remember = 30 * 24 * time.Hour
		_, err = h.VerifyRemembered(ctx, h.signIn("ada"), p.Remember)
		h.must(err)
		h.must(h.DB.Update(ctx, func(tx *store.Tx) error {
			_, _, err := tx.RevokeUser(ada.User, directory.SessionID{}, [32]byte{})
			return err
		}))
		_, err = h.VerifyRemembered(ctx, h.signIn("ada"), p.Remember)
		want(t, err, fault.Unauthenticated, ErrCode)
		// And by its time.
		p, err = h.VerifyCode(ctx, h.signIn("ada"), h.code(key), true)
		h.must(err)
		h.clock.add(h.Remember)
		_, err = h.VerifyRemembered(ctx, h.signIn("ada"), p.Remember)
		want(t, err, fault.Unauthenticated, ErrCode)
	})
}
