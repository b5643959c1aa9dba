package policy_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy"
)

// The people, places and things of these tests.
var (
	now     = time.Date(2026, 3, 2, 12, 4, 0, 0, time.UTC)
	ada     = directory.UserID{1}
	grace   = directory.UserID{2}
	mallory = directory.UserID{3}
	staff   = directory.GroupID{11}
	board   = directory.GroupID{12}
	laptop  = directory.DeviceID{21}

	globalAdmin directory.RoleID = "62e90394-69f5-4237-9190-012177145e10"
	reader      directory.RoleID = "4a5d8f65-41da-4de4-8968-e035b65339cf"

	inOffice  = netip.MustParseAddr("192.0.2.10")
	inOffice6 = netip.MustParseAddr("2001:db8::10")
	inBranch  = netip.MustParseAddr("198.51.100.7")
	outside   = netip.MustParseAddr("203.0.113.9")

	germany = policy.Country{'D', 'E'}
	chile   = policy.Country{'C', 'L'}
)

const (
	office, branch, near, nowhere = "office", "branch", "near", "nowhere"

	multifactor  = "00000000-0000-0000-0000-000000000002"
	passwordless = "00000000-0000-0000-0000-000000000003"
	resistant    = "00000000-0000-0000-0000-000000000004"
	terms        = "terms-of-use"
	moreTerms    = "terms-of-travel"
)

