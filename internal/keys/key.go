package keys

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/store"
)

// Type is the typ of what we sign. The list is closed: what is signed as one is
// never taken for another (RFC 8725 §3.11).
type Type string

// The types.
const (
	AccessToken   Type = "at+jwt"                  // RFC 9068 §2.1
	IDToken       Type = "JWT"                     // RFC 7519 §5.1
	LogoutToken   Type = "logout+jwt"              // OpenID Connect Back-Channel Logout 1.0 §2.4
	Introspection Type = "token-introspection+jwt" // RFC 9701 §5
	// ClientAssertion is our word that we are a client of another provider.
	ClientAssertion Type = "client-authentication+jwt" // draft-ietf-oauth-rfc7523bis
)

var types = []Type{AccessToken, IDToken, LogoutToken, Introspection, ClientAssertion}

// rsaBits is what RFC 7518 §3.3 asks for at least. More would cost every
// signature, and no RS256 key is used for longer than a rotation.
const rsaBits = 2048

// signer is one key, unwrapped. It never changes.
type signer struct {
	store.Key // without the wrapped half
	private   crypto.Signer
	heads     map[Type]string // header of the JWS by type, encoded, with its dot
}

func newSigner(k store.Key, private crypto.Signer) *signer {
	k.Wrapped = nil
	s := &signer{Key: k, private: private, heads: map[Type]string{}}
	for _, typ := range types {
		s.heads[typ] = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"`+k.Alg+`","typ":"`+string(typ)+`","kid":"`+k.ID+`"}`)) + "."
	}
	return s
}

// sign returns the compact JWS of claims.
func (s *signer) sign(head string, claims []byte) (string, error) {
	b := make([]byte, 0, len(head)+base64.RawURLEncoding.EncodedLen(len(claims))+1+base64.RawURLEncoding.EncodedLen(rsaBits/8))
	b = append(b, head...)
	b = base64.RawURLEncoding.AppendEncode(b, claims)
	var sig []byte
	var err error
	switch key := s.private.(type) {
	case *ecdsa.PrivateKey:
		sum := sha256.Sum256(b)
		var r, t *big.Int
		if r, t, err = ecdsa.Sign(rand.Reader, key, sum[:]); err == nil {
			var raw [64]byte // RFC 7518 §3.4
			r.FillBytes(raw[:32])
			t.FillBytes(raw[32:])
			sig = raw[:]
		}
	case *rsa.PrivateKey:
		sum := sha256.Sum256(b)
		sig, err = rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	case ed25519.PrivateKey:
		sig = ed25519.Sign(key, b)
	}
	if err != nil {
		return "", err
	}
	b = append(b, '.')
	b = base64.RawURLEncoding.AppendEncode(b, sig)
	return string(b), nil
}

// verify checks a signature by the key's own algorithm, whatever anybody says.
func (s *signer) verify(signed string, sig []byte) bool {
	switch pub := s.private.Public().(type) {
	case *ecdsa.PublicKey:
		if len(sig) != 64 {
			return false
		}
		sum := sha256.Sum256([]byte(signed))
		return ecdsa.Verify(pub, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
	case *rsa.PublicKey:
		sum := sha256.Sum256([]byte(signed))
		return rsa.VerifyPKCS1v15(pub, crypto.SHA256, sum[:], sig) == nil
	case ed25519.PublicKey:
		return ed25519.Verify(pub, []byte(signed), sig)
	}
	return false
}

// generate makes a key pair and wraps it. RSA takes a good part of a second:
// never inside a transaction.
func (s *Service) generate(alg string) (store.Key, error) {
	var private crypto.Signer
	var err error
	switch alg {
	case directory.ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case directory.RS256:
		private, err = rsa.GenerateKey(rand.Reader, rsaBits)
	case directory.EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		return store.Key{}, fault.New(fault.Invalid, "Tokens are signed with "+strings.Join(directory.SigningAlgs(), ", ")+", nothing else.")
	}
	if err != nil {
		return store.Key{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return store.Key{}, err
	}
	jwk, kid, err := publicJWK(alg, private.Public())
	if err != nil {
		return store.Key{}, err
	}
	box, err := s.box()
	if err != nil {
		return store.Key{}, err
	}
	nonce := make([]byte, box.NonceSize())
	rand.Read(nonce)
	return store.Key{ID: kid, Alg: alg, Public: string(jwk), Wrapped: box.Seal(nonce, nonce, der, []byte(kid))}, nil
}

// unwrap reads a stored key. What is in the box must be a key of the row's
// algorithm: alg and kid are checked here once, and never taken from a token.
func (s *Service) unwrap(k store.Key) (*signer, error) {
	box, err := s.box()
	if err != nil {
		return nil, err
	}
	if len(k.Wrapped) < box.NonceSize() {
		return nil, fmt.Errorf("signing key %s cannot be read", k.ID)
	}
	der, err := box.Open(nil, k.Wrapped[:box.NonceSize()], k.Wrapped[box.NonceSize():], []byte(k.ID))
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "The master key does not open this directory's signing keys. It belongs to another directory, or was replaced.", err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	private, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("signing key %s cannot sign", k.ID)
	}
	jwk, kid, err := publicJWK(k.Alg, private.Public())
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", k.ID, err)
	}
	if kid != k.ID {
		return nil, fmt.Errorf("signing key %s is another key", k.ID)
	}
	k.Public = string(jwk) // who changed the row publishes nothing by it
	return newSigner(k, private), nil
}

// publicJWK returns the JWK of a key; its kid is the RFC 7638 thumbprint. A key
// of another algorithm is an error.
func publicJWK(alg string, pub crypto.PublicKey) (jwk []byte, kid string, err error) {
	b64 := base64.RawURLEncoding.EncodeToString
	m := map[string]string{}
	switch pub := pub.(type) {
	case *ecdsa.PublicKey:
		raw, err := pub.Bytes()
		if err != nil {
			return nil, "", err
		}
		if alg == directory.ES256 && pub.Curve == elliptic.P256() {
			m = map[string]string{"kty": "EC", "crv": "P-256", "x": b64(raw[1:33]), "y": b64(raw[33:65])}
		}
	case *rsa.PublicKey:
		if alg == directory.RS256 && pub.Size()*8 >= rsaBits {
			m = map[string]string{"kty": "RSA", "n": b64(pub.N.Bytes()), "e": b64(big.NewInt(int64(pub.E)).Bytes())}
		}
	case ed25519.PublicKey:
		if alg == directory.EdDSA {
			m = map[string]string{"kty": "OKP", "crv": "Ed25519", "x": b64(pub)}
		}
	}
	if len(m) == 0 {
		return nil, "", fmt.Errorf("not a key for %s", alg)
	}
	// The members of RFC 7638 §3.2 are those set so far; maps are written in
	// order of their names, as §3.3 wants.
	thumb, err := json.Marshal(m)
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(thumb)
	kid = b64(sum[:])
	m["kid"], m["use"], m["alg"] = kid, "sig", alg
	jwk, err = json.Marshal(m)
	return jwk, kid, err
}

// slow bounds how many RS256 signatures are made at a time: one costs as much
// processor time as thirty of the others, which must not wait behind them.
type slow chan struct{}

// slowWait is how long a request waits for its turn.
const slowWait = 2 * time.Second

// enter waits for a turn; call leave after it. Kinds: Unavailable.
func (s slow) enter(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	default:
	}
	patience := time.NewTimer(slowWait)
	defer patience.Stop()
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fault.Wrap(fault.Unavailable, "The request was given up before its token was signed.", ctx.Err())
	case <-patience.C:
		return fault.New(fault.Unavailable, "Too many RS256 signatures are waiting. Try again.")
	}
}

func (s slow) leave() { <-s }
