package store

import (
	"slices"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/standing"
)

// Above is what a grant hangs from, as read in one transaction: the grants it
// was made from, and the session it ends with. Zero for one that a sign-in gave.
type Above struct {
	Facts  []standing.Facts
	Orphan bool // one of them is not there
	// End is when the first of them ends unless it is used again; what is handed
	// out below must not live longer. Zero: no limit.
	End time.Time
}

// Above reads and judges what g, a grant of u, was made from. Applications on
// the way are not read: whatever ends one of them is a cutoff, and those of the
// whole chain are among those of g itself.
func (tx *Tx) Above(g *grant.Grant, u *directory.User) (Above, error) {
	var a Above
	if len(g.Chain) == 0 {
		return a, nil
	}
	l := tx.db.cfg.Lifetimes
	for _, link := range g.Chain {
		x, err := tx.Grant(link.Grant)
		switch {
		case err == ErrNotFound || err == nil && x.User != g.User:
			a.Orphan = true
			continue
		case err != nil:
			return a, err
		}
		if err := a.add(tx, x.Belongs(), cutoff.Token, x.Born, standing.Facts{User: u, Ends: x.Ends(l), End: x.End}); err != nil {
			return a, err
		}
	}
	id := g.EndsWith()
	if id.IsZero() {
		return a, nil
	}
	x, err := tx.Session(id)
	switch {
	case err == ErrNotFound || err == nil && x.User != g.User:
		a.Orphan = true
		return a, nil
	case err != nil:
		return a, err
	}
	return a, a.add(tx, directory.Belongs(x.User, x.ID, directory.GrantID{}, "", x.Device), cutoff.Browser, x.Born, standing.Facts{User: u, Ends: x.Ends(l)})
}

func (a *Above) add(tx *Tx, b cutoff.Belongs, k cutoff.Kind, born cutoff.Pos, f standing.Facts) (err error) {
	f.Now = tx.Now
	f.Cuts, err = tx.CutsAfter(b, k, born)
	a.Facts = append(a.Facts, f)
	if a.End.IsZero() || f.Ends.Before(a.End) {
		a.End = f.Ends
	}
	return err
}

// HoldGrant returns a grant with its row locked, so that what is made from it
// is made one after the other. ErrNotFound. Lock order: with grants, and before
// those made from it.
func (tx *Tx) HoldGrant(id directory.GrantID) (*grant.Grant, error) {
	return scanGrant(tx.row(`SELECT `+grantColumns+` FROM grants g WHERE g.id = $1`+tx.lock(), id[:]))
}

// GrantMade returns the newest grant that app made from parent, dead or alive,
// with its row locked; the caller holds the parent's. ErrNotFound.
func (tx *Tx) GrantMade(parent directory.GrantID, app directory.AppID) (*grant.Grant, error) {
	return scanGrant(tx.row(`SELECT `+grantColumns+` FROM grants g WHERE g.parent = $1 AND g.app_id = $2 ORDER BY g.id DESC LIMIT 1`+tx.lock(), parent[:], string(app)))
}

// SaveExchange writes what one more exchange changes of a grant that the caller
// holds: whether it has refresh tokens, its scopes, its use and its state.
func (tx *Tx) SaveExchange(g *grant.Grant) error {
	n, err := tx.exec(`UPDATE grants SET flags = $1, scopes = $2, last_used = $3, state = $4 WHERE id = $5`,
		grantFlags(g), grant.FormatScopes(g.Scopes), micros(g.LastUsed), g.State.Format(), g.ID[:])
	if err == nil {
		err = exactly(n, 1, "grants")
	}
	return err
}

// GrantsBelow lists what was made from a grant, and from that, and so on, dead
// or alive.
func (tx *Tx) GrantsBelow(id directory.GrantID) (all []*grant.Grant, err error) {
	level := []directory.GrantID{id}
	for range cutoff.MaxChain {
		var next []directory.GrantID
		for _, id := range level {
			made, err := tx.grantRows(`SELECT `+grantColumns+` FROM grants g WHERE g.parent = $1 ORDER BY g.id`, id[:])
			if err != nil {
				return nil, err
			}
			for _, g := range made {
				next = append(next, g.ID)
			}
			all = append(all, made...)
		}
		level = next
	}
	return all, nil
}

