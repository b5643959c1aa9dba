package device_test

import (
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/device"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/devices"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// What holds of proofs holds of registering: no signature for something else, for
// another origin, for another session's challenge, nor one twice.
func TestARegistrationIsProvenOnceHereAndNow(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		ctx := t.Context()
		a, k := w.signIn(w.Ada), newKey()
		begin := func(a directory.Actor) string {
			c, err := w.BeginRegister(ctx, a)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		try := func(what string, a directory.Actor, challenge, origin, purpose string) {
			t.Helper()
			_, _, err := w.Register(ctx, a, device.Registration{Name: "Laptop", Challenge: challenge, Key: public(k), Signature: sign(k, origin, purpose, challenge)})
			want(t, what, err, fault.Denied)
		}
		try("another origin", a, begin(a), "https://evil.example", "register")
		try("another purpose", a, begin(a), origin, "recognise")
		try("a challenge of nobody", a, "nothing", origin, "register")
		try("another session's challenge", w.signIn(w.Ada), begin(a), origin, "register")
		try("somebody else's challenge", w.signIn(w.mallory), begin(a), origin, "register")
		late := begin(a)
		w.Clock.Add(2 * time.Minute)
		try("too late", a, late, origin, "register")
		b := newBrowser()
		d := w.register(b, a)
		recognise, err := w.BeginRecognise(ctx, b.cookie)
		if err != nil {
			t.Fatal(err)
		}
		try("a challenge for something else", w.signIn(w.Ada), recognise.Value, origin, "register")
		if w.on(a) != d.ID {
			t.Error("not registered")
		}
		g := w.signIn(w.Grace)
		c := begin(g)
		if _, _, err := w.Register(ctx, g, device.Registration{Name: "Desk", Challenge: c, Key: public(k), Signature: sign(k, origin, "register", c)}); err != nil {
			t.Fatal(err)
		}
		try("twice", g, c, origin, "register")
		w.Read(func(tx *store.Tx) error {
			for u, want := range map[directory.UserID]int{w.Ada.ID: 1, w.Grace.ID: 1, w.mallory.ID: 0} {
				if n, err := devices.Count(tx, u); err != nil || n != want {
					t.Errorf("%d devices, want %d (%v)", n, want, err)
				}
			}
			return nil
		})
	})
}
