// Package standard_test runs go-oidc and x/oauth2, as any application uses them
// that knows nothing of curfew.
package standard_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/curfew-id/curfew/e2e/clients/world"
)

func TestMain(m *testing.M) { world.Main(m) }

// cp1 says that claims challenges are understood.
const cp1 = `{"access_token":{"xms_cc":{"values":["cp1"]}}}`

// app is a web application.
type app struct {
	t        *testing.T
	w        *world.World
	ctx      context.Context
	provider *oidc.Provider
	conf     oauth2.Config
}

func discover(t *testing.T, w *world.World, issuer string) *app {
	t.Helper()
	a := &app{t: t, w: w, ctx: oidc.ClientContext(t.Context(), w.Client)}
	var err error
	if a.provider, err = oidc.NewProvider(a.ctx, issuer); err != nil {
		t.Fatal(err)
	}
	a.conf = oauth2.Config{ClientID: world.Site, ClientSecret: world.Secret, Endpoint: a.provider.Endpoint(), RedirectURL: world.SiteURL,
		Scopes: []string{oidc.ScopeOpenID, "profile", "email", oidc.ScopeOfflineAccess, world.MailRead}}
	return a
}

// signIn goes through the browser to tokens and verifies them.
func (a *app) signIn(b *world.Browser, more ...oauth2.AuthCodeOption) *oauth2.Token {
	a.t.Helper()
	state, nonce, verifier := rand.Text(), rand.Text(), oauth2.GenerateVerifier()
	end := b.Visit(a.t, a.conf.AuthCodeURL(state, append(more, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier))...))
	if end.Value("state") != state || end.Value("code") == "" {
		a.t.Fatalf("back with %s", end.URL)
	}
	tok, err := a.conf.Exchange(a.ctx, end.Value("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		a.t.Fatal(err)
	}
	if id := a.verify(tok); id.Nonce != nonce {
		a.t.Fatalf("nonce %q, want %q", id.Nonce, nonce)
	}
	return tok
}

func (a *app) verify(tok *oauth2.Token) *oidc.IDToken {
	a.t.Helper()
	raw, _ := tok.Extra("id_token").(string)
	id, err := a.provider.Verifier(&oidc.Config{ClientID: a.conf.ClientID}).Verify(a.ctx, raw)
	if err != nil {
		a.t.Fatal(err)
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(tok.AccessToken); err != nil {
			a.t.Fatal(err)
		}
	}
	return id
}

// renew spends the refresh token.
func (a *app) renew(tok *oauth2.Token) (*oauth2.Token, error) {
	old := *tok
	old.Expiry = time.Now().Add(-time.Hour)
	return a.conf.TokenSource(a.ctx, &old).Token()
}

func (a *app) refused(tok *oauth2.Token) {
	a.t.Helper()
	_, err := a.renew(tok)
	var e *oauth2.RetrieveError
	if !errors.As(err, &e) || e.ErrorCode != "invalid_grant" || e.Response.StatusCode != http.StatusBadRequest || !strings.Contains(string(e.Body), `"suberror":"bad_token"`) {
		a.t.Fatalf("a revoked refresh token: %v", err)
	}
}

func TestStandardClient(t *testing.T) {
	t.Parallel()
	w := world.Start(t)
	admin := w.Admin(t)
	for name, issuer := range map[string]string{"plain issuer": w.Base, "tenant issuer": w.Issuer} {
		t.Run(name, func(t *testing.T) {
			a := discover(t, w, issuer)
			b := w.Browser(t, world.Ada)
			tok := a.signIn(b)
			var who struct {
				Name string `json:"name"`
				User string `json:"preferred_username"`
			}
			if err := a.verify(tok).Claims(&who); err != nil || who.Name != "Ada Lovelace" || who.User != world.Ada {
				t.Fatalf("ID token says %+v (%v)", who, err)
			}
			w.MailOpen(t, tok.AccessToken)
			// An access token is for one resource: userinfo wants one that was
			// asked for without another.
			plain := discover(t, w, issuer)
			plain.conf.Scopes = []string{oidc.ScopeOpenID, "profile", "email"}
			profile := plain.signIn(b)
			info, err := a.provider.UserInfo(a.ctx, oauth2.StaticTokenSource(profile))
			if err != nil || info.Subject != a.verify(tok).Subject {
				t.Fatalf("userinfo: %+v %v", info, err)
			}
			next, err := a.renew(tok)
			if err != nil || next.AccessToken == tok.AccessToken {
				t.Fatalf("renewed: %v", err)
			}
			w.MailOpen(t, next.AccessToken)
			w.MailOpen(t, tok.AccessToken) // a renewal ends nothing

			// The browser is still signed in: no page is shown.
			if again := a.signIn(b, oauth2.SetAuthURLParam("prompt", "none")); again.AccessToken == "" || b.Asked != 1 {
				t.Fatalf("%d passwords were asked for, want 1", b.Asked)
			}
			aware := a.signIn(b, oauth2.SetAuthURLParam("claims", cp1))

			asked := b.Asked
			fresh := w.SameSecond(t, admin, world.Ada, func() string {
				b := w.Browser(t, world.Ada)
				return a.signIn(b).AccessToken
			})
			for _, dead := range []*oauth2.Token{tok, next} {
				if c := w.MailShut(t, dead.AccessToken); !strings.Contains(c, `error="invalid_token"`) {
					t.Errorf("a client that did not say that it understands challenges got %s", c)
				}
				a.refused(dead)
			}
			if _, err := a.provider.UserInfo(a.ctx, oauth2.StaticTokenSource(profile)); err == nil {
				t.Error("userinfo answers a revoked token")
			}
			claims := world.Claims(t, w.MailShut(t, aware.AccessToken))
			a.refused(aware)

			// What the challenge asks for goes into a new sign-in. The old
			// browser's cookie is dead too.
			end := b.Visit(t, a.conf.AuthCodeURL("s", oauth2.SetAuthURLParam("prompt", "none")))
			if end.Value("error") != "login_required" {
				t.Fatalf("prompt=none after a revoke: %s", end.URL)
			}
			back := a.signIn(b, oauth2.SetAuthURLParam("claims", claims))
			if b.Asked != asked+1 {
				t.Errorf("%d passwords were asked for, want one more than %d", b.Asked, asked)
			}
			w.MailOpen(t, back.AccessToken)
			w.MailOpen(t, fresh)
			w.MailShut(t, tok.AccessToken)
			a.refused(next)
		})
	}
}

