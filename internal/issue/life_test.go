package issue_test

import (
	"context"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// TestALongLifeNeedsALiveGuardAtEachIssue: what was proven when the resource was
// called guarded is asked again whenever a token is made.
func TestALongLifeNeedsALiveGuardAtEachIssue(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		resource := func(guarded bool) {
			w.Update(func(tx *store.Tx) error {
				r, err := tx.Resource("api://mail")
				if err != nil {
					return err
				}
				r.TokenLife, r.Guarded = 28*time.Hour, guarded
				return tx.SaveResource(r)
			})
		}
		resource(true)
		g := &store.Guard{ID: directory.NewID[store.Guard](w.Clock.Now()), Name: "mail-1", App: "mail-api", Resource: "api://mail", MaxStaleness: 10 * time.Second}
		w.Update(func(tx *store.Tx) error { g.Registered = tx.Now; return tx.CreateGuard(g) })
		ask := func() {
			w.Update(func(tx *store.Tx) error { g.Answered, g.Acked = tx.Now, tx.Head; return tx.SaveGuard(g) })
			w.Clock.Add(2 * time.Second) // what is known of guards is that old at most
		}
		tokens := w.signIn()
		renew := func(what string, want time.Duration) {
			t.Helper()
			var err error
			tokens, err = w.issue.Refresh(context.Background(), w.client, issue.RefreshRequest{Token: tokens.Refresh, Issuer: grant.Tenant})
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if tokens.ExpiresIn != want {
				t.Errorf("%s: %v, want %v", what, tokens.ExpiresIn, want)
			}
		}
		if tokens.ExpiresIn != time.Hour {
			t.Errorf("a guard that acknowledged nothing: %v", tokens.ExpiresIn)
		}
		ask()
		renew("a live guard", 28*time.Hour)
		w.Clock.Add(10*time.Second + store.GuardLag)
		renew("a silent guard", time.Hour)
		ask()
		renew("it is back", 28*time.Hour)
		resource(false)
		renew("guarded no longer", time.Hour)
		resource(true)
		renew("guarded again", 28*time.Hour)
		w.Update(func(tx *store.Tx) error { g.Gone = tx.Now; return tx.SaveGuard(g) })
		w.Clock.Add(2 * time.Second)
		renew("it said goodbye", time.Hour)
	})
}

// TestADisabledScopeIsAskedForNoMore: by name it is refused, and .default leaves it out.
func TestADisabledScopeIsAskedForNoMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.Engines()[0], store.Hooks{})
	w.Update(func(tx *store.Tx) error {
		r, err := tx.Resource("api://mail")
		if err != nil {
			return err
		}
		r.Scopes[1].Disabled = true // Write
		return tx.SaveResource(r)
	})
	if _, err := w.issue.Plan(context.Background(), w.client.App, "api://mail/Write", nil); err == nil {
		t.Error("a disabled scope was planned")
	}
	p, err := w.issue.Plan(context.Background(), w.client.App, "api://mail/.default", nil)
	if err != nil || len(p.Scopes) != 1 || p.Scopes[0] != "Read" {
		t.Errorf("%+v %v", p, err)
	}
}
