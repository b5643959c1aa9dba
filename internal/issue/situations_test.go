package issue_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

const (
	linux    = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	windows  = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/141.0 Safari/537.36 Edg/141.0"
	office   = "192.0.2.10"
	elsewhen = "203.0.113.9" // outside the office
)

// situation is somebody who signs in, or goes on with what they have, under some
// policies. Entra's outcome of the first is authorize, of the second refresh.
type situation struct {
	name  string
	rules []*store.Document
	who   func(*policyWorld) // what is special about ada

	amr     string // of the session; empty: a password
	age     time.Duration
	second  time.Duration // how old the second factor is
	ip      string        // empty: the office; "-": it cannot be read
	agent   string        // empty: Firefox on Linux
	context []string
	has     policy.Methods // registered
	risk    access.Risk
	country policy.Country

	authorize, refresh string        // "53003 access_denied message_only"; empty: allowed
	life               time.Duration // of the access token then; 0: an hour
}

// policyWorld is the world of a situation.
type policyWorld struct {
	*world
	staff directory.GroupID
	facts situation
}

func newPolicyWorld(t testing.TB, e storetest.Engine, hooks store.Hooks) *policyWorld {
	t.Helper()
	w := &policyWorld{world: newWorld(t, e, hooks)}
	w.issue.Access = &access.Service{DB: w.DB,
		Country: func(netip.Addr) (policy.Country, bool) { return w.facts.country, w.facts.country != policy.Country{} },
		Risk:    func(*store.Tx, *access.Use) (access.Risk, error) { return w.facts.risk, nil },
		Registered: func(*store.Tx, directory.UserID) (policy.Methods, error) {
			return policy.Password.Set() | w.facts.has, nil
		}}
	w.staff = directory.NewID[directory.Group](w.Clock.Now())
	w.Update(func(tx *store.Tx) error {
		return tx.CreateGroup(directory.Group{ID: w.staff, Name: "Staff", Created: w.Clock.Now()})
	})
	return w
}

func (w *policyWorld) meta() issue.Meta {
	ip, agent := w.facts.ip, w.facts.agent
	switch ip {
	case "":
		ip = office
	case "-":
		ip = ""
	}
	if agent == "" {
		agent = linux
	}
	return issue.Meta{IP: ip, Agent: agent}
}

// session opens one with the proof of the situation.
func (w *policyWorld) session() *grant.Session {
	w.t.Helper()
	s := w.Session(w.Ada)
	amr := strings.Fields(w.facts.amr)
	if len(amr) == 0 {
		amr = []string{"pwd"}
	}
	w.Update(func(tx *store.Tx) error {
		if err := tx.ReproveSession(s.ID, w.Clock.Now().Add(-w.facts.age), amr); err != nil {
			return err
		}
		if !policy.TwoFactors(policy.MethodsOf(amr)) {
			return nil
		}
		if err := tx.ProveSecond(s.ID, w.Clock.Now().Add(-w.facts.second), nil); err != nil {
			return err
		}
		return tx.TouchSession(s.ID, w.Clock.Now())
	})
	return s
}

