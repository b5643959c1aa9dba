package lifecycle_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

// life is one person in one application with everything that can be handed out,
// in two browsers: here is the one that events happen in, there is the other.
type life struct {
	w           *world
	n           int64
	ada, adaID  string
	newcomer    string // must change the password: the sign-in is half-finished
	friend      string // of hers, to whom nothing happens either
	app, secret string
	here, there *browser
	stale       *http.Cookie // here's cookie, as it was before
	sessionID   string       // here's
	group       string
	machine     webkittest.Device // here's, once it is registered
	registers   bool              // here is registered as a device before anything is handed out
	policy      string

	got map[artefact]string
	// used is a refresh token of the same grant as refreshHere, one generation older.
	used, code string
	consent    page
	enrol      page // empty: somebody who has a pass must prove it first
	ticket     page
	ticketAt   *browser
}

type artefact string

// What can be handed out. "here" is what came of the browser that events happen in.
const (
	sessionHere   artefact = "session cookie here"
	sessionThere  artefact = "session cookie elsewhere"
	codeHere      artefact = "authorization code"
	deviceHere    artefact = "approved device code"
	devicePending artefact = "device code that nobody approved"
	pushed        artefact = "pushed request"
	refreshHere   artefact = "refresh token"
	refreshThere  artefact = "refresh token elsewhere"
	refreshOther  artefact = "refresh token of another application"
	tokenHere     artefact = "access token at a guard"
	tokenThere    artefact = "access token elsewhere at a guard"
	tokenOnline   artefact = "access token without offline_access at a guard"
	introspected  artefact = "access token at introspection"
	userinfo      artefact = "access token at userinfo"
	ownAPI        artefact = "access token at the own API"
	childToken    artefact = "exchanged access token at its guard"
	childRefresh  artefact = "exchanged refresh token"
	consentPage   artefact = "consent page under way"
	ticket        artefact = "half-finished sign-in"
	appToken      artefact = "app-only token at a guard"
	appSeen       artefact = "app-only token at introspection"
	enrolment     artefact = "authenticator app being registered"
	henrys        artefact = "somebody else's session"
)

var artefacts = []artefact{sessionHere, sessionThere, codeHere, deviceHere, devicePending, pushed, refreshHere, refreshThere, refreshOther, tokenHere, tokenThere, tokenOnline,
	introspected, userinfo, ownAPI, childToken, childRefresh, consentPage, ticket, appToken, appSeen, enrolment, henrys}

const (
	mailScope = "openid offline_access api://mail/Mail.Read"
	spare     = `, "Mail.Spare"`
)

func (l *life) manifest(extra string) string {
	return fmt.Sprintf(`
[[user]]
name = "ada-%[1]d@contoso.example"
display_name = "Ada %[1]d"
password = "correct horse battery"

[[user]]
name = "new-%[1]d@contoso.example"
display_name = "New %[1]d"
password = "correct horse battery"
must_change = true

[[user]]
name = "eve-%[1]d@contoso.example"
display_name = "Eve %[1]d"
password = "correct horse battery"

[[app]]
id = "app-%[1]d"
name = "Application %[1]d"
secret = "a-long-secret-for-application-%[1]d"
device_code = true
redirect_uris = ["https://app.contoso.example/cb"]
permissions = [{ resource = "api://mail", scopes = ["Mail.Read", "Mail.Send"%[2]s] }, { resource = "curfew", scopes = ["openid", "profile", "User.Read"] }]
app_permissions = [{ resource = "api://mail", scopes = ["Mail.Read.All"] }]
`, l.n, spare) + extra
}

