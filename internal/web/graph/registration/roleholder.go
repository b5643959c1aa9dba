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

// appRoleAssignments: people and groups who are let into an application, and
// applications that hold a role at another one's API.
func (s Server) roleHolderRoutes() api.Routes {
	all := api.Routes{}
	for path, f := range map[string]holders{
		"/servicePrincipals/{service}/appRoleAssignedTo":  s.heldAt,
		"/servicePrincipals/{service}/appRoleAssignments": s.heldBy,
		"/users/{user}/appRoleAssignments":                s.heldByUser,
		"/groups/{group}/appRoleAssignments":              s.heldByGroup,
	} {
		all["GET "+path] = s.getHolders(f)
		all["POST "+path] = s.postHolder
		all["GET "+path+"/{assignment}"] = s.getHolder(f)
		all["DELETE "+path+"/{assignment}"] = s.deleteHolder(f)
	}
	return all
}

// holder is one appRoleAssignment.
type holder struct {
	manage.AppAssignment // of a person or a group
	// of an application: which, at which resource
	client *directory.App
	at     directory.ResourceID
}

// holders lists those that an address shows.
type holders func(*call, *catalog) ([]holder, error)

// noRole is the appRoleId of plain access.
const noRole = "00000000-0000-0000-0000-000000000000"

func (h *holder) id() string {
	if h.client == nil {
		return h.ID.String()
	}
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Join([]string{string(h.client.ID), string(h.at), h.Role}, "\x00")))
}

func (k *catalog) holderRow(h holder) row {
	at, _ := k.serviceOf(h.App)
	whom, name, kind, role := h.User.String(), h.Name, "User", noRole
	switch {
	case h.client != nil:
		from, _ := k.serviceOf(h.client.ID)
		at, _ = k.serviceAt(h.at)
		whom, name, kind, role = from.id(), from.name(), "ServicePrincipal", k.roleID(at.resource, h.Role)
	case h.User.IsZero():
		whom, kind = h.Group.String(), "Group"
	}
	if h.client == nil && h.Role != "" && at.app != nil {
		role = guid("role", string(at.app.ID), h.Role)
		if i := slices.IndexFunc(at.app.Roles, func(x directory.AppRole) bool { return x.Name == h.Role }); i >= 0 {
			role = at.app.Roles[i].ID
		}
	}
	ids := func(id string) directory.Value { return directory.Value{Kind: directory.KindID, Text: id} }
	return row{ID: h.id(), Value: api.Fields(map[directory.Field]directory.Value{odata.FieldPrincipal: ids(whom), odata.FieldResource: ids(at.id()), odata.FieldRole: ids(role)}),
		Item: func() object {
			return object{{"id", h.id()}, {"deletedDateTime", nil}, {"appRoleId", role}, {"createdDateTime", api.Instant(h.Created)}, {"principalDisplayName", name}, {"principalId", whom},
				{"principalType", kind}, {"resourceDisplayName", at.name()}, {"resourceId", at.id()}}
		}}
}

// permissionsOf are the roles that an application holds as itself.
func (k *catalog) permissionsOf(a *directory.App) (all []holder) {
	for _, p := range a.AppPermissions {
		if k.resource(p.Resource) == nil {
			continue
		}
		for _, name := range p.Scopes {
			all = append(all, holder{AppAssignment: manage.AppAssignment{Role: name}, client: a, at: p.Resource})
		}
	}
	return all
}

func people(rows []manage.AppAssignment) (all []holder) {
	for _, x := range rows {
		all = append(all, holder{AppAssignment: x})
	}
	return all
}

// heldAt is who holds something at a service principal.
func (s Server) heldAt(c *call, k *catalog) (all []holder, err error) {
	v, err := k.service(c.R.PathValue("service"))
	if err != nil {
		return nil, err
	}
	if v.app != nil {
		rows, err := s.Manage.AppAssignments(c.Ctx(), c.Actor, v.app.ID)
		if err != nil {
			return nil, err
		}
		all = people(rows)
	}
	for _, a := range k.apps {
		for _, h := range k.permissionsOf(a) {
			if v.resource != nil && h.at == v.resource.ID {
				all = append(all, h)
			}
		}
	}
	return all, nil
}

// heldBy is what a service principal holds.
func (s Server) heldBy(c *call, k *catalog) ([]holder, error) {
	v, err := k.service(c.R.PathValue("service"))
	if err != nil || v.app == nil {
		return nil, err
	}
	return k.permissionsOf(v.app), nil
}

func (s Server) heldByUser(c *call, k *catalog) ([]holder, error) {
	user, err := s.User(c)
	if err != nil {
		return nil, err
	}
	rows, err := s.Manage.AppAssignmentsOf(c.Ctx(), c.Actor, user)
	return people(rows), err
}

func (s Server) heldByGroup(c *call, k *catalog) (all []holder, err error) {
	group, err := api.ID[directory.Group](c, "group")
	if err != nil {
		return nil, err
	}
	for _, a := range k.apps {
		rows, err := s.Manage.AppAssignments(c.Ctx(), c.Actor, a.ID)
		if err != nil {
			return nil, err
		}
		all = append(all, people(slices.DeleteFunc(rows, func(x manage.AppAssignment) bool { return x.Group != group }))...)
	}
	return all, nil
}

func (s Server) holders(c *call, f holders) (*catalog, []holder, error) {
	k, err := s.catalog(c)
	if err != nil {
		return nil, nil, err
	}
	all, err := f(c, k)
	return k, all, err
}

