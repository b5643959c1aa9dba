package keys_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"pgregory.net/rapid"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/keys"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

func open(t *testing.T, master byte) (*keys.Service, *store.DB) {
	t.Helper()
	clock := storetest.NewClock()
	db := storetest.Open(t, storetest.Engines()[0].New(t)(store.Config{Now: clock.Now}))
	k, err := keys.Open(context.Background(), db, bytesOf(master), clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	return k, db
}

func bytesOf(b byte) []byte { return []byte(strings.Repeat(string(rune(b)), 32)) }

func published(t testing.TB, k *keys.Service) jose.JSONWebKeySet {
	t.Helper()
	doc, _, err := k.JWKS()
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(doc, &set); err != nil {
		t.Fatalf("%s: %v", doc, err)
	}
	return set
}

// Our short signing path against a library that shares no code with it.
func TestSignaturesVerifyElsewhere(t *testing.T) {
	t.Parallel()
	k, _ := open(t, 'a')
	for _, alg := range directory.SigningAlgs() {
		if _, err := k.Sign(t.Context(), keys.IDToken, alg, nil); err != nil {
			t.Fatal(err)
		}
	}
	set := published(t, k)
	if len(set.Keys) != 3 {
		t.Fatalf("%d keys", len(set.Keys))
	}
	rapid.Check(t, func(t *rapid.T) {
		claims, err := json.Marshal(map[string]string{"sub": rapid.String().Draw(t, "sub")})
		if err != nil {
			t.Fatal(err)
		}
		all := []keys.Type{keys.AccessToken, keys.IDToken, keys.LogoutToken, keys.Introspection}
		alg, typ := rapid.SampledFrom(directory.SigningAlgs()).Draw(t, "alg"), rapid.SampledFrom(all).Draw(t, "typ")
		token, err := k.Sign(context.Background(), typ, alg, claims)
		if err != nil {
			t.Fatal(err)
		}
		jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
		if err != nil {
			t.Fatal(err)
		}
		head := jws.Signatures[0].Header
		public := set.Key(head.KeyID)
		if len(public) != 1 || public[0].Algorithm != alg || public[0].Use != "sig" || head.ExtraHeaders["typ"] != string(typ) {
			t.Fatalf("header %+v, keys %v", head, public)
		}
		if got, err := jws.Verify(public[0]); err != nil || string(got) != string(claims) {
			t.Fatalf("%s: %v", got, err)
		}
		thumb, err := public[0].Thumbprint(crypto.SHA256)
		if err != nil || base64.RawURLEncoding.EncodeToString(thumb) != head.KeyID {
			t.Fatalf("kid %s is not the thumbprint %x", head.KeyID, thumb)
		}
		if got, kid, err := k.Verify(token, typ); err != nil || string(got) != string(claims) || kid != head.KeyID {
			t.Fatal("we do not know our own token")
		}
		for _, other := range all {
			if _, _, err := k.Verify(token, other); err == nil && other != typ {
				t.Fatalf("%s passed for %s", typ, other)
			}
		}
		at := rapid.IntRange(0, len(token)-1).Draw(t, "at")
		forged := token[:at] + "~" + token[at+1:]
		if _, _, err := k.Verify(forged, typ); err == nil {
			t.Fatal("a changed token passed")
		}
	})
}

// A key has one algorithm. Its public half is known to everybody, so nothing else
// may be verified by it: not an HMAC under its text, not a signature of another
// of our keys under its name.
func TestAKeyIsNeverUsedForAnotherAlgorithm(t *testing.T) {
	t.Parallel()
	k, _ := open(t, 'a')
	tokens := map[string][]string{}
	for _, alg := range directory.SigningAlgs() {
		token, err := k.Sign(t.Context(), keys.AccessToken, alg, []byte(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		tokens[alg] = strings.Split(token, ".")
	}
	b64 := base64.RawURLEncoding
	for alg, parts := range tokens {
		head, err := b64.DecodeString(parts[0])
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range []string{"ES256", "RS256", "EdDSA", "HS256", "PS256", "ES384", "none"} {
			if other == alg {
				continue
			}
			said := b64.EncodeToString(bytes.Replace(head, []byte(alg), []byte(other), 1))
			sigs := []string{parts[2], ""}
			if x := tokens[other]; x != nil {
				sigs = append(sigs, x[2])
				if _, _, err := k.Verify(parts[0]+"."+parts[1]+"."+x[2], keys.AccessToken); err == nil {
					t.Errorf("the signature of the %s key passed for one of the %s key", other, alg)
				}
			}
			for _, public := range published(t, k).Keys {
				text, err := public.MarshalJSON()
				if err != nil {
					t.Fatal(err)
				}
				mac := hmac.New(sha256.New, text)
				mac.Write([]byte(said + "." + parts[1]))
				sigs = append(sigs, b64.EncodeToString(mac.Sum(nil)))
			}
			for _, sig := range sigs {
				if _, _, err := k.Verify(said+"."+parts[1]+"."+sig, keys.AccessToken); err == nil {
					t.Errorf("a token said %s under the name of the %s key, and passed", other, alg)
				}
			}
		}
	}
}

func TestWhatWeDoNotSignIsAnError(t *testing.T) {
	t.Parallel()
	k, _ := open(t, 'a')
	for _, alg := range []string{"none", "HS256", "PS256", "es256", "ES384"} {
		if token, err := k.Sign(t.Context(), keys.IDToken, alg, nil); err == nil {
			t.Errorf("signed with %s: %s", alg, token)
		}
	}
	if token, err := k.Sign(t.Context(), "JOSE", "ES256", nil); err == nil {
		t.Errorf("signed a type of its own: %s", token)
	}
}

func TestHeadersThatAreNotOursToTheLetterAreRefused(t *testing.T) {
	k, _ := open(t, 'a')
	token, err := k.Sign(context.Background(), keys.AccessToken, "", []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token, ".")
	head, _ := base64.RawURLEncoding.DecodeString(parts[0])
	for _, h := range []string{
		strings.Replace(string(head), "ES256", "none", 1), strings.Replace(string(head), "ES256", "HS256", 1),
		strings.Replace(string(head), `"typ"`, `"jku":"https://evil.example","typ"`, 1), strings.Replace(string(head), ":", ": ", 1), "{}", "[]", "",
	} {
		for _, sig := range []string{parts[2], "", "AAAA"} {
			if _, _, err := k.Verify(base64.RawURLEncoding.EncodeToString([]byte(h))+"."+parts[1]+"."+sig, keys.AccessToken); err == nil {
				t.Errorf("accepted header %s", h)
			}
		}
	}
	for _, bad := range []string{"", ".", "..", "a.b.c.d", token + ".", token + "=", strings.Repeat("a", 20000)} {
		if _, _, err := k.Verify(bad, keys.AccessToken); err == nil {
			t.Errorf("accepted %.20q", bad)
		}
	}
}

func TestADatabaseWithoutItsMasterKeyYieldsNothing(t *testing.T) {
	first, db := open(t, 'a')
	again, err := keys.Open(context.Background(), db, bytesOf('a'), storetest.NewClock().Now)
	if err != nil || !reflect.DeepEqual(published(t, again), published(t, first)) {
		t.Fatalf("the same master key: %v", err)
	}
	if _, err := keys.Open(context.Background(), db, bytesOf('b'), storetest.NewClock().Now); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("another master key: %v", err)
	}
	if string(first.Derive("a")) == string(first.Derive("b")) {
		t.Error("two purposes share a secret")
	}
}

func TestMasterKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.key")
	made, err := keys.LoadMaster(path)
	if err != nil || len(made) != 32 {
		t.Fatal(err)
	}
	if st, _ := os.Stat(path); st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", st.Mode())
	}
	if again, err := keys.LoadMaster(path); err != nil || string(again) != string(made) {
		t.Errorf("read back: %v", err)
	}
	os.Chmod(path, 0o644)
	if _, err := keys.LoadMaster(path); err == nil {
		t.Error("a key that others can read was accepted")
	}
	os.Chmod(path, 0o600)
	os.WriteFile(path, []byte("not hex, and secret"), 0o600)
	if _, err := keys.LoadMaster(path); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
	t.Setenv(keys.MasterEnv, strings.Repeat("ab", 32))
	if k, err := keys.LoadMaster(path); err != nil || k[0] != 0xab {
		t.Errorf("environment: %v", err)
	}
}

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
