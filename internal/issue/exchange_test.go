package issue_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/keys"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// service registers a confidential client that stands in front of a resource and
// may ask for scopes of others. Ada has consented to what she is said to.
func (w *world) service(name string, guards []directory.ResourceID, may []directory.Permission, consented ...directory.Permission) *issue.Client {
	w.t.Helper()
	app := &directory.App{ID: directory.AppID(name), Object: directory.NewID[directory.App](w.Clock.Now()), Name: name, Enabled: true,
		Secrets: []directory.AppSecret{{ID: "1", Hash: sum("s3cret")}}, Guards: guards, Permissions: may}
	w.Update(func(tx *store.Tx) error {
		if err := tx.SaveApp(app); err != nil {
			return err
		}
		for _, p := range consented {
			if err := tx.SaveConsent(directory.Consent{User: w.Ada.ID, App: app.ID, Resource: p.Resource, Scopes: p.Scopes}); err != nil {
				return err
			}
		}
		return nil
	})
	return w.authenticate(issue.Credentials{ID: app.ID, Secret: "s3cret"})
}

func at(r directory.ResourceID, scopes ...string) directory.Permission {
	return directory.Permission{Resource: r, Scopes: scopes}
}

// mailService stands in front of api://mail and calls api://drive for people.
func (w *world) mailService() *issue.Client {
	return w.service("mail", []directory.ResourceID{"api://mail"}, []directory.Permission{at("api://drive", "Read", "Write")}, at("api://drive", "Read"))
}

// obo is Microsoft's form, with the scopes their libraries add.
func (w *world) obo(c *issue.Client, assertion, scope string) (*issue.Tokens, error) {
	return w.issue.OnBehalfOf(context.Background(), c, issue.OnBehalfOfRequest{Assertion: assertion, Use: "on_behalf_of", Scope: scope, Issuer: grant.Tenant})
}

const driveForMSAL = "api://drive/.default openid offline_access profile"

func (w *world) refreshAs(c *issue.Client, token, scope string) (*issue.Tokens, error) {
	return w.issue.Refresh(context.Background(), c, issue.RefreshRequest{Token: token, Scope: scope, Issuer: grant.Tenant, Arrived: w.Clock.Now()})
}

func (w *world) below(id directory.GrantID) (all []*grant.Grant) {
	w.t.Helper()
	w.Read(func(tx *store.Tx) (err error) { all, err = tx.GrantsBelow(id); return err })
	return all
}

func number(err error) int {
	var e *issue.Error
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

func TestAnExchangedTokenHangsFromTheOneItWasMadeFrom(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		mail := w.mailService()
		root := w.signIn()
		first, err := w.obo(mail, root.Access, driveForMSAL)
		if err != nil {
			t.Fatal(err)
		}
		a, r := claims(t, first.Access), claims(t, root.Access)
		if a.Audience != "api://drive" || a.Scp != "Read" || a.ClientID != "mail" || a.OID != w.Ada.ID.String() || a.Subject != r.Subject || a.SID != "" || a.AuthTime != r.AuthTime {
			t.Errorf("claims %+v", a)
		}
		if a.GID == r.GID || !slices.Equal(a.GIDs, []string{r.GID}) || a.Act == nil || a.Act.Subject != "mail" || a.Act.Before == nil || a.Act.Before.Subject != "tripboard" || a.Act.Before.Before != nil {
			t.Errorf("chain: gid %s, gids %v, act %+v", a.GID, a.GIDs, a.Act)
		}
		if first.Refresh == "" || first.ID != "" || first.Type != "" || first.Scope != driveForMSAL {
			t.Errorf("answer %+v", first)
		}
		// The standard's form, for another token of the same grant: the same row.
		w.Clock.Add(time.Minute)
		next, err := w.refresh(root.Refresh, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []issue.ExchangeRequest{
			{Resource: []string{"api://drive"}},
			{Audience: []string{"api://drive"}, RequestedType: issue.AccessTokenType},
			{Scope: "api://drive/Read"},
			{Scope: "Read", Resource: []string{"api://drive"}, Audience: []string{"api://drive"}},
		} {
			r.Subject, r.SubjectType, r.Issuer = next.Access, issue.AccessTokenType, grant.Tenant
			tok, err := w.issue.Exchange(context.Background(), mail, r)
			if err != nil {
				t.Fatalf("%+v: %v", r, err)
			}
			b := claims(t, tok.Access)
			if b.GID != a.GID || b.Scp != "Read" || b.Audience != "api://drive" || tok.Type != issue.AccessTokenType || tok.Refresh != "" {
				t.Errorf("%+v: gid %s, scp %s, type %s, refresh token %v", r, b.GID, b.Scp, tok.Type, tok.Refresh != "")
			}
		}
		if made := w.below(root.Grant); len(made) != 1 || made[0].App != "mail" || !made[0].Offline {
			t.Errorf("%d grants were made", len(made))
		}
		// Who asked for no refresh token has none that somebody could use.
		other := w.signIn()
		if _, err := w.obo(mail, other.Access, "api://drive/Read"); err != nil || w.below(other.Grant)[0].Offline {
			t.Errorf("without offline_access: %v", err)
		}
		if in, err := w.issue.Introspect(context.Background(), mail, first.Access, issue.Meta{}); err != nil || !in.Active || in.Act == nil || in.Act.Before.Subject != "tripboard" {
			t.Errorf("introspection %+v, %v", in, err)
		}
	})
}

