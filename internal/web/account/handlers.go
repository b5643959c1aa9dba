package account

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/curfew-id/curfew/internal/device"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/factor"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/web/pages"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Server serves the pages of somebody's own account and those of second factors, in
// the frame and with the verbs of the pages that everybody sees.
type Server struct {
	*pages.Server
	Factor *factor.Service
	Device *device.Service // nil: browsers are not registered
}

// Register adds the routes to the mux that the pages are on.
func (s *Server) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /account", s.getAccount)
	mux.HandleFunc("GET /account/password", s.getPassword)
	mux.HandleFunc("POST /account/password", s.postPassword)
	mux.HandleFunc("POST /account/everywhere", s.postEverywhere)
	mux.HandleFunc("POST /account/sessions/{id}/end", s.postEndSession)
	mux.HandleFunc("POST /account/grants/{id}/remove", s.postRemoveGrant)
	mux.HandleFunc("POST /account/theme", s.postTheme)
	if s.Device != nil {
		mux.HandleFunc("POST "+devicesAt+"/{id}/lost", s.endDevice(s.Device.ReportLost, "Reported lost from the own account", "lost"))
		mux.HandleFunc("POST "+devicesAt+"/{id}/delete", s.endDevice(s.Device.Delete, "Deleted from the own account", "forgotten"))
	}

	mux.HandleFunc("GET /account/methods", s.getMethods)
	mux.HandleFunc("POST /account/methods/app/begin", s.postBeginApp)
	mux.HandleFunc("POST /account/methods/app", s.postApp)
	mux.HandleFunc("GET /account/methods/passkey", s.getPasskey)
	mux.HandleFunc("POST /account/methods/passkey/begin", s.beginPasskey)
	mux.HandleFunc("POST /account/methods/passkey", s.postPasskey)
	mux.HandleFunc("GET /account/methods/codes", s.getCodes)
	mux.HandleFunc("POST /account/methods/codes", s.postCodes)
	mux.HandleFunc("GET /account/methods/{id}", s.getMethod)
	mux.HandleFunc("POST /account/methods/{id}/name", s.postName)
	mux.HandleFunc("POST /account/methods/{id}/remove", s.postRemove)

	mux.HandleFunc("GET /signin/second", s.getSecond)
	mux.HandleFunc("POST /signin/second", s.postSecond)
	mux.HandleFunc("POST /signin/second/passkey/begin", s.beginSecond)
	mux.HandleFunc("POST /signin/second/passkey", s.postSecondPasskey)
	mux.HandleFunc("GET /signin/terms", s.getTerms)
	mux.HandleFunc("POST /signin/terms", s.postTerms)
	mux.HandleFunc("GET /signin/passkey", s.getEntry)
	mux.HandleFunc("POST /signin/passkey/begin", s.beginEntry)
	mux.HandleFunc("POST /signin/passkey", s.postEntry)
	mux.HandleFunc("GET /signin/pass", s.getPass)
	mux.HandleFunc("POST /signin/pass", s.postPass)
	s.registerReset(mux)
}

// done are the sentences about what was just done, by the word in the address.
var done = map[string]string{
	"elsewhere": "Every other browser and application of yours was signed out.",
	"password":  "The password was changed. Every other browser and application of yours was signed out.",
	"session":   "The session was ended.",
	"grant":     "The application's access was taken back.",
	"nothing":   "That was over already.",
	"added":     "It was added. You can prove who you are with it from now on.",
	"renamed":   "It has the new name.",
	"removed":   "It was removed. Every other browser and application of yours was signed out.",
	"lost":      "The device is disabled, and what was on it has ended.",
	"forgotten": "The device was deleted, and what was on it has ended.",
}

func (s *Server) getAccount(w http.ResponseWriter, r *http.Request) {
	q, err := webkit.ParseQuery(r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	signed := s.Owner(w, r, "/account", webkit.ToAccount)
	if signed == nil {
		return
	}
	x, err := s.Relay.Exposure(r.Context(), signed.Actor, signed.User.ID)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	v := Account{Frame: s.Frame(r, "My account"), DisplayName: signed.User.DisplayName, UserName: signed.User.Name, EverywhereAction: "/account/everywhere",
		PasswordURL: "/account/password", IdentitiesURL: "/account/identities", SignOutURL: "/signout", ThemeAction: "/account/theme", Done: done[q.Get("done")], Ended: s.ended(r, signed.Actor, q.Get("receipt"))}
	sheet, err := s.Factor.Own(r.Context(), signed)
	if err != nil {
		s.notProven(w, r, "/account", err)
		return
	}
	v.MethodsURL = methodsAt
	for _, m := range sheet.Methods {
		v.Methods = append(v.Methods, kindWords[m.Kind])
	}
	v.Methods = slices.Compact(slices.Sorted(slices.Values(v.Methods)))
	if v.Devices, err = s.devices(r.Context(), signed); err != nil {
		s.Fail(w, r, err)
		return
	}
	if len(signed.Held.Roles) > 0 {
		v.PortalURL = s.Portal
	}
	for _, one := range x.Sessions {
		own := OwnSession{Device: one.Agent, Kind: kindOf(one.Agent), Address: one.IP, Born: one.Created.In(s.Now().Location()), LastUsed: one.LastUsed.In(s.Now().Location()), Current: one.ID == signed.Session.ID}
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
		v.Grants = append(v.Grants, OwnGrant{App: name, Since: g.Created.In(s.Now().Location()), Used: g.LastUsed.In(s.Now().Location()), RemoveAction: "/account/grants/" + g.ID.String() + "/remove"})
	}
	pages.Show(s.Server, w, r, accountPage, http.StatusOK, v)
}

// prover is somebody who comes to what the account is proven by; otherwise it answers.
func (s *Server) prover(w http.ResponseWriter, r *http.Request, next string) *signin.Signed {
	return s.Owner(w, r, next, webkit.ToProofs)
}

// proverOf is prover for the script, which is told instead of sent somewhere.
func (s *Server) proverOf(r *http.Request) (*signin.Signed, error) {
	return webkit.Visitor(r, s.SignIn, s.Secure(), webkit.ToProofs)
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
		s.Fail(w, r, err)
		return
	}
	signed := s.Owner(w, r, "/account", nil)
	if signed == nil {
		return
	}
	o := revoke.Options{Reason: "Signed out everywhere from the own account"}
	if form.Has("keep") {
		o.KeepSession = signed.Session.ID
	}
	res, err := s.Revoke.User(r.Context(), signed.Actor, signed.User.ID, o)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	if res.Cookie == "" {
		s.ClearCookie(w)
		var e *Ended
		if res.Receipt != nil {
			e = s.ended(r, signed.Actor, res.Receipt.ID)
		}
		s.showEnded(w, r, e)
		return
	}
	to := "/account?done=elsewhere"
	if res.Receipt != nil {
		to = "/account?receipt=" + url.QueryEscape(res.Receipt.ID)
	}
	s.SetCookie(w, res.Cookie, signed.Session.Kept)
	pages.GoTo(w, to)
}

