package clientauth

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/curfew-id/curfew/internal/fault"
)

// What anybody can have stored who has proven nothing (device codes, requests that
// are pushed or posted): so much at once from one network, and so often one more.
// Behind one address may be a whole company, and behind a proxy everybody.
const (
	strangerBurst = 300
	strangerEvery = 100 * time.Millisecond
	maxStrangers  = 32768
)

// Strangers remembers when the allowance of each network is whole again (GCRA), in
// this process. The zero value is ready.
type Strangers struct {
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

// Admit counts one thing that is to be stored for somebody at an address who has
// proven nothing. Kinds: Limited.
func (x *Strangers) Admit(ip string, now time.Time) error {
	place := network(ip)
	x.mu.Lock()
	defer x.mu.Unlock()
	at, known := x.whole[place]
	if at.Before(now) {
		at = now
	}
	if wait := at.Add(strangerEvery).Sub(now) - strangerBurst*strangerEvery; wait > 0 {
		seconds := int64((wait + time.Second - 1) / time.Second)
		return fault.New(fault.Limited, fmt.Sprintf("Too many requests from this address. Try again in %d seconds.", seconds))
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
func (x *Strangers) makeRoom() {
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
