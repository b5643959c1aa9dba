package portal

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/deliver"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/figure"
	"github.com/curfew-id/curfew/internal/web/portal/receipt"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

func (s *Server) getAudit(v *visit) error {
	t, err := v.Audits(manage.AuditQuery{}, desk.PathAudit+"?")
	if err != nil {
		return err
	}
	return desk.Show(v.Visit, auditPage, http.StatusOK, Audit{v.Shell("Audit"), t})
}

func (s *Server) getReceipts(v *visit) error {
	before, at, err := v.Edge()
	if err != nil {
		return err
	}
	all, err := s.Relay.Receipts(v.Ctx(), v.Actor, "", cutoff.Pos(before), desk.ListSize+1)
	if err != nil {
		return err
	}
	more := len(all) > desk.ListSize
	if more {
		all = all[:desk.ListSize]
	}
	view := Receipts{Shell: v.Shell("Receipts"), Rows: v.lines(all)}
	if len(all) > 0 {
		view.Paging = desk.Older(desk.PathReceipts+"?", at, len(all), int64(all[len(all)-1].Pos), more)
	}
	return desk.Show(v.Visit, receiptsPage, http.StatusOK, view)
}

func (s *Server) getReceipt(v *visit) error {
	rv, err := s.Relay.Receipt(v.Ctx(), v.Actor, v.R.PathValue("id"))
	if err != nil {
		return err
	}
	view := ReceiptPage{v.Shell(""), v.receipt(rv, desk.ReceiptPath(rv.ID))}
	view.Crumbs = []webkit.Link{{Text: "Receipts", URL: desk.PathReceipts}, {Text: rv.ID}}
	return desk.Show(v.Visit, receiptPage, http.StatusOK, view)
}

// Bounds of a live receipt.
const (
	liveFor    = 10 * time.Minute
	liveGap    = 100 * time.Millisecond // between two updates
	liveKeep   = 10 * time.Second
	liveProven = 5 * time.Second // how often the reader's session is looked at again
)

// getLive streams the panel of a receipt each time it changes, until nothing is
// left, for ten minutes at most. A reader who is cut meanwhile hears no more.
func (s *Server) getLive(v *visit) error {
	ctx, cancel := context.WithTimeout(v.Ctx(), liveFor)
	defer cancel()
	rings := s.Relay.Watch(ctx, v.R.PathValue("id"))
	rv, err := s.Relay.Receipt(ctx, v.Actor, v.R.PathValue("id"))
	if err != nil {
		return err
	}
	stream, err := webkit.NewStream(v.W)
	if err != nil {
		return nil // the reader is gone
	}
	keep := time.NewTicker(liveKeep)
	defer keep.Stop()
	proven, sentAt := time.Now(), time.Now()
	var sent relay.ReceiptView
	for {
		now := *rv
		now.Now = time.Time{} // time alone is the script's to show
		if !reflect.DeepEqual(now, sent) {
			b, err := receiptPanel.HTML(v.receipt(rv, desk.ReceiptPath(rv.ID)))
			if err != nil {
				v.Log("live receipt", err)
				return nil
			}
			if stream.Send(b) != nil {
				return nil
			}
			sent, sentAt = now, time.Now()
		}
		if !rv.OverSince.IsZero() {
			stream.End()
			return nil
		}
		select {
		case <-ctx.Done():
			if v.Ctx().Err() == nil {
				stream.End()
			}
			return nil
		case <-keep.C:
			if stream.Keep() != nil {
				return nil
			}
		case <-rings:
			select { // what else changes within the gap goes into the same update
			case <-ctx.Done():
			case <-time.After(liveGap - time.Since(sentAt)):
			}
		}
		if time.Since(proven) >= liveProven {
			if v.Enter() != nil {
				return nil // the script asks again and is told
			}
			proven = time.Now()
		}
		if rv, err = s.Relay.Receipt(ctx, v.Actor, rv.ID); err != nil {
			return nil // the same
		}
	}
}

