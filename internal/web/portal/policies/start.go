package policies

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/govern"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// start is a template of a policy: what one types, and the document that is made of it.
type start struct {
	word, name, does string
	fields           func(*Server, *desk.Visit) ([]webkit.Field, error)
	fill             func(doc object, f webkit.Form, m registry.Mistakes)
}

type object = map[string]any

func everywhere(doc object) {
	doc["conditions"] = object{"users": object{"includeUsers": []string{"All"}}, "applications": object{"includeApplications": []string{"All"}}, "clientAppTypes": []string{"all"}}
}

func twoFactors(doc object) {
	doc["grantControls"] = object{"operator": "OR", "builtInControls": []string{"mfa"}}
}

func block(doc object) {
	doc["grantControls"] = object{"operator": "OR", "builtInControls": []string{"block"}}
}

// starts are the commonest policies, and an empty document.
var starts = []start{
	{"two-factors", "Two factors for everyone", "Everyone gives two factors, at every application.", nil, func(doc object, _ webkit.Form, _ registry.Mistakes) {
		everywhere(doc)
		twoFactors(doc)
	}},
	{"administrators", "Two factors for administrators", "Whoever holds a role that is called privileged gives two factors.", nil, func(doc object, _ webkit.Form, _ registry.Mistakes) {
		everywhere(doc)
		twoFactors(doc)
		var roles []string
		for _, r := range role.All() {
			if r.Privileged {
				roles = append(roles, string(r.ID))
			}
		}
		doc["conditions"].(object)["users"] = object{"includeRoles": roles}
	}},
	{"block-places", "Blocked places", "Nobody gets in from these named locations, such as countries.", (*Server).placeField, func(doc object, f webkit.Form, m registry.Mistakes) {
		everywhere(doc)
		block(doc)
		doc["conditions"].(object)["locations"] = object{"includeLocations": []string{place(f, m)}}
	}},
	{"only-places", "Only from known places", "Nobody gets in from anywhere but these named locations.", (*Server).placeField, func(doc object, f webkit.Form, m registry.Mistakes) {
		everywhere(doc)
		block(doc)
		doc["conditions"].(object)["locations"] = object{"includeLocations": []string{"All"}, "excludeLocations": []string{place(f, m)}}
	}},
	{"frequency", "Sign in again", "Everyone signs in again after so many hours.", func(*Server, *desk.Visit) ([]webkit.Field, error) {
		return []webkit.Field{{Name: "hours", Label: "Hours", Hint: "Whole hours, from 1 to 23; for whole days, 24, 48 and so on.", Value: "12", InputMode: "numeric", Autocomplete: "off", Required: true}}, nil
	}, func(doc object, f webkit.Form, m registry.Mistakes) {
		everywhere(doc)
		n, err := strconv.Atoi(strings.TrimSpace(f.Get("hours")))
		kind := "hours"
		switch {
		case err != nil || n < 1:
			m["hours"] = "Write a whole number of hours"
		case n > 23 && n%24 != 0:
			m["hours"] = "From 24 hours on, write whole days: 24, 48, 72"
		case n > 23:
			n, kind = n/24, "days"
		}
		doc["sessionControls"] = object{"signInFrequency": object{"isEnabled": true, "value": n, "type": kind, "frequencyInterval": "timeBased", "authenticationType": "primaryAndSecondaryAuthentication"}}
	}},
	{"document", "A document", "Write the policy as JSON, as Graph has it.", nil, nil},
}

func place(f webkit.Form, m registry.Mistakes) string {
	id := f.Get("place")
	if id == "" {
		m["place"] = "Choose a location"
	}
	return id
}

// placeField is the choice of a named location.
func (s *Server) placeField(v *desk.Visit) ([]webkit.Field, error) {
	all, err := s.Govern.List(v.Ctx(), v.Actor, govern.Location)
	if err != nil {
		return nil, err
	}
	x := webkit.Field{Name: "place", Label: "Named location"}
	for _, d := range all {
		x.Choices = append(x.Choices, webkit.Choice{Value: d.ID(), Label: d.Name(), Hint: placeText(d.Location)})
	}
	if x.Choices == nil {
		x = webkit.Field{Name: "place", Label: "Named location", Hint: "There is none yet. Make one on the page Locations, then come back. Its id can be written here.", Autocomplete: "off"}
	}
	return []webkit.Field{x}, nil
}

