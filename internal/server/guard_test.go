package server_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/guard"
	"github.com/curfew-id/curfew/guard/guardtest"
)

// mailService is the service behind a real guard that follows the node's feed:
// /inbox for every token, /send for whoever signed in within stepUpAge.
type mailService struct {
	url   string
	guard *guard.Guard
	stop  func() // the guard says goodbye
}

const stepUpAge = 2 * time.Second

func (n *node) mailService(t testing.TB, change ...func(*guard.Config)) *mailService {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mailService{url: "http://" + l.Addr().String()}
	cfg := guard.Config{Issuer: n.base, ClientID: "mail-api", ClientSecret: "a-long-secret-for-the-mail-api", Audience: "api://mail", URL: m.url,
		Scopes: []string{"api://mail/Mail.Read"}, HTTPClient: n.http, Log: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&cfg)
	}
	m.guard, err = guard.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() { defer close(over); m.guard.Run(ctx) }()
	m.stop = func() { stop(); <-over }
	t.Cleanup(m.stop)
	ready, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := m.guard.Ready(ready); err != nil {
		t.Fatal(err)
	}
	done := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux := http.NewServeMux()
	mux.Handle("/inbox", m.guard.Require("Mail.Read")(done))
	mux.Handle("/send", m.guard.RequireACR(stepUpAge)(done))
	srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: m.guard.Middleware(mux)}}
	srv.Start()
	t.Cleanup(srv.Close)
	return m
}

// ask calls the service; proof "" sends a bearer token.
func (m *mailService) ask(t *testing.T, path, token, proof string) *http.Response {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, m.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if proof != "" {
		r.Header.Set("Authorization", "DPoP "+token)
		r.Header.Set("DPoP", proof)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res
}

// parameter finds a quoted parameter of the challenge.
func parameter(res *http.Response, name string) string {
	_, v, _ := strings.Cut(strings.Join(res.Header.Values("WWW-Authenticate"), ", "), " "+name+`="`)
	v, _, _ = strings.Cut(v, `"`)
	return v
}

// A client that knows only the address of a resource finds its way: the refusal
// names the metadata, the metadata the server; the token it gets there is bound
// to its key, is taken with proofs of that key, and dies of a revoke.
func TestAKeyBoundTokenFromTheFirstRefusalToTheLast(t *testing.T) {
	t.Parallel()
	n := start(t, "")
	m := n.mailService(t)
	res, err := http.Get(parameter(m.ask(t, "/inbox", "", ""), "resource_metadata"))
	if err != nil {
		t.Fatal(err)
	}
	var meta struct {
		Resource string
		Servers  []string `json:"authorization_servers"`
		Scopes   []string `json:"scopes_supported"`
	}
	if err := json.Unmarshal([]byte(body(t, res)), &meta); err != nil || meta.Resource != m.url || len(meta.Servers) != 1 || meta.Servers[0] != n.base {
		t.Fatalf("metadata %+v %v", meta, err)
	}

	h := guardtest.NewHolder()
	token := func(form url.Values) (int, tokens) {
		t.Helper()
		form.Set("client_id", "reader")
		r, err := http.NewRequest(http.MethodPost, n.base+"/oauth2/token", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("DPoP", h.Proof(guardtest.Proof{Method: http.MethodPost, URL: n.base + "/oauth2/token", Claims: map[string]any{"ath": nil}}))
		res, err := n.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var got tokens
		if err := json.Unmarshal([]byte(body(t, res)), &got); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, got
	}
	code := n.authorize(t, "offline_access "+meta.Scopes[0], "ada@contoso.example", "dpop_jkt", h.Thumbprint())
	status, got := token(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"http://localhost"}, "code_verifier": {verifier}})
	if status != http.StatusOK {
		t.Fatalf("%d %+v", status, got)
	}
	proof := func(token string) string {
		return h.Proof(guardtest.Proof{Method: http.MethodGet, URL: m.url + "/inbox", Token: token})
	}
	if res := m.ask(t, "/inbox", got.Access, proof(got.Access)); res.StatusCode != http.StatusNoContent {
		t.Fatalf("with a proof: %d %v", res.StatusCode, res.Header)
	}
	if res := m.ask(t, "/inbox", got.Access, ""); res.StatusCode != http.StatusUnauthorized || parameter(res, "error") != "invalid_token" {
		t.Errorf("as a bearer token: %d %v", res.StatusCode, res.Header)
	}
	thief := guardtest.NewHolder().Proof(guardtest.Proof{Method: http.MethodGet, URL: m.url + "/inbox", Token: got.Access})
	if res := m.ask(t, "/inbox", got.Access, thief); res.StatusCode != http.StatusUnauthorized || parameter(res, "error") != "invalid_dpop_proof" {
		t.Errorf("with a thief's proof: %d %v", res.StatusCode, res.Header)
	}
	grace := n.anew(t).signIn(t, "openid https://graph.microsoft.com/.default", "grace@contoso.example")
	n.revoke(t, grace.Access, "ada@contoso.example")
	for end := time.Now().Add(10 * time.Second); ; {
		res := m.ask(t, "/inbox", got.Access, proof(got.Access))
		if res.StatusCode == http.StatusUnauthorized && parameter(res, "error") == "invalid_token" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("not refused after the revoke: %d %v", res.StatusCode, res.Header)
		}
	}
	if status, got := token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh}}); status != http.StatusBadRequest || got.Error != "invalid_grant" {
		t.Errorf("refresh after the revoke: %d %+v", status, got)
	}
}

