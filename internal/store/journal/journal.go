package journal

import (
	"context"
	"embed"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/curfew-id/curfew/internal/store/engine"
)

//go:embed migrations
var migrations embed.FS

// Config of a journal. Everything but URL has a usable zero value.
type Config struct {
	// URL is the path of an SQLite file, see [Beside], or postgres://…
	URL string
	// Keep is how long entries are kept; 0 is 30 days.
	Keep time.Duration
	Now  func() time.Time
	Log  *slog.Logger
	// Test hooks.
	Room  int           // of the queue; 0 is 8,192
	Every time.Duration // how long an entry waits at most; 0 is 250 ms
	Write func() error  // before each write
	Step  int           // 0 is Step
}

// Beside is where the journal of the directory at url is: in a file beside its
// own, or in the same PostgreSQL database.
func Beside(url string) string {
	if engine.IsPostgres(url) {
		return url
	}
	return filepath.Join(filepath.Dir(strings.TrimPrefix(url, "file:")), "signins.db")
}

// Connections on PostgreSQL.
const (
	pgWriters = 2
	pgReaders = 3
)

// maxBatch bounds how many entries are written in one transaction.
const maxBatch = 500

// DefaultKeep is how long entries are kept unless the operator says otherwise.
const DefaultKeep = 30 * 24 * time.Hour

// Journal is an open sign-in log. A nil one takes everything and keeps nothing.
type Journal struct {
	cfg       Config
	db        *engine.DB
	queue     *engine.Queue[struct{}] // SQLite
	explained explained
	lost      atomic.Int64
	rare      rare
	done      sync.WaitGroup // the writer, and SQLite's queue

	mu      sync.Mutex
	waiting []Entry        // guarded by mu
	held    int            // guarded by mu: taken by the writer, not written yet
	missing int64          // guarded by mu: did not fit, and no entry says so yet
	ask     []chan<- error // guarded by mu: who waits for what is waiting now
	closed  bool           // guarded by mu
	ms      int64          // guarded by mu: of the newest id
	seq     int            // guarded by mu: how many that millisecond has

	wake chan struct{} // something is waiting
	now  chan struct{} // and must not wait longer
	stop chan struct{} // closed by Close
}

// Open connects and migrates. Kinds: Conflict, Unavailable.
func Open(ctx context.Context, cfg Config) (*Journal, error) {
	if cfg.Keep <= 0 {
		cfg.Keep = DefaultKeep
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Room <= 0 {
		cfg.Room = 8192
	}
	if cfg.Step <= 0 {
		cfg.Step = Step
	}
	if cfg.Every <= 0 {
		cfg.Every = 250 * time.Millisecond
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	j := &Journal{cfg: cfg, wake: make(chan struct{}, 1), now: make(chan struct{}, 1), stop: make(chan struct{})}
	j.db, err = engine.Open(ctx, engine.Config{URL: cfg.URL, Relaxed: true, Writers: pgWriters, Readers: pgReaders, Migrations: files})
	if err != nil {
		return nil, err
	}
	if !j.db.Postgres() {
		j.queue = engine.NewQueue(j.db, func([]struct{}) {})
		j.done.Go(j.queue.Run)
	}
	j.done.Go(j.write)
	return j, nil
}

// Close writes what waits and closes the database.
func (j *Journal) Close() error {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	again := j.closed
	j.closed = true
	j.mu.Unlock()
	if again {
		return nil
	}
	close(j.stop)
	j.done.Wait()
	return j.db.Close()
}

// Lost is how many entries did not fit, came after Close, or could not be written
// before it.
func (j *Journal) Lost() int64 { return j.lost.Load() }

// update runs f in a transaction.
func (j *Journal) update(ctx context.Context, f func(context.Context, *engine.Conn) error) error {
	if j.queue != nil {
		return j.queue.Submit(ctx, false, func(c *engine.Conn) (struct{}, error) { return struct{}{}, f(j.db.Context(ctx), c) })
	}
	return j.db.Transact(ctx, engine.Writers, func(c *engine.Conn) error { return f(ctx, c) })
}

// read runs f in a read transaction.
func (j *Journal) read(ctx context.Context, f func(context.Context, *engine.Conn) error) error {
	c, release, err := j.db.Reader(ctx, engine.Readers)
	if err != nil {
		return engine.Unavailable(err)
	}
	defer release()
	return engine.OutOfTime(ctx, f(j.db.Context(ctx), c))
}
