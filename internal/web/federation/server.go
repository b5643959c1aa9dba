package federation

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/federate"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Server serves what has to do with other identity providers. Everything but Log is
// needed.
type Server struct {
	Federate *federate.Service
	SignIn   *signin.Service
	Secure   bool          // browsers reach us by https
	Domain   func() string // of the directory; empty while it has none
	// Next is where a sign-in page's form goes on to, Onwards where somebody goes who
	// has signed in for that; fresh: they were asked again who they are.
	Next    func(flow string) string
	Onwards func(ctx context.Context, next string, signed *signin.Signed, fresh bool) string
	// Admit counts a sign-in that somebody begins at an address.
	Admit func(ip string) error
	Now   func() time.Time
	Log   *slog.Logger // nil: nowhere
}

// Register adds what browsers ask for.
func (s *Server) Register(mux *http.ServeMux) {
	mux.HandleFunc("POST /federation/{provider}/start", s.postStart)
	mux.HandleFunc("GET /federation/{provider}/callback", s.getCallback)
	mux.HandleFunc("GET /account/identities", s.getIdentities)
	mux.HandleFunc("POST /account/identities/{provider}/link", s.postLink)
	mux.HandleFunc("POST /account/identities/{provider}/unlink", s.postUnlink)
}

// RegisterProtocol adds what providers ask for, without cookies.
func (s *Server) RegisterProtocol(mux *http.ServeMux) {
	mux.HandleFunc("/federation/{provider}/logout", s.postLogout)
}

// Way is where the form goes that begins a sign-in through a provider.
func Way(id directory.ProviderID) string { return "/federation/" + string(id) + "/start" }

func provider(r *http.Request) directory.ProviderID {
	return directory.ProviderID(r.PathValue("provider"))
}

func (s *Server) attempt(r *http.Request) signin.Attempt {
	return signin.Attempt{IP: webkit.Address(r), Agent: r.UserAgent(), Request: webkit.RequestID(r.Context()), Reprove: webkit.ReadSession(r, s.Secure)}
}

// browserCookie binds what was begun to this browser (RFC 9700 §4.7.1). It lives as
// long as the browser is open and is the same for all its tabs. Lax: the way back is
// a link from another site.
func (s *Server) browserCookie() string {
	if s.Secure {
		return "__Host-curfew-upstream"
	}
	return "curfew-upstream"
}

// browser is this browser's value of the cookie, or "".
func (s *Server) browser(r *http.Request) string {
	if c, err := r.Cookie(s.browserCookie()); err == nil && len(c.Value) == len(rand.Text()) {
		return c.Value
	}
	return ""
}

// ensure is browser, and gives it a value if it has none.
func (s *Server) ensure(w http.ResponseWriter, r *http.Request) string {
	v := s.browser(r)
	if v == "" {
		v = rand.Text()
		http.SetCookie(w, &http.Cookie{Name: s.browserCookie(), Value: v, Path: "/", HttpOnly: true, Secure: s.Secure, SameSite: http.SameSiteLaxMode})
	}
	return v
}

// session is who is signed in in this browser; nil: nobody.
func (s *Server) session(r *http.Request) (*signin.Signed, error) {
	return webkit.Visitor(r, s.SignIn, s.Secure, nil)
}

// postStart begins a sign-in. Who has a session here and signs in all the same was
// asked to prove who they are once more, and so is whoever an application sent for
// that: a session of the provider's will not do.
func (s *Server) postStart(w http.ResponseWriter, r *http.Request) {
	form, err := webkit.ParseForm(w, r)
	if err != nil {
		s.fail(w, r, "", err)
		return
	}
	signed, err := s.session(r)
	if err != nil {
		s.fail(w, r, "", err)
		return
	}
	next := s.Next(form.Get("flow"))
	if err := s.Admit(webkit.Address(r)); err != nil {
		s.fail(w, r, next, err)
		return
	}
	to, err := s.Federate.Begin(r.Context(), federate.Begin{Provider: provider(r), Browser: s.ensure(w, r), Next: next, Fresh: signed != nil || asksAgain(next)})
	if err != nil {
		s.fail(w, r, next, err)
		return
	}
	goTo(w, to)
}

// asksAgain reports whether an authorization request of ours wants a fresh sign-in.
// One that was pushed or posted does not show it; then its own endpoint asks again.
func asksAgain(next string) bool {
	u, err := url.Parse(next)
	if err != nil {
		return false
	}
	q := u.Query()
	return strings.Contains(q.Get("prompt"), "login") || q.Has("max_age")
}

// getCallback is where a provider sends people back to.
func (s *Server) getCallback(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead { // who only looks must not use the answer up
		w.Header().Set("Allow", http.MethodGet)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	q, err := webkit.ParseQuery(r)
	if err != nil {
		s.fail(w, r, "", err)
		return
	}
	done, err := s.Federate.Finish(r.Context(), federate.Answer{Provider: provider(r), State: q.Get("state"), Code: q.Get("code"), Error: q.Get("error"), Issuer: q.Get("iss"),
		Browser: s.browser(r), Attempt: s.attempt(r)})
	switch {
	case err != nil:
		s.fail(w, r, done.Next, err)
	case done.Again != "":
		goTo(w, done.Again)
	case done.Linked != nil:
		goTo(w, identities+"?done=linked")
	default:
		if done.Signed.Cookie != "" {
			webkit.SetSession(w, s.Secure, done.Signed.Cookie, 0)
		}
		goTo(w, s.Onwards(r.Context(), done.Next, done.Signed, done.Fresh))
	}
}

// postLogout takes a logout token (Back-Channel Logout 1.0 §2.5, §2.8).
func (s *Server) postLogout(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		s.tell(w, http.StatusMethodNotAllowed, "This address takes POST.")
		return
	}
	form, err := webkit.ParseForm(w, r)
	if err == nil && form.Get("logout_token") == "" {
		err = fault.New(fault.Invalid, "The parameter logout_token is missing.")
	}
	if err == nil {
		_, err = s.Federate.Logout(r.Context(), provider(r), form.Get("logout_token"), webkit.Address(r), webkit.RequestID(r.Context()))
	}
	switch fault.KindOf(err) {
	case fault.Internal:
		if err == nil {
			w.WriteHeader(http.StatusOK)
			return
		}
		s.log(r, err)
		s.tell(w, http.StatusInternalServerError, fault.Public(err))
	case fault.Unavailable:
		w.Header().Set("Retry-After", "5")
		s.tell(w, http.StatusServiceUnavailable, fault.Public(err))
	default:
		s.tell(w, http.StatusBadRequest, fault.Public(err))
	}
}

func (s *Server) log(r *http.Request, err error) {
	if s.Log != nil && r.Context().Err() == nil {
		s.Log.ErrorContext(r.Context(), "federation", "error", err, "request", webkit.RequestID(r.Context()))
	}
}

// goTo sends the browser on with a GET.
func goTo(w http.ResponseWriter, to string) {
	h := w.Header()
	h.Set("Location", to)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusSeeOther)
}
