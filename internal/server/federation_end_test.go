package server_test

import (
	"html"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

func (f *fed) revoke(name string) {
	f.Helper()
	f.here.revoke(f.T, f.admin, name)
}

// A session at the provider from before a cutoff does not undo it: the directory
// asks for a fresh proof, and believes nothing else.
func TestTheFirstSignInAfterACutoffDemandsAFreshProof(t *testing.T) {
	for name, database := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := federated(t, database(t))
			old := time.Now().Add(-10 * time.Minute).Unix()
			lives := map[string]any{"auth_time": old}
			first := f.in(lives)
			f.revoke("ada@contoso.example")
			if who := first.who(t); who != "" {
				t.Fatalf("%s is still signed in", who)
			}
			// again is a sign-in that the directory sends upstream once more.
			again := func() (b *node, state, nonce string) {
				t.Helper()
				b = browserFor(t, f.here.base)
				q := f.begin(b)
				if q.Has("prompt") {
					t.Errorf("forced before anybody knows who it is: %v", q)
				}
				f.liar.answers(q.Get("nonce"), lives)
				res, text := f.back(b, q.Get("state"))
				if who := b.who(t); who != "" || res.StatusCode != http.StatusSeeOther {
					t.Fatalf("the live session at the provider let %q in: %d %s", who, res.StatusCode, says(text))
				}
				q = f.asked(res)
				if q.Get("prompt") != "login" || q.Get("max_age") != "0" {
					t.Fatalf("once more without a demand: %v", q)
				}
				return b, q.Get("state"), q.Get("nonce")
			}
			for lie, claims := range map[string]map[string]any{
				"the old auth_time":               lives,
				"no auth_time":                    {"auth_time": nil},
				"an auth_time before the leeway":  {"auth_time": time.Now().Add(-45 * time.Second).Unix()},
				"a nonce of the first of the two": {"nonce": "another"},
			} {
				b, state, nonce := again()
				f.liar.answers(nonce, claims)
				res, text := f.back(b, state)
				if who := b.who(t); who != "" || res.StatusCode < 400 {
					t.Errorf("%s: %q is in, %d %s", lie, who, res.StatusCode, says(text))
				}
			}
			b, state, nonce := again()
			fresh := time.Now().Unix()
			f.liar.answers(nonce, map[string]any{"auth_time": fresh})
			if res, text := f.back(b, state); res.StatusCode != http.StatusSeeOther || b.who(t) != "ada@contoso.example" {
				t.Fatalf("a fresh proof: %d %s", res.StatusCode, says(text))
			}
			f.in(lives) // the cutoff has been answered; the next sign-in is an ordinary one

			// Within the leeway of two clocks: an auth_time that was seen before a cutoff
			// is the session that the cutoff meant to end.
			f.revoke("ada@contoso.example")
			b, state, nonce = again()
			f.liar.answers(nonce, map[string]any{"auth_time": fresh})
			if res, text := f.back(b, state); res.StatusCode != http.StatusForbidden || b.who(t) != "" {
				t.Errorf("the same auth_time again: %d %s", res.StatusCode, says(text))
			}
			b, state, nonce = again()
			f.liar.answers(nonce, map[string]any{"auth_time": fresh + 1})
			if res, text := f.back(b, state); res.StatusCode != http.StatusSeeOther {
				t.Errorf("a newer one: %d %s", res.StatusCode, says(text))
			}
		})
	}
}

func TestADirectoryWideCutoffDemandsAFreshProofToo(t *testing.T) {
	t.Parallel()
	f := federated(t, "")
	f.in(nil)
	f.must(200, "POST", "/curfew/everyone/revoke", map[string]any{"confirm": "contoso.example"})
	b := browserFor(t, f.here.base)
	q := f.begin(b)
	f.liar.answers(q.Get("nonce"), nil)
	res, _ := f.back(b, q.Get("state"))
	if q := f.asked(res); q.Get("prompt") != "login" || b.who(t) != "" {
		t.Errorf("%v", q)
	}
}

