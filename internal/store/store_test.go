package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

func TestRevokeEndsSessionsAndGrantsAtOnceAndNewOnesLive(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		s := w.Session(w.Ada)
		g, off := w.Grant(s, false), w.Grant(s, true)
		other := w.Session(w.Grace)
		c := w.Revoke(w.Ada)
		if w.SessionAlive(s.ID) || w.GrantAlive(g.ID) || w.GrantAlive(off.ID) {
			t.Fatal("something born before the revoke is alive")
		}
		if !w.SessionAlive(other.ID) {
			t.Fatal("somebody else's session died")
		}
		if again := w.Session(w.Ada); !w.SessionAlive(again.ID) || again.Born != c.Pos {
			t.Fatalf("a session of the same instant is not alive, or born at %d, not %d", again.Born, c.Pos)
		}
		if c.Receipt == "" {
			t.Fatal("no receipt")
		}
	})
}

func TestLinesAreDenseAndInCommitOrder(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		start, _ := w.DB.View().Head()
		const n = 40
		done := make(chan error, n)
		for range n {
			go func() {
				done <- w.DB.Urgent(context.Background(), func(tx *store.Tx) error {
					_, _, err := tx.RevokeUser(w.Ada.ID, directory.SessionID{}, [32]byte{})
					return err
				})
			}()
		}
		for range n {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		lines, head, _, ok := w.DB.View().After(start)
		if !ok || head != start+n || len(lines) != n {
			t.Fatalf("after %d: %d lines, head %d, known %v", start, len(lines), head, ok)
		}
		for i, l := range lines {
			if l.Pos != start+cutoff.Pos(i)+1 {
				t.Fatalf("line %d has position %d", i, l.Pos)
			}
		}
	})
}

func TestAClosureThatFailsIsUndoneAlone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		boom := errors.New("boom")
		done := make(chan error, 20)
		for i := range 20 {
			go func() {
				done <- w.DB.Update(context.Background(), func(tx *store.Tx) error {
					u := storetest.Person("p"+string(rune('a'+i)), w.Clock.Now())
					if err := tx.CreateUser(u); err != nil {
						return err
					}
					if i%2 == 0 {
						return boom
					}
					return nil
				})
			}()
		}
		failed := 0
		for range 20 {
			if err := <-done; errors.Is(err, boom) {
				failed++
			} else if err != nil {
				t.Error(err)
			}
		}
		var page store.UserPage
		w.Read(func(tx *store.Tx) (err error) { page, err = tx.Users(directory.UserQuery{Count: true}); return err })
		if failed != 10 || page.Count != 12 {
			t.Fatalf("%d failed, %d users", failed, page.Count)
		}
	})
}

func TestRowDiff(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		for _, tt := range []struct {
			name   string
			change func(*directory.User)
			cause  standing.Cause
			cuts   int
		}{
			{"disable", func(u *directory.User) { u.Enabled = false }, standing.Disabled, 1},
			{"delete", func(u *directory.User) { u.Deleted = time.Unix(1, 0) }, standing.Deleted, 1},
			{"password", func(u *directory.User) { u.Password.Version++ }, standing.PasswordReset, 1},
			{"disable and rename", func(u *directory.User) { u.Enabled = false; u.Name = "x@contoso.example" }, standing.Disabled, 1},
			{"rename", func(u *directory.User) { u.Name = "countess@contoso.example" }, "", 0},
		} {
			t.Run(tt.name, func(t *testing.T) {
				w := storetest.NewWorld(t, e, store.Hooks{})
				s := w.Session(w.Ada)
				var c *store.Cut
				w.Update(func(tx *store.Tx) (err error) {
					c, err = tx.ChangeUser(w.Ada.ID, store.UserChange{}, func(u *directory.User) error { tt.change(u); return nil })
					return err
				})
				if tt.cause == "" {
					if c != nil || !w.SessionAlive(s.ID) {
						t.Fatalf("line %+v", c)
					}
					return
				}
				if c == nil || c.Cause != tt.cause || len(c.Cuts) != tt.cuts || w.SessionAlive(s.ID) {
					t.Fatalf("line %+v, alive %v", c, w.SessionAlive(s.ID))
				}
			})
		}
	})
}

