package store

import (
	"slices"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/standing"
)

// Rights are what a user holds through roles and groups. What counts for the
// ledger is the net effect of a whole transaction: a role taken from a user and
// given back through a group ends nothing.

// rightsBefore is what a user held before the transaction's first change.
type rightsBefore struct {
	held directory.Held
	apps []directory.AppID // assigned to
	in   []directory.GroupID
	user audit.Party
}

// Held returns the user's roles, direct and through groups.
func (tx *Tx) Held(id directory.UserID) (directory.Held, error) {
	h, _, err := tx.holds(id, nil, true)
	return h, err
}

// holds is Held, and which of some groups the user is in: a refresh wants both. direct:
// the person may have roles that no group gives.
func (tx *Tx) holds(id directory.UserID, some []directory.GroupID, direct bool) (h directory.Held, in []directory.GroupID, err error) {
	x, g, assignable := directory.RoleID(""), directory.GroupID{}, false
	if direct {
		err = tx.each(`SELECT role FROM role_assignments WHERE user_id = $1`, func(r scanner) error {
			err := r.Scan(&x)
			h.Roles = append(h.Roles, x)
			return err
		}, id[:])
	}
	if err == nil {
		err = tx.each(`SELECT m.group_id, COALESCE(g.role_assignable, 0), COALESCE(a.role, '') FROM group_members m LEFT JOIN groups g ON g.id = m.group_id
			LEFT JOIN role_assignments a ON a.group_id = m.group_id AND g.role_assignable = 1 WHERE m.user_id = $1`, func(r scanner) error {
			err := r.Scan(&g, &assignable, &x)
			if h.RoleAssignableMember = h.RoleAssignableMember || assignable; x != "" {
				h.Roles = append(h.Roles, x)
			}
			if slices.Contains(some, g) && !slices.Contains(in, g) {
				in = append(in, g)
			}
			return err
		}, id[:])
	}
	slices.Sort(h.Roles)
	h.Roles = slices.Compact(h.Roles)
	return h, in, err
}

// touchRights remembers what the user held before the first change, with the
// user's row locked: two transactions that change rights of one user go one
// after the other.
func (tx *Tx) touchRights(id directory.UserID) error {
	if _, seen := tx.rights[id]; seen {
		return nil
	}
	u, err := scanUser(tx.row(`SELECT `+userColumns+` FROM users u WHERE u.id = $1`+tx.lock(), id[:]))
	if err != nil {
		return err
	}
	h, err := tx.Held(id)
	if err != nil {
		return err
	}
	apps, err := tx.assignedTo(id)
	if err != nil {
		return err
	}
	in, err := tx.groupIDs(id)
	if err != nil {
		return err
	}
	if tx.rights == nil {
		tx.rights = map[directory.UserID]rightsBefore{}
	}
	tx.rights[id] = rightsBefore{held: h, apps: apps, in: in, user: UserParty(u)}
	return nil
}

// diffRights appends a line for every user whose rights changed.
func (tx *Tx) diffRights() error {
	ids := make([]directory.UserID, 0, len(tx.rights))
	for id := range tx.rights {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b directory.UserID) int { return slices.Compare(a[:], b[:]) })
	lost, gained := tally{}, tally{}
	for _, id := range ids {
		before := tx.rights[id]
		after, err := tx.Held(id)
		if err != nil {
			return err
		}
		apps, err := tx.assignedTo(id)
		if err != nil {
			return err
		}
		v := standing.Victim{User: id.String()}
		in, err := tx.groupIDs(id)
		if err != nil {
			return err
		}
		m := moved{victim: v, user: before.user, left: missing(before.in, in), joined: missing(in, before.in), given: missing(after.Roles, before.held.Roles)}
		if len(m.left)+len(m.joined)+len(m.given) > 0 {
			tx.moved = append(tx.moved, m)
			tx.reach = tx.reach || before.held.Has(role.GlobalAdministrator) || after.Has(role.GlobalAdministrator)
		}
		if subset(before.held.Roles, after.Roles) {
			for _, app := range without(before.apps, apps) {
				v.App = string(app)
				if err := lost.add(tx, standing.UserUnassigned, v, before.user); err != nil {
					return err
				}
			}
		} else {
			if before.held.Has(role.GlobalAdministrator) && !after.Has(role.GlobalAdministrator) {
				tx.admins, tx.reach = true, true
			}
			if err := lost.add(tx, standing.RoleRemoved, v, before.user); err != nil {
				return err
			}
		}
		if !subset(after.Roles, before.held.Roles) || len(without(apps, before.apps)) > 0 {
			if err := gained.add(tx, standing.RightsGiven, v, before.user); err != nil {
				return err
			}
		}
	}
	switch {
	case lost.line != nil:
		if gained.line != nil {
			lost.line.Cuts = append(lost.line.Cuts, gained.line.Cuts...)
		}
		tx.Cut(lost.line)
	case gained.line != nil:
		tx.Cut(gained.line)
	}
	return nil
}

