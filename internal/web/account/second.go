package account

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/factor"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/web/pages"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// The ways to give a second factor, as the address and the form name them.
const (
	wayCode     = "code"
	wayPasskey  = "passkey"
	wayRecovery = "recovery"
	wayPass     = "pass"
)

// known are the ways that somebody has and that are enough, the best first.
func known(w factor.Ways, enough []string) (all []string) {
	for _, x := range []struct {
		has bool
		way string
	}{{w.Passkey, wayPasskey}, {w.Code, wayCode}, {w.Pass, wayPass}, {w.Recovery, wayRecovery}} {
		if x.has && (enough == nil || slices.Contains(enough, x.way)) {
			all = append(all, x.way)
		}
	}
	return all
}

// enough reads which ways are enough where somebody wants to go on to; nil: all. It is
// a hint of our own that spares people a way that does not lead there, and no more.
func enough(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Fields(text)
}

// half returns who has signed in in this browser, whatever policies still ask for, or
// sends the browser to sign in.
func (s *Server) half(w http.ResponseWriter, r *http.Request, next string) *signin.Signed {
	signed, err := s.Session(r)
	if err != nil {
		s.Fail(w, r, err)
		return nil
	}
	if signed == nil {
		pages.GoTo(w, pages.SignInAt(next))
	}
	return signed
}

// onwards is where to go on to: what was asked for, or home.
func (s *Server) onwards(next string, signed *signin.Signed) string {
	if next != "" {
		return next
	}
	return s.Onwards("", signed, false)
}

