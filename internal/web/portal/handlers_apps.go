package portal

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
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
	app, err := v.s.Manage.App(v.Ctx(), v.Actor, directory.AppID(v.R.PathValue("id")))
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
		if p, err := v.s.Manage.User(v.Ctx(), v.Actor, a.Principal.String()); err == nil {
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
	verbs []desk.Verb
	ds    []role.Decision
}

// offer is the button of a verb: a link, with a padlock when it would be refused.
func (o *offered) offer(verb desk.Verb, address string) desk.Command {
	d := appActs[verb.Slug].judge(o.v, o.a)
	o.verbs, o.ds = append(o.verbs, verb), append(o.ds, d)
	return desk.Command{Verb: verb, URL: address, Refused: !d.OK}
}

// page is what the cards of the page share.
func (o *offered) page() registry.Page {
	p := o.v.Cards()
	p.Offer = func(word, part string) registry.Button {
		c := o.on(appActs[word].verb, part)
		return desk.Button(c.Verb, c.URL, c.Refused)
	}
	return p
}

// on offers a verb on the whole application, or on one part of it.
func (o *offered) on(verb desk.Verb, part string) desk.Command {
	if part != "" {
		return o.offer(verb, appPartPath(o.a.id, verb, part))
	}
	return o.offer(verb, AppVerbPath(o.a.id, verb))
}

func (s *Server) getApplications(v *visit) error {
	apps, err := s.Manage.Apps(v.Ctx(), v.Actor)
	d := role.Allowed(v.Actor, role.CreateApp, role.Target{})
	if err != nil {
		return err
	}
	q, status := strings.TrimSpace(v.Q.Get("q")), v.Q.Get("status")
	if status != "disabled" && status != "enabled" {
		status = ""
	}
	view := desk.Things{Shell: v.Shell("Applications"), Heading: "Applications", Commands: []desk.Command{{Verb: CreateApp, URL: desk.PathNewApp, Refused: !d.OK}}, Query: q, Search: "Name or client id", ListURL: desk.PathApplications, Done: thingDone(v.Q.Get("done"))}
	view.Refusal = v.Refusal([]desk.Verb{CreateApp}, []role.Decision{d}, directory.UserID{}, "", desk.PathNewApp)
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
		return strings.TrimSuffix(desk.PathApplications+"?"+u.Encode(), "?")
	}
	pill := desk.Filter{Label: "Status"}
	if status == "" {
		pill.Options = []webkit.Link{{Text: "Enabled", URL: with("status", "enabled")}, {Text: "Disabled", URL: with("status", "disabled")}}
	} else {
		pill.Value, pill.ClearURL = strings.ToUpper(status[:1])+status[1:], with("status", "")
		view.Hidden = []desk.Hidden{{Name: "status", Value: status}}
	}
	view.Filters = []desk.Filter{pill}
	apps = registry.Find(apps, q, status)
	view.Found = len(apps)
	from, to, paging := v.Slice(len(apps), func(from string) string { return with("from", from) })
	view.Paging = paging
	view.Table = v.Cards().Apps(apps[from:to], desk.AppPath)
	return desk.Show(v.Visit, desk.ThingsPage, http.StatusOK, view)
}

// appTabs are the tabs, by the word in the address.
var appTabs = []struct {
	word, text string
	fill       func(*visit, *offered, *desk.Thing) error
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
		return desk.AppPath(id)
	}
	return desk.AppPath(id) + "?tab=" + word
}

