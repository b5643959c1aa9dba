// Package msal_test runs MSAL Go.
package msal_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	msalerrors "github.com/AzureAD/microsoft-authentication-library-for-go/apps/errors"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"

	"github.com/curfew-id/curfew/e2e/clients/world"
)

func TestMain(m *testing.M) { world.Main(m) }

var (
	mail  = []string{world.MailRead}
	graph = []string{"https://graph.microsoft.com/.default"}
	cp1   = []string{"CP1"}
)

func desk(t *testing.T, w *world.World, capabilities []string) public.Client {
	t.Helper()
	return deskAt(t, w, w.Tenant, capabilities)
}

func deskAt(t *testing.T, w *world.World, authority string, capabilities []string) public.Client {
	t.Helper()
	c, err := public.New(world.Native, public.WithAuthority(authority), public.WithInstanceDiscovery(false), public.WithHTTPClient(w.Client), public.WithClientCapabilities(capabilities))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// opens is a browser as MSAL opens one.
func opens(t *testing.T, b *world.Browser) interface {
	public.AcquireInteractiveOption
} {
	return public.WithOpenURL(func(addr string) error { b.Visit(t, addr); return nil })
}

// dead checks that an error is the answer to a revoked grant.
func dead(t *testing.T, err error) {
	t.Helper()
	var call msalerrors.CallErr
	if !errors.As(err, &call) {
		t.Fatalf("a revoked refresh token: %v", err)
	}
	body, _ := io.ReadAll(call.Resp.Body)
	var said struct {
		Error string `json:"error"`
		Sub   string `json:"suberror"`
		Codes []int  `json:"error_codes"`
	}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &said); err != nil {
			t.Fatal(err)
		}
		if said.Error != "invalid_grant" || said.Sub != "bad_token" || !slices.Contains(said.Codes, 50173) {
			t.Errorf("the answer is %s", body)
		}
	}
	if call.Resp.StatusCode != http.StatusBadRequest || !strings.Contains(err.Error(), "invalid_grant") || !strings.Contains(err.Error(), "50173") {
		t.Errorf("a revoked refresh token: %d %v", call.Resp.StatusCode, err)
	}
}

func TestPublicClient(t *testing.T) {
	t.Parallel()
	w := world.Start(t)
	admin := w.Admin(t)
	ctx := bounded(t)
	c := desk(t, w, cp1)
	b := w.Browser(t, world.Ada)
	first, err := c.AcquireTokenInteractive(ctx, mail, opens(t, b))
	if err != nil {
		t.Fatal(err)
	}
	if first.Account.PreferredUsername != world.Ada || first.Account.HomeAccountID != first.IDToken.Oid+"."+first.IDToken.TenantID || len(first.DeclinedScopes) != 0 {
		t.Fatalf("account %+v, declined %v", first.Account, first.DeclinedScopes)
	}
	w.MailOpen(t, first.AccessToken)

	cached, err := c.AcquireTokenSilent(ctx, mail, public.WithSilentAccount(first.Account))
	if err != nil || cached.AccessToken != first.AccessToken || cached.Metadata.TokenSource != public.TokenSourceCache {
		t.Fatalf("the cache does not find the token: %v %v", cached.Metadata, err)
	}
	// The refresh token is good for another resource.
	own, err := c.AcquireTokenSilent(ctx, graph, public.WithSilentAccount(first.Account))
	if err != nil || len(own.DeclinedScopes) != 0 {
		t.Fatalf("for Graph: declined %v, %v", own.DeclinedScopes, err)
	}
	if again, err := c.AcquireTokenSilent(ctx, graph, public.WithSilentAccount(first.Account)); err != nil || again.Metadata.TokenSource != public.TokenSourceCache {
		t.Errorf("for Graph, again: %v %v", again.Metadata, err)
	}
	me := w.Base + "/v1.0/me"
	if res, text := w.Get(t, me, own.AccessToken); res.StatusCode != http.StatusOK || !strings.Contains(text, world.Ada) {
		t.Fatalf("me: %d %s", res.StatusCode, text)
	}

	asked := b.Asked
	fresh := w.SameSecond(t, admin, world.Ada, func() string {
		again := desk(t, w, cp1) // another process of the same person
		got, err := again.AcquireTokenInteractive(ctx, mail, opens(t, w.Browser(t, world.Ada)))
		if err != nil {
			t.Fatal(err)
		}
		return got.AccessToken
	})
	claims := world.Claims(t, w.MailShut(t, first.AccessToken))
	if res, _ := w.Get(t, me, own.AccessToken); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("Graph answers a revoked token with %d", res.StatusCode)
	} else {
		world.Claims(t, res.Header.Get("WWW-Authenticate"))
	}
	_, err = c.AcquireTokenSilent(ctx, mail, public.WithSilentAccount(first.Account), public.WithClaims(claims))
	dead(t, err)
	back, err := c.AcquireTokenInteractive(ctx, mail, opens(t, b), public.WithClaims(claims))
	if err != nil {
		t.Fatal(err)
	}
	if b.Asked != asked+1 {
		t.Errorf("after the revoke %d passwords were asked for, want %d: the cookie outlived it", b.Asked, asked+1)
	}
	w.MailOpen(t, back.AccessToken)
	w.MailOpen(t, fresh)
	// An older challenge, again, is met by renewing.
	met, err := c.AcquireTokenSilent(ctx, mail, public.WithSilentAccount(back.Account), public.WithClaims(claims))
	if err != nil || met.AccessToken == back.AccessToken {
		t.Fatalf("a challenge that a live grant can meet: %v", err)
	}
	w.MailOpen(t, met.AccessToken)
	w.MailShut(t, first.AccessToken)
}

