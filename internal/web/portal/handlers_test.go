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
	"github.com/curfew-id/curfew/internal/web/webkit"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

func TestWhoIsNotSignedInComesBackAfterwards(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	nobody := &browser{h: h}
	ada := UserPath(h.ids["ada"].String())
	for path, next := range map[string]string{
		"/": PathOverview, PathOverview: PathOverview, PathOverview + "/": PathOverview, PathUsers + "?q=a%5C%23d&size=25": PathUsers + "?q=a%5C%23d&size=25", ada + "?tab=audit": ada + "?tab=audit",
		ada + "/revoke": ada + "/revoke", PathApplications + "/https:%2F%2Fx.example/revoke": PathOverview, PathUsers + "/s%C3%B8ren": PathOverview, PathBulk: PathUsers,
	} {
		if p := nobody.do(http.MethodGet, path, nil); p.status != http.StatusSeeOther || p.to != "/signin?next="+url.QueryEscape(next) {
			t.Errorf("%s: %d to %q, want to come back to %q", path, p.status, p.to, next)
		}
	}
	for path, next := range map[string]string{ada + "/revoke": ada + "/revoke", PathBulk: PathUsers, pathBulkNow: PathUsers, PathRevokeAll: PathRevokeAll} {
		if p := nobody.do(http.MethodPost, path, url.Values{"reason": {"x"}}); p.status != http.StatusSeeOther || p.to != "/signin?next="+url.QueryEscape(next) {
			t.Errorf("post %s: %d to %q", path, p.status, p.to)
		}
	}
	if p := (&browser{h: h, cookie: "made-up"}).do(http.MethodGet, PathUsers, nil); p.status != http.StatusSeeOther {
		t.Errorf("an unknown cookie: %d", p.status)
	}
}

func TestWhoHoldsNoRoleIsSentToTheirAccount(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ada := h.as("ada")
	if p := ada.do(http.MethodGet, "/", nil); p.status != http.StatusSeeOther || p.to != PathAccount {
		t.Errorf("/: %d to %q", p.status, p.to)
	}
	for _, path := range []string{PathOverview, PathUsers, UserPath(h.ids["ada"].String()), PathAudit} {
		p, _ := ada.check(ada.do(http.MethodGet, path, nil), http.StatusForbidden, path)
		want(t, p, `href="/account"`, "hold a directory role")
	}
	p := ada.do(http.MethodPost, VerbPath(h.ids["adele"].String(), RevokeSessions), url.Values{"reason": {"x"}})
	if p.status != http.StatusForbidden {
		t.Errorf("post: %d", p.status)
	}
	if x := h.as("grace").do(http.MethodGet, PathAudit, nil); strings.Contains(x.body, "Revoked sessions") {
		t.Error("something was done")
	}
}

