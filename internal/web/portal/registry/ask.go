package registry

import (
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Question is what stands on the confirmation of a verb on an application.
type Question struct {
	Title, Intro string
	// Undo says whether it can be taken back; empty: it cannot, if it ends something.
	Undo     string
	Reasoned bool // a reason is demanded
	// First is what ends, in the commit itself. Access tokens follow it: where the
	// application may ask for them, or, with Itself, only those that it holds as
	// itself. Nil: none end.
	First  *Line
	Itself bool
	Rest   []Line
	Fields []webkit.Field
}

// Line is one consequence.
type Line struct {
	Ends            bool // at once; else it stays, or begins
	What, When, Why string
}

func ends(what, when, why string) *Line { return &Line{true, what, when, why} }

func stays(what, when, why string) Line { return Line{false, what, when, why} }

func field(name, label, hint, value string) webkit.Field {
	return webkit.Field{Name: name, Label: label, Hint: hint, Value: value, Autocomplete: "off", Max: 300}
}

// AskRevoke and the others are the questions about a whole application.
func AskRevoke(a *directory.App) Question {
	return Question{Title: "Revoke all grants of " + Name(a) + "?", Reasoned: true, First: ends("Every grant of "+Name(a), "ends at once", "Everybody who uses it lets it in again."),
		Rest: []Line{stays("The application", "stays enabled", "It can get new grants at once.")}}
}

// AskDisable asks.
func AskDisable(a *directory.App) Question {
	return Question{Title: "Disable " + Name(a) + "?", Undo: "Enabling again brings nothing back.", Reasoned: true, First: ends("Every grant of "+Name(a), "ends at once", "It is refused from then on, with people and as itself."),
		Rest: []Line{stays("The registration", "stays as it is", "Secrets, assignments and consents too. Somebody who may can enable it again.")}}
}

// AskEnable asks.
func AskEnable(a *directory.App) Question {
	return Question{Title: "Enable " + Name(a) + "?", Undo: "Can be disabled again.", Rest: []Line{{true, "New grants", "work at once", ""}, stays("What had ended", "stays ended", "Everybody lets it in again.")}}
}

// AskDelete asks.
func AskDelete(a *directory.App) Question {
	return Question{Title: "Delete " + Name(a) + "?", Reasoned: true, First: ends("Every grant of "+Name(a), "ends at once", "The registration, its secrets, assignments and consents are gone."),
		Rest: []Line{stays("A new application of that client id", "inherits nothing", "What was handed out to this one stays dead.")}}
}

// AskAddSecret asks.
func AskAddSecret(a *directory.App) Question {
	return Question{Title: "Add a secret to " + Name(a) + "?", Intro: "It is shown once. Whoever has it can be the application.", Rest: []Line{stays("Other secrets", "stay as they are", "")},
		Fields: []webkit.Field{field("life", "It ends after", "90 days, 12 hours. Empty: never.", "180 days")}}
}

var peoplesGrants = stays("Grants of people", "stay as they are", "They are renewed with whatever it proves itself by then.")

// AskRotate asks.
func AskRotate(a *directory.App) Question {
	first := stays("Old secrets", "end when you say", "With an overlap nothing ends now. Without one, the access tokens that it holds as itself end with the old secrets:")
	return Question{Title: "Rotate the secrets of " + Name(a) + "?", Intro: "A new secret is shown once. It takes the place of all others.", Undo: "The old ones cannot be brought back.", First: &first, Itself: true, Rest: []Line{peoplesGrants},
		Fields: []webkit.Field{field("overlap", "The old ones work for", "So long, at most 90 days, beside the new one. Empty: they end at once.", "7 days"), field("life", "The new one ends after", "Empty: never.", "180 days")}}
}

// AskRemoveSecret asks about one secret.
func AskRemoveSecret(a *directory.App, x directory.AppSecret) Question {
	q := Question{Title: "Remove the secret that begins with " + x.Hint + "?", Itself: true, Rest: []Line{peoplesGrants},
		First: ends("This secret", "is refused at once", "So are the access tokens that "+Name(a)+" holds as itself, by whichever secret it got them.")}
	if len(a.Secrets) == 1 && len(a.Keys) == 0 && a.KeysURI == "" {
		q.Rest = []Line{stays("Grants of people", "wait for a new secret", "It is the last one: "+Name(a)+" cannot prove who it is, so it renews nothing until it has another.")}
	}
	return q
}

// AskAddOwner asks.
func AskAddOwner(a *directory.App) Question {
	return Question{Title: "Add an owner of " + Name(a) + "?", Fields: []webkit.Field{field("who", "Who", "The whole user name, or the object id.", "")},
		Rest: []Line{stays("The owner", "needs no role", "To change the registration and its secrets, and who is assigned. With a secret one can be the application.")}}
}

// AskRemoveOwner asks about one owner.
func AskRemoveOwner(a *directory.App, name string) Question {
	return Question{Title: "Take " + Name(a) + " from " + name + "?", Undo: "Can be added again.",
		Rest: []Line{*ends("The rights of an owner", "end at once", ""), stays("Secrets that were seen", "stay good", "Rotate them, if they should not.")}}
}

var sessionsStay = stays("Browser sessions", "stay as they are", "")

// AskRequire asks.
func AskRequire(a *directory.App) Question {
	return Question{Title: "Let only assigned people into " + Name(a) + "?", Undo: "Everybody can be let in again.", Rest: []Line{sessionsStay},
		First: ends("Every grant of "+Name(a), "ends at once", "Who is assigned gets a new one by signing in; nobody else does.")}
}

// AskLetIn asks.
func AskLetIn(a *directory.App) Question {
	return Question{Title: "Let everybody into " + Name(a) + "?", Undo: "Assignment can be required again.",
		Rest: []Line{{true, "Everybody", "is let in at once", "Where consent is needed, it still is."}, stays("Assignments", "stay as they are", "They matter again once they are required.")}}
}

// AskAssign asks.
func AskAssign(a *directory.App) Question {
	return Question{Title: "Assign a person or a group to " + Name(a) + "?", Rest: []Line{{true, "They", "are let in at once", "Of a group, whoever is a member."}},
		Fields: []webkit.Field{field("who", "Who", "The whole user name, the name of the group, or the object id.", ""), field("role", "Role (optional)", "A name that the application knows.", "")}}
}

// AskUnassign asks about one assignment.
func AskUnassign(a *directory.App, x manage.AppAssignment) Question {
	q := Question{Title: "Take " + Name(a) + " from " + x.Name + "?", Undo: "Can be assigned again."}
	switch {
	case !a.AssignmentRequired:
		q.Rest = []Line{stays("Access to "+Name(a), "stays as it is", "Assignment is not required: everybody is let in.")}
		return q
	case x.User.IsZero():
		q.First = ends("Grants of the members of "+x.Name, "end at once", "Of those who are not assigned in another way.")
	default:
		q.First = ends("Grants of "+x.Name, "end at once", "Unless they are assigned in another way.")
	}
	q.Rest = []Line{sessionsStay}
	return q
}

// AskConsent asks.
func AskConsent(a *directory.App) Question {
	x := field("permissions", "To what", "One resource on each line, and its scopes behind it. It takes the place of what administrators consented to at that resource.", WritePermissions(a.Permissions))
	x.Lines, x.Mono, x.Max = 4, true, 20000
	return Question{Title: "Consent to " + Name(a) + " for everybody?", Fields: []webkit.Field{x},
		Rest: []Line{{true, "Everybody", "is asked no more", "For these scopes, in every account of the directory."}, stays("A scope that is taken away", "ends its grants", "Everybody's, at once.")}}
}

// AskWithdraw asks about one person's consent, or that for everybody.
func AskWithdraw(a *directory.App, whose, next string) Question {
	return Question{Title: "Withdraw the consent of " + whose + " to " + Name(a) + "?", Undo: "Consent can be given again.", Rest: []Line{sessionsStay},
		First: ends("Grants of "+whose+" in "+Name(a), "end at once", next)}
}
