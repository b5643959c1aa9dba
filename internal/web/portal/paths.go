package portal

import "net/url"

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
	PathReceipts     = "/portal/receipts"
	PathAudit        = "/portal/audit"
	PathRevokeAll    = "/portal/revoke-all"
	PathAccount      = "/account"
	PathSignOut      = "/signout"
)

// UserPath is the profile page of a user.
func UserPath(id string) string { return PathUsers + "/" + url.PathEscape(id) }

// VerbPath is the confirmation page of a verb on a user: GET shows it, POST acts.
func VerbPath(id string, v Verb) string { return UserPath(id) + "/" + v.Slug() }

// AppPath is the page of an application.
func AppPath(clientID string) string { return PathApplications + "/" + url.PathEscape(clientID) }

// AppVerbPath is the confirmation page, or the form, of a verb on an application.
func AppVerbPath(clientID string, v Verb) string { return AppPath(clientID) + "/" + v.Slug() }

// appPartPath is that of a verb on one part of it: a secret, an owner.
func appPartPath(clientID string, v Verb, part string) string {
	return AppVerbPath(clientID, v) + "/" + url.PathEscape(part)
}

// ResourcePath is the page of a resource.
func ResourcePath(id string) string { return PathResources + "/" + url.PathEscape(id) }

// deliveryPath is the confirmation page of a verb on a recipient or a dead letter.
func deliveryPath(v Verb, part string) string {
	return PathDeliveries + "/" + v.Slug() + "/" + url.PathEscape(part)
}

// ReceiptPath is the page of a receipt; ReceiptPath(id)+"/live" streams its panel.
func ReceiptPath(id string) string { return PathReceipts + "/" + url.PathEscape(id) }

// pathBulkNow is where the confirmation of an act on several users is posted.
const pathBulkNow = PathBulk + "/now"

func sessionPath(user, session string) string {
	return UserPath(user) + "/sessions/" + session + "/revoke"
}

func grantPath(user, grant string) string { return UserPath(user) + "/grants/" + grant + "/revoke" }
