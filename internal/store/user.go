package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/standing"
)

const userColumns = `u.id, u.name, u.display_name, u.given_name, u.surname, u.mail, u.nickname, u.job_title, u.department, u.office, u.mobile, u.language,
	u.service, u.enabled, u.created, u.deleted, u.valid_from, u.pw_hash, u.pw_version, u.pw_changed, u.pw_must_change, u.born`

// userDest returns the destinations for userColumns, and a function that
// finishes the user after the scan.
func userDest(u *directory.User) ([]any, func()) {
	var created, deleted, validFrom, changed int64
	return []any{&u.ID, &u.Name, &u.DisplayName, &u.GivenName, &u.Surname, &u.Mail, &u.Nickname, &u.JobTitle, &u.Department, &u.Office, &u.Mobile, &u.Language,
			&u.Service, &u.Enabled, &created, &deleted, &validFrom, &u.Password.Hash, &u.Password.Version, &changed, &u.Password.MustChange, &u.BornPos},
		func() {
			u.Created, u.Deleted, u.ValidFrom, u.Password.Changed = fromMicros(created), fromMicros(deleted), fromMicros(validFrom), fromMicros(changed)
		}
}

func scanUser(r scanner) (*directory.User, error) {
	u := &directory.User{}
	dest, done := userDest(u)
	if err := r.Scan(dest...); err != nil {
		return nil, found(err)
	}
	done()
	return u, nil
}

// User returns a user by id, deleted ones too. ErrNotFound.
func (tx *Tx) User(id directory.UserID) (*directory.User, error) {
	return scanUser(tx.row(`SELECT `+userColumns+` FROM users u WHERE u.id = $1`, id[:]))
}

// UserByName returns the existing user of that name, ignoring case. ErrNotFound.
func (tx *Tx) UserByName(name string) (*directory.User, error) {
	return scanUser(tx.row(`SELECT `+userColumns+` FROM users u WHERE u.fold = $1`, directory.FoldName(name)))
}

// CreateUser inserts u. The caller has given it an id; born is the head.
// ErrDuplicate when the name is taken.
func (tx *Tx) CreateUser(u *directory.User) error {
	u.BornPos = tx.Head
	_, err := tx.exec(`INSERT INTO users (id, name, fold, display_name, display_fold, given_name, surname, mail, nickname, job_title, department, office, mobile, language,
		service, enabled, created, deleted, valid_from, pw_hash, pw_version, pw_changed, pw_must_change, born)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 0, $18, $19, $20, $21, $22, $23)`,
		u.ID[:], u.Name, directory.FoldName(u.Name), u.DisplayName, strings.ToLower(u.DisplayName), u.GivenName, u.Surname, u.Mail, u.Nickname, u.JobTitle, u.Department, u.Office, u.Mobile, u.Language,
		flag(u.Service), flag(u.Enabled), micros(u.Created), micros(u.ValidFrom), u.Password.Hash, u.Password.Version, micros(u.Password.Changed), flag(u.Password.MustChange), int64(u.BornPos))
	if err != nil {
		return err
	}
	return tx.writeWords(u)
}

// UserChange is what the row diff needs to know beyond the two rows.
type UserChange struct {
	// Own: the person changed it, not an administrator.
	Own bool
	// Keep is the session that an own password change spares, Cookie the
	// SHA-256 of its new cookie value.
	Keep   directory.SessionID
	Cookie [32]byte
}

// ChangeUser locks the user's row, lets f change it, writes it, and appends
// what follows from the difference. It returns the lines appended (at most
// one); their positions are known after the commit. ErrNotFound, ErrDuplicate.
func (tx *Tx) ChangeUser(id directory.UserID, how UserChange, f func(*directory.User) error) (cut *Cut, err error) {
	old, err := scanUser(tx.row(`SELECT `+userColumns+` FROM users u WHERE u.id = $1`+tx.lock(), id[:]))
	if err != nil {
		return nil, err
	}
	u := *old
	if err := f(&u); err != nil {
		return nil, err
	}
	u.ID, u.BornPos, u.Created, u.Service = old.ID, old.BornPos, old.Created, old.Service
	if u.Password.Hash != old.Password.Hash && u.Password.Version == old.Password.Version {
		u.Password.Version++ // another hash is another password, whoever forgot to say so
	}
	if e := diffUser(old, &u, how); e != "" {
		if cut, err = tx.Event(e, standing.Victim{User: id.String()}, UserParty(old)); err != nil {
			return nil, err
		}
		// A session that the change itself opens, at the end of a sign-in, is none of
		// those before it, whatever the table spares.
		if cut.spares || e == standing.PasswordReplaced && !how.Own {
			cut.Keep, cut.Cookie = how.Keep, how.Cookie
		}
		if cutoff.Ends(cut.Cuts) {
			u.ValidFrom = tx.Now
		}
		if old.Enabled && !u.Enabled || !u.Deleted.IsZero() {
			held, err := tx.Held(id)
			if err != nil {
				return nil, err
			}
			if held.Has(role.GlobalAdministrator) {
				tx.admins, tx.reach = true, true
			}
		}
		tx.Cut(cut)
	}
	return cut, tx.writeUser(old, &u)
}

