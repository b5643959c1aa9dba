package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"

	"github.com/curfew-id/curfew/internal/fault"
)

// Seal encrypts a secret of ours with somebody else under the master key, so that
// a stolen database alone does not hold it. purpose and owner say what it is and
// whose: sealed for one it opens for no other.
func (s *Service) Seal(purpose, owner string, secret []byte) ([]byte, error) {
	box, err := s.boxFor("seal " + purpose)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, box.NonceSize())
	rand.Read(nonce)
	return box.Seal(nonce, nonce, secret, []byte(owner)), nil
}

// Unseal decrypts what Seal made. Kinds: Unavailable (another master key, or
// somebody wrote to the row).
func (s *Service) Unseal(purpose, owner string, sealed []byte) ([]byte, error) {
	box, err := s.boxFor("seal " + purpose)
	if err != nil {
		return nil, err
	}
	n := box.NonceSize()
	if len(sealed) < n {
		return nil, fault.New(fault.Unavailable, "A stored secret cannot be read.")
	}
	secret, err := box.Open(nil, sealed[:n], sealed[n:], []byte(owner))
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "The master key does not open a stored secret. Set it anew.", err)
	}
	return secret, nil
}

func (s *Service) boxFor(purpose string) (cipher.AEAD, error) {
	b, err := aes.NewCipher(derive(s.master, purpose))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(b)
}
