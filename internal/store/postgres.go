package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/curfew-id/curfew/internal/fault"
)

// Connections of one node. Each kind has its own, so that none waits for
// another's: a writer that has committed reads the ledger back, and a hundred
// writers waiting for one row must not keep it from doing so.
const (
	pgWriters   = 16
	pgReaders   = 12
	pgUrgent    = 3 // writers of revocations, beside the others
	pgFollowers = 2
)

// commitTimeout bounds how long the outcome of a commit is waited for.
const commitTimeout = 10 * time.Second

func (db *DB) openPostgres(ctx context.Context) error {
	cfg, err := pgx.ParseConfig(db.cfg.URL)
	if err != nil {
		return errors.New("the database URL cannot be read") // the error would show the password
	}
	cfg.RuntimeParams["synchronous_commit"] = "on"
	cfg.RuntimeParams["application_name"] = "curfew"
	cfg.RuntimeParams["statement_timeout"] = "10000"
	cfg.RuntimeParams["lock_timeout"] = "8000"
	cfg.RuntimeParams["idle_in_transaction_session_timeout"] = "30000"
	pool := func(n int) *sql.DB {
		p := stdlib.OpenDB(*cfg)
		p.SetMaxOpenConns(n)
		p.SetMaxIdleConns(n)
		return p
	}
	db.sql, db.urgent, db.reads, db.followers = pool(pgWriters), pool(pgUrgent), pool(pgReaders), pool(pgFollowers)
	for setting, want := range map[string]string{"synchronous_commit": "on", "fsync": "on", "default_transaction_read_only": "off"} {
		var got string
		if err := db.sql.QueryRowContext(ctx, "SELECT current_setting($1)", setting).Scan(&got); err != nil {
			return fmt.Errorf("ask PostgreSQL for %s: %w", setting, err)
		}
		if got != want {
			return fault.New(fault.Unavailable, fmt.Sprintf("PostgreSQL runs with %s=%s. curfew needs %s: without it a crash could undo a revocation.", setting, got, want))
		}
	}
	return nil
}

// ErrUnknown: the commit was sent and its answer was lost.
var ErrUnknown = errors.New("outcome unknown")

func (db *DB) updatePostgres(ctx context.Context, f func(*Tx) error, pool *sql.DB) error {
	for attempt := 1; ; attempt++ {
		err := db.tryPostgres(ctx, f, pool)
		if err == nil || attempt >= 5 || !retryable(err) || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(attempt*attempt) * 2 * time.Millisecond):
		}
	}
}

func (db *DB) tryPostgres(ctx context.Context, f func(*Tx) error, pool *sql.DB) error {
	tx := &Tx{db: db, ctx: ctx, write: true, Now: db.cfg.Now().UTC()}
	if err := tx.commitPostgres(f, pool); err != nil {
		return err
	}
	db.committedPostgres(tx.lines)
	for _, f := range tx.done {
		f()
	}
	return nil
}

// commitPostgres runs the transaction on a connection of its own, which it has
// given back when it returns.
func (tx *Tx) commitPostgres(f func(*Tx) error, pool *sql.DB) error {
	sc, err := pool.Conn(tx.ctx)
	if err != nil {
		return unavailable(err)
	}
	defer sc.Close()
	tx.c = &conn{Conn: sc}
	if err := tx.plain(tx.db.dialect.begin); err != nil {
		return unavailable(err)
	}
	err = tx.run(f)
	if err == nil && aborted(sc) {
		// COMMIT would answer without an error and undo everything.
		err = errors.New("store: a statement failed, and the transaction went on")
	}
	if err != nil {
		if rerr := tx.plain("ROLLBACK"); rerr != nil {
			discard(sc)
		}
		return outOfTime(tx.ctx, err)
	}
	// From here on the outcome is waited for, whatever the caller's context says.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tx.ctx), commitTimeout)
	defer cancel()
	if _, err := sc.ExecContext(ctx, "COMMIT"); err != nil {
		var pe *pgconn.PgError
		if errors.As(err, &pe) {
			return err // refused: nothing was changed
		}
		discard(sc)
		return fault.Wrap(fault.Unavailable, "We do not know whether it was done: the answer was lost. Doing it again is safe.", errors.Join(ErrUnknown, err))
	}
	return nil
}

// aborted reports whether PostgreSQL has given up the transaction.
func aborted(sc *sql.Conn) (failed bool) {
	err := sc.Raw(func(c any) error {
		failed = c.(*stdlib.Conn).Conn().PgConn().TxStatus() != 'T'
		return nil
	})
	return failed || err != nil
}

// committedPostgres makes own lines visible on this node before the caller is
// answered. If that read fails the commit stands all the same, and this node's
// growing age is what protects its readers.
func (db *DB) committedPostgres(lines []*Cut) {
	if h := db.cfg.Hooks.AfterCommit; h != nil {
		h()
	}
	if len(lines) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	if err := db.Fresh(ctx); err != nil {
		db.cfg.Log.Warn("own lines not yet read back", "error", err)
	}
}

// discard closes a connection whose state is unknown instead of reusing it.
func discard(c *sql.Conn) {
	_ = c.Raw(func(any) error { return driver.ErrBadConn })
	c.Close()
}

func retryable(err error) bool {
	var pe *pgconn.PgError
	return errors.As(err, &pe) && (pe.Code == "40001" || pe.Code == "40P01")
}

// notText reports that PostgreSQL did not take an argument as text (a zero byte,
// or not UTF-8). No row can hold it, so none is found by it, as on SQLite.
func notText(err error) bool {
	var pe *pgconn.PgError
	return errors.As(err, &pe) && pe.Code == "22021"
}

func pgError(err error) error {
	var pe *pgconn.PgError
	if errors.As(err, &pe) && pe.Code == "23505" {
		return errors.Join(ErrDuplicate, err)
	}
	return err
}
