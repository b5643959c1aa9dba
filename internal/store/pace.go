package store

import (
	"time"

	"github.com/curfew-id/curfew/internal/directory"
)

// Pace takes one place out of a user's allowance for one sort of act, or returns when the next place will be
// there. A whole allowance has atOnce places, and one comes back every so often.
// What is kept is one instant, at which the allowance is whole again (GCRA). The ledger cannot be counted instead:
// a line names the session or grant it ends, not whose that is, and a window of it is as long as others make it.
// Judgement and entry are one statement, so two acts at once never share a place. The second waits for the row
// until the first has committed, and is then judged by the row as it is (ON CONFLICT looks at the newest version, at
// READ COMMITTED too); or until the first was undone, and finds the place free. SQLite has one writer. The place is
// taken with the line and not without it. Lock order: before everything else, so that nobody who has a row of the
// user's waits here.
// An instant more than twice as far ahead as an allowance reaches was written before a clock was set back. It means
// nothing: it must not keep people from ending what is theirs. Clocks of several nodes may differ by less.
func (tx *Tx) Pace(user directory.UserID, sort string, atOnce int, every time.Duration) (next time.Time, err error) {
	reach := time.Duration(atOnce) * every
	n, err := tx.exec(`INSERT INTO paces (user_id, sort, whole) VALUES ($1, $2, $3)
		ON CONFLICT (user_id, sort) DO UPDATE SET whole = CASE WHEN paces.whole > $4 AND paces.whole <= $5 THEN paces.whole + $6 ELSE $3 END
		WHERE paces.whole <= $7 OR paces.whole > $5`,
		user[:], sort, micros(tx.Now.Add(every)), micros(tx.Now), micros(tx.Now.Add(2*reach)), every.Microseconds(), micros(tx.Now.Add(reach-every)))
	if err != nil || n > 0 {
		return time.Time{}, err
	}
	var whole int64
	if err := tx.row(`SELECT whole FROM paces WHERE user_id = $1 AND sort = $2`, user[:], sort).Scan(&whole); err != nil {
		return time.Time{}, err
	}
	return fromMicros(whole).Add(every - reach), nil
}

// Unpace gives back a place that Pace took, for an act that turned out not to count.
func (tx *Tx) Unpace(user directory.UserID, sort string, every time.Duration) error {
	_, err := tx.exec(`UPDATE paces SET whole = whole - $1 WHERE user_id = $2 AND sort = $3`, every.Microseconds(), user[:], sort)
	return err
}
