package portal

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// form is a page with a form: what it shows, and what it does with what was typed.
type form struct {
	FormPage
	// version of the row that the form was filled from; 0: it is being created.
	version int64
	// read does it and returns where to go on; mistakes stand beside their fields.
	save func(webkit.Form, manage.Act) (string, registry.Mistakes, error)
}

// reasonField is the field at the foot of a form.
func reasonField(value, problem string) webkit.Field {
	return webkit.Field{Name: "reason", Label: "Reason (optional)", Hint: "Goes into the audit log, and on the receipt if something ends.", Value: value, Error: problem, Autocomplete: "off", Max: maxReason}
}

func (p *form) show(v *visit, status int) error {
	p.Shell = v.shell(p.Heading)
	p.Crumbs = []webkit.Link{{Text: v.sectionName(), URL: v.sectionPath()}, {Text: p.Heading}}
	if p.Refusal != nil {
		status = http.StatusForbidden
	}
	p.Hidden = nil
	if p.version > 0 {
		p.Hidden = []Hidden{{"version", strconv.FormatInt(p.version, 10)}}
	}
	if p.Reason.Name == "" {
		p.Reason = reasonField("", "")
	}
	return show(v, formPage, status, p.FormPage)
}

// filledFrom is the version that a form was filled from. What cannot be read is no
// version there is.
func filledFrom(f webkit.Form) int64 {
	n, err := strconv.ParseInt(f.Get("version"), 10, 64)
	if err != nil || n < 1 {
		return -1
	}
	return n
}

// post saves a form, or shows it again with what was typed and the mistakes.
func (p *form) post(v *visit) error {
	f, err := webkit.ParseForm(v.w, v.r)
	if err != nil {
		return err
	}
	p.Reason = reasonField(f.Get("reason"), "")
	m := registry.Mistakes{}
	where := ""
	switch {
	case len(f.Get("reason")) > maxReason:
		p.Reason.Error = "The reason has at most 500 characters"
	default:
		where, m, err = p.save(f, manage.Act{Reason: f.Get("reason")})
	}
	if err == nil && len(m) == 0 && p.Reason.Error == "" {
		return v.to(where)
	}
	switch kind := fault.KindOf(err); {
	case err == nil, kind == fault.Invalid, kind == fault.Conflict, kind == fault.NotFound, kind == fault.Denied, kind == fault.Unavailable:
	default:
		return err
	}
	registry.Fill(p.Sets, f, m)
	p.Problem = m.Problem(p.Sets)
	status := http.StatusUnprocessableEntity
	if p.Reason.Error != "" {
		p.Problem = &webkit.Problem{Title: "Error: nothing was saved", Items: []webkit.ProblemItem{{Field: "reason", Text: p.Reason.Error}}}
	}
	if err != nil {
		p.Problem, status = &webkit.Problem{Title: "Error: nothing was saved", Items: []webkit.ProblemItem{{Text: fault.Public(err)}}}, webkit.StatusOf(err)
		v.retryAfter(err)
		if fault.Is(err, fault.Denied) && p.Refusal == nil {
			p.Refusal = &Refusal{Sentence: fault.Public(err)}
		}
	}
	return p.show(v, status)
}

func (v *visit) sectionPath() string {
	if v.section == SectionResources {
		return PathResources
	}
	return PathApplications
}

func (v *visit) sectionName() string {
	if v.section == SectionResources {
		return "Resources"
	}
	return "Applications"
}

// appForm is the form of an application: a new one, or the one that the address
// names.
func (v *visit) appForm() (*form, error) {
	if v.r.PathValue("id") == "" {
		p := &form{FormPage: FormPage{Heading: "New application", Verb: CreateApp, Button: "Create application", Action: PathNewApp, KeepURL: PathApplications, Sets: registry.AppForm(nil)}}
		p.Refusal = v.refusal([]Verb{CreateApp}, []role.Decision{role.Allowed(v.Actor, role.CreateApp, role.Target{})}, directory.UserID{}, "", PathNewApp)
		p.save = func(f webkit.Form, act manage.Act) (string, registry.Mistakes, error) {
			id, patch, m := registry.ReadApp(f, nil)
			if len(m) > 0 {
				return "", m, nil
			}
			a, _, err := v.s.Manage.CreateApp(v.ctx(), v.Actor, manage.NewApp{ID: id, AppPatch: patch}, act)
			if err != nil {
				return "", nil, err
			}
			return AppPath(string(a.ID)) + "?done=created", nil, nil
		}
		return p, nil
	}
	a, err := v.application()
	if err != nil {
		return nil, err
	}
	p := v.editApp(a, EditApp, "Edit "+a.name, "")
	p.Sets = registry.AppForm(a.App)
	p.Intro = "Saving takes effect at once: with the next request of the application."
	p.save = func(f webkit.Form, act manage.Act) (string, registry.Mistakes, error) {
		_, patch, m := registry.ReadApp(f, a.App)
		patch.IfVersion = filledFrom(f)
		return v.saveApp(a, patch, m, act, "")
	}
	return p, nil
}

func (v *visit) editApp(a *application, verb Verb, heading, tab string) *form {
	p := &form{FormPage: FormPage{Heading: heading, Verb: verb, Button: "Save", Action: AppVerbPath(a.id, verb), KeepURL: appTabPath(a.id, tab)}, version: a.Version}
	p.Refusal = v.refusal([]Verb{verb}, []role.Decision{v.may(a, role.UpdateApp)}, directory.UserID{}, a.name, AppVerbPath(a.id, verb))
	return p
}

func (v *visit) saveApp(a *application, patch manage.AppPatch, m registry.Mistakes, act manage.Act, tab string) (string, registry.Mistakes, error) {
	if len(m) > 0 {
		return "", m, nil
	}
	r, err := v.s.Manage.UpdateApp(v.ctx(), v.Actor, a.ID, patch, act)
	return v.after(r, appTabPath(a.id, tab), "saved"), nil, err
}

func (s *Server) getAppForm(v *visit) error {
	p, err := v.appForm()
	if err != nil {
		return err
	}
	return p.show(v, http.StatusOK)
}

func (s *Server) postAppForm(v *visit) error {
	p, err := v.appForm()
	if err != nil {
		return err
	}
	return p.post(v)
}

// rights is the form of what an application may ask for, holds and guards.
func (v *visit) rights() (*form, error) {
	a, err := v.application()
	if err != nil {
		return nil, err
	}
	p := v.editApp(a, EditRights, "Permissions of "+a.name, "consent")
	p.Sets = registry.RightsForm(a.App)
	var lives []string
	for _, c := range v.wide(Consequence{}, a.at)[1:] {
		lives = append(lives, c.What+" "+c.When)
	}
	p.Intro = "Giving more ends nothing. Taking something away ends every grant of " + a.name + " at once; people let it in again. " + strings.Join(lives, ". ")
	if len(lives) > 0 {
		p.Intro += "."
	}
	p.save = func(f webkit.Form, act manage.Act) (string, registry.Mistakes, error) {
		patch, m := registry.ReadRights(f, a.App)
		patch.IfVersion = filledFrom(f)
		return v.saveApp(a, patch, m, act, "consent")
	}
	return p, nil
}

func (s *Server) getRights(v *visit) error {
	p, err := v.rights()
	if err != nil {
		return err
	}
	return p.show(v, http.StatusOK)
}

func (s *Server) postRights(v *visit) error {
	p, err := v.rights()
	if err != nil {
		return err
	}
	return p.post(v)
}
