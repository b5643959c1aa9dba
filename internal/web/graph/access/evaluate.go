package access

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/govern"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/policy/wire"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

// word reads one of Graph's names as a value of ours; null leaves it alone.
func word[T any](to *T, values map[string]T) odata.Reader {
	return func(raw json.RawMessage) (string, error) {
		var s *string
		if json.Unmarshal(raw, &s) == nil {
			if s == nil {
				return "", nil
			}
			if v, ok := values[*s]; ok {
				*to = v
				return "", nil
			}
		}
		names := make([]string, 0, len(values))
		for n := range values {
			names = append(names, n)
		}
		slices.Sort(names)
		return "one of " + strings.Join(names, ", "), nil
	}
}

// Graph's names. What counts as all, or as not known, is zero.
var (
	platforms = map[string]policy.Platform{"all": 0, "android": policy.Android, "iOS": policy.IOS, "windows": policy.Windows, "windowsPhone": policy.WindowsPhone, "macOS": policy.MacOS, "linux": policy.Linux}
	programs  = map[string]policy.ClientType{"all": 0, "browser": policy.Browser, "mobileAppsAndDesktopClients": policy.Native, "exchangeActiveSync": policy.ActiveSync, "easSupported": policy.ActiveSyncSupported, "other": policy.OtherClient}
	risks     = map[string]policy.Risk{"none": policy.NoRisk, "low": policy.LowRisk, "medium": policy.MediumRisk, "high": policy.HighRisk}
	flows     = map[string]policy.Flow{"none": policy.NoFlow, "deviceCodeFlow": policy.DeviceCode, "authenticationTransfer": policy.AuthTransfer}
	actions   = map[string]policy.Action{"registerSecurityInformation": policy.RegisterSecurityInfo, "registerOrJoinDevices": policy.RegisterDevice}
	trusts    = map[string]policy.Trust{"AzureAD": policy.Joined, "ServerAD": policy.Hybrid, "Workplace": policy.Registered}
	truths    = map[bool]policy.Tri{true: policy.Yes, false: policy.No}
)

// signIn reads Graph's question.
func (c asked) signIn() (x govern.SignIn, appliedOnly bool, err error) {
	var user, context, address, country, device, deviceName *string
	var apps *[]string
	var compliant, applied *bool
	var has [6]bool
	err = c.Body(odata.Form{
		"signInIdentity": odata.Inner(&has[0], odata.Form{"userId": odata.Text(&user), "externalTenantId": odata.Only("null"), "externalUserType": odata.Only("null")}),
		"signInContext": odata.Inner(&has[1], odata.Form{"includeApplications": odata.List(&apps, "client_ids or resources"), "authenticationContextValue": odata.Text(&context),
			"userAction": word(&x.Action, actions)}),
		"signInConditions": odata.Inner(&has[2], odata.Form{"devicePlatform": word(&x.Platform, platforms), "clientAppType": word(&x.Program, programs),
			"signInRiskLevel": word(&x.SignInRisk, risks), "userRiskLevel": word(&x.UserRisk, risks), "insiderRiskLevel": odata.Only(`"none"`, "null"), "servicePrincipalRiskLevel": odata.Only(`"none"`, "null"),
			"country": odata.Text(&country), "ipAddress": odata.Text(&address),
			"authenticationFlow": odata.Inner(&has[3], odata.Form{"transferMethod": word(&x.Flow, flows)}),
			"deviceInfo": odata.Inner(&has[4], odata.Form{"deviceId": odata.Text(&device), "displayName": odata.Text(&deviceName), "isCompliant": odata.Truth(&compliant),
				"trustType": word(&x.Device.Trust, trusts)})}),
		"appliedPoliciesOnly": odata.Truth(&applied),
	})
	if err != nil {
		return x, false, err
	}
	if user == nil || !has[1] || !has[2] {
		return x, false, odata.Unreadable("The properties signInIdentity (with userId), signInContext and signInConditions are needed. Policies are about people: of applications that act as themselves there is nothing to say.")
	}
	if x.User, err = directory.ParseID[directory.User](*user); err != nil {
		return x, false, odata.Unreadable("The property userId must be an object id.")
	}
	if apps != nil {
		x.Apps = *apps
	}
	if context != nil {
		n, err := strconv.Atoi(strings.TrimPrefix(*context, "c"))
		if err != nil || *context != "c"+strconv.Itoa(n) || n < 1 || n > policy.MaxContext {
			return x, false, odata.Unreadable("The property authenticationContextValue must be one of c1 to c99.")
		}
		x.Context = n
	}
	if said := len(x.Apps) > 0; said && (x.Action != 0 || x.Context != 0) || x.Action != 0 && x.Context != 0 {
		return x, false, odata.Unreadable("The property signInContext must say one thing: applications, a user action or an authentication context.")
	}
	if address != nil {
		a, err := netip.ParseAddr(*address)
		if err != nil || a.Zone() != "" {
			return x, false, odata.Unreadable("The property ipAddress must be an address as 203.0.113.9 or 2001:db8::1.")
		}
		x.Address = a.Unmap()
	}
	if country != nil && *country != "" {
		k := *country
		if len(k) != 2 || k[0] < 'A' || k[0] > 'Z' || k[1] < 'A' || k[1] > 'Z' {
			return x, false, odata.Unreadable("The property country must be two capital letters, such as DE.")
		}
		x.Country = policy.Country{k[0], k[1]}
	}
	if device != nil && *device != "" {
		if x.Device.ID, err = directory.ParseID[directory.Device](*device); err != nil {
			return x, false, odata.Unreadable("The property deviceId must be an object id.")
		}
	}
	if compliant != nil {
		x.Device.Compliant = truths[*compliant]
	}
	return x, applied != nil && *applied, nil
}

