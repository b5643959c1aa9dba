package device_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/device"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/devices"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

const origin = "https://id.contoso.example"

type world struct {
	*storetest.World
	*device.Service
	t       *testing.T
	mallory *directory.User
}

func newWorld(t *testing.T, e storetest.Engine) *world {
	w := &world{World: storetest.NewWorld(t, e, store.Hooks{}), t: t}
	w.mallory = storetest.Person("mallory", w.Clock.Now())
	w.Update(func(tx *store.Tx) error { return tx.CreateUser(w.mallory) })
	w.Service = &device.Service{DB: w.World.DB, Revoke: &revoke.Service{DB: w.World.DB, Now: w.Clock.Now, Lifetimes: grant.DefaultLifetimes()}, Origin: origin}
	return w
}

// signIn is somebody in a new browser session.
func (w *world) signIn(u *directory.User) directory.Actor {
	s := w.Session(u)
	w.Clock.Add(time.Second)
	return directory.Actor{User: u.ID, Name: u.Name, Born: s.Born, Owner: s.Owner(), Kind: cutoff.Browser, Session: s.ID, AuthTime: s.AuthTime}
}

// A browser has keys that nobody else has, and cookies that somebody may copy.
type browser struct {
	keys   map[directory.DeviceID]*ecdsa.PrivateKey
	cookie string
	last   device.Proof // that it made
}

func newBrowser() *browser { return &browser{keys: map[directory.DeviceID]*ecdsa.PrivateKey{}} }

func sign(k *ecdsa.PrivateKey, origin, purpose, challenge string) []byte {
	sum := sha256.Sum256([]byte("curfew device\n" + origin + "\n" + purpose + "\n" + challenge))
	r, s, err := ecdsa.Sign(rand.Reader, k, sum[:])
	if err != nil {
		panic(err)
	}
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
}

func newKey() *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
}

func public(k *ecdsa.PrivateKey) []byte {
	b, err := k.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	return b
}

// register registers the browser for who is signed in in it.
func (w *world) register(b *browser, a directory.Actor) *directory.Device {
	w.t.Helper()
	c, err := w.BeginRegister(w.t.Context(), a)
	if err != nil {
		w.t.Fatal(err)
	}
	k := newKey()
	d, cookie, err := w.Register(w.t.Context(), a, device.Registration{Name: "Laptop", Platform: "Linux", Challenge: c, Key: public(k), Signature: sign(k, origin, "register", c), Cookie: b.cookie})
	if err != nil {
		w.t.Fatal(err)
	}
	b.keys[d.ID], b.cookie = k, cookie
	w.Clock.Add(time.Second)
	return d
}

// prove answers a challenge with all keys of the browser, as its script does.
func (w *world) prove(b *browser, a directory.Actor) error {
	c, err := w.BeginRecognise(w.t.Context(), b.cookie)
	if err != nil {
		return err
	}
	var proofs []device.Proof
	for _, id := range c.Devices {
		if k := b.keys[id]; k != nil {
			b.last = device.Proof{Device: id, Signature: sign(k, origin, "recognise", c.Value)}
			proofs = append(proofs, b.last)
		}
	}
	_, err = w.Recognise(w.t.Context(), a, b.cookie, c.Value, proofs)
	return err
}

// on is the device that a session is on.
func (w *world) on(a directory.Actor) (id directory.DeviceID) {
	w.t.Helper()
	w.Read(func(tx *store.Tx) error {
		x, err := tx.Session(a.Session)
		id = x.Device
		return err
	})
	return id
}

func want(t *testing.T, what string, err error, k fault.Kind) {
	t.Helper()
	if !fault.Is(err, k) {
		t.Errorf("%s: %v, want kind %v", what, err, k)
	}
}