func TestEveryPageRenders(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.register("mail-1", "api://mail")
	ada := h.as("ada")
	h.open("ada", ada.live.Session.ID)
	grace := h.as("grace")
	id := h.ids["ada"].String()
	if p := grace.do(http.MethodGet, "/", nil); p.to != PathOverview {
		t.Errorf("/ leads to %q", p.to)
	}
	if p := grace.do(http.MethodGet, UserPath("ada@contoso.example")+"?tab=audit", nil); p.to != UserPath(id)+"?tab=audit" {
		t.Errorf("by user name: %d to %q", p.status, p.to)
	}
	for path, says := range map[string][]string{
		PathOverview:                        {"Legacy has no guard", "1 h 5 min", "mail-1"},
		PathUsers:                           {"Ada Lovelace", "ada@contoso.example", "8 found", "Global Administrator", "Legacy", "Revoke everyone"},
		UserPath(id):                        {"Firefox", "Mail for Windows", "Reports", "Within 10 s", "Not before", "nothing can end it sooner", "Files.Read, Files.Write"},
		UserPath(id) + "?tab=audit":         {"Nothing is written down here yet"},
		UserPath(id) + "?tab=groups":        {"No roles.", "In no group."},
		UserPath(h.ids["mallory"].String()): {"Mallory &lt;script&gt;", "Nothing is live"},
		VerbPath(id, RevokeSessions):        {"1 browser session and 2 grants", "end at once", "1 access token in Legacy", "lives until", "Disable the account as well", "Ada does not see it"},
		VerbPath(id, DisableAccount):        {"refused at once", "Keep account enabled"},
		VerbPath(id, EnableAccount):         {"work at once"},
		VerbPath(id, ResetPassword):         {"shown once"},
		PathRevokeAll:                       {"Type contoso.example to go on", "7 people sign in again"},
		PathApplications:                    {"Mail for Windows", "drive-sync"},
		AppVerbPath("reports", RevokeApp):   {"Every grant of Reports", "Access tokens in Mail", "Access tokens in Legacy"},
		PathResources:                       {"api://legacy", "no guard", "By expiry, up to 1 h 5 min", "1 of 1"},
		PathGuards:                          {"mail-1", "Answering", "No guard"},
		PathDeliveries:                      {"No application is told of logouts", "Nothing was given up"},
		PathReceipts:                        {"No receipts yet"},
		PathAudit:                           {"Nothing is written down here yet"},
	} {
		p, _ := grace.get(path)
		want(t, p, says...)
	}
	for path, status := range map[string]int{
		UserPath("nobody@contoso.example"): 404, UserPath(directory.NewID[directory.User](time.Now()).String()): 404, UserPath(id) + "/dance": 404, UserPath(id) + "?receipt=rc_none": 404,
		ReceiptPath("rc_none"): 404, ReceiptPath("rc_none") + "/live": 404, AppVerbPath("nothing", RevokeApp): 404, PathUsers + "?after=x": 400, PathUsers + "?q=a&q=b": 400, PathUsers + "?q=%ff": 400,
		PathAudit + "?before=x": 400, PathReceipts + "?before=-1": 400,
	} {
		p := grace.do(http.MethodGet, path, nil)
		if p.status != status {
			t.Errorf("%s: %d, want %d", path, p.status, status)
		}
		webkittest.Check(t, []byte(p.body))
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
	mail := h.register("mail-1", "api://mail")
	ada := h.as("ada")
	h.open("ada", ada.live.Session.ID)
	grace := h.as("grace")
	id := h.ids["ada"].String()
	before, _ := grace.get(VerbPath(id, RevokeSessions))
	want(t, before, "1 browser session and 2 grants", "1 guard, all answering.")

	to := grace.post(VerbPath(id, RevokeSessions), url.Values{"reason": {"Laptop lost <b>on</b> the train"}}).to
	rc := receiptOf(t, to)
	p, d := grace.get(to)
	want(t, p, "Revoked, no guard has confirmed yet", "by Grace Hopper", "Laptop lost &lt;b&gt;on&lt;/b&gt; the train", "1 session, 2 grants", "0 of 1 guards confirmed", "Legacy, 1 access token", "cut ", "Lives until", ReceiptPath(rc)+"/live")
	if title := d.All("title")[0].Text; title != "0 of 1 – Ada Lovelace – curfew" {
		t.Errorf("title %q", title)
	}
	// What would have lasted is drawn, and named.
	if !regexp.MustCompile(`class="dead"`).MatchString(p.body) || !strings.Contains(p.body, `be struck"`) {
		t.Error("the timeline shows nothing that was cut")
	}
	if x := ada.do(http.MethodGet, "/", nil); !strings.HasPrefix(x.to, "/signin") {
		t.Errorf("ada's browser still works: %d %q", x.status, x.to)
	}
	mail.ask()
	mail.ask() // to ask after the line is to acknowledge it
	p, _ = grace.get(to)
	want(t, p, "1 of 1 guards confirmed, slowest", "Sessions revoked at", "Ended ")
	wantNot(t, p, "no guard has confirmed")
	p, _ = grace.get(ReceiptPath(rc))
	want(t, p, "1 of 1 guards confirmed", "Own sessions of Mail for Windows and Reports")
	wantNot(t, p, "<b>unknown</b>") // told, but nothing that this receipt waits for
	p, _ = grace.get(PathReceipts)
	want(t, p, "ada@contoso.example", "Legacy until", "1 of 1")
	p, _ = grace.get(UserPath(id) + "?tab=audit")
	want(t, p, "Revoked sessions", "grace@contoso.example", ReceiptPath(rc))
	p, _ = grace.get(UserPath(id))
	want(t, p, "Last revocation: today", "Access tokens without a grant")
	// A receipt about somebody else is not this person's.
	if p := grace.do(http.MethodGet, UserPath(h.ids["adele"].String())+"?receipt="+rc, nil); p.status != http.StatusNotFound {
		t.Errorf("ada's receipt on adele's page: %d", p.status)
	}
	// Everything is over when Legacy's token is, a verifier's leeway included.
	h.move(52 * time.Minute)
	p, _ = grace.get(ReceiptPath(rc))
	want(t, p, "Over since")
	wantNot(t, p, "/live")
}

func TestLiveReceiptFollowsTheGuards(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	mail := h.register("mail-1", "api://mail")
	h.open("ada", h.as("ada").live.Session.ID, "mail-windows")
	grace := h.as("grace")
	rc := receiptOf(t, grace.post(VerbPath(h.ids["ada"].String(), RevokeSessions), url.Values{}).to)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.http.URL+ReceiptPath(rc)+"/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	stranger := r.Clone(t.Context())
	r.AddCookie(&http.Cookie{Name: webkit.SessionCookie(false), Value: grace.cookie})
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
	mail.ask()
	mail.ask()
	until("1 of 1 guards confirmed")
	until("event: end") // nothing else is left
	if w, err := http.DefaultClient.Do(stranger); err != nil || w.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a cookie: %v %v", w.StatusCode, err)
	}
}

