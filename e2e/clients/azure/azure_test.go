// Package azure_test runs azidentity and the pipeline of azcore.
package azure_test

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	azruntime "github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/curfew-id/curfew/e2e/clients/world"
)

func TestMain(m *testing.M) { world.Main(m) }

const mailAll = world.Audience + "/.default"

func options(w *world.World) azcore.ClientOptions {
	return azcore.ClientOptions{Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: w.Base + "/"}, Transport: w.Client, Retry: policy.RetryOptions{MaxRetries: -1}}
}

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// mail calls the guarded API as an Azure service client would, and returns the
// status and the token that was shown last.
func mail(t *testing.T, w *world.World, cred azcore.TokenCredential) (status int, token string) {
	t.Helper()
	status, token, err := call(t, w, "/mail", mailAll, cred)
	if err != nil {
		t.Fatal(err)
	}
	return status, token
}

func call(t *testing.T, w *world.World, path, scope string, cred azcore.TokenCredential) (status int, token string, err error) {
	t.Helper()
	p := azruntime.NewPipeline("mail", "v0", azruntime.PipelineOptions{PerRetry: []policy.Policy{azruntime.NewBearerTokenPolicy(cred, []string{scope}, nil)}},
		&policy.ClientOptions{Transport: w.Client, Retry: policy.RetryOptions{MaxRetries: -1}})
	r, err := azruntime.NewRequest(bounded(t), http.MethodGet, w.API+path)
	if err != nil {
		t.Fatal(err)
	}
	res, err := p.Do(r)
	if err != nil {
		return 0, "", err
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	return res.StatusCode, strings.TrimPrefix(res.Request.Header.Get("Authorization"), "Bearer "), nil
}

// device makes a credential that asks its person with a device code and counts
// how often.
func device(t *testing.T, w *world.World, b *world.Browser, manual bool, prompts *int) *azidentity.DeviceCodeCredential {
	t.Helper()
	cred, err := azidentity.NewDeviceCodeCredential(&azidentity.DeviceCodeCredentialOptions{ClientOptions: options(w), TenantID: world.Domain, ClientID: world.Native,
		DisableInstanceDiscovery: true, DisableAutomaticAuthentication: manual,
		UserPrompt: func(_ context.Context, m azidentity.DeviceCodeMessage) error {
			*prompts++
			b.Device(t, m.VerificationURL, m.UserCode)
			return nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	return cred
}

// The pipeline answers the challenge by itself: the refresh token is refused, the
// person signs in again, the request is sent again.
func TestChallengeLeadsToANewSignIn(t *testing.T) {
	t.Parallel()
	w := world.Start(t)
	admin := w.Admin(t)
	prompts := 0
	cred := device(t, w, w.Browser(t, world.Ada), false, &prompts)
	status, first := mail(t, w, cred)
	if status != http.StatusOK || prompts != 1 {
		t.Fatalf("%d after %d prompts", status, prompts)
	}
	if status, again := mail(t, w, cred); status != http.StatusOK || prompts != 1 || again != first {
		t.Fatalf("%d after %d prompts: the cache does not find the token", status, prompts)
	}
	// The refresh token, for other scopes.
	narrow, err := cred.GetToken(bounded(t), policy.TokenRequestOptions{Scopes: []string{world.MailRead}, EnableCAE: true})
	if err != nil || narrow.Token == first || prompts != 1 {
		t.Fatalf("renewed, after %d prompts: %v", prompts, err)
	}
	w.MailOpen(t, narrow.Token)
	fresh := w.SameSecond(t, admin, world.Ada, func() string {
		n := 0
		status, token := mail(t, w, device(t, w, w.Browser(t, world.Ada), false, &n))
		if status != http.StatusOK {
			t.Fatalf("in the second of the revoke: %d", status)
		}
		return token
	})
	world.Claims(t, w.MailShut(t, first))
	w.MailShut(t, narrow.Token)
	status, second := mail(t, w, cred)
	if status != http.StatusOK || prompts != 2 || second == first {
		t.Fatalf("after the revoke: %d after %d prompts", status, prompts)
	}
	w.MailOpen(t, fresh)
	w.MailShut(t, first)
}

// An application that wants to be asked before its user is gets the claims.
func TestChallengeIsHandedToTheApplication(t *testing.T) {
	t.Parallel()
	w := world.Start(t)
	ctx := bounded(t)
	prompts := 0
	cred := device(t, w, w.Browser(t, world.Ada), true, &prompts)
	ask := policy.TokenRequestOptions{Scopes: []string{mailAll}, EnableCAE: true}
	if _, err := cred.Authenticate(ctx, &ask); err != nil {
		t.Fatal(err)
	}
	first, err := cred.GetToken(ctx, ask)
	if err != nil {
		t.Fatal(err)
	}
	w.MailOpen(t, first.Token)
	w.Revoke(t, w.Admin(t), world.Ada)
	ask.Claims = world.Claims(t, w.MailShut(t, first.Token))
	_, err = cred.GetToken(ctx, ask)
	var need *azidentity.AuthenticationRequiredError
	if !errors.As(err, &need) || need.TokenRequestOptions.Claims != ask.Claims {
		t.Fatalf("after the revoke: %v", err)
	}
	if _, err := cred.Authenticate(ctx, &need.TokenRequestOptions); err != nil {
		t.Fatal(err)
	}
	again, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: ask.Scopes, EnableCAE: true})
	if err != nil || prompts != 2 {
		t.Fatalf("%d prompts: %v", prompts, err)
	}
	w.MailOpen(t, again.Token)
	w.MailShut(t, first.Token)
}

// The credential opens the system's browser: here a program of that name, which
// writes down the address.
func TestInteractiveBrowser(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the system's browser cannot be replaced by PATH")
	}
	w := world.Start(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "opened")
	for _, name := range []string{"xdg-open", "open"} {
		script := "#!/bin/sh\nprintf %s \"$1\" >'" + file + ".part' && mv '" + file + ".part' '" + file + "'\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	cred, err := azidentity.NewInteractiveBrowserCredential(&azidentity.InteractiveBrowserCredentialOptions{ClientOptions: options(w), TenantID: world.Domain, ClientID: world.Native, DisableInstanceDiscovery: true})
	if err != nil {
		t.Fatal(err)
	}
	b := w.Browser(t, world.Ada)
	get := func(claims string) string {
		t.Helper()
		type answer struct {
			token azcore.AccessToken
			err   error
		}
		got := make(chan answer, 1)
		ctx := bounded(t)
		go func() {
			tok, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{mailAll}, EnableCAE: true, Claims: claims})
			got <- answer{tok, err}
		}()
		for tick := time.NewTicker(10 * time.Millisecond); ; {
			select {
			case a := <-got:
				tick.Stop()
				if a.err != nil {
					t.Fatal(a.err)
				}
				return a.token.Token
			case <-tick.C:
				if addr, err := os.ReadFile(file); err == nil {
					os.Remove(file)
					b.Visit(t, string(addr))
				}
			}
		}
	}
	first := get("")
	w.MailOpen(t, first)
	if again := get(""); again != first || b.Asked != 1 {
		t.Fatalf("%d passwords were asked for, want 1", b.Asked)
	}
	w.Revoke(t, w.Admin(t), world.Ada)
	second := get(world.Claims(t, w.MailShut(t, first)))
	if b.Asked != 2 {
		t.Errorf("%d passwords were asked for, want 2", b.Asked)
	}
	w.MailOpen(t, second)
	w.MailShut(t, first)
}

