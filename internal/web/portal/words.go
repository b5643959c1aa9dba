package portal

import (
	"slices"

	"github.com/curfew-id/curfew/internal/web/portal/receipt"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
)

// State is where a promise stands, and Receipt the panel made of states: package
// receipt has the words.
type (
	State      = receipt.State
	Receipt    = receipt.Receipt
	ReceiptRow = receipt.Row
)

// The states.
const (
	Unknown   = receipt.Unknown
	Ended     = receipt.Ended
	Confirmed = receipt.Confirmed
	Waiting   = receipt.Waiting
	Closes    = receipt.Closes
	Closed    = receipt.Closed
	Lives     = receipt.Lives
	Over      = receipt.Over
	Refused   = receipt.Refused
	Failed    = receipt.Failed
	Gone      = receipt.Gone
)

// Account is the state of a user's account.
type Account uint8

// The account states.
const (
	Enabled Account = iota
	Disabled
	NewPasswordDue
	ServiceAccount // an application's own identity, enabled
)

var accounts = [...]struct{ icon, tone, word string }{
	Enabled:        {"ended", "t-ok", "Enabled"},
	Disabled:       {"disabled", "t-2", "Disabled"},
	NewPasswordDue: {"key", "t-2", "New password due"},
	ServiceAccount: {"apps", "t-2", "Service account"},
}

// Icon is the account state's icon.
func (a Account) Icon() string { return accounts[a].icon }

// Tone is the class that colours the icon.
func (a Account) Tone() string { return accounts[a].tone }

// Word is the account state's word.
func (a Account) Word() string { return accounts[a].word }

// EndKind is how something would end if it were revoked now.
type (
	EndKind = receipt.EndKind
	Ending  = receipt.Ending
)

// The kinds of ending.
const (
	EndUnknown  = receipt.EndUnknown
	NothingLive = receipt.NothingLive
	AtOnce      = receipt.AtOnce
	Within      = receipt.Within
	NotBefore   = receipt.NotBefore
)

// Verb is something an administrator does. Each has one label, one icon and one
// confirmation page.
type Verb uint8

// The verbs of the portal.
const (
	RevokeSessions Verb = iota // of one or several users
	DisableAccount
	EnableAccount
	ResetPassword
	RevokeSession // one browser session
	RevokeGrant   // one grant
	RevokeApp     // every grant of an application
	RevokeAll     // everybody
	DisableApp
	EnableApp
	DeleteApp
	AddSecret
	RotateSecrets
	RemoveSecret
	AddOwner
	RemoveOwner
	RequireAssignment
	LetEverybodyIn
	Assign
	Unassign
	ConsentForAll
	WithdrawConsent
	EditApp    // a form, no confirmation; and below
	EditRights // what it may ask for, holds and guards
	CreateApp
	EditResource
	DeleteResource
	CreateResource
	WakeRecipient // a failing application, now
	RetryLetter   // a dead letter
	DropLetter
)

