package signins

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/review"
	"github.com/curfew-id/curfew/internal/web/graph/api"
)

// Graph's names.
var (
	types    = map[review.Kind]string{review.Interactive: "interactiveUser", review.Silent: "nonInteractiveUser", review.AsItself: "servicePrincipal"}
	risks    = map[policy.Risk]string{policy.NoRisk: "none", policy.LowRisk: "low", policy.MediumRisk: "medium", policy.HighRisk: "high"}
	trusts   = map[policy.Trust]string{policy.Joined: "Azure AD joined", policy.Hybrid: "Hybrid Azure AD joined", policy.Registered: "Azure AD registered"}
	programs = map[policy.ClientType]string{policy.Browser: "Browser", policy.Native: "Mobile Apps and Desktop clients", policy.ActiveSync: "Exchange ActiveSync",
		policy.ActiveSyncSupported: "Exchange ActiveSync", policy.OtherClient: "Other clients"}
	methods = map[string]string{"pwd": "Password", "otp": "OATH verification code", "fido": "Passkey", "tap": "Temporary Access Pass", "rc": "Recovery code", "fed": "Another identity provider"}
	// transfers is Graph's originalTransferMethod, protocols its authenticationProtocol.
	transfers = map[string]string{"device": "deviceCodeFlow"}
	protocols = map[string]string{"device": "deviceCode"}
)

// gap is the number under which missing entries stand in the list: Entra's for too
// many requests at once. No sign-in here is refused by it.
const gap = 90055

// missing is what an entry about missing ones says.
func missing(e *review.Entry) string {
	return fmt.Sprintf("%d sign-ins before this one are missing: the log could not keep up.", e.Missing)
}

var truths = map[policy.Tri]any{policy.Yes: true, policy.No: false}

// written is a sign-in as Graph writes it; what it has no name for stands behind
// @curfew.
func written(e *review.Entry) object {
	browser, system, _ := strings.Cut(e.Agent, " on ")
	number, why := e.Error, api.TextOrNull(e.Reason)
	if e.Kind == review.Gap {
		number, why = gap, missing(e)
	}
	status, applied := any("notApplied"), []object{}
	for name, s := range statuses {
		if s == e.Status() {
			status = name
		}
	}
	if e.Applied != nil {
		for _, p := range e.Applied.Policies {
			applied = append(applied, object{{"id", p.ID}, {"displayName", p.Name}, {"enforcedGrantControls", list(p.Demands)}, {"enforcedSessionControls", list(p.Limits)}, {"result", p.Outcome}})
		}
	}
	kinds := []string{}
	if t := types[e.Kind]; t != "" {
		kinds = append(kinds, t)
	}
	details := []object{} // of what was given, whatever became of it
	for _, m := range e.Methods {
		name := methods[m]
		if name == "" {
			continue // what another provider said of itself, or a sum of the others
		}
		details = append(details, object{{"authenticationMethod", name}, {"succeeded", true}})
	}
	device, session, grant, user := "", "", "", ""
	for _, x := range []struct {
		to   *string
		zero bool
		id   fmt.Stringer
	}{{&device, e.Device.IsZero(), e.Device}, {&session, e.Session.IsZero(), e.Session}, {&grant, e.Grant.IsZero(), e.Grant}, {&user, e.User.IsZero(), e.User}} {
		if !x.zero {
			*x.to = x.id.String()
		}
	}
	protocol, transfer := "oAuth2", "none"
	if p := protocols[e.Flow]; p != "" {
		protocol, transfer = p, transfers[e.Flow]
	}
	out := object{
		{"id", e.ID.String()}, {"createdDateTime", e.At.UTC().Format("2006-01-02T15:04:05.000Z")},
		{"userId", api.TextOrNull(user)}, {"userPrincipalName", api.TextOrNull(e.UserName)}, {"userDisplayName", api.TextOrNull(e.Display)},
		{"appId", api.TextOrNull(string(e.App))}, {"appDisplayName", api.TextOrNull(e.AppName)}, {"resourceId", api.TextOrNull(string(e.Resource))}, {"resourceDisplayName", api.TextOrNull(e.ResourceName)},
		{"ipAddress", api.TextOrNull(e.IP)}, {"clientAppUsed", api.TextOrNull(programs[e.Program])}, {"isInteractive", e.Kind == review.Interactive}, {"signInEventTypes", kinds},
		{"correlationId", api.TextOrNull(e.Request)}, {"conditionalAccessStatus", status}, {"appliedConditionalAccessPolicies", applied},
		{"status", object{{"errorCode", number}, {"failureReason", why}, {"additionalDetails", nil}}},
		{"deviceDetail", object{{"deviceId", device}, {"displayName", ""}, {"operatingSystem", system}, {"browser", browser}, {"isCompliant", truths[e.Compliant]}, {"isManaged", nil},
			{"trustType", api.TextOrNull(trusts[e.Trust])}}},
		{"location", object{{"city", api.TextOrNull(e.City)}, {"state", nil}, {"countryOrRegion", api.TextOrNull(e.Country)}, {"geoCoordinates", nil}}},
		{"riskLevelDuringSignIn", api.TextOrNull(risks[e.SignInRisk])}, {"riskLevelAggregated", api.TextOrNull(risks[e.UserRisk])},
		{"riskState", api.TextOrNull(riskState(e.SignInRisk))},
		{"authenticationProtocol", protocol}, {"originalTransferMethod", transfer}, {"authenticationDetails", details},
		{"sessionId", api.TextOrNull(session)}, {"uniqueTokenIdentifier", api.TextOrNull(e.Token)},
		{"@curfew.flow", e.Flow}, {"@curfew.grantId", api.TextOrNull(grant)},
	}
	if e.Kind == review.Gap {
		out = append(out, api.Member{Name: "@curfew.missing", Value: e.Missing})
	}
	return out
}

