package desk

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
	"time"

	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/deliver"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Desk is what every page of the portal needs, whatever it shows. Rooms that serve
// pages share one, so that its figures are read once for all of them. The four verbs
// and Base are needed.
type Desk struct {
	SignIn *signin.Service
	Manage *manage.Service
	Relay  *relay.Service
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
}

// Visit is one request of somebody who is signed in and holds a role, or looks at
// applications, which may be their own.
type Visit struct {
	*signin.Signed
	Desk    *Desk
	W       http.ResponseWriter
	R       *http.Request
	Section Section
	Q       webkit.Form // of the address
}

// Ctx is the request's context.
func (v *Visit) Ctx() context.Context { return v.R.Context() }

// Now is the instant by the desk's clock.
func (v *Visit) Now() time.Time { return v.Desk.Time() }

// Page wraps a handler: who asks comes first, and what it returns becomes a page.
func (d *Desk) Page(section Section, h func(*Visit) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := &Visit{Desk: d, W: w, R: r, Section: section}
		err := v.Enter()
		if err == nil && len(v.Held.Roles) == 0 && section != SectionApplications {
			v.stranger()
			return
		}
		if err == nil {
			err = h(v)
		}
		if err != nil {
			v.Fail(err)
		}
	}
}

// Enter reads who is behind the cookie, if policies let them in. Kinds:
// Unauthenticated, Denied, Revoked, Invalid.
func (v *Visit) Enter() (err error) {
	if v.Q, err = webkit.ParseQuery(v.R); err != nil {
		return err
	}
	cookie := webkit.ReadSession(v.R, v.Desk.Secure)
	if cookie == "" {
		return fault.New(fault.Unauthenticated, "Sign in first.")
	}
	ip, _, err := net.SplitHostPort(v.R.RemoteAddr)
	if err != nil {
		ip = v.R.RemoteAddr
	}
	if v.Signed, err = v.Desk.SignIn.Visit(v.Ctx(), cookie, signin.Visit{App: access.Portal, IP: ip, Agent: v.R.UserAgent()}); err != nil {
		return err
	}
	v.Actor.Request = webkit.RequestID(v.Ctx())
	return nil
}

// stranger answers who is signed in and administers nothing.
func (v *Visit) stranger() {
	if v.R.URL.Path == "/" {
		v.To(PathAccount)
		return
	}
	if _, err := v.Desk.Manage.Apps(v.Ctx(), v.Actor); err == nil && v.R.URL.Path == PathOverview {
		v.To(PathApplications) // whoever owns one is at home there
		return
	}
	f := v.Frame("Nothing to administer")
	v.error(http.StatusForbidden, webkit.ErrorView{Frame: f, Heading: f.Title, Trace: webkit.RequestID(v.Ctx()),
		Sentence: "The portal is for people who hold a directory role, and for owners of applications. " + v.User.Name + " is neither. Your own sessions and applications are on your account page.",
		Next:     webkit.Link{Text: "My account", URL: PathAccount}})
}

// Home sends to the first page.
func (v *Visit) Home() error { return v.To(PathOverview) }

// To sends the browser on, after a form with GET. It returns nil.
func (v *Visit) To(where string) error {
	v.W.Header().Set("Location", where)
	v.W.WriteHeader(http.StatusSeeOther)
	return nil
}

// Fail turns an error into a page. Who is not signed in, or was cut meanwhile, is
// sent to sign in and comes back. It answers also when the reader seems to be gone:
// half a connection may be left, and no answer would be a 200.
func (v *Visit) Fail(err error) {
	kind, live := fault.KindOf(err), v.R.Header.Get("Accept") == "text/event-stream"
	to, again := webkit.Again(err, v.back())
	switch {
	case again && !live:
		v.To(to)
		return
	case (kind == fault.Unauthenticated || kind == fault.Revoked) && !live:
		v.To("/signin?next=" + url.QueryEscape(v.back()))
		return
	case kind == fault.Denied && v.Signed != nil && !live:
		if err = v.Refused(&Refusal{Sentence: fault.Public(err)}); err == nil {
			return
		}
		kind = fault.KindOf(err)
	}
	if kind == fault.Internal && v.Ctx().Err() == nil {
		v.Log("portal", err)
	}
	view := webkit.ErrorFor(v.Frame(""), err, webkit.RequestID(v.Ctx()))
	if v.Signed != nil {
		view.Next = webkit.Link{Text: "Overview", URL: PathOverview}
	}
	v.RetryAfter(err)
	v.error(webkit.StatusOf(err), view)
}

