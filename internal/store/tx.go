package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/standing"
)

// Tx is a transaction. Its methods are the only way to rows. It must not be
// kept after the closure returns, and the closure may run twice.
type Tx struct {
	// Head is the ledger's head, read before anything else in the transaction:
	// what is born here is born at Head.
	Head cutoff.Pos
	// Now is the wall clock at the transaction's start, for what is shown.
	Now time.Time

	mark    Mark       // of the line at Head
	era     cutoff.Pos // of the newest era line, as of Head
	judged  cutoff.Pos // cutoffs up to here count too, though nothing is born here; see HoldSession
	db      *DB
	c       *conn
	ctx     context.Context
	write   bool
	by      By
	lines   []*Cut
	audits  []audit.Record
	rights  map[directory.UserID]rightsBefore
	held    map[directory.UserID]directory.Held // what an actor was judged by
	apps    bool                                // an application was written
	wide    *standing.Widening                  // as read; nil: not yet
	admins  bool                                // somebody may have stopped being Global Administrator
	ahead   *cutoff.Set                         // lines after the view's position, up to aheadTo
	aheadTo cutoff.Pos
	locked  bool
	done    []func() // after the commit, before the caller is answered
}

// By says on whose behalf a transaction acts. It is written to ledger and audit.
type By struct {
	Actor  directory.Actor
	Reason string
}

// By sets on whose behalf the transaction acts; the zero By is the system.
// Before the commit the store judges once more that this actor is not cut.
func (tx *Tx) By(by By) { tx.by = by }

// Audit adds a record to the audit log in this transaction. Actor, time, IP,
// request, reason and ledger position are filled in.
func (tx *Tx) Audit(r audit.Record) { tx.audits = append(tx.audits, r) }

// AfterCommit runs f when the transaction is durable. f must be quick.
func (tx *Tx) AfterCommit(f func()) { tx.done = append(tx.done, f) }

// Read runs f in a read transaction. On SQLite it is one snapshot; on
// PostgreSQL each statement sees what was committed before it.
func (db *DB) Read(ctx context.Context, f func(*Tx) error) error { return db.read(ctx, db.reads, f) }

func (db *DB) read(ctx context.Context, pool *sql.DB, f func(*Tx) error) error {
	c, release, err := db.reader(ctx, pool)
	if err != nil {
		return unavailable(err)
	}
	defer release()
	tx := &Tx{db: db, c: c, ctx: db.stmtContext(ctx), Now: db.cfg.Now().UTC()}
	if !db.dialect.postgres { // one snapshot; there, READ COMMITTED makes a transaction of reads mean nothing
		if err := tx.plain("BEGIN"); err != nil {
			return unavailable(err)
		}
		defer tx.plain("ROLLBACK")
	}
	if err := tx.readHead(); err != nil {
		return unavailable(err)
	}
	return outOfTime(ctx, f(tx))
}

// outOfTime tells an error that came because the caller's time was over for what
// it is: nothing was changed, and nobody made a mistake.
func outOfTime(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && fault.KindOf(err) == fault.Internal && (errors.Is(err, ctx.Err()) || pgconn.Timeout(err)) {
		return unavailable(err)
	}
	return err
}

// Update runs f in a transaction and commits. It returns when what f wrote is
// durable and this node's view contains it. f's own error undoes everything.
func (db *DB) Update(ctx context.Context, f func(*Tx) error) error { return db.update(ctx, f, false) }

// Urgent is Update at the head of the queue: for revocations.
func (db *DB) Urgent(ctx context.Context, f func(*Tx) error) error { return db.update(ctx, f, true) }

func (db *DB) update(ctx context.Context, f func(*Tx) error, urgent bool) error {
	if db.dialect.postgres {
		pool := db.sql
		if urgent {
			pool = db.urgent
		}
		return db.updatePostgres(ctx, f, pool)
	}
	return db.queue.submit(ctx, &job{f: f, ctx: ctx, urgent: urgent})
}

