package oidc_test

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// refused checks that an answer is an error of the caller's, in JSON.
func refused(t testing.TB, rec *httptest.ResponseRecorder, what string) {
	t.Helper()
	if rec.Code < 400 || rec.Code >= 500 {
		t.Errorf("%s: %d %s", what, rec.Code, rec.Body)
		return
	}
	if rec.Header().Get("Content-Type") != "application/json" || text(t, rec, "error") == "" || text(t, rec, "error_description") == "" {
		t.Errorf("%s: not an OAuth error: %v %s", what, rec.Header(), rec.Body)
	}
	if rec.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%s: may be stored", what)
	}
	if strings.Contains(rec.Body.String(), "goroutine") || strings.Contains(rec.Body.String(), ".go:") {
		t.Errorf("%s: shows what is inside: %s", what, rec.Body)
	}
}

func TestBodiesThatAreNotForms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.writes.Load()
	good := refreshForm("cfr_x").Encode()
	for name, header := range map[string][]string{
		"no type":        {"Content-Type", ""},
		"JSON":           {"Content-Type", "", "Content-Type", "application/json"},
		"multipart":      {"Content-Type", "", "Content-Type", "multipart/form-data; boundary=x"},
		"compressed":     {"Content-Encoding", "gzip"},
		"claims no JSON": nil, "two headers": {"Authorization", basicAuth("tripboard", ""), "Authorization", basicAuth("tripboard", "")},
	} {
		body := good
		if name == "claims no JSON" {
			body += "&claims=%7B"
		}
		refused(t, w.do("POST", "/oauth2/token", body, header...), name)
	}
	refused(t, w.do("POST", "/oauth2/token", strings.Repeat("a=b&", 101)), "the same a hundred times")
	many := url.Values{}
	for i := range 200 {
		many.Set("p"+strings.Repeat("x", i), "1")
	}
	refused(t, w.post("/oauth2/token", many), "two hundred parameters")
	if rec := w.post("/oauth2/token", refreshForm("cfr_x"), "Content-Type", "", "Content-Type", "application/x-www-form-urlencoded; charset=UTF-8"); text(t, rec, "error") != "invalid_grant" {
		t.Errorf("a charset is no reason to refuse: %s", rec.Body)
	}
	if n := w.writes.Load() - before; n != 0 {
		t.Errorf("%d statements wrote something", n)
	}
}

func TestClientAuthentication(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := func(more ...string) url.Values {
		return with(url.Values{"grant_type": {"client_credentials"}, "scope": {"api://mail/.default"}}, more...)
	}
	for _, c := range []struct {
		name   string
		form   url.Values
		header []string
		status int
		code   string
		basic  bool // answered with a challenge
	}{
		{"Basic", f(), mailroom, 200, "", false},
		{"Basic, the scheme in small letters", f(), []string{"Authorization", "basic" + mailroom[1][5:]}, 200, "", false},
		{"Basic and the same client_id", f("client_id", "mailroom"), mailroom, 200, "", false},
		{"Basic and another client_id", f("client_id", "tripboard"), mailroom, 400, "invalid_request", false},
		{"both ways at once", f("client_id", "mailroom", "client_secret", secret), mailroom, 400, "invalid_request", false},
		{"the secret not form-encoded", f(), []string{"Authorization", "Basic " + strings.TrimPrefix(rawBasic("mailroom", secret), "Basic ")}, 401, "invalid_client", true},
		{"no colon", f(), []string{"Authorization", "Basic bWFpbHJvb20="}, 401, "invalid_client", true},
		{"not base64", f(), []string{"Authorization", "Basic !!"}, 401, "invalid_client", true},
		{"unknown", f("client_id", "nobody", "client_secret", "x"), nil, 401, "invalid_client", false},
		{"no secret", f("client_id", "mailroom"), nil, 401, "invalid_client", false},
		{"an assertion", f("client_id", "mailroom", "client_assertion", "x", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), nil, 401, "invalid_client", false},
		{"a public client with a secret", with(refreshForm("cfr_x"), "client_secret", "x"), nil, 401, "invalid_client", false},
		{"a public client by Basic without a secret", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"cfr_x"}}, []string{"Authorization", basicAuth("tripboard", "")}, 400, "invalid_grant", false},
		{"a secret in the address", f("client_id", "mailroom"), nil, 401, "invalid_client", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := "/oauth2/token"
			if c.name == "a secret in the address" {
				path += "?client_secret=" + url.QueryEscape(secret)
			}
			rec := w.post(path, c.form, c.header...)
			if rec.Code != c.status || c.code != "" && text(t, rec, "error") != c.code {
				t.Errorf("%d %s", rec.Code, rec.Body)
			}
			if got := rec.Header().Get("WWW-Authenticate") != ""; got != c.basic {
				t.Errorf("challenge %v: %q", got, rec.Header().Get("WWW-Authenticate"))
			}
		})
	}
}

