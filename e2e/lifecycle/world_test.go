package lifecycle_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfew-id/curfew/guard"
	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/config"
	"github.com/curfew-id/curfew/internal/server"
)

const (
	domain   = "contoso.example"
	password = "correct horse battery"
	root     = "grace@" + domain // Global Administrator
	verifier = "a-code-verifier-of-forty-three-characters-or-more"
	landing  = "https://app.contoso.example/cb"
)

// first is what every world begins with. mail-api stands in front of api://mail
// and calls api://archive for people.
const first = `
[directory]
domain = "contoso.example"
name = "Contoso"

[[user]]
name = "grace@contoso.example"
display_name = "Grace Hopper"
password = "correct horse battery"
roles = ["Global Administrator"]

[[user]]
name = "henry@contoso.example"
display_name = "Henry, to whom nothing happens"
password = "correct horse battery"

[[resource]]
id = "api://mail"
name = "Mail"
app_roles = ["Mail.Read.All"]
[[resource.scope]]
name = "Mail.Read"
text = "Read your mail"
[[resource.scope]]
name = "Mail.Send"
text = "Send mail as you"
[[resource.scope]]
name = "Mail.Spare"
text = "Nothing"

[[resource]]
id = "api://archive"
name = "Archive"
[[resource.scope]]
name = "Archive.Read"
text = "Read your archive"

[[app]]
id = "console"
name = "The administrator's console"
public = true
first_party = true
redirect_uris = ["https://app.contoso.example/cb"]
permissions = [{ resource = "curfew", scopes = ["openid", "profile", "User.Read", "Directory.AccessAsUser.All"] }]

[[app]]
id = "other"
name = "Another application"
public = true
first_party = true
redirect_uris = ["https://app.contoso.example/cb"]
permissions = [{ resource = "api://mail", scopes = ["Mail.Read"] }]

[[app]]
id = "mail-api"
name = "Mail API"
secret = "a-long-secret-for-the-mail-api"
first_party = true
guards = ["api://mail"]
permissions = [{ resource = "api://archive", scopes = ["Archive.Read"] }]

[[app]]
id = "archive-api"
name = "Archive API"
secret = "a-long-secret-for-the-archive-api"
guards = ["api://archive"]
`

// world is a running server with two guarded services, one administrator's
// browser, connection and token, and Henry.
type world struct {
	base    string
	cfg     config.Config
	stop    func()
	tls     *http.Transport
	ca      string
	mail    *service
	archive *service
	admin   *browser
	token   string         // of the administrator, for the API
	cli     *client.Client // the command line's hands
	henry   *browser
	n       atomic.Int64 // lives begun
}

// service is behind a real guard.
type service struct {
	url   string
	guard *guard.Guard
}

func newWorld(t *testing.T, database string) *world {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "first.toml")
	if err := os.WriteFile(file, []byte(first), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Data, cfg.Listen, cfg.Apply, cfg.Database = filepath.Join(dir, "data"), l.Addr().String(), file, database
	cfg.PublicURL = fmt.Sprintf("https://localhost:%d", l.Addr().(*net.TCPAddr).Port)
	w := &world{base: cfg.PublicURL, cfg: cfg}
	w.serve(t, l)
	t.Cleanup(func() { w.stop() })
	pem, err := server.LocalCA(cfg.Data)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	w.ca, w.tls = string(pem), &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, MaxIdleConnsPerHost: 64}
	t.Cleanup(w.tls.CloseIdleConnections)
	w.mail, w.archive = w.guarded(t, "mail-api", "api://mail"), w.guarded(t, "archive-api", "api://archive")
	w.enter(t)
	w.henryEnters(t)
	return w
}

// serve starts the server on l; stop ends it.
func (w *world) serve(t *testing.T, l net.Listener) {
	t.Helper()
	s, err := server.Open(t.Context(), w.cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, l) }()
	w.stop = func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
}

func (w *world) henryEnters(t *testing.T) {
	t.Helper()
	w.henry = w.browser(t)
	w.henry.signIn(t, "henry@"+domain, password)
}

// enter signs the administrator in, again.
func (w *world) enter(t *testing.T) {
	t.Helper()
	w.admin = w.browser(t)
	w.admin.signIn(t, root, password)
	code := w.admin.code(t, url.Values{"client_id": {"console"}, "scope": {"openid offline_access https://graph.microsoft.com/.default"}})
	got := w.redeem(t, "console", "", code)
	w.token = got.Access
	c, err := client.New(client.Store{Dir: t.TempDir()}, &client.Connection{Name: "test", Base: w.base, CA: w.ca, Token: client.Token{Access: got.Access, Refresh: got.Refresh}})
	if err != nil {
		t.Fatal(err)
	}
	w.cli = c
}

