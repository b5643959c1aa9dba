package pages

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// askSignIn shows the sign-in page on the way to an application.
func (s *Server) askSignIn(w http.ResponseWriter, r *http.Request, x *request) {
	name := x.loginHint
	if name == "" && x.hint != nil {
		name = x.hint.Username
	}
	s.showSignIn(w, r, http.StatusOK, &step{Next: x.next}, x.app.Name, SignIn{UserName: name})
}

// showSignIn shows the sign-in page. v says what is special this time.
func (s *Server) showSignIn(w http.ResponseWriter, r *http.Request, status int, f *step, app string, v SignIn) {
	webkit.FormMayLeave(w)
	v.Flow, v.App, v.KeepLife = s.flow(r, "Sign in", "/signin", f), app, s.Issue.Lifetimes.SessionKept
	if s.Factors {
		to := ""
		if f.Next != "" {
			to = "?next=" + url.QueryEscape(f.Next)
		}
		v.PasskeyURL, v.PassURL = "/signin/passkey"+to, "/signin/pass"+to
	}
	if s.SignIn.Mail != nil {
		v.ForgotURL = "/forgot"
	}
	if s.Ways != nil {
		var err error
		if v.Ways, err = s.Ways(r.Context()); err != nil {
			s.Fail(w, r, err)
			return
		}
	}
	Show(s, w, r, signInPage, status, v)
}

// AppOf names the application that an address to come back to belongs to.
func (s *Server) AppOf(r *http.Request, next string) string {
	_, raw, ok := strings.Cut(next, "/authorize?")
	if !ok {
		return ""
	}
	r2 := r.Clone(r.Context())
	r2.URL.RawQuery = raw
	q, _, _, err := s.read(r.Context(), r2)
	if err != nil {
		return ""
	}
	app, err := s.Issue.App(r.Context(), appID(q))
	if err != nil {
		return ""
	}
	return app.Name
}