// A sign-in that was begun before a cutoff ends in nothing, wherever it is.
func TestARevokeInMidFlightLeavesNobodyIn(t *testing.T) {
	for name, database := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := federated(t, database(t))
			f.in(nil)
			for where, do := range map[string]func(b *node, q url.Values) (*http.Response, string){
				"while the person is at the provider": func(b *node, q url.Values) (*http.Response, string) {
					f.revoke("ada@contoso.example")
					return f.back(b, q.Get("state"))
				},
				"while the code is exchanged": func(b *node, q url.Values) (*http.Response, string) {
					f.liar.mu.Lock()
					f.liar.hook = func(http.ResponseWriter) bool { f.revoke("ada@contoso.example"); return false }
					f.liar.mu.Unlock()
					defer func() { f.liar.hook = nil }()
					return f.back(b, q.Get("state"))
				},
			} {
				b := browserFor(t, f.here.base)
				q := f.begin(b)
				f.liar.answers(q.Get("nonce"), nil)
				res, text := do(b, q)
				if who := b.who(t); who != "" {
					t.Fatalf("%s: %s is in", where, who)
				}
				// It is sent for a fresh proof, with a sign-in born after the cutoff.
				if res.StatusCode != http.StatusSeeOther || f.asked(res).Get("prompt") != "login" {
					t.Errorf("%s: %d %s", where, res.StatusCode, says(text))
				}
				// The same for one that was forced already: dead on arrival.
				q = f.asked(res)
				f.revoke("ada@contoso.example")
				f.liar.answers(q.Get("nonce"), map[string]any{"auth_time": time.Now().Add(2 * time.Second).Unix()})
				res, text = f.back(b, q.Get("state"))
				f.refused(b, res, text, "Sign in again")
			}
			b := browserFor(t, f.here.base)
			q := f.begin(b)
			f.liar.answers(q.Get("nonce"), nil)
			f.must(204, "PATCH", "/users/ada@contoso.example", map[string]any{"accountEnabled": false})
			res, text := f.back(b, q.Get("state"))
			if b.who(t) != "" {
				t.Fatalf("disabled in mid-flight, and in: %d %s", res.StatusCode, says(text))
			}
		})
	}
}

func TestAProviderDisabledEndsWhatCameThroughIt(t *testing.T) {
	for name, database := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := federated(t, database(t))
			for how, end := range map[string]func(){
				"disabled":          func() { f.must(204, "PATCH", "/curfew/providers/partner", map[string]any{"enabled": false}) },
				"another client id": func() { f.must(204, "PATCH", "/curfew/providers/partner", map[string]any{"clientId": "another"}) },
				"unlinked":          func() { f.must(204, "DELETE", "/curfew/providers/partner/links/"+f.ada, nil) },
				"deleted":           func() { f.must(204, "DELETE", "/curfew/providers/partner", nil) },
			} {
				b := f.in(nil)
				mine := b.signInHere(t)
				here := browserFor(t, f.here.base)
				byPassword := here.signIn(t, mailScope, "ada@contoso.example")
				flying := browserFor(t, f.here.base)
				q := f.begin(flying)
				f.liar.answers(q.Get("nonce"), nil)

				end()
				receipt := f.must(200, "GET", "/curfew/receipts?top=1", nil)["value"].([]any)[0].(map[string]any)
				if receipt["cause"] != map[bool]string{true: "unlinked", false: "provider_disabled"}[how == "unlinked"] || receipt["sessions"] != 1.0 || receipt["grants"] != 1.0 {
					t.Errorf("%s: receipt %v", how, receipt)
				}
				if who := b.who(t); who != "" {
					t.Errorf("%s: the session that came through it goes on", how)
				}
				if status, out := b.token(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {mine.Refresh}}); status != http.StatusBadRequest {
					t.Errorf("%s: the grant given in it goes on: %d %+v", how, status, out)
				}
				if here.who(t) != "ada@contoso.example" {
					t.Errorf("%s: the session by password has ended", how)
				}
				if status, out := here.token(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {byPassword.Refresh}}); status != http.StatusOK {
					t.Errorf("%s: the grant by password has ended: %d %+v", how, status, out)
				}
				res, text := f.back(flying, q.Get("state"))
				if who := flying.who(t); who != "" || res.StatusCode < 400 {
					t.Errorf("%s: what was in flight landed: %q, %d %s", how, who, res.StatusCode, says(text))
				}
				// As it was, for the next: re-enabled or registered again, it revives nothing.
				switch how {
				case "disabled":
					f.must(204, "PATCH", "/curfew/providers/partner", map[string]any{"enabled": true})
				case "another client id":
					f.must(204, "PATCH", "/curfew/providers/partner", map[string]any{"clientId": "curfew-here"})
				case "deleted":
					f.must(201, "POST", "/curfew/providers", map[string]any{"id": "partner", "issuer": f.liar.srv.URL, "name": "Partner", "clientId": "curfew-here", "secret": upstreamSecret})
				}
				if how == "deleted" || how == "unlinked" {
					again := browserFor(t, f.here.base)
					q := f.begin(again)
					f.liar.answers(q.Get("nonce"), nil)
					res, text := f.back(again, q.Get("state"))
					f.refused(again, res, text, "Nobody here is linked")
					f.must(204, "POST", "/curfew/providers/partner/links", map[string]any{"user": f.ada, "subject": "ada-there"})
				}
				if res, text := f.back(flying, q.Get("state")); flying.who(t) != "" || res.StatusCode < 400 {
					t.Errorf("%s: it landed later: %d %s", how, res.StatusCode, says(text))
				}
				if b.who(t) != "" {
					t.Errorf("%s: the session came back", how)
				}
			}
		})
	}
}

