package policy

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
)

// World is what policies refer to.
type World struct {
	Locations []Location
	Strengths []Strength
	// Spared are break-glass accounts: no policy ever touches them. They are for
	// the day on which a policy locks everybody else out.
	Spared []directory.UserID
}

// Bounds of a [Set] beside [MaxPolicies]: of what policies name, all together.
const (
	MaxStrengths = firstTerms - firstStrength
	MaxTerms     = 64 - firstTerms
	MaxRanges    = 50000
)

// The conditions, in the order in which they are looked at.
const (
	ofUsers = iota
	ofApps
	ofClient
	ofPlatform
	ofPlace
	ofDevice
	ofSignInRisk
	ofUserRisk
	ofFlow
	conditions
)

// table answers a condition that compares one small value: by[value] are the
// policies that let it pass, limited those that look at it.
type table struct {
	by      [Linux + 1]set // as many as the largest of them has
	defined uint8          // the highest value that means something
	limited set
}

// at counts a value that nobody has defined as one that is not known.
func (t *table) at(x uint8) (pass, unsure set) {
	if x == 0 || x > t.defined {
		return full, t.limited
	}
	return t.by[x], set{}
}

var full = set{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}

// filter is one rule, for all policies that have it.
type filter struct {
	text   string
	rule   Rule
	in, ex set
}

// ask is what is demanded, for all policies that demand just that.
type ask struct {
	needs Needs
	any   bool
	by    set
}

// rate is a sign-in frequency, for all policies that have it.
type rate struct {
	Frequency
	by set
}

// area is where a policy's places are, resolved: what a country or an address is
// compared with.
type area struct {
	all       bool
	ranges    []netip.Prefix
	countries []Country
}

// Set is policies made ready to decide. It never changes and may be shared.
type Set struct {
	policies   []Policy // by id: the order in which they came means nothing
	on, report set

	everybody set
	users     map[directory.UserID]sides
	groups    map[directory.GroupID]sides
	named     []directory.GroupID // those of groups
	roles     map[directory.RoleID]sides
	guests    [guestKinds + 2]sides // no guest, the kinds, and one that nobody has defined
	spared    map[directory.UserID]bool
	risky     bool

	everyApp          set
	apps              map[string]sides
	actions           [3]set
	contexts          [MaxContext + 1]set
	tables            [conditions]table
	placed, anywhere  set // look at the place; include every place
	v4, v6            spans
	countries         map[Country]sides
	addressed, landed sides // include or spare by address, by country
	in, ex            []area
	filters           []filter

	blocks                     set
	asks                       []ask
	rates                      []rate // shortest first
	strengths                  []Strength
	terms                      []string
	always, never, appEnforced set
	continuous                 [StrictEnforcement + 1]set
}

const guestKinds = 6 // as in guestNames

// Compile makes a set. What a policy names and the world does not have cannot
// excuse anybody: a location that is gone includes every place and spares none,
// a strength that is gone is never met, a rule that cannot be read picks every
// device. It fails only where there is too much: kind Invalid.
func Compile(policies []Policy, w World) (*Set, error) {
	if len(policies) > MaxPolicies {
		return nil, fault.New(fault.Invalid, "There are more than "+strconv.Itoa(MaxPolicies)+" policies.")
	}
	s := &Set{policies: slices.Clone(policies), users: map[directory.UserID]sides{}, groups: map[directory.GroupID]sides{}, roles: map[directory.RoleID]sides{},
		spared: map[directory.UserID]bool{}, apps: map[string]sides{}, countries: map[Country]sides{}, in: make([]area, len(policies)), ex: make([]area, len(policies))}
	slices.SortStableFunc(s.policies, func(a, b Policy) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Name, b.Name)) })
	for _, u := range w.Spared {
		s.spared[u] = true
	}
	if err := s.name(w); err != nil {
		return nil, err
	}
	for i := range s.policies {
		p := &s.policies[i]
		switch p.State {
		case On:
			s.on.add(i)
		case ReportOnly:
			s.report.add(i)
		}
		if p.State == On || p.State == ReportOnly {
			s.risky = s.risky || p.SignInRisk != 0 || p.UserRisk != 0
		}
		s.addWho(i, p)
		s.addApps(i, p)
		s.addConditions(i, p)
		s.addEffects(i, p)
	}
	for id := range s.groups {
		s.named = append(s.named, id)
	}
	slices.SortFunc(s.named, func(a, b directory.GroupID) int { return slices.Compare(a[:], b[:]) })
	slices.SortFunc(s.rates, func(a, b rate) int { return cmp.Compare(a.life(), b.life()) })
	return s, s.addPlaces(w)
}

