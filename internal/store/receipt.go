package store

import (
	"encoding/json"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/standing"
)

// Receipt is what was cut, when, by whom, and what was still out there.
type Receipt struct {
	ID     string          `json:"id"`
	Pos    cutoff.Pos      `json:"pos"`
	At     time.Time       `json:"at"`
	Cause  standing.Cause  `json:"cause"`
	Actor  audit.Party     `json:"actor"`
	Target audit.Party     `json:"target"`
	Whose  string          `json:"whose,omitempty"` // the owner's id, of a device, which may be deleted
	Reason string          `json:"reason,omitempty"`
	Cuts   []cutoff.Cutoff `json:"cuts"`
	Kept   bool            `json:"kept,omitempty"` // the actor's own session was spared
	Rest   *Rest           `json:"-"`              // nil until it was counted, after the cut
}

// Rest is what the cut ended and what was still out there, counted after the
// commit: every token is in here or was never handed out.
type Rest struct {
	Sessions int             `json:"sessions"` // ended
	Grants   int             `json:"grants"`   // ended
	Tokens   []OutstandingAt `json:"tokens,omitempty"`
	// More is how many grants were not looked at one by one (a cut of very
	// many); their tokens end at Last at the latest.
	More int       `json:"more,omitempty"`
	Last time.Time `json:"last,omitzero"`
	// Guards are the processes that were connected, or silent and not yet
	// forgotten, at the cut: those that have something to confirm.
	Guards []directory.ID[Guard] `json:"guards,omitempty"`
}

// OutstandingAt counts the access tokens still unexpired for one app and resource.
type OutstandingAt struct {
	Resource directory.ResourceID `json:"resource"`
	App      directory.AppID      `json:"app"`
	Count    int                  `json:"count"`
	Issued   time.Time            `json:"issued"`
	Expires  time.Time            `json:"expires"` // the latest; a verifier may allow 5 minutes more
}

func (tx *Tx) insertReceipt(c *Cut, actor audit.Party, _ []byte) error {
	doc, err := json.Marshal(Receipt{ID: c.Receipt, Pos: c.Pos, At: c.At, Cause: c.Cause, Actor: actor, Target: c.Target, Whose: c.Whose, Reason: tx.by.Reason, Cuts: c.Cuts, Kept: c.Kept})
	if err != nil {
		return err
	}
	_, err = tx.exec(`INSERT INTO receipts (id, pos, at, target_kind, target_id, doc, rest) VALUES ($1, $2, $3, $4, $5, $6, '')`,
		c.Receipt, int64(c.Pos), micros(c.At), c.Target.Kind, c.Target.ID, string(doc))
	return err
}

// SaveRest writes what was counted after the cut, once.
func (tx *Tx) SaveRest(id string, rest *Rest) error {
	doc, err := json.Marshal(rest)
	if err != nil {
		return err
	}
	_, err = tx.exec(`UPDATE receipts SET rest = $1 WHERE id = $2 AND rest = ''`, string(doc), id)
	return err
}

