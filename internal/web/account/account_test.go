package account

import (
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/web/pages"
	"github.com/curfew-id/curfew/internal/web/webkit"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

var noon = time.Date(2026, 3, 2, 12, 4, 12, 0, time.FixedZone("Europe/Helsinki", 2*3600))

func frame(title string) webkit.Frame {
	return webkit.Frame{Clock: webkit.Clock{Now: noon}, Title: title, Directory: "contoso.example"}
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
	a := Account{Frame: frame("My account"), DisplayName: "Ada Lovelace", UserName: "ada@contoso.example", EverywhereAction: "/account/everywhere", PasswordURL: "/account/password", IdentitiesURL: "/account/identities", PortalURL: "/portal", SignOutURL: "/signout", ThemeAction: "/account/theme", KeysAction: "/account/keys",
		Sessions: []OwnSession{{"Edge on Windows 11", "laptop", "192.0.2.14", noon.Add(-4 * time.Hour), noon, true, ""}, {"Safari on iPhone", "phone", "198.51.100.7", noon.Add(-72 * time.Hour), noon.Add(-time.Hour), false, "/account/sessions/2/end"}},
		Grants:   []OwnGrant{{"Tripboard", noon.Add(-100 * time.Hour), noon.Add(-time.Hour), "/account/grants/1/remove"}}}
	a.Devices = &OwnDevices{Rows: []OwnDevice{{"Donaudampfschifffahrtsgesellschaftskapitänsrechner im Kontrollraum", "laptop", "Compliant", "ended", "t-ok", noon.Add(-100 * time.Hour), noon, true, "/account/devices/1/lost", "/account/devices/1/delete"},
		{"Phone", "phone", "Lost since 2 Mar", "failed", "t-danger", noon.Add(-300 * time.Hour), noon.Add(-50 * time.Hour), false, "", "/account/devices/2/delete"}}}
	put("account")(accountPage.HTML(a))
	a.MethodsURL, a.Methods = methodsAt, []string{"Authenticator app", "Passkey", "Recovery codes"}
	a.Grants, a.Done, a.Theme = nil, "Every other browser session ended at 12:04:12.", webkit.Dark
	a.Devices = &OwnDevices{RegisterURL: "/account/devices/register"}
	put("account-done")(accountPage.HTML(a))
	factors(put)
	resets(put)
	return out
}

func flow(title, action string) pages.Flow {
	return pages.Flow{Frame: frame(title), Action: action, Flow: "f-4711"}
}

// factors are the pages of second factors, in every state.
func factors(put func(string) func([]byte, error)) {
	long := strings.Repeat("Verylongnameofakey", 4)
	e := &Ended{Clock: webkit.Clock{Now: noon}, Receipt: "rc_4c81-48211", At: noon, Kept: true, Sessions: 2, Grants: 4, Counted: true, Guards: 6, Confirmed: 5, Left: []LeftRow{
		{"closes", "Drive, at drive-3", "by 12:04:35", "This guard is silent. It refuses everything by itself then."}, {"lives", "Legacy", "until 12:51:07", "No guard. Nothing can end it sooner."}}}
	put("account-ended")(accountPage.HTML(Account{Frame: frame("My account"), DisplayName: "Ada Lovelace", UserName: "ada@contoso.example", EverywhereAction: "/account/everywhere", Ended: e}))
	put("ended")(endedPage.HTML(EndedPage{frame("Signed out everywhere"), e}))
	e.Device = "Ada's laptop"
	put("ended-device")(endedPage.HTML(EndedPage{frame("Signed out on this device"), e}))
	put("ended-nothing")(endedPage.HTML(EndedPage{frame("Signed out everywhere"), nil}))
	m := Methods{Frame: frame("Ways to prove who you are"), UserName: "ada@contoso.example"}
	put("methods-none")(methodsPage.HTML(m))
	m.Done, m.Codes = done["added"], true
	m.Rows = []MethodRow{{"Authenticator app", "Work phone", "phone", "", noon.Add(-72 * time.Hour), noon.Add(-time.Hour), methodsAt + "/1"},
		{"Passkey", long, "key", "on your devices", noon.Add(-time.Hour), time.Time{}, methodsAt + "/2"},
		{"Recovery codes", "Recovery codes", "list", "7 left", noon, noon, methodsAt + "/3"},
		{"Temporary access pass", "temporary access pass", "star", "until 13:04:12, good once", noon, time.Time{}, ""}}
	put("methods")(methodsPage.HTML(m))
	m.Done, m.Refused, m.ProveURL = "", "Prove who you are with one of your methods first.", "/signin/second?next=%2Faccount%2Fmethods"
	put("methods-refused")(methodsPage.HTML(m))
	one := OneMethod{Flow: flow("Work phone", methodsAt+"/1/name"), Row: m.Rows[0], Renames: true, Name: "Work phone", RemoveAction: methodsAt + "/1/remove", BackURL: methodsAt}
	put("method")(methodPage.HTML(one))
	one.Name, one.NameError = "", "Give it a name"
	put("method-bad")(methodPage.HTML(one))
	one.Row, one.Renames, one.NameError = m.Rows[2], false, ""
	put("method-codes")(methodPage.HTML(one))
	pic, err := draw("otpauth://totp/contoso.example:ada@contoso.example?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=contoso.example")
	a := App{Flow: flow("Add an authenticator app", methodsAt+"/app"), Picture: pic, Secret: "JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP", CancelURL: methodsAt}
	put("app")(nil, err)
	put("app")(appPage.HTML(a))
	a.CodeError, a.NameError, a.Name = wrongCode, "A name has at most 64 characters, on one line", "x"
	put("app-bad")(appPage.HTML(a))
	k := Passkey{Flow: flow("Add a passkey", methodsAt+"/passkey"), Name: "Edge on Windows", CancelURL: methodsAt}
	put("passkey")(passkeyPage.HTML(k))
	k.Error = needsScript
	put("passkey-bad")(passkeyPage.HTML(k))
	c := Codes{Flow: flow("Recovery codes", methodsAt+"/codes"), UserName: "ada@contoso.example", GoOnURL: methodsAt}
	put("codes-none")(codesPage.HTML(c))
	c.Has, c.Left = true, 3
	put("codes-replace")(codesPage.HTML(c))
	for range 10 {
		c.Codes = append(c.Codes, "bcdf-ghjk-mnpq")
	}
	put("codes")(codesPage.HTML(c))
	s := Second{Flow: flow(useWords[wayCode], "/signin/second"), App: "Mail", DisplayName: "Ada Lovelace", UserName: "ada@contoso.example", NotYouURL: "/choose", Way: wayCode, RememberLife: 14 * 24 * time.Hour,
		Others: []webkit.Link{{Text: useWords[wayPasskey], URL: "/signin/second?next=&way=passkey"}, {Text: useWords[wayRecovery], URL: "/signin/second?next=&way=recovery"}}}
	tou := Terms{Flow: pages.Flow{Frame: frame("Terms of use"), Action: "/signin/terms", Flow: "f-4711"}, App: "Tripboard", Name: "House rules", Text: strings.Repeat("Close the door behind you, also where it is called something very long.\n\n", 40), LeaveURL: "/signout"}
	put("terms")(termsPage.HTML(tou))
	tou.Changed = true
	put("terms-bad")(termsPage.HTML(tou))
	put("second-code")(secondPage.HTML(s))
	s.Error = wrongCode
	put("second-code-bad")(secondPage.HTML(s))
	s.Error, s.Until = "", noon.Add(5*time.Minute)
	put("second-throttled-bad")(secondPage.HTML(s))
	s.Until, s.Way, s.Flow = time.Time{}, wayPasskey, flow(useWords[wayPasskey], "/signin/second/passkey")
	put("second-passkey")(secondPage.HTML(s))
	s.Error = needsScript
	put("second-passkey-bad")(secondPage.HTML(s))
	s.Error, s.Way, s.RememberLife, s.Others, s.Flow, s.App = "", wayRecovery, 0, nil, flow(useWords[wayRecovery], "/signin/second"), strings.Repeat("Verylongapplicationname", 6)
	put("second-recovery")(secondPage.HTML(s))
	put("set-up")(setUpPage.HTML(SetUp{Flow: flow("Set up a second factor", methodsAt+"/app/begin"), App: "Mail", DisplayName: "Ada Lovelace", UserName: "ada@contoso.example", Apps: true, PasskeyURL: methodsAt + "/passkey", NotYouURL: "/choose"}))
	put("set-up-none")(setUpPage.HTML(SetUp{Flow: flow("Set up a second factor", methodsAt+"/app/begin"), DisplayName: "Ada Lovelace", UserName: "ada@contoso.example", NotYouURL: "/choose"}))
	put("blocked")(webkit.BlockedPage().HTML(webkit.Blocked{Frame: frame("Your access is blocked"), Text: "You signed in, but a policy does not let you in here.", Code: "53003", App: "Mail", Address: "2001:db8::4711", Trace: "K7Q2M4X9ABCD", Next: webkit.Link{Text: "Back to Mail", URL: "https://mail.contoso.example/cb?error=access_denied"}}))
	put("entry")(entryPage.HTML(Entry{Flow: flow("Sign in with a passkey", "/signin/passkey"), BackURL: "/signin"}))
	put("entry-bad")(entryPage.HTML(Entry{Flow: flow("Sign in with a passkey", "/signin/passkey"), App: "Mail", Error: "The passkey was not accepted", BackURL: "/signin"}))
	p := Pass{Flow: flow("Use a temporary access pass", "/signin/pass"), BackURL: "/signin"}
	put("pass")(passPage.HTML(p))
	p.UserName, p.Error = "ada@contoso.example", "The user name or the pass is not right"
	put("pass-bad")(passPage.HTML(p))
	p.Error, p.Until = "", noon.Add(5*time.Minute)
	put("pass-throttled-bad")(passPage.HTML(p))
}

func TestEveryPageInEveryState(t *testing.T) {
	t.Parallel()
	for name, page := range rendered(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := webkittest.Check(t, page)
			if got, bad := strings.HasPrefix(d.All("title")[0].Text, "Error: "), strings.HasSuffix(name, "-bad"); got != bad {
				t.Errorf("title %q, form with errors: %v", d.All("title")[0].Text, bad)
			}
		})
	}
}

func TestNoPageIsWiderThanItsWindow(t *testing.T) { webkittest.Fits(t, rendered(t)) }