// The directory under each of its names.
func TestAuthorities(t *testing.T) {
	t.Parallel()
	w := world.Start(t)
	ctx := bounded(t)
	id := strings.Split(strings.TrimPrefix(w.Issuer, w.Base+"/"), "/")[0]
	for _, name := range []string{"common", "organizations", id, strings.ToUpper(id), "Contoso.Example"} {
		c := deskAt(t, w, w.Base+"/"+name, cp1)
		got, err := c.AcquireTokenInteractive(ctx, mail, opens(t, w.Browser(t, world.Ada)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		w.MailOpen(t, got.AccessToken)
		if got.IDToken.Issuer != w.Issuer || got.Account.HomeAccountID != got.IDToken.Oid+"."+id {
			t.Errorf("%s: issuer %s, account %s", name, got.IDToken.Issuer, got.Account.HomeAccountID)
		}
		next, err := c.AcquireTokenSilent(ctx, graph, public.WithSilentAccount(got.Account))
		if err != nil {
			t.Errorf("%s: silent: %v", name, err)
		} else if res, text := w.Get(t, w.Base+"/v1.0/me", next.AccessToken); res.StatusCode != http.StatusOK {
			t.Errorf("%s: me: %d %s", name, res.StatusCode, text)
		}
	}
	if _, err := deskAt(t, w, w.Base+"/fabrikam.example", cp1).AcquireTokenByDeviceCode(ctx, mail); err == nil {
		t.Error("another directory's name is answered")
	}
}

// A client that did not say it understands challenges gets none.
func TestClientWithoutTheCapability(t *testing.T) {
	t.Parallel()
	w := world.Start(t)
	ctx := bounded(t)
	c := desk(t, w, nil)
	got, err := c.AcquireTokenInteractive(ctx, mail, opens(t, w.Browser(t, world.Ada)))
	if err != nil {
		t.Fatal(err)
	}
	w.MailOpen(t, got.AccessToken)
	w.Revoke(t, w.Admin(t), world.Ada)
	if challenge := w.MailShut(t, got.AccessToken); !strings.Contains(challenge, `error="invalid_token"`) || strings.Contains(challenge, "claims=") {
		t.Errorf("challenge: %s", challenge)
	}
}

func TestDeviceCode(t *testing.T) {
	t.Parallel()
	w := world.Start(t)
	ctx := bounded(t)
	c := desk(t, w, cp1)
	b := w.Browser(t, world.Ada)
	signIn := func() public.AuthResult {
		t.Helper()
		code, err := c.AcquireTokenByDeviceCode(ctx, mail)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(code.Result.Message, code.Result.UserCode) {
			t.Errorf("message: %q", code.Result.Message)
		}
		// It asks early and often before the person has typed the code.
		got := make(chan public.AuthResult, 1)
		failed := make(chan error, 1)
		go func() {
			r, err := code.AuthenticationResult(ctx)
			got <- r
			failed <- err
		}()
		b.Device(t, code.Result.VerificationURL, code.Result.UserCode)
		r := <-got
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
		w.MailOpen(t, r.AccessToken)
		return r
	}
	first := signIn()
	own, err := c.AcquireTokenSilent(ctx, graph, public.WithSilentAccount(first.Account))
	if err != nil {
		t.Fatalf("renewed for Graph: %v", err)
	}
	admin := w.Admin(t)
	w.Revoke(t, admin, world.Ada)
	claims := world.Claims(t, w.MailShut(t, first.AccessToken))
	if res, _ := w.Get(t, w.Base+"/v1.0/me", own.AccessToken); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("Graph answers a revoked token with %d", res.StatusCode)
	}
	_, err = c.AcquireTokenSilent(ctx, mail, public.WithSilentAccount(first.Account), public.WithClaims(claims))
	dead(t, err)
	fresh := w.SameSecond(t, admin, world.Ada, func() string { return signIn().AccessToken })
	w.MailOpen(t, fresh)
	w.MailShut(t, first.AccessToken)
}

func secret(t *testing.T, text string) confidential.Credential {
	t.Helper()
	cred, err := confidential.NewCredFromSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	return cred
}

func web(t *testing.T, w *world.World, id string, cred confidential.Credential) confidential.Client {
	t.Helper()
	c, err := confidential.New(w.Tenant, id, cred, confidential.WithInstanceDiscovery(false), confidential.WithHTTPClient(w.Client), confidential.WithClientCapabilities(cp1))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// arrive goes through the browser to a web application's tokens.
func arrive(t *testing.T, c confidential.Client, b *world.Browser, id, back string, scopes []string, claims string) confidential.AuthResult {
	t.Helper()
	addr, err := c.AuthCodeURL(t.Context(), id, back, scopes, confidential.WithClaims(claims))
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.AcquireTokenByAuthCode(t.Context(), b.Visit(t, addr).Value("code"), back, scopes, confidential.WithClaims(claims))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestConfidentialClient(t *testing.T) {
	t.Parallel()
	w := world.Start(t)
	admin := w.Admin(t)
	ctx := bounded(t)
	c := web(t, w, world.Site, secret(t, world.Secret))
	signIn := func(b *world.Browser, scopes []string, claims string) confidential.AuthResult {
		t.Helper()
		return arrive(t, c, b, world.Site, world.SiteURL, scopes, claims)
	}
	b := w.Browser(t, world.Ada)
	first := signIn(b, mail, "")
	w.MailOpen(t, first.AccessToken)
	if cached, err := c.AcquireTokenSilent(ctx, mail, confidential.WithSilentAccount(first.Account)); err != nil || cached.AccessToken != first.AccessToken {
		t.Fatalf("the cache does not find the token: %v", err)
	}
	// Another resource: not before ada has consented to it, then by renewing.
	profile := []string{"https://graph.microsoft.com/User.Read"}
	if _, err := c.AcquireTokenSilent(ctx, profile, confidential.WithSilentAccount(first.Account)); err == nil || !strings.Contains(err.Error(), "consent_required") {
		t.Errorf("what ada did not consent to: %v", err)
	}
	own := signIn(b, profile, "")
	if res, text := w.Get(t, w.Base+"/v1.0/me", own.AccessToken); res.StatusCode != http.StatusOK {
		t.Fatalf("me: %d %s", res.StatusCode, text)
	}
	if b.Asked != 1 || b.Agreed != 2 {
		t.Errorf("%d passwords and %d consents were asked for, want 1 and 2", b.Asked, b.Agreed)
	}
	// No new sign-in for a token that is not in the cache.
	all, err := c.AcquireTokenSilent(ctx, []string{world.Audience + "/.default"}, confidential.WithSilentAccount(own.Account))
	if err != nil || all.AccessToken == first.AccessToken {
		t.Fatalf("renewed: %v", err)
	}
	w.MailOpen(t, all.AccessToken)

	fresh := w.SameSecond(t, admin, world.Ada, func() string { return signIn(w.Browser(t, world.Ada), mail, "").AccessToken })
	claims := world.Claims(t, w.MailShut(t, first.AccessToken))
	w.MailShut(t, all.AccessToken)
	// SameSecond has put younger tokens into the cache of c, so a client without
	// them is asked what the old ones are worth.
	back := signIn(b, mail, claims)
	if b.Asked != 2 {
		t.Errorf("%d passwords were asked for, want 2", b.Asked)
	}
	w.MailOpen(t, back.AccessToken)
	w.MailOpen(t, fresh)
	w.MailShut(t, first.AccessToken)
	w.Revoke(t, admin, world.Ada)
	_, err = c.AcquireTokenSilent(ctx, graph, confidential.WithSilentAccount(back.Account))
	dead(t, err)
}

// A web application that proves itself by a certificate (private_key_jwt, PS256,
// x5t#S256), for a person and as itself.
func TestClientWithACertificate(t *testing.T) {
	t.Parallel()
	w := world.Start(t)
	admin := w.Admin(t)
	ctx := bounded(t)
	cert, key := world.Certificate()
	cred, err := confidential.NewCredFromCert([]*x509.Certificate{cert}, key)
	if err != nil {
		t.Fatal(err)
	}
	c := web(t, w, world.Vault, cred)
	signIn := func(b *world.Browser, claims string) confidential.AuthResult {
		t.Helper()
		got := arrive(t, c, b, world.Vault, world.VaultURL, mail, claims)
		w.MailOpen(t, got.AccessToken)
		return got
	}
	b := w.Browser(t, world.Ada)
	first := signIn(b, "")
	all := []string{world.Audience + "/.default"}
	next, err := c.AcquireTokenSilent(ctx, all, confidential.WithSilentAccount(first.Account))
	if err != nil || next.AccessToken == first.AccessToken {
		t.Fatalf("renewed: %v", err)
	}
	w.MailOpen(t, next.AccessToken)
	own, err := c.AcquireTokenByCredential(ctx, all)
	if err != nil {
		t.Fatal(err)
	}
	w.MailOpen(t, own.AccessToken)

	w.Revoke(t, admin, world.Ada)
	claims := world.Claims(t, w.MailShut(t, first.AccessToken))
	w.MailShut(t, next.AccessToken)
	_, err = c.AcquireTokenSilent(ctx, graph, confidential.WithSilentAccount(first.Account))
	dead(t, err)
	w.MailOpen(t, own.AccessToken) // a person's revoke is not the application's
	back := signIn(b, claims)
	if b.Asked != 2 {
		t.Errorf("%d passwords were asked for, want 2", b.Asked)
	}
	fresh := w.SameSecond(t, admin, world.Ada, func() string { return signIn(w.Browser(t, world.Ada), "").AccessToken })
	w.MailShut(t, back.AccessToken)
	w.MailOpen(t, fresh)

	w.RevokeApp(t, admin, world.Vault)
	claims = world.Claims(t, w.MailShut(t, own.AccessToken))
	again, err := c.AcquireTokenByCredential(ctx, all, confidential.WithClaims(claims))
	if err != nil {
		t.Fatal(err)
	}
	w.MailOpen(t, again.AccessToken)
	w.MailShut(t, own.AccessToken)

	// Another key under the name of the registered certificate.
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	stolen, err := confidential.NewCredFromCert([]*x509.Certificate{{Raw: cert.Raw, PublicKey: other.Public()}}, other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := web(t, w, world.Vault, stolen).AcquireTokenByCredential(ctx, all); err == nil || !strings.Contains(err.Error(), "invalid_client") {
		t.Errorf("another key: %v", err)
	}
}

// The mail calls the archive on behalf of ada (jwt-bearer, on_behalf_of): what is
// revoked for her is over there, too.
func TestOnBehalfOf(t *testing.T) {
	t.Parallel()
	w := world.Start(t)
	admin := w.Admin(t)
	ctx := bounded(t)
	archive := []string{world.ArchiveRead}
	person := func(b *world.Browser) string {
		t.Helper()
		got, err := desk(t, w, cp1).AcquireTokenInteractive(ctx, mail, opens(t, b))
		if err != nil {
			t.Fatal(err)
		}
		return got.AccessToken
	}
	middle := web(t, w, world.MailAPI, secret(t, world.MailAPIPass))
	b := w.Browser(t, world.Ada)
	shown := person(b)
	first, err := middle.AcquireTokenOnBehalfOf(ctx, shown, archive)
	if err != nil {
		t.Fatal(err)
	}
	w.ArchiveOpen(t, first.AccessToken)
	w.MailShut(t, first.AccessToken) // one token, one resource
	if cached, err := middle.AcquireTokenOnBehalfOf(ctx, shown, archive); err != nil || cached.AccessToken != first.AccessToken {
		t.Errorf("the cache does not find the token: %v", err)
	}
	// Other scopes are not in the cache, so it spends its own refresh token.
	all, err := middle.AcquireTokenOnBehalfOf(ctx, shown, []string{world.ArchiveAudience + "/.default"})
	if err != nil || all.AccessToken == first.AccessToken {
		t.Fatalf("renewed: %v", err)
	}
	w.ArchiveOpen(t, all.AccessToken)

	w.Revoke(t, admin, world.Ada)
	claims := world.Claims(t, w.ArchiveShut(t, first.AccessToken))
	w.ArchiveShut(t, all.AccessToken)
	w.MailShut(t, shown)
	// It tries its refresh token and then the person's token: neither is good.
	_, err = middle.AcquireTokenOnBehalfOf(ctx, shown, archive, confidential.WithClaims(claims))
	dead(t, err)
	fresh := w.SameSecond(t, admin, world.Ada, func() string { return person(w.Browser(t, world.Ada)) })
	back, err := middle.AcquireTokenOnBehalfOf(ctx, fresh, archive, confidential.WithClaims(claims))
	if err != nil {
		t.Fatal(err)
	}
	w.ArchiveOpen(t, back.AccessToken)
	w.ArchiveShut(t, first.AccessToken)
}

func TestClientThatCallsAsItself(t *testing.T) {
	t.Parallel()
	w := world.Start(t)
	ctx := bounded(t)
	c := web(t, w, world.Robot, secret(t, world.RobotPass))
	scope := []string{world.Audience + "/.default"}
	got, err := c.AcquireTokenByCredential(ctx, scope)
	if err != nil {
		t.Fatal(err)
	}
	w.MailOpen(t, got.AccessToken)
	if cached, err := c.AcquireTokenByCredential(ctx, scope); err != nil || cached.AccessToken != got.AccessToken {
		t.Errorf("the cache does not find the token: %v", err)
	}
	w.RevokeApp(t, w.Admin(t), world.Robot)
	claims := world.Claims(t, w.MailShut(t, got.AccessToken))
	back, err := c.AcquireTokenByCredential(ctx, scope, confidential.WithClaims(claims))
	if err != nil {
		t.Fatal(err)
	}
	w.MailOpen(t, back.AccessToken)
	w.MailShut(t, got.AccessToken)
}
