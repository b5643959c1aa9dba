package devices

import (
	"fmt"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/internal/raw"
)

const columns = `id, user_id, name, platform, public_key, cookie, created, last_seen, lost, enabled, compliant, trust, born`

func scan(scan func(...any) error) (*directory.Device, error) {
	d := &directory.Device{}
	var cookie []byte
	var created, seen, lost int64
	if err := scan(&d.ID, &d.User, &d.Name, &d.Platform, &d.Key, &cookie, &created, &seen, &lost, &d.Enabled, &d.Compliant, &d.Trust, &d.BornPos); err != nil {
		return nil, err
	}
	copy(d.Cookie[:], cookie)
	d.Created, d.LastSeen, d.Lost = instant(created), instant(seen), instant(lost)
	return d, nil
}

func one(tx *store.Tx, where string, arg any) (*directory.Device, error) {
	return scan(func(dest ...any) error {
		return tx.SQL(raw.Key{}).Row(`SELECT `+columns+` FROM devices WHERE `+where, []any{arg}, dest...)
	})
}

// Get returns a device, disabled ones too. store.ErrNotFound.
func Get(tx *store.Tx, id directory.DeviceID) (*directory.Device, error) {
	return one(tx, `id = $1`, id[:])
}

// Hold is Get for a transaction in which something becomes bound to the device:
// what ends things on it comes before or after. Lock order: after tickets and
// users, before sessions.
func Hold(tx *store.Tx, id directory.DeviceID) (*directory.Device, error) {
	return one(tx, `id = $1`+share(tx), id[:])
}

func share(tx *store.Tx) string {
	if q := tx.SQL(raw.Key{}).Lock(); q != "" {
		return ` FOR SHARE`
	}
	return "" // one writer
}

func lock(tx *store.Tx, id directory.DeviceID) (*directory.Device, error) {
	return one(tx, `id = $1`+tx.SQL(raw.Key{}).Lock(), id[:])
}

// ByCookie returns the device whose cookie has this SHA-256. store.ErrNotFound.
func ByCookie(tx *store.Tx, hash [32]byte) (*directory.Device, error) {
	return one(tx, `cookie = $1`, hash[:])
}

// List lists a person's devices (zero: everybody's), the newest first, at most
// limit, from before (zero: the newest of all).
func List(tx *store.Tx, user directory.UserID, before directory.DeviceID, limit int) (all []*directory.Device, err error) {
	q, args := `SELECT `+columns+` FROM devices WHERE id < $1`, []any{before[:], int64(limit)}
	if before.IsZero() {
		q = `SELECT ` + columns + ` FROM devices WHERE id > $1`
	}
	if !user.IsZero() {
		q += ` AND user_id = $3`
		args = append(args, user[:])
	}
	err = tx.SQL(raw.Key{}).Each(q+` ORDER BY id DESC LIMIT $2`, func(row func(...any) error) error {
		d, err := scan(row)
		all = append(all, d)
		return err
	}, args...)
	return all, err
}

// Count counts a person's devices.
func Count(tx *store.Tx, user directory.UserID) (n int, err error) {
	return n, tx.SQL(raw.Key{}).Row(`SELECT COUNT(*) FROM devices WHERE user_id = $1`, []any{user[:]}, &n)
}

// Party names a device in ledger, receipts and audit.
func Party(d *directory.Device) audit.Party {
	return audit.Party{Kind: "device", ID: d.ID.String(), Name: d.Name}
}