// A confidential client of another publisher asks for consent once.
func TestConsentIsAskedForOnce(t *testing.T) {
	t.Parallel()
	w := world.Start(t)
	a := discover(t, w, w.Base)
	b := w.Browser(t, world.Ada)
	a.signIn(b)
	if b.Agreed != 1 {
		t.Fatalf("consent was asked for %d times, want 1", b.Agreed)
	}
	a.signIn(b)
	if b.Agreed != 1 {
		t.Fatalf("consent was asked for %d times, want 1", b.Agreed)
	}
}

func TestDeviceFlow(t *testing.T) {
	t.Parallel()
	w := world.Start(t)
	a := discover(t, w, w.Base)
	a.conf = oauth2.Config{ClientID: world.Native, Endpoint: a.provider.Endpoint(), Scopes: []string{oidc.ScopeOpenID, oidc.ScopeOfflineAccess, world.MailRead}}
	signIn := func(more ...oauth2.AuthCodeOption) *oauth2.Token {
		t.Helper()
		code, err := a.conf.DeviceAuth(a.ctx, more...)
		if err != nil {
			t.Fatal(err)
		}
		code.Interval = 1 // else every sign-in takes five seconds
		w.Browser(t, world.Ada).Device(t, code.VerificationURI, code.UserCode)
		tok, err := a.conf.DeviceAccessToken(a.ctx, code)
		if err != nil {
			t.Fatal(err)
		}
		w.MailOpen(t, tok.AccessToken)
		return tok
	}
	tok := signIn(oauth2.SetAuthURLParam("claims", cp1))
	next, err := a.renew(tok)
	if err != nil {
		t.Fatal(err)
	}
	w.MailOpen(t, next.AccessToken)
	w.Revoke(t, w.Admin(t), world.Ada)
	claims := world.Claims(t, w.MailShut(t, tok.AccessToken))
	w.MailShut(t, next.AccessToken)
	a.refused(next)
	back := signIn(oauth2.SetAuthURLParam("claims", claims))
	w.MailShut(t, tok.AccessToken)
	w.MailOpen(t, back.AccessToken)
}

func TestClientCredentials(t *testing.T) {
	t.Parallel()
	w := world.Start(t)
	a, admin := discover(t, w, w.Base), w.Admin(t)
	for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleAutoDetect, oauth2.AuthStyleInParams, oauth2.AuthStyleInHeader} {
		conf := clientcredentials.Config{ClientID: world.Robot, ClientSecret: world.RobotPass, TokenURL: a.provider.Endpoint().TokenURL, Scopes: []string{world.Audience + "/.default"}, AuthStyle: style}
		tok, err := conf.Token(a.ctx)
		if err != nil {
			t.Fatal(err)
		}
		w.MailOpen(t, tok.AccessToken)
		w.RevokeApp(t, admin, world.Robot)
		w.MailShut(t, tok.AccessToken)
		next, err := conf.Token(a.ctx)
		if err != nil {
			t.Fatal(err)
		}
		w.MailOpen(t, next.AccessToken)
		w.MailShut(t, tok.AccessToken)
		conf.ClientSecret = "another-secret-of-the-right-length"
		if _, err := conf.Token(a.ctx); err == nil {
			t.Error("a wrong secret gets a token")
		}
	}
}
