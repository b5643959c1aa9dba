package storetest

import (
	"bufio"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

//go:embed postgres.sh
var postgresScript string

// sharedEnv names a server that runs already: scripts/test.sh starts one for
// all packages, so that each test binary need not start its own.
const sharedEnv = "CURFEW_TEST_POSTGRES"

var (
	durable = sync.OnceValues(func() (string, error) { return startPostgres() })
	fast    = sync.OnceValues(func() (string, error) { return startPostgres("fsync=off", "full_page_writes=off") })
)

// Postgres returns the connection string of a new, empty database on a real
// PostgreSQL server that writes durably (fsync on), dropped when the test ends.
// The server is the one named by CURFEW_TEST_POSTGRES, or else one that this
// process starts on first use and that ends, with its files, when the process
// does, in whatever way.
//
// Where PostgreSQL is not installed the test is skipped, or fails when
// CURFEW_CI=1.
func Postgres(tb testing.TB) (dsn string) {
	tb.Helper()
	if shared := os.Getenv(sharedEnv); shared != "" {
		return createDatabase(tb, shared)
	}
	return newDatabase(tb, durable)
}

// PostgresFast is Postgres on a server of its own with fsync off: it keeps what
// was committed while the server lives, and loses it when the machine stops. For
// tests with many small writes whose subject is not durability, never for a
// figure in docs/performance.md.
func PostgresFast(tb testing.TB) (dsn string) {
	tb.Helper()
	return newDatabase(tb, fast)
}

func newDatabase(tb testing.TB, start func() (string, error)) string {
	tb.Helper()
	server, err := start()
	switch {
	case errors.Is(err, errNoPostgres) && os.Getenv("CURFEW_CI") != "1":
		tb.Skipf("PostgreSQL not found (apt-get install postgresql): %v", err)
	case err != nil:
		tb.Fatalf("start PostgreSQL: %v", err)
	}
	return createDatabase(tb, server)
}

func createDatabase(tb testing.TB, server string) string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		tb.Fatalf("connect to PostgreSQL: %v", err)
	}
	defer conn.Close(ctx)
	name := "curfew_test_" + strings.ToLower(rand.Text())
	// template0, because it takes no connections that could hold up the copy.
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE template0"); err != nil {
		tb.Fatalf("create database: %v", err)
	}
	tb.Cleanup(func() { dropDatabase(tb, server, name) })
	u, err := url.Parse(server)
	if err != nil {
		tb.Fatalf("connection string must be a URL: %v", err)
	}
	u.Path = "/" + name
	return u.String()
}

// dropDatabase keeps a long run from filling the disk: an empty database takes
// 7 MB. It ends connections that the test left open.
func dropDatabase(tb testing.TB, server, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		tb.Errorf("connect to PostgreSQL: %v", err)
		return
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
		tb.Errorf("drop database: %v", err)
	}
}

var errNoPostgres = errors.New("not installed")

// keep holds the servers' standard inputs: a pipe that is collected is closed,
// and its server would stop.
var keep struct {
	sync.Mutex
	stdin []any
}

// startPostgres runs postgres.sh and returns what it prints. The script ends
// when the pipe to its standard input closes, and the kernel closes it when this
// process is gone. A parent death signal would not do: it follows the thread
// that started the child, and leaves the files behind.
func startPostgres(settings ...string) (dsn string, err error) {
	cmd := exec.Command("/bin/sh", append([]string{"-c", postgresScript, "postgres.sh"}, settings...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	log, err := os.CreateTemp("", "curfew-pg-log-")
	if err != nil {
		return "", err
	}
	defer log.Close()
	defer os.Remove(log.Name())
	// A file, not a buffer: a copying goroutine would keep `go test` waiting.
	cmd.Stderr = log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	keep.Lock()
	keep.stdin = append(keep.stdin, stdin)
	keep.Unlock()

	// The script bounds its own waiting (30 s) and answers or ends.
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err == nil {
		return strings.TrimSpace(line), nil
	}
	stdin.Close()
	werr := cmd.Wait()
	said, _ := os.ReadFile(log.Name())
	if exit := (*exec.ExitError)(nil); errors.As(werr, &exit) && exit.ExitCode() == 3 {
		return "", fmt.Errorf("%w: %s", errNoPostgres, strings.TrimSpace(string(said)))
	}
	return "", fmt.Errorf("postgres.sh: %v: %s", werr, said)
}
