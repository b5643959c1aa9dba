package portal

import (
	"time"

	"github.com/curfew-id/curfew/internal/web/portal/figure"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Section is a page of the navigation.
type Section uint8

// The sections, in the order of the navigation.
const (
	SectionNone Section = iota
	SectionOverview
	SectionUsers
	SectionApplications
	SectionResources
	SectionGuards
	SectionDeliveries
	SectionReceipts
	SectionAudit
)

// Shell is the frame around every portal page: top bar and navigation.
type Shell struct {
	webkit.Frame
	Section Section
	// Me is who is signed in; MyRoles is always in sight.
	Me      string
	MyRoles []string
	// UserCount stands beside Users; negative: not known.
	UserCount int
	// GuardsAnswering of GuardsTotal; a negative total is not for this reader to see.
	GuardsAnswering, GuardsTotal int
	// Failing is how many applications are not told of logouts, since it fails.
	Failing int
	// Worst is how long the longest-lived unguarded token, or else the most patient
	// guard, would stay open after a revoke; zero: nothing is live.
	Worst time.Duration
	// Crumbs lead here; the last one is this page and has no address.
	Crumbs []webkit.Link
}

// SilentGuards is how many guards do not answer.
func (s Shell) SilentGuards() int { return s.GuardsTotal - s.GuardsAnswering }

// WorstText is the worst case in the top bar: whole minutes under an hour.
func (s Shell) WorstText() string {
	switch {
	case s.Worst == 0:
		return "nothing live"
	case s.Worst >= time.Minute && s.Worst < time.Hour:
		return webkit.Span(s.Worst.Truncate(time.Minute))
	}
	return webkit.Span(s.Worst)
}

// Role is what the top bar says below the name.
func (s Shell) Role() string {
	switch len(s.MyRoles) {
	case 0:
		return "No role"
	case 1:
		return s.MyRoles[0]
	}
	return s.MyRoles[0] + " and " + webkit.Num(len(s.MyRoles)-1) + " more"
}

// NavItem is one line of the navigation.
type NavItem struct {
	Group, Text, URL, Icon string
	Current                bool
	Count                  string // beside the text
	Warn                   bool   // Count is a warning
}

// Nav lists the pages that exist. Who holds no role is let in as the owner of
// applications, and sees no others.
func (s Shell) Nav() []NavItem {
	users, silent, failing := "", "", ""
	if s.UserCount >= 0 {
		users = webkit.Num(s.UserCount)
	}
	if n := s.SilentGuards(); n > 0 {
		silent = webkit.Num(n) + " silent"
	}
	if s.Failing > 0 {
		failing = webkit.Num(s.Failing) + " failing"
	}
	items := []NavItem{
		SectionOverview - 1:     {Text: "Overview", URL: PathOverview, Icon: "gauge"},
		SectionUsers - 1:        {Group: "Directory", Text: "Users", URL: PathUsers, Icon: "user", Count: users},
		SectionApplications - 1: {Group: "Access", Text: "Applications", URL: PathApplications, Icon: "apps"},
		SectionResources - 1:    {Text: "Resources", URL: PathResources, Icon: "layers"},
		SectionGuards - 1:       {Group: "Enforcement", Text: "Guards", URL: PathGuards, Icon: "shield", Count: silent, Warn: true},
		SectionDeliveries - 1:   {Text: "Deliveries", URL: PathDeliveries, Icon: "mail", Count: failing, Warn: true},
		SectionReceipts - 1:     {Group: "Records", Text: "Receipts", URL: PathReceipts, Icon: "receipt"},
		SectionAudit - 1:        {Text: "Audit", URL: PathAudit, Icon: "list"},
	}
	if s.Section != SectionNone {
		items[s.Section-1].Current = true
	}
	if len(s.MyRoles) == 0 {
		return items[SectionApplications-1 : SectionApplications]
	}
	return items
}

// Command is one button of the command bar: a link to a confirmation page.
type Command struct {
	Verb Verb
	URL  string
	// Refused keeps the button in sight and in the tab order, with a padlock; the
	// page then carries a Refusal that says why.
	Refused bool
}

// Refusal is the notice about what the reader's role cannot do here.
type Refusal struct {
	// Sentence in bold: "Anita holds Global Administrator. Your role cannot act on it."
	Sentence string
	// Acts are what needs more: "revoke sessions, disable the account or reset the password".
	Acts string
	// Needs are the roles of which one is enough; You hold MyRoles.
	Needs   []string
	YouHold []string
	// Who can, each with a link; More is how many others can.
	Who  []webkit.Link
	More int
	// Untold: the reader may not know who holds roles.
	Untold bool
	// CopyURL is the absolute address to hand to one of them.
	CopyURL string
}

// NeedsOr joins the roles: "A or B".
func (r Refusal) NeedsOr() string { return webkit.Or(r.Needs) }

// Hold joins the roles held, or says none.
func (r Refusal) Hold() string {
	if len(r.YouHold) == 0 {
		return "no role"
	}
	return webkit.And(r.YouHold)
}

// Can is how many people can.
func (r Refusal) Can() int { return len(r.Who) + r.More }

// Filter is one property of a list by which it can be narrowed.
type Filter struct {
	Label string // "Status"
	// Value in words when set: "Disabled"; empty: not set.
	Value    string
	ClearURL string
	Options  []webkit.Link
}

// Paging is the foot of a list.
type Paging struct {
	From, To, Total  int    // From 0: nothing listed; Total negative: not counted
	PrevURL, NextURL string // empty: there is none
	Size             int
	Sizes            []webkit.Link
}

// Users is the users list.
type Users struct {
	Shell
	Query   string
	Filters []Filter
	// Hidden fields keep filters and size while searching.
	Hidden []Hidden
	Found  int
	Took   time.Duration
	// Rows, at most 100 of them, keep a page under 100 KB.
	Rows   []UserRow
	Paging Paging
	// SortURL sorts by name the other way; Descending says which way it is now.
	SortURL    string
	Descending bool
	// Bulk are the verbs for selected rows; empty: no selecting.
	Bulk []Verb
	// CanRevokeAll shows the link to "Revoke everyone".
	CanRevokeAll bool
	// ClearURL is the list without search and filters.
	ClearURL string
	// Nobody at all is in the directory yet.
	Empty bool
}

// Hidden is a hidden field.
type Hidden struct{ Name, Value string }

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

// Tab is one tab of the profile page.
type Tab struct {
	Text, URL string
	Count     int // negative: not counted
	Current   bool
}

// User is the profile page. One of Access, Audit, Membership and Cards is set.
type User struct {
	Shell
	ID, Name, UserName string
	// About is job title and department: "Analyst, Research".
	About    string
	Account  Account
	Roles    []string
	Commands []Command
	Refusal  *Refusal
	// Done is one sentence about an act without receipt: "Account enabled at 12:06:02".
	Done    string
	Receipt *Receipt
	Tabs    []Tab

	Access     *Access
	Audit      *AuditTable
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

// AuditTable is a list of audit lines, on a profile or on the audit page.
type AuditTable struct {
	webkit.Clock
	Rows   []AuditRow
	Paging Paging
	// Refused, when set, is the sentence that stands in place of the rows.
	Refused string
}

// AuditRow is one audit line.
type AuditRow struct {
	At      time.Time
	Actor   string
	Act     string // "Revoked sessions"
	Target  webkit.Link
	Reason  string
	State   State // Ended for done, Refused, Failed
	Ledger  int64 // 0: no line
	Receipt webkit.Link
	Address string
}
