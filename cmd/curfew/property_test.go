package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/proof"
)

func TestPermissionsAreWrittenAsInTheScopeParameter(t *testing.T) {
	t.Parallel()
	got, err := permissions([]string{"api://mail/Mail.Read", "https://graph.microsoft.com/User.Read", "api://mail/Mail.Send"})
	if err != nil {
		t.Fatal(err)
	}
	b, _ := json.Marshal(got)
	if want := `[{"resource":"api://mail","scopes":["Mail.Read","Mail.Send"]},{"resource":"https://graph.microsoft.com","scopes":["User.Read"]}]`; string(b) != want {
		t.Errorf("got %s", b)
	}
	for _, bad := range []string{"Mail.Read", "api://mail/", "/Mail.Read", "api://"} {
		if _, err := permissions([]string{bad}); err == nil || !strings.Contains(err.Error(), "RESOURCE/SCOPE") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestLengthsOfTimeAndInstants(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"": 0, "0s": 0, "90m": 90 * time.Minute, "24h": 24 * time.Hour, "90d": 90 * 24 * time.Hour} {
		if got, err := length(text); err != nil || got != want {
			t.Errorf("length(%q) = %v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"d", "-1d", "-1h", "1.5d", "99999999d", "soon", "7"} {
		if got, err := length(bad); err == nil {
			t.Errorf("length(%q) = %v", bad, got)
		}
	}
	c, _, _ := testConsole(nil)
	c.Zone = time.FixedZone("CET", 3600)
	for text, want := range map[string]time.Time{
		"": {}, "1d": noon.Add(24 * time.Hour), "2026-03-03": time.Date(2026, 3, 3, 23, 0, 0, 0, time.UTC), "2026-03-03T10:00:00Z": time.Date(2026, 3, 3, 10, 0, 0, 0, time.UTC),
	} {
		if got, err := c.until(text); err != nil || !got.Equal(want) {
			t.Errorf("until(%q) = %v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"0s", "tomorrow", "2026-13-01"} {
		if got, err := c.until(bad); err == nil {
			t.Errorf("until(%q) = %v", bad, got)
		}
	}
}

func TestScopesAreNamedAndTold(t *testing.T) {
	t.Parallel()
	got, err := scopesOf([]string{"Mail.Read=Read your mail = all of it"}, true)
	if err != nil || len(got) != 1 || got[0] != (client.Scope{Name: "Mail.Read", Text: "Read your mail = all of it", AdminOnly: true}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"Mail.Read", "Mail.Read=", "=Read"} {
		if _, err := scopesOf([]string{bad}, false); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// Whatever kind of file: what is sent is a public key that the server takes, and a
// certificate is found by its thumbprint.
func TestPublicKeysAreReadFromFiles(t *testing.T) {
	t.Parallel()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "notes"}, NotAfter: noon.AddDate(10, 0, 0)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &ec.PublicKey, ec)
	if err != nil {
		t.Fatal(err)
	}
	spki := func(key any) []byte {
		b, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: b})
	}
	private, err := x509.MarshalPKCS8PrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(text string) string {
		f, err := os.CreateTemp(dir, "key")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
		return f.Name()
	}
	c, _, _ := testConsole(nil)
	jwk, err := c.publicKeys(file(string(spki(ed))))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		text string
		keys int
	}{
		"public keys in PEM": {string(spki(&ec.PublicKey)) + string(spki(ed)), 2},
		"a certificate":      {string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})), 1},
		"a JWK":              {jwk[0], 1},
		"a JWK set":          {`{"keys":[` + jwk[0] + `]}`, 1},
	} {
		keys, err := c.publicKeys(file(tt.text))
		if err != nil || len(keys) != tt.keys {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
			continue
		}
		for _, k := range keys {
			if set, err := proof.NewKeys(json.RawMessage(k)); err != nil || set.Len() != 1 || !strings.Contains(k, `"kid":"`) {
				t.Errorf("%s: no key that the server takes: %s", name, k)
			}
		}
		if set, _ := proof.NewKeys(json.RawMessage(keys[0])); name == "a certificate" && !set.Certificate(sha256.Sum256(cert)) {
			t.Error("the certificate is not found by its thumbprint")
		}
	}

	scalar, err := ec.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	secret := base64.RawURLEncoding.EncodeToString(scalar)
	for text, want := range map[string]string{
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})): "this is a private key",
		`{"kty":"EC","crv":"P-256","x":"","y":"","d":"` + secret + `"}`:             "this is a private key",
		`{"keys":[{"kty":"oct","k":"` + secret + `"}]}`:                             "this is a private key",
		`{"crv":"P-256"}`:          "no kty",
		`{"keys":`:                 "not JSON",
		"":                         "no public key",
		"hello":                    "no public key",
		strings.Repeat("x", 65537): "64 KiB",
	} {
		if keys, err := c.publicKeys(file(text)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%.40q: %d keys, %v; want %q", text, len(keys), err, want)
		}
	}
	if _, err := c.publicKeys(filepath.Join(dir, "none")); err == nil {
		t.Error("a file that is not there was read")
	}
	c.in = strings.NewReader(jwk[0])
	if keys, err := c.publicKeys("-"); err != nil || len(keys) != 1 {
		t.Errorf("standard input: %d keys, %v", len(keys), err)
	}
}
