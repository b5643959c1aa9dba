package registration

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/web/graph/api"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

func (s Server) consentRoutes() api.Routes {
	return api.Routes{
		"GET /oauth2PermissionGrants":                             s.getConsents,
		"POST /oauth2PermissionGrants":                            s.postConsents,
		"GET /oauth2PermissionGrants/{grant}":                     s.getConsent,
		"PATCH /oauth2PermissionGrants/{grant}":                   s.patchConsent,
		"DELETE /oauth2PermissionGrants/{grant}":                  s.deleteConsent,
		"GET /servicePrincipals/{service}/oauth2PermissionGrants": s.getConsentsOfService,
		"GET /users/{user}/oauth2PermissionGrants":                s.getConsentsOfUser,
	}
}

const (
	everybody = "AllPrincipals"
	oneUser   = "Principal"
)

// maxConsents bounds a listing that is held in memory.
const maxConsents = 10000

// consentID names a consent: whose, which application's, at which resource.
func consentID(x directory.Consent) string {
	return base64.RawURLEncoding.EncodeToString(slices.Concat(x.User[:], []byte(x.App), []byte{0}, []byte(x.Resource)))
}

var errNoConsent = fault.New(fault.NotFound, "There is no such permission grant.")

func consentNamed(id string) (x directory.Consent, err error) {
	b, err := base64.RawURLEncoding.DecodeString(id)
	app, resource, ok := strings.Cut(string(b[min(len(b), len(x.User)):]), "\x00")
	if err != nil || !ok {
		return x, errNoConsent
	}
	copy(x.User[:], b)
	x.App, x.Resource = directory.AppID(app), directory.ResourceID(resource)
	return x, nil
}

// consentRows leaves out consents to what is not there any more.
func (k *catalog) consentRows(all []directory.Consent) (rows []row) {
	for _, x := range all {
		client, ok := k.serviceOf(x.App)
		at, there := k.serviceAt(x.Resource)
		if !ok || !there {
			continue
		}
		id, kind, whose := consentID(x), everybody, any(nil)
		if !x.User.IsZero() {
			kind, whose = oneUser, x.User
		}
		rows = append(rows, row{ID: id,
			Value: api.Fields(map[directory.Field]directory.Value{odata.FieldService: {Kind: directory.KindID, Text: client.id()}, odata.FieldResource: {Kind: directory.KindID, Text: at.id()},
				odata.FieldPrincipal: directory.IDValue(x.User), odata.FieldConsent: directory.Text(kind)}),
			Item: func() object {
				return object{{"id", id}, {"clientId", client.id()}, {"consentType", kind}, {"principalId", whose}, {"resourceId", at.id()}, {"scope", strings.Join(x.Scopes, " ")}}
			}})
	}
	return rows
}

// consentsTo is everything that was consented to for an application.
func (s Server) consentsTo(c *call, id directory.AppID, room int) (out []directory.Consent, err error) {
	for after := (directory.UserID{}); ; {
		all, next, err := s.Manage.ConsentsTo(c.Ctx(), c.Actor, id, after, 1000)
		if err != nil {
			return nil, err
		}
		for _, x := range all {
			out = append(out, x.Consent)
		}
		if len(out) > room {
			return nil, odata.Unsupported("There are too many permission grants to list. Filter by clientId or principalId.")
		}
		if after = next; next.IsZero() {
			return out, nil
		}
	}
}

// equal finds the value that a filter demands of a field, if it does.
func equal(e *directory.Expr, f directory.Field) (string, bool) {
	switch {
	case e == nil:
	case e.Op == directory.Equal && e.Field == f:
		return e.Values[0].Text, true
	case e.Op == directory.And:
		for _, x := range e.Args {
			if v, ok := equal(x, f); ok {
				return v, true
			}
		}
	}
	return "", false
}

func (s Server) getConsents(c *call) error {
	q, err := c.Query(&odata.Grants)
	if err != nil {
		return err
	}
	k, err := s.catalog(c)
	if err != nil {
		return err
	}
	var all []directory.Consent
	client, byClient := equal(q.Filter, odata.FieldService)
	whose, byUser := equal(q.Filter, odata.FieldPrincipal)
	if user, err := directory.ParseID[directory.User](whose); byUser && err == nil {
		if all, err = s.Manage.Consents(c.Ctx(), c.Actor, user); err != nil {
			return err
		}
		return s.List(c, &odata.Grants, "oauth2PermissionGrants", k.consentRows(all))
	}
	for _, a := range k.apps {
		if v, _ := k.serviceOf(a.ID); byClient && v.id() != client {
			continue
		}
		some, err := s.consentsTo(c, a.ID, maxConsents-len(all))
		if err != nil {
			return err
		}
		all = append(all, some...)
	}
	return s.List(c, &odata.Grants, "oauth2PermissionGrants", k.consentRows(all))
}

func (s Server) getConsentsOfService(c *call) error {
	k, a, err := s.found(c, byService)
	if err != nil {
		return err
	}
	all, err := s.consentsTo(c, a.ID, maxConsents)
	if err != nil {
		return err
	}
	return s.List(c, &odata.Grants, "oauth2PermissionGrants", k.consentRows(all))
}

func (s Server) getConsentsOfUser(c *call) error {
	user, err := s.User(c)
	if err != nil {
		return err
	}
	k, err := s.catalog(c)
	if err != nil {
		return err
	}
	all, err := s.Manage.Consents(c.Ctx(), c.Actor, user)
	if err != nil {
		return err
	}
	return s.List(c, &odata.Grants, "oauth2PermissionGrants", k.consentRows(all))
}

