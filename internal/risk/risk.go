package risk

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/policy"
)

// Rule is one thing that may be found. Its name is stored.
type Rule string

// The rules. Those at the end are no rules: what administrators said, and what the
// person or an administrator did about a risk.
const (
	TokenReused      Rule = "token_reuse"
	TwoNetworks      Rule = "two_networks"
	ImpossibleTravel Rule = "impossible_travel"
	NewNetwork       Rule = "new_network"
	NewProgram       Rule = "new_device"
	PasswordSpray    Rule = "password_spray"

	Confirmed Rule = "admin_confirmed"
	Dismissed Rule = "admin_dismissed"
	Changed   Rule = "password_changed"
	Reset     Rule = "password_reset"
)

// Row is one rule with its weight.
type Row struct {
	Rule   Rule
	Text   string
	Weight int
	// SignIn: it is about one sign-in, and about the account; else about the account.
	SignIn bool
	// On: it is looked for unless somebody switches it off.
	On bool
	// Graph is Microsoft's name for what is closest to it.
	Graph string
}

// Table is all rules.
var Table = []Row{
	{TokenReused, "an old refresh token came again: somebody else has, or had, the tokens", 40, false, true, "anomalousToken"},
	{TwoNetworks, "one refresh token was used from two networks, one shortly after the other", 40, false, false, "anomalousToken"},
	{ImpossibleTravel, fmt.Sprintf("signed in from so far away from where the last sign-in was that it takes more than %d km/h; needs a database of places", maxSpeed), 40, true, false, "unlikelyTravel"},
	{PasswordSpray, fmt.Sprintf("signed in from an address that had failed at %d accounts or more in the last ten minutes", SprayAccounts), 40, true, false, "passwordSpray"},
	{NewNetwork, "signed in from a network from which none of the sessions that are remembered began", 10, true, false, "unfamiliarFeatures"},
	{NewProgram, "signed in with a kind of browser or system that none of the sessions that are remembered had", 10, true, false, "unfamiliarFeatures"},
}

// What weights come to: the sum of those of different rules.
const (
	Low, Medium, High = 10, 40, 80
)

// SprayAccounts is how many accounts one address must have failed at.
const SprayAccounts = 10

const (
	maxSpeed = 1000 // km/h; a little faster than people fly
	nearby   = 500  // km, by which databases of places are wrong
)

// Of returns the row of a rule; ok is false for one that is not in the table.
func Of(r Rule) (row Row, ok bool) {
	i := slices.IndexFunc(Table, func(x Row) bool { return x.Rule == r })
	if i < 0 {
		return Row{}, false
	}
	return Table[i], true
}

// Known lists all rules, and what stands beside them in the findings.
func Known() []Rule {
	all := []Rule{Confirmed, Dismissed, Changed, Reset}
	for _, r := range Table {
		all = append(all, r.Rule)
	}
	return all
}

// Weight is what a finding of a rule weighs. What administrators confirmed is high by
// itself; one that is not known here weighs as much: doubt closes.
func Weight(r Rule) int {
	row, ok := Of(r)
	switch {
	case ok:
		return row.Weight
	case r == Dismissed, r == Changed, r == Reset:
		return 0
	}
	return High
}

// Level is what the findings of these rules come to, each counted once.
func Level(rules []Rule) policy.Risk {
	sum := 0
	for i, r := range rules {
		if !slices.Contains(rules[:i], r) {
			sum += Weight(r)
		}
	}
	switch {
	case sum >= High:
		return policy.HighRisk
	case sum >= Medium:
		return policy.MediumRisk
	case sum >= Low:
		return policy.LowRisk
	}
	return policy.NoRisk
}

// Rules says which are looked for, where somebody has chosen; the others are as the
// table says.
type Rules map[Rule]bool

// On reports whether a rule is looked for.
func (s Rules) On(r Rule) bool {
	if on, chosen := s[r]; chosen {
		return on
	}
	row, ok := Of(r)
	return ok && row.On
}

// Any reports whether a rule about one sign-in (or about accounts) is looked for. Where
// none is, nobody computes that risk, and policies take it for not known.
func (s Rules) Any(signIn bool) bool {
	return slices.ContainsFunc(Table, func(r Row) bool { return (r.SignIn || !signIn) && s.On(r.Rule) })
}

// Seen is one sign-in.
type Seen struct {
	At      time.Time
	Address netip.Addr
	Program string // "Firefox on Linux"
	// Where the address is, if that is known.
	Place               string // for people: "Berlin, DE"
	Latitude, Longitude float64
	Located             bool
	// Sprayed is at how many accounts this address has failed of late.
	Sprayed int
}

// Finding is a rule that was met, and by what.
type Finding struct {
	Rule Rule
	Why  string // a sentence with the facts
}

// SignIn looks at a sign-in beside those before it, the newest first.
func (s Rules) SignIn(now Seen, before []Seen) (all []Finding) {
	find := func(r Rule, format string, args ...any) {
		all = append(all, Finding{r, fmt.Sprintf(format, args...)})
	}
	if s.On(PasswordSpray) && now.Sprayed >= SprayAccounts {
		find(PasswordSpray, "The address %s had failed at %d accounts in the last ten minutes.", now.Address, now.Sprayed)
	}
	if len(before) == 0 {
		return all // a first sign-in is new in every way
	}
	if s.On(ImpossibleTravel) {
		if i := slices.IndexFunc(before, func(b Seen) bool { return b.Located }); i >= 0 && now.Located {
			last := before[i]
			km, hours := distance(last, now), math.Max(now.At.Sub(last.At).Hours(), 1.0/60)
			if km > nearby && km/hours > maxSpeed {
				find(ImpossibleTravel, "From %s (%s) to %s (%s) are %.0f km, and %s lay between the two sign-ins.", last.Place, last.Address, now.Place, now.Address, km, now.At.Sub(last.At).Round(time.Minute))
			}
		}
	}
	if s.On(NewNetwork) {
		if n := network(now.Address); n.IsValid() && !slices.ContainsFunc(before, func(b Seen) bool { return network(b.Address) == n }) {
			find(NewNetwork, "%s came from %s.", noneOf(before), n)
		}
	}
	if s.On(NewProgram) && now.Program != "" && !slices.ContainsFunc(before, func(b Seen) bool { return b.Program == now.Program }) {
		find(NewProgram, "%s was by %s.", noneOf(before), strings.Replace(now.Program, "A browser", "a browser", 1))
	}
	return all
}

func noneOf(before []Seen) string {
	if len(before) == 1 {
		return "Not the one sign-in before"
	}
	return fmt.Sprintf("None of the last %d sign-ins", len(before))
}

// network is what counts as one: a /24 of IPv4, a /48 of IPv6.
func network(a netip.Addr) netip.Prefix {
	bits := 48
	if a = a.Unmap().WithZone(""); a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// distance is along the surface of the earth, in km.
func distance(a, b Seen) float64 {
	rad := func(deg float64) float64 { return deg * math.Pi / 180 }
	sin := func(x float64) float64 { return math.Sin(x/2) * math.Sin(x/2) }
	h := sin(rad(b.Latitude-a.Latitude)) + math.Cos(rad(a.Latitude))*math.Cos(rad(b.Latitude))*sin(rad(b.Longitude-a.Longitude))
	return 2 * 6371 * math.Asin(math.Min(1, math.Sqrt(h)))
}
