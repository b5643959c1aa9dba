package desk

import (
	"net/http"
	"strconv"

	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Form is a page with a form: what it shows, and what it does with what was typed.
type Form struct {
	FormPage
	// Version of the row that the form was filled from; 0: it is being created.
	Version int64
	// Save does it and returns where to go on; mistakes stand beside their fields.
	Save func(webkit.Form, manage.Act) (string, registry.Mistakes, error)
}

// ReasonField is the field at the foot of a form.
func ReasonField(value, problem string) webkit.Field {
	return webkit.Field{Name: "reason", Label: "Reason (optional)", Hint: "Goes into the audit log, and on the receipt if something ends.", Value: value, Error: problem, Autocomplete: "off", Max: MaxReason}
}

// Show sends the form, as of now.
func (p *Form) Show(v *Visit, status int) error {
	p.Shell = v.Shell(p.Heading)
	p.Crumbs = []webkit.Link{v.In(), {Text: p.Heading}}
	if p.Refusal != nil {
		status = http.StatusForbidden
	}
	p.Hidden = nil
	if p.Version > 0 {
		p.Hidden = []Hidden{{"version", strconv.FormatInt(p.Version, 10)}}
	}
	if p.Reason.Name == "" {
		p.Reason = ReasonField("", "")
	}
	return Show(v, FormTemplate, status, p.FormPage)
}

// VersionField keeps the version that a form was filled from.
func VersionField(version int64) Hidden {
	return Hidden{Name: "version", Value: strconv.FormatInt(version, 10)}
}

// In is the page of the navigation that the reader is in.
func (v *Visit) In() webkit.Link {
	in := navItems[v.Section]
	return webkit.Link{Text: in.Text, URL: in.URL}
}

// FilledFrom is the version that a form was filled from. What cannot be read is no
// version there is.
func FilledFrom(f webkit.Form) int64 {
	n, err := strconv.ParseInt(f.Get("version"), 10, 64)
	if err != nil || n < 1 {
		return -1
	}
	return n
}

// Post saves a form, or shows it again with what was typed and the mistakes.
func (p *Form) Post(v *Visit) error {
	f, err := webkit.ParseForm(v.W, v.R)
	if err != nil {
		return err
	}
	p.Reason = ReasonField(f.Get("reason"), "")
	m := registry.Mistakes{}
	where := ""
	switch {
	case len(f.Get("reason")) > MaxReason:
		p.Reason.Error = "The reason has at most 500 characters"
	default:
		where, m, err = p.Save(f, manage.Act{Reason: f.Get("reason")})
	}
	if err == nil && len(m) == 0 && p.Reason.Error == "" {
		return v.To(where)
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
		v.RetryAfter(err)
		if fault.Is(err, fault.Denied) && p.Refusal == nil {
			p.Refusal = &Refusal{Sentence: fault.Public(err)}
		}
	}
	return p.Show(v, status)
}
