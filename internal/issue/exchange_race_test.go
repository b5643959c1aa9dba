package issue_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// The two halves of trace 1 and 4 for a birth from a birth: a revocation of the
// root that commits after everything was judged, before or after the row is
// written.
func TestRevokeOfTheRootBetweenJudgingAndWritingAnExchange(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		for _, c := range []struct{ name, statement string }{{"the first exchange", "INSERT INTO grants"}, {"another exchange", "UPDATE grants"}} {
			var w *world
			var mu sync.Mutex
			var between func()
			take := func() func() {
				mu.Lock()
				defer mu.Unlock()
				f := between
				between = nil
				return f
			}
			hooks := store.Hooks{AfterCommit: func() { // SQLite: nobody can write in between, so right after
				if f := take(); f != nil {
					f()
				}
			}}
			if e.Postgres {
				hooks = store.Hooks{Exec: func(q string) error {
					if strings.HasPrefix(q, c.statement) {
						if f := take(); f != nil {
							f()
						}
					}
					return nil
				}}
			}
			w = newWorld(t, e, hooks)
			mail := w.mailService()
			root := w.signIn()
			if c.statement == "UPDATE grants" {
				if _, err := w.obo(mail, root.Access, driveForMSAL); err != nil {
					t.Fatal(err)
				}
			}
			done := make(chan error, 1)
			mu.Lock()
			between = func() {
				go func() {
					_, err := w.revoke.Grant(context.Background(), directory.Actor{Operator: true}, root.Grant, revoke.Options{})
					done <- err
				}()
				if e.Postgres { // committed while the exchange is open
					if err := <-done; err != nil {
						t.Error(err)
					}
					done <- nil
				}
			}
			mu.Unlock()
			tok, err := w.obo(mail, root.Access, driveForMSAL)
			if rerr := <-done; rerr != nil {
				t.Fatal(rerr)
			}
			if err == nil && w.alive(tok.Access) {
				t.Errorf("%s: a token lives that was judged before the revoke", c.name)
			}
			if e.Postgres && (err == nil || sub(err) != "invalid_grant/bad_token") {
				t.Errorf("%s: handed out although the last look came after the revoke: %v", c.name, err)
			}
			for _, g := range w.below(root.Grant) {
				if w.GrantAlive(g.ID) {
					t.Errorf("%s: the row that was written lives", c.name)
				}
			}
		}
	})
}

// The same for a refresh of a child, while its root is revoked.
func TestRevokeOfTheRootDuringARefreshOfItsChild(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		var w *world
		var between func()
		w = newWorld(t, e, store.Hooks{AfterRotate: func() {
			if f := between; f != nil {
				between = nil
				f()
			}
		}})
		mail := w.mailService()
		root := w.signIn()
		child, err := w.obo(mail, root.Access, driveForMSAL)
		if err != nil {
			t.Fatal(err)
		}
		between = func() {
			if _, err := w.revoke.Grant(context.Background(), directory.Actor{Operator: true}, root.Grant, revoke.Options{}); err != nil {
				t.Error(err)
			}
		}
		if _, err := w.refreshAs(mail, child.Refresh, ""); sub(err) != "invalid_grant/bad_token" {
			t.Fatalf("handed out although the last look came after the revoke: %v", err)
		}
	})
}

func TestReuseAtTheRootEndsTheTree(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		mail := w.mailService()
		root := w.signIn()
		child, err := w.obo(mail, root.Access, driveForMSAL)
		if err != nil {
			t.Fatal(err)
		}
		token := root.Refresh
		for range 2 {
			next, err := w.refresh(token, "")
			if err != nil {
				t.Fatal(err)
			}
			token = next.Refresh
		}
		if _, err := w.refresh(root.Refresh, ""); sub(err) != "invalid_grant/bad_token" {
			t.Fatal(err)
		}
		if w.alive(child.Access) {
			t.Error("the child's access token lives")
		}
		if _, err := w.refreshAs(mail, child.Refresh, ""); sub(err) != "invalid_grant/bad_token" {
			t.Errorf("the child's refresh token: %v", err)
		}
	})
}

