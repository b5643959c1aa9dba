package issue

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/revoke"
)

// What anybody can have stored who has proven nothing (device codes, requests that
// are pushed or posted): so much at once from one network, and so often one more.
// Behind one address may be a whole company, and behind a proxy everybody.
const (
	strangerBurst = 300
	strangerEvery = 100 * time.Millisecond
	maxStrangers  = 32768
)

// strangers remembers when the allowance of each network is whole again (GCRA), in
// this process.
type strangers struct {
	mu    sync.Mutex
	whole map[netip.Prefix]time.Time // guarded by mu
}

// network is what counts as one place: an IPv4 address, or the /64 of an IPv6 one.
// Places that are not known count as one.
func network(ip string) (p netip.Prefix) {
	if a, err := netip.ParseAddr(ip); err == nil {
		a = a.Unmap().WithZone("")
		p, _ = a.Prefix(min(a.BitLen(), 64))
	}
	return p
}

// Stranger counts one thing that is to be stored for somebody at an address who
// has proven nothing. Kinds: Limited, with [revoke.TooMany].
func (s *Service) Stranger(ip string) error {
	now, place := s.Now(), network(ip)
	x := &s.strangers
	x.mu.Lock()
	defer x.mu.Unlock()
	at, known := x.whole[place]
	if at.Before(now) {
		at = now
	}
	if wait := at.Add(strangerEvery).Sub(now) - strangerBurst*strangerEvery; wait > 0 {
		seconds := int64((wait + time.Second - 1) / time.Second)
		return fault.Wrap(fault.Limited, fmt.Sprintf("Too many requests from this address. Try again in %d seconds.", seconds), &revoke.TooMany{Until: now.Add(wait)})
	}
	if !known && len(x.whole) >= maxStrangers {
		x.makeRoom()
	}
	if x.whole == nil {
		x.whole = map[netip.Prefix]time.Time{}
	}
	x.whole[place] = at.Add(strangerEvery)
	return nil
}

// makeRoom drops, of a few networks in random order, the one that owes least. The
// caller holds mu.
func (x *strangers) makeRoom() {
	var drop netip.Prefix
	var least time.Time
	seen := 0
	for p, at := range x.whole {
		if seen == 0 || at.Before(least) {
			drop, least = p, at
		}
		if seen++; seen == 16 {
			break
		}
	}
	delete(x.whole, drop)
}
