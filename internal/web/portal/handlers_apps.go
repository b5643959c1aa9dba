package portal

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// application is what a page is about, and who the reader is to it.
type application struct {
	*directory.App
	id, name string
	owned    bool // by the reader, as far as that gives rights
}

// application reads the one that the address names.
func (v *visit) application() (*application, error) {
	app, err := v.s.Manage.App(v.ctx(), v.Actor, directory.AppID(v.r.PathValue("id")))
	if err != nil {
		return nil, err
	}
	return &application{app, string(app.ID), cmp.Or(app.Name, string(app.ID)), !app.FirstParty && slices.Contains(app.Owners, v.User.ID)}, nil
}

// may says beforehand what the verb will say about an action on an application.
func (v *visit) may(a *application, action role.Action) role.Decision {
	t := role.Target{Owned: a.owned}
	if action == role.UpdateAppKeys && !a.Principal.IsZero() {
		t.ID, t.Service = a.Principal, true
		if p, err := v.s.Manage.User(v.ctx(), v.Actor, a.Principal.String()); err == nil {
			t.Held = p.Held
		}
		for _, x := range a.AppPermissions {
			if x.Resource == directory.OwnAPI {
				t.Permissions = append(t.Permissions, x.Scopes...)
			}
		}
	}
	return role.Allowed(v.Actor, action, t)
}

// offered are the verbs of a page, each with what the reader's roles say to it.
type offered struct {
	v     *visit
	a     *application
	verbs []Verb
	ds    []role.Decision
}

// offer is the button of a verb: a link, with a padlock when it would be refused.
func (o *offered) offer(verb Verb, address string) Command {
	d := appActs[verb.Slug()].judge(o.v, o.a)
	o.verbs, o.ds = append(o.verbs, verb), append(o.ds, d)
	return Command{verb, address, !d.OK}
}

// page is what the cards of the page share.
func (o *offered) page() registry.Page {
	p := o.v.cards()
	p.Offer = func(word, part string) registry.Button {
		c := o.on(appActs[word].verb, part)
		return button(c.Verb, c.URL, c.Refused)
	}
	return p
}

// cards are drawn as of now, with links to people for those who may see them.
func (v *visit) cards() registry.Page {
	return registry.Page{Clock: v.clock(v.s.now()), Person: func(id directory.UserID) string {
		if len(v.Held.Roles) == 0 {
			return ""
		}
		return UserPath(id.String())
	}}
}

func button(verb Verb, address string, refused bool) registry.Button {
	return registry.Button{Label: verb.Label(), Icon: verb.Icon(), URL: address, Refused: refused, Form: verb.Form()}
}

// on offers a verb on the whole application, or on one part of it.
func (o *offered) on(verb Verb, part string) Command {
	if part != "" {
		return o.offer(verb, appPartPath(o.a.id, verb, part))
	}
	return o.offer(verb, AppVerbPath(o.a.id, verb))
}

// appsPage is how many applications, or resources, a page lists.
const appsPage = 50

