package portal

import (
	"crypto/sha256"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/portaltest"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

// stored is an application as the store has it, with hashes.
func (h *house) stored(id directory.AppID) (a directory.App) {
	h.T.Helper()
	h.Update(func(tx *store.Tx) error {
		x, err := tx.App(id)
		if err == nil {
			a = *x
		}
		return err
	})
	return a
}

var area = regexp.MustCompile(`(?s)<textarea id="f-[a-z_]+" name="([a-z_]+)"[^>]*>(.*?)</textarea>`)

// typed are the fields of the form on a page, as a browser without scripts would
// send them.
func typed(t testing.TB, p portaltest.Page) url.Values {
	t.Helper()
	f := url.Values{}
	for _, e := range webkittest.Parse(t, []byte(p.Body)).All("input") {
		kind := e.Attr["type"]
		if e.Attr["name"] != "" && kind != "search" && (kind != "checkbox" && kind != "radio" || e.Has("checked")) {
			f.Add(e.Attr["name"], e.Attr["value"])
		}
	}
	for _, m := range area.FindAllStringSubmatch(p.Body, -1) {
		f.Add(m[1], strings.ReplaceAll(html.UnescapeString(m[2]), "\n", "\r\n"))
	}
	return f
}

func TestApplicationIsRegisteredAndChangedByForms(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mailWeb()
	grace := h.As("grace")
	f := typed(t, first(grace.Get(desk.PathNewApp)))
	for k, v := range map[string]string{"client_id": "board", "name": "Tripboard", "redirects": "https://board.example/cb\r\n\r\n https://board.example/cb2 ", "refresh": "bound", "absolute": "12 hours", "par": "1", "alg": "EdDSA", "device_code": "1",
		"keys": `{"keys":[ {"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"} ]}`, "back_uri": "https://board.example/bye", "minutes": "20"} {
		f.Set(k, v)
	}
	if to := grace.Post(desk.PathNewApp, f).To; to != desk.AppPath("board")+"?done=created" {
		t.Fatalf("created: %q", to)
	}
	a := h.stored("board")
	if a.Name != "Tripboard" || !slices.Equal(a.RedirectURIs, []string{"https://board.example/cb", "https://board.example/cb2"}) || a.Refresh != directory.RefreshBound || a.GrantAbsolute != 12*time.Hour ||
		!a.RequirePAR || a.RequireDPoP || a.SigningAlg != directory.EdDSA || len(a.Keys) != 1 || a.BackChannelLogoutURI != "https://board.example/bye" || a.AccessTokenMinutes != 20 || !a.DeviceCode {
		t.Errorf("%+v", a)
	}
	p, _ := grace.Get(desk.AppPath("board") + "?done=created")
	portaltest.Want(t, p, "The application was registered", "Bound: one refresh token", "12 hours after the sign-in", "EdDSA", "Must be pushed (PAR)", "https://board.example/bye", "20 minutes", "By 1 key")

	// A form that nobody touched changes nothing, whatever was registered how.
	const odd = "https://odd.example/a/..?x=%2F&y=1;z"
	if _, _, err := h.server.Manage.CreateApp(t.Context(), operator, manage.NewApp{ID: odd, AppPatch: manage.AppPatch{Name: ptr("Odd"), Protocol: manage.Protocol{SigningAlg: ptr(directory.ES256), Refresh: ptr(directory.RefreshRotate)}}}, manage.Act{}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []directory.AppID{"board", "mail-web", "mail-windows", "guards", odd} {
		for _, verb := range []desk.Verb{EditApp, EditRights} {
			before := h.stored(id)
			path := AppVerbPath(string(id), verb)
			grace.Post(path, typed(t, first(grace.Get(path))))
			if after := h.stored(id); after.Version != before.Version {
				t.Errorf("%s: an untouched form changed it:\n%+v\n%+v", path, before, after)
			}
		}
	}
	// The last of two who edit at once is told, and loses nothing of what was typed.
	path := AppVerbPath("board", EditApp)
	mine := typed(t, first(grace.Get(path)))
	hers := typed(t, first(grace.Get(path)))
	mine.Set("absolute", "30 days")
	mine.Set("refresh", "strict")
	mine.Del("par")
	if to := grace.Post(path, mine).To; to != desk.AppPath("board")+"?done=saved" {
		t.Errorf("saved: %q", to)
	}
	if a := h.stored("board"); a.GrantAbsolute != 30*24*time.Hour || a.Refresh != directory.RefreshStrict || a.RequirePAR {
		t.Errorf("%+v", a)
	}
	hers.Set("publisher", "Northwind")
	p, _ = grace.Check(grace.Do(http.MethodPost, path, hers), http.StatusConflict, path)
	portaltest.Want(t, p, "Somebody else changed this", `value="Northwind"`, `value="12 hours"`)
	again := typed(t, p)
	if to := grace.Post(path, again).To; to != desk.AppPath("board")+"?done=saved" || h.stored("board").Publisher != "Northwind" {
		t.Errorf("saved again: %q", to)
	}
	// Mistakes stand beside their fields, and in a summary above.
	p, d := grace.Check(grace.Do(http.MethodPost, desk.PathNewApp, url.Values{"name": {" "}, "spa": {"https://x.example/"}, "absolute": {"soon"}, "minutes": {"5"}, "redirects": {"https://x.example/#f"}, "keys": {"{"}, "refresh": {"rotate"}, "alg": {"ES256"}, "public": {"no"}}), http.StatusUnprocessableEntity, desk.PathNewApp)
	for _, name := range []string{"name", "spa", "absolute", "minutes", "redirects", "keys"} {
		portaltest.Want(t, p, `href="#f-`+name+`"`, `id="e-`+name+`"`)
	}
	if title := d.All("title")[0].Text; !strings.HasPrefix(title, "Error: ") {
		t.Errorf("title %q", title)
	}
	// A form without a version, or with none that there is, changes nothing.
	for _, v := range []string{"", "0", "-1", "x"} {
		f := typed(t, first(grace.Get(path)))
		f.Set("version", v)
		if p := grace.Do(http.MethodPost, path, f); p.Status != http.StatusConflict {
			t.Errorf("version %q: %d", v, p.Status)
		}
	}
	// What only the verb knows stands above.
	p, _ = grace.Check(grace.Do(http.MethodPost, desk.PathNewApp, url.Values{"client_id": {"board"}, "name": {"Board"}, "refresh": {"rotate"}, "alg": {"ES256"}, "public": {"no"}}), http.StatusConflict, desk.PathNewApp)
	portaltest.Want(t, p, "already", `value="Board"`)
	// Taking a permission away ends what was handed out, with a receipt.
	path = AppVerbPath("mail-web", EditRights)
	f = typed(t, first(grace.Get(path)))
	f.Set("permissions", "api://mail Mail.Read")
	f.Set("reason", "no more sending")
	to := grace.Post(path, f).To
	p, _ = grace.Get(to)
	portaltest.Want(t, p, "Permission removed", "no more sending")
	if a := h.stored("mail-web"); len(a.Permissions[0].Scopes) != 1 || len(a.AppPermissions) != 1 || len(a.Guards) != 1 {
		t.Errorf("%+v", a)
	}
	f.Set("permissions", "api://mail Mail.Dance")
	f.Set("version", "3")
	if p := grace.Do(http.MethodPost, path, f); p.Status != http.StatusConflict {
		t.Errorf("an old form: %d", p.Status)
	}
	f = typed(t, first(grace.Get(path)))
	f.Set("permissions", "api://mail Mail.Dance")
	p, _ = grace.Check(grace.Do(http.MethodPost, path, f), http.StatusNotFound, path)
	portaltest.Want(t, p, "Mail.Dance")
}

func first(p portaltest.Page, _ webkittest.Doc) portaltest.Page { return p }

var secretText = regexp.MustCompile(`cfs_[A-Za-z0-9]{40}`)

func TestSecretsAreShownOnceAndRotated(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mailWeb()
	h.Register("mail-1", "api://mail")
	grace := h.As("grace")
	shown := func(path string, f url.Values) string {
		t.Helper()
		p, _ := grace.Check(grace.Do(http.MethodPost, path, f), http.StatusOK, path)
		s := secretText.FindString(p.Body)
		if s == "" || p.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("no secret, or one that is kept:\n%.800s", p.Body)
		}
		portaltest.Want(t, p, "Shown once")
		if n := len(secretText.FindAllString(p.Body, -1)); n != 1 {
			t.Errorf("shown %d times", n)
		}
		sum := sha256.Sum256([]byte(s))
		a := h.stored("mail-web")
		if last := a.Secrets[len(a.Secrets)-1]; string(last.Hash) != string(sum[:]) {
			t.Error("what is shown is not what is stored")
		}
		for _, tab := range appTabs {
			if q, _ := grace.Get(appTabPath("mail-web", tab.word)); strings.Contains(q.Body, s) {
				t.Errorf("%s shows it again", tab.word)
			}
		}
		return s
	}
	shown(AppVerbPath("mail-web", AddSecret), url.Values{"life": {"90 days"}, "reason": {"new server"}})
	a := h.stored("mail-web")
	if n := len(a.Secrets); n != 3 || a.Secrets[2].Expires.Sub(h.Time()).Round(24*time.Hour) != 90*24*time.Hour {
		t.Errorf("%+v", a.Secrets)
	}
	head := h.Head()
	shown(AppVerbPath("mail-web", RotateSecrets), url.Values{"overlap": {"1 day"}, "life": {""}})
	if a = h.stored("mail-web"); len(a.Secrets) != 4 || a.Secrets[0].Expires.Sub(h.Time()).Round(time.Hour) != 24*time.Hour || !a.Secrets[3].Expires.IsZero() {
		t.Errorf("%+v", a.Secrets)
	}
	for _, r := range h.receipts() {
		if r.Pos > head {
			t.Errorf("an overlap cut: %+v", r)
		}
	}
	p, _ := grace.Get(appPartPath("mail-web", RemoveSecret, a.Secrets[0].ID))
	portaltest.Want(t, p, "Remove the secret that begins with "+a.Secrets[0].Hint, "refused at once", "end within 10 s", "stay as they are")
	to := grace.Post(appPartPath("mail-web", RemoveSecret, a.Secrets[0].ID), url.Values{"reason": {"it leaked"}}).To
	p, _ = grace.Get(to)
	portaltest.Want(t, p, "Secret removed", "it leaked")
	p = grace.Do(http.MethodPost, AppVerbPath("mail-web", RotateSecrets), url.Values{"overlap": {"a while"}})
	p, _ = grace.Check(p, http.StatusUnprocessableEntity, "rotate")
	portaltest.Want(t, p, `id="e-overlap"`, `value="a while"`)
	shown(AppVerbPath("mail-web", RotateSecrets), url.Values{"overlap": {""}, "life": {"30 days"}})
	if a = h.stored("mail-web"); len(a.Secrets) != 1 {
		t.Errorf("%+v", a.Secrets)
	}
	p, _ = grace.Get(appPartPath("mail-web", RemoveSecret, a.Secrets[0].ID))
	portaltest.Want(t, p, "It is the last one", "wait for a new secret")
	if p := grace.Do(http.MethodGet, appPartPath("mail-web", RemoveSecret, "made-up"), nil); p.Status != http.StatusNotFound {
		t.Errorf("a secret that is gone: %d", p.Status)
	}
}

func (h *house) receipts() (all []*store.Receipt) {
	h.T.Helper()
	h.Update(func(tx *store.Tx) (err error) { all, err = tx.Receipts("", 0, 100); return err })
	return all
}

func TestVerbsOnAnApplication(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mailWeb()
	mail := h.Register("mail-1", "api://mail")
	session := h.As("adele").Live.Session.ID
	h.Open("adele", session)
	grace := h.As("grace")
	receipt := func(path string, says ...string) {
		t.Helper()
		p, _ := grace.Get(path)
		portaltest.Want(t, p, says...)
		to := grace.Post(path, url.Values{"reason": {"as decided"}}).To
		if !strings.HasPrefix(to, desk.PathReceipts+"/") {
			t.Fatalf("%s: to %q", path, to)
		}
		p, _ = grace.Get(to)
		portaltest.Want(t, p, "as decided", "by Grace Hopper")
		mail.Ask()
	}
	done := func(path string, f url.Values, says string) {
		t.Helper()
		p, _ := grace.Get(grace.Post(path, f).To)
		portaltest.Want(t, p, says)
	}
	if _, err := h.server.Manage.UpdateApp(t.Context(), operator, "mail-web", manage.AppPatch{Roles: &[]directory.AppRole{{ID: directory.NewID[directory.App](h.Time()).String(), Name: "Reader", Title: "Reader", Users: true}, {ID: directory.NewID[directory.App](h.Time()).String(), Name: "Robot", Title: "Robot", Apps: true}}}, manage.Act{}); err != nil {
		t.Fatal(err)
	}
	p, _ := grace.Get(appTabPath("mail-web", "assignments"))
	portaltest.Want(t, p, "Roles it knows", "Reader")
	portaltest.WantNot(t, p, "Robot")
	done(AppVerbPath("mail-web", AddOwner), url.Values{"who": {"joan@contoso.example"}}, "The owner was added")
	done(appPartPath("mail-web", RemoveOwner, h.IDs["joan"].String()), url.Values{}, "The owner was removed")
	done(AppVerbPath("mail-web", Assign), url.Values{"who": {h.IDs["joan"].String()}, "role": {"Reader"}}, "Reader")
	for who, says := range map[string]string{"": "Write who", "nobody@contoso.example": "There is nobody"} {
		p, _ := grace.Check(grace.Do(http.MethodPost, AppVerbPath("mail-web", Assign), url.Values{"who": {who}}), http.StatusUnprocessableEntity, "assign")
		portaltest.Want(t, p, says, `id="e-who"`)
	}
	receipt(AppVerbPath("mail-web", RequireAssignment), "Let only assigned people into Mail for the web?", "ends at once", "within 10 s")
	if !h.stored("mail-web").AssignmentRequired {
		t.Error("not required")
	}
	all, err := h.server.Manage.AppAssignments(t.Context(), operator, "mail-web")
	if err != nil || len(all) != 3 {
		t.Fatal(all, err)
	}
	receipt(appPartPath("mail-web", Unassign, all[2].ID.String()), "Take Mail for the web from joan@contoso.example?", "end at once")
	done(AppVerbPath("mail-web", LetEverybodyIn), url.Values{}, "Everybody is let in now")
	done(AppVerbPath("mail-web", ConsentForAll), url.Values{"permissions": {"api://mail Mail.Read Mail.Send"}}, "The consent holds for everybody")
	p, _ = grace.Check(grace.Do(http.MethodPost, AppVerbPath("mail-web", ConsentForAll), url.Values{"permissions": {"api://mail"}}), http.StatusUnprocessableEntity, "consent")
	portaltest.Want(t, p, `id="e-permissions"`)
	receipt(appPartPath("mail-web", WithdrawConsent, h.IDs["adele"].String()), "Withdraw the consent of Adele Goldberg to Mail for the web?", "Adele is asked again")
	receipt(appPartPath("mail-web", WithdrawConsent, registry.Everybody), "Withdraw the consent of everybody")
	p, _ = grace.Get(appTabPath("mail-web", "consent"))
	portaltest.Want(t, p, "Nobody consented yet")

	p, _ = grace.Get(appTabPath("reports", "grants"))
	portaltest.Want(t, p, "adele@contoso.example", "Drive and Legacy")
	receipt(AppVerbPath("reports", RevokeApp), "Every grant of Reports", "Access tokens in Legacy", "live up to")
	p, _ = grace.Get(appTabPath("reports", "grants"))
	portaltest.Want(t, p, "Nobody has let it in")
	// One grant, from the page of the application.
	p, d := grace.Get(appTabPath("mail-windows", "grants"))
	portaltest.Want(t, p, "adele@contoso.example", "1 live")
	var revoke string
	for _, a := range d.All("a") {
		if strings.HasPrefix(a.Text, "Revoke grant of adele") {
			revoke = a.Attr["href"]
		}
	}
	if to := grace.Post(revoke, url.Values{}).To; receiptOf(t, to) == "" {
		t.Error(to)
	}
	p = grace.Do(http.MethodPost, AppVerbPath("mail-ios", DisableApp), url.Values{"reason": {" "}})
	p, _ = grace.Check(p, http.StatusUnprocessableEntity, "disable")
	portaltest.Want(t, p, "Give a reason")
	receipt(AppVerbPath("mail-ios", DisableApp), "Disable Mail for iOS?")
	p, _ = grace.Get(desk.AppPath("mail-ios"))
	portaltest.Want(t, p, "Disabled", "Enable application")
	done(AppVerbPath("mail-ios", EnableApp), url.Values{}, "The application is enabled")
	p, _ = grace.Get(desk.PathApplications + "?q=IOS")
	portaltest.Want(t, p, "1 found", "mail-ios")
	receipt(AppVerbPath("mail-ios", DeleteApp), "Delete Mail for iOS?", "inherits nothing")
	if p := grace.Do(http.MethodGet, desk.AppPath("mail-ios"), nil); p.Status != http.StatusNotFound {
		t.Errorf("a deleted one: %d", p.Status)
	}
	p, _ = grace.Get(appTabPath("mail-web", "audit"))
	portaltest.Want(t, p, "as decided", "Added owner", `<a href="`+desk.AppPath("mail-web")+`">`)
	for _, path := range []string{desk.AppPath("mail-web") + "/dance", desk.AppPath("mail-web") + "/disable/x", desk.AppPath("mail-web") + "/remove-secret", desk.AppPath("mail-web") + "/withdraw/x", desk.AppPath("mail-web") + "/unassign/x", desk.AppPath("mail-web") + "/remove-owner/x"} {
		if p := grace.Do(http.MethodGet, path, nil); p.Status != http.StatusNotFound {
			t.Errorf("%s: %d", path, p.Status)
		}
	}
}

// Whatever a page offers, the verb judges: nobody does by its address what their
// role, or owning the application, does not allow.
func TestWhoMayDoWhatToAnApplication(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mailWeb()
	h.Person("uma", "Uma", role.ReportsReader)
	all, err := h.server.Manage.AppAssignments(t.Context(), operator, "mail-web")
	if err != nil {
		t.Fatal(err)
	}
	secret := h.stored("mail-web").Secrets[0].ID
	form := url.Values{"reason": {"I would like to"}, "who": {h.IDs["adele"].String()}, "life": {"1 day"}, "overlap": {"1 day"}, "permissions": {"api://mail Mail.Read"}, "name": {"Stolen"}, "redirects": {"https://mallory.example/"}, "refresh": {"rotate"}, "alg": {"ES256"}, "public": {"no"}}
	owners := []desk.Verb{AddSecret, RotateSecrets, RemoveSecret, AddOwner, RemoveOwner, RequireAssignment, LetEverybodyIn, Assign, Unassign, EditApp, EditRights}
	paths := map[string]desk.Verb{desk.PathNewApp: CreateApp, appPartPath("mail-web", RemoveSecret, secret): RemoveSecret, appPartPath("mail-web", RemoveOwner, h.IDs["ada"].String()): RemoveOwner,
		appPartPath("mail-web", Unassign, all[0].ID.String()): Unassign, appPartPath("mail-web", WithdrawConsent, registry.Everybody): WithdrawConsent, appPartPath("mail-web", WithdrawConsent, h.IDs["adele"].String()): WithdrawConsent}
	for _, x := range appActs {
		if !x.part {
			paths[AppVerbPath("mail-web", x.verb)] = x.verb
		}
	}
	if len(paths) != len(appActs)+2 {
		t.Fatalf("%d addresses for %d verbs", len(paths), len(appActs))
	}
	before, head := h.stored("mail-web"), h.Head()
	for _, who := range []string{"mallory", "uma"} { // nobody, and a role that only reads logs
		b := h.As(who)
		for path, verb := range paths {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				f := form
				if method == http.MethodGet {
					f = nil
				} else if verb == EditApp || verb == EditRights {
					f = url.Values{"version": {"2"}}
				}
				p, _ := b.Check(b.Do(method, path, f), http.StatusForbidden, path)
				if !strings.Contains(p.Body, "you need") || !strings.Contains(p.Body, "You hold") {
					t.Errorf("%s %s %s: no sentence", who, method, path)
				}
			}
		}
	}
	mallory := h.As("mallory")
	for _, tab := range appTabs {
		p, _ := mallory.Check(mallory.Do(http.MethodGet, appTabPath("mail-web", tab.word), nil), http.StatusForbidden, tab.word)
		portaltest.WantNot(t, p, "Mail for the web", "mail.contoso.example")
	}
	p, _ := mallory.Check(mallory.Do(http.MethodGet, desk.PathApplications, nil), http.StatusForbidden, desk.PathApplications)
	portaltest.Want(t, p, "To read applications you need", "You hold no role")
	portaltest.WantNot(t, p, "Mail for the web", "mail-web")
	if after := h.stored("mail-web"); after.Version != before.Version || h.Head() != head {
		t.Fatalf("somebody without a right changed it: %+v", after)
	}

	// Another site's form does nothing, whoever's browser sends it.
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.HTTP.URL+AppVerbPath("mail-web", AddSecret), strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.AddCookie(&http.Cookie{Name: webkit.SessionCookie(false), Value: h.As("grace").Cookie})
	if w, err := http.DefaultTransport.RoundTrip(r); err != nil || w.StatusCode != http.StatusForbidden || len(h.stored("mail-web").Secrets) != 2 {
		t.Errorf("from another site: %v %v", w, err)
	}

	// The owner, without a role: what owners may, and nothing else.
	ada := h.As("ada")
	if p := ada.Do(http.MethodGet, desk.PathOverview, nil); p.To != desk.PathApplications {
		t.Errorf("an owner's way in: %d %q", p.Status, p.To)
	}
	p, _ = ada.Get(desk.PathApplications)
	portaltest.Want(t, p, "1 found", "Mail for the web")
	portaltest.WantNot(t, p, "Reports")
	for _, tab := range appTabs {
		p, _ := ada.Get(appTabPath("mail-web", tab.word))
		portaltest.WantNot(t, p, "adele@contoso.example</a>")
		switch tab.word {
		case "grants":
			portaltest.Want(t, p, "To read receipts you need")
		case "audit":
			portaltest.Want(t, p, "To read the audit log you need")
		}
	}
	for path, verb := range paths {
		want := http.StatusForbidden
		if slices.Contains(owners, verb) {
			want = http.StatusOK
		}
		if p := ada.Do(http.MethodGet, path, nil); p.Status != want {
			t.Errorf("owner, %s: %d, want %d", path, p.Status, want)
		}
		if want == http.StatusForbidden {
			if p := ada.Do(http.MethodPost, path, form); p.Status != want {
				t.Errorf("owner, post %s: %d", path, p.Status)
			}
		}
	}
	if p := ada.Do(http.MethodGet, desk.AppPath("reports"), nil); p.Status != http.StatusForbidden {
		t.Errorf("another application: %d", p.Status)
	}
	if p := ada.Do(http.MethodGet, desk.PathUsers, nil); p.Status != http.StatusForbidden {
		t.Errorf("users: %d", p.Status)
	}
	if after := h.stored("mail-web"); after.Version != before.Version {
		t.Fatalf("a refused act changed it: %+v", after)
	}
	f := typed(t, first(ada.Get(AppVerbPath("mail-web", EditApp))))
	f.Set("name", "Ada's mail")
	ada.Post(AppVerbPath("mail-web", EditApp), f)
	p, _ = ada.Check(ada.Do(http.MethodPost, AppVerbPath("mail-web", AddSecret), url.Values{"life": {"1 day"}}), http.StatusOK, "secret")
	if !secretText.MatchString(p.Body) {
		t.Error("the owner is shown no secret")
	}
	ada.Post(AppVerbPath("mail-web", Assign), url.Values{"who": {"grace@contoso.example"}})
	p, _ = ada.Get(ada.Post(AppVerbPath("mail-web", RequireAssignment), url.Values{}).To)
	portaltest.Want(t, p, "What it ended has a receipt, which a role is needed to read")
	if a := h.stored("mail-web"); a.Name != "Ada's mail" || len(a.Secrets) != 3 || !a.AssignmentRequired {
		t.Errorf("%+v", a)
	}
	// What it holds as itself is not the owner's to give.
	path := AppVerbPath("mail-web", EditRights)
	f = typed(t, first(ada.Get(path)))
	f.Set("app_permissions", "")
	p, _ = ada.Check(ada.Do(http.MethodPost, path, f), http.StatusForbidden, path)
	portaltest.Want(t, p, "To change applications you need", "You hold no role")
	if len(h.stored("mail-web").AppPermissions) != 1 {
		t.Error("the owner took an application permission away")
	}
}

