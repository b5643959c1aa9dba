package guard_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/guard"
	"github.com/curfew-id/curfew/guard/guardtest"
)

const (
	mailURL = "https://mail.contoso.example"
	inbox   = mailURL + "/inbox"
)

// proving is a guard that knows where it is reached.
func proving(c *guard.Config) { c.URL, c.Scopes = mailURL, []string{"api://mail/Mail.Read"} }

func boundTo(h *guardtest.Holder) guardtest.Token {
	return guardtest.Token{User: ada, Claims: map[string]any{"cnf": map[string]any{"jkt": h.Thumbprint()}}}
}

// ask sends a request with these headers through the middleware.
func ask(g *guard.Guard, method, target string, header http.Header) *http.Response {
	r := httptest.NewRequest(method, target, nil)
	r.Header = header
	w := httptest.NewRecorder()
	g.Middleware(ok).ServeHTTP(w, r)
	return w.Result()
}

func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// challenged returns the code in a DPoP challenge; it demands the scheme and the
// algorithms (RFC 9449 §7.1).
func challenged(t *testing.T, resp *http.Response) string {
	t.Helper()
	c := resp.Header.Get("WWW-Authenticate")
	if resp.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(c, "DPoP ") || !strings.Contains(c, `algs="ES256 PS256 RS256 EdDSA"`) || resp.Header.Get("DPoP-Nonce") == "" {
		t.Fatalf("%d %q nonce %q", resp.StatusCode, c, resp.Header.Get("DPoP-Nonce"))
	}
	_, code, _ := strings.Cut(c, ` error="`)
	code, _, _ = strings.Cut(code, `"`)
	return code
}

