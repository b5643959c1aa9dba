package proof

import (
	"crypto"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	issuer   = "https://id.contoso.example"
	tokenURL = "https://id.contoso.example/oauth2/token"
)

var assertion = claims{"iss": "daemon", "sub": "daemon", "aud": issuer, "jti": "1", "exp": now.Unix() + 600, "nbf": now.Unix(), "iat": now.Unix()}

func TestAnAssertionProvesTheClientAtOneIssuer(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "PS256", "k")
	a := Assertion{Client: "daemon", Issuer: issuer, TokenURLs: []string{tokenURL}, Now: now}
	strict := a
	strict.Strict = true
	for name, x := range map[string]struct {
		with   claims
		header map[string]any
		why    error // nil: good
		strict error
	}{
		"as the standard has it":                {nil, nil, nil, nil},
		"for the token endpoint, as MSAL does":  {claims{"aud": tokenURL}, nil, nil, ErrAudience},
		"in an array, alone":                    {claims{"aud": []string{issuer}}, nil, nil, ErrAudience},
		"for both names, as older clients do":   {claims{"aud": []string{issuer, tokenURL}}, nil, nil, ErrAudience},
		"for us and somebody else":              {claims{"aud": []string{issuer, "https://id.mallory.example"}}, nil, ErrAudience, ErrAudience},
		"for the other issuer of the same host": {claims{"aud": issuer + "/tenant/v2.0"}, nil, ErrAudience, ErrAudience},
		"for another endpoint":                  {claims{"aud": issuer + "/oauth2/par"}, nil, ErrAudience, ErrAudience},
		"for the issuer with a slash":           {claims{"aud": issuer + "/"}, nil, ErrAudience, ErrAudience},
		"of another client":                     {claims{"iss": "other", "sub": "other"}, nil, ErrIssuer, ErrIssuer},
		"about another client":                  {claims{"sub": "other"}, nil, ErrSubject, ErrSubject},
		"by another client":                     {claims{"iss": "other"}, nil, ErrIssuer, ErrIssuer},
		"about nobody":                          {claims{"sub": nil}, nil, ErrSubject, ErrSubject},
		"without an end":                        {claims{"exp": nil}, nil, ErrMissing, ErrMissing},
		"that never ends":                       {claims{"exp": now.Add(2 * time.Hour).Unix()}, nil, ErrTime, ErrTime},
		"that has ended":                        {claims{"exp": now.Add(-2 * time.Minute).Unix()}, nil, ErrTime, ErrTime},
		"without jti":                           {claims{"jti": nil}, nil, ErrMissing, ErrMissing},
		"with a jti without end":                {claims{"jti": strings.Repeat("j", 300)}, nil, ErrMalformed, ErrMalformed},
		"that is an access token":               {nil, map[string]any{"typ": "at+jwt"}, ErrType, ErrType},
		"that is a DPoP proof":                  {nil, map[string]any{"typ": "dpop+jwt"}, ErrType, ErrType},
	} {
		token := s.sign(t, x.header, change(assertion, x.with))
		if c, err := a.Verify(token, s.keys(t)); !errors.Is(err, x.why) || err == nil && c == nil {
			t.Errorf("%s: %v; want %v", name, err, x.why)
		}
		if _, err := strict.Verify(token, s.keys(t)); !errors.Is(err, x.strict) {
			t.Errorf("%s, strictly: %v; want %v", name, err, x.strict)
		}
	}
}

func (s *signer) dpop(t testing.TB, with claims) string {
	t.Helper()
	return s.sign(t, map[string]any{"typ": "dpop+jwt", "jwk": s.jwk(t)}, change(claims{"jti": "1", "htm": "POST", "htu": tokenURL, "iat": now.Unix()}, with))
}

var wantDPoP = DPoPWant{Method: "POST", URLs: []string{tokenURL}, Now: now, Nonce: func(n string) bool { return n == "ours" }}

func TestTheProofOfRFC9449Verifies(t *testing.T) {
	t.Parallel()
	const text = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
	at := time.Unix(1562262616, 0)
	p, err := DPoP(text, DPoPWant{Method: "POST", URLs: []string{"https://other.example.com/token", "https://server.example.com/token"}, Now: at})
	if err != nil {
		t.Fatal(err)
	}
	if p.Thumbprint != "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" || p.JTI != "-BwC3ESc6acc2lTc" || !p.Until.Equal(at.Add(DPoPAge)) {
		t.Errorf("%+v", p)
	}
}

