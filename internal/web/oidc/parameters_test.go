package oidc_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

// bid is a request that is good, and what may be done to it.
type bid struct {
	name, handler, path string
	form                func() url.Values
	status              int      // of the good request; 0: 200
	optional            []string // may be missing
	loose               []string // any text will do
	never               []string // in no form of this request, whatever their value
	foreign             map[string]string
}

// readers are how the handlers of this package read parameters.
var readers = []string{"f.get", "f.need", "f.all", "q.Get"}

// Every parameter that a handler reads stands in the table of requests, and is
// missing, doubled, far too long, not text, of the wrong type, and somebody else's
// in turn: an error of the caller's that names the parameter, nothing written, and
// what was not spoiled is as good as before.
func TestEveryParameterSpoiled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.pair()
	reads := []directory.Permission{{Resource: "api://drive", Scopes: []string{"Read"}}}
	w.change("mailroom", func(a *directory.App) {
		a.Keys, a.FirstParty, a.Permissions = []directory.AppKey{{JWK: p.jwk()}}, true, reads
	})
	w.Update(func(tx *store.Tx) error { // who holds nothing of what is spoiled
		return tx.SaveApp(&directory.App{ID: "stranger", Object: directory.NewID[directory.App](w.Clock.Now()), Name: "Stranger", Enabled: true, Public: true, DeviceCode: true,
			RedirectURIs: []string{callback}, Permissions: w.App.Permissions})
	})
	first := w.tokens(allScopes)
	access, refresh := text(t, first, "access_token"), text(t, first, "refresh_token")
	elsewhere := text(t, w.tokens("openid offline_access api://drive/Read"), "access_token") // not a token for mailroom's resource
	profile := text(t, w.tokens("openid profile"), "access_token")
	code, otherCode := w.code(allScopes, grant.Tenant), w.code(allScopes, grant.Plain)
	device := w.post("/common/oauth2/v2.0/devicecode", url.Values{"client_id": {"tripboard"}, "scope": {allScopes}})
	decide := text(t, device, "user_code")
	if err := w.issue.DeviceDecide(t.Context(), actor(w), decide, true); err != nil {
		t.Fatal(err)
	}
	otherDevice := text(t, w.post("/oauth2/devicecode", url.Values{"client_id": {"stranger"}, "scope": {allScopes}}), "device_code")

	const at = "/common/oauth2/v2.0/"
	fixed := func(more ...string) func() url.Values {
		return func() url.Values { return with(url.Values{}, more...) }
	}
	signed := func(more ...string) func() url.Values {
		return func() url.Values { return signedForm(p.assertion("mailroom", base+"/"+tenant+"/v2.0", nil), more...) }
	}
	const exchange, bearer = "urn:ietf:params:oauth:grant-type:token-exchange", "urn:ietf:params:oauth:grant-type:jwt-bearer"
	const kind = "urn:ietf:params:oauth:token-type:access_token"
	secretly := []string{"client_id", "mailroom", "client_secret", secret}
	bids := []bid{
		{name: "code", handler: "postToken", path: at + "token", form: func() url.Values {
			return with(codeForm(code), "scope", allScopes, "claims", `{"access_token":{}}`, "client_info", "1", "resource", "api://mail")
		},
			optional: []string{"scope", "claims", "client_info", "resource"}, loose: []string{"client_info"},
			foreign: map[string]string{"client_id": "stranger", "code": otherCode, "redirect_uri": "https://stranger.example/cb", "code_verifier": strings.Repeat("v", 43), "scope": "api://nobody/Read"}},
		{name: "refresh", handler: "postToken", path: at + "token", form: func() url.Values {
			return with(refreshForm(refresh), "scope", "api://mail/Read", "resource", "api://mail")
		},
			optional: []string{"scope", "resource"}, foreign: map[string]string{"client_id": "stranger", "refresh_token": access, "scope": "api://drive/Write", "resource": "api://nobody"}},
		{name: "client credentials", handler: "postToken", path: at + "token", form: fixed(append(secretly, "grant_type", "client_credentials", "scope", "api://mail/.default")...),
			foreign: map[string]string{"client_id": "stranger", "client_secret": secret + "x", "scope": "api://nobody/.default"}},
		{name: "by assertion", handler: "postToken", path: at + "token", form: signed("grant_type", "client_credentials", "scope", "api://mail/.default", "client_id", "mailroom"),
			optional: []string{"client_id"}, foreign: map[string]string{"client_id": "stranger", "client_assertion": access, "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}},
		{name: "poll", handler: "postToken", path: at + "token", form: fixed("grant_type", "urn:ietf:params:oauth:grant-type:device_code", "client_id", "tripboard", "device_code", text(t, device, "device_code")),
			foreign: map[string]string{"client_id": "stranger", "device_code": otherDevice}},
		{name: "exchange", handler: "postToken", path: at + "token", form: fixed(append(secretly, "grant_type", exchange, "subject_token", access, "subject_token_type", kind, "requested_token_type", kind,
			"scope", "api://drive/.default", "audience", "api://drive")...),
			optional: []string{"requested_token_type", "audience", "scope"}, never: []string{"actor_token", "actor_token_type"},
			foreign: map[string]string{"client_id": "stranger", "subject_token": elsewhere, "subject_token_type": "urn:ietf:params:oauth:token-type:id_token", "requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token", "audience": "api://nobody"}},
		{name: "on behalf of", handler: "postToken", path: at + "token", form: fixed(append(secretly, "grant_type", bearer, "assertion", access, "requested_token_use", "on_behalf_of", "scope", "api://drive/.default")...),
			foreign: map[string]string{"client_id": "stranger", "assertion": elsewhere, "requested_token_use": "impersonation"}},
		{name: "device", handler: "postDevice", path: at + "devicecode", form: fixed("client_id", "tripboard", "scope", "openid", "claims", `{"id_token":{}}`, "resource", "api://mail"),
			optional: []string{"claims", "resource", "scope"}, foreign: map[string]string{"client_id": "mailroom", "scope": "api://nobody/Read", "resource": "api://nobody"}},
		{name: "introspect", handler: "postIntrospect", path: at + "introspect", form: fixed(append(secretly, "token", access)...), loose: []string{"token"}, foreign: map[string]string{"client_id": "tripboard"}},
		{name: "introspect, judged again", handler: "postIntrospect", path: at + "introspect", form: fixed(append(secretly, "token", access, "judge", "1", "address", "192.0.2.7")...), loose: []string{"token"},
			optional: []string{"judge", "address"}, foreign: map[string]string{"client_id": "tripboard"}},
		{name: "introspect, by assertion", handler: "postIntrospect", path: at + "introspect", form: signed("token", access), loose: []string{"token"}},
		{name: "revoke", handler: "postRevoke", path: at + "revoke", form: fixed("client_id", "tripboard", "token", "cfr_nothing"), loose: []string{"token"}, foreign: map[string]string{"client_id": "mailroom"}},
		{name: "revoke, with a secret", handler: "postRevoke", path: at + "revoke", form: fixed(append(secretly, "token", "cfr_nothing")...), loose: []string{"token"}},
		{name: "revoke, by assertion", handler: "postRevoke", path: at + "revoke", form: signed("token", "cfr_nothing"), loose: []string{"token"}},
		{name: "push", handler: "postPAR", path: at + "par", status: http.StatusCreated, form: fixed("client_id", "tripboard", "redirect_uri", callback, "dpop_jkt", strings.Repeat("a", 43)),
			optional: []string{"dpop_jkt"}, loose: []string{"dpop_jkt"}, never: []string{"request_uri"}, foreign: map[string]string{"client_id": "mailroom"}}, // what is pushed is read in package pages
		{name: "push, with a secret", handler: "postPAR", path: at + "par", status: http.StatusCreated, form: fixed(append(secretly, "redirect_uri", callback)...)},
		{name: "push, by assertion", handler: "postPAR", path: at + "par", status: http.StatusCreated, form: signed("redirect_uri", callback)},
		{name: "device, with a secret", handler: "postDevice", path: at + "devicecode", form: fixed(append(secretly, "scope", "api://drive/.default")...)},
		{name: "device, by assertion", handler: "postDevice", path: at + "devicecode", form: signed("scope", "api://drive/.default")},
		{name: "userinfo", handler: "userinfo", path: "/oidc/userinfo", form: fixed("access_token", profile), foreign: map[string]string{"access_token": access}},
	}
	w.change("mailroom", func(a *directory.App) { a.DeviceCode = true })
	w.covers(bids)
	for _, b := range bids {
		w.spoil(b)
	}
	// What was not touched still works: the table spoiled requests, not the world.
	for _, b := range bids {
		if want, rec := max(b.status, 200), w.post(b.path, b.form()); rec.Code != want && b.name != "push, with a secret" && b.name != "push, by assertion" {
			t.Errorf("%s, not spoiled: %d %s", b.name, rec.Code, rec.Body)
		}
	}
}

// covers compares the table with what the handlers read.
func (w *world) covers(bids []bid) {
	w.t.Helper()
	have := map[string]map[string]bool{}
	for _, b := range bids {
		if have[b.handler] == nil {
			have[b.handler] = map[string]bool{}
		}
		for n := range b.form() {
			have[b.handler][n] = true
		}
		for _, n := range b.never {
			have[b.handler][n] = true
		}
	}
	// Every route that takes a form is there.
	for _, h := range []string{"postToken", "postDevice", "postIntrospect", "postRevoke", "postPAR", "userinfo"} {
		for _, n := range webkittest.Parameters(w.t, h, readers...) {
			if !have[h][n] {
				w.t.Errorf("%s reads the parameter %s, and no request of the table has it", h, n)
			}
		}
	}
}

// spoil sends a request with each parameter spoiled in every way.
func (w *world) spoil(b bid) {
	t := w.t
	t.Helper()
	stored := func(b bid) string {
		if signs(b) { // that an assertion was used is written down whatever comes of the request
			return spent.ReplaceAllString(w.Rows(), "")
		}
		return w.Rows()
	}
	for _, name := range slices.Concat(slices.Sorted(maps.Keys(b.form())), b.never) {
		rest := func() url.Values { f := b.form(); f.Del(name); return f }
		value := b.form().Get(name)
		send := func(what, raw string, named bool) {
			t.Helper()
			before := stored(b)
			rec := w.do("POST", b.path, rest().Encode()+raw)
			if now := stored(b); now != before {
				t.Errorf("%s, %s %s: something was stored:\n%s\nbefore:\n%s", b.name, name, what, now, before)
			}
			refused(t, rec, b.name+", "+name+" "+what)
			if named && !strings.Contains(text(t, rec, "error_description"), name) {
				t.Errorf("%s, %s %s: not told which parameter: %s", b.name, name, what, text(t, rec, "error_description"))
			}
		}
		optional, loose := slices.Contains(b.optional, name), slices.Contains(b.loose, name)
		if slices.Contains(b.never, name) {
			send("there", "&"+name+"=x", true)
			continue
		}
		if !optional {
			send("missing", "", false)
			send("empty", "&"+name+"=", false)
		}
		if name != "resource" && name != "audience" {
			send("doubled", "&"+url.Values{name: {value, value}}.Encode(), true)
		}
		for kind, bad := range map[string]string{"broken escape": "%zz", "NUL": "a%00b", "not UTF-8": "%ff%fe"} {
			send(kind, "&"+name+"="+bad, true)
		}
		send("huge", "&"+name+"="+strings.Repeat("a", 70<<10), false)
		if !loose {
			send("long", "&"+name+"="+strings.Repeat("a", 9000), false)
			send("JSON", "&"+name+"=%5B%7B%22a%22%3A1%7D%5D", false)
		}
		if foreign, ok := b.foreign[name]; ok {
			send("of somebody else", "&"+url.Values{name: {foreign}}.Encode(), false)
		}
	}
}

func signs(b bid) bool { return b.form().Has("client_assertion") }

var spent = regexp.MustCompile(`(?m)^(version|tickets) .*\n`)

// An answer says what the token is good for, also to who named no scope; scope is
// never the empty text, which the grammar of RFC 6749 §3.3 does not have.
func TestTheScopeIsToldToWhoNamedNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	reads := []directory.Permission{{Resource: "api://drive", Scopes: []string{"Read"}}}
	w.change("mailroom", func(a *directory.App) { a.FirstParty, a.Permissions = true, reads })
	first := w.tokens(allScopes)
	access := text(t, first, "access_token")
	rec := w.post("/common/oauth2/v2.0/token", refreshForm(text(t, first, "refresh_token")))
	if got := text(t, rec, "scope"); got != "api://mail/Read" {
		t.Errorf("refreshed: scope %q", got)
	}
	rec = w.post("/common/oauth2/v2.0/token", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {access},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"}, "audience": {"api://drive"}}, mailroom...)
	if got := text(t, rec, "scope"); got != "api://drive/Read" {
		t.Errorf("exchanged for an audience: scope %q: %s", got, rec.Body)
	}
	profile := w.tokens("openid profile offline_access")
	rec = w.post("/common/oauth2/v2.0/token", refreshForm(text(t, profile, "refresh_token")))
	if got := text(t, rec, "scope"); got != "openid profile" {
		t.Errorf("without another resource: scope %q", got)
	}
}

// Documents are read by their address alone: what is put behind it changes
// nothing, what is wrong in it is an error, nothing is stored.
func TestDocumentsTakeNoParameters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rows := w.Rows()
	for _, path := range []string{"/common/v2.0/.well-known/openid-configuration", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/common/v2.0", "/.well-known/oauth-authorization-server",
		"/common/discovery/v2.0/keys", "/oauth2/keys"} {
		plain := w.do("GET", path, "")
		for _, q := range []string{"?x=1&x=2", "?%zz", "?a=%00", "?" + strings.Repeat("a", 9000), "?issuer=https://evil.example&api-version=x"} {
			if rec := w.do("GET", path+q, ""); rec.Code != 200 || rec.Body.String() != plain.Body.String() {
				t.Errorf("%s%.20s: %d, another answer than without", path, q, rec.Code)
			}
		}
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH"} {
			if rec := w.do(method, path, "a=b"); rec.Code != http.StatusMethodNotAllowed || rec.Header().Get("Allow") == "" {
				t.Errorf("%s %s: %d", method, path, rec.Code)
			}
		}
	}
	for _, name := range []string{"fabrikam.example", "%00", "..%2f..", strings.Repeat("a", 3000), "%ff", "11111111-2222-3333-4444-555555555556"} {
		var recs []*httptest.ResponseRecorder
		for _, rest := range []string{"/v2.0/.well-known/openid-configuration", "/discovery/v2.0/keys"} {
			recs = append(recs, w.do("GET", "/"+name+rest, ""))
		}
		for _, rest := range []string{"token", "devicecode", "par", "introspect", "revoke"} {
			recs = append(recs, w.post("/"+name+"/oauth2/v2.0/"+rest, refreshForm("cfr_x")))
		}
		for _, rec := range recs {
			if rec.Code != 400 || text(t, rec, "error") != "invalid_request" || !strings.Contains(text(t, rec, "error_description"), "90002") {
				t.Errorf("the directory %.20q: %d %s", name, rec.Code, rec.Body)
			}
		}
	}
	if now := w.Rows(); now != rows {
		t.Errorf("something was stored:\n%s\nbefore:\n%s", now, rows)
	}
}
