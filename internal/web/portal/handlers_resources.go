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
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// mayResources says beforehand what the verbs will say about resources.
func (v *visit) mayResources(verbs ...Verb) (ds []role.Decision, n *Refusal) {
	for _, verb := range verbs {
		action := map[Verb]role.Action{CreateResource: role.CreateApp, EditResource: role.UpdateApp, DeleteResource: role.DeleteApp}[verb]
		ds = append(ds, role.Allowed(v.Actor, action, role.Target{}))
	}
	return ds, v.refusal(verbs, ds, directory.UserID{}, "", v.r.URL.EscapedPath())
}

// rungs are how fast each resource closes; none for readers who may not see guards.
func (v *visit) rungs() (map[directory.ResourceID]relay.Rung, error) {
	out := map[directory.ResourceID]relay.Rung{}
	o, err := v.s.Relay.Overview(v.ctx(), v.Actor)
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
	return registry.Mark{Icon: e.Icon(), Tone: e.Tone(), Word: e.Long(v.clock(v.s.now()))}
}

func (s *Server) getResources(v *visit) error {
	all, err := s.Manage.Resources(v.ctx(), v.Actor)
	if err != nil {
		return err
	}
	rungs, err := v.rungs()
	if err != nil {
		return err
	}
	ds, n := v.mayResources(CreateResource)
	view := Things{Shell: v.shell("Resources"), Heading: "Resources", Commands: []Command{{CreateResource, PathNewResource, !ds[0].OK}}, Refusal: n, Query: strings.TrimSpace(v.q.Get("q")), Search: "Name or identifier", ListURL: PathResources, Done: thingDone(v.q.Get("done"))}
	if len(all) == 0 {
		view.Empty, view.Command = "No resources yet.", "curfew apply -f directory.toml"
	}
	all = registry.FindResources(all, view.Query)
	view.Found = len(all)
	view.Table = registry.NewTable("Resources", "Name", "Identifier", ">Token life", ">Guards answering", "If revoked, ends")
	from, to, paging := v.slice(len(all), func(from string) string {
		return PathResources + "?" + url.Values{"q": {view.Query}, "from": {from}}.Encode()
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
		view.Table.Add("", nil, registry.Cell{Text: cmp.Or(r.Name, string(r.ID)), URL: ResourcePath(string(r.ID)), Wrap: true}, registry.Mono(string(r.ID)), registry.Text(webkit.Span(registry.Life(r))), guards, registry.Cell{Mark: v.closing(rungs, r.ID)})
	}
	return show(v, thingsPage, http.StatusOK, view)
}

func (v *visit) resource() (*directory.Resource, string, error) {
	r, err := v.s.Manage.Resource(v.ctx(), v.Actor, directory.ResourceID(v.r.PathValue("id")))
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
	path := ResourcePath(string(r.ID))
	view := Thing{Icon: "layers", Name: name, ID: string(r.ID), Done: thingDone(v.q.Get("done"))}
	if r.ID == directory.OwnAPI {
		view.Chips = []registry.Mark{{Icon: "info", Tone: "t-2", Word: "curfew's own, not to be changed"}}
	} else {
		ds, n := v.mayResources(EditResource, DeleteResource)
		view.Commands, view.Refusal = []Command{{EditResource, path + "/edit", !ds[0].OK}, {DeleteResource, path + "/delete", !ds[1].OK}}, n
	}
	if r.Guarded {
		view.Chips = append(view.Chips, registry.Mark{Icon: "shield", Tone: "t-accent", Word: "Guarded"})
	}
	tab := v.q.Get("tab")
	if tab == "audit" {
		t, err := v.auditTable(manage.AuditQuery{Target: string(r.ID)}, path+"?tab=audit&")
		if fault.Is(err, fault.Denied) {
			t, err = AuditTable{Clock: v.clock(v.s.now()), Refused: fault.Public(err)}, nil
		}
		if err != nil {
			return err
		}
		view.Audit = &t
	} else if view.Cards, err = v.resourceCards(r); err != nil {
		return err
	}
	view.Tabs = []Tab{{Text: "Overview", URL: path, Count: -1, Current: tab != "audit"}, {Text: "Audit", URL: path + "?tab=audit", Count: -1, Current: tab == "audit"}}
	view.Shell = v.shell(name)
	view.Crumbs = []webkit.Link{{Text: "Resources", URL: PathResources}, {Text: name}}
	return show(v, thingPage, http.StatusOK, view)
}

func (v *visit) resourceCards(r *directory.Resource) ([]registry.Card, error) {
	rungs, err := v.rungs()
	if err != nil {
		return nil, err
	}
	apps, err := v.s.Manage.Apps(v.ctx(), v.Actor)
	if err != nil {
		return nil, err
	}
	c := v.clock(v.s.now())
	guards := registry.Card{Title: "Guards before it", Empty: "No guard stands before it: an access token there lives to its end, whatever is revoked.", Table: registry.NewTable("Guards before it", "Guard", "State", ">Age", ">Limit", ">Ledger", "Version")}
	all, err := v.s.Relay.Guards(v.ctx(), v.Actor)
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
	return v.cards().Resource(r, guards, v.closing(rungs, r.ID), apps, AppPath), nil
}

// resourceForm is the form of a resource: a new one, or the one that the address
// names.
func (v *visit) resourceForm() (*form, error) {
	if v.r.PathValue("id") == "" {
		_, n := v.mayResources(CreateResource)
		p := &form{FormPage: FormPage{Heading: "New resource", Verb: CreateResource, Button: "Create resource", Action: PathNewResource, KeepURL: PathResources, Refusal: n, Sets: registry.ResourceForm(nil)}}
		p.save = func(f webkit.Form, act manage.Act) (string, registry.Mistakes, error) {
			id, patch, m := registry.ReadResource(f, nil)
			if len(m) > 0 {
				return "", m, nil
			}
			r, err := v.s.Manage.CreateResource(v.ctx(), v.Actor, id, patch, act)
			if err != nil {
				return "", nil, err
			}
			return ResourcePath(string(r.ID)) + "?done=resource-created", nil, nil
		}
		return p, nil
	}
	r, name, err := v.resource()
	if err != nil {
		return nil, err
	}
	path := ResourcePath(string(r.ID))
	_, n := v.mayResources(EditResource)
	p := &form{FormPage: FormPage{Heading: "Edit " + name, Verb: EditResource, Button: "Save", Action: path + "/edit", KeepURL: path, Refusal: n, Sets: registry.ResourceForm(r)}, version: r.Version}
	p.Intro = "Saving takes effect with the next access token. Those that were handed out stay as they are."
	p.save = func(f webkit.Form, act manage.Act) (string, registry.Mistakes, error) {
		_, patch, m := registry.ReadResource(f, r)
		patch.IfVersion = filledFrom(f)
		if len(m) > 0 {
			return "", m, nil
		}
		return path + "?done=resource-saved", nil, v.s.Manage.UpdateResource(v.ctx(), v.Actor, r.ID, patch, act)
	}
	return p, nil
}

func (s *Server) getResourceForm(v *visit) error {
	p, err := v.resourceForm()
	if err != nil {
		return err
	}
	return p.show(v, http.StatusOK)
}

func (s *Server) postResourceForm(v *visit) error {
	p, err := v.resourceForm()
	if err != nil {
		return err
	}
	return p.post(v)
}

func (v *visit) deleteResource() (*directory.Resource, *Confirm, error) {
	r, _, err := v.resource()
	if err != nil {
		return nil, nil, err
	}
	_, n := v.mayResources(DeleteResource)
	c := &Confirm{Verb: DeleteResource, Action: v.r.URL.EscapedPath(), KeepURL: ResourcePath(string(r.ID)), Undo: cannotUndo, ReasonHint: "Goes into the audit log.", Refusal: n}
	c.put(registry.AskDeleteResource(r))
	return r, c, nil
}

func (s *Server) getDeleteResource(v *visit) error {
	_, c, err := v.deleteResource()
	if err != nil {
		return err
	}
	return c.show(v, http.StatusOK)
}

func (s *Server) postDeleteResource(v *visit) error {
	r, c, err := v.deleteResource()
	if err != nil {
		return err
	}
	return v.submit(func() (*Confirm, error) { return c, nil }, func(f webkit.Form) error {
		if c.unreasoned(f) {
			return &mistake{"reason", "Give a reason"}
		}
		if err := s.Manage.DeleteResource(v.ctx(), v.Actor, r.ID, manage.Act{Reason: f.Get("reason")}); err != nil {
			return err
		}
		return v.to(PathResources + "?done=resource-deleted")
	})
}
