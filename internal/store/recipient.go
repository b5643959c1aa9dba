package store

import (
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
)

// Recipient is somebody else's server that is told what the ledger says: how far
// it has confirmed, and what it is waiting for.
type Recipient struct {
	ID     string // kind and target
	Kind   string
	Target string // whose: a client_id
	// Pos and Mark are those of the last line that is done. Of the line after it,
	// everything up to Item is done too; empty: nothing.
	Pos  cutoff.Pos
	Mark Mark
	Item string
	// Attempts of what comes next have failed, the first of them at Failing, the
	// last for Error.
	Attempts int
	Failing  time.Time
	Error    string
	// Next is when somebody may try: a wait after a failure, or the end of the
	// lease of the node that is at it.
	Next time.Time
}

// KindLogout are applications that are told of logouts by back-channel.
const KindLogout = "logout"

// DeadLetter is what a recipient was not told: nobody tries any more by itself.
type DeadLetter struct {
	ID        directory.ID[DeadLetter]
	Recipient string
	Pos       cutoff.Pos // the line
	Item      string     // which part of it; the sender's own form
	Attempts  int
	Error     string
	At        time.Time // when it was given up
}

const recipientColumns = `id, kind, target, pos, mark, item, attempts, failing, next, error`

func scanRecipient(r scanner) (*Recipient, error) {
	x := &Recipient{}
	var mark []byte
	var failing, next int64
	if err := r.Scan(&x.ID, &x.Kind, &x.Target, &x.Pos, &mark, &x.Item, &x.Attempts, &failing, &next, &x.Error); err != nil {
		return nil, found(err)
	}
	copy(x.Mark[:], mark)
	x.Failing, x.Next = fromMicros(failing), fromMicros(next)
	return x, nil
}

// Recipients lists all recipients by id.
func (tx *Tx) Recipients() (all []*Recipient, err error) {
	err = tx.each(`SELECT `+recipientColumns+` FROM recipients ORDER BY id`, func(r scanner) error {
		x, err := scanRecipient(r)
		all = append(all, x)
		return err
	})
	return all, err
}

// Recipient returns a recipient, with its row locked in an Update. ErrNotFound.
func (tx *Tx) Recipient(id string) (*Recipient, error) {
	return scanRecipient(tx.row(`SELECT `+recipientColumns+` FROM recipients WHERE id = $1`+tx.lock(), id))
}

