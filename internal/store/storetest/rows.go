package storetest

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/store"
)

// counter counts the rows of every table of a database, over one connection of
// its own: what a store says of itself is what is tested.
type counter struct {
	db      *sql.DB
	tables  string
	version string // tells whether anybody else has committed a change; empty: cannot be asked
}

// newCounter opens a counter for the database that cfg opens.
func newCounter(tb testing.TB, e Engine, cfg store.Config) *counter {
	tb.Helper()
	c := &counter{}
	c.version = `PRAGMA data_version`
	driver, url := "sqlite", "file:"+cfg.URL+"?mode=ro"
	c.tables = `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`
	if e.Postgres {
		driver, url = "pgx", cfg.URL
		c.version, c.tables = "", `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema() ORDER BY table_name`
	}
	var err error
	if c.db, err = sql.Open(driver, url); err != nil {
		tb.Fatal(err)
	}
	c.db.SetMaxOpenConns(1)
	tb.Cleanup(func() { c.db.Close() })
	return c
}

func (c *counter) rows(tb testing.TB) string {
	tb.Helper()
	var out strings.Builder
	if c.version != "" {
		var n int64
		if err := c.db.QueryRowContext(tb.Context(), c.version).Scan(&n); err != nil {
			tb.Fatal(err)
		}
		fmt.Fprintf(&out, "version %d\n", n)
	}
	names, err := c.db.QueryContext(tb.Context(), c.tables)
	if err != nil {
		tb.Fatal(err)
	}
	defer names.Close()
	var parts []string
	for names.Next() {
		var name string
		if err := names.Scan(&name); err != nil {
			tb.Fatal(err)
		}
		parts = append(parts, fmt.Sprintf(`SELECT '%s', COUNT(*) FROM "%s"`, name, name))
	}
	if err := names.Err(); err != nil || len(parts) == 0 {
		tb.Fatalf("%d tables: %v", len(parts), err)
	}
	rows, err := c.db.QueryContext(tb.Context(), strings.Join(parts, " UNION ALL "))
	if err != nil {
		tb.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var n int64
		if err := rows.Scan(&name, &n); err != nil {
			tb.Fatal(err)
		}
		fmt.Fprintf(&out, "%s %d\n", name, n)
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	return out.String()
}
