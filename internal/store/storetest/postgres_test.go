package storetest

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func show(t *testing.T, conn *pgx.Conn, setting string) (value string) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), "SHOW "+setting).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

func TestPostgresGivesEachCallerItsOwnDatabase(t *testing.T) {
	t.Parallel()
	one, two := connect(t, Postgres(t)), connect(t, Postgres(t))
	if _, err := one.Exec(t.Context(), "CREATE TABLE people (name text)"); err != nil {
		t.Fatal(err)
	}
	var there bool
	const q = "SELECT to_regclass('people') IS NOT NULL"
	if err := one.QueryRow(t.Context(), q).Scan(&there); err != nil || !there {
		t.Fatalf("in the first database: there = %v, %v", there, err)
	}
	if err := two.QueryRow(t.Context(), q).Scan(&there); err != nil || there {
		t.Fatalf("in the second database: there = %v, %v", there, err)
	}
}

func TestPostgresIsDurableAndPostgresFastIsNot(t *testing.T) {
	t.Parallel()
	real, quick := connect(t, Postgres(t)), connect(t, PostgresFast(t))
	for _, setting := range []string{"fsync", "full_page_writes", "synchronous_commit"} {
		if got := show(t, real, setting); got != "on" {
			t.Errorf("%s = %s, want on", setting, got)
		}
	}
	if got := show(t, quick, "fsync"); got != "off" {
		t.Errorf("PostgresFast: fsync = %s, want off", got)
	}
}

// TestPostgresEndsWithTheProcess kills, with SIGKILL, a process that started a
// server, and waits for the server and its folder to go.
func TestPostgresEndsWithTheProcess(t *testing.T) {
	const role = "STORETEST_CHILD"
	if os.Getenv(role) != "" {
		fmt.Println("child: " + newDatabase(t, durable))
		select {} // until killed
	}
	t.Parallel()
	if _, err := fast(); err != nil {
		newDatabase(t, fast) // skips or fails, with the reason
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestPostgresEndsWithTheProcess$", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), role+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var dsn string
	for lines := bufio.NewScanner(out); dsn == "" && lines.Scan(); {
		if _, err := fmt.Sscanf(lines.Text(), "child: %s", &dsn); err != nil {
			dsn = ""
		}
	}
	if dsn == "" {
		cmd.Process.Kill()
		t.Fatalf("the child started no server: %v", cmd.Wait())
	}
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	dir := u.Query().Get("host")
	connect(t, dsn) // it works before
	if _, err := os.Stat(filepath.Join(dir, "data", "PG_VERSION")); err != nil {
		t.Fatal(err)
	}
	cmd.Process.Kill()
	cmd.Wait()

	deadline := time.Now().Add(30 * time.Second)
	for {
		if _, err := os.Stat(dir); err != nil {
			if !os.IsNotExist(err) {
				t.Fatal(err)
			}
			return
		}
		if time.Now().After(deadline) {
			filepath.WalkDir(dir, func(p string, _ fs.DirEntry, _ error) error { t.Log(p); return nil })
			t.Fatal("30 s after its process was killed, the server's folder is still there")
		}
		time.Sleep(20 * time.Millisecond)
	}
}
