package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/config"
)

// clientCertificate is one that somebody made for themselves.
func clientCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "reader"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// freePort is one that nobody listens on just now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestCertificatesAreShownOnTheirOwnPort(t *testing.T) {
	t.Parallel()
	n := start(t, "", func(c *config.Config) { c.MTLSListen = freePort(t) })
	var meta struct {
		Token   string            `json:"token_endpoint"`
		Methods []string          `json:"token_endpoint_auth_methods_supported"`
		Bound   bool              `json:"tls_client_certificate_bound_access_tokens"`
		Aliases map[string]string `json:"mtls_endpoint_aliases"`
	}
	_, text := n.get(t, "/.well-known/openid-configuration")
	if err := json.Unmarshal([]byte(text), &meta); err != nil {
		t.Fatal(err)
	}
	alias := meta.Aliases["token_endpoint"]
	if !meta.Bound || !strings.HasSuffix(alias, "/oauth2/token") || alias == meta.Token || !strings.Contains(strings.Join(meta.Methods, " "), "self_signed_tls_client_auth") {
		t.Fatalf("metadata: %+v", meta)
	}

	cert := clientCertificate(t)
	var asked atomic.Int64
	show := n.http.Transport.(*http.Transport).Clone()
	show.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		asked.Add(1)
		return &cert, nil
	}
	mutual := &node{base: n.base, http: &http.Client{Jar: n.http.Jar, Transport: show, CheckRedirect: n.http.CheckRedirect, Timeout: n.http.Timeout}}
	code := mutual.authorize(t, "openid profile offline_access", "ada@contoso.example")
	if asked.Load() != 0 {
		t.Fatal("a browser was asked for a certificate")
	}
	redeem := url.Values{"grant_type": {"authorization_code"}, "client_id": {"reader"}, "code": {code}, "redirect_uri": {"http://localhost"}, "code_verifier": {verifier}}
	res, text := mutual.post(t, alias, redeem)
	var first tokens
	if err := json.Unmarshal([]byte(text), &first); err != nil || res.StatusCode != http.StatusOK || asked.Load() == 0 {
		t.Fatalf("redeem with a certificate: %d %s", res.StatusCode, text)
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(first.Access, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(cert.Certificate[0])
	if want := `"cnf":{"x5t#S256":"` + base64.RawURLEncoding.EncodeToString(sum[:]) + `"}`; !strings.Contains(string(payload), want) {
		t.Errorf("the token is not bound to the certificate: %s", payload)
	}

	userinfo := func(c *http.Client, at string) int {
		req, err := http.NewRequest(http.MethodGet, at, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+first.Access)
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body(t, res)
		return res.StatusCode
	}
	if status := userinfo(mutual.http, meta.Aliases["userinfo_endpoint"]); status != http.StatusOK {
		t.Errorf("userinfo with the certificate: %d", status)
	}
	if status := userinfo(n.http, n.base+"/oauth2/userinfo"); status != http.StatusUnauthorized {
		t.Errorf("userinfo as a bearer: %d", status)
	}
	if status := userinfo(n.http, meta.Aliases["userinfo_endpoint"]); status != http.StatusUnauthorized {
		t.Errorf("userinfo there without a certificate: %d", status)
	}
	cert = clientCertificate(t)
	show.CloseIdleConnections()
	if status := userinfo(mutual.http, meta.Aliases["userinfo_endpoint"]); status != http.StatusUnauthorized {
		t.Errorf("userinfo with another certificate: %d", status)
	}
	// The refresh token of a client without a secret is bound as well.
	refresh := url.Values{"grant_type": {"refresh_token"}, "client_id": {"reader"}, "refresh_token": {first.Refresh}}
	for name, try := range map[string]func() (*http.Response, string){
		"without a certificate":    func() (*http.Response, string) { return n.post(t, "/oauth2/token", refresh) },
		"with another certificate": func() (*http.Response, string) { return mutual.post(t, alias, refresh) },
	} {
		if res, text := try(); res.StatusCode != http.StatusBadRequest || !strings.Contains(text, "invalid_grant") {
			t.Errorf("refresh %s: %d %s", name, res.StatusCode, text)
		}
	}
	for _, path := range []string{"/signin", "/account", "/portal", "/oauth2/authorize"} {
		if res, _ := n.get(t, strings.TrimSuffix(alias, "/oauth2/token")+path); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s is served where certificates are shown: %d", path, res.StatusCode)
		}
	}
}
