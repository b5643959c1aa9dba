package portal

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/deliver"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/web/webkit"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

const password = "otter window lilac 41"

// house is contoso.example with everything real: store, verbs, portal over http.
// Mail and Drive have guards, Legacy has none.
type house struct {
	t       testing.TB
	db      *store.DB
	signin  *signin.Service
	relay   *relay.Service
	server  *Server
	deliver *deliver.Service
	http    *httptest.Server
	hash    string
	guard   *directory.App
	ids     map[string]directory.UserID
	mu      sync.Mutex
	offset  time.Duration // guarded by mu: how far the clock was moved
}

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Add(h.offset)
}

func (h *house) move(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.offset += d
}

// hashOnce is slow on purpose, and the same for all.
var hashOnce = sync.OnceValues(func() (string, error) { return signin.NewHasher().Hash(context.Background(), password, true) })

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{t: t, ids: map[string]directory.UserID{}}
	var err error
	if h.hash, err = hashOnce(); err != nil {
		t.Fatal(err)
	}
	if h.db, err = store.Open(t.Context(), store.Config{URL: filepath.Join(t.TempDir(), "curfew.db"), Now: h.now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.db.Close() })
	quiet, l := slog.New(slog.DiscardHandler), grant.DefaultLifetimes()
	r := &revoke.Service{DB: h.db, Log: quiet, Lifetimes: l, Now: h.now}
	h.signin = &signin.Service{DB: h.db, Revoke: r, Lifetimes: l, Now: h.now, Hasher: signin.NewHasher(), Limits: signin.NewLimits()}
	m := &manage.Service{DB: h.db, Revoke: r, Now: h.now, Log: quiet, API: directory.OwnAPI, CheckPassword: h.signin.CheckNew,
		Hash: func(ctx context.Context, p string) (string, error) { return h.signin.Hasher.Hash(ctx, p, true) }}
	h.relay = &relay.Service{DB: h.db, Secret: bytes.Repeat([]byte{7}, 32), Now: h.now, Lifetimes: l}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := h.relay.Run(ctx); err != nil {
			t.Errorf("relay: %v", err)
		}
	})
	t.Cleanup(func() { stop(); running.Wait() })
	h.deliver = &deliver.Service{DB: h.db, Now: h.now, Log: quiet}
	h.server = &Server{SignIn: h.signin, Manage: m, Relay: h.relay, Revoke: r, Deliver: h.deliver, Base: "http://127.0.0.1", Domain: func() string { return "contoso.example" }, Now: h.now,
		Log: slog.New(slog.NewTextHandler(testLog{t}, nil))}
	mux := http.NewServeMux()
	h.server.Register(mux)
	mux.Handle("GET "+webkit.AssetPath, webkit.Assets())
	h.http = httptest.NewServer(webkit.Observe(quiet, webkit.Browser(mux)))
	t.Cleanup(h.http.Close)
	t.Cleanup(h.http.CloseClientConnections)
	h.fill()
	return h
}

// testLog fails the test on whatever the portal logs: it logs only what went wrong
// on our side.
type testLog struct{ t testing.TB }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Errorf("logged: %s", b)
	return len(b), nil
}

