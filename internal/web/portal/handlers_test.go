package portal

import (
	"bufio"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/portaltest"
	"github.com/curfew-id/curfew/internal/web/webkit"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

func TestWhoIsNotSignedInComesBackAfterwards(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	nobody := &portaltest.Browser{House: h.House}
	ada := desk.UserPath(h.IDs["ada"].String())
	for path, next := range map[string]string{
		"/": desk.PathOverview, desk.PathOverview: desk.PathOverview, desk.PathOverview + "/": desk.PathOverview, desk.PathUsers + "?q=a%5C%23d&size=25": desk.PathUsers + "?q=a%5C%23d&size=25", ada + "?tab=audit": ada + "?tab=audit",
		ada + "/revoke": ada + "/revoke", desk.PathApplications + "/https:%2F%2Fx.example/revoke": desk.PathOverview, desk.PathUsers + "/s%C3%B8ren": desk.PathOverview, desk.PathBulk: desk.PathUsers,
	} {
		if p := nobody.Do(http.MethodGet, path, nil); p.Status != http.StatusSeeOther || p.To != "/signin?next="+url.QueryEscape(next) {
			t.Errorf("%s: %d to %q, want to come back to %q", path, p.Status, p.To, next)
		}
	}
	for path, next := range map[string]string{ada + "/revoke": ada + "/revoke", desk.PathBulk: desk.PathUsers, desk.PathBulkNow: desk.PathUsers, desk.PathRevokeAll: desk.PathRevokeAll} {
		if p := nobody.Do(http.MethodPost, path, url.Values{"reason": {"x"}}); p.Status != http.StatusSeeOther || p.To != "/signin?next="+url.QueryEscape(next) {
			t.Errorf("post %s: %d to %q", path, p.Status, p.To)
		}
	}
	if p := (&portaltest.Browser{House: h.House, Cookie: "made-up"}).Do(http.MethodGet, desk.PathUsers, nil); p.Status != http.StatusSeeOther {
		t.Errorf("an unknown cookie: %d", p.Status)
	}
}

func TestWhoHoldsNoRoleIsSentToTheirAccount(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ada := h.As("ada")
	if p := ada.Do(http.MethodGet, "/", nil); p.Status != http.StatusSeeOther || p.To != desk.PathAccount {
		t.Errorf("/: %d to %q", p.Status, p.To)
	}
	for _, path := range []string{desk.PathOverview, desk.PathUsers, desk.UserPath(h.IDs["ada"].String()), desk.PathAudit} {
		p, _ := ada.Check(ada.Do(http.MethodGet, path, nil), http.StatusForbidden, path)
		portaltest.Want(t, p, `href="/account"`, "hold a directory role")
	}
	p := ada.Do(http.MethodPost, VerbPath(h.IDs["adele"].String(), RevokeSessions), url.Values{"reason": {"x"}})
	if p.Status != http.StatusForbidden {
		t.Errorf("post: %d", p.Status)
	}
	if x := h.As("grace").Do(http.MethodGet, desk.PathAudit, nil); strings.Contains(x.Body, "Revoked sessions") {
		t.Error("something was done")
	}
}

func TestEveryPageRenders(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.Register("mail-1", "api://mail")
	ada := h.As("ada")
	h.Open("ada", ada.Live.Session.ID)
	grace := h.As("grace")
	id := h.IDs["ada"].String()
	if p := grace.Do(http.MethodGet, "/", nil); p.To != desk.PathOverview {
		t.Errorf("/ leads to %q", p.To)
	}
	if p := grace.Do(http.MethodGet, desk.UserPath("ada@contoso.example")+"?tab=audit", nil); p.To != desk.UserPath(id)+"?tab=audit" {
		t.Errorf("by user name: %d to %q", p.Status, p.To)
	}
	for path, says := range map[string][]string{
		desk.PathOverview:                        {"Legacy has no guard", "1 h 5 min", "mail-1"},
		desk.PathUsers:                           {"Ada Lovelace", "ada@contoso.example", "8 found", "Global Administrator", "Legacy", "Revoke everyone"},
		desk.UserPath(id):                        {"Firefox", "Mail for Windows", "Reports", "Within 10 s", "Not before", "nothing can end it sooner", "Files.Read, Files.Write"},
		desk.UserPath(id) + "?tab=audit":         {"Nothing is written down here yet"},
		desk.UserPath(id) + "?tab=groups":        {"No roles.", "In no group."},
		desk.UserPath(h.IDs["mallory"].String()): {"Mallory &lt;script&gt;", "Nothing is live"},
		VerbPath(id, RevokeSessions):             {"1 browser session and 2 grants", "end at once", "1 access token in Legacy", "lives until", "Disable the account as well", "Ada does not see it"},
		VerbPath(id, DisableAccount):             {"refused at once", "Keep account enabled"},
		VerbPath(id, EnableAccount):              {"work at once"},
		VerbPath(id, ResetPassword):              {"shown once"},
		desk.PathRevokeAll:                       {"Type contoso.example to go on", "7 people sign in again"},
		desk.PathApplications:                    {"Mail for Windows", "drive-sync"},
		AppVerbPath("reports", RevokeApp):        {"Every grant of Reports", "Access tokens in Mail", "Access tokens in Legacy"},
		desk.PathResources:                       {"api://legacy", "no guard", "By expiry, up to 1 h 5 min", "1 of 1"},
		desk.PathGuards:                          {"mail-1", "Answering", "No guard"},
		desk.PathReceipts:                        {"No receipts yet"},
		desk.PathAudit:                           {"Nothing is written down here yet"},
	} {
		p, _ := grace.Get(path)
		portaltest.Want(t, p, says...)
	}
	for path, status := range map[string]int{
		desk.UserPath("nobody@contoso.example"): 404, desk.UserPath(directory.NewID[directory.User](time.Now()).String()): 404, desk.UserPath(id) + "/dance": 404, desk.UserPath(id) + "?receipt=rc_none": 404,
		desk.ReceiptPath("rc_none"): 404, desk.ReceiptPath("rc_none") + "/live": 404, AppVerbPath("nothing", RevokeApp): 404, desk.PathUsers + "?after=x": 400, desk.PathUsers + "?q=a&q=b": 400, desk.PathUsers + "?q=%ff": 400,
		desk.PathAudit + "?before=x": 400, desk.PathReceipts + "?before=-1": 400,
	} {
		p := grace.Do(http.MethodGet, path, nil)
		if p.Status != status {
			t.Errorf("%s: %d, want %d", path, p.Status, status)
		}
		webkittest.Check(t, []byte(p.Body))
	}
}

// receiptOf takes the id of the receipt out of an address.
func receiptOf(t testing.TB, to string) string {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil || u.Query().Get("receipt") == "" {
		t.Fatalf("no receipt in %q", to)
	}
	return u.Query().Get("receipt")
}

func TestRevokeAndItsReceipt(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	mail := h.Register("mail-1", "api://mail")
	ada := h.As("ada")
	h.Open("ada", ada.Live.Session.ID)
	grace := h.As("grace")
	id := h.IDs["ada"].String()
	before, _ := grace.Get(VerbPath(id, RevokeSessions))
	portaltest.Want(t, before, "1 browser session and 2 grants", "1 guard, all answering.")

	to := grace.Post(VerbPath(id, RevokeSessions), url.Values{"reason": {"Laptop lost <b>on</b> the train"}}).To
	rc := receiptOf(t, to)
	p, d := grace.Get(to)
	portaltest.Want(t, p, "Revoked, no guard has confirmed yet", "by Grace Hopper", "Laptop lost &lt;b&gt;on&lt;/b&gt; the train", "1 session, 2 grants", "0 of 1 guards confirmed", "Legacy, 1 access token", "cut ", "Lives until", desk.ReceiptPath(rc)+"/live")
	if title := d.All("title")[0].Text; title != "0 of 1 – Ada Lovelace – curfew" {
		t.Errorf("title %q", title)
	}
	// What would have lasted is drawn, and named.
	if !regexp.MustCompile(`class="dead"`).MatchString(p.Body) || !strings.Contains(p.Body, `be struck"`) {
		t.Error("the timeline shows nothing that was cut")
	}
	if x := ada.Do(http.MethodGet, "/", nil); !strings.HasPrefix(x.To, "/signin") {
		t.Errorf("ada's browser still works: %d %q", x.Status, x.To)
	}
	mail.Ask()
	mail.Ask() // to ask after the line is to acknowledge it
	p, _ = grace.Get(to)
	portaltest.Want(t, p, "1 of 1 guards confirmed, slowest", "Sessions revoked at", "Ended ")
	portaltest.WantNot(t, p, "no guard has confirmed")
	p, _ = grace.Get(desk.ReceiptPath(rc))
	portaltest.Want(t, p, "1 of 1 guards confirmed", "Own sessions of Mail for Windows and Reports")
	portaltest.WantNot(t, p, "<b>unknown</b>") // told, but nothing that this receipt waits for
	p, _ = grace.Get(desk.PathReceipts)
	portaltest.Want(t, p, "ada@contoso.example", "Legacy until", "1 of 1")
	p, _ = grace.Get(desk.UserPath(id) + "?tab=audit")
	portaltest.Want(t, p, "Revoked sessions", "grace@contoso.example", desk.ReceiptPath(rc))
	p, _ = grace.Get(desk.UserPath(id))
	portaltest.Want(t, p, "Last revocation: today", "Access tokens without a grant")
	// A receipt about somebody else is not this person's.
	if p := grace.Do(http.MethodGet, desk.UserPath(h.IDs["adele"].String())+"?receipt="+rc, nil); p.Status != http.StatusNotFound {
		t.Errorf("ada's receipt on adele's page: %d", p.Status)
	}
	// Everything is over when Legacy's token is, a verifier's leeway included.
	h.Move(52 * time.Minute)
	p, _ = grace.Get(desk.ReceiptPath(rc))
	portaltest.Want(t, p, "Over since")
	portaltest.WantNot(t, p, "/live")
}

func TestLiveReceiptFollowsTheGuards(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	mail := h.Register("mail-1", "api://mail")
	h.Open("ada", h.As("ada").Live.Session.ID, "mail-windows")
	grace := h.As("grace")
	rc := receiptOf(t, grace.Post(VerbPath(h.IDs["ada"].String(), RevokeSessions), url.Values{}).To)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.HTTP.URL+desk.ReceiptPath(rc)+"/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	stranger := r.Clone(t.Context())
	r.AddCookie(&http.Cookie{Name: webkit.SessionCookie(false), Value: grace.Cookie})
	w, err := http.DefaultClient.Do(r)
	if err != nil || w.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatal(err, w.Header)
	}
	defer w.Body.Close()
	lines := bufio.NewScanner(w.Body)
	until := func(text string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), text) {
				return
			}
		}
		t.Fatalf("the stream ended before %q: %v", text, lines.Err())
	}
	until("0 of 1 guards confirmed")
	mail.Ask()
	mail.Ask()
	until("1 of 1 guards confirmed")
	until("event: end") // nothing else is left
	if w, err := http.DefaultClient.Do(stranger); err != nil || w.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a cookie: %v %v", w.StatusCode, err)
	}
}

