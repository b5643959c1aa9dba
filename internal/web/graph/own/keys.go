package own

import (
	"net/http"
	"strings"

	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/rotate"
	"github.com/curfew-id/curfew/internal/web/graph/api"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

// keyRoutes are the keys that tokens are signed with.
func (s Server) keyRoutes() api.Routes {
	return api.Routes{
		"GET /curfew/keys":              s.getKeys,
		"POST /curfew/keys/rotate":      s.postRotateKeys,
		"POST /curfew/keys/{id}/retire": s.postRetireKey,
	}
}

func (s Server) getKeys(c *call) error {
	if _, err := c.Parameters(); err != nil {
		return err
	}
	all, err := s.Rotate.SigningKeys(c.Ctx(), c.Actor)
	if err == nil {
		s.Page(c, "", -1, "", views(all))
	}
	return err
}

// postRotateKeys publishes new keys. To drop the old ones ends every token of the
// directory, so its name must be typed as for revoking everyone.
func (s Server) postRotateKeys(c *call) error {
	var alg, confirm *string
	var now, drop *bool
	act, err := c.OwnOrder(odata.Form{"alg": odata.Text(&alg), "now": odata.Truth(&now), "drop": odata.Truth(&drop), "confirm": odata.Text(&confirm)})
	if err != nil {
		return err
	}
	k := rotate.KeyChange{Now: now != nil && *now, Drop: drop != nil && *drop, Reason: act.Reason, DryRun: act.DryRun}
	if alg != nil {
		k.Alg = *alg
	}
	if k.Drop {
		domain, err := s.Domain(c.Ctx())
		if err != nil {
			return err
		}
		if confirm == nil || !strings.EqualFold(strings.TrimSpace(*confirm), domain) {
			return odata.Unreadable("To drop keys, which ends every token, the property confirm must hold the domain of the directory.")
		}
	}
	out, err := s.Rotate.RotateKeys(c.Ctx(), c.Actor, k)
	return s.keysChanged(c, act, out, err)
}

func (s Server) postRetireKey(c *call) error {
	act, err := c.OwnOrder(odata.Form{})
	if err != nil {
		return err
	}
	out, err := s.Rotate.RetireKey(c.Ctx(), c.Actor, c.R.PathValue("id"), rotate.KeyChange{Reason: act.Reason, DryRun: act.DryRun})
	return s.keysChanged(c, act, out, err)
}

func (s Server) keysChanged(c *call, act manage.Act, out *rotate.KeysChanged, err error) error {
	if err != nil {
		return err
	}
	o := object{{"dryRun", act.DryRun}, {"already", out.Already}, {"keys", views(out.Keys)}, {"receipt", nil}}
	if r := out.Receipt; r != nil {
		c.W.Header().Set("Curfew-Receipt", r.ID)
		o[3].Value = view(s.receipt(c, r))
	}
	c.Write(http.StatusOK, o)
	return nil
}
