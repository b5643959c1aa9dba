package policies_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/govern"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/journal"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/policies"
	"github.com/curfew-id/curfew/internal/web/portal/portaltest"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

type house struct {
	*portaltest.House
	govern  *govern.Service
	server  *policies.Server
	journal *journal.Journal
}

func newHouse(t testing.TB) *house {
	h := new(house)
	var err error
	if h.journal, err = journal.Open(t.Context(), journal.Config{URL: filepath.Join(t.TempDir(), "signins.db"), Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.journal.Close() })
	h.House = portaltest.New(t, func(x *portaltest.House, mux *http.ServeMux) {
		h.govern = &govern.Service{DB: x.DB, Lifetimes: grant.DefaultLifetimes(), Journal: h.journal}
		h.server = &policies.Server{Desk: x.Desk, Govern: h.govern}
		h.server.Register(mux)
	})
	return h
}

var operator = directory.Actor{Operator: true}

const everyone = `"users":{"includeUsers":["All"]},"applications":{"includeApplications":["All"]},"clientAppTypes":["all"]`

func (h *house) create(k govern.Kind, doc string) string {
	h.T.Helper()
	d, _, err := h.govern.Create(h.T.Context(), operator, k, []byte(doc), govern.How{})
	if err != nil {
		h.T.Fatal(err)
	}
	return d.ID()
}

func (h *house) state(id string) policy.State {
	h.T.Helper()
	d, err := h.govern.Show(h.T.Context(), operator, govern.Policy, id)
	if err != nil {
		h.T.Fatal(err)
	}
	return d.Policy.State
}

// spare lets grace in whatever happens, so that policies can be turned on.
func (h *house) spare(name string) {
	h.T.Helper()
	if _, err := h.govern.Spare(h.T.Context(), operator, h.IDs[name], true, govern.How{}); err != nil {
		h.T.Fatal(err)
	}
}

// report writes down what the policies, as they are, did with sign-ins so many days
// ago: n that they let in, and m that they would have refused or asked.
func (h *house) report(ago, n, m int) {
	h.T.Helper()
	at := h.Time().AddDate(0, 0, -ago)
	var set *policy.Set
	h.Update(func(tx *store.Tx) (err error) { set, err = tx.Policies(); return err })
	for i := range n + m {
		f := &policy.Facts{Now: at, User: h.IDs["ada"], Client: "reports", Program: policy.Browser, Methods: policy.Password.Set(), AuthTime: at, Flow: policy.NoFlow}
		if i < n {
			f.Methods |= policy.SoftwareOTP.Set()
			f.SecondTime = at
		} else {
			f.Registered = policy.SoftwareOTP.Set()
		}
		v := set.Decide(f)
		h.journal.Add(&journal.Entry{At: at, Kind: journal.Interactive, User: h.IDs["ada"], App: "reports", Applied: h.journal.Judged(set, f, &v)})
	}
	if err := h.journal.Flush(h.T.Context()); err != nil {
		h.T.Fatal(err)
	}
}