// DESIGN §7 for a tree: what ends the root, or a branch, ends what hangs from it.
func TestOneRevocationCascades(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		ctx, operator := context.Background(), directory.Actor{Operator: true}
		mail := w.mailService()
		drive := w.service("drive", []directory.ResourceID{"api://drive"}, []directory.Permission{at("api://mail", "Read")}, at("api://mail", "Read"))
		id := func(tok *issue.Tokens) directory.GrantID { return tok.Grant }
		for name, c := range map[string]struct {
			end                      func(root, child *issue.Tokens) (revoke.Result, error)
			root, child, sub         bool // alive afterwards
			exchange                 bool // the root's token still makes something
			listed                   int  // access tokens in the receipt; -1: as many as there are users
			listedRoot, listedMiddle bool
		}{
			"the root's grant": {func(r, _ *issue.Tokens) (revoke.Result, error) {
				return w.revoke.Grant(ctx, operator, id(r), revoke.Options{})
			}, false, false, false, false, 3, true, true},
			"the grant in the middle": {func(_, c *issue.Tokens) (revoke.Result, error) {
				return w.revoke.Grant(ctx, operator, id(c), revoke.Options{})
			}, true, false, false, true, 2, false, true},
			"the person": {func(*issue.Tokens, *issue.Tokens) (revoke.Result, error) {
				return w.revoke.User(ctx, operator, w.Ada.ID, revoke.Options{})
			}, false, false, false, false, 3, true, true},
			"the person in the root's application": {func(*issue.Tokens, *issue.Tokens) (revoke.Result, error) {
				return w.revoke.UserApp(ctx, operator, w.Ada.ID, "tripboard", revoke.Options{})
			}, false, false, false, false, 3, true, true},
			"the person in the application in the middle": {func(*issue.Tokens, *issue.Tokens) (revoke.Result, error) {
				return w.revoke.UserApp(ctx, operator, w.Ada.ID, "mail", revoke.Options{})
			}, true, false, false, true, 2, false, true},
			"the application in the middle": {func(*issue.Tokens, *issue.Tokens) (revoke.Result, error) {
				return w.revoke.App(ctx, operator, "mail", revoke.Options{})
			}, true, false, false, true, -1, false, false},
			"the session of the root": {func(r, _ *issue.Tokens) (revoke.Result, error) {
				var session directory.SessionID
				w.Read(func(tx *store.Tx) error { g, err := tx.Grant(id(r)); session = g.Session; return err })
				return w.revoke.Session(ctx, operator, session, revoke.Options{})
			}, false, false, false, false, 3, true, true},
			"the refresh token of the root, given back": {func(r, _ *issue.Tokens) (revoke.Result, error) {
				return revoke.Result{}, w.issue.RevokeToken(ctx, w.client, r.Refresh)
			}, false, false, false, false, 0, false, false},
		} {
			root := w.signIn()
			child, err := w.obo(mail, root.Access, driveForMSAL)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			last, err := w.obo(drive, child.Access, "api://mail/.default offline_access")
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if a := claims(t, last.Access); len(a.GIDs) != 2 || a.Act.Before.Before.Subject != "tripboard" {
				t.Fatalf("%s: the chain of the last: %v", name, a.GIDs)
			}
			res, err := c.end(root, child)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, x := range []struct {
				what  string
				tok   *issue.Tokens
				as    *issue.Client
				alive bool
			}{{"root", root, w.client, c.root}, {"child", child, mail, c.child}, {"last", last, drive, c.sub}} {
				if got := w.alive(x.tok.Access); got != x.alive {
					t.Errorf("%s: access token of the %s: alive=%v", name, x.what, got)
				}
				if _, err := w.refreshAs(x.as, x.tok.Refresh, ""); (err == nil) != x.alive || err != nil && sub(err) != "invalid_grant/bad_token" {
					t.Errorf("%s: refresh of the %s: %v", name, x.what, err)
				}
			}
			if again, err := w.obo(mail, root.Access, driveForMSAL); (err == nil) != c.exchange {
				t.Errorf("%s: the root's access token once more: %v", name, err)
			} else if err == nil && (again.Grant == child.Grant || !w.alive(again.Access) || w.alive(child.Access)) {
				t.Errorf("%s: what was made before came back", name)
			}
			switch r := res.Receipt; {
			case r == nil || r.Rest == nil:
				if c.listed != 0 {
					t.Errorf("%s: no receipt", name)
				}
			case c.listed < 0:
				if r.Rest.More == 0 {
					t.Errorf("%s: receipt %+v", name, r.Rest)
				}
			default:
				n := 0
				for _, o := range r.Rest.Tokens {
					n += o.Count
				}
				has := func(app directory.AppID) bool {
					return slices.ContainsFunc(r.Rest.Tokens, func(o store.OutstandingAt) bool { return o.App == app })
				}
				if n < c.listed || has("tripboard") != c.listedRoot || has("mail") != c.listedMiddle || !has("drive") {
					t.Errorf("%s: the receipt lists %+v", name, r.Rest.Tokens)
				}
			}
		}
	})
}

