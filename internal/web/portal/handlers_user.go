package portal

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/receipt"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// action is what role.Allowed calls the verbs on a user.
var action = map[desk.Verb]role.Action{
	RevokeSessions: role.RevokeSessions, DisableAccount: role.DisableUser, EnableAccount: role.EnableUser, ResetPassword: role.ResetPassword,
	RevokeSession: role.RevokeSession, RevokeGrant: role.RevokeSession,
}

// person is the user that a page is about.
type person struct {
	*manage.UserView
	target role.Target
	id     string
	name   string
}

// person reads whom the address names, by object id or user name.
func (v *visit) person() (*person, error) { return v.personOf(v.R.PathValue("id")) }

func (v *visit) personOf(ref string) (*person, error) {
	u, err := v.s.Manage.User(v.Ctx(), v.Actor, ref)
	if err != nil {
		return nil, err
	}
	p := &person{UserView: u, id: u.User.ID.String(), name: desk.Calling(u.User), target: role.Target{ID: u.User.ID, Held: u.Held, Service: u.User.Service}}
	if u.User.Service {
		apps, err := v.s.Manage.Apps(v.Ctx(), v.Actor)
		if err != nil {
			return nil, err
		}
		for _, a := range apps {
			if a.Principal == u.User.ID {
				for _, x := range a.AppPermissions { // of any resource: doubt closes
					p.target.Permissions = append(p.target.Permissions, x.Scopes...)
				}
			}
		}
	}
	return p, nil
}

// first is the first word of somebody's name, for the second mention.
func (p *person) first() string {
	if w := strings.Fields(p.User.GivenName); len(w) > 0 {
		return w[0]
	}
	return strings.Fields(p.name + " ?")[0]
}

// done are the sentences about an act without a receipt. They are shown only while
// the page bears them out.
func done(word string, u *directory.User) string {
	switch {
	case word == "enabled" && u.Enabled:
		return "The account is enabled. New sign-ins work at once; what had ended stays ended."
	case word == "disabled" && !u.Enabled:
		return "The account was disabled already. Nothing was changed."
	case word == "already":
		return "That was over already. Nothing was changed."
	}
	return ""
}

func (s *Server) getUser(v *visit) error {
	p, err := v.person()
	if err != nil {
		return err
	}
	if v.R.PathValue("id") != p.id { // by name, or in capitals
		return v.To(desk.UserPath(p.id) + suffix(v.R.URL))
	}
	view := User{ID: p.id, Name: p.name, UserName: p.User.Name, Account: account(p.User), Roles: role.Names(p.Held.Roles), Done: done(v.Q.Get("done"), p.User)}
	view.About = strings.Join(slices.DeleteFunc([]string{p.User.JobTitle, p.User.Department}, func(s string) bool { return s == "" }), ", ")
	verbs := []desk.Verb{RevokeSessions, DisableAccount, ResetPassword}
	if !p.User.Enabled {
		verbs[1] = EnableAccount
	}
	if p.User.Service {
		verbs = verbs[:2]
	}
	o := v.Offers()
	for _, verb := range verbs {
		view.Commands = append(view.Commands, o.Command(verb, action[verb], p.target, VerbPath(p.id, verb)))
	}
	tab := v.Q.Get("tab")
	switch tab {
	case "audit":
		if view.Audit, err = v.userAudit(p); fault.Is(err, fault.Denied) {
			view.Audit, err = &desk.AuditTable{Clock: v.Clock(v.Now()), Refused: fault.Public(err)}, nil
		}
	case "groups":
		view.Membership, err = v.membership(p)
	case "applications":
		view.Cards, err = v.userApps(p, func(verb desk.Verb) bool {
			return o.May(verb, appActs[verb.Slug].action, role.Target{ID: p.User.ID})
		})
	default:
		i := slices.IndexFunc(s.Tabs, func(t desk.UserTab) bool { return t.Word == tab })
		if i >= 0 {
			view.Cards, err = s.Tabs[i].Cards(v.Visit, o, desk.Person{ID: p.User.ID, Name: p.name, Target: p.target})
			break
		}
		tab = ""
		err = v.userAccess(p, &view)
	}
	if err != nil {
		return err
	}
	view.Refusal = o.Refusal(p.User.ID, p.name, desk.UserPath(p.id))
	tabs := []desk.Tab{{Text: "Access", Count: -1}, {Text: "Audit", URL: "?tab=audit", Count: -1}, {Text: "Applications", URL: "?tab=applications", Count: -1},
		{Text: "Groups and roles", URL: "?tab=groups", Count: len(p.Groups) + len(p.Held.Roles)}}
	for i, t := range s.Tabs {
		tabs = slices.Insert(tabs, i+1, desk.Tab{Text: t.Text, URL: "?tab=" + t.Word, Count: -1})
	}
	for _, t := range tabs {
		t.Current = strings.TrimPrefix(t.URL, "?tab=") == tab
		t.URL = desk.UserPath(p.id) + t.URL
		view.Tabs = append(view.Tabs, t)
	}
	view.Shell = v.Shell(p.name)
	view.Crumbs = []webkit.Link{{Text: "Users", URL: desk.PathUsers}, {Text: p.name}}
	return desk.Show(v.Visit, userPage, http.StatusOK, view)
}

