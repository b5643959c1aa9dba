package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
)

// Key verifies one algorithm and no other: which one is decided by the key,
// never by what is verified (RFC 8725 §3.1).
type Key struct {
	Alg    string // ES256, EdDSA, RS256 or PS256
	Public crypto.PublicKey
}

// Verify checks a signature.
func (k *Key) Verify(signed string, sig []byte) bool {
	switch pub := k.Public.(type) {
	case *ecdsa.PublicKey:
		if len(sig) != 64 {
			return false
		}
		d := sha256.Sum256([]byte(signed))
		return ecdsa.Verify(pub, d[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
	case *rsa.PublicKey:
		d := sha256.Sum256([]byte(signed))
		if k.Alg == "PS256" {
			return rsa.VerifyPSS(pub, crypto.SHA256, d[:], sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil // RFC 7518 §3.5
		}
		return rsa.VerifyPKCS1v15(pub, crypto.SHA256, d[:], sig) == nil
	case ed25519.PublicKey:
		return len(sig) == ed25519.SignatureSize && ed25519.Verify(pub, []byte(signed), sig)
	}
	return false
}

// Equal reports whether two keys are the same.
func (k *Key) Equal(o *Key) bool {
	pub, ok := k.Public.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Alg == o.Alg && pub.Equal(o.Public)
}

// JWK is a JSON Web Key (RFC 7517), as far as it is read here.
type JWK struct {
	Kty, Use, Alg, Kid, Crv, N, E, X, Y string
}

// Key reads the public key; false if it is not one to verify with here.
func (j JWK) Key() (k Key, ok bool) {
	var alg string
	var pub crypto.PublicKey
	x, okX := Decode64(j.X)
	y, okY := Decode64(j.Y)
	switch j.Kty + "/" + j.Crv {
	case "EC/P-256":
		if !okX || !okY || len(x) != 32 || len(y) != 32 {
			return k, false
		}
		p, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
		if err != nil { // not on the curve
			return k, false
		}
		alg, pub = "ES256", p
	case "OKP/Ed25519":
		if !okX || len(x) != ed25519.PublicKeySize {
			return k, false
		}
		alg, pub = "EdDSA", ed25519.PublicKey(x)
	case "RSA/":
		n, okN := Decode64(j.N)
		e, okE := Decode64(j.E)
		// 2048 bits at least (RFC 7518 §3.3); no more than 8192, each check
		// costs the square.
		if !okN || !okE || len(n) < 256 || len(n) > 1024 || len(e) == 0 || len(e) > 4 {
			return k, false
		}
		exp := new(big.Int).SetBytes(e).Int64()
		if exp < 3 || exp%2 == 0 || exp > 1<<31-1 {
			return k, false
		}
		alg, pub = "RS256", &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exp)}
	default:
		return k, false
	}
	if j.Alg != "" && j.Alg != alg || j.Use != "" && j.Use != "sig" {
		return k, false
	}
	return Key{alg, pub}, true
}

// ReadPublicKey reads a public key that comes in the header of what it signed,
// with the reader at its value. One that says anything private is refused.
func ReadPublicKey(r *Reader) (*Key, error) {
	var j JWK
	err := r.Object(func(name string) (err error) {
		r.Space()
		switch name {
		case "kty":
			j.Kty, err = r.String()
		case "crv":
			j.Crv, err = r.String()
		case "x":
			j.X, err = r.String()
		case "y":
			j.Y, err = r.String()
		case "n":
			j.N, err = r.String()
		case "e":
			j.E, err = r.String()
		case "d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv":
			err = ErrJSON
		default:
			err = r.Skip()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	k, ok := j.Key()
	if !ok {
		return nil, ErrJSON
	}
	return &k, nil
}

// Thumbprint names a key by what it is (RFC 7638), base64url.
func (k *Key) Thumbprint() string {
	var text string
	switch pub := k.Public.(type) {
	case *ecdsa.PublicKey:
		point, err := pub.Bytes()
		if err != nil {
			return ""
		}
		text = `{"crv":"P-256","kty":"EC","x":"` + rawURL.EncodeToString(point[1:33]) + `","y":"` + rawURL.EncodeToString(point[33:]) + `"}`
	case ed25519.PublicKey:
		text = `{"crv":"Ed25519","kty":"OKP","x":"` + rawURL.EncodeToString(pub) + `"}`
	case *rsa.PublicKey:
		text = `{"e":"` + rawURL.EncodeToString(big.NewInt(int64(pub.E)).Bytes()) + `","kty":"RSA","n":"` + rawURL.EncodeToString(pub.N.Bytes()) + `"}`
	}
	sum := sha256.Sum256([]byte(text))
	return rawURL.EncodeToString(sum[:])
}
