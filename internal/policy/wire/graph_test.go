package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/policy/wire"
)

func guid(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012x", n) }

// gone is the id of what does not exist.
var gone = guid(0xdead)

// known has everything but what is gone.
var known = wire.Known{
	User:     func(u directory.UserID) bool { return u.String() != gone },
	Group:    func(g directory.GroupID) bool { return g.String() != gone },
	Role:     func(r directory.RoleID) bool { return string(r) != gone },
	App:      func(id string) bool { return id != gone },
	Location: func(id string) bool { return id != gone },
	Strength: func(id string) bool { return id != gone },
	Terms:    func(id string) bool { return id != gone },
	Context:  func(n int) bool { return n != 25 },
}

// everything is a policy with every member that curfew honours, as Graph writes it.
const everything = `{
"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#identity/conditionalAccess/policies/$entity",
"id": "00000000-0000-4000-8000-000000000001", "templateId": "00000000-0000-4000-8000-000000000002", "displayName": "Bewährte Methoden",
"createdDateTime": "2026-03-02T12:04:00Z", "modifiedDateTime": "2026-03-02T12:05:06.7890123Z", "state": "enabledForReportingButNotEnforced",
"conditions": {
  "users": {
    "includeUsers": ["00000000-0000-4000-8000-000000000003", "GuestsOrExternalUsers"], "excludeUsers": ["00000000-0000-4000-8000-000000000004"],
    "includeGroups": ["00000000-0000-4000-8000-000000000005"], "excludeGroups": ["00000000-0000-4000-8000-000000000006"],
    "includeRoles": ["62e90394-69f5-4237-9190-012177145e10"], "excludeRoles": [],
    "includeGuestsOrExternalUsers": null, "excludeGuestsOrExternalUsers": {"guestOrExternalUserTypes": "internalGuest,b2bCollaborationGuest", "externalTenants": null}},
  "applications": {"includeApplications": ["All"], "excludeApplications": ["mail", "https://api.contoso.example"], "includeUserActions": [],
    "includeAuthenticationContextClassReferences": [], "applicationFilter": null},
  "clientApplications": null, "clientAppTypes": ["browser", "mobileAppsAndDesktopClients"],
  "platforms": {"includePlatforms": ["all"], "excludePlatforms": ["iOS", "macOS"]},
  "locations": {"includeLocations": ["All"], "excludeLocations": ["AllTrusted", "00000000-0000-4000-8000-000000000007"]},
  "devices": {"deviceFilter": {"mode": "exclude", "rule": "device.isCompliant -eq True"}},
  "signInRiskLevels": ["high", "medium"], "userRiskLevels": [], "servicePrincipalRiskLevels": [], "insiderRiskLevels": null,
  "authenticationFlows": {"transferMethods": "deviceCodeFlow,authenticationTransfer"}},
"grantControls": {"operator": "OR", "builtInControls": ["compliantDevice", "domainJoinedDevice"], "customAuthenticationFactors": [], "termsOfUse": ["00000000-0000-4000-8000-000000000008"],
  "authenticationStrength@odata.context": "https://graph.microsoft.com/v1.0/$metadata#…", "authenticationStrength": {"id": "00000000-0000-0000-0000-000000000004"}},
"sessionControls": {"signInFrequency": {"isEnabled": true, "type": "hours", "value": 4, "frequencyInterval": "timeBased", "authenticationType": "secondaryAuthentication"},
  "persistentBrowser": null, "applicationEnforcedRestrictions": {"isEnabled": true}, "cloudAppSecurity": {"isEnabled": false}, "secureSignInSession": null,
  "continuousAccessEvaluation": {"mode": "strictLocation"}, "disableResilienceDefaults": true}}`

func TestEverythingIsReadAndWritten(t *testing.T) {
	t.Parallel()
	p, err := wire.ReadPolicy([]byte(everything), known)
	if err != nil {
		t.Fatal(err)
	}
	yes := true
	id := func(n int) string { return guid(n) }
	want := &policy.Policy{
		ID: id(1), Template: id(2), Name: "Bewährte Methoden", State: policy.ReportOnly,
		Created: time.Date(2026, 3, 2, 12, 4, 0, 0, time.UTC), Modified: time.Date(2026, 3, 2, 12, 5, 6, 789012300, time.UTC),
		Include:          policy.Who{AnyGuest: true, Users: []directory.UserID{user(3)}, Groups: []directory.GroupID{directory.GroupID(user(5))}, Roles: []directory.RoleID{"62e90394-69f5-4237-9190-012177145e10"}},
		Exclude:          policy.Who{Users: []directory.UserID{user(4)}, Groups: []directory.GroupID{directory.GroupID(user(6))}, Guests: 3},
		Apps:             policy.Apps{All: true, Exclude: []string{"mail", "https://api.contoso.example"}},
		Clients:          1<<(policy.Browser-1) | 1<<(policy.Native-1),
		IncludePlatforms: policy.AllPlatforms, ExcludePlatforms: 1<<(policy.IOS-1) | 1<<(policy.MacOS-1),
		IncludePlaces: policy.Places{All: true}, ExcludePlaces: policy.Places{Trusted: true, IDs: []string{id(7)}},
		Device:     &policy.DeviceFilter{Exclude: true, Rule: "device.isCompliant -eq True"},
		SignInRisk: 1<<(policy.HighRisk-1) | 1<<(policy.MediumRisk-1),
		Flows:      1<<(policy.DeviceCode-1) | 1<<(policy.AuthTransfer-1),
		Grant:      &policy.Grant{Any: true, Controls: policy.NeedCompliantDevice | policy.NeedHybridDevice, Strength: policy.BuiltInStrengths()[2].ID, Terms: []string{id(8)}},
		Session:    &policy.Session{Frequency: &policy.Frequency{Life: 4 * time.Hour, Secondary: true}, AppEnforced: true, Continuous: policy.StrictLocation, NoResilience: &yes},
	}
	if !reflect.DeepEqual(p, want) {
		t.Fatalf("read\n%+v\nwant\n%+v", p, want)
	}
	again(t, p)
}

// again writes a policy, reads it, and compares.
func again(t interface {
	Helper()
	Fatalf(string, ...any)
}, p *policy.Policy) {
	t.Helper()
	b := wire.WritePolicy(p)
	q, err := wire.ReadPolicy(b, known)
	if err != nil {
		t.Fatalf("what was written is refused: %v\n%s", err, b)
	}
	if !reflect.DeepEqual(p, q) {
		t.Fatalf("written and read:\n%+v\nwas\n%+v\n%s", q, p, b)
	}
	if c := wire.WritePolicy(q); !bytes.Equal(b, c) {
		t.Fatalf("written twice:\n%s\n%s", b, c)
	}
}

func user(n int) directory.UserID {
	id, err := directory.ParseID[directory.User](guid(n))
	if err != nil {
		panic(err)
	}
	return id
}

// base is the smallest policy, as a tree to be bent.
func base() map[string]any {
	return tree(`{"displayName":"MFA for all","state":"enabled","conditions":{"users":{"includeUsers":["All"]},"applications":{"includeApplications":["All"]},"clientAppTypes":["all"]},
		"grantControls":{"operator":"AND","builtInControls":["mfa"]}}`)
}

func tree(s string) map[string]any {
	var m map[string]any
	if err := json.Unmarshal([]byte(s), &m); err != nil {
		panic(err)
	}
	return m
}

// bent sets members of a tree, each given as a path and JSON; no JSON deletes.
func bent(m map[string]any, pairs ...string) []byte {
	for i := 0; i < len(pairs); i += 2 {
		at, steps := m, strings.Split(pairs[i], ".")
		if pairs[i][0] == '@' {
			steps = []string{pairs[i]}
		}
		for _, s := range steps[:len(steps)-1] {
			next, ok := at[s].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[s] = next
			}
			at = next
		}
		last := steps[len(steps)-1]
		if pairs[i+1] == "" {
			delete(at, last)
		} else {
			at[last] = json.RawMessage(pairs[i+1])
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

const (
	users  = "conditions.users."
	apps   = "conditions.applications."
	places = "conditions.locations."
	grant  = "grantControls."
	limits = "sessionControls."
)

// refused: what is bent, and the path at which it must be refused.
var refused = []struct {
	path string
	bend []string
}{
	{"$.displayName", []string{"displayName", ""}},
	{"$.displayName", []string{"displayName", `""`}},
	{"$.displayName", []string{"displayName", `7`}},
	{"$.displayName", []string{"displayName", `"a\u0007"`}},
	{"$.displayName", []string{"displayName", `"` + strings.Repeat("x", 257) + `"`}},
	{"$.displayName", []string{"displayName", `"` + strings.Repeat("x", 5000) + `"`}},
	{"$.id", []string{"id", `"one"`}},
	{"$.state", []string{"state", ""}},
	{"$.state", []string{"state", `"on"`}},
	{"$.createdDateTime", []string{"createdDateTime", `"yesterday"`}},
	{"$.createdDateTime", []string{"createdDateTime", `"9999-12-31T23:59:59-23:59"`}},
	{"$.deletedDateTime", []string{"deletedDateTime", `"2026-03-02T12:04:00Z"`}},
	{"$.surprise", []string{"surprise", `1`}},
	{`$["not a name"]`, []string{"not a name", `1`}},
	{"$.conditions", []string{"conditions", `[]`}},
	{"$.conditions.times", []string{"conditions.times", `{}`}},
	{"$.conditions.users", []string{users + "includeUsers", `[]`}},
	{"$.conditions.users", []string{"conditions.users", `null`}},
	{"$.conditions.users.includeUsers[1]", []string{users + "includeUsers", `["` + guid(1) + `","ada"]`}},
	{"$.conditions.users.includeUsers[1]", []string{users + "includeUsers", `["` + guid(0xa) + `","` + strings.ToUpper(guid(0xa)) + `"]`}},
	{"$.conditions.users.includeUsers[1]", []string{users + "includeUsers", `["` + guid(1) + `","` + gone + `"]`}},
	{"$.conditions.users.includeUsers[1]", []string{users + "includeUsers", `["` + guid(1) + `","All"]`}},
	{"$.conditions.users.includeUsers[0]", []string{users + "includeUsers", `["None","` + guid(1) + `"]`}},
	{"$.conditions.users.includeUsers[0]", []string{users + "includeUsers", `["None"]`, users + "excludeUsers", `["` + guid(1) + `"]`}},
	{"$.conditions.users.includeUsers[0]", []string{users + "includeGroups", `["` + guid(1) + `"]`}},
	{"$.conditions.users.includeUsers", []string{users + "includeUsers", `"All"`}},
	{"$.conditions.users.includeUsers[0]", []string{users + "includeUsers", `[["All"]]`}},
	{"$.conditions.users.excludeUsers[0]", []string{users + "excludeUsers", `["All"]`}},
	{"$.conditions.users.excludeUsers[1]", []string{users + "includeUsers", `["` + guid(1) + `"]`, users + "excludeUsers", `["` + guid(2) + `","` + guid(1) + `"]`}},
	{"$.conditions.users.excludeUsers[1]", []string{users + "includeUsers", `["GuestsOrExternalUsers"]`, users + "excludeUsers", `["` + guid(2) + `","GuestsOrExternalUsers"]`}},
	{"$.conditions.users.includeGroups[0]", []string{users + "includeUsers", `[]`, users + "includeGroups", `["` + gone + `"]`}},
	{"$.conditions.users.excludeGroups[0]", []string{users + "excludeGroups", `["` + gone + `"]`}},
	{"$.conditions.users.excludeGroups[0]", []string{users + "includeUsers", `[]`, users + "includeGroups", `["` + guid(1) + `"]`, users + "excludeGroups", `["` + guid(1) + `"]`}},
	{"$.conditions.users.excludeRoles[0]", []string{users + "excludeRoles", `["` + gone + `"]`}},
	{"$.conditions.users.excludeRoles[0]", []string{users + "includeUsers", `[]`, users + "includeRoles", `["` + guid(0xb) + `"]`, users + "excludeRoles", `["` + strings.ToUpper(guid(0xb)) + `"]`}},
	{"$.conditions.users.includeRoles[0]", []string{users + "includeRoles", `["Global Administrator"]`}},
	{"$.conditions.users.includeGuestsOrExternalUsers.guestOrExternalUserTypes", []string{users + "includeGuestsOrExternalUsers", `{"guestOrExternalUserTypes":"friend"}`}},
	{"$.conditions.users.includeGuestsOrExternalUsers.guestOrExternalUserTypes", []string{users + "includeGuestsOrExternalUsers", `{}`}},
	{"$.conditions.users.includeGuestsOrExternalUsers.externalTenants", []string{users + "includeGuestsOrExternalUsers", `{"guestOrExternalUserTypes":"internalGuest","externalTenants":{"membershipKind":"all"}}`}},
	{"$.conditions.users.excludeGuestsOrExternalUsers.guestOrExternalUserTypes", []string{users + "includeUsers", `[]`, users + "includeGuestsOrExternalUsers", `{"guestOrExternalUserTypes":"internalGuest"}`,
		users + "excludeGuestsOrExternalUsers", `{"guestOrExternalUserTypes":"internalGuest,serviceProvider"}`}},
	{"$.conditions.applications", []string{"conditions.applications", ``}},
	{"$.conditions.applications", []string{apps + "includeApplications", `[]`}},
	{"$.conditions.applications.includeApplications[1]", []string{apps + "includeApplications", `["mail","a b"]`}},
	{"$.conditions.applications.includeApplications[1]", []string{apps + "includeApplications", `["mail","` + gone + `"]`}},
	{"$.conditions.applications.includeApplications[1]", []string{apps + "includeApplications", `["mail","All"]`}},
	{"$.conditions.applications.includeApplications[0]", []string{apps + "includeApplications", `["None","mail"]`}},
	{"$.conditions.applications.includeApplications", []string{apps + "includeUserActions", `["urn:user:registerdevice"]`}},
	{"$.conditions.applications.includeUserActions", []string{apps + "includeApplications", `[]`, apps + "includeUserActions", `["urn:user:registerdevice"]`, apps + "includeAuthenticationContextClassReferences", `["c1"]`}},
	{"$.conditions.applications.includeUserActions[0]", []string{apps + "includeApplications", `[]`, apps + "includeUserActions", `["urn:user:dance"]`}},
	{"$.conditions.applications.excludeApplications", []string{apps + "includeApplications", `[]`, apps + "includeUserActions", `["urn:user:registerdevice"]`, apps + "excludeApplications", `["mail"]`}},
	{"$.conditions.applications.excludeApplications[0]", []string{apps + "includeApplications", `["mail"]`, apps + "excludeApplications", `["mail"]`}},
	{"$.conditions.applications.includeAuthenticationContextClassReferences[1]", []string{apps + "includeApplications", `[]`, apps + "includeAuthenticationContextClassReferences", `["c1","c100"]`}},
	{"$.conditions.applications.includeAuthenticationContextClassReferences[1]", []string{apps + "includeApplications", `[]`, apps + "includeAuthenticationContextClassReferences", `["c1","c01"]`}},
	{"$.conditions.applications.includeAuthenticationContextClassReferences[1]", []string{apps + "includeApplications", `[]`, apps + "includeAuthenticationContextClassReferences", `["c1","c25"]`}},
	{"$.conditions.applications.applicationFilter", []string{apps + "applicationFilter", `{"mode":"include","rule":"x"}`}},
	{"$.conditions.clientApplications", []string{"conditions.clientApplications", `{"includeServicePrincipals":["ServicePrincipalsInMyTenant"]}`}},
	{"$.conditions.clientAppTypes", []string{"conditions.clientAppTypes", ``}},
	{"$.conditions.clientAppTypes[1]", []string{"conditions.clientAppTypes", `["browser","all"]`}},
	{"$.conditions.clientAppTypes[0]", []string{"conditions.clientAppTypes", `["fax"]`}},
	{"$.conditions.platforms.includePlatforms", []string{"conditions.platforms", `{"excludePlatforms":["linux"]}`}},
	{"$.conditions.platforms.includePlatforms[1]", []string{"conditions.platforms", `{"includePlatforms":["linux","all"]}`}},
	{"$.conditions.platforms.excludePlatforms[1]", []string{"conditions.platforms", `{"includePlatforms":["linux"],"excludePlatforms":["iOS","linux"]}`}},
	{"$.conditions.platforms.excludePlatforms[0]", []string{"conditions.platforms", `{"includePlatforms":["linux"],"excludePlatforms":["all"]}`}},
	{"$.conditions.locations.includeLocations", []string{places + "excludeLocations", `["AllTrusted"]`}},
	{"$.conditions.locations.includeLocations[0]", []string{places + "includeLocations", `["All","AllTrusted"]`}},
	{"$.conditions.locations.includeLocations[0]", []string{places + "includeLocations", `["` + gone + `"]`}},
	{"$.conditions.locations.excludeLocations[0]", []string{places + "includeLocations", `["All"]`, places + "excludeLocations", `["All"]`}},
	{"$.conditions.locations.excludeLocations[0]", []string{places + "includeLocations", `["AllTrusted"]`, places + "excludeLocations", `["AllTrusted"]`}},
	{"$.conditions.locations.excludeLocations[1]", []string{places + "includeLocations", `["` + guid(1) + `"]`, places + "excludeLocations", `["` + guid(2) + `","` + guid(1) + `"]`}},
	{"$.conditions.locations.excludeLocations[0]", []string{places + "includeLocations", `["All"]`, places + "excludeLocations", `["` + gone + `"]`}},
	{"$.conditions.devices.deviceFilter.rule", []string{"conditions.devices.deviceFilter", `{"mode":"include","rule":"device.model -eq \"Toaster\""}`}},
	{"$.conditions.devices.deviceFilter.rule", []string{"conditions.devices.deviceFilter", `{"mode":"include"}`}},
	{"$.conditions.devices.deviceFilter.mode", []string{"conditions.devices.deviceFilter", `{"mode":"maybe","rule":"device.isCompliant -eq True"}`}},
	{"$.conditions.devices.deviceFilter.mode", []string{"conditions.devices.deviceFilter", `{"rule":"device.isCompliant -eq True"}`}},
	{"$.conditions.devices.includeDevices", []string{"conditions.devices", `{"includeDevices":["All"]}`}},
	{"$.conditions.devices", []string{"conditions.devices", `{}`}},
	{"$.conditions.signInRiskLevels[0]", []string{"conditions.signInRiskLevels", `["hidden"]`}},
	{"$.conditions.userRiskLevels[1]", []string{"conditions.userRiskLevels", `["low","low"]`}},
	{"$.conditions.insiderRiskLevels", []string{"conditions.insiderRiskLevels", `"minor"`}},
	{"$.conditions.servicePrincipalRiskLevels", []string{"conditions.servicePrincipalRiskLevels", `["high"]`}},
	{"$.conditions.authenticationFlows.transferMethods", []string{"conditions.authenticationFlows", `{"transferMethods":"none"}`}},
	{"$.conditions.authenticationFlows.transferMethods", []string{"conditions.authenticationFlows", `{}`}},
	{"$", []string{"grantControls", ``}},
	{"$.grantControls", []string{"grantControls", `{"operator":"AND"}`}},
	{"$.grantControls.operator", []string{grant + "operator", ``}},
	{"$.grantControls.operator", []string{grant + "operator", `"XOR"`}},
	{"$.grantControls.builtInControls[1]", []string{grant + "builtInControls", `["mfa","block"]`}},
	{"$.grantControls.builtInControls[0]", []string{grant + "builtInControls", `["approvedApplication"]`}},
	{"$.grantControls.builtInControls[0]", []string{grant + "builtInControls", `["passwordChange"]`}},
	{"$.grantControls.builtInControls[0]", []string{grant + "builtInControls", `["mfa"]`, grant + "authenticationStrength", `{"id":"` + guid(1) + `"}`}},
	{"$.grantControls.customAuthenticationFactors", []string{grant + "customAuthenticationFactors", `["Duo"]`}},
	{"$.grantControls.termsOfUse[0]", []string{grant + "termsOfUse", `["` + gone + `"]`}},
	{"$.grantControls.authenticationStrength.id", []string{grant + "builtInControls", `[]`, grant + "authenticationStrength", `{"id":"` + gone + `"}`}},
	{"$.grantControls.authenticationStrength.id", []string{grant + "builtInControls", `[]`, grant + "authenticationStrength", `{}`}},
	{"$.grantControls.authenticationStrength.displayName", []string{grant + "builtInControls", `[]`, grant + "authenticationStrength", `{"id":"` + guid(1) + `","displayName":"x"}`}},
	{"$.sessionControls", []string{grant + "builtInControls", `["block"]`, limits + "applicationEnforcedRestrictions", `{"isEnabled":true}`}},
	{"$.sessionControls", []string{"sessionControls", `{}`}},
	{"$.sessionControls.signInFrequency.isEnabled", []string{limits + "signInFrequency", `{"type":"hours","value":1}`}},
	{"$.sessionControls.signInFrequency.type", []string{limits + "signInFrequency", `{"isEnabled":true,"value":1}`}},
	{"$.sessionControls.signInFrequency.value", []string{limits + "signInFrequency", `{"isEnabled":true,"type":"hours"}`}},
	{"$.sessionControls.signInFrequency.value", []string{limits + "signInFrequency", `{"isEnabled":true,"type":"hours","value":0}`}},
	{"$.sessionControls.signInFrequency.value", []string{limits + "signInFrequency", `{"isEnabled":true,"type":"hours","value":1.5}`}},
	{"$.sessionControls.signInFrequency.value", []string{limits + "signInFrequency", `{"isEnabled":true,"type":"hours","value":25}`}},
	{"$.sessionControls.signInFrequency.value", []string{limits + "signInFrequency", `{"isEnabled":true,"type":"days","value":366}`}},
	{"$.sessionControls.signInFrequency.value", []string{limits + "signInFrequency", `{"isEnabled":true,"frequencyInterval":"everyTime","value":1}`}},
	{"$.sessionControls.signInFrequency.type", []string{limits + "signInFrequency", `{"isEnabled":true,"frequencyInterval":"everyTime","type":"days"}`}},
	{"$.sessionControls.signInFrequency.value", []string{limits + "signInFrequency", `{"isEnabled":false,"type":null,"value":1}`}},
	{"$.sessionControls.signInFrequency.authenticationType", []string{limits + "signInFrequency", `{"isEnabled":true,"type":"days","value":1,"authenticationType":"none"}`}},
	{"$.sessionControls.persistentBrowser.mode", []string{limits + "persistentBrowser", `{"isEnabled":true}`}},
	{"$.sessionControls.persistentBrowser", []string{limits + "persistentBrowser", `{"isEnabled":true,"mode":"never"}`, apps + "includeApplications", `["mail"]`}},
	{"$.sessionControls.persistentBrowser", []string{limits + "persistentBrowser", `{"isEnabled":true,"mode":"always"}`, apps + "excludeApplications", `["mail"]`}},
	{"$.sessionControls.continuousAccessEvaluation", []string{limits + "continuousAccessEvaluation", `{"mode":"disabled"}`, "conditions.clientAppTypes", `["browser"]`}},
	{"$.sessionControls.continuousAccessEvaluation", []string{limits + "continuousAccessEvaluation", `{"mode":"disabled"}`, places + "includeLocations", `["All"]`}},
	{"$.sessionControls.cloudAppSecurity", []string{limits + "cloudAppSecurity", `{"isEnabled":true,"cloudAppSecurityType":"blockDownloads"}`}},
	{"$.sessionControls.secureSignInSession", []string{limits + "secureSignInSession", `{"isEnabled":true}`}},
	{"$.sessionControls.disableResilienceDefaults", []string{limits + "disableResilienceDefaults", `"no"`}},
}

func TestBadPoliciesAreRefusedWithTheirPath(t *testing.T) {
	t.Parallel()
	for _, tt := range refused {
		expect(t, tt.path, fmt.Sprint(tt.bend), func() error {
			_, err := wire.ReadPolicy(bent(base(), tt.bend...), known)
			return err
		})
	}
}

// expect checks that something is refused there.
func expect(t *testing.T, path, what string, read func() error) {
	t.Helper()
	err := read()
	var f *wire.Fault
	if !errors.As(err, &f) || !fault.Is(err, fault.Invalid) {
		t.Errorf("%s: %v", what, err)
	} else if f.Path != path || f.Why == "" || f.Error() != path+": "+f.Why || !strings.Contains(fault.Public(err), path) {
		t.Errorf("%s: refused at %s (%s), want %s", what, f.Path, f.Why, path)
	}
}

func TestNothingIsKnownUnlessSomebodySays(t *testing.T) {
	t.Parallel()
	expect(t, "$.conditions.users.excludeUsers[0]", "no Known", func() error {
		_, err := wire.ReadPolicy(bent(base(), users+"excludeUsers", `["`+guid(1)+`"]`), wire.Known{})
		return err
	})
	expect(t, "$.conditions.applications.includeAuthenticationContextClassReferences[0]", "no Known", func() error {
		_, err := wire.ReadPolicy(bent(base(), apps+"includeApplications", `[]`, apps+"includeAuthenticationContextClassReferences", `["c1"]`), wire.Known{})
		return err
	})
	expect(t, "$.grantControls.authenticationStrength.id", "no Known", func() error {
		_, err := wire.ReadPolicy(bent(base(), grant+"builtInControls", `[]`, grant+"authenticationStrength", `{"id":"`+guid(1)+`"}`), wire.Known{})
		return err
	})
}

// Documents that are no policy for another reason than what they say.
func TestBadDocumentsAreRefused(t *testing.T) {
	t.Parallel()
	small := string(bent(base()))
	for path, doc := range map[string]string{
		"$":                                    small + "{}",
		"$ ":                                   small[:len(small)-1] + ",}",
		"$  ":                                  "",
		"$   ":                                 "[" + small + "]",
		"$    ":                                "{\"displayName\":\"\xff\"}",
		"$     ":                               `{"displayName":"` + strings.Repeat(" ", wire.MaxBytes) + `"}`,
		"$.displayName":                        `{"displayName":"a","displayName":"b"}`,
		"$.conditions.users.x":                 `{"conditions":{"users":{"x":1,"x":2}}}`,
		"$.a.a.a.a.a.a.a.a.a[0].a.a":           strings.Repeat(`{"a":`, 9) + `[` + strings.Repeat(`{"a":`, 20) + `1` + strings.Repeat(`}`, 20) + `]` + strings.Repeat(`}`, 9),
		"$.x":                                  `{"x":[` + strings.Repeat("1,", 2000) + `1]}`,
		`$["` + strings.Repeat("y", 64) + `"]`: `{"` + strings.Repeat("y", 200) + `":1}`,
		`$["x@odata.type"]`:                    `{"x@odata.type":"a","x@odata.type":"b",` + small[1:],
		`$[""]`:                                `{"":1}`,
	} {
		expect(t, strings.TrimSpace(path), doc[:min(len(doc), 60)], func() error {
			_, err := wire.ReadPolicy([]byte(doc), known)
			return err
		})
	}
}

func TestWhatSaysNothingIsTaken(t *testing.T) {
	t.Parallel()
	for _, bend := range [][]string{
		{limits + "cloudAppSecurity", `{"isEnabled":false}`, limits + "signInFrequency", `{"isEnabled":false,"type":null}`, limits + "applicationEnforcedRestrictions", `{"isEnabled":true}`},
		{limits + "persistentBrowser", `{"@odata.type":"#x","isEnabled":true,"mode":"never"}`},
		{limits + "continuousAccessEvaluation", `{"isEnabled":true,"mode":"disabled"}`},
		{limits + "signInFrequency", `{"isEnabled":true,"type":"days","value":90}`},
		{limits + "signInFrequency", `{"isEnabled":true,"type":"hours","value":48}`},
		{limits + "signInFrequency", `{"isEnabled":true,"frequencyInterval":"everyTime","type":null,"value":null}`},
		{users + "includeUsers", `["None"]`, apps + "includeApplications", `["None"]`},
		{apps + "includeApplications", `null`, apps + "includeUserActions", `["urn:user:registersecurityinfo"]`},
		{apps + "includeApplications", `null`, apps + "includeAuthenticationContextClassReferences", `["c99","c1","c64"]`},
		{"conditions.userRiskLevels", `["high"]`, grant + "builtInControls", `["mfa","passwordChange"]`},
	} {
		p, err := wire.ReadPolicy(bent(base(), bend...), known)
		if err != nil {
			t.Errorf("%v: %v", bend, err)
			continue
		}
		again(t, p)
	}
}

func TestLocations(t *testing.T) {
	t.Parallel()
	const office = `{"@odata.type":"#microsoft.graph.ipNamedLocation","id":"00000000-0000-4000-8000-000000000001","displayName":"Office","isTrusted":true,
		"ipRanges":[{"@odata.type":"#microsoft.graph.iPv4CidrRange","cidrAddress":"192.0.2.0/24"},{"@odata.type":"#microsoft.graph.iPv6CidrRange","cidrAddress":"2001:db8::/32"}]}`
	const near = `{"@odata.type":"#microsoft.graph.countryNamedLocation","displayName":"Near","countriesAndRegions":["DE","CH"],"countryLookupMethod":"clientIpAddress","includeUnknownCountriesAndRegions":true}`
	for text, want := range map[string]policy.Location{
		office: {ID: guid(1), Name: "Office", Trusted: true, Ranges: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}},
		near:   {Name: "Near", Countries: []policy.Country{{'D', 'E'}, {'C', 'H'}}, Unknown: true},
	} {
		l, err := wire.ReadLocation([]byte(text))
		if err != nil || !reflect.DeepEqual(*l, want) {
			t.Fatalf("%+v, %v", l, err)
		}
		if l, err = wire.ReadLocation(wire.WriteLocation(l)); err != nil || !reflect.DeepEqual(*l, want) {
			t.Fatalf("again: %+v, %v", l, err)
		}
	}
	v4 := func(cidr string) string {
		return `[{"@odata.type":"#microsoft.graph.iPv4CidrRange","cidrAddress":` + cidr + `}]`
	}
	for _, tt := range []struct {
		path, text string
		bend       []string
	}{
		{`$["@odata.type"]`, office, []string{"@odata.type", ``}},
		{`$["@odata.type"]`, office, []string{"@odata.type", `"#microsoft.graph.compliantNetworkNamedLocation"`}},
		{"$.displayName", office, []string{"displayName", ``}},
		{"$.displayName", near, []string{"displayName", `" x"`}},
		{"$.isTrusted", office, []string{"isTrusted", `"true"`}},
		{"$.isTrusted", near, []string{"isTrusted", `true`}},
		{"$.ipRanges", office, []string{"ipRanges", `[]`}},
		{"$.ipRanges[0]", office, []string{"ipRanges", `["192.0.2.0/24"]`}},
		{`$.ipRanges[0]["@odata.type"]`, office, []string{"ipRanges", `[{"cidrAddress":"192.0.2.0/24"}]`}},
		{"$.ipRanges[0].cidrAddress", office, []string{"ipRanges", v4(`"192.0.2.1/24"`)}},
		{"$.ipRanges[0].cidrAddress", office, []string{"ipRanges", v4(`"192.0.2.1"`)}},
		{"$.ipRanges[0].cidrAddress", office, []string{"ipRanges", v4(`null`)}},
		{"$.ipRanges[0].cidrAddress", office, []string{"ipRanges", v4(`"2001:db8::/32"`)}},
		{"$.ipRanges[0].cidrAddress", office, []string{"ipRanges", v4(`"::ffff:192.0.2.0/120"`)}},
		{"$.ipRanges[0].cidrAddress", office, []string{"ipRanges", v4(`"0.0.0.0/0"`)}},
		{"$.countriesAndRegions", near, []string{"countriesAndRegions", `[]`}},
		{"$.countriesAndRegions[1]", near, []string{"countriesAndRegions", `["DE","Germany"]`}},
		{"$.countriesAndRegions[0]", near, []string{"countriesAndRegions", `["de"]`}},
		{"$.countryLookupMethod", near, []string{"countryLookupMethod", `"authenticatorAppGps"`}},
	} {
		expect(t, tt.path, fmt.Sprint(tt.bend), func() error {
			_, err := wire.ReadLocation(bent(tree(tt.text), tt.bend...))
			return err
		})
	}
}

func TestStrengthsAndContexts(t *testing.T) {
	t.Parallel()
	for _, s := range policy.BuiltInStrengths() {
		b := wire.WriteStrength(&s)
		again, err := wire.ReadStrength(b)
		if err != nil || !reflect.DeepEqual(again, &s) || !bytes.Contains(b, []byte(`"requirementsSatisfied":"mfa"`)) {
			t.Errorf("%s\n%+v, %v", b, again, err)
		}
	}
	weak := policy.Strength{ID: guid(1), Name: "Weak", Combinations: []policy.Methods{policy.Password.Set()}}
	if b := wire.WriteStrength(&weak); !bytes.Contains(b, []byte(`"requirementsSatisfied":"none"`)) || !bytes.Contains(b, []byte(`"policyType":"custom"`)) {
		t.Errorf("%s", b)
	}
	c := policy.Context{Number: 7, Name: "Payments", Description: "Above a thousand", Available: true}
	if again, err := wire.ReadContext(wire.WriteContext(&c)); err != nil || *again != c {
		t.Errorf("%+v, %v", again, err)
	}
	strength := func(b []byte) error { _, err := wire.ReadStrength(b); return err }
	context := func(b []byte) error { _, err := wire.ReadContext(b); return err }
	for _, tt := range []struct {
		path, text string
		read       func([]byte) error
	}{
		{"$.allowedCombinations", `{"displayName":"x"}`, strength},
		{"$.allowedCombinations[1]", `{"displayName":"x","allowedCombinations":["fido2","sms,hope"]}`, strength},
		{"$.allowedCombinations[1]", `{"displayName":"x","allowedCombinations":["password,sms","sms,password"]}`, strength},
		{"$.allowedCombinations[0]", `{"displayName":"x","allowedCombinations":["sms,sms"]}`, strength},
		{"$.combinationConfigurations", `{"displayName":"x","allowedCombinations":["fido2"],"combinationConfigurations":[{}]}`, strength},
		{"$.displayName", `{"allowedCombinations":["fido2"]}`, strength},
		{"$.description", `{"displayName":"x","description":"a\u0000b","allowedCombinations":["fido2"]}`, strength},
		{"$.description", `{"id":"c1","displayName":"x","description":"` + strings.Repeat("x", 1025) + `"}`, context},
		{"$.id", `{"displayName":"x"}`, context},
		{"$.id", `{"displayName":"x","id":"c0"}`, context},
		{"$.displayName", `{"id":"c1"}`, context},
	} {
		expect(t, tt.path, tt.text, func() error { return tt.read([]byte(tt.text)) })
	}
}

// FuzzParse: what is accepted is written and read as the same; nothing panics.
func FuzzParse(f *testing.F) {
	f.Add([]byte(everything))
	for _, tt := range refused {
		f.Add(bent(base(), tt.bend...))
	}
	f.Add([]byte(`{"@odata.type":"#microsoft.graph.countryNamedLocation","displayName":"Near","countriesAndRegions":["DE"]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := wire.ReadPolicy(b, known); err == nil {
			again(t, p)
		}
		if l, err := wire.ReadLocation(b); err == nil {
			if m, err := wire.ReadLocation(wire.WriteLocation(l)); err != nil || !reflect.DeepEqual(l, m) {
				t.Fatalf("%+v became %+v: %v", l, m, err)
			}
		}
		if s, err := wire.ReadStrength(b); err == nil {
			if m, err := wire.ReadStrength(wire.WriteStrength(s)); err != nil || !reflect.DeepEqual(s, m) {
				t.Fatalf("%+v became %+v: %v", s, m, err)
			}
		}
		if c, err := wire.ReadContext(b); err == nil {
			if m, err := wire.ReadContext(wire.WriteContext(c)); err != nil || *c != *m {
				t.Fatalf("%+v became %+v: %v", c, m, err)
			}
		}
	})
}

func TestWhatIsWrittenIsReadAsTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { again(t, anyPolicy(t)) })
}

// anyPolicy draws a policy that contradicts nothing.
func anyPolicy(t *rapid.T) *policy.Policy {
	some := func(label string, from int) (out []string) {
		for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(from, from+9), 0, 3, rapid.ID[int]).Draw(t, label) {
			out = append(out, guid(n))
		}
		return out
	}
	ids := func(label string, from int) (out []directory.UserID) {
		for _, s := range some(label, from) {
			id, _ := directory.ParseID[directory.User](s)
			out = append(out, id)
		}
		return out
	}
	p := &policy.Policy{ID: guid(rapid.IntRange(1, 1e6).Draw(t, "id")), Name: rapid.StringMatching(`[A-Za-z0-9ß]{1,20}`).Draw(t, "name"), State: policy.State(rapid.IntRange(1, 3).Draw(t, "state")),
		Created: time.Unix(rapid.Int64Range(1, 1e10).Draw(t, "created"), 7).UTC(), Clients: policy.AllClients, Apps: policy.Apps{All: true}, Include: policy.Who{All: true}}
	p.Exclude.Users = ids("spared", 20)
	if rapid.Bool().Draw(t, "named") {
		p.Include = policy.Who{Users: append(ids("users", 10), user(1)), Guests: policy.GuestKinds(rapid.IntRange(0, 63).Draw(t, "guests"))}
		for _, r := range some("roles", 40) {
			p.Include.Roles = append(p.Include.Roles, directory.RoleID(r))
		}
	}
	if rapid.Bool().Draw(t, "apps") {
		p.Apps = policy.Apps{Include: append(some("in", 30), "mail"), Exclude: some("out", 40)}
	}
	if rapid.Bool().Draw(t, "clients") {
		p.Clients = policy.ClientTypes(rapid.IntRange(1, 31).Draw(t, "types"))
	}
	if rapid.Bool().Draw(t, "platforms") {
		p.IncludePlatforms = policy.Platforms(rapid.IntRange(1, 63).Draw(t, "in"))
		p.ExcludePlatforms = policy.Platforms(rapid.IntRange(0, 63).Draw(t, "out")) &^ p.IncludePlatforms
	}
	if rapid.Bool().Draw(t, "places") {
		p.IncludePlaces, p.ExcludePlaces = policy.Places{Trusted: true, IDs: some("in", 50)}, policy.Places{IDs: some("out", 60)}
	}
	p.SignInRisk, p.UserRisk = policy.Risks(rapid.IntRange(0, 15).Draw(t, "risk")), policy.Risks(rapid.IntRange(0, 15).Draw(t, "risk"))
	p.Flows = policy.Flows(rapid.IntRange(0, 3).Draw(t, "flows") << 1)
	switch rapid.IntRange(0, 2).Draw(t, "grant") {
	case 0:
		p.Grant = &policy.Grant{Block: true, Any: rapid.Bool().Draw(t, "or")}
		return p
	case 1:
		p.Grant = &policy.Grant{Controls: policy.Needs(rapid.IntRange(1, 7).Draw(t, "controls")), Terms: some("terms", 70)}
	}
	p.Session = &policy.Session{AppEnforced: true}
	if rapid.Bool().Draw(t, "timed") {
		p.Session.Frequency = &policy.Frequency{Secondary: rapid.Bool().Draw(t, "second"), Every: true}
		if rapid.Bool().Draw(t, "based") {
			p.Session.Frequency.Every, p.Session.Frequency.Life = false, time.Duration(rapid.SampledFrom([]int{1, 23, 24, 48, 2160}).Draw(t, "hours"))*time.Hour
		}
	}
	slices.SortFunc(p.Include.Roles, func(a, b directory.RoleID) int { return strings.Compare(string(a), string(b)) })
	return p
}
