package conformance_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestBasic(t *testing.T) { run(t, basic) }

// basic is oidcc-basic-certification-test-plan, in its order.
var basic = []test{
	{name: "oidcc-server", run: func(m *module) { m.signIn("openid") }},
	{name: "oidcc-response-type-missing", run: func(m *module) {
		m.browser.visit(m.T, m.request("openid", "response_type", "-"))
		m.refused("invalid_request", "unsupported_response_type")
	}},
	{name: "oidcc-idtoken-signature", run: func(m *module) {
		if m.signIn("openid"); m.id.alg != "RS256" || m.id.kid == "" {
			m.Errorf("alg %q, kid %q", m.id.alg, m.id.kid)
		}
	}},
	{name: "oidcc-idtoken-unsigned", run: func(m *module) { // "none" is not offered, so the suite skips it
		if m.signIn("openid"); slices.Contains(m.p.meta.Algs, "none") || m.id.alg == "none" {
			m.Errorf("algorithms %v, used %s", m.p.meta.Algs, m.id.alg)
		}
	}},
	{name: "oidcc-userinfo-get", run: func(m *module) { m.signIn("openid") }},
	{name: "oidcc-userinfo-post-header", run: func(m *module) {
		m.signIn("openid")
		m.person(m.p.send(m.T, http.MethodPost, m.p.meta.Userinfo, "Bearer "+m.tokens.Access, nil))
	}},
	{name: "oidcc-userinfo-post-body", run: func(m *module) {
		m.signIn("openid")
		m.person(m.p.send(m.T, http.MethodPost, m.p.meta.Userinfo, "", url.Values{"access_token": {m.tokens.Access}}))
	}},
	{name: "oidcc-ensure-request-without-nonce-succeeds-for-code-flow", run: func(m *module) {
		m.signIn("openid", "nonce", "-")
		if _, ok := m.id.all["nonce"]; ok {
			m.Error("the ID token has a nonce that nobody sent")
		}
	}},
	{name: "oidcc-scope-profile", run: scope("openid profile", "[family_name given_name locale name preferred_username sub]")},
	{name: "oidcc-scope-email", run: scope("openid email", "[email sub]")},
	// Nobody has an address here, so the scope is not offered, and the suite skips
	// these two. Asked for all the same, it is ignored (OpenID Connect Core 1.0
	// §3.1.2.1).
	{name: "oidcc-scope-address", run: scope("openid address", "[sub]")},
	{name: "oidcc-scope-phone", run: scope("openid phone", "[phone_number sub]")},
	{name: "oidcc-scope-all", run: scope("openid profile email address phone", "[email family_name given_name locale name phone_number preferred_username sub]")},
	{name: "oidcc-ensure-other-scope-order-succeeds", run: scope("email openid", "[email sub]")},
	{name: "oidcc-display-page", run: with("display", "page")},
	{name: "oidcc-display-popup", run: with("display", "popup")},
	{name: "oidcc-prompt-login", run: func(m *module) {
		m.signIn("openid")
		m.again(true, "prompt", "login")
	}},
	{name: "oidcc-prompt-none-not-logged-in", run: func(m *module) {
		m.browser.visit(m.T, m.request("openid", "prompt", "none"))
		m.refused("login_required", "interaction_required")
	}},
	{name: "oidcc-prompt-none-logged-in", run: func(m *module) {
		m.signIn("openid")
		m.again(false, "prompt", "none")
	}},
	{name: "oidcc-max-age-1", own: true, run: func(m *module) {
		m.signIn("openid")
		m.p.wait(2 * time.Second)
		m.again(true, "max_age", "1")
		if age := m.p.now().Unix() - m.id.AuthTime; m.id.AuthTime == 0 || age < 0 || age > 60 {
			m.Errorf("auth_time is %d s ago", age)
		}
	}},
	{name: "oidcc-max-age-10000", run: func(m *module) {
		m.signIn("openid")
		if m.again(false, "max_age", "10000"); m.id.AuthTime == 0 {
			m.Error("no auth_time, and max_age was asked for")
		}
	}},
	{name: "oidcc-ensure-request-with-unknown-parameter-succeeds", run: with("extra", "foobar")},
	{name: "oidcc-id-token-hint", run: func(m *module) {
		m.signIn("openid")
		m.again(false, "prompt", "none", "id_token_hint", m.tokens.ID)
	}},
	{name: "oidcc-login-hint", run: func(m *module) { m.signIn("openid", "login_hint", m.p.conf.Server.LoginHint) }},
	{name: "oidcc-ui-locales", run: with("ui_locales", "se fr xx-unknown")},
	{name: "oidcc-claims-locales", run: with("claims_locales", "se")},
	{name: "oidcc-ensure-request-with-acr-values-succeeds", run: func(m *module) {
		if m.signIn("openid", "acr_values", "1 2"); m.id.ACR == "" {
			m.Error("the ID token does not say which context was reached")
		}
	}},
	{name: "oidcc-codereuse", run: func(m *module) { reuse(m, 0) }},
	{name: "oidcc-codereuse-30seconds", own: true, run: func(m *module) { reuse(m, 30*time.Second) }},
	{name: "oidcc-ensure-registered-redirect-uri", run: func(m *module) {
		m.browser.visit(m.T, m.request("openid", "redirect_uri", suite+"/never-registered"))
		if m.browser.status != http.StatusBadRequest || !strings.Contains(m.browser.words(), "redirect_uri") {
			m.Errorf("%d %s", m.browser.status, m.browser.words())
		}
	}},
	{name: "oidcc-ensure-post-request-succeeds", run: func(m *module) {
		m.request("openid")
		m.browser.send(m.T, http.MethodPost, m.p.meta.Authorization, m.asked)
		m.redeem(m.code())
		m.userinfo()
	}},
	{name: "oidcc-server-client-secret-post", run: func(m *module) {
		m.client, m.inBody = m.post, true
		m.signIn("openid")
	}},
	{name: "oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported", run: func(m *module) {
		m.asked = url.Values{"client_id": {m.client.ID}, "redirect_uri": {callback}, "scope": {"openid"}, "response_type": {"code"}, "request_uri": {suite + "/requesturi/x"}}
		m.browser.visit(m.T, m.p.meta.Authorization+"?"+m.asked.Encode())
		m.refused("request_uri_not_supported")
	}},
	{name: "oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported", run: func(m *module) {
		m.inObject(callback)
		m.refused("request_not_supported")
	}},
	{name: "oidcc-claims-essential", run: func(m *module) {
		m.signIn("openid", "claims", `{"userinfo":{"name":{"essential":true}}}`)
		if u := m.userinfo(); names(u) != "[name sub]" || u["name"] != "Ada Lovelace" {
			m.Errorf("userinfo: %v", u)
		}
		if m.id.all["name"] != nil {
			m.Errorf("the ID token has the name too, which was asked of userinfo: %v", m.id.all)
		}
	}},
	{name: "oidcc-ensure-request-object-with-redirect-uri", run: func(m *module) {
		// The address beside the object is not registered, the one inside is: the
		// answer is waited for there.
		m.inObject(callback + "_invalid")
		m.refused("request_not_supported")
	}},
	{name: "oidcc-refresh-token", run: refresh},
	{name: "oidcc-ensure-request-with-valid-pkce-succeeds", run: func(m *module) {
		verifier := strings.Repeat("a-verifier-of-this-one-request.", 2)
		sum := sha256.Sum256([]byte(verifier))
		m.browser.visit(m.T, m.request("openid", "code_challenge", base64.RawURLEncoding.EncodeToString(sum[:]), "code_challenge_method", "S256"))
		m.redeem(m.code(), "code_verifier", verifier)
		m.userinfo()
	}},
}

