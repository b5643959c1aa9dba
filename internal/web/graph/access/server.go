package access

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/govern"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/web/graph/api"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

// Server answers about conditional access.
type Server struct {
	*api.Server
	Govern *govern.Service
	// Places is what there is to tell of the database of countries; false: none was
	// named. Whoever may read locations is told.
	Places func() (Places, bool)
}

// Places is the database that says in which country an address is.
type Places struct {
	File, Type string
	Built      time.Time // zero: nothing is known
	Trouble    string    // why it cannot be used, or not its newest state; empty: none
}

type (
	call   = api.Call
	object = api.Object
	member = api.Member
)

const (
	root       = "/identity/conditionalAccess"
	strengths  = "/policies/authenticationStrengthPolicies" // Graph has them twice
	strengths2 = root + "/authenticationStrength/policies"
)

// sets are where the documents of a kind are, and how $metadata calls them.
var sets = []struct {
	path, context string
	kind          govern.Kind
}{
	{root + "/policies", "identity/conditionalAccess/policies", govern.Policy},
	{root + "/namedLocations", "identity/conditionalAccess/namedLocations", govern.Location},
	{root + "/authenticationContextClassReferences", "identity/conditionalAccess/authenticationContextClassReferences", govern.Context},
	{strengths2, "identity/conditionalAccess/authenticationStrength/policies", govern.Strength},
	{strengths, "policies/authenticationStrengthPolicies", govern.Strength},
	{"/agreements", "agreements", govern.Terms},
}

// Routes are all addresses of Microsoft's that are about conditional access.
func (s Server) Routes() api.Routes {
	all := api.Routes{"POST " + root + "/evaluate": s.evaluate}
	for _, set := range sets {
		maps.Copy(all, s.setRoutes(set.path, set.context, set.kind))
	}
	for _, path := range []string{strengths, strengths2} {
		all["POST "+path+"/{id}/updateAllowedCombinations"] = s.updateCombinations
	}
	return all
}

// OwnRoutes are those under /curfew.
func (s Server) OwnRoutes() api.Routes {
	return api.Routes{
		"POST /curfew/whatIf":               s.whatIf,
		"GET /curfew/policies/{id}/results": s.getResults,
		"GET /curfew/places":                s.getPlaces,
		"GET /curfew/spared":                s.getSpared,
		"POST /curfew/spared":               s.postSpared,
		"DELETE /curfew/spared/{user}":      s.deleteSpared,
	}
}

// schemas say what can be asked of each kind.
var schemas = map[govern.Kind]*odata.Schema{
	govern.Policy: {Entity: "microsoft.graph.conditionalAccessPolicy", Filter: filters("state"),
		Selects: []string{"id", "templateId", "displayName", "createdDateTime", "modifiedDateTime", "state", "conditions", "grantControls", "sessionControls"}},
	govern.Location: {Entity: "microsoft.graph.namedLocation", Filter: filters(""),
		Selects: []string{"id", "displayName", "createdDateTime", "modifiedDateTime", "isTrusted", "ipRanges", "countriesAndRegions", "countryLookupMethod", "includeUnknownCountriesAndRegions"}},
	govern.Context: {Entity: "microsoft.graph.authenticationContextClassReference", Filter: filters(""), Selects: []string{"id", "displayName", "description", "isAvailable"}},
	govern.Strength: {Entity: "microsoft.graph.authenticationStrengthPolicy", Filter: filters("policyType"),
		Selects: []string{"id", "displayName", "description", "createdDateTime", "modifiedDateTime", "policyType", "requirementsSatisfied", "allowedCombinations"}},
	govern.Terms: {Entity: "microsoft.graph.agreement", Filter: filters(""), Selects: []string{"id", "displayName", "text", "createdDateTime", "modifiedDateTime"}},
}

const (
	fieldID      directory.Field = "id"
	fieldVariant directory.Field = "variant" // state, or kind
)

func filters(variant string) map[string]odata.Property {
	f := map[string]odata.Property{"id": {Field: fieldID, Kind: directory.KindText}, "displayname": {Field: directory.FieldDisplayName, Kind: directory.KindText}}
	if variant != "" {
		f[string(bytes.ToLower([]byte(variant)))] = odata.Property{Field: fieldVariant, Kind: directory.KindText}
	}
	return f
}

// document is a stored document as an object whose members keep their order.
func document(d *govern.Document) object {
	o := members(d.Format())
	if d.Kind == govern.Strength {
		o = append(o, member{"combinationConfigurations", []string{}})
	}
	return o
}

// members are those of a JSON object of ours.
func members(b []byte) (o object) {
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		panic("graph: " + err.Error()) // a document we wrote
	}
	for d.More() {
		name, err := d.Token()
		var raw json.RawMessage
		if err == nil {
			err = d.Decode(&raw)
		}
		if err != nil {
			panic("graph: " + err.Error())
		}
		o = append(o, member{name.(string), raw})
	}
	return o
}

