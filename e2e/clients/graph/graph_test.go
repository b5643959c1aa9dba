// Package graph_test runs msgraph-sdk-go with azidentity. The SDK takes minutes to
// compile, so it has a package of its own that can be run last.
package graph_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	abstractions "github.com/microsoft/kiota-abstractions-go"
	azureauth "github.com/microsoft/kiota-authentication-azure-go"
	khttp "github.com/microsoft/kiota-http-go"
	msgraph "github.com/microsoftgraph/msgraph-sdk-go"
	graphcore "github.com/microsoftgraph/msgraph-sdk-go-core"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/models/odataerrors"
	"github.com/microsoftgraph/msgraph-sdk-go/users"

	"github.com/curfew-id/curfew/e2e/clients/world"
)

func TestMain(m *testing.M) { world.Main(m) }

// wire notes what the SDK sends.
type wire struct {
	next  http.RoundTripper
	mu    sync.Mutex // guards what follows
	sent  []string   // method, path, encoding of the body, status
	token string     // shown last
}

func (x *wire) last() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.token
}

func (x *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	line := r.Method + " " + r.URL.Path
	if e := r.Header.Get("Content-Encoding"); e != "" {
		line += " " + e
	}
	res, err := x.next.RoundTrip(r)
	if err == nil {
		line += " " + res.Status[:3]
	}
	x.mu.Lock()
	x.sent = append(x.sent, line)
	x.token = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	x.mu.Unlock()
	return res, err
}

func (x *wire) saw(line string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Contains(x.sent, line)
}

// person is somebody with the SDK.
type person struct {
	*msgraph.GraphServiceClient
	mail    *msgraph.GraphRequestAdapter // to the guarded API: a token is for one
	wire    *wire
	mailed  *wire
	browser *world.Browser
	prompts int
}

// client makes the SDK's client with its own middleware; only the address, the
// hosts that may see the token and the trust in the CA are set.
func client(t *testing.T, w *world.World, cred azcore.TokenCredential) (*msgraph.GraphServiceClient, *wire) {
	t.Helper()
	adapter, x := adapt(t, w, w.Base, "https://graph.microsoft.com/.default", cred)
	return msgraph.NewGraphServiceClient(adapter), x
}

func adapt(t *testing.T, w *world.World, base, scope string, cred azcore.TokenCredential) (*msgraph.GraphRequestAdapter, *wire) {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	auth, err := azureauth.NewAzureIdentityAuthenticationProviderWithScopesAndValidHosts(cred, []string{scope}, []string{u.Hostname()}) // without the port
	if err != nil {
		t.Fatal(err)
	}
	x := &wire{next: w.Client.Transport}
	opts := msgraph.GetDefaultClientOptions()
	hc := &http.Client{Timeout: 30 * time.Second, Transport: khttp.NewCustomTransportWithParentTransport(x, graphcore.GetDefaultMiddlewaresWithOptions(&opts)...),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	adapter, err := msgraph.NewGraphRequestAdapterWithParseNodeFactoryAndSerializationWriterFactoryAndHttpClient(auth, nil, nil, hc)
	if err != nil {
		t.Fatal(err)
	}
	adapter.SetBaseUrl(base + "/v1.0")
	return adapter, x
}

func options(w *world.World) azcore.ClientOptions {
	return azcore.ClientOptions{Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: w.Base + "/"}, Transport: w.Client}
}

