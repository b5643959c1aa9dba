package grant

import (
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
)

// Session is one browser signed in as one user. The cookie holds a random
// value of which only the SHA-256 is stored.
type Session struct {
	ID       directory.SessionID
	User     directory.UserID
	Cookie   [32]byte // SHA-256 of the cookie's value
	Born     cutoff.Pos
	Created  time.Time
	LastUsed time.Time // written at most every few minutes
	AuthTime time.Time // when the person last proved who they are; zero: Provider did not say
	// SecondTime is when they last gave a second factor; zero: never.
	SecondTime time.Time
	Kept       bool // kept signed in across browser restarts
	AMR        []string
	Device     directory.DeviceID
	IP         string // where it was opened
	Agent      string // what opened it, in plain words: "Firefox on Linux"
	// Provider is the identity provider that proved who it is, UpstreamSID what it
	// calls its own session (sid); empty: it was proven here, or has none.
	Provider    directory.ProviderID
	UpstreamSID string
}

// Owner says which cutoffs cover the session.
func (s *Session) Owner() cutoff.Owner {
	return cutoff.NewOwner(directory.Belongs(s.User, s.ID, directory.GrantID{}, "", s.Device))
}

// Ends returns when the session ends by itself if it is not used again.
func (s *Session) Ends(l Lifetimes) time.Time {
	idle := l.SessionIdle
	if s.Kept {
		idle = l.SessionKept
	}
	end := s.LastUsed.Add(idle)
	if abs := s.Created.Add(l.SessionAbsolute); abs.Before(end) {
		return abs
	}
	return end
}
