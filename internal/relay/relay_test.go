package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

const (
	mail   = directory.ResourceID("api://mail")
	drive  = directory.ResourceID("api://drive")
	legacy = directory.ResourceID("api://legacy")
)

// clock is a wall clock that a test moves.
type testClock struct {
	mu sync.Mutex
	at time.Time
}

var start = time.Date(2026, 3, 2, 12, 4, 31, 0, time.UTC)

func newClock() *testClock { return &testClock{at: start} }

func (c *testClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *testClock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// house is a directory with one guard client, three resources and ada.
type house struct {
	t     testing.TB
	clock *testClock
	db    *store.DB
	s     *Service
	app   *directory.App
	ada   directory.UserID
	admin directory.Actor
}

// engines runs a test on both.
func engines(t *testing.T, f func(t *testing.T, url string)) {
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); f(t, filepath.Join(t.TempDir(), "curfew.db")) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); f(t, storetest.Postgres(t)) })
}

func openDB(t testing.TB, cfg store.Config) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func newHouse(t testing.TB, url string) *house {
	t.Helper()
	return newHouseWith(t, store.Config{URL: url})
}

func newHouseWith(t testing.TB, cfg store.Config) *house {
	t.Helper()
	h := &house{t: t, clock: newClock()}
	if cfg.Now == nil {
		cfg.Now = h.clock.now
	}
	if cfg.Sleep == nil {
		cfg.Sleep = h.clock.move
	}
	h.db = openDB(t, cfg)
	h.app = &directory.App{ID: "mail", Object: directory.NewID[directory.App](start), Name: "Mail", Enabled: true, Guards: []directory.ResourceID{mail, drive}}
	h.ada = directory.NewID[directory.User](start)
	h.admin = directory.Actor{User: directory.NewID[directory.User](start), Name: "root@contoso.example", Held: directory.Held{Roles: []directory.RoleID{role.GlobalAdministrator}}}
	h.update(func(tx *store.Tx) error {
		for id, name := range map[directory.ResourceID]string{mail: "Mail", drive: "Drive", legacy: "Legacy"} {
			if err := tx.SaveResource(&directory.Resource{ID: id, Name: name, Created: start}); err != nil {
				return err
			}
		}
		if err := tx.SaveApp(h.app); err != nil {
			return err
		}
		return tx.CreateUser(&directory.User{ID: h.ada, Name: "ada@contoso.example", DisplayName: "Ada Lovelace", Enabled: true, Created: start})
	})
	h.s = h.service(h.db)
	return h
}

// service is one more node's relay over db.
func (h *house) service(db *store.DB) *Service {
	s := &Service{DB: db, Secret: bytes.Repeat([]byte{7}, 32), Now: h.clock.now, Issuers: []string{"https://id.contoso.example"}}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		if err := s.Run(ctx); err != nil {
			h.t.Errorf("run: %v", err)
		}
	})
	h.t.Cleanup(func() { cancel(); done.Wait() })
	return s
}

func (h *house) update(f func(*store.Tx) error) {
	h.t.Helper()
	if err := h.db.Update(h.t.Context(), f); err != nil {
		h.t.Fatal(err)
	}
}

// cut revokes ada and counts what is left, as package revoke does.
func (h *house) cut() *store.Cut { return h.cutWith(nil) }

func (h *house) cutWith(tokens []store.OutstandingAt) *store.Cut {
	h.t.Helper()
	var c *store.Cut
	h.update(func(tx *store.Tx) (err error) {
		c, _, err = tx.RevokeUser(h.ada, directory.SessionID{}, [32]byte{})
		return err
	})
	h.update(func(tx *store.Tx) error {
		rest := &store.Rest{Tokens: tokens}
		guards, err := tx.Guards()
		for _, g := range guards {
			rest.Guards = append(rest.Guards, g.ID)
		}
		if err != nil {
			return err
		}
		return tx.SaveRest(c.Receipt, rest)
	})
	return c
}