// logout sends a logout token.
func (f *fed) logout(token string) (int, http.Header, string) {
	f.Helper()
	res, text := browserFor(f.T, f.here.base).post(f.T, "/federation/partner/logout", url.Values{"logout_token": {token}})
	return res.StatusCode, res.Header, text
}

// logoutClaims are those of a good logout token; nil takes one away.
func (f *fed) logoutClaims(jti string, more map[string]any) map[string]any {
	c := f.liar.claims(map[string]any{"jti": jti, "auth_time": nil, "sub": nil, "events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}})
	for k, v := range more {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return c
}

func TestBackChannelLogoutFromUpstreamIsHonoured(t *testing.T) {
	for name, database := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := federated(t, database(t))
			one, two := f.in(map[string]any{"sid": "there-1"}), f.in(map[string]any{"sid": "there-2"})
			here := browserFor(t, f.here.base)
			here.signIn(t, mailScope, "ada@contoso.example")
			stays := one.signInHere(t)
			goes := one.signInHere(t, "scope", "openid api://mail/Mail.Read")

			token := f.liar.sign("logout+jwt", f.logoutClaims("j1", nil))
			status, header, text := f.logout(token)
			if status != http.StatusOK || header.Get("Cache-Control") != "no-store" {
				t.Fatalf("%d %v %s", status, header, text)
			}
			if one.who(t) != "" || two.who(t) == "" || here.who(t) == "" {
				t.Errorf("signed in are %q, %q and %q; only the first must not be", one.who(t), two.who(t), here.who(t))
			}
			// As with every sign-out: offline_access outlives it.
			if status, out := one.token(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {stays.Refresh}}); status != http.StatusOK {
				t.Errorf("the grant with offline_access ended: %d %+v", status, out)
			}
			res, _ := browserFor(t, f.here.base).post(t, "/oauth2/introspect", url.Values{"token": {goes.Access}, "client_id": {"mail-api"}, "client_secret": {"a-long-secret-for-the-mail-api"}})
			if res.StatusCode != http.StatusOK {
				t.Fatal(res.StatusCode)
			}
			if status, _, text = f.logout(token); status != http.StatusBadRequest {
				t.Errorf("replayed: %d %s", status, text)
			}
			// By subject: every session that came through the provider, and no other.
			status, _, text = f.logout(f.liar.sign("logout+jwt", f.logoutClaims("j2", map[string]any{"sid": nil, "sub": "ada-there"})))
			if status != http.StatusOK || two.who(t) != "" || here.who(t) == "" {
				t.Errorf("%d %s; signed in are %q and %q", status, text, two.who(t), here.who(t))
			}
			// Somebody else's session is not ended by naming it with another subject.
			three := f.in(map[string]any{"sid": "there-3"})
			f.must(204, "POST", "/curfew/providers/partner/links", map[string]any{"user": f.here.idOf(t, f.admin, "grace@contoso.example"), "subject": "grace-there"})
			status, _, _ = f.logout(f.liar.sign("logout+jwt", f.logoutClaims("j3", map[string]any{"sid": "there-3", "sub": "grace-there"})))
			if status != http.StatusOK || three.who(t) == "" {
				t.Errorf("%d; Ada's session ended by Grace's name", status)
			}
			// What ends in mid-flight does not begin.
			b := browserFor(t, f.here.base)
			q := f.begin(b)
			f.liar.answers(q.Get("nonce"), map[string]any{"sid": "there-4"})
			if status, _, text = f.logout(f.liar.sign("logout+jwt", f.logoutClaims("j4", map[string]any{"sid": "there-4"}))); status != http.StatusOK {
				t.Fatalf("%d %s", status, text)
			}
			res, text = f.back(b, q.Get("state"))
			f.refused(b, res, text, "has ended meanwhile")
			f.in(map[string]any{"sid": "there-5"})
		})
	}
}

