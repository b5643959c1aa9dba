package account_test

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

// app registers an authenticator app on the page of methods and returns its key.
func (b *browser) app(h *house) string {
	b.t.Helper()
	p := b.submit(b.get("/account/methods").want(200, "Ways to prove who you are"), "/account/methods/app/begin").want(200, "Add an authenticator app")
	key := p.id("key")
	if q := b.submit(p, "/account/methods/app", "code", "000000").want(422, "Error: Add an authenticator app"); q.id("key") != key || !q.says("The code is not right, or it was used already") {
		b.t.Error("a wrong code, and the page does not go on with the same key")
	}
	b.submit(p, "/account/methods/app", "code", totp(b.t, key, h.Clock.Now()), "name", "Work phone").want(200, "Ways to prove who you are")
	return key
}

func TestAnAuthenticatorAppIsAddedUsedAndRemoved(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.open()
	phone := b.another()
	b.signIn("/account").want(200, "My account")
	phone.signIn("/account").want(200, "My account")
	key := b.app(h)
	p := b.get("/account/methods")
	if !p.says("Work phone") || !p.says("Prove who you are with one of your methods first.") {
		t.Errorf("%s", p.doc.Text())
	}
	// Whoever has a method needs it to change anything.
	b.submit(p, "/account/methods/app/begin").want(200, "Enter the code")
	h.Clock.Add(30 * time.Second)
	second := b.get("/signin/second?next=%2Faccount%2Fmethods").want(200, "Enter the code")
	before := b.cookie()
	b.submit(second, "/signin/second", "code", "12345").want(422, "Error: Enter the code")
	code := totp(t, key, h.Clock.Now())
	p = b.submit(second, "/signin/second", "code", code).want(200, "Ways to prove who you are")
	if p.says("Prove who you are with") || b.cookie() == before {
		t.Errorf("the session is not raised under another cookie: %s", p.doc.Text())
	}
	// The same code is good once.
	b.submit(second, "/signin/second", "code", code).want(422, "Error: Enter the code")

	one := ""
	for _, a := range p.doc.All("a") {
		if a.Text == "Work phone" {
			one = a.Attr["href"]
		}
	}
	b.submit(b.get(one).want(200, "Work phone"), one+"/name", "name", " ").want(422, "Error: Work phone")
	b.submit(b.get(one), one+"/name", "name", "Old phone").want(200, "Ways to prove")
	if p := b.submit(b.get(one).want(200, "Old phone"), one+"/remove").want(200, "Ways to prove"); !p.says("Nothing but the password.") || !p.says("Every other browser and application of yours was signed out.") {
		t.Errorf("%s", p.doc.Text())
	}
	phone.get("/account").want(200, "Sign in")
	b.get(one).want(404, "There is nothing here")
	// Nobody reaches what is somebody else's.
	b.get("/account/methods/8e0fd1c2-0000-4000-8000-00000000abcd").want(404, "There is nothing here")
}

func (b *browser) cookie() string {
	u, _ := url.Parse(b.base)
	for _, c := range b.c.Jar.Cookies(u) {
		if c.Name == "curfew" {
			return c.Value
		}
	}
	return ""
}

func TestRecoveryCodesAreShownOnceAndGoodOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.open()
	b.signIn("/account")
	p := b.submit(b.get("/account/methods/codes").want(200, "Recovery codes"), "/account/methods/codes").want(200, "Recovery codes")
	codes := strings.Fields(p.id("codes"))
	if len(codes) != 10 {
		t.Fatalf("%q", codes)
	}
	if p.header.Get("Cache-Control") != "no-store" {
		t.Error("a cache may keep the codes")
	}
	if q := b.get("/account/methods"); q.says(codes[0]) || !q.says("10 left") {
		t.Errorf("%s", q.doc.Text())
	}
	other := b.another()
	other.signIn("/account")
	second := other.get("/signin/second?next=%2Faccount%2Fmethods").want(200, "Use a recovery code")
	other.submit(second, "/signin/second", "code", strings.ToUpper(codes[3])).want(200, "Ways to prove")
	third := b.another()
	third.signIn("/account")
	third.submit(third.get("/signin/second"), "/signin/second", "code", codes[3]).want(422, "Error: Use a recovery code")
	if q := other.get("/account/methods"); !q.says("9 left") {
		t.Errorf("%s", q.doc.Text())
	}
	// New ones take the place of the old, which signs every other browser out.
	q := other.get("/account/methods/codes").want(200, "Recovery codes")
	if !q.says("9 of them are not used yet") {
		t.Errorf("%s", q.doc.Text())
	}
	other.submit(q, "/account/methods/codes").want(200, "Recovery codes")
	third.get("/account").want(200, "Sign in")
	other.get("/account").want(200, "My account")
}

func TestWhoMustGiveASecondFactorAndHasNoneSetsOneUp(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.open()
	b.signIn("/account")
	p := b.get("/signin/second?next=%2Fdevice").want(200, "Set up a second factor")
	p = b.submit(p, "/account/methods/app/begin").want(200, "Add an authenticator app")
	key := p.id("key")
	p = b.submit(p, "/account/methods/app", "code", totp(t, key, h.Clock.Now())).want(200, "Enter the code")
	h.Clock.Add(30 * time.Second)
	p = b.submit(p, "/signin/second", "code", totp(t, key, h.Clock.Now())).want(200, "Recovery codes")
	p = b.submit(p, "/account/methods/codes").want(200, "Recovery codes")
	onwards := ""
	for _, a := range p.doc.All("a") {
		if a.Attr["id"] == "go-on" {
			onwards = a.Attr["href"]
		}
	}
	if onwards != "/device" {
		t.Errorf("goes on to %q", onwards)
	}
}

