package portal

import (
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/figure"
	"github.com/curfew-id/curfew/internal/web/portal/receipt"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// The story of the pictures: contoso.example, Monday 2 March 2026, 12:04.
var helsinki = time.FixedZone("Europe/Helsinki", 2*3600)

func at(clock string) time.Time {
	for _, layout := range []string{"15:04:05.000", "15:04:05.0", "15:04:05"} {
		if t, err := time.Parse(layout, clock); err == nil {
			return time.Date(2026, 3, 2, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), helsinki)
		}
	}
	panic("bad clock " + clock)
}

func shell(now string, section desk.Section, title string) desk.Shell {
	return desk.Shell{
		Frame:   webkit.Frame{Clock: webkit.Clock{Now: at(now)}, Title: title, Directory: "contoso.example"},
		Section: section, Me: "Grace Hopper", MyRoles: []string{"Global Administrator"}, UserCount: 100_214,
		GuardsAnswering: 6, GuardsTotal: 6, Worst: 58*time.Minute + 12*time.Second,
	}
}

func joan(s desk.Shell) desk.Shell {
	s.Me, s.MyRoles = "Joan Clarke", []string{"User Administrator"}
	return s
}

const adaID = "01953d2e-0000-7000-8000-00000000ada0"

var legacyEnd = Ending{Kind: NotBefore, At: at("12:51:07"), Where: "Legacy"}
var guarded = Ending{Kind: Within, Within: 10 * time.Second}
var atOnce = Ending{Kind: AtOnce}

func userRows() []UserRow {
	row := func(name, un string, a Account, role string, s, g, t int, e Ending, last time.Time) UserRow {
		r := UserRow{ID: "id-" + un, Name: name, UserName: un + "@contoso.example", Account: a, Sessions: s, Grants: g, Tokens: t, Ends: e, LastSignIn: last}
		if role != "" {
			r.Roles = []string{role}
		}
		return r
	}
	day := 24 * time.Hour
	nothing := Ending{Kind: NothingLive}
	rows := []UserRow{
		row("Ada Lovelace", "ada", Enabled, "", 3, 4, 5, legacyEnd, at("08:02:00")),
		row("Adele Goldberg", "adele", Enabled, "", 1, 2, 2, guarded, at("09:44:00")),
		row("Alan Turing", "alan", Disabled, "", 0, 0, 0, nothing, at("17:20:00").Add(-19*day)),
		row("Alonzo Church", "alonzo", Enabled, "Helpdesk Administrator", 2, 3, 3, guarded, at("07:58:00")),
		row("Andrew Yao", "andrew", Enabled, "", 1, 1, 0, atOnce, at("16:31:00").Add(-day)),
		row("Anita Borg", "anita", Enabled, "Global Administrator", 2, 3, 2, guarded, at("10:12:00")),
		row("Anne-Sophie Maximiliane von Hohenlohe-Langenburg-Schillingsfürst", "anne-sophie.hohenlohe-langenburg-schillingsfuerst", Enabled, "", 4, 9, 14, Ending{Kind: NotBefore, At: at("12:58:40"), Where: "Legacy"}, at("11:50:00")),
		row("Annie Easley", "annie", Enabled, "Reports Reader", 1, 2, 1, guarded, at("08:40:00")),
		row("Antony Hoare", "antony", Enabled, "", 0, 1, 0, atOnce, at("12:03:00").Add(-11*day)),
		row("Arthur Burks", "arthur", NewPasswordDue, "", 0, 0, 0, nothing, time.Time{}),
	}
	rows[0].ID = adaID
	return rows
}

