package issue_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/keys"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/rotate"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// world is a directory with two resources and a third-party application that
// ada has consented to.
type world struct {
	*storetest.World
	t      testing.TB
	issue  *issue.Service
	revoke *revoke.Service
	client *issue.Client
}

var operator = directory.Actor{Operator: true}

const verifier = "a-code-verifier-of-forty-three-characters-or-more"

func newWorld(t testing.TB, e storetest.Engine, hooks store.Hooks) *world {
	t.Helper()
	w := &world{World: storetest.NewWorld(t, e, hooks), t: t}
	w.wire()
	w.Update(func(tx *store.Tx) error {
		for _, id := range []directory.ResourceID{"api://mail", "api://drive"} {
			r := &directory.Resource{ID: id, Name: string(id[6:]), Scopes: []directory.Scope{{Name: "Read", Text: "Read"}, {Name: "Write", Text: "Write"}}}
			if err := tx.SaveResource(r); err != nil {
				return err
			}
		}
		app := *w.App
		app.DeviceCode = true
		app.Permissions = []directory.Permission{{Resource: "api://mail", Scopes: []string{"Read", "Write"}}, {Resource: "api://drive", Scopes: []string{"Read"}}, {Resource: directory.OwnAPI, Scopes: []string{"openid", "profile"}}}
		w.App = &app
		if err := tx.SaveApp(&app); err != nil {
			return err
		}
		for _, p := range app.Permissions {
			if err := tx.SaveConsent(directory.Consent{User: w.Ada.ID, App: app.ID, Resource: p.Resource, Scopes: p.Scopes}); err != nil {
				return err
			}
		}
		return nil
	})
	w.client = w.authenticate(issue.Credentials{ID: "tripboard"})
	return w
}

func (w *world) wire() {
	w.t.Helper()
	k, err := keys.Open(context.Background(), w.DB, make([]byte, 32), w.Clock.Now)
	if err != nil {
		w.t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	w.revoke = &revoke.Service{DB: w.DB, Log: log, Lifetimes: grant.DefaultLifetimes(), Now: w.Clock.Now}
	w.issue = &issue.Service{DB: w.DB, Keys: k, Revoke: w.revoke, Base: "https://id.contoso.example", Tenant: "11111111-2222-3333-4444-555555555555",
		Lifetimes: grant.DefaultLifetimes(), Now: w.Clock.Now, Log: log}
}

// rotator changes the keys of an issuer.
func rotator(s *issue.Service) *rotate.Service {
	return &rotate.Service{DB: s.DB, Keys: s.Keys, Revoke: s.Revoke}
}

func (w *world) authenticate(c issue.Credentials) *issue.Client {
	w.t.Helper()
	client, err := w.issue.Client(context.Background(), c)
	if err != nil {
		w.t.Fatalf("authenticate %s: %v", c.ID, err)
	}
	return client
}

// code asks for a code in a session.
func (w *world) code(s *grant.Session, scope string) (string, error) {
	w.t.Helper()
	plan, err := w.issue.Plan(context.Background(), w.client.App, scope, nil)
	if err != nil {
		w.t.Fatalf("plan %q: %v", scope, err)
	}
	sum := sha256.Sum256([]byte(verifier))
	return w.issue.Authorize(context.Background(), issue.AuthorizeRequest{App: w.client.App, Session: s.ID, Plan: plan, Scope: scope,
		RedirectURI: "https://tripboard.example/cb", Challenge: base64.RawURLEncoding.EncodeToString(sum[:]), Nonce: "n", Issuer: grant.Tenant})
}

func (w *world) redeem(code string) (*issue.Tokens, error) {
	return w.issue.Code(context.Background(), w.client, issue.CodeRequest{Code: code, RedirectURI: "https://tripboard.example/cb", Verifier: verifier, Issuer: grant.Tenant})
}

const allScopes = "openid profile offline_access api://mail/Read"

// signIn returns first tokens of a new session of ada.
func (w *world) signIn() *issue.Tokens {
	w.t.Helper()
	code, err := w.code(w.Session(w.Ada), allScopes)
	if err != nil {
		w.t.Fatalf("authorize: %v", err)
	}
	tokens, err := w.redeem(code)
	if err != nil {
		w.t.Fatalf("redeem: %v", err)
	}
	return tokens
}

func (w *world) refresh(token, scope string) (*issue.Tokens, error) {
	return w.issue.Refresh(context.Background(), w.client, issue.RefreshRequest{Token: token, Scope: scope, Issuer: grant.Tenant, Arrived: w.Clock.Now()})
}

// alive says whether a guard that knows everything would accept the token.
func (w *world) alive(token string) bool {
	w.t.Helper()
	a := claims(w.t, token)
	o := a.Owner()
	return !w.DB.View().Dead(&o, a.Born, cutoff.Token)
}

type fataler interface{ Fatal(...any) }

func claims(t fataler, token string) *issue.Access {
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	a := &issue.Access{}
	if err := json.Unmarshal(b, a); err != nil {
		t.Fatal(err)
	}
	return a
}