func rawBasic(id, secret string) string {
	r := httptest.NewRequest("GET", "/", nil)
	r.SetBasicAuth(id, secret)
	return r.Header.Get("Authorization")
}

// Tokens that are not ours, or not for this: never good, never an error of ours.
func TestForeignTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rec := w.tokens(allScopes)
	access, id, refresh := text(t, rec, "access_token"), text(t, rec, "id_token"), text(t, rec, "refresh_token")
	parts := strings.Split(access, ".")
	other := newWorld(t)
	other.Ada = w.Ada
	before := w.writes.Load()
	for name, token := range map[string]string{
		"empty parts": "..", "two parts": parts[0] + "." + parts[1], "four parts": access + ".x", "no signature": parts[0] + "." + parts[1] + ".",
		"alg none":         "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0." + parts[1] + ".",
		"altered":          parts[0] + "." + parts[1][:10] + "A" + parts[1][11:] + "." + parts[2],
		"another's":        text(t, other.tokens(allScopes), "access_token"),
		"an ID token":      id,
		"a broken refresh": refresh[:len(refresh)-2] + "xx",
		"another refresh":  "cfr_" + strings.Repeat("A", len(refresh)-4),
		"long":             strings.Repeat("a", 20000),
		"unicode":          "ünïcödé",
	} {
		if rec := w.post("/oauth2/introspect", url.Values{"token": {token}}, mailroom...); rec.Code != 200 || strings.TrimSpace(rec.Body.String()) != `{"active":false}` {
			t.Errorf("introspect, %s: %d %s", name, rec.Code, rec.Body)
		}
		if rec := w.post("/oauth2/revoke", url.Values{"token": {token}, "client_id": {"tripboard"}}); rec.Code != 200 {
			t.Errorf("revoke, %s: %d %s", name, rec.Code, rec.Body)
		}
		if rec := w.post("/oidc/userinfo", url.Values{"access_token": {token}}); rec.Code != 401 {
			t.Errorf("userinfo, %s: %d %s", name, rec.Code, rec.Body)
		}
		if rec := w.post("/common/oauth2/v2.0/token", refreshForm(token)); rec.Code < 400 || rec.Code == 500 {
			t.Errorf("refresh, %s: %d %s", name, rec.Code, rec.Body)
		}
	}
	if n := w.writes.Load() - before; n != 0 {
		t.Errorf("%d statements wrote something", n)
	}
	if rec := w.post("/common/oauth2/v2.0/token", refreshForm(refresh)); rec.Code != 200 {
		t.Errorf("the real one died: %s", rec.Body)
	}
}

func TestCorrelationIsEchoedOnlyIfItIsOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const id = "8e0fd1c2-0000-4000-8000-00000000abcd"
	for _, rec := range []*httptest.ResponseRecorder{
		w.post("/oauth2/token", url.Values{}, "client-request-id", id),
		w.post("/oauth2/token?client-request-id="+id, url.Values{}),
	} {
		if got := text(t, rec, "correlation_id"); got != id {
			t.Errorf("correlation id %q", got)
		}
	}
	rec := w.post("/oauth2/token", url.Values{}, "client-request-id", `"},{"`)
	if got := text(t, rec, "correlation_id"); len(got) != 36 || strings.Contains(got, `"`) {
		t.Errorf("correlation id %q", got)
	}
}

// Busy is told with a time to come back, revoked never: a client of Microsoft's
// that is told to wait waits instead of asking the person to sign in.
func TestRetryAfterOnlyWhereWaitingHelps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := text(t, w.tokens(allScopes), "refresh_token")
	codes := map[int]int{}
	var last *httptest.ResponseRecorder
	for range 6 {
		last = w.post("/common/oauth2/v2.0/token", refreshForm(token))
		codes[last.Code]++
	}
	if codes[200] != 4 || codes[503] != 2 || last.Header().Get("Retry-After") != "1" || text(t, last, "error") != "temporarily_unavailable" {
		t.Errorf("retries: %v, %v %s", codes, last.Header(), last.Body)
	}
	w.Revoke(w.Ada)
	if last = w.post("/common/oauth2/v2.0/token", refreshForm(token)); last.Header().Get("Retry-After") != "" || text(t, last, "suberror") != "bad_token" {
		t.Errorf("revoked: %v %s", last.Header(), last.Body)
	}
}
