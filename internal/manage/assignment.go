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

// Assignment is a role assignment with the names of what it joins.
type Assignment struct {
	directory.RoleAssignment
	RoleName string
	Holder   string // user name, or name of the group
}

// AssignmentQuery selects assignments; zero fields select all.
type AssignmentQuery struct {
	User  directory.UserID // direct ones; what groups give is in UserView.Held
	Group directory.GroupID
	Role  directory.RoleID
}

// NewAssignment gives Role to exactly one of User and Group.
type NewAssignment struct {
	Role  directory.RoleID
	User  directory.UserID
	Group directory.GroupID
}

const (
	addRole    = "Add member to role"
	removeRole = "Remove member from role"
)

// Definitions lists the roles there are, least powerful first. Kinds: Denied,
// Unavailable.
func (s *Service) Definitions(ctx context.Context, actor directory.Actor) (all []role.Role, err error) {
	err = s.read(ctx, actor, func(c *step) error {
		all = role.All()
		return role.Allowed(c.actor, role.ReadRoles, role.Target{}).Err("")
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// Assignments lists role assignments of existing users and groups. Everyone may
// read their own (q.User). Kinds: Denied, Unavailable.
func (s *Service) Assignments(ctx context.Context, actor directory.Actor, q AssignmentQuery) (out []Assignment, err error) {
	err = s.read(ctx, actor, func(c *step) error {
		if err := role.Allowed(c.actor, role.ReadRoles, role.Target{ID: q.User}).Err(""); err != nil {
			return err
		}
		all, err := c.Tx.Assignments()
		if err != nil {
			return err
		}
		for _, a := range all {
			if !q.User.IsZero() && a.User != q.User || !q.Group.IsZero() && a.Group != q.Group || q.Role != "" && a.Role != q.Role {
				continue
			}
			view, err := c.assignment(a)
			if errors.Is(err, store.ErrNotFound) {
				continue // of a deleted user
			}
			if err != nil {
				return err
			}
			out = append(out, view)
		}
		return nil
	})
	return out, err
}

// Assignment returns one role assignment. Kinds: Denied, NotFound, Unavailable.
func (s *Service) Assignment(ctx context.Context, actor directory.Actor, id directory.AssignmentID) (view *Assignment, err error) {
	err = s.read(ctx, actor, func(c *step) error {
		a, err := c.Tx.Assignment(id)
		if err := role.Allowed(c.actor, role.ReadRoles, role.Target{ID: a.User}).Err(""); err != nil {
			return err
		}
		if err != nil {
			return missing(err, noSuchAssignment)
		}
		v, err := c.assignment(a)
		view = &v
		return missing(err, noSuchAssignment)
	})
	if err != nil {
		return nil, err
	}
	return view, nil
}

const noSuchAssignment = "There is no such role assignment."

// assignment adds the names; store.ErrNotFound for a deleted user.
func (c *step) assignment(a directory.RoleAssignment) (Assignment, error) {
	view := Assignment{RoleAssignment: a, RoleName: roleName(a.Role)}
	if !a.User.IsZero() {
		u, err := c.liveUser(a.User)
		if err != nil {
			return view, err
		}
		view.Holder = u.Name
		return view, nil
	}
	g, err := c.Tx.Group(a.Group)
	view.Holder = g.Name
	return view, err
}

func roleName(id directory.RoleID) string {
	if r, ok := role.Find(id); ok {
		return r.Name
	}
	return string(id)
}

// Assign gives a role to a user, or to the members of a role-assignable group.
// Kinds: Denied, Invalid, NotFound, Conflict (held already), Unavailable.
func (s *Service) Assign(ctx context.Context, actor directory.Actor, n NewAssignment, act Act) (a *directory.RoleAssignment, err error) {
	_, err = s.write(ctx, actor, act, false, func(c *step) error {
		r, ok := role.Find(n.Role)
		if !ok {
			r = role.Role{ID: n.Role, Name: string(n.Role)}
		}
		about := audit.Party{Kind: "role", ID: string(r.ID), Name: r.Name}
		if err := c.allow(addRole, about, "", role.AssignRole, role.Target{ID: n.User}); err != nil {
			return err
		}
		switch {
		case !ok:
			return fault.New(fault.NotFound, "There is no such role.")
		case n.User.IsZero() == n.Group.IsZero():
			return invalid("A role is given to one user or to one group.")
		}
		a, err = c.assign(r, n)
		return err
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

func (c *step) assign(r role.Role, n NewAssignment) (*directory.RoleAssignment, error) {
	a := directory.RoleAssignment{ID: directory.NewID[directory.RoleAssignment](c.Now), Role: r.ID, User: n.User, Group: n.Group, Created: c.Now}
	about, err := c.holder(a)
	if err != nil {
		return nil, err
	}
	if err := c.AssignRole(a); err != nil {
		return nil, taken(err, about.Name+" holds "+r.Name+" already.")
	}
	c.did(addRole, about, "Gives "+r.Name+" to "+about.Name+".", audit.Change{Property: "Role.DisplayName", New: r.Name})
	return &a, nil
}

// holder names who holds a; only a role-assignable group may.
func (c *step) holder(a directory.RoleAssignment) (audit.Party, error) {
	if !a.User.IsZero() {
		u, err := c.liveUser(a.User)
		if err != nil {
			return audit.Party{}, missing(err, noSuchUser)
		}
		return store.UserParty(u), nil
	}
	g, err := c.Tx.Group(a.Group)
	if err == nil && !g.RoleAssignable {
		err = invalid("The group " + fault.Quote(g.Name) + " cannot hold roles. That is decided when a group is created.")
	}
	return groupParty(g), missing(err, noSuchGroup)
}

// Unassign takes a role away. Whoever holds less than before loses grants and
// access tokens; nil when nobody does, because a group gives the same role.
// Kinds: Denied, NotFound, Conflict (the last Global Administrator), Revoked,
// Unavailable.
func (s *Service) Unassign(ctx context.Context, actor directory.Actor, id directory.AssignmentID, act Act) (*Receipt, error) {
	var target string
	all, err := s.write(ctx, actor, act, true, func(c *step) error {
		a, err := c.Tx.Assignment(id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		about := audit.Party{Kind: "role", ID: string(a.Role), Name: roleName(a.Role)}
		if err := c.allow(removeRole, about, "", role.UnassignRole, role.Target{ID: a.User}); err != nil {
			return err
		}
		if err != nil {
			return missing(err, noSuchAssignment)
		}
		target = a.User.String()
		return c.unassign(a)
	})
	return first(all, target), err
}

func (c *step) unassign(a directory.RoleAssignment) error {
	about := audit.Party{Kind: "group", ID: a.Group.String()}
	if !a.User.IsZero() {
		u, err := c.Tx.User(a.User)
		if err != nil {
			return err
		}
		about = store.UserParty(u)
	} else if g, err := c.Tx.Group(a.Group); err == nil {
		about = groupParty(g)
	}
	c.search = true
	if _, err := c.RemoveRole(a.ID); err != nil {
		return missing(err, noSuchAssignment)
	}
	c.did(removeRole, about, "Takes "+roleName(a.Role)+" from "+about.Name+"; unless a group gives it too, grants and access tokens end.",
		audit.Change{Property: "Role.DisplayName", Old: roleName(a.Role)})
	return nil
}
