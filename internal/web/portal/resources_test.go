package portal

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/portaltest"
)

func (h *house) resource(id directory.ResourceID) (r directory.Resource) {
	h.T.Helper()
	h.Update(func(tx *store.Tx) error {
		x, err := tx.Resource(id)
		if err == nil {
			r = *x
		}
		return err
	})
	return r
}

func TestResourceIsRegisteredAndChangedByForms(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mailWeb()
	grace := h.As("grace")
	f := typed(t, first(grace.Get(desk.PathNewResource)))
	for k, v := range map[string]string{"id": "https://pay.contoso.example/v1?x=1", "name": "Payroll", "scopes": "Pay.Read Read your payslips\r\nPay.Read.All (admin) Read everyone's payslips", "app_roles": "Pay.Run", "life": "30 minutes", "alg": "RS256"} {
		f.Set(k, v)
	}
	path := desk.ResourcePath("https://pay.contoso.example/v1?x=1")
	if to := grace.Post(desk.PathNewResource, f).To; to != path+"?done=resource-created" {
		t.Fatalf("created: %q", to)
	}
	r := h.resource("https://pay.contoso.example/v1?x=1")
	if r.Name != "Payroll" || len(r.Scopes) != 2 || !r.Scopes[1].AdminOnly || r.Scopes[0].Text != "Read your payslips" || r.AppRoles[0] != "Pay.Run" || r.TokenLife != 30*time.Minute || r.SigningAlg != directory.RS256 || r.Guarded {
		t.Errorf("%+v", r)
	}
	p, _ := grace.Get(path + "?done=resource-created")
	portaltest.Want(t, p, "The resource was registered", "Read everyone&#39;s payslips", "An administrator", "Pay.Run", "30 min", "RS256", "No guard stands before it", "By expiry, up to")
	for _, path := range []string{path, desk.ResourcePath("api://mail"), desk.ResourcePath("api://legacy")} {
		before := h.resource(directory.ResourceID(unescape(t, path)))
		grace.Post(path+"/edit", typed(t, first(grace.Get(path+"/edit"))))
		if after := h.resource(before.ID); after.Version != before.Version {
			t.Errorf("%s: an untouched form changed it: %+v", path, after)
		}
	}
	// Guarded, and more than an hour, only with a live guard as the proof.
	edit := desk.ResourcePath("api://mail") + "/edit"
	f = typed(t, first(grace.Get(edit)))
	f.Set("guarded", "1")
	f.Set("life", "8 hours")
	p, _ = grace.Check(grace.Do(http.MethodPost, edit, f), http.StatusConflict, edit)
	portaltest.Want(t, p, "No guard of it is registered", `value="8 hours"`, `name="guarded" value="1" checked`)
	h.Register("mail-1", "api://mail")
	h.acknowledged("api://mail")
	grace.Post(edit, f)
	if r := h.resource("api://mail"); !r.Guarded || r.TokenLife != 8*time.Hour {
		t.Errorf("%+v", r)
	}
	p, _ = grace.Get(desk.ResourcePath("api://mail"))
	portaltest.Want(t, p, "Every instance is behind a guard", "8 h", "mail-1", "Answering", "curfew-guard/0.1", "Within 10 s", "Mail for the web", "Mail.Read.All")
	f = typed(t, first(grace.Get(edit)))
	f.Del("guarded")
	grace.Post(edit, f)
	if r := h.resource("api://mail"); r.Guarded || r.TokenLife != time.Hour {
		t.Errorf("no longer guarded: %+v", r)
	}
	p, _ = grace.Check(grace.Do(http.MethodPost, desk.PathNewResource, url.Values{"id": {""}, "name": {""}, "scopes": {".x"}, "app_roles": {"a b"}, "life": {"long"}, "encryption_key": {"{}"}, "alg": {"ES256"}}), http.StatusUnprocessableEntity, desk.PathNewResource)
	for _, name := range []string{"id", "name", "scopes", "app_roles", "life", "encryption_key"} {
		portaltest.Want(t, p, `href="#f-`+name+`"`)
	}
	// What an application names stays.
	del := desk.ResourcePath("api://mail") + "/delete"
	p, _ = grace.Check(grace.Do(http.MethodPost, del, url.Values{"reason": {"x"}}), http.StatusConflict, del)
	portaltest.Want(t, p, "still names this resource")
	p, _ = grace.Check(grace.Do(http.MethodPost, path+"/delete", url.Values{}), http.StatusUnprocessableEntity, path)
	portaltest.Want(t, p, "Give a reason")
	p, _ = grace.Get(grace.Post(path+"/delete", url.Values{"reason": {"sold"}}).To)
	portaltest.Want(t, p, "The resource was deleted")
	portaltest.WantNot(t, p, "Payroll")
	p, _ = grace.Get(desk.PathResources + "?q=LEG")
	portaltest.Want(t, p, "1 found", "api://legacy")
	p, _ = grace.Get(desk.ResourcePath("api://mail") + "?tab=audit")
	portaltest.Want(t, p, "Changed resource")
}

// acknowledged waits until what a guard of the resource acknowledged is written down.
func (h *house) acknowledged(id directory.ResourceID) {
	h.T.Helper()
	ctx, cancel := context.WithTimeout(h.T.Context(), 10*time.Second)
	defer cancel()
	for {
		var all []*store.Guard
		h.Update(func(tx *store.Tx) (err error) { all, err = tx.Guards(); return err })
		if slices.ContainsFunc(all, func(g *store.Guard) bool { return g.Resource == id && g.Acked > 0 }) {
			return
		}
		select {
		case <-ctx.Done():
			h.T.Fatal("nothing was acknowledged")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func unescape(t *testing.T, path string) string {
	t.Helper()
	s, err := url.PathUnescape(strings.TrimPrefix(path, desk.PathResources+"/"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWhoMayDoWhatToAResource(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mailWeb()
	h.Person("uma", "Uma", role.ReportsReader)
	before := h.resource("api://mail")
	form := url.Values{"id": {"api://mine"}, "name": {"Mine"}, "alg": {"ES256"}, "reason": {"x"}, "version": {"2"}}
	for _, who := range []string{"mallory", "ada", "uma", "joan"} { // ada owns an application; uma and joan may read, and no more
		b := h.As(who)
		for _, path := range []string{desk.PathNewResource, desk.ResourcePath("api://mail") + "/edit", desk.ResourcePath("api://mail") + "/delete"} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				f := form
				if method == http.MethodGet {
					f = nil
				}
				p, _ := b.Check(b.Do(method, path, f), http.StatusForbidden, path)
				if !strings.Contains(p.Body, "you need") && !strings.Contains(p.Body, "hold a directory role") {
					t.Errorf("%s %s: no sentence", who, path)
				}
			}
		}
		status := http.StatusForbidden
		if who == "joan" || who == "uma" {
			status = http.StatusOK
		}
		for _, path := range []string{desk.PathResources, desk.ResourcePath("api://mail")} {
			if p := b.Do(http.MethodGet, path, nil); p.Status != status {
				t.Errorf("%s %s: %d, want %d", who, path, p.Status, status)
			}
		}
	}
	if after := h.resource("api://mail"); after.Version != before.Version {
		t.Errorf("%+v", after)
	}
}