func TestPolicyIsMadeFromATemplateAndTurnedOnWithWhatItDoes(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.Open("ada", h.As("ada").Live.Session.ID)
	grace := h.As("grace")
	p, _ := grace.Get(desk.PathPolicies)
	portaltest.Want(t, p, "No policies: everybody may come from everywhere.")
	p, _ = grace.Get(desk.PathNewPolicy)
	portaltest.Want(t, p, "Two factors for everyone", "only report, or switched off")
	path := desk.PathNewPolicy + "/two-factors"
	p, _ = grace.Get(path)
	portaltest.Want(t, p, "Report only", `value="Two factors for everyone"`)
	to := grace.Post(path, url.Values{"name": {"Two factors"}, "state": {"enabledForReportingButNotEnforced"}, "reason": {"audit 7"}}).To
	p, _ = grace.Get(to)
	portaltest.Want(t, p, "The policy was created", "Report only", "Everyone", "Every application", "Two factors", "Whatever the place")
	id := strings.TrimSuffix(strings.TrimPrefix(to, desk.PathPolicies+"/"), "?done=created")
	if h.state(id) != policy.ReportOnly {
		t.Fatal("it does not only report")
	}
	// Nobody has two factors, so nobody could get in: the button is refused.
	on := desk.PolicyPath(id) + "/turn-on"
	p, _ = grace.Check(grace.Do(http.MethodGet, on, nil), http.StatusForbidden, on)
	portaltest.Want(t, p, "no Global Administrator could sign in any more", "Spare an account", "--force")
	portaltest.WantNot(t, p, `name="reason"`)
	p = grace.Do(http.MethodPost, on, url.Values{"reason": {"now"}})
	if p.Status == http.StatusSeeOther || h.state(id) != policy.ReportOnly {
		t.Fatalf("it was turned on: %d", p.Status)
	}
	portaltest.Want(t, p, "no Global Administrator could sign in any more")
	// With somebody spared it can be done, and says what it does.
	h.spare("grace")
	p, _ = grace.Get(on)
	portaltest.Want(t, p, "Turn on Two factors?", "1 browser session and 2 grants", "are asked for more at the next use", "For two factors.", "Access tokens that nobody guards", "live until", "1 browser session", "still get in", "only by being spared")
	p, _ = grace.Get(grace.Post(on, url.Values{"reason": {"now"}}).To)
	portaltest.Want(t, p, "The policy is on", "Report only", "Turn off")
	if h.state(id) != policy.On {
		t.Error("it is not on")
	}
	p, _ = grace.Get(desk.PathPolicies + "?state=on")
	portaltest.Want(t, p, "1 found", "Two factors")
	p, _ = grace.Get(desk.PathPolicies + "?state=off")
	portaltest.Want(t, p, "Nothing matches")
	// Deleting tells what is asked for less.
	del := desk.PolicyPath(id) + "/delete"
	p, _ = grace.Get(del)
	portaltest.Want(t, p, "Delete Two factors?", "asked for less")
	p, _ = grace.Get(grace.Post(del, url.Values{}).To)
	portaltest.Want(t, p, "It was deleted")
}

func TestDocumentIsRefusedWithThePathOfWhatIsWrong(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.spare("grace")
	grace := h.As("grace")
	path := desk.PathNewPolicy + "/document"
	typed := `{"displayName":"X","state":"disabled","conditions":{"users":{"includeUsers":["nobody"]},"applications":{"includeApplications":["All"]},"clientAppTypes":["all"]},"grantControls":{"operator":"OR","builtInControls":["mfa"]}}`
	for doc, says := range map[string]string{typed: "$.conditions.users.includeUsers[0]", strings.Replace(typed, "nobody", "All", 1)[1:]: "$", strings.NewReplacer("nobody", "All", `"state"`, `"sate":1,"state"`).Replace(typed): "$.sate"} {
		p, d := grace.Check(grace.Do(http.MethodPost, path, url.Values{"document": {doc}}), http.StatusUnprocessableEntity, path)
		portaltest.Want(t, p, says, `id="e-document"`, `href="#f-document"`)
		for _, e := range d.All("textarea") {
			if e.Attr["id"] == "f-document" && e.Text != doc {
				t.Errorf("what was typed is not there: %q", e.Text)
			}
		}
	}
	// Saving what ends something is said first, and done when it is said again.
	h.Open("ada", h.As("ada").Live.Session.ID)
	id := h.create(govern.Policy, `{"displayName":"Kept","state":"disabled","conditions":{`+everyone+`,"locations":{"includeLocations":["All"]}},"grantControls":{"operator":"OR","builtInControls":["block"]}}`)
	path = desk.PolicyPath(id) + "/edit"
	_, d := grace.Get(path)
	f := url.Values{"version": {d.All("form")[1].Attr["x"]}}
	for _, e := range d.All("input") {
		if e.Attr["type"] == "hidden" {
			f.Set(e.Attr["name"], e.Attr["value"])
		}
	}
	doc := `{"displayName":"Kept","state":"enabled","conditions":{"users":{"includeUsers":["All"],"excludeUsers":["` + h.IDs["grace"].String() + `"]},"applications":{"includeApplications":["All"]},"clientAppTypes":["all"]},"grantControls":{"operator":"OR","builtInControls":["block"]}}`
	f.Set("document", doc)
	p, d := grace.Check(grace.Do(http.MethodPost, path, f), http.StatusOK, path)
	portaltest.Want(t, p, "Nothing is saved yet", "1 browser session and 2 grants", "are refused at the next use")
	if h.state(id) != policy.Off {
		t.Fatal("it was saved at once")
	}
	for _, e := range d.All("input") {
		if e.Attr["name"] == "seen" {
			f.Set("seen", e.Attr["value"])
		}
	}
	// Something else than what was shown is shown first, too.
	other := url.Values{"version": f["version"], "seen": f["seen"], "document": {strings.Replace(doc, "Kept", "Other", 1)}}
	p, _ = grace.Check(grace.Do(http.MethodPost, path, other), http.StatusOK, path)
	portaltest.Want(t, p, "Nothing is saved yet")
	p, _ = grace.Get(grace.Post(path, f).To)
	portaltest.Want(t, p, "Saved.", "But not", "Grace Hopper")
	d2, err := h.govern.Show(t.Context(), operator, govern.Policy, id)
	if err != nil || d2.Policy.State != policy.On || d2.Policy.IncludePlaces.All {
		t.Errorf("the locations were not taken away: %+v %v", d2.Policy, err)
	}
	// Whoever saves second is told, and may save once more.
	f.Set("document", strings.Replace(doc, "Kept", "Second", 1))
	p, d = grace.Check(grace.Do(http.MethodPost, path, f), http.StatusConflict, path)
	portaltest.Want(t, p, "Somebody else changed this", "Second")
	for _, e := range d.All("input") {
		if e.Attr["name"] == "version" {
			f.Set("version", e.Attr["value"])
		}
	}
	if p := grace.Do(http.MethodPost, path, f); p.Status != http.StatusSeeOther {
		t.Errorf("saved once more: %d", p.Status)
	}
}