func TestABoundTokenIsTakenWithItsProofOnly(t *testing.T) {
	t.Parallel()
	srv := guardtest.New(t)
	g := srv.Guard(t, proving)
	h, thief := guardtest.NewHolder(), guardtest.NewHolder()
	token, other, free := srv.Token(boundTo(h)), srv.Token(boundTo(h)), srv.Token(guardtest.Token{User: ada})
	good := guardtest.Proof{Method: "GET", URL: inbox, Token: token}
	with := func(change func(*guardtest.Proof)) string { p := good; change(&p); return h.Proof(p) }

	resp := ask(g, "GET", inbox+"?folder=sent", headers("Authorization", "DPoP "+token, "DPoP", h.Proof(good)))
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("a good proof: %d %v", resp.StatusCode, resp.Header)
	}
	replayed := h.Proof(good)
	ask(g, "GET", inbox, headers("Authorization", "DPoP "+token, "DPoP", replayed))

	for name, c := range map[string]struct {
		header http.Header
		code   string
	}{
		"as a bearer token":         {headers("Authorization", "Bearer "+token), "invalid_token"},
		"as one, with the proof":    {headers("Authorization", "Bearer "+token, "DPoP", h.Proof(good)), "invalid_token"},
		"a bearer token with proof": {headers("Authorization", "DPoP "+free, "DPoP", h.Proof(guardtest.Proof{Method: "GET", URL: inbox, Token: free})), "invalid_token"},
		"no proof":                  {headers("Authorization", "DPoP "+token), "invalid_dpop_proof"},
		"two proofs":                {headers("Authorization", "DPoP "+token, "DPoP", h.Proof(good), "DPoP", h.Proof(good)), "invalid_dpop_proof"},
		"a replayed one":            {headers("Authorization", "DPoP "+token, "DPoP", replayed), "invalid_dpop_proof"},
		"another's key":             {headers("Authorization", "DPoP "+token, "DPoP", thief.Proof(good)), "invalid_dpop_proof"},
		"another method":            {headers("Authorization", "DPoP "+token, "DPoP", with(func(p *guardtest.Proof) { p.Method = "POST" })), "invalid_dpop_proof"},
		"another path":              {headers("Authorization", "DPoP "+token, "DPoP", with(func(p *guardtest.Proof) { p.URL = mailURL + "/outbox" })), "invalid_dpop_proof"},
		"another host":              {headers("Authorization", "DPoP "+token, "DPoP", with(func(p *guardtest.Proof) { p.URL = "https://files.contoso.example/inbox" })), "invalid_dpop_proof"},
		"another scheme":            {headers("Authorization", "DPoP "+token, "DPoP", with(func(p *guardtest.Proof) { p.URL = "http://mail.contoso.example/inbox" })), "invalid_dpop_proof"},
		"another token":             {headers("Authorization", "DPoP "+token, "DPoP", with(func(p *guardtest.Proof) { p.Token = other })), "invalid_dpop_proof"},
		"no ath":                    {headers("Authorization", "DPoP "+token, "DPoP", with(func(p *guardtest.Proof) { p.Claims = map[string]any{"ath": nil} })), "invalid_dpop_proof"},
		"no jti":                    {headers("Authorization", "DPoP "+token, "DPoP", with(func(p *guardtest.Proof) { p.Claims = map[string]any{"jti": nil} })), "invalid_dpop_proof"},
		"no iat":                    {headers("Authorization", "DPoP "+token, "DPoP", with(func(p *guardtest.Proof) { p.Claims = map[string]any{"iat": nil} })), "invalid_dpop_proof"},
		"too old":                   {headers("Authorization", "DPoP "+token, "DPoP", with(func(p *guardtest.Proof) { p.At = time.Now().Add(-2 * time.Minute) })), "invalid_dpop_proof"},
		"of the future":             {headers("Authorization", "DPoP "+token, "DPoP", with(func(p *guardtest.Proof) { p.At = time.Now().Add(2 * time.Minute) })), "invalid_dpop_proof"},
		"another guard's nonce":     {headers("Authorization", "DPoP "+token, "DPoP", with(func(p *guardtest.Proof) { p.Nonce = "bm90IG9uZSBvZiBvdXJz" })), "use_dpop_nonce"},
		"alg none":                  {headers("Authorization", "DPoP "+token, "DPoP", with(func(p *guardtest.Proof) { p.Header = map[string]any{"alg": "none"} })), "invalid_dpop_proof"},
		"alg HS256":                 {headers("Authorization", "DPoP "+token, "DPoP", with(func(p *guardtest.Proof) { p.Header = map[string]any{"alg": "HS256"} })), "invalid_dpop_proof"},
		"alg of another kind":       {headers("Authorization", "DPoP "+token, "DPoP", with(func(p *guardtest.Proof) { p.Header = map[string]any{"alg": "RS256"} })), "invalid_dpop_proof"},
		"an access token's type":    {headers("Authorization", "DPoP "+token, "DPoP", with(func(p *guardtest.Proof) { p.Header = map[string]any{"typ": "at+jwt"} })), "invalid_dpop_proof"},
		"an extension":              {headers("Authorization", "DPoP "+token, "DPoP", with(func(p *guardtest.Proof) { p.Header = map[string]any{"crit": []string{"b64"}} })), "invalid_dpop_proof"},
		"a private key":             {headers("Authorization", "DPoP "+token, "DPoP", with(func(p *guardtest.Proof) { p.Header = map[string]any{"jwk": h.PrivateJWK()} })), "invalid_dpop_proof"},
		"no key":                    {headers("Authorization", "DPoP "+token, "DPoP", with(func(p *guardtest.Proof) { p.Header = map[string]any{"jwk": nil} })), "invalid_dpop_proof"},
		"the access token itself":   {headers("Authorization", "DPoP "+token, "DPoP", token), "invalid_dpop_proof"},
		"a huge one":                {headers("Authorization", "DPoP "+token, "DPoP", with(func(p *guardtest.Proof) { p.Claims = map[string]any{"x": strings.Repeat("x", 8<<10)} })), "invalid_dpop_proof"},
		"a wrong signature":         {headers("Authorization", "DPoP "+token, "DPoP", forged(h.Proof(good))), "invalid_dpop_proof"},
		"nothing like it":           {headers("Authorization", "DPoP "+token, "DPoP", "x"), "invalid_dpop_proof"},
	} {
		t.Run(name, func(t *testing.T) {
			if code := challenged(t, ask(g, "GET", inbox, c.header)); code != c.code {
				t.Errorf("%s, want %s", code, c.code)
			}
		})
	}
	if _, err := g.Check(token); err == nil {
		t.Error("Check alone took a bound token")
	}
	// Revoking goes before proving: whoever is cut learns that, and no more.
	srv.CutUser(ada)
	eventually(t, "the cut", func() bool {
		resp := ask(g, "GET", inbox, headers("Authorization", "DPoP "+token, "DPoP", h.Proof(good)))
		return resp.StatusCode != http.StatusOK && challenged(t, resp) == "invalid_token"
	})
}

// forged changes the first byte of a signature.
func forged(proof string) string {
	i := strings.LastIndexByte(proof, '.') + 1
	c := "A"
	if proof[i] == 'A' {
		c = "B"
	}
	return proof[:i] + c + proof[i+1:]
}

