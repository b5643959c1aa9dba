package manage

import (
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

// guard writes a guard process of a resource, as the relay would.
func (h *house) guard(resource directory.ResourceID, f func(now time.Time, g *store.Guard)) *store.Guard {
	h.t.Helper()
	g := &store.Guard{ID: directory.NewID[store.Guard](time.Now()), Name: "mail-1", App: "mail", Resource: resource, MaxStaleness: 10 * time.Second}
	h.must(h.DB.Update(h.t.Context(), func(tx *store.Tx) error {
		g.Registered, g.Answered, g.Acked = tx.Now, tx.Now, tx.Head
		f(tx.Now, g)
		return tx.CreateGuard(g)
	}))
	return g
}

// TestLongLivesNeedALiveGuard: a resource is called guarded, and its tokens live
// above an hour, only on the proof of a guard that answers now.
func TestLongLivesNeedALiveGuard(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		ctx := t.Context()
		ca := h.person("carl", role.CloudAppAdministrator)
		long := ResourcePatch{Guarded: ptr(true), TokenLife: ptr(28 * time.Hour)}
		_, err := h.CreateResource(ctx, ca, "api://mail", ResourcePatch{Name: ptr("Mail"), Guarded: ptr(true)}, Act{})
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("guarded before it exists: %v", err)
		}
		_, err = h.CreateResource(ctx, ca, "api://mail", ResourcePatch{Name: ptr("Mail")}, Act{})
		h.must(err)
		refused := func(what, says string, p ResourcePatch) {
			t.Helper()
			for _, dry := range []bool{true, false} {
				if err := h.UpdateResource(ctx, ca, "api://mail", p, Act{DryRun: dry}); !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Public(err), says) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if r, err := h.Resource(ctx, ca, "api://mail"); err != nil || r.Guarded || r.TokenLife > time.Hour {
				t.Fatalf("%s: %+v %v", what, r, err)
			}
		}
		refused("no guard", "No guard of it is registered.", long)
		h.guard("api://mail", func(now time.Time, g *store.Guard) { g.Gone = now })
		refused("one that left", "No guard of it is registered.", long)
		h.guard("api://drive", func(time.Time, *store.Guard) {})
		refused("another resource's", "No guard of it is registered.", long)
		h.guard("api://mail", func(_ time.Time, g *store.Guard) { g.Acked, g.Answered = 0, time.Time{} })
		refused("one that acknowledged nothing", "has not acknowledged anything yet", long)
		h.guard("api://mail", func(now time.Time, g *store.Guard) { g.Answered = now.Add(-10*time.Second - store.GuardLag) })
		refused("a silent one", "longer ago than its limit of 10s", long)
		h.guard("api://mail", func(time.Time, *store.Guard) {})
		refused("long without the flag", "longer than one hour only where", ResourcePatch{TokenLife: ptr(2 * time.Hour)})
		refused("too long", "28 hours", ResourcePatch{Guarded: ptr(true), TokenLife: ptr(29 * time.Hour)})

		h.must(h.UpdateResource(ctx, ca, "api://mail", long, Act{}))
		r, err := h.Resource(ctx, ca, "api://mail")
		h.must(err)
		var longest time.Duration
		h.must(h.DB.Read(ctx, func(tx *store.Tx) (err error) { longest, err = tx.LongestLife(); return err }))
		if !r.Guarded || r.TokenLife != 28*time.Hour || longest != 28*time.Hour {
			t.Errorf("%+v, longest %v", r, longest)
		}
		// No longer guarded: an hour again, and what was given is remembered.
		h.must(h.UpdateResource(ctx, ca, "api://mail", ResourcePatch{Guarded: ptr(false)}, Act{}))
		if r, err = h.Resource(ctx, ca, "api://mail"); err != nil || r.Guarded || r.TokenLife != time.Hour || time.Until(r.LongUntil) < 27*time.Hour {
			t.Errorf("%+v %v", r, err)
		}
		h.must(h.DB.Read(ctx, func(tx *store.Tx) (err error) { longest, err = tx.LongestLife(); return err }))
		if longest != 28*time.Hour {
			t.Errorf("the longest life ever handed out is forgotten: %v", longest)
		}
	})
}
