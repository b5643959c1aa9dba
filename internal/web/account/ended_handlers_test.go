package account_test

import (
	"net/url"
	"testing"
)

// Who signs out everywhere is told the instant, and the receipt is for their eyes only.
func TestSigningOutEverywhereIsToldWithItsInstant(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.open()
	phone := b.another()
	b.signIn("/account")
	phone.signIn("/account")
	p := b.post("/account/everywhere", url.Values{"keep": {"1"}}).want(200, "My account")
	at := h.Clock.Now().Format("15:04:05.000")
	if !p.says("Signed out everywhere else at "+at) || !p.says("1 browser and 0 applications ended") || p.url.Query().Get("receipt") == "" {
		t.Errorf("%s: %s", p.url, p.doc.Text())
	}
	phone.get("/account").want(200, "Sign in")
	// Somebody else's receipt is shown to nobody here, an administrator among them.
	grace := b.another()
	grace.submit(grace.get("/signin?next=%2Faccount"), "/signin", "username", "grace@contoso.example", "password", password).want(200, "My account")
	if q := grace.get("/account?"+p.url.RawQuery).want(200, "My account"); q.says("Signed out everywhere else at") {
		t.Errorf("%s", q.doc.Text())
	}
	phone.signIn("/account")
	if q := phone.post("/account/everywhere", url.Values{}).want(200, "Signed out everywhere"); !q.says("At "+at+", this browser too.") || !q.says("2 browsers and 0 applications ended") {
		t.Errorf("%s", q.doc.Text())
	}
	b.get("/account").want(200, "Sign in")
}
