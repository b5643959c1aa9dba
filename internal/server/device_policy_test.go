package server_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

// machine is a browser that can be somebody's device.
type machine struct {
	*node
	webkittest.Device
}

func (n *node) machine() *machine {
	return &machine{n, webkittest.Device{Client: n.http, Base: n.base}}
}

// laptop gives a browser's requests the name of one: policies go by the system it says.
type laptop struct{ http.RoundTripper }

func (l laptop) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
	return l.RoundTripper.RoundTrip(r)
}

func (m *machine) register(t *testing.T, want int) {
	t.Helper()
	if status, err := m.Register("Laptop"); err != nil || status != want {
		t.Fatalf("register: %d %v, want %d", status, err, want)
	}
}

func (m *machine) proves(t *testing.T, want int) {
	t.Helper()
	if status, err := m.Prove(); err != nil || status != want {
		t.Fatalf("recognise: %d %v, want %d", status, err, want)
	}
}

// mail asks for the mail where somebody is signed in: where the browser is sent, or
// what it is shown.
func (n *node) mail(t *testing.T) (to *url.URL, page string) {
	t.Helper()
	res, text := n.get(t, n.asksMail())
	if res.StatusCode != http.StatusSeeOther {
		return nil, text
	}
	to, err := res.Location()
	if err != nil {
		t.Fatal(err)
	}
	return to, ""
}

func (n *node) asksMail() string {
	return "/oauth2/authorize?" + url.Values{"client_id": {"reader"}, "response_type": {"code"}, "redirect_uri": {"http://localhost"}, "scope": {mailScope}, "state": {"s"}, "code_challenge": {challengeOf(verifier)}, "code_challenge_method": {"S256"}}.Encode()
}

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// redeem goes on from mail to tokens.
func (n *node) redeem(t *testing.T) tokens {
	t.Helper()
	to, page := n.mail(t)
	if to == nil || to.Query().Get("code") == "" {
		t.Fatalf("no code: %v %s", to, says(page))
	}
	status, out := n.token(t, url.Values{"grant_type": {"authorization_code"}, "code": {to.Query().Get("code")}, "redirect_uri": {"http://localhost"}, "code_verifier": {verifier}})
	if status != http.StatusOK {
		t.Fatalf("%d %+v", status, out)
	}
	return out
}

// enter signs somebody in at the sign-in page and returns where that leads.
func (n *node) enter(t *testing.T, user string) *url.URL {
	t.Helper()
	_, text := n.get(t, "/signin?next="+url.QueryEscape("/account"))
	form := url.Values{"username": {user}, "password": {"correct horse battery"}}
	for _, h := range hiddenRE.FindAllStringSubmatch(text, -1) {
		form.Set(h[1], html.UnescapeString(h[2]))
	}
	res, text := n.post(t, "/signin", form)
	to, err := res.Location()
	if err != nil {
		t.Fatalf("%d %s", res.StatusCode, says(text))
	}
	return to
}

var (
	elseRE = regexp.MustCompile(`data-else="([^"]*)"`)
	skipRE = regexp.MustCompile(`href="([^"]*)">Not now`)
)

