package pages

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// deviceUser returns who is signed in, or sends the browser to sign in first: the
// page tells nobody else which codes there are.
func (s *Server) deviceUser(w http.ResponseWriter, r *http.Request, code string) *signin.Signed {
	signed, err := s.Session(r)
	if err != nil {
		s.Fail(w, r, err)
		return nil
	}
	if signed == nil {
		next := "/device"
		if code != "" {
			next += "?user_code=" + url.QueryEscape(code)
		}
		GoTo(w, SignInAt(next))
	}
	return signed
}

func (s *Server) askCode(w http.ResponseWriter, r *http.Request, status int, code, problem string) {
	Show(s, w, r, deviceCodePage, status, DeviceCode{Flow: s.flow(r, "Connect a device", "/device", nil), Code: code, Error: problem})
}

// maxTyped bounds a code as typed.
const maxTyped = 64

// getDevice asks for the code. One that came with the address is filled in, never
// taken as typed: somebody else may have made the address.
func (s *Server) getDevice(w http.ResponseWriter, r *http.Request) {
	q, err := webkit.ParseQuery(r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	code := q.Get("user_code")
	if len(code) > maxTyped {
		code = ""
	}
	if s.deviceUser(w, r, code) == nil {
		return
	}
	s.askCode(w, r, http.StatusOK, code, "")
}

// postDevice takes a typed code, then the decision about it.
func (s *Server) postDevice(w http.ResponseWriter, r *http.Request) {
	form, err := webkit.ParseForm(w, r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	typed, decision := form.Get("user_code"), form.Get("decision")
	f := s.openFlow(form.Get("flow"))
	if typed == "" {
		typed = f.Ticket
	}
	if len(typed) > maxTyped {
		typed = ""
	}
	signed := s.deviceUser(w, r, typed)
	if signed == nil {
		return
	}
	key := signed.User.ID.String()
	if until := s.codes.spent(key, s.Now()); !until.IsZero() {
		clock := webkit.Clock{Now: s.Now()}
		s.askCode(w, r, http.StatusTooManyRequests, typed, "Too many wrong codes. Try again at "+clock.Min(until.Add(time.Minute-time.Nanosecond)))
		return
	}
	code := issue.NormalizeUserCode(typed)
	d, err := s.Issue.DeviceLookup(r.Context(), code)
	if err != nil {
		s.wrongCode(w, r, key, typed, err)
		return
	}
	confirmed := f.Session == signed.Session.ID.String() && f.Ticket == code
	switch {
	case confirmed && decision == "deny":
		if err := s.Issue.DeviceDecide(r.Context(), signed.Actor, code, false); err != nil {
			s.wrongCode(w, r, key, typed, err)
			return
		}
		Show(s, w, r, MessagePage, http.StatusOK, Message{Frame: s.Frame(r, "Not connected"), Heading: "Not connected",
			Text: d.App.Name + " on the device was not let into your account."})
	case confirmed && decision == "allow":
		s.allowDevice(w, r, signed, d, code, f.Shown)
	default:
		Show(s, w, r, deviceConfirmPage, http.StatusOK, DeviceConfirm{
			Flow: s.flow(r, "Connect a device", "/device", &step{Session: signed.Session.ID.String(), Ticket: code}), App: d.App.Name, Code: code,
			DisplayName: signed.User.DisplayName, UserName: signed.User.Name, From: d.Address, Asked: d.Asked.In(s.Now().Location())})
	}
}

// allowDevice lets the device in, after the consent that an application in a
// browser would need, too.
func (s *Server) allowDevice(w http.ResponseWriter, r *http.Request, signed *signin.Signed, d *issue.DeviceView, code, decided string) {
	missing, adminOnly, err := s.Issue.Missing(r.Context(), d.App, signed.User.ID, d.Plan)
	if err == nil && adminOnly {
		err = s.needsAdministrator(&request{app: d.App, mode: "form_post"}, missing)
	}
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	if len(missing) > 0 {
		shown := shownOf(d.App, d.Plan)
		if decided != shown {
			s.showConsent(w, r, Consent{Flow: s.flow(r, "Let "+d.App.Name+" in?", "/device", &step{Session: signed.Session.ID.String(), Ticket: code, Shown: shown})},
				d.App, d.Plan, signed)
			return
		}
		if err := s.Issue.Consent(r.Context(), signed.Actor, d.App, d.Plan); err != nil {
			s.Fail(w, r, err)
			return
		}
	}
	if err := s.Issue.DeviceDecide(r.Context(), signed.Actor, code, true); err != nil {
		s.wrongCode(w, r, signed.User.ID.String(), code, err)
		return
	}
	Show(s, w, r, MessagePage, http.StatusOK, Message{Frame: s.Frame(r, "Device connected"), Heading: "Device connected",
		Text: d.App.Name + " on the device is in your account now. You can close this page.", Next: webkit.Link{Text: "My account", URL: "/account"}})
}

// wrongCode tells why a code does not work; only a guess counts as one.
func (s *Server) wrongCode(w http.ResponseWriter, r *http.Request, key, typed string, err error) {
	var e *issue.Error
	to, again := webkit.Again(err, "/device")
	switch kind := fault.KindOf(err); {
	case again:
		GoTo(w, to)
	case kind == fault.NotFound && !errors.As(err, &e):
		s.codes.wrong(key, s.Now())
		s.askCode(w, r, http.StatusUnprocessableEntity, typed, "This code is not known, or its time is over")
	case kind == fault.Revoked && errors.As(err, &e) && e.Code != "unauthorized_client", kind == fault.Unauthenticated:
		GoTo(w, SignInAt("/device"))
	default:
		s.Fail(w, r, err)
	}
}
