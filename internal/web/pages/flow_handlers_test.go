package pages_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

// The main journey, by forms only: sign in, consent, code, tokens, refresh, retry,
// reuse, revoke, and at once in again.
func TestFromSignInToRevocation(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.browser()
	p := b.get(request())
	if !p.want(200, "Sign in").says("Tripboard") {
		t.Error("the page does not say where one is going")
	}
	p = b.signIn(p, "ada").want(200, "Let Tripboard in?")
	for _, words := range []string{"Read your mail", "Sign you in", "Northwind Travel", "Not you?", "Not reviewed by contoso.example"} {
		if !p.says(words) {
			t.Errorf("the consent page does not say %q: %s", words, webkittest.Parse(t, p.body).Text())
		}
	}
	q := b.submit(p, "decision", "allow").answer()
	if q.Get("state") != "s-1 &=#" || q.Get("iss") != s.srv.URL+"/"+tenant+"/v2.0" || q.Get("error") != "" {
		t.Fatalf("answer %v", q)
	}
	status, first := s.redeem(q.Get("code"))
	if status != 200 {
		t.Fatalf("code: %d %v", status, first)
	}
	id := claims(t, first["id_token"].(string))
	if id["nonce"] != "n-1" || id["aud"] != "tripboard" || id["iss"] != q.Get("iss") || id["preferred_username"] != "ada@contoso.example" {
		t.Errorf("ID token %v", id)
	}
	_, second := s.refresh(first["refresh_token"].(string))
	_, retried := s.refresh(first["refresh_token"].(string))
	if second["refresh_token"] == nil || second["refresh_token"] != retried["refresh_token"] || second["access_token"] == retried["access_token"] {
		t.Errorf("a retry must get the same successor:\n%v\n%v", second, retried)
	}
	status, third := s.refresh(second["refresh_token"].(string))
	if status != 200 {
		t.Fatalf("refresh: %v", third)
	}
	if status, again := s.redeem(q.Get("code")); status != 400 || again["error"] != "invalid_grant" {
		t.Errorf("the code worked twice: %v", again)
	}
	if status, dead := s.refresh(third["refresh_token"].(string)); status != 400 || dead["suberror"] != "bad_token" {
		t.Errorf("what a replayed code gave lives on: %v", dead)
	}

	// Consent is remembered, and so is the session: no page at all.
	q = b.get(request()).answer()
	_, first = s.redeem(q.Get("code"))
	_, second = s.refresh(first["refresh_token"].(string))
	s.Clock.Add(2 * time.Minute)
	if status, reused := s.refresh(first["refresh_token"].(string)); status != 400 {
		t.Errorf("reuse: %v", reused)
	}
	if status, dead := s.refresh(second["refresh_token"].(string)); status != 400 {
		t.Errorf("a reused grant lives on: %v", dead)
	}

	q = b.get(request()).answer()
	pending := b.get(request()).answer().Get("code")
	_, first = s.redeem(q.Get("code"))
	s.Revoke(s.Ada)
	if status, dead := s.refresh(first["refresh_token"].(string)); status != 400 || fmt.Sprint(dead["error_codes"]) != "[50173]" {
		t.Errorf("revoked: %v", dead)
	}
	if status, dead := s.redeem(pending); status != 400 {
		t.Errorf("a code from before the revocation: %v", dead)
	}
	// The browser's session is over, too; and a new one works in the same second.
	q = b.signIn(b.get(request()), "ada").answer()
	if status, fresh := s.redeem(q.Get("code")); status != 200 {
		t.Errorf("no way back in: %v", fresh)
	}
}

func TestCookie(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, keep := range []bool{false, true} {
		b := s.browser()
		b.c.CheckRedirect = nil
		p := b.get("/signin")
		action, f := p.form()
		f.Set("username", "ada@contoso.example")
		f.Set("password", password)
		if keep {
			f.Set("kmsi", "1")
		}
		b.c.CheckRedirect = never
		line := b.post(action, f).header.Get("Set-Cookie")
		for _, part := range []string{"__Host-curfew=", "Path=/", "HttpOnly", "Secure", "SameSite=Lax"} {
			if !strings.Contains(line, part) {
				t.Errorf("cookie without %s: %s", part, line)
			}
		}
		if strings.Contains(line, "Max-Age") != keep || strings.Contains(line, "Domain") {
			t.Errorf("kept %v: %s", keep, line)
		}
	}
}

