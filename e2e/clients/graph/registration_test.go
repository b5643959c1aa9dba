package graph_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/google/uuid"
	msgraph "github.com/microsoftgraph/msgraph-sdk-go"
	"github.com/microsoftgraph/msgraph-sdk-go/applications"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/serviceprincipals"

	"github.com/curfew-id/curfew/e2e/clients/world"
)

const graphClient = "00000003-0000-0000-c000-000000000000"

// registered is an application that the SDK registered and put into use.
type registered struct {
	id, client string // object id, client_id
	service    string // object id of its service principal
}

func register(t *testing.T, ctx context.Context, admin *person, a models.Applicationable) registered {
	t.Helper()
	made, err := admin.Applications().Post(ctx, a, nil)
	if err != nil {
		t.Fatalf("register: %v", err)
	}
	s := models.NewServicePrincipal()
	s.SetAppId(made.GetAppId())
	service, err := admin.ServicePrincipals().Post(ctx, s, nil)
	if err != nil {
		t.Fatalf("service principal: %v", err)
	}
	return registered{*made.GetId(), *made.GetAppId(), *service.GetId()}
}

// api is our own API's service principal, as tools look for it.
func api(t *testing.T, ctx context.Context, admin *person) models.ServicePrincipalable {
	t.Helper()
	all, err := admin.ServicePrincipals().Get(ctx, &serviceprincipals.ServicePrincipalsRequestBuilderGetRequestConfiguration{
		QueryParameters: &serviceprincipals.ServicePrincipalsRequestBuilderGetQueryParameters{Filter: ptr("appId eq '" + graphClient + "'")}})
	if err != nil || len(all.GetValue()) != 1 {
		t.Fatalf("the API's service principal: %v", err)
	}
	return all.GetValue()[0]
}

func addSecret(t *testing.T, ctx context.Context, admin *person, app, name string) models.PasswordCredentialable {
	t.Helper()
	p := models.NewPasswordCredential()
	p.SetDisplayName(&name)
	p.SetEndDateTime(ptr(time.Now().Add(24 * time.Hour)))
	body := applications.NewItemAddPasswordPostRequestBody()
	body.SetPasswordCredential(p)
	made, err := admin.Applications().ByApplicationId(app).AddPassword().Post(ctx, body, nil)
	if err != nil || made.GetSecretText() == nil || made.GetKeyId() == nil || *made.GetDisplayName() != name {
		t.Fatalf("secret %s: %v", name, err)
	}
	return made
}

func asItself(t *testing.T, w *world.World, id, secret string) *msgraph.GraphServiceClient {
	t.Helper()
	cred, err := azidentity.NewClientSecretCredential(world.Domain, id, secret, &azidentity.ClientSecretCredentialOptions{ClientOptions: options(w), DisableInstanceDiscovery: true})
	if err != nil {
		t.Fatal(err)
	}
	c, _ := client(t, w, cred)
	return c
}

// people calls as the application and says what became of it.
func people(ctx context.Context, c *msgraph.GraphServiceClient) error {
	all, err := c.Users().Get(ctx, nil)
	if err == nil && len(all.GetValue()) != 3 {
		err = fmt.Errorf("%d users", len(all.GetValue()))
	}
	return err
}

// noToken checks that the application got no token any more.
func noToken(t *testing.T, what string, err error) {
	t.Helper()
	var failed *azidentity.AuthenticationFailedError
	if !errors.As(err, &failed) {
		t.Errorf("%s: %v", what, err)
	}
}