// A policy lets compliant devices in only. A browser that is none is asked to prove
// itself, then to be registered; compliant it is let in; lost it is out at the guard
// and at the token endpoint, while the other device goes on.
func TestAPolicyLetsInDevicesUntilTheyAreLost(t *testing.T) {
	t.Parallel()
	n := start(t, "")
	m := n.mailService(t)
	admin := n.anew(t).signIn(t, graphScope, "grace@contoso.example").Access
	n.policy(t, admin, "", `"grantControls":{"operator":"OR","builtInControls":["compliantDevice"]}`)

	const recognise, register = "/account/devices/recognise", "/account/devices/register"
	unknown := n.anew(t)
	unknown.enter(t, "ada@contoso.example")
	var known []*machine
	var got []tokens
	for range 2 {
		b := n.anew(t).machine()
		b.http.Transport = laptop{b.http.Transport}
		b.enter(t, "ada@contoso.example")
		to, page := b.mail(t)
		if to == nil || to.Path != recognise || !strings.HasPrefix(to.Query().Get("next"), "/oauth2/authorize?") {
			t.Fatalf("not sent to prove it is a device: %v %s", to, says(page))
		}
		_, page = b.get(t, to.RequestURI())
		other, err := url.Parse(html.UnescapeString(elseRE.FindStringSubmatch(page)[1]))
		if err != nil || other.Path != register || other.Query().Get("next") != to.Query().Get("next") {
			t.Fatalf("one that is none goes to %v %v", other, err)
		}
		res, page := b.get(t, other.RequestURI())
		if res.StatusCode != http.StatusOK || !strings.Contains(page, `data-device="register"`) {
			t.Fatalf("register: %d %s", res.StatusCode, says(page))
		}
		// Who does not want to is told that nothing else helps, and not led round.
		if res, page := b.get(t, html.UnescapeString(skipRE.FindStringSubmatch(page)[1])); res.StatusCode != http.StatusForbidden || !strings.Contains(page, "AADSTS50097") {
			t.Errorf("not now: %d %s", res.StatusCode, says(page))
		}
		b.register(t, http.StatusOK)
		if to, page := b.mail(t); to != nil || !strings.Contains(page, "AADSTS53000") {
			t.Fatalf("registered and not compliant: %v %s", to, says(page))
		}
		n.graph(t, admin, "PATCH", "/devices/"+b.ID, `{"isCompliant":true}`, 204)
		known, got = append(known, b), append(got, b.redeem(t))
	}
	for i, x := range got {
		m.until(t, x.Access, http.StatusNoContent)
		if claimOf(t, x.Access, "deviceid") != known[i].ID {
			t.Errorf("the token is not of the device")
		}
	}
	if to, page := unknown.mail(t); to == nil || to.Path != recognise {
		t.Errorf("a browser that is no device: %v %s", to, says(page))
	}

	n.graph(t, admin, "POST", "/curfew/devices/"+known[0].ID+"/lost", `{}`, 204)
	_, took := m.until(t, got[0].Access, http.StatusUnauthorized)
	t.Logf("refused after %v", took)
	refresh := func(x tokens) (int, string) {
		res, text := n.anew(t).post(t, "/oauth2/token", url.Values{"client_id": {"reader"}, "grant_type": {"refresh_token"}, "refresh_token": {x.Refresh}})
		return res.StatusCode, text
	}
	if status, text := refresh(got[0]); status != http.StatusBadRequest || !strings.Contains(text, `"error_codes":[135011]`) || !strings.Contains(text, `"suberror":"bad_token"`) {
		t.Errorf("a lost device refreshes: %d %s", status, text)
	}
	if status, text := refresh(got[1]); status != http.StatusOK {
		t.Errorf("the other device: %d %s", status, text)
	}
	m.until(t, got[1].Access, http.StatusNoContent)

	// There again: it is not recognised, may not be registered anew, and is told why.
	b := known[0]
	if to := b.enter(t, "ada@contoso.example"); to.Path != recognise {
		t.Errorf("who has the cookie is sent to %v", to)
	}
	b.proves(t, http.StatusForbidden)
	to, _ := b.mail(t)
	if to == nil || to.Path != recognise {
		t.Fatalf("sent to %v", to)
	}
	if res, page := b.get(t, register+"?next="+url.QueryEscape(to.Query().Get("next"))); res.StatusCode != http.StatusForbidden || !strings.Contains(page, "AADSTS135011") {
		t.Errorf("the disabled device: %d %s", res.StatusCode, says(page))
	}
	b.register(t, http.StatusForbidden)
	// Found: a new sign-in is recognised, and what had ended stays so.
	n.graph(t, admin, "PATCH", "/devices/"+b.ID, `{"accountEnabled":true}`, 204)
	b.proves(t, http.StatusOK)
	b.redeem(t)
	if status, text := refresh(got[0]); status != http.StatusBadRequest {
		t.Errorf("enabling brought a grant back: %d %s", status, text)
	}
	n.graph(t, admin, "PATCH", "/devices/"+b.ID, `{"isCompliant":false}`, 204)
	if to, page := b.mail(t); to != nil || !strings.Contains(page, "AADSTS53000") {
		t.Errorf("not compliant any more: %v %s", to, says(page))
	}
}

