package oidc_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
)

func TestDiscoveryTranscript(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.transcript("discovery", func(x *transcript) {
		x.do("Microsoft's layout, by common", "GET", "/common/v2.0/.well-known/openid-configuration", "")
		x.do("the domain, in whatever case", "GET", "/Contoso.EXAMPLE/v2.0/.well-known/openid-configuration", "")
		x.do("RFC 8414 for an issuer with a path", "GET", "/.well-known/oauth-authorization-server/"+tenant+"/v2.0", "")
		x.do("the plain issuer", "GET", "/.well-known/openid-configuration", "")
		x.do("another tenant", "GET", "/fabrikam.example/v2.0/.well-known/openid-configuration", "")
		x.do("keys", "GET", "/organizations/discovery/v2.0/keys", "")
		x.do("keys of the plain issuer", "GET", "/oauth2/keys", "")
		x.do("preflight", "OPTIONS", "/common/oauth2/v2.0/token", "", "Origin", "https://app.example")
		x.do("instance", "GET", "/common/discovery/instance?api-version=1.1&authorization_endpoint="+url.QueryEscape(base+"/common/oauth2/v2.0/authorize"), "")
		x.do("another host", "GET", "/common/discovery/instance?api-version=1.1&authorization_endpoint=https://login.example/common/oauth2/v2.0/authorize", "")
		x.do("a method nobody offers", "DELETE", "/oauth2/keys", "")
	})
}

