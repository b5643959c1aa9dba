package store_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// What a refresh reads of somebody's rights in one go is what is read of them
// elsewhere: each role once, none by a group that may hold none, and the groups that
// somebody asked about.
func TestWhatSomebodyHoldsIsTheSameAtARefresh(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		g := w.Grant(w.Session(w.Ada), true)
		now := w.Clock.Now()
		const direct, both, none = directory.RoleID("a"), directory.RoleID("b"), directory.RoleID("c")
		admins, staff, others := directory.NewID[directory.Group](now), directory.NewID[directory.Group](now), directory.NewID[directory.Group](now)
		same := func(what string, roles []directory.RoleID, assignable bool, groups ...directory.GroupID) {
			t.Helper()
			some := []directory.GroupID{admins, staff, others}
			slices.SortFunc(groups, func(a, b directory.GroupID) int { return slices.Compare(a[:], b[:]) })
			check := func(where string, h directory.Held, in []directory.GroupID) {
				t.Helper()
				slices.SortFunc(in, func(a, b directory.GroupID) int { return slices.Compare(a[:], b[:]) })
				if !slices.Equal(h.Roles, roles) || h.RoleAssignableMember != assignable || !slices.Equal(in, groups) {
					t.Errorf("%s, %s: %+v %v, want %v %v %v", what, where, h, in, roles, assignable, groups)
				}
			}
			w.Read(func(tx *store.Tx) error {
				h, err := tx.Held(w.Ada.ID)
				if err != nil {
					return err
				}
				in, err := tx.GroupsAmong(w.Ada.ID, some)
				check("read", h, in)
				if not, _ := tx.GroupsAmong(w.Ada.ID, some[:0]); len(not) > 0 {
					t.Errorf("%s: in %v of none", what, not)
				}
				return err
			})
			if _, err := w.DB.Rotate(t.Context(), g.ID, func(f *store.Refresh) error {
				check("at a refresh", f.Held, f.Groups)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		same("nothing", nil, false)
		w.Update(func(tx *store.Tx) error {
			for _, x := range []directory.Group{{ID: admins, Name: "Admins", RoleAssignable: true, Created: now}, {ID: staff, Name: "Staff", Created: now}, {ID: others, Name: "Others", Created: now}} {
				if err := tx.CreateGroup(x); err != nil {
					return err
				}
			}
			return tx.AddMember(staff, w.Ada.ID)
		})
		w.Rule(storetest.Policy(1, fmt.Sprintf(`"users":{"includeUsers":["All"],"excludeGroups":[%q,%q,%q]}`, admins, staff, others), storetest.AsksMFA)) // a refresh looks for those that policies name
		same("in a group", nil, false, staff)
		give := func(a directory.RoleAssignment) {
			a.ID, a.Created = directory.NewID[directory.RoleAssignment](now), now
			w.Update(func(tx *store.Tx) error { return tx.AssignRole(a) })
		}
		give(directory.RoleAssignment{Role: none, Group: staff}) // which may hold none
		same("in a group that may hold no role", nil, false, staff)
		give(directory.RoleAssignment{Role: direct, User: w.Ada.ID})
		give(directory.RoleAssignment{Role: both, User: w.Ada.ID})
		same("two roles", []directory.RoleID{direct, both}, false, staff)
		w.Update(func(tx *store.Tx) error { return tx.AddMember(admins, w.Ada.ID) })
		same("in one that might", []directory.RoleID{direct, both}, true, staff, admins)
		give(directory.RoleAssignment{Role: both, Group: admins})
		same("one of them twice", []directory.RoleID{direct, both}, true, staff, admins)
		give(directory.RoleAssignment{Role: direct, Group: admins})
		same("two by one group", []directory.RoleID{direct, both}, true, staff, admins)
	})
}
