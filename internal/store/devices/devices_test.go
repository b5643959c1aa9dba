package devices_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/devices"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

func device(w *storetest.World, u *directory.User, name string) *directory.Device {
	now := w.Clock.Now()
	d := &directory.Device{ID: directory.NewID[directory.Device](now), User: u.ID, Name: name, Platform: "Linux", Created: now, LastSeen: now, Enabled: true, Trust: directory.DeviceRegistered}
	d.Key = append([]byte{4}, append(d.ID[:], make([]byte, 48)...)...)
	copy(d.Cookie[:], d.ID[:])
	w.Update(func(tx *store.Tx) error { return devices.Create(tx, d) })
	w.Clock.Add(time.Second) // ids of one instant have no order
	return d
}

func bind(w *storetest.World, s *grant.Session, d *directory.Device) {
	w.Update(func(tx *store.Tx) error {
		if _, err := devices.Hold(tx, d.ID); err != nil {
			return err
		}
		return devices.Bind(tx, s.ID, d.ID)
	})
}

func TestADeviceIsKeptAndFound(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		a, b, c := device(w, w.Ada, "laptop"), device(w, w.Ada, "phone"), device(w, w.Grace, "tablet")
		w.Read(func(tx *store.Tx) error {
			got, err := devices.ByCookie(tx, a.Cookie)
			if err != nil || got.ID != a.ID || got.User != w.Ada.ID || got.Name != "laptop" || !got.Enabled || got.Trust != directory.DeviceRegistered || !slices.Equal(got.Key, a.Key) || !got.Created.Equal(a.Created) || !got.Lost.IsZero() {
				t.Errorf("%+v %v", got, err)
			}
			if _, err := devices.Get(tx, directory.DeviceID{1}); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("nobody's device: %v", err)
			}
			for _, tt := range []struct {
				user   directory.UserID
				before directory.DeviceID
				limit  int
				want   []directory.DeviceID
			}{{w.Ada.ID, directory.DeviceID{}, 10, []directory.DeviceID{b.ID, a.ID}}, {directory.UserID{}, directory.DeviceID{}, 2, []directory.DeviceID{c.ID, b.ID}}, {directory.UserID{}, b.ID, 2, []directory.DeviceID{a.ID}}} {
				all, err := devices.List(tx, tt.user, tt.before, tt.limit)
				var ids []directory.DeviceID
				for _, d := range all {
					ids = append(ids, d.ID)
				}
				if err != nil || !sameIDs(ids, tt.want) {
					t.Errorf("%+v: %v %v", tt, ids, err)
				}
			}
			n, err := devices.Count(tx, w.Ada.ID)
			if n != 2 {
				t.Errorf("ada has %d devices", n)
			}
			return err
		})
		err := w.DB.Update(t.Context(), func(tx *store.Tx) error {
			again := *c
			again.ID, again.Cookie = directory.NewID[directory.Device](w.Clock.Now()), [32]byte{9}
			return devices.Create(tx, &again)
		})
		if !errors.Is(err, store.ErrDuplicate) {
			t.Errorf("a key twice: %v", err)
		}
	})
}

// sameIDs compares without order: ids of one instant have none.
func sameIDs(a, b []directory.DeviceID) bool {
	for _, x := range b {
		if !slices.Contains(a, x) {
			return false
		}
	}
	return len(a) == len(b)
}