func TestRefusedNamesTheRoleAndWhoHasIt(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	joan := h.As("joan")
	anita := h.IDs["anita"].String()
	p, d := joan.Get(desk.UserPath(anita))
	portaltest.Want(t, p, "Anita Borg holds Global Administrator. Your role cannot act on it.", "To revoke sessions, disable the account or reset the password you need", "Privileged Authentication Administrator or Global Administrator",
		"You hold User Administrator", "2 people can:", "Grace Hopper", "http://127.0.0.1"+desk.UserPath(anita))
	refused := 0
	for _, a := range d.All("a") {
		if a.Attr["aria-disabled"] == "true" {
			refused++
		}
	}
	if refused != 3 {
		t.Errorf("%d refused buttons, want 3", refused)
	}
	for _, verb := range []desk.Verb{RevokeSessions, DisableAccount, ResetPassword} {
		path := VerbPath(anita, verb)
		p, _ := joan.Check(joan.Do(http.MethodGet, path, nil), http.StatusForbidden, path)
		portaltest.Want(t, p, "Anita Borg holds Global Administrator", "Privileged Authentication Administrator")
		p, _ = joan.Check(joan.Do(http.MethodPost, path, url.Values{"reason": {"because"}}), http.StatusForbidden, path)
		portaltest.Want(t, p, "Anita Borg holds Global Administrator")
		portaltest.WantNot(t, p, `<form method="post"`, "Error:")
	}
	grace := h.As("grace")
	p, _ = grace.Get(desk.UserPath(anita) + "?tab=audit")
	portaltest.Want(t, p, "Refused", "joan@contoso.example")
	if p, _ := grace.Get(desk.PathReceipts); strings.Contains(p.Body, "anita@") {
		t.Error("a refused act has a receipt")
	}
	// What a role does not open says so, in the frame, with the role named.
	for path, who := range map[string]*portaltest.Browser{desk.PathAudit: joan, desk.PathOverview: h.As("radia"), desk.PathReceipts: h.As("radia"), desk.PathGuards: h.As("radia")} {
		p, _ := who.Check(who.Do(http.MethodGet, path, nil), http.StatusForbidden, path)
		portaltest.Want(t, p, "you need a role such as", "You hold")
	}
	p, _ = joan.Get(desk.UserPath(anita) + "?tab=audit")
	portaltest.Want(t, p, "To read the audit log you need")
	p, _ = joan.Check(joan.Do(http.MethodGet, desk.PathRevokeAll, nil), http.StatusForbidden, desk.PathRevokeAll)
	portaltest.Want(t, p, "Global Administrator")
	p, _ = joan.Check(joan.Do(http.MethodPost, AppVerbPath("reports", RevokeApp), url.Values{"reason": {"x"}}), http.StatusForbidden, "app")
	portaltest.Want(t, p, "Cloud Application Administrator")
	// A reader sees people, and of what is open that it is unknown to this role.
	radia := h.As("radia")
	p, _ = radia.Get(desk.PathUsers)
	portaltest.Want(t, p, "Ada Lovelace")
	portaltest.WantNot(t, p, `name="id"`, "guards answering")
	p, _ = radia.Get(desk.UserPath(h.IDs["ada"].String()))
	portaltest.Want(t, p, "To read receipts you need", "To revoke sessions")
	// Nobody resets their own password here.
	p, _ = grace.Get(desk.UserPath(h.IDs["grace"].String()))
	portaltest.Want(t, p, "Nobody resets their own password")
	portaltest.WantNot(t, p, "Nobody holds such a role")
}

