package engine

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	sqlite3 "modernc.org/sqlite"

	"github.com/curfew-id/curfew/internal/fault"
)

// lowerOnce teaches the driver to fold case as strings.ToLower does; SQLite's own
// lower() knows ASCII only.
var lowerOnce = sync.OnceValue(func() error {
	return sqlite3.RegisterDeterministicScalarFunction("curfew_lower", 1, func(_ *sqlite3.FunctionContext, args []driver.Value) (driver.Value, error) {
		s, ok := args[0].(string)
		if !ok {
			return nil, nil
		}
		return strings.ToLower(s), nil
	})
})

// openSQLite opens the file with one writer and a few readers. WAL with
// synchronous=FULL: NORMAL can lose the last commits in a power cut, that is,
// un-revoke.
func (db *DB) openSQLite(ctx context.Context, cfg Config) error {
	if err := lowerOnce(); err != nil {
		return err
	}
	path := strings.TrimPrefix(cfg.URL, "file:")
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	db.lock = lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fault.Wrap(fault.Conflict, "Another curfew has this directory open. One process owns an SQLite file; more than one need PostgreSQL.", err)
	}
	sync, checkpoint := "synchronous(FULL)", "wal_autocheckpoint(4000)"
	if cfg.Relaxed { // what was written since the last checkpoint is not synced
		sync, checkpoint = "synchronous(NORMAL)", "wal_autocheckpoint(500)"
	}
	q := url.Values{"_pragma": {"journal_mode(WAL)", sync, "busy_timeout(5000)", "foreign_keys(1)", "cache_size(-32000)", checkpoint}}
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
	writer, err := sql.Open("sqlite", dsn)
	if err != nil {
		return err
	}
	db.pools[Writers] = writer
	writer.SetMaxOpenConns(1)
	if err := writer.PingContext(ctx); err != nil {
		return err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	reads, err := sql.Open("sqlite", dsn+"&_pragma=query_only(1)")
	if err != nil {
		return err
	}
	db.pools[Readers] = reads
	reads.SetMaxOpenConns(cfg.Readers)
	db.readers = make(chan *Conn, cfg.Readers)
	for range cfg.Readers {
		c, err := reads.Conn(ctx)
		if err != nil {
			return err
		}
		db.readers <- &Conn{Conn: c, stmts: map[string]*sql.Stmt{}}
	}
	return nil
}

// named gives the errors of the engines that callers branch on their name.
func named(err error) error {
	var se *sqlite3.Error
	var pe *pgconn.PgError
	unique := errors.As(err, &se) && (se.Code() == 2067 || se.Code() == 1555) || // SQLITE_CONSTRAINT_UNIQUE, _PRIMARYKEY
		errors.As(err, &pe) && pe.Code == "23505"
	if unique {
		return errors.Join(ErrDuplicate, err)
	}
	return err
}