// diffUser is the event that a change of a user's row is; empty: none.
func diffUser(old, u *directory.User, how UserChange) standing.Event {
	switch {
	case old.Deleted.IsZero() && !u.Deleted.IsZero():
		return standing.UserDeleted
	case old.Enabled && !u.Enabled:
		return standing.UserDisabled
	case old.Password.Version != u.Password.Version && (how.Own || !how.Keep.IsZero()):
		return standing.PasswordReplaced
	case old.Password.Version != u.Password.Version:
		return standing.PasswordGiven
	case !old.Enabled && u.Enabled:
		return standing.UserEnabled
	}
	return ""
}

// RevokeUser cuts everything of the user at this transaction's line. A user is
// always cut, however recently: something may be in flight.
func (tx *Tx) RevokeUser(id directory.UserID, keep directory.SessionID, cookie [32]byte) (*Cut, *directory.User, error) {
	old, err := scanUser(tx.row(`SELECT `+userColumns+` FROM users u WHERE u.id = $1`+tx.lock(), id[:]))
	if err != nil {
		return nil, nil, err
	}
	c, err := tx.Event(standing.UserRevoked, standing.Victim{User: id.String()}, UserParty(old))
	if err != nil {
		return nil, nil, err
	}
	c.Keep, c.Cookie = keep, cookie
	tx.Cut(c)
	n, err := tx.exec(`UPDATE users SET valid_from = $1 WHERE id = $2`, micros(tx.Now), id[:])
	if err == nil {
		err = exactly(n, 1, "users")
	}
	return c, old, err
}

// UserParty names a user in ledger, receipts and audit.
func UserParty(u *directory.User) audit.Party {
	return audit.Party{Kind: "user", ID: u.ID.String(), Name: u.Name}
}

func (tx *Tx) writeUser(old, u *directory.User) error {
	var fold any = directory.FoldName(u.Name)
	if !u.Deleted.IsZero() {
		fold = nil // frees the name, never the id
	}
	n, err := tx.exec(`UPDATE users SET name = $1, fold = $2, display_name = $3, given_name = $4, surname = $5, mail = $6, nickname = $7, job_title = $8,
		department = $9, office = $10, mobile = $11, language = $12, enabled = $13, deleted = $14, valid_from = $15, pw_hash = $16, pw_version = $17, pw_changed = $18, pw_must_change = $19, display_fold = $20
		WHERE id = $21`,
		u.Name, fold, u.DisplayName, u.GivenName, u.Surname, u.Mail, u.Nickname, u.JobTitle, u.Department, u.Office, u.Mobile, u.Language,
		flag(u.Enabled), micros(u.Deleted), micros(u.ValidFrom), u.Password.Hash, u.Password.Version, micros(u.Password.Changed), flag(u.Password.MustChange), strings.ToLower(u.DisplayName), u.ID[:])
	if err == nil {
		err = exactly(n, 1, "users")
	}
	if err != nil {
		return err
	}
	if strings.Join(words(old), " ") == strings.Join(words(u), " ") {
		return nil
	}
	if _, err := tx.exec(`DELETE FROM user_words WHERE user_id = $1`, u.ID[:]); err != nil {
		return err
	}
	return tx.writeWords(u)
}

