package pages_test

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

// inFor signs ada in to tripboard in a new browser, and returns its ID token.
func (s *site) inFor() (*browser, string) {
	s.t.Helper()
	b := s.browser()
	q := b.signIn(b.get(request()), "ada").answer()
	_, tokens := s.redeem(q.Get("code"))
	return b, tokens["id_token"].(string)
}

func sidOf(t *testing.T, idToken string) string {
	t.Helper()
	var c struct{ SID string }
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(idToken, ".")[1])
	if err != nil || json.Unmarshal(b, &c) != nil || c.SID == "" {
		t.Fatalf("no sid in %s", b)
	}
	return c.SID
}

func (b *browser) alive() bool { return b.get("/account").title() != "Sign in – curfew" }

// The modules of oidcc-rp-initiated-logout-certification-test-plan, by what each
// sends and what must come of it.
func TestRPInitiatedLogoutModules(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.consented(s.Ada)
	_, foreign := s.inFor()
	spoil := func(token string, f func(parts []string)) string {
		parts := strings.Split(token, ".")
		f(parts)
		return strings.Join(parts, ".")
	}
	for _, c := range []struct {
		module string
		query  func(hint string) url.Values
		// to: sent there; asks: the person is asked first; neither: an error page.
		to   string
		asks bool
	}{
		{"rp-initiated-logout", func(h string) url.Values {
			return url.Values{"id_token_hint": {h}, "post_logout_redirect_uri": {goodbye}, "state": {"s&1"}}
		}, goodbye + "?state=s%261", false},
		{"rp-initiated-logout-no-state", func(h string) url.Values {
			return url.Values{"id_token_hint": {h}, "post_logout_redirect_uri": {goodbye}}
		}, goodbye, false},
		{"with an empty state", func(h string) url.Values {
			return url.Values{"id_token_hint": {h}, "post_logout_redirect_uri": {goodbye}, "state": {""}}
		}, goodbye + "?state=", false},
		{"with client_id and all hints", func(h string) url.Values {
			return url.Values{"id_token_hint": {h}, "client_id": {"tripboard"}, "post_logout_redirect_uri": {goodbye}, "logout_hint": {"ada@contoso.example"}, "ui_locales": {"fr-CA en"}}
		}, goodbye, false},
		{"rp-initiated-logout-no-redirect (no post_logout_redirect_uri)", func(h string) url.Values { return url.Values{"id_token_hint": {h}, "state": {"s"}} }, "", false},
		{"rp-initiated-logout-bad-id-token-hint", func(h string) url.Values {
			return url.Values{"id_token_hint": {"nonsense"}, "post_logout_redirect_uri": {goodbye}}
		}, "error", false},
		{"rp-initiated-logout-modified-id-token-hint", func(h string) url.Values {
			return url.Values{"id_token_hint": {spoil(h, func(p []string) { p[1] = p[1][:8] + "AAAA" + p[1][12:] })}, "post_logout_redirect_uri": {goodbye}}
		}, "error", false},
		{"a hint that nobody signed", func(h string) url.Values {
			return url.Values{"id_token_hint": {spoil(h, func(p []string) { p[0], p[2] = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)), "" })}, "post_logout_redirect_uri": {goodbye}}
		}, "error", false},
		{"rp-initiated-logout-no-id-token-hint", func(string) url.Values {
			return url.Values{"post_logout_redirect_uri": {goodbye}, "state": {"s"}}
		}, "", true},
		{"rp-initiated-logout-bad-post-logout-redirect-uri", func(h string) url.Values {
			return url.Values{"id_token_hint": {h}, "post_logout_redirect_uri": {"https://evil.example/"}}
		}, "error", false},
		{"rp-initiated-logout-query-added-to-post-logout-redirect-uri", func(h string) url.Values {
			return url.Values{"id_token_hint": {h}, "post_logout_redirect_uri": {goodbye + "?foo=bar"}}
		}, "error", false},
		{"rp-initiated-logout-only-state", func(string) url.Values { return url.Values{"state": {"s"}} }, "", true},
		{"rp-initiated-logout-no-params", func(string) url.Values { return nil }, "", true},
		{"a hint of another session", func(string) url.Values {
			return url.Values{"id_token_hint": {foreign}, "post_logout_redirect_uri": {goodbye}}
		}, "", true},
	} {
		for _, endpoint := range []string{"/common/oauth2/v2.0/logout", "/oauth2/logout"} {
			for _, method := range []string{"GET", "POST"} {
				name := c.module + " by " + method + " at " + endpoint
				b, hint := s.inFor()
				var p *page
				if method == "GET" {
					p = b.get(endpoint + "?" + c.query(hint).Encode())
				} else if p = b.post(endpoint, c.query(hint), "Sec-Fetch-Site", "cross-site", "Origin", "https://tripboard.example"); p.status == 303 && p.to.Query().Has("posted") {
					p = b.get(p.to.String())
				}
				switch {
				case c.to == "error":
					if p.to != nil || p.status != 400 || !b.alive() {
						t.Errorf("%s: %d to %v, signed in %v", name, p.status, p.to, b.alive())
					}
					continue
				case c.asks:
					if p.want(200, "Sign out?"); p.header.Get("Refresh") != "" || !b.alive() {
						t.Errorf("%s: not asked first", name)
					}
					continue
				case c.to != "":
					if p.to == nil || p.to.String() != c.to {
						t.Errorf("%s: %d to %v, want %s", name, p.status, p.to, c.to)
					}
				default:
					p.want(200, "Signed out")
				}
				if b.cookie() != nil || b.alive() {
					t.Errorf("%s: still signed in", name)
				}
				if q := b.get(request("prompt", "none")).answer(); q.Get("error") != "login_required" {
					t.Errorf("%s: prompt=none afterwards: %v", name, q)
				}
			}
		}
	}
}

