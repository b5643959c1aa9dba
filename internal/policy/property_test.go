package policy_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy"
)

var (
	somePeople = []directory.UserID{ada, grace, mallory}
	someGroups = []directory.GroupID{staff, board}
	someRoles  = []directory.RoleID{globalAdmin, reader}
	someApps   = []string{"mail", "wiki", "https://mail.contoso.example"}
	somePlaces = []string{office, branch, near, nowhere, "gone"}
	someRules  = []string{`device.isCompliant -eq True`, `device.trustType -ne "Workplace"`, `-not (device.isCompliant -eq False) -or device.trustType -in ["AzureAD","ServerAD"]`,
		`device.deviceId -eq "` + laptop.String() + `"`, `not a rule`}
	someAddresses = []netip.Addr{{}, inOffice, inOffice6, inBranch, outside, netip.MustParseAddr("192.0.2.200"), netip.MustParseAddr("0.0.0.0"), netip.MustParseAddr("255.255.255.255"), netip.MustParseAddr("ffff:ffff::")}
	someCountries = []policy.Country{{}, germany, chile, policy.Nowhere}
)

func pick[T any](t *rapid.T, label string, from []T) []T {
	mask := rapid.IntRange(0, 1<<len(from)-1).Draw(t, label)
	var out []T
	for i, x := range from {
		if mask>>i&1 == 1 {
			out = append(out, x)
		}
	}
	return out
}

// between and oneOf spread their draws: rapid's own lean to the first values, and
// then nothing happens.
func between(t *rapid.T, label string, lo, hi int) int {
	return lo + int(rapid.Uint64().Draw(t, label)%uint64(hi-lo+1))
}

func oneOf[T any](t *rapid.T, label string, from []T) T {
	return from[between(t, label, 0, len(from)-1)]
}

func maybe(t *rapid.T, label string, oneIn int) bool {
	return rapid.IntRange(0, oneIn-1).Draw(t, label) == 0
}

// anyPolicy draws policies that often apply and seldom block. Some contradict
// themselves: the engine must not depend on the reader.
func anyPolicy(t *rapid.T, id string) policy.Policy {
	p := on(id)
	if maybe(t, "who", 3) {
		p.Include = policy.Who{Users: pick(t, "users", somePeople), Groups: pick(t, "groups", someGroups), Roles: pick(t, "roles", someRoles), Guests: policy.GuestKinds(between(t, "guests", 0, 63)), AnyGuest: maybe(t, "guest", 8)}
	}
	if maybe(t, "spared", 3) {
		p.Exclude = policy.Who{Users: pick(t, "users", somePeople[1:]), Groups: pick(t, "groups", someGroups), Roles: pick(t, "roles", someRoles), Guests: policy.GuestKinds(between(t, "guests", 0, 63))}
	}
	switch between(t, "target", 0, 8) {
	case 0, 1:
		p.Apps = policy.Apps{Include: pick(t, "in", someApps), Exclude: pick(t, "out", someApps)}
	case 2:
		p.Apps.Exclude = pick(t, "out", someApps)
	case 3:
		p.Apps = policy.Apps{Actions: policy.Actions(between(t, "actions", 1, 3))}
	case 4:
		context(oneOf(t, "context", []int{1, 99}))(&p)
	}
	if maybe(t, "clients", 4) {
		p.Clients = policy.ClientTypes(between(t, "types", 0, 63))
	}
	if maybe(t, "platforms", 4) {
		p.IncludePlatforms = policy.Platforms(oneOf(t, "in", []int{0, 3, 21, 64}))
		p.ExcludePlatforms = policy.Platforms(between(t, "out", 0, 63))
	}
	if maybe(t, "places", 2) {
		p.IncludePlaces = policy.Places{All: maybe(t, "all", 2), Trusted: maybe(t, "trusted", 3), IDs: pick(t, "in", somePlaces)}
		p.ExcludePlaces = policy.Places{Trusted: maybe(t, "trusted", 3), IDs: pick(t, "out", somePlaces)}
	}
	if maybe(t, "device", 3) {
		p.Device = &policy.DeviceFilter{Exclude: maybe(t, "exclude", 2), Rule: oneOf(t, "rule", someRules)}
	}
	if maybe(t, "risk", 3) {
		p.SignInRisk = policy.Risks(between(t, "sign-in risk", 0, 15))
		p.UserRisk = policy.Risks(between(t, "user risk", 0, 15))
	}
	if maybe(t, "flow", 5) {
		p.Flows = policy.Flows(between(t, "flows", 1, 7))
	}
	switch between(t, "grant", 0, 6) {
	case 0:
		block(&p)
	case 1, 2, 3:
		p.Grant = &policy.Grant{Any: maybe(t, "or", 2), Controls: policy.Needs(between(t, "controls", 0, 15))}
		if maybe(t, "strength", 3) {
			p.Grant.Strength = oneOf(t, "which", []string{multifactor, resistant, "gone"})
		}
		if maybe(t, "terms", 3) {
			p.Grant.Terms = pick(t, "which", []string{terms, moreTerms})
		}
	}
	if maybe(t, "session", 2) {
		p.Session = &policy.Session{AppEnforced: maybe(t, "enforced", 2), Persistent: policy.Persistence(between(t, "persistent", 0, 2)), Continuous: policy.Continuity(between(t, "continuous", 0, 3))}
		if maybe(t, "timed", 2) {
			p.Session.Frequency = &policy.Frequency{Every: maybe(t, "every", 4), Life: time.Duration(between(t, "hours", 1, 8)) * time.Hour, Secondary: maybe(t, "second", 3)}
		}
	}
	return p
}