// A service that proves itself by a certificate, as itself.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	w := world.Start(t)
	cert, key := world.Certificate()
	cred, err := azidentity.NewClientCertificateCredential(world.Domain, world.Vault, []*x509.Certificate{cert}, key, &azidentity.ClientCertificateCredentialOptions{ClientOptions: options(w), DisableInstanceDiscovery: true})
	if err != nil {
		t.Fatal(err)
	}
	status, first := mail(t, w, cred)
	if status != http.StatusOK {
		t.Fatalf("the API answered %d", status)
	}
	w.RevokeApp(t, w.Admin(t), world.Vault)
	world.Claims(t, w.MailShut(t, first))
	if status, second := mail(t, w, cred); status != http.StatusOK || second == first {
		t.Fatalf("after the revoke: %d", status)
	}
	w.MailShut(t, first)
}

// The mail calls the archive on behalf of ada. The pipeline takes the archive's
// challenge to the server, which refuses: the mail must ask ada's application.
func TestOnBehalfOf(t *testing.T) {
	t.Parallel()
	w := world.Start(t)
	admin := w.Admin(t)
	ctx := bounded(t)
	ask := policy.TokenRequestOptions{Scopes: []string{mailAll}, EnableCAE: true}
	shown := func() string {
		t.Helper()
		n := 0
		tok, err := device(t, w, w.Browser(t, world.Ada), false, &n).GetToken(ctx, ask)
		if err != nil {
			t.Fatal(err)
		}
		return tok.Token
	}
	behalf := func(token string) azcore.TokenCredential {
		t.Helper()
		cred, err := azidentity.NewOnBehalfOfCredentialWithSecret(world.Domain, world.MailAPI, token, world.MailAPIPass, &azidentity.OnBehalfOfCredentialOptions{ClientOptions: options(w), DisableInstanceDiscovery: true})
		if err != nil {
			t.Fatal(err)
		}
		return cred
	}
	old := shown()
	cred := behalf(old)
	status, first, err := call(t, w, "/archive", world.ArchiveAudience+"/.default", cred)
	if err != nil || status != http.StatusOK {
		t.Fatalf("%d %v", status, err)
	}
	// Its refresh token, for other scopes.
	narrow, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{world.ArchiveRead}, EnableCAE: true})
	if err != nil || narrow.Token == first {
		t.Fatalf("renewed: %v", err)
	}
	w.ArchiveOpen(t, narrow.Token)

	fresh := w.SameSecond(t, admin, world.Ada, shown)
	world.Claims(t, w.ArchiveShut(t, first))
	var failed *azidentity.AuthenticationFailedError
	if _, _, err := call(t, w, "/archive", world.ArchiveAudience+"/.default", cred); !errors.As(err, &failed) || failed.RawResponse.StatusCode != http.StatusBadRequest {
		t.Errorf("after the revoke: %v", err)
	}
	if _, _, err := call(t, w, "/archive", world.ArchiveAudience+"/.default", behalf(old)); !errors.As(err, &failed) {
		t.Errorf("ada's dead token, exchanged: %v", err)
	}
	status, second, err := call(t, w, "/archive", world.ArchiveAudience+"/.default", behalf(fresh))
	if err != nil || status != http.StatusOK || second == first {
		t.Fatalf("ada signed in again: %d %v", status, err)
	}
	w.ArchiveShut(t, first)
	w.ArchiveShut(t, narrow.Token)
}

