package store

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/curfew-id/curfew/cutoff"
)

// View is the ledger merged in memory: everything cut up to a position, and the
// newest lines themselves. It only ever contains durable lines.
type View struct {
	mu      sync.RWMutex
	set     cutoff.Set    // guarded by mu
	pos     cutoff.Pos    // guarded by mu: everything up to here is merged
	mark    Mark          // guarded by mu: of the line at pos
	recent  []LineAt      // guarded by mu: the newest lines, ascending
	ruled   cutoff.Pos    // guarded by mu: policies are as they were there, or it is not known since when
	changed chan struct{} // guarded by mu: closed and replaced when pos moves
}

// keepRecent is how many lines a reader may be behind before it gets a snapshot.
const keepRecent = 8192

func newView() *View { return &View{changed: make(chan struct{})} }

// advance merges durable lines in order. Lines already contained are skipped.
// It reports false, and merges nothing more, when a line is missing in between.
func (v *View) advance(lines []LineAt) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	moved := false
	for _, l := range lines {
		if l.Pos <= v.pos {
			continue
		}
		if l.prev != v.pos {
			return false
		}
		v.set.Merge(l.Line)
		v.pos, v.mark = l.Pos, l.Mark
		v.recent = append(v.recent, l)
		if moved = true; l.rules() {
			v.ruled = l.Pos
		}
	}
	if len(v.recent) > 2*keepRecent {
		v.recent = append([]LineAt(nil), v.recent[len(v.recent)-keepRecent:]...)
	}
	if moved {
		close(v.changed)
		v.changed = make(chan struct{})
	}
	return true
}

// reset puts the view at pos with the given set, at start.
func (v *View) reset(set cutoff.Set, pos cutoff.Pos, mark Mark) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.put(set, pos, mark)
}

// put is reset; the caller holds mu.
func (v *View) put(set cutoff.Set, pos cutoff.Pos, mark Mark) {
	v.set, v.pos, v.mark, v.recent, v.ruled = set, pos, mark, nil, pos
	close(v.changed)
	v.changed = make(chan struct{})
}

// replace is reset for a view that still ends where the caller found it: somebody
// else may have done the same, and gone on.
func (v *View) replace(oldPos cutoff.Pos, oldMark Mark, set cutoff.Set, pos cutoff.Pos, mark Mark) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.pos == oldPos && v.mark == oldMark {
		v.put(set, pos, mark)
	}
}

func (v *View) latest(o *cutoff.Owner, k cutoff.Kind) (latest, at cutoff.Pos, mark Mark) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.set.Latest(o, k), v.pos, v.mark
}

// ruledAt returns the view's head with its mark, and the position of the newest line
// after which policies may be others.
func (v *View) ruledAt() (head cutoff.Pos, mark Mark, ruled cutoff.Pos) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.pos, v.mark, v.ruled
}

// Ruled reports whether policies may have become others after pos: what was judged
// by them as of then is to be judged again before anything is handed out.
func (v *View) Ruled(pos cutoff.Pos) bool {
	_, _, ruled := v.ruledAt()
	return pos < ruled
}

// contains reports whether the line at pos, if this view should have it, is one
// with that mark. What is older than the lines it keeps it cannot tell.
func (v *View) contains(pos cutoff.Pos, mark Mark) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	switch {
	case pos == v.pos:
		return mark == v.mark
	case pos > v.pos || len(v.recent) == 0 || pos < v.recent[0].Pos:
		return true
	}
	i, found := slices.BinarySearchFunc(v.recent, pos, func(l LineAt, p cutoff.Pos) int { return cmp.Compare(l.Pos, p) })
	return found && v.recent[i].Mark == mark
}

// Dead reports whether the view covers an artefact of o born at born.
func (v *View) Dead(o *cutoff.Owner, born cutoff.Pos, k cutoff.Kind) bool {
	p, _, _ := v.latest(o, k)
	return born < p
}

// Judge returns the largest position of a cutoff after which an access token of o must
// be judged again.
func (v *View) Judge(o *cutoff.Owner) cutoff.Pos {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.set.Judge(o)
}

// Latest returns the largest position of a cutoff that covers an artefact of o.
func (v *View) Latest(o *cutoff.Owner, k cutoff.Kind) cutoff.Pos {
	p, _, _ := v.latest(o, k)
	return p
}

// Head returns the position up to which everything is merged, and its mark.
func (v *View) Head() (cutoff.Pos, Mark) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.pos, v.mark
}

// After returns the lines after pos up to the view's head, both read at one
// instant. ok is false when pos is older than what is kept, or unknown.
func (v *View) After(pos cutoff.Pos) (lines []LineAt, head cutoff.Pos, mark Mark, ok bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if pos == v.pos {
		return nil, v.pos, v.mark, true
	}
	// Binary search for the first line after pos; the one before it must be
	// pos itself, or nobody knows what lies in between.
	lo, hi := 0, len(v.recent)
	for lo < hi {
		m := (lo + hi) / 2
		if v.recent[m].Pos > pos {
			hi = m
		} else {
			lo = m + 1
		}
	}
	if lo >= len(v.recent) || v.recent[lo].prev != pos {
		return nil, v.pos, v.mark, false
	}
	return v.recent[lo:len(v.recent):len(v.recent)], v.pos, v.mark, true
}

// Wait returns when the head is beyond pos, or when ctx is done.
func (v *View) Wait(ctx context.Context, pos cutoff.Pos) error {
	for {
		v.mu.RLock()
		moved, ch := v.pos > pos, v.changed
		v.mu.RUnlock()
		if moved {
			return nil
		}
		select {
		case <-ch:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Changed returns a channel that is closed when the head moves next.
func (v *View) Changed() <-chan struct{} {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.changed
}

// Cutoffs returns how many scope:id pairs are held, for the metrics.
func (v *View) Cutoffs() int {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.set.Len()
}
