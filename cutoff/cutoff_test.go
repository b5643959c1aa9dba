package cutoff

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestNamesOnTheWire(t *testing.T) {
	t.Parallel()
	for sc, name := range map[Scope]string{All: "all", User: "user", Session: "session", Grant: "grant", App: "app", UserApp: "user_app", Device: "device"} {
		b, err := sc.MarshalText()
		if err != nil || string(b) != name || sc.String() != name {
			t.Errorf("scope %d: %q %q %v, want %q", sc, b, sc, err, name)
		}
		var back Scope
		if err := back.UnmarshalText([]byte(name)); err != nil || back != sc {
			t.Errorf("%q reads as %v, %v", name, back, err)
		}
	}
	for r, name := range map[Reach]string{Everything: "everything", Tokens: "tokens", Judge: "judge"} {
		b, err := r.MarshalText()
		if err != nil || string(b) != name || r.String() != name {
			t.Errorf("reach %d: %q %q %v, want %q", r, b, r, err, name)
		}
		var back Reach
		if err := back.UnmarshalText([]byte(name)); err != nil || back != r {
			t.Errorf("%q reads as %v, %v", name, back, err)
		}
	}
}

func TestInvalidNamesAreErrors(t *testing.T) {
	t.Parallel()
	for _, sc := range []Scope{0, scopes, 255} {
		if _, err := sc.MarshalText(); err == nil {
			t.Errorf("scope %d has a wire name", sc)
		}
		if !strings.HasPrefix(sc.String(), "scope(") {
			t.Errorf("scope %d prints as %q", sc, sc)
		}
	}
	for _, r := range []Reach{0, reaches, 255} {
		if _, err := r.MarshalText(); err == nil {
			t.Errorf("reach %d has a wire name", r)
		}
		if !strings.HasPrefix(r.String(), "reach(") {
			t.Errorf("reach %d prints as %q", r, r)
		}
	}
	for _, name := range []string{"", "User", "users", "tenant"} {
		var sc Scope
		var r Reach
		if sc.UnmarshalText([]byte(name)) == nil || r.UnmarshalText([]byte(name)) == nil {
			t.Errorf("%q was read", name)
		}
		if sc != 0 || r != 0 {
			t.Errorf("%q left a value behind", name)
		}
	}
}

func TestCutoffPrintsForLogs(t *testing.T) {
	t.Parallel()
	if got := (Cutoff{User, ada, Everything}).String(); got != "user:"+ada+" everything" {
		t.Errorf("got %q", got)
	}
}

func TestADoubtEndsNothing(t *testing.T) {
	t.Parallel()
	judge, tokens := Cutoff{User, ada, Judge}, Cutoff{User, ada, Tokens}
	if Ends(nil) || Ends([]Cutoff{judge, judge}) || !Ends([]Cutoff{judge, tokens}) {
		t.Error("a line ends something exactly if one of its cutoffs does")
	}
}

func TestValid(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", MaxIDLen)
	for _, c := range []struct {
		name string
		line Line
		ok   bool
	}{
		{"bare number", line(1), true},
		{"largest", line(MaxPos), true},
		{"user", line(1, Cutoff{User, ada, Tokens}), true},
		{"all", line(1, Cutoff{All, "", Everything}), true},
		{"longest id", line(1, Cutoff{App, long, Everything}), true},
		{"longest user_app", line(1, Cutoff{UserApp, UserAppID(ada, strings.Repeat("x", 255)), Everything}), true},
		{"zero", line(0), false},
		{"negative", line(-1), false},
		{"beyond 53 bits", line(MaxPos + 1), false},
		{"all with id", line(1, Cutoff{All, ada, Everything}), false},
		{"user without id", line(1, Cutoff{User, "", Everything}), false},
		{"too long", line(1, Cutoff{App, long + "x", Everything}), false},
		{"no scope", line(1, Cutoff{0, ada, Everything}), false},
		{"unknown scope", line(1, Cutoff{scopes, ada, Everything}), false},
		{"no reach", line(1, Cutoff{User, ada, 0}), false},
		{"unknown reach", line(1, Cutoff{User, ada, reaches}), false},
		{"second one bad", line(1, Cutoff{User, ada, Tokens}, Cutoff{User, "", Tokens}), false},
	} {
		if err := c.line.Valid(); (err == nil) != c.ok {
			t.Errorf("%s: %v, want ok %v", c.name, err, c.ok)
		}
	}
}

