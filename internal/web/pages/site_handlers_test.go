package pages_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/factor"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/keys"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/recheck"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
	"github.com/curfew-id/curfew/internal/web/account"
	"github.com/curfew-id/curfew/internal/web/oidc"
	"github.com/curfew-id/curfew/internal/web/pages"
	"github.com/curfew-id/curfew/internal/web/webkit"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

const (
	tenant   = "11111111-2222-3333-4444-555555555555"
	password = "otter window lilac 41"
	callback = "https://tripboard.example/cb"
	goodbye  = "https://tripboard.example/bye"
	secret   = "mailroom-secret-0123456789"
	verifier = "a-code-verifier-of-forty-three-characters-or-more"
)

// hashed is the one real hash of the tests.
var hashed = sync.OnceValue(func() string {
	h, err := signin.NewHasher().Hash(context.Background(), password, false)
	if err != nil {
		panic(err)
	}
	return h
})

// site is the whole of sign-in and tokens behind a real TLS server, and a database.
type site struct {
	*storetest.World
	t      *testing.T
	srv    *httptest.Server
	issue  *issue.Service
	signin *signin.Service
	revoke *revoke.Service
	factor *factor.Service
	writes atomic.Int64
}

func open(t *testing.T) *site {
	t.Helper()
	s := &site{t: t}
	s.World = storetest.NewWorld(t, storetest.Engines()[0], store.Hooks{Exec: func(string) error { s.writes.Add(1); return nil }})
	now := s.Clock.Now()
	sum := sha256.Sum256([]byte(secret))
	s.Update(func(tx *store.Tx) error {
		if err := tx.NameDirectory("contoso.example", "Contoso"); err != nil {
			return err
		}
		for _, u := range []*directory.User{s.Ada, s.Grace} {
			if _, err := tx.ChangeUser(u.ID, store.UserChange{}, func(u *directory.User) error { u.Password.Hash = hashed(); return nil }); err != nil {
				return err
			}
		}
		if err := tx.SaveResource(&directory.Resource{ID: "api://mail", Name: "Mail", Scopes: []directory.Scope{{Name: "Mail.Read", Text: "Read your mail"}, {Name: "Mail.Purge", Text: "Delete everybody's mail", AdminOnly: true}}}); err != nil {
			return err
		}
		app := *s.App
		app.DeviceCode, app.RedirectURIs, app.PostLogoutURIs, app.Publisher = true, []string{callback, callback + "?fixed=1", "http://localhost", "trip.board://cb"}, []string{goodbye}, "Northwind Travel"
		app.Permissions = []directory.Permission{{Resource: "api://mail", Scopes: []string{"Mail.Read", "Mail.Purge"}}, {Resource: directory.OwnAPI, Scopes: []string{"openid", "profile", "email"}}}
		s.App = &app
		if err := tx.SaveApp(&app); err != nil {
			return err
		}
		return tx.SaveApp(&directory.App{ID: "mailroom", Object: directory.NewID[directory.App](now), Name: "Mailroom", Enabled: true, FirstParty: true, RedirectURIs: []string{"https://mailroom.example/cb"},
			Guards: []directory.ResourceID{"api://mail"}, Secrets: []directory.AppSecret{{ID: "1", Hash: sum[:], Created: now}}, Permissions: app.Permissions})
	})
	s.serve()
	return s
}

// empty is a site whose directory nobody has set up yet.
func empty(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, World: &storetest.World{Clock: storetest.NewClock()}}
	s.DB = storetest.Open(t, storetest.Engines()[0].New(t)(store.Config{Now: s.Clock.Now}))
	s.serve()
	return s
}

// domain is the directory's, as it is now.
func (s *site) domain() (domain string) {
	err := s.DB.Read(context.Background(), func(tx *store.Tx) error {
		d, err := tx.Directory()
		domain = d.Domain
		return err
	})
	if err != nil {
		s.t.Error(err)
	}
	return domain
}