func TestNoChildOutlivesItsRoot(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		t.Run("the absolute end", func(t *testing.T) {
			w := newWorld(t, e, store.Hooks{})
			app := *w.App
			app.GrantAbsolute = 2 * time.Hour
			w.Update(func(tx *store.Tx) error { return tx.SaveApp(&app) })
			w.client = w.authenticate(issue.Credentials{ID: "tripboard"})
			mail := w.mailService()
			root := w.signIn()
			end := w.Clock.Now().Add(2 * time.Hour)
			if root.RefreshExpiresIn != 2*time.Hour {
				t.Errorf("the root is said to end in %s", root.RefreshExpiresIn)
			}
			w.Clock.Add(50 * time.Minute)
			child, err := w.obo(mail, root.Access, driveForMSAL)
			if err != nil || child.RefreshExpiresIn != 70*time.Minute {
				t.Fatalf("ends in %s, %v", child.RefreshExpiresIn, err)
			}
			if made := w.below(root.Grant); !made[0].End.Equal(end) {
				t.Errorf("the row ends at %s", made[0].End)
			}
			w.Clock.Add(40 * time.Minute)
			child, err = w.refreshAs(mail, child.Refresh, "")
			if err != nil || child.ExpiresIn != 30*time.Minute || claims(t, child.Access).Expires != end.Unix() {
				t.Fatalf("a token that ends in %s, %v", child.ExpiresIn, err)
			}
			w.Clock.Add(30 * time.Minute)
			if _, err := w.refreshAs(mail, child.Refresh, ""); number(err) != 700084 {
				t.Errorf("after the root's end: %v (%d)", err, number(err))
			}
		})
		t.Run("the root is not used", func(t *testing.T) {
			w := newWorld(t, e, store.Hooks{})
			mail := w.mailService()
			root := w.signIn()
			child, err := w.obo(mail, root.Access, driveForMSAL)
			if err != nil {
				t.Fatal(err)
			}
			idle := grant.DefaultLifetimes().GrantIdle
			for range 2 { // the child's use is not the root's
				w.Clock.Add(idle / 2)
				if _, err = w.refreshAs(mail, child.Refresh, ""); err != nil {
					break
				}
			}
			if number(err) != 700082 || sub(err) != "invalid_grant/bad_token" {
				t.Errorf("after the root was idle: %v", err)
			}
		})
		t.Run("the root's last hour", func(t *testing.T) {
			w := newWorld(t, e, store.Hooks{})
			mail := w.mailService()
			root := w.signIn()
			child, err := w.obo(mail, root.Access, driveForMSAL)
			if err != nil {
				t.Fatal(err)
			}
			w.Clock.Add(grant.DefaultLifetimes().GrantIdle - 20*time.Minute)
			if child, err = w.refreshAs(mail, child.Refresh, ""); err != nil || child.ExpiresIn != 20*time.Minute || child.RefreshExpiresIn != 20*time.Minute {
				t.Errorf("a token that ends in %s, %v", child.ExpiresIn, err)
			}
		})
		t.Run("the last minutes of the root's session", func(t *testing.T) {
			w := newWorld(t, e, store.Hooks{})
			mail := w.mailService()
			s := w.Session(w.Ada)
			w.Clock.Add(grant.DefaultLifetimes().SessionIdle - 10*time.Minute)
			code, err := w.code(s, "openid api://mail/Read")
			if err != nil {
				t.Fatal(err)
			}
			root, err := w.redeem(code)
			if err != nil {
				t.Fatal(err)
			}
			if child, err := w.obo(mail, root.Access, driveForMSAL); err != nil || child.ExpiresIn != 10*time.Minute || child.RefreshExpiresIn != 10*time.Minute {
				t.Errorf("a token that ends in %s, its grant in %s, %v", child.ExpiresIn, child.RefreshExpiresIn, err)
			}
		})
		t.Run("the root's session", func(t *testing.T) {
			for name, end := range map[string]func(*world, *grant.Session){
				"signed out": func(w *world, s *grant.Session) {
					if _, err := w.revoke.SignOut(context.Background(), s.ID); err != nil {
						t.Fatal(err)
					}
				},
				"idle":     func(w *world, _ *grant.Session) { w.Clock.Add(grant.DefaultLifetimes().SessionIdle) },
				"row gone": func(w *world, s *grant.Session) { w.Update(func(tx *store.Tx) error { return tx.DeleteSession(s.ID) }) },
			} {
				w := newWorld(t, e, store.Hooks{})
				mail := w.mailService()
				s := w.Session(w.Ada)
				code, err := w.code(s, "openid api://mail/Read") // no offline_access
				if err != nil {
					t.Fatal(err)
				}
				root, err := w.redeem(code)
				if err != nil {
					t.Fatal(err)
				}
				child, err := w.obo(mail, root.Access, driveForMSAL)
				if err != nil {
					t.Fatal(err)
				}
				if a := claims(t, child.Access); a.SID != s.ID.String() || child.Refresh == "" {
					t.Errorf("%s: sid %q", name, a.SID)
				}
				if _, err := w.refreshAs(mail, child.Refresh, ""); err != nil {
					t.Errorf("%s: while the session lives: %v", name, err)
				}
				end(w, s)
				if _, err := w.refreshAs(mail, child.Refresh, ""); sub(err) != "invalid_grant/bad_token" {
					t.Errorf("%s: %v", name, err)
				}
				if _, err := w.obo(mail, root.Access, driveForMSAL); err == nil {
					t.Errorf("%s: the root's access token makes a new one", name)
				}
			}
		})
	})
}

