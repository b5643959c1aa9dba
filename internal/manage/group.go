package manage

import (
	"context"
	"errors"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

// GroupView is a group with its members and the roles it gives them.
type GroupView struct {
	Group   directory.Group
	Members []*directory.User // existing ones; without password hashes
	Roles   []directory.RoleAssignment
}

// NewGroup is a group to be created. Whether it can hold roles is decided here,
// once.
type NewGroup struct {
	Name, Description string
	RoleAssignable    bool
}

// GroupPatch changes a group; nil leaves alone.
type GroupPatch struct{ Name, Description *string }

const noSuchGroup = "There is no such group."

func groupParty(g directory.Group) audit.Party {
	return audit.Party{Kind: "group", ID: g.ID.String(), Name: g.Name}
}

// Groups lists all groups by name. Kinds: Denied, Unavailable.
func (s *Service) Groups(ctx context.Context, actor directory.Actor) (all []directory.Group, err error) {
	err = s.read(ctx, actor, func(c *step) error {
		if err := role.Allowed(c.actor, role.ReadGroups, role.Target{}).Err(""); err != nil {
			return err
		}
		all, err = c.Tx.Groups()
		return err
	})
	return all, err
}

// Group returns a group by object id or name. Kinds: Denied, NotFound, Unavailable.
func (s *Service) Group(ctx context.Context, actor directory.Actor, ref string) (view *GroupView, err error) {
	err = s.read(ctx, actor, func(c *step) error {
		if err := role.Allowed(c.actor, role.ReadGroups, role.Target{}).Err(""); err != nil {
			return err
		}
		g, err := c.groupByRef(ref)
		if err != nil {
			return missing(err, noSuchGroup)
		}
		view = &GroupView{Group: g}
		ids, err := c.Members(g.ID)
		if err != nil {
			return err
		}
		for _, id := range ids {
			u, err := c.Tx.User(id)
			if err != nil {
				return err
			}
			if u.Deleted.IsZero() {
				u.Password.Hash = ""
				view.Members = append(view.Members, u)
			}
		}
		all, err := c.Tx.Assignments()
		for _, a := range all {
			if a.Group == g.ID {
				view.Roles = append(view.Roles, a)
			}
		}
		return err
	})
	return view, err
}

func (c *step) groupByRef(ref string) (directory.Group, error) {
	if id, err := directory.ParseID[directory.Group](ref); err == nil {
		return c.Tx.Group(id)
	}
	all, err := c.Tx.Groups()
	for _, g := range all {
		if directory.FoldName(g.Name) == directory.FoldName(ref) {
			return g, nil
		}
	}
	if err == nil {
		err = store.ErrNotFound
	}
	return directory.Group{}, err
}

// mayGroup asks for the action on groups that can hold roles, or the one on
// those that cannot.
func (c *step) mayGroup(activity string, g directory.Group, ordinary, assignable role.Action) error {
	if g.RoleAssignable {
		ordinary = assignable
	}
	return c.allow(activity, groupParty(g), g.Name, ordinary, role.Target{})
}

// group reads a group and judges. For an id that names none the refusal comes first.
func (c *step) group(id directory.GroupID, activity string, ordinary, assignable role.Action) (directory.Group, error) {
	g, err := c.Tx.Group(id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return g, err
	}
	g.ID = id
	if err := c.mayGroup(activity, g, ordinary, assignable); err != nil {
		return g, err
	}
	return g, missing(err, noSuchGroup)
}

// CreateGroup creates a group. Kinds: Denied, Invalid, Conflict, Unavailable.
func (s *Service) CreateGroup(ctx context.Context, actor directory.Actor, n NewGroup, act Act) (g *directory.Group, err error) {
	_, err = s.write(ctx, actor, act, false, func(c *step) error {
		g, err = c.createGroup(n)
		return err
	})
	if err != nil {
		return nil, err
	}
	return g, nil
}

func (c *step) createGroup(n NewGroup) (*directory.Group, error) {
	g := directory.Group{ID: directory.NewID[directory.Group](c.Now), Name: n.Name, Description: n.Description, RoleAssignable: n.RoleAssignable, Created: c.Now}
	if err := c.mayGroup("Add group", g, role.CreateGroup, role.CreateRoleGroup); err != nil {
		return nil, err
	}
	if err := checkGroup(g); err != nil {
		return nil, err
	}
	if err := taken(c.Tx.CreateGroup(g), "There is a group named "+fault.Quote(g.Name)+" already."); err != nil {
		return nil, err
	}
	what := "Creates the group " + g.Name + "."
	if g.RoleAssignable {
		what = "Creates the group " + g.Name + ", which can hold roles."
	}
	c.did("Add group", groupParty(g), what)
	return &g, nil
}

func checkGroup(g directory.Group) error {
	if err := directory.CheckRequired("The name of the group", g.Name, 256); err != nil {
		return err
	}
	return directory.CheckText("The description", g.Description, 1024)
}

// UpdateGroup changes name and description. Kinds: Denied, Invalid, NotFound,
// Conflict, Unavailable.
func (s *Service) UpdateGroup(ctx context.Context, actor directory.Actor, id directory.GroupID, p GroupPatch, act Act) error {
	_, err := s.write(ctx, actor, act, false, func(c *step) error {
		g, err := c.group(id, "Update group", role.UpdateGroup, role.UpdateRoleGroup)
		if err != nil {
			return err
		}
		return c.changeGroup(g, p)
	})
	return err
}

func (c *step) changeGroup(g directory.Group, p GroupPatch) error {
	old := g
	var changes []audit.Change
	if p.Name != nil && *p.Name != g.Name {
		g.Name = *p.Name
		changes = append(changes, audit.Change{Property: "displayName", Old: old.Name, New: g.Name})
	}
	if p.Description != nil && *p.Description != g.Description {
		g.Description = *p.Description
		changes = append(changes, audit.Change{Property: "description", Old: old.Description, New: g.Description})
	}
	if len(changes) == 0 {
		return nil
	}
	if err := checkGroup(g); err != nil {
		return err
	}
	if err := c.ChangeGroup(g); err != nil {
		return missing(taken(err, "There is a group named "+fault.Quote(g.Name)+" already."), noSuchGroup)
	}
	c.did("Update group", groupParty(g), "Changes the group "+old.Name+".", changes...)
	return nil
}

// DeleteGroup deletes a group. Members who lose a role by it lose their grants
// and access tokens; the receipt says so. Kinds: Denied, NotFound, Conflict (the
// last Global Administrator), Revoked, Unavailable.
func (s *Service) DeleteGroup(ctx context.Context, actor directory.Actor, id directory.GroupID, act Act) (*Receipt, error) {
	all, err := s.write(ctx, actor, act, false, func(c *step) error {
		g, err := c.group(id, "Delete group", role.DeleteGroup, role.DeleteRoleGroup)
		if err != nil {
			return err
		}
		c.search = g.RoleAssignable
		if err := missing(c.Tx.DeleteGroup(id), noSuchGroup); err != nil {
			return err
		}
		what := "Deletes the group " + g.Name + "."
		if g.RoleAssignable {
			what = "Deletes the group " + g.Name + "; who loses a role by it loses grants and access tokens."
		}
		c.did("Delete group", groupParty(g), what)
		return nil
	})
	return first(all, ""), err
}

// AddMember puts a user into a group; once is enough. Kinds: Denied, NotFound,
// Unavailable.
func (s *Service) AddMember(ctx context.Context, actor directory.Actor, id directory.GroupID, user directory.UserID, act Act) error {
	_, err := s.write(ctx, actor, act, false, func(c *step) error {
		g, err := c.group(id, "Add member to group", role.UpdateMember, role.UpdateRoleGroup)
		if err != nil {
			return err
		}
		u, err := c.liveUser(user)
		if err != nil {
			return missing(err, noSuchUser)
		}
		return c.addMember(g, u)
	})
	return err
}

func (c *step) addMember(g directory.Group, u *directory.User) error {
	in, err := c.GroupsOf(u.ID)
	if err != nil {
		return err
	}
	for _, x := range in {
		if x.ID == g.ID {
			return nil
		}
	}
	if err := c.Tx.AddMember(g.ID, u.ID); err != nil {
		return missing(err, noSuchUser)
	}
	c.did("Add member to group", groupParty(g), "Adds "+u.Name+" to the group "+g.Name+".", audit.Change{Property: "member", New: u.Name})
	return nil
}

// RemoveMember takes a user out of a group. If a role is lost by it, so are the
// user's grants and access tokens. Kinds: Denied, NotFound, Conflict (the last
// Global Administrator), Revoked, Unavailable.
func (s *Service) RemoveMember(ctx context.Context, actor directory.Actor, id directory.GroupID, user directory.UserID, act Act) (*Receipt, error) {
	all, err := s.write(ctx, actor, act, false, func(c *step) error {
		g, err := c.group(id, "Remove member from group", role.UpdateMember, role.UpdateRoleGroup)
		if err != nil {
			return err
		}
		u, err := c.Tx.User(user)
		if err != nil {
			return missing(err, noSuchUser)
		}
		return c.removeMember(g, u)
	})
	return first(all, user.String()), err
}

func (c *step) removeMember(g directory.Group, u *directory.User) error {
	c.search = c.search || g.RoleAssignable
	if err := c.Tx.RemoveMember(g.ID, u.ID); err != nil {
		return missing(err, u.Name+" is not in the group "+g.Name+".")
	}
	what := "Takes " + u.Name + " out of the group " + g.Name + "."
	if g.RoleAssignable {
		what = "Takes " + u.Name + " out of the group " + g.Name + "; if a role is lost by it, grants and access tokens end."
	}
	c.did("Remove member from group", groupParty(g), what, audit.Change{Property: "member", Old: u.Name})
	return nil
}
