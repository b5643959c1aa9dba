package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// together queues jobs behind one that holds the writer, so that they share a
// transaction, and returns their errors in order.
func together(t *testing.T, db *store.DB, jobs ...func(*store.Tx) error) []error {
	t.Helper()
	held, release := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		first <- db.Urgent(context.Background(), func(*store.Tx) error { close(held); <-release; return nil })
	}()
	<-held
	errs := make([]chan error, len(jobs))
	for i, f := range jobs {
		errs[i] = make(chan error, 1)
		go func() { errs[i] <- db.Urgent(context.Background(), f) }()
		for db.Waiting() <= i {
			runtime.Gosched()
		}
	}
	close(release)
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	out := make([]error, len(jobs))
	for i := range errs {
		out[i] = <-errs[i]
	}
	return out
}

func TestARevocationBehindAFullDiskIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	w := storetest.NewWorld(t, storetest.Engines()[0], store.Hooks{})
	s := w.Session(w.Ada)
	head, _ := w.DB.View().Head()
	errs := together(t, w.DB,
		func(tx *store.Tx) error { // the disk is full from here on: SQLite undoes the whole transaction by itself
			if err := tx.Plain("PRAGMA max_page_count = 1"); err != nil {
				return err
			}
			for i := range 5000 {
				err := tx.CreateTicket(&store.Ticket{Hash: [32]byte{1, byte(i), byte(i >> 8)}, Kind: "x", Expires: w.Clock.Now(), Doc: fmt.Sprintf("%01000d", i)})
				if err != nil {
					return err
				}
			}
			return nil
		},
		func(tx *store.Tx) error {
			_, _, err := tx.RevokeUser(w.Ada.ID, directory.SessionID{}, [32]byte{})
			return err
		})
	if errs[0] == nil {
		t.Fatal("the disk was not full")
	}
	now, _ := w.DB.View().Head()
	if errs[1] == nil && (now == head || w.SessionAlive(s.ID)) {
		t.Fatal("a revocation that was not written was acknowledged")
	}
	if errs[1] != nil && !fault.Is(errs[1], fault.Unavailable) {
		t.Fatalf("%v", errs)
	}
}

