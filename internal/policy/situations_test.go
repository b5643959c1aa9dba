package policy_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy"
)

type change = func(*policy.Facts)

// situations are sign-ins with the outcome that Entra is known to give. The
// number is the section of reference/entra.md that it follows from; "differs" says
// where curfew is stricter, and why stands at [policy.Set.Decide].
var situations = []struct {
	name, section string
	policies      []policy.Policy
	facts         change
	want          policy.Decision
	needs         string // by name
	code          int    // at refresh
}{
	{"no policies", "3.6", nil, nil, policy.Allow, "", 0},
	{"a policy that is off", "3.6 state", list(off(on("p", block))), nil, policy.Allow, "", 0},
	{"a policy that only reports", "3.6 state", list(report(on("p", block))), nil, policy.Allow, "", 0},
	{"block", "3.6, 6", list(on("p", block)), nil, policy.Block, "", 53003},
	{"block wins over what else is asked for", "3.6", list(on("p", block), on("q", mfa)), nil, policy.Block, "mfa", 53003},

	{"a person who is included", "3.6 users", list(on("p", only(users(ada)), block)), nil, policy.Block, "", 53003},
	{"another person", "3.6 users", list(on("p", only(users(grace)), block)), nil, policy.Allow, "", 0},
	{"a person who is excluded", "3.6 users", list(on("p", but(users(ada)), block)), nil, policy.Allow, "", 0},
	{"included by group, excluded in person", "3.6 users", list(on("p", only(groups(staff)), but(users(ada)), block)), in(staff), policy.Allow, "", 0},
	{"included in person, excluded by group", "3.6 users", list(on("p", only(users(ada)), but(groups(staff)), block)), in(staff), policy.Allow, "", 0},
	{"a group", "3.6 users", list(on("p", only(groups(staff, board)), block)), in(board), policy.Block, "", 53003},
	{"no group of theirs", "3.6 users", list(on("p", only(groups(board)), block)), in(staff), policy.Allow, "", 0},
	{"a role", "3.6 users", list(on("p", only(roles(globalAdmin)), mfa)), as(globalAdmin), policy.Ask, "mfa", 50079},
	{"another role", "3.6 users", list(on("p", only(roles(globalAdmin)), mfa)), as(reader), policy.Allow, "", 0},
	{"a role excluded", "3.6 users", list(on("p", but(roles(globalAdmin)), mfa)), as(globalAdmin), policy.Allow, "", 0},
	{"nobody", "3.6 users", list(on("p", only(policy.Who{None: true}), block)), nil, policy.Allow, "", 0},
	{"any guest", "3.6 users", list(on("p", only(policy.Who{AnyGuest: true}), block)), guest(4), policy.Block, "", 53003},
	{"a member is no guest", "3.6 users", list(on("p", only(policy.Who{AnyGuest: true}), block)), nil, policy.Allow, "", 0},
	{"a guest of that kind", "3.6 users", list(on("p", only(policy.Who{Guests: 1 << 1}), block)), guest(2), policy.Block, "", 53003},
	{"a guest of another kind", "3.6 users", list(on("p", only(policy.Who{Guests: 1 << 1}), block)), guest(1), policy.Allow, "", 0},
	{"guests spared", "3.6 users", list(on("p", but(policy.Who{AnyGuest: true}), block)), guest(1), policy.Allow, "", 0},

	{"the application as client", "3.6 applications", list(on("p", apps("mail"), block)), nil, policy.Block, "", 53003},
	{"the application as resource", "3.6 applications", list(on("p", apps("https://mail.contoso.example"), block)), nil, policy.Block, "", 53003},
	{"another application", "3.6 applications", list(on("p", apps("wiki"), block)), nil, policy.Allow, "", 0},
	{"no application", "3.6 applications", list(on("p", func(p *policy.Policy) { p.Apps = policy.Apps{None: true} }, block)), nil, policy.Allow, "", 0},
	{"the resource excluded", "3.6 applications", list(on("p", butApps("https://mail.contoso.example"), block)), nil, policy.Allow, "", 0},
	{"the client excluded, the resource not", "3.6 applications", list(on("p", butApps("mail"), block)), nil, policy.Block, "", 53003},
	{"the client excluded, and nothing else reached", "3.6 applications", list(on("p", butApps("mail"), block)), func(f *policy.Facts) { f.Resource = "" }, policy.Allow, "", 0},
	{"registering security information", "3.6 user actions", list(on("p", action(policy.RegisterSecurityInfo), mfa)), doing(policy.RegisterSecurityInfo), policy.Ask, "mfa", 50079},
	{"registering a device", "3.6 user actions", list(on("p", action(policy.RegisterSecurityInfo), mfa)), doing(policy.RegisterDevice), policy.Allow, "", 0},
	{"an action is no application", "3.6 user actions", list(on("p", block)), doing(policy.RegisterDevice), policy.Allow, "", 0},
	{"reading mail is no action", "3.6 user actions", list(on("p", action(policy.RegisterDevice), block)), nil, policy.Allow, "", 0},
	{"an authentication context that is asked for", "3.6 contexts, 5", list(on("p", context(1), strength(resistant))), func(f *policy.Facts) { f.Contexts.Add(1) }, policy.Ask, "authenticationStrength:" + resistant, 50079},
	{"another context", "3.6 contexts, 5", list(on("p", context(2), block)), func(f *policy.Facts) { f.Contexts.Add(99) }, policy.Allow, "", 0},
	{"no context asked for", "3.6 contexts, 5", list(on("p", context(1), block)), nil, policy.Allow, "", 0},
	{"a context beside the policies of the application", "3.6 contexts", list(on("p", context(1), newTerms), on("q", mfa)), func(f *policy.Facts) { f.Contexts.Add(1) }, policy.Ask, "mfa termsOfUse:" + terms, 50079},

	{"browsers only, from a browser", "3.6 clientAppTypes", list(on("p", clients(policy.Browser), block)), nil, policy.Block, "", 53003},
	{"browsers only, from a native application", "3.6 clientAppTypes", list(on("p", clients(policy.Browser), block)), func(f *policy.Facts) { f.Program = policy.Native }, policy.Allow, "", 0},
	{"legacy authentication blocked, from a browser", "3.6 clientAppTypes", list(on("p", clients(policy.ActiveSync, policy.OtherClient), block)), nil, policy.Allow, "", 0},
	{"legacy authentication blocked", "3.6 clientAppTypes", list(on("p", clients(policy.ActiveSync, policy.OtherClient), block)), func(f *policy.Facts) { f.Program = policy.OtherClient }, policy.Block, "", 53003},

	{"a platform that is named", "3.6 platforms", list(on("p", platforms(policy.Windows, policy.Linux), block)), nil, policy.Block, "", 53003},
	{"a platform that is not", "3.6 platforms", list(on("p", platforms(policy.IOS, policy.Android), block)), nil, policy.Allow, "", 0},
	{"all platforms but this", "3.6 platforms", list(on("p", butPlatforms(policy.Windows), block)), nil, policy.Allow, "", 0},
	{"all platforms but another", "3.6 platforms", list(on("p", butPlatforms(policy.IOS), block)), nil, policy.Block, "", 53003},
	{"an unsupported platform blocked", "3.6 platforms", list(on("p", butPlatforms(policy.IOS, policy.Windows), block)), func(f *policy.Facts) { f.Platform = 0 }, policy.Block, "", 53003},

	{"everywhere but trusted places, from one", "3.6 locations", list(on("p", at(anywhere, trusted), block)), nil, policy.Allow, "", 0},
	{"everywhere but trusted places, from one by IPv6", "3.6 locations", list(on("p", at(anywhere, trusted), block)), from(inOffice6), policy.Allow, "", 0},
	{"everywhere but trusted places, by IPv4 in IPv6", "3.6 locations", list(on("p", at(anywhere, trusted), block)), from(netip.AddrFrom16(inOffice.As16())), policy.Allow, "", 0},
	{"everywhere but trusted places, from outside", "3.6 locations", list(on("p", at(anywhere, trusted), block)), from(outside), policy.Block, "", 53003},
	{"a branch that is not trusted", "3.6 locations", list(on("p", at(anywhere, trusted), block)), from(inBranch), policy.Block, "", 53003},
	{"a place by name", "3.6 locations", list(on("p", at(places(branch), no), block)), from(inBranch), policy.Block, "", 53003},
	{"a range inside another place's", "3.6 locations", list(on("p", at(places(branch), no), block)), from(netip.MustParseAddr("192.0.2.200")), policy.Block, "", 53003},
	{"that place, spared because the outer one is trusted", "3.6 locations", list(on("p", at(places(branch), trusted), block)), from(netip.MustParseAddr("192.0.2.200")), policy.Allow, "", 0},
	{"trusted places only, from one", "3.6 locations", list(on("p", at(trusted, no), block)), nil, policy.Block, "", 53003},
	{"a country of two letters", "3.6 locations", list(on("p", at(places(nowhere), no), block)), func(f *policy.Facts) { f.Country = policy.Country{'A', 'Q'} }, policy.Block, "", 53003},
	{"a country", "3.6 locations", list(on("p", at(places(near), no), block)), nil, policy.Block, "", 53003},
	{"another country", "3.6 locations", list(on("p", at(places(near), no), block)), func(f *policy.Facts) { f.Country = chile }, policy.Allow, "", 0},
	{"every country but these", "3.6 locations", list(on("p", at(anywhere, places(near)), block)), func(f *policy.Facts) { f.Country = chile }, policy.Block, "", 53003},
	{"no country, which the place includes", "3.6 locations", list(on("p", at(places(nowhere), no), block)), func(f *policy.Facts) { f.Country = policy.Nowhere }, policy.Block, "", 53003},
	{"no country, which the place does not include", "3.6 locations", list(on("p", at(places(near), no), block)), func(f *policy.Facts) { f.Country = policy.Nowhere }, policy.Allow, "", 0},
	{"MFA outside, from outside", "3.6 locations, 6", list(on("p", at(anywhere, trusted), mfa)), func(f *policy.Facts) { f.Address = outside; f.Registered |= policy.SoftwareOTP.Set() }, policy.Ask, "mfa", 50076},

	{"a filter that spares compliant devices, with one", "3.6 devices", list(on("p", butDevices(`device.isCompliant -eq True`), block)), healthy, policy.Allow, "", 0},
	{"a filter that spares compliant devices, without", "3.6 devices", list(on("p", butDevices(`device.isCompliant -eq True`), block)), nil, policy.Block, "", 53003},
	{"a filter that picks registered devices", "3.6 devices", list(on("p", devices(`device.trustType -eq "Workplace"`), block)), nil, policy.Block, "", 53003},
	{"a filter that picks joined devices", "3.6 devices", list(on("p", devices(`device.trustType -eq "AzureAD"`), block)), nil, policy.Allow, "", 0},
	{"a filter that spares registered devices, from a browser that is none", "3.6 devices", list(on("p", butDevices(`device.trustType -eq "Workplace"`), block)), stranger, policy.Block, "", 53003},

	{"high risk blocked, high", "3.6 risk", list(on("p", risk(policy.HighRisk), block)), func(f *policy.Facts) { f.SignInRisk = policy.HighRisk }, policy.Block, "", 53003},
	{"high risk blocked, medium", "3.6 risk", list(on("p", risk(policy.HighRisk), block)), func(f *policy.Facts) { f.SignInRisk = policy.MediumRisk }, policy.Allow, "", 0},
	{"some risk asks for MFA", "3.6 risk", list(on("p", risk(policy.LowRisk, policy.MediumRisk), mfa)), func(f *policy.Facts) { f.SignInRisk = policy.LowRisk }, policy.Ask, "mfa", 50079},
	{"an account at risk", "2, 3.6 risk", list(on("p", userRisk(policy.HighRisk), mfa, newPass)), func(f *policy.Facts) { withOTP(f); f.UserRisk = policy.HighRisk }, policy.Ask, "passwordChange", 50142},
	{"an account at risk whose password was changed", "2, 3.6 risk", list(on("p", userRisk(policy.HighRisk), mfa, newPass)), func(f *policy.Facts) { withOTP(f); f.UserRisk = policy.HighRisk; f.PasswordChanged = true }, policy.Allow, "", 0},
	{"an account at no risk", "3.6 risk", list(on("p", userRisk(policy.HighRisk), mfa, newPass)), nil, policy.Allow, "", 0},
	{"both risks must fit", "3.6 risk", list(on("p", risk(policy.HighRisk), userRisk(policy.HighRisk), block)), func(f *policy.Facts) { f.SignInRisk = policy.HighRisk }, policy.Allow, "", 0},

	{"device codes blocked, with one", "3.6 flows", list(on("p", flows(policy.DeviceCode), block)), func(f *policy.Facts) { f.Flow = policy.DeviceCode }, policy.Block, "", 53003},
	{"device codes blocked, without", "3.6 flows", list(on("p", flows(policy.DeviceCode), block)), nil, policy.Allow, "", 0},

	{"MFA, with a password only, none registered", "6", list(on("p", mfa)), nil, policy.Ask, "mfa", 50079},
	{"MFA, with a password only, one registered", "6", list(on("p", mfa)), func(f *policy.Facts) { f.Registered |= policy.SoftwareOTP.Set() }, policy.Ask, "mfa", 50076},
	{"MFA, given", "3.6 controls", list(on("p", mfa)), withOTP, policy.Allow, "", 0},
	{"MFA, by passkey alone", "3.6 strengths", list(on("p", mfa)), withPasskey, policy.Allow, "", 0},
	{"MFA, by recovery code", "3.6 controls", list(on("p", mfa)), func(f *policy.Facts) { f.Methods |= policy.RecoveryCode.Set() }, policy.Allow, "", 0},
	{"the strength multifactor, by password and code", "3.6 strengths", list(on("p", strength(multifactor))), withOTP, policy.Allow, "", 0},
	{"the strength multifactor, by recovery code", "3.6 strengths", list(on("p", strength(multifactor))), func(f *policy.Facts) { f.Methods |= policy.RecoveryCode.Set() }, policy.Ask, "authenticationStrength:" + multifactor, 50079},
	{"phishing-resistant, by password and code", "3.6 strengths", list(on("p", strength(resistant))), withOTP, policy.Ask, "authenticationStrength:" + resistant, 50079},
	{"phishing-resistant, a passkey registered but not used", "3.6 strengths", list(on("p", strength(resistant))), func(f *policy.Facts) { withOTP(f); f.Registered |= policy.Passkey.Set() }, policy.Ask, "authenticationStrength:" + resistant, 50076},
	{"phishing-resistant, by passkey", "3.6 strengths", list(on("p", strength(resistant))), withPasskey, policy.Allow, "", 0},
	{"passwordless, by passkey", "3.6 strengths", list(on("p", strength(passwordless))), withPasskey, policy.Allow, "", 0},
	{"compliant device, and it is", "3.6 controls", list(on("p", compliant)), healthy, policy.Allow, "", 0},
	{"compliant device, and it is not", "6", list(on("p", compliant)), nil, policy.Ask, "compliantDevice", 53000},
	{"compliant device, and none was recognised", "6", list(on("p", compliant)), stranger, policy.Ask, "compliantDevice", 50097},
	{"compliant device, on a platform that nobody knows", "6", list(on("p", compliant)), func(f *policy.Facts) { f.Platform = 0 }, policy.Ask, "compliantDevice", 50005},
	{"joined device, and it is not", "6", list(on("p", hybrid)), nil, policy.Ask, "domainJoinedDevice", 53001},
	{"joined device, and it is", "3.6 controls", list(on("p", hybrid)), func(f *policy.Facts) { f.Device.Trust = policy.Hybrid }, policy.Allow, "", 0},
	{"terms of use", "6", list(on("p", newTerms)), nil, policy.Ask, "termsOfUse:" + terms, 50158},
	{"terms of use, accepted", "3.6 controls", list(on("p", newTerms)), func(f *policy.Facts) { f.Terms = []string{terms} }, policy.Allow, "", 0},
	{"two terms, one accepted", "3.6 controls", list(on("p", accept(terms, moreTerms))), func(f *policy.Facts) { f.Terms = []string{terms} }, policy.Ask, "termsOfUse:" + moreTerms, 50158},

	{"MFA and a compliant device, neither", "3.6 operator", list(on("p", mfa, compliant)), nil, policy.Ask, "mfa compliantDevice", 53000},
	{"MFA and a compliant device, the device", "3.6 operator", list(on("p", mfa, compliant)), healthy, policy.Ask, "mfa", 50079},
	{"MFA or a compliant device, the device", "3.6 operator", list(on("p", mfa, compliant, anyOf)), healthy, policy.Allow, "", 0},
	{"MFA or a compliant device, neither", "3.6 operator", list(on("p", mfa, compliant, anyOf)), nil, policy.Ask, "mfa", 50079},
	{"compliant or joined device, neither", "3.6 operator", list(on("p", hybrid, compliant, anyOf)), nil, policy.Ask, "compliantDevice", 53000},
	{"two policies add up", "3.6", list(on("p", mfa), on("q", newTerms)), nil, policy.Ask, "mfa termsOfUse:" + terms, 50079},
	{"one way out serves two policies", "3.6 operator", list(on("p", mfa), on("q", mfa, newTerms, anyOf)), nil, policy.Ask, "mfa", 50079},
	{"of several ways out, what the person has", "3.6 operator", list(on("p", mfa, newTerms, anyOf)), func(f *policy.Facts) { f.Registered |= policy.SoftwareOTP.Set() }, policy.Ask, "mfa", 50076},
	{"of several ways out, the easiest", "3.6 operator", list(on("p", mfa, newTerms, anyOf)), nil, policy.Ask, "termsOfUse:" + terms, 50158},

	{"sign-in frequency, young enough", "1 SIF", list(on("p", every(4*time.Hour))), signedIn(4*time.Hour - time.Second), policy.Allow, "", 0},
	{"sign-in frequency, at the very instant", "1 SIF, 6", list(on("p", every(4*time.Hour))), signedIn(4 * time.Hour), policy.Ask, "signInFrequency", 70043},
	{"the shortest frequency wins", "1 SIF", list(on("p", every(24*time.Hour)), on("q", every(time.Hour))), signedIn(2 * time.Hour), policy.Ask, "signInFrequency", 70043},
	{"every time, within five minutes", "1 SIF", list(on("p", everyTime)), signedIn(4 * time.Minute), policy.Allow, "", 0},
	{"every time, later", "1 SIF", list(on("p", everyTime)), signedIn(6 * time.Minute), policy.Ask, "signInFrequency", 70043},
	{"frequency of both factors, the second is old", "1 SIF", list(on("p", every(4*time.Hour))), func(f *policy.Facts) { f.SecondTime = now.Add(-5 * time.Hour) }, policy.Ask, "signInFrequency:secondaryAuthentication", 70043},
	{"frequency of both factors, both are old", "1 SIF", list(on("p", every(4*time.Hour))), func(f *policy.Facts) { signedIn(5 * time.Hour)(f); f.SecondTime = f.AuthTime }, policy.Ask, "signInFrequency", 70043},
	{"frequency of the second factor, the first is old", "1 SIF", list(on("p", everySecond(4*time.Hour))), func(f *policy.Facts) { f.AuthTime, f.SecondTime = now.Add(-50*time.Hour), now.Add(-time.Hour) }, policy.Allow, "", 0},
	{"frequency of the second factor, which is old", "1 SIF", list(on("p", everySecond(4*time.Hour))), func(f *policy.Facts) { f.SecondTime = now.Add(-5 * time.Hour) }, policy.Ask, "signInFrequency:secondaryAuthentication", 70043},
	{"a frequency for other people", "1 SIF", list(on("p", only(users(grace)), every(time.Hour))), signedIn(9 * time.Hour), policy.Allow, "", 0},
}