// guard registers a process and gives it its first snapshot; it returns the
// process and the cursor.
func (h *house) guard(name string, r directory.ResourceID) (ProcessID, string) {
	h.t.Helper()
	reg, err := h.s.Register(h.t.Context(), h.app, Registration{Name: name, Resource: r, MaxStaleness: 10 * time.Second, Version: "test"})
	if err != nil {
		h.t.Fatal(err)
	}
	return reg.Process, h.ask(reg.Process, "").Cursor
}

func (h *house) ask(p ProcessID, after string) *Answer {
	h.t.Helper()
	a, err := h.s.Ask(h.t.Context(), h.app, Ask{Process: p, After: after})
	if err != nil {
		h.t.Fatal(err)
	}
	return a
}

// later moves the clock and waits until this node has noticed by a heartbeat.
func (h *house) later(d time.Duration) {
	h.clock.move(d)
	until(func() bool { return h.db.Age() == 0 })
}

// until polls: what it waits for is told to nobody.
func until(is func() bool) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !is() {
		<-tick.C
	}
}

func (h *house) receipt(c *store.Cut) *ReceiptView {
	h.t.Helper()
	v, err := h.s.Receipt(h.t.Context(), h.admin, c.Receipt)
	if err != nil {
		h.t.Fatal(err)
	}
	return v
}

func (h *house) eras() (n int, head cutoff.Pos) {
	h.t.Helper()
	err := h.db.Read(h.t.Context(), func(tx *store.Tx) error {
		lines, err := tx.LinesBefore(0, 1000)
		n, head = 0, tx.Head
		for _, l := range lines {
			if l.Era {
				n++
				if l.Cause != standing.HistoryLost {
					h.t.Errorf("era with cause %s", l.Cause)
				}
			}
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return n, head
}

// linesOf parses an answer's lines.
func linesOf(t testing.TB, a *Answer) (lines []cutoff.Line) {
	t.Helper()
	text := append([]byte{'['}, bytes.Join(a.Lines, nil)...)
	if err := json.Unmarshal(append(text, ']'), &lines); err != nil {
		t.Fatalf("lines are not JSON: %v in %s", err, text)
	}
	return lines
}

func setOf(t testing.TB, a *Answer) *cutoff.Set {
	t.Helper()
	set := &cutoff.Set{}
	for _, l := range linesOf(t, a) {
		if l.Pos > a.Head {
			t.Errorf("line %d beyond the head %d", l.Pos, a.Head)
		}
		set.Merge(l)
	}
	return set
}

func rowOf(t testing.TB, v *ReceiptView, p ProcessID) Row {
	t.Helper()
	for _, r := range v.Rows {
		if r.Process == p.String() {
			return r
		}
	}
	t.Fatalf("receipt has no row of %s: %+v", p, v.Rows)
	return Row{}
}

func wantKind(t testing.TB, err error, k fault.Kind) {
	t.Helper()
	if !fault.Is(err, k) {
		t.Fatalf("error %v is %v, want %v", err, fault.KindOf(err), k)
	}
}

func TestAskGivesASnapshotThenTheLinesSince(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		first := h.cut()
		p, err := h.s.Register(t.Context(), h.app, Registration{Name: "mail-1", Resource: mail, MaxStaleness: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		a := h.ask(p.Process, "")
		owner := cutoff.NewOwner(cutoff.Belongs{User: h.ada.String()})
		if !a.Snapshot || a.Head != first.Pos || !setOf(t, a).Dead(&owner, first.Pos-1, cutoff.Token) {
			t.Fatalf("first answer %+v does not hold the cut at %d", a, first.Pos)
		}
		if b := h.ask(p.Process, a.Cursor); b.Snapshot || len(linesOf(t, b)) != 0 || b.Head != a.Head {
			t.Fatalf("nothing is new, yet: %+v", b)
		}
		second, third := h.cut(), h.cut()
		b := h.ask(p.Process, a.Cursor)
		lines := linesOf(t, b)
		if b.Snapshot || len(lines) != 2 || lines[0].Pos != second.Pos || lines[1].Pos != third.Pos || b.Head != third.Pos {
			t.Fatalf("answer %+v with %v, want lines %d and %d", b, lines, second.Pos, third.Pos)
		}
		// A later snapshot is the shared rendering and the lines since.
		if c := h.ask(p.Process, ""); !c.Snapshot || !setOf(t, c).Dead(&owner, third.Pos-1, cutoff.Token) {
			t.Fatalf("later snapshot lacks the third cut: %+v", c)
		}
	})
}

func TestAHeldQuestionIsAnsweredByTheCut(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		p, cursor := h.guard("mail-1", mail)
		answers := make(chan *Answer, 1)
		go func() {
			a, err := h.s.Ask(t.Context(), h.app, Ask{Process: p, After: cursor, Wait: 30 * time.Second})
			if err != nil {
				t.Error(err)
			}
			answers <- a
		}()
		until(func() bool { return h.asking(p) > 0 })
		h.clock.move(3 * time.Second)
		c := h.cut()
		a := <-answers
		if a == nil || a.Head != c.Pos || len(linesOf(t, a)) != 1 || a.Held != 3*time.Second {
			t.Fatalf("answer %+v, want line %d held 3 s", a, c.Pos)
		}
	})
}

func TestTrace10OnlyTheCursorOfAnAnswerAcknowledges(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		p, c0 := h.guard("mail-1", mail)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		streamed := make(chan []byte, 16)
		open := make(chan struct{})
		var once sync.Once
		go h.s.Stream(ctx, h.app, p, func(b []byte) error {
			once.Do(func() { close(open) })
			streamed <- b
			return nil
		})
		<-open
		one, two := h.cut(), h.cut()
		for got := []byte(nil); !bytes.Contains(got, []byte(`"pos":`+itoa(two.Pos)+`,`)); {
			got = append(got, <-streamed...) // line 2 has arrived; that line 1 did is known to nobody
		}
		a := h.ask(p, c0)
		if lines := linesOf(t, a); len(lines) != 2 || lines[0].Pos != one.Pos {
			t.Fatalf("asked with the last answer's cursor: got %v", lines)
		}
		for _, c := range []*store.Cut{one, two} {
			if v := h.receipt(c); v.Confirmed != 0 || v.Complete || rowOf(t, v, p).State != Waiting || v.Title != TitleUnconfirmed {
				t.Errorf("receipt of %d says confirmed %d of %d, %s, without an acknowledgement", c.Pos, v.Confirmed, v.Guards, v.Title)
			}
		}
		h.ask(p, a.Cursor)
		for _, c := range []*store.Cut{one, two} {
			if v := h.receipt(c); v.Confirmed != 1 || !v.Complete || rowOf(t, v, p).State != Confirmed {
				t.Errorf("receipt of %d is not confirmed after the acknowledgement: %+v", c.Pos, v)
			}
		}
	})
}

