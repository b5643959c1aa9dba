package msal_test

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

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

// A device that is known and not compliant is another answer than none, and one that
// is lost another again: that one ends what was given on it.
func TestADeviceIsMetByItsCode(t *testing.T) {
	t.Parallel()
	w := world.Start(t)
	admin := w.Admin(t)
	ctx := bounded(t)
	c, b := desk(t, w, cp1), w.Browser(t, world.Ada).Laptop()
	if _, err := c.AcquireTokenInteractive(ctx, mail, opens(t, b)); err != nil {
		t.Fatal(err)
	}
	device := b.Register(t)
	first, err := c.AcquireTokenInteractive(ctx, mail, opens(t, b))
	if err != nil {
		t.Fatal(err)
	}
	w.MailOpen(t, first.AccessToken)
	w.Policy(t, admin, world.Ada, "", `"grantControls": {"operator": "OR", "builtInControls": ["compliantDevice"]}`)
	claims := world.Claims(t, w.MailShut(t, first.AccessToken))
	_, err = c.AcquireTokenSilent(ctx, mail, public.WithSilentAccount(first.Account), public.WithClaims(claims))
	if said := refused(t, err); said.Error != "invalid_grant" || !slices.Equal(said.Codes, []int{53000}) || !strings.Contains(said.Claims, `"capolids"`) {
		t.Errorf("a device that is not compliant: %+v", said)
	}
	w.Compliant(t, admin, device)
	next, err := c.AcquireTokenSilent(ctx, mail, public.WithSilentAccount(first.Account), public.WithClaims(claims))
	if err != nil {
		t.Fatalf("a compliant device: %v", err)
	}
	w.MailOpen(t, next.AccessToken)
	w.Lost(t, admin, device)
	claims = world.Claims(t, w.MailShut(t, next.AccessToken))
	_, err = c.AcquireTokenSilent(ctx, mail, public.WithSilentAccount(first.Account), public.WithClaims(claims))
	if said := refused(t, err); said.Error != "invalid_grant" || said.Sub != "bad_token" || !slices.Equal(said.Codes, []int{135011}) {
		t.Errorf("a lost device: %+v", said)
	}
}

// What a person can give leads on: the claims of the guard and those of the server's
// answer are taken to the sign-in page, which asks for just that. What a policy asked
// for in vain ends nothing either: a second program of ada's, which was told 50076,
// goes on with its refresh token when the policy is gone.
func TestWhatAPolicyAsksForLeadsOn(t *testing.T) {
	t.Parallel()
	w := world.Start(t)
	admin := w.Admin(t)
	ctx := bounded(t)
	type program struct {
		public.Client
		*world.Browser
		last public.AuthResult
	}
	open := func() *program {
		t.Helper()
		p := &program{Client: desk(t, w, cp1), Browser: w.Browser(t, world.Ada)}
		var err error
		if p.last, err = p.AcquireTokenInteractive(ctx, mail, opens(t, p.Browser)); err != nil {
			t.Fatal(err)
		}
		w.MailOpen(t, p.last.AccessToken)
		return p
	}
	silent := func(p *program, claims string) error {
		got, err := p.AcquireTokenSilent(ctx, mail, public.WithSilentAccount(p.last.Account), public.WithClaims(claims))
		if err == nil {
			p.last = got
		}
		return err
	}
	// told is what the server says when the program takes the guard's claims to it.
	told := func(p *program, number int, suberror string) (claims []string) {
		t.Helper()
		asked := world.Claims(t, w.MailShut(t, p.last.AccessToken))
		said := refused(t, silent(p, asked))
		if said.Error != "invalid_grant" || said.Sub != suberror || !slices.Equal(said.Codes, []int{number}) {
			t.Fatalf("want %d %s: %+v", number, suberror, said)
		}
		return []string{asked, said.Claims}
	}
	// met: the person gives it, and the guard is content.
	met := func(p *program, claims string) {
		t.Helper()
		got, err := p.AcquireTokenInteractive(ctx, mail, opens(t, p.Browser), public.WithClaims(claims))
		if err != nil {
			t.Fatal(err)
		}
		p.last = got
		w.MailOpen(t, got.AccessToken)
		if err := silent(p, claims); err != nil {
			t.Fatalf("renewed by what was given: %v", err)
		}
		w.MailOpen(t, p.last.AccessToken)
	}
	one, two, three := open(), open(), open()

	// Two factors: the first program's person sets an app up, the second's has it then.
	_, remove := w.Policy(t, admin, world.Ada, "", `"grantControls": {"operator": "OR", "builtInControls": ["mfa"]}`)
	claims := told(one, 50079, "basic_action")
	met(one, claims[0])
	if one.Coded != 2 || one.Asked != 1 {
		t.Errorf("%d codes and %d passwords", one.Coded, one.Asked)
	}
	claims = told(two, 50076, "basic_action")
	if !strings.Contains(claims[1], `"capolids"`) {
		t.Errorf("claims %s", claims[1])
	}
	met(two, claims[1]) // the server's own, which name the policy
	if two.Coded != 1 || two.Asked != 1 {
		t.Errorf("%d codes and %d passwords", two.Coded, two.Asked)
	}
	claims = told(three, 50076, "basic_action")
	remove()
	if err := silent(three, claims[0]); err != nil || three.Coded != 0 {
		t.Fatalf("the policy is gone: %v", err)
	}
	w.MailOpen(t, three.last.AccessToken)

	// Terms of use.
	_, remove = w.Policy(t, admin, world.Ada, "", `"grantControls": {"operator": "OR", "builtInControls": [], "termsOfUse": ["`+w.Terms(t, admin)+`"]}`)
	claims = told(three, 50158, "basic_action")
	met(three, claims[1])
	w.MailOpen(t, one.last.AccessToken) // accepted once, for all
	remove()

	// A sign-in of two factors that is two hours old where one is good for an hour:
	// both are given again.
	one.Asked, one.Coded, two.Asked = 0, 0, 0
	w.Age(t, admin, world.Ada, 2*time.Hour)
	_, remove = w.Policy(t, admin, world.Ada, "", `"sessionControls": {"signInFrequency": {"isEnabled": true, "type": "hours", "value": 1, "frequencyInterval": "timeBased", "authenticationType": "primaryAndSecondaryAuthentication"}}`)
	claims = told(one, 70043, "token_expired")
	met(one, claims[0])
	if one.Asked != 1 || one.Coded != 1 {
		t.Errorf("%d passwords, %d codes", one.Asked, one.Coded)
	}
	claims = told(two, 70043, "token_expired")
	remove()
	if err := silent(two, claims[0]); err != nil || two.Asked != 0 {
		t.Fatalf("the policy is gone: %v", err)
	}
	w.MailOpen(t, two.last.AccessToken)
}