// A policy about registering devices refuses it, on the page and behind it.
func TestAPolicyForbidsRegisteringDevices(t *testing.T) {
	t.Parallel()
	n := start(t, "")
	admin := n.anew(t).signIn(t, graphScope, "grace@contoso.example").Access
	b := n.anew(t).machine()
	b.enter(t, "ada@contoso.example")
	var made struct{ ID string }
	if err := json.Unmarshal([]byte(n.graph(t, admin, "POST", "/identity/conditionalAccess/policies", `{"displayName":"No devices","state":"enabled","conditions":{"users":{"includeUsers":["All"],"excludeRoles":["62e90394-69f5-4237-9190-012177145e10"]},
		"applications":{"includeUserActions":["urn:user:registerdevice"]},"clientAppTypes":["all"]},`+blocks+`}`, 201)), &made); err != nil {
		t.Fatal(err)
	}
	if res, page := b.get(t, "/account/devices/register"); res.StatusCode != http.StatusForbidden || !strings.Contains(page, "AADSTS53003") {
		t.Errorf("the page: %d %s", res.StatusCode, says(page))
	}
	b.register(t, http.StatusForbidden)
	if res, page := b.get(t, "/account"); res.StatusCode != http.StatusOK || !strings.Contains(page, "No device is registered.") {
		t.Errorf("the account: %d %s", res.StatusCode, says(page))
	}
	b.redeem(t) // it is about registering, and nothing else
	// To register a device does not wait for one: no page leads to itself.
	n.graph(t, admin, "PATCH", "/identity/conditionalAccess/policies/"+made.ID, `{"grantControls":{"operator":"OR","builtInControls":["compliantDevice"]}}`, 204)
	if res, page := b.get(t, "/account/devices/register"); res.StatusCode != http.StatusForbidden || !strings.Contains(page, "AADSTS50097") {
		t.Errorf("the page: %d %s %s", res.StatusCode, res.Header.Get("Location"), says(page))
	}
	n.graph(t, admin, "PATCH", "/identity/conditionalAccess/policies/"+made.ID, `{"state":"disabled"}`, 204)
	// What a form of another site could send is no request of the script.
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", ""} {
		res, err := b.http.Post(b.base+"/account/devices/register/challenge", kind, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		if text := body(t, res); res.StatusCode != http.StatusBadRequest || strings.Contains(text, "challenge") {
			t.Errorf("a challenge for %q: %d %s", kind, res.StatusCode, text)
		}
	}
	b.register(t, http.StatusOK)
}

// Who comes back from another provider is sent to prove the device too: the cookie is
// not seen on that way, so who has a device at all is asked.
func TestADeviceIsRecognisedAfterAnotherProvider(t *testing.T) {
	t.Parallel()
	f := federated(t, "")
	in := func(b *node) string {
		q := f.begin(b)
		f.liar.answers(q.Get("nonce"), nil)
		res, text := f.back(b, q.Get("state"))
		if res.StatusCode != http.StatusSeeOther {
			t.Fatalf("%d %s", res.StatusCode, says(text))
		}
		return res.Header.Get("Location")
	}
	b := browserFor(t, f.here.base).machine()
	if to := in(b.node); strings.HasPrefix(to, "/account/devices") {
		t.Errorf("who has no device is sent to %s", to)
	}
	b.register(t, http.StatusOK)
	_, page := b.get(t, "/signout")
	b.press(t, page, "decision", "allow")
	elsewhere := browserFor(t, f.here.base)
	for who, x := range map[string]*node{"the device": b.node, "another browser": elsewhere} {
		if to := in(x); !strings.HasPrefix(to, "/account/devices/recognise?next=") {
			t.Errorf("%s is sent to %s", who, to)
		}
	}
	b.proves(t, http.StatusOK)
	if status, err := elsewhere.machine().Prove(); status != http.StatusNotFound {
		t.Errorf("a browser that is no device is asked to prove it: %d %v", status, err)
	}
}
