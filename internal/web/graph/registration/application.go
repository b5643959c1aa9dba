package registration

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/web/graph/api"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

func (s Server) appRoutes() api.Routes {
	return api.Routes{
		"GET /applications":                             s.getApplications,
		"POST /applications":                            s.postApplications,
		"GET /applications/$count":                      s.countApplications,
		"GET /applications/{app}":                       s.getApplication,
		"PATCH /applications/{app}":                     s.patchApplication,
		"DELETE /applications/{app}":                    s.deleteApplication,
		"POST /applications/{app}/addPassword":          s.addPassword(byApplication),
		"POST /applications/{app}/removePassword":       s.removePassword(byApplication),
		"GET /applications/{app}/owners":                s.getOwners(byApplication),
		"POST /applications/{app}/owners/$ref":          s.postOwner(byApplication),
		"DELETE /applications/{app}/owners/{user}/$ref": s.deleteOwner(byApplication),
	}
}

// by finds the application that an address is about.
type by func(*catalog, *call) (*directory.App, error)

func byApplication(k *catalog, c *call) (*directory.App, error) {
	return k.application(c.R.PathValue("app"))
}

// found is the application of the path.
func (s Server) found(c *call, f by) (*catalog, *directory.App, error) {
	k, err := s.catalog(c)
	if err != nil {
		return nil, nil, err
	}
	a, err := f(k, c)
	return k, a, err
}

func (k *catalog) applicationRow(a *directory.App) row {
	return row{ID: a.Object.String(),
		Value: api.Fields(map[directory.Field]directory.Value{directory.FieldID: directory.IDValue(a.Object), odata.FieldClient: directory.Text(string(a.ID)),
			directory.FieldDisplayName: directory.Text(a.Name), directory.FieldCreated: directory.Instant(a.Created)}),
		Item: func() object { return k.applicationObject(a) }}
}

func (k *catalog) applicationObject(a *directory.App) object {
	web, native := list(a.RedirectURIs), []string{}
	if a.Public {
		web, native = native, web
	}
	uris, scopes := []string{}, []object{}
	if r := k.api(a.ID); r != nil {
		if string(r.ID) != string(a.ID) {
			uris = append(uris, string(r.ID))
		}
		scopes = scopeObjects(r)
	}
	return object{{"id", a.Object}, {"appId", a.ID}, {"displayName", a.Name}, {"createdDateTime", api.Instant(a.Created)}, {"signInAudience", "AzureADMyOrg"},
		{"isDisabled", !a.Enabled}, {"identifierUris", uris}, {"isFallbackPublicClient", a.Public},
		{"web", object{{"redirectUris", web}, {"logoutUrl", api.TextOrNull(a.FrontChannelLogoutURI)}, {"homePageUrl", nil},
			{"implicitGrantSettings", object{{"enableAccessTokenIssuance", false}, {"enableIdTokenIssuance", false}}}}},
		{"publicClient", object{{"redirectUris", native}}}, {"spa", object{{"redirectUris", list(a.SPARedirectURIs)}}},
		{"api", object{{"acceptMappedClaims", nil}, {"knownClientApplications", []string{}}, {"requestedAccessTokenVersion", 2}, {"oauth2PermissionScopes", scopes}, {"preAuthorizedApplications", []string{}}}},
		{"appRoles", appRoleObjects(a)}, {"requiredResourceAccess", k.accessObjects(a)}, {"passwordCredentials", secretObjects(a)}, {"keyCredentials", keyObjects(a)},
		{"tags", []string{}}, {"notes", nil}}
}

func list(all []string) []string { return append([]string{}, all...) }

func secretObjects(a *directory.App) []object {
	out := []object{}
	for _, x := range a.Secrets {
		out = append(out, secretObject(x, nil))
	}
	return out
}

// secretObject is a passwordCredential. Its text is there once, when it is made.
func secretObject(x directory.AppSecret, text any) object {
	return object{{"customKeyIdentifier", nil}, {"displayName", api.TextOrNull(x.Name)}, {"endDateTime", api.Instant(x.Expires)}, {"hint", x.Hint}, {"keyId", guidOf(x.ID)},
		{"secretText", text}, {"startDateTime", api.Instant(x.Created)}}
}

func keyID(x directory.AppKey) string { return cmp.Or(x.GUID, guidOf(x.ID)) }

func keyObjects(a *directory.App) []object {
	out := []object{}
	for _, x := range a.Keys {
		out = append(out, object{{"keyId", keyID(x)}, {"type", keyType(x.JWK)}, {"usage", "Verify"}, {"displayName", api.TextOrNull(x.Name)}, {"customKeyIdentifier", nil}, {"key", nil},
			{"startDateTime", api.Instant(x.Created)}, {"endDateTime", api.Instant(x.Expires)}})
	}
	return out
}

