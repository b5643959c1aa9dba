package proof

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // x5t names a certificate by SHA-1 (RFC 7515 §4.1.7); nothing rests on it
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// Limits of a set of keys.
const (
	MaxKeySet = 64 << 10 // bytes of a JWK set
	MaxKeys   = 32       // keys that count; what follows them is not looked at
)

// Limits of an RSA key, in bits. A huge one would make each verification a way to
// keep the processor busy.
const (
	minRSA = 2048
	maxRSA = 8192
)

// Keys are the public keys that somebody may sign with.
type Keys struct{ keys []*key }

type key struct {
	public     any // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	id, alg    string
	sha1, s256 []byte // of the certificate it came with
}

// ErrKeySet is returned for what is not a set of usable public keys.
var ErrKeySet = errors.New("not a set of public keys")

// ParseKeys reads a JWK set (RFC 7517 §5). Keys of an unknown kind, too small
// ones and those for encryption are left out, as the standard asks; a set that
// holds a secret or a private key is refused as a whole: whoever published it has
// lost it. ErrKeySet.
func ParseKeys(set []byte) (*Keys, error) {
	if len(set) > MaxKeySet {
		return nil, ErrKeySet
	}
	m, err := object(set)
	if err != nil {
		return nil, ErrKeySet
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(m["keys"], &raw); err != nil {
		return nil, ErrKeySet
	}
	return NewKeys(raw[:min(len(raw), MaxKeys)]...)
}

// NewKeys makes a set of single JWKs. ErrKeySet.
func NewKeys(jwks ...json.RawMessage) (*Keys, error) {
	s := &Keys{}
	for _, raw := range jwks {
		k, err := parseKey(raw)
		if errors.Is(err, errUnusable) {
			continue
		}
		if err != nil {
			return nil, err
		}
		s.keys = append(s.keys, k)
	}
	return s, nil
}

// Len says how many keys the set has.
func (s *Keys) Len() int { return len(s.keys) }

// Certificate reports whether one of the keys came with the certificate whose
// SHA-256 is given (RFC 8705 §2.2).
func (s *Keys) Certificate(sum [sha256.Size]byte) bool {
	return slices.ContainsFunc(s.keys, func(k *key) bool { return bytes.Equal(k.s256, sum[:]) })
}

// errUnusable marks a key to be left out.
var errUnusable = errors.New("a key that cannot be used here")

func parseKey(raw []byte) (*key, error) {
	m, err := object(raw)
	if err != nil {
		return nil, ErrKeySet
	}
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
		if _, ok := m[private]; ok {
			return nil, ErrKeySet
		}
	}
	var j jose.JSONWebKey
	if j.UnmarshalJSON(raw) != nil || j.Use != "" && j.Use != "sig" {
		return nil, errUnusable
	}
	k := &key{public: j.Key, id: j.KeyID, alg: j.Algorithm, sha1: j.CertificateThumbprintSHA1, s256: j.CertificateThumbprintSHA256}
	if len(j.Certificates) > 0 { // whose key go-jose has compared with the JWK's
		one, two := sha1.Sum(j.Certificates[0].Raw), sha256.Sum256(j.Certificates[0].Raw) //nolint:gosec // see the import
		k.sha1, k.s256 = one[:], two[:]
	}
	if !sound(j.Key) {
		return nil, errUnusable
	}
	return k, nil
}

// sound reports whether a key is of a kind and size that may be used.
func sound(public any) bool {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() >= minRSA && k.N.BitLen() <= maxRSA && k.E >= 3 && k.E&1 == 1
	case *ecdsa.PublicKey:
		return k.Curve != nil
	case ed25519.PublicKey:
		return len(k) == ed25519.PublicKeySize
	}
	return false
}

// fitting returns the keys that may have made a signature: of the algorithm's
// kind and, when the header names a key, named so. A client may know its key by
// another id than we do, so any of the names is enough: all keys here are of one
// owner, and the signature decides.
func (s *Keys) fitting(h *header) (out []*key) {
	for _, k := range s.keys {
		if !k.makes(h.Alg) {
			continue
		}
		named := h.Kid != "" || h.X5t != nil || h.X5tS256 != nil
		if !named || h.Kid != "" && h.Kid == k.id ||
			h.X5t != nil && bytes.Equal(h.X5t, k.sha1) || h.X5tS256 != nil && bytes.Equal(h.X5tS256, k.s256) {
			out = append(out, k)
		}
	}
	return out
}

// makes reports whether the key can make signatures of an algorithm.
func (k *key) makes(alg string) bool {
	if k.alg != "" && k.alg != alg {
		return false
	}
	switch p := k.public.(type) {
	case *rsa.PublicKey:
		return alg[:2] == "RS" || alg[:2] == "PS"
	case *ecdsa.PublicKey:
		return alg == map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}[p.Curve.Params().Name]
	case ed25519.PublicKey:
		return alg == "EdDSA"
	}
	return false
}