// Applications of the session hear of it as if the person had signed out here.
func TestALogoutUpstreamIsPassedOn(t *testing.T) {
	t.Parallel()
	f := federated(t, "")
	heard := make(chan string, 8)
	app := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { heard <- r.PostFormValue("logout_token") }))
	t.Cleanup(app.Close)
	f.must(204, "PATCH", "/curfew/apps/reader", map[string]any{"backChannelLogoutUri": app.URL + "/logout", "backChannelSession": true})
	b := f.in(nil)
	var id struct{ SID, Sub string }
	claimsOf(t, b.signInHere(t).ID, &id)
	if status, _, text := f.logout(f.liar.sign("logout+jwt", f.logoutClaims("j1", nil))); status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	select {
	case token := <-heard:
		var told struct{ SID, Sub, Iss string }
		claimsOf(t, token, &told)
		if told.SID != id.SID || told.Sub != id.Sub || told.Iss != f.here.base {
			t.Errorf("told %+v, want sid %s of sub %s", told, id.SID, id.Sub)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the application was not told")
	}
}

func TestLogoutTokensThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	f := federated(t, "")
	b := f.in(nil)
	other := newLiar(t)
	now := time.Now()
	good := func(more map[string]any) string { return f.liar.sign("logout+jwt", f.logoutClaims("x", more)) }
	for name, token := range map[string]string{
		"nothing":                "",
		"no token":               "hello",
		"an ID token":            f.liar.sign("JWT", f.liar.claims(map[string]any{"nonce": "n"})),
		"with a nonce":           good(map[string]any{"nonce": "n"}),
		"no events":              good(map[string]any{"events": nil}),
		"another event":          good(map[string]any{"events": map[string]any{"http://schemas.openid.net/event/other": map[string]any{}}}),
		"an event that is none":  good(map[string]any{"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": "yes"}}),
		"neither sub nor sid":    good(map[string]any{"sid": nil}),
		"no jti":                 good(map[string]any{"jti": nil}),
		"no iat":                 good(map[string]any{"iat": nil}),
		"no exp":                 good(map[string]any{"exp": nil}),
		"expired":                good(map[string]any{"exp": now.Add(-time.Hour).Unix()}),
		"good for a day":         good(map[string]any{"exp": now.Add(24 * time.Hour).Unix()}),
		"another issuer":         good(map[string]any{"iss": "https://elsewhere.example"}),
		"for somebody else":      good(map[string]any{"aud": "another-client"}),
		"another's key":          other.sign("logout+jwt", f.logoutClaims("x", nil)),
		"a security event token": f.liar.sign("secevent+jwt", f.logoutClaims("x", nil)),
	} {
		status, header, text := f.logout(token)
		if status != http.StatusBadRequest || header.Get("Cache-Control") != "no-store" || !strings.Contains(text, "invalid_request") {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
	if res, _ := f.here.get(t, "/federation/partner/logout"); res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", res.StatusCode)
	}
	if res, _ := f.here.post(t, "/federation/nobody/logout", url.Values{"logout_token": {good(nil)}}); res.StatusCode != http.StatusBadRequest {
		t.Errorf("a provider that is none: %d", res.StatusCode)
	}
	if b.who(t) == "" {
		t.Error("one of them ended the session")
	}
	if status, _, text := f.logout(good(nil)); status != http.StatusOK || b.who(t) != "" {
		t.Errorf("a good one: %d %s", status, text)
	}
}

