package azure_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/curfew-id/curfew/e2e/clients/world"
)

// answer is a refusal of the token endpoint, which azidentity keeps to itself.
type answer struct {
	Error string `json:"error"`
	Sub   string `json:"suberror"`
	Codes []int  `json:"error_codes"`
}

// listening hears what the token endpoint answers.
type listening struct {
	http.RoundTripper
	last answer
}

func (l *listening) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := l.RoundTripper.RoundTrip(r)
	if err != nil || !strings.HasSuffix(r.URL.Path, "/token") {
		return res, err
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(body))
	l.last = answer{}
	json.Unmarshal(body, &l.last) // an answer without these is none
	return res, err
}

// The application is told that its person is needed, with the claims of the guard;
// it goes on by itself when the policy is gone, and with the person where that helps.
func TestPoliciesAreHandedToTheApplication(t *testing.T) {
	t.Parallel()
	w := world.Start(t)
	admin := w.Admin(t)
	ctx := bounded(t)
	said := &listening{RoundTripper: w.Client.Transport}
	w.Client.Transport = said
	prompts := 0
	b := w.Browser(t, world.Ada)
	cred := device(t, w, b, true, &prompts)
	ask := policy.TokenRequestOptions{Scopes: []string{mailAll}, EnableCAE: true}
	if _, err := cred.Authenticate(ctx, &ask); err != nil {
		t.Fatal(err)
	}
	first, err := cred.GetToken(ctx, ask)
	if err != nil {
		t.Fatal(err)
	}
	token := first.Token
	w.MailOpen(t, token)
	const controls, hourly = `"grantControls": {"operator": "OR", "builtInControls": [%]}`, `"sessionControls": {"signInFrequency": {"isEnabled": true, "type": "hours", "value": 1, "frequencyInterval": "timeBased", "authenticationType": "primaryAndSecondaryAuthentication"}}`
	for _, x := range []struct {
		name, rest string
		age        time.Duration
		number     int
		suberror   string
		helps      bool // what the person can do
	}{
		{"blocked", strings.Replace(controls, "%", `"block"`, 1), 0, 53003, "message_only", false},
		{"a device that is not known", strings.Replace(controls, "%", `"compliantDevice"`, 1), 0, 50097, "additional_action", false},
		{"terms of use", `"grantControls": {"operator": "OR", "builtInControls": [], "termsOfUse": ["` + w.Terms(t, admin) + `"]}`, 0, 50158, "basic_action", true},
		{"too old", hourly, 2 * time.Hour, 70043, "token_expired", true},
		{"two factors", strings.Replace(controls, "%", `"mfa"`, 1), 0, 50079, "basic_action", true},
	} {
		if x.age > 0 {
			w.Age(t, admin, world.Ada, x.age)
		}
		_, remove := w.Policy(t, admin, world.Ada, "", x.rest)
		ask.Claims = world.Claims(t, w.MailShut(t, token))
		_, err := cred.GetToken(ctx, ask)
		var need *azidentity.AuthenticationRequiredError
		if !errors.As(err, &need) || need.TokenRequestOptions.Claims != ask.Claims {
			t.Fatalf("%s: %v", x.name, err)
		}
		if said.last.Error != "invalid_grant" || said.last.Sub != x.suberror || !slices.Equal(said.last.Codes, []int{x.number}) {
			t.Errorf("%s: %+v", x.name, said.last)
		}
		before := prompts
		if x.helps {
			if _, err := cred.Authenticate(ctx, &need.TokenRequestOptions); err != nil || prompts != before+1 {
				t.Fatalf("%s: %v", x.name, err)
			}
			got, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: ask.Scopes, EnableCAE: true})
			if err != nil {
				t.Fatalf("%s: %v", x.name, err)
			}
			w.MailOpen(t, got.Token) // while the policy is on
			token, before = got.Token, prompts
		}
		remove()
		got, err := cred.GetToken(ctx, ask)
		if err != nil || prompts != before {
			t.Fatalf("%s: the policy is gone: %v", x.name, err)
		}
		token = got.Token
		w.MailOpen(t, token)
	}
	if b.Coded != 2 {
		t.Errorf("%d codes of the app", b.Coded)
	}
}