func (s *Server) getApplication(v *visit) error {
	a, err := v.application()
	if err != nil {
		return err
	}
	o := &offered{v: v, a: a}
	view := desk.Thing{Icon: "apps", Name: a.name, ID: a.id, Chips: []registry.Mark{registry.Enabled(a.Enabled)}, Done: thingDone(v.Q.Get("done"))}
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
	for _, verb := range []desk.Verb{RevokeApp, toggle, EditApp, DeleteApp} {
		view.Commands = append(view.Commands, o.on(verb, ""))
	}
	at := max(0, slices.IndexFunc(appTabs, func(t struct {
		word, text string
		fill       func(*visit, *offered, *desk.Thing) error
	}) bool {
		return t.word == v.Q.Get("tab")
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
		view.Tabs = append(view.Tabs, desk.Tab{Text: t.text, URL: appTabPath(a.id, t.word), Count: n, Current: i == at})
	}
	view.Refusal = v.Refusal(o.verbs, o.ds, directory.UserID{}, a.name, appTabPath(a.id, appTabs[at].word))
	view.Shell = v.Shell(a.name)
	view.Crumbs = []webkit.Link{{Text: "Applications", URL: desk.PathApplications}, {Text: a.name}}
	return desk.Show(v.Visit, desk.ThingPage, http.StatusOK, view)
}

func (v *visit) appOverview(o *offered, view *desk.Thing) error {
	view.Duo, view.Cards = true, registry.Overview(o.a.App)
	return nil
}

func (v *visit) appSecrets(o *offered, view *desk.Thing) error {
	view.Cards = o.page().Secrets(o.a.App)
	return nil
}

func (v *visit) appOwners(o *offered, view *desk.Thing) error {
	owners, err := v.s.Manage.Owners(v.Ctx(), v.Actor, o.a.ID)
	view.Cards = o.page().Owners(o.a.App, owners)
	return err
}

func (v *visit) appAssignments(o *offered, view *desk.Thing) error {
	all, err := v.s.Manage.AppAssignments(v.Ctx(), v.Actor, o.a.ID)
	view.Cards = o.page().Assignments(o.a.App, all)
	return err
}

func (v *visit) appConsent(o *offered, view *desk.Thing) error {
	after, _ := directory.ParseID[directory.User](v.Q.Get("after")) // else from the first
	all, next, err := v.s.Manage.ConsentsTo(v.Ctx(), v.Actor, o.a.ID, after, desk.ListSize)
	if err != nil {
		return err
	}
	view.Cards = o.page().Permissions(o.a.App)
	card := o.page().Consents(o.a.App, all, role.Allowed(v.Actor, role.ReadUsers, role.Target{}).Sentence(""))
	if !next.IsZero() {
		card.From, card.NextURL = v.At(), v.Next(len(all), appTabPath(o.a.id, "consent")+"&after="+next.String())
	}
	view.Cards = append(view.Cards, card)
	return nil
}

func (v *visit) appGrants(o *offered, view *desk.Thing) error {
	before, _ := directory.ParseID[directory.Grant](v.Q.Get("before")) // else from the newest
	all, next, err := v.s.Relay.GrantsOf(v.Ctx(), v.Actor, relay.Holder{App: o.a.ID}, before)
	if fault.Is(err, fault.Denied) {
		view.Cards = []registry.Card{{Title: "Grants", Empty: fault.Public(err)}}
		return nil
	}
	if err != nil {
		return err
	}
	if len(all) > desk.ListSize {
		next, all = all[desk.ListSize-1].ID, all[:desk.ListSize]
	}
	card := o.page().Grants(o.a.App, all, func(g relay.GrantView) registry.Button {
		return desk.Button(RevokeGrant, grantPath(g.User.String(), g.ID.String()), false)
	})
	if !next.IsZero() {
		card.From, card.NextURL = v.At(), v.Next(len(all), appTabPath(o.a.id, "grants")+"&before="+next.String())
	}
	view.Cards = []registry.Card{card}
	return nil
}

func (v *visit) appAudit(o *offered, view *desk.Thing) error {
	t, err := v.Audits(manage.AuditQuery{Target: o.a.id}, appTabPath(o.a.id, "audit")+"&")
	if fault.Is(err, fault.Denied) {
		t, err = desk.AuditTable{Clock: v.Clock(v.Now()), Refused: fault.Public(err)}, nil
	}
	view.Audit = &t
	return err
}
