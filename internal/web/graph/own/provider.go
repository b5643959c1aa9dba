package own

import (
	"net/http"
	"net/url"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/federate"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/web/graph/api"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

// providerRoutes are other identity providers, and who is linked to them.
func (s Server) providerRoutes() api.Routes {
	return api.Routes{
		"GET /curfew/providers":                      s.getProviders,
		"POST /curfew/providers":                     s.postProviders,
		"GET /curfew/providers/{id}":                 s.getProvider,
		"PATCH /curfew/providers/{id}":               s.patchProvider,
		"DELETE /curfew/providers/{id}":              s.deleteProvider,
		"POST /curfew/providers/{id}/links":          s.postLink,
		"DELETE /curfew/providers/{id}/links/{user}": s.deleteLink,
		"GET /curfew/users/{user}/links":             s.getLinks,
	}
}

func providerID(c *call) directory.ProviderID { return directory.ProviderID(c.R.PathValue("id")) }

func providerObject(p federate.Seen) object {
	texts := func(all []string) []string {
		if all == nil {
			return []string{}
		}
		return all
	}
	claims := p.Claims.Or()
	return object{{"id", p.ID}, {"issuer", p.Issuer}, {"name", p.Name}, {"enabled", p.Enabled}, {"clientId", p.ClientID}, {"hasSecret", p.HasSecret}, {"privateKeyJwt", p.Signs}, {"scopes", texts(p.Scopes)},
		{"userNameClaim", claims.UserName}, {"mailClaim", claims.Mail}, {"displayNameClaim", claims.DisplayName}, {"createUsers", p.Create}, {"domains", texts(p.Domains)},
		{"people", p.People}, {"redirectUri", p.Redirect}, {"backChannelLogoutUri", p.Logout}, {"created", milli(p.Created)}}
}

func (s Server) getProviders(c *call) error {
	all, err := s.Federate.Providers(c.Ctx(), c.Actor)
	if err != nil {
		return err
	}
	out := make([]object, len(all))
	for i, p := range all {
		out[i] = providerObject(p)
	}
	s.Page(c, "", -1, "", out)
	return nil
}

func (s Server) getProvider(c *call) error {
	p, err := s.Federate.Provider(c.Ctx(), c.Actor, providerID(c))
	if err != nil {
		return err
	}
	c.Write(http.StatusOK, providerObject(p))
	return nil
}

func providerForm(p *federate.Patch) odata.Form {
	return odata.Form{"name": odata.Text(&p.Name), "clientId": odata.Text(&p.ClientID), "secret": odata.Text(&p.Secret), "scopes": odata.List(&p.Scopes, "texts"), "domains": odata.List(&p.Domains, "texts"),
		"userNameClaim": odata.Text(&p.UserName), "mailClaim": odata.Text(&p.Mail), "displayNameClaim": odata.Text(&p.DisplayName), "createUsers": odata.Truth(&p.Create), "privateKeyJwt": odata.Truth(&p.Signs), "enabled": odata.Truth(&p.Enabled)}
}

func (s Server) postProviders(c *call) error {
	var p federate.Patch
	var id, issuer *string
	f := providerForm(&p)
	f["id"], f["issuer"] = odata.Text(&id), odata.Text(&issuer)
	act, err := c.OwnOrder(f)
	if err != nil {
		return err
	}
	if id == nil || issuer == nil {
		return odata.Unreadable("The properties id and issuer are needed.")
	}
	made, err := s.Federate.Create(c.Ctx(), c.Actor, directory.ProviderID(*id), *issuer, p, act)
	if err != nil {
		return err
	}
	c.W.Header().Set("Location", s.Root(c)+"/curfew/providers/"+url.PathEscape(*id))
	return c.Done(act, nil, http.StatusCreated, providerObject(made))
}

func (s Server) patchProvider(c *call) error {
	var p federate.Patch
	act, err := c.OwnOrder(providerForm(&p))
	if err != nil {
		return err
	}
	r, err := s.Federate.Update(c.Ctx(), c.Actor, providerID(c), p, act)
	return c.Finish(act, r, err)
}

func (s Server) deleteProvider(c *call) error {
	return c.Do(func(act manage.Act) (*manage.Receipt, error) {
		return s.Federate.Delete(c.Ctx(), c.Actor, providerID(c), act)
	})
}

func (s Server) postLink(c *call) error {
	var user, subject *string
	act, err := c.OwnOrder(odata.Form{"user": odata.Text(&user), "subject": odata.Text(&subject)})
	if err != nil {
		return err
	}
	if user == nil || subject == nil {
		return odata.Unreadable("The properties user and subject are needed.")
	}
	id, err := directory.ParseID[directory.User](*user)
	if err != nil {
		return errNobody
	}
	return c.Finish(act, nil, s.Federate.Link(c.Ctx(), c.Actor, providerID(c), *subject, id, act))
}

func (s Server) deleteLink(c *call) error {
	return c.Do(func(act manage.Act) (*manage.Receipt, error) {
		id, err := directory.ParseID[directory.User](c.R.PathValue("user"))
		if err != nil {
			return nil, errNobody
		}
		return s.Federate.Unlink(c.Ctx(), c.Actor, providerID(c), id, act)
	})
}

func (s Server) getLinks(c *call) error {
	id, err := directory.ParseID[directory.User](c.R.PathValue("user"))
	if err != nil {
		return errNobody
	}
	all, err := s.Federate.Links(c.Ctx(), c.Actor, id)
	if err != nil {
		return err
	}
	out := make([]object, len(all))
	for i, l := range all {
		out[i] = object{{"provider", l.Provider}, {"subject", l.Subject}, {"user", l.User}, {"linked", milli(l.Linked)}}
	}
	s.Page(c, "", -1, "", out)
	return nil
}
