package risks_test

import (
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/risk"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/risks"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

func TestWhatWasClosedIsSweptAndWhatCountsIsNot(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		w.Update(func(tx *store.Tx) error {
			for _, u := range []*directory.User{w.Ada, w.Grace} {
				if _, err := risks.Add(tx, &risks.Detection{User: u.ID, Rule: risk.TokenReused, Why: "A fact."}); err != nil {
					return err
				}
			}
			return nil
		})
		w.Clock.Add(365 * 24 * time.Hour)
		w.Update(func(tx *store.Tx) error {
			_, err := risks.Dismiss(tx, &risks.Detection{User: w.Ada.ID, Rule: risk.Dismissed, Why: "Nothing."})
			return err
		})
		left := func(want int64, ada, grace int, state string) {
			t.Helper()
			n, err := risks.Sweep(t.Context(), w.DB, w.Clock.Now())
			if err != nil || n != want {
				t.Errorf("swept %d %v, want %d", n, err, want)
			}
			w.Read(func(tx *store.Tx) error {
				a, err := risks.Detections(tx, w.Ada.ID, directory.ID[risks.Detection]{}, 10)
				if err != nil {
					return err
				}
				g, err := risks.Detections(tx, w.Grace.ID, directory.ID[risks.Detection]{}, 10)
				if err != nil {
					return err
				}
				of, err := risks.Of(tx, w.Ada.ID)
				if err != nil {
					return err
				}
				other, err := risks.Of(tx, w.Grace.ID)
				if len(a) != ada || len(g) != grace || of.State != state || other.Level != policy.MediumRisk {
					t.Errorf("%d and %d are left, %+v, %+v", len(a), len(g), of, other)
				}
				return err
			})
		}
		left(0, 2, 1, risks.Dismissed) // closed just now, though found long ago
		w.Clock.Add(risks.Keep)
		left(0, 2, 1, risks.Dismissed)
		w.Clock.Add(time.Second)
		left(3, 0, 1, "")
	})
}
