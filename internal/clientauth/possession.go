package clientauth

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/proof"
)

// The two forms of a key's name, as in [grant.Grant.CNF].
const (
	JKT = "jkt:" // and a JWK's thumbprint (RFC 9449)
	X5T = "x5t:" // and a certificate's (RFC 8705)
)

// Possession is what a request shows to prove that its sender holds a key.
type Possession struct {
	Proofs       []string // values of the header DPoP
	Method, Path string   // of the request, as sent
	Token        string   // the access token it comes with; empty: none
	// Client is who asks, when it is not known from the token. It is not
	// authenticated yet: what it wants of proofs is looked up, nothing else.
	Client      directory.AppID
	Certificate *x509.Certificate // of the connection; nil: none
}

// ErrProof is the refusal of a DPoP proof (RFC 9449 §5).
func ErrProof(text string) error {
	return fault.Wrap(fault.Invalid, text, &Error{Code: "invalid_dpop_proof"})
}

// errNonce asks the client to try again with the nonce that comes in the answer's
// header DPoP-Nonce (RFC 9449 §8).
var errNonce = fault.Wrap(fault.Invalid, "The DPoP proof needs the nonce in the header DPoP-Nonce.", &Error{Code: "use_dpop_nonce"})

// Holder finds out which keys requests prove to hold. One serves all requests of a
// node.
type Holder struct {
	Bases  []string // public URLs that requests may be for, without a trailing slash
	Secret []byte   // makes the nonces; the same on all nodes
	Now    func() time.Time

	proofs usedProofs
}

// Prove returns the name of the key that a request proves to hold, as it stands
// in [grant.Grant.CNF]; "" when it shows none. A DPoP proof goes before a
// certificate; with needNonce it must carry a nonce of ours. Kinds: Invalid
// (invalid_dpop_proof, use_dpop_nonce).
func (h *Holder) Prove(p Possession, needNonce bool) (string, error) {
	switch {
	case len(p.Proofs) > 1:
		return "", ErrProof("There is more than one header DPoP.")
	case len(p.Proofs) == 0 && p.Certificate == nil:
		return "", nil
	case len(p.Proofs) == 0:
		sum := sha256.Sum256(p.Certificate.Raw)
		return X5T + base64.RawURLEncoding.EncodeToString(sum[:]), nil
	}
	now := h.Now()
	urls := make([]string, len(h.Bases))
	for i, b := range h.Bases {
		urls[i] = b + p.Path
	}
	x, err := proof.DPoP(p.Proofs[0], proof.DPoPWant{Method: p.Method, URLs: urls, Token: p.Token, Now: now, Nonce: h.nonceGood, NeedNonce: needNonce})
	var r *proof.Refusal
	switch {
	case errors.Is(err, proof.ErrNonce):
		return "", errNonce
	case errors.As(err, &r):
		return "", ErrProof("The DPoP proof is not accepted: " + r.Text + ".")
	case err != nil:
		return "", err
	case !h.proofs.first(x, now):
		return "", ErrProof("The DPoP proof was used before. Sign a new one for each request.")
	}
	return JKT + x.Thumbprint, nil
}

// nonceStep is how often the nonce for DPoP proofs changes. One is good for its
// step and the next: applications that must use DPoP cannot have proofs made long
// before (RFC 9449 §8).
const nonceStep = 150 * time.Second

// Nonce is the nonce for DPoP proofs now, the same on all nodes.
func (h *Holder) Nonce() string { return h.nonceAt(h.Now().Unix() / int64(nonceStep/time.Second)) }

func (h *Holder) nonceAt(step int64) string {
	m := hmac.New(sha256.New, h.Secret)
	m.Write(binary.BigEndian.AppendUint64(nil, uint64(step)))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil)[:16])
}

func (h *Holder) nonceGood(nonce string) bool {
	step := h.Now().Unix() / int64(nonceStep/time.Second)
	for _, n := range []int64{step, step - 1, step + 1} { // another node's clock may be ahead
		if hmac.Equal([]byte(nonce), []byte(h.nonceAt(n))) {
			return true
		}
	}
	return false
}

// usedProofs remembers DPoP proofs while they could be used again, in this
// process only. A proof is no credential: whoever repeats one on another node
// within its minute needs the token or code beside it, repeats one request to the
// letter, and what the answer holds is bound to a key that is not theirs. So it
// is not worth a write in the store for each request, and when too many come the
// oldest are forgotten rather than everybody turned away.
type usedProofs struct {
	mu       sync.Mutex
	cur, old map[[16]byte]int64 // guarded by mu: until when, in Unix seconds
	since    time.Time          // guarded by mu: when cur began
}

const (
	maxUsed  = 1 << 17
	usedTurn = 10 * time.Minute // no proof is good for longer
)

// first reports whether a proof was not seen before, and remembers it.
func (u *usedProofs) first(p *proof.Possession, now time.Time) bool {
	sum := sha256.Sum256([]byte(p.Thumbprint + "\x00" + p.JTI))
	id := [16]byte(sum[:16])
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.cur == nil || len(u.cur) >= maxUsed || now.Sub(u.since) >= usedTurn {
		u.old, u.cur, u.since = u.cur, map[[16]byte]int64{}, now
	}
	if _, seen := u.cur[id]; seen {
		return false
	}
	if until, seen := u.old[id]; seen && until >= now.Unix() {
		return false
	}
	u.cur[id] = p.Until.Unix()
	return true
}
