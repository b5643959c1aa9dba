package account_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/device"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/factor"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/keys"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
	"github.com/curfew-id/curfew/internal/web/account"
	"github.com/curfew-id/curfew/internal/web/pages"
	"github.com/curfew-id/curfew/internal/web/webkit"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

const (
	ada      = "ada@contoso.example"
	password = "otter window lilac 41"
)

var hashed = sync.OnceValue(func() string {
	h, err := signin.NewHasher().Hash(context.Background(), password, false)
	if err != nil {
		panic(err)
	}
	return h
})

// house is the pages and what they stand on, on a real database.
type house struct {
	*storetest.World
	t      *testing.T
	keys   *keys.Service
	revoke *revoke.Service
	signin *signin.Service
	factor *factor.Service
	h      atomic.Pointer[http.Handler]
	risk   access.Risk
	early  sync.Map // by method and path: what happens before the next such request
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, World: storetest.NewWorld(t, storetest.Engines()[0], store.Hooks{})}
	h.Update(func(tx *store.Tx) error {
		if err := tx.NameDirectory("contoso.example", "Contoso"); err != nil {
			return err
		}
		for _, u := range []*directory.User{h.Ada, h.Grace} {
			if _, err := tx.ChangeUser(u.ID, store.UserChange{}, func(u *directory.User) error { u.Password.Hash = hashed(); return nil }); err != nil {
				return err
			}
		}
		app := *h.App
		app.RedirectURIs, app.FirstParty = []string{"https://tripboard.example/cb"}, true
		app.Permissions = []directory.Permission{{Resource: directory.OwnAPI, Scopes: []string{"openid"}}}
		h.App = &app
		return tx.SaveApp(&app)
	})
	k, err := keys.Open(t.Context(), h.DB, make([]byte, 32), h.Clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	log, l := slog.New(slog.DiscardHandler), grant.DefaultLifetimes()
	h.keys = k
	h.revoke = &revoke.Service{DB: h.DB, Log: log, Lifetimes: l, Now: h.Clock.Now}
	h.signin = &signin.Service{DB: h.DB, Revoke: h.revoke, Lifetimes: l, Now: h.Clock.Now, Log: log, Hasher: signin.NewHasher(), Limits: signin.NewLimits()}
	return h
}

// serve wires the rooms for a public address.
func (h *house) serve(base string) {
	log, l := slog.New(slog.DiscardHandler), grant.DefaultLifetimes()
	policies := &access.Service{DB: h.DB, Registered: factor.Registered, Risk: func(*store.Tx, *access.Use) (access.Risk, error) { return h.risk, nil }}
	h.signin.Access = policies
	h.factor = &factor.Service{DB: h.DB, Keys: h.keys, SignIn: h.signin, Revoke: h.revoke, Base: base, Name: func() string { return "contoso.example" }, Remember: 14 * 24 * time.Hour, Log: log}
	issuer := &issue.Service{Access: policies, DB: h.DB, Keys: h.keys, Revoke: h.revoke, Base: base, Tenant: "11111111-2222-3333-4444-555555555555", Lifetimes: l, Now: h.Clock.Now, Log: log}
	visitors := &pages.Server{Issue: issuer, SignIn: h.signin, Revoke: h.revoke, Relay: &relay.Service{DB: h.DB, Secret: make([]byte, 32), Now: h.Clock.Now, Lifetimes: l},
		Manage: &manage.Service{DB: h.DB, Revoke: h.revoke, Now: h.Clock.Now, Log: log}, Secret: make([]byte, 32), Domain: func() string { return "contoso.example" },
		Park: func(context.Context, string, time.Duration) (string, error) {
			return "", fault.New(fault.NotFound, "none")
		},
		Parked: func(context.Context, string) (string, error) { return "", fault.New(fault.NotFound, "none") }, Factors: true, Portal: "/portal", Log: log}
	mux := http.NewServeMux()
	visitors.Register(mux)
	(&account.Server{Server: visitors, Factor: h.factor, Device: &device.Service{DB: h.DB, Revoke: h.revoke, Origin: base, Log: log}}).Register(mux)
	mux.HandleFunc("GET /portal", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "portal") })
	wrapped := webkit.Observe(log, webkit.Browser(mux, pages.Bypass...))
	h.h.Store(&wrapped)
}

// ServeHTTP serves the house as it is wired by then.
func (h *house) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f, ok := h.early.LoadAndDelete(r.Method + " " + r.URL.Path); ok {
		f.(func())()
	}
	if p := h.h.Load(); p != nil {
		(*p).ServeHTTP(w, r)
	}
}

