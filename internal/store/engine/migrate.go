package engine

import (
	"context"
	"fmt"
	"io/fs"
	"sort"
	"strings"
)

// migrate brings the schema up to date, forward only, one transaction a file.
// Several nodes may start at once: on PostgreSQL an advisory lock lets one go first.
func (db *DB) migrate(ctx context.Context, cfg Config) error {
	c, err := db.pools[Writers].Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	dir := "sqlite"
	if db.postgres {
		dir = "postgres"
		if _, err := c.ExecContext(ctx, "SELECT pg_advisory_lock(4279317)"); err != nil {
			return err
		}
		defer c.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock(4279317)")
	}
	if _, err := c.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY)"); err != nil {
		return err
	}
	files, err := fs.Glob(cfg.Migrations, dir+"/*.sql")
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
		text, err := fs.ReadFile(cfg.Migrations, f)
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
	if cfg.Seed == nil {
		return nil
	}
	return cfg.Seed(ctx, &Conn{Conn: c})
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
