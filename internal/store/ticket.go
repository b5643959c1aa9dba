package store

import (
	"context"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
)

// Ticket is something handed out that is good once, for a while: an
// authorization code, a device code, a stored request, a set-up link. It is
// found by the SHA-256 of its random value.
type Ticket struct {
	Hash    [32]byte
	Kind    string
	Alias   string // a second name, such as a user code; unique; empty: none
	Born    cutoff.Pos
	User    directory.UserID // zero until it is somebody's
	App     directory.AppID
	Expires time.Time
	Used    time.Time // zero until it was used
	Doc     string    // JSON, the owner's
}

// CreateTicket inserts a ticket, born at the head. A ticket that takes an older
// head (because a fact was judged under it) sets Born before. ErrDuplicate when
// the alias is taken.
func (tx *Tx) CreateTicket(t *Ticket) error {
	if t.Born == 0 || t.Born > tx.Head {
		t.Born = tx.Head
	}
	var alias any
	if t.Alias != "" {
		alias = t.Alias
	}
	_, err := tx.exec(`INSERT INTO tickets (hash, kind, alias, born, user_id, app_id, expires, used, doc) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		t.Hash[:], t.Kind, alias, int64(t.Born), blob(t.User), string(t.App), micros(t.Expires), micros(t.Used), t.Doc)
	return err
}

const ticketColumns = `hash, kind, COALESCE(alias, ''), born, user_id, app_id, expires, used, doc`

func scanTicket(r scanner) (*Ticket, error) {
	t := &Ticket{}
	var hash []byte
	var expires, used int64
	if err := r.Scan(&hash, &t.Kind, &t.Alias, &t.Born, &t.User, &t.App, &expires, &used, &t.Doc); err != nil {
		return nil, found(err)
	}
	copy(t.Hash[:], hash)
	t.Expires, t.Used = fromMicros(expires), fromMicros(used)
	return t, nil
}

// Ticket returns a ticket of a kind, used or not, expired or not, and locks it
// in an Update. ErrNotFound.
func (tx *Tx) Ticket(kind string, hash [32]byte) (*Ticket, error) {
	return scanTicket(tx.row(`SELECT `+ticketColumns+` FROM tickets WHERE hash = $1 AND kind = $2`+tx.lock(), hash[:], kind))
}

// TicketByAlias is Ticket by its second name.
func (tx *Tx) TicketByAlias(kind, alias string) (*Ticket, error) {
	return scanTicket(tx.row(`SELECT `+ticketColumns+` FROM tickets WHERE alias = $1 AND kind = $2`+tx.lock(), alias, kind))
}

// SaveTicket writes what changes in a ticket's life: whose it is and when that
// made it be born, whether it was used, and the document.
func (tx *Tx) SaveTicket(t *Ticket) error {
	n, err := tx.exec(`UPDATE tickets SET born = $1, user_id = $2, used = $3, doc = $4 WHERE hash = $5`, int64(t.Born), blob(t.User), micros(t.Used), t.Doc, t.Hash[:])
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// DeleteTicket removes a ticket.
func (tx *Tx) DeleteTicket(hash [32]byte) error {
	_, err := tx.exec(`DELETE FROM tickets WHERE hash = $1`, hash[:])
	return err
}

// sweepStep is how many rows of a large table one transaction deletes.
const sweepStep = 1000

// Sweep deletes what can never be good again, in small steps, and returns how
// many rows it removed. Correctness never depends on it having run.
//
// A session or grant goes a day after it was last any good, and not before the
// last access token of the grant, with a verifier's leeway, has ended. A cutoff of one
// session or grant goes when nothing that old can be there any more, one that only puts
// access tokens in doubt when it is below [DB.Floor]; others of users and applications stay.
func (db *DB) Sweep(ctx context.Context) (removed int64, err error) {
	now := db.cfg.Now()
	l := db.cfg.Lifetimes
	day := 24 * time.Hour
	steps := []struct {
		q    string
		args []any
	}{
		{`DELETE FROM tickets WHERE hash IN (SELECT hash FROM tickets WHERE expires < $1 LIMIT 1000)`, []any{micros(now.Add(-day))}},
		// One that never said goodbye stays on the receipts that wait for it.
		{`DELETE FROM guards WHERE answered < $1 AND registered < $1 AND (gone <> 0 OR answered < $2 AND registered < $2)`, []any{micros(now.Add(-day)), micros(now.Add(-30 * day))}},
		{`DELETE FROM methods WHERE expires <> 0 AND expires < $1`, []any{micros(now.Add(-day))}},
		{`DELETE FROM paces WHERE whole < $1`, []any{micros(now.Add(-day))}},
		{`DELETE FROM nodes WHERE beat < $1`, []any{micros(now.Add(-day))}},
		{`DELETE FROM app_tokens WHERE expires < $1`, []any{now.Add(-day).Unix()}},
		{`DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE last_used < $1 LIMIT 1000)`, []any{micros(now.Add(-l.SessionKept - day))}},
		{`DELETE FROM cutoffs WHERE scope IN (3, 4) AND pos < (SELECT COALESCE(MAX(pos), 0) FROM ledger WHERE at < $1)`, []any{micros(now.Add(-max(l.SessionAbsolute, l.SessionKept, l.GrantIdle) - 30*day))}},
		{`DELETE FROM cutoffs WHERE reach = 3 AND pos < (SELECT COALESCE(MAX(pos), 0) FROM ledger WHERE at < $1 - (SELECT longest_life FROM directory WHERE id = 1))`, []any{micros(now.Add(-time.Hour))}},
		{`DELETE FROM grants WHERE id IN (SELECT id FROM grants WHERE last_used < $1 LIMIT 1000)`, []any{micros(now.Add(-l.GrantIdle - 2*day))}},
	}
	for _, s := range steps {
		for n := int64(sweepStep); n >= sweepStep; { // a full step means that there is more
			err = db.Update(ctx, func(tx *Tx) (err error) {
				n, err = tx.exec(s.q, s.args...)
				return err
			})
			if err != nil {
				return removed, err
			}
			removed += n
		}
	}
	return removed, nil
}
