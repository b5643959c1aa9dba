package pages_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

// Whoever ends what is their own too often is told when to try again, and is not
// kept from signing out.
func TestEndingOnesOwnTooOften(t *testing.T) {
	t.Parallel()
	s := open(t)
	b, phone := s.browser(), s.browser()
	b.signIn(b.get("/signin"), "ada")
	keep := url.Values{"keep": {"1"}}
	for range 10 {
		b.post("/account/everywhere", keep).want(200, "My account")
	}
	phone.signIn(phone.get("/signin"), "ada")
	end := ""
	for _, f := range webkittest.Parse(t, b.get("/account").body).All("form") {
		if strings.HasSuffix(f.Attr["action"], "/end") {
			end = f.Attr["action"]
		}
	}
	before, _ := s.DB.View().Head()
	for _, path := range []string{"/account/everywhere", end} {
		p := b.post(path, keep).want(429, "Too many tries")
		if p.header.Get("Retry-After") != "30" || !p.says("Nothing was changed. Try again in 30 seconds.") {
			t.Errorf("%s: Retry-After %q\n%s", path, p.header.Get("Retry-After"), webkittest.Parse(t, p.body).Text())
		}
	}
	if head, _ := s.DB.View().Head(); head != before {
		t.Errorf("refused, and %d lines", head-before)
	}
	phone.get("/account").want(200, "My account")
	b.get("/account").want(200, "My account") // and stays who she is
	b.submit(b.get("/signout"), "decision", "allow").want(200, "Signed out")
	if b.cookie() != nil {
		t.Error("the cookie stayed")
	}
	b.get("/account").want(200, "Sign in")
}
