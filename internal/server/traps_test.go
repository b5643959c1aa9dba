package server_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/curfew-id/curfew/guard"
)

// The tests of this file bear the number of a trap that other products fell into;
// docs/traps.md lists them all and says where the others are.

// Trap 3 (threads 57, 58): what was half-done when somebody was revoked goes on
// afterwards as if nothing had been. Here whatever is somebody's dies; a device code
// and a pushed request that nobody has approved are nobody's, and live.
func TestTrap03WhatWasHalfDoneIsOver(t *testing.T) {
	t.Parallel()
	n := startTraps(t)
	admin := n.anew(t).signIn(t, "openid https://graph.microsoft.com/.default", "grace@contoso.example").Access
	push := func() string {
		t.Helper()
		sum := sha256.Sum256([]byte(verifier))
		res, text := n.post(t, "/oauth2/par", url.Values{"client_id": {"reader"}, "response_type": {"code"}, "redirect_uri": {"http://localhost"}, "scope": {mailScope},
			"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}})
		var p struct {
			URI string `json:"request_uri"`
		}
		if err := json.Unmarshal([]byte(text), &p); err != nil || p.URI == "" {
			t.Fatalf("push: %d %s", res.StatusCode, text)
		}
		return p.URI
	}
	redeem := func(code string) (int, tokens) {
		return n.as(t, "reader", "", url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"http://localhost"}, "code_verifier": {verifier}})
	}
	poll := func(device string) (int, tokens) {
		return n.as(t, "desk", "", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {device}})
	}

	code := n.authorize(t, mailScope, "ada@contoso.example")
	pushed := n.authorize(t, "", "ada@contoso.example", "request_uri", push())
	taken, user := n.device(t)
	n.approve(t, user)
	nobodys, nobodysUser := n.device(t)
	waiting := push()
	// Alan has typed his password and is asked for a new one.
	alan := n.anew(t)
	_, page := alan.get(t, "/signin")
	_, page = alan.press(t, page, "username", "alan@contoso.example", "password", "correct horse battery")
	if !strings.Contains(page, "Change password") {
		t.Fatalf("alan is not asked for a new password:\n%s", page)
	}

	n.revoke(t, admin, "ada@contoso.example")
	n.revoke(t, admin, "alan@contoso.example")

	for what, ask := range map[string]func() (int, tokens){
		"code": func() (int, tokens) { return redeem(code) }, "code of a pushed request": func() (int, tokens) { return redeem(pushed) }, "approved device code": func() (int, tokens) { return poll(taken) },
	} {
		if status, got := ask(); status != http.StatusBadRequest || got.Error != "invalid_grant" {
			t.Errorf("%s: %d %+v", what, status, got)
		}
	}
	if res, text := n.get(t, "/oauth2/authorize?"+url.Values{"client_id": {"reader"}, "response_type": {"code"}, "redirect_uri": {"http://localhost"}, "scope": {"openid"}, "prompt": {"none"},
		"code_challenge": {strings.Repeat("c", 43)}, "code_challenge_method": {"S256"}}.Encode()); !strings.Contains(res.Header.Get("Location"), "error=login_required") {
		t.Errorf("the session: %d %s %s", res.StatusCode, res.Header.Get("Location"), text)
	}
	res, text := alan.press(t, page, "password", "an entirely new password", "password2", "an entirely new password")
	if res.StatusCode < http.StatusBadRequest {
		t.Errorf("the half-finished sign-in: %d %s %s", res.StatusCode, res.Header.Get("Location"), text)
	}
	if res, _ := alan.get(t, "/account"); res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(res.Header.Get("Location"), "/signin") {
		t.Errorf("alan is signed in: %d", res.StatusCode)
	}
	// What was nobody's becomes somebody's now.
	if status, got := redeem(n.authorize(t, "", "ada@contoso.example", "request_uri", waiting)); status != http.StatusOK {
		t.Errorf("the pushed request: %d %+v", status, got)
	}
	n.approve(t, nobodysUser)
	if status, got := poll(nobodys); status != http.StatusOK {
		t.Errorf("the device code: %d %+v", status, got)
	}
}

