package pages

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// authorize is the authorization endpoint (RFC 6749 §3.1).
func (s *Server) authorize(w http.ResponseWriter, r *http.Request, issuer grant.Issuer) {
	switch r.Method {
	case http.MethodGet:
		q, next, proof, err := s.read(r.Context(), r)
		if err == nil && !s.ours(next) {
			err = badRequest("The address is too long or not one we can read. Post the request instead.")
		}
		if err != nil {
			s.Fail(w, r, err)
			return
		}
		x, err := s.parse(r.Context(), issuer, next, q)
		switch {
		case x == nil:
			s.Fail(w, r, err)
		case err != nil:
			s.refuseApp(w, r, x, err)
		default:
			s.goOn(w, r, x, proof, nil)
		}
	case http.MethodPost:
		q, err := s.readPosted(w, r)
		if err != nil {
			s.Fail(w, r, err)
			return
		}
		// A request that is wrong is answered at once and not kept.
		x, err := s.parse(r.Context(), issuer, "", q)
		if x == nil {
			s.Fail(w, r, err)
			return
		}
		if err != nil {
			s.refuseApp(w, r, x, err)
			return
		}
		to, err := s.park(r.Context(), r, q)
		if err != nil {
			s.refuseApp(w, r, x, err)
			return
		}
		GoTo(w, to)
	default: // HEAD among them: it must not make a code
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "This address takes GET and POST.", http.StatusMethodNotAllowed)
	}
}

// goOn takes a request as far as it can go now: to the next page it needs, or to
// the application. decision is what was decided on the consent page, if that is
// where the browser comes from.
func (s *Server) goOn(w http.ResponseWriter, r *http.Request, x *request, proofText string, decision *step) {
	signed, err := s.Session(r)
	if err != nil {
		s.refuseApp(w, r, x, err)
		return
	}
	p, proven := s.proofFor(x.next, proofText, signed)
	if s.mustSignIn(x, signed, p) {
		if x.none {
			s.refuseApp(w, r, x, refuse(fault.Unauthenticated, "login_required", 50058, "Nobody is signed in as asked for, and prompt=none forbids to ask."))
			return
		}
		s.askSignIn(w, r, x)
		return
	}
	if x.claims.Subject != "" && x.claims.Subject != signed.User.ID.String() { // OpenID Connect Core 1.0 §3.1.2.1, §5.5.1
		s.refuseApp(w, r, x, refuse(fault.Unauthenticated, "login_required", 50058, "Somebody else signed in than the one the application asked for."))
		return
	}
	if x.choose && !proven {
		s.askChoice(w, r, x.next, x.app.Name, signed)
		return
	}
	asked := issue.AuthorizeRequest{App: x.app, Session: signed.Session.ID, Plan: x.plan, Scope: x.scope, Resource: x.resource, RedirectURI: x.redirect, Challenge: x.challenge,
		Nonce: x.nonce, Issuer: x.issuer, CP1: x.claims.CP1, Contexts: x.claims.Contexts, JKT: x.jkt, Pushed: x.pushed, IP: webkit.Address(r), Agent: r.UserAgent(), Request: webkit.RequestID(r.Context())}
	if err := s.Issue.Admit(r.Context(), asked); err != nil { // what policies demand comes before consent
		s.refused(w, r, x, proofText, err)
		return
	}
	missing, adminOnly, err := s.Issue.Missing(r.Context(), x.app, signed.User.ID, x.plan)
	switch {
	case err != nil:
		s.refuseApp(w, r, x, err)
		return
	case adminOnly && x.none:
		s.refuseApp(w, r, x, refuse(fault.Denied, "consent_required", 90094, "An administrator has to consent to what the application asks for."))
		return
	case adminOnly:
		s.Fail(w, r, s.needsAdministrator(x, missing))
		return
	case len(missing) > 0 && x.none:
		s.refuseApp(w, r, x, refuse(fault.Denied, "consent_required", 65001, "The person has not consented to what the application asks for."))
		return
	}
	if len(missing) > 0 || x.consent {
		shown := shownOf(x.app, x.plan)
		if decision == nil || decision.Session != signed.Session.ID.String() || decision.Shown != shown {
			// Not decided yet; or by somebody else, or about something else.
			s.askConsent(w, r, x, proofText, signed, shown)
			return
		}
		if err := s.Issue.Consent(r.Context(), signed.Actor, x.app, x.plan); err != nil {
			s.refuseApp(w, r, x, err)
			return
		}
	}
	if code, err := s.Issue.Authorize(r.Context(), asked); err != nil {
		s.refused(w, r, x, proofText, err)
	} else {
		s.answer(w, r, x, Pair{"code", code})
	}
}