func TestWhatItDidIsAChartAndATable(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	grace := h.As("grace")
	id := h.create(govern.Policy, `{"displayName":"Trial","state":"enabledForReportingButNotEnforced","conditions":{`+everyone+`},"grantControls":{"operator":"OR","builtInControls":["mfa"]}}`)
	h.report(3, 30, 12)
	h.report(0, 4, 3)
	h.report(9, 1, 0)
	p, d := grace.Get(desk.PolicyPath(id))
	portaltest.Want(t, p, "this is what would have happened", ">30<", ">12<")
	var label string
	bars := 0
	for _, e := range d.Elements {
		if e.Name == "svg" && e.Attr["role"] == "img" {
			label = e.Attr["aria-label"]
		}
		if e.Name == "rect" && (e.Attr["class"] == "live" || e.Attr["class"] == "wild" || e.Attr["class"] == "bad-bar") && e.Text != "" {
			bars++
		}
	}
	if !strings.Contains(label, "30 passed and 12 asked for more") || !strings.Contains(label, "4 passed and 3 asked for more") || bars != 5 {
		t.Errorf("%d bars, label %q", bars, label)
	}
	p, _ = grace.Get(desk.PathPolicies)
	portaltest.Want(t, p, ">49<") // of 7 days
	id = h.create(govern.Policy, `{"displayName":"New","state":"disabled","conditions":{`+everyone+`},"grantControls":{"operator":"OR","builtInControls":["mfa"]}}`)
	p, _ = grace.Get(desk.PolicyPath(id))
	portaltest.Want(t, p, "It applied to no sign-in in 14 days.")
	h.govern.Journal = nil
	p, _ = grace.Get(desk.PolicyPath(id))
	portaltest.Want(t, p, "No log of sign-ins is kept here")
}