// rule puts policies in force.
func (h *house) rule(all ...*store.Document) {
	h.t.Helper()
	h.Update(func(tx *store.Tx) error {
		old, err := tx.Documents(store.PolicyDocument)
		for _, d := range old {
			if err == nil {
				err = tx.DeleteDocument(d.Kind, d.ID)
			}
		}
		for _, d := range all {
			if err == nil {
				err = tx.SaveDocument(d)
			}
		}
		return err
	})
}

// before lets something happen when a request has arrived and was not served yet.
func (h *house) before(request string, f func()) { h.early.Store(request, f) }

// cut revokes everything of ada's.
func (h *house) cut() {
	h.t.Helper()
	if _, err := h.revoke.User(h.t.Context(), h.grace(), h.Ada.ID, revoke.Options{Reason: "test"}); err != nil {
		h.t.Fatal(err)
	}
}

// grace is an administrator.
func (h *house) grace() directory.Actor {
	h.t.Helper()
	grace := directory.Actor{User: h.Grace.ID, Name: h.Grace.Name, Born: 1 << 50}
	if err := h.DB.Read(h.t.Context(), func(tx *store.Tx) (err error) { grace.Held, err = tx.Held(h.Grace.ID); return err }); err != nil {
		h.t.Fatal(err)
	}
	return grace
}

// totp is what an authenticator app shows (RFC 6238).
func totp(t *testing.T, key string, now time.Time) string {
	t.Helper()
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(key, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	m := hmac.New(sha1.New, secret)
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(now.Unix()/30))
	m.Write(b[:])
	sum := m.Sum(nil)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff%1_000_000)
}

// browser is one without scripts.
type browser struct {
	t    *testing.T
	base string
	c    *http.Client
}

// open serves the house and opens a browser without scripts.
func (h *house) open() *browser {
	h.t.Helper()
	srv := httptest.NewServer(h)
	h.t.Cleanup(srv.Close)
	if h.h.Load() == nil {
		h.serve(srv.URL)
	}
	return (&browser{t: h.t, base: srv.URL}).another()
}

// another is a second browser of the same site, with no cookies.
func (b *browser) another() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return &browser{t: b.t, base: b.base, c: &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if "http://"+r.URL.Host != b.base || len(via) > 12 {
			return http.ErrUseLastResponse
		}
		return nil
	}}}
}

type page struct {
	t      *testing.T
	status int
	url    *url.URL
	header http.Header
	doc    webkittest.Doc
}

func (b *browser) send(r *http.Request) *page {
	b.t.Helper()
	res, err := b.c.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	p := &page{t: b.t, status: res.StatusCode, url: res.Request.URL, header: res.Header}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
		p.doc = webkittest.Check(b.t, body)
	}
	return p
}

func (b *browser) get(path string) *page {
	b.t.Helper()
	r, err := http.NewRequest("GET", b.base+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.send(r)
}

func (b *browser) post(path string, f url.Values) *page {
	b.t.Helper()
	r, err := http.NewRequest("POST", b.base+path, strings.NewReader(f.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
	return b.send(r)
}

// submit fills in the form of a page that goes to action, and sends it.
func (b *browser) submit(p *page, action string, fill ...string) *page {
	b.t.Helper()
	f, in := url.Values{}, false
	for _, e := range p.doc.Elements {
		if e.Name == "form" {
			in = e.Attr["action"] == action
		}
		if n := e.Attr["name"]; in && e.Name == "input" && n != "" && !e.Has("disabled") && e.Attr["type"] != "checkbox" {
			f.Set(n, e.Attr["value"])
		}
	}
	for i := 0; i+1 < len(fill); i += 2 {
		f.Set(fill[i], fill[i+1])
	}
	return b.post(action, f)
}

// signIn signs ada in with the password.
func (b *browser) signIn(next string) *page {
	b.t.Helper()
	return b.submit(b.get("/signin?next="+url.QueryEscape(next)), "/signin", "username", ada, "password", password)
}

func (p *page) title() string {
	if len(p.doc.Elements) == 0 {
		return ""
	}
	return p.doc.All("title")[0].Text
}

func (p *page) says(words string) bool {
	return len(p.doc.Elements) > 0 && strings.Contains(p.doc.Text(), words)
}

func (p *page) want(status int, title string) *page {
	p.t.Helper()
	if p.status != status || !strings.HasPrefix(p.title(), title) {
		text := ""
		if len(p.doc.Elements) > 0 {
			text = p.doc.Text()
		}
		p.t.Fatalf("want %d %q, got %d at %s: %s", status, title, p.status, p.url, text)
	}
	return p
}

// id is the text of the element with an id.
func (p *page) id(id string) string {
	p.t.Helper()
	for _, e := range p.doc.Elements {
		if e.Attr["id"] == id {
			return e.Text
		}
	}
	p.t.Fatalf("no #%s at %s: %s", id, p.url, p.doc.Text())
	return ""
}
