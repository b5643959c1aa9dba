package client

import (
	"context"
	"net/url"
	"time"
)

// Permission is a set of scopes, or of application roles, at one resource.
type Permission struct {
	Resource string   `json:"resource"`
	Scopes   []string `json:"scopes"`
}

// App is a registered application.
type App struct {
	ID                 string       `json:"id"` // client_id
	Name               string       `json:"name"`
	Publisher          string       `json:"publisher,omitempty"`
	Enabled            bool         `json:"enabled"`
	Public             bool         `json:"public"`
	FirstParty         bool         `json:"firstParty"`
	DeviceCode         bool         `json:"deviceCode"`
	RedirectURIs       []string     `json:"redirectUris"`
	PostLogoutURIs     []string     `json:"postLogoutUris"`
	Permissions        []Permission `json:"permissions"`
	AppPermissions     []Permission `json:"appPermissions"`
	Guards             []string     `json:"guards"`             // resources it may guard
	AccessTokenMinutes int          `json:"accessTokenMinutes"` // 0: the resource's
	Secrets            []Secret     `json:"secrets"`

	SPARedirectURIs       []string `json:"spaRedirectUris"` // of a browser-only application
	Keys                  []AppKey `json:"keys"`            // by which it proves who it is
	KeysURI               string   `json:"keysUri"`         // jwks_uri instead
	Refresh               string   `json:"refresh"`         // "rotate" (or empty), "strict" or "bound"
	GrantAbsoluteMs       float64  `json:"grantAbsoluteMs"` // 0: grants have no absolute end
	RequirePAR            bool     `json:"requirePAR"`
	RequireDPoP           bool     `json:"requireDPoP"`
	SigningAlg            string   `json:"signingAlg"` // empty: ES256
	BackChannelLogoutURI  string   `json:"backChannelLogoutUri"`
	BackChannelSession    bool     `json:"backChannelSession"`
	FrontChannelLogoutURI string   `json:"frontChannelLogoutUri"`
	FrontChannelSession   bool     `json:"frontChannelSession"`
	AssignmentRequired    bool     `json:"assignmentRequired"`

	Principal string    `json:"principal,omitempty"` // object id of its own identity; empty: it has none
	Created   time.Time `json:"created"`
}

// AppKey is a public key of an application.
type AppKey struct {
	ID      string    `json:"id"` // SHA-256 of it
	JWK     string    `json:"jwk"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"` // absent: never
}

// Secret is what is known of an application's secret. Its value is never read back.
type Secret struct {
	ID      string    `json:"id"`
	Hint    string    `json:"hint"` // first characters
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"` // absent: never
}

// NewSecret is a secret that was just made, with its value, this once.
type NewSecret struct {
	ID      string    `json:"id"`
	Value   string    `json:"value"`
	Hint    string    `json:"hint"`
	Expires time.Time `json:"expires,omitzero"`
	// OldUntil is when the secrets before it stop working; absent: at once, or
	// they go on.
	OldUntil time.Time `json:"oldUntil,omitzero"`
}

// String keeps the value out of logs.
func (s *NewSecret) String() string { return "secret " + s.ID }

// Apps lists all applications.
func (c *Client) Apps(ctx context.Context) ([]*App, error) {
	return all[App](ctx, c, "/curfew/apps", nil)
}

// App returns one application by client_id.
func (c *Client) App(ctx context.Context, id string) (*App, error) {
	a := &App{}
	return a, c.do(ctx, call{method: "GET", path: "/curfew" + at("apps", id)}, a)
}

// CreateApp registers an application. set are properties under the names of [App];
// with withSecret a first secret is made and returned.
func (c *Client) CreateApp(ctx context.Context, set map[string]any, act Act) (*App, *NewSecret, Done, error) {
	var out struct {
		App
		Secret *NewSecret `json:"secret"`
	}
	done, err := c.change(ctx, call{method: "POST", path: "/curfew/apps", in: set}, act, &out)
	return &out.App, out.Secret, done, err
}

// UpdateApp sets properties under the names of [App]; a list replaces the list.
func (c *Client) UpdateApp(ctx context.Context, id string, set map[string]any, act Act) (Done, error) {
	return c.change(ctx, call{method: "PATCH", path: "/curfew" + at("apps", id), in: set}, act, nil)
}

// SetAppEnabled disables an application, which ends what people gave it and what
// it holds itself, or enables one.
func (c *Client) SetAppEnabled(ctx context.Context, id string, enabled bool, act Act) (Done, error) {
	return c.UpdateApp(ctx, id, map[string]any{"enabled": enabled}, act)
}

// DeleteApp deletes an application and ends what it holds.
func (c *Client) DeleteApp(ctx context.Context, id string, act Act) (Done, error) {
	return c.change(ctx, call{method: "DELETE", path: "/curfew" + at("apps", id)}, act, nil)
}

// AddSecret makes one more secret. A zero expires is never.
func (c *Client) AddSecret(ctx context.Context, app string, expires time.Time, act Act) (*NewSecret, Done, error) {
	return c.secret(ctx, app, expires, map[string]any{}, act)
}

