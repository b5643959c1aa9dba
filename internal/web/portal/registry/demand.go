package registry

import "strings"

// demands are Graph's names of what policies ask for.
var demands = map[string]string{"block": "blocked", "mfa": "two factors", "compliantDevice": "a compliant device", "domainJoinedDevice": "a joined device", "passwordChange": "a new password", "signInFrequency": "a newer sign-in",
	"signInFrequency:secondaryAuthentication": "a newer second factor"}

// Demand is what a policy asks for, by Graph's name, in plain words. Strengths and
// terms of use are documents: their ids are left.
func Demand(name string) string {
	if w := demands[name]; w != "" {
		return w
	}
	for before, word := range map[string]string{"authenticationStrength:": "the strength ", "termsOfUse:": "terms of use "} {
		if id, ok := strings.CutPrefix(name, before); ok {
			return word + id
		}
	}
	return name
}

// limits are Graph's names of what policies say of what comes after.
var limits = map[string]string{"signInFrequency:every time": "sign in again each time", "persistentBrowser:always": "browsers stay signed in", "persistentBrowser:never": "browsers do not stay signed in", "applicationEnforcedRestrictions": "the application limits what it shows",
	"continuousAccessEvaluation:disabled": "not judged again by guards", "continuousAccessEvaluation:strictLocation": "judged by guards at each request, address and all", "continuousAccessEvaluation:strictEnforcement": "judged by guards at each request, strictly"}

// Limit is what a policy says of what comes after, in plain words.
func Limit(name string) string {
	if w := limits[name]; w != "" {
		return w
	}
	if every, ok := strings.CutPrefix(name, "signInFrequency:"); ok {
		return "sign in again after " + strings.NewReplacer("h0m0s", " h", "m0s", " min").Replace(every)
	}
	return name
}
