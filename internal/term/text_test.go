package term

import (
	"bytes"
	"testing"
	"time"
)

// noon is when these tests happen: Monday 2 March 2026, 12:04:34.535.
var noon = time.Date(2026, 3, 2, 12, 4, 34, 535e6, time.UTC)

func testConsole(env map[string]string) (*Console, *bytes.Buffer) {
	out := &bytes.Buffer{}
	return &Console{Out: out, Err: &bytes.Buffer{}, Getenv: func(k string) string { return env[k] }, Now: func() time.Time { return noon }, Zone: time.UTC}, out
}

func TestTableAlignsAndColoursOnTerminalsOnly(t *testing.T) {
	t.Parallel()
	rows := func() [][]Cell {
		return [][]Cell{Head("a", "n", "state"), {{Text: "Zoë"}, {Text: "1,000", Right: true}, {Text: "ended", Colour: Green}}, {{Text: "李小龍"}, {Text: "7", Right: true}, {Text: "lives", Colour: Amber}}}
	}
	for _, tt := range []struct {
		tty  bool
		env  map[string]string
		want string
	}{
		{false, nil, "a       n      state\nZoë     1,000  ended\n李小龍      7  lives\n"},
		{true, map[string]string{"NO_COLOR": "1"}, "a       n      state\nZoë     1,000  ended\n李小龍      7  lives\n"},
		{true, nil, "\x1b[90ma\x1b[0m       \x1b[90mn\x1b[0m      \x1b[90mstate\x1b[0m\nZoë     1,000  \x1b[32mended\x1b[0m\n李小龍      7  \x1b[33mlives\x1b[0m\n"},
	} {
		c, out := testConsole(tt.env)
		c.OutTTY = tt.tty
		c.Table(c.Out, "", rows())
		if out.String() != tt.want {
			t.Errorf("terminal %v, %v:\n%q, want\n%q", tt.tty, tt.env, out, tt.want)
		}
	}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	c, _ := testConsole(nil)
	for _, tt := range [][2]string{
		{c.Sec(noon), "12:04:34"}, {c.Tenth(noon), "12:04:34.5"}, {c.Milli(noon), "12:04:34.535"}, {c.When(noon), "today 12:04"}, {c.Sec(time.Time{}), "–"},
		{c.Sec(noon.Add(14 * time.Hour)), "tomorrow 02:04:34"}, {c.When(noon.Add(-24 * time.Hour)), "yesterday 12:04"}, {c.When(noon.AddDate(0, 0, 7)), "9 Mar 12:04"}, {c.When(noon.AddDate(-1, 0, 0)), "2 Mar 2025 12:04"},
		{Span(44 * time.Millisecond), "44 ms"}, {Span(3715 * time.Millisecond), "3.7 s"}, {Span(10 * time.Second), "10 s"}, {Span(46*time.Minute + 36*time.Second), "46 min 36 s"}, {Span(125 * time.Minute), "2 h 5 min"},
		{Span(90 * 24 * time.Hour), "90 days"}, {Span(time.Microsecond), "under 1 ms"}, {Span(0), "0 ms"}, {Span(59_970 * time.Millisecond), "1 min"},
		{Num(48211), "48,211"}, {Num(999), "999"}, {Num(-1234567), "-1,234,567"}, {Count(1, "grant", "grants"), "1 grant"}, {Count(4000, "grant", "grants"), "4,000 grants"},
	} {
		if tt[0] != tt[1] {
			t.Errorf("got %q, want %q", tt[0], tt[1])
		}
	}
}