func TestABrowserIsRecognisedByItsKey(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		b := newBrowser()
		first := w.signIn(w.Ada)
		d := w.register(b, first)
		if w.on(first) != d.ID {
			t.Error("the session in which it was registered is not on the device")
		}
		again := w.signIn(w.Ada)
		if err := w.prove(b, again); err != nil || w.on(again) != d.ID {
			t.Fatalf("not recognised: %v", err)
		}
		if err := w.prove(b, again); err != nil {
			t.Errorf("proven twice: %v", err)
		}

		// The cookie without the key is nothing.
		thief := &browser{cookie: b.cookie, keys: map[directory.DeviceID]*ecdsa.PrivateKey{d.ID: newKey()}}
		stolen := w.signIn(w.Ada)
		want(t, "a copied cookie", w.prove(thief, stolen), fault.Denied)
		// The key without the cookie is nothing either.
		want(t, "no cookie", w.prove(&browser{keys: b.keys}, stolen), fault.NotFound)
		want(t, "a made-up cookie", w.prove(&browser{keys: b.keys, cookie: strings.Repeat("A", 43)}, stolen), fault.NotFound)
		// Nobody else is recognised there, whose browser it may be.
		hers := w.signIn(w.mallory)
		want(t, "somebody else", w.prove(b, hers), fault.NotFound)
		if !w.on(stolen).IsZero() || !w.on(hers).IsZero() {
			t.Error("a session is on a device that was not proven")
		}
	})
}

func TestAProofIsGoodOnceHereAndNow(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		ctx := t.Context()
		b := newBrowser()
		d := w.register(b, w.signIn(w.Ada))
		key := b.keys[d.ID]
		begin := func() string {
			c, err := w.BeginRecognise(ctx, b.cookie)
			if err != nil {
				t.Fatal(err)
			}
			return c.Value
		}
		a := w.signIn(w.Ada)
		try := func(what, challenge, origin, purpose string) {
			t.Helper()
			_, err := w.Recognise(ctx, a, b.cookie, challenge, []device.Proof{{Device: d.ID, Signature: sign(key, origin, purpose, challenge)}})
			want(t, what, err, fault.Denied)
			if !w.on(a).IsZero() {
				t.Fatalf("%s: recognised", what)
			}
		}
		try("a challenge of nobody", "nothing", origin, "recognise")
		try("another origin", begin(), "https://evil.example", "recognise")
		try("another purpose", begin(), origin, "register")
		old := begin()
		begin()
		try("an older challenge of two", old, origin, "recognise")
		late := begin()
		w.Clock.Add(2 * time.Minute)
		try("too late", late, origin, "recognise")

		c := begin()
		sig := sign(key, origin, "recognise", c)
		if _, err := w.Recognise(ctx, a, b.cookie, c, []device.Proof{{Device: d.ID, Signature: sig}}); err != nil {
			t.Fatal(err)
		}
		other := w.signIn(w.Ada)
		_, err := w.Recognise(ctx, other, b.cookie, c, []device.Proof{{Device: d.ID, Signature: sig}})
		want(t, "a signature twice", err, fault.Denied)

		// A challenge belongs to the browser that asked for it.
		b2 := newBrowser()
		d2 := w.register(b2, w.signIn(w.Ada))
		c = begin()
		_, err = w.Recognise(ctx, other, b2.cookie, c, []device.Proof{{Device: d2.ID, Signature: sign(b2.keys[d2.ID], origin, "recognise", c)}})
		want(t, "another browser's challenge", err, fault.Denied)
		if !w.on(other).IsZero() {
			t.Error("recognised")
		}
		for _, sig := range [][]byte{nil, make([]byte, 64), make([]byte, 63), sign(key, origin, "recognise", c)[:40]} {
			_, err = w.Recognise(ctx, other, b.cookie, begin(), []device.Proof{{Device: d.ID, Signature: sig}})
			want(t, "no signature", err, fault.Denied)
		}
	})
}

