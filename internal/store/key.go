package store

import (
	"time"

	"github.com/curfew-id/curfew/internal/standing"
)

// Key is a signing key as it is stored: the private half wrapped. It is
// published for as long as its row is there, and signs from Active until
// Retired, both of which may lie ahead.
type Key struct {
	ID      string
	Alg     string // ES256, RS256, EdDSA
	Public  string // JWK
	Wrapped []byte // AES-256-GCM under a key derived from the master key
	Created time.Time
	Active  time.Time // signs from here on
	Retired time.Time // signs no more from here on; zero: nothing replaces it yet
}

// Keys lists all signing keys, the oldest first.
func (tx *Tx) Keys() (all []Key, err error) {
	err = tx.each(`SELECT kid, alg, public, wrapped, created, active, retired FROM keys ORDER BY created, active, kid`, func(r scanner) error {
		var k Key
		var created, active, retired int64
		err := r.Scan(&k.ID, &k.Alg, &k.Public, &k.Wrapped, &created, &active, &retired)
		k.Created, k.Active, k.Retired = fromMicros(created), fromMicros(active), fromMicros(retired)
		all = append(all, k)
		return err
	})
	return all, err
}

// HoldKeys lists all signing keys for a transaction that is going to change
// them. Keys change some four times a year and no row of theirs is always there
// to be locked, so who changes them holds the head from here on: of several nodes
// whose clocks say that it is time, one rotates and the others find it done.
func (tx *Tx) HoldKeys() ([]Key, error) {
	if tx.db.Postgres() { // there is one writer otherwise
		if _, err := tx.lockHead(); err != nil {
			return nil, err
		}
	}
	return tx.Keys()
}

// CreateKey stores and thereby publishes a signing key. ErrDuplicate.
func (tx *Tx) CreateKey(k Key) error {
	var n int
	if err := tx.row(`SELECT COUNT(*) FROM keys`).Scan(&n); err != nil {
		return err
	}
	if n > 0 { // nobody has read keys of a directory that had none
		tx.keysChanged()
	}
	_, err := tx.exec(`INSERT INTO keys (kid, alg, public, wrapped, created, active, retired) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		k.ID, k.Alg, k.Public, k.Wrapped, micros(k.Created), micros(k.Active), micros(k.Retired))
	return err
}

// TimeKey sets when a key begins and ends to sign. ErrNotFound.
func (tx *Tx) TimeKey(id string, active, retired time.Time) error {
	tx.keysChanged()
	n, err := tx.exec(`UPDATE keys SET active = $1, retired = $2 WHERE kid = $3`, micros(active), micros(retired), id)
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// DeleteKey removes a key: it is published no more, and no node verifies by it
// once it has followed the line. ErrNotFound.
func (tx *Tx) DeleteKey(id string) error {
	tx.keysChanged()
	n, err := tx.exec(`DELETE FROM keys WHERE kid = $1`, id)
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// keysChanged appends the line by which other nodes learn of it: one for the
// whole transaction.
func (tx *Tx) keysChanged() {
	for _, c := range tx.lines {
		if c.Cause == standing.KeysChanged || c.Cause == standing.KeyDropped {
			return
		}
	}
	tx.Cut(&Cut{Cause: standing.KeysChanged})
}