func TestANonceIsDemandedGivenAndOfUseForAWhile(t *testing.T) {
	t.Parallel()
	srv := guardtest.New(t)
	demand := func(c *guard.Config) { proving(c); c.DemandNonce, c.NonceSecret = true, "shared between instances" }
	one, two := srv.Guard(t, demand), srv.Guard(t, demand)
	stranger := srv.Guard(t, func(c *guard.Config) { proving(c); c.DemandNonce = true })
	h := guardtest.NewHolder()
	token := srv.Token(boundTo(h))
	send := func(g *guard.Guard, nonce string, at time.Time) *http.Response {
		return ask(g, "GET", inbox, headers("Authorization", "DPoP "+token, "DPoP", h.Proof(guardtest.Proof{Method: "GET", URL: inbox, Token: token, Nonce: nonce, At: at})))
	}
	resp := send(one, "", time.Time{})
	if code := challenged(t, resp); code != "use_dpop_nonce" {
		t.Fatal(code)
	}
	nonce := resp.Header.Get("DPoP-Nonce")
	for name, g := range map[string]*guard.Guard{"the one that gave it": one, "another instance": two} {
		if resp := send(g, nonce, time.Time{}); resp.StatusCode != http.StatusOK || resp.Header.Get("DPoP-Nonce") == "" {
			t.Errorf("%s: %d %v", name, resp.StatusCode, resp.Header)
		}
	}
	if code := challenged(t, send(stranger, nonce, time.Time{})); code != "use_dpop_nonce" {
		t.Errorf("a guard with another secret: %s", code)
	}
	// The nonce says how old the proof is: the client's clock may be off.
	if resp := send(one, nonce, time.Now().Add(-3*time.Minute)); resp.StatusCode != http.StatusOK {
		t.Errorf("a client whose clock is slow: %d", resp.StatusCode)
	}
}

func TestEveryAlgorithmThatIsPublishedIsTaken(t *testing.T) {
	t.Parallel()
	srv := guardtest.New(t)
	g := srv.Guard(t, proving)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	rsaKey := `{"e":"` + b64(big.NewInt(int64(rs.E)).Bytes()) + `","kty":"RSA","n":"` + b64(rs.N.Bytes()) + `"}`
	for alg, c := range map[string]struct {
		key  crypto.Signer
		jwk  string // in the form its thumbprint is made of
		opts crypto.SignerOpts
	}{
		"EdDSA": {ed, `{"crv":"Ed25519","kty":"OKP","x":"` + b64(ed.Public().(ed25519.PublicKey)) + `"}`, crypto.Hash(0)},
		"RS256": {rs, rsaKey, crypto.SHA256},
		"PS256": {rs, rsaKey, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}},
	} {
		sum := sha256.Sum256([]byte(c.jwk))
		token := srv.Token(guardtest.Token{User: ada, Claims: map[string]any{"cnf": map[string]any{"jkt": b64(sum[:])}}})
		ath := sha256.Sum256([]byte(token))
		payload, _ := json.Marshal(map[string]any{"jti": alg, "htm": "GET", "htu": inbox, "iat": time.Now().Unix(), "ath": b64(ath[:])})
		signed := b64([]byte(`{"typ":"dpop+jwt","alg":"`+alg+`","jwk":`+c.jwk+`}`)) + "." + b64(payload)
		digest := sha256.Sum256([]byte(signed))
		in := digest[:]
		if alg == "EdDSA" {
			in = []byte(signed)
		}
		sig, err := c.key.Sign(rand.Reader, in, c.opts)
		if err != nil {
			t.Fatal(err)
		}
		if resp := ask(g, "GET", inbox, headers("Authorization", "DPoP "+token, "DPoP", signed+"."+b64(sig))); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %v", alg, resp.StatusCode, resp.Header)
		}
	}
}