// RetryAfter sets the header of that name where trying again helps: to when the
// next try is let through, where that is known.
func (v *Visit) RetryAfter(err error) {
	wait := 5
	var many *signin.TooMany
	if errors.As(err, &many) {
		wait = 1 + int(max(0, many.Until.Sub(v.Now())-1)/time.Second)
	}
	if kind := fault.KindOf(err); kind == fault.Unavailable || kind == fault.Limited {
		v.W.Header().Set("Retry-After", strconv.Itoa(wait))
	}
}

// error sends the page of an error.
func (v *Visit) error(status int, view webkit.ErrorView) {
	if err := webkit.ErrorPage().Write(v.W, status, view); err != nil && v.Ctx().Err() == nil {
		v.Log("error page", err)
	}
}

// Log writes down what went wrong on our side.
func (v *Visit) Log(what string, err error) {
	if v.Desk.Log != nil {
		v.Desk.Log.ErrorContext(v.Ctx(), what, "error", err, "request", webkit.RequestID(v.Ctx()))
	}
}

// Refused shows the notice in place of a page that the reader's role does not open.
func (v *Visit) Refused(n *Refusal) error {
	sh := v.Shell("Not for your role")
	return Show(v, refusedPage, http.StatusForbidden, RefusedPage{sh, n})
}

// back is the address to come back to after signing in. The sign-in page takes
// plain paths of ours only; a page under an escaped name is left for the overview,
// and an act is shown again, never done again.
func (v *Visit) back() string {
	u := v.R.URL
	switch {
	case u.Path == "/" || u.RawPath != "" || path.Clean(u.Path) != u.Path || strings.ContainsFunc(u.Path, func(c rune) bool { return c <= ' ' || c > '~' }) || len(u.RawQuery) > 8<<10:
		return PathOverview
	case u.Path == PathBulkNow || u.Path == PathBulk:
		return PathUsers
	case v.R.Method == http.MethodPost || u.RawQuery == "":
		return u.Path
	}
	return u.Path + "?" + u.Query().Encode()
}

// Show sends a page.
func Show[T any](v *Visit, p webkit.Page[T], status int, view T) error {
	b, err := p.HTML(view)
	if err != nil {
		return err
	}
	h := v.W.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	v.W.WriteHeader(status)
	v.W.Write(b) // who does not read it asks again
	return nil
}

// Time is the instant by the clock.
func (d *Desk) Time() time.Time {
	if d.Now == nil {
		return time.Now()
	}
	return d.Now()
}

// Name is what people call the directory.
func (d *Desk) Name() string {
	if d.Domain != nil {
		if name := d.Domain(); name != "" {
			return name
		}
	}
	if u, err := url.Parse(d.Base); err == nil {
		return u.Hostname()
	}
	return ""
}

// Clock writes times as of an instant, in the location of the server's clock.
func (v *Visit) Clock(at time.Time) webkit.Clock {
	return webkit.Clock{Now: at.In(v.Now().Location())}
}

// Frame is the frame of a page without navigation.
func (v *Visit) Frame(title string) webkit.Frame {
	return webkit.Frame{Clock: v.Clock(v.Now()), Title: title, Theme: webkit.ThemeOf(v.R), NoKeys: webkit.NoKeysOf(v.R), Directory: v.Desk.Name()}
}

// Shell is the frame of a page. What the reader may not see, or what cannot be read
// now, is unknown there: the page itself is what was asked for.
func (v *Visit) Shell(title string) Shell {
	name := v.User.DisplayName
	if name == "" {
		name = v.User.Name
	}
	sh := Shell{Frame: v.Frame(title), Section: v.Section, Me: name, MyRoles: role.Names(v.Held.Roles), GuardsTotal: -1}
	sh.UserCount = v.UserCount()
	if !role.Allowed(v.Actor, role.ReadUsers, role.Target{}).OK {
		sh.UserCount = -1
	}
	if role.Allowed(v.Actor, role.ReadGuards, role.Target{}).OK {
		if o := v.Overview(); o != nil {
			sh.GuardsAnswering, sh.GuardsTotal, sh.Worst = o.Answering, o.Guards, o.Worst
		}
	}
	if role.Allowed(v.Actor, role.ReadReceipts, role.Target{}).OK {
		sh.Failing = v.Desk.vitals.failing(func() ([]deliver.Recipient, error) { return v.Desk.Deliver.Recipients(v.Ctx(), v.Actor) })
	}
	return sh
}

// UserCount is how many users there are, read every few seconds; negative: unknown.
func (v *Visit) UserCount() int {
	return v.Desk.vitals.users(func() (int, error) { return v.Count(directory.UserQuery{}) })
}

// Overview is the state of the guards, read at most once a second; nil: not known.
func (v *Visit) Overview() *relay.Overview {
	return v.Desk.vitals.overview(func() (*relay.Overview, error) { return v.Desk.Relay.Overview(v.Ctx(), v.Actor) })
}