// tally is one line about what happened to several users.
type tally struct {
	line *Cut
	last string // whom it named last
}

func (t *tally) add(tx *Tx, e standing.Event, v standing.Victim, user audit.Party) error {
	c, err := tx.Event(e, v, user)
	switch {
	case err != nil:
		return err
	case t.line == nil:
		t.line = c
	default:
		for _, x := range c.Cuts { // the same again, where several lead to everything
			if !slices.Contains(t.line.Cuts, x) {
				t.line.Cuts = append(t.line.Cuts, x)
			}
		}
		if t.last != user.ID {
			t.line.Target = audit.Party{Kind: "directory", Name: "several users"}
		}
	}
	t.last = user.ID
	return nil
}

func subset(a, b []directory.RoleID) bool {
	for _, x := range a {
		if !slices.Contains(b, x) {
			return false
		}
	}
	return true
}

// Foresee judges as the commit would, for a dry run, which never gets there.
func (tx *Tx) Foresee() error {
	if err := tx.diffRights(); err != nil {
		return err
	}
	return tx.judgeAdmins(tx.Head)
}

// judgeAdmins refuses to leave the directory without a Global Administrator, or
// without one whom the policies let in. Judged under the head lock, so that two
// administrators cannot remove each other at once.
func (tx *Tx) judgeAdmins(at cutoff.Pos) error {
	if tx.admins {
		if n, err := tx.GlobalAdministrators(); err != nil {
			return err
		} else if n == 0 {
			return fault.New(fault.Conflict, "This would leave the directory without a Global Administrator. Give the role to somebody else first. Nothing was changed.")
		}
	}
	if !tx.reach || tx.by.Force || tx.db.watch == nil {
		return nil
	}
	var err error
	if tx.rules, err = tx.policiesAt(at); tx.rules == nil {
		return err
	}
	return tx.db.watch(tx.ctx, tx, at)
}

// GlobalAdministrators counts enabled people who hold the role.
func (tx *Tx) GlobalAdministrators() (int, error) {
	var n int
	err := tx.row(`SELECT COUNT(*) FROM users u WHERE u.enabled = 1 AND u.deleted = 0 AND u.service = 0 AND (
		EXISTS (SELECT 1 FROM role_assignments a WHERE a.user_id = u.id AND a.role = $1)
		OR EXISTS (SELECT 1 FROM role_assignments a JOIN group_members m ON m.group_id = a.group_id JOIN groups g ON g.id = a.group_id
			WHERE m.user_id = u.id AND a.role = $1 AND g.role_assignable = 1))`, string(role.GlobalAdministrator)).Scan(&n)
	return n, err
}

// Holders are those who hold a role, directly or through a group.
func (tx *Tx) Holders(id directory.RoleID) (all []directory.UserID, err error) {
	err = tx.each(`SELECT user_id FROM role_assignments WHERE role = $1 AND user_id IS NOT NULL UNION SELECT m.user_id FROM role_assignments a
		JOIN group_members m ON m.group_id = a.group_id JOIN groups g ON g.id = a.group_id WHERE a.role = $1 AND g.role_assignable = 1 ORDER BY 1`,
		func(r scanner) error { all = append(all, directory.UserID{}); return r.Scan(&all[len(all)-1]) }, string(id))
	return all, err
}

