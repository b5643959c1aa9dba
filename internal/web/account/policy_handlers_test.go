package account_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// tripboard is the address at which the application asks for a code.
func tripboard(more ...string) string {
	q := url.Values{"client_id": {"tripboard"}, "response_type": {"code"}, "redirect_uri": {"https://tripboard.example/cb"}, "scope": {"openid"}, "state": {"s-1"},
		"code_challenge": {"ahPqLsi7P3zVk_x_mrtpwuI1ckS-ixx0SqLQLE0lQXA"}, "code_challenge_method": {"S256"}}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return "/oauth2/authorize?" + q.Encode()
}

// answer is what the application got; nothing: it got none.
func (p *page) answer() url.Values {
	p.t.Helper()
	to := p.header.Get("Location")
	u, err := url.Parse(to)
	if err != nil {
		p.t.Fatal(err)
	}
	if u.Host != "tripboard.example" {
		return url.Values{}
	}
	return u.Query()
}

func TestAPolicyThatDemandsASecondFactor(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.open()
	h.rule(storetest.Policy(1, "", storetest.AsksMFA))
	// Nobody has one: it is set up on the way, and used, and only then there is a code.
	p := b.submit(b.get(tripboard()).want(200, "Sign in"), "/signin", "username", ada, "password", password).want(200, "Set up a second factor")
	if !p.says("to go on to Tripboard") {
		t.Errorf("%s", p.doc.Text())
	}
	b.get("/account").want(200, "Set up a second factor") // nothing is open until then
	if q := b.get(tripboard("prompt", "none")).answer(); q.Get("error") != "interaction_required" || q.Get("code") != "" {
		t.Errorf("prompt=none: %v", q)
	}
	p = b.submit(p, "/account/methods/app/begin").want(200, "Add an authenticator app")
	key := p.id("key")
	p = b.submit(p, "/account/methods/app", "code", totp(t, key, h.Clock.Now())).want(200, "Enter the code")
	b.get("/account").want(200, "Enter the code") // a method that was set up is not yet given
	h.Clock.Add(30 * time.Second)
	p = b.submit(p, "/signin/second", "code", totp(t, key, h.Clock.Now())).want(200, "Recovery codes")
	onwards := ""
	for _, a := range p.doc.All("a") {
		if a.Text == "Not now" {
			onwards = a.Attr["href"]
		}
	}
	if q := b.get(onwards).answer(); q.Get("code") == "" || q.Get("state") != "s-1" {
		t.Errorf("%s: %v", onwards, q)
	}
	b.get("/account").want(200, "My account")

	// The next sign-in asks for the code, and goes on to the application by itself.
	other := b.another()
	p = other.submit(other.get(tripboard()), "/signin", "username", ada, "password", password).want(200, "Enter the code")
	h.Clock.Add(30 * time.Second)
	if q := other.submit(p, "/signin/second", "code", totp(t, key, h.Clock.Now())).answer(); q.Get("code") == "" {
		t.Errorf("%v", q)
	}
	// Even where the application wants a fresh sign-in, it is asked for once.
	p = other.submit(other.get(tripboard("prompt", "login")).want(200, "Sign in"), "/signin", "username", ada, "password", password)
	if q := p.answer(); q.Get("code") == "" {
		t.Errorf("%v: %s", q, p.title())
	}
	// A cut between the two leaves nothing.
	third := b.another()
	p = third.submit(third.get(tripboard()), "/signin", "username", ada, "password", password).want(200, "Enter the code")
	h.cut()
	h.Clock.Add(30 * time.Second)
	p = third.submit(p, "/signin/second", "code", totp(t, key, h.Clock.Now())).want(200, "Sign in")
	if q := p.answer(); q.Has("code") {
		t.Errorf("%v", q)
	}
}

func TestAStrengthThatAnAppDoesNotMeet(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.open()
	b.signIn("/account")
	key := b.app(h)
	h.rule(storetest.Policy(1, `"applications":{"includeApplications":["tripboard"]}`, `"grantControls":{"operator":"OR","builtInControls":[],"authenticationStrength":{"id":"00000000-0000-0000-0000-000000000004"}}`))
	p := b.get(tripboard()).want(200, "Set up a second factor")
	if p.says("Use an authenticator app") || !p.says("Use a passkey") {
		t.Errorf("%s", p.doc.Text())
	}
	// To add one, the app that is there has to be shown first.
	for _, a := range p.doc.All("a") {
		if a.Text == "Use a passkey" {
			p = b.get(a.Attr["href"]).want(200, "Enter the code")
		}
	}
	h.Clock.Add(30 * time.Second)
	b.submit(p, "/signin/second", "code", totp(t, key, h.Clock.Now())).want(200, "Set up a second factor")
}

