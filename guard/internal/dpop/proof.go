package dpop

import (
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/curfew-id/curfew/guard/internal/jose"
)

// Algs are the algorithms of proofs, as the issuer has them.
const Algs = "ES256 PS256 RS256 EdDSA"

// The limits of a proof.
const (
	maxLen   = 8 << 10         // bytes
	maxID    = 256             // bytes of its jti
	maxSeen  = 1 << 17         // remembered in each half of a turn
	Age      = time.Minute     // how old one without a nonce may be
	NonceAge = 5 * time.Minute // one with a nonce, which says how old it is whatever the client's clock says
	turn     = 2 * NonceAge    // as long as a proof can be good, from the future to the past
)

// The sentences are public. They contain no comma and no quote, because clients
// split challenges at commas.
var (
	ErrForm     = errors.New("the DPoP proof is malformed")
	ErrReplayed = errors.New("the DPoP proof was used before")
	ErrBusy     = errors.New("this service has seen too many DPoP proofs at once")
)

// Proof is a DPoP proof whose signature is right.
type Proof struct {
	Thumbprint, ID, Method, Target, Token, Nonce string
	At                                           int64 // iat
}

// Read reads and verifies a proof by the key in its header (RFC 9449 §4.3,
// 2 to 7).
func Read(text string) (*Proof, error) {
	head, rest, ok := strings.Cut(text, ".")
	body, sig, ok2 := strings.Cut(rest, ".")
	if len(text) > maxLen || !ok || !ok2 {
		return nil, ErrForm
	}
	h, ok := jose.Decode64(head)
	b, ok2 := jose.Decode64(body)
	signature, ok3 := jose.Decode64(sig)
	if !ok || !ok2 || !ok3 {
		return nil, ErrForm
	}
	key, err := readHeader(string(h))
	if err != nil || !key.Verify(text[:len(head)+1+len(body)], signature) {
		return nil, ErrForm
	}
	p := &Proof{Thumbprint: key.Thumbprint()}
	var timed bool
	err = jose.ReadObject(string(b), func(r *jose.Reader, name string) (err error) {
		r.Space()
		switch name {
		case "jti":
			p.ID, err = r.String()
		case "htm":
			p.Method, err = r.String()
		case "htu":
			p.Target, err = r.String()
		case "ath":
			p.Token, err = r.String()
		case "nonce":
			p.Nonce, err = r.String()
		case "iat":
			timed = true
			p.At, err = r.Integer()
		default:
			err = r.Skip()
		}
		return err
	})
	if err != nil || !timed || p.ID == "" || len(p.ID) > maxID {
		return nil, ErrForm
	}
	return p, nil
}

func readHeader(text string) (*jose.Key, error) {
	var typ, alg string
	var key *jose.Key
	err := jose.ReadObject(text, func(r *jose.Reader, name string) (err error) {
		r.Space()
		switch name {
		case "typ":
			typ, err = r.String()
		case "alg":
			alg, err = r.String()
		case "jwk":
			key, err = jose.ReadPublicKey(r)
		case "crit":
			err = ErrForm
		default:
			err = r.Skip()
		}
		return err
	})
	if err != nil || typ != "dpop+jwt" || key == nil {
		return nil, ErrForm
	}
	if alg == "PS256" && key.Alg == "RS256" {
		key.Alg = alg
	}
	if alg != key.Alg {
		return nil, ErrForm
	}
	return key, nil
}

// SameURL reports whether two http addresses are the same one, apart from query
// and fragment, after the normalisation of RFC 3986 §6.2.2 and §6.2.3.
func SameURL(a, b string) bool {
	x, ok := normalURL(a)
	y, ok2 := normalURL(b)
	return ok && ok2 && x == y
}

func normalURL(s string) (string, bool) {
	u, err := url.Parse(s)
	if err != nil || u.User != nil || u.Opaque != "" || u.Hostname() == "" {
		return "", false
	}
	scheme, port := strings.ToLower(u.Scheme), u.Port()
	switch {
	case scheme != "https" && scheme != "http":
		return "", false
	case scheme == "https" && port == "443", scheme == "http" && port == "80":
		port = ""
	}
	p := (&url.URL{Path: u.Path}).EscapedPath()
	if strings.Contains(strings.ToUpper(u.RawPath), "%2F") {
		p = u.RawPath // an escaped slash is not a slash
	}
	if p == "" {
		p = "/"
	}
	return scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port + p, true
}
