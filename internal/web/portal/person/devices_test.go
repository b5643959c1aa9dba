package person_test

import (
	"crypto/ecdh"
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/devices"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/portaltest"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

// device registers one of somebody's, and says what is on it.
func (h *house) device(who, name string, more func(*directory.Device)) string {
	h.T.Helper()
	k, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		h.T.Fatal(err)
	}
	d := &directory.Device{ID: directory.NewID[directory.Device](h.Time()), User: h.IDs[who], Name: name, Platform: "Windows", Key: k.PublicKey().Bytes(), Created: h.Time(), LastSeen: h.Time(), Enabled: true}
	rand.Read(d.Cookie[:])
	if more != nil {
		more(d)
	}
	h.Update(func(tx *store.Tx) error { return devices.Create(tx, d) })
	return d.ID.String()
}

func TestDeviceIsCutWithWhatIsOnItAndNothingElse(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	grace := h.As("grace")
	tab := h.path("ada") + "?tab=devices"
	p, _ := grace.Get(tab)
	portaltest.Want(t, p, "No device of Ada Lovelace is registered.")
	id := h.device("ada", "Edge <b>at home</b>", nil)
	h.device("adele", "Phone", func(d *directory.Device) { d.Compliant, d.Lost, d.Enabled = directory.NotCompliant, h.Time(), false })
	p, _ = grace.Get(tab)
	portaltest.Want(t, p, "Edge &lt;b&gt;at home", "Windows", "Enabled", "not known", "Disable", "Lost", "Delete")
	portaltest.WantNot(t, p, "Phone")
	p, _ = grace.Get(desk.PathDevices)
	portaltest.Want(t, p, "Edge &lt;b&gt;at home", "Phone", "adele@contoso.example", "Not compliant", "Lost since", "Enable")
	path := desk.PathDevices + "/" + id
	p, _ = grace.Get(path + "/disable")
	portaltest.Want(t, p, "Disable Edge &lt;b&gt;at home&lt;/b&gt; of ada@contoso.example?", "Other devices, password and account", "stay as they are")
	p, _ = grace.Get(grace.Post(path+"/disable", url.Values{"reason": {"left in a train"}}).To)
	portaltest.Want(t, p, "left in a train")
	p, _ = grace.Get(tab)
	portaltest.Want(t, p, "Disabled", "Enable")
	p, _ = grace.Get(path + "/enable")
	portaltest.Want(t, p, "stays ended")
	p, _ = grace.Get(grace.Post(path+"/enable", url.Values{}).To)
	portaltest.Want(t, p, "Enabled")
	grace.Get(grace.Post(path+"/compliant", url.Values{"reason": {"checked"}}).To)
	p, _ = grace.Get(tab)
	portaltest.Want(t, p, "<span>Compliant</span>")
	if p := grace.Do(http.MethodGet, path+"/compliant", nil); p.Status != http.StatusNotFound {
		t.Errorf("compliant twice: %d", p.Status)
	}
	p, _ = grace.Get(path + "/not-compliant")
	portaltest.Want(t, p, "it is refused", "stay as they are")
	grace.Get(grace.Post(path+"/not-compliant", url.Values{}).To)
	p, _ = grace.Get(tab)
	if q := grace.Do(http.MethodGet, path+"/not-compliant", nil); q.Status != http.StatusNotFound || !strings.Contains(p.Body, "<span>Not compliant</span>") {
		t.Errorf("not compliant: %d %s", q.Status, p.Body)
	}
	grace.Post(path+"/lost", url.Values{})
	p, _ = grace.Get(tab)
	portaltest.Want(t, p, "Lost since")
	grace.Post(path+"/delete", url.Values{})
	p, _ = grace.Get(tab)
	portaltest.Want(t, p, "No device of Ada Lovelace is registered.")
	for _, x := range []string{path + "/disable", desk.PathDevices + "/x/disable", desk.PathDevices + "/" + id + "/dance"} {
		if p := grace.Do(http.MethodGet, x, nil); p.Status != http.StatusNotFound {
			t.Errorf("%s: %d", x, p.Status)
		}
	}
}

func TestWhoMayDoWhatToDevices(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.device("ada", "Laptop", nil)
	off := h.device("ada", "Old", func(d *directory.Device) { d.Enabled = false })
	h.Person("rita", "Rita", role.GlobalReader)
	for _, who := range []string{"rita", "mallory", "joan"} {
		b := h.As(who)
		for _, verb := range []string{id + "/disable", id + "/lost", id + "/delete", id + "/compliant", id + "/not-compliant", off + "/enable"} {
			path := desk.PathDevices + "/" + verb
			b.Check(b.Do(http.MethodGet, path, nil), http.StatusForbidden, who+" "+path)
			b.Check(b.Do(http.MethodPost, path, url.Values{"reason": {"x"}}), http.StatusForbidden, who+" "+path)
		}
	}
	p, _ := h.As("rita").Get(desk.PathDevices)
	portaltest.Want(t, p, "Laptop", `aria-disabled="true"`, "disable devices", "you need")
	if p := h.As("mallory").Do(http.MethodGet, desk.PathDevices, nil); p.Status != http.StatusForbidden || strings.Contains(p.Body, "Laptop") {
		t.Errorf("mallory: %d", p.Status)
	}
	p, _ = h.As("grace").Get(h.path("ada") + "?tab=devices")
	if strings.Count(p.Body, "Disabled") != 1 || strings.Contains(p.Body, "Lost since") || !strings.Contains(p.Body, "Laptop") {
		t.Error("something was done")
	}
}

func TestPagesOfDevices(t *testing.T) {
	h := newHouse(t)
	grace := h.As("grace")
	pages := map[string][]byte{}
	take := func(name string, b *portaltest.Browser, path string) {
		t.Helper()
		p := b.Do(http.MethodGet, path, nil)
		webkittest.Check(t, []byte(p.Body))
		pages[name] = []byte(p.Body)
	}
	take("devices-none", grace, desk.PathDevices)
	id := h.device("ada", "Donaudampfschifffahrtsgesellschaftskapitänsrechner im Kontrollraum", func(d *directory.Device) { d.Compliant = directory.Compliant })
	h.device("ada", "Phone", func(d *directory.Device) { d.Lost, d.Enabled = h.Time(), false })
	take("devices", grace, desk.PathDevices)
	take("user-devices", grace, h.path("ada")+"?tab=devices")
	take("device-disable", grace, desk.PathDevices+"/"+id+"/disable")
	h.Person("rita", "Rita", role.GlobalReader)
	take("devices-refused", h.As("rita"), desk.PathDevices)
	webkittest.Fits(t, pages)
}
