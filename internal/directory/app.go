package directory

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/cutoff"
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
	Guards             []ResourceID // resources this client may guard, and whose access tokens it may exchange
	Created            time.Time
	Version            int64 // grows with each change of the row
	DeviceCode         bool  // may use the device flow
	AccessTokenMinutes int   // 0: the resource's

	// SPARedirectURIs are those of a browser-only application: its refresh
	// tokens end 24 hours after the sign-in, and its origins may read the token
	// endpoint from a script. None of them stands in RedirectURIs too.
	SPARedirectURIs []string
	// Keys are the public keys by which the client proves who it is
	// (private_key_jwt, RFC 7523; mutual TLS, RFC 8705 §2.2). KeysURI is where it
	// publishes them instead; never both.
	Keys    []AppKey
	KeysURI string
	// Refresh says how its refresh tokens are renewed; empty: [RefreshRotate].
	Refresh RefreshMode
	// GrantAbsolute ends a grant that long after the sign-in, used or not; zero: never.
	GrantAbsolute time.Duration
	// RequirePAR refuses authorization requests that were not pushed (RFC 9126 §6).
	RequirePAR bool
	// RequireDPoP refuses to hand out bearer tokens (RFC 9449 §5.2).
	RequireDPoP bool
	// SigningAlg of its ID and logout tokens: ES256 (empty), RS256 or EdDSA.
	SigningAlg string
	// BackChannelLogoutURI is told when a session or user ends (OpenID Connect
	// Back-Channel Logout 1.0); empty: nobody is told. BackChannelSession demands
	// a sid in each notice.
	BackChannelLogoutURI string
	BackChannelSession   bool
	// FrontChannelLogoutURI is loaded in a frame when the person signs out.
	// FrontChannelSession asks for iss and sid in its query.
	FrontChannelLogoutURI string
	FrontChannelSession   bool
	// Owners may change the registration without holding a role.
	Owners []UserID
	// Roles that the application defines: people and groups are assigned with one,
	// and other applications hold one at the API that is part of this registration.
	Roles []AppRole
	// Asks is what the registration says the application wants, which gives it
	// nothing: what it may ask people for is Permissions, what it holds itself is
	// AppPermissions. Nil: nobody said.
	Asks []Ask
	// AssignmentRequired lets only people in who were assigned to the
	// application, themselves or through a group.
	AssignmentRequired bool
}

// AppRole is a role that an application defines.
type AppRole struct {
	ID       string `json:"id"`   // GUID
	Name     string `json:"name"` // as tokens and assignments say it
	Title    string `json:"title"`
	Text     string `json:"text"`
	Users    bool   `json:"users"` // people and groups may be assigned with it
	Apps     bool   `json:"apps"`  // applications may hold it
	Disabled bool   `json:"disabled"`
}

// Ask is one permission that a registration wants.
type Ask struct {
	Resource ResourceID `json:"resource"`
	Name     string     `json:"name"`
	AppRole  bool       `json:"appRole"` // to hold as itself; else a scope
}

// RefreshMode says what a use of a refresh token does to it.
type RefreshMode string

// The modes.
const (
	RefreshRotate RefreshMode = "rotate" // a new one each time; a lost answer may be asked for again
	RefreshStrict RefreshMode = "strict" // a new one each time; a second use of the old one is reuse at once
	RefreshBound  RefreshMode = "bound"  // the same one, which only the holder of a key can use (DPoP, mutual TLS)
)

// AppKey is a public key of a client.
type AppKey struct {
	ID string `json:"id"`
	// JWK is the public key (RFC 7517). One made from a certificate carries
	// x5c and x5t#S256.
	JWK     string    `json:"jwk"`
	Name    string    `json:"name"`
	GUID    string    `json:"guid"` // as whoever registered it names it; empty: by ID
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"` // zero: never
}

// AppSecret is a stored client secret. Secrets are random and long, so a single
// SHA-256 is enough; people's passwords never come here.
type AppSecret struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"` // what people call it
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
	// TokenLife of its access tokens; zero: one hour. More than one hour only
	// while Guarded.
	TokenLife time.Duration
	// Guarded says that every instance of the resource is behind a guard, which
	// was proven by a live one when it was set.
	Guarded bool
	// LongUntil is when the last token ends that was given while lives were longer
	// than TokenLife says; zero: they never were.
	LongUntil time.Time
	// SigningAlg of its access tokens: ES256 (empty), RS256 or EdDSA.
	SigningAlg string
	// EncryptionKey is a public JWK; when set, access tokens are encrypted to it
	// (a signed token inside an encrypted one, RFC 7519 §11.2).
	EncryptionKey string
	// App is the application whose registration it is part of; empty: it stands
	// alone.
	App     AppID
	Created time.Time
	Version int64
	// Since is the ledger's head when it was registered: what was asked of one
	// of the same identifier before it was not asked of this one. The store's.
	Since cutoff.Pos `json:"-"`
}

// Scope is one permission of a resource.
type Scope struct {
	Name      string `json:"name"`
	Text      string `json:"text"`      // what a person reads at consent
	AdminOnly bool   `json:"adminOnly"` // only an administrator can consent
	// Known to the Graph-compatible API only: its GUID (empty: made from the name),
	// and more for people to read.
	ID         string `json:"id"`
	Title      string `json:"title"`
	AdminTitle string `json:"adminTitle"`
	AdminText  string `json:"adminText"`
	Disabled   bool   `json:"disabled"` // nobody can ask for it, or consent to it, any more
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

// AppAssignment lets a user, or the members of a group, into an application.
type AppAssignment struct {
	ID      AppAssignmentID
	App     AppID
	User    UserID  // zero: Group
	Group   GroupID // zero: User
	Role    string  // a name that the application knows; empty: plain access
	Created time.Time
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

// MatchSPARedirect reports whether uri is one of a browser-only application's,
// by the same rule.
func (a *App) MatchSPARedirect(uri string) bool { return matchURI(a.SPARedirectURIs, uri) }

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
