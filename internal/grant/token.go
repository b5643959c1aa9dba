package grant

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
)

// Prefix makes refresh tokens recognisable to secret scanners.
const Prefix = "cfr_"

// A refresh token is Prefix and the base64url form of
//
//	1 byte   version (1) and issuer: version<<1 | issuer
//	4 bytes  key id
//	16 bytes grant id
//	6 bytes  generation, big endian
//	24 bytes HMAC-SHA-256 over the 27 bytes before, cut to 192 bits
const (
	headLen  = 1 + 4 + 16 + 6
	macLen   = 24
	tokenLen = headLen + macLen
)

// KeyID names the MAC key of a refresh token.
type KeyID [4]byte

// Refresh is what a refresh token says.
type Refresh struct {
	Key        KeyID
	Issuer     Issuer
	Grant      directory.GrantID
	Generation int64
}

// ErrToken is returned for anything that is not a refresh token of ours.
var ErrToken = errors.New("not a refresh token")

// Seal computes the token. The same arguments give the same token.
func (r Refresh) Seal(key []byte) string {
	b := make([]byte, headLen, tokenLen)
	r.head(b)
	b = append(b, mac(key, b)...)
	return Prefix + base64.RawURLEncoding.EncodeToString(b)
}

func (r Refresh) head(b []byte) {
	b[0] = 1<<1 | byte(r.Issuer)
	copy(b[1:5], r.Key[:])
	copy(b[5:21], r.Grant[:])
	var g [8]byte
	binary.BigEndian.PutUint64(g[:], uint64(r.Generation))
	copy(b[21:27], g[2:])
}

func mac(key, head []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(head)
	return h.Sum(nil)[:macLen]
}

// Parse reads the token without believing it: call Verify with the key it names.
func Parse(token string) (Refresh, error) {
	s, ok := strings.CutPrefix(token, Prefix)
	if !ok || len(s) != base64.RawURLEncoding.EncodedLen(tokenLen) {
		return Refresh{}, ErrToken
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || b[0]>>1 != 1 {
		return Refresh{}, ErrToken
	}
	r := Refresh{Issuer: Issuer(b[0] & 1)}
	copy(r.Key[:], b[1:5])
	copy(r.Grant[:], b[5:21])
	var g [8]byte
	copy(g[2:], b[21:27])
	r.Generation = int64(binary.BigEndian.Uint64(g[:]))
	return r, nil
}

// Verify reports whether token was sealed under key, in constant time.
func (r Refresh) Verify(token string, key []byte) bool {
	return hmac.Equal([]byte(r.Seal(key)), []byte(token))
}