func TestTrace11NoLineIsSkippedWhileACommitIsHeld(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		var mu sync.Mutex
		var hold chan struct{}
		held := make(chan struct{}, 1)
		h := newHouseWith(t, store.Config{URL: url, Poll: time.Hour, Hooks: store.Hooks{AfterCommit: func() {
			mu.Lock()
			ch := hold
			hold = nil
			mu.Unlock()
			if ch != nil {
				held <- struct{}{}
				<-ch
			}
		}}})
		p, cursor := h.guard("mail-1", mail)
		release := make(chan struct{})
		mu.Lock()
		hold = release
		mu.Unlock()
		cutDone := make(chan *store.Cut)
		go func() {
			var c *store.Cut
			err := h.db.Update(t.Context(), func(tx *store.Tx) (err error) {
				c, _, err = tx.RevokeUser(h.ada, directory.SessionID{}, [32]byte{})
				return err
			})
			if err != nil {
				t.Error(err)
			}
			cutDone <- c
		}()
		<-held // durable, and not yet shown
		a := h.ask(p, cursor)
		close(release)
		c := <-cutDone
		lines := linesOf(t, a)
		if len(lines) == 0 { // then the head told must not be past the line either
			if a.Head >= c.Pos {
				t.Fatalf("head %d contains line %d, which was not given", a.Head, c.Pos)
			}
			lines = linesOf(t, h.ask(p, a.Cursor))
		}
		if len(lines) != 1 || lines[0].Pos != c.Pos {
			t.Fatalf("got %v, want exactly line %d", lines, c.Pos)
		}
	})
}

func itoa(p cutoff.Pos) string { b, _ := json.Marshal(p); return string(b) }
