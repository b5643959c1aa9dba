package client

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/url"
	"time"
)

// Ending is how something would end if it were revoked now.
type Ending struct {
	Kind     string    `json:"kind"` // at_once, within, not_before
	WithinMs float64   `json:"withinMs"`
	At       time.Time `json:"at"`
}

// Exposure is what is open for one user.
type Exposure struct {
	Sessions []*Session `json:"sessions"`
	Grants   []*Grant   `json:"grants"`
	More     bool       `json:"more"` // than were read
	Lanes    []Lane     `json:"lanes"`
	Last     *struct {
		Receipt string    `json:"receipt"`
		Cause   string    `json:"cause"`
		At      time.Time `json:"at"`
		Actor   Party     `json:"actor"`
	} `json:"last"`
}

// Lane is one place where access is checked.
type Lane struct {
	Name      string            `json:"name"`
	Guards    int               `json:"guards"`
	Answering int               `json:"answering"`
	Guarded   bool              `json:"guarded"`
	Bars      []json.RawMessage `json:"bars"`
	Ends      Ending            `json:"ends"`
}

// Session is one browser session.
type Session struct {
	ID       string    `json:"id"`
	Agent    string    `json:"agent"`
	Provider string    `json:"provider,omitempty"` // through which they came; empty: signed in here
	IP       string    `json:"ip"`
	Kept     bool      `json:"kept"`
	Created  time.Time `json:"created"`
	LastUsed time.Time `json:"lastUsed"`
	AuthTime time.Time `json:"authTime"`
	Ends     time.Time `json:"ends"`
	Device   string    `json:"device,omitempty"`
	User     string    `json:"user,omitempty"` // the name, or what Sessions was asked for
	UserName string    `json:"userName"`
	Causes   []string  `json:"causes"` // why it is no longer good; none: it is
}

// Grant is what one application may do for one user.
type Grant struct {
	ID       string       `json:"id"`
	App      string       `json:"app"`
	AppName  string       `json:"appName"`
	Session  string       `json:"session,omitempty"`
	Offline  bool         `json:"offline"`
	Created  time.Time    `json:"created"`
	LastUsed time.Time    `json:"lastUsed"`
	Ends     time.Time    `json:"ends"`
	Scopes   []Permission `json:"scopes"`
	Tokens   []GrantToken `json:"tokens"`
	Device   string       `json:"device,omitempty"`
	Parent   string       `json:"parent,omitempty"` // the grant it was made from
	Chain    []Link       `json:"chain"`            // the same and those above, nearest first
	Made     []Link       `json:"made"`             // from it; of one grant only
	User     string       `json:"user,omitempty"`   // the name, or what Grants was asked for
	UserName string       `json:"userName"`
	Causes   []string     `json:"causes"` // why it is no longer good; none: it is
}

// Link is one grant of a chain, and the application that holds it.
type Link struct {
	Grant string `json:"grant"`
	App   string `json:"app"`
}

// GrantToken is the latest access token of a grant for one resource.
type GrantToken struct {
	Resource     string    `json:"resource"`
	ResourceName string    `json:"resourceName"`
	Expires      time.Time `json:"expires"`
	Guards       int       `json:"guards"`
	Ends         Ending    `json:"ends"`
}

// Exposure returns what is open for a user.
func (c *Client) Exposure(ctx context.Context, user string) (*Exposure, error) {
	x := &Exposure{}
	return x, c.do(ctx, call{method: "GET", path: "/curfew" + at("users", user, "exposure")}, x)
}

// Sessions lists a user's live browser sessions.
func (c *Client) Sessions(ctx context.Context, user string) ([]*Session, error) {
	out, err := all[Session](ctx, c, "/curfew"+at("users", user, "sessions"), nil)
	for _, s := range out {
		s.User = user
	}
	return out, err
}

// Grants lists a user's live grants.
func (c *Client) Grants(ctx context.Context, user string) ([]*Grant, error) {
	out, err := all[Grant](ctx, c, "/curfew"+at("users", user, "grants"), nil)
	for _, g := range out {
		g.User = user
	}
	return out, err
}

// Of says whose sessions or grants are listed: one application's or one device's.
type Of struct{ App, Device string }

func (o Of) path(what string) string {
	if o.App != "" {
		return "/curfew" + at("apps", o.App, what)
	}
	return "/curfew" + at("devices", o.Device, what)
}

// SessionsOf lists the live browser sessions on a device, or those in which a live
// grant of an application was given.
func (c *Client) SessionsOf(ctx context.Context, of Of) ([]*Session, error) {
	if of.App != "" {
		return c.sessionsOfApp(ctx, of)
	}
	out, err := all[Session](ctx, c, of.path("sessions"), nil)
	for _, s := range out {
		s.User = s.UserName
	}
	return out, err
}

