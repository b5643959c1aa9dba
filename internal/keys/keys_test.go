package keys_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"pgregory.net/rapid"

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

// Our short signing path against a library that shares no code with it.
func TestSignaturesVerifyElsewhere(t *testing.T) {
	k, _ := open(t, 'a')
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(k.JWKS(), &set); err != nil || len(set.Keys) != 1 {
		t.Fatalf("%s: %v", k.JWKS(), err)
	}
	rapid.Check(t, func(t *rapid.T) {
		claims, err := json.Marshal(map[string]string{"sub": rapid.String().Draw(t, "sub")})
		if err != nil {
			t.Fatal(err)
		}
		token, err := k.Sign(keys.AccessToken, claims)
		if err != nil {
			t.Fatal(err)
		}
		jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := jws.Verify(set.Keys[0]); err != nil || string(got) != string(claims) {
			t.Fatalf("%s: %v", got, err)
		}
		if jws.Signatures[0].Header.ExtraHeaders["typ"] != "at+jwt" || jws.Signatures[0].Header.KeyID != set.Keys[0].KeyID {
			t.Fatalf("header %+v", jws.Signatures[0].Header)
		}
		if got, err := k.Verify(token, keys.AccessToken); err != nil || string(got) != string(claims) {
			t.Fatal("we do not know our own token")
		}
		if _, err := k.Verify(token, keys.IDToken); err == nil {
			t.Fatal("an access token passed for an ID token")
		}
		at := rapid.IntRange(0, len(token)-1).Draw(t, "at")
		forged := token[:at] + "~" + token[at+1:]
		if _, err := k.Verify(forged, keys.AccessToken); err == nil {
			t.Fatal("a changed token passed")
		}
	})
}

func TestHeadersThatAreNotOursToTheLetterAreRefused(t *testing.T) {
	k, _ := open(t, 'a')
	token, err := k.Sign(keys.AccessToken, []byte(`{}`))
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
			if _, err := k.Verify(base64.RawURLEncoding.EncodeToString([]byte(h))+"."+parts[1]+"."+sig, keys.AccessToken); err == nil {
				t.Errorf("accepted header %s", h)
			}
		}
	}
	for _, bad := range []string{"", ".", "..", "a.b.c.d", token + ".", token + "=", strings.Repeat("a", 20000)} {
		if _, err := k.Verify(bad, keys.AccessToken); err == nil {
			t.Errorf("accepted %.20q", bad)
		}
	}
}

func TestADatabaseWithoutItsMasterKeyYieldsNothing(t *testing.T) {
	first, db := open(t, 'a')
	again, err := keys.Open(context.Background(), db, bytesOf('a'), storetest.NewClock().Now)
	if err != nil || string(again.JWKS()) != string(first.JWKS()) {
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
