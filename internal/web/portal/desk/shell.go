package desk

import (
	"slices"
	"time"

	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Section is a page of the navigation.
type Section uint8

// The sections, in the order of the navigation.
const (
	SectionNone Section = iota
	SectionOverview
	SectionUsers
	SectionDevices
	SectionApplications
	SectionResources
	SectionPolicies
	SectionLocations
	SectionWhatIf
	SectionRisk
	SectionGuards
	SectionDeliveries
	SectionSignIns
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

// navItems are the lines of the navigation; a new section is a line here.
var navItems = [...]NavItem{
	SectionOverview:     {Text: "Overview", URL: PathOverview, Icon: "gauge"},
	SectionUsers:        {Group: "Directory", Text: "Users", URL: PathUsers, Icon: "user"},
	SectionDevices:      {Text: "Devices", URL: PathDevices, Icon: "laptop"},
	SectionApplications: {Group: "Access", Text: "Applications", URL: PathApplications, Icon: "apps"},
	SectionResources:    {Text: "Resources", URL: PathResources, Icon: "layers"},
	SectionPolicies:     {Group: "Conditional access", Text: "Policies", URL: PathPolicies, Icon: "closes"},
	SectionLocations:    {Text: "Locations", URL: PathLocations, Icon: "globe"},
	SectionWhatIf:       {Text: "What if", URL: PathWhatIf, Icon: "search"},
	SectionRisk:         {Text: "Risk", URL: PathRisk, Icon: "failed"},
	SectionGuards:       {Group: "Enforcement", Text: "Guards", URL: PathGuards, Icon: "shield", Warn: true},
	SectionDeliveries:   {Text: "Deliveries", URL: PathDeliveries, Icon: "mail", Warn: true},
	SectionSignIns:      {Group: "Records", Text: "Sign-ins", URL: PathSignIns, Icon: "enter"},
	SectionReceipts:     {Text: "Receipts", URL: PathReceipts, Icon: "receipt"},
	SectionAudit:        {Text: "Audit", URL: PathAudit, Icon: "list"},
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
	items := slices.Clone(navItems[SectionNone+1:])
	items[SectionUsers-1].Count, items[SectionGuards-1].Count, items[SectionDeliveries-1].Count = users, silent, failing
	if s.Section != SectionNone {
		items[s.Section-1].Current = true
	}
	if len(s.MyRoles) == 0 {
		return items[SectionApplications-1 : SectionApplications]
	}
	return items
}