// serve wires the services and starts to listen.
func (s *site) serve() {
	t := s.t
	t.Helper()
	k, err := keys.Open(t.Context(), s.DB, make([]byte, 32), s.Clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	s.srv = httptest.NewUnstartedServer(nil)
	s.srv.EnableHTTP2 = false
	s.srv.StartTLS()
	t.Cleanup(s.srv.Close)
	log, l := slog.New(slog.DiscardHandler), grant.DefaultLifetimes()
	s.revoke = &revoke.Service{DB: s.DB, Log: log, Lifetimes: l, Now: s.Clock.Now}
	s.issue = &issue.Service{DB: s.DB, Keys: k, Revoke: s.revoke, Base: s.srv.URL, Tenant: tenant, Lifetimes: l, Now: s.Clock.Now, Log: log}
	s.signin = &signin.Service{DB: s.DB, Revoke: s.revoke, Lifetimes: l, Now: s.Clock.Now, Log: log, Hasher: signin.NewHasher(), Limits: signin.NewLimits()}
	browser, api := http.NewServeMux(), http.NewServeMux()
	visitors := &pages.Server{Issue: s.issue, SignIn: s.signin, Revoke: s.revoke, Relay: &relay.Service{DB: s.DB, Secret: make([]byte, 32), Now: s.Clock.Now, Lifetimes: l},
		Manage: &manage.Service{DB: s.DB, Revoke: s.revoke, Now: s.Clock.Now, Log: log}, Secret: make([]byte, 32), Domain: s.domain, Park: s.park, Parked: s.parked, Factors: true, Portal: "/portal", Log: log}
	visitors.Register(browser)
	s.factor = &factor.Service{DB: s.DB, Keys: k, SignIn: s.signin, Revoke: s.revoke, Base: s.srv.URL, Log: log}
	(&account.Server{Server: visitors, Factor: s.factor}).Register(browser)
	browser.HandleFunc("GET /portal", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "portal") })
	(&oidc.Server{Issue: s.issue, Again: &recheck.Service{DB: s.DB, Issue: s.issue, Lifetimes: l}, JWKS: k.JWKS, Check: visitors.Check, Domain: s.domain, Log: log}).Register(api)
	wrapped := webkit.Browser(browser, pages.Bypass...)
	s.srv.Config.Handler = webkit.Observe(log, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := api.Handler(r); pattern != "" {
			api.ServeHTTP(w, r)
			return
		}
		wrapped.ServeHTTP(w, r)
	}))
}

// park and parked are what the server wires: a ticket for each posted request.
func (s *site) park(ctx context.Context, doc string, life time.Duration) (string, error) {
	var b [32]byte
	rand.Read(b[:])
	name := base64.RawURLEncoding.EncodeToString(b[:])
	return name, s.DB.Update(ctx, func(tx *store.Tx) error {
		return tx.CreateTicket(&store.Ticket{Hash: sha256.Sum256([]byte(name)), Kind: "post", Expires: tx.Now.Add(life), Doc: doc})
	})
}

func (s *site) parked(ctx context.Context, name string) (doc string, err error) {
	err = s.DB.Read(ctx, func(tx *store.Tx) error {
		t, err := tx.Ticket("post", sha256.Sum256([]byte(name)))
		if errors.Is(err, store.ErrNotFound) || err == nil && !tx.Now.Before(t.Expires) {
			return fault.New(fault.NotFound, "The request is too old. Go back to the application and start again.")
		}
		if err == nil {
			doc = t.Doc
		}
		return err
	})
	return doc, err
}

// browser is one without scripts: cookies, links, forms, and redirects that it
// follows only within the site.
type browser struct {
	s   *site
	jar *cookiejar.Jar
	c   *http.Client
}

func (s *site) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	c := *s.srv.Client()
	c.Jar = jar
	c.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if "https://"+r.URL.Host != s.srv.URL || len(via) > 10 {
			return http.ErrUseLastResponse
		}
		return nil
	}
	return &browser{s: s, jar: jar, c: &c}
}

// page is an answer as it came to rest.
type page struct {
	t      *testing.T
	status int
	url    string // of the page
	header http.Header
	body   []byte
	to     *url.URL // where it wanted to go, off the site
}

func (b *browser) send(r *http.Request) *page {
	b.s.t.Helper()
	res, err := b.c.Do(r)
	if err != nil {
		b.s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.s.t.Fatal(err)
	}
	p := &page{t: b.s.t, status: res.StatusCode, url: res.Request.URL.String(), header: res.Header, body: body}
	if l := res.Header.Get("Location"); l != "" {
		if p.to, err = res.Request.URL.Parse(l); err != nil {
			b.s.t.Fatal(err)
		}
	}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") && len(body) > 0 {
		webkittest.Check(b.s.t, body)
	}
	return p
}

