package policies

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/govern"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

func placePath(id string) string { return desk.PathLocations + "/" + id }

// users are the names of the policies that name a location.
func usersOf(all []*govern.Document, id string) (names []string) {
	for _, d := range all {
		if slices.Contains(d.Policy.IncludePlaces.IDs, id) || slices.Contains(d.Policy.ExcludePlaces.IDs, id) {
			names = append(names, d.Name())
		}
	}
	return names
}

func (s *Server) getPlaces(v *desk.Visit) error {
	all, err := s.Govern.List(v.Ctx(), v.Actor, govern.Location)
	if err != nil {
		return err
	}
	policies, err := s.Govern.List(v.Ctx(), v.Actor, govern.Policy)
	if err != nil {
		return err
	}
	o := v.Offers()
	view := desk.Things{Heading: "Locations", Query: strings.TrimSpace(v.Q.Get("q")), Search: "Name of a location", ListURL: desk.PathLocations, Done: done(v.Q.Get("done")),
		Commands: []desk.Command{o.Command(CreatePlace, role.CreatePolicy, role.Target{}, desk.PathNewLocation)}}
	view.Refusal = o.Refusal(directory.UserID{}, "", desk.PathLocations)
	if len(all) == 0 {
		view.Empty, view.Command = "No named locations yet.", "curfew location create location.json"
	}
	all = slices.DeleteFunc(all, func(d *govern.Document) bool {
		return !strings.Contains(strings.ToLower(d.Name()), strings.ToLower(view.Query))
	})
	view.Found = len(all)
	from, to, paging := v.Slice(len(all), func(from string) string { return desk.PathLocations + "?from=" + from })
	view.Paging = paging
	view.Table = registry.NewTable("Locations", "Name", "Where", "Trusted", "Named by", "Last changed")
	c := v.Clock(v.Now())
	for _, d := range all[from:to] {
		trusted := registry.Cell{Text: "No", Soft: true}
		if d.Location.Trusted {
			trusted = registry.Cell{Mark: registry.Mark{Icon: "ended", Tone: "t-ok", Word: "Trusted"}}
		}
		view.Table.Add(d.Name(), nil, registry.Cell{Text: d.Name(), URL: placePath(d.ID()), Wrap: true}, registry.Cell{Text: placeText(d.Location), Wrap: true}, trusted, text(few(usersOf(policies, d.ID()), 2)), registry.Text(c.When(d.Modified())))
	}
	view.About = s.countries(c)
	view.Shell = v.Shell("Locations")
	return desk.Show(v, desk.ThingsPage, http.StatusOK, view)
}

// countries says whether countries are known at all: without, a policy about them
// applies to everybody.
func (s *Server) countries(c webkit.Clock) string {
	if s.Places == nil {
		return ""
	}
	switch kind, built, trouble, named := s.Places(); {
	case !named:
		return "No country is known, because no database of countries was named. A policy about countries applies to everybody."
	case built.IsZero():
		return "No country is known, because the database of countries cannot be used: " + trouble
	case trouble != "":
		return "Countries are known by " + kind + " of " + c.Day(built) + ". The newest file cannot be used: " + trouble
	default:
		return "Countries are known by " + kind + " of " + c.Day(built) + "."
	}
}

func text(s string) registry.Cell {
	x := registry.Text(s)
	x.Wrap = true
	return x
}

