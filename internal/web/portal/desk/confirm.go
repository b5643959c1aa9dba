package desk

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/web/portal/receipt"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// MaxReason bounds the reason in bytes, as the verbs do.
const MaxReason = 500

// CannotUndo stands beside the button.
const CannotUndo = "Cannot be undone."

// Confirm is the confirmation page of a verb, which the script shows as a dialog.
// The form is posted to Action with the fields reason, widen, password (if asked),
// domain (if asked), verb (if bulk) and id (repeated, if bulk).
type Confirm struct {
	Shell
	Verb Verb
	// Question is the title, with the name: "Revoke Ada Lovelace's sessions?"
	Question string
	// Intro is one sentence below it; may be empty.
	Intro        string
	Consequences []Consequence
	// Widen is a checkbox that does more, such as disabling as well.
	Widen *webkit.Check
	// Extra are fields besides the reason, such as a temporary password.
	Extra []webkit.Field
	// ReasonHint says who sees the reason.
	ReasonHint     string
	Reason         string
	ReasonRequired bool
	ReasonError    string
	// TypeThis must be typed before going on, for acts on everybody.
	TypeThis  string
	Typed     string
	TypeError string
	Problem   *webkit.Problem
	Action    string
	KeepURL   string
	Hidden    []Hidden
	Refusal   *Refusal // set: the button is refused and there is no form
	// Undo says whether it can be taken back: "Cannot be undone."
	Undo string
}

// PageTitle is the frame, marked when the form came back with errors.
func (c Confirm) PageTitle() webkit.Frame { return c.Frame.Failing(c.Problem != nil) }

// ReasonField is the field of the reason; it has the focus.
func (c Confirm) ReasonField() webkit.Field {
	label := "Reason"
	if !c.ReasonRequired {
		label = "Reason (optional)"
	}
	return webkit.Field{Name: "reason", Label: label, Hint: c.ReasonHint, Error: c.ReasonError, Value: c.Reason,
		Required: c.ReasonRequired, Autofocus: c.Problem == nil && len(c.Extra) == 0, Autocomplete: "off", Max: 500}
}

// TypeField is the field in which the domain is typed.
func (c Confirm) TypeField() webkit.Field {
	return webkit.Field{Name: "domain", Label: "Type " + c.TypeThis + " to go on", Error: c.TypeError, Value: c.Typed,
		Required: true, Autocomplete: "off", Mono: true}
}

// Consequence is one line of what will happen.
type Consequence struct {
	// Ending picks icon and colour; NotBefore is set off as what is left.
	Kind receipt.EndKind
	What string // "1 access token in Legacy"
	When string // "lives until 12:51:07"
	Why  string // "Legacy has no guard. Nothing can end it sooner."
}

// Icon is the consequence's icon.
func (c Consequence) Icon() string { return receipt.Ending{Kind: c.Kind}.Icon() }

// Tone is the class that colours the icon.
func (c Consequence) Tone() string { return receipt.Ending{Kind: c.Kind}.Tone() }

// Stays reports whether the line is about something that outlives the act.
func (c Consequence) Stays() bool { return c.Kind == receipt.NotBefore }

// Show sends a confirmation page, as of now.
func (c *Confirm) Show(v *Visit, status int) error {
	c.Shell = v.Shell(c.Question)
	if c.Refusal != nil && status == http.StatusOK {
		status = http.StatusForbidden
	}
	return Show(v, ConfirmPage, status, *c)
}

// Submit reads a confirmation's form, does it, and shows the page again, as of now
// and with what was typed, when it was not done. do returns what to say beside a
// field as a *Mistake.
func (v *Visit) Submit(build func() (*Confirm, error), do func(webkit.Form) error) error {
	f, err := webkit.ParseForm(v.W, v.R, "id")
	if err != nil {
		return err
	}
	var m *Mistake
	if len(f.Get("reason")) > MaxReason {
		err = &Mistake{"reason", "The reason has at most 500 characters"}
	} else {
		err = do(f)
	}
	kind, field := fault.KindOf(err), errors.As(err, &m)
	switch {
	case err == nil:
		return nil
	case kind == fault.Revoked, kind == fault.Unauthenticated, kind == fault.NotFound:
		return err
	}
	c, berr := build()
	if berr != nil {
		return berr
	}
	c.Reason, c.Typed = f.Get("reason"), f.Get("domain")
	for i := range c.Extra {
		c.Extra[i].Value = f.Get(c.Extra[i].Name)
	}
	if c.Widen != nil {
		c.Widen.Checked = f.Has("widen")
	}
	item := webkit.ProblemItem{Text: fault.Public(err)}
	status := webkit.StatusOf(err)
	c.Problem = &webkit.Problem{Title: "Error: nothing was done"}
	switch {
	case field:
		status, item = http.StatusUnprocessableEntity, webkit.ProblemItem{Field: m.Field, Text: m.Text}
		switch i := slices.IndexFunc(c.Extra, func(x webkit.Field) bool { return x.Name == m.Field }); {
		case i >= 0:
			c.Extra[i].Error = m.Text
		case m.Field == "reason":
			c.ReasonError = m.Text
		default:
			c.TypeError = m.Text
		}
	case kind == fault.Denied:
		c.Problem = nil
		if c.Refusal == nil {
			c.Refusal = &Refusal{Sentence: fault.Public(err)}
		}
	case kind == fault.Internal:
		v.Log(c.Verb.Slug, err)
		c.Problem.Title = "Error: not known"
		item.Text = "We do not know whether it was done: the answer was lost. Doing it again is safe."
	}
	if c.Problem != nil {
		c.Problem.Items = []webkit.ProblemItem{item}
	}
	v.RetryAfter(err)
	return c.Show(v, status)
}

// Mistake is something wrong with one field.
type Mistake struct{ Field, Text string }

func (m *Mistake) Error() string { return m.Field + ": " + m.Text }

// Put writes a question onto its page, below what is there.
func (c *Confirm) Put(q registry.Question) {
	c.Question, c.Intro, c.Undo, c.ReasonRequired, c.Extra = q.Title, q.Intro, cmp.Or(q.Undo, c.Undo), q.Reasoned, q.Fields
	if len(c.Extra) > 0 {
		c.Extra[0].Autofocus = true
	}
	for _, l := range q.Rest {
		c.Consequences = append(c.Consequences, ConsequenceOf(l))
	}
}

// Unreasoned reports whether a reason is missing.
func (c *Confirm) Unreasoned(f webkit.Form) bool {
	return c.ReasonRequired && c.Refusal == nil && strings.TrimSpace(f.Get("reason")) == ""
}

// ConsequenceOf is a line of a question.
func ConsequenceOf(l registry.Line) Consequence {
	if l.Ends {
		return Consequence{receipt.AtOnce, l.What, l.When, l.Why}
	}
	return Consequence{receipt.EndUnknown, l.What, l.When, l.Why}
}

// ErrNoPart is what to say of a part that the address names and nobody finds.
var ErrNoPart = fault.New(fault.NotFound, "That was over already. Nothing was changed.")
