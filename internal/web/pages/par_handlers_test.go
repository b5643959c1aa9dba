package pages_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/store"
)

// push pushes a request at the tenant's issuer and returns where the browser goes.
func (s *site) push(t *testing.T, f url.Values) (to, uri string) {
	t.Helper()
	status, m := s.api(t, "/common/oauth2/v2.0/par", f)
	uri, _ = m["request_uri"].(string)
	if status != 201 || uri == "" || m["expires_in"] != 90.0 {
		t.Fatalf("push: %d %v", status, m)
	}
	return "/common/oauth2/v2.0/authorize?" + url.Values{"client_id": {f.Get("client_id")}, "request_uri": {uri}}.Encode(), uri
}

// api posts a form to an endpoint for applications.
func (s *site) api(t *testing.T, path string, f url.Values) (status int, m map[string]any) {
	t.Helper()
	return s.post(path, f.Encode())
}

// register changes a registration.
func (s *site) register(id directory.AppID, f func(*directory.App)) {
	s.t.Helper()
	s.Update(func(tx *store.Tx) error {
		app, err := tx.App(id)
		if err != nil {
			return err
		}
		next := *app
		f(&next)
		return tx.SaveApp(&next)
	})
}

func TestAPushedRequestGoesThroughSignInAndConsentOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.browser()
	to, _ := s.push(t, params())
	p := b.signIn(b.get(to), "ada").want(200, "Let Tripboard in")
	q := b.submit(p, "decision", "allow").answer()
	if q.Get("state") != "s-1 &=#" || q.Get("iss") == "" {
		t.Fatalf("answer %v", q)
	}
	if status, m := s.redeem(q.Get("code")); status != 200 {
		t.Errorf("%v", m)
	}
	if p := b.get(to); p.to != nil || p.status != 400 || !p.says("invalid_request_uri") {
		t.Errorf("a second time: %d to %v", p.status, p.to)
	}
}

func TestAPushedRequestIsOver(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.browser()
	s.consented(s.Ada)
	to, _ := s.push(t, params())
	s.Clock.Add(90 * time.Second)
	if p := b.get(to); p.to != nil || p.status != 400 || !p.says("invalid_request_uri") {
		t.Errorf("nobody came for it in time: %d to %v", p.status, p.to)
	}
	// Who came in time may take the time to sign in, but not for ever.
	to, _ = s.push(t, params())
	p := b.get(to).want(200, "Sign in")
	s.Clock.Add(5 * time.Minute)
	if q := b.signIn(p, "ada").answer(); q.Get("code") == "" {
		t.Errorf("after five minutes of typing: %v", q)
	}
	to, _ = s.push(t, params("prompt", "login"))
	p = b.get(to).want(200, "Sign in")
	s.Clock.Add(12 * time.Minute)
	if p := b.signIn(p, "ada"); p.to != nil || p.status != 400 {
		t.Errorf("after twelve: %d to %v", p.status, p.to)
	}
}

func TestARequestPushedByAnotherOrElsewhereIsNotAnybodys(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.browser()
	b.signIn(b.get("/signin"), "ada")
	s.consented(s.Ada)
	to, uri := s.push(t, params())
	for name, path := range map[string]string{
		"another client's":     strings.Replace(to, "tripboard", "mailroom", 1),
		"at the other issuer":  strings.Replace(to, "/common/oauth2/v2.0", "/oauth2", 1),
		"without a client":     "/common/oauth2/v2.0/authorize?request_uri=" + url.QueryEscape(uri),
		"guessed":              strings.Replace(to, uri[len(uri)-5:], "AAAAA", 1),
		"twice in one address": to + "&request_uri=" + url.QueryEscape(uri),
	} {
		if p := b.get(path); p.to != nil || p.status != 400 {
			t.Errorf("%s: %d to %v", name, p.status, p.to)
		}
	}
	// What the address says beside it does not count.
	q := b.get(to + "&redirect_uri=https://evil.example/cb&state=mallory&scope=nonsense").answer()
	if q.Get("code") == "" || q.Get("state") != "s-1 &=#" {
		t.Errorf("answer %v", q)
	}
}

func TestAPushedRequestBecomesThePersonsWhenItIsApproved(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.browser()
	b.signIn(b.get("/signin"), "ada")
	s.consented(s.Ada)
	to, _ := s.push(t, params())
	s.Revoke(s.Ada) // ends what is ada's; the request is nobody's
	p := b.get(to).want(200, "Sign in")
	if q := b.signIn(p, "ada").answer(); q.Get("code") == "" {
		t.Errorf("approved after the revocation: %v", q)
	}
	to, _ = s.push(t, params())
	q := b.get(to).answer()
	s.Revoke(s.Ada) // now it is hers, and so is its code
	if status, m := s.redeem(q.Get("code")); status != 400 || m["error"] != "invalid_grant" {
		t.Errorf("approved before the revocation: %d %v", status, m)
	}
}

