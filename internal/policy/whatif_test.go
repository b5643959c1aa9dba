package policy_test

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy"
)

func TestAChangeIsForeseen(t *testing.T) {
	t.Parallel()
	before := list(on("m", mfa), on("w", apps("wiki"), block), report(on("r", block)))
	people := []policy.Facts{*facts(withOTP), *facts(), *facts(withOTP, func(f *policy.Facts) { f.Client, f.Resource = "wiki", "" }), *facts(withPasskey)}
	for _, tt := range []struct {
		name  string
		after []policy.Policy
		want  string
	}{
		{"nothing", before, ""},
		{"another order", list(before[2], before[0], before[1]), ""},
		{"one that only reports", append(slices.Clone(before), report(on("x", block))), ""},
		{"switched on", list(before[0], before[1], on("r", block)), "0:ends 1:ends 3:ends"},
		{"a stronger method", list(on("m", strength(resistant)), before[1]), "0:asks 1:asks"},
		{"terms too", append(slices.Clone(before), on("t", newTerms)), "0:asks 1:asks 3:asks"},
		{"a frequency", append(slices.Clone(before), on("t", every(time.Hour))), "0:shortens 1:shortens 3:shortens"},
		{"a frequency of the second factor", append(slices.Clone(before), on("t", only(users(ada)), everySecond(2*time.Hour))), "0:shortens 1:asks 3:shortens"},
		{"restrictions", append(slices.Clone(before), on("t", appEnforced)), "0:shortens 1:shortens 3:shortens"},
		{"nothing kept", append(slices.Clone(before), on("t", persistent(policy.Never))), "0:shortens 1:shortens 3:shortens"},
		{"kept", append(slices.Clone(before), on("t", persistent(policy.Always))), "0:opens 1:opens 3:opens"},
		{"strict places", append(slices.Clone(before), on("t", continuous(policy.StrictLocation))), "0:shortens 1:shortens 3:shortens"},
		{"no continuous evaluation", append(slices.Clone(before), on("t", continuous(policy.NotContinuous))), "0:opens 1:opens 3:opens"},
		{"none", nil, "1:opens 2:opens"},
		{"no more block", list(before[0]), "2:opens"},
	} {
		var got []string
		for _, c := range compile(t, before...).Differs(compile(t, tt.after...), people) {
			got = append(got, fmt.Sprintf("%d:%s", c.Index, map[policy.ChangeKind]string{policy.Ends: "ends", policy.Asks: "asks", policy.Shortens: "shortens", policy.Opens: "opens"}[c.Kind]))
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, got, tt.want)
		}
	}
	// Another set numbers strengths differently; the names are the same.
	a, b := compile(t, on("x", strength(resistant))), compile(t, on("x", strength(resistant)), on("y", only(users(mallory)), strength(multifactor)))
	if c := a.Differs(b, people); len(c) != 0 {
		t.Errorf("numbered differently: %+v", c)
	}
}

