package world

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/guard"
)

// serveAPI starts the two guarded APIs, the mail and the archive behind it, and
// returns the certificate they show, which clients must trust: they send tokens to
// https only.
func (w *World) serveAPI(t *testing.T, ca []byte) []byte {
	t.Helper()
	trust := x509.NewCertPool()
	trust.AppendCertsFromPEM(ca)
	mux := http.NewServeMux()
	s := httptest.NewUnstartedServer(mux)
	w.API = "https://" + s.Listener.Addr().String()
	guarded := func(path string, c guard.Config, scope, role string) {
		c.Issuer, c.ClientID, c.ClientSecret, c.Log = w.Base, MailAPI, MailAPIPass, slog.New(slog.DiscardHandler)
		c.HTTPClient = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust}}}
		g := follow(t, c)
		h := g.Middleware(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			c, ok := guard.FromContext(r.Context())
			if !ok || !c.HasScope(scope) && !c.HasRole(role) {
				http.Error(rw, "the token allows nothing here", http.StatusForbidden)
				return
			}
			rw.Header().Set("Content-Type", "application/json")
			json.NewEncoder(rw).Encode(map[string]any{"user": c.User, "client": c.ClientID})
		}))
		mux.Handle("GET "+path, h)
		mux.Handle("GET /v1.0"+path, h) // where clients of Graph look
	}
	guarded("/mail", guard.Config{Audience: Audience, URL: w.API}, "Mail.Read", MailAll) // with a URL it takes DPoP proofs
	guarded("/archive", guard.Config{Audience: ArchiveAudience}, "Archive.Read", "nobody has this role")
	s.StartTLS()
	t.Cleanup(s.Close)
	return encodePEM(s.Certificate())
}

// follow runs a guard until the test ends and returns it when it is ready.
func follow(t *testing.T, c guard.Config) *guard.Guard {
	t.Helper()
	g, err := guard.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("guard: %v", err)
		}
	})
	ready, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := g.Ready(ready); err != nil {
		t.Fatal(err)
	}
	return g
}

// MailOpen calls the guarded API with a token that must be good.
func (w *World) MailOpen(t *testing.T, token string) { t.Helper(); w.open(t, "/mail", token) }

// MailShut waits until the API refuses a token, which must be soon, and returns
// the challenge.
func (w *World) MailShut(t *testing.T, token string) (challenge string) {
	t.Helper()
	return w.shut(t, "/mail", token)
}

// ArchiveOpen and ArchiveShut are the same for the API behind the mail, which is
// called on behalf of people.
func (w *World) ArchiveOpen(t *testing.T, token string) { t.Helper(); w.open(t, "/archive", token) }

func (w *World) ArchiveShut(t *testing.T, token string) (challenge string) {
	t.Helper()
	return w.shut(t, "/archive", token)
}

func (w *World) open(t *testing.T, path, token string) {
	t.Helper()
	if res, text := w.Get(t, w.API+path, token); res.StatusCode != http.StatusOK {
		t.Fatalf("the API answered %d %s %s", res.StatusCode, res.Header.Get("WWW-Authenticate"), text)
	}
}

// shut: the guard is told in milliseconds; two seconds are for a machine with
// other work.
func (w *World) shut(t *testing.T, path, token string) (challenge string) {
	t.Helper()
	began := time.Now()
	for {
		res, text := w.Get(t, w.API+path, token)
		switch took := time.Since(began); {
		case res.StatusCode == http.StatusUnauthorized:
			return res.Header.Get("WWW-Authenticate")
		case res.StatusCode != http.StatusOK:
			t.Fatalf("the API answered %d %s", res.StatusCode, text)
		case took > 2*time.Second:
			t.Fatalf("the API lets a revoked token in for %v", took)
		}
	}
}

// Claims reads what a challenge asks for, as JSON.
func Claims(t *testing.T, challenge string) string {
	t.Helper()
	_, rest, ok := strings.Cut(challenge, `claims="`)
	text, _, _ := strings.Cut(rest, `"`)
	raw, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || !strings.Contains(challenge, `error="insufficient_claims"`) || !json.Valid(raw) {
		t.Fatalf("not a claims challenge: %q (%v)", challenge, err)
	}
	return string(raw)
}

// TokenTime is the second in which a token was made.
func TokenTime(t *testing.T, token string) int64 {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWT: %d parts", len(parts))
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		IssuedAt int64 `json:"iat"`
	}
	if err == nil {
		err = json.Unmarshal(raw, &claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	return claims.IssuedAt
}

// Admin returns an access token of grace for the Graph API. It is got without any
// library: what is tested is what other people's clients do.
func (w *World) Admin(t *testing.T) string {
	t.Helper()
	const back, verifier = "http://localhost/", "a-code-verifier-of-forty-three-characters-or-more"
	sum := sha256.Sum256([]byte(verifier))
	end := w.Browser(t, Grace).Visit(t, w.Base+"/oauth2/authorize?"+url.Values{"client_id": {Native}, "response_type": {"code"}, "redirect_uri": {back},
		"scope": {"https://graph.microsoft.com/.default"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}}.Encode())
	res, err := w.Client.PostForm(w.Base+"/oauth2/token", url.Values{"client_id": {Native}, "grant_type": {"authorization_code"}, "code": {end.Value("code")},
		"redirect_uri": {back}, "code_verifier": {verifier}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var out struct {
		Access string `json:"access_token"`
		Error  string `json:"error_description"`
	}
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil || out.Access == "" {
		t.Fatalf("the administrator's token: %d %s %v", res.StatusCode, out.Error, err)
	}
	return out.Access
}

// Revoke ends everything of a user, as an administrator over the Graph API.
func (w *World) Revoke(t *testing.T, admin, user string) {
	t.Helper()
	if res, text := w.do(t, http.MethodPost, w.Base+"/v1.0/users/"+user+"/revokeSignInSessions", admin); res.StatusCode != http.StatusOK {
		t.Fatalf("revoke: %d %s", res.StatusCode, text)
	}
}

// RevokeApp ends everything of an application.
func (w *World) RevokeApp(t *testing.T, admin, id string) {
	t.Helper()
	if res, text := w.do(t, http.MethodPost, w.Base+"/v1.0/curfew/apps/"+id+"/revoke", admin); res.StatusCode/100 != 2 {
		t.Fatalf("revoke: %d %s", res.StatusCode, text)
	}
}

// SameSecond runs a revoke and a new sign-in, which returns its access token,
// until both fell into one second of the clock, and returns that token. Every
// round must work; only a machine that needs more than a second for each of five
// fails for its slowness.
func (w *World) SameSecond(t *testing.T, admin, user string, signIn func() string) string {
	t.Helper()
	for range 5 {
		now := time.Now()
		time.Sleep(now.Truncate(time.Second).Add(time.Second).Sub(now)) // no test of waiting: it waits for the clock
		w.Revoke(t, admin, user)
		second := time.Now().Unix()
		token := signIn()
		w.MailOpen(t, token)
		if TokenTime(t, token) == second {
			return token
		}
	}
	t.Fatal("in five rounds none within one second")
	return ""
}
