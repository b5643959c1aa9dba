package policy

import (
	"math"
	"time"
)

// Decide says what the policies come to. It allocates nothing.
//
// A policy applies where all its conditions hold. Policies only take away, so
// that one more that applies is never less strict; what is not known of the
// facts therefore counts as included and as not spared:
//
//   - users, groups, roles, guests: read from the directory, always known. A
//     guest of a kind that nobody has defined is of every kind that is included.
//   - application: no client, no resource and no action named means any of them:
//     a caller that forgot to say must not open everything.
//   - program and platform are claims of the program itself. One that says
//     nothing could be any: a made-up User-Agent escapes no policy.
//   - address that could not be read: could be anywhere.
//   - country: the same, without a database, or with one that was not asked. An
//     address for which the database has none is [Nowhere], and locations say
//     themselves whether it is in them.
//   - device: that none was recognised is what every browser without the cookie
//     looks like. It could be any device; leaving the cookie out helps nobody.
//     Compliance and trust that nobody has told are as unknown.
//   - risk: not computed is not the same as none. A policy about risk where
//     nothing computes it applies to everybody; [Set.LocksOut] says so before it
//     is switched on.
//   - flow: a grant that does not say how it came about may have come by any.
//
// For the same reason the two limits that loosen something, persistent browser
// always and continuous evaluation disabled, count only where their policy
// certainly applies, and a proof of which the time is not known is too old.
func (s *Set) Decide(f *Facts) Verdict { return s.decide(f, 0) }

// decide takes what more is given for granted than the facts show.
func (s *Set) decide(f *Facts, given Needs) (v Verdict) {
	s.match(f, &v)
	given |= s.given(f)
	on, report := v.applied.and(s.on), v.applied.and(s.report)
	old := f.ages()
	v.Decision, v.Needs = s.weigh(f, on, given, old, &v.unmet)
	if v.Report = Allow; !report.empty() {
		v.Report, _ = s.weigh(f, report, given, old, &v.unmet)
	}
	s.limit(f, on, &v)
	return v
}

// match finds the policies that apply, and for each condition those that it
// rules out.
func (s *Set) match(f *Facts, v *Verdict) {
	live := s.on.or(s.report)
	v.ruled[ofUsers] = live.less(s.who(f))
	pass, unsure := s.what(f)
	v.ruled[ofApps], v.unsure[ofApps] = live.less(pass), unsure
	for of, x := range [conditions]uint8{ofClient: uint8(f.Program), ofPlatform: uint8(f.Platform), ofSignInRisk: uint8(f.SignInRisk), ofUserRisk: uint8(f.UserRisk), ofFlow: uint8(f.Flow)} {
		if t := &s.tables[of]; !t.limited.empty() {
			pass, unsure = t.at(x)
			v.ruled[of], v.unsure[of] = live.less(pass), unsure
		}
	}
	if !s.placed.empty() {
		v.ruled[ofPlace], v.unsure[ofPlace] = s.where(f)
	}
	d := known(f.Device)
	for i := range s.filters {
		switch x := &s.filters[i]; x.rule.fits(d) {
		case Yes:
			v.ruled[ofDevice] = v.ruled[ofDevice].or(x.ex)
		case No:
			v.ruled[ofDevice] = v.ruled[ofDevice].or(x.in)
		default:
			v.unsure[ofDevice] = v.unsure[ofDevice].or(x.in).or(x.ex)
		}
	}
	v.ruled[ofPlace], v.ruled[ofDevice] = v.ruled[ofPlace].and(live), v.ruled[ofDevice].and(live)
	v.applied = live
	for i := range v.ruled {
		v.applied = v.applied.less(v.ruled[i])
	}
	for i := range v.unsure {
		v.unsure[i] = v.unsure[i].and(v.applied)
	}
}