func TestWhatCannotBeAskedForCannotBePushed(t *testing.T) {
	t.Parallel()
	s := open(t)
	before := s.writes.Load()
	for name, x := range map[string]struct {
		f    url.Values
		code string
	}{
		"an address that is not registered": {params("redirect_uri", "https://evil.example/cb"), "invalid_request"},
		"no address":                        {params("redirect_uri", ""), "invalid_request"},
		"a request_uri":                     {params("request_uri", "urn:ietf:params:oauth:request_uri:x"), "invalid_request"},
		"a request object":                  {params("request", "x.y.z"), "request_not_supported"},
		"a response type of old":            {params("response_type", "token"), "unsupported_response_type"},
		"no response type":                  {params("response_type", ""), "invalid_request"},
		"no challenge":                      {params("code_challenge", "", "code_challenge_method", ""), "invalid_request"},
		"a plain challenge":                 {params("code_challenge_method", "plain"), "invalid_request"},
		"a scope that is not":               {params("scope", "api://mail/Nothing"), "invalid_scope"},
		"a resource that is not":            {params("resource", "api://nowhere"), "invalid_target"},
		"a dpop_jkt that is none":           {params("dpop_jkt", "x"), "invalid_request"},
		"claims that are none":              {params("claims", "[]"), "invalid_request"},
		"no client":                         {params("client_id", ""), "invalid_request"},
		"an unknown client":                 {params("client_id", "nobody"), "invalid_client"},
		"a client that must prove itself":   {params("client_id", "mailroom", "redirect_uri", "https://mailroom.example/cb"), "invalid_client"},
		"a wrong secret":                    {params("client_id", "mailroom", "client_secret", "x", "redirect_uri", "https://mailroom.example/cb"), "invalid_client"},
		"far too much":                      {params("ui_locales", strings.Repeat("a", 40000)), "invalid_request"},
	} {
		if status, m := s.api(t, "/common/oauth2/v2.0/par", x.f); status < 400 || status > 499 || m["error"] != x.code || m["error_description"] == "" {
			t.Errorf("%s: %d %v", name, status, m)
		}
	}
	for _, name := range []string{"client_id", "redirect_uri", "state", "request_uri", "dpop_jkt"} {
		f := params(name, "x")
		f[name] = append(f[name], "x")
		if status, m := s.api(t, "/oauth2/par", f); status != 400 || m["error"] != "invalid_request" {
			t.Errorf("%s doubled: %d %v", name, status, m)
		}
	}
	if n := s.writes.Load() - before; n != 0 {
		t.Errorf("%d statements wrote something", n)
	}
}

func TestAnApplicationThatMustPushIsNotAnsweredOtherwise(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.register("tripboard", func(a *directory.App) { a.RequirePAR = true })
	s.consented(s.Ada)
	b := s.browser()
	b.signIn(b.get("/signin"), "ada")
	if q := b.get(request()).answer(); q.Get("error") != "invalid_request" || q.Get("code") != "" {
		t.Errorf("not pushed: %v", q)
	}
	if q := b.post("/oauth2/authorize", params()).answer(); q.Get("error") != "invalid_request" {
		t.Errorf("not pushed but posted: %v", q)
	}
	to, _ := s.push(t, params())
	if q := b.get(to).answer(); q.Get("code") == "" {
		t.Errorf("pushed: %v", q)
	}
	// A form may bring the browser, too.
	_, uri := s.push(t, params())
	if q := b.post("/common/oauth2/v2.0/authorize", url.Values{"client_id": {"tripboard"}, "request_uri": {uri}}).answer(); q.Get("code") == "" {
		t.Errorf("pushed and posted: %v", q)
	}
}

func TestAnEssentialContextThatCannotBeReachedIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.consented(s.Ada)
	b := s.browser()
	for name, x := range map[string]struct {
		change []string
		code   string // of the error; empty: goes on
	}{
		"essential, unknown":          {[]string{"claims", `{"id_token":{"acr":{"essential":true,"values":["urn:x:gold"]}}}`}, "unmet_authentication_requirements"},
		"essential, in the token":     {[]string{"claims", `{"access_token":{"acrs":{"essential":true,"value":"gold"}}}`}, "unmet_authentication_requirements"},
		"a context, which may exist":  {[]string{"claims", `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`}, ""},
		"essential, ours":             {[]string{"claims", `{"id_token":{"acr":{"essential":true,"values":["urn:x:gold","1"]}}}`}, ""},
		"essential, any":              {[]string{"claims", `{"id_token":{"acr":{"essential":true},"auth_time":null}}`}, ""},
		"a wish":                      {[]string{"claims", `{"id_token":{"acr":{"values":["urn:x:gold"]}}}`}, ""},
		"a wish, in acr_values":       {[]string{"acr_values", "urn:x:gold"}, ""},
		"of the wrong sort":           {[]string{"claims", `{"id_token":{"acr":7}}`}, "invalid_request"},
		"acr_values far too long":     {[]string{"acr_values", strings.Repeat("x ", 2000)}, "invalid_request"},
		"a claims challenge answered": {[]string{"claims", `{"access_token":{"nbf":{"essential":true,"value":"1772453040"}}}`}, ""},
	} {
		p := b.get(request(x.change...))
		if x.code == "" {
			p.want(200, "Sign in")
		} else if q := p.answer(); q.Get("error") != x.code {
			t.Errorf("%s: %v", name, q)
		}
	}
}