func TestWhatIfSaysWhichPoliciesAndWhatEnds(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.spare("grace")
	grace := h.As("grace")
	place := h.create(govern.Location, `{"@odata.type":"#microsoft.graph.ipNamedLocation","displayName":"Office","isTrusted":true,"ipRanges":[{"@odata.type":"#microsoft.graph.iPv4CidrRange","cidrAddress":"192.0.2.0/24"}]}`)
	h.create(govern.Policy, `{"displayName":"Only the office","state":"enabled","conditions":{`+everyone+`,"locations":{"includeLocations":["All"],"excludeLocations":["`+place+`"]}},"grantControls":{"operator":"OR","builtInControls":["block"]}}`)
	h.create(govern.Policy, `{"displayName":"Trial","state":"enabledForReportingButNotEnforced","conditions":{`+everyone+`},"grantControls":{"operator":"OR","builtInControls":["mfa"]}}`)
	p, _ := grace.Get(desk.PathWhatIf)
	portaltest.Want(t, p, "What is left open is not known, and never helps")
	for q, says := range map[string][]string{
		"user=ada@contoso.example&app=reports&ip=198.51.100.7":                                           {"Ada Lovelace is blocked by Only the office.", "Blocks", "Would: asks for two factors"},
		"user=ada@contoso.example&app=reports&ip=192.0.2.7":                                              {"Ada Lovelace gets in.", "Not about the place", "Office"},
		"user=ada@contoso.example&app=api://mail":                                                        {"Ada Lovelace is blocked by Only the office.", "Not known: the place"},
		"user=grace@contoso.example&act=security-info":                                                   {"No policy touches the account"},
		"user=ada@contoso.example&app=reports&ip=192.0.2.7&proof=passkey":                                {"Would: satisfied"},
		"what=change&do=disable&user=ada@contoso.example":                                                {"Disables ada@contoso.example.", "Nothing is alive"},
		"what=change&do=remove-role&user=joan@contoso.example&role=fe930be7-5e62-47db-91af-98c3a49a38b1": {"Removes the role User Administrator from joan@contoso.example."},
	} {
		p, _ := grace.Get(desk.PathWhatIf + "?" + q)
		portaltest.Want(t, p, says...)
	}
	for q, says := range map[string]string{"user=": `id="e-user"`, "user=nobody@x": "There is nobody of that name", "user=ada@contoso.example&app=x&ip=300": "This is no address", "user=ada@contoso.example&country=F1": "two letters", "user=ada@contoso.example": "Write an application",
		"what=change&do=on": "Choose a policy", "what=change&do=dance": "Choose what changes", "user=ada@contoso.example&app=nothing": "Error: no answer"} {
		p := grace.Do(http.MethodGet, desk.PathWhatIf+"?"+q, nil)
		if p.Status < 400 || p.Status > 422 {
			t.Errorf("%s: %d", q, p.Status)
		}
		webkittest.Check(t, []byte(p.Body))
		portaltest.Want(t, p, says)
	}
	h.Open("ada", h.As("ada").Live.Session.ID)
	p, _ = grace.Get(desk.PathWhatIf + "?what=change&do=disable&user=ada@contoso.example")
	portaltest.Want(t, p, "1 browser session and 2 grants", "Reports", "a token lives until", "account disabled", "at once")
	// What stays is told with its end.
	h.Open("joan", h.As("joan").Live.Session.ID)
	p, _ = grace.Get(desk.PathWhatIf + "?what=change&do=remove-role&user=joan@contoso.example&role=fe930be7-5e62-47db-91af-98c3a49a38b1")
	portaltest.Want(t, p, "role removed", "Stays", ", if not used")
}

