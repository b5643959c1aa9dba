package keys

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync/atomic"
	"time"

	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/store"
)

// Service holds the directory's keys, unwrapped, in memory.
type Service struct {
	master  []byte
	refresh []byte
	keyID   grant.KeyID
	ring    atomic.Pointer[ring]
}

// ring is the signing keys at one instant.
type ring struct {
	current *signer
	byID    map[string]*ecdsa.PublicKey
	jwks    []byte
}

type signer struct {
	id     string
	key    *ecdsa.PrivateKey
	header map[string]string // JOSE header by typ, encoded
}

// Open reads the signing keys, and makes the first one in a new directory. It
// fails when a stored key was wrapped under another master key: nothing signed
// by it could be verified, and no refresh token would be known.
func Open(ctx context.Context, db *store.DB, master []byte, now func() time.Time) (*Service, error) {
	s := &Service{master: master, refresh: derive(master, "refresh token")}
	id := sha256.Sum256(derive(master, "refresh token key id"))
	copy(s.keyID[:], id[:])
	var stored []store.Key
	read := func() error {
		return db.Read(ctx, func(tx *store.Tx) (err error) { stored, err = tx.Keys(); return err })
	}
	if err := read(); err != nil {
		return nil, err
	}
	if len(stored) == 0 {
		err := db.Update(ctx, func(tx *store.Tx) error {
			if have, err := tx.Keys(); err != nil || len(have) > 0 { // another node was first
				return err
			}
			k, err := s.create(now())
			if err != nil {
				return err
			}
			return tx.CreateKey(k)
		})
		if err != nil {
			return nil, err
		}
		if err := read(); err != nil {
			return nil, err
		}
	}
	return s, s.load(stored)
}

// create makes an ES256 key and wraps it.
func (s *Service) create(now time.Time) (store.Key, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return store.Key{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return store.Key{}, err
	}
	jwk, kid, err := publicJWK(&key.PublicKey)
	if err != nil {
		return store.Key{}, err
	}
	box, err := s.box()
	if err != nil {
		return store.Key{}, err
	}
	nonce := make([]byte, box.NonceSize())
	rand.Read(nonce)
	return store.Key{ID: kid, Alg: "ES256", Public: string(jwk), Created: now, Active: now,
		Wrapped: box.Seal(nonce, nonce, der, []byte(kid))}, nil
}

func (s *Service) box() (cipher.AEAD, error) {
	b, err := aes.NewCipher(derive(s.master, "wrap signing keys"))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(b)
}

func (s *Service) load(stored []store.Key) error {
	box, err := s.box()
	if err != nil {
		return err
	}
	r := &ring{byID: map[string]*ecdsa.PublicKey{}}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	for _, k := range stored {
		if len(k.Wrapped) < box.NonceSize() {
			return fmt.Errorf("signing key %s cannot be read", k.ID)
		}
		der, err := box.Open(nil, k.Wrapped[:box.NonceSize()], k.Wrapped[box.NonceSize():], []byte(k.ID))
		if err != nil {
			return fault.Wrap(fault.Unavailable, "The master key does not open this directory's signing keys. It belongs to another directory, or was replaced.", err)
		}
		parsed, err := x509.ParsePKCS8PrivateKey(der)
		if err != nil {
			return err
		}
		key, ok := parsed.(*ecdsa.PrivateKey)
		if !ok {
			return fmt.Errorf("signing key %s is not ES256", k.ID)
		}
		r.byID[k.ID] = &key.PublicKey
		set.Keys = append(set.Keys, json.RawMessage(k.Public))
		if k.Retired.IsZero() {
			r.current = newSigner(k.ID, key)
		}
	}
	if r.current == nil {
		return errors.New("no signing key in use")
	}
	if r.jwks, err = json.Marshal(set); err != nil {
		return err
	}
	s.ring.Store(r)
	return nil
}

// The token types we sign (RFC 9068 §2.1, RFC 7519).
const (
	AccessToken = "at+jwt"
	IDToken     = "JWT"
)

func newSigner(kid string, key *ecdsa.PrivateKey) *signer {
	s := &signer{id: kid, key: key, header: map[string]string{}}
	for _, typ := range []string{AccessToken, IDToken} {
		s.header[typ] = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","typ":"`+typ+`","kid":"`+kid+`"}`)) + "."
	}
	return s
}

