package client

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
)

// Cut is what a revocation did.
type Cut struct {
	DryRun  bool
	Already bool     // it was over before: nothing was written
	Receipt *Receipt // nil after a dry run, and when it was over before
}

// UnmarshalJSON tells a receipt from the answers that have none.
func (c *Cut) UnmarshalJSON(b []byte) error {
	var short struct{ DryRun, Already bool }
	if err := json.Unmarshal(b, &short); err != nil {
		return err
	}
	if c.DryRun, c.Already = short.DryRun, short.Already; c.DryRun || c.Already {
		return nil
	}
	c.Receipt = &Receipt{}
	err := json.Unmarshal(b, c.Receipt)
	if err == nil && c.Receipt.ID == "" {
		err = errors.New("there is no receipt in it")
	}
	return err
}

func (c *Client) revoke(ctx context.Context, path string, act Act, more map[string]any) (*Cut, error) {
	in := map[string]any{}
	if act.Reason != "" {
		in["reason"] = act.Reason
	}
	if act.DryRun {
		in["dryRun"] = true
	}
	maps.Copy(in, more)
	cut := &Cut{}
	err := c.do(ctx, call{method: "POST", path: "/curfew" + path, in: in}, cut)
	if err == nil && act.DryRun && !cut.DryRun {
		err = errNotDry
	}
	return cut, err
}

// RevokeUser ends everything a user holds.
func (c *Client) RevokeUser(ctx context.Context, ref string, act Act) (*Cut, error) {
	return c.revoke(ctx, at("users", ref, "revoke"), act, nil)
}

// RevokeUserApp ends what one application holds for one user.
func (c *Client) RevokeUserApp(ctx context.Context, ref, app string, act Act) (*Cut, error) {
	return c.revoke(ctx, at("users", ref, "apps", app, "revoke"), act, nil)
}

// RevokeSession ends a browser session and the grants given in it.
func (c *Client) RevokeSession(ctx context.Context, id string, act Act) (*Cut, error) {
	return c.revoke(ctx, at("sessions", id, "revoke"), act, nil)
}

// RevokeGrant ends a grant.
func (c *Client) RevokeGrant(ctx context.Context, id string, act Act) (*Cut, error) {
	return c.revoke(ctx, at("grants", id, "revoke"), act, nil)
}

// RevokeApp ends what an application holds, for everybody.
func (c *Client) RevokeApp(ctx context.Context, app string, act Act) (*Cut, error) {
	return c.revoke(ctx, at("apps", app, "revoke"), act, nil)
}

// RevokeEveryone ends everything of everybody, except, if exceptMe, the session
// this connection was made in. confirm is the directory's domain.
func (c *Client) RevokeEveryone(ctx context.Context, confirm string, exceptMe bool, act Act) (*Cut, error) {
	return c.revoke(ctx, "/everyone/revoke", act, map[string]any{"confirm": confirm, "exceptMe": exceptMe})
}
