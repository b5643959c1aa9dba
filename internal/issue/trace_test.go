package issue_test

import (
	"sync"
	"testing"

	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// The refusal of a reused token is an error of the request, and yet its kill must
// outlast it: no rollback may take it back, also when the refresh that found it
// shared a commit with others.
func TestTrace22ReuseIsRefusedAndTheKillIsDurable(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		var cfg store.Config
		prepare := e.New
		e.New = func(tb testing.TB) func(store.Config) store.Config {
			complete := prepare(tb)
			return func(c store.Config) store.Config { cfg = complete(c); return cfg }
		}
		w := newWorld(t, e, store.Hooks{})
		first := w.signIn()
		second, err := w.refresh(first.Refresh, "")
		if err == nil {
			second, err = w.refresh(second.Refresh, "")
		}
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 20 {
			other := w.signIn()
			wg.Go(func() {
				if _, err := w.refresh(other.Refresh, ""); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			if _, err := w.refresh(first.Refresh, ""); sub(err) != "invalid_grant/bad_token" {
				t.Errorf("reuse: %v", err)
			}
		})
		wg.Wait()
		if err := w.DB.Close(); err != nil {
			t.Fatal(err)
		}
		w.DB = storetest.Open(t, cfg)
		w.wire()
		if w.alive(second.Access) {
			t.Error("the access token came back")
		}
		if _, err := w.refresh(second.Refresh, ""); sub(err) != "invalid_grant/bad_token" {
			t.Errorf("the newest refresh token came back: %v", err)
		}
	})
}

// A restored backup has rows older than the refresh tokens that clients hold.
func TestTrace20AThousandRefreshTokensNewerThanTheirRowsMakeExactlyOneEra(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		const holders, tries = 20, 50
		var held []string
		for range holders {
			first := w.signIn()
			second, err := w.refresh(first.Refresh, "")
			if err != nil {
				t.Fatal(err)
			}
			// The row as it was before that refresh.
			if _, err := w.DB.Rotate(t.Context(), second.Grant, func(f *store.Refresh) error {
				f.Grant.State = grant.State{Generation: 1}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			held = append(held, second.Refresh)
		}
		before, _ := w.DB.View().Head()
		var wg sync.WaitGroup
		for i := range holders * tries {
			wg.Go(func() {
				if _, err := w.refresh(held[i%holders], ""); sub(err) != "invalid_grant/bad_token" {
					t.Errorf("got %v", err)
				}
			})
		}
		wg.Wait()
		eras := 0
		w.Read(func(tx *store.Tx) error {
			lines, err := tx.LinesBefore(0, 100)
			for _, l := range lines {
				if l.Era && l.Pos > before {
					eras++
				}
			}
			return err
		})
		if eras != 1 {
			t.Fatalf("%d eras", eras)
		}
		if tok := w.signIn(); !w.alive(tok.Access) {
			t.Fatal("a sign-in after the era is dead")
		}
	})
}
