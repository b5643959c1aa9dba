package msal_test

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	msalerrors "github.com/AzureAD/microsoft-authentication-library-for-go/apps/errors"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"

	"github.com/curfew-id/curfew/e2e/clients/world"
)

// refusal is what the token endpoint said, as MSAL hands it on.
type refusal struct {
	Error       string `json:"error"`
	Sub         string `json:"suberror"`
	Codes       []int  `json:"error_codes"`
	Claims      string `json:"claims"`
	Description string `json:"error_description"`
}

func refused(t *testing.T, err error) (said refusal) {
	t.Helper()
	var call msalerrors.CallErr
	if !errors.As(err, &call) {
		t.Fatalf("not an answer of the server: %v", err)
	}
	body, _ := io.ReadAll(call.Resp.Body)
	if len(body) == 0 { // MSAL has read it: it stands in the error's text
		_, text, _ := strings.Cut(err.Error(), "{")
		body = []byte("{" + text)
	}
	if err := json.NewDecoder(strings.NewReader(string(body))).Decode(&said); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	return said
}

// A policy is switched on while somebody has tokens. The guard asks for new ones,
// MSAL asks the server, and is told what Entra would tell it; without the policy
// the same refresh token goes on: policies refuse, they do not end.
func TestAPolicyIsMetByItsCode(t *testing.T) {
	t.Parallel()
	w := world.Start(t)
	admin := w.Admin(t)
	ctx := bounded(t)
	c := desk(t, w, cp1)
	first, err := c.AcquireTokenInteractive(ctx, mail, opens(t, w.Browser(t, world.Ada)))
	if err != nil {
		t.Fatal(err)
	}
	token := first.AccessToken
	for _, x := range []struct {
		name, conditions, rest string
		number                 int
		suberror               string
	}{
		{"blocked", "", `"grantControls": {"operator": "OR", "builtInControls": ["block"]}`, 53003, "message_only"},
		{"a second factor that nobody has set up", "", `"grantControls": {"operator": "OR", "builtInControls": ["mfa"]}`, 50079, "basic_action"},
		{"a device that is not known", "", `"grantControls": {"operator": "OR", "builtInControls": ["compliantDevice"]}`, 50097, "additional_action"},
		{"terms of use", "", `"grantControls": {"operator": "OR", "builtInControls": [], "termsOfUse": ["` + w.Terms(t, admin) + `"]}`, 50158, "basic_action"},
		{"everywhere but from one place", `, "locations": {"includeLocations": ["All"], "excludeLocations": ["AllTrusted"]}`, `"grantControls": {"operator": "OR", "builtInControls": ["block"]}`, 53003, "message_only"},
		{"programs", `, "platforms": {"includePlatforms": ["all"]}`, `"grantControls": {"operator": "OR", "builtInControls": ["block"]}`, 53003, "message_only"},
	} {
		w.MailOpen(t, token)
		id, remove := w.Policy(t, admin, world.Ada, x.conditions, x.rest)
		claims := world.Claims(t, w.MailShut(t, token))
		_, err := c.AcquireTokenSilent(ctx, mail, public.WithSilentAccount(first.Account), public.WithClaims(claims))
		said := refused(t, err)
		if said.Error != "invalid_grant" || said.Sub != x.suberror || !slices.Equal(said.Codes, []int{x.number}) {
			t.Errorf("%s: %+v", x.name, said)
		}
		if !strings.Contains(said.Claims, `"capolids"`) || !strings.Contains(said.Claims, id) {
			t.Errorf("%s: claims %q do not name the policy %s", x.name, said.Claims, id)
		}
		remove()
		next, err := c.AcquireTokenSilent(ctx, mail, public.WithSilentAccount(first.Account), public.WithClaims(claims))
		if err != nil {
			t.Fatalf("%s: after the policy was deleted: %v", x.name, err)
		}
		token = next.AccessToken
	}
	w.MailOpen(t, token)
}