func TestLocationsAndSparedAccounts(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	grace := h.As("grace")
	p, _ := grace.Get(desk.PathLocations)
	portaltest.Want(t, p, "No named locations yet.")
	for want, places := range map[string]func() (string, time.Time, string, bool){
		"No country is known, because no database of countries was named.": func() (string, time.Time, string, bool) { return "", time.Time{}, "", false },
		"cannot be used: it is empty":                                      func() (string, time.Time, string, bool) { return "", time.Time{}, "it is empty", true },
		"Countries are known by GeoLite2-City of": func() (string, time.Time, string, bool) {
			return "GeoLite2-City", time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC), "", true
		},
	} {
		h.server.Places = places
		p, _ = grace.Get(desk.PathLocations)
		portaltest.Want(t, p, want)
	}
	h.server.Places = nil
	p, _ = grace.Check(grace.Do(http.MethodPost, desk.PathNewLocation, url.Values{"name": {"Office"}, "ranges": {"192.0.2.0/24"}, "countries": {"fi"}}), http.StatusUnprocessableEntity, "both")
	portaltest.Want(t, p, "not both")
	p, _ = grace.Check(grace.Do(http.MethodPost, desk.PathNewLocation, url.Values{"name": {"Office"}, "ranges": {"192.0.2.0/33"}}), http.StatusBadRequest, "bad range")
	portaltest.Want(t, p, "$.ipRanges[0]", "192.0.2.0/33")
	to := grace.Post(desk.PathNewLocation, url.Values{"name": {"Office"}, "ranges": {"192.0.2.0/24\r\n2001:db8::/32"}, "trusted": {"1"}}).To
	p, _ = grace.Get(to)
	portaltest.Want(t, p, "192.0.2.0/24", "2001:db8::/32", "Trusted")
	path := strings.TrimSuffix(to, "?done=place")
	_, d := grace.Get(path + "/edit")
	version := ""
	for _, e := range d.All("input") {
		if e.Attr["name"] == "version" {
			version = e.Attr["value"]
		}
	}
	p, _ = grace.Get(grace.Post(path+"/edit", url.Values{"name": {"Office"}, "ranges": {"192.0.2.0/25"}, "version": {version}}).To)
	portaltest.Want(t, p, "192.0.2.0/25")
	portaltest.WantNot(t, p, "2001:db8", `Trusted</span>`)
	to = grace.Post(desk.PathNewLocation, url.Values{"name": {"North"}, "countries": {"fi, se"}, "unknown": {"1"}}).To
	p, _ = grace.Get(to)
	portaltest.Want(t, p, "FI and SE, and addresses of no known country")
	north := strings.TrimSuffix(strings.TrimPrefix(to, desk.PathLocations+"/"), "?done=place")
	// One that a policy names stays.
	start := desk.PathNewPolicy + "/block-places"
	p, _ = grace.Get(start)
	portaltest.Want(t, p, "FI and SE", "Office")
	grace.Post(start, url.Values{"name": {"Not the north"}, "place": {north}, "state": {"disabled"}})
	p, _ = grace.Check(grace.Do(http.MethodGet, desk.PathLocations+"/"+north+"/delete", nil), http.StatusForbidden, "named")
	portaltest.Want(t, p, "It is named by Not the north")
	if p := grace.Do(http.MethodPost, desk.PathLocations+"/"+north+"/delete", url.Values{}); p.Status == http.StatusSeeOther {
		t.Error("a location that is named was deleted")
	}
	p, _ = grace.Get(grace.Post(path+"/delete", url.Values{}).To)
	portaltest.WantNot(t, p, "Office")
	start = desk.PathNewPolicy + "/frequency"
	p, _ = grace.Check(grace.Do(http.MethodPost, start, url.Values{"name": {"Daily"}, "hours": {"30"}, "state": {"disabled"}}), http.StatusUnprocessableEntity, start)
	portaltest.Want(t, p, "whole days")
	p, _ = grace.Get(grace.Post(start, url.Values{"name": {"Daily"}, "hours": {"48"}, "state": {"disabled"}}).To)
	portaltest.Want(t, p, "Sign in again after 2 days")
	p, _ = grace.Get(grace.Post(desk.PathNewPolicy+"/administrators", url.Values{"name": {"Admins"}, "state": {"disabled"}}).To)
	portaltest.Want(t, p, "Global Administrator")
	grace.Post(desk.PathNewPolicy+"/only-places", url.Values{"name": {"Only north"}, "place": {north}, "state": {"disabled"}})

	p, _ = grace.Get(desk.PathSpared)
	portaltest.Want(t, p, "No account is spared.")
	add := desk.PathSpared + "/add"
	for _, x := range []struct{ who, reason, says string }{{"ada@contoso.example", "", "Give a reason"}, {"", "x", "Write who"}, {"nobody@x", "x", "There is nobody of that name"}} {
		p, _ := grace.Check(grace.Do(http.MethodPost, add, url.Values{"who": {x.who}, "reason": {x.reason}}), http.StatusUnprocessableEntity, add)
		portaltest.Want(t, p, x.says)
	}
	p, _ = grace.Get(grace.Post(add, url.Values{"who": {"ada@contoso.example"}, "reason": {"safe"}}).To)
	portaltest.Want(t, p, "Ada Lovelace", "It helps nobody on that day")
	remove := desk.PathSpared + "/" + h.IDs["ada"].String() + "/remove"
	p, _ = grace.Get(remove)
	portaltest.Want(t, p, "Let policies hold for Ada Lovelace again?")
	p, _ = grace.Get(grace.Post(remove, url.Values{"reason": {"not needed"}}).To)
	portaltest.Want(t, p, "No account is spared.")
}

