package portal

import (
	"net/http"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// appForm is the form of an application: a new one, or the one that the address
// names.
func (v *visit) appForm() (*desk.Form, error) {
	if v.R.PathValue("id") == "" {
		p := &desk.Form{FormPage: desk.FormPage{Heading: "New application", Verb: CreateApp, Button: "Create application", Action: desk.PathNewApp, KeepURL: desk.PathApplications, Sets: registry.AppForm(nil)}}
		p.Refusal = v.Refusal([]desk.Verb{CreateApp}, []role.Decision{role.Allowed(v.Actor, role.CreateApp, role.Target{})}, directory.UserID{}, "", desk.PathNewApp)
		p.Save = func(f webkit.Form, act manage.Act) (string, registry.Mistakes, error) {
			id, patch, m := registry.ReadApp(f, nil)
			if len(m) > 0 {
				return "", m, nil
			}
			a, _, err := v.s.Manage.CreateApp(v.Ctx(), v.Actor, manage.NewApp{ID: id, AppPatch: patch}, act)
			if err != nil {
				return "", nil, err
			}
			return desk.AppPath(string(a.ID)) + "?done=created", nil, nil
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
	p.Save = func(f webkit.Form, act manage.Act) (string, registry.Mistakes, error) {
		_, patch, m := registry.ReadApp(f, a.App)
		patch.IfVersion = desk.FilledFrom(f)
		return v.saveApp(a, patch, m, act, "")
	}
	return p, nil
}

func (v *visit) editApp(a *application, verb desk.Verb, heading, tab string) *desk.Form {
	p := &desk.Form{FormPage: desk.FormPage{Heading: heading, Verb: verb, Button: "Save", Action: AppVerbPath(a.id, verb), KeepURL: appTabPath(a.id, tab)}, Version: a.Version}
	p.Refusal = v.Refusal([]desk.Verb{verb}, []role.Decision{v.may(a, role.UpdateApp)}, directory.UserID{}, a.name, AppVerbPath(a.id, verb))
	return p
}

func (v *visit) saveApp(a *application, patch manage.AppPatch, m registry.Mistakes, act manage.Act, tab string) (string, registry.Mistakes, error) {
	if len(m) > 0 {
		return "", m, nil
	}
	r, err := v.s.Manage.UpdateApp(v.Ctx(), v.Actor, a.ID, patch, act)
	return v.after(r, appTabPath(a.id, tab), "saved"), nil, err
}

func (s *Server) getAppForm(v *visit) error {
	p, err := v.appForm()
	if err != nil {
		return err
	}
	return p.Show(v.Visit, http.StatusOK)
}

func (s *Server) postAppForm(v *visit) error {
	p, err := v.appForm()
	if err != nil {
		return err
	}
	return p.Post(v.Visit)
}

// rights is the form of what an application may ask for, holds and guards.
func (v *visit) rights() (*desk.Form, error) {
	a, err := v.application()
	if err != nil {
		return nil, err
	}
	p := v.editApp(a, EditRights, "Permissions of "+a.name, "consent")
	p.Sets = registry.RightsForm(a.App)
	var lives []string
	for _, c := range v.wide(desk.Consequence{}, a.at)[1:] {
		lives = append(lives, c.What+" "+c.When)
	}
	p.Intro = "Giving more ends nothing. Taking something away ends every grant of " + a.name + " at once; people let it in again. " + strings.Join(lives, ". ")
	if len(lives) > 0 {
		p.Intro += "."
	}
	p.Save = func(f webkit.Form, act manage.Act) (string, registry.Mistakes, error) {
		patch, m := registry.ReadRights(f, a.App)
		patch.IfVersion = desk.FilledFrom(f)
		return v.saveApp(a, patch, m, act, "consent")
	}
	return p, nil
}

func (s *Server) getRights(v *visit) error {
	p, err := v.rights()
	if err != nil {
		return err
	}
	return p.Show(v.Visit, http.StatusOK)
}

func (s *Server) postRights(v *visit) error {
	p, err := v.rights()
	if err != nil {
		return err
	}
	return p.Post(v.Visit)
}
