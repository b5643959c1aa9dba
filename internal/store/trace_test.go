package store_test

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// onPostgres runs body where transactions run side by side.
func onPostgres(t *testing.T, body func(*testing.T, storetest.Engine)) {
	t.Parallel()
	for _, e := range storetest.Engines() {
		if e.Postgres {
			body(t, e)
		}
	}
}

// once calls f at the first call that passes, in the goroutine of the hook.
type once struct {
	mu sync.Mutex
	f  func()
}

func (o *once) arm(f func()) { o.mu.Lock(); o.f = f; o.mu.Unlock() }
func (o *once) fire() {
	o.mu.Lock()
	f := o.f
	o.f = nil
	o.mu.Unlock()
	if f != nil {
		f()
	}
}

func TestTrace1RevokeBetweenFactsAndBirth(t *testing.T) {
	onPostgres(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		s := &grant.Session{ID: directory.NewID[directory.Session](w.Clock.Now()), User: w.Ada.ID, Created: w.Clock.Now(), LastUsed: w.Clock.Now(), Cookie: [32]byte{9}}
		w.Update(func(tx *store.Tx) error {
			if u, err := tx.User(w.Ada.ID); err != nil || !u.Enabled {
				t.Fatalf("judged: %v", err)
			}
			w.Revoke(w.Ada) // another connection, committed while this one is open
			return tx.CreateSession(s)
		})
		if w.SessionAlive(s.ID) {
			t.Fatal("a session judged before the revoke lives after it")
		}
	})
}

func TestTrace2RebirthIsJudgedUnderTheLock(t *testing.T) {
	onPostgres(t, func(t *testing.T, e storetest.Engine) {
		for _, tt := range []struct {
			name string
			cut  func(*storetest.World, *grant.Session, *grant.Grant)
			// what must be dead afterwards
			session bool
		}{
			{"revoke of the user", func(w *storetest.World, s *grant.Session, g *grant.Grant) {
				// The user's row is locked by the password change: the line is
				// written by an act that does not touch it.
				w.Update(func(tx *store.Tx) error {
					tx.Cut(&store.Cut{Cause: standing.Revoked, Cuts: []cutoff.Cutoff{{Scope: cutoff.User, ID: w.Ada.ID.String(), Reach: cutoff.Everything}}})
					return nil
				})
			}, true},
			{"reuse kill of a grant", func(w *storetest.World, s *grant.Session, g *grant.Grant) {
				w.Update(func(tx *store.Tx) error {
					tx.Cut(&store.Cut{Cause: standing.Reused, Cuts: []cutoff.Cutoff{{Scope: cutoff.Grant, ID: g.ID.String(), Reach: cutoff.Everything}}})
					return nil
				})
			}, false},
			{"role removal", func(w *storetest.World, s *grant.Session, g *grant.Grant) {
				w.Update(func(tx *store.Tx) error {
					tx.Cut(&store.Cut{Cause: standing.RightsRemoved, Cuts: []cutoff.Cutoff{{Scope: cutoff.User, ID: w.Ada.ID.String(), Reach: cutoff.Tokens}}})
					return nil
				})
			}, false},
		} {
			t.Run(tt.name, func(t *testing.T) {
				var o once
				w := storetest.NewWorld(t, e, store.Hooks{BeforeLock: func(*store.Tx) { o.fire() }})
				s := w.Session(w.Ada)
				g := w.Grant(s, true)
				o.arm(func() { tt.cut(w, s, g) })
				var c *store.Cut
				w.Update(func(tx *store.Tx) (err error) {
					if u, err := tx.Session(s.ID); err != nil || u.Born != s.Born {
						t.Fatalf("judged: %v", err)
					}
					c, err = tx.ChangeUser(w.Ada.ID, store.UserChange{Own: true, Keep: s.ID}, func(u *directory.User) error { u.Password.Version++; return nil })
					return err
				})
				if w.SessionAlive(s.ID) == tt.session || c.Kept == tt.session {
					t.Errorf("session alive=%v, kept=%v", w.SessionAlive(s.ID), c.Kept)
				}
				if w.GrantAlive(g.ID) {
					t.Error("a grant that was dead before the lock was born again")
				}
			})
		}
	})
}

func TestTrace5ProfileEditDoesNotUndoADisable(t *testing.T) {
	onPostgres(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		w.Update(func(tx *store.Tx) error {
			w.Disable(w.Ada) // after the edit has begun, before it reads the row
			_, err := tx.ChangeUser(w.Ada.ID, store.UserChange{}, func(u *directory.User) error { u.JobTitle = "Countess"; return nil })
			return err
		})
		w.Read(func(tx *store.Tx) error {
			u, err := tx.User(w.Ada.ID)
			if err == nil && (u.Enabled || u.JobTitle != "Countess") {
				t.Errorf("enabled=%v, title %q", u.Enabled, u.JobTitle)
			}
			return err
		})
	})
}

