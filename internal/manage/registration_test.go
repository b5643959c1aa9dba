package manage

import (
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
)

// The example key of RFC 7517 A.1, and the private half of A.2.
const (
	publicKey  = `{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}`
	privateKey = `{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"}`
)

func TestHowAnApplicationProvesItselfIsRegistered(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		ctx := t.Context()
		ca := h.person("carl", role.CloudAppAdministrator)
		web := &[]string{"https://web.contoso.example/cb"}
		_, _, err := h.CreateApp(ctx, ca, NewApp{ID: "web", AppPatch: AppPatch{Name: ptr("Web"), RedirectURIs: web}}, Act{})
		h.must(err)
		_, _, err = h.CreateApp(ctx, ca, NewApp{ID: "page", AppPatch: AppPatch{Name: ptr("Page"), Public: ptr(true)}}, Act{})
		h.must(err)
		all := Protocol{Keys: &[]string{publicKey}, Refresh: ptr(directory.RefreshStrict), GrantAbsolute: ptr(24 * time.Hour), RequirePAR: ptr(true), RequireDPoP: ptr(true), SigningAlg: ptr(directory.EdDSA),
			BackChannelLogoutURI: ptr("https://web.contoso.example/out"), BackChannelSession: ptr(true), FrontChannelLogoutURI: ptr("https://web.contoso.example/frame"), FrontChannelSession: ptr(true)}
		_, err = h.UpdateApp(ctx, ca, "web", AppPatch{Protocol: all}, Act{})
		h.must(err)
		a := h.stored("web")
		if len(a.Keys) != 1 || a.Keys[0].JWK != publicKey || a.Keys[0].ID == "" || a.Refresh != directory.RefreshStrict || a.GrantAbsolute != 24*time.Hour || !a.RequirePAR || !a.RequireDPoP || a.SigningAlg != "EdDSA" ||
			a.BackChannelLogoutURI == "" || !a.BackChannelSession || a.FrontChannelLogoutURI == "" || !a.FrontChannelSession || a.Principal.IsZero() {
			t.Errorf("%+v", a)
		}
		head := h.head()
		if _, err = h.UpdateApp(ctx, ca, "web", AppPatch{Protocol: all}, Act{}); err != nil || h.head() != head {
			t.Errorf("the same again changes something: %v", err)
		}
		_, err = h.UpdateApp(ctx, ca, "page", AppPatch{Protocol: Protocol{SPARedirectURIs: &[]string{"https://page.contoso.example/", "http://localhost/"}}}, Act{})
		h.must(err)

		for name, x := range map[string]struct {
			app directory.AppID
			p   AppPatch
		}{
			"a private key":                  {"web", AppPatch{Protocol: Protocol{Keys: &[]string{privateKey}}}},
			"a shared secret":                {"web", AppPatch{Protocol: Protocol{Keys: &[]string{`{"kty":"oct","k":"AAAA"}`}}}},
			"no key at all":                  {"web", AppPatch{Protocol: Protocol{Keys: &[]string{"{}"}}}},
			"no JSON":                        {"web", AppPatch{Protocol: Protocol{Keys: &[]string{"-----BEGIN"}}}},
			"too large":                      {"web", AppPatch{Protocol: Protocol{Keys: &[]string{`{"kty":"` + strings.Repeat("x", 1<<20) + `"}`}}}},
			"the same key twice":             {"web", AppPatch{Protocol: Protocol{Keys: &[]string{publicKey, " " + publicKey}}}},
			"keys here and elsewhere":        {"web", AppPatch{Protocol: Protocol{KeysURI: ptr("https://web.contoso.example/jwks")}}},
			"keys over plain http":           {"web", AppPatch{Protocol: Protocol{Keys: &[]string{}, KeysURI: ptr("http://web.contoso.example/jwks")}}},
			"keys in a file":                 {"web", AppPatch{Protocol: Protocol{Keys: &[]string{}, KeysURI: ptr("file:///etc/passwd")}}},
			"a key of a public one":          {"page", AppPatch{Protocol: Protocol{Keys: &[]string{publicKey}}}},
			"a page with a secret":           {"web", AppPatch{Protocol: Protocol{SPARedirectURIs: &[]string{"https://page.contoso.example/"}}}},
			"an address of both kinds":       {"page", AppPatch{RedirectURIs: &[]string{"https://page.contoso.example/"}}},
			"a page at an app's scheme":      {"page", AppPatch{Protocol: Protocol{SPARedirectURIs: &[]string{"com.contoso.page:/cb"}}}},
			"another refresh mode":           {"web", AppPatch{Protocol: Protocol{Refresh: ptr(directory.RefreshMode("never"))}}},
			"an end too soon":                {"web", AppPatch{Protocol: Protocol{GrantAbsolute: ptr(time.Minute)}}},
			"an end before the beginning":    {"web", AppPatch{Protocol: Protocol{GrantAbsolute: ptr(-time.Hour)}}},
			"an algorithm that is none":      {"web", AppPatch{Protocol: Protocol{SigningAlg: ptr("none")}}},
			"a shared algorithm":             {"web", AppPatch{Protocol: Protocol{SigningAlg: ptr("HS256")}}},
			"logout told to another scheme":  {"web", AppPatch{Protocol: Protocol{BackChannelLogoutURI: ptr("gopher://web.contoso.example")}}},
			"logout with a fragment":         {"web", AppPatch{Protocol: Protocol{BackChannelLogoutURI: ptr("https://web.contoso.example/#x")}}},
			"logout framed from another one": {"web", AppPatch{Protocol: Protocol{FrontChannelLogoutURI: ptr("https://other.contoso.example/frame")}}},
		} {
			_, err := h.UpdateApp(ctx, ca, x.app, x.p, Act{})
			if !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), "870MB6") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if h.head() == 0 || len(h.stored("web").Keys) != 1 {
			t.Error("something refused was stored")
		}
	})
}

