package journal

import (
	"context"
	"time"

	"github.com/curfew-id/curfew/internal/store/engine"
)

// sweepStep is how many entries one transaction deletes: batches wait meanwhile.
const sweepStep = 1000

// sweepMost bounds one sweep; the next one goes on.
const sweepMost = 500

// Sweep deletes entries older than Keep, in small transactions, and what only they
// needed. It returns how many entries it deleted.
func (j *Journal) Sweep(ctx context.Context) (n int64, err error) {
	if j == nil {
		return 0, nil
	}
	before := j.cfg.Now().Add(-j.cfg.Keep)
	for range sweepMost {
		var gone int64
		err := j.update(ctx, func(ctx context.Context, c *engine.Conn) (err error) {
			gone, err = c.Exec(ctx, `DELETE FROM signins WHERE id IN (SELECT id FROM signins WHERE id < $1 ORDER BY id LIMIT $2)`, bound(before), int64(sweepStep))
			return err
		})
		if err != nil {
			return n, err
		}
		if n += gone; gone < sweepStep {
			return n, j.sweepDays(ctx, dayOf(before))
		}
		// Others first: a sweep of a million entries must not hold up batches.
		select {
		case <-ctx.Done():
			return n, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	return n, nil
}

// sweepDays deletes counts of days that are over, and what policies did when
// nothing counted refers to it any more.
func (j *Journal) sweepDays(ctx context.Context, day int64) error {
	return j.update(ctx, func(ctx context.Context, c *engine.Conn) error {
		for _, q := range []string{
			`DELETE FROM tallies WHERE day < $1`,
			`DELETE FROM applied WHERE seen < $1`,
		} {
			if _, err := c.Exec(ctx, q, day); err != nil {
				return err
			}
		}
		_, err := c.Exec(ctx, `DELETE FROM applied_policies WHERE NOT EXISTS (SELECT 1 FROM applied a WHERE a.id = applied_policies.applied)`)
		return err
	})
}
