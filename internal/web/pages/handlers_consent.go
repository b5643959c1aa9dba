package pages

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

func appID(q url.Values) directory.AppID { return directory.AppID(q.Get("client_id")) }

// shownOf is what a consent page shows, in one string. A decision holds for that
// and for nothing that the registration may have become meanwhile.
func shownOf(app *directory.App, p *issue.Plan) string {
	var b strings.Builder
	b.WriteString(app.Object.String())
	for _, x := range p.All {
		scopes := slices.Clone(x.Scopes)
		slices.Sort(scopes)
		b.WriteString("\n" + string(x.Resource) + " " + strings.Join(scopes, " "))
	}
	if p.Offline {
		b.WriteString("\noffline")
	}
	return requestHash(b.String())
}

func (s *Server) askConsent(w http.ResponseWriter, r *http.Request, x *request, proofText string, signed *signin.Signed, shown string) {
	next := x.next
	if proofText != "" {
		next += "&" + proofParam + "=" + url.QueryEscape(proofText)
	}
	v := Consent{Flow: s.flow(r, "Let "+x.app.Name+" in?", "/consent", &step{Next: next, Session: signed.Session.ID.String(), Shown: shown}),
		NotYouURL: "/choose?next=" + url.QueryEscape(x.next)}
	webkit.FormMayLeave(w)
	s.showConsent(w, r, v, x.app, x.plan, signed)
}

// showConsent fills in what the page says about the application.
func (s *Server) showConsent(w http.ResponseWriter, r *http.Request, v Consent, app *directory.App, plan *issue.Plan, signed *signin.Signed) {
	v.App, v.Publisher, v.Reviewed, v.AccountURL = app.Name, app.Publisher, app.FirstParty, "/account"
	v.DisplayName, v.UserName = signed.User.DisplayName, signed.User.Name
	for _, p := range plan.All {
		res, err := s.Issue.Resource(r.Context(), p.Resource)
		if err != nil {
			s.Fail(w, r, err)
			return
		}
		for _, name := range p.Scopes {
			v.Permissions = append(v.Permissions, permission(res, name))
		}
	}
	if plan.Offline {
		v.StaysFor = s.Issue.Lifetimes.GrantIdle
	}
	Show(s, w, r, consentPage, http.StatusOK, v)
}

func permission(res *directory.Resource, name string) Permission {
	p := Permission{What: name, Resource: res.Name}
	for _, x := range res.Scopes {
		if x.Name == name && x.Text != "" {
			p.What = x.Text
		}
	}
	switch {
	case res.ID == directory.OwnAPI:
		p.Icon = "user"
	case strings.HasPrefix(name, "Mail."):
		p.Icon = "mail"
	}
	return p
}

// postConsent takes the decision. The request is read and judged again from the
// start: nothing in the form but the decision is believed.
func (s *Server) postConsent(w http.ResponseWriter, r *http.Request) {
	form, err := webkit.ParseForm(w, r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	f := s.openFlow(form.Get("flow"))
	pathOf, raw, ok := strings.Cut(f.Next, "?")
	if !ok || !strings.HasSuffix(pathOf, "/authorize") {
		s.Fail(w, r, badRequest("This page is too old. Go back to the application and start again."))
		return
	}
	r2 := r.Clone(r.Context())
	r2.URL = &url.URL{Path: pathOf, RawQuery: raw}
	q, next, proof, err := s.read(r.Context(), r2)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	issuer := grant.Tenant
	if pathOf == "/oauth2/authorize" {
		issuer = grant.Plain
	}
	x, err := s.parse(r.Context(), issuer, next, q)
	switch {
	case x == nil:
		s.Fail(w, r, err)
	case err != nil:
		s.refuseApp(w, r, x, err)
	case form.Get("decision") == "deny":
		s.refuseApp(w, r, x, refuse(fault.Denied, "access_denied", 65004, "The person did not let the application in."))
	case form.Get("decision") == "allow":
		s.goOn(w, r, x, proof, &f)
	default:
		s.goOn(w, r, x, proof, nil)
	}
}
