package receipt

import (
	"fmt"
	"slices"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/web/portal/figure"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// GuardsText says how many guards there are, and how many are silent.
func GuardsText(n, answering int) string {
	switch {
	case n == 0:
		return "no guard"
	case answering < n:
		return webkit.Count(n, "guard", "guards") + ", " + webkit.Num(n-answering) + " silent"
	}
	return webkit.Count(n, "guard", "guards")
}

// Lane is a lane of the timeline with its state.
type Lane struct {
	figure.Lane
	State State
}

// Drawn gives the lanes the icons of their states.
func Drawn(all []Lane) (out []figure.Lane) {
	for _, l := range all {
		l.Icon, l.Tone = l.State.Icon(), l.State.Tone()
		out = append(out, l.Lane)
	}
	return out
}

// Lanes are the timeline as long as nothing was revoked. What renews is one bar
// for all sessions and one for all grants.
func Lanes(c webkit.Clock, x *relay.Exposure, usual map[directory.ResourceID]time.Duration) (out []Lane) {
	own := Lane{figure.Lane{Name: "curfew", Sub: "sessions and refresh", Guarded: true, Outcome: "At once", Rest: "in the same commit"}, Ended}
	own.Bars = renewing(own.Bars, len(x.Sessions), "browser session", "browser sessions", func(i int) time.Time { return x.Sessions[i].Created })
	own.Bars = renewing(own.Bars, len(x.Grants), "grant (refresh token)", "grants (refresh tokens)", func(i int) time.Time { return x.Grants[i].Created })
	if len(own.Bars) > 0 {
		out = append(out, own)
	}
	for _, l := range x.Lanes {
		if l.Resource == "" {
			continue
		}
		lane := Lane{figure.Lane{Name: l.Name, Sub: GuardsText(l.Guards, l.Answering), Guarded: l.Guarded, Outcome: EndingOf(l.Ends, "").Long(c)}, Ended}
		switch {
		case l.Ends.Kind == relay.NotBefore:
			lane.State, lane.Outcome, lane.Rest = Lives, c.Sec(l.Ends.At), "nothing can end it sooner"
		case l.Answering < l.Guards:
			lane.Rest = "a silent guard closes by itself"
		case usual[l.Resource] > 0:
			lane.Rest = webkit.Span(usual[l.Resource]) + " on a normal day"
		}
		for _, b := range l.Bars {
			lane.Bars = append(lane.Bars, figure.Bar{Name: b.Name, From: b.From, To: b.To, Renews: b.Renews})
		}
		out = append(out, lane)
	}
	return out
}

func renewing(bars []figure.Bar, n int, one, many string, born func(int) time.Time) []figure.Bar {
	if n == 0 {
		return bars
	}
	from := born(0)
	for i := range n {
		if born(i).Before(from) {
			from = born(i)
		}
	}
	return append(bars, figure.Bar{Name: webkit.Count(n, one, many), From: from, Renews: true})
}

// LanesAfter are the timeline after a cut: what would have lasted, and what does.
func LanesAfter(c webkit.Clock, x *relay.Exposure, rv *relay.ReceiptView, cut []CutToken) (out []Lane) {
	own := Lane{figure.Lane{Name: "curfew", Sub: "sessions and refresh", Guarded: true, Outcome: "Ended " + c.Milli(rv.At), Rest: EndedText(rv)}, Ended}
	zero := func(int) time.Time { return time.Time{} }
	own.Bars = renewing(own.Bars, rv.Sessions, "browser session", "browser sessions", zero)
	own.Bars = renewing(own.Bars, rv.Grants, "grant (refresh token)", "grants (refresh tokens)", zero)
	out = append(out, own)
	for i, r := range rv.Rows {
		if r.Resource == "" || slices.ContainsFunc(rv.Rows[:i], func(b relay.Row) bool { return b.Resource == r.Resource }) {
			continue
		}
		var rows []relay.Row
		held := 0
		for _, b := range rv.Rows {
			if b.Resource == r.Resource {
				rows, held = append(rows, b), max(held, b.Tokens)
			}
		}
		if held == 0 {
			continue // nothing was open there
		}
		lane := laneAfter(c, rows)
		for _, t := range cut {
			if t.Resource == r.Resource {
				lane.Bars = append(lane.Bars, figure.Bar{Name: t.App, From: t.Issued, To: t.Expires})
			}
		}
		if len(lane.Bars) == 0 {
			for _, t := range x.Residual {
				if t.Resource == r.Resource {
					lane.Bars = append(lane.Bars, figure.Bar{Name: t.AppName, From: t.Issued, To: t.Expires})
				}
			}
		}
		out = append(out, lane)
	}
	rank := map[State]int{Ended: 0, Over: 1, Closed: 2, Waiting: 3, Closes: 4, Lives: 5}
	slices.SortStableFunc(out[1:], func(a, b Lane) int { return rank[a.State] - rank[b.State] })
	return out
}

// laneAfter says what has become of one resource: the worst of its places.
func laneAfter(c webkit.Clock, rows []relay.Row) Lane {
	l := Lane{figure.Lane{Name: rows[0].Protects, Guarded: rows[0].Where != ""}, Ended}
	if !l.Guarded {
		r := rows[0]
		l.Sub, l.State, l.Outcome, l.Rest = "no guard", Lives, "Lives until "+c.Sec(r.At), "nothing can end it sooner"
		if r.State == relay.Over {
			l.State, l.Outcome, l.Rest = Over, "Over since "+c.Sec(r.At), "expired by itself"
		}
		return l
	}
	var confirmed, guards int
	var last, closed time.Time
	var slowest time.Duration
	var silent []string
	for _, r := range rows {
		if r.State != relay.Gone {
			guards++
		}
		switch r.State {
		case relay.Confirmed:
			confirmed++
			last, slowest = later(last, r.At), max(slowest, r.After)
		case relay.Waiting:
			l.State, l.ClosesAt = Waiting, later(l.ClosesAt, r.At)
		case relay.Closes:
			l.ClosesAt, silent = later(l.ClosesAt, r.At), append(silent, r.Where)
		case relay.Closed:
			closed, silent = later(closed, r.At), append(silent, r.Where)
		}
	}
	l.Sub = webkit.Count(guards, "guard", "guards")
	l.Rest = fmt.Sprintf("%d of %d guards", confirmed, guards)
	switch {
	case l.State == Waiting:
		l.Outcome = "Waiting"
	case !l.ClosesAt.IsZero():
		l.State, l.Outcome = Closes, "Closes by "+c.Sec(l.ClosesAt)
	case !closed.IsZero():
		l.State, l.Outcome, l.ClosesAt = Closed, "Closed "+c.Sec(closed), closed
	case confirmed > 0:
		l.Outcome, l.Rest = "Ended "+c.Milli(last), l.Rest+", slowest "+webkit.Span(slowest)
	default: // all have said goodbye
		l.Outcome, l.Rest = "Ended", "its guards serve nobody"
	}
	switch {
	case len(silent) == 1:
		l.Rest += ", " + silent[0] + " is silent"
	case len(silent) > 1:
		l.Rest += ", " + webkit.Num(len(silent)) + " are silent"
	}
	return l
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// EndedText says what the server itself ended.
func EndedText(rv *relay.ReceiptView) string {
	s := webkit.Count(rv.Sessions, "session", "sessions") + ", " + webkit.Count(rv.Grants, "grant", "grants")
	if rv.Kept {
		s += "; the own session stayed"
	}
	return s
}