// A user blocked upstream is stopped here: the signed order of a registered
// provider, its keys fetched from where it publishes them.
func TestAUserBlockedUpstreamIsStoppedHere(t *testing.T) {
	t.Parallel()
	f := federated(t, "")
	f.must(204, "POST", "/curfew/providers/partner/links", map[string]any{"user": f.here.idOf(t, f.admin, "helen@contoso.example"), "subject": "helen-there"})
	b := f.in(nil)
	mine := b.signInHere(t)
	byPassword := browserFor(t, f.here.base)
	byPassword.signIn(t, mailScope, "ada@contoso.example")

	_, doc := f.here.get(t, "/.well-known/openid-configuration")
	m := regexp.MustCompile(`"global_token_revocation_endpoint":"([^"]*)"`).FindStringSubmatch(doc)
	if m == nil || !strings.Contains(doc, `"global_token_revocation_endpoint_auth_methods_supported":[`) {
		t.Fatalf("the metadata does not say where: %s", doc)
	}
	order := func(l *liar, jti, aud string, subject map[string]any) int {
		now := time.Now()
		token := l.sign("global-token-revocation+jwt", map[string]any{"iss": f.liar.srv.URL, "sub": "curfew-here", "aud": aud, "jti": jti,
			"iat": now.Unix(), "nbf": now.Add(-5 * time.Minute).Unix(), "exp": now.Add(5 * time.Minute).Unix()})
		status, _, _ := f.here.send(t, token, "POST", m[1], map[string]any{"sub_id": subject})
		return status
	}
	ada := map[string]any{"format": "iss_sub", "iss": f.liar.srv.URL, "sub": "ada-there"}
	if status := order(newLiar(t), "j0", m[1], ada); status != http.StatusUnauthorized {
		t.Errorf("another's key: %d", status)
	}
	if status := order(f.liar, "j1", "https://elsewhere.example", ada); status != http.StatusUnauthorized {
		t.Errorf("for another endpoint: %d", status)
	}
	if status := order(f.liar, "j2", m[1], map[string]any{"format": "email", "email": "grace@contoso.example"}); status != http.StatusNotFound {
		t.Errorf("somebody who is not linked: %d", status)
	}
	if b.who(t) == "" {
		t.Fatal("one of them ended the session")
	}
	if status := order(f.liar, "j3", m[1], ada); status != http.StatusNoContent {
		t.Fatalf("the order: %d", status)
	}
	if b.who(t) != "" || byPassword.who(t) != "" {
		t.Error("a session goes on")
	}
	if status, out := b.token(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {mine.Refresh}}); status != http.StatusBadRequest {
		t.Errorf("refresh: %d %+v", status, out)
	}
	if status := order(f.liar, "j3", m[1], ada); status != http.StatusUnauthorized {
		t.Errorf("the same order again: %d", status)
	}
	f.must(204, "PATCH", "/curfew/providers/partner", map[string]any{"enabled": false})
	if status := order(f.liar, "j4", m[1], ada); status != http.StatusUnauthorized {
		t.Errorf("of a provider that is disabled: %d", status)
	}
}

func TestAPersonLinksAnAccountWithTwoFreshProofs(t *testing.T) {
	t.Parallel()
	f := federated(t, "")
	f.must(204, "DELETE", "/curfew/providers/partner/links/"+f.ada, nil)
	f.revoke("ada@contoso.example") // the proof that linking takes is one since this
	b := browserFor(t, f.here.base)
	b.signIn(t, mailScope, "ada@contoso.example")
	link := func(claims map[string]any) (*http.Response, string) {
		t.Helper()
		res, text := b.post(t, "/account/identities/partner/link", url.Values{})
		if res.StatusCode != http.StatusSeeOther {
			t.Fatalf("%d %s", res.StatusCode, says(text))
		}
		q := f.asked(res)
		if q.Get("prompt") != "login" || q.Get("max_age") != "0" {
			t.Errorf("linking does not ask for a fresh proof there: %v", q)
		}
		f.liar.answers(q.Get("nonce"), claims)
		return f.back(b, q.Get("state"))
	}
	if res, _ := link(map[string]any{"auth_time": time.Now().Add(-time.Hour).Unix()}); res.StatusCode != http.StatusForbidden {
		t.Errorf("linked by a session there that somebody else may have opened: %d", res.StatusCode)
	}
	if res, text := link(nil); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/account/identities?done=linked" {
		t.Fatalf("%d %s", res.StatusCode, says(text))
	}
	if _, text := b.get(t, "/account/identities?done=linked"); !strings.Contains(text, "The account was linked") || !strings.Contains(text, `action="/account/identities/partner/unlink"`) {
		t.Errorf("the page:\n%s", text)
	}
	in := f.in(nil)
	// It is hers now: nobody else can link it.
	grace := browserFor(t, f.here.base)
	grace.signIn(t, graphScope, "grace@contoso.example")
	ada := b
	b = grace
	if res, text := link(map[string]any{"auth_time": time.Now().Unix() + 1}); res.StatusCode != http.StatusConflict {
		t.Errorf("linked to two people: %d %s", res.StatusCode, says(text))
	}
	b = ada
	// Another browser cannot finish what this one began, nor this one when signed out.
	res, _ := b.post(t, "/account/identities/partner/link", url.Values{})
	q := f.asked(res)
	f.liar.answers(q.Get("nonce"), map[string]any{"sub": "another-there"})
	f.revoke("ada@contoso.example")
	if res, text := f.back(b, q.Get("state")); res.StatusCode < 400 {
		t.Errorf("linked by a session that has ended: %d %s", res.StatusCode, says(text))
	}
	if links := f.must(200, "GET", "/curfew/users/"+f.ada+"/links", nil)["value"].([]any); len(links) != 1 {
		t.Errorf("links: %v", links)
	}
	if in.who(t) != "" {
		t.Error("revoked, and in")
	}
	// Unlinking ends what came through it.
	b = browserFor(t, f.here.base)
	b.signIn(t, mailScope, "ada@contoso.example")
	if res, text := b.post(t, "/account/identities/partner/unlink", url.Values{}); res.StatusCode != http.StatusSeeOther {
		t.Errorf("%d %s", res.StatusCode, says(text))
	}
	if links := f.must(200, "GET", "/curfew/users/"+f.ada+"/links", nil)["value"].([]any); len(links) != 0 || b.who(t) == "" {
		t.Errorf("links: %v", links)
	}
}

