package pages

import (
	"errors"
	"net/http"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// owner returns whose account it is, or sends the browser to sign in.
func (s *Server) owner(w http.ResponseWriter, r *http.Request, next string) *signin.Signed {
	signed, err := s.session(r)
	if err != nil {
		s.fail(w, r, err)
		return nil
	}
	if signed == nil {
		goTo(w, signInAt(next))
	}
	return signed
}

// done are the sentences about what was just done, by the word in the address.
var done = map[string]string{
	"elsewhere": "Every other browser and application of yours was signed out.",
	"password":  "The password was changed. Every other browser and application of yours was signed out.",
	"session":   "The session was ended.",
	"grant":     "The application's access was taken back.",
	"nothing":   "That was over already.",
}

func (s *Server) getAccount(w http.ResponseWriter, r *http.Request) {
	q, err := webkit.ParseQuery(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	signed := s.owner(w, r, "/account")
	if signed == nil {
		return
	}
	x, err := s.Relay.Exposure(r.Context(), signed.Actor, signed.User.ID)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v := Account{Frame: s.frame(r, "My account"), DisplayName: signed.User.DisplayName, UserName: signed.User.Name, EverywhereAction: "/account/everywhere",
		PasswordURL: "/account/password", IdentitiesURL: "/account/identities", SignOutURL: "/signout", ThemeAction: "/account/theme", Done: done[q.Get("done")]}
	if len(signed.Held.Roles) > 0 {
		v.PortalURL = s.Portal
	}
	for _, one := range x.Sessions {
		own := OwnSession{Device: one.Agent, Kind: kindOf(one.Agent), Address: one.IP, Born: one.Created.In(s.now().Location()), LastUsed: one.LastUsed.In(s.now().Location()), Current: one.ID == signed.Session.ID}
		if !own.Current {
			own.EndAction = "/account/sessions/" + one.ID.String() + "/end"
		}
		v.Sessions = append(v.Sessions, own)
	}
	for _, g := range x.Grants {
		name := g.AppName
		if name == "" {
			name = string(g.App)
		}
		v.Grants = append(v.Grants, OwnGrant{App: name, Since: g.Created.In(s.now().Location()), Used: g.LastUsed.In(s.now().Location()), RemoveAction: "/account/grants/" + g.ID.String() + "/remove"})
	}
	show(s, w, r, accountPage, http.StatusOK, v)
}

func kindOf(agent string) string {
	switch {
	case strings.Contains(agent, "iPhone"), strings.Contains(agent, "Android"), strings.Contains(agent, "iPad"):
		return "phone"
	case strings.Contains(agent, " on "):
		return "laptop"
	}
	return "globe"
}

// postEverywhere ends everything the person has, but for this browser if it is to
// stay signed in.
func (s *Server) postEverywhere(w http.ResponseWriter, r *http.Request) {
	form, err := webkit.ParseForm(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	signed := s.owner(w, r, "/account")
	if signed == nil {
		return
	}
	o := revoke.Options{Reason: "Signed out everywhere from the own account"}
	if form.Has("keep") {
		o.KeepSession = signed.Session.ID
	}
	res, err := s.Revoke.User(r.Context(), signed.Actor, signed.User.ID, o)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if res.Cookie == "" {
		s.clearCookie(w)
		show(s, w, r, messagePage, http.StatusOK, Message{Frame: s.frame(r, "Signed out"), Heading: "Signed out everywhere",
			Text: "Every browser and application of yours has to sign in again, this one too.", Next: webkit.Link{Text: "Sign in again", URL: "/signin"}})
		return
	}
	s.setCookie(w, res.Cookie, signed.Session.Kept)
	goTo(w, "/account?done=elsewhere")
}

func (s *Server) postEndSession(w http.ResponseWriter, r *http.Request) {
	id, err := directory.ParseID[directory.Session](r.PathValue("id"))
	if err != nil {
		s.fail(w, r, fault.New(fault.NotFound, "There is no such session."))
		return
	}
	signed := s.owner(w, r, "/account")
	if signed == nil {
		return
	}
	// Whether it is one's own is judged by the verb.
	res, err := s.Revoke.Session(r.Context(), signed.Actor, id, revoke.Options{Reason: "Ended from the own account"})
	s.afterEnding(w, r, "session", res.Already, err)
}

// postRemoveGrant takes an application's access back, and the consent to it, so
// that it has to ask again.
func (s *Server) postRemoveGrant(w http.ResponseWriter, r *http.Request) {
	id, err := directory.ParseID[directory.Grant](r.PathValue("id"))
	if err != nil {
		s.fail(w, r, fault.New(fault.NotFound, "There is no such application."))
		return
	}
	signed := s.owner(w, r, "/account")
	if signed == nil {
		return
	}
	x, err := s.Relay.Exposure(r.Context(), signed.Actor, signed.User.ID)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	for _, g := range x.Grants {
		if g.ID != id {
			continue
		}
		_, err := s.Manage.WithdrawConsent(r.Context(), signed.Actor, signed.User.ID, g.App, manage.Act{Reason: "Taken back from the own account"})
		if fault.Is(err, fault.NotFound) { // it needed none; else the grant ended with the consent
			_, err = s.Revoke.Grant(r.Context(), signed.Actor, id, revoke.Options{Reason: "Taken back from the own account"})
		}
		s.afterEnding(w, r, "grant", false, err)
		return
	}
	goTo(w, "/account?done=nothing")
}

func (s *Server) afterEnding(w http.ResponseWriter, r *http.Request, what string, already bool, err error) {
	switch {
	case err != nil:
		s.fail(w, r, err)
	case already:
		goTo(w, "/account?done=nothing")
	default:
		goTo(w, "/account?done="+what)
	}
}

func (s *Server) postTheme(w http.ResponseWriter, r *http.Request) {
	form, err := webkit.ParseForm(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	webkit.SetTheme(w, webkit.ParseTheme(form.Get("theme")), s.secure())
	goTo(w, "/account")
}

func (s *Server) getPassword(w http.ResponseWriter, r *http.Request) {
	if signed := s.owner(w, r, "/account/password"); signed != nil {
		s.askPassword(w, r, http.StatusOK, signed, ChangePassword{})
	}
}

func (s *Server) askPassword(w http.ResponseWriter, r *http.Request, status int, signed *signin.Signed, v ChangePassword) {
	v.Flow, v.UserName, v.MinLength = s.flow(r, "Change password", "/account/password", nil), signed.User.Name, signin.MinPassword
	v.CancelURL, v.Consequence = "/account", "Every other browser and application of yours is signed out at once."
	show(s, w, r, changePasswordPage, status, v)
}

func (s *Server) postPassword(w http.ResponseWriter, r *http.Request) {
	form, err := webkit.ParseForm(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	signed := s.owner(w, r, "/account/password")
	if signed == nil {
		return
	}
	if form.Get("password") != form.Get("password2") {
		s.askPassword(w, r, http.StatusUnprocessableEntity, signed, ChangePassword{RepeatError: notTheSame})
		return
	}
	kept := signed.Session.Kept
	cookie, _, err := s.SignIn.ChangePassword(r.Context(), signed, form.Get("current"), form.Get("password"))
	text := strings.TrimSuffix(fault.Public(err), ".")
	switch {
	case err == nil && cookie == "": // cut by something else meanwhile
		s.clearCookie(w)
		goTo(w, signInAt("/account"))
	case err == nil:
		s.setCookie(w, cookie, kept)
		goTo(w, "/account?done=password")
	case fault.Is(err, fault.Limited):
		w.Header().Set("Retry-After", s.retryAfter(err))
		fallthrough
	case errors.Is(err, signin.ErrCurrent):
		s.askPassword(w, r, formStatus(err), signed, ChangePassword{CurrentError: text})
	case errors.Is(err, signin.ErrNew):
		s.askPassword(w, r, formStatus(err), signed, ChangePassword{NewError: text})
	default:
		s.fail(w, r, err)
	}
}

// getSetup shows the form of the one-time link. Whether the link is good is judged
// when it is used.
func (s *Server) getSetup(w http.ResponseWriter, r *http.Request) {
	q, err := webkit.ParseQuery(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.askSetup(w, r, http.StatusOK, q.Get("token"), Setup{})
}

func (s *Server) askSetup(w http.ResponseWriter, r *http.Request, status int, token string, v Setup) {
	v.Flow, v.MinLength = Flow{Frame: s.frame(r, "Set up"), Action: "/setup", Flow: token}, signin.MinPassword
	show(s, w, r, setupPage, status, v)
}

func (s *Server) postSetup(w http.ResponseWriter, r *http.Request) {
	form, err := webkit.ParseForm(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	token := form.Get("flow")
	v := Setup{Name: form.Get("name"), UserName: form.Get("username")}
	if form.Get("password") != form.Get("password2") {
		v.RepeatError = notTheSame
		s.askSetup(w, r, http.StatusUnprocessableEntity, token, v)
		return
	}
	a := s.attempt(r)
	signed, err := s.SignIn.SetUp(r.Context(), token, v.UserName, v.Name, form.Get("password"), a)
	text := strings.TrimSuffix(fault.Public(err), ".")
	switch {
	case err == nil:
		s.signedIn(w, "", signed, false)
		return
	case errors.Is(err, signin.ErrName):
		v.UserNameError = text
	case errors.Is(err, signin.ErrNew):
		v.NewError = text
	case fault.Is(err, fault.Invalid):
		v.NameError = text
	default:
		s.fail(w, r, err)
		return
	}
	s.askSetup(w, r, http.StatusUnprocessableEntity, token, v)
}
