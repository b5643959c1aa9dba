package portal

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/portaltest"
)

func ptr[T any](x T) *T { return &x }

var operator = directory.Actor{Operator: true}

// mailWeb registers an application with everything on its pages: secrets, keys of
// the clock, an owner, who is assigned, consents and grants.
func (h *house) mailWeb() {
	h.T.Helper()
	ctx, m := h.T.Context(), h.server.Manage
	must := func(err error) {
		h.T.Helper()
		if err != nil {
			h.T.Fatal(err)
		}
	}
	must(m.UpdateResource(ctx, operator, "api://mail", manage.ResourcePatch{Scopes: &[]directory.Scope{{Name: "Mail.Read", Text: "Read your mail"}, {Name: "Mail.Send", Text: "Send mail in your name"}}, AppRoles: &[]string{"Mail.Read.All"}}, manage.Act{}))
	_, _, err := m.CreateApp(ctx, operator, manage.NewApp{ID: "mail-web", WithSecret: true, AppPatch: manage.AppPatch{Name: ptr("Mail for the web"), Publisher: ptr("Contoso"),
		RedirectURIs: &[]string{"https://mail.contoso.example/cb", "https://mail.contoso.example/oauth/callback?from=a-rather-long-address-that-somebody-registered"}, PostLogoutURIs: &[]string{"https://mail.contoso.example/"},
		Permissions: &[]directory.Permission{{Resource: "api://mail", Scopes: []string{"Mail.Read", "Mail.Send"}}}, AppPermissions: &[]directory.Permission{{Resource: "api://mail", Scopes: []string{"Mail.Read.All"}}},
		Guards: &[]directory.ResourceID{"api://mail"}, Protocol: manage.Protocol{GrantAbsolute: ptr(30 * 24 * time.Hour), Refresh: ptr(directory.RefreshStrict), BackChannelLogoutURI: ptr("https://mail.contoso.example/bye"), RequirePAR: ptr(true)}}}, manage.Act{})
	must(err)
	_, err = m.AddSecret(ctx, operator, "mail-web", h.Time().Add(5*24*time.Hour), manage.Act{})
	must(err)
	must(m.AddOwner(ctx, operator, "mail-web", h.IDs["ada"], manage.Act{}))
	for _, name := range []string{"ada", "adele"} {
		_, err = m.AssignApp(ctx, operator, "mail-web", manage.NewAppAssignment{User: h.IDs[name]}, manage.Act{})
		must(err)
	}
	_, err = m.GrantConsent(ctx, operator, "mail-web", []directory.Permission{{Resource: "api://mail", Scopes: []string{"Mail.Read"}}}, manage.Act{})
	must(err)
	h.Update(func(tx *store.Tx) error {
		return tx.SaveConsent(directory.Consent{User: h.IDs["adele"], App: "mail-web", Resource: "api://mail", Scopes: []string{"Mail.Read", "Mail.Send"}, Given: h.Time()})
	})
}