var verbs = [...]struct{ slug, label, busy, keep, icon, key string }{
	RevokeSessions: {"revoke", "Revoke sessions", "Revoking…", "Keep sessions", "revoke", "R"},
	DisableAccount: {"disable", "Disable account", "Disabling…", "Keep account enabled", "disabled", ""},
	EnableAccount:  {"enable", "Enable account", "Enabling…", "Keep account disabled", "ended", ""},
	ResetPassword:  {"reset-password", "Reset password", "Resetting…", "Keep password", "key", ""},
	RevokeSession:  {"revoke-session", "End session", "Ending…", "Keep session", "revoke", ""},
	RevokeGrant:    {"revoke-grant", "Revoke grant", "Revoking…", "Keep grant", "revoke", ""},
	RevokeApp:      {"revoke", "Revoke grants", "Revoking…", "Keep grants", "revoke", "R"},
	RevokeAll:      {"revoke-all", "Revoke everyone", "Revoking…", "Keep everyone signed in", "revoke", ""},

	DisableApp:        {"disable", "Disable application", "Disabling…", "Keep it enabled", "disabled", ""},
	EnableApp:         {"enable", "Enable application", "Enabling…", "Keep it disabled", "ended", ""},
	DeleteApp:         {"delete", "Delete application", "Deleting…", "Keep application", "x", ""},
	AddSecret:         {registry.AddSecret, "Add secret", "Adding…", "Add none", "plus", ""},
	RotateSecrets:     {registry.RotateSecrets, "Rotate secrets", "Rotating…", "Keep secrets", "renew", ""},
	RemoveSecret:      {registry.RemoveSecret, "Remove secret", "Removing…", "Keep secret", "x", ""},
	AddOwner:          {registry.AddOwner, "Add owner", "Adding…", "Add nobody", "plus", ""},
	RemoveOwner:       {registry.RemoveOwner, "Remove owner", "Removing…", "Keep owner", "x", ""},
	RequireAssignment: {registry.RequireAssignment, "Require assignment", "Saving…", "Let everybody in", "refused", ""},
	LetEverybodyIn:    {registry.LetEverybodyIn, "Let everybody in", "Saving…", "Keep requiring assignment", "user", ""},
	Assign:            {registry.Assign, "Assign", "Assigning…", "Assign nobody", "plus", ""},
	Unassign:          {registry.Unassign, "Take away", "Taking away…", "Keep assignment", "x", ""},
	ConsentForAll:     {registry.ConsentForAll, "Consent for everybody", "Saving…", "Consent to nothing", "ended", ""},
	WithdrawConsent:   {registry.WithdrawConsent, "Withdraw consent", "Withdrawing…", "Keep consent", "x", ""},
	EditApp:           {"edit", "Edit", "Saving…", "Change nothing", "edit", ""},
	EditRights:        {registry.EditRights, "Edit permissions", "Saving…", "Change nothing", "edit", ""},
	EditResource:      {"edit", "Edit", "Saving…", "Change nothing", "edit", ""},
	DeleteResource:    {"delete", "Delete resource", "Deleting…", "Keep resource", "x", ""},
	CreateResource:    {"create", "New resource", "Creating…", "Create none", "plus", ""},
	WakeRecipient:     {registry.WakeRecipient, "Try now", "Asking…", "Wait", "renew", ""},
	RetryLetter:       {registry.RetryLetter, "Try again", "Asking…", "Keep letter", "renew", ""},
	DropLetter:        {registry.DropLetter, "Drop", "Dropping…", "Keep letter", "x", ""},
	CreateApp:         {"create", "New application", "Creating…", "Create none", "plus", ""},
}

// Slug is the verb in an address and in the field "verb" of the bulk form.
func (v Verb) Slug() string { return verbs[v].slug }

// Label is the text of its button.
func (v Verb) Label() string { return verbs[v].label }

// Busy is the text of its button while the form is on its way.
func (v Verb) Busy() string { return verbs[v].busy }

// Keep is the text of the other button: what stays.
func (v Verb) Keep() string { return verbs[v].keep }

// Icon is the verb's icon.
func (v Verb) Icon() string { return verbs[v].icon }

// Key is the key that opens its confirmation; empty: none.
func (v Verb) Key() string { return verbs[v].key }

// Cuts reports whether the verb ends things, so that its button is the danger one.
func (v Verb) Cuts() bool {
	switch v {
	case EnableAccount, EnableApp, AddSecret, AddOwner, LetEverybodyIn, Assign, ConsentForAll, EditApp, EditRights, CreateApp, EditResource, CreateResource, WakeRecipient, RetryLetter:
		return false
	}
	return true
}

// Form reports whether the verb has a page with a form, not a confirmation.
func (v Verb) Form() bool {
	return slices.Contains([]Verb{EditApp, EditRights, CreateApp, EditResource, CreateResource}, v)
}

// ParseBulkVerb reads the field "verb" of the bulk form.
func ParseBulkVerb(s string) (Verb, bool) {
	for _, v := range []Verb{RevokeSessions, DisableAccount, EnableAccount, ResetPassword} {
		if v.Slug() == s {
			return v, true
		}
	}
	return 0, false
}