func TestUnknownPeopleAreCreatedOnlyWhereTheRegistrationSaysSo(t *testing.T) {
	t.Parallel()
	f := federated(t, "")
	try := func(claims map[string]any) (*node, *http.Response, string) {
		t.Helper()
		b := browserFor(t, f.here.base)
		q := f.begin(b)
		f.liar.answers(q.Get("nonce"), claims)
		res, text := f.back(b, q.Get("state"))
		return b, res, text
	}
	mary := map[string]any{"sub": "mary-there", "preferred_username": "mary@partner.example", "email": "mary@partner.example", "name": "Mary Jackson"}
	b, res, text := try(mary)
	f.refused(b, res, text, "Nobody here is linked")
	if status, text, _ := f.here.api(t, f.admin, "PATCH", "/curfew/providers/partner", map[string]any{"createUsers": true}); status != http.StatusBadRequest || !strings.Contains(text, "Name the domains") {
		t.Errorf("without domains: %d %s", status, text)
	}
	f.must(204, "PATCH", "/curfew/providers/partner", map[string]any{"createUsers": true, "domains": []string{"partner.example"}})
	for why, claims := range map[string]map[string]any{
		"has no name that can be a user name": {"sub": "eve", "preferred_username": "root@contoso.example"},
		"has no name":                         {"sub": "eve", "preferred_username": "not a name"},
		"no name":                             {"sub": "eve"},
	} {
		b, res, text := try(claims)
		f.refused(b, res, text, why)
	}
	if b, res, text = try(mary); res.StatusCode != http.StatusSeeOther || b.who(t) != "mary@partner.example" {
		t.Fatalf("%d %s", res.StatusCode, says(text))
	}
	if u := f.must(200, "GET", "/users/mary@partner.example", nil); u["displayName"] != "Mary Jackson" || u["mail"] != nil {
		t.Errorf("she became %v; the address is not verified", u)
	}
	// Another subject with her name is not her.
	b, res, text = try(map[string]any{"sub": "mallory-there", "preferred_username": "mary@partner.example"})
	f.refused(b, res, text, "There is a user of your name here already")
}

