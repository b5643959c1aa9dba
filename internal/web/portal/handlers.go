package portal

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/curfew-id/curfew/internal/deliver"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/web/portal/receipt"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Server serves the portal. The five verbs and Base are needed.
type Server struct {
	SignIn *signin.Service
	Manage *manage.Service
	Relay  *relay.Service
	Revoke *revoke.Service
	// Deliver tells applications of logouts.
	Deliver *deliver.Service
	// Base is the public URL, without a slash at its end.
	Base string
	// Secure: browsers reach us by https.
	Secure bool
	// Domain returns the directory's domain, which has to be typed to revoke
	// everyone. Nil, or empty: the host of Base stands for it.
	Domain func() string
	Log    *slog.Logger
	// Now is the clock, in the location in which pages write times; nil: time.Now.
	Now func() time.Time

	vitals vitals
	cuts   receipt.Cuts
}

// Register adds the routes to a mux that webkit.Browser wraps.
func (s *Server) Register(mux *http.ServeMux) {
	for _, x := range []struct {
		pattern string
		section Section
		h       func(*visit) error
	}{
		{"GET /{$}", SectionOverview, (*visit).home},
		{"GET " + PathOverview + "/{$}", SectionOverview, (*visit).home},
		{"GET " + PathOverview, SectionOverview, s.getOverview},
		{"GET " + PathUsers, SectionUsers, s.getUsers},
		{"GET " + PathBulk, SectionUsers, func(v *visit) error { return v.to(PathUsers) }},
		{"POST " + PathBulk, SectionUsers, s.postBulk},
		{"GET " + pathBulkNow, SectionUsers, func(v *visit) error { return v.to(PathUsers) }},
		{"POST " + pathBulkNow, SectionUsers, s.postBulkNow},
		{"GET " + PathUsers + "/{id}", SectionUsers, s.getUser},
		{"GET " + PathUsers + "/{id}/{verb}", SectionUsers, s.getVerb},
		{"POST " + PathUsers + "/{id}/revoke", SectionUsers, s.postRevoke},
		{"POST " + PathUsers + "/{id}/disable", SectionUsers, s.postDisable},
		{"POST " + PathUsers + "/{id}/enable", SectionUsers, s.postEnable},
		{"POST " + PathUsers + "/{id}/reset-password", SectionUsers, s.postReset},
		{"GET " + PathUsers + "/{id}/sessions/{session}/revoke", SectionUsers, s.getSession},
		{"POST " + PathUsers + "/{id}/sessions/{session}/revoke", SectionUsers, s.postSession},
		{"GET " + PathUsers + "/{id}/grants/{grant}/revoke", SectionUsers, s.getGrant},
		{"POST " + PathUsers + "/{id}/grants/{grant}/revoke", SectionUsers, s.postGrant},
		{"GET " + PathRevokeAll, SectionUsers, s.getRevokeAll},
		{"POST " + PathRevokeAll, SectionUsers, s.postRevokeAll},
		{"GET " + PathApplications, SectionApplications, s.getApplications},
		{"GET " + PathNewApp, SectionApplications, s.getAppForm},
		{"POST " + PathNewApp, SectionApplications, s.postAppForm},
		{"GET " + PathApplications + "/{id}", SectionApplications, s.getApplication},
		{"GET " + PathApplications + "/{id}/edit", SectionApplications, s.getAppForm},
		{"POST " + PathApplications + "/{id}/edit", SectionApplications, s.postAppForm},
		{"GET " + PathApplications + "/{id}/permissions", SectionApplications, s.getRights},
		{"POST " + PathApplications + "/{id}/permissions", SectionApplications, s.postRights},
		{"GET " + PathApplications + "/{id}/{verb}", SectionApplications, s.getAppVerb},
		{"POST " + PathApplications + "/{id}/{verb}", SectionApplications, s.postAppVerb},
		{"GET " + PathApplications + "/{id}/{verb}/{part}", SectionApplications, s.getAppVerb},
		{"POST " + PathApplications + "/{id}/{verb}/{part}", SectionApplications, s.postAppVerb},
		{"GET " + PathResources, SectionResources, s.getResources},
		{"GET " + PathNewResource, SectionResources, s.getResourceForm},
		{"POST " + PathNewResource, SectionResources, s.postResourceForm},
		{"GET " + PathResources + "/{id}", SectionResources, s.getResource},
		{"GET " + PathResources + "/{id}/edit", SectionResources, s.getResourceForm},
		{"POST " + PathResources + "/{id}/edit", SectionResources, s.postResourceForm},
		{"GET " + PathResources + "/{id}/delete", SectionResources, s.getDeleteResource},
		{"POST " + PathResources + "/{id}/delete", SectionResources, s.postDeleteResource},
		{"GET " + PathGuards, SectionGuards, s.getGuards},
		{"GET " + PathDeliveries, SectionDeliveries, s.getDeliveries},
		{"GET " + PathDeliveries + "/{verb}/{part}", SectionDeliveries, s.getDelivery},
		{"POST " + PathDeliveries + "/{verb}/{part}", SectionDeliveries, s.postDelivery},
		{"GET " + PathReceipts, SectionReceipts, s.getReceipts},
		{"GET " + PathReceipts + "/{id}", SectionReceipts, s.getReceipt},
		{"GET " + PathReceipts + "/{id}/live", SectionReceipts, s.getLive},
		{"GET " + PathAudit, SectionAudit, s.getAudit},
	} {
		mux.HandleFunc(x.pattern, s.page(x.section, x.h))
	}
}

