package policy_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/policy"
)

func TestEveryPolicyIsExplained(t *testing.T) {
	t.Parallel()
	s := compile(t,
		on("a-block", only(users(grace)), apps("wiki"), platforms(policy.IOS), clients(policy.Native), at(places(branch), no), devices(`device.isCompliant -eq True`), risk(policy.HighRisk), userRisk(policy.HighRisk), flows(policy.DeviceCode), block),
		on("b-action", action(policy.RegisterDevice), block),
		on("c-context", context(3), block),
		on("d-mfa", mfa, compliant),
		on("e-or", mfa, newTerms, anyOf),
		on("f-times", every(4*time.Hour), persistent(policy.Never), appEnforced, continuous(policy.StrictLocation)),
		on("g-stale", everyTime),
		on("h-stale", everySecond(36*time.Hour), continuous(policy.NotContinuous), persistent(policy.Always)),
		off(on("i-off", block)),
		report(on("j-report", block)),
		report(on("k-report", strength(resistant))),
		report(on("l-report", compliant)),
		report(on("m-report", compliant, mfa, anyOf)),
		report(on("n-report", appEnforced)),
		report(on("o-report", only(users(grace)), block)),
		report(on("p-report", everyTime)),
		on("q-blocked", block),
		on("r-country", at(places(near), no), continuous(policy.StrictEnforcement)),
		report(on("s-report", hybrid, compliant, anyOf)),
	)
	f := facts(func(f *policy.Facts) {
		f.AuthTime, f.Terms, f.Country = now.Add(-time.Hour), []string{terms}, policy.Country{}
	})
	v := s.Decide(f)
	var got []string
	for _, r := range s.Explain(f, &v) {
		if r.Applies != (len(r.RuledOut) == 0 && r.Outcome != policy.NotEnabled) {
			t.Errorf("%s: %+v", r.Policy.ID, r)
		}
		got = append(got, fmt.Sprintf("%s %s out=%s unknown=%s demands=%s missing=%s limits=%s", r.Policy.ID, r.Outcome, strings.Join(r.RuledOut, ","), strings.Join(r.Unknown, ","), strings.Join(r.Demands, ","), strings.Join(r.Missing, ","), strings.Join(r.Limits, ",")))
	}
	want := []string{
		"a-block notApplied out=users,application,clientApps,devicePlatform,location,devices,signInRisk,userRisk,authenticationFlow unknown= demands=block missing= limits=",
		"b-action notApplied out=userActions unknown= demands=block missing= limits=",
		"c-context notApplied out=authenticationContext unknown= demands=block missing= limits=",
		"d-mfa failure out= unknown= demands=mfa,compliantDevice missing=mfa,compliantDevice limits=",
		"e-or success out= unknown= demands=mfa,termsOfUse:terms-of-use missing= limits=",
		"f-times success out= unknown= demands= missing= limits=signInFrequency:4h0m0s,persistentBrowser:never,applicationEnforcedRestrictions,continuousAccessEvaluation:strictLocation",
		"g-stale failure out= unknown= demands= missing=signInFrequency limits=signInFrequency:every time",
		"h-stale failure out= unknown= demands= missing=signInFrequency:secondaryAuthentication limits=signInFrequency:36h0m0s,persistentBrowser:always,continuousAccessEvaluation:disabled",
		"i-off notEnabled out= unknown= demands=block missing= limits=",
		"j-report reportOnlyFailure out= unknown= demands=block missing=block limits=",
		"k-report reportOnlyInterrupted out= unknown= demands=authenticationStrength:" + resistant + " missing=authenticationStrength:" + resistant + " limits=",
		"l-report reportOnlyFailure out= unknown= demands=compliantDevice missing=compliantDevice limits=",
		"m-report reportOnlyInterrupted out= unknown= demands=mfa,compliantDevice missing=mfa,compliantDevice limits=",
		"n-report reportOnlySuccess out= unknown= demands= missing= limits=applicationEnforcedRestrictions",
		"o-report reportOnlyNotApplied out=users unknown= demands=block missing= limits=",
		"p-report reportOnlyInterrupted out= unknown= demands= missing=signInFrequency limits=signInFrequency:every time",
		"q-blocked failure out= unknown= demands=block missing=block limits=",
		"r-country success out= unknown=location demands= missing= limits=continuousAccessEvaluation:strictEnforcement",
		"s-report reportOnlyFailure out= unknown= demands=compliantDevice,domainJoinedDevice missing=compliantDevice,domainJoinedDevice limits=",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	b, err := json.Marshal(s.Explain(f, &v)[3:6:6][:2])
	if wantJSON := `[{"id":"d-mfa","displayName":"d-mfa","enforcedGrantControls":["mfa","compliantDevice"],"enforcedSessionControls":[],"result":"failure"},` +
		`{"id":"e-or","displayName":"e-or","enforcedGrantControls":["mfa","termsOfUse:terms-of-use"],"enforcedSessionControls":[],"result":"success"}]`; err != nil || string(b) != wantJSON {
		t.Errorf("%s, %v", b, err)
	}
}

// Each verdict as its two places tell it (reference: entra.md §6).
func TestWhatAVerdictIsCalled(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name                      string
		policies                  []policy.Policy
		facts                     change
		refresh                   int
		suberror                  string
		authorize                 int
		authorizeError, suberror2 string
	}{
		{"blocked", list(on("p", block), on("q", compliant)), nil, 53003, "message_only", 53003, "access_denied", "message_only"},
		{"no device", list(on("p", compliant)), stranger, 50097, "additional_action", 50097, "interaction_required", "additional_action"},
		{"no platform", list(on("p", hybrid)), func(f *policy.Facts) { f.Platform = 0 }, 50005, "additional_action", 50005, "interaction_required", "additional_action"},
		{"not compliant", list(on("p", compliant, hybrid)), nil, 53000, "additional_action", 53000, "interaction_required", "additional_action"},
		{"not joined", list(on("p", hybrid)), nil, 53001, "additional_action", 53001, "interaction_required", "additional_action"},
		{"too old", list(on("p", everyTime), on("q", mfa)), signedIn(time.Hour), 70043, "token_expired", 70044, "login_required", ""},
		{"second factor too old", list(on("p", everySecond(time.Hour))), nil, 70043, "token_expired", 70044, "login_required", ""},
		{"password", list(on("p", newPass, mfa)), nil, 50142, "basic_action", 50142, "interaction_required", "basic_action"},
		{"no method", list(on("p", mfa)), nil, 50079, "basic_action", 50079, "interaction_required", "basic_action"},
		{"a method", list(on("p", mfa)), func(f *policy.Facts) { f.Registered |= policy.SoftwareOTP.Set() }, 50076, "basic_action", 50076, "interaction_required", "basic_action"},
		{"one method for two strengths", list(on("p", strength(resistant)), on("q", strength(passwordless)), on("r", mfa)), func(f *policy.Facts) { f.Registered = policy.Passkey.Set() }, 50076, "basic_action", 50076, "interaction_required", "basic_action"},
		{"a method for one of two", list(on("p", strength(resistant)), on("q", mfa)), func(f *policy.Facts) { f.Registered |= policy.SoftwareOTP.Set() }, 50079, "basic_action", 50079, "interaction_required", "basic_action"},
		{"terms", list(on("p", newTerms)), nil, 50158, "basic_action", 50158, "interaction_required", "basic_action"},
	} {
		s, f := compile(t, append(tt.policies, report(on("reported", block)), on("fine", persistent(policy.Never)))...), facts()
		if tt.facts != nil {
			f = facts(tt.facts)
		}
		v := s.Decide(f)
		r, _ := s.Refuse(f, &v, policy.AtRefresh)
		if r.Number != tt.refresh || r.Error != "invalid_grant" || r.Suberror != tt.suberror || r.Text == "" {
			t.Errorf("%s at refresh: %+v", tt.name, r)
		}
		a, _ := s.Refuse(f, &v, policy.AtAuthorize)
		if a.Number != tt.authorize || a.Error != tt.authorizeError || a.Suberror != tt.suberror2 || a.Text == "" {
			t.Errorf("%s at authorize: %+v", tt.name, a)
		}
		var ids []string
		for _, p := range tt.policies {
			ids = append(ids, p.ID)
		}
		if want := `{"access_token":{"capolids":{"essential":true,"values":["` + strings.Join(ids, `","`) + `"]}}}`; r.Claims != want || !slices.Equal(r.Policies, ids) {
			t.Errorf("%s: %s %v", tt.name, r.Claims, r.Policies)
		}
		for _, word := range []string{"interaction_required", "consent_required", "login_required", "bad_token"} { // MSAL.js looks for them
			if strings.Contains(r.Text+a.Text, word) {
				t.Errorf("%s: %q says %s", tt.name, r.Text, word)
			}
		}
	}
	s, f := compile(t), facts()
	if v := s.Decide(f); v.Decision != policy.Allow {
		t.Error(v.Decision)
	} else if _, refused := s.Refuse(f, &v, policy.AtRefresh); refused {
		t.Error("what is allowed is refused")
	}
	// A verdict that nobody decided is a block.
	if r, refused := s.Refuse(f, &policy.Verdict{}, policy.AtRefresh); !refused || r.Number != 53003 || r.Claims != "" {
		t.Errorf("the zero verdict: %+v", r)
	}
}