// An application registered by the SDK acts as itself with what it is given, its
// secret is rotated with an overlap, and whatever is taken away is over at once.
func TestAnApplicationIsRegisteredRotatedAndTakenAway(t *testing.T) {
	t.Parallel()
	w := world.Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	admin := sdk(t, w, world.Grace)
	a := models.NewApplication()
	a.SetDisplayName(ptr("Pipeline"))
	web := models.NewWebApplication()
	web.SetRedirectUris([]string{"https://pipeline.contoso.example/cb"})
	a.SetWeb(web)
	app := register(t, ctx, admin, a)
	first := addSecret(t, ctx, admin, app.id, "first")

	// What it may do is given to its service principal.
	graph := api(t, ctx, admin)
	role := models.NewAppRoleAssignment()
	for _, r := range graph.GetAppRoles() {
		if *r.GetValue() == "User.Read.All" {
			role.SetAppRoleId(r.GetId())
		}
	}
	role.SetPrincipalId(ptr(uuid.MustParse(app.service)))
	role.SetResourceId(ptr(uuid.MustParse(*graph.GetId())))
	old := asItself(t, w, app.client, *first.GetSecretText())
	refused(t, people(ctx, old), http.StatusForbidden, "Authorization_RequestDenied")
	given, err := admin.ServicePrincipals().ByServicePrincipalId(app.service).AppRoleAssignments().Post(ctx, role, nil)
	if err != nil {
		t.Fatal(err)
	}
	old = asItself(t, w, app.client, *first.GetSecretText()) // a token that knows of the role
	if err := people(ctx, old); err != nil {
		t.Fatalf("with the role: %v", err)
	}

	// Both secrets work side by side; then the old one does not, nor what it got.
	second := addSecret(t, ctx, admin, app.id, "second")
	fresh := asItself(t, w, app.client, *second.GetSecretText())
	if err := errors.Join(people(ctx, fresh), people(ctx, old)); err != nil {
		t.Fatalf("side by side: %v", err)
	}
	got, err := admin.Applications().ByApplicationId(app.id).Get(ctx, nil)
	if err != nil || len(got.GetPasswordCredentials()) != 2 || got.GetPasswordCredentials()[0].GetSecretText() != nil {
		t.Errorf("the registration shows secrets: %v", err)
	}
	remove := applications.NewItemRemovePasswordPostRequestBody()
	remove.SetKeyId(first.GetKeyId())
	if err := admin.Applications().ByApplicationId(app.id).RemovePassword().Post(ctx, remove, nil); err != nil {
		t.Fatal(err)
	}
	noToken(t, "with the removed secret", people(ctx, old)) // its token is refused, and there is no other
	if err := people(ctx, fresh); err != nil {
		t.Errorf("with the new secret: %v", err)
	}

	// Without the role: the token that had it is dead, the next one has it not.
	if err := admin.ServicePrincipals().ByServicePrincipalId(app.service).AppRoleAssignments().ByAppRoleAssignmentId(*given.GetId()).Delete(ctx, nil); err != nil {
		t.Fatal(err)
	}
	refused(t, people(ctx, fresh), http.StatusForbidden, "Authorization_RequestDenied")

	// Disabled, enabled, deleted.
	off := models.NewServicePrincipal()
	off.SetAccountEnabled(ptr(false))
	if _, err := admin.ServicePrincipals().ByServicePrincipalId(app.service).Patch(ctx, off, nil); err != nil {
		t.Fatal(err)
	}
	noToken(t, "disabled", people(ctx, fresh))
	off.SetAccountEnabled(ptr(true))
	if _, err := admin.ServicePrincipals().ByServicePrincipalId(app.service).Patch(ctx, off, nil); err != nil {
		t.Fatal(err)
	}
	refused(t, people(ctx, fresh), http.StatusForbidden, "Authorization_RequestDenied")
	if err := admin.Applications().ByApplicationId(app.id).Delete(ctx, nil); err != nil {
		t.Fatal(err)
	}
	noToken(t, "deleted", people(ctx, fresh))
	_, err = admin.ServicePrincipals().ByServicePrincipalId(app.service).Get(ctx, nil)
	refused(t, err, http.StatusNotFound, "Request_ResourceNotFound")
}

// A certificate registered by the SDK is what the application proves itself by,
// until it is taken away.
func TestACertificateIsRegisteredAndTakenAway(t *testing.T) {
	t.Parallel()
	w := world.Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	admin := sdk(t, w, world.Grace)
	a := models.NewApplication()
	a.SetDisplayName(ptr("Signer"))
	app := register(t, ctx, admin, a)
	cert, key := world.Certificate()
	c := models.NewKeyCredential()
	c.SetTypeEscaped(ptr("AsymmetricX509Cert"))
	c.SetUsage(ptr("Verify"))
	c.SetDisplayName(ptr("CN=signer"))
	c.SetKeyId(ptr(uuid.MustParse("0f0e8d0c-0b0a-4909-8807-060504030201")))
	c.SetKey(cert.Raw)
	change := models.NewApplication()
	change.SetKeyCredentials([]models.KeyCredentialable{c})
	if _, err := admin.Applications().ByApplicationId(app.id).Patch(ctx, change, nil); err != nil {
		t.Fatal(err)
	}
	got, err := admin.Applications().ByApplicationId(app.id).Get(ctx, nil)
	if err != nil || len(got.GetKeyCredentials()) != 1 || *got.GetKeyCredentials()[0].GetKeyId() != *c.GetKeyId() || !got.GetKeyCredentials()[0].GetEndDateTime().Equal(cert.NotAfter) {
		t.Fatalf("registered: %v", err)
	}
	signer := func() *msgraph.GraphServiceClient {
		cred, err := azidentity.NewClientCertificateCredential(world.Domain, app.client, []*x509.Certificate{cert}, key, &azidentity.ClientCertificateCredentialOptions{ClientOptions: options(w), DisableInstanceDiscovery: true})
		if err != nil {
			t.Fatal(err)
		}
		g, _ := client(t, w, cred)
		return g
	}
	one := signer()
	refused(t, people(ctx, one), http.StatusForbidden, "Authorization_RequestDenied") // it is who it says, and holds nothing
	change.SetKeyCredentials([]models.KeyCredentialable{})
	if _, err := admin.Applications().ByApplicationId(app.id).Patch(ctx, change, nil); err != nil {
		t.Fatal(err)
	}
	noToken(t, "with the token it had", people(ctx, one))
	noToken(t, "with the certificate", people(ctx, signer()))
}

