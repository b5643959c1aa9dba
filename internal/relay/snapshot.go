package relay

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/store"
)

// snapshot is the merged cutoffs above a floor, rendered. It is shared, and never
// changed after it was published.
type snapshot struct {
	store.Witness // everything up to here is contained
	floor         cutoff.Pos
	body          []byte // line,line,…
	made          time.Time
}

const (
	// maxSince is how many lines are given beside a rendering before it is made
	// anew.
	maxSince = 2000
	// snapshotLife is how long a rendering is kept.
	snapshotLife = 5 * time.Minute
)

// full is one answer in full: the shared rendering and the lines since.
type full struct {
	chunks [][]byte
	at     store.Witness
	floor  cutoff.Pos
}

// full returns a snapshot no older than the call. It reads the clock's facts
// (measure) before the lines, so that the age told is never too small.
func (s *Service) full(ctx context.Context, measure func() error) (full, error) {
	if err := s.DB.Fresh(ctx); err != nil {
		return full{}, unavailable(err)
	}
	for range 4 {
		snap := s.snap.Load()
		if snap != nil {
			if err := measure(); err != nil {
				return full{}, err
			}
			lines, head, mark, ok := s.DB.View().After(snap.Pos)
			if ok && len(lines) <= maxSince {
				f := full{at: store.Witness{Pos: head, Mark: mark}, floor: max(snap.floor, s.currentFloor())}
				f.chunks = append(f.chunks, snap.body)
				if len(lines) > 0 {
					if len(snap.body) > 0 {
						f.chunks = append(f.chunks, []byte{','})
					}
					f.chunks = append(f.chunks, s.hub.render(s.DB.View(), snap.Pos, head, lines).json)
				}
				return f, nil
			}
		}
		if err := s.renderSnapshot(ctx, snap); err != nil {
			return full{}, unavailable(err)
		}
	}
	return full{}, fault.New(fault.Unavailable, "The ledger moves faster than it can be read. Ask again.")
}

// renderSnapshot replaces the rendering old, unless somebody else just did.
func (s *Service) renderSnapshot(ctx context.Context, old *snapshot) error {
	select {
	case s.rendering <- struct{}{}:
		defer func() { <-s.rendering }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.snap.Load() != old {
		return nil
	}
	type cutAt struct {
		pos cutoff.Pos
		cut cutoff.Cutoff
	}
	var cuts []cutAt
	snap := &snapshot{floor: s.currentFloor(), made: s.now()}
	var err error
	snap.Pos, snap.Mark, err = s.DB.Snapshot(ctx, snap.floor, func(c cutoff.Cutoff, p cutoff.Pos) { cuts = append(cuts, cutAt{p, c}) })
	if err != nil {
		return err
	}
	slices.SortFunc(cuts, func(a, b cutAt) int { return cmp.Compare(a.pos, b.pos) })
	for i := 0; i < len(cuts); {
		l := cutoff.Line{Pos: cuts[i].pos}
		for ; i < len(cuts) && cuts[i].pos == l.Pos; i++ {
			l.Cuts = append(l.Cuts, cuts[i].cut)
		}
		b, err := json.Marshal(l)
		if err != nil {
			return err
		}
		if len(snap.body) > 0 {
			snap.body = append(snap.body, ',')
		}
		snap.body = append(snap.body, b...)
	}
	// It may hold cutoffs that this node's view has not: no line may lie beyond the
	// head that is told with it.
	if err := s.DB.Fresh(ctx); err != nil {
		return err
	}
	s.snap.Store(snap)
	return nil
}

// dropSnapshot frees a rendering that is old: guards rarely start, and a million
// cutoffs take a hundred megabytes.
func (s *Service) dropSnapshot() {
	if snap := s.snap.Load(); snap != nil && s.now().Sub(snap.made) > snapshotLife {
		s.snap.CompareAndSwap(snap, nil)
	}
}

// unavailable says in public that an outside step failed; a fault stays as it is.
func unavailable(err error) error {
	if fault.KindOf(err) != fault.Internal {
		return err
	}
	return fault.Wrap(fault.Unavailable, "The ledger could not be read. Ask again.", err)
}
