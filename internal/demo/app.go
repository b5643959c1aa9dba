package demo

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/curfew-id/curfew/guard"
)

// app is a small web application of the demo: people sign in to it with
// OpenID Connect (code, PKCE, a secret), and its pages are made from what its own
// API answers to the access token. Sessions are in memory.
type app struct {
	name, id, secret string
	audience, scope  string
	offline          bool   // asks for a refresh token
	base, issuer     string // own address, curfew's; without a slash
	columns          [3]string
	rows             [][3]string
	zone             *time.Location
	http             *http.Client
	guard            *guard.Guard                    // nil: none
	protect          func(http.Handler) http.Handler // stands before the API
	mu               sync.Mutex
	pending          map[string]pending // sign-ins under way, by state
	sessions         map[string]*session
}

type pending struct{ verifier, nonce string }

// session is who is signed in in one browser.
type session struct {
	mu              sync.Mutex
	name            string
	access, refresh string
	id              string // ID token, for signing out
	expires         time.Time
	over            []refusal // why it is over; empty: it is not
}

// refusal is a credential that was not taken any more.
type refusal struct {
	what, by, why string
	at            time.Time
}

// tokens is what the token endpoint answers.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
	Expires int64  `json:"expires_in"`
	Error   string `json:"error"`
	Numbers []int  `json:"error_codes"`
}

// timeout bounds every call that does not stay open on purpose.
const timeout = 10 * time.Second

// cp1 says that claims challenges are understood here.
const cp1 = `{"access_token":{"xms_cc":{"values":["cp1"]}}}`

func (a *app) handler() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /{$}", a.home)
	m.HandleFunc("GET /signin", a.signIn)
	m.HandleFunc("GET /callback", a.callback)
	m.HandleFunc("POST /signout", a.signOut)
	m.HandleFunc("GET /live", a.live)
	m.Handle("GET /api/items", a.api())
	m.Handle("GET /api/live", a.protect(http.HandlerFunc(demoHold)))
	for name, kind := range map[string]string{"demo.css": "text/css", "demo.js": "text/javascript", "mark.svg": "image/svg+xml"} {
		m.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind+"; charset=utf-8")
			w.Write(files[name])
		})
	}
	same := http.NewCrossOriginProtection()
	return same.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		m.ServeHTTP(w, r)
	}))
}

// api answers with what the application has, to whoever may see it.
func (a *app) api() http.Handler {
	return a.protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(a.rows)
	}))
}

// demoHold stays open as long as the token lives.
func demoHold(w http.ResponseWriter, r *http.Request) {
	ctx, done := guard.Hold(r.Context())
	defer done()
	w.WriteHeader(http.StatusOK)
	http.NewResponseController(w).Flush()
	<-ctx.Done()
}

func random() string {
	b := make([]byte, 32)
	rand.Read(b) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b)
}

// authorizeURL is where a sign-in begins; more is added to the request.
func (a *app) authorizeURL(state string, p pending, more url.Values) string {
	sum := sha256.Sum256([]byte(p.verifier))
	scope := "openid profile " + a.audience + "/" + a.scope
	if a.offline {
		scope += " offline_access"
	}
	v := url.Values{"client_id": {a.id}, "response_type": {"code"}, "redirect_uri": {a.base + "/callback"}, "scope": {scope}, "state": {state}, "nonce": {p.nonce},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}, "claims": {cp1}}
	for k, vs := range more {
		v[k] = vs
	}
	return a.issuer + "/oauth2/authorize?" + v.Encode()
}

// Ports share cookies: every application has its own names.
func (a *app) setCookie(w http.ResponseWriter, kind, value string, age int) {
	http.SetCookie(w, &http.Cookie{Name: a.id + "_" + kind, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: age})
}

func (a *app) signIn(w http.ResponseWriter, r *http.Request) {
	state, p := random(), pending{random(), random()}
	a.mu.Lock()
	if len(a.pending) > 1000 { // begun and never finished
		clear(a.pending)
	}
	a.pending[state] = p
	a.mu.Unlock()
	a.setCookie(w, "state", state, 600)
	http.Redirect(w, r, a.authorizeURL(state, p, nil), http.StatusSeeOther)
}