// RehashPassword replaces the stored form of an unchanged password: the same
// password under newer parameters. Nothing ends, so it is not a change; it does
// nothing when the password has been changed meanwhile.
func (tx *Tx) RehashPassword(id directory.UserID, version int64, hash string) error {
	_, err := tx.exec(`UPDATE users SET pw_hash = $1 WHERE id = $2 AND pw_version = $3`, hash, id[:], version)
	return err
}

// wordFields are the fields whose words are indexed, each with the letter that
// stands before its words.
var wordFields = []struct {
	field  directory.Field
	letter string
}{
	{directory.FieldDisplayName, "d"}, {directory.FieldName, "n"}, {directory.FieldMail, "m"}, {directory.FieldGivenName, "g"},
	{directory.FieldSurname, "s"}, {directory.FieldNickname, "k"}, {directory.FieldJobTitle, "j"}, {directory.FieldDepartment, "p"},
}

func words(u *directory.User) []string {
	if !u.Deleted.IsZero() {
		return nil
	}
	var out []string
	for _, f := range wordFields {
		for _, w := range directory.Words(u.Value(f.field).Text) {
			out = append(out, f.letter+":"+w)
		}
	}
	return out
}

// writeWords indexes a user's words, all in one statement.
func (tx *Tx) writeWords(u *directory.User) error {
	all := words(u)
	slices.Sort(all)
	all = slices.Compact(all)
	if len(all) == 0 {
		return nil
	}
	args := []any{u.ID[:]}
	var q strings.Builder
	q.WriteString(`INSERT INTO user_words (word, user_id) VALUES `)
	for i, w := range all {
		if i > 0 {
			q.WriteString(", ")
		}
		args = append(args, w)
		fmt.Fprintf(&q, "($%d, $1)", len(args))
	}
	_, err := tx.exec(q.String(), args...)
	return err
}

// UserPage is a page of users.
type UserPage struct {
	Users []*directory.User
	Next  string // key of the next page; empty: there is none
	Count int    // all that match, when asked for; else -1
}

// Users lists users. directory.ErrPage for a foreign paging key.
func (tx *Tx) Users(q directory.UserQuery) (UserPage, error) {
	page := UserPage{Count: -1}
	w := &where{pg: tx.db.Postgres()}
	w.and("u.service = " + fmt.Sprint(flag(q.Service)))
	if q.Deleted {
		w.and("u.deleted <> 0")
	} else {
		w.and("u.deleted = 0")
	}
	for _, e := range []*directory.Expr{q.Filter, q.Search} {
		if e == nil {
			continue
		}
		c, err := w.expr(e)
		if err != nil {
			return page, err
		}
		w.and(c)
	}
	if q.Count {
		if err := tx.row(`SELECT COUNT(*) FROM users u WHERE `+w.String(), w.args...).Scan(&page.Count); err != nil {
			return page, err
		}
	}
	dir, beyond := "", ">"
	if q.Order.Desc {
		dir, beyond = " DESC", "<"
	}
	order := "u.id" + dir
	col := ""
	if q.Order.Field != "" {
		var ok bool
		if col, ok = userFields[q.Order.Field]; !ok {
			return page, errors.New("unknown order field " + string(q.Order.Field))
		}
		if new(directory.User).Value(q.Order.Field).Kind == directory.KindText {
			col = w.folded(q.Order.Field)
		}
		if q.Order.Field == directory.FieldName && !q.Deleted {
			col = "u.fold"
		}
		order = col + dir + ", " + order
	}
	if q.After != "" {
		v, id, err := q.Order.ParsePageKey(q.After)
		if err != nil {
			return page, err
		}
		i := w.arg(id[:])
		if col == "" {
			w.and("u.id " + beyond + " " + i)
		} else {
			x := w.value(v)
			w.and(fmt.Sprintf("(%s %s %s OR (%s = %s AND u.id %s %s))", col, beyond, x, col, x, beyond, i))
		}
	}
	limit := q.Limit()
	err := tx.each(`SELECT `+userColumns+` FROM users u WHERE `+w.String()+` ORDER BY `+order+fmt.Sprintf(" LIMIT %d", limit+1), func(r scanner) error {
		u, err := scanUser(r)
		if err != nil {
			return err
		}
		page.Users = append(page.Users, u)
		return nil
	}, w.args...)
	if err == nil && len(page.Users) > limit {
		page.Users = page.Users[:limit]
		page.Next = q.Order.PageKey(page.Users[limit-1])
	}
	return page, err
}
