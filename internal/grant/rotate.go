package grant

import (
	"time"

	"github.com/curfew-id/curfew/internal/directory"
)

// Outcome of presenting a refresh token.
type Outcome uint8

// The outcomes.
const (
	// Rotated: the current generation was used; its successor is current now.
	Rotated Outcome = iota + 1
	// Retried: an answer was lost, or several were asked for at once. The
	// answer is the current generation, once more.
	Retried
	// TooMany retries: 503, and not held against the grant.
	TooMany
	// Reused: a generation whose successor was used, or that is too old to be
	// a retry. The grant must be cut.
	Reused
	// Ahead: the token is newer than the row. If the grant is otherwise alive,
	// this server's history was lost.
	Ahead
)

// maxRetries for each resource and generation (DESIGN §5).
const maxRetries = 3

// rotations remembered: a retry is recognised behind that many newer uses.
const rotations = 6

// Use is one presentation of a refresh token, after the client was
// authenticated and matched.
type Use struct {
	Generation int64
	Resource   directory.ResourceID
	// Arrived is when the request's last byte was read. It may be earlier than
	// Now by at most the request deadline; the caller enforces that.
	Arrived time.Time
	Now     time.Time
}

// Rotate judges u against the state and changes the state accordingly. The
// generation to hand out for Rotated and Retried is s.Generation afterwards.
// Reused, Ahead and TooMany leave the state as it was.
//
// One client that redeems a token for several resources at once, or repeats a
// request whose answer it lost, must not be taken for a thief; a thief's use
// after the owner's next use must always be (RFC 9700 §4.14).
func (s *State) Rotate(u Use, l Lifetimes) Outcome {
	switch {
	case u.Generation > s.Generation:
		return Ahead
	case u.Generation == s.Generation:
		s.Generation++
		s.Rotated = append([]int64{u.Now.UnixMicro()}, s.Rotated...)
		s.Rotated = s.Rotated[:min(len(s.Rotated), rotations)]
		s.Retries = nil
		return Rotated
	case !s.retry(u, l):
		return Reused
	case s.Retries[u.Resource] >= maxRetries:
		return TooMany
	}
	if s.Retries == nil {
		s.Retries = make(map[directory.ResourceID]int)
	}
	s.Retries[u.Resource]++
	return Retried
}

// retry reports whether an older generation is presented in good faith: its
// successor had not been used when the request arrived, and it was itself used
// no longer than the window ago. What is no longer remembered is reuse: doubt
// closes.
func (s *State) retry(u Use, l Lifetimes) bool {
	behind := int(s.Generation - u.Generation) // ≥ 1
	if behind > len(s.Rotated) {
		return false
	}
	used := s.Rotated[behind-1] // when u.Generation was first used
	if u.Arrived.UnixMicro()-used > l.RetryWindow.Microseconds() {
		return false
	}
	if behind == 1 {
		return true // the successor is still unused
	}
	successorUsed := s.Rotated[behind-2]
	return u.Arrived.UnixMicro() < successorUsed && u.Now.Sub(u.Arrived) <= l.Deadline
}