// Microsoft's libraries send the address to return to and no name. The person
// confirms, and it must be registered for an application of this very session.
func TestAnAddressToReturnToWithoutAName(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.consented(s.Ada)
	const path = "/common/oauth2/v2.0/logout?post_logout_redirect_uri="
	b, _ := s.inFor()
	if p := b.submit(b.get(path+url.QueryEscape(goodbye)+"&state=s").want(200, "Sign out?"), "decision", "allow"); p.to == nil || p.to.String() != goodbye+"?state=s" {
		t.Errorf("of an application of the session: %d %v", p.status, p.to)
	}
	for name, to := range map[string]string{"registered nowhere": "https://evil.example/", "not registered exactly": goodbye + "/", "no address": "javascript:alert(1)"} {
		b, _ := s.inFor()
		p := b.submit(b.get(path+url.QueryEscape(to)).want(200, "Sign out?"), "decision", "allow").want(200, "Signed out")
		if p.to != nil || strings.Contains(string(p.body), to) || p.header.Get("Refresh") != "" {
			t.Errorf("%s: leads to %s", name, to)
		}
	}
	// Of an application that this session has nothing to do with, and with nobody signed in.
	b = s.browser()
	b.signIn(b.get("/signin"), "ada")
	if p := b.submit(b.get(path+url.QueryEscape(goodbye)).want(200, "Sign out?"), "decision", "allow").want(200, "Signed out"); strings.Contains(string(p.body), goodbye) {
		t.Error("an application that was not used here gets a link")
	}
	if p := b.get(path+url.QueryEscape(goodbye)).want(200, "Signed out"); strings.Contains(string(p.body), goodbye) {
		t.Error("nobody is signed in, and there is a link")
	}
}

// An ID token that has expired is still a hint, for its own session only.
func TestAnExpiredHintIsAHint(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.consented(s.Ada)
	b, hint := s.inFor()
	s.Clock.Add(3 * time.Hour)
	if p := b.get("/oauth2/logout?" + url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {goodbye}}.Encode()); p.to == nil || p.to.String() != goodbye {
		t.Errorf("%d %v", p.status, p.to)
	}
}

