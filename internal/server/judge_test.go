package server_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfew-id/curfew/guard"
)

const capable = `{"access_token":{"xms_cc":{"values":["cp1"]}}}`

// capableSignIn is signIn of a client that understands claims challenges.
func (n *node) capableSignIn(t *testing.T, scope, user string) tokens {
	t.Helper()
	code := n.authorize(t, scope, user, "claims", capable)
	status, got := n.token(t, url.Values{"client_id": {"reader"}, "grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"http://localhost"}, "code_verifier": {verifier}, "claims": {capable}})
	if status != http.StatusOK {
		t.Fatalf("%d %+v", status, got)
	}
	return got
}

// policy creates a policy about ada and the mail, and returns its id.
func (n *node) policy(t testing.TB, admin, conditions, members string) string {
	t.Helper()
	var user, made struct{ ID string }
	if err := json.Unmarshal([]byte(n.graph(t, admin, "GET", "/users/ada@contoso.example", "", 200)), &user); err != nil {
		t.Fatal(err)
	}
	text := n.graph(t, admin, "POST", "/identity/conditionalAccess/policies", `{"displayName":"About ada","state":"enabled","conditions":{"users":{"includeUsers":["`+user.ID+`"]},
		"applications":{"includeApplications":["api://mail"]},"clientAppTypes":["all"]`+conditions+`},`+members+`}`, 201)
	if err := json.Unmarshal([]byte(text), &made); err != nil {
		t.Fatal(err)
	}
	return made.ID
}

// until asks the service until it says so, and how long that took.
func (m *mailService) until(t *testing.T, token string, status int) (*http.Response, time.Duration) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		res := m.ask(t, "/inbox", token, "")
		if res.StatusCode == status {
			return res, time.Since(began)
		}
		if time.Since(began) > 10*time.Second {
			t.Fatalf("%d %s, want %d", res.StatusCode, res.Header.Get("WWW-Authenticate"), status)
		}
	}
}

const blocks = `"grantControls":{"operator":"OR","builtInControls":["block"]}`

// A policy that is switched on reaches tokens that are out, through the real feed and
// the real introspection, and one that is switched off gives them back: nothing died.
func TestAChangedPolicyReachesTokensThatAreOut(t *testing.T) {
	t.Parallel()
	n := start(t, "")
	m := n.mailService(t)
	admin := n.anew(t).signIn(t, graphScope, "grace@contoso.example").Access
	plain, cp1 := n.anew(t).signIn(t, mailScope, "ada@contoso.example").Access, n.anew(t).capableSignIn(t, mailScope, "ada@contoso.example")
	other := n.anew(t).signIn(t, mailScope, "grace@contoso.example").Access
	for _, token := range []string{plain, cp1.Access, other} {
		if res := m.ask(t, "/inbox", token, ""); res.StatusCode != http.StatusNoContent {
			t.Fatalf("before: %d", res.StatusCode)
		}
	}
	id := n.policy(t, admin, "", blocks)
	res, took := m.until(t, plain, http.StatusUnauthorized)
	t.Logf("refused after %v", took)
	if parameter(res, "error") != "invalid_token" {
		t.Errorf("plain: %s", res.Header.Get("WWW-Authenticate"))
	}
	res, _ = m.until(t, cp1.Access, http.StatusUnauthorized)
	if parameter(res, "error") != "insufficient_claims" {
		t.Fatalf("capable: %s", res.Header.Get("WWW-Authenticate"))
	}
	claims, err := base64.StdEncoding.DecodeString(parameter(res, "claims"))
	if err != nil || !strings.Contains(string(claims), `"nbf"`) {
		t.Errorf("claims %s %v", claims, err)
	}
	// The client does what the challenge says, and is told by whom it is kept out.
	status, got := n.token(t, url.Values{"client_id": {"reader"}, "grant_type": {"refresh_token"}, "refresh_token": {cp1.Refresh}, "claims": {string(claims)}})
	if status != http.StatusBadRequest || got.Error != "invalid_grant" {
		t.Errorf("refresh: %d %+v", status, got)
	}
	if res := m.ask(t, "/inbox", other, ""); res.StatusCode != http.StatusNoContent {
		t.Errorf("grace: %d", res.StatusCode)
	}
	n.graph(t, admin, "PATCH", "/identity/conditionalAccess/policies/"+id, `{"state":"disabled"}`, 204)
	m.until(t, plain, http.StatusNoContent)
	m.until(t, cp1.Access, http.StatusNoContent)

	n.graph(t, admin, "PATCH", "/identity/conditionalAccess/policies/"+id, `{"state":"enabled","grantControls":{"operator":"OR","builtInControls":["mfa"]}}`, 204)
	if res, _ := m.until(t, plain, http.StatusUnauthorized); parameter(res, "error") != "insufficient_user_authentication" {
		t.Errorf("a second factor is missing: %s", res.Header.Get("WWW-Authenticate"))
	}
	if res, _ := m.until(t, cp1.Access, http.StatusUnauthorized); parameter(res, "error") != "insufficient_claims" {
		t.Errorf("a second factor is missing, capable: %s", res.Header.Get("WWW-Authenticate"))
	}
}

