package policy_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/curfew-id/curfew/internal/policy"
)

func here(s *policy.Set, f *policy.Facts) bool {
	v := s.Decide(f)
	return s.Here(f, &v)
}

// A token whose verdict does not hang on the address is not asked for again when it is
// shown from another one: so, whatever else may change meanwhile, the address decides
// nothing.
func TestWhatDoesNotHangOnTheAddressIsTheSameFromEverywhere(t *testing.T) {
	same, other := 0, 0
	check(t, func(t *rapid.T) {
		all, f := policies(t, 4), anyFacts(t)
		if maybe(t, "young", 2) {
			f.AuthTime = now
			withPasskey(f)
		}
		s := made(t, all)
		hangs := here(s, f)
		stay := *f
		for i, move := range []func(){
			func() { stay.SignInRisk = policy.Risk(between(t, "risk", 0, 5)) },
			func() { stay.UserRisk = policy.Risk(between(t, "risk", 0, 5)) },
			func() { d := anyDevice(t); stay.Device.Compliant, stay.Device.Trust = d.Compliant, d.Trust },
			func() { stay.Now = now.Add(time.Duration(between(t, "hours", -1, 9)) * time.Hour) },
		} {
			if maybe(t, fmt.Sprint("move ", i), 3) {
				move()
			}
		}
		gone := stay
		gone.Address, gone.Country = oneOf(t, "to", someAddresses), oneOf(t, "country", someCountries)
		a, b := s.Decide(&stay), s.Decide(&gone)
		changed := a.Decision != b.Decision || a.Decision == policy.Allow && !a.Limits.Until.Equal(b.Limits.Until)
		if !hangs && changed {
			t.Fatalf("it does not hang on the address\nhere  %v until %v\nthere %v until %v\n%+v\n%+v\n%+v", a.Decision, a.Limits.Until, b.Decision, b.Limits.Until, stay, gone, all)
		}
		if changed {
			other++
		} else if !hangs {
			same++
		}
	})
	if same == 0 || other == 0 {
		t.Errorf("%d hung on nothing and %d on the address: nothing was compared", same, other)
	}
}

func TestWhatHangsOnTheAddress(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		policy policy.Policy
		want   bool
	}{
		"blocked elsewhere":                     {on("a", at(anywhere, trusted), block), true},
		"blocked there":                         {on("a", at(trusted, no), block), true},
		"something is asked for elsewhere":      {on("a", at(anywhere, trusted), compliant), true},
		"the proof is over sooner elsewhere":    {on("a", at(anywhere, trusted), every(time.Hour)), true},
		"blocked wherever":                      {on("a", at(anywhere, no), block), false},
		"no place":                              {on("a", every(time.Hour)), false},
		"somebody else":                         {on("a", only(users(grace)), at(anywhere, trusted), block), false},
		"what is asked for elsewhere was given": {on("a", at(anywhere, trusted), mfa), false},
		"nothing is asked for elsewhere":        {on("a", at(anywhere, trusted), persistent(policy.Always)), false},
	} {
		if got := here(compile(t, c.policy), facts(withOTP)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	s, err := policy.Compile(list(on("a", at(trusted, no), block)), policy.World{Locations: []policy.Location{{ID: branch, Ranges: prefixes("198.51.100.0/24")}}})
	if err != nil {
		t.Fatal(err)
	}
	if here(s, facts()) {
		t.Error("places that are none")
	}
}

// BenchmarkHere is asked at each issue and each judgement for a guard.
func BenchmarkHere(b *testing.B) {
	all, w := twoHundred()
	s, err := policy.Compile(all, w)
	if err != nil {
		b.Fatal(err)
	}
	f := busy()
	v := s.Decide(f)
	b.ReportAllocs()
	for b.Loop() {
		s.Here(f, &v)
	}
}
