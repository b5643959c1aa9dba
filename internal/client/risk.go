package client

import (
	"context"
	"time"
)

// RiskyUser is an account with its risk, as Graph writes it.
type RiskyUser struct {
	ID      string    `json:"id"`
	Name    string    `json:"userPrincipalName"`
	Level   string    `json:"riskLevel"`
	State   string    `json:"riskState"`
	Updated time.Time `json:"riskLastUpdatedDateTime"`
	Reasons []string  `json:"@curfew.reasons"`
}

// RiskEvent is what was found about an account, or what an administrator said of it.
type RiskEvent struct {
	ID      string    `json:"id"`
	Rule    string    `json:"@curfew.rule"`
	Why     string    `json:"@curfew.why"`
	IP      string    `json:"@curfew.ipAddress"`
	Level   string    `json:"riskLevel"`
	State   string    `json:"riskState"`
	At      time.Time `json:"riskLastUpdatedDateTime"`
	Speaker string    `json:"initiatedBy"` // empty: a rule
}

// RiskRule is one thing that may be looked for.
type RiskRule struct {
	ID      string `json:"id"`
	Text    string `json:"text"`
	Weight  int    `json:"weight"`
	Enabled bool   `json:"isEnabled"`
	About   string `json:"about"`
}

const riskyUsers = "/identityProtection/riskyUsers"

// RiskyUsers lists the accounts about which something was ever found.
func (c *Client) RiskyUsers(ctx context.Context) ([]*RiskyUser, error) {
	return all[RiskyUser](ctx, c, riskyUsers, nil)
}

// RiskyUser returns one by its object id.
func (c *Client) RiskyUser(ctx context.Context, id string) (*RiskyUser, error) {
	u := &RiskyUser{}
	return u, c.do(ctx, call{method: "GET", path: riskyUsers + at(id)}, u)
}

// RiskHistory lists what was found about an account, the newest first.
func (c *Client) RiskHistory(ctx context.Context, id string) ([]*RiskEvent, error) {
	return all[RiskEvent](ctx, c, riskyUsers+at(id, "history"), nil)
}

// ConfirmRisk says that an account is compromised.
func (c *Client) ConfirmRisk(ctx context.Context, id string, act Act) (Done, error) {
	return c.change(ctx, call{method: "POST", path: riskyUsers + "/confirmCompromised", in: map[string]any{"userIds": []string{id}}}, act, nil)
}

// DismissRisk says that what was found about an account is nothing.
func (c *Client) DismissRisk(ctx context.Context, id string, act Act) (Done, error) {
	return c.change(ctx, call{method: "POST", path: riskyUsers + "/dismiss", in: map[string]any{"userIds": []string{id}}}, act, nil)
}

// RiskRules lists the rules.
func (c *Client) RiskRules(ctx context.Context) ([]*RiskRule, error) {
	return all[RiskRule](ctx, c, "/curfew/riskRules", nil)
}

// SetRiskRule switches one on or off.
func (c *Client) SetRiskRule(ctx context.Context, id string, on bool, act Act) (Done, error) {
	return c.change(ctx, call{method: "PATCH", path: "/curfew" + at("riskRules", id), in: map[string]any{"isEnabled": on}}, act, nil)
}
