package relay

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/store"
)

// A cursor is the base64url form of
//
//	8 bytes  position of the last line given, big endian
//	8 bytes  the mark of that line
//	16 bytes HMAC-SHA-256 over directory, guard process and the 16 bytes before,
//	         cut to 128 bits
//
// It is bound to its process, so that none acknowledges what another was given,
// and to the directory, so that a copy made for tests cannot speak to the real
// one even before it has a master key of its own.
const cursorLen = 8 + 8 + 16

func (s *Service) cursorMAC(p ProcessID, head []byte) []byte {
	h := hmac.New(sha256.New, s.Secret)
	h.Write(s.began.tenant[:])
	h.Write(p[:])
	h.Write(head)
	return h.Sum(nil)[:16]
}

// seal writes the cursor of process p at w.
func (s *Service) seal(p ProcessID, w store.Witness) string {
	b := make([]byte, 16, cursorLen)
	binary.BigEndian.PutUint64(b, uint64(w.Pos))
	copy(b[8:], w.Mark[:])
	return base64.RawURLEncoding.EncodeToString(append(b, s.cursorMAC(p, b)...))
}

// open reads a cursor of process p. False: it is not one of ours.
func (s *Service) open(p ProcessID, cursor string) (w store.Witness, ok bool) {
	if len(cursor) != base64.RawURLEncoding.EncodedLen(cursorLen) {
		return w, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || !hmac.Equal(s.cursorMAC(p, b[:16]), b[16:]) {
		return w, false
	}
	w.Pos = cutoff.Pos(binary.BigEndian.Uint64(b))
	copy(w.Mark[:], b[8:16])
	return w, w.Pos >= 0 && w.Pos <= cutoff.MaxPos
}
