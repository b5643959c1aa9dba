package portaltest

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
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/webkit"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

// Password is everybody's.
const Password = "otter window lilac 41"

// House is contoso.example with everything real: store, verbs, portal over http.
// Mail and Drive have guards, Legacy has none.
type House struct {
	T       testing.TB
	DB      *store.DB
	SignIn  *signin.Service
	Manage  *manage.Service
	Relay   *relay.Service
	Revoke  *revoke.Service
	Deliver *deliver.Service
	Desk    *desk.Desk
	HTTP    *httptest.Server
	// IDs are the people's, by the first part of their user names.
	IDs map[string]directory.UserID

	hash   string
	guard  *directory.App
	mu     sync.Mutex
	offset time.Duration // guarded by mu: how far the clock was moved
}

// Time is the instant by the clock of the house.
func (h *House) Time() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Add(h.offset)
}

// Move sets the clock on.
func (h *House) Move(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.offset += d
}

// hashOnce is slow on purpose, and the same for all.
var hashOnce = sync.OnceValues(func() (string, error) { return signin.NewHasher().Hash(context.Background(), Password, true) })

// New opens the house with the pages that mount adds.
func New(t testing.TB, mount func(*House, *http.ServeMux)) *House {
	t.Helper()
	h := &House{T: t, IDs: map[string]directory.UserID{}}
	var err error
	if h.hash, err = hashOnce(); err != nil {
		t.Fatal(err)
	}
	if h.DB, err = store.Open(t.Context(), store.Config{URL: filepath.Join(t.TempDir(), "curfew.db"), Now: h.Time}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.DB.Close() })
	quiet, l := slog.New(slog.DiscardHandler), grant.DefaultLifetimes()
	r := &revoke.Service{DB: h.DB, Log: quiet, Lifetimes: l, Now: h.Time}
	h.SignIn = &signin.Service{DB: h.DB, Revoke: r, Lifetimes: l, Now: h.Time, Hasher: signin.NewHasher(), Limits: signin.NewLimits()}
	h.Revoke = r
	h.Manage = &manage.Service{DB: h.DB, Revoke: r, Now: h.Time, Log: quiet, API: directory.OwnAPI, CheckPassword: h.SignIn.CheckNew,
		Hash: func(ctx context.Context, p string) (string, error) { return h.SignIn.Hasher.Hash(ctx, p, true) }}
	h.Relay = &relay.Service{DB: h.DB, Secret: bytes.Repeat([]byte{7}, 32), Now: h.Time, Lifetimes: l}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := h.Relay.Run(ctx); err != nil {
			t.Errorf("relay: %v", err)
		}
	})
	t.Cleanup(func() { stop(); running.Wait() })
	h.Deliver = &deliver.Service{DB: h.DB, Now: h.Time, Log: quiet}
	h.Desk = &desk.Desk{SignIn: h.SignIn, Manage: h.Manage, Relay: h.Relay, Deliver: h.Deliver, Base: "http://127.0.0.1", Domain: func() string { return "contoso.example" }, Now: h.Time,
		Log: slog.New(slog.NewTextHandler(testLog{t}, nil))}
	mux := http.NewServeMux()
	mount(h, mux)
	mux.Handle("GET "+webkit.AssetPath, webkit.Assets())
	h.HTTP = httptest.NewServer(webkit.Observe(quiet, webkit.Browser(mux)))
	t.Cleanup(h.HTTP.Close)
	t.Cleanup(h.HTTP.CloseClientConnections)
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

// Update writes to the store directly, and fails the test when that does not work.
func (h *House) Update(f func(*store.Tx) error) {
	h.T.Helper()
	if err := h.DB.Update(context.Background(), f); err != nil {
		h.T.Fatal(err)
	}
}