var newTerms = accept(terms)

func list(all ...policy.Policy) []policy.Policy { return all }
func in(g directory.GroupID) change {
	return func(f *policy.Facts) { f.Groups = []directory.GroupID{{77}, g} }
}
func as(r directory.RoleID) change {
	return func(f *policy.Facts) { f.Roles = []directory.RoleID{"other", r} }
}
func guest(g policy.Guest) change { return func(f *policy.Facts) { f.Guest = g } }
func from(a netip.Addr) change    { return func(f *policy.Facts) { f.Address = a } }
func healthy(f *policy.Facts)     { f.Device.Compliant = policy.Yes }
func stranger(f *policy.Facts) {
	f.Device = policy.Device{Compliant: policy.Yes, Trust: policy.Registered}
}
func signedIn(ago time.Duration) change { return func(f *policy.Facts) { f.AuthTime = now.Add(-ago) } }
func doing(a policy.Action) change {
	return func(f *policy.Facts) { f.Client, f.Resource, f.Action = "", "", a }
}

func TestSignInsEndAsEntrasDo(t *testing.T) {
	t.Parallel()
	if len(situations) < 60 {
		t.Fatalf("%d situations", len(situations))
	}
	for _, tt := range situations {
		s := compile(t, tt.policies...)
		f := facts()
		if tt.facts != nil {
			f = facts(tt.facts)
		}
		v := s.Decide(f)
		if got := strings.Join(s.Names(v.Needs), " "); v.Decision != tt.want || got != tt.needs {
			t.Errorf("%s (§%s): %v, needs %q; want %v, %q", tt.name, tt.section, v.Decision, got, tt.want, tt.needs)
		}
		r, refused := s.Refuse(f, &v, policy.AtRefresh)
		if refused != (tt.want != policy.Allow) || r.Number != tt.code {
			t.Errorf("%s (§%s): refused %v with %d, want %d", tt.name, tt.section, refused, r.Number, tt.code)
		}
	}
}