func policies(t *rapid.T, atMost int) []policy.Policy {
	var all []policy.Policy
	for i := range between(t, "policies", 1, atMost) {
		p := anyPolicy(t, fmt.Sprintf("%03d", i))
		switch between(t, "state", 0, 5) {
		case 0:
			p = report(p)
		case 1:
			p = off(p)
		}
		all = append(all, p)
	}
	return all
}

func anyDevice(t *rapid.T) policy.Device {
	d := policy.Device{Compliant: policy.Tri(between(t, "compliant", 0, 3)), Trust: policy.Trust(between(t, "trust", 0, 4))}
	if !maybe(t, "no device", 4) {
		d.ID = laptop
	}
	return d
}

func anyFacts(t *rapid.T) *policy.Facts {
	ago := func(label string) time.Time {
		h := rapid.SampledFrom([]int{-1, 0, 1, 3, 6, 1000}).Draw(t, label)
		if h == 1000 {
			return time.Time{}
		}
		return now.Add(-time.Duration(h) * time.Hour)
	}
	f := &policy.Facts{Now: now, User: oneOf(t, "user", somePeople), Guest: policy.Guest(oneOf(t, "guest", []int{0, 0, 1, 6, 9})),
		Groups: pick(t, "groups", someGroups), Roles: pick(t, "roles", someRoles), Client: "mail", Program: policy.ClientType(between(t, "program", 0, 7)), Platform: policy.Platform(between(t, "platform", 0, 8)),
		Address: oneOf(t, "address", someAddresses), Country: oneOf(t, "country", someCountries), Device: anyDevice(t), Flow: policy.Flow(between(t, "flow", 0, 3)),
		SignInRisk: policy.Risk(between(t, "risk", 0, 5)), UserRisk: policy.Risk(between(t, "risk", 0, 5)),
		Methods: policy.Methods(oneOf(t, "methods", []int{0, 1, 3, 4, 7})), Registered: policy.Methods(oneOf(t, "registered", []int{0, 1, 3, 4, 7})),
		AuthTime: ago("signed in"), SecondTime: ago("second"), PasswordChanged: maybe(t, "changed", 2), Terms: pick(t, "terms", []string{terms, moreTerms})}
	switch between(t, "target", 0, 5) {
	case 0:
		f.Client = ""
	case 1:
		f.Client, f.Action = "", policy.Action(between(t, "action", 1, 2))
	case 2, 3:
		f.Resource = "https://mail.contoso.example"
	}
	if maybe(t, "context", 3) {
		f.Contexts.Add(99)
	}
	return f
}

func check(t *testing.T, what func(*rapid.T)) {
	t.Helper()
	for range 10 {
		rapid.Check(t, what)
	}
}

