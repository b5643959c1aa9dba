package desk

// Verb is something an administrator does. Each has one label, one icon and one
// confirmation page, or a form. Rooms keep their own.
type Verb struct {
	// Slug is the verb in an address.
	Slug string
	// Label is the text of its button, Busy while the form is on its way, Keep that
	// of the other button: what stays.
	Label, Busy, Keep string
	Icon              string
	// Key opens its confirmation; empty: none.
	Key string
	// Doing is how a sentence names it: "To … you need".
	Doing string
	// Cuts reports whether the verb ends things, so that its button is the danger one.
	Cuts bool
	// Form reports whether the verb has a page with a form, not a confirmation.
	Form bool
}