func scopeObjects(r *directory.Resource) []object {
	out := []object{}
	for _, x := range r.Scopes {
		kind := "User"
		if x.AdminOnly {
			kind = "Admin"
		}
		out = append(out, object{{"id", scopeID(r, x)}, {"value", x.Name}, {"type", kind}, {"isEnabled", !x.Disabled},
			{"adminConsentDisplayName", cmp.Or(x.AdminTitle, x.Title, x.Text, x.Name)}, {"adminConsentDescription", cmp.Or(x.AdminText, x.Text, x.Name)},
			{"userConsentDisplayName", api.TextOrNull(x.Title)}, {"userConsentDescription", api.TextOrNull(x.Text)}})
	}
	return out
}

func appRoleObjects(a *directory.App) []object {
	out := []object{}
	for _, x := range a.Roles {
		kinds := []string{}
		if x.Users {
			kinds = append(kinds, "User")
		}
		if x.Apps {
			kinds = append(kinds, "Application")
		}
		out = append(out, object{{"id", x.ID}, {"value", x.Name}, {"displayName", x.Title}, {"description", x.Text}, {"isEnabled", !x.Disabled}, {"allowedMemberTypes", kinds}})
	}
	return out
}

// accessObjects is requiredResourceAccess: what the registration says it wants, or
// else what it may ask people for.
func (k *catalog) accessObjects(a *directory.App) []object {
	asks := a.Asks
	if asks == nil {
		for _, p := range a.Permissions {
			for _, n := range p.Scopes {
				asks = append(asks, directory.Ask{Resource: p.Resource, Name: n})
			}
		}
	}
	out, at := []object{}, map[string]int{}
	for _, x := range asks {
		v, ok := k.serviceAt(x.Resource)
		if !ok {
			continue
		}
		r := k.resource(x.Resource)
		id, kind := k.roleID(r, x.Name), "Role"
		if !x.AppRole {
			i := slices.IndexFunc(r.Scopes, func(y directory.Scope) bool { return y.Name == x.Name })
			switch {
			case i >= 0:
				id, kind = scopeID(r, r.Scopes[i]), "Scope"
			case x.Name == offline && r.ID == directory.OwnAPI:
				id, kind = knownScopes[offline], "Scope"
			default:
				continue
			}
		}
		client := v.client()
		if a := k.app(r.App); a != nil {
			client = string(a.ID)
		}
		i, ok := at[client]
		if !ok {
			i, at[client] = len(out), len(out)
			out = append(out, object{{"resourceAppId", client}, {"resourceAccess", []object{}}})
		}
		out[i][1].Value = append(out[i][1].Value.([]object), object{{"id", id}, {"type", kind}})
	}
	return out
}

func (s Server) getApplications(c *call) error {
	k, err := s.catalog(c)
	if err != nil {
		return err
	}
	return api.Answer(s.Server, c, &odata.Applications, "applications", k.apps, k.applicationRow, nil)
}

func (s Server) countApplications(c *call) error {
	k, err := s.catalog(c)
	if err != nil {
		return err
	}
	return count(c, &odata.Applications, k.apps, k.applicationRow)
}

// count answers with how many there are, as a bare number.
func count[T any](c *call, sc *odata.Schema, all []T, of func(T) row) error {
	q, err := c.Query(sc)
	if err != nil {
		return err
	}
	rows := make([]row, len(all))
	for i, x := range all {
		rows[i] = of(x)
	}
	_, _, n, err := odata.Page(q, rows)
	if err != nil {
		return err
	}
	c.W.Header().Set("Content-Type", "text/plain")
	c.W.Write([]byte(strconv.Itoa(n)))
	return nil
}

func (s Server) getApplication(c *call) error {
	k, a, err := s.found(c, byApplication)
	if err != nil {
		return err
	}
	return s.Entity(c, &odata.Applications, "applications", k.applicationRow(a))
}

func (s Server) deleteApplication(c *call) error {
	k, a, err := s.found(c, byApplication)
	if err != nil {
		return err
	}
	return c.Do(func(act manage.Act) (*manage.Receipt, error) {
		all, err := s.Manage.Together(c.Ctx(), c.Actor, act, func(m *manage.Service) error {
			if _, err := m.DeleteApp(c.Ctx(), c.Actor, a.ID, act); err != nil {
				return err
			}
			r := k.api(a.ID)
			if r == nil {
				return nil
			}
			// What others still name stays, without a registration: deleting must not wait
			// for them.
			if err := m.DeleteResource(c.Ctx(), c.Actor, r.ID, act); !fault.Is(err, fault.Conflict) {
				return err
			}
			return nil
		})
		return receiptOf(all), err
	})
}

