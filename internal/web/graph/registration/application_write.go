package registration

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/web/graph/api"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

// application is the body of a write. Nil: not said.
type application struct {
	name, logout     *string
	disabled, public *bool
	web, native, spa *[]string
	uris             *[]string
	scopes           *[]permissionScope
	roles            *[]appRole
	access           *[]resourceAccess
	keys             *[]keyCredential
	owners           *[]string
}

type permissionScope struct {
	ID         string  `json:"id"`
	Value      string  `json:"value"`
	Type       string  `json:"type"`
	Enabled    *bool   `json:"isEnabled"`
	AdminTitle string  `json:"adminConsentDisplayName"`
	AdminText  string  `json:"adminConsentDescription"`
	Title      *string `json:"userConsentDisplayName"`
	Text       *string `json:"userConsentDescription"`
	OData      string  `json:"@odata.type"`
}

type appRole struct {
	ID      string   `json:"id"`
	Value   *string  `json:"value"`
	Title   string   `json:"displayName"`
	Text    string   `json:"description"`
	Enabled *bool    `json:"isEnabled"`
	Kinds   []string `json:"allowedMemberTypes"`
	OData   string   `json:"@odata.type"`
}

type resourceAccess struct {
	Client string `json:"resourceAppId"`
	Access []struct {
		ID    string `json:"id"`
		Type  string `json:"type"`
		OData string `json:"@odata.type"`
	} `json:"resourceAccess"`
	OData string `json:"@odata.type"`
}

type keyCredential struct {
	ID     string    `json:"keyId"`
	Type   string    `json:"type"`
	Usage  string    `json:"usage"`
	Name   *string   `json:"displayName"`
	Custom *string   `json:"customKeyIdentifier"`
	Key    *string   `json:"key"` // a certificate in base64
	Start  time.Time `json:"startDateTime"`
	End    time.Time `json:"endDateTime"`
	OData  string    `json:"@odata.type"`
}

// orNull lets null stand for what is not said: tools write every property.
func orNull(f odata.Reader) odata.Reader {
	return func(raw json.RawMessage) (string, error) {
		if string(bytes.TrimSpace(raw)) == "null" {
			return "", nil
		}
		return f(raw)
	}
}

func inner(f odata.Form) odata.Reader { return orNull(odata.Inner(new(bool), f)) }

// form is what an application may be written with. What is not kept here is taken
// where it says what is so anyway.
func (p *application) form() odata.Form {
	nothing, no := odata.Only("null", `""`), odata.Only("null", "false")
	texts := func(to **[]string) odata.Reader { return orNull(odata.List(to, "texts")) }
	return odata.Form{
		"displayName": odata.Text(&p.name), "isDisabled": orNull(odata.Truth(&p.disabled)), "isFallbackPublicClient": orNull(odata.Truth(&p.public)),
		"signInAudience": odata.Only(`"AzureADMyOrg"`, "null"), "identifierUris": texts(&p.uris),
		"web": inner(odata.Form{"redirectUris": texts(&p.web), "logoutUrl": odata.Text(&p.logout), "homePageUrl": nothing, "redirectUriSettings": odata.Only("[]", "null"),
			"implicitGrantSettings": inner(odata.Form{"enableAccessTokenIssuance": no, "enableIdTokenIssuance": no})}),
		"publicClient": inner(odata.Form{"redirectUris": texts(&p.native)}),
		"spa":          inner(odata.Form{"redirectUris": texts(&p.spa)}),
		"api": inner(odata.Form{"oauth2PermissionScopes": orNull(odata.List(&p.scopes, "permission scopes")), "requestedAccessTokenVersion": odata.Only("2", "null"), "acceptMappedClaims": no,
			"knownClientApplications": odata.Only("[]", "null"), "preAuthorizedApplications": odata.Only("[]", "null")}),
		"appRoles":               orNull(odata.List(&p.roles, "application roles")),
		"requiredResourceAccess": orNull(odata.List(&p.access, "objects with resourceAppId and resourceAccess")),
		"keyCredentials":         orNull(odata.List(&p.keys, "key credentials")),
		"passwordCredentials":    odata.Only("[]", "null"), "tags": odata.Only("[]", "null"), "notes": nothing, "description": nothing, "groupMembershipClaims": odata.Only("null", `"None"`),
		"isDeviceOnlyAuthSupported": no, "oauth2RequirePostResponse": no, "serviceManagementReference": nothing, "samlMetadataUrl": nothing, "defaultRedirectUri": nothing,
		"optionalClaims": inner(odata.Form{"accessToken": odata.Only("[]", "null"), "idToken": odata.Only("[]", "null"), "saml2Token": odata.Only("[]", "null")}),
		"info":           inner(odata.Form{"marketingUrl": nothing, "privacyStatementUrl": nothing, "supportUrl": nothing, "termsOfServiceUrl": nothing}),
	}
}

