package figure

import (
	"fmt"
	"slices"
	"time"

	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Timeline is the exposure of one user: lanes of things alive, each with the
// instant at which it ends. Fill Lanes in order: curfew itself, then resources by
// outcome, the latest last.
type Timeline struct {
	webkit.Clock
	// Cut is the instant of the cut; zero: nothing was revoked, the line is now.
	Cut time.Time
	// Note stands beside the title: "Everything born before ledger 48,211 is cut."
	Note  string
	Lanes []Lane
}

// Lane is one place where access is checked.
type Lane struct {
	Name, Sub string // "Mail", "3 guards"
	// Guarded: a guard, or curfew itself, can end it.
	Guarded bool
	// ClosesAt, after a cut: a guard is silent, or has not confirmed, until then.
	ClosesAt time.Time
	Bars     []Bar
	// Outcome is the state with its time, and a remark. Icon and Tone are the
	// state's icon and the class that colours it.
	Outcome, Rest string
	Icon, Tone    string
}

// Bar is one session, grant or token.
type Bar struct {
	Name     string
	From, To time.Time
	// Renews: it has no end while it is used.
	Renews bool
}

// maxBars is how many bars a lane shows; the rest is a line of text.
const maxBars = 6

// shownBars is how many stay when there are more.
const shownBars = 5

// Heights in pixels.
const (
	rowHeight  = 24
	laneTop    = 5
	laneBottom = 6
	minLane    = 48
)

// Plot is the drawn form of a timeline.
type Plot struct {
	LineX string
	Flag  string // "now 12:04:12"
	FlagW int    // width of the flag in pixels
	FlagH int    // half of it, negative
	After bool   // a cut was made
	Ticks []PlotTick
	Lanes []PlotLane
	Dead  bool // some bar was cut, for the key
	Wild  bool // some lane is unguarded, for the key
}

// PlotTick is one mark of the time axis.
type PlotTick struct {
	X, Text string
	// Hide: the flag covers it. Rare: left out when narrow.
	Hide, Rare bool
}

// PlotLane is one drawn lane.
type PlotLane struct {
	Lane
	Height int
	Bars   []PlotBar
	Label  string // the text alternative
	More   string // "and 12 more, last 12:40:11"
}

// PlotBar is one drawn bar; positions in percent, y in pixels.
type PlotBar struct {
	Y, TextY     int
	Name         string
	PastX, PastW string
	LiveX, LiveW string
	CloseW       string // the closing stretch; empty: none
	EndX, End    string
	EndAnchor    string
	EndDX        int
	EndY         int
	Dead, Wild   bool // would have lasted; unguarded
	Renews       bool
}

// Plot computes the drawing.
func (t Timeline) Plot() Plot {
	line := t.Now
	if !t.Cut.IsZero() {
		line = t.Cut
	}
	last := line.Add(20 * time.Minute)
	for _, l := range t.Lanes {
		for _, b := range l.Bars {
			if !b.Renews && b.To.After(last) {
				last = b.To
			}
		}
	}
	ahead := last.Sub(line) * 113 / 100
	start, span := line.Add(-ahead*27/100), ahead*127/100
	x := func(at time.Time) float64 {
		v := 100 * float64(at.Sub(start)) / float64(span)
		return min(max(v, 0), 100)
	}
	p := Plot{LineX: pct(x(line)), After: !t.Cut.IsZero()}
	p.Flag = "now " + t.Sec(line)
	if p.After {
		p.Flag = "cut " + t.Milli(line)
	}
	p.FlagW = 8*len(p.Flag) + 4
	p.FlagH = -p.FlagW / 2
	p.Ticks = t.ticks(start, span, line, x)
	for _, l := range t.Lanes {
		p.Lanes = append(p.Lanes, t.lane(l, line, x))
		p.Dead = p.Dead || p.After && l.Guarded
		p.Wild = p.Wild || !l.Guarded
	}
	return p
}

func (t Timeline) ticks(start time.Time, span time.Duration, line time.Time, x func(time.Time) float64) []PlotTick {
	step := 15 * time.Minute
	for _, s := range []time.Duration{15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080, 20160, 43200, 129600} {
		if step = s * time.Minute; span/step <= 7 {
			break
		}
	}
	layout := "15:04"
	if step >= 24*time.Hour {
		layout = "2 Jan"
	}
	// Ticks stand on the reader's wall clock, not on UTC.
	_, off := start.In(t.Now.Location()).Zone()
	shift := time.Duration(off) * time.Second
	var ticks []PlotTick
	for at := start.Add(shift).Truncate(step).Add(step - shift); at.Before(start.Add(span)); at = at.Add(step) {
		v := x(at)
		if v < 1 || v > 97 {
			continue
		}
		d := v - x(line)
		local := at.In(t.Now.Location())
		ticks = append(ticks, PlotTick{X: pct(v), Text: local.Format(layout), Hide: d > -9 && d < 9,
			Rare: d > -26 && d < 26 || local.Add(shift).Truncate(2*step) != local.Add(shift)})
	}
	return ticks
}

func (t Timeline) lane(l Lane, line time.Time, x func(time.Time) float64) PlotLane {
	pl := PlotLane{Lane: l, Label: l.Name + ": " + l.Outcome}
	if l.Rest != "" {
		pl.Label += ", " + l.Rest
	}
	bars := l.Bars
	if len(bars) > maxBars {
		var restEnds time.Time
		bars, restEnds = latest(l.Bars)
		pl.More = fmt.Sprintf("and %s more, last %s", webkit.Num(len(l.Bars)-len(bars)), t.Sec(restEnds))
	}
	dead := !t.Cut.IsZero() && l.Guarded
	for i, b := range bars {
		y := laneTop + rowHeight*i
		from, to := x(b.From), x(b.To)
		if b.Renews {
			to = 100
		}
		at := x(line)
		pb := PlotBar{Y: y + 14, TextY: y + 10, Name: b.Name, PastX: pct(from), PastW: pct(max(at-from, 0)),
			LiveX: pct(at), LiveW: pct(max(to-at, 0)), EndX: pct(to), EndAnchor: "end", EndY: y + 10,
			Dead: dead, Wild: !l.Guarded, Renews: b.Renews}
		switch {
		case b.Renews && !dead:
			pb.End = "renewed while used →"
		case !b.Renews:
			pb.End = t.Sec(b.To)
			if to-at < 22 { // too short to hold name and time above it
				pb.EndAnchor, pb.EndDX, pb.EndY = "start", 6, y+22
			}
		}
		if dead && l.ClosesAt.After(line) {
			pb.CloseW = pct(max(x(l.ClosesAt)-at, 0))
		}
		pl.Bars = append(pl.Bars, pb)
	}
	rows := len(bars)
	pl.Height = max(minLane, laneTop+rowHeight*rows+laneBottom)
	return pl
}

// latest splits off the bars with the latest ends, in their given order, and tells
// when the last of the others ends.
func latest(bars []Bar) (kept []Bar, restEnds time.Time) {
	ends := func(b Bar) time.Time {
		if b.Renews { // later than any instant
			return time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
		}
		return b.To
	}
	byEnd := slices.Clone(bars)
	slices.SortStableFunc(byEnd, func(a, b Bar) int { return ends(b).Compare(ends(a)) })
	limit, take := ends(byEnd[shownBars-1]), shownBars
	for _, b := range bars {
		if take > 0 && !ends(b).Before(limit) {
			kept = append(kept, b)
			take--
		}
	}
	return kept, byEnd[shownBars].To
}
