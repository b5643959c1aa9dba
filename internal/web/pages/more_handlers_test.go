package pages_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

func never(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func decode(t *testing.T, r io.ReadCloser) (m map[string]any) {
	t.Helper()
	defer r.Close()
	if err := json.NewDecoder(r).Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

// RP-Initiated Logout, RPL-01 to RPL-06.
func TestLogout(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.consented(s.Ada)
	in := func() (*browser, string) {
		b := s.browser()
		q := b.signIn(b.get(request()), "ada").answer()
		_, tokens := s.redeem(q.Get("code"))
		return b, tokens["id_token"].(string)
	}
	out := func(change ...string) string {
		q := url.Values{"post_logout_redirect_uri": {goodbye}, "state": {"x y"}}
		for i := 0; i+1 < len(change); i += 2 {
			q.Set(change[i], change[i+1])
			if change[i+1] == "" {
				q.Del(change[i])
			}
		}
		return "/common/oauth2/v2.0/logout?" + q.Encode()
	}
	alive := func(b *browser) bool { return b.get("/account").title() != "Sign in – curfew" }

	b, hint := in()
	if p := b.get(out("id_token_hint", hint)); p.to == nil || p.to.String() != goodbye+"?state=x+y" {
		t.Errorf("with a hint: %d %v", p.status, p.to)
	}
	if b.cookie() != nil || alive(b) {
		t.Error("still signed in")
	}
	if p := b.get(out("id_token_hint", hint)); p.to == nil || p.to.String() != goodbye+"?state=x+y" {
		t.Errorf("signed out already: %d %v", p.status, p.to)
	}
	if q := b.get(request("prompt", "none")).answer(); q.Get("error") != "login_required" {
		t.Errorf("afterwards: %v", q)
	}

	b, hint = in()
	if p := b.get(out("id_token_hint", hint, "state", "")); p.to == nil || p.to.String() != goodbye {
		t.Errorf("no state: %v", p.to)
	}

	b, hint = in()
	for name, path := range map[string]string{
		"a hint that is not ours":       out("id_token_hint", hint[:len(hint)-4]+"AAAA"),
		"an address not registered":     out("id_token_hint", hint, "post_logout_redirect_uri", "https://evil.example/"),
		"an address with a query added": out("id_token_hint", hint, "post_logout_redirect_uri", goodbye+"?x=1"),
		"a hint for another client":     out("id_token_hint", hint, "client_id", "mailroom"),
		"an unknown client":             out("client_id", "nobody"),
		"a parameter twice":             out("id_token_hint", hint) + "&state=1",
		"a name to sign out twice":      out("id_token_hint", hint, "logout_hint", "ada") + "&logout_hint=grace",
	} {
		p := b.get(path)
		if p.to != nil || p.status < 400 || p.status > 499 {
			t.Errorf("%s: %d to %v", name, p.status, p.to)
		}
		if !alive(b) {
			t.Fatalf("%s: signed out", name)
		}
	}

	// Without proof the person is asked, and may decline.
	_, foreign := in()
	for name, path := range map[string]string{"nothing": "/oauth2/logout", "a client's name": out("client_id", "tripboard"), "a hint of another session": out("id_token_hint", foreign)} {
		p := b.get(path).want(200, "Sign out?")
		if !alive(b) {
			t.Fatalf("%s: signed out unasked", name)
		}
		b.submit(p, "decision", "").want(200, "Sign out?")
		if !alive(b) {
			t.Fatalf("%s: signed out without a decision", name)
		}
	}
	p := b.submit(b.get(out("client_id", "tripboard")), "decision", "allow")
	if p.to == nil || p.to.String() != goodbye+"?state=x+y" || b.cookie() != nil {
		t.Errorf("confirmed: %d %v", p.status, p.to)
	}
	// With only a name and nobody to confirm it, a link and no redirect.
	if p = b.get(out("client_id", "tripboard")).want(200, "Signed out"); !strings.Contains(string(p.body), goodbye) {
		t.Error("no way back to the application")
	}

	// Posted from another site.
	b, hint = in()
	p = b.post("/common/oauth2/v2.0/logout", url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {goodbye}}, "Sec-Fetch-Site", "cross-site", "Origin", "https://tripboard.example")
	if p.to == nil || p.to.String() != goodbye || b.cookie() != nil {
		t.Errorf("posted: %d %v", p.status, p.to)
	}
	// Our own link.
	b, _ = in()
	b.submit(b.get("/signout").want(200, "Sign out?"), "decision", "allow").want(200, "Signed out")
	if alive(b) {
		t.Error("still signed in")
	}
}

// A confirmation made for one session does not sign out another.
func TestSignOutPageOfAnotherSession(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.browser()
	b.signIn(b.get("/signin"), "ada")
	p := b.get("/signout").want(200, "Sign out?")
	b.signIn(b.get("/signin?prompt=login"), "grace")
	b.submit(p, "decision", "allow").want(200, "Sign out?")
	b.get("/account").want(200, "My account")
}

// Forms from other sites are refused, all of them but the two that a standard
// demands; and those only put aside.
func TestCrossSiteFormsAreRefused(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.browser()
	b.signIn(b.get("/signin"), "ada")
	kept := b.cookie().Value
	before := s.writes.Load()
	f := url.Values{"username": {"grace@contoso.example"}, "password": {password}, "decision": {"allow"}, "current": {password}, "password2": {password}, "user_code": {"BCDF-GHJK"}}
	for _, path := range []string{"/signin", "/signin/password", "/choose", "/consent", "/device", "/signout", "/setup", "/account/password", "/account/everywhere", "/account/theme",
		"/account/sessions/8e0fd1c2-0000-4000-8000-00000000abcd/end", "/account/grants/8e0fd1c2-0000-4000-8000-00000000abcd/remove"} {
		for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Sec-Fetch-Site", "", "Origin", "https://evil.example"}, {"Sec-Fetch-Site", "", "Origin", "null"}} {
			if p := b.post(path, f, header...); p.status != 403 || p.header.Get("Set-Cookie") != "" {
				t.Errorf("%s with %v: %d", path, header, p.status)
			}
		}
	}
	if n := s.writes.Load() - before; n != 0 || b.cookie().Value != kept {
		t.Errorf("%d statements wrote something", n)
	}
}