// Closed is the set for while policies cannot be read: nobody gets in but who is
// spared by all of them, whatever they say.
func Closed(spared []directory.UserID) *Set {
	const name = "(a policy that cannot be read)"
	block := func(a Apps) Policy {
		return Policy{Name: name, State: On, Include: Who{All: true}, Apps: a, Clients: AllClients, Grant: &Grant{Block: true}}
	}
	s, _ := Compile([]Policy{block(Apps{All: true}), block(Apps{Actions: 1<<(RegisterSecurityInfo-1) | 1<<(RegisterDevice-1)})}, World{Spared: spared}) // two are never too much
	return s
}

// name numbers the strengths and terms of use that policies name, in order.
func (s *Set) name(w World) error {
	var strengths []string
	for i := range s.policies {
		if g := s.policies[i].Grant; g != nil {
			s.terms = append(s.terms, g.Terms...)
			if g.Strength != "" {
				strengths = append(strengths, g.Strength)
			}
		}
	}
	slices.Sort(s.terms)
	slices.Sort(strengths)
	s.terms, strengths = slices.Compact(s.terms), slices.Compact(strengths)
	if len(strengths) > MaxStrengths || len(s.terms) > MaxTerms {
		return fault.New(fault.Invalid, "The policies name more than "+strconv.Itoa(MaxStrengths)+" authentication strengths or more than "+strconv.Itoa(MaxTerms)+" terms of use.")
	}
	for _, id := range strengths {
		x := Strength{ID: id}
		if i := slices.IndexFunc(w.Strengths, func(x Strength) bool { return x.ID == id }); i >= 0 {
			x = w.Strengths[i]
		}
		s.strengths = append(s.strengths, x)
	}
	return nil
}

// put notes policy i under a key.
func put[K comparable](m map[K]sides, k K, i int, ex bool) {
	x := m[k]
	x.add(i, ex)
	m[k] = x
}

func (x *sides) add(i int, ex bool) {
	if ex {
		x.ex.add(i)
	} else {
		x.in.add(i)
	}
}

func (s *Set) addWho(i int, p *Policy) {
	if p.Include.All {
		s.everybody.add(i)
	}
	for _, ex := range []bool{false, true} {
		w := &p.Include
		if ex {
			w = &p.Exclude
		}
		for _, id := range w.Users {
			put(s.users, id, i, ex)
		}
		for _, id := range w.Groups {
			put(s.groups, id, i, ex)
		}
		for _, id := range w.Roles {
			put(s.roles, id, i, ex)
		}
		for g := 1; g < len(s.guests); g++ {
			undefined := g > guestKinds
			if w.AnyGuest || undefined && !ex && w.Guests != 0 || !undefined && w.Guests>>(g-1)&1 == 1 {
				s.guests[g].add(i, ex)
			}
		}
	}
}

func (s *Set) addApps(i int, p *Policy) {
	a := &p.Apps
	if a.All {
		s.everyApp.add(i)
	}
	for _, id := range a.Include {
		put(s.apps, id, i, false)
	}
	for _, id := range a.Exclude {
		put(s.apps, id, i, true)
	}
	for n := range s.actions {
		if n > 0 && a.Actions>>(n-1)&1 == 1 {
			s.actions[n].add(i)
		}
	}
	for n := range s.contexts {
		if a.Contexts.Has(n) {
			s.contexts[n].add(i)
		}
	}
}