// RotateSecret makes a secret and removes all others: at once, or with an overlap
// at the end of it.
func (c *Client) RotateSecret(ctx context.Context, app string, expires time.Time, overlap time.Duration, act Act) (*NewSecret, Done, error) {
	in := map[string]any{"rotate": true}
	if overlap > 0 {
		in["overlapMs"] = overlap.Milliseconds()
	}
	return c.secret(ctx, app, expires, in, act)
}

func (c *Client) secret(ctx context.Context, app string, expires time.Time, in map[string]any, act Act) (*NewSecret, Done, error) {
	if !expires.IsZero() {
		in["expires"] = expires.UTC().Format(time.RFC3339)
	}
	out := &NewSecret{}
	done, err := c.change(ctx, call{method: "POST", path: "/curfew" + at("apps", app, "secrets"), in: in}, act, out)
	return out, done, err
}

// RemoveSecret removes a secret by its id.
func (c *Client) RemoveSecret(ctx context.Context, app, secret string, act Act) (Done, error) {
	return c.change(ctx, call{method: "DELETE", path: "/curfew" + at("apps", app, "secrets", secret)}, act, nil)
}

// Owners lists who may change an application's registration without a role.
func (c *Client) Owners(ctx context.Context, app string) ([]*Owner, error) {
	return all[Owner](ctx, c, "/curfew"+at("apps", app, "owners"), nil)
}

// Owner is a person who owns an application.
type Owner struct {
	ID   string `json:"id"`
	Name string `json:"name"` // user name
}

// AddOwner makes a user an owner; RemoveOwner takes that away. Both by id.
func (c *Client) AddOwner(ctx context.Context, app, user string, act Act) (Done, error) {
	return c.change(ctx, call{method: "POST", path: "/curfew" + at("apps", app, "owners"), in: map[string]any{"user": user}}, act, nil)
}

// RemoveOwner takes an application from an owner, by the user's id.
func (c *Client) RemoveOwner(ctx context.Context, app, user string, act Act) (Done, error) {
	return c.change(ctx, call{method: "DELETE", path: "/curfew" + at("apps", app, "owners", user)}, act, nil)
}

// AppAssignment lets a user, or the members of a group, into an application.
type AppAssignment struct {
	ID      string    `json:"id"`
	User    string    `json:"user"`  // id; empty: Group
	Group   string    `json:"group"` // id; empty: User
	Name    string    `json:"name"`  // user name, or name of the group
	Role    string    `json:"role"`
	Created time.Time `json:"created"`
}

// AppAssignments lists who is assigned to an application.
func (c *Client) AppAssignments(ctx context.Context, app string) ([]*AppAssignment, error) {
	return all[AppAssignment](ctx, c, "/curfew"+at("apps", app, "assignments"), nil)
}

// AssignApp lets a user (or, with group, the members of a group) into an
// application, by id.
func (c *Client) AssignApp(ctx context.Context, app, id string, group bool, act Act) (Done, error) {
	of := "user"
	if group {
		of = "group"
	}
	return c.change(ctx, call{method: "POST", path: "/curfew" + at("apps", app, "assignments"), in: map[string]any{of: id}}, act, nil)
}

// UnassignApp takes an assignment away, by its id.
func (c *Client) UnassignApp(ctx context.Context, app, assignment string, act Act) (Done, error) {
	return c.change(ctx, call{method: "DELETE", path: "/curfew" + at("apps", app, "assignments", assignment)}, act, nil)
}

// Consent lets an application have scopes at a resource, of one user or, where User
// is empty, of everybody.
type Consent struct {
	User     string    `json:"user"`
	Name     string    `json:"name"` // user name
	App      string    `json:"app"`
	Resource string    `json:"resource"`
	Scopes   []string  `json:"scopes"`
	Given    time.Time `json:"given"`
}

// Consents lists what was consented to for an application.
func (c *Client) Consents(ctx context.Context, app string) ([]*Consent, error) {
	return all[Consent](ctx, c, "/curfew"+at("apps", app, "consents"), nil)
}

// GrantConsent consents for a user by id, or for everybody; what is named replaces
// what was consented to at those resources.
func (c *Client) GrantConsent(ctx context.Context, app, user string, ps []Permission, act Act) (Done, error) {
	in := map[string]any{"permissions": ps}
	if user != "" {
		in["user"] = user
	}
	return c.change(ctx, call{method: "POST", path: "/curfew" + at("apps", app, "consents"), in: in}, act, nil)
}

// WithdrawConsent takes it back, at one resource or (empty) at all, and ends what
// was handed out on it.
func (c *Client) WithdrawConsent(ctx context.Context, app, user, resource string, act Act) (Done, error) {
	q := url.Values{}
	for name, v := range map[string]string{"user": user, "resource": resource} {
		if v != "" {
			q.Set(name, v)
		}
	}
	return c.change(ctx, call{method: "DELETE", path: "/curfew" + at("apps", app, "consents"), query: q}, act, nil)
}
