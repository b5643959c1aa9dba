package deed_test

import (
	"context"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/deed"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

const activity = "Disable account"

type world struct {
	*storetest.World
	deed.Doer
	mallory *directory.User
	by      directory.Actor // mallory, who holds no role
}

func newWorld(t *testing.T, e storetest.Engine) *world {
	w := &world{World: storetest.NewWorld(t, e, store.Hooks{})}
	w.mallory = storetest.Person("mallory", w.Clock.Now())
	w.Update(func(tx *store.Tx) error { return tx.CreateUser(w.mallory) })
	w.Doer = deed.Doer{DB: w.World.DB, Revoke: &revoke.Service{DB: w.World.DB, Now: w.Clock.Now, Lifetimes: grant.DefaultLifetimes()}}
	s := w.Session(w.mallory)
	w.Clock.Add(time.Second)
	w.by = directory.Actor{User: w.mallory.ID, Name: w.mallory.Name, Born: s.Born, Owner: s.Owner(), Kind: cutoff.Browser, Session: s.ID, AuthTime: s.AuthTime}
	return w
}

// disable cuts, whoever may.
func (w *world) disable(c *deed.Step) (err error) {
	c.Said = append(c.Said, "Disables ada.")
	c.Cut, err = c.ChangeUser(w.Ada.ID, store.UserChange{}, func(u *directory.User) error { u.Enabled = false; return nil })
	return err
}

func (w *world) state() (enabled bool, head cutoff.Pos, refusals int) {
	w.Read(func(tx *store.Tx) error {
		u, err := tx.User(w.Ada.ID)
		if err != nil {
			return err
		}
		enabled, head = u.Enabled, tx.Head
		all, err := tx.Audits(store.AuditQuery{Target: w.Ada.ID.String(), Limit: 100})
		for _, r := range all {
			if r.Action == activity && r.Result == audit.Refused {
				refusals++
			}
		}
		return err
	})
	return enabled, head, refusals
}

func TestWhatIsDoneIsAnsweredWithItsReceipt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		var said []string
		ctx, gone := context.WithCancel(t.Context())
		r, err := w.Do(ctx, w.by, manage.Act{Reason: "left", Effects: &said}, func(c *deed.Step) error {
			c.AfterCommit(gone) // whoever asked no longer waits when it is committed
			return w.disable(c)
		})
		if err != nil || r == nil || r.Rest == nil || r.Reason != "left" || len(said) != 1 {
			t.Fatalf("receipt %+v, said %q, %v; want one that is counted", r, said, err)
		}
	})
}

func TestADryRunLeavesNothingBehind(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		_, before, _ := w.state()
		var said []string
		r, err := w.Do(t.Context(), w.by, manage.Act{DryRun: true, Effects: &said}, w.disable)
		if r != nil || err != nil || len(said) != 1 {
			t.Fatalf("receipt %+v, said %q, %v", r, said, err)
		}
		_, err = w.Do(t.Context(), w.by, manage.Act{DryRun: true}, w.refused)
		if enabled, head, refusals := w.state(); !fault.Is(err, fault.Denied) || !enabled || head != before || refusals != 0 {
			t.Errorf("%v: enabled %v, head %d after %d, %d refusals on record", err, enabled, head, before, refusals)
		}
	})
}

func (w *world) refused(c *deed.Step) error {
	if err := w.disable(c); err != nil {
		return err
	}
	return c.Allow(activity, store.UserParty(w.Ada), w.Ada.DisplayName, role.DeleteUser, role.Target{ID: w.Ada.ID})
}

func TestARefusalUndoesEverythingAndIsOnRecord(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		_, before, _ := w.state()
		_, err := w.Do(t.Context(), w.by, manage.Act{}, w.refused)
		if enabled, head, refusals := w.state(); !fault.Is(err, fault.Denied) || !enabled || head != before || refusals != 1 {
			t.Errorf("%v: enabled %v, head %d after %d, %d refusals on record, want 1", err, enabled, head, before, refusals)
		}
	})
}

func TestWhoeverWasCutDoesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		w.Disable(w.mallory)
		if _, err := w.Do(t.Context(), w.by, manage.Act{}, w.disable); !fault.Is(err, fault.Revoked) {
			t.Errorf("%v, want Revoked", err)
		}
	})
}
