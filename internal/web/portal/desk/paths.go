package desk

import (
	"net/url"
)

// The addresses of the portal's pages. Templates build every link from these, so
// that a route and the links to it cannot drift apart.
const (
	PathOverview     = "/portal"
	PathUsers        = "/portal/users"
	PathBulk         = "/portal/users/bulk" // POST: ids and verb, answers the confirmation page
	PathApplications = "/portal/applications"
	PathNewApp       = "/portal/new-application" // beside them: a client_id may be "new"
	PathResources    = "/portal/resources"
	PathNewResource  = "/portal/new-resource"
	PathGuards       = "/portal/guards"
	PathDeliveries   = "/portal/deliveries"
	PathPolicies     = "/portal/policies"
	PathNewPolicy    = "/portal/new-policy"
	PathSpared       = "/portal/spared-accounts"
	PathLocations    = "/portal/locations"
	PathNewLocation  = "/portal/new-location"
	PathRisk         = "/portal/risk"
	PathWhatIf       = "/portal/what-if"
	PathDevices      = "/portal/devices"
	PathSignIns      = "/portal/sign-ins"
	PathReceipts     = "/portal/receipts"
	PathAudit        = "/portal/audit"
	PathRevokeAll    = "/portal/revoke-all"
	PathAccount      = "/account"
	PathSignOut      = "/signout"
)

// UserPath is the profile page of a user.
func UserPath(id string) string { return PathUsers + "/" + url.PathEscape(id) }

// AppPath is the page of an application.
func AppPath(clientID string) string { return PathApplications + "/" + url.PathEscape(clientID) }

// ResourcePath is the page of a resource.
func ResourcePath(id string) string { return PathResources + "/" + url.PathEscape(id) }

// ReceiptPath is the page of a receipt; ReceiptPath(id)+"/live" streams its panel.
func ReceiptPath(id string) string { return PathReceipts + "/" + url.PathEscape(id) }

// PathBulkNow is where the confirmation of an act on several users is posted.
const PathBulkNow = PathBulk + "/now"

// PolicyPath is the page of a policy.
func PolicyPath(id string) string { return PathPolicies + "/" + url.PathEscape(id) }
