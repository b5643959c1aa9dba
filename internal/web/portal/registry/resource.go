package registry

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Life is how long access tokens for a resource live.
func Life(r *directory.Resource) time.Duration {
	if r.TokenLife == 0 {
		return time.Hour // the meaning of zero
	}
	return r.TokenLife
}

// ResourceFacts is the card of a resource's registration.
func ResourceFacts(r *directory.Resource) Facts {
	alg := r.SigningAlg
	if alg == "" {
		alg = directory.ES256 + ", the default"
	}
	return Facts{"Registration", []Fact{
		{"Identifier", []string{string(r.ID)}, true, "The audience of its access tokens"},
		{"Access tokens live", []string{webkit.Span(Life(r))}, false, ""},
		{"Signed with", []string{alg}, false, ""},
		{"Guarded", either(r.Guarded, "Every instance is behind a guard", "Not said to be"), false, guardedRemark(r)},
		{"Encrypted", either(r.EncryptionKey != "", "To the resource's key", "No"), false, ""},
	}}
}

func guardedRemark(r *directory.Resource) string {
	if r.Guarded {
		return "A live guard was the proof when it was said"
	}
	return "Access tokens live for an hour at most"
}

// Resource are the cards of a resource: its registration and how fast it closes,
// what it allows, and which applications name it.
func (p Page) Resource(r *directory.Resource, guards Card, closes Mark, apps []*directory.App, address func(string) string) []Card {
	facts := ResourceFacts(r)
	card := Card{Title: facts.Title, Facts: append(facts.Rows, Fact{"If revoked, ends", []string{closes.Word}, false, ""})}
	scopes := Card{Title: "Scopes", Hint: webkit.Num(len(r.Scopes)), Empty: "No scopes: no application can ask people for anything here.", Table: NewTable("Scopes", "Name", "What people read", "Who can consent")}
	for _, x := range r.Scopes {
		who := "Everybody for themselves"
		if x.AdminOnly {
			who = "An administrator"
		}
		read := Text(x.Text)
		read.Wrap = true
		scopes.Table.Add("", nil, Mono(x.Name), read, Text(who))
	}
	all := []Card{card, guards, scopes}
	if len(r.AppRoles) > 0 {
		t := NewTable("Application roles", "Name")
		for _, x := range r.AppRoles {
			t.Add("", nil, Mono(x))
		}
		all = append(all, Card{Title: "Application roles", Hint: webkit.Num(len(r.AppRoles)), Table: t})
	}
	use := Card{Title: "Applications that name it", Empty: "None.", Table: NewTable("Applications that name it", "Application", "Asks people for", "Holds as itself", "Guards it")}
	for _, a := range apps {
		asks, holds, guards := scopesAt(a.Permissions, r.ID), scopesAt(a.AppPermissions, r.ID), ""
		if slices.Contains(a.Guards, r.ID) {
			guards = "Yes"
		}
		if asks+holds+guards != "" {
			one, other := Text(asks), Text(holds)
			one.Wrap, other.Wrap = true, true
			use.Table.Add("", nil, Cell{Text: Name(a), URL: address(string(a.ID))}, one, other, Text(guards))
		}
	}
	return append(all, use)
}

func scopesAt(ps []directory.Permission, id directory.ResourceID) string {
	for _, x := range ps {
		if x.Resource == id {
			return strings.Join(x.Scopes, ", ")
		}
	}
	return ""
}

// FindResources are the resources whose name or identifier holds what is searched
// for.
func FindResources(all []*directory.Resource, query string) (found []*directory.Resource) {
	query = strings.ToLower(query)
	for _, r := range all {
		if strings.Contains(strings.ToLower(r.Name+"\n"+string(r.ID)), query) {
			found = append(found, r)
		}
	}
	return found
}

// AskDeleteResource is the question about a resource.
func AskDeleteResource(r *directory.Resource) Question {
	return Question{Title: "Delete " + cmp.Or(r.Name, string(r.ID)) + "?", Reasoned: true, Rest: []Line{
		stays("Access tokens that were handed out", "live to their end", "Guards go on refusing those that are cut."),
		*ends("New access tokens", "are refused at once", "No application may name the resource any more: take it from them first.")}}
}

