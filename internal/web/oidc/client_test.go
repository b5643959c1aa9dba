package oidc_test

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/curfew-id/curfew/internal/directory"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

func (p *pair) jwk() string {
	p.t.Helper()
	b, err := jose.JSONWebKey{Key: p.key.Public(), Use: "sig"}.MarshalJSON()
	if err != nil {
		p.t.Fatal(err)
	}
	return string(b)
}

// assertion is one for a client at an issuer, but for what is changed.
func (p *pair) assertion(client, aud string, with map[string]any) string {
	p.t.Helper()
	now := p.w.Clock.Now().Unix()
	c := map[string]any{"iss": client, "sub": client, "aud": aud, "jti": fmt.Sprint("assertion ", jti.Add(1)), "iat": now, "exp": now + 60}
	maps.Copy(c, with)
	return p.sign(nil, c)
}

// certify makes a certificate for the pair.
func (p *pair) certify() *x509.Certificate {
	p.t.Helper()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mailroom"}, NotBefore: p.w.Clock.Now(), NotAfter: p.w.Clock.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, p.key.Public(), p.key)
	if err != nil {
		p.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		p.t.Fatal(err)
	}
	return cert
}

func signedForm(assertion string, more ...string) url.Values {
	return with(url.Values{"client_assertion_type": {assertionType}, "client_assertion": {assertion}}, more...)
}

func TestAnAssertionOpensEveryEndpointOfItsIssuer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.pair()
	w.change("mailroom", func(a *directory.App) { a.Keys, a.Secrets = []directory.AppKey{{JWK: p.jwk()}}, nil })
	access := text(t, w.tokens(allScopes), "access_token")
	for _, x := range []struct {
		path   string
		more   []string
		status int
	}{
		{"token", []string{"grant_type", "client_credentials", "scope", "api://mail/.default"}, 200},
		{"introspect", []string{"token", access}, 200},
		{"revoke", []string{"token", "nothing"}, 200},
		{"par", []string{"redirect_uri", callback, "response_type", "code"}, 201},
	} {
		tenants, plain := "/common/oauth2/v2.0/"+x.path, "/oauth2/"+x.path
		if rec := w.post(tenants, signedForm(p.assertion("mailroom", base+"/"+tenant+"/v2.0", nil), x.more...)); rec.Code != x.status {
			t.Errorf("%s: %d %s", tenants, rec.Code, rec.Body)
		}
		if rec := w.post(plain, signedForm(p.assertion("mailroom", base, nil), x.more...)); rec.Code != x.status {
			t.Errorf("%s: %d %s", plain, rec.Code, rec.Body)
		}
		told(t, "for the other issuer", w.post(plain, signedForm(p.assertion("mailroom", base+"/"+tenant+"/v2.0", nil), x.more...)), 401, "invalid_client")
		once := signedForm(p.assertion("mailroom", base, nil), x.more...)
		w.post(plain, once)
		told(t, "replayed", w.post(plain, once), 401, "invalid_client")
	}
	told(t, "a secret of a client that has none", w.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"api://mail/.default"}}, mailroom...), 401, "invalid_client")
	told(t, "another client's name beside", w.post("/oauth2/token", signedForm(p.assertion("mailroom", base, nil), "client_id", "tripboard", "grant_type", "client_credentials", "scope", "api://mail/.default")), 401, "invalid_client")
}

// msal-node signs for the token endpoint under the name it was configured with.
func TestAnAssertionForTheNameInTheAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.pair()
	w.change("mailroom", func(a *directory.App) { a.Keys = []directory.AppKey{{JWK: p.jwk()}} })
	at := func(name string) string { return "/" + name + "/oauth2/v2.0/token" }
	send := func(path, aud string) *httptest.ResponseRecorder {
		return w.post(path, signedForm(p.assertion("mailroom", aud, nil), "grant_type", "client_credentials", "scope", "api://mail/.default"))
	}
	for _, name := range []string{tenant, "contoso.example", "Contoso.Example", "common", "organizations"} {
		if rec := send(at(name), base+at(name)); rec.Code != 200 {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
	told(t, "another name of ours", send(at("common"), base+at("contoso.example")), 401, "invalid_client")
	told(t, "at the other issuer", send("/oauth2/token", base+at("contoso.example")), 401, "invalid_client")
	told(t, "another server's", send(at("contoso.example"), "https://evil.example"+at("contoso.example")), 401, "invalid_client")
	told(t, "another directory's", send(at("fabrikam.example"), base+at("fabrikam.example")), 400, "invalid_request")
	w.change("mailroom", func(a *directory.App) { a.RequirePAR = true })
	told(t, "of a strict client", send(at("contoso.example"), base+at("contoso.example")), 401, "invalid_client")
}

func TestAProofIsJudgedBeforeAnAssertionIsSpent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.pair()
	w.change("mailroom", func(a *directory.App) { a.Keys, a.RequireDPoP = []directory.AppKey{{JWK: p.jwk()}}, true })
	f := signedForm(p.assertion("mailroom", base, nil), "client_id", "mailroom", "grant_type", "client_credentials", "scope", "api://mail/.default")
	rec := w.post("/oauth2/token", f, "DPoP", p.dpop("POST", "/oauth2/token", nil))
	told(t, "without a nonce", rec, 400, "use_dpop_nonce")
	rec = w.post("/oauth2/token", f, "DPoP", p.dpop("POST", "/oauth2/token", map[string]any{"nonce": rec.Header().Get("DPoP-Nonce")}))
	if rec.Code != 200 || text(t, rec, "token_type") != "DPoP" {
		t.Errorf("the same assertion with the nonce: %d %s", rec.Code, rec.Body)
	}
}