// Whoever may read and no more sees every page, each button with a padlock, and
// changes nothing by any form; who may not read sees none.
func TestWhoMayDoWhatToPolicies(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.create(govern.Policy, `{"displayName":"Trial","state":"disabled","conditions":{`+everyone+`},"grantControls":{"operator":"OR","builtInControls":["mfa"]}}`)
	place := h.create(govern.Location, `{"@odata.type":"#microsoft.graph.countryNamedLocation","displayName":"North","countriesAndRegions":["FI"],"includeUnknownCountriesAndRegions":false}`)
	h.spare("ada")
	h.Person("rita", "Rita", role.SecurityReader)
	h.Person("uma", "Uma", role.HelpdeskAdministrator)
	spared := h.IDs["ada"].String()
	versions := map[govern.Kind]int64{}
	for _, k := range []govern.Kind{govern.Policy, govern.Location} {
		all, err := h.govern.List(t.Context(), operator, k)
		if err != nil {
			t.Fatal(err)
		}
		versions[k] = all[0].Version
	}
	doc := url.Values{"document": {`{"displayName":"Y","state":"disabled","conditions":{` + everyone + `},"grantControls":{"operator":"OR","builtInControls":["mfa"]}}`}, "name": {"Y"}, "state": {"disabled"}, "ranges": {"192.0.2.0/24"}, "who": {"grace@contoso.example"}, "reason": {"x"}, "version": {"1"}}
	verbs := []string{desk.PolicyPath(id) + "/turn-on", desk.PolicyPath(id) + "/report-only", desk.PolicyPath(id) + "/delete", desk.PolicyPath(id) + "/edit", desk.PathNewPolicy + "/two-factors", desk.PathNewPolicy + "/document",
		desk.PathNewLocation, desk.PathLocations + "/" + place + "/edit", desk.PathLocations + "/" + place + "/delete", desk.PathSpared + "/add", desk.PathSpared + "/" + spared + "/remove"}
	pages := []string{desk.PathPolicies, desk.PolicyPath(id), desk.PathNewPolicy, desk.PathLocations, desk.PathLocations + "/" + place, desk.PathWhatIf, desk.PathSpared}
	rita, uma, mallory := h.As("rita"), h.As("uma"), h.As("mallory")
	for _, path := range pages {
		p, _ := rita.Check(rita.Do(http.MethodGet, path, nil), map[bool]int{true: 200, false: 403}[path != desk.PathSpared || role.Allowed(rita.Live.Actor, role.ReadSpared, role.Target{}).OK], path)
		if path != desk.PathWhatIf && path != desk.PathSpared {
			portaltest.Want(t, p, `you need`)
		}
		for _, b := range []*portaltest.Browser{uma, mallory} {
			p, _ := b.Check(b.Do(http.MethodGet, path, nil), http.StatusForbidden, path)
			portaltest.WantNot(t, p, "Trial", "North")
		}
	}
	for _, path := range verbs {
		for _, b := range []*portaltest.Browser{rita, uma, mallory} {
			for _, f := range []url.Values{nil, doc} {
				method := http.MethodPost
				if f == nil {
					method = http.MethodGet
				}
				b.Check(b.Do(method, path, f), http.StatusForbidden, path)
			}
		}
	}
	for k, n := range map[govern.Kind]int{govern.Policy: 1, govern.Location: 1} {
		all, err := h.govern.List(t.Context(), operator, k)
		if err != nil || len(all) != n || all[0].Version != versions[k] {
			t.Errorf("%s: %d, %v", k, len(all), err)
		}
	}
	all, err := h.govern.SparedAccounts(t.Context(), operator)
	if err != nil || len(all) != 1 {
		t.Errorf("%d spared, %v", len(all), err)
	}
}

