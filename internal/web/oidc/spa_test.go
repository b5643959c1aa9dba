package oidc_test

import (
	"strconv"
	"testing"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
)

func TestACodeIsRedeemedWhereItsApplicationRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code := w.code(allScopes, grant.Tenant)
	script := []string{"Origin", "https://tripboard.example"}
	refuses := func(what string, number int, header ...string) {
		t.Helper()
		before := w.writes.Load()
		rec := w.post(tokenPath, codeForm(code), header...)
		told(t, what, rec, 400, "invalid_request")
		if codes, _ := member(t, rec, "error_codes").([]any); len(codes) != 1 || codes[0] != float64(number) {
			t.Errorf("%s: %s; want %d", what, rec.Body, number)
		}
		if n := w.writes.Load() - before; n != 0 {
			t.Errorf("%s: %d statements wrote something", what, n)
		}
		if rec.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: a script cannot read why", what)
		}
	}
	refuses("a native application's, in a script", 9002326, script...)
	refuses("a native application's, in a frame without an origin", 9002326, "Origin", "null")
	if rec := w.post(tokenPath, codeForm(code)); rec.Code != 200 {
		t.Fatalf("in a native application: %s", rec.Body)
	}

	w.change("tripboard", func(a *directory.App) { a.RedirectURIs, a.SPARedirectURIs = nil, []string{callback} })
	code = w.code(allScopes, grant.Tenant)
	refuses("a script's, elsewhere", 9002327)
	rec := w.post(tokenPath, codeForm(code), script...)
	if rec.Code != 200 {
		t.Fatalf("in its script: %s", rec.Body)
	}
	if left, _ := member(t, rec, "refresh_token_expires_in").(float64); left != 24*3600 {
		t.Errorf("refresh token for %s s; want a day", strconv.FormatFloat(left, 'f', 0, 64))
	}
}