func TestTrace6DisableAndOwnPasswordChangeDoNotDeadlock(t *testing.T) {
	onPostgres(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		for range 10 {
			s := w.Session(w.Ada)
			w.Grant(s, true)
			done := make(chan error, 3)
			change := func(how store.UserChange, f func(*directory.User)) {
				done <- w.DB.Update(context.Background(), func(tx *store.Tx) error {
					_, err := tx.ChangeUser(w.Ada.ID, how, func(u *directory.User) error { f(u); return nil })
					return err
				})
			}
			go change(store.UserChange{}, func(u *directory.User) { u.Enabled = !u.Enabled })
			go change(store.UserChange{Own: true, Keep: s.ID}, func(u *directory.User) { u.Password.Version++ })
			go func() {
				_, err := w.DB.Rotate(context.Background(), directory.NewID[directory.Grant](time.Now()), func(*store.Refresh) error { return nil })
				if err == store.ErrNotFound {
					err = nil
				}
				done <- err
			}()
			for range 3 {
				if err := <-done; err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// backup copies the closed SQLite file; put writes it back.
type backup struct {
	cfg  store.Config
	data []byte
}

func sqliteWorld(t *testing.T) (*storetest.World, *backup) {
	t.Helper()
	b := &backup{}
	e := storetest.Engines()[0]
	open := e.New
	e.New = func(tb testing.TB) func(store.Config) store.Config {
		complete := open(tb)
		return func(c store.Config) store.Config { b.cfg = complete(c); return b.cfg }
	}
	return storetest.NewWorld(t, e, store.Hooks{}), b
}

func (b *backup) take(t *testing.T, w *storetest.World) {
	t.Helper()
	b.close(t, w)
	var err error
	if b.data, err = os.ReadFile(b.cfg.URL); err != nil {
		t.Fatal(err)
	}
	b.open(t, w)
}

func (b *backup) close(t *testing.T, w *storetest.World) {
	t.Helper()
	if err := w.DB.Close(); err != nil {
		t.Fatal(err)
	}
}

func (b *backup) put(t *testing.T, w *storetest.World) {
	t.Helper()
	b.close(t, w)
	if err := os.WriteFile(b.cfg.URL, b.data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (b *backup) open(t *testing.T, w *storetest.World) {
	t.Helper()
	w.DB = storetest.Open(t, b.cfg)
}

func TestTrace18RestoreCutsWhatWasBornBefore(t *testing.T) {
	t.Parallel()
	w, b := sqliteWorld(t)
	s := w.Session(w.Ada)
	b.take(t, w)
	w.Revoke(w.Ada)
	last, _ := w.DB.View().Head()
	b.put(t, w)
	b.open(t, w)
	era, _ := w.DB.View().Head()
	if w.SessionAlive(s.ID) {
		t.Fatal("the revoke was lost, and with it the cut")
	}
	if era <= last {
		t.Fatalf("the era's position %d was used before (%d)", era, last)
	}
	// Twice in one second: the second restore must not reach the same position.
	s2 := w.Session(w.Ada)
	w.Clock.Add(-time.Second) // as if no second had passed since
	b.put(t, w)
	b.open(t, w)
	if again, _ := w.DB.View().Head(); again <= era {
		t.Fatalf("two eras at %d and %d", era, again)
	}
	w.Read(func(tx *store.Tx) error {
		o := s2.Owner()
		p, err := tx.Latest(&o, cutoff.Browser)
		if err == nil && s2.Born >= p {
			t.Error("what was born between two restores lives")
		}
		return err
	})
	// The clock set back behind the newest line: it refuses to start.
	w.Revoke(w.Ada)
	b.put(t, w)
	w.Clock.Add(-48 * time.Hour)
	if db, err := store.Open(context.Background(), b.cfg); !fault.Is(err, fault.Unavailable) {
		if db != nil {
			db.Close()
		}
		t.Fatalf("a clock set back: %v", err)
	}
}

func TestTrace18FileCopiedBackUnderARunningKey(t *testing.T) {
	t.Parallel()
	w, b := sqliteWorld(t)
	b.take(t, w)
	s := w.Session(w.Ada)
	w.Revoke(w.Grace)
	b.close(t, w)
	if err := os.WriteFile(b.cfg.URL, b.data, 0o600); err != nil {
		t.Fatal(err)
	}
	// The mark file was lost as well: a file with a history but without its
	// mark was copied here.
	if err := os.Remove(b.cfg.Mark); err != nil {
		t.Fatal(err)
	}
	b.open(t, w)
	o := s.Owner()
	if !w.DB.View().Dead(&o, s.Born, cutoff.Browser) {
		t.Fatal("a session that is in no row any more would be accepted")
	}
}

func TestTrace19And20AThousandWitnessesMakeOneEra(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		head, mark := w.DB.View().Head()
		beyond := store.Witness{Pos: head + 5, Mark: store.Mark{1}}
		overtaken := store.Witness{Pos: head, Mark: store.Mark{2}}
		honest := store.Witness{Pos: head, Mark: mark}
		if began, err := w.DB.Testify(context.Background(), honest); err != nil || began {
			t.Fatalf("an honest witness: %v %v", began, err)
		}
		var eras int
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				x := beyond
				if i%2 == 0 {
					x = overtaken
				}
				began, err := w.DB.Testify(context.Background(), x)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if began {
					eras++
				}
			})
		}
		wg.Wait()
		if eras != 1 {
			t.Fatalf("%d eras", eras)
		}
		if s := w.Session(w.Ada); !w.SessionAlive(s.ID) {
			t.Fatal("a new sign-in after the era is dead")
		}
	})
}

// A statement that fails, or that is lost after it was done, must not leave a
// revocation half-written, and must not be reported as done.
func TestEachStatementOfARevocationFailsOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		var fail int
		var seen []string
		var armed bool
		w := storetest.NewWorld(t, e, store.Hooks{Exec: func(q string) error {
			if !armed || strings.Contains(q, "INTO nodes") {
				return nil
			}
			seen = append(seen, q)
			if len(seen) == fail {
				return context.DeadlineExceeded
			}
			return nil
		}})
		for fail = 1; ; fail++ {
			s := w.Session(w.Ada)
			head, _ := w.DB.View().Head()
			seen, armed = nil, true
			err := w.DB.Urgent(context.Background(), func(tx *store.Tx) error {
				_, _, err := tx.RevokeUser(w.Ada.ID, directory.SessionID{}, [32]byte{})
				return err
			})
			armed = false
			now, _ := w.DB.View().Head()
			if err == nil {
				if w.SessionAlive(s.ID) || now != head+1 {
					t.Fatal("reported as done and is not")
				}
				if fail < 5 {
					t.Fatalf("only %d statements seen: %q", fail-1, seen)
				}
				return
			}
			if !w.SessionAlive(s.ID) || now != head {
				t.Fatalf("statement %d failed, and something was cut: %q", fail, seen[len(seen)-1])
			}
		}
	})
}

