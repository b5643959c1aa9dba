package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Act says how something is done that changes the directory.
type Act struct {
	Reason string
	DryRun bool
}

func (a Act) header() map[string]string {
	h := map[string]string{}
	if a.Reason != "" {
		h["Curfew-Reason"] = a.Reason
	}
	if a.DryRun {
		h["Curfew-Dry-Run"] = "true"
	}
	return h
}

// Done is what became of an act.
type Done struct {
	DryRun  bool     `json:"dryRun"`
	Effects []string `json:"effects"` // of a dry run: what would happen
	Receipt string   `json:"-"`       // of what it cut; empty: nothing
}

var errNotDry = errors.New("the server did not say that this was a dry run: it may have been done")

// change sends something that changes the directory, and reads the answer into
// out unless it is that of a dry run.
func (c *Client) change(ctx context.Context, k call, act Act, out any) (Done, error) {
	k.header = act.header()
	var done Done
	k.answered = func(h http.Header) { done.Receipt = h.Get("Curfew-Receipt") }
	if act.DryRun {
		err := c.do(ctx, k, &done)
		if err == nil && !done.DryRun {
			// A server that does not know the header has done it.
			return done, errNotDry
		}
		return done, err
	}
	return done, c.do(ctx, k, out)
}

// User is a person or an application's identity, in Graph's words.
type User struct {
	ID                string     `json:"id"`
	UserPrincipalName string     `json:"userPrincipalName"`
	DisplayName       string     `json:"displayName"`
	AccountEnabled    *bool      `json:"accountEnabled"`
	GivenName         string     `json:"givenName,omitempty"`
	Surname           string     `json:"surname,omitempty"`
	Mail              string     `json:"mail,omitempty"`
	MailNickname      string     `json:"mailNickname,omitempty"`
	JobTitle          string     `json:"jobTitle,omitempty"`
	Department        string     `json:"department,omitempty"`
	OfficeLocation    string     `json:"officeLocation,omitempty"`
	MobilePhone       string     `json:"mobilePhone,omitempty"`
	PreferredLanguage string     `json:"preferredLanguage,omitempty"`
	Created           *time.Time `json:"createdDateTime,omitempty"`
	PasswordChanged   *time.Time `json:"lastPasswordChangeDateTime,omitempty"`
	ValidFrom         *time.Time `json:"signInSessionsValidFromDateTime,omitempty"` // of the last revocation
}

// Enabled reports whether the user may sign in, as far as the server said.
func (u *User) Enabled() bool { return u.AccountEnabled == nil || *u.AccountEnabled }

const userFields = "id,userPrincipalName,displayName,accountEnabled,givenName,surname,mail,mailNickname,jobTitle,department,officeLocation,mobilePhone,preferredLanguage,createdDateTime"

// UserQuery selects users; the zero one selects all.
type UserQuery struct {
	// Search finds people by the beginnings of the words of their names. A whole
	// user name or mail address finds who has exactly that, else who has one that
	// begins so: "ada@contoso.example" must not find ada-smith@contoso.example.
	Search string
	Filter string // of OData, besides
	Limit  int    // 0: all
}

// Users walks through the users that q selects.
func (c *Client) Users(ctx context.Context, q UserQuery) iter.Seq2[*User, error] {
	v := url.Values{"$select": {userFields}, "$top": {"999"}}
	if q.Limit > 0 && q.Limit < 999 {
		v.Set("$top", strconv.Itoa(q.Limit))
	}
	if q.Filter != "" {
		v.Set("$filter", q.Filter)
	}
	term := strings.TrimSpace(q.Search)
	if !strings.Contains(term, "@") || strings.ContainsAny(term, " \t\"") {
		if term != "" {
			v.Set("$search", `"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(term)+`"`)
		}
		return pages[User](ctx, c, "/users", v, q.Limit)
	}
	and := func(test string) url.Values {
		w := url.Values{}
		for name, all := range v {
			w[name] = all
		}
		if q.Filter != "" {
			test = "(" + q.Filter + ") and (" + test + ")"
		}
		w.Set("$filter", test)
		return w
	}
	text := quote(term)
	return func(yield func(*User, error) bool) {
		found := false
		for u, err := range pages[User](ctx, c, "/users", and("userPrincipalName eq "+text+" or mail eq "+text), q.Limit) {
			found = true
			if !yield(u, err) {
				return
			}
		}
		if found {
			return
		}
		for u, err := range pages[User](ctx, c, "/users", and("startswith(userPrincipalName,"+text+") or startswith(mail,"+text+")"), q.Limit) {
			if !yield(u, err) {
				return
			}
		}
	}
}

// quote writes a string literal of OData.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// pages follows a listing page by page.
func pages[T any](ctx context.Context, c *Client, path string, v url.Values, limit int) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		for n := 0; ; {
			var page struct {
				Value []T    `json:"value"`
				Next  string `json:"@odata.nextLink"`
			}
			if err := c.do(ctx, call{method: "GET", path: path, query: v}, &page); err != nil {
				yield(nil, err)
				return
			}
			for i := range page.Value {
				if !yield(&page.Value[i], nil) {
					return
				}
				if n++; n == limit {
					return
				}
			}
			if page.Next == "" {
				return
			}
			// Only its query is taken: the token goes nowhere else.
			next, err := url.Parse(page.Next)
			if err != nil || next.Query().Encode() == v.Encode() {
				yield(nil, fmt.Errorf("the address of the next page is not understood"))
				return
			}
			v = next.Query()
		}
	}
}