// Everything here is presented by somebody who authenticated well. Nothing is
// stored, nothing is handed out.
func TestWhatMayNotBeExchanged(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		ctx := context.Background()
		mail := w.mailService()
		drive := w.service("drive", []directory.ResourceID{"api://drive"}, []directory.Permission{at("api://mail", "Read")}, at("api://mail", "Read"))
		loop := w.service("loop", []directory.ResourceID{"api://mail", "api://drive", directory.OwnAPI}, []directory.Permission{at("api://mail", "Read")}, at("api://mail", "Read"))
		root := w.signIn()
		forDrive, err := w.refresh(root.Refresh, "api://drive/Read")
		if err != nil {
			t.Fatal(err)
		}
		forOwn, err := w.refresh(forDrive.Refresh, "openid profile "+directory.GraphAlias+"/openid")
		if err != nil {
			t.Fatal(err)
		}
		robot := storetest.Person("robot", w.Clock.Now())
		robot.Service = true
		w.Update(func(tx *store.Tx) error {
			if err := tx.CreateUser(robot); err != nil {
				return err
			}
			return tx.SaveApp(&directory.App{ID: "robot", Object: directory.NewID[directory.App](w.Clock.Now()), Enabled: true, Principal: robot.ID,
				Secrets: []directory.AppSecret{{ID: "1", Hash: sum("s3cret")}}, AppPermissions: []directory.Permission{at("api://mail", "Mail.Send.All")}})
		})
		appOnly, err := w.issue.ClientCredentials(ctx, w.authenticate(issue.Credentials{ID: "robot", Secret: "s3cret"}), "api://mail/.default", nil, grant.Tenant, issue.Meta{})
		if err != nil {
			t.Fatal(err)
		}
		forged := func(old, new string) string {
			parts := strings.Split(root.Access, ".")
			b, err := base64.RawURLEncoding.DecodeString(parts[1])
			if err != nil || !strings.Contains(string(b), old) {
				t.Fatalf("%s is not in %s", old, b)
			}
			parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(b), old, new, 1)))
			return strings.Join(parts, ".")
		}
		deep := root.Access
		for range cutoff.MaxChain {
			tok, err := w.obo(loop, deep, "api://mail/Read")
			if err != nil {
				t.Fatal(err)
			}
			deep = tok.Access
		}
		short, err := w.refresh(forOwn.Refresh, "")
		if err != nil {
			t.Fatal(err)
		}
		dead := w.signIn()
		if _, err := w.revoke.Grant(ctx, directory.Actor{Operator: true}, dead.Grant, revoke.Options{}); err != nil {
			t.Fatal(err)
		}

		before, _ := w.DB.View().Head()
		rows := len(w.below(root.Grant))
		for name, c := range map[string]struct {
			as      *issue.Client
			subject string
			scope   string
			code    string // by Microsoft's form
			number  int
			kept    bool // the same code by the standard's form
		}{
			"a token made for another resource":      {mail, forDrive.Access, driveForMSAL, "invalid_grant/", 500131, false},
			"a token made for our own API":           {loop, forOwn.Access, "api://mail/Read", "invalid_grant/", 500131, false},
			"somebody else's token for their API":    {drive, root.Access, "api://mail/Read", "invalid_grant/", 500131, false},
			"a public client":                        {w.client, root.Access, driveForMSAL, "unauthorized_client/", 7000218, true},
			"an ID token":                            {mail, root.ID, driveForMSAL, "invalid_grant/", 50013, false},
			"a refresh token":                        {mail, root.Refresh, driveForMSAL, "invalid_grant/", 50013, false},
			"an application's own token":             {mail, appOnly.Access, driveForMSAL, "unauthorized_client/", 7000114, true},
			"nothing":                                {mail, "", driveForMSAL, "invalid_grant/", 50013, false},
			"not a token":                            {mail, "a.b.c", driveForMSAL, "invalid_grant/", 50013, false},
			"another person written into it":         {mail, forged(w.Ada.ID.String(), w.Grace.ID.String()), driveForMSAL, "invalid_grant/", 50013, false},
			"an act of the caller's own making":      {mail, forged(`"gid"`, `"act":{"sub":"tripboard"},"gid"`), driveForMSAL, "invalid_grant/", 50013, false},
			"a chain that is as long as may be":      {loop, deep, "api://mail/Read", "invalid_grant/", 50013, false},
			"a token whose grant was revoked":        {mail, dead.Access, driveForMSAL, "invalid_grant/bad_token", 50173, false},
			"no resource":                            {mail, short.Access, "openid offline_access", "invalid_target/", 70011, true},
			"no scope at all":                        {mail, short.Access, "", "invalid_scope/", 70011, true},
			"a resource that is not there":           {mail, short.Access, "api://nowhere/Read", "invalid_scope/", 500011, true},
			"a scope it is not registered for":       {mail, short.Access, "api://mail/Write", "invalid_scope/", 70011, true},
			"a resource it is not registered for":    {mail, short.Access, "api://mail/.default", "invalid_scope/", 650057, true},
			"a scope that nobody consented to":       {mail, short.Access, "api://drive/Write", "invalid_grant/consent_required", 65001, true},
			"more than consent, one scope of two":    {mail, short.Access, "api://drive/Read api://drive/Write", "invalid_grant/consent_required", 65001, true},
			"the owner's right, which is not theirs": {drive, forDrive.Access, "api://drive/Read", "invalid_scope/", 70011, true},
		} {
			_, err := w.obo(c.as, c.subject, c.scope)
			if sub(err) != c.code || number(err) != c.number {
				t.Errorf("%s: %v (%s, %d), want %s, %d", name, err, sub(err), number(err), c.code, c.number)
			}
			_, err = w.issue.Exchange(ctx, c.as, issue.ExchangeRequest{Subject: c.subject, SubjectType: issue.AccessTokenType, Scope: c.scope, Issuer: grant.Tenant})
			want := c.code
			if _, s, _ := strings.Cut(c.code, "/"); !c.kept {
				want = "invalid_request/" + s
			}
			if sub(err) != want || number(err) != c.number {
				t.Errorf("%s, by the standard: %v (%s, %d), want %s, %d", name, err, sub(err), number(err), want, c.number)
			}
		}
		for name, r := range map[string]issue.ExchangeRequest{
			"an actor token":                 {SubjectType: issue.AccessTokenType, Actor: root.Access, ActorType: issue.AccessTokenType},
			"an actor's type alone":          {SubjectType: issue.AccessTokenType, ActorType: issue.AccessTokenType},
			"no type":                        {},
			"an ID token by its type":        {SubjectType: "urn:ietf:params:oauth:token-type:id_token"},
			"a refresh token is asked for":   {SubjectType: issue.AccessTokenType, RequestedType: "urn:ietf:params:oauth:token-type:refresh_token"},
			"an unknown type is asked for":   {SubjectType: issue.AccessTokenType, RequestedType: "x"},
			"two audiences that are not one": {SubjectType: issue.AccessTokenType, Audience: []string{"api://drive", "api://mail"}},
		} {
			r.Subject, r.Issuer = short.Access, grant.Tenant
			if len(r.Audience) == 0 {
				r.Scope = "api://drive/Read"
			}
			want := "invalid_request/"
			if len(r.Audience) > 0 {
				want = "invalid_target/"
			}
			if _, err := w.issue.Exchange(ctx, mail, r); sub(err) != want {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, use := range []string{"", "on_behalf_of ", "something"} {
			if _, err := w.issue.OnBehalfOf(ctx, mail, issue.OnBehalfOfRequest{Assertion: short.Access, Use: use, Scope: driveForMSAL, Issuer: grant.Tenant}); sub(err) != "invalid_request/" {
				t.Errorf("use %q: %v", use, err)
			}
		}
		if _, err := w.issue.OnBehalfOf(ctx, mail, issue.OnBehalfOfRequest{Assertion: short.Access, Use: "on_behalf_of", Scope: driveForMSAL, Issuer: grant.Plain}); sub(err) != "invalid_grant/" || number(err) != 50013 {
			t.Errorf("at the other issuer: %v", err)
		}
		w.Clock.Add(time.Hour)
		if _, err := w.obo(mail, short.Access, driveForMSAL); sub(err) != "invalid_grant/" || number(err) != 500133 {
			t.Errorf("an expired token: %v", err)
		}
		if head, _ := w.DB.View().Head(); head != before || len(w.below(root.Grant)) != rows {
			t.Errorf("something was stored: %d lines, %d grants", head-before, len(w.below(root.Grant))-rows)
		}
	})
}