// GrantsHeld goes through at most rows grants, the newest first from before on
// (zero: the newest of all), and lists those that belong to an application, or
// were made from one of its, or, when app is empty, to a device. next is where to
// go on; zero: nothing is left.
func (tx *Tx) GrantsHeld(app directory.AppID, device directory.DeviceID, before directory.GrantID, rows int) (all []*grant.Grant, next directory.GrantID, err error) {
	err = tx.goThrough(`SELECT `+grantColumns+` FROM grants g WHERE g.id < $1 ORDER BY g.id DESC LIMIT $2`, before[:], rows, next[:], func(r scanner) ([]byte, error) {
		g, err := scanGrant(r)
		if err != nil {
			return nil, err
		}
		if app == "" && g.Device == device || app != "" && (g.App == app || slices.ContainsFunc(g.Chain, func(l grant.Link) bool { return l.App == app })) {
			all = append(all, g)
		}
		return g.ID[:], nil
	})
	return all, next, err
}

// SessionsHeld is GrantsHeld for the browser sessions on a device.
func (tx *Tx) SessionsHeld(device directory.DeviceID, before directory.SessionID, rows int) (all []*grant.Session, next directory.SessionID, err error) {
	err = tx.goThrough(`SELECT `+sessionColumns+` FROM sessions WHERE id < $1 ORDER BY id DESC LIMIT $2`, before[:], rows, next[:], func(r scanner) ([]byte, error) {
		x, err := scanSession(r)
		if err != nil {
			return nil, err
		}
		if x.Device == device {
			all = append(all, x)
		}
		return x.ID[:], nil
	})
	return all, next, err
}

// GrantsBefore lists at most rows grants, dead or alive, the newest first, from
// before on (zero: the newest of all), and where to go on; zero: nothing is left.
func (tx *Tx) GrantsBefore(before directory.GrantID, rows int) (all []*grant.Grant, next directory.GrantID, err error) {
	err = tx.goThrough(`SELECT `+grantColumns+` FROM grants g WHERE g.id < $1 ORDER BY g.id DESC LIMIT $2`, before[:], rows, next[:], func(r scanner) ([]byte, error) {
		g, err := scanGrant(r)
		if err != nil {
			return nil, err
		}
		all = append(all, g)
		return g.ID[:], nil
	})
	return all, next, err
}

// SessionsBefore is GrantsBefore for browser sessions.
func (tx *Tx) SessionsBefore(before directory.SessionID, rows int) (all []*grant.Session, next directory.SessionID, err error) {
	err = tx.goThrough(`SELECT `+sessionColumns+` FROM sessions WHERE id < $1 ORDER BY id DESC LIMIT $2`, before[:], rows, next[:], func(r scanner) ([]byte, error) {
		s, err := scanSession(r)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
		return s.ID[:], nil
	})
	return all, next, err
}

// goThrough scans at most rows rows by falling id, and writes the last id seen to
// next when there may be more.
func (tx *Tx) goThrough(q string, before []byte, rows int, next []byte, scan func(scanner) ([]byte, error)) error {
	if !slices.ContainsFunc(before, func(b byte) bool { return b != 0 }) {
		before = slices.Repeat([]byte{0xff}, len(before))
	}
	n := 0
	var last []byte
	err := tx.each(q, func(r scanner) (err error) {
		last, err = scan(r)
		n++
		return err
	}, before, int64(rows))
	if err == nil && n == rows {
		copy(next, last)
	}
	return err
}

// tree lists the grants given in a session and everything made from them; what
// ends with the session itself may be listed twice.
func (tx *Tx) tree(id directory.SessionID) ([]*grant.Grant, error) {
	all, err := tx.grantsOfSession(id)
	for _, g := range slices.Clone(all) {
		if err != nil {
			break
		}
		var below []*grant.Grant
		below, err = tx.GrantsBelow(g.ID)
		all = append(all, below...)
	}
	return all, err
}

// lockTree locks the rows of a session's tree, from the root down.
func (tx *Tx) lockTree(id directory.SessionID) error {
	level := [][]byte{id[:]}
	column := "session"
	for range cutoff.MaxChain + 1 {
		var next [][]byte
		for _, above := range level {
			err := tx.each(`SELECT id FROM grants WHERE `+column+` = $1 ORDER BY id FOR UPDATE`, func(r scanner) error {
				var g directory.GrantID
				err := r.Scan(&g)
				next = append(next, g[:])
				return err
			}, above)
			if err != nil {
				return err
			}
		}
		level, column = next, "parent"
	}
	return nil
}
