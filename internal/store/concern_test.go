package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// fate is what became of a grant.
func fate(w *storetest.World, g *grant.Grant) string {
	o := g.Owner()
	switch {
	case !w.GrantAlive(g.ID):
		return "ended"
	case g.Born < w.DB.View().Judge(&o):
		return "judged"
	}
	return "lives"
}

func group(w *storetest.World, name string, members ...directory.UserID) directory.GroupID {
	id := directory.NewID[directory.Group](w.Clock.Now())
	w.Update(func(tx *store.Tx) error {
		if err := tx.CreateGroup(directory.Group{ID: id, Name: name, Created: w.Clock.Now()}); err != nil {
			return err
		}
		for _, m := range members {
			if err := tx.AddMember(id, m); err != nil {
				return err
			}
		}
		return nil
	})
	return id
}

func TestWhoMovesIntoOrOutOfAPolicyIsJudgedAgainOrEnded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		staff, board, others := group(w, "staff", w.Ada.ID), group(w, "board"), group(w, "others", w.Ada.ID)
		names := func(state string) *store.Document {
			return storetest.Policy(1, `"users":{"includeUsers":["All"],"excludeGroups":["`+staff.String()+`","`+board.String()+`"],"excludeRoles":["`+string(role.GlobalReader)+`"]}`, `"state":"`+state+`",`+storetest.AsksMFA)
		}
		leave := func(g directory.GroupID) func(*store.Tx) error {
			return func(tx *store.Tx) error { return tx.RemoveMember(g, w.Ada.ID) }
		}
		join := func(g directory.GroupID) func(*store.Tx) error {
			return func(tx *store.Tx) error { return tx.AddMember(g, w.Ada.ID) }
		}
		assign := func(r directory.RoleID) func(*store.Tx) error {
			return func(tx *store.Tx) error {
				return tx.AssignRole(directory.RoleAssignment{ID: directory.NewID[directory.RoleAssignment](w.Clock.Now()), Role: r, User: w.Ada.ID})
			}
		}
		for _, x := range []struct {
			what, state string
			do          func(*store.Tx) error
			want        string
		}{
			{"leaves a group that is named", "enabled", leave(staff), "ended"},
			{"joins it", "enabled", join(staff), "judged"},
			{"leaves a group that is not named", "enabled", leave(others), "lives"},
			{"joins it", "enabled", join(others), "lives"},
			{"leaves one and joins another", "enabled", func(tx *store.Tx) error {
				if err := leave(staff)(tx); err != nil {
					return err
				}
				return join(board)(tx)
			}, "ended"},
			{"joins and leaves at once", "enabled", func(tx *store.Tx) error {
				if err := join(staff)(tx); err != nil {
					return err
				}
				return leave(staff)(tx)
			}, "lives"},
			{"leaves a group that is named by what only reports", "enabledForReportingButNotEnforced", leave(board), "lives"},
			{"joins it", "enabledForReportingButNotEnforced", join(board), "lives"},
			{"leaves a group that is named by what is switched off", "disabled", leave(board), "lives"},
			{"is given a role that is named", "enabled", assign(role.GlobalReader), "judged"},
			{"is given another", "enabled", assign(role.ReportsReader), "lives"},
			{"joins the board", "enabled", join(board), "judged"},
			{"is in a group that is deleted", "enabled", func(tx *store.Tx) error { return tx.DeleteGroup(board) }, "ended"},
		} {
			w.Rule(names(x.state))
			s := w.Session(w.Ada)
			g := w.Grant(s, true)
			w.Update(x.do)
			if got := fate(w, g); got != x.want {
				t.Errorf("%s: %s, want %s", x.what, got, x.want)
			}
			if !w.SessionAlive(s.ID) {
				t.Errorf("%s: the browser session ended", x.what)
			}
		}
		// While nobody can tell what policies say, leaving any group ends tokens.
		g := w.Grant(w.Session(w.Ada), true)
		w.Rule(&store.Document{Kind: store.PolicyDocument, ID: storetest.PolicyID(3), Doc: "{"})
		w.Update(leave(others))
		if got := fate(w, g); got != "ended" {
			t.Errorf("policies cannot be read: %s", got)
		}
	})
}

// A policy that another node writes while somebody leaves its group comes before or
// after: the one is seen under the head lock, though this node has not followed it yet,
// the other has everything judged again.
func TestAPolicyWrittenWhileSomebodyLeavesItsGroupIsSeen(t *testing.T) {
	onPostgres(t, func(t *testing.T, e storetest.Engine) {
		var lock once
		open, clock := e.New(t), storetest.NewClock()
		here := storetest.Open(t, open(store.Config{Now: clock.Now, Poll: time.Hour, Hooks: store.Hooks{BeforeLock: func(*store.Tx) { lock.fire() }}}))
		there := storetest.Open(t, open(store.Config{Now: clock.Now, Poll: time.Hour}))
		ada, staff := storetest.Person("ada", clock.Now()), directory.NewID[directory.Group](clock.Now())
		update := func(db *store.DB, f func(*store.Tx) error) {
			t.Helper()
			if err := db.Update(context.Background(), f); err != nil {
				t.Error(err)
			}
		}
		update(here, func(tx *store.Tx) error {
			if err := tx.CreateUser(ada); err != nil {
				return err
			}
			return tx.CreateGroup(directory.Group{ID: staff, Name: "staff", Created: clock.Now()})
		})
		for i := range 5 {
			names := storetest.Policy(1, `"users":{"includeUsers":["All"],"excludeGroups":["`+staff.String()+`"]}`, storetest.AsksMFA)
			g := &grant.Grant{ID: directory.NewID[directory.Grant](clock.Now()), User: ada.ID, App: "tripboard", Offline: true, Created: clock.Now(), LastUsed: clock.Now()}
			update(here, func(tx *store.Tx) error {
				if err := tx.AddMember(staff, ada.ID); err != nil {
					return err
				}
				_, err := tx.Policies() // kept
				return err
			})
			update(here, func(tx *store.Tx) error { return tx.CreateGrant(g) })
			lock.arm(func() { update(there, func(tx *store.Tx) error { return storetest.Rule(tx, names) }) })
			update(here, func(tx *store.Tx) error { return tx.RemoveMember(staff, ada.ID) })
			if err := here.Read(t.Context(), func(tx *store.Tx) error {
				cuts, err := tx.CutsAfter(g.Belongs(), cutoff.Token, g.Born)
				if len(cuts) == 0 {
					t.Errorf("%d: who left a group that a policy names keeps the tokens", i)
				}
				return err
			}); err != nil {
				t.Error(err)
			}
			update(there, func(tx *store.Tx) error { return tx.DeleteDocument(names.Kind, names.ID) })
		}
	})
}