func usersList() Users {
	return Users{
		Shell: joan(shell("12:04:12", desk.SectionUsers, "Users")), Query: "a", Found: 312, Took: 8 * time.Millisecond, Rows: userRows(),
		Filters: []desk.Filter{
			{Label: "Department", Value: "Research", ClearURL: desk.PathUsers + "?q=a"},
			{Label: "Status", Options: []webkit.Link{{Text: "Enabled", URL: desk.PathUsers + "?q=a&status=enabled"}, {Text: "Disabled", URL: desk.PathUsers + "?q=a&status=disabled"}}},
			{Label: "Role", Options: []webkit.Link{{Text: "Any role", URL: desk.PathUsers + "?role=any"}}},
		},
		Hidden: []desk.Hidden{{Name: "department", Value: "Research"}}, SortURL: desk.PathUsers + "?sort=-name", ClearURL: desk.PathUsers,
		Bulk: []desk.Verb{RevokeSessions, DisableAccount, ResetPassword},
		Paging: desk.Paging{From: 1, To: 10, Total: 312, Size: 10, NextURL: desk.PathUsers + "?after=x",
			Sizes: []webkit.Link{{Text: "10", Current: true}, {Text: "50", URL: desk.PathUsers + "?top=50"}, {Text: "100", URL: desk.PathUsers + "?top=100"}}},
	}
}

func commands(id string, refused bool) []desk.Command {
	var c []desk.Command
	for _, v := range []desk.Verb{RevokeSessions, DisableAccount, ResetPassword} {
		c = append(c, desk.Command{Verb: v, URL: VerbPath(id, v), Refused: refused})
	}
	return c
}

func tabs(id, current string) []desk.Tab {
	t := []desk.Tab{{Text: "Access", URL: desk.UserPath(id), Count: -1}, {Text: "Audit", URL: desk.UserPath(id) + "?tab=audit", Count: 38}, {Text: "Groups and roles", URL: desk.UserPath(id) + "?tab=groups", Count: 5}}
	for i := range t {
		t[i].Current = t[i].Text == current
	}
	return t
}

func adaLanes() []receipt.Lane {
	return []receipt.Lane{
		{Lane: figure.Lane{Name: "curfew", Sub: "sessions and refresh", Guarded: true, Outcome: "At once", Rest: "in the same commit",
			Bars: []figure.Bar{{Name: "3 browser sessions", Renews: true}, {Name: "4 grants (refresh tokens)", Renews: true}}}, State: Ended},
		{Lane: figure.Lane{Name: "Mail", Sub: "3 guards", Guarded: true, Outcome: "Within 10 s", Rest: "44 ms on a normal day",
			Bars: []figure.Bar{{Name: "Mail for Windows", From: at("11:58:02"), To: at("12:58:02")}, {Name: "Mail for iOS", From: at("11:31:44"), To: at("12:31:44")}}}, State: Ended},
		{Lane: figure.Lane{Name: "Drive", Sub: "3 guards", Guarded: true, Outcome: "Within 10 s", Rest: "44 ms on a normal day",
			Bars: []figure.Bar{{Name: "Drive Sync", From: at("12:02:10"), To: at("13:02:10")}, {Name: "Reports", From: at("11:47:20"), To: at("12:47:20")}}}, State: Ended},
		{Lane: figure.Lane{Name: "Legacy", Sub: "no guard", Outcome: "12:51:07", Rest: "nothing can end it sooner",
			Bars: []figure.Bar{{Name: "Reports", From: at("11:51:07"), To: at("12:51:07")}}}, State: Lives},
	}
}

