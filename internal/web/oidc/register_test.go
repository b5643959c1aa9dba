package oidc_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/web/oidc"
)

// registrationTakes are the members of a registration by their names and types, as
// the source has them.
func registrationTakes(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "register.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		d, ok := n.(*ast.TypeSpec)
		if !ok || d.Name.Name != "clientMetadata" {
			return true
		}
		for _, f := range d.Type.(*ast.StructType).Fields.List {
			tag, err := strconv.Unquote(f.Tag.Value)
			if err != nil {
				t.Fatal(err)
			}
			name, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
			switch x := f.Type.(type) {
			case *ast.ArrayType:
				out[name] = "list"
			case *ast.StarExpr:
				out[name] = "object"
			case *ast.Ident:
				out[name] = x.Name
			}
		}
		return false
	})
	if len(out) < 15 {
		t.Fatalf("only %v", out)
	}
	return out
}

// Every member of a registration of the wrong type, doubled and far too long.
func TestEveryMemberOfARegistrationSpoiled(t *testing.T) { // RFC 7591 §3.2.2
	t.Parallel()
	w := newWorld(t)
	w.change("mailroom", func(a *directory.App) {
		a.AppPermissions = append(a.AppPermissions, directory.Permission{Resource: directory.OwnAPI, Scopes: []string{"Application.ReadWrite.All"}})
	})
	mux := http.NewServeMux()
	(&oidc.Server{Issue: w.issue, JWKS: func() ([]byte, cutoff.Pos, error) { return nil, 0, nil }, Check: w.check, Domain: func() string { return "contoso.example" },
		Registrations: &oidc.Registrations{Manage: &manage.Service{DB: w.DB, Revoke: w.revoke, Now: w.Clock.Now}, Secret: make([]byte, 32)}}).Register(mux)
	w.handler = mux
	token := text(t, w.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"https://graph.microsoft.com/.default"}}, mailroom...), "access_token")
	send := func(what, body string, header ...string) {
		t.Helper()
		rows := w.Rows()
		rec := w.do("POST", "/oauth2/register", body, append([]string{"Content-Type", "", "Content-Type", "application/json", "Authorization", "Bearer " + token}, header...)...)
		if code := text(t, rec, "error"); rec.Code != 400 || code != "invalid_client_metadata" && code != "invalid_redirect_uri" || text(t, rec, "error_description") == "" {
			t.Errorf("%s: %d %s", what, rec.Code, rec.Body)
		}
		if now := w.Rows(); now != rows {
			t.Errorf("%s: something was stored:\n%s\nbefore:\n%s", what, now, rows)
		}
	}
	const good = `"redirect_uris":["` + callback + `"]`
	values := map[string][]string{"list": {`"x"`, `{}`, `1`, `[1]`, `[["x"]]`, `true`}, "string": {`["x"]`, `{}`, `1`, `true`}, "bool": {`"true"`, `1`, `[]`, `{}`}, "object": {`"x"`, `[]`, `1`, `{"keys":1}`, `{"keys":["x"]}`}}
	for name, kind := range registrationTakes(t) {
		rest := good + ","
		if name == "redirect_uris" {
			rest = ""
		}
		if name == "jwks" {
			rest += `"token_endpoint_auth_method":"private_key_jwt",`
		}
		for _, bad := range values[kind] {
			send(name+" "+bad, `{`+rest+`"`+name+`":`+bad+`}`)
		}
		fine := map[string]string{"list": `["code"]`, "string": `"x"`, "bool": `true`, "object": `{"keys":[]}`}[kind]
		send(name+" doubled", `{`+rest+`"`+name+`":`+fine+`,"`+name+`":`+fine+`}`)
		send(name+" huge", `{`+rest+`"`+name+`":"`+strings.Repeat("a", 70<<10)+`"}`)
	}
	for what, body := range map[string]string{"text after it": `{` + good + `}{}`, "not UTF-8": `{` + good + ",\"client_name\":\"\xff\"}", "NUL": `{` + good + `,"client_name":"a\u0000b"}`, "no key": `{` + good + `,"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[]}}`, "a name in other letters": `{` + good + `,"Redirect_URIs":["https://evil.example/"]}`,
		"a long name":        `{` + good + `,"client_name":"` + strings.Repeat("a", 300) + `"}`,
		"an address doubled": `{"redirect_uris":["` + callback + `","` + callback + `#x"]}`, "addresses without end": `{"redirect_uris":["` + strings.Repeat(callback+`","`, 200) + callback + `"]}`} {
		send(what, body)
	}
	rec := w.do("POST", "/oauth2/register", `{`+good+`}`, "Content-Type", "", "Content-Type", "application/json", "Authorization", "Bearer "+token)
	if rec.Code != 201 {
		t.Errorf("not spoiled: %d %s", rec.Code, rec.Body)
	}
}