func TestConsentsAndAssignmentsOfAPerson(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mailWeb()
	grace, joan, radia := h.As("grace"), h.As("joan"), h.As("radia")
	tab := desk.UserPath(h.IDs["adele"].String()) + "?tab=applications"
	p, d := grace.Get(tab)
	portaltest.Want(t, p, "Mail for the web", "Mail.Read, Mail.Send", "Withdraw consent")
	var withdraw, unassign string
	for _, a := range d.All("a") {
		switch {
		case strings.HasPrefix(a.Text, "Withdraw consent to Mail"):
			withdraw = a.Attr["href"]
		case strings.HasPrefix(a.Text, "Take away Mail"):
			unassign = a.Attr["href"]
		}
	}
	p, _ = radia.Get(tab) // she may read, and no more
	portaltest.Want(t, p, "Mail for the web", `aria-disabled="true"`, "withdraw a consent")
	for _, path := range []string{withdraw, unassign} {
		for _, f := range []url.Values{nil, {"reason": {"x"}}} {
			method := http.MethodPost
			if f == nil {
				method = http.MethodGet
			}
			radia.Check(radia.Do(method, path, f), http.StatusForbidden, path)
		}
	}
	p, _ = joan.Get(joan.Post(withdraw, url.Values{"reason": {"she left the project"}}).To)
	portaltest.Want(t, p, "Consent withdrawn", "she left the project")
	grace.Post(unassign, url.Values{})
	p, _ = grace.Get(tab)
	portaltest.Want(t, p, "Assigned to nothing", "None. Applications for which")
}