func TestTokenTranscript(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := []string{"Client-Request-Id", "8e0fd1c2-0000-4000-8000-00000000abcd"}
	w.transcript("token", func(x *transcript) {
		rec := x.post("a code", "/common/oauth2/v2.0/token", codeForm(w.code(allScopes, grant.Tenant)))
		token := text(t, rec, "refresh_token")
		rec = x.post("a refresh, for another resource", "/common/oauth2/v2.0/token", with(refreshForm(token), "scope", "api://drive/.default openid offline_access profile"))
		x.post("the same again: a retry", "/common/oauth2/v2.0/token", with(refreshForm(token), "scope", "api://drive/.default openid offline_access profile"))
		next := text(t, rec, "refresh_token")
		x.post("the other issuer's endpoint", "/oauth2/token", refreshForm(next))
		x.post("another client", "/common/oauth2/v2.0/token", with(refreshForm(next), "client_id", "mailroom", "client_secret", secret))
		w.later(2 * time.Minute)
		x.post("the old one after the window: reuse", "/common/oauth2/v2.0/token", refreshForm(token), id...)
		x.post("its successor is dead", "/common/oauth2/v2.0/token", refreshForm(next), id...)

		token = text(t, w.tokens(allScopes), "refresh_token")
		w.Revoke(w.Ada)
		x.post("revoked", "/common/oauth2/v2.0/token", refreshForm(token), id...)
		w.session = w.Session(w.Ada)
		token = text(t, w.tokens(allScopes), "refresh_token")
		w.Disable(w.Ada)
		x.post("disabled", "/common/oauth2/v2.0/token", refreshForm(token), id...)
		w.Enable(w.Ada)
		w.session = w.Session(w.Ada)

		x.post("for itself", "/common/oauth2/v2.0/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"api://mail/.default"}}, mailroom...)
		x.post("for itself, at the plain issuer, secret in the body", "/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"api://mail/.default"}, "client_id": {"mailroom"}, "client_secret": {secret}})
		x.post("a wrong secret by Basic", "/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"api://mail/.default"}}, "Authorization", basicAuth("mailroom", "guess"))
		x.post("a wrong secret in the body", "/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"api://mail/.default"}, "client_id": {"mailroom"}, "client_secret": {"guess"}})
		x.post("a public client for itself", "/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"api://mail/.default"}, "client_id": {"tripboard"}})
		x.post("password", "/oauth2/token", url.Values{"grant_type": {"password"}, "username": {"ada"}, "password": {"x"}, "client_id": {"tripboard"}})
		x.post("another tenant", "/fabrikam.example/oauth2/v2.0/token", refreshForm(token), id...)
		x.do("GET", "GET", "/common/oauth2/v2.0/token", "")
		x.post("client_info asked for at the plain issuer", "/oauth2/token", with(codeForm(w.code("openid", grant.Plain)), "client_info", "1"))
	})
}

func TestDeviceTranscript(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.transcript("device", func(x *transcript) {
		begin := url.Values{"client_id": {"tripboard"}, "scope": {allScopes}}
		rec := x.post("a device asks", "/common/oauth2/v2.0/devicecode", begin)
		poll := func(r any) url.Values {
			return url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {"tripboard"}, "device_code": {r.(string)}}
		}
		device, user := member(t, rec, "device_code"), text(t, rec, "user_code")
		x.post("nobody has decided", "/common/oauth2/v2.0/token", poll(device))
		x.post("the other issuer's endpoint", "/oauth2/token", poll(device))
		if err := w.issue.DeviceDecide(t.Context(), actor(w), user, true); err != nil {
			t.Fatal(err)
		}
		x.post("allowed", "/common/oauth2/v2.0/token", poll(device))
		rec = w.post("/common/oauth2/v2.0/devicecode", begin)
		if err := w.issue.DeviceDecide(t.Context(), actor(w), text(t, rec, "user_code"), false); err != nil {
			t.Fatal(err)
		}
		x.post("refused", "/common/oauth2/v2.0/token", poll(member(t, rec, "device_code")))
		rec = w.post("/common/oauth2/v2.0/devicecode", begin)
		w.later(16 * time.Minute)
		x.post("too late", "/common/oauth2/v2.0/token", poll(member(t, rec, "device_code")))
		x.post("not a code", "/common/oauth2/v2.0/token", poll("abc"))
		rec = w.post("/common/oauth2/v2.0/devicecode", begin)
		if err := w.issue.DeviceDecide(t.Context(), actor(w), text(t, rec, "user_code"), true); err != nil {
			t.Fatal(err)
		}
		x.post("allowed, asked for under the grant type's old name", "/common/oauth2/v2.0/token", with(poll(member(t, rec, "device_code")), "grant_type", "device_code"))
		x.post("an authentication context is demanded", "/common/oauth2/v2.0/devicecode", with(begin, "claims", `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`))
		x.post("a client that may not", "/oauth2/devicecode", url.Values{"scope": {"openid"}}, mailroom...)
	})
}

func TestIntrospectionTranscript(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.transcript("introspect", func(x *transcript) {
		rec := w.tokens(allScopes)
		access, refresh := text(t, rec, "access_token"), text(t, rec, "refresh_token")
		ask := func(title, token string, header ...string) {
			x.post(title, "/common/oauth2/v2.0/introspect", url.Values{"token": {token}}, header...)
		}
		ask("by the guard of its resource", access, mailroom...)
		ask("a refresh token in another client's hands", refresh, mailroom...)
		ask("not a token", "abc", mailroom...)
		ask("nobody", access)
		x.post("a public client", "/oauth2/introspect", url.Values{"token": {access}, "client_id": {"tripboard"}})
		ask("a wrong secret", access, "Authorization", basicAuth("mailroom", "guess"))
		ask("not Basic", access, "Authorization", "Bearer "+access)
		w.Revoke(w.Ada)
		ask("after the revocation", access, mailroom...)
	})
}

func TestRevocationTranscript(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.transcript("revoke", func(x *transcript) {
		refresh := text(t, w.tokens(allScopes), "refresh_token")
		x.post("another client", "/common/oauth2/v2.0/revoke", url.Values{"token": {refresh}}, mailroom...)
		x.post("given back", "/common/oauth2/v2.0/revoke", url.Values{"token": {refresh}, "token_type_hint": {"refresh_token"}, "client_id": {"tripboard"}})
		x.post("again", "/common/oauth2/v2.0/revoke", url.Values{"token": {refresh}, "client_id": {"tripboard"}})
		x.post("and it is dead", "/common/oauth2/v2.0/token", refreshForm(refresh))
		x.post("unknown", "/oauth2/revoke", url.Values{"token": {"abc"}, "client_id": {"tripboard"}})
		own := text(t, w.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"api://mail/.default"}}, mailroom...), "access_token")
		x.post("an application's own token", "/oauth2/revoke", url.Values{"token": {own}}, mailroom...)
	})
}

func TestUserinfoTranscript(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.transcript("userinfo", func(x *transcript) {
		access := text(t, w.tokens("openid profile email"), "access_token")
		x.do("who am I", "GET", "/oidc/userinfo", "", "Authorization", "Bearer "+access)
		x.post("in the body", "/oauth2/userinfo", url.Values{"access_token": {access}})
		x.post("twice", "/oauth2/userinfo", url.Values{"access_token": {access}}, "Authorization", "Bearer "+access)
		x.do("nobody", "GET", "/oidc/userinfo", "")
		x.do("not a token", "GET", "/oidc/userinfo", "", "Authorization", "Bearer abc")
		mail := text(t, w.tokens(allScopes), "access_token")
		x.do("another resource's token", "GET", "/oidc/userinfo", "", "Authorization", "Bearer "+mail)
		x.do("in the address", "GET", "/oidc/userinfo?access_token="+access, "")
		capable := text(t, w.tokens("openid", "claims", `{"access_token":{"xms_cc":{"values":["cp1"]}}}`), "access_token")
		w.Revoke(w.Ada)
		x.do("revoked", "GET", "/oidc/userinfo", "", "Authorization", "Bearer "+access)
		x.do("revoked, and the client understands challenges", "GET", "/oidc/userinfo", "", "Authorization", "Bearer "+capable)
		x.do("preflight", "OPTIONS", "/oidc/userinfo", "")
	})
}

func with(f url.Values, more ...string) url.Values {
	for i := 0; i+1 < len(more); i += 2 {
		f.Set(more[i], more[i+1])
	}
	return f
}

func actor(w *world) directory.Actor {
	return directory.Actor{User: w.Ada.ID, Name: w.Ada.Name, Session: w.session.ID, Born: w.session.Born, Owner: w.session.Owner()}
}