// A revocation between password and code: the code, right as it is, opens nothing.
func TestCutBetweenPasswordAndCode(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.open()
	b.signIn("/account")
	key := b.app(h)
	other := b.another()
	other.signIn("/account")
	second := other.get("/signin/second?next=%2Faccount").want(200, "Enter the code")
	h.Clock.Add(30 * time.Second)
	h.cut()
	other.submit(second, "/signin/second", "code", totp(t, key, h.Clock.Now())).want(200, "Sign in")
	other.get("/account").want(200, "Sign in")
	// And half of a registration: the ticket is dead with the session it was for.
	b.signIn("/account").want(200, "My account")
	h.Clock.Add(30 * time.Second)
	b.submit(b.get("/signin/second?next=%2Faccount%2Fmethods"), "/signin/second", "code", totp(t, key, h.Clock.Now())).want(200, "Ways to prove")
	half := b.submit(b.get("/account/methods"), "/account/methods/app/begin").want(200, "Add an authenticator app")
	h.cut()
	b.submit(half, "/account/methods/app", "code", totp(t, half.id("key"), h.Clock.Now())).want(200, "Sign in")
	b.signIn("/account").want(200, "My account")
	if p := b.get("/account/methods"); strings.Count(p.doc.Text(), "Authenticator app") != 2 { // the row and the heading
		t.Errorf("%s", p.doc.Text())
	}
}

func TestABrowserThatIsSparedTheSecondFactor(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.open()
	b.signIn("/account")
	key := b.app(h)
	h.Clock.Add(30 * time.Second)
	p := b.get("/signin/second?next=%2Faccount").want(200, "Enter the code")
	if !p.says("Don't ask again on this browser For 14 days.") {
		t.Errorf("%s", p.doc.Text())
	}
	b.submit(p, "/signin/second", "code", totp(t, key, h.Clock.Now()), "remember", "1").want(200, "My account")
	again := func(title string) {
		t.Helper()
		b.submit(b.get("/signout"), "/signout", "decision", "allow").want(200, "Signed out")
		b.signIn("/account").want(200, "My account")
		b.get("/signin/second?next=%2Faccount").want(200, title)
	}
	again("My account")
	// It goes on by itself once: who comes back needs more than that.
	b.get("/signin/second?next=%2Faccount").want(200, "Enter the code")
	other := b.another()
	other.signIn("/account")
	other.get("/signin/second?next=%2Faccount").want(200, "Enter the code")
	h.cut()
	b.signIn("/account").want(200, "My account")
	b.get("/signin/second?next=%2Faccount").want(200, "Enter the code")
}

func TestGuessingCodesIsThrottled(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.open()
	b.signIn("/account")
	b.app(h)
	p := b.get("/signin/second?next=%2Faccount").want(200, "Enter the code")
	for range 100 {
		q := b.submit(p, "/signin/second", "code", "000001")
		if q.status == 429 {
			if q.header.Get("Retry-After") == "" || !q.says("Too many tries. Try again at ") {
				t.Errorf("%v %s", q.header, q.doc.Text())
			}
			return
		}
		q.want(422, "Error: Enter the code")
	}
	t.Error("a hundred guesses")
}

// Nobody who is not signed in gets anything but the sign-in page, and an address to go
// on to is one of ours or none.
func TestPagesOfSecondFactorsNeedASession(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.open()
	for _, path := range []string{"/signin/second", "/account/methods", "/account/methods/passkey", "/account/methods/codes", "/account/methods/8e0fd1c2-0000-4000-8000-00000000abcd"} {
		b.get(path).want(200, "Sign in")
	}
	for _, path := range []string{"/signin/second", "/signin/second/passkey", "/account/methods/app/begin", "/account/methods/app", "/account/methods/passkey", "/account/methods/codes", "/account/methods/8e0fd1c2-0000-4000-8000-00000000abcd/remove"} {
		b.post(path, url.Values{"code": {"000000"}, "response": {"{}"}}).want(200, "Sign in")
	}
	for _, path := range []string{"/signin/second/passkey/begin", "/account/methods/passkey/begin"} {
		if p := b.post(path, nil); p.status != 401 || p.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %v", path, p.status, p.header)
		}
	}
	b.signIn("/account")
	for _, path := range []string{"/signin/second", "/signin/passkey", "/signin/pass", "/account/methods/codes", "/account/methods/passkey"} {
		for _, next := range []string{"https://evil.example", "//evil.example", "/\\evil.example", "/signout", "javascript:alert(1)"} {
			b.get(path+"?next="+url.QueryEscape(next)).want(400, "This request makes no sense")
		}
	}
	// Without a script a form for a passkey is told what it needs.
	p := b.another().get("/signin/passkey").want(200, "Sign in with a passkey")
	b.submit(p, "/signin/passkey").want(422, "Error: Sign in with a passkey")
	b.post("/account/methods/passkey", nil).want(422, "Error: Add a passkey")
	// What was not sealed here is not shown as a picture.
	b.post("/account/methods/app", url.Values{"flow": {"eyJ0IjoiIn0.AAAA"}, "code": {"000000"}}).want(200, "Ways to prove")
}
