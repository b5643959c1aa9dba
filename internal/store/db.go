package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
)

//go:embed migrations
var migrations embed.FS

// Config of a store. Everything has a usable zero value but URL and Mark.
type Config struct {
	// URL is the path of an SQLite file, or postgres://…
	URL string
	// Mark is the path of the mark file, beside the master key. Empty: none is
	// kept, and an old copy of the database put back is found by witnesses only.
	Mark string
	// Now is the wall clock; nil is time.Now.
	Now func() time.Time
	// Lifetimes decide with which life a session is judged alive when it is
	// born again. The zero value is grant.DefaultLifetimes.
	Lifetimes grant.Lifetimes
	Log       *slog.Logger
	// Poll is how often the ledger is read when no notification comes
	// (PostgreSQL); 0 is 200 ms.
	Poll time.Duration
	// Sleep waits for the second of an era to be over; nil is time.Sleep. A test
	// with a clock of its own moves that clock instead.
	Sleep func(time.Duration)
	// Test hooks, called at the named places when set. Nothing else uses them.
	Hooks Hooks
}

// Hooks let a test hold a transaction at a named place. All nil in production.
type Hooks struct {
	AfterHead   func(*Tx)            // the head was read, no fact yet
	BeforeLock  func(*Tx)            // facts written, head not yet locked
	AfterCommit func()               // durable, not yet published
	AfterRotate func()               // a batch of refreshes is durable, the last look is still to come
	Exec        func(q string) error // before each statement that writes
}

// DB is an open store. Close it.
type DB struct {
	cfg     Config
	dialect *dialect
	sql     *sql.DB // the writers' pool; SQLite has one
	readers chan *conn
	reads   *sql.DB // the readers' pool
	// urgent is the pool of those who revoke (PostgreSQL).
	urgent *sql.DB
	// followers is the pool of those who follow the ledger (PostgreSQL).
	followers *sql.DB
	queue     *queue // SQLite: waiting writers
	batch     *batcher
	view      *View
	mark      *markFile
	fresh     fresher
	apps      appCache
	node      directory.ID[DB]
	began     bool                      // an era was begun at start
	doubt     atomic.Bool               // the primary lacked a line this node remembers
	beatAt    atomic.Pointer[time.Time] // start of the newest committed heartbeat
	stop      context.CancelFunc
	closed    chan struct{} // closed when nobody gets a reader any more (SQLite)
	closing   sync.Once
	done      sync.WaitGroup
	lock      *os.File
}

// dialect is what differs between the engines.
type dialect struct {
	postgres  bool
	forUpdate string // row lock at the end of a SELECT
	begin     string
}

var (
	sqlite = &dialect{begin: "BEGIN IMMEDIATE"}
	pg     = &dialect{postgres: true, forUpdate: " FOR UPDATE", begin: "BEGIN ISOLATION LEVEL READ COMMITTED"}
)

// Sentinels that callers branch on.
var (
	// ErrNotFound: there is no such row. Verbs turn it into their own sentence.
	ErrNotFound = errors.New("not found")
	// ErrDuplicate: a unique name is taken.
	ErrDuplicate = errors.New("duplicate")
	// ErrOvertaken: a cutoff was written between judging and handing out.
	// Judge again: the grant is dead, or was born again at that line.
	ErrOvertaken = errors.New("overtaken by a cutoff")

	errClosed = fault.New(fault.Unavailable, "curfew is shutting down. Nothing was changed.")
)

// Open connects, migrates, checks that history is not lost, and starts
// following the ledger. The context bounds opening only.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Poll <= 0 {
		cfg.Poll = 200 * time.Millisecond
	}
	if cfg.Lifetimes == (grant.Lifetimes{}) {
		cfg.Lifetimes = grant.DefaultLifetimes()
	}
	db := &DB{cfg: cfg, view: newView(), mark: &markFile{path: cfg.Mark}, closed: make(chan struct{})}
	db.node = directory.NewID[DB](cfg.Now())
	var err error
	if strings.HasPrefix(cfg.URL, "postgres://") || strings.HasPrefix(cfg.URL, "postgresql://") {
		db.dialect = pg
		err = db.openPostgres(ctx)
	} else {
		db.dialect = sqlite
		err = db.openSQLite(ctx)
	}
	if err == nil {
		err = db.start(ctx)
	}
	if err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

func (db *DB) start(ctx context.Context) error {
	if err := db.migrate(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	run, cancel := context.WithCancel(context.Background())
	db.stop = cancel
	if !db.dialect.postgres {
		db.queue = newQueue()
		db.done.Go(db.write)
	}
	db.batch = newBatcher(db)
	db.done.Go(func() { db.batch.run(run) })
	if err := db.load(ctx); err != nil {
		return fmt.Errorf("read ledger: %w", err)
	}
	if err := db.checkHistory(ctx); err != nil {
		return fmt.Errorf("check history: %w", err)
	}
	if db.dialect.postgres {
		if err := db.beat(ctx); err != nil {
			return fmt.Errorf("first heartbeat: %w", err)
		}
		db.done.Go(func() { db.follow(run) })
		db.done.Go(func() { db.heartbeats(run) })
	}
	return nil
}

// Close stops following, lets waiting writers finish and closes the database.
func (db *DB) Close() error {
	if db.queue != nil {
		db.queue.close()
	}
	if db.stop != nil {
		db.stop()
	}
	db.done.Wait()
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
	for _, d := range []*sql.DB{db.reads, db.followers, db.urgent, db.sql} {
		if d != nil {
			errs = append(errs, d.Close())
		}
	}
	if db.lock != nil {
		errs = append(errs, db.lock.Close())
	}
	db.mark.close()
	return errors.Join(errs...)
}

// Postgres reports which engine this is, for what is shown and measured.
func (db *DB) Postgres() bool { return db.dialect.postgres }

// View is the ledger merged in memory.
func (db *DB) View() *View { return db.view }

// Ping reports whether the database answers.
func (db *DB) Ping(ctx context.Context) error {
	return db.Read(ctx, func(tx *Tx) error { return nil })
}

// readerCount bounds how many transactions read at once.
func readerCount() int { return max(4, 2*runtime.GOMAXPROCS(0)) }

// conn is one connection with its prepared statements. One goroutine at a time.
type conn struct {
	*sql.Conn
	stmts map[string]*sql.Stmt // SQLite only: pgx keeps its own
}

func (c *conn) close() {
	for _, s := range c.stmts {
		s.Close()
	}
	c.Conn.Close()
}

// maxPrepared bounds the statements one connection keeps. Filters of lists make
// more shapes than there is memory for.
const maxPrepared = 400

// trim forgets all statements when there are too many. No rows may be open.
func (c *conn) trim() {
	if len(c.stmts) < maxPrepared {
		return
	}
	for _, s := range c.stmts {
		s.Close()
	}
	clear(c.stmts)
}

// prepared returns the cached statement for q. database/sql's own transactions
// would parse it again each time.
func (c *conn) prepared(ctx context.Context, q string) (*sql.Stmt, error) {
	if s, ok := c.stmts[q]; ok {
		return s, nil
	}
	s, err := c.PrepareContext(ctx, q)
	if err != nil {
		return nil, err
	}
	c.stmts[q] = s
	return s, nil
}

// unavailable turns an error of the engine into what a caller may see.
func unavailable(err error) error {
	return fault.Wrap(fault.Unavailable, "The database did not answer. Nothing was changed.", err)
}