// consent finds the one that the path names.
func (s Server) consent(c *call) (*catalog, directory.Consent, error) {
	x, err := consentNamed(c.R.PathValue("grant"))
	if err != nil {
		return nil, x, err
	}
	k, err := s.catalog(c)
	if err != nil {
		return nil, x, err
	}
	all, err := s.Manage.Consents(c.Ctx(), c.Actor, x.User)
	if err != nil {
		return nil, x, err
	}
	i := slices.IndexFunc(all, func(y directory.Consent) bool { return y.App == x.App && y.Resource == x.Resource })
	if i < 0 || k.app(x.App) == nil {
		return nil, x, errNoConsent
	}
	return k, all[i], nil
}

func (s Server) getConsent(c *call) error {
	k, x, err := s.consent(c)
	if err != nil {
		return err
	}
	rows := k.consentRows([]directory.Consent{x})
	if len(rows) == 0 {
		return errNoConsent
	}
	return s.Entity(c, &odata.Grants, "oauth2PermissionGrants", rows[0])
}

func (s Server) postConsents(c *call) error {
	var client, kind, whose, at, scope, when *string
	act, err := c.Order(odata.Form{"clientId": odata.Text(&client), "consentType": odata.Text(&kind), "principalId": odata.Text(&whose), "resourceId": odata.Text(&at), "scope": odata.Text(&scope),
		"startTime": odata.Text(&when), "expiryTime": odata.Text(&when)}) // which Graph takes and does not keep either
	if err != nil {
		return err
	}
	x := directory.Consent{Scopes: scopes(value(scope))}
	switch value(kind) {
	case everybody:
		if value(whose) != "" {
			return odata.Unreadable("The consentType AllPrincipals is for everybody: principalId must be null.")
		}
	case oneUser:
		if x.User, err = directory.ParseID[directory.User](value(whose)); err != nil {
			return odata.Unreadable("The consentType Principal needs the object id of a user as principalId.")
		}
	default:
		return odata.Unreadable("The property consentType is AllPrincipals or Principal.")
	}
	k, err := s.catalog(c)
	if err != nil {
		return err
	}
	from, err := k.service(value(client))
	if err != nil || from.app == nil {
		return fault.New(fault.NotFound, "The clientId is no service principal of an application.")
	}
	to, err := k.service(value(at))
	if err != nil || to.resource == nil {
		return fault.New(fault.NotFound, "The resourceId is no service principal of a resource.")
	}
	x.App, x.Resource = from.app.ID, to.resource.ID
	have, err := s.Manage.Consents(c.Ctx(), c.Actor, x.User)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(have, func(y directory.Consent) bool { return y.App == x.App && y.Resource == x.Resource }) {
		return fault.New(fault.Conflict, "Permission entry already exists. Change it instead.")
	}
	if _, err := s.consentTo(c, from.app, x, act); err != nil {
		return err
	}
	return c.Done(act, nil, http.StatusCreated, append(object{{"@odata.context", s.Context(c, "oauth2PermissionGrants/$entity")}}, k.consentRows([]directory.Consent{x})[0].Item()...))
}

// scopes splits a scope parameter. Every application may have offline_access.
func scopes(s string) []string {
	return slices.DeleteFunc(strings.Fields(s), func(x string) bool { return x == offline })
}

// consentTo lets the application ask for what is consented to, and consents.
func (s Server) consentTo(c *call, a *directory.App, x directory.Consent, act manage.Act) ([]*manage.Receipt, error) {
	return s.Manage.Together(c.Ctx(), c.Actor, act, func(m *manage.Service) error {
		permissions := a.Permissions
		for _, name := range x.Scopes {
			permissions = with(permissions, x.Resource, name)
		}
		if len(x.Scopes) > 0 && !covered(a.Permissions, x) {
			if _, err := m.UpdateApp(c.Ctx(), c.Actor, a.ID, manage.AppPatch{Permissions: &permissions}, act); err != nil {
				return err
			}
		}
		_, err := m.GrantConsentFor(c.Ctx(), c.Actor, x.User, a.ID, []directory.Permission{{Resource: x.Resource, Scopes: x.Scopes}}, act)
		return err
	})
}

func covered(have []directory.Permission, x directory.Consent) bool {
	i := slices.IndexFunc(have, func(p directory.Permission) bool { return p.Resource == x.Resource })
	return i >= 0 && !slices.ContainsFunc(x.Scopes, func(n string) bool { return !slices.Contains(have[i].Scopes, n) })
}

// patchConsent replaces the scopes. What is taken away ends what was handed out.
func (s Server) patchConsent(c *call) error {
	var scope *string
	act, err := c.Order(odata.Form{"scope": odata.Text(&scope)})
	if err != nil {
		return err
	}
	k, x, err := s.consent(c)
	if err != nil {
		return err
	}
	if scope == nil {
		return odata.Unreadable("The property scope is missing.")
	}
	if x.Scopes = scopes(*scope); len(x.Scopes) == 0 {
		r, err := s.Manage.WithdrawConsentAt(c.Ctx(), c.Actor, x.User, x.App, x.Resource, act)
		return c.Finish(act, r, err)
	}
	all, err := s.consentTo(c, k.app(x.App), x, act)
	return c.Finish(act, receiptOf(all), err)
}

func (s Server) deleteConsent(c *call) error {
	x, err := consentNamed(c.R.PathValue("grant"))
	if err != nil {
		return err
	}
	return c.Do(func(act manage.Act) (*manage.Receipt, error) {
		return s.Manage.WithdrawConsentAt(c.Ctx(), c.Actor, x.User, x.App, x.Resource, act)
	})
}
