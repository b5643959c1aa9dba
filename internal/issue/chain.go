package issue

import (
	"time"

	"github.com/curfew-id/curfew/internal/directory"
)

// spaLife is how long what a browser-only application was given lasts, used or
// not: nothing in a browser keeps a refresh token from scripts (RT-04, and what
// people know from Entra).
const spaLife = 24 * time.Hour

// end is when a grant of app that begins at start ends whatever is done with it;
// zero: never. The beginning counts and not the last proof of the person: a
// session may be older than the whole life allowed, and the grant would be over
// before its first use.
func (s *Service) end(start time.Time, app *directory.App, redirect string) (end time.Time) {
	for _, life := range []time.Duration{s.Lifetimes.GrantAbsolute, app.GrantAbsolute} {
		if life > 0 {
			end = earlier(end, start.Add(life))
		}
	}
	if app.MatchSPARedirect(redirect) {
		end = earlier(end, start.Add(spaLife))
	}
	return end
}

// earlier returns the earlier of two instants, where zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