// Traps 11 and 12: a name is not a person. One that was deleted and made again is
// somebody else's; one that was changed escapes nothing, and the old one finds
// nobody.
func TestTrap11And12ANameIsNotAPerson(t *testing.T) {
	t.Parallel()
	n := startTraps(t)
	admin := n.anew(t).signIn(t, "openid https://graph.microsoft.com/.default", "grace@contoso.example").Access
	dead := func(what string, x tokens) {
		t.Helper()
		if n.active(t, "mail-api", mailAPISecret, x.Access) {
			t.Errorf("%s: the access token lives", what)
		}
		if status, got := n.as(t, "reader", "", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {x.Refresh}}); status != http.StatusBadRequest || got.Error != "invalid_grant" {
			t.Errorf("%s: refresh: %d %+v", what, status, got)
		}
	}
	ada := n.signIn(t, mailScope, "ada@contoso.example")
	id := claimOf(t, ada.Access, "oid")
	n.graph(t, admin, http.MethodPatch, "/users/"+id, `{"userPrincipalName":"countess@contoso.example"}`, http.StatusNoContent)
	if !n.active(t, "mail-api", mailAPISecret, ada.Access) {
		t.Error("renaming ended the token")
	}
	n.graph(t, admin, http.MethodPost, "/users/ada@contoso.example/revokeSignInSessions", "", http.StatusNotFound)
	n.revoke(t, admin, "countess@contoso.example")
	dead("renamed, revoked by the new name", ada)
	countess := n.anew(t).signIn(t, mailScope, "countess@contoso.example")
	if got := claimOf(t, countess.Access, "oid"); got != id {
		t.Errorf("oid %s, then %s", id, got)
	}
	n.revoke(t, admin, id)
	dead("renamed, revoked by id", countess)

	countess = n.anew(t).signIn(t, mailScope, "countess@contoso.example")
	n.graph(t, admin, http.MethodDelete, "/users/"+id, "", http.StatusNoContent)
	dead("deleted", countess)
	n.graph(t, admin, http.MethodPost, "/users", `{"accountEnabled":true,"displayName":"Another Ada","mailNickname":"countess","userPrincipalName":"countess@contoso.example","passwordProfile":{"password":"correct horse battery","forceChangePasswordNextSignIn":false}}`, http.StatusCreated)
	other := n.anew(t).signIn(t, mailScope, "countess@contoso.example")
	if claimOf(t, other.Access, "oid") == id || !n.active(t, "mail-api", mailAPISecret, other.Access) {
		t.Errorf("the new one: oid %s, and was %s", claimOf(t, other.Access, "oid"), id)
	}
	dead("made again under the same name", countess)
	dead("made again under the same name", ada)
}

// handedOut is what a grant type gave, and how it is asked for again.
type handedOut struct {
	token      string
	by, secret string // who may introspect it
	again      func() (int, tokens)
}