func (s *Set) who(f *Facts) set {
	if s.spared[f.User] {
		return set{}
	}
	x := s.users[f.User].or(s.guests[min(int(f.Guest), len(s.guests)-1)])
	for _, g := range f.Groups {
		if y, ok := s.groups[g]; ok {
			x = x.or(y)
		}
	}
	for _, r := range f.Roles {
		if y, ok := s.roles[r]; ok {
			x = x.or(y)
		}
	}
	return x.in.or(s.everybody).less(x.ex)
}

func (s *Set) what(f *Facts) (pass, unsure set) {
	switch {
	case f.Client != "" || f.Resource != "":
		x := s.apps[string(f.Client)]
		pass = s.everyApp.or(x.in)
		if f.Resource != "" {
			x = s.apps[string(f.Resource)]
		}
		pass = pass.or(x.in).less(x.ex)
	case f.Action == 0:
		return full, full
	}
	if int(f.Action) < len(s.actions) {
		pass = pass.or(s.actions[f.Action])
	} else { // one that nobody has defined
		unsure = s.actions[RegisterSecurityInfo].or(s.actions[RegisterDevice])
		pass = pass.or(unsure)
	}
	if f.Contexts != (Contexts{}) {
		for n := range s.contexts {
			if f.Contexts.Has(n) {
				pass = pass.or(s.contexts[n])
			}
		}
	}
	return pass, unsure
}

func (s *Set) where(f *Facts) (ruled, unsure set) {
	sure, maybe := sides{in: s.anywhere}, sides{}
	if a := plain(f.Address); !a.IsValid() {
		maybe = s.addressed
	} else if a.Is4() {
		sure = sure.or(s.v4.at(a))
	} else {
		sure = sure.or(s.v6.at(a))
	}
	if f.Country == (Country{}) {
		maybe = maybe.or(s.landed)
	} else {
		sure = sure.or(s.countries[f.Country])
	}
	ruled = s.placed.less(sure.in.or(maybe.in).less(sure.ex))
	return ruled, s.placed.less(sure.in).or(maybe.ex)
}

// known is what counts of a device: nothing of one that was not recognised, and
// nothing that nobody has defined.
func known(d Device) Device {
	if d.ID.IsZero() {
		return Device{}
	}
	if d.Compliant > No {
		d.Compliant = Unknown
	}
	if d.Trust > Registered {
		d.Trust = NotKnown
	}
	return d
}

// given are the demands that the facts meet.
func (s *Set) given(f *Facts) (n Needs) {
	if TwoFactors(f.Methods) {
		n |= NeedMFA
	}
	n |= byDevice(known(f.Device))
	if f.PasswordChanged {
		n |= NeedPasswordChange
	}
	for i := range s.strengths {
		if s.strengths[i].meets(f.Methods) {
			n |= 1 << (firstStrength + i)
		}
	}
	for _, t := range f.Terms {
		for i, id := range s.terms {
			if t == id {
				n |= 1 << (firstTerms + i)
			}
		}
	}
	return n
}

func byDevice(d Device) (n Needs) {
	if d.Compliant == Yes {
		n |= NeedCompliantDevice
	}
	if d.Trust == Hybrid {
		n |= NeedHybridDevice
	}
	return n
}

// weigh says what the policies that apply come to. Those of which something is
// not given are added to unmet. Which way out of an "or" is asked for depends on
// that policy, on what must be given anyway, and on the person, never on the
// order of policies.
func (s *Set) weigh(f *Facts, apply set, given Needs, ages ages, unmet *set) (Decision, Needs) {
	open := apply.and(s.blocks)
	blocked := !open.empty()
	var all, ask Needs
	for i := range s.asks {
		x := &s.asks[i]
		here := apply.and(x.by)
		if missing := x.needs &^ given; here.empty() || missing == 0 || x.any && missing != x.needs {
			continue
		} else if !x.any {
			all |= missing
		}
		open = open.or(here)
	}
	for i := range s.asks {
		if x := &s.asks[i]; x.any && x.needs&all == 0 && !open.and(x.by).empty() {
			ask |= s.easiest(x.needs, f.Registered)
		}
	}
	ask |= all
	for i := range s.rates {
		x := &s.rates[i]
		if !x.stale(ages) { // cheaper to ask than whether it applies
			continue
		}
		if open.take(&apply, &x.by) {
			ask |= x.need(ages)
		}
	}
	*unmet = unmet.or(open)
	switch {
	case blocked:
		return Block, ask
	case ask != 0:
		return Ask, ask
	}
	return Allow, 0
}

