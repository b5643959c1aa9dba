package client

import (
	"context"
	"time"
)

// Method is a way in which a user proves who they are.
type Method struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"` // password, authenticator, passkey, recovery codes, access pass
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	Used    time.Time `json:"used"`           // zero: never
	Expires time.Time `json:"expires"`        // zero: never
	Left    int       `json:"left,omitempty"` // recovery codes
	Once    bool      `json:"once,omitempty"` // an access pass that is good once
}

// graphMethod is one as Graph writes it.
type graphMethod struct {
	Type    string    `json:"@odata.type"`
	ID      string    `json:"id"`
	Name    string    `json:"displayName"`
	Created time.Time `json:"createdDateTime"`
	Used    time.Time `json:"lastUsedDateTime"`
	Start   time.Time `json:"startDateTime"`
	Minutes int       `json:"lifetimeInMinutes"`
	Once    bool      `json:"isUsableOnce"`
	Left    int       `json:"codesLeft"`
	Value   string    `json:"temporaryAccessPass"`
}

var methodKinds = map[string]string{"#microsoft.graph.passwordAuthenticationMethod": "password", "#microsoft.graph.softwareOathAuthenticationMethod": "authenticator",
	"#microsoft.graph.fido2AuthenticationMethod": "passkey", "#curfew.recoveryCodesAuthenticationMethod": "recovery codes", "#microsoft.graph.temporaryAccessPassAuthenticationMethod": "access pass"}

func (g *graphMethod) method() *Method {
	m := &Method{ID: g.ID, Kind: methodKinds[g.Type], Name: g.Name, Created: g.Created, Used: g.Used, Left: g.Left, Once: g.Once}
	if g.Minutes > 0 {
		m.Expires = g.Start.Add(time.Duration(g.Minutes) * time.Minute)
	}
	return m
}

// Methods lists how a user, by id or name, proves who they are.
func (c *Client) Methods(ctx context.Context, ref string) (out []*Method, err error) {
	found, err := all[graphMethod](ctx, c, at("users", ref, "authentication", "methods"), nil)
	for _, g := range found {
		out = append(out, g.method())
	}
	return out, err
}

// RemoveMethod takes one away, which ends everything of that user.
func (c *Client) RemoveMethod(ctx context.Context, ref, id string, act Act) (Done, error) {
	return c.change(ctx, call{method: "DELETE", path: at("users", ref, "authentication", "methods", id)}, act, nil)
}

// ResetMethods takes all but the password away, which ends everything of that user.
func (c *Client) ResetMethods(ctx context.Context, ref string, act Act) (Done, error) {
	return c.change(ctx, call{method: "POST", path: "/curfew" + at("users", ref, "resetMethods"), in: map[string]any{}}, act, nil)
}

// GivePass gives a user a temporary access pass; life 0 is the server's default. The
// value is told this once.
func (c *Client) GivePass(ctx context.Context, ref string, life time.Duration, once bool, act Act) (value string, m *Method, done Done, err error) {
	in := map[string]any{"isUsableOnce": once}
	if life > 0 {
		in["lifetimeInMinutes"] = int((life + time.Minute - 1) / time.Minute)
	}
	var g graphMethod
	done, err = c.change(ctx, call{method: "POST", path: at("users", ref, "authentication", "temporaryAccessPassMethods"), in: in}, act, &g)
	g.Type = "#microsoft.graph.temporaryAccessPassAuthenticationMethod"
	return g.Value, g.method(), done, err
}
