package graph

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/store/journal"
)

// yesterday writes down what happened a day ago.
func (w *world) yesterday() {
	w.t.Helper()
	id := func(name string) directory.UserID {
		id, err := directory.ParseID[directory.User](w.names[name])
		w.must(err)
		return id
	}
	at := w.clock.Now().Add(-24 * time.Hour).Truncate(time.Hour)
	set, err := policy.Compile([]policy.Policy{
		{ID: "8b1d2f60-0000-4000-8000-000000000001", Name: "Second factor for mail", State: policy.On, Include: policy.Who{All: true}, Apps: policy.Apps{Include: []string{"mail"}}, Clients: policy.AllClients,
			Grant: &policy.Grant{Controls: policy.NeedMFA}, Session: &policy.Session{Frequency: &policy.Frequency{Life: 12 * time.Hour}}},
		{ID: "8b1d2f60-0000-4000-8000-000000000002", Name: "Nobody from abroad", State: policy.ReportOnly, Include: policy.Who{All: true}, Apps: policy.Apps{All: true}, Clients: policy.AllClients,
			Grant: &policy.Grant{Block: true}}}, policy.World{})
	w.must(err)
	judged := func(app directory.AppID) *journal.Applied {
		f := &policy.Facts{Now: at, User: id("ada"), Client: app, Methods: policy.Password.Set(), AuthTime: at}
		v := set.Decide(f)
		return w.log.Judged(set, f, &v)
	}
	// Grants and tokens of the transcript are called by name.
	grant, session := directory.NewID[directory.Grant](at), directory.NewID[directory.Session](at)
	w.names["grant-old"], w.names["session-old"] = grant.String(), session.String()
	for i, e := range []journal.Entry{
		{Kind: journal.Interactive, Flow: "password", User: id("ada"), UserName: "ada@contoso.example", Display: "Ada Lovelace", IP: "203.0.113.9", Country: "NL", City: "Delft", Program: policy.Browser, Agent: "Firefox on Linux",
			Request: "r-1", Error: 50126, Reason: "The user name or the password is not right"},
		{Kind: journal.Interactive, Flow: "password", User: id("ada"), UserName: "ada@contoso.example", Display: "Ada Lovelace", IP: "203.0.113.9", Program: policy.Browser, Agent: "Firefox on Linux", Request: "r-2",
			Session: session, Methods: []string{"pwd"}},
		{Kind: journal.Silent, Flow: "refresh", User: id("ada"), UserName: "ada@contoso.example", Display: "Ada Lovelace", App: "mail", AppName: "Mail", Resource: "api://mail", ResourceName: "Mail", IP: "203.0.113.9",
			Program: policy.Native, Request: "r-3", Error: 50076, Reason: "A second factor is needed.", Applied: judged("mail"), Session: session, Grant: grant, Methods: []string{"pwd"}, SignInRisk: policy.LowRisk},
		{Kind: journal.Silent, Flow: "device", User: id("ada"), UserName: "ada@contoso.example", Display: "Ada Lovelace", App: "calendar", AppName: "=HYPERLINK(1)", IP: "203.0.113.9", Request: "r-4",
			Applied: judged("calendar"), Token: "tok-1", Methods: []string{"pwd", "otp", "mfa"}, Compliant: policy.No, Trust: policy.Registered},
		{Kind: journal.Service, Flow: "client_credentials", User: id("robot"), UserName: "app:robot", Display: "Robot", App: "robot", AppName: "Robot", IP: "198.51.100.4", Request: "r-5", Error: 7000215, Reason: "The secret is wrong."},
		{Kind: journal.Gap, Missing: 37},
	} {
		e.At = at.Add(time.Duration(i) * time.Minute)
		w.log.Add(&e)
		if i == 2 {
			w.names["signin"] = e.ID.String()
		}
	}
}

func TestAnExportHasEverySignInAndNoFormulas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token("grace")
	w.yesterday()
	export := func(query string) (string, http.Header) {
		t.Helper()
		res := w.do("GET", "/v1.0/curfew/signIns/export"+query, token, nil, nil)
		b, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("%d %v %s", res.StatusCode, err, b)
		}
		return string(b), res.Header
	}
	text, h := export("?user=" + w.names["ada"] + "&format=jsonl")
	if h.Get("Content-Type") != "application/x-ndjson" || !strings.Contains(h.Get("Content-Disposition"), "signins.jsonl") {
		t.Error(h)
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d lines", len(lines))
	}
	for i, l := range lines {
		var v struct {
			UserID string `json:"userId"`
			At     string `json:"createdDateTime"`
		}
		if err := json.Unmarshal([]byte(l), &v); err != nil || v.UserID != w.names["ada"] {
			t.Errorf("line %d: %v %s", i, err, l)
		}
	}
	text, h = export("?format=csv")
	if !strings.HasPrefix(h.Get("Content-Type"), "text/csv") {
		t.Error(h)
	}
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(rows) != 7 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	found := false
	for _, row := range rows {
		for i, cell := range row {
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r") {
				t.Errorf("%s is read as a formula: %s", rows[0][i], cell)
			}
			found = found || cell == "'=HYPERLINK(1)"
		}
	}
	if !found {
		t.Error("the dangerous name is not there, so nothing was tested")
	}
	// Nothing found is a sheet with its heads.
	if text, _ := export("?format=csv&user=nobody@contoso.example"); strings.Count(text, "\n") != 1 {
		t.Errorf("%q", text)
	}
}