// with is a request that must succeed whatever the parameter says.
func with(name, value string) func(*module) {
	return func(m *module) { m.signIn("openid", name, value) }
}

// scope asks for scopes and compares the names of what userinfo says. The suite
// warns where a claim of a scope is missing; those of the registration that nobody
// has here (birthdate and the like, email_verified) are left out rather than
// invented.
func scope(scopes, want string) func(*module) {
	return func(m *module) {
		m.signIn(scopes)
		if got := names(m.userinfo()); got != want {
			m.Errorf("userinfo has %s, want %s", got, want)
		}
	}
}

// again asks a second time in the same browser. asked says whether the person must
// be asked to sign in; if not, the sign-in must be the same one.
func (m *module) again(asked bool, more ...string) {
	m.Helper()
	first := m.id
	m.browser.visit(m.T, m.request("openid", more...))
	if got := m.askedAgain(); got != asked {
		m.Errorf("asked to sign in: %v, want %v", got, asked)
	}
	m.redeem(m.code())
	m.userinfo()
	if m.id.Subject != first.Subject {
		m.Errorf("sub %q, then %q", first.Subject, m.id.Subject)
	}
	if !asked && m.id.AuthTime != first.AuthTime {
		m.Errorf("auth_time %d, then %d: nobody signed in anew", first.AuthTime, m.id.AuthTime)
	}
	if asked && m.id.AuthTime < first.AuthTime {
		m.Errorf("auth_time %d, then %d", first.AuthTime, m.id.AuthTime)
	}
}

