package pages_test

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
)

// Attacks through the browser: on where it is sent, what it is made to send, and
// what it keeps.

const evil = "evil.example"

// tricks are addresses that look like a registered one to somebody who compares
// less than everything.
func tricks() []string {
	host := "tripboard.example"
	return []string{
		"https://TRIPBOARD.example/cb", "HTTPS://" + host + "/cb", "https://" + host + "/CB", // case
		"https://" + host + "@" + evil + "/cb", "https://" + host + ":x@" + evil + "/cb", "https://user@" + host + "/cb", "https://@" + host + "/cb", // userinfo
		callback + "#", callback + "#@" + evil, callback + "%23", // fragments
		callback + "/..", "https://" + host + "/x/../cb", "https://" + host + "/%2e%2e/cb", "https://" + host + "/.%2e/cb", "https://" + host + "/%63b", "https://" + host + "//cb", // dots and encodings
		"https://" + host + "./cb", "https://" + host + ".." + "/cb", "https://" + host + "." + evil + "/cb", "https://" + evil + "/" + host + "/cb", // trailing dots, suffixes
		"https://xn--tripbord-0za.example/cb", "https://tripbоard.example/cb", "https://tripboard%E3%80%82example/cb", "https://tripboard。example/cb", // IDN and what looks like it
		"https://" + host + ":443/cb", "https://" + host + ":8443/cb", "https://" + host + ":/cb", // ports
		`https://` + evil + `\@` + host + `/cb`, `https:\\` + host + `\cb`, "https:/" + host + "/cb", "https:" + host + "/cb", "//" + host + "/cb", "/cb", // backslash and parts left out
		callback + "?", callback + "?code=x", callback + "&x=y", callback + ";x", callback + "%00", callback + "\t", " " + callback, callback + "\r\nLocation: https://" + evil,
		"http://" + host + "/cb", "javascript:alert(1)//" + callback, "data:text/html," + callback, "trip.board://cb/x", "TRIP.board://cb",
		"http://localhost." + evil + ":8080", "http://localhost@" + evil, "http://localhost:8080@" + evil, "http://127.0.0.1:8080", "http://127.0.0.2:8080", "http://127.1:8080", "http://2130706433:8080", "http://0:8080",
		"http://[::1]:8080", "http://[::ffff:127.0.0.1]:8080", "http://localhost.:8080", "http://LOCALHOST:8080", "http://localhost:8080/x", "http://localhost:8080#x", "http://localhost:8080?x=y", "https://localhost:8080", // loopback
	}
}

func TestAttackRedirectURITricks(t *testing.T) { // RFC 9700 §4.1
	t.Parallel()
	s, ada, _ := attack(t)
	code := ada.get(request()).answer().Get("code")
	for _, to := range tricks() {
		for _, mode := range []string{"query", "fragment", "form_post"} {
			if p := ada.get(request("redirect_uri", to, "response_mode", mode)); p.to != nil || p.status != 400 || p.header.Get("Refresh") != "" || strings.Contains(string(p.body), "<form") {
				t.Errorf("%q by %s: %d to %v", to, mode, p.status, p.to)
			}
		}
		// Nor can an answer be had that way: what is wrong is not told there.
		if p := ada.get(request("redirect_uri", to, "prompt", "none", "scope", "nonsense")); p.to != nil {
			t.Errorf("%q: an error is told to %v", to, p.to)
		}
		if status, m := s.api(t, "/common/oauth2/v2.0/par", params("redirect_uri", to)); status != 400 || m["request_uri"] != nil {
			t.Errorf("%q pushed: %d %v", to, status, m)
		}
		s.redeems(t, "with "+to, false, set(codeForm(code), "redirect_uri", to))
	}
	s.redeems(t, "with the one it was made for", true, codeForm(code))
}