func (a *app) callback(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	c, err := r.Cookie(a.id + "_state")
	a.mu.Lock()
	p, known := a.pending[q.Get("state")]
	delete(a.pending, q.Get("state"))
	a.mu.Unlock()
	a.setCookie(w, "state", "", -1)
	switch {
	case err != nil || !known || c.Value != q.Get("state") || q.Get("iss") != a.issuer:
		a.message(w, http.StatusBadRequest, "This sign-in was not begun here", "Begin it again.")
		return
	case q.Get("error") != "":
		a.message(w, http.StatusForbidden, "Not signed in", q.Get("error_description"))
		return
	}
	t, err := a.token(r.Context(), url.Values{"grant_type": {"authorization_code"}, "code": {q.Get("code")}, "redirect_uri": {a.base + "/callback"}, "code_verifier": {p.verifier}, "claims": {cp1}})
	var who struct{ Name, Nonce string }
	if err == nil && t.Error == "" {
		// It came from the token endpoint itself, so its signature adds nothing
		// (OpenID Connect Core §3.1.3.7).
		err = claims(t.ID, &who)
	}
	if err != nil || t.Error != "" || who.Nonce != p.nonce {
		a.message(w, http.StatusForbidden, "Not signed in", "curfew did not accept the code: "+t.Error)
		return
	}
	s := &session{name: who.Name}
	s.take(t)
	cookie := random()
	a.mu.Lock()
	a.sessions[cookie] = s
	a.mu.Unlock()
	a.setCookie(w, "session", cookie, 0)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// take puts new tokens into a session. The caller holds s.mu or is alone.
func (s *session) take(t *tokens) {
	s.access, s.expires = t.Access, time.Now().Add(time.Duration(t.Expires)*time.Second)
	if t.Refresh != "" {
		s.refresh = t.Refresh
	}
	if t.ID != "" {
		s.id = t.ID
	}
}

func (a *app) session(r *http.Request) *session {
	c, err := r.Cookie(a.id + "_session")
	if err != nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sessions[c.Value]
}

func (a *app) signOut(w http.ResponseWriter, r *http.Request) {
	s := a.session(r)
	if s == nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	if c, err := r.Cookie(a.id + "_session"); err == nil {
		a.mu.Lock()
		delete(a.sessions, c.Value)
		a.mu.Unlock()
	}
	a.setCookie(w, "session", "", -1)
	s.mu.Lock()
	v := url.Values{"client_id": {a.id}, "post_logout_redirect_uri": {a.base + "/"}, "id_token_hint": {s.id}}
	s.mu.Unlock()
	http.Redirect(w, r, a.issuer+"/oauth2/logout?"+v.Encode(), http.StatusSeeOther)
}

// token asks the token endpoint. An OAuth error is in the answer.
func (a *app) token(ctx context.Context, v url.Values) (*tokens, error) {
	t := &tokens{}
	return t, a.post(ctx, "/oauth2/token", v, t)
}

// post sends a form to curfew with the application's credentials.
func (a *app) post(ctx context.Context, path string, v url.Values, out any) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.issuer+path, strings.NewReader(v.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if a.secret != "" {
		r.SetBasicAuth(url.QueryEscape(a.id), url.QueryEscape(a.secret))
	}
	resp, err := a.http.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(out); err != nil {
		return fmt.Errorf("%s answered %d and no JSON: %w", path, resp.StatusCode, err)
	}
	return nil
}

// call asks the application's own API. why is the error code of a refusal.
func (a *app) call(ctx context.Context, path, token string) (resp *http.Response, why string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, "", err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if resp, err = a.http.Do(r); err != nil {
		return nil, "", err
	}
	if _, after, ok := strings.Cut(resp.Header.Get("WWW-Authenticate"), `error="`); ok {
		why, _, _ = strings.Cut(after, `"`)
	}
	return resp, why, nil
}

var errClosed = errors.New("the API refuses everybody for now")

// use gets what the API has for a session. When the access token is refused it
// tries the refresh token, as applications do; when that is refused too, the
// session is over.
func (a *app) use(ctx context.Context, s *session) (rows [][3]string, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	for range 2 {
		if len(s.over) > 0 {
			return nil, nil
		}
		resp, why, err := a.call(ctx, a.base+"/api/items", s.access)
		if err != nil {
			return nil, err
		}
		at := time.Now()
		if resp.StatusCode == http.StatusOK {
			err = json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&rows)
		}
		resp.Body.Close()
		switch {
		case resp.StatusCode == http.StatusServiceUnavailable:
			return nil, errClosed
		case resp.StatusCode == http.StatusOK:
			return rows, err
		case resp.StatusCode != http.StatusUnauthorized:
			return nil, fmt.Errorf("the API answered %d", resp.StatusCode)
		}
		refusals := []refusal{{"access token", a.name, "401 " + why, at}}
		if s.refresh != "" {
			t, err := a.token(ctx, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {s.refresh}, "claims": {cp1}})
			if err != nil {
				return nil, err
			}
			if t.Error == "" {
				s.take(t)
				continue
			}
			refusals = append(refusals, refusal{"refresh token", "curfew", "400 " + t.Error, time.Now()})
		}
		s.over = refusals
	}
	return nil, nil
}

// live tells the page when access has ended. It holds a request to the API open,
// which the guard cuts the moment it learns.
func (a *app) live(w http.ResponseWriter, r *http.Request) {
	s := a.session(r)
	if s == nil || a.guard == nil {
		w.WriteHeader(http.StatusNoContent) // an EventSource asks no more
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	rc := http.NewResponseController(w)
	fmt.Fprint(w, ": here\n\n")
	for rc.Flush() == nil && r.Context().Err() == nil {
		s.mu.Lock()
		token, over := s.access, len(s.over) > 0
		s.mu.Unlock()
		if over {
			fmt.Fprint(w, "event: ended\ndata:\n\n")
			rc.Flush()
			return
		}
		if resp, _, err := a.call(r.Context(), a.base+"/api/live", token); err == nil {
			io.Copy(io.Discard, resp.Body) // to its end, which is what is waited for
			resp.Body.Close()
		}
		if _, err := a.use(r.Context(), s); err != nil {
			select { // closed for now, or curfew is away
			case <-r.Context().Done():
			case <-time.After(500 * time.Millisecond):
			}
			fmt.Fprint(w, ": still here\n\n")
		}
	}
}