func TestABrowserMayBeSeveralPeoplesDevice(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		b := newBrowser()
		ada, hers := w.register(b, w.signIn(w.Ada)), w.register(b, w.signIn(w.mallory))
		for u, d := range map[*directory.User]*directory.Device{w.Ada: ada, w.mallory: hers} {
			a := w.signIn(u)
			if err := w.prove(b, a); err != nil || w.on(a) != d.ID {
				t.Errorf("%s: %v", u.Name, err)
			}
		}
		again := w.register(b, w.signIn(w.Ada))
		if n := strings.Count(b.cookie, "."); n != 1 {
			t.Errorf("the cookie has %d values for two people", n+1)
		}
		a := w.signIn(w.Ada)
		if err := w.prove(b, a); err != nil || w.on(a) != again.ID {
			t.Errorf("registered again: %v", err)
		}
	})
}

func TestADisabledDeviceIsNotRecognisedAndItsSessionsAreOver(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		ctx := t.Context()
		admin := w.signIn(w.Grace)
		b := newBrowser()
		a := w.signIn(w.Ada)
		d := w.register(b, a)
		elsewhere := w.signIn(w.Ada)
		r, err := w.ReportLost(ctx, elsewhere, d.ID, manage.Act{Reason: "left in a train"})
		if err != nil || r == nil || len(r.Cuts) != 1 || r.Cuts[0].Scope != cutoff.Device || r.Rest == nil || r.Rest.Sessions != 1 {
			t.Fatalf("%+v %v", r, err)
		}
		if w.SessionAlive(a.Session) || !w.SessionAlive(elsewhere.Session) {
			t.Error("the wrong session ended")
		}
		if r, err := w.ReportLost(ctx, elsewhere, d.ID, manage.Act{}); r != nil || err != nil {
			t.Errorf("lost twice: %+v %v", r, err)
		}
		now := w.signIn(w.Ada)
		if err := w.prove(b, now); !errors.Is(err, device.ErrDisabled) {
			t.Errorf("a lost device: %v", err)
		}
		if err := w.Registrable(ctx, now, b.cookie); !errors.Is(err, device.ErrDisabled) {
			t.Errorf("a lost device may be registered anew: %v", err)
		}
		c, err := w.BeginRegister(ctx, now)
		if err != nil {
			t.Fatal(err)
		}
		k := newKey()
		if _, _, err = w.Register(ctx, now, device.Registration{Name: "Again", Challenge: c, Key: public(k), Signature: sign(k, origin, "register", c), Cookie: b.cookie}); !errors.Is(err, device.ErrDisabled) {
			t.Errorf("a lost device was registered anew: %v", err)
		}
		_, err = w.Change(ctx, elsewhere, d.ID, device.Patch{Enabled: new(true)}, manage.Act{})
		want(t, "its owner enables it", err, fault.Denied)
		if r, err := w.Change(ctx, admin, d.ID, device.Patch{Enabled: new(true)}, manage.Act{}); err != nil || r != nil {
			t.Fatalf("%+v %v", r, err)
		}
		// Born after the cut, though before it was enabled: fine, it is not dead.
		if err := w.prove(b, now); err != nil || w.on(now) != d.ID {
			t.Errorf("enabled again: %v", err)
		}
		if w.SessionAlive(a.Session) {
			t.Error("enabling brought a session back")
		}
		// A session older than the cut is refused, not bound and killed.
		if err := w.prove(b, elsewhere); !errors.Is(err, device.ErrSignIn) || !w.SessionAlive(elsewhere.Session) {
			t.Errorf("an older session: %v", err)
		}
		if r, err := w.Delete(ctx, now, d.ID, manage.Act{}); err != nil || r == nil {
			t.Fatalf("%+v %v", r, err)
		}
		if w.SessionAlive(now.Session) {
			t.Error("deleting the device spared its session")
		}
		want(t, "deleted", w.prove(b, w.signIn(w.Ada)), fault.NotFound)
	})
}

func TestRegisteringIsAskedOfThePoliciesAndBounded(t *testing.T) {
	w := newWorld(t, storetest.Engines()[0])
	ctx := t.Context()
	a := w.signIn(w.Ada)
	c, err := w.BeginRegister(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	k := newKey()
	r := device.Registration{Challenge: c, Key: public(k), Signature: sign(k, origin, "register", c)}
	closed := fault.New(fault.Denied, "A policy says no.")
	w.Permit = func(*store.Tx, directory.Actor, *grant.Session) error { return closed }
	if _, _, err := w.Register(ctx, a, r); !errors.Is(err, closed) {
		t.Errorf("the policy: %v", err)
	}
	w.Permit = nil
	for what, tt := range map[string]struct {
		f func(*device.Registration)
		k fault.Kind
	}{
		"no key":            {func(r *device.Registration) { r.Key = nil }, fault.Invalid},
		"not on the curve":  {func(r *device.Registration) { r.Key = append([]byte{4}, make([]byte, 64)...) }, fault.Invalid},
		"another's key":     {func(r *device.Registration) { r.Key = public(newKey()) }, fault.Denied},
		"a name in control": {func(r *device.Registration) { r.Name = "lap\ntop" }, fault.Invalid},
		"a long name":       {func(r *device.Registration) { r.Name = strings.Repeat("x", 121) }, fault.Invalid},
	} {
		x := r
		tt.f(&x)
		_, _, err := w.Register(ctx, a, x)
		want(t, what, err, tt.k)
	}
	other := w.signIn(w.Ada)
	if _, _, err := w.Register(ctx, other, r); !fault.Is(err, fault.Denied) {
		t.Errorf("a challenge of another session: %v", err)
	}
	if _, _, err := w.Register(ctx, a, r); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Register(ctx, a, r); !fault.Is(err, fault.Denied) {
		t.Errorf("twice: %v", err)
	}
	if _, err := w.BeginRegister(ctx, directory.Actor{User: w.Ada.ID}); !fault.Is(err, fault.Denied) {
		t.Errorf("without a browser: %v", err)
	}
	limited := 0
	for range 20 {
		b := newBrowser()
		s := w.signIn(w.Ada)
		c, err := w.BeginRegister(ctx, s)
		if err != nil {
			t.Fatal(err)
		}
		k := newKey()
		if _, b.cookie, err = w.Register(ctx, s, device.Registration{Challenge: c, Key: public(k), Signature: sign(k, origin, "register", c)}); fault.Is(err, fault.Limited) {
			limited++
		}
	}
	if limited == 0 {
		t.Error("somebody can register without end")
	}
}

// Every exported method, called by somebody without any role about somebody else's
// device, is refused, leaves nothing behind but the refusals, and a method that is
// not in this list fails the test.
func TestPowerless(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		ctx := context.Background()
		b := newBrowser()
		d := w.register(b, w.signIn(w.Ada))
		a := w.signIn(w.mallory)
		a.Held = directory.Held{Roles: []directory.RoleID{role.GlobalAdministrator}} // what a page says is not believed
		calls := map[string]func(a directory.Actor) error{
			"Devices": func(a directory.Actor) error { _, _, err := w.Devices(ctx, a, device.Query{}); return err },
			"Device":  func(a directory.Actor) error { _, err := w.Device(ctx, a, d.ID); return err },
			"Change": func(a directory.Actor) error {
				_, err := w.Change(ctx, a, d.ID, device.Patch{Enabled: new(false)}, manage.Act{})
				return err
			},
			"ReportLost": func(a directory.Actor) error { _, err := w.ReportLost(ctx, a, d.ID, manage.Act{}); return err },
			"Delete":     func(a directory.Actor) error { _, err := w.Delete(ctx, a, d.ID, manage.Act{}); return err },
		}
		// These are about the caller's own browser session; without one they are refused.
		own := map[string]func(a directory.Actor) error{
			"Registrable":   func(a directory.Actor) error { return w.Registrable(ctx, a, b.cookie) },
			"BeginRegister": func(a directory.Actor) error { _, err := w.BeginRegister(ctx, a); return err },
			"Register":      func(a directory.Actor) error { _, _, err := w.Register(ctx, a, device.Registration{}); return err },
			"Recognise":     func(a directory.Actor) error { _, err := w.Recognise(ctx, a, b.cookie, "", nil); return err },
		}
		for i := range reflect.TypeFor[*device.Service]().NumMethod() {
			name := reflect.TypeFor[*device.Service]().Method(i).Name
			switch {
			case calls[name] != nil:
				want(t, name, calls[name](a), fault.Denied)
				want(t, name+" by nobody", calls[name](directory.Actor{}), fault.Denied)
			case own[name] != nil:
				want(t, name+" by nobody", own[name](directory.Actor{}), fault.Denied)
			case name != "BeginRecognise": // of anybody who has the cookie; see there
				t.Errorf("%s is not tested with a powerless actor", name)
			}
		}
		for what, p := range map[string]device.Patch{"name": {Name: new("mine")}, "compliant": {Compliant: new(directory.Compliant)}, "nothing": {}} {
			_, err := w.Change(ctx, a, d.ID, p, manage.Act{})
			want(t, what, err, fault.Denied)
		}
		refused := 0
		w.Read(func(tx *store.Tx) error {
			got, err := devices.Get(tx, d.ID)
			if err != nil || !got.Enabled || got.Name != d.Name || got.Compliant != directory.ComplianceUnknown {
				t.Errorf("%+v %v", got, err)
			}
			all, err := tx.Audits(store.AuditQuery{Actor: w.mallory.ID.String(), Limit: 50})
			for _, r := range all {
				if r.Result == audit.Refused && r.Elaborate != "" {
					refused++
				}
			}
			return err
		})
		if refused != 6 {
			t.Errorf("%d refusals on record, want 6", refused)
		}
	})
}

