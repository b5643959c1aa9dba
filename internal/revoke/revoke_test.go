package revoke_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

type world struct {
	*storetest.World
	s *revoke.Service
}

func newWorld(t *testing.T, e storetest.Engine) *world {
	t.Helper()
	return newWorldWith(t, e, store.Hooks{})
}

func newWorldWith(t *testing.T, e storetest.Engine, hooks store.Hooks) *world {
	t.Helper()
	w := &world{World: storetest.NewWorld(t, e, hooks)}
	w.s = &revoke.Service{DB: w.DB, Log: slog.New(slog.DiscardHandler), Lifetimes: grant.DefaultLifetimes(), Now: w.Clock.Now}
	return w
}

// actor is somebody in a browser session of theirs.
func (w *world) actor(u *directory.User) (directory.Actor, *grant.Session) {
	s := w.Session(u)
	return directory.Actor{User: u.ID, Name: u.Name, Born: s.Born, Owner: s.Owner(), Kind: cutoff.Browser, Session: s.ID, AuthTime: w.Clock.Now()}, s
}

func (w *world) give(u *directory.User, r directory.RoleID) {
	w.Update(func(tx *store.Tx) error {
		return tx.AssignRole(directory.RoleAssignment{ID: directory.NewID[directory.RoleAssignment](w.Clock.Now()), Role: r, User: u.ID})
	})
}

func TestAPowerlessActorIsRefusedEverywhere(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		mallory := storetest.Person("mallory", w.Clock.Now())
		w.Update(func(tx *store.Tx) error { return tx.CreateUser(mallory) })
		a, _ := w.actor(mallory)
		a.Held = directory.Held{Roles: []directory.RoleID{role.GlobalAdministrator}} // what a page says is not believed
		victim := w.Session(w.Ada)
		g := w.Grant(victim, true)
		ctx := context.Background()
		head, _ := w.DB.View().Head()
		for name, f := range map[string]func() (revoke.Result, error){
			"User":     func() (revoke.Result, error) { return w.s.User(ctx, a, w.Ada.ID, revoke.Options{}) },
			"Session":  func() (revoke.Result, error) { return w.s.Session(ctx, a, victim.ID, revoke.Options{}) },
			"Grant":    func() (revoke.Result, error) { return w.s.Grant(ctx, a, g.ID, revoke.Options{}) },
			"App":      func() (revoke.Result, error) { return w.s.App(ctx, a, w.App.ID, revoke.Options{}) },
			"UserApp":  func() (revoke.Result, error) { return w.s.UserApp(ctx, a, w.Ada.ID, w.App.ID, revoke.Options{}) },
			"Everyone": func() (revoke.Result, error) { return w.s.Everyone(ctx, a, revoke.Options{}) },
			"nobody":   func() (revoke.Result, error) { return w.s.User(ctx, directory.Actor{}, w.Ada.ID, revoke.Options{}) },
		} {
			if _, err := f(); !fault.Is(err, fault.Denied) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if now, _ := w.DB.View().Head(); now != head || !w.SessionAlive(victim.ID) || !w.GrantAlive(g.ID) {
			t.Fatal("a refused actor changed something")
		}
		var refused int
		w.Read(func(tx *store.Tx) error {
			all, err := tx.Audits(store.AuditQuery{Actor: mallory.ID.String(), Limit: 50})
			for _, r := range all {
				if r.Result == audit.Refused && r.Elaborate != "" {
					refused++
				}
			}
			return err
		})
		if refused != 6 {
			t.Errorf("%d refusals on record, want 6", refused)
		}
	})
}

func TestTheMissingRoleIsNamed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		w.give(w.Ada, role.UserAdministrator)
		a, _ := w.actor(w.Ada)
		_, err := w.s.User(context.Background(), a, w.Grace.ID, revoke.Options{})
		got := fault.Public(err)
		for _, want := range []string{"Global Administrator", "Privileged Authentication Administrator", "You hold User Administrator"} {
			if !strings.Contains(got, want) {
				t.Errorf("%q does not name %q", got, want)
			}
		}
	})
}

func TestRevokingOneselfMayKeepTheCurrentSession(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		a, here := w.actor(w.Ada)
		there := w.Session(w.Ada)
		g := w.Grant(here, true)
		r, err := w.s.User(context.Background(), a, w.Ada.ID, revoke.Options{KeepSession: here.ID})
		if err != nil || r.Cookie == "" || r.Receipt.Rest == nil {
			t.Fatalf("%+v %v", r, err)
		}
		if !w.SessionAlive(here.ID) || w.SessionAlive(there.ID) || !w.GrantAlive(g.ID) {
			t.Error("kept the wrong ones")
		}
		if _, err := w.s.User(context.Background(), a, w.Ada.ID, revoke.Options{KeepSession: there.ID}); !fault.Is(err, fault.Invalid) {
			t.Errorf("keeping a session one is not in: %v", err)
		}
	})
}

