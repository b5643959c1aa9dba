package issue_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

func sub(err error) string {
	var e *issue.Error
	if errors.As(err, &e) {
		return e.Code + "/" + e.Sub
	}
	return ""
}

func TestRefreshRotatesAndRetriesAndServesEveryConsentedResource(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		first := w.signIn()
		if a := claims(t, first.Access); a.Audience != "api://mail" || a.Scp != "Read" || a.GID == "" || a.SID != "" || a.Born == 0 {
			t.Fatalf("claims %+v", a)
		}
		second, err := w.refresh(first.Refresh, "")
		if err != nil {
			t.Fatal(err)
		}
		again, err := w.refresh(first.Refresh, "api://drive/.default openid")
		if err != nil || again.Refresh != second.Refresh || again.Outcome != grant.Retried {
			t.Fatalf("a retry for another resource: %v, same successor %v", err, err == nil && again.Refresh == second.Refresh)
		}
		if a := claims(t, again.Access); a.Audience != "api://drive" || again.Scope != "api://drive/.default openid" {
			t.Fatalf("aud %s, scope %q", a.Audience, again.Scope)
		}
		if _, err := w.refresh(second.Refresh, "api://mail/Nonsense"); sub(err) != "invalid_grant/consent_required" {
			t.Fatalf("a scope nobody consented to: %v", err)
		}
		for _, foreign := range []string{"", "cfr_", first.Refresh + "A", first.Refresh[:len(first.Refresh)-2] + "xx"} {
			if _, err := w.refresh(foreign, ""); sub(err) != "invalid_grant/bad_token" {
				t.Errorf("%q: %v", foreign, err)
			}
		}
	})
}

func TestReuseKillsTheGrantAndItsAccessTokens(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		first := w.signIn()
		second, err := w.refresh(first.Refresh, "")
		if err != nil {
			t.Fatal(err)
		}
		third, err := w.refresh(second.Refresh, "")
		if err != nil {
			t.Fatal(err)
		}
		head, _ := w.DB.View().Head()
		for range 3 { // the thief insists; the ledger grows once (trace 22: the kill is durable)
			if _, err := w.refresh(first.Refresh, ""); sub(err) != "invalid_grant/bad_token" {
				t.Fatalf("reuse: %v", err)
			}
		}
		if now, _ := w.DB.View().Head(); now != head+1 {
			t.Fatalf("the ledger grew by %d lines", now-head)
		}
		if w.alive(third.Access) {
			t.Error("the access token lives")
		}
		if _, err := w.refresh(third.Refresh, ""); sub(err) != "invalid_grant/bad_token" {
			t.Errorf("the newest refresh token lives: %v", err)
		}
		if other := w.signIn(); !w.alive(other.Access) {
			t.Error("a new sign-in is dead")
		}
	})
}

func TestTrace23TwoUsesOfOneGenerationAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		first := w.signIn()
		type answer struct {
			t   *issue.Tokens
			err error
		}
		answers := make(chan answer, 2)
		for range 2 {
			go func() { tok, err := w.refresh(first.Refresh, ""); answers <- answer{tok, err} }()
		}
		a, b := <-answers, <-answers
		if a.err != nil || b.err != nil || a.t.Refresh != b.t.Refresh || a.t.Outcome == b.t.Outcome {
			t.Fatalf("%v %v", a.err, b.err)
		}
	})
}

func TestTrace24LateRetryAfterTwoNewerUses(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		first := w.signIn()
		arrived := w.Clock.Now()
		w.Clock.Add(time.Second)
		second, _ := w.refresh(first.Refresh, "")
		w.Clock.Add(time.Second)
		third, err := w.refresh(second.Refresh, "")
		if err != nil {
			t.Fatal(err)
		}
		late, err := w.issue.Refresh(context.Background(), w.client, issue.RefreshRequest{Token: first.Refresh, Issuer: grant.Tenant, Arrived: arrived})
		if err != nil || late.Refresh != third.Refresh {
			t.Fatalf("a request that had arrived before the successor was used: %v", err)
		}
		w.Clock.Add(time.Hour)
		if _, err := w.refresh(late.Refresh, ""); err != nil {
			t.Fatalf("an hour later: %v", err)
		}
	})
}

func TestTrace24TooManyRetriesAreNotHeldAgainstTheGrant(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		first := w.signIn()
		second, err := w.refresh(first.Refresh, "")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			_, err := w.refresh(first.Refresh, "")
			if i < 3 && err != nil || i >= 3 && !fault.Is(err, fault.Unavailable) {
				t.Fatalf("retry %d: %v", i+1, err)
			}
		}
		if _, err := w.refresh(first.Refresh, "api://drive/Read"); err != nil {
			t.Fatalf("the first retry for another resource: %v", err)
		}
		if _, err := w.refresh(second.Refresh, ""); err != nil {
			t.Fatalf("the grant suffered: %v", err)
		}
	})
}