func ada() User {
	u := User{Shell: shell("12:04:12", desk.SectionUsers, ""), ID: adaID, Name: "Ada Lovelace", UserName: "ada@contoso.example",
		About: "Analyst, Research", Commands: commands(adaID, false), Tabs: tabs(adaID, "Access")}
	u.Crumbs = []webkit.Link{{Text: "Users", URL: desk.PathUsers}, {Text: u.Name}}
	may := at("08:02:00").AddDate(0, 0, 90)
	session := func(device, kind, where, ip string, born, used, ends time.Time) SessionRow {
		return SessionRow{ID: device, Device: device, Kind: kind, Where: where, Address: ip, Born: born, LastUsed: used, EndsAt: ends, Sliding: true, Ends: atOnce, EndURL: desk.UserPath(adaID) + "/sessions/1/revoke"}
	}
	grant := func(app, where string, born, used time.Time, tokens ...TokenRow) GrantRow {
		return GrantRow{ID: app, App: app, Where: where, Born: born, LastUsed: used, EndsAt: may, Sliding: true, Ends: atOnce, RevokeURL: desk.UserPath(adaID) + "/grants/1/revoke", Tokens: tokens}
	}
	token := func(resource, scopes, born string, e Ending) TokenRow {
		return TokenRow{resource, scopes, at(born), at(born).Add(time.Hour), e}
	}
	u.Access = &Access{Clock: u.Clock,
		Facts:    []Fact{{"Browser sessions", "3", ""}, {"Grants", "4", "in 4 apps"}, {"Access tokens", "5", "in Mail, Drive, Legacy"}, {"If nobody does anything", "13:02:10", "then renewed"}, {"If you revoke now", "10 s", "but Legacy until 12:51:07"}},
		Timeline: &figure.Timeline{Clock: u.Clock, Note: "Last revocation: 14 Jan 2026 09:12, own password change. Everything born before ledger 41,870 is cut.", Lanes: receipt.Drawn(adaLanes())},
		Sessions: []SessionRow{
			session("Edge on Windows 11", "laptop", "Helsinki, ADA-LT-07", "192.0.2.14", at("08:02:00"), at("12:03:40"), may),
			session("Safari on iPhone", "phone", "Espoo", "198.51.100.7", at("19:21:00").AddDate(0, 0, -3), at("11:40:02"), may),
			session("Firefox on Debian", "globe", "Tampere", "203.0.113.77", at("01:17:00"), at("01:19:55"), at("01:19:55").AddDate(0, 0, 1)),
		},
		Grants: []GrantRow{
			grant("Mail for Windows", "Edge on Windows 11", at("08:03:00"), at("11:58:02"), token("Mail", "Mail.ReadWrite, Mail.Send", "11:58:02", guarded)),
			grant("Mail for iOS", "Safari on iPhone", at("19:22:00").AddDate(0, 0, -3), at("11:31:44"), token("Mail", "Mail.ReadWrite", "11:31:44", guarded)),
			grant("Drive Sync", "ADA-LT-07", at("10:15:00").AddDate(0, 0, -52), at("12:02:10"), token("Drive", "Files.ReadWrite.All", "12:02:10", guarded)),
			grant("Reports", "Edge on Windows 11", at("08:31:00"), at("11:51:07"), token("Drive", "Files.Read", "11:47:20", guarded), token("Legacy", "reports.run", "11:51:07", legacyEnd)),
		},
	}
	return u
}

func adaReceipt() Receipt {
	conf := func(where, protects, when string) ReceiptRow {
		return ReceiptRow{Where: where, Protects: protects, State: Confirmed, At: at(when), Ledger: 48_211}
	}
	return Receipt{
		Clock: webkit.Clock{Now: at("12:04:31.300")}, ID: "rc_4c81-48211", Act: "Sessions revoked", Target: "Ada Lovelace", At: at("12:04:31.220"),
		By: "Grace Hopper", Reason: "Laptop lost on the train, INC-4711", Ledger: 48_211, Guards: 6, Confirmed: 5, LastChange: at("12:04:31.264"), Promise: 50 * time.Millisecond,
		LiveURL: desk.ReceiptPath("rc_4c81-48211") + "/live", RefreshURL: desk.UserPath(adaID) + "?receipt=rc_4c81-48211", PageURL: desk.ReceiptPath("rc_4c81-48211"), CopyURL: desk.ReceiptPath("rc_4c81-48211") + "/copy.json",
		Rows: []ReceiptRow{
			{Where: "curfew", Protects: "3 sessions, 4 grants", State: Ended, At: at("12:04:31.220"), Ledger: 48_211},
			{Protects: "Legacy", State: Lives, At: at("12:51:07"), Tokens: 1},
			{Where: "drive-3", Protects: "Drive", State: Closes, At: at("12:04:35.0"), Ledger: 48_198, SilentSince: at("12:04:25.0")},
			conf("drive-2", "Drive", "12:04:31.264"), conf("mail-3", "Mail", "12:04:31.261"), conf("drive-1", "Drive", "12:04:31.256"),
			conf("mail-1", "Mail", "12:04:31.254"), conf("mail-2", "Mail", "12:04:31.251"),
		},
	}
}

