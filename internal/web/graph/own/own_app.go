package own

import (
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/web/graph/api"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

// appRoutes are registrations by client_id and by the identifier of a resource.
func (s Server) appRoutes() api.Routes {
	return api.Routes{
		"GET /curfew/apps":                          s.getApps,
		"POST /curfew/apps":                         s.postApps,
		"GET /curfew/apps/{id}":                     s.getApp,
		"PATCH /curfew/apps/{id}":                   s.patchApp,
		"DELETE /curfew/apps/{id}":                  s.deleteApp,
		"POST /curfew/apps/{id}/secrets":            s.postSecret,
		"DELETE /curfew/apps/{id}/secrets/{secret}": s.deleteSecret,

		"GET /curfew/apps/{id}/owners":                      s.getOwners,
		"POST /curfew/apps/{id}/owners":                     s.postOwner,
		"DELETE /curfew/apps/{id}/owners/{user}":            s.deleteOwner,
		"GET /curfew/apps/{id}/assignments":                 s.getAssignments,
		"POST /curfew/apps/{id}/assignments":                s.postAssignment,
		"DELETE /curfew/apps/{id}/assignments/{assignment}": s.deleteAssignment,

		"GET /curfew/resources":         s.getResources,
		"POST /curfew/resources":        s.postResources,
		"GET /curfew/resources/{id}":    s.getResource,
		"PATCH /curfew/resources/{id}":  s.patchResource,
		"DELETE /curfew/resources/{id}": s.deleteResource,
	}
}

func app(c *call) directory.AppID { return directory.AppID(c.R.PathValue("id")) }

func resource(c *call) directory.ResourceID { return directory.ResourceID(c.R.PathValue("id")) }

func (s Server) getApps(c *call) error {
	all, err := s.Manage.Apps(c.Ctx(), c.Actor)
	return shown(s, c, all, err)
}

// shown answers with all of something.
func shown[T seen](s Server, c *call, all []*T, err error) error {
	if err != nil {
		return err
	}
	out := make([]object, len(all))
	for i, x := range all {
		out[i] = view(x)
	}
	s.Page(c, "", -1, "", out)
	return nil
}

func (s Server) getApp(c *call) error {
	a, err := s.Manage.App(c.Ctx(), c.Actor, app(c))
	if err != nil {
		return err
	}
	c.Write(http.StatusOK, view(a))
	return nil
}

func appForm(p *manage.AppPatch) odata.Form {
	return odata.Form{"name": odata.Text(&p.Name), "publisher": odata.Text(&p.Publisher), "public": odata.Truth(&p.Public), "firstParty": odata.Truth(&p.FirstParty), "deviceCode": odata.Truth(&p.DeviceCode),
		"redirectUris": odata.List(&p.RedirectURIs, "texts"), "postLogoutUris": odata.List(&p.PostLogoutURIs, "texts"),
		"permissions": odata.List(&p.Permissions, "objects with resource and scopes"), "appPermissions": odata.List(&p.AppPermissions, "objects with resource and scopes"),
		"guards": odata.List(&p.Guards, "texts"), "accessTokenMinutes": odata.Whole(&p.AccessTokenMinutes),
		"spaRedirectUris": odata.List(&p.SPARedirectURIs, "texts"), "keys": odata.List(&p.Keys, "texts, each a public JWK"), "keysUri": odata.Text(&p.KeysURI),
		"refresh": word(&p.Refresh), "grantAbsoluteMs": span("grantAbsoluteMs", &p.GrantAbsolute), "requirePAR": odata.Truth(&p.RequirePAR), "requireDPoP": odata.Truth(&p.RequireDPoP),
		"signingAlg": odata.Text(&p.SigningAlg), "backChannelLogoutUri": odata.Text(&p.BackChannelLogoutURI), "backChannelSession": odata.Truth(&p.BackChannelSession),
		"frontChannelLogoutUri": odata.Text(&p.FrontChannelLogoutURI), "frontChannelSession": odata.Truth(&p.FrontChannelSession), "assignmentRequired": odata.Truth(&p.AssignmentRequired)}
}

// word reads a text that is one of a few.
func word[T ~string](to **T) odata.Reader {
	return func(raw json.RawMessage) (string, error) {
		var s *string
		what, err := odata.Text(&s)(raw)
		if s != nil {
			x := T(*s)
			*to = &x
		}
		return what, err
	}
}

func (s Server) postApps(c *call) error {
	var n manage.NewApp
	var id *string
	var enabled, secret *bool
	f := appForm(&n.AppPatch)
	f["id"], f["enabled"], f["withSecret"] = odata.Text(&id), odata.Truth(&enabled), odata.Truth(&secret)
	act, err := c.OwnOrder(f)
	if err != nil {
		return err
	}
	if id != nil {
		n.ID = directory.AppID(*id)
	}
	n.Disabled, n.WithSecret = enabled != nil && !*enabled, secret != nil && *secret
	a, made, err := s.Manage.CreateApp(c.Ctx(), c.Actor, n, act)
	if err != nil {
		return err
	}
	out := view(a)
	if made != nil {
		out = append(out, member{"secret", secretObject(made)})
	}
	c.W.Header().Set("Location", s.Root(c)+"/curfew/apps/"+url.PathEscape(string(a.ID)))
	return c.Done(act, nil, http.StatusCreated, out)
}

// secretObject shows a secret, this once.
func secretObject(x *manage.NewSecret) object {
	return object{{"id", x.ID}, {"value", x.Value}, {"hint", x.Hint}, {"expires", milli(x.Expires)}, {"oldUntil", milli(x.OldUntil)}}
}

// span reads a duration in milliseconds.
func span(name string, to **time.Duration) odata.Reader {
	return func(raw json.RawMessage) (string, error) {
		var ms *int
		if what, err := odata.Whole(&ms)(raw); what != "" || err != nil {
			return what, err
		}
		if ms == nil {
			return "", nil
		}
		if *ms < 0 || *ms > int(100*365*24*time.Hour/time.Millisecond) {
			return "", odata.Unreadable("The property " + name + " is out of range.")
		}
		d := time.Duration(*ms) * time.Millisecond
		*to = &d
		return "", nil
	}
}

func (s Server) patchApp(c *call) error {
	var p manage.AppPatch
	var enabled *bool
	f := appForm(&p)
	f["enabled"] = odata.Truth(&enabled)
	act, err := c.OwnOrder(f)
	if err != nil {
		return err
	}
	var r *manage.Receipt
	switch {
	case enabled == nil:
		r, err = s.Manage.UpdateApp(c.Ctx(), c.Actor, app(c), p, act)
	case p == manage.AppPatch{}:
		r, err = s.Manage.SetAppEnabled(c.Ctx(), c.Actor, app(c), *enabled, act)
	default: // two acts, which could half succeed
		err = odata.Unreadable("The property enabled is changed by a request of its own.")
	}
	return c.Finish(act, r, err)
}

func (s Server) deleteApp(c *call) error {
	return c.Do(func(act manage.Act) (*manage.Receipt, error) {
		return s.Manage.DeleteApp(c.Ctx(), c.Actor, app(c), act)
	})
}

// postSecret makes a secret, and with "rotate" removes all others.
func (s Server) postSecret(c *call) error {
	var expires time.Time
	var rotate *bool
	var overlap *time.Duration
	act, err := c.OwnOrder(odata.Form{"expires": instantOf(&expires), "rotate": odata.Truth(&rotate), "overlapMs": span("overlapMs", &overlap)})
	if err != nil {
		return err
	}
	if overlap == nil {
		overlap = new(time.Duration)
	} else if rotate == nil || !*rotate {
		return odata.Unreadable("The property overlapMs belongs to rotate.")
	}
	var made *manage.NewSecret
	var r *manage.Receipt
	if rotate != nil && *rotate {
		made, r, err = s.Manage.RotateSecret(c.Ctx(), c.Actor, app(c), expires, *overlap, act)
	} else {
		made, err = s.Manage.AddSecret(c.Ctx(), c.Actor, app(c), expires, act)
	}
	if err != nil {
		return err
	}
	var out object
	if made != nil {
		out = secretObject(made)
	}
	return c.Done(act, r, http.StatusCreated, out)
}

func (s Server) deleteSecret(c *call) error {
	return c.Do(func(act manage.Act) (*manage.Receipt, error) {
		return s.Manage.RemoveSecret(c.Ctx(), c.Actor, app(c), c.R.PathValue("secret"), act)
	})
}

func (s Server) getResources(c *call) error {
	all, err := s.Manage.Resources(c.Ctx(), c.Actor)
	return shown(s, c, all, err)
}

func (s Server) getResource(c *call) error {
	r, err := s.Manage.Resource(c.Ctx(), c.Actor, resource(c))
	if err != nil {
		return err
	}
	c.Write(http.StatusOK, view(r))
	return nil
}

// resourceOrder reads the body of a write to a resource.
func resourceOrder(c *call, id **string) (p manage.ResourcePatch, act manage.Act, err error) {
	f := odata.Form{"name": odata.Text(&p.Name), "scopes": odata.List(&p.Scopes, "objects with name, text and adminOnly"), "appRoles": odata.List(&p.AppRoles, "texts"), "tokenLifeMs": span("tokenLifeMs", &p.TokenLife),
		"signingAlg": odata.Text(&p.SigningAlg), "encryptionKey": odata.Text(&p.EncryptionKey), "guarded": odata.Truth(&p.Guarded)}
	if id != nil {
		f["id"] = odata.Text(id)
	}
	act, err = c.OwnOrder(f)
	return p, act, err
}

func (s Server) postResources(c *call) error {
	var id *string
	p, act, err := resourceOrder(c, &id)
	if err != nil {
		return err
	}
	if id == nil {
		return odata.Unreadable("The property id is missing.")
	}
	r, err := s.Manage.CreateResource(c.Ctx(), c.Actor, directory.ResourceID(*id), p, act)
	if err != nil {
		return err
	}
	c.W.Header().Set("Location", s.Root(c)+"/curfew/resources/"+url.PathEscape(string(r.ID)))
	return c.Done(act, nil, http.StatusCreated, view(r))
}

func (s Server) patchResource(c *call) error {
	p, act, err := resourceOrder(c, nil)
	if err != nil {
		return err
	}
	return c.Finish(act, nil, s.Manage.UpdateResource(c.Ctx(), c.Actor, resource(c), p, act))
}

func (s Server) deleteResource(c *call) error {
	return c.Do(func(act manage.Act) (*manage.Receipt, error) {
		return nil, s.Manage.DeleteResource(c.Ctx(), c.Actor, resource(c), act)
	})
}
