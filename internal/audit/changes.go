package audit

import (
	"fmt"
	"reflect"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
)

// AppChanges lists what differs between two versions, for audit and reports.
func AppChanges(old, a *directory.App) (changes []Change) {
	add := func(property string, o, n any) {
		if reflect.DeepEqual(o, n) {
			return
		}
		x, y := fmt.Sprint(o), fmt.Sprint(n)
		if v := reflect.ValueOf(o); v.Kind() == reflect.Slice && v.Len() == 0 && reflect.ValueOf(n).Len() == 0 {
			return
		}
		changes = append(changes, Change{Property: property, Old: x, New: y})
	}
	add("displayName", old.Name, a.Name)
	add("publisher", old.Publisher, a.Publisher)
	add("enabled", old.Enabled, a.Enabled)
	add("public", old.Public, a.Public)
	add("firstParty", old.FirstParty, a.FirstParty)
	add("deviceCode", old.DeviceCode, a.DeviceCode)
	add("redirectUris", old.RedirectURIs, a.RedirectURIs)
	add("postLogoutUris", old.PostLogoutURIs, a.PostLogoutURIs)
	add("permissions", old.Permissions, a.Permissions)
	add("appPermissions", old.AppPermissions, a.AppPermissions)
	add("guards", old.Guards, a.Guards)
	add("roles", old.Roles, a.Roles)
	add("asks", old.Asks, a.Asks)
	add("assignmentRequired", old.AssignmentRequired, a.AssignmentRequired)
	add("accessTokenMinutes", old.AccessTokenMinutes, a.AccessTokenMinutes)
	add("secrets", secretHints(old), secretHints(a))
	add("spaRedirectUris", old.SPARedirectURIs, a.SPARedirectURIs)
	add("keys", keyIDs(old), keyIDs(a))
	add("jwksUri", old.KeysURI, a.KeysURI)
	add("refresh", old.Refresh, a.Refresh)
	add("grantAbsolute", old.GrantAbsolute, a.GrantAbsolute)
	add("requirePushedRequests", old.RequirePAR, a.RequirePAR)
	add("requireDPoP", old.RequireDPoP, a.RequireDPoP)
	add("signingAlg", old.SigningAlg, a.SigningAlg)
	add("backChannelLogoutUri", old.BackChannelLogoutURI, a.BackChannelLogoutURI)
	add("backChannelSession", old.BackChannelSession, a.BackChannelSession)
	add("frontChannelLogoutUri", old.FrontChannelLogoutURI, a.FrontChannelLogoutURI)
	add("frontChannelSession", old.FrontChannelSession, a.FrontChannelSession)
	if old.Principal != a.Principal {
		add("identity", old.Principal.String(), a.Principal.String())
	}
	return changes
}

func secretHints(a *directory.App) (out []string) {
	for _, s := range a.Secrets {
		said := s.ID + " " + s.Hint + "…"
		if !s.Expires.IsZero() {
			said += " until " + s.Expires.UTC().Format(time.RFC3339)
		}
		out = append(out, said)
	}
	return out
}

// ResourceChanges is AppChanges of a resource.
func ResourceChanges(old, r *directory.Resource) (changes []Change) {
	add := func(property string, o, n any) {
		if x, y := fmt.Sprint(o), fmt.Sprint(n); x != y || !reflect.DeepEqual(o, n) && x != "[]" {
			changes = append(changes, Change{Property: property, Old: x, New: y})
		}
	}
	add("displayName", old.Name, r.Name)
	add("scopes", old.Scopes, r.Scopes)
	add("appRoles", old.AppRoles, r.AppRoles)
	add("tokenLife", old.TokenLife, r.TokenLife)
	add("app", old.App, r.App)
	add("guarded", old.Guarded, r.Guarded)
	add("signingAlg", old.SigningAlg, r.SigningAlg)
	add("encryptionKey", old.EncryptionKey, r.EncryptionKey)
	return changes
}

func keyIDs(a *directory.App) (out []string) {
	for _, k := range a.Keys {
		out = append(out, k.ID)
	}
	return out
}