func adaRevoked() User {
	u := ada()
	r := adaReceipt()
	u.Now, u.Receipt, u.GuardsAnswering = at("12:04:31.300"), &r, 5
	lanes := adaLanes()
	set := func(i int, s State, outcome, rest string) {
		lanes[i].State, lanes[i].Outcome, lanes[i].Rest = s, outcome, rest
	}
	set(0, Ended, "Ended 12:04:31.220", "3 sessions, 4 grants")
	set(1, Ended, "Ended 12:04:31.261", "3 of 3 guards, slowest 41 ms")
	set(2, Closes, "Closes by 12:04:35", "2 of 3 guards, drive-3 is silent")
	set(3, Lives, "Lives until 12:51:07", "nothing can end it sooner")
	lanes[2].ClosesAt = at("12:04:35.0")
	u.Access = &Access{Clock: u.Clock,
		Facts:    []Fact{{"Browser sessions", "0", "3 ended"}, {"Grants", "0", "4 ended"}, {"Access tokens", "3", "Drive by 12:04:35, Legacy"}, {"Last one ends", "12:51:07", "by itself"}, {"New sign-ins", "Work at once", "account is enabled"}},
		Timeline: &figure.Timeline{Clock: u.Clock, Cut: at("12:04:31.220"), Note: "Everything born before ledger 48,211 is cut.", Lanes: receipt.Drawn(lanes)},
	}
	return u
}

func refused() User {
	u := ada()
	u.Shell = joan(u.Shell)
	u.Name, u.UserName, u.About, u.Roles = "Anita Borg", "anita@contoso.example", "Director, Infrastructure", []string{"Global Administrator"}
	u.Crumbs = []webkit.Link{{Text: "Users", URL: desk.PathUsers}, {Text: u.Name}}
	u.Commands = commands("anita", true)
	u.Refusal = &desk.Refusal{Sentence: "Anita holds Global Administrator. Your role cannot act on it.", Acts: "revoke sessions, disable the account or reset the password",
		Needs: []string{"Privileged Authentication Administrator", "Global Administrator"}, YouHold: []string{"User Administrator"},
		Who: []webkit.Link{{Text: "Grace Hopper", URL: desk.UserPath("grace")}, {Text: "Katherine Johnson", URL: desk.UserPath("katherine")}, {Text: "Radia Perlman", URL: desk.UserPath("radia")}}, More: 1,
		CopyURL: "https://id.contoso.example/portal/users/anita"}
	return u
}

func confirmAda() desk.Confirm {
	return desk.Confirm{Shell: shell("12:04:12", desk.SectionUsers, "Revoke Ada Lovelace's sessions?"), Verb: RevokeSessions, Question: "Revoke Ada Lovelace's sessions?",
		Consequences: []desk.Consequence{
			{Kind: AtOnce, What: "3 browser sessions and 4 grants", When: "end at once", Why: "Every app asks for a new sign-in."},
			{Kind: Within, What: "4 access tokens in Mail and Drive", When: "end within 10 s", Why: "6 guards, all answering. 44 ms on a normal day."},
			{Kind: NotBefore, What: "1 access token in Legacy", When: "lives until 12:51:07", Why: "Legacy has no guard. Nothing can end it sooner."},
			{Kind: EndUnknown, What: "Password and account", When: "stay as they are", Why: "Ada can sign in again at once, unless you disable the account."},
		},
		Widen:      &webkit.Check{Name: "widen", Label: "Disable the account as well", Hint: "No new sign-in until somebody enables it again."},
		ReasonHint: "Goes on the receipt and into the audit log. Ada does not see it.", Reason: "Laptop lost on the train, INC-4711",
		Action: VerbPath(adaID, RevokeSessions), KeepURL: desk.UserPath(adaID), Undo: "Cannot be undone."}
}

func guardRows() []GuardRow {
	g := func(name, res string, age time.Duration) GuardRow {
		return GuardRow{Name: name, Resource: res, State: Confirmed, Age: age, MaxStaleness: 10 * time.Second, Ledger: 48_211, Version: "curfew-guard/0.1"}
	}
	silent := g("drive-3", "Drive", 13_800*time.Millisecond)
	silent.State, silent.SilentSince, silent.ClosesAt, silent.Ledger = Closed, at("12:04:25.0"), at("12:04:35.0"), 48_198
	return []GuardRow{silent, g("mail-1", "Mail", 400*time.Millisecond), g("mail-2", "Mail", 1100*time.Millisecond), g("mail-3", "Mail", 2600*time.Millisecond),
		g("drive-1", "Drive", 200*time.Millisecond), g("drive-2", "Drive", 3900*time.Millisecond), {Resource: "Legacy", State: Lives, Age: -1}}
}

