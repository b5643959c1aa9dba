package client

import "context"

// Setting is something of the directory that can be set.
type Setting struct {
	Name    string   `json:"name"`
	Text    string   `json:"text"`
	Value   string   `json:"value"`   // default, or one of Choices
	Ends    string   `json:"ends"`    // what the value ends beyond what always ends
	Choices []string `json:"choices"` // besides default
}

// Settings lists all settings.
func (c *Client) Settings(ctx context.Context) ([]*Setting, error) {
	return all[Setting](ctx, c, "/curfew/settings", nil)
}

// Set gives a setting another value.
func (c *Client) Set(ctx context.Context, name, value string, act Act) (Done, error) {
	return c.change(ctx, call{method: "PATCH", path: "/curfew" + at("settings", name), in: map[string]any{"value": value}}, act, nil)
}
