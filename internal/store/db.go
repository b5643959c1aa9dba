package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/store/engine"
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
	cfg    Config
	engine *engine.DB
	queue  *engine.Queue[*Tx] // SQLite: waiting writers
	batch  *batcher
	view   *View
	mark   *markFile
	fresh  fresher
	apps   appCache
	rules  atomic.Pointer[rules]
	shut   atomic.Int64 // Unix time when policies could not be judged by last
	watch  func(context.Context, *Tx, cutoff.Pos) error
	node   directory.ID[DB]
	began  bool                      // an era was begun at start
	doubt  atomic.Bool               // the primary lacked a line this node remembers
	beatAt atomic.Pointer[time.Time] // start of the newest committed heartbeat
	stop   context.CancelFunc
	done   sync.WaitGroup
}

// Connections of one node on PostgreSQL.
const (
	pgWriters   = 16
	pgReaders   = 12
	pgUrgent    = 3
	pgFollowers = 2
)

// Sentinels that callers branch on.
var (
	// ErrNotFound: there is no such row. Verbs turn it into their own sentence.
	ErrNotFound = engine.ErrNotFound
	// ErrDuplicate: a unique name is taken.
	ErrDuplicate = engine.ErrDuplicate
	// ErrUnknown: the commit was sent and its answer was lost.
	ErrUnknown = engine.ErrUnknown
	// ErrOvertaken: a cutoff was written between judging and handing out.
	// Judge again: the grant is dead, or was born again at that line.
	ErrOvertaken = errors.New("overtaken by a cutoff")
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
	db := &DB{cfg: cfg, view: newView(), mark: &markFile{path: cfg.Mark}}
	db.node = directory.NewID[DB](cfg.Now())
	err := db.connect(ctx)
	if err == nil {
		err = db.start(ctx)
	}
	if err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

func (db *DB) connect(ctx context.Context) (err error) {
	cfg := engine.Config{URL: db.cfg.URL, Writers: pgWriters, Urgent: pgUrgent, Readers: pgReaders, Followers: pgFollowers, Seed: db.seed}
	if !engine.IsPostgres(cfg.URL) {
		cfg.Readers = max(4, 2*runtime.GOMAXPROCS(0))
	}
	if cfg.Migrations, err = fs.Sub(migrations, "migrations"); err != nil {
		return err
	}
	db.engine, err = engine.Open(ctx, cfg)
	return err
}

// seed writes the rows of which there is one.
func (db *DB) seed(ctx context.Context, c *engine.Conn) error {
	tenant := directory.NewID[Directory](db.cfg.Now())
	_, err := c.Exec(ctx, `INSERT INTO directory (id, tenant, domain, name, longest_life, created) VALUES (1, $1, '', '', 3600000000, $2) ON CONFLICT (id) DO NOTHING`,
		tenant[:], micros(db.cfg.Now()))
	if err == nil {
		_, err = c.Exec(ctx, `INSERT INTO head (id, pos, era, mark) VALUES (1, 0, 0, $1) ON CONFLICT (id) DO NOTHING`, make([]byte, 8))
	}
	return err
}

func (db *DB) start(ctx context.Context) error {
	run, cancel := context.WithCancel(context.Background())
	db.stop = cancel
	if !db.Postgres() {
		db.queue = engine.NewQueue(db.engine, db.committed)
		db.done.Go(db.queue.Run)
	}
	db.batch = newBatcher(db)
	db.done.Go(func() { db.batch.run(run) })
	if err := db.load(ctx); err != nil {
		return fmt.Errorf("read ledger: %w", err)
	}
	if err := db.checkHistory(ctx); err != nil {
		return fmt.Errorf("check history: %w", err)
	}
	if db.Postgres() {
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
		db.queue.Close()
	}
	if db.stop != nil {
		db.stop()
	}
	db.done.Wait()
	var err error
	if db.engine != nil {
		err = db.engine.Close()
	}
	db.mark.close()
	return err
}

// Postgres reports which engine this is, for what is shown and measured.
func (db *DB) Postgres() bool { return db.engine.Postgres() }

// View is the ledger merged in memory.
func (db *DB) View() *View { return db.view }

// Watch has f asked under the head's lock, which is at a position, whenever the
// policies may keep a Global Administrator out after a transaction whom they let in
// before. Its error undoes the transaction. Set it before anything is written.
func (db *DB) Watch(f func(context.Context, *Tx, cutoff.Pos) error) { db.watch = f }

// Ping reports whether the database answers.
func (db *DB) Ping(ctx context.Context) error {
	return db.Read(ctx, func(tx *Tx) error { return nil })
}

// committed makes durable lines (SQLite) visible: to this node's view, to the
// mark file, to everybody who waits for the bell.
func (db *DB) committed(txs []*Tx) {
	if h := db.cfg.Hooks.AfterCommit; h != nil {
		h()
	}
	var recs []LineAt
	for _, tx := range txs {
		for _, l := range tx.lines {
			recs = append(recs, LineAt{Line: l.line(), Mark: l.mark, At: l.At, Era: l.era, Cause: l.Cause, Receipt: l.Receipt, prev: l.prev})
		}
	}
	if len(recs) > 0 {
		if !db.view.advance(recs) {
			panic("store: the one writer's lines do not follow each other")
		}
		last := recs[len(recs)-1]
		if err := db.mark.write(last.Pos, last.Mark); err != nil {
			db.cfg.Log.Error("mark file not written; an old copy of the database put back would be found by witnesses only", "error", err)
		}
	}
	for _, tx := range txs {
		tx.after()
	}
}

// committedPostgres makes own lines visible on this node before the caller is
// answered. If that read fails the commit stands all the same, and this node's
// growing age is what protects its readers.
func (db *DB) committedPostgres(tx *Tx) {
	if h := db.cfg.Hooks.AfterCommit; h != nil {
		h()
	}
	if len(tx.lines) > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), engine.CommitTimeout)
		defer cancel()
		if err := db.Fresh(ctx); err != nil {
			db.cfg.Log.Warn("own lines not yet read back", "error", err)
		}
	}
	tx.after()
}
