package account

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/curfew-id/curfew/internal/factor"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/web/pages"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// beginEntry begins a sign-in by passkey alone, of whoever it is.
func (s *Server) beginEntry(w http.ResponseWriter, r *http.Request) {
	browser := s.read(r, browserCookie)
	if browser == "" {
		browser = rand.Text()
		s.set(w, browserCookie, browser, 0)
	}
	c, err := s.Factor.BeginPasskeySignIn(r.Context(), browser, webkit.Address(r))
	s.tell(w, r, c, err)
}

func (s *Server) getEntry(w http.ResponseWriter, r *http.Request) {
	next, err := s.NextOf(r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	s.askEntry(w, r, http.StatusOK, next, "")
}

// postEntry takes what the passkey answered.
func (s *Server) postEntry(w http.ResponseWriter, r *http.Request) {
	form, err := webkit.ParseForm(w, r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	next := s.Next(form.Get("flow"))
	if form.Get("response") == "" {
		s.askEntry(w, r, http.StatusUnprocessableEntity, next, needsScript)
		return
	}
	signed, err := s.Factor.PasskeySignIn(r.Context(), form.Get("ticket"), s.read(r, browserCookie), []byte(form.Get("response")), s.Attempt(r))
	switch {
	case err == nil:
		s.SignedIn(w, r, next, signed)
	case errors.Is(err, factor.ErrPasskey), fault.Is(err, fault.Revoked), fault.Is(err, fault.Denied), fault.Is(err, fault.Limited):
		if fault.Is(err, fault.Limited) {
			w.Header().Set("Retry-After", s.RetryAfter(err))
		}
		s.askEntry(w, r, pages.FormStatus(err), next, sentence(err))
	default:
		s.Fail(w, r, err)
	}
}

func (s *Server) askEntry(w http.ResponseWriter, r *http.Request, status int, next, problem string) {
	webkit.FormMayLeave(w)
	pages.Show(s.Server, w, r, entryPage, status, Entry{Flow: s.FlowTo(r, "Sign in with a passkey", "/signin/passkey", next), App: s.AppOf(r, next), Error: problem, BackURL: back(next)})
}

// back is the address of the sign-in page.
func back(next string) string {
	if next == "" {
		return "/signin"
	}
	return pages.SignInAt(next)
}

func (s *Server) getPass(w http.ResponseWriter, r *http.Request) {
	next, err := s.NextOf(r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	s.askPass(w, r, http.StatusOK, next, Pass{})
}

func (s *Server) askPass(w http.ResponseWriter, r *http.Request, status int, next string, v Pass) {
	v.Flow, v.App, v.BackURL = s.FlowTo(r, "Use a temporary access pass", "/signin/pass", next), s.AppOf(r, next), back(next)
	webkit.FormMayLeave(w)
	pages.Show(s.Server, w, r, passPage, status, v)
}

// postPass signs in with a temporary access pass, which stands for both factors.
func (s *Server) postPass(w http.ResponseWriter, r *http.Request) {
	form, err := webkit.ParseForm(w, r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	next := s.Next(form.Get("flow"))
	a := s.Attempt(r)
	a.Username, a.Password = form.Get("username"), form.Get("pass")
	signed, err := s.Factor.PassSignIn(r.Context(), a)
	v := Pass{UserName: a.Username}
	var many *signin.TooMany
	switch {
	case err == nil:
		s.SignedIn(w, r, next, signed)
		return
	case errors.As(err, &many):
		v.Until = many.Until.In(s.Now().Location())
		w.Header().Set("Retry-After", s.RetryAfter(err))
	case errors.Is(err, signin.ErrPair), fault.Is(err, fault.Revoked):
		v.Error = sentence(err)
	default:
		s.Fail(w, r, err)
		return
	}
	s.askPass(w, r, pages.FormStatus(err), next, v)
}

// sentence is what a fault says to the person, as beside a field.
func sentence(err error) string { return strings.TrimSuffix(fault.Public(err), ".") }

// tell answers the script: what to ask a passkey with, or one sentence. Internal
// errors go the way of pages, where they are logged.
func (s *Server) tell(w http.ResponseWriter, r *http.Request, c *factor.Ceremony, err error) {
	if fault.KindOf(err) == fault.Internal && err != nil {
		s.Fail(w, r, err)
		return
	}
	var body any
	status := http.StatusOK
	if err != nil {
		status = webkit.StatusOf(err)
		body = struct {
			Error string `json:"error"`
		}{fault.Public(err)}
	} else {
		body = struct {
			Ticket  string          `json:"ticket"`
			Options json.RawMessage `json:"options"`
		}{c.Ticket, c.Options}
	}
	b, err := json.Marshal(body)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(b) // who does not read it asks again
}

// prove sends somebody to prove who they are before they change their methods, to come
// back to next; false: that is not what is missing.
func prove(w http.ResponseWriter, err error, next string) bool {
	p := (*factor.Prove)(nil)
	if !errors.As(err, &p) {
		return false
	}
	if p.Second {
		pages.GoTo(w, pages.SecondAt(next))
	} else {
		pages.GoTo(w, "/signin?prompt=login&next="+url.QueryEscape(next))
	}
	return true
}
