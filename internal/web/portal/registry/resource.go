package registry

import (
	"bytes"
	"encoding/json"
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
		{"Encrypted", either(r.EncryptionKey != "", "To the resource's key", "No"), false, ""},
	}}
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
	return directory.ResourceID(id), manage.ResourcePatch{Name: &name, Scopes: &scopes, AppRoles: &roles, TokenLife: &life, SigningAlg: &alg, EncryptionKey: &key}, m
}

// compact is a JSON text without spaces; what is none is itself.
func compact(s string) string {
	var b bytes.Buffer
	if json.Compact(&b, []byte(s)) != nil {
		return s
	}
	return b.String()
}
