package policy

import (
	"cmp"
	"net/netip"
	"slices"
)

// sides are the policies that something includes, and those that it spares.
type sides struct{ in, ex set }

func (s sides) or(t sides) sides { return sides{s.in.or(t.in), s.ex.or(t.ex)} }

// spans answers which policies an address is included in or spared by, in one
// binary search however many ranges there are: starts are where the answer
// changes, in order, and each has the answer from there on. The families are
// apart: an IPv6 range never holds an IPv4 address, mapped or not.
type spans struct {
	starts  []netip.Addr
	answers []int32 // of distinct
	all     []sides
}

type edge struct {
	at    netip.Addr
	place int // of the range
	ends  bool
}

// newSpans merges ranges, each with what it means.
func newSpans(ranges []netip.Prefix, means []sides) spans {
	edges := make([]edge, 0, 2*len(ranges))
	for i, r := range ranges {
		edges = append(edges, edge{at: r.Addr(), place: i})
		if after := last(r).Next(); after.IsValid() { // the highest range never ends
			edges = append(edges, edge{at: after, place: i, ends: true})
		}
	}
	slices.SortStableFunc(edges, func(a, b edge) int { return a.at.Compare(b.at) })
	var s spans
	open := map[sides]int{} // ranges are nested or apart, but many may mean the same
	known := map[sides]int32{}
	for i, e := range edges {
		if e.ends {
			if open[means[e.place]]--; open[means[e.place]] == 0 {
				delete(open, means[e.place])
			}
		} else {
			open[means[e.place]]++
		}
		if i+1 < len(edges) && edges[i+1].at == e.at {
			continue
		}
		var now sides
		for m := range open {
			now = now.or(m)
		}
		n, ok := known[now]
		if !ok {
			n = int32(len(s.all))
			known[now], s.all = n, append(s.all, now)
		}
		s.starts, s.answers = append(s.starts, e.at), append(s.answers, n)
	}
	return s
}

func (s *spans) at(a netip.Addr) sides {
	lo, hi := 0, len(s.starts)
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); s.starts[mid].Compare(a) <= 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return sides{}
	}
	return s.all[s.answers[lo-1]]
}

// apart sorts ranges and drops those that are inside others.
func apart(ranges []netip.Prefix) []netip.Prefix {
	slices.SortFunc(ranges, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	out := ranges[:0]
	for _, r := range ranges {
		if n := len(out); n == 0 || !out[n-1].Contains(r.Addr()) {
			out = append(out, r)
		}
	}
	return out
}

// last is the highest address of a range.
func last(p netip.Prefix) netip.Addr {
	b, n := p.Addr().AsSlice(), p.Bits()
	for i := range b {
		switch {
		case n <= 0:
			b[i] = 0xff
		case n < 8:
			b[i] |= 0xff >> n
		}
		n -= 8
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// plain is the form in which addresses are compared: IPv4 as such, no zone.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }
