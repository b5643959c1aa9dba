package conformance_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// metadata is what the suite reads of discovery.
type metadata struct {
	Issuer        string   `json:"issuer"`
	Authorization string   `json:"authorization_endpoint"`
	Token         string   `json:"token_endpoint"`
	Userinfo      string   `json:"userinfo_endpoint"`
	JWKS          string   `json:"jwks_uri"`
	EndSession    string   `json:"end_session_endpoint"`
	Scopes        []string `json:"scopes_supported"`
	Algs          []string `json:"id_token_signing_alg_values_supported"`
}

// A module is one run of one test of the suite: a browser, and a relying party that
// remembers what it asked for.
type module struct {
	*testing.T
	p       *provider
	browser *browser
	// The module's clients: the usual one, that for client_secret_post, another.
	first, post, second credentials

	client credentials // the one in use
	inBody bool        // client_secret_post

	after  func()     // the last thing it does; nil: nothing
	asked  url.Values // the last authorization request
	tokens tokens     // the last answer of the token endpoint
	id     idToken    // the last ID token
}

type tokens struct {
	Access           string  `json:"access_token"`
	Kind             string  `json:"token_type"`
	ExpiresIn        float64 `json:"expires_in"`
	Refresh          string  `json:"refresh_token"`
	ID               string  `json:"id_token"`
	Scope            string  `json:"scope"`
	Error            string  `json:"error"`
	ErrorDescription string  `json:"error_description"`
}

// idToken is an ID token, verified.
type idToken struct {
	Issuer   string          `json:"iss"`
	Subject  string          `json:"sub"`
	Audience json.RawMessage `json:"aud"`
	AZP      string          `json:"azp"`
	Expires  int64           `json:"exp"`
	IssuedAt int64           `json:"iat"`
	AuthTime int64           `json:"auth_time"`
	Nonce    string          `json:"nonce"`
	ACR      string          `json:"acr"`
	SID      string          `json:"sid"`

	alg, kid string
	all      map[string]any
}

func (p *provider) module(t *testing.T, name string) *module {
	t.Helper()
	return &module{T: t, p: p, browser: p.browser(t, name), first: p.conf.Client, post: p.conf.Post, second: p.conf.Client2, client: p.conf.Client}
}

// request is an authorization request of the code flow with state and nonce. more
// is names and values; a value of "-" leaves the parameter out.
func (m *module) request(scope string, more ...string) string {
	m.asked = url.Values{"client_id": {m.client.ID}, "redirect_uri": {callback}, "scope": {scope}, "response_type": {"code"}, "state": {rand.Text()}, "nonce": {rand.Text()}}
	for i := 0; i+1 < len(more); i += 2 {
		if m.asked.Set(more[i], more[i+1]); more[i+1] == "-" {
			m.asked.Del(more[i])
		}
	}
	return m.p.meta.Authorization + "?" + m.asked.Encode()
}

// answer is what came to the callback, checked as far as every answer must be so.
func (m *module) answer() url.Values {
	m.Helper()
	at := *m.browser.at
	q := at.Query()
	if at.RawQuery = ""; at.String() != callback || at.Fragment != "" {
		m.Fatalf("the browser is at %s (%d), not at the callback\n%s", m.browser.at, m.browser.status, m.browser.words())
	}
	for name, v := range q {
		if len(v) != 1 {
			m.Errorf("callback: %s is there %d times", name, len(v))
		}
	}
	if got, want := q.Get("state"), m.asked.Get("state"); got != want {
		m.Errorf("callback: state %q, want %q", got, want)
	}
	if got := q.Get("iss"); got != m.p.meta.Issuer { // RFC 9207
		m.Errorf("callback: iss %q, want %q", got, m.p.meta.Issuer)
	}
	return q
}

// code is the answer of a request that succeeds.
func (m *module) code() string {
	m.Helper()
	q := m.answer()
	if e := q.Get("error"); e != "" || q.Get("code") == "" {
		m.Fatalf("authorization: %s: %s", e, q.Get("error_description"))
	}
	return q.Get("code")
}

// described are the characters of error and error_description (RFC 6749 §4.1.2.1,
// §5.2).
var described = regexp.MustCompile(`^[\x20-\x21\x23-\x5B\x5D-\x7E]*$`)

// refused is the answer of a request that must not succeed: one of the errors.
func (m *module) refused(want ...string) {
	m.Helper()
	q := m.answer()
	if !slices.Contains(want, q.Get("error")) || q.Has("code") {
		m.Errorf("authorization: %v, want one of %v", q, want)
	}
	if !described.MatchString(q.Get("error_description")) {
		m.Errorf("error_description %q", q.Get("error_description"))
	}
	for name := range q {
		if !slices.Contains([]string{"error", "error_description", "error_uri", "state", "iss"}, name) {
			m.Errorf("an error with the parameter %s", name)
		}
	}
}

// token asks the token endpoint as the module's client.
func (m *module) token(form url.Values) (int, tokens) {
	m.Helper()
	authorization := "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(m.client.ID)+":"+url.QueryEscape(m.client.Secret)))
	if m.inBody {
		authorization = ""
		form.Set("client_id", m.client.ID)
		form.Set("client_secret", m.client.Secret)
	}
	res, text := m.p.send(m.T, http.MethodPost, m.p.meta.Token, authorization, form)
	if kind := res.Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/json") {
		m.Errorf("token endpoint: Content-Type %q", kind)
	}
	if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Pragma") != "no-cache" {
		m.Error("token endpoint: the answer may be kept (RFC 6749 §5.1)")
	}
	var t tokens
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		m.Fatalf("token endpoint: %d %s", res.StatusCode, text)
	}
	if !described.MatchString(t.ErrorDescription) {
		m.Errorf("error_description %q", t.ErrorDescription)
	}
	return res.StatusCode, t
}

