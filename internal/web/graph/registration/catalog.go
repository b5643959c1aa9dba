package registration

import (
	"cmp"
	"crypto/sha256"
	"slices"
	"strconv"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/web/graph/api"
)

// catalog is all applications and resources that the caller may see. Graph's nouns
// are made of it: an application is one of ours with the resource that is part of
// its registration; a service principal is an application's identity, or a
// resource that stands alone.
type catalog struct {
	apps      []*directory.App
	resources []*directory.Resource // our own API first
}

func (s Server) catalog(c *call) (*catalog, error) {
	apps, err := s.Manage.Apps(c.Ctx(), c.Actor)
	if err != nil {
		return nil, err
	}
	resources, err := s.Manage.Resources(c.Ctx(), c.Actor)
	if err != nil && !fault.Is(err, fault.Denied) { // an owner may see an application and no resource
		return nil, err
	}
	return &catalog{apps: apps, resources: append([]*directory.Resource{directory.OwnResource()}, resources...)}, nil
}

var errNoApplication = fault.New(fault.NotFound, "There is no such application.")

// application finds one by the segment of an address: its object id, or its
// client_id.
func (k *catalog) application(ref string) (*directory.App, error) {
	client, byClient := strings.CutPrefix(ref, api.ByClientID)
	for _, a := range k.apps {
		if byClient && string(a.ID) == client || !byClient && strings.EqualFold(a.Object.String(), ref) {
			return a, nil
		}
	}
	return nil, errNoApplication
}

func (k *catalog) app(id directory.AppID) *directory.App {
	for _, a := range k.apps {
		if a.ID == id {
			return a
		}
	}
	return nil
}

// api is the resource that is part of an application's registration, or nil.
func (k *catalog) api(app directory.AppID) *directory.Resource {
	for _, r := range k.resources {
		if r.App == app && app != "" {
			return r
		}
	}
	return nil
}

