package registration

import (
	"maps"

	"github.com/curfew-id/curfew/internal/web/graph/api"
)

// Server answers about applications under Microsoft's names.
type Server struct{ *api.Server }

type (
	call   = api.Call
	object = api.Object
	row    = api.Row
)

// Routes are all addresses of Microsoft's that are about applications.
func (s Server) Routes() api.Routes {
	all := api.Routes{}
	for _, table := range []api.Routes{s.appRoutes(), s.serviceRoutes(), s.consentRoutes(), s.roleHolderRoutes()} {
		maps.Copy(all, table)
	}
	return all
}
