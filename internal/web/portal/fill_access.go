package portal

import (
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/figure"
	"github.com/curfew-id/curfew/internal/web/portal/receipt"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// overall is when the last of all that a user has open would end.
func overall(x *relay.Exposure) Ending {
	e := Ending{Kind: NothingLive}
	if len(x.Sessions)+len(x.Grants) > 0 {
		e.Kind = AtOnce
	}
	for _, t := range desk.Tokens(x) {
		n := receipt.EndingOf(t.Ends, t.ResourceName)
		if n.Kind > e.Kind || n.Kind == e.Kind && (n.Within > e.Within || n.At.After(e.At)) {
			e = n
		}
	}
	return e
}

// guardedEnd is the bound of what guards end, beside something that lives on.
func guardedEnd(x *relay.Exposure) Ending {
	e := Ending{Kind: AtOnce}
	for _, t := range desk.Tokens(x) {
		if t.Ends.Kind == relay.Within {
			e = Ending{Kind: Within, Within: max(e.Within, t.Ends.Within)}
		}
	}
	return e
}

// access fills the first tab. rv is the receipt that the page shows, if any, and
// cut the tokens it cut, as far as this node remembers them.
func (v *visit) access(x *relay.Exposure, usual map[directory.ResourceID]time.Duration, rv *relay.ReceiptView, cut []receipt.CutToken) *Access {
	a := &Access{Clock: v.Clock(x.Now)}
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
	switch lanes := receipt.Lanes(a.Clock, x, usual); {
	case rv != nil && !fresh && len(rv.Cuts) > 0:
		a.Timeline = &figure.Timeline{Clock: a.Clock, Cut: rv.At, Note: "Everything born before ledger " + webkit.Num(int64(rv.Pos)) + " is cut.", Lanes: receipt.Drawn(receipt.LanesAfter(a.Clock, x, rv, cut))}
	case len(lanes) > 0:
		a.Timeline = &figure.Timeline{Clock: a.Clock, Lanes: receipt.Drawn(lanes)}
		if x.Last != nil {
			a.Timeline.Note = "Last revocation: " + a.When(x.Last.At) + ", " + strings.ToLower(receipt.Act(x.Last.Cause, "user")) + "."
		}
		if x.More {
			a.Timeline.Note = strings.TrimSpace("Only the newest are shown. " + a.Timeline.Note)
		}
	default:
		a.NothingLive = "Nothing is live."
		if x.Last != nil {
			a.NothingLive += " Last revocation: " + a.When(x.Last.At) + ", " + strings.ToLower(receipt.Act(x.Last.Cause, "user")) + "."
		}
	}
	return a
}

func tokenRow(t relay.TokenView, where string) TokenRow {
	return TokenRow{Resource: where, Scopes: t.Scopes, Born: t.Issued, EndsAt: t.Expires, Ends: receipt.EndingOf(t.Ends, t.ResourceName)}
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
	ts := desk.Tokens(x)
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
		tokensFact.Remark = "in " + strings.Join(desk.ResourceNames(ts), ", ")
	}
	last := Fact{"If nobody does anything", "Nothing live", ""}
	var at, unused time.Time
	for _, t := range ts {
		at = desk.Later(at, t.Expires)
	}
	for _, b := range x.Sessions {
		unused = desk.Later(unused, b.Ends)
	}
	for _, g := range x.Grants {
		unused = desk.Later(unused, g.Ends)
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

// factsAfter count what is still open, the tokens behind a guard that has not
// confirmed included.
func factsAfter(c webkit.Clock, x *relay.Exposure, rv *relay.ReceiptView) []Fact {
	ended := func(n int) string { return webkit.Num(n) + " ended" }
	open := len(desk.Tokens(x)) - len(x.Residual)
	var where []string
	var last time.Time
	behind := map[directory.ResourceID]bool{}
	for _, r := range rv.Left {
		if r.Protects == "" || behind[r.Resource] || r.Tokens == 0 {
			continue
		}
		behind[r.Resource] = true
		open += r.Tokens
		last = desk.Later(last, r.At)
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
