package store

import (
	"context"
	"fmt"
	"io/fs"
	"sort"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
)

// migrate brings the schema up to date, forward only, one transaction a file.
// Several nodes may start at once: on PostgreSQL an advisory lock lets one go first.
func (db *DB) migrate(ctx context.Context) error {
	c, err := db.sql.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	dir := "migrations/sqlite"
	if db.dialect.postgres {
		dir = "migrations/postgres"
		if _, err := c.ExecContext(ctx, "SELECT pg_advisory_lock(4279317)"); err != nil {
			return err
		}
		defer c.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock(4279317)")
	}
	if _, err := c.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY)"); err != nil {
		return err
	}
	files, err := fs.Glob(migrations, dir+"/*.sql")
	if err != nil {
		return err
	}
	sort.Strings(files)
	for _, f := range files {
		name := strings.TrimSuffix(f[strings.LastIndexByte(f, '/')+1:], ".sql")
		var n int
		if err := c.QueryRowContext(ctx, "SELECT COUNT(*) FROM migrations WHERE name = $1", name).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			continue
		}
		text, err := migrations.ReadFile(f)
		if err != nil {
			return err
		}
		t, err := c.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		for _, q := range statements(string(text)) {
			if _, err := t.ExecContext(ctx, q); err != nil {
				t.Rollback()
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		if _, err := t.ExecContext(ctx, "INSERT INTO migrations (name) VALUES ($1)", name); err != nil {
			t.Rollback()
			return err
		}
		if err := t.Commit(); err != nil {
			return err
		}
	}
	tenant := directory.NewID[Directory](db.cfg.Now())
	_, err = c.ExecContext(ctx, `INSERT INTO directory (id, tenant, domain, name, longest_life, created) VALUES (1, $1, '', '', 3600000000, $2) ON CONFLICT (id) DO NOTHING`,
		tenant[:], micros(db.cfg.Now()))
	if err == nil {
		_, err = c.ExecContext(ctx, `INSERT INTO head (id, pos, era, mark) VALUES (1, 0, 0, $1) ON CONFLICT (id) DO NOTHING`, make([]byte, 8))
	}
	return err
}

// statements splits a migration at the semicolons that end lines.
func statements(text string) []string {
	var out []string
	for _, q := range strings.Split(text, ";\n") {
		if strings.TrimSpace(q) != "" {
			out = append(out, q)
		}
	}
	return out
}
