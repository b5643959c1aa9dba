package portal

import (
	"time"

	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/figure"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Users is the users list.
type Users struct {
	desk.Shell
	Query   string
	Filters []desk.Filter
	// Hidden fields keep filters and size while searching.
	Hidden []desk.Hidden
	Found  int
	Took   time.Duration
	// Rows, at most 100 of them, keep a page under 100 KB.
	Rows   []UserRow
	Paging desk.Paging
	// SortURL sorts by name the other way; Descending says which way it is now.
	SortURL    string
	Descending bool
	// Bulk are the verbs for selected rows; empty: no selecting.
	Bulk []desk.Verb
	// CanRevokeAll shows the link to "Revoke everyone".
	CanRevokeAll bool
	// ClearURL is the list without search and filters.
	ClearURL string
	// Nobody at all is in the directory yet.
	Empty bool
}

// Narrowed describes the search in words for an empty result.
func (u Users) Narrowed() string {
	var w []string
	for _, f := range u.Filters {
		if f.Value != "" {
			w = append(w, f.Value)
		}
	}
	return webkit.And(w)
}

// UserRow is one user of the list. Counts below zero are unknown.
type UserRow struct {
	ID, Name, UserName       string
	Account                  Account
	Roles                    []string
	Sessions, Grants, Tokens int
	Ends                     Ending
	// LastSignIn is the newest of the sessions that are still open; zero: unknown.
	LastSignIn time.Time
	Selected   bool
}

// Role is the first role and how many more.
func (u UserRow) Role() string {
	switch len(u.Roles) {
	case 0:
		return ""
	case 1:
		return u.Roles[0]
	}
	return u.Roles[0] + ", +" + webkit.Num(len(u.Roles)-1)
}

// User is the profile page. One of Access, Audit, Membership and Cards is set.
type User struct {
	desk.Shell
	ID, Name, UserName string
	// About is job title and department: "Analyst, Research".
	About    string
	Account  Account
	Roles    []string
	Commands []desk.Command
	Refusal  *desk.Refusal
	// Done is one sentence about an act without receipt: "Account enabled at 12:06:02".
	Done    string
	Receipt *Receipt
	Tabs    []desk.Tab

	Access     *Access
	Audit      *desk.AuditTable
	Membership *Membership
	Cards      []registry.Card
}

// PageTitle is the browser title: counts first while a receipt is open.
func (u User) PageTitle() webkit.Frame {
	f := u.Frame
	f.Title = u.Name
	if u.Receipt != nil {
		f.Title = u.Receipt.Short() + " – " + u.Name
	}
	return f
}

// Fact is one pair of the facts strip.
type Fact struct{ Label, Value, Remark string }

// Access is the first tab: what is open and how it would end.
type Access struct {
	webkit.Clock
	Facts    []Fact
	Timeline *figure.Timeline // nil: nothing is live
	// NothingLive is the sentence shown instead of the timeline.
	NothingLive string
	Sessions    []SessionRow
	Grants      []GrantRow
	// Rest are access tokens without a live grant: an application's own, and those
	// that outlive what was cut.
	Rest []TokenRow
}

// Open is how many things are still open.
func (a Access) Open() int { return len(a.Sessions) + len(a.Grants) + a.TokenCount() }

// TokenCount is the number of access tokens.
func (a Access) TokenCount() int { return a.GrantTokens() + len(a.Rest) }

// GrantTokens is the number of those that hang on a grant.
func (a Access) GrantTokens() (n int) {
	for _, g := range a.Grants {
		n += len(g.Tokens)
	}
	return n
}

// Idle is when something ends unless it is used: a day, or, when that is near, an
// instant.
func (a Access) Idle(t time.Time) string {
	if t.Sub(a.Now) < 48*time.Hour {
		return a.Min(t)
	}
	return a.Day(t)
}

// SessionRow is one browser session.
type SessionRow struct {
	ID     string
	Device string // "Edge on Windows 11"
	// Kind of device picks the icon: "laptop", "phone" or "globe".
	Kind     string
	Where    string // "Helsinki, ADA-LT-07"; may be empty
	Address  string // IP address
	Born     time.Time
	LastUsed time.Time
	EndsAt   time.Time
	// Sliding: EndsAt holds only if the session is not used before.
	Sliding bool
	Current bool // the reader's own
	Ends    Ending
	EndURL  string // confirmation page; empty: not offered
}

// GrantRow is one grant with its access tokens.
type GrantRow struct {
	ID        string
	App       string
	Where     string // the session or device it came from
	Born      time.Time
	LastUsed  time.Time
	EndsAt    time.Time
	Sliding   bool
	Ends      Ending
	RevokeURL string
	Tokens    []TokenRow
}

// TokenRow is the latest access token of a grant at one resource.
type TokenRow struct {
	Resource string
	Scopes   string
	Born     time.Time // zero: unknown
	EndsAt   time.Time
	Ends     Ending
}

// Membership is the tab Groups and roles.
type Membership struct {
	Roles  []MembershipRow
	Groups []MembershipRow
}

// MembershipRow is one role or group a user has.
type MembershipRow struct {
	Name string
	Via  string // "directly", or "through Operations"
}
