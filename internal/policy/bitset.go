package policy

import "math/bits"

// MaxPolicies bounds a set (Entra: 240).
const MaxPolicies = 256

// set is a set of policies by their place in a [Set].
type set [MaxPolicies / 64]uint64

func (s *set) add(i int)      { s[i/64] |= 1 << (i % 64) }
func (s *set) has(i int) bool { return s[i/64]>>(i%64)&1 == 1 }

func (s set) or(t set) set {
	return set{s[0] | t[0], s[1] | t[1], s[2] | t[2], s[3] | t[3]}
}

func (s set) and(t set) set {
	return set{s[0] & t[0], s[1] & t[1], s[2] & t[2], s[3] & t[3]}
}

func (s set) less(t set) set {
	return set{s[0] &^ t[0], s[1] &^ t[1], s[2] &^ t[2], s[3] &^ t[3]}
}

// take adds what a and b have in common, in place: there are up to two hundred
// steps of it in a decision. It reports whether that was anything.
func (s *set) take(a, b *set) bool {
	var any uint64
	for i := range s {
		x := a[i] & b[i]
		s[i] |= x
		any |= x
	}
	return any != 0
}

func (s set) empty() bool { return s == set{} }

// next returns the first member at or after i, or -1.
func (s *set) next(i int) int {
	for w := i / 64; w < len(s); w++ {
		if x := s[w] >> (i % 64) << (i % 64); x != 0 {
			return w*64 + bits.TrailingZeros64(x)
		}
		i = 0
	}
	return -1
}
