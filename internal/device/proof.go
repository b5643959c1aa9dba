package device

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
	"strings"

	"github.com/curfew-id/curfew/internal/fault"
)

// What a signature is for: one for the first is none for the second.
const (
	forRegister  = "register"
	forRecognise = "recognise"
)

// message is what a browser signs. The lines cannot be told apart wrongly: only
// the last one comes from a stranger, and it has one alphabet.
func message(origin, purpose, challenge string) []byte {
	return []byte("curfew device\n" + origin + "\n" + purpose + "\n" + challenge)
}

const (
	keySize       = 65 // a point of P-256, uncompressed
	signatureSize = 64 // r and s, as WebCrypto gives them
)

var (
	errProof = fault.New(fault.Denied, "This browser could not prove that it is the device.")
	errKey   = fault.New(fault.Invalid, "The key is not a public key of P-256.")
)

// parseKey reads a public key. Kind: Invalid.
func parseKey(b []byte) (*ecdsa.PublicKey, error) {
	k, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), b)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, errKey.Public, err)
	}
	return k, nil
}

// proves reports whether sig was made over the message with the key.
func proves(key, message, sig []byte) bool {
	k, err := parseKey(key)
	if err != nil || len(sig) != signatureSize {
		return false
	}
	sum := sha256.Sum256(message)
	return ecdsa.Verify(k, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
}

const (
	// maxHere is how many devices one browser may be: of as many people.
	maxHere = 5
	// secretSize is the length of one value in the cookie: 32 random bytes.
	secretSize = 43
	separator  = "."
)

// secrets reads the cookie: a value for each person who registered this browser,
// the newest first. Anything else is no value.
func secrets(cookie string) (all []string) {
	if len(cookie) > maxHere*(secretSize+1) {
		return nil
	}
	for v := range strings.SplitSeq(cookie, separator) {
		if b, err := base64.RawURLEncoding.Strict().DecodeString(v); err == nil && len(v) == secretSize && len(b) == 32 {
			all = append(all, v)
		}
	}
	return all
}

// with is the cookie after another registration; without the values of drop.
func with(cookie, fresh string, drop func(string) bool) string {
	all := []string{fresh}
	for _, v := range secrets(cookie) {
		if len(all) < maxHere && !drop(v) {
			all = append(all, v)
		}
	}
	return strings.Join(all, separator)
}