// registryPages are the pages of what is registered, made by the handlers.
func registryPages(t testing.TB) map[string][]byte {
	t.Helper()
	h := newHouse(t)
	h.mailWeb()
	h.Register("mail-1", "api://mail")
	h.Undelivered("https://payroll.contoso.example/oidc/backchannel", "adele")
	h.Open("adele", h.As("adele").Live.Session.ID)
	grace, joan, owner := h.As("grace"), h.As("joan"), h.As("ada")
	out := map[string][]byte{}
	for name, x := range map[string]struct {
		who    *portaltest.Browser
		path   string
		status int
	}{
		"apps": {grace, desk.PathApplications, 200}, "apps-owner": {owner, desk.PathApplications, 200}, "apps-nothing": {grace, desk.PathApplications + "?q=nothing+like+it&status=disabled", 200},
		"app": {grace, desk.AppPath("mail-web"), 200}, "app-refused": {joan, desk.AppPath("mail-web"), 200}, "app-owner": {owner, desk.AppPath("mail-web"), 200},
		"app-secrets": {grace, appTabPath("mail-web", "secrets"), 200}, "app-owners": {grace, appTabPath("mail-web", "owners"), 200}, "app-assignments": {joan, appTabPath("mail-web", "assignments"), 200},
		"app-consent": {grace, appTabPath("mail-web", "consent"), 200}, "app-grants": {grace, appTabPath("mail-windows", "grants"), 200}, "app-audit": {grace, appTabPath("mail-web", "audit"), 200},
		"resources": {grace, desk.PathResources, 200}, "resource": {grace, desk.ResourcePath("api://mail"), 200}, "resource-unguarded": {joan, desk.ResourcePath("api://legacy"), 200}, "resource-audit": {grace, desk.ResourcePath("api://mail") + "?tab=audit", 200},
		"form-new-resource": {grace, desk.PathNewResource, 200}, "form-edit-resource": {grace, desk.ResourcePath("api://mail") + "/edit", 200}, "confirm-delete-resource": {grace, desk.ResourcePath("api://legacy") + "/delete", 200},
		"overview-failing":  {grace, desk.PathOverview, 200},
		"user-applications": {grace, desk.UserPath(h.IDs["adele"].String()) + "?tab=applications", 200}, "user-applications-none": {joan, desk.UserPath(h.IDs["anita"].String()) + "?tab=applications", 200},
		"form-new-app": {grace, desk.PathNewApp, 200}, "form-edit-app": {grace, AppVerbPath("mail-web", EditApp), 200}, "form-rights": {grace, AppVerbPath("mail-web", EditRights), 200}, "form-refused": {joan, desk.PathNewApp, 403},
		"confirm-delete-app": {grace, AppVerbPath("mail-web", DeleteApp), 200}, "confirm-rotate": {grace, AppVerbPath("mail-web", RotateSecrets), 200}, "confirm-consent-all": {grace, AppVerbPath("mail-web", ConsentForAll), 200},
	} {
		p, _ := x.who.Check(x.who.Do(http.MethodGet, x.path, nil), x.status, x.path)
		out[name] = []byte(p.Body)
	}
	p := grace.Do(http.MethodPost, desk.PathNewApp, url.Values{"name": {""}, "redirects": {"https://*.example/cb"}, "absolute": {"soon"}, "refresh": {"rotate"}, "alg": {"ES256"}, "public": {"no"}})
	out["form-mistakes"] = []byte(p.Body)
	p = grace.Do(http.MethodPost, AppVerbPath("mail-web", AddSecret), url.Values{"life": {"180 days"}})
	out["once-secret"] = []byte(p.Body)
	return out
}

func TestManyApplicationsAndResourcesInPages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.Update(func(tx *store.Tx) error {
		for i := range 117 {
			name := fmt.Sprintf("Tool %03d", i)
			if err := tx.SaveApp(&directory.App{ID: directory.AppID("tool-" + name[5:]), Object: directory.NewID[directory.App](h.Time()), Name: name, Enabled: i%2 == 0}); err != nil {
				return err
			}
			if err := tx.SaveResource(&directory.Resource{ID: directory.ResourceID("api://tool-" + name[5:]), Name: name, Created: h.Time()}); err != nil {
				return err
			}
		}
		return nil
	})
	grace := h.As("grace")
	for _, list := range []string{desk.PathApplications, desk.PathResources} {
		seen, path := map[string]bool{}, list+"?q=tool"
		for pages := 1; path != ""; pages++ {
			p, d := grace.Get(path)
			portaltest.Want(t, p, "117 found")
			path = ""
			for _, a := range d.All("a") {
				switch {
				case strings.HasPrefix(a.Text, "Tool "):
					seen[a.Text] = true
				case a.Attr["rel"] == "next":
					path = a.Attr["href"]
				}
			}
			if last := path == ""; last != (pages == 3) || len(d.All("tbody")) != 1 {
				t.Errorf("%s: page %d, last %v", list, pages, last)
			}
		}
		if len(seen) != 117 {
			t.Errorf("%s: %d seen", list, len(seen))
		}
		for _, from := range []string{"100000", "-5", "x"} {
			if p := grace.Do(http.MethodGet, list+"?from="+from, nil); p.Status != http.StatusOK {
				t.Errorf("%s from %s: %d", list, from, p.Status)
			}
		}
	}
}
