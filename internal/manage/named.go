package manage

import (
	"context"
	"errors"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

// Named finds the person, or else the group, that somebody means who may assign
// people to an application: by object id, or by the whole user name or name of a
// group. Its owners need it: they may assign people, and read no list of them.
// Kinds: Denied, NotFound, Unavailable.
func (s *Service) Named(ctx context.Context, actor directory.Actor, app directory.AppID, ref string) (n NewAppAssignment, err error) {
	err = s.read(ctx, actor, func(c *step) error {
		n = NewAppAssignment{}
		a, err := c.Tx.App(app)
		var target role.Target
		if err == nil {
			if target.Owned, err = c.owns(a); err != nil {
				return err
			}
		}
		if err := role.Allowed(c.actor, role.AssignApp, target).Err(""); err != nil {
			return err
		}
		if err != nil {
			return missing(err, noSuchApp)
		}
		u, err := c.userByRef(ref)
		if err == nil {
			n.User = u.ID
			return nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		g, err := c.groupByRef(ref)
		n.Group = g.ID
		return missing(err, "There is no user and no group of that name.")
	})
	return n, err
}

// AppConsent is a consent with the user name of who gave it; empty: an
// administrator, for everybody.
type AppConsent struct {
	directory.Consent
	Name string
}

// ConsentsTo lists what was consented to for an application: first what
// administrators did for everybody, then people's own, from after a user (zero: the
// first) on, and after whom the next page begins (zero: nowhere); limit counts people. Of people it tells
// those only who may read users. No index leads to the people: for one application
// the consents of all are gone through. Kinds: Denied, NotFound, Unavailable.
func (s *Service) ConsentsTo(ctx context.Context, actor directory.Actor, app directory.AppID, after directory.UserID, limit int) (all []AppConsent, next directory.UserID, err error) {
	err = s.read(ctx, actor, func(c *step) error {
		all, next = nil, directory.UserID{}
		if _, err := c.readApp(app); err != nil {
			return err
		}
		rows, err := c.Tx.Consents(directory.UserID{}, app)
		if err != nil {
			return err
		}
		if !after.IsZero() {
			rows = nil
		}
		if role.Allowed(c.actor, role.ReadUsers, role.Target{}).OK {
			people, err := c.Tx.ConsentsTo(app, after, limit+1)
			if err != nil {
				return err
			}
			seen := 0
			for i, x := range people {
				if i > 0 && x.User == people[i-1].User {
					rows = append(rows, x)
					continue
				}
				if seen++; seen > limit {
					next = people[i-1].User
					break
				}
				rows = append(rows, x)
			}
		}
		for _, x := range rows {
			named := AppConsent{Consent: x}
			if !x.User.IsZero() {
				u, err := c.liveUser(x.User)
				if errors.Is(err, store.ErrNotFound) {
					continue
				}
				if err != nil {
					return err
				}
				named.Name = u.Name
			}
			all = append(all, named)
		}
		return nil
	})
	return all, next, err
}
