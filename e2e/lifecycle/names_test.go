package lifecycle_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/client"
)

// dead uses these, once the guards have heard.
func (l *life) dead(t *testing.T, these ...artefact) {
	t.Helper()
	l.w.heard(t)
	for _, a := range these {
		if o := l.use(t, a); o.alive {
			t.Errorf("%s still works", a)
		}
	}
}

func TestEnablingBringsNothingBack(t *testing.T) {
	w := newWorld(t, "")
	for name, enable := range map[string]func(t *testing.T, l *life){
		"API": func(t *testing.T, l *life) {
			w.must(t, http.MethodPatch, "/v1.0/users/"+l.ada, map[string]any{"accountEnabled": true})
		},
		"portal":       func(t *testing.T, l *life) { l.portal(t, "/portal/users/"+l.adaID+"/enable") },
		"command line": func(t *testing.T, l *life) { ok[client.Done](t)(w.cli.SetEnabled(t.Context(), l.ada, true, act)) },
		"apply":        func(t *testing.T, l *life) { l.applies(t, "[[user]]\nname = %q\nenabled = true\n", l.ada) },
		"import": func(t *testing.T, l *life) {
			w.must(t, http.MethodPost, "/v1.0/curfew/import", "userPrincipalName,displayName,accountEnabled\n"+l.ada+",X,true\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := w.live(t, nil)
			w.must(t, http.MethodPatch, "/v1.0/users/"+l.ada, map[string]any{"accountEnabled": false})
			enable(t, l)
			l.dead(t, hers...)
			again := w.browser(t)
			again.signIn(t, l.ada, password)
			got := w.redeem(t, l.app, l.secret, again.code(t, url.Values{"client_id": {l.app}, "scope": {mailScope}}))
			if o := w.mail.take(t, got.Access); !o.alive {
				t.Errorf("what was born after enabling is refused: %s", o.why)
			}
		})
	}
}

func TestAUserOfTheSameNameIsSomebodyElse(t *testing.T) {
	w := newWorld(t, "")
	l := w.live(t, adaReads)
	w.must(t, http.MethodDelete, "/v1.0/users/"+l.ada, nil)
	l.applies(t, "[[user]]\nname = %q\ndisplay_name = \"Another Ada\"\npassword = %q\n", l.ada, password)
	l.dead(t, hers...)
	if all, err := w.cli.Assignments(t.Context(), readers, l.adaID); err == nil && len(all) > 0 {
		t.Errorf("roles of the deleted user: %v", all)
	}
	second := w.browser(t)
	second.signIn(t, l.ada, password)
	if id := l.userID(t, l.ada); id == l.adaID {
		t.Error("the new user has the old id")
	}
	x, err := w.cli.Exposure(t.Context(), l.ada)
	if err != nil || len(x.Sessions) != 1 || len(x.Grants) != 0 {
		t.Errorf("the new user holds %+v %v, and has signed in once", x, err)
	}
	m, err := w.cli.MemberOf(t.Context(), l.ada)
	if err != nil || len(m.Roles) != 0 {
		t.Errorf("the new user holds roles: %+v %v", m, err)
	}
	p := second.ask(t, url.Values{"client_id": {l.app}, "scope": {mailScope}})
	if !strings.Contains(p.text, `value="allow"`) {
		t.Errorf("the new user is not asked for consent: %d %s", p.status, p.to)
	}
}

func (l *life) userID(t *testing.T, name string) string {
	t.Helper()
	return field(t, l.w.must(t, http.MethodGet, "/v1.0/users/"+name, nil), "id")
}

func TestAnApplicationOfTheSameClientIDInheritsNothing(t *testing.T) {
	w := newWorld(t, "")
	l := w.live(t, assigned)
	w.must(t, http.MethodDelete, "/v1.0/curfew/apps/"+l.app, nil)
	manifest := l.manifest("")
	l.applies(t, "%s", manifest[strings.Index(manifest, "[[app]]"):]) // with the same secret
	l.dead(t, all(inThisApp, halfDone, itself, nobodysYet)...)
	p := l.here.ask(t, url.Values{"client_id": {l.app}, "scope": {mailScope}})
	if !strings.Contains(p.text, `value="allow"`) {
		t.Errorf("consent to the deleted application counts: %d %s", p.status, p.to)
	}
	if all, err := w.cli.AppAssignments(t.Context(), l.app); err != nil || len(all) != 0 {
		t.Errorf("assignments to the deleted application: %v %v", all, err)
	}
}