func (s *Set) addConditions(i int, p *Policy) {
	table := func(of int, defined uint8, limited bool, pass func(bit uint8) bool) {
		t := &s.tables[of]
		t.defined = defined
		if limited {
			t.limited.add(i)
		}
		for x := 1; x <= int(defined); x++ {
			if !limited || pass(1<<(x-1)) {
				t.by[x].add(i)
			}
		}
	}
	table(ofClient, uint8(OtherClient), p.Clients != 0 && p.Clients&AllClients == 0, func(bit uint8) bool { return uint8(p.Clients)&bit != 0 })
	in := p.IncludePlatforms
	if in == 0 || in&AllPlatforms != 0 {
		in = ^Platforms(0)
	}
	table(ofPlatform, uint8(Linux), in != ^Platforms(0) || p.ExcludePlatforms != 0, func(bit uint8) bool { return uint8(in&^p.ExcludePlatforms)&bit != 0 })
	table(ofSignInRisk, uint8(HighRisk), p.SignInRisk != 0, func(bit uint8) bool { return uint8(p.SignInRisk)&bit != 0 })
	table(ofUserRisk, uint8(HighRisk), p.UserRisk != 0, func(bit uint8) bool { return uint8(p.UserRisk)&bit != 0 })
	table(ofFlow, uint8(AuthTransfer), p.Flows != 0, func(bit uint8) bool { return uint8(p.Flows)&bit != 0 })
	if p.Device == nil {
		return
	}
	rule, err := ParseRule(p.Device.Rule)
	if err != nil {
		return
	}
	at := slices.IndexFunc(s.filters, func(f filter) bool { return f.text == p.Device.Rule })
	if at < 0 {
		at = len(s.filters)
		s.filters = append(s.filters, filter{text: p.Device.Rule, rule: rule})
	}
	if f := &s.filters[at]; p.Device.Exclude {
		f.ex.add(i)
	} else {
		f.in.add(i)
	}
}

func (s *Set) addEffects(i int, p *Policy) {
	if g := p.Grant; g != nil {
		n := g.Controls
		if at, ok := slices.BinarySearchFunc(s.strengths, g.Strength, func(x Strength, id string) int { return cmp.Compare(x.ID, id) }); ok {
			n |= 1 << (firstStrength + at)
		}
		for _, id := range g.Terms {
			at, _ := slices.BinarySearch(s.terms, id)
			n |= 1 << (firstTerms + at)
		}
		if n != 0 {
			at := slices.IndexFunc(s.asks, func(x ask) bool { return x.needs == n && x.any == g.Any })
			if at < 0 {
				at, s.asks = len(s.asks), append(s.asks, ask{needs: n, any: g.Any})
			}
			s.asks[at].by.add(i)
		}
		if g.Block {
			s.blocks.add(i)
		}
	}
	if x := p.Session; x != nil {
		if q := x.Frequency; q != nil {
			at := slices.IndexFunc(s.rates, func(x rate) bool { return x.Frequency == *q })
			if at < 0 {
				at, s.rates = len(s.rates), append(s.rates, rate{Frequency: *q})
			}
			s.rates[at].by.add(i)
		}
		switch x.Persistent {
		case Always:
			s.always.add(i)
		case Never:
			s.never.add(i)
		}
		if x.AppEnforced {
			s.appEnforced.add(i)
		}
		if x.Continuous != 0 {
			s.continuous[x.Continuous].add(i)
		}
	}
}