// live begins a life. extra is declared with it, prepare is done before anything
// is handed out.
func (w *world) live(t *testing.T, prepare func(*testing.T, *life)) *life {
	t.Helper()
	l := &life{w: w, n: w.n.Add(1), got: map[artefact]string{}}
	l.ada, l.newcomer = fmt.Sprintf("ada-%d@%s", l.n, domain), fmt.Sprintf("new-%d@%s", l.n, domain)
	l.friend = fmt.Sprintf("eve-%d@%s", l.n, domain)
	l.app, l.secret = fmt.Sprintf("app-%d", l.n), fmt.Sprintf("a-long-secret-for-application-%d", l.n)
	w.must(t, http.MethodPost, "/v1.0/curfew/apply", l.manifest(""))
	l.adaID = field(t, w.must(t, http.MethodGet, "/v1.0/users/"+l.ada, nil), "id")
	if prepare != nil {
		prepare(t, l)
	}
	l.here, l.there = w.browser(t), w.browser(t)
	l.here.signIn(t, l.ada, password)
	l.stale = l.here.cookie(t)
	l.sessionID = l.onlySession(t)
	l.there.signIn(t, l.ada, password)
	if l.registers {
		l.machine = webkittest.Device{Client: l.here.http, Base: w.base}
		l.register(t)
	}

	// The first code is redeemed; that it was can be abused later.
	l.code = l.here.code(t, url.Values{"client_id": {l.app}, "scope": {mailScope + " https://graph.microsoft.com/User.Read"}})
	got := w.redeem(t, l.app, l.secret, l.code)
	l.used = got.Refresh
	got = w.refresh(t, l.app, l.secret, got.Refresh, "openid https://graph.microsoft.com/User.Read")
	l.got[ownAPI], l.got[userinfo] = got.Access, got.Access
	got = w.refresh(t, l.app, l.secret, got.Refresh, "api://mail/Mail.Read")
	l.got[refreshHere], l.got[tokenHere], l.got[introspected] = got.Refresh, got.Access, got.Access

	child := w.ask(t, "mail-api", "a-long-secret-for-the-mail-api", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token": {l.got[tokenHere]}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"}, "scope": {"api://archive/Archive.Read offline_access"}})
	if child.status != http.StatusOK || child.Refresh == "" {
		t.Fatalf("exchange: %+v", child)
	}
	l.got[childToken], l.got[childRefresh] = child.Access, child.Refresh
	got = w.redeem(t, l.app, l.secret, l.there.code(t, url.Values{"client_id": {l.app}, "scope": {mailScope}}))
	l.got[refreshThere], l.got[tokenThere] = got.Refresh, got.Access
	got = w.redeem(t, "other", "", l.here.code(t, url.Values{"client_id": {"other"}, "scope": {mailScope}}))
	l.got[refreshOther] = got.Refresh
	got = w.redeem(t, l.app, l.secret, l.here.code(t, url.Values{"client_id": {l.app}, "scope": {"openid api://mail/Mail.Read"}}))
	l.got[tokenOnline] = got.Access

	l.got[codeHere] = l.here.code(t, url.Values{"client_id": {l.app}, "scope": {mailScope}})
	l.got[deviceHere] = l.device(t, l.here)
	l.got[devicePending] = l.device(t, nil)
	l.got[pushed] = l.push(t)
	l.consent = l.here.ask(t, url.Values{"client_id": {l.app}, "scope": {"openid api://mail/Mail.Send"}})
	if !strings.Contains(l.consent.text, `value="allow"`) {
		t.Fatalf("no consent page: %d %s", l.consent.status, l.consent.text)
	}
	if p := l.here.post(t, "/account/methods/app/begin", url.Values{}); strings.Contains(p.text, `id="key"`) {
		l.enrol = p
	}
	l.ticketAt = w.browser(t)
	action, form := l.ticketAt.get(t, "/signin").fill(t, "username", l.newcomer, "password", password)
	if l.ticket = l.ticketAt.post(t, action, form); l.ticket.status != http.StatusOK {
		t.Fatalf("no half-finished sign-in: %d %s", l.ticket.status, l.ticket.text)
	}
	l.got[appToken] = l.asItself(t)
	l.got[appSeen] = l.got[appToken]
	return l
}

func (l *life) onlySession(t *testing.T) string {
	t.Helper()
	all, err := l.w.cli.Sessions(t.Context(), l.ada)
	if err != nil || len(all) != 1 {
		t.Fatalf("sessions of %s: %v %v", l.ada, all, err)
	}
	return all[0].ID
}

// grantID finds the grant of refreshHere: the only one with offline_access of the
// application in the browser here.
func (l *life) grantID(t *testing.T) string {
	t.Helper()
	var doc struct {
		Gid string `json:"gid"`
	}
	readClaims(t, l.got[tokenHere], &doc)
	return doc.Gid
}

func (l *life) asItself(t *testing.T) string {
	t.Helper()
	got := l.w.ask(t, l.app, l.secret, url.Values{"grant_type": {"client_credentials"}, "scope": {"api://mail/.default"}})
	if got.status != http.StatusOK {
		t.Fatalf("client credentials: %+v", got)
	}
	return got.Access
}

// device begins a device flow and lets b approve it; nil: nobody.
func (l *life) device(t *testing.T, b *browser) string {
	t.Helper()
	var begun struct {
		Device string `json:"device_code"`
		User   string `json:"user_code"`
	}
	if status := l.w.form(t, "/oauth2/devicecode", l.app, l.secret, url.Values{"scope": {mailScope}}, &begun); status != http.StatusOK {
		t.Fatalf("device code: %d", status)
	}
	if b != nil {
		if p := b.approve(t, begun.User); p.status != http.StatusOK || !strings.Contains(p.text, "onnected") {
			t.Fatalf("approval: %d %s", p.status, p.text)
		}
		return begun.Device
	}
	return begun.Device + " " + begun.User
}

// approve types a device's code and lets it in.
func (b *browser) approve(t *testing.T, user string) page {
	t.Helper()
	action, form := b.get(t, "/device").fill(t, "user_code", user)
	p := b.post(t, action, form)
	for range 2 { // the confirmation, and consent where it is missing
		if p.status != http.StatusOK || !strings.Contains(p.text, `value="allow"`) {
			break
		}
		action, form = p.fill(t, "decision", "allow")
		p = b.post(t, action, form)
	}
	return p
}

