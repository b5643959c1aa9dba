package webkit

import (
	"net"
	"net/http"
	"strings"
)

// Address is where a request came from, without the port: for audit, throttling
// and logs.
func Address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// NamesTenant reports whether the first part of an address names this directory,
// by its id, its domain (empty: it has none) or one of Microsoft's words for
// whatever directory there is. Their libraries send any case.
func NamesTenant(name, tenant, domain string) bool {
	for _, n := range []string{tenant, "common", "organizations", domain} {
		if n != "" && strings.EqualFold(name, n) {
			return true
		}
	}
	return false
}
