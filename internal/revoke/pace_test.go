package revoke_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// The allowance, as it is written down in pace.go.
const (
	atOnce   = 10 // of each sort
	comeBack = 30 * time.Second
)

// herself is somebody whose own session outlives what she revokes.
func herself(u *directory.User) directory.Actor {
	return directory.Actor{User: u.ID, Name: u.Name, Born: cutoff.MaxPos, Kind: cutoff.Browser}
}

func (w *world) head() cutoff.Pos {
	p, _ := w.DB.View().Head()
	return p
}

// wantLimited checks a refusal and returns until when it is one.
func wantLimited(t *testing.T, err error) time.Time {
	t.Helper()
	var many *revoke.TooMany
	if !fault.Is(err, fault.Limited) || !errors.As(err, &many) {
		t.Fatalf("got %v, want Limited", err)
	}
	return many.Until
}

// ways are the ways to end what is one's own that a surface refuses when there
// were too many. Each returns what it would have ended.
var ways = map[string]func(*world, directory.Actor, *directory.User) (alive func() bool, err error){
	"everything": func(w *world, a directory.Actor, u *directory.User) (func() bool, error) {
		s := w.Session(u)
		_, err := w.s.User(context.Background(), a, u.ID, revoke.Options{})
		return func() bool { return w.SessionAlive(s.ID) }, err
	},
	"everything but this session": func(w *world, a directory.Actor, u *directory.User) (func() bool, error) {
		here, there := w.Session(u), w.Session(u)
		a.Session = here.ID
		_, err := w.s.User(context.Background(), a, u.ID, revoke.Options{KeepSession: here.ID})
		return func() bool { return w.SessionAlive(there.ID) }, err
	},
	"one session": func(w *world, a directory.Actor, u *directory.User) (func() bool, error) {
		s := w.Session(u)
		g := w.Grant(s, true)
		_, err := w.s.Session(context.Background(), a, s.ID, revoke.Options{})
		return func() bool { return w.SessionAlive(s.ID) && w.GrantAlive(g.ID) }, err
	},
	"one grant": func(w *world, a directory.Actor, u *directory.User) (func() bool, error) {
		g := w.Grant(w.Session(u), true)
		_, err := w.s.Grant(context.Background(), a, g.ID, revoke.Options{})
		return func() bool { return w.GrantAlive(g.ID) }, err
	},
	"one application": func(w *world, a directory.Actor, u *directory.User) (func() bool, error) {
		g := w.Grant(w.Session(u), true)
		_, err := w.s.UserApp(context.Background(), a, u.ID, w.App.ID, revoke.Options{})
		return func() bool { return w.GrantAlive(g.ID) }, err
	},
}

func TestOwnActsAreThrottled(t *testing.T) {
	for name, act := range ways {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, e storetest.Engine) {
				w := newWorld(t, e)
				ada := herself(w.Ada)
				for i := range atOnce {
					before := w.head()
					if alive, err := act(w, ada, w.Ada); err != nil || alive() || w.head() != before+1 {
						t.Fatalf("act %d: %v, %d lines", i+1, err, w.head()-before)
					}
				}
				before := w.head()
				alive, err := act(w, ada, w.Ada)
				if until := wantLimited(t, err); !until.Equal(w.Clock.Now().Add(comeBack)) {
					t.Errorf("until %v, now %v", until, w.Clock.Now())
				}
				if s := fault.Public(err); !strings.Contains(s, "Try again in 30 seconds.") || !strings.Contains(s, "change your password") {
					t.Error(s)
				}
				if w.head() != before || !alive() {
					t.Error("refused, and done")
				}
				// Somebody else is not hindered, whoever ends it.
				for who, a := range map[string]directory.Actor{"herself": herself(w.Grace), "the operator": {Operator: true}} {
					if alive, err := act(w, a, w.Grace); err != nil || alive() {
						t.Errorf("grace, by %s: %v", who, err)
					}
				}
				if alive, err := act(w, herself(w.Grace), w.Ada); err != nil || alive() {
					t.Errorf("ada, by an administrator: %v", err)
				}
				// Waiting helps: one place after each interval, all of them in the end.
				w.Clock.Add(comeBack - time.Microsecond)
				_, err = act(w, ada, w.Ada)
				wantLimited(t, err)
				w.Clock.Add(time.Microsecond)
				if alive, err := act(w, ada, w.Ada); err != nil || alive() {
					t.Errorf("after %v: %v", comeBack, err)
				}
				_, err = act(w, ada, w.Ada)
				wantLimited(t, err)
				w.Clock.Add(atOnce * comeBack)
				for range atOnce {
					if _, err := act(w, ada, w.Ada); err != nil {
						t.Fatalf("after %v: %v", atOnce*comeBack, err)
					}
				}
				_, err = act(w, ada, w.Ada)
				wantLimited(t, err)
			})
		})
	}
}

