package graph

import (
	"net/http"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/web/graph/api"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

func (s Server) groupRoutes() api.Routes {
	return api.Routes{
		"GET /groups":                                s.getGroups,
		"POST /groups":                               s.postGroups,
		"GET /groups/{group}":                        s.getGroup,
		"PATCH /groups/{group}":                      s.patchGroup,
		"DELETE /groups/{group}":                     s.deleteGroup,
		"GET /groups/{group}/members":                s.getGroupMembers,
		"POST /groups/{group}/members/$ref":          s.postGroupMember,
		"DELETE /groups/{group}/members/{user}/$ref": s.deleteGroupMember,
	}
}

func groupRow(g directory.Group) row {
	return row{ID: g.ID.String(),
		Value: api.Fields(map[directory.Field]directory.Value{directory.FieldID: directory.IDValue(g.ID), directory.FieldDisplayName: directory.Text(g.Name),
			odata.FieldDescription: directory.Text(g.Description), directory.FieldCreated: directory.Instant(g.Created), odata.FieldAssignable: directory.Bool(g.RoleAssignable)}),
		Item: func() object {
			return object{{"id", g.ID}, {"displayName", g.Name}, {"description", api.TextOrNull(g.Description)}, {"createdDateTime", api.Instant(g.Created)},
				{"isAssignableToRole", g.RoleAssignable}, {"securityEnabled", true}, {"mailEnabled", false}, {"mailNickname", nil}, {"groupTypes", []string{}}}
		}}
}

func (s Server) getGroups(c *call) error {
	all, err := s.Manage.Groups(c.Ctx(), c.Actor)
	return api.Answer(s.Server, c, &odata.Groups, "groups", all, groupRow, err)
}

func (s Server) getGroup(c *call) error {
	id, err := api.ID[directory.Group](c, "group")
	if err != nil {
		return err
	}
	v, err := s.Manage.Group(c.Ctx(), c.Actor, id.String())
	if err != nil {
		return err
	}
	return s.Entity(c, &odata.Groups, "groups", groupRow(v.Group))
}

func (s Server) postGroups(c *call) error {
	var name, description, nickname *string
	var assignable *bool
	act, err := c.Order(odata.Form{"displayName": odata.Text(&name), "description": odata.Text(&description), "isAssignableToRole": odata.Truth(&assignable),
		// Scripts must say these on Graph; here every group is such a one.
		"mailNickname": odata.Text(&nickname), "mailEnabled": odata.Only("false"), "securityEnabled": odata.Only("true"), "groupTypes": odata.Only("[]")})
	if err != nil {
		return err
	}
	n := manage.NewGroup{RoleAssignable: assignable != nil && *assignable}
	if name != nil {
		n.Name = *name
	}
	if description != nil {
		n.Description = *description
	}
	g, err := s.Manage.CreateGroup(c.Ctx(), c.Actor, n, act)
	if err != nil {
		return err
	}
	return c.Done(act, nil, http.StatusCreated, append(object{{"@odata.context", s.Context(c, "groups/$entity")}}, groupRow(*g).Item()...))
}

func (s Server) patchGroup(c *call) error {
	var p manage.GroupPatch
	act, err := c.Order(odata.Form{"displayName": odata.Text(&p.Name), "description": odata.Text(&p.Description)})
	if err != nil {
		return err
	}
	id, err := api.ID[directory.Group](c, "group")
	if err != nil {
		return err
	}
	return c.Finish(act, nil, s.Manage.UpdateGroup(c.Ctx(), c.Actor, id, p, act))
}

func (s Server) deleteGroup(c *call) error {
	id, err := api.ID[directory.Group](c, "group")
	if err != nil {
		return err
	}
	return c.Do(func(act manage.Act) (*manage.Receipt, error) { return s.Manage.DeleteGroup(c.Ctx(), c.Actor, id, act) })
}

func (s Server) getGroupMembers(c *call) error {
	q, err := c.Query(&odata.Users)
	if err != nil {
		return err
	}
	id, err := api.ID[directory.Group](c, "group")
	if err != nil {
		return err
	}
	v, err := s.Manage.Group(c.Ctx(), c.Actor, id.String())
	if err != nil {
		return err
	}
	rows := make([]row, len(v.Members))
	for i, u := range v.Members {
		rows[i] = api.Typed("user", api.UserRow(u, q.Select))
	}
	return s.List(c, &odata.Users, "directoryObjects", rows)
}

func (s Server) postGroupMember(c *call) error {
	act, err := c.Act()
	if err != nil {
		return err
	}
	set, ref, err := api.Reference(c)
	if err != nil {
		return err
	}
	if set == "groups" {
		return fault.New(fault.Invalid, "Groups have people as members, no groups.")
	}
	id, err := api.ID[directory.Group](c, "group")
	if err != nil {
		return err
	}
	user, err := directory.ParseID[directory.User](ref)
	if err != nil {
		return err
	}
	return c.Finish(act, nil, s.Manage.AddMember(c.Ctx(), c.Actor, id, user, act))
}

func (s Server) deleteGroupMember(c *call) error {
	id, err := api.ID[directory.Group](c, "group")
	if err != nil {
		return err
	}
	user, err := s.User(c)
	if err != nil {
		return err
	}
	return c.Do(func(act manage.Act) (*manage.Receipt, error) {
		return s.Manage.RemoveMember(c.Ctx(), c.Actor, id, user, act)
	})
}
