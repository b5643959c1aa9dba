package server_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/config"
	"github.com/curfew-id/curfew/internal/server"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

const manifest = `
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

// node is a running server with an HTTP client that trusts it.
type node struct {
	base string
	http *http.Client
}

// start runs a server as curfew serve does; database "" is SQLite.
func start(tb testing.TB, database string, change ...func(*config.Config)) *node {
	tb.Helper()
	dir := tb.TempDir()
	file := filepath.Join(dir, "manifest.toml")
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		tb.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	cfg := config.Default()
	cfg.Data, cfg.Listen, cfg.Apply, cfg.Database = filepath.Join(dir, "data"), l.Addr().String(), file, database
	cfg.PublicURL = fmt.Sprintf("https://localhost:%d", l.Addr().(*net.TCPAddr).Port)
	for _, f := range change {
		f(&cfg)
	}
	s, err := server.Open(tb.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, l) }()
	tb.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			tb.Errorf("run: %v", err)
		}
	})
	pem, err := server.LocalCA(cfg.Data)
	if err != nil {
		tb.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	jar, err := cookiejar.New(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return &node{base: cfg.PublicURL, http: &http.Client{Jar: jar, Timeout: 20 * time.Second,
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, MaxIdleConnsPerHost: 64, ForceAttemptHTTP2: false},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (n *node) get(tb testing.TB, path string) (*http.Response, string) {
	tb.Helper()
	if strings.HasPrefix(path, "/") {
		path = n.base + path
	}
	res, err := n.http.Get(path)
	if err != nil {
		tb.Fatal(err)
	}
	return res, body(tb, res)
}

func (n *node) post(tb testing.TB, path string, form url.Values) (*http.Response, string) {
	tb.Helper()
	if strings.HasPrefix(path, "/") {
		path = n.base + path
	}
	res, err := n.http.PostForm(path, form)
	if err != nil {
		tb.Fatal(err)
	}
	return res, body(tb, res)
}

func body(tb testing.TB, res *http.Response) string {
	tb.Helper()
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

const verifier = "a-code-verifier-of-forty-three-characters-or-more"

var (
	actionRE = regexp.MustCompile(`<form[^>]*action="([^"]*)"`)
	hiddenRE = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`)
)

// authorize walks from the authorization endpoint through the sign-in form to
// the code. more is name and value of further parameters.
func (n *node) authorize(tb testing.TB, scope, user string, more ...string) string {
	tb.Helper()
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{"client_id": {"reader"}, "response_type": {"code"}, "redirect_uri": {"http://localhost"}, "scope": {scope},
		"state": {"s"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}}
	for i := 0; i < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	at := n.base + "/oauth2/authorize?" + q.Encode()
	for range 8 {
		res, text := n.get(tb, at)
		for res.StatusCode == http.StatusOK { // the sign-in form
			form := url.Values{"username": {user}, "password": {"correct horse battery"}}
			for _, h := range hiddenRE.FindAllStringSubmatch(text, -1) {
				form.Set(h[1], strings.NewReplacer("&amp;", "&", "&#34;", `"`, "&#43;", "+").Replace(h[2]))
			}
			m := actionRE.FindStringSubmatch(text)
			if m == nil {
				tb.Fatalf("no form at %s:\n%s", at, text)
			}
			res, text = n.post(tb, m[1], form)
			if res.StatusCode == http.StatusOK || res.StatusCode >= 400 {
				tb.Fatalf("sign-in answered %d:\n%s", res.StatusCode, text)
			}
		}
		u, err := res.Location()
		if err != nil {
			tb.Fatalf("%s answered %d without a place to go:\n%s", at, res.StatusCode, text)
		}
		if u.Host == "localhost" {
			if code := u.Query().Get("code"); code != "" {
				return code
			}
			tb.Fatalf("no code: %s", u)
		}
		at = u.String()
	}
	tb.Fatal("the walk does not end")
	return ""
}

type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
	Error   string `json:"error"`
	Sub     string `json:"suberror"`
	Expires int    `json:"expires_in"`
}

func (n *node) token(tb testing.TB, form url.Values) (int, tokens) {
	tb.Helper()
	form.Set("client_id", "reader")
	res, text := n.post(tb, "/oauth2/token", form)
	var t tokens
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		tb.Fatalf("%d %s", res.StatusCode, text)
	}
	return res.StatusCode, t
}

func (n *node) signIn(tb testing.TB, scope, user string) tokens {
	tb.Helper()
	code := n.authorize(tb, scope, user)
	status, t := n.token(tb, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"http://localhost"}, "code_verifier": {verifier}})
	if status != http.StatusOK {
		tb.Fatalf("token endpoint: %d %+v", status, t)
	}
	return t
}

// revoke ends a user's sessions, as an administrator with this token.
func (n *node) revoke(tb testing.TB, token, user string) {
	tb.Helper()
	req, err := http.NewRequest(http.MethodPost, n.base+"/v1.0/users/"+user+"/revokeSignInSessions", nil)
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := n.http.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	if text := body(tb, res); res.StatusCode != http.StatusOK || !strings.Contains(text, "rc_") {
		tb.Fatalf("revoke: %d %s", res.StatusCode, text)
	}
}

// anew is the same node for somebody else's browser.
func (n *node) anew(tb testing.TB) *node {
	tb.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		tb.Fatal(err)
	}
	c := *n.http
	c.Jar = jar
	return &node{base: n.base, http: &c}
}

const mailScope = "openid profile offline_access api://mail/Mail.Read"

var databases = map[string]func(testing.TB) string{
	"sqlite":   func(testing.TB) string { return "" },
	"postgres": func(tb testing.TB) string { return storetest.Postgres(tb) },
}

func TestServedFromEmptyFolderToRevoked(t *testing.T) {
	for name, url := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := start(t, url(t))
			story(t, n)
		})
	}
}

func story(t *testing.T, n *node) {
	for _, path := range []string{"/healthz", "/readyz", "/.well-known/openid-configuration", "/contoso.example/v2.0/.well-known/openid-configuration", "/oauth2/keys"} {
		if res, text := n.get(t, path); res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s", path, res.StatusCode, text)
		}
	}
	ada := n.signIn(t, mailScope, "ada@contoso.example")
	grace := n.anew(t).signIn(t, "openid offline_access https://graph.microsoft.com/.default", "grace@contoso.example")
	n.revoke(t, grace.Access, "ada@contoso.example")
	status, dead := n.token(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {ada.Refresh}})
	if status != http.StatusBadRequest || dead.Error != "invalid_grant" || dead.Sub != "bad_token" {
		t.Fatalf("refresh after the revoke: %d %+v", status, dead)
	}
	if again := n.anew(t).signIn(t, mailScope, "ada@contoso.example"); again.Access == "" {
		t.Fatal("no new sign-in")
	}
}
