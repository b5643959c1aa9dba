package relay

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// TestTrace12AQuestionHeldWhileTheAgeGrowsIsRefused stops a node's heartbeats
// while it holds a question, and moves its clock past the limit.
func TestTrace12AQuestionHeldWhileTheAgeGrowsIsRefused(t *testing.T) {
	t.Parallel()
	var deposed atomic.Bool
	h := newHouseWith(t, store.Config{URL: storetest.Postgres(t), Hooks: store.Hooks{Exec: func(q string) error {
		if deposed.Load() && strings.Contains(q, "INTO nodes") {
			return errors.New("standby does not answer")
		}
		return nil
	}}})
	p, cursor := h.guard("mail-1", mail)
	deposed.Store(true)
	// A heartbeat that had passed the hook may still commit: wait until the age
	// follows the clock.
	h.clock.move(time.Second)
	until(func() bool { return h.db.Age() >= time.Second })
	a, err := h.s.Ask(t.Context(), h.app, Ask{Process: p, After: cursor})
	if err != nil || a.Age < time.Second {
		t.Fatalf("a young node answers and tells its age; got %+v, %v", a, err)
	}
	asking := make(chan error, 1)
	go func() {
		_, err := h.s.Ask(t.Context(), h.app, Ask{Process: p, After: a.Cursor, Wait: 300 * time.Millisecond})
		asking <- err
	}()
	until(func() bool { return h.asking(p) > 0 })
	h.clock.move(11 * time.Second)
	wantKind(t, <-asking, fault.Unavailable)
	_, err = h.s.Ask(t.Context(), h.app, Ask{Process: p, After: a.Cursor})
	wantKind(t, err, fault.Unavailable)
	_, err = h.s.Ask(t.Context(), h.app, Ask{Process: p})
	wantKind(t, err, fault.Unavailable)
}

func (h *house) asking(p ProcessID) int {
	h.s.register.mu.Lock()
	defer h.s.register.mu.Unlock()
	return h.s.register.processes[p].asking
}

func TestTrace14TwoProcessesOfOneClientAcknowledgeEachForItself(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		p1, c1 := h.guard("mail-1", mail)
		p2, c2 := h.guard("mail-2", mail)
		c := h.cut()
		a := h.ask(p1, c1)
		h.clock.move(44 * time.Millisecond)
		h.ask(p1, a.Cursor)
		v := h.receipt(c)
		if v.Guards != 2 || v.Confirmed != 1 || v.Complete || len(v.Left) != 1 || !v.OverSince.IsZero() {
			t.Fatalf("one of two has confirmed, the receipt says %d of %d, complete %v, left %v", v.Confirmed, v.Guards, v.Complete, v.Left)
		}
		if r := rowOf(t, v, p1); r.State != Confirmed || r.After != 44*time.Millisecond || r.Bound {
			t.Errorf("row of the one that confirmed: %+v", r)
		}
		if r := rowOf(t, v, p2); r.State != Waiting {
			t.Errorf("row of the other: %+v", r)
		}
		// The other cannot be spoken for with the first one's cursor.
		_, err := h.s.Ask(t.Context(), h.app, Ask{Process: p2, After: a.Cursor})
		wantKind(t, err, fault.Invalid)
		// Silent, it closes by its own limit, which is not a confirmation.
		slack := time.Duration(0)
		if h.db.Postgres() { // another node might be answering it
			slack = foreignSlack
		}
		h.later(5*time.Second + slack/2)
		if r := rowOf(t, h.receipt(c), p2); r.State != Closes || !r.At.Equal(start.Add(10*time.Second+slack)) {
			t.Errorf("silent: %+v", r)
		}
		h.later(6*time.Second + slack/2)
		v = h.receipt(c)
		if r := rowOf(t, v, p2); r.State != Closed || v.Complete || v.Confirmed != 1 || v.Title != TitleOver {
			t.Errorf("closed by itself: %+v, receipt %+v", r, v)
		}
		b := h.ask(p2, c2)
		h.ask(p2, b.Cursor)
		if v = h.receipt(c); v.Confirmed != 2 || !v.Complete {
			t.Errorf("both have confirmed: %+v", v)
		}
	})
}

