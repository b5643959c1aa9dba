package account

import (
	"net/http"

	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/web/pages"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// shown are the terms of use on a page, and where it goes on to: what is accepted is
// what was read.
type shown struct {
	ID      string `json:"id"`
	Version int64  `json:"version"`
	Next    string `json:"next"`
}

// Terms is the page of terms of use (button accept, field flow).
type Terms struct {
	pages.Flow
	App, Name, Text string
	LeaveURL        string
	// Changed: they were worded otherwise while they were read.
	Changed bool
}

var termsPage = webkit.NewPage[Terms](set, "terms")

// PageTitle is the frame, marked when the form came back.
func (t Terms) PageTitle() webkit.Frame { return t.Frame.Failing(t.Changed) }

// Problem is the summary, or nil.
func (t Terms) Problem() *webkit.Problem {
	if !t.Changed {
		return nil
	}
	return &webkit.Problem{Title: "Error: nothing was accepted", Items: []webkit.ProblemItem{{Text: "The terms were changed while you read them. This is how they are now."}}}
}

// getTerms shows terms of use that a policy demands.
func (s *Server) getTerms(w http.ResponseWriter, r *http.Request) {
	next, err := s.NextOf(r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	if signed := s.half(w, r, next); signed != nil {
		s.askTerms(w, r, http.StatusOK, shown{ID: r.URL.Query().Get("terms"), Next: next}, false)
	}
}

func (s *Server) askTerms(w http.ResponseWriter, r *http.Request, status int, what shown, changed bool) {
	t, err := s.SignIn.Terms(r.Context(), what.ID)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	what.Version = t.Version
	webkit.FormMayLeave(w)
	pages.Show(s.Server, w, r, termsPage, status, Terms{Flow: pages.Flow{Frame: s.Frame(r, "Terms of use"), Action: "/signin/terms", Flow: s.Seal("terms", what)},
		App: s.AppOf(r, what.Next), Name: t.Name, Text: t.Text, LeaveURL: "/signout", Changed: changed})
}

// postTerms accepts them as they were shown.
func (s *Server) postTerms(w http.ResponseWriter, r *http.Request) {
	form, err := webkit.ParseForm(w, r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	var what shown
	if !s.Unseal("terms", form.Get("flow"), &what) {
		s.Fail(w, r, fault.New(fault.Invalid, "This page is too old, or not one of ours. Begin again where you wanted to go."))
		return
	}
	signed := s.half(w, r, what.Next)
	if signed == nil {
		return
	}
	err = s.SignIn.AcceptTerms(r.Context(), signed, &signin.Terms{ID: what.ID, Version: what.Version})
	switch {
	case err == nil:
		pages.GoTo(w, s.onwards(what.Next, signed))
	case fault.Is(err, fault.Conflict):
		s.askTerms(w, r, http.StatusConflict, what, true)
	default:
		s.notProven(w, r, what.Next, err)
	}
}