func TestWrongPairReadsTheSame(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.browser()
	p := b.get(request("login_hint", "ada@contoso.example"))
	if _, f := p.form(); f.Get("username") != "ada@contoso.example" {
		t.Errorf("login_hint is not filled in: %v", f)
	}
	wrong := b.submit(p, "username", "ada@contoso.example", "password", "not this one at all")
	nobody := b.submit(p, "username", "eve@contoso.example", "password", "not this one at all")
	wrong.want(422, "Error: Sign in")
	a := strings.ReplaceAll(string(wrong.body), "ada@", "x@")
	c := strings.ReplaceAll(string(nobody.body), "eve@", "x@")
	if a != c || wrong.status != nobody.status {
		t.Error("a wrong password and a wrong name can be told apart")
	}
	// The form that came back still leads to the application.
	s.consented(s.Ada)
	if q := b.submit(wrong, "username", "ada@contoso.example", "password", password).answer(); q.Get("code") == "" {
		t.Errorf("answer %v", q)
	}
}

func TestThrottledSaysWhen(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.browser()
	p := b.get("/signin")
	for range 10 {
		b.submit(p, "username", "nobody@contoso.example", "password", "x").want(422, "Error")
	}
	p = b.submit(p, "username", "nobody@contoso.example", "password", "x").want(429, "Error")
	if !p.says("Too many tries. Try again at 12:05.") || p.header.Get("Retry-After") == "" {
		t.Errorf("%v %s", p.header, webkittest.Parse(t, p.body).Text())
	}
}

func TestDisabledIsToldAfterTheRightPasswordOnly(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.Disable(s.Ada)
	b := s.browser()
	p := b.get("/signin")
	if !b.submit(p, "username", "ada@contoso.example", "password", password).want(403, "Error").says("This account is disabled.") {
		t.Error("not told")
	}
	if b.submit(p, "username", "ada@contoso.example", "password", "x").says("disabled") {
		t.Error("told to somebody who does not know the password")
	}
}

func TestPasswordThatMustBeChanged(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.consented(s.Ada)
	s.Update(func(tx *store.Tx) error {
		_, err := tx.ChangeUser(s.Ada.ID, store.UserChange{}, func(u *directory.User) error {
			u.Password.MustChange, u.Password.Version = true, u.Password.Version+1
			return nil
		})
		return err
	})
	b := s.browser()
	p := b.signIn(b.get(request()), "ada").want(200, "Change password")
	p = b.submit(p, "password", "copper harbour fig 77", "password2", "copper harbour fig 78").want(422, "Error")
	p = b.submit(p, "password", "short", "password2", "short").want(422, "Error")
	if b.cookie() != nil {
		t.Error("signed in before the change")
	}
	q := b.submit(p, "password", "copper harbour fig 77", "password2", "copper harbour fig 77").answer()
	if q.Get("code") == "" || b.cookie() == nil {
		t.Errorf("answer %v", q)
	}
	// The ticket is used up.
	if x := b.submit(p, "password", "yet another fig 78 x", "password2", "yet another fig 78 x"); x.status != 403 {
		t.Errorf("ticket good twice: %d", x.status)
	}
}

