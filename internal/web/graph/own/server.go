package own

import (
	"maps"
	"time"

	"github.com/curfew-id/curfew/internal/web/graph/api"
)

// Server answers what Microsoft has no names for.
type Server struct{ *api.Server }

type (
	call   = api.Call
	object = api.Object
	member = api.Member
)

const (
	maxImport = 200 << 20 // of CSV, unpacked
	fileTime  = 10 * time.Minute
)

// Routes are all addresses under /v1.0/curfew/.
func (s Server) Routes() api.Routes {
	all := api.Routes{}
	for _, table := range []api.Routes{s.ownRoutes(), s.appRoutes(), s.consentRoutes(), s.liveRoutes(), s.deliveryRoutes(), s.keyRoutes(), s.providerRoutes(), s.settingRoutes()} {
		maps.Copy(all, table)
	}
	return all
}