func TestOneSessionTakesItsGrantsAlong(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		s, other := w.Session(w.Ada), w.Session(w.Ada)
		off, on, spared := w.Grant(s, true), w.Grant(s, false), w.Grant(other, true)
		ctx := context.Background()
		if _, err := w.s.Session(ctx, directory.Actor{Operator: true}, s.ID, revoke.Options{}); err != nil {
			t.Fatal(err)
		}
		if w.SessionAlive(s.ID) || w.GrantAlive(off.ID) || w.GrantAlive(on.ID) || !w.GrantAlive(spared.ID) || !w.SessionAlive(other.ID) {
			t.Fatal("ended the wrong ones")
		}
		head, _ := w.DB.View().Head()
		if r, err := w.s.Session(ctx, directory.Actor{Operator: true}, s.ID, revoke.Options{}); err != nil || !r.Already {
			t.Errorf("a second time: %+v %v", r, err)
		}
		if now, _ := w.DB.View().Head(); now != head {
			t.Error("a session that was cut was cut again")
		}
		// Signing out is not revoking: offline grants stay.
		if _, err := w.s.SignOut(ctx, other.ID); err != nil || w.SessionAlive(other.ID) || !w.GrantAlive(spared.ID) {
			t.Errorf("sign-out: %v", err)
		}
	})
}

func TestEveryoneNeedsAFreshProof(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		a, here := w.actor(w.Grace)
		ada := w.Session(w.Ada)
		w.Clock.Add(11 * time.Minute)
		if _, err := w.s.Everyone(context.Background(), a, revoke.Options{KeepSession: here.ID}); !fault.Is(err, fault.Denied) {
			t.Fatalf("an old proof: %v", err)
		}
		a.AuthTime = w.Clock.Now()
		r, err := w.s.Everyone(context.Background(), a, revoke.Options{KeepSession: here.ID, Reason: "drill"})
		if err != nil || r.Receipt.Reason != "drill" || !r.Receipt.Kept {
			t.Fatalf("%+v %v", r, err)
		}
		if w.SessionAlive(ada.ID) || !w.SessionAlive(here.ID) {
			t.Error("everyone except me")
		}
	})
}

func TestADryRunWritesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		s := w.Session(w.Ada)
		a, _ := w.actor(w.Grace)
		head, _ := w.DB.View().Head()
		if _, err := w.s.User(context.Background(), a, w.Ada.ID, revoke.Options{DryRun: true}); err != nil {
			t.Fatal(err)
		}
		if now, _ := w.DB.View().Head(); now != head || !w.SessionAlive(s.ID) {
			t.Fatal("a dry run cut something")
		}
	})
}

func TestAReceiptCountsOnlyWhatThisCutEnded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		ctx, op := context.Background(), directory.Actor{Operator: true}
		w.Grant(w.Session(w.Ada), true)
		gone := w.Session(w.Ada)
		lone := w.Grant(w.Session(w.Ada), true)
		cut := func() *store.Rest {
			r, err := w.s.User(ctx, op, w.Ada.ID, revoke.Options{})
			if err != nil {
				t.Fatal(err)
			}
			return r.Receipt.Rest
		}
		if _, err := w.s.Session(ctx, op, gone.ID, revoke.Options{}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.s.Grant(ctx, op, lone.ID, revoke.Options{}); err != nil {
			t.Fatal(err)
		}
		if r := cut(); r.Sessions != 2 || r.Grants != 1 {
			t.Errorf("first: %+v", r)
		}
		w.Session(w.Ada)
		if r := cut(); r.Sessions != 1 || r.Grants != 0 {
			t.Errorf("second: %+v", r)
		}
	})
}

func TestWhatWasNotCountedIsMadeUpFor(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		w.Session(w.Ada)
		c := w.Revoke(w.Ada) // as if the process had died before counting
		if err := w.s.CountAll(context.Background()); err != nil {
			t.Fatal(err)
		}
		w.Read(func(tx *store.Tx) error {
			r, err := tx.Receipt(c.Receipt)
			if err == nil && (r.Rest == nil || r.Rest.Sessions != 1) {
				t.Errorf("rest %+v", r.Rest)
			}
			return err
		})
	})
}

func TestWhatEndedOfAUserIsInTheirRecords(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		ctx, operator := context.Background(), directory.Actor{Operator: true}
		one, two := w.Session(w.Ada), w.Session(w.Ada)
		reused, given := w.Grant(w.Session(w.Ada), true), w.Grant(w.Session(w.Ada), true)
		for act, err := range map[string]error{
			"reuse":   second(w.s.EndGrant(ctx, reused.ID, standing.GrantReused, "192.0.2.1")),
			"grant":   second(w.s.Grant(ctx, operator, given.ID, revoke.Options{})),
			"session": second(w.s.Session(ctx, operator, one.ID, revoke.Options{})),
			"signout": second(w.s.SignOut(ctx, two.ID)),
		} {
			if err != nil {
				t.Fatal(act, err)
			}
		}
		var got []string
		err := w.DB.Read(ctx, func(tx *store.Tx) error {
			all, err := tx.Audits(store.AuditQuery{Target: w.Ada.ID.String(), Limit: 100})
			for _, r := range all {
				got = append(got, r.Target.ID)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{reused.ID.String(), given.ID.String(), one.ID.String(), two.ID.String()} {
			if !slices.Contains(got, id) {
				t.Errorf("%s is missing from Ada's records %v", id, got)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }
