package guard

import (
	"net/url"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/guard/internal/wire"
)

// FuzzParse: no token can make the parser panic, and what it takes is whole.
func FuzzParse(f *testing.F) {
	f.Add("eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6ImEifQ.e30.AAAA")
	f.Add("..")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parse(s, nil)
		if err == nil && (p.kid == "" || p.alg == "" || strings.Count(s, ".") != 2 || !strings.HasPrefix(s, p.signed+".")) {
			t.Fatalf("%q was taken: %+v", s, p)
		}
		if err == nil {
			readClaims(p.payload)
		}
	})
}

// An answer that was on its way when an unreadable line came may have been
// written before that line: it must not open the guard.
func TestAnswerToAnEarlierQuestionDoesNotReopen(t *testing.T) {
	t.Parallel()
	g, err := New(Config{Issuer: "https://login.contoso.example", ClientID: "mail", ClientSecret: "s", Audience: "api://mail"})
	if err != nil {
		t.Fatal(err)
	}
	answer := func() *wire.Answer {
		a, err := wire.Read(strings.NewReader(`{"snapshot":true,"nonce":"n","cursor":"c","head":2,"floor":0,"age_ms":0,"held_ms":0,"lines":[]}`))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	q := url.Values{"nonce": {"n"}}
	for _, c := range []struct {
		bad    uint64
		closed bool
	}{{0, false}, {0, true}, {1, false}} {
		if c.closed {
			g.unreadable()
		}
		if err := g.apply(answer(), g.now(), q, c.bad); err != nil {
			t.Fatal(err)
		}
		if _, closed := g.staleSince(g.now()); closed != c.closed {
			t.Errorf("bad %d: closed %v", c.bad, closed)
		}
	}
}
