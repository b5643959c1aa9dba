package store

import (
	"encoding/json"
	"fmt"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/standing"
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

// HoldProvider is Provider for a transaction in which something is born through
// it: the row stays as it is until the commit, and what ends things through the
// provider comes before or after. Lock order: before users.
func (tx *Tx) HoldProvider(id directory.ProviderID) (*directory.Provider, error) {
	hold := ""
	if tx.write && tx.db.Postgres() {
		hold = ` FOR SHARE`
	}
	return scanProvider(tx.row(`SELECT `+providerColumns+` FROM providers WHERE id = $1`+hold, string(id)))
}

// LockProvider is HoldProvider for a transaction that ends things through it.
func (tx *Tx) LockProvider(id directory.ProviderID) (*directory.Provider, error) {
	return scanProvider(tx.row(`SELECT `+providerColumns+` FROM providers WHERE id = $1`+tx.lock(), string(id)))
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

// ProviderParty names a provider in ledger, receipts and audit.
func ProviderParty(p *directory.Provider) audit.Party {
	return audit.Party{Kind: "provider", ID: string(p.ID), Name: p.Name}
}

// SaveProvider creates or changes a provider, and ends what came through one that
// is not believed any more. The version is set by the store. ErrDuplicate when the
// issuer is another provider's.
func (tx *Tx) SaveProvider(p *directory.Provider) (*Cut, error) {
	old, err := tx.LockProvider(p.ID)
	if err != nil && err != ErrNotFound {
		return nil, err
	}
	c, err := tx.Event(standing.ProviderAltered, standing.Victim{}, ProviderParty(p))
	if err != nil {
		return nil, err
	}
	p.Version = int64(tx.Head) + 1 // each change is a line, so none that was deleted had it
	if old != nil {
		p.Version = old.Version + 1
		if old.Enabled && !p.Enabled || old.Issuer != p.Issuer || old.ClientID != p.ClientID {
			if c, err = tx.cutThrough(old, directory.UserID{}, standing.ProviderGone); err != nil {
				return nil, err
			}
		}
	}
	doc, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	tx.Cut(c)
	_, err = tx.exec(`INSERT INTO providers (id, issuer, enabled, version, doc) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (id) DO UPDATE SET issuer = excluded.issuer, enabled = excluded.enabled, version = excluded.version, doc = excluded.doc`,
		string(p.ID), p.Issuer, flag(p.Enabled), p.Version, string(doc))
	return c, err
}

// DeleteProvider removes a provider with its links, and ends what came through it.
// ErrNotFound.
func (tx *Tx) DeleteProvider(id directory.ProviderID) (*Cut, error) {
	old, err := tx.LockProvider(id)
	if err != nil {
		return nil, err
	}
	c, err := tx.cutThrough(old, directory.UserID{}, standing.ProviderGone)
	if err != nil {
		return nil, err
	}
	tx.Cut(c)
	for _, q := range []string{`DELETE FROM links WHERE provider = $1`, `DELETE FROM providers WHERE id = $1`} {
		if _, err := tx.exec(q, string(id)); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// cutThrough is the line of an event that ends the sessions that came through a
// provider, of one user or (zero) of all. What is dead already is not cut again.
func (tx *Tx) cutThrough(p *directory.Provider, user directory.UserID, e standing.Event) (*Cut, error) {
	row, err := tx.Row(e)
	if err != nil {
		return nil, err
	}
	all, err := tx.SessionsThrough(p.ID, "", user)
	if err != nil {
		return nil, err
	}
	c := &Cut{Cause: row.Cause, Target: ProviderParty(p)}
	for _, s := range all {
		if err := tx.HoldSession(s.ID); err != nil {
			return nil, err
		}
		v := standing.Victim{User: s.User.String()}
		o := s.Owner()
		dead, err := tx.Latest(&o, cutoff.Browser)
		if err != nil {
			return nil, err
		}
		if s.Born >= dead {
			v.Session = s.ID.String()
		}
		grants, err := tx.GrantsOfSession(s.ID)
		if err != nil {
			return nil, err
		}
		for _, g := range grants {
			o := g.Owner()
			if dead, err = tx.Latest(&o, cutoff.Token); err != nil {
				return nil, err
			}
			if g.Born >= dead && g.EndsWith().IsZero() {
				v.Grants = append(v.Grants, g.ID.String())
			}
		}
		if v.Session != "" || len(v.Grants) > 0 { // or a widened row would cut those who have nothing
			c.Cuts = append(c.Cuts, row.Cuts(v)...)
		}
	}
	c.WithReceipt = cutoff.Ends(c.Cuts)
	return c, nil
}

// SessionsThrough lists the sessions that came through a provider, dead or alive:
// those of its sid, or, with an empty one, of a user, or of all (zero).
func (tx *Tx) SessionsThrough(provider directory.ProviderID, sid string, user directory.UserID) (all []*grant.Session, err error) {
	q, args := ` WHERE provider = $1`, []any{string(provider)}
	if sid != "" {
		args = append(args, sid)
		q += fmt.Sprintf(` AND upstream_sid = $%d`, len(args))
	}
	if !user.IsZero() {
		args = append(args, user[:])
		q += fmt.Sprintf(` AND user_id = $%d`, len(args))
	}
	err = tx.each(`SELECT `+sessionColumns+` FROM sessions`+q+` AND provider <> '' ORDER BY id`, func(r scanner) error {
		s, err := scanSession(r)
		all = append(all, s)
		return err
	}, args...)
	return all, err
}

const linkColumns = `provider, subject, user_id, linked, proved, auth_time`

// LinkAt is a link with the ledger position under which it was last proven.
type LinkAt struct {
	directory.Link
	// Proved is the head at the beginning of the last sign-in through the link; 0:
	// there was none.
	Proved cutoff.Pos
}

func scanLink(r scanner) (*LinkAt, error) {
	l := &LinkAt{}
	var linked, auth int64
	if err := r.Scan(&l.Provider, &l.Subject, &l.User, &linked, &l.Proved, &auth); err != nil {
		return nil, found(err)
	}
	l.Linked, l.AuthTime = fromMicros(linked), fromMicros(auth)
	return l, nil
}

// Link notes that a subject of a provider is a user here. ErrDuplicate when it is
// somebody already.
func (tx *Tx) Link(provider directory.ProviderID, subject string, user directory.UserID) error {
	_, err := tx.exec(`INSERT INTO links (provider, subject, user_id, linked) VALUES ($1, $2, $3, $4)`, string(provider), subject, user[:], micros(tx.Now))
	return err
}

// ProveLink notes a sign-in through a link: begun under the head pos, with that
// auth_time (zero: none was told). Neither ever goes back.
func (tx *Tx) ProveLink(l *LinkAt) error {
	_, err := tx.exec(`UPDATE links SET proved = CASE WHEN proved < $1 THEN $1 ELSE proved END, auth_time = CASE WHEN auth_time < $2 THEN $2 ELSE auth_time END WHERE provider = $3 AND subject = $4`,
		int64(l.Proved), micros(l.AuthTime), string(l.Provider), l.Subject)
	return err
}

// Linked returns whose a provider's subject is, and locks it in an Update.
// ErrNotFound.
func (tx *Tx) Linked(provider directory.ProviderID, subject string) (*LinkAt, error) {
	return scanLink(tx.row(`SELECT `+linkColumns+` FROM links WHERE provider = $1 AND subject = $2`+tx.lock(), string(provider), subject))
}

// Links lists who a user is elsewhere.
func (tx *Tx) Links(user directory.UserID) (all []*LinkAt, err error) {
	err = tx.each(`SELECT `+linkColumns+` FROM links WHERE user_id = $1 ORDER BY provider, subject`, func(r scanner) error {
		l, err := scanLink(r)
		all = append(all, l)
		return err
	}, user[:])
	return all, err
}

// CountLinks counts the people linked to a provider.
func (tx *Tx) CountLinks(provider directory.ProviderID) (n int, err error) {
	return n, tx.row(`SELECT COUNT(*) FROM links WHERE provider = $1`, string(provider)).Scan(&n)
}

// Unlink removes the links of a user at a provider, and ends what came through it.
// The caller has locked the provider. ErrNotFound.
func (tx *Tx) Unlink(p *directory.Provider, user directory.UserID) (*Cut, error) {
	n, err := tx.exec(`DELETE FROM links WHERE provider = $1 AND user_id = $2`, string(p.ID), user[:])
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, ErrNotFound
	}
	c, err := tx.cutThrough(p, user, standing.UserUnlinked)
	if err == nil {
		tx.Cut(c)
	}
	return c, err
}

// HasLink reports whether a user is somebody at a provider.
func (tx *Tx) HasLink(user directory.UserID, provider directory.ProviderID) (bool, error) {
	var n int
	err := tx.row(`SELECT COUNT(*) FROM links WHERE user_id = $1 AND provider = $2`, user[:], string(provider)).Scan(&n)
	return n > 0, err
}
