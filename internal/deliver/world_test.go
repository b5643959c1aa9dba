package deliver

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/egress"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/keys"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

const issuer = "https://id.contoso.example"

// A world is a directory, its deliveries and a server on loopback on which every
// application has a place to be told.
type world struct {
	*storetest.World
	t      *testing.T
	s      *Service
	keys   *keys.Service
	revoke *revoke.Service
	server *httptest.Server

	mu     sync.Mutex
	told   map[string][]told          // guarded by mu: by client_id, what it took
	answer map[string]func() int      // guarded by mu: by client_id; nil: 200
	asked  int                        // guarded by mu
	during func(client string) func() // guarded by mu: runs when somebody is asked, and the result afterwards
}

// told is a logout token as an application reads it.
type told struct {
	User, SID, Issuer, JTI string
	alg                    string
}

func open(t *testing.T, e storetest.Engine, hooks store.Hooks) *world {
	t.Helper()
	w := &world{World: storetest.NewWorld(t, e, hooks), t: t, told: map[string][]told{}, answer: map[string]func() int{}}
	var err error
	if w.keys, err = keys.Open(t.Context(), w.DB, []byte(strings.Repeat("k", 32)), w.Clock.Now); err != nil {
		t.Fatal(err)
	}
	w.revoke = &revoke.Service{DB: w.DB, Lifetimes: grant.DefaultLifetimes(), Now: w.Clock.Now}
	w.server = httptest.NewUnstartedServer(http.HandlerFunc(w.receive))
	w.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	w.server.StartTLS()
	t.Cleanup(w.server.Close)
	w.s = w.service()
	return w
}

// service is one node's.
func (w *world) service() *Service {
	w.t.Helper()
	allow, err := egress.ParseAllow("127.0.0.1")
	if err != nil {
		w.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(w.server.Certificate())
	client := &egress.Client{Allow: allow, Roots: roots}
	w.t.Cleanup(client.Close)
	return &Service{DB: w.DB, Keys: w.keys, Egress: client, Now: w.Clock.Now, Issuer: func(i grant.Issuer) string {
		if i == grant.Plain {
			return issuer
		}
		return issuer + "/tenant/v2.0"
	}}
}

// receive is what an application does: check the token by what is published, and
// answer. It is written against the standard, not against this package.
func (w *world) receive(rw http.ResponseWriter, r *http.Request) {
	client := strings.TrimPrefix(r.URL.Path, "/")
	w.mu.Lock()
	w.asked++
	answer, during := w.answer[client], w.during
	w.mu.Unlock()
	if during != nil {
		defer during(client)()
	}
	status := http.StatusOK
	if answer != nil {
		status = answer()
	}
	x, problem := w.check(client, r)
	if problem != "" {
		w.t.Errorf("%s: %s", client, problem)
	}
	if status == http.StatusOK || status == http.StatusNoContent {
		w.mu.Lock()
		w.told[client] = append(w.told[client], x)
		w.mu.Unlock()
	}
	rw.WriteHeader(status)
	if status == http.StatusBadRequest {
		io.WriteString(rw, `{"error":"invalid_request","error_description":"<b>words of theirs</b>"}`)
	}
}

// check is Back-Channel Logout 1.0 §2.6.
func (w *world) check(client string, r *http.Request) (x told, problem string) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return x, err.Error()
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || len(form) != 1 || len(form["logout_token"]) != 1 {
		return x, "not a form with one logout_token: " + r.Method + " " + r.Header.Get("Content-Type")
	}
	token, err := jose.ParseSignedCompact(form.Get("logout_token"), []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.EdDSA})
	if err != nil {
		return x, err.Error()
	}
	published, _, err := w.keys.JWKS()
	if err != nil {
		return x, err.Error()
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(published, &set); err != nil {
		return x, err.Error()
	}
	head := token.Signatures[0].Header
	found := set.Key(head.KeyID)
	if len(found) != 1 || head.ExtraHeaders[jose.HeaderType] != "logout+jwt" {
		return x, "key or typ is not right"
	}
	payload, err := token.Verify(found[0])
	if err != nil {
		return x, err.Error()
	}
	var c map[string]any
	if err := json.Unmarshal(payload, &c); err != nil {
		return x, err.Error()
	}
	iat, exp, now := c["iat"].(float64), c["exp"].(float64), float64(w.Clock.Now().Unix())
	events, _ := c["events"].(map[string]any)
	event, _ := events["http://schemas.openid.net/event/backchannel-logout"].(map[string]any)
	switch {
	case c["aud"] != client:
		return x, "aud is somebody else"
	case c["iss"] != issuer && c["iss"] != issuer+"/tenant/v2.0":
		return x, "iss is not the ID tokens'"
	case iat > now || exp <= now || exp-iat > 120:
		return x, "times are not right"
	case len(events) != 1 || event == nil || len(event) != 0:
		return x, "events must have one member, an empty object"
	case c["nonce"] != nil:
		return x, "there is a nonce"
	}
	for name := range c {
		if !slices.Contains([]string{"iss", "sub", "aud", "iat", "exp", "jti", "events", "sid"}, name) {
			return x, "what is " + name + "?"
		}
	}
	x = told{User: c["sub"].(string), Issuer: c["iss"].(string), JTI: c["jti"].(string), alg: head.Algorithm}
	x.SID, _ = c["sid"].(string)
	return x, ""
}

