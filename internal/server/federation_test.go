package server_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
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
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/curfew-id/curfew/internal/config"
	"github.com/curfew-id/curfew/internal/server"
)

// Two directories and an identity provider that lies, all on loopback and without
// TLS. They have hosts of their own, so that one browser keeps their cookies apart.

// serve runs a server with a manifest, and another database than SQLite if one is
// named.
func serve(t *testing.T, host, database, manifest string) *node {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, l, host, database, manifest)
}

func serveOn(t *testing.T, l net.Listener, host, database, manifest string) *node {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "manifest.toml")
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Data, cfg.Listen, cfg.Apply, cfg.Database, cfg.TLS, cfg.Egress = filepath.Join(dir, "data"), l.Addr().String(), file, database, "off", "127.0.0.1, ::1"
	cfg.PublicURL = "http://" + address(l, host)
	s, err := server.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return browserFor(t, cfg.PublicURL)
}

func address(l net.Listener, host string) string {
	return fmt.Sprintf("%s:%d", host, l.Addr().(*net.TCPAddr).Port)
}

// browserFor is a browser without a cookie yet.
func browserFor(t *testing.T, base string) *node {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &node{base: base, http: &http.Client{Jar: jar, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

const hereManifest = `
[directory]
domain = "contoso.example"
name = "Contoso"

[[user]]
name = "ada@contoso.example"
display_name = "Ada Lovelace"
password = "correct horse battery"

[[user]]
name = "grace@contoso.example"
display_name = "Grace Hopper"
password = "correct horse battery"
roles = ["Global Administrator"]

[[user]]
name = "helen@contoso.example"
password = "correct horse battery"
roles = ["External Identity Provider Administrator"]

[[resource]]
id = "api://mail"
name = "Mail"
[[resource.scope]]
name = "Mail.Read"
text = "Read your mail"

[[app]]
id = "reader"
name = "Reader"
public = true
first_party = true
redirect_uris = ["http://localhost"]
permissions = [{ resource = "api://mail", scopes = ["Mail.Read"] }, { resource = "curfew", scopes = ["openid", "profile", "User.Read", "Directory.AccessAsUser.All"] }]

[[app]]
id = "mail-api"
name = "Mail API"
secret = "a-long-secret-for-the-mail-api"
guards = ["api://mail"]
`

const upstreamSecret = "a-long-secret-between-the-two"

// api calls the directory's own API.
func (n *node) api(t *testing.T, token, method, path string, in any) (int, string, map[string]any) {
	t.Helper()
	return n.send(t, token, method, n.base+"/v1.0"+path, in)
}

func (n *node) send(t *testing.T, token, method, at string, in any) (int, string, map[string]any) {
	t.Helper()
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if in == nil {
		b = nil
	}
	req, err := http.NewRequest(method, at, strings.NewReader(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := n.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text := body(t, res)
	out := map[string]any{}
	json.Unmarshal([]byte(text), &out) //nolint:errcheck // some answers are empty
	return res.StatusCode, text, out
}

const graphScope = "openid offline_access https://graph.microsoft.com/.default"

func (n *node) admin(t *testing.T, name string) string {
	t.Helper()
	return browserFor(t, n.base).signIn(t, graphScope, name).Access
}

func (n *node) idOf(t *testing.T, token, name string) string {
	t.Helper()
	status, text, out := n.api(t, token, "GET", "/users/"+name, nil)
	if status != 200 {
		t.Fatalf("%s: %d %s", name, status, text)
	}
	return out["id"].(string)
}

// who is signed in in this browser, by the account page; "" is nobody.
func (n *node) who(t *testing.T) string {
	t.Helper()
	res, text := n.get(t, n.base+"/account")
	if res.StatusCode != http.StatusOK {
		return ""
	}
	m := regexp.MustCompile(`<p class="ids"><span class="mono">([^<]*)`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no name on the account page:\n%s", text)
	}
	return m[1]
}

// says is what an error page tells people.
func says(text string) string {
	if m := regexp.MustCompile(`(?s)<p class="sub">(.*?)</p>`).FindStringSubmatch(text); m != nil {
		return html.UnescapeString(m[1])
	}
	return text
}

// liar is an identity provider that says what a test wants.
type liar struct {
	t   *testing.T
	srv *httptest.Server
	key *ecdsa.PrivateKey

	mu     sync.Mutex
	meta   map[string]any                   // guarded by mu: added to the metadata
	token  func(form url.Values) string     // guarded by mu: the ID token for a code
	access string                           // guarded by mu
	asked  []url.Values                     // guarded by mu: what came to the token endpoint
	auth   []string                         // guarded by mu: with which Authorization
	hook   func(w http.ResponseWriter) bool // guarded by mu: instead of an answer
}

func newLiar(t *testing.T) *liar {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	l := &liar{t: t, key: key, meta: map[string]any{}}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) { json.NewEncoder(w).Encode(v) } //nolint:errcheck // a test's own server
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		m := map[string]any{"issuer": l.srv.URL, "authorization_endpoint": l.srv.URL + "/authorize", "token_endpoint": l.srv.URL + "/token", "jwks_uri": l.srv.URL + "/keys"}
		for k, v := range l.meta {
			m[k] = v
		}
		answer(w, m)
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "one", Algorithm: "ES256", Use: "sig"}}})
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		l.mu.Lock()
		l.asked, l.auth = append(l.asked, r.PostForm), append(l.auth, r.Header.Get("Authorization"))
		token, access, hook := l.token, l.access, l.hook
		l.mu.Unlock()
		if hook != nil && hook(w) {
			return
		}
		answer(w, map[string]any{"access_token": access, "token_type": "Bearer", "id_token": token(r.PostForm)})
	})
	l.srv = httptest.NewServer(mux)
	t.Cleanup(l.srv.Close)
	return l
}

