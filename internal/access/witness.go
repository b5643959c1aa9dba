package access

import (
	"sync"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
)

// Witnessed is a use of an account that no policy touches.
type Witnessed struct {
	User    directory.UserID
	Client  directory.AppID
	Session directory.SessionID // zero: none is known
	IP      string
	At      time.Time
	// Unread: it got in while the policies could not be read, and nobody else did.
	Unread bool
}

// told is what was witnessed, and when last: each use of a person through one
// application in one session counts as the same for an hour. Its memory is this node's.
type told struct {
	mu  sync.Mutex
	all map[Witnessed]time.Time // guarded by mu; the keys without IP and At
}

const (
	tellEvery = time.Hour
	maxTold   = 4096
)

// witness tells of a use, if it is to be told.
func (s *Service) witness(u *Use, now time.Time, unread bool) {
	if s == nil || s.Witness == nil {
		return
	}
	w := Witnessed{User: u.User, Client: u.Client, Session: u.Session, Unread: unread}
	if !s.told.first(w, now) {
		return
	}
	w.IP, w.At = u.IP, now
	s.Witness(w)
}

func (t *told) first(w Witnessed, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if last, ok := t.all[w]; ok && now.Sub(last).Abs() < tellEvery {
		return false
	}
	if t.all == nil || len(t.all) >= maxTold { // more is told then, not less
		t.all = map[Witnessed]time.Time{}
	}
	t.all[w] = now
	return true
}