func receiptLines() []ReceiptLine {
	return []ReceiptLine{
		{ID: "rc_4c81-48211", At: at("12:04:31"), Target: "Ada Lovelace", By: "Grace Hopper", State: Lives, Text: "Legacy until 12:51:07", Confirmed: 5, Total: 6, Ledger: 48_211},
		{ID: "rc_4c81-48207", At: at("11:20:04"), Target: "Barbara Liskov", By: "HR feed", Reason: "disabled", State: Lives, Text: "Legacy until 12:14:40", Confirmed: 6, Total: 6, Ledger: 48_207},
		{ID: "rc_4c81-48199", At: at("10:58:47"), Target: "Annie Easley", By: "own password change", State: Over, Text: "Over, 39 ms", Confirmed: 6, Total: 6, Ledger: 48_199},
	}
}

func overview() Overview {
	o := Overview{Shell: shell("12:04:38", desk.SectionOverview, "Overview"), WorstWhere: "Legacy", WorstHolders: 214, Without: 10 * time.Second,
		Ladder: figure.Ladder{Clock: webkit.Clock{Now: at("12:04:38")}, Rungs: []figure.Rung{
			{Name: "curfew", Sub: "sessions, refresh", Guarded: true, AtOnce: true},
			{Name: "Mail", Sub: "3 guards", Guarded: true, Measured: 41 * time.Millisecond, Promised: 10 * time.Second},
			{Name: "Drive", Sub: "3 guards, 1 silent", Guarded: true, Measured: 44 * time.Millisecond, Promised: 10 * time.Second},
			{Name: "Legacy", Sub: "no guard", Promised: 58*time.Minute + 12*time.Second, Until: at("13:02:50")},
		}},
		Latest: receiptLines(), Guards: guardRows(),
		Live: []LiveCount{{"Browser sessions", 61_402}, {"Grants", 248_915}, {"Access tokens, at most", 73_118}, {"Ledger head", 48_211}},
		Needs: []Need{
			{Closes, "drive-3 is silent for 13.8 s", "By its own limit it refuses everyone since 12:04:35.0. People may notice.", webkit.Link{Text: "Look at it", URL: desk.PathGuards}},
			{Lives, "Legacy has no guard", "Put the gateway in front of it: worst case 58 min becomes 10 s.", webkit.Link{Text: "Look at it", URL: desk.PathResources}},
		}}
	o.GuardsAnswering = 5
	return o
}

func auditTable() desk.AuditTable {
	return desk.AuditTable{Clock: webkit.Clock{Now: at("12:04:38")}, Rows: []desk.AuditRow{
		{At: at("12:04:31"), Actor: "grace@contoso.example", Act: "Revoked sessions", Target: webkit.Link{Text: "Ada Lovelace", URL: desk.UserPath(adaID)}, Reason: "Laptop lost on the train, INC-4711", State: Ended, Ledger: 48_211, Receipt: webkit.Link{Text: "rc_4c81-48211", URL: desk.ReceiptPath("rc_4c81-48211")}},
		{At: at("12:03:10"), Actor: "joan@contoso.example", Act: "Revoke sessions", Target: webkit.Link{Text: "Anita Borg", URL: desk.UserPath("anita")}, State: Refused},
		{At: at("09:12:00").AddDate(0, 0, -47), Actor: "ada@contoso.example", Act: "Changed own password", Target: webkit.Link{Text: "Ada Lovelace"}, State: Ended, Ledger: 41_870},
	}}
}

