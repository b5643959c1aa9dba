package factor

import (
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// enter signs in by passkey alone.
func (h *house) enter(a *authenticator, tweak ...func(*Ceremony)) (*signin.Signed, error) {
	h.t.Helper()
	c, err := h.BeginPasskeySignIn(h.t.Context(), "browser", ordinary)
	h.must(err)
	response := a.get(c)
	for _, f := range tweak {
		f(c)
	}
	return h.PasskeySignIn(h.t.Context(), c.Ticket, "browser", response, signin.Attempt{IP: ordinary})
}

func TestAPasskeyIsASignInByItself(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		ada := h.person("ada")
		in := h.signIn("ada")
		c, err := h.BeginPasskey(ctx, in)
		h.must(err)
		a := newAuthenticator(t)
		o := a.options(c)
		if o.RP.ID != "id.contoso.example" || o.Attestation != "none" || o.AuthenticatorSelection.ResidentKey != "required" || o.AuthenticatorSelection.UserVerification != "required" || len(o.Challenge) < 22 {
			t.Errorf("the ceremony asks %s", c.Options)
		}
		if string(read64(t, o.User.ID)) != string(ada.User[:]) {
			t.Errorf("the user handle is %q", o.User.ID)
		}
		done, err := h.FinishPasskey(ctx, in, c.Ticket, a.create(c), "")
		h.must(err)
		if done.Method.Name != "Passkey" || done.Cookie != "" || done.Receipt != nil || !h.live(in.Cookie) {
			t.Errorf("%+v", done)
		}
		got, err := h.enter(a)
		h.must(err)
		x := h.at(got.Cookie).Session
		if x.User != ada.User || strings.Join(x.AMR, " ") != grant.AMRPasskey || !x.SecondTime.Equal(h.clock.now()) || !x.AuthTime.Equal(h.clock.now()) {
			t.Errorf("%+v", x)
		}
		// The next key is not the one that is there.
		c, err = h.BeginPasskey(ctx, h.at(got.Cookie))
		h.must(err)
		if o := a.options(c); len(o.Exclude) != 1 || o.Exclude[0].ID != b64(a.id) {
			t.Errorf("excluded are %v", o.Exclude)
		}
		_, err = h.FinishPasskey(ctx, h.at(got.Cookie), c.Ticket, a.create(c), "")
		want(t, err, fault.Conflict, store.ErrDuplicate)
	})
}

func TestAPasskeyProvesASecondFactor(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		h.person("ada")
		a := h.passkey(h.signIn("ada"))
		in := h.signIn("ada")
		h.clock.add(time.Hour)
		c, err := h.BeginAssertion(ctx, in)
		h.must(err)
		if o := a.options(c); len(o.AllowCredentials) != 1 || o.AllowCredentials[0].ID != b64(a.id) || o.UserVerification != "required" || o.RPID != "id.contoso.example" {
			t.Errorf("the ceremony asks %s", c.Options)
		}
		response := a.get(c)
		p, err := h.VerifyPasskey(ctx, in, c.Ticket, response, false)
		h.must(err)
		x := h.at(p.Cookie).Session
		if strings.Join(x.AMR, " ") != "pwd fido" || !x.SecondTime.Equal(h.clock.now()) || !x.AuthTime.Equal(h.clock.now()) || h.live(in.Cookie) {
			t.Errorf("%+v", x)
		}
		_, err = h.VerifyPasskey(ctx, h.at(p.Cookie), c.Ticket, response, false)
		if !fault.Is(err, fault.Revoked) || !isDead(err, standing.Over) {
			t.Errorf("one answer was good twice: %v", err)
		}
		// Who has none is asked for none.
		h.person("bob")
		_, err = h.BeginAssertion(ctx, h.signIn("bob"))
		want(t, err, fault.NotFound, nil)
	})
}

