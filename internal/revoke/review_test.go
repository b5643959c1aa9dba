package revoke_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// A guard's first answer is written a moment after it was given. A cut in that
// moment must wait for the guard as for any other.
func TestAGuardThatHasJustRegisteredHasToConfirm(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		s := &revoke.Service{DB: w.DB, Log: slog.New(slog.DiscardHandler), Lifetimes: grant.DefaultLifetimes(), Now: w.Clock.Now}
		g := &store.Guard{ID: directory.NewID[store.Guard](w.Clock.Now()), Name: "mail-1", App: w.App.ID, Resource: "api://mail", MaxStaleness: 10 * time.Second, Registered: w.Clock.Now()}
		w.Update(func(tx *store.Tx) error { return tx.CreateGuard(g) })
		res, err := s.User(context.Background(), directory.Actor{Operator: true}, w.Ada.ID, revoke.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(res.Receipt.Rest.Guards, g.ID) {
			t.Error("the receipt does not wait for it")
		}
		if _, err := w.DB.Sweep(context.Background()); err != nil {
			t.Fatal(err)
		}
		w.Read(func(tx *store.Tx) error {
			if _, err := tx.Guard(g.ID); err != nil {
				t.Errorf("swept away before its first answer was written: %v", err)
			}
			return nil
		})
		w.Clock.Add(31 * 24 * time.Hour)
		if _, err := w.DB.Sweep(context.Background()); err != nil {
			t.Fatal(err)
		}
		w.Read(func(tx *store.Tx) error {
			if _, err := tx.Guard(g.ID); err != store.ErrNotFound {
				t.Errorf("never answered and still there a month later: %v", err)
			}
			return nil
		})
	})
}
