package store_test

import (
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

func TestALineThatOnlyPutsInDoubtEndsNothingAndIsKept(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		s := w.Session(w.Ada)
		g := w.Grant(s, true)
		doubt := &store.Cut{Cause: standing.PoliciesChanged, Cuts: []cutoff.Cutoff{{Scope: cutoff.User, ID: w.Ada.ID.String(), Reach: cutoff.Judge}}}
		w.Update(func(tx *store.Tx) error { tx.Cut(doubt); return nil })
		o := g.Owner()
		check := func(db *store.DB, when string) {
			t.Helper()
			v := db.View()
			if v.Judge(&o) != doubt.Pos || v.Dead(&o, g.Born, cutoff.Token) {
				t.Errorf("%s: judge again from %d, want %d; dead %v", when, v.Judge(&o), doubt.Pos, v.Dead(&o, g.Born, cutoff.Token))
			}
			err := db.Read(t.Context(), func(tx *store.Tx) error {
				for _, k := range []cutoff.Kind{cutoff.Browser, cutoff.Token} {
					cuts, err := tx.CutsAfter(g.Belongs(), k, g.Born)
					if err != nil || len(cuts) > 0 {
						t.Errorf("%s: %v %v", when, cuts, err)
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}
		check(w.DB, "at once")
		if !w.SessionAlive(s.ID) || !w.GrantAlive(g.ID) {
			t.Error("it ended something")
		}
		var there bool
		if _, _, err := w.DB.Snapshot(t.Context(), doubt.Pos-1, func(c cutoff.Cutoff, p cutoff.Pos) {
			there = there || c == doubt.Cuts[0] && p == doubt.Pos
		}); err != nil || !there {
			t.Errorf("the snapshot above the line before it lacks it (%v)", err)
		}
		w.Update(func(tx *store.Tx) error {
			tx.Cut(&store.Cut{Cause: standing.Revoked, Cuts: []cutoff.Cutoff{{Scope: cutoff.Grant, ID: g.ID.String(), Reach: cutoff.Tokens}}})
			return nil
		})
		w.Read(func(tx *store.Tx) error {
			cuts, err := tx.CutsAfter(g.Belongs(), cutoff.Token, g.Born)
			if len(cuts) != 1 || cuts[0].Cause != standing.Revoked {
				t.Errorf("causes: %v", cuts)
			}
			return err
		})
	})
}

func TestADoubtMakesNoReceiptAndMovesNoDate(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		var c *store.Cut
		w.Update(func(tx *store.Tx) error {
			var err error
			if c, err = tx.Event(standing.PolicyChanged, standing.Victim{User: w.Ada.ID.String()}, store.UserParty(w.Ada)); err == nil {
				tx.Cut(c)
			}
			return err
		})
		if c.Receipt != "" {
			t.Error("a change of policies has a receipt, and ended nothing")
		}
		var u *directory.User
		w.Read(func(tx *store.Tx) (err error) { u, err = tx.User(w.Ada.ID); return err })
		if !u.ValidFrom.Equal(w.Ada.ValidFrom) {
			t.Error("sessions are said to be valid from another instant")
		}
	})
}

// What is in doubt is an access token: a doubt is kept while one that old may live,
// wherever longer lives are configured meanwhile, and not for ever. What ends something
// for a user stays.
func TestADoubtIsSweptBelowTheFloorAndNoSooner(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		kept := func() (all map[cutoff.Cutoff]bool) {
			t.Helper()
			if _, err := w.DB.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			all = map[cutoff.Cutoff]bool{}
			if _, _, err := w.DB.Snapshot(t.Context(), 0, func(c cutoff.Cutoff, _ cutoff.Pos) { all[c] = true }); err != nil {
				t.Fatal(err)
			}
			return all
		}
		w.Update(func(tx *store.Tx) error {
			return tx.SaveResource(&directory.Resource{ID: "api://mail", Name: "Mail", TokenLife: 28 * time.Hour, Guarded: true})
		})
		w.Clock.Add(time.Second)
		ada := w.Ada.ID.String()
		everybody, user, tokens := cutoff.Cutoff{Scope: cutoff.All, Reach: cutoff.Judge}, cutoff.Cutoff{Scope: cutoff.User, ID: ada, Reach: cutoff.Judge}, cutoff.Cutoff{Scope: cutoff.User, ID: ada, Reach: cutoff.Tokens}
		for _, c := range []cutoff.Cutoff{everybody, user, tokens} {
			w.Update(func(tx *store.Tx) error {
				tx.Cut(&store.Cut{Cause: standing.PoliciesChanged, Cuts: []cutoff.Cutoff{c}})
				return nil
			})
		}
		later := func() { // a line that is the floor one day
			w.Clock.Add(time.Second)
			w.Update(func(tx *store.Tx) error {
				tx.Cut(&store.Cut{Cause: standing.Revoked, Cuts: []cutoff.Cutoff{{Scope: cutoff.User, ID: "somebody", Reach: cutoff.Everything}}})
				return nil
			})
		}
		later()
		w.Clock.Add(29*time.Hour - 2*time.Second)
		later()
		if all := kept(); !all[everybody] || !all[user] || !all[tokens] {
			t.Errorf("while tokens that old may live: %v", all)
		}
		w.Clock.Add(3 * time.Second)
		if floor, err := w.DB.Floor(t.Context()); err != nil || floor == 0 {
			t.Fatal(floor, err)
		}
		if all := kept(); all[everybody] || all[user] || !all[tokens] {
			t.Errorf("when none can: %v", all)
		}
	})
}
