package risks

import (
	"context"
	"time"

	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/internal/raw"
)

// Keep is how long what was found is kept after it was closed.
const Keep = 90 * 24 * time.Hour

const sweepStep = 1000

// Sweep deletes findings that were closed longer than Keep ago, in small steps, and
// accounts about which none is left. What counts stays, however old it is: nobody has
// said that it is nothing.
func Sweep(ctx context.Context, db *store.DB, now time.Time) (removed int64, err error) {
	before := micros(now.Add(-Keep))
	for _, s := range []struct {
		q    string
		args []any
	}{
		{`DELETE FROM risk_detections WHERE id IN (SELECT id FROM risk_detections WHERE closed <> 0 AND closed < $1 LIMIT 1000)`, []any{before}},
		{`DELETE FROM risky_users WHERE user_id IN (SELECT user_id FROM risky_users WHERE updated < $1 AND level = $2
			AND NOT EXISTS (SELECT 1 FROM risk_detections d WHERE d.user_id = risky_users.user_id) LIMIT 1000) AND updated < $1`, []any{before, int64(policy.NoRisk)}},
	} {
		for n := int64(sweepStep); n >= sweepStep; { // a full step means that there is more
			if err := db.Update(ctx, func(tx *store.Tx) (err error) {
				n, err = tx.SQL(raw.Key{}).Exec(s.q, s.args...)
				return err
			}); err != nil {
				return removed, err
			}
			removed += n
		}
	}
	return removed, nil
}