type asked struct{ *call }

// evaluate answers what the policies would do with a sign-in. What curfew knows more
// than Graph says stands beside it, under names of ours.
func (s Server) evaluate(c *call) error {
	x, appliedOnly, err := asked{c}.signIn()
	if err != nil {
		return err
	}
	e, err := s.Govern.Evaluate(c.Ctx(), c.Actor, x)
	if fault.Is(err, fault.NotFound) {
		return odata.Unreadable(fault.Public(err)) // the address is there
	}
	if err != nil {
		return err
	}
	value := []object{}
	for i := range e.Results {
		if r := &e.Results[i]; r.Applies || !appliedOnly {
			value = append(value, resultObject(r))
		}
	}
	country := any(nil)
	if e.Country != (policy.Country{}) {
		country = e.Country.String()
	}
	c.Write(http.StatusOK, object{{"@odata.context", s.Context(c, "Collection(microsoft.graph.whatIfAnalysisResult)")},
		{"@curfew.decision", e.Decision.String()}, {"@curfew.needs", texts(e.Needs)}, {"@curfew.able", e.Able}, {"@curfew.spared", e.Spared},
		{"@curfew.limits", texts(limits(&e.Limits))}, {"@curfew.locations", texts(e.Places)}, {"@curfew.country", country}, {"value", value}})
	return nil
}

// resultObject is Graph's whatIfAnalysisResult: the policy, and whether it applies.
func resultObject(r *policy.Result) object {
	reasons := "notSet"
	switch {
	case r.Applies && r.Policy.State != policy.Off:
	case r.Policy.State == policy.Off:
		reasons = "policyNotEnabled"
	case len(r.RuledOut) > 0:
		reasons = strings.Join(r.RuledOut, ",")
	}
	return append(members(wire.WritePolicy(r.Policy)), member{"policyApplies", r.Applies && r.Policy.State != policy.Off}, member{"analysisReasons", reasons},
		member{"@curfew.result", r.Outcome}, member{"@curfew.missing", texts(r.Missing)}, member{"@curfew.unknown", texts(r.Unknown)})
}

// limits are those of a verdict, in words.
func limits(l *policy.Limits) (out []string) {
	if l.Frequency > 0 {
		out = append(out, "signInFrequency:"+l.Frequency.String())
	}
	if l.Second > 0 {
		out = append(out, "signInFrequency:secondaryAuthentication:"+l.Second.String())
	}
	if p := map[policy.Persistence]string{policy.Always: "always", policy.Never: "never"}[l.Persistent]; p != "" {
		out = append(out, "persistentBrowser:"+p)
	}
	if l.AppEnforced {
		out = append(out, "applicationEnforcedRestrictions")
	}
	if k := map[policy.Continuity]string{policy.NotContinuous: "disabled", policy.StrictLocation: "strictLocation", policy.StrictEnforcement: "strictEnforcement"}[l.Continuous]; k != "" {
		out = append(out, "continuousAccessEvaluation:"+k)
	}
	return out
}
