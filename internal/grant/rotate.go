package grant

import (
	"net/netip"
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
	// Renewed: the current generation was used, and stays current.
	Renewed
)

// Mode says what a use does to the generation.
type Mode uint8

// The modes.
const (
	// Rotating: each use makes a successor, and a lost answer may be asked for
	// again.
	Rotating Mode = iota
	// Strict: each use makes a successor, and a second use is reuse, also by a
	// client that lost the answer or redeems one token for two resources at once.
	Strict
	// Still: the token stays, because something else than its secrecy binds it
	// to its owner, proved at each use.
	Still
)

// Mode returns how the grant's refresh tokens are renewed when the application
// asks for m.
//
// One that was made from another never rotates. It is only ever in the hands of
// a client that authenticates at each use, which is what binds it (RFC 9700
// §4.14), and its client keeps one copy for each token it exchanged, in caches
// that know nothing of each other: all of them are the one row's. Bound needs a
// key to bind to.
func (g *Grant) Mode(m directory.RefreshMode) Mode {
	switch {
	case len(g.Chain) > 0, m == directory.RefreshBound && g.CNF != "":
		return Still
	case m == directory.RefreshStrict:
		return Strict
	}
	return Rotating
}

// maxRetries for each resource and generation (DESIGN §5).
const maxRetries = 3

// rotations remembered: a retry is recognised behind that many newer uses.
const rotations = 6

// skew is how far apart the clocks of two nodes may be without one of them
// forgetting a rotation that a retry at the other still depends on.
const skew = 5 * time.Minute

// Use is one presentation of a refresh token, after the client was
// authenticated and matched.
type Use struct {
	Generation int64
	Resource   directory.ResourceID
	// Arrived is when the request's last byte was read. It may be earlier than
	// Now by at most the request deadline; the caller enforces that.
	Arrived time.Time
	Now     time.Time
	// Network is where it came from, see [NetworkOf]; zero: not known.
	Network netip.Prefix
	Mode    Mode
}

// Rotate judges u against the state and changes the state accordingly. The
// generation to hand out for Rotated, Retried and Renewed is s.Generation
// afterwards. Renewed, Reused, Ahead and TooMany leave the state as it was. The alarm is for people
// and changes nothing about the answer; only Retried raises one.
//
// One client that redeems a token for several resources at once, or repeats a
// request whose answer it lost, must not be taken for a thief; a thief's use
// after the owner's next use must always be (RFC 9700 §4.14).
func (s *State) Rotate(u Use, l Lifetimes) (Outcome, Alarm) {
	switch {
	case u.Generation > s.Generation:
		return Ahead, 0
	case u.Generation == s.Generation && u.Mode == Still:
		return Renewed, 0
	case u.Generation == s.Generation:
		s.rotate(u, l)
		return Rotated, 0
	case u.Mode == Strict || !s.retry(u, l):
		return Reused, 0
	case s.Retries[u.Resource] >= maxRetries:
		return TooMany, 0
	}
	repeated := s.repeated()
	if s.Retries == nil {
		s.Retries = make(map[directory.ResourceID]int)
	}
	s.Retries[u.Resource]++
	if !repeated && s.repeated() {
		s.Row++
	}
	return Retried, s.suspect(u)
}

// rotate makes the successor of the generation that u used the current one, and
// forgets what no longer tells a retry from reuse: most grants are used once an
// hour, and their rows are kept by the million.
func (s *State) rotate(u Use, l Lifetimes) {
	s.Generation++
	s.Rotated = append([]int64{u.Now.UnixMicro()}, s.Rotated...)
	n, old := min(len(s.Rotated), rotations), u.Now.Add(-l.RetryWindow-l.Deadline-skew).UnixMicro()
	for s.Rotated[n-1] < old {
		n--
	}
	s.Rotated = s.Rotated[:n]
	if !s.repeated() {
		s.Row = 0
	}
	s.Retries, s.Resource, s.Network = nil, u.Resource, u.Network
	for i, told := range s.Alarmed {
		if !recent(told, u.Now) {
			s.Alarmed[i] = 0
		}
	}
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