func (h *House) fill() {
	h.guard = &directory.App{ID: "guards", Object: directory.NewID[directory.App](h.Time()), Name: "Guards", Enabled: true, Guards: []directory.ResourceID{"api://mail", "api://drive"}}
	h.Update(func(tx *store.Tx) error {
		for _, name := range []string{"Mail", "Drive", "Legacy"} {
			if err := tx.SaveResource(&directory.Resource{ID: directory.ResourceID("api://" + strings.ToLower(name)), Name: name, Created: h.Time()}); err != nil {
				return err
			}
		}
		for id, name := range map[directory.AppID]string{"mail-windows": "Mail for Windows", "mail-ios": "Mail for iOS", "drive-sync": "Drive Sync", "reports": "Reports"} {
			if err := tx.SaveApp(&directory.App{ID: id, Object: directory.NewID[directory.App](h.Time()), Name: name, Enabled: true, Public: true,
				Permissions: []directory.Permission{{Resource: "api://mail", Scopes: []string{"Mail.Read"}}, {Resource: "api://legacy", Scopes: []string{"reports.run"}}}}); err != nil {
				return err
			}
		}
		if err := tx.NameDirectory("contoso.example", "Contoso"); err != nil {
			return err
		}
		return tx.SaveApp(h.guard)
	})
	h.Person("grace", "Grace Hopper", role.GlobalAdministrator)
	h.Person("katherine", "Katherine Johnson", role.GlobalAdministrator)
	h.Person("anita", "Anita Borg", role.GlobalAdministrator)
	h.Person("joan", "Joan Clarke", role.UserAdministrator)
	h.Person("radia", "Radia Perlman", role.DirectoryReaders)
	h.Person("ada", "Ada Lovelace", "")
	h.Person("adele", "Adele Goldberg", "")
	h.Person("mallory", "Mallory <script>alert(1)</script> O'Neil", "")
}

// Person adds somebody, with a role unless it is empty.
func (h *House) Person(name, display string, r directory.RoleID) {
	h.T.Helper()
	id := directory.NewID[directory.User](h.Time())
	h.IDs[name] = id
	h.Update(func(tx *store.Tx) error {
		u := &directory.User{ID: id, Name: name + "@contoso.example", DisplayName: display, Enabled: true, Created: h.Time(), JobTitle: "Analyst", Department: "Research",
			Password: directory.Credential{Hash: h.hash, Version: 1, Changed: h.Time()}}
		if err := tx.CreateUser(u); err != nil || r == "" {
			return err
		}
		return tx.AssignRole(directory.RoleAssignment{ID: directory.NewID[directory.RoleAssignment](h.Time()), Role: r, User: id, Created: h.Time()})
	})
}

// Browser is somebody who is signed in, or nobody.
type Browser struct {
	House  *House
	Cookie string
	Live   *signin.Signed
}

// As signs somebody in.
func (h *House) As(name string) *Browser {
	h.T.Helper()
	agent := "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
	signed, _, err := h.SignIn.Password(h.T.Context(), signin.Attempt{Username: name + "@contoso.example", Password: Password, IP: "192.0.2.14", Agent: agent})
	if err != nil || signed == nil {
		h.T.Fatalf("sign in %s: %v", name, err)
	}
	return &Browser{h, signed.Cookie, signed}
}

// Page is an answer, read whole.
type Page struct {
	Status int
	To     string // Location
	Body   string
	Header http.Header
	Cookie []*http.Cookie
}

// Do sends a request, with a form unless it is nil, and follows no redirect.
func (b *Browser) Do(method, path string, form url.Values) Page {
	b.House.T.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(b.House.T.Context(), method, b.House.HTTP.URL+path, body)
	if err != nil {
		b.House.T.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if b.Cookie != "" {
		r.AddCookie(&http.Cookie{Name: webkit.SessionCookie(false), Value: b.Cookie})
	}
	w, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		b.House.T.Fatal(err)
	}
	defer w.Body.Close()
	text, err := io.ReadAll(w.Body)
	if err != nil {
		b.House.T.Fatal(err)
	}
	return Page{w.StatusCode, w.Header.Get("Location"), string(text), w.Header, w.Cookies()}
}

// Get reads a page that must be whole and keep the rules of the house.
func (b *Browser) Get(path string) (Page, webkittest.Doc) {
	b.House.T.Helper()
	return b.Check(b.Do(http.MethodGet, path, nil), http.StatusOK, path)
}

// Check holds an answer to a status and to the rules of the house.
func (b *Browser) Check(p Page, status int, path string) (Page, webkittest.Doc) {
	b.House.T.Helper()
	if p.Status != status {
		b.House.T.Fatalf("%s: status %d to %q, want %d\n%.600s", path, p.Status, p.To, status, p.Body)
	}
	return p, webkittest.Check(b.House.T, []byte(p.Body))
}

