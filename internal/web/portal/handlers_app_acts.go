package portal

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// judge says beforehand what the verb will.
func (x appAct) judge(v *visit, a *application) role.Decision {
	if x.roles {
		return role.Allowed(v.Actor, x.action, role.Target{})
	}
	return v.may(a, x.action)
}

// thingDone are the sentences about an act of which the reader sees no receipt.
func thingDone(word string) string {
	return map[string]string{
		"enabled": "The application is enabled. It can get new grants; what had ended stays ended.", "owner-added": "The owner was added.", "owner-removed": "The owner was removed.",
		"assigned": "The assignment was added.", "unassigned": "The assignment was taken away. Nothing had to end.", "open": "Everybody is let in now.", "consented": "The consent holds for everybody now.",
		"saved": "The application was saved.", "created": "The application was registered.", "deleted": "The application was deleted.", "secret-removed": "The secret was removed. Nothing had to end.",
		"resource-created": "The resource was registered.", "resource-saved": "The resource was saved.", "resource-deleted": "The resource was deleted.",
		"ended": "It was done. What it ended has a receipt, which a role is needed to read.", "same": "Nothing was changed: it was so already.",
	}[word]
}

func (v *visit) appAct() (appAct, *application, error) {
	x, ok := appActs[v.R.PathValue("verb")]
	if !ok || x.ask == nil || x.part != (v.R.PathValue("part") != "") {
		return x, nil, fault.New(fault.NotFound, "There is no such page.")
	}
	a, err := v.application()
	return x, a, err
}

func (v *visit) askApp(x appAct, a *application) (*desk.Confirm, error) {
	c := &desk.Confirm{Verb: x.verb, Action: v.R.URL.EscapedPath(), KeepURL: appTabPath(a.id, x.tab), ReasonHint: "Goes into the audit log."}
	if x.verb.Cuts {
		c.Undo, c.ReasonHint = desk.CannotUndo, "Goes on the receipt and into the audit log."
	}
	c.Refusal = v.Refusal([]desk.Verb{x.verb}, []role.Decision{x.judge(v, a)}, directory.UserID{}, a.name, desk.AppPath(a.id))
	q, err := x.ask(v, a)
	if err != nil {
		return nil, err
	}
	if q.First != nil {
		reach := a.at
		if q.Itself {
			reach = a.itself
		}
		c.Consequences = v.wide(desk.ConsequenceOf(*q.First), reach)
	}
	c.Put(q)
	return c, nil
}

func (s *Server) getAppVerb(v *visit) error {
	x, a, err := v.appAct()
	if err != nil {
		return err
	}
	c, err := v.askApp(x, a)
	if err != nil {
		return err
	}
	return c.Show(v.Visit, http.StatusOK)
}

func (s *Server) postAppVerb(v *visit) error {
	x, a, err := v.appAct()
	if err != nil {
		return err
	}
	c, err := v.askApp(x, a)
	if err != nil {
		return err
	}
	return v.Submit(func() (*desk.Confirm, error) { return c, nil }, func(f webkit.Form) error {
		if c.Unreasoned(f) {
			return &desk.Mistake{Field: "reason", Text: "Give a reason"}
		}
		r, word, err := x.do(v, a, f, manage.Act{Reason: f.Get("reason")})
		if err != nil || word == answered {
			return err
		}
		return v.To(v.after(r, appTabPath(a.id, x.tab), word))
	})
}

// after is where to go on after an act: to its receipt, for those who may read it,
// or back with a sentence.
func (v *visit) after(r *manage.Receipt, page, word string) string {
	switch {
	case r != nil && role.Allowed(v.Actor, role.ReadReceipts, role.Target{}).OK:
		return desk.ReceiptPath(r.ID)
	case r != nil && word != "deleted":
		word = "ended"
	case word == "":
		word = "same"
	}
	if strings.Contains(page, "?") {
		return page + "&done=" + word
	}
	return page + "?done=" + word
}

// at reports whether an application asks for tokens at a resource, or holds some.
func (a *application) at(id directory.ResourceID) bool {
	has := func(p directory.Permission) bool { return p.Resource == id }
	return slices.ContainsFunc(a.Permissions, has) || slices.ContainsFunc(a.AppPermissions, has)
}

// itself reports whether it holds something there as itself.
func (a *application) itself(id directory.ResourceID) bool {
	return slices.ContainsFunc(a.AppPermissions, func(p directory.Permission) bool { return p.Resource == id })
}

// publicOf is the sentence of an error; none has none.
func publicOf(err error) string {
	if err == nil {
		return ""
	}
	return fault.Public(err)
}

// lifeOf reads a field with a span of time.
func lifeOf(f webkit.Form, name string) (time.Duration, error) {
	d, err := registry.ReadSpan(f.Get(name))
	if err != nil {
		return 0, &desk.Mistake{Field: name, Text: strings.TrimSuffix(fault.Public(err), ".")}
	}
	return d, nil
}

// whom reads the field who: a person or a group that the verb finds.
func (v *visit) whom(a *application, f webkit.Form) (manage.NewAppAssignment, error) {
	ref := strings.TrimSpace(f.Get("who"))
	if ref == "" {
		return manage.NewAppAssignment{}, &desk.Mistake{Field: "who", Text: "Write who"}
	}
	n, err := v.s.Manage.Named(v.Ctx(), v.Actor, a.ID, ref)
	if fault.Is(err, fault.NotFound) {
		err = &desk.Mistake{Field: "who", Text: "There is nobody, and no group, of that name"}
	}
	return n, err
}

// newSecret shows a secret once, in the answer to the post itself: it is stored
// nowhere.
func (v *visit) newSecret(a *application, made *manage.NewSecret, r *manage.Receipt) error {
	view := desk.Once{Shell: v.Shell("New secret of " + a.name), Heading: "New secret of " + a.name, Facts: []registry.Fact{{Label: "Client id", Values: []string{a.id}}}, Label: "Secret", Secret: made.Value,
		Hint: "Shown once, now. It does not end by itself.", Copy: "Copy secret", Back: webkit.Link{Text: "Back to " + a.name, URL: appTabPath(a.id, "secrets")}}
	if !made.Expires.IsZero() {
		view.Hint = "Shown once, now. It ends " + view.When(made.Expires) + "."
	}
	switch {
	case !made.OldUntil.IsZero():
		view.Rest = "The old secrets work until " + view.When(made.OldUntil) + ". Nothing ended."
	case r != nil:
		view.Rest = "The old secrets ended at " + view.Milli(r.At) + ", and with them what the application held as itself."
		if role.Allowed(v.Actor, role.ReadReceipts, role.Target{}).OK {
			view.ReceiptURL = desk.ReceiptPath(r.ID)
		}
	}
	return desk.Show(v.Visit, desk.OncePage, http.StatusOK, view)
}
