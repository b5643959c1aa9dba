package upstream

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/egress"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/proof"
)

// site is a provider and a client that asks it.
type site struct {
	*Client
	t   *testing.T
	srv *httptest.Server
	p   *directory.Provider

	mu    sync.Mutex
	now   time.Time                                    // guarded by mu
	keys  map[string]*ecdsa.PrivateKey                 // guarded by mu: published
	asked map[string]int                               // guarded by mu: by path
	meta  map[string]any                               // guarded by mu
	down  int                                          // guarded by mu: status of every answer; 0: it answers
	reply func(w http.ResponseWriter, r *http.Request) // guarded by mu: at the token endpoint
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func open(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, now: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC), keys: map[string]*ecdsa.PrivateKey{"one": newKey(t)}, asked: map[string]int{}, meta: map[string]any{}}
	s.srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked[r.URL.Path]++
		if s.down != 0 {
			w.WriteHeader(s.down)
			return
		}
		var v any
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			m := map[string]any{"issuer": s.srv.URL, "authorization_endpoint": s.srv.URL + "/authorize?tenant=x", "token_endpoint": s.srv.URL + "/token", "jwks_uri": s.srv.URL + "/keys"}
			for k, x := range s.meta {
				m[k] = x
			}
			v = m
		case "/keys":
			set := jose.JSONWebKeySet{}
			for id, k := range s.keys {
				set.Keys = append(set.Keys, jose.JSONWebKey{Key: &k.PublicKey, KeyID: id, Algorithm: "ES256", Use: "sig"})
			}
			v = set
		case "/token":
			s.reply(w, r)
			return
		default:
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.srv.Close)
	allow, err := egress.ParseAllow("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	s.Client = &Client{Egress: &egress.Client{Allow: allow}, Now: func() time.Time { s.mu.Lock(); defer s.mu.Unlock(); return s.now }}
	t.Cleanup(s.Egress.Close)
	s.p = &directory.Provider{ID: "partner", Issuer: s.srv.URL, Name: "Partner", Enabled: true, ClientID: "curfew here"}
	return s
}

// set changes what the provider is, or what time it is.
func (s *site) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *site) count(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[path]
}

func (s *site) logout(kid string, key *ecdsa.PrivateKey) string {
	s.t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, (&jose.SignerOptions{}).WithType("logout+jwt"))
	if err != nil {
		s.t.Fatal(err)
	}
	now := s.Now()
	b, err := json.Marshal(map[string]any{"iss": s.p.Issuer, "aud": s.p.ClientID, "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(), "jti": "j", "sid": "there-1",
		"events": map[string]any{logoutEvent: map[string]any{}}})
	if err != nil {
		s.t.Fatal(err)
	}
	j, err := signer.Sign(b)
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := j.CompactSerialize()
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

func TestKeysAreReadAgainForAnUnknownOneButNotForEverybody(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	if _, err := s.Logout(ctx, s.p, s.logout("one", s.keys["one"])); err != nil {
		t.Fatal(err)
	}
	two := newKey(t)
	s.set(func() { s.keys["two"] = two })
	for range 20 { // keys that are nobody's, and one that is new: at most one question each half minute
		s.Logout(ctx, s.p, s.logout("nobody", newKey(t))) //nolint:errcheck // refused, as it should be
	}
	if n := s.count("/keys"); n != 1 {
		t.Errorf("asked for its keys %d times within the first half minute", n)
	}
	if _, err := s.Logout(ctx, s.p, s.logout("two", two)); !errors.Is(err, proof.ErrKey) {
		t.Errorf("a key that has not been read yet: %v", err)
	}
	s.set(func() { s.now = s.now.Add(pause) })
	if _, err := s.Logout(ctx, s.p, s.logout("two", two)); err != nil {
		t.Errorf("the new key: %v", err)
	}
	if n := s.count("/keys"); n != 2 {
		t.Errorf("asked for its keys %d times", n)
	}
	// One that was taken back is believed no longer than it says in the room's comment.
	old := s.keys["one"]
	s.set(func() { delete(s.keys, "one"); s.now = s.now.Add(fresh) })
	if _, err := s.Logout(ctx, s.p, s.logout("one", old)); err == nil {
		t.Error("a key that was taken back is believed")
	}
}

func TestAProviderThatDoesNotAnswerIsBelievedForAnHour(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	token := func() string { return s.logout("one", s.keys["one"]) }
	if _, err := s.Logout(ctx, s.p, token()); err != nil {
		t.Fatal(err)
	}
	s.set(func() { s.down = http.StatusBadGateway; s.now = s.now.Add(fresh + time.Minute) })
	if _, err := s.Logout(ctx, s.p, token()); err != nil {
		t.Errorf("after a few minutes: %v", err)
	}
	s.set(func() { s.now = s.now.Add(stale) })
	if _, err := s.Logout(ctx, s.p, token()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("after an hour: %v", err)
	}
	s.set(func() { s.down = 0; s.now = s.now.Add(pause) })
	if _, err := s.Logout(ctx, s.p, token()); err != nil {
		t.Errorf("it answers again: %v", err)
	}
}