func TestLineOnTheWire(t *testing.T) {
	t.Parallel()
	l := line(124, Cutoff{User, ada, Everything}, Cutoff{Scope: All, Reach: Tokens}, Cutoff{Scope: All, Reach: Judge})
	const want = `{"pos":124,"cuts":[{"scope":"user","id":"` + ada + `","reach":"everything"},{"scope":"all","reach":"tokens"},{"scope":"all","reach":"judge"}]}`
	b, err := json.Marshal(l)
	if err != nil || string(b) != want {
		t.Fatalf("got %s, %v", b, err)
	}
	if b, _ := json.Marshal(line(125)); string(b) != `{"pos":125}` {
		t.Errorf("bare line: %s", b)
	}
	if _, err := json.Marshal(line(1, Cutoff{})); err == nil {
		t.Error("an invalid cutoff was written")
	}
	for _, bad := range []string{`{"pos":1.5}`, `{"pos":"1"}`, `{"pos":1,"cuts":[{"scope":"tenant","id":"x","reach":"everything"}]}`, `{"pos":1,"cuts":[{"scope":"user","id":"x","reach":"some"}]}`, `{"pos":1,"cuts":[{"scope":3}]}`} {
		var l Line
		if err := json.Unmarshal([]byte(bad), &l); err == nil {
			t.Errorf("%s was read as %v", bad, l)
		}
	}
}

// FuzzLine: whatever is read and valid survives a round trip, merges without
// a panic, and kills, or puts in doubt, exactly what it covers.
func FuzzLine(f *testing.F) {
	f.Add([]byte(`{"pos":124,"cuts":[{"scope":"user","id":"` + ada + `","reach":"everything"}]}`))
	f.Add([]byte(`{"pos":1,"cuts":[{"scope":"all","reach":"tokens"},{"scope":"app","id":"mail","reach":"tokens"}]}`))
	f.Add([]byte(`{"pos":7,"cuts":[{"scope":"all","reach":"judge"},{"scope":"device","id":"laptop","reach":"judge"}]}`))
	f.Add([]byte(`{"pos":9007199254740991}`))
	f.Add([]byte(`{"pos":9007199254740992,"cuts":[{"scope":"user"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var l Line
		if json.Unmarshal(b, &l) != nil {
			return
		}
		var s Set
		s.Merge(l) // must not panic, valid or not
		if l.Valid() != nil {
			return
		}
		out, err := json.Marshal(l)
		if err != nil {
			t.Fatalf("valid line %v cannot be written: %v", l, err)
		}
		var back Line
		if err := json.Unmarshal(out, &back); err != nil {
			t.Fatalf("own output unreadable: %v", err)
		}
		if len(l.Cuts) == 0 {
			l.Cuts, back.Cuts = nil, nil
		}
		if !reflect.DeepEqual(l, back) {
			t.Fatalf("round trip: %v became %v", l, back)
		}
		for _, c := range l.Cuts {
			o := Owner{}
			switch c.Scope {
			case User:
				o = NewOwner(Belongs{User: c.ID})
			case Session:
				o = NewOwner(Belongs{Session: c.ID})
			case Grant:
				o = NewOwner(Belongs{Grant: c.ID})
			case App:
				o = NewOwner(Belongs{App: c.ID})
			case Device:
				o = NewOwner(Belongs{Device: c.ID})
			case UserApp:
				continue // the pair cannot be taken apart again
			}
			if c.Reach == Judge {
				if s.Judge(&o) != l.Pos || s.Latest(&o, Token) != 0 && len(l.Cuts) == 1 {
					t.Fatalf("%v at %d does not put in doubt what it says, and that alone", c, l.Pos)
				}
				continue
			}
			if !s.Dead(&o, l.Pos-1, Token) || s.Dead(&o, l.Pos, Token) || s.Judge(&o) != 0 && len(l.Cuts) == 1 {
				t.Fatalf("%v at %d does not cut where it says", c, l.Pos)
			}
		}
	})
}
