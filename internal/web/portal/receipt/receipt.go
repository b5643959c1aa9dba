package receipt

import (
	"fmt"
	"slices"
	"time"

	"github.com/curfew-id/curfew/internal/web/portal/figure"
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
	Rows      []Row
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

// Row is one place where access is checked.
type Row struct {
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
func (r Receipt) After(row Row) string {
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
func (r Receipt) AtText(row Row) string {
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
func (r Receipt) Sorted() []Row {
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
	slices.SortStableFunc(rows, func(a, b Row) int {
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

func (r Receipt) confirmations() []Row {
	var c []Row
	for _, row := range r.Sorted() {
		if row.State == Confirmed {
			c = append(c, row)
		}
	}
	return c
}

// Axis draws the confirmations, or is nil when nobody has confirmed.
func (r Receipt) Axis() *figure.Axis {
	var dots []figure.Confirmation
	for _, c := range r.confirmations() {
		dots = append(dots, figure.Confirmation{Where: c.Where, After: c.At.Sub(r.At)})
	}
	a := figure.Confirmations(dots, r.Promise)
	if a != nil {
		a.Label = r.Live()
	}
	return a
}
