package account

import (
	"testing"
	"time"

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
	put("account")(accountPage.HTML(a))
	a.Grants, a.Done, a.Theme = nil, "Every other browser session ended at 12:04:12.", webkit.Dark
	put("account-done")(accountPage.HTML(a))
	return out
}

func TestEveryPageInEveryState(t *testing.T) {
	t.Parallel()
	for name, page := range rendered(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			webkittest.Check(t, page)
		})
	}
}

func TestNoPageIsWiderThanItsWindow(t *testing.T) { webkittest.Fits(t, rendered(t)) }