func list(all []string) []string { return append([]string{}, all...) }

// selects are the properties that $select can name.
func selects() (names []string) {
	for _, m := range written(&review.Entry{}) {
		if !strings.HasPrefix(m.Name, "@") {
			names = append(names, m.Name)
		}
	}
	return names
}

// columns of a sheet, and what stands in them.
var columns = []struct {
	name string
	of   func(*review.Entry) string
}{
	{"createdDateTime", func(e *review.Entry) string { return e.At.UTC().Format("2006-01-02T15:04:05.000Z") }},
	{"id", func(e *review.Entry) string { return e.ID.String() }},
	{"signInEventType", func(e *review.Entry) string { return types[e.Kind] }},
	{"flow", func(e *review.Entry) string { return e.Flow }},
	{"userId", func(e *review.Entry) string { return idOrNothing(e.User.IsZero(), e.User) }},
	{"userPrincipalName", func(e *review.Entry) string { return e.UserName }},
	{"userDisplayName", func(e *review.Entry) string { return e.Display }},
	{"appId", func(e *review.Entry) string { return string(e.App) }},
	{"appDisplayName", func(e *review.Entry) string { return e.AppName }},
	{"resourceId", func(e *review.Entry) string { return string(e.Resource) }},
	{"resourceDisplayName", func(e *review.Entry) string { return e.ResourceName }},
	{"ipAddress", func(e *review.Entry) string { return e.IP }},
	{"countryOrRegion", func(e *review.Entry) string { return e.Country }},
	{"city", func(e *review.Entry) string { return e.City }},
	{"clientAppUsed", func(e *review.Entry) string { return programs[e.Program] }},
	{"agent", func(e *review.Entry) string { return e.Agent }},
	{"correlationId", func(e *review.Entry) string { return e.Request }},
	{"errorCode", func(e *review.Entry) string {
		if e.Kind == review.Gap {
			return strconv.Itoa(gap)
		}
		return strconv.Itoa(e.Error)
	}},
	{"failureReason", func(e *review.Entry) string {
		if e.Kind == review.Gap {
			return missing(e)
		}
		return e.Reason
	}},
	{"conditionalAccessStatus", func(e *review.Entry) string {
		for name, s := range statuses {
			if s == e.Status() {
				return name
			}
		}
		return "notApplied"
	}},
	{"appliedConditionalAccessPolicies", func(e *review.Entry) string {
		if e.Applied == nil || len(e.Applied.Policies) == 0 {
			return ""
		}
		short := map[string]policy.Outcome{}
		for _, p := range e.Applied.Policies {
			short[p.ID] = p.Outcome
		}
		b, _ := json.Marshal(short) // texts
		return string(b)
	}},
	{"deviceId", func(e *review.Entry) string { return idOrNothing(e.Device.IsZero(), e.Device) }},
	{"riskLevelDuringSignIn", func(e *review.Entry) string { return risks[e.SignInRisk] }},
	{"riskLevelAggregated", func(e *review.Entry) string { return risks[e.UserRisk] }},
	{"methods", func(e *review.Entry) string { return strings.Join(e.Methods, " ") }},
	{"sessionId", func(e *review.Entry) string { return idOrNothing(e.Session.IsZero(), e.Session) }},
	{"grantId", func(e *review.Entry) string { return idOrNothing(e.Grant.IsZero(), e.Grant) }},
	{"uniqueTokenIdentifier", func(e *review.Entry) string { return e.Token }},
}

func idOrNothing(zero bool, id fmt.Stringer) string {
	if zero {
		return ""
	}
	return id.String()
}

func heads() []string {
	out := make([]string, len(columns))
	for i, c := range columns {
		out[i] = c.name
	}
	return out
}

// cells are a row of a sheet. Programs for sheets run what begins like a formula,
// and names come from other people: such a cell begins with an apostrophe, by which
// they take it as text.
func cells(e *review.Entry) []string {
	out := make([]string, len(columns))
	for i, c := range columns {
		if out[i] = c.of(e); out[i] != "" && strings.ContainsRune("=+-@\t\r\n", rune(out[i][0])) {
			out[i] = "'" + out[i]
		}
	}
	return out
}

// riskState is Graph's, as of the sign-in: what administrators said of it since stands
// with the detections. Empty: nobody computed it.
func riskState(r policy.Risk) string {
	switch {
	case r > policy.NoRisk:
		return "atRisk"
	case r == policy.NoRisk:
		return "none"
	}
	return ""
}