// stmtContext is the context statements run under. SQLite's are short and must
// not be interrupted half-way in a shared transaction; modernc would also start
// a goroutine for each.
func (db *DB) stmtContext(ctx context.Context) context.Context {
	if db.dialect.postgres {
		return ctx
	}
	return context.Background()
}

// plain runs a statement without arguments outside the prepared set.
func (tx *Tx) plain(q string) error {
	if tx.db.dialect.postgres && q == "ROLLBACK" {
		// The context may be done; the connection must not go back inside a transaction.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tx.ctx), 2*time.Second)
		defer cancel()
		_, err := tx.c.ExecContext(ctx, q)
		return err
	}
	if tx.c.stmts != nil {
		s, err := tx.c.prepared(tx.ctx, q)
		if err != nil {
			return err
		}
		_, err = s.ExecContext(tx.ctx)
		return err
	}
	_, err := tx.c.ExecContext(tx.ctx, q)
	return err
}

func (tx *Tx) readHead() error {
	var mark []byte
	err := tx.row(`SELECT pos, era, mark FROM head WHERE id = 1`).Scan(&tx.Head, &tx.era, &mark)
	copy(tx.mark[:], mark)
	if err == nil && tx.db.cfg.Hooks.AfterHead != nil {
		tx.db.cfg.Hooks.AfterHead(tx)
	}
	return err
}

// exec runs a statement that writes and returns how many rows it touched.
func (tx *Tx) exec(q string, args ...any) (int64, error) {
	if !tx.write {
		return 0, errors.New("store: write in a read transaction")
	}
	if h := tx.db.cfg.Hooks.Exec; h != nil {
		if err := h(q); err != nil {
			return 0, err
		}
	}
	var res sql.Result
	var err error
	if tx.c.stmts != nil {
		var s *sql.Stmt
		if s, err = tx.c.prepared(tx.ctx, q); err == nil {
			res, err = s.ExecContext(tx.ctx, args...)
		}
	} else {
		res, err = tx.c.ExecContext(tx.ctx, q, args...)
	}
	if err != nil {
		return 0, tx.db.sqlError(err)
	}
	return res.RowsAffected()
}

func (tx *Tx) query(q string, args ...any) (*sql.Rows, error) {
	if tx.c.stmts != nil {
		s, err := tx.c.prepared(tx.ctx, q)
		if err != nil {
			return nil, err
		}
		return s.QueryContext(tx.ctx, args...)
	}
	return tx.c.QueryContext(tx.ctx, q, args...)
}

// row runs a query for one row; the error comes with Scan.
func (tx *Tx) row(q string, args ...any) scanner {
	if tx.c.stmts != nil {
		s, err := tx.c.prepared(tx.ctx, q)
		if err != nil {
			return failed{err}
		}
		return s.QueryRowContext(tx.ctx, args...)
	}
	return tx.c.QueryRowContext(tx.ctx, q, args...)
}

type scanner interface{ Scan(...any) error }

type failed struct{ err error }

func (f failed) Scan(...any) error { return f.err }

// each scans every row of a query.
func (tx *Tx) each(q string, scan func(scanner) error, args ...any) error {
	rows, err := tx.query(q, args...)
	if err != nil {
		if notText(err) {
			return nil
		}
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	if err := rows.Err(); !notText(err) {
		return err
	}
	return nil
}

// lock is the suffix of a SELECT whose row is about to be changed.
func (tx *Tx) lock() string {
	if tx.write {
		return tx.db.dialect.forUpdate
	}
	return ""
}

// found turns "no rows" into ErrNotFound.
func found(err error) error {
	if errors.Is(err, sql.ErrNoRows) || notText(err) {
		return ErrNotFound
	}
	return err
}

// Columns hold instants as microseconds of Unix time; 0 is the zero time.

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// blob is an id as a column value; the zero id is NULL.
func blob[Of any](id directory.ID[Of]) any {
	if id.IsZero() {
		return nil
	}
	return id[:]
}

// exactly checks that a statement touched the number of rows it must.
func exactly(n int64, want int64, what string) error {
	if n != want {
		return fmt.Errorf("%s: touched %d rows, not %d", what, n, want)
	}
	return nil
}
