package directory

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"slices"

	"github.com/curfew-id/curfew/internal/fault"
)

// The algorithms that tokens are signed with (RFC 7518 §3.1, RFC 8037 §3.1).
// ES256 is the default.
const (
	ES256 = "ES256"
	RS256 = "RS256"
	EdDSA = "EdDSA" // with Ed25519
)

// SigningAlgs lists what an application or a resource can ask for, the default
// first.
func SigningAlgs() []string { return []string{ES256, RS256, EdDSA} }

// ValidSigningAlg reports whether alg can be asked for. Empty is the default.
func ValidSigningAlg(alg string) bool { return alg == "" || slices.Contains(SigningAlgs(), alg) }

// The ways in which the key of an encrypted token is handed over (RFC 7518 §4).
// The content is always encrypted with A256GCM.
const (
	RSAOAEP256    = "RSA-OAEP-256"
	ECDHES        = "ECDH-ES"
	ECDHESA256KW  = "ECDH-ES+A256KW"
	maxKeyText    = 8 << 10 // bytes of a JWK
	minRSA        = 2048    // bits (RFC 7518 §4.3)
	maxRSA        = 4096    // each token costs the square
	usualExponent = 65537
)

// EncryptionKey is the public key to which a resource's access tokens are
// encrypted.
type EncryptionKey struct {
	ID     string // kid; empty: it has none
	Alg    string // RSAOAEP256, ECDHES, ECDHESA256KW
	Public crypto.PublicKey
}

// ParseEncryptionKey reads the public JWK (RFC 7517) of a resource: RSA of 2048
// to 4096 bits, or EC on P-256, P-384 or P-521. Its alg says how the key of a token is
// handed over; without one RSA-OAEP-256 or ECDH-ES. Kinds: Invalid. A private key
// is refused, and never repeated in the error.
func ParseEncryptionKey(text string) (*EncryptionKey, error) {
	bad := func(why string) error { return fault.New(fault.Invalid, "The encryption key cannot be used: "+why) }
	if len(text) > maxKeyText {
		return nil, bad("it is longer than 8 KiB.")
	}
	var raw map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &raw) != nil || raw == nil {
		return nil, bad("it is not one JSON Web Key.")
	}
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if _, private := raw[name]; private {
			return nil, bad("it is a private key. Make a new pair, and register the public half only.")
		}
	}
	var j struct{ Kty, Use, Alg, Kid, Crv, N, E, X, Y string }
	if json.Unmarshal([]byte(text), &j) != nil {
		return nil, bad("a member of it is not a text.")
	}
	if j.Use != "" && j.Use != "enc" {
		return nil, bad("its use must be enc.")
	}
	k := &EncryptionKey{ID: j.Kid, Alg: j.Alg}
	switch j.Kty {
	case "RSA":
		pub := rsaKey(j.N, j.E)
		if pub == nil {
			return nil, bad("RSA keys have 2048 to 4096 bits and the exponent 65537.")
		}
		k.Public = pub
		if k.Alg == "" {
			k.Alg = RSAOAEP256
		}
		if k.Alg != RSAOAEP256 {
			return nil, bad("with RSA its alg must be RSA-OAEP-256.")
		}
	case "EC":
		pub := ecKey(j.Crv, j.X, j.Y)
		if pub == nil {
			return nil, bad("it is not a point on P-256, P-384 or P-521.")
		}
		k.Public = pub
		if k.Alg == "" {
			k.Alg = ECDHES
		}
		if k.Alg != ECDHES && k.Alg != ECDHESA256KW {
			return nil, bad("with EC its alg must be ECDH-ES or ECDH-ES+A256KW.")
		}
	default:
		return nil, bad("its kty must be RSA or EC.")
	}
	return k, nil
}

// rsaKey is nil for what we do not encrypt to. An even modulus, or one with a
// leading zero, was never a key.
func rsaKey(n, e string) *rsa.PublicKey {
	nb, errN := base64.RawURLEncoding.DecodeString(n)
	eb, errE := base64.RawURLEncoding.DecodeString(e)
	if errN != nil || errE != nil || len(nb) == 0 || len(eb) > 4 {
		return nil
	}
	k := &rsa.PublicKey{N: new(big.Int).SetBytes(nb), E: int(new(big.Int).SetBytes(eb).Int64())}
	if bits := k.N.BitLen(); bits < minRSA || bits > maxRSA || k.N.Bit(0) == 0 || k.E != usualExponent {
		return nil
	}
	return k
}

func ecKey(crv, x, y string) *ecdsa.PublicKey {
	curve := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[crv]
	if curve == nil {
		return nil
	}
	size := (curve.Params().BitSize + 7) / 8
	xb, errX := base64.RawURLEncoding.DecodeString(x)
	yb, errY := base64.RawURLEncoding.DecodeString(y)
	if errX != nil || errY != nil || len(xb) != size || len(yb) != size {
		return nil
	}
	k, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, xb, yb))
	if err != nil { // not on the curve
		return nil
	}
	return k
}
