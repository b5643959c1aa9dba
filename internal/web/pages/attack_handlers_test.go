package pages_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
)

// Attacks on the way from the authorization endpoint to the tokens, by the names
// they have in RFC 9700 §4.

// attack is a site with ada and mallory's browser, both consented.
func attack(t *testing.T) (s *site, ada, mallory *browser) {
	s = open(t)
	s.consented(s.Ada)
	s.consented(s.Grace) // who plays mallory: an account of the same directory
	ada, mallory = s.browser(), s.browser()
	ada.signIn(ada.get("/signin"), "ada")
	mallory.signIn(mallory.get("/signin"), "grace")
	return s, ada, mallory
}

func (s *site) redeems(t *testing.T, what string, good bool, f url.Values) map[string]any {
	t.Helper()
	status, m := s.token(f)
	if good != (status == 200) || !good && (m["access_token"] != nil || m["error"] != "invalid_grant") {
		t.Errorf("%s: %d %v", what, status, m)
	}
	return m
}

func codeForm(code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "client_id": {"tripboard"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}
}

func set(f url.Values, name, value string) url.Values {
	out := url.Values{}
	for n, v := range f {
		out[n] = v
	}
	if out.Del(name); value != "" {
		out.Set(name, value)
	}
	return out
}

func TestAttackCodeInjection(t *testing.T) { // RFC 9700 §4.5
	t.Parallel()
	s, ada, _ := attack(t)
	code := ada.get(request()).answer().Get("code")
	other := strings.Repeat("mallory", 7)
	s.redeems(t, "ada's code with mallory's verifier", false, set(codeForm(code), "code_verifier", other))
	s.redeems(t, "ada's code at another redirect URI of the client", false, set(codeForm(code), "redirect_uri", "http://localhost"))
	s.redeems(t, "ada's code in another client's hands", false, set(set(codeForm(code), "client_id", "mailroom"), "client_secret", secret))
	s.redeems(t, "ada's code where it belongs", true, codeForm(code))
}

func TestAttackPKCEDowngrade(t *testing.T) { // RFC 9700 §4.8.2
	t.Parallel()
	s, ada, _ := attack(t)
	code := ada.get(request()).answer().Get("code")
	s.redeems(t, "the verifier left out", false, set(codeForm(code), "code_verifier", ""))

	// Of a client that may do without PKCE, the challenge is taken out on the way:
	// the honest client still sends its verifier, and must not be served.
	mailroom := func(change ...string) string {
		return request(append([]string{"client_id", "mailroom", "redirect_uri", "https://mailroom.example/cb"}, change...)...)
	}
	f := set(set(set(codeForm(""), "client_id", "mailroom"), "client_secret", secret), "redirect_uri", "https://mailroom.example/cb")
	code = ada.get(mailroom("code_challenge", "", "code_challenge_method", "")).answer().Get("code")
	s.redeems(t, "a verifier without a challenge", false, set(f, "code", code))
	for name, change := range map[string][]string{
		"plain":                 {"code_challenge_method", "plain"},
		"no method, that plain": {"code_challenge_method", ""},
		"no challenge, public":  {"code_challenge", "", "code_challenge_method", "", "client_id", "tripboard", "redirect_uri", callback},
	} {
		if q := ada.get(mailroom(change...)).answer(); q.Get("error") != "invalid_request" || q.Get("code") != "" {
			t.Errorf("%s: %v", name, q)
		}
	}
}

func TestAttackMixUp(t *testing.T) { // RFC 9700 §4.4, RFC 9207
	t.Parallel()
	s, ada, _ := attack(t)
	tenants, plain := s.srv.URL+"/"+tenant+"/v2.0", s.srv.URL
	at := strings.NewReplacer("/common/oauth2/v2.0/", "/oauth2/")
	for name, change := range map[string][]string{"a code": nil, "an error": {"scope", "api://mail/Nothing"}, "a refusal": {"prompt", "none", "max_age", "0"}} {
		for path, want := range map[string]string{request(change...): tenants, at.Replace(request(change...)): plain} {
			for _, mode := range []string{"query", "fragment"} {
				if q := ada.get(path + "&response_mode=" + mode).answer(); q.Get("iss") != want {
					t.Errorf("%s at %s: iss %q", name, want, q.Get("iss"))
				}
			}
		}
	}
	code := ada.get(at.Replace(request())).answer().Get("code")
	s.redeems(t, "a code of the other issuer", false, codeForm(code))
}