// The confirmation cannot be sent from another site, nor made up.
func TestTheConfirmationOfASignOutIsOurs(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.consented(s.Ada)
	b, _ := s.inFor()
	if p := b.post("/signout", url.Values{"decision": {"allow"}}, "Sec-Fetch-Site", "cross-site"); p.status != 403 || !b.alive() {
		t.Errorf("from another site: %d", p.status)
	}
	b.post("/signout", url.Values{"decision": {"allow"}, "flow": {"e30.AAAA"}}).want(200, "Sign out?")
	if !b.alive() {
		t.Error("a made-up page signed out")
	}
}

func TestFrontChannelLogout(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.consented(s.Ada)
	set := func(uri string, session bool) {
		app := *s.App
		app.FrontChannelLogoutURI, app.FrontChannelSession = uri, session
		s.Update(func(tx *store.Tx) error { return tx.SaveApp(&app) })
	}
	out := func(more url.Values) (*page, string) {
		b, hint := s.inFor()
		q := url.Values{"id_token_hint": {hint}}
		for k, v := range more {
			q[k] = v
		}
		p := b.get("/oauth2/logout?" + q.Encode())
		if b.cookie() != nil {
			t.Error("still signed in")
		}
		return p, sidOf(t, hint)
	}
	frames := func(p *page) (src []string) {
		for _, f := range webkittest.Parse(t, p.body).All("iframe") {
			src = append(src, f.Attr["src"])
		}
		return src
	}
	policy := func(p *page) string {
		_, after, _ := strings.Cut(p.header.Get("Content-Security-Policy"), "frame-src ")
		return after
	}

	set("https://tripboard.example/out?x=1", true)
	p, sid := out(url.Values{"post_logout_redirect_uri": {goodbye}, "state": {"s"}})
	want := "https://tripboard.example/out?x=1&" + url.Values{"iss": {s.issue.Issuer(0)}, "sid": {sid}}.Encode()
	if p.want(200, "Signed out"); !slices.Equal(frames(p), []string{want}) || policy(p) != "https://tripboard.example" || p.header.Get("Refresh") != "2; url="+goodbye+"?state=s" {
		t.Errorf("frames %q, policy %q, %q", frames(p), policy(p), p.header.Get("Refresh"))
	}
	if webkittest.Check(t, p.body); !strings.Contains(string(p.body), goodbye+"?state=s") {
		t.Error("no link for those whose browser does not go on by itself")
	}
	set("https://tripboard.example/out", false)
	p, _ = out(nil)
	if p.want(200, "Signed out"); !slices.Equal(frames(p), []string{"https://tripboard.example/out"}) || p.header.Get("Refresh") != "" {
		t.Errorf("frames %q", frames(p))
	}
	for _, uri := range []string{"", "https://evil.example/out", "http://tripboard.example/out", "https://tripboard.example:8443/out", "https://tripboard.example/out#x", "javascript:alert(1)",
		"https://tripboard.example; script-src https://evil.example/", "https://ada@tripboard.example/out", "//tripboard.example/out"} {
		set(uri, true)
		p, _ = out(nil)
		if p.want(200, "Signed out"); frames(p) != nil || policy(p) != "" {
			t.Errorf("%q: frames %q, policy %q", uri, frames(p), policy(p))
		}
	}
	// Without an address there is nothing in between.
	set("", false)
	if p, _ = out(url.Values{"post_logout_redirect_uri": {goodbye}}); p.to == nil {
		t.Errorf("no redirect: %d", p.status)
	}
	// Only applications of this session.
	s.Update(func(tx *store.Tx) error {
		return tx.SaveApp(&directory.App{ID: "elsewhere", Object: directory.NewID[directory.App](s.Clock.Now()), Name: "Elsewhere", Enabled: true, Public: true,
			RedirectURIs: []string{"https://elsewhere.example/cb"}, FrontChannelLogoutURI: "https://elsewhere.example/out"})
	})
	if p, _ = out(nil); frames(p) != nil {
		t.Errorf("frames %q", frames(p))
	}
}