func (w *world) guarded(t *testing.T, id, audience string) *service {
	t.Helper()
	g, err := guard.New(guard.Config{Issuer: w.base, ClientID: id, ClientSecret: guard.Secret("a-long-secret-for-the-" + id), Audience: audience,
		HTTPClient: &http.Client{Transport: w.tls, Timeout: 30 * time.Second}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() { defer close(over); g.Run(ctx) }()
	t.Cleanup(func() { stop(); <-over })
	ready, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := g.Ready(ready); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(g.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })))
	t.Cleanup(srv.Close)
	return &service{url: srv.URL, guard: g}
}

// take asks the service with a token.
func (s *service) take(t *testing.T, token string) outcome {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, s.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	switch res.StatusCode {
	case http.StatusNoContent:
		return alive
	case http.StatusUnauthorized:
		return dead(res.Header.Get("WWW-Authenticate"))
	}
	t.Fatalf("a guarded service answered %d", res.StatusCode)
	return outcome{}
}

// heard returns when both guards have applied all that the ledger holds.
func (w *world) heard(t *testing.T) {
	t.Helper()
	lines, err := w.cli.Ledger(t.Context(), 1)
	if err != nil || len(lines) == 0 {
		t.Fatalf("ledger: %v", err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		m, a := w.mail.guard.Status(), w.archive.guard.Status()
		if int64(m.Position) >= int64(lines[0].Pos) && int64(a.Position) >= int64(lines[0].Pos) && !m.Closed && !a.Closed {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the guards do not hear of line %d: %+v %+v", lines[0].Pos, m, a)
		}
	}
}

// outcome is what became of something that was handed out.
type outcome struct {
	alive bool
	why   string
}

var alive = outcome{alive: true}

func dead(why string) outcome { return outcome{why: why} }

// browser is one browser of one person.
type browser struct {
	w    *world
	http *http.Client
}

func (w *world) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{w: w, http: &http.Client{Jar: jar, Timeout: 30 * time.Second, Transport: w.tls,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// page is an answer to a browser.
type page struct {
	status int
	to     string // Location
	text   string
}

func (b *browser) do(t *testing.T, method, path string, form url.Values) page {
	t.Helper()
	if strings.HasPrefix(path, "/") {
		path = b.w.base + path
	}
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequest(method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := b.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return page{res.StatusCode, res.Header.Get("Location"), body2(t, res)}
}

func body2(t *testing.T, res *http.Response) string {
	t.Helper()
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (b *browser) get(t *testing.T, path string) page {
	t.Helper()
	return b.do(t, http.MethodGet, path, nil)
}

func (b *browser) post(t *testing.T, path string, form url.Values) page {
	t.Helper()
	return b.do(t, http.MethodPost, path, form)
}

var (
	actionRE = regexp.MustCompile(`<form[^>]*action="([^"]*)"`)
	hiddenRE = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`)
)

// fill reads the form of a page; more is name and value of what a person adds.
func (p page) fill(t *testing.T, more ...string) (action string, form url.Values) {
	t.Helper()
	m := actionRE.FindStringSubmatch(p.text)
	if m == nil {
		t.Fatalf("no form in %d %s", p.status, p.text)
	}
	form = url.Values{}
	for _, h := range hiddenRE.FindAllStringSubmatch(p.text, -1) {
		form.Set(h[1], html.UnescapeString(h[2]))
	}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return html.UnescapeString(m[1]), form
}

// signIn signs a person in who holds no ticket.
func (b *browser) signIn(t *testing.T, name, pw string) {
	t.Helper()
	action, form := b.get(t, "/signin").fill(t, "username", name, "password", pw)
	if p := b.post(t, action, form); p.status != http.StatusSeeOther {
		t.Fatalf("%s cannot sign in: %d %s", name, p.status, p.text)
	}
}

// here uses the session cookie.
func (b *browser) here(t *testing.T) outcome {
	t.Helper()
	switch p := b.get(t, "/account"); p.status {
	case http.StatusOK:
		return alive
	case http.StatusSeeOther:
		return dead(p.to)
	case http.StatusForbidden: // a policy keeps it out
		return dead(fmt.Sprint(p.status))
	default:
		t.Fatalf("/account answered %d %s", p.status, p.text)
		return outcome{}
	}
}

// cookie is the session cookie's value.
func (b *browser) cookie(t *testing.T) *http.Cookie {
	t.Helper()
	u, err := url.Parse(b.w.base)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range b.http.Jar.Cookies(u) {
		if strings.HasPrefix(c.Name, "__Host-") && len(c.Value) > 20 {
			return c
		}
	}
	t.Fatal("no session cookie")
	return nil
}

// ask brings an authorization request and goes on to where a person has to decide
// or the application gets its answer.
func (b *browser) ask(t *testing.T, q url.Values) page {
	t.Helper()
	return b.follow(t, b.w.authorizeURL(q))
}

func (w *world) authorizeURL(q url.Values) string {
	sum := sha256.Sum256([]byte(verifier))
	all := url.Values{"response_type": {"code"}, "redirect_uri": {landing}, "state": {"s"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}}
	if q.Has("request_uri") {
		all = url.Values{}
	}
	for k, v := range q {
		all[k] = v
	}
	return "/oauth2/authorize?" + all.Encode()
}

func (b *browser) follow(t *testing.T, at string) page {
	t.Helper()
	for range 8 {
		p := b.get(t, at)
		if p.status/100 != 3 || strings.HasPrefix(p.to, landing) {
			return p
		}
		at = p.to
	}
	t.Fatal("the walk does not end")
	return page{}
}

// allow decides a consent page, and goes on.
func (b *browser) allow(t *testing.T, p page) page {
	t.Helper()
	action, form := p.fill(t, "decision", "allow")
	if p = b.post(t, action, form); p.status/100 == 3 && !strings.HasPrefix(p.to, landing) {
		p = b.follow(t, p.to)
	}
	return p
}

// code asks for a code, and consents if asked to.
func (b *browser) code(t *testing.T, q url.Values) string {
	t.Helper()
	p := b.ask(t, q)
	if p.status == http.StatusOK && strings.Contains(p.text, `value="allow"`) {
		p = b.allow(t, p)
	}
	code := codeOf(p)
	if code == "" {
		t.Fatalf("no code for %s: %d %s %s", q.Encode(), p.status, p.to, p.text)
	}
	return code
}

func codeOf(p page) string {
	u, err := url.Parse(p.to)
	if err != nil || !strings.HasPrefix(p.to, landing) {
		return ""
	}
	return u.Query().Get("code")
}

// tokens is an answer of the token endpoint.
type tokens struct {
	status  int
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Error   string `json:"error"`
	Text    string `json:"error_description"`
}

// form posts to an endpoint of the plain issuer, as an application.
func (w *world) form(t *testing.T, path, id, secret string, v url.Values, into any) int {
	t.Helper()
	v.Set("client_id", id)
	if secret != "" {
		v.Set("client_secret", secret)
	}
	res, err := (&http.Client{Transport: w.tls, Timeout: 30 * time.Second}).PostForm(w.base+path, v)
	if err != nil {
		t.Fatal(err)
	}
	text := body2(t, res)
	if into != nil {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			t.Fatalf("%s: %d %s", path, res.StatusCode, text)
		}
	}
	return res.StatusCode
}

func (w *world) ask(t *testing.T, id, secret string, v url.Values) (got tokens) {
	t.Helper()
	got.status = w.form(t, "/oauth2/token", id, secret, v, &got)
	return got
}

// outcome of a use: refused is what the standard calls a dead grant.
func (g tokens) outcome(t *testing.T) outcome {
	t.Helper()
	switch {
	case g.status == http.StatusOK:
		return alive
	case g.status == http.StatusBadRequest && (g.Error == "invalid_grant" || g.Error == "unauthorized_client"), g.status == http.StatusUnauthorized && g.Error == "invalid_client":
		return dead(g.Error + ": " + g.Text)
	}
	t.Fatalf("the token endpoint answered %d %s %s", g.status, g.Error, g.Text)
	return outcome{}
}

func (w *world) redeem(t *testing.T, id, secret, code string) tokens {
	t.Helper()
	got := w.ask(t, id, secret, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {landing}, "code_verifier": {verifier}})
	if got.status != http.StatusOK {
		t.Fatalf("code of %s: %d %s %s", id, got.status, got.Error, got.Text)
	}
	return got
}

func (w *world) refresh(t *testing.T, id, secret, token, scope string) tokens {
	t.Helper()
	v := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	if scope != "" {
		v.Set("scope", scope)
	}
	return w.ask(t, id, secret, v)
}

// api calls the API with a token; in is a body in JSON, or a string as it is.
func (w *world) api(t *testing.T, token, method, path string, in any) (int, string) {
	t.Helper()
	var body io.Reader
	kind := "application/json"
	switch x := in.(type) {
	case nil:
	case string:
		body, kind = strings.NewReader(x), "application/toml"
		if strings.HasSuffix(path, "/import") {
			kind = "text/csv"
		}
	default:
		b, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequest(method, w.base+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", kind)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := (&http.Client{Transport: w.tls, Timeout: 60 * time.Second}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, body2(t, res)
}

// must is api as the administrator, where it has to work.
func (w *world) must(t *testing.T, method, path string, in any) string {
	t.Helper()
	status, text := w.api(t, w.token, method, path, in)
	if status/100 != 2 {
		t.Fatalf("%s %s: %d %s", method, path, status, text)
	}
	return text
}

// field finds a text in a JSON object.
func field(t *testing.T, text, name string) string {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	s, _ := all[name].(string)
	if s == "" {
		t.Fatalf("no %s in %s", name, text)
	}
	return s
}

// readClaims reads what a token of ours says.
func readClaims(t *testing.T, token string, into any) {
	t.Helper()
	part := strings.Split(token, ".")
	if len(part) != 3 {
		t.Fatalf("not a token: %d parts", len(part))
	}
	b, err := base64.RawURLEncoding.DecodeString(part[1])
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}
