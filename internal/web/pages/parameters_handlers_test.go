package pages_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

// asked is what may be done to a parameter of an authorization request.
type asked struct {
	good    string // in an otherwise good request; empty: the request's own
	page    bool   // what is wrong with it is told on a page: nobody may be sent anywhere
	missing string // the error when it is left out; empty: it may be
	many    bool   // it may be there more than once
	wrong   map[string]string
}

const invalid = "invalid_request"

var long = strings.Repeat("a", 9000)

// authorizeTakes are all parameters of the authorization endpoint, which are those
// that can be pushed.
var authorizeTakes = map[string]asked{
	"client_id":             {page: true, missing: invalid, wrong: map[string]string{"nobody": "", "mailroom": "", long: "", "[1]": ""}},
	"redirect_uri":          {page: true, missing: invalid, wrong: map[string]string{"https://mailroom.example/cb": "", long: "", "[1]": "", "https://evil.example/cb": ""}},
	"response_type":         {missing: invalid, wrong: map[string]string{"token": "unsupported_response_type", "code id_token": "unsupported_response_type", "[1]": "unsupported_response_type", long: "unsupported_response_type"}},
	"response_mode":         {good: "query", wrong: map[string]string{"web_message": invalid, "[1]": invalid, long: invalid}},
	"scope":                 {missing: "invalid_scope", wrong: map[string]string{"api://nowhere/x": "invalid_scope", "api://mail/Nothing": "invalid_scope", "[1]": "invalid_scope", long: invalid}},
	"resource":              {good: "api://mail", many: true, wrong: map[string]string{"api://nowhere": "invalid_target", "[1]": "invalid_target", long: "invalid_target"}},
	"state":                 {wrong: map[string]string{long: invalid}},
	"nonce":                 {wrong: map[string]string{long: invalid}},
	"code_challenge":        {missing: invalid, wrong: map[string]string{"short": invalid, long: invalid, "[1]": invalid, strings.Repeat("=", 43): invalid}},
	"code_challenge_method": {missing: invalid, wrong: map[string]string{"plain": invalid, long: invalid, "s256": invalid}},
	"prompt":                {good: "consent", wrong: map[string]string{"sometimes": invalid, "none login": invalid, long: invalid}},
	"max_age":               {good: "3600", wrong: map[string]string{"-1": invalid, "1.5": invalid, "99999999999999": invalid, "[1]": invalid, long: invalid}},
	"login_hint":            {good: "ada@contoso.example", wrong: map[string]string{long: invalid}},
	"id_token_hint":         {wrong: map[string]string{"a.b.c": invalid, long: invalid, "[1]": invalid}},
	"claims":                {good: `{"access_token":{}}`, wrong: map[string]string{"[]": invalid, "x": invalid, long: invalid, `{"id_token":1}`: invalid}},
	"acr_values":            {good: "1", wrong: map[string]string{long: invalid}},
	"dpop_jkt":              {wrong: map[string]string{"short": invalid, long: invalid, "[1]": invalid}},
	"request":               {wrong: map[string]string{"x.y.z": "request_not_supported", "": "request_not_supported"}},
	"request_uri":           {wrong: map[string]string{"https://x.example": "request_uri_not_supported"}},
	"registration":          {wrong: map[string]string{"{}": "registration_not_supported"}},
}

var pageReaders = []string{"one", "q.Has", "q.Get", "q[]"}

