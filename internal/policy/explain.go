package policy

import (
	"encoding/json"
	"time"
)

// Result is what one policy did with a set of facts.
type Result struct {
	Policy  *Policy // of the set: do not change it
	Applies bool    // all its conditions hold
	Outcome Outcome
	// RuledOut names the conditions that did not hold, and Unknown those that hold
	// only because something is not known, in the words of Graph's
	// whatIfAnalysisReasons.
	RuledOut, Unknown []string
	// Demands are its grant controls, Missing those of them that were not given,
	// Limits its session controls.
	Demands, Missing, Limits []string
}

// Outcome is Graph's appliedConditionalAccessPolicyResult.
type Outcome string

// The outcomes.
const (
	Success           Outcome = "success"
	Failure           Outcome = "failure"
	NotApplied        Outcome = "notApplied"
	NotEnabled        Outcome = "notEnabled"
	ReportSuccess     Outcome = "reportOnlySuccess"
	ReportFailure     Outcome = "reportOnlyFailure"
	ReportInterrupted Outcome = "reportOnlyInterrupted" // something would be asked for in the browser
	ReportNotApplied  Outcome = "reportOnlyNotApplied"
)

var reasons = [conditions]string{ofUsers: "users", ofApps: "application", ofClient: "clientApps", ofPlatform: "devicePlatform", ofPlace: "location", ofDevice: "devices", ofSignInRisk: "signInRisk", ofUserRisk: "userRisk", ofFlow: "authenticationFlow"}

// reason names a condition for one policy: "application" is three of Graph's.
func (p *Policy) reason(of int) string {
	switch {
	case of == ofApps && p.Apps.Actions != 0:
		return "userActions"
	case of == ofApps && p.Apps.Contexts != Contexts{}:
		return "authenticationContext"
	}
	return reasons[of]
}

// Explain says what each policy did, switched off ones too, in the order of their
// ids. f are the facts that v was decided from.
func (s *Set) Explain(f *Facts, v *Verdict) []Result {
	given, old := s.given(f), f.ages()
	out := make([]Result, len(s.policies))
	for i := range s.policies {
		p, r := &s.policies[i], &out[i]
		r.Policy, r.Applies = p, v.applied.has(i)
		for of := range conditions {
			if v.ruled[of].has(i) {
				r.RuledOut = append(r.RuledOut, p.reason(of))
			}
			if v.unsure[of].has(i) {
				r.Unknown = append(r.Unknown, p.reason(of))
			}
		}
		x := s.asked(i)
		missing := s.missing(i, x, given, old)
		r.Demands, r.Limits, r.Outcome = s.Names(x.needs), p.Session.names(), s.outcome(i, v, x, missing)
		if v.unmet.has(i) {
			r.Missing = s.Names(missing)
		}
		if s.blocks.has(i) {
			r.Demands = append([]string{"block"}, r.Demands...)
			if r.Applies {
				r.Missing = append([]string{"block"}, r.Missing...)
			}
		}
	}
	return out
}

// Trace appends to dst what each policy did, one byte for each in the order of
// their ids. Two verdicts of one set with the same trace are told alike but for
// what [Result] says beyond the outcome. It costs what a verdict costs, and is for
// whoever writes down every sign-in: most are like others.
func (s *Set) Trace(dst []byte, f *Facts, v *Verdict) []byte {
	given, old := s.given(f), f.ages()
	for i := range s.policies {
		x := s.asked(i)
		dst = append(dst, traces[s.outcome(i, v, x, s.missing(i, x, given, old))])
	}
	return dst
}

var traces = map[Outcome]byte{Success: 's', Failure: 'f', NotApplied: '-', NotEnabled: '.', ReportSuccess: 'S', ReportFailure: 'F', ReportInterrupted: 'I', ReportNotApplied: '_'}

// missing is what a policy demands and was not given, if it applies.
func (s *Set) missing(i int, x ask, given Needs, old ages) Needs {
	missing := x.needs &^ given
	if x.any && missing != x.needs {
		missing = 0
	}
	if q := s.policies[i].Session; q != nil && q.Frequency != nil && q.Frequency.stale(old) {
		missing |= q.Frequency.need(old)
	}
	return missing
}

func (s *Set) outcome(i int, v *Verdict, x ask, missing Needs) Outcome {
	applied, unmet := v.applied.has(i), v.unmet.has(i)
	if s.report.has(i) {
		hopeless := s.blocks.has(i) || missing&deviceBits != 0 && (!x.any || missing&^deviceBits == 0)
		switch {
		case !applied:
			return ReportNotApplied
		case !unmet:
			return ReportSuccess
		case hopeless:
			return ReportFailure
		}
		return ReportInterrupted
	}
	switch {
	case !s.on.has(i):
		return NotEnabled
	case !applied:
		return NotApplied
	case unmet:
		return Failure
	}
	return Success
}

// Names are the demands by Graph's names, strengths and terms of use by their ids.
func (s *Set) Names(n Needs) []string {
	var out []string
	for bit, name := range []string{"mfa", "compliantDevice", "domainJoinedDevice", "passwordChange", "signInFrequency", "signInFrequency:secondaryAuthentication"} {
		if n>>bit&1 == 1 {
			out = append(out, name)
		}
	}
	for i := range s.strengths {
		if n>>(firstStrength+i)&1 == 1 {
			out = append(out, "authenticationStrength:"+s.strengths[i].ID)
		}
	}
	for i, id := range s.terms {
		if n>>(firstTerms+i)&1 == 1 {
			out = append(out, "termsOfUse:"+id)
		}
	}
	return out
}

func (x *Session) names() (out []string) {
	if x == nil {
		return nil
	}
	if q := x.Frequency; q != nil {
		every := "every time"
		if !q.Every {
			every = q.Life.Round(time.Hour).String()
		}
		out = append(out, "signInFrequency:"+every)
	}
	if x.Persistent != 0 {
		out = append(out, "persistentBrowser:"+[]string{Always: "always", Never: "never"}[x.Persistent])
	}
	if x.AppEnforced {
		out = append(out, "applicationEnforcedRestrictions")
	}
	if x.Continuous != 0 {
		out = append(out, "continuousAccessEvaluation:"+[]string{NotContinuous: "disabled", StrictLocation: "strictLocation", StrictEnforcement: "strictEnforcement"}[x.Continuous])
	}
	return out
}

// MarshalJSON writes Graph's appliedConditionalAccessPolicy.
func (r Result) MarshalJSON() ([]byte, error) {
	list := func(s []string) []string { return append([]string{}, s...) }
	return json.Marshal(struct {
		ID      string   `json:"id"`
		Name    string   `json:"displayName"`
		Demands []string `json:"enforcedGrantControls"`
		Limits  []string `json:"enforcedSessionControls"`
		Outcome Outcome  `json:"result"`
	}{r.Policy.ID, r.Policy.Name, list(r.Demands), list(r.Limits), r.Outcome})
}
