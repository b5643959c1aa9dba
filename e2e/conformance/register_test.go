package conformance_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/config"
)

// openDynamic is a server that takes registrations, with an application whose
// tokens are good for registering others, as docs/conformance.md says.
func openDynamic(t *testing.T) *provider {
	return open(t, func(manifest *string, cfg *config.Config) {
		cfg.Register = "token"
		*manifest += `
[[app]]
id = "registrar"
name = "Registrar"
secret = "a-long-secret-for-the-registrar"
app_permissions = [{ resource = "https://graph.microsoft.com", scopes = ["Application.ReadWrite.All"] }]

[[app]]
id = "onlooker"
name = "Onlooker"
secret = "a-long-secret-for-the-onlooker"
app_permissions = [{ resource = "https://graph.microsoft.com", scopes = ["Application.Read.All"] }]
`
	})
}

// initialToken is the access token that is put into the suite's configuration.
func (p *provider) initialToken(t *testing.T, client string) string {
	t.Helper()
	_, text := p.send(t, http.MethodPost, p.meta.Token, "", url.Values{"grant_type": {"client_credentials"}, "client_id": {client}, "client_secret": {"a-long-secret-for-the-" + client},
		"scope": {"https://graph.microsoft.com/.default"}})
	var got tokens
	if err := json.Unmarshal([]byte(text), &got); err != nil || got.Access == "" {
		t.Fatal(text)
	}
	return got.Access
}

// A registration is what the server answers.
type registration struct {
	credentials
	URI     string `json:"registration_client_uri"`
	Token   string `json:"registration_access_token"`
	Expires *int64 `json:"client_secret_expires_at"`
	Error   string `json:"error"`
	Method  string `json:"token_endpoint_auth_method"`
	Alg     string `json:"id_token_signed_response_alg"`
}

func (p *provider) call(t *testing.T, method, addr, token, kind, in string) (int, http.Header, registration) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, addr, bytes.NewBufferString(in))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if in != "" {
		r.Header.Set("Content-Type", kind)
	}
	res, err := p.transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	var got registration
	if len(text) > 0 {
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%d %s", res.StatusCode, text)
		}
	}
	return res.StatusCode, res.Header, got
}

func (p *provider) endpoint(t *testing.T) string {
	t.Helper()
	var meta struct {
		Registration string `json:"registration_endpoint"`
	}
	if err := json.Unmarshal([]byte(p.doc), &meta); err != nil || !strings.HasPrefix(meta.Registration, "https://") {
		t.Fatalf("registration_endpoint %q (%v)", meta.Registration, err)
	}
	return meta.Registration
}

// register does as the suite does with dynamic_client.
func (p *provider) register(t *testing.T, metadata string) registration {
	t.Helper()
	status, header, got := p.call(t, http.MethodPost, p.endpoint(t), p.initialToken(t, "registrar"), "application/json", metadata)
	if status != http.StatusCreated || header.Get("Cache-Control") != "no-store" || got.ID == "" || got.URI == "" || got.Token == "" {
		t.Fatalf("register: %d %+v", status, got)
	}
	return got
}

const suiteClient = `{"client_name":"Conformance suite","redirect_uris":["` + callback + `"],"post_logout_redirect_uris":["` + outback + `"],"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"contacts":["somebody@suite.example"],"application_type":"web"}`

// withOwnClients is a plan in which each module has clients that were registered for
// it alone, and deletes them.
func withOwnClients(t *testing.T, tests []test) {
	runWith(t, tests, openDynamic, func(m *module) {
		metadata := strings.Replace(suiteClient, "{", `{"backchannel_logout_uri":"`+m.p.outside+`","backchannel_logout_session_required":true,`, 1)
		first, second := m.p.register(m.T, metadata), m.p.register(m.T, suiteClient)
		m.first, m.post, m.second, m.client = first.credentials, first.credentials, second.credentials, first.credentials
		m.after = func() {
			for _, x := range []registration{first, second} {
				if status, _, got := m.p.call(m.T, http.MethodDelete, x.URI, x.Token, "", ""); status != http.StatusNoContent {
					m.Errorf("delete: %d %+v", status, got)
				}
			}
		}
	})
}

func TestBasicWithDynamicClients(t *testing.T) { withOwnClients(t, basic) }

func TestRPInitiatedLogoutWithDynamicClients(t *testing.T) { withOwnClients(t, rpInitiated) }

func TestBackChannelLogoutWithDynamicClients(t *testing.T) { withOwnClients(t, backChannel) }

