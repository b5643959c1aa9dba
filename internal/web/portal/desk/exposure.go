package desk

import (
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/web/portal/receipt"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Exposure is what is open for a user; empty for whoever may not see it.
func (v *Visit) Exposure(id directory.UserID) (*relay.Exposure, error) {
	x, err := v.Desk.Relay.Exposure(v.Ctx(), v.Actor, id)
	if fault.Is(err, fault.Denied) {
		return &relay.Exposure{User: id, Now: v.Now()}, nil
	}
	return x, err
}

// Consequences say what an act ends, and when: first what curfew itself ends, then
// what guards end, then what lives on.
func (v *Visit) Consequences(x *relay.Exposure, sessions, grants int, ts []relay.TokenView) (out []Consequence) {
	c := v.Clock(x.Now)
	var parts []string
	if sessions > 0 {
		parts = append(parts, webkit.Count(sessions, "browser session", "browser sessions"))
	}
	if grants > 0 {
		parts = append(parts, webkit.Count(grants, "grant", "grants"))
	}
	switch {
	case len(parts) > 0 && sessions+grants == 1:
		out = append(out, Consequence{Kind: receipt.AtOnce, What: webkit.And(parts), When: "ends at once", Why: "It asks for a new sign-in."})
	case len(parts) > 0:
		out = append(out, Consequence{Kind: receipt.AtOnce, What: webkit.And(parts), When: "end at once", Why: "Every app asks for a new sign-in."})
	}
	var guarded []relay.TokenView
	var rest []Consequence
	var slowest time.Duration
	lives := map[directory.ResourceID][]relay.TokenView{}
	for _, t := range ts {
		if t.Ends.Kind == relay.Within {
			guarded, slowest = append(guarded, t), max(slowest, t.Ends.Within)
		} else {
			lives[t.Resource] = append(lives[t.Resource], t)
		}
	}
	if n := len(guarded); n > 0 {
		guards, answering := 0, 0
		for _, l := range x.Lanes {
			if slices.ContainsFunc(guarded, func(t relay.TokenView) bool { return t.Resource == l.Resource }) {
				guards, answering = guards+l.Guards, answering+l.Answering
			}
		}
		why := webkit.Count(guards, "guard", "guards") + ", all answering."
		if answering < guards {
			why = webkit.Count(guards, "guard", "guards") + ", " + webkit.Num(guards-answering) + " silent: that one refuses everything by itself."
		}
		out = append(out, Consequence{Kind: receipt.Within, What: tokensIn(n, ResourceNames(guarded)), When: verbed(n, "end") + " within " + webkit.Span(slowest), Why: why})
	}
	for _, own := range lives {
		var last time.Time
		for _, t := range own {
			last = Later(last, t.Ends.At)
		}
		name := own[0].ResourceName
		rest = append(rest, Consequence{Kind: receipt.NotBefore, What: tokensIn(len(own), []string{name}), When: verbed(len(own), "live") + " until " + c.Sec(last), Why: name + " has no guard. Nothing can end it sooner."})
	}
	slices.SortFunc(rest, func(a, b Consequence) int { return strings.Compare(a.When+a.What, b.When+b.What) })
	if out = append(out, rest...); len(out) == 0 {
		out = []Consequence{{Kind: receipt.NothingLive, What: "Nothing is live", When: "nothing to end", Why: "What is in flight is refused all the same."}}
	}
	return out
}

func tokensIn(n int, names []string) string {
	return webkit.Count(n, "access token", "access tokens") + " in " + webkit.And(names)
}

// verbed puts a verb to a number of things: "ends", "end".
func verbed(n int, verb string) string {
	if n == 1 {
		return verb + "s"
	}
	return verb
}

// ResourceNames lists, in the order of the timeline, where tokens are good.
func ResourceNames(ts []relay.TokenView) (names []string) {
	for _, t := range ts {
		if !slices.Contains(names, t.ResourceName) {
			names = append(names, t.ResourceName)
		}
	}
	return names
}

// Tokens are all access tokens that are open for a user.
func Tokens(x *relay.Exposure) []relay.TokenView {
	var all []relay.TokenView
	for _, g := range x.Grants {
		all = append(all, g.Tokens...)
	}
	return append(append(all, x.AppTokens...), x.Residual...)
}

// Later is the later of two instants.
func Later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
