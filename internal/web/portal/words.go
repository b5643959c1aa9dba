package portal

import (
	"github.com/curfew-id/curfew/internal/web/portal/desk"
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

// The verbs of the portal.
var (
	RevokeSessions    = desk.Verb{Slug: "revoke", Label: "Revoke sessions", Busy: "Revoking…", Keep: "Keep sessions", Icon: "revoke", Key: "R", Doing: "revoke sessions", Cuts: true} // of one or several users
	DisableAccount    = desk.Verb{Slug: "disable", Label: "Disable account", Busy: "Disabling…", Keep: "Keep account enabled", Icon: "disabled", Doing: "disable the account", Cuts: true}
	EnableAccount     = desk.Verb{Slug: "enable", Label: "Enable account", Busy: "Enabling…", Keep: "Keep account disabled", Icon: "ended", Doing: "enable the account"}
	ResetPassword     = desk.Verb{Slug: "reset-password", Label: "Reset password", Busy: "Resetting…", Keep: "Keep password", Icon: "key", Doing: "reset the password", Cuts: true}
	RevokeSession     = desk.Verb{Slug: "revoke-session", Label: "End session", Busy: "Ending…", Keep: "Keep session", Icon: "revoke", Doing: "end a session", Cuts: true}                       // one browser session
	RevokeGrant       = desk.Verb{Slug: "revoke-grant", Label: "Revoke grant", Busy: "Revoking…", Keep: "Keep grant", Icon: "revoke", Doing: "revoke a grant", Cuts: true}                       // one grant
	RevokeApp         = desk.Verb{Slug: "revoke", Label: "Revoke grants", Busy: "Revoking…", Keep: "Keep grants", Icon: "revoke", Key: "R", Doing: "revoke an application's grants", Cuts: true} // every grant of an application
	RevokeAll         = desk.Verb{Slug: "revoke-all", Label: "Revoke everyone", Busy: "Revoking…", Keep: "Keep everyone signed in", Icon: "revoke", Doing: "revoke everyone", Cuts: true}        // everybody
	DisableApp        = desk.Verb{Slug: "disable", Label: "Disable application", Busy: "Disabling…", Keep: "Keep it enabled", Icon: "disabled", Doing: "disable the application", Cuts: true}
	EnableApp         = desk.Verb{Slug: "enable", Label: "Enable application", Busy: "Enabling…", Keep: "Keep it disabled", Icon: "ended", Doing: "enable the application"}
	DeleteApp         = desk.Verb{Slug: "delete", Label: "Delete application", Busy: "Deleting…", Keep: "Keep application", Icon: "x", Doing: "delete the application", Cuts: true}
	AddSecret         = desk.Verb{Slug: registry.AddSecret, Label: "Add secret", Busy: "Adding…", Keep: "Add none", Icon: "plus", Doing: "change its secrets"}
	RotateSecrets     = desk.Verb{Slug: registry.RotateSecrets, Label: "Rotate secrets", Busy: "Rotating…", Keep: "Keep secrets", Icon: "renew", Doing: "change its secrets", Cuts: true}
	RemoveSecret      = desk.Verb{Slug: registry.RemoveSecret, Label: "Remove secret", Busy: "Removing…", Keep: "Keep secret", Icon: "x", Doing: "change its secrets", Cuts: true}
	AddOwner          = desk.Verb{Slug: registry.AddOwner, Label: "Add owner", Busy: "Adding…", Keep: "Add nobody", Icon: "plus", Doing: "change the application"}
	RemoveOwner       = desk.Verb{Slug: registry.RemoveOwner, Label: "Remove owner", Busy: "Removing…", Keep: "Keep owner", Icon: "x", Doing: "change the application", Cuts: true}
	RequireAssignment = desk.Verb{Slug: registry.RequireAssignment, Label: "Require assignment", Busy: "Saving…", Keep: "Let everybody in", Icon: "refused", Doing: "change the application", Cuts: true}
	LetEverybodyIn    = desk.Verb{Slug: registry.LetEverybodyIn, Label: "Let everybody in", Busy: "Saving…", Keep: "Keep requiring assignment", Icon: "user", Doing: "change the application"}
	Assign            = desk.Verb{Slug: registry.Assign, Label: "Assign", Busy: "Assigning…", Keep: "Assign nobody", Icon: "plus", Doing: "assign people to it"}
	Unassign          = desk.Verb{Slug: registry.Unassign, Label: "Take away", Busy: "Taking away…", Keep: "Keep assignment", Icon: "x", Doing: "assign people to it", Cuts: true}
	ConsentForAll     = desk.Verb{Slug: registry.ConsentForAll, Label: "Consent for everybody", Busy: "Saving…", Keep: "Consent to nothing", Icon: "ended", Doing: "consent for everybody"}
	WithdrawConsent   = desk.Verb{Slug: registry.WithdrawConsent, Label: "Withdraw consent", Busy: "Withdrawing…", Keep: "Keep consent", Icon: "x", Doing: "withdraw a consent", Cuts: true}
	EditApp           = desk.Verb{Slug: "edit", Label: "Edit", Busy: "Saving…", Keep: "Change nothing", Icon: "edit", Doing: "change the application", Form: true}                          // a form, no confirmation; and below
	EditRights        = desk.Verb{Slug: registry.EditRights, Label: "Edit permissions", Busy: "Saving…", Keep: "Change nothing", Icon: "edit", Doing: "change the application", Form: true} // what it may ask for, holds and guards
	EditResource      = desk.Verb{Slug: "edit", Label: "Edit", Busy: "Saving…", Keep: "Change nothing", Icon: "edit", Doing: "change the resource", Form: true}
	DeleteResource    = desk.Verb{Slug: "delete", Label: "Delete resource", Busy: "Deleting…", Keep: "Keep resource", Icon: "x", Doing: "delete the resource", Cuts: true}
	CreateResource    = desk.Verb{Slug: "create", Label: "New resource", Busy: "Creating…", Keep: "Create none", Icon: "plus", Doing: "create resources", Form: true}
	CreateApp         = desk.Verb{Slug: "create", Label: "New application", Busy: "Creating…", Keep: "Create none", Icon: "plus", Doing: "create applications", Form: true}
)

// ParseBulkVerb reads the field "verb" of the bulk form.
func ParseBulkVerb(s string) (desk.Verb, bool) {
	for _, v := range []desk.Verb{RevokeSessions, DisableAccount, EnableAccount, ResetPassword} {
		if v.Slug == s {
			return v, true
		}
	}
	return desk.Verb{}, false
}