func TestARetryAfterTheWindowIsReuse(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		first := w.signIn()
		if _, err := w.refresh(first.Refresh, ""); err != nil {
			t.Fatal(err)
		}
		w.Clock.Add(61 * time.Second)
		if _, err := w.refresh(first.Refresh, ""); sub(err) != "invalid_grant/bad_token" {
			t.Fatalf("got %v", err)
		}
		if w.alive(first.Access) {
			t.Error("the access token lives")
		}
	})
}

func TestAnotherClientsTokenChangesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		first := w.signIn()
		w.Update(func(tx *store.Tx) error {
			return tx.SaveApp(&directory.App{ID: "mallory", Object: directory.NewID[directory.App](w.Clock.Now()), Enabled: true, Public: true})
		})
		mallory := w.authenticate(issue.Credentials{ID: "mallory"})
		for range 2 {
			_, err := w.issue.Refresh(context.Background(), mallory, issue.RefreshRequest{Token: first.Refresh, Issuer: grant.Tenant, Arrived: w.Clock.Now()})
			if sub(err) != "invalid_grant/bad_token" {
				t.Fatalf("got %v", err)
			}
		}
		if tok, err := w.refresh(first.Refresh, ""); err != nil || tok.Outcome != grant.Rotated {
			t.Fatalf("the owner: %v", err)
		}
		_, err := w.issue.Refresh(context.Background(), w.client, issue.RefreshRequest{Token: first.Refresh, Issuer: grant.Plain, Arrived: w.Clock.Now()})
		if sub(err) != "invalid_grant/bad_token" {
			t.Fatalf("at the other issuer: %v", err)
		}
	})
}

func TestTrace4RevokeBetweenJudgingAndWritingABatch(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		// On SQLite nobody can write in between; there the revoke comes right
		// after the batch is durable, before the last look.
		var w *world
		var between func()
		hooks := store.Hooks{AfterRotate: func() {
			if f := between; f != nil {
				between = nil
				f()
			}
		}}
		if e.Postgres {
			var armed bool
			hooks = store.Hooks{Exec: func(q string) error {
				if f := between; f != nil && !armed && len(q) > 13 && q[:13] == "UPDATE grants" {
					armed, between = true, nil
					f()
				}
				return nil
			}}
		}
		w = newWorld(t, e, hooks)
		first := w.signIn()
		between = func() { w.Revoke(w.Ada) }
		tok, err := w.refresh(first.Refresh, "")
		if err == nil && w.alive(tok.Access) {
			t.Fatal("an access token lives that was judged before the revoke")
		}
		if err == nil {
			t.Fatal("handed out although the last look came after the revoke")
		}
		if between != nil {
			t.Fatal("the revoke was not placed")
		}
	})
}

func TestTrace8TheReceiptListsEveryTokenThatWasHandedOut(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		var w *world
		var receipt *store.Receipt
		var held bool
		w = newWorld(t, e, store.Hooks{AfterRotate: func() {
			if !held || receipt != nil {
				return
			}
			r, err := w.revoke.User(context.Background(), directory.Actor{Operator: true}, w.Ada.ID, revoke.Options{})
			if err != nil {
				t.Error(err)
				return
			}
			receipt = r.Receipt
		}})
		first := w.signIn()
		w.Clock.Add(10 * time.Minute)
		held = true
		_, err := w.refresh(first.Refresh, "")
		if err == nil {
			t.Fatal("a token was handed out after the cut")
		}
		want := w.Clock.Now().Add(time.Hour)
		if receipt == nil || receipt.Rest == nil || len(receipt.Rest.Tokens) != 1 || !receipt.Rest.Tokens[0].Expires.Equal(want) {
			t.Fatalf("rest %+v, want an end of %s", receipt.Rest, want)
		}
	})
}

func TestOwnPasswordChangeDuringARefreshDoesNotLoseTheClient(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		var w *world
		var s *grant.Session
		w = newWorld(t, e, store.Hooks{AfterRotate: func() {
			if keep := s; keep != nil {
				s = nil
				w.Update(func(tx *store.Tx) error {
					_, err := tx.ChangeUser(w.Ada.ID, store.UserChange{Keep: keep.ID}, func(u *directory.User) error { u.Password.Version++; return nil })
					return err
				})
			}
		}})
		session := w.Session(w.Ada)
		code, err := w.code(session, allScopes)
		if err != nil {
			t.Fatal(err)
		}
		first, err := w.redeem(code)
		if err != nil {
			t.Fatal(err)
		}
		s = session
		tok, err := w.refresh(first.Refresh, "")
		if err != nil || !w.alive(tok.Access) {
			t.Fatalf("the current session's application lost its grant: %v", err)
		}
		if w.alive(first.Access) {
			t.Error("the access token from before the change lives")
		}
	})
}

