package portal

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/web/portal/figure"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

func ending(e relay.Ending, where string) Ending {
	switch e.Kind {
	case relay.AtOnce:
		return Ending{Kind: AtOnce}
	case relay.Within:
		return Ending{Kind: Within, Within: e.Within}
	case relay.NotBefore:
		return Ending{Kind: NotBefore, At: e.At, Where: where}
	}
	return Ending{}
}

// overall is when the last of all that a user has open would end.
func overall(x *relay.Exposure) Ending {
	e := Ending{Kind: NothingLive}
	if len(x.Sessions)+len(x.Grants) > 0 {
		e.Kind = AtOnce
	}
	for _, t := range tokens(x) {
		n := ending(t.Ends, t.ResourceName)
		if n.Kind > e.Kind || n.Kind == e.Kind && (n.Within > e.Within || n.At.After(e.At)) {
			e = n
		}
	}
	return e
}

// guardedEnd is the bound of what guards end, beside something that lives on.
func guardedEnd(x *relay.Exposure) Ending {
	e := Ending{Kind: AtOnce}
	for _, t := range tokens(x) {
		if t.Ends.Kind == relay.Within {
			e = Ending{Kind: Within, Within: max(e.Within, t.Ends.Within)}
		}
	}
	return e
}

// resourceNames lists, in the order of the timeline, where tokens are good.
func resourceNames(ts []relay.TokenView) (names []string) {
	for _, t := range ts {
		if !slices.Contains(names, t.ResourceName) {
			names = append(names, t.ResourceName)
		}
	}
	return names
}

// access fills the first tab. rv is the receipt that the page shows, if any, and
// cut the tokens it cut, as far as this node remembers them.
func (v *visit) access(x *relay.Exposure, usual map[directory.ResourceID]time.Duration, rv *relay.ReceiptView, cut []cutToken) *Access {
	a := &Access{Clock: v.clock(x.Now)}
	agents := map[directory.SessionID]string{}
	for _, b := range x.Sessions {
		row := SessionRow{ID: b.ID.String(), Device: b.Agent, Kind: kindOf(b.Agent), Address: b.IP, Born: b.Created, LastUsed: b.LastUsed, EndsAt: b.Ends,
			Sliding: true, Current: b.ID == v.Session.ID, Ends: Ending{Kind: AtOnce}, EndURL: sessionPath(x.User.String(), b.ID.String())}
		if row.Device == "" {
			row.Device = "Unknown browser"
		}
		agents[b.ID] = row.Device
		a.Sessions = append(a.Sessions, row)
	}
	for _, g := range x.Grants {
		row := GrantRow{ID: g.ID.String(), App: g.AppName, Where: agents[g.Session], Born: g.Created, LastUsed: g.LastUsed, EndsAt: g.Ends, Sliding: true,
			Ends: Ending{Kind: AtOnce}, RevokeURL: grantPath(x.User.String(), g.ID.String())}
		if !g.Hard.IsZero() && !g.Hard.After(g.Ends) {
			row.EndsAt, row.Sliding = g.Hard, false
		}
		for _, t := range g.Tokens {
			row.Tokens = append(row.Tokens, tokenRow(t, t.ResourceName))
		}
		a.Grants = append(a.Grants, row)
	}
	for _, t := range append(slices.Clone(x.AppTokens), x.Residual...) {
		a.Rest = append(a.Rest, tokenRow(t, t.AppName+" in "+t.ResourceName))
	}
	fresh := len(x.Sessions)+len(x.Grants) > 0 // since the cut
	if rv == nil {
		a.Facts = factsNow(a.Clock, x)
	} else {
		a.Facts = factsAfter(a.Clock, x, rv)
	}
	switch lanes := v.lanes(a.Clock, x, usual); {
	case rv != nil && !fresh && len(rv.Cuts) > 0:
		a.Timeline = &figure.Timeline{Clock: a.Clock, Cut: rv.At, Note: "Everything born before ledger " + webkit.Num(int64(rv.Pos)) + " is cut.", Lanes: drawn(lanesAfter(a.Clock, x, rv, cut))}
	case len(lanes) > 0:
		a.Timeline = &figure.Timeline{Clock: a.Clock, Lanes: drawn(lanes)}
		if x.Last != nil {
			a.Timeline.Note = "Last revocation: " + a.When(x.Last.At) + ", " + strings.ToLower(act(x.Last.Cause, "user")) + "."
		}
		if x.More {
			a.Timeline.Note = strings.TrimSpace("Only the newest are shown. " + a.Timeline.Note)
		}
	default:
		a.NothingLive = "Nothing is live."
		if x.Last != nil {
			a.NothingLive += " Last revocation: " + a.When(x.Last.At) + ", " + strings.ToLower(act(x.Last.Cause, "user")) + "."
		}
	}
	return a
}