func TestDeleteFreesTheNameNeverTheID(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		s := w.Session(w.Ada)
		w.Update(func(tx *store.Tx) error {
			_, err := tx.ChangeUser(w.Ada.ID, store.UserChange{}, func(u *directory.User) error { u.Deleted = tx.Now; return nil })
			return err
		})
		again := storetest.Person("ada", w.Clock.Now())
		w.Update(func(tx *store.Tx) error { return tx.CreateUser(again) })
		if w.SessionAlive(s.ID) {
			t.Fatal("re-creating the name revived a session")
		}
		w.Read(func(tx *store.Tx) error {
			u, err := tx.UserByName("ADA@contoso.example")
			if err == nil && u.ID != again.ID {
				t.Error("the name still finds the deleted user")
			}
			return err
		})
	})
}

func TestRightsAreComparedOverTheWholeTransaction(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		assign := func(r directory.RoleID) directory.RoleAssignment {
			return directory.RoleAssignment{ID: directory.NewID[directory.RoleAssignment](time.Now()), Role: r, User: w.Ada.ID}
		}
		a := assign(role.HelpdeskAdministrator)
		w.Update(func(tx *store.Tx) error { return tx.AssignRole(a) })
		s := w.Session(w.Ada)
		g := w.Grant(s, true)
		w.Update(func(tx *store.Tx) error { // taken and given back: nothing is lost
			if _, err := tx.RemoveRole(a.ID); err != nil {
				return err
			}
			a = assign(role.HelpdeskAdministrator)
			return tx.AssignRole(a)
		})
		if !w.GrantAlive(g.ID) {
			t.Fatal("a role taken and given back cut the grant")
		}
		w.Update(func(tx *store.Tx) error { _, err := tx.RemoveRole(a.ID); return err })
		if w.GrantAlive(g.ID) || !w.SessionAlive(s.ID) {
			t.Fatal("losing a role must end grants and spare the browser session")
		}
	})
}

func TestTrace7EverythingThenTokensOnlyLeavesTheSessionDead(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		s := w.Session(w.Ada)
		a := directory.RoleAssignment{ID: directory.NewID[directory.RoleAssignment](w.Clock.Now()), Role: role.HelpdeskAdministrator, User: w.Ada.ID}
		w.Update(func(tx *store.Tx) error { return tx.AssignRole(a) })
		w.Revoke(w.Ada)
		w.Update(func(tx *store.Tx) error { _, err := tx.RemoveRole(a.ID); return err })
		if w.SessionAlive(s.ID) {
			t.Fatal("the session came back")
		}
	})
}

func TestDeletingAGroupRunsTheDiffOverItsMembers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		id := directory.NewID[directory.Group](w.Clock.Now())
		w.Update(func(tx *store.Tx) error {
			if err := tx.CreateGroup(directory.Group{ID: id, Name: "desk", RoleAssignable: true}); err != nil {
				return err
			}
			if err := tx.AddMember(id, w.Ada.ID); err != nil {
				return err
			}
			return tx.AssignRole(directory.RoleAssignment{ID: directory.NewID[directory.RoleAssignment](w.Clock.Now()), Role: role.HelpdeskAdministrator, Group: id})
		})
		g := w.Grant(w.Session(w.Ada), true)
		w.Update(func(tx *store.Tx) error { return tx.DeleteGroup(id) })
		if w.GrantAlive(g.ID) {
			t.Fatal("the grant outlived the group that gave the role")
		}
	})
}