// What is not known is included in every condition and spared by none: one row for
// each condition and each way round.
func TestWhatIsNotKnownNeverHelps(t *testing.T) {
	t.Parallel()
	noAddress := func(f *policy.Facts) { f.Address = netip.Addr{} }
	noCountry := func(f *policy.Facts) { f.Country = policy.Country{} }
	unasked := func(f *policy.Facts) { f.Client, f.Resource = "", "" }
	for _, tt := range []struct {
		name   string
		p      policy.Policy
		unsure string // the reason that is given; empty: it is certain
		blank  change
		want   policy.Decision
	}{
		{"program, included", on("p", clients(policy.OtherClient), block), "clientApps", func(f *policy.Facts) { f.Program = 0 }, policy.Block},
		{"program of a number that nobody has defined", on("p", clients(policy.OtherClient), block), "clientApps", func(f *policy.Facts) { f.Program = 200 }, policy.Block},
		{"platform, included", on("p", platforms(policy.IOS), block), "devicePlatform", func(f *policy.Facts) { f.Platform = 0 }, policy.Block},
		{"platform, spared", on("p", butPlatforms(policy.Windows), block), "devicePlatform", func(f *policy.Facts) { f.Platform = 0 }, policy.Block},
		{"address, included", on("p", at(places(branch), no), block), "location", noAddress, policy.Block},
		{"address, spared", on("p", at(anywhere, places(office)), block), "location", noAddress, policy.Block},
		{"address, trusted included", on("p", at(trusted, no), block), "location", noAddress, policy.Block},
		{"address, trusted spared", on("p", at(anywhere, trusted), block), "location", noAddress, policy.Block},
		{"address, where it does not matter", on("p", at(anywhere, no), block), "", noAddress, policy.Block},
		{"address, with an exclusion only", on("p", at(no, trusted), block), "location", noAddress, policy.Block},
		{"country, included", on("p", at(places(nowhere), no), block), "location", noCountry, policy.Block},
		{"country, spared", on("p", at(anywhere, places(near)), block), "location", noCountry, policy.Block},
		{"country, where the address decides", on("p", at(anywhere, policy.Places{Trusted: true, IDs: []string{near}}), block), "", noCountry, policy.Allow},
		{"device, picked", on("p", devices(`device.isCompliant -eq True`), block), "devices", stranger, policy.Block},
		{"device, picked by what it is not", on("p", devices(`device.isCompliant -ne True`), block), "devices", stranger, policy.Block},
		{"device, spared", on("p", butDevices(`device.trustType -eq "Workplace"`), block), "devices", stranger, policy.Block},
		{"compliance of a device that is known", on("p", butDevices(`device.isCompliant -eq True`), block), "devices", func(f *policy.Facts) { f.Device.Compliant = policy.Unknown }, policy.Block},
		{"trust of a device that is known", on("p", hybrid), "", func(f *policy.Facts) { f.Device.Trust = policy.NotKnown }, policy.Ask},
		{"compliance demanded of no device", on("p", compliant), "", stranger, policy.Ask},
		{"risk of the sign-in", on("p", risk(policy.HighRisk), block), "signInRisk", func(f *policy.Facts) { f.SignInRisk = 0 }, policy.Block},
		{"risk of the account", on("p", userRisk(policy.LowRisk), block), "userRisk", func(f *policy.Facts) { f.UserRisk = 0 }, policy.Block},
		{"flow", on("p", flows(policy.DeviceCode), block), "authenticationFlow", func(f *policy.Facts) { f.Flow = 0 }, policy.Block},
		{"what is signed in to", on("p", apps("wiki"), block), "application", unasked, policy.Block},
		{"what is signed in to, spared", on("p", butApps("mail"), block), "application", unasked, policy.Block},
		{"what is done", on("p", action(policy.RegisterDevice), block), "userActions", unasked, policy.Block},
		{"which context", on("p", context(3), block), "authenticationContext", unasked, policy.Block},
		{"an action of a number that nobody has defined", on("p", action(policy.RegisterDevice), block), "userActions", func(f *policy.Facts) { unasked(f); f.Action = 9 }, policy.Block},
		{"a guest of a kind that nobody has defined", on("p", only(policy.Who{Guests: 1}), block), "", guest(200), policy.Block},
		{"such a guest, spared", on("p", but(policy.Who{Guests: 63}), block), "", guest(200), policy.Block},
		{"when the person signed in", on("p", every(time.Hour)), "", func(f *policy.Facts) { f.AuthTime = time.Time{} }, policy.Ask},
		{"when they gave a second factor", on("p", everySecond(time.Hour)), "", nil, policy.Ask},
		{"a sign-in in the future", on("p", every(time.Hour)), "", signedIn(-policy.Grace - time.Second), policy.Ask},
		{"a sign-in in the future, and a second factor before it", on("p", every(time.Hour)), "", func(f *policy.Facts) { f.AuthTime, f.SecondTime = now.Add(time.Hour), now }, policy.Ask},
		{"a second factor in the future", on("p", every(time.Hour)), "", func(f *policy.Facts) { f.SecondTime = now.Add(time.Hour) }, policy.Ask},
		{"a sign-in a little in the future", on("p", every(time.Hour)), "", signedIn(-policy.Grace), policy.Allow},
		{"a location that is gone, included", on("p", at(places("gone"), no), block), "", nil, policy.Block},
		{"a location that is gone, spared", on("p", at(anywhere, places("gone")), block), "", nil, policy.Block},
		{"a strength that is gone", on("p", strength("gone")), "", withPasskey, policy.Ask},
		{"a rule that cannot be read, picking", on("p", devices("gone"), block), "", nil, policy.Block},
		{"a rule that cannot be read, sparing", on("p", butDevices("gone"), block), "", nil, policy.Block},
	} {
		s, f := compile(t, tt.p), facts()
		if tt.blank != nil {
			f = facts(tt.blank)
		}
		v := s.Decide(f)
		if v.Decision != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, v.Decision, tt.want)
		}
		if got := s.Explain(f, &v)[0].Unknown; !slices.Equal(got, append([]string(nil), strings.Fields(tt.unsure)...)) {
			t.Errorf("%s: not known: %v, want %q", tt.name, got, tt.unsure)
		}
	}
	if (policy.Verdict{}).Decision != policy.Block {
		t.Error("the zero verdict does not block")
	}
}

