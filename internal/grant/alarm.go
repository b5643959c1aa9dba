package grant

import (
	"net/netip"
	"strings"
	"time"
)

// A retry looks the same whether its owner lost the answer or a thief holds the
// token too, and both get the same successor. Some retries make a thief more
// likely: they are answered like any other, and told to people.

// Alarm is what is suspicious about a retry. Zero: nothing, or nothing that was
// not told less than alarmEvery ago.
type Alarm uint8

// The conditions.
const (
	// Elsewhere: it came from another network than the first use of its
	// generation. Whoever moves between two generations raises no alarm.
	Elsewhere Alarm = 1 << iota
	// InARow: in this many generations running, some resource was asked for a
	// second time. A client that redeems one token for several resources asks
	// for each of them once.
	InARow
)

const conditions = 2

// manyInARow generations: two lost answers running happen to people on trains.
const manyInARow = 3

// alarmEvery is how often a condition is told of one grant. Whoever holds a
// refresh token can make as many generations as they like, and must not be able
// to fill the audit log with them. It is longer than a generation can be
// retried, so that each generation is told of once at most.
const alarmEvery = time.Hour

// String names the conditions.
func (a Alarm) String() string {
	var names []string
	if a&Elsewhere != 0 {
		names = append(names, "another network")
	}
	if a&InARow != 0 {
		names = append(names, "generations in a row")
	}
	return strings.Join(names, ", ")
}

// suspect says what is suspicious about the retry u, which is counted already,
// and remembers that it said so.
func (s *State) suspect(u Use) (a Alarm) {
	// A request that came in time and was served late, when its successor had
	// been used too, is not compared: the network of its first use is forgotten.
	// If it was a thief's, thief and owner now hold the same newest token, and
	// the next use tells them apart.
	if u.Generation == s.Generation-1 && s.Network.IsValid() && u.Network.IsValid() && s.Network != u.Network {
		a |= Elsewhere
	}
	if s.repeated() && s.Row >= manyInARow {
		a |= InARow
	}
	for i := range s.Alarmed {
		switch c := Alarm(1) << i; {
		case a&c == 0:
		case recent(s.Alarmed[i], u.Now):
			a &^= c
		default:
			s.Alarmed[i] = u.Now.Unix()
		}
	}
	return a
}

// recent reports whether an alarm was told too short a while ago to be told
// again. One from the future, told by a clock that was wrong, silences nothing.
func recent(told int64, now time.Time) bool {
	return told != 0 && now.Sub(time.Unix(told, 0)).Abs() < alarmEvery
}

// repeated reports whether some resource was answered twice for the generation
// before the current one.
func (s *State) repeated() bool {
	for r, n := range s.Retries {
		if n > 1 || r == s.Resource {
			return true
		}
	}
	return false
}

// Bits of an address that make its network: mostly one household, one office or
// one carrier's pool.
const (
	ipv4Bits = 24
	ipv6Bits = 48
)

// NetworkOf returns the network of an IP address, as far as retries are compared
// by it: no full address is kept. What is not an IP address gives the zero
// prefix, which is compared with nothing.
func NetworkOf(address string) netip.Prefix {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}
	}
	a = a.Unmap().WithZone("")
	bits := ipv6Bits
	if a.Is4() {
		bits = ipv4Bits
	}
	p, _ := a.Prefix(bits) // fails for more bits than there are only
	return p
}

// NetworkText is a network for people.
func NetworkText(p netip.Prefix) string {
	if !p.IsValid() {
		return "unknown"
	}
	return p.String()
}