func TestRegisteringAProviderIsForThoseWhoMay(t *testing.T) {
	t.Parallel()
	f := federated(t, "")
	helen, ada := f.here.admin(t, "helen@contoso.example"), f.here.admin(t, "ada@contoso.example")
	second := newLiar(t)
	new := map[string]any{"id": "second", "issuer": second.srv.URL, "clientId": "curfew-here", "secret": upstreamSecret}
	grace := f.here.idOf(t, f.admin, "grace@contoso.example")
	for _, c := range []struct {
		who, token, method, path string
		in                       map[string]any
		want                     int
	}{
		{"Ada", ada, "GET", "/curfew/providers", nil, 403},
		{"Ada", ada, "GET", "/curfew/providers/partner", nil, 403},
		{"Ada", ada, "POST", "/curfew/providers", new, 403},
		{"Ada", ada, "PATCH", "/curfew/providers/partner", map[string]any{"enabled": false}, 403},
		{"Ada", ada, "DELETE", "/curfew/providers/partner", nil, 403},
		{"Ada", ada, "POST", "/curfew/providers/partner/links", map[string]any{"user": f.ada, "subject": "s"}, 403},
		{"Ada", ada, "DELETE", "/curfew/providers/partner/links/" + f.ada, nil, 403},
		{"Ada", ada, "GET", "/curfew/users/" + grace + "/links", nil, 403},
		{"Helen", helen, "POST", "/curfew/providers", new, 201},
		{"Helen", helen, "POST", "/curfew/providers", new, 409},
		{"Helen", helen, "PATCH", "/curfew/providers/second", map[string]any{"name": "Second"}, 204},
		{"Helen", helen, "POST", "/curfew/providers/second/links", map[string]any{"user": grace, "subject": "helen-there"}, 403}, // she would become Grace
		{"Helen", helen, "POST", "/curfew/providers/second/links", map[string]any{"user": f.ada, "subject": "helen-there"}, 403},
		{"Helen", helen, "DELETE", "/curfew/providers/second", nil, 204},
		{"Grace", f.admin, "POST", "/curfew/providers", map[string]any{"id": "Bad Name", "issuer": second.srv.URL, "clientId": "c"}, 400},
		{"Grace", f.admin, "POST", "/curfew/providers", map[string]any{"id": "x", "issuer": "ftp://elsewhere.example", "clientId": "c"}, 400},
		{"Grace", f.admin, "POST", "/curfew/providers", map[string]any{"id": "x", "issuer": "https://10.1.2.3", "clientId": "c"}, 400},   // a private network
		{"Grace", f.admin, "POST", "/curfew/providers", map[string]any{"id": "x", "issuer": second.srv.URL + "/", "clientId": "c"}, 503}, // its metadata says another
		{"Grace", f.admin, "POST", "/curfew/providers", map[string]any{"id": "x", "issuer": f.liar.srv.URL, "clientId": "c"}, 409},
		{"Grace", f.admin, "POST", "/curfew/providers", map[string]any{"id": "x", "issuer": f.here.base, "clientId": "c"}, 400},
		{"Grace", f.admin, "POST", "/curfew/providers", map[string]any{"id": "x", "issuer": second.srv.URL, "clientId": "c", "isuer": "y"}, 400},
		{"Grace", f.admin, "PATCH", "/curfew/providers/partner", map[string]any{"privateKeyJwt": true, "secret": "both"}, 400},
		{"Grace", f.admin, "PATCH", "/curfew/providers/partner", map[string]any{"issuer": second.srv.URL}, 400}, // it never changes
		{"Grace", f.admin, "POST", "/curfew/providers/partner/links", map[string]any{"user": grace, "subject": "ada-there"}, 409},
		{"Grace", f.admin, "POST", "/curfew/providers/partner/links", map[string]any{"user": grace, "subject": ""}, 400},
		{"Grace", f.admin, "DELETE", "/curfew/providers/nobody", nil, 404},
	} {
		if status, text, _ := f.here.api(t, c.token, c.method, c.path, c.in); status != c.want {
			t.Errorf("%s %s %s %v: %d %s, want %d", c.who, c.method, c.path, c.in, status, text, c.want)
		}
	}
	_, text, _ := f.here.api(t, f.admin, "GET", "/curfew/providers", nil)
	if strings.Contains(text, upstreamSecret) || !strings.Contains(text, `"hasSecret":true`) || !strings.Contains(text, `"people":1`) {
		t.Errorf("the list: %s", text)
	}
	_, text, _ = f.here.api(t, f.admin, "GET", "/auditLogs/directoryAudits", nil)
	for _, want := range []string{"Add identity provider", "Delete identity provider", "Link external identity"} {
		if !strings.Contains(text, want) {
			t.Errorf("the audit log has no %q", want)
		}
	}
	if strings.Contains(text, upstreamSecret) {
		t.Error("the secret is in the audit log")
	}
}

// An application's wish for a fresh sign-in is a wish upstream as well.
func TestPromptLoginGoesUpstream(t *testing.T) {
	t.Parallel()
	f := federated(t, "")
	b := f.in(nil)
	next := "/oauth2/authorize?client_id=reader&response_type=code&redirect_uri=http%3A%2F%2Flocalhost&scope=openid&state=s&code_challenge=" + strings.Repeat("a", 43) + "&code_challenge_method=S256&prompt=login"
	for who, browser := range map[string]*node{"somebody who is signed in": b, "nobody": browserFor(t, f.here.base)} {
		_, page := browser.get(t, next)
		form := url.Values{}
		for _, m := range hiddenRE.FindAllStringSubmatch(page, -1) {
			form.Set(m[1], html.UnescapeString(m[2]))
		}
		res, text := browser.post(t, "/federation/partner/start", form)
		if res.StatusCode != http.StatusSeeOther {
			t.Fatalf("%s: %d %s", who, res.StatusCode, says(text))
		}
		q := f.asked(res)
		if q.Get("prompt") != "login" {
			t.Errorf("%s: %v", who, q)
		}
		f.liar.answers(q.Get("nonce"), nil)
		res, text = f.back(browser, q.Get("state"))
		to := res.Header.Get("Location")
		if res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, next) {
			t.Fatalf("%s: %d to %s %s", who, res.StatusCode, to, says(text))
		}
		if res, _ := browser.get(t, to); res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(res.Header.Get("Location"), "http://localhost?code=") {
			t.Errorf("%s: not on to the application: %d %s", who, res.StatusCode, res.Header.Get("Location"))
		}
	}
}