func TestAProofOfPossessionIsForOneRequest(t *testing.T) {
	t.Parallel()
	for _, alg := range AssertionAlgs {
		s := newSigner(t, alg, "")
		p, err := DPoP(s.dpop(t, nil), wantDPoP)
		if err != nil {
			t.Errorf("%s: %v", alg, err)
			continue
		}
		sum, err := (&jose.JSONWebKey{Key: s.key.Public()}).Thumbprint(crypto.SHA256)
		if err != nil || p.Thumbprint != b64(sum) {
			t.Errorf("%s: thumbprint %s (%v)", alg, p.Thumbprint, err)
		}
	}
	s, mallory := newSigner(t, "ES256", "k"), newSigner(t, "ES256", "k")
	rs := newSigner(t, "RS256", "")
	sum := sha256.Sum256([]byte("access token"))
	private, err := (&jose.JSONWebKey{Key: s.key}).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	body := change(claims{"jti": "1", "htm": "POST", "htu": tokenURL, "iat": now.Unix()}, nil)
	head := func(h map[string]any) string { return s.sign(t, h, body) }
	atRS := func(w *DPoPWant) { w.Token = "access token" }
	need := func(w *DPoPWant) { w.NeedNonce = true }
	for name, x := range map[string]struct {
		text string
		want func(*DPoPWant)
		why  error
	}{
		"another method":                  {s.dpop(t, claims{"htm": "GET"}), nil, ErrAudience},
		"the method in small letters":     {s.dpop(t, claims{"htm": "post"}), nil, ErrAudience},
		"another address":                 {s.dpop(t, claims{"htu": issuer + "/oauth2/par"}), nil, ErrAudience},
		"another host":                    {s.dpop(t, claims{"htu": "https://id.mallory.example/oauth2/token"}), nil, ErrAudience},
		"no address":                      {s.dpop(t, claims{"htu": nil}), nil, ErrAudience},
		"no method":                       {s.dpop(t, claims{"htm": nil}), nil, ErrAudience},
		"no jti":                          {s.dpop(t, claims{"jti": nil}), nil, ErrMissing},
		"a jti without end":               {s.dpop(t, claims{"jti": strings.Repeat("j", 300)}), nil, ErrMissing},
		"no iat":                          {s.dpop(t, claims{"iat": nil}), nil, ErrMissing},
		"a minute and a bit old":          {s.dpop(t, claims{"iat": now.Unix() - 61}), nil, ErrTime},
		"a minute and a bit ahead":        {s.dpop(t, claims{"iat": now.Unix() + 61}), nil, ErrTime},
		"with a nonce, far too old":       {s.dpop(t, claims{"iat": now.Unix() - 301, "nonce": "ours"}), nil, ErrTime},
		"past its own exp":                {s.dpop(t, claims{"exp": now.Unix() - 120}), nil, ErrTime},
		"a nonce of somebody else":        {s.dpop(t, claims{"nonce": "theirs"}), nil, ErrNonce},
		"no nonce where one is needed":    {s.dpop(t, nil), need, ErrNonce},
		"no hash of the token":            {s.dpop(t, nil), atRS, ErrAudience},
		"the hash of another token":       {s.dpop(t, claims{"ath": b64(make([]byte, 32))}), atRS, ErrAudience},
		"a key that did not sign":         {s.sign(t, map[string]any{"typ": "dpop+jwt", "jwk": mallory.jwk(t)}, body), nil, ErrSignature},
		"a key of another kind":           {s.sign(t, map[string]any{"typ": "dpop+jwt", "jwk": rs.jwk(t)}, body), nil, ErrKey},
		"a private key":                   {head(map[string]any{"typ": "dpop+jwt", "jwk": jsonRaw(private)}), nil, ErrKey},
		"a secret for a key":              {head(map[string]any{"typ": "dpop+jwt", "jwk": map[string]string{"kty": "oct", "k": "AAAA"}}), nil, ErrKey},
		"a symmetric algorithm":           {head(map[string]any{"typ": "dpop+jwt", "alg": "HS256", "jwk": s.jwk(t)}), nil, ErrAlgorithm},
		"algorithm none":                  {head(map[string]any{"typ": "dpop+jwt", "alg": "none", "jwk": s.jwk(t)}), nil, ErrAlgorithm},
		"no key":                          {head(map[string]any{"typ": "dpop+jwt"}), nil, ErrMissing},
		"a key that is a string":          {head(map[string]any{"typ": "dpop+jwt", "jwk": "k"}), nil, ErrKey},
		"no typ":                          {head(map[string]any{"jwk": s.jwk(t)}), nil, ErrType},
		"typ JWT":                         {head(map[string]any{"typ": "JWT", "jwk": s.jwk(t)}), nil, ErrType},
		"too long":                        {s.dpop(t, claims{"x": strings.Repeat("x", maxDPoP)}), nil, ErrMalformed},
		"not a JWT":                       {"proof", nil, ErrMalformed},
		"good with another token's needs": {s.dpop(t, claims{"ath": b64(sum[:])}), func(w *DPoPWant) { w.Token = "other token" }, ErrAudience},
	} {
		w := wantDPoP
		if x.want != nil {
			x.want(&w)
		}
		if p, err := DPoP(x.text, w); !errors.Is(err, x.why) {
			t.Errorf("%s: %+v, %v; want %v", name, p, err, x.why)
		}
	}
	for name, x := range map[string]struct {
		with claims
		want func(*DPoPWant)
	}{
		"with the token's hash":                  {claims{"ath": b64(sum[:])}, atRS},
		"with a nonce":                           {claims{"nonce": "ours"}, need},
		"ten seconds ahead":                      {claims{"iat": now.Unix() + 10}, nil},
		"with a query that does not count":       {claims{"htu": tokenURL + "?a=b#c"}, nil},
		"with a nonce, from a clock out of step": {claims{"iat": now.Unix() - 240, "nonce": "ours"}, nil},
	} {
		w := wantDPoP
		if x.want != nil {
			x.want(&w)
		}
		if _, err := DPoP(s.dpop(t, x.with), w); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type jsonRaw []byte

func (j jsonRaw) MarshalJSON() ([]byte, error) { return j, nil }

func TestAddressesAreComparedNormalised(t *testing.T) {
	t.Parallel()
	for _, same := range [][2]string{
		{"https://id.contoso.example/oauth2/token", "HTTPS://ID.contoso.example:443/oauth2/token"},
		{"http://localhost:80", "http://localhost/"},
		{"https://id.contoso.example/a%7eb", "https://id.contoso.example/a~b"},
		{"https://id.contoso.example/a?x", "https://id.contoso.example/a#y"},
	} {
		if !SameURL(same[0], same[1]) {
			t.Errorf("%s is not %s", same[0], same[1])
		}
	}
	for _, other := range [][2]string{
		{"https://id.contoso.example/a", "http://id.contoso.example/a"},
		{"https://id.contoso.example/a", "https://id.contoso.example:8443/a"},
		{"https://id.contoso.example/a", "https://id.contoso.example/A"},
		{"https://id.contoso.example/a", "https://id.contoso.example/a/"},
		{"https://id.contoso.example/a%2Fb", "https://id.contoso.example/a/b"},
		{"https://id.contoso.example/a", "https://id.contoso.example.mallory.example/a"},
		{"https://id.contoso.example/a", "https://ada@id.contoso.example/a"},
		{"https://id.contoso.example/a", "https://id.contoso.example/a/../a/b"},
		{"/a", "/a"},
		{"", ""},
		{"https:opaque", "https:opaque"},
		{"%", "%"},
	} {
		if SameURL(other[0], other[1]) {
			t.Errorf("%s is %s", other[0], other[1])
		}
	}
}

func FuzzDPoP(f *testing.F) {
	s := newSigner(f, "ES256", "")
	f.Add(s.dpop(f, nil))
	f.Add(s.dpop(f, claims{"nonce": "ours"}))
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := DPoP(text, wantDPoP); err == nil && (p.JTI == "" || len(p.Thumbprint) != 43) {
			t.Errorf("accepted %+v", p)
		}
	})
}

func FuzzSameURL(f *testing.F) {
	f.Add("https://id.contoso.example/a%2Fb?x#y", "https://id.contoso.example:443")
	f.Fuzz(func(t *testing.T, a, b string) {
		if SameURL(a, b) != SameURL(b, a) {
			t.Errorf("%q, %q: one way only", a, b)
		}
	})
}
