package client

import (
	"context"
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
	Principal          string       `json:"principal,omitempty"` // object id of its own identity; empty: it has none
	Created            time.Time    `json:"created"`
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

// RotateSecret makes a secret and removes all others.
func (c *Client) RotateSecret(ctx context.Context, app string, expires time.Time, act Act) (*NewSecret, Done, error) {
	return c.secret(ctx, app, expires, map[string]any{"rotate": true}, act)
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