func TestAttackTokenSubstitution(t *testing.T) { // RFC 9700 §4.10, RFC 9068 §5
	t.Parallel()
	s, ada, _ := attack(t)
	m := s.redeems(t, "ada's code", true, codeForm(ada.get(request()).answer().Get("code")))
	access, id, refresh := m["access_token"].(string), m["id_token"].(string), m["refresh_token"].(string)
	for name, token := range map[string]string{"a token for the mail": access, "an ID token": id, "a refresh token": refresh} {
		for _, path := range []string{"/oidc/userinfo", "/oauth2/userinfo"} {
			status, m := s.api(t, path, url.Values{"access_token": {token}})
			if status != 401 || m["sub"] != nil {
				t.Errorf("%s at userinfo: %d %v", name, status, m)
			}
		}
	}
	s.redeems(t, "a refresh token at the other issuer's grant", false, url.Values{"grant_type": {"refresh_token"}, "client_id": {"tripboard"}, "refresh_token": {access}})
	s.redeems(t, "an ID token for a code", false, codeForm(id))
	// Another client's refresh token: nothing for the thief, nothing lost for ada.
	s.redeems(t, "in another client's hands", false, url.Values{"grant_type": {"refresh_token"}, "client_id": {"mailroom"}, "client_secret": {secret}, "refresh_token": {refresh}})
	s.redeems(t, "in its own", true, url.Values{"grant_type": {"refresh_token"}, "client_id": {"tripboard"}, "refresh_token": {refresh}})
	if status, m := s.api(t, "/oauth2/introspect", url.Values{"client_id": {"mailroom"}, "client_secret": {secret}, "token": {refresh}}); status != 200 || m["active"] != false {
		t.Errorf("another client asks about it: %d %v", status, m)
	}
}

func TestAttackRequestURIOfAnotherBrowser(t *testing.T) { // session fixation by a pushed request
	t.Parallel()
	s, ada, mallory := attack(t)
	to, _ := s.push(t, params("dpop_jkt", strings.Repeat("a", 43)))
	if q := mallory.get(to).answer(); q.Get("code") == "" {
		t.Fatalf("mallory approves her own: %v", q)
	}
	if p := ada.get(to); p.to != nil || p.status != 400 {
		t.Errorf("ada is sent to it: %d to %v", p.status, p.to)
	}
	// A code bound to mallory's key is of no use to who does not hold it.
	to, _ = s.push(t, params("dpop_jkt", strings.Repeat("a", 43)))
	s.redeems(t, "without the key", false, codeForm(ada.get(to).answer().Get("code")))
}

func TestAttackDeviceCodePhishing(t *testing.T) { // RFC 8628 §5.4
	t.Parallel()
	s, ada, _ := attack(t)
	begin := func() (device, user string) {
		status, m := s.api(t, "/oauth2/devicecode", url.Values{"client_id": {"tripboard"}, "scope": {"openid api://mail/Mail.Read"}})
		if status != 200 || m["expires_in"].(float64) > 900 {
			t.Fatalf("%d %v", status, m)
		}
		return m["device_code"].(string), m["user_code"].(string)
	}
	poll := func(device string) string {
		_, m := s.api(t, "/oauth2/token", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {"tripboard"}, "device_code": {device}})
		code, _ := m["error"].(string)
		return code
	}
	device, user := begin()
	// A link that mallory sends fills the code in and does no more: no page of it
	// decides without a form of ours, which says where the code was asked from.
	ada.get("/device?user_code="+user+"&decision=allow").want(200, "Connect a device")
	if got := poll(device); got != "authorization_pending" {
		t.Errorf("after the link: %s", got)
	}
	p := ada.post("/device", url.Values{"user_code": {user}, "decision": {"allow"}})
	if got := poll(device); got != "authorization_pending" || !p.says("127.0.0.1") {
		t.Errorf("after a decision out of the blue: %s; the page does not say where from:\n%s", got, p.body)
	}
	if p := ada.post("/device", url.Values{"user_code": {user}, "decision": {"allow"}}, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"); p.status != 403 {
		t.Errorf("from another site: %d", p.status)
	}
	ada.submit(p, "decision", "deny")
	if got := poll(device); got != "access_denied" {
		t.Errorf("after the refusal: %s", got)
	}
	device, user = begin()
	s.Clock.Add(16 * time.Minute)
	if p := ada.post("/device", url.Values{"user_code": {user}}); p.status != 422 || poll(device) != "expired_token" {
		t.Errorf("too late: %d, %s", p.status, poll(device))
	}
	// A client that is not made for it gets no codes to send around.
	s.register("tripboard", func(a *directory.App) { a.DeviceCode = false })
	if status, m := s.api(t, "/oauth2/devicecode", url.Values{"client_id": {"tripboard"}, "scope": {"openid"}}); status != 400 || m["error"] != "unauthorized_client" {
		t.Errorf("%d %v", status, m)
	}
}
