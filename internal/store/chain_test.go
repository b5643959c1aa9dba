package store_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

func cutLine(scope cutoff.Scope, id string) *store.Cut {
	return &store.Cut{Cause: standing.Revoked, Cuts: []cutoff.Cutoff{{Scope: scope, ID: id, Reach: cutoff.Everything}}}
}

func TestOneCutoffEndsEverythingMadeFromAGrant(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		for name, c := range map[string]struct {
			cut  func(root, middle *grant.Grant) *store.Cut
			dead string // of root, middle, last and a sibling of middle
		}{
			"the root":               {func(r, _ *grant.Grant) *store.Cut { return cutLine(cutoff.Grant, r.ID.String()) }, "root middle last sibling"},
			"the one in the middle":  {func(_, m *grant.Grant) *store.Cut { return cutLine(cutoff.Grant, m.ID.String()) }, "middle last"},
			"an application below":   {func(_, m *grant.Grant) *store.Cut { return cutLine(cutoff.App, "drive") }, "middle last"},
			"the root's application": {func(r, _ *grant.Grant) *store.Cut { return cutLine(cutoff.App, string(r.App)) }, "root middle last sibling"},
			"the person in the middle": {func(r, _ *grant.Grant) *store.Cut {
				return cutLine(cutoff.UserApp, cutoff.UserAppID(r.User.String(), "drive"))
			}, "middle last"},
			"somebody else there": {func(*grant.Grant, *grant.Grant) *store.Cut {
				return cutLine(cutoff.UserApp, cutoff.UserAppID(w.Grace.ID.String(), "drive"))
			}, ""},
		} {
			root := w.Grant(w.Session(w.Ada), true)
			middle := w.Made(root, "drive")
			last, sibling := w.Made(middle, "ledger"), w.Made(root, "notes")
			line := c.cut(root, middle)
			w.Update(func(tx *store.Tx) error { tx.Cut(line); return nil })
			var dead string
			for _, g := range []struct {
				name string
				id   directory.GrantID
			}{{"root", root.ID}, {"middle", middle.ID}, {"last", last.ID}, {"sibling", sibling.ID}} {
				if !w.GrantAlive(g.id) {
					dead += " " + g.name
				}
			}
			if want := c.dead; dead != want && dead != " "+want {
				t.Errorf("%s: dead are%s, want %s", name, dead, want)
			}
			if again := w.Made(root, "drive"); c.dead != "" && line.Pos > root.Born && name == "an application below" && !w.GrantAlive(again.ID) {
				t.Errorf("%s: what is made after the cut is dead", name)
			}
		}
	})
}

func TestAGrantIsReadAsItWasMade(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		root := w.Grant(w.Session(w.Ada), false)
		middle := w.Made(root, "drive")
		last := w.Made(middle, "ledger")
		last.CNF, last.Offline, last.Scopes, last.LastUsed = "jkt:abc", false, []directory.Permission{{Resource: "api://x", Scopes: []string{"A"}}}, w.Clock.Now()
		bound := *root
		bound.ID, bound.CNF = directory.NewID[directory.Grant](w.Clock.Now()), "x5t:def"
		w.Update(func(tx *store.Tx) error {
			if err := tx.CreateGrant(&bound); err != nil {
				return err
			}
			held, err := tx.HoldGrant(middle.ID)
			if err != nil || held.ID != middle.ID {
				t.Errorf("held %+v, %v", held, err)
			}
			return tx.SaveExchange(last)
		})
		w.Read(func(tx *store.Tx) error {
			got, err := tx.GrantMade(middle.ID, "ledger")
			if err != nil || !reflect.DeepEqual(got.Chain, last.Chain) || got.Offline || got.Scopes[0].Scopes[0] != "A" || got.Born != last.Born || got.Session != root.Session {
				t.Errorf("made %+v, %v", got, err)
			}
			if _, err := tx.GrantMade(root.ID, "ledger"); err != store.ErrNotFound {
				t.Errorf("what another made: %v", err)
			}
			b, err := tx.Grant(bound.ID)
			if err != nil || b.CNF != "x5t:def" || b.Chain != nil || !b.Parent().IsZero() {
				t.Errorf("bound %+v, %v", b, err)
			}
			below, err := tx.GrantsBelow(root.ID)
			var ids []directory.GrantID
			for _, g := range below {
				ids = append(ids, g.ID)
			}
			if err != nil || !slices.Equal(ids, []directory.GrantID{middle.ID, last.ID}) {
				t.Errorf("below %v, %v", ids, err)
			}
			return nil
		})
	})
}

