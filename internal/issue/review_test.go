package issue_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// aside starts f in the middle of a transaction and gives it time to do what it
// can: it may have to wait for that transaction to end.
func aside(f func()) (wait func()) {
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(300 * time.Millisecond):
	}
	return func() { <-done }
}

func TestACodeInFlightDiesWithItsSession(t *testing.T) {
	t.Parallel()
	for _, e := range storetest.Engines() {
		if !e.Postgres {
			continue // SQLite has one writer
		}
		for _, first := range []string{"the exchange", "the revocation"} {
			t.Run(first+" began first", func(t *testing.T) {
				t.Parallel()
				var mu sync.Mutex
				var hook func()
				fire := func() {
					mu.Lock()
					f := hook
					hook = nil
					mu.Unlock()
					if f != nil {
						f()
					}
				}
				w := newWorld(t, e, store.Hooks{
					Exec: func(q string) error {
						if first == "the exchange" && strings.Contains(q, "UPDATE tickets") {
							fire()
						}
						return nil
					},
					BeforeLock: func(*store.Tx) {
						if first == "the revocation" {
							fire()
						}
					},
				})
				s := w.Session(w.Ada)
				code, err := w.code(s, allScopes)
				if err != nil {
					t.Fatal(err)
				}
				var tokens *issue.Tokens
				var rerr error
				exchange := func() { tokens, rerr = w.redeem(code) }
				cut := func() {
					if _, err := w.revoke.Session(context.Background(), operator, s.ID, revoke.Options{}); err != nil {
						t.Error(err)
					}
				}
				one, other := exchange, cut
				if first == "the revocation" {
					one, other = cut, exchange
				}
				wait := func() {}
				hook = func() { wait = aside(other) }
				one()
				wait()
				if rerr == nil && w.alive(tokens.Access) {
					t.Error("an access token from a session that was revoked is alive")
				}
				if rerr == nil {
					if _, err := w.refresh(tokens.Refresh, ""); err == nil {
						t.Error("a refresh token from a session that was revoked works")
					}
				}
				w.Read(func(tx *store.Tx) error {
					all, err := tx.GrantsOfSession(s.ID)
					for _, g := range all {
						if w.GrantAlive(g.ID) {
							t.Error("a grant of the session that was revoked is alive")
						}
					}
					return err
				})
			})
		}
	}
}

// narrow takes the permission to write mail from the application.
func narrow(w *world) {
	w.t.Helper()
	app := *w.App
	app.Permissions = []directory.Permission{{Resource: "api://mail", Scopes: []string{"Read"}}, {Resource: directory.OwnAPI, Scopes: []string{"openid", "profile"}}}
	w.Update(func(tx *store.Tx) error { return tx.SaveApp(&app) })
	w.App = &app
	w.client = w.authenticate(issue.Credentials{ID: "tripboard"})
}

func TestAPermissionTakenFromAnApplicationIsGone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		const write = "openid offline_access api://mail/Read api://mail/Write"
		w := newWorld(t, e, store.Hooks{})
		code, err := w.code(w.Session(w.Ada), write)
		if err != nil {
			t.Fatal(err)
		}
		drive, err := w.code(w.Session(w.Ada), "offline_access api://drive/Read")
		if err != nil {
			t.Fatal(err)
		}
		narrow(w)
		t.Run("from a code issued before", func(t *testing.T) {
			tokens, err := w.redeem(code)
			if err == nil && strings.Contains(claims(t, tokens.Access).Scp, "Write") {
				t.Error("the access token has it")
			}
			if err == nil {
				if tokens, err = w.refresh(tokens.Refresh, "api://mail/Write"); err == nil {
					t.Errorf("a refresh brings it back: %s", claims(t, tokens.Access).Scp)
				}
			}
			if tokens, err := w.redeem(drive); err == nil {
				t.Errorf("a token for a resource that was taken away altogether: %+v", claims(t, tokens.Access))
			}
		})
		t.Run("from the consents given before", func(t *testing.T) {
			tokens := w.signIn()
			if tokens, err := w.refresh(tokens.Refresh, "api://mail/Write"); err == nil {
				t.Errorf("scopes %s", claims(t, tokens.Access).Scp)
			}
			if _, err := w.refresh(tokens.Refresh, "api://mail/Read"); err != nil {
				t.Errorf("what was left to it: %v", err)
			}
		})
	})
}

