package store

import (
	"encoding/json"
	"fmt"

	"github.com/curfew-id/curfew/internal/directory"
)

const providerColumns = `id, issuer, enabled, version, doc`

func scanProvider(r scanner) (*directory.Provider, error) {
	var p, row directory.Provider
	var doc string
	if err := r.Scan(&row.ID, &row.Issuer, &row.Enabled, &row.Version, &doc); err != nil {
		return nil, found(err)
	}
	if err := json.Unmarshal([]byte(doc), &p); err != nil {
		return nil, fmt.Errorf("provider %s: %w", row.ID, err) // an unreadable row is no provider: doubt closes
	}
	p.ID, p.Issuer, p.Enabled, p.Version = row.ID, row.Issuer, row.Enabled, row.Version
	return &p, nil
}

// Provider returns another identity provider. ErrNotFound.
func (tx *Tx) Provider(id directory.ProviderID) (*directory.Provider, error) {
	return scanProvider(tx.row(`SELECT `+providerColumns+` FROM providers WHERE id = $1`, string(id)))
}

// Providers lists other identity providers by id.
func (tx *Tx) Providers() (all []*directory.Provider, err error) {
	err = tx.each(`SELECT `+providerColumns+` FROM providers ORDER BY id`, func(r scanner) error {
		p, err := scanProvider(r)
		all = append(all, p)
		return err
	})
	return all, err
}

// SaveProvider creates or changes a provider. The version is set by the store.
func (tx *Tx) SaveProvider(p *directory.Provider) error {
	old, err := scanProvider(tx.row(`SELECT `+providerColumns+` FROM providers WHERE id = $1`+tx.lock(), string(p.ID)))
	if err != nil && err != ErrNotFound {
		return err
	}
	p.Version = 1
	if old != nil {
		p.Version = old.Version + 1
	}
	doc, err := json.Marshal(p)
	if err != nil {
		return err
	}
	_, err = tx.exec(`INSERT INTO providers (id, issuer, enabled, version, doc) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (id) DO UPDATE SET issuer = excluded.issuer, enabled = excluded.enabled, version = excluded.version, doc = excluded.doc`,
		string(p.ID), p.Issuer, flag(p.Enabled), p.Version, string(doc))
	return err
}

// Link notes that a subject of a provider is a user here. ErrDuplicate when it is
// somebody already.
func (tx *Tx) Link(provider directory.ProviderID, subject string, user directory.UserID) error {
	_, err := tx.exec(`INSERT INTO links (provider, subject, user_id, linked) VALUES ($1, $2, $3, $4)`, string(provider), subject, user[:], micros(tx.Now))
	return err
}

// Linked returns whose a provider's subject is. ErrNotFound.
func (tx *Tx) Linked(provider directory.ProviderID, subject string) (id directory.UserID, err error) {
	return id, found(tx.row(`SELECT user_id FROM links WHERE provider = $1 AND subject = $2`, string(provider), subject).Scan(&id))
}

// HasLink reports whether a user is somebody at a provider.
func (tx *Tx) HasLink(user directory.UserID, provider directory.ProviderID) (bool, error) {
	var n int
	err := tx.row(`SELECT COUNT(*) FROM links WHERE user_id = $1 AND provider = $2`, user[:], string(provider)).Scan(&n)
	return n > 0, err
}