func TestWhatIsNoAnswerToTheChallengeIsRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		h.person("ada")
		h.person("bob")
		a, b := h.passkey(h.signIn("ada")), h.passkey(h.signIn("bob"))
		for what, answer := range map[string]func() error{
			"another challenge": func() error {
				old, err := h.BeginPasskeySignIn(ctx, "browser", ordinary)
				h.must(err)
				c, err := h.BeginPasskeySignIn(ctx, "browser", ordinary)
				h.must(err)
				_, err = h.PasskeySignIn(ctx, c.Ticket, "browser", a.get(old), signin.Attempt{IP: ordinary})
				return err
			},
			"another origin": func() error {
				x := *a
				x.origin = "https://id.contoso.example.mallory.example"
				_, err := h.enter(&x)
				return err
			},
			"another port": func() error {
				x := *a
				x.origin = base + ":8443"
				_, err := h.enter(&x)
				return err
			},
			"an owner who was not verified": func() error {
				x := *a
				x.verify = false
				_, err := h.enter(&x)
				return err
			},
			"another key under the same id": func() error {
				x := *newAuthenticator(t)
				x.id, x.handle = a.id, a.handle
				_, err := h.enter(&x)
				return err
			},
			"a key that is not registered": func() error {
				x := newAuthenticator(t)
				x.handle = a.handle
				_, err := h.enter(x)
				return err
			},
			"one's own key under somebody else's handle": func() error {
				x := *b
				x.handle = a.handle
				_, err := h.enter(&x)
				return err
			},
			"no handle": func() error {
				x := *a
				x.handle = nil
				_, err := h.enter(&x)
				return err
			},
			"nonsense": func() error {
				c, err := h.BeginPasskeySignIn(ctx, "browser", ordinary)
				h.must(err)
				_, err = h.PasskeySignIn(ctx, c.Ticket, "browser", []byte(`{"id":`), signin.Attempt{IP: ordinary})
				return err
			},
			"too much": func() error {
				c, err := h.BeginPasskeySignIn(ctx, "browser", ordinary)
				h.must(err)
				_, err = h.PasskeySignIn(ctx, c.Ticket, "browser", make([]byte, maxResponse+1), signin.Attempt{IP: ordinary})
				return err
			},
			"somebody else's key as a second factor": func() error {
				in := h.signIn("ada")
				c, err := h.BeginAssertion(ctx, in)
				h.must(err)
				_, err = h.VerifyPasskey(ctx, in, c.Ticket, b.get(c), false)
				return err
			},
		} {
			err := answer()
			if !fault.Is(err, fault.Unauthenticated) || fault.Public(err) != "The passkey was not accepted." {
				t.Errorf("%s: %v", what, err)
			}
		}
		// What was refused has used nothing up.
		if _, err := h.enter(a); err != nil {
			t.Error(err)
		}
	})
}

func TestACeremonyIsOfOneBrowserOneSessionAndOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		h.person("ada")
		first := h.signIn("ada")
		a := h.passkey(first)
		over := func(what string, err error) {
			t.Helper()
			if !fault.Is(err, fault.Revoked) || !isDead(err, standing.Over) {
				t.Errorf("%s: %v", what, err)
			}
		}
		c, err := h.BeginPasskeySignIn(ctx, "browser", ordinary)
		h.must(err)
		response := a.get(c)
		_, err = h.PasskeySignIn(ctx, c.Ticket, "another browser", response, signin.Attempt{IP: ordinary})
		over("another browser", err)
		_, err = h.PasskeySignIn(ctx, c.Ticket, "", response, signin.Attempt{IP: ordinary})
		over("a browser without a cookie", err)
		_, err = h.BeginPasskeySignIn(ctx, "", ordinary)
		want(t, err, fault.Invalid, nil)
		_, err = h.PasskeySignIn(ctx, c.Ticket, "browser", response, signin.Attempt{IP: ordinary})
		h.must(err)
		_, err = h.PasskeySignIn(ctx, c.Ticket, "browser", response, signin.Attempt{IP: ordinary})
		over("twice", err)

		in, other := h.signIn("ada"), h.signIn("ada")
		c, err = h.BeginAssertion(ctx, in)
		h.must(err)
		_, err = h.VerifyPasskey(ctx, other, c.Ticket, a.get(c), false)
		over("another session", err)
		_, err = h.PasskeySignIn(ctx, c.Ticket, "browser", a.get(c), signin.Attempt{IP: ordinary})
		over("a second factor as a sign-in", err)
		h.clock.add(life)
		_, err = h.VerifyPasskey(ctx, in, c.Ticket, a.get(c), false)
		over("late", err)
	})
}

