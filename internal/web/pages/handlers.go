package pages

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Server serves the pages that everybody sees. Every field but Ways, Factors, Portal and
// Log is required.
type Server struct {
	Issue  *issue.Service
	SignIn *signin.Service
	Revoke *revoke.Service
	Relay  *relay.Service
	Manage *manage.Service
	// Secret is 32 bytes, the same on all nodes: what comes back from a browser in
	// a hidden field or an address is under a MAC of this key.
	Secret []byte
	// Domain returns the directory's domain; empty while it has none.
	Domain func() string
	// Park keeps a posted request for a while and returns the name it is found by;
	// Parked finds it again, any number of times. Kind: NotFound (unknown, or over).
	Park   func(ctx context.Context, doc string, life time.Duration) (string, error)
	Parked func(ctx context.Context, name string) (string, error)
	// Ways lists the other identity providers that people may sign in through.
	Ways func(ctx context.Context) ([]Way, error)
	// Factors: people may have more than a password, so that a passkey or a temporary
	// access pass signs them in (internal/web/account).
	Factors bool
	// Known is where a browser goes right after somebody has proven in it who they are,
	// on the way to next: by a page that recognises it. Nil: to next.
	Known func(r *http.Request, next string) string
	// Portal is the address of the portal, "/portal"; empty: there is none.
	Portal string
	Log    *slog.Logger // nil: nowhere

	codes tries // wrong device codes, by account
}

// Bypass are the patterns that other sites may post to, for [webkit.Browser].
// What is posted there is put aside, and the browser is sent to get it.
var Bypass = []string{"POST /{tenant}/oauth2/v2.0/authorize", "POST /{tenant}/oauth2/v2.0/logout", "POST /oauth2/authorize", "POST /oauth2/logout"}

// Register adds the routes. They use a wildcard as their first segment, so they
// need a mux without subtree patterns of others.
func (s *Server) Register(mux *http.ServeMux) {
	for name, h := range map[string]func(http.ResponseWriter, *http.Request, grant.Issuer){
		"authorize": s.authorize,
		"logout":    s.logout,
	} {
		mux.HandleFunc("/{tenant}/oauth2/v2.0/"+name, func(w http.ResponseWriter, r *http.Request) {
			if !s.known(r.PathValue("tenant")) {
				s.Fail(w, r, errTenant)
				return
			}
			h(w, r, grant.Tenant)
		})
		mux.HandleFunc("/oauth2/"+name, func(w http.ResponseWriter, r *http.Request) { h(w, r, grant.Plain) })
	}
	mux.HandleFunc("GET /signin", s.getSignIn)
	mux.HandleFunc("POST /signin", s.postSignIn)
	mux.HandleFunc("POST /signin/password", s.postMustChange)
	mux.HandleFunc("GET /choose", s.getChoose)
	mux.HandleFunc("POST /choose", s.postChoose)
	mux.HandleFunc("POST /consent", s.postConsent)
	mux.HandleFunc("GET /device", s.getDevice)
	mux.HandleFunc("POST /device", s.postDevice)
	mux.HandleFunc("GET /signout", s.getSignOut)
	mux.HandleFunc("POST /signout", s.postSignOut)
	mux.HandleFunc("GET /setup", s.getSetup)
	mux.HandleFunc("POST /setup", s.postSetup)
}

// known reports whether an address names this directory.
func (s *Server) known(tenant string) bool {
	return webkit.NamesTenant(tenant, s.Issue.Tenant, s.Domain())
}

// Now is the clock.
func (s *Server) Now() time.Time { return s.Issue.Now() }

// Secure reports whether browsers reach us by https. Plain http is served on
// loopback only, by the demonstration.
func (s *Server) Secure() bool { return strings.HasPrefix(s.Issue.Base, "https://") }

// cookie is the value this browser has, or "".
func (s *Server) cookie(r *http.Request) string { return webkit.ReadSession(r, s.Secure()) }

// SetCookie hands out a session; kept ones survive the browser, for the longest a
// Session can live.
func (s *Server) SetCookie(w http.ResponseWriter, value string, kept bool) {
	var life time.Duration
	if kept {
		life = s.Issue.Lifetimes.SessionAbsolute
	}
	webkit.SetSession(w, s.Secure(), value, life)
}

// ClearCookie takes the session from this browser.
func (s *Server) ClearCookie(w http.ResponseWriter) { webkit.ClearSession(w, s.Secure()) }

// Session returns who is signed in in this browser; nil when nobody is. What the
// session is used for is judged where it is.
func (s *Server) Session(r *http.Request) (*signin.Signed, error) {
	return webkit.Visitor(r, s.SignIn, s.Secure(), nil)
}

// Owner returns whose account it is, if policies let them visit it, or sends the
// browser to sign in. No policy keeps anybody from ending what is theirs: nil.
func (s *Server) Owner(w http.ResponseWriter, r *http.Request, next string, to *signin.Visit) *signin.Signed {
	signed, err := webkit.Visitor(r, s.SignIn, s.Secure(), to)
	if to, ok := webkit.Again(err, next); ok {
		GoTo(w, to)
		return nil
	}
	if err != nil {
		s.Fail(w, r, err)
		return nil
	}
	if signed == nil {
		GoTo(w, SignInAt(next))
	}
	return signed
}

// Attempt is what a request shows of somebody who signs in.
func (s *Server) Attempt(r *http.Request) signin.Attempt {
	return signin.Attempt{IP: webkit.Address(r), Agent: r.UserAgent(), Request: webkit.RequestID(r.Context()), Reprove: s.cookie(r)}
}

