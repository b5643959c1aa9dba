package graph

import (
	"net/http"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/web/graph/api"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

func (s Server) roleRoutes() api.Routes {
	return api.Routes{
		"GET /directoryRoles":                                           s.getRoles,
		"POST /directoryRoles":                                          s.postRoles,
		"GET /directoryRoles/{role}":                                    s.getRole,
		"GET /directoryRoles/{role}/members":                            s.getRoleMembers,
		"POST /directoryRoles/{role}/members/$ref":                      s.postRoleMember,
		"DELETE /directoryRoles/{role}/members/{principal}/$ref":        s.deleteRoleMember,
		"GET /roleManagement/directory/roleDefinitions":                 s.getDefinitions,
		"GET /roleManagement/directory/roleDefinitions/{role}":          s.getDefinition,
		"GET /roleManagement/directory/roleAssignments":                 s.getAssignments,
		"POST /roleManagement/directory/roleAssignments":                s.postAssignments,
		"GET /roleManagement/directory/roleAssignments/{assignment}":    s.getAssignment,
		"DELETE /roleManagement/directory/roleAssignments/{assignment}": s.deleteAssignment,
	}
}

func roleValue(r role.Role) func(directory.Field) directory.Value {
	return api.Fields(map[directory.Field]directory.Value{directory.FieldID: {Kind: directory.KindID, Text: string(r.ID)}, directory.FieldDisplayName: directory.Text(r.Name),
		odata.FieldDescription: directory.Text(r.Description), odata.FieldPrivileged: directory.Bool(r.Privileged)})
}

func roleRow(id directory.RoleID) row {
	r, ok := role.Find(id)
	if !ok {
		r = role.Role{ID: id, Name: string(id)}
	}
	return row{ID: string(r.ID), Value: roleValue(r), Item: func() object {
		return object{{"id", r.ID}, {"displayName", r.Name}, {"description", r.Description}, {"roleTemplateId", r.ID}}
	}}
}

func definitionRow(r role.Role) row {
	return row{ID: string(r.ID), Value: roleValue(r), Item: func() object {
		return object{{"id", r.ID}, {"templateId", r.ID}, {"displayName", r.Name}, {"description", r.Description}, {"isBuiltIn", true}, {"isEnabled", true},
			{"isPrivileged", r.Privileged}, {"resourceScopes", []string{"/"}}}
	}}
}

// principal is whom an assignment names.
func principal(a *directory.RoleAssignment) string {
	if a.User.IsZero() {
		return a.Group.String()
	}
	return a.User.String()
}

func assignmentRow(a *directory.RoleAssignment) row {
	return row{ID: a.ID.String(),
		Value: api.Fields(map[directory.Field]directory.Value{directory.FieldID: directory.IDValue(a.ID), odata.FieldPrincipal: {Kind: directory.KindID, Text: principal(a)},
			odata.FieldRole: {Kind: directory.KindID, Text: string(a.Role)}}),
		Item: func() object {
			return object{{"id", a.ID}, {"principalId", principal(a)}, {"roleDefinitionId", a.Role}, {"directoryScopeId", "/"}, {"appScopeId", nil}, {"condition", nil}}
		}}
}

func (s Server) getRoles(c *call) error {
	all, err := s.Manage.Definitions(c.Ctx(), c.Actor)
	return api.Answer(s.Server, c, &odata.Roles, "directoryRoles", all, func(r role.Role) row { return roleRow(r.ID) }, err)
}

func (s Server) getDefinitions(c *call) error {
	all, err := s.Manage.Definitions(c.Ctx(), c.Actor)
	return api.Answer(s.Server, c, &odata.Definitions, "roleManagement/directory/roleDefinitions", all, definitionRow, err)
}

// role finds a role among those the caller may see.
func (s Server) role(c *call, id string) (role.Role, error) {
	all, err := s.Manage.Definitions(c.Ctx(), c.Actor)
	if err != nil {
		return role.Role{}, err
	}
	for _, r := range all {
		if strings.EqualFold(string(r.ID), id) {
			return r, nil
		}
	}
	return role.Role{}, fault.New(fault.NotFound, "There is no such role.")
}

func (s Server) getRole(c *call) error {
	r, err := s.role(c, c.R.PathValue("role"))
	if err != nil {
		return err
	}
	return s.Entity(c, &odata.Roles, "directoryRoles", roleRow(r.ID))
}

func (s Server) getDefinition(c *call) error {
	r, err := s.role(c, c.R.PathValue("role"))
	if err != nil {
		return err
	}
	return s.Entity(c, &odata.Definitions, "roleManagement/directory/roleDefinitions", definitionRow(r))
}

// postRoles "activates" a role, which changes nothing here: scripts do it before
// they add a member.
func (s Server) postRoles(c *call) error {
	var template *string
	if err := c.Body(odata.Form{"roleTemplateId": odata.Text(&template)}); err != nil {
		return err
	}
	if template == nil {
		return odata.Unreadable("The property roleTemplateId is missing.")
	}
	r, err := s.role(c, *template)
	if err != nil {
		return err
	}
	c.Write(http.StatusCreated, append(object{{"@odata.context", s.Context(c, "directoryRoles/$entity")}}, roleRow(r.ID).Item()...))
	return nil
}

// getRoleMembers lists who holds a role directly. Whoever may read assignments
// but not people gets ids and user names.
func (s Server) getRoleMembers(c *call) error {
	q, err := c.Query(&odata.Users)
	if err != nil {
		return err
	}
	r, err := s.role(c, c.R.PathValue("role"))
	if err != nil {
		return err
	}
	all, err := s.Manage.Assignments(c.Ctx(), c.Actor, manage.AssignmentQuery{Role: r.ID})
	if err != nil {
		return err
	}
	var rows []row
	for _, a := range all {
		if a.User.IsZero() {
			rows = append(rows, api.Typed("group", groupRow(directory.Group{ID: a.Group, Name: a.Holder, RoleAssignable: true})))
			continue
		}
		u := &directory.User{ID: a.User, Name: a.Holder}
		if v, err := s.Manage.User(c.Ctx(), c.Actor, a.User.String()); err == nil {
			u = v.User
		} else if !fault.Is(err, fault.Denied) && !fault.Is(err, fault.NotFound) {
			return err
		}
		rows = append(rows, api.Typed("user", api.UserRow(u, q.Select)))
	}
	return s.List(c, &odata.Users, "directoryObjects", rows)
}

func (s Server) postRoleMember(c *call) error {
	act, err := c.Act()
	if err != nil {
		return err
	}
	set, ref, err := api.Reference(c)
	if err != nil {
		return err
	}
	if _, err := s.assign(c, directory.RoleID(c.R.PathValue("role")), set, ref, act); err != nil {
		return err
	}
	return c.Done(act, nil, 0, nil)
}

// assign gives a role to whatever the id names: a user, or else a group.
func (s Server) assign(c *call, id directory.RoleID, set, ref string, act manage.Act) (a *directory.RoleAssignment, err error) {
	n := manage.NewAssignment{Role: directory.RoleID(strings.ToLower(string(id)))}
	if set != "groups" {
		if n.User, err = directory.ParseID[directory.User](ref); err != nil {
			return nil, err
		}
		a, err = s.Manage.Assign(c.Ctx(), c.Actor, n, act)
		if set == "users" || !fault.Is(err, fault.NotFound) {
			return a, err
		}
	}
	user := err
	n.User = directory.UserID{}
	if n.Group, err = directory.ParseID[directory.Group](ref); err != nil {
		return nil, err
	}
	a, err = s.Manage.Assign(c.Ctx(), c.Actor, n, act)
	if user != nil && fault.Is(err, fault.NotFound) {
		err = user
	}
	return a, err
}

func (s Server) deleteRoleMember(c *call) error {
	act, err := c.Act()
	if err != nil {
		return err
	}
	all, err := s.Manage.Assignments(c.Ctx(), c.Actor, manage.AssignmentQuery{Role: directory.RoleID(strings.ToLower(c.R.PathValue("role")))})
	if err != nil {
		return err
	}
	for _, a := range all {
		if strings.EqualFold(principal(&a.RoleAssignment), c.R.PathValue("principal")) {
			return s.unassign(c, a.ID, act)
		}
	}
	return fault.New(fault.NotFound, "There is no such member of this role.")
}

func (s Server) unassign(c *call, id directory.AssignmentID, act manage.Act) error {
	r, err := s.Manage.Unassign(c.Ctx(), c.Actor, id, act)
	return c.Finish(act, r, err)
}

func (s Server) getAssignments(c *call) error {
	all, err := s.Manage.Assignments(c.Ctx(), c.Actor, manage.AssignmentQuery{})
	return api.Answer(s.Server, c, &odata.Assignments, "roleManagement/directory/roleAssignments", all, func(a manage.Assignment) row { return assignmentRow(&a.RoleAssignment) }, err)
}

func (s Server) getAssignment(c *call) error {
	id, err := api.ID[directory.RoleAssignment](c, "assignment")
	if err != nil {
		return err
	}
	a, err := s.Manage.Assignment(c.Ctx(), c.Actor, id)
	if err != nil {
		return err
	}
	return s.Entity(c, &odata.Assignments, "roleManagement/directory/roleAssignments", assignmentRow(&a.RoleAssignment))
}

func (s Server) postAssignments(c *call) error {
	var who, what *string
	act, err := c.Order(odata.Form{"principalId": odata.Text(&who), "roleDefinitionId": odata.Text(&what), "directoryScopeId": odata.Only(`"/"`), "appScopeId": odata.Only("null"), "condition": odata.Only("null")})
	if err != nil {
		return err
	}
	if who == nil || what == nil {
		return odata.Unreadable("The properties principalId and roleDefinitionId are needed.")
	}
	if _, err := directory.ParseID[directory.User](*who); err != nil {
		return odata.Unreadable("The property principalId must be an object id.")
	}
	a, err := s.assign(c, directory.RoleID(*what), "directoryObjects", *who, act)
	if err != nil {
		return err
	}
	return c.Done(act, nil, http.StatusCreated, append(object{{"@odata.context", s.Context(c, "roleManagement/directory/roleAssignments/$entity")}}, assignmentRow(a).Item()...))
}

func (s Server) deleteAssignment(c *call) error {
	act, err := c.Act()
	if err != nil {
		return err
	}
	id, err := api.ID[directory.RoleAssignment](c, "assignment")
	if err != nil {
		return err
	}
	return s.unassign(c, id, act)
}