func TestAttackOpenRedirectorAtLogout(t *testing.T) { // RFC 9700 §4.11
	t.Parallel()
	s, ada, _ := attack(t)
	_, m := s.redeem(ada.get(request()).answer().Get("code"))
	hint := m["id_token"].(string)
	s.register("tripboard", func(a *directory.App) { a.PostLogoutURIs = []string{callback} }) // so that the tricks are near misses
	for _, to := range append(tricks(), "https://"+evil, "https://mailroom.example/cb") {
		if to == "http://localhost:8080" {
			continue
		}
		q := url.Values{"post_logout_redirect_uri": {to}, "state": {"s"}}
		for who, more := range map[string][]string{"with a hint": {"id_token_hint", hint}, "with a name": {"client_id", "tripboard"}, "with both": {"id_token_hint", hint, "client_id", "tripboard"}} {
			f := q
			for i := 0; i+1 < len(more); i += 2 {
				f = set(f, more[i], more[i+1])
			}
			if p := ada.get("/oauth2/logout?" + f.Encode()); p.to != nil || p.status != 400 || p.header.Get("Refresh") != "" || strings.Contains(string(p.body), `href="`+to) {
				t.Errorf("%q %s: %d to %v", to, who, p.status, p.to)
			}
		}
		// Without any name a person confirms, and is still not sent there.
		b := s.browser()
		b.signIn(b.get("/signin"), "ada")
		p := b.submit(b.get("/oauth2/logout?"+q.Encode()).want(200, "Sign out?"), "decision", "allow")
		if p.to != nil || p.header.Get("Refresh") != "" || strings.Contains(string(p.body), evil) || b.cookie() != nil {
			t.Errorf("%q, confirmed: %d to %v\n%s", to, p.status, p.to, p.body)
		}
	}
	if ada.cookie() == nil {
		t.Error("a request that was refused signed ada out")
	}
}

func TestAttackCSRF(t *testing.T) { // RFC 9700 §4.7
	t.Parallel()
	s := open(t)
	s.consented(s.Grace)
	ada, mallory := s.browser(), s.browser()
	ada.signIn(ada.get("/signin"), "ada")
	mallory.signIn(mallory.get("/signin"), "grace")
	elsewhere := []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://" + evil}
	noCode := func(what string, p *page) {
		t.Helper()
		if p.to != nil && (p.to.Query().Get("code") != "" || strings.Contains(p.to.Fragment, "code=")) {
			t.Errorf("%s: a code for %v", what, p.to)
		}
		if missing, _, err := s.missing("tripboard", s.Ada.ID); err != nil || !missing {
			t.Errorf("%s: consent was given (%v)", what, err)
		}
	}
	consent := ada.get(request()).want(200, "Let Tripboard in?")
	action, f := consent.form()
	f.Set("decision", "allow")
	// Another site cannot press the button, however it sends the form.
	noCode("ada's form from elsewhere", ada.post(action, f, elsewhere...))
	noCode("by GET", ada.get(action+"?"+f.Encode()))
	noCode("without its ticket", ada.post(action, set(f, "flow", "")))
	noCode("asked not to ask", ada.get(request("prompt", "none")))
	// Mallory's own ticket, sent to ada's browser, is hers.
	_, hers := mallory.get(request("prompt", "consent")).form()
	hers.Set("decision", "allow")
	noCode("mallory's form in ada's browser", ada.post(action, hers))
	// Nor does a ticket for one request decide another.
	_, other := ada.get(request("scope", "openid")).form()
	other.Set("decision", "allow")
	other.Set("flow", f.Get("flow")[:len(f.Get("flow"))-2]+"xx")
	noCode("a ticket that was changed", ada.post(action, other))

	// Login CSRF: nobody is signed in as mallory by a form of hers.
	victim := s.browser()
	login, form := victim.get(request()).form()
	form.Set("username", "grace@contoso.example")
	form.Set("password", password)
	if p := victim.post(login, form, elsewhere...); p.status != 403 || victim.cookie() != nil {
		t.Errorf("signed in from elsewhere: %d", p.status)
	}
	// Nobody is signed out by a link or a form of somebody else's, with an ID token
	// of somebody else's either.
	_, m := s.redeem(mallory.get(request()).answer().Get("code"))
	for what, p := range map[string]*page{
		"a link":               ada.get("/oauth2/logout"),
		"mallory's ID token":   ada.get("/oauth2/logout?id_token_hint=" + m["id_token"].(string)),
		"a form":               ada.post("/oauth2/logout", nil, elsewhere...),
		"the page itself, GET": ada.get("/signout?decision=allow"),
	} {
		if ada.cookie() == nil {
			t.Fatalf("%s signed ada out: %d", what, p.status)
		}
	}
	// The request itself may be made by another site: it is answered with the state
	// and the challenge of who made it, so that its code is of use to nobody else.
	s.consented(s.Ada)
	q := ada.get(request("state", "mallory's", "code_challenge", strings.Repeat("m", 43))).answer()
	if q.Get("state") != "mallory's" {
		t.Errorf("state %q", q.Get("state"))
	}
	s.redeems(t, "a code for mallory's challenge, in ada's session with tripboard", false, codeForm(q.Get("code")))
}

// missing reports whether tripboard still lacks a consent.
func (s *site) missing(id directory.AppID, user directory.UserID) (bool, bool, error) {
	app, err := s.issue.App(s.t.Context(), id)
	if err != nil {
		return false, false, err
	}
	p, err := s.issue.Plan(s.t.Context(), app, allScopes, nil)
	if err != nil {
		return false, false, err
	}
	m, admin, err := s.issue.Missing(s.t.Context(), app, user, p)
	return len(m) > 0, admin, err
}