func (s *Server) getPlace(v *desk.Visit) error {
	d, err := s.Govern.Show(v.Ctx(), v.Actor, govern.Location, v.R.PathValue("id"))
	if err != nil {
		return err
	}
	if d.ID() != v.R.PathValue("id") {
		return v.To(placePath(d.ID()))
	}
	policies, err := s.Govern.List(v.Ctx(), v.Actor, govern.Policy)
	if err != nil {
		return err
	}
	path, l := placePath(d.ID()), d.Location
	o := v.Offers()
	view := desk.Thing{Icon: "globe", Name: d.Name(), ID: d.ID(), Done: done(v.Q.Get("done")), Commands: []desk.Command{o.Command(Edit, role.UpdatePolicy, role.Target{}, path+"/edit"), o.Command(DeletePlace, role.DeletePolicy, role.Target{}, path+"/delete")}}
	view.Refusal = o.Refusal(directory.UserID{}, d.Name(), path)
	if l.Trusted {
		view.Chips = []registry.Mark{{Icon: "ended", Tone: "t-ok", Word: "Trusted"}}
	}
	where := registry.Fact{Label: "Addresses", Mono: true}
	const shown = 200
	for i, p := range l.Ranges {
		if i == shown {
			where.Remark = webkit.Num(len(l.Ranges)-shown) + " more are in the document."
			break
		}
		where.Values = append(where.Values, p.String())
	}
	if len(l.Ranges) == 0 {
		where = registry.Fact{Label: "Countries", Values: []string{placeText(l)}}
	}
	view.Cards = []registry.Card{{Title: "Where it is", Facts: []registry.Fact{where, {Label: "Named by", Values: usersOf(policies, d.ID()), Remark: "Policies that are about it, or spare it."}}}}
	doc := indented(d)
	view.Code = &desk.Code{Title: "The document", Hint: "as Graph has it", Text: doc, Rows: min(24, strings.Count(doc, "\n")+1)}
	view.Shell = v.Shell(d.Name())
	view.Crumbs = []webkit.Link{v.In(), {Text: d.Name()}}
	return desk.Show(v, desk.ThingPage, http.StatusOK, view)
}

// placeForm is the form of a location: a new one, or the one that the address names.
func (s *Server) placeForm(v *desk.Visit) (*form, error) {
	p := &form{FormPage: desk.FormPage{Heading: "New location", Verb: CreatePlace, Button: "Create location", Action: desk.PathNewLocation, KeepURL: desk.PathLocations}, kind: govern.Location, action: role.CreatePolicy,
		where: func(id string) string { return placePath(id) + "?done=place" }}
	l := &policy.Location{}
	if id := v.R.PathValue("id"); id != "" {
		d, err := s.Govern.Show(v.Ctx(), v.Actor, govern.Location, id)
		if err != nil {
			return nil, err
		}
		l, p.ref, p.version, p.action = d.Location, d.ID(), d.Version, role.UpdatePolicy
		p.Heading, p.Verb, p.Button, p.Action, p.KeepURL = "Edit "+d.Name(), Edit, "Save", placePath(d.ID())+"/edit", placePath(d.ID())
		p.where = func(id string) string { return placePath(id) + "?done=saved" }
	} else if _, err := s.Govern.List(v.Ctx(), v.Actor, govern.Location); err != nil {
		return nil, err
	}
	var ranges, countries []string
	for _, r := range l.Ranges {
		ranges = append(ranges, r.String())
	}
	for _, c := range l.Countries {
		countries = append(countries, c.String())
	}
	tick := func(b bool) string { return map[bool]string{true: "1"}[b] }
	p.Sets = []webkit.Fieldset{{Legend: "Location", Hint: "Addresses, or countries: not both.", Fields: []webkit.Field{
		{Name: "name", Label: "Name", Value: l.Name, Required: true, Autocomplete: "off", Max: 256},
		{Name: "ranges", Label: "Addresses", Hint: "One range on each line, such as 192.0.2.0/24 or 2001:db8::/32.", Value: strings.Join(ranges, "\n"), Lines: 6, Mono: true, Max: 40000, Autocomplete: "off"},
		{Name: "trusted", Label: "Trusted", Hint: "Policies can be about all trusted locations together. Only addresses can be trusted.", Check: true, Value: tick(l.Trusted)},
		{Name: "countries", Label: "Countries", Hint: "Two letters each, such as FI SE.", Value: strings.Join(countries, " "), Mono: true, Max: 1000, Autocomplete: "off"},
		{Name: "unknown", Label: "Also addresses of no known country", Check: true, Value: tick(l.Unknown)},
	}}}
	p.write = func(f webkit.Form) ([]byte, registry.Mistakes, error) {
		m := registry.Mistakes{}
		if strings.TrimSpace(f.Get("name")) == "" {
			m["name"] = "Write a name"
		}
		ranges, countries := strings.Fields(f.Get("ranges")), strings.Fields(strings.ToUpper(strings.ReplaceAll(f.Get("countries"), ",", " ")))
		doc := object{"displayName": strings.TrimSpace(f.Get("name"))}
		switch {
		case len(ranges) > 0 && len(countries) > 0:
			m["countries"] = "Write addresses, or countries, not both"
		case len(ranges) == 0 && len(countries) == 0:
			m["ranges"] = "Write addresses, or countries"
		case len(ranges) > 0:
			var all []object
			for _, r := range ranges {
				kind := "#microsoft.graph.iPv4CidrRange"
				if strings.Contains(r, ":") {
					kind = "#microsoft.graph.iPv6CidrRange"
				}
				all = append(all, object{"@odata.type": kind, "cidrAddress": r})
			}
			doc["@odata.type"], doc["isTrusted"], doc["ipRanges"] = "#microsoft.graph.ipNamedLocation", f.Has("trusted"), all
		default:
			if f.Has("trusted") {
				m["trusted"] = "Only addresses can be trusted"
			}
			doc["@odata.type"], doc["countriesAndRegions"], doc["includeUnknownCountriesAndRegions"] = "#microsoft.graph.countryNamedLocation", countries, f.Has("unknown")
		}
		b, err := json.Marshal(doc)
		return b, m, err
	}
	return p, nil
}