// TestTrace15AnHonestCursorAtALaggingNodeMakesNoEra asks a second node that has
// not heard of the line yet, and one that cannot hear of it.
func TestTrace15AnHonestCursorAtALaggingNodeMakesNoEra(t *testing.T) {
	t.Parallel()
	url := storetest.Postgres(t)
	h := newHouse(t, url)
	p, cursor := h.guard("mail-1", mail)
	var deaf atomic.Bool
	lagging := openDB(t, store.Config{URL: url, Poll: time.Hour, Now: h.clock.now, Hooks: store.Hooks{AfterHead: func(tx *store.Tx) {
		if deaf.Load() {
			tx.Head = 0 // what this node reads is old
		}
	}}})
	s2 := h.service(lagging)
	if _, err := s2.Ask(t.Context(), h.app, Ask{Process: p, After: cursor}); err != nil {
		t.Fatal(err)
	}
	deaf.Store(true)
	c := h.cut()
	a := h.ask(p, cursor)
	if a.Head != c.Pos {
		t.Fatalf("head %d, want %d", a.Head, c.Pos)
	}
	// Its reads show an old head: it must not take the cursor for proof, whatever
	// it thinks of its own view.
	_, err := s2.Ask(t.Context(), h.app, Ask{Process: p, After: a.Cursor})
	if err == nil {
		t.Error("a node that lags behind the cursor answered")
	}
	if n, _ := h.eras(); n != 0 {
		t.Fatalf("%d eras from an honest cursor", n)
	}
	deaf.Store(false)
	b, err := s2.Ask(t.Context(), h.app, Ask{Process: p, After: a.Cursor})
	if err != nil || b.Head != c.Pos || b.Snapshot {
		t.Fatalf("the node that caught up: %+v, %v", b, err)
	}
	if n, head := h.eras(); n != 0 || head != c.Pos {
		t.Fatalf("%d eras, head %d", n, head)
	}
}

