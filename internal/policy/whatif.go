package policy

import (
	"slices"

	"github.com/curfew-id/curfew/internal/directory"
)

// Change is what becomes of one set of facts when another set of policies decides.
type Change struct {
	Index         int // of the facts
	Before, After Verdict
	Kind          ChangeKind
}

// ChangeKind sums a change up: the gravest of what it is.
type ChangeKind uint8

// The kinds, gravest first.
const (
	Ends     ChangeKind = iota + 1 // it is blocked, and was not
	Asks                           // more is asked for than was
	Shortens                       // it goes on, but not as long, or under stricter limits
	Opens                          // less is asked for than was, or it may go on longer
)

// Differs lists which of the facts are judged differently by next. Policies that
// only report change nothing.
func (s *Set) Differs(next *Set, facts []Facts) []Change { return s.differs(next, facts, facts) }

// Moves lists what is judged differently when the facts change and the policies do not:
// after[i] is what becomes of before[i].
func (s *Set) Moves(before, after []Facts) []Change { return s.differs(s, before, after) }

func (s *Set) differs(next *Set, before, after []Facts) []Change {
	var out []Change
	for i := range before {
		a, b := s.Decide(&before[i]), next.Decide(&after[i])
		if k := s.change(next, &a, &b); k != 0 {
			out = append(out, Change{Index: i, Before: a, After: b, Kind: k})
		}
	}
	return out
}

// change compares by names: another set numbers strengths and terms differently.
func (s *Set) change(next *Set, a, b *Verdict) ChangeKind {
	before, after := s.Names(a.Needs), next.Names(b.Needs)
	switch {
	case a.Decision == Block && b.Decision == Block:
		return 0 // what else would be asked for does not matter
	case b.Decision == Block:
		return Ends
	case a.Decision == Block:
		return Opens
	case slices.ContainsFunc(after, func(n string) bool { return !slices.Contains(before, n) }):
		return Asks
	case a.Limits.stricter(&b.Limits):
		return Shortens
	case len(before) > len(after) || b.Limits.stricter(&a.Limits):
		return Opens
	}
	return 0
}

// stricter reports whether b is stricter than l in any respect.
func (l *Limits) stricter(b *Limits) bool {
	shorter := func(x, y int64) bool { return y != 0 && (x == 0 || y < x) }
	rank := func(p Persistence) int { return []int{1, 0, 2}[p] } // always, chosen, never
	lenient := func(c Continuity) int { return []int{1, 0, 2, 3}[c] }
	return shorter(int64(l.Frequency), int64(b.Frequency)) || shorter(int64(l.Second), int64(b.Second)) || b.AppEnforced && !l.AppEnforced ||
		rank(b.Persistent) > rank(l.Persistent) || lenient(b.Continuous) > lenient(l.Continuous)
}

// Lockout says whether anybody is left who could put things right.
type Lockout struct {
	Out bool
	// In are those who still get in, Spared those of them whom only being spared
	// by all policies lets in.
	In, Spared []directory.UserID
	// By are the ids of the policies that keep everybody else out.
	By []string
}

// LocksOut asks whether every Global Administrator would be blocked, or asked for
// what none of them can give. facts are their sign-ins to where policies are
// changed, any number for each: from where, and with what, they are known to come.
// Taken for granted is what a person can give there and then with what they have
// registered: signing in again, their methods, a new password, accepting terms.
// Registering a method is not: the policies may forbid it. Nor is a device that
// is not compliant yet. What is not known counts against them, as ever, and a list
// without anybody locks out.
func (s *Set) LocksOut(facts []Facts) Lockout {
	out := Lockout{Out: true}
	var by set
	for i := range facts {
		f := facts[i]
		f.Methods |= f.Registered
		if f.Registered != 0 {
			f.AuthTime, f.SecondTime = f.Now, f.Now
		}
		f.PasswordChanged = f.PasswordChanged || f.Registered&Password.Set() != 0
		switch v := s.decide(&f, termBits); {
		case v.Decision != Allow:
			by = by.or(v.unmet.and(s.on))
		case slices.Contains(out.In, f.User):
		default:
			out.Out, out.In = false, append(out.In, f.User)
			if s.spared[f.User] {
				out.Spared = append(out.Spared, f.User)
			}
		}
	}
	for i := by.next(0); i >= 0; i = by.next(i + 1) {
		out.By = append(out.By, s.policies[i].ID)
	}
	return out
}