func (s *Server) getGuards(v *visit) error {
	all, err := s.Relay.Guards(v.Ctx(), v.Actor)
	if err != nil {
		return err
	}
	view := Guards{v.Shell("Guards"), guardLines(all)}
	view.GuardsTotal, view.GuardsAnswering = 0, 0 // as of the rows
	for _, g := range view.Rows {
		if g.Name != "" {
			view.GuardsTotal++
		}
		if g.State == Confirmed {
			view.GuardsAnswering++
		}
	}
	return desk.Show(v.Visit, guardsPage, http.StatusOK, view)
}

// bound is the most that ending anybody's access there can take.
func bound(g relay.Rung) Ending {
	if g.Guarded {
		return Ending{Kind: Within, Within: g.Bound}
	}
	return Ending{Kind: NotBefore, Within: g.Bound}
}

func (s *Server) getOverview(v *visit) error {
	o, err := s.Relay.Overview(v.Ctx(), v.Actor)
	if err != nil {
		return err
	}
	guards, err := s.Relay.Guards(v.Ctx(), v.Actor)
	if err != nil {
		return err
	}
	view := Overview{Shell: v.Shell("Overview"), WorstHolders: -1, Without: o.Without, Latest: v.lines(o.Latest), Guards: guardLines(guards),
		Live: []LiveCount{{"Ledger head", int64(o.Head)}, {"Cutoffs held", int64(o.Cutoffs)}}}
	view.Now, view.GuardsAnswering, view.GuardsTotal, view.Worst = view.Clock.Now, o.Answering, o.Guards, o.Worst
	view.Ladder.Clock, view.Ladder.Rungs = view.Clock, []figure.Rung{{Name: "curfew", Sub: "sessions, refresh", Guarded: true, AtOnce: true}}
	for _, r := range o.Rungs {
		view.Ladder.Rungs = append(view.Ladder.Rungs, figure.Rung{Name: r.Name, Sub: receipt.GuardsText(r.Guards, r.Answering), Measured: r.Measured, Promised: r.Bound, Guarded: r.Guarded})
		if r.Resource == o.WorstResource && !r.Guarded {
			view.WorstWhere = r.Name
		}
		if !r.Guarded {
			view.Needs = append(view.Needs, Need{Lives, r.Name + " has no guard", "A token there outlives a revoke by up to " + webkit.Span(r.Bound) + ". Put a guard in front of it.",
				webkit.Link{Text: "Look at it", URL: desk.PathResources}})
		}
	}
	view.Needs = append(v.undelivered(), view.Needs...)
	for _, g := range o.Silent {
		n := Need{Closes, g.Name + " is silent", "By its own limit it refuses everyone from " + view.Tenth(g.ClosesAt) + ".", webkit.Link{Text: "Look at it", URL: desk.PathGuards}}
		if g.Age >= 0 {
			n.Title += " for " + webkit.Span(g.Age)
		}
		if g.State == relay.Closed {
			n.Text = strings.Replace(n.Text, " from ", " since ", 1) + " People may notice."
		}
		view.Needs = append([]Need{n}, view.Needs...)
	}
	return desk.Show(v.Visit, overviewPage, http.StatusOK, view)
}

// undelivered is what the overview says about deliveries that fail; nothing to those
// who may not see them.
func (v *visit) undelivered() (needs []Need) {
	all, err := v.s.Deliver.Recipients(v.Ctx(), v.Actor)
	if err != nil {
		return nil
	}
	look := webkit.Link{Text: "Deliveries", URL: desk.PathDeliveries}
	c := v.Clock(v.Now())
	for _, r := range all {
		name := r.Name
		if name == "" {
			name = string(r.App)
		}
		if r.State == deliver.Failing {
			needs = append(needs, Need{Failed, name + " cannot be told since " + c.When(r.Failing), "Back-channel logout: " + r.Error + " Next try " + c.Sec(r.Next) + ".", look})
		}
		if r.DeadLetters > 0 {
			needs = append(needs, Need{Failed, webkit.Count(r.DeadLetters, "notice", "notices") + " to " + name + " given up", "Its own sessions may still be open.", look})
		}
	}
	return needs
}
