package signins_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/review"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store/journal"
	graphsignins "github.com/curfew-id/curfew/internal/web/graph/signins"
	"github.com/curfew-id/curfew/internal/web/portal"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/portaltest"
	"github.com/curfew-id/curfew/internal/web/portal/signins"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

type house struct {
	*portaltest.House
	journal *journal.Journal
	server  *signins.Server
	n       int
}

func newHouse(t testing.TB) *house {
	h := new(house)
	var err error
	if h.journal, err = journal.Open(t.Context(), journal.Config{URL: filepath.Join(t.TempDir(), "signins.db"), Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.journal.Close() })
	h.House = portaltest.New(t, func(x *portaltest.House, mux *http.ServeMux) {
		h.server = &signins.Server{Desk: x.Desk, Review: &review.Service{DB: x.DB, Journal: h.journal}, File: graphsignins.Stream}
		h.server.Register(mux)
		(&portal.Server{Desk: x.Desk, Revoke: x.Revoke, Tabs: []desk.UserTab{h.server.Tab()}}).Register(mux)
	})
	return h
}

// add writes a sign-in down, one minute before the last.
func (h *house) add(name string, change func(*journal.Entry)) journal.ID {
	h.T.Helper()
	h.n++
	e := &journal.Entry{At: h.Time().Add(-time.Duration(h.n) * time.Minute), Kind: journal.Interactive, Flow: "password", User: h.IDs[name], UserName: name + "@contoso.example", Display: strings.ToUpper(name[:1]) + name[1:], App: "mail-windows", AppName: "Mail for Windows",
		Resource: "api://mail", ResourceName: "Mail", IP: "192.0.2.14", Country: "FI", City: "Helsinki", Program: policy.Browser, Agent: "Firefox on Linux", Methods: []string{"pwd", "otp"}, Request: "req-1"}
	if change != nil {
		change(e)
	}
	h.journal.Add(e)
	if err := h.journal.Flush(h.T.Context()); err != nil {
		h.T.Fatal(err)
	}
	return e.ID
}

// judged is a sign-in as real policies judge it: one blocks, one does not apply, one
// only reports.
func (h *house) judged(e *journal.Entry) {
	everyone, all := policy.Who{All: true}, policy.Apps{All: true}
	set, err := policy.Compile([]policy.Policy{
		{ID: "11111111-1111-1111-1111-111111111111", Name: "Elsewhere", State: policy.On, Include: everyone, Apps: policy.Apps{Include: []string{"reports"}}, Clients: policy.AllClients, Grant: &policy.Grant{Controls: policy.NeedMFA}},
		{ID: "22222222-2222-2222-2222-222222222222", Name: "Only the office", State: policy.On, Include: everyone, Apps: all, Clients: policy.AllClients, Grant: &policy.Grant{Block: true}},
		{ID: "33333333-3333-3333-3333-333333333333", Name: "Trial", State: policy.ReportOnly, Include: everyone, Apps: all, Clients: policy.AllClients, Grant: &policy.Grant{Controls: policy.NeedMFA}, Session: &policy.Session{Frequency: &policy.Frequency{Life: 4 * time.Hour}}},
	}, policy.World{})
	if err != nil {
		h.T.Fatal(err)
	}
	f := &policy.Facts{Now: h.Time(), User: e.User, Client: e.App, Program: policy.Browser, Methods: policy.Password.Set(), AuthTime: h.Time(), Flow: policy.NoFlow}
	v := set.Decide(f)
	e.Error, e.Reason, e.Applied = 53003, "A policy blocks access.", h.journal.Judged(set, f, &v)
}

