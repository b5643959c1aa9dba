package where

import (
	"net/http"
	"net/netip"
	"strings"
)

// Remote is the other end of the connection.
func Remote(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}

// maxHops bounds the proxies that a request may have come through.
const maxHops = 32

// Behind is where a request comes from for a service behind proxies: of a
// request that comes from one of them it follows X-Forwarded-For backwards to the
// first address that is not a proxy's. Name every network in which proxies are and
// nothing else: whoever is in one can claim to be anywhere. A header that cannot be
// read leaves the address unknown.
func Behind(proxies ...netip.Prefix) func(*http.Request) netip.Addr {
	trusted := func(a netip.Addr) bool {
		for _, p := range proxies {
			if p.Contains(a) {
				return true
			}
		}
		return false
	}
	return func(r *http.Request) netip.Addr {
		at := Remote(r)
		if !trusted(at) {
			return at
		}
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		if len(hops) > maxHops {
			return netip.Addr{}
		}
		for i := len(hops) - 1; i >= 0 && trusted(at); i-- {
			hop := strings.TrimSpace(hops[i])
			if with, err := netip.ParseAddrPort(hop); err == nil { // some write the port too
				at = with.Addr()
			} else if at, err = netip.ParseAddr(hop); err != nil {
				return netip.Addr{}
			}
			at = at.Unmap().WithZone("")
		}
		return at
	}
}