func scanReceipt(r scanner) (*Receipt, error) {
	var doc, rest string
	if err := r.Scan(&doc, &rest); err != nil {
		return nil, found(err)
	}
	x := &Receipt{}
	if err := json.Unmarshal([]byte(doc), x); err != nil {
		return nil, err
	}
	if rest != "" {
		x.Rest = &Rest{}
		if err := json.Unmarshal([]byte(rest), x.Rest); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// Receipt returns a receipt by id. ErrNotFound.
func (tx *Tx) Receipt(id string) (*Receipt, error) {
	return scanReceipt(tx.row(`SELECT doc, rest FROM receipts WHERE id = $1`, id))
}

// Receipts lists receipts, the newest first, before position pos (0: from the
// newest), at most limit; target, when not empty, is an id they are about.
func (tx *Tx) Receipts(target string, before cutoff.Pos, limit int) (all []*Receipt, err error) {
	if before <= 0 {
		before = cutoff.MaxPos + 1
	}
	q, args := `SELECT doc, rest FROM receipts WHERE pos < $1 ORDER BY pos DESC LIMIT $2`, []any{int64(before), int64(limit)}
	if target != "" {
		q, args = `SELECT doc, rest FROM receipts WHERE pos < $1 AND target_id = $3 ORDER BY pos DESC LIMIT $2`, append(args, target)
	}
	err = tx.each(q, func(r scanner) error {
		x, err := scanReceipt(r)
		all = append(all, x)
		return err
	}, args...)
	return all, err
}

// Uncounted lists receipts whose rest was not counted yet: the node that cut
// died in between.
func (tx *Tx) Uncounted(limit int) (all []*Receipt, err error) {
	err = tx.each(`SELECT doc, rest FROM receipts WHERE rest = '' ORDER BY pos LIMIT $1`, func(r scanner) error {
		x, err := scanReceipt(r)
		all = append(all, x)
		return err
	}, int64(limit))
	return all, err
}

// Guard is one guard process as the server knows it.
type Guard struct {
	ID           directory.ID[Guard]
	Name         string
	App          directory.AppID // the client it authenticates as
	Resource     directory.ResourceID
	MaxStaleness time.Duration
	Version      string
	Address      string // where it asked from
	Registered   time.Time
	Answered     time.Time  // when it was last given an answer
	Acked        cutoff.Pos // everything up to here it has applied
	Gone         time.Time  // when it said goodbye; zero: it did not
}

// Closes is when the guard refuses everything by its own limit unless it is
// answered again. One that has just registered is about to ask.
func (g *Guard) Closes() time.Time {
	last := g.Answered
	if last.Before(g.Registered) {
		last = g.Registered
	}
	return last.Add(g.MaxStaleness)
}

const guardColumns = `id, name, app_id, resource, max_staleness, version, address, registered, answered, acked, gone`

func scanGuard(r scanner) (*Guard, error) {
	g := &Guard{}
	var stale, registered, answered, gone int64
	if err := r.Scan(&g.ID, &g.Name, &g.App, &g.Resource, &stale, &g.Version, &g.Address, &registered, &answered, &g.Acked, &gone); err != nil {
		return nil, found(err)
	}
	g.MaxStaleness = time.Duration(stale) * time.Microsecond
	g.Registered, g.Answered, g.Gone = fromMicros(registered), fromMicros(answered), fromMicros(gone)
	return g, nil
}

// CreateGuard registers a guard process.
func (tx *Tx) CreateGuard(g *Guard) error {
	_, err := tx.exec(`INSERT INTO guards (id, name, app_id, resource, max_staleness, version, address, registered, answered, acked, gone) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		g.ID[:], g.Name, string(g.App), string(g.Resource), g.MaxStaleness.Microseconds(), g.Version, g.Address, micros(g.Registered), micros(g.Answered), int64(g.Acked), micros(g.Gone))
	return err
}

// Guard returns a guard process by id. ErrNotFound.
func (tx *Tx) Guard(id directory.ID[Guard]) (*Guard, error) {
	return scanGuard(tx.row(`SELECT `+guardColumns+` FROM guards WHERE id = $1`, id[:]))
}

// Guards lists all guard processes that are not forgotten.
func (tx *Tx) Guards() (all []*Guard, err error) {
	err = tx.each(`SELECT `+guardColumns+` FROM guards ORDER BY name, id`, func(r scanner) error {
		g, err := scanGuard(r)
		all = append(all, g)
		return err
	})
	return all, err
}

// GuardLag is how far a guard's row may lag behind its answers: the instant of an
// answer is written only every few seconds.
const GuardLag = 5 * time.Second

// GuardedUntil says for each resource until when the most lasting of its guards
// accepts anything unless it is answered again. Only a guard that has acknowledged
// what it was given counts, and none that said goodbye.
func (tx *Tx) GuardedUntil() (map[directory.ResourceID]time.Time, error) {
	until := map[directory.ResourceID]time.Time{}
	err := tx.each(`SELECT resource, MAX(answered + max_staleness) FROM guards WHERE gone = 0 AND acked > 0 GROUP BY resource`, func(r scanner) error {
		var id directory.ResourceID
		var at int64
		err := r.Scan(&id, &at)
		until[id] = fromMicros(at).Add(GuardLag)
		return err
	})
	return until, err
}

// SaveGuard writes what moves in a guard's life. Positions only grow: what
// nodes know of one process is merged, and a goodbye is never taken back.
func (tx *Tx) SaveGuard(g *Guard) error {
	_, err := tx.exec(`UPDATE guards SET answered = CASE WHEN answered < $1 THEN $1 ELSE answered END, acked = CASE WHEN acked < $2 THEN $2 ELSE acked END, gone = CASE WHEN gone = 0 THEN $3 ELSE gone END WHERE id = $4`,
		micros(g.Answered), int64(g.Acked), micros(g.Gone), g.ID[:])
	return err
}

// Confirmation says that a guard process has applied a line.
type Confirmation struct {
	Pos     cutoff.Pos
	Process directory.ID[Guard]
	At      time.Time
}

// SaveConfirmations writes confirmations; the first of each stays.
func (tx *Tx) SaveConfirmations(cs []Confirmation) error {
	for _, c := range cs {
		if _, err := tx.exec(`INSERT INTO confirmations (pos, process, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, int64(c.Pos), c.Process[:], micros(c.At)); err != nil {
			return err
		}
	}
	return nil
}

// Confirmations lists who confirmed the line at pos, in order of time.
func (tx *Tx) Confirmations(pos cutoff.Pos) (all []Confirmation, err error) {
	err = tx.each(`SELECT pos, process, at FROM confirmations WHERE pos = $1 ORDER BY at`, func(r scanner) error {
		var c Confirmation
		var at int64
		err := r.Scan(&c.Pos, &c.Process, &at)
		c.At = fromMicros(at)
		all = append(all, c)
		return err
	}, int64(pos))
	return all, err
}