func TestPagesOfPolicies(t *testing.T) {
	h := newHouse(t)
	pages := map[string][]byte{}
	grace := h.As("grace")
	take := func(name string, b *portaltest.Browser, path string, form url.Values) {
		t.Helper()
		method := http.MethodGet
		if form != nil {
			method = http.MethodPost
		}
		p := b.Do(method, path, form)
		webkittest.Check(t, []byte(p.Body))
		pages[name] = []byte(p.Body)
	}
	take("policies-empty", grace, desk.PathPolicies, nil)
	take("locations-empty", grace, desk.PathLocations, nil)
	take("spared-empty", grace, desk.PathSpared, nil)
	h.Open("ada", h.As("ada").Live.Session.ID)
	h.Open("adele", h.As("adele").Live.Session.ID)
	office := h.create(govern.Location, `{"@odata.type":"#microsoft.graph.ipNamedLocation","displayName":"Office","isTrusted":true,"ipRanges":[{"@odata.type":"#microsoft.graph.iPv4CidrRange","cidrAddress":"192.0.2.0/24"},{"@odata.type":"#microsoft.graph.iPv6CidrRange","cidrAddress":"2001:db8:1234:5678::/64"}]}`)
	h.create(govern.Location, `{"@odata.type":"#microsoft.graph.countryNamedLocation","displayName":"Countries in which nobody of ours has ever been, or has any business to be","countriesAndRegions":["FI","SE","NO","DK","IS","EE","LV","LT"],"includeUnknownCountriesAndRegions":true}`)
	trial := h.create(govern.Policy, `{"displayName":"Two factors for everyone, tried since spring","state":"enabledForReportingButNotEnforced","conditions":{`+everyone+`},"grantControls":{"operator":"OR","builtInControls":["mfa"]}}`)
	long := h.create(govern.Policy, `{"displayName":"Administratorinnenzugriffsbeschränkungsrichtlinie für außergewöhnliche Betriebsumstände","state":"disabled","conditions":{"users":{"includeRoles":["62e90394-69f5-4237-9190-012177145e10","fe930be7-5e62-47db-91af-98c3a49a38b1"],"excludeUsers":["`+h.IDs["mallory"].String()+`"]},"applications":{"includeApplications":["mail-windows","api://legacy"],"excludeApplications":["reports"]},"clientAppTypes":["browser"],"platforms":{"includePlatforms":["all"],"excludePlatforms":["iOS"]},"locations":{"includeLocations":["All"],"excludeLocations":["`+office+`"]},"userRiskLevels":["high"]},"grantControls":{"operator":"AND","builtInControls":["mfa","compliantDevice"]},"sessionControls":{"signInFrequency":{"isEnabled":true,"value":4,"type":"hours","frequencyInterval":"timeBased","authenticationType":"primaryAndSecondaryAuthentication"}}}`)
	for i := range 9 {
		h.report(i, 40-4*i, 3*i)
	}
	take("policies", grace, desk.PathPolicies, nil)
	take("policy-trial", grace, desk.PolicyPath(trial), nil)
	take("policy-long", grace, desk.PolicyPath(long), nil)
	take("policy-lockout", grace, desk.PolicyPath(trial)+"/turn-on", nil)
	h.spare("grace")
	h.spare("ada")
	take("policy-turn-on", grace, desk.PolicyPath(trial)+"/turn-on", nil)
	take("policy-edit", grace, desk.PolicyPath(long)+"/edit", nil)
	take("policy-edit-wrong", grace, desk.PolicyPath(long)+"/edit", url.Values{"document": {"{\n  \"displayName\": \"X\",\n  \"sate\": 1\n}"}, "version": {"1"}})
	take("policy-new", grace, desk.PathNewPolicy, nil)
	take("policy-new-two", grace, desk.PathNewPolicy+"/two-factors", nil)
	take("policy-new-place", grace, desk.PathNewPolicy+"/block-places", nil)
	take("locations", grace, desk.PathLocations, nil)
	take("location", grace, desk.PathLocations+"/"+office, nil)
	take("location-form", grace, desk.PathNewLocation, nil)
	take("spared", grace, desk.PathSpared, nil)
	take("spared-add", grace, desk.PathSpared+"/add", nil)
	take("what-if", grace, desk.PathWhatIf, nil)
	take("what-if-answer", grace, desk.PathWhatIf+"?user=adele@contoso.example&app=reports&ip=198.51.100.7&platform=windows&program=browser", nil)
	take("what-if-change", grace, desk.PathWhatIf+"?what=change&do=on&policy="+trial, nil)
	take("what-if-mistake", grace, desk.PathWhatIf+"?user=&ip=x", nil)
	h.Person("rita", "Rita Levi-Montalcini", role.SecurityReader)
	rita := h.As("rita")
	take("policies-refused", rita, desk.PathPolicies, nil)
	take("policy-refused", rita, desk.PolicyPath(trial), nil)
	for i := range 60 {
		h.create(govern.Policy, fmt.Sprintf(`{"displayName":"Policy %02d","state":"disabled","conditions":{`+everyone+`},"grantControls":{"operator":"OR","builtInControls":["mfa"]}}`, i))
	}
	take("policies-many", grace, desk.PathPolicies, nil)
	if dir := os.Getenv("CURFEW_PAGES"); dir != "" {
		for name, b := range pages {
			if err := os.WriteFile(filepath.Join(dir, name+".html"), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	webkittest.Fits(t, pages)
}