// Every parameter of an authorization request, in an address, posted and pushed:
// missing, doubled, not text, too long, of the wrong type or somebody else's. The
// application is told which, a page is shown where nobody may be sent anywhere,
// and nothing is stored.
func TestEveryParameterOfAnAuthorizationRequestSpoiled(t *testing.T) {
	t.Parallel()
	if got, want := webkittest.Parameters(t, "parse", pageReaders...), slices.Sorted(maps.Keys(authorizeTakes)); !slices.Equal(got, want) {
		t.Errorf("the sources read\n%v, the table has\n%v", got, want)
	}
	s := open(t)
	b := s.browser()
	b.signIn(b.get("/signin"), "ada")
	s.consented(s.Ada)
	const at, push = "/common/oauth2/v2.0/authorize", "/common/oauth2/v2.0/par"
	// send sends a request in all three ways.
	send := func(what, name, raw, code string) {
		t.Helper()
		row, rows := authorizeTakes[name], s.Rows()
		// What is no form is told on a page, before it is known whose it would be.
		formless := strings.Contains(what, "doubled") || strings.Contains(what, "NUL") || strings.Contains(what, "UTF-8")
		for way, p := range map[string]*page{"asked": b.get(at + "?" + raw), "posted": b.form(at, raw)} {
			switch {
			case formless && way == "posted":
				if p.to != nil || p.status != 400 || !p.says("The field "+name+" ") {
					t.Errorf("%s, %s: %d to %v, want a page that names it", what, way, p.status, p.to)
				}
			case code == "" && row.page: // whichever it is, on a page
				if p.to != nil || p.status != 400 && p.status != 404 {
					t.Errorf("%s, %s: %d to %v, want a page", what, way, p.status, p.to)
				}
			case p.to == nil || p.answer().Get("error") != code || p.answer().Get("error_description") == "" || p.answer().Get("iss") == "":
				t.Errorf("%s, %s: %d to %v, want %s", what, way, p.status, p.to, code)
			case p.to.Host != "tripboard.example":
				t.Errorf("%s, %s: sent to %v", what, way, p.to)
			}
		}
		status, m := s.post(push, raw)
		if got, _ := m["error"].(string); status < 400 || status > 499 || m["error_description"] == "" || code != "" && got != code && name != "request_uri" {
			t.Errorf("%s, pushed: %d %v, want %s", what, status, m, code)
		}
		if now := s.Rows(); now != rows {
			t.Errorf("%s: something was stored:\n%s\nbefore:\n%s", what, now, rows)
		}
	}
	told := func(row asked, code string) string {
		if row.page {
			return ""
		}
		return code
	}
	for name, row := range authorizeTakes {
		rest := params(name, "").Encode() + "&" + name + "="
		good := row.good
		if good == "" {
			good = params().Get(name)
		}
		if row.missing != "" {
			send(name+" missing", name, params(name, "").Encode(), told(row, row.missing))
			send(name+" empty", name, rest, told(row, row.missing))
		}
		if good != "" && !row.many {
			twice := rest + url.QueryEscape(good)
			send(name+" doubled", name, twice+"&"+name+"="+url.QueryEscape(good), told(row, invalid))
			if _, m := s.post(push, twice+"&"+name+"=x"); !strings.Contains(m["error_description"].(string), name) {
				t.Errorf("%s doubled: %v", name, m)
			}
		}
		if len(row.wrong) > 0 && !strings.HasPrefix(name, "re") {
			send(name+" NUL", name, rest+"a%00b", told(row, invalid))
			send(name+" not UTF-8", name, rest+"%ff", told(row, invalid))
		}
		for bad, code := range row.wrong {
			send(name+" "+bad[:min(len(bad), 30)], name, rest+url.QueryEscape(bad), told(row, code))
		}
		broken := b.get(at + "?" + rest + "%zz")
		if broken.to != nil || broken.status != 400 {
			t.Errorf("%s broken: %d to %v", name, broken.status, broken.to)
		}
		if p := b.form(at, rest+strings.Repeat("a", 70<<10)); p.to != nil || p.status != 400 {
			t.Errorf("%s huge: %d to %v", name, p.status, p.to)
		}
	}
	// A pushed request is its application's.
	_, uri := s.push(t, params())
	rows := s.Rows()
	for what, raw := range map[string]string{"another's": "client_id=mailroom&request_uri=" + url.QueryEscape(uri), "nobody's": "client_id=&request_uri=" + url.QueryEscape(uri), "of no application": "request_uri=" + url.QueryEscape(uri),
		"unknown": "client_id=tripboard&request_uri=" + url.QueryEscape(uri+"x"), "doubled": "client_id=tripboard&request_uri=" + url.QueryEscape(uri) + "&request_uri=" + url.QueryEscape(uri)} {
		if p := b.get(at + "?" + raw); p.to != nil || p.status != 400 || s.Rows() != rows {
			t.Errorf("a request_uri that is %s: %d to %v", what, p.status, p.to)
		}
	}
	// The request that was spoiled is good.
	if q := b.get(request()).answer(); q.Get("code") == "" {
		t.Errorf("not spoiled: %v", q)
	}
}

