package govern

import (
	"context"
	"slices"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/standing"
)

// Suppose is a change that is only thought of: of a document, or of a row.
type Suppose struct {
	// Kind and Ref name a document; an empty Ref: a new one. Doc is it, or the patch
	// of it; Delete takes it away. An empty Kind: the rest counts.
	Kind   Kind
	Ref    string
	Doc    []byte
	Delete bool
	// User is disabled, or loses Role if there is one.
	User directory.UserID
	Role directory.RoleID
}

// WhatIf tells what a change would do, and does nothing. Of documents it needs a
// role that reads policies, of a person one that sees what a revocation would end.
// Kinds: Denied, Invalid, NotFound, Conflict, Unavailable.
func (s *Service) WhatIf(ctx context.Context, actor directory.Actor, x Suppose) (what string, effect *Effect, err error) {
	if x.Kind == "" {
		return s.whatIfPerson(ctx, actor, x)
	}
	if words[x.Kind].noun == "" {
		return "", nil, fault.New(fault.Invalid, "There is no such kind of document.")
	}
	// A thought is not kept from locking everybody out: that is what it is to tell.
	how := How{Force: true}
	var ch change
	switch {
	case x.Delete:
		ch = s.deletion(x.Kind, x.Ref, how)
	case x.Ref == "":
		ch = s.creation(x.Kind, x.Doc, how)
	default:
		ch = s.changing(x.Kind, x.Ref, x.Doc, how)
	}
	ch.how.DryRun, ch.action, ch.activity = true, role.ReadPolicies, ""
	e, effect, err := s.do(ctx, actor, ch)
	switch {
	case err != nil:
		return "", nil, err
	case e == nil:
		return "Changes nothing.", &Effect{}, nil
	}
	return e.what, effect, nil
}

const noSuchUser = "There is no such user."

// whatIfPerson tells what ends by the table when a row changes.
func (s *Service) whatIfPerson(ctx context.Context, actor directory.Actor, x Suppose) (what string, effect *Effect, err error) {
	err = s.read(ctx, actor, func(c *step) error {
		if err := c.allow("", audit.Party{}, role.ReadReceipts, role.Target{ID: x.User}); err != nil {
			return err
		}
		u, err := c.Tx.User(x.User)
		if err != nil {
			return missing(err, noSuchUser)
		}
		n := s.counting()
		event, why := standing.UserDisabled, "account disabled"
		what = "Disables " + u.Name + "."
		loses := x.Role == "" || x.Role == role.GlobalAdministrator
		if x.Role != "" {
			r, ok := role.Find(x.Role)
			if !ok {
				return fault.New(fault.NotFound, "There is no such role.")
			}
			event, why = standing.RoleRemoved, "role removed"
			what = "Removes the role " + r.Name + " from " + u.Name + "."
			keeps, err := c.keeps(x.User, x.Role)
			if err != nil {
				return err
			}
			if keeps {
				event, loses = "", false
				what += " A group gives it all the same."
			}
		}
		w, err := c.world()
		if err != nil {
			return err
		}
		set, err := w.compile()
		if err != nil {
			return err
		}
		n.judge, err = c.ending(event, why, u)
		if err != nil {
			return err
		}
		if event == standing.RoleRemoved {
			n.judge = afterwards(n.judge, set, x.Role)
		}
		if err := n.one(c, x.User); err != nil {
			return err
		}
		admins, err := c.administrators(set)
		if err != nil {
			return err
		}
		if loses {
			admins = slices.DeleteFunc(admins, func(f policy.Facts) bool { return f.User == x.User })
		}
		for i := range admins {
			if event == standing.RoleRemoved && admins[i].User == x.User {
				admins[i].Roles = without(admins[i].Roles, x.Role)
			}
		}
		if n.Lockout, err = c.told(w, set.LocksOut(admins)); err != nil {
			return err
		}
		effect = n.done()
		return nil
	})
	return what, effect, err
}

// afterwards adds what the policies say of what an event does not end, once a role is
// taken away: one that leaves its holders out is about them then.
func afterwards(ending func(*step, []*alive) ([]Fate, error), set *policy.Set, lost directory.RoleID) func(*step, []*alive) ([]Fate, error) {
	return func(c *step, all []*alive) ([]Fate, error) {
		fates, err := ending(c, all)
		if err != nil {
			return nil, err
		}
		for i, a := range all {
			if fates[i].Kind != 0 {
				continue
			}
			was, err := c.uses(a, set)
			if err != nil {
				return nil, err
			}
			is := slices.Clone(was)
			for j := range is {
				is[j].Roles = without(is[j].Roles, lost)
			}
			for _, x := range set.Moves(was, is) {
				if f := &fates[i]; f.Kind == 0 || x.Kind < f.Kind {
					*f = Fate{Kind: x.Kind}
					f.explain(set, set, &was[x.Index], &is[x.Index], &x)
				}
			}
		}
		return fates, nil
	}
}

func without(all []directory.RoleID, lost directory.RoleID) []directory.RoleID {
	return slices.DeleteFunc(slices.Clone(all), func(r directory.RoleID) bool { return r == lost })
}

// keeps reports whether somebody holds a role by a group as well as directly, so
// that taking the direct assignment away takes nothing. Kind: NotFound, if there is no
// direct one.
func (c *step) keeps(id directory.UserID, r directory.RoleID) (bool, error) {
	all, err := c.Tx.Assignments()
	if err != nil {
		return false, err
	}
	groups, err := c.GroupsOf(id)
	if err != nil {
		return false, err
	}
	direct, through := false, false
	for _, a := range all {
		switch {
		case a.Role != r:
		case a.User == id:
			direct = true
		default:
			through = through || slices.ContainsFunc(groups, func(g directory.Group) bool { return g.ID == a.Group })
		}
	}
	if !direct {
		return false, fault.New(fault.NotFound, "The user does not hold this role directly.")
	}
	return through, nil
}

// ending judges by the cutoffs that an event would append, widened as the
// administrators have chosen. An empty event ends nothing.
func (c *step) ending(event standing.Event, why string, u *directory.User) (func(*step, []*alive) ([]Fate, error), error) {
	wide, err := c.Widening()
	if err != nil {
		return nil, err
	}
	var set cutoff.Set
	if event != "" {
		row := wide.Row(event)
		set.Merge(cutoff.Line{Pos: cutoff.MaxPos, Cuts: row.Cuts(standing.Victim{User: u.ID.String()})})
	}
	return func(_ *step, all []*alive) ([]Fate, error) {
		fates := make([]Fate, len(all))
		for i, a := range all {
			b, k, born := a.belongs()
			if o := cutoff.NewOwner(b); born < set.Latest(&o, k) {
				fates[i] = Fate{Kind: policy.Ends, By: []string{why}, Cut: true}
			}
		}
		return fates, nil
	}, nil
}
