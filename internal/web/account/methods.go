package account

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/factor"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/web/pages"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// methodsAt is the page of one's methods.
const methodsAt = "/account/methods"

func (s *Server) getMethods(w http.ResponseWriter, r *http.Request) {
	q, err := webkit.ParseQuery(r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	signed := s.prover(w, r, methodsAt)
	if signed == nil {
		return
	}
	sheet, err := s.Factor.Own(r.Context(), signed)
	if err != nil {
		s.notProven(w, r, methodsAt, err)
		return
	}
	v := Methods{Frame: s.Frame(r, "Ways to prove who you are"), UserName: signed.User.Name, Done: done[q.Get("done")]}
	if sheet.Change != nil {
		v.Refused = fault.Public(sheet.Change)
		if p := (*factor.Prove)(nil); errors.As(sheet.Change, &p) {
			v.ProveURL = "/signin?prompt=login&next=" + url.QueryEscape(methodsAt)
			if p.Second {
				v.ProveURL = pages.SecondAt(methodsAt)
			}
		}
	}
	for _, m := range sheet.Methods {
		v.Rows = append(v.Rows, s.row(m))
		v.Codes = v.Codes || m.Kind == directory.MethodCodes
	}
	pages.Show(s.Server, w, r, methodsPage, http.StatusOK, v)
}

func (s *Server) row(m factor.Method) MethodRow {
	row := MethodRow{Kind: kindWords[m.Kind], Name: m.Name, Icon: kindIcons[m.Kind], Added: m.Created.In(s.Now().Location()), URL: methodsAt + "/" + m.ID.String()}
	if !m.Used.IsZero() {
		row.Used = m.Used.In(s.Now().Location())
	}
	switch m.Kind {
	case directory.MethodCodes:
		row.State = webkit.Num(m.Left) + " left"
	case directory.MethodPass:
		row.URL, row.State = "", "until "+webkit.Clock{Now: s.Now()}.Sec(m.Expires.In(s.Now().Location()))
		if m.Once {
			row.State += ", good once"
		}
	case directory.MethodPasskey:
		row.State = "on one device"
		if m.Synced {
			row.State = "on your devices"
		}
	}
	return row
}

// askSetUp is the page in a sign-in where somebody has nothing yet that would be enough.
func (s *Server) askSetUp(w http.ResponseWriter, r *http.Request, signed *signin.Signed, next string, enough []string) {
	flow := s.FlowTo(r, "Set up a second factor", methodsAt+"/app/begin", next)
	webkit.FormMayLeave(w)
	v := SetUp{Flow: flow, App: s.AppOf(r, next), DisplayName: signed.User.DisplayName, UserName: signed.User.Name, NotYouURL: "/choose?next=" + url.QueryEscape(next)}
	v.Apps = enough == nil || slices.Contains(enough, wayCode)
	if enough == nil || slices.Contains(enough, wayPasskey) {
		v.PasskeyURL = methodsAt + "/passkey?next=" + url.QueryEscape(next)
	}
	pages.Show(s.Server, w, r, setUpPage, http.StatusOK, v)
}

// enrolment is an app that is being registered, as the form carries it: this browser
// has seen all of it.
type enrolment struct {
	Ticket string `json:"t"`
	Secret string `json:"s"`
	URI    string `json:"u"`
	Next   string `json:"n,omitempty"`
}

func (s *Server) postBeginApp(w http.ResponseWriter, r *http.Request) {
	form, err := webkit.ParseForm(w, r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	next := s.Next(form.Get("flow"))
	signed := s.prover(w, r, s.within(next))
	if signed == nil {
		return
	}
	n, err := s.Factor.BeginTOTP(r.Context(), signed)
	if err != nil {
		s.notChanged(w, r, s.within(next), err)
		return
	}
	s.askApp(w, r, http.StatusOK, enrolment{Ticket: n.Ticket, Secret: n.Secret, URI: n.URI, Next: next}, App{})
}

func (s *Server) askApp(w http.ResponseWriter, r *http.Request, status int, e enrolment, v App) {
	var err error
	if v.Picture, err = draw(e.URI); err != nil {
		s.Fail(w, r, err)
		return
	}
	v.Flow = pages.Flow{Frame: s.Frame(r, "Add an authenticator app"), Action: methodsAt + "/app", Flow: s.Seal("enrol", e)}
	v.Secret, v.CancelURL = grouped(e.Secret), s.within(e.Next)
	pages.Show(s.Server, w, r, appPage, status, v)
}

func (s *Server) postApp(w http.ResponseWriter, r *http.Request) {
	form, err := webkit.ParseForm(w, r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	var e enrolment
	ours := s.Unseal("enrol", form.Get("flow"), &e)
	signed := s.prover(w, r, s.within(e.Next))
	if signed == nil {
		return
	}
	if !ours {
		pages.GoTo(w, methodsAt)
		return
	}
	d, err := s.Factor.FinishTOTP(r.Context(), signed, e.Ticket, form.Get("code"), form.Get("name"))
	v := App{Name: form.Get("name")}
	switch {
	case err == nil:
		s.added(w, r, signed, d, e.Next)
		return
	case errors.Is(err, factor.ErrCode):
		v.CodeError = wrongCode
	case fault.Is(err, fault.Limited):
		v.CodeError = sentence(err)
		w.Header().Set("Retry-After", s.RetryAfter(err))
	case fault.Is(err, fault.Invalid):
		v.NameError = sentence(err)
	default:
		s.notChanged(w, r, s.within(e.Next), err)
		return
	}
	s.askApp(w, r, pages.FormStatus(err), e, v)
}

// within is where a change of methods belongs to: the sign-in it is part of, or the
// page of methods.
func (s *Server) within(next string) string {
	if next == "" {
		return methodsAt
	}
	return next
}

// added goes on after a method was added: in a sign-in it is used at once, and then
// recovery codes are offered.
func (s *Server) added(w http.ResponseWriter, r *http.Request, signed *signin.Signed, d *factor.Done, next string) {
	if !s.kept(w, signed, d) {
		return
	}
	if next == "" {
		pages.GoTo(w, methodsAt+"?done=added")
		return
	}
	if d.Method.Kind != directory.MethodCodes {
		next = methodsAt + "/codes?next=" + url.QueryEscape(next)
	}
	pages.GoTo(w, pages.SecondAt(next))
}

// kept hands out what a change made of the session's cookie; false: the session ended
// with it, and the browser was sent to sign in.
func (s *Server) kept(w http.ResponseWriter, signed *signin.Signed, d *factor.Done) bool {
	switch {
	case d.Over:
		s.ClearCookie(w)
		pages.GoTo(w, pages.SignInAt(methodsAt))
		return false
	case d.Cookie != "":
		s.SetCookie(w, d.Cookie, signed.Session.Kept)
	}
	return true
}

// notChanged goes on where a change of methods was refused: to prove who one is, or to
// the page that says why.
func (s *Server) notChanged(w http.ResponseWriter, r *http.Request, next string, err error) {
	if prove(w, err, next) {
		return
	}
	s.notProven(w, r, next, err)
}

func (s *Server) getPasskey(w http.ResponseWriter, r *http.Request) {
	next, err := s.NextOf(r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	signed := s.prover(w, r, s.within(next))
	if signed == nil {
		return
	}
	sheet, err := s.Factor.Own(r.Context(), signed)
	if err == nil {
		err = sheet.Change
	}
	if err != nil {
		s.notChanged(w, r, s.within(next), err)
		return
	}
	s.askPasskey(w, r, http.StatusOK, next, Passkey{Name: signed.Session.Agent})
}

func (s *Server) askPasskey(w http.ResponseWriter, r *http.Request, status int, next string, v Passkey) {
	v.Flow, v.CancelURL = s.FlowTo(r, "Add a passkey", methodsAt+"/passkey", next), s.within(next)
	pages.Show(s.Server, w, r, passkeyPage, status, v)
}

// beginPasskey gives the script what to make a passkey with.
func (s *Server) beginPasskey(w http.ResponseWriter, r *http.Request) {
	signed, err := s.proverOf(r)
	if err == nil && signed == nil {
		err = errNobody
	}
	var c *factor.Ceremony
	if err == nil {
		c, err = s.Factor.BeginPasskey(r.Context(), signed)
	}
	s.tell(w, r, c, err)
}

func (s *Server) postPasskey(w http.ResponseWriter, r *http.Request) {
	form, err := webkit.ParseForm(w, r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	next := s.Next(form.Get("flow"))
	signed := s.prover(w, r, s.within(next))
	if signed == nil {
		return
	}
	v := Passkey{Name: form.Get("name")}
	if form.Get("response") == "" {
		v.Error = needsScript
		s.askPasskey(w, r, http.StatusUnprocessableEntity, next, v)
		return
	}
	d, err := s.Factor.FinishPasskey(r.Context(), signed, form.Get("ticket"), []byte(form.Get("response")), form.Get("name"))
	switch {
	case err == nil:
		s.added(w, r, signed, d, next)
		return
	case errors.Is(err, factor.ErrPasskey), fault.Is(err, fault.Conflict):
		v.Error = sentence(err)
	case fault.Is(err, fault.Limited):
		v.Error = sentence(err)
		w.Header().Set("Retry-After", s.RetryAfter(err))
	case fault.Is(err, fault.Invalid):
		v.NameError = sentence(err)
	default:
		s.notChanged(w, r, s.within(next), err)
		return
	}
	s.askPasskey(w, r, pages.FormStatus(err), next, v)
}

// getCodes offers recovery codes.
func (s *Server) getCodes(w http.ResponseWriter, r *http.Request) {
	next, err := s.NextOf(r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	here := methodsAt + "/codes"
	if next != "" {
		here += "?next=" + url.QueryEscape(next)
	}
	signed := s.prover(w, r, here)
	if signed == nil {
		return
	}
	sheet, err := s.Factor.Own(r.Context(), signed)
	if err == nil {
		err = sheet.Change
	}
	if err != nil {
		s.notChanged(w, r, here, err)
		return
	}
	v := Codes{Flow: s.FlowTo(r, "Recovery codes", methodsAt+"/codes", next), GoOnURL: s.within(next)}
	for _, m := range sheet.Methods {
		if m.Kind == directory.MethodCodes {
			v.Has, v.Left = true, m.Left
		}
	}
	pages.Show(s.Server, w, r, codesPage, http.StatusOK, v)
}

func (s *Server) postCodes(w http.ResponseWriter, r *http.Request) {
	form, err := webkit.ParseForm(w, r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	next := s.Next(form.Get("flow"))
	signed := s.prover(w, r, methodsAt+"/codes")
	if signed == nil {
		return
	}
	d, err := s.Factor.MakeCodes(r.Context(), signed)
	if err != nil {
		s.notChanged(w, r, methodsAt+"/codes", err)
		return
	}
	// Shown even if the session ended with the old ones: nothing shows them again.
	if d.Over {
		s.ClearCookie(w)
	} else if d.Cookie != "" {
		s.SetCookie(w, d.Cookie, signed.Session.Kept)
	}
	pages.Show(s.Server, w, r, codesPage, http.StatusOK, Codes{Flow: s.FlowTo(r, "Recovery codes", methodsAt+"/codes", next), UserName: signed.User.Name, Codes: d.Codes, GoOnURL: s.within(next)})
}

// one returns the method that the address names, or answers.
func (s *Server) one(w http.ResponseWriter, r *http.Request) (signed *signin.Signed, m *factor.Method) {
	id, err := directory.ParseID[directory.Method](r.PathValue("id"))
	none := fault.New(fault.NotFound, "You have no such method.")
	if err != nil {
		s.Fail(w, r, none)
		return nil, nil
	}
	at := methodsAt
	if signed = s.prover(w, r, at); signed == nil {
		return nil, nil
	}
	sheet, err := s.Factor.Own(r.Context(), signed)
	if err != nil {
		s.notProven(w, r, at, err)
		return nil, nil
	}
	for i := range sheet.Methods {
		if x := &sheet.Methods[i]; x.ID == id && x.Kind != directory.MethodPass {
			return signed, x
		}
	}
	s.Fail(w, r, none)
	return nil, nil
}

func (s *Server) getMethod(w http.ResponseWriter, r *http.Request) {
	if _, m := s.one(w, r); m != nil {
		s.askMethod(w, r, http.StatusOK, m, m.Name, "")
	}
}

func (s *Server) askMethod(w http.ResponseWriter, r *http.Request, status int, m *factor.Method, name, problem string) {
	at := methodsAt + "/" + m.ID.String()
	v := OneMethod{Flow: pages.Flow{Frame: s.Frame(r, m.Name), Action: at + "/name"}, Row: s.row(*m), Name: name, NameError: problem, RemoveAction: at + "/remove", BackURL: methodsAt}
	v.Renames = m.Kind != directory.MethodCodes
	pages.Show(s.Server, w, r, methodPage, status, v)
}

func (s *Server) postName(w http.ResponseWriter, r *http.Request) {
	form, err := webkit.ParseForm(w, r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	signed, m := s.one(w, r)
	if m == nil {
		return
	}
	switch err := s.Factor.Rename(r.Context(), signed, m.ID, form.Get("name")); {
	case err == nil:
		pages.GoTo(w, methodsAt+"?done=renamed")
	case fault.Is(err, fault.Invalid):
		s.askMethod(w, r, http.StatusUnprocessableEntity, m, form.Get("name"), sentence(err))
	default:
		s.notChanged(w, r, methodsAt, err)
	}
}

func (s *Server) postRemove(w http.ResponseWriter, r *http.Request) {
	if _, err := webkit.ParseForm(w, r); err != nil {
		s.Fail(w, r, err)
		return
	}
	signed, m := s.one(w, r)
	if m == nil {
		return
	}
	d, err := s.Factor.Remove(r.Context(), signed, m.ID)
	if err != nil {
		s.notChanged(w, r, methodsAt, err)
		return
	}
	if s.kept(w, signed, d) {
		pages.GoTo(w, methodsAt+"?done=removed")
	}
}