// receiptOf is the receipt to name when several things were cut.
func receiptOf(all []*manage.Receipt) *manage.Receipt {
	if len(all) == 0 {
		return nil
	}
	return all[0]
}

// usualLife is how long a secret lives of which nobody said it, as on Graph.
const usualLife = 2 * 365 * 24 * time.Hour

func (s Server) addPassword(f by) func(*call) error {
	return func(c *call) error {
		var name *string
		var start, end time.Time
		var given bool
		act, err := c.Order(odata.Form{"passwordCredential": odata.Inner(&given, odata.Form{"displayName": odata.Text(&name), "startDateTime": instantOf(&start), "endDateTime": instantOf(&end),
			"keyId": odata.Only("null"), "secretText": odata.Only("null"), "hint": odata.Only("null"), "customKeyIdentifier": odata.Only("null")})})
		if err != nil {
			return err
		}
		if start.After(s.Time().Add(5 * time.Minute)) {
			return odata.Unreadable("The property startDateTime must not lie ahead: a secret is good from the moment it is made.")
		}
		if end.IsZero() {
			end = s.Time().Add(usualLife)
		}
		_, a, err := s.found(c, f)
		if err != nil {
			return err
		}
		x, err := s.Manage.AddNamedSecret(c.Ctx(), c.Actor, a.ID, value(name), end, act)
		if err != nil {
			return err
		}
		var out object
		if x != nil {
			out = append(object{{"@odata.context", s.Context(c, "microsoft.graph.passwordCredential")}},
				secretObject(directory.AppSecret{ID: x.ID, Name: value(name), Hint: x.Hint, Created: s.Time(), Expires: x.Expires}, x.Value)...)
		}
		return c.Done(act, nil, http.StatusOK, out)
	}
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func instantOf(to *time.Time) odata.Reader {
	return func(raw json.RawMessage) (string, error) {
		if string(raw) != "null" && (json.Unmarshal(raw, to) != nil || to.IsZero()) {
			return "an instant such as 2026-03-02T12:00:00Z", nil
		}
		return "", nil
	}
}

func (s Server) removePassword(f by) func(*call) error {
	return func(c *call) error {
		var id *string
		act, err := c.Order(odata.Form{"keyId": odata.Text(&id)})
		if err != nil {
			return err
		}
		_, a, err := s.found(c, f)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(a.Secrets, func(x directory.AppSecret) bool { return id != nil && guidOf(x.ID) == guidOf(*id) })
		if i < 0 {
			return fault.New(fault.NotFound, "There is no such secret.")
		}
		r, err := s.Manage.RemoveSecret(c.Ctx(), c.Actor, a.ID, a.Secrets[i].ID, act)
		return c.Finish(act, r, err)
	}
}

func (s Server) getOwners(f by) func(*call) error {
	return func(c *call) error {
		q, err := c.Query(&odata.Users)
		if err != nil {
			return err
		}
		_, a, err := s.found(c, f)
		if err != nil {
			return err
		}
		all, err := s.Manage.Owners(c.Ctx(), c.Actor, a.ID)
		return api.Answer(s.Server, c, &odata.Users, "directoryObjects", all, func(u *directory.User) row { return api.Typed("user", api.UserRow(u, q.Select)) }, err)
	}
}

func (s Server) postOwner(f by) func(*call) error {
	return func(c *call) error {
		act, err := c.Act()
		if err != nil {
			return err
		}
		_, ref, err := api.Reference(c)
		if err != nil {
			return err
		}
		user, err := directory.ParseID[directory.User](ref)
		if err != nil {
			return err
		}
		_, a, err := s.found(c, f)
		if err != nil {
			return err
		}
		return c.Finish(act, nil, s.Manage.AddOwner(c.Ctx(), c.Actor, a.ID, user, act))
	}
}

func (s Server) deleteOwner(f by) func(*call) error {
	return func(c *call) error {
		user, err := api.ID[directory.User](c, "user")
		if err != nil {
			return err
		}
		_, a, err := s.found(c, f)
		if err != nil {
			return err
		}
		return c.Do(func(act manage.Act) (*manage.Receipt, error) {
			return nil, s.Manage.RemoveOwner(c.Ctx(), c.Actor, a.ID, user, act)
		})
	}
}