func TestATokenBoundToACertificateIsTakenOnItsConnectionOnly(t *testing.T) {
	t.Parallel()
	srv := guardtest.New(t)
	g := srv.Guard(t)
	mine, others := certificate(t), certificate(t)
	sum := sha256.Sum256(mine.Raw)
	token := srv.Token(guardtest.Token{User: ada, Claims: map[string]any{"cnf": map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}}})
	unknown := srv.Token(guardtest.Token{User: ada, Claims: map[string]any{"cnf": map[string]any{"kid": "x"}}})
	empty := srv.Token(guardtest.Token{User: ada, Claims: map[string]any{"cnf": map[string]any{}}})
	for name, c := range map[string]struct {
		token string
		tls   *tls.ConnectionState
		want  int
	}{
		"its own":              {token, &tls.ConnectionState{PeerCertificates: []*x509.Certificate{mine}}, http.StatusOK},
		"another":              {token, &tls.ConnectionState{PeerCertificates: []*x509.Certificate{others, mine}}, http.StatusUnauthorized},
		"none":                 {token, &tls.ConnectionState{}, http.StatusUnauthorized},
		"no TLS":               {token, nil, http.StatusUnauthorized},
		"a way not known here": {unknown, &tls.ConnectionState{PeerCertificates: []*x509.Certificate{mine}}, http.StatusUnauthorized},
		"nothing to prove":     {empty, &tls.ConnectionState{PeerCertificates: []*x509.Certificate{mine}}, http.StatusUnauthorized},
	} {
		r := httptest.NewRequest("GET", inbox, nil)
		r.TLS = c.tls
		r.Header.Set("Authorization", "Bearer "+c.token)
		w := httptest.NewRecorder()
		g.Middleware(ok).ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s: %d, want %d: %s", name, w.Code, c.want, w.Body)
		}
	}
}

func certificate(t *testing.T) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	raw, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: serial}, &x509.Certificate{SerialNumber: serial}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheMetadataSaysWhereATokenComesFrom(t *testing.T) {
	t.Parallel()
	srv := guardtest.New(t)
	g := srv.Guard(t, func(c *guard.Config) { proving(c); c.URL = mailURL + "/api/" })
	if p := g.MetadataPath(); p != "/.well-known/oauth-protected-resource/api" {
		t.Fatal(p) // RFC 9728 §3.1
	}
	resp := ask(g, "GET", mailURL+g.MetadataPath(), http.Header{})
	var doc map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/json" {
		t.Fatal(resp.StatusCode, resp.Header, err)
	}
	if doc["resource"] != mailURL+"/api" || !slices.Equal(doc["authorization_servers"].([]any), []any{srv.URL}) || !slices.Equal(doc["scopes_supported"].([]any), []any{"api://mail/Mail.Read"}) ||
		!slices.Equal(doc["bearer_methods_supported"].([]any), []any{"header"}) || len(doc["dpop_signing_alg_values_supported"].([]any)) != 4 {
		t.Errorf("%v", doc)
	}
	// Whoever brings nothing is told where it is, under both schemes.
	all := ask(g, "GET", mailURL+"/api/inbox", http.Header{}).Header.Values("WWW-Authenticate")
	if len(all) != 2 || !strings.HasPrefix(all[0], "Bearer ") || !strings.HasPrefix(all[1], "DPoP ") {
		t.Fatalf("%q", all)
	}
	for _, c := range all {
		if !strings.Contains(c, `resource_metadata="`+mailURL+g.MetadataPath()+`"`) {
			t.Errorf("no resource_metadata in %q", c)
		}
	}
	if resp := ask(g, "POST", mailURL+g.MetadataPath(), http.Header{}); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("another method at that address: %d", resp.StatusCode)
	}
	w := httptest.NewRecorder()
	g.Metadata().ServeHTTP(w, httptest.NewRequest("DELETE", mailURL+g.MetadataPath(), nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("DELETE at the handler: %d", w.Code)
	}
	w = httptest.NewRecorder()
	srv.Guard(t).Metadata().ServeHTTP(w, httptest.NewRequest("GET", mailURL+g.MetadataPath(), nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("a guard without a URL: %d", w.Code)
	}
}

func TestStepUpSpeaksToEveryKindOfClient(t *testing.T) {
	t.Parallel()
	srv := guardtest.New(t)
	g := srv.Guard(t)
	h := g.Middleware(g.RequireACR(0, "c1")(ok))
	for _, cp1 := range []bool{false, true} {
		p := params(t, get(h, "Bearer "+srv.Token(guardtest.Token{User: ada, CP1: cp1})))
		claims, _ := base64.StdEncoding.DecodeString(p["claims"])
		if p["error"] != "insufficient_user_authentication" || p["acr_values"] != "c1" || cp1 != (string(claims) == `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`) {
			t.Errorf("cp1 %v: %v %s", cp1, p, claims)
		}
	}
	if resp := get(h, "Bearer "+srv.Token(guardtest.Token{User: ada, ACR: "c1"})); resp.StatusCode != http.StatusOK {
		t.Error(resp.StatusCode)
	}
}

func FuzzProof(f *testing.F) {
	h := guardtest.NewHolder()
	f.Add(h.Proof(guardtest.Proof{Method: "GET", URL: inbox}))
	f.Add("e30.e30.AAAA")
	f.Fuzz(func(t *testing.T, text string) { guard.ReadProof(text) }) // does not panic
}