func TestRefusedNamesTheRoleAndWhoHasIt(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	joan := h.as("joan")
	anita := h.ids["anita"].String()
	p, d := joan.get(UserPath(anita))
	want(t, p, "Anita Borg holds Global Administrator. Your role cannot act on it.", "To revoke sessions, disable the account or reset the password you need", "Privileged Authentication Administrator or Global Administrator",
		"You hold User Administrator", "2 people can:", "Grace Hopper", "http://127.0.0.1"+UserPath(anita))
	refused := 0
	for _, a := range d.All("a") {
		if a.Attr["aria-disabled"] == "true" {
			refused++
		}
	}
	if refused != 3 {
		t.Errorf("%d refused buttons, want 3", refused)
	}
	for _, verb := range []Verb{RevokeSessions, DisableAccount, ResetPassword} {
		path := VerbPath(anita, verb)
		p, _ := joan.check(joan.do(http.MethodGet, path, nil), http.StatusForbidden, path)
		want(t, p, "Anita Borg holds Global Administrator", "Privileged Authentication Administrator")
		p, _ = joan.check(joan.do(http.MethodPost, path, url.Values{"reason": {"because"}}), http.StatusForbidden, path)
		want(t, p, "Anita Borg holds Global Administrator")
		wantNot(t, p, `<form method="post"`, "Error:")
	}
	grace := h.as("grace")
	p, _ = grace.get(UserPath(anita) + "?tab=audit")
	want(t, p, "Refused", "joan@contoso.example")
	if p, _ := grace.get(PathReceipts); strings.Contains(p.body, "anita@") {
		t.Error("a refused act has a receipt")
	}
	// What a role does not open says so, in the frame, with the role named.
	for path, who := range map[string]*browser{PathAudit: joan, PathOverview: h.as("radia"), PathReceipts: h.as("radia"), PathGuards: h.as("radia")} {
		p, _ := who.check(who.do(http.MethodGet, path, nil), http.StatusForbidden, path)
		want(t, p, "you need a role such as", "You hold")
	}
	p, _ = joan.get(UserPath(anita) + "?tab=audit")
	want(t, p, "To read the audit log you need")
	p, _ = joan.check(joan.do(http.MethodGet, PathRevokeAll, nil), http.StatusForbidden, PathRevokeAll)
	want(t, p, "Global Administrator")
	p, _ = joan.check(joan.do(http.MethodPost, AppVerbPath("reports", RevokeApp), url.Values{"reason": {"x"}}), http.StatusForbidden, "app")
	want(t, p, "Cloud Application Administrator")
	// A reader sees people, and of what is open that it is unknown to this role.
	radia := h.as("radia")
	p, _ = radia.get(PathUsers)
	want(t, p, "Ada Lovelace")
	wantNot(t, p, `name="id"`, "guards answering")
	p, _ = radia.get(UserPath(h.ids["ada"].String()))
	want(t, p, "To read receipts you need", "To revoke sessions")
	// Nobody resets their own password here.
	p, _ = grace.get(UserPath(h.ids["grace"].String()))
	want(t, p, "Nobody resets their own password")
	wantNot(t, p, "Nobody holds such a role")
}