// sign makes a JWT with the liar's key.
func (l *liar) sign(typ string, claims map[string]any) string {
	l.t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: l.key, KeyID: "one"}}, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		l.t.Fatal(err)
	}
	b, err := json.Marshal(claims)
	if err != nil {
		l.t.Fatal(err)
	}
	j, err := s.Sign(b)
	if err != nil {
		l.t.Fatal(err)
	}
	text, err := j.CompactSerialize()
	if err != nil {
		l.t.Fatal(err)
	}
	return text
}

func (l *liar) claims(more map[string]any) map[string]any {
	now := time.Now()
	c := map[string]any{"iss": l.srv.URL, "sub": "ada-there", "aud": "curfew-here", "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "auth_time": now.Unix(), "sid": "there-1"}
	for k, v := range more {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return c
}

// answers sets the ID token for the next codes; nonce is put in unless more has one.
func (l *liar) answers(nonce string, more map[string]any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.token = func(url.Values) string {
		c := l.claims(map[string]any{"nonce": nonce})
		for k, v := range more {
			if c[k] = v; v == nil {
				delete(c, k)
			}
		}
		return l.sign("JWT", c)
	}
}

// fed is a directory with a liar as its identity provider, to which Ada is linked.
type fed struct {
	*testing.T
	here  *node
	liar  *liar
	admin string // access token of a Global Administrator
	ada   string // her id
}

func federated(t *testing.T, database string) *fed {
	t.Helper()
	f := &fed{T: t, here: serve(t, "localhost", database, hereManifest), liar: newLiar(t)}
	f.admin = f.here.admin(t, "grace@contoso.example")
	f.ada = f.here.idOf(t, f.admin, "ada@contoso.example")
	f.must(201, "POST", "/curfew/providers", map[string]any{"id": "partner", "issuer": f.liar.srv.URL, "name": "Partner", "clientId": "curfew-here", "secret": upstreamSecret})
	f.must(204, "POST", "/curfew/providers/partner/links", map[string]any{"user": f.ada, "subject": "ada-there"})
	return f
}

func (f *fed) must(want int, method, path string, in any) map[string]any {
	f.Helper()
	status, text, out := f.here.api(f.T, f.admin, method, path, in)
	if status != want {
		f.Fatalf("%s %s: %d %s, want %d", method, path, status, text, want)
	}
	return out
}

// begin starts a sign-in in a browser and returns what the provider is asked.
func (f *fed) begin(b *node, form ...string) url.Values {
	f.Helper()
	v := url.Values{}
	for i := 0; i+1 < len(form); i += 2 {
		v.Set(form[i], form[i+1])
	}
	res, text := b.post(f.T, "/federation/partner/start", v)
	if res.StatusCode != http.StatusSeeOther {
		f.Fatalf("start: %d %s", res.StatusCode, says(text))
	}
	return f.asked(res)
}

func (f *fed) asked(res *http.Response) url.Values {
	f.Helper()
	u, err := res.Location()
	if err != nil || !strings.HasPrefix(u.String(), f.liar.srv.URL+"/authorize?") {
		f.Fatalf("sent to %v (%v)", u, err)
	}
	q := u.Query()
	if q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || len(q.Get("nonce")) < 22 || len(q.Get("state")) < 22 || q.Get("client_id") != "curfew-here" ||
		q.Get("redirect_uri") != f.here.base+"/federation/partner/callback" || q.Get("response_type") != "code" || !strings.Contains(" "+q.Get("scope")+" ", " openid ") {
		f.Fatalf("asked for %v", q)
	}
	return q
}

// back is the browser coming back with an answer.
func (f *fed) back(b *node, state string, more ...string) (*http.Response, string) {
	f.Helper()
	q := url.Values{"state": {state}, "code": {"c0de"}}
	for i := 0; i+1 < len(more); i += 2 {
		if q.Set(more[i], more[i+1]); more[i+1] == "" {
			q.Del(more[i])
		}
	}
	return b.get(f.T, "/federation/partner/callback?"+q.Encode())
}

// in signs Ada in through the provider, as a new browser, and once more if the
// directory wants a fresh proof.
func (f *fed) in(more map[string]any) *node {
	f.Helper()
	b := browserFor(f.T, f.here.base)
	q := f.begin(b)
	f.liar.answers(q.Get("nonce"), more)
	res, text := f.back(b, q.Get("state"))
	if res.StatusCode != http.StatusSeeOther || b.who(f.T) != "ada@contoso.example" {
		f.Fatalf("not in: %d %s", res.StatusCode, says(text))
	}
	return b
}

func (f *fed) refused(b *node, res *http.Response, text, why string) {
	f.Helper()
	if res.StatusCode < 400 || !strings.Contains(says(text), why) {
		f.Errorf("answered %d %q, to %q, want %q", res.StatusCode, says(text), res.Header.Get("Location"), why)
	}
	if who := b.who(f.T); who != "" {
		f.Errorf("%s is signed in", who)
	}
}

func TestSignInThroughAnotherProvider(t *testing.T) {
	for name, database := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := federated(t, database(t))
			b := browserFor(t, f.here.base)
			_, page := b.get(t, "/signin")
			if !strings.Contains(page, "Sign in with Partner") || !strings.Contains(page, `action="/federation/partner/start"`) {
				t.Fatalf("no button:\n%s", page)
			}
			q := f.begin(b)
			if q.Has("prompt") || q.Has("max_age") {
				t.Errorf("the first sign-in, with nothing cut, is forced: %v", q)
			}
			when := time.Now().Add(-time.Hour).Truncate(time.Second)
			f.liar.answers(q.Get("nonce"), map[string]any{"auth_time": when.Unix(), "amr": []string{"pwd", "otp"}})
			res, text := f.back(b, q.Get("state"))
			if res.StatusCode != http.StatusSeeOther || b.who(t) != "ada@contoso.example" {
				t.Fatalf("%d %s", res.StatusCode, says(text))
			}
			// The exchange: this client's secret, the verifier of the challenge.
			f.liar.mu.Lock()
			form, auth := f.liar.asked[0], f.liar.auth[0]
			f.liar.mu.Unlock()
			sum := sha256.Sum256([]byte(form.Get("code_verifier")))
			if base64.RawURLEncoding.EncodeToString(sum[:]) != q.Get("code_challenge") || form.Get("code") != "c0de" || form.Get("redirect_uri") != q.Get("redirect_uri") ||
				auth != "Basic "+base64.StdEncoding.EncodeToString([]byte("curfew-here:"+upstreamSecret)) {
				t.Errorf("token endpoint got %v, %s", form, auth)
			}
			// So does an administrator.
			sessions := f.must(200, "GET", "/curfew/users/"+f.ada+"/sessions", nil)["value"].([]any)
			if x := sessions[0].(map[string]any); len(sessions) != 1 || x["provider"] != "partner" || x["authTime"] != when.UTC().Format("2006-01-02T15:04:05.000Z") {
				t.Errorf("sessions: %v", sessions)
			}
			// The applications hear how and when: honestly.
			out := b.signInHere(t)
			var id struct {
				AuthTime int64    `json:"auth_time"`
				AMR      []string `json:"amr"`
			}
			claimsOf(t, out.ID, &id)
			if id.AuthTime != when.Unix() || strings.Join(id.AMR, " ") != "fed pwd otp" {
				t.Errorf("the ID token says %+v, want auth_time %d", id, when.Unix())
			}
		})
	}
}