func TestAdministratorsOfDevices(t *testing.T) {
	w := newWorld(t, storetest.Engines()[0])
	ctx := t.Context()
	d := w.register(newBrowser(), w.signIn(w.Ada))
	w.Update(func(tx *store.Tx) error {
		return tx.AssignRole(directory.RoleAssignment{ID: directory.NewID[directory.RoleAssignment](w.Clock.Now()), Role: role.CloudDeviceAdministrator, User: w.mallory.ID})
	})
	a := w.signIn(w.mallory)
	var said []string
	if r, err := w.Change(ctx, a, d.ID, device.Patch{Name: new("HR-17"), Compliant: new(directory.Compliant)}, manage.Act{DryRun: true, Effects: &said}); err != nil || r != nil || len(said) != 2 {
		t.Errorf("dry run: %+v %v %q", r, err, said)
	}
	if r, err := w.Change(ctx, a, d.ID, device.Patch{Name: new("HR-17"), Compliant: new(directory.Compliant)}, manage.Act{}); err != nil || r != nil {
		t.Errorf("%+v %v", r, err)
	}
	v, err := w.Device(ctx, a, d.ID)
	if err != nil || v.Name != "HR-17" || v.Compliant != directory.Compliant || v.Owner != w.Ada.Name {
		t.Errorf("%+v %v", v, err)
	}
	if _, err := w.Change(ctx, a, d.ID, device.Patch{Name: new("")}, manage.Act{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("no name: %v", err)
	}
	r, err := w.Change(ctx, a, d.ID, device.Patch{Enabled: new(false)}, manage.Act{Reason: "audit"})
	if err != nil || r == nil || r.Reason != "audit" || r.Target.Kind != "device" || r.Target.Name != "HR-17" {
		t.Errorf("%+v %v", r, err)
	}
	for range 3 {
		w.register(newBrowser(), w.signIn(w.Ada))
	}
	all, next, err := w.Devices(ctx, a, device.Query{User: w.Ada.ID, Top: 3})
	if err != nil || len(all) != 3 || next != all[2].ID {
		t.Fatalf("%v %v %v", all, next, err)
	}
	if all, next, err = w.Devices(ctx, a, device.Query{User: w.Ada.ID, Before: next}); err != nil || len(all) != 1 || !next.IsZero() || all[0].ID != d.ID {
		t.Errorf("the next page: %v %v %v", all, next, err)
	}
	if _, err := w.Device(ctx, a, directory.DeviceID{7}); !fault.Is(err, fault.NotFound) {
		t.Errorf("nobody's: %v", err)
	}
}
