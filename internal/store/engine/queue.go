package engine

import (
	"context"
	"database/sql"
	"sync"

	"github.com/curfew-id/curfew/internal/fault"
)

// job is one waiting writer.
type job[T any] struct {
	run    func(*Conn) (T, error)
	ctx    context.Context
	urgent bool
	did    T
	err    error
	done   chan struct{}
}

// Queue holds the waiting writers of an SQLite file, urgent ones first, else in
// order of arrival; many share one commit. T is what a writer leaves behind for
// whoever makes the commit visible. Run must be running while it is used.
type Queue[T any] struct {
	db *DB
	// committed is called with what those left behind who were written, in the
	// order of the transaction, when it is committed and nobody was answered yet.
	committed func([]T)
	mu        sync.Mutex
	urgent    []*job[T]
	normal    []*job[T]
	closed    bool
	wake      chan struct{}
}

// maxWaiting bounds the queue; more are told to come again.
const maxWaiting = 4096

// maxGroup bounds how many share one commit, so that nobody waits long.
const maxGroup = 128

// NewQueue makes the queue of db's one writer.
func NewQueue[T any](db *DB, committed func([]T)) *Queue[T] {
	return &Queue[T]{db: db, committed: committed, wake: make(chan struct{}, 1)}
}

// Submit runs f in a transaction and returns when that is committed, or f's
// error, which undoes what f did and nothing else.
func (q *Queue[T]) Submit(ctx context.Context, urgent bool, f func(*Conn) (T, error)) error {
	if err := ctx.Err(); err != nil {
		return Unavailable(err)
	}
	j := &job[T]{run: f, ctx: ctx, urgent: urgent, done: make(chan struct{})}
	q.mu.Lock()
	switch {
	case q.closed:
		q.mu.Unlock()
		return ErrClosed
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

func (q *Queue[T]) take() (jobs []*job[T], closed bool) {
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

// Waiting is how many writers are queued.
func (q *Queue[T]) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.urgent) + len(q.normal)
}

// Close takes no more writers; Run returns when those that wait were served.
func (q *Queue[T]) Close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Run is the one writer. It owns the writing connection.
func (q *Queue[T]) Run() {
	c, err := q.db.pools[Writers].Conn(context.Background())
	w := &Conn{Conn: c, stmts: map[string]*sql.Stmt{}}
	if err == nil {
		defer w.close()
	}
	for {
		jobs, closed := q.take()
		if len(jobs) == 0 {
			if closed {
				return
			}
			<-q.wake
			continue
		}
		if err != nil {
			for _, j := range jobs {
				j.err = Unavailable(err)
				close(j.done)
			}
			continue
		}
		q.group(w, jobs)
		for _, j := range jobs {
			close(j.done)
		}
	}
}

// group runs jobs in one transaction. A job that fails is undone alone; a
// commit that fails fails them all.
func (q *Queue[T]) group(w *Conn, jobs []*job[T]) {
	w.trim()
	ctx := context.Background()
	var wrote []T
	// Nothing is done before the commit. A full disk makes SQLite undo the whole
	// transaction by itself, so those that were not reached fail as well.
	fail := func(err error) {
		w.Plain(ctx, "ROLLBACK")
		for _, j := range jobs {
			if j.err == nil {
				j.err = Unavailable(err)
			}
		}
	}
	if err := w.Plain(ctx, "BEGIN IMMEDIATE"); err != nil {
		fail(err)
		return
	}
	for _, j := range jobs {
		if err := j.ctx.Err(); err != nil {
			j.err = Unavailable(err)
			continue
		}
		if len(jobs) == 1 { // what it did is undone with the whole transaction
			if j.did, j.err = j.run(w); j.err == nil {
				wrote = append(wrote, j.did)
			}
			break
		}
		if err := w.Plain(ctx, "SAVEPOINT job"); err != nil {
			fail(err)
			return
		}
		j.did, j.err = j.run(w)
		if j.err != nil {
			if err := w.Plain(ctx, "ROLLBACK TO job"); err != nil {
				fail(err)
				return
			}
		}
		if err := w.Plain(ctx, "RELEASE job"); err != nil {
			fail(err)
			return
		}
		if j.err == nil {
			wrote = append(wrote, j.did)
		}
	}
	if len(wrote) == 0 {
		w.Plain(ctx, "ROLLBACK")
		return
	}
	if err := w.Plain(ctx, "COMMIT"); err != nil {
		fail(err)
		return
	}
	q.committed(wrote)
}