// lost makes a PostgreSQL ledger as a standby promoted too early would show it:
// the newest lines are gone, and as many as mine have been written instead.
func lost(t *testing.T, dsn string, gone, mine int) {
	t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	tx, err := c.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	do := func(q string, args ...any) {
		if _, err := tx.Exec(ctx, q, args...); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	do(`SELECT pos FROM head FOR UPDATE`)
	do(`DELETE FROM ledger WHERE pos > (SELECT pos FROM head) - $1`, gone)
	do(`UPDATE head SET pos = pos - $1, mark = (SELECT mark FROM ledger ORDER BY pos DESC LIMIT 1)`, gone)
	for i := range mine {
		do(`UPDATE head SET pos = pos + 1, mark = $1`, []byte{0xee, 0, 0, 0, 0, 0, 0, byte(i)})
		do(`INSERT INTO ledger (pos, at, cause, mark, era, cuts, actor, receipt) SELECT pos, (SELECT MAX(at) FROM ledger), 'enabled', mark, 0, 'null', '', '' FROM head`)
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
}

// eras counts the era lines of the ledger.
func eras(t *testing.T, db *store.DB) (n int) {
	t.Helper()
	err := db.Read(context.Background(), func(tx *store.Tx) error {
		lines, err := tx.LinesBefore(0, 1000)
		n = 0
		for _, l := range lines {
			if l.Era {
				n++
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestANodeThatRemembersLostHistoryBeginsOneEra(t *testing.T) {
	for name, mine := range map[string]int{"the primary is behind": 0, "as far again": 3, "a new history has overtaken the old": 5} {
		t.Run(name, func(t *testing.T) {
			onPostgres(t, func(t *testing.T, e storetest.Engine) {
				var dsn string
				open := e.New
				e.New = func(tb testing.TB) func(store.Config) store.Config {
					complete := open(tb)
					return func(c store.Config) store.Config { c = complete(c); dsn = c.URL; return c }
				}
				w := storetest.NewWorld(t, e, store.Hooks{})
				for range 6 {
					w.Revoke(w.Grace)
				}
				s := w.Session(w.Ada)
				before, _ := w.DB.View().Head()
				lost(t, dsn, 3, mine)
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				if err := w.DB.View().Wait(ctx, before+1000); err != nil {
					t.Fatalf("no era: %v", err)
				}
				if n := eras(t, w.DB); n != 1 {
					t.Fatalf("%d eras", n)
				}
				o := s.Owner()
				if !w.DB.View().Dead(&o, s.Born, cutoff.Browser) {
					t.Error("what was born in the lost history lives")
				}
				if s := w.Session(w.Ada); !w.SessionAlive(s.ID) {
					t.Error("a new sign-in after the era is dead")
				}
				if c := w.Revoke(w.Ada); w.SessionAlive(s.ID) {
					t.Errorf("after line %d", c.Pos)
				}
			})
		})
	}
}

func TestNobodyWaitsForAStoreThatIsClosed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		g := w.Grant(w.Session(w.Ada), true)
		if err := w.DB.Close(); err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		for name, call := range map[string]func() error{
			"Rotate": func() error {
				_, err := w.DB.Rotate(ctx, g.ID, func(*store.Refresh) error { return nil })
				return err
			},
			"Read":   func() error { return w.DB.Read(ctx, func(*store.Tx) error { return nil }) },
			"Update": func() error { return w.DB.Update(ctx, func(*store.Tx) error { return nil }) },
		} {
			done := make(chan error, 100)
			for range cap(done) { // more than fit into any queue
				go func() { done <- call() }()
			}
			over := time.After(10 * time.Second)
			for range cap(done) {
				select {
				case err := <-done:
					if !fault.Is(err, fault.Unavailable) {
						t.Fatalf("%s: %v", name, err)
					}
				case <-over:
					t.Fatalf("%s waits for ever", name)
				}
			}
		}
	})
}

// marked opens an SQLite store with a mark file, any number of times.
func marked(t *testing.T) (cfg store.Config, reopen func(change func()) *store.DB) {
	t.Helper()
	clock := storetest.NewClock()
	cfg = storetest.Engines()[0].New(t)(store.Config{Now: clock.Now, Sleep: clock.Add})
	var db *store.DB
	return cfg, func(change func()) *store.DB {
		t.Helper()
		if db != nil {
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
		change()
		db = storetest.Open(t, cfg)
		return db
	}
}

func line(t *testing.T, db *store.DB) {
	t.Helper()
	if err := db.Update(context.Background(), func(tx *store.Tx) error { tx.Cut(&store.Cut{Cause: standing.AppChanged}); return nil }); err != nil {
		t.Fatal(err)
	}
}

func TestAStopBeforeTheFirstMarkIsNoLostHistory(t *testing.T) {
	t.Parallel()
	cfg, reopen := marked(t)
	reopen(func() {})
	young, err := os.ReadFile(cfg.Mark)
	if err != nil {
		t.Fatal(err)
	}
	db := reopen(func() {})
	line(t, db)
	// Killed between the commit and the mark, or a disk too full for the mark.
	db = reopen(func() {
		if err := os.WriteFile(cfg.Mark, young, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	if n := eras(t, db); n != 0 {
		t.Fatalf("%d eras: everybody was signed out for nothing", n)
	}
	db = reopen(func() { os.Remove(cfg.Mark) })
	if n := eras(t, db); n != 1 {
		t.Fatalf("%d eras after the mark file was taken away", n)
	}
}

func TestAMarkThatCannotBeReadMakesOneEra(t *testing.T) {
	t.Parallel()
	for name, garbage := range map[string]string{"too large": "\x7f\xff\xff\xff\xff\xff\xff\xffmarkmark", "negative": "\xff\xff\xff\xff\xff\xff\xff\xffmarkmark", "cut short": "\x00\x00"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, reopen := marked(t)
			line(t, reopen(func() {}))
			db := reopen(func() {
				if err := os.WriteFile(cfg.Mark, []byte(garbage), 0o600); err != nil {
					t.Fatal(err)
				}
			})
			if n := eras(t, db); n != 1 {
				t.Fatalf("%d eras", n)
			}
			db = reopen(func() {})
			line(t, db)
			if n := eras(t, reopen(func() {})); n != 1 {
				t.Fatalf("%d eras after two more starts", n)
			}
		})
	}
}

func TestAChangeOfSeveralThingsAtOnceCutsAll(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		old, next := storetest.Person("robot-1", time.Time{}), storetest.Person("robot-2", time.Time{})
		base := func(w *storetest.World) directory.App {
			app := *w.App
			app.Principal, app.Public = old.ID, false
			app.Permissions = []directory.Permission{{Resource: "api://mail", Scopes: []string{"Read", "Write"}}}
			app.Secrets = []directory.AppSecret{{ID: "one", Hash: []byte("1")}}
			return app
		}
		robot := func(u *directory.User) cutoff.Owner {
			return cutoff.NewOwner(cutoff.Belongs{User: u.ID.String(), App: "tripboard"})
		}
		for name, change := range map[string]func(*directory.App){
			"identity and permissions": func(a *directory.App) {
				a.Principal = next.ID
				a.Permissions = []directory.Permission{{Resource: "api://mail", Scopes: []string{"Read"}}}
			},
			"no longer first-party": func(a *directory.App) { a.FirstParty = false; a.Name = "Third" },
		} {
			w := storetest.NewWorld(t, e, store.Hooks{})
			app := base(w)
			app.FirstParty = true
			w.Update(func(tx *store.Tx) error {
				for _, u := range []*directory.User{old, next} {
					if err := tx.CreateUser(u); err != nil {
						return err
					}
				}
				return tx.SaveApp(&app)
			})
			g := w.Grant(w.Session(w.Ada), true)
			o := robot(old)
			head, _ := w.DB.View().Head()
			change(&app)
			w.Update(func(tx *store.Tx) error { a := app; return tx.SaveApp(&a) })
			if w.GrantAlive(g.ID) {
				t.Errorf("%s: people's grants are alive", name)
			}
			if app.Principal != old.ID && !w.DB.View().Dead(&o, head, cutoff.Token) {
				t.Errorf("%s: the old identity's tokens are alive", name)
			}
		}
	})
}

func TestANewHashIsANewPassword(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		s := w.Session(w.Ada)
		w.Update(func(tx *store.Tx) error { // a write path that forgets to count the version
			_, err := tx.ChangeUser(w.Ada.ID, store.UserChange{}, func(u *directory.User) error { u.Password.Hash = ""; return nil })
			return err
		})
		if w.SessionAlive(s.ID) {
			t.Error("a session lives on after its password was taken away")
		}
	})
}

func TestARegistrationThatWasUndoneIsNotRemembered(t *testing.T) {
	onPostgres(t, func(t *testing.T, e storetest.Engine) {
		var cfg store.Config
		open := e.New
		e.New = func(tb testing.TB) func(store.Config) store.Config {
			complete := open(tb)
			return func(c store.Config) store.Config { cfg = complete(c); return cfg }
		}
		w := storetest.NewWorld(t, e, store.Hooks{})
		other := storetest.Open(t, cfg)
		dry := errors.New("dry run")
		err := w.DB.Update(context.Background(), func(tx *store.Tx) error {
			app := *w.App
			app.Secrets = []directory.AppSecret{{ID: "never", Hash: []byte("never")}}
			if err := tx.SaveApp(&app); err != nil {
				return err
			}
			if _, err := tx.App(app.ID); err != nil {
				return err
			}
			return dry
		})
		if err != dry {
			t.Fatal(err)
		}
		err = other.Update(context.Background(), func(tx *store.Tx) error { app := *w.App; app.Name = "Renamed"; return tx.SaveApp(&app) })
		if err != nil {
			t.Fatal(err)
		}
		w.Read(func(tx *store.Tx) error {
			app, err := tx.App(w.App.ID)
			if err == nil && (len(app.Secrets) > 0 || app.Name != "Renamed") {
				t.Errorf("a dry run's secret is good: %+v", app)
			}
			return err
		})
	})
}

func TestStatementsDoNotPileUp(t *testing.T) {
	t.Parallel()
	w := storetest.NewWorld(t, storetest.Engines()[0], store.Hooks{})
	for i := range 1000 * w.DB.Readers() { // each shape is a statement of its own
		w.Read(func(tx *store.Tx) error {
			e := &directory.Expr{Op: directory.Or}
			for b := range 16 {
				f := []directory.Field{directory.FieldMail, directory.FieldJobTitle}[i>>b&1]
				e.Args = append(e.Args, &directory.Expr{Op: directory.Equal, Field: f, Values: []directory.Value{{Kind: directory.KindText, Text: "x"}}})
			}
			_, err := tx.Users(directory.UserQuery{Filter: e})
			return err
		})
	}
	if n := w.DB.Prepared(); n > 500 {
		t.Errorf("%d prepared statements on one connection", n)
	}
}

func TestATransactionThatPostgresGaveUpIsNotAcknowledged(t *testing.T) {
	onPostgres(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		g := directory.Group{ID: directory.NewID[directory.Group](w.Clock.Now()), Name: "pilots"}
		w.Update(func(tx *store.Tx) error { return tx.CreateGroup(g) })
		ticket := [32]byte{7}
		err := w.DB.Update(context.Background(), func(tx *store.Tx) error {
			if err := tx.CreateTicket(&store.Ticket{Hash: ticket, Kind: "x", Expires: w.Clock.Now()}); err != nil {
				return err
			}
			g.ID = directory.NewID[directory.Group](w.Clock.Now())
			if err := tx.CreateGroup(g); !errors.Is(err, store.ErrDuplicate) {
				t.Errorf("a second group of that name: %v", err)
			}
			return nil // there already: good enough, it thinks
		})
		w.Read(func(tx *store.Tx) error {
			if _, rerr := tx.Ticket("x", ticket); (rerr == nil) != (err == nil) {
				t.Errorf("answered %v, and the ticket: %v", err, rerr)
			}
			return nil
		})
	})
}

func TestAnActorWhoLosesItMeanwhileDoesNothing(t *testing.T) {
	onPostgres(t, func(t *testing.T, e storetest.Engine) {
		var cfg store.Config
		var other *store.DB
		open := e.New
		e.New = func(tb testing.TB) func(store.Config) store.Config {
			complete := open(tb)
			return func(c store.Config) store.Config { cfg = complete(c); return cfg }
		}
		for _, tt := range []struct {
			name  string
			loses func(*storetest.World)
			does  func(*storetest.World, *store.Tx) error
		}{
			{"revoked, a write without a line", func(w *storetest.World) { w.Revoke(w.Grace) }, func(w *storetest.World, tx *store.Tx) error {
				return tx.CreateGroup(directory.Group{ID: directory.NewID[directory.Group](w.Clock.Now()), Name: "late"})
			}},
			{"revoked on another node, a write without a line", func(w *storetest.World) {
				err := other.Urgent(context.Background(), func(tx *store.Tx) error {
					_, _, err := tx.RevokeUser(w.Grace.ID, directory.SessionID{}, [32]byte{})
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}, func(w *storetest.World, tx *store.Tx) error {
				return tx.CreateGroup(directory.Group{ID: directory.NewID[directory.Group](w.Clock.Now()), Name: "late"})
			}},
			{"revoked, a line", func(w *storetest.World) { w.Revoke(w.Grace) }, func(w *storetest.World, tx *store.Tx) error {
				_, _, err := tx.RevokeUser(w.Ada.ID, directory.SessionID{}, [32]byte{})
				return err
			}},
			{"without the role, a line", func(w *storetest.World) {
				w.Update(func(tx *store.Tx) error {
					all, err := tx.Assignments()
					for _, a := range all {
						if a.User == w.Grace.ID {
							_, err = tx.RemoveRole(a.ID)
						}
					}
					return err
				})
			}, func(w *storetest.World, tx *store.Tx) error {
				_, _, err := tx.RevokeUser(w.Ada.ID, directory.SessionID{}, [32]byte{})
				return err
			}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				w := storetest.NewWorld(t, e, store.Hooks{})
				other = storetest.Open(t, cfg)
				w.Update(func(tx *store.Tx) error { // so that grace is not the last
					return tx.AssignRole(directory.RoleAssignment{ID: directory.NewID[directory.RoleAssignment](w.Clock.Now()), Role: role.GlobalAdministrator, User: w.Ada.ID})
				})
				s := w.Session(w.Grace)
				actor := directory.Actor{User: w.Grace.ID, Session: s.ID, Born: s.Born, Owner: s.Owner(), Kind: cutoff.Browser}
				err := w.DB.Update(context.Background(), func(tx *store.Tx) (err error) {
					if actor, err = tx.ActorNow(actor); err != nil {
						return err
					}
					tx.By(store.By{Actor: actor})
					tt.loses(w) // acknowledged, on another connection
					return tt.does(w, tx)
				})
				if !fault.Is(err, fault.Revoked) && !fault.Is(err, fault.Denied) {
					t.Errorf("it was done: %v", err)
				}
			})
		}
	})
}
