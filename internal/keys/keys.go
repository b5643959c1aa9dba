package keys

import (
	"context"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/store"
)

// Service holds the directory's keys, unwrapped, in memory.
type Service struct {
	// Every is how long a key signs before the next one takes over; zero: 90 days.
	Every time.Duration
	Log   *slog.Logger // nil: nothing is logged

	db      *store.DB
	now     func() time.Time
	master  []byte
	refresh []byte
	keyID   grant.KeyID

	ring   atomic.Pointer[ring]
	reader reader
	need   need
	making sync.Mutex // held while the first key of an algorithm is made
	rsa    slow
	parsed encryptionKeys
}

// Open reads the signing keys, and makes the first one in a new directory. It
// fails when a stored key was wrapped under another master key: nothing signed
// by it could be verified, and no refresh token would be known.
func Open(ctx context.Context, db *store.DB, master []byte, now func() time.Time) (*Service, error) {
	s := &Service{db: db, now: now, master: master, refresh: derive(master, "refresh token"), rsa: make(slow, max(1, runtime.GOMAXPROCS(0)/2))}
	id := sha256.Sum256(derive(master, "refresh token key id"))
	copy(s.keyID[:], id[:])
	r, err := s.read()
	if err != nil {
		return nil, err
	}
	if r.signing(directory.ES256, now()) == nil {
		err = s.first(ctx, directory.ES256)
	}
	return s, err
}

func (s *Service) box() (cipher.AEAD, error) { return s.boxFor("wrap signing keys") }

// Sign returns the compact JWS of claims under the key of an algorithm that is in
// use now: ES256 (or empty), RS256, EdDSA; see [Service.Use] for which. It is called after the last look at
// the ledger, and outside of transactions: an RS256 signature waits for its turn,
// and the first of an algorithm for its key. Kinds: Unavailable.
func (s *Service) Sign(ctx context.Context, typ Type, alg string, claims []byte) (string, error) {
	if alg == "" {
		alg = directory.ES256
	}
	k, err := s.signing(ctx, alg)
	if err != nil {
		return "", err
	}
	head, ok := k.heads[typ]
	if !ok {
		return "", fmt.Errorf("unknown token type %q", typ)
	}
	if alg == directory.RS256 {
		if err := s.rsa.enter(ctx); err != nil {
			return "", err
		}
		defer s.rsa.leave()
	}
	return k.sign(head, claims)
}

// signing returns the key that signs with alg now, and makes the first one.
func (s *Service) signing(ctx context.Context, alg string) (*signer, error) {
	r, err := s.current()
	if err != nil {
		return nil, err
	}
	if k := r.signing(alg, s.now()); k != nil {
		return k, nil
	}
	if err := s.first(ctx, alg); err != nil {
		return nil, err
	}
	if r, err = s.current(); err != nil {
		return nil, err
	}
	if k := r.signing(alg, s.now()); k != nil {
		return k, nil
	}
	return nil, fmt.Errorf("no key signs with %s", alg)
}

// ErrToken is returned by Verify for whatever is not a token of ours.
var ErrToken = errors.New("not a token of ours")

// maxToken bounds a token that is looked at, in bytes.
const maxToken = 16 << 10

// Verify checks that token was signed here as the given type and returns its
// claims and the id of the key. It judges neither time nor audience nor standing.
// Whoever remembers the outcome asks [Service.Has] at each use: a key may be
// dropped. Kinds: Unavailable; else [ErrToken].
func (s *Service) Verify(token string, typ Type) (claims []byte, kid string, err error) {
	if len(token) > maxToken {
		return nil, "", ErrToken
	}
	head, rest, ok := strings.Cut(token, ".")
	body, sig64, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 || strings.Contains(sig64, ".") {
		return nil, "", ErrToken
	}
	// The header is ours to the letter, or it is not ours: nothing in it is
	// chosen by whoever presents the token, the algorithm least of all.
	k, err := s.find(token[:len(head)+1], typ)
	if err != nil {
		return nil, "", err
	}
	enc := base64.RawURLEncoding.Strict()
	sig, err := enc.DecodeString(sig64)
	if err != nil || !k.verify(token[:len(head)+1+len(body)], sig) {
		return nil, "", ErrToken
	}
	if claims, err = enc.DecodeString(body); err != nil {
		return nil, "", ErrToken
	}
	return claims, k.ID, nil
}

// find returns the key of a header, its dot included.
func (s *Service) find(head string, typ Type) (*signer, error) {
	r, err := s.current()
	if err != nil {
		return nil, err
	}
	k, ok := r.byHead[head]
	if !ok && mayBeOurs(head, typ) {
		if r, err = s.look(); err != nil {
			return nil, err
		}
		k, ok = r.byHead[head]
	}
	if !ok || k.typ != typ {
		return nil, ErrToken
	}
	return k.signer, nil
}

// mayBeOurs reports whether a header is one of ours but for a key that is not
// known yet.
func mayBeOurs(head string, typ Type) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimSuffix(head, "."))
	if err != nil {
		return false
	}
	var h struct{ Alg, Typ, Kid string }
	if json.Unmarshal(b, &h) != nil || h.Alg == "" || !directory.ValidSigningAlg(h.Alg) || Type(h.Typ) != typ {
		return false
	}
	id, err := base64.RawURLEncoding.Strict().DecodeString(h.Kid)
	return err == nil && len(id) == sha256.Size && newSigner(store.Key{ID: h.Kid, Alg: h.Alg}, nil).heads[typ] == head
}

// Has reports whether kid is still one of our keys. Kinds: Unavailable.
func (s *Service) Has(kid string) (bool, error) {
	r, err := s.current()
	if err != nil {
		return false, err
	}
	return r.byID[kid] != nil, nil
}

// JWKS returns the published keys (RFC 7517), rendered, and the position of the
// ledger as of which they are: who was told of a cutoff of the whole directory
// trusts no older ones. Kinds: Unavailable.
func (s *Service) JWKS() ([]byte, cutoff.Pos, error) {
	r, err := s.current()
	if err != nil {
		return nil, 0, err
	}
	return r.jwks, cutoff.Pos(r.seen.Load()), nil
}

// RefreshKey returns the key under which refresh tokens are sealed, and its id.
func (s *Service) RefreshKey() (grant.KeyID, []byte) { return s.keyID, s.refresh }

// RefreshKeyByID returns the key of that id. An unknown one may be a master key
// that has not reached this node yet: the answer is 503, never invalid_grant.
func (s *Service) RefreshKeyByID(id grant.KeyID) ([]byte, bool) {
	return s.refresh, id == s.keyID
}

// Derive returns a 32-byte secret for a purpose, the same on every node.
func (s *Service) Derive(purpose string) []byte { return derive(s.master, purpose) }
