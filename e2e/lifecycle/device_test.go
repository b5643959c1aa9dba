package lifecycle_test

import (
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/standing"
)

// register registers the browser here, in which Ada is signed in.
func (l *life) register(t *testing.T) {
	t.Helper()
	if status, err := l.machine.Register("Laptop"); err != nil || status != http.StatusOK {
		t.Fatalf("register: %d %v", status, err)
	}
}

func onDevice(_ *testing.T, l *life) { l.registers = true }

// says changes what is said of the device.
func says(property string, value bool) func(*testing.T, *life) {
	return func(t *testing.T, l *life) {
		t.Helper()
		l.w.must(t, http.MethodPatch, "/v1.0/devices/"+l.machine.ID, map[string]any{property: value})
	}
}

// deviceEvents are those of devices, and of policies.
func deviceEvents() []event {
	files := map[string]string{byApply: "devices are in no file", byImport: "devices are in no file"}
	// Here is the device: whatever was given in its session is on it.
	onIt := all(halfDone, oneGrant, []artefact{sessionHere, refreshOther, tokenOnline, consentPage, enrolment})
	portal := func(verb string) path {
		return path{byPortal, "the device's button", func(t *testing.T, l *life) { l.portal(t, "/portal/devices/"+l.machine.ID+"/"+verb) }, nil}
	}
	own := func(verb string) path {
		return path{byAccount, "from another browser", func(t *testing.T, l *life) {
			if p := l.there.post(t, "/account/devices/"+l.machine.ID+"/"+verb, url.Values{}); p.status != http.StatusSeeOther {
				t.Fatalf("%d %s", p.status, p.text)
			}
		}, nil}
	}
	cli := func(property string, value bool) path {
		return path{byCLI, "device", func(t *testing.T, l *life) {
			ok[client.Done](t)(l.w.cli.UpdateDevice(t.Context(), l.machine.ID, map[string]any{property: value}, act))
		}, nil}
	}
	return []event{
		{row: standing.DeviceRevoked, prepare: onDevice, dead: onIt, lacks: map[string]string{byPortal: "it says what became of a device", byApply: files[byApply], byImport: files[byImport]}, paths: []path{
			{byGraph, "revoke", func(t *testing.T, l *life) {
				l.w.must(t, http.MethodPost, "/v1.0/curfew/devices/"+l.machine.ID+"/revoke", map[string]any{})
			}, nil},
			{byCLI, "revoke device", func(t *testing.T, l *life) {
				ok[*client.Cut](t)(l.w.cli.RevokeDevice(t.Context(), l.machine.ID, act))
			}, nil},
		}},
		{row: standing.DeviceTurnedOff, prepare: onDevice, dead: onIt, lacks: files, paths: []path{{byGraph, "accountEnabled", says("accountEnabled", false), nil}, cli("accountEnabled", false), portal("disable")}},
		{row: standing.DeviceGone, prepare: onDevice, dead: onIt, lacks: files, paths: []path{
			{byGraph, "DELETE", func(t *testing.T, l *life) {
				l.w.must(t, http.MethodDelete, "/v1.0/devices/"+l.machine.ID, nil)
			}, nil},
			{byCLI, "device delete", func(t *testing.T, l *life) {
				ok[client.Done](t)(l.w.cli.DeleteDevice(t.Context(), l.machine.ID, act))
			}, nil},
			portal("delete"), own("delete"),
		}},
		{row: standing.DeviceReported, prepare: onDevice, dead: onIt, lacks: files, paths: []path{
			{byGraph, "lost", func(t *testing.T, l *life) {
				l.w.must(t, http.MethodPost, "/v1.0/curfew/devices/"+l.machine.ID+"/lost", map[string]any{})
			}, nil},
			{byCLI, "device lost", func(t *testing.T, l *life) {
				ok[client.Done](t)(l.w.cli.ReportDeviceLost(t.Context(), l.machine.ID, act))
			}, nil},
			portal("lost"), own("lost"),
		}},
		{row: standing.DeviceTurnedOn, prepare: func(t *testing.T, l *life) {
			b := l.w.browser(t) // another one, which nobody uses again
			b.signIn(t, l.ada, password)
			l.machine.Client, l.machine.Base = b.http, l.w.base
			l.register(t)
			says("accountEnabled", false)(t, l)
		}, lacks: files, paths: []path{{byGraph, "accountEnabled", says("accountEnabled", true), nil}, cli("accountEnabled", true), portal("enable")}},
		{row: standing.DeviceJudged, prepare: onDevice, lacks: files, paths: []path{{byGraph, "isCompliant", says("isCompliant", false), nil}, cli("isCompliant", false), portal("not-compliant"), portal("compliant")}},
		// A policy that now blocks: each use is refused, at the server and at guards. It is
		// about applications; registering a method is another action.
		{row: standing.PolicyChanged, prepare: func(t *testing.T, l *life) {
			l.policy = field(t, l.w.must(t, http.MethodPost, "/v1.0/identity/conditionalAccess/policies", map[string]any{"displayName": "About " + l.ada, "state": "disabled",
				"conditions":    map[string]any{"users": map[string]any{"includeUsers": []string{l.adaID}}, "applications": map[string]any{"includeApplications": []string{"All"}}, "clientAppTypes": []string{"all"}},
				"grantControls": map[string]any{"operator": "OR", "builtInControls": []string{"block"}}}), "id")
		}, dead: slices.DeleteFunc(all(hers), func(a artefact) bool { return a == enrolment }), lacks: map[string]string{byApply: "policies are in no file of this kind", byImport: people}, paths: []path{
			{byGraph, "state", func(t *testing.T, l *life) {
				l.w.must(t, http.MethodPatch, "/v1.0/identity/conditionalAccess/policies/"+l.policy, map[string]any{"state": "enabled"})
			}, nil},
			{byPortal, "switched on", func(t *testing.T, l *life) { l.portal(t, "/portal/policies/"+l.policy+"/turn-on") }, nil},
			{byCLI, "policy enable", func(t *testing.T, l *life) {
				ok[*client.Planned](t)(l.w.cli.ChangeDocument(t.Context(), "policies", l.policy, []byte(`{"state":"enabled"}`), act, false))
			}, nil},
		}},
	}
}
