package store_test

import (
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

func method(w *storetest.World, u *directory.User, kind directory.MethodKind) *directory.Method {
	return &directory.Method{ID: directory.NewID[directory.Method](w.Clock.Now()), User: u.ID, Kind: kind, Name: string(kind), Created: w.Clock.Now(), Doc: "{}"}
}

func every(*directory.Method) bool { return true }

func TestWhatChangesOfMethodsEnd(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		// Each change is done to somebody signed in in two browsers.
		for _, x := range []struct {
			what        string
			own         bool
			remove      bool
			over        bool // by its time
			cause       standing.Cause
			here, there bool // what lives
		}{
			{"added by the person", true, false, false, standing.MethodAdded, true, true},
			{"given by an administrator", false, false, false, standing.MethodAdded, true, true},
			{"removed by the person", true, true, false, standing.MethodRemoved, true, false},
			{"removed by an administrator", false, true, false, standing.MethodReset, false, false},
			{"removed when it was over already", false, true, true, "", true, true},
		} {
			u := storetest.Person("p"+directory.NewID[directory.User](w.Clock.Now()).String(), w.Clock.Now())
			m := method(w, u, directory.MethodTOTP)
			if x.over {
				m.Expires = w.Clock.Now().Add(-time.Second)
			}
			w.Update(func(tx *store.Tx) error {
				if err := tx.CreateUser(u); err != nil {
					return err
				}
				if !x.remove {
					return nil
				}
				_, err := tx.AddMethod(m, store.UserChange{Own: true})
				return err
			})
			here, there := w.Session(u), w.Session(u)
			grants := []bool{true, true}
			mine, theirs := w.Grant(here, true), w.Grant(there, true)
			how := store.UserChange{Own: x.own}
			cookie := sha256.Sum256([]byte("fresh"))
			if x.own {
				how.Keep, how.Cookie = here.ID, cookie
			}
			var cut *store.Cut
			w.Update(func(tx *store.Tx) (err error) {
				if x.remove {
					_, cut, err = tx.RemoveMethods(u.ID, how, every)
				} else {
					cut, err = tx.AddMethod(m, how)
				}
				return err
			})
			if (cut == nil) != (x.cause == "") || cut != nil && (cut.Cause != x.cause || cut.Pos == 0) {
				t.Errorf("%s: the line is %+v", x.what, cut)
			}
			grants[0], grants[1] = w.GrantAlive(mine.ID), w.GrantAlive(theirs.ID)
			if a, b := w.SessionAlive(here.ID), w.SessionAlive(there.ID); a != x.here || b != x.there || grants[0] != x.here || grants[1] != x.there {
				t.Errorf("%s: sessions live %v %v, their grants %v, want %v %v", x.what, a, b, grants, x.here, x.there)
			}
			w.Read(func(tx *store.Tx) error {
				if s, err := tx.Session(here.ID); err != nil || (s.Cookie == cookie) != (x.own && x.remove) {
					t.Errorf("%s: the cookie is new: %v %v", x.what, s.Cookie == cookie, err)
				}
				if all, err := tx.Methods(u.ID); err != nil || len(all) != map[bool]int{true: 0, false: 1}[x.remove] {
					t.Errorf("%s: %d methods, %v", x.what, len(all), err)
				}
				return nil
			})
		}
	})
}

func TestAMethodIsKeptAsItWasAndUsedOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		m := method(w, w.Ada, directory.MethodPasskey)
		m.Lookup, m.Expires, m.Counter, m.Doc = sha256.Sum256([]byte("credential")), w.Clock.Now().Add(time.Hour), 7, `{"a":1}`
		w.Update(func(tx *store.Tx) error { _, err := tx.AddMethod(m, store.UserChange{Own: true}); return err })
		w.Update(func(tx *store.Tx) error {
			got, err := tx.MethodByLookup(m.Lookup)
			if err != nil || *got != *m {
				t.Errorf("%+v %v, want %+v", got, err, m)
			}
			got.Used, got.Counter, got.Name = w.Clock.Now(), 8, "Ada's key"
			m = got
			return tx.UseMethod(got)
		})
		w.Read(func(tx *store.Tx) error {
			if got, err := tx.MethodByLookup(m.Lookup); err != nil || *got != *m {
				t.Errorf("%+v %v, want %+v", got, err, m)
			}
			return nil
		})
		same := method(w, w.Grace, directory.MethodPasskey)
		same.Lookup = m.Lookup
		if err := w.DB.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.AddMethod(same, store.UserChange{Own: true}); return err }); !errors.Is(err, store.ErrDuplicate) {
			t.Errorf("one key of two people: %v", err)
		}
		w.Update(func(tx *store.Tx) error {
			_, err := tx.ChangeUser(w.Ada.ID, store.UserChange{}, func(u *directory.User) error { u.Deleted = w.Clock.Now(); return nil })
			return err
		})
		for name, f := range map[string]func(*store.Tx) error{
			"added": func(tx *store.Tx) error {
				_, err := tx.AddMethod(method(w, w.Ada, directory.MethodTOTP), store.UserChange{})
				return err
			},
			"removed": func(tx *store.Tx) error {
				_, _, err := tx.RemoveMethods(w.Ada.ID, store.UserChange{}, every)
				return err
			},
			"used": func(tx *store.Tx) error { return tx.UseMethod(method(w, w.Ada, directory.MethodTOTP)) },
		} {
			if err := w.DB.Update(t.Context(), f); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s, of nobody: %v", name, err)
			}
		}
		w.Clock.Add(26 * time.Hour)
		if _, err := w.DB.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.Read(func(tx *store.Tx) error {
			if _, err := tx.MethodByLookup(m.Lookup); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("what was over a day ago is still there: %v", err)
			}
			return nil
		})
	})
}