func TestAnExchangeGivesNeverMoreThanConsent(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		w.Update(func(tx *store.Tx) error {
			return tx.SaveResource(&directory.Resource{ID: "api://drive", Name: "drive", Scopes: []directory.Scope{{Name: "Read"}, {Name: "Write"}, {Name: "Share"}}})
		})
		all := []directory.Permission{at("api://drive", "Read", "Write", "Share")}
		mail := w.service("mail", []directory.ResourceID{"api://mail"}, all, at("api://drive", "Read"), at(directory.OwnAPI, "openid", "profile"))
		root := w.signIn()
		tok, err := w.obo(mail, root.Access, driveForMSAL)
		if err != nil || claims(t, tok.Access).Scp != "Read" || tok.ID == "" {
			t.Fatalf("%+v, %v", tok, err)
		}
		// The administrators' consent is everybody's.
		w.Update(func(tx *store.Tx) error {
			return tx.SaveConsent(directory.Consent{App: "mail", Resource: "api://drive", Scopes: []string{"Write"}})
		})
		more, err := w.obo(mail, root.Access, driveForMSAL)
		if err != nil || claims(t, more.Access).Scp != "Read Write" || more.Grant != tok.Grant {
			t.Fatalf("%v", err)
		}
		if _, err := w.refreshAs(mail, more.Refresh, "api://drive/Share"); sub(err) != "invalid_grant/consent_required" {
			t.Errorf("a refresh for more than was consented to: %v", err)
		}
		if less, err := w.refreshAs(mail, more.Refresh, "api://drive/Write"); err != nil || claims(t, less.Access).Scp != "Write" || less.Refresh != more.Refresh {
			t.Errorf("a refresh for less: %v", err)
		}
		w.Update(func(tx *store.Tx) error { return tx.WithdrawConsent(w.Ada.ID, "mail") })
		if w.alive(more.Access) || !w.alive(root.Access) {
			t.Error("withdrawn consent ends what the service holds, and no more")
		}
		again, err := w.obo(mail, root.Access, driveForMSAL)
		if err != nil || claims(t, again.Access).Scp != "Write" || again.Grant == more.Grant {
			t.Errorf("after the person withdrew hers: %v", err)
		}
		w.Update(func(tx *store.Tx) error { return tx.WithdrawConsent(directory.UserID{}, "mail") })
		if _, err := w.obo(mail, root.Access, driveForMSAL); sub(err) != "invalid_grant/consent_required" {
			t.Errorf("nobody's consent is left: %v", err)
		}
		first := *mail.App
		first.FirstParty = true
		w.Update(func(tx *store.Tx) error { return tx.SaveApp(&first) })
		mail = w.authenticate(issue.Credentials{ID: "mail", Secret: "s3cret"})
		if own, err := w.obo(mail, root.Access, driveForMSAL); err != nil || claims(t, own.Access).Scp != "Read Write Share" {
			t.Errorf("a first-party service needs no consent: %v", err)
		}
	})
}