func (h *house) update(f func(*store.Tx) error) {
	h.t.Helper()
	if err := h.db.Update(context.Background(), f); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) fill() {
	h.guard = &directory.App{ID: "guards", Object: directory.NewID[directory.App](h.now()), Name: "Guards", Enabled: true, Guards: []directory.ResourceID{"api://mail", "api://drive"}}
	h.update(func(tx *store.Tx) error {
		for _, name := range []string{"Mail", "Drive", "Legacy"} {
			if err := tx.SaveResource(&directory.Resource{ID: directory.ResourceID("api://" + strings.ToLower(name)), Name: name, Created: h.now()}); err != nil {
				return err
			}
		}
		for id, name := range map[directory.AppID]string{"mail-windows": "Mail for Windows", "mail-ios": "Mail for iOS", "drive-sync": "Drive Sync", "reports": "Reports"} {
			if err := tx.SaveApp(&directory.App{ID: id, Object: directory.NewID[directory.App](h.now()), Name: name, Enabled: true, Public: true,
				Permissions: []directory.Permission{{Resource: "api://mail", Scopes: []string{"Mail.Read"}}, {Resource: "api://legacy", Scopes: []string{"reports.run"}}}}); err != nil {
				return err
			}
		}
		if err := tx.NameDirectory("contoso.example", "Contoso"); err != nil {
			return err
		}
		return tx.SaveApp(h.guard)
	})
	h.person("grace", "Grace Hopper", role.GlobalAdministrator)
	h.person("katherine", "Katherine Johnson", role.GlobalAdministrator)
	h.person("anita", "Anita Borg", role.GlobalAdministrator)
	h.person("joan", "Joan Clarke", role.UserAdministrator)
	h.person("radia", "Radia Perlman", role.DirectoryReaders)
	h.person("ada", "Ada Lovelace", "")
	h.person("adele", "Adele Goldberg", "")
	h.person("mallory", "Mallory <script>alert(1)</script> O'Neil", "")
}

func (h *house) person(name, display string, r directory.RoleID) {
	h.t.Helper()
	id := directory.NewID[directory.User](h.now())
	h.ids[name] = id
	h.update(func(tx *store.Tx) error {
		u := &directory.User{ID: id, Name: name + "@contoso.example", DisplayName: display, Enabled: true, Created: h.now(), JobTitle: "Analyst", Department: "Research",
			Password: directory.Credential{Hash: h.hash, Version: 1, Changed: h.now()}}
		if err := tx.CreateUser(u); err != nil || r == "" {
			return err
		}
		return tx.AssignRole(directory.RoleAssignment{ID: directory.NewID[directory.RoleAssignment](h.now()), Role: r, User: id, Created: h.now()})
	})
}

// browser is somebody who is signed in, or nobody.
type browser struct {
	h      *house
	cookie string
	live   *signin.Signed
}

func (h *house) as(name string) *browser {
	h.t.Helper()
	agent := "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
	signed, _, err := h.signin.Password(h.t.Context(), signin.Attempt{Username: name + "@contoso.example", Password: password, IP: "192.0.2.14", Agent: agent})
	if err != nil || signed == nil {
		h.t.Fatalf("sign in %s: %v", name, err)
	}
	return &browser{h, signed.Cookie, signed}
}

// page is an answer, read whole.
type page struct {
	status int
	to     string // Location
	body   string
	header http.Header
	cookie []*http.Cookie
}

func (b *browser) do(method, path string, form url.Values) page {
	b.h.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(b.h.t.Context(), method, b.h.http.URL+path, body)
	if err != nil {
		b.h.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if b.cookie != "" {
		r.AddCookie(&http.Cookie{Name: webkit.SessionCookie(false), Value: b.cookie})
	}
	w, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		b.h.t.Fatal(err)
	}
	defer w.Body.Close()
	text, err := io.ReadAll(w.Body)
	if err != nil {
		b.h.t.Fatal(err)
	}
	return page{w.StatusCode, w.Header.Get("Location"), string(text), w.Header, w.Cookies()}
}

// get reads a page that must be whole and keep the rules of the house.
func (b *browser) get(path string) (page, webkittest.Doc) {
	b.h.t.Helper()
	return b.check(b.do(http.MethodGet, path, nil), http.StatusOK, path)
}

func (b *browser) check(p page, status int, path string) (page, webkittest.Doc) {
	b.h.t.Helper()
	if p.status != status {
		b.h.t.Fatalf("%s: status %d to %q, want %d\n%.600s", path, p.status, p.to, status, p.body)
	}
	return p, webkittest.Check(b.h.t, []byte(p.body))
}

// post sends a form that must be answered with a redirect.
func (b *browser) post(path string, form url.Values) page {
	b.h.t.Helper()
	p := b.do(http.MethodPost, path, form)
	if p.status != http.StatusSeeOther {
		b.h.t.Fatalf("post %s: status %d\n%.1500s", path, p.status, p.body)
	}
	return p
}

