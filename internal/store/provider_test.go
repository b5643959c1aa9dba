package store_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

func partner() *directory.Provider {
	return &directory.Provider{ID: "partner", Issuer: "https://id.partner.example", Name: "Partner", Enabled: true, ClientID: "curfew"}
}

func through(w *storetest.World, sid string) *grant.Session {
	s := &grant.Session{ID: directory.NewID[directory.Session](w.Clock.Now()), User: w.Ada.ID, Created: w.Clock.Now(), LastUsed: w.Clock.Now(), Provider: "partner", UpstreamSID: sid}
	copy(s.Cookie[:], s.ID[:])
	return s
}

// A session that is being born through a provider and the end of that provider go
// one after the other, whoever comes first: there is no session that nobody ends.
func TestASessionBornWhileItsProviderEndsIsEnded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		w.Update(func(tx *store.Tx) error { _, err := tx.SaveProvider(partner()); return err })
		for how, end := range map[string]func(*store.Tx) error{
			"disabled": func(tx *store.Tx) error {
				p, err := tx.LockProvider("partner")
				if err != nil {
					return err
				}
				p.Enabled = false
				_, err = tx.SaveProvider(p)
				return err
			},
			"deleted": func(tx *store.Tx) error { _, err := tx.DeleteProvider("partner"); return err },
		} {
			w.Update(func(tx *store.Tx) error { _, err := tx.SaveProvider(partner()); return err })
			s, ended := through(w, "there-1"), make(chan error, 1)
			var once sync.Once
			w.Update(func(tx *store.Tx) error {
				if _, err := tx.HoldProvider("partner"); err != nil {
					return err
				}
				if err := tx.CreateSession(s); err != nil {
					return err
				}
				once.Do(func() { go func() { ended <- w.DB.Update(context.Background(), end) }() }) // this closure may run twice
				select {                                                                            // it must wait for this commit; if it does not, it has seen no session
				case err := <-ended:
					ended <- err
				case <-time.After(300 * time.Millisecond):
				}
				return nil
			})
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			if w.SessionAlive(s.ID) {
				t.Errorf("%s: the session lives", how)
			}
		}
	})
}

func TestAProviderRegisteredAnewIsAnotherOne(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		versions := map[int64]bool{}
		save := func(p *directory.Provider) {
			t.Helper()
			w.Update(func(tx *store.Tx) error { _, err := tx.SaveProvider(p); return err })
			if versions[p.Version] {
				t.Errorf("version %d was there before", p.Version)
			}
			versions[p.Version] = true
		}
		for range 3 {
			for range 4 {
				save(partner())
			}
			w.Update(func(tx *store.Tx) error {
				if err := tx.Link("partner", "ada-there", w.Ada.ID); err != nil {
					return err
				}
				_, err := tx.DeleteProvider("partner")
				return err
			})
			w.Read(func(tx *store.Tx) error {
				if _, err := tx.Linked("partner", "ada-there"); !errors.Is(err, store.ErrNotFound) {
					t.Errorf("the link outlived its provider: %v", err)
				}
				return nil
			})
		}
		save(partner())
		err := w.DB.Update(t.Context(), func(tx *store.Tx) error {
			p := partner()
			p.ID = "second"
			_, err := tx.SaveProvider(p)
			return err
		})
		if !errors.Is(err, store.ErrDuplicate) {
			t.Errorf("a second provider of the same issuer: %v", err)
		}
	})
}

func TestALinkNeverForgetsAProof(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		noon := w.Clock.Now().Truncate(time.Second).UTC()
		w.Update(func(tx *store.Tx) error {
			if _, err := tx.SaveProvider(partner()); err != nil {
				return err
			}
			if err := tx.Link("partner", "ada-there", w.Ada.ID); err != nil {
				return err
			}
			l := directory.Link{Provider: "partner", Subject: "ada-there", AuthTime: noon}
			if err := tx.ProveLink(&store.LinkAt{Link: l, Proved: 7}); err != nil {
				return err
			}
			l.AuthTime = noon.Add(-time.Hour) // one that was begun earlier and comes later
			return tx.ProveLink(&store.LinkAt{Link: l, Proved: 5})
		})
		w.Read(func(tx *store.Tx) error {
			l, err := tx.Linked("partner", "ada-there")
			if err != nil || l.Proved != 7 || !l.AuthTime.Equal(noon) || l.User != w.Ada.ID {
				t.Errorf("%+v, %v", l, err)
			}
			return nil
		})
		// Only those of the one who is unlinked end.
		mine, theirs := through(w, "there-1"), through(w, "there-2")
		theirs.User = w.Grace.ID
		var cut *store.Cut
		w.Update(func(tx *store.Tx) (err error) {
			if err := tx.Link("partner", "grace-there", w.Grace.ID); err != nil {
				return err
			}
			return errors.Join(tx.CreateSession(mine), tx.CreateSession(theirs))
		})
		w.Update(func(tx *store.Tx) error {
			p, err := tx.LockProvider("partner")
			if err != nil {
				return err
			}
			cut, err = tx.Unlink(p, w.Ada.ID)
			return err
		})
		if cut.Cause != standing.Unlinked || len(cut.Cuts) != 1 || w.SessionAlive(mine.ID) || !w.SessionAlive(theirs.ID) {
			t.Errorf("%+v; mine lives %v, hers %v", cut, w.SessionAlive(mine.ID), w.SessionAlive(theirs.ID))
		}
	})
}