// The server judges by the address that the guard sees, not by the guard's own.
func TestATokenInDoubtIsJudgedByTheAddressTheGuardSees(t *testing.T) {
	t.Parallel()
	n := start(t, "")
	var at atomic.Value
	at.Store(netip.MustParseAddr("198.51.100.7"))
	m := n.mailService(t, func(c *guard.Config) {
		c.ClientAddress = func(*http.Request) netip.Addr { return at.Load().(netip.Addr) }
	})
	admin := n.anew(t).signIn(t, graphScope, "grace@contoso.example").Access
	var place struct{ ID string }
	if err := json.Unmarshal([]byte(n.graph(t, admin, "POST", "/identity/conditionalAccess/namedLocations", `{"@odata.type":"#microsoft.graph.ipNamedLocation","displayName":"Office","isTrusted":false,
		"ipRanges":[{"@odata.type":"#microsoft.graph.iPv4CidrRange","cidrAddress":"192.0.2.0/24"}]}`, 201)), &place); err != nil {
		t.Fatal(err)
	}
	token := n.signIn(t, mailScope, "ada@contoso.example").Access
	n.policy(t, admin, `,"locations":{"includeLocations":["All"],"excludeLocations":["`+place.ID+`"]}`, blocks)
	m.until(t, token, http.StatusUnauthorized)
	at.Store(netip.MustParseAddr("192.0.2.7"))
	m.until(t, token, http.StatusNoContent)
}

// A token is good from where policies let it be: the guard compares, asks about other
// addresses, and tells a client that understands. Where the resource sees another
// address than the server, it gets a short one that is good from everywhere, unless the
// policy is strict (reference/entra.md §5).
func TestATokenIsGoodFromWherePoliciesLetItBe(t *testing.T) {
	t.Parallel()
	n := start(t, "")
	var at atomic.Value
	at.Store(netip.MustParseAddr("127.0.0.1"))
	m := n.mailService(t, func(c *guard.Config) {
		c.ClientAddress = func(*http.Request) netip.Addr { return at.Load().(netip.Addr) }
	})
	admin := n.anew(t).signIn(t, graphScope, "grace@contoso.example").Access
	var place struct{ ID string }
	if err := json.Unmarshal([]byte(n.graph(t, admin, "POST", "/identity/conditionalAccess/namedLocations", `{"@odata.type":"#microsoft.graph.ipNamedLocation","displayName":"Office","isTrusted":false,
		"ipRanges":[{"@odata.type":"#microsoft.graph.iPv4CidrRange","cidrAddress":"127.0.0.0/8"},{"@odata.type":"#microsoft.graph.iPv4CidrRange","cidrAddress":"192.0.2.0/24"}]}`, 201)), &place); err != nil {
		t.Fatal(err)
	}
	n.policy(t, admin, `,"locations":{"includeLocations":["All"],"excludeLocations":["`+place.ID+`"]}`, blocks)
	got := n.capableSignIn(t, mailScope, "ada@contoso.example")
	if claimOf(t, got.Access, "from") != "127.0.0.1" {
		t.Fatalf("it does not say where it is good from: %q", claimOf(t, got.Access, "from"))
	}
	ask := func(token, address string, want int) *http.Response {
		t.Helper()
		at.Store(netip.MustParseAddr(address))
		res := m.ask(t, "/inbox", token, "")
		if res.StatusCode != want {
			t.Fatalf("from %s: %d %s, want %d", address, res.StatusCode, res.Header.Get("WWW-Authenticate"), want)
		}
		return res
	}
	ask(got.Access, "127.0.0.1", 204)
	ask(got.Access, "192.0.2.7", 204)
	renew := func() tokens {
		t.Helper()
		claims, err := base64.StdEncoding.DecodeString(parameter(ask(got.Access, "198.51.100.7", 401), "claims"))
		if err != nil || !strings.Contains(string(claims), `"xms_caeerror":{"value":"10012"}`) {
			t.Fatalf("%s %v", claims, err)
		}
		// As Microsoft's libraries do, the capability and the challenge are one object.
		both := strings.TrimSuffix(string(claims), "}}") + `,"xms_cc":{"values":["cp1"]}}}`
		status, next := n.token(t, url.Values{"client_id": {"reader"}, "grant_type": {"refresh_token"}, "refresh_token": {got.Refresh}, "claims": {both}})
		if status != http.StatusOK {
			t.Fatalf("%d %+v", status, next)
		}
		got.Refresh = next.Refresh
		return next
	}
	short := renew()
	if claimOf(t, short.Access, "from") != "" || short.Expires > 3600 {
		t.Errorf("%q %d", claimOf(t, short.Access, "from"), short.Expires)
	}
	ask(short.Access, "198.51.100.7", 204)

	n.policy(t, admin, "", `"sessionControls":{"continuousAccessEvaluation":{"mode":"strictLocation"}}`)
	m.until(t, short.Access, 401)
	if strict := renew(); claimOf(t, strict.Access, "from") != "127.0.0.1" {
		t.Errorf("strict: %q", claimOf(t, strict.Access, "from"))
	} else {
		ask(strict.Access, "198.51.100.7", 401)
		ask(strict.Access, "192.0.2.7", 204)
	}
}