// visit is one request of somebody who is signed in and holds a role, or looks at
// applications, which may be their own.
type visit struct {
	*signin.Signed
	s       *Server
	w       http.ResponseWriter
	r       *http.Request
	section Section
	q       webkit.Form // of the address
}

func (v *visit) ctx() context.Context { return v.r.Context() }

// page wraps a handler: who asks comes first, and what it returns becomes a page.
func (s *Server) page(section Section, h func(*visit) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := &visit{s: s, w: w, r: r, section: section}
		err := v.enter()
		if err == nil && len(v.Held.Roles) == 0 && section != SectionApplications {
			v.stranger()
			return
		}
		if err == nil {
			err = h(v)
		}
		if err != nil {
			v.fail(err)
		}
	}
}

// enter reads who is behind the cookie. Kinds: Unauthenticated, Revoked, Invalid.
func (v *visit) enter() (err error) {
	if v.q, err = webkit.ParseQuery(v.r); err != nil {
		return err
	}
	cookie := webkit.ReadSession(v.r, v.s.Secure)
	if cookie == "" {
		return fault.New(fault.Unauthenticated, "Sign in first.")
	}
	ip, _, err := net.SplitHostPort(v.r.RemoteAddr)
	if err != nil {
		ip = v.r.RemoteAddr
	}
	if v.Signed, err = v.s.SignIn.Session(v.ctx(), cookie, ip); err != nil {
		return err
	}
	v.Actor.Request = webkit.RequestID(v.ctx())
	return nil
}

// stranger answers who is signed in and administers nothing.
func (v *visit) stranger() {
	if v.r.URL.Path == "/" {
		v.to(PathAccount)
		return
	}
	if _, err := v.s.Manage.Apps(v.ctx(), v.Actor); err == nil && v.r.URL.Path == PathOverview {
		v.to(PathApplications) // whoever owns one is at home there
		return
	}
	f := v.frame("Nothing to administer")
	v.error(http.StatusForbidden, webkit.ErrorView{Frame: f, Heading: f.Title, Trace: webkit.RequestID(v.ctx()),
		Sentence: "The portal is for people who hold a directory role, and for owners of applications. " + v.User.Name + " is neither. Your own sessions and applications are on your account page.",
		Next:     webkit.Link{Text: "My account", URL: PathAccount}})
}

func (v *visit) home() error { return v.to(PathOverview) }

