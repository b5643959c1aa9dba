package storetest

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/store"
)

// Engine is one way to open stores on the same empty database.
type Engine struct {
	Name string
	// Postgres: READ COMMITTED, several transactions at once.
	Postgres bool
	// New prepares an empty database and returns how to open it, any number
	// of times, one after the other or (PostgreSQL) side by side.
	New func(testing.TB) func(store.Config) store.Config
}

// Engines are those that can be run here. PostgreSQL is skipped loudly, or
// fails in CI, when it is not found.
func Engines() []Engine {
	return []Engine{
		{Name: "sqlite", New: func(tb testing.TB) func(store.Config) store.Config {
			dir := tb.TempDir()
			return func(c store.Config) store.Config {
				c.URL = filepath.Join(dir, "curfew.db")
				if c.Mark == "" {
					c.Mark = filepath.Join(dir, "mark")
				}
				return c
			}
		}},
		{Name: "postgres", Postgres: true, New: func(tb testing.TB) func(store.Config) store.Config {
			dsn := Postgres(tb)
			return func(c store.Config) store.Config { c.URL = dsn; return c }
		}},
	}
}

// Each runs body on every engine.
func Each(t *testing.T, body func(*testing.T, Engine)) {
	for _, e := range Engines() {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			body(t, e)
		})
	}
}

// Open opens a store and closes it with the test.
func Open(tb testing.TB, cfg store.Config) *store.DB {
	tb.Helper()
	db, err := store.Open(tb.Context(), cfg)
	if err != nil {
		tb.Fatalf("open store: %v", err)
	}
	tb.Cleanup(func() { db.Close() })
	return db
}

// Clock is a wall clock that moves only when told.
type Clock struct {
	mu sync.Mutex
	t  time.Time // guarded by mu
}

// NewClock starts at a fixed instant.
func NewClock() *Clock { return &Clock{t: time.Date(2026, 3, 2, 12, 4, 0, 0, time.UTC)} }

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

// Add moves the clock; it may be given to store.Config.Sleep.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}