func prefixes(all ...string) (out []netip.Prefix) {
	for _, s := range all {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func world() policy.World {
	return policy.World{Strengths: policy.BuiltInStrengths(), Locations: []policy.Location{
		{ID: office, Trusted: true, Ranges: prefixes("192.0.2.0/24", "2001:db8::/32")},
		{ID: branch, Ranges: prefixes("198.51.100.0/24", "192.0.2.128/25")},
		{ID: near, Countries: []policy.Country{germany, {'C', 'H'}}},
		{ID: nowhere, Countries: []policy.Country{{'A', 'Q'}}, Unknown: true},
	}}
}

// A bend is one thing that a policy says.
type bend func(*policy.Policy)

// on is a policy about everybody and everything that is switched on, bent.
func on(id string, bends ...bend) policy.Policy {
	p := policy.Policy{ID: id, Name: id, State: policy.On, Include: policy.Who{All: true}, Apps: policy.Apps{All: true}, Clients: policy.AllClients}
	for _, b := range bends {
		b(&p)
	}
	return p
}

func report(p policy.Policy) policy.Policy { p.State = policy.ReportOnly; return p }
func off(p policy.Policy) policy.Policy    { p.State = policy.Off; return p }

func grant(p *policy.Policy) *policy.Grant {
	if p.Grant == nil {
		p.Grant = &policy.Grant{}
	}
	return p.Grant
}

func session(p *policy.Policy) *policy.Session {
	if p.Session == nil {
		p.Session = &policy.Session{}
	}
	return p.Session
}

func block(p *policy.Policy)       { grant(p).Block = true }
func mfa(p *policy.Policy)         { grant(p).Controls |= policy.NeedMFA }
func compliant(p *policy.Policy)   { grant(p).Controls |= policy.NeedCompliantDevice }
func hybrid(p *policy.Policy)      { grant(p).Controls |= policy.NeedHybridDevice }
func newPass(p *policy.Policy)     { grant(p).Controls |= policy.NeedPasswordChange }
func anyOf(p *policy.Policy)       { grant(p).Any = true }
func strength(id string) bend      { return func(p *policy.Policy) { grant(p).Strength = id } }
func accept(ids ...string) bend    { return func(p *policy.Policy) { grant(p).Terms = ids } }
func appEnforced(p *policy.Policy) { session(p).AppEnforced = true }

func every(life time.Duration) bend {
	return func(p *policy.Policy) { session(p).Frequency = &policy.Frequency{Life: life} }
}
func everySecond(life time.Duration) bend {
	return func(p *policy.Policy) { session(p).Frequency = &policy.Frequency{Life: life, Secondary: true} }
}
func everyTime(p *policy.Policy) { session(p).Frequency = &policy.Frequency{Every: true} }
func persistent(m policy.Persistence) bend {
	return func(p *policy.Policy) { session(p).Persistent = m }
}
func continuous(m policy.Continuity) bend {
	return func(p *policy.Policy) { session(p).Continuous = m }
}

func only(w policy.Who) bend                     { return func(p *policy.Policy) { p.Include = w } }
func but(w policy.Who) bend                      { return func(p *policy.Policy) { p.Exclude = w } }
func users(ids ...directory.UserID) policy.Who   { return policy.Who{Users: ids} }
func groups(ids ...directory.GroupID) policy.Who { return policy.Who{Groups: ids} }
func roles(ids ...directory.RoleID) policy.Who   { return policy.Who{Roles: ids} }
func apps(ids ...string) bend                    { return func(p *policy.Policy) { p.Apps = policy.Apps{Include: ids} } }
func butApps(ids ...string) bend                 { return func(p *policy.Policy) { p.Apps.Exclude = ids } }
func action(a policy.Action) bend {
	return func(p *policy.Policy) { p.Apps = policy.Apps{Actions: 1 << (a - 1)} }
}
func context(n int) bend {
	return func(p *policy.Policy) { p.Apps = policy.Apps{}; p.Apps.Contexts.Add(n) }
}
func clients(all ...policy.ClientType) bend {
	return func(p *policy.Policy) {
		p.Clients = 0
		for _, c := range all {
			p.Clients |= 1 << (c - 1)
		}
	}
}
func platforms(all ...policy.Platform) bend {
	return func(p *policy.Policy) {
		for _, x := range all {
			p.IncludePlatforms |= 1 << (x - 1)
		}
	}
}
func butPlatforms(all ...policy.Platform) bend {
	return func(p *policy.Policy) {
		p.IncludePlatforms = policy.AllPlatforms
		for _, x := range all {
			p.ExcludePlatforms |= 1 << (x - 1)
		}
	}
}
func at(in, out policy.Places) bend {
	return func(p *policy.Policy) { p.IncludePlaces, p.ExcludePlaces = in, out }
}
func places(ids ...string) policy.Places { return policy.Places{IDs: ids} }

var (
	anywhere = policy.Places{All: true}
	trusted  = policy.Places{Trusted: true}
	no       = policy.Places{}
)

func devices(rule string) bend {
	return func(p *policy.Policy) { p.Device = &policy.DeviceFilter{Rule: rule} }
}
func butDevices(rule string) bend {
	return func(p *policy.Policy) { p.Device = &policy.DeviceFilter{Exclude: true, Rule: rule} }
}
func risk(all ...policy.Risk) bend {
	return func(p *policy.Policy) {
		for _, r := range all {
			p.SignInRisk |= 1 << (r - 1)
		}
	}
}
func userRisk(all ...policy.Risk) bend {
	return func(p *policy.Policy) {
		for _, r := range all {
			p.UserRisk |= 1 << (r - 1)
		}
	}
}
func flows(all ...policy.Flow) bend {
	return func(p *policy.Policy) {
		for _, f := range all {
			p.Flows |= 1 << (f - 1)
		}
	}
}

// facts are Ada's, who reads mail in a browser on a laptop of the office, signed
// in with her password a minute ago, of whom all is known and nothing is wrong.
func facts(changes ...func(*policy.Facts)) *policy.Facts {
	f := &policy.Facts{Now: now, User: ada, Client: "mail", Resource: "https://mail.contoso.example", Program: policy.Browser, Platform: policy.Windows, Address: inOffice, Country: germany,
		Device: policy.Device{ID: laptop, Compliant: policy.No, Trust: policy.Registered}, Flow: policy.NoFlow, SignInRisk: policy.NoRisk, UserRisk: policy.NoRisk,
		Methods: policy.Password.Set(), AuthTime: now.Add(-time.Minute), Registered: policy.Password.Set()}
	for _, c := range changes {
		c(f)
	}
	return f
}

func withOTP(f *policy.Facts) {
	f.Methods |= policy.SoftwareOTP.Set()
	f.Registered |= policy.SoftwareOTP.Set()
	f.SecondTime = f.AuthTime
}
func withPasskey(f *policy.Facts) {
	f.Methods, f.Registered, f.SecondTime = policy.Passkey.Set(), policy.Passkey.Set(), f.AuthTime
}

func compile(t testing.TB, all ...policy.Policy) *policy.Set {
	t.Helper()
	s, err := policy.Compile(all, world())
	if err != nil {
		t.Fatal(err)
	}
	return s
}
