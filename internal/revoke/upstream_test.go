package revoke_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// partner registers an identity provider, with a session of Ada's that came through it.
func (w *world) partner(sid string) (*directory.Provider, *grant.Session) {
	p := &directory.Provider{ID: "partner", Issuer: "https://id.partner.example", Name: "Partner", Enabled: true, ClientID: "curfew"}
	w.Update(func(tx *store.Tx) error {
		if _, err := tx.SaveProvider(p); err != nil {
			return err
		}
		return tx.Link(p.ID, "ada-there", w.Ada.ID)
	})
	return p, w.through(p, sid)
}

func (w *world) through(p *directory.Provider, sid string) *grant.Session {
	s := &grant.Session{ID: directory.NewID[directory.Session](w.Clock.Now()), User: w.Ada.ID, Created: w.Clock.Now(), LastUsed: w.Clock.Now(), AuthTime: w.Clock.Now(), Provider: p.ID, UpstreamSID: sid}
	copy(s.Cookie[:], s.ID[:])
	w.Update(func(tx *store.Tx) error { return tx.CreateSession(s) })
	return s
}

func (w *world) order(p *directory.Provider, jti string) revoke.Order {
	return revoke.Order{Provider: p, JTI: jti, Expires: w.Clock.Now().Add(time.Minute)}
}

func TestALogoutTokenIsGoodOnceOnEveryNode(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		p, x := w.partner("there-1")
		ctx := context.Background()
		if n, err := w.s.LoggedOut(ctx, w.order(p, "j1"), "", "there-1"); n != 1 || err != nil || w.SessionAlive(x.ID) {
			t.Fatalf("ended %d, %v", n, err)
		}
		another := *w.s // another process: it remembers nothing by itself
		if _, err := another.LoggedOut(ctx, w.order(p, "j1"), "", "there-1"); !fault.Is(err, fault.Invalid) {
			t.Errorf("again, elsewhere: %v", err)
		}
		// Of many at once, one wins.
		w.through(p, "there-2")
		var won int
		var mu sync.Mutex
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				_, err := w.s.LoggedOut(ctx, w.order(p, "j2"), "", "there-2")
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				} else if !fault.Is(err, fault.Invalid) {
					t.Error(err)
				}
			})
		}
		if all.Wait(); won != 1 {
			t.Errorf("one token was followed %d times", won)
		}
		// Another provider's jti is another.
		w.Update(func(tx *store.Tx) error {
			_, err := tx.SaveProvider(&directory.Provider{ID: "second", Issuer: "https://id.second.example", Name: "Second", Enabled: true, ClientID: "curfew"})
			return err
		})
		var second *directory.Provider
		w.Read(func(tx *store.Tx) (err error) { second, err = tx.Provider("second"); return err })
		if _, err := w.s.LoggedOut(ctx, w.order(second, "j1"), "", "there-1"); err != nil {
			t.Error(err)
		}
		// As it was believed, so must it be now.
		stale := *p
		stale.Version--
		if _, err := w.s.LoggedOut(ctx, w.order(&stale, "j3"), "", "there-1"); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("of a registration that was changed: %v", err)
		}
	})
}

// A session there ends while somebody is on the way here: whatever lines lie
// between, and where none does, the clock decides.
func TestWhatAProviderEndedMeanwhileIsKnown(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		p, _ := w.partner("")
		ctx := context.Background()
		ended := func(subject, sid string, born cutoff.Pos, began time.Time) (over bool) {
			t.Helper()
			w.Update(func(tx *store.Tx) (err error) {
				over, err = revoke.EndedMeanwhile(tx, p.ID, subject, sid, born, began)
				return err
			})
			return over
		}
		before, _ := w.DB.View().Head()
		began := w.Clock.Now()
		if ended("nobody-here", "there-9", before, began) {
			t.Error("nothing was ended yet")
		}
		w.Clock.Add(time.Second)
		for i, c := range []struct{ subject, sid string }{{"nobody-here", ""}, {"", "there-9"}} {
			if n, err := w.s.LoggedOut(ctx, w.order(p, fmt.Sprint("k", i)), c.subject, c.sid); n != 0 || err != nil { // no session here, so no line
				t.Fatal(n, err)
			}
			if !ended("nobody-here", "there-9", before, began) {
				t.Errorf("%v ended meanwhile, and nobody knows", c)
			}
			if ended("nobody-here", "there-9", before, w.Clock.Now().Add(time.Second)) {
				t.Errorf("%v ended before, and it counts", c)
			}
			w.Clock.Add(time.Hour)
			began = w.Clock.Now()
			w.Clock.Add(time.Second)
		}
		w.through(p, "there-8")
		before, _ = w.DB.View().Head()
		if _, err := w.s.LoggedOut(ctx, w.order(p, "k8"), "ada-there", ""); err != nil {
			t.Fatal(err)
		}
		after, _ := w.DB.View().Head()
		if after == before || !ended("ada-there", "there-8", before-1, w.Clock.Now().Add(time.Hour)) || ended("ada-there", "there-8", after, w.Clock.Now().Add(time.Second)) {
			t.Error("positions do not decide")
		}
	})
}
