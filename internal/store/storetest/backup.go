package storetest

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/curfew-id/curfew/internal/store"
)

// Backup copies a database that nobody has open, and returns what puts the copy
// back in its place, any number of times.
func Backup(tb testing.TB, e Engine, cfg store.Config) (put func()) {
	tb.Helper()
	if !e.Postgres {
		data, err := os.ReadFile(cfg.URL)
		if err != nil {
			tb.Fatal(err)
		}
		return func() {
			if err := os.WriteFile(cfg.URL, data, 0o600); err != nil {
				tb.Fatal(err)
			}
		}
	}
	conn, err := pgx.ParseConfig(cfg.URL)
	if err != nil {
		tb.Fatal(err)
	}
	name := pgx.Identifier{conn.Database}.Sanitize()
	copied := pgx.Identifier{conn.Database + "_backup"}.Sanitize()
	conn.Database = "postgres"
	run := func(statements ...string) {
		tb.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		c, err := pgx.ConnectConfig(ctx, conn)
		if err != nil {
			tb.Fatal(err)
		}
		defer c.Close(ctx)
		for _, q := range statements {
			// A connection that was just closed may still be leaving.
			for {
				_, err = c.Exec(ctx, q)
				var pe *pgconn.PgError
				if !errors.As(err, &pe) || pe.Code != "55006" { // object_in_use
					break
				}
			}
			if err != nil {
				tb.Fatalf("%s: %v", q, err)
			}
		}
	}
	run("DROP DATABASE IF EXISTS "+copied, "CREATE DATABASE "+copied+" TEMPLATE "+name)
	tb.Cleanup(func() { run("DROP DATABASE IF EXISTS " + copied) })
	return func() { run("DROP DATABASE "+name+" WITH (FORCE)", "CREATE DATABASE "+name+" TEMPLATE "+copied) }
}