// patch makes of it a change of the application, as it stands in old.
func (p *application) patch(k *catalog, old *directory.App) (out manage.AppPatch, err error) {
	out.Name, out.FrontChannelLogoutURI = p.name, p.logout
	if err := p.redirects(old, &out); err != nil {
		return out, err
	}
	if p.roles != nil {
		roles := []directory.AppRole{}
		for _, x := range *p.roles {
			r := directory.AppRole{ID: strings.ToLower(x.ID), Name: value(x.Value), Title: x.Title, Text: x.Text, Disabled: x.Enabled != nil && !*x.Enabled}
			for _, kind := range x.Kinds {
				switch kind {
				case "User":
					r.Users = true
				case "Application":
					r.Apps = true
				default:
					return out, odata.Unreadable("The property allowedMemberTypes holds User, Application or both.")
				}
			}
			roles = append(roles, r)
		}
		out.Roles = &roles
	}
	if p.access != nil {
		if err := p.asks(k, old, &out); err != nil {
			return out, err
		}
	}
	if p.keys != nil {
		out.NamedKeys, err = certificates(old, *p.keys)
	}
	return out, err
}

// redirects decides what sort of application it is: one that keeps secrets, or a
// public one. Ours are one or the other.
func (p *application) redirects(old *directory.App, out *manage.AppPatch) error {
	web, native, spa := list(old.RedirectURIs), []string{}, list(old.SPARedirectURIs)
	if old.Public {
		web, native = native, web
	}
	for _, x := range []struct{ to, from *[]string }{{&web, p.web}, {&native, p.native}, {&spa, p.spa}} {
		if x.from != nil {
			*x.to = *x.from
		}
	}
	public := old.Public
	switch apart := len(native) > 0 || len(spa) > 0; {
	case len(web) > 0 && (apart || p.public != nil && *p.public):
		return odata.Unreadable("An application either keeps secrets (web) or is public (publicClient, spa, isFallbackPublicClient). Register two.")
	case apart:
		public = true
	case p.public != nil:
		public = *p.public
	case p.web != nil && len(web) > 0:
		public = false
	}
	uris := web
	if public {
		uris = native
	}
	if public != old.Public {
		out.Public = &public
	}
	if p.public != nil { // as on Graph: it is what lets a person sign in on another device
		out.DeviceCode = p.public
	}
	if p.web == nil && p.native == nil && p.spa == nil {
		return nil
	}
	out.RedirectURIs, out.SPARedirectURIs = &uris, &spa
	// Graph knows no others to return to after a sign-out; one who set them apart
	// keeps them.
	if same := slices.Equal(old.PostLogoutURIs, slices.Concat(old.RedirectURIs, old.SPARedirectURIs)); same || len(old.PostLogoutURIs) == 0 {
		all := slices.Concat(uris, spa)
		out.PostLogoutURIs = &all
	}
	return nil
}

// asks reads requiredResourceAccess: what is asked for, and of it the scopes that
// people may be asked for. Roles are given by an assignment of their own.
func (p *application) asks(k *catalog, old *directory.App, out *manage.AppPatch) error {
	asks := []directory.Ask{}
	for _, x := range *p.access {
		r := k.byClient(x.Client)
		if r == nil {
			return fault.New(fault.NotFound, "There is no resource with the resourceAppId "+fault.Quote(x.Client)+".")
		}
		for _, y := range x.Access {
			name, ok := scopeNamed(r, y.ID)
			if y.Type == "Role" {
				name, ok = k.roleNamed(r, y.ID)
			}
			if !ok || y.Type != "Role" && y.Type != "Scope" {
				return fault.New(fault.NotFound, "The resource "+fault.Quote(r.Name)+" has no permission "+fault.Quote(y.ID)+" of the type "+fault.Quote(y.Type)+".")
			}
			asks = append(asks, directory.Ask{Resource: r.ID, Name: name, AppRole: y.Type == "Role"})
		}
	}
	// What the registration wanted before and does not any more is taken away; what a
	// consent brought stays.
	var permissions []directory.Permission
	for _, x := range old.Permissions {
		x.Scopes = slices.DeleteFunc(slices.Clone(x.Scopes), func(n string) bool {
			was := old.Asks == nil || slices.Contains(old.Asks, directory.Ask{Resource: x.Resource, Name: n})
			return was && !slices.Contains(asks, directory.Ask{Resource: x.Resource, Name: n})
		})
		if len(x.Scopes) > 0 {
			permissions = append(permissions, x)
		}
	}
	for _, x := range asks {
		if !x.AppRole && x.Name != offline {
			permissions = with(permissions, x.Resource, x.Name)
		}
	}
	out.Asks, out.Permissions = &asks, &permissions
	return nil
}