// micros and instant are a time as columns hold it; 0 is the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func instant(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Create inserts a device, born at the head. store.ErrDuplicate when the key or
// the cookie is another device's.
func Create(tx *store.Tx, d *directory.Device) error {
	d.BornPos = tx.Head
	_, err := tx.SQL(raw.Key{}).Exec(`INSERT INTO devices (id, user_id, name, platform, public_key, cookie, created, last_seen, lost, enabled, compliant, trust, born)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		d.ID[:], d.User[:], d.Name, d.Platform, d.Key, d.Cookie[:], micros(d.Created), micros(d.LastSeen), micros(d.Lost), flag(d.Enabled), int64(d.Compliant), int64(d.Trust), int64(d.BornPos))
	return err
}

// Change locks a device's row, lets f change it, writes it, and appends what
// follows from the difference; the line is nil when nothing does. Whose it is, its
// key and its cookie never change. store.ErrNotFound.
func Change(tx *store.Tx, id directory.DeviceID, f func(*directory.Device) error) (cut *store.Cut, err error) {
	old, err := lock(tx, id)
	if err != nil {
		return nil, err
	}
	d := *old
	if err := f(&d); err != nil {
		return nil, err
	}
	if e := diff(old, &d); e != "" {
		if cut, err = event(tx, e, old); err != nil {
			return nil, err
		}
	}
	n, err := tx.SQL(raw.Key{}).Exec(`UPDATE devices SET name = $1, platform = $2, lost = $3, enabled = $4, compliant = $5, trust = $6 WHERE id = $7`,
		d.Name, d.Platform, micros(d.Lost), flag(d.Enabled), int64(d.Compliant), int64(d.Trust), id[:])
	if err == nil && n != 1 {
		err = fmt.Errorf("%d devices with the id %s", n, id)
	}
	return cut, err
}

// diff is the event that a change of a device's row is, the gravest of several;
// empty: none.
func diff(old, d *directory.Device) standing.Event {
	switch {
	case old.Lost.IsZero() && !d.Lost.IsZero():
		return standing.DeviceReported
	case old.Enabled && !d.Enabled:
		return standing.DeviceTurnedOff
	case old.Compliant != d.Compliant || old.Trust != d.Trust:
		return standing.DeviceJudged
	case !old.Enabled && d.Enabled:
		return standing.DeviceTurnedOn
	}
	return ""
}

// Delete removes a device and ends what is on it. store.ErrNotFound.
func Delete(tx *store.Tx, id directory.DeviceID) (*store.Cut, error) {
	c, err := Revoke(tx, id, standing.DeviceGone)
	if err != nil {
		return nil, err
	}
	_, err = tx.SQL(raw.Key{}).Exec(`DELETE FROM devices WHERE id = $1`, id[:])
	return c, err
}

// Revoke ends what is on a device and leaves its row as it is. store.ErrNotFound.
func Revoke(tx *store.Tx, id directory.DeviceID, e standing.Event) (*store.Cut, error) {
	d, err := lock(tx, id)
	if err != nil {
		return nil, err
	}
	return event(tx, e, d)
}

// event appends the line of an event. One cutoff of the device is enough for all
// that was born on it. What was given there before the browser was recognised
// carries no device in its access tokens, so that its grants are named.
func event(tx *store.Tx, e standing.Event, d *directory.Device) (*store.Cut, error) {
	v := standing.Victim{User: d.User.String(), Device: d.ID.String()}
	row, err := tx.Row(e)
	if err != nil {
		return nil, err
	}
	if row.Has(standing.GivenInIt) {
		before, err := givenBefore(tx, d.ID)
		if err != nil {
			return nil, err
		}
		for _, g := range before {
			o := g.Owner()
			if p, err := tx.Latest(&o, cutoff.Token); err != nil {
				return nil, err
			} else if g.Born >= p {
				v.Grants = append(v.Grants, g.ID.String())
			}
		}
	}
	c, err := tx.Event(e, v, Party(d))
	if err == nil {
		c.Whose = d.User.String()
		tx.Cut(c)
	}
	return c, err
}

// See notes that a device has proven its key.
func See(tx *store.Tx, id directory.DeviceID, at time.Time) error {
	_, err := tx.SQL(raw.Key{}).Exec(`UPDATE devices SET last_seen = $1 WHERE id = $2 AND last_seen < $1`, micros(at), id[:])
	return err
}