func TestAllOwnActsCountTogether(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		act := func(n int) (refused int) {
			for range n {
				for name, act := range ways {
					if _, err := act(w, herself(w.Ada), w.Ada); fault.Is(err, fault.Limited) {
						refused++
					} else if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
				}
			}
			return refused
		}
		if n := act(atOnce / len(ways)); n != 0 {
			t.Errorf("%d refused of the first %d", n, atOnce)
		}
		if n := act(1); n != len(ways) {
			t.Errorf("%d refused after %d, want all %d", n, atOnce, len(ways))
		}
	})
}

func TestAdministratorsAreNotThrottledOnOthers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		grace := herself(w.Grace)
		for range 5 * atOnce {
			for name, act := range ways {
				if name == "everything but this session" {
					continue // of another's sessions none can be kept
				}
				if alive, err := act(w, grace, w.Ada); err != nil || alive() {
					t.Fatalf("%s: %v", name, err)
				}
			}
		}
		// What she did to others takes nothing from what is hers, and her role gives
		// her no more of it than anybody has.
		for range atOnce {
			if _, err := w.s.User(context.Background(), grace, w.Grace.ID, revoke.Options{}); err != nil {
				t.Fatal(err)
			}
		}
		_, err := w.s.User(context.Background(), grace, w.Grace.ID, revoke.Options{})
		wantLimited(t, err)
	})
}

// A reuse, a replay, a token given back: once for each grant, by nobody's choice.
func TestWhatCurfewItselfEndsIsNotThrottled(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		for range 3 * atOnce {
			g := w.Grant(w.Session(w.Ada), true)
			if _, err := w.s.EndGrant(context.Background(), g.ID, standing.GrantReused, "192.0.2.1"); err != nil || w.GrantAlive(g.ID) {
				t.Fatal(err)
			}
		}
		if _, err := w.s.User(context.Background(), herself(w.Ada), w.Ada.ID, revoke.Options{}); err != nil {
			t.Errorf("and takes no place: %v", err)
		}
	})
}

func TestWhatAppendsNoLineTakesNoPlace(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		ctx, ada := context.Background(), herself(w.Ada)
		s := w.Session(w.Ada)
		g := w.Grant(s, true)
		if _, err := w.s.Session(ctx, ada, s.ID, revoke.Options{}); err != nil {
			t.Fatal(err)
		}
		for range 2 * atOnce {
			if r, err := w.s.Session(ctx, ada, s.ID, revoke.Options{}); err != nil || !r.Already {
				t.Fatalf("a session that is over: %+v %v", r, err)
			}
			if r, err := w.s.Grant(ctx, ada, g.ID, revoke.Options{}); err != nil || !r.Already {
				t.Fatalf("a grant that is over: %+v %v", r, err)
			}
			if r, err := w.s.SignOut(ctx, s.ID); err != nil || !r.Already {
				t.Fatalf("signed out already: %+v %v", r, err)
			}
			if _, err := w.s.User(ctx, ada, w.Ada.ID, revoke.Options{DryRun: true}); err != nil {
				t.Fatalf("a dry run: %v", err)
			}
			cut := ada
			cut.Born, cut.Owner = 0, s.Owner()
			if _, err := w.s.User(ctx, cut, w.Ada.ID, revoke.Options{}); !fault.Is(err, fault.Revoked) {
				t.Fatalf("from a session that is over: %v", err)
			}
		}
		for range atOnce - 1 {
			if _, err := w.s.User(ctx, ada, w.Ada.ID, revoke.Options{}); err != nil {
				t.Fatal(err)
			}
		}
		_, err := w.s.User(ctx, ada, w.Ada.ID, revoke.Options{DryRun: true})
		wantLimited(t, err) // a dry run tells what would be
	})
}