func TestDisableEnableAndReset(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.as("ada")
	joan := h.as("joan")
	id := h.ids["ada"].String()
	to := joan.post(VerbPath(id, DisableAccount), url.Values{"reason": {"left"}}).to
	p, _ := joan.get(to)
	want(t, p, "Over since", "Account disabled at", "Enable account", "account is disabled")
	to = joan.post(VerbPath(id, DisableAccount), url.Values{}).to
	p, _ = joan.get(to)
	want(t, p, "was disabled already")
	to = joan.post(VerbPath(id, EnableAccount), url.Values{}).to
	p, _ = joan.get(to)
	want(t, p, "The account is enabled", "Disable account")
	p, _ = joan.get(UserPath(id) + "?done=disabled") // the page says what is, not what the address says
	wantNot(t, p, "disabled already")

	p, d := joan.check(joan.do(http.MethodPost, VerbPath(id, ResetPassword), url.Values{"reason": {"forgotten"}}), http.StatusOK, "reset")
	want(t, p, "Shown once, now", "ended with the old password at")
	var next string
	for _, e := range d.Elements {
		if e.Attr["id"] == "secret" {
			next = e.Text
		}
	}
	if signed, _, err := signInWith(h, "ada", password); err == nil || signed {
		t.Error("the old password still works")
	}
	if _, must, err := signInWith(h, "ada", next); err != nil || !must {
		t.Errorf("the temporary password must be changed at once: %v %v", must, err)
	}
	p, _ = joan.get(PathUsers + "?q=ada")
	want(t, p, "New password due")

	// Widened: one act, which is the disabling.
	to = joan.post(VerbPath(h.ids["adele"].String(), RevokeSessions), url.Values{"widen": {"1"}, "reason": {"left"}}).to
	p, _ = joan.get(to)
	want(t, p, "Account disabled at", "Enable account")
}

func TestOneSessionAndOneGrant(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	first, second := h.as("ada"), h.as("ada")
	h.open("ada", first.live.Session.ID)
	grace := h.as("grace")
	id := h.ids["ada"].String()
	_, d := grace.get(UserPath(id))
	var ends []string
	for _, a := range d.All("a") {
		if strings.HasPrefix(a.Attr["href"], UserPath(id)+"/sessions/") || strings.HasPrefix(a.Attr["href"], UserPath(id)+"/grants/") {
			ends = append(ends, a.Attr["href"])
		}
	}
	if len(ends) != 4 {
		t.Fatalf("links to end: %v", ends)
	}
	path := sessionPath(id, second.live.Session.ID.String())
	p, _ := grace.get(path)
	want(t, p, "End the session in Firefox", "from 192.0.2.14", "ends at once")
	// Somebody else's session does not answer to this address.
	h.as("adele")
	other := sessionPath(h.ids["adele"].String(), second.live.Session.ID.String())
	if p := grace.do(http.MethodPost, other, url.Values{}); p.to != UserPath(h.ids["adele"].String())+"?done=already" {
		t.Errorf("%d to %q", p.status, p.to)
	}
	p, _ = grace.get(grace.post(path, url.Values{"reason": {"strange"}}).to)
	want(t, p, "Session ended at", "strange")
	p, _ = grace.get(grace.post(path, url.Values{}).to)
	want(t, p, "That was over already")
	grants := slices.DeleteFunc(ends, func(s string) bool { return !strings.Contains(s, "/grants/") })
	p, _ = grace.get(grants[0])
	want(t, p, "Revoke the grant of", "stay as they are")
	p, _ = grace.get(grace.post(grants[0], url.Values{}).to)
	want(t, p, "Grant revoked at")
	if p := first.do(http.MethodGet, "/", nil); p.to != PathAccount {
		t.Errorf("the other session ended, too: %q", p.to)
	}
}

func TestSeveralAtOnceSomeRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ada := h.as("ada")
	h.open("ada", ada.live.Session.ID)
	joan := h.as("joan")
	ids := []string{h.ids["ada"].String(), h.ids["anita"].String(), h.ids["adele"].String(), h.ids["joan"].String(), h.ids["radia"].String()}
	p, d := joan.check(joan.do(http.MethodPost, PathBulk, url.Values{"verb": {"revoke"}, "id": ids}), http.StatusOK, "bulk")
	want(t, p, "Revoke the sessions of 4 users?", "2 browser sessions and 2 grants", "1 user is left out", "Anita Borg: holds Global Administrator")
	form := url.Values{"reason": {"leak"}}
	for _, e := range d.All("input") {
		if e.Attr["type"] == "hidden" {
			form.Add(e.Attr["name"], e.Attr["value"])
		}
	}
	without := url.Values{"verb": form["verb"], "id": form["id"]}
	p, _ = joan.check(joan.do(http.MethodPost, pathBulkNow, without), http.StatusUnprocessableEntity, "no reason")
	want(t, p, "Give a reason", "Error: nothing was done")
	p, _ = joan.check(joan.do(http.MethodPost, pathBulkNow, form), http.StatusOK, "bulk now")
	want(t, p, "4 revoked, 1 refused, 0 failed", "Anita Borg holds Global Administrator", "Not over: ", "Legacy until")
	if x := joan.do(http.MethodGet, PathUsers, nil); !strings.HasPrefix(x.to, "/signin") {
		t.Errorf("joan was among them, last of all, and is still signed in: %d", x.status)
	}
	grace := h.as("grace")
	p, _ = grace.check(grace.do(http.MethodPost, PathBulk, url.Values{"verb": {"disable"}}), http.StatusForbidden, "nobody selected")
	want(t, p, "Nobody is selected")
	for name, form := range map[string]url.Values{"verb": {"verb": {"dance"}, "id": ids}, "reset": {"verb": {"reset-password"}, "id": ids}, "many": {"verb": {"revoke"}, "id": slices.Repeat(ids, 30)}} {
		if p := grace.do(http.MethodPost, PathBulk, form); p.status != http.StatusBadRequest {
			t.Errorf("%s: %d", name, p.status)
		}
	}
	joan = h.as("joan")
	p, _ = joan.check(joan.do(http.MethodPost, PathBulk, url.Values{"verb": {"disable"}, "id": {ids[1]}}), http.StatusForbidden, "all refused")
	want(t, p, "Privileged Authentication Administrator")
}

func TestRevokeEveryoneButOneself(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ada, grace := h.as("ada"), h.as("grace")
	other := h.as("grace")
	for name, form := range map[string]url.Values{"Give a reason": {"domain": {"contoso.example"}}, "This is not contoso.example": {"reason": {"breach"}, "domain": {"contoso"}}} {
		p, _ := grace.check(grace.do(http.MethodPost, PathRevokeAll, form), http.StatusUnprocessableEntity, name)
		want(t, p, name, `aria-invalid="true"`)
	}
	form := url.Values{"reason": {"breach"}, "domain": {" Contoso.Example "}}
	h.move(11 * time.Minute)
	again := "/signin?prompt=login&next=" + url.QueryEscape(PathRevokeAll)
	if p := grace.do(http.MethodGet, PathRevokeAll, nil); p.to != again {
		t.Errorf("an old proof: %d to %q", p.status, p.to)
	}
	if p := grace.do(http.MethodPost, PathRevokeAll, form); p.to != again {
		t.Errorf("an old proof: %d to %q", p.status, p.to)
	}
	if p := ada.do(http.MethodGet, "/", nil); p.to != PathAccount {
		t.Errorf("ada was cut before anybody proved anything: %q", p.to)
	}
	grace = h.as("grace")
	p := grace.post(PathRevokeAll, form)
	if len(p.cookie) != 1 || p.cookie[0].Name != "curfew" || !p.cookie[0].HttpOnly || p.cookie[0].SameSite != http.SameSiteLaxMode {
		t.Fatalf("cookies %v", p.cookie)
	}
	if x := grace.do(http.MethodGet, PathUsers, nil); !strings.HasPrefix(x.to, "/signin") {
		t.Error("the old cookie still works")
	}
	grace.cookie = p.cookie[0].Value
	r, _ := grace.get(p.to)
	want(t, r, "Everyone&#39;s sessions revoked", "breach")
	for name, b := range map[string]*browser{"ada": ada, "grace elsewhere": other} {
		if x := b.do(http.MethodGet, "/", nil); !strings.HasPrefix(x.to, "/signin") {
			t.Errorf("%s is still signed in", name)
		}
	}
}

func TestRevokeApplication(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	grace := h.as("grace")
	path := AppVerbPath("reports", RevokeApp)
	p, _ := grace.check(grace.do(http.MethodPost, path, url.Values{}), http.StatusUnprocessableEntity, path)
	want(t, p, "Give a reason")
	p, _ = grace.get(grace.post(path, url.Values{"reason": {"leaked secret"}}).to)
	want(t, p, "Grants revoked", "leaked secret", "Legacy")
}

func TestFormsThatComeBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	grace := h.as("grace")
	path := VerbPath(h.ids["ada"].String(), RevokeSessions)
	p, _ := grace.check(grace.do(http.MethodPost, path, url.Values{"reason": {strings.Repeat("é", 251)}, "widen": {"1"}}), http.StatusUnprocessableEntity, path)
	want(t, p, "at most 500 characters", "<title>Error: ", " checked")
	for name, form := range map[string]url.Values{"twice": {"reason": {"a", "b"}}, "nul": {"reason": {"a\x00"}}, "bytes": {"reason": {"\xff"}}} {
		if p := grace.do(http.MethodPost, path, form); p.status != http.StatusBadRequest {
			t.Errorf("%s: %d", name, p.status)
		}
	}
	if p := grace.do(http.MethodPost, path, nil); p.status != http.StatusBadRequest {
		t.Errorf("no form: %d", p.status)
	}
	if p, _ := grace.get(PathReceipts); !strings.Contains(p.body, "No receipts yet") {
		t.Error("a form that came back did something")
	}
	// Written while the actor is cut: to sign in, nothing done.
	h.update(func(tx *store.Tx) error {
		_, _, err := tx.RevokeUser(h.ids["grace"], directory.SessionID{}, [32]byte{})
		return err
	})
	if p := grace.do(http.MethodPost, path, url.Values{}); p.to != "/signin?next="+url.QueryEscape(path) {
		t.Errorf("a cut actor: %d to %q", p.status, p.to)
	}
}

func signInWith(h *house, name, password string) (signed, mustChange bool, err error) {
	s, m, err := h.signin.Password(h.t.Context(), attempt(name, password))
	return s != nil, m != nil, err
}

// TestNoRealPageIsWiderThanItsWindow looks at pages as a directory in use makes
// them; TestNoPageIsWiderThanItsWindow has every page in every state.
func TestNoRealPageIsWiderThanItsWindow(t *testing.T) {
	h := newHouse(t)
	h.crowd(300)
	var guards []*process
	for _, name := range []string{"mail-1", "mail-2", "mail-3", "drive-1", "drive-2", "drive-3"} {
		guards = append(guards, h.register(name, "api://"+strings.TrimRight(name, "-123")))
	}
	ada := h.as("ada")
	h.open("ada", ada.live.Session.ID)
	h.as("ada")
	h.as("adele")
	grace, joan := h.as("grace"), h.as("joan")
	id := h.ids["ada"].String()
	shots := map[string][]byte{}
	take := func(name string, b *browser, path string) {
		shots["real-"+name] = []byte(b.do(http.MethodGet, path, nil).body)
	}
	ask := func(n int) {
		for _, g := range guards[:n] {
			g.ask()
			g.ask()
		}
	}
	ask(6)
	take("overview", grace, PathOverview)
	take("users", grace, PathUsers)
	take("users-search", joan, PathUsers+"?q=ad")
	take("user", grace, UserPath(id))
	take("user-groups", grace, UserPath(h.ids["joan"].String())+"?tab=groups")
	take("refused", joan, UserPath(h.ids["anita"].String()))
	take("refused-page", joan, PathAudit)
	take("confirm", grace, VerbPath(id, RevokeSessions))
	take("confirm-all", grace, PathRevokeAll)
	take("confirm-app", grace, AppVerbPath("reports", RevokeApp))
	take("no-role", h.as("mallory"), PathUsers)
	bulk := joan.do(http.MethodPost, PathBulk, url.Values{"verb": {"revoke"}, "id": {id, h.ids["anita"].String(), h.ids["adele"].String()}})
	shots["real-bulk"] = []byte(bulk.body)
	h.move(7 * time.Second) // drive-3 falls silent
	ask(5)
	grace.do(http.MethodGet, PathOverview, nil)
	to := grace.post(VerbPath(id, RevokeSessions), url.Values{"reason": {"Laptop lost on the train, INC-4711"}}).to
	take("receipt-first", grace, to)
	ask(5)
	take("receipt", grace, to)
	take("receipts", grace, PathReceipts)
	take("receipt-page", grace, ReceiptPath(receiptOf(t, to)))
	take("guards", grace, PathGuards)
	take("resources", grace, PathResources)
	take("applications", grace, PathApplications)
	take("audit", grace, PathAudit)
	webkittest.Fits(t, shots)
}
