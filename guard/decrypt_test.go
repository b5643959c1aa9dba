package guard_test

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/curfew-id/curfew/guard"
	"github.com/curfew-id/curfew/guard/guardtest"
)

// seal encrypts with a library that shares no code with the guard.
func seal(t testing.TB, alg jose.KeyAlgorithm, enc jose.ContentEncryption, public any, token, cty string) string {
	t.Helper()
	o := &jose.EncrypterOptions{}
	if cty != "" {
		o = o.WithContentType(jose.ContentType(cty))
	}
	e, err := jose.NewEncrypter(enc, jose.Recipient{Algorithm: alg, Key: public}, o)
	if err != nil {
		t.Fatal(err)
	}
	j, err := e.Encrypt([]byte(token))
	if err != nil {
		t.Fatal(err)
	}
	s, err := j.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func rsaPair(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func ecPair(t testing.TB, c elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func decrypting(keys ...crypto.PrivateKey) func(*guard.Config) {
	return func(c *guard.Config) { c.DecryptionKeys = keys }
}

func TestEncryptedTokensAreRead(t *testing.T) {
	rsaKey := rsaPair(t, 2048)
	p256, p384, p521 := ecPair(t, elliptic.P256()), ecPair(t, elliptic.P384()), ecPair(t, elliptic.P521())
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		ours, err := p256.ECDH()
		if err != nil {
			t.Fatal(err)
		}
		g := srv.Guard(t, decrypting(rsaKey, ours, p384, p521))
		plain := srv.Guard(t)
		for _, x := range []struct {
			alg    jose.KeyAlgorithm
			public any
		}{
			{jose.RSA_OAEP_256, &rsaKey.PublicKey},
			{jose.ECDH_ES, &p256.PublicKey},
			{jose.ECDH_ES, &p384.PublicKey},
			{jose.ECDH_ES, &p521.PublicKey},
			{jose.ECDH_ES_A256KW, &p256.PublicKey},
			{jose.ECDH_ES_A256KW, &p384.PublicKey},
			{jose.ECDH_ES_A256KW, &p521.PublicKey},
		} {
			for range 20 { // points and keys with leading zeros are one in 256
				token := seal(t, x.alg, jose.A256GCM, x.public, srv.Token(guardtest.Token{User: ada}), "JWT")
				c, err := g.Check(token)
				if err != nil || c.User != ada {
					t.Fatalf("%s: %+v, %v", x.alg, c, err)
				}
				want(t, plain, token, guard.Invalid)
			}
		}
		want(t, g, srv.Token(guardtest.Token{}), 0) // one that was only signed

		// What is taken away is taken away.
		token := seal(t, jose.ECDH_ES, jose.A256GCM, &p256.PublicKey, srv.Token(guardtest.Token{User: grace}), "jwt")
		want(t, g, token, 0)
		srv.CutUser(grace)
		settle()
		want(t, g, token, guard.Revoked)
	})
}

// Anybody can encrypt to a public key, so nothing follows from being encrypted.
func TestEncryptedTokensThatAreRefused(t *testing.T) {
	rsaKey, p256, other := rsaPair(t, 2048), ecPair(t, elliptic.P256()), ecPair(t, elliptic.P256())
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g := srv.Guard(t, decrypting(rsaKey, p256))
		good := srv.Token(guardtest.Token{})
		pub := &p256.PublicKey
		mallory := guardtest.NewPiped(t)
		sealed := func(inner string) string { return seal(t, jose.ECDH_ES, jose.A256GCM, pub, inner, "JWT") }
		want(t, g, sealed(good), 0)
		bad := map[string]string{
			"to another key":             seal(t, jose.ECDH_ES, jose.A256GCM, &other.PublicKey, good, "JWT"),
			"wrapped for another key":    seal(t, jose.ECDH_ES_A256KW, jose.A256GCM, &other.PublicKey, good, "JWT"),
			"no content type":            seal(t, jose.ECDH_ES, jose.A256GCM, pub, good, ""),
			"another content type":       seal(t, jose.ECDH_ES, jose.A256GCM, pub, good, "text/plain"),
			"a smaller content key":      seal(t, jose.ECDH_ES, jose.A128GCM, pub, good, "JWT"),
			"CBC":                        seal(t, jose.ECDH_ES, jose.A256CBC_HS512, pub, good, "JWT"),
			"a smaller wrapping key":     seal(t, jose.ECDH_ES_A128KW, jose.A256GCM, pub, good, "JWT"),
			"OAEP with SHA-1":            seal(t, jose.RSA_OAEP, jose.A256GCM, &rsaKey.PublicKey, good, "JWT"),
			"RSA1_5":                     seal(t, jose.RSA1_5, jose.A256GCM, &rsaKey.PublicKey, good, "JWT"),
			"a shared secret":            seal(t, jose.DIRECT, jose.A256GCM, make([]byte, 32), good, "JWT"),
			"a password":                 seal(t, jose.PBES2_HS256_A128KW, jose.A256GCM, []byte("password"), good, "JWT"),
			"signed by somebody else":    sealed(mallory.Token(guardtest.Token{Claims: map[string]any{"iss": srv.URL}})),
			"not signed":                 sealed(b64([]byte(`{"alg":"none"}`)) + "." + strings.Split(good, ".")[1] + "."),
			"claims alone":               sealed(`{"sub":"ada"}`),
			"encrypted twice":            sealed(sealed(good)),
			"of another type":            sealed(srv.Token(guardtest.Token{Header: map[string]any{"typ": "JWT"}})),
			"too long":                   sealed(good + strings.Repeat("x", guard.MaxTokenLen)),
			"too long, in other letters": strings.Repeat("x", guard.MaxTokenLen) + "....",
		}
		for _, token := range []string{sealed(good), seal(t, jose.ECDH_ES_A256KW, jose.A256GCM, pub, good, "JWT"), seal(t, jose.RSA_OAEP_256, jose.A256GCM, &rsaKey.PublicKey, good, "JWT")} {
			part := strings.Split(token, ".")
			alg := part[0][:12]
			for i := range part {
				for what, to := range map[string]string{"empty": "", "cut short": part[i][:len(part[i])/2], "not base64": part[i] + "!", "changed": flip(part[i])} {
					if to == part[i] {
						continue
					}
					with := append([]string{}, part...)
					with[i] = to
					bad[fmt.Sprintf("%s: part %d %s", alg, i, what)] = strings.Join(with, ".")
				}
			}
			for name, v := range map[string]any{"zip": "DEF", "crit": []string{"exp"}, "alg": "dir", "enc": "A128GCM", "epk": map[string]any{"kty": "EC", "crv": "P-256", "x": b64(make([]byte, 32)), "y": b64(make([]byte, 32))}} {
				var head map[string]any
				b, err := base64.RawURLEncoding.DecodeString(part[0])
				if err == nil {
					err = json.Unmarshal(b, &head)
				}
				if err != nil {
					t.Fatal(err)
				}
				head[name] = v
				if b, err = json.Marshal(head); err != nil {
					t.Fatal(err)
				}
				bad[alg+": "+name] = strings.Join(append([]string{b64(b)}, part[1:]...), ".")
			}
		}
		for name, token := range bad {
			if got := kind(g, token); got != guard.Invalid {
				t.Errorf("%s: %v", name, got)
			}
		}
	})
}

