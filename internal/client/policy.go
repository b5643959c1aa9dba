package client

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The kinds of documents of conditional access, by where they are.
const (
	Policies  = "policies"
	Locations = "namedLocations"
	Strengths = "authenticationStrength/policies"
	Contexts  = "authenticationContextClassReferences"
	Terms     = "/agreements" // not beside the others
)

// Document is a policy, or what policies refer to, in Graph's form.
type Document struct {
	ID       string    `json:"id"`
	Name     string    `json:"displayName"`
	State    string    `json:"state"` // of a policy
	Type     string    `json:"@odata.type"`
	Trusted  bool      `json:"isTrusted"`
	Modified time.Time `json:"modifiedDateTime"`

	Conditions struct {
		Users struct {
			Include []string `json:"includeUsers"`
			Groups  []string `json:"includeGroups"`
			Roles   []string `json:"includeRoles"`
		} `json:"users"`
		Applications struct {
			Include  []string `json:"includeApplications"`
			Actions  []string `json:"includeUserActions"`
			Contexts []string `json:"includeAuthenticationContextClassReferences"`
		} `json:"applications"`
	} `json:"conditions"`
	Grant *struct {
		Operator string   `json:"operator"`
		Controls []string `json:"builtInControls"`
		Terms    []string `json:"termsOfUse"`
		Strength *struct {
			ID string `json:"id"`
		} `json:"authenticationStrength"`
	} `json:"grantControls"`
	Session map[string]json.RawMessage `json:"sessionControls"`

	Ranges []struct {
		CIDR string `json:"cidrAddress"`
	} `json:"ipRanges"`
	Countries []string `json:"countriesAndRegions"`
	Unknown   bool     `json:"includeUnknownCountriesAndRegions"`

	Kind         string   `json:"policyType"` // of a strength: builtIn or custom
	Combinations []string `json:"allowedCombinations"`
	Description  string   `json:"description"`
	Available    bool     `json:"isAvailable"` // of a context
	Text         string   `json:"text"`        // of terms of use

	raw json.RawMessage
}

// UnmarshalJSON keeps the whole document beside what is understood of it here.
func (d *Document) UnmarshalJSON(b []byte) error {
	type plain Document
	if err := json.Unmarshal(b, (*plain)(d)); err != nil {
		return err
	}
	d.raw = bytes.Clone(b)
	return nil
}

// MarshalJSON writes the document as the server did.
func (d Document) MarshalJSON() ([]byte, error) { return d.raw, nil }

// Fate is what becomes of one session or grant when something changes.
type Fate struct {
	Fate     string     `json:"fate"` // ends, asks, shortens, opens, stays
	UserName string     `json:"userPrincipalName"`
	Session  string     `json:"session,omitempty"`
	Grant    string     `json:"grant,omitempty"`
	App      string     `json:"app,omitempty"`
	AppName  string     `json:"appName,omitempty"`
	Needs    []string   `json:"needs"`
	By       []string   `json:"by"`
	Until    *time.Time `json:"until"`
	AtOnce   bool       `json:"atOnce"` // it ends by a cutoff, not at the next use
}

// Tally counts what is alive by what becomes of it.
type Tally struct {
	Ends     int `json:"ends"`
	Asks     int `json:"asks"`
	Shortens int `json:"shortens"`
	Opens    int `json:"opens"`
	Stays    int `json:"stays"`
}

// Touched counts what does not stay as it is.
func (t Tally) Touched() int { return t.Ends + t.Asks + t.Shortens + t.Opens }

// WhatIf is what a change would do.
type WhatIf struct {
	Sessions Tally `json:"sessions"`
	Grants   Tally `json:"grants"`
	Rows     int   `json:"rows"`
	Part     bool  `json:"part"` // there is more than was looked at
	Apps     []struct {
		App  string `json:"app"`
		Name string `json:"name"`
		Tally
	} `json:"apps"`
	Fates  []Fate `json:"fates"`
	Left   int    `json:"left"`
	Admins struct {
		Out    bool     `json:"lockedOut"`
		In     []string `json:"in"`
		Spared []string `json:"spared"`
		By     []string `json:"by"`
	} `json:"globalAdministrators"`
}

// Planned is the answer to a dry run of a change, or to a question about one.
type Planned struct {
	DryRun  bool     `json:"dryRun"`
	Effects []string `json:"effects"`
	WhatIf  *WhatIf  `json:"whatIf"`
}

func documents(kind string) string {
	if strings.HasPrefix(kind, "/") {
		return kind
	}
	return "/identity/conditionalAccess/" + kind
}

// Documents lists the documents of a kind.
func (c *Client) Documents(ctx context.Context, kind string) ([]*Document, error) {
	return all[Document](ctx, c, documents(kind), nil)
}

// Places is the database that says in which country an address is.
type Places struct {
	Database bool      `json:"database"` // one was named
	File     string    `json:"file"`
	Type     string    `json:"type"`
	Built    time.Time `json:"built"`   // zero: nothing is known
	Trouble  string    `json:"trouble"` // why it cannot be used; empty: none
}

// Places returns it.
func (c *Client) Places(ctx context.Context) (*Places, error) {
	p := &Places{}
	return p, c.do(ctx, call{method: "GET", path: "/curfew/places"}, p)
}

// Document returns one by id or name.
func (c *Client) Document(ctx context.Context, kind, ref string) (*Document, error) {
	d := &Document{}
	return d, c.do(ctx, call{method: "GET", path: documents(kind) + at(ref)}, d)
}

