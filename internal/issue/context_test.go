package issue_test

import (
	"context"
	"slices"
	"testing"

	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// A context that is demanded at a refresh is that access token's. The grant does not
// take it over: else what the context takes would be demanded of every later refresh,
// and the mail would stop because the secrets were read once. A device's too, whose
// sign-in can be asked for none.
func TestAContextGainedAtARefreshIsThatTokensOnly(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		w.Rule(&store.Document{Kind: store.ContextDocument, ID: "c1", Doc: `{"id":"c1","displayName":"Secrets","description":"","isAvailable":true}`})
		tokens := w.signIn()
		ask := func(contexts ...string) error {
			t.Helper()
			next, err := w.issue.Refresh(context.Background(), w.client, issue.RefreshRequest{Token: tokens.Refresh, Issuer: grant.Tenant, Meta: issue.Meta{Contexts: contexts}})
			if err != nil {
				return err
			}
			tokens = next
			if got := claims(t, tokens.Access).ACRS; !slices.Equal(got, contexts) {
				t.Errorf("the token has %v, asked for %v", got, contexts)
			}
			return nil
		}
		if err := ask("c1"); err != nil { // nothing is demanded for it yet
			t.Fatal(err)
		}
		w.Rule(storetest.Policy(1, `"applications":{"includeAuthenticationContextClassReferences":["c1"]}`, storetest.AsksMFA))
		if err := ask(); err != nil {
			t.Errorf("the grant took the context over: %v", err)
		}
		if got := outcome(ask("c1")); got != "50079 invalid_grant basic_action" {
			t.Errorf("a context that the sign-in does not meet: %s", got)
		}
		if err := ask(); err != nil {
			t.Errorf("it was refused for good: %v", err)
		}
	})
}