func TestTheLastGlobalAdministratorStays(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		for name, f := range map[string]func(*directory.User){
			"disable": func(u *directory.User) { u.Enabled = false },
			"delete":  func(u *directory.User) { u.Deleted = time.Unix(1, 0) },
		} {
			err := w.DB.Update(context.Background(), func(tx *store.Tx) error {
				_, err := tx.ChangeUser(w.Grace.ID, store.UserChange{}, func(u *directory.User) error { f(u); return nil })
				return err
			})
			if !fault.Is(err, fault.Conflict) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestTwoAdministratorsCannotRemoveEachOther(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		w.Update(func(tx *store.Tx) error {
			return tx.AssignRole(directory.RoleAssignment{ID: directory.NewID[directory.RoleAssignment](w.Clock.Now()), Role: role.GlobalAdministrator, User: w.Ada.ID})
		})
		done := make(chan error, 2)
		for _, u := range []*directory.User{w.Ada, w.Grace} {
			go func() {
				done <- w.DB.Update(context.Background(), func(tx *store.Tx) error {
					_, err := tx.ChangeUser(u.ID, store.UserChange{}, func(u *directory.User) error { u.Enabled = false; return nil })
					return err
				})
			}()
		}
		ok := 0
		for range 2 {
			if err := <-done; err == nil {
				ok++
			} else if !fault.Is(err, fault.Conflict) {
				t.Error(err)
			}
		}
		if ok != 1 {
			t.Fatalf("%d of 2 went through", ok)
		}
	})
}

func TestAnActorWhoWasCutDoesNothingMore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		s := w.Session(w.Grace)
		actor := directory.Actor{User: w.Grace.ID, Name: w.Grace.Name, Born: s.Born, Owner: s.Owner(), Kind: cutoff.Browser}
		w.Revoke(w.Grace)
		err := w.DB.Update(context.Background(), func(tx *store.Tx) error {
			tx.By(store.By{Actor: actor})
			_, err := tx.ChangeUser(w.Ada.ID, store.UserChange{}, func(u *directory.User) error { u.Enabled = false; return nil })
			return err
		})
		if !fault.Is(err, fault.Revoked) {
			t.Fatalf("got %v", err)
		}
	})
}

func TestAllButThisSession(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		keep, other := w.Session(w.Ada), w.Session(w.Ada)
		kept, dead := w.Grant(keep, true), w.Grant(keep, true)
		lost := w.Grant(other, true)
		w.Update(func(tx *store.Tx) error { // one grant of the kept session was cut before
			tx.Cut(&store.Cut{Cause: standing.Reused, Cuts: []cutoff.Cutoff{{Scope: cutoff.Grant, ID: dead.ID.String(), Reach: cutoff.Everything}}})
			return nil
		})
		var c *store.Cut
		w.Update(func(tx *store.Tx) (err error) {
			c, err = tx.ChangeUser(w.Ada.ID, store.UserChange{Keep: keep.ID, Cookie: [32]byte{1}}, func(u *directory.User) error { u.Password.Version++; return nil })
			return err
		})
		if c.Cause != standing.PasswordChanged || !c.Kept {
			t.Fatalf("line %+v", c)
		}
		if !w.SessionAlive(keep.ID) || !w.GrantAlive(kept.ID) {
			t.Error("the kept session or its grant died")
		}
		if w.SessionAlive(other.ID) || w.GrantAlive(lost.ID) {
			t.Error("another session or its grant lives")
		}
		if w.GrantAlive(dead.ID) {
			t.Error("what was dead before was born again")
		}
		w.Read(func(tx *store.Tx) error {
			_, err := tx.SessionByCookie([32]byte{1})
			return err
		})
	})
}