// Nobody is ever sent to an address that is not registered, or not ours.
func TestNoOpenRedirect(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.browser()
	b.signIn(b.get("/signin"), "ada")
	s.consented(s.Ada)
	for _, to := range []string{"https://evil.example/cb", callback + "/", callback + "/../x", callback + "#f", "https://tripboard.example", "https://tripboard.example@evil.example/cb", "//evil.example", "javascript:alert(1)",
		"http://localhost.evil.example/", "http://127.0.0.1:1/", "HTTPS://tripboard.example/cb", callback + "%00", ""} {
		for _, more := range [][]string{nil, {"prompt", "none"}, {"response_type", "token"}, {"scope", "nonsense"}} {
			p := b.get(request(append([]string{"redirect_uri", to}, more...)...))
			if p.to != nil || p.status != 400 || !p.says("50011") {
				t.Errorf("%q: %d to %v", to, p.status, p.to)
			}
		}
	}
	for _, next := range []string{"https://evil.example", "//evil.example", `/\evil.example`, "/\\/evil.example", "/%2Fevil.example", "/account/../../evil", "/account%2f..", "evil", "javascript:alert(1)", "/account#x", "/accountx",
		"/portalx", "/portal/../evil", "/portal/%2e%2e/evil", "/portal//evil.example", "/signout", "/fabrikam.example/oauth2/v2.0/authorize?x", "/common/oauth2/v2.0/logout?x", "/\tevil", "/account\r\nX: y"} {
		for _, path := range []string{"/signin", "/choose"} {
			if p := b.get(path + "?next=" + url.QueryEscape(next)); p.to != nil || p.status != 400 {
				t.Errorf("%s to %q: %d %v", path, next, p.status, p.to)
			}
		}
	}
	if p := b.get("/signin?next=" + url.QueryEscape("/portal/applications/api:%2F%2Fmail")); p.status != 404 || !strings.HasSuffix(p.url, "/portal/applications/api:%2F%2Fmail") {
		t.Errorf("an address of the portal: %d %s", p.status, p.url)
	}
	// A forged flow leads home.
	b.c.CheckRedirect = never
	for _, flow := range []string{"https://evil.example", "eyJuIjoiaHR0cHM6Ly9ldmlsLmV4YW1wbGUifQ.AAAA", "", "."} {
		p := b.post("/signin", url.Values{"username": {"ada@contoso.example"}, "password": {password}, "flow": {flow}})
		if p.status != 303 || p.to.Path != "/account" || p.to.Host != strings.TrimPrefix(s.srv.URL, "https://") {
			t.Errorf("flow %q: %d %v", flow, p.status, p.to)
		}
	}
}