// AssignRole adds an assignment. ErrDuplicate when it is there already.
func (tx *Tx) AssignRole(a directory.RoleAssignment) error {
	if err := tx.touchHolders(a); err != nil {
		return err
	}
	_, err := tx.exec(`INSERT INTO role_assignments (id, role, user_id, group_id, created) VALUES ($1, $2, $3, $4, $5)`,
		a.ID[:], string(a.Role), blob(a.User), blob(a.Group), micros(a.Created))
	return err
}

// RemoveRole deletes an assignment; those who lose the role by it lose their
// tokens. ErrNotFound.
func (tx *Tx) RemoveRole(id directory.AssignmentID) (directory.RoleAssignment, error) {
	a, err := tx.Assignment(id)
	if err != nil {
		return a, err
	}
	if err := tx.touchHolders(a); err != nil {
		return a, err
	}
	_, err = tx.exec(`DELETE FROM role_assignments WHERE id = $1`, id[:])
	return a, err
}

func (tx *Tx) touchHolders(a directory.RoleAssignment) error {
	if !a.User.IsZero() {
		return tx.touchRights(a.User)
	}
	return tx.touchMembers(a.Group)
}

// touchMembers remembers what each member holds. The group's row is locked
// first: whoever is added at the same time waits, and holds nothing by it yet.
func (tx *Tx) touchMembers(id directory.GroupID) error {
	if _, err := scanGroup(tx.row(`SELECT `+groupColumns+` FROM groups g WHERE g.id = $1`+tx.lock(), id[:])); err != nil {
		return err
	}
	members, err := tx.Members(id)
	if err != nil {
		return err
	}
	for _, m := range members { // in order of id: the lock order
		if err := tx.touchRights(m); err != nil {
			return err
		}
	}
	return nil
}

const assignmentColumns = `id, role, user_id, group_id, created`

func scanAssignment(r scanner) (a directory.RoleAssignment, err error) {
	var created int64
	err = found(r.Scan(&a.ID, &a.Role, &a.User, &a.Group, &created))
	a.Created = fromMicros(created)
	return a, err
}

// Assignment returns one role assignment. ErrNotFound.
func (tx *Tx) Assignment(id directory.AssignmentID) (directory.RoleAssignment, error) {
	return scanAssignment(tx.row(`SELECT `+assignmentColumns+` FROM role_assignments WHERE id = $1`, id[:]))
}

// Assignments lists all role assignments, by id.
func (tx *Tx) Assignments() (all []directory.RoleAssignment, err error) {
	err = tx.each(`SELECT `+assignmentColumns+` FROM role_assignments ORDER BY id`, func(r scanner) error {
		a, err := scanAssignment(r)
		all = append(all, a)
		return err
	})
	return all, err
}

// CreateGroup inserts a group. ErrDuplicate when the name is taken.
func (tx *Tx) CreateGroup(g directory.Group) error {
	_, err := tx.exec(`INSERT INTO groups (id, name, fold, description, role_assignable, created) VALUES ($1, $2, $3, $4, $5, $6)`,
		g.ID[:], g.Name, directory.FoldName(g.Name), g.Description, flag(g.RoleAssignable), micros(g.Created))
	return err
}

