package manage

import (
	"context"
	"errors"
	"slices"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

// Together runs f with a service whose verbs all happen in one transaction, or not
// at all; each judges on its own, and none returns receipts: Together does. f may
// run twice. Kinds: those of the verbs.
func (s *Service) Together(ctx context.Context, actor directory.Actor, act Act, f func(*Service) error) ([]*Receipt, error) {
	return s.write(ctx, actor, act, false, func(c *step) error {
		c.search = true
		one := *s
		one.joined = c
		return f(&one)
	})
}

// checkRoles refuses to take away a role with which somebody is assigned.
func (c *step) checkRoles(a, was *directory.App) error {
	there := func(all []directory.AppRole, name string) bool {
		return slices.ContainsFunc(all, func(r directory.AppRole) bool { return r.Name == name })
	}
	if !slices.ContainsFunc(was.Roles, func(r directory.AppRole) bool { return !there(a.Roles, r.Name) }) {
		return nil
	}
	all, err := c.Tx.AppAssignments(a.ID)
	if err != nil {
		return err
	}
	for _, x := range all {
		if there(was.Roles, x.Role) && !there(a.Roles, x.Role) {
			return fault.New(fault.Conflict, "Somebody is assigned with the role "+fault.Quote(x.Role)+". Take it from them first.")
		}
	}
	return nil
}

// orphan makes the resources of a registration stand alone: others hold tokens for
// them.
func (c *step) orphan(app directory.AppID) error {
	all, err := c.Tx.Resources()
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.App == app {
			r.App = ""
			if err := c.SaveResource(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// resourceTarget says whether the actor owns the registration that a resource is
// part of.
func (c *step) resourceTarget(r *directory.Resource) (t role.Target, err error) {
	if r.App == "" {
		return t, nil
	}
	a, err := c.Tx.App(r.App)
	if errors.Is(err, store.ErrNotFound) {
		return t, nil
	}
	if err == nil {
		t.Owned, err = c.owns(a)
	}
	return t, err
}

const changePermission = "Update application permissions"

// GiveIdentity gives an application an identity to act as, if it has none. Kinds:
// Denied, Invalid, NotFound, Unavailable.
func (s *Service) GiveIdentity(ctx context.Context, actor directory.Actor, id directory.AppID, act Act) error {
	_, err := s.write(ctx, actor, act, false, func(c *step) error {
		old, err := c.ownApp("Add service principal", id, role.UpdateApp)
		if err != nil || !old.Principal.IsZero() {
			return err
		}
		a := *old
		if err := c.makeIdentity(&a); err != nil {
			return err
		}
		_, err = c.saveApp(old, &a)
		return err
	})
	return err
}

// TakeIdentity takes an application out of use: it is disabled, and its identity,
// what it holds as itself, what people consented to and who is assigned are gone,
// with everything that was handed out on them. Kinds: Denied, NotFound, Unavailable.
func (s *Service) TakeIdentity(ctx context.Context, actor directory.Actor, id directory.AppID, act Act) (*Receipt, error) {
	all, err := s.write(ctx, actor, act, true, func(c *step) error {
		old, err := c.Tx.App(id)
		about := audit.Party{Kind: "app", ID: string(id), Name: string(id)}
		if err := c.allow("Remove service principal", about, "", role.DeleteApp, role.Target{}); err != nil {
			return err
		}
		if err != nil {
			return missing(err, noSuchApp)
		}
		c.search = true
		a := *old
		a.Enabled, a.Principal, a.AppPermissions = false, directory.UserID{}, nil
		if err := c.storeApp(old, &a); err != nil {
			return err
		}
		if err := c.endIdentity(old); err != nil {
			return err
		}
		if err := c.ForgetApp(id); err != nil {
			return err
		}
		c.did("Remove service principal", store.AppParty(&a), "Takes the application "+string(id)+" out of use: disabled, without identity, permissions, consents and assignments; what it held ends.", audit.AppChanges(old, &a)...)
		return nil
	})
	return first(all, string(id)), err
}

// GrantAppPermission lets an application hold a role at a resource as itself. Kinds:
// Denied, Invalid, NotFound, Conflict (held already), Unavailable.
func (s *Service) GrantAppPermission(ctx context.Context, actor directory.Actor, id directory.AppID, at directory.ResourceID, name string, act Act) error {
	_, err := s.changePermission(ctx, actor, id, act, role.GrantAppRole, func(c *step, a *directory.App) (err error) {
		if a.Public {
			return invalid("A public application keeps no secret, so it holds no permission as itself.")
		}
		more, err := c.permissions([]directory.Permission{{Resource: at, Scopes: []string{name}}}, true)
		if err != nil {
			return err
		}
		if !gains(a.AppPermissions, more) {
			return fault.New(fault.Conflict, "The application holds this permission already.")
		}
		a.AppPermissions, err = c.permissions(slices.Concat(a.AppPermissions, more), true)
		return err
	})
	return err
}

// RemoveAppPermission takes such a role away, and with it the application's own
// access tokens. Kinds: Denied, NotFound, Unavailable.
func (s *Service) RemoveAppPermission(ctx context.Context, actor directory.Actor, id directory.AppID, at directory.ResourceID, name string, act Act) (*Receipt, error) {
	return s.changePermission(ctx, actor, id, act, role.UpdateApp, func(c *step, a *directory.App) error {
		var left []directory.Permission
		for _, p := range a.AppPermissions {
			if p.Resource == at {
				p.Scopes = slices.DeleteFunc(slices.Clone(p.Scopes), func(x string) bool { return x == name })
			}
			if len(p.Scopes) > 0 {
				left = append(left, p)
			}
		}
		if !gains(left, a.AppPermissions) {
			return fault.New(fault.NotFound, "The application does not hold this permission.")
		}
		a.AppPermissions = left
		return nil
	})
}

// changePermission judges, lets f change a copy and saves it. Whoever may give
// permissions may take them as well.
func (s *Service) changePermission(ctx context.Context, actor directory.Actor, id directory.AppID, act Act, action role.Action, f func(*step, *directory.App) error) (*Receipt, error) {
	all, err := s.write(ctx, actor, act, true, func(c *step) error {
		old, err := c.HoldApp(id)
		if role.Allowed(c.actor, role.GrantAppRole, role.Target{}).OK {
			action = role.GrantAppRole
		}
		if err := c.allow(changePermission, audit.Party{Kind: "app", ID: string(id), Name: string(id)}, "", action, role.Target{}); err != nil {
			return err
		}
		if err != nil {
			return missing(err, noSuchApp)
		}
		a := *old
		if err := f(c, &a); err != nil {
			return err
		}
		_, err = c.saveApp(old, &a)
		return err
	})
	return first(all, string(id)), err
}
