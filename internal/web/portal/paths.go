package portal

import (
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"net/url"
)

// VerbPath is the confirmation page of a verb on a user: GET shows it, POST acts.
func VerbPath(id string, v desk.Verb) string { return desk.UserPath(id) + "/" + v.Slug }

// AppVerbPath is the confirmation page, or the form, of a verb on an application.
func AppVerbPath(clientID string, v desk.Verb) string { return desk.AppPath(clientID) + "/" + v.Slug }

// appPartPath is that of a verb on one part of it: a secret, an owner.
func appPartPath(clientID string, v desk.Verb, part string) string {
	return AppVerbPath(clientID, v) + "/" + url.PathEscape(part)
}

func sessionPath(user, session string) string {
	return desk.UserPath(user) + "/sessions/" + session + "/revoke"
}

func grantPath(user, grant string) string {
	return desk.UserPath(user) + "/grants/" + grant + "/revoke"
}
