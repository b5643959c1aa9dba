package proof

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// MaxStatement bounds a signed statement, in bytes.
const MaxStatement = 16 << 10

// Leeway is how far two clocks may be apart when the Want does not say.
const Leeway = time.Minute

// Why a statement was refused. Errors of this package match one of them by
// errors.Is; their text names members, never values.
var (
	ErrMalformed = errors.New("not a signed statement of the form expected")
	ErrAlgorithm = errors.New("signed with an algorithm that is not accepted")
	ErrType      = errors.New("of another type")
	ErrKey       = errors.New("signed with a key that is not known") // read the keys anew, if they may have changed
	ErrSignature = errors.New("signature does not verify")
	ErrIssuer    = errors.New("issued by somebody else")
	ErrSubject   = errors.New("about somebody else")
	ErrAudience  = errors.New("meant for somebody else")
	ErrTime      = errors.New("not valid now")
	ErrMissing   = errors.New("a claim is missing")
)

// Want says what a statement must be. Algs, Issuer, Audience and Now have no
// default: without one of them nothing is accepted.
type Want struct {
	// Algs are the signature algorithms accepted, such as "ES256". Symmetric ones
	// and "none" are refused even if named.
	Algs []string
	// Types are the values of the header typ accepted, in any case and without
	// "application/". "" stands for a header without typ. Empty: any.
	Types []string
	// Issuer is what iss must be, to the byte.
	Issuer string
	// Subject is what sub must be; empty: it may be anything, or missing.
	Subject string
	// Audience are the names of the reader, of which aud must be or hold one.
	Audience []string
	// OnlyAudience refuses an aud that names anybody else beside; StringAudience
	// one that is an array, whatever it holds.
	OnlyAudience, StringAudience bool
	Now                          time.Time
	Leeway                       time.Duration // 0: [Leeway]
	// MaxLife bounds how far ahead of Now exp may lie; 0: any distance. A
	// statement without exp is refused unless NoExpiry.
	MaxLife  time.Duration
	NoExpiry bool
	// MaxAge bounds how long ago iat may lie and makes it required; 0: any age. An
	// iat in the future is always refused.
	MaxAge time.Duration
	// NeedJTI refuses a statement without jti.
	NeedJTI bool
}

// Claims are those of a verified statement.
type Claims struct {
	Issuer    string
	Subject   string
	Audience  []string
	JTI       string
	Expires   time.Time // zero: none
	NotBefore time.Time // zero: none
	IssuedAt  time.Time // zero: none
	Alg       string    // it was signed with
	KeyID     string    // of the key that verified it
	// ByCertificate: the header named the key by the thumbprint of a certificate.
	ByCertificate bool

	members map[string]json.RawMessage
	list    bool // aud was an array
}

// Has reports whether the statement has a claim, of whatever form.
func (c *Claims) Has(name string) bool { _, ok := c.members[name]; return ok }

// Get reads a claim into v as encoding/json does; a missing one leaves v alone.
// Names are compared to the letter.
func (c *Claims) Get(name string, v any) error {
	raw, ok := c.members[name]
	if !ok {
		return nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return refused(ErrMalformed, "the claim "+name+" has another form")
	}
	return nil
}

// Verify reads a signed statement in compact form (RFC 7515 §3.1) and refuses it
// unless it is all that want says and one of keys has signed it.
func Verify(token string, keys *Keys, want Want) (*Claims, error) {
	if len(want.Algs) == 0 || want.Issuer == "" || len(want.Audience) == 0 || want.Now.IsZero() || keys == nil {
		return nil, errors.New("proof: the caller has not said what to accept")
	}
	t, err := parse(token)
	if err != nil {
		return nil, err
	}
	if err := t.form(want.Algs, want.Types); err != nil {
		return nil, err
	}
	c, err := t.claims()
	if err != nil {
		return nil, err
	}
	k, err := t.verifiedBy(keys, want.Algs)
	if err != nil {
		return nil, err
	}
	c.Alg, c.KeyID, c.ByCertificate = t.header.Alg, k.id, t.header.X5t != nil || t.header.X5tS256 != nil
	return c, c.judge(want)
}

// Unverified is what a statement says of itself before anybody has looked at the
// signature: good for finding whose keys to ask, for nothing else.
type Unverified struct {
	Alg, Type, KeyID       string
	Issuer, Subject, JWTID string
	Audience               []string
}