func TestDisableEnableAndReset(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.As("ada")
	joan := h.As("joan")
	id := h.IDs["ada"].String()
	to := joan.Post(VerbPath(id, DisableAccount), url.Values{"reason": {"left"}}).To
	p, _ := joan.Get(to)
	portaltest.Want(t, p, "Over since", "Account disabled at", "Enable account", "account is disabled")
	to = joan.Post(VerbPath(id, DisableAccount), url.Values{}).To
	p, _ = joan.Get(to)
	portaltest.Want(t, p, "was disabled already")
	to = joan.Post(VerbPath(id, EnableAccount), url.Values{}).To
	p, _ = joan.Get(to)
	portaltest.Want(t, p, "The account is enabled", "Disable account")
	p, _ = joan.Get(desk.UserPath(id) + "?done=disabled") // the page says what is, not what the address says
	portaltest.WantNot(t, p, "disabled already")

	p, d := joan.Check(joan.Do(http.MethodPost, VerbPath(id, ResetPassword), url.Values{"reason": {"forgotten"}}), http.StatusOK, "reset")
	portaltest.Want(t, p, "Shown once, now", "ended with the old password at")
	var next string
	for _, e := range d.Elements {
		if e.Attr["id"] == "secret" {
			next = e.Text
		}
	}
	if signed, _, err := signInWith(h, "ada", portaltest.Password); err == nil || signed {
		t.Error("the old password still works")
	}
	if _, must, err := signInWith(h, "ada", next); err != nil || !must {
		t.Errorf("the temporary password must be changed at once: %v %v", must, err)
	}
	p, _ = joan.Get(desk.PathUsers + "?q=ada")
	portaltest.Want(t, p, "New password due")

	// Widened: one act, which is the disabling.
	to = joan.Post(VerbPath(h.IDs["adele"].String(), RevokeSessions), url.Values{"widen": {"1"}, "reason": {"left"}}).To
	p, _ = joan.Get(to)
	portaltest.Want(t, p, "Account disabled at", "Enable account")
}