func (k *catalog) resource(id directory.ResourceID) *directory.Resource {
	for _, r := range k.resources {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// service is a service principal: an application with an identity and the resource
// that is part of it, or a resource that stands alone. One of both may be nil.
type service struct {
	app      *directory.App
	resource *directory.Resource
}

// graphClient is Microsoft Graph's client_id: our own API under the name that tools
// know it by.
const graphClient = "00000003-0000-0000-c000-000000000000"

func (v service) id() string {
	switch {
	case v.app != nil && v.app.Principal.IsZero(): // not listed, but assignments may name it
		return guid("servicePrincipal", v.app.Object.String())
	case v.app != nil:
		return v.app.Principal.String()
	}
	return guid("servicePrincipal", born(v.resource))
}

func (v service) client() string {
	switch {
	case v.app != nil:
		return string(v.app.ID)
	case v.resource.ID == directory.OwnAPI:
		return graphClient
	}
	if _, err := directory.ParseID[directory.Resource](string(v.resource.ID)); err == nil {
		return string(v.resource.ID)
	}
	return guid("appId", born(v.resource))
}

func (v service) name() string {
	if v.app != nil {
		return v.app.Name
	}
	return v.resource.Name
}

func (k *catalog) services() (all []service) {
	for _, r := range k.resources {
		if k.app(r.App) == nil {
			all = append(all, service{resource: r})
		}
	}
	for _, a := range k.apps {
		if !a.Principal.IsZero() {
			all = append(all, service{a, k.api(a.ID)})
		}
	}
	return all
}

var errNoService = fault.New(fault.NotFound, "There is no such service principal.")

// service finds one by the segment of an address.
func (k *catalog) service(ref string) (service, error) {
	client, byClient := strings.CutPrefix(ref, api.ByClientID)
	for _, v := range k.services() {
		if byClient && v.client() == client || !byClient && strings.EqualFold(v.id(), ref) {
			return v, nil
		}
	}
	return service{}, errNoService
}

// serviceOf is what stands for an application where one is named.
func (k *catalog) serviceOf(id directory.AppID) (service, bool) {
	a := k.app(id)
	return service{a, k.api(id)}, a != nil
}

// serviceAt is the service principal that stands for a resource.
func (k *catalog) serviceAt(id directory.ResourceID) (service, bool) {
	r := k.resource(id)
	if r == nil {
		return service{}, false
	}
	if v, ok := k.serviceOf(r.App); ok {
		return v, true
	}
	return service{resource: r}, true
}

// byClient finds the resource that stands behind a resourceAppId.
func (k *catalog) byClient(client string) *directory.Resource {
	for _, r := range k.resources {
		if a := k.app(r.App); a != nil && string(a.ID) == client || a == nil && (service{resource: r}).client() == client {
			return r
		}
	}
	return nil
}

// guid makes an id that is always the same for the same parts.
func guid(parts ...string) string {
	sum := sha256.Sum256([]byte("curfew graph\x00" + strings.Join(parts, "\x00")))
	var id directory.ID[catalog]
	copy(id[:], sum[:])
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // RFC 9562 §5.8: made by a rule of ours
	return id.String()
}

// born names a resource, and not the next one of that identifier.
func born(r *directory.Resource) string {
	return string(r.ID) + " " + strconv.FormatInt(r.Created.UnixMicro(), 10)
}

// guidOf is an id that is a GUID, whatever it was.
func guidOf(id string) string {
	if x, err := directory.ParseID[catalog](id); err == nil {
		return x.String()
	}
	return guid("id", id)
}

// known are the GUIDs that Microsoft Graph's permissions have: scopes, and roles of
// applications. Scripts know them by heart.
var knownScopes = map[string]string{
	"openid": "37f7f235-527c-4136-accd-4a02d197296e", "profile": "14dad69e-099b-42c9-810b-d002981feec1", "email": "64a6cdd6-aab1-4aaf-94b8-3cc8405e90d0",
	offline:     "7427e0e9-2fba-42fe-b0c0-848c9e6a8182",
	"User.Read": "e1fe6dd8-ba31-4d61-89e7-88639da4683d", "User.ReadWrite": "b4e74841-8e56-480b-be8b-910348b18b4c", "User.ReadBasic.All": "b340eb25-3456-403f-be2f-af7a0d370277",
	"User.Read.All": "a154be20-db9c-4678-8ab7-66f6cc099a59", "User.ReadWrite.All": "204e0828-b5ca-4ad8-b9f3-f32a958e7cc4",
	"Directory.Read.All": "06da0dbc-49e2-44d2-8312-53f166ab848a", "Directory.ReadWrite.All": "c5366453-9fb0-48a5-a156-24f0c49a4b84", "Directory.AccessAsUser.All": "0e263e50-5827-48a4-b97c-d940288653c7",
	"Group.Read.All": "5f8c59db-677d-491f-a6b8-5f174b11ec1d", "Group.ReadWrite.All": "4e46008b-f24c-477d-8fff-7bb4ec7aafe0",
	"RoleManagement.Read.Directory": "741c54c3-0c1e-44a1-818b-3f97ab4e8c83", "RoleManagement.ReadWrite.Directory": "d01b97e9-cbc0-49fe-810a-750afd5527a3",
	"Application.Read.All": "c79f8feb-a9db-4090-85f9-90d820caa0eb", "Application.ReadWrite.All": "bdfbf15f-ee85-4955-8675-146e8e5296b5", "AuditLog.Read.All": "e4c9e354-4dc5-45b8-9e7c-e1393b0b1a20",
	"UserAuthenticationMethod.Read": "1f6b61c5-2f65-4135-9c9f-31c0f8d32b52", "UserAuthenticationMethod.Read.All": "aec28ec7-4d02-4e8c-b864-50163aea77eb", "UserAuthenticationMethod.ReadWrite.All": "b7887744-6746-4312-813d-72daeaee7e2d",
	"Policy.Read.All": "572fea84-0151-49b2-9301-11cb16974376", "Policy.ReadWrite.ConditionalAccess": "ad902697-1014-4ef5-81ef-2b4301988e8c",
	"IdentityRiskyUser.Read.All": "d04bb851-cb7c-4146-97c7-ca3e71baf56c", "IdentityRiskyUser.ReadWrite.All": "e0a7cdbb-08b0-4697-8264-0069786e9674", "IdentityRiskEvent.Read.All": "8f6a01e7-0391-4ee5-aa22-a3af122cef27",
}

var knownRoles = map[string]string{
	"User.Read.All": "df021288-bdef-4463-88db-98f22de89214", "User.ReadWrite.All": "741f803b-c850-494e-b5df-cde7c675a1ca",
	"Directory.Read.All": "7ab1d382-f21e-4acd-a863-ba3e13f7da61", "Directory.ReadWrite.All": "19dbc75e-c2e2-444c-a770-ec69d8559fc7",
	"Group.Read.All": "5b567255-7703-4780-807c-7be8301ae99b", "Group.ReadWrite.All": "62a82d76-70ea-41e2-9197-370581804d09",
	"RoleManagement.Read.Directory": "483bed4a-2ad3-4361-a73b-c83ccdbdc53c", "RoleManagement.ReadWrite.Directory": "9e3f62cf-ca93-4989-b6ce-bf83c28f9fe8",
	"Application.Read.All": "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30", "Application.ReadWrite.All": "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9", "AuditLog.Read.All": "b0afded3-3588-46d8-8b3d-9842eff778da",
	"UserAuthenticationMethod.Read.All": "38d9df27-64da-44fd-b7c5-a6fbac20248f", "UserAuthenticationMethod.ReadWrite.All": "50483e42-d915-4231-9639-7fdb7fd190e5",
	"Policy.Read.All": "246dd0d5-5bd0-4def-940b-0421030a5b68", "Policy.ReadWrite.ConditionalAccess": "01c0a623-fc9b-48e9-b794-0756f8e8f067",
	"IdentityRiskyUser.Read.All": "dc5007c0-2d7d-4c42-879c-2dab87571379", "IdentityRiskyUser.ReadWrite.All": "656f6061-f9fe-4807-9708-6a2e0934df76", "IdentityRiskEvent.Read.All": "6e472fd1-ad78-48da-a0f0-97ab2c6b769e",
}

// offline is a scope that every application may ask for and that no registration
// or consent needs to name.
const offline = "offline_access"

func scopeID(r *directory.Resource, x directory.Scope) string {
	if r.ID == directory.OwnAPI && knownScopes[x.Name] != "" {
		return knownScopes[x.Name]
	}
	return cmp.Or(x.ID, guid("scope", born(r), x.Name))
}

// roleID is the id of an application role of a resource. Those that are part of a
// registration have what is written there.
func (k *catalog) roleID(r *directory.Resource, name string) string {
	if r.ID == directory.OwnAPI && knownRoles[name] != "" {
		return knownRoles[name]
	}
	if a := k.app(r.App); a != nil {
		for _, x := range a.Roles {
			if x.Name == name {
				return x.ID
			}
		}
	}
	return guid("role", born(r), name)
}

// scopeNamed and roleNamed find a permission by its GUID.
func scopeNamed(r *directory.Resource, id string) (string, bool) {
	if r.ID == directory.OwnAPI && strings.EqualFold(id, knownScopes[offline]) {
		return offline, true
	}
	i := slices.IndexFunc(r.Scopes, func(x directory.Scope) bool { return strings.EqualFold(scopeID(r, x), id) })
	if i < 0 {
		return "", false
	}
	return r.Scopes[i].Name, true
}

func (k *catalog) roleNamed(r *directory.Resource, id string) (string, bool) {
	i := slices.IndexFunc(r.AppRoles, func(x string) bool { return strings.EqualFold(k.roleID(r, x), id) })
	if i < 0 {
		return "", false
	}
	return r.AppRoles[i], true
}