func sdk(t *testing.T, w *world.World, user string) *person {
	t.Helper()
	p := &person{browser: w.Browser(t, user)}
	cred, err := azidentity.NewDeviceCodeCredential(&azidentity.DeviceCodeCredentialOptions{ClientOptions: options(w), TenantID: world.Domain, ClientID: world.Native, DisableInstanceDiscovery: true,
		UserPrompt: func(_ context.Context, m azidentity.DeviceCodeMessage) error {
			p.prompts++
			p.browser.Device(t, m.VerificationURL, m.UserCode)
			return nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	p.GraphServiceClient, p.wire = client(t, w, cred)
	p.mail, p.mailed = adapt(t, w, w.API, world.Audience+"/.default", cred)
	return p
}

// readMail calls the guarded API through the SDK's request adapter.
func (p *person) readMail(ctx context.Context) error {
	r := abstractions.NewRequestInformationWithMethodAndUrlTemplateAndPathParameters(abstractions.GET, "{+baseurl}/mail", map[string]string{})
	body, err := p.mail.SendPrimitive(ctx, r, "[]byte", nil)
	if b, ok := body.([]byte); err == nil && (!ok || !strings.Contains(string(b), world.Native)) {
		return fmt.Errorf("the mail answered %q", body)
	}
	return err
}

// refused checks that an error is Graph's, with a status and a code.
func refused(t *testing.T, err error, status int, code string) {
	t.Helper()
	var e *odataerrors.ODataError
	if !errors.As(err, &e) || e.GetErrorEscaped() == nil || e.GetStatusCode() != status || *e.GetErrorEscaped().GetCode() != code {
		t.Errorf("%v, want %d %s", err, status, code)
	} else if in := e.GetErrorEscaped().GetInnerError(); in == nil || in.GetRequestId() == nil || *in.GetRequestId() == "" || in.GetDate() == nil {
		t.Errorf("the error has no request id or no date")
	}
}

func ptr[T any](v T) *T { return &v }

func TestAdministratorRevokesAndTheSDKSignsInAgain(t *testing.T) {
	t.Parallel()
	w := world.Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	admin, ada := sdk(t, w, world.Grace), sdk(t, w, world.Ada)

	me, err := ada.Me().Get(ctx, nil)
	if err != nil || *me.GetUserPrincipalName() != world.Ada || *me.GetDisplayName() != "Ada Lovelace" {
		t.Fatalf("me: %v", err)
	}
	id := *me.GetId()

	h := abstractions.NewRequestHeaders()
	h.Add("ConsistencyLevel", "eventual")
	found, err := admin.Users().Get(ctx, &users.UsersRequestBuilderGetRequestConfiguration{Headers: h, QueryParameters: &users.UsersRequestBuilderGetQueryParameters{
		Search: ptr(`"displayName:Lovelace"`), Select: []string{"id", "displayName"}, Count: ptr(true), Top: ptr(int32(5))}})
	if err != nil {
		t.Fatal(err)
	}
	if v := found.GetValue(); len(v) != 1 || *v[0].GetId() != id || v[0].GetUserPrincipalName() != nil || *found.GetOdataCount() != 1 {
		t.Errorf("searched: %d of %v", len(found.GetValue()), found.GetOdataCount())
	}
	filtered, err := admin.Users().Get(ctx, &users.UsersRequestBuilderGetRequestConfiguration{QueryParameters: &users.UsersRequestBuilderGetQueryParameters{
		Filter: ptr("startswith(userPrincipalName,'al') and accountEnabled eq true")}})
	if err != nil || len(filtered.GetValue()) != 1 || *filtered.GetValue()[0].GetDisplayName() != "Alan Turing" {
		t.Errorf("filtered: %v", err)
	}
	first, err := admin.Users().Get(ctx, &users.UsersRequestBuilderGetRequestConfiguration{QueryParameters: &users.UsersRequestBuilderGetQueryParameters{Top: ptr(int32(2))}})
	if err != nil || first.GetOdataNextLink() == nil {
		t.Fatalf("a page of two: %v", err)
	}
	pages, err := graphcore.NewPageIterator[models.Userable](first, admin.GetAdapter(), models.CreateUserCollectionResponseFromDiscriminatorValue)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	if err := pages.Iterate(ctx, func(u models.Userable) bool { names = append(names, *u.GetUserPrincipalName()); return true }); err != nil {
		t.Fatal(err)
	}
	if slices.Sort(names); strings.Join(names, " ") != "ada@contoso.example alan@contoso.example grace@contoso.example" {
		t.Errorf("page by page: %v", names)
	}

	// Bodies are compressed, which is why they are looked at here.
	change := models.NewUser()
	change.SetJobTitle(ptr("Countess"))
	change.SetDepartment(ptr("Analytical engines"))
	if _, err := admin.Users().ByUserId(world.Ada).Patch(ctx, change, nil); err != nil {
		t.Fatal(err)
	}
	if line := "PATCH /v1.0/users/" + world.Ada + " gzip 204"; !admin.wire.saw(line) {
		t.Errorf("%s is not among %q", line, admin.wire.sent)
	}
	got, err := admin.Users().ByUserId(id).Get(ctx, &users.UserItemRequestBuilderGetRequestConfiguration{QueryParameters: &users.UserItemRequestBuilderGetQueryParameters{Select: []string{"jobTitle", "department"}}})
	if err != nil || *got.GetJobTitle() != "Countess" || *got.GetDepartment() != "Analytical engines" {
		t.Errorf("changed: %v", err)
	}
	fresh := models.NewUser()
	fresh.SetUserPrincipalName(ptr("mary@" + world.Domain))
	fresh.SetDisplayName(ptr("Mary Jackson"))
	fresh.SetMailNickname(ptr("mary"))
	fresh.SetAccountEnabled(ptr(true))
	secret := models.NewPasswordProfile()
	secret.SetPassword(ptr("wind tunnels and slide rules"))
	secret.SetForceChangePasswordNextSignIn(ptr(true))
	fresh.SetPasswordProfile(secret)
	made, err := admin.Users().Post(ctx, fresh, nil)
	if err != nil || made.GetId() == nil {
		t.Fatalf("create: %v", err)
	}
	if err := admin.Users().ByUserId(*made.GetId()).Delete(ctx, nil); err != nil {
		t.Errorf("delete: %v", err)
	}

	_, err = admin.Users().ByUserId("nobody@"+world.Domain).Get(ctx, nil)
	refused(t, err, http.StatusNotFound, "Request_ResourceNotFound")
	_, err = ada.Users().ByUserId(world.Grace).RevokeSignInSessions().PostAsRevokeSignInSessionsPostResponse(ctx, nil)
	refused(t, err, http.StatusForbidden, "Authorization_RequestDenied")

	// The revoke, and the SDK's own answer to the challenge.
	if ada.prompts != 1 {
		t.Fatalf("%d prompts before the revoke", ada.prompts)
	}
	answer, err := admin.Users().ByUserId(id).RevokeSignInSessions().PostAsRevokeSignInSessionsPostResponse(ctx, nil)
	if err != nil || answer.GetValue() == nil || !*answer.GetValue() {
		t.Fatalf("revoke: %v", err)
	}
	me, err = ada.Me().Get(ctx, nil)
	if err != nil || *me.GetId() != id {
		t.Fatalf("after the revoke: %v", err)
	}
	if ada.prompts != 2 || ada.browser.Asked != 2 || !ada.wire.saw("GET /v1.0/me 401") {
		t.Errorf("after the revoke %d prompts, %d passwords, sent %q", ada.prompts, ada.browser.Asked, ada.wire.sent)
	}
	if admin.prompts != 1 {
		t.Errorf("the administrator was asked %d times", admin.prompts)
	}

	// Disabled, there is no way back in; enabled there is.
	off := models.NewUser()
	off.SetAccountEnabled(ptr(false))
	if _, err := admin.Users().ByUserId(id).Patch(ctx, off, nil); err != nil {
		t.Fatal(err)
	}
	off.SetAccountEnabled(ptr(true))
	if _, err := admin.Users().ByUserId(id).Patch(ctx, off, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := ada.Me().Get(ctx, nil); err != nil || ada.prompts != 3 {
		t.Errorf("disabled and enabled: %d prompts, %v", ada.prompts, err)
	}
}

// One sign-in for two APIs, the guarded one through the SDK's request adapter: the
// second token is got by the refresh token, each challenge is answered by the SDK,
// and a new sign-in within the second of the revoke works.
func TestAPersonCallsAGuardedAPI(t *testing.T) {
	t.Parallel()
	w := world.Start(t)
	admin := w.Admin(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	ada := sdk(t, w, world.Ada)
	both := func(what string, prompts int) {
		t.Helper()
		if err := ada.readMail(ctx); err != nil {
			t.Fatalf("%s, the mail: %v", what, err)
		}
		if _, err := ada.Me().Get(ctx, nil); err != nil {
			t.Fatalf("%s, me: %v", what, err)
		}
		if ada.prompts != prompts || ada.browser.Asked != prompts {
			t.Fatalf("%s: %d prompts and %d passwords, want %d", what, ada.prompts, ada.browser.Asked, prompts)
		}
	}
	both("at first", 1)
	first := ada.mailed.last()
	both("again, from the cache", 1)
	if ada.mailed.last() != first {
		t.Error("the cache does not find the token")
	}
	fresh := w.SameSecond(t, admin, world.Ada, func() string {
		other := sdk(t, w, world.Ada)
		if err := other.readMail(ctx); err != nil {
			t.Fatalf("in the second of the revoke: %v", err)
		}
		return other.mailed.last()
	})
	world.Claims(t, w.MailShut(t, first))
	both("after the revoke", 2)
	if !ada.mailed.saw("GET /v1.0/mail 401") || !ada.wire.saw("GET /v1.0/me 401") {
		t.Errorf("no challenge: %q, %q", ada.mailed.sent, ada.wire.sent)
	}
	w.MailOpen(t, fresh)
	w.MailShut(t, first)
}

// A program that calls as itself reads, and may not write.
func TestApplicationCallsAsItself(t *testing.T) {
	t.Parallel()
	w := world.Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cred, err := azidentity.NewClientSecretCredential(world.Domain, world.Robot, world.RobotPass, &azidentity.ClientSecretCredentialOptions{ClientOptions: options(w), DisableInstanceDiscovery: true})
	if err != nil {
		t.Fatal(err)
	}
	robot, wire := client(t, w, cred)
	all, err := robot.Users().Get(ctx, nil)
	if err != nil || len(all.GetValue()) != 3 {
		t.Fatalf("users: %v", err)
	}
	_, err = robot.Users().ByUserId(world.Ada).RevokeSignInSessions().PostAsRevokeSignInSessionsPostResponse(ctx, nil)
	refused(t, err, http.StatusForbidden, "Authorization_RequestDenied")

	w.RevokeApp(t, w.Admin(t), world.Robot)
	if _, err := robot.Users().Get(ctx, nil); err != nil || !wire.saw("GET /v1.0/users 401") {
		t.Errorf("after the revoke: %v, sent %q", err, wire.sent)
	}
}