// with adds a scope to permissions.
func with(all []directory.Permission, at directory.ResourceID, name string) []directory.Permission {
	for i, p := range all {
		if p.Resource == at {
			if !slices.Contains(p.Scopes, name) {
				all = slices.Clone(all)
				all[i].Scopes = append(slices.Clone(p.Scopes), name)
			}
			return all
		}
	}
	return append(slices.Clone(all), directory.Permission{Resource: at, Scopes: []string{name}})
}

// certificates reads keyCredentials. One without its key is one that is there.
func certificates(old *directory.App, all []keyCredential) (*[]directory.AppKey, error) {
	out := []directory.AppKey{}
	for _, x := range all {
		have := slices.IndexFunc(old.Keys, func(k directory.AppKey) bool { return x.ID != "" && strings.EqualFold(keyID(k), x.ID) })
		if x.Key == nil || *x.Key == "" {
			if have < 0 {
				return nil, odata.Unreadable("A key credential without its key must name one that is there.")
			}
			out = append(out, old.Keys[have])
			continue
		}
		if x.Usage != "Verify" && x.Usage != "" || x.Type != "AsymmetricX509Cert" && x.Type != "" {
			return nil, odata.Unreadable("A key credential is of the type AsymmetricX509Cert and for the usage Verify.")
		}
		der, err := base64.StdEncoding.DecodeString(*x.Key)
		if err != nil {
			return nil, odata.Unreadable("The key of a key credential is a certificate in base64.")
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, odata.Unreadable("The key of a key credential is a certificate in base64.")
		}
		jwk, err := jose.JSONWebKey{Key: cert.PublicKey, Certificates: []*x509.Certificate{cert}, Use: "sig"}.MarshalJSON()
		if err != nil {
			return nil, odata.Unreadable("A certificate must hold an RSA, ECDSA or Ed25519 key.")
		}
		end := cert.NotAfter
		if !x.End.IsZero() && x.End.Before(end) {
			end = x.End
		}
		out = append(out, directory.AppKey{JWK: string(jwk), Name: value(x.Name), GUID: strings.ToLower(x.ID), Expires: end})
	}
	return &out, nil
}

func keyType(jwk string) string {
	if strings.Contains(jwk, `"x5c"`) {
		return "AsymmetricX509Cert"
	}
	return "JsonWebKey"
}