func TestRegistrationIsNotOpen(t *testing.T) {
	t.Parallel()
	if closed := open(t); strings.Contains(closed.doc, "registration_endpoint") {
		t.Error("registration is offered though nobody has switched it on")
	} else if res, _ := closed.send(t, http.MethodPost, closed.base+"/oauth2/register", "", nil); res.StatusCode != http.StatusNotFound {
		t.Errorf("registration, not switched on: %d", res.StatusCode)
	}
	p := openDynamic(t)
	good := p.initialToken(t, "registrar")
	for what, x := range map[string]struct {
		token  string
		status int
		error  string
	}{
		"no token": {"", http.StatusUnauthorized, "invalid_token"}, "no token of ours": {"x", http.StatusUnauthorized, "invalid_token"},
		"one without the permission": {p.initialToken(t, "onlooker"), http.StatusForbidden, "insufficient_scope"},
	} {
		if status, header, got := p.call(t, http.MethodPost, p.endpoint(t), x.token, "application/json", suiteClient); status != x.status || got.Error != x.error || got.ID != "" || header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: %d %+v", what, status, got)
		}
	}
	for what, x := range map[string]struct{ body, error string }{
		"nothing": {`{}`, "invalid_redirect_uri"}, "no object": {`[]`, "invalid_client_metadata"}, "null": {`null`, "invalid_client_metadata"}, "broken": {`{`, "invalid_client_metadata"},
		"of another type":      {`{"redirect_uris":"https://a.example/"}`, "invalid_client_metadata"},
		"a wildcard":           {`{"redirect_uris":["https://*.suite.example/"]}`, "invalid_redirect_uri"},
		"plain http":           {`{"redirect_uris":["http://suite.example/"]}`, "invalid_redirect_uri"},
		"a script":             {`{"redirect_uris":["javascript:alert(1)"]}`, "invalid_redirect_uri"},
		"implicit":             {`{"redirect_uris":["` + callback + `"],"response_types":["id_token"]}`, "invalid_client_metadata"},
		"password grant":       {`{"redirect_uris":["` + callback + `"],"grant_types":["password"]}`, "invalid_client_metadata"},
		"acting as itself":     {`{"redirect_uris":["` + callback + `"],"grant_types":["client_credentials"]}`, "invalid_client_metadata"},
		"unsigned ID tokens":   {`{"redirect_uris":["` + callback + `"],"id_token_signed_response_alg":"none"}`, "invalid_client_metadata"},
		"encrypted ID tokens":  {`{"redirect_uris":["` + callback + `"],"id_token_encrypted_response_alg":"RSA-OAEP"}`, "invalid_client_metadata"},
		"subjects of its own":  {`{"redirect_uris":["` + callback + `"],"subject_type":"pairwise"}`, "invalid_client_metadata"},
		"a key, but none":      {`{"redirect_uris":["` + callback + `"],"token_endpoint_auth_method":"private_key_jwt"}`, "invalid_client_metadata"},
		"a shared secret, JWT": {`{"redirect_uris":["` + callback + `"],"token_endpoint_auth_method":"client_secret_jwt"}`, "invalid_client_metadata"},
		"notices elsewhere":    {`{"redirect_uris":["` + callback + `"],"backchannel_logout_uri":"gopher://suite.example/"}`, "invalid_client_metadata"},
		"very long":            {`{"client_name":"` + strings.Repeat("a", 65<<10) + `"}`, "invalid_client_metadata"},
	} {
		if status, _, got := p.call(t, http.MethodPost, p.endpoint(t), good, "application/json", x.body); status != http.StatusBadRequest || got.Error != x.error || got.ID != "" {
			t.Errorf("%s: %d %+v", what, status, got)
		}
	}
	if status, _, got := p.call(t, http.MethodPost, p.endpoint(t), good, "text/plain", suiteClient); status != http.StatusBadRequest || got.Error != "invalid_client_metadata" {
		t.Errorf("no JSON: %d %+v", status, got)
	}
}

// What registers itself gets the least there is, and who holds its registration
// access token can read it, end it, and do nothing else (RFC 7592).
func TestARegistrationIsReadAndEndedByItsHolder(t *testing.T) {
	t.Parallel()
	p := openDynamic(t)
	got, other := p.register(t, suiteClient), p.register(t, suiteClient)
	if got.Expires == nil || *got.Expires != 0 || len(got.Secret) < 40 || got.Alg != "RS256" || got.Method != "client_secret_basic" {
		t.Errorf("%+v", got)
	}
	m := p.module(t, "")
	m.client = got.credentials
	m.signIn("openid offline_access")
	m.browser.visit(t, m.request("openid Directory.Read.All"))
	m.refused("invalid_scope")
	for what, x := range map[string]struct{ uri, token string }{"another's token": {got.URI, other.Token}, "its secret": {got.URI, got.Secret}, "an administrator's token": {got.URI, p.initialToken(t, "registrar")},
		"no token": {got.URI, ""}, "nobody's": {p.endpoint(t) + "/nobody", got.Token}, "the registrar's": {p.endpoint(t) + "/registrar", got.Token}} {
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			if status, _, y := p.call(t, method, x.uri, x.token, "", ""); status != http.StatusUnauthorized || y.ID != "" {
				t.Errorf("%s %s: %d %+v", method, what, status, y)
			}
		}
	}
	if status, _, y := p.call(t, http.MethodGet, got.URI, got.Token, "", ""); status != http.StatusOK || y.ID != got.ID || y.Secret != "" || y.Alg != "RS256" {
		t.Errorf("read: %d %+v", status, y)
	}
	if status, _, _ := p.call(t, http.MethodPut, got.URI, got.Token, "application/json", suiteClient); status != http.StatusMethodNotAllowed {
		t.Errorf("change: %d", status)
	}
	if res, _ := p.send(t, http.MethodGet, p.base+"/v1.0/curfew/apps", "Bearer "+got.Token, nil); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("at the API: %d", res.StatusCode)
	}
	if status, _, y := p.call(t, http.MethodDelete, got.URI, got.Token, "", ""); status != http.StatusNoContent {
		t.Fatalf("delete: %d %+v", status, y)
	}
	if res, _ := p.send(t, http.MethodGet, p.meta.Userinfo, "Bearer "+m.tokens.Access, nil); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("its access token lives on: %d", res.StatusCode)
	}
	if status, z := m.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {m.tokens.Refresh}}); status == http.StatusOK {
		t.Errorf("its refresh token lives on: %+v", z)
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		if status, _, _ := p.call(t, method, got.URI, got.Token, "", ""); status != http.StatusUnauthorized {
			t.Errorf("%s of what is gone: %d", method, status)
		}
	}
}