// to sends the browser on, after a form with GET. It returns nil.
func (v *visit) to(where string) error {
	v.w.Header().Set("Location", where)
	v.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// fail turns an error into a page. Who is not signed in, or was cut meanwhile, is
// sent to sign in and comes back. It answers also when the reader seems to be gone:
// half a connection may be left, and no answer would be a 200.
func (v *visit) fail(err error) {
	kind, live := fault.KindOf(err), v.r.Header.Get("Accept") == "text/event-stream"
	switch {
	case (kind == fault.Unauthenticated || kind == fault.Revoked) && !live:
		v.to("/signin?next=" + url.QueryEscape(v.back()))
		return
	case kind == fault.Denied && v.Signed != nil && !live:
		if err = v.refused(&Refusal{Sentence: fault.Public(err)}); err == nil {
			return
		}
		kind = fault.KindOf(err)
	}
	if kind == fault.Internal && v.ctx().Err() == nil {
		v.log("portal", err)
	}
	view := webkit.ErrorFor(v.frame(""), err, webkit.RequestID(v.ctx()))
	if v.Signed != nil {
		view.Next = webkit.Link{Text: "Overview", URL: PathOverview}
	}
	v.retryAfter(err)
	v.error(webkit.StatusOf(err), view)
}

// retryAfter sets the header of that name where trying again helps: to when the
// next try is let through, where that is known.
func (v *visit) retryAfter(err error) {
	wait := 5
	var many *signin.TooMany
	if errors.As(err, &many) {
		wait = 1 + int(max(0, many.Until.Sub(v.s.now())-1)/time.Second)
	}
	if kind := fault.KindOf(err); kind == fault.Unavailable || kind == fault.Limited {
		v.w.Header().Set("Retry-After", strconv.Itoa(wait))
	}
}

func (v *visit) error(status int, view webkit.ErrorView) {
	if err := webkit.ErrorPage().Write(v.w, status, view); err != nil && v.ctx().Err() == nil {
		v.log("error page", err)
	}
}

func (v *visit) log(what string, err error) {
	if v.s.Log != nil {
		v.s.Log.ErrorContext(v.ctx(), what, "error", err, "request", webkit.RequestID(v.ctx()))
	}
}

// refused shows the notice in place of a page that the reader's role does not open.
func (v *visit) refused(n *Refusal) error {
	sh := v.shell("Not for your role")
	return show(v, refusedPage, http.StatusForbidden, RefusedPage{sh, n})
}

// back is the address to come back to after signing in. The sign-in page takes
// plain paths of ours only; a page under an escaped name is left for the overview,
// and an act is shown again, never done again.
func (v *visit) back() string {
	u := v.r.URL
	switch {
	case u.Path == "/" || u.RawPath != "" || path.Clean(u.Path) != u.Path || strings.ContainsFunc(u.Path, func(c rune) bool { return c <= ' ' || c > '~' }) || len(u.RawQuery) > 8<<10:
		return PathOverview
	case u.Path == pathBulkNow || u.Path == PathBulk:
		return PathUsers
	case v.r.Method == http.MethodPost || u.RawQuery == "":
		return u.Path
	}
	return u.Path + "?" + u.Query().Encode()
}

// show sends a page.
func show[T any](v *visit, p webkit.Page[T], status int, view T) error {
	b, err := p.HTML(view)
	if err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	v.w.WriteHeader(status)
	v.w.Write(b) // who does not read it asks again
	return nil
}

func (s *Server) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

func (s *Server) domain() string {
	if s.Domain != nil {
		if d := s.Domain(); d != "" {
			return d
		}
	}
	if u, err := url.Parse(s.Base); err == nil {
		return u.Hostname()
	}
	return ""
}

// clock writes times as of an instant, in the location of the server's clock.
func (v *visit) clock(at time.Time) webkit.Clock {
	return webkit.Clock{Now: at.In(v.s.now().Location())}
}

func (v *visit) frame(title string) webkit.Frame {
	return webkit.Frame{Clock: v.clock(v.s.now()), Title: title, Theme: webkit.ThemeOf(v.r), NoKeys: webkit.NoKeysOf(v.r), Directory: v.s.domain()}
}

// shell is the frame of a page. What the reader may not see, or what cannot be read
// now, is unknown there: the page itself is what was asked for.
func (v *visit) shell(title string) Shell {
	name := v.User.DisplayName
	if name == "" {
		name = v.User.Name
	}
	sh := Shell{Frame: v.frame(title), Section: v.section, Me: name, MyRoles: role.Names(v.Held.Roles), GuardsTotal: -1}
	sh.UserCount = v.s.vitals.users(func() (int, error) { return v.count(directory.UserQuery{}) })
	if !role.Allowed(v.Actor, role.ReadUsers, role.Target{}).OK {
		sh.UserCount = -1
	}
	if role.Allowed(v.Actor, role.ReadGuards, role.Target{}).OK {
		if o := v.s.vitals.overview(func() (*relay.Overview, error) { return v.s.Relay.Overview(v.ctx(), v.Actor) }); o != nil {
			sh.GuardsAnswering, sh.GuardsTotal, sh.Worst = o.Answering, o.Guards, o.Worst
		}
	}
	if role.Allowed(v.Actor, role.ReadReceipts, role.Target{}).OK {
		sh.Failing = v.s.vitals.failing(func() ([]deliver.Recipient, error) { return v.s.Deliver.Recipients(v.ctx(), v.Actor) })
	}
	return sh
}

// vitals are figures that every page shows, read at most so often. They are kept by
// the monotonic clock of this process.
type vitals struct {
	mu        sync.Mutex
	n         int             // guarded by mu
	countedAt time.Time       // guarded by mu
	o         *relay.Overview // guarded by mu
	readAt    time.Time       // guarded by mu
	fail      int             // guarded by mu
	failAt    time.Time       // guarded by mu
}

const (
	usersEvery  = 10 * time.Second
	vitalsEvery = time.Second
)

func (c *vitals) users(count func() (int, error)) int {
	c.mu.Lock()
	n, at := c.n, c.countedAt
	c.mu.Unlock()
	if !at.IsZero() && time.Since(at) < usersEvery {
		return n
	}
	n, err := count() // not under the lock: two may count at once
	if err != nil {
		return -1
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n, c.countedAt = n, time.Now()
	return n
}

func (c *vitals) failing(read func() ([]deliver.Recipient, error)) int {
	c.mu.Lock()
	n, at := c.fail, c.failAt
	c.mu.Unlock()
	if !at.IsZero() && time.Since(at) < vitalsEvery {
		return n
	}
	all, err := read()
	if err != nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail, c.failAt = registry.Failing(all), time.Now()
	return c.fail
}

func (c *vitals) overview(read func() (*relay.Overview, error)) *relay.Overview {
	c.mu.Lock()
	o, at := c.o, c.readAt
	c.mu.Unlock()
	if o != nil && time.Since(at) < vitalsEvery {
		return o
	}
	o, err := read()
	if err != nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.o, c.readAt = o, time.Now()
	return o
}
