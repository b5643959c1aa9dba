package portal

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/web/portal/receipt"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// action is what role.Allowed calls the verbs on a user.
var action = map[Verb]role.Action{
	RevokeSessions: role.RevokeSessions, DisableAccount: role.DisableUser, EnableAccount: role.EnableUser, ResetPassword: role.ResetPassword,
	RevokeSession: role.RevokeSession, RevokeGrant: role.RevokeSession,
}

// doing is how a sentence names an action: "To … you need".
var doing = map[Verb]string{
	RevokeSessions: "revoke sessions", DisableAccount: "disable the account", EnableAccount: "enable the account", ResetPassword: "reset the password",
	RevokeSession: "end a session", RevokeGrant: "revoke a grant", RevokeApp: "revoke an application's grants", RevokeAll: "revoke everyone",
	DisableApp: "disable the application", EnableApp: "enable the application", DeleteApp: "delete the application", AddSecret: "change its secrets", RotateSecrets: "change its secrets", RemoveSecret: "change its secrets",
	AddOwner: "change the application", RemoveOwner: "change the application", RequireAssignment: "change the application", LetEverybodyIn: "change the application", EditApp: "change the application",
	EditRights: "change the application", Assign: "assign people to it", Unassign: "assign people to it", ConsentForAll: "consent for everybody", WithdrawConsent: "withdraw a consent", CreateApp: "create applications",
	EditResource: "change the resource", DeleteResource: "delete the resource", CreateResource: "create resources",
	WakeRecipient: "try it now", RetryLetter: "try again", DropLetter: "drop a letter",
}

// person is the user that a page is about.
type person struct {
	*manage.UserView
	target role.Target
	id     string
	name   string
}

// person reads whom the address names, by object id or user name.
func (v *visit) person() (*person, error) { return v.personOf(v.r.PathValue("id")) }