// pages renders every page in every state.
func pages(t testing.TB) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	put := func(name string) func([]byte, error) {
		return func(b []byte, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			out[name] = b
		}
	}
	put("users")(usersPage.HTML(usersList()))
	u := usersList()
	u.Query, u.Rows, u.Found, u.Paging = "adx", nil, 0, desk.Paging{}
	put("users-nobody")(usersPage.HTML(u))
	put("users-empty")(usersPage.HTML(Users{Shell: shell("12:04:12", desk.SectionUsers, "Users"), Empty: true}))
	u = usersList()
	u.Rows, u.Found, u.Filters, u.Query = u.Rows[:1], 1, nil, ""
	u.Rows[0].Selected, u.CanRevokeAll = true, true
	u.Rows[0].Sessions, u.Rows[0].Roles = -1, []string{"User Administrator", "Reports Reader"}
	put("users-one")(usersPage.HTML(u))
	u = usersList()
	for len(u.Rows) < 100 {
		u.Rows = append(u.Rows, userRows()...)
	}
	for i := range u.Rows {
		u.Rows[i].ID = strings.Repeat("0", 33) + string(rune('0'+i/100)) + string(rune('0'+i/10%10)) + string(rune('0'+i%10))
	}
	put("users-hundred")(usersPage.HTML(u))

	put("user")(userPage.HTML(ada()))
	put("user-receipt")(userPage.HTML(adaRevoked()))
	put("user-refused")(userPage.HTML(refused()))
	x := ada()
	x.Access = &Access{Clock: x.Clock, Facts: x.Access.Facts[:2], NothingLive: "Nothing is live. The last token ended 11 Feb 18:20."}
	x.Account, x.Done, x.About = Disabled, "Account disabled at 12:06:02.", ""
	x.Commands = []desk.Command{{Verb: EnableAccount, URL: VerbPath(adaID, EnableAccount), Refused: false}, {Verb: ResetPassword, URL: VerbPath(adaID, ResetPassword), Refused: false}}
	put("user-nothing")(userPage.HTML(x))
	x = ada()
	x.Name, x.UserName = userRows()[6].Name, userRows()[6].UserName
	x.Roles = []string{"User Administrator", "Privileged Authentication Administrator", "Helpdesk Administrator"}
	var many []figure.Bar
	for i := range 17 {
		many = append(many, figure.Bar{Name: "Drive Sync", From: at("11:50:00"), To: at("12:20:00").Add(time.Duration(i) * 2 * time.Minute)})
	}
	x.Access.Timeline.Lanes[2].Bars = many
	put("user-long")(userPage.HTML(x))
	x = ada()
	x.Access, x.Tabs = nil, tabs(adaID, "Audit")
	a := auditTable()
	x.Audit = &a
	put("user-audit")(userPage.HTML(x))
	x = ada()
	x.Access, x.Tabs = nil, tabs(adaID, "Groups and roles")
	x.Membership = &Membership{Groups: []MembershipRow{{"Research", "directly"}}}
	put("user-groups")(userPage.HTML(x))

	rs := shell("12:04:31.300", desk.SectionReceipts, "")
	rs.Crumbs = []webkit.Link{{Text: "Receipts", URL: desk.PathReceipts}, {Text: "rc_4c81-48211"}}
	r := adaReceipt()
	r.PageURL = ""
	put("receipt")(receiptPage.HTML(ReceiptPage{rs, r}))
	none := r
	none.LastChange = time.Time{}
	none.Confirmed, none.Reason = 0, ""
	none.Rows = []ReceiptRow{none.Rows[0], {Where: "mail-1", Protects: "Mail", State: Waiting}, {Where: "mail-2", Protects: "Mail", State: Waiting}}
	none.Guards = 2
	put("receipt-waiting")(receiptPage.HTML(ReceiptPage{rs, none}))
	over := r
	over.Rows = adaReceipt().Rows
	over.OverSince, over.LiveURL, over.Now = at("12:51:07"), "", at("13:10:00")
	for i := range over.Rows {
		switch over.Rows[i].State {
		case Lives:
			over.Rows[i].State = Over
		case Closes:
			over.Rows[i].State = Closed
		}
	}
	put("receipt-over")(receiptPage.HTML(ReceiptPage{rs, over}))
	slow := r
	slow.Rows = adaReceipt().Rows
	slow.Rows[3].At = at("12:04:34.900")
	slow.Rows = append(slow.Rows, ReceiptRow{Where: "Payroll", Protects: "Payroll", State: Unknown, Why: "Its own cookie is not ours to end."})
	put("receipt-slow")(receiptPage.HTML(ReceiptPage{rs, slow}))

	put("confirm")(desk.ConfirmPage.HTML(confirmAda()))
	c := confirmAda()
	c.Problem, c.ReasonError, c.ReasonRequired, c.Reason = &webkit.Problem{Title: "Error: not revoked", Items: []webkit.ProblemItem{{Field: "reason", Text: "Give a reason"}}}, "Give a reason", true, ""
	c.Question, c.TypeThis, c.TypeError, c.Verb = "Revoke everyone except you?", "contoso.example", "This is not contoso.example", RevokeAll
	c.Intro, c.Consequences, c.Widen, c.Hidden = "100,213 people sign in again.", nil, nil, []desk.Hidden{{Name: "verb", Value: "revoke-all"}}
	put("confirm-all")(desk.ConfirmPage.HTML(c))
	c = confirmAda()
	c.Refusal = refused().Refusal
	put("confirm-refused")(desk.ConfirmPage.HTML(c))
	put("bulk")(bulkResultPage.HTML(BulkResult{Shell: shell("12:06:03", desk.SectionUsers, "2 revoked, 1 refused"), NotOver: "Legacy until 12:51:07", BackURL: desk.PathUsers, Rows: []BulkRow{
		{Name: "Andrew Yao", UserName: "andrew@contoso.example", URL: desk.UserPath("andrew"), State: Ended, At: at("12:06:02.107"), Ledger: 48_214, Receipt: webkit.Link{Text: "rc_4c81-48214", URL: desk.ReceiptPath("rc_4c81-48214")}},
		{Name: "Anita Borg", UserName: "anita@contoso.example", URL: desk.UserPath("anita"), State: Refused, Why: "Holds Global Administrator; you hold User Administrator."},
		{Name: "Annie Easley", UserName: "annie@contoso.example", URL: desk.UserPath("annie"), State: Failed, Why: "The database did not answer within 5 s. Nothing was changed. Try again."},
	}}))
	put("new-password")(desk.OncePage.HTML(desk.Once{Shell: shell("12:06:03", desk.SectionUsers, "New password"), Heading: "New password for Ada Lovelace", Facts: []registry.Fact{{Label: "User name", Values: []string{"ada@contoso.example"}}},
		Label: "Temporary password", Secret: "otter-window-41-lilac", Hint: "Shown once, now.", Copy: "Copy password", Rest: "3 browser sessions and 4 grants ended at 12:06:02.107.", Back: webkit.Link{Text: "Back to Ada Lovelace", URL: desk.UserPath(adaID)}, ReceiptURL: desk.ReceiptPath("rc_1")}))
	put("receipts")(receiptsPage.HTML(Receipts{Shell: shell("12:04:38", desk.SectionReceipts, "Receipts"), Rows: receiptLines(), Paging: desk.Paging{From: 1, To: 3, Total: 3, Size: 50}}))
	put("receipts-empty")(receiptsPage.HTML(Receipts{Shell: shell("12:04:38", desk.SectionReceipts, "Receipts")}))
	put("guards")(guardsPage.HTML(Guards{shell("12:04:38", desk.SectionGuards, "Guards"), guardRows()}))
	g0 := shell("12:04:38", desk.SectionGuards, "Guards")
	g0.GuardsTotal, g0.GuardsAnswering, g0.Worst, g0.MyRoles, g0.UserCount = 0, 0, 0, nil, -1
	put("guards-empty")(guardsPage.HTML(Guards{g0, nil}))
	quiet := overview()
	quiet.NoKeys = true
	put("overview-quiet")(overviewPage.HTML(quiet))
	put("overview")(overviewPage.HTML(overview()))
	g0.Section = desk.SectionOverview
	put("overview-empty")(overviewPage.HTML(Overview{Shell: g0}))
	for name, b := range registryPages(t) {
		out[name] = b
	}
	put("audit")(auditPage.HTML(Audit{shell("12:04:38", desk.SectionAudit, "Audit"), auditTable()}))
	return out
}