// Every parameter of an authorization request, missing, doubled, far too long and of
// the wrong sort: an answer to the application, or a page where none may be given;
// nothing kept, no error of ours.
func TestEveryParameterSpoiled(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.browser()
	b.signIn(b.get("/signin"), "ada")
	before := s.writes.Load()
	check := func(what string, p *page, wantPage bool, code string) {
		t.Helper()
		switch {
		case wantPage && (p.to != nil || p.status < 400 || p.status > 499):
			t.Errorf("%s: %d to %v, want a page", what, p.status, p.to)
		case !wantPage && (p.to == nil || p.answer().Get("error") != code || p.answer().Get("iss") == ""):
			t.Errorf("%s: %d to %v, want %s", what, p.status, p.to, code)
		}
	}
	for name, missing := range map[string]string{"client_id": "page", "redirect_uri": "page", "response_type": "invalid_request", "scope": "invalid_scope", "code_challenge": "invalid_request", "code_challenge_method": "invalid_request"} {
		check(name+" missing", b.get(request(name, "")), missing == "page", missing)
		check(name+" missing, posted", b.post("/oauth2/authorize", params(name, "")), missing == "page", missing)
	}
	for _, name := range []string{"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce", "code_challenge", "code_challenge_method", "prompt", "max_age", "login_hint", "id_token_hint", "claims", "acr_values", "dpop_jkt"} {
		isPage := name == "client_id" || name == "redirect_uri"
		with := request()
		if !params().Has(name) {
			with += "&" + name + "="
		}
		check(name+" doubled", b.get(with+"&"+name+"=x"), isPage, "invalid_request")
		check(name+" doubled, posted", b.post("/oauth2/authorize", params(), "Content-Type", "text/plain"), true, "")
		for kind, bad := range map[string]string{"NUL": "%00", "not UTF-8": "%ff"} {
			check(name+" "+kind, b.get(request(name, "")+"&"+name+"="+bad), isPage, "invalid_request")
		}
		check(name+" broken", b.get(request(name, "")+"&"+name+"=%zz"), true, "")
	}
	long := strings.Repeat("a", 20000)
	for name, want := range map[string]string{"client_id": "page", "redirect_uri": "page", "response_type": "unsupported_response_type", "response_mode": "invalid_request", "scope": "invalid_request", "state": "invalid_request",
		"nonce": "invalid_request", "code_challenge": "invalid_request", "code_challenge_method": "invalid_request", "prompt": "invalid_request", "max_age": "invalid_request", "login_hint": "invalid_request", "id_token_hint": "invalid_request", "claims": "invalid_request", "acr_values": "invalid_request", "dpop_jkt": "invalid_request"} {
		check(name+" long", b.get(request(name, long)), want == "page", want)
		check(name+" huge, posted", b.post("/oauth2/authorize", params(name, long+long+long+long)), true, "")
	}
	for _, c := range [][]string{
		{"response_type", "token", "unsupported_response_type"}, {"response_type", "code id_token", "unsupported_response_type"}, {"response_mode", "web_message", "invalid_request"},
		{"scope", "api://nowhere/x", "invalid_scope"}, {"scope", "api://mail/Nothing", "invalid_scope"}, {"resource", "api://nowhere", "invalid_target"}, {"code_challenge_method", "plain", "invalid_request"},
		{"code_challenge", "short", "invalid_request"}, {"prompt", "sometimes", "invalid_request"}, {"max_age", "-1", "invalid_request"}, {"max_age", "1.5", "invalid_request"}, {"max_age", "99999999999999", "invalid_request"},
		{"claims", "[]", "invalid_request"}, {"claims", "x", "invalid_request"}, {"id_token_hint", "a.b.c", "invalid_request"},
		{"request", "x.y.z", "request_not_supported"}, {"request_uri", "https://x.example", "request_uri_not_supported"}, {"registration", "{}", "registration_not_supported"},
	} {
		check(c[0]+"="+c[1], b.get(request(c[0], c[1])), false, c[2])
	}
	check("unknown client", b.get(request("client_id", "nobody")), true, "")
	check("unknown posted request", b.get("/oauth2/authorize?posted=nothing"), true, "")
	check("another tenant", b.get(strings.Replace(request(), "common", "fabrikam.example", 1)), true, "")
	check("very long", b.get(request()+"&x="+strings.Repeat("a", 40000)), true, "")
	for _, path := range []string{"/signin?next=%zz", "/signin?next=a&next=b", "/device?user_code=%00", "/account?done=%ff", "/choose?next=%00", "/setup?token=a&token=b"} {
		if p := b.get(path); p.status != 400 {
			t.Errorf("%s: %d", path, p.status)
		}
	}
	for _, path := range []string{"/signin", "/signin/password", "/choose", "/consent", "/device", "/signout", "/setup", "/account/password"} {
		for kind, body := range map[string]string{"doubled": "flow=a&flow=b", "broken": "flow=%zz", "NUL": "flow=%00", "huge": "flow=" + strings.Repeat("a", 70000)} {
			r, _ := http.NewRequest("POST", s.srv.URL+path, strings.NewReader(body))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if p := b.send(r); p.status != 400 {
				t.Errorf("%s %s: %d", path, kind, p.status)
			}
		}
	}
	if p := b.post("/account/sessions/abc/end", nil); p.status != 404 {
		t.Errorf("a session that is none: %d", p.status)
	}
	if n := s.writes.Load() - before; n != 0 {
		t.Errorf("%d statements wrote something", n)
	}
	r, _ := http.NewRequest("HEAD", s.srv.URL+request(), nil)
	if p := b.send(r); p.status != 405 {
		t.Errorf("HEAD: %d", p.status)
	}
}

