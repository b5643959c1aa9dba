package keys

import (
	"fmt"
	"sync"

	"github.com/go-jose/go-jose/v4"

	"github.com/curfew-id/curfew/internal/directory"
)

// encryptionKeys are the parsed keys of resources, by their text: parsing one
// costs more than the rest of an encryption.
type encryptionKeys struct {
	mu sync.RWMutex
	m  map[string]*directory.EncryptionKey // guarded by mu
}

// maxParsed bounds the keys that are remembered. A directory with more resources
// parses some of them again.
const maxParsed = 1000

func (e *encryptionKeys) get(text string) (*directory.EncryptionKey, error) {
	e.mu.RLock()
	k := e.m[text]
	e.mu.RUnlock()
	if k != nil {
		return k, nil
	}
	k, err := directory.ParseEncryptionKey(text)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.m == nil || len(e.m) >= maxParsed {
		e.m = map[string]*directory.EncryptionKey{}
	}
	e.m[text] = k
	return k, nil
}

// Encrypt puts a signed token into an encrypted one (RFC 7519 §11.2) that only
// the holder of the private half of jwk can read. Signed first: the signature
// says who made the token, and nobody can put his own around it.
func (s *Service) Encrypt(jwk, token string) (string, error) {
	k, err := s.parsed.get(jwk)
	if err != nil {
		return "", fmt.Errorf("stored encryption key: %w", err)
	}
	e, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: jose.KeyAlgorithm(k.Alg), Key: k.Public, KeyID: k.ID}, (&jose.EncrypterOptions{}).WithContentType("JWT"))
	if err != nil {
		return "", err
	}
	j, err := e.Encrypt([]byte(token))
	if err != nil {
		return "", err
	}
	return j.CompactSerialize()
}