// Trap 7: replay after the row was pruned.
func TestReuseOfASweptGrantIsRefusedAndEndsWhatWasMadeFromIt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		mail := w.mailService()
		root := w.signIn()
		child, err := w.obo(mail, root.Access, driveForMSAL)
		if err != nil {
			t.Fatal(err)
		}
		// Another node's clock is wrong by a quarter: it sweeps the root, and
		// what was made from it stays because it was used.
		w.Clock.Add(93 * 24 * time.Hour)
		w.Update(func(tx *store.Tx) error {
			g, err := tx.GrantMade(root.Grant, "mail")
			if err == nil {
				g.LastUsed = w.Clock.Now()
				err = tx.SaveExchange(g)
			}
			return err
		})
		if _, err := w.DB.Sweep(context.Background()); err != nil {
			t.Fatal(err)
		}
		w.Read(func(tx *store.Tx) error {
			if _, err := tx.Grant(root.Grant); !errors.Is(err, store.ErrNotFound) {
				t.Fatalf("the row was not swept: %v", err)
			}
			return nil
		})
		w.Clock.Add(-93 * 24 * time.Hour)
		if _, err := w.refreshAs(mail, child.Refresh, ""); sub(err) != "invalid_grant/bad_token" {
			t.Errorf("a child without a root: %v", err)
		}
		head, _ := w.DB.View().Head()
		if _, err := w.refreshAs(mail, root.Refresh, ""); sub(err) != "invalid_grant/bad_token" || !w.alive(child.Access) {
			t.Errorf("another client shows it: %v", err)
		}
		for range 3 {
			if _, err := w.refresh(root.Refresh, ""); sub(err) != "invalid_grant/bad_token" {
				t.Errorf("reuse: %v", err)
			}
		}
		if w.alive(child.Access) {
			t.Error("the child's access token lives")
		}
		if now, _ := w.DB.View().Head(); now != head+1 {
			t.Errorf("the ledger grew by %d lines", now-head)
		}
	})
}

func TestAServiceThatMayNoLongerExchangesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		for name, change := range map[string]func(*directory.App){
			"it lost its resource": func(a *directory.App) { a.Guards = nil },
			"it lost its secret":   func(a *directory.App) { a.Secrets = nil },
			"it is disabled":       func(a *directory.App) { a.Enabled = false },
			"it may ask for less":  func(a *directory.App) { a.Permissions = nil },
		} {
			w := newWorld(t, e, store.Hooks{})
			mail := w.mailService() // authenticated before the change
			root := w.signIn()
			app := *mail.App
			change(&app)
			w.Update(func(tx *store.Tx) error { return tx.SaveApp(&app) })
			if _, err := w.obo(mail, root.Access, driveForMSAL); err == nil {
				t.Errorf("%s: it got a token", name)
			}
			if n := len(w.below(root.Grant)); n != 0 {
				t.Errorf("%s: %d grants were stored", name, n)
			}
		}
	})
}

func TestADisabledPersonIsNotActedFor(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		mail := w.mailService()
		root := w.signIn()
		w.Disable(w.Ada)
		_, err := w.obo(mail, root.Access, driveForMSAL)
		var d *standing.Dead
		if !fault.Is(err, fault.Revoked) || !errors.As(err, &d) || !d.Has(standing.Disabled) || number(err) != 50057 {
			t.Errorf("%v", err)
		}
		w.Enable(w.Ada)
		if _, err := w.obo(mail, root.Access, driveForMSAL); sub(err) != "invalid_grant/bad_token" {
			t.Errorf("what was ended came back: %v", err)
		}
		if _, err := w.obo(mail, w.signIn().Access, driveForMSAL); err != nil {
			t.Errorf("after a new sign-in: %v", err)
		}
	})
}
