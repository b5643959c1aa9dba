package engine

import (
	"context"
	"database/sql"
	"time"
)

// Conn is one connection with its prepared statements. One goroutine at a time.
type Conn struct {
	*sql.Conn
	stmts map[string]*sql.Stmt // SQLite only: pgx keeps its own
}

// Scanner is one row.
type Scanner interface{ Scan(...any) error }

func (c *Conn) close() {
	for _, s := range c.stmts {
		s.Close()
	}
	c.Conn.Close()
}

// maxPrepared bounds the statements one connection keeps. Filters of lists make
// more shapes than there is memory for.
const maxPrepared = 400

// trim forgets all statements when there are too many. No rows may be open.
func (c *Conn) trim() {
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
func (c *Conn) prepared(ctx context.Context, q string) (*sql.Stmt, error) {
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

// Plain runs a statement without arguments, such as BEGIN.
func (c *Conn) Plain(ctx context.Context, q string) error {
	if c.stmts == nil && q == "ROLLBACK" {
		// The context may be done; the connection must not go back inside a transaction.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_, err := c.ExecContext(ctx, q)
		return err
	}
	if c.stmts != nil {
		s, err := c.prepared(ctx, q)
		if err != nil {
			return err
		}
		_, err = s.ExecContext(ctx)
		return err
	}
	_, err := c.ExecContext(ctx, q)
	return err
}

// Exec runs a statement that writes and returns how many rows it touched.
// ErrDuplicate.
func (c *Conn) Exec(ctx context.Context, q string, args ...any) (int64, error) {
	var res sql.Result
	var err error
	if c.stmts != nil {
		var s *sql.Stmt
		if s, err = c.prepared(ctx, q); err == nil {
			res, err = s.ExecContext(ctx, args...)
		}
	} else {
		res, err = c.ExecContext(ctx, q, args...)
	}
	if err != nil {
		return 0, named(err)
	}
	return res.RowsAffected()
}

// Query runs a query. Rows close before the next statement.
func (c *Conn) Query(ctx context.Context, q string, args ...any) (*sql.Rows, error) {
	if c.stmts != nil {
		s, err := c.prepared(ctx, q)
		if err != nil {
			return nil, err
		}
		return s.QueryContext(ctx, args...)
	}
	return c.QueryContext(ctx, q, args...)
}

// Row runs a query for one row; the error comes with Scan. See [Found].
func (c *Conn) Row(ctx context.Context, q string, args ...any) Scanner {
	if c.stmts != nil {
		s, err := c.prepared(ctx, q)
		if err != nil {
			return failed{err}
		}
		return s.QueryRowContext(ctx, args...)
	}
	return c.QueryRowContext(ctx, q, args...)
}

type failed struct{ err error }

func (f failed) Scan(...any) error { return f.err }

// Each scans every row of a query.
func (c *Conn) Each(ctx context.Context, q string, scan func(Scanner) error, args ...any) error {
	rows, err := c.Query(ctx, q, args...)
	if err != nil {
		if notText(err) {
			return nil
		}
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	if err := rows.Err(); !notText(err) {
		return err
	}
	return nil
}
