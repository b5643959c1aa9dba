package directory

import (
	"net/url"
	"slices"
	"time"

	"github.com/curfew-id/curfew/internal/fault"
)

// What may stand in a registration, as far as the row alone can say.

const (
	maxURIs  = 100
	maxRoles = 500
)

// Bounds of an absolute end.
const (
	minAbsolute = time.Hour
	maxAbsolute = 3650 * 24 * time.Hour
)

// Check checks an application. What it names, it does not look for. Kind: Invalid.
func (a *App) Check() error {
	if err := CheckRequired("The name of the application", a.Name, 256); err != nil {
		return err
	}
	if err := CheckText("The publisher", a.Publisher, 256); err != nil {
		return err
	}
	for _, uris := range [][]string{a.RedirectURIs, a.PostLogoutURIs} {
		if len(uris) > maxURIs {
			return invalid("An application has at most 100 redirect URIs.")
		}
		for _, u := range uris {
			if err := CheckRedirectURI(u); err != nil {
				return err
			}
		}
	}
	if m := a.AccessTokenMinutes; m != 0 && (m < 10 || m > 60) {
		return invalid("Access tokens live between 10 minutes and one hour.")
	}
	if a.Public && (len(a.Secrets) > 0 || len(a.AppPermissions) > 0 || len(a.Guards) > 0) {
		return invalid("A public application keeps no secret, so it has none, holds no permission as itself and guards nothing.")
	}
	if len(a.Asks) > maxRoles {
		return invalid("An application asks for at most 500 permissions.")
	}
	if len(a.Guards) > maxURIs {
		return invalid("An application guards at most 100 resources.")
	}
	if err := a.checkRoles(); err != nil {
		return err
	}
	return a.checkProtocol()
}

// checkRoles checks the roles that an application defines.
func (a *App) checkRoles() error {
	if len(a.Roles) > maxRoles {
		return invalid("An application defines at most 500 roles.")
	}
	seen := map[string]bool{}
	for _, r := range a.Roles {
		if _, err := ParseID[AppRole](r.ID); err != nil {
			return invalid("The id of an application role is a GUID.")
		}
		if err := CheckScope(r.Name); err != nil {
			return err
		}
		if err := CheckRequired("The title of the role "+fault.Quote(r.Name), r.Title, 256); err != nil {
			return err
		}
		if err := CheckText("The text of the role "+fault.Quote(r.Name), r.Text, 1024); err != nil {
			return err
		}
		if !r.Users && !r.Apps {
			return invalid("The role " + fault.Quote(r.Name) + " is for people, for applications, or for both.")
		}
		if seen[r.ID] || seen[r.Name] {
			return invalid("The application role " + fault.Quote(r.Name) + " is there twice.")
		}
		seen[r.ID], seen[r.Name] = true, true
	}
	return nil
}

// checkProtocol checks how it proves itself and who is told of logouts.
func (a *App) checkProtocol() error {
	if len(a.SPARedirectURIs) > maxURIs {
		return invalid("An application has at most 100 redirect URIs.")
	}
	for _, u := range a.SPARedirectURIs {
		if err := CheckRedirectURI(u); err != nil {
			return err
		}
		if !onWeb(u) {
			return invalid("The redirect URI " + fault.Quote(u) + " of a browser-only application is https, or http to this machine.")
		}
		if slices.Contains(a.RedirectURIs, u) {
			return invalid("The redirect URI " + fault.Quote(u) + " is that of a browser-only application or another one's, not both.")
		}
	}
	if len(a.SPARedirectURIs) > 0 && !a.Public {
		return invalid("A browser-only application keeps no secret: make it public.")
	}
	if a.Public && (len(a.Keys) > 0 || a.KeysURI != "") {
		return invalid("A public application has no key to prove itself by.")
	}
	if len(a.Keys) > 0 && a.KeysURI != "" {
		return invalid("The keys of an application are in its registration or at its jwks_uri, not both.")
	}
	for _, x := range []struct{ name, uri string }{{"jwks_uri", a.KeysURI}, {"back-channel logout address", a.BackChannelLogoutURI}, {"front-channel logout address", a.FrontChannelLogoutURI}} {
		if x.uri == "" {
			continue
		}
		if err := CheckRedirectURI(x.uri); err != nil || !onWeb(x.uri) {
			return invalid("The " + x.name + " must be an https address without fragment; http only to this machine.")
		}
	}
	if f := a.FrontChannelLogoutURI; f != "" && !slices.ContainsFunc(slices.Concat(a.RedirectURIs, a.SPARedirectURIs), func(u string) bool { return origin(u) == origin(f) }) {
		return invalid("The front-channel logout address must be at the origin of one of the redirect URIs (Front-Channel Logout 1.0 §2).")
	}
	switch a.Refresh {
	case "", RefreshRotate, RefreshStrict, RefreshBound:
	default:
		return invalid("The refresh mode is rotate, strict or bound.")
	}
	if d := a.GrantAbsolute; d != 0 && (d < minAbsolute || d > maxAbsolute) {
		return invalid("The absolute end of a grant lies between one hour and ten years after the sign-in.")
	}
	return signingAlg(a.SigningAlg)
}

func signingAlg(alg string) error {
	if !ValidSigningAlg(alg) {
		return invalid("Tokens are signed with ES256, RS256 or EdDSA.")
	}
	return nil
}

// onWeb reports whether a browser or this server can ask the address.
func onWeb(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http")
}

func origin(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// Check checks a resource. Kind: Invalid.
func (r *Resource) Check() error {
	if err := CheckRequired("The name of the resource", r.Name, 256); err != nil {
		return err
	}
	if len(r.Scopes) > 500 || len(r.AppRoles) > 500 {
		return invalid("A resource has at most 500 scopes.")
	}
	seen := map[string]bool{}
	for _, x := range r.Scopes {
		if err := CheckScope(x.Name); err != nil {
			return err
		}
		if err := CheckText("The text of the scope "+fault.Quote(x.Name), x.Text, 512); err != nil {
			return err
		}
		for _, text := range []string{x.Title, x.AdminTitle, x.AdminText} {
			if err := CheckText("A text of the scope "+fault.Quote(x.Name), text, 1024); err != nil {
				return err
			}
		}
		if seen[x.Name] || x.ID != "" && seen[x.ID] {
			return invalid("The scope " + fault.Quote(x.Name) + " is there twice.")
		}
		seen[x.Name], seen[x.ID] = true, true
	}
	clear(seen)
	for _, x := range r.AppRoles {
		if err := CheckScope(x); err != nil {
			return err
		}
		if seen[x] {
			return invalid("The application role " + fault.Quote(x) + " is there twice.")
		}
		seen[x] = true
	}
	if err := signingAlg(r.SigningAlg); err != nil {
		return err
	}
	if r.EncryptionKey != "" {
		if _, err := ParseEncryptionKey(r.EncryptionKey); err != nil {
			return err
		}
	}
	return tokenLife(r.TokenLife, r.Guarded)
}

// maxLife is that of the access tokens of a guarded resource.
const maxLife = 28 * time.Hour

// tokenLife checks the life of access tokens; zero is the default.
func tokenLife(d time.Duration, guarded bool) error {
	switch {
	case d != 0 && (d < 10*time.Minute || d > maxLife):
		return invalid("Access tokens live between 10 minutes and 28 hours.")
	case d > time.Hour && !guarded:
		return invalid("Access tokens live longer than one hour only where every instance is behind a guard: say that the resource is guarded as well.")
	}
	return nil
}