// What a grant was made from is judged by its own facts, not only by cutoffs:
// nothing writes a line when something was not used for too long.
func TestWhatAGrantWasMadeFromIsJudgedWithIt(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		l := grant.DefaultLifetimes()
		causes := func(g *grant.Grant) (got []standing.Cause, end time.Time) {
			t.Helper()
			w.Read(func(tx *store.Tx) error {
				a, err := tx.Above(g, w.Ada)
				got = standing.Check(standing.Facts{Now: tx.Now, User: w.Ada, Above: a.Facts, Orphan: a.Orphan})
				end = a.End
				return err
			})
			return got, end
		}
		s := w.Session(w.Ada)
		inside, offline := w.Grant(s, false), w.Grant(s, true)
		tied, free := w.Made(w.Made(inside, "drive"), "ledger"), w.Made(w.Made(offline, "drive"), "ledger")
		if got, end := causes(inside); got != nil || !end.IsZero() {
			t.Errorf("one that a sign-in gave hangs from %v until %v", got, end)
		}
		if got, end := causes(tied); got != nil || !end.Equal(s.Ends(l)) {
			t.Errorf("tied: %v, ends %v, want the session's end %v", got, end, s.Ends(l))
		}
		if got, end := causes(free); got != nil || !end.Equal(offline.Ends(l)) {
			t.Errorf("free: %v, ends %v, want the root's end %v", got, end, offline.Ends(l))
		}
		w.Clock.Add(l.SessionIdle)
		if got, _ := causes(tied); !slices.Equal(got, []standing.Cause{standing.Idle}) {
			t.Errorf("the session was idle: %v", got)
		}
		if got, _ := causes(free); got != nil {
			t.Errorf("the session was idle, and the root does not end with it: %v", got)
		}
		w.Update(func(tx *store.Tx) error { return tx.DeleteSession(s.ID) }) // as a sign-out beyond the allowance
		if got, _ := causes(tied); !slices.Equal(got, []standing.Cause{standing.Orphaned}) {
			t.Errorf("the session is gone: %v", got)
		}
		w.Clock.Add(l.GrantIdle)
		if got, _ := causes(free); !slices.Equal(got, []standing.Cause{standing.Idle}) {
			t.Errorf("the root was idle: %v", got)
		}
		foreign := *free
		foreign.User = w.Grace.ID
		if got, _ := causes(&foreign); !slices.Equal(got, []standing.Cause{standing.Orphaned}) {
			t.Errorf("made from somebody else's: %v", got)
		}
		lost := *free
		lost.Chain = append(slices.Clone(free.Chain), grant.Link{Grant: directory.NewID[directory.Grant](w.Clock.Now()), App: "web"})
		if got, _ := causes(&lost); !slices.Contains(got, standing.Orphaned) {
			t.Errorf("the root is gone: %v", got)
		}
	})
}

func TestAllButThisSessionKeepsWhatWasMadeInIt(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		s := w.Session(w.Ada)
		inside, offline, other := w.Grant(s, false), w.Grant(s, true), w.Grant(w.Session(w.Ada), true)
		kept := []*grant.Grant{w.Made(inside, "drive"), w.Made(offline, "drive"), w.Made(w.Made(offline, "notes"), "ledger")}
		dead := []*grant.Grant{w.Made(other, "drive"), w.Made(w.Made(offline, "calendar"), "ledger")}
		w.Update(func(tx *store.Tx) error { tx.Cut(cutLine(cutoff.Grant, dead[1].Parent().String())); return nil })
		w.Update(func(tx *store.Tx) error {
			_, err := tx.ChangeUser(w.Ada.ID, store.UserChange{Keep: s.ID}, func(u *directory.User) error { u.Password.Version++; return nil })
			return err
		})
		for i, g := range kept {
			if !w.GrantAlive(g.ID) {
				t.Errorf("kept grant %d is dead", i)
			}
		}
		for i, g := range dead {
			if w.GrantAlive(g.ID) {
				t.Errorf("grant %d of another session, or cut before, is alive", i)
			}
		}
	})
}
