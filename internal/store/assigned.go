package store

import (
	"slices"

	"github.com/curfew-id/curfew/internal/directory"
)

// Who is assigned to which application, directly or through a group.

const appAssignmentColumns = `a.id, a.app_id, a.user_id, a.group_id, a.role, a.created`

func (tx *Tx) appAssignments(q string, args ...any) (all []directory.AppAssignment, err error) {
	err = tx.each(q, func(r scanner) error {
		var a directory.AppAssignment
		var created int64
		err := r.Scan(&a.ID, &a.App, &a.User, &a.Group, &a.Role, &created)
		a.Created = fromMicros(created)
		all = append(all, a)
		return err
	}, args...)
	return all, err
}

// AppAssignments lists the assignments to an application, the oldest first.
func (tx *Tx) AppAssignments(app directory.AppID) ([]directory.AppAssignment, error) {
	return tx.appAssignments(`SELECT `+appAssignmentColumns+` FROM assignments a WHERE a.app_id = $1 ORDER BY a.created, a.id`, string(app))
}

// AppAssignmentsOf lists a user's own assignments, without those of groups, the oldest first.
func (tx *Tx) AppAssignmentsOf(user directory.UserID) ([]directory.AppAssignment, error) {
	return tx.appAssignments(`SELECT `+appAssignmentColumns+` FROM assignments a WHERE a.user_id = $1 ORDER BY a.created, a.id`, user[:])
}

// AppAssignment returns one assignment. ErrNotFound.
func (tx *Tx) AppAssignment(id directory.AppAssignmentID) (a directory.AppAssignment, err error) {
	all, err := tx.appAssignments(`SELECT `+appAssignmentColumns+` FROM assignments a WHERE a.id = $1`, id[:])
	if err == nil && len(all) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return a, err
	}
	return all[0], nil
}

// HoldApp returns an application with its row locked: who owns it stays so until
// the commit. ErrNotFound. Lock order: before users and groups.
func (tx *Tx) HoldApp(id directory.AppID) (*directory.App, error) {
	return tx.scanApp(tx.row(`SELECT `+appColumns+` FROM apps WHERE id = $1`+tx.lock(), string(id)))
}

// AssignApp adds an assignment. ErrDuplicate when it is there already.
func (tx *Tx) AssignApp(a directory.AppAssignment) error {
	if err := tx.touchAssigned(a); err != nil {
		return err
	}
	_, err := tx.exec(`INSERT INTO assignments (id, app_id, user_id, group_id, role, created) VALUES ($1, $2, $3, $4, $5, $6)`,
		a.ID[:], string(a.App), blob(a.User), blob(a.Group), a.Role, micros(a.Created))
	return err
}

// UnassignApp deletes an assignment; those who have no other to that application
// lose what they hold of it. ErrNotFound.
func (tx *Tx) UnassignApp(a directory.AppAssignment) error {
	if err := tx.touchAssigned(a); err != nil {
		return err
	}
	n, err := tx.exec(`DELETE FROM assignments WHERE id = $1`, a.ID[:])
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

func (tx *Tx) touchAssigned(a directory.AppAssignment) error {
	if !a.User.IsZero() {
		return tx.touchRights(a.User)
	}
	return tx.touchMembers(a.Group)
}

// assignedTo lists the applications that a user is assigned to, sorted.
func (tx *Tx) assignedTo(id directory.UserID) (apps []directory.AppID, err error) {
	err = tx.each(`SELECT a.app_id FROM assignments a WHERE a.user_id = $1
		UNION SELECT a.app_id FROM assignments a JOIN group_members m ON m.group_id = a.group_id WHERE m.user_id = $1`,
		func(r scanner) error {
			var x directory.AppID
			err := r.Scan(&x)
			apps = append(apps, x)
			return err
		}, id[:])
	slices.Sort(apps)
	return apps, err
}

// Unassigned reports whether an application lets only people in who are assigned
// to it, and this user is not.
func (tx *Tx) Unassigned(app *directory.App, user directory.UserID) (bool, error) {
	if !app.AssignmentRequired {
		return false, nil
	}
	var assigned bool
	err := tx.row(`SELECT EXISTS (SELECT 1 FROM assignments a WHERE a.app_id = $1 AND a.user_id = $2)
		OR EXISTS (SELECT 1 FROM assignments a JOIN group_members m ON m.group_id = a.group_id WHERE a.app_id = $1 AND m.user_id = $2)`,
		string(app.ID), user[:]).Scan(&assigned)
	return !assigned, err
}

// without lists the applications of a list that another does not have: what a
// user lost or gained, whether or not they demand an assignment at the moment,
// since somebody may be about to make them.
func without(all, others []directory.AppID) []directory.AppID {
	return slices.DeleteFunc(slices.Clone(all), func(a directory.AppID) bool { return slices.Contains(others, a) })
}
