package conformance_test

import (
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/config"
)

// What no module asks: the rest of the parameter claims (OpenID Connect Core 1.0
// §5.5), and whose tokens are wanted.
func TestClaimsAskedForOneByOne(t *testing.T) {
	t.Parallel()
	p := open(t, func(manifest *string, _ *config.Config) {
		*manifest += `
[[user]]
name = "mallory@contoso.example"
display_name = "Mallory"
password = "correct horse battery"
`
	})
	for name, x := range map[string]struct{ scope, claims, userinfo, id string }{
		"to the ID token, and from there to no other place": {"openid", `{"id_token":{"given_name":null,"email":{"essential":true}}}`, "[sub]", "given_name email"},
		"to both":                           {"openid", `{"id_token":{"name":null},"userinfo":{"name":null}}`, "[name sub]", "name"},
		"one that a scope does not give":    {"openid profile", `{"userinfo":{"phone_number":null,"name":null}}`, "[family_name given_name locale name phone_number preferred_username sub]", "name preferred_username"},
		"nothing that nobody knows":         {"openid", `{"userinfo":{"birthdate":{"essential":true}},"id_token":{"gender":null}}`, "[sub]", ""},
		"nothing by a token without openid": {"", `{"userinfo":{"name":null}}`, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := p.module(t, "")
			if x.scope == "" {
				m.browser.visit(t, m.request("offline_access", "claims", x.claims))
				m.refused("invalid_scope")
				return
			}
			look := func() {
				t.Helper()
				if got := names(m.userinfo()); got != x.userinfo {
					t.Errorf("userinfo has %s, want %s", got, x.userinfo)
				}
				for _, n := range []string{"name", "preferred_username", "given_name", "family_name", "locale", "email", "phone_number"} {
					if _, got := m.id.all[n]; got != strings.Contains(" "+x.id+" ", " "+n+" ") {
						t.Errorf("%s in the ID token: %v", n, got)
					}
				}
			}
			m.signIn(x.scope+" offline_access", "claims", x.claims)
			look()
			// A refresh gives neither more nor less.
			status, fresh := m.token(map[string][]string{"grant_type": {"refresh_token"}, "refresh_token": {m.tokens.Refresh}})
			if status != 200 {
				t.Fatalf("refresh: %d %+v", status, fresh)
			}
			m.took(fresh)
			look()
		})
	}
	t.Run("only a named person", func(t *testing.T) {
		t.Parallel()
		ada := p.module(t, "")
		ada.signIn("openid")
		sub := `{"id_token":{"sub":{"value":"` + ada.id.Subject + `"}}}`
		ada.again(false, "prompt", "none", "claims", sub)

		// Mallory's browser asks for Ada's tokens.
		mallory := p.module(t, "")
		mallory.browser.as("mallory@contoso.example")
		mallory.signIn("openid")
		for name, value := range map[string]string{"claims": sub, "id_token_hint": ada.tokens.ID} {
			mallory.browser.visit(t, mallory.request("openid", "prompt", "none", name, value))
			mallory.refused("login_required")
			mallory.browser.visit(t, mallory.request("openid", name, value))
			if !mallory.askedAgain() {
				t.Errorf("%s: she was not asked to sign in as somebody else", name)
			}
			mallory.refused("login_required") // for she signed in as herself again
		}
		// Not even where she is not signed in yet.
		fresh := p.module(t, "")
		fresh.browser.as("mallory@contoso.example")
		fresh.browser.visit(t, fresh.request("openid", "claims", sub))
		fresh.refused("login_required")
	})
}