// over sends a form over a connection on which a certificate was shown.
func (w *world) over(cert *x509.Certificate, path string, f url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", base+path, strings.NewReader(f.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec
}

func TestACertificateProvesTheClientAndBindsItsTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, mallory := w.pair(), w.pair()
	cert := p.certify()
	jwk, err := jose.JSONWebKey{Key: p.key.Public(), Certificates: []*x509.Certificate{cert}}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	w.change("mailroom", func(a *directory.App) { a.Keys, a.Secrets = []directory.AppKey{{JWK: string(jwk)}}, nil })
	f := url.Values{"grant_type": {"client_credentials"}, "client_id": {"mailroom"}, "scope": {"api://mail/.default"}}
	rec := w.over(cert, "/oauth2/token", f)
	cnf, _ := claimsOf(t, text(t, rec, "access_token"))["cnf"].(map[string]any)
	if rec.Code != 200 || text(t, rec, "token_type") != "Bearer" || len(cnf) != 1 || len(cnf["x5t#S256"].(string)) != 43 {
		t.Errorf("%v %s", cnf, rec.Body)
	}
	told(t, "a certificate of mallory's", w.over(mallory.certify(), "/oauth2/token", f), 401, "invalid_client")
	told(t, "no certificate", w.post("/oauth2/token", f), 401, "invalid_client")
}

func TestAnIntrospectionIsSignedForWhoAsksForIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	access := text(t, w.tokens(allScopes), "access_token")
	const signed = "application/token-introspection+jwt"
	for name, x := range map[string]struct {
		token  string
		accept string
		signed bool
		active bool
	}{
		"a live token":           {access, signed, true, true},
		"among others":           {access, "application/json;q=0.5, " + signed, true, true},
		"a token of nobody's":    {"nothing", signed, true, false},
		"not asked for":          {access, "application/json", false, true},
		"asked for not to be so": {access, signed + ";q=0, */*", false, true},
	} {
		rec := w.post("/oauth2/introspect", url.Values{"token": {x.token}}, append(mailroom, "Accept", x.accept)...)
		if !x.signed {
			if rec.Header().Get("Content-Type") != "application/json" || member(t, rec, "active") != x.active {
				t.Errorf("%s: %v %s", name, rec.Header(), rec.Body)
			}
			continue
		}
		if rec.Header().Get("Content-Type") != signed || rec.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", name, rec.Header())
		}
		token := rec.Body.String()
		head, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
		if err != nil || !strings.Contains(string(head), `"typ":"token-introspection+jwt"`) {
			t.Errorf("%s: header %s (%v)", name, head, err)
		}
		c := claimsOf(t, token)
		answer, _ := c["token_introspection"].(map[string]any)
		if c["iss"] != base || c["aud"] != "mailroom" || c["iat"] != float64(w.Clock.Now().Unix()) || len(c) != 4 || answer["active"] != x.active || !x.active && len(answer) != 1 {
			t.Errorf("%s: %v", name, c)
		}
		// It is no access token, whoever takes it for one.
		if rec := w.do("GET", "/oidc/userinfo", "", "Authorization", "Bearer "+token); rec.Code != http.StatusUnauthorized {
			t.Errorf("%s: passes for an access token: %d", name, rec.Code)
		}
	}
}

// The exchange itself is tested where it is done; this is its way through the form.
func TestAnExchangeIsReadFromTheForm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.change("mailroom", func(a *directory.App) {
		a.FirstParty, a.Permissions = true, []directory.Permission{{Resource: "api://drive", Scopes: []string{"Read"}}}
	})
	access := text(t, w.tokens(allScopes), "access_token")
	const accessToken = "urn:ietf:params:oauth:token-type:access_token"
	exchange := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {access}, "subject_token_type": {accessToken}, "audience": {"api://drive"}}
	rec := w.post(tokenPath, exchange, mailroom...)
	if rec.Code != 200 || text(t, rec, "issued_token_type") != accessToken || claimsOf(t, text(t, rec, "access_token"))["aud"] != "api://drive" {
		t.Errorf("exchange: %d %s", rec.Code, rec.Body)
	}
	p := w.pair()
	rec = w.post(tokenPath, exchange, append(mailroom, "DPoP", p.dpop("POST", tokenPath, nil))...)
	if cnf, _ := claimsOf(t, text(t, rec, "access_token"))["cnf"].(map[string]any); cnf["jkt"] != p.jkt {
		t.Errorf("exchange with a proof: %v %s", cnf, rec.Body)
	}
	obo := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {access}, "requested_token_use": {"on_behalf_of"}, "scope": {"api://drive/.default"}}
	rec = w.post(tokenPath, obo, mailroom...)
	if rec.Code != 200 || text(t, rec, "scope") != "api://drive/.default" || text(t, rec, "client_info") == "" {
		t.Errorf("on behalf of: %d %s", rec.Code, rec.Body)
	}
	told(t, "at the other issuer", w.post("/oauth2/token", obo, mailroom...), 400, "invalid_grant")
	w.change("mailroom", func(a *directory.App) { a.RequireDPoP = true })
	told(t, "without the proof it must have", w.post(tokenPath, exchange, mailroom...), 400, "invalid_dpop_proof")
}
