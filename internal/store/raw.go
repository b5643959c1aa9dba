package store

import (
	"time"

	"github.com/curfew-id/curfew/internal/store/internal/raw"
)

// SQL gives the rooms below this one a transaction's statements, which go the same
// way as those here. Nobody else can name a [raw.Key].
func (tx *Tx) SQL(raw.Key) SQL { return SQL{tx} }

// SQL runs statements of one transaction.
type SQL struct{ tx *Tx }

// Exec runs a statement that writes and returns how many rows it touched.
func (s SQL) Exec(q string, args ...any) (int64, error) { return s.tx.exec(q, args...) }

// Row scans one row. ErrNotFound.
func (s SQL) Row(q string, args []any, dest ...any) error {
	return found(s.tx.row(q, args...).Scan(dest...))
}

// Each scans every row.
func (s SQL) Each(q string, scan func(func(...any) error) error, args ...any) error {
	return s.tx.each(q, func(r scanner) error { return scan(r.Scan) }, args...)
}

// Lock is the suffix of a SELECT whose row is about to be changed, Share of one
// that must stay as it is until the commit.
func (s SQL) Lock() string { return s.tx.lock() }

// Share: see Lock.
func (s SQL) Share() string {
	if s.tx.write && s.tx.db.Postgres() {
		return ` FOR SHARE`
	}
	return ""
}

// Micros and Time are an instant as columns hold it; 0 is the zero time.
func Micros(t time.Time) int64 { return micros(t) }

// Time: see Micros.
func Time(us int64) time.Time { return fromMicros(us) }
