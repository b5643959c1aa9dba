package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"

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
func (db *DB) openSQLite(ctx context.Context) error {
	if err := lowerOnce(); err != nil {
		return err
	}
	path := strings.TrimPrefix(db.cfg.URL, "file:")
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	db.lock = lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fault.Wrap(fault.Conflict, "Another curfew has this directory open. One process owns an SQLite file; more than one need PostgreSQL.", err)
	}
	q := url.Values{"_pragma": {"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(5000)", "foreign_keys(1)", "cache_size(-32000)", "wal_autocheckpoint(4000)"}}
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
	if db.sql, err = sql.Open("sqlite", dsn); err != nil {
		return err
	}
	db.sql.SetMaxOpenConns(1)
	if err := db.sql.PingContext(ctx); err != nil {
		return err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	if db.reads, err = sql.Open("sqlite", dsn+"&_pragma=query_only(1)"); err != nil {
		return err
	}
	n := readerCount()
	db.reads.SetMaxOpenConns(n)
	db.readers = make(chan *conn, n)
	for range n {
		c, err := db.reads.Conn(ctx)
		if err != nil {
			return err
		}
		db.readers <- &conn{Conn: c, stmts: map[string]*sql.Stmt{}}
	}
	return nil
}

// reader hands out a connection to read with.
func (db *DB) reader(ctx context.Context, pool *sql.DB) (*conn, func(), error) {
	if db.dialect.postgres {
		c, err := pool.Conn(ctx)
		if err != nil {
			return nil, nil, err
		}
		return &conn{Conn: c}, func() { c.Close() }, nil
	}
	select {
	case c := <-db.readers:
		c.trim()
		return c, func() { db.readers <- c }, nil
	case <-db.closed:
		return nil, nil, errClosed
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

// job is one waiting writer.
type job struct {
	f      func(*Tx) error
	ctx    context.Context
	urgent bool
	err    error
	after  []func()
	done   chan struct{}
}

// queue holds waiting writers: urgent ones first, else in order of arrival.
type queue struct {
	mu     sync.Mutex
	urgent []*job
	normal []*job
	closed bool
	wake   chan struct{}
}

// maxWaiting bounds the queue; more are told to come again.
const maxWaiting = 4096

// maxGroup bounds how many share one commit, so that nobody waits long.
const maxGroup = 128

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

func (q *queue) submit(ctx context.Context, j *job) error {
	if err := ctx.Err(); err != nil {
		return unavailable(err)
	}
	j.done = make(chan struct{})
	q.mu.Lock()
	switch {
	case q.closed:
		q.mu.Unlock()
		return errClosed
	case !j.urgent && len(q.normal) >= maxWaiting:
		q.mu.Unlock()
		return fault.New(fault.Unavailable, "Too many changes are waiting. Nothing was changed.")
	case j.urgent:
		q.urgent = append(q.urgent, j)
	default:
		q.normal = append(q.normal, j)
	}
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	// Once queued the outcome is waited for, whatever the context says: a
	// caller must never be told "nothing was changed" of something that was.
	<-j.done
	return j.err
}

func (q *queue) take() (jobs []*job, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	// An urgent job shares its commit with other urgent ones only: it waits
	// for nobody's work but the group being written now.
	from := &q.normal
	if len(q.urgent) > 0 {
		from = &q.urgent
	}
	n := min(len(*from), maxGroup)
	jobs = append(jobs, (*from)[:n]...)
	*from = append((*from)[:0], (*from)[n:]...)
	return jobs, q.closed
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// write is the one writer. It owns the writing connection.
func (db *DB) write() {
	c, err := db.sql.Conn(context.Background())
	w := &conn{Conn: c, stmts: map[string]*sql.Stmt{}}
	if err == nil {
		defer w.close()
	}
	for {
		jobs, closed := db.queue.take()
		if len(jobs) == 0 {
			if closed {
				return
			}
			<-db.queue.wake
			continue
		}
		if err != nil {
			for _, j := range jobs {
				j.err = unavailable(err)
				close(j.done)
			}
			continue
		}
		db.group(w, jobs)
		for _, j := range jobs {
			close(j.done)
		}
	}
}

// group runs jobs in one transaction. A job that fails is undone alone; a
// commit that fails fails them all.
func (db *DB) group(w *conn, jobs []*job) {
	w.trim()
	outer := &Tx{db: db, c: w, ctx: context.Background(), write: true}
	var wrote []*job
	var lines []*Cut
	// Nothing is done before the commit. A full disk makes SQLite undo the whole
	// transaction by itself, so those that were not reached fail as well.
	fail := func(err error) {
		outer.plain("ROLLBACK")
		for _, j := range jobs {
			if j.err == nil {
				j.err = unavailable(err)
			}
		}
	}
	if err := outer.plain(db.dialect.begin); err != nil {
		fail(err)
		return
	}
	for _, j := range jobs {
		if err := j.ctx.Err(); err != nil {
			j.err = unavailable(err)
			continue
		}
		tx := &Tx{db: db, c: w, ctx: outer.ctx, write: true, Now: db.cfg.Now().UTC()}
		if err := outer.plain("SAVEPOINT job"); err != nil {
			fail(err)
			return
		}
		j.err = tx.run(j.f)
		if j.err != nil {
			if err := outer.plain("ROLLBACK TO job"); err != nil {
				fail(err)
				return
			}
		}
		if err := outer.plain("RELEASE job"); err != nil {
			fail(err)
			return
		}
		if j.err == nil {
			wrote = append(wrote, j)
			lines = append(lines, tx.lines...)
			j.after = tx.done
		}
	}
	if len(wrote) == 0 {
		outer.plain("ROLLBACK")
		return
	}
	if err := outer.plain("COMMIT"); err != nil {
		fail(err)
		return
	}
	db.committed(lines)
	for _, j := range wrote {
		for _, f := range j.after {
			f()
		}
	}
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

// sqlError names the errors of the engines that callers branch on.
func (db *DB) sqlError(err error) error {
	if db.dialect.postgres {
		return pgError(err)
	}
	var se *sqlite3.Error
	if errors.As(err, &se) && (se.Code() == 2067 || se.Code() == 1555) { // SQLITE_CONSTRAINT_UNIQUE, _PRIMARYKEY
		return errors.Join(ErrDuplicate, err)
	}
	return err
}

// committed makes durable lines visible: to this node's view, to the mark file,
// to everybody who waits for the bell.
func (db *DB) committed(lines []*Cut) {
	if h := db.cfg.Hooks.AfterCommit; h != nil {
		h()
	}
	if len(lines) == 0 {
		return
	}
	recs := make([]LineAt, len(lines))
	for i, l := range lines {
		recs[i] = LineAt{Line: l.line(), Mark: l.mark, At: l.At, Era: l.era, Cause: l.Cause, Receipt: l.Receipt, prev: l.prev}
	}
	if !db.view.advance(recs) {
		panic("store: the one writer's lines do not follow each other")
	}
	last := recs[len(recs)-1]
	if err := db.mark.write(last.Pos, last.Mark); err != nil {
		db.cfg.Log.Error("mark file not written; an old copy of the database put back would be found by witnesses only", "error", err)
	}
}
