package api

import (
	"net/url"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

// Usual is what is shown of a user unless $select says otherwise.
var Usual = []string{"businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone", "officeLocation", "preferredLanguage", "surname", "userPrincipalName", "id"}

// UserObject is a user with the named properties, or the usual ones.
func UserObject(u *directory.User, names []string) Object {
	if names == nil {
		names = Usual
	}
	out := make(Object, len(names))
	for i, n := range names {
		out[i] = Member{n, userProperty(u, n)}
	}
	return out
}

// userProperty is one of the properties that can be selected. Those that nothing
// here gives a value are null.
func userProperty(u *directory.User, name string) any {
	switch name {
	case "id":
		return u.ID
	case "accountEnabled":
		return u.Enabled
	case "userType":
		return "Member"
	case "businessPhones", "otherMails":
		return []string{}
	case "identities":
		_, domain, _ := strings.Cut(u.Name, "@")
		return []Object{{{"signInType", "userPrincipalName"}, {"issuer", domain}, {"issuerAssignedId", u.Name}}}
	case "createdDateTime":
		return Instant(u.Created)
	case "deletedDateTime":
		return Instant(u.Deleted)
	case "lastPasswordChangeDateTime":
		return Instant(u.Password.Changed)
	case "signInSessionsValidFromDateTime", "refreshTokensValidFromDateTime":
		return Instant(u.ValidFrom)
	case "passwordProfile":
		return Object{{"password", nil}, {"forceChangePasswordNextSignIn", u.Password.MustChange}, {"forceChangePasswordNextSignInWithMfa", false}}
	}
	if p, ok := odata.Users.Filter[strings.ToLower(name)]; ok && p.Kind == directory.KindText {
		return TextOrNull(u.Value(p.Field).Text)
	}
	return nil
}

// UserRow is a user in a listing, with the named properties or the usual ones.
func UserRow(u *directory.User, names []string) Row {
	return Row{ID: u.ID.String(), Value: u.Value, Item: func() Object { return UserObject(u, names) }}
}

// Typed adds the type to the entities of a mixed listing.
func Typed(what string, r Row) Row {
	bare := r.Item
	r.Item = func() Object { return append(Object{{"@odata.type", "#microsoft.graph." + what}}, bare()...) }
	return r
}

// Reference reads the body of a $ref: {"@odata.id": address of a directory
// object}. The host may be Graph's, as scripts write it. set is the collection
// the address names, such as directoryObjects.
func Reference(c *Call) (set, id string, err error) {
	var at *string
	if err := c.Body(odata.Form{"@odata.id": odata.Text(&at)}); err != nil {
		return "", "", err
	}
	if at == nil {
		return "", "", errAddress
	}
	return Address(*at)
}

var errAddress = odata.Unreadable("The property @odata.id must be the address of a user or group, such as https://graph.microsoft.com/v1.0/directoryObjects/{id}.")

// Address reads the address of a directory object.
func Address(at string) (set, id string, err error) {
	u, err := url.Parse(at)
	if err != nil {
		return "", "", errAddress
	}
	path, _, err := Normal(u.EscapedPath())
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if err != nil || len(parts) < 2 {
		return "", "", errAddress
	}
	set, id = parts[len(parts)-2], parts[len(parts)-1]
	if set != "directoryObjects" && set != "users" && set != "groups" && set != "servicePrincipals" {
		return "", "", errAddress
	}
	if _, err := directory.ParseID[directory.User](id); err != nil {
		return "", "", errAddress
	}
	return set, id, nil
}