func (s Server) getHolders(f holders) func(*call) error {
	return func(c *call) error {
		k, all, err := s.holders(c, f)
		if err != nil {
			return err
		}
		return api.Answer(s.Server, c, &odata.RoleHolders, "appRoleAssignments", all, k.holderRow, nil)
	}
}

// held is the one that the path names.
func (s Server) held(c *call, f holders) (*catalog, holder, error) {
	k, all, err := s.holders(c, f)
	if err != nil {
		return nil, holder{}, err
	}
	i := slices.IndexFunc(all, func(h holder) bool { return h.id() == c.R.PathValue("assignment") })
	if i < 0 {
		return nil, holder{}, fault.New(fault.NotFound, "There is no such assignment.")
	}
	return k, all[i], nil
}

func (s Server) getHolder(f holders) func(*call) error {
	return func(c *call) error {
		k, h, err := s.held(c, f)
		if err != nil {
			return err
		}
		return s.Entity(c, &odata.RoleHolders, "appRoleAssignments", k.holderRow(h))
	}
}

// postHolder takes whom, what and where from the body, as Graph does; the address
// must not say otherwise.
func (s Server) postHolder(c *call) error {
	var whom, at, role *string
	act, err := c.Order(odata.Form{"principalId": odata.Text(&whom), "resourceId": odata.Text(&at), "appRoleId": odata.Text(&role)})
	if err != nil {
		return err
	}
	if whom == nil || at == nil || role == nil {
		return odata.Unreadable("The properties principalId, resourceId and appRoleId are needed.")
	}
	k, err := s.catalog(c)
	if err != nil {
		return err
	}
	if err := s.fits(c, k, *whom, *at); err != nil {
		return err
	}
	to, err := k.service(*at)
	if err != nil {
		return err
	}
	var h *holder
	if from, ferr := k.service(*whom); ferr == nil {
		h, err = s.grantRole(c, k, from, to, *role, act)
	} else {
		h, err = s.assignRole(c, to, *whom, *role, act)
	}
	if err != nil {
		return err
	}
	return c.Done(act, nil, http.StatusCreated, append(object{{"@odata.context", s.Context(c, "appRoleAssignments/$entity")}}, k.holderRow(*h).Item()...))
}

// fits compares the address with what the body says.
func (s Server) fits(c *call, k *catalog, whom, at string) error {
	named := whom
	ref := c.R.PathValue("group")
	switch {
	case c.R.PathValue("user") != "":
		user, err := s.User(c)
		if err != nil {
			return err
		}
		ref = user.String()
	case c.R.PathValue("service") != "":
		v, err := k.service(c.R.PathValue("service"))
		if err != nil {
			return err
		}
		if ref = v.id(); strings.HasSuffix(c.R.URL.Path, "/appRoleAssignedTo") {
			named = at
		}
	}
	if !strings.EqualFold(ref, named) {
		return odata.Unreadable("The address is about somebody or something else than the body.")
	}
	return nil
}

// grantRole lets an application hold a role at a resource.
func (s Server) grantRole(c *call, k *catalog, from, to service, role string, act manage.Act) (*holder, error) {
	if from.app == nil || to.resource == nil {
		return nil, odata.Unreadable("An application holds a role at a resource: principalId names the application's service principal, resourceId the resource's.")
	}
	name, ok := k.roleNamed(to.resource, role)
	if !ok {
		return nil, fault.New(fault.NotFound, "The resource "+fault.Quote(to.name())+" has no application role "+fault.Quote(role)+".")
	}
	err := s.Manage.GrantAppPermission(c.Ctx(), c.Actor, from.app.ID, to.resource.ID, name, act)
	return &holder{AppAssignment: manage.AppAssignment{Role: name, Created: s.Time()}, client: from.app, at: to.resource.ID}, err
}

// assignRole lets a user, or else a group, into an application.
func (s Server) assignRole(c *call, to service, whom, role string, act manage.Act) (*holder, error) {
	if to.app == nil {
		return nil, odata.Unreadable("People are assigned to applications. This resource stands alone.")
	}
	n := manage.NewAppAssignment{}
	if role != noRole {
		i := slices.IndexFunc(to.app.Roles, func(x directory.AppRole) bool { return x.Users && !x.Disabled && strings.EqualFold(x.ID, role) })
		if i < 0 {
			return nil, fault.New(fault.NotFound, "The application "+fault.Quote(to.name())+" has no role "+fault.Quote(role)+" for people.")
		}
		n.Role = to.app.Roles[i].Name
	}
	var err error
	if n.User, err = directory.ParseID[directory.User](whom); err != nil {
		return nil, odata.Unreadable("The property principalId must be an object id.")
	}
	x, err := s.Manage.AssignApp(c.Ctx(), c.Actor, to.app.ID, n, act)
	if fault.Is(err, fault.NotFound) {
		n.User, n.Group = directory.UserID{}, directory.GroupID(n.User)
		x, err = s.Manage.AssignApp(c.Ctx(), c.Actor, to.app.ID, n, act)
	}
	if err != nil {
		return nil, err
	}
	return &holder{AppAssignment: *x}, nil
}

func (s Server) deleteHolder(f holders) func(*call) error {
	return func(c *call) error {
		_, h, err := s.held(c, f)
		if err != nil {
			return err
		}
		return c.Do(func(act manage.Act) (*manage.Receipt, error) {
			if h.client != nil {
				return s.Manage.RemoveAppPermission(c.Ctx(), c.Actor, h.client.ID, h.at, h.Role, act)
			}
			return s.Manage.UnassignApp(c.Ctx(), c.Actor, h.App, h.ID, act)
		})
	}
}