// RFC 9470: what the guard says is what the server obeys. A machine that is slow
// may take longer than stepUpAge from the sign-in to the call: then it is told so
// again, as any client would be, and tries again.
func TestStepUpFromTheRefusalToTheFreshSignIn(t *testing.T) {
	t.Parallel()
	n := start(t, "")
	m := n.mailService(t)
	got := n.signIn(t, mailScope, "ada@contoso.example")
	var res *http.Response
	for end := time.Now().Add(20 * time.Second); ; {
		if res = m.ask(t, "/send", got.Access, ""); res.StatusCode == http.StatusUnauthorized {
			break
		}
		if time.Now().After(end) {
			t.Fatal("an old sign-in was never refused")
		}
		time.Sleep(50 * time.Millisecond) // nothing else happens: time has to pass
	}
	if parameter(res, "error") != "insufficient_user_authentication" || parameter(res, "max_age") != "2" {
		t.Fatalf("%v", res.Header)
	}
	if res := m.ask(t, "/inbox", got.Access, ""); res.StatusCode != http.StatusNoContent {
		t.Fatalf("what needs no fresh sign-in: %d", res.StatusCode)
	}
	// A refresh proves nothing anew.
	_, renewed := n.token(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh}})
	if res := m.ask(t, "/send", renewed.Access, ""); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a refreshed token: %d", res.StatusCode)
	}
	for range 5 {
		code := n.authorize(t, mailScope, "ada@contoso.example", "max_age", parameter(res, "max_age"))
		_, fresh := n.token(t, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"http://localhost"}, "code_verifier": {verifier}})
		if m.ask(t, "/send", fresh.Access, "").StatusCode == http.StatusNoContent {
			return
		}
	}
	t.Error("a fresh sign-in was not taken")
}

// Lives above an hour are believed only while a real guard vouches for them, and
// then a revoke still ends them at once, as the receipt says.
func TestALongTokenIsGivenWhileAGuardIsThereAndEndsByIt(t *testing.T) {
	t.Parallel()
	n := start(t, "")
	grace := n.anew(t).signIn(t, "openid https://graph.microsoft.com/.default", "grace@contoso.example")
	call := func(method, path, body string, into any) int {
		t.Helper()
		r, err := http.NewRequest(method, n.base+"/v1.0"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+grace.Access)
		res, err := n.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if err := json.NewDecoder(res.Body).Decode(into); err != nil && res.StatusCode != http.StatusNoContent {
			t.Fatal(err)
		}
		return res.StatusCode
	}
	const resource, long = "/curfew/resources/api:%2F%2Fmail", `{"guarded":true,"tokenLifeMs":100800000}`
	var refused struct{ Error struct{ Message string } }
	if status := call("PATCH", resource, long, &refused); status != http.StatusConflict || !strings.Contains(refused.Error.Message, "No guard of it is registered.") {
		t.Fatalf("without a guard: %d %+v", status, refused)
	}
	m := n.mailService(t)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) { // until it has acknowledged
		status := call("PATCH", resource, long, &refused)
		if status == http.StatusNoContent {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("with a guard: %d %+v", status, refused)
		}
	}
	got := n.capableSignIn(t, mailScope, "ada@contoso.example")
	if got.Expires < 20*3600 || got.Expires > 28*3600 {
		t.Errorf("a token lives %d s while a guard is there", got.Expires)
	}
	if res := m.ask(t, "/inbox", got.Access, ""); res.StatusCode != http.StatusNoContent {
		t.Fatalf("before the revoke: %d", res.StatusCode)
	}
	var cut struct {
		Receipt string `json:"@curfew.receipt"`
	}
	if status := call("POST", "/users/ada@contoso.example/revokeSignInSessions", "", &cut); status != http.StatusOK {
		t.Fatalf("revoke: %d", status)
	}
	var receipt struct {
		Complete bool
		Rows     []struct{ State, Resource string }
	}
	for end := time.Now().Add(10 * time.Second); !receipt.Complete; time.Sleep(20 * time.Millisecond) {
		call("GET", "/curfew/receipts/"+cut.Receipt, "", &receipt)
		if time.Now().After(end) {
			t.Fatalf("not confirmed: %+v", receipt)
		}
	}
	for _, row := range receipt.Rows {
		if row.Resource == "api://mail" && row.State != "confirmed" {
			t.Errorf("receipt: %+v", row)
		}
	}
	if res := m.ask(t, "/inbox", got.Access, ""); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("confirmed, and the token works for 28 hours: %d", res.StatusCode)
	}
	m.stop()
	for end := time.Now().Add(10 * time.Second); ; { // a node asks about guards once a second
		if got = n.signIn(t, mailScope, "ada@contoso.example"); got.Expires == 3600 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("a token lives %d s after the guard has left", got.Expires)
		}
	}
}
