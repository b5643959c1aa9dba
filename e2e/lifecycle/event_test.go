package lifecycle_test

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/standing"
)

// The surfaces by which something can come about.
const (
	byPortal   = "portal"
	byAccount  = "own account" // pages for everybody
	byGraph    = "API"
	byCLI      = "command line"
	byApply    = "apply"
	byImport   = "import"
	byProtocol = "protocol"
)

// surfaces are those of administrators: each event has a way through each, or says
// why there is none.
var surfaces = []string{byPortal, byGraph, byCLI, byApply, byImport}

// path is one way in which an event comes about.
type path struct {
	surface string
	what    string
	do      func(*testing.T, *life)
	// spared lives although the event ends it: this way does not come to it.
	spared []artefact
}

// event is a row of the table and what it is expected to end. Whatever is not
// among dead must live.
type event struct {
	row     standing.Event
	variant string // "" or what is special
	prepare func(*testing.T, *life)
	paths   []path
	lacks   map[string]string // surface: why it has no way
	dead    []artefact
}

func (e event) name() string {
	if e.variant == "" {
		return string(e.row)
	}
	return string(e.row) + ", " + e.variant
}

var act = client.Act{Reason: "lifecycle"}

func ok[T any](t *testing.T) func(T, error) {
	return func(_ T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

// both does something to Ada and to the newcomer, whose sign-in is half-finished.
func both(f func(t *testing.T, l *life, name, id string)) func(*testing.T, *life) {
	return func(t *testing.T, l *life) {
		t.Helper()
		for _, name := range []string{l.ada, l.newcomer} {
			f(t, l, name, field(t, l.w.must(t, http.MethodGet, "/v1.0/users/"+name, nil), "id"))
		}
	}
}

// portal posts a form of the administrator's pages.
func (l *life) portal(t *testing.T, path string) {
	t.Helper()
	if p := l.w.admin.post(t, path, url.Values{"reason": {"lifecycle"}}); p.status != http.StatusSeeOther && p.status != http.StatusOK {
		t.Fatalf("POST %s: %d %s", path, p.status, p.text)
	}
}

// appPage posts a form of the application's pages.
func (l *life) appPage(t *testing.T, path string, more ...string) {
	t.Helper()
	v := url.Values{"reason": {"lifecycle"}}
	for i := 0; i < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	if p := l.w.admin.post(t, "/portal/applications/"+l.app+"/"+path, v); p.status != http.StatusSeeOther {
		t.Fatalf("POST %s: %d %s", path, p.status, p.text)
	}
}

var areaRE = regexp.MustCompile(`(?s)<textarea[^>]*name="([^"]*)"[^>]*>(.*?)</textarea>`)

// narrowedPage takes the permission that was never used out of the form of permissions.
func (l *life) narrowedPage(t *testing.T) {
	t.Helper()
	var more []string
	p := l.w.admin.get(t, "/portal/applications/"+l.app+"/permissions")
	for _, m := range hiddenRE.FindAllStringSubmatch(p.text, -1) { // which version of it was shown
		more = append(more, m[1], html.UnescapeString(m[2]))
	}
	for _, m := range areaRE.FindAllStringSubmatch(p.text, -1) {
		more = append(more, m[1], strings.Replace(html.UnescapeString(m[2]), " Mail.Spare", "", 1))
	}
	if len(more) == 0 {
		t.Fatal("the form of permissions has no fields")
	}
	l.appPage(t, "permissions", more...)
}

// consentForAll lets the administrators consent for everybody.
func consentForAll(t *testing.T, l *life) {
	t.Helper()
	l.appPage(t, "consent", "permissions", "api://mail Mail.Read\ncurfew openid profile User.Read")
}

// withdraws deletes what somebody, or with "" the administrators, consented to for
// the application, each by itself.
func (l *life) withdraws(t *testing.T, user string) {
	t.Helper()
	var page struct {
		Value []struct{ ID, ClientID, PrincipalID string }
	}
	filter := "clientId eq '" + l.service(t) + "'"
	if err := json.Unmarshal([]byte(l.w.must(t, http.MethodGet, "/v1.0/oauth2PermissionGrants?$filter="+url.QueryEscape(filter), nil)), &page); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, x := range page.Value {
		if x.PrincipalID == user {
			l.w.must(t, http.MethodDelete, "/v1.0/oauth2PermissionGrants/"+x.ID, nil)
			n++
		}
	}
	if n == 0 {
		t.Fatalf("no consent of %q: %+v", user, page.Value)
	}
}

// service is the id of the application's service principal.
func (l *life) service(t *testing.T) string {
	t.Helper()
	var page struct{ Value []struct{ ID string } }
	err := json.Unmarshal([]byte(l.w.must(t, http.MethodGet, "/v1.0/servicePrincipals?$filter="+url.QueryEscape("appId eq '"+l.app+"'"), nil)), &page)
	if err != nil || len(page.Value) != 1 {
		t.Fatalf("%v %+v", err, page)
	}
	return page.Value[0].ID
}

func (l *life) applies(t *testing.T, manifest string, more ...any) {
	t.Helper()
	l.w.must(t, http.MethodPost, "/v1.0/curfew/apply", fmt.Sprintf(manifest, more...))
}

func (l *life) imports(t *testing.T, rows string) {
	t.Helper()
	if text := l.w.must(t, http.MethodPost, "/v1.0/curfew/import", rows); !strings.Contains(text, `"disabled":1`) {
		t.Fatalf("import: %s", text)
	}
}

const readers = "88d8e3e3-8f55-4a1e-953a-9b9898b8876b" // Directory Readers

// giveRole assigns the role to somebody.
func giveRole(t *testing.T, l *life, id string) {
	t.Helper()
	l.w.must(t, http.MethodPost, "/v1.0/roleManagement/directory/roleAssignments", map[string]any{"roleDefinitionId": readers, "principalId": id, "directoryScopeId": "/"})
}

func adaReads(t *testing.T, l *life) { giveRole(t, l, l.adaID) }

// team makes a group with Ada in it.
func (l *life) team(t *testing.T, roles bool) {
	t.Helper()
	g, _, err := l.w.cli.CreateGroup(t.Context(), fmt.Sprintf("Team %d", l.n), "", roles, act)
	if err != nil {
		t.Fatal(err)
	}
	l.group = g.ID
	ok[client.Done](t)(l.w.cli.AddMember(t.Context(), l.group, l.adaID, act))
}

func adaReadsInAGroup(t *testing.T, l *life) {
	t.Helper()
	l.team(t, true)
	giveRole(t, l, l.group)
}

func (l *life) takeRole(t *testing.T, id string) {
	t.Helper()
	all, err := l.w.cli.Assignments(t.Context(), readers, id)
	if err != nil || len(all) != 1 {
		t.Fatalf("assignments: %v %v", all, err)
	}
	ok[client.Done](t)(l.w.cli.Unassign(t.Context(), all[0].ID, act))
}

// assigned lets only those into the application who are assigned: Ada and her friend.
func assigned(t *testing.T, l *life) {
	t.Helper()
	l.w.must(t, http.MethodPatch, "/v1.0/curfew/apps/"+l.app, map[string]any{"assignmentRequired": true})
	for _, id := range []string{l.adaID, l.userID(t, l.friend)} {
		ok[client.Done](t)(l.w.cli.AssignApp(t.Context(), l.app, id, false, act))
	}
}

func assignedInAGroup(t *testing.T, l *life) {
	t.Helper()
	assigned(t, l)
	l.team(t, false)
	ok[client.Done](t)(l.w.cli.AssignApp(t.Context(), l.app, l.group, true, act))
	l.unassign(t, l.adaID)
}

func (l *life) unassign(t *testing.T, id string) {
	t.Helper()
	ok[client.Done](t)(l.w.cli.UnassignApp(t.Context(), l.app, l.assignment(t, id), act))
}

// assignment is the id of somebody's.
func (l *life) assignment(t *testing.T, id string) string {
	t.Helper()
	all, err := l.w.cli.AppAssignments(t.Context(), l.app)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if a.User == id || a.Group == id {
			return a.ID
		}
	}
	t.Fatalf("%s is not assigned: %v", id, all)
	return ""
}

// principal is the object id of the application's own identity.
func (l *life) principal(t *testing.T) string {
	t.Helper()
	var a struct{ Principal string }
	if err := json.Unmarshal([]byte(l.w.must(t, http.MethodGet, "/v1.0/curfew/apps/"+l.app, nil)), &a); err != nil || a.Principal == "" {
		t.Fatalf("identity of %s: %v %+v", l.app, err, a)
	}
	return a.Principal
}

func (l *life) givePass(t *testing.T, name string) {
	t.Helper()
	l.w.must(t, http.MethodPost, "/v1.0/users/"+name+"/authentication/temporaryAccessPassMethods", map[string]any{})
}

// pass gives those to whom things happen a temporary access pass.
func pass(t *testing.T, l *life) {
	t.Helper()
	l.givePass(t, l.ada)
	l.givePass(t, l.newcomer)
}

func (l *life) passID(t *testing.T, name string) string {
	t.Helper()
	return l.methodID(t, name, "access pass")
}

func (l *life) methodID(t *testing.T, name, kind string) string {
	t.Helper()
	all, err := l.w.cli.Methods(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if m.Kind == kind {
			return m.ID
		}
	}
	t.Fatalf("%s has no %s: %v", name, kind, all)
	return ""
}

var codeRE = regexp.MustCompile(`<li>([a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4})</li>`)

// recoveryCodes makes some, here.
func (l *life) recoveryCodes(t *testing.T) (codes []string) {
	t.Helper()
	action, form := l.here.get(t, "/account/methods/codes").fill(t)
	p := l.here.post(t, action, form)
	for _, m := range codeRE.FindAllStringSubmatch(p.text, -1) {
		codes = append(codes, m[1])
	}
	if p.status != http.StatusOK || len(codes) != 10 {
		t.Fatalf("recovery codes: %d %s", p.status, p.text)
	}
	return codes
}

// proveSecond gives a recovery code, here.
func (l *life) proveSecond(t *testing.T, code string) {
	t.Helper()
	action, form := l.here.get(t, "/signin/second?next="+url.QueryEscape("/account/methods")+"&way=recovery").fill(t, "code", code)
	if p := l.here.post(t, action, form); p.status != http.StatusSeeOther {
		t.Fatalf("second factor: %d %s", p.status, p.text)
	}
}

// spareSecret adds a secret to be removed later; the application goes on with the other.
func spareSecret(t *testing.T, l *life) {
	t.Helper()
	if _, _, err := l.w.cli.AddSecret(t.Context(), l.app, noTime, act); err != nil {
		t.Fatal(err)
	}
}

// spareSecretID is the one that was made, not the one of the manifest.
func (l *life) spareSecretID(t *testing.T) string {
	t.Helper()
	a, err := l.w.cli.App(t.Context(), l.app)
	if err != nil || len(a.Secrets) != 2 {
		t.Fatalf("%+v %v", a, err)
	}
	for _, s := range a.Secrets {
		if !strings.HasPrefix(s.ID, "file") {
			return s.ID
		}
	}
	t.Fatalf("%+v", a.Secrets)
	return ""
}

// narrower are the application's permissions without the one it never used.
var narrower = map[string]any{"permissions": []any{map[string]any{"resource": "api://mail", "scopes": []string{"Mail.Read", "Mail.Send"}},
	map[string]any{"resource": "https://graph.microsoft.com", "scopes": []string{"openid", "profile", "User.Read"}}}}

// signOut confirms the page.
func (b *browser) signOut(t *testing.T, path string) {
	t.Helper()
	p := b.get(t, path)
	if p.status == http.StatusOK && strings.Contains(p.text, `value="allow"`) {
		action, form := p.fill(t, "decision", "allow")
		p = b.post(t, action, form)
	}
	if p.status/100 == 4 {
		t.Fatalf("sign-out: %d %s", p.status, p.text)
	}
}

// Sets of artefacts, so that the grid can be read.
var (
	hers       = []artefact{sessionHere, sessionThere, codeHere, deviceHere, refreshHere, refreshThere, refreshOther, tokenHere, tokenThere, tokenOnline, introspected, userinfo, ownAPI, childToken, childRefresh, consentPage, enrolment}
	herTokens  = []artefact{refreshHere, refreshThere, refreshOther, tokenHere, tokenThere, tokenOnline, introspected, userinfo, ownAPI, childToken, childRefresh}
	inThisApp  = []artefact{refreshHere, refreshThere, tokenHere, tokenThere, tokenOnline, introspected, userinfo, ownAPI, childToken, childRefresh}
	oneGrant   = []artefact{refreshHere, tokenHere, introspected, userinfo, ownAPI, childToken, childRefresh}
	itself     = []artefact{appToken, appSeen}
	nobodysYet = []artefact{devicePending, pushed}
	halfDone   = []artefact{codeHere, deviceHere}
)

func all(sets ...[]artefact) (out []artefact) {
	for _, s := range sets {
		out = append(out, s...)
	}
	return out
}

const (
	isAnAct     = "a file says what is, and does nothing by itself"
	onlyAtBirth = "a password in a file is for people who are not there yet"
	noPage      = "the pages show roles and groups, and change none"
	people      = "a sheet holds people's profiles only"
	leftAlone   = "what a file does not mention is left alone"
)
