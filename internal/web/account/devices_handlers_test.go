package account_test

import (
	"crypto/ecdh"
	"crypto/rand"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/devices"
)

// device registers one of somebody's; a session on it is the newest of theirs.
func (h *house) device(u *directory.User, name string, more func(*directory.Device)) directory.DeviceID {
	h.t.Helper()
	k, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	now := h.Clock.Now()
	d := &directory.Device{ID: directory.NewID[directory.Device](now), User: u.ID, Name: name, Platform: "Windows", Key: k.PublicKey().Bytes(), Created: now, LastSeen: now, Enabled: true}
	rand.Read(d.Cookie[:])
	if more != nil {
		more(d)
	}
	h.Update(func(tx *store.Tx) error { return devices.Create(tx, d) })
	return d.ID
}

// bind says that ada's newest session is on a device.
func (h *house) bind(id directory.DeviceID) {
	h.t.Helper()
	h.Update(func(tx *store.Tx) error {
		all, err := tx.Sessions(h.Ada.ID, 100)
		if err != nil {
			return err
		}
		newest := func(a, b *grant.Session) *grant.Session {
			if strings.Compare(a.ID.String(), b.ID.String()) < 0 {
				return b
			}
			return a
		}
		x := all[0]
		for _, s := range all {
			x = newest(x, s)
		}
		return devices.Bind(tx, x.ID, id)
	})
}

func TestOwnDevicesAreListedAndEndedWithWhatIsOnThem(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.open()
	laptop, phone := b.another(), b.another()
	p := b.signIn("/account")
	if !p.says("No device is registered.") || !p.says("Register this browser") {
		t.Errorf("%s", p.doc.Text())
	}
	lost, here := h.device(h.Ada, "Laptop <b>", nil), h.device(h.Ada, "Phone", func(d *directory.Device) { d.Compliant = directory.Compliant })
	theirs := h.device(h.Grace, "Grace's", nil)
	h.Clock.Add(time.Second)
	laptop.signIn("/account")
	h.bind(lost)
	h.Clock.Add(time.Second)
	phone.signIn("/account")
	h.bind(here)
	p = phone.get("/account").want(200, "My account")
	if !p.says("Laptop <b>") || !p.says("Phone (this one)") || !p.says("Compliant") || p.says("Grace's") || p.says("Register this browser") {
		t.Errorf("%s", p.doc.Text())
	}
	for _, verb := range []string{"lost", "delete"} {
		if p := phone.post("/account/devices/"+theirs.String()+"/"+verb, url.Values{}); p.status != 403 {
			t.Errorf("somebody else's, %s: %d", verb, p.status)
		}
		phone.post("/account/devices/x/"+verb, url.Values{}).want(404, "")
	}
	at := h.Clock.Now().Format("15:04:05.000")
	p = phone.post("/account/devices/"+lost.String()+"/lost", url.Values{}).want(200, "My account")
	if !p.says("Everything on Laptop <b> ended at "+at) || !p.says("1 browser and 0 applications ended") || !p.says("The device is disabled") || !p.says("Lost since") {
		t.Errorf("%s", p.doc.Text())
	}
	receipt := p.url.RawQuery
	laptop.get("/account").want(200, "Sign in")
	// Again: nothing is left to end. Somebody else, an administrator too, is not shown it here.
	if p := phone.post("/account/devices/"+lost.String()+"/lost", url.Values{}).want(200, "My account"); !p.says("That was over already.") {
		t.Errorf("%s", p.doc.Text())
	}
	grace := b.another()
	grace.submit(grace.get("/signin?next=%2Faccount"), "/signin", "username", "grace@contoso.example", "password", password)
	if p := grace.get("/account?"+receipt).want(200, "My account"); p.says("Everything on Laptop") || !p.says("Grace's") {
		t.Errorf("%s", p.doc.Text())
	}
	phone.post("/account/devices/"+lost.String()+"/delete", url.Values{})
	// The receipt stays its owner's when the device has gone.
	if p := phone.get("/account?"+receipt).want(200, "My account"); !p.says("Everything on Laptop <b> ended") || strings.Contains(p.doc.Text(), "Lost since") {
		t.Errorf("%s", p.doc.Text())
	}
	p = phone.post("/account/devices/"+here.String()+"/delete", url.Values{}).want(200, "Signed out on this device")
	if !p.says("with everything else on Phone") || !p.says("1 browser and 0 applications ended") {
		t.Errorf("%s", p.doc.Text())
	}
	phone.get("/account").want(200, "Sign in")
	b.get("/account").want(200, "My account")
}
