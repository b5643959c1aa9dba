package grant_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
)

var start = time.Date(2026, 3, 2, 12, 4, 0, 0, time.UTC)

func TestRotate(t *testing.T) {
	l := grant.DefaultLifetimes()
	type use struct {
		generation int64
		after      time.Duration // since start, when it is served
		arrived    time.Duration
		resource   directory.ResourceID
		want       grant.Outcome
		handed     int64
	}
	s := time.Second
	for name, uses := range map[string][]use{
		"one after the other": {{1, 0, 0, "m", grant.Rotated, 2}, {2, s, s, "m", grant.Rotated, 3}},
		"a lost answer":       {{1, 0, 0, "m", grant.Rotated, 2}, {1, 50 * s, 50 * s, "m", grant.Retried, 2}},
		"beyond the window":   {{1, 0, 0, "m", grant.Rotated, 2}, {1, 61 * s, 61 * s, "m", grant.Reused, 2}},
		"after the successor": {{1, 0, 0, "m", grant.Rotated, 2}, {2, s, s, "m", grant.Rotated, 3}, {1, 2 * s, 2 * s, "m", grant.Reused, 3}},
		"arrived before the successor was used, served after": {{1, 0, 0, "m", grant.Rotated, 2}, {2, 2 * s, 2 * s, "m", grant.Rotated, 3}, {3, 3 * s, 3 * s, "m", grant.Rotated, 4}, {1, 4 * s, s, "m", grant.Retried, 4}},
		"the same, past the deadline":                         {{1, 0, 0, "m", grant.Rotated, 2}, {2, 2 * s, 2 * s, "m", grant.Rotated, 3}, {1, 40 * s, s, "m", grant.Reused, 3}},
		"three retries each":                                  {{1, 0, 0, "m", grant.Rotated, 2}, {1, 0, 0, "m", grant.Retried, 2}, {1, 0, 0, "m", grant.Retried, 2}, {1, 0, 0, "m", grant.Retried, 2}, {1, 0, 0, "m", grant.TooMany, 2}, {1, 0, 0, "d", grant.Retried, 2}},
		"ahead":                                               {{2, 0, 0, "m", grant.Ahead, 1}},
	} {
		state := grant.State{Generation: 1}
		for i, u := range uses {
			got, alarm := state.Rotate(grant.Use{Generation: u.generation, Resource: u.resource, Arrived: start.Add(u.arrived), Now: start.Add(u.after)}, l)
			if got != u.want || state.Generation != u.handed || alarm != 0 {
				t.Errorf("%s, use %d: outcome %d, generation %d, alarm %q", name, i+1, got, state.Generation, alarm)
			}
			state.Note(u.resource, start.Add(u.after), start.Add(u.after+time.Hour))
			again, err := grant.ParseState(state.Format())
			again.Generation = state.Generation
			if err != nil || !reflect.DeepEqual(again, state) {
				t.Errorf("%s: %q read back as %+v, %v", name, state.Format(), again, err)
			}
		}
	}
}

func TestNoteKeepsTheLatestEnd(t *testing.T) {
	var s grant.State
	s.Note("m", start, start.Add(2*time.Hour))
	s.Note("m", start.Add(time.Minute), start.Add(time.Hour))
	s.Note("d", start, start.Add(time.Hour))
	if len(s.Tokens) != 2 || s.Tokens[0].Expires != start.Add(2*time.Hour).Unix() {
		t.Fatalf("%+v", s.Tokens)
	}
	s.Note("d", start.Add(72*time.Hour), start.Add(73*time.Hour))
	if len(s.Tokens) != 1 {
		t.Fatalf("what ended days ago is kept: %+v", s.Tokens)
	}
}

func TestScopesRoundTrip(t *testing.T) {
	ps := []directory.Permission{{Resource: "api://mail", Scopes: []string{"Mail.Read", "Mail.Send"}}, {Resource: "curfew", Scopes: []string{"openid"}}}
	if got := grant.ParseScopes(grant.FormatScopes(ps)); !reflect.DeepEqual(got, ps) {
		t.Fatalf("%+v", got)
	}
}

func TestRefreshTokensAreComputedAndBound(t *testing.T) {
	key := []byte(strings.Repeat("k", 32))
	r := grant.Refresh{Key: grant.KeyID{1, 2, 3, 4}, Issuer: grant.Plain, Grant: directory.NewID[directory.Grant](start), Generation: 1<<40 + 7}
	token := r.Seal(key)
	got, err := grant.Parse(token)
	if err != nil || got != r || !got.Verify(token, key) || token != r.Seal(key) {
		t.Fatalf("%+v %v", got, err)
	}
	if got.Verify(token, []byte("another key")) {
		t.Error("verified under another key")
	}
	for i := len(grant.Prefix); i < len(token); i++ { // no character can be changed
		c := byte('A')
		if token[i] == c {
			c = 'B'
		}
		forged := token[:i] + string(c) + token[i+1:]
		if f, err := grant.Parse(forged); err == nil && f.Verify(forged, key) {
			t.Fatalf("forged at %d", i)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(grant.Refresh{}.Seal(nil))
	f.Fuzz(func(t *testing.T, s string) {
		if r, err := grant.Parse(s); err == nil && len(r.Seal(nil)) != len(s) {
			t.Fatal("accepted another length")
		}
	})
}

func FuzzState(f *testing.F) {
	f.Add("1,2|m=3|m 5 6,d 7 8")
	f.Add("1,2|m=3|m 5 6,d 7 8|f1 nwAAC r3 e1772453040 i9")
	f.Add("||m 5 6|nIAENuAAB")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := grant.ParseState(text)
		if err != nil {
			return
		}
		if again, err := grant.ParseState(s.Format()); err != nil || again.Format() != s.Format() && len(s.Retries) < 2 {
			t.Fatalf("%q: %v", text, err)
		}
	})
}
