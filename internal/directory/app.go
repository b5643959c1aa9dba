package directory

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// App is a client: a web application, a native one, a script.
type App struct {
	ID        AppID    // client_id
	Object    ObjectID // object id, for Graph
	Principal UserID   // its own identity (a service account); zero: no app-only tokens
	Name      string
	Publisher string // who made it, shown at consent
	Enabled   bool
	// Public clients hold no secret: native and browser applications.
	Public bool
	// FirstParty applications need no consent.
	FirstParty bool
	// RedirectURIs are compared exactly; see MatchRedirect for loopback.
	RedirectURIs       []string
	PostLogoutURIs     []string
	Secrets            []AppSecret
	Permissions        []Permission // what it may ask for, per resource
	AppPermissions     []Permission // what it holds as itself (client credentials)
	Guards             []ResourceID // resources this client may guard
	Created            time.Time
	Version            int64 // grows with each change of the row
	DeviceCode         bool  // may use the device flow
	AccessTokenMinutes int   // 0: the resource's
}

// AppSecret is a stored client secret. Secrets are random and long, so a single
// SHA-256 is enough; people's passwords never come here.
type AppSecret struct {
	ID      string    `json:"id"`
	Hash    []byte    `json:"hash"` // SHA-256
	Hint    string    `json:"hint"` // first three characters
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"` // zero: never
}

// Permission is a set of scopes (or application roles) at one resource.
type Permission struct {
	Resource ResourceID `json:"resource"`
	Scopes   []string   `json:"scopes"`
}

// Resource is an API that access tokens are for.
type Resource struct {
	ID       ResourceID
	Name     string
	Scopes   []Scope
	AppRoles []string // what applications can hold as themselves
	// TokenLife of its access tokens; zero: one hour.
	TokenLife time.Duration
	Created   time.Time
	Version   int64
}

// Scope is one permission of a resource.
type Scope struct {
	Name      string `json:"name"`
	Text      string `json:"text"`      // what a person reads at consent
	AdminOnly bool   `json:"adminOnly"` // only an administrator can consent
}

// Consent lets an app have scopes at a resource for one user, or for everybody
// when User is zero (admin consent).
type Consent struct {
	User     UserID
	App      AppID
	Resource ResourceID
	Scopes   []string
	Given    time.Time
}

// ValidAppID reports whether s can be a client_id.
func ValidAppID(s string) bool {
	if s == "" || len(s) > 255 {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// MatchRedirect reports whether uri is one of the registered redirect URIs:
// exactly (RFC 9700 §4.1.3), but for loopback addresses, where the port is free
// (RFC 8252 §7.3) and "http://localhost" matches "http://localhost/".
func (a *App) MatchRedirect(uri string) bool { return matchURI(a.RedirectURIs, uri) }

// MatchPostLogout reports whether uri is one of the registered post-logout URIs,
// by the same rule.
func (a *App) MatchPostLogout(uri string) bool { return matchURI(a.PostLogoutURIs, uri) }

func matchURI(registered []string, uri string) bool {
	if uri == "" || strings.Contains(uri, "#") {
		return false
	}
	if slices.Contains(registered, uri) {
		return true
	}
	u, err := url.Parse(uri)
	if err != nil || !loopback(u) {
		return false
	}
	for _, r := range registered {
		w, err := url.Parse(r)
		if err == nil && loopback(w) && w.Hostname() == u.Hostname() &&
			path(w) == path(u) && w.RawQuery == u.RawQuery && u.User == nil {
			return true
		}
	}
	return false
}

func loopback(u *url.URL) bool {
	h := u.Hostname()
	return u.Scheme == "http" && (h == "localhost" || h == "127.0.0.1" || h == "::1")
}

func path(u *url.URL) string {
	if u.EscapedPath() == "" {
		return "/"
	}
	return u.EscapedPath()
}
