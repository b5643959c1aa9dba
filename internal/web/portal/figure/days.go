package figure

import (
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Days is a chart of what happened on each day, stacked by outcome.
type Days struct {
	webkit.Clock
	Title string
	// Empty stands in place of a chart of nothing.
	Empty  string
	Series []Series
	Days   []Day // oldest first, without gaps
}

// Series is one outcome. It is told by more than its colour: Hatched, or its place in
// the stack, which is that of the key.
type Series struct {
	Name, Class string
	Hatched     bool
}

// Day counts each of the series on one day.
type Day struct {
	At     time.Time
	Counts []int64
}

func (d Day) total() (n int64) {
	for _, c := range d.Counts {
		n += c
	}
	return n
}

// Total is how much there is in all.
func (d Days) Total() (n int64) {
	for _, x := range d.Days {
		n += x.total()
	}
	return n
}

// DaysPlot is the drawn chart: x in percent, y in pixels.
type DaysPlot struct {
	Height, Foot int
	Width        string // of a bar
	Lines        []DaysLine
	Bars         []DaysBar
	Days         []DaysTick
	Label        string // the text alternative
}

// DaysLine is one line of the scale.
type DaysLine struct {
	Y    int
	Text string
}

// DaysBar is one outcome of one day.
type DaysBar struct {
	Series
	X         string
	Y, Height int
	Title     string
}

// DaysTick names a day.
type DaysTick struct {
	X, Text string
	Rare    bool
}

// The heights of the chart in pixels: above the highest bar, of it, and below.
const (
	daysHead = 18
	daysBody = 120
	daysFoot = 22
)

// Plot computes the drawing. What happened at all shows, by two pixels at least.
func (d Days) Plot() DaysPlot {
	p := DaysPlot{Height: daysHead + daysBody + daysFoot, Foot: daysHead + daysBody + daysFoot - 6}
	var most int64
	for _, x := range d.Days {
		most = max(most, x.total())
	}
	if most == 0 {
		return p
	}
	top := niceCount(most)
	for _, n := range []int64{top, top / 2} {
		if n > 0 {
			p.Lines = append(p.Lines, DaysLine{daysHead + daysBody - int(n*daysBody/top), webkit.Num(n)})
		}
	}
	const left, right = 5.0, 1.0 // for the scale
	step := (100 - left - right) / float64(len(d.Days))
	p.Width = pct(step * 0.6)
	var told []string
	for i, x := range d.Days {
		at, y := left+step*float64(i), daysHead+daysBody
		name := d.Day(x.At)
		var parts []string
		for k, n := range x.Counts {
			if n == 0 {
				continue
			}
			h := max(2, int(n*daysBody/top))
			y -= h
			words := webkit.Num(n) + " " + strings.ToLower(d.Series[k].Name)
			p.Bars = append(p.Bars, DaysBar{Series: d.Series[k], X: pct(at + step*0.2), Y: y, Height: h, Title: name + ": " + words})
			parts = append(parts, words)
		}
		if len(parts) > 0 {
			told = append(told, name+": "+webkit.And(parts))
		}
		p.Days = append(p.Days, DaysTick{X: pct(at + step/2), Text: name, Rare: i%2 != (len(d.Days)-1)%2})
	}
	p.Label = d.Title + ". " + strings.Join(told, "; ") + "."
	return p
}

// niceCount is the next of 2, 4, 10 times a power of ten, which halve well.
func niceCount(n int64) int64 {
	for p := int64(1); p < 1<<60; p *= 10 {
		for _, m := range []int64{2, 4, 10} {
			if n <= p*m {
				return p * m
			}
		}
	}
	return n
}