func row(d *govern.Document) api.Row {
	text := func(s string) directory.Value { return directory.Value{Kind: directory.KindText, Text: s} }
	variant := ""
	switch {
	case d.Policy != nil:
		variant = map[policy.State]string{policy.On: "enabled", policy.Off: "disabled", policy.ReportOnly: "enabledForReportingButNotEnforced"}[d.Policy.State]
	case d.Strength != nil && d.Strength.BuiltIn:
		variant = "builtIn"
	case d.Strength != nil:
		variant = "custom"
	}
	return api.Row{ID: d.ID(), Value: api.Fields(map[directory.Field]directory.Value{fieldID: text(d.ID()), directory.FieldDisplayName: text(d.Name()), fieldVariant: text(variant)}),
		Item: func() object { return document(d) }}
}

// setRoutes are the addresses of the documents of a kind.
func (s Server) setRoutes(path, context string, k govern.Kind) api.Routes {
	schema := schemas[k]
	return api.Routes{
		"GET " + path: func(c *call) error {
			all, err := s.Govern.List(c.Ctx(), c.Actor, k)
			return api.Answer(s.Server, c, schema, context, all, row, err)
		},
		"POST " + path: func(c *call) error {
			how, doc, err := order(c)
			if err != nil {
				return err
			}
			made, effect, err := s.Govern.Create(c.Ctx(), c.Actor, k, doc, how)
			if err != nil {
				return err
			}
			if how.DryRun {
				return planned(c, how, effect)
			}
			c.W.Header().Set("Location", s.Root(c)+path+"/"+url.PathEscape(made.ID()))
			c.Write(http.StatusCreated, append(object{{"@odata.context", s.Context(c, context+"/$entity")}}, document(made)...))
			return nil
		},
		"GET " + path + "/{id}": func(c *call) error {
			d, err := s.Govern.Show(c.Ctx(), c.Actor, k, c.R.PathValue("id"))
			if err != nil {
				return err
			}
			return s.Entity(c, schema, context, row(d))
		},
		"PATCH " + path + "/{id}": func(c *call) error {
			how, patch, err := order(c)
			if err != nil {
				return err
			}
			effect, err := s.Govern.Change(c.Ctx(), c.Actor, k, c.R.PathValue("id"), patch, how)
			return finish(c, how, effect, err)
		},
		"DELETE " + path + "/{id}": func(c *call) error {
			how, err := order0(c)
			if err != nil {
				return err
			}
			effect, err := s.Govern.Delete(c.Ctx(), c.Actor, k, c.R.PathValue("id"), how)
			return finish(c, how, effect, err)
		},
	}
}

// forceHeader says that a change is meant although nobody could get in after it.
const forceHeader = "Curfew-Force"

// order0 reads the headers of a write.
func order0(c *call) (how govern.How, err error) {
	if how.Act, err = c.Act(); err != nil {
		return how, err
	}
	switch c.R.Header.Get(forceHeader) {
	case "", "false":
	case "true":
		how.Force = true
	default: // whoever forces in words we do not know does not
		return how, odata.Unreadable("The header " + forceHeader + " must be true or false.")
	}
	return how, nil
}

// order reads headers and body of a write.
func order(c *call) (how govern.How, doc []byte, err error) {
	if how, err = order0(c); err == nil {
		doc, err = c.Text("application/json")
	}
	return how, doc, err
}

// finish answers a write that has no entity to show.
func finish(c *call, how govern.How, effect *govern.Effect, err error) error {
	if err != nil {
		return err
	}
	if how.DryRun {
		return planned(c, how, effect)
	}
	c.W.WriteHeader(http.StatusNoContent)
	return nil
}

// planned answers a dry run.
func planned(c *call, how govern.How, effect *govern.Effect) error {
	if effect == nil {
		effect = &govern.Effect{}
	}
	c.Write(http.StatusOK, object{{"dryRun", true}, {"effects", *how.Effects}, {"whatIf", effectObject(effect)}})
	return nil
}

// updateCombinations is Graph's own way to change what a strength allows.
func (s Server) updateCombinations(c *call) error {
	var all *[]string
	act, err := c.Order(odata.Form{"allowedCombinations": odata.List(&all, "texts")})
	if err != nil {
		return err
	}
	how, err := order0(c)
	if err != nil {
		return err
	}
	if all == nil {
		return odata.Unreadable("The property allowedCombinations is missing.")
	}
	d, err := s.Govern.Show(c.Ctx(), c.Actor, govern.Strength, c.R.PathValue("id"))
	if err != nil {
		return err
	}
	patch, err := api.Encode(object{{"allowedCombinations", *all}})
	if err != nil {
		return err
	}
	how.Act, how.IfVersion = act, d.Version
	effect, err := s.Govern.Change(c.Ctx(), c.Actor, govern.Strength, d.ID(), patch, how)
	if err != nil || how.DryRun {
		return finish(c, how, effect, err)
	}
	had := members(d.Format())
	before, _ := odataMember(had, "allowedCombinations")
	c.Write(http.StatusOK, object{{"@odata.context", s.Context(c, "microsoft.graph.updateAllowedCombinationsResult")}, {"currentCombinations", *all}, {"previousCombinations", before}})
	return nil
}

func odataMember(o object, name string) (any, bool) {
	for _, m := range o {
		if m.Name == name {
			return m.Value, true
		}
	}
	return nil, false
}
