package issue

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/proof"
)

// Confirmation is the cnf claim (RFC 7800): the key a token is bound to.
type Confirmation struct {
	JKT string `json:"jkt,omitempty"`      // RFC 9449 §6.1
	X5T string `json:"x5t#S256,omitempty"` // RFC 8705 §3.1
}

// The two forms of a key's name, as in [grant.Grant.CNF].
const (
	jktKey = "jkt:"
	x5tKey = "x5t:"
)

// confirm is the cnf claim for a key's name; nil for none.
func confirm(key string) *Confirmation {
	switch {
	case key == "":
		return nil
	case strings.HasPrefix(key, x5tKey):
		return &Confirmation{X5T: key[len(x5tKey):]}
	}
	return &Confirmation{JKT: key[len(jktKey):]}
}

// key is the name of the key that the claim holds; "" for none.
func (c *Confirmation) key() string {
	switch {
	case c == nil:
		return ""
	case c.X5T != "":
		return x5tKey + c.X5T
	}
	return jktKey + c.JKT
}

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

func errProof(text string) error {
	return refuse(fault.Invalid, "invalid_dpop_proof", 0, "", text)
}

// errNonce asks the client to try again with the nonce that comes in the answer's
// header DPoP-Nonce (RFC 9449 §8).
var errNonce = refuse(fault.Invalid, "use_dpop_nonce", 0, "", "The DPoP proof needs the nonce in the header DPoP-Nonce.")

// Holds returns the name of the key that a request proves to hold, as it stands
// in [grant.Grant.CNF]; "" when it shows none. A DPoP proof goes before a
// certificate. Kinds: Invalid (invalid_dpop_proof, use_dpop_nonce).
func (s *Service) Holds(ctx context.Context, p Possession) (string, error) {
	switch {
	case len(p.Proofs) > 1:
		return "", errProof("There is more than one header DPoP.")
	case len(p.Proofs) == 0 && p.Certificate == nil:
		return "", nil
	case len(p.Proofs) == 0:
		sum := sha256.Sum256(p.Certificate.Raw)
		return x5tKey + b64(sum[:]), nil
	}
	reg, err := s.reg.get(ctx, s)
	if err != nil {
		return "", err
	}
	now := s.Now()
	app := reg.apps[p.Client]
	urls := []string{s.Base + p.Path}
	if s.MTLS != "" {
		urls = append(urls, s.MTLS+p.Path)
	}
	x, err := proof.DPoP(p.Proofs[0], proof.DPoPWant{Method: p.Method, URLs: urls, Token: p.Token, Now: now,
		Nonce: s.nonceGood, NeedNonce: app != nil && app.RequireDPoP})
	var r *proof.Refusal
	switch {
	case errors.Is(err, proof.ErrNonce):
		return "", errNonce
	case errors.As(err, &r):
		return "", errProof("The DPoP proof is not accepted: " + r.Text + ".")
	case err != nil:
		return "", err
	case !s.proofs.first(x, now):
		return "", errProof("The DPoP proof was used before. Sign a new one for each request.")
	}
	return jktKey + x.Thumbprint, nil
}

// nonceStep is how often the nonce for DPoP proofs changes. One is good for its
// step and the next: applications that must use DPoP cannot have proofs made long
// before (RFC 9449 §8).
const nonceStep = 150 * time.Second

// Nonce is the nonce for DPoP proofs now, the same on all nodes.
func (s *Service) Nonce() string { return s.nonceAt(s.Now().Unix() / int64(nonceStep/time.Second)) }

func (s *Service) nonceAt(step int64) string {
	m := hmac.New(sha256.New, s.Keys.Derive("dpop nonce"))
	m.Write(binary.BigEndian.AppendUint64(nil, uint64(step)))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil)[:16])
}

func (s *Service) nonceGood(nonce string) bool {
	step := s.Now().Unix() / int64(nonceStep/time.Second)
	for _, n := range []int64{step, step - 1, step + 1} { // another node's clock may be ahead
		if hmac.Equal([]byte(nonce), []byte(s.nonceAt(n))) {
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

// errHolder: a token or grant is bound to a key, and the request proves to hold
// none or another one.
var errHolder = refuse(fault.Invalid, "invalid_grant", 70000, "", "The grant is bound to a key that this request does not prove to hold.")

// mustHold refuses to give bearer tokens to an application that is registered for
// bound ones only (RFC 9449 §5.2).
func mustHold(app *directory.App, key string) error {
	if app.RequireDPoP && !strings.HasPrefix(key, jktKey) {
		return errProof("This application gets tokens bound to a key only: send a DPoP proof.")
	}
	return nil
}

// binds says which key the refresh tokens of a new grant are bound to. Those of
// clients that prove who they are at each use need no other binding (RFC 9449
// §5), unless they are to stay the same at each use.
func binds(app *directory.App, key string) string {
	if app.Public || app.Refresh == directory.RefreshBound {
		return key
	}
	return ""
}

// held reports whether whoever shows an access token may: the key it is bound to
// was proven. A DPoP proof beside a token that is not bound to its key is refused,
// too (RFC 9449 §7.1).
func (a *Access) held(key string) bool {
	bound := a.CNF.key()
	return bound == key || bound == "" && !strings.HasPrefix(key, jktKey)
}