// writeAPI makes the resource that is part of a registration what the body says.
func (p *application) writeAPI(c *call, m *manage.Service, k *catalog, app *directory.App, name string, act manage.Act) error {
	old := k.api(app.ID)
	if p.uris == nil && p.scopes == nil && p.roles == nil && (p.name == nil || old == nil) {
		return nil
	}
	id := directory.ResourceID(app.ID)
	if old != nil {
		id = old.ID
	}
	if p.uris != nil {
		switch len(*p.uris) {
		case 0:
			id = directory.ResourceID(app.ID)
		case 1:
			id = directory.ResourceID((*p.uris)[0])
		default:
			return odata.Unreadable("An application has one identifierUri here: it is the aud of its access tokens.")
		}
	}
	patch := manage.ResourcePatch{Name: &name}
	if p.scopes != nil {
		scopes := []directory.Scope{}
		for _, x := range *p.scopes {
			if x.Type != "User" && x.Type != "Admin" {
				return odata.Unreadable("The type of a permission scope is User or Admin.")
			}
			if _, err := directory.ParseID[directory.Scope](x.ID); err != nil {
				return odata.Unreadable("The id of a permission scope is a GUID.")
			}
			scopes = append(scopes, directory.Scope{ID: strings.ToLower(x.ID), Name: x.Value, Text: value(x.Text), Title: value(x.Title), AdminTitle: x.AdminTitle, AdminText: x.AdminText, AdminOnly: x.Type == "Admin", Disabled: x.Enabled != nil && !*x.Enabled})
		}
		patch.Scopes = &scopes
	}
	if p.roles != nil {
		roles := []string{}
		for _, x := range *p.roles {
			if slices.Contains(x.Kinds, "Application") {
				roles = append(roles, value(x.Value))
			}
		}
		patch.AppRoles = &roles
	}
	empty := (patch.Scopes == nil || len(*patch.Scopes) == 0) && (patch.AppRoles == nil || len(*patch.AppRoles) == 0)
	switch {
	case old == nil && empty && (p.uris == nil || len(*p.uris) == 0):
		return nil // it exposes nothing
	case old != nil && old.ID == id:
		return m.UpdateResource(c.Ctx(), c.Actor, id, patch, act)
	case old != nil:
		// Another name is another resource: possible while nobody names the old one.
		if err := m.DeleteResource(c.Ctx(), c.Actor, old.ID, act); err != nil {
			return err
		}
		if patch.Scopes == nil {
			patch.Scopes = &old.Scopes
		}
		if patch.AppRoles == nil {
			patch.AppRoles = &old.AppRoles
		}
		patch.TokenLife, patch.SigningAlg, patch.EncryptionKey = &old.TokenLife, &old.SigningAlg, &old.EncryptionKey
		patch.Guarded = &old.Guarded
	}
	patch.App = &app.ID
	_, err := m.CreateResource(c.Ctx(), c.Actor, id, patch, act)
	return err
}

func (s Server) postApplications(c *call) error {
	var p application
	f := p.form()
	f["owners@odata.bind"] = odata.List(&p.owners, "addresses of users")
	act, err := c.Order(f)
	if err != nil {
		return err
	}
	if p.name == nil {
		return odata.Unreadable("The property displayName is missing.")
	}
	owners, err := p.ownerIDs()
	if err != nil {
		return err
	}
	k, err := s.catalog(c)
	if err != nil && !fault.Is(err, fault.Denied) { // who may not look is refused below, by who may write
		return err
	}
	if k == nil {
		k = &catalog{}
	}
	n := manage.NewApp{Disabled: p.disabled != nil && *p.disabled}
	if n.AppPatch, err = p.patch(k, &directory.App{}); err != nil {
		return err
	}
	var made *directory.App
	_, err = s.Manage.Together(c.Ctx(), c.Actor, act, func(m *manage.Service) (err error) {
		if made, _, err = m.CreateApp(c.Ctx(), c.Actor, n, act); err != nil {
			return err
		}
		for _, id := range owners {
			if err := m.AddOwner(c.Ctx(), c.Actor, made.ID, id, act); err != nil {
				return err
			}
		}
		return p.writeAPI(c, m, k, made, made.Name, act)
	})
	if err != nil {
		return err
	}
	var out object
	if !act.DryRun {
		if k, err = s.catalog(c); err != nil {
			return err
		}
		c.W.Header().Set("Location", s.Root(c)+"/applications/"+made.Object.String())
		out = append(object{{"@odata.context", s.Context(c, "applications/$entity")}}, k.applicationObject(made)...)
	}
	return c.Done(act, nil, http.StatusCreated, out)
}

func (p *application) ownerIDs() (ids []directory.UserID, err error) {
	if p.owners == nil {
		return nil, nil
	}
	for _, x := range *p.owners {
		_, ref, err := api.Address(x)
		if err != nil {
			return nil, err
		}
		id, err := directory.ParseID[directory.User](ref)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func (s Server) patchApplication(c *call) error {
	var p application
	act, err := c.Order(p.form())
	if err != nil {
		return err
	}
	k, a, err := s.found(c, byApplication)
	if err != nil {
		return err
	}
	patch, err := p.patch(k, a)
	if err != nil {
		return err
	}
	all, err := s.Manage.Together(c.Ctx(), c.Actor, act, func(m *manage.Service) error {
		if _, err := m.UpdateApp(c.Ctx(), c.Actor, a.ID, patch, act); err != nil {
			return err
		}
		name := a.Name
		if p.name != nil {
			name = *p.name
		}
		if err := p.writeAPI(c, m, k, a, name, act); err != nil || p.disabled == nil {
			return err
		}
		_, err := m.SetAppEnabled(c.Ctx(), c.Actor, a.ID, !*p.disabled, act)
		return err
	})
	return c.Finish(act, receiptOf(all), err)
}
