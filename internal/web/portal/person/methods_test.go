package person_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/device"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/factor"
	"github.com/curfew-id/curfew/internal/keys"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/web/portal"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/person"
	"github.com/curfew-id/curfew/internal/web/portal/portaltest"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

type house struct {
	*portaltest.House
	factor *factor.Service
}

func newHouse(t testing.TB) *house {
	h := new(house)
	h.House = portaltest.New(t, func(x *portaltest.House, mux *http.ServeMux) {
		k, err := keys.Open(t.Context(), x.DB, []byte(strings.Repeat("k", 32)), x.Time)
		if err != nil {
			t.Fatal(err)
		}
		h.factor = &factor.Service{DB: x.DB, Keys: k, SignIn: x.SignIn, Revoke: x.Revoke, Base: "http://127.0.0.1"}
		s := &person.Server{Desk: x.Desk, Factor: h.factor, Device: &device.Service{DB: x.DB, Revoke: x.Revoke, Origin: "http://127.0.0.1"}}
		s.Register(mux)
		(&portal.Server{Desk: x.Desk, Revoke: x.Revoke, Tabs: []desk.UserTab{s.Devices(), s.Methods()}}).Register(mux)
	})
	return h
}

// method gives somebody a method.
func (h *house) method(who string, kind directory.MethodKind, name string) string {
	h.T.Helper()
	m := &directory.Method{ID: directory.NewID[directory.Method](h.Time()), User: h.IDs[who], Kind: kind, Name: name, Created: h.Time(), Doc: "{}"}
	h.Update(func(tx *store.Tx) error { _, err := tx.AddMethod(m, store.UserChange{}); return err })
	return m.ID.String()
}

func (h *house) count(who string) int {
	h.T.Helper()
	p, err := h.factor.Methods(h.T.Context(), directory.Actor{Operator: true}, h.IDs[who].String())
	if err != nil {
		h.T.Fatal(err)
	}
	return len(p.Methods)
}

func (h *house) path(who string) string { return desk.UserPath(h.IDs[who].String()) }

var secret = regexp.MustCompile(`id="secret">([^<]+)<`)

func TestMethodsAreTakenAwayWithAllThatEndsByThat(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	grace := h.As("grace")
	tab := h.path("ada") + "?tab=methods"
	p, _ := grace.Get(tab)
	portaltest.Want(t, p, "Ada Lovelace has registered none", "Temporary access pass")
	phone := h.method("ada", directory.MethodTOTP, "Old <b>phone</b>")
	h.method("ada", directory.MethodTOTP, "New phone")
	h.Open("ada", h.As("ada").Live.Session.ID)
	p, _ = grace.Get(tab)
	portaltest.Want(t, p, "Authenticator app", "Old &lt;b&gt;phone", "New phone", "never", "Reset methods")
	remove := h.path("ada") + "/methods/remove/" + phone
	p, _ = grace.Get(remove)
	portaltest.Want(t, p, "Remove Authenticator app Old &lt;b&gt;phone&lt;/b&gt; of Ada Lovelace?", "1 browser session and 2 grants", "end at once", "1 access token in Legacy", "The password", "stays as it is")
	to := grace.Post(remove, url.Values{"reason": {"phone lost"}}).To
	p, _ = grace.Get(to)
	portaltest.Want(t, p, "A second factor was taken away", "phone lost", "1 ended", "2 ended")
	if h.count("ada") != 1 {
		t.Errorf("%d methods", h.count("ada"))
	}
	if p := grace.Do(http.MethodPost, remove, url.Values{}); p.Status != http.StatusNotFound {
		t.Errorf("a method that is gone: %d", p.Status)
	}
	reset := h.path("ada") + "/methods/reset"
	p, _ = grace.Get(reset)
	portaltest.Want(t, p, "Reset the methods of Ada Lovelace?", "registered anew")
	grace.Post(reset, url.Values{"reason": {"all of them"}})
	if h.count("ada") != 0 {
		t.Errorf("%d methods", h.count("ada"))
	}
	for _, path := range []string{reset, h.path("ada") + "/methods/dance", h.path("ada") + "/methods/remove", h.path("ada") + "/methods/pass/x", desk.UserPath("nobody") + "/methods/reset"} {
		if p := grace.Do(http.MethodGet, path, nil); p.Status != http.StatusNotFound {
			t.Errorf("%s: %d", path, p.Status)
		}
	}
}