func (s *Server) getStarts(v *desk.Visit) error {
	// Who may not read policies has no use for this page.
	if _, err := s.Govern.List(v.Ctx(), v.Actor, govern.Policy); err != nil {
		return err
	}
	card := registry.Card{Title: "Start from", Table: registry.NewTable("Start from", "Policy", "What it does"), Note: "Each is made to only report, or switched off. What it would do is told before it is turned on."}
	for _, x := range starts {
		card.Table.Add("", nil, registry.Cell{Text: x.name, URL: desk.PathNewPolicy + "/" + x.word, Wrap: true}, registry.Cell{Text: x.does, Wrap: true})
	}
	o := v.Offers()
	o.Command(Create, role.CreatePolicy, role.Target{}, "")
	view := desk.Thing{Shell: v.Shell("New policy"), Name: "New policy", Refusal: o.Refusal(directory.UserID{}, "", desk.PathNewPolicy), Cards: []registry.Card{card}}
	view.Crumbs = []webkit.Link{v.In(), {Text: "New policy"}}
	return desk.Show(v, desk.ThingPage, http.StatusOK, view)
}

// start is the form of one of them.
func (s *Server) start(v *desk.Visit) (*form, error) {
	for _, x := range starts {
		if x.word != v.R.PathValue("start") {
			continue
		}
		// Who may not read policies may not be told what there is.
		if _, err := s.Govern.List(v.Ctx(), v.Actor, govern.Policy); err != nil {
			return nil, err
		}
		p := &form{FormPage: desk.FormPage{Heading: "New policy: " + strings.ToLower(x.name[:1]) + x.name[1:], Intro: x.does, Verb: Create, Button: "Create policy", Action: desk.PathNewPolicy + "/" + x.word, KeepURL: desk.PathPolicies},
			kind: govern.Policy, action: role.CreatePolicy, where: func(id string) string { return desk.PolicyPath(id) + "?done=created" }}
		if x.fill == nil {
			p.Heading, p.write = "New policy from a document", typedDocument
			p.Sets = []webkit.Fieldset{{Legend: "Policy", Fields: []webkit.Field{document(blank)}}}
			return p, nil
		}
		fields := []webkit.Field{{Name: "name", Label: "Name", Value: x.name, Required: true, Autocomplete: "off", Max: 256}}
		if x.fields != nil {
			more, err := x.fields(s, v)
			if err != nil {
				return nil, err
			}
			fields = append(fields, more...)
		}
		fields = append(fields, webkit.Field{Name: "state", Label: "To begin with", Value: "enabledForReportingButNotEnforced", Choices: []webkit.Choice{
			{Value: "enabledForReportingButNotEnforced", Label: "Report only", Hint: "It refuses nobody. What it would have done is written into each sign-in."}, {Value: "disabled", Label: "Off"}}})
		p.Sets = []webkit.Fieldset{{Legend: "Policy", Hint: "The accounts that all policies spare are spared by this one, too.", Fields: fields}}
		p.write = func(f webkit.Form) ([]byte, registry.Mistakes, error) {
			m, doc := registry.Mistakes{}, object{"displayName": strings.TrimSpace(f.Get("name")), "state": f.Get("state")}
			if doc["displayName"] == "" {
				m["name"] = "Write a name"
			}
			if st := f.Get("state"); st != "disabled" && st != "enabledForReportingButNotEnforced" {
				m["state"] = "Choose one of the two"
			}
			x.fill(doc, f, m)
			b, err := json.Marshal(doc)
			return b, m, err
		}
		return p, nil
	}
	return nil, fault.New(fault.NotFound, "There is no such page.")
}

// blank is what an empty document begins with.
const blank = `{
  "displayName": "",
  "state": "enabledForReportingButNotEnforced",
  "conditions": {
    "users": {"includeUsers": ["All"], "excludeUsers": []},
    "applications": {"includeApplications": ["All"]},
    "clientAppTypes": ["all"]
  },
  "grantControls": {"operator": "OR", "builtInControls": ["mfa"]}
}`

func (s *Server) getStart(v *desk.Visit) error {
	p, err := s.start(v)
	if err != nil {
		return err
	}
	return s.show(v, p, http.StatusOK)
}

func (s *Server) postStart(v *desk.Visit) error {
	p, err := s.start(v)
	if err != nil {
		return err
	}
	return s.post(v, p)
}

// placeText is a location in a few words.
func placeText(l *policy.Location) string {
	if len(l.Ranges) > 0 {
		text := webkit.Count(len(l.Ranges), "range of addresses", "ranges of addresses")
		if l.Trusted {
			text += ", trusted"
		}
		return text
	}
	var names []string
	for _, c := range l.Countries {
		names = append(names, c.String())
	}
	text := few(names, 6)
	if l.Unknown {
		text += ", and addresses of no known country"
	}
	return text
}