// What an administrator consented to for everybody lets a person in without being
// asked; withdrawn, or with people to be assigned who are not, it is over.
func TestConsentAndAssignmentsLetPeopleInAndOut(t *testing.T) {
	t.Parallel()
	w := world.Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	admin := sdk(t, w, world.Grace)
	a := models.NewApplication()
	a.SetDisplayName(ptr("Reader"))
	a.SetIsFallbackPublicClient(ptr(true))
	native := models.NewPublicClientApplication()
	native.SetRedirectUris([]string{"http://localhost"})
	a.SetPublicClient(native)
	app := register(t, ctx, admin, a)
	graph := api(t, ctx, admin)

	grant := models.NewOAuth2PermissionGrant()
	grant.SetClientId(&app.service)
	grant.SetConsentType(ptr("AllPrincipals"))
	grant.SetResourceId(graph.GetId())
	grant.SetScope(ptr("openid profile offline_access User.Read"))
	given, err := admin.Oauth2PermissionGrants().Post(ctx, grant, nil)
	if err != nil {
		t.Fatal(err)
	}

	ada := &person{browser: w.Browser(t, world.Ada)}
	again := errors.New("asked to sign in again")
	over := func(err error) bool { return err != nil && strings.Contains(err.Error(), again.Error()) } // azidentity hands on the text
	signIn := func() error {
		ada.prompts = 0
		cred, err := azidentity.NewDeviceCodeCredential(&azidentity.DeviceCodeCredentialOptions{ClientOptions: options(w), TenantID: world.Domain, ClientID: app.client, DisableInstanceDiscovery: true,
			UserPrompt: func(_ context.Context, m azidentity.DeviceCodeMessage) error {
				if ada.prompts++; ada.prompts > 1 {
					return again
				}
				ada.browser.Device(t, m.VerificationURL, m.UserCode)
				return nil
			}})
		if err != nil {
			return err
		}
		ada.GraphServiceClient, ada.wire = client(t, w, cred)
		_, err = ada.Me().Get(ctx, nil)
		return err
	}
	if err := signIn(); err != nil {
		t.Fatalf("with consent: %v", err)
	}

	// Only those who are assigned: Ada is not, so her token and her refresh token are over.
	only := models.NewServicePrincipal()
	only.SetAppRoleAssignmentRequired(ptr(true))
	if _, err := admin.ServicePrincipals().ByServicePrincipalId(app.service).Patch(ctx, only, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := ada.Me().Get(ctx, nil); !over(err) || !ada.wire.saw("GET /v1.0/me 401") {
		t.Errorf("not assigned: %v, sent %q", err, ada.wire.sent)
	}
	me, err := admin.Users().ByUserId(world.Ada).Get(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	let := models.NewAppRoleAssignment()
	let.SetAppRoleId(&uuid.Nil)
	let.SetPrincipalId(ptr(uuid.MustParse(*me.GetId())))
	let.SetResourceId(ptr(uuid.MustParse(app.service)))
	assigned, err := admin.ServicePrincipals().ByServicePrincipalId(app.service).AppRoleAssignedTo().Post(ctx, let, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := signIn(); err != nil {
		t.Fatalf("assigned: %v", err)
	}
	if err := admin.ServicePrincipals().ByServicePrincipalId(app.service).AppRoleAssignedTo().ByAppRoleAssignmentId(*assigned.GetId()).Delete(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := ada.Me().Get(ctx, nil); !over(err) {
		t.Errorf("not assigned any more: %v", err)
	}

	// And without consent.
	only.SetAppRoleAssignmentRequired(ptr(false))
	if _, err := admin.ServicePrincipals().ByServicePrincipalId(app.service).Patch(ctx, only, nil); err != nil {
		t.Fatal(err)
	}
	if err := signIn(); err != nil {
		t.Fatalf("everybody again: %v", err)
	}
	if err := admin.Oauth2PermissionGrants().ByOAuth2PermissionGrantId(*given.GetId()).Delete(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := ada.Me().Get(ctx, nil); !over(err) {
		t.Errorf("without consent: %v", err)
	}
}
