package portal

import (
	"cmp"
	"net/http"
	"net/url"
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

// mayResources says beforehand what the verbs will say about resources.
func (v *visit) mayResources(verbs ...desk.Verb) (ds []role.Decision, n *desk.Refusal) {
	for _, verb := range verbs {
		action := map[desk.Verb]role.Action{CreateResource: role.CreateApp, EditResource: role.UpdateApp, DeleteResource: role.DeleteApp}[verb]
		ds = append(ds, role.Allowed(v.Actor, action, role.Target{}))
	}
	return ds, v.Refusal(verbs, ds, directory.UserID{}, "", v.R.URL.EscapedPath())
}

// rungs are how fast each resource closes; none for readers who may not see guards.
func (v *visit) rungs() (map[directory.ResourceID]relay.Rung, error) {
	out := map[directory.ResourceID]relay.Rung{}
	o, err := v.s.Relay.Overview(v.Ctx(), v.Actor)
	if fault.Is(err, fault.Denied) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	for _, r := range o.Rungs {
		out[r.Resource] = r
	}
	return out, nil
}

// closing is what "If revoked, ends" says about a resource.
func (v *visit) closing(rungs map[directory.ResourceID]relay.Rung, id directory.ResourceID) registry.Mark {
	g, ok := rungs[id]
	if !ok {
		return registry.Mark{Icon: Unknown.Icon(), Tone: Unknown.Tone(), Word: webkit.None}
	}
	e := bound(g)
	return registry.Mark{Icon: e.Icon(), Tone: e.Tone(), Word: e.Long(v.Clock(v.Now()))}
}

func (s *Server) getResources(v *visit) error {
	all, err := s.Manage.Resources(v.Ctx(), v.Actor)
	if err != nil {
		return err
	}
	rungs, err := v.rungs()
	if err != nil {
		return err
	}
	ds, n := v.mayResources(CreateResource)
	view := desk.Things{Shell: v.Shell("Resources"), Heading: "Resources", Commands: []desk.Command{{Verb: CreateResource, URL: desk.PathNewResource, Refused: !ds[0].OK}}, Refusal: n, Query: strings.TrimSpace(v.Q.Get("q")), Search: "Name or identifier", ListURL: desk.PathResources, Done: thingDone(v.Q.Get("done"))}
	if len(all) == 0 {
		view.Empty, view.Command = "No resources yet.", "curfew apply -f directory.toml"
	}
	all = registry.FindResources(all, view.Query)
	view.Found = len(all)
	view.Table = registry.NewTable("Resources", "Name", "Identifier", ">Token life", ">Guards answering", "If revoked, ends")
	from, to, paging := v.Slice(len(all), func(from string) string {
		return desk.PathResources + "?" + url.Values{"q": {view.Query}, "from": {from}}.Encode()
	})
	view.Paging = paging
	for _, r := range all[from:to] {
		guards := registry.Text("")
		if g, ok := rungs[r.ID]; ok {
			guards = registry.Cell{Text: "no guard", Soft: true}
			if g.Guards > 0 {
				guards = registry.Text(webkit.Num(g.Answering) + " of " + webkit.Num(g.Guards))
			}
		}
		view.Table.Add("", nil, registry.Cell{Text: cmp.Or(r.Name, string(r.ID)), URL: desk.ResourcePath(string(r.ID)), Wrap: true}, registry.Mono(string(r.ID)), registry.Text(webkit.Span(registry.Life(r))), guards, registry.Cell{Mark: v.closing(rungs, r.ID)})
	}
	return desk.Show(v.Visit, desk.ThingsPage, http.StatusOK, view)
}

func (v *visit) resource() (*directory.Resource, string, error) {
	r, err := v.s.Manage.Resource(v.Ctx(), v.Actor, directory.ResourceID(v.R.PathValue("id")))
	if err != nil {
		return nil, "", err
	}
	return r, cmp.Or(r.Name, string(r.ID)), nil
}

func (s *Server) getResource(v *visit) error {
	r, name, err := v.resource()
	if err != nil {
		return err
	}
	path := desk.ResourcePath(string(r.ID))
	view := desk.Thing{Icon: "layers", Name: name, ID: string(r.ID), Done: thingDone(v.Q.Get("done"))}
	if r.ID == directory.OwnAPI {
		view.Chips = []registry.Mark{{Icon: "info", Tone: "t-2", Word: "curfew's own, not to be changed"}}
	} else {
		ds, n := v.mayResources(EditResource, DeleteResource)
		view.Commands, view.Refusal = []desk.Command{{Verb: EditResource, URL: path + "/edit", Refused: !ds[0].OK}, {Verb: DeleteResource, URL: path + "/delete", Refused: !ds[1].OK}}, n
	}
	if r.Guarded {
		view.Chips = append(view.Chips, registry.Mark{Icon: "shield", Tone: "t-accent", Word: "Guarded"})
	}
	tab := v.Q.Get("tab")
	if tab == "audit" {
		t, err := v.Audits(manage.AuditQuery{Target: string(r.ID)}, path+"?tab=audit&")
		if fault.Is(err, fault.Denied) {
			t, err = desk.AuditTable{Clock: v.Clock(v.Now()), Refused: fault.Public(err)}, nil
		}
		if err != nil {
			return err
		}
		view.Audit = &t
	} else if view.Cards, err = v.resourceCards(r); err != nil {
		return err
	}
	view.Tabs = []desk.Tab{{Text: "Overview", URL: path, Count: -1, Current: tab != "audit"}, {Text: "Audit", URL: path + "?tab=audit", Count: -1, Current: tab == "audit"}}
	view.Shell = v.Shell(name)
	view.Crumbs = []webkit.Link{{Text: "Resources", URL: desk.PathResources}, {Text: name}}
	return desk.Show(v.Visit, desk.ThingPage, http.StatusOK, view)
}

func (v *visit) resourceCards(r *directory.Resource) ([]registry.Card, error) {
	rungs, err := v.rungs()
	if err != nil {
		return nil, err
	}
	apps, err := v.s.Manage.Apps(v.Ctx(), v.Actor)
	if err != nil {
		return nil, err
	}
	c := v.Clock(v.Now())
	guards := registry.Card{Title: "Guards before it", Empty: "No guard stands before it: an access token there lives to its end, whatever is revoked.", Table: registry.NewTable("Guards before it", "Guard", "State", ">Age", ">Limit", ">Ledger", "Version")}
	all, err := v.s.Relay.Guards(v.Ctx(), v.Actor)
	if err != nil && !fault.Is(err, fault.Denied) {
		return nil, err
	}
	if err != nil {
		guards.Empty = fault.Public(err)
	}
	for i, g := range guardLines(all) {
		if all[i].Resource != r.ID || g.Name == "" {
			continue
		}
		age := registry.Text("")
		if g.Age >= 0 {
			age = registry.Text(webkit.Span(g.Age))
		}
		guards.Table.Add("", nil, registry.Mono(g.Name), registry.Cell{Mark: registry.Mark{Icon: g.Icon(), Tone: g.Tone(), Word: g.Text(c)}, Wrap: true}, age, registry.Text(webkit.Span(g.MaxStaleness)), registry.Text(webkit.Num(g.Ledger)), registry.Text(g.Version))
	}
	return v.Cards().Resource(r, guards, v.closing(rungs, r.ID), apps, desk.AppPath), nil
}

// resourceForm is the form of a resource: a new one, or the one that the address
// names.
func (v *visit) resourceForm() (*desk.Form, error) {
	if v.R.PathValue("id") == "" {
		_, n := v.mayResources(CreateResource)
		p := &desk.Form{FormPage: desk.FormPage{Heading: "New resource", Verb: CreateResource, Button: "Create resource", Action: desk.PathNewResource, KeepURL: desk.PathResources, Refusal: n, Sets: registry.ResourceForm(nil)}}
		p.Save = func(f webkit.Form, act manage.Act) (string, registry.Mistakes, error) {
			id, patch, m := registry.ReadResource(f, nil)
			if len(m) > 0 {
				return "", m, nil
			}
			r, err := v.s.Manage.CreateResource(v.Ctx(), v.Actor, id, patch, act)
			if err != nil {
				return "", nil, err
			}
			return desk.ResourcePath(string(r.ID)) + "?done=resource-created", nil, nil
		}
		return p, nil
	}
	r, name, err := v.resource()
	if err != nil {
		return nil, err
	}
	path := desk.ResourcePath(string(r.ID))
	_, n := v.mayResources(EditResource)
	p := &desk.Form{FormPage: desk.FormPage{Heading: "Edit " + name, Verb: EditResource, Button: "Save", Action: path + "/edit", KeepURL: path, Refusal: n, Sets: registry.ResourceForm(r)}, Version: r.Version}
	p.Intro = "Saving takes effect with the next access token. Those that were handed out stay as they are."
	p.Save = func(f webkit.Form, act manage.Act) (string, registry.Mistakes, error) {
		_, patch, m := registry.ReadResource(f, r)
		patch.IfVersion = desk.FilledFrom(f)
		if len(m) > 0 {
			return "", m, nil
		}
		return path + "?done=resource-saved", nil, v.s.Manage.UpdateResource(v.Ctx(), v.Actor, r.ID, patch, act)
	}
	return p, nil
}

func (s *Server) getResourceForm(v *visit) error {
	p, err := v.resourceForm()
	if err != nil {
		return err
	}
	return p.Show(v.Visit, http.StatusOK)
}

func (s *Server) postResourceForm(v *visit) error {
	p, err := v.resourceForm()
	if err != nil {
		return err
	}
	return p.Post(v.Visit)
}

func (v *visit) deleteResource() (*directory.Resource, *desk.Confirm, error) {
	r, _, err := v.resource()
	if err != nil {
		return nil, nil, err
	}
	_, n := v.mayResources(DeleteResource)
	c := &desk.Confirm{Verb: DeleteResource, Action: v.R.URL.EscapedPath(), KeepURL: desk.ResourcePath(string(r.ID)), Undo: desk.CannotUndo, ReasonHint: "Goes into the audit log.", Refusal: n}
	c.Put(registry.AskDeleteResource(r))
	return r, c, nil
}

func (s *Server) getDeleteResource(v *visit) error {
	_, c, err := v.deleteResource()
	if err != nil {
		return err
	}
	return c.Show(v.Visit, http.StatusOK)
}

func (s *Server) postDeleteResource(v *visit) error {
	r, c, err := v.deleteResource()
	if err != nil {
		return err
	}
	return v.Submit(func() (*desk.Confirm, error) { return c, nil }, func(f webkit.Form) error {
		if c.Unreasoned(f) {
			return &desk.Mistake{Field: "reason", Text: "Give a reason"}
		}
		if err := s.Manage.DeleteResource(v.Ctx(), v.Actor, r.ID, manage.Act{Reason: f.Get("reason")}); err != nil {
			return err
		}
		return v.To(desk.PathResources + "?done=resource-deleted")
	})
}