func TestNoCodeWithoutConsent(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		s := w.Session(w.Ada)
		plan, err := w.issue.Plan(context.Background(), w.client.App, allScopes, nil)
		if err != nil {
			t.Fatal(err)
		}
		if missing, _, err := w.issue.Missing(context.Background(), w.client.App, w.Ada.ID, plan); err != nil || len(missing) > 0 {
			t.Fatalf("%v %v", missing, err)
		}
		dev, err := w.issue.Device(context.Background(), w.client, allScopes, nil, grant.Tenant, issue.Meta{})
		if err != nil {
			t.Fatal(err)
		}
		// The page has looked; the consent is withdrawn before the code is born.
		w.Update(func(tx *store.Tx) error { return tx.WithdrawConsent(w.Ada.ID, w.App.ID) })
		if code, err := w.code(s, allScopes); err == nil {
			if tokens, err := w.redeem(code); err == nil {
				t.Errorf("tokens after the consent was withdrawn: %s", claims(t, tokens.Access).Scp)
			}
		}
		actor := directory.Actor{User: w.Ada.ID, Session: s.ID, Born: s.Born, Owner: s.Owner()}
		if err := w.issue.DeviceDecide(context.Background(), actor, dev.User, true); err == nil {
			if tokens, err := w.issue.DevicePoll(context.Background(), w.client, dev.Device, grant.Tenant, issue.Meta{}); err == nil {
				t.Errorf("a device has tokens after the consent was withdrawn: %s", claims(t, tokens.Access).Scp)
			}
		}
	})
}

func TestOnlyAPersonConsents(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		w.Update(func(tx *store.Tx) error { return tx.WithdrawConsent(w.Ada.ID, w.App.ID) })
		plan, err := w.issue.Plan(context.Background(), w.client.App, allScopes, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, actor := range map[string]directory.Actor{
			"nobody":                {},
			"curfew itself":         {System: true},
			"an application":        {User: w.Ada.ID, App: "x", AppOnly: true, Scopes: []string{}},
			"a client for a person": {User: w.Ada.ID, App: "x", Scopes: []string{"User.Read"}},
		} {
			if err := w.issue.Consent(context.Background(), actor, w.App, plan); !fault.Is(err, fault.Denied) {
				t.Errorf("%s consented: %v", name, err)
			}
			w.Read(func(tx *store.Tx) error {
				for _, who := range []directory.UserID{{}, w.Ada.ID} {
					if all, err := tx.Consents(who, w.App.ID); err != nil || len(all) > 0 {
						t.Errorf("%s: written down %+v %v", name, all, err)
					}
				}
				return nil
			})
		}
	})
}

// What a database does not take as text is nobody's name, and nobody's mistake
// but the caller's.
func TestNamesThatNoDatabaseTakesAreNotFound(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		ctx := context.Background()
		ada := directory.Actor{User: w.Ada.ID, Session: w.Session(w.Ada).ID}
		for _, odd := range []string{"BCDF\x00HJK", "BCDF\xffHJK"} {
			for name, call := range map[string]func() error{
				"DeviceLookup": func() error { _, err := w.issue.DeviceLookup(ctx, odd); return err },
				"DeviceDecide": func() error { return w.issue.DeviceDecide(ctx, ada, odd, true) },
				"App":          func() error { _, err := w.issue.App(ctx, directory.AppID(odd)); return err },
				"revoke.App": func() error {
					_, err := w.revoke.App(ctx, operator, directory.AppID(odd), revoke.Options{})
					return err
				},
			} {
				if err := call(); !fault.Is(err, fault.NotFound) {
					t.Errorf("%s(%q): %v", name, odd, err)
				}
			}
			if _, err := w.revoke.UserApp(ctx, operator, w.Ada.ID, directory.AppID(odd), revoke.Options{}); !fault.Is(err, fault.Invalid) {
				t.Errorf("revoke.UserApp(%q): %v", odd, err)
			}
			if _, err := w.revoke.User(ctx, operator, w.Grace.ID, revoke.Options{Reason: odd}); err != nil && !fault.Is(err, fault.Invalid) {
				t.Errorf("revoke.User with reason %q: %v", odd, err)
			}
		}
	})
}

func TestAResourceThatGoesWhileThePageAsks(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		plan, err := w.issue.Plan(context.Background(), w.client.App, allScopes, nil)
		if err != nil {
			t.Fatal(err)
		}
		w.Update(func(tx *store.Tx) error {
			if err := tx.WithdrawConsent(w.Ada.ID, w.App.ID); err != nil {
				return err
			}
			return tx.DeleteResource("api://mail")
		})
		if _, _, err := w.issue.Missing(context.Background(), w.client.App, w.Ada.ID, plan); !fault.Is(err, fault.Invalid) {
			t.Errorf("%v", err)
		}
	})
}

func TestARetryWindowEndsForARequestWithoutATimeOfArrival(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		first := w.signIn().Refresh
		if _, err := w.refresh(first, ""); err != nil {
			t.Fatal(err)
		}
		w.Clock.Add(time.Hour)
		if _, err := w.issue.Refresh(context.Background(), w.client, issue.RefreshRequest{Token: first, Issuer: grant.Tenant}); !fault.Is(err, fault.Revoked) {
			t.Errorf("an old refresh token an hour later: %v", err)
		}
	})
}
