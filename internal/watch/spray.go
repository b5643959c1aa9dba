package watch

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// sprayFor is how long a wrong password is remembered.
	sprayFor = 10 * time.Minute
	// maxAddresses bounds what is remembered, to some 10 MiB at the worst. Beyond it the
	// address that failed least lately makes room.
	maxAddresses = 4096
	maxName      = 256 // bytes of a name that are kept
	maxAccounts  = 64  // of one address; more say nothing more
)

// failures are wrong passwords of late: at which accounts, by address. Its zero value
// is ready.
type failures struct {
	mu sync.Mutex
	by map[string]map[string]time.Time // guarded by mu: address, account, when last
}

// note remembers one.
func (f *failures) note(ip, account string, now time.Time) {
	key, account := addressKey(ip), account[:min(len(account), maxName)]
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.by == nil {
		f.by = map[string]map[string]time.Time{}
	}
	at := f.by[key]
	if at == nil {
		if len(f.by) >= maxAddresses {
			f.makeRoom()
		}
		at = map[string]time.Time{}
		f.by[key] = at
	}
	if _, there := at[account]; there || len(at) < maxAccounts {
		at[account] = now
	}
}

// makeRoom drops, of a few addresses in random order, the one with the fewest accounts:
// in a flood of addresses with one each, those that spray are what is remembered.
func (f *failures) makeRoom() {
	drop, least, seen := "", 0, 0
	for key, at := range f.by {
		if seen == 0 || len(at) < least {
			drop, least = key, len(at)
		}
		if seen++; seen == 16 {
			break
		}
	}
	delete(f.by, drop)
}

// accounts counts the accounts at which an address failed of late.
func (f *failures) accounts(ip string, now time.Time) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := addressKey(ip)
	for account, at := range f.by[key] {
		if now.Sub(at) > sprayFor {
			delete(f.by[key], account)
			continue
		}
		n++
	}
	if n == 0 {
		delete(f.by, key)
	}
	return n
}

// addressKey is what counts as one address: an IPv4 address, or the /64 of an IPv6 one.
func addressKey(ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return ip
	}
	if a = a.Unmap().WithZone(""); a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}