func (v *visit) personOf(ref string) (*person, error) {
	u, err := v.s.Manage.User(v.ctx(), v.Actor, ref)
	if err != nil {
		return nil, err
	}
	p := &person{UserView: u, id: u.User.ID.String(), name: calling(u.User), target: role.Target{ID: u.User.ID, Held: u.Held, Service: u.User.Service}}
	if u.User.Service {
		apps, err := v.s.Manage.Apps(v.ctx(), v.Actor)
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

// refusal says why verbs are refused, and who can; nil when none is.
func (v *visit) refusal(verbs []Verb, ds []role.Decision, target directory.UserID, name, page string) *Refusal {
	n := &Refusal{YouHold: role.Names(v.Held.Roles), CopyURL: v.s.Base + page}
	var acts, plain []string
	var needs []directory.RoleID
	for i, d := range ds {
		switch {
		case d.OK:
			continue
		case len(d.Missing) == 0: // no role would do
			plain = append(plain, d.Sentence(name))
			continue
		case len(acts) == 0:
			needs = slices.Clone(d.Missing)
			n.Sentence = "Your role cannot do this."
			if len(v.Held.Roles) == 0 {
				n.Sentence = "Without a role you cannot do this."
			}
			if at := strings.LastIndex(d.Sentence(name), "To "); at > 0 {
				n.Sentence = strings.TrimSpace(d.Sentence(name)[:at])
			}
		default:
			needs = slices.DeleteFunc(needs, func(r directory.RoleID) bool { return !slices.Contains(d.Missing, r) })
		}
		if does := doing[verbs[i]]; !slices.Contains(acts, does) {
			acts = append(acts, does)
		}
	}
	n.Sentence = strings.TrimSpace(n.Sentence + " " + strings.Join(plain, " "))
	if n.Sentence == "" {
		return nil
	}
	n.Acts, n.Needs = webkit.Or(acts), role.Names(needs)
	v.who(n, needs, target)
	return n
}

// who names people who hold one of the roles, other than the target.
func (v *visit) who(n *Refusal, needs []directory.RoleID, target directory.UserID) {
	holders, err := v.holders()
	if err != nil {
		n.Untold = true
		return // the roles are named; who holds them is a courtesy
	}
	var ids []directory.UserID
	for id, roles := range holders {
		if id != target && slices.ContainsFunc(roles, func(r directory.RoleID) bool { return slices.Contains(needs, r) }) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b directory.UserID) int { return slices.Compare(a[:], b[:]) })
	for _, id := range ids {
		u, err := v.s.Manage.User(v.ctx(), v.Actor, id.String())
		switch {
		case err != nil || !u.User.Enabled:
		case len(n.Who) == 3:
			n.More++
		default:
			n.Who = append(n.Who, webkit.Link{Text: calling(u.User), URL: UserPath(id.String())})
		}
	}
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
	if v.r.PathValue("id") != p.id { // by name, or in capitals
		return v.to(UserPath(p.id) + suffix(v.r.URL))
	}
	view := User{ID: p.id, Name: p.name, UserName: p.User.Name, Account: account(p.User), Roles: role.Names(p.Held.Roles), Done: done(v.q.Get("done"), p.User)}
	view.About = strings.Join(slices.DeleteFunc([]string{p.User.JobTitle, p.User.Department}, func(s string) bool { return s == "" }), ", ")
	verbs := []Verb{RevokeSessions, DisableAccount, ResetPassword}
	if !p.User.Enabled {
		verbs[1] = EnableAccount
	}
	if p.User.Service {
		verbs = verbs[:2]
	}
	var ds []role.Decision
	for _, verb := range verbs {
		d := role.Allowed(v.Actor, action[verb], p.target)
		ds = append(ds, d)
		view.Commands = append(view.Commands, Command{verb, VerbPath(p.id, verb), !d.OK})
	}
	tab := v.q.Get("tab")
	switch tab {
	case "audit":
		if view.Audit, err = v.userAudit(p); fault.Is(err, fault.Denied) {
			view.Audit, err = &AuditTable{Clock: v.clock(v.s.now()), Refused: fault.Public(err)}, nil
		}
	case "groups":
		view.Membership, err = v.membership(p)
	case "applications":
		view.Cards, err = v.userApps(p, func(verb Verb) bool {
			d := role.Allowed(v.Actor, appActs[verb.Slug()].action, role.Target{ID: p.User.ID})
			verbs, ds = append(verbs, verb), append(ds, d)
			return d.OK
		})
	default:
		tab = ""
		err = v.userAccess(p, &view)
	}
	if err != nil {
		return err
	}
	view.Refusal = v.refusal(verbs, ds, p.User.ID, p.name, UserPath(p.id))
	for _, t := range []Tab{{Text: "Access", Count: -1}, {Text: "Audit", URL: "?tab=audit", Count: -1}, {Text: "Applications", URL: "?tab=applications", Count: -1},
		{Text: "Groups and roles", URL: "?tab=groups", Count: len(p.Groups) + len(p.Held.Roles)}} {
		t.Current = strings.TrimPrefix(t.URL, "?tab=") == tab
		t.URL = UserPath(p.id) + t.URL
		view.Tabs = append(view.Tabs, t)
	}
	view.Shell = v.shell(p.name)
	view.Crumbs = []webkit.Link{{Text: "Users", URL: PathUsers}, {Text: p.name}}
	return show(v, userPage, http.StatusOK, view)
}

func suffix(u *url.URL) string {
	if u.RawQuery == "" {
		return ""
	}
	return "?" + u.Query().Encode()
}

// userAccess fills the tab that shows what is open, and the receipt above it.
func (v *visit) userAccess(p *person, view *User) error {
	x, err := v.s.Relay.Exposure(v.ctx(), v.Actor, p.User.ID)
	if fault.Is(err, fault.Denied) {
		view.Access = &Access{Clock: v.clock(v.s.now()), NothingLive: fault.Public(err)}
		return nil
	}
	if err != nil {
		return err
	}
	var rv *relay.ReceiptView
	var cut []receipt.CutToken
	if id := v.q.Get("receipt"); id != "" {
		if rv, err = v.s.Relay.Receipt(v.ctx(), v.Actor, id); err != nil {
			return err
		}
		if !about(rv, p) {
			return fault.New(fault.NotFound, "This receipt is not about "+p.name+".")
		}
		r := v.receipt(rv, UserPath(p.id)+"?receipt="+url.QueryEscape(rv.ID))
		r.Target = p.name
		view.Receipt, cut = &r, v.s.cuts.Recall(rv.ID)
	}
	usual := map[directory.ResourceID]time.Duration{}
	if o := v.s.vitals.overview(func() (*relay.Overview, error) { return v.s.Relay.Overview(v.ctx(), v.Actor) }); o != nil {
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

func (v *visit) userAudit(p *person) (*AuditTable, error) {
	t, err := v.auditTable(manage.AuditQuery{Target: p.id}, UserPath(p.id)+"?tab=audit&")
	return &t, err
}

// userApps fills the tab that shows what somebody consented to and is assigned to.
// may says what the verb will say.
func (v *visit) userApps(p *person, may func(Verb) bool) ([]registry.Card, error) {
	consents, err := v.s.Manage.Consents(v.ctx(), v.Actor, p.User.ID)
	if err != nil {
		return nil, err
	}
	assigned, err := v.s.Manage.AppAssignmentsOf(v.ctx(), v.Actor, p.User.ID)
	if err != nil {
		return nil, err
	}
	apps, err := v.s.Manage.Apps(v.ctx(), v.Actor)
	if err != nil {
		return nil, err
	}
	offer := func(verb Verb, app directory.AppID, part string) registry.Button {
		return button(verb, appPartPath(string(app), verb, part), !may(verb))
	}
	return v.cards().OfUser(apps, consents, assigned, AppPath,
		func(c directory.Consent) registry.Button { return offer(WithdrawConsent, c.App, p.id) },
		func(a manage.AppAssignment) registry.Button { return offer(Unassign, a.App, a.ID.String()) }), nil
}

func (v *visit) membership(p *person) (*Membership, error) {
	m := &Membership{}
	for _, g := range p.Groups {
		m.Groups = append(m.Groups, MembershipRow{g.Name, "directly"})
	}
	direct, err := v.s.Manage.Assignments(v.ctx(), v.Actor, manage.AssignmentQuery{User: p.User.ID})
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
		all, err := v.s.Manage.Assignments(v.ctx(), v.Actor, manage.AssignmentQuery{Group: g.ID, Role: id})
		if err == nil && len(all) > 0 {
			return g.Name
		}
	}
	return ""
}

// acts are the names of the audit log in words; others stand as they are.
var acts = map[string]string{
	"Update StsRefreshTokenValidFrom Timestamp": "Revoked sessions", "Disable account": "Disabled account", "Enable account": "Enabled account",
	"Reset user password": "Reset password", "Change user password": "Changed own password", "Add user": "Created user", "Update user": "Changed user",
	"Delete user": "Deleted user", "Add member to role": "Gave role", "Remove member from role": "Took role", "Revoke session": "Ended session",
	"Revoke grant": "Revoked grant", "Revoke application": "Revoked application", "Suspicious refresh token retry": "Suspicious refresh",
	"Add application": "Registered application", "Update application": "Changed application", "Delete application": "Deleted application", "Disable application": "Disabled application", "Enable application": "Enabled application",
	"Update application – certificates and secrets management": "Changed secrets", "Add owner to application": "Added owner", "Remove owner from application": "Removed owner", "Add app role assignment": "Assigned to application", "Remove app role assignment": "Took assignment",
	"Consent to application": "Consented for everybody", "Revoke consent": "Withdrew consent", "Add resource": "Registered resource", "Update resource": "Changed resource", "Delete resource": "Deleted resource",
	"Retry logout notice": "Told again", "Drop logout notice": "Dropped letter", "Give up logout notice": "Gave up letter", "Retry application": "Tried application",
}

func (v *visit) auditTable(q manage.AuditQuery, address string) (AuditTable, error) {
	before, at, err := v.edge()
	if err != nil {
		return AuditTable{}, err
	}
	q.Before, q.Limit = before, listSize+1
	all, err := v.s.Manage.Audits(v.ctx(), v.Actor, q)
	if err != nil {
		return AuditTable{}, err
	}
	t := AuditTable{Clock: v.clock(v.s.now())}
	more := len(all) > listSize
	if more {
		all = all[:listSize]
	}
	for _, r := range all {
		t.Rows = append(t.Rows, auditRow(r))
	}
	if len(all) > 0 {
		t.Paging = older(address, at, len(all), all[len(all)-1].ID, more)
	}
	return t, nil
}

func auditRow(r audit.Record) AuditRow {
	row := AuditRow{At: r.At, Actor: by(r.Actor), Act: r.Action, Target: webkit.Link{Text: r.Target.Name}, Reason: r.Reason, State: Ended, Ledger: int64(r.Pos), Address: r.IP}
	if words, ok := acts[r.Action]; ok {
		row.Act = words
	}
	switch r.Result {
	case audit.Refused:
		row.State = Refused
	case audit.Failure:
		row.State = Failed
	}
	if row.Reason == "" {
		row.Reason = r.Elaborate
	}
	if row.Target.Text == "" {
		row.Target.Text = webkit.None
	}
	if page := map[string]func(string) string{"user": UserPath, "app": AppPath, "resource": ResourcePath}[r.Target.Kind]; page != nil && r.Target.ID != "" {
		row.Target.URL = page(r.Target.ID)
	}
	if r.Receipt != "" {
		row.Receipt = webkit.Link{Text: r.Receipt, URL: ReceiptPath(r.Receipt)}
	}
	return row
}
