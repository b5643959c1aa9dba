package server

import (
	"maps"

	"github.com/curfew-id/curfew/internal/factor"
	graphapi "github.com/curfew-id/curfew/internal/web/graph/api"
	"github.com/curfew-id/curfew/internal/web/graph/methods"
)

// factors are the rooms of a node that prove people by more than a password.
type factors struct {
	factor *factor.Service
}

// constructFactors wires them.
func (s *Server) constructFactors() {
	s.factor = &factor.Service{DB: s.db, Keys: s.keys, SignIn: s.signin, Revoke: s.revoke, Base: s.cfg.PublicURL, Name: s.domain, Log: s.log}
}

// methodRoutes are the addresses of the API that are about methods.
func (s *Server) methodRoutes(own *graphapi.Server) graphapi.Routes {
	m := methods.Server{Server: own, Factor: s.factor}
	all := m.Routes()
	maps.Copy(all, m.OwnRoutes())
	return all
}