// prompt=login and max_age ask once, cannot be skipped, and do not loop.
func TestFreshSignIn(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.consented(s.Ada)
	s.consented(s.Grace)
	for name, change := range map[string][]string{"prompt=login": {"prompt", "login"}, "max_age=0": {"max_age", "0"}, "max_age": {"max_age", "60"}, "both": {"prompt", "login", "max_age", "0"}} {
		t.Run(name, func(t *testing.T) {
			b := s.browser()
			b.signIn(b.get("/signin"), "ada")
			s.Clock.Add(2 * time.Minute)
			p := b.get(request(change...)).want(200, "Sign in")
			b.c.CheckRedirect = never
			back := b.signIn(p, "ada")
			proven := back.to.String()
			if !strings.Contains(proven, "curfew_proof=") {
				t.Fatalf("back to %s", proven)
			}
			if q := b.get(proven).answer(); q.Get("code") == "" {
				t.Errorf("asked again: %v", q)
			}
			// The proof is for this request: not for another, not under another sign-in.
			s.Clock.Add(2 * time.Minute)
			_, proof, _ := strings.Cut(proven, "curfew_proof=")
			b.get(request(append(change, "state", "other")...)+"&curfew_proof="+proof).want(200, "Sign in")
			other := s.browser()
			other.signIn(other.get("/signin"), "grace")
			s.Clock.Add(2 * time.Minute)
			other.get(proven).want(200, "Sign in")
			// And not for ever.
			s.Clock.Add(11 * time.Minute)
			b.get(proven).want(200, "Sign in")
			b.get(strings.Replace(proven, "curfew_proof=", "curfew_proof=x", 1)).want(200, "Sign in")
		})
	}
	b := s.browser()
	b.signIn(b.get("/signin"), "ada")
	if q := b.get(request("max_age", "60")).answer(); q.Get("code") == "" {
		t.Errorf("asked though fresh: %v", q)
	}
}

func TestPromptNone(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.browser()
	for _, mode := range []string{"query", "fragment"} {
		if q := b.get(request("prompt", "none", "response_mode", mode)).answer(); q.Get("error") != "login_required" || q.Get("state") != "s-1 &=#" || q.Get("iss") == "" {
			t.Errorf("nobody: %v", q)
		}
	}
	b.signIn(b.get("/signin"), "ada")
	if q := b.get(request("prompt", "none")).answer(); q.Get("error") != "consent_required" {
		t.Errorf("no consent: %v", q)
	}
	s.consented(s.Ada)
	if q := b.get(request("prompt", "none")).answer(); q.Get("code") == "" {
		t.Errorf("all there: %v", q)
	}
	if q := b.get(request("prompt", "none", "login_hint", "grace@contoso.example")).answer(); q.Get("error") != "login_required" {
		t.Errorf("somebody else: %v", q)
	}
	if q := b.get(request("prompt", "none login")).answer(); q.Get("error") != "invalid_request" {
		t.Errorf("none and login: %v", q)
	}
	s.Clock.Add(2 * time.Minute)
	if q := b.get(request("prompt", "none", "max_age", "60")).answer(); q.Get("error") != "login_required" {
		t.Errorf("too old: %v", q)
	}
	// In another site's frame a form carries the answer, and must be let in there.
	p := b.get(request("prompt", "none", "response_mode", "form_post")).want(200, "Back to Tripboard")
	if p.header.Get("X-Frame-Options") != "" || strings.Contains(p.header.Get("Content-Security-Policy"), "frame-ancestors") {
		t.Errorf("framing: %v", p.header)
	}
	s.Revoke(s.Ada)
	if q := b.get(request("prompt", "none")).answer(); q.Get("error") != "login_required" {
		t.Errorf("revoked: %v", q)
	}
}

func TestResponseModes(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.consented(s.Ada)
	b := s.browser()
	b.signIn(b.get("/signin"), "ada")
	p := b.get(request("response_mode", "fragment"))
	if p.to == nil || p.to.RawQuery != "" || p.answer().Get("code") == "" {
		t.Errorf("fragment: %v", p.to)
	}
	p = b.get(request("redirect_uri", callback+"?fixed=1"))
	if q := p.answer(); q.Get("fixed") != "1" || q.Get("code") == "" {
		t.Errorf("a redirect URI with a query: %v", p.to)
	}
	p = b.get(request("response_mode", "form_post", "redirect_uri", "http://localhost:53123")).want(200, "Back to Tripboard")
	action, f := p.form()
	if action != "http://localhost:53123" || f.Get("code") == "" || f.Get("state") != "s-1 &=#" || f.Get("iss") == "" {
		t.Errorf("form: %s %v", action, f)
	}
	if strings.Contains(p.header.Get("Content-Security-Policy"), "form-action") || p.header.Get("X-Frame-Options") != "DENY" {
		t.Errorf("policy: %v", p.header)
	}
	if q := b.get(request("response_mode", "form_post", "redirect_uri", "trip.board://cb")).answer(); q.Get("error") != "invalid_request" {
		t.Errorf("a form to an application's own scheme: %v", q)
	}
	if p := b.get(request("redirect_uri", "trip.board://cb")); p.to == nil || p.to.Scheme != "trip.board" || p.answer().Get("code") == "" {
		t.Errorf("own scheme: %v", p.to)
	}
}