// Post sends a form that must be answered with a redirect.
func (b *Browser) Post(path string, form url.Values) Page {
	b.House.T.Helper()
	p := b.Do(http.MethodPost, path, form)
	if p.Status != http.StatusSeeOther {
		b.House.T.Fatalf("post %s: status %d\n%.1500s", path, p.Status, p.Body)
	}
	return p
}

// Want fails for each text that a page does not say.
func Want(t testing.TB, p Page, texts ...string) {
	t.Helper()
	for _, s := range texts {
		if !strings.Contains(p.Body, s) {
			t.Errorf("the page does not say %q", s)
		}
	}
}

// WantNot fails for each text that a page says.
func WantNot(t testing.TB, p Page, texts ...string) {
	t.Helper()
	for _, s := range texts {
		if strings.Contains(p.Body, s) {
			t.Errorf("the page says %q", s)
		}
	}
}

// Process is a guard in this process: it registers and asks as package guard does,
// and to ask is to acknowledge.
type Process struct {
	h      *House
	id     relay.ProcessID
	cursor string
}

// Register brings up a guard before a resource.
func (h *House) Register(name, resource string) *Process {
	h.T.Helper()
	r, err := h.Relay.Register(h.T.Context(), h.guard, relay.Registration{Name: name, Resource: directory.ResourceID(resource), MaxStaleness: 10 * time.Second, Version: "curfew-guard/0.1"})
	if err != nil {
		h.T.Fatal(err)
	}
	p := &Process{h: h, id: r.Process}
	p.Ask()
	p.Ask()
	return p
}

// Ask asks once.
func (p *Process) Ask() {
	p.h.T.Helper()
	a, err := p.h.Relay.Ask(p.h.T.Context(), p.h.guard, relay.Ask{Process: p.id, After: p.cursor})
	if err != nil {
		p.h.T.Fatal(err)
	}
	p.cursor = a.Cursor
}

// Open gives somebody grants in a session, with access tokens in Mail and Drive,
// which are guarded, and in Legacy, which is not; apps picks some of them.
func (h *House) Open(name string, session directory.SessionID, apps ...directory.AppID) {
	h.T.Helper()
	now := h.Time()
	token := func(r string, ago, life time.Duration) grant.Token {
		return grant.Token{Resource: directory.ResourceID(r), Issued: now.Add(-ago).Unix(), Expires: now.Add(life - ago).Unix()}
	}
	h.Update(func(tx *store.Tx) error {
		for app, tokens := range map[directory.AppID][]grant.Token{
			"mail-windows": {token("api://mail", 6*time.Minute, time.Hour)},
			"reports":      {token("api://drive", 17*time.Minute, time.Hour), token("api://legacy", 13*time.Minute, time.Hour)},
		} {
			if len(apps) > 0 && !slices.Contains(apps, app) {
				continue
			}
			g := &grant.Grant{ID: directory.NewID[directory.Grant](now), User: h.IDs[name], App: app, Session: session, Offline: true, Created: now.Add(-20 * time.Minute), LastUsed: now.Add(-6 * time.Minute), AuthTime: now,
				Scopes: []directory.Permission{{Resource: "api://mail", Scopes: []string{"Mail.Read"}}, {Resource: "api://drive", Scopes: []string{"Files.Read", "Files.Write"}}}, State: grant.State{Generation: 1, Tokens: tokens}}
			if err := tx.CreateGrant(g); err != nil {
				return err
			}
		}
		return nil
	})
}

// Crowd adds n people with names as people have them.
func (h *House) Crowd(n int) {
	h.T.Helper()
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
		h.Update(func(tx *store.Tx) error {
			for i := from; i < min(from+5000, n); i++ {
				given, family := word(i*31&0xffff), word(i*17+5&0xffff)
				u := &directory.User{ID: directory.NewID[directory.User](h.Time()), Name: fmt.Sprintf("%s.%s%d@contoso.example", given, family, i),
					DisplayName: strings.ToUpper(given[:1]) + given[1:] + " " + strings.ToUpper(family[:1]) + family[1:], Enabled: i%17 != 0, Created: h.Time(), Department: "Sales"}
				if err := tx.CreateUser(u); err != nil {
					return err
				}
			}
			return nil
		})
	}
}
