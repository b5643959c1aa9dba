package storetest

import (
	"regexp"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/store"
)

// What is committed is seen, what is undone is not.
func TestRowsSeeWhatIsCommitted(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, e Engine) {
		w := NewWorld(t, e, store.Hooks{})
		before := w.Rows()
		if !regexp.MustCompile(`(?m)^users 2$`).MatchString(before) || before != w.Rows() {
			t.Fatalf("two people:\n%s", before)
		}
		failed := w.DB.Update(t.Context(), func(tx *store.Tx) error {
			if err := tx.CreateUser(Person("mallory", w.Clock.Now())); err != nil {
				return err
			}
			return store.ErrDuplicate
		})
		if now := w.Rows(); failed == nil || now != before {
			t.Errorf("undone (%v):\n%s", failed, now)
		}
		w.Update(func(tx *store.Tx) error { return tx.CreateUser(Person("mary", w.Clock.Now())) })
		if now := w.Rows(); !strings.Contains(now, "users 3\n") {
			t.Errorf("one more:\n%s", now)
		}
	})
}