// Whoever signs out is signed out: by the row where the line would tell nobody.
func TestSigningOutTooOftenStillSignsOut(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		ctx := context.Background()
		// Whoever has a copied cookie can use up the places for acts, not these.
		for range atOnce {
			if _, err := w.s.User(ctx, herself(w.Ada), w.Ada.ID, revoke.Options{}); err != nil {
				t.Fatal(err)
			}
		}
		signOut := func(s *grant.Session, lines cutoff.Pos) {
			t.Helper()
			before := w.head()
			r, err := w.s.SignOut(ctx, s.ID)
			if err != nil || r.Already || (r.Receipt != nil) != (lines > 0) || w.head() != before+lines {
				t.Fatalf("%+v %v, %d lines, want %d", r, err, w.head()-before, lines)
			}
		}
		for range atOnce {
			s := w.Session(w.Ada)
			signOut(s, 1)
			if w.SessionAlive(s.ID) {
				t.Fatal("the session lives")
			}
		}
		s := w.Session(w.Ada)
		signOut(s, 0)
		w.Read(func(tx *store.Tx) error {
			if _, err := tx.SessionByCookie(s.Cookie); err != store.ErrNotFound {
				t.Errorf("the cookie still finds a session: %v", err)
			}
			all, err := tx.Audits(store.AuditQuery{Target: w.Ada.ID.String(), Limit: 1})
			if len(all) != 1 || all[0].Target.ID != s.ID.String() || all[0].Pos != 0 || !strings.Contains(all[0].Elaborate, "by its row") {
				t.Errorf("%+v", all)
			}
			return err
		})
		if r, err := w.s.SignOut(ctx, s.ID); err != nil || !r.Already {
			t.Errorf("a second time: %+v %v", r, err)
		}
		// Guards and applications are told of what they have, however often.
		for range atOnce {
			s := w.Session(w.Ada)
			ends, stays := w.Grant(s, false), w.Grant(s, true)
			signOut(s, 1)
			if w.SessionAlive(s.ID) || w.GrantAlive(ends.ID) || !w.GrantAlive(stays.ID) {
				t.Fatal("ended the wrong ones")
			}
		}
		// What had ended before is nothing to tell of.
		s = w.Session(w.Ada)
		over := w.Grant(s, true)
		if _, err := w.s.Grant(ctx, directory.Actor{Operator: true}, over.ID, revoke.Options{}); err != nil {
			t.Fatal(err)
		}
		signOut(s, 0)
		w.Clock.Add(comeBack)
		signOut(w.Session(w.Ada), 1)
		signOut(w.Session(w.Ada), 0)
	})
}

// A code is being redeemed while its session is signed out, beyond the allowance:
// the sign-out waits for the grant, and tells of it.
func TestSigningOutSeesAGrantThatIsBeingBorn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		if !e.Postgres {
			return // one writer: the one is over before the other begins
		}
		var watch atomic.Bool
		came := make(chan struct{})
		w := newWorldWith(t, e, store.Hooks{Exec: func(q string) error {
			if strings.Contains(q, "paces") && watch.CompareAndSwap(true, false) {
				close(came)
			}
			return nil
		}})
		for range atOnce {
			if _, err := w.s.SignOut(context.Background(), w.Session(w.Ada).ID); err != nil {
				t.Fatal(err)
			}
		}
		s := w.Session(w.Ada)
		g := &grant.Grant{ID: directory.NewID[directory.Grant](w.Clock.Now()), User: s.User, App: w.App.ID, Session: s.ID, Created: w.Clock.Now(), LastUsed: w.Clock.Now(), State: grant.State{Generation: 1}}
		out := make(chan error, 1)
		w.Update(func(tx *store.Tx) error {
			if err := tx.HoldSession(s.ID); err != nil {
				return err
			}
			watch.Store(true)
			go func() {
				r, err := w.s.SignOut(context.Background(), s.ID)
				if err == nil && r.Receipt == nil {
					err = errors.New("no line")
				}
				out <- err
			}()
			<-came
			return tx.CreateGrant(g)
		})
		if err := <-out; err != nil || w.GrantAlive(g.ID) {
			t.Errorf("%v; the grant is alive: %v", err, w.GrantAlive(g.ID))
		}
	})
}

func TestOwnActsAtOnceDoNotMultiplyTheAllowance(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		before := w.head()
		var done atomic.Int64
		var all sync.WaitGroup
		for range 4 * atOnce {
			all.Go(func() {
				switch _, err := w.s.User(context.Background(), herself(w.Ada), w.Ada.ID, revoke.Options{}); {
				case err == nil:
					done.Add(1)
				case !fault.Is(err, fault.Limited):
					t.Error(err)
				}
			})
		}
		all.Wait()
		if lines := w.head() - before; done.Load() != atOnce || lines != atOnce {
			t.Errorf("%d let through, %d lines, want %d", done.Load(), lines, atOnce)
		}
	})
}

