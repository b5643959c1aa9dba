package policy

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
)

// Condition is what must go on holding while tokens of one grant are in use: what
// a guard compares each request with, knowing nothing of policies. The zero
// Condition always holds. It is data only, to be carried with the feed.
type Condition struct {
	// Never: nothing was to be handed out in the first place.
	Never bool
	// From and Until bound the instants at which it holds, From included; zero: no
	// bound.
	From, Until time.Time
	// Refused: it does not hold where any of these fits.
	Refused []Case
	// Device of the grant; zero: none was recognised, and nothing can be told of it.
	Device directory.DeviceID
}

// Case is a situation in which something would be blocked or asked for. It fits
// when all its parts do, and not between From and Until if these are set.
type Case struct {
	In, Out              *Area // nil: everywhere; nowhere
	SignInRisk, UserRisk uint8 // bit n: the [Risk] n, unknown included
	Device               uint16
	From, Until          time.Time
}

// Area is a set of addresses and countries.
type Area struct {
	Ranges    []netip.Prefix // in order, none inside another
	Countries []Country
}

// Seen is what a guard knows of one request. What is not known counts as in
// [Set.Decide].
type Seen struct {
	Now                  time.Time
	Address              netip.Addr
	Country              Country // of Address; of no use without a database
	SignInRisk, UserRisk Risk
	Compliant            Tri
	Trust                Trust
}

const (
	anyRisk   = uint8(1)<<(HighRisk+1) - 1
	trusts    = int(Registered) + 1
	anyDevice = uint16(1)<<(3*trusts) - 1
)

// deviceBit numbers what may be told of a recognised device.
func deviceBit(c Tri, t Trust) uint16 { return 1 << (int(c)*trusts + int(t)) }

// Holds reports whether a request may be served.
func (c *Condition) Holds(x Seen) bool {
	if c.Never || !between(x.Now, c.From, c.Until) {
		return false
	}
	d := known(Device{ID: c.Device, Compliant: x.Compliant, Trust: x.Trust})
	x.Compliant, x.Trust = d.Compliant, d.Trust
	if x.SignInRisk > HighRisk {
		x.SignInRisk = 0
	}
	if x.UserRisk > HighRisk {
		x.UserRisk = 0
	}
	for i := range c.Refused {
		if c.Refused[i].fits(&x) {
			return false
		}
	}
	return true
}

// Located reports whether it depends on where a request comes from.
func (c *Condition) Located() bool {
	return slices.ContainsFunc(c.Refused, func(k Case) bool { return k.In != nil || k.Out != nil })
}

func between(now, from, until time.Time) bool {
	return (from.IsZero() || !now.Before(from)) && (until.IsZero() || now.Before(until))
}

func (k *Case) fits(x *Seen) bool {
	if k.SignInRisk>>x.SignInRisk&1 == 0 || k.UserRisk>>x.UserRisk&1 == 0 || k.Device&deviceBit(x.Compliant, x.Trust) == 0 {
		return false
	}
	if !k.From.IsZero() && between(x.Now, k.From, k.Until) {
		return false
	}
	return (k.In == nil || k.In.has(x, true)) && (k.Out == nil || !k.Out.has(x, false))
}

// has takes doubt for what is said to be the answer in doubt.
func (a *Area) has(x *Seen, doubt bool) bool {
	if ip := plain(x.Address); !ip.IsValid() {
		if doubt && len(a.Ranges) > 0 {
			return true
		}
	} else if i, _ := slices.BinarySearchFunc(a.Ranges, ip, func(r netip.Prefix, ip netip.Addr) int { return cmp.Or(r.Addr().Compare(ip), -1) }); i > 0 && a.Ranges[i-1].Contains(ip) {
		return true
	}
	if x.Country == (Country{}) {
		return doubt && len(a.Countries) > 0
	}
	return slices.Contains(a.Countries, x.Country)
}

// Condition says under which circumstances the verdict on f would still be to
// allow, if address, country, time, risk, and what is told of the device changed
// and nothing else did: it holds exactly then. Whatever else changes (the person's
// groups, the policies) cuts the tokens or makes a new Condition.
func (s *Set) Condition(f *Facts) Condition {
	v := s.Decide(f)
	if v.Decision != Allow {
		return Condition{Never: true}
	}
	c := Condition{Device: f.Device.ID}
	live := s.on
	for _, of := range []int{ofUsers, ofApps, ofClient, ofPlatform, ofFlow} {
		live = live.less(v.ruled[of])
	}
	given := s.given(f) &^ deviceBits
	for i := live.next(0); i >= 0; i = live.next(i + 1) {
		p := &s.policies[i]
		k := Case{SignInRisk: watched(p.SignInRisk), UserRisk: watched(p.UserRisk)}
		if s.placed.has(i) {
			k.In, k.Out = s.in[i].told(), s.ex[i].told()
			if s.in[i].all {
				k.In = nil
			}
			if k.In != nil && len(k.In.Ranges)+len(k.In.Countries) == 0 {
				continue // it is about places of which there are none
			}
		}
		hits, bites := s.deviceStates(i, f.Device, given)
		if k.Device = bites; bites != 0 {
			c.refuse(k)
		}
		if k.Device = hits; hits != 0 && p.Session != nil && p.Session.Frequency != nil {
			older, newer := f.proof(p.Session.Frequency.Secondary)
			k.From, k.Until = newer.Add(-Grace), older.Add(p.Session.Frequency.life())
			c.refuse(k)
		}
	}
	return c
}

// refuse adds a case, or what it comes to where it depends on the time only.
func (c *Condition) refuse(k Case) {
	whatever := k.In == nil && k.Out == nil && k.SignInRisk == anyRisk && k.UserRisk == anyRisk && k.Device == anyDevice
	if !whatever || k.From.IsZero() {
		c.Refused = append(c.Refused, k)
		return
	}
	if k.From.After(c.From) {
		c.From = k.From
	}
	if c.Until.IsZero() || k.Until.Before(c.Until) {
		c.Until = k.Until
	}
}

// watched are the risks at which a policy applies: those it names, and unknown.
func watched(r Risks) uint8 {
	if r == 0 {
		return anyRisk
	}
	return uint8(r)<<1 | 1
}

// deviceStates are what might be told of the device so that policy i applies, and
// so that then it blocks or something is not given.
func (s *Set) deviceStates(i int, d Device, given Needs) (hits, bites uint16) {
	x := s.asked(i)
	for c := Unknown; c <= No; c++ {
		for t := NotKnown; t <= Registered; t++ {
			told := Device{ID: d.ID, Compliant: c, Trust: t}
			if s.spares(i, known(told)) {
				continue
			}
			hits |= deviceBit(c, t)
			missing := x.needs &^ (given | byDevice(known(told)))
			if s.blocks.has(i) || missing != 0 && !(x.any && missing != x.needs) {
				bites |= deviceBit(c, t)
			}
		}
	}
	return hits, bites
}

// spares reports whether a filter of policy i rules it out for a device.
func (s *Set) spares(i int, d Device) bool {
	for j := range s.filters {
		x := &s.filters[j]
		if x.in.has(i) && x.rule.fits(d) == No || x.ex.has(i) && x.rule.fits(d) == Yes {
			return true
		}
	}
	return false
}

// told is the area in the form that guards are told.
func (a *area) told() *Area {
	if len(a.ranges)+len(a.countries) == 0 && a.all {
		return nil
	}
	return &Area{Ranges: a.ranges, Countries: a.countries}
}
