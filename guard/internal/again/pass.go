package again

import (
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/curfew-id/curfew/cutoff"
)

// Pass says up to where a token was judged, from one address or from any.
type Pass struct {
	From netip.Addr // of no meaning where the token is good from everywhere
	Pos  cutoff.Pos
	// Until is a wall ns from which it is refused because the server said so; 0: as
	// the token says itself.
	Until int64
	// Alive is the version of the guard's view at which nothing spoke against it.
	Alive atomic.Uint64
}

// Passes are those of one token. It never changes: with an answer there is another.
type Passes struct {
	located bool // good from the addresses it has passes for, and from no other
	all     []*Pass
}

// maxPasses bounds the addresses remembered for one token; the oldest is asked for
// again.
const maxPasses = 16

// Born is what a token brings along: it was judged when it was born, from everywhere,
// or, located, only from an address; the zero Addr: from none.
func Born(pos cutoff.Pos, located bool, from netip.Addr) *Passes {
	return &Passes{located: located, all: []*Pass{{From: from, Pos: pos}}}
}

// Of is the pass for an address; nil: there is none.
func (p *Passes) Of(from netip.Addr) *Pass {
	if !p.located {
		return p.all[0]
	}
	if !from.IsValid() {
		return nil // not known: it is asked for each time
	}
	for _, x := range p.all {
		if x.From == from {
			return x
		}
	}
	return nil
}

// Newest is the position of the newest pass: no answer from before it is taken.
func (p *Passes) Newest() (pos cutoff.Pos) {
	for _, x := range p.all {
		pos = max(pos, x.Pos)
	}
	return pos
}

// With are the passes after an answer that admits from an address. What was admitted
// from others keeps the position up to which that was judged: a later doubt covers it.
func (p *Passes) With(from netip.Addr, a *Answer, until int64) *Passes {
	x := &Pass{From: from, Pos: a.Judged, Until: until}
	if !a.Here {
		return &Passes{all: []*Pass{x}}
	}
	next := &Passes{located: true}
	if p.located {
		next.all = slices.DeleteFunc(slices.Clone(p.all), func(o *Pass) bool { return o.From == from })
	}
	next.all = append(next.all, x)
	if n := len(next.all) - maxPasses; n > 0 {
		next.all = next.all[n:]
	}
	return next
}