// Sign returns the compact JWS of claims under the current key. typ is
// AccessToken or IDToken.
func (s *Service) Sign(typ string, claims []byte) (string, error) {
	k := s.ring.Load().current
	head, ok := k.header[typ]
	if !ok {
		return "", fmt.Errorf("unknown token type %q", typ)
	}
	b := make([]byte, 0, len(head)+base64.RawURLEncoding.EncodedLen(len(claims))+1+86)
	b = append(b, head...)
	b = base64.RawURLEncoding.AppendEncode(b, claims)
	sum := sha256.Sum256(b)
	r, t, err := ecdsa.Sign(rand.Reader, k.key, sum[:])
	if err != nil {
		return "", err
	}
	var sig [64]byte
	r.FillBytes(sig[:32])
	t.FillBytes(sig[32:])
	b = append(b, '.')
	b = base64.RawURLEncoding.AppendEncode(b, sig[:])
	return string(b), nil
}

// ErrToken is returned by Verify for whatever is not a token of ours.
var ErrToken = errors.New("not a token of ours")

// maxToken bounds a token that is looked at, in bytes.
const maxToken = 16 << 10

// Verify checks that token was signed here as the given type and returns its
// claims. It judges neither time nor audience nor standing.
func (s *Service) Verify(token, typ string) ([]byte, error) {
	if len(token) > maxToken {
		return nil, ErrToken
	}
	head, rest, ok := strings.Cut(token, ".")
	if !ok {
		return nil, ErrToken
	}
	body, sig64, ok := strings.Cut(rest, ".")
	if !ok || strings.Contains(sig64, ".") {
		return nil, ErrToken
	}
	r := s.ring.Load()
	// The header is ours to the letter, or it is not ours: nothing in it is
	// chosen by whoever presents the token.
	pub, ok := r.headerKey(head, typ)
	if !ok {
		return nil, ErrToken
	}
	enc := base64.RawURLEncoding.Strict()
	sig, err := enc.DecodeString(sig64)
	if err != nil || len(sig) != 64 {
		return nil, ErrToken
	}
	sum := sha256.Sum256([]byte(token[:len(head)+1+len(body)]))
	if !ecdsa.Verify(pub, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
		return nil, ErrToken
	}
	claims, err := enc.DecodeString(body)
	if err != nil {
		return nil, ErrToken
	}
	return claims, nil
}

func (r *ring) headerKey(head, typ string) (*ecdsa.PublicKey, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(head)
	if err != nil {
		return nil, false
	}
	var h struct{ Alg, Typ, Kid string }
	if json.Unmarshal(b, &h) != nil || h.Alg != "ES256" || h.Typ != typ {
		return nil, false
	}
	if string(b) != `{"alg":"ES256","typ":"`+typ+`","kid":"`+h.Kid+`"}` {
		return nil, false
	}
	pub, ok := r.byID[h.Kid]
	return pub, ok
}

// JWKS returns the published keys (RFC 7517), rendered.
func (s *Service) JWKS() []byte { return s.ring.Load().jwks }

// RefreshKey returns the key under which refresh tokens are sealed, and its id.
func (s *Service) RefreshKey() (grant.KeyID, []byte) { return s.keyID, s.refresh }

// RefreshKeyByID returns the key of that id. An unknown one may be a master key
// that has not reached this node yet: the answer is 503, never invalid_grant.
func (s *Service) RefreshKeyByID(id grant.KeyID) ([]byte, bool) {
	return s.refresh, id == s.keyID
}

// Derive returns a 32-byte secret for a purpose, the same on every node.
func (s *Service) Derive(purpose string) []byte { return derive(s.master, purpose) }

// publicJWK returns the JWK of an ES256 key; its kid is the RFC 7638 thumbprint.
func publicJWK(k *ecdsa.PublicKey) (jwk []byte, kid string, err error) {
	raw, err := k.Bytes()
	if err != nil {
		return nil, "", err
	}
	x, y := base64.RawURLEncoding.EncodeToString(raw[1:33]), base64.RawURLEncoding.EncodeToString(raw[33:65])
	sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + x + `","y":"` + y + `"}`))
	kid = base64.RawURLEncoding.EncodeToString(sum[:])
	jwk, err = json.Marshal(map[string]string{"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid, "use": "sig", "alg": "ES256"})
	return jwk, kid, err
}