// signInHere goes through the authorization endpoint in a browser that is signed in.
func (n *node) signInHere(t *testing.T, more ...string) tokens {
	t.Helper()
	code := n.authorize(t, mailScope, "nobody", more...)
	status, out := n.token(t, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"http://localhost"}, "code_verifier": {verifier}})
	if status != http.StatusOK {
		t.Fatalf("token endpoint: %d %+v", status, out)
	}
	return out
}

func claimsOf(t *testing.T, jwt string, v any) {
	t.Helper()
	parts := strings.Split(jwt, ".")
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestAProviderThatDoesNotSayWhenIsNotQuoted(t *testing.T) {
	t.Parallel()
	f := federated(t, "")
	b := f.in(map[string]any{"auth_time": nil, "sid": nil})
	out := b.signInHere(t)
	for what, token := range map[string]string{"ID token": out.ID, "access token": out.Access} {
		claims := map[string]any{}
		claimsOf(t, token, &claims)
		if at, there := claims["auth_time"]; there {
			t.Errorf("the %s says auth_time %v", what, at)
		}
	}
}

func TestAnUpstreamThatLiesLetsNobodyIn(t *testing.T) {
	t.Parallel()
	f := federated(t, "")
	now := time.Now()
	none := func(c map[string]any) string {
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(b) + ".AAAA"
	}
	symmetric := func(c map[string]any) string {
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(upstreamSecret + "-padded-to-32-bytes")}, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := json.Marshal(c)
		j, err := s.Sign(b)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := j.CompactSerialize()
		return text
	}
	other := newLiar(t)
	for name, lie := range map[string]struct {
		claims map[string]any
		token  func(map[string]any) string
		back   []string
		why    string
	}{
		"wrong nonce":             {claims: map[string]any{"nonce": "another"}, why: "not accepted"},
		"no nonce":                {claims: map[string]any{"nonce": nil}, why: "not accepted"},
		"wrong iss":               {claims: map[string]any{"iss": "https://elsewhere.example"}, why: "iss is not the one expected"},
		"iss with a slash more":   {claims: map[string]any{"iss": f.liar.srv.URL + "/"}, why: "iss is not the one expected"},
		"other aud":               {claims: map[string]any{"aud": "another-client"}, why: "aud is not the one expected"},
		"an aud beside":           {claims: map[string]any{"aud": []string{"curfew-here", "another-client"}}, why: "aud names somebody else"},
		"other azp":               {claims: map[string]any{"azp": "another-client"}, why: "not accepted"},
		"expired":                 {claims: map[string]any{"exp": now.Add(-5 * time.Minute).Unix()}, why: "expired"},
		"from the future":         {claims: map[string]any{"iat": now.Add(time.Hour).Unix()}, why: "iat lies ahead"},
		"from long ago":           {claims: map[string]any{"iat": now.Add(-time.Hour).Unix()}, why: "too long ago"},
		"no iat":                  {claims: map[string]any{"iat": nil}, why: "iat"},
		"no exp":                  {claims: map[string]any{"exp": nil}, why: "exp"},
		"no sub":                  {claims: map[string]any{"sub": nil}, why: "not accepted"},
		"at_hash of another":      {claims: map[string]any{"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, why: "not accepted"},
		"auth_time ahead":         {claims: map[string]any{"auth_time": now.Add(time.Hour).Unix()}, why: "not accepted"},
		"alg none":                {token: none, why: "use ES256"},
		"HS256 by the secret":     {token: symmetric, why: "use ES256"},
		"another's key":           {token: func(c map[string]any) string { return other.sign("JWT", c) }, why: "verifies it"},
		"an access token":         {token: func(c map[string]any) string { return f.liar.sign("at+jwt", c) }, why: "typ"},
		"a logout token":          {token: func(c map[string]any) string { return f.liar.sign("logout+jwt", c) }, why: "typ"},
		"iss of another (9207)":   {back: []string{"iss", "https://elsewhere.example"}, why: "did not come from"},
		"an error":                {back: []string{"code", "", "error", "login_required"}, why: "answered with an error"},
		"turned back":             {back: []string{"code", "", "error", "access_denied"}, why: "turned back"},
		"nothing":                 {back: []string{"code", ""}, why: "neither a code nor an error"},
		"somebody linked to none": {claims: map[string]any{"sub": "mallory-there", "email": "ada@contoso.example", "email_verified": true, "preferred_username": "ada@contoso.example"}, why: "Nobody here is linked"},
	} {
		t.Run(name, func(t *testing.T) {
			g := *f
			g.T = t
			b := browserFor(t, f.here.base)
			q := g.begin(b)
			f.liar.answers(q.Get("nonce"), lie.claims)
			if lie.token != nil {
				c := f.liar.claims(map[string]any{"nonce": q.Get("nonce")})
				f.liar.mu.Lock()
				f.liar.token = func(url.Values) string { return lie.token(c) }
				f.liar.mu.Unlock()
			}
			f.liar.mu.Lock()
			before := len(f.liar.asked)
			f.liar.mu.Unlock()
			res, text := g.back(b, q.Get("state"), lie.back...)
			g.refused(b, res, text, lie.why)
			f.liar.mu.Lock()
			if n := len(f.liar.asked) - before; lie.back != nil && n != 0 {
				t.Errorf("the code was sent on %d times", n)
			}
			f.liar.mu.Unlock()
			// Whatever became of it, the answer is used up.
			f.liar.answers(q.Get("nonce"), nil)
			res, text = g.back(b, q.Get("state"))
			g.refused(b, res, text, "This sign-in is over")
		})
	}
	// The log of sign-ins says it, once a minute from here: anybody can cause it.
	log := fmt.Sprint(f.must(200, "GET", "/auditLogs/signIns?$top=50", nil)["value"])
	if n := strings.Count(log, "Partner: "); n != 1 || !strings.Contains(log, "provider") {
		t.Errorf("%d refusals are in the log of sign-ins:\n%s", n, log)
	}
	f.in(nil) // and the truth is still believed
}

func TestAtHashThatIsRightIsTaken(t *testing.T) {
	t.Parallel()
	f := federated(t, "")
	f.liar.access = "an-access-token"
	sum := sha256.Sum256([]byte("an-access-token"))
	f.in(map[string]any{"at_hash": base64.RawURLEncoding.EncodeToString(sum[:16])})
}

// Each sign-in that is begun is kept for a while, whoever begins it.
func TestAttackFloodOfSignInsThroughAnotherProvider(t *testing.T) {
	t.Parallel()
	f := federated(t, "")
	b := browserFor(t, f.here.base)
	began := time.Now()
	for i := 1; ; i++ {
		res, text := b.post(t, "/federation/partner/start", url.Values{})
		if res.StatusCode == http.StatusTooManyRequests {
			if i < 300 {
				t.Errorf("the %d. is refused", i)
			}
			break
		}
		if res.StatusCode != http.StatusSeeOther {
			t.Fatalf("%d %s", res.StatusCode, says(text))
		}
		if i > 350+10*int(time.Since(began).Seconds()) {
			t.Fatalf("%d were begun in %v", i, time.Since(began))
		}
	}
}

func TestAnAnswerWithoutIssIsRefusedWhereItIsPromised(t *testing.T) {
	t.Parallel()
	f := &fed{T: t, here: serve(t, "localhost", "", hereManifest), liar: newLiar(t)}
	f.liar.meta["authorization_response_iss_parameter_supported"] = true
	f.admin = f.here.admin(t, "grace@contoso.example")
	f.must(201, "POST", "/curfew/providers", map[string]any{"id": "partner", "issuer": f.liar.srv.URL + "/.well-known/openid-configuration", "name": "Partner", "clientId": "curfew-here"})
	f.must(204, "POST", "/curfew/providers/partner/links", map[string]any{"user": f.here.idOf(t, f.admin, "ada@contoso.example"), "subject": "ada-there"})
	b := browserFor(t, f.here.base)
	q := f.begin(b)
	f.liar.answers(q.Get("nonce"), nil)
	res, text := f.back(b, q.Get("state"))
	f.refused(b, res, text, "did not come from")
	q = f.begin(b)
	f.liar.answers(q.Get("nonce"), nil)
	if res, text = f.back(b, q.Get("state"), "iss", f.liar.srv.URL); res.StatusCode != http.StatusSeeOther || b.who(t) != "ada@contoso.example" {
		t.Fatalf("%d %s", res.StatusCode, says(text))
	}
	f.liar.mu.Lock()
	if form := f.liar.asked[0]; form.Get("client_id") != "curfew-here" || form.Has("client_secret") || f.liar.auth[0] != "" { // no secret: PKCE alone
		t.Errorf("token endpoint got %v, %s", form, f.liar.auth[0])
	}
	f.liar.mu.Unlock()
}

// The state belongs to the browser that began, to the provider that was asked, and
// to one answer.
func TestTheStateIsBoundToBrowserAndProvider(t *testing.T) {
	t.Parallel()
	f := federated(t, "")
	second := newLiar(t)
	f.must(201, "POST", "/curfew/providers", map[string]any{"id": "second", "issuer": second.srv.URL, "name": "Second", "clientId": "curfew-here", "secret": upstreamSecret})
	f.must(204, "POST", "/curfew/providers/second/links", map[string]any{"user": f.ada, "subject": "ada-there"})

	mine, theirs := browserFor(t, f.here.base), browserFor(t, f.here.base)
	q := f.begin(mine)
	f.begin(theirs) // so that the other browser has a cookie of its own
	f.liar.answers(q.Get("nonce"), nil)
	res, text := f.back(theirs, q.Get("state"))
	f.refused(theirs, res, text, "begun in another browser")
	res, text = f.back(browserFor(t, f.here.base), q.Get("state"))
	f.refused(theirs, res, text, "begun in another browser")

	// A mix-up: the answer, with the code of one provider, at the address of the other.
	second.answers(q.Get("nonce"), nil)
	res, text = mine.get(t, "/federation/second/callback?code=c0de&state="+q.Get("state"))
	f.refused(mine, res, text, "This sign-in is over")
	second.mu.Lock()
	if len(second.asked) != 0 {
		t.Errorf("the second provider was sent the first one's code: %v", second.asked)
	}
	second.mu.Unlock()

	// None of that has used it up, nor has somebody who only looks.
	if res, err := mine.http.Head(f.here.base + "/federation/partner/callback?code=c0de&state=" + q.Get("state")); err != nil || res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("HEAD: %v %v", res, err)
	}
	if res, text = f.back(mine, q.Get("state")); res.StatusCode != http.StatusSeeOther || mine.who(t) != "ada@contoso.example" {
		t.Fatalf("%d %s", res.StatusCode, says(text))
	}
	res, text = f.back(mine, q.Get("state"))
	if res.StatusCode != http.StatusBadRequest || !strings.Contains(says(text), "This sign-in is over") {
		t.Errorf("replayed: %d %s", res.StatusCode, says(text))
	}
	// Another site cannot begin one (login CSRF).
	req, err := http.NewRequest("POST", f.here.base+"/federation/partner/start", strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	res, err = f.here.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body) //nolint:errcheck // nobody reads it
	if res.Body.Close(); res.StatusCode != http.StatusForbidden {
		t.Errorf("begun from another site: %d", res.StatusCode)
	}
}

// Whatever comes back in an address or a form: an answer that says what is wrong, and
// nobody is signed in or out by it.
func TestSpoiledParametersOfTheWayBack(t *testing.T) {
	for name, database := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := federated(t, database(t))
			in := f.in(nil)
			long := strings.Repeat("a", 20<<10)
			spoiled := []string{"", "x", "%00", "%ff", "%zz", long, "%27%3b--", "..%2f"}
			for _, v := range spoiled {
				for _, query := range []string{"state=" + v, "state=" + v + "&code=" + v, "state=x&code=y&iss=" + v, "state=x&error=" + v, "state=" + v + "&state=" + v, ""} {
					b := browserFor(t, f.here.base)
					f.begin(b)
					if res, text := b.get(t, "/federation/partner/callback?"+query); res.StatusCode != http.StatusBadRequest || b.who(t) != "" {
						t.Errorf("callback?%.60s: %d %s", query, res.StatusCode, says(text))
					}
				}
				if v == "%zz" {
					continue // no client writes that into a path or a form
				}
				for _, path := range []string{"/federation/" + v + "/callback?state=x&code=y", "/federation/partner%00" + v + "/callback?state=x&code=y"} {
					if res, text := f.here.get(t, path); v != "" && res.StatusCode != http.StatusBadRequest && res.StatusCode != http.StatusNotFound {
						t.Errorf("%.60s: %d %s", path, res.StatusCode, says(text))
					}
				}
				plain, err := url.PathUnescape(v)
				if err != nil {
					t.Fatal(err)
				}
				for _, path := range []string{"/federation/partner/logout", "/federation/" + v + "x/logout"} {
					if res, text := f.here.post(t, path, url.Values{"logout_token": {plain}}); res.StatusCode != http.StatusBadRequest {
						t.Errorf("%.60s %.20q: %d %s", path, plain, res.StatusCode, text)
					}
				}
				if res, text := f.here.post(t, "/federation/"+v+"x/start", url.Values{"flow": {plain}}); res.StatusCode != http.StatusNotFound && res.StatusCode != http.StatusBadRequest {
					t.Errorf("start %.20q: %d %s", plain, res.StatusCode, says(text))
				}
			}
			if res, text := f.here.post(t, "/federation/partner/logout", url.Values{"logout_token": {"a", "a"}}); res.StatusCode != http.StatusBadRequest {
				t.Errorf("doubled: %d %s", res.StatusCode, text)
			}
			if in.who(t) == "" {
				t.Error("one of them ended a session")
			}
		})
	}
}
