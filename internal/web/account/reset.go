package account

import (
	"errors"
	"net/http"
	"strings"

	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/web/pages"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// The pages of a reset by mail. Nobody is signed in on them, nor by them.
func (s *Server) registerReset(mux *http.ServeMux) {
	mux.HandleFunc("GET /forgot", s.getForgot)
	mux.HandleFunc("POST /forgot", s.postForgot)
	mux.HandleFunc("GET /reset", s.getReset)
	mux.HandleFunc("POST /reset", s.postReset)
}

func (s *Server) getForgot(w http.ResponseWriter, r *http.Request) {
	if s.SignIn.Mail == nil {
		s.Fail(w, r, fault.New(fault.NotFound, "Passwords are not reset by mail here. Ask an administrator."))
		return
	}
	s.askForgot(w, r, http.StatusOK, Forgot{})
}

func (s *Server) askForgot(w http.ResponseWriter, r *http.Request, status int, v Forgot) {
	v.Flow = pages.Flow{Frame: s.Frame(r, "Set a new password"), Action: "/forgot"}
	pages.Show(s.Server, w, r, forgotPage, status, v)
}

// postForgot answers the same for every name.
func (s *Server) postForgot(w http.ResponseWriter, r *http.Request) {
	form, err := webkit.ParseForm(w, r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	v := Forgot{UserName: form.Get("username")}
	if strings.TrimSpace(v.UserName) == "" {
		v.Error = "Type your user name"
		s.askForgot(w, r, http.StatusUnprocessableEntity, v)
		return
	}
	if err := s.SignIn.BeginReset(r.Context(), v.UserName, webkit.Address(r), webkit.RequestID(r.Context())); err != nil {
		s.Fail(w, r, err)
		return
	}
	pages.Show(s.Server, w, r, sentPage, http.StatusOK, Sent{Frame: s.Frame(r, "Look into your mail"), UserName: v.UserName, Minutes: int(signin.ResetLife.Minutes()), AgainURL: "/forgot", SignInURL: "/signin"})
}

func (s *Server) getReset(w http.ResponseWriter, r *http.Request) {
	q, err := webkit.ParseQuery(r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	s.askReset(w, r, http.StatusOK, q.Get("token"), NewPassword{})
}

// askReset shows the form to whoever holds a link that is good.
func (s *Server) askReset(w http.ResponseWriter, r *http.Request, status int, link string, v NewPassword) {
	u, err := s.SignIn.Reset(r.Context(), link)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	v.Flow, v.UserName, v.MinLength = pages.Flow{Frame: s.Frame(r, "Set a new password"), Action: "/reset", Flow: link}, u.Name, signin.MinPassword
	pages.Show(s.Server, w, r, newPasswordPage, status, v)
}

func (s *Server) postReset(w http.ResponseWriter, r *http.Request) {
	form, err := webkit.ParseForm(w, r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	link, v := form.Get("flow"), NewPassword{}
	if form.Get("password") != form.Get("password2") {
		v.RepeatError = pages.NotTheSame
		s.askReset(w, r, http.StatusUnprocessableEntity, link, v)
		return
	}
	a := signin.Attempt{IP: webkit.Address(r), Agent: r.UserAgent(), Request: webkit.RequestID(r.Context())}
	_, err = s.SignIn.FinishReset(r.Context(), link, form.Get("password"), a)
	switch {
	case err == nil:
		pages.Show(s.Server, w, r, resetPage, http.StatusOK, WasReset{Frame: s.Frame(r, "The password was changed"), SignInURL: "/signin"})
	case errors.Is(err, signin.ErrNew):
		v.NewError = strings.TrimSuffix(fault.Public(err), ".")
		s.askReset(w, r, http.StatusUnprocessableEntity, link, v)
	default:
		s.Fail(w, r, err)
	}
}
