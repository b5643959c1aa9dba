package store

import (
	"slices"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/standing"
)

// moved is somebody whose groups or roles a transaction has changed.
type moved struct {
	victim       standing.Victim
	user         audit.Party
	left, joined []directory.GroupID
	given        []directory.RoleID
}

// groupIDs are the groups that a person is in, in order.
func (tx *Tx) groupIDs(id directory.UserID) (in []directory.GroupID, err error) {
	err = tx.each(`SELECT group_id FROM group_members WHERE user_id = $1 ORDER BY group_id`, func(r scanner) error {
		var g directory.GroupID
		err := r.Scan(&g)
		in = append(in, g)
		return err
	}, id[:])
	return in, err
}

// concern ends the tokens of whoever has left a group that policies name, and has
// those of whoever has joined one, or was given a role that they name, judged again.
// By the policies under the head lock: one that is being written comes before this, or
// its own line has everything judged again with these memberships. While policies
// cannot be read every group counts: doubt closes, and keeps nobody from taking
// something away.
func (tx *Tx) concern(at cutoff.Pos) error {
	if len(tx.moved) == 0 {
		return nil
	}
	set, err := tx.policiesAt(at)
	if err != nil && fault.KindOf(err) != fault.Unavailable || err == errLost {
		return err
	}
	unread := err != nil
	names := func(g []directory.GroupID, r []directory.RoleID) bool {
		return len(g)+len(r) > 0 && (unread || set.Concerns(g, r))
	}
	var ended, judged tally
	for _, m := range tx.moved {
		if names(m.left, nil) {
			err = ended.add(tx, standing.RoleRemoved, m.victim, m.user)
		} else if names(m.joined, m.given) {
			err = judged.add(tx, standing.Concerned, m.victim, m.user)
		}
		if err != nil {
			return err
		}
	}
	for _, t := range []tally{ended, judged} {
		if t.line != nil && !slices.ContainsFunc(tx.lines, func(c *Cut) bool { return c.covers(t.line) }) {
			tx.Cut(t.line)
		}
	}
	return nil
}

// covers reports whether c ends or judges all that other does.
func (c *Cut) covers(other *Cut) bool {
	return !slices.ContainsFunc(other.Cuts, func(x cutoff.Cutoff) bool {
		return !slices.ContainsFunc(c.Cuts, func(y cutoff.Cutoff) bool { return x.Scope == y.Scope && x.ID == y.ID && y.Reach <= x.Reach })
	})
}

func missing[T comparable](all, others []T) []T {
	return slices.DeleteFunc(slices.Clone(all), func(x T) bool { return slices.Contains(others, x) })
}