func TestSignInsAreFilteredAndOneSaysWhatEachPolicyDid(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	grace := h.As("grace")
	p, _ := grace.Get(desk.PathSignIns)
	portaltest.Want(t, p, "No sign-ins yet.")
	h.add("ada", nil)
	id := h.add("mallory", h.judged)
	h.add("adele", func(e *journal.Entry) {
		e.Kind, e.Flow, e.App, e.AppName, e.IP = journal.Silent, "refresh", "reports", "Reports", "2001:db8::7"
	})
	h.add("alan", func(e *journal.Entry) { e.At = h.Time().Add(-3 * 24 * time.Hour); e.User = directory.UserID{} })
	for q, x := range map[string]struct{ in, out []string }{
		"":                      {[]string{"Ada", "Mallory", "Adele", "Alan", "A policy blocks access.", "Refused or asked", "Helsinki, FI"}, nil},
		"q=ada@contoso.example": {[]string{"Ada"}, []string{"Mallory", "Adele"}},
		"q=2001:db8::7":         {[]string{"Adele"}, []string{"Mallory", ">Ada<"}},
		"result=failure":        {[]string{"Mallory"}, []string{"Adele", ">Ada<"}},
		"result=success":        {[]string{"Adele"}, []string{"Mallory"}},
		"kind=silent":           {[]string{"Adele"}, []string{"Mallory"}},
		"access=failed":         {[]string{"Mallory"}, []string{"Adele"}},
		"app=reports":           {[]string{"Adele"}, []string{"Mallory"}},
		"time=24h":              {[]string{"Ada", "Mallory"}, []string{"Alan"}},
		"time=7d&kind=interactive&result=success": {[]string{"Ada", "Alan"}, []string{"Mallory", "Adele"}},
		"q=nobody@x": {[]string{"Nothing matches"}, []string{"Mallory"}},
	} {
		p, _ := grace.Get(desk.PathSignIns + "?" + q)
		body := p
		if i := strings.Index(p.Body, `id="results"`); i > 0 {
			body.Body = p.Body[i:]
		}
		portaltest.Want(t, body, x.in...)
		portaltest.WantNot(t, body, x.out...)
		// The file holds what the page shows.
		f := grace.Do(http.MethodGet, desk.PathSignIns+"/export/jsonl?"+q, nil)
		if n, m := strings.Count(f.Body, "\n"), strings.Count(body.Body, `href="`+desk.PathSignIns+"/"); f.Status != http.StatusOK || n != m || !strings.HasPrefix(f.Header.Get("Content-Disposition"), "attachment") || f.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%q: %d in the file, %d on the page, %d", q, n, m, f.Status)
		}
		portaltest.Want(t, p, strings.ReplaceAll("/export/csv"+map[bool]string{true: "?"}[q != ""], "&", "&amp;"))
	}
	p, _ = grace.Get(desk.PathSignIns + "/" + id.String())
	portaltest.Want(t, p, "AADSTS53003", "A policy blocks access.", "Mallory", "Mail for Windows", "Password", "Code of an authenticator app", "192.0.2.14", "Helsinki, FI", "Only the office", "Refused, or asked for more", "Would ask for more", "Did not apply", "sign in again after 4 h", desk.PolicyPath("22222222-2222-2222-2222-222222222222"))
	if i, j := strings.Index(p.Body, "Only the office"), strings.Index(p.Body, "Elsewhere"); i > j {
		t.Error("what did not apply stands first")
	}
	for _, path := range []string{desk.PathSignIns + "/x", desk.PathSignIns + "/" + directory.NewID[journal.Entry](h.Time()).String(), desk.PathSignIns + "/export/xml"} {
		if p := grace.Do(http.MethodGet, path, nil); p.Status != http.StatusNotFound {
			t.Errorf("%s: %d", path, p.Status)
		}
	}
	if p := grace.Do(http.MethodGet, desk.PathSignIns+"?before=x", nil); p.Status != http.StatusBadRequest {
		t.Errorf("a page that is none: %d", p.Status)
	}
}

func TestPagesOfSignInsHaveEachOnceAndTheProfileOnlyItsOwn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for i := range 120 {
		h.add([]string{"ada", "adele"}[i%2], func(e *journal.Entry) { e.Request = fmt.Sprint("r", i) })
	}
	grace := h.As("grace")
	for start, want := range map[string]int{desk.PathSignIns: 120, desk.UserPath(h.IDs["ada"].String()) + "?tab=sign-ins": 60} {
		seen, path := map[string]bool{}, start
		for n := 0; path != "" && n < 10; n++ {
			_, d := grace.Get(path)
			path = ""
			for _, a := range d.All("a") {
				if id, ok := strings.CutPrefix(a.Attr["href"], desk.PathSignIns+"/"); ok && !strings.HasPrefix(id, "export") {
					if seen[id] {
						t.Errorf("%s twice", id)
					}
					seen[id] = true
				}
				if a.Attr["rel"] == "next" {
					path = a.Attr["href"]
				}
			}
		}
		if len(seen) != want {
			t.Errorf("%s: %d seen, want %d", start, len(seen), want)
		}
	}
}

