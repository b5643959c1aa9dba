package store

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/standing"
)

// Mark is the random value of one ledger line. Two histories that share a
// position do not share its mark.
type Mark [8]byte

// Cut is a ledger line to be appended when the transaction commits. The store
// fills in Pos, At and Receipt; read them after Update returned.
type Cut struct {
	Cuts  []cutoff.Cutoff // none, or none but doubts: an event that ends nothing
	Cause standing.Cause
	// Target names what was cut, for the receipt; Whose is its owner's id, of a device.
	Target audit.Party
	Whose  string
	// Keep spares one session and those of its grants that are still good when
	// the head is locked: they are born again at this line. Cookie is the
	// SHA-256 of the session's new cookie value; zero keeps the old one.
	Keep   directory.SessionID
	Cookie [32]byte
	// WithReceipt asks for a receipt.
	WithReceipt bool

	Pos     cutoff.Pos
	At      time.Time
	Receipt string // receipt id
	Kept    bool   // Keep was alive and was born again

	mark   Mark
	prev   cutoff.Pos
	era    bool
	spares bool // the table lets Keep stay
}

func (c *Cut) line() cutoff.Line { return cutoff.Line{Pos: c.Pos, Cuts: c.Cuts} }

// Cut appends c when the transaction commits, after everything it may change.
func (tx *Tx) Cut(c *Cut) { tx.lines = append(tx.lines, c) }

// Row is what an event ends, as the table has it and administrators have widened it.
func (tx *Tx) Row(e standing.Event) (standing.Row, error) {
	r := standing.RowOf(e)
	if len(r.Wider()) == 0 { // revoking and disabling read no settings
		return r, nil
	}
	w, err := tx.Widening()
	return w.Row(e), err
}

// Event is the line of an event, with the cutoffs that the table has for it.
func (tx *Tx) Event(e standing.Event, v standing.Victim, target audit.Party) (*Cut, error) {
	r, err := tx.Row(e)
	if err != nil {
		return nil, err
	}
	c := &Cut{Cause: r.Cause, Cuts: r.Cuts(v), Target: target, spares: r.Spares}
	c.WithReceipt = cutoff.Ends(c.Cuts)
	return c, nil
}

// head is the one row that orders everything.
type head struct {
	pos cutoff.Pos
	era cutoff.Pos // position of the newest era line, 0 when there is none
}

func (tx *Tx) lockHead() (h head, err error) {
	if hook := tx.db.cfg.Hooks.BeforeLock; hook != nil {
		hook(tx)
	}
	err = tx.row(`SELECT pos, era FROM head WHERE id = 1`+tx.lock()).Scan(&h.pos, &h.era)
	tx.locked = true
	return h, err
}

// finish appends what the transaction caused: rights that were lost, the lines,
// the receipts and the audit records. It is the only place that locks the head.
func (tx *Tx) finish() error {
	if err := tx.diffRights(); err != nil {
		return err
	}
	// A write without a line needs no place in the ledger, but where others write
	// at the same time its actor is judged under the lock like any other's.
	if len(tx.lines) == 0 && len(tx.moved) == 0 && (!tx.db.Postgres() || !tx.by.judged()) {
		if err := tx.judgeActor(tx.Head); err != nil {
			return err
		}
		return tx.writeAudits(0, "")
	}
	if err := tx.lockKept(); err != nil {
		return err
	}
	h, err := tx.lockHead()
	if err != nil {
		return err
	}
	if err := tx.judgeActor(h.pos); err != nil {
		return err
	}
	if err := tx.judgeRights(); err != nil {
		return err
	}
	if err := tx.judgeAdmins(h.pos); err != nil {
		return err
	}
	if err := tx.concern(h.pos); err != nil {
		return err
	}
	if len(tx.lines) == 0 {
		return tx.writeAudits(0, "")
	}
	for _, c := range tx.lines {
		if err := tx.append(&h, c); err != nil {
			return fmt.Errorf("append line: %w", err)
		}
	}
	last := tx.lines[len(tx.lines)-1]
	n, err := tx.exec(`UPDATE head SET pos = $1, era = $2, mark = $3 WHERE id = 1`, int64(h.pos), int64(h.era), last.mark[:])
	if err == nil {
		err = exactly(n, 1, "head")
	}
	if err != nil {
		return err
	}
	if tx.db.Postgres() { // the bell: a position, never trusted, always re-read
		if _, err := tx.exec(`SELECT pg_notify('curfew_ledger', $1)`, fmt.Sprint(h.pos)); err != nil {
			return err
		}
	}
	return tx.writeAudits(last.Pos, last.Receipt)
}

// lockKept locks the rows that may be born again before the head is locked:
// data rows first, the head last.
func (tx *Tx) lockKept() error {
	if !tx.db.Postgres() {
		return nil
	}
	for _, c := range tx.lines {
		if c.Keep.IsZero() {
			continue
		}
		if err := tx.each(`SELECT id FROM sessions WHERE id = $1 FOR UPDATE`, func(scanner) error { return nil }, c.Keep[:]); err != nil {
			return err
		}
		if err := tx.lockTree(c.Keep); err != nil {
			return err
		}
	}
	return nil
}

