package store_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

const killEnv = "CURFEW_TEST_KILLED_CHILD"

// TestMain runs the child of TestKilledAtAnyMoment: it revokes as fast as it can
// and says so after each.
func TestMain(m *testing.M) {
	args := strings.Split(os.Getenv(killEnv), " ")
	if len(args) != 3 {
		os.Exit(m.Run())
	}
	db, err := store.Open(context.Background(), store.Config{URL: args[0], Mark: args[1]})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	id, err := directory.ParseID[directory.User](args[2])
	for err == nil {
		var c *store.Cut
		err = db.Urgent(context.Background(), func(tx *store.Tx) error {
			c, _, err = tx.RevokeUser(id, directory.SessionID{}, [32]byte{})
			return err
		})
		if err == nil {
			fmt.Println(int64(c.Pos))
		}
	}
	fmt.Println("error", err)
	os.Exit(1)
}

func TestKilledAtAnyMomentNoAcknowledgedRevocationIsLost(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		var cfg store.Config
		open := e.New
		e.New = func(tb testing.TB) func(store.Config) store.Config {
			complete := open(tb)
			return func(c store.Config) store.Config { cfg = complete(c); return cfg }
		}
		w := storetest.NewWorld(t, e, store.Hooks{})
		if cfg.Mark == "" {
			cfg.Mark = t.TempDir() + "/mark"
		}
		for round := range 8 {
			s := w.Session(w.Ada)
			if err := w.DB.Close(); err != nil {
				t.Fatal(err)
			}
			acked := killedChild(t, cfg, w.Ada.ID, round)
			w.DB = storetest.Open(t, store.Config{URL: cfg.URL, Mark: cfg.Mark})
			head, _ := w.DB.View().Head()
			switch {
			case head < acked:
				t.Fatalf("acknowledged up to %d, the ledger ends at %d", acked, head)
			case head > acked+1:
				t.Fatalf("acknowledged up to %d, the ledger ends at %d: a crash was taken for lost history", acked, head)
			case w.SessionAlive(s.ID):
				t.Fatal("a revoked session came back")
			}
		}
	})
}

// killedChild starts a child, kills it after a few revocations in the middle of
// whatever it does, and returns the last one it acknowledged.
func killedChild(t *testing.T, cfg store.Config, id directory.UserID, round int) (acked cutoff.Pos) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), exe)
	child.Env = append(os.Environ(), killEnv+"="+cfg.URL+" "+cfg.Mark+" "+id.String())
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		var pos int64
		if _, err := fmt.Sscan(lines.Text(), &pos); err != nil {
			t.Fatalf("child: %s", lines.Text())
		}
		acked = cutoff.Pos(pos)
		if n == 5+round {
			time.AfterFunc(time.Duration(round)*137*time.Microsecond, func() { child.Process.Kill() })
		}
	}
	child.Wait()
	if acked == 0 {
		t.Fatal("the child acknowledged nothing")
	}
	return acked
}