func TestWhoIsBlockedIsToldWhatAnAdministratorNeedsToKnow(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.open()
	h.rule(storetest.Policy(1, "", storetest.Blocks))
	p := b.submit(b.get(tripboard()), "/signin", "username", ada, "password", password).want(403, "Your access is blocked")
	for _, want := range []string{"AADSTS53003", "Tripboard", "127.0.0.1", "Request", "At ", "Back to Tripboard"} {
		if !p.says(want) {
			t.Errorf("no %q: %s", want, p.doc.Text())
		}
	}
	for _, secret := range []string{storetest.PolicyID(1), "Policy 1"} {
		if p.says(secret) {
			t.Errorf("says %q", secret)
		}
	}
	if p.header.Get("X-Request-Id") == "" || !p.says(p.header.Get("X-Request-Id")) {
		t.Error("not the id by which it is found in the log")
	}
	// With the wrong password nobody learns that there is a policy.
	other := b.another()
	other.submit(other.get(tripboard()), "/signin", "username", ada, "password", "wrong").want(422, "Error: Sign in")
	b.get("/account").want(403, "Your access is blocked")
	// Ending what is one's own is always open.
	b.post("/account/everywhere", url.Values{}).want(200, "Signed out")
	b.signIn("/account").want(403, "Your access is blocked")
	if q := b.get(tripboard("prompt", "none")).answer(); q.Get("error") != "access_denied" {
		t.Errorf("%v", q)
	}
}

func TestAPasswordThatAPolicyWantsChanged(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.risk = access.Risk{User: policy.HighRisk}
	b := h.open()
	b.signIn("/account")
	key := b.app(h)
	h.rule(storetest.Policy(1, `"userRiskLevels":["high"]`, `"grantControls":{"operator":"AND","builtInControls":["mfa","passwordChange"]}`))
	p := b.get(tripboard()).want(200, "Enter the code") // who may change it is proven first
	h.Clock.Add(30 * time.Second)
	p = b.submit(p, "/signin/second", "code", totp(t, key, h.Clock.Now())).want(200, "Change password")
	const fresh = "copper harbour fig 77"
	p = b.submit(p, "/account/password", "current", password, "password", fresh, "password2", fresh)
	if p.url.Path != "/account/password" { // the account is at risk as before, here; what matters is that it went on
		t.Errorf("at %s: %s", p.url, p.title())
	}
	if _, _, err := h.signin.Password(t.Context(), signin.Attempt{Username: ada, Password: fresh}); err != nil {
		t.Error(err)
	}
}

// What is accepted is what was read, and it is asked for once.
func TestTermsOfUseAreReadAndAccepted(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.open()
	const id = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
	terms := &store.Document{Kind: store.TermsDocument, ID: id, Doc: `{"displayName":"House rules","text":"Close the door."}`}
	h.Rule(terms)
	h.rule(storetest.Policy(1, "", `"grantControls":{"operator":"OR","builtInControls":[],"termsOfUse":["`+id+`"]}`))
	p := b.submit(b.get(tripboard()).want(200, "Sign in"), "/signin", "username", ada, "password", password).want(200, "Terms of use")
	if !p.says("House rules") || !p.says("Close the door.") || !p.says("to go on to Tripboard") {
		t.Errorf("%s", p.doc.Text())
	}
	if q := b.get(tripboard("prompt", "none")).answer(); q.Get("error") != "interaction_required" {
		t.Errorf("prompt=none: %v", q)
	}
	terms.Doc = `{"displayName":"House rules","text":"Close both doors."}`
	h.Rule(terms)
	if q := b.submit(p, "/signin/terms"); q.status != 409 || !q.says("Close both doors.") {
		t.Errorf("worded otherwise meanwhile: %d %s", q.status, q.doc.Text())
	} else if a := b.submit(q, "/signin/terms").answer(); a.Get("code") == "" {
		t.Errorf("accepted: %v", a)
	}
	if q := b.get(tripboard()).answer(); q.Get("code") == "" { // asked once
		t.Errorf("again: %v", q)
	}
	if q := b.another().post("/signin/terms", url.Values{"flow": {"made up"}}); q.status != 400 {
		t.Errorf("a made-up flow: %d", q.status)
	}
}

// Both factors are too old: the password alone makes neither the second younger nor
// the person go round in a circle.
func TestAfterTheSignInFrequencyBothFactorsAreAskedForOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.open()
	b.signIn("/account")
	key := b.app(h)
	h.rule(storetest.Policy(1, "", storetest.AsksMFA+`,"sessionControls":{"signInFrequency":{"isEnabled":true,"type":"hours","value":4,"frequencyInterval":"timeBased","authenticationType":"primaryAndSecondaryAuthentication"}}`))
	other := b.another()
	p := other.submit(other.get(tripboard()), "/signin", "username", ada, "password", password).want(200, "Enter the code")
	h.Clock.Add(30 * time.Second)
	if q := other.submit(p, "/signin/second", "code", totp(t, key, h.Clock.Now())).answer(); q.Get("code") == "" {
		t.Fatalf("%v", q)
	}
	h.Clock.Add(4 * time.Hour)
	p = other.submit(other.get(tripboard()).want(200, "Sign in"), "/signin", "username", ada, "password", password).want(200, "Enter the code")
	if q := other.submit(p, "/signin/second", "code", totp(t, key, h.Clock.Now())).answer(); q.Get("code") == "" {
		t.Errorf("%v", q)
	}
}