// sessionsOfApp asks for the sessions of everybody who has a grant there. A
// session knows no applications: its grants do.
func (c *Client) sessionsOfApp(ctx context.Context, of Of) (out []*Session, err error) {
	grants, err := c.GrantsOf(ctx, of)
	if err != nil {
		return nil, err
	}
	in, asked := map[string]bool{}, map[string]bool{}
	for _, g := range grants {
		in[g.Session] = true
	}
	for _, g := range grants {
		if g.Session == "" || asked[g.User] {
			continue
		}
		asked[g.User] = true
		all, err := c.Sessions(ctx, g.User)
		if NotFound(err) {
			continue // deleted meanwhile, with the sessions
		}
		if err != nil {
			return nil, err
		}
		for _, s := range all {
			if in[s.ID] {
				out = append(out, s)
			}
		}
	}
	return out, nil
}

// GrantsOf lists live grants of an application, with those made from one of its,
// or on a device.
func (c *Client) GrantsOf(ctx context.Context, of Of) ([]*Grant, error) {
	out, err := all[Grant](ctx, c, of.path("grants"), nil)
	for _, g := range out {
		g.User = g.UserName
	}
	return out, err
}

// Session returns one browser session, dead or alive.
func (c *Client) Session(ctx context.Context, id string) (*Session, error) {
	s := &Session{}
	err := c.do(ctx, call{method: "GET", path: "/curfew" + at("sessions", id)}, s)
	s.User = s.UserName
	return s, err
}

// Grant returns one grant, dead or alive.
func (c *Client) Grant(ctx context.Context, id string) (*Grant, error) {
	g := &Grant{}
	err := c.do(ctx, call{method: "GET", path: "/curfew" + at("grants", id)}, g)
	g.User = g.UserName
	return g, err
}

// Guard is one guard process, or a resource that none guards (Process empty).
type Guard struct {
	Process        string    `json:"process"`
	Name           string    `json:"name"`
	App            string    `json:"app"`
	Resource       string    `json:"resource"`
	ResourceName   string    `json:"resourceName"`
	State          string    `json:"state"` // answering, closes, closed, lives
	AgeMs          float64   `json:"ageMs"` // since its last answer; negative: never answered
	MaxStalenessMs float64   `json:"maxStalenessMs"`
	Answered       time.Time `json:"answered"`
	ClosesAt       time.Time `json:"closesAt"`
	Acked          int64     `json:"acked"`
	Version        string    `json:"version"`
	Address        string    `json:"address"`
}

// Guards lists guards, silent ones first.
func (c *Client) Guards(ctx context.Context) ([]*Guard, error) {
	return all[Guard](ctx, c, "/curfew/guards", nil)
}

// Line is one line of the ledger.
type Line struct {
	Pos   int64     `json:"pos"`
	At    time.Time `json:"at"`
	Cause string    `json:"cause"`
	Actor string    `json:"actor"`
	Cuts  []struct {
		Scope string `json:"scope"`
		ID    string `json:"id,omitempty"`
		Reach string `json:"reach"`
	} `json:"cuts"`
	Era     bool   `json:"era"`
	Receipt string `json:"receipt"`
}

// Ledger lists the newest lines, at most limit.
func (c *Client) Ledger(ctx context.Context, limit int) ([]*Line, error) {
	return newest[Line](ctx, c, "/curfew/ledger", url.Values{}, limit, func(l *Line) int64 { return l.Pos })
}

// Identity is who is connected.
type Identity struct {
	User *struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"user"`
	Roles []struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"roles"`
	Scopes   []string  `json:"scopes"`
	Grant    string    `json:"grant"`
	AuthTime time.Time `json:"authTime"`
	Expires  time.Time `json:"expires"` // of the access token
	Domain   string    `json:"domain"`
}

// Identity returns who is connected.
func (c *Client) Identity(ctx context.Context) (*Identity, error) {
	me := &Identity{}
	return me, c.do(ctx, call{method: "GET", path: "/curfew/me"}, me)
}

// ApplyReport says what applying a manifest did, or in a dry run would do.
type ApplyReport struct {
	Changes []struct {
		Kind string `json:"kind"`
		Name string `json:"name"`
		What string `json:"what"`
	} `json:"changes"`
	Unchanged int `json:"unchanged"`
}

// Apply makes the directory what a manifest says.
func (c *Client) Apply(ctx context.Context, manifest []byte, act Act) (*ApplyReport, error) {
	v := url.Values{}
	if act.DryRun {
		v.Set("dryRun", "true")
	}
	if act.Reason != "" {
		v.Set("reason", act.Reason)
	}
	r := &ApplyReport{}
	return r, c.do(ctx, call{method: "POST", path: "/curfew/apply", query: v, body: func() (io.Reader, error) { return bytes.NewReader(manifest), nil }, kind: "application/toml", time: longTime}, r)
}
