package desk

import (
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Filter is one property of a list by which it can be narrowed.
type Filter struct {
	Label string // "Status"
	// Value in words when set: "Disabled"; empty: not set.
	Value    string
	ClearURL string
	Options  []webkit.Link
}

// Paging is the foot of a list.
type Paging struct {
	From, To, Total  int    // From 0: nothing listed; Total negative: not counted
	PrevURL, NextURL string // empty: there is none
	Size             int
	Sizes            []webkit.Link
}

// Hidden is a hidden field.
type Hidden struct{ Name, Value string }

// Tab is one tab of the profile page.
type Tab struct {
	Text, URL string
	Count     int // negative: not counted
	Current   bool
}

// Thing is the page of an application, of a resource or of deliveries: a header,
// commands, tabs and cards.
type Thing struct {
	Shell
	// Icon stands where a person's initials would.
	Icon, Name string
	// ID is its identifier, to be copied; may be empty.
	ID       string
	Chips    []registry.Mark
	Commands []Command
	Refusal  *Refusal
	// Done is one sentence about an act without a receipt that the reader may see.
	Done  string
	Tabs  []Tab
	Cards []registry.Card
	// Duo sets the cards in two columns where there is room.
	Duo bool
	// Code, when set, stands below the cards.
	Code *Code
	// Audit, when set, stands below the cards.
	Audit *AuditTable
}

// Code is text to copy, such as JSON. Rows of it are in sight.
type Code struct {
	Title, Hint, Text string
	Rows              int
}

// Columns are the cards as two columns: the first half, and the rest.
func (t Thing) Columns() [][]registry.Card {
	half := len(t.Cards) / 2
	return [][]registry.Card{t.Cards[:half], t.Cards[half:]}
}

// UserTab is a further tab on the profile of a person, which a room beside the portal
// fills.
type UserTab struct {
	// Word is the tab in the address.
	Word, Text string
	// Cards are what stands on it; what they offer goes into o, so that the page says
	// why something is refused.
	Cards func(v *Visit, o *Offers, p Person) ([]registry.Card, error)
}

// Person is whom a profile is about.
type Person struct {
	ID     directory.UserID
	Name   string // as pages call the person
	Target role.Target
}

// FormPage is a form that takes a page: fieldsets, a reason, two buttons.
type FormPage struct {
	Shell
	Heading, Intro string
	// Consequences are what saving does, once that is known.
	Consequences []Consequence
	Problem      *webkit.Problem
	Sets         []webkit.Fieldset
	Reason       webkit.Field
	Verb         Verb
	Button       string // empty: the verb's label
	Action       string
	KeepURL      string
	Hidden       []Hidden
	Refusal      *Refusal
}

// PageTitle is the frame, marked when the form came back with errors.
func (p FormPage) PageTitle() webkit.Frame { return p.Frame.Failing(p.Problem != nil) }

// Label is the text of the button.
func (p FormPage) Label() string {
	if p.Button != "" {
		return p.Button
	}
	return p.Verb.Label
}

// Once shows a secret once, in the answer to the post itself.
type Once struct {
	Shell
	Heading, Rest string
	Facts         []registry.Fact // what it is for
	Label, Secret string
	Hint          string
	Copy          string // the button's text
	Back          webkit.Link
	ReceiptURL    string // empty: none
}

// Things is a list of applications or of resources.
type Things struct {
	Shell
	Heading   string
	About     string // a sentence below it; empty: none
	Commands  []Command
	Refusal   *Refusal
	Done      string
	Query     string
	Search    string // label of the field; empty: no search
	Filters   []Filter
	Hidden    []Hidden
	Found     int // negative: not counted; FoundText then
	FoundText string
	Table     *registry.Table
	Paging    Paging
	ListURL   string // without search and filters
	// Empty and Command stand in place of the list while there is nothing at all.
	Empty, Command string
	// Nothing is the same without a command.
	Nothing string
}

// Cards are drawn as of now, with links to people for those who may see them.
func (v *Visit) Cards() registry.Page {
	return registry.Page{Clock: v.Clock(v.Now()), Person: func(id directory.UserID) string {
		if len(v.Held.Roles) == 0 {
			return ""
		}
		return UserPath(id.String())
	}}
}

// Button is the button of a verb in a card.
func Button(verb Verb, address string, refused bool) registry.Button {
	return registry.Button{Label: verb.Label, Icon: verb.Icon, URL: address, Refused: refused, Form: verb.Form}
}
