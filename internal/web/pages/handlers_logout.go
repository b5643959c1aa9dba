package pages

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
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
	next  string
	app   *directory.App // nil: nobody says which
	hint  *issue.IDToken // nil: none
	to    string         // where to go then; registered for app if there is one; empty: nowhere
	state string         // to be appended to it, with its name; empty: none was sent
}

// back is where the person goes then, with the state that was sent.
func (x *leave) back() string {
	if x.state == "" {
		return x.to
	}
	if strings.Contains(x.to, "?") {
		return x.to + "&" + x.state
	}
	return x.to + "?" + x.state
}

// logout is the end_session_endpoint. On any error nobody is sent anywhere.
func (s *Server) logout(w http.ResponseWriter, r *http.Request, _ grant.Issuer) {
	switch r.Method {
	case http.MethodGet:
		q, next, _, err := s.read(r.Context(), r)
		if err != nil {
			s.Fail(w, r, err)
			return
		}
		x, err := s.parseLogout(r, next, q)
		if err != nil {
			s.Fail(w, r, err)
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
			s.Fail(w, r, err)
			return
		}
		GoTo(w, to)
	default:
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "This address takes GET and POST.", http.StatusMethodNotAllowed)
	}
}

func (s *Server) parseLogout(r *http.Request, next string, q url.Values) (*leave, error) {
	x := &leave{next: next}
	var p [6]string
	for i, name := range []string{"id_token_hint", "client_id", "post_logout_redirect_uri", "state", "logout_hint", "ui_locales"} {
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
	if to != "" && x.app != nil && !x.app.MatchPostLogout(to) {
		return nil, refuse(fault.Invalid, "invalid_request", 50011, "The address to return to after signing out is not one that is registered for "+x.app.Name+".")
	}
	if x.to = to; q.Has("state") {
		x.state = "state=" + url.QueryEscape(state)
	}
	return x, nil
}

// goOut signs out, or asks first. Without asking it does so only on an ID token of
// this very session, which other sites do not have.
func (s *Server) goOut(w http.ResponseWriter, r *http.Request, x *leave, decision *step) {
	signed, err := s.Session(r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	if signed == nil { // no error (RP-Initiated Logout §4)
		s.ClearCookie(w)
		s.out(w, r, x, nil, nil)
		return
	}
	parties, err := s.SignIn.Parties(r.Context(), signed.Session.ID)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	sid := signed.Session.ID.String()
	known := x.hint != nil && x.hint.SID == sid && x.hint.Subject == signed.User.ID.String()
	decided := decision != nil && decision.Session == sid
	if !known && !decided {
		s.askSignOut(w, r, signed, &step{Ticket: x.next, Session: sid}, x)
		return
	}
	if x.app == nil && x.to != "" {
		x.app = partyAt(parties, x.to)
	}
	if err := s.SignIn.SignOut(r.Context(), s.cookie(r)); err != nil {
		s.Fail(w, r, err)
		return
	}
	s.ClearCookie(w)
	s.out(w, r, x, decision, s.frames(parties, sid))
}

// partyAt finds who an address to return to belongs to. Microsoft's libraries send
// it and no name; the person has just confirmed, and has used the application in
// this session.
func partyAt(parties []signin.Party, to string) *directory.App {
	for _, p := range parties {
		if p.App.MatchPostLogout(to) {
			return p.App
		}
	}
	return nil
}

// frames are the front-channel logout addresses of a session (OpenID Connect
// Front-Channel Logout 1.0 §3). One that is not at the origin of a redirect URI of
// its application is left out (§2).
func (s *Server) frames(parties []signin.Party, sid string) (all []logoutFrame) {
	for _, p := range parties {
		u, err := url.Parse(p.App.FrontChannelLogoutURI)
		if err != nil || u.Fragment != "" || u.User != nil || !originForm.MatchString(originOf(u)) {
			continue
		}
		if !slices.ContainsFunc(slices.Concat(p.App.RedirectURIs, p.App.SPARedirectURIs), func(uri string) bool {
			r, err := url.Parse(uri)
			return err == nil && originOf(r) == originOf(u)
		}) {
			continue
		}
		f := logoutFrame{origin: originOf(u), LogoutFrame: LogoutFrame{App: p.App.Name}}
		if p.App.FrontChannelSession {
			add := url.Values{"iss": {s.Issue.Issuer(p.Issuer)}, "sid": {sid}}.Encode()
			u.RawQuery = strings.TrimPrefix(u.RawQuery+"&"+add, "&")
		}
		f.URL = u.String()
		if !slices.Contains(all, f) {
			all = append(all, f)
		}
	}
	return all
}

type logoutFrame struct {
	LogoutFrame
	origin string
}

func originOf(u *url.URL) string { return u.Scheme + "://" + u.Host }

// originForm is what may stand in a Content-Security-Policy.
var originForm = regexp.MustCompile(`^(https://[A-Za-z0-9.-]+|http://(localhost|127\.0\.0\.1|\[::1\]))(:[0-9]+)?$`)

// out is where a sign-out ends. An application that has only said its name, and
// nobody to confirm it, gets a link instead of a redirect. With frames the page is
// shown for a moment, for they are to be loaded; then it goes on by itself.
func (s *Server) out(w http.ResponseWriter, r *http.Request, x *leave, decision *step, frames []logoutFrame) {
	to := ""
	if x.app != nil && x.to != "" {
		to = x.back()
	}
	goes := to != "" && (x.hint != nil || decision != nil)
	if goes && len(frames) == 0 {
		GoTo(w, to)
		return
	}
	v := SignedOut{Message: Message{Frame: s.Frame(r, "Signed out"), Heading: "Signed out", Text: "This browser is signed out of " + s.Domain() + ".",
		Next: webkit.Link{Text: "Sign in again", URL: "/signin"}}}
	if web(to) {
		v.Next = webkit.Link{Text: "Back to " + x.app.Name, URL: to}
	}
	var origins []string
	for _, f := range frames {
		v.Frames = append(v.Frames, f.LogoutFrame)
		origins = append(origins, f.origin)
	}
	if len(frames) > 0 {
		webkit.FramesFrom(w, slices.Compact(slices.Sorted(slices.Values(origins))))
	}
	if goes {
		w.Header().Set("Refresh", "2; url="+to)
	}
	Show(s, w, r, signedOutPage, http.StatusOK, v)
}

func (s *Server) askSignOut(w http.ResponseWriter, r *http.Request, signed *signin.Signed, f *step, x *leave) {
	v := SignOut{Flow: s.flow(r, "Sign out?", "/signout", f), DisplayName: signed.User.DisplayName, UserName: signed.User.Name, KeepURL: s.home(signed)}
	if x.app != nil {
		v.App = x.app.Name
	}
	webkit.FormMayLeave(w)
	Show(s, w, r, signOutPage, http.StatusOK, v)
}

// getSignOut asks before signing out: a link from elsewhere signs nobody out.
func (s *Server) getSignOut(w http.ResponseWriter, r *http.Request) { s.goOut(w, r, &leave{}, nil) }

// postSignOut is the answer of the confirmation page.
func (s *Server) postSignOut(w http.ResponseWriter, r *http.Request) {
	form, err := webkit.ParseForm(w, r)
	if err != nil {
		s.Fail(w, r, err)
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
			s.Fail(w, r, err)
			return
		}
	}
	if form.Get("decision") != "allow" {
		s.goOut(w, r, x, nil)
		return
	}
	s.goOut(w, r, x, &f)
}