func (l *life) push(t *testing.T) string {
	t.Helper()
	var got struct {
		URI string `json:"request_uri"`
	}
	q, err := url.ParseQuery(strings.TrimPrefix(l.w.authorizeURL(url.Values{"scope": {mailScope}}), "/oauth2/authorize?"))
	if err != nil {
		t.Fatal(err)
	}
	if status := l.w.form(t, "/oauth2/par", l.app, l.secret, q, &got); status != http.StatusCreated {
		t.Fatalf("pushed request: %d", status)
	}
	return got.URI
}

// use uses an artefact, as whoever holds it would.
func (l *life) use(t *testing.T, a artefact) outcome {
	t.Helper()
	w, x := l.w, l.got[a]
	switch a {
	case sessionHere:
		return l.here.here(t)
	case sessionThere:
		return l.there.here(t)
	case henrys:
		return w.henry.here(t)
	case codeHere:
		return w.ask(t, l.app, l.secret, url.Values{"grant_type": {"authorization_code"}, "code": {x}, "redirect_uri": {landing}, "code_verifier": {verifier}}).outcome(t)
	case deviceHere:
		return l.poll(t, x)
	case devicePending:
		device, user, _ := strings.Cut(x, " ")
		switch p := l.friends(t).approve(t, user); {
		case p.status == http.StatusTooManyRequests:
			t.Fatalf("too many dead codes for one person: %s", p.text)
		case p.status != http.StatusOK || strings.Contains(p.text, `name="user_code"`):
			return dead(fmt.Sprint(p.status, " at approval"))
		}
		return l.poll(t, device)
	case pushed:
		b := l.friends(t)
		p := b.ask(t, url.Values{"client_id": {l.app}, "request_uri": {x}})
		if p.status == http.StatusOK && strings.Contains(p.text, `value="allow"`) {
			p = b.allow(t, p)
		}
		code := codeOf(p)
		if code == "" {
			return dead(fmt.Sprint(p.status, " ", p.to))
		}
		return w.ask(t, l.app, l.secret, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {landing}, "code_verifier": {verifier}}).outcome(t)
	case refreshHere, refreshThere:
		return w.refresh(t, l.app, l.secret, x, "").outcome(t)
	case refreshOther:
		return w.refresh(t, "other", "", x, "").outcome(t)
	case childRefresh:
		return w.refresh(t, "mail-api", "a-long-secret-for-the-mail-api", x, "").outcome(t)
	case tokenHere, tokenThere, tokenOnline, appToken:
		return w.mail.take(t, x)
	case childToken:
		return w.archive.take(t, x)
	case introspected, appSeen:
		var got struct{ Active bool }
		if status := w.form(t, "/oauth2/introspect", "mail-api", "a-long-secret-for-the-mail-api", url.Values{"token": {x}}, &got); status != http.StatusOK {
			t.Fatalf("introspection: %d", status)
		}
		return outcome{got.Active, "active false"}
	case userinfo:
		return l.called(t, "/oauth2/userinfo")
	case ownAPI:
		return l.called(t, "/v1.0/me")
	case consentPage:
		p := l.here.allow(t, l.consent)
		return outcome{codeOf(p) != "", fmt.Sprint(p.status, " ", p.to)}
	case enrolment:
		if l.enrol.text == "" {
			return dead("it could not begin")
		}
		action, form := l.enrol.fill(t, "code", appCode(t, l.enrol))
		p := l.here.post(t, action, form)
		return outcome{strings.Contains(p.to, "added") || strings.Contains(p.to, "/account/methods/codes"), fmt.Sprint(p.status, " ", p.to)}
	case ticket:
		action, form := l.ticket.fill(t, "password", "another fine battery", "password2", "another fine battery")
		if p := l.ticketAt.post(t, action, form); p.status != http.StatusSeeOther {
			return dead(fmt.Sprint(p.status))
		}
		return l.ticketAt.here(t)
	}
	t.Fatalf("nobody knows how to use %s", a)
	return outcome{}
}

var keyRE = regexp.MustCompile(`id="key"[^>]*>([A-Z2-7 ]+)<`)

// appCode is what an authenticator app shows now (RFC 6238).
func appCode(t *testing.T, p page) string {
	t.Helper()
	m := keyRE.FindStringSubmatch(p.text)
	if m == nil {
		t.Fatalf("no key in %s", p.text)
	}
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(m[1], " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	h := hmac.New(sha1.New, key)
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(time.Now().Unix()/30)))
	sum := h.Sum(nil)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff%1_000_000)
}

// friends is a new browser of the friend's, who decides what is nobody's yet.
func (l *life) friends(t *testing.T) *browser {
	t.Helper()
	b := l.w.browser(t)
	b.signIn(t, l.friend, password)
	return b
}

func (l *life) poll(t *testing.T, device string) outcome {
	t.Helper()
	return l.w.ask(t, l.app, l.secret, url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {device}}).outcome(t)
}

func (l *life) called(t *testing.T, path string) outcome {
	t.Helper()
	switch status, text := l.w.api(t, l.got[ownAPI], http.MethodGet, path, nil); status {
	case http.StatusOK:
		return alive
	case http.StatusUnauthorized:
		return dead(text)
	default:
		t.Fatalf("%s: %d %s", path, status, text)
		return outcome{}
	}
}