// Nobody is signed out, and nobody sent anywhere, by a request that is wrong.
func TestEveryParameterOfASignOutSpoiled(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.browser()
	b.signIn(b.get("/signin"), "ada")
	s.consented(s.Ada)
	hint := func(scope string) string {
		t.Helper()
		_, m := s.redeem(b.get(request("scope", scope)).answer().Get("code"))
		id, _ := m["id_token"].(string)
		if id == "" {
			t.Fatalf("%v", m)
		}
		return id
	}
	id := hint("openid")
	stranger := open(t)
	other := stranger.browser()
	other.signIn(other.get("/signin"), "ada")
	stranger.consented(stranger.Ada)
	_, m := stranger.redeem(other.get(request("scope", "openid")).answer().Get("code"))
	takes := map[string]map[string]string{ // what is wrong, by name
		"id_token_hint":            {"no token": "a.b.c", "long": long, "JSON": "[1]", "of another server": m["id_token"].(string)},
		"client_id":                {"unknown": "nobody", "another's": "mailroom", "long": long, "JSON": "[1]"},
		"post_logout_redirect_uri": {"not registered": "https://evil.example/bye", "a redirect URI": callback, "long": long, "JSON": "[1]", "another's": "https://mailroom.example/cb"},
		"state":                    {"long": long},
		"logout_hint":              nil,
		"ui_locales":               nil,
	}
	if got, want := webkittest.Parameters(t, "parseLogout", pageReaders...), slices.Sorted(maps.Keys(takes)); !slices.Equal(got, want) {
		t.Errorf("the sources read\n%v, the table has\n%v", got, want)
	}
	good := url.Values{"id_token_hint": {id}, "client_id": {"tripboard"}, "post_logout_redirect_uri": {goodbye}, "state": {"s-1"}, "logout_hint": {"ada@contoso.example"}, "ui_locales": {"en"}}
	cookie := b.cookie().Value
	for name, wrong := range takes {
		rest := url.Values{}
		maps.Copy(rest, good)
		rest.Del(name)
		raws := map[string]string{"doubled": name + "=" + url.QueryEscape(good.Get(name)) + "&" + name + "=" + url.QueryEscape(good.Get(name)), "NUL": name + "=a%00b", "not UTF-8": name + "=%ff", "broken": name + "=%zz"}
		for what, bad := range wrong {
			raws[what] = name + "=" + url.QueryEscape(bad)
		}
		for what, raw := range raws {
			rows := s.Rows()
			for _, path := range []string{"/common/oauth2/v2.0/logout", "/oauth2/logout"} {
				for way, p := range map[string]*page{"asked": b.get(path + "?" + rest.Encode() + "&" + raw), "posted": b.form(path, rest.Encode()+"&"+raw)} {
					if p.to != nil || p.status != 400 || p.header.Get("Refresh") != "" {
						t.Errorf("%s %s, %s: %d to %v", name, what, way, p.status, p.to)
					}
				}
			}
			if now := s.Rows(); now != rows || b.cookie() == nil || b.cookie().Value != cookie {
				t.Errorf("%s %s: something was stored:\n%s\nbefore:\n%s", name, what, now, rows)
			}
		}
	}
	if p := b.get("/common/oauth2/v2.0/logout?" + good.Encode()); p.to == nil || p.to.String() != goodbye+"?state=s-1" || b.cookie() != nil {
		t.Errorf("not spoiled: %d to %v", p.status, p.to)
	}
}

// form posts raw text as another site's form does.
func (b *browser) form(path, raw string) *page {
	b.s.t.Helper()
	r, err := http.NewRequest("POST", b.s.srv.URL+path, strings.NewReader(raw))
	if err != nil {
		b.s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Origin", "https://tripboard.example")
	return b.send(r)
}

// post posts raw text to an endpoint for applications.
func (s *site) post(path, raw string) (int, map[string]any) {
	s.t.Helper()
	r, err := http.NewRequest("POST", s.srv.URL+path, strings.NewReader(raw))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := s.srv.Client().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	var m map[string]any
	if err := json.NewDecoder(res.Body).Decode(&m); err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, m
}
