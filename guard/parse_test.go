package guard

import (
	"net/url"
	"strings"
	"testing"
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

// FuzzAnswer: no answer can make the reader panic, and every line it lets
// through is valid.
func FuzzAnswer(f *testing.F) {
	f.Add(`{"nonce":"n","cursor":"c","head":2,"floor":0,"age_ms":1.5,"held_ms":0,"snapshot":false,"lines":[{"pos":1,"cuts":[{"scope":"all","reach":"tokens"}]},{"pos":2}]}`)
	f.Add(`{"lines":[{"pos":1,"cuts":[{"scope":"x"}]}],"snapshot":true}`)
	f.Fuzz(func(t *testing.T, s string) {
		a, err := readAnswer(strings.NewReader(s))
		if err != nil {
			return
		}
		if a.age < 0 || a.held < 0 || a.snapshot != (a.set != nil) {
			t.Fatalf("%+v", a)
		}
		for _, l := range a.lines {
			if l.Valid() != nil || l.Pos > a.largest {
				t.Fatalf("line %v", l)
			}
		}
	})
}

// The words that decide how to read the lines may come after them.
func TestAnswerMembersInAnyOrder(t *testing.T) {
	t.Parallel()
	const rest = `"nonce":"n","cursor":"c","head":2,"floor":0,"age_ms":0,"held_ms":0`
	const lines = `"lines":[{"pos":2,"cuts":[{"scope":"all","reach":"tokens"}]}]`
	for _, s := range []string{`{"snapshot":true,` + lines + `,` + rest + `}`, `{` + lines + `,"more":[1],` + rest + `,"snapshot":true}`} {
		a, err := readAnswer(strings.NewReader(s))
		if err != nil || a.set == nil || a.largest != 2 || len(a.lines) != 0 {
			t.Fatalf("%s: %+v, %v", s, a, err)
		}
	}
	for _, s := range []string{`{` + rest + `,` + rest + `}`, `[]`, `{}`, `{` + rest, `{` + rest + `,"lines":{}}`, `{"head":"2"}`} {
		if _, err := readAnswer(strings.NewReader(s)); err == nil {
			t.Errorf("%s was taken", s)
		}
	}
}

// An answer that was on its way when an unreadable line came may have been
// written before that line: it must not open the guard.
func TestAnswerToAnEarlierQuestionDoesNotReopen(t *testing.T) {
	t.Parallel()
	g, err := New(Config{Issuer: "https://login.contoso.example", ClientID: "mail", ClientSecret: "s", Audience: "api://mail"})
	if err != nil {
		t.Fatal(err)
	}
	answer := func() *answer {
		a, err := readAnswer(strings.NewReader(`{"snapshot":true,"nonce":"n","cursor":"c","head":2,"floor":0,"age_ms":0,"held_ms":0,"lines":[]}`))
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