func TestASetIsBounded(t *testing.T) {
	t.Parallel()
	many := func(n int, bends ...func(i int) bend) (all []policy.Policy) {
		for i := range n {
			p := on(fmt.Sprintf("%04d", i))
			for _, b := range bends {
				b(i)(&p)
			}
			all = append(all, p)
		}
		return all
	}
	wide := policy.World{}
	var ids []string
	for i := range 26 {
		l := policy.Location{ID: fmt.Sprint(i)}
		for j := range 2000 {
			l.Ranges = append(l.Ranges, netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(10 + i), byte(j / 256), byte(j), 0}), 24))
		}
		ids, wide.Locations = append(ids, l.ID), append(wide.Locations, l)
	}
	everyPlace := list(on("p", at(places(ids...), no), block))
	for _, tt := range []struct {
		name     string
		policies []policy.Policy
		world    policy.World
		ok       bool
	}{
		{"as many policies as there may be", many(policy.MaxPolicies), world(), true},
		{"one more", many(policy.MaxPolicies + 1), world(), false},
		{"strengths", many(policy.MaxStrengths, func(i int) bend { return strength(fmt.Sprint(i)) }), world(), true},
		{"one more", many(policy.MaxStrengths+1, func(i int) bend { return strength(fmt.Sprint(i)) }), world(), false},
		{"terms", many(policy.MaxTerms, func(i int) bend { return accept(fmt.Sprint(i)) }), world(), true},
		{"one more", many(policy.MaxTerms+1, func(i int) bend { return accept(fmt.Sprint(i)) }), world(), false},
		{"too many ranges", everyPlace, wide, false},
		{"ranges that no policy names", many(1), wide, true},
	} {
		if _, err := policy.Compile(tt.policies, tt.world); (err == nil) != tt.ok || err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	// The last of as many as there may be decides like the first.
	all := many(policy.MaxPolicies)
	mfa(&all[policy.MaxPolicies-1])
	accept(termIDs(policy.MaxTerms)...)(&all[0])
	s := compile(t, all...)
	f := facts(func(f *policy.Facts) { f.Terms = termIDs(policy.MaxTerms - 1) })
	if v := s.Decide(f); v.Decision != policy.Ask || strings.Join(s.Names(v.Needs), " ") != fmt.Sprintf("mfa termsOfUse:%02d", policy.MaxTerms-1) {
		t.Errorf("%v %v", v.Decision, s.Names(v.Needs))
	}
}