// A service keeps a refresh token for each token it exchanged, and uses them at
// once and in any order.
func TestWhatWasMadeFromAnotherGrantIsNotLostByConcurrentUse(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		mail := w.mailService()
		root := w.signIn()
		var mu sync.Mutex
		var held []string
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				tok, err := w.obo(mail, root.Access, driveForMSAL)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				held = append(held, tok.Refresh)
				mu.Unlock()
			})
		}
		wg.Wait()
		if made := w.below(root.Grant); len(made) != 1 {
			t.Errorf("%d grants were made at once", len(made))
		}
		for range 3 {
			w.Clock.Add(time.Hour) // far beyond any retry
			for _, token := range held {
				wg.Go(func() {
					tok, err := w.refreshAs(mail, token, "")
					if err != nil || tok.Refresh != token || tok.Outcome != grant.Renewed {
						t.Errorf("%v", err)
					}
				})
			}
			wg.Wait()
		}
		if _, err := w.refreshAs(w.client, held[0], ""); sub(err) != "invalid_grant/bad_token" {
			t.Errorf("in another client's hands: %v", err)
		}
	})
}

// Two requests for the first exchange of a grant come at once. On SQLite there is
// one writer, so the second could only wait.
func TestTwoFirstExchangesAtOnceMakeOneRow(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		if !e.Postgres {
			return
		}
		var w *world
		var second func()
		w = newWorld(t, e, store.Hooks{Exec: func(q string) error {
			if f := second; f != nil && strings.HasPrefix(q, "INSERT INTO grants") {
				second = nil
				f()
			}
			return nil
		}})
		mail := w.mailService()
		root := w.signIn()
		second = func() { // while the first one's row is written and not committed
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			defer cancel()
			_, err := w.issue.OnBehalfOf(ctx, mail, issue.OnBehalfOfRequest{Assertion: root.Access, Use: "on_behalf_of", Scope: driveForMSAL, Issuer: grant.Tenant})
			if !fault.Is(err, fault.Unavailable) {
				t.Errorf("the second did not wait: %v", err)
			}
		}
		if _, err := w.obo(mail, root.Access, driveForMSAL); err != nil {
			t.Fatal(err)
		}
		if made := w.below(root.Grant); len(made) != 1 {
			t.Errorf("%d grants were made", len(made))
		}
	})
}