// A key is as good as a secret, so giving one takes the same right, also by
// creating the application and by a file.
func TestAKeyIsGivenByWhoMayGiveSecrets(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	ca := h.person("carl", role.CloudAppAdministrator)
	_, _, err := h.CreateApp(ctx, ca, NewApp{ID: "robot", AppPatch: AppPatch{Name: ptr("Robot"), Protocol: Protocol{Keys: &[]string{publicKey}}}}, Act{})
	h.must(err)
	// It now acts with rights that carl could not give.
	own := []directory.Permission{{Resource: api, Scopes: []string{"User.ReadWrite.All"}}}
	h.must(h.DB.Update(ctx, func(tx *store.Tx) error {
		return tx.SaveResource(&directory.Resource{ID: api, Name: "API", AppRoles: own[0].Scopes})
	}))
	_, err = h.UpdateApp(ctx, operator, "robot", AppPatch{AppPermissions: &own}, Act{})
	h.must(err)
	for name, p := range map[string]Protocol{"another key": {Keys: &[]string{strings.Replace(publicKey, `"kty"`, `"kid":"2","kty"`, 1)}}, "an address": {Keys: &[]string{}, KeysURI: ptr("https://robot.contoso.example/jwks")}} {
		if _, err := h.UpdateApp(ctx, ca, "robot", AppPatch{Protocol: p}, Act{}); !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := h.UpdateApp(ctx, ca, "robot", AppPatch{Publisher: ptr("Contoso")}, Act{}); err != nil {
		t.Errorf("the rest may still be changed: %v", err)
	}
}

func TestHowTokensOfAResourceAreSignedAndSealedIsRegistered(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	ca := h.person("carl", role.CloudAppAdministrator)
	_, err := h.CreateResource(ctx, ca, "api://mail", ResourcePatch{Name: ptr("Mail"), SigningAlg: ptr("RS256"), EncryptionKey: ptr(publicKey)}, Act{})
	h.must(err)
	for name, p := range map[string]ResourcePatch{"a shared algorithm": {SigningAlg: ptr("HS256")}, "a private key": {EncryptionKey: ptr(privateKey)}, "no key": {EncryptionKey: ptr("x")}} {
		if err := h.UpdateResource(ctx, ca, "api://mail", p, Act{}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	h.must(h.UpdateResource(ctx, ca, "api://mail", ResourcePatch{EncryptionKey: ptr("")}, Act{}))
	if r, err := h.Resource(ctx, ca, "api://mail"); err != nil || r.SigningAlg != "RS256" || r.EncryptionKey != "" {
		t.Errorf("%+v %v", r, err)
	}
}

// Who holds the registration of an application reads it and ends it, and does
// nothing else: not to it, and nothing to another one.
func TestTheHolderOfARegistrationReadsAndEndsItAndNothingElse(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		ctx := t.Context()
		ca := h.person("carl", role.CloudAppAdministrator)
		for _, id := range []directory.AppID{"web", "other"} {
			_, _, err := h.CreateApp(ctx, ca, NewApp{ID: id, WithSecret: true, AppPatch: AppPatch{Name: ptr("An application"), RedirectURIs: &[]string{"https://web.contoso.example/cb"}}}, Act{})
			h.must(err)
		}
		holder := directory.Actor{Registration: "web", Name: "web"}
		if a, err := h.App(ctx, holder, "web"); err != nil || a.ID != "web" || len(a.Secrets) != 1 || a.Secrets[0].Hash != nil {
			t.Errorf("%+v %v", a, err)
		}
		head := h.head()
		for what, f := range map[string]func() error{
			"read another": func() error { _, err := h.App(ctx, holder, "other"); return err },
			"end another":  func() error { _, err := h.DeleteApp(ctx, holder, "other", Act{}); return err },
			"change it": func() error {
				_, err := h.UpdateApp(ctx, holder, "web", AppPatch{Name: ptr("Mine")}, Act{})
				return err
			},
			"give it a secret": func() error { _, err := h.AddSecret(ctx, holder, "web", time.Time{}, Act{}); return err },
			"disable it":       func() error { _, err := h.SetAppEnabled(ctx, holder, "web", false, Act{}); return err },
			"register another": func() error {
				_, _, err := h.CreateApp(ctx, holder, NewApp{AppPatch: AppPatch{Name: ptr("More")}}, Act{})
				return err
			},
			"end one of no name": func() error { _, err := h.DeleteApp(ctx, directory.Actor{}, "", Act{}); return err },
		} {
			if err := f(); !fault.Is(err, fault.Denied) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if all, err := h.Apps(ctx, holder); len(all) > 0 {
			t.Errorf("sees %d applications, %v", len(all), err)
		}
		if h.head() != head {
			t.Error("a line was written")
		}
		r, err := h.DeleteApp(ctx, holder, "web", Act{})
		h.must(err)
		if r == nil || r.Cause != standing.AppDeleted {
			t.Errorf("%+v", r)
		}
		_, err = h.App(ctx, ca, "web")
		want(t, err, fault.NotFound)
	})
}