func tokenRow(t relay.TokenView, where string) TokenRow {
	return TokenRow{Resource: where, Scopes: t.Scopes, Born: t.Issued, EndsAt: t.Expires, Ends: ending(t.Ends, t.ResourceName)}
}

func kindOf(agent string) string {
	switch {
	case strings.Contains(agent, "iPhone"), strings.Contains(agent, "Android"), strings.Contains(agent, "iPad"):
		return "phone"
	case strings.Contains(agent, " on "):
		return "laptop"
	}
	return "globe"
}

func factsNow(c webkit.Clock, x *relay.Exposure) []Fact {
	ts := tokens(x)
	grants := Fact{"Grants", webkit.Num(len(x.Grants)), ""}
	var apps []directory.AppID
	for _, g := range x.Grants {
		if !slices.Contains(apps, g.App) {
			apps = append(apps, g.App)
		}
	}
	if len(apps) > 0 {
		grants.Remark = "in " + webkit.Count(len(apps), "app", "apps")
	}
	tokensFact := Fact{"Access tokens", webkit.Num(len(ts)), ""}
	if len(ts) > 0 {
		tokensFact.Remark = "in " + strings.Join(resourceNames(ts), ", ")
	}
	last := Fact{"If nobody does anything", "Nothing live", ""}
	var at, unused time.Time
	for _, t := range ts {
		at = later(at, t.Expires)
	}
	for _, b := range x.Sessions {
		unused = later(unused, b.Ends)
	}
	for _, g := range x.Grants {
		unused = later(unused, g.Ends)
	}
	switch {
	case !at.IsZero() && !unused.IsZero():
		last.Value, last.Remark = c.Sec(at), "then renewed"
	case !at.IsZero():
		last.Value, last.Remark = c.Sec(at), "then over"
	case !unused.IsZero():
		last.Value, last.Remark = c.Day(unused), "if unused"
	}
	revoke := Fact{"If you revoke now", "", ""}
	switch e := overall(x); {
	case e.Kind == NotBefore && len(x.Sessions)+len(x.Grants) > 0:
		revoke.Value, revoke.Remark = spanOf(guardedEnd(x)), "but "+e.Where+" until "+c.Sec(e.At)
	case e.Kind == NotBefore:
		revoke.Value, revoke.Remark = c.Sec(e.At), "by itself, "+e.Where
	default:
		revoke.Value = spanOf(e)
	}
	return []Fact{{"Browser sessions", webkit.Num(len(x.Sessions)), ""}, grants, tokensFact, last, revoke}
}

