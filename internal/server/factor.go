package server

import "github.com/curfew-id/curfew/internal/factor"

// factors are the rooms of a node that prove people by more than a password.
type factors struct {
	factor *factor.Service
}

// constructFactors wires them.
func (s *Server) constructFactors() {
	s.factor = &factor.Service{DB: s.db, Keys: s.keys, SignIn: s.signin, Revoke: s.revoke, Base: s.cfg.PublicURL, Name: s.domain, Log: s.log}
}