// everyPage visits every kind of page and answer in a browser that is signed in and
// in one that is not.
func everyPage(t *testing.T, s *site, visit func(what string, r *http.Request)) {
	t.Helper()
	for _, path := range []string{"/", "/signin", "/signin?next=/account", "/signin/password", "/choose", "/choose?next=/account", "/consent", "/device", "/device?user_code=BCDF-GHJK", "/signout", "/setup", "/account", "/account/password", "/nowhere",
		request(), request("prompt", "none"), request("prompt", "login"), request("prompt", "consent"), request("prompt", "select_account"), request("response_mode", "form_post"), request("redirect_uri", "https://"+evil), request("scope", "nonsense"),
		"/oauth2/logout", "/common/oauth2/v2.0/logout?post_logout_redirect_uri=" + goodbye, "/fabrikam.example/oauth2/v2.0/authorize", "/oauth2/authorize?posted=x"} {
		for _, method := range []string{"GET", "POST"} {
			r, err := http.NewRequest(method, s.srv.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if method == "POST" {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			visit(method+" "+path, r)
		}
	}
}

func TestNoPageIsFramed(t *testing.T) { // RFC 9700 §4.16
	t.Parallel()
	s, ada, _ := attack(t)
	ada.c.CheckRedirect = never
	nobody := s.browser()
	nobody.c.CheckRedirect = never
	everyPage(t, s, func(what string, r *http.Request) {
		for who, b := range map[string]*browser{"ada": ada, "nobody": nobody} {
			p := b.send(r.Clone(t.Context()))
			csp := p.header.Get("Content-Security-Policy")
			if p.header.Get("X-Frame-Options") != "DENY" || !strings.Contains(csp, "frame-ancestors 'none'") || !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
				t.Errorf("%s, %s: %d may be framed: %q", what, who, p.status, csp)
			}
		}
	})
	// The one page that may be: it carries an answer to a frame and asks nothing.
	p := nobody.get(request("prompt", "none", "response_mode", "form_post"))
	if _, f := p.form(); f.Get("error") != "login_required" || p.header.Get("X-Frame-Options") != "" {
		t.Errorf("prompt=none in a frame: %d\n%s", p.status, p.body)
	}
}

func TestCodesStayOutOfHistoryAndReferrers(t *testing.T) { // RFC 9700 §4.2, §4.3
	t.Parallel()
	s, ada, _ := attack(t)
	ada.c.CheckRedirect = never
	everyPage(t, s, func(what string, r *http.Request) {
		p := ada.send(r)
		if p.header.Get("Referrer-Policy") != "same-origin" || p.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d Referrer-Policy %q, Cache-Control %q", what, p.status, p.header.Get("Referrer-Policy"), p.header.Get("Cache-Control"))
		}
		if body := string(p.body); strings.Contains(body, `src="http`) || strings.Contains(body, `<link rel="stylesheet" href="http`) {
			t.Errorf("%s loads something from elsewhere:\n%s", what, body)
		}
	})
	// A posted answer has the code in its body only.
	p := ada.get(request("response_mode", "form_post"))
	_, f := p.form()
	if p.to != nil || len(f.Get("code")) < 20 || strings.Contains(p.url, f.Get("code")) {
		t.Errorf("form_post: %d at %s", p.status, p.url)
	}
	// The address with the code is not shown again: once used, it is worth nothing.
	s.redeems(t, "the code", true, codeForm(f.Get("code")))
	// No address takes a token.
	_, m := s.redeem(ada.get(request("scope", "openid")).answer().Get("code"))
	access := m["access_token"].(string)
	for _, path := range []string{"/oidc/userinfo?access_token=", "/account?access_token=", "/oauth2/introspect?client_id=mailroom&client_secret=" + secret + "&token="} {
		if p := s.browser().get(path + access); p.status == 200 && strings.Contains(string(p.body), "ada@") {
			t.Errorf("%s: %d", path, p.status)
		}
	}
}

func TestNoRedirectCarriesAForm(t *testing.T) { // RFC 9700 §4.12
	t.Parallel()
	s, ada, _ := attack(t)
	ada.c.CheckRedirect = never
	nobody := s.browser()
	nobody.c.CheckRedirect = never
	n := 0
	see := func(what string, p *page) {
		t.Helper()
		if p.status/100 == 3 {
			n++
			if p.status != http.StatusSeeOther {
				t.Errorf("%s: a redirect of kind %d to %v", what, p.status, p.to)
			}
		}
	}
	everyPage(t, s, func(what string, r *http.Request) {
		see(what+", nobody", nobody.send(r.Clone(t.Context())))
		see(what+", ada", ada.send(r))
	})
	// The ones that RFC 9700 warns of: password and consent, then away.
	p := nobody.get(request())
	see("the password", nobody.submit(p, "username", "ada@contoso.example", "password", password))
	p = ada.get(request("prompt", "consent"))
	see("the consent", ada.submit(p, "decision", "allow"))
	see("a posted request", ada.form("/oauth2/authorize", params().Encode()))
	see("a posted sign-out", ada.form("/oauth2/logout", ""))
	if n < 10 {
		t.Errorf("only %d redirects were seen", n)
	}
}