// A confidential application's own rules: PKCE is its choice, a challenge is kept to.
func TestConfidentialWithoutPKCE(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.browser()
	q := b.signIn(b.get(request("client_id", "mailroom", "redirect_uri", "https://mailroom.example/cb", "code_challenge", "", "code_challenge_method", "")), "ada").answer()
	f := url.Values{"grant_type": {"authorization_code"}, "client_id": {"mailroom"}, "client_secret": {secret}, "code": {q.Get("code")}, "redirect_uri": {"https://mailroom.example/cb"}}
	if status, m := s.token(f); status != 200 {
		t.Errorf("%d %v", status, m)
	}
	q = b.get(request("client_id", "mailroom", "redirect_uri", "https://mailroom.example/cb", "claims", `{"access_token":{"xms_cc":{"values":["cp1"]}}}`)).answer()
	f.Set("code", q.Get("code"))
	if status, m := s.token(f); status != 400 {
		t.Errorf("a challenge without its verifier: %v", m)
	}
	f.Set("code_verifier", verifier)
	status, m := s.token(f)
	if status != 200 {
		t.Fatalf("%v", m)
	}
	if a := claims(t, m["access_token"].(string)); a["xms_cc"] == nil {
		t.Errorf("capability lost: %v", a)
	}
}

func TestAccount(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.consented(s.Ada)
	phone, b := s.browser(), s.browser()
	phone.signIn(phone.get("/signin"), "ada")
	p := b.signIn(b.get("/account"), "ada").want(200, "My account")
	if !p.says("2 browsers") || !p.says("Firefox on Linux (this one)") || p.says("Portal") {
		t.Errorf("%s", webkittest.Parse(t, p.body).Text())
	}
	code := b.get(request()).answer().Get("code")
	_, tokens := s.redeem(code)
	p = b.get("/account")
	find := func(p *page, has string) string {
		for _, f := range webkittest.Parse(t, p.body).All("form") {
			if strings.Contains(f.Attr["action"], has) {
				return f.Attr["action"]
			}
		}
		t.Fatalf("no form %s", has)
		return ""
	}
	if q := b.post(find(p, "/remove"), url.Values{}).want(200, "My account"); !q.says("The application's access was taken back.") || !q.says("No application has access.") {
		t.Errorf("%s", webkittest.Parse(t, q.body).Text())
	}
	if status, m := s.refresh(tokens["refresh_token"].(string)); status != 400 {
		t.Errorf("taken back, and alive: %v", m)
	}
	b.get(request()).want(200, "Let Tripboard in?")
	b.post(find(p, "/end"), url.Values{}).want(200, "My account")
	phone.get("/account").want(200, "Sign in")

	// Sign out everywhere but here: the cookie gets a new value, the copied one dies.
	phone.signIn(phone.get("/signin"), "ada")
	stolen := b.cookie()
	if q := b.post("/account/everywhere", url.Values{"keep": {"1"}}).want(200, "My account"); !q.says("1 browser") {
		t.Errorf("%s", webkittest.Parse(t, q.body).Text())
	}
	if b.cookie().Value == stolen.Value {
		t.Error("the cookie kept its value")
	}
	phone.get("/account").want(200, "Sign in")
	thief := s.browser()
	u, _ := url.Parse(s.srv.URL)
	thief.jar.SetCookies(u, []*http.Cookie{{Name: stolen.Name, Value: stolen.Value, Path: "/", Secure: true}})
	thief.get("/account").want(200, "Sign in")

	p = b.get("/account/password").want(200, "Change password")
	b.submit(p, "current", "wrong", "password", "copper harbour fig 77", "password2", "copper harbour fig 77").want(422, "Error")
	b.submit(p, "current", password, "password", "copper harbour fig 77", "password2", "x").want(422, "Error")
	b.submit(p, "current", password, "password", "short", "password2", "short").want(422, "Error")
	if q := b.submit(p, "current", password, "password", "copper harbour fig 77", "password2", "copper harbour fig 77").want(200, "My account"); !q.says("The password was changed.") {
		t.Errorf("%s", webkittest.Parse(t, q.body).Text())
	}
	if q := b.post("/account/theme", url.Values{"theme": {"dark"}}).want(200, "My account"); !strings.Contains(string(q.body), `data-theme="dark"`) {
		t.Error("the theme is not kept")
	}
	b.post("/account/everywhere", url.Values{}).want(200, "Signed out")
	if b.cookie() != nil {
		t.Error("the cookie stayed")
	}
	// Nobody ends what is somebody else's.
	b.signIn(b.get("/signin"), "grace")
	eve := s.browser()
	eve.submit(eve.get("/signin"), "username", "ada@contoso.example", "password", "copper harbour fig 77")
	grace := s.Session(s.Grace)
	if x := eve.post("/account/sessions/"+grace.ID.String()+"/end", url.Values{}); x.status != 403 || !s.SessionAlive(grace.ID) {
		t.Errorf("somebody else's session: %d", x.status)
	}
}