// Trap 4 (threads 5, 25, 29, 59, 71): each new grant type opens the hole of the
// disabled user anew. Here every grant type that there is hands out a token, the
// account behind it is disabled, and both the token and the next request are
// refused; enabling brings nothing back.
func TestTrap04EachGrantTypeEndsWithItsAccount(t *testing.T) {
	t.Parallel()
	n := startTraps(t)
	m := n.mailService(t)
	admin := n.anew(t).signIn(t, "openid https://graph.microsoft.com/.default", "grace@contoso.example").Access
	refresh := func(client, secret, token string) func() (int, tokens) {
		return func() (int, tokens) {
			return n.as(t, client, secret, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
		}
	}
	out := map[string]handedOut{}

	code := n.signIn(t, mailScope, "ada@contoso.example")
	out["authorization_code"] = handedOut{code.Access, "mail-api", mailAPISecret, refresh("reader", "", code.Refresh)}
	_, renewed := n.as(t, "reader", "", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {n.anew(t).signIn(t, mailScope, "ada@contoso.example").Refresh}})
	out["refresh_token"] = handedOut{renewed.Access, "mail-api", mailAPISecret, refresh("reader", "", renewed.Refresh)}

	device, user := n.device(t)
	n.approve(t, user)
	poll := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {device}}
	_, polled := n.as(t, "desk", "", poll)
	out["device_code"] = handedOut{polled.Access, "mail-api", mailAPISecret, refresh("desk", "", polled.Refresh)}

	// For the middle: a token of ada's at its own resource, to be exchanged.
	_, first := n.as(t, "desk", "", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {polled.Refresh}, "scope": {"api://middle/Use"}})
	exchange := func() (int, tokens) {
		return n.as(t, "middle", "a-long-secret-for-the-middle", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {first.Access},
			"subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"}, "scope": {"api://mail/Mail.Read"}})
	}
	_, exchanged := exchange()
	out["token-exchange"] = handedOut{exchanged.Access, "mail-api", mailAPISecret, exchange}
	behalf := func() (int, tokens) {
		return n.as(t, "middle", "a-long-secret-for-the-middle", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {first.Access},
			"requested_token_use": {"on_behalf_of"}, "scope": {"api://mail/Mail.Read offline_access"}})
	}
	_, acting := behalf()
	out["jwt-bearer"] = handedOut{acting.Access, "mail-api", mailAPISecret, behalf}
	out["refresh_token of one made on behalf of somebody"] = handedOut{acting.Access, "mail-api", mailAPISecret, refresh("middle", "a-long-secret-for-the-middle", acting.Refresh)}
	itself := func() (int, tokens) {
		return n.as(t, "robot", "a-long-secret-for-the-robot", url.Values{"grant_type": {"client_credentials"}, "scope": {"api://archive/.default"}})
	}
	_, robot := itself()
	out["client_credentials"] = handedOut{robot.Access, "archive-api", "a-long-secret-for-the-archive", itself}

	for kind, x := range out {
		if x.token == "" || !n.active(t, x.by, x.secret, x.token) {
			t.Fatalf("%s: nothing good was handed out", kind)
		}
		if x.by == "mail-api" && m.ask(t, "/inbox", x.token, "").StatusCode != http.StatusNoContent {
			t.Fatalf("%s: the guard refuses the token before", kind)
		}
	}
	service := claimOf(t, robot.Access, "oid")
	for _, account := range []string{"ada@contoso.example", service} {
		n.graph(t, admin, http.MethodPatch, "/users/"+account, `{"accountEnabled":false}`, http.StatusNoContent)
	}
	dead := func(when string) {
		t.Helper()
		for kind, x := range out {
			if n.active(t, x.by, x.secret, x.token) {
				t.Errorf("%s, %s: introspection calls the token active", when, kind)
			}
			if x.by == "mail-api" {
				for end := time.Now().Add(5 * time.Second); m.ask(t, "/inbox", x.token, "").StatusCode != http.StatusUnauthorized; {
					if time.Now().After(end) {
						t.Fatalf("%s, %s: the guard accepts the token", when, kind)
					}
				}
			}
			if when == "enabled again" && kind == "client_credentials" {
				continue // it proves itself anew each time, and may again
			}
			if status, got := x.again(); status < 400 || got.Access != "" || got.Error == "server_error" {
				t.Errorf("%s, %s: asked again: %d %+v", when, kind, status, got)
			}
		}
	}
	dead("disabled")
	for _, account := range []string{"ada@contoso.example", service} {
		n.graph(t, admin, http.MethodPatch, "/users/"+account, `{"accountEnabled":true}`, http.StatusNoContent)
	}
	dead("enabled again")
	if status, got := itself(); status != http.StatusOK || !n.active(t, "archive-api", "a-long-secret-for-the-archive", got.Access) {
		t.Errorf("the service, enabled again: %d %+v", status, got)
	}
	if again := n.anew(t).signIn(t, mailScope, "ada@contoso.example"); m.ask(t, "/inbox", again.Access, "").StatusCode != http.StatusNoContent {
		t.Error("the person, enabled again: her new token is refused")
	}
}

// Trap 6: two refreshes at once and a revoke, in every order and at the same time.
// Whatever anybody got, nothing of it lives afterwards.
func TestTrap06TwoRefreshesAndARevokeInEveryOrder(t *testing.T) {
	t.Parallel()
	n := startTraps(t)
	admin := n.anew(t).signIn(t, "openid https://graph.microsoft.com/.default", "grace@contoso.example").Access
	got := make(chan tokens, 2)
	var old tokens
	use := func() {
		if status, x := n.as(t, "reader", "", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {old.Refresh}}); status == http.StatusOK {
			got <- x
		} else if x.Error != "invalid_grant" {
			t.Errorf("refresh: %d %+v", status, x)
		}
	}
	cut := func() { n.revoke(t, admin, "ada@contoso.example") }
	atOnce := func(acts ...func()) func() {
		return func() {
			var all sync.WaitGroup
			ready := make(chan struct{})
			for _, f := range acts {
				all.Go(func() { <-ready; f() })
			}
			close(ready)
			all.Wait()
		}
	}
	inTurn := func(acts ...func()) func() {
		return func() {
			for _, f := range acts {
				f()
			}
		}
	}
	lived := 0
	for name, round := range map[string]struct {
		run   func()
		times int
	}{
		"revoke last":           {inTurn(use, use, cut), 1},
		"revoke between":        {inTurn(use, cut, use), 1},
		"revoke first":          {inTurn(cut, use, use), 1},
		"all at once":           {atOnce(use, use, cut), 12},
		"two at once, then cut": {inTurn(atOnce(use, use), cut), 3},
	} {
		for range round.times {
			old = n.anew(t).signIn(t, mailScope, "ada@contoso.example")
			round.run()
			handed := []tokens{old}
			for len(got) > 0 {
				handed = append(handed, <-got)
				lived++
			}
			for i, x := range handed {
				if n.active(t, "mail-api", mailAPISecret, x.Access) {
					t.Errorf("%s: access token %d of %d lives", name, i, len(handed))
				}
				if status, y := n.as(t, "reader", "", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {x.Refresh}}); status != http.StatusBadRequest || y.Error != "invalid_grant" {
					t.Errorf("%s: refresh token %d of %d: %d %+v", name, i, len(handed), status, y)
				}
			}
		}
	}
	if lived < 4 {
		t.Errorf("%d refreshes got anything: this test would see nothing", lived)
	}
}

