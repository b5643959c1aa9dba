package portal

import (
	"math"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/web/webkit"
)

// BigPart is a number of the worst case with its unit, set out large.
type BigPart struct{ Value, Unit string }

// BigWorst splits the worst case into numbers and units.
func (o Overview) BigWorst() []BigPart {
	w := strings.Fields(webkit.Span(o.Worst))
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
func (o Overview) marks() []time.Duration {
	top := time.Hour
	for _, r := range o.Ladder {
		top = max(top, r.Promised)
	}
	for i, m := range ladderMarks {
		if m >= top {
			return ladderMarks[:i+1]
		}
	}
	return ladderMarks
}

func (o Overview) ladderX(d time.Duration) string {
	m := o.marks()
	end := m[len(m)-1]
	d = min(max(d, ladderFrom), end)
	v := 100 * math.Log(float64(d)/float64(ladderFrom)) / math.Log(float64(end)/float64(ladderFrom))
	return pct(max(v, 0.6)) // the shortest still shows
}

// RungTicks are the marks of the axis.
func (o Overview) RungTicks() []RungTick {
	var t []RungTick
	m := o.marks()
	for i, d := range m {
		x := RungTick{X: o.ladderX(d), Text: webkit.Span(d), Anchor: "middle", Rare: i%2 == 1 && i < len(m)-1}
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

// Rungs are the drawn rungs.
func (o Overview) Rungs() []RungPlot {
	var out []RungPlot
	for _, r := range o.Ladder {
		p := RungPlot{Rung: r}
		for _, d := range o.marks() {
			p.Ticks = append(p.Ticks, o.ladderX(d))
		}
		switch {
		case r.AtOnce:
			p.MeasW, p.Value, p.Remark = o.ladderX(0), "at once", "same commit"
		case r.Guarded:
			p.PromW, p.Value = o.ladderX(r.Promised), webkit.Span(r.Promised)
			if r.Measured > 0 {
				p.MeasW, p.Remark = o.ladderX(r.Measured), webkit.Span(r.Measured)+" lately"
			} else {
				p.Remark = "not measured yet"
			}
		default:
			p.WildW, p.Value = o.ladderX(r.Promised), webkit.Span(r.Promised)
			if !r.Until.IsZero() {
				p.Remark = "until " + o.Sec(r.Until)
			}
		}
		p.Label = strings.TrimSuffix(r.Name+": "+p.Value+", "+p.Remark, ", ")
		out = append(out, p)
	}
	return out
}
