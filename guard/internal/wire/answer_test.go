package wire

import (
	"strings"
	"testing"
)

// FuzzAnswer: no answer can make the reader panic, and every line it lets
// through is valid.
func FuzzAnswer(f *testing.F) {
	f.Add(`{"nonce":"n","cursor":"c","head":2,"floor":0,"age_ms":1.5,"held_ms":0,"snapshot":false,"lines":[{"pos":1,"cuts":[{"scope":"all","reach":"tokens"}]},{"pos":2}]}`)
	f.Add(`{"lines":[{"pos":1,"cuts":[{"scope":"x"}]}],"snapshot":true}`)
	f.Fuzz(func(t *testing.T, s string) {
		a, err := Read(strings.NewReader(s))
		if err != nil {
			return
		}
		if a.Age < 0 || a.Held < 0 || a.Snapshot != (a.Set != nil) {
			t.Fatalf("%+v", a)
		}
		for _, l := range a.Lines {
			if l.Valid() != nil || l.Pos > a.Largest {
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
		a, err := Read(strings.NewReader(s))
		if err != nil || a.Set == nil || a.Largest != 2 || len(a.Lines) != 0 {
			t.Fatalf("%s: %+v, %v", s, a, err)
		}
	}
	for _, s := range []string{`{` + rest + `,` + rest + `}`, `[]`, `{}`, `{` + rest, `{` + rest + `,"lines":{}}`, `{"head":"2"}`} {
		if _, err := Read(strings.NewReader(s)); err == nil {
			t.Errorf("%s was taken", s)
		}
	}
}
