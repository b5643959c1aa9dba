package webkit

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestSessionCookieIsBoundToItsHost(t *testing.T) {
	t.Parallel()
	for secure, name := range map[bool]string{true: "__Host-curfew", false: "curfew"} {
		w := httptest.NewRecorder()
		SetSession(w, secure, "value", time.Hour)
		c := w.Result().Cookies()[0]
		if c.Name != name || c.Secure != secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode || c.MaxAge != 3600 {
			t.Errorf("secure %v: %v", secure, c)
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.AddCookie(c)
		if got := ReadSession(r, secure); got != "value" {
			t.Errorf("read %q", got)
		}
		if got := ReadSession(r, !secure); got != "" {
			t.Errorf("the other name reads %q", got)
		}
		w = httptest.NewRecorder()
		SetSession(w, secure, "value", 0)
		if c := w.Result().Cookies()[0]; c.MaxAge != 0 || !c.Expires.IsZero() {
			t.Errorf("a session of the browser's own life: %v", c)
		}
		w = httptest.NewRecorder()
		ClearSession(w, secure)
		if c := w.Result().Cookies()[0]; c.Name != name || c.Value != "" || c.MaxAge >= 0 || c.Secure != secure {
			t.Errorf("cleared: %v", c)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.AddCookie(&http.Cookie{Name: "curfew", Value: strings.Repeat("x", 300)})
	if ReadSession(r, false) != "" || ReadSession(httptest.NewRequest(http.MethodGet, "/", nil), false) != "" {
		t.Error("read a value that cannot be ours")
	}
}
