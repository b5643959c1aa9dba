package store

import (
	"slices"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/standing"
)

const methodColumns = `id, user_id, kind, name, lookup, created, used, expires, counter, doc`

func scanMethod(r scanner) (*directory.Method, error) {
	m := &directory.Method{}
	var lookup []byte
	var created, used, expires int64
	if err := r.Scan(&m.ID, &m.User, &m.Kind, &m.Name, &lookup, &created, &used, &expires, &m.Counter, &m.Doc); err != nil {
		return nil, found(err)
	}
	copy(m.Lookup[:], lookup)
	m.Created, m.Used, m.Expires = fromMicros(created), fromMicros(used), fromMicros(expires)
	return m, nil
}

// Methods lists a user's methods, the oldest first, those that are over by their
// time too. In an Update they are locked. Lock order: after users, before sessions.
func (tx *Tx) Methods(user directory.UserID) (all []*directory.Method, err error) {
	err = tx.each(`SELECT `+methodColumns+` FROM methods WHERE user_id = $1 ORDER BY id`+tx.lock(), func(r scanner) error {
		m, err := scanMethod(r)
		all = append(all, m)
		return err
	}, user[:])
	return all, err
}

// MethodByLookup returns the passkey whose credential id has this SHA-256, locked
// in an Update. ErrNotFound.
func (tx *Tx) MethodByLookup(hash [32]byte) (*directory.Method, error) {
	return scanMethod(tx.row(`SELECT `+methodColumns+` FROM methods WHERE lookup = $1`+tx.lock(), hash[:]))
}

// AddMethod inserts a method and appends the line that it was added, by the person
// or by an administrator. ErrNotFound: there is no such user; ErrDuplicate.
func (tx *Tx) AddMethod(m *directory.Method, how UserChange) (*Cut, error) {
	event := standing.FactorGiven
	if how.Own {
		event = standing.FactorAdded
	}
	cut, err := tx.methodEvent(m.User, event, how)
	if err != nil {
		return nil, err
	}
	var lookup any
	if m.Lookup != [32]byte{} {
		lookup = m.Lookup[:]
	}
	_, err = tx.exec(`INSERT INTO methods (id, user_id, kind, name, lookup, created, used, expires, counter, doc) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		m.ID[:], m.User[:], string(m.Kind), m.Name, lookup, micros(m.Created), micros(m.Used), micros(m.Expires), m.Counter, m.Doc)
	return cut, err
}

// RemoveMethods deletes those of a user's methods that which picks, and appends the
// line that follows: what was proven by them, or without them, ends. What is over by
// its time is deleted with them and is no reason for a line. No line: nil.
// ErrNotFound: there is no such user.
func (tx *Tx) RemoveMethods(user directory.UserID, how UserChange, which func(*directory.Method) bool) (removed []*directory.Method, cut *Cut, err error) {
	if _, err := tx.lockUser(user); err != nil {
		return nil, nil, err
	}
	all, err := tx.Methods(user)
	if err != nil {
		return nil, nil, err
	}
	removed = slices.DeleteFunc(all, func(m *directory.Method) bool { return !which(m) })
	for _, m := range removed {
		if _, err := tx.exec(`DELETE FROM methods WHERE id = $1`, m.ID[:]); err != nil {
			return nil, nil, err
		}
	}
	if !slices.ContainsFunc(removed, func(m *directory.Method) bool { return m.Live(tx.Now) }) {
		return removed, nil, nil
	}
	event := standing.FactorReset
	if how.Own {
		event = standing.FactorRemoved
	}
	cut, err = tx.methodEvent(user, event, how)
	return removed, cut, err
}

// UseMethod notes that a method, as it was read and locked in this transaction, was
// used: when, and what of it is used up. It is no change of the user.
func (tx *Tx) UseMethod(m *directory.Method) error {
	n, err := tx.exec(`UPDATE methods SET used = $1, counter = $2, doc = $3, name = $4 WHERE id = $5`, micros(m.Used), m.Counter, m.Doc, m.Name, m.ID[:])
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// ForgetMethod deletes a method that is used up, such as a pass that was good once.
// What it has proven goes on: no line.
func (tx *Tx) ForgetMethod(id directory.MethodID) error {
	n, err := tx.exec(`DELETE FROM methods WHERE id = $1`, id[:])
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

func (tx *Tx) lockUser(id directory.UserID) (*directory.User, error) {
	u, err := scanUser(tx.row(`SELECT `+userColumns+` FROM users u WHERE u.id = $1`+tx.lock(), id[:]))
	if err == nil && !u.Deleted.IsZero() {
		err = ErrNotFound
	}
	return u, err
}

// methodEvent is the row diff of methods, as ChangeUser is that of a user's row.
func (tx *Tx) methodEvent(user directory.UserID, e standing.Event, how UserChange) (*Cut, error) {
	u, err := tx.lockUser(user)
	if err != nil {
		return nil, err
	}
	cut, err := tx.Event(e, standing.Victim{User: user.String()}, UserParty(u))
	if err != nil {
		return nil, err
	}
	if cut.spares {
		cut.Keep, cut.Cookie = how.Keep, how.Cookie
	}
	tx.Cut(cut)
	tx.reach = tx.reach || e == standing.FactorReset || e == standing.FactorRemoved
	if len(cut.Cuts) == 0 {
		return cut, nil
	}
	_, err = tx.exec(`UPDATE users SET valid_from = $1 WHERE id = $2`, micros(tx.Now), user[:])
	return cut, err
}

// RenewCookie gives a session another cookie value, by its SHA-256.
func (tx *Tx) RenewCookie(id directory.SessionID, cookie [32]byte) error {
	n, err := tx.exec(`UPDATE sessions SET cookie = $1, last_used = $2 WHERE id = $3`, cookie[:], micros(tx.Now), id[:])
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}