func TestClientSecret(t *testing.T) {
	t.Parallel()
	w := world.Start(t)
	cred, err := azidentity.NewClientSecretCredential(world.Domain, world.Robot, world.RobotPass, &azidentity.ClientSecretCredentialOptions{ClientOptions: options(w), DisableInstanceDiscovery: true})
	if err != nil {
		t.Fatal(err)
	}
	status, first := mail(t, w, cred)
	if status != http.StatusOK {
		t.Fatalf("the API answered %d", status)
	}
	w.RevokeApp(t, w.Admin(t), world.Robot)
	world.Claims(t, w.MailShut(t, first))
	// The pipeline gets another token and tries again.
	status, second := mail(t, w, cred)
	if status != http.StatusOK || second == first {
		t.Fatalf("after the revoke: %d", status)
	}
	w.MailShut(t, first)

	wrong, err := azidentity.NewClientSecretCredential(world.Domain, world.Robot, "another-secret-of-the-right-length", &azidentity.ClientSecretCredentialOptions{ClientOptions: options(w), DisableInstanceDiscovery: true})
	if err != nil {
		t.Fatal(err)
	}
	var failed *azidentity.AuthenticationFailedError
	if _, err := wrong.GetToken(bounded(t), policy.TokenRequestOptions{Scopes: []string{mailAll}}); !errors.As(err, &failed) || failed.RawResponse.StatusCode != http.StatusUnauthorized {
		t.Errorf("a wrong secret: %v", err)
	}
}
