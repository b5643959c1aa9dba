package signin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"github.com/curfew-id/curfew/internal/fault"
)

// params of argon2id (RFC 9106).
type params struct {
	memory  uint32 // KiB
	time    uint32
	threads uint8
}

// current is OWASP's first choice that fits many sign-ins on a small machine:
// about 33 ms on one core. One thread, so that a place in the pool is a core.
var current = params{memory: 19 * 1024, time: 2, threads: 1}

// most bounds what a stored hash (imported, or planted) may make us do.
var most = params{memory: 256 * 1024, time: 16, threads: 16}

const (
	saltLen = 16
	keyLen  = 32

	waitersPerPlace = 64              // about 2 s of work
	longestWait     = 5 * time.Second // then the person is told to come again
)

// Hasher turns passwords into PHC strings and checks them, in a bounded pool.
// Passwords are normalised to NFC first (RFC 8265 §4.2), because keyboards differ
// in how they type the same letter.
type Hasher struct {
	// ordinary has one slot for each place; reserved is the place that only
	// priority callers may take, and they take either.
	ordinary, reserved chan struct{}
	waiting, ahead     atomic.Int64 // ordinary callers that wait, priority callers that wait
	derive             func(password, salt []byte, p params, n uint32) []byte
	now                func() time.Time
	after              func(time.Duration) <-chan time.Time
	dummy              string // what is checked when there is nothing to check
}

// NewHasher returns a pool sized by GOMAXPROCS.
func NewHasher() *Hasher {
	h := &Hasher{
		ordinary: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-2)),
		reserved: make(chan struct{}, 1),
		derive: func(password, salt []byte, p params, n uint32) []byte {
			return argon2.IDKey(password, salt, p.time, p.memory, p.threads, n)
		},
		now:   time.Now,
		after: time.After,
	}
	// No password has this hash: its key is random, not derived from anything.
	var salt [saltLen]byte
	var key [keyLen]byte
	rand.Read(salt[:])
	rand.Read(key[:])
	h.dummy = encode(current, salt[:], key[:])
	return h
}

// place waits for a place in the pool. Kinds: Limited (with *TooMany),
// Unavailable (the caller went away).
func (h *Hasher) place(ctx context.Context, priority bool) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, gone(err)
	}
	reserved, waiting, bound := chan struct{}(nil), &h.waiting, int64(waitersPerPlace*cap(h.ordinary))
	if priority {
		reserved, waiting, bound = h.reserved, &h.ahead, waitersPerPlace
	}
	if waiting.Add(1) > bound {
		waiting.Add(-1)
		return nil, tooMany(h.now().Add(longestWait))
	}
	defer waiting.Add(-1)
	select { // a free place needs no timer
	case reserved <- struct{}{}:
		return func() { <-h.reserved }, nil
	default:
	}
	select {
	case h.ordinary <- struct{}{}:
		return func() { <-h.ordinary }, nil
	default:
	}
	select {
	case reserved <- struct{}{}:
		return func() { <-h.reserved }, nil
	case h.ordinary <- struct{}{}:
		return func() { <-h.ordinary }, nil
	case <-h.after(longestWait):
		return nil, tooMany(h.now().Add(longestWait))
	case <-ctx.Done():
		return nil, gone(ctx.Err())
	}
}

func gone(err error) error {
	return fault.Wrap(fault.Unavailable, "The request ended before it was this sign-in's turn. Nothing was changed.", err)
}

// Hash returns the PHC string of a new password. priority is for people who
// hold a role. Kinds: Limited (with *TooMany), Unavailable.
func (h *Hasher) Hash(ctx context.Context, password string, priority bool) (phc string, err error) {
	release, err := h.place(ctx, priority)
	if err != nil {
		return "", err
	}
	defer release()
	var salt [saltLen]byte
	rand.Read(salt[:])
	return encode(current, salt[:], h.derive(norm.NFC.AppendString(nil, password), salt[:], current, keyLen)), nil
}

// Verify reports whether password is the one behind phc, and whether phc should
// be replaced because its parameters are not today's. An empty phc is nobody's
// password: false, after the same work. Kinds: Limited (with *TooMany),
// Unavailable; a phc that cannot be read is internal, after the same work.
func (h *Hasher) Verify(ctx context.Context, phc, password string, priority bool) (ok, rehash bool, err error) {
	nobody := phc == "" || len(password) > maxPassword
	if nobody {
		phc = h.dummy
		password = password[:min(len(password), maxPassword)]
	}
	p, salt, key, bad := decode(phc)
	if bad != nil {
		p, salt, key, _ = decode(h.dummy)
	}
	release, err := h.place(ctx, priority)
	if err != nil {
		return false, false, err
	}
	defer release()
	got := h.derive(norm.NFC.AppendString(nil, password), salt, p, uint32(len(key)))
	if bad != nil {
		return false, false, fmt.Errorf("read stored password: %w", bad)
	}
	ok = subtle.ConstantTimeCompare(got, key) == 1 && !nobody
	return ok, ok && (p != current || len(key) != keyLen), nil
}

func encode(p params, salt, key []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memory, p.time, p.threads, b64.EncodeToString(salt), b64.EncodeToString(key))
}

var errPHC = errors.New("not an argon2id PHC string within bounds")

func decode(phc string) (p params, salt, key []byte, err error) {
	part := strings.Split(phc, "$")
	if len(part) != 6 || part[0] != "" || part[1] != "argon2id" || part[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, nil, nil, errPHC
	}
	if _, err := fmt.Sscanf(part[3], "m=%d,t=%d,p=%d", &p.memory, &p.time, &p.threads); err != nil ||
		part[3] != fmt.Sprintf("m=%d,t=%d,p=%d", p.memory, p.time, p.threads) {
		return p, nil, nil, errPHC
	}
	salt, err = base64.RawStdEncoding.Strict().DecodeString(part[4])
	if err == nil {
		key, err = base64.RawStdEncoding.Strict().DecodeString(part[5])
	}
	switch {
	case err != nil, len(salt) < 8, len(salt) > 64, len(key) < 16, len(key) > 64,
		p.time < 1, p.time > most.time, p.threads < 1, p.threads > most.threads,
		p.memory < 8*uint32(p.threads), p.memory > most.memory:
		return p, nil, nil, errPHC
	}
	return p, salt, key, nil
}
