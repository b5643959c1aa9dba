package store_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// fill gives ada n grants.
func fill(tb testing.TB, w *storetest.World, n int) {
	tb.Helper()
	s := w.Session(w.Ada)
	for done := 0; done < n; {
		step := min(n-done, 5000)
		w.Update(func(tx *store.Tx) error {
			for range step {
				g := &grant.Grant{ID: directory.NewID[directory.Grant](w.Clock.Now()), User: w.Ada.ID, App: w.App.ID, Session: s.ID, Offline: true,
					Created: w.Clock.Now(), LastUsed: w.Clock.Now(), AuthTime: w.Clock.Now(), AMR: []string{"pwd"},
					Scopes: []directory.Permission{{Resource: "api://mail", Scopes: []string{"Mail.Read"}}},
					State:  grant.State{Generation: 3, Rotated: []int64{w.Clock.Now().UnixMicro()}, Tokens: []grant.Token{{Resource: "api://mail", Expires: w.Clock.Now().Unix() + 3600, Issued: w.Clock.Now().Unix()}}}}
				if err := tx.CreateGrant(g); err != nil {
					return err
				}
			}
			return nil
		})
		done += step
	}
}

// BenchmarkRevokeUser is the cut itself, durable: the same for a user with one
// grant and with 100,000.
func BenchmarkRevokeUser(b *testing.B) {
	for _, e := range storetest.Engines() {
		for _, n := range []int{1, 10_000, 100_000} {
			b.Run(fmt.Sprintf("%s/grants=%d", e.Name, n), func(b *testing.B) {
				w := storetest.NewWorld(b, e, store.Hooks{})
				fill(b, w, n)
				took := make([]time.Duration, 0, b.N)
				for b.Loop() {
					start := time.Now()
					w.Revoke(w.Ada)
					took = append(took, time.Since(start))
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			})
		}
	}
}

// BenchmarkMillion is a directory with a million grants (SQLite): how long it
// takes to open, what each grant takes in the file, and what cutting all of them
// costs.
func BenchmarkMillion(b *testing.B) {
	n := 1_000_000
	if testing.Short() {
		n = 20_000
	}
	e := storetest.Engines()[0]
	var cfg store.Config
	open := e.New
	e.New = func(tb testing.TB) func(store.Config) store.Config {
		complete := open(tb)
		return func(c store.Config) store.Config { cfg = complete(c); return cfg }
	}
	w := storetest.NewWorld(b, e, store.Hooks{})
	size := func() int64 {
		w.DB.Close()
		st, err := os.Stat(cfg.URL)
		if err != nil {
			b.Fatal(err)
		}
		w.DB = storetest.Open(b, cfg)
		return st.Size()
	}
	before := size()
	fill(b, w, n)
	perGrant := float64(size()-before) / float64(n)
	b.Run("cut everyone", func(b *testing.B) {
		took := make([]time.Duration, 0, b.N)
		for b.Loop() {
			start := time.Now()
			w.Update(func(tx *store.Tx) error {
				tx.Cut(&store.Cut{Cause: standing.Revoked, WithReceipt: true, Cuts: []cutoff.Cutoff{{Scope: cutoff.All, Reach: cutoff.Everything}}})
				return nil
			})
			took = append(took, time.Since(start))
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	})
	b.Run("open", func(b *testing.B) {
		w.DB.Close()
		for b.Loop() {
			db, err := store.Open(context.Background(), cfg)
			if err != nil {
				b.Fatal(err)
			}
			db.Close()
		}
		b.ReportMetric(perGrant, "B/grant")
		w.DB = storetest.Open(b, cfg)
	})
}
