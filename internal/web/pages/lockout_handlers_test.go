package pages_test

import (
	"net"
	"net/http"
	"slices"
	"testing"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// browserAt is a browser whose requests come from an address of loopback.
func (s *site) browserAt(ip string) *browser {
	b := s.browser()
	t := b.c.Transport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}).DialContext
	s.t.Cleanup(t.CloseIdleConnections)
	b.c.Transport = t
	return b
}

// Guesses shut out the address that they come from. The person gets in with the right
// password, from home also when guesses from many addresses have used up what the
// account has, and hears of them.
func TestGuessesLockOutWhoGuessesAndNotThePerson(t *testing.T) {
	t.Parallel()
	s := open(t)
	told := make(chan string, 100)
	s.signin.Attacked = func(u *directory.User) { told <- u.Name }
	const home, elsewhere, away = "127.0.0.2", "127.0.0.3", "127.0.0.4"
	in := func(ip, name string) {
		t.Helper()
		b := s.browserAt(ip)
		b.signIn(b.get("/signin"), name)
		if b.cookie() == nil {
			t.Errorf("%s at %s is not signed in", name, ip)
		}
	}
	out := func(ip, name, typed string) {
		t.Helper()
		b := s.browserAt(ip)
		p := b.submit(b.get("/signin"), "username", name+"@contoso.example", "password", typed).want(429, "Error")
		if p.header.Get("Retry-After") == "" || !p.says("Too many tries. Try again at") || b.cookie() != nil {
			t.Errorf("%s at %s: Retry-After %q, signed in: %v", name, ip, p.header.Get("Retry-After"), b.cookie() != nil)
		}
	}
	guess := func(ip string) {
		t.Helper()
		b := s.browserAt(ip)
		p := b.get("/signin")
		for range 10 {
			p = b.submit(p, "username", "ada@contoso.example", "password", "not it").want(422, "Error")
		}
	}
	in(home, "ada")
	guess(away)
	out(away, "ada", "not it")
	out(away, "ada", password) // not even the right one
	in(home, "ada")
	in(elsewhere, "ada")
	in(away, "grace") // who sits behind the same address
	if len(told) != 0 {
		t.Errorf("told %s of guesses from one address", <-told)
	}
	for i := range 9 { // what is left to the account from all addresses
		guess("127.0.1." + string(rune('1'+i)))
	}
	out("127.0.2.1", "ada", "not it")
	out("127.0.2.2", "ada", password)
	in(home, "ada")
	if n := len(told); n != 1 || <-told != "ada@contoso.example" {
		t.Errorf("told %d times of many addresses", n)
	}
	s.Read(func(tx *store.Tx) error {
		all, err := tx.Audits(store.AuditQuery{Target: s.Ada.ID.String(), Limit: 100})
		if !slices.ContainsFunc(all, func(x audit.Record) bool { return x.Action == "Account under attack" && x.Result == audit.Failure }) {
			t.Errorf("the audit log says nothing: %+v", all)
		}
		return err
	})
}

// Tokens say how somebody signed in: amr has mfa after two factors, and only then.
func TestTokensSayWhetherTwoFactorsWereGiven(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.consented(s.Ada)
	says := func(p *page, want ...string) {
		t.Helper()
		status, got := s.redeem(p.answer().Get("code"))
		if status != http.StatusOK {
			t.Fatalf("%d %v", status, got)
		}
		for _, kind := range []string{"access_token", "id_token"} {
			var amr []string
			have, _ := claims(t, got[kind].(string))["amr"].([]any)
			for _, x := range have {
				amr = append(amr, x.(string))
			}
			if !slices.Equal(amr, want) {
				t.Errorf("%s: amr %v, want %v", kind, amr, want)
			}
		}
	}
	in, _, err := s.signin.Password(t.Context(), signin.Attempt{Username: "ada@contoso.example", Password: password, IP: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	made, err := s.factor.MakeCodes(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	b := s.browser()
	says(b.signIn(b.get(request()), "ada"), "pwd")
	s.Rule(storetest.Policy(1, "", storetest.AsksMFA))
	says(b.submit(b.get(request()), "code", made.Codes[0]), "pwd", "rc", "mfa")
}