// A key whose counter goes back has a copy somewhere.
func TestACopiedPasskeyIsRefusedAndToldOf(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		ada := h.person("ada")
		a := h.passkey(h.signIn("ada"))
		_, err := h.enter(a)
		h.must(err)
		copied := *a
		_, err = h.enter(a)
		h.must(err)
		_, err = h.enter(&copied)
		want(t, err, fault.Denied, errCloned)
		if got := h.actions(ada); got[len(got)-1] != "Passkey refused failure" {
			t.Errorf("the audit log says %v", got)
		}
		if n := h.told[len(h.told)-1]; n.What != Cloned || n.User.ID != ada.User {
			t.Errorf("told %+v", n)
		}
	})
}

// Between the beginning and the end of everything that begins and ends, a cut kills it.
func TestACutKillsWhatIsHalfDone(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		for _, x := range []struct {
			what  string
			begin func(in *signin.Signed, a *authenticator) func() error
		}{
			{"an authenticator app being registered", func(in *signin.Signed, _ *authenticator) func() error {
				n, err := h.BeginTOTP(ctx, in)
				h.must(err)
				return func() error { _, err := h.FinishTOTP(ctx, in, n.Ticket, "000000", ""); return err }
			}},
			{"a passkey being registered", func(in *signin.Signed, _ *authenticator) func() error {
				c, err := h.BeginPasskey(ctx, in)
				h.must(err)
				b := newAuthenticator(t)
				return func() error { _, err := h.FinishPasskey(ctx, in, c.Ticket, b.create(c), ""); return err }
			}},
			{"a second factor by passkey", func(in *signin.Signed, a *authenticator) func() error {
				c, err := h.BeginAssertion(ctx, in)
				h.must(err)
				return func() error { _, err := h.VerifyPasskey(ctx, in, c.Ticket, a.get(c), false); return err }
			}},
			{"a sign-in by passkey", func(_ *signin.Signed, a *authenticator) func() error {
				c, err := h.BeginPasskeySignIn(ctx, "browser", ordinary)
				h.must(err)
				return func() error {
					_, err := h.PasskeySignIn(ctx, c.Ticket, "browser", a.get(c), signin.Attempt{IP: ordinary})
					return err
				}
			}},
		} {
			name := strings.ReplaceAll(x.what, " ", "-")
			ada := h.person(name)
			in := h.signIn(name)
			a := h.passkey(in)
			p, err := h.enter(a)
			h.must(err)
			in = p
			end := x.begin(in, a)
			h.must(h.DB.Update(ctx, func(tx *store.Tx) error {
				_, _, err := tx.RevokeUser(ada.User, directory.SessionID{}, [32]byte{})
				return err
			}))
			if err := end(); !fault.Is(err, fault.Revoked) || !isDead(err, standing.Revoked) {
				t.Errorf("%s goes on after a cut: %v", x.what, err)
			}
			// What begins after it works at once.
			if _, err := h.enter(a); err != nil {
				t.Errorf("a new sign-in: %v", err)
			}
		}
	})
}

// A session that a passkey opens is kept as long as policies let any, and stands in
// the log of sign-ins like any.
func TestASessionOpenedByAPasskeyIsLikeAnyOther(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.person("ada")
		a := h.passkey(h.signIn("ada"))
		enter := func() *signin.Signed {
			c, err := h.BeginPasskeySignIn(t.Context(), "browser", ordinary)
			h.must(err)
			in, err := h.PasskeySignIn(t.Context(), c.Ticket, "browser", a.get(c), signin.Attempt{IP: ordinary, Keep: true})
			h.must(err)
			return h.at(in.Cookie)
		}
		if !enter().Session.Kept {
			t.Error("what was asked to be kept is not")
		}
		h.must(h.DB.Update(t.Context(), func(tx *store.Tx) error {
			return storetest.Rule(tx, storetest.Policy(1, "", `"sessionControls":{"persistentBrowser":{"isEnabled":true,"mode":"never"}}`))
		}))
		if enter().Session.Kept {
			t.Error("kept although policies keep none")
		}
	})
}

func TestAServerWithoutANameHasNoPasskeys(t *testing.T) {
	t.Parallel()
	for base, ok := range map[string]bool{"https://id.contoso.example": true, "https://localhost:8443": true, "https://192.0.2.1:8443": false, "https://[2001:db8::1]": false} {
		_, err := (&Service{Base: base}).party()
		if ok != (err == nil) || err != nil && !fault.Is(err, fault.Conflict) {
			t.Errorf("%s: %v", base, err)
		}
	}
}