// ResourceForm is the form of a resource, as it is registered; a nil one is being
// created.
func ResourceForm(r *directory.Resource) []webkit.Fieldset {
	what := []webkit.Field{}
	if r == nil {
		r = &directory.Resource{}
		what = append(what, webkit.Field{Name: "id", Label: "Identifier", Hint: "An absolute URI, such as api://mail or https://mail.contoso.example, or a GUID. The audience of its access tokens. Cannot be changed later.", Mono: true, Required: true, Max: 255, Autocomplete: "off"})
	}
	alg := r.SigningAlg
	if alg == "" {
		alg = directory.ES256
	}
	return []webkit.Fieldset{
		{Legend: "What it is", Fields: append(what, webkit.Field{Name: "name", Label: "Name", Value: r.Name, Required: true, Max: 256, Autocomplete: "off"})},
		{Legend: "What it allows", Fields: []webkit.Field{
			area("scopes", "Scopes", "One on each line: its name, then what people read. (admin) behind the name: only an administrator can consent. Mail.Read.All (admin) Read everyone's mail", lines(writeScopes(r.Scopes)), 5),
			area("app_roles", "Application roles (optional)", "One on each line: what applications can hold as themselves.", r.AppRoles, 3)}},
		{Legend: "Its access tokens", Fields: []webkit.Field{
			tick("guarded", "Every instance of it is behind a guard", "You say so; that one is, a live guard proves when this is saved. Then tokens may live longer than an hour, since a revoke ends them all the same.", r.Guarded),
			{Name: "life", Label: "They live (optional)", Hint: "10 minutes to 28 hours; empty: one hour. More than an hour only while the resource is guarded.", Value: WriteSpan(r.TokenLife), Autocomplete: "off", Max: 40},
			{Name: "alg", Label: "They are signed with", Value: alg, Choices: algChoices},
			{Name: "encryption_key", Label: "Encryption key (optional)", Hint: "A public JWK, to which they are encrypted. Only the resource can read them then.", Value: r.EncryptionKey, Lines: 2, Mono: true, Max: 8192, Autocomplete: "off"}}},
	}
}

// ReadResource reads that form; old is the resource as it is, nil for a new one.
func ReadResource(f webkit.Form, old *directory.Resource) (directory.ResourceID, manage.ResourcePatch, Mistakes) {
	m := Mistakes{}
	if old == nil {
		old = &directory.Resource{}
	}
	name, alg, key := strings.TrimSpace(f.Get("name")), kept(f.Get("alg"), old.SigningAlg, directory.ES256), strings.TrimSpace(f.Get("encryption_key"))
	if compact(key) == compact(old.EncryptionKey) {
		key = old.EncryptionKey // a page does not keep the spaces in it
	}
	m.note("name", directory.CheckRequired("The name of the resource", name, 256))
	scopes, err := readScopes(f.Get("scopes"))
	m.note("scopes", err)
	roles := append([]string{}, lines(f.Get("app_roles"))...)
	for _, x := range roles {
		m.note("app_roles", directory.CheckScope(x))
	}
	life, err := ReadSpan(f.Get("life"))
	m.note("life", err)
	if key != "" {
		_, err := directory.ParseEncryptionKey(key)
		m.note("encryption_key", err)
	}
	id := strings.TrimSpace(f.Get("id"))
	if f.Has("id") && id == "" {
		m.note("id", fault.New(fault.Invalid, "The identifier is missing."))
	}
	guarded := f.Get("guarded") != ""
	p := manage.ResourcePatch{Name: &name, Scopes: &scopes, AppRoles: &roles, TokenLife: &life, Guarded: &guarded, SigningAlg: &alg, EncryptionKey: &key}
	if !guarded && old.Guarded && life == old.TokenLife {
		p.TokenLife = nil // the verb takes it down to an hour
	}
	return directory.ResourceID(id), p, m
}

// compact is a JSON text without spaces; what is none is itself.
func compact(s string) string {
	var b bytes.Buffer
	if json.Compact(&b, []byte(s)) != nil {
		return s
	}
	return b.String()
}