func suffix(u *url.URL) string {
	if u.RawQuery == "" {
		return ""
	}
	return "?" + u.Query().Encode()
}

// userAccess fills the tab that shows what is open, and the receipt above it.
func (v *visit) userAccess(p *person, view *User) error {
	x, err := v.s.Relay.Exposure(v.Ctx(), v.Actor, p.User.ID)
	if fault.Is(err, fault.Denied) {
		view.Access = &Access{Clock: v.Clock(v.Now()), NothingLive: fault.Public(err)}
		return nil
	}
	if err != nil {
		return err
	}
	var rv *relay.ReceiptView
	var cut []receipt.CutToken
	if id := v.Q.Get("receipt"); id != "" {
		if rv, err = v.s.Relay.Receipt(v.Ctx(), v.Actor, id); err != nil {
			return err
		}
		if !about(rv, p) {
			return fault.New(fault.NotFound, "This receipt is not about "+p.name+".")
		}
		r := v.receipt(rv, desk.UserPath(p.id)+"?receipt="+url.QueryEscape(rv.ID))
		r.Target = p.name
		view.Receipt, cut = &r, v.s.cuts.Recall(rv.ID)
	}
	usual := map[directory.ResourceID]time.Duration{}
	if o := v.Overview(); o != nil {
		for _, r := range o.Rungs {
			usual[r.Resource] = r.Measured
		}
	}
	view.Access = v.access(x, usual, rv, cut)
	return nil
}

// about reports whether a receipt is about somebody. Those of a session or a grant
// bear the user name, which begins them.
func about(rv *relay.ReceiptView, p *person) bool {
	switch rv.Target.Kind {
	case "session", "grant":
		return rv.Target.Name == p.User.Name || strings.HasPrefix(rv.Target.Name, p.User.Name+" in ")
	case "user", "user_app":
		id, _, _ := strings.Cut(rv.Target.ID, ":")
		return id == p.id
	}
	return false
}

func (v *visit) userAudit(p *person) (*desk.AuditTable, error) {
	t, err := v.Audits(manage.AuditQuery{Target: p.id}, desk.UserPath(p.id)+"?tab=audit&")
	return &t, err
}

// userApps fills the tab that shows what somebody consented to and is assigned to.
// may says what the verb will say.
func (v *visit) userApps(p *person, may func(desk.Verb) bool) ([]registry.Card, error) {
	consents, err := v.s.Manage.Consents(v.Ctx(), v.Actor, p.User.ID)
	if err != nil {
		return nil, err
	}
	assigned, err := v.s.Manage.AppAssignmentsOf(v.Ctx(), v.Actor, p.User.ID)
	if err != nil {
		return nil, err
	}
	apps, err := v.s.Manage.Apps(v.Ctx(), v.Actor)
	if err != nil {
		return nil, err
	}
	offer := func(verb desk.Verb, app directory.AppID, part string) registry.Button {
		return desk.Button(verb, appPartPath(string(app), verb, part), !may(verb))
	}
	return v.Cards().OfUser(apps, consents, assigned, desk.AppPath,
		func(c directory.Consent) registry.Button { return offer(WithdrawConsent, c.App, p.id) },
		func(a manage.AppAssignment) registry.Button { return offer(Unassign, a.App, a.ID.String()) }), nil
}

func (v *visit) membership(p *person) (*Membership, error) {
	m := &Membership{}
	for _, g := range p.Groups {
		m.Groups = append(m.Groups, MembershipRow{g.Name, "directly"})
	}
	direct, err := v.s.Manage.Assignments(v.Ctx(), v.Actor, manage.AssignmentQuery{User: p.User.ID})
	if err != nil {
		return nil, err
	}
	for _, id := range p.Held.Roles {
		row := MembershipRow{Name: role.Names([]directory.RoleID{id})[0], Via: "through a group"}
		if slices.ContainsFunc(direct, func(a manage.Assignment) bool { return a.Role == id }) {
			row.Via = "directly"
		} else if through := v.through(id, p.Groups); through != "" {
			row.Via = "through " + through
		}
		m.Roles = append(m.Roles, row)
	}
	return m, nil
}

// through names the group that gives a role.
func (v *visit) through(id directory.RoleID, groups []directory.Group) string {
	for _, g := range groups {
		if !g.RoleAssignable {
			continue
		}
		all, err := v.s.Manage.Assignments(v.Ctx(), v.Actor, manage.AssignmentQuery{Group: g.ID, Role: id})
		if err == nil && len(all) > 0 {
			return g.Name
		}
	}
	return ""
}