func TestAGroupOfTheSameNameGivesNothing(t *testing.T) {
	w := newWorld(t, "")
	l := w.live(t, adaReadsInAGroup)
	w.must(t, http.MethodDelete, "/v1.0/groups/"+l.group, nil)
	l.applies(t, "[[group]]\nname = %q\nrole_assignable = true\nroles = [\"Directory Readers\"]\n", fmt.Sprintf("Team %d", l.n))
	l.dead(t, herTokens...)
	if m, err := w.cli.MemberOf(t.Context(), l.ada); err != nil || len(m.Roles) != 0 || len(m.Groups) != 0 {
		t.Errorf("Ada is in a group that was made after hers was deleted: %+v %v", m, err)
	}
}

// To delete a resource every application has to let go of it, which ends what they
// hold of it. One registered anew under its identifier begins with nothing.
func TestAResourceOfTheSameIdentifierInheritsNothing(t *testing.T) {
	w := newWorld(t, "")
	l := w.live(t, nil)
	drive := fmt.Sprintf("api://drive-%d", l.n)
	begin := fmt.Sprintf("[[resource]]\nid = %q\nname = \"Drive\"\n[[resource.scope]]\nname = \"Files.Read\"\ntext = \"Read your files\"\n", drive)
	with := func(extra string) string {
		m := l.manifest("")
		m = m[strings.Index(m, "[[app]]"):]
		return strings.Replace(m, "permissions = [", "permissions = ["+extra, 1)
	}
	l.applies(t, "%s", begin+with(fmt.Sprintf("{ resource = %q, scopes = [\"Files.Read\"] }, ", drive)))
	q := url.Values{"client_id": {l.app}, "scope": {"openid offline_access " + drive + "/Files.Read"}}
	got := w.redeem(t, l.app, l.secret, l.here.code(t, q))
	pending := l.here.code(t, q)
	if status, text := w.api(t, w.token, http.MethodDelete, "/v1.0/curfew/resources/"+url.PathEscape(drive), nil); status != http.StatusConflict {
		t.Fatalf("a resource in use was deleted: %d %s", status, text)
	}
	l.applies(t, "%s", with(""))
	w.must(t, http.MethodDelete, "/v1.0/curfew/resources/"+url.PathEscape(drive), nil)
	l.applies(t, "%s", begin+with(fmt.Sprintf("{ resource = %q, scopes = [\"Files.Read\"] }, ", drive)))
	if o := w.refresh(t, l.app, l.secret, got.Refresh, "").outcome(t); o.alive {
		t.Error("a refresh token outlives its resource")
	}
	if o := w.ask(t, l.app, l.secret, url.Values{"grant_type": {"authorization_code"}, "code": {pending}, "redirect_uri": {landing}, "code_verifier": {verifier}}).outcome(t); o.alive {
		t.Error("a code for the resource before gives a token for the one after")
	}
	if p := l.here.ask(t, q); !strings.Contains(p.text, `value="allow"`) {
		t.Errorf("consent to the resource before counts for the one after: %d %s", p.status, p.to)
	}
}