func TestAccountNeedsSignIn(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.browser()
	b.c.CheckRedirect = never
	before := s.writes.Load()
	for _, path := range []string{"/account", "/account/password", "/device"} {
		if p := b.get(path); p.status != 303 || p.to.Path != "/signin" {
			t.Errorf("GET %s: %d %v", path, p.status, p.to)
		}
	}
	id := directory.NewID[directory.Grant](time.Now()).String()
	for _, path := range []string{"/account/password", "/account/everywhere", "/device", "/account/sessions/" + id + "/end", "/account/grants/" + id + "/remove"} {
		if p := b.post(path, url.Values{"user_code": {"BCDF-GHJK"}}); p.status != 303 || p.to.Path != "/signin" {
			t.Errorf("POST %s: %d %v", path, p.status, p.to)
		}
	}
	if n := s.writes.Load() - before; n != 0 {
		t.Errorf("%d statements wrote something", n)
	}
	// Somebody with a role comes to the portal, unless they came for something else.
	b = s.browser()
	if p := b.signIn(b.get("/signin"), "grace"); string(p.body) != "portal" {
		t.Errorf("an administrator came to %s", p.url)
	}
	b.get("/signin?next=%2Faccount").want(200, "My account")
	b.get("/signin?next=%2Faccount&prompt=login").want(200, "Sign in")
}
