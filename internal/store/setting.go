package store

import (
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/standing"
)

// Widening is how administrators have widened what ends what, as of this
// transaction's first look at it: what commits beside a change may go by either.
func (tx *Tx) Widening() (w standing.Widening, err error) {
	if tx.wide != nil {
		return *tx.wide, nil
	}
	var doc string
	if err = found(tx.row(`SELECT doc FROM settings WHERE id = 1`).Scan(&doc)); err == nil {
		w = standing.ReadWidening([]byte(doc))
	} else if err != ErrNotFound {
		return nil, err
	}
	tx.wide = &w
	return w, nil
}

// HoldWidening is Widening with the settings locked, to be changed.
func (tx *Tx) HoldWidening() (standing.Widening, error) {
	tx.wide = nil
	_, err := tx.exec(`INSERT INTO settings (id, version, doc) VALUES (1, 1, '{}') ON CONFLICT (id) DO UPDATE SET version = settings.version + 1`)
	if err != nil {
		return nil, err
	}
	return tx.Widening()
}

// SaveWidening writes it, with a line that ends nothing. The caller holds it.
func (tx *Tx) SaveWidening(w standing.Widening) error {
	c, err := tx.Event(standing.SettingChanged, standing.Victim{}, audit.Party{Kind: "directory", Name: "settings"})
	if err != nil {
		return err
	}
	tx.Cut(c)
	tx.wide = &w
	_, err = tx.exec(`UPDATE settings SET doc = $1 WHERE id = 1`, string(w.Format()))
	return err
}
