package oidc_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// Whatever issuer a token is of, and at whichever it is asked about: a policy that keeps
// its person out makes it not active at once, and one that goes gives it back.
func TestIntrospectionAsksThePoliciesOfBothIssuers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tokens := map[string]string{
		"tenant": text(t, w.post("/common/oauth2/v2.0/token", codeForm(w.code(allScopes, grant.Tenant))), "access_token"),
		"plain":  text(t, w.post("/oauth2/token", codeForm(w.code(allScopes, grant.Plain))), "access_token"),
	}
	paths := []string{"/common/oauth2/v2.0/introspect", "/oauth2/introspect"}
	all := func(when string, active bool) {
		t.Helper()
		for issuer, token := range tokens {
			for _, path := range paths {
				rec := w.post(path, url.Values{"token": {token}}, mailroom...)
				if rec.Code != http.StatusOK || member(t, rec, "active") != active || !active && rec.Body.String() != "{\"active\":false}\n" {
					t.Errorf("%s: a token of %s at %s: %d %s", when, issuer, path, rec.Code, rec.Body)
				}
			}
		}
	}
	all("before", true)
	p := storetest.Policy(1, "", storetest.Blocks)
	w.Rule(p)
	all("blocked", false)
	w.Unrule(p)
	all("not blocked any more", true)
	const office = `"locations":{"includeLocations":["All"],"excludeLocations":["00000000-0000-4000-8000-000000000009"]}`
	w.Rule(storetest.Location(9, "192.0.2.0/24", false), storetest.Policy(1, office, storetest.Blocks))
	for address, active := range map[string]bool{"192.0.2.7": true, "198.51.100.7": false, "": false} {
		if rec := w.post(paths[1], url.Values{"token": {tokens["plain"]}, "address": {address}}, mailroom...); member(t, rec, "active") != active {
			t.Errorf("at %q: %d %s", address, rec.Code, rec.Body)
		}
	}
	told(t, "no address", w.post(paths[1], url.Values{"token": {tokens["plain"]}, "address": {"here"}}, mailroom...), http.StatusBadRequest, "invalid_request")
	w.Rule(&store.Document{Kind: store.PolicyDocument, ID: storetest.PolicyID(2), Doc: `{"what":"nonsense"}`})
	for _, path := range paths {
		if rec := w.post(path, url.Values{"token": {tokens["plain"]}}, mailroom...); rec.Code != http.StatusServiceUnavailable {
			t.Errorf("a policy that cannot be read, %s: %d %s", path, rec.Code, rec.Body)
		}
	}
}