// getSecond asks for a second factor. A browser that is spared it goes on, once: were
// the old proof not enough for whoever asks, it would come back here for ever.
func (s *Server) getSecond(w http.ResponseWriter, r *http.Request) {
	next, err := s.NextOf(r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	signed := s.half(w, r, next)
	if signed == nil {
		return
	}
	if value := s.read(r, rememberCookie); value != "" && signed.Session.SecondTime.IsZero() && r.Method == http.MethodGet {
		p, err := s.Factor.VerifyRemembered(r.Context(), signed, value)
		if err == nil {
			s.proven(w, next, p)
			return
		}
		if !errors.Is(err, factor.ErrCode) {
			s.notProven(w, r, next, err)
			return
		}
		s.set(w, rememberCookie, "", -time.Second)
	}
	q := r.URL.Query()
	s.askSecond(w, r, http.StatusOK, signed, next, q.Get("way"), Second{With: q.Get("with")})
}

// askSecond shows the page for one of the ways, or the one where the first is set up.
func (s *Server) askSecond(w http.ResponseWriter, r *http.Request, status int, signed *signin.Signed, next, way string, v Second) {
	ways, err := s.Factor.Ways(r.Context(), signed)
	if err != nil {
		s.notProven(w, r, next, err)
		return
	}
	all := known(ways, enough(v.With))
	if len(all) == 0 {
		s.askSetUp(w, r, signed, next, enough(v.With))
		return
	}
	more := ""
	if v.With != "" {
		more = "&with=" + url.QueryEscape(v.With)
	}
	v.Way = all[0]
	for _, x := range all {
		if x == way {
			v.Way = way
		}
	}
	for _, x := range all {
		if x != v.Way {
			v.Others = append(v.Others, webkit.Link{Text: useWords[x], URL: pages.SecondAt(next) + more + "&way=" + x})
		}
	}
	action := "/signin/second"
	if v.Way == wayPasskey {
		action += "/passkey"
	}
	v.Flow = s.FlowTo(r, useWords[v.Way], action, next)
	v.App, v.DisplayName, v.UserName, v.NotYouURL = s.AppOf(r, next), signed.User.DisplayName, signed.User.Name, "/choose"
	if next != "" {
		v.NotYouURL += "?next=" + url.QueryEscape(next)
	}
	if v.Way == wayCode || v.Way == wayPasskey {
		v.RememberLife = ways.Remember
	}
	webkit.FormMayLeave(w)
	pages.Show(s.Server, w, r, secondPage, status, v)
}

// postSecond takes a code: of an app, a recovery code or a pass.
func (s *Server) postSecond(w http.ResponseWriter, r *http.Request) {
	form, err := webkit.ParseForm(w, r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	next := s.Next(form.Get("flow"))
	signed := s.half(w, r, next)
	if signed == nil {
		return
	}
	remember := form.Has("remember")
	p, err := s.Factor.VerifyCode(r.Context(), signed, form.Get("code"), remember)
	if err == nil {
		s.proven(w, next, p)
		return
	}
	way := form.Get("way")
	if errors.Is(err, factor.ErrCode) || fault.Is(err, fault.Limited) {
		s.askSecond(w, r, pages.FormStatus(err), signed, next, way, s.refusedSecond(w, err, form))
		return
	}
	s.notProven(w, r, next, err)
}

// postSecondPasskey takes what a passkey answered.
func (s *Server) postSecondPasskey(w http.ResponseWriter, r *http.Request) {
	form, err := webkit.ParseForm(w, r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	next := s.Next(form.Get("flow"))
	signed := s.half(w, r, next)
	if signed == nil {
		return
	}
	remember := form.Has("remember")
	if form.Get("response") == "" {
		s.askSecond(w, r, http.StatusUnprocessableEntity, signed, next, wayPasskey, Second{Error: needsScript, Remember: remember, With: form.Get("with")})
		return
	}
	p, err := s.Factor.VerifyPasskey(r.Context(), signed, form.Get("ticket"), []byte(form.Get("response")), remember)
	switch {
	case err == nil:
		s.proven(w, next, p)
	case errors.Is(err, factor.ErrPasskey), fault.Is(err, fault.Limited), fault.Is(err, fault.Denied):
		s.askSecond(w, r, pages.FormStatus(err), signed, next, wayPasskey, s.refusedSecond(w, err, form))
	default:
		s.notProven(w, r, next, err)
	}
}

// needsScript is told where a form for a passkey came without one.
const needsScript = "A passkey needs JavaScript, which this browser did not run"

// refusedSecond is what the page says of a refusal.
func (s *Server) refusedSecond(w http.ResponseWriter, err error, form webkit.Form) Second {
	v := Second{Remember: form.Has("remember"), With: form.Get("with")}
	var many *signin.TooMany
	switch {
	case errors.As(err, &many):
		v.Until = many.Until.In(s.Now().Location())
		w.Header().Set("Retry-After", s.RetryAfter(err))
	case errors.Is(err, factor.ErrCode):
		v.Error = wrongCode
	default:
		v.Error = sentence(err)
	}
	return v
}

// proven hands the session's new cookie out and goes on.
func (s *Server) proven(w http.ResponseWriter, next string, p *factor.Proven) {
	if p.Cookie != "" {
		s.SetCookie(w, p.Cookie, p.Session.Kept)
	}
	if p.Remember != "" {
		s.set(w, rememberCookie, p.Remember, p.Until.Sub(s.Now()))
	}
	pages.GoTo(w, s.onwards(next, p.Signed))
}

// notProven goes on where the session itself is over: what was proven so far counts
// for nothing, and the person begins again.
func (s *Server) notProven(w http.ResponseWriter, r *http.Request, next string, err error) {
	if kind := fault.KindOf(err); kind == fault.Revoked || kind == fault.Unauthenticated {
		pages.GoTo(w, pages.SignInAt(next))
		return
	}
	s.Fail(w, r, err)
}

// beginSecond gives the script what to ask the passkey with.
func (s *Server) beginSecond(w http.ResponseWriter, r *http.Request) {
	signed, err := s.Session(r)
	if err == nil && signed == nil {
		err = errNobody
	}
	var c *factor.Ceremony
	if err == nil {
		c, err = s.Factor.BeginAssertion(r.Context(), signed)
	}
	s.tell(w, r, c, err)
}

var errNobody = fault.New(fault.Unauthenticated, "This sign-in is over. Load the page again.")

// Cookies of this room. They say nothing by themselves.
const (
	rememberCookie = "curfew-remember" // this browser is spared the second factor
	browserCookie  = "curfew-browser"  // binds what is begun before anybody is signed in
)

func (s *Server) cookieName(name string) string {
	if s.Secure() {
		return "__Host-" + name
	}
	return name
}

func (s *Server) read(r *http.Request, name string) string {
	c, err := r.Cookie(s.cookieName(name))
	if err != nil || len(c.Value) > 256 {
		return ""
	}
	return c.Value
}

// set stores a cookie: for as long as the browser is open when life is 0; below, it
// is removed.
func (s *Server) set(w http.ResponseWriter, name, value string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{Name: s.cookieName(name), Value: value, Path: "/", HttpOnly: true, Secure: s.Secure(), SameSite: http.SameSiteLaxMode, MaxAge: int(life / time.Second)})
}
