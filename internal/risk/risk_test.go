package risk

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/policy"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func seen(at time.Duration, addr, program string, place ...float64) Seen {
	s := Seen{At: noon.Add(at), Address: netip.MustParseAddr(addr), Program: program, Place: "somewhere"}
	if len(place) == 2 {
		s.Latitude, s.Longitude, s.Located = place[0], place[1], true
	}
	return s
}

var allOn = Rules{TokenReused: true, TwoNetworks: true, ImpossibleTravel: true, NewNetwork: true, NewProgram: true, PasswordSpray: true}

func TestWhatIsFoundInASignIn(t *testing.T) {
	t.Parallel()
	home := seen(-2*time.Hour, "198.51.100.7", "Firefox on Linux", 52.5, 13.4) // Berlin
	nowhere := seen(-time.Hour, "198.51.100.8", "Firefox on Linux")
	for name, tt := range map[string]struct {
		now    Seen
		before []Seen
		want   []Rule
	}{
		"the first":                         {seen(0, "203.0.113.9", "Chrome on Windows", 35.7, 139.7), nil, nil},
		"as ever":                           {seen(0, "198.51.100.200", "Firefox on Linux", 52.5, 13.4), []Seen{home}, nil},
		"Tokyo two hours after Berlin":      {seen(0, "198.51.100.9", "Firefox on Linux", 35.7, 139.7), []Seen{home}, []Rule{ImpossibleTravel}},
		"Tokyo a day after Berlin":          {seen(24*time.Hour, "198.51.100.9", "Firefox on Linux", 35.7, 139.7), []Seen{home}, nil},
		"Hamburg a minute after Berlin":     {seen(-119*time.Minute, "198.51.100.9", "Firefox on Linux", 53.5, 10), []Seen{home}, nil},
		"Tokyo, the one before was nowhere": {seen(0, "198.51.100.9", "Firefox on Linux", 35.7, 139.7), []Seen{nowhere, home}, []Rule{ImpossibleTravel}},
		"nowhere after Berlin":              {seen(0, "198.51.100.9", "Firefox on Linux"), []Seen{home}, nil},
		"a clock set back":                  {seen(-3*time.Hour, "198.51.100.9", "Firefox on Linux", 35.7, 139.7), []Seen{home}, []Rule{ImpossibleTravel}},
		"another network":                   {seen(0, "203.0.113.9", "Firefox on Linux"), []Seen{home}, []Rule{NewNetwork}},
		"a network of the one before last":  {seen(0, "203.0.113.9", "Firefox on Linux"), []Seen{home, seen(-3*time.Hour, "203.0.113.200", "Firefox on Linux")}, nil},
		"another part of a /48":             {seen(0, "2001:db8:1:2::1", "Firefox on Linux"), []Seen{seen(-time.Hour, "2001:db8:1:3::1", "Firefox on Linux")}, nil},
		"another program":                   {seen(0, "198.51.100.9", "Chrome on Windows"), []Seen{home}, []Rule{NewProgram}},
		"an address that sprays":            {Seen{At: noon, Address: netip.MustParseAddr("198.51.100.9"), Program: "Firefox on Linux", Sprayed: SprayAccounts}, []Seen{home}, []Rule{PasswordSpray}},
		"an address that mistypes":          {Seen{At: noon, Address: netip.MustParseAddr("198.51.100.9"), Program: "Firefox on Linux", Sprayed: SprayAccounts - 1}, []Seen{home}, nil},
		"no address":                        {Seen{At: noon, Program: "Firefox on Linux"}, []Seen{home}, nil},
	} {
		var got []Rule
		for _, f := range allOn.SignIn(tt.now, tt.before) {
			got = append(got, f.Rule)
			if !strings.HasSuffix(f.Why, ".") || strings.Contains(f.Why, "%!") {
				t.Errorf("%s: %q", name, f.Why)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
		if off := (Rules{}).SignIn(tt.now, tt.before); len(off) > 0 {
			t.Errorf("%s: found %v, and every rule about sign-ins is off", name, off)
		}
	}
}

func TestOnlyReuseIsOnByItself(t *testing.T) {
	t.Parallel()
	var none Rules
	for _, r := range Table {
		if none.On(r.Rule) != (r.Rule == TokenReused) {
			t.Errorf("%s is on: %v", r.Rule, none.On(r.Rule))
		}
		if r.Text == "" || r.Weight < Low || r.Graph == "" {
			t.Errorf("%+v", r)
		}
	}
	if none.Any(true) || !none.Any(false) || !(Rules{NewNetwork: true}).Any(true) || (Rules{TokenReused: false}).Any(false) || none.On("magic") {
		t.Error("which risks are computed is not what the rules say")
	}
}

func TestWeightsOfDifferentRulesAreAdded(t *testing.T) {
	t.Parallel()
	for want, rules := range map[policy.Risk][][]Rule{
		policy.NoRisk:     {nil, {Dismissed}, {Changed, Reset}},
		policy.LowRisk:    {{NewNetwork}, {NewNetwork, NewNetwork, NewNetwork, NewNetwork, NewNetwork}, {NewNetwork, NewProgram}},
		policy.MediumRisk: {{TokenReused}, {TokenReused, TokenReused, NewNetwork}},
		policy.HighRisk:   {{TokenReused, TwoNetworks}, {Confirmed}, {"a rule of a newer version"}},
	} {
		for _, r := range rules {
			if got := Level(r); got != want {
				t.Errorf("%v come to %v, want %v", r, got, want)
			}
		}
	}
}