// One place is left. A has taken it and waits for the head; B comes to take one.
// B must not be judged by the row as it was before A: it waits for A, and finds no
// place when A commits, and A's when A is undone.
func TestASecondActWaitsForTheFirst(t *testing.T) {
	for name, undone := range map[string]bool{"which commits": false, "which is undone": true} {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, e storetest.Engine) {
				var w *world
				var hold, watch atomic.Bool
				came, second := make(chan struct{}), make(chan error, 1)
				act := func(a directory.Actor) error {
					_, err := w.s.User(context.Background(), a, w.Ada.ID, revoke.Options{})
					return err
				}
				w = newWorldWith(t, e, store.Hooks{
					BeforeLock: func(*store.Tx) { // A
						if !hold.CompareAndSwap(true, false) {
							return
						}
						watch.Store(true)
						go func() { second <- act(herself(w.Ada)) }()
						if e.Postgres { // where B can begin while A is open
							<-came
						}
					},
					Exec: func(q string) error { // B, which has read all it reads
						if strings.Contains(q, "paces") && watch.CompareAndSwap(true, false) {
							close(came)
						}
						return nil
					},
				})
				for range atOnce - 1 {
					if err := act(herself(w.Ada)); err != nil {
						t.Fatal(err)
					}
				}
				first := herself(w.Ada)
				if undone {
					first.Born, first.Owner = 0, w.Session(w.Ada).Owner() // was cut before, as the store finds at the end
				}
				hold.Store(true)
				if err := act(first); (err != nil) != undone {
					t.Fatalf("A: %v", err)
				}
				switch err := <-second; {
				case undone && err != nil:
					t.Errorf("B: %v, though A gave the place back", err)
				case !undone && !fault.Is(err, fault.Limited):
					t.Errorf("B: %v, want Limited", err)
				}
			})
		})
	}
}

func TestTheAllowanceIsTheSameOnEveryNodeAndAfterARestart(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		clock := storetest.NewClock()
		cfg := e.New(t)(store.Config{Now: clock.Now, Sleep: clock.Add})
		node := func() (*store.DB, *revoke.Service) {
			db := storetest.Open(t, cfg)
			return db, &revoke.Service{DB: db, Log: slog.New(slog.DiscardHandler), Lifetimes: grant.DefaultLifetimes(), Now: clock.Now}
		}
		db, one := node()
		ada := storetest.Person("ada", clock.Now())
		if err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.CreateUser(ada) }); err != nil {
			t.Fatal(err)
		}
		nodes := []*revoke.Service{one}
		if e.Postgres {
			_, two := node()
			nodes = append(nodes, two)
		}
		for i := range atOnce {
			if _, err := nodes[i%len(nodes)].User(t.Context(), herself(ada), ada.ID, revoke.Options{}); err != nil {
				t.Fatal(err)
			}
		}
		if !e.Postgres {
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
		db, later := node()
		if _, err := db.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, s := range append(slices.DeleteFunc(nodes, func(*revoke.Service) bool { return !e.Postgres }), later) {
			_, err := s.User(t.Context(), herself(ada), ada.ID, revoke.Options{})
			wantLimited(t, err)
		}
	})
}

// An instant that only a clock set back explains keeps nobody from revoking.
func TestAClockSetBackKeepsNobodyFromRevoking(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		for range atOnce {
			if _, err := w.s.User(context.Background(), herself(w.Ada), w.Ada.ID, revoke.Options{}); err != nil {
				t.Fatal(err)
			}
		}
		w.Clock.Add(-time.Second) // nodes may differ by that much: it opens nothing
		_, err := w.s.User(context.Background(), herself(w.Ada), w.Ada.ID, revoke.Options{})
		wantLimited(t, err)
		w.Clock.Add(-24 * time.Hour)
		for range atOnce {
			if _, err := w.s.User(context.Background(), herself(w.Ada), w.Ada.ID, revoke.Options{}); err != nil {
				t.Fatal(err)
			}
		}
		_, err = w.s.User(context.Background(), herself(w.Ada), w.Ada.ID, revoke.Options{})
		wantLimited(t, err)
	})
}