// ChangeGroup writes name and description. Whether roles can be assigned to a
// group is decided once, at its creation.
func (tx *Tx) ChangeGroup(g directory.Group) error {
	n, err := tx.exec(`UPDATE groups SET name = $1, fold = $2, description = $3 WHERE id = $4`, g.Name, directory.FoldName(g.Name), g.Description, g.ID[:])
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// DeleteGroup removes a group, its memberships, roles and assignments; whoever loses
// rights by it loses their tokens.
func (tx *Tx) DeleteGroup(id directory.GroupID) error {
	if err := tx.touchMembers(id); err != nil {
		return err
	}
	for _, q := range []string{`DELETE FROM role_assignments WHERE group_id = $1`, `DELETE FROM assignments WHERE group_id = $1`, `DELETE FROM group_members WHERE group_id = $1`} {
		if _, err := tx.exec(q, id[:]); err != nil {
			return err
		}
	}
	n, err := tx.exec(`DELETE FROM groups WHERE id = $1`, id[:])
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// AddMember puts a user into a group; once is enough.
func (tx *Tx) AddMember(id directory.GroupID, user directory.UserID) error {
	if err := tx.touchRights(user); err != nil {
		return err
	}
	_, err := tx.exec(`INSERT INTO group_members (group_id, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`, id[:], user[:])
	return err
}

// RemoveMember takes a user out of a group. ErrNotFound.
func (tx *Tx) RemoveMember(id directory.GroupID, user directory.UserID) error {
	if err := tx.touchRights(user); err != nil {
		return err
	}
	n, err := tx.exec(`DELETE FROM group_members WHERE group_id = $1 AND user_id = $2`, id[:], user[:])
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// Members lists a group's members in order of id.
func (tx *Tx) Members(id directory.GroupID) (ids []directory.UserID, err error) {
	err = tx.each(`SELECT user_id FROM group_members WHERE group_id = $1 ORDER BY user_id`, func(r scanner) error {
		var u directory.UserID
		err := r.Scan(&u)
		ids = append(ids, u)
		return err
	}, id[:])
	return ids, err
}

const groupColumns = `g.id, g.name, g.description, g.role_assignable, g.created`

func scanGroup(r scanner) (g directory.Group, err error) {
	var created int64
	err = found(r.Scan(&g.ID, &g.Name, &g.Description, &g.RoleAssignable, &created))
	g.Created = fromMicros(created)
	return g, err
}

// Group returns a group by id. ErrNotFound.
func (tx *Tx) Group(id directory.GroupID) (directory.Group, error) {
	return scanGroup(tx.row(`SELECT `+groupColumns+` FROM groups g WHERE g.id = $1`, id[:]))
}

// Groups lists all groups by name.
func (tx *Tx) Groups() ([]directory.Group, error) {
	return tx.groups(`SELECT ` + groupColumns + ` FROM groups g ORDER BY g.fold`)
}

// GroupsOf lists the groups a user is in.
func (tx *Tx) GroupsOf(id directory.UserID) ([]directory.Group, error) {
	return tx.groups(`SELECT `+groupColumns+` FROM groups g JOIN group_members m ON m.group_id = g.id WHERE m.user_id = $1 ORDER BY g.fold`, id[:])
}

func (tx *Tx) groups(q string, args ...any) (all []directory.Group, err error) {
	err = tx.each(q, func(r scanner) error {
		g, err := scanGroup(r)
		all = append(all, g)
		return err
	}, args...)
	return all, err
}

// ActorNow returns a with the roles it holds as of this transaction: what a
// token or a page remembered may be out of date.
func (tx *Tx) ActorNow(a directory.Actor) (directory.Actor, error) {
	if a.User.IsZero() || a.Operator || a.System {
		return a, nil
	}
	h, err := tx.Held(a.User)
	a.Held = h
	if tx.held == nil && tx.write {
		tx.held = map[directory.UserID]directory.Held{a.User: h}
	}
	return a, err
}

// judgeRights refuses when a role that the actor was judged by is gone by now,
// with the head locked: a cutoff of tokens does not cover who acts in a browser.
// What this transaction took from the actor itself was there until its commit.
func (tx *Tx) judgeRights() error {
	if !tx.db.Postgres() {
		return nil // one writer
	}
	for id, judged := range tx.held {
		now := tx.rights[id].held
		if _, own := tx.rights[id]; !own {
			var err error
			if now, err = tx.Held(id); err != nil {
				return err
			}
		}
		if !subset(judged.Roles, now.Roles) {
			return fault.New(fault.Denied, "A role of yours was removed before this was done. Nothing was changed.")
		}
	}
	return nil
}
