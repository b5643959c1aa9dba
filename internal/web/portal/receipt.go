package portal

import (
	"fmt"
	"slices"
	"time"

	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Receipt is the panel that says what was cut, who confirmed and what is left. The
// same panel stands on the profile page, on its own page and in the live stream.
type Receipt struct {
	webkit.Clock
	ID string
	// Act names what was done: "Sessions revoked", "Account disabled".
	Act        string
	Target     string
	At         time.Time // the cut
	By, Reason string
	Ledger     int64
	// Guards that must confirm, and those that have. A guard that closed by itself
	// never counts as confirmed.
	Guards, Confirmed int
	// LastChange is the latest confirmation or closing; zero: nothing yet.
	LastChange time.Time
	// OverSince is when the last thing ended; zero while anything is left.
	OverSince time.Time
	Rows      []ReceiptRow
	// Promise is the bound of a connected guard, drawn as a dotted line.
	Promise time.Duration
	// LiveURL streams this panel; empty: the receipt is over.
	LiveURL string
	// RefreshURL is the same page again, for readers without the script.
	RefreshURL string
	// PageURL is the stand-alone page; empty there.
	PageURL string
	// CopyURL downloads the signed copy; empty: not offered.
	CopyURL string
}

// ReceiptRow is one place where access is checked.
type ReceiptRow struct {
	Where    string // guard name, "curfew", or empty for nobody
	Protects string // "Mail", "3 sessions, 4 grants"
	State    State
	// At: when it confirmed or closed, or by when it will close or expire.
	At     time.Time
	Ledger int64 // position confirmed; 0: none
	// SilentSince for Closes; Tokens for Lives.
	SilentSince time.Time
	Tokens      int
	// Why, when there is more to say about an unknown or failed place.
	Why string
	// Aside: told in the table only. Nothing curfew promises hangs on it.
	Aside bool
}

// After is the span from the cut to the confirmation, or none.
func (r Receipt) After(row ReceiptRow) string {
	switch row.State {
	case Ended:
		return "same commit"
	case Confirmed:
		return webkit.Span(row.At.Sub(r.At))
	case Waiting:
		return webkit.Span(r.Now.Sub(r.At)) + " so far"
	}
	return webkit.None
}

// AtText is the column At, with the word that belongs to the state.
func (r Receipt) AtText(row ReceiptRow) string {
	switch row.State {
	case Ended, Confirmed:
		return r.Milli(row.At)
	case Closes:
		return "by " + r.Tenth(row.At)
	case Closed, Gone:
		return r.Tenth(row.At)
	case Lives:
		return "until " + r.Sec(row.At)
	case Over:
		return r.Sec(row.At)
	}
	return webkit.None
}

// Sorted are the rows in order of time, unresolved last.
func (r Receipt) Sorted() []ReceiptRow {
	rows := slices.Clone(r.Rows)
	rank := func(s State) int {
		switch s {
		case Ended:
			return 0
		case Confirmed, Closed, Gone, Over:
			return 1
		case Waiting:
			return 2
		case Closes:
			return 3
		case Unknown:
			return 5
		}
		return 4
	}
	slices.SortStableFunc(rows, func(a, b ReceiptRow) int {
		if d := rank(a.State) - rank(b.State); d != 0 {
			return d
		}
		return a.At.Compare(b.At)
	})
	return rows
}

// Title by state, never "success".
func (r Receipt) Title() string {
	switch {
	case !r.OverSince.IsZero():
		return "Over since " + r.Sec(r.OverSince)
	case r.Guards > 0 && r.Confirmed == 0:
		return "Revoked, no guard has confirmed yet"
	}
	return r.what()
}

// Did is what was done and when, where the title does not say it.
func (r Receipt) Did() string {
	if r.Title() == r.what() {
		return ""
	}
	return r.what()
}

func (r Receipt) what() string { return r.Act + " at " + r.Milli(r.At) }

// Short is the browser title: "5 of 6".
func (r Receipt) Short() string { return fmt.Sprintf("%d of %d", r.Confirmed, r.Guards) }

// Complete reports whether every guard has confirmed.
func (r Receipt) Complete() bool { return r.Confirmed == r.Guards }

// Live is the live line: "5 of 6 guards confirmed, slowest 44 ms."
func (r Receipt) Live() string {
	if r.Guards == 0 {
		return "No guard had to confirm."
	}
	s := fmt.Sprintf("%d of %d guards confirmed", r.Confirmed, r.Guards)
	if c := r.confirmations(); len(c) > 0 {
		s += ", slowest " + webkit.Span(c[len(c)-1].At.Sub(r.At))
	}
	return s + "."
}

// Remaining is what is not over yet, one tile each, in order of its end.
func (r Receipt) Remaining() []Tile {
	var tiles []Tile
	waiting := 0
	for _, row := range r.Sorted() {
		if row.Aside {
			continue
		}
		switch row.State {
		case Waiting:
			waiting++
		case Closes:
			why := "It refuses everything by itself."
			if !row.SilentSince.IsZero() {
				why = "Silent since " + r.Tenth(row.SilentSince) + ". " + why
			}
			tiles = append(tiles, Tile{Closes, row.Protects + ", at " + row.Where, why, "by " + r.Tenth(row.At), row.At})
		case Lives:
			tiles = append(tiles, Tile{Lives, row.Protects + ", " + webkit.Count(row.Tokens, "access token", "access tokens"),
				"No guard. Nothing can end it sooner.", "until " + r.Sec(row.At), row.At})
		case Unknown, Failed:
			tiles = append(tiles, Tile{row.State, row.Protects, row.Why, "unknown", time.Time{}})
		}
	}
	if waiting > 0 {
		tiles = append([]Tile{{Waiting, webkit.Count(waiting, "guard has", "guards have") + " not confirmed yet",
			"Connected, " + webkit.Span(r.Now.Sub(r.At)) + " so far.", "waiting", time.Time{}}}, tiles...)
	}
	return tiles
}

// Tile is one thing that is left.
type Tile struct {
	State     State
	What, Why string
	T         string    // the instant, large
	At        time.Time // for the countdown; zero: none
}

func (r Receipt) confirmations() []ReceiptRow {
	var c []ReceiptRow
	for _, row := range r.Sorted() {
		if row.State == Confirmed {
			c = append(c, row)
		}
	}
	return c
}

// Axis is the geometry of the confirmations axis.
type Axis struct {
	Ticks    []AxisTick
	Dots     []AxisDot
	First    *AxisLabel
	Last     *AxisLabel
	PromiseX string // empty: beyond the axis
	Promise  string
	// PromiseAnchor and PromiseDX keep its label inside.
	PromiseAnchor string
	PromiseDX     int
	Unit          string // "milliseconds" or "time"
	Label         string // the text alternative
}

// AxisTick is one mark of the axis; Far ones are left out when narrow.
type AxisTick struct {
	X, Text, Anchor string
	Far             bool
}

// AxisDot is one confirmation.
type AxisDot struct{ X, Title string }

// AxisLabel names the first or last confirmation.
type AxisLabel struct{ X, Text, Anchor string }

// Axis computes the confirmations axis, or nil when nobody has confirmed.
func (r Receipt) Axis() *Axis {
	conf := r.confirmations()
	if len(conf) == 0 {
		return nil
	}
	max := conf[len(conf)-1].At.Sub(r.At)
	if r.Promise > max {
		max = r.Promise
	}
	step := niceStep(max)
	end := (max/step + 1) * step
	const left, width = 2.0, 95.0
	x := func(d time.Duration) string { return pct(left + width*float64(d)/float64(end)) }
	a := &Axis{Label: r.Live(), Unit: "milliseconds"}
	if end >= time.Second {
		a.Unit = "time"
	}
	for d, i := time.Duration(0), 0; d <= end; d, i = d+step, i+1 {
		t := AxisTick{X: x(d), Text: unit(d, step), Anchor: "middle", Far: i%2 == 1}
		if d == 0 || d == end {
			t.Text = webkit.Span(d)
		}
		if d == end {
			t.Far = false
		}
		a.Ticks = append(a.Ticks, t)
	}
	for _, c := range conf {
		d := c.At.Sub(r.At)
		a.Dots = append(a.Dots, AxisDot{x(d), c.Where + " " + webkit.Span(d)})
	}
	first, last := conf[0], conf[len(conf)-1]
	fd, ld := first.At.Sub(r.At), last.At.Sub(r.At)
	a.First = &AxisLabel{x(fd), "first, " + first.Where + " " + webkit.Span(fd), "middle"}
	if len(conf) > 1 {
		a.Last = &AxisLabel{x(ld), "last, " + last.Where + " " + webkit.Span(ld), "middle"}
		if float64(ld-fd)/float64(end) < 0.3 { // the two would touch
			a.First.Anchor, a.Last.Anchor = "end", "start"
			a.First.Text, a.Last.Text = a.First.Text+"\u00a0", "\u00a0"+a.Last.Text
		}
	}
	if float64(fd)/float64(end) < 0.15 {
		a.First.Anchor = "start"
		if a.Last != nil && a.Last.Anchor == "start" {
			a.Last = nil // the table below names it
		}
	}
	if a.Last != nil && float64(ld)/float64(end) > 0.85 {
		a.Last.Anchor = "end"
		if a.First.Anchor == "end" && float64(ld-fd)/float64(end) < 0.3 {
			a.First = nil
		}
	}
	if r.Promise > 0 && r.Promise <= end {
		a.PromiseX, a.Promise = x(r.Promise), "promise "+webkit.Span(r.Promise)
		a.PromiseAnchor, a.PromiseDX = "start", 5
		if float64(r.Promise)/float64(end) > 0.6 {
			a.PromiseAnchor, a.PromiseDX = "end", -5
		}
	}
	return a
}

// niceStep divides max into four to ten parts of 1, 2 or 5 times a power of ten.
func niceStep(max time.Duration) time.Duration {
	for step := time.Millisecond; ; step *= 10 {
		for _, m := range []time.Duration{1, 2, 5} {
			if max/(step*m) <= 7 {
				return step * m
			}
		}
	}
}

// unit writes a tick without its unit, which stands at both ends.
func unit(d, step time.Duration) string {
	if step >= time.Second || d >= time.Second {
		return webkit.Span(d)
	}
	return fmt.Sprint(d.Milliseconds())
}

// pct writes a position for an SVG attribute.
func pct(v float64) string { return fmt.Sprintf("%.2f%%", v) }
