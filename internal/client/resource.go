package client

import (
	"context"
	"time"
)

// Resource is an API that access tokens are for.
type Resource struct {
	ID            string    `json:"id"` // aud of its tokens
	Name          string    `json:"name"`
	Scopes        []Scope   `json:"scopes"`
	AppRoles      []string  `json:"appRoles"` // what applications can hold as themselves
	TokenLifeMs   float64   `json:"tokenLifeMs"`
	SigningAlg    string    `json:"signingAlg,omitempty"`
	EncryptionKey string    `json:"encryptionKey,omitempty"` // JWK
	Guarded       bool      `json:"guarded"`                 // every instance is behind a guard
	Created       time.Time `json:"created"`
}

// Scope is one permission of a resource.
type Scope struct {
	Name      string `json:"name"`
	Text      string `json:"text"` // what a person reads at consent
	AdminOnly bool   `json:"adminOnly"`
}

// Resources lists all resources.
func (c *Client) Resources(ctx context.Context) ([]*Resource, error) {
	return all[Resource](ctx, c, "/curfew/resources", nil)
}

// Resource returns one resource by its identifier.
func (c *Client) Resource(ctx context.Context, id string) (*Resource, error) {
	r := &Resource{}
	return r, c.do(ctx, call{method: "GET", path: "/curfew" + at("resources", id)}, r)
}

// CreateResource registers a resource. set are properties under the names of [Resource].
func (c *Client) CreateResource(ctx context.Context, set map[string]any, act Act) (*Resource, Done, error) {
	r := &Resource{}
	done, err := c.change(ctx, call{method: "POST", path: "/curfew/resources", in: set}, act, r)
	return r, done, err
}

// UpdateResource sets properties under the names of [Resource]; a list replaces the list.
func (c *Client) UpdateResource(ctx context.Context, id string, set map[string]any, act Act) (Done, error) {
	return c.change(ctx, call{method: "PATCH", path: "/curfew" + at("resources", id), in: set}, act, nil)
}

// DeleteResource deletes a resource that no application names.
func (c *Client) DeleteResource(ctx context.Context, id string, act Act) (Done, error) {
	return c.change(ctx, call{method: "DELETE", path: "/curfew" + at("resources", id)}, act, nil)
}