// The server is where it was configured to be, whatever a request or a proxy says.
func TestAttackHostAndForwardedHeaders(t *testing.T) { // RFC 9700 §4.13
	t.Parallel()
	s, ada, _ := attack(t)
	ada.c.CheckRedirect = never
	lies := func(r *http.Request) *http.Request {
		for _, name := range []string{"X-Forwarded-Host", "X-Host", "X-Original-Host", "X-Forwarded-Server"} {
			r.Header.Set(name, evil)
		}
		r.Header.Set("Forwarded", "for=203.0.113.66;host="+evil+";proto=http")
		r.Header.Set("X-Forwarded-Proto", "http")
		r.Header.Set("X-Forwarded-For", "203.0.113.66")
		r.Header.Set("X-Real-IP", "203.0.113.66")
		r.Header.Set("X-Forwarded-Prefix", "//"+evil)
		r.Header.Set("X-Original-URL", "//"+evil)
		// As a proxy would pass a certificate on; ours come from the connection.
		r.Header.Set("X-Client-Cert", "MIIB")
		r.Header.Set("X-SSL-Client-Cert", "MIIB")
		return r
	}
	clean := func(what string, p *page) {
		t.Helper()
		for name, values := range p.header {
			if strings.Contains(strings.Join(values, " "), evil) {
				t.Errorf("%s: the header %s says %q", what, name, values)
			}
		}
		if strings.Contains(string(p.body), evil) || strings.Contains(string(p.body), "203.0.113.66") {
			t.Errorf("%s repeats it:\n%s", what, p.body)
		}
	}
	everyPage(t, s, func(what string, r *http.Request) {
		if strings.Contains(what, evil) {
			return
		}
		clean(what, ada.send(lies(r.Clone(t.Context()))))
		r = lies(r)
		r.Host = evil
		clean(what+", as another host", ada.send(r))
	})
	for _, path := range []string{"/.well-known/openid-configuration", "/common/v2.0/.well-known/openid-configuration", "/oauth2/keys", "/.well-known/oauth-authorization-server", "/oidc/userinfo"} {
		r, _ := http.NewRequest("GET", s.srv.URL+path, nil)
		r = lies(r)
		r.Host = evil
		clean(path, ada.send(r))
	}
	// The page for devices names the address that the code was asked from, not the
	// one that somebody claims.
	r, _ := http.NewRequest("POST", s.srv.URL+"/oauth2/devicecode", strings.NewReader(url.Values{"client_id": {"tripboard"}, "scope": {"openid"}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r = lies(r)
	r.Host = evil
	p := ada.send(r)
	clean("a device code", p)
	m := decode(t, io.NopCloser(bytes.NewReader(p.body)))
	user, _ := m["user_code"].(string)
	p = ada.post("/device", url.Values{"user_code": {user}})
	if clean("the page for devices", p); !p.says("Connect a device") || !p.says("127.0.0.1") {
		t.Errorf("the page for devices does not say where the code was asked from:\n%s", p.body)
	}
}

// Requests that other sites post are kept until the browser asks for them: so many
// from one address.
func TestAttackFloodOfPostedRequests(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.browser()
	b.c.CheckRedirect = never
	kept, refused := 0, 0
	for i := range 330 {
		path, raw := "/oauth2/authorize", params().Encode()
		if i%2 == 0 {
			path, raw = "/oauth2/logout", "state=x"
		}
		switch p := b.form(path, raw); {
		case p.to != nil && p.to.Query().Get("posted") != "":
			kept++
		case p.to != nil && p.to.Query().Get("error") == "temporarily_unavailable", p.status == http.StatusTooManyRequests:
			refused++
		default:
			t.Fatalf("%d to %v", p.status, p.to)
		}
	}
	if kept != 300 || refused != 30 {
		t.Errorf("%d were kept, %d refused", kept, refused)
	}
	s.Clock.Add(time.Second)
	if p := b.form("/oauth2/authorize", params().Encode()); p.to == nil || p.to.Query().Get("posted") == "" {
		t.Errorf("a second later: %d to %v", p.status, p.to)
	}
}
