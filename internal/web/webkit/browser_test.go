package webkit

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/fault"
)

func TestEveryKindOfFaultHasAPage(t *testing.T) {
	t.Parallel()
	for _, k := range fault.Kinds() {
		err := fault.Wrap(k, "What to show.", errors.New("s3cret cause"))
		if k == fault.Internal {
			continue
		}
		w := httptest.NewRecorder()
		WriteError(w, httptest.NewRequest("GET", "/", nil), err)
		if want := StatusOf(err); w.Code != want || want < 400 {
			t.Errorf("%v: status %d, want %d", k, w.Code, want)
		}
		if b := w.Body.String(); !strings.Contains(b, "What to show.") || strings.Contains(b, "s3cret") || !strings.Contains(b, wire[k].title) {
			t.Errorf("%v: page %.200s", k, b)
		}
	}
	w := httptest.NewRecorder()
	WriteError(w, httptest.NewRequest("GET", "/", nil), errors.New("s3cret cause"))
	if w.Code != 500 || strings.Contains(w.Body.String(), "s3cret") {
		t.Errorf("an error of ours: %d %s", w.Code, w.Body)
	}
	if len(wire) != len(fault.Kinds()) {
		t.Errorf("%d kinds mapped, %d exist", len(wire), len(fault.Kinds()))
	}
}

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stay", func(w http.ResponseWriter, r *http.Request) {})
	mux.HandleFunc("GET /leave", func(w http.ResponseWriter, r *http.Request) { FormMayLeave(w) })
	h := Browser(mux)
	get := func(path string) http.Header {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w.Header()
	}
	stay, leave := get("/stay"), get("/leave")
	for k, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store", "X-Frame-Options": "DENY"} {
		if stay.Get(k) != want || leave.Get(k) != want {
			t.Errorf("%s: %q", k, stay.Get(k))
		}
	}
	csp := stay.Get("Content-Security-Policy")
	for _, d := range []string{"default-src 'none'", "style-src 'self'", "script-src 'self'", "img-src 'self' data:", "connect-src 'self'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'"} {
		if !strings.Contains(csp, d) {
			t.Errorf("no %s in %q", d, csp)
		}
	}
	if strings.Contains(csp, "unsafe") {
		t.Error("unsafe policy")
	}
	if got := leave.Get("Content-Security-Policy"); strings.Contains(got, "form-action") || !strings.Contains(got, "default-src 'none'") {
		t.Errorf("a form may not leave: %q", got)
	}
}

func TestCrossOriginPostIsRefusedExceptWhereAStandardWantsIt(t *testing.T) {
	t.Parallel()
	served := ""
	mux := http.NewServeMux()
	mux.HandleFunc("POST /signin", func(w http.ResponseWriter, r *http.Request) { served = "signin" })
	mux.HandleFunc("POST /authorize", func(w http.ResponseWriter, r *http.Request) { served = "authorize" })
	h := Browser(mux, "POST /authorize")
	post := func(path, site string) int {
		served = ""
		r := httptest.NewRequest("POST", "https://id.contoso.example"+path, strings.NewReader("a=b"))
		r.Header.Set("Sec-Fetch-Site", site)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	if c := post("/signin", "cross-site"); c != http.StatusForbidden || served != "" {
		t.Errorf("cross-site sign-in: %d, served %q", c, served)
	}
	if c := post("/signin", "same-origin"); c != http.StatusOK || served != "signin" {
		t.Errorf("our own form: %d", c)
	}
	if c := post("/authorize", "cross-site"); c != http.StatusOK || served != "authorize" {
		t.Errorf("authorize: %d", c)
	}
}

func TestObserveLogsTheRouteAndNothingElse(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	var id string
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{name}", func(w http.ResponseWriter, r *http.Request) {
		id = RequestID(r.Context())
		w.WriteHeader(http.StatusTeapot)
	})
	mux.HandleFunc("GET /boom", func(w http.ResponseWriter, r *http.Request) { panic("broken invariant") })
	h := Observe(slog.New(slog.NewTextHandler(&out, nil)), mux)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/users/ada?code=s3cret", nil))
	line := out.String()
	for _, want := range []string{"method=GET", `route="GET /users/{name}"`, "status=418", "ms=", "request=" + id} {
		if !strings.Contains(line, want) {
			t.Errorf("no %s in %s", want, line)
		}
	}
	if strings.Contains(line, "s3cret") || strings.Contains(line, "ada") {
		t.Errorf("the line tells too much: %s", line)
	}
	if id == "" || w.Header().Get("X-Request-Id") != id || strings.Count(line, "\n") != 1 {
		t.Errorf("id %q, lines %q", id, line)
	}

	out.Reset()
	w = httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/boom", nil))
	if w.Code != 500 || strings.Contains(w.Body.String(), "broken") || !strings.Contains(w.Body.String(), "went wrong on our side") {
		t.Errorf("a panic answers %d %s", w.Code, w.Body)
	}
	if l := out.String(); !strings.Contains(l, "broken invariant") || !strings.Contains(l, "level=ERROR") || !strings.Contains(l, "status=500") {
		t.Errorf("a panic is not loud: %s", l)
	}
}

