package pages

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/web/webkit"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

var helsinki = time.FixedZone("Europe/Helsinki", 2*3600)
var noon = time.Date(2026, 3, 2, 12, 4, 12, 0, helsinki)

func frame(title string) webkit.Frame {
	return webkit.Frame{Clock: webkit.Clock{Now: noon}, Title: title, Directory: "contoso.example"}
}

func flow(title, action string) Flow { return Flow{frame(title), action, "f-4711"} }

const days90 = 90 * 24 * time.Hour

func signIn() SignIn {
	return SignIn{Flow: flow("Sign in", "/signin"), App: "Mail", UserName: "ada@contoso.example", Keep: true, KeepLife: days90}
}

func consent() Consent {
	return Consent{Flow: flow("Let Tripboard in?", "/consent"), App: "Tripboard", Publisher: "Northwind Travel", DisplayName: "Ada Lovelace", UserName: "ada@contoso.example",
		NotYouURL: "/choose?flow=f-4711", AccountURL: "/account", EndsWithin: 10 * time.Second, EndsWithinAt: "Mail", StaysFor: days90,
		Permissions: []Permission{{"mail", "Read your mail", "Every folder, not only travel. It cannot send or delete.", "Mail"}, {"user", "See your name and address", "", "Profile"}}}
}

func rendered(t testing.TB) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	put := func(name string) func([]byte, error) {
		return func(b []byte, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			out[name] = b
		}
	}
	put("signin")(signInPage.HTML(signIn()))
	s := signIn()
	s.Wrong, s.ChooseURL = true, "/choose"
	put("signin-wrong")(signInPage.HTML(s))
	s = signIn()
	s.ThrottledUntil, s.App, s.UserName = noon.Add(5*time.Minute), "", ""
	put("signin-throttled")(signInPage.HTML(s))
	s.ThrottledUntil, s.Other, s.Flow.Flow = time.Time{}, "This account is disabled.", ""
	s.App = strings.Repeat("Verylongapplicationname", 6)
	put("signin-other")(signInPage.HTML(s))
	s = signIn()
	s.PasskeyURL, s.PassURL, s.ForgotURL = "/signin/passkey", "/signin/pass", "/forgot"
	s.Ways = []Way{{"Partner", "/federation/partner/start"}, {strings.Repeat("Verylongprovidername", 3), "/federation/long/start"}}
	put("ways")(signInPage.HTML(s))
	c := ChangePassword{Flow: flow("Change password", "/signin/password"), UserName: "ada@contoso.example", Forced: true, MinLength: 12}
	put("change")(ChangePasswordPage.HTML(c))
	c.Forced, c.NewError, c.RepeatError, c.CancelURL, c.Consequence = false, "The new password is too short", "The two are not the same", "/account", "Every other session of yours ends at once."
	put("change-bad")(ChangePasswordPage.HTML(c))
	put("consent")(consentPage.HTML(consent()))
	x := consent()
	x.Publisher, x.Reviewed, x.AdminOnlyPermissions, x.StaysFor, x.EndsWithinAt, x.NotYouURL = "", true, []string{"Directory.Read.All", "Mail.Send"}, 0, "", ""
	put("consent-admin")(consentPage.HTML(x))
	put("choose")(choosePage.HTML(Choose{flow("Which account?", "/choose"), "Mail", []ChooseRow{{"s1", "Ada Lovelace", "ada@contoso.example", true}, {"s2", "Grace Hopper", "grace@contoso.example", false}}}))
	put("device-code")(deviceCodePage.HTML(DeviceCode{Flow: flow("Connect a device", "/device")}))
	put("device-code-bad")(deviceCodePage.HTML(DeviceCode{flow("Connect a device", "/device"), "ABCD-EFGH", "This code is not known, or 15 minutes are over"}))
	put("device-confirm")(deviceConfirmPage.HTML(DeviceConfirm{flow("Connect a device", "/device"), "Azure CLI", "ABCD-EFGH", "Ada Lovelace", "ada@contoso.example", "203.0.113.77", noon}))
	put("signed-out")(MessagePage.HTML(Message{frame("Signed out"), "Signed out", "Sessions of this browser ended at 12:04:12.", webkit.Link{Text: "Sign in again", URL: "/signin"}, "Legacy stays open until 12:51:07. It has no guard."}))
	put("sign-out")(signOutPage.HTML(SignOut{flow("Sign out?", "/signout"), "Ada Lovelace", "ada@contoso.example", "Mail", []string{"Mail", "Drive"}, "/account"}))
	put("form-post")(formPostPage.HTML(FormPost{frame("Back to Mail"), "https://mail.contoso.example/callback?x=1&y=2", "Mail", []Pair{{"code", `a"><script>`}, {"state", "s"}}}))
	put("setup")(setupPage.HTML(Setup{Flow: flow("Set up", "/setup"), MinLength: 12}))
	put("setup-bad")(setupPage.HTML(Setup{Flow: flow("Set up", "/setup"), MinLength: 12, Name: "Grace Hopper", UserName: "grace", UserNameError: "A user name ends in @contoso.example"}))
	put("error")(webkit.ErrorPage().HTML(webkit.ErrorView{Frame: frame("Error"), Heading: "This request makes no sense to us", Sentence: "The application sent a redirect address that is not registered.", Code: "invalid_request", Trace: "K7Q2M4X9ABCD", Next: webkit.Link{Text: "My account", URL: "/account"}}))
	return out
}

