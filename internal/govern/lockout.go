package govern

import (
	"slices"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/policy"
)

// Lockout says who of the Global Administrators would still get in.
type Lockout struct {
	Out bool
	// In are the user names of those who would, Spared those of them whom only being
	// spared lets in; By are the names of the policies that keep the others out.
	In, Spared, By []string
}

// LockedOut is the cause of the refusal of a change after which no Global
// Administrator could get in.
type LockedOut struct{ Lockout Lockout }

func (e *LockedOut) Error() string { return "nobody could get in" }

// mind refuses a change after which no Global Administrator could get in. If nobody
// could before, only what makes it worse for one of them is refused: taking the
// policy away that did it must not need force. Reports that change nothing are not
// asked: a set that blocks no more than the one before locks nobody out.
func (c *step) mind(e *edit, force bool) error {
	facts, err := c.administrators(e.are)
	if err != nil || force {
		return err
	}
	out := e.are.LocksOut(facts)
	if !out.Out || e.before.LocksOut(facts).Out && !slices.ContainsFunc(e.before.Differs(e.are, facts), func(x policy.Change) bool { return x.Kind < policy.Opens }) {
		return nil
	}
	told, err := c.told(e.then, out)
	if err != nil {
		return err
	}
	return fault.Wrap(fault.Conflict, locked(told)+". Nothing was changed. Spare an account of all policies first, try it report-only, or force it.", &LockedOut{told})
}

// told puts names to a lock-out.
func (c *step) told(w *world, l policy.Lockout) (t Lockout, err error) {
	t.Out = l.Out
	names := func(ids []directory.UserID) (all []string, err error) {
		for _, id := range ids {
			u, err := c.Tx.User(id)
			if err != nil {
				return nil, err
			}
			all = append(all, u.Name)
		}
		return all, nil
	}
	if t.In, err = names(l.In); err != nil {
		return t, err
	}
	if t.Spared, err = names(l.Spared); err != nil {
		return t, err
	}
	for _, id := range l.By {
		t.By = append(t.By, w.name(id))
	}
	return t, nil
}