func (s *Server) getApplications(v *visit) error {
	apps, err := s.Manage.Apps(v.ctx(), v.Actor)
	d := role.Allowed(v.Actor, role.CreateApp, role.Target{})
	if err != nil {
		return err
	}
	q, status := strings.TrimSpace(v.q.Get("q")), v.q.Get("status")
	if status != "disabled" && status != "enabled" {
		status = ""
	}
	view := Things{Shell: v.shell("Applications"), Heading: "Applications", Commands: []Command{{CreateApp, PathNewApp, !d.OK}}, Query: q, Search: "Name or client id", ListURL: PathApplications, Done: thingDone(v.q.Get("done"))}
	view.Refusal = v.refusal([]Verb{CreateApp}, []role.Decision{d}, directory.UserID{}, "", PathNewApp)
	if len(apps) == 0 {
		view.Empty, view.Command = "No applications yet.", "curfew apply -f directory.toml"
	}
	with := func(k, x string) string {
		u := url.Values{"q": {q}, "status": {status}}
		u.Set(k, x)
		for k := range u {
			if u.Get(k) == "" {
				u.Del(k)
			}
		}
		return strings.TrimSuffix(PathApplications+"?"+u.Encode(), "?")
	}
	pill := Filter{Label: "Status"}
	if status == "" {
		pill.Options = []webkit.Link{{Text: "Enabled", URL: with("status", "enabled")}, {Text: "Disabled", URL: with("status", "disabled")}}
	} else {
		pill.Value, pill.ClearURL = strings.ToUpper(status[:1])+status[1:], with("status", "")
		view.Hidden = []Hidden{{"status", status}}
	}
	view.Filters = []Filter{pill}
	apps = registry.Find(apps, q, status)
	view.Found = len(apps)
	from, to, paging := v.slice(len(apps), func(from string) string { return with("from", from) })
	view.Paging = paging
	view.Table = v.cards().Apps(apps[from:to], AppPath)
	return show(v, thingsPage, http.StatusOK, view)
}

// slice is the page of a list of n that the address asks for, and its foot.
func (v *visit) slice(n int, with func(from string) string) (from, to int, p Paging) {
	from, _ = strconv.Atoi(v.q.Get("from")) // else from the first
	from = max(0, min(from, n-1))
	to = min(from+appsPage, n)
	if n > appsPage {
		p = Paging{From: from + 1, To: to, Total: n, Size: appsPage}
		if from > 0 {
			p.PrevURL = with(strconv.Itoa(max(0, from-appsPage)))
		}
		if to < n {
			p.NextURL = with(strconv.Itoa(to))
		}
	}
	return from, to, p
}

// appTabs are the tabs, by the word in the address.
var appTabs = []struct {
	word, text string
	fill       func(*visit, *offered, *Thing) error
}{
	{"", "Overview", (*visit).appOverview},
	{"secrets", "Secrets", (*visit).appSecrets},
	{"owners", "Owners", (*visit).appOwners},
	{"assignments", "Assignments", (*visit).appAssignments},
	{"consent", "Permissions and consent", (*visit).appConsent},
	{"grants", "Sessions and grants", (*visit).appGrants},
	{"audit", "Audit", (*visit).appAudit},
}

// appTabPath is the page of an application with one of its tabs.
func appTabPath(id, word string) string {
	if word == "" {
		return AppPath(id)
	}
	return AppPath(id) + "?tab=" + word
}

func (s *Server) getApplication(v *visit) error {
	a, err := v.application()
	if err != nil {
		return err
	}
	o := &offered{v: v, a: a}
	view := Thing{Icon: "apps", Name: a.name, ID: a.id, Chips: []registry.Mark{registry.Enabled(a.Enabled)}, Done: thingDone(v.q.Get("done"))}
	if a.FirstParty {
		view.Chips = append(view.Chips, registry.Mark{Icon: "star", Tone: "t-1", Word: "First-party"})
	}
	if a.owned {
		view.Chips = append(view.Chips, registry.Mark{Icon: "user", Tone: "t-2", Word: "You own it"})
	}
	toggle := DisableApp
	if !a.Enabled {
		toggle = EnableApp
	}
	for _, verb := range []Verb{RevokeApp, toggle, EditApp, DeleteApp} {
		view.Commands = append(view.Commands, o.on(verb, ""))
	}
	at := max(0, slices.IndexFunc(appTabs, func(t struct {
		word, text string
		fill       func(*visit, *offered, *Thing) error
	}) bool {
		return t.word == v.q.Get("tab")
	}))
	if err := appTabs[at].fill(v, o, &view); err != nil {
		return err
	}
	for i, t := range appTabs {
		n := -1
		switch t.word {
		case "secrets":
			n = len(a.Secrets)
		case "owners":
			n = len(a.Owners)
		}
		view.Tabs = append(view.Tabs, Tab{Text: t.text, URL: appTabPath(a.id, t.word), Count: n, Current: i == at})
	}
	view.Refusal = v.refusal(o.verbs, o.ds, directory.UserID{}, a.name, appTabPath(a.id, appTabs[at].word))
	view.Shell = v.shell(a.name)
	view.Crumbs = []webkit.Link{{Text: "Applications", URL: PathApplications}, {Text: a.name}}
	return show(v, thingPage, http.StatusOK, view)
}

