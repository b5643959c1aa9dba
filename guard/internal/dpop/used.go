package dpop

import (
	"crypto/sha256"
	"sync"
	"time"
)

// Used remembers proofs while they could be used again, in this process.
// Several instances of a service that must not take one proof twice between them
// demand a nonce, each with a secret of its own.
type Used struct {
	mu         sync.Mutex
	cur, old   map[[16]byte]struct{} // guarded by mu
	mono, wall int64                 // guarded by mu: when cur began, on both clocks
}

// First remembers a proof, or says that it was seen before. When more come than
// can be remembered, new ones are refused: doubt closes.
func (u *Used) First(p *Proof, mono, wall int64) error {
	sum := sha256.Sum256([]byte(p.Thumbprint + "\x00" + p.ID))
	id := [16]byte(sum[:16])
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.cur == nil || time.Duration(max(mono-u.mono, wall-u.wall)) >= turn {
		u.old, u.cur, u.mono, u.wall = u.cur, map[[16]byte]struct{}{}, mono, wall
	}
	_, seen := u.cur[id]
	_, before := u.old[id]
	switch {
	case seen || before:
		return ErrReplayed
	case len(u.cur) >= maxSeen:
		return ErrBusy
	}
	u.cur[id] = struct{}{}
	return nil
}
