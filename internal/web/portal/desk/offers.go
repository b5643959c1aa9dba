package desk

import (
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
)

// Offers are the verbs that a page offers, each with what the reader's roles say to
// it beforehand. The verb itself decides.
type Offers struct {
	v     *Visit
	verbs []Verb
	ds    []role.Decision
}

// Offers begins a page that offers nothing yet.
func (v *Visit) Offers() *Offers { return &Offers{v: v} }

// May offers a verb that stands somewhere else, and says whether it is open.
func (o *Offers) May(verb Verb, action role.Action, t role.Target) bool {
	d := role.Allowed(o.v.Actor, action, t)
	o.verbs, o.ds = append(o.verbs, verb), append(o.ds, d)
	return d.OK
}

// Command offers a verb in the command bar.
func (o *Offers) Command(verb Verb, action role.Action, t role.Target, address string) Command {
	return Command{Verb: verb, URL: address, Refused: !o.May(verb, action, t)}
}

// Button offers a verb in a card.
func (o *Offers) Button(verb Verb, action role.Action, t role.Target, address string) registry.Button {
	return Button(verb, address, !o.May(verb, action, t))
}

// Refusal says why some are refused; nil when none is. The target has a name, and an
// id if it is a person; page is the address to hand on.
func (o *Offers) Refusal(target directory.UserID, name, page string) *Refusal {
	return o.v.Refusal(o.verbs, o.ds, target, name, page)
}