// The pages whose form ends at an application carry no form-action: Chromium holds
// the redirect against it. The others do.
func TestFormActionOnlyWhereTheFormStays(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.browser()
	signIn := b.get(request())
	consent := b.signIn(signIn, "ada")
	choose := b.get(request("prompt", "select_account"))
	for name, p := range map[string]*page{"sign in": signIn, "consent": consent, "choose": choose} {
		if csp := p.header.Get("Content-Security-Policy"); csp == "" || strings.Contains(csp, "form-action") {
			t.Errorf("%s: %q", name, csp)
		}
	}
	for _, path := range []string{"/account", "/account/password", "/device"} {
		if csp := b.get(path).header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self'") {
			t.Errorf("%s: %q", path, csp)
		}
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.consented(s.Ada)
	s.consented(s.Grace)
	b := s.browser()
	// Nobody signed in: signing in is choosing.
	if q := b.signIn(b.get(request("prompt", "select_account")), "ada").answer(); q.Get("code") == "" {
		t.Errorf("after signing in: %v", q)
	}
	p := b.get(request("prompt", "select_account")).want(200, "Which account?")
	account := webkittest.Parse(t, p.body).All("button")[0].Attr["value"]
	if q := b.submit(p, "account", account).answer(); q.Get("code") == "" {
		t.Errorf("one click: %v", q)
	}
	q := b.signIn(b.submit(p, "account", "other"), "grace").answer()
	_, tokens := s.redeem(q.Get("code"))
	if id := claims(t, tokens["id_token"].(string)); id["preferred_username"] != "grace@contoso.example" {
		t.Errorf("signed in as %v", id["preferred_username"])
	}
	// The first page is stale now: it must not choose for somebody else.
	b.submit(p, "account", account).want(200, "Which account?")
	if q := b.get(request("login_hint", "grace@contoso.example")).answer(); q.Get("code") == "" {
		t.Errorf("hint of who is there: %v", q)
	}
	b.get(request("login_hint", "ada@contoso.example")).want(200, "Sign in")
}

func TestConsent(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.browser()
	p := b.signIn(b.get(request()), "ada").want(200, "Let Tripboard in?")
	if q := b.submit(p, "decision", "deny").answer(); q.Get("error") != "access_denied" || !strings.HasPrefix(q.Get("error_description"), "AADSTS65004") {
		t.Errorf("denied: %v", q)
	}
	// Not you? leads to the chooser and from there to the application.
	var notYou string
	for _, a := range webkittest.Parse(t, p.body).All("a") {
		if strings.HasPrefix(a.Attr["href"], "/choose") {
			notYou = a.Attr["href"]
		}
	}
	other := b.get(notYou).want(200, "Which account?")
	b.signIn(b.submit(other, "account", "other"), "grace").want(200, "Let Tripboard in?")
	// The page was made for ada: allowing on it now asks grace again.
	before := s.consents(s.Grace)
	b.submit(p, "decision", "allow").want(200, "Let Tripboard in?")
	if s.consents(s.Grace) != before || s.consents(s.Ada) != 0 {
		t.Error("somebody else's page consented")
	}
	// A page that showed less than is asked now decides nothing, either.
	p = b.get(request("scope", "openid")).want(200, "Let")
	_, f := p.form()
	wide := b.get(request())
	_, g := wide.form()
	if f.Get("flow") == g.Get("flow") {
		t.Fatal("the flow does not depend on what is shown")
	}
	if q := b.submit(p, "decision", "allow").answer(); q.Get("code") == "" {
		t.Errorf("narrow: %v", q)
	}
	b.get(request()).want(200, "Let Tripboard in?")
	// A forged or foreign flow is no decision.
	b.post("/consent", url.Values{"decision": {"allow"}, "flow": {f.Get("flow") + "x"}}).want(400, "This request")
	// What needs an administrator is not offered.
	p = b.get(request("scope", "openid api://mail/Mail.Purge")).want(403, "An administrator has to allow this")
	if !p.says("AADSTS90094") {
		t.Errorf("%s", webkittest.Parse(t, p.body).Text())
	}
	if q := b.get(request("scope", "openid", "prompt", "consent")); q.status != 200 || !strings.HasPrefix(q.title(), "Let") {
		t.Errorf("prompt=consent: %d", q.status)
	}
}