// SaveRecipient writes how far a recipient is, if its Next is still held: else
// another node has taken over, and knows better. ErrNotFound.
func (tx *Tx) SaveRecipient(r *Recipient, held time.Time) error {
	n, err := tx.exec(`UPDATE recipients SET pos = $1, mark = $2, item = $3, attempts = $4, failing = $5, next = $6, error = $7 WHERE id = $8 AND next = $9`,
		int64(r.Pos), r.Mark[:], r.Item, r.Attempts, micros(r.Failing), micros(r.Next), r.Error, r.ID, micros(held))
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// followApp keeps the recipient that goes with an application: it begins at the
// head, with what is cut from now on, and goes with the address. Its dead letters
// stay until somebody drops them.
func (tx *Tx) followApp(old, a *directory.App) error {
	had, has := old != nil && old.BackChannelLogoutURI != "", a != nil && a.BackChannelLogoutURI != ""
	switch {
	case has && !had:
		_, err := tx.exec(`INSERT INTO recipients (id, kind, target, pos, mark, item, attempts, failing, next, error) VALUES ($1, $2, $3, $4, $5, '', 0, 0, 0, '') ON CONFLICT (id) DO NOTHING`,
			KindLogout+":"+string(a.ID), KindLogout, string(a.ID), int64(tx.Head), tx.mark[:])
		return err
	case had && !has:
		_, err := tx.exec(`DELETE FROM recipients WHERE id = $1`, KindLogout+":"+string(old.ID))
		return err
	case has && old.BackChannelLogoutURI != a.BackChannelLogoutURI: // worth a try at once
		_, err := tx.exec(`UPDATE recipients SET next = 0 WHERE id = $1 AND attempts > 0`, KindLogout+":"+string(a.ID))
		return err
	}
	return nil
}

// LinesFrom reads up to limit lines after a cursor. For one that the ledger does
// not have, because history was lost, it begins again at the era line, which says
// that everything ended. Kinds: Unavailable (lost, and no era yet).
func (tx *Tx) LinesFrom(pos cutoff.Pos, mark Mark, limit int) ([]LineAt, error) {
	if pos == 0 {
		return tx.linesAfter(0, limit)
	}
	lines, err := tx.linesAfter(pos-1, limit+1)
	switch {
	case err != nil:
		return nil, err
	case len(lines) > 0 && lines[0].Pos == pos && lines[0].Mark == mark:
		return lines[1:], nil
	case tx.era <= pos:
		return nil, errLost
	}
	return tx.linesAfter(tx.era-1, limit)
}

// LineAt returns one line. ErrNotFound.
func (tx *Tx) LineAt(pos cutoff.Pos) (LineAt, error) {
	lines, err := tx.linesAfter(pos-1, 1)
	if err == nil && (len(lines) == 0 || lines[0].Pos != pos) {
		err = ErrNotFound
	}
	if err != nil {
		return LineAt{}, err
	}
	return lines[0], nil
}

// Concerned lists the recipients that a cutoff may be news for.
func (tx *Tx) Concerned(c cutoff.Cutoff) (ids []string, err error) {
	add := func(r scanner) error {
		var id string
		err := r.Scan(&id)
		ids = append(ids, id)
		return err
	}
	const join = `SELECT DISTINCT r.id FROM grants g JOIN recipients r ON r.target = g.app_id WHERE g.parent IS NULL AND g.`
	switch c.Scope {
	case cutoff.User:
		id, _ := directory.ParseID[directory.User](c.ID)
		return ids, tx.each(join+`user_id = $1`, add, id[:])
	case cutoff.Session:
		id, _ := directory.ParseID[directory.Session](c.ID)
		return ids, tx.each(join+`session = $1`, add, id[:])
	case cutoff.Grant:
		id, _ := directory.ParseID[directory.Grant](c.ID)
		return ids, tx.each(join+`id = $1`, add, id[:])
	case cutoff.App:
		return ids, tx.each(`SELECT id FROM recipients WHERE target = $1`, add, c.ID)
	case cutoff.UserApp:
		return ids, tx.each(`SELECT id FROM recipients WHERE target = $1`, add, c.ID[min(len(c.ID), 37):])
	}
	return ids, tx.each(`SELECT id FROM recipients`, add)
}

// SignIn is one sign-in of a user at an application, as far as its grant is still
// known.
type SignIn struct {
	User    directory.UserID
	Session directory.SessionID // zero: by device code
	Plain   bool                // at the plain issuer
	Offline bool
	Grant   directory.GrantID
	// Born is the larger of the grant's and its session's: an earlier one than a
	// line's is ended by it.
	Born cutoff.Pos
}

// SignIns lists the sign-ins of a user at an application, in no order.
func (tx *Tx) SignIns(user directory.UserID, app directory.AppID) ([]SignIn, error) {
	return tx.signIns(`g.user_id = $1`, user[:], app)
}

// SignInsOf is SignIns in one browser session.
func (tx *Tx) SignInsOf(session directory.SessionID, app directory.AppID) ([]SignIn, error) {
	return tx.signIns(`g.session = $1`, session[:], app)
}

func (tx *Tx) signIns(where string, id []byte, app directory.AppID) (all []SignIn, err error) {
	err = tx.each(`SELECT g.user_id, g.session, g.flags, g.id, g.born, COALESCE(s.born, 0) FROM grants g LEFT JOIN sessions s ON s.id = g.session WHERE `+where+` AND g.app_id = $2 AND g.parent IS NULL`,
		func(r scanner) error {
			var x SignIn
			var flags int64
			var session cutoff.Pos
			if err := r.Scan(&x.User, &x.Session, &flags, &x.Grant, &x.Born, &session); err != nil {
				return err
			}
			x.Plain, x.Offline, x.Born = flags&flagPlain != 0, flags&flagOffline != 0, max(x.Born, session)
			all = append(all, x)
			return nil
		}, id, string(app))
	return all, err
}

// UsersOf looks through the grants of the users after one, a bounded number of
// rows, and returns those that have one at the application. next is where to go
// on; zero: that was all. There is no index by application: such questions are
// rare, and it would cost every grant.
func (tx *Tx) UsersOf(app directory.AppID, after directory.UserID) (users []directory.UserID, next directory.UserID, err error) {
	const rows = 2000
	n := 0
	var last directory.UserID
	err = tx.each(`SELECT user_id, app_id FROM grants WHERE user_id > $1 ORDER BY user_id LIMIT $2`, func(r scanner) error {
		var of directory.AppID
		if err := r.Scan(&last, &of); err != nil {
			return err
		}
		if n++; of == app && (len(users) == 0 || users[len(users)-1] != last) {
			users = append(users, last)
		}
		return nil
	}, after[:], rows)
	if err != nil || n < rows {
		return users, next, err
	}
	// The rows of the last one may go on beyond these.
	if len(users) == 0 || users[len(users)-1] != last {
		var id directory.UserID
		err = found(tx.row(`SELECT user_id FROM grants WHERE user_id = $1 AND app_id = $2 LIMIT 1`, last[:], string(app)).Scan(&id))
		switch err {
		case nil:
			users = append(users, last)
		case ErrNotFound:
			err = nil
		}
	}
	return users, last, err
}

// CreateDeadLetter stores what is given up.
func (tx *Tx) CreateDeadLetter(d *DeadLetter) error {
	_, err := tx.exec(`INSERT INTO dead_letters (id, recipient, pos, item, attempts, error, at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		d.ID[:], d.Recipient, int64(d.Pos), d.Item, d.Attempts, d.Error, micros(d.At))
	return err
}

const letterColumns = `id, recipient, pos, item, attempts, error, at`

func scanLetter(r scanner) (*DeadLetter, error) {
	d := &DeadLetter{}
	var at int64
	err := r.Scan(&d.ID, &d.Recipient, &d.Pos, &d.Item, &d.Attempts, &d.Error, &at)
	d.At = fromMicros(at)
	return d, found(err)
}

// DeadLetter returns a dead letter, with its row locked in an Update. ErrNotFound.
func (tx *Tx) DeadLetter(id directory.ID[DeadLetter]) (*DeadLetter, error) {
	return scanLetter(tx.row(`SELECT `+letterColumns+` FROM dead_letters WHERE id = $1`+tx.lock(), id[:]))
}

// DeadLetters lists dead letters after an id (zero: from the oldest), at most limit.
func (tx *Tx) DeadLetters(after directory.ID[DeadLetter], limit int) (all []*DeadLetter, err error) {
	err = tx.each(`SELECT `+letterColumns+` FROM dead_letters WHERE id > $1 ORDER BY id LIMIT $2`, func(r scanner) error {
		d, err := scanLetter(r)
		all = append(all, d)
		return err
	}, after[:], int64(limit))
	return all, err
}

// CountDeadLetters counts the dead letters of each recipient that has some.
func (tx *Tx) CountDeadLetters() (map[string]int, error) {
	counts := map[string]int{}
	err := tx.each(`SELECT recipient, COUNT(*) FROM dead_letters GROUP BY recipient`, func(r scanner) error {
		var id string
		var n int
		err := r.Scan(&id, &n)
		counts[id] = n
		return err
	})
	return counts, err
}

// SaveDeadLetter writes what another try has changed.
func (tx *Tx) SaveDeadLetter(d *DeadLetter) error {
	_, err := tx.exec(`UPDATE dead_letters SET item = $1, attempts = $2, error = $3 WHERE id = $4`, d.Item, d.Attempts, d.Error, d.ID[:])
	return err
}

// DeleteDeadLetter removes a dead letter.
func (tx *Tx) DeleteDeadLetter(id directory.ID[DeadLetter]) error {
	_, err := tx.exec(`DELETE FROM dead_letters WHERE id = $1`, id[:])
	return err
}