func TestOneSessionAndOneGrant(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	first, second := h.As("ada"), h.As("ada")
	h.Open("ada", first.Live.Session.ID)
	grace := h.As("grace")
	id := h.IDs["ada"].String()
	_, d := grace.Get(desk.UserPath(id))
	var ends []string
	for _, a := range d.All("a") {
		if strings.HasPrefix(a.Attr["href"], desk.UserPath(id)+"/sessions/") || strings.HasPrefix(a.Attr["href"], desk.UserPath(id)+"/grants/") {
			ends = append(ends, a.Attr["href"])
		}
	}
	if len(ends) != 4 {
		t.Fatalf("links to end: %v", ends)
	}
	path := sessionPath(id, second.Live.Session.ID.String())
	p, _ := grace.Get(path)
	portaltest.Want(t, p, "End the session in Firefox", "from 192.0.2.14", "ends at once")
	// Somebody else's session does not answer to this address.
	h.As("adele")
	other := sessionPath(h.IDs["adele"].String(), second.Live.Session.ID.String())
	if p := grace.Do(http.MethodPost, other, url.Values{}); p.To != desk.UserPath(h.IDs["adele"].String())+"?done=already" {
		t.Errorf("%d to %q", p.Status, p.To)
	}
	p, _ = grace.Get(grace.Post(path, url.Values{"reason": {"strange"}}).To)
	portaltest.Want(t, p, "Session ended at", "strange")
	p, _ = grace.Get(grace.Post(path, url.Values{}).To)
	portaltest.Want(t, p, "That was over already")
	grants := slices.DeleteFunc(ends, func(s string) bool { return !strings.Contains(s, "/grants/") })
	p, _ = grace.Get(grants[0])
	portaltest.Want(t, p, "Revoke the grant of", "stay as they are")
	p, _ = grace.Get(grace.Post(grants[0], url.Values{}).To)
	portaltest.Want(t, p, "Grant revoked at")
	if p := first.Do(http.MethodGet, "/", nil); p.To != desk.PathAccount {
		t.Errorf("the other session ended, too: %q", p.To)
	}
}

func TestSeveralAtOnceSomeRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ada := h.As("ada")
	h.Open("ada", ada.Live.Session.ID)
	joan := h.As("joan")
	ids := []string{h.IDs["ada"].String(), h.IDs["anita"].String(), h.IDs["adele"].String(), h.IDs["joan"].String(), h.IDs["radia"].String()}
	p, d := joan.Check(joan.Do(http.MethodPost, desk.PathBulk, url.Values{"verb": {"revoke"}, "id": ids}), http.StatusOK, "bulk")
	portaltest.Want(t, p, "Revoke the sessions of 4 users?", "2 browser sessions and 2 grants", "1 user is left out", "Anita Borg: holds Global Administrator")
	form := url.Values{"reason": {"leak"}}
	for _, e := range d.All("input") {
		if e.Attr["type"] == "hidden" {
			form.Add(e.Attr["name"], e.Attr["value"])
		}
	}
	without := url.Values{"verb": form["verb"], "id": form["id"]}
	p, _ = joan.Check(joan.Do(http.MethodPost, desk.PathBulkNow, without), http.StatusUnprocessableEntity, "no reason")
	portaltest.Want(t, p, "Give a reason", "Error: nothing was done")
	p, _ = joan.Check(joan.Do(http.MethodPost, desk.PathBulkNow, form), http.StatusOK, "bulk now")
	portaltest.Want(t, p, "4 revoked, 1 refused, 0 failed", "Anita Borg holds Global Administrator", "Not over: ", "Legacy until")
	if x := joan.Do(http.MethodGet, desk.PathUsers, nil); !strings.HasPrefix(x.To, "/signin") {
		t.Errorf("joan was among them, last of all, and is still signed in: %d", x.Status)
	}
	grace := h.As("grace")
	p, _ = grace.Check(grace.Do(http.MethodPost, desk.PathBulk, url.Values{"verb": {"disable"}}), http.StatusForbidden, "nobody selected")
	portaltest.Want(t, p, "Nobody is selected")
	for name, form := range map[string]url.Values{"verb": {"verb": {"dance"}, "id": ids}, "reset": {"verb": {"reset-password"}, "id": ids}, "many": {"verb": {"revoke"}, "id": slices.Repeat(ids, 30)}} {
		if p := grace.Do(http.MethodPost, desk.PathBulk, form); p.Status != http.StatusBadRequest {
			t.Errorf("%s: %d", name, p.Status)
		}
	}
	joan = h.As("joan")
	p, _ = joan.Check(joan.Do(http.MethodPost, desk.PathBulk, url.Values{"verb": {"disable"}, "id": {ids[1]}}), http.StatusForbidden, "all refused")
	portaltest.Want(t, p, "Privileged Authentication Administrator")
}