// From the refusal of a guard that demands an authentication context to the token that
// satisfies it, by way of the policy that says what the context takes.
func TestAnAuthenticationContextFromTheChallengeToTheToken(t *testing.T) {
	t.Parallel()
	n := start(t, "")
	m := n.mailService(t)
	secret := m.guard.Middleware(m.guard.RequireContext("c1")(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })))
	ask := func(token string, want int) *http.Response {
		t.Helper()
		r := httptest.NewRequest(http.MethodGet, "https://mail.contoso.example/secret", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		secret.ServeHTTP(w, r)
		if w.Code != want {
			t.Fatalf("%d %s, want %d", w.Code, w.Header().Get("WWW-Authenticate"), want)
		}
		return w.Result()
	}
	got := n.capableSignIn(t, mailScope, "ada@contoso.example")
	claims, err := base64.StdEncoding.DecodeString(parameter(ask(got.Access, 401), "claims"))
	if err != nil || string(claims) != `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}` {
		t.Fatalf("%s %v", claims, err)
	}
	refresh := func(token string) (int, tokens) {
		return n.token(t, url.Values{"client_id": {"reader"}, "grant_type": {"refresh_token"}, "refresh_token": {token}, "claims": {string(claims)}})
	}
	if status, refused := refresh(got.Refresh); status != http.StatusBadRequest || refused.Access != "" { // a token would say that something was met
		t.Fatalf("a context that nobody has made: %d %+v", status, refused)
	}
	admin := n.anew(t).signIn(t, graphScope, "grace@contoso.example").Access
	n.graph(t, admin, "POST", "/identity/conditionalAccess/authenticationContextClassReferences", `{"id":"c1","displayName":"Secrets","description":"","isAvailable":true}`, 201)
	status, silent := refresh(got.Refresh) // nothing is demanded for the context yet
	if status != http.StatusOK {
		t.Fatalf("%d %+v", status, silent)
	}
	ask(silent.Access, 204)
	code := n.authorize(t, mailScope, "ada@contoso.example", "claims", string(claims))
	status, in := n.token(t, url.Values{"client_id": {"reader"}, "grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"http://localhost"}, "code_verifier": {verifier}})
	if status != http.StatusOK {
		t.Fatalf("%d %+v", status, in)
	}
	ask(in.Access, 204)

	n.graph(t, admin, "POST", "/identity/conditionalAccess/policies", `{"displayName":"c1 takes two factors","state":"enabled","conditions":{"users":{"includeUsers":["All"]},
		"applications":{"includeAuthenticationContextClassReferences":["c1"]},"clientAppTypes":["all"]},"grantControls":{"operator":"OR","builtInControls":["mfa"]}}`, 201)
	if status, refused := refresh(silent.Refresh); status != http.StatusBadRequest || refused.Access != "" {
		t.Errorf("%d %+v", status, refused)
	}
	for _, token := range []string{in.Access, silent.Access} { // what satisfied it then does not any more
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			if _, err := m.guard.Check(token); err != nil {
				break
			}
			if time.Now().After(end) {
				t.Fatal("a token keeps a context whose policy it does not meet")
			}
		}
	}
	if _, err := m.guard.Check(got.Access); err != nil { // and one that never had it goes on
		t.Error(err)
	}
}
