package store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store/engine"
	"github.com/curfew-id/curfew/internal/store/internal/raw"
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
	c       *engine.Conn
	ctx     context.Context
	write   bool
	by      By
	lines   []*Cut
	audits  []audit.Record
	rights  map[directory.UserID]rightsBefore
	held    map[directory.UserID]directory.Held // what an actor was judged by
	apps    bool                                // an application was written
	wide    *standing.Widening                  // as read; nil: not yet
	moved   []moved
	admins  bool        // somebody may have stopped being Global Administrator
	reach   bool        // the policies may keep out one whom they let in
	ahead   *cutoff.Set // lines after the view's position, up to aheadTo
	aheadTo cutoff.Pos
	locked  bool
	rules   *policy.Set // as of this transaction; nil: not looked at yet
	ruling  bool        // it holds the policies, or has changed them
	done    []func()    // after the commit, before the caller is answered
}

// By says on whose behalf a transaction acts. It is written to ledger and audit.
type By struct {
	Actor  directory.Actor
	Reason string
	Force  bool // even if the policies let no Global Administrator in afterwards
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
func (db *DB) Read(ctx context.Context, f func(*Tx) error) error {
	return db.read(ctx, engine.Readers, f)
}

func (db *DB) read(ctx context.Context, pool engine.Pool, f func(*Tx) error) error {
	c, release, err := db.engine.Reader(ctx, pool)
	if err != nil {
		return unavailable(err)
	}
	defer release()
	tx := &Tx{db: db, c: c, ctx: db.engine.Context(ctx), Now: db.cfg.Now().UTC()}
	if !db.Postgres() { // one snapshot; there, READ COMMITTED makes a transaction of reads mean nothing
		if err := tx.plain("BEGIN"); err != nil {
			return unavailable(err)
		}
		defer tx.plain("ROLLBACK")
	}
	if err := tx.readHead(); err != nil {
		return unavailable(err)
	}
	return engine.OutOfTime(ctx, f(tx))
}

// Update runs f in a transaction and commits. It returns when what f wrote is
// durable and this node's view contains it. f's own error undoes everything.
func (db *DB) Update(ctx context.Context, f func(*Tx) error) error { return db.update(ctx, f, false) }

// Urgent is Update at the head of the queue: for revocations.
func (db *DB) Urgent(ctx context.Context, f func(*Tx) error) error { return db.update(ctx, f, true) }

func (db *DB) update(ctx context.Context, f func(*Tx) error, urgent bool) error {
	begin := func(ctx context.Context, c *engine.Conn) (*Tx, error) {
		tx := &Tx{db: db, c: c, ctx: ctx, write: true, Now: db.cfg.Now().UTC()}
		return tx, tx.run(f)
	}
	if !db.Postgres() {
		return db.queue.Submit(ctx, urgent, func(c *engine.Conn) (*Tx, error) { return begin(db.engine.Context(ctx), c) })
	}
	pool := engine.Writers
	if urgent {
		pool = engine.Urgent
	}
	var tx *Tx
	err := db.engine.Transact(ctx, pool, func(c *engine.Conn) (err error) {
		tx, err = begin(ctx, c)
		return err
	})
	if err == nil {
		db.committedPostgres(tx)
	}
	return err
}

// run reads the head, runs f and appends what it caused. A panic of f becomes
// an error, so that one broken closure does not take the writer down.
func (tx *Tx) run(f func(*Tx) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a transaction: %v\n%s", p, debug.Stack())
		}
	}()
	if err := tx.readHead(); err != nil {
		return unavailable(err)
	}
	if err := f(tx); err != nil {
		return err
	}
	return tx.finish()
}

func (tx *Tx) after() {
	for _, f := range tx.done {
		f()
	}
}

// plain runs a statement without arguments.
func (tx *Tx) plain(q string) error { return tx.c.Plain(tx.ctx, q) }

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
	return tx.c.Exec(tx.ctx, q, args...)
}

// row runs a query for one row; the error comes with Scan.
func (tx *Tx) row(q string, args ...any) scanner { return tx.c.Row(tx.ctx, q, args...) }

type scanner = engine.Scanner

// each scans every row of a query.
func (tx *Tx) each(q string, scan func(scanner) error, args ...any) error {
	return tx.c.Each(tx.ctx, q, scan, args...)
}

// lock is the suffix of a SELECT whose row is about to be changed.
func (tx *Tx) lock() string {
	if tx.write && tx.db.Postgres() {
		return " FOR UPDATE"
	}
	return ""
}

// found turns "no rows" into ErrNotFound.
func found(err error) error { return engine.Found(err) }

// unavailable turns an error of the engine into what a caller may see.
func unavailable(err error) error { return engine.Unavailable(err) }

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

// SQL gives rooms below this one a transaction's statements. Nobody else can name raw.Key.
func (tx *Tx) SQL(raw.Key) SQL { return SQL{tx} }

// SQL runs statements of one transaction, the same way as those here.
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

// Lock is the suffix of a SELECT whose row is about to be changed.
func (s SQL) Lock() string { return s.tx.lock() }
