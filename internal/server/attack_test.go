package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/curfew-id/curfew/internal/config"
)

// trap is a server on loopback that nobody should ask, or that answers badly.
type trap struct {
	*httptest.Server
	asked atomic.Int32 // connections
}

func newTrap(t *testing.T, answer http.HandlerFunc) *trap {
	t.Helper()
	x := &trap{Server: httptest.NewUnstartedServer(answer)}
	x.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			x.asked.Add(1)
		}
	}
	x.Start()
	t.Cleanup(x.Close)
	return x
}

// proves asks for a token as an application whose keys are at an address, and
// returns the answer.
func (n *node) proves(t *testing.T, client string, key *ecdsa.PrivateKey) (int, string) {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := json.Marshal(map[string]any{"iss": client, "sub": client, "aud": n.base, "jti": rand.Text(), "exp": time.Now().Add(time.Minute).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	jws, err := s.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	res, answer := n.post(t, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"api://mail/.default"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {text}})
	return res.StatusCode, answer
}

// published starts a server with one application for each address of keys.
func published(t *testing.T, allow string, addrs ...string) *node {
	t.Helper()
	return start(t, "", func(c *config.Config) {
		c.Egress = allow
		text := strings.Replace(manifest, "[[resource.scope]]", "app_roles = [\"Read.All\"]\n[[resource.scope]]", 1)
		for i, addr := range addrs {
			text += fmt.Sprintf("\n[[app]]\nid = \"robot-%d\"\nname = \"Robot\"\njwks_uri = %q\napp_permissions = [{ resource = \"api://mail\", scopes = [\"Read.All\"] }]\n", i, addr)
		}
		c.Apply = filepath.Join(filepath.Dir(c.Apply), "robots.toml")
		if err := os.WriteFile(c.Apply, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	})
}

// Whoever may register an address may not see through it what this server can see:
// nothing inside is asked, by whatever spelling, and the answer does not tell what is
// there.
func TestAttackServerSideRequestForgery(t *testing.T) {
	t.Parallel()
	inside := newTrap(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"keys":[]}`) })
	_, port, err := net.SplitHostPort(inside.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	closed.Close()
	addrs := []string{"http://127.0.0.1:" + port + "/keys", "http://localhost:" + port + "/keys", "http://[::1]:" + port + "/keys", "https://127.0.0.1:" + port, "https://localhost:" + port, "https://localhost.:" + port, "https://LOCALHOST:" + port,
		"https://[::ffff:127.0.0.1]:" + port, "https://2130706433:" + port, "https://0x7f000001:" + port, "https://127.1:" + port, "https://0:" + port, "https://0.0.0.0:" + port, "https://[::]:" + port, "https://[64:ff9b::7f00:1]:" + port,
		"https://10.0.0.1/keys", "https://192.168.0.1/keys", "https://[fd00::1]/keys", "https://169.254.169.254/latest/meta-data/", "https://[fd00:ec2::254]/", "https://100.100.100.200/", "http://" + nobody + "/keys"}
	n := published(t, "", addrs...)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for i, addr := range addrs {
		began := time.Now()
		status, answer := n.proves(t, fmt.Sprint("robot-", i), key)
		var m struct {
			Error       string `json:"error"`
			Description string `json:"error_description"`
		}
		if err := json.Unmarshal([]byte(answer), &m); err != nil || status != http.StatusServiceUnavailable || m.Error != "temporarily_unavailable" {
			t.Errorf("%s: %d %s", addr, status, answer)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("%s: it was tried for %v", addr, took)
		}
		m.Description, _, _ = strings.Cut(m.Description, " Trace ID")
		told[m.Description] = true
	}
	if n := inside.asked.Load(); n != 0 {
		t.Errorf("the server inside was asked %d times", n)
	}
	// What listens, what does not, and what is not public read the same.
	if len(told) != 1 {
		t.Errorf("the answers tell apart what is inside: %v", told)
	}
}

// Keys that are far too many, never end, lead elsewhere or hold a secret prove
// nothing, and do not keep the server busy.
func TestAttackPublishedKeys(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set := func(keys ...jose.JSONWebKey) string {
		b, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	public := jose.JSONWebKey{Key: key.Public()}
	good := set(public)
	many := make([]jose.JSONWebKey, 0, 100)
	for range 99 {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		many = append(many, jose.JSONWebKey{Key: k.Public()})
	}
	huge := base64.RawURLEncoding.EncodeToString(append([]byte{0x80}, make([]byte, 1<<15)...))
	elsewhere := newTrap(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, good) })
	answers := map[string]http.HandlerFunc{
		"good": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, good) },
		"endless": func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, `{"keys":[`)
			for r.Context().Err() == nil {
				if _, err := fmt.Fprint(w, strings.Repeat(" ", 64<<10)); err != nil {
					return
				}
			}
		},
		"a redirect":  func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) },
		"the private": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, set(jose.JSONWebKey{Key: key})) },
		"a secret": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"keys":[{"kty":"oct","k":"AAAA"},`+good[9:])
		},
		"the 100th": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, set(append(many, public)...)) },
		"huge RSA": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"keys":[{"kty":"RSA","n":%q,"e":"AQAB"}]}`, huge)
		},
		"an error": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, good, http.StatusNotFound) },
		"two sets": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"keys":[],"keys":`+good[8:]) },
		"deeply lain": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"x":`+strings.Repeat("[", 30000)+`,"keys":`+good[8:])
		},
		"for another": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, set(jose.JSONWebKey{Key: key.Public(), Use: "enc"}))
		},
		"as a picture": func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte{0xff, 0xd8, 0xff}) },
	}
	var names, addrs []string
	for name, answer := range answers {
		names, addrs = append(names, name), append(addrs, newTrap(t, answer).URL)
	}
	n := published(t, "127.0.0.1", addrs...)
	for i, name := range names {
		began := time.Now()
		status, text := n.proves(t, fmt.Sprint("robot-", i), key)
		if good := name == "good"; good != (status == 200) || !good && status != 401 && status != 503 {
			t.Errorf("keys: %s: %d %s", name, status, text)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("keys: %s: took %v", name, took)
		}
	}
	if elsewhere.asked.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

// No surface of the running server takes its own address from a request, nor where a
// request came from.
func TestAttackHostHeaderAtEverySurface(t *testing.T) {
	t.Parallel()
	n := start(t, "")
	admin := n.signIn(t, "openid https://graph.microsoft.com/.default", "grace@contoso.example").Access
	for _, path := range []string{"/v1.0/users?$top=1", "/v1.0/me", "/v1.0/applications", "/v1.0/servicePrincipals", "/v1.0/auditLogs/directoryAudits?$top=1", "/v1.0/curfew/guards", "/v1.0/nothing", "/v1.0/users/nobody@contoso.example",
		"/portal", "/portal/users", "/portal/users/ada@contoso.example", "/portal/applications", "/account", "/account/identities", "/signin", "/device", "/oauth2/authorize", "/oauth2/logout", "/.well-known/openid-configuration", "/feed", "/healthz", "/readyz", "/nothing",
		"//evil.example/%2e%2e", "/portal//evil.example", "/account/../evil.example", "/\\evil.example"} {
		for _, host := range []string{"", "evil.example", "evil.example:443"} {
			r, err := http.NewRequest(http.MethodGet, n.base, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.URL.Opaque = strings.Replace(n.base+path, "https:", "", 1)
			if host != "" {
				r.Host = host
			}
			for _, name := range []string{"X-Forwarded-Host", "X-Original-Host", "X-Forwarded-Server", "Forwarded", "X-Original-URL", "X-Rewrite-URL"} {
				r.Header.Set(name, map[bool]string{true: "host=evil.example", false: "evil.example"}[name == "Forwarded"])
			}
			r.Header.Set("X-Forwarded-For", "203.0.113.66")
			if strings.HasPrefix(path, "/v1.0") {
				r.Header.Set("Authorization", "Bearer "+admin)
			}
			res, err := n.http.Do(r)
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			text := body(t, res)
			for name, values := range res.Header {
				for _, v := range values {
					// A cleaned path is one of this server's all the same.
					if u, err := url.Parse(v); name == "Location" && err == nil && u.Host == "" && !strings.HasPrefix(v, "//") && !strings.Contains(v, "\\") {
						continue
					}
					if strings.Contains(v, "evil.example") {
						t.Errorf("%s as %q: %s: %s", path, host, name, v)
					}
				}
			}
			if strings.Contains(text, "evil.example") && !strings.Contains(path, "evil.example") || strings.Contains(text, "203.0.113.66") {
				t.Errorf("%s as %q repeats it:\n%.400s", path, host, text)
			}
			if path == "/v1.0/users?$top=1" && !strings.Contains(text, `"@odata.nextLink":"`+n.base+"/") {
				t.Errorf("the next page is not here: %d %.300s", res.StatusCode, text)
			}
			if res.StatusCode == http.StatusInternalServerError {
				t.Errorf("%s as %q: %d %s", path, host, res.StatusCode, text)
			}
		}
	}
	// What was done is on record from the address of the connection.
	n.revoke(t, admin, "ada@contoso.example")
	if _, text := n.graphGet(t, admin, "/v1.0/auditLogs/directoryAudits?$top=5"); strings.Contains(text, "203.0.113.66") {
		t.Errorf("the audit log believes a header:\n%s", text)
	}
}

func (n *node) graphGet(t *testing.T, token, path string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, n.base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := n.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, body(t, res)
}
