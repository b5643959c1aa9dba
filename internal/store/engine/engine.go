package engine

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/curfew-id/curfew/internal/fault"
)

// Config of a connection.
type Config struct {
	// URL is the path of an SQLite file, or postgres://…
	URL string
	// Relaxed lets SQLite lose the last commits in a power cut. Never for what
	// revokes.
	Relaxed bool
	// Connections of each kind. SQLite has one writer, and Readers of its own.
	Writers, Urgent, Readers, Followers int
	// Migrations holds sqlite/*.sql and postgres/*.sql.
	Migrations fs.FS
	// Seed writes what every database has from the start; it runs at each one,
	// after the migrations and before anybody else. Nil: nothing.
	Seed func(context.Context, *Conn) error
}

// Pool is a kind of caller. Each has its own connections on PostgreSQL: a writer
// that has committed reads the ledger back, and a hundred writers waiting for one
// row must not keep it from doing so.
type Pool int

// The pools.
const (
	Writers   Pool = iota
	Urgent         // writers of revocations, beside the others
	Readers        // SQLite: prepared connections
	Followers      // those who follow the ledger
	pools
)

// CommitTimeout bounds how long the outcome of a commit is waited for.
const CommitTimeout = 10 * time.Second

// Errors that callers branch on.
var (
	// ErrNotFound: there is no such row.
	ErrNotFound = errors.New("not found")
	// ErrDuplicate: a unique name is taken.
	ErrDuplicate = errors.New("duplicate")
	// ErrUnknown: the commit was sent and its answer was lost.
	ErrUnknown = errors.New("outcome unknown")
	// ErrClosed: nobody is served any more.
	ErrClosed = fault.New(fault.Unavailable, "curfew is shutting down. Nothing was changed.")
)

// DB is an open database. Close it.
type DB struct {
	postgres bool
	pools    [pools]*sql.DB // SQLite: Writers, which has one connection, and Readers
	readers  chan *Conn     // SQLite
	closed   chan struct{}  // closed when nobody gets a reader any more (SQLite)
	closing  sync.Once
	lock     *os.File
}

// IsPostgres reports whether url names a PostgreSQL database.
func IsPostgres(url string) bool {
	return strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://")
}

// Open connects and migrates. The context bounds opening only.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	db := &DB{postgres: IsPostgres(cfg.URL), closed: make(chan struct{})}
	var err error
	if db.postgres {
		err = db.openPostgres(ctx, cfg)
	} else {
		err = db.openSQLite(ctx, cfg)
	}
	if err == nil {
		err = db.migrate(ctx, cfg)
	}
	if err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// Postgres reports which engine this is.
func (db *DB) Postgres() bool { return db.postgres }

// Close closes all connections. Nobody may be writing any more.
func (db *DB) Close() error {
	db.closing.Do(func() { close(db.closed) })
	var errs []error
	if db.readers != nil {
	drain:
		for {
			select {
			case c := <-db.readers:
				c.close()
			default:
				break drain
			}
		}
	}
	for _, p := range []Pool{Readers, Followers, Urgent, Writers} {
		if d := db.pools[p]; d != nil {
			errs = append(errs, d.Close())
		}
	}
	if db.lock != nil {
		errs = append(errs, db.lock.Close())
	}
	return errors.Join(errs...)
}

// Reader hands out a connection to read with, and how to give it back.
func (db *DB) Reader(ctx context.Context, pool Pool) (*Conn, func(), error) {
	if db.postgres {
		c, err := db.pools[pool].Conn(ctx)
		if err != nil {
			return nil, nil, err
		}
		return &Conn{Conn: c}, func() { c.Close() }, nil
	}
	select {
	case c := <-db.readers:
		c.trim()
		return c, func() { db.readers <- c }, nil
	case <-db.closed:
		return nil, nil, ErrClosed
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

// Context is the one statements run under. SQLite's are short and must not be
// interrupted half-way in a shared transaction; modernc would also start a
// goroutine for each.
func (db *DB) Context(ctx context.Context) context.Context {
	if db.postgres {
		return ctx
	}
	return context.Background()
}

// Idle is how many connections read, and how many statements the idle one with
// the most of them keeps (SQLite).
func (db *DB) Idle() (readers, prepared int) {
	for range len(db.readers) {
		c := <-db.readers
		prepared = max(prepared, len(c.stmts))
		db.readers <- c
	}
	return cap(db.readers), prepared
}

// Unavailable turns an error of the engine into what a caller may see.
func Unavailable(err error) error {
	return fault.Wrap(fault.Unavailable, "The database did not answer. Nothing was changed.", err)
}

// OutOfTime tells an error that came because the caller's time was over for what
// it is: nothing was changed, and nobody made a mistake.
func OutOfTime(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && fault.KindOf(err) == fault.Internal && (errors.Is(err, ctx.Err()) || pgconn.Timeout(err)) {
		return Unavailable(err)
	}
	return err
}

// Found turns "no rows" into ErrNotFound.
func Found(err error) error {
	if errors.Is(err, sql.ErrNoRows) || notText(err) {
		return ErrNotFound
	}
	return err
}
