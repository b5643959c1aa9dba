package manage

import (
	"context"
	"errors"
	"time"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

// AppAssignment is an assignment with the name of whom it lets in.
type AppAssignment struct {
	ID      directory.AppAssignmentID
	App     directory.AppID
	User    directory.UserID  // zero: Group
	Group   directory.GroupID // zero: User
	Role    string            // empty: plain access
	Created time.Time
	Name    string // user name, or name of the group
}

// NewAppAssignment lets exactly one of User and Group into an application. Role is
// a name for the application's own use; no token carries it yet.
type NewAppAssignment struct {
	User  directory.UserID
	Group directory.GroupID
	Role  string
}

const (
	assignApp   = "Add app role assignment"
	unassignApp = "Remove app role assignment"
)

// AppAssignments lists who is assigned to an application, the oldest first, without deleted
// users. Kinds: Denied, NotFound, Unavailable.
func (s *Service) AppAssignments(ctx context.Context, actor directory.Actor, app directory.AppID) (all []AppAssignment, err error) {
	err = s.read(ctx, actor, func(c *step) error {
		if _, err := c.readApp(app); err != nil {
			return err
		}
		rows, err := c.Tx.AppAssignments(app)
		if err != nil {
			return err
		}
		all, err = c.appAssignments(rows)
		return err
	})
	return all, err
}

// AppAssignmentsOf lists a user's own assignments, without those of groups.
// Everyone may read their own. Kinds: Denied, Unavailable.
func (s *Service) AppAssignmentsOf(ctx context.Context, actor directory.Actor, user directory.UserID) (all []AppAssignment, err error) {
	err = s.read(ctx, actor, func(c *step) error {
		if err := role.Allowed(c.actor, role.ReadUsers, role.Target{ID: user}).Err(""); err != nil {
			return err
		}
		rows, err := c.Tx.AppAssignmentsOf(user)
		if err != nil {
			return err
		}
		all, err = c.appAssignments(rows)
		return err
	})
	return all, err
}

// appAssignments adds the names and leaves out what is of deleted users.
func (c *step) appAssignments(rows []directory.AppAssignment) (all []AppAssignment, err error) {
	for _, a := range rows {
		p, err := c.assigned(a)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, appAssignment(a, p))
	}
	return all, nil
}

func appAssignment(a directory.AppAssignment, p audit.Party) AppAssignment {
	return AppAssignment{ID: a.ID, App: a.App, User: a.User, Group: a.Group, Role: a.Role, Created: a.Created, Name: p.Name}
}

// assigned names whom an assignment lets in; store.ErrNotFound for nobody that
// exists.
func (c *step) assigned(a directory.AppAssignment) (audit.Party, error) {
	if !a.User.IsZero() {
		u, err := c.liveUser(a.User)
		if err == nil && u.Service {
			err = invalid("People and groups are assigned to an application. What another application may do here are its permissions.")
		}
		if err != nil {
			return audit.Party{}, err
		}
		return store.UserParty(u), nil
	}
	g, err := c.Tx.Group(a.Group)
	return groupParty(g), err
}

// AssignApp assigns a user, or the members of a group, to an application; it
// matters where the application requires it. Kinds: Denied, Invalid, NotFound,
// Conflict (assigned already), Unavailable.
func (s *Service) AssignApp(ctx context.Context, actor directory.Actor, app directory.AppID, n NewAppAssignment, act Act) (made *AppAssignment, err error) {
	_, err = s.write(ctx, actor, act, false, func(c *step) error {
		if _, err := c.ownApp(assignApp, app, role.AssignApp); err != nil {
			return err
		}
		if n.User.IsZero() == n.Group.IsZero() {
			return invalid("One user or one group is assigned to an application.")
		}
		if n.Role != "" {
			if err := directory.CheckScope(n.Role); err != nil {
				return err
			}
		}
		a := directory.AppAssignment{ID: directory.NewID[directory.AppAssignment](c.Now), App: app, User: n.User, Group: n.Group, Role: n.Role, Created: c.Now}
		about, err := c.assigned(a)
		if err != nil {
			return missing(err, "There is no such user or group.")
		}
		if err := c.Tx.AssignApp(a); err != nil {
			return taken(err, about.Name+" is assigned to this application already.")
		}
		c.did(assignApp, about, "Assigns "+about.Name+" to the application "+string(app)+".",
			audit.Change{Property: "ServicePrincipal.AppId", New: string(app)}, audit.Change{Property: "AppRole.Value", New: n.Role})
		x := appAssignment(a, about)
		made = &x
		return nil
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

// UnassignApp takes an assignment away. Whoever has no other to that application,
// through a group or with another role, loses the grants and access tokens of it;
// nil when nobody does. Kinds: Denied, NotFound, Revoked, Unavailable.
func (s *Service) UnassignApp(ctx context.Context, actor directory.Actor, app directory.AppID, id directory.AppAssignmentID, act Act) (*Receipt, error) {
	var target string
	all, err := s.write(ctx, actor, act, true, func(c *step) error {
		if _, err := c.ownApp(unassignApp, app, role.AssignApp); err != nil {
			return err
		}
		a, err := c.Tx.AppAssignment(id)
		if err == nil && a.App != app {
			err = store.ErrNotFound
		}
		if err != nil {
			return missing(err, "There is no such assignment.")
		}
		about := audit.Party{Kind: "group", ID: a.Group.String()}
		if !a.User.IsZero() {
			u, err := c.Tx.User(a.User) // a deleted one as well
			if err != nil {
				return err
			}
			about = store.UserParty(u)
		} else if g, err := c.Tx.Group(a.Group); err == nil {
			about = groupParty(g)
		}
		target, c.search = about.ID, true
		if err := c.Tx.UnassignApp(a); err != nil {
			return missing(err, "There is no such assignment.")
		}
		c.did(unassignApp, about, "Takes the application "+string(app)+" from "+about.Name+"; unless assigned in another way, grants and access tokens of it end.",
			audit.Change{Property: "ServicePrincipal.AppId", Old: string(app)}, audit.Change{Property: "AppRole.Value", Old: a.Role})
		return nil
	})
	return first(all, target), err
}