func TestPassIsShownOnceAndIsGood(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	grace := h.As("grace")
	pass := h.path("ada") + "/methods/pass"
	p, _ := grace.Get(pass)
	portaltest.Want(t, p, "It is shown once", `value="1 h"`, "stays as it is")
	for _, life := range []string{"soon", "1 minute", "90 days"} {
		p, _ := grace.Check(grace.Do(http.MethodPost, pass, url.Values{"life": {life}}), http.StatusUnprocessableEntity, life)
		portaltest.Want(t, p, `id="e-life"`, `value="`+life+`"`)
	}
	p, _ = grace.Check(grace.Do(http.MethodPost, pass, url.Values{"life": {"2 hours"}, "once": {"1"}, "reason": {"new phone"}}), http.StatusOK, pass)
	portaltest.Want(t, p, "Shown once, now.", "or with the first sign-in")
	if p.Header.Get("Cache-Control") != "no-store" {
		t.Error("it may be kept")
	}
	value := secret.FindStringSubmatch(p.Body)
	if value == nil {
		t.Fatalf("no pass:\n%.500s", p.Body)
	}
	if n := strings.Count(p.Body, value[1]); n != 1 {
		t.Errorf("it stands there %d times", n)
	}
	if _, err := h.factor.PassSignIn(t.Context(), signin.Attempt{Username: "ada@contoso.example", Password: value[1], IP: "192.0.2.9"}); err != nil {
		t.Errorf("it is not good: %v", err)
	}
	p, _ = grace.Get(h.path("ada") + "?tab=methods")
	portaltest.WantNot(t, p, value[1])
	p, _ = grace.Get(h.path("ada") + "?tab=audit")
	portaltest.Want(t, p, "new phone")
	portaltest.WantNot(t, p, value[1])
	// A second one takes the place of the first, and says what that ends.
	grace.Do(http.MethodPost, pass, url.Values{"life": {"2 hours"}})
	h.Open("ada", h.As("ada").Live.Session.ID)
	p, _ = grace.Get(pass)
	portaltest.Want(t, p, "takes the place of the pass that is still good", "end at once")
	p, _ = grace.Check(grace.Do(http.MethodPost, pass, url.Values{"life": {"1 hour"}}), http.StatusOK, pass)
	portaltest.Want(t, p, "The old pass ended", "receipt=")
}

func TestWhoMayDoWhatToMethods(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	phone := h.method("ada", directory.MethodTOTP, "Phone")
	anita := h.method("anita", directory.MethodTOTP, "Phone")
	h.Person("rita", "Rita", role.GlobalReader)
	h.Person("alan", "Alan", role.AuthenticationAdministrator)
	acts := func(who, part string) []string {
		return []string{h.path(who) + "/methods/remove/" + part, h.path(who) + "/methods/reset", h.path(who) + "/methods/pass"}
	}
	for who, paths := range map[string][]string{"rita": acts("ada", phone), "radia": acts("ada", phone), "mallory": acts("ada", phone), "joan": acts("ada", phone), "alan": acts("anita", anita)} {
		b := h.As(who)
		for _, path := range paths {
			b.Check(b.Do(http.MethodGet, path, nil), http.StatusForbidden, who+" "+path)
			b.Check(b.Do(http.MethodPost, path, url.Values{"reason": {"x"}, "life": {"1 hour"}}), http.StatusForbidden, who+" "+path)
		}
	}
	if h.count("ada") != 1 || h.count("anita") != 1 {
		t.Error("something was done")
	}
	p, _ := h.As("rita").Get(h.path("ada") + "?tab=methods")
	portaltest.Want(t, p, "Phone", `aria-disabled="true"`, "take a method away")
	p, _ = h.As("joan").Get(h.path("ada") + "?tab=methods")
	portaltest.Want(t, p, "To read authentication methods you need")
	portaltest.WantNot(t, p, "Phone<")
	alan := h.As("alan")
	alan.Post(h.path("ada")+"/methods/remove/"+phone, url.Values{"reason": {"x"}})
	if h.count("ada") != 0 {
		t.Error("who may could not")
	}
}

func TestPagesOfMethods(t *testing.T) {
	h := newHouse(t)
	grace := h.As("grace")
	pages := map[string][]byte{}
	take := func(name string, b *portaltest.Browser, path string, form url.Values) {
		t.Helper()
		method := http.MethodGet
		if form != nil {
			method = http.MethodPost
		}
		p := b.Do(method, path, form)
		webkittest.Check(t, []byte(p.Body))
		pages[name] = []byte(p.Body)
	}
	take("methods-none", grace, h.path("ada")+"?tab=methods", nil)
	phone := h.method("ada", directory.MethodTOTP, "Telefon der Donaudampfschifffahrtsgesellschaftskapitänin, das mit der zerbrochenen Scheibe")
	h.method("ada", directory.MethodPasskey, "Key")
	h.method("ada", directory.MethodCodes, "")
	h.Open("ada", h.As("ada").Live.Session.ID)
	take("methods-pass-shown", grace, h.path("ada")+"/methods/pass", url.Values{"life": {"1 hour"}})
	h.Move(2 * time.Minute)
	take("methods", grace, h.path("ada")+"?tab=methods", nil)
	take("methods-remove", grace, h.path("ada")+"/methods/remove/"+phone, nil)
	take("methods-pass", grace, h.path("ada")+"/methods/pass", nil)
	take("methods-pass-wrong", grace, h.path("ada")+"/methods/pass", url.Values{"life": {"soon"}})
	h.Person("rita", "Rita", role.GlobalReader)
	take("methods-refused", h.As("rita"), h.path("ada")+"?tab=methods", nil)
	take("methods-remove-refused", h.As("rita"), h.path("ada")+"/methods/reset", nil)
	webkittest.Fits(t, pages)
}