func TestRevokeEveryoneButOneself(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ada, grace := h.As("ada"), h.As("grace")
	other := h.As("grace")
	for name, form := range map[string]url.Values{"Give a reason": {"domain": {"contoso.example"}}, "This is not contoso.example": {"reason": {"breach"}, "domain": {"contoso"}}} {
		p, _ := grace.Check(grace.Do(http.MethodPost, desk.PathRevokeAll, form), http.StatusUnprocessableEntity, name)
		portaltest.Want(t, p, name, `aria-invalid="true"`)
	}
	form := url.Values{"reason": {"breach"}, "domain": {" Contoso.Example "}}
	h.Move(11 * time.Minute)
	again := "/signin?prompt=login&next=" + url.QueryEscape(desk.PathRevokeAll)
	if p := grace.Do(http.MethodGet, desk.PathRevokeAll, nil); p.To != again {
		t.Errorf("an old proof: %d to %q", p.Status, p.To)
	}
	if p := grace.Do(http.MethodPost, desk.PathRevokeAll, form); p.To != again {
		t.Errorf("an old proof: %d to %q", p.Status, p.To)
	}
	if p := ada.Do(http.MethodGet, "/", nil); p.To != desk.PathAccount {
		t.Errorf("ada was cut before anybody proved anything: %q", p.To)
	}
	grace = h.As("grace")
	p := grace.Post(desk.PathRevokeAll, form)
	if len(p.Cookie) != 1 || p.Cookie[0].Name != "curfew" || !p.Cookie[0].HttpOnly || p.Cookie[0].SameSite != http.SameSiteLaxMode {
		t.Fatalf("cookies %v", p.Cookie)
	}
	if x := grace.Do(http.MethodGet, desk.PathUsers, nil); !strings.HasPrefix(x.To, "/signin") {
		t.Error("the old cookie still works")
	}
	grace.Cookie = p.Cookie[0].Value
	r, _ := grace.Get(p.To)
	portaltest.Want(t, r, "Everyone&#39;s sessions revoked", "breach")
	for name, b := range map[string]*portaltest.Browser{"ada": ada, "grace elsewhere": other} {
		if x := b.Do(http.MethodGet, "/", nil); !strings.HasPrefix(x.To, "/signin") {
			t.Errorf("%s is still signed in", name)
		}
	}
}

func TestRevokeApplication(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	grace := h.As("grace")
	path := AppVerbPath("reports", RevokeApp)
	p, _ := grace.Check(grace.Do(http.MethodPost, path, url.Values{}), http.StatusUnprocessableEntity, path)
	portaltest.Want(t, p, "Give a reason")
	p, _ = grace.Get(grace.Post(path, url.Values{"reason": {"leaked secret"}}).To)
	portaltest.Want(t, p, "Grants revoked", "leaked secret", "Legacy")
}

func TestFormsThatComeBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	grace := h.As("grace")
	path := VerbPath(h.IDs["ada"].String(), RevokeSessions)
	p, _ := grace.Check(grace.Do(http.MethodPost, path, url.Values{"reason": {strings.Repeat("é", 251)}, "widen": {"1"}}), http.StatusUnprocessableEntity, path)
	portaltest.Want(t, p, "at most 500 characters", "<title>Error: ", " checked")
	for name, form := range map[string]url.Values{"twice": {"reason": {"a", "b"}}, "nul": {"reason": {"a\x00"}}, "bytes": {"reason": {"\xff"}}} {
		if p := grace.Do(http.MethodPost, path, form); p.Status != http.StatusBadRequest {
			t.Errorf("%s: %d", name, p.Status)
		}
	}
	if p := grace.Do(http.MethodPost, path, nil); p.Status != http.StatusBadRequest {
		t.Errorf("no form: %d", p.Status)
	}
	if p, _ := grace.Get(desk.PathReceipts); !strings.Contains(p.Body, "No receipts yet") {
		t.Error("a form that came back did something")
	}
	// Written while the actor is cut: to sign in, nothing done.
	h.Update(func(tx *store.Tx) error {
		_, _, err := tx.RevokeUser(h.IDs["grace"], directory.SessionID{}, [32]byte{})
		return err
	})
	if p := grace.Do(http.MethodPost, path, url.Values{}); p.To != "/signin?next="+url.QueryEscape(path) {
		t.Errorf("a cut actor: %d to %q", p.Status, p.To)
	}
}

func signInWith(h *house, name, password string) (signed, mustChange bool, err error) {
	s, m, err := h.SignIn.Password(h.T.Context(), attempt(name, password))
	return s != nil, m != nil, err
}

// TestNoRealPageIsWiderThanItsWindow looks at pages as a directory in use makes
// them; TestNoPageIsWiderThanItsWindow has every page in every state.
func TestNoRealPageIsWiderThanItsWindow(t *testing.T) {
	h := newHouse(t)
	h.Crowd(300)
	var guards []*portaltest.Process
	for _, name := range []string{"mail-1", "mail-2", "mail-3", "drive-1", "drive-2", "drive-3"} {
		guards = append(guards, h.Register(name, "api://"+strings.TrimRight(name, "-123")))
	}
	ada := h.As("ada")
	h.Open("ada", ada.Live.Session.ID)
	h.As("ada")
	h.As("adele")
	grace, joan := h.As("grace"), h.As("joan")
	id := h.IDs["ada"].String()
	shots := map[string][]byte{}
	take := func(name string, b *portaltest.Browser, path string) {
		shots["real-"+name] = []byte(b.Do(http.MethodGet, path, nil).Body)
	}
	ask := func(n int) {
		for _, g := range guards[:n] {
			g.Ask()
			g.Ask()
		}
	}
	ask(6)
	take("overview", grace, desk.PathOverview)
	take("users", grace, desk.PathUsers)
	take("users-search", joan, desk.PathUsers+"?q=ad")
	take("user", grace, desk.UserPath(id))
	take("user-groups", grace, desk.UserPath(h.IDs["joan"].String())+"?tab=groups")
	take("refused", joan, desk.UserPath(h.IDs["anita"].String()))
	take("refused-page", joan, desk.PathAudit)
	take("confirm", grace, VerbPath(id, RevokeSessions))
	take("confirm-all", grace, desk.PathRevokeAll)
	take("confirm-app", grace, AppVerbPath("reports", RevokeApp))
	take("no-role", h.As("mallory"), desk.PathUsers)
	bulk := joan.Do(http.MethodPost, desk.PathBulk, url.Values{"verb": {"revoke"}, "id": {id, h.IDs["anita"].String(), h.IDs["adele"].String()}})
	shots["real-bulk"] = []byte(bulk.Body)
	h.Move(7 * time.Second) // drive-3 falls silent
	ask(5)
	grace.Do(http.MethodGet, desk.PathOverview, nil)
	to := grace.Post(VerbPath(id, RevokeSessions), url.Values{"reason": {"Laptop lost on the train, INC-4711"}}).To
	take("receipt-first", grace, to)
	ask(5)
	take("receipt", grace, to)
	take("receipts", grace, desk.PathReceipts)
	take("receipt-page", grace, desk.ReceiptPath(receiptOf(t, to)))
	take("guards", grace, desk.PathGuards)
	take("resources", grace, desk.PathResources)
	take("applications", grace, desk.PathApplications)
	take("audit", grace, desk.PathAudit)
	webkittest.Fits(t, shots)
}
