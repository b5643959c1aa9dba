package store

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/standing"
)

// eraStart is second zero of era positions.
var eraStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const eraShift = 22

// Witness remembers a line that the ledger should have.
type Witness struct {
	Pos  cutoff.Pos
	Mark Mark
}

// Proves reports whether w is proof of lost history, given the primary's head
// and newest era line: it lies beyond the head, or, above the newest era line,
// the ledger has another mark at its position. A witness at or below the
// newest era line proves nothing.
func (tx *Tx) proves(w Witness, h head) (bool, error) {
	if w.Pos > h.pos {
		return true, nil
	}
	if w.Pos <= h.era || w.Pos == 0 {
		return false, nil
	}
	var mark []byte
	err := found(tx.row(`SELECT mark FROM ledger WHERE pos = $1`, int64(w.Pos)).Scan(&mark))
	if err == ErrNotFound {
		return true, nil
	}
	return err == nil && string(mark) != string(w.Mark[:]), err
}

// Testify judges a witness under the head lock and starts an era if it proves
// that history was lost. It reports whether it did. A thousand witnesses make
// one era: after the first, the others lie at or below the era line. A witness
// that proves nothing costs a read and no lock.
func (db *DB) Testify(ctx context.Context, w Witness) (began bool, err error) {
	suspicious := false
	err = db.Read(ctx, func(tx *Tx) error {
		var h head
		err := tx.row(`SELECT pos, era FROM head WHERE id = 1`).Scan(&h.pos, &h.era)
		if err == nil {
			suspicious, err = tx.proves(w, h)
		}
		return err
	})
	if err != nil || !suspicious {
		return false, err
	}
	err = db.Urgent(ctx, func(tx *Tx) error {
		began = false
		h, err := tx.lockHead()
		if err != nil {
			return err
		}
		lost, err := tx.proves(w, h)
		if err != nil || !lost {
			return err
		}
		began = true
		return tx.beginEra(h, w.Pos)
	})
	return began, err
}

// TestifyGrant is Testify for a refresh token newer than its row. The row and
// its standing are judged again under the head lock.
func (db *DB) TestifyGrant(ctx context.Context, id directory.GrantID, generation int64) (began bool, err error) {
	err = db.Urgent(ctx, func(tx *Tx) error {
		began = false
		h, err := tx.lockHead()
		if err != nil {
			return err
		}
		g, err := tx.Grant(id)
		if errors.Is(err, ErrNotFound) {
			return nil // deleted, or from a history that an era has ended
		}
		if err != nil {
			return err
		}
		o := g.Owner()
		cut, err := tx.latest(&o, cutoff.Token, h.pos)
		if err != nil || g.Born < cut || generation <= g.State.Generation {
			return err
		}
		began = true
		return tx.beginEra(h, 0)
	})
	return began, err
}

// Restore starts an era because an operator says that history was lost.
func (db *DB) Restore(ctx context.Context) error {
	return db.Urgent(ctx, func(tx *Tx) error {
		h, err := tx.lockHead()
		if err != nil {
			return err
		}
		return tx.beginEra(h, 0)
	})
}

// beginEra cuts the whole directory at a position that no lost history can have
// used. It waits, with the head locked, until the second that named the
// position is over: no other restore can then arrive at the same one.
func (tx *Tx) beginEra(h head, seen cutoff.Pos) error {
	var newest int64
	if err := tx.row(`SELECT COALESCE(MAX(at), 0) FROM ledger`).Scan(&newest); err != nil {
		return err
	}
	now := tx.db.cfg.Now()
	if now.Before(fromMicros(newest)) {
		return fault.New(fault.Unavailable, "The clock is behind the newest ledger line. Set it right: curfew cannot tell how much history is lost.")
	}
	viewPos, _ := tx.db.view.Head()
	quotient := int64(now.Sub(eraStart) / time.Second)
	for _, p := range []cutoff.Pos{h.pos, seen, viewPos, tx.db.mark.pos()} {
		if p <= cutoff.MaxPos {
			quotient = max(quotient, 1+int64(p)>>eraShift)
		}
	}
	over := eraStart.Add(time.Duration(quotient+1) * time.Second)
	if wait := over.Sub(now); wait > 5*time.Second {
		return fault.New(fault.Unavailable, "The ledger is ahead of the clock. Set the clock right and start again.")
	}
	tx.Cut(&Cut{
		Cuts:  standing.RowOf(standing.HistoryGone).Cuts(standing.Victim{}),
		Cause: standing.HistoryLost, Pos: cutoff.Pos(quotient << eraShift), era: true, WithReceipt: true,
	})
	tx.db.cfg.Log.Error("history was lost: everything born before is cut", "head", h.pos, "seen", seen, "era", quotient<<eraShift)
	if tx.db.cfg.Sleep != nil {
		tx.db.cfg.Sleep(over.Sub(now))
	} else {
		time.Sleep(over.Sub(now))
	}
	return nil
}

// checkHistory compares the ledger with the mark file, at start.
func (db *DB) checkHistory(ctx context.Context) error {
	w, marked, err := db.mark.open()
	if err != nil {
		return err
	}
	pos, _ := db.view.Head()
	switch {
	case db.mark.path == "":
		return nil
	case w.Pos > 0:
		if db.began, err = db.Testify(ctx, w); err != nil {
			return err
		}
	case pos > 0 && !marked && !db.Postgres():
		// A file with a history but without its mark was copied here.
		if err := db.Restore(ctx); err != nil {
			return err
		}
		db.began = true
	}
	if pos, mark := db.view.Head(); pos > 0 {
		return db.mark.write(pos, mark)
	}
	return db.mark.begin()
}

// BeganAtStart reports whether opening the store found history lost.
func (db *DB) BeganAtStart() bool { return db.began }

// markFile holds the newest position and its mark, beside the master key and
// never in a backup. It is not synced: a file older than the ledger proves
// nothing and harms nobody.
type markFile struct {
	path string
	mu   sync.Mutex
	f    *os.File // guarded by mu
	at   cutoff.Pos
}

// open returns what the file remembers, and whether there was one that can be read.
func (m *markFile) open() (w Witness, marked bool, err error) {
	if m.path == "" {
		return w, false, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f, err := os.OpenFile(m.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return w, false, err
	}
	m.f = f
	var b [16]byte
	if n, _ := f.ReadAt(b[:], 0); n < 16 {
		return w, false, nil
	}
	pos := cutoff.Pos(binary.BigEndian.Uint64(b[:8]))
	if pos < 0 || pos > cutoff.MaxPos {
		return w, false, nil // no position of ours: as good as none
	}
	m.at, w.Pos = pos, pos
	copy(w.Mark[:], b[8:])
	return w, true, nil
}

// begin marks a directory that has no line yet, durably: whoever stops before the
// first line was marked, or finds the disk full, has lost no history.
func (m *markFile) begin() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.f == nil {
		return nil
	}
	var b [16]byte
	if _, err := m.f.WriteAt(b[:], 0); err != nil {
		return err
	}
	return m.f.Sync()
}

func (m *markFile) write(pos cutoff.Pos, mark Mark) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.f == nil || pos <= m.at {
		return nil
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(pos))
	copy(b[8:], mark[:])
	if _, err := m.f.WriteAt(b[:], 0); err != nil {
		return err
	}
	m.at = pos
	return nil
}

func (m *markFile) pos() cutoff.Pos {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at
}

func (m *markFile) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.f != nil {
		m.f.Close()
		m.f = nil
	}
}
