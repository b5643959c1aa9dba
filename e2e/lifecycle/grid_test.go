package lifecycle_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/standing"
)

var noTime time.Time

// grid is DESIGN §7, written down a second time: what each event ends, and each
// way in which it comes about. Events of the whole directory are in whole_test.go.
func grid() []event {
	files := map[string]string{byApply: isAnAct, byImport: isAnAct}
	return append(deviceEvents(), []event{
		{row: standing.UserRevoked, dead: all(hers, []artefact{ticket}), lacks: files, paths: []path{
			{byGraph, "revokeSignInSessions", both(func(t *testing.T, l *life, name, _ string) {
				l.w.must(t, http.MethodPost, "/v1.0/users/"+name+"/revokeSignInSessions", nil)
			}), nil},
			{byGraph, "invalidateAllRefreshTokens", both(func(t *testing.T, l *life, name, _ string) {
				l.w.must(t, http.MethodPost, "/beta/users/"+name+"/invalidateAllRefreshTokens", nil)
			}), nil},
			{byPortal, "the button", both(func(t *testing.T, l *life, _, id string) { l.portal(t, "/portal/users/"+id+"/revoke") }), nil},
			{byPortal, "several at once", both(func(t *testing.T, l *life, _, id string) {
				if p := l.w.admin.post(t, "/portal/users/bulk/now", url.Values{"verb": {"revoke"}, "id": {id}, "reason": {"lifecycle"}}); p.status != http.StatusOK {
					t.Fatalf("%d %s", p.status, p.text)
				}
			}), nil},
			{byCLI, "revoke user", both(func(t *testing.T, l *life, name, _ string) {
				ok[*client.Cut](t)(l.w.cli.RevokeUser(t.Context(), name, act))
			}), nil},
			{byAccount, "sign out everywhere", func(t *testing.T, l *life) {
				if p := l.here.post(t, "/account/everywhere", url.Values{}); p.status != http.StatusOK {
					t.Fatalf("%d %s", p.status, p.text)
				}
			}, []artefact{ticket}},
		}},
		{row: standing.UserRevoked, variant: "all but the current session", dead: all(halfDone, []artefact{enrolment, sessionThere, refreshThere, tokenHere, tokenThere, tokenOnline, introspected, userinfo, ownAPI, childToken}),
			lacks: map[string]string{byPortal: "it is for oneself", byGraph: "who comes with a token has no session to keep; all but mine is everyone/revoke", byCLI: "the same", byApply: isAnAct, byImport: isAnAct}, paths: []path{
				{byAccount, "sign out everywhere else", func(t *testing.T, l *life) {
					if p := l.here.post(t, "/account/everywhere", url.Values{"keep": {"1"}}); p.status != http.StatusSeeOther {
						t.Fatalf("%d %s", p.status, p.text)
					}
				}, nil},
			}},
		{row: standing.UserRevoked, variant: "a service account", dead: itself, lacks: map[string]string{byPortal: "it lists people; a service account's button is its application's", byApply: isAnAct, byImport: people}, paths: []path{
			{byGraph, "revokeSignInSessions", func(t *testing.T, l *life) {
				l.w.must(t, http.MethodPost, "/v1.0/users/"+l.principal(t)+"/revokeSignInSessions", nil)
			}, nil},
			{byCLI, "revoke user", func(t *testing.T, l *life) {
				ok[*client.Cut](t)(l.w.cli.RevokeUser(t.Context(), l.principal(t), act))
			}, nil},
		}},
		{row: standing.UserDisabled, dead: all(hers, []artefact{ticket}), paths: []path{
			{byGraph, "accountEnabled", both(func(t *testing.T, l *life, name, _ string) {
				l.w.must(t, http.MethodPatch, "/v1.0/users/"+name, map[string]any{"accountEnabled": false})
			}), nil},
			{byPortal, "disable account", both(func(t *testing.T, l *life, _, id string) { l.portal(t, "/portal/users/"+id+"/disable") }), nil},
			{byCLI, "user disable", both(func(t *testing.T, l *life, name, _ string) {
				ok[client.Done](t)(l.w.cli.SetEnabled(t.Context(), name, false, act))
			}), nil},
			{byApply, "enabled", both(func(t *testing.T, l *life, name, _ string) {
				l.applies(t, "[[user]]\nname = %q\nenabled = false\n", name)
			}), nil},
			{byImport, "accountEnabled", both(func(t *testing.T, l *life, name, _ string) {
				l.imports(t, "userPrincipalName,displayName,accountEnabled\n"+name+",X,false\n")
			}), nil},
		}},
		{row: standing.UserDisabled, variant: "a service account", dead: itself, lacks: map[string]string{byPortal: "it lists people", byApply: "a file disables the application", byImport: people}, paths: []path{
			{byGraph, "accountEnabled", func(t *testing.T, l *life) {
				l.w.must(t, http.MethodPatch, "/v1.0/users/"+l.principal(t), map[string]any{"accountEnabled": false})
			}, nil},
			{byCLI, "user disable", func(t *testing.T, l *life) {
				ok[client.Done](t)(l.w.cli.SetEnabled(t.Context(), l.principal(t), false, act))
			}, nil},
		}},
		{row: standing.UserDeleted, dead: all(hers, []artefact{ticket}), lacks: map[string]string{byPortal: "it disables, and deletes nobody", byApply: leftAlone, byImport: leftAlone}, paths: []path{
			{byGraph, "DELETE", both(func(t *testing.T, l *life, name, _ string) {
				l.w.must(t, http.MethodDelete, "/v1.0/users/"+name, nil)
			}), nil},
			{byCLI, "user delete", both(func(t *testing.T, l *life, name, _ string) {
				ok[client.Done](t)(l.w.cli.DeleteUser(t.Context(), name, act))
			}), nil},
		}},
		{row: standing.UserDeleted, variant: "a service account", dead: all(inThisApp, halfDone, itself, nobodysYet, []artefact{consentPage}),
			lacks: map[string]string{byPortal: "it lists people; its application is deleted", byCLI: "it deletes people, and applications with their identity", byApply: leftAlone, byImport: people}, paths: []path{
				{byGraph, "DELETE servicePrincipal", func(t *testing.T, l *life) { // which disables its application as well
					l.w.must(t, http.MethodDelete, "/v1.0/servicePrincipals/"+l.service(t), nil)
				}, nil},
			}},
		{row: standing.PasswordReplaced, dead: all(halfDone, []artefact{enrolment, sessionThere, refreshThere, tokenHere, tokenThere, tokenOnline, introspected, userinfo, ownAPI, childToken}),
			lacks: map[string]string{byPortal: "it is for oneself", byGraph: "see the other row: a token is in no session", byCLI: "the command line resets, and changes nobody's own", byApply: onlyAtBirth, byImport: onlyAtBirth}, paths: []path{
				{byAccount, "change password", func(t *testing.T, l *life) {
					if p := l.here.post(t, "/account/password", url.Values{"current": {password}, "password": {"another fine battery"}, "password2": {"another fine battery"}}); p.status != http.StatusSeeOther {
						t.Fatalf("%d %s", p.status, p.text)
					}
				}, nil},
			}},
		{row: standing.PasswordReplaced, variant: "with a token, in no session", dead: hers, lacks: map[string]string{byPortal: "it is for oneself", byCLI: "it has no such command", byApply: onlyAtBirth, byImport: onlyAtBirth}, paths: []path{
			{byGraph, "changePassword", func(t *testing.T, l *life) {
				console := l.w.redeem(t, "console", "", l.here.code(t, url.Values{"client_id": {"console"}, "scope": {"openid https://graph.microsoft.com/.default"}}))
				if status, text := l.w.api(t, console.Access, http.MethodPost, "/v1.0/me/changePassword", map[string]any{"currentPassword": password, "newPassword": "another fine battery"}); status != http.StatusNoContent {
					t.Fatalf("%d %s", status, text)
				}
			}, nil},
		}},
		{row: standing.PasswordGiven, dead: all(hers, []artefact{ticket}), lacks: map[string]string{byApply: onlyAtBirth, byImport: onlyAtBirth}, paths: []path{
			{byGraph, "passwordProfile", both(func(t *testing.T, l *life, name, _ string) {
				l.w.must(t, http.MethodPatch, "/v1.0/users/"+name, map[string]any{"passwordProfile": map[string]any{"password": "another fine battery"}})
			}), nil},
			{byPortal, "reset password", both(func(t *testing.T, l *life, _, id string) { l.portal(t, "/portal/users/"+id+"/reset-password") }), nil},
			{byCLI, "user set-password", both(func(t *testing.T, l *life, name, _ string) {
				if _, _, err := l.w.cli.SetPassword(t.Context(), name, "", true, act); err != nil {
					t.Fatal(err)
				}
			}), nil},
		}},
		{row: standing.FactorReset, prepare: pass, dead: all(hers, []artefact{ticket}), lacks: map[string]string{byApply: isAnAct, byImport: people}, paths: []path{
			{byGraph, "DELETE temporaryAccessPassMethods", both(func(t *testing.T, l *life, name, _ string) {
				l.w.must(t, http.MethodDelete, "/v1.0/users/"+name+"/authentication/temporaryAccessPassMethods/"+l.passID(t, name), nil)
			}), nil},
			{byGraph, "another pass in its place", both(func(t *testing.T, l *life, name, _ string) { l.givePass(t, name) }), nil},
			{byCLI, "method remove", both(func(t *testing.T, l *life, name, _ string) {
				ok[client.Done](t)(l.w.cli.RemoveMethod(t.Context(), name, l.passID(t, name), act))
			}), nil},
			{byCLI, "method reset", both(func(t *testing.T, l *life, name, _ string) {
				ok[client.Done](t)(l.w.cli.ResetMethods(t.Context(), name, act))
			}), nil},
			{byPortal, "reset methods", both(func(t *testing.T, l *life, _, id string) { l.portal(t, "/portal/users/"+id+"/methods/reset") }), nil},
		}},
		// What was begun while there was no method takes the proof of the one that there is now.
		{row: standing.FactorAdded, dead: []artefact{enrolment}, lacks: map[string]string{byPortal: "it is for oneself", byGraph: "a token is no proof of who is in front of it", byCLI: "the same", byApply: isAnAct, byImport: people}, paths: []path{
			{byAccount, "recovery codes", func(t *testing.T, l *life) { l.recoveryCodes(t) }, nil},
		}},
		{row: standing.FactorRemoved, dead: all(halfDone, []artefact{enrolment, sessionThere, refreshThere, tokenHere, tokenThere, tokenOnline, introspected, userinfo, ownAPI, childToken}),
			lacks: map[string]string{byPortal: "it is for oneself", byGraph: "a token is no proof of who is in front of it", byCLI: "the same", byApply: isAnAct, byImport: people}, paths: []path{
				{byAccount, "removed", func(t *testing.T, l *life) {
					l.proveSecond(t, l.recoveryCodes(t)[0])
					action, form := l.here.get(t, "/account/methods/"+l.methodID(t, l.ada, "recovery codes")).fill(t)
					if p := l.here.post(t, action, form); p.status != http.StatusSeeOther {
						t.Fatalf("%d %s", p.status, p.text)
					}
				}, nil},
				{byAccount, "replaced", func(t *testing.T, l *life) {
					l.proveSecond(t, l.recoveryCodes(t)[0])
					l.recoveryCodes(t)
				}, nil},
			}},
		{row: standing.FactorGiven, dead: []artefact{enrolment}, lacks: map[string]string{byApply: isAnAct, byImport: people}, paths: []path{
			{byGraph, "POST temporaryAccessPassMethods", both(func(t *testing.T, l *life, name, _ string) { l.givePass(t, name) }), nil},
			{byCLI, "method pass", both(func(t *testing.T, l *life, name, _ string) {
				if _, _, _, err := l.w.cli.GivePass(t.Context(), name, 0, true, act); err != nil {
					t.Fatal(err)
				}
			}), nil},
			{byPortal, "temporary access pass", both(func(t *testing.T, l *life, _, id string) { l.portal(t, "/portal/users/"+id+"/methods/pass") }), nil},
		}},
		{row: standing.RoleRemoved, prepare: adaReads, dead: herTokens, lacks: map[string]string{byPortal: noPage, byImport: people}, paths: []path{
			{byGraph, "roleAssignments", func(t *testing.T, l *life) { l.takeRole(t, l.adaID) }, nil},
			{byGraph, "directoryRoles", func(t *testing.T, l *life) {
				l.w.must(t, http.MethodDelete, "/v1.0/directoryRoles/"+readers+"/members/"+l.adaID+"/$ref", nil)
			}, nil},
			{byCLI, "role remove", func(t *testing.T, l *life) { l.takeRole(t, l.adaID) }, nil},
			{byApply, "roles", func(t *testing.T, l *life) { l.applies(t, "[[user]]\nname = %q\nroles = []\n", l.ada) }, nil},
		}},
		{row: standing.RoleRemoved, variant: "with a group", prepare: adaReadsInAGroup, dead: herTokens, lacks: map[string]string{byPortal: noPage, byImport: people}, paths: []path{
			{byGraph, "out of the group", func(t *testing.T, l *life) {
				l.w.must(t, http.MethodDelete, "/v1.0/groups/"+l.group+"/members/"+l.adaID+"/$ref", nil)
			}, nil},
			{byGraph, "the group deleted", func(t *testing.T, l *life) { l.w.must(t, http.MethodDelete, "/v1.0/groups/"+l.group, nil) }, nil},
			{byGraph, "the group's role removed", func(t *testing.T, l *life) { l.takeRole(t, l.group) }, nil},
			{byCLI, "group remove", func(t *testing.T, l *life) {
				ok[client.Done](t)(l.w.cli.RemoveMember(t.Context(), l.group, l.adaID, act))
			}, nil},
			{byApply, "members", func(t *testing.T, l *life) {
				l.applies(t, "[[group]]\nname = %q\nrole_assignable = true\nmembers = []\n", fmt.Sprintf("Team %d", l.n))
			}, nil},
		}},
		{row: standing.RoleRemoved, variant: "a service account", prepare: func(t *testing.T, l *life) { giveRole(t, l, l.principal(t)) }, dead: itself,
			lacks: map[string]string{byPortal: noPage, byApply: "a file gives roles to people and groups", byImport: people}, paths: []path{
				{byGraph, "roleAssignments", func(t *testing.T, l *life) { l.takeRole(t, l.principal(t)) }, nil},
				{byCLI, "role remove", func(t *testing.T, l *life) { l.takeRole(t, l.principal(t)) }, nil},
			}},
		// Codes stay where tokens are cut; their exchange finds nobody assigned.
		{row: standing.UserUnassigned, prepare: assigned, dead: all(inThisApp, halfDone, []artefact{consentPage}), lacks: map[string]string{byApply: "a file does not say who is assigned", byImport: people}, paths: []path{
			{byPortal, "unassign", func(t *testing.T, l *life) { l.appPage(t, "unassign/"+l.assignment(t, l.adaID)) }, nil},
			{byGraph, "assignments", func(t *testing.T, l *life) { l.unassign(t, l.adaID) }, nil},
			{byCLI, "app unassign", func(t *testing.T, l *life) { l.unassign(t, l.adaID) }, nil},
		}},
		{row: standing.UserUnassigned, variant: "with a group", prepare: assignedInAGroup, dead: all(inThisApp, halfDone, []artefact{consentPage}), lacks: map[string]string{byPortal: noPage, byImport: people}, paths: []path{
			{byGraph, "out of the group", func(t *testing.T, l *life) {
				l.w.must(t, http.MethodDelete, "/v1.0/groups/"+l.group+"/members/"+l.adaID+"/$ref", nil)
			}, nil},
			{byCLI, "group delete", func(t *testing.T, l *life) { ok[client.Done](t)(l.w.cli.DeleteGroup(t.Context(), l.group, act)) }, nil},
			{byApply, "members", func(t *testing.T, l *life) {
				l.applies(t, "[[group]]\nname = %q\nmembers = []\n", fmt.Sprintf("Team %d", l.n))
			}, nil},
		}},
		{row: standing.RightsGiven, lacks: map[string]string{byPortal: noPage, byImport: people}, paths: []path{
			{byGraph, "roleAssignments", adaReads, nil},
			{byCLI, "role assign", func(t *testing.T, l *life) {
				ok[client.Done](t)(l.w.cli.Assign(t.Context(), readers, l.adaID, act))
			}, nil},
			{byApply, "roles", func(t *testing.T, l *life) {
				l.applies(t, "[[user]]\nname = %q\nroles = [\"Directory Readers\"]\n", l.ada)
			}, nil},
		}},
		{row: standing.SessionSignedOut, dead: all(halfDone, []artefact{sessionHere, tokenOnline, consentPage, enrolment}),
			lacks: map[string]string{byPortal: "its link leads to the same page", byGraph: "who comes with a token is in no session", byCLI: "curfew disconnect gives back its own grant", byApply: isAnAct, byImport: isAnAct}, paths: []path{
				{byAccount, "sign out", func(t *testing.T, l *life) { l.here.signOut(t, "/signout") }, nil},
				{byProtocol, "logout endpoint", func(t *testing.T, l *life) { l.here.signOut(t, "/oauth2/logout") }, nil},
			}},
		{row: standing.SessionRevoked, dead: all(halfDone, oneGrant, []artefact{sessionHere, refreshOther, tokenOnline, consentPage, enrolment}), lacks: files, paths: []path{
			{byGraph, "sessions", func(t *testing.T, l *life) {
				l.w.must(t, http.MethodPost, "/v1.0/curfew/sessions/"+l.sessionID+"/revoke", map[string]any{})
			}, nil},
			{byPortal, "the session's button", func(t *testing.T, l *life) {
				l.portal(t, "/portal/users/"+l.adaID+"/sessions/"+l.sessionID+"/revoke")
			}, nil},
			{byCLI, "revoke session", func(t *testing.T, l *life) {
				ok[*client.Cut](t)(l.w.cli.RevokeSession(t.Context(), l.sessionID, act))
			}, nil},
			{byAccount, "end, from another browser", func(t *testing.T, l *life) {
				if p := l.there.post(t, "/account/sessions/"+l.sessionID+"/end", url.Values{}); p.status != http.StatusSeeOther {
					t.Fatalf("%d %s", p.status, p.text)
				}
			}, nil},
		}},
		{row: standing.GrantRevoked, dead: oneGrant, lacks: files, paths: []path{
			{byGraph, "grants", func(t *testing.T, l *life) {
				l.w.must(t, http.MethodPost, "/v1.0/curfew/grants/"+l.grantID(t)+"/revoke", map[string]any{})
			}, nil},
			{byPortal, "the grant's button", func(t *testing.T, l *life) {
				l.portal(t, "/portal/users/"+l.adaID+"/grants/"+l.grantID(t)+"/revoke")
			}, nil},
			{byCLI, "revoke grant", func(t *testing.T, l *life) {
				ok[*client.Cut](t)(l.w.cli.RevokeGrant(t.Context(), l.grantID(t), act))
			}, nil},
		}},
		{row: standing.GrantReturned, dead: oneGrant, lacks: onlyProtocol, paths: []path{
			{byProtocol, "revocation endpoint", func(t *testing.T, l *life) {
				if status := l.w.form(t, "/oauth2/revoke", l.app, l.secret, url.Values{"token": {l.got[refreshHere]}}, nil); status != http.StatusOK {
					t.Fatal(status)
				}
			}, nil},
		}},
		{row: standing.GrantReused, dead: oneGrant, lacks: onlyProtocol, paths: []path{
			{byProtocol, "an old refresh token", func(t *testing.T, l *life) {
				if got := l.w.refresh(t, l.app, l.secret, l.used, ""); got.Error != "invalid_grant" {
					t.Fatalf("%+v", got)
				}
			}, nil},
			{byProtocol, "a code, for the second time", func(t *testing.T, l *life) {
				if o := l.w.ask(t, l.app, l.secret, url.Values{"grant_type": {"authorization_code"}, "code": {l.code}, "redirect_uri": {landing}, "code_verifier": {verifier}}); o.Error != "invalid_grant" {
					t.Fatalf("%+v", o)
				}
			}, nil},
		}},
		{row: standing.UserAppRevoked, dead: all(inThisApp, halfDone), lacks: map[string]string{byPortal: "it ends one grant, or an application for everybody", byApply: isAnAct, byImport: isAnAct}, paths: []path{
			{byGraph, "users, apps", func(t *testing.T, l *life) {
				l.w.must(t, http.MethodPost, "/v1.0/curfew/users/"+l.ada+"/apps/"+l.app+"/revoke", map[string]any{})
			}, nil},
			{byCLI, "revoke app --user", func(t *testing.T, l *life) {
				ok[*client.Cut](t)(l.w.cli.RevokeUserApp(t.Context(), l.ada, l.app, act))
			}, nil},
		}},
		{row: standing.UserWithdrew, dead: all(inThisApp, halfDone), lacks: map[string]string{byCLI: "it has no noun for consents", byApply: "a file holds nobody's consent", byImport: people}, paths: []path{
			{byPortal, "withdraw", func(t *testing.T, l *life) { l.appPage(t, "withdraw/"+l.adaID) }, nil},
			{byGraph, "oauth2PermissionGrants", func(t *testing.T, l *life) { l.withdraws(t, l.adaID) }, nil},
			{byAccount, "take back access", func(t *testing.T, l *life) {
				if p := l.here.post(t, "/account/grants/"+l.grantID(t)+"/remove", url.Values{}); p.status != http.StatusSeeOther {
					t.Fatalf("%d %s", p.status, p.text)
				}
			}, nil},
		}},
		{row: standing.AdminWithdrew, prepare: consentForAll, dead: all(inThisApp, halfDone, itself, nobodysYet), lacks: map[string]string{byCLI: "it has no noun for consents", byApply: "a file holds nobody's consent", byImport: people}, paths: []path{
			{byPortal, "withdraw, everybody", func(t *testing.T, l *life) { l.appPage(t, "withdraw/everybody") }, nil},
			{byGraph, "oauth2PermissionGrants", func(t *testing.T, l *life) { l.withdraws(t, "") }, nil},
		}},
		{row: standing.ClientRevoked, dead: all(inThisApp, halfDone, itself, nobodysYet), lacks: files, paths: []path{
			{byGraph, "apps", func(t *testing.T, l *life) {
				l.w.must(t, http.MethodPost, "/v1.0/curfew/apps/"+l.app+"/revoke", map[string]any{})
			}, nil},
			{byPortal, "the application's button", func(t *testing.T, l *life) { l.portal(t, "/portal/applications/"+l.app+"/revoke") }, nil},
			{byCLI, "revoke app", func(t *testing.T, l *life) { ok[*client.Cut](t)(l.w.cli.RevokeApp(t.Context(), l.app, act)) }, nil},
		}},
		{row: standing.ClientDisabled, dead: all(inThisApp, halfDone, itself, nobodysYet, []artefact{consentPage}), lacks: map[string]string{byImport: people}, paths: []path{
			{byPortal, "disable", func(t *testing.T, l *life) { l.appPage(t, "disable") }, nil},
			{byGraph, "enabled", func(t *testing.T, l *life) {
				l.w.must(t, http.MethodPatch, "/v1.0/curfew/apps/"+l.app, map[string]any{"enabled": false})
			}, nil},
			{byCLI, "app disable", func(t *testing.T, l *life) {
				ok[client.Done](t)(l.w.cli.SetAppEnabled(t.Context(), l.app, false, act))
			}, nil},
			{byApply, "enabled", func(t *testing.T, l *life) { l.applies(t, "[[app]]\nid = %q\nenabled = false\n", l.app) }, nil},
		}},
		{row: standing.ClientDeleted, dead: all(inThisApp, halfDone, itself, nobodysYet, []artefact{consentPage}), lacks: map[string]string{byApply: leftAlone, byImport: people}, paths: []path{
			{byPortal, "delete", func(t *testing.T, l *life) { l.appPage(t, "delete") }, nil},
			{byGraph, "DELETE", func(t *testing.T, l *life) { l.w.must(t, http.MethodDelete, "/v1.0/curfew/apps/"+l.app, nil) }, nil},
			{byCLI, "app delete", func(t *testing.T, l *life) { ok[client.Done](t)(l.w.cli.DeleteApp(t.Context(), l.app, act)) }, nil},
		}},
		{row: standing.ClientNarrowed, dead: all(inThisApp, itself), lacks: map[string]string{byImport: people}, paths: []path{
			{byPortal, "permissions", func(t *testing.T, l *life) { l.narrowedPage(t) }, nil},
			{byGraph, "permissions", func(t *testing.T, l *life) { l.w.must(t, http.MethodPatch, "/v1.0/curfew/apps/"+l.app, narrower) }, nil},
			{byCLI, "app update", func(t *testing.T, l *life) { ok[client.Done](t)(l.w.cli.UpdateApp(t.Context(), l.app, narrower, act)) }, nil},
			{byApply, "permissions", func(t *testing.T, l *life) {
				l.applies(t, "[[app]]\nid = %q\npermissions = [{ resource = \"api://mail\", scopes = [\"Mail.Read\", \"Mail.Send\"] }, { resource = \"curfew\", scopes = [\"openid\", \"profile\", \"User.Read\"] }]\n", l.app)
			}, nil},
		}},
		{row: standing.CredentialGone, prepare: spareSecret, dead: itself, lacks: map[string]string{byImport: people}, paths: []path{
			{byPortal, "remove secret", func(t *testing.T, l *life) { l.appPage(t, "remove-secret/"+l.spareSecretID(t)) }, nil},
			{byGraph, "secrets", func(t *testing.T, l *life) {
				l.w.must(t, http.MethodDelete, "/v1.0/curfew/apps/"+l.app+"/secrets/"+l.spareSecretID(t), nil)
			}, nil},
			{byCLI, "app secret remove", func(t *testing.T, l *life) {
				ok[client.Done](t)(l.w.cli.RemoveSecret(t.Context(), l.app, l.spareSecretID(t), act))
			}, nil},
			{byApply, "another secret", func(t *testing.T, l *life) {
				l.secret = "quite-another-secret-of-the-application"
				l.applies(t, "[[app]]\nid = %q\nsecret = %q\n", l.app, l.secret)
			}, nil},
		}},
		{row: standing.ClientChanged, lacks: map[string]string{byImport: people}, paths: []path{
			{byPortal, "add secret", func(t *testing.T, l *life) {
				if p := l.w.admin.post(t, "/portal/applications/"+l.app+"/add-secret", url.Values{"reason": {"lifecycle"}}); p.status != http.StatusOK {
					t.Fatalf("%d %s", p.status, p.text)
				}
			}, nil},
			{byGraph, "name and secret added", func(t *testing.T, l *life) {
				l.w.must(t, http.MethodPatch, "/v1.0/curfew/apps/"+l.app, map[string]any{"name": "Renamed"})
				spareSecret(t, l)
			}, nil},
			{byCLI, "app update", func(t *testing.T, l *life) {
				ok[client.Done](t)(l.w.cli.UpdateApp(t.Context(), l.app, map[string]any{"name": "Renamed"}, act))
			}, nil},
			{byApply, "name", func(t *testing.T, l *life) { l.applies(t, "[[app]]\nid = %q\nname = \"Renamed\"\n", l.app) }, nil},
		}},
	}...)
}

var onlyProtocol = map[string]string{byPortal: "applications do it", byGraph: "applications do it", byCLI: "applications do it", byApply: "applications do it", byImport: "applications do it"}
