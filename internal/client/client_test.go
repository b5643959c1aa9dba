package client

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// site is a server that gives one-time refresh tokens and answers as mux says.
type site struct {
	*httptest.Server
	mux *http.ServeMux

	mu      sync.Mutex
	access  string // the only one that is good
	refresh string
	n       int // tokens given
	reused  int // refresh tokens presented twice
	cut     bool
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{mux: http.NewServeMux()}
	s.mux.HandleFunc("POST /oauth2/token", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if r.FormValue("grant_type") == "refresh_token" {
			if s.cut {
				w.WriteHeader(400)
				fmt.Fprint(w, `{"error":"invalid_grant","error_description":"AADSTS50173: The grant was revoked. Sign in again. Trace ID: 1 Correlation ID: 2"}`)
				return
			}
			if r.FormValue("refresh_token") != s.refresh {
				s.reused++
				w.WriteHeader(400)
				fmt.Fprint(w, `{"error":"invalid_grant"}`)
				return
			}
		}
		s.next()
		json.NewEncoder(w).Encode(map[string]any{"access_token": s.access, "refresh_token": s.refresh, "expires_in": 3600, "token_type": "Bearer"})
	})
	s.Server = httptest.NewServer(s.mux)
	t.Cleanup(s.Close)
	return s
}

func (s *site) next() {
	s.n++
	s.access, s.refresh = fmt.Sprint("at", s.n), fmt.Sprint("rt", s.n)
}

// get answers a path under /v1.0 to who has the good token.
func (s *site) handle(pattern string, f http.HandlerFunc) {
	method, path, _ := strings.Cut(pattern, " ")
	s.mux.HandleFunc(method+" /v1.0"+path, func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		good := r.Header.Get("Authorization") == "Bearer "+s.access
		s.mu.Unlock()
		if !good {
			w.WriteHeader(401)
			fmt.Fprint(w, `{"error":{"code":"InvalidAuthenticationToken","message":"The token is not valid."}}`)
			return
		}
		f(w, r)
	})
}