func TestWhatIsOnADeviceEndsWithIt(t *testing.T) {
	ways := map[string]func(tx *store.Tx, id directory.DeviceID) (*store.Cut, error){
		"disabled": func(tx *store.Tx, id directory.DeviceID) (*store.Cut, error) {
			return devices.Change(tx, id, func(d *directory.Device) error { d.Enabled = false; return nil })
		},
		"lost": func(tx *store.Tx, id directory.DeviceID) (*store.Cut, error) {
			return devices.Change(tx, id, func(d *directory.Device) error { d.Enabled, d.Lost = false, tx.Now; return nil })
		},
		"deleted": func(tx *store.Tx, id directory.DeviceID) (*store.Cut, error) { return devices.Delete(tx, id) },
		"revoked": func(tx *store.Tx, id directory.DeviceID) (*store.Cut, error) {
			return devices.Revoke(tx, id, standing.DeviceRevoked)
		},
	}
	causes := map[string]standing.Cause{"disabled": standing.DeviceDisabled, "lost": standing.DeviceLost, "deleted": standing.DeviceDeleted, "revoked": standing.Revoked}
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		for name, end := range ways {
			t.Run(name, func(t *testing.T) {
				w := storetest.NewWorld(t, e, store.Hooks{})
				d, other := device(w, w.Ada, "laptop"), device(w, w.Ada, "phone")
				here, there, nowhere := w.Session(w.Ada), w.Session(w.Ada), w.Session(w.Ada)
				before := w.Grant(here, true) // given before the browser was recognised
				// A device code, approved in the session and used elsewhere.
				elsewhere := onDevice(w, here, directory.DeviceID{}, policy.DeviceCode)
				bind(w, here, d)
				bind(w, there, other)
				on := onDevice(w, here, d.ID, policy.NoFlow)
				off, untouched := onDevice(w, there, other.ID, policy.NoFlow), w.Grant(nowhere, true)
				var c *store.Cut
				w.Update(func(tx *store.Tx) (err error) { c, err = end(tx, d.ID); return err })
				want := []cutoff.Cutoff{{Scope: cutoff.Device, ID: d.ID.String()}, {Scope: cutoff.Grant, ID: before.ID.String()}}
				if len(c.Cuts) != 2 || c.Cuts[0].Scope != cutoff.Device || c.Cuts[0].ID != want[0].ID || c.Cuts[1].ID != want[1].ID || c.Cause != causes[name] || c.Receipt == "" {
					t.Errorf("the line is %+v", c)
				}
				if w.SessionAlive(here.ID) || w.GrantAlive(on.ID) || w.GrantAlive(before.ID) {
					t.Error("something on the device lives")
				}
				if !w.SessionAlive(there.ID) || !w.GrantAlive(off.ID) || !w.SessionAlive(nowhere.ID) || !w.GrantAlive(untouched.ID) || !w.GrantAlive(elsewhere.ID) {
					t.Error("something that is not on the device ended")
				}
			})
		}
	})
}

func onDevice(w *storetest.World, s *grant.Session, d directory.DeviceID, f policy.Flow) *grant.Grant {
	now := w.Clock.Now()
	g := &grant.Grant{ID: directory.NewID[directory.Grant](now), User: s.User, App: w.App.ID, Session: s.ID, Device: d, Flow: f, Offline: true, Created: now, LastUsed: now, AuthTime: now, State: grant.State{Generation: 1}}
	w.Update(func(tx *store.Tx) error { return tx.CreateGrant(g) })
	return g
}

func TestWhatADeviceIsSaidToBeEndsNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		d := device(w, w.Ada, "laptop")
		for name, tt := range map[string]struct {
			f     func(*directory.Device)
			cause standing.Cause
		}{
			"compliant": {func(d *directory.Device) { d.Compliant = directory.Compliant }, standing.DeviceAltered},
			"renamed":   {func(d *directory.Device) { d.Name = "old laptop" }, ""},
			"another's": {func(d *directory.Device) { d.User, d.Key, d.Cookie = w.Grace.ID, nil, [32]byte{} }, ""},
		} {
			var c *store.Cut
			w.Update(func(tx *store.Tx) (err error) {
				c, err = devices.Change(tx, d.ID, func(d *directory.Device) error { tt.f(d); return nil })
				return err
			})
			if (c != nil) != (tt.cause != "") || c != nil && (c.Cause != tt.cause || c.Receipt != "") {
				t.Errorf("%s: %+v", name, c)
			}
		}
		w.Read(func(tx *store.Tx) error {
			got, err := devices.Get(tx, d.ID)
			if err == nil && (got.User != w.Ada.ID || got.Cookie != d.Cookie || got.Name != "old laptop" || got.Compliant != directory.Compliant) {
				t.Errorf("%+v", got)
			}
			return err
		})
	})
}

// A session that is bound to a device which was cut since the session began is
// dead, and nothing moves from one device to another.
func TestNothingEscapesADeviceByBeingBoundToIt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		d, other := device(w, w.Ada, "laptop"), device(w, w.Ada, "phone")
		s := w.Session(w.Ada)
		w.Update(func(tx *store.Tx) error { _, err := devices.Revoke(tx, d.ID, standing.DeviceRevoked); return err })
		if !w.SessionAlive(s.ID) {
			t.Fatal("a session that was on no device ended")
		}
		bind(w, s, d)
		if w.SessionAlive(s.ID) {
			t.Error("the session outlives the device it is on")
		}
		fresh := w.Session(w.Ada)
		bind(w, fresh, d)
		if !w.SessionAlive(fresh.ID) {
			t.Error("nothing can be born on the device any more")
		}
		err := w.DB.Update(t.Context(), func(tx *store.Tx) error { return devices.Bind(tx, fresh.ID, other.ID) })
		if !errors.Is(err, devices.ErrElsewhere) {
			t.Errorf("bound to another device: %v", err)
		}
	})
}
