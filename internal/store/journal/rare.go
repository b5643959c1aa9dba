package journal

import (
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
)

// How much of what anybody can cause is written down: one a minute for an
// application from a network, and of all together so many at once and one more
// every so often, some 8,700 a day.
const (
	rarePlace = time.Minute
	rareAll   = 60
	rareEvery = 10 * time.Second
	maxRare   = 4096
)

// rare counts what came without any proof.
type rare struct {
	mu     sync.Mutex
	last   map[place]time.Time // guarded by mu
	whole  time.Time           // guarded by mu: when all may be written again (GCRA)
	unsaid int64               // guarded by mu: how many are not written, since the last that is
}

type place struct {
	app     directory.AppID
	network netip.Prefix
}

// Rarely is Add for a refusal of somebody who has proven nothing: a wrong secret, an
// answer of another provider that is not believed. Whoever can send bytes could fill
// the disk with them, so that most of a flood is counted only, and the next entry
// says of how many.
func (j *Journal) Rarely(e *Entry) {
	if j == nil {
		return
	}
	now, p := j.cfg.Now(), place{app: e.App}
	if a, err := netip.ParseAddr(e.IP); err == nil {
		a = a.Unmap()
		p.network, _ = a.Prefix(min(a.BitLen(), 64)) // of an IPv6 network everybody has all of a /64
	}
	j.rare.mu.Lock()
	defer j.rare.mu.Unlock()
	r := &j.rare
	if r.whole.Before(now) || r.whole.Sub(now) > 2*rareAll*rareEvery { // a clock was set back
		r.whole = now
	}
	if since := now.Sub(r.last[p]); since >= 0 && since < rarePlace || r.whole.Add(rareEvery).Sub(now) > rareAll*rareEvery {
		r.unsaid++
		return
	}
	r.whole = r.whole.Add(rareEvery)
	if len(r.last) >= maxRare || r.last == nil { // what all together have still bounds it
		r.last = map[place]time.Time{}
	}
	r.last[p] = now
	if r.unsaid > 0 {
		e.Reason += " Before this, " + strconv.FormatInt(r.unsaid, 10) + " more like it were refused and not written down."
		r.unsaid = 0
	}
	j.Add(e)
}
