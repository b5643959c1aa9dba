package figure

import (
	"fmt"
	"time"

	"github.com/curfew-id/curfew/internal/web/webkit"
)

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

// Confirmation is one guard that confirmed, so long after the cut.
type Confirmation struct {
	Where string
	After time.Duration
}

// Confirmations computes the axis of those that are given in order of time, with
// the promise (zero: none) among them; nil when nobody has confirmed. Label is the
// caller's to fill.
func Confirmations(conf []Confirmation, promise time.Duration) *Axis {
	if len(conf) == 0 {
		return nil
	}
	longest := max(conf[len(conf)-1].After, promise)
	step := niceStep(longest)
	end := (longest/step + 1) * step
	const left, width = 2.0, 95.0
	x := func(d time.Duration) string { return pct(left + width*float64(d)/float64(end)) }
	a := &Axis{Unit: "milliseconds"}
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
		d := c.After
		a.Dots = append(a.Dots, AxisDot{x(d), c.Where + " " + webkit.Span(d)})
	}
	first, last := conf[0], conf[len(conf)-1]
	fd, ld := first.After, last.After
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
	if promise > 0 && promise <= end {
		a.PromiseX, a.Promise = x(promise), "promise "+webkit.Span(promise)
		a.PromiseAnchor, a.PromiseDX = "start", 5
		if float64(promise)/float64(end) > 0.6 {
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
