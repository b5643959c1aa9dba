package desk

import (
	"time"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/web/portal/receipt"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// AuditTable is a list of audit lines, on a profile or on the audit page.
type AuditTable struct {
	webkit.Clock
	Rows   []AuditRow
	Paging Paging
	// Refused, when set, is the sentence that stands in place of the rows.
	Refused string
}

// AuditRow is one audit line.
type AuditRow struct {
	At      time.Time
	Actor   string
	Act     string // "Revoked sessions"
	Target  webkit.Link
	Reason  string
	State   receipt.State // Ended for done, Refused, Failed
	Ledger  int64         // 0: no line
	Receipt webkit.Link
	Address string
}

// acts are the names of the audit log in words; others stand as they are.
var acts = map[string]string{
	"Update StsRefreshTokenValidFrom Timestamp": "Revoked sessions", "Disable account": "Disabled account", "Enable account": "Enabled account",
	"Reset user password": "Reset password", "Change user password": "Changed own password", "Add user": "Created user", "Update user": "Changed user",
	"Delete user": "Deleted user", "Add member to role": "Gave role", "Remove member from role": "Took role", "Revoke session": "Ended session",
	"Revoke grant": "Revoked grant", "Revoke application": "Revoked application", "Suspicious refresh token retry": "Suspicious refresh",
	"Add application": "Registered application", "Update application": "Changed application", "Delete application": "Deleted application", "Disable application": "Disabled application", "Enable application": "Enabled application",
	"Update application – certificates and secrets management": "Changed secrets", "Add owner to application": "Added owner", "Remove owner from application": "Removed owner", "Add app role assignment": "Assigned to application", "Remove app role assignment": "Took assignment",
	"Consent to application": "Consented for everybody", "Revoke consent": "Withdrew consent", "Add resource": "Registered resource", "Update resource": "Changed resource", "Delete resource": "Deleted resource",
	"Add conditional access policy": "Created policy", "Update conditional access policy": "Changed policy", "Delete conditional access policy": "Deleted policy",
	"Add named location": "Created location", "Update named location": "Changed location", "Delete named location": "Deleted location",
	"Add account spared by conditional access": "Spared of policies", "Remove account spared by conditional access": "Spared no longer", "Sign in by account spared by conditional access": "Signed in, spared", "Use of account spared by conditional access": "Used, spared",
	"Retry logout notice": "Told again", "Drop logout notice": "Dropped letter", "Give up logout notice": "Gave up letter", "Retry application": "Tried application",
}

// Audits reads a page of the audit log; address is the page's, up to its last field.
func (v *Visit) Audits(q manage.AuditQuery, address string) (AuditTable, error) {
	before, at, err := v.Edge()
	if err != nil {
		return AuditTable{}, err
	}
	q.Before, q.Limit = before, ListSize+1
	all, err := v.Desk.Manage.Audits(v.Ctx(), v.Actor, q)
	if err != nil {
		return AuditTable{}, err
	}
	t := AuditTable{Clock: v.Clock(v.Now())}
	more := len(all) > ListSize
	if more {
		all = all[:ListSize]
	}
	for _, r := range all {
		t.Rows = append(t.Rows, auditRow(r))
	}
	if len(all) > 0 {
		t.Paging = Older(address, at, len(all), all[len(all)-1].ID, more)
	}
	return t, nil
}

func auditRow(r audit.Record) AuditRow {
	row := AuditRow{At: r.At, Actor: By(r.Actor), Act: r.Action, Target: webkit.Link{Text: r.Target.Name}, Reason: r.Reason, State: receipt.Ended, Ledger: int64(r.Pos), Address: r.IP}
	if words, ok := acts[r.Action]; ok {
		row.Act = words
	}
	switch r.Result {
	case audit.Refused:
		row.State = receipt.Refused
	case audit.Failure:
		row.State = receipt.Failed
	}
	if row.Reason == "" {
		row.Reason = r.Elaborate
	}
	if row.Target.Text == "" {
		row.Target.Text = webkit.None
	}
	if page := map[string]func(string) string{"user": UserPath, "app": AppPath, "resource": ResourcePath}[r.Target.Kind]; page != nil && r.Target.ID != "" {
		row.Target.URL = page(r.Target.ID)
	}
	if r.Receipt != "" {
		row.Receipt = webkit.Link{Text: r.Receipt, URL: ReceiptPath(r.Receipt)}
	}
	return row
}

// By is how the lists call who did something.
func By(p audit.Party) string {
	if p.Kind == "system" {
		return "curfew itself"
	}
	return p.Name
}