// MSAL Go asks for a resource's scope alone and names OpenID Connect's when it
// redeems the code: the person is asked about them before, and an application that
// names none at all gets none.
func TestConsentCoversWhatIsNamedAtRedemption(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.browser()
	p := b.signIn(b.get(request("scope", "api://mail/Mail.Read")), "ada").want(200, "Let Tripboard in?")
	for _, words := range []string{"Read your mail", "Sign you in", "Stay connected while you are away"} {
		if !p.says(words) {
			t.Errorf("the consent page does not say %q", words)
		}
	}
	code := b.submit(p, "decision", "allow").answer().Get("code")
	redeem := url.Values{"grant_type": {"authorization_code"}, "client_id": {"tripboard"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier},
		"scope": {"api://mail/Mail.Read openid offline_access profile"}}
	if status, m := s.token(redeem); status != 200 || m["id_token"] == nil || m["refresh_token"] == nil {
		t.Errorf("named at redemption: %d %v", status, m)
	}
	if status, m := s.redeem(b.get(request("scope", "api://mail/Mail.Read")).answer().Get("code")); status != 200 || m["id_token"] != nil || m["refresh_token"] != nil {
		t.Errorf("never named: %d %v", status, m)
	}
	// The plain layout gives what the authorization request named.
	s2 := open(t)
	b = s2.browser()
	p = b.signIn(b.get(strings.Replace(request("scope", "api://mail/Mail.Read"), "/common/oauth2/v2.0/", "/oauth2/", 1)), "ada").want(200, "Let Tripboard in?")
	if p.says("Stay connected while you are away") {
		t.Error("the plain layout asks for more than was asked for")
	}
}

// The registration grows while somebody reads the consent page: what was decided is
// what was shown, so the page comes again.
func TestConsentIsForWhatWasShown(t *testing.T) {
	t.Parallel()
	s := open(t)
	change := func(scopes ...string) {
		s.Update(func(tx *store.Tx) error {
			app := *s.App
			app.Permissions = []directory.Permission{{Resource: "api://mail", Scopes: scopes}}
			return tx.SaveApp(&app)
		})
	}
	s.Update(func(tx *store.Tx) error {
		return tx.SaveResource(&directory.Resource{ID: "api://mail", Name: "Mail", Scopes: []directory.Scope{{Name: "Mail.Read", Text: "Read your mail"}, {Name: "Mail.Send", Text: "Send mail as you"}}})
	})
	change("Mail.Read")
	b := s.browser()
	p := b.signIn(b.get(request("scope", "api://mail/.default")), "ada").want(200, "Let Tripboard in?")
	change("Mail.Read", "Mail.Send")
	p = b.submit(p, "decision", "allow").want(200, "Let Tripboard in?")
	if !p.says("Send mail as you") || s.consents(s.Ada) != 0 {
		t.Fatal("consented to what was not shown")
	}
	if q := b.submit(p, "decision", "allow").answer(); q.Get("code") == "" {
		t.Errorf("answer %v", q)
	}
}

func (s *site) consents(u *directory.User) (n int) {
	s.Read(func(tx *store.Tx) error {
		cs, err := tx.Consents(u.ID, "tripboard")
		n = len(cs)
		return err
	})
	return n
}

