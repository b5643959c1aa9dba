package registration

import (
	"net/http"
	"slices"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/web/graph/api"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

func (s Server) serviceRoutes() api.Routes {
	return api.Routes{
		"GET /servicePrincipals":                                 s.getServices,
		"POST /servicePrincipals":                                s.postServices,
		"GET /servicePrincipals/$count":                          s.countServices,
		"GET /servicePrincipals/{service}":                       s.getService,
		"PATCH /servicePrincipals/{service}":                     s.patchService,
		"DELETE /servicePrincipals/{service}":                    s.deleteService,
		"POST /servicePrincipals/{service}/addPassword":          s.addPassword(byService),
		"POST /servicePrincipals/{service}/removePassword":       s.removePassword(byService),
		"GET /servicePrincipals/{service}/owners":                s.getOwners(byService),
		"POST /servicePrincipals/{service}/owners/$ref":          s.postOwner(byService),
		"DELETE /servicePrincipals/{service}/owners/{user}/$ref": s.deleteOwner(byService),
	}
}

// byService is the application whose service principal the address names.
func byService(k *catalog, c *call) (*directory.App, error) {
	v, err := k.service(c.R.PathValue("service"))
	if err != nil {
		return nil, err
	}
	if v.app == nil {
		return nil, odata.Unreadable("This service principal is a resource that stands alone: no application signs in as it.")
	}
	return v.app, nil
}

func (s Server) serviceRow(k *catalog) func(service) row {
	return func(v service) row {
		return row{ID: v.id(),
			Value: api.Fields(map[directory.Field]directory.Value{directory.FieldID: {Kind: directory.KindID, Text: v.id()}, odata.FieldClient: directory.Text(v.client()),
				directory.FieldDisplayName: directory.Text(v.name()), directory.FieldEnabled: directory.Bool(v.app == nil || v.app.Enabled)}),
			Item: func() object { return s.serviceObject(k, v) }}
	}
}

func (s Server) serviceObject(k *catalog, v service) object {
	names, scopes, roles := []string{v.client()}, []object{}, []object{}
	a := v.app
	if a == nil {
		a = &directory.App{Enabled: true, Created: v.resource.Created}
	} else {
		roles = appRoleObjects(a)
	}
	if r := v.resource; r != nil {
		if !slices.Contains(names, string(r.ID)) {
			names = append(names, string(s.Issue.Audience(r.ID)))
		}
		if r.ID == directory.OwnAPI {
			names = append(names, directory.GraphAlias)
		}
		scopes = scopeObjects(r)
		for _, name := range r.AppRoles {
			if !slices.ContainsFunc(a.Roles, func(x directory.AppRole) bool { return x.Name == name }) {
				roles = append(roles, object{{"id", k.roleID(r, name)}, {"value", name}, {"displayName", name}, {"description", name}, {"isEnabled", true}, {"allowedMemberTypes", []string{"Application"}}})
			}
		}
	}
	return object{{"id", v.id()}, {"appId", v.client()}, {"displayName", v.name()}, {"appDisplayName", v.name()}, {"accountEnabled", a.Enabled}, {"appRoleAssignmentRequired", a.AssignmentRequired},
		{"appOwnerOrganizationId", s.Tenant}, {"createdDateTime", api.Instant(a.Created)}, {"servicePrincipalType", "Application"}, {"servicePrincipalNames", names}, {"signInAudience", "AzureADMyOrg"},
		{"replyUrls", append(list(a.RedirectURIs), a.SPARedirectURIs...)}, {"logoutUrl", api.TextOrNull(a.FrontChannelLogoutURI)}, {"homepage", nil}, {"appRoles", roles}, {"oauth2PermissionScopes", scopes},
		{"passwordCredentials", secretObjects(a)}, {"keyCredentials", keyObjects(a)}, {"tags", []string{}}, {"notes", nil}}
}

func (s Server) getServices(c *call) error {
	k, err := s.catalog(c)
	if err != nil {
		return err
	}
	return api.Answer(s.Server, c, &odata.Services, "servicePrincipals", k.services(), s.serviceRow(k), nil)
}

func (s Server) countServices(c *call) error {
	k, err := s.catalog(c)
	if err != nil {
		return err
	}
	return count(c, &odata.Services, k.services(), s.serviceRow(k))
}

func (s Server) getService(c *call) error {
	k, err := s.catalog(c)
	if err != nil {
		return err
	}
	v, err := k.service(c.R.PathValue("service"))
	if err != nil {
		return err
	}
	return s.Entity(c, &odata.Services, "servicePrincipals", s.serviceRow(k)(v))
}

// serviceForm is what a service principal may be written with.
func serviceForm(enabled, required **bool) odata.Form {
	return odata.Form{"accountEnabled": orNull(odata.Truth(enabled)), "appRoleAssignmentRequired": orNull(odata.Truth(required)), "tags": odata.Only("[]", "null"), "notes": odata.Only("null", `""`),
		"servicePrincipalType": odata.Only(`"Application"`, "null"), "homepage": odata.Only("null", `""`), "loginUrl": odata.Only("null", `""`), "description": odata.Only("null", `""`),
		"alternativeNames": odata.Only("[]", "null"), "notificationEmailAddresses": odata.Only("[]", "null"), "preferredSingleSignOnMode": odata.Only("null", `""`)}
}

// postServices puts an application into use: it gets an identity, and one that was
// taken out of use before is enabled again.
func (s Server) postServices(c *call) error {
	var client *string
	var enabled, required *bool
	f := serviceForm(&enabled, &required)
	f["appId"] = odata.Text(&client)
	act, err := c.Order(f)
	if err != nil {
		return err
	}
	if client == nil {
		return odata.Unreadable("The property appId is missing.")
	}
	k, err := s.catalog(c)
	if err != nil {
		return err
	}
	a := k.app(directory.AppID(*client))
	if a == nil {
		return errNoApplication
	}
	on := a.Enabled || a.Principal.IsZero()
	if enabled != nil {
		on = *enabled
	}
	_, err = s.Manage.Together(c.Ctx(), c.Actor, act, func(m *manage.Service) error {
		if err := m.GiveIdentity(c.Ctx(), c.Actor, a.ID, act); err != nil {
			return err
		}
		return s.setService(c, m, a, &on, required, act)
	})
	if err != nil {
		return err
	}
	var out object
	if !act.DryRun {
		if k, err = s.catalog(c); err != nil {
			return err
		}
		v, _ := k.serviceOf(a.ID)
		c.W.Header().Set("Location", s.Root(c)+"/servicePrincipals/"+v.id())
		out = append(object{{"@odata.context", s.Context(c, "servicePrincipals/$entity")}}, s.serviceObject(k, v)...)
	}
	return c.Done(act, nil, http.StatusCreated, out)
}

// setService changes what differs.
func (s Server) setService(c *call, m *manage.Service, a *directory.App, enabled, required *bool, act manage.Act) error {
	if required != nil && *required != a.AssignmentRequired {
		if _, err := m.UpdateApp(c.Ctx(), c.Actor, a.ID, manage.AppPatch{AssignmentRequired: required}, act); err != nil {
			return err
		}
	}
	if enabled == nil || *enabled == a.Enabled {
		return nil
	}
	_, err := m.SetAppEnabled(c.Ctx(), c.Actor, a.ID, *enabled, act)
	return err
}

func (s Server) patchService(c *call) error {
	var enabled, required *bool
	act, err := c.Order(serviceForm(&enabled, &required))
	if err != nil {
		return err
	}
	_, a, err := s.found(c, byService)
	if err != nil {
		return err
	}
	all, err := s.Manage.Together(c.Ctx(), c.Actor, act, func(m *manage.Service) error { return s.setService(c, m, a, enabled, required, act) })
	return c.Finish(act, receiptOf(all), err)
}

func (s Server) deleteService(c *call) error {
	_, a, err := s.found(c, byService)
	if err != nil {
		return err
	}
	return c.Do(func(act manage.Act) (*manage.Receipt, error) {
		return s.Manage.TakeIdentity(c.Ctx(), c.Actor, a.ID, act)
	})
}
