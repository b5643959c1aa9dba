package proof

import (
	"crypto"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// How far the iat of a DPoP proof may be from now. With a nonce of ours the nonce
// says how old it is, and a wrong clock at the client does no harm.
const (
	DPoPAge      = time.Minute
	dpopNonceAge = 5 * time.Minute
	maxDPoP      = 8 << 10 // bytes
)

// ErrNonce: the proof has no nonce though one is demanded, or one that is not of
// ours or not any more. Give a new one and let the client try again.
var ErrNonce = errors.New("a nonce of the server is needed")

// DPoPWant says what request a proof has to be for.
type DPoPWant struct {
	Method string // htm, to the letter
	// URLs are the addresses that the request may have been sent to, of which htu
	// must be one; query and fragment do not count.
	URLs []string
	// Token is the access token it comes with; empty: none (at the token endpoint).
	Token string
	// Nonce reports whether a nonce is one that may be used now. NeedNonce demands one.
	Nonce     func(string) bool
	NeedNonce bool
	Now       time.Time
}

// Possession is what a DPoP proof proves: somebody held this key at about that
// time and made this one request.
type Possession struct {
	Thumbprint string // of the key, base64url SHA-256 (RFC 7638): the jkt
	JTI        string // never empty; for the caller to remember until Until
	Until      time.Time
}

// DPoP verifies a proof of possession (RFC 9449 §4.3).
func DPoP(text string, want DPoPWant) (*Possession, error) {
	if len(text) > maxDPoP {
		return nil, refused(ErrMalformed, "it is too long")
	}
	t, err := parse(text)
	if err != nil {
		return nil, err
	}
	if err := t.form(AssertionAlgs, []string{"dpop+jwt"}); err != nil {
		return nil, err
	}
	if t.header.jwk == nil {
		return nil, refused(ErrMissing, "its header has no jwk")
	}
	k, err := parseKey(t.header.jwk)
	if err != nil || !k.makes(t.header.Alg) {
		return nil, refused(ErrKey, "its jwk is not a public key for its algorithm")
	}
	c, err := t.claims()
	if err != nil {
		return nil, err
	}
	t.header.Kid, t.header.X5t, t.header.X5tS256 = "", nil, nil // the key is here, names do not matter
	if _, err := t.verifiedBy(&Keys{keys: []*key{k}}, AssertionAlgs); err != nil {
		return nil, err
	}
	window, err := c.judgeDPoP(want)
	if err != nil {
		return nil, err
	}
	sum, err := (&jose.JSONWebKey{Key: k.public}).Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, refused(ErrKey, "its jwk is not a public key for its algorithm")
	}
	return &Possession{Thumbprint: base64.RawURLEncoding.EncodeToString(sum), JTI: c.JTI, Until: c.IssuedAt.Add(window)}, nil
}

func (c *Claims) judgeDPoP(w DPoPWant) (window time.Duration, err error) {
	var method, target, nonce, ath string
	for name, v := range map[string]*string{"htm": &method, "htu": &target, "nonce": &nonce, "ath": &ath} {
		if err := c.Get(name, v); err != nil {
			return 0, err
		}
	}
	window = DPoPAge
	if nonce != "" {
		window = dpopNonceAge
	}
	sum := sha256.Sum256([]byte(w.Token))
	switch {
	case c.JTI == "" || len(c.JTI) > maxJTI:
		return 0, refused(ErrMissing, "it has no jti, or one that is too long")
	case c.IssuedAt.IsZero():
		return 0, refused(ErrMissing, "it has no iat")
	case method != w.Method:
		return 0, refused(ErrAudience, "htm is not the method of this request")
	case !slices.ContainsFunc(w.URLs, func(u string) bool { return SameURL(target, u) }):
		return 0, refused(ErrAudience, "htu is not the address of this request")
	case w.Token != "" && subtle.ConstantTimeCompare([]byte(ath), []byte(base64.RawURLEncoding.EncodeToString(sum[:]))) != 1:
		return 0, refused(ErrAudience, "ath is not the hash of the access token")
	case nonce == "" && w.NeedNonce, nonce != "" && !w.Nonce(nonce):
		return 0, refused(ErrNonce, "use the one in the header DPoP-Nonce")
	case c.IssuedAt.After(w.Now.Add(window)) || c.IssuedAt.Add(window).Before(w.Now):
		return 0, refused(ErrTime, "its iat is not close to now")
	case !c.Expires.IsZero() && !w.Now.Before(c.Expires.Add(Leeway)), c.NotBefore.After(w.Now.Add(Leeway)):
		return 0, refused(ErrTime, "it is not valid now")
	}
	return window, nil
}

// SameURL reports whether two http addresses are the same one, apart from query
// and fragment, after the normalisation of RFC 3986 §6.2.2 and §6.2.3.
func SameURL(a, b string) bool {
	x, ok := normal(a)
	y, ok2 := normal(b)
	return ok && ok2 && x == y
}

func normal(s string) (string, bool) {
	u, err := url.Parse(s)
	if err != nil || u.User != nil || u.Opaque != "" {
		return "", false
	}
	scheme, host, port := strings.ToLower(u.Scheme), strings.ToLower(u.Hostname()), u.Port()
	if scheme != "https" && scheme != "http" || host == "" {
		return "", false
	}
	if port == map[string]string{"https": "443", "http": "80"}[scheme] {
		port = ""
	}
	p := (&url.URL{Path: u.Path}).EscapedPath()
	if strings.Contains(strings.ToUpper(u.RawPath), "%2F") {
		p = u.RawPath // an escaped slash is not a slash
	}
	if p == "" {
		p = "/"
	}
	return scheme + "://" + host + ":" + port + p, true
}