// flip changes the first byte of a part, if it has one.
func flip(part string) string {
	b, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil || len(b) == 0 {
		return part
	}
	b[0] ^= 1
	return b64(b)
}

// The private key never shows: not in what prints a configuration, not in errors.
func TestDecryptionKeysAreChecked(t *testing.T) {
	t.Parallel()
	srv := guardtest.NewPiped(t)
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	nine := make([]crypto.PrivateKey, 9)
	for i := range nine {
		nine[i] = ecPair(t, elliptic.P256())
	}
	for name, keys := range map[string][]crypto.PrivateKey{
		"nothing":      {nil},
		"a public key": {&ecPair(t, elliptic.P256()).PublicKey},
		"a short one":  {rsaPair(t, 1024)},
		"empty RSA":    {(*rsa.PrivateKey)(nil)},
		"empty EC":     {(*ecdsa.PrivateKey)(nil)},
		"empty ECDH":   {(*ecdh.PrivateKey)(nil)},
		"X25519":       {x25519},
		"P-224":        {ecPair(t, elliptic.P224())},
		"too many":     nine,
		"a text":       {"-----BEGIN PRIVATE KEY-----"},
	} {
		cfg := srv.Config()
		cfg.DecryptionKeys = keys
		if _, err := guard.New(cfg); err == nil || strings.Contains(err.Error(), "BEGIN") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzEncryptedTokens(f *testing.F) {
	pair := ecPair(f, elliptic.P256())
	srv := guardtest.NewPiped(f)
	g := srv.Guard(f, decrypting(pair, rsaPair(f, 2048)))
	good := srv.Token(guardtest.Token{})
	f.Add(seal(f, jose.ECDH_ES, jose.A256GCM, &pair.PublicKey, good, "JWT"))
	f.Add(seal(f, jose.ECDH_ES_A256KW, jose.A256GCM, &pair.PublicKey, good, "JWT"))
	f.Add("....")
	f.Fuzz(func(t *testing.T, token string) {
		c, err := g.Check(token)
		if err == nil && c.ID == "" {
			t.Error("accepted something that is no token")
		}
	})
}