func (s *Server) getPlaceForm(v *desk.Visit) error {
	p, err := s.placeForm(v)
	if err != nil {
		return err
	}
	return s.show(v, p, http.StatusOK)
}

func (s *Server) postPlaceForm(v *desk.Visit) error {
	p, err := s.placeForm(v)
	if err != nil {
		return err
	}
	return s.post(v, p)
}

func (s *Server) deletePlace(v *desk.Visit) (*desk.Confirm, *govern.Document, error) {
	d, err := s.Govern.Show(v.Ctx(), v.Actor, govern.Location, v.R.PathValue("id"))
	if err != nil {
		return nil, nil, err
	}
	policies, err := s.Govern.List(v.Ctx(), v.Actor, govern.Policy)
	if err != nil {
		return nil, nil, err
	}
	c := &desk.Confirm{Verb: DeletePlace, Question: "Delete " + d.Name() + "?", Action: v.R.URL.EscapedPath(), KeepURL: placePath(d.ID()), Undo: desk.CannotUndo, ReasonHint: "Goes into the audit log.",
		Consequences: []desk.Consequence{{What: "What is alive", When: "stays as it is", Why: "No policy names this location."}}}
	o := v.Offers()
	o.Command(DeletePlace, role.DeletePolicy, role.Target{}, "")
	c.Refusal = o.Refusal(directory.UserID{}, d.Name(), v.R.URL.EscapedPath())
	if names := usersOf(policies, d.ID()); len(names) > 0 {
		c.Consequences = nil
		if c.Refusal == nil {
			c.Refusal = &desk.Refusal{Sentence: "It is named by " + few(names, 3) + ".", Rest: "Take it out there first.", Untold: true}
		}
	}
	return c, d, nil
}

func (s *Server) getDeletePlace(v *desk.Visit) error {
	c, _, err := s.deletePlace(v)
	if err != nil {
		return err
	}
	return c.Show(v, http.StatusOK)
}

func (s *Server) postDeletePlace(v *desk.Visit) error {
	c, d, err := s.deletePlace(v)
	if err != nil {
		return err
	}
	return v.Submit(func() (*desk.Confirm, error) { return c, nil }, func(f webkit.Form) error {
		if _, err := s.Govern.Delete(v.Ctx(), v.Actor, govern.Location, d.ID(), govern.How{Act: manage.Act{Reason: f.Get("reason")}}); err != nil {
			return err
		}
		return v.To(desk.PathLocations + "?done=deleted")
	})
}
