//go:build unix

package policy_test

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy"
)

// twoHundred are policies as a large directory might have them: a third about
// everybody, the others about groups, roles, applications, places, platforms,
// devices and risk, and most with an exclusion.
func twoHundred() ([]policy.Policy, policy.World) {
	w := world()
	for i := range 40 {
		l := policy.Location{ID: fmt.Sprint("site-", i), Trusted: i%4 == 0}
		for j := range 50 {
			l.Ranges = append(l.Ranges, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), byte(j), 0}), 24), netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, byte(i), byte(j)}), 48))
		}
		w.Locations = append(w.Locations, l)
	}
	var all []policy.Policy
	for i := range 200 {
		p := on(fmt.Sprintf("%03d", i), but(policy.Who{Groups: []directory.GroupID{{99, byte(i)}}, Users: []directory.UserID{{98, byte(i)}}}))
		switch i % 10 {
		case 0, 1:
			mfa(&p)
		case 2:
			only(groups(directory.GroupID{50, byte(i)}, staff))(&p)
			every(12 * time.Hour)(&p)
		case 3:
			only(roles(globalAdmin))(&p)
			strength(resistant)(&p)
		case 4:
			apps(fmt.Sprint("app-", i), "mail")(&p)
			at(anywhere, policy.Places{Trusted: true, IDs: []string{fmt.Sprint("site-", i%40)}})(&p)
			anyOf(&p)
			mfa(&p)
			compliant(&p)
		case 5:
			at(places(fmt.Sprint("site-", i%40), nowhere), no)(&p)
			block(&p)
		case 6:
			platforms(policy.Linux, policy.Android)(&p)
			compliant(&p)
		case 7:
			butDevices([]string{`device.isCompliant -eq True`, `device.trustType -in ["AzureAD","ServerAD","Workplace"]`, `device.trustType -eq "Workplace" -or device.isCompliant -eq True`}[i/10%3])(&p)
			anyOf(&p)
			mfa(&p)
			hybrid(&p)
		case 8:
			risk(policy.HighRisk)(&p)
			block(&p)
		case 9:
			every(time.Duration(1+i%23) * time.Hour)(&p)
			persistent(policy.Never)(&p)
			if i%20 == 9 {
				p = report(p)
			}
		}
		all = append(all, p)
	}
	return all, w
}

// busy are facts of somebody in twenty groups and two roles.
func busy() *policy.Facts {
	f := facts(withOTP, func(f *policy.Facts) { f.Roles = []directory.RoleID{reader, globalAdmin}; withPasskey(f) })
	for i := range 19 {
		f.Groups = append(f.Groups, directory.GroupID{60, byte(i)})
	}
	f.Groups = append(f.Groups, staff)
	f.Address = netip.MustParseAddr("10.20.30.40")
	f.Terms = []string{terms, moreTerms}
	return f
}

var sink policy.Verdict

// cpuTime is what this process has used: on a machine that others use too, the
// clock on the wall says little.
func cpuTime(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// BenchmarkDecide200: goal at most 5 µs and no allocation.
func BenchmarkDecide200(b *testing.B) {
	all, w := twoHundred()
	s, err := policy.Compile(all, w)
	if err != nil {
		b.Fatal(err)
	}
	// The worst there is: all apply, and no two have anything in common.
	var odd []policy.Policy
	for i := range 200 {
		odd = append(odd, on(fmt.Sprintf("%03d", i), every(time.Duration(300+i)*time.Hour), butDevices(fmt.Sprintf(`device.isCompliant -eq True -and device.deviceId -eq "00000000-0000-4000-8000-%012d"`, i))))
	}
	worst, err := policy.Compile(odd, w)
	if err != nil {
		b.Fatal(err)
	}
	late := busy() // every frequency is over
	late.AuthTime, late.SecondTime = time.Time{}, time.Time{}
	for name, f := range map[string]*policy.Facts{"known": busy(), "nothing_known": {Now: now, User: ada}, "worst": busy(), "worst_and_late": late} {
		s := map[bool]*policy.Set{true: worst, false: s}[strings.HasPrefix(name, "worst")]
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			n, cpu := 0, cpuTime(b)
			for b.Loop() {
				sink = s.Decide(f)
				n++
			}
			b.ReportMetric(float64(cpuTime(b)-cpu)/float64(n), "cpu-ns/op")
		})
	}
}

func BenchmarkExplain200(b *testing.B) {
	all, w := twoHundred()
	s, err := policy.Compile(all, w)
	if err != nil {
		b.Fatal(err)
	}
	f := busy()
	v := s.Decide(f)
	b.ReportAllocs()
	for b.Loop() {
		s.Explain(f, &v)
	}
}

func BenchmarkCompile200(b *testing.B) {
	all, w := twoHundred()
	for b.Loop() {
		if _, err := policy.Compile(all, w); err != nil {
			b.Fatal(err)
		}
	}
}

// The refresh path allocates nothing for its policies.
func TestDecidingAllocatesNothing(t *testing.T) {
	all, w := twoHundred()
	s, err := policy.Compile(all, w)
	if err != nil {
		t.Fatal(err)
	}
	f := busy()
	if n := testing.AllocsPerRun(100, func() { sink = s.Decide(f) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