// A posted request from another site: put aside, then fetched with the cookie.
func TestPostedRequest(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.consented(s.Ada)
	b := s.browser()
	b.signIn(b.get("/signin"), "ada")
	cross := []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://tripboard.example"}
	if q := b.post("/common/oauth2/v2.0/authorize", params(), cross...).answer(); q.Get("code") == "" || q.Get("state") != "s-1 &=#" {
		t.Errorf("posted: %v", q)
	}
	if q := b.post("/oauth2/authorize", params(), cross...).answer(); q.Get("iss") != s.srv.URL {
		t.Errorf("plain issuer: %v", q)
	}
	big := params("state", strings.Repeat("s", 8000))
	if q := b.post("/common/oauth2/v2.0/authorize", big, cross...).answer(); len(q.Get("state")) != 8000 {
		t.Errorf("long state: %d", len(q.Get("state")))
	}
	if q := s.browser().post("/common/oauth2/v2.0/authorize", params("prompt", "none"), cross...).answer(); q.Get("error") != "login_required" {
		t.Errorf("prompt=none: %v", q)
	}
	// Signing in on the way, and a long time on it.
	c := s.browser()
	p := c.post("/common/oauth2/v2.0/authorize", params(), cross...)
	if q := c.signIn(p, "ada").answer(); q.Get("code") == "" {
		t.Errorf("signed in on the way: %v", q)
	}
	late := c.post("/common/oauth2/v2.0/authorize", params("prompt", "login"), cross...)
	s.Clock.Add(11 * time.Minute)
	c.signIn(late, "ada").want(404, "There is nothing here")
}

func TestDevice(t *testing.T) {
	t.Parallel()
	s := open(t)
	ask := func() (device, user string) {
		res, err := s.srv.Client().PostForm(s.srv.URL+"/common/oauth2/v2.0/devicecode", url.Values{"client_id": {"tripboard"}, "scope": {allScopes}})
		if err != nil {
			t.Fatal(err)
		}
		m := decode(t, res.Body)
		return m["device_code"].(string), m["user_code"].(string)
	}
	poll := func(device string) (int, map[string]any) {
		return s.token(url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {"tripboard"}, "device_code": {device}})
	}
	device, user := ask()
	b := s.browser()
	p := b.signIn(b.get("/device?user_code="+user), "ada").want(200, "Connect a device")
	if _, f := p.form(); f.Get("user_code") != user {
		t.Errorf("code not carried over: %v", f)
	}
	p = b.submit(p, "user_code", strings.ToLower(strings.ReplaceAll(user, "-", " "))).want(200, "Connect a device")
	for _, words := range []string{"Tripboard", user, "127.0.0.1", "If you did not start this, somebody else did"} {
		if !p.says(words) {
			t.Errorf("the page does not say %q", words)
		}
	}
	if _, m := poll(device); m["error"] != "authorization_pending" {
		t.Errorf("before: %v", m)
	}
	// Tripboard is a third party's: what it may do is asked here as anywhere.
	p = b.submit(p, "decision", "allow").want(200, "Let Tripboard in?")
	if _, m := poll(device); m["error"] != "authorization_pending" {
		t.Errorf("without consent: %v", m)
	}
	b.submit(p, "decision", "allow").want(200, "Device connected")
	if status, m := poll(device); status != 200 || m["refresh_token"] == nil {
		t.Errorf("allowed: %v", m)
	}
	device, user = ask()
	p = b.submit(b.get("/device"), "user_code", user)
	b.submit(p, "decision", "deny").want(200, "Not connected")
	if _, m := poll(device); m["error"] != "access_denied" {
		t.Errorf("denied: %v", m)
	}
	// The decision needs the page: a bare form decides nothing.
	device, user = ask()
	b.post("/device", url.Values{"user_code": {user}, "decision": {"allow"}}).want(200, "Connect a device")
	if _, m := poll(device); m["error"] != "authorization_pending" {
		t.Errorf("without the page: %v", m)
	}
	// Approved, then revoked before the device asked.
	b.submit(b.submit(b.get("/device"), "user_code", user), "decision", "allow").want(200, "Device connected")
	s.Revoke(s.Ada)
	if _, m := poll(device); m["error"] != "invalid_grant" {
		t.Errorf("revoked: %v", m)
	}
}

func TestWrongDeviceCodesAreThrottled(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.browser()
	p := b.signIn(b.get("/device"), "ada").want(200, "Connect a device")
	for range 10 {
		b.submit(p, "user_code", "BCDF-GHJK").want(422, "Error")
	}
	b.submit(p, "user_code", "BCDF-GHJK").want(429, "Error")
	other := s.browser()
	q := other.signIn(other.get("/device"), "grace")
	other.submit(q, "user_code", "BCDF-GHJK").want(422, "Error")
	s.Clock.Add(11 * time.Minute)
	b.submit(p, "user_code", "BCDF-GHJK").want(422, "Error")
}
