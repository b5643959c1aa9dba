package own

import (
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/web/graph/api"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

// consentRoutes are what was consented to for an application, by people and by
// administrators for everybody.
func (s Server) consentRoutes() api.Routes {
	return api.Routes{
		"GET /curfew/apps/{id}/consents":    s.getConsents,
		"POST /curfew/apps/{id}/consents":   s.postConsent,
		"DELETE /curfew/apps/{id}/consents": s.deleteConsent,
	}
}

const consentsPage = 100 // people on a page

// userOf reads the user that a consent is about; none is everybody.
func userOf(ref string) (id directory.UserID, err error) {
	if ref == "" {
		return id, nil
	}
	if id, err = directory.ParseID[directory.User](ref); err != nil {
		err = errNobody
	}
	return id, err
}

func (s Server) getConsents(c *call) error {
	q, err := c.Parameters("after")
	if err != nil {
		return err
	}
	after, err := userOf(q["after"])
	if err != nil {
		return err
	}
	all, next, err := s.Manage.ConsentsTo(c.Ctx(), c.Actor, app(c), after, consentsPage)
	if err != nil {
		return err
	}
	out := make([]object, len(all))
	for i, x := range all {
		var user any // everybody
		if !x.User.IsZero() {
			user = x.User
		}
		out[i] = object{{"user", user}, {"name", api.TextOrNull(x.Name)}, {"app", x.App}, {"resource", x.Resource}, {"scopes", x.Scopes}, {"given", milli(x.Given)}}
	}
	link := ""
	if !next.IsZero() {
		link = s.Next(c, "after", next.String())
	}
	s.Page(c, "", -1, link, out)
	return nil
}

func (s Server) postConsent(c *call) error {
	var user *string
	var permissions *[]directory.Permission
	act, err := c.OwnOrder(odata.Form{"user": odata.Text(&user), "permissions": odata.List(&permissions, "objects with resource and scopes")})
	if err != nil {
		return err
	}
	if permissions == nil || len(*permissions) == 0 {
		return odata.Unreadable("The property permissions is missing.")
	}
	whose := ""
	if user != nil {
		whose = *user
	}
	id, err := userOf(whose)
	if err != nil {
		return err
	}
	r, err := s.Manage.GrantConsentFor(c.Ctx(), c.Actor, id, app(c), *permissions, act)
	return c.Finish(act, r, err)
}

func (s Server) deleteConsent(c *call) error {
	q, err := c.Parameters("user", "resource")
	if err != nil {
		return err
	}
	id, err := userOf(q["user"])
	if err != nil {
		return err
	}
	return c.Do(func(act manage.Act) (*manage.Receipt, error) {
		return s.Manage.WithdrawConsentAt(c.Ctx(), c.Actor, id, app(c), directory.ResourceID(q["resource"]), act)
	})
}
