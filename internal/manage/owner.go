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

const (
	addOwner    = "Add owner to application"
	removeOwner = "Remove owner from application"
	maxOwners   = 100
)

// owns reports whether the actor may act as an owner of a. Of a first-party
// application nobody is: it needs no consent, so whoever changes where its codes
// go, or what it may ask for, would have what everybody has.
func (c *step) owns(a *directory.App) (bool, error) {
	if a.FirstParty || c.actor.AppOnly || c.actor.User.IsZero() || !slices.Contains(a.Owners, c.actor.User) {
		return false, nil
	}
	u, err := c.liveUser(c.actor.User)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil && u.Enabled, err
}

// Owners lists the existing owners of an application, without password hashes.
// Kinds: Denied, NotFound, Unavailable.
func (s *Service) Owners(ctx context.Context, actor directory.Actor, app directory.AppID) (all []*directory.User, err error) {
	err = s.read(ctx, actor, func(c *step) error {
		a, err := c.readApp(app)
		if err != nil {
			return err
		}
		for _, id := range a.Owners {
			u, err := c.liveUser(id)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			u.Password.Hash = ""
			all = append(all, u)
		}
		return nil
	})
	return all, err
}

// AddOwner lets a person change an application without holding a role: its
// registration, its secrets and keys, who is assigned to it, and who else owns
// it. Not what it holds as itself, what it guards, whether it needs consent, nor
// whether it is enabled. Kinds: Denied, Invalid, NotFound, Conflict (an owner
// already), Unavailable.
func (s *Service) AddOwner(ctx context.Context, actor directory.Actor, app directory.AppID, user directory.UserID, act Act) error {
	return s.changeOwners(ctx, actor, app, addOwner, act, func(c *step, a *directory.App) (*directory.User, error) {
		u, err := c.liveUser(user)
		switch {
		case err != nil:
			return nil, missing(err, noSuchUser)
		case u.Service:
			return nil, invalid("The owner of an application is a person.")
		case slices.Contains(a.Owners, user):
			return nil, fault.New(fault.Conflict, u.Name+" owns this application already.")
		case len(a.Owners) >= maxOwners:
			return nil, fault.New(fault.Conflict, "An application has at most 100 owners. Remove one first.")
		}
		a.Owners = append(slices.Clone(a.Owners), user)
		return u, nil
	})
}

// RemoveOwner takes that away. Kinds: Denied, NotFound, Unavailable.
func (s *Service) RemoveOwner(ctx context.Context, actor directory.Actor, app directory.AppID, user directory.UserID, act Act) error {
	return s.changeOwners(ctx, actor, app, removeOwner, act, func(c *step, a *directory.App) (*directory.User, error) {
		if !slices.Contains(a.Owners, user) {
			return nil, fault.New(fault.NotFound, "This user does not own the application.")
		}
		a.Owners = slices.DeleteFunc(slices.Clone(a.Owners), func(id directory.UserID) bool { return id == user })
		return c.Tx.User(user) // a deleted one as well
	})
}

// changeOwners judges, lets f change a copy of the application, and saves it. f
// returns the user in question.
func (s *Service) changeOwners(ctx context.Context, actor directory.Actor, id directory.AppID, activity string, act Act, f func(*step, *directory.App) (*directory.User, error)) error {
	_, err := s.write(ctx, actor, act, false, func(c *step) error {
		old, err := c.ownApp(activity, id, role.UpdateApp)
		if err != nil {
			return err
		}
		a := *old
		u, err := f(c, &a)
		if err != nil {
			return err
		}
		if err := c.storeApp(old, &a); err != nil {
			return err
		}
		change, sentence := audit.Change{Property: "owner", New: u.Name}, "Makes "+u.Name+" an owner of the application "+string(id)+"."
		if activity == removeOwner {
			change, sentence = audit.Change{Property: "owner", Old: u.Name}, "Takes the application "+string(id)+" from "+u.Name+", who owned it."
		}
		c.did(activity, store.AppParty(&a), sentence, change)
		return nil
	})
	return err
}

// ownApp returns an application on which the actor may do the action, as an owner
// or by a role. It tells nothing about what is not there to those who may not.
func (c *step) ownApp(activity string, id directory.AppID, action role.Action) (*directory.App, error) {
	a, err := c.HoldApp(id)
	var target role.Target
	if err == nil {
		if target.Owned, err = c.owns(a); err != nil {
			return nil, err
		}
	}
	if err := c.allow(activity, audit.Party{Kind: "app", ID: string(id), Name: string(id)}, "", action, target); err != nil {
		return nil, err
	}
	return a, missing(err, noSuchApp)
}

// readApp returns an application to somebody who may read it.
func (c *step) readApp(id directory.AppID) (*directory.App, error) {
	a, err := c.Tx.App(id)
	var target role.Target
	if err == nil {
		if target.Owned, err = c.owns(a); err != nil {
			return nil, err
		}
	}
	if allowed := role.Allowed(c.actor, role.ReadApps, target).Err(""); allowed != nil && !c.holdsRegistration(id) {
		return nil, allowed
	}
	return a, missing(err, noSuchApp)
}

// holdsRegistration reports whether the actor has shown that it holds the
// registration of an application.
func (c *step) holdsRegistration(id directory.AppID) bool {
	return id != "" && c.actor.Registration == id
}
