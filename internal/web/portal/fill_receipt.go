package portal

import (
	"time"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/receipt"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// promise is P3: how soon a connected guard refuses.
const promise = 50 * time.Millisecond

var stateOf = map[relay.State]State{
	relay.Ended: Ended, relay.Confirmed: Confirmed, relay.Waiting: Waiting, relay.Closes: Closes, relay.Closed: Closed,
	relay.Gone: Gone, relay.Lives: Lives, relay.Over: Over, relay.Unknown: Unknown, relay.Answering: Confirmed,
}

// nameOf is how people call a party: a user by the display name of today, as far
// as the reader may know it.
func (v *visit) nameOf(p audit.Party) string {
	if p.Kind == "user" {
		if u, err := v.s.Manage.User(v.Ctx(), v.Actor, p.ID); err == nil {
			return desk.Calling(u.User)
		}
	}
	return desk.By(p)
}

// receipt fills the panel. refresh is the page it stands on.
func (v *visit) receipt(rv *relay.ReceiptView, refresh string) Receipt {
	r := Receipt{Clock: v.Clock(rv.Now), ID: rv.ID, Act: receipt.Act(rv.Cause, rv.Target.Kind), Target: v.nameOf(rv.Target), At: rv.At, By: v.nameOf(rv.Actor), Reason: rv.Reason,
		Ledger: int64(rv.Pos), Guards: rv.Guards, Confirmed: rv.Confirmed, OverSince: rv.OverSince, Promise: promise, RefreshURL: refresh}
	if rv.OverSince.IsZero() {
		r.LiveURL = desk.ReceiptPath(rv.ID) + "/live"
	}
	if refresh != desk.ReceiptPath(rv.ID) {
		r.PageURL = desk.ReceiptPath(rv.ID)
	}
	var aside []string
	why := ""
	for _, row := range rv.Rows {
		if row.State == relay.Unknown && (row.App != "" || row.Protects != "") {
			aside, why = append(aside, row.Protects), row.Why
			continue
		}
		x := ReceiptRow{Where: row.Where, Protects: row.Protects, State: stateOf[row.State], At: row.At, SilentSince: row.SilentSince, Tokens: row.Tokens, Why: row.Why}
		switch row.State {
		case relay.Ended:
			x.Ledger = int64(row.Ledger)
			if rv.Counted {
				x.Protects = receipt.EndedText(rv)
			}
		case relay.Confirmed, relay.Waiting, relay.Closes, relay.Closed, relay.Gone:
			x.Ledger = int64(row.Ledger)
		case relay.Unknown:
			x.Protects = "What is still out there"
		}
		if row.State == relay.Confirmed || row.State == relay.Closed && row.At.After(rv.At) {
			r.LastChange = desk.Later(r.LastChange, row.At)
		}
		r.Rows = append(r.Rows, x)
	}
	if len(aside) > 0 {
		const shown = 3
		if n := len(aside) - shown; n > 0 {
			aside = append(aside[:shown:shown], webkit.Num(n)+" more")
		}
		r.Rows = append(r.Rows, ReceiptRow{Protects: "Own sessions of " + webkit.And(aside), State: Unknown, Why: why, Aside: true})
	}
	return r
}

// line is a receipt in a list. Its state is that of what ends last.
func (v *visit) line(rv *relay.ReceiptView) ReceiptLine {
	c := v.Clock(rv.Now)
	l := ReceiptLine{ID: rv.ID, At: rv.At, Target: rv.Target.Name, By: desk.By(rv.Actor), Reason: rv.Reason, Confirmed: rv.Confirmed, Total: rv.Guards, Ledger: int64(rv.Pos)}
	if l.Target == "" {
		l.Target = rv.Target.Kind
	}
	var last relay.Row
	for _, r := range rv.Left {
		if r.State != relay.Waiting && (r.At.After(last.At) || last.State == "") {
			last = r
		}
	}
	switch {
	case !rv.OverSince.IsZero():
		l.State, l.Text = Over, "Over since "+c.Sec(rv.OverSince)
		if rv.Complete && rv.Slowest > 0 {
			l.Text = "Over, " + webkit.Span(rv.Slowest)
		}
	case !rv.Counted:
		l.State, l.Text = Waiting, "Being counted"
	case last.State == relay.Lives:
		l.State, l.Text = Lives, last.Protects+" until "+c.Sec(last.At)
	case last.State == relay.Closes:
		l.State, l.Text = Closes, last.Where+" by "+c.Tenth(last.At)
	default:
		l.State, l.Text = Waiting, "Waiting, "+webkit.Span(rv.Now.Sub(rv.At))+" so far"
	}
	return l
}

func (v *visit) lines(all []*relay.ReceiptView) (out []ReceiptLine) {
	for _, rv := range all {
		out = append(out, v.line(rv))
	}
	return out
}

func guardLines(all []relay.GuardView) (rows []GuardRow) {
	for _, g := range all {
		rows = append(rows, GuardRow{Name: g.Name, Resource: g.ResourceName, State: stateOf[g.State], Age: g.Age, MaxStaleness: g.MaxStaleness,
			SilentSince: g.Answered, ClosesAt: g.ClosesAt, Ledger: int64(g.Acked), Version: g.Version})
	}
	return rows
}
