package guard

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/curfew-id/curfew/guard/internal/dpop"
	"github.com/curfew-id/curfew/guard/internal/jose"
)

// A token that is bound to a key (RFC 7800) is worth nothing without it: whoever
// shows it proves with each request that they hold the key, by a DPoP proof (RFC
// 9449) or by the certificate of their connection (RFC 8705 §3).

// nonceStep is how often the nonce changes: one is good for its step and the next.
const nonceStep = dpop.NonceAge / 2

var (
	errProofs   = errors.New("the request carries more than one DPoP proof")
	errNoProof  = errors.New("the token is bound to a key and the request carries no DPoP proof")
	errProofKey = errors.New("the DPoP proof is not made with the key the token is bound to")
	errProofFor = errors.New("the DPoP proof is for another request or another token")
	errProofOld = errors.New("the DPoP proof was made too long ago or in the future")
	errNonce    = errors.New("the DPoP proof needs the nonce in the header DPoP-Nonce")
	errNotBound = errors.New("the token is not bound to a key and comes as a bearer token")
	errHolder   = errors.New("the token is bound to a certificate and the connection shows another or none")
)

// confirmation is the cnf claim: what a holder must prove.
type confirmation struct {
	jkt string // thumbprint of a key (RFC 9449 §6.1)
	x5t string // SHA-256 of a certificate (RFC 8705 §3.1)
}

// readConfirmation reads a cnf claim. A way of proof that this guard does not
// know is an error: it must not take the token for less than it is.
func readConfirmation(r *jose.Reader) (c confirmation, err error) {
	err = r.Object(func(name string) (err error) {
		r.Space()
		switch name {
		case "jkt":
			c.jkt, err = r.String()
		case "x5t#S256":
			c.x5t, err = r.String()
		default:
			err = errBound
		}
		return err
	})
	if err == nil && c == (confirmation{}) {
		err = errBound
	}
	return c, err
}

// checkRequest is check for a whole request: with the proof of a bound token.
func (g *Guard) checkRequest(r *http.Request, from netip.Addr) (*entry, error) {
	token, dpop, err := g.credentials(r.Header)
	if err != nil {
		if since, closed := g.staleSince(g.now()); closed {
			err = &Refusal{Kind: Stale, Since: since} // closed means closed
		}
		return nil, err
	}
	e, err := g.check(r.Context(), token, from)
	if err != nil {
		refusal(err).dpop = refusal(err).dpop || dpop
		return nil, err
	}
	if !dpop && e.claims.bound == (confirmation{}) {
		return e, nil
	}
	if cause := g.proven(r, token, dpop, e); cause != nil {
		return nil, &Refusal{Kind: Invalid, Claims: e.claims, cause: cause, dpop: dpop || e.claims.bound.jkt != ""}
	}
	return e, nil
}

// CheckRequest is Check for a request, for programs that do not use Middleware:
// only a request can show that its sender holds the key a token is bound to.
func (g *Guard) CheckRequest(r *http.Request) (*Claims, error) {
	e, err := g.checkRequest(r, g.cfg.ClientAddress(r))
	if err != nil {
		return nil, err
	}
	return e.claims, nil
}

// proven judges whether the request proves what its token is bound to. scheme: the
// token came under the scheme DPoP.
func (g *Guard) proven(r *http.Request, token string, scheme bool, e *entry) error {
	if e.claims.bound.x5t != "" && !shows(r, e.claims.bound.x5t) {
		return errHolder
	}
	switch {
	case e.claims.bound.jkt == "" && scheme:
		return errNotBound // RFC 9449 §7.1
	case e.claims.bound.jkt == "":
		return nil
	case !scheme:
		return errBound // RFC 9449 §7.2
	}
	proofs := r.Header.Values("DPoP")
	switch {
	case len(proofs) == 0:
		return errNoProof
	case len(proofs) > 1:
		return errProofs
	}
	p, err := dpop.Read(proofs[0])
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare([]byte(p.Thumbprint), []byte(e.claims.bound.jkt)) != 1 {
		return errProofKey
	}
	return g.judgeProof(p, r, token)
}

// shows reports whether the connection's certificate is the one named. Whoever
// ends TLS in front of the guard takes the certificate with it: such tokens are
// refused then.
func shows(r *http.Request, x5t string) bool {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return false
	}
	return subtle.ConstantTimeCompare([]byte(thumbprintOf(r.TLS.PeerCertificates[0])), []byte(x5t)) == 1
}

func thumbprintOf(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// judgeProof compares a proof with the request it came with and remembers it
// (RFC 9449 §4.3, 8 to 12).
func (g *Guard) judgeProof(p *dpop.Proof, r *http.Request, token string) error {
	now := g.now()
	window := dpop.Age
	if p.Nonce != "" {
		window = dpop.NonceAge
	}
	sum := sha256.Sum256([]byte(token))
	age := now.wall/int64(time.Second) - p.At
	switch {
	case p.Method != r.Method || !dpop.SameURL(p.Target, g.target(r)):
		return errProofFor
	case subtle.ConstantTimeCompare([]byte(p.Token), []byte(base64.RawURLEncoding.EncodeToString(sum[:]))) != 1:
		return errProofFor
	case p.Nonce == "" && g.cfg.DemandNonce, p.Nonce != "" && !g.nonceGood(p.Nonce, now):
		return errNonce
	case age > int64(window/time.Second) || age < -int64(window/time.Second):
		return errProofOld
	}
	return g.proofs.First(p, now.mono, now.wall)
}

// target is the address of a request as its client knows it: the guard's own
// URL and the path that was asked for. The header Host is not read: what is in
// front of the guard may have written it.
func (g *Guard) target(r *http.Request) string {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if !strings.HasPrefix(path, "/") { // absolute form, or a request that no server read
		path = r.URL.EscapedPath()
	}
	return g.origin + path
}

// nonce is the one to use now. It changes every nonceStep, and is good for its
// step and the next; instances with one secret share it.
func (g *Guard) nonce(now instant) string { return g.nonceAt(now.wall / int64(nonceStep)) }

func (g *Guard) nonceAt(step int64) string {
	m := hmac.New(sha256.New, g.nonceKey[:])
	m.Write(binary.BigEndian.AppendUint64(nil, uint64(step)))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil)[:16])
}

func (g *Guard) nonceGood(nonce string, now instant) bool {
	step := now.wall / int64(nonceStep)
	for _, s := range []int64{step, step - 1, step + 1} { // another instance's clock may be ahead
		if hmac.Equal([]byte(nonce), []byte(g.nonceAt(s))) {
			return true
		}
	}
	return false
}

// nonceKey is derived from what the configuration gives, or random.
func nonceKey(secret []byte) (key [sha256.Size]byte) {
	if len(secret) == 0 {
		rand.Read(key[:]) // never fails
		return key
	}
	m := hmac.New(sha256.New, secret)
	m.Write([]byte("curfew guard: DPoP nonces"))
	copy(key[:], m.Sum(nil))
	return key
}
