package client

import (
	"context"
	"time"
)

// Provider is another identity provider through which people sign in.
type Provider struct {
	ID                   string    `json:"id"`
	Issuer               string    `json:"issuer"`
	Name                 string    `json:"name"` // on the sign-in page
	Enabled              bool      `json:"enabled"`
	ClientID             string    `json:"clientId"` // what the directory is called there
	HasSecret            bool      `json:"hasSecret"`
	PrivateKeyJWT        bool      `json:"privateKeyJwt"` // a signature of the directory's instead
	Scopes               []string  `json:"scopes"`        // asked for beside openid
	UserNameClaim        string    `json:"userNameClaim"`
	MailClaim            string    `json:"mailClaim"`
	DisplayNameClaim     string    `json:"displayNameClaim"`
	CreateUsers          bool      `json:"createUsers"`
	Domains              []string  `json:"domains"`              // in which it may create users
	People               int       `json:"people"`               // linked to it
	RedirectURI          string    `json:"redirectUri"`          // to register there
	BackChannelLogoutURI string    `json:"backChannelLogoutUri"` // the same
	Created              time.Time `json:"created"`
}

// Providers lists all other identity providers.
func (c *Client) Providers(ctx context.Context) ([]*Provider, error) {
	return all[Provider](ctx, c, "/curfew/providers", nil)
}

// Provider returns one by its id.
func (c *Client) Provider(ctx context.Context, id string) (*Provider, error) {
	p := &Provider{}
	return p, c.do(ctx, call{method: "GET", path: "/curfew" + at("providers", id)}, p)
}

// CreateProvider registers a provider; the server asks it for its metadata. set are
// properties under the names of [Provider], and "secret".
func (c *Client) CreateProvider(ctx context.Context, set map[string]any, act Act) (*Provider, Done, error) {
	p := &Provider{}
	done, err := c.change(ctx, call{method: "POST", path: "/curfew/providers", in: set}, act, p)
	return p, done, err
}

// UpdateProvider sets properties as CreateProvider does; id and issuer never change.
func (c *Client) UpdateProvider(ctx context.Context, id string, set map[string]any, act Act) (Done, error) {
	return c.change(ctx, call{method: "PATCH", path: "/curfew" + at("providers", id), in: set}, act, nil)
}

// DeleteProvider deletes a provider with its links and ends what came through it.
func (c *Client) DeleteProvider(ctx context.Context, id string, act Act) (Done, error) {
	return c.change(ctx, call{method: "DELETE", path: "/curfew" + at("providers", id)}, act, nil)
}

// LinkUser says that a subject of a provider is a user here.
func (c *Client) LinkUser(ctx context.Context, provider, subject, user string, act Act) (Done, error) {
	return c.change(ctx, call{method: "POST", path: "/curfew" + at("providers", provider, "links"), in: map[string]any{"user": user, "subject": subject}}, act, nil)
}

// UnlinkUser takes a user's links to a provider away and ends what came through them.
func (c *Client) UnlinkUser(ctx context.Context, provider, user string, act Act) (Done, error) {
	return c.change(ctx, call{method: "DELETE", path: "/curfew" + at("providers", provider, "links", user)}, act, nil)
}

// Elsewhere is who a user is at another identity provider.
type Elsewhere struct {
	Provider string    `json:"provider"`
	Subject  string    `json:"subject"`
	User     string    `json:"user"`
	Linked   time.Time `json:"linked"`
}

// Links lists who a user, by object id, is elsewhere.
func (c *Client) Links(ctx context.Context, user string) ([]*Elsewhere, error) {
	return all[Elsewhere](ctx, c, "/curfew"+at("users", user, "links"), nil)
}
