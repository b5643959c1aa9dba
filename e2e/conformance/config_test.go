package conformance_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A test is one module.
type test struct {
	name string
	run  func(*module)
	// own: it moves the clock or needs another registration, and gets a server of
	// its own.
	own bool
}

// plans are those of the package comment.
var plans = map[string][]test{
	"oidcc-config-certification-test-plan":                          config1,
	"oidcc-basic-certification-test-plan":                           basic,
	"oidcc-rp-initiated-logout-certification-test-plan":             rpInitiated,
	"oidcc-backchannel-rp-initiated-logout-certification-test-plan": backChannel,
}

// TestThePlansAreWhole counts the modules, and that none stands there twice.
func TestThePlansAreWhole(t *testing.T) {
	t.Parallel()
	for plan, want := range map[string]int{"oidcc-config-certification-test-plan": 1, "oidcc-basic-certification-test-plan": 38,
		"oidcc-rp-initiated-logout-certification-test-plan": 11, "oidcc-backchannel-rp-initiated-logout-certification-test-plan": 2} {
		names := map[string]bool{}
		for _, m := range plans[plan] {
			names[m.name] = true
		}
		if len(names) != want {
			t.Errorf("%s has %d modules, want %d", plan, len(names), want)
		}
	}
}

func known(module string) bool {
	for _, tests := range plans {
		if slices.ContainsFunc(tests, func(x test) bool { return x.name == module }) {
			return true
		}
	}
	return false
}

// run is a plan with the clients of docs/conformance.md.
func run(t *testing.T, tests []test) {
	runWith(t, tests, func(t *testing.T) *provider { return open(t) }, func(*module) {})
}

// runWith is a plan; client gives each module its clients.
func runWith(t *testing.T, tests []test, open func(*testing.T) *provider, client func(*module)) {
	t.Parallel()
	shared := open(t)
	for _, x := range tests { // the server stays until the last of them is through
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			p := shared
			if x.own {
				p = open(t)
			}
			m := p.module(t, x.name)
			client(m)
			x.run(m)
			if m.after != nil {
				m.after()
			}
		})
	}
}

func TestConfig(t *testing.T) { run(t, config1) }

var config1 = []test{{name: "oidcc-discovery-endpoint-verification", run: discovery}}

func discovery(m *module) {
	var doc map[string]json.RawMessage
	if err := json.Unmarshal([]byte(m.p.doc), &doc); err != nil {
		m.Fatal(err)
	}
	list := func(name string) (out []string) {
		if err := json.Unmarshal(doc[name], &out); err != nil || len(out) == 0 {
			m.Errorf("%s: %s (%v); an empty list is left out (RFC 8414 §3.2)", name, doc[name], err)
		}
		return out
	}
	for name, want := range map[string]string{"response_types_supported": "code", "subject_types_supported": "public", "id_token_signing_alg_values_supported": "RS256",
		"scopes_supported": "openid", "grant_types_supported": "authorization_code", "code_challenge_methods_supported": "S256", "claims_supported": "sub"} {
		if got := list(name); !slices.Contains(got, want) {
			m.Errorf("%s: %v has no %s", name, got, want)
		}
	}
	if m.p.meta.Issuer+"/.well-known/openid-configuration" != m.p.conf.Server.DiscoveryURL || strings.ContainsAny(m.p.meta.Issuer, "?#") {
		m.Errorf("issuer %q, found at %q", m.p.meta.Issuer, m.p.conf.Server.DiscoveryURL)
	}
	for name, v := range doc {
		if !strings.HasSuffix(name, "_endpoint") && name != "jwks_uri" && name != "issuer" {
			continue
		}
		var s string
		if err := json.Unmarshal(v, &s); err != nil {
			m.Errorf("%s: %s", name, v)
		}
		if u, err := url.Parse(s); err != nil || u.Scheme != "https" || u.Host == "" {
			m.Errorf("%s: %q is no https address", name, s)
		}
	}
	for _, name := range []string{"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"} {
		if doc[name] == nil {
			m.Errorf("no %s", name)
		}
	}
	for _, scope := range list("scopes_supported") {
		if !regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]+$`).MatchString(scope) { // RFC 6749 §3.3
			m.Errorf("scope %q", scope)
		}
	}
	for name, want := range map[string]string{"request_parameter_supported": "false", "request_uri_parameter_supported": "false", "claims_parameter_supported": "true"} {
		if string(doc[name]) != want {
			m.Errorf("%s: %s, want %s", name, doc[name], want)
		}
	}
	res, text := m.p.send(m.T, http.MethodGet, m.p.meta.JWKS, "", nil)
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal([]byte(text), &set); err != nil || res.StatusCode != http.StatusOK || len(set.Keys) == 0 {
		m.Fatalf("keys: %d %s", res.StatusCode, text)
	}
	kids := map[any]bool{}
	for _, k := range set.Keys {
		if k["kid"] == nil || k["kid"] == "" || kids[k["kid"]] {
			m.Errorf("kid %v is missing or there twice", k["kid"])
		}
		kids[k["kid"]] = true
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
			if _, ok := k[private]; ok || k["kty"] == "oct" {
				m.Errorf("the key %v is private: %s", k["kid"], private)
			}
		}
	}
}
