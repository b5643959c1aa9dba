package pages

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// leave is an application's request to sign out (OpenID Connect RP-Initiated
// Logout 1.0 §2).
type leave struct {
	next string
	app  *directory.App // nil: nobody says which
	hint *issue.IDToken // nil: none
	to   string         // where to go then, checked; empty: nowhere
}

// logout is the end_session_endpoint. On any error nobody is sent anywhere.
func (s *Server) logout(w http.ResponseWriter, r *http.Request, _ grant.Issuer) {
	switch r.Method {
	case http.MethodGet:
		q, next, _, err := s.read(r.Context(), r)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		x, err := s.parseLogout(r, next, q)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		s.goOut(w, r, x, nil)
	case http.MethodPost:
		q, err := s.readPosted(w, r)
		if err == nil {
			_, err = s.parseLogout(r, "", q)
		}
		to := ""
		if err == nil {
			to, err = s.park(r.Context(), r, q)
		}
		if err != nil {
			s.fail(w, r, err)
			return
		}
		goTo(w, to)
	default:
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "This address takes GET and POST.", http.StatusMethodNotAllowed)
	}
}

func (s *Server) parseLogout(r *http.Request, next string, q url.Values) (*leave, error) {
	x := &leave{next: next}
	var p [4]string
	for i, name := range []string{"id_token_hint", "client_id", "post_logout_redirect_uri", "state"} {
		v, err := one(q, name)
		if err != nil {
			return nil, err
		}
		p[i] = v
	}
	hint, id, to, state := p[0], p[1], p[2], p[3]
	if len(state) > maxState {
		return nil, badRequest("The parameter state is longer than 8 KiB.")
	}
	if hint != "" {
		t, err := s.Issue.Hint(hint)
		if err != nil {
			return nil, err
		}
		if id != "" && id != t.Audience {
			return nil, badRequest("The client_id is not the one that the id_token_hint was made for.")
		}
		x.hint, id = t, t.Audience
	}
	if id != "" {
		app, err := s.Issue.App(r.Context(), directory.AppID(id))
		if err != nil {
			return nil, err
		}
		x.app = app
	}
	if to == "" {
		return x, nil
	}
	if x.app == nil {
		return nil, badRequest("With post_logout_redirect_uri the application must say which one it is: by id_token_hint or client_id.")
	}
	if !x.app.MatchPostLogout(to) {
		return nil, refuse(fault.Invalid, "invalid_request", 50011, "The address to return to after signing out is not one that is registered for "+x.app.Name+".")
	}
	x.to = to
	if q.Has("state") {
		sep := "?"
		if strings.Contains(to, "?") {
			sep = "&"
		}
		x.to += sep + "state=" + url.QueryEscape(state)
	}
	return x, nil
}

// goOut signs out, or asks first. Without asking it does so only on an ID token of
// this very session, which other sites do not have.
func (s *Server) goOut(w http.ResponseWriter, r *http.Request, x *leave, decision *step) {
	signed, err := s.session(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if signed == nil { // no error (RP-Initiated Logout §4)
		s.clearCookie(w)
		s.out(w, r, x, nil)
		return
	}
	sid := signed.Session.ID.String()
	known := x.hint != nil && x.hint.SID == sid && x.hint.Subject == signed.User.ID.String()
	decided := decision != nil && decision.Session == sid
	if !known && !decided {
		app := ""
		if x.app != nil {
			app = x.app.Name
		}
		s.askSignOut(w, r, signed, &step{Ticket: x.next, Session: sid}, app)
		return
	}
	if err := s.SignIn.SignOut(r.Context(), s.cookie(r)); err != nil {
		s.fail(w, r, err)
		return
	}
	s.clearCookie(w)
	s.out(w, r, x, decision)
}

// out is where a sign-out ends. An application that has only said its name, and
// nobody to confirm it, gets a link instead of a redirect.
func (s *Server) out(w http.ResponseWriter, r *http.Request, x *leave, decision *step) {
	if x.to != "" && (x.hint != nil || decision != nil) {
		goTo(w, x.to)
		return
	}
	v := Message{Frame: s.frame(r, "Signed out"), Heading: "Signed out", Text: "This browser is signed out of " + s.Domain() + ".",
		Next: webkit.Link{Text: "Sign in again", URL: "/signin"}}
	if x.to != "" && web(x.to) {
		v.Next = webkit.Link{Text: "Back to " + x.app.Name, URL: x.to}
	}
	show(s, w, r, messagePage, http.StatusOK, v)
}

func (s *Server) askSignOut(w http.ResponseWriter, r *http.Request, signed *signin.Signed, f *step, app string) {
	webkit.FormMayLeave(w)
	show(s, w, r, signOutPage, http.StatusOK, SignOut{Flow: s.flow(r, "Sign out?", "/signout", f), DisplayName: signed.User.DisplayName, UserName: signed.User.Name,
		App: app, KeepURL: s.home(signed)})
}

// getSignOut asks before signing out: a link from elsewhere signs nobody out.
func (s *Server) getSignOut(w http.ResponseWriter, r *http.Request) { s.goOut(w, r, &leave{}, nil) }

// postSignOut is the answer of the confirmation page.
func (s *Server) postSignOut(w http.ResponseWriter, r *http.Request) {
	form, err := webkit.ParseForm(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	f := s.openFlow(form.Get("flow"))
	x := &leave{}
	if f.Ticket != "" { // it was under our MAC, and is read again all the same
		pathOf, raw, _ := strings.Cut(f.Ticket, "?")
		r2 := r.Clone(r.Context())
		r2.URL = &url.URL{Path: pathOf, RawQuery: raw}
		q, next, _, err := s.read(r.Context(), r2)
		if err == nil {
			x, err = s.parseLogout(r, next, q)
		}
		if err != nil {
			s.fail(w, r, err)
			return
		}
	}
	if form.Get("decision") != "allow" {
		s.goOut(w, r, x, nil)
		return
	}
	s.goOut(w, r, x, &f)
}
