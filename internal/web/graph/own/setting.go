package own

import (
	"github.com/curfew-id/curfew/internal/web/graph/api"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

// settingRoutes are how administrators widen what ends what.
func (s Server) settingRoutes() api.Routes {
	return api.Routes{
		"GET /curfew/settings":          s.getSettings,
		"PATCH /curfew/settings/{name}": s.patchSetting,
	}
}

func (s Server) getSettings(c *call) error {
	if _, err := c.Parameters(); err != nil {
		return err
	}
	all, err := s.Manage.Settings(c.Ctx(), c.Actor)
	return shown(s, c, all, err)
}

func (s Server) patchSetting(c *call) error {
	var value *string
	act, err := c.OwnOrder(odata.Form{"value": odata.Text(&value)})
	if err != nil {
		return err
	}
	if value == nil {
		return odata.Unreadable("The property value is missing.")
	}
	return c.Finish(act, nil, s.Manage.SetSetting(c.Ctx(), c.Actor, c.R.PathValue("name"), *value, act))
}
