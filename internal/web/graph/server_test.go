package graph

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/web/graph/api"
	"github.com/curfew-id/curfew/internal/web/graph/own"
	"github.com/curfew-id/curfew/internal/web/graph/registration"
)

type envelope struct {
	Error struct {
		Code, Message string
		InnerError    map[string]string
	}
}

func decode[T any](t *testing.T, r io.Reader) (v T) {
	t.Helper()
	if err := json.NewDecoder(r).Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestBodiesAreReadStrictly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	users, ada := "POST /v1.0/users", "PATCH /v1.0/users/"+w.names["ada"]
	good := `{"jobTitle":"Countess"}`
	huge := `{"jobTitle":"` + strings.Repeat("x", api.MaxBody) + `"}`
	for name, c := range map[string]struct {
		route, body, encoding, media string
		status                       int
		says                         string
	}{
		"plain":                 {ada, good, "", "application/json", 204, ""},
		"charset":               {ada, good, "", "application/json; charset=utf-8", 204, ""},
		"no type":               {ada, good, "", "", 204, ""},
		"packed":                {ada, string(zipped([]byte(good))), "gzip", "application/json", 204, ""},
		"packed, old name":      {ada, string(zipped([]byte(good))), "x-gzip", "application/json", 204, ""},
		"empty":                 {ada, "", "", "application/json", 204, ""},
		"empty, packed":         {ada, "", "gzip", "application/json", 204, ""},
		"annotations":           {ada, `{"@odata.context":"x","@odata.etag":1,"jobTitle@odata.type":"#String","jobTitle":"x"}`, "", "application/json", 204, ""},
		"names in other case":   {ada, `{"JobTitle":"x"}`, "", "application/json", 204, ""},
		"other packing":         {ada, good, "br", "application/json", 415, "gzip"},
		"packed twice":          {ada, string(zipped(zipped([]byte(good)))), "gzip, gzip", "application/json", 415, "gzip"},
		"not packed":            {ada, good, "gzip", "application/json", 400, "read to its end"},
		"packed, cut off":       {ada, string(zipped([]byte(good))[:20]), "gzip", "application/json", 400, "read to its end"},
		"packed, and more":      {ada, string(zipped([]byte(good))) + "x", "gzip", "application/json", 400, "read to its end"},
		"form":                  {ada, "jobTitle=x", "", "application/x-www-form-urlencoded", 415, "application/json"},
		"broken type":           {ada, good, "", "application/;;", 415, "application/json"},
		"huge":                  {ada, huge, "", "application/json", 413, "too large"},
		"huge, packed":          {ada, string(zipped([]byte(huge))), "gzip", "application/json", 413, "too large"},
		"not UTF-8":             {ada, "{\"jobTitle\":\"\xff\"}", "", "application/json", 400, "UTF-8"},
		"not JSON":              {ada, "{jobTitle:x}", "", "application/json", 400, "JSON object"},
		"a list":                {ada, `[{"jobTitle":"x"}]`, "", "application/json", 400, "JSON object"},
		"a text":                {ada, `"x"`, "", "application/json", 400, "JSON object"},
		"null":                  {ada, `null`, "", "application/json", 400, "JSON object"},
		"cut off":               {ada, `{"jobTitle":"x"`, "", "application/json", 400, "JSON object"},
		"two":                   {ada, good + good, "", "application/json", 400, "JSON object"},
		"deep":                  {ada, `{"jobTitle":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, "", "application/json", 400, "JSON object"},
		"wrong type, text":      {ada, `{"jobTitle":7}`, "", "application/json", 400, "The property jobTitle must be a text."},
		"wrong type, truth":     {ada, `{"accountEnabled":"false"}`, "", "application/json", 400, "The property accountEnabled must be true or false."},
		"truth is not null":     {ada, `{"accountEnabled":null}`, "", "application/json", 400, "accountEnabled must be true or false"},
		"zero byte":             {ada, `{"jobTitle":"a\u0000b"}`, "", "application/json", 400, "jobTitle must be a text"},
		"unknown":               {ada, `{"jobTitle":"x","shoeSize":9}`, "", "application/json", 400, "(shoeSize)"},
		"unknown, unprintable":  {ada, `{"<script>":9}`, "", "application/json", 400, "cannot be set here."},
		"bind":                  {ada, `{"manager@odata.bind":"x"}`, "", "application/json", 400, "cannot be set here"},
		"read only":             {ada, `{"id":"x"}`, "", "application/json", 400, "(id)"},
		"twice":                 {ada, `{"accountEnabled":true,"accountEnabled":false}`, "", "application/json", 400, "The property accountEnabled is there twice."},
		"twice, in other case":  {ada, `{"accountEnabled":true,"AccountEnabled":false}`, "", "application/json", 400, "twice"},
		"inner object":          {ada, `{"passwordProfile":"x"}`, "", "application/json", 400, "JSON object"},
		"inner, unknown":        {ada, `{"passwordProfile":{"pasword":"x"}}`, "", "application/json", 400, "(pasword)"},
		"not kept":              {ada, `{"otherMails":["x@contoso.example"]}`, "", "application/json", 400, "otherMails must be []"},
		"guest":                 {users, `{"userType":"Guest"}`, "", "application/json", 400, "userType"},
		"with MFA":              {ada, `{"passwordProfile":{"password":"x","forceChangePasswordNextSignInWithMfa":true}}`, "", "application/json", 400, "WithMfa must be false"},
		"no name":               {users, `{"accountEnabled":true,"displayName":"X","passwordProfile":{"password":"difference-engine"}}`, "", "application/json", 400, "userPrincipalName is missing"},
		"bad name":              {users, `{"accountEnabled":true,"displayName":"X","userPrincipalName":"x","passwordProfile":{"password":"difference-engine"}}`, "", "application/json", 400, "name@domain"},
		"list of wrong things":  {"POST /v1.0/curfew/apps", `{"name":"X","redirectUris":[7]}`, "", "application/json", 400, "redirectUris must be a list of texts"},
		"list, unknown inside":  {"POST /v1.0/curfew/apps", `{"name":"X","permissions":[{"resource":"api://mail","scope":"x"}]}`, "", "application/json", 400, "permissions must be a list"},
		"list, zero byte":       {"POST /v1.0/curfew/apps", `{"name":"X","redirectUris":["\u0000"]}`, "", "application/json", 400, "redirectUris must be a list of texts"},
		"number of wrong sort":  {"POST /v1.0/curfew/apps", `{"name":"X","accessTokenMinutes":1.5}`, "", "application/json", 400, "whole number"},
		"number out of range":   {"POST /v1.0/curfew/resources", `{"id":"api://x","name":"X","tokenLifeMs":99999999999999}`, "", "application/json", 400, "out of range"},
		"instant of wrong sort": {"POST /v1.0/curfew/apps/mail/secrets", `{"expires":"tomorrow"}`, "", "application/json", 400, "an instant such as"},
	} {
		t.Run(name, func(t *testing.T) {
			method, path, _ := strings.Cut(c.route, " ")
			header := http.Header{}
			if c.encoding != "" {
				header.Set("Content-Encoding", c.encoding)
			}
			if c.media != "" {
				header.Set("Content-Type", c.media)
			}
			res := w.do(method, path, w.token("grace"), header, []byte(c.body))
			b, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != c.status || !strings.Contains(string(b), c.says) {
				t.Errorf("%d %s, want %d %q", res.StatusCode, b, c.status, c.says)
			}
		})
	}
	v, err := w.Manage.User(t.Context(), operator, w.names["ada"])
	if err != nil || !v.User.Enabled {
		t.Errorf("something was stored: %+v %v", v, err)
	}
}

// TestNothingIsInternal asks every address with everything that does not fit and
// expects each time a mistake of the caller's, told in Graph's form.
func TestNothingIsInternal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := []string{"{ada}", "x", "%00", "%ff", "..%2f..", "'", "('')", "00000000-0000-0000-0000-000000000000", strings.Repeat("a", 5000), "$ref", "%2e%2e"}
	queries := []string{"", "?$filter=%00", "?$top=-1", "?x=1&x=2", "?%zz", "?$skiptoken=AAAA", "?before=-1&top=0", "?target=%00", "?$select=", "?dryRun=2"}
	bodies := []string{"", "{}", "[]", `{"a":`, "\x00", `{"reason":7}`, `{"@odata.id":"https://x/v1.0/directoryObjects/"}`, `{"@odata.id":"http://[::1"}`, "a,b\n\"c", `{"confirm":"contoso.example","exceptMe":1}`}
	done := 0
	for _, table := range []api.Routes{w.Routes(), registration.Server{Server: w.Server.Server}.Routes(), own.Server{Server: w.Server.Server}.Routes(), w.signins().Routes(), w.signins().OwnRoutes()} {
		for pattern := range table {
			method, path, _ := strings.Cut(pattern, " ")
			if strings.HasSuffix(path, "/events") {
				continue // it does not end; it has a test of its own
			}
			for i := range max(len(ids), len(queries), len(bodies)) {
				target := path
				for strings.Contains(target, "{") {
					from, to := strings.Index(target, "{"), strings.Index(target, "}")
					target = target[:from] + strings.ReplaceAll(ids[i%len(ids)], "{ada}", w.names["ada"]) + target[to+1:]
				}
				for _, who := range []string{"ada", "grace", "robot"} {
					if i == 0 && who == "grace" && method != "GET" {
						continue // that would fit
					}
					r := httptest.NewRequestWithContext(t.Context(), method, "/", strings.NewReader(bodies[i%len(bodies)]))
					u, query, _ := strings.Cut(api.Version+target+queries[(i+done)%len(queries)], "?")
					r.URL.RawQuery, r.RequestURI = query, u
					if p, _, err := api.Normal(u); err == nil {
						r.URL.Path, r.URL.RawPath = p, u
					} else {
						r.URL.Path, r.URL.RawPath = u, u
					}
					r.Header.Set("Authorization", "Bearer "+w.token(who))
					rec := httptest.NewRecorder()
					w.ServeHTTP(rec, r)
					done++
					if rec.Code >= 500 || rec.Code == 0 {
						t.Errorf("%s %s %s %q: %d %s", who, method, u+"?"+query, bodies[i%len(bodies)], rec.Code, rec.Body)
					}
					if rec.Code == 401 { // cut by itself; back again
						w.tokens = map[string]string{}
					}
					if rec.Code >= 400 {
						var e envelope
						if err := json.Unmarshal(rec.Body.Bytes(), &e); err != nil || e.Error.Code == "" || e.Error.Message == "" || e.Error.InnerError["request-id"] != rec.Header().Get("request-id") {
							t.Errorf("%s %s: %d without an envelope: %s", method, u, rec.Code, rec.Body)
						}
					}
				}
			}
		}
	}
	if done < 1000 {
		t.Errorf("only %d requests", done)
	}
}

func TestPagesFollowOneAnotherAndMissNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 25 {
		w.clock.Add(time.Millisecond)
		_, _, err := w.Manage.CreateUser(t.Context(), operator, manage.NewUser{Name: fmt.Sprintf("p%02d@contoso.example", i), DisplayName: fmt.Sprintf("Person %d", i%5)}, manage.Act{})
		w.must(err)
		_, err = w.Manage.CreateGroup(t.Context(), operator, manage.NewGroup{Name: fmt.Sprintf("Group %02d", i)}, manage.Act{})
		w.must(err)
	}
	for target, want := range map[string]int{
		"/v1.0/users?top=7&select=id":                                                           30,
		"/v1.0/users?$top=7&$select=id":                                                         30,
		"/v1.0/users?$top=7&$select=id&$orderby=displayName%20desc":                             30,
		"/v1.0/users?$top=4&$select=id&$filter=startswith(displayName,'Person')":                25,
		"/v1.0/users?$top=4&$search=%22displayName:person%22&$orderby=displayName":              25,
		"/v1.0/groups?$top=7":                                                                   25,
		"/v1.0/groups?$top=7&$orderby=createdDateTime%20desc&$filter=displayName ne 'Group 03'": 24,
		"/v1.0/roleManagement/directory/roleDefinitions?$top=9&$orderby=displayName":            40,
		"/v1.0/auditLogs/directoryAudits?$top=9":                                                len(must(w.Manage.Audits(t.Context(), operator, manage.AuditQuery{Limit: 1000}))),
		"/v1.0/curfew/ledger?top=2":                                                             len(must(w.Relay.Ledger(t.Context(), operator, 0, 1000))),
	} {
		seen, pages := map[string]bool{}, 0
		for next := strings.ReplaceAll(target, " ", "%20"); next != ""; pages++ {
			res := w.do("GET", strings.TrimPrefix(next, base), w.token("grace"), nil, nil)
			page := decode[struct {
				Next  string `json:"@odata.nextLink"`
				Value []struct {
					ID  string
					Pos int
				}
			}](t, res.Body)
			for _, x := range page.Value {
				id := x.ID + fmt.Sprint(x.Pos)
				if seen[id] {
					t.Errorf("%s: %s twice", target, id)
				}
				seen[id] = true
			}
			if next = page.Next; strings.HasPrefix(target, "/v1.0/users?top") { // as some write them
				next = strings.ReplaceAll(next, "$", "")
			}
			if pages > 100 || res.StatusCode != 200 {
				t.Fatalf("%s: %d, page %d", target, res.StatusCode, pages)
			}
		}
		if len(seen) != want || pages < 3 {
			t.Errorf("%s: %d on %d pages, want %d", target, len(seen), pages, want)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestReceiptEvents follows a revocation from the cut to the last confirmation.
func TestReceiptEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ask("mail-1")
	w.code(w.signIn("ada"), "mail", clientSecret, "api://mail/Mail.Read offline_access", false)
	hedy := w.token("hedy")
	w.token("grace")
	server := httptest.NewServer(w.mux)
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	send := func(method, path, token string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, method, server.URL+path, strings.NewReader("{}"))
		w.must(err)
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := server.Client().Do(r)
		w.must(err)
		t.Cleanup(func() { res.Body.Close() })
		return res
	}
	type receipt struct {
		ID, Title         string
		Guards, Confirmed int
		Complete          bool
		SlowestMs         float64
	}
	cut := decode[receipt](t, send("POST", "/v1.0/curfew/users/"+w.names["ada"]+"/revoke", hedy).Body)
	if cut.ID == "" || cut.Guards != 1 || cut.Confirmed != 0 || cut.Title != "unconfirmed" {
		t.Fatalf("%+v", cut)
	}
	if res := send("GET", "/v1.0/curfew/receipts/"+cut.ID+"/events", w.token("dennis:User.Read")); res.StatusCode != 403 {
		t.Errorf("without permission: %d", res.StatusCode)
	}
	if res := send("GET", "/v1.0/curfew/receipts/rc_00000000-9/events", hedy); res.StatusCode != 404 {
		t.Errorf("of nothing: %d", res.StatusCode)
	}
	res := send("GET", "/v1.0/curfew/receipts/"+cut.ID+"/events", hedy)
	if got := res.Header.Get("Content-Type"); res.StatusCode != 200 || got != "text/event-stream" {
		t.Fatalf("%d %s", res.StatusCode, got)
	}
	lines := bufio.NewScanner(res.Body)
	next := func() (event string, r receipt) {
		t.Helper()
		for lines.Scan() {
			switch name, data, _ := strings.Cut(lines.Text(), ": "); name {
			case "event":
				event = data
			case "data":
				if event == "" {
					w.must(json.Unmarshal([]byte(data), &r))
				}
				return event, r
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return "", r
	}
	if _, r := next(); r.Confirmed != 0 || r.ID != cut.ID {
		t.Errorf("first %+v", r)
	}
	w.clock.Add(40 * time.Millisecond)
	w.ask("mail-1") // is given the line
	w.ask("mail-1") // and says that it has it
	_, r := next()
	for r.Confirmed == 0 {
		_, r = next()
	}
	if !r.Complete || r.Title != "over" || r.SlowestMs != 40 {
		t.Errorf("confirmed: %+v", r)
	}
	if event, _ := next(); event != "end" {
		t.Errorf("then %q", event)
	}

	// Whoever is cut while watching is sent nothing more.
	w.code(w.signIn("ada"), "mail", clientSecret, "api://mail/Mail.Read offline_access", false)
	cut = decode[receipt](t, send("POST", "/v1.0/curfew/users/"+w.names["ada"]+"/revoke", hedy).Body)
	res = send("GET", "/v1.0/curfew/receipts/"+cut.ID+"/events", hedy)
	lines = bufio.NewScanner(res.Body)
	next()
	if res := send("POST", "/v1.0/users/"+w.names["hedy"]+"/revokeSignInSessions", w.token("grace")); res.StatusCode != 200 {
		t.Fatal(res.StatusCode)
	}
	w.ask("mail-1")
	w.ask("mail-1")
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "data") {
			t.Errorf("sent to somebody who was cut: %s", lines.Text())
		}
	}
	server.Close() // waits for what is on its way out
	if n := w.Streams.Load(); n != 0 {
		t.Errorf("%d streams are open", n)
	}
	w.Streams.Store(own.MaxStreams)
	if res := w.do("GET", "/v1.0/curfew/receipts/"+cut.ID+"/events", w.token("grace"), nil, nil); res.StatusCode != 429 {
		t.Errorf("too many: %d", res.StatusCode)
	}
}

// TestWritesBearTheirRequest: what the caller is told to quote is what the audit
// log holds.
func TestWritesBearTheirRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	res := w.do("POST", "/v1.0/users/"+w.names["ada"]+"/revokeSignInSessions", w.token("hedy"), http.Header{"Curfew-Reason": {"Frühjahrsputz"}}, nil)
	all := must(w.Manage.Audits(t.Context(), operator, manage.AuditQuery{Target: w.names["ada"], Limit: 1}))
	if len(all) != 1 || all[0].Request != res.Header.Get("request-id") || all[0].IP != "198.51.100.4" || all[0].Reason != "Frühjahrsputz" || all[0].Client != "curfew-cli" {
		t.Errorf("%+v", all)
	}
}

// TestCutWhileItActs: an administrator who is cut between the judgement of the
// token and the commit changes nothing.
func TestCutWhileItActs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token("hedy+cp1")
	actor, access, err := w.Issue.Actor(t.Context(), token, issue.Meta{})
	w.must(err)
	if res := w.do("POST", "/v1.0/users/"+w.names["hedy"]+"/revokeSignInSessions", w.token("grace"), nil, nil); res.StatusCode != 200 {
		t.Fatal(res.StatusCode)
	}
	rec := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/", nil)
	r.SetPathValue("user", w.names["ada"])
	c := &call{W: rec, R: r, Actor: actor, Access: access, Token: token}
	err = w.postRevokeSignInSessions(c)
	if !fault.Is(err, fault.Revoked) {
		t.Fatalf("%v", err)
	}
	w.Fail(c, err)
	if rec.Code != 401 || !strings.Contains(rec.Header().Get("WWW-Authenticate"), `error="insufficient_claims", claims="`) {
		t.Errorf("%d %v", rec.Code, rec.Header())
	}
}
