package conformance_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func TestRPInitiatedLogout(t *testing.T) { run(t, rpInitiated) }

// rpInitiated is oidcc-rp-initiated-logout-certification-test-plan, in its order.
var rpInitiated = []test{
	{name: "oidcc-rp-initiated-logout-discovery-endpoint-verification", run: func(m *module) { endSession(m) }},
	{name: "oidcc-rp-initiated-logout", run: func(m *module) {
		m.signIn("openid")
		m.leave()
		m.left(true)
	}},
	{name: "oidcc-rp-initiated-logout-bad-post-logout-redirect-uri", run: func(m *module) {
		m.signIn("openid")
		m.leave("post_logout_redirect_uri", suite+"/never-registered")
		m.stopped()
	}},
	{name: "oidcc-rp-initiated-logout-modified-id-token-hint", run: func(m *module) {
		m.signIn("openid")
		parts := strings.Split(m.tokens.ID, ".")
		m.leave("id_token_hint", base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`))+"."+parts[1]+".")
		m.stopped()
	}},
	{name: "oidcc-rp-initiated-logout-no-id-token-hint", run: func(m *module) {
		m.signIn("openid")
		m.leave("id_token_hint", "-")
		if !slices.Contains(m.browser.seen, "Sign out?") || m.browser.status != http.StatusOK {
			m.Errorf("the person is not asked: %d %s", m.browser.status, m.browser.words())
		}
		m.stays()
	}},
	{name: "oidcc-rp-initiated-logout-no-params", run: func(m *module) {
		m.signIn("openid")
		m.leave("id_token_hint", "-", "post_logout_redirect_uri", "-", "state", "-")
		m.out()
	}},
	{name: "oidcc-rp-initiated-logout-no-post-logout-redirect-uri", run: func(m *module) {
		m.signIn("openid")
		m.leave("post_logout_redirect_uri", "-")
		m.out()
	}},
	{name: "oidcc-rp-initiated-logout-no-state", run: func(m *module) {
		m.signIn("openid")
		m.leave("state", "-")
		m.left(false)
	}},
	{name: "oidcc-rp-initiated-logout-only-state", run: func(m *module) {
		m.signIn("openid")
		m.leave("id_token_hint", "-", "post_logout_redirect_uri", "-")
		m.out()
	}},
	{name: "oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri", run: func(m *module) {
		m.signIn("openid")
		m.leave("post_logout_redirect_uri", outback+"?foo=bar")
		m.stopped()
	}},
	{name: "oidcc-rp-initiated-logout-bad-id-token-hint", run: func(m *module) {
		m.signIn("openid")
		m.leave("id_token_hint", foreign(m))
		m.stopped()
	}},
}

// leave goes to the end session endpoint; more as in request.
func (m *module) leave(more ...string) {
	m.Helper()
	m.asked = url.Values{"id_token_hint": {m.tokens.ID}, "post_logout_redirect_uri": {outback}, "state": {strings.Repeat(rand.Text(), 5)[:128]}}
	for i := 0; i+1 < len(more); i += 2 {
		if m.asked.Set(more[i], more[i+1]); more[i+1] == "-" {
			m.asked.Del(more[i])
		}
	}
	m.browser.visit(m.T, strings.TrimSuffix(m.p.meta.EndSession+"?"+m.asked.Encode(), "?"))
}

// left: the person is back at the suite, with the state if one was sent, and is
// signed out.
func (m *module) left(state bool) {
	m.Helper()
	at := *m.browser.at
	q := at.Query()
	if at.RawQuery = ""; at.String() != outback {
		m.Fatalf("the browser is at %s (%d)\n%s", m.browser.at, m.browser.status, m.browser.words())
	}
	want := url.Values{}
	if state {
		want.Set("state", m.asked.Get("state"))
	}
	if q.Encode() != want.Encode() {
		m.Errorf("came back with %v, want %v", q, want)
	}
	m.gone()
}

// out: the person is told, goes nowhere, and is signed out.
func (m *module) out() {
	m.Helper()
	if !slices.Contains(m.browser.seen, "Signed out") || !m.browser.inside() {
		m.Fatalf("the browser is at %s (%d)\n%s", m.browser.at, m.browser.status, m.browser.words())
	}
	m.gone()
}

// stopped: an error page, nobody is sent anywhere, and nobody is signed out.
func (m *module) stopped() {
	m.Helper()
	if !m.browser.inside() || m.browser.status != http.StatusBadRequest {
		m.Fatalf("the browser is at %s (%d)\n%s", m.browser.at, m.browser.status, m.browser.words())
	}
	m.stays()
}

// gone: prompt=none finds nobody.
func (m *module) gone() {
	m.Helper()
	m.browser.visit(m.T, m.request("openid", "prompt", "none"))
	m.refused("login_required", "interaction_required", "account_selection_required", "consent_required")
}

// stays: prompt=none finds somebody.
func (m *module) stays() {
	m.Helper()
	m.browser.pages = m.p.conf.Browser
	m.browser.visit(m.T, m.request("openid", "prompt", "none"))
	m.code()
}

// foreign is an ID token with the right claims, signed by somebody else.
func foreign(m *module) string {
	m.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		m.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: m.id.kid}}, nil)
	if err != nil {
		m.Fatal(err)
	}
	claims, err := json.Marshal(m.id.all)
	if err != nil {
		m.Fatal(err)
	}
	sig, err := signer.Sign(claims)
	if err != nil {
		m.Fatal(err)
	}
	text, err := sig.CompactSerialize()
	if err != nil {
		m.Fatal(err)
	}
	return text
}

// endSession checks what discovery says of signing out, and returns all it says.
func endSession(m *module) map[string]any {
	m.Helper()
	var doc map[string]any
	if err := json.Unmarshal([]byte(m.p.doc), &doc); err != nil {
		m.Fatal(err)
	}
	if u, err := url.Parse(m.p.meta.EndSession); err != nil || u.Scheme != "https" || u.Host == "" || u.Fragment != "" {
		m.Errorf("end_session_endpoint %q", m.p.meta.EndSession)
	}
	return doc
}

func TestBackChannelLogout(t *testing.T) { run(t, backChannel) }

// backChannel is oidcc-backchannel-rp-initiated-logout-certification-test-plan.
var backChannel = []test{
	{name: "oidcc-backchannel-logout-discovery-endpoint-verification", run: func(m *module) {
		doc := endSession(m)
		for _, name := range []string{"backchannel_logout_supported", "backchannel_logout_session_supported"} {
			if doc[name] != true {
				m.Errorf("%s: %v", name, doc[name])
			}
		}
	}},
	{name: "oidcc-backchannel-rp-initiated-logout", run: func(m *module) {
		m.signIn("openid")
		m.leave()
		select {
		case n := <-m.p.notices:
			m.logoutToken(n)
		case <-time.After(20 * time.Second):
			m.Fatal("nobody told the application")
		}
		m.left(true)
	}},
}

// logoutToken is Back-Channel Logout 1.0 §2.4 to §2.6.
func (m *module) logoutToken(n notice) {
	m.Helper()
	if n.method != http.MethodPost || n.kind != "application/x-www-form-urlencoded" || len(n.form) != 1 || len(n.form["logout_token"]) != 1 {
		m.Fatalf("notice: %s %s %v", n.method, n.kind, n.form)
	}
	header, payload := m.signed(n.form.Get("logout_token"))
	if header.ExtraHeaders["typ"] != "logout+jwt" || header.Algorithm != m.id.alg {
		m.Errorf("typ %v, alg %s (ID tokens: %s)", header.ExtraHeaders["typ"], header.Algorithm, m.id.alg)
	}
	var all map[string]any
	if err := json.Unmarshal(payload, &all); err != nil {
		m.Fatal(err)
	}
	now := m.p.now().Unix()
	iat, exp := all["iat"], all["exp"]
	if all["iss"] != m.p.meta.Issuer || all["aud"] != m.client.ID || all["jti"] == nil || all["jti"] == "" {
		m.Errorf("iss %v, aud %v, jti %v", all["iss"], all["aud"], all["jti"])
	}
	if i, ok := iat.(float64); !ok || int64(i) > now+1 || int64(i) < now-86400 {
		m.Errorf("iat %v, and it is %d", iat, now)
	}
	if e, ok := exp.(float64); !ok || int64(e) <= now || int64(e) > now+120 {
		m.Errorf("exp %v, and it is %d", exp, now)
	}
	events, ok := all["events"].(map[string]any)
	if event, isObject := events["http://schemas.openid.net/event/backchannel-logout"].(map[string]any); !ok || len(events) != 1 || !isObject || len(event) != 0 {
		m.Errorf("events %v", all["events"])
	}
	if all["sub"] != nil && all["sub"] != m.id.Subject || all["sid"] != m.id.SID || m.id.SID == "" {
		m.Errorf("sub %v, sid %v; the ID token has %s and %s", all["sub"], all["sid"], m.id.Subject, m.id.SID)
	}
	if _, ok := all["nonce"]; ok {
		m.Error("there is a nonce: it could pass for an ID token")
	}
}