func spanOf(e Ending) string {
	if e.Kind == Within {
		return webkit.Span(e.Within)
	}
	return e.Long(webkit.Clock{})
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// factsAfter count what is still open, the tokens behind a guard that has not
// confirmed included.
func factsAfter(c webkit.Clock, x *relay.Exposure, rv *relay.ReceiptView) []Fact {
	ended := func(n int) string { return webkit.Num(n) + " ended" }
	open := len(tokens(x)) - len(x.Residual)
	var where []string
	var last time.Time
	behind := map[directory.ResourceID]bool{}
	for _, r := range rv.Left {
		if r.Protects == "" || behind[r.Resource] || r.Tokens == 0 {
			continue
		}
		behind[r.Resource] = true
		open += r.Tokens
		last = later(last, r.At)
		switch r.State {
		case relay.Closes:
			where = append(where, r.Protects+" by "+c.Sec(r.At))
		default:
			where = append(where, r.Protects)
		}
	}
	lastFact := Fact{"Last one ends", c.Sec(last), "by itself"}
	switch {
	case !rv.Counted:
		lastFact = Fact{"Last one ends", webkit.None, "being counted"}
	case !rv.OverSince.IsZero():
		lastFact = Fact{"Last one ended", c.Sec(rv.OverSince), ""}
	case last.IsZero():
		lastFact = Fact{"Last one ends", webkit.None, "guards have not confirmed yet"}
	}
	signin := Fact{"New sign-ins", "Work at once", "account is enabled"}
	if !x.Enabled {
		signin = Fact{"New sign-ins", "Refused", "account is disabled"}
	}
	return []Fact{{"Browser sessions", webkit.Num(len(x.Sessions)), ended(rv.Sessions)}, {"Grants", webkit.Num(len(x.Grants)), ended(rv.Grants)},
		{"Access tokens", webkit.Num(open), strings.Join(where, ", ")}, lastFact, signin}
}

func guardsText(n, answering int) string {
	switch {
	case n == 0:
		return "no guard"
	case answering < n:
		return webkit.Count(n, "guard", "guards") + ", " + webkit.Num(n-answering) + " silent"
	}
	return webkit.Count(n, "guard", "guards")
}

// lane is a lane of the timeline with its state.
type lane struct {
	figure.Lane
	State State
}

func drawn(all []lane) (out []figure.Lane) {
	for _, l := range all {
		l.Icon, l.Tone = l.State.Icon(), l.State.Tone()
		out = append(out, l.Lane)
	}
	return out
}

// lanes are the timeline as long as nothing was revoked. What renews is one bar
// for all sessions and one for all grants.
func (v *visit) lanes(c webkit.Clock, x *relay.Exposure, usual map[directory.ResourceID]time.Duration) (out []lane) {
	own := lane{figure.Lane{Name: "curfew", Sub: "sessions and refresh", Guarded: true, Outcome: "At once", Rest: "in the same commit"}, Ended}
	own.Bars = renewing(own.Bars, len(x.Sessions), "browser session", "browser sessions", func(i int) time.Time { return x.Sessions[i].Created })
	own.Bars = renewing(own.Bars, len(x.Grants), "grant (refresh token)", "grants (refresh tokens)", func(i int) time.Time { return x.Grants[i].Created })
	if len(own.Bars) > 0 {
		out = append(out, own)
	}
	for _, l := range x.Lanes {
		if l.Resource == "" {
			continue
		}
		lane := lane{figure.Lane{Name: l.Name, Sub: guardsText(l.Guards, l.Answering), Guarded: l.Guarded, Outcome: ending(l.Ends, "").Long(c)}, Ended}
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

// lanesAfter are the timeline after a cut: what would have lasted, and what does.
func lanesAfter(c webkit.Clock, x *relay.Exposure, rv *relay.ReceiptView, cut []cutToken) (out []lane) {
	own := lane{figure.Lane{Name: "curfew", Sub: "sessions and refresh", Guarded: true, Outcome: "Ended " + c.Milli(rv.At), Rest: ended(rv)}, Ended}
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
			if t.resource == r.Resource {
				lane.Bars = append(lane.Bars, figure.Bar{Name: t.app, From: t.issued, To: t.expires})
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
	slices.SortStableFunc(out[1:], func(a, b lane) int { return rank[a.State] - rank[b.State] })
	return out
}

// laneAfter says what has become of one resource: the worst of its places.
func laneAfter(c webkit.Clock, rows []relay.Row) lane {
	l := lane{figure.Lane{Name: rows[0].Protects, Guarded: rows[0].Where != ""}, Ended}
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