func TestWhoMayReadSignIns(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.add("ada", nil)
	h.Person("uma", "Uma", role.UserAdministrator)
	h.Person("rita", "Rita", role.ReportsReader)
	own := h.add("uma", nil)
	uma, rita, mallory := h.As("uma"), h.As("rita"), h.As("mallory")
	ada := desk.UserPath(h.IDs["ada"].String()) + "?tab=sign-ins"
	for _, path := range []string{desk.PathSignIns, desk.PathSignIns + "/" + id.String(), desk.PathSignIns + "/export/csv"} {
		if p := rita.Do(http.MethodGet, path, nil); p.Status != http.StatusOK {
			t.Errorf("rita %s: %d", path, p.Status)
		}
		for _, b := range []*portaltest.Browser{uma, mallory} {
			if p := b.Do(http.MethodGet, path, nil); p.Status != http.StatusForbidden && p.Status != http.StatusNotFound || strings.Contains(p.Body, "192.0.2.14") {
				t.Errorf("%s: %d", path, p.Status)
			}
		}
	}
	p, _ := uma.Get(ada)
	portaltest.WantNot(t, p, "192.0.2.14")
	portaltest.Want(t, p, "To read sign-ins you need")
	p, _ = uma.Get(desk.UserPath(h.IDs["uma"].String()) + "?tab=sign-ins")
	portaltest.Want(t, p, "192.0.2.14", own.String())
}

func TestPagesOfSignIns(t *testing.T) {
	h := newHouse(t)
	grace := h.As("grace")
	pages := map[string][]byte{}
	take := func(name string, b *portaltest.Browser, path string) {
		t.Helper()
		p := b.Do(http.MethodGet, path, nil)
		webkittest.Check(t, []byte(p.Body))
		pages[name] = []byte(p.Body)
	}
	take("sign-ins-empty", grace, desk.PathSignIns)
	take("sign-ins-none", grace, desk.PathSignIns+"?result=failure")
	h.add("ada", nil)
	take("sign-ins-one", grace, desk.PathSignIns)
	id := h.add("mallory", h.judged)
	long := h.add("adele", func(e *journal.Entry) {
		e.Display, e.UserName = "Anne-Sophie Maximiliane von Hohenlohe-Langenburg-Schillingsfürst", "anne-sophie.hohenlohe-langenburg-schillingsfuerst@contoso.example"
		e.AppName, e.IP, e.Agent = "Donaudampfschifffahrtsgesellschaftskapitänsanwendung", "2001:db8:1234:5678:9abc:def0:1234:5678", strings.Repeat("Mozilla/5.0 ", 12)
		e.Token, e.SignInRisk, e.Compliant, e.Device = strings.Repeat("x", 43), policy.HighRisk, policy.No, directory.NewID[directory.Device](h.Time())
	})
	h.journal.Add(&journal.Entry{Kind: journal.Gap, Missing: 1234})
	for range 60 {
		h.add("ada", func(e *journal.Entry) {
			e.Kind, e.Flow = journal.Silent, "refresh"
		})
	}
	take("sign-ins", grace, desk.PathSignIns)
	take("sign-ins-filtered", grace, desk.PathSignIns+"?"+url.Values{"result": {"failure"}, "time": {"24h"}, "app": {"mail-windows"}, "q": {"mallory@contoso.example"}}.Encode())
	take("sign-in", grace, desk.PathSignIns+"/"+id.String())
	take("sign-in-long", grace, desk.PathSignIns+"/"+long.String())
	take("user-sign-ins", grace, desk.UserPath(h.IDs["ada"].String())+"?tab=sign-ins")
	h.Person("uma", "Uma Karuna", role.UserAdministrator)
	take("sign-ins-refused", h.As("uma"), desk.PathSignIns)
	take("user-sign-ins-refused", h.As("uma"), desk.UserPath(h.IDs["ada"].String())+"?tab=sign-ins")
	webkittest.Fits(t, pages)
}