func TestCodes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		s := w.Session(w.Ada)
		code, err := w.code(s, allScopes)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := w.redeem(code)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.redeem(code); sub(err) != "invalid_grant/" {
			t.Fatalf("second use: %v", err)
		}
		if w.alive(tok.Access) {
			t.Error("the second use did not end what the first produced")
		}
		code, _ = w.code(s, allScopes)
		w.Clock.Add(61 * time.Second)
		if _, err := w.redeem(code); sub(err) != "invalid_grant/bad_token" {
			t.Errorf("expired: %v", err)
		}
		code, _ = w.code(s, allScopes)
		w.Revoke(w.Ada)
		if _, err := w.redeem(code); sub(err) != "invalid_grant/bad_token" {
			t.Errorf("after a revoke: %v", err)
		}
		if _, err := w.code(s, allScopes); sub(err) != "invalid_grant/bad_token" {
			t.Errorf("authorize in a revoked session: %v", err)
		}
		s = w.Session(w.Ada)
		code, _ = w.code(s, allScopes)
		if _, err := w.revoke.SignOut(context.Background(), s.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.redeem(code); sub(err) != "invalid_grant/bad_token" {
			t.Errorf("after signing out: %v", err)
		}
	})
}

// MSAL Go names OpenID Connect's scopes at the token endpoint only. They are given
// if the plan, which is what was consented to, has them.
func TestScopesNamedFirstAtRedemption(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) { scopesNamedFirstAtRedemption(t, newWorld(t, e, store.Hooks{})) })
}

func scopesNamedFirstAtRedemption(t *testing.T, w *world) {
	t.Helper()
	const mail = "api://mail/Read"
	for _, x := range []struct {
		name, plan, redeem string
		id, offline        bool
		profile            string
	}{
		{"planned and named", mail + " openid profile offline_access", mail + " openid offline_access profile", true, true, w.Ada.Name},
		{"planned, not all named", mail + " openid profile offline_access", mail + " openid", true, false, ""},
		{"planned, none named", mail + " openid profile offline_access", mail, false, false, ""},
		{"planned, no scope at redemption", mail + " openid profile offline_access", "", false, false, ""},
		{"named, not planned", mail, mail + " openid offline_access profile", false, false, ""},
	} {
		plan, err := w.issue.Plan(t.Context(), w.client.App, x.plan, nil)
		if err != nil {
			t.Fatal(err)
		}
		code, err := w.issue.Authorize(t.Context(), issue.AuthorizeRequest{App: w.client.App, Session: w.Session(w.Ada).ID, Plan: plan, Scope: mail, RedirectURI: "https://tripboard.example/cb", Issuer: grant.Tenant})
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.issue.Code(t.Context(), w.client, issue.CodeRequest{Code: code, RedirectURI: "https://tripboard.example/cb", Issuer: grant.Tenant, Scope: x.redeem})
		if err != nil {
			t.Fatalf("%s: %v", x.name, err)
		}
		if a := claims(t, got.Access); a.Scp != "Read" || (a.SID == "") != x.offline {
			t.Errorf("%s: scp %q, sid %q", x.name, a.Scp, a.SID)
		}
		if (got.ID != "") != x.id || (got.Refresh != "") != x.offline {
			t.Errorf("%s: ID token %v, refresh token %v", x.name, got.ID != "", got.Refresh != "")
		}
		if x.id && idClaims(t, got.ID).Username != x.profile {
			t.Errorf("%s: user name %q", x.name, idClaims(t, got.ID).Username)
		}
		if x.offline {
			next, err := w.refresh(got.Refresh, x.redeem)
			if err != nil || next.ID == "" {
				t.Errorf("%s: refresh: %v", x.name, err)
			}
		}
	}
}

func idClaims(t *testing.T, token string) (id issue.IDToken) {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err == nil {
		err = json.Unmarshal(b, &id)
	}
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestDisableAndEnable(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		first := w.signIn()
		w.Disable(w.Ada)
		_, err := w.refresh(first.Refresh, "")
		var d *standing.Dead
		if !errors.As(err, &d) || !d.Has(standing.Disabled) || w.alive(first.Access) {
			t.Fatalf("disabled: %v", err)
		}
		w.Enable(w.Ada)
		if _, err := w.refresh(first.Refresh, ""); sub(err) != "invalid_grant/bad_token" || w.alive(first.Access) {
			t.Fatalf("enabling revived an old token: %v", err)
		}
		if tok := w.signIn(); !w.alive(tok.Access) {
			t.Fatal("a new sign-in does not work at once (trace 25)")
		}
	})
}

