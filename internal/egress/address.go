package egress

import (
	"net/netip"
	"strings"

	"github.com/curfew-id/curfew/internal/fault"
)

// Allow is what the operator opened besides the public internet. The zero Allow
// opens nothing.
type Allow struct {
	nets  []netip.Prefix
	hosts []string // lower case, without a final dot
}

// ParseAllow reads networks (10.1.0.0/16), addresses and host names, separated by
// commas or spaces. A host name opens whatever addresses it has when it is asked.
// Kinds: Invalid.
func ParseAllow(s string) (Allow, error) {
	var a Allow
	for word := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' }) {
		if p, err := netip.ParsePrefix(word); err == nil {
			a.nets = append(a.nets, p.Masked())
		} else if ip, err := netip.ParseAddr(word); err == nil && ip.Zone() == "" {
			a.nets = append(a.nets, netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen()))
		} else if host := strings.ToLower(strings.TrimSuffix(word, ".")); plainHost(host) {
			a.hosts = append(a.hosts, host)
		} else {
			return Allow{}, fault.New(fault.Invalid, "The list of allowed addresses holds something that is neither a network, an address nor a host name.")
		}
	}
	return a, nil
}

// host reports whether a name was opened whatever its addresses are.
func (a Allow) host(name string) bool {
	for _, h := range a.hosts {
		if h == name {
			return true
		}
	}
	return false
}

func (a Allow) net(ip netip.Addr) bool { return within(a.nets, ip) }

// A class is why an address is not to be asked; empty: it is public.
type class string

const (
	public      class = ""
	loopback    class = "this machine"
	private     class = "a private network"
	linkLocal   class = "the local link"
	multicast   class = "many machines at once"
	unspecified class = "no machine"
	embedded    class = "an address inside another one"
	reserved    class = "no public server"
	metadata    class = "the credentials of this machine"
)

// opens reports whether an operator can open the class.
func (c class) opens() bool {
	return c == loopback || c == private || c == linkLocal || c == reserved
}

var (
	// Clouds hand out the machine's credentials here (link-local for most; Azure,
	// Alibaba, Oracle and the IPv6 one of Amazon beside).
	metadataNets = prefixes("169.254.169.254/32", "169.254.169.253/32", "169.254.170.2/32", "169.254.170.23/32",
		"168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32", "fd00:ec2::/32", "fd20:ce::254/128")

	privateNets = prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")

	// The special-purpose registries (RFC 6890 and its successors) but for what
	// has a class of its own.
	reservedNets = prefixes("0.0.0.0/8", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
		"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", "2001::/23", "2001:db8::/32", "3fff::/20")

	// 6to4, Teredo, the local NAT64 prefix, and IPv4-compatible addresses carry an
	// IPv4 address that a router on the way may unpack.
	embeddingNets = prefixes("2002::/16", "2001::/32", "64:ff9b:1::/48", "::/96")

	nat64        = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052: IPv6-only networks reach IPv4 by it
	globalPrefix = netip.MustParsePrefix("2000::/3")
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

func within(nets []netip.Prefix, ip netip.Addr) bool {
	for _, n := range nets {
		if n.Contains(ip) {
			return true
		}
	}
	return false
}

// classify judges one address. An IPv4 address in IPv6 clothes (mapped, or behind
// the well-known NAT64 prefix) is judged as what it is.
func classify(ip netip.Addr) class {
	if ip = ip.Unmap().WithZone(""); nat64.Contains(ip) {
		b := ip.As16()
		ip = netip.AddrFrom4([4]byte(b[12:]))
	}
	switch {
	case !ip.IsValid() || ip.IsUnspecified():
		return unspecified
	case within(metadataNets, ip):
		return metadata
	case ip.IsLoopback():
		return loopback
	case ip.IsLinkLocalUnicast():
		return linkLocal
	case ip.IsMulticast():
		return multicast
	case within(privateNets, ip):
		return private
	case within(embeddingNets, ip):
		return embedded
	case within(reservedNets, ip), ip.Is6() && !globalPrefix.Contains(ip):
		return reserved
	}
	return public
}
