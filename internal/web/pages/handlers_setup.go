package pages

import (
	"errors"
	"net/http"
	"strings"

	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// getSetup shows the form of the one-time link. Whether the link is good is judged
// when it is used.
func (s *Server) getSetup(w http.ResponseWriter, r *http.Request) {
	q, err := webkit.ParseQuery(r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	s.askSetup(w, r, http.StatusOK, q.Get("token"), Setup{})
}

func (s *Server) askSetup(w http.ResponseWriter, r *http.Request, status int, token string, v Setup) {
	v.Flow, v.MinLength = Flow{Frame: s.Frame(r, "Set up"), Action: "/setup", Flow: token}, signin.MinPassword
	Show(s, w, r, setupPage, status, v)
}

func (s *Server) postSetup(w http.ResponseWriter, r *http.Request) {
	form, err := webkit.ParseForm(w, r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	token := form.Get("flow")
	v := Setup{Name: form.Get("name"), UserName: form.Get("username")}
	if form.Get("password") != form.Get("password2") {
		v.RepeatError = NotTheSame
		s.askSetup(w, r, http.StatusUnprocessableEntity, token, v)
		return
	}
	a := s.Attempt(r)
	signed, err := s.SignIn.SetUp(r.Context(), token, v.UserName, v.Name, form.Get("password"), a)
	text := strings.TrimSuffix(fault.Public(err), ".")
	switch {
	case err == nil:
		s.SignedIn(w, r, "", signed)
		return
	case errors.Is(err, signin.ErrName):
		v.UserNameError = text
	case errors.Is(err, signin.ErrNew):
		v.NewError = text
	case fault.Is(err, fault.Invalid):
		v.NameError = text
	default:
		s.Fail(w, r, err)
		return
	}
	s.askSetup(w, r, http.StatusUnprocessableEntity, token, v)
}