func (s *Server) postEndSession(w http.ResponseWriter, r *http.Request) {
	id, err := directory.ParseID[directory.Session](r.PathValue("id"))
	if err != nil {
		s.Fail(w, r, fault.New(fault.NotFound, "There is no such session."))
		return
	}
	signed := s.Owner(w, r, "/account", nil)
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
		s.Fail(w, r, fault.New(fault.NotFound, "There is no such application."))
		return
	}
	signed := s.Owner(w, r, "/account", nil)
	if signed == nil {
		return
	}
	x, err := s.Relay.Exposure(r.Context(), signed.Actor, signed.User.ID)
	if err != nil {
		s.Fail(w, r, err)
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
	pages.GoTo(w, "/account?done=nothing")
}

func (s *Server) afterEnding(w http.ResponseWriter, r *http.Request, what string, already bool, err error) {
	switch {
	case err != nil:
		s.Fail(w, r, err)
	case already:
		pages.GoTo(w, "/account?done=nothing")
	default:
		pages.GoTo(w, "/account?done="+what)
	}
}

func (s *Server) postTheme(w http.ResponseWriter, r *http.Request) {
	form, err := webkit.ParseForm(w, r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	webkit.SetTheme(w, webkit.ParseTheme(form.Get("theme")), s.Secure())
	pages.GoTo(w, "/account")
}

func (s *Server) getPassword(w http.ResponseWriter, r *http.Request) {
	next, err := s.NextOf(r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	if signed := s.Owner(w, r, "/account/password", webkit.ToProofs); signed != nil {
		s.askPassword(w, r, http.StatusOK, signed, next, pages.ChangePassword{})
	}
}

func (s *Server) askPassword(w http.ResponseWriter, r *http.Request, status int, signed *signin.Signed, next string, v pages.ChangePassword) {
	v.Flow, v.UserName, v.MinLength = s.FlowTo(r, "Change password", "/account/password", next), signed.User.Name, signin.MinPassword
	if next != "" {
		webkit.FormMayLeave(w)
	}
	v.CancelURL, v.Consequence = "/account", "Every other browser and application of yours is signed out at once."
	pages.Show(s.Server, w, r, pages.ChangePasswordPage, status, v)
}

func (s *Server) postPassword(w http.ResponseWriter, r *http.Request) {
	form, err := webkit.ParseForm(w, r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	next := s.Next(form.Get("flow"))
	signed := s.Owner(w, r, "/account/password", webkit.ToProofs)
	if signed == nil {
		return
	}
	if form.Get("password") != form.Get("password2") {
		s.askPassword(w, r, http.StatusUnprocessableEntity, signed, next, pages.ChangePassword{RepeatError: pages.NotTheSame})
		return
	}
	kept := signed.Session.Kept
	cookie, _, err := s.SignIn.ChangePassword(r.Context(), signed, form.Get("current"), form.Get("password"))
	text := strings.TrimSuffix(fault.Public(err), ".")
	switch {
	case err == nil && cookie == "": // cut by something else meanwhile
		s.ClearCookie(w)
		pages.GoTo(w, pages.SignInAt("/account"))
	case err == nil:
		s.SetCookie(w, cookie, kept)
		if next == "" {
			next = "/account?done=password"
		}
		pages.GoTo(w, next)
	case fault.Is(err, fault.Limited):
		w.Header().Set("Retry-After", s.RetryAfter(err))
		fallthrough
	case errors.Is(err, signin.ErrCurrent):
		s.askPassword(w, r, pages.FormStatus(err), signed, next, pages.ChangePassword{CurrentError: text})
	case errors.Is(err, signin.ErrNew):
		s.askPassword(w, r, pages.FormStatus(err), signed, next, pages.ChangePassword{NewError: text})
	default:
		s.Fail(w, r, err)
	}
}
