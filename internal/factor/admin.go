package factor

import (
	"context"
	"errors"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/deed"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

// Activities of the audit log, by Microsoft's names.
const (
	registersFor = "Admin registered security info"
	deletesOf    = "Admin deleted security info"
)

var errNoUser = fault.New(fault.NotFound, "There is no such user.")

// step is one run of a transaction's closure, on an administrator's behalf.
type step struct {
	*deed.Step
	user *directory.User
}

// person is a user by object id or user name, and judges whether the actor may do
// the action to them.
func (c *step) person(activity string, action role.Action, ref string) (*directory.User, error) {
	u, err := userByRef(c.Tx, ref)
	if err != nil {
		return nil, err
	}
	held, err := c.Held(u.ID)
	if err != nil {
		return nil, err
	}
	return u, c.Allow(activity, store.UserParty(u), u.DisplayName, action, role.Target{ID: u.ID, Held: held, Service: u.Service})
}

func userByRef(tx *store.Tx, ref string) (u *directory.User, err error) {
	if id, bad := directory.ParseID[directory.User](ref); bad == nil {
		u, err = tx.User(id)
	} else {
		u, err = tx.UserByName(ref)
	}
	if errors.Is(err, store.ErrNotFound) || err == nil && !u.Deleted.IsZero() {
		return nil, errNoUser
	}
	return u, err
}

// write runs f on the actor's behalf; after is done when it is durable.
func (s *Service) write(ctx context.Context, actor directory.Actor, act manage.Act, f func(*step) error, after func(*step)) (*Receipt, error) {
	var last *step
	r, err := deed.Doer{DB: s.DB, Revoke: s.Revoke, Log: s.Log}.Do(ctx, actor, act, func(c *deed.Step) error {
		last = &step{Step: c}
		return f(last)
	})
	if err == nil && !act.DryRun {
		after(last)
	}
	return r, err
}

// Person is somebody with their methods, as administrators see them.
type Person struct {
	User        *directory.User // without the hash of the password
	HasPassword bool
	Methods     []Method
}

// Methods lists the methods of a user, by object id or user name. Everyone may list
// their own. Kinds: Denied, NotFound, Unavailable.
func (s *Service) Methods(ctx context.Context, actor directory.Actor, ref string) (p *Person, err error) {
	err = s.DB.Read(ctx, func(tx *store.Tx) error {
		a, err := tx.ActorNow(actor)
		if err != nil {
			return err
		}
		u, missing := userByRef(tx, ref)
		target := role.Target{}
		if missing == nil {
			target.ID, target.Service = u.ID, u.Service
			if target.Held, err = tx.Held(u.ID); err != nil {
				return err
			}
		}
		if err := role.Allowed(a, role.ReadMethods, target).Err(""); err != nil {
			return err
		}
		if missing != nil {
			return missing
		}
		all, err := tx.Methods(u.ID)
		p = &Person{User: u, HasPassword: u.Password.Hash != "", Methods: views(all, tx.Now)}
		u.Password.Hash = ""
		return err
	})
	return p, err
}

// RemoveOf takes a method of a user away, a pass too, if it is of a kind; of any, if
// that is empty. Everything of that user ends. Kinds: Denied, NotFound, Revoked,
// Unavailable.
func (s *Service) RemoveOf(ctx context.Context, actor directory.Actor, ref string, kind directory.MethodKind, id directory.MethodID, act manage.Act) (*Receipt, error) {
	return s.takeAway(ctx, actor, ref, act, func(m *directory.Method) bool { return m.ID == id && (kind == "" || m.Kind == kind) }, Removed)
}

// Reset takes all methods of a user away, so that they have to be registered anew.
// Everything of that user ends. Kinds: Denied, NotFound (there are none), Revoked,
// Unavailable.
func (s *Service) Reset(ctx context.Context, actor directory.Actor, ref string, act manage.Act) (*Receipt, error) {
	return s.takeAway(ctx, actor, ref, act, func(*directory.Method) bool { return true }, Reset)
}

func (s *Service) takeAway(ctx context.Context, actor directory.Actor, ref string, act manage.Act, which func(*directory.Method) bool, what Happening) (*Receipt, error) {
	var names []string
	return s.write(ctx, actor, act, func(c *step) (err error) {
		names = nil
		if c.user, err = c.person(deletesOf, role.DeleteMethod, ref); err != nil {
			return err
		}
		removed, cut, err := c.RemoveMethods(c.user.ID, store.UserChange{}, which)
		if err != nil {
			return err
		}
		if len(removed) == 0 {
			return fault.New(fault.NotFound, c.user.Name+" has no such method.")
		}
		c.Cut = cut
		for _, m := range removed {
			names = append(names, words(m))
			c.Audit(audit.Record{Action: deletesOf, Target: store.UserParty(c.user), Changes: []audit.Change{{Property: "AuthenticationMethod", Old: words(m)}}})
			c.Said = append(c.Said, "Takes the "+words(m)+" of "+c.user.Name+" away, and ends everything of theirs.")
		}
		return nil
	}, func(c *step) {
		for _, n := range names {
			s.tell(Notice{User: c.user, What: what, Method: n, IP: actor.IP, At: c.Now})
		}
	})
}
