package world

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// app is somebody's authenticator app (RFC 6238): six digits, thirty seconds.
type app struct {
	secret []byte
	last   int64 // the step whose code was used last
}

// keep puts a key from the page where an app is set up into the person's app.
func (w *World) keep(user, key string) {
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(strings.TrimSpace(key), " ", ""))
	if err != nil {
		return // a wrong code will say so
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.apps[user] = &app{secret: secret}
}

// code is one that was not used yet: a code is good once, and a test does not wait
// for the next. The server takes one step before and after now, so that three are
// good at any time.
func (w *World) code(user string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.apps[user]
	if a == nil {
		return ""
	}
	a.last = max(a.last+1, time.Now().Unix()/30-1)
	h := hmac.New(sha1.New, a.secret)
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(a.last))
	h.Write(b[:])
	sum := h.Sum(nil)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[len(sum)-1]&15:])&0x7fffffff%1_000_000)
}
