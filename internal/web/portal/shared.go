package portal

import (
	"github.com/curfew-id/curfew/internal/web/portal/desk"
)

// What all rooms of the portal share is package desk's; these are its names here.
type (
	Section     = desk.Section
	Shell       = desk.Shell
	Command     = desk.Command
	Refusal     = desk.Refusal
	Filter      = desk.Filter
	Paging      = desk.Paging
	Hidden      = desk.Hidden
	Tab         = desk.Tab
	Thing       = desk.Thing
	Things      = desk.Things
	FormPage    = desk.FormPage
	Once        = desk.Once
	Confirm     = desk.Confirm
	Consequence = desk.Consequence
	AuditTable  = desk.AuditTable
	AuditRow    = desk.AuditRow
	Verb        = desk.Verb
)

// The addresses, as templates and other rooms know them.
const (
	PathOverview     = desk.PathOverview
	PathUsers        = desk.PathUsers
	PathBulk         = desk.PathBulk
	PathApplications = desk.PathApplications
	PathNewApp       = desk.PathNewApp
	PathResources    = desk.PathResources
	PathNewResource  = desk.PathNewResource
	PathGuards       = desk.PathGuards
	PathReceipts     = desk.PathReceipts
	PathAudit        = desk.PathAudit
	PathRevokeAll    = desk.PathRevokeAll
	PathAccount      = desk.PathAccount
	PathSignOut      = desk.PathSignOut
	pathBulkNow      = desk.PathBulkNow
)

// Their builders.
var (
	UserPath     = desk.UserPath
	AppPath      = desk.AppPath
	ResourcePath = desk.ResourcePath
	ReceiptPath  = desk.ReceiptPath
)