func TestForms(t *testing.T) {
	t.Parallel()
	const urlencoded = "application/x-www-form-urlencoded"
	for name, c := range map[string]struct {
		body, kind string
		repeat     []string
		ok         bool
	}{
		"plain":                {"username=ada&password=a+b%26c", urlencoded, nil, true},
		"with charset":         {"username=ada&password=a+b%26c", urlencoded + "; charset=utf-8", nil, true},
		"twice":                {"username=ada&username=grace", urlencoded, nil, false},
		"may repeat":           {"username=ada&password=a+b%26c&id=1&id=2", urlencoded, []string{"id"}, true},
		"json":                 {`{"username":"ada"}`, "application/json", nil, false},
		"multipart":            {"x", "multipart/form-data; boundary=x", nil, false},
		"no type":              {"username=ada", "", nil, false},
		"bad escape":           {"username=%zz", urlencoded, nil, false},
		"semicolon":            {"username=ada;password=b", urlencoded, nil, false},
		"not text":             {"username=%ff%fe", urlencoded, nil, false},
		"nul":                  {"username=ada%00", urlencoded, nil, false},
		"just small enough":    {"username=ada&password=a+b%26c&x=" + strings.Repeat("y", MaxForm-40), urlencoded, nil, true},
		"too large":            {"username=ada&x=" + strings.Repeat("y", MaxForm), urlencoded, nil, false},
		"too many":             {strings.Repeat("id=1&", maxFields+1), urlencoded, []string{"id"}, false},
		"a bad name":           {"%ff=1", urlencoded, nil, false},
		"query is not a field": {"username=ada&password=a+b%26c", urlencoded, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("POST", "/?username=mallory&extra=1", strings.NewReader(c.body))
			r.Header.Set("Content-Type", c.kind)
			f, err := ParseForm(httptest.NewRecorder(), r, c.repeat...)
			if (err == nil) != c.ok {
				t.Fatalf("error %v", err)
			}
			if err != nil {
				if !fault.Is(err, fault.Invalid) {
					t.Errorf("kind %v", fault.KindOf(err))
				}
				return
			}
			if f.Get("username") != "ada" || f.Get("password") != "a b&c" || f.Has("extra") {
				t.Errorf("fields %v", f)
			}
			if name == "may repeat" && len(f.All("id")) != 2 {
				t.Errorf("ids %v", f.All("id"))
			}
		})
	}
	if _, err := ParseQuery(httptest.NewRequest("GET", "/?state=a&state=b", nil)); !fault.Is(err, fault.Invalid) {
		t.Errorf("a query with a name twice: %v", err)
	}
	if q, err := ParseQuery(&http.Request{URL: &url.URL{RawQuery: "q=ada"}}); err != nil || q.Get("q") != "ada" {
		t.Errorf("query %v %v", q, err)
	}
}

func TestAssetsAreHashedAndKeptForEver(t *testing.T) {
	t.Parallel()
	u, err := AssetURL("curfew.css")
	if err != nil {
		t.Fatal(err)
	}
	get := func(path, accept string) *http.Response {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("Accept-Encoding", accept)
		w := httptest.NewRecorder()
		Assets().ServeHTTP(w, r)
		return w.Result()
	}
	plain := get(u, "")
	body, _ := io.ReadAll(plain.Body)
	if !bytes.Equal(body, byName["curfew.css"].plain) || !strings.Contains(plain.Header.Get("Cache-Control"), "immutable") || plain.Header.Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("plain: %v", plain.Header)
	}
	zipped := get(u, "br, gzip;q=0.8")
	zr, err := gzip.NewReader(zipped.Body)
	if err != nil || zipped.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("gzip: %v %v", err, zipped.Header)
	}
	if unzipped, _ := io.ReadAll(zr); !bytes.Equal(unzipped, body) {
		t.Error("gzip holds something else")
	}
	if get(u, "gzip;q=0").Header.Get("Content-Encoding") != "" {
		t.Error("gzip for somebody who refuses it")
	}
	for _, path := range []string{"/assets/curfew.css", "/assets/", "/assets/../doc.go", strings.Replace(u, "curfew.", "curfew.0", 1)} {
		if c := get(path, "").StatusCode; c != 404 {
			t.Errorf("%s: %d", path, c)
		}
	}
	if _, err := AssetURL("nothing.css"); err == nil {
		t.Error("an unknown asset is no error")
	}
}

func TestStreamKeepsFragmentsWhole(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(Observe(slog.New(slog.DiscardHandler), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := NewStream(w)
		if err != nil {
			t.Error(err)
			return
		}
		if err := errors.Join(s.Send([]byte("<p>one\n\ndata: two</p>\n")), s.Keep(), s.End()); err != nil {
			t.Error(err)
		}
	})))
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	want := "retry: 1000\n\ndata: <p>one\ndata: \ndata: data: two</p>\n\n: keep\n\nevent: end\ndata: end\n\n"
	if string(b) != want || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("stream %q", b)
	}
}

func TestWishesComeBackFromTheirCookies(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]Theme{"dark": Dark, "light": Light, "": System, `"><script>`: System} {
		w := httptest.NewRecorder()
		SetTheme(w, ParseTheme(value), true)
		r := httptest.NewRequest("GET", "/", nil)
		for _, c := range w.Result().Cookies() {
			if c.MaxAge >= 0 {
				r.AddCookie(c)
			}
		}
		if got := ThemeOf(r); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(&http.Cookie{Name: themeCookie, Value: "purple"})
	if ThemeOf(r) != System {
		t.Error("an unknown theme is taken")
	}
	for _, off := range []bool{true, false} {
		w := httptest.NewRecorder()
		SetNoKeys(w, off, true)
		r := httptest.NewRequest("GET", "/", nil)
		for _, c := range w.Result().Cookies() {
			if c.MaxAge >= 0 {
				r.AddCookie(c)
			}
		}
		if NoKeysOf(r) != off {
			t.Errorf("keys off %v is not remembered", off)
		}
	}
}

func TestBrokenPageSendsNothing(t *testing.T) {
	t.Parallel()
	p := NewPage[string](Parse(nil, nil), "error") // a view of the wrong type
	w := httptest.NewRecorder()
	if err := p.Write(w, 200, "x"); err == nil || w.Body.Len() > 0 {
		t.Errorf("error %v, %d bytes sent", err, w.Body.Len())
	}
}
