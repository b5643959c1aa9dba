package grant_test

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
)

const (
	home = "192.0.2.17"
	cafe = "198.51.100.9"
)

// presented is one use of a refresh token, and what must come of it.
type presented struct {
	generation int64
	at         time.Duration // since start
	from       string
	resource   directory.ResourceID
	want       grant.Outcome
	alarm      grant.Alarm
}

// present plays uses against a grant in its first generation. After each, the
// state is written and read again, as a refresh does.
func present(t *testing.T, name string, uses []presented) grant.State {
	t.Helper()
	state := grant.State{Generation: 1}
	for i, u := range uses {
		now := start.Add(u.at)
		got, alarm := state.Rotate(grant.Use{Generation: u.generation, Resource: u.resource, Arrived: now, Now: now, Network: grant.NetworkOf(u.from)}, grant.DefaultLifetimes())
		if got != u.want || alarm != u.alarm {
			t.Errorf("%s, use %d: outcome %d, alarm %q; want %d, %q", name, i+1, got, alarm, u.want, u.alarm)
		}
		if got == grant.Rotated || got == grant.Retried {
			state.Note(u.resource, now, now.Add(time.Hour))
		}
		again, err := grant.ParseState(state.Format())
		again.Generation = state.Generation
		if err != nil || !reflect.DeepEqual(again, state) {
			t.Fatalf("%s, use %d: %q read back as %+v, %v", name, i+1, state.Format(), again, err)
		}
		state = again
	}
	return state
}

// retried gives, for each generation from first to last, a use and a retry of it
// five seconds later, an hour apart.
func retried(first, last int64, alarms ...grant.Alarm) (all []presented) {
	for g := first; g <= last; g++ {
		at := time.Duration(g) * time.Hour
		all = append(all, presented{g, at, home, "m", grant.Rotated, 0}, presented{g, at + 5*time.Second, home, "m", grant.Retried, alarms[g-first]})
	}
	return all
}

func TestARetryThatMayBeAThiefsRaisesAnAlarm(t *testing.T) {
	t.Parallel()
	const s, h = time.Second, time.Hour
	for name, uses := range map[string][]presented{
		"a lost answer":                         {{1, 0, home, "m", grant.Rotated, 0}, {1, 40 * s, home, "m", grant.Retried, 0}},
		"from another address of the network":   {{1, 0, home, "m", grant.Rotated, 0}, {1, s, "192.0.2.200", "m", grant.Retried, 0}},
		"from another network":                  {{1, 0, home, "m", grant.Rotated, 0}, {1, s, cafe, "m", grant.Retried, grant.Elsewhere}},
		"the thief was first":                   {{1, 0, cafe, "m", grant.Rotated, 0}, {1, s, home, "m", grant.Retried, grant.Elsewhere}},
		"from another network, another scope":   {{1, 0, home, "m", grant.Rotated, 0}, {1, s, cafe, "d", grant.Retried, grant.Elsewhere}},
		"over the other family":                 {{1, 0, home, "m", grant.Rotated, 0}, {1, s, "2001:db8:1::1", "m", grant.Retried, grant.Elsewhere}},
		"of IPv6, another interface":            {{1, 0, "2001:db8:1:2::3", "m", grant.Rotated, 0}, {1, s, "2001:db8:1:4::5", "m", grant.Retried, 0}},
		"of IPv6, from another network":         {{1, 0, "2001:db8:1::1", "m", grant.Rotated, 0}, {1, s, "2001:db8:2::1", "m", grant.Retried, grant.Elsewhere}},
		"moved between two generations":         {{1, 0, home, "m", grant.Rotated, 0}, {2, s, cafe, "m", grant.Rotated, 0}, {2, 2 * s, cafe, "m", grant.Retried, 0}},
		"from nobody knows where":               {{1, 0, home, "m", grant.Rotated, 0}, {1, s, "", "m", grant.Retried, 0}},
		"after a use from nobody knows where":   {{1, 0, "", "m", grant.Rotated, 0}, {1, s, cafe, "m", grant.Retried, 0}},
		"several resources at once":             {{1, 0, home, "m", grant.Rotated, 0}, {1, 0, home, "d", grant.Retried, 0}, {1, 0, home, "c", grant.Retried, 0}},
		"insisting":                             {{1, 0, home, "m", grant.Rotated, 0}, {1, s, cafe, "m", grant.Retried, grant.Elsewhere}, {1, s, cafe, "m", grant.Retried, 0}, {1, s, cafe, "d", grant.Retried, 0}},
		"refused, so nothing was given":         {{1, 0, home, "m", grant.Rotated, 0}, {1, s, home, "m", grant.Retried, 0}, {1, s, home, "m", grant.Retried, 0}, {1, s, home, "m", grant.Retried, 0}, {1, s, cafe, "m", grant.TooMany, 0}},
		"too late, so the grant is cut":         {{1, 0, home, "m", grant.Rotated, 0}, {1, 61 * s, cafe, "m", grant.Reused, 0}},
		"the next generation, within the hour":  {{1, 0, home, "m", grant.Rotated, 0}, {1, s, cafe, "m", grant.Retried, grant.Elsewhere}, {2, h / 2, home, "m", grant.Rotated, 0}, {2, h / 2, cafe, "m", grant.Retried, 0}},
		"the next generation, an hour later":    {{1, 0, home, "m", grant.Rotated, 0}, {1, s, cafe, "m", grant.Retried, grant.Elsewhere}, {2, h + s, home, "m", grant.Rotated, 0}, {2, h + s, cafe, "m", grant.Retried, grant.Elsewhere}},
		"the third in a row":                    retried(1, 3, 0, 0, grant.InARow),
		"the fourth is told too, an hour later": retried(1, 4, 0, 0, grant.InARow, grant.InARow),
		"one that was not retried in between": append(append(retried(1, 2, 0, 0), presented{3, 3 * h, home, "m", grant.Rotated, 0}),
			retried(4, 6, 0, 0, grant.InARow)...),
		"the third in a row, from elsewhere": append(retried(1, 2, 0, 0), presented{3, 3 * h, home, "m", grant.Rotated, 0},
			presented{3, 3 * h, cafe, "m", grant.Retried, grant.Elsewhere | grant.InARow}),
		"a second time for the other resource": append(retried(1, 2, 0, 0), presented{3, 3 * h, home, "m", grant.Rotated, 0},
			presented{3, 3 * h, home, "d", grant.Retried, 0}, presented{3, 3 * h, home, "d", grant.Retried, grant.InARow}),
	} {
		present(t, name, uses)
	}
}