// Peek reads a statement without believing it.
func Peek(token string) (*Unverified, error) {
	t, err := parse(token)
	if err != nil {
		return nil, err
	}
	c, err := t.claims()
	if err != nil {
		return nil, err
	}
	return &Unverified{Alg: t.header.Alg, Type: t.header.Typ, KeyID: t.header.Kid, Issuer: c.Issuer, Subject: c.Subject, JWTID: c.JTI, Audience: c.Audience}, nil
}

// RedirectInside is the redirect_uri that a request object names (OpenID Connect
// Core 1.0 §6), signed or not, without believing it: good for telling its sender
// that no object is obeyed, for nothing else.
func RedirectInside(text string) string {
	parts := strings.Split(text, ".")
	if len(text) > MaxStatement || len(parts) != 3 {
		return ""
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(parts[1])
	if err != nil {
		return ""
	}
	m, err := object(b)
	var uri string
	if err != nil || json.Unmarshal(m["redirect_uri"], &uri) != nil {
		return ""
	}
	return uri
}

// token is a compact JWS taken apart, not verified.
type token struct {
	text    string
	header  header
	payload []byte
}

// header is the protected header. Members that would bring a key along (jwk, jku,
// x5u, x5c) are not read here on purpose.
type header struct {
	Alg, Typ, Kid string
	X5t, X5tS256  []byte
	jwk           json.RawMessage // for DPoP proofs only
}

func parse(text string) (*token, error) {
	if len(text) > MaxStatement {
		return nil, refused(ErrMalformed, "it is too long")
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 || parts[2] == "" || strings.ContainsAny(text, "\r\n") { // which encoding/base64 would not see
		return nil, refused(ErrMalformed, "it is not a signed JWT in compact form")
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(parts[0])
	if err != nil {
		return nil, refused(ErrMalformed, "its header is not base64url")
	}
	t := &token{text: text}
	if t.payload, err = base64.RawURLEncoding.Strict().DecodeString(parts[1]); err != nil {
		return nil, refused(ErrMalformed, "its payload is not base64url")
	}
	m, err := object(raw)
	if err != nil {
		return nil, refused(ErrMalformed, "its header is not a JSON object with each member once")
	}
	for _, name := range []string{"crit", "b64"} {
		if _, ok := m[name]; ok {
			return nil, refused(ErrMalformed, "its header has "+name)
		}
	}
	var sha1, sha256 string
	for name, v := range map[string]*string{"alg": &t.header.Alg, "typ": &t.header.Typ, "kid": &t.header.Kid, "x5t": &sha1, "x5t#S256": &sha256} {
		if raw, ok := m[name]; ok && json.Unmarshal(raw, v) != nil {
			return nil, refused(ErrMalformed, "the header "+name+" is not a string")
		}
	}
	t.header.jwk = m["jwk"]
	if t.header.X5t, err = thumbprint(sha1, 20); err != nil {
		return nil, err
	}
	t.header.X5tS256, err = thumbprint(sha256, 32)
	return t, err
}

// thumbprint reads a certificate's thumbprint. RFC 7515 says base64url; MSAL Go
// sends standard base64 with padding.
func thumbprint(s string, size int) ([]byte, error) {
	if s == "" {
		return nil, nil
	}
	s = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(s, "="))
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != size {
		return nil, refused(ErrMalformed, "a thumbprint in its header has another size")
	}
	return b, nil
}

// asymmetric are the algorithms that can be accepted at all.
var asymmetric = []string{"ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA"}

// form judges algorithm and type.
func (t *token) form(algs, types []string) error {
	if !slices.Contains(asymmetric, t.header.Alg) || !slices.Contains(algs, t.header.Alg) {
		return refused(ErrAlgorithm, "use "+strings.Join(algs, ", "))
	}
	if len(types) == 0 {
		return nil
	}
	typ := strings.TrimPrefix(strings.ToLower(t.header.Typ), "application/")
	if !slices.ContainsFunc(types, func(x string) bool { return strings.EqualFold(x, typ) }) {
		return refused(ErrType, "its header typ is not "+strings.Join(types, " or "))
	}
	return nil
}

// verifiedBy returns the key that signed the token.
func (t *token) verifiedBy(keys *Keys, algs []string) (*key, error) {
	fit := keys.fitting(&t.header)
	if len(fit) == 0 {
		return nil, refused(ErrKey, "no registered key fits its header")
	}
	names := make([]jose.SignatureAlgorithm, len(algs))
	for i, a := range algs {
		names[i] = jose.SignatureAlgorithm(a)
	}
	sig, err := jose.ParseSignedCompact(t.text, names)
	if err != nil {
		return nil, refused(ErrMalformed, "it is not a signed JWT in compact form")
	}
	for _, k := range fit {
		if b, err := sig.Verify(k.public); err == nil && bytes.Equal(b, t.payload) {
			return k, nil
		}
	}
	return nil, refused(ErrSignature, "no registered key verifies it")
}

// claims reads the registered claims, whatever they say.
func (t *token) claims() (*Claims, error) {
	m, err := object(t.payload)
	if err != nil {
		return nil, refused(ErrMalformed, "its payload is not a JSON object with each member once")
	}
	c := &Claims{members: m}
	for name, v := range map[string]*string{"iss": &c.Issuer, "sub": &c.Subject, "jti": &c.JTI} {
		if err := c.Get(name, v); err != nil {
			return nil, err
		}
	}
	if raw, ok := m["aud"]; ok {
		var one string
		if json.Unmarshal(raw, &one) == nil {
			c.Audience = []string{one}
		} else if c.list = true; c.Get("aud", &c.Audience) != nil {
			return nil, refused(ErrMalformed, "the claim aud has another form")
		}
	}
	for name, v := range map[string]*time.Time{"exp": &c.Expires, "nbf": &c.NotBefore, "iat": &c.IssuedAt} {
		if err := c.instant(name, v); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// maxInstant is the end of the year 9999: nothing later is a date.
const maxInstant = 253402300799

// instant reads a NumericDate (RFC 7519 §2), which may have a fraction.
func (c *Claims) instant(name string, v *time.Time) error {
	if !c.Has(name) {
		return nil
	}
	var x *float64
	if err := c.Get(name, &x); err != nil || x == nil || *x < 1 || *x > maxInstant {
		return refused(ErrMalformed, "the claim "+name+" is not a date in seconds")
	}
	*v = time.UnixMilli(int64(*x * 1000)).UTC()
	return nil
}

// judge compares the claims with what was wanted.
func (c *Claims) judge(w Want) error {
	leeway := w.Leeway
	if leeway == 0 {
		leeway = Leeway
	}
	ours := func(a string) bool { return slices.Contains(w.Audience, a) }
	switch {
	case c.Issuer != w.Issuer:
		return refused(ErrIssuer, "iss is not the one expected")
	case w.Subject != "" && c.Subject != w.Subject:
		return refused(ErrSubject, "sub is not the one expected")
	case w.StringAudience && c.list:
		return refused(ErrAudience, "aud is not a single string")
	case !slices.ContainsFunc(c.Audience, ours):
		return refused(ErrAudience, "aud is not the one expected")
	case w.OnlyAudience && slices.ContainsFunc(c.Audience, func(a string) bool { return !ours(a) }):
		return refused(ErrAudience, "aud names somebody else beside")
	case w.NeedJTI && c.JTI == "":
		return refused(ErrMissing, "it has no jti")
	case c.Expires.IsZero() && !w.NoExpiry:
		return refused(ErrMissing, "it has no exp")
	case c.IssuedAt.IsZero() && w.MaxAge > 0:
		return refused(ErrMissing, "it has no iat")
	case !c.Expires.IsZero() && !w.Now.Before(c.Expires.Add(leeway)):
		return refused(ErrTime, "it has expired")
	case w.MaxLife > 0 && c.Expires.After(w.Now.Add(w.MaxLife+leeway)):
		return refused(ErrTime, "its exp is too far ahead")
	case c.NotBefore.After(w.Now.Add(leeway)):
		return refused(ErrTime, "its nbf lies ahead")
	case c.IssuedAt.After(w.Now.Add(leeway)):
		return refused(ErrTime, "its iat lies ahead")
	case w.MaxAge > 0 && c.IssuedAt.Add(w.MaxAge+leeway).Before(w.Now):
		return refused(ErrTime, "its iat is too long ago")
	}
	return nil
}

// Refusal says which check a statement did not pass. Its text is safe to show:
// it holds nothing of the statement.
type Refusal struct {
	why  error // one of the sentinels
	Text string
}

func refused(why error, text string) error { return &Refusal{why, text} }

// Error is the reason and the detail.
func (r *Refusal) Error() string { return r.why.Error() + ": " + r.Text }

// Unwrap returns the sentinel.
func (r *Refusal) Unwrap() error { return r.why }