func want(t testing.TB, p page, texts ...string) {
	t.Helper()
	for _, s := range texts {
		if !strings.Contains(p.body, s) {
			t.Errorf("the page does not say %q", s)
		}
	}
}

func wantNot(t testing.TB, p page, texts ...string) {
	t.Helper()
	for _, s := range texts {
		if strings.Contains(p.body, s) {
			t.Errorf("the page says %q", s)
		}
	}
}

// process is a guard in this process: it registers and asks as package guard does,
// and to ask is to acknowledge.
type process struct {
	h      *house
	id     relay.ProcessID
	cursor string
}

func (h *house) register(name, resource string) *process {
	h.t.Helper()
	r, err := h.relay.Register(h.t.Context(), h.guard, relay.Registration{Name: name, Resource: directory.ResourceID(resource), MaxStaleness: 10 * time.Second, Version: "curfew-guard/0.1"})
	if err != nil {
		h.t.Fatal(err)
	}
	p := &process{h: h, id: r.Process}
	p.ask()
	p.ask()
	return p
}

func (p *process) ask() {
	p.h.t.Helper()
	a, err := p.h.relay.Ask(p.h.t.Context(), p.h.guard, relay.Ask{Process: p.id, After: p.cursor})
	if err != nil {
		p.h.t.Fatal(err)
	}
	p.cursor = a.Cursor
}

// open gives somebody grants in a session, with access tokens in Mail and Drive,
// which are guarded, and in Legacy, which is not; apps picks some of them.
func (h *house) open(name string, session directory.SessionID, apps ...directory.AppID) {
	h.t.Helper()
	now := h.now()
	token := func(r string, ago, life time.Duration) grant.Token {
		return grant.Token{Resource: directory.ResourceID(r), Issued: now.Add(-ago).Unix(), Expires: now.Add(life - ago).Unix()}
	}
	h.update(func(tx *store.Tx) error {
		for app, tokens := range map[directory.AppID][]grant.Token{
			"mail-windows": {token("api://mail", 6*time.Minute, time.Hour)},
			"reports":      {token("api://drive", 17*time.Minute, time.Hour), token("api://legacy", 13*time.Minute, time.Hour)},
		} {
			if len(apps) > 0 && !slices.Contains(apps, app) {
				continue
			}
			g := &grant.Grant{ID: directory.NewID[directory.Grant](now), User: h.ids[name], App: app, Session: session, Offline: true, Created: now.Add(-20 * time.Minute), LastUsed: now.Add(-6 * time.Minute), AuthTime: now,
				Scopes: []directory.Permission{{Resource: "api://mail", Scopes: []string{"Mail.Read"}}, {Resource: "api://drive", Scopes: []string{"Files.Read", "Files.Write"}}}, State: grant.State{Generation: 1, Tokens: tokens}}
			if err := tx.CreateGrant(g); err != nil {
				return err
			}
		}
		return nil
	})
}

// crowd adds n people with names as people have them.
func (h *house) crowd(n int) {
	h.t.Helper()
	const consonants, vowels = "bdfghjklmnprstvw", "aeiou"
	word := func(i int) string {
		var b strings.Builder
		for range 3 {
			b.WriteByte(consonants[i%16])
			b.WriteByte(vowels[i/16%5])
			i = i*7919 + 13
			i &= 0xffff
		}
		return b.String()
	}
	for from := 0; from < n; from += 5000 {
		h.update(func(tx *store.Tx) error {
			for i := from; i < min(from+5000, n); i++ {
				given, family := word(i*31&0xffff), word(i*17+5&0xffff)
				u := &directory.User{ID: directory.NewID[directory.User](h.now()), Name: fmt.Sprintf("%s.%s%d@contoso.example", given, family, i),
					DisplayName: strings.ToUpper(given[:1]) + given[1:] + " " + strings.ToUpper(family[:1]) + family[1:], Enabled: i%17 != 0, Created: h.now(), Department: "Sales"}
				if err := tx.CreateUser(u); err != nil {
					return err
				}
			}
			return nil
		})
	}
}