func TestARenamedUserEscapesNothing(t *testing.T) {
	w := newWorld(t, "")
	t.Run("cut, then renamed", func(t *testing.T) {
		t.Parallel()
		l := w.live(t, nil)
		w.must(t, http.MethodPost, "/v1.0/users/"+l.ada+"/revokeSignInSessions", nil)
		w.must(t, http.MethodPatch, "/v1.0/users/"+l.ada, map[string]any{"userPrincipalName": "countess-" + l.ada})
		l.dead(t, hers...)
	})
	t.Run("renamed, then cut", func(t *testing.T) {
		t.Parallel()
		l := w.live(t, nil)
		w.must(t, http.MethodPatch, "/v1.0/users/"+l.ada, map[string]any{"userPrincipalName": "countess-" + l.ada})
		if o := l.use(t, refreshThere); !o.alive {
			t.Errorf("a new name ends something: %s", o.why)
		}
		w.must(t, http.MethodPost, "/v1.0/users/countess-"+l.ada+"/revokeSignInSessions", nil)
		l.dead(t, hers...)
	})
	t.Run("somebody else under the old name", func(t *testing.T) {
		t.Parallel()
		l := w.live(t, nil)
		w.must(t, http.MethodPatch, "/v1.0/users/"+l.ada, map[string]any{"userPrincipalName": "countess-" + l.ada})
		l.applies(t, "[[user]]\nname = %q\ndisplay_name = \"Another Ada\"\npassword = %q\n", l.ada, password)
		w.must(t, http.MethodPost, "/v1.0/users/"+l.ada+"/revokeSignInSessions", nil)
		w.heard(t)
		if o := l.use(t, tokenHere); !o.alive {
			t.Errorf("revoking the new Ada ends what the first one holds: %s", o.why)
		}
		w.must(t, http.MethodPatch, "/v1.0/users/"+l.adaID, map[string]any{"accountEnabled": false})
		l.dead(t, slices.DeleteFunc(slices.Clone(hers), func(a artefact) bool { return a == "" })...)
	})
}

func TestARenamedApplicationEscapesNothing(t *testing.T) {
	w := newWorld(t, "")
	l := w.live(t, nil)
	w.must(t, http.MethodPatch, "/v1.0/curfew/apps/"+l.app, map[string]any{"name": "Renamed"})
	w.must(t, http.MethodPost, "/v1.0/curfew/apps/"+l.app+"/revoke", map[string]any{})
	w.must(t, http.MethodPatch, "/v1.0/curfew/apps/"+l.app, map[string]any{"name": "Renamed again"})
	l.dead(t, all(inThisApp, halfDone, itself, nobodysYet)...)
}

func TestTheCookieChangesWhenASessionIsKept(t *testing.T) {
	w := newWorld(t, "")
	for name, form := range map[string]struct {
		path string
		v    url.Values
	}{
		"own password":             {"/account/password", url.Values{"current": {password}, "password": {"another fine battery"}, "password2": {"another fine battery"}}},
		"signed out elsewhere":     {"/account/everywhere", url.Values{"keep": {"1"}}},
		"everyone else, as portal": {"/portal/revoke-all", url.Values{"reason": {"lifecycle"}, "domain": {domain}}},
	} {
		t.Run(name, func(t *testing.T) {
			w.enter(t)
			b := w.admin
			if !strings.HasPrefix(form.path, "/portal") {
				b = w.live(t, nil).here
			}
			old := b.cookie(t)
			thief := w.browser(t)
			u, err := url.Parse(w.base)
			if err != nil {
				t.Fatal(err)
			}
			thief.http.Jar.SetCookies(u, []*http.Cookie{{Name: old.Name, Value: old.Value, Path: "/", Secure: true}})
			if o := thief.here(t); !o.alive {
				t.Fatalf("the copied cookie did not work before: %s", o.why)
			}
			if p := b.post(t, form.path, form.v); p.status != http.StatusSeeOther {
				t.Fatalf("%d %s", p.status, p.text)
			}
			if now := b.cookie(t); now.Value == old.Value {
				t.Error("the cookie has the same value as before")
			}
			if o := b.here(t); !o.alive {
				t.Errorf("the session that was to stay is over: %s", o.why)
			}
			if o := thief.here(t); o.alive {
				t.Error("a copy of the cookie, made before, still works")
			}
		})
	}
}

// Two browsers have met the password that must be changed. Whoever changes it
// first ends the other's way in.
func TestAForcedChangeEndsTheOtherHalfFinishedSignIn(t *testing.T) {
	w := newWorld(t, "")
	l := w.live(t, nil)
	other := w.browser(t)
	action, form := other.get(t, "/signin").fill(t, "username", l.newcomer, "password", password)
	second := other.post(t, action, form)
	if o := l.use(t, ticket); !o.alive {
		t.Fatalf("the first change: %s", o.why)
	}
	action, form = second.fill(t, "password", "a third fine battery", "password2", "a third fine battery")
	if p := other.post(t, action, form); p.status == http.StatusSeeOther {
		t.Error("the second change works after the first")
	}
	if o := l.ticketAt.here(t); !o.alive {
		t.Errorf("the refused change ended the session of the first: %s", o.why)
	}
}