// govern sends a change of conditional access. Force: even if nobody could get in
// after it.
func (c *Client) govern(ctx context.Context, k call, act Act, force bool, out any) (*Planned, error) {
	k.header = act.header()
	if force {
		k.header["Curfew-Force"] = "true"
	}
	if !act.DryRun {
		return nil, c.do(ctx, k, out)
	}
	p := &Planned{}
	err := c.do(ctx, k, p)
	if err == nil && !p.DryRun {
		err = errNotDry
	}
	return p, err
}

func (k call) document(doc []byte) call {
	k.body, k.kind = func() (io.Reader, error) { return bytes.NewReader(doc), nil }, "application/json"
	return k
}

// CreateDocument creates one; in a dry run the plan is returned instead.
func (c *Client) CreateDocument(ctx context.Context, kind string, doc []byte, act Act, force bool) (*Document, *Planned, error) {
	d := &Document{}
	p, err := c.govern(ctx, call{method: "POST", path: documents(kind)}.document(doc), act, force, d)
	return d, p, err
}

// ChangeDocument merges a patch into one.
func (c *Client) ChangeDocument(ctx context.Context, kind, ref string, patch []byte, act Act, force bool) (*Planned, error) {
	return c.govern(ctx, call{method: "PATCH", path: documents(kind) + at(ref)}.document(patch), act, force, nil)
}

// DeleteDocument deletes one.
func (c *Client) DeleteDocument(ctx context.Context, kind, ref string, act Act, force bool) (*Planned, error) {
	return c.govern(ctx, call{method: "DELETE", path: documents(kind) + at(ref)}, act, force, nil)
}

// Suppose asks what a change would do: in has the members of POST /curfew/whatIf.
func (c *Client) Suppose(ctx context.Context, in map[string]any) (*Planned, error) {
	p := &Planned{}
	return p, c.do(ctx, call{method: "POST", path: "/curfew/whatIf", in: in}, p)
}

// Spared is an account that no policy touches.
type Spared struct {
	ID       string     `json:"id"`
	UserName string     `json:"userPrincipalName"`
	Name     string     `json:"displayName"`
	Enabled  bool       `json:"enabled"`
	Admin    bool       `json:"globalAdministrator"`
	LastUsed *time.Time `json:"lastUsed"`
}

// SparedAccounts lists them.
func (c *Client) SparedAccounts(ctx context.Context) ([]*Spared, error) {
	return all[Spared](ctx, c, "/curfew/spared", nil)
}

// Spare spares a user, by object id, of all policies, or no longer.
func (c *Client) Spare(ctx context.Context, user string, spare bool, act Act, force bool) (*Planned, error) {
	if spare {
		return c.govern(ctx, call{method: "POST", path: "/curfew/spared", in: map[string]any{"user": user}}, act, force, nil)
	}
	return c.govern(ctx, call{method: "DELETE", path: "/curfew" + at("spared", user)}, act, force, nil)
}

// Evaluation is what the policies would do with a sign-in.
type Evaluation struct {
	Decision  string   `json:"@curfew.decision"` // allow, ask, block
	Needs     []string `json:"@curfew.needs"`
	Able      bool     `json:"@curfew.able"` // the person could give it
	Spared    bool     `json:"@curfew.spared"`
	Limits    []string `json:"@curfew.limits"`
	Locations []string `json:"@curfew.locations"`
	Country   string   `json:"@curfew.country"`
	Policies  []struct {
		ID      string   `json:"id"`
		Name    string   `json:"displayName"`
		State   string   `json:"state"`
		Applies bool     `json:"policyApplies"`
		Reasons string   `json:"analysisReasons"`
		Result  string   `json:"@curfew.result"`
		Missing []string `json:"@curfew.missing"`
		Unknown []string `json:"@curfew.unknown"`
	} `json:"value"`
}

// Evaluate asks what the policies would do with a sign-in: in is Graph's body.
func (c *Client) Evaluate(ctx context.Context, in map[string]any) (*Evaluation, error) {
	e := &Evaluation{}
	return e, c.do(ctx, call{method: "POST", path: "/identity/conditionalAccess/evaluate", in: in}, e)
}

// Counts are sign-ins by what a policy did with them, or would have done.
type Counts struct {
	Satisfied  int64 `json:"satisfied"`
	Asked      int64 `json:"asked"`
	Refused    int64 `json:"refused"`
	NotApplied int64 `json:"notApplied"`
	Reported   int64 `json:"reported"` // of these: the policy only reported
	Silent     int64 `json:"silent"`   // of these: without a person
}

// Results are what a policy did with the sign-ins of the last days.
type Results struct {
	Policy Document  `json:"policy"`
	Since  time.Time `json:"since"`
	Kept   bool      `json:"kept"` // there is a log of sign-ins
	Lost   int64     `json:"lost"`
	Total  Counts    `json:"total"`
	Days   []struct {
		Day string `json:"day"`
		Counts
	} `json:"days"`
}

// PolicyResults asks for them; a policy is named by id or name.
func (c *Client) PolicyResults(ctx context.Context, ref string, days int) (*Results, error) {
	r := &Results{}
	return r, c.do(ctx, call{method: "GET", path: "/curfew" + at("policies", ref, "results"), query: url.Values{"days": {strconv.Itoa(days)}}}, r)
}