func TestARevocationCostsTheSameForOneGrantAndForThousands(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		var writes int
		w := storetest.NewWorld(t, e, store.Hooks{Exec: func(q string) error {
			if !strings.Contains(q, "INTO nodes") && !strings.Contains(q, "pg_notify") {
				writes++
			}
			return nil
		}})
		count := func() int {
			writes = 0
			w.Revoke(w.Ada)
			return writes
		}
		w.Grant(w.Session(w.Ada), true)
		one := count()
		s := w.Session(w.Ada)
		w.Update(func(tx *store.Tx) error {
			for range 2000 {
				g := &grant.Grant{ID: directory.NewID[directory.Grant](w.Clock.Now()), User: w.Ada.ID, App: w.App.ID, Session: s.ID, Created: w.Clock.Now(), LastUsed: w.Clock.Now()}
				if err := tx.CreateGrant(g); err != nil {
					return err
				}
			}
			return nil
		})
		if many := count(); many != one || many > 6 {
			t.Fatalf("%d writes for one grant, %d for 2,000 (limit 6)", one, many)
		}
	})
}

func TestSweepDeletesTheDeadAndSparesTheLiving(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		s := w.Session(w.Ada)
		g := w.Grant(s, true)
		w.Update(func(tx *store.Tx) error {
			return tx.CreateTicket(&store.Ticket{Hash: [32]byte{1}, Kind: "code", App: "x", Expires: w.Clock.Now()})
		})
		sweep := func() int64 {
			n, err := w.DB.Sweep(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		if n := sweep(); n != 0 {
			t.Fatalf("swept %d rows that are young", n)
		}
		w.Clock.Add(2 * 24 * time.Hour)
		sweep()
		if !w.SessionAlive(s.ID) || !w.GrantAlive(g.ID) {
			t.Fatal("swept what lives")
		}
		w.Clock.Add(100 * 24 * time.Hour)
		if n := sweep(); n < 2 {
			t.Fatalf("swept %d rows", n)
		}
		err := w.DB.Read(context.Background(), func(tx *store.Tx) error { _, err := tx.Grant(g.ID); return err })
		if err != store.ErrNotFound {
			t.Fatalf("the grant is still there: %v", err)
		}
	})
}