// connect returns a client whose saved access token is used up.
func (s *site) connect(t *testing.T, dir string) *Client {
	t.Helper()
	_, name, err := Address(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	store := Store{Dir: dir}
	conn, err := store.Load(name)
	if errors.Is(err, ErrNotConnected) {
		s.mu.Lock()
		s.next()
		conn = &Connection{Name: name, Base: s.URL, Token: Token{Access: s.access, Refresh: s.refresh, Expires: time.Now().Add(-time.Minute)}}
		s.mu.Unlock()
		err = store.Save(conn)
	}
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(store, conn)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRefreshTokenIsPresentedOnceByManyProcesses(t *testing.T) {
	t.Parallel()
	s, dir := newSite(t), t.TempDir()
	s.handle("GET /curfew/me", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"domain":"contoso.example"}`) })
	var owned sync.WaitGroup
	errs := make(chan error, 16)
	for range 16 {
		c := s.connect(t, dir) // a client of its own, as another process has
		owned.Go(func() {
			_, err := c.Identity(t.Context())
			errs <- err
		})
	}
	owned.Wait()
	for range 16 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if s.reused != 0 || s.n != 2 {
		t.Errorf("%d tokens were given and %d refresh tokens reused, want 2 and 0", s.n, s.reused)
	}
	saved, err := Store{Dir: dir}.Load(s.connect(t, dir).Connection().Name)
	if err != nil || saved.Token.Refresh != s.refresh {
		t.Errorf("saved %+v (%v), the server's is %s", saved, err, s.refresh)
	}
}

func TestCutAccessTokenIsRenewedOnce(t *testing.T) {
	t.Parallel()
	s, dir := newSite(t), t.TempDir()
	asked := 0
	s.handle("POST /curfew/users/{id}/revoke", func(w http.ResponseWriter, r *http.Request) {
		asked++
		b, _ := io.ReadAll(r.Body)
		if !strings.Contains(string(b), "lost") {
			t.Errorf("the second try had the body %q", b)
		}
		fmt.Fprint(w, `{"id":"rc_1","pos":7,"at":"2026-03-02T12:04:31.220Z","overSince":null,"rows":[],"left":[],"tomorrow":1}`)
	})
	c := s.connect(t, dir)
	c.conn.Token.Access, c.conn.Token.Expires = "cut", time.Now().Add(time.Hour)
	if err := c.store.Save(c.conn); err != nil {
		t.Fatal(err)
	}
	cut, err := c.RevokeUser(t.Context(), "ada@contoso.example", Act{Reason: "lost"})
	if err != nil || cut.Receipt.ID != "rc_1" || cut.Receipt.Pos != 7 || asked != 1 {
		t.Fatalf("%+v, %v, asked %d times", cut, err, asked)
	}
	if !strings.Contains(string(cut.Receipt.Raw), "tomorrow") {
		t.Error("what the server wrote is not kept whole")
	}
}

func TestRevokedOperatorIsSignedOut(t *testing.T) {
	t.Parallel()
	s, dir := newSite(t), t.TempDir()
	c := s.connect(t, dir)
	s.cut = true
	_, err := c.Identity(t.Context())
	var out *SignedOut
	if !errors.As(err, &out) || !strings.HasSuffix(err.Error(), "The grant was revoked. Sign in again.") {
		t.Fatalf("got %v", err)
	}
	if s.n != 1 {
		t.Errorf("%d tokens were given", s.n)
	}
}

func TestLostAnswerIsNotCalledAFailure(t *testing.T) {
	t.Parallel()
	s, dir := newSite(t), t.TempDir()
	c := s.connect(t, dir)
	s.handle("POST /curfew/users/{id}/revoke", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	s.handle("GET /users/{id}", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	_, err := c.RevokeUser(t.Context(), "ada", Act{})
	var lost *Lost
	if !errors.As(err, &lost) {
		t.Errorf("a lost write: %v", err)
	}
	_, err = c.User(t.Context(), "ada")
	var far *Unreachable
	if !errors.As(err, &far) || errors.As(err, &lost) {
		t.Errorf("a lost read: %v", err)
	}
	s.Close()
	_, err = c.RevokeUser(t.Context(), "ada", Act{})
	if !errors.As(err, &far) {
		t.Errorf("a server that is not there: %v", err)
	}
}

func TestTokenGoesToTheConnectedAddressOnly(t *testing.T) {
	t.Parallel()
	var stolen int
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			stolen++
		}
		fmt.Fprint(w, `{"value":[{"id":"evil"}]}`)
	}))
	t.Cleanup(thief.Close)
	s, dir := newSite(t), t.TempDir()
	c := s.connect(t, dir)
	s.handle("GET /users", func(w http.ResponseWriter, r *http.Request) {
		switch r.FormValue("$skiptoken") {
		case "":
			fmt.Fprintf(w, `{"value":[{"id":"1"}],"@odata.nextLink":"%s/v1.0/users?$skiptoken=two"}`, thief.URL)
		default:
			fmt.Fprint(w, `{"value":[{"id":"2"}]}`)
		}
	})
	s.handle("GET /curfew/me", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, thief.URL, http.StatusFound) })
	var ids []string
	for u, err := range c.Users(t.Context(), UserQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, u.ID)
	}
	if fmt.Sprint(ids) != "[1 2]" {
		t.Errorf("listed %v", ids)
	}
	if _, err := c.Identity(t.Context()); err == nil || !strings.Contains(err.Error(), thief.URL) {
		t.Errorf("a redirect: %v", err)
	}
	if stolen != 0 {
		t.Errorf("the token was sent elsewhere %d times", stolen)
	}
}

func TestWholeUserNameFindsNobodyElse(t *testing.T) {
	t.Parallel()
	s, dir := newSite(t), t.TempDir()
	c := s.connect(t, dir)
	var asked []string
	s.handle("GET /users", func(w http.ResponseWriter, r *http.Request) {
		f := r.FormValue("$filter")
		asked = append(asked, f+"|"+r.FormValue("$search"))
		if strings.Contains(f, " eq 'ada@contoso.example'") {
			fmt.Fprint(w, `{"value":[{"id":"1","userPrincipalName":"ada@contoso.example"}]}`)
			return
		}
		fmt.Fprint(w, `{"value":[]}`)
	})
	list := func(q UserQuery) (n int) {
		asked = nil
		for _, err := range c.Users(t.Context(), q) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		return n
	}
	if n := list(UserQuery{Search: "ada@contoso.example", Filter: "accountEnabled eq true"}); n != 1 || len(asked) != 1 ||
		asked[0] != "(accountEnabled eq true) and (userPrincipalName eq 'ada@contoso.example' or mail eq 'ada@contoso.example')|" {
		t.Errorf("%d found by %q", n, asked)
	}
	if n := list(UserQuery{Search: "o'neil@c"}); n != 0 || len(asked) != 2 || asked[1] != "startswith(userPrincipalName,'o''neil@c') or startswith(mail,'o''neil@c')|" {
		t.Errorf("%d found by %q", n, asked)
	}
	if list(UserQuery{Search: `ada "love`}); len(asked) != 1 || asked[0] != `|"ada \"love"` {
		t.Errorf("asked %q", asked)
	}
}

func TestDryRunMustBeConfirmed(t *testing.T) {
	t.Parallel()
	s, dir := newSite(t), t.TempDir()
	c := s.connect(t, dir)
	s.handle("PATCH /users/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") == "old" || r.Header.Get("Curfew-Dry-Run") != "true" {
			w.Header().Set("Curfew-Receipt", "rc_9")
			w.WriteHeader(204)
			return
		}
		fmt.Fprint(w, `{"dryRun":true,"effects":["Disables Ada."]}`)
	})
	done, err := c.SetEnabled(t.Context(), "ada", false, Act{DryRun: true})
	if err != nil || len(done.Effects) != 1 || done.Receipt != "" {
		t.Errorf("%+v, %v", done, err)
	}
	if _, err := c.SetEnabled(t.Context(), "old", false, Act{DryRun: true}); err == nil {
		t.Error("a server that knows no dry run was believed")
	}
	if done, err = c.SetEnabled(t.Context(), "ada", false, Act{}); err != nil || done.Receipt != "rc_9" {
		t.Errorf("%+v, %v", done, err)
	}
}

func TestFollowGoesOnAfterALostStream(t *testing.T) {
	t.Parallel()
	s, dir := newSite(t), t.TempDir()
	c := s.connect(t, dir)
	streams := 0
	s.handle("GET /curfew/receipts/{id}/events", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") != "rc_1" {
			w.WriteHeader(404)
			fmt.Fprint(w, `{"error":{"code":"Request_ResourceNotFound","message":"There is no such receipt."}}`)
			return
		}
		streams++
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "retry: 1000\n\n: keep\n\nevent: other\ndata: x\n\ndata: {\"id\":\"rc_1\",\ndata: \"confirmed\":%d}\n\n", streams)
		if streams == 3 {
			fmt.Fprint(w, "event: end\ndata: end\n\n")
		}
	})
	s.handle("GET /curfew/receipts/{id}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"id":"rc_1","confirmed":-1}`) })
	var seen []int
	err := c.Follow(t.Context(), "rc_1", func(r *Receipt) bool {
		seen = append(seen, r.Confirmed)
		return r.Confirmed != 3
	})
	if err != nil || fmt.Sprint(seen) != "[1 -1 2 -1 3]" {
		t.Errorf("saw %v, %v", seen, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Follow(ctx, "rc_1", func(*Receipt) bool { return true }); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of its context: %v", err)
	}
	if err := c.Follow(t.Context(), "rc_2", func(*Receipt) bool { return true }); !NotFound(err) {
		t.Error("a receipt that is not there was followed")
	}
}

func TestSignInBrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var challenge, redirect string
	s.mux.HandleFunc("GET /oauth2/authorize", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("client_id") != "curfew-cli" || q.Get("code_challenge_method") != "S256" || !strings.Contains(q.Get("scope"), "https://graph.microsoft.com/.default") {
			t.Errorf("asked with %v", q)
		}
		challenge, redirect = q.Get("code_challenge"), q.Get("redirect_uri")
		v := url.Values{"state": {q.Get("state")}, "iss": {s.URL}, "code": {"the-code"}}
		switch r.Header.Get("Want") {
		case "deny":
			v = url.Values{"state": {q.Get("state")}, "iss": {s.URL}, "error": {"access_denied"}, "error_description": {"AADSTS65004: The person refused."}}
		case "mix":
			v.Set("iss", "https://evil.example")
		}
		http.Redirect(w, r, redirect+"/?"+v.Encode(), http.StatusSeeOther)
	})
	sign := func(want string) (*Client, error) {
		c, err := New(Store{Dir: t.TempDir()}, &Connection{Name: "x", Base: s.URL})
		if err != nil {
			t.Fatal(err)
		}
		return c, c.SignInBrowser(t.Context(), func(address string) {
			req, err := http.NewRequestWithContext(t.Context(), "GET", address, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Want", want)
			// A stranger who guesses the port ends nothing.
			u, _ := url.Parse(address)
			if resp, err := http.Get(u.Query().Get("redirect_uri") + "/?code=stranger&state=guess"); err != nil || resp.StatusCode != 404 {
				t.Errorf("a stranger: %v, %v", resp, err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			b, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if strings.Contains(string(b), "the-code") || !strings.Contains(string(b), "terminal") {
				t.Errorf("the page says %s", b)
			}
		})
	}
	c, err := sign("")
	if err != nil || c.Connection().Token.Access != s.access || challenge == "" || !strings.HasPrefix(redirect, "http://localhost:") {
		t.Errorf("%v, token %+v", err, c.Connection().Token)
	}
	if _, err := sign("deny"); err == nil || err.Error() != "The person refused." {
		t.Errorf("refused: %v", err)
	}
	if _, err := sign("mix"); err == nil || !strings.Contains(err.Error(), "evil.example") {
		t.Errorf("an answer of another issuer: %v", err)
	}
}

func TestSignInDevice(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	polls := 0
	mux.HandleFunc("POST /oauth2/devicecode", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"device_code":"dc","user_code":"BDWP-HQPK","verification_uri":"https://id/device","expires_in":900,"interval":0}`)
	})
	mux.HandleFunc("POST /oauth2/token", func(w http.ResponseWriter, r *http.Request) {
		switch polls++; {
		case r.FormValue("device_code") != "dc":
			t.Errorf("polled with %v", r.Form)
		case polls < 3:
			w.WriteHeader(400)
			fmt.Fprint(w, `{"error":"authorization_pending"}`)
		case polls == 3:
			panic(http.ErrAbortHandler) // a lost answer is no end
		default:
			fmt.Fprint(w, `{"access_token":"at","refresh_token":"rt","expires_in":60}`)
		}
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	c, err := New(Store{Dir: t.TempDir()}, &Connection{Name: "x", Base: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	var told DevicePrompt
	if err := c.SignInDevice(t.Context(), func(p DevicePrompt) { told = p }); err != nil {
		t.Fatal(err)
	}
	if told.Code != "BDWP-HQPK" || c.Connection().Token.Refresh != "rt" || polls != 4 {
		t.Errorf("told %+v, token %+v after %d polls", told, c.Connection().Token, polls)
	}
}

func TestLocalCertificateAuthority(t *testing.T) {
	t.Parallel()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"domain":"contoso.example"}`) }))
	t.Cleanup(srv.Close)
	ask := func(ca string) error {
		c, err := New(Store{Dir: t.TempDir()}, &Connection{Name: "x", Base: srv.URL, CA: ca, Token: Token{Access: "at"}})
		if err == nil {
			_, err = c.Identity(t.Context())
		}
		return err
	}
	if err := ask(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))); err != nil {
		t.Errorf("with the CA: %v", err)
	}
	if err := ask(""); err == nil || !strings.Contains(err.Error(), "signed by nobody this machine believes") {
		t.Errorf("without: %v", err)
	}
	if err := ask("nonsense"); err == nil {
		t.Error("a CA file without a certificate was taken")
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://ID.contoso.example/":      "https://id.contoso.example id.contoso.example",
		"https://id.contoso.example:8443":  "https://id.contoso.example:8443 id.contoso.example:8443",
		"https://id.contoso.example/tree/": "https://id.contoso.example/tree id.contoso.example_tree",
		"http://127.0.0.1:8080":            "http://127.0.0.1:8080 127.0.0.1:8080",
		"http://[::1]:8080":                "http://[::1]:8080 ::1:8080",
		"http://localhost:1":               "http://localhost:1 localhost:1",
		"http://id.contoso.example":        "",
		"http://127.0.0.1.evil.example":    "",
		"ftp://id.contoso.example":         "",
		"id.contoso.example":               "",
		"https://u:p@id.contoso.example":   "",
		"https://id.contoso.example?x=1":   "",
		"":                                 "",
	} {
		base, name, err := Address(raw)
		if got := strings.TrimSpace(base + " " + name); got != want || (err == nil) != (want != "") {
			t.Errorf("Address(%q) = %q, %v; want %q", raw, got, err, want)
		}
	}
}

