package oidc_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/keys"
	"github.com/curfew-id/curfew/internal/recheck"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
	"github.com/curfew-id/curfew/internal/web/oidc"
)

var update = flag.Bool("update", false, "rewrite testdata/*.txt")

const (
	base     = "https://id.contoso.example"
	tenant   = "11111111-2222-3333-4444-555555555555"
	callback = "https://tripboard.example/cb"
	verifier = "a-code-verifier-of-forty-three-characters-or-more"
	secret   = "mailroom secret: 100 % random+long"
)

// world is a directory with two resources, a public application (tripboard) that
// ada has consented to, and a confidential one (mailroom) that guards the mail.
type world struct {
	*storetest.World
	t       testing.TB
	issue   *issue.Service
	revoke  *revoke.Service
	handler http.Handler
	session *grant.Session
	writes  atomic.Int64 // statements that wrote
	jkt     string       // dpop_jkt of the codes asked for
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t}
	w.World = storetest.NewWorld(t, storetest.Engines()[0], store.Hooks{Exec: func(string) error { w.writes.Add(1); return nil }})
	now := w.Clock.Now()
	robot := storetest.Person("mailroom", now)
	robot.Service, robot.Password = true, directory.Credential{}
	sum := sha256.Sum256([]byte(secret))
	w.Update(func(tx *store.Tx) error {
		if err := tx.NameDirectory("contoso.example", "Contoso"); err != nil {
			return err
		}
		if err := tx.CreateUser(robot); err != nil {
			return err
		}
		for _, id := range []directory.ResourceID{"api://mail", "api://drive"} {
			r := &directory.Resource{ID: id, Name: string(id[6:]), Scopes: []directory.Scope{{Name: "Read", Text: "Read"}, {Name: "Write", Text: "Write"}}, AppRoles: []string{"Sweep"}}
			if err := tx.SaveResource(r); err != nil {
				return err
			}
		}
		app := *w.App
		app.DeviceCode, app.RedirectURIs = true, []string{callback}
		app.Permissions = []directory.Permission{{Resource: "api://mail", Scopes: []string{"Read", "Write"}}, {Resource: "api://drive", Scopes: []string{"Read"}}, {Resource: directory.OwnAPI, Scopes: []string{"openid", "profile", "email"}}}
		w.App = &app
		if err := tx.SaveApp(&app); err != nil {
			return err
		}
		for _, p := range app.Permissions {
			if err := tx.SaveConsent(directory.Consent{User: w.Ada.ID, App: app.ID, Resource: p.Resource, Scopes: p.Scopes}); err != nil {
				return err
			}
		}
		return tx.SaveApp(&directory.App{ID: "mailroom", Object: directory.NewID[directory.App](now), Name: "Mailroom", Enabled: true, Principal: robot.ID,
			Guards: []directory.ResourceID{"api://mail"}, Secrets: []directory.AppSecret{{ID: "1", Hash: sum[:], Created: now}},
			AppPermissions: []directory.Permission{{Resource: "api://mail", Scopes: []string{"Sweep"}}}})
	})
	k, err := keys.Open(t.Context(), w.DB, make([]byte, 32), w.Clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	w.revoke = &revoke.Service{DB: w.DB, Log: log, Lifetimes: grant.DefaultLifetimes(), Now: w.Clock.Now}
	w.issue = &issue.Service{DB: w.DB, Keys: k, Revoke: w.revoke, Base: base, Tenant: tenant, Lifetimes: grant.DefaultLifetimes(), Now: w.Clock.Now, Log: log}
	mux := http.NewServeMux()
	again := &recheck.Service{DB: w.DB, Issue: w.issue, Lifetimes: w.issue.Lifetimes}
	(&oidc.Server{Issue: w.issue, Again: again, JWKS: k.JWKS, Check: w.check, Domain: func() string { return "contoso.example" }, Log: log}).Register(mux)
	w.handler = mux
	w.session = w.Session(w.Ada)
	return w
}

// check stands for package pages, where authorization requests are read.
func (w *world) check(_ context.Context, _ grant.Issuer, q url.Values) error {
	if q.Get("redirect_uri") != callback {
		return fault.Wrap(fault.Invalid, "The redirect_uri is not registered.", &issue.Error{Code: "invalid_request", Number: 50011})
	}
	return nil
}

// code is an authorization code for tripboard in ada's session.
func (w *world) code(scope string, i grant.Issuer) string {
	w.t.Helper()
	plan, err := w.issue.Plan(w.t.Context(), w.App, scope, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(verifier))
	code, err := w.issue.Authorize(w.t.Context(), issue.AuthorizeRequest{App: w.App, Session: w.session.ID, Plan: plan, Scope: scope, RedirectURI: callback,
		Challenge: base64.RawURLEncoding.EncodeToString(sum[:]), Nonce: "n-1", Issuer: i, JKT: w.jkt})
	if err != nil {
		w.t.Fatal(err)
	}
	return code
}

const allScopes = "openid profile offline_access api://mail/Read"

