package client

import (
	"context"
	"time"
)

// Key is a key that tokens are signed with.
type Key struct {
	ID      string    `json:"id"` // kid
	Alg     string    `json:"alg"`
	State   string    `json:"state"`   // next, current, retired
	Created time.Time `json:"created"` // published since
	Active  time.Time `json:"active"`  // signs from here on
	Retired time.Time `json:"retired"`
	Ends    time.Time `json:"ends"` // unpublished
}

// KeyChange says how keys are to be changed.
type KeyChange struct {
	Alg       string // empty: all in use
	Now, Drop bool
	Confirm   string // the directory's domain, with Drop
}

// Keys are the keys after a change, or as they would be after a dry run.
type Keys struct {
	DryRun  bool     `json:"dryRun"`
	Already bool     `json:"already"`
	Keys    []Key    `json:"keys"`
	Receipt *Receipt `json:"receipt"`
}

// SigningKeys lists the keys.
func (c *Client) SigningKeys(ctx context.Context) ([]*Key, error) {
	return all[Key](ctx, c, "/curfew/keys", nil)
}

// RotateKeys publishes new keys.
func (c *Client) RotateKeys(ctx context.Context, k KeyChange, act Act) (*Keys, error) {
	in := map[string]any{"now": k.Now, "drop": k.Drop}
	if k.Alg != "" {
		in["alg"] = k.Alg
	}
	if k.Confirm != "" {
		in["confirm"] = k.Confirm
	}
	return c.keys(ctx, "/curfew/keys/rotate", in, act)
}

// RetireKey takes a key out of use.
func (c *Client) RetireKey(ctx context.Context, id string, act Act) (*Keys, error) {
	return c.keys(ctx, "/curfew"+at("keys", id, "retire"), map[string]any{}, act)
}

func (c *Client) keys(ctx context.Context, path string, in map[string]any, act Act) (*Keys, error) {
	out := &Keys{}
	err := c.do(ctx, call{method: "POST", path: path, in: in, header: act.header()}, out)
	if err == nil && act.DryRun && !out.DryRun {
		err = errNotDry
	}
	return out, err
}