// inObject asks by an unsigned request object, with an address beside it.
func (m *module) inObject(beside string) {
	m.Helper()
	enc := base64.RawURLEncoding.EncodeToString
	object := enc([]byte(`{"alg":"none"}`)) + "." + enc([]byte(`{"client_id":"`+m.client.ID+`","redirect_uri":"`+callback+`","scope":"openid","response_type":"code","state":"inside","nonce":"inside"}`)) + "."
	m.asked = url.Values{"client_id": {m.client.ID}, "redirect_uri": {beside}, "scope": {"openid"}, "response_type": {"code"}, "request": {object}}
	m.browser.visit(m.T, m.p.meta.Authorization+"?"+m.asked.Encode())
}

// reuse redeems a code again after a while: the second use is refused and ends what
// the first one gave (RFC 6749 §4.1.2). The suite waits for 30 seconds; here the
// clock of the server is put forward.
func reuse(m *module, after time.Duration) {
	m.browser.visit(m.T, m.request("openid offline_access"))
	code := m.code()
	m.redeem(code)
	m.userinfo()
	m.p.wait(after)
	status, t := m.token(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}})
	if status != http.StatusBadRequest || t.Error != "invalid_grant" {
		m.Errorf("the second use: %d %+v", status, t)
	}
	res, text := m.p.send(m.T, http.MethodGet, m.p.meta.Userinfo, "Bearer "+m.tokens.Access, nil)
	if res.StatusCode != http.StatusUnauthorized || !strings.Contains(res.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
		m.Errorf("the access token of the first use: %d %s", res.StatusCode, text)
	}
	if status, t := m.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {m.tokens.Refresh}}); status != http.StatusBadRequest || t.Error != "invalid_grant" {
		m.Errorf("the refresh token of the first use: %d %+v", status, t)
	}
}

// refresh: a refresh token renews, for its own client only.
func refresh(m *module) {
	for _, c := range []credentials{m.first, m.second} {
		m.client = c
		m.browser.visit(m.T, m.request("openid offline_access", "prompt", "consent"))
		m.redeem(m.code())
		first, old := m.tokens, m.id
		if len(first.Refresh) < 22 { // 128 bits (RFC 6749 §10.10)
			m.Fatalf("refresh_token %q", first.Refresh)
		}
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.Refresh}}
		if c == m.first { // the suite names the scope for one of them
			form.Set("scope", "openid offline_access")
		}
		status, t := m.token(form)
		if status != http.StatusOK {
			m.Fatalf("refresh: %d %+v", status, t)
		}
		m.took(t)
		m.userinfo()
		if t.Access == first.Access || t.Refresh == first.Refresh || t.Refresh == "" {
			m.Error("the same token again")
		}
		// OpenID Connect Core 1.0 §12.2
		if m.id.Issuer != old.Issuer || m.id.Subject != old.Subject || m.id.AuthTime != old.AuthTime || m.id.IssuedAt < old.IssuedAt || m.id.AZP != old.AZP || m.id.Nonce != "" && m.id.Nonce != old.Nonce {
			m.Errorf("ID token %+v, then %+v", old, m.id)
		}
	}
	// The second client's refresh token, in the hands of the first.
	theirs := m.tokens.Refresh
	m.client = m.first
	if status, t := m.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {theirs}}); status != http.StatusBadRequest || t.Error != "invalid_grant" {
		m.Errorf("another client's refresh token: %d %+v", status, t)
	}
	// Without proof of who asks, nobody gets anything (RFC 6749 §6).
	res, text := m.p.send(m.T, http.MethodPost, m.p.meta.Token, "", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {theirs}, "client_id": {m.second.ID}})
	if res.StatusCode != http.StatusUnauthorized || !strings.Contains(text, `"invalid_client"`) {
		m.Errorf("refresh without client authentication: %d %s", res.StatusCode, text)
	}
	// Neither try took anything from its owner.
	m.client = m.second
	if status, t := m.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {theirs}}); status != http.StatusOK {
		m.Errorf("its owner, afterwards: %d %+v", status, t)
	}
}
