package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
)

func ms(f float64) time.Duration { return time.Duration(f * float64(time.Millisecond)) }

// cutText is what stands on a target's line after a cut.
func (c *console) cutText(r *client.Receipt) string {
	return fmt.Sprintf("cut at %s  ledger %s  receipt %s", c.Milli(r.At), term.Num(r.Pos), r.ID)
}

// stateRows says what has become of access, a line for each place: ended first,
// what is left last, so that it stands next to the prompt.
func (c *console) stateRows(r *client.Receipt, unknown bool) [][]term.Cell {
	var rows [][]term.Cell
	add := func(state, where, what, when string) {
		row := term.Cells(state, where, what, when)
		row[0].Colour = stateColour(state)
		rows = append(rows, row)
	}
	own := "everything"
	if r.Counted {
		own = term.Count(r.Sessions, "session", "sessions") + ", " + term.Count(r.Grants, "grant", "grants")
	}
	add("ended", "curfew", own, "at once")

	// Guards of one resource share a line for those that confirmed.
	type tile struct {
		name            string
		guards, confirm int
		slowest         float64
		bound           bool
	}
	var tiles []*tile
	of := map[string]*tile{}
	for _, row := range r.Rows {
		switch row.State {
		case "confirmed", "waiting", "closes", "closed":
			t := of[row.Resource]
			if t == nil {
				t = &tile{name: row.Protects}
				of[row.Resource] = t
				tiles = append(tiles, t)
			}
			t.guards++
			if row.State == "confirmed" {
				t.confirm++
				t.slowest = max(t.slowest, row.AfterMs)
				t.bound = t.bound || row.Bound
			}
		}
	}
	for _, t := range tiles {
		if t.confirm > 0 {
			when := term.Span(ms(t.slowest))
			if t.bound {
				when = "within " + when
			}
			add("ended", t.name, fmt.Sprintf("%d of %s confirmed", t.confirm, term.Count(t.guards, "guard", "guards")), when)
		}
	}
	left := func(t time.Time) string {
		if t.After(r.Now) {
			return " (" + term.Span(t.Sub(r.Now)) + ")"
		}
		return ""
	}
	for _, state := range []string{"gone", "over", "unknown", "closed", "waiting", "closes", "lives"} {
		for _, row := range r.Rows {
			if row.State != state {
				continue
			}
			switch state {
			case "gone":
				add("ended", row.Protects, row.Where+" said goodbye", c.Tenth(row.At)+", it serves nobody")
			case "over":
				add("over", row.Protects, tokens(row), "since "+c.Sec(row.At))
			case "unknown":
				if unknown {
					add("unknown", row.Protects, "may keep a session of its own", "not known")
				}
			case "closed":
				add("closed", row.Protects, row.Where+" is silent", c.Tenth(row.At)+", refuses everything by itself")
			case "waiting":
				add("waiting", row.Protects, row.Where+" has not confirmed", term.Span(ms(row.AfterMs))+" so far")
			case "closes":
				add("closes", row.Protects, row.Where+" is silent", "by "+c.Tenth(row.At)+left(row.At)+", refuses everything by itself then")
			case "lives":
				add("lives", row.Protects, tokens(row), "until "+c.Sec(row.At)+left(row.At))
			}
		}
	}
	return rows
}

func tokens(row client.Row) string {
	if row.Tokens == 0 {
		return "access tokens, no guard"
	}
	return term.Count(row.Tokens, "access token", "access tokens") + ", no guard"
}

// rest is what is not over: for each place, until when at the latest.
type rest struct {
	names []string
	until map[string]time.Time
}

// add takes in what a receipt has left. A guard that has not confirmed counts
// once it was waited for; before that nobody can know.
func (x *rest) add(r *client.Receipt, waited bool) {
	for _, row := range r.Left {
		name := row.Protects
		switch row.State {
		case "lives":
		case "closes":
			name = row.Where + " (" + row.Protects + ")"
		case "waiting":
			if !waited {
				continue
			}
			name = row.Where + " (" + row.Protects + ")"
		default:
			continue
		}
		if x.until == nil {
			x.until = map[string]time.Time{}
		}
		if _, ok := x.until[name]; !ok {
			x.names = append(x.names, name)
		}
		if row.At.After(x.until[name]) {
			x.until[name] = row.At
		}
	}
}

// text is "Not over: Legacy until 12:51:07.", or nothing.
func (x *rest) text(c *console) string {
	if len(x.names) == 0 {
		return ""
	}
	var parts []string
	for _, n := range x.names {
		parts = append(parts, n+" until "+c.Sec(x.until[n]))
	}
	return "Not over: " + term.Clean(strings.Join(parts, ", ")) + "."
}