// getSignIn is for who comes without an application: from the portal, the device
// page, a bookmark. With prompt=login it asks somebody who is signed in, too.
func (s *Server) getSignIn(w http.ResponseWriter, r *http.Request) {
	q, err := webkit.ParseQuery(r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	next, err := s.NextOf(r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	signed, err := s.Session(r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	v := SignIn{}
	if signed != nil {
		if q.Get("prompt") != "login" {
			if next == "" {
				next = s.home(signed)
			}
			GoTo(w, next)
			return
		}
		v.UserName = signed.User.Name
	}
	s.showSignIn(w, r, http.StatusOK, &step{Next: next}, s.AppOf(r, next), v)
}

func (s *Server) postSignIn(w http.ResponseWriter, r *http.Request) {
	form, err := webkit.ParseForm(w, r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	f := s.openFlow(form.Get("flow"))
	a := s.Attempt(r)
	a.Username, a.Password, a.Keep = form.Get("username"), form.Get("password"), form.Has("kmsi")
	signed, must, err := s.SignIn.Password(r.Context(), a)
	if err != nil {
		s.signInFailed(w, r, &step{Next: f.Next}, a, err)
		return
	}
	if must != nil {
		s.askMustChange(w, r, http.StatusOK, &step{Next: f.Next, Ticket: must.Ticket, User: a.Username, Keep: a.Keep}, ChangePassword{})
		return
	}
	s.SignedIn(w, r, f.Next, signed)
}

// SignedIn hands out the cookie and sends the browser on.
func (s *Server) SignedIn(w http.ResponseWriter, r *http.Request, next string, signed *signin.Signed) {
	if signed.Cookie != "" {
		s.SetCookie(w, signed.Cookie, signed.Session.Kept)
	}
	to := s.Onwards(next, signed, true)
	if s.Known != nil {
		to = s.Known(r, to)
	}
	GoTo(w, to)
}

// signInFailed shows the page again. A wrong name and a wrong password read the
// same; what is wrong with an account is told only to who knew its password.
func (s *Server) signInFailed(w http.ResponseWriter, r *http.Request, f *step, a signin.Attempt, err error) {
	v := SignIn{UserName: a.Username, Keep: a.Keep}
	status := http.StatusUnprocessableEntity
	var many *signin.TooMany
	switch kind := fault.KindOf(err); {
	case errors.Is(err, signin.ErrPair):
		v.Wrong = true
	case errors.As(err, &many):
		status, v.ThrottledUntil = http.StatusTooManyRequests, many.Until.In(s.Now().Location())
		w.Header().Set("Retry-After", s.RetryAfter(err))
	case kind == fault.Limited:
		status, v.Other = http.StatusTooManyRequests, fault.Public(err)
		w.Header().Set("Retry-After", s.RetryAfter(err))
	case kind == fault.Revoked:
		status, v.Other = http.StatusForbidden, fault.Public(err)
	case kind == fault.Invalid:
		v.Other = fault.Public(err)
	default:
		s.Fail(w, r, err)
		return
	}
	s.showSignIn(w, r, status, f, s.AppOf(r, f.Next), v)
}

// askMustChange shows the page for a password that has to be changed before
// anything else.
func (s *Server) askMustChange(w http.ResponseWriter, r *http.Request, status int, f *step, v ChangePassword) {
	webkit.FormMayLeave(w)
	v.Flow, v.UserName, v.Forced, v.MinLength = s.flow(r, "Change password", "/signin/password", f), f.User, true, signin.MinPassword
	Show(s, w, r, ChangePasswordPage, status, v)
}

// FormStatus is the status of a form that comes back. Not 401: there is no header
// by which a browser could answer that.
func FormStatus(err error) int {
	if fault.Is(err, fault.Limited) {
		return http.StatusTooManyRequests
	}
	return http.StatusUnprocessableEntity
}

// NotTheSame is what stands beside a password that was repeated wrongly.
const NotTheSame = "The two are not the same"

func (s *Server) postMustChange(w http.ResponseWriter, r *http.Request) {
	form, err := webkit.ParseForm(w, r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	f := s.openFlow(form.Get("flow"))
	a := s.Attempt(r)
	a.Username, a.Keep = f.User, f.Keep
	if form.Get("password") != form.Get("password2") {
		s.askMustChange(w, r, http.StatusUnprocessableEntity, &f, ChangePassword{RepeatError: NotTheSame})
		return
	}
	signed, err := s.SignIn.FinishChange(r.Context(), f.Ticket, form.Get("password"), a)
	switch {
	case err == nil:
		s.SignedIn(w, r, f.Next, signed)
	case errors.Is(err, signin.ErrNew), fault.Is(err, fault.Limited):
		s.askMustChange(w, r, FormStatus(err), &f, ChangePassword{NewError: strings.TrimSuffix(fault.Public(err), ".")})
	default:
		s.signInFailed(w, r, &step{Next: f.Next}, a, err)
	}
}

// askChoice shows the account that is signed in here, and the way to another.
func (s *Server) askChoice(w http.ResponseWriter, r *http.Request, next, app string, signed *signin.Signed) {
	webkit.FormMayLeave(w)
	Show(s, w, r, choosePage, http.StatusOK, Choose{Flow: s.flow(r, "Which account?", "/choose", &step{Next: next}), App: app,
		Accounts: []ChooseRow{{Value: signed.Session.ID.String(), DisplayName: signed.User.DisplayName, UserName: signed.User.Name, SignedIn: true}}})
}

func (s *Server) getChoose(w http.ResponseWriter, r *http.Request) {
	next, err := s.NextOf(r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	signed, err := s.Session(r)
	switch {
	case err != nil:
		s.Fail(w, r, err)
	case signed == nil:
		s.showSignIn(w, r, http.StatusOK, &step{Next: next}, s.AppOf(r, next), SignIn{})
	default:
		s.askChoice(w, r, next, s.AppOf(r, next), signed)
	}
}

func (s *Server) postChoose(w http.ResponseWriter, r *http.Request) {
	form, err := webkit.ParseForm(w, r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	f := s.openFlow(form.Get("flow"))
	signed, err := s.Session(r)
	switch {
	case err != nil:
		s.Fail(w, r, err)
	case signed == nil || form.Get("account") == "other":
		s.showSignIn(w, r, http.StatusOK, &step{Next: f.Next}, s.AppOf(r, f.Next), SignIn{})
	case form.Get("account") == signed.Session.ID.String():
		GoTo(w, s.Onwards(f.Next, signed, false))
	default: // the page is older than the session
		s.askChoice(w, r, f.Next, s.AppOf(r, f.Next), signed)
	}
}
