package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// Until the era has begun, a view of the lost history says nothing about what the
// new one has cut.
func TestANodeThatRemembersLostHistoryJudgesNothing(t *testing.T) {
	for name, mine := range map[string]int{"the primary is behind": 1, "as far again": 3, "overtaken": 5} {
		t.Run(name, func(t *testing.T) {
			onPostgres(t, func(t *testing.T, e storetest.Engine) {
				var dsn string
				open := e.New
				e.New = func(tb testing.TB) func(store.Config) store.Config {
					complete := open(tb)
					return func(c store.Config) store.Config {
						c = complete(c)
						dsn, c.Poll = c.URL, time.Hour // it does not look by itself
						return c
					}
				}
				w := storetest.NewWorld(t, e, store.Hooks{})
				for range 6 {
					w.Revoke(w.Grace)
				}
				s := w.Session(w.Ada)
				lost(t, dsn, 3, mine)
				err := w.DB.Read(context.Background(), func(tx *store.Tx) error {
					o := s.Owner()
					_, err := tx.Latest(&o, cutoff.Browser)
					return err
				})
				if !fault.Is(err, fault.Unavailable) {
					t.Errorf("a session was judged by a history that is lost: %v", err)
				}
			})
		})
	}
}