// begin asks for a code as a browser would.
func (w *policyWorld) begin(s *grant.Session, scope string) (string, error) {
	w.t.Helper()
	plan, err := w.issue.Plan(context.Background(), w.client.App, scope, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	m := w.meta()
	r := issue.AuthorizeRequest{App: w.client.App, Session: s.ID, Plan: plan, Scope: scope, RedirectURI: "https://tripboard.example/cb", Challenge: base64.RawURLEncoding.EncodeToString(sum(verifier)), Issuer: grant.Tenant,
		IP: m.IP, Agent: m.Agent, Contexts: w.facts.context}
	before := w.issue.Admit(context.Background(), r)
	code, err := w.issue.Authorize(context.Background(), r)
	if outcome(before) != outcome(err) {
		w.t.Errorf("asked before consent: %s, and after: %s", outcome(before), outcome(err))
	}
	return code, err
}

func (w *policyWorld) take(code string) (*issue.Tokens, error) {
	return w.issue.Code(context.Background(), w.client, issue.CodeRequest{Code: code, RedirectURI: "https://tripboard.example/cb", Verifier: verifier, Issuer: grant.Tenant, Meta: w.meta()})
}

func (w *policyWorld) renew(token, scope string) (*issue.Tokens, error) {
	return w.issue.Refresh(context.Background(), w.client, issue.RefreshRequest{Token: token, Scope: scope, Issuer: grant.Tenant, Arrived: w.Clock.Now(), Meta: w.meta()})
}

// outcome is an error as the table has it.
func outcome(err error) string {
	if err == nil {
		return ""
	}
	var r *access.Refused
	var e *issue.Error
	if !errors.As(err, &e) {
		return fault.KindOf(err).String()
	}
	s := fmt.Sprintf("%d %s %s", e.Number, e.Code, e.Sub)
	if errors.As(err, &r) && (e.Claims == "" || !strings.Contains(e.Claims, `"capolids"`)) {
		s += " without the policies"
	}
	return strings.TrimSpace(s)
}

func policies(all ...*store.Document) []*store.Document { return all }

// rule is a policy about everybody and everything.
func rule(members string) *store.Document { return storetest.Policy(1, "", members) }

// about is a policy with conditions.
func about(conditions, members string) *store.Document {
	return storetest.Policy(1, conditions, members)
}

const (
	blocked      = "53003 access_denied message_only"
	blockedLater = "53003 invalid_grant message_only"
	older        = "70044 login_required"
	olderLater   = "70043 invalid_grant token_expired"
)

func needs(number int, sub string) (string, string) {
	return fmt.Sprintf("%d interaction_required %s", number, sub), fmt.Sprintf("%d invalid_grant %s", number, sub)
}

func asks(controls string) string {
	return `"grantControls":{"operator":"OR","builtInControls":[` + controls + `]}`
}

func frequency(more string) string {
	return `"sessionControls":{"signInFrequency":{"isEnabled":true,` + more + `}}`
}

func situations(ada, staff string) []situation {
	register, registerLater := needs(50079, "basic_action")
	mfa, mfaLater := needs(50076, "basic_action")
	device, deviceLater := needs(50097, "additional_action")
	terms, termsLater := needs(50158, "basic_action")
	change, changeLater := needs(50142, "basic_action")
	member := func(w *policyWorld) {
		w.Update(func(tx *store.Tx) error { return tx.AddMember(w.staff, w.Ada.ID) })
	}
	secrets := func(w *policyWorld) { // one that nobody has made is refused
		w.Rule(&store.Document{Kind: store.ContextDocument, ID: "c1", Doc: `{"id":"c1","displayName":"Secrets","description":"","isAvailable":true}`})
	}
	trusted := storetest.Location(7, "192.0.2.0/24", true)
	land := &store.Document{Kind: store.LocationDocument, ID: storetest.PolicyID(8),
		Doc: `{"@odata.type":"#microsoft.graph.countryNamedLocation","id":"` + storetest.PolicyID(8) + `","displayName":"Germany","countriesAndRegions":["DE"],"includeUnknownCountriesAndRegions":false}`}
	outside := `"locations":{"includeLocations":["All"],"excludeLocations":["AllTrusted"]}`
	abroad := `"locations":{"includeLocations":["All"],"excludeLocations":["` + storetest.PolicyID(8) + `"]}`
	house := &store.Document{Kind: store.TermsDocument, ID: storetest.PolicyID(9), Doc: `{}`}
	otp := policy.SoftwareOTP.Set()
	resistant := `"grantControls":{"operator":"OR","builtInControls":[],"authenticationStrength":{"id":"00000000-0000-0000-0000-000000000004"}}`
	germany, chile := policy.Country{'D', 'E'}, policy.Country{'C', 'L'}
	users := func(s string) string { return `"users":{` + s + `}` }
	apps := func(s string) string { return `"applications":{` + s + `}` }
	return []situation{
		{name: "no policy"},
		{name: "blocked", rules: policies(rule(storetest.Blocks)), authorize: blocked, refresh: blockedLater},
		{name: "blocked, only reported", rules: policies(rule(`"state":"enabledForReportingButNotEnforced",` + storetest.Blocks))},
		{name: "blocked, switched off", rules: policies(rule(`"state":"disabled",` + storetest.Blocks))},
		{name: "blocked and asked for more", rules: policies(rule(storetest.Blocks), storetest.Policy(2, "", storetest.AsksMFA)), authorize: blocked, refresh: blockedLater},

		{name: "that person", rules: policies(about(users(`"includeUsers":["`+ada+`"]`), storetest.Blocks)), authorize: blocked, refresh: blockedLater},
		{name: "everybody but that person", rules: policies(about(users(`"includeUsers":["All"],"excludeUsers":["`+ada+`"]`), storetest.Blocks))},
		{name: "a group", who: member, rules: policies(about(users(`"includeGroups":["`+staff+`"]`), storetest.Blocks)), authorize: blocked, refresh: blockedLater},
		{name: "a group of others", rules: policies(about(users(`"includeGroups":["`+staff+`"]`), storetest.Blocks))},
		{name: "everybody but a group", who: member, rules: policies(about(users(`"includeUsers":["All"],"excludeGroups":["`+staff+`"]`), storetest.Blocks))},
		{name: "everybody but a group of others", rules: policies(about(users(`"includeUsers":["All"],"excludeGroups":["`+staff+`"]`), storetest.Blocks)), authorize: blocked, refresh: blockedLater},
		{name: "a role", who: func(w *policyWorld) { w.assign(w.Ada.ID, role.GlobalReader) }, rules: policies(about(users(`"includeRoles":["`+string(role.GlobalReader)+`"]`), storetest.Blocks)), authorize: blocked, refresh: blockedLater},
		{name: "a role of others", rules: policies(about(users(`"includeRoles":["`+string(role.GlobalReader)+`"]`), storetest.Blocks))},
		{name: "guests", rules: policies(about(users(`"includeUsers":["GuestsOrExternalUsers"]`), storetest.Blocks))},
		{name: "break-glass", rules: policies(rule(storetest.Blocks), &store.Document{Kind: store.SparedDocument, ID: ada, Doc: "{}"})},

		{name: "that resource", rules: policies(about(apps(`"includeApplications":["api://mail"]`), storetest.Blocks)), authorize: blocked, refresh: blockedLater},
		{name: "another resource", rules: policies(about(apps(`"includeApplications":["api://drive"]`), storetest.Blocks))},
		{name: "that client", rules: policies(about(apps(`"includeApplications":["tripboard"]`), storetest.Blocks)), authorize: blocked, refresh: blockedLater},
		{name: "everything but that resource", rules: policies(about(apps(`"includeApplications":["All"],"excludeApplications":["api://mail"]`), storetest.Blocks))},
		{name: "a client that is spared opens no resource", rules: policies(about(apps(`"includeApplications":["All"],"excludeApplications":["tripboard"]`), storetest.Blocks)), authorize: blocked, refresh: blockedLater},
		{name: "registering a method", rules: policies(about(apps(`"includeUserActions":["urn:user:registersecurityinfo"]`), storetest.AsksMFA))},
		{name: "a context that was not asked for", rules: policies(about(apps(`"includeAuthenticationContextClassReferences":["c1"]`), storetest.AsksMFA))},
		{name: "a context that was asked for", has: otp, context: []string{"c1"}, who: secrets, rules: policies(about(apps(`"includeAuthenticationContextClassReferences":["c1"]`), storetest.AsksMFA)), authorize: mfa, refresh: mfaLater},

		{name: "native programs", rules: policies(about(`"clientAppTypes":["mobileAppsAndDesktopClients"]`, storetest.Blocks)), authorize: blocked, refresh: blockedLater},
		{name: "browsers", rules: policies(about(`"clientAppTypes":["browser"]`, storetest.Blocks))},
		{name: "that platform", rules: policies(about(`"platforms":{"includePlatforms":["linux"]}`, storetest.Blocks)), authorize: blocked, refresh: blockedLater},
		{name: "another platform", rules: policies(about(`"platforms":{"includePlatforms":["windows"]}`, storetest.Blocks))},
		{name: "that other platform", agent: windows, rules: policies(about(`"platforms":{"includePlatforms":["windows"]}`, storetest.Blocks)), authorize: blocked, refresh: blockedLater},
		{name: "all platforms but that one", rules: policies(about(`"platforms":{"includePlatforms":["all"],"excludePlatforms":["linux"]}`, storetest.Blocks))},
		{name: "a platform that says nothing", agent: "curl/8.1", rules: policies(about(`"platforms":{"includePlatforms":["windows"]}`, storetest.Blocks)), authorize: blocked, refresh: blockedLater},

		{name: "outside, from inside", rules: policies(trusted, about(outside, storetest.Blocks))},
		{name: "outside, from outside", ip: elsewhen, rules: policies(trusted, about(outside, storetest.Blocks)), authorize: blocked, refresh: blockedLater},
		{name: "outside, from nobody knows where", ip: "-", rules: policies(trusted, about(outside, storetest.Blocks)), authorize: blocked, refresh: blockedLater},
		{name: "abroad, without a database", rules: policies(land, about(abroad, storetest.Blocks)), authorize: blocked, refresh: blockedLater},
		{name: "abroad, from there", country: chile, rules: policies(land, about(abroad, storetest.Blocks)), authorize: blocked, refresh: blockedLater},
		{name: "abroad, from home", country: germany, rules: policies(land, about(abroad, storetest.Blocks))},
		{name: "device codes, of a code", rules: policies(about(`"authenticationFlows":{"transferMethods":"deviceCodeFlow"}`, storetest.Blocks))},

		{name: "a second factor that is not registered", rules: policies(rule(storetest.AsksMFA)), authorize: register, refresh: registerLater},
		{name: "a second factor", has: otp, rules: policies(rule(storetest.AsksMFA)), authorize: mfa, refresh: mfaLater},
		{name: "a second factor, given", amr: "pwd otp", rules: policies(rule(storetest.AsksMFA))},
		{name: "a second factor, passkey", amr: "fido", rules: policies(rule(storetest.AsksMFA))},
		{name: "a second factor, recovery code", amr: "pwd rc", rules: policies(rule(storetest.AsksMFA))},
		{name: "a second factor of another provider's word", has: otp, amr: "fed pwd mfa", rules: policies(rule(storetest.AsksMFA)), authorize: mfa, refresh: mfaLater},
		{name: "phishing-resistant", has: policy.Passkey.Set(), amr: "pwd otp", rules: policies(rule(resistant)), authorize: mfa, refresh: mfaLater},
		{name: "phishing-resistant, given", amr: "fido", rules: policies(rule(resistant))},
		{name: "a compliant device", rules: policies(rule(asks(`"compliantDevice"`))), authorize: device, refresh: deviceLater},
		{name: "a compliant device or a second factor", has: otp, rules: policies(rule(asks(`"compliantDevice","mfa"`))), authorize: mfa, refresh: mfaLater},
		{name: "a compliant device or a second factor, given", amr: "pwd otp", rules: policies(rule(asks(`"compliantDevice","mfa"`)))},
		{name: "a compliant device and a second factor", amr: "pwd otp", rules: policies(rule(`"grantControls":{"operator":"AND","builtInControls":["compliantDevice","mfa"]}`)), authorize: device, refresh: deviceLater},
		{name: "terms of use", rules: policies(house, rule(`"grantControls":{"operator":"OR","builtInControls":[],"termsOfUse":["`+storetest.PolicyID(9)+`"]}`)), authorize: terms, refresh: termsLater},
		{name: "a new password for who is at risk", amr: "pwd otp", risk: access.Risk{User: policy.HighRisk, SignIn: policy.NoRisk}, rules: policies(about(`"userRiskLevels":["high"]`, `"grantControls":{"operator":"AND","builtInControls":["mfa","passwordChange"]}`)), authorize: change, refresh: changeLater},
		{name: "a new password, given", amr: "pwd otp", risk: access.Risk{User: policy.HighRisk, SignIn: policy.NoRisk, Changed: true}, rules: policies(about(`"userRiskLevels":["high"]`, `"grantControls":{"operator":"AND","builtInControls":["mfa","passwordChange"]}`))},
		{name: "a risk", risk: access.Risk{SignIn: policy.HighRisk}, rules: policies(about(`"signInRiskLevels":["high","medium"]`, storetest.Blocks)), authorize: blocked, refresh: blockedLater},
		{name: "no risk", risk: access.Risk{SignIn: policy.NoRisk}, rules: policies(about(`"signInRiskLevels":["high","medium"]`, storetest.Blocks))},
		{name: "a risk that nobody computes", rules: policies(about(`"signInRiskLevels":["high"]`, storetest.Blocks)), authorize: blocked, refresh: blockedLater},

		{name: "every eight hours, after two", age: 2 * time.Hour, rules: policies(rule(frequency(`"type":"hours","value":8,"frequencyInterval":"timeBased","authenticationType":"primaryAndSecondaryAuthentication"`)))},
		{name: "every hour, after forty minutes", age: 40 * time.Minute, life: 20 * time.Minute, rules: policies(rule(frequency(`"type":"hours","value":1,"frequencyInterval":"timeBased","authenticationType":"primaryAndSecondaryAuthentication"`)))},
		{name: "every hour, after one", age: time.Hour, rules: policies(rule(frequency(`"type":"hours","value":1,"frequencyInterval":"timeBased","authenticationType":"primaryAndSecondaryAuthentication"`))), authorize: older, refresh: olderLater},
		{name: "every time, after four minutes", age: 4 * time.Minute, life: time.Minute, rules: policies(rule(frequency(`"frequencyInterval":"everyTime","authenticationType":"primaryAndSecondaryAuthentication"`)))},
		{name: "every time, after five minutes", age: 5 * time.Minute, rules: policies(rule(frequency(`"frequencyInterval":"everyTime","authenticationType":"primaryAndSecondaryAuthentication"`))), authorize: older, refresh: olderLater},
		{name: "the second factor every hour, after two", amr: "pwd otp", age: 10 * time.Minute, second: 2 * time.Hour, rules: policies(rule(frequency(`"type":"hours","value":1,"frequencyInterval":"timeBased","authenticationType":"secondaryAuthentication"`))), authorize: older, refresh: olderLater},
		{name: "the second factor every hour, after ten minutes", amr: "pwd otp", age: 3 * time.Hour, second: 10 * time.Minute, life: 50 * time.Minute, rules: policies(rule(frequency(`"type":"hours","value":1,"frequencyInterval":"timeBased","authenticationType":"secondaryAuthentication"`)))},
		{name: "frequencies that only report", age: 9 * time.Hour, rules: policies(rule(`"state":"enabledForReportingButNotEnforced",` + frequency(`"type":"hours","value":1,"frequencyInterval":"timeBased","authenticationType":"primaryAndSecondaryAuthentication"`)))},
		{name: "a policy that cannot be read", rules: policies(&store.Document{Kind: store.PolicyDocument, ID: storetest.PolicyID(1), Doc: "{"}), authorize: "unavailable", refresh: "unavailable"},
		{name: "a location that is gone spares nobody", rules: policies(about(abroad, storetest.Blocks)), authorize: blocked, refresh: blockedLater},
		{name: "a group that is gone spares nobody", rules: policies(about(users(`"includeUsers":["All"],"excludeGroups":["`+storetest.PolicyID(0x99)+`"]`), storetest.Blocks)), authorize: blocked, refresh: blockedLater},
	}
}

// Each situation is met twice: at a sign-in under the policies, and with a grant of
// before, which is not held back a moment longer than the policies are there.
func TestSituationsEndAsEntraEndsThem(t *testing.T) {
	t.Parallel()
	e := storetest.Engines()[0]
	w := newPolicyWorld(t, e, store.Hooks{})
	all := situations(w.Ada.ID.String(), w.staff.String())
	if len(all) < 40 {
		t.Fatalf("only %d situations", len(all))
	}
	for _, x := range all {
		t.Run(x.name, func(t *testing.T) {
			w.t, w.facts = t, x
			defer func() { w.t = t }()
			session := w.session()
			if x.who != nil {
				x.who(w)
			}
			// A grant of before the policies.
			code, err := w.begin(session, allScopes)
			if err != nil {
				t.Fatal(err)
			}
			old, err := w.take(code)
			if err != nil {
				t.Fatal(err)
			}
			w.Rule(x.rules...)
			code, err = w.begin(session, allScopes)
			if got := outcome(err); got != x.authorize {
				t.Errorf("authorize: %q, want %q (%v)", got, x.authorize, err)
			}
			life := x.life
			if life == 0 {
				life = time.Hour
			}
			lives := func(what string, tok *issue.Tokens, err error) {
				t.Helper()
				if err != nil {
					t.Errorf("%s: %v", what, err)
				} else if tok.ExpiresIn != life || life < time.Hour && tok.RefreshExpiresIn != life {
					t.Errorf("%s: lives %s (refresh token %s), want %s", what, tok.ExpiresIn, tok.RefreshExpiresIn, life)
				}
			}
			if x.authorize == "" {
				tok, err := w.take(code)
				lives("code", tok, err)
			}
			next, err := w.renew(old.Refresh, "")
			if got := outcome(err); got != x.refresh {
				t.Errorf("refresh: %q, want %q (%v)", got, x.refresh, err)
			}
			in, err := w.issue.Introspect(t.Context(), w.client, old.Refresh, w.meta())
			if x.refresh == "" {
				lives("refresh", next, nil)
				old = next
			} else if err == nil && in.Active {
				t.Error("introspection calls the refresh token active")
			}
			w.Unrule(x.rules...)
			if _, err := w.renew(old.Refresh, ""); err != nil {
				t.Errorf("the policies are gone, and the grant with them: %v", err)
			}
			w.leaveAll()
		})
	}
}

// leaveAll takes everything from ada that a situation gave her.
func (w *policyWorld) leaveAll() {
	w.t.Helper()
	w.Update(func(tx *store.Tx) error {
		if err := tx.RemoveMember(w.staff, w.Ada.ID); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		all, err := tx.Assignments()
		for _, a := range all {
			if err == nil && a.User == w.Ada.ID {
				_, err = tx.RemoveRole(a.ID)
			}
		}
		return err
	})
}

func (w *policyWorld) assign(u directory.UserID, r directory.RoleID) {
	w.t.Helper()
	w.Update(func(tx *store.Tx) error {
		return tx.AssignRole(directory.RoleAssignment{ID: directory.NewID[directory.RoleAssignment](w.Clock.Now()), Role: r, User: u})
	})
}
