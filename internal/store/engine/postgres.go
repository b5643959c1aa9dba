package engine

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

func (db *DB) openPostgres(ctx context.Context, c Config) error {
	cfg, err := pgx.ParseConfig(c.URL)
	if err != nil {
		return errors.New("the database URL cannot be read") // the error would show the password
	}
	cfg.RuntimeParams["synchronous_commit"] = "on"
	if c.Relaxed {
		cfg.RuntimeParams["synchronous_commit"] = "off"
	}
	cfg.RuntimeParams["application_name"] = "curfew"
	cfg.RuntimeParams["statement_timeout"] = "10000"
	cfg.RuntimeParams["lock_timeout"] = "8000"
	cfg.RuntimeParams["idle_in_transaction_session_timeout"] = "30000"
	for p, n := range [pools]int{Writers: c.Writers, Urgent: c.Urgent, Readers: c.Readers, Followers: c.Followers} {
		if n == 0 {
			continue
		}
		db.pools[p] = stdlib.OpenDB(*cfg)
		db.pools[p].SetMaxOpenConns(n)
		db.pools[p].SetMaxIdleConns(n)
	}
	if c.Relaxed {
		return nil
	}
	for setting, want := range map[string]string{"synchronous_commit": "on", "fsync": "on", "default_transaction_read_only": "off"} {
		var got string
		if err := db.pools[Writers].QueryRowContext(ctx, "SELECT current_setting($1)", setting).Scan(&got); err != nil {
			return fmt.Errorf("ask PostgreSQL for %s: %w", setting, err)
		}
		if got != want {
			return fault.New(fault.Unavailable, fmt.Sprintf("PostgreSQL runs with %s=%s. curfew needs %s: without it a crash could undo a revocation.", setting, got, want))
		}
	}
	return nil
}

// Transact runs f in a transaction of its own on PostgreSQL and commits it. After
// a serialization failure f runs again. f's own error undoes everything.
func (db *DB) Transact(ctx context.Context, pool Pool, f func(*Conn) error) error {
	for attempt := 1; ; attempt++ {
		err := db.transact(ctx, pool, f)
		if err == nil || attempt >= 5 || !retryable(err) || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(attempt*attempt) * 2 * time.Millisecond):
		}
	}
}

// transact has given its connection back when it returns.
func (db *DB) transact(ctx context.Context, pool Pool, f func(*Conn) error) error {
	sc, err := db.pools[pool].Conn(ctx)
	if err != nil {
		return Unavailable(err)
	}
	defer sc.Close()
	c := &Conn{Conn: sc}
	if err := c.Plain(ctx, "BEGIN ISOLATION LEVEL READ COMMITTED"); err != nil {
		return Unavailable(err)
	}
	err = f(c)
	if err == nil && aborted(sc) {
		// COMMIT would answer without an error and undo everything.
		err = errors.New("store: a statement failed, and the transaction went on")
	}
	if err != nil {
		if rerr := c.Plain(ctx, "ROLLBACK"); rerr != nil {
			discard(sc)
		}
		return OutOfTime(ctx, err)
	}
	// From here on the outcome is waited for, whatever the caller's context says.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), CommitTimeout)
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

// Listen rings bell for each notification on channel until ctx is done or the
// connection breaks.
func Listen(ctx context.Context, url, channel string, bell chan<- struct{}) error {
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer c.Close(context.WithoutCancel(ctx))
	if _, err := c.Exec(ctx, "LISTEN "+channel); err != nil {
		return err
	}
	for {
		if _, err := c.WaitForNotification(ctx); err != nil {
			return err
		}
		select {
		case bell <- struct{}{}:
		default:
		}
	}
}
