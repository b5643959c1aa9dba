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
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/curfew-id/curfew/guard/internal/jose"
)

// A token that is bound to a key (RFC 7800) is worth nothing without it: whoever
// shows it proves with each request that they hold the key, by a DPoP proof (RFC
// 9449) or by the certificate of their connection (RFC 8705 §3).

// proofAlgs are the algorithms of DPoP proofs, as the issuer has them.
const proofAlgs = "ES256 PS256 RS256 EdDSA"

// The limits of a proof.
const (
	maxProof      = 8 << 10 // bytes
	maxProofID    = 256     // bytes of its jti
	proofAge      = time.Minute
	proofNonceAge = 5 * time.Minute // a nonce says how old it is, whatever the client's clock says
	nonceStep     = 150 * time.Second
	maxProofs     = 1 << 17           // remembered in each half of proofTurn
	proofTurn     = 2 * proofNonceAge // as long as a proof can be good, from the future to the past
)

var (
	errProof    = errors.New("the DPoP proof is malformed")
	errProofs   = errors.New("the request carries more than one DPoP proof")
	errNoProof  = errors.New("the token is bound to a key and the request carries no DPoP proof")
	errProofKey = errors.New("the DPoP proof is not made with the key the token is bound to")
	errProofFor = errors.New("the DPoP proof is for another request or another token")
	errProofOld = errors.New("the DPoP proof was made too long ago or in the future")
	errReplayed = errors.New("the DPoP proof was used before")
	errBusy     = errors.New("this service has seen too many DPoP proofs at once")
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
func (g *Guard) checkRequest(r *http.Request) (*entry, error) {
	token, dpop, err := g.credentials(r.Header)
	if err != nil {
		if since, closed := g.staleSince(g.now()); closed {
			err = &Refusal{Kind: Stale, Since: since} // closed means closed
		}
		return nil, err
	}
	e, err := g.check(token)
	if err != nil {
		refusal(err).dpop = dpop
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
	e, err := g.checkRequest(r)
	if err != nil {
		return nil, err
	}
	return e.claims, nil
}

// proven judges whether the request proves what its token is bound to.
func (g *Guard) proven(r *http.Request, token string, dpop bool, e *entry) error {
	if e.claims.bound.x5t != "" && !shows(r, e.claims.bound.x5t) {
		return errHolder
	}
	switch {
	case e.claims.bound.jkt == "" && dpop:
		return errNotBound // RFC 9449 §7.1
	case e.claims.bound.jkt == "":
		return nil
	case !dpop:
		return errBound // RFC 9449 §7.2
	}
	proofs := r.Header.Values("DPoP")
	switch {
	case len(proofs) == 0:
		return errNoProof
	case len(proofs) > 1:
		return errProofs
	}
	p, err := readProof(proofs[0])
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare([]byte(p.thumbprint), []byte(e.claims.bound.jkt)) != 1 {
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

// proof is a DPoP proof whose signature is right.
type proof struct {
	thumbprint, id, method, target, token, nonce string
	at                                           int64 // iat
}

// readProof reads and verifies a proof by the key in its header (RFC 9449 §4.3,
// 2 to 7).
func readProof(text string) (*proof, error) {
	head, rest, ok := strings.Cut(text, ".")
	body, sig, ok2 := strings.Cut(rest, ".")
	if len(text) > maxProof || !ok || !ok2 {
		return nil, errProof
	}
	h, ok := jose.Decode64(head)
	b, ok2 := jose.Decode64(body)
	signature, ok3 := jose.Decode64(sig)
	if !ok || !ok2 || !ok3 {
		return nil, errProof
	}
	key, err := readProofHeader(string(h))
	if err != nil || !key.Verify(text[:len(head)+1+len(body)], signature) {
		return nil, errProof
	}
	p := &proof{thumbprint: key.Thumbprint()}
	var timed bool
	err = jose.ReadObject(string(b), func(r *jose.Reader, name string) (err error) {
		r.Space()
		switch name {
		case "jti":
			p.id, err = r.String()
		case "htm":
			p.method, err = r.String()
		case "htu":
			p.target, err = r.String()
		case "ath":
			p.token, err = r.String()
		case "nonce":
			p.nonce, err = r.String()
		case "iat":
			timed = true
			p.at, err = r.Integer()
		default:
			err = r.Skip()
		}
		return err
	})
	if err != nil || !timed || p.id == "" || len(p.id) > maxProofID {
		return nil, errProof
	}
	return p, nil
}

func readProofHeader(text string) (*jose.Key, error) {
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
			err = errProof
		default:
			err = r.Skip()
		}
		return err
	})
	if err != nil || typ != "dpop+jwt" || key == nil {
		return nil, errProof
	}
	if alg == "PS256" && key.Alg == "RS256" {
		key.Alg = alg
	}
	if alg != key.Alg {
		return nil, errProof
	}
	return key, nil
}

// judgeProof compares a proof with the request it came with and remembers it
// (RFC 9449 §4.3, 8 to 12).
func (g *Guard) judgeProof(p *proof, r *http.Request, token string) error {
	now := g.now()
	window := proofAge
	if p.nonce != "" {
		window = proofNonceAge
	}
	sum := sha256.Sum256([]byte(token))
	age := now.wall/int64(time.Second) - p.at
	switch {
	case p.method != r.Method || !sameURL(p.target, g.target(r)):
		return errProofFor
	case subtle.ConstantTimeCompare([]byte(p.token), []byte(base64.RawURLEncoding.EncodeToString(sum[:]))) != 1:
		return errProofFor
	case p.nonce == "" && g.cfg.DemandNonce, p.nonce != "" && !g.nonceGood(p.nonce, now):
		return errNonce
	case age > int64(window/time.Second) || age < -int64(window/time.Second):
		return errProofOld
	}
	return g.proofs.first(p, now)
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

// sameURL reports whether two http addresses are the same one, apart from query
// and fragment, after the normalisation of RFC 3986 §6.2.2 and §6.2.3.
func sameURL(a, b string) bool {
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

// usedProofs remembers proofs while they could be used again, in this process.
// Several instances of a service that must not take one proof twice between them
// demand a nonce, each with a secret of its own.
type usedProofs struct {
	mu       sync.Mutex
	cur, old map[[16]byte]struct{} // guarded by mu
	since    instant               // guarded by mu: when cur began
}

// first remembers a proof, or says that it was seen before. When more come than
// can be remembered, new ones are refused: doubt closes.
func (u *usedProofs) first(p *proof, now instant) error {
	sum := sha256.Sum256([]byte(p.thumbprint + "\x00" + p.id))
	id := [16]byte(sum[:16])
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.cur == nil || u.since.since(now) >= proofTurn {
		u.old, u.cur, u.since = u.cur, map[[16]byte]struct{}{}, now
	}
	_, seen := u.cur[id]
	_, before := u.old[id]
	switch {
	case seen || before:
		return errReplayed
	case len(u.cur) >= maxProofs:
		return errBusy
	}
	u.cur[id] = struct{}{}
	return nil
}