func TestSearchMeansWhatMatchSays(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		people := []*directory.User{w.Ada, w.Grace}
		for i, n := range []string{"Émile Zola", "emile berliner", "Łukasz ŻAL", "Anna-Maria O'Neil", "100% sure_thing"} {
			u := storetest.Person("p"+string(rune('0'+i)), w.Clock.Now())
			u.DisplayName, u.Surname = n, n
			u.Enabled = i%2 == 0
			people = append(people, u)
			w.Update(func(tx *store.Tx) error { return tx.CreateUser(u) })
		}
		text := func(op directory.Op, f directory.Field, v string) *directory.Expr {
			return &directory.Expr{Op: op, Field: f, Values: []directory.Value{directory.Text(v)}}
		}
		exprs := []*directory.Expr{
			text(directory.StartsWith, directory.FieldDisplayName, "émi"), text(directory.StartsWith, directory.FieldDisplayName, "ÉMI"),
			text(directory.EndsWith, directory.FieldDisplayName, "żal"), text(directory.Equal, directory.FieldSurname, "EMILE BERLINER"),
			text(directory.HasWords, directory.FieldDisplayName, "o maria"), text(directory.HasWords, directory.FieldDisplayName, "ż"),
			text(directory.HasWords, directory.FieldDisplayName, ""), text(directory.StartsWith, directory.FieldDisplayName, "100%"),
			text(directory.Equal, directory.FieldName, "ADA@contoso.example"), text(directory.EndsWith, directory.FieldName, ""),
			{Op: directory.Not, Args: []*directory.Expr{text(directory.Equal, directory.FieldName, "ada@contoso.example")}},
			{Op: directory.Equal, Field: directory.FieldEnabled, Values: []directory.Value{directory.Bool(false)}},
			{Op: directory.Equal, Field: directory.FieldID, Values: []directory.Value{directory.IDValue(w.Ada.ID)}},
			{Op: directory.AtLeast, Field: directory.FieldCreated, Values: []directory.Value{directory.Instant(w.Clock.Now())}},
			{Op: directory.Or, Args: []*directory.Expr{text(directory.StartsWith, directory.FieldDisplayName, "ada"), text(directory.HasWords, directory.FieldName, "contoso")}},
		}
		for i, x := range exprs {
			want := map[directory.UserID]bool{}
			for _, u := range people {
				if x.Match(u.Value) {
					want[u.ID] = true
				}
			}
			var page store.UserPage
			w.Read(func(tx *store.Tx) (err error) {
				page, err = tx.Users(directory.UserQuery{Filter: x, Count: true})
				return err
			})
			if page.Count != len(want) || len(page.Users) != len(want) {
				t.Errorf("expression %d: found %d of %d", i, page.Count, len(want))
			}
			for _, u := range page.Users {
				if !want[u.ID] {
					t.Errorf("expression %d: found %s", i, u.DisplayName)
				}
			}
		}
		// Paging by a text with accents meets everybody once.
		seen := map[directory.UserID]int{}
		q := directory.UserQuery{Top: 2, Order: directory.Order{Field: directory.FieldDisplayName}}
		for range 10 {
			var page store.UserPage
			w.Read(func(tx *store.Tx) (err error) { page, err = tx.Users(q); return err })
			for _, u := range page.Users {
				seen[u.ID]++
			}
			if q.After = page.Next; q.After == "" {
				break
			}
		}
		if len(seen) != len(people) {
			t.Errorf("paging met %d of %d", len(seen), len(people))
		}
	})
}

func TestRotateSharesACommitAndWritesOnlyItsColumns(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		const n = 50
		grants := make([]*grant.Grant, n)
		for i := range grants {
			grants[i] = w.Grant(w.Session(w.Ada), true)
		}
		done := make(chan error, 2*n)
		for _, g := range grants {
			for range 2 { // both of one grant: they must go one after the other
				go func() {
					_, err := w.DB.Rotate(context.Background(), g.ID, func(f *store.Refresh) error {
						f.Grant.Born = 999 // must not be written
						f.Grant.State.Generation++
						return nil
					})
					done <- err
				}()
			}
		}
		for range 2 * n {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		w.Read(func(tx *store.Tx) error {
			for _, g := range grants {
				x, err := tx.Grant(g.ID)
				if err != nil {
					return err
				}
				if x.State.Generation != 3 || x.Born != g.Born {
					t.Fatalf("generation %d, born %d (was %d)", x.State.Generation, x.Born, g.Born)
				}
			}
			return nil
		})
		_, err := w.DB.Rotate(context.Background(), directory.NewID[directory.Grant](w.Clock.Now()), func(*store.Refresh) error { return nil })
		if !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("unknown grant: %v", err)
		}
	})
}
