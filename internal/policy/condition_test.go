package policy_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/curfew-id/curfew/internal/policy"
)

func TestAConditionIsSmall(t *testing.T) {
	t.Parallel()
	s := compile(t, on("a", every(4*time.Hour)), on("b", every(2*time.Hour)), on("c", mfa), on("d", only(users(grace)), at(anywhere, trusted), block), on("e", at(anywhere, trusted), block),
		on("f", at(trusted, no), mfa), on("g", at(anywhere, trusted), every(time.Hour)))
	c := s.Condition(facts(withOTP))
	offices := prefixes("192.0.2.0/24", "2001:db8::/32")
	want := policy.Condition{From: now.Add(-time.Minute - policy.Grace), Until: now.Add(2*time.Hour - time.Minute), Device: laptop, Refused: []policy.Case{
		{Out: &policy.Area{Ranges: offices}, SignInRisk: 31, UserRisk: 31, Device: 1<<12 - 1},
		{Out: &policy.Area{Ranges: offices}, SignInRisk: 31, UserRisk: 31, Device: 1<<12 - 1, From: now.Add(-time.Minute - policy.Grace), Until: now.Add(59 * time.Minute)},
	}}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("%+v\nwant\n%+v", c, want)
	}
	b, err := json.Marshal(c)
	var again policy.Condition
	if err != nil || json.Unmarshal(b, &again) != nil || !reflect.DeepEqual(again, c) || len(b) > 1000 {
		t.Errorf("%s, %v", b, err)
	}
	none := policy.Condition{}
	if !none.Holds(policy.Seen{}) {
		t.Error("the zero condition does not hold")
	}
}

// What a guard is told holds exactly while deciding anew would still allow.
func TestTheConditionHoldsWhileTheVerdictWould(t *testing.T) {
	held, failed := 0, 0
	check(t, func(t *rapid.T) {
		all, f := policies(t, 4), anyFacts(t)
		if maybe(t, "young", 2) {
			f.AuthTime = now
			withPasskey(f)
		}
		s := made(t, all)
		c := s.Condition(f)
		if c.Never != (s.Decide(f).Decision != policy.Allow) {
			t.Fatalf("never: %v, decided %v", c.Never, s.Decide(f).Decision)
		}
		g := *f
		for i, move := range []func(){
			func() { g.Address = oneOf(t, "to", someAddresses) },
			func() { g.Country = oneOf(t, "country", someCountries) },
			func() { g.SignInRisk = policy.Risk(between(t, "risk", 0, 5)) },
			func() { g.UserRisk = policy.Risk(between(t, "risk", 0, 5)) },
			func() { d := anyDevice(t); g.Device.Compliant, g.Device.Trust = d.Compliant, d.Trust },
			func() {
				g.Now = now.Add(time.Duration(rapid.Int64Range(-int64(time.Hour), int64(9*time.Hour)).Draw(t, "later")))
			},
			func() { g.Now = now.Add(time.Duration(between(t, "hours", -1, 9)) * time.Hour) },
		} {
			if maybe(t, fmt.Sprint("move ", i), 3) {
				move()
			}
		}
		holds := c.Holds(policy.Seen{Now: g.Now, Address: g.Address, Country: g.Country, SignInRisk: g.SignInRisk, UserRisk: g.UserRisk, Compliant: g.Device.Compliant, Trust: g.Device.Trust})
		v := s.Decide(&g)
		if allowed := !c.Never && v.Decision == policy.Allow; holds != allowed {
			t.Fatalf("holds: %v; decided anew: %v %v\n%+v\nbefore %+v\nnow    %+v\n%+v", holds, v.Decision, s.Names(v.Needs), c, f, g, all)
		}
		if !c.Never && holds {
			held++
		} else if !c.Never {
			failed++
		}
	})
	if held == 0 || failed == 0 {
		t.Errorf("held %d times and failed %d: nothing was compared", held, failed)
	}
}

// BenchmarkHolds: what a guard does for each request when forty places with four
// thousand ranges are in policies.
func BenchmarkHolds(b *testing.B) {
	all, w := twoHundred()
	s, err := policy.Compile(all, w)
	if err != nil {
		b.Fatal(err)
	}
	f := busy()
	f.Device.Compliant = policy.Yes
	c := s.Condition(f)
	seen := policy.Seen{Now: f.Now, Address: f.Address, Country: f.Country, SignInRisk: f.SignInRisk, UserRisk: f.UserRisk, Compliant: f.Device.Compliant, Trust: f.Device.Trust}
	if !c.Holds(seen) {
		b.Fatalf("%+v", s.Decide(f))
	}
	b.ReportAllocs()
	for b.Loop() {
		c.Holds(seen)
	}
}

func TestAConditionOfPlacesThatAreNone(t *testing.T) {
	t.Parallel()
	s, err := policy.Compile(list(on("a", at(trusted, no), block)), policy.World{Locations: []policy.Location{{ID: branch, Ranges: prefixes("198.51.100.0/24")}}})
	if err != nil {
		t.Fatal(err)
	}
	if c := s.Condition(facts()); len(c.Refused) != 0 || c.Never {
		t.Errorf("%+v", c)
	}
}

// What nobody has defined is not known, at a guard as well.
func TestAGuardBelievesNoNumberThatMeansNothing(t *testing.T) {
	t.Parallel()
	c := compile(t, on("a", risk(policy.HighRisk), block), on("b", userRisk(policy.HighRisk), block), on("c", devices(`device.isCompliant -eq True`), block), on("d", at(places(branch), places(near)), block)).Condition(facts(func(f *policy.Facts) { f.Country = chile }))
	good := policy.Seen{Now: now, Address: outside, Country: chile, SignInRisk: policy.NoRisk, UserRisk: policy.NoRisk, Compliant: policy.No, Trust: policy.Registered}
	if !c.Holds(good) {
		t.Fatalf("%+v", c)
	}
	for name, x := range map[string]policy.Seen{
		"risk":       {Now: now, Address: outside, Country: chile, SignInRisk: 9, UserRisk: policy.NoRisk, Compliant: policy.No, Trust: policy.Registered},
		"user risk":  {Now: now, Address: outside, Country: chile, SignInRisk: policy.NoRisk, UserRisk: 9, Compliant: policy.No, Trust: policy.Registered},
		"compliance": {Now: now, Address: outside, Country: chile, SignInRisk: policy.NoRisk, UserRisk: policy.NoRisk, Compliant: 9, Trust: policy.Registered},
		"place":      {Now: now, Country: chile, SignInRisk: policy.NoRisk, UserRisk: policy.NoRisk, Compliant: policy.No, Trust: policy.Registered},
		"country":    {Now: now, Address: inBranch, SignInRisk: policy.NoRisk, UserRisk: policy.NoRisk, Compliant: policy.No, Trust: policy.Registered},
	} {
		if c.Holds(x) {
			t.Errorf("it holds whatever the %s", name)
		}
	}
}
