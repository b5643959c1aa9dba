package guard

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

func strict(s string) error {
	return readObject(s, func(r *jsonReader, _ string) error { return r.skip() })
}

// FuzzStrictJSON: what the strict reader takes, the library takes too, and in
// it no object has a member twice.
func FuzzStrictJSON(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1,"a":2}`, `{"a":{"b":[1,2,{"c":null}]}}`, `{"a":"\u0061\ud83d\ude00"}`, `{"a":-0.5e+3}`, `{"a":tru}`, `{"a" : [ ] , "b":"\""}`, `{"a":1}x`, `{"a\`, `{"a":"\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strict(s) != nil {
			return
		}
		if !json.Valid([]byte(s)) {
			t.Fatalf("%q is not JSON", s)
		}
		dec := json.NewDecoder(strings.NewReader(s))
		if noTwins(dec) != nil {
			t.Fatalf("%q has a member twice", s)
		}
	})
}

func noTwins(dec *json.Decoder) error {
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	d, ok := tok.(json.Delim)
	if !ok {
		return nil
	}
	seen := map[string]bool{}
	for dec.More() {
		if d == '{' {
			name, err := dec.Token()
			if err != nil {
				return err
			}
			if s := name.(string); seen[s] {
				return errJSON
			} else {
				seen[s] = true
			}
		}
		if err := noTwins(dec); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}

func TestStrictReaderTakesAllPlainJSON(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		`{}`, ` { } `, `{"":""}`, `{"a":[],"b":[1,-1,0,1.5,1e9,1E-9],"c":{"a":1},"d":true,"e":false,"f":null}`,
		`{"a":"\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00ä😀"}`, "{\t\"a\"\r\n:\t1\n}",
	} {
		if err := strict(s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
}

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