func TestTheShortestAndStrictestLimitWins(t *testing.T) {
	t.Parallel()
	unknownPlatform := func(f *policy.Facts) { f.Platform = 0 }
	for _, tt := range []struct {
		name     string
		policies []policy.Policy
		facts    change
		want     policy.Limits
	}{
		{"none", nil, nil, policy.Limits{}},
		{"frequencies", list(on("a", every(9*time.Hour)), on("b", every(3*time.Hour)), on("c", every(24*time.Hour)), on("d", everySecond(2*time.Hour)), on("e", everySecond(5*time.Hour))), withOTP,
			policy.Limits{Frequency: 3 * time.Hour, Second: 2 * time.Hour, Until: now.Add(2*time.Hour - time.Minute)}},
		{"every time", list(on("a", every(9*time.Hour)), on("b", everyTime)), nil, policy.Limits{Frequency: policy.Grace, Until: now.Add(4 * time.Minute)}},
		{"the older factor", list(on("a", every(9*time.Hour))), func(f *policy.Facts) { f.SecondTime = now.Add(-time.Hour) }, policy.Limits{Frequency: 9 * time.Hour, Until: now.Add(8 * time.Hour)}},
		{"persistent", list(on("a", persistent(policy.Always))), nil, policy.Limits{Persistent: policy.Always}},
		{"never wins", list(on("a", persistent(policy.Always)), on("b", persistent(policy.Never)), on("c", persistent(policy.Always))), nil, policy.Limits{Persistent: policy.Never}},
		{"always only where it is certain", list(on("a", platforms(policy.IOS), persistent(policy.Always))), unknownPlatform, policy.Limits{}},
		{"never also where it is not", list(on("a", platforms(policy.IOS), persistent(policy.Never))), unknownPlatform, policy.Limits{Persistent: policy.Never}},
		{"restrictions of the application", list(on("a", appEnforced)), nil, policy.Limits{AppEnforced: true}},
		{"continuous evaluation off", list(on("a", continuous(policy.NotContinuous))), nil, policy.Limits{Continuous: policy.NotContinuous}},
		{"off only where it is certain", list(on("a", platforms(policy.IOS), continuous(policy.NotContinuous))), unknownPlatform, policy.Limits{}},
		{"strict wins over off", list(on("a", continuous(policy.NotContinuous)), on("b", continuous(policy.StrictLocation))), nil, policy.Limits{Continuous: policy.StrictLocation}},
		{"the strictest of all", list(on("a", continuous(policy.StrictEnforcement)), on("b", continuous(policy.StrictLocation))), nil, policy.Limits{Continuous: policy.StrictEnforcement}},
		{"those of policies that only report do not count", list(report(on("a", every(time.Hour), persistent(policy.Never), appEnforced, continuous(policy.StrictLocation)))), nil, policy.Limits{}},
	} {
		f := facts()
		if tt.facts != nil {
			f = facts(tt.facts)
		}
		if got := compile(t, tt.policies...).Decide(f).Limits; got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestASparedAccountIsTouchedByNoPolicy(t *testing.T) {
	t.Parallel()
	w := world()
	w.Spared = []directory.UserID{ada}
	s, err := policy.Compile(list(on("p", only(users(ada)), block), on("q", every(time.Second)), report(on("r", block))), w)
	if err != nil {
		t.Fatal(err)
	}
	f := &policy.Facts{Now: now, User: ada}
	if v := s.Decide(f); v.Decision != policy.Allow || v.Report != policy.Allow || v.Limits != (policy.Limits{}) {
		t.Errorf("%+v", v)
	}
	if v := s.Decide(&policy.Facts{Now: now, User: grace, AuthTime: now}); v.Decision != policy.Allow || v.Report != policy.Block {
		t.Errorf("somebody else: %+v", v)
	}
}