// judgeActor refuses when who acts was cut before this commit: an administrator
// who was revoked a moment ago revokes nobody any more.
func (tx *Tx) judgeActor(at cutoff.Pos) error {
	if !tx.by.judged() {
		return nil
	}
	a := &tx.by.Actor
	cut, err := tx.latest(&a.Owner, a.Kind, at)
	if err != nil {
		return err
	}
	if a.Born < cut {
		return fault.New(fault.Revoked, "Your own access was revoked before this was done. Nothing was changed.")
	}
	return nil
}

// judged reports whether the actor is somebody who can be cut.
func (b By) judged() bool {
	a := b.Actor
	return !a.System && !a.Operator && (!a.User.IsZero() || a.App != "")
}

// append writes one line under the head lock.
func (tx *Tx) append(h *head, c *Cut) error {
	c.prev = h.pos
	c.At = tx.Now
	c.Kept = false
	c.Receipt = ""
	rand.Read(c.mark[:])
	if !c.era {
		h.pos++
		c.Pos = h.pos
	} else {
		h.pos, h.era = c.Pos, c.Pos
	}
	if c.Pos > cutoff.MaxPos {
		return fault.New(fault.Unavailable, "The ledger is full.")
	}
	if err := c.line().Valid(); err != nil {
		return err
	}
	if !c.Keep.IsZero() {
		if err := tx.rebirth(c); err != nil {
			return fmt.Errorf("keep session: %w", err)
		}
	}
	cuts, err := json.Marshal(c.Cuts)
	if err != nil {
		return err
	}
	if c.WithReceipt {
		var r [4]byte
		rand.Read(r[:])
		c.Receipt = fmt.Sprintf("rc_%s-%d", hex.EncodeToString(r[:]), c.Pos)
	}
	a := tx.by.actorParty()
	_, err = tx.exec(`INSERT INTO ledger (pos, at, cause, mark, era, cuts, actor, receipt) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		int64(c.Pos), micros(c.At), string(c.Cause), c.mark[:], flag(c.era), string(cuts), a.Name, c.Receipt)
	if err != nil {
		return err
	}
	for _, x := range c.Cuts {
		_, err := tx.exec(`INSERT INTO cutoffs (scope, id, reach, pos, cause) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (scope, id, reach) DO UPDATE SET pos = excluded.pos, cause = excluded.cause WHERE cutoffs.pos < excluded.pos`,
			int64(x.Scope), x.ID, int64(x.Reach), int64(c.Pos), string(c.Cause))
		if err != nil {
			return err
		}
	}
	if c.WithReceipt {
		return tx.insertReceipt(c, a, cuts)
	}
	return nil
}

// rebirth lets the kept session, and those of its grants (and of what was made
// from them) that are still good, be born again at the line that cuts all
// others. Judged under the head lock: what an earlier cutoff killed stays dead,
// whoever asks.
func (tx *Tx) rebirth(c *Cut) error {
	s, err := tx.Session(c.Keep)
	if err == ErrNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	o := s.Owner()
	cut, err := tx.latest(&o, cutoff.Browser, c.prev)
	if err != nil {
		return err
	}
	if s.Born < cut || !tx.Now.Before(s.Ends(tx.db.cfg.Lifetimes)) {
		return nil
	}
	cookie := s.Cookie
	if c.Cookie != [32]byte{} {
		cookie = c.Cookie
	}
	n, err := tx.exec(`UPDATE sessions SET born = $1, cookie = $2 WHERE id = $3 AND born = $4`,
		int64(c.Pos), cookie[:], s.ID[:], int64(s.Born))
	if err != nil || n == 0 {
		return err
	}
	c.Kept = true
	grants, err := tx.tree(s.ID)
	if err != nil {
		return err
	}
	for _, g := range grants {
		o := g.Owner()
		cut, err := tx.latest(&o, cutoff.Token, c.prev)
		if err != nil {
			return err
		}
		if g.Born < cut || !tx.Now.Before(g.Ends(tx.db.cfg.Lifetimes)) {
			continue
		}
		if _, err := tx.exec(`UPDATE grants SET born = $1 WHERE id = $2 AND born = $3`, int64(c.Pos), g.ID[:], int64(g.Born)); err != nil {
			return err
		}
	}
	return nil
}

// latest is the largest position of a cutoff that covers o, as of the ledger
// position at. The view may lie behind it (its lines are then read here) or
// before it (more may be dead than at that position: doubt closes).
//
// Both hold only of one history. A view that remembers another than the one this
// transaction reads knows nothing about it.
func (tx *Tx) latest(o *cutoff.Owner, k cutoff.Kind, at cutoff.Pos) (cutoff.Pos, error) {
	if !tx.db.view.contains(tx.Head, tx.mark) {
		tx.db.doubt.Store(true)
		return 0, errLost
	}
	p, seen, mark := tx.db.view.latest(o, k)
	if seen >= at {
		return p, nil
	}
	if tx.ahead == nil || tx.aheadTo < at {
		lines, err := tx.linesSince(seen, mark, 0)
		if err != nil {
			return 0, err
		}
		set := &cutoff.Set{}
		for _, l := range lines {
			set.Merge(l.Line)
		}
		tx.ahead, tx.aheadTo = set, at
	}
	return max(p, tx.ahead.Latest(o, k)), nil
}

// Latest is the largest position of a cutoff that covers an artefact of o, as
// of the transaction's head. Born before it is dead.
func (tx *Tx) Latest(o *cutoff.Owner, k cutoff.Kind) (cutoff.Pos, error) {
	return tx.latest(o, k, max(tx.Head, tx.judged))
}

// CutsAfter lists the cutoffs that cover an artefact and lie after its birth,
// with their causes. For what is alive it costs a look into memory.
func (tx *Tx) CutsAfter(b cutoff.Belongs, k cutoff.Kind, born cutoff.Pos) ([]standing.Cut, error) {
	o := cutoff.NewOwner(b)
	p, err := tx.Latest(&o, k)
	if err != nil || born >= p {
		return nil, err
	}
	ids := []cutoff.Cutoff{{Scope: cutoff.All}}
	b.Each(func(s cutoff.Scope, id string) { ids = append(ids, cutoff.Cutoff{Scope: s, ID: id}) })
	var cuts []standing.Cut
	for _, id := range ids {
		err := tx.each(`SELECT reach, pos, cause FROM cutoffs WHERE scope = $1 AND id = $2`, func(r scanner) error {
			var reach cutoff.Reach
			c := standing.Cut{Scope: id.Scope}
			if err := r.Scan(&reach, &c.Pos, &c.Cause); err != nil {
				return err
			}
			if c.Pos > born && reach != cutoff.Judge && (k == cutoff.Token || reach == cutoff.Everything) {
				cuts = append(cuts, c)
			}
			return nil
		}, int64(id.Scope), id.ID)
		if err != nil {
			return nil, err
		}
	}
	if len(cuts) == 0 {
		// The view knows of a cutoff that this transaction's statements do not
		// show yet. Dead all the same; the cause is told plainly.
		cuts = append(cuts, standing.Cut{Pos: p, Cause: standing.Revoked})
	}
	return cuts, nil
}

// LineAt is a ledger line with what only the server may see.
type LineAt struct {
	cutoff.Line
	Mark    Mark
	At      time.Time
	Era     bool
	Cause   standing.Cause
	Actor   string
	Receipt string
	prev    cutoff.Pos // of own commits: the position before
}

// linesAfter reads the lines after pos in order; limit 0 is all.
func (tx *Tx) linesAfter(pos cutoff.Pos, limit int) ([]LineAt, error) {
	q := `SELECT pos, at, cause, mark, era, cuts, actor, receipt FROM ledger WHERE pos > $1 ORDER BY pos`
	if limit > 0 {
		q += fmt.Sprintf(" LIMIT %d", limit)
	}
	return tx.lineRows(q, int64(pos))
}

// LinesBefore reads up to limit lines before pos, newest first, for people.
// pos 0 starts at the head.
func (tx *Tx) LinesBefore(pos cutoff.Pos, limit int) ([]LineAt, error) {
	if pos <= 0 {
		pos = cutoff.MaxPos + 1
	}
	return tx.lineRows(fmt.Sprintf(`SELECT pos, at, cause, mark, era, cuts, actor, receipt FROM ledger WHERE pos < $1 ORDER BY pos DESC LIMIT %d`, min(limit, 1000)), int64(pos))
}

func (tx *Tx) lineRows(q string, args ...any) ([]LineAt, error) {
	var lines []LineAt
	err := tx.each(q, func(r scanner) error {
		var l LineAt
		var at int64
		var mark []byte
		var cuts string
		var era int
		if err := r.Scan(&l.Pos, &at, &l.Cause, &mark, &era, &cuts, &l.Actor, &l.Receipt); err != nil {
			return err
		}
		l.At, l.Era = fromMicros(at), era != 0
		copy(l.Mark[:], mark)
		if err := json.Unmarshal([]byte(cuts), &l.Cuts); err != nil {
			return fmt.Errorf("line %d: %w", l.Pos, err)
		}
		lines = append(lines, l)
		return nil
	}, args...)
	return lines, err
}

func (b By) actorParty() audit.Party {
	a := b.Actor
	switch {
	case a.Operator:
		return audit.Party{Kind: "operator", Name: "operator"}
	case a.AppOnly:
		return audit.Party{Kind: "app", ID: string(a.App), Name: a.Name}
	case !a.User.IsZero():
		return audit.Party{Kind: "user", ID: a.User.String(), Name: a.Name}
	case a.Registration != "":
		return audit.Party{Kind: "app", ID: string(a.Registration), Name: a.Name}
	case a.Provider != "":
		return audit.Party{Kind: "provider", ID: string(a.Provider), Name: a.Name}
	}
	return audit.Party{Kind: "system", Name: "curfew"}
}