// refused goes on with a request that may not become a code yet: a session that was
// cut between two looks, or whose proof is too old for a policy, is begun anew; what
// else can be given in the browser is asked for; and where nothing helps a page says so.
func (s *Server) refused(w http.ResponseWriter, r *http.Request, x *request, proofText string, err error) {
	next := x.next
	if proofText != "" {
		next += "&" + proofParam + "=" + url.QueryEscape(proofText)
	}
	policies := (*access.Refused)(nil)
	to, more := webkit.Again(err, next)
	switch kind := fault.KindOf(err); {
	case x.none:
		s.refuseApp(w, r, x, err)
	case more && !strings.HasPrefix(to, "/signin?"):
		GoTo(w, to)
	case kind == fault.Revoked, kind == fault.Unauthenticated, more:
		s.askSignIn(w, r, x)
	case errors.As(err, &policies):
		back := webkit.Link{}
		if x.mode != "form_post" && web(x.redirect) {
			back = webkit.Link{Text: "Back to " + x.app.Name, URL: s.address(x, s.pairs(x, err))}
		}
		s.blocked(w, r, err, x.app.Name, back)
	default:
		s.refuseApp(w, r, x, err)
	}
}

// mustSignIn reports whether somebody has to prove now who they are. A sign-in for
// this very request has settled every wish of that sort.
func (s *Server) mustSignIn(x *request, signed *signin.Signed, p proof) bool {
	switch {
	case signed == nil:
		return true
	case p.SignedIn:
		return false
	case x.login, x.maxAge == 0: // the same by definition
		return true
	// auth_time is told in whole seconds: what would look too old to the one who
	// asked is too old here.
	case x.maxAge >= 0 && s.Now().Sub(signed.Session.AuthTime.Truncate(time.Second)) > x.maxAge:
		return true
	case x.claims.Subject != "" && x.claims.Subject != signed.User.ID.String():
		return true
	}
	return x.loginHint != "" && directory.FoldName(x.loginHint) != directory.FoldName(signed.User.Name)
}

func (s *Server) needsAdministrator(x *request, missing []directory.Permission) error {
	var names []string
	for _, m := range missing {
		names = append(names, m.Scopes...)
	}
	p := &pageError{heading: "An administrator has to allow this",
		error: refuse(fault.Denied, "access_denied", 90094, x.app.Name+" asks for "+webkit.And(names)+". An administrator of "+s.Domain()+" has to consent to that.")}
	if x.mode != "form_post" && web(x.redirect) {
		p.next = webkit.Link{Text: "Back to " + x.app.Name, URL: s.address(x, s.pairs(x, p.error))}
	}
	return p
}

// refuseApp answers the application with an error.
func (s *Server) refuseApp(w http.ResponseWriter, r *http.Request, x *request, err error) {
	if fault.KindOf(err) == fault.Internal && s.Log != nil && r.Context().Err() == nil {
		s.Log.ErrorContext(r.Context(), "authorize", "error", err, "request", webkit.RequestID(r.Context()))
	}
	s.answer(w, r, x, s.pairs(x, err)...)
}

func (s *Server) pairs(_ *request, err error) []Pair {
	t := told(err)
	all := []Pair{{"error", t.code}, {"error_description", description(err, t.number)}}
	if e := (*issue.Error)(nil); errors.As(err, &e) && e.Claims != "" { // a policy's refusal, in the words that Microsoft's libraries look for
		all = append(all, Pair{"suberror", e.Sub}, Pair{"claims", e.Claims})
	}
	return all
}

// address is the redirect URI with an answer.
func (s *Server) address(x *request, answer []Pair) string {
	var b strings.Builder
	b.WriteString(x.redirect)
	switch {
	case x.mode == "fragment":
		b.WriteByte('#')
	case !strings.Contains(x.redirect, "?"):
		b.WriteByte('?')
	case !strings.HasSuffix(x.redirect, "?") && !strings.HasSuffix(x.redirect, "&"):
		b.WriteByte('&')
	}
	for i, p := range s.complete(x, answer) {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(p.Name) + "=" + url.QueryEscape(p.Value))
	}
	return b.String()
}

// complete adds what every answer carries: the state if there was one, and who
// answers (RFC 9207).
func (s *Server) complete(x *request, answer []Pair) []Pair {
	answer = slices.Clone(answer)
	if x.hasState {
		answer = append(answer, Pair{"state", x.state})
	}
	return append(answer, Pair{"iss", s.Issue.Issuer(x.issuer)})
}

// answer brings an answer to the application, in the mode it asked for.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, x *request, answer ...Pair) {
	if x.mode != "form_post" {
		GoTo(w, s.address(x, answer))
		return
	}
	webkit.FormMayLeave(w)
	if x.none {
		// Another site's frame is where prompt=none is asked. The page shows and
		// does nothing but carry the answer.
		h := w.Header()
		h.Del("X-Frame-Options")
		h.Set("Content-Security-Policy", strings.Replace(h.Get("Content-Security-Policy"), "; frame-ancestors 'none'", "", 1))
	}
	Show(s, w, r, formPostPage, http.StatusOK, FormPost{Frame: s.Frame(r, "Back to "+x.app.Name), Action: x.redirect, App: x.app.Name, Fields: s.complete(x, answer)})
}