// Microsoft's clients redeem one token for each of their resources when the
// access tokens run out, at once and from one network, hour after hour.
func TestAClientOfSeveralResourcesRaisesNoAlarm(t *testing.T) {
	t.Parallel()
	var uses []presented
	for g := range int64(30) {
		at := time.Duration(g) * time.Hour
		first, second := directory.ResourceID("api://mail"), directory.ResourceID("api://drive")
		if g%3 == 0 {
			first, second = second, first
		}
		uses = append(uses, presented{g + 1, at, home, first, grant.Rotated, 0}, presented{g + 1, at, home, second, grant.Retried, 0},
			presented{g + 1, at, home, "api://calendar", grant.Retried, 0})
	}
	present(t, "several resources", uses)
}

// A thief makes generations as fast as the server answers.
func TestAThiefCannotFillTheAuditLog(t *testing.T) {
	t.Parallel()
	state := grant.State{Generation: 1}
	told := 0
	for i := range 3600 { // three hours
		now := start.Add(time.Duration(i) * 3 * time.Second)
		for _, from := range []string{home, cafe, home} {
			_, alarm := state.Rotate(grant.Use{Generation: int64(i) + 1, Resource: "m", Arrived: now, Now: now, Network: grant.NetworkOf(from)}, grant.DefaultLifetimes())
			if alarm != 0 {
				told++
			}
		}
	}
	if told != 2*3 {
		t.Fatalf("told %d times in three hours of two conditions", told)
	}
}

func TestAWrongClockSilencesNoAlarm(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * time.Hour
	present(t, "a clock a year ahead", []presented{{1, year, home, "m", grant.Rotated, 0}, {1, year, cafe, "m", grant.Retried, grant.Elsewhere},
		{2, 0, home, "m", grant.Rotated, 0}, {2, 0, cafe, "m", grant.Retried, grant.Elsewhere}})
}

func TestAGrantThatIsUsedEveryHourDoesNotGrow(t *testing.T) {
	t.Parallel()
	var uses []presented
	for g := range int64(20) {
		uses = append(uses, presented{g + 1, time.Duration(g) * time.Hour, home, "m", grant.Rotated, 0})
	}
	once, often := present(t, "once", uses[:1]), present(t, "often", uses)
	if a, b := once.Format(), often.Format(); len(a) != len(b) {
		t.Fatalf("after one use %q, after twenty %q", a, b)
	}
	before := grant.State{Rotated: once.Rotated, Tokens: once.Tokens}
	if n := len(once.Format()) - len(before.Format()); n > len("|f0 n1234") {
		t.Errorf("what alarms are made from takes %d bytes in every row: %q", n, once.Format())
	}
}

func TestStatesFromBeforeAlarmsAreRead(t *testing.T) {
	t.Parallel()
	const old = "1772453040000000|api://mail=2|api://mail 1772456640 3600"
	s, err := grant.ParseState(old)
	if err != nil || s.Format() != old || s.Network.IsValid() || s.Resource != "" {
		t.Fatalf("%+v, %v", s, err)
	}
	s.Generation = 2
	u := grant.Use{Generation: 1, Resource: "api://mail", Arrived: start, Now: start, Network: grant.NetworkOf(cafe)}
	if got, alarm := s.Rotate(u, grant.DefaultLifetimes()); got != grant.Retried || alarm != 0 {
		t.Fatalf("outcome %d, alarm %q", got, alarm)
	}
}

func TestAStateThatSaysTooMuchIsUnreadable(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"x1", "f1", "f-1", "f", "fx", "n", "nwA", "nwAACAA", "nwAACAAAAAAA", "n!!!!", "nwAB", "r", "r-1", "e1|i1", "i1.5"} {
		if s, err := grant.ParseState("1||m 5 6|f0 " + part); err == nil {
			t.Errorf("%q is read as %+v", part, s)
		}
	}
}

func TestANetworkKeepsNoFullAddress(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"192.0.2.17": "192.0.2.0/24", "::ffff:192.0.2.17": "192.0.2.0/24", "127.0.0.1": "127.0.0.0/24", "0.0.0.0": "0.0.0.0/24",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1::/48", "fe80::1%eth0": "fe80::/48", "::1": "::/48",
		"": "", "@": "", "192.0.2.17:443": "", "192.0.2.0/24": "", "id.contoso.example": "",
	} {
		var w netip.Prefix
		if want != "" {
			w = netip.MustParsePrefix(want)
		}
		if got := grant.NetworkOf(address); got != w {
			t.Errorf("%q: %s, want %q", address, got, want)
		}
		s := grant.State{Network: w}
		again, err := grant.ParseState(s.Format())
		if err != nil || again.Network != w || strings.Contains(s.Format(), address) && address != "" {
			t.Errorf("%q: %q read back as %s, %v", address, s.Format(), again.Network, err)
		}
	}
}