// redeem exchanges a code and checks what comes.
func (m *module) redeem(code string, more ...string) {
	m.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}}
	for i := 0; i+1 < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	status, t := m.token(form)
	if status != http.StatusOK {
		m.Fatalf("token endpoint: %d %s: %s", status, t.Error, t.ErrorDescription)
	}
	m.took(t)
	if m.id.Nonce != m.asked.Get("nonce") {
		m.Errorf("ID token: nonce %q, want %q", m.id.Nonce, m.asked.Get("nonce"))
	}
}

// took checks an answer of the token endpoint and remembers it.
func (m *module) took(t tokens) {
	m.Helper()
	if t.Access == "" || !strings.EqualFold(t.Kind, "Bearer") || t.ExpiresIn <= 0 || t.ExpiresIn != float64(int64(t.ExpiresIn)) {
		m.Errorf("token endpoint: access_token %d bytes, token_type %q, expires_in %v", len(t.Access), t.Kind, t.ExpiresIn)
	}
	for name, v := range map[string]string{"access_token": t.Access, "refresh_token": t.Refresh} {
		if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r > '~' }) { // RFC 6749 A.12, A.17
			m.Errorf("%s has characters that it must not have", name)
		}
	}
	m.tokens, m.id = t, m.verify(t.ID)
}

// signed checks the signature of a token of the server by the published keys.
func (m *module) signed(text string) (header jose.Header, payload []byte) {
	m.Helper()
	var algs []jose.SignatureAlgorithm
	for _, a := range m.p.meta.Algs {
		algs = append(algs, jose.SignatureAlgorithm(a))
	}
	sig, err := jose.ParseSignedCompact(text, algs)
	if err != nil {
		m.Fatalf("%v: %q", err, text)
	}
	header = sig.Signatures[0].Header
	_, doc := m.p.send(m.T, http.MethodGet, m.p.meta.JWKS, "", nil)
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(doc), &set); err != nil {
		m.Fatal(err)
	}
	keys := set.Key(header.KeyID)
	if header.KeyID == "" || len(keys) != 1 {
		m.Fatalf("%d published keys of the kid %q", len(keys), header.KeyID)
	}
	if payload, err = sig.Verify(keys[0]); err != nil {
		m.Fatalf("signature: %v", err)
	}
	return header, payload
}

// verify is OpenID Connect Core 1.0 §3.1.3.7.
func (m *module) verify(text string) idToken {
	m.Helper()
	header, payload := m.signed(text)
	id := idToken{alg: header.Algorithm, kid: header.KeyID}
	if err := json.Unmarshal(payload, &id); err != nil {
		m.Fatal(err)
	}
	if err := json.Unmarshal(payload, &id.all); err != nil {
		m.Fatal(err)
	}
	now := m.p.now()
	switch {
	case id.Issuer != m.p.meta.Issuer:
		m.Errorf("ID token: iss %q, want %q", id.Issuer, m.p.meta.Issuer)
	case string(id.Audience) != `"`+m.client.ID+`"`: // a single string: IPSIE
		m.Errorf("ID token: aud %s, want %q", id.Audience, m.client.ID)
	case id.AZP != "" && id.AZP != m.client.ID:
		m.Errorf("ID token: azp %q", id.AZP)
	case id.Subject == "" || len(id.Subject) > 255:
		m.Errorf("ID token: sub %q", id.Subject)
	case id.Expires <= now.Unix():
		m.Errorf("ID token: exp %d, and it is %d", id.Expires, now.Unix())
	case id.IssuedAt > now.Unix()+1 || id.IssuedAt < now.Add(-5*time.Minute).Unix():
		m.Errorf("ID token: iat %d, and it is %d", id.IssuedAt, now.Unix())
	}
	return id
}

// signIn is a whole flow: authorization, tokens, userinfo.
func (m *module) signIn(scope string, more ...string) {
	m.Helper()
	m.browser.visit(m.T, m.request(scope, more...))
	m.redeem(m.code())
	m.userinfo()
}

// userinfo calls the userinfo endpoint with the last access token and checks that
// it speaks of the same person.
func (m *module) userinfo() map[string]any {
	m.Helper()
	res, text := m.p.send(m.T, http.MethodGet, m.p.meta.Userinfo, "Bearer "+m.tokens.Access, nil)
	return m.person(res, text)
}

func (m *module) person(res *http.Response, text string) map[string]any {
	m.Helper()
	var u map[string]any
	if res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") || json.Unmarshal([]byte(text), &u) != nil {
		m.Fatalf("userinfo: %d %s %s", res.StatusCode, res.Header.Get("WWW-Authenticate"), text)
	}
	if u["sub"] != m.id.Subject {
		m.Errorf("userinfo: sub %v, want %q", u["sub"], m.id.Subject)
	}
	for name, v := range u { // OpenID Connect Core 1.0 §5.1
		switch name {
		case "email_verified", "phone_number_verified":
			if _, ok := v.(bool); !ok {
				m.Errorf("userinfo: %s is %T", name, v)
			}
		default:
			if s, ok := v.(string); !ok || s == "" {
				m.Errorf("userinfo: %s is %v", name, v)
			}
		}
	}
	return u
}

// askedAgain says whether the browser was shown the sign-in page in the last visit.
func (m *module) askedAgain() bool {
	return slices.Contains(m.browser.seen, "Sign in")
}

func names(m map[string]any) string {
	var all []string
	for n := range m {
		if n != "oid" && n != "tid" { // which every answer of userinfo has here
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return fmt.Sprint(all)
}