// Trap 8 (thread 60): a subject of its own for each application must be mapped
// before anything can be cut. Here everybody has one subject everywhere, which says
// who is cut: the id in any application's token revokes what all of them hold.
func TestTrap08OneSubjectForEveryApplication(t *testing.T) {
	t.Parallel()
	n := startTraps(t)
	admin := n.anew(t).signIn(t, "openid https://graph.microsoft.com/.default", "grace@contoso.example").Access
	reader := n.signIn(t, mailScope, "ada@contoso.example")
	code := n.authorize(t, mailScope, "ada@contoso.example", "client_id", "desk")
	_, desk := n.as(t, "desk", "", url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"http://localhost"}, "code_verifier": {verifier}})
	sub := claimOf(t, reader.ID, "sub")
	for _, token := range []string{reader.Access, desk.Access, desk.ID} {
		if claimOf(t, token, "sub") != sub || claimOf(t, token, "oid") != sub {
			t.Errorf("sub %s, oid %s, want %s", claimOf(t, token, "sub"), claimOf(t, token, "oid"), sub)
		}
	}
	n.revoke(t, admin, sub)
	for _, x := range []tokens{reader, desk} {
		if n.active(t, "mail-api", mailAPISecret, x.Access) {
			t.Errorf("a token of %s lives", claimOf(t, x.Access, "client_id"))
		}
	}
}

// Trap 10: a guard whose clock is wrong by ten minutes, either way. What was cut is
// refused there as anywhere, for no clock decides that; and a clock that is behind
// makes no old token young.
func TestTrap10AGuardWithAWrongClockRefusesWhatWasCut(t *testing.T) {
	t.Parallel()
	n := startTraps(t)
	admin := n.anew(t).signIn(t, "openid https://graph.microsoft.com/.default", "grace@contoso.example").Access
	began := time.Now()
	guards := map[string]*mailService{}
	for name, wrong := range map[string]time.Duration{"behind": -10 * time.Minute, "ahead": 10 * time.Minute} {
		guards[name] = n.mailService(t, func(c *guard.Config) {
			c.Log = slog.New(slog.DiscardHandler)
			c.Now, c.Mono = func() time.Time { return time.Now().Add(wrong) }, func() time.Duration { return time.Since(began) }
		})
	}
	got := n.signIn(t, mailScope, "ada@contoso.example")
	if status := guards["ahead"].ask(t, "/inbox", got.Access, "").StatusCode; status != http.StatusNoContent {
		t.Errorf("ahead, before: %d", status)
	}
	n.revoke(t, admin, "ada@contoso.example")
	for name, m := range guards {
		for end := time.Now().Add(5 * time.Second); m.ask(t, "/inbox", got.Access, "").StatusCode != http.StatusUnauthorized; {
			if time.Now().After(end) {
				t.Fatalf("%s: the guard accepts what was cut", name)
			}
		}
	}
	if status := guards["ahead"].ask(t, "/inbox", n.signIn(t, mailScope, "ada@contoso.example").Access, "").StatusCode; status != http.StatusNoContent {
		t.Errorf("ahead, a new token: %d", status)
	}
}

// Trap 15: introspection that somebody keeps is an access token that nobody can
// revoke. The server keeps what a signature proves and nothing that can change, and
// says that the answer is not to be kept.
func TestTrap15IntrospectionIsJudgedEachTime(t *testing.T) {
	t.Parallel()
	n := startTraps(t)
	admin := n.anew(t).signIn(t, "openid https://graph.microsoft.com/.default", "grace@contoso.example").Access
	got := n.signIn(t, mailScope, "ada@contoso.example")
	for range 3 { // by now its signature is remembered
		if !n.active(t, "mail-api", mailAPISecret, got.Access) {
			t.Fatal("not active before the revoke")
		}
	}
	n.revoke(t, admin, "ada@contoso.example")
	if n.active(t, "mail-api", mailAPISecret, got.Access) {
		t.Error("active after the revoke")
	}
	if !n.active(t, "mail-api", mailAPISecret, n.signIn(t, mailScope, "ada@contoso.example").Access) {
		t.Error("a new one is not active")
	}
}