func TestEveryPageInEveryState(t *testing.T) {
	t.Parallel()
	for name, page := range rendered(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := webkittest.Check(t, page)
			bad := strings.HasSuffix(name, "-bad") || strings.HasPrefix(name, "signin-")
			if got := strings.HasPrefix(d.All("title")[0].Text, "Error: "); got != bad {
				t.Errorf("title %q, form with errors: %v", d.All("title")[0].Text, bad)
			}
		})
	}
}

// Scripts and the tests of others rely on these names.
func TestFieldNamesAreStable(t *testing.T) {
	t.Parallel()
	pages := rendered(t)
	for name, want := range map[string][]string{
		"signin":         {"flow", "username", "password", "kmsi"},
		"change":         {"flow", "username", "password", "password2"},
		"consent":        {"flow", "decision=allow", "decision=deny"},
		"choose":         {"flow", "account=s1", "account=s2", "account=other"},
		"device-code":    {"flow", "user_code"},
		"device-confirm": {"flow", "user_code", "decision=allow", "decision=deny"},
		"sign-out":       {"flow", "decision=allow"},
		"setup":          {"flow", "name", "username", "password", "password2"},
		"form-post":      {"code", "state"},
	} {
		var got []string
		for _, e := range webkittest.Parse(t, pages[name]).Elements {
			switch n := e.Attr["name"]; {
			case n == "" || e.Name == "meta":
			case e.Name == "button":
				got = append(got, n+"="+e.Attr["value"])
			default:
				got = append(got, n)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: fields %q, want %q", name, got, want)
		}
	}
}

func TestFormKeepsEverythingButThePassword(t *testing.T) {
	t.Parallel()
	d := webkittest.Parse(t, rendered(t)["signin-wrong"])
	for _, in := range d.All("input") {
		switch in.Attr["name"] {
		case "username":
			if in.Attr["value"] != "ada@contoso.example" {
				t.Errorf("user name not kept: %v", in.Attr)
			}
		case "kmsi":
			if !in.Has("checked") {
				t.Error("keep me signed in not kept")
			}
		case "password":
			if in.Has("value") || in.Attr["aria-invalid"] != "true" || !strings.Contains(in.Attr["aria-describedby"], "e-password") {
				t.Errorf("password: %v", in.Attr)
			}
		}
	}
	if n := strings.Count(d.Text(), "The user name or the password is not right"); n != 2 {
		t.Errorf("the one sentence stands %d times, want in the summary and at the field", n)
	}
}

func TestThrottledSaysWhenAndNotWhichField(t *testing.T) {
	t.Parallel()
	d := webkittest.Parse(t, rendered(t)["signin-throttled"])
	// 12:09:12 is rounded up: trying at 12:09:00 would be too early.
	if !strings.Contains(d.Text(), "Too many tries. Try again at 12:10.") {
		t.Errorf("no time: %s", d.Text())
	}
}

func TestKeepMeSignedInSaysItsLife(t *testing.T) {
	t.Parallel()
	if d := webkittest.Parse(t, rendered(t)["signin"]); !strings.Contains(d.Text(), "Until 90 days pass without use.") {
		t.Error("the life of a kept session is not in words")
	}
}

func TestFormPostRefusesScriptAddresses(t *testing.T) {
	t.Parallel()
	b, err := formPostPage.HTML(FormPost{Frame: frame("x"), Action: "javascript:alert(1)"})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "javascript:") {
		t.Error("a script address became a form action")
	}
	if strings.Contains(string(rendered(t)["form-post"]), `a"><script>`) {
		t.Error("a parameter broke out of its attribute")
	}
}

func TestNoPageIsWiderThanItsWindow(t *testing.T) {
	pages := rendered(t)
	delete(pages, "form-post") // it leaves at once
	webkittest.Fits(t, pages)
}