func TestStoreKeepsSecrets(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "curfew")
	s := Store{Dir: dir}
	if _, err := s.Load(""); !errors.Is(err, ErrNotConnected) {
		t.Errorf("an empty store: %v", err)
	}
	for _, name := range []string{"a.example:8443", "b.example"} {
		if err := s.Save(&Connection{Name: name, Base: "https://" + name, Token: Token{Access: "x"}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Use("a.example:8443"); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		want := os.FileMode(0o600)
		if e.IsDir() {
			want = 0o700
		}
		if err == nil && info.Mode().Perm() != want {
			t.Errorf("%s is %v, want %v", path, info.Mode().Perm(), want)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if names, err := s.List(); err != nil || fmt.Sprint(names) != "[a.example:8443 b.example]" {
		t.Errorf("List: %v, %v", names, err)
	}
	if err := s.Use("c.example"); !errors.Is(err, ErrNotConnected) {
		t.Errorf("Use of what is not there: %v", err)
	}
	for _, bad := range []string{"../current", "x/y", ".hidden", `a\b`} {
		if _, err := s.Load(bad); !errors.Is(err, ErrNotConnected) {
			t.Errorf("Load(%q): %v", bad, err)
		}
	}
	if now, err := s.Remove("a.example:8443"); err != nil || now != "b.example" {
		t.Errorf("after Remove the current one is %q, %v", now, err)
	}
	if now, err := s.Remove("b.example"); err != nil || now != "" {
		t.Errorf("after the last Remove: %q, %v", now, err)
	}
	// A file that somebody edited cannot make us send a token in the clear.
	if err := s.Save(&Connection{Name: "d.example", Base: "http://d.example"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load("d.example"); err == nil {
		t.Error("plain http was read from a file")
	}
}

func TestConfigurationDirectory(t *testing.T) {
	t.Parallel()
	env := func(m map[string]string) func(string) string { return func(k string) string { return m[k] } }
	if dir, err := DefaultDir(env(map[string]string{"CURFEW_CONFIG": "here", "XDG_CONFIG_HOME": "/x"})); dir != "here" || err != nil {
		t.Errorf("CURFEW_CONFIG: %q, %v", dir, err)
	}
	if dir, err := DefaultDir(env(map[string]string{"XDG_CONFIG_HOME": "/x"})); dir != filepath.Join("/x", "curfew") || err != nil {
		t.Errorf("XDG_CONFIG_HOME: %q, %v", dir, err)
	}
}