// all collects a listing that is not long.
func all[T any](ctx context.Context, c *Client, path string, v url.Values) (out []*T, err error) {
	for x, err := range pages[T](ctx, c, path, v, 0) {
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}

// at makes a path of escaped segments.
func at(segments ...string) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteString("/" + url.PathEscape(s))
	}
	return b.String()
}

// User returns one user by id or user name.
func (c *Client) User(ctx context.Context, ref string) (*User, error) {
	u := &User{}
	return u, c.do(ctx, call{method: "GET", path: at("users", ref), query: url.Values{"$select": {userFields + ",lastPasswordChangeDateTime,signInSessionsValidFromDateTime"}}}, u)
}

// Me returns who is connected.
func (c *Client) Me(ctx context.Context) (*User, error) {
	u := &User{}
	return u, c.do(ctx, call{method: "GET", path: "/me", query: url.Values{"$select": {userFields}}}, u)
}

// NewUser is a user to be created.
type NewUser struct {
	UserPrincipalName, DisplayName                    string
	GivenName, Surname, Mail, MailNickname            string
	JobTitle, Department, OfficeLocation, MobilePhone string
	PreferredLanguage                                 string
	Disabled                                          bool
	Password                                          string // empty, and not Generate: the user cannot sign in by password
	Generate                                          bool   // have one made
	MustChange                                        bool
}

// CreateUser creates a user, and returns the password that was made, if any.
func (c *Client) CreateUser(ctx context.Context, n NewUser, act Act) (u *User, password string, done Done, err error) {
	doc := map[string]any{"accountEnabled": !n.Disabled}
	for name, v := range map[string]string{"userPrincipalName": n.UserPrincipalName, "displayName": n.DisplayName, "givenName": n.GivenName, "surname": n.Surname,
		"mail": n.Mail, "mailNickname": n.MailNickname, "jobTitle": n.JobTitle, "department": n.Department, "officeLocation": n.OfficeLocation,
		"mobilePhone": n.MobilePhone, "preferredLanguage": n.PreferredLanguage} {
		if v != "" {
			doc[name] = v
		}
	}
	switch {
	case n.Generate:
		doc["@curfew.generatePassword"] = true
		doc["passwordProfile"] = map[string]any{"forceChangePasswordNextSignIn": n.MustChange}
	case n.Password != "":
		doc["passwordProfile"] = map[string]any{"password": n.Password, "forceChangePasswordNextSignIn": n.MustChange}
	}
	var out struct {
		User
		Password string `json:"@curfew.password"`
	}
	done, err = c.change(ctx, call{method: "POST", path: "/users", in: doc}, act, &out)
	return &out.User, out.Password, done, err
}

// UpdateUser sets properties, under Graph's names; nil takes one away.
func (c *Client) UpdateUser(ctx context.Context, ref string, set map[string]any, act Act) (Done, error) {
	return c.change(ctx, call{method: "PATCH", path: at("users", ref), in: set}, act, nil)
}

// SetEnabled disables a user, which ends everything that is live, or enables one.
func (c *Client) SetEnabled(ctx context.Context, ref string, enabled bool, act Act) (Done, error) {
	return c.UpdateUser(ctx, ref, map[string]any{"accountEnabled": enabled}, act)
}

// SetPassword replaces a password, which ends everything that is live. An empty
// one is made by the server and returned.
func (c *Client) SetPassword(ctx context.Context, ref, password string, mustChange bool, act Act) (made string, done Done, err error) {
	in := map[string]any{"mustChange": mustChange, "dryRun": act.DryRun, "reason": act.Reason}
	if password != "" {
		in["password"] = password
	}
	var out struct {
		Password string `json:"password"`
	}
	// The reason stands in the body here.
	done, err = c.change(ctx, call{method: "POST", path: "/curfew" + at("users", ref, "password"), in: in}, Act{DryRun: act.DryRun}, &out)
	return out.Password, done, err
}

// DeleteUser deletes a user.
func (c *Client) DeleteUser(ctx context.Context, ref string, act Act) (Done, error) {
	return c.change(ctx, call{method: "DELETE", path: at("users", ref)}, act, nil)
}

// ImportReport says what an import did, or in a dry run would do.
type ImportReport struct {
	Rows        int      `json:"rows"`
	Created     int      `json:"created"`
	Updated     int      `json:"updated"`
	Unchanged   int      `json:"unchanged"`
	Disabled    int      `json:"disabled"`
	Skipped     []BadRow `json:"skipped"` // the first of them
	SkippedMore int      `json:"skippedMore"`
	Ignored     []string `json:"ignored"` // columns that have no place here
	Unknown     []string `json:"unknown"` // columns that nobody knows
	Receipts    []string `json:"receipts"`
	Stopped     string   `json:"stopped"` // why it ended before the end of the file
	TookMs      float64  `json:"tookMs"`
}

// BadRow is a row that was skipped.
type BadRow struct {
	Line   int    `json:"line"`
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// Import creates and updates users from a CSV file.
func (c *Client) Import(ctx context.Context, file func() (io.Reader, error), passwords bool, act Act) (*ImportReport, error) {
	v := url.Values{}
	if act.DryRun {
		v.Set("dryRun", "true")
	}
	if passwords {
		v.Set("passwords", "true")
	}
	if act.Reason != "" {
		v.Set("reason", act.Reason)
	}
	r := &ImportReport{}
	return r, c.do(ctx, call{method: "POST", path: "/curfew/import", query: v, body: file, kind: "text/csv", time: longTime}, r)
}