// copyFile puts one SQLite file, closed, in the place of another.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(to + suffix); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// lose runs a house, makes a backup after the guards registered, lets more happen,
// and opens the backup in its place. It returns the processes and the cursors they
// were given after the backup.
func lose(t *testing.T, guards int) (h *house, processes []ProcessID, cursors []string) {
	file := filepath.Join(t.TempDir(), "curfew.db")
	db, err := store.Open(t.Context(), store.Config{URL: file})
	if err != nil {
		t.Fatal(err)
	}
	db.Close() // migrated; from here on we open and close by hand
	h = &house{t: t, clock: newClock(), admin: directory.Actor{Operator: true}}
	reopen := func() {
		db, err := store.Open(context.Background(), store.Config{URL: file, Now: h.clock.now, Sleep: h.clock.move})
		if err != nil {
			t.Fatal(err)
		}
		h.db = db
		h.s = &Service{DB: db, Secret: make([]byte, 32), Now: h.clock.now}
		if err := h.s.begin(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	shut := func() {
		if err := h.s.flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		h.db.Close()
	}
	reopen()
	h.app = &directory.App{ID: "mail", Object: directory.NewID[directory.App](start), Enabled: true, Guards: []directory.ResourceID{mail}}
	h.ada = directory.NewID[directory.User](start)
	h.update(func(tx *store.Tx) error {
		if err := tx.SaveApp(h.app); err != nil {
			return err
		}
		return tx.CreateUser(&directory.User{ID: h.ada, Name: "ada@contoso.example", Enabled: true, Created: start})
	})
	h.cut()
	for i := range guards {
		p, _ := h.guard(fmt.Sprintf("mail-%d", i), mail)
		processes = append(processes, p)
	}
	shut()
	copyFile(t, file, file+".backup")
	reopen()
	for range 3 {
		h.cut()
	}
	for _, p := range processes {
		cursors = append(cursors, h.ask(p, "").Cursor)
	}
	shut()
	copyFile(t, file+".backup", file)
	reopen()
	t.Cleanup(func() { h.db.Close() })
	return h, processes, cursors
}

func TestTrace19ANewHistoryThatOvertookTheOldMakesExactlyOneEra(t *testing.T) {
	t.Parallel()
	h, processes, cursors := lose(t, 2)
	var newer []*store.Cut
	for range 6 {
		newer = append(newer, h.cut())
	}
	if w, _ := h.s.open(processes[0], cursors[0]); w.Pos >= newer[5].Pos {
		t.Fatalf("the new history, at %d, has not overtaken the old cursor at %d", newer[5].Pos, w.Pos)
	}
	a := h.ask(processes[0], cursors[0])
	n, head := h.eras()
	if n != 1 || !a.Snapshot || a.Head != head || head < 1<<22 {
		t.Fatalf("%d eras, head %d, answer %+v", n, head, a)
	}
	owner := cutoff.NewOwner(cutoff.Belongs{User: "anybody"})
	if !setOf(t, a).Dead(&owner, newer[5].Pos, cutoff.Token) {
		t.Error("what was born before the era is not dead in the snapshot")
	}
	if b := h.ask(processes[1], cursors[1]); !b.Snapshot {
		t.Error("the second witness went on from a lost position")
	}
	// A cursor of the lost history confirms nothing of the new one, though it lies
	// beyond its lines.
	for _, c := range newer {
		if v := h.receipt(c); v.Confirmed != 0 {
			t.Errorf("receipt of %d is confirmed by a guard that never saw it", c.Pos)
		}
	}
	if n, _ := h.eras(); n != 1 {
		t.Fatalf("%d eras after the second witness", n)
	}
}

func TestTrace20AThousandOldCursorsMakeExactlyOneEra(t *testing.T) {
	t.Parallel()
	h, processes, cursors := lose(t, 1000)
	var all sync.WaitGroup
	for i := range processes {
		all.Go(func() {
			a, err := h.s.Ask(t.Context(), h.app, Ask{Process: processes[i], After: cursors[i]})
			if err != nil || !a.Snapshot {
				t.Errorf("witness %d: %+v, %v", i, a, err)
			}
		})
	}
	all.Wait()
	if n, head := h.eras(); n != 1 || head < 1<<22 {
		t.Fatalf("%d eras, head %d", n, head)
	}
}

// TestAProcessOfALostHistoryStillIsAWitness: its registration was lost as well.
func TestAProcessOfALostHistoryStillIsAWitness(t *testing.T) {
	t.Parallel()
	h, _, _ := lose(t, 1)
	_, head := h.eras()
	stranger := directory.NewID[store.Guard](start)
	cursor := h.s.seal(stranger, store.Witness{Pos: head + 2, Mark: store.Mark{1}})
	_, err := h.s.Ask(t.Context(), h.app, Ask{Process: stranger, After: cursor})
	if !errors.Is(err, ErrUnknownProcess) {
		t.Fatalf("error %v, want an unknown process", err)
	}
	if n, _ := h.eras(); n != 1 {
		t.Fatalf("%d eras", n)
	}
}

func TestTrace21AnInventedCursorIsRefusedAndChangesNothing(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		p, cursor := h.guard("mail-1", mail)
		_, before := h.eras()
		good, err := base64.RawURLEncoding.DecodeString(cursor)
		if err != nil {
			t.Fatal(err)
		}
		var invented []string
		far := append([]byte(nil), good...)
		binary.BigEndian.PutUint64(far, 1<<53-1)
		invented = append(invented, base64.RawURLEncoding.EncodeToString(far), "9007199254740991", "%", cursor+"A", cursor[1:], cursor+"=", strings.Repeat("A", 43), strings.Repeat("A", 1<<16))
		for i := range good {
			b := append([]byte(nil), good...)
			b[i] ^= 1
			invented = append(invented, base64.RawURLEncoding.EncodeToString(b))
		}
		other := &Service{DB: h.db, Secret: make([]byte, 32)} // another master key
		if err := other.begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		invented = append(invented, other.seal(p, store.Witness{Pos: 1<<53 - 1}))
		for _, after := range invented {
			_, err := h.s.Ask(t.Context(), h.app, Ask{Process: p, After: after})
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("cursor %.60q: %v, want invalid", after, err)
			}
		}
		if n, head := h.eras(); n != 0 || head != before {
			t.Fatalf("%d eras, head moved from %d to %d", n, before, head)
		}
	})
}