// Two directories of ours, one the identity provider of the other, to which it proves
// itself by a signature: in through it, out when it says so, revoked here and in again only with the password there.
func TestTwoDirectoriesFromSignInToLogout(t *testing.T) {
	t.Parallel()
	up, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	down, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	there, here := "http://"+address(up, "127.0.0.1"), "http://"+address(down, "localhost")
	serveOn(t, up, "127.0.0.1", "", `
[directory]
domain = "partner.example"
name = "Partner"
[[user]]
name = "ada@partner.example"
password = "correct horse battery"
[[app]]
id = "curfew-here"
name = "Contoso"
jwks_uri = "`+here+`/oauth2/keys"
first_party = true
redirect_uris = ["`+here+`/federation/partner/callback"]
backchannel_logout_uri = "`+here+`/federation/partner/logout"
backchannel_logout_session = true
permissions = [{ resource = "curfew", scopes = ["openid", "profile"] }]
[[app]]
id = "reader"
name = "Reader"
public = true
first_party = true
redirect_uris = ["http://localhost"]
permissions = [{ resource = "curfew", scopes = ["openid", "profile"] }]
`)
	n := serveOn(t, down, "localhost", "", hereManifest+`
[[provider]]
id = "partner"
issuer = "`+there+`"
name = "Partner"
client_id = "curfew-here"
private_key_jwt = true
scopes = ["profile"]
`)
	admin := n.admin(t, "grace@contoso.example")
	var id struct{ Sub string }
	claimsOf(t, browserFor(t, there).signIn(t, "openid", "ada@partner.example").ID, &id)
	if status, text, _ := n.api(t, admin, "POST", "/curfew/providers/partner/links", map[string]any{"user": n.idOf(t, admin, "ada@contoso.example"), "subject": id.Sub}); status != 204 {
		t.Fatalf("link: %d %s", status, text)
	}
	b := browserFor(t, here)
	asked := b.through(t, there)
	if b.who(t) != "ada@contoso.example" || asked != 1 {
		t.Fatalf("in as %q, asked %d times", b.who(t), asked)
	}
	// A second time the session there will do, as long as nothing was cut.
	if res, _ := b.post(t, "/signout", url.Values{}); res.StatusCode >= 400 {
		t.Fatal(res.StatusCode)
	}
	n.revoke(t, admin, "ada@contoso.example")
	if b.who(t) != "" {
		t.Fatal("revoked, and in")
	}
	// Revoked: the session there is alive and does not let her in; her password does.
	eventually(t, func() bool { // auth_time has whole seconds, and must be newer than the one before
		asked = b.through(t, there)
		return b.who(t) == "ada@contoso.example"
	})
	if asked != 1 {
		t.Errorf("asked for the password %d times", asked)
	}
	// Out there is out here.
	other := &node{base: there, http: b.http}
	_, page := other.get(t, "/signout")
	form := url.Values{}
	for _, m := range hiddenRE.FindAllStringSubmatch(page, -1) {
		form.Set(m[1], html.UnescapeString(m[2]))
	}
	form.Set("decision", "allow")
	if res, text := other.post(t, "/signout", form); res.StatusCode >= 400 {
		t.Fatalf("sign out there: %d %s", res.StatusCode, text)
	}
	eventually(t, func() bool { return b.who(t) == "" })
}

// eventually waits for what another server does in its own time.
func eventually(t *testing.T, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !f(); {
		if time.Now().After(end) {
			t.Fatal("it did not come about")
		}
	}
}

// through signs in here through the provider there as a person does: it presses the
// button and fills in the forms there. It returns how often the password was asked
// for.
func (n *node) through(t *testing.T, there string) (asked int) {
	t.Helper()
	res, text := n.post(t, "/federation/partner/start", url.Values{})
	for range 12 {
		switch {
		case res.StatusCode == http.StatusSeeOther:
			u, err := res.Request.URL.Parse(res.Header.Get("Location"))
			if err != nil {
				t.Fatal(err)
			}
			if u.Path == "/account" || u.Path == "/portal" {
				return asked
			}
			res, text = n.get(t, u.String())
		case res.StatusCode == http.StatusOK && strings.Contains(text, `name="password"`) && strings.HasPrefix(res.Request.URL.String(), there):
			asked++
			form := url.Values{"username": {"ada@partner.example"}, "password": {"correct horse battery"}}
			for _, m := range hiddenRE.FindAllStringSubmatch(text, -1) {
				form.Set(m[1], html.UnescapeString(m[2]))
			}
			res, text = n.post(t, there+"/signin", form)
		default:
			return asked // refused, or somewhere else
		}
	}
	t.Fatalf("the walk does not end: at %s", res.Request.URL)
	return 0
}
