package server

import (
	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/risk"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/watch"
)

// constructRisk lets watch see what is born and what is refused, and policies what it
// found.
func (s *Server) constructRisk() {
	s.watch = &watch.Service{DB: s.db, Geo: s.geo, Now: s.now, Log: s.log}
	s.signin.Watch, s.signin.Wrong = s.watch.SignedIn, s.watch.Failed
	s.revoke.Reused = func(tx *store.Tx, g *grant.Grant, ip string) error {
		return s.watch.Note(tx, risk.TokenReused, g, ip, "An old refresh token or code of "+string(g.App)+" was used again.")
	}
	s.issue.Suspect = func(tx *store.Tx, g *grant.Grant, ip, why string) error {
		return s.watch.Note(tx, risk.TwoNetworks, g, ip, why)
	}
	s.access.Risk = func(tx *store.Tx, u *access.Use) (r access.Risk, err error) {
		r.SignIn, r.User, r.Changed, err = s.watch.Risk(tx, u.User, u.Session)
		return r, err
	}
}