func codeForm(code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "client_id": {"tripboard"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}
}

func refreshForm(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {"tripboard"}, "refresh_token": {token}}
}

// do sends one request.
func (w *world) do(method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, base+path, strings.NewReader(body))
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i+1] == "" {
			r.Header.Del(header[i])
		} else {
			r.Header.Add(header[i], header[i+1])
		}
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec
}

func (w *world) post(path string, form url.Values, header ...string) *httptest.ResponseRecorder {
	return w.do("POST", path, form.Encode(), header...)
}

func basicAuth(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
}

var mailroom = []string{"Authorization", basicAuth("mailroom", secret)}

// member reads one member of a JSON answer.
func member(t testing.TB, rec *httptest.ResponseRecorder, name string) any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &m); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, rec.Body)
	}
	return m[name]
}

func text(t testing.TB, rec *httptest.ResponseRecorder, name string) string {
	t.Helper()
	s, _ := member(t, rec, name).(string)
	return s
}

// tokens redeems a fresh code at the tenant's endpoint.
func (w *world) tokens(scope string, more ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	f := codeForm(w.code(scope, grant.Tenant))
	for i := 0; i+1 < len(more); i += 2 {
		f.Set(more[i], more[i+1])
	}
	rec := w.post("/common/oauth2/v2.0/token", f)
	if rec.Code != http.StatusOK {
		w.t.Fatalf("no tokens: %d %s", rec.Code, rec.Body)
	}
	return rec
}

// transcript is a file of exchanges, compared or, with -update, rewritten. What is
// random stands in it by name.
type transcript struct {
	w *world
	b strings.Builder
}

func (w *world) transcript(name string, play func(*transcript)) {
	w.t.Helper()
	x := &transcript{w: w}
	play(x)
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(x.b.String()), 0o644); err != nil {
			w.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	if got := x.b.String(); got != string(want) {
		g, h := strings.Split(got, "\n"), strings.Split(string(want), "\n")
		for i := range g {
			if i >= len(h) || g[i] != h[i] {
				w.t.Fatalf("%s line %d:\n got %s\nwant %s\n(-update rewrites it)", path, i+1, g[i], append(h, "", "")[min(i, len(h))])
			}
		}
		w.t.Fatalf("%s: the transcript is longer", path)
	}
}

var random = []struct {
	what *regexp.Regexp
	name string
}{
	{regexp.MustCompile(tenant), "{tenant}"},
	{regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]+`), "{jwt}"},
	{regexp.MustCompile(`cfr_[\w-]+`), "{refresh token}"},
	{regexp.MustCompile(`"(x|y)":"[\w-]{43}"`), `"$1":"{point}"`},
	{regexp.MustCompile(`"kid":"[\w-]+"`), `"kid":"{kid}"`},
	{regexp.MustCompile(`"jti":"[\w-]+"`), `"jti":"{jti}"`},
	{regexp.MustCompile(`"client_info":"[\w-]+"`), `"client_info":"{client info}"`},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "{uuid}"},
	{regexp.MustCompile(`"user_code":"\w{4}-\w{4}"`), `"user_code":"{user code}"`},
	{regexp.MustCompile(`(user_code=|the code )\w{4}-\w{4}`), `$1{user code}`},
	{regexp.MustCompile(`"device_code":"[\w-]{43}"`), `"device_code":"{device code}"`},
	{regexp.MustCompile(`device_code=[\w-]{43}`), `device_code={device code}`},
	{regexp.MustCompile(`\bcode=[\w-]{43}`), `code={code}`},
}

func scrub(s string) string {
	for _, r := range random {
		s = r.what.ReplaceAllString(s, r.name)
	}
	return s
}

// do plays one exchange and writes it down.
func (x *transcript) do(title, method, path, body string, header ...string) *httptest.ResponseRecorder {
	rec := x.w.do(method, path, body, header...)
	x.b.WriteString("== " + title + "\n> " + method + " " + scrub(path) + "\n")
	for i := 0; i+1 < len(header); i += 2 {
		x.b.WriteString("> " + header[i] + ": " + scrub(header[i+1]) + "\n")
	}
	if body != "" {
		x.b.WriteString("> \n> " + scrub(body) + "\n")
	}
	x.b.WriteString("< " + strconv.Itoa(rec.Code) + " " + http.StatusText(rec.Code) + "\n")
	names := make([]string, 0, len(rec.Header()))
	for n := range rec.Header() {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		if n == "Content-Length" {
			continue // ids have different lengths
		}
		for _, v := range rec.Header()[n] {
			x.b.WriteString("< " + n + ": " + scrub(v) + "\n")
		}
	}
	x.b.WriteString("< \n< " + scrub(strings.TrimSpace(rec.Body.String())) + "\n\n")
	return rec
}

func (x *transcript) post(title, path string, form url.Values, header ...string) *httptest.ResponseRecorder {
	return x.do(title, "POST", path, form.Encode(), header...)
}

func (w *world) later(d time.Duration) { w.Clock.Add(d) }