// Who holds a signing key can write any claims. What does not fit the rows, the
// ledger or itself is refused, and so is everything once the key is dropped.
func TestATokenThatOnlyItsSignatureSpeaksFor(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		ctx := context.Background()
		mail := w.mailService()
		root, other := w.signIn(), w.signIn()
		head, _ := w.DB.View().Head()
		sign := func(change func(*issue.Access)) string {
			a := claims(t, root.Access)
			change(a)
			b, err := json.Marshal(a)
			if err != nil {
				t.Fatal(err)
			}
			token, err := w.issue.Keys.Sign(ctx, keys.AccessToken, "", b)
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		for name, change := range map[string]func(*issue.Access){
			"born after the newest line":   func(a *issue.Access) { a.Born = head + 1 },
			"another person's":             func(a *issue.Access) { a.OID = w.Grace.ID.String() },
			"another application's":        func(a *issue.Access) { a.ClientID = "mail" },
			"of no grant":                  func(a *issue.Access) { a.GID = other.Grant.String()[:35] + "x" },
			"of a grant that is not there": func(a *issue.Access) { a.GID = w.Ada.ID.String() },
			"a chain that its row has not": func(a *issue.Access) { a.GIDs, a.Act = []string{other.Grant.String()}, acts("tripboard", "web") },
		} {
			if _, err := w.obo(mail, sign(change), driveForMSAL); !strings.HasPrefix(sub(err), "invalid_grant/") {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, change := range map[string]func(*issue.Access){
			"ancestors without actors":   func(a *issue.Access) { a.GIDs = []string{"a"} },
			"actors without ancestors":   func(a *issue.Access) { a.Act = acts("tripboard", "web") },
			"a single actor":             func(a *issue.Access) { a.Act = acts("tripboard") },
			"too few actors":             func(a *issue.Access) { a.GIDs, a.Act = []string{"a", "b"}, acts("tripboard", "web") },
			"too many actors":            func(a *issue.Access) { a.GIDs, a.Act = []string{"a"}, acts("tripboard", "web", "phone") },
			"somebody else acts":         func(a *issue.Access) { a.GIDs, a.Act = []string{"a"}, acts("mallory", "web") },
			"an actor without a name":    func(a *issue.Access) { a.GIDs, a.Act = []string{"a"}, acts("tripboard", "") },
			"an ancestor without a name": func(a *issue.Access) { a.GIDs, a.Act = []string{""}, acts("tripboard", "web") },
			"more ancestors than there are": func(a *issue.Access) {
				a.GIDs, a.Act = []string{"1", "2", "3", "4", "5"}, acts("tripboard", "1", "2", "3", "4", "5")
			},
		} {
			token := sign(change)
			if _, err := w.obo(mail, token, driveForMSAL); sub(err) != "invalid_grant/" {
				t.Errorf("%s: %v", name, err)
			}
			if in, err := w.issue.Introspect(ctx, mail, token, issue.Meta{}); err != nil || in.Active {
				t.Errorf("%s: introspection says active, %v", name, err)
			}
		}
		chained := sign(func(a *issue.Access) {
			a.GIDs, a.Act = []string{"1", "2", "3", "4"}, acts("tripboard", "1", "2", "3", "4")
		})
		if in, err := w.issue.Introspect(ctx, mail, chained, issue.Meta{}); err != nil || !in.Active {
			t.Errorf("the longest chain: %+v, %v", in, err)
		}
		if _, err := w.obo(mail, root.Access, driveForMSAL); err != nil {
			t.Errorf("as it is: %v", err)
		}
		fresh, err := w.issue.Keys.Make(directory.ES256)
		if err != nil {
			t.Fatal(err)
		}
		w.Update(func(tx *store.Tx) error { return w.issue.Keys.Drop(tx, fresh, []string{directory.ES256}) })
		if _, err := w.obo(mail, root.Access, driveForMSAL); sub(err) != "invalid_grant/" || number(err) != 50013 {
			t.Errorf("after its key was dropped: %v", err)
		}
	})
}

func acts(apps ...string) *issue.Acting {
	if len(apps) == 0 {
		return nil
	}
	return &issue.Acting{Subject: apps[0], Before: acts(apps[1:]...)}
}