func TestMetadataThatCannotBeBelievedIsRefused(t *testing.T) {
	t.Parallel()
	for name, meta := range map[string]map[string]any{
		"another issuer":           {"issuer": "https://elsewhere.example"},
		"a slash more":             {"issuer": "SLASH"},
		"no issuer":                {"issuer": ""},
		"PKCE without S256":        {"code_challenge_methods_supported": []string{"plain"}},
		"keys on a private net":    {"jwks_uri": "https://10.1.2.3/keys"},
		"tokens at the metadata":   {"token_endpoint": "https://169.254.169.254/token"},
		"a script for a browser":   {"authorization_endpoint": "javascript:alert(1)"},
		"keys in the clear":        {"jwks_uri": "http://elsewhere.example/keys"},
		"something else than text": {"token_endpoint": 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			if meta["issuer"] == "SLASH" {
				meta = map[string]any{"issuer": s.srv.URL + "/"}
			}
			s.set(func() { s.meta = meta })
			if m, err := s.Discover(t.Context(), s.srv.URL); err == nil {
				t.Errorf("%+v", m)
			} else if strings.Contains(fault.Public(err), "internal") {
				t.Errorf("the sentence says nothing: %q", fault.Public(err))
			}
			if _, err := s.Authorize(t.Context(), s.p, Request{}); err == nil {
				t.Error("people are sent there")
			}
		})
	}
}

func TestTheAuthorizationRequestKeepsWhatTheAddressHas(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.p.Scopes = []string{"profile", "email"}
	to, err := s.Authorize(t.Context(), s.p, Request{Redirect: "https://id.contoso.example/federation/partner/callback", State: "s", Nonce: "n", Verifier: "v", Force: true})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"tenant": "x", "scope": "openid profile email", "prompt": "login", "max_age": "0", "state": "s", "nonce": "n", "code_challenge_method": "S256"} {
		if got := u.Query().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestTheSecretIsSentAsTheProviderTakesIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		methods []string
		secret  string
		basic   bool
	}{
		"not said":         {nil, "s&c ret", true},
		"both":             {[]string{"client_secret_post", "client_secret_basic"}, "s&c ret", true},
		"in the body only": {[]string{"client_secret_post"}, "s&c ret", false},
		"none":             {[]string{"none"}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			var form url.Values
			var user, secret string
			var basic bool
			s.set(func() {
				if c.methods != nil {
					s.meta["token_endpoint_auth_methods_supported"] = c.methods
				}
				s.reply = func(w http.ResponseWriter, r *http.Request) {
					if err := r.ParseForm(); err != nil {
						t.Error(err)
					}
					form = r.PostForm
					user, secret, basic = r.BasicAuth()
					w.WriteHeader(http.StatusBadRequest)
				}
			})
			_, err := s.Redeem(t.Context(), s.p, Credential{Secret: c.secret}, "code", Request{Nonce: "n"})
			if !fault.Is(err, fault.Unauthenticated) {
				t.Fatal(err)
			}
			if basic != c.basic || basic && (user != "curfew+here" || secret != "s%26c+ret" || form.Has("client_secret") || form.Has("client_id")) || !basic && (form.Get("client_secret") != c.secret || form.Get("client_id") != "curfew here") {
				t.Errorf("basic %v %q %q, form %v", basic, user, secret, form)
			}
			if strings.Contains(err.Error(), "s&c") {
				t.Error("the secret is in the error")
			}
		})
	}
}

func TestAProviderThatFailsIsNoRefusal(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, c := range []struct {
		status int
		body   string
		want   fault.Kind
	}{
		{http.StatusInternalServerError, "", fault.Unavailable},
		{http.StatusTooManyRequests, "", fault.Unavailable},
		{http.StatusBadRequest, `{"error":"invalid_grant"}`, fault.Unauthenticated},
		{http.StatusOK, `{"access_token":"x"}`, fault.Unauthenticated},
		{http.StatusOK, `<html>`, fault.Unauthenticated},
		{http.StatusFound, ``, fault.Unauthenticated},
		{http.StatusOK, `{"id_token":"` + strings.Repeat("a", 20<<10) + `"}`, fault.Unauthenticated},
		{http.StatusOK, `{"id_token":"` + strings.Repeat("a", 2<<20) + `"}`, fault.Unavailable},
	} {
		s.set(func() {
			s.reply = func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				w.Write([]byte(c.body)) //nolint:errcheck // the client may have had enough
			}
		})
		if _, err := s.Redeem(t.Context(), s.p, Credential{Secret: "secret"}, "code", Request{Nonce: "n"}); fault.KindOf(err) != c.want || err == nil {
			t.Errorf("%d %.30q: %v, want %v", c.status, c.body, err, c.want)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := open(t).Metadata(gone, s.p.Issuer); err == nil {
		t.Error("who has left was answered")
	}
}