// Policies are found wherever they stand among many.
func TestThePoliciesThatRefusedAreNamedAmongMany(t *testing.T) {
	t.Parallel()
	var all []policy.Policy
	var want []string
	for i := range policy.MaxPolicies {
		p := on(fmt.Sprintf("%03d", i), appEnforced)
		if slices.Contains([]int{0, 3, 64, 70, 128, 255}, i) {
			mfa(&p)
			want = append(want, p.ID)
		}
		all = append(all, p)
	}
	s, f := compile(t, all...), facts()
	v := s.Decide(f)
	if r, _ := s.Refuse(f, &v, policy.AtRefresh); !slices.Equal(r.Policies, want) {
		t.Errorf("%v, want %v", r.Policies, want)
	}
}

func termIDs(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("%02d", i))
	}
	return all
}

func TestCountriesAndDecisionsHaveWords(t *testing.T) {
	t.Parallel()
	if got := fmt.Sprint(germany, policy.Block, policy.Ask, policy.Allow); got != "DE block ask allow" {
		t.Error(got)
	}
}

func TestTheGroupsThatMatterAreNamed(t *testing.T) {
	t.Parallel()
	s := compile(t, on("p", only(groups(board)), block), off(on("q", but(groups(staff, board)), block)))
	if got := s.Groups(); !slices.Equal(got, []directory.GroupID{staff, board}) {
		t.Errorf("%v", got)
	}
}

// Ranges that touch, nest, repeat and end at the last address.
func TestAddressesAreFoundInTheirRanges(t *testing.T) {
	t.Parallel()
	ranges := map[string][]string{
		"a": {"10.0.0.0/8", "10.0.0.0/8", "10.1.0.0/16"}, "b": {"10.1.0.0/16", "11.0.0.0/8"}, "c": {"255.0.0.0/8"}, "d": {"ff00::/8", "::/8"}, "e": {"10.1.2.3/32"},
	}
	w := policy.World{}
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		w.Locations = append(w.Locations, policy.Location{ID: id, Ranges: prefixes(ranges[id]...)})
	}
	var all []policy.Policy
	for _, l := range w.Locations {
		all = append(all, on(l.ID, at(places(l.ID), no), appEnforced))
	}
	s, err := policy.Compile(all, w)
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"9.255.255.255": "", "10.0.0.0": "a", "10.0.255.255": "a", "10.1.0.0": "ab", "10.1.2.2": "ab", "10.1.2.3": "abe", "10.1.2.4": "ab", "10.1.255.255": "ab", "10.2.0.0": "a", "10.255.255.255": "a",
		"11.0.0.0": "b", "11.255.255.255": "b", "12.0.0.0": "", "255.255.255.255": "c", "0.0.0.0": "", "::": "d", "::ffff:10.0.0.1": "a", "100::": "", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": "d", "fe80::1%eth0": "",
	} {
		f := facts(from(netip.MustParseAddr(address)))
		v, got := s.Decide(f), ""
		for _, r := range s.Explain(f, &v) {
			if r.Applies {
				got += r.Policy.ID
			}
		}
		if got != want {
			t.Errorf("%s is in %q, want %q", address, got, want)
		}
	}
}