func made(t *rapid.T, all []policy.Policy) *policy.Set {
	s, err := policy.Compile(all, world())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// seen is what a verdict says, without what refers to its set.
func seen(s *policy.Set, v policy.Verdict) string {
	return fmt.Sprint(v.Decision, s.Names(v.Needs), v.Limits)
}

func TestATraceSaysTheOutcomesAndNothingElse(t *testing.T) {
	letters := map[policy.Outcome]byte{}
	check(t, func(t *rapid.T) {
		all, f := policies(t, 6), anyFacts(t)
		s := made(t, all)
		v := s.Decide(f)
		trace, results := s.Trace([]byte("before"), f, &v), s.Explain(f, &v)
		if !strings.HasPrefix(string(trace), "before") || len(trace) != len("before")+len(results) {
			t.Fatalf("%d letters for %d policies: %q", len(trace)-len("before"), len(results), trace)
		}
		for i, r := range results {
			x := trace[len("before")+i]
			if known, ok := letters[r.Outcome]; ok && known != x || x == 0 {
				t.Fatalf("%s is %q, and was %q", r.Outcome, x, known)
			}
			letters[r.Outcome] = x
		}
	})
	for a, x := range letters {
		for b, y := range letters {
			if a != b && x == y {
				t.Errorf("%s and %s are both %q", a, b, x)
			}
		}
	}
	if len(letters) != 8 {
		t.Errorf("outcomes met: %v", letters)
	}
}

func TestTheEngineAgreesWithAPlainReading(t *testing.T) {
	check(t, func(t *rapid.T) {
		all, f := policies(t, 6), anyFacts(t)
		s := made(t, all)
		v := s.Decide(f)
		want := policy.Allow
		for i, r := range s.Explain(f, &v) {
			p := &all[i] // they came in the order of their ids
			if got := applies(p, f); r.Applies != (got && p.State != policy.Off) {
				t.Fatalf("%s applies: %v; a plain reading says %v\n%+v\n%+v", p.ID, r.Applies, got, p, f)
			} else if !got || p.State != policy.On {
				continue
			}
			if p.Grant != nil && p.Grant.Block {
				want = policy.Block
			} else if !satisfied(p, f) {
				want = min(want, policy.Ask)
			}
		}
		if v.Decision != want {
			t.Fatalf("%v; a plain reading says %v\n%+v\n%+v", v.Decision, want, all, f)
		}
		// What is asked for is enough, for people who can give it.
		if v.Decision == policy.Ask {
			g := *f
			for _, n := range s.Names(v.Needs) {
				switch name, id, _ := strings.Cut(n, ":"); {
				case name == "mfa":
					g.Methods |= 3
				case name == "compliantDevice":
					g.Device.ID, g.Device.Compliant = laptop, policy.Yes
				case name == "domainJoinedDevice":
					g.Device.ID, g.Device.Trust = laptop, policy.Hybrid
				case name == "passwordChange":
					g.PasswordChanged = true
				case name == "signInFrequency" && id == "":
					g.AuthTime = now // by the password: the second factor may have to follow
				case name == "signInFrequency":
					g.SecondTime = now
				case name == "authenticationStrength" && id == "gone", len(g.Terms) > 2:
					return
				case name == "authenticationStrength":
					g.Methods |= 4
				case name == "termsOfUse":
					g.Terms = append(slices.Clone(g.Terms), id)
				}
			}
			if g.Device != f.Device {
				return // other policies may be about that device
			}
			w := s.Decide(&g)
			if v.Needs&policy.NeedSignIn != 0 && w.Decision == policy.Ask && w.Needs == policy.NeedSecond {
				g.SecondTime = now
				w = s.Decide(&g)
			}
			if w.Decision != policy.Allow {
				t.Fatalf("asked for %v, which was given; now %v %v", s.Names(v.Needs), w.Decision, s.Names(w.Needs))
			}
		}
	})
}

// applies is the meaning of a policy, read off its fields one by one.
func applies(p *policy.Policy, f *policy.Facts) bool {
	of := func(w *policy.Who, kinds bool) bool {
		return slices.Contains(w.Users, f.User) || slices.ContainsFunc(f.Groups, func(g directory.GroupID) bool { return slices.Contains(w.Groups, g) }) ||
			slices.ContainsFunc(f.Roles, func(r directory.RoleID) bool { return slices.Contains(w.Roles, r) }) ||
			f.Guest != 0 && (w.AnyGuest || f.Guest <= 6 && w.Guests>>(f.Guest-1)&1 == 1 || f.Guest > 6 && kinds && w.Guests != 0)
	}
	if !p.Include.All && !of(&p.Include, true) || of(&p.Exclude, false) {
		return false
	}
	if f.Client != "" || f.Resource != "" || f.Action != 0 {
		a, reached := &p.Apps, string(f.Resource)
		if reached == "" {
			reached = string(f.Client)
		}
		app := reached != "" && (a.All || slices.Contains(a.Include, string(f.Client)) || slices.Contains(a.Include, string(f.Resource))) && !slices.Contains(a.Exclude, reached)
		if !app && !(f.Action != 0 && a.Actions>>(f.Action-1)&1 == 1) && !(f.Contexts.Has(99) && a.Contexts.Has(99)) {
			return false
		}
	}
	one := func(set uint8, x, highest uint8) bool { return x == 0 || x > highest || set>>(x-1)&1 == 1 }
	if p.Clients != 0 && p.Clients&policy.AllClients == 0 && !one(uint8(p.Clients), uint8(f.Program), 5) {
		return false
	}
	in := p.IncludePlatforms
	if in == 0 || in&policy.AllPlatforms != 0 {
		in = 0xff
	}
	if !one(uint8(in&^p.ExcludePlatforms), uint8(f.Platform), 6) {
		return false
	}
	if p.SignInRisk != 0 && !one(uint8(p.SignInRisk), uint8(f.SignInRisk), 4) || p.UserRisk != 0 && !one(uint8(p.UserRisk), uint8(f.UserRisk), 4) || p.Flows != 0 && !one(uint8(p.Flows), uint8(f.Flow), 3) {
		return false
	}
	if d := p.Device; d != nil {
		dev := f.Device
		if dev.ID.IsZero() {
			dev = policy.Device{}
		}
		if dev.Compliant > policy.No {
			dev.Compliant = policy.Unknown
		}
		if dev.Trust > policy.Registered {
			dev.Trust = policy.NotKnown
		}
		fits := map[string]func() (bool, bool){ // fits, known
			someRules[0]: func() (bool, bool) { return dev.Compliant == policy.Yes, dev.Compliant != policy.Unknown },
			someRules[1]: func() (bool, bool) { return dev.Trust != policy.Registered, dev.Trust != policy.NotKnown },
			someRules[2]: func() (bool, bool) {
				a, b := dev.Compliant == policy.Yes, dev.Trust == policy.Joined || dev.Trust == policy.Hybrid
				return a || b, a || b || dev.Compliant != policy.Unknown && dev.Trust != policy.NotKnown
			},
			someRules[3]: func() (bool, bool) { return true, !dev.ID.IsZero() },
		}[d.Rule]
		if fits != nil {
			if yes, known := fits(); known && yes == d.Exclude {
				return false
			}
		}
	}
	if in, out := p.IncludePlaces, p.ExcludePlaces; in.All || in.Trusted || len(in.IDs) > 0 || out.Trusted || len(out.IDs) > 0 {
		everywhere := in.All || !in.Trusted && len(in.IDs) == 0
		return (everywhere || there(in, f, true)) && !there(out, f, false)
	}
	return true
}

// there: does one of the places hold, doubt counting as said?
func there(p policy.Places, f *policy.Facts, doubt bool) bool {
	for _, id := range p.IDs {
		if id == "gone" && doubt {
			return true
		}
	}
	for _, l := range world().Locations {
		if !(p.Trusted && l.Trusted) && !slices.Contains(p.IDs, l.ID) {
			continue
		}
		for _, r := range l.Ranges {
			if r.Contains(f.Address.Unmap()) || !f.Address.IsValid() && doubt {
				return true
			}
		}
		if len(l.Countries) > 0 && f.Country == (policy.Country{}) && doubt || slices.Contains(l.Countries, f.Country) || l.Unknown && f.Country == policy.Nowhere {
			return true
		}
	}
	return false
}

// satisfied: has what the policy asks for been given?
func satisfied(p *policy.Policy, f *policy.Facts) bool {
	if g := p.Grant; g != nil {
		var asked []bool
		if g.Controls&policy.NeedMFA != 0 {
			asked = append(asked, f.Methods&3 == 3 || f.Methods&4 != 0)
		}
		if g.Controls&policy.NeedCompliantDevice != 0 {
			asked = append(asked, !f.Device.ID.IsZero() && f.Device.Compliant == policy.Yes)
		}
		if g.Controls&policy.NeedHybridDevice != 0 {
			asked = append(asked, !f.Device.ID.IsZero() && f.Device.Trust == policy.Hybrid)
		}
		if g.Controls&policy.NeedPasswordChange != 0 {
			asked = append(asked, f.PasswordChanged)
		}
		switch g.Strength {
		case multifactor:
			asked = append(asked, f.Methods&3 == 3 || f.Methods&4 != 0)
		case resistant:
			asked = append(asked, f.Methods&4 != 0)
		case "gone":
			asked = append(asked, false)
		}
		for _, x := range g.Terms {
			asked = append(asked, slices.Contains(f.Terms, x))
		}
		if g.Any && len(asked) > 0 && !slices.Contains(asked, true) || !g.Any && slices.Contains(asked, false) {
			return false
		}
	}
	if p.Session != nil && p.Session.Frequency != nil {
		q := p.Session.Frequency
		life := q.Life
		if q.Every {
			life = 5 * time.Minute
		}
		young := func(at time.Time) bool {
			return !at.IsZero() && at.Sub(f.Now) <= 5*time.Minute && f.Now.Sub(at) < life
		}
		if q.Secondary {
			return young(f.SecondTime)
		}
		return young(f.AuthTime) && (f.SecondTime.IsZero() || young(f.SecondTime))
	}
	return true
}

func TestOnePolicyMoreNeverLoosens(t *testing.T) {
	check(t, func(t *rapid.T) {
		all, f := policies(t, 5), anyFacts(t)
		before := made(t, all).Decide(f)
		after := made(t, append(all, anyPolicy(t, "more"))).Decide(f)
		if after.Decision > before.Decision {
			t.Fatalf("%v became %v", before.Decision, after.Decision)
		}
		if blocked := made(t, append(all, on("block", block))).Decide(f); blocked.Decision != policy.Block && f.Action == 0 {
			t.Fatalf("a policy that blocks everybody: %v", blocked.Decision)
		}
	})
}

func TestReportOnlyNeverChangesTheVerdict(t *testing.T) {
	check(t, func(t *rapid.T) {
		all, f := policies(t, 5), anyFacts(t)
		a, b := made(t, all), made(t, append(all, report(anyPolicy(t, "more"))))
		if x, y := seen(a, a.Decide(f)), seen(b, b.Decide(f)); x != y {
			t.Fatalf("%s became %s", x, y)
		}
		// And what they say beside is what they would decide if they were all there is.
		var alone []policy.Policy
		for _, p := range all {
			if p.State == policy.ReportOnly {
				p.State = policy.On
				alone = append(alone, p)
			}
		}
		if v, w := a.Decide(f), made(t, alone).Decide(f); v.Report != w.Decision {
			t.Fatalf("reported %v, alone %v", v.Report, w.Decision)
		}
	})
}

func TestAnExcludedUserIsNeverTouchedByThePolicy(t *testing.T) {
	check(t, func(t *rapid.T) {
		all, f := policies(t, 5), anyFacts(t)
		p := anyPolicy(t, "more")
		switch between(t, "how", 0, 2) {
		case 0:
			p.Exclude.Users = append(p.Exclude.Users, f.User)
		case 1:
			p.Exclude.Groups, f.Groups = append(p.Exclude.Groups, board), append(f.Groups, board)
		case 2:
			p.Exclude.Roles, f.Roles = append(p.Exclude.Roles, reader), append(f.Roles, reader)
		}
		a, b := made(t, all), made(t, append(all, p))
		if x, y := seen(a, a.Decide(f)), seen(b, b.Decide(f)); x != y {
			t.Fatalf("%s became %s", x, y)
		}
	})
}

func TestTheOrderOfPoliciesDoesNotMatter(t *testing.T) {
	check(t, func(t *rapid.T) {
		all, f := policies(t, 7), anyFacts(t)
		a := made(t, all)
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		b := made(t, all)
		v, w := a.Decide(f), b.Decide(f)
		if x, y := seen(a, v), seen(b, w); x != y {
			t.Fatalf("%s became %s", x, y)
		}
		if x, y := a.Explain(f, &v), b.Explain(f, &w); !reflect.DeepEqual(x, y) {
			t.Fatalf("%+v became %+v", x, y)
		}
	})
}

func TestKnowingLessIsNeverLessStrict(t *testing.T) {
	check(t, func(t *rapid.T) {
		s, f := made(t, policies(t, 6)), anyFacts(t)
		g := *f
		for i, blank := range []func(){
			func() { g.Program = 0 }, func() { g.Platform = 0 }, func() { g.Address = netip.Addr{} }, func() { g.Country = policy.Country{} }, func() { g.Device = policy.Device{} },
			func() { g.Device.Compliant = policy.Unknown }, func() { g.Device.Trust = policy.NotKnown }, func() { g.Flow = 0 }, func() { g.SignInRisk = 0 }, func() { g.UserRisk = 0 },
			func() { g.Client, g.Resource, g.Action, g.Contexts = "", "", 0, policy.Contexts{} },
		} {
			if maybe(t, fmt.Sprint("blank ", i), 3) {
				blank()
			}
		}
		more, less := s.Decide(f), s.Decide(&g)
		if less.Decision > more.Decision {
			t.Fatalf("%v became %v\n%+v\n%+v", more.Decision, less.Decision, f, g)
		}
	})
}
