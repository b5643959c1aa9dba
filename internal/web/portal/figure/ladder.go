package figure

import (
	"math"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Ladder sets how long ending somebody's access takes in each place side by side.
type Ladder struct {
	webkit.Clock
	Rungs []Rung // the longest last
}

// Rung is one resource of the ladder.
type Rung struct {
	Name, Sub string // "Mail", "3 guards"
	// Measured is the slowest of the latest receipts, Promised the bound; Guarded says which of
	// both is real. AtOnce for curfew itself.
	Measured, Promised time.Duration
	Guarded, AtOnce    bool
	Until              time.Time // for unguarded: the last expiry
}

// BigPart is a number of the worst case with its unit, set out large.
type BigPart struct{ Value, Unit string }

// Big splits a span into numbers and units.
func Big(d time.Duration) []BigPart {
	w := strings.Fields(webkit.Span(d))
	var parts []BigPart
	for i := 0; i+1 < len(w); i += 2 {
		parts = append(parts, BigPart{w[i], w[i+1]})
	}
	return parts
}

// The ladder's scale is logarithmic, from 10 ms to 1 h, or to what is needed.
const ladderFrom = 10 * time.Millisecond

var ladderMarks = []time.Duration{10 * time.Millisecond, 100 * time.Millisecond, time.Second, 10 * time.Second,
	time.Minute, 10 * time.Minute, time.Hour, 10 * time.Hour, 100 * time.Hour, 1000 * time.Hour}

// RungPlot is one drawn rung; widths in percent, empty ones are not drawn.
type RungPlot struct {
	Rung
	Ticks               []string
	MeasW, PromW, WildW string
	Value, Remark       string
	Label               string
}

// RungTick is one mark of the ladder's axis.
type RungTick struct {
	X, Text, Anchor string
	Rare            bool
}

// marks are the marks of the axis up to the first one that covers every rung.
func (l Ladder) marks() []time.Duration {
	top := time.Hour
	for _, r := range l.Rungs {
		top = max(top, r.Promised)
	}
	for i, m := range ladderMarks {
		if m >= top {
			return ladderMarks[:i+1]
		}
	}
	return ladderMarks
}

func (l Ladder) x(d time.Duration) string {
	m := l.marks()
	end := m[len(m)-1]
	d = min(max(d, ladderFrom), end)
	v := 100 * math.Log(float64(d)/float64(ladderFrom)) / math.Log(float64(end)/float64(ladderFrom))
	return pct(max(v, 0.6)) // the shortest still shows
}

// Ticks are the marks of the axis.
func (l Ladder) Ticks() []RungTick {
	var t []RungTick
	m := l.marks()
	for i, d := range m {
		x := RungTick{X: l.x(d), Text: webkit.Span(d), Anchor: "middle", Rare: i%2 == 1 && i < len(m)-1}
		if i == 0 {
			x.X, x.Anchor = "0%", "start"
		}
		if i == len(m)-1 {
			x.Anchor = "end"
		}
		t = append(t, x)
	}
	return t
}

// Plot computes the drawn rungs.
func (l Ladder) Plot() []RungPlot {
	var out []RungPlot
	for _, r := range l.Rungs {
		p := RungPlot{Rung: r}
		for _, d := range l.marks() {
			p.Ticks = append(p.Ticks, l.x(d))
		}
		switch {
		case r.AtOnce:
			p.MeasW, p.Value, p.Remark = l.x(0), "at once", "same commit"
		case r.Guarded:
			p.PromW, p.Value = l.x(r.Promised), webkit.Span(r.Promised)
			if r.Measured > 0 {
				p.MeasW, p.Remark = l.x(r.Measured), webkit.Span(r.Measured)+" lately"
			} else {
				p.Remark = "not measured yet"
			}
		default:
			p.WildW, p.Value = l.x(r.Promised), webkit.Span(r.Promised)
			if !r.Until.IsZero() {
				p.Remark = "until " + l.Sec(r.Until)
			}
		}
		p.Label = strings.TrimSuffix(r.Name+": "+p.Value+", "+p.Remark, ", ")
		out = append(out, p)
	}
	return out
}
