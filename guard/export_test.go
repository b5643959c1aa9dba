package guard

import (
	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/guard/internal/dpop"
)

// Cached returns how many tokens the cache holds.
func (g *Guard) Cached() (n int) {
	for i := range g.cache.shards {
		s := &g.cache.shards[i]
		s.mu.RLock()
		n += len(s.m)
		s.mu.RUnlock()
	}
	return n
}

// Touch makes every entry look itself up again, as a line that changed the set does.
func (g *Guard) Touch() {
	v := *g.view.Load()
	v.version++
	g.view.Store(&v)
}

// CutHeld goes over the held requests as after a line.
func (g *Guard) CutHeld(l *cutoff.Line) { g.cutHeld(l) }

// ReadProof reads a DPoP proof.
func ReadProof(text string) error { _, err := dpop.Read(text); return err }