func (b *browser) get(path string) *page {
	b.s.t.Helper()
	if strings.HasPrefix(path, "/") {
		path = b.s.srv.URL + path
	}
	r, err := http.NewRequest("GET", path, nil)
	if err != nil {
		b.s.t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", "none")
	return b.send(r)
}

// post sends a form as a browser does from a page of the site itself.
func (b *browser) post(path string, f url.Values, header ...string) *page {
	b.s.t.Helper()
	r, err := http.NewRequest("POST", b.s.srv.URL+path, strings.NewReader(f.Encode()))
	if err != nil {
		b.s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return b.send(r)
}

// form reads the only form of a page: where it goes and what is in it.
func (p *page) form() (action string, f url.Values) {
	p.t.Helper()
	d := webkittest.Parse(p.t, p.body)
	forms := d.All("form")
	if len(forms) != 1 {
		p.t.Fatalf("%d forms on %s: %d %s", len(forms), p.url, p.status, d.Text())
	}
	f = url.Values{}
	for _, in := range d.All("input") {
		if n := in.Attr["name"]; n != "" && !in.Has("disabled") && in.Attr["type"] != "checkbox" {
			f.Set(n, in.Attr["value"])
		}
	}
	return forms[0].Attr["action"], f
}

// submit fills in the page's form and sends it.
func (b *browser) submit(p *page, fill ...string) *page {
	b.s.t.Helper()
	action, f := p.form()
	for i := 0; i+1 < len(fill); i += 2 {
		f.Set(fill[i], fill[i+1])
	}
	return b.post(action, f)
}

func (p *page) title() string { return webkittest.Parse(p.t, p.body).All("title")[0].Text }

func (p *page) says(words string) bool {
	return strings.Contains(webkittest.Parse(p.t, p.body).Text(), words)
}

// want checks that a page is the one expected.
func (p *page) want(status int, title string) *page {
	p.t.Helper()
	if p.status != status || !strings.Contains(string(p.body), "<title>") || !strings.HasPrefix(p.title(), title) {
		p.t.Fatalf("want %d %q, got %d at %s, to %v:\n%s", status, title, p.status, p.url, p.to, p.body)
	}
	return p
}

// answer is what came back to the application.
func (p *page) answer() url.Values {
	p.t.Helper()
	if p.to == nil || p.status != http.StatusSeeOther {
		p.t.Fatalf("no redirect to the application: %d at %s\n%s", p.status, p.url, p.body)
	}
	if p.to.Fragment != "" {
		q, err := url.ParseQuery(p.to.EscapedFragment())
		if err != nil {
			p.t.Fatal(err)
		}
		return q
	}
	return p.to.Query()
}

func challenge() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

const allScopes = "openid profile offline_access api://mail/Mail.Read"

// request is tripboard's authorization request, changed as told; an empty value
// takes a parameter out.
func request(change ...string) string {
	return "/common/oauth2/v2.0/authorize?" + params(change...).Encode()
}

func params(change ...string) url.Values {
	q := url.Values{"client_id": {"tripboard"}, "response_type": {"code"}, "redirect_uri": {callback}, "scope": {allScopes}, "state": {"s-1 &=#"}, "nonce": {"n-1"},
		"code_challenge": {challenge()}, "code_challenge_method": {"S256"}}
	for i := 0; i+1 < len(change); i += 2 {
		q.Set(change[i], change[i+1])
		if change[i+1] == "" {
			q.Del(change[i])
		}
	}
	return q
}

// signIn signs in on whatever page asks for it.
func (b *browser) signIn(p *page, name string, more ...string) *page {
	b.s.t.Helper()
	p.want(200, "Sign in")
	return b.submit(p, append([]string{"username", name + "@contoso.example", "password", password}, more...)...)
}

// consented writes ada's consent, as if she had given it before.
func (s *site) consented(u *directory.User) {
	s.Update(func(tx *store.Tx) error {
		for _, p := range []directory.Permission{{Resource: "api://mail", Scopes: []string{"Mail.Read"}}, {Resource: directory.OwnAPI, Scopes: []string{"openid", "profile", "email"}}} {
			if err := tx.SaveConsent(directory.Consent{User: u.ID, App: "tripboard", Resource: p.Resource, Scopes: p.Scopes}); err != nil {
				return err
			}
		}
		return nil
	})
}

// token asks the token endpoint.
func (s *site) token(f url.Values) (status int, answer map[string]any) {
	s.t.Helper()
	res, err := s.srv.Client().PostForm(s.srv.URL+"/common/oauth2/v2.0/token", f)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, answer
}

func (s *site) redeem(code string) (int, map[string]any) {
	s.t.Helper()
	return s.token(url.Values{"grant_type": {"authorization_code"}, "client_id": {"tripboard"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}})
}

func (s *site) refresh(token string) (int, map[string]any) {
	s.t.Helper()
	return s.token(url.Values{"grant_type": {"refresh_token"}, "client_id": {"tripboard"}, "refresh_token": {token}})
}

// cookie is the session cookie the browser holds, or nil.
func (b *browser) cookie() *http.Cookie {
	u, _ := url.Parse(b.s.srv.URL)
	for _, c := range b.jar.Cookies(u) {
		if c.Name == "__Host-curfew" {
			return c
		}
	}
	return nil
}

func claims(t *testing.T, token string) (m map[string]any) {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}
