package graph

import (
	"maps"

	"github.com/curfew-id/curfew/internal/web/graph/api"
)

// Server answers under Microsoft's names.
type Server struct{ *api.Server }

type (
	call   = api.Call
	object = api.Object
	member = api.Member
	row    = api.Row
)

// Routes are all addresses of Microsoft's that are answered.
func (s Server) Routes() api.Routes {
	all := api.Routes{}
	for _, table := range []api.Routes{s.userRoutes(), s.groupRoutes(), s.roleRoutes(), s.auditRoutes()} {
		maps.Copy(all, table)
	}
	return all
}