// addPlaces resolves the places of all policies and merges them into what an
// address and a country are looked up in.
func (s *Set) addPlaces(w World) error {
	byID := map[string]*Location{}
	for i := range w.Locations {
		byID[w.Locations[i].ID] = &w.Locations[i]
	}
	means := map[*Location]sides{}
	resolve := func(i int, p *Places, ex bool) (a area) {
		a.all = p.All
		take := func(l *Location) {
			x := means[l]
			x.add(i, ex)
			means[l] = x
			a.ranges, a.countries = append(a.ranges, l.Ranges...), append(a.countries, l.Countries...)
			if l.Unknown {
				a.countries = append(a.countries, Nowhere)
			}
		}
		for j := range w.Locations {
			if l := &w.Locations[j]; p.Trusted && l.Trusted {
				take(l)
			}
		}
		for _, id := range p.IDs {
			if l := byID[id]; l == nil {
				a.all = !ex
			} else if !p.Trusted || !l.Trusted {
				take(l)
			}
		}
		a.ranges = apart(a.ranges)
		if len(a.ranges) > 0 {
			s.addressed.add(i, ex)
		}
		if len(a.countries) > 0 {
			s.landed.add(i, ex)
		}
		return a
	}
	for i := range s.policies {
		p := &s.policies[i]
		if p.IncludePlaces.empty() && p.ExcludePlaces.empty() {
			continue
		}
		s.placed.add(i)
		if p.IncludePlaces.empty() { // only exclusions: from everywhere
			p = &Policy{IncludePlaces: Places{All: true}, ExcludePlaces: p.ExcludePlaces}
		}
		s.in[i], s.ex[i] = resolve(i, &p.IncludePlaces, false), resolve(i, &p.ExcludePlaces, true)
		if s.in[i].all {
			s.anywhere.add(i)
		}
	}
	var ranges [2][]netip.Prefix
	var mean [2][]sides
	for i := range w.Locations {
		l := &w.Locations[i]
		m, used := means[l]
		if !used {
			continue
		}
		for _, r := range l.Ranges {
			family := 0
			if r.Addr().Is6() {
				family = 1
			}
			ranges[family], mean[family] = append(ranges[family], r), append(mean[family], m)
		}
		for _, c := range l.Countries {
			s.countries[c] = s.countries[c].or(m)
		}
		if l.Unknown {
			s.countries[Nowhere] = s.countries[Nowhere].or(m)
		}
	}
	if len(ranges[0])+len(ranges[1]) > MaxRanges {
		return fault.New(fault.Invalid, "The locations that policies name have more than "+strconv.Itoa(MaxRanges)+" ranges.")
	}
	s.v4, s.v6 = newSpans(ranges[0], mean[0]), newSpans(ranges[1], mean[1])
	return nil
}

// asked is what policy i demands; the zero ask: nothing.
func (s *Set) asked(i int) ask {
	for _, x := range s.asks {
		if x.by.has(i) {
			return x
		}
	}
	return ask{}
}

func (p *Places) empty() bool { return !p.All && !p.Trusted && len(p.IDs) == 0 }

// Spares reports whether no policy touches an account.
func (s *Set) Spares(id directory.UserID) bool { return s.spared[id] }

// Empty reports whether there is nothing to decide by, nor to report.
func (s *Set) Empty() bool { return s.on.or(s.report).empty() }

// Risky reports whether risk decides or is reported on: without it
// [Facts.SignInRisk] and UserRisk are not looked at, nor PasswordChanged, for only a
// policy about risk can ask for a new password.
func (s *Set) Risky() bool { return s.risky }

// Groups are the groups that policies name: [Facts.Groups] needs no others.
func (s *Set) Groups() []directory.GroupID { return slices.Clip(s.named) }

// Concerns reports whether a policy that is on names any of them.
func (s *Set) Concerns(groups []directory.GroupID, roles []directory.RoleID) bool {
	named := set{}
	for _, g := range groups {
		named = named.or(s.groups[g].in).or(s.groups[g].ex)
	}
	for _, r := range roles {
		named = named.or(s.roles[r].in).or(s.roles[r].ex)
	}
	return !named.and(s.on).empty()
}

// Terms are the terms of use that policies name: [Facts.Terms] needs no others.
func (s *Set) Terms() []string { return slices.Clip(s.terms) }