func TestSomebodyMustBeLeftWhoCanPutThingsRight(t *testing.T) {
	t.Parallel()
	admin := func(id directory.UserID, changes ...func(*policy.Facts)) policy.Facts {
		f := *facts(append([]func(*policy.Facts){as(globalAdmin)}, changes...)...)
		f.User = id
		return f
	}
	rare := func(f *policy.Facts) { f.Registered, f.AuthTime = 0, time.Time{} }
	for _, tt := range []struct {
		name     string
		policies []policy.Policy
		spared   []directory.UserID
		admins   []policy.Facts
		in, by   string
	}{
		{"no policies", nil, nil, []policy.Facts{admin(ada)}, "ada", ""},
		{"nobody", nil, nil, nil, "", ""},
		{"everybody blocked", list(on("p", block)), nil, []policy.Facts{admin(ada), admin(grace)}, "", "p"},
		{"all but one", list(on("p", but(users(grace)), block)), nil, []policy.Facts{admin(ada), admin(grace)}, "grace", "p"},
		{"only somebody who is spared", list(on("p", block)), []directory.UserID{grace}, []policy.Facts{admin(ada), admin(grace)}, "grace spared", "p"},
		{"the role blocked", list(on("p", only(roles(globalAdmin)), block)), nil, []policy.Facts{admin(ada)}, "", "p"},
		{"only reported", list(report(on("p", block))), nil, []policy.Facts{admin(ada)}, "ada", ""},
		{"MFA that nobody has", list(on("p", mfa)), nil, []policy.Facts{admin(ada), admin(grace)}, "", "p"},
		{"MFA that one has", list(on("p", mfa)), nil, []policy.Facts{admin(ada), admin(grace, func(f *policy.Facts) { f.Registered |= policy.SoftwareOTP.Set() })}, "grace", "p"},
		{"a strength that nobody has", list(on("p", strength(resistant))), nil, []policy.Facts{admin(ada, withOTP)}, "", "p"},
		{"a compliant device that nobody has", list(on("p", compliant)), nil, []policy.Facts{admin(ada), admin(grace, stranger)}, "", "p"},
		{"a compliant device or a method", list(on("p", compliant, mfa, anyOf)), nil, []policy.Facts{admin(ada, withOTP)}, "ada", ""},
		{"one of two situations of the same person", list(on("p", at(anywhere, trusted), block)), nil, []policy.Facts{admin(ada, from(outside)), admin(ada), admin(ada, from(inOffice6))}, "ada", "p"},
		{"only from where nobody is", list(on("p", at(anywhere, places(branch)), block)), nil, []policy.Facts{admin(ada), admin(grace, from(netip.Addr{}))}, "", "p"},
		{"an old sign-in, which can be repeated", list(on("p", everyTime, mfa)), nil, []policy.Facts{admin(ada, withOTP, signedIn(9*time.Hour))}, "ada", ""},
		{"an old sign-in, and nothing to repeat it with", list(on("p", everyTime)), nil, []policy.Facts{admin(ada, rare)}, "", "p"},
		{"terms, which can be accepted", list(on("p", newTerms)), nil, []policy.Facts{admin(ada)}, "ada", ""},
		{"a password, which can be changed", list(on("p", newPass)), nil, []policy.Facts{admin(ada)}, "ada", ""},
		{"a password that there is not", list(on("p", newPass)), nil, []policy.Facts{admin(ada, withPasskey)}, "", "p"},
		{"a risk that nobody computes", list(on("p", risk(policy.HighRisk), block)), nil, []policy.Facts{admin(ada, func(f *policy.Facts) { f.SignInRisk = 0 })}, "", "p"},
		{"a country that nobody can tell", list(on("p", at(anywhere, places(near)), block)), nil, []policy.Facts{admin(ada, func(f *policy.Facts) { f.Country = policy.Country{} })}, "", "p"},
		{"two policies between them", list(on("p", but(users(ada)), block), on("q", but(users(grace)), block)), nil, []policy.Facts{admin(ada), admin(grace)}, "", "p q"},
	} {
		w := world()
		w.Spared = tt.spared
		s, err := policy.Compile(tt.policies, w)
		if err != nil {
			t.Fatal(err)
		}
		l := s.LocksOut(tt.admins)
		var in []string
		for _, u := range l.In {
			in = append(in, map[directory.UserID]string{ada: "ada", grace: "grace"}[u])
			if slices.Contains(l.Spared, u) {
				in = append(in, "spared")
			}
		}
		if strings.Join(in, " ") != tt.in || strings.Join(l.By, " ") != tt.by || l.Out != (tt.in == "") {
			t.Errorf("%s: %+v, want %q by %q", tt.name, l, tt.in, tt.by)
		}
	}
	f := admin(ada)
	if compile(t, on("p", mfa)).LocksOut([]policy.Facts{f}); !reflect.DeepEqual(f, admin(ada)) {
		t.Error("the facts were changed")
	}
}