func (v *visit) appOverview(o *offered, view *Thing) error {
	view.Duo, view.Cards = true, registry.Overview(o.a.App)
	return nil
}

func (v *visit) appSecrets(o *offered, view *Thing) error {
	view.Cards = o.page().Secrets(o.a.App)
	return nil
}

func (v *visit) appOwners(o *offered, view *Thing) error {
	owners, err := v.s.Manage.Owners(v.ctx(), v.Actor, o.a.ID)
	view.Cards = o.page().Owners(o.a.App, owners)
	return err
}

func (v *visit) appAssignments(o *offered, view *Thing) error {
	all, err := v.s.Manage.AppAssignments(v.ctx(), v.Actor, o.a.ID)
	view.Cards = o.page().Assignments(o.a.App, all)
	return err
}

func (v *visit) appConsent(o *offered, view *Thing) error {
	after, _ := directory.ParseID[directory.User](v.q.Get("after")) // else from the first
	all, next, err := v.s.Manage.ConsentsTo(v.ctx(), v.Actor, o.a.ID, after, listSize)
	if err != nil {
		return err
	}
	view.Cards = o.page().Permissions(o.a.App)
	card := o.page().Consents(o.a.App, all, role.Allowed(v.Actor, role.ReadUsers, role.Target{}).Sentence(""))
	if !next.IsZero() {
		card.From, card.NextURL = v.at(), v.next(len(all), appTabPath(o.a.id, "consent")+"&after="+next.String())
	}
	view.Cards = append(view.Cards, card)
	return nil
}

// at is the number of the first row of a page, and next the address of the page
// after n rows.
func (v *visit) at() int {
	at, err := strconv.Atoi(v.q.Get("at"))
	if err != nil {
		return 1
	}
	return max(at, 1)
}

func (v *visit) next(n int, address string) string {
	return address + "&at=" + strconv.Itoa(v.at()+n)
}

func (v *visit) appGrants(o *offered, view *Thing) error {
	before, _ := directory.ParseID[directory.Grant](v.q.Get("before")) // else from the newest
	all, next, err := v.s.Relay.GrantsOf(v.ctx(), v.Actor, relay.Holder{App: o.a.ID}, before)
	if fault.Is(err, fault.Denied) {
		view.Cards = []registry.Card{{Title: "Grants", Empty: fault.Public(err)}}
		return nil
	}
	if err != nil {
		return err
	}
	if len(all) > listSize {
		next, all = all[listSize-1].ID, all[:listSize]
	}
	card := o.page().Grants(o.a.App, all, func(g relay.GrantView) registry.Button {
		return button(RevokeGrant, grantPath(g.User.String(), g.ID.String()), false)
	})
	if !next.IsZero() {
		card.From, card.NextURL = v.at(), v.next(len(all), appTabPath(o.a.id, "grants")+"&before="+next.String())
	}
	view.Cards = []registry.Card{card}
	return nil
}

func (v *visit) appAudit(o *offered, view *Thing) error {
	t, err := v.auditTable(manage.AuditQuery{Target: o.a.id}, appTabPath(o.a.id, "audit")+"&")
	if fault.Is(err, fault.Denied) {
		t, err = AuditTable{Clock: v.clock(v.s.now()), Refused: fault.Public(err)}, nil
	}
	view.Audit = &t
	return err
}