// Frame is the frame of a page.
func (s *Server) Frame(r *http.Request, title string) webkit.Frame {
	return webkit.Frame{Clock: webkit.Clock{Now: s.Now()}, Title: title, Theme: webkit.ThemeOf(r), Directory: s.Domain()}
}

func (s *Server) flow(r *http.Request, title, action string, f *step) Flow {
	out := Flow{Frame: s.Frame(r, title), Action: action}
	if f != nil {
		out.Flow = s.seal("flow", f)
	}
	return out
}

// Show sends a page; one that cannot be rendered becomes an error page.
func Show[T any](s *Server, w http.ResponseWriter, r *http.Request, p webkit.Page[T], status int, v T) {
	b, err := p.HTML(v)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(b) // who does not read it asks again
}

// Fail answers with the error page, also when the reader seems to be gone: half a
// connection may be left, and no answer would be a 200. Internal errors are logged
// here, once.
func (s *Server) Fail(w http.ResponseWriter, r *http.Request, err error) {
	id := webkit.RequestID(r.Context())
	if fault.KindOf(err) == fault.Internal && s.Log != nil && r.Context().Err() == nil {
		s.Log.ErrorContext(r.Context(), "pages", "error", err, "request", id)
	}
	if s.blocked(w, r, err, "", webkit.Link{}) {
		return
	}
	v := webkit.ErrorFor(s.Frame(r, ""), err, id)
	status := webkit.StatusOf(err)
	if code := codeOf(err); code != "" {
		v.Code = code
	}
	if errPage := (*pageError)(nil); errors.As(err, &errPage) {
		v.Heading, v.Frame.Title, v.Next = errPage.heading, errPage.heading, errPage.next
	}
	w.Header().Set("Cache-Control", "no-store")
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", s.RetryAfter(err))
	}
	if werr := webkit.ErrorPage().Write(w, status, v); werr != nil && s.Log != nil && r.Context().Err() == nil {
		s.Log.ErrorContext(r.Context(), "error page", "error", werr, "request", id)
	}
}

// blocked shows the page of a policy's refusal against which nothing helps; false: it is
// none.
func (s *Server) blocked(w http.ResponseWriter, r *http.Request, err error, app string, next webkit.Link) bool {
	v, ok := webkit.BlockedFor(s.Frame(r, ""), r, err, app)
	if ok {
		v.Next = next
		Show(s, w, r, webkit.BlockedPage(), http.StatusForbidden, v)
	}
	return ok
}

// GoTo sends the browser on, after a form with the method it must use then.
func GoTo(w http.ResponseWriter, to string) {
	h := w.Header()
	h.Set("Location", to)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusSeeOther)
}

// maxNext bounds an address to come back to. Browsers and proxies have their own
// bounds; a longer request is posted.
const maxNext = 32 << 10

// Ours is ours, for the rooms that send people on.
func (s *Server) Ours(next string) bool { return s.ours(next) }

// ours reports whether next is an address that a person may be sent to after
// signing in: a page of ours, by the letters that the browser gets to see. It
// begins with one slash, so that it is on this host whatever follows.
func (s *Server) ours(next string) bool {
	if len(next) > maxNext || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t#") {
		return false
	}
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil {
		return false
	}
	p := u.EscapedPath() // as sent: a client_id in the portal's addresses may hold slashes
	if path.Clean(p) != p || strings.Contains(strings.ToLower(p), "%2e") {
		return false
	}
	switch p {
	case "/account", "/account/password", "/account/identities", "/account/devices/register", "/account/methods", "/account/methods/codes", "/device", "/oauth2/authorize":
		return true
	}
	if s.Portal != "" && (p == s.Portal || strings.HasPrefix(p, s.Portal+"/")) {
		return true
	}
	seg := strings.Split(p, "/")
	return len(seg) == 5 && s.known(seg[1]) && seg[2] == "oauth2" && seg[3] == "v2.0" && seg[4] == "authorize"
}

// home is where somebody goes who came for nothing else.
func (s *Server) home(signed *signin.Signed) string {
	if s.Portal != "" && len(signed.Held.Roles) > 0 {
		return s.Portal
	}
	return "/account"
}

// SignInAt is the address of the sign-in page for a page of ours.
func SignInAt(next string) string { return "/signin?next=" + url.QueryEscape(next) }

// SecondAt is the address at which somebody who is signed in gives a second factor, to
// go on to a page of ours.
func SecondAt(next string) string { return "/signin/second?next=" + url.QueryEscape(next) }

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Next is where a page's form goes on to, for who signs people in elsewhere; empty:
// it came from nowhere.
func (s *Server) Next(flow string) string { return s.openFlow(flow).Next }

// NextOf reads where a page is to go on to from its address; empty: it does not say.
func (s *Server) NextOf(r *http.Request) (string, error) {
	q, err := webkit.ParseQuery(r)
	if err != nil {
		return "", err
	}
	next := q.Get("next")
	if next != "" && !s.ours(next) {
		return "", badRequest("The address to go on to is not one of this directory.")
	}
	return next, nil
}

// FlowTo is the flow of a form that goes on to next.
func (s *Server) FlowTo(r *http.Request, title, action, next string) Flow {
	return s.flow(r, title, action, &step{Next: next})
}

// Seal puts what a page of another room carries in a hidden field under a MAC, and
// Unseal reads it; false: it is not ours. The purpose keeps them apart from each other.
func (s *Server) Seal(purpose string, v any) string { return s.seal(purpose, v) }

// Unseal is the reverse of Seal.
func (s *Server) Unseal(purpose, text string, v any) bool { return s.unseal(purpose, text, v) }
