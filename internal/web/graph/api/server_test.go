package api

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/signin"
)

func TestEveryKindHasItsStatusAndCode(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	w := &Server{Base: "https://id.contoso.example", Issue: &issue.Service{Base: "https://id.contoso.example"}, Now: func() time.Time { return now }}
	var logged bytes.Buffer
	w.Log = slog.New(slog.NewTextHandler(&logged, nil))
	for _, k := range fault.Kinds() {
		want, ok := wires[k]
		if !ok {
			t.Errorf("%v has none", k)
		}
		cause := errors.New("hidden " + k.String())
		err := fault.Wrap(k, "A sentence", cause)
		rec := httptest.NewRecorder()
		w.Fail(&Call{W: rec, R: httptest.NewRequest("GET", "/v1.0/me", nil)}, err)
		if rec.Code != want.status || rec.Code < 400 {
			t.Errorf("%v: %d, want %d", k, rec.Code, want.status)
		}
		if body := rec.Body.String(); !strings.Contains(body, `"code":"`+string(want.code)+`"`) || !strings.Contains(body, `"message":"A sentence."`) || strings.Contains(body, "hidden") {
			t.Errorf("%v: %s", k, body)
		}
		if auth := rec.Header().Get("WWW-Authenticate"); (auth != "") != (rec.Code == 401) {
			t.Errorf("%v: WWW-Authenticate %q", k, auth)
		}
		if retry := rec.Header().Get("Retry-After"); (retry != "") != (rec.Code == 429 || rec.Code == 503) {
			t.Errorf("%v: Retry-After %q", k, retry)
		}
		if strings.Contains(logged.String(), "hidden "+k.String()) != (k == fault.Internal) {
			t.Errorf("%v: logged %q", k, logged.String())
		}
	}
	rec := httptest.NewRecorder()
	w.Fail(&Call{W: rec, R: httptest.NewRequest("GET", "/v1.0/me", nil)}, fault.Wrap(fault.Limited, "Wait.", &signin.TooMany{Until: now.Add(1500 * time.Millisecond)}))
	if got := rec.Header().Get("Retry-After"); got != "2" {
		t.Errorf("Retry-After %q", got)
	}
}

func FuzzAddress(f *testing.F) {
	for _, s := range []string{"/v1.0/users('a''b')/x", "/v1.0/me", "/beta/users/%2e%2e", "/v1.0/applications(appId='%2F')", "//", "/v1.0/users(id='(')", "/v1.0/%00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		plain, escaped, err := Normal(s)
		if err != nil {
			if k := fault.KindOf(err); k != fault.Invalid && k != fault.NotFound {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		again, twice, err := Normal(escaped)
		// A key may itself look like one in parentheses; anything else is in its form.
		if (err != nil || again != plain || twice != escaped) && !strings.ContainsAny(plain, "(") {
			t.Fatalf("%q became %q, then %q: %v", s, escaped, twice, err)
		}
		if strings.Contains(escaped, "//") || strings.Contains(escaped+"/", "/../") || strings.ContainsRune(plain, 0) {
			t.Fatalf("%q became %q", s, escaped)
		}
	})
}