// easiest picks one way out of several that are as good: what the person can give
// at once, then what can be given in the browser, then a device.
func (s *Set) easiest(n Needs, registered Methods) Needs {
	if n&NeedMFA != 0 && TwoFactors(registered) {
		return NeedMFA
	}
	for i := range s.strengths {
		if one := Needs(1) << (firstStrength + i); n&one != 0 && s.strengths[i].meets(registered) {
			return one
		}
	}
	for _, some := range [...]Needs{termBits, NeedMFA, strengthBits, NeedPasswordChange} {
		if n&some != 0 {
			n &= some
			break
		}
	}
	return n & -n // the lowest
}

func (f *Frequency) life() time.Duration {
	if f.Every {
		return Grace
	}
	return f.Life
}

// proof are the times of what a frequency is about. The proof of both factors is as
// old as the older one.
func (f *Facts) proof(secondary bool) (older, newer time.Time) {
	switch second := f.SecondTime; {
	case secondary:
		return second, second
	case second.IsZero():
		return f.AuthTime, f.AuthTime
	case second.Before(f.AuthTime):
		return second, f.AuthTime
	default:
		return f.AuthTime, second
	}
}

// ages are how old the proofs are: that of both factors, that of the second, and
// that of the first.
type ages [3]time.Duration

// ages takes what is from later than now plus [Grace] for as old as can be: a clock
// is wrong there. What is not known, the zero time, is two thousand years old.
func (f *Facts) ages() (all ages) {
	for i := range 2 {
		older, newer := f.proof(i == 1)
		if all[i] = f.Now.Sub(older); newer.Sub(f.Now) > Grace {
			all[i] = math.MaxInt64
		}
	}
	if all[2] = f.Now.Sub(f.AuthTime); f.AuthTime.Sub(f.Now) > Grace {
		all[2] = math.MaxInt64
	}
	return all
}

func (q *Frequency) stale(all ages) bool {
	if q.Secondary {
		return all[1] >= q.life()
	}
	return all[0] >= q.life()
}

// need is what to ask for where the proof is stale. Who has just signed in is asked
// for the second factor, when only that is old: another password would not make it
// younger, and they would be asked for ever.
func (q *Frequency) need(all ages) Needs {
	if q.Secondary || all[2] < q.life() {
		return NeedSecond
	}
	return NeedSignIn
}

// limit fills in what comes after.
func (s *Set) limit(f *Facts, on set, v *Verdict) {
	l := &v.Limits
	for i := range s.rates {
		x := &s.rates[i]
		shortest := &l.Frequency
		if x.Secondary {
			shortest = &l.Second
		}
		if *shortest == 0 && !on.and(x.by).empty() { // the first that applies is the shortest
			*shortest = x.life()
		}
	}
	for i, life := range [...]time.Duration{l.Frequency, l.Second} {
		if older, _ := f.proof(i == 1); life != 0 && (l.Until.IsZero() || older.Add(life).Before(l.Until)) {
			l.Until = older.Add(life)
		}
	}
	var unsure set
	for i := range v.unsure {
		unsure = unsure.or(v.unsure[i])
	}
	sure := on.less(unsure)
	switch {
	case !on.and(s.never).empty():
		l.Persistent = Never
	case !sure.and(s.always).empty():
		l.Persistent = Always
	}
	l.AppEnforced = !on.and(s.appEnforced).empty()
	if !sure.and(s.continuous[NotContinuous]).empty() {
		l.Continuous = NotContinuous
	}
	for c := StrictLocation; c <= StrictEnforcement; c++ {
		if !on.and(s.continuous[c]).empty() {
			l.Continuous = c
		}
	}
}