// app registers an application that wants to be told.
func (w *world) app(id directory.AppID, change ...func(*directory.App)) *directory.App {
	w.t.Helper()
	a := &directory.App{ID: id, Object: directory.NewID[directory.App](w.Clock.Now()), Name: string(id), Enabled: true, Public: true, BackChannelLogoutURI: w.server.URL + "/" + string(id)}
	for _, f := range change {
		f(a)
	}
	w.Update(func(tx *store.Tx) error { return tx.SaveApp(a) })
	return a
}

// in signs a user in to an application, in a session.
func (w *world) in(app directory.AppID, s *grant.Session, change ...func(*grant.Grant)) *grant.Grant {
	w.t.Helper()
	now := w.Clock.Now()
	g := &grant.Grant{ID: directory.NewID[directory.Grant](now), User: s.User, App: app, Session: s.ID, Created: now, LastUsed: now, AuthTime: now,
		Scopes: []directory.Permission{{Resource: "api://mail", Scopes: []string{"Mail.Read"}}}, State: grant.State{Generation: 1}}
	for _, f := range change {
		f(g)
	}
	w.Update(func(tx *store.Tx) error { return tx.CreateGrant(g) })
	return g
}

func offline(g *grant.Grant) { g.Offline = true }
func plain(g *grant.Grant)   { g.Issuer = grant.Plain }
func device(g *grant.Grant)  { g.Session, g.Offline = directory.SessionID{}, true }

// settle delivers until nobody is due.
func (w *world) settle() { w.t.Helper(); settle(w.t, w.s) }

func settle(t *testing.T, s *Service) {
	t.Helper()
	for {
		if err := s.pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.owned.Wait()
		s.mu.Lock()
		due := 0
		for _, x := range s.todo {
			if !x.due.After(s.now()) {
				due++
			}
		}
		s.mu.Unlock()
		if due == 0 {
			return
		}
	}
}

// took returns what an application was told since the last time, and forgets it.
func (w *world) took(id directory.AppID) []told {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.told[string(id)]
	delete(w.told, string(id))
	return x
}

// answers sets what an application answers from now on; 0: 200.
func (w *world) answers(id directory.AppID, status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer[string(id)] = nil
	if status != 0 {
		w.answer[string(id)] = func() int { return status }
	}
}

// want checks what an application was told: "ada", or "ada" and a session.
func (w *world) want(what string, id directory.AppID, want ...string) {
	w.t.Helper()
	var got []string
	for _, x := range w.took(id) {
		got = append(got, strings.TrimSpace(x.User+" "+x.SID))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.t.Errorf("%s: %s was told %q, want %q", what, id, got, want)
	}
}

func of(u *directory.User, s ...*grant.Session) string {
	if len(s) == 0 {
		return u.ID.String()
	}
	return u.ID.String() + " " + s[0].ID.String()
}

func (w *world) row(id directory.AppID) (r *store.Recipient) {
	w.t.Helper()
	w.Read(func(tx *store.Tx) (err error) { r, err = tx.Recipient(store.KindLogout + ":" + string(id)); return err })
	return r
}

func (w *world) head() cutoff.Pos { p, _ := w.DB.View().Head(); return p }

// do fails the test when a verb did not do what it should.
func do[T any](t *testing.T, f func() (T, error)) T {
	t.Helper()
	x, err := f()
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func (w *world) grace() directory.Actor {
	return directory.Actor{User: w.Grace.ID, Name: w.Grace.Name, Born: w.head(), AuthTime: w.Clock.Now()}
}

func (w *world) signOut(s *grant.Session) {
	w.t.Helper()
	do(w.t, func() (revoke.Result, error) { return w.revoke.SignOut(context.Background(), s.ID) })
}

func (w *world) keep(s *grant.Session, u *directory.User) {
	w.t.Helper()
	w.Update(func(tx *store.Tx) error {
		_, _, err := tx.RevokeUser(u.ID, s.ID, sha256.Sum256(append(s.ID[:], 1)))
		return err
	})
}

const hour = time.Hour
