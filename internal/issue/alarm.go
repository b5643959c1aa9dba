package issue

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/store"
)

// suspicious is the activity's name in the audit log.
const suspicious = "Suspicious refresh token retry"

// alarmTime bounds how long an answer waits for the record of its alarm.
const alarmTime = 5 * time.Second

// raise tells people of a retry that may be a thief's, on the log at once and on
// the audit log of the user. The client's answer is the same whether that
// succeeds or not.
//
// The record has a transaction of its own, after the refresh. In the refresh's
// own, a record that cannot be written would undo the refreshes of everybody who
// shares the commit, and each of them would be looked through for records. The
// price: a crash between the two loses the record, because the grant says
// already that it was told; the line on the log is written first. Whoever hangs
// up meanwhile does not stop it.
func (s *Service) raise(ctx context.Context, d *draft, r RefreshRequest) {
	g, again := d.grant, grant.NetworkOf(r.IP)
	s.Log.Warn("a refresh token was retried suspiciously", "alarm", d.alarm.String(), "user", g.User, "grant", g.ID, "client", g.App,
		"first", grant.NetworkText(g.State.Network), "again", grant.NetworkText(again), "generations", g.State.Row, "request", r.Request)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), alarmTime)
	defer cancel()
	err := s.DB.Update(ctx, func(tx *store.Tx) error {
		tx.By(store.By{Actor: directory.Actor{System: true, App: g.App, Request: r.Request}})
		rec := d.suspicion(again)
		tx.Audit(rec)
		if s.Suspect == nil || d.alarm&grant.Elsewhere == 0 {
			return nil
		}
		return s.Suspect(tx, g, r.IP, rec.Elaborate)
	})
	if err != nil {
		s.Log.Error("the alarm of a suspicious retry is not in the audit log", "grant", g.ID, "error", err)
	}
}

// suspicion is the record of d's alarm: what was seen, and why it may be nothing.
func (d *draft) suspicion(again netip.Prefix) audit.Record {
	g, app := d.grant, cmp.Or(d.app.Name, string(d.app.ID))
	first, now := grant.NetworkText(g.State.Network), grant.NetworkText(again)
	rec := audit.Record{Action: suspicious, Target: store.UserParty(d.user), Changes: []audit.Change{
		{Property: "Grant.Id", New: g.ID.String()}, {Property: "Condition", New: d.alarm.String()}, {Property: "Network", Old: first, New: now}}}
	var seen []string
	if d.alarm&grant.Elsewhere != 0 {
		seen = append(seen, fmt.Sprintf("A refresh token of %s was used from %s and, shortly after, from %s.", app, first, now))
	}
	if d.alarm&grant.InARow != 0 {
		seen = append(seen, fmt.Sprintf("The last %d refresh tokens of %s were each used twice.", g.State.Row, app))
	}
	rec.Elaborate = strings.Join(append(seen, "Either answers were lost on the way, or somebody else holds the tokens too."), " ")
	return rec
}
