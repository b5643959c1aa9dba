package guardtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"time"
)

// Holder is a client that holds a key to which tokens are bound (RFC 9449).
type Holder struct{ key *ecdsa.PrivateKey }

// NewHolder makes one with a new P-256 key.
func NewHolder() *Holder {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // the system has no randomness
	}
	return &Holder{k}
}

func (h *Holder) jwk() (x, y string) {
	point, err := h.key.PublicKey.Bytes()
	if err != nil {
		panic(err) // on the curve: it was made there
	}
	return base64.RawURLEncoding.EncodeToString(point[1:33]), base64.RawURLEncoding.EncodeToString(point[33:])
}

// Thumbprint names the key, for the cnf claim of a token:
//
//	Token{Claims: map[string]any{"cnf": map[string]any{"jkt": h.Thumbprint()}}}
func (h *Holder) Thumbprint() string {
	x, y := h.jwk()
	sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + x + `","y":"` + y + `"}`))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// PrivateJWK is the whole key, which belongs into no proof.
func (h *Holder) PrivateJWK() map[string]any {
	x, y := h.jwk()
	d, err := h.key.Bytes()
	if err != nil {
		panic(err) // as above
	}
	return map[string]any{"kty": "EC", "crv": "P-256", "x": x, "y": y, "d": base64.RawURLEncoding.EncodeToString(d)}
}

// Proof says what to put into a DPoP proof. Claims and Header are laid over the
// rest; a nil value removes one.
type Proof struct {
	Method, URL string
	Token       string    // the access token it comes with
	Nonce       string    // empty: none
	At          time.Time // zero: now
	Claims      map[string]any
	Header      map[string]any
}

// Proof signs a proof.
func (h *Holder) Proof(p Proof) string {
	if p.At.IsZero() {
		p.At = time.Now()
	}
	x, y := h.jwk()
	sum := sha256.Sum256([]byte(p.Token))
	claims := map[string]any{"jti": randomID(), "htm": p.Method, "htu": p.URL, "iat": p.At.Unix(), "ath": base64.RawURLEncoding.EncodeToString(sum[:])}
	if p.Nonce != "" {
		claims["nonce"] = p.Nonce
	}
	header := map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": map[string]any{"kty": "EC", "crv": "P-256", "x": x, "y": y}}
	lay(claims, p.Claims)
	lay(header, p.Header)
	signed := base64.RawURLEncoding.EncodeToString(marshal(header)) + "." + base64.RawURLEncoding.EncodeToString(marshal(claims))
	return signed + "." + base64.RawURLEncoding.EncodeToString(sign(signer{"ES256", h.key}, signed))
}

// Prove puts token and proof onto a request to an address.
func (h *Holder) Prove(r *http.Request, token string, p Proof) {
	p.Token = token
	r.Header.Set("Authorization", "DPoP "+token)
	r.Header.Set("DPoP", h.Proof(p))
}
