package proof

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

var now = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

// signer is somebody who signs: ada's application, or mallory's.
type signer struct {
	alg  string
	key  crypto.Signer
	kid  string
	cert *x509.Certificate
}

func newSigner(t testing.TB, alg, kid string) *signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch alg {
	case "ES256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "EdDSA":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &signer{alg: alg, key: key, kid: kid}
}

func (s *signer) certify(t testing.TB) {
	t.Helper()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ada's daemon"}, NotBefore: now, NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, s.key.Public(), s.key)
	if err != nil {
		t.Fatal(err)
	}
	if s.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
}

func (s *signer) jwk(t testing.TB) json.RawMessage {
	t.Helper()
	j := jose.JSONWebKey{Key: s.key.Public(), KeyID: s.kid}
	if s.cert != nil {
		j.Certificates = []*x509.Certificate{s.cert}
	}
	b, err := j.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (s *signer) keys(t testing.TB) *Keys {
	t.Helper()
	k, err := NewKeys(s.jwk(t))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// sign makes a JWT with exactly these headers (alg is added) and claims.
func (s *signer) sign(t testing.TB, header map[string]any, claims any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return s.signText(t, header, string(payload))
}

func (s *signer) signText(t testing.TB, header map[string]any, payload string) string {
	t.Helper()
	h := maps.Clone(header)
	if h == nil {
		h = map[string]any{}
	}
	if h["alg"] == nil {
		h["alg"] = s.alg
	}
	b, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	return s.signParts(t, string(b), payload)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// signParts signs whatever it is given, in the way of the signer's algorithm.
func (s *signer) signParts(t testing.TB, header, payload string) string {
	t.Helper()
	input := b64([]byte(header)) + "." + b64([]byte(payload))
	sum := sha256.Sum256([]byte(input))
	var sig []byte
	var err error
	switch k := s.key.(type) {
	case ed25519.PrivateKey:
		sig = ed25519.Sign(k, []byte(input))
	case *ecdsa.PrivateKey:
		var r, x *big.Int
		if r, x, err = ecdsa.Sign(rand.Reader, k, sum[:]); err == nil {
			sig = append(r.FillBytes(make([]byte, 32)), x.FillBytes(make([]byte, 32))...)
		}
	case *rsa.PrivateKey:
		if s.alg == "PS256" {
			sig, err = rsa.SignPSS(rand.Reader, k, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			sig, err = rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:])
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + b64(sig)
}

type claims = map[string]any

// change is a copy of m with some members set, or removed when nil.
func change(m claims, with claims) claims {
	out := maps.Clone(m)
	for k, v := range with {
		if v == nil {
			delete(out, k)
		} else {
			out[k] = v
		}
	}
	return out
}

var statement = claims{"iss": "https://idp.contoso.example", "sub": "ada", "aud": "curfew", "jti": "1", "exp": now.Unix() + 300, "iat": now.Unix(), "nbf": now.Unix()}

var want = Want{Algs: []string{"ES256", "PS256", "RS256", "EdDSA"}, Issuer: "https://idp.contoso.example", Audience: []string{"curfew"}, Now: now}

func TestAStatementSignedByAKnownKeyIsRead(t *testing.T) {
	t.Parallel()
	for _, alg := range want.Algs {
		s := newSigner(t, alg, "k1")
		c, err := Verify(s.sign(t, map[string]any{"kid": "k1", "typ": "JWT"}, change(statement, claims{"nonce": "n", "auth_time": 7})), s.keys(t), want)
		if err != nil {
			t.Errorf("%s: %v", alg, err)
			continue
		}
		var nonce string
		if err := c.Get("nonce", &nonce); err != nil || nonce != "n" || c.Subject != "ada" || c.Alg != alg || c.KeyID != "k1" || !c.IssuedAt.Equal(now) || !c.Has("auth_time") || c.Has("Auth_Time") {
			t.Errorf("%s: read %+v, nonce %q (%v)", alg, c, nonce, err)
		}
	}
}

func TestAStatementIsRefused(t *testing.T) {
	t.Parallel()
	s, mallory := newSigner(t, "ES256", "k1"), newSigner(t, "ES256", "k1")
	rs := newSigner(t, "RS256", "k1")
	good := s.sign(t, nil, statement)
	parts := strings.Split(good, ".")
	hs := func(secret []byte, keyName string) string {
		input := b64([]byte(`{"alg":"HS256","kid":"`+keyName+`"}`)) + "." + parts[1]
		m := hmac.New(sha256.New, secret)
		m.Write([]byte(input))
		return input + "." + b64(m.Sum(nil))
	}
	spki, err := x509.MarshalPKIXPublicKey(s.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	with := func(c claims) string { return s.sign(t, nil, change(statement, c)) }
	head := func(h map[string]any) string { return s.sign(t, h, statement) }
	text := func(payload string) string { return s.signText(t, nil, payload) }
	wantOf := func(f func(*Want)) *Want { w := want; f(&w); return &w }
	for name, x := range map[string]struct {
		token string
		want  *Want
		why   error
	}{
		"alg none without a signature":              {b64([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".", nil, ErrMalformed},
		"alg none with a signature":                 {head(map[string]any{"alg": "none"}), nil, ErrAlgorithm},
		"alg None, asked for":                       {head(map[string]any{"alg": "None"}), wantOf(func(w *Want) { w.Algs = append(w.Algs, "None", "none") }), ErrAlgorithm},
		"alg HS256 under the public key":            {hs(s.jwk(t), "k1"), nil, ErrAlgorithm},
		"alg HS256 under the public key, asked for": {hs(spki, "k1"), wantOf(func(w *Want) { w.Algs = []string{"HS256"} }), ErrAlgorithm},
		"an algorithm the caller does not take":     {good, wantOf(func(w *Want) { w.Algs = []string{"RS256"} }), ErrAlgorithm},
		"an algorithm of another kind of key":       {rs.sign(t, nil, statement), nil, ErrKey},
		"a key that mallory made, same kid":         {mallory.sign(t, map[string]any{"kid": "k1"}, statement), nil, ErrSignature},
		"a key id that nobody registered":           {head(map[string]any{"kid": "k9"}), nil, ErrKey},
		"a key brought along in jwk":                {mallory.sign(t, map[string]any{"jwk": mallory.jwk(t)}, statement), nil, ErrSignature},
		"a signature of another payload":            {parts[0] + "." + b64([]byte(`{"iss":"https://idp.contoso.example","aud":"curfew","exp":9999999999,"sub":"grace"}`)) + "." + parts[2], nil, ErrSignature},
		"no signature":                              {parts[0] + "." + parts[1] + ".", nil, ErrMalformed},
		"two parts":                                 {parts[0] + "." + parts[1], nil, ErrMalformed},
		"five parts":                                {good + ".a.b", nil, ErrMalformed},
		"JSON serialization":                        {`{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, nil, ErrMalformed},
		"padding":                                   {parts[0] + "=." + parts[1] + "." + parts[2], nil, ErrMalformed},
		"a line break inside":                       {parts[0] + "\n." + parts[1] + "." + parts[2], nil, ErrMalformed},
		"too long":                                  {with(claims{"x": strings.Repeat("a", MaxStatement)}), nil, ErrMalformed},
		"crit":                                      {head(map[string]any{"crit": []string{"exp"}, "exp": 1}), nil, ErrMalformed},
		"b64":                                       {head(map[string]any{"b64": true}), nil, ErrMalformed},
		"alg twice":                                 {s.signParts(t, `{"alg":"ES256","alg":"ES256"}`, string(mustJSON(statement))), nil, ErrMalformed},
		"alg not a string":                          {head(map[string]any{"alg": 1}), nil, ErrMalformed},
		"a thumbprint of another size":              {head(map[string]any{"x5t": "AAAA"}), nil, ErrMalformed},
		"a header that is an array":                 {s.signParts(t, `["ES256"]`, `{}`), nil, ErrMalformed},
		"sub twice":                                 {text(`{"iss":"https://idp.contoso.example","aud":"curfew","exp":9999999999,"sub":"ada","sub":"grace"}`), nil, ErrMalformed},
		"a member twice further down":               {text(`{"iss":"https://idp.contoso.example","aud":"curfew","exp":9999999999,"events":{"a":1,"a":2}}`), nil, ErrMalformed},
		"two objects":                               {text(`{"iss":"https://idp.contoso.example","aud":"curfew","exp":9999999999}{}`), nil, ErrMalformed},
		"nested without end":                        {text(`{"iss":"https://idp.contoso.example","aud":"curfew","exp":9999999999,"x":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`), nil, ErrMalformed},
		"not UTF-8":                                 {text("{\"iss\":\"\xff\"}"), nil, ErrMalformed},
		"iss in capitals":                           {with(claims{"iss": nil, "ISS": "https://idp.contoso.example"}), nil, ErrIssuer},
		"iss of another":                            {with(claims{"iss": "https://idp.mallory.example"}), nil, ErrIssuer},
		"iss with a slash more":                     {with(claims{"iss": "https://idp.contoso.example/"}), nil, ErrIssuer},
		"iss a number":                              {with(claims{"iss": 1}), nil, ErrMalformed},
		"sub of another":                            {good, wantOf(func(w *Want) { w.Subject = "grace" }), ErrSubject},
		"aud of another":                            {with(claims{"aud": "mail"}), nil, ErrAudience},
		"no aud":                                    {with(claims{"aud": nil}), nil, ErrAudience},
		"aud a number":                              {with(claims{"aud": 1}), nil, ErrMalformed},
		"aud of another beside":                     {with(claims{"aud": []string{"curfew", "mail"}}), wantOf(func(w *Want) { w.OnlyAudience = true }), ErrAudience},
		"aud an array":                              {with(claims{"aud": []string{"curfew"}}), wantOf(func(w *Want) { w.StringAudience = true }), ErrAudience},
		"aud an empty array":                        {with(claims{"aud": []string{}}), nil, ErrAudience},
		"no exp":                                    {with(claims{"exp": nil}), nil, ErrMissing},
		"exp null":                                  {text(`{"iss":"https://idp.contoso.example","aud":"curfew","exp":null}`), nil, ErrMalformed},
		"exp a string":                              {with(claims{"exp": "9999999999"}), nil, ErrMalformed},
		"exp beyond all dates":                      {with(claims{"exp": 1e300}), nil, ErrMalformed},
		"exp below zero":                            {with(claims{"exp": -1}), nil, ErrMalformed},
		"exp passed":                                {with(claims{"exp": now.Unix() - 60}), nil, ErrTime},
		"exp too far ahead":                         {good, wantOf(func(w *Want) { w.MaxLife = time.Minute }), ErrTime},
		"nbf ahead":                                 {with(claims{"nbf": now.Unix() + 61}), nil, ErrTime},
		"iat ahead":                                 {with(claims{"iat": now.Unix() + 61}), nil, ErrTime},
		"iat too long ago":                          {with(claims{"iat": now.Unix() - 200}), wantOf(func(w *Want) { w.MaxAge = time.Minute }), ErrTime},
		"no iat where the age counts":               {with(claims{"iat": nil}), wantOf(func(w *Want) { w.MaxAge = time.Minute }), ErrMissing},
		"no jti where it is needed":                 {with(claims{"jti": nil}), wantOf(func(w *Want) { w.NeedJTI = true }), ErrMissing},
		"another typ":                               {head(map[string]any{"typ": "at+jwt"}), wantOf(func(w *Want) { w.Types = []string{"JWT", ""} }), ErrType},
		"no typ where one is needed":                {good, wantOf(func(w *Want) { w.Types = []string{"logout+jwt"} }), ErrType},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := want
			if x.want != nil {
				w = *x.want
			}
			if c, err := Verify(x.token, s.keys(t), w); !errors.Is(err, x.why) {
				t.Errorf("%+v, %v; want %v", c, err, x.why)
			}
		})
	}
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func TestWhoDoesNotSayWhatToAcceptAcceptsNothing(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ES256", "")
	token, keys := s.sign(t, nil, statement), s.keys(t)
	for name, f := range map[string]func(*Want){
		"algorithms": func(w *Want) { w.Algs = nil }, "issuer": func(w *Want) { w.Issuer = "" },
		"audience": func(w *Want) { w.Audience = nil }, "instant": func(w *Want) { w.Now = time.Time{} },
	} {
		w := want
		f(&w)
		if _, err := Verify(token, keys, w); err == nil {
			t.Errorf("accepted without %s", name)
		}
	}
	if _, err := Verify(token, nil, want); err == nil {
		t.Error("accepted without keys")
	}
	if _, err := Verify(token, &Keys{}, want); !errors.Is(err, ErrKey) {
		t.Errorf("no keys: %v", err)
	}
}

func TestTypesAreComparedAsMediaTypes(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "EdDSA", "")
	w := want
	w.Types = []string{"logout+jwt", ""}
	for _, typ := range []string{"logout+jwt", "LOGOUT+JWT", "application/logout+jwt", ""} {
		if _, err := Verify(s.sign(t, map[string]any{"typ": typ}, statement), s.keys(t), w); err != nil {
			t.Errorf("typ %q: %v", typ, err)
		}
	}
}

func TestAKeyIsFoundByIDOrByCertificate(t *testing.T) {
	t.Parallel()
	s, other := newSigner(t, "PS256", "registered"), newSigner(t, "PS256", "other")
	s.certify(t)
	keys, err := NewKeys(other.jwk(t), s.jwk(t))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(s.cert.Raw)
	for name, h := range map[string]map[string]any{
		"no name at all":                nil,
		"kid":                           {"kid": "registered"},
		"x5t#S256":                      {"x5t#S256": b64(sum[:])},
		"x5t#S256 as MSAL Go writes it": {"x5t#S256": base64.StdEncoding.EncodeToString(sum[:])},
		"a kid of the client's own, with x5t#S256": {"kid": "mine", "x5t#S256": b64(sum[:])},
	} {
		c, err := Verify(s.sign(t, h, statement), keys, want)
		if err != nil || c.KeyID != "registered" || c.ByCertificate != strings.Contains(name, "x5t") {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	if !keys.Certificate(sum) {
		t.Error("a certificate that a key came with is not found")
	}
	if keys.Certificate([32]byte{}) {
		t.Error("a certificate of nobody is one of the keys")
	}
}

func TestASetOfKeysIsReadWithCare(t *testing.T) {
	t.Parallel()
	es, ps := newSigner(t, "ES256", "a"), newSigner(t, "PS256", "b")
	small := `{"kty":"RSA","n":"` + b64(new(big.Int).Lsh(big.NewInt(3), 1022).Bytes()) + `","e":"AQAB"}`
	huge := `{"kty":"RSA","n":"` + b64(new(big.Int).Lsh(big.NewInt(3), 8200).Bytes()) + `","e":"AQAB"}`
	even := `{"kty":"RSA","n":"` + b64(new(big.Int).Lsh(big.NewInt(3), 2047).Bytes()) + `","e":"Ag"}`
	set := func(k ...string) string { return `{"keys":[` + strings.Join(k, ",") + `]}` }
	a, b := string(es.jwk(t)), string(ps.jwk(t))
	for name, x := range map[string]struct {
		set string
		n   int // -1: refused
	}{
		"two keys":                 {set(a, b), 2},
		"none":                     {set(), 0},
		"a kind we do not know":    {set(a, `{"kty":"AKP","alg":"ML-DSA-99","pub":"AAAA"}`), 1},
		"one for encryption":       {set(a, strings.Replace(b, `{`, `{"use":"enc",`, 1)), 1},
		"an RSA key too small":     {set(a, small), 1},
		"an RSA key too large":     {set(a, huge), 1},
		"an RSA exponent of two":   {set(a, even), 1},
		"a point not on the curve": {set(a, `{"kty":"EC","crv":"P-256","x":"`+b64(make([]byte, 32))+`","y":"`+b64(make([]byte, 32))+`"}`), 1},
		"more than count":          {set(strings.Split(strings.TrimSuffix(strings.Repeat(a+"\x00", MaxKeys+5), "\x00"), "\x00")...), MaxKeys},
		"a private key":            {set(a, strings.Replace(a, `{`, `{"d":"AAAA",`, 1)), -1},
		"a secret":                 {set(a, `{"kty":"oct","k":"AAAA"}`), -1},
		"keys not an array":        {`{"keys":{}}`, -1},
		"not an object":            {`[]`, -1},
		"keys twice":               {`{"keys":[],"keys":[]}`, -1},
		"too large":                {set(a) + strings.Repeat(" ", MaxKeySet), -1},
		"empty":                    {``, -1},
	} {
		k, err := ParseKeys([]byte(x.set))
		switch {
		case x.n < 0 && !errors.Is(err, ErrKeySet):
			t.Errorf("%s: %+v, %v", name, k, err)
		case x.n >= 0 && (err != nil || k.Len() != x.n):
			t.Errorf("%s: %+v, %v; want %d keys", name, k, err, x.n)
		}
	}
}

func TestAKeyThatNamesItsAlgorithmMakesNoOther(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "RS256", "")
	keys, err := NewKeys(json.RawMessage(strings.Replace(string(s.jwk(t)), `{`, `{"alg":"PS256",`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(s.sign(t, nil, statement), keys, want); !errors.Is(err, ErrKey) {
		t.Errorf("RS256 by a key for PS256: %v", err)
	}
	// And a curve has one algorithm.
	p384 := newSigner(t, "ES384", "")
	if _, err := Verify(s.sign(t, map[string]any{"alg": "ES256"}, statement), p384.keys(t), want); !errors.Is(err, ErrKey) {
		t.Errorf("ES256 by a key on P-384: %v", err)
	}
}

func TestPeekTellsWhomToAskAndNothingElse(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ES256", "k1")
	u, err := Peek(s.sign(t, map[string]any{"kid": "k1", "typ": "JWT"}, statement))
	if err != nil || u.Issuer != "https://idp.contoso.example" || u.Subject != "ada" || u.KeyID != "k1" || u.Alg != "ES256" || u.Type != "JWT" || u.JWTID != "1" || len(u.Audience) != 1 {
		t.Errorf("%+v, %v", u, err)
	}
	if _, err := Peek("a.b.c"); !errors.Is(err, ErrMalformed) {
		t.Errorf("not a statement: %v", err)
	}
}

func TestRefusalsHoldNothingOfTheStatement(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ES256", "")
	for _, c := range []claims{{"iss": "hunter2"}, {"aud": "hunter2"}, {"exp": "hunter2"}, {"sub": 5, "hunter2": 1}} {
		if _, err := Verify(s.sign(t, map[string]any{"kid": "hunter2"}, change(statement, c)), s.keys(t), want); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
	}
}

func FuzzStatement(f *testing.F) {
	s := newSigner(f, "ES256", "k")
	f.Add(s.sign(f, nil, statement))
	f.Add(s.sign(f, map[string]any{"kid": "k", "x5t": "AAAA"}, statement))
	f.Add("..")
	keys := s.keys(f)
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := Verify(text, keys, want); err == nil && (c.Issuer != want.Issuer || c.Expires.IsZero()) {
			t.Errorf("accepted %+v", c)
		}
		if _, err := Peek(text); err != nil {
			var r *Refusal
			if !errors.As(err, &r) {
				t.Errorf("%T %v", err, err)
			}
		}
	})
}

func FuzzKeys(f *testing.F) {
	s := newSigner(f, "RS256", "k")
	f.Add([]byte(`{"keys":[` + string(s.jwk(f)) + `]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA"}]}`))
	token := s.sign(f, nil, statement)
	f.Fuzz(func(t *testing.T, set []byte) {
		k, err := ParseKeys(set)
		if err == nil && k.Len() <= MaxKeys {
			Verify(token, k, want) // must not panic, whatever the key
		}
	})
}

func TestWhatARequestObjectNamesIsReadAndNotBelieved(t *testing.T) {
	t.Parallel()
	object := func(payload string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + "."
	}
	const uri = "https://a.example/cb"
	for text, want := range map[string]string{
		object(`{"redirect_uri":"` + uri + `"}`): uri, object(`{"redirect_uri":"`+uri+`"}`) + "c2ln": uri, object(`{}`): "", object(`{"redirect_uri":["` + uri + `"]}`): "", object(`[]`): "", object(`x`): "",
		object(`{"redirect_uri":"` + uri + `","redirect_uri":"https://b.example/"}`): "", "": "", "a.b": "", "a.%.c": "", object(`{"redirect_uri":"` + strings.Repeat("a", MaxStatement) + `"}`): "",
	} {
		if got := RedirectInside(text); got != want {
			t.Errorf("%.60s: %q", text, got)
		}
	}
}

func FuzzRedirectInside(f *testing.F) {
	f.Add("eyJhbGciOiJub25lIn0.eyJyZWRpcmVjdF91cmkiOiJodHRwczovL2EuZXhhbXBsZS8ifQ.")
	f.Add("..")
	f.Fuzz(func(t *testing.T, text string) {
		if got := RedirectInside(text); got != "" && strings.Count(text, ".") != 2 {
			t.Errorf("%q names %q", text, got)
		}
	})
}
