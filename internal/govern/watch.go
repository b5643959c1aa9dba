package govern

import (
	"context"
	"slices"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/store"
)

// Watch has every transaction judged, whoever made it, that may leave no Global
// Administrator whom the policies let in: a document, a role or a membership of one of
// them, a group, an account, a method. Call it once, before anything is written.
func Watch(s *Service) { s.DB.Watch(s.reachable) }

// reachable refuses the last way in to be closed. It is asked under the head's lock:
// what tx sees is what will be, and what another transaction sees is what was. If
// nobody could get in before, only policies that make it worse for one of them are
// refused: who is compromised must be disabled all the same.
func (s *Service) reachable(ctx context.Context, tx *store.Tx, at cutoff.Pos) error {
	after, err := tx.Policies()
	if err != nil || after.Empty() { // that there is an administrator at all the store sees to
		return err
	}
	c := &step{Tx: tx, s: s}
	admins, err := c.administrators(after)
	if err != nil {
		return err
	}
	out := after.LocksOut(admins)
	if !out.Out {
		return nil
	}
	refuse := true
	err = s.DB.Read(ctx, func(was *store.Tx) error {
		if was.Head != at { // another change is in the same commit: what was before this one nobody can tell
			return nil
		}
		before, err := was.Policies()
		if before == nil {
			return err
		}
		old, err := (&step{Tx: was, s: s}).administrators(before)
		refuse = !before.LocksOut(old).Out || slices.ContainsFunc(before.Differs(after, admins), func(x policy.Change) bool { return x.Kind < policy.Opens })
		return err
	})
	if err != nil || !refuse {
		return err
	}
	w, err := c.world()
	if err != nil {
		return err
	}
	told, err := c.told(w, out)
	if err != nil {
		return err
	}
	return fault.Wrap(fault.Conflict, locked(told)+". Nothing was changed. Spare another account of all policies first, or change the policies.", &LockedOut{told})
}

// locked is the sentence without its end.
func locked(l Lockout) string {
	why := "No Global Administrator could sign in any more"
	if len(l.By) > 0 {
		why += ": each would be blocked, or asked for what none of them can give from where they are known to come, by " + policies(l.By)
	}
	return why
}