func TestClientCredentialsDieWithTheirSecretAndTheirIdentity(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		principal := storetest.Person("robot", w.Clock.Now())
		principal.Service = true
		app := &directory.App{ID: "robot", Object: directory.NewID[directory.App](w.Clock.Now()), Enabled: true, Principal: principal.ID,
			Secrets: []directory.AppSecret{{ID: "1", Hash: sum("s3cret")}, {ID: "2", Hash: sum("other")}}, AppPermissions: []directory.Permission{{Resource: "api://mail", Scopes: []string{"Mail.Send.All"}}}}
		w.Update(func(tx *store.Tx) error {
			if err := tx.CreateUser(principal); err != nil {
				return err
			}
			return tx.SaveApp(app)
		})
		get := func(secret string) (*issue.Tokens, error) {
			c, err := w.issue.Client(context.Background(), issue.Credentials{ID: "robot", Secret: secret})
			if err != nil {
				return nil, err
			}
			return w.issue.ClientCredentials(context.Background(), c, "api://mail/.default", nil, grant.Tenant, issue.Meta{})
		}
		tok, err := get("s3cret")
		if err != nil || !w.alive(tok.Access) {
			t.Fatal(err)
		}
		if a := claims(t, tok.Access); a.OID != principal.ID.String() || a.IDType != "app" || len(a.Roles) != 1 {
			t.Fatalf("claims %+v", a)
		}
		if _, err := get("wrong"); !fault.Is(err, fault.Unauthenticated) {
			t.Fatal(err)
		}
		w.Update(func(tx *store.Tx) error {
			next := *app
			next.Secrets = next.Secrets[1:]
			return tx.SaveApp(&next)
		})
		if w.alive(tok.Access) {
			t.Error("the token outlived the secret")
		}
		if _, err := get("s3cret"); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("the removed secret: %v", err)
		}
		tok, err = get("other")
		if err != nil {
			t.Fatal(err)
		}
		w.Disable(principal)
		if _, err := get("other"); err == nil || w.alive(tok.Access) {
			t.Error("a disabled service account gets tokens")
		}
	})
}

func TestDeviceCodeIsBornWhenApproved(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		ctx := context.Background()
		ask := func() *issue.DeviceCode {
			c, err := w.issue.Device(ctx, w.client, allScopes, nil, grant.Tenant, issue.Meta{})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		poll := func(c *issue.DeviceCode) (*issue.Tokens, error) {
			return w.issue.DevicePoll(ctx, w.client, c.Device, grant.Tenant, issue.Meta{})
		}
		c := ask()
		if _, err := poll(c); sub(err) != "authorization_pending/" {
			t.Fatal(err)
		}
		w.Revoke(w.Ada) // nobody's code: not hers yet
		s := w.Session(w.Ada)
		actor := directory.Actor{User: w.Ada.ID, Session: s.ID, Born: s.Born, Owner: s.Owner(), Kind: cutoff.Browser}
		if err := w.issue.DeviceDecide(ctx, actor, c.User, true); err != nil {
			t.Fatal(err)
		}
		if tok, err := poll(c); err != nil || !w.alive(tok.Access) {
			t.Fatalf("approved: %v", err)
		}
		c = ask()
		if err := w.issue.DeviceDecide(ctx, actor, c.User, true); err != nil {
			t.Fatal(err)
		}
		w.Revoke(w.Ada)
		if _, err := poll(c); sub(err) != "invalid_grant/bad_token" {
			t.Fatalf("approved before the revoke: %v", err)
		}
		if err := w.issue.DeviceDecide(ctx, actor, ask().User, true); err == nil {
			t.Fatal("a revoked session approved a code")
		}
	})
}

func TestIntrospectionAndRevocationByTheClient(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		ctx := context.Background()
		tok := w.signIn()
		in, err := w.issue.Introspect(ctx, w.client, tok.Access, issue.Meta{})
		if err != nil || !in.Active || in.Username != w.Ada.Name {
			t.Fatalf("%+v %v", in, err)
		}
		if in, _ := w.issue.Introspect(ctx, w.client, tok.Refresh, issue.Meta{}); !in.Active {
			t.Error("the refresh token is not active")
		}
		if err := w.issue.RevokeToken(ctx, w.client, tok.Refresh); err != nil {
			t.Fatal(err)
		}
		for _, x := range []string{tok.Access, tok.Refresh, "", "x.y.z"} {
			if in, err := w.issue.Introspect(ctx, w.client, x, issue.Meta{}); err != nil || in.Active {
				t.Errorf("%+v %v", in, err)
			}
		}
		if err := w.issue.RevokeToken(ctx, w.client, tok.Refresh); err != nil {
			t.Errorf("a second time is success: %v", err)
		}
		next := w.signIn()
		w.Clock.Add(time.Hour)
		if in, _ := w.issue.Introspect(ctx, w.client, next.Access, issue.Meta{}); in.Active {
			t.Error("expired and active")
		}
	})
}
