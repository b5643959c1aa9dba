package federation

import (
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/web/webkit"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

func TestThePageOfAccountsElsewhereInEveryState(t *testing.T) {
	noon := time.Date(2026, 3, 2, 12, 4, 12, 0, time.UTC)
	v := Identities{Frame: webkit.Frame{Clock: webkit.Clock{Now: noon}, Title: "Other ways to sign in", Directory: "contoso.example"}, UserName: "ada@contoso.example", AccountURL: "/account"}
	pages := map[string][]byte{}
	put := func(name string) {
		t.Helper()
		b, err := identitiesPage.HTML(v)
		if err != nil {
			t.Fatal(err)
		}
		webkittest.Check(t, b)
		pages[name] = b
	}
	put("none")
	v.Done = done["linked"]
	v.Rows = []Identity{{Name: "Partner", Linked: noon.Add(-72 * time.Hour), Action: identities + "/partner/unlink"}, {Name: strings.Repeat("Verylongprovidername", 3), Action: identities + "/long/link"}}
	put("some")
	if text := string(pages["some"]); !strings.Contains(text, "Linked ") || !strings.Contains(text, "Not linked.") || strings.Contains(string(pages["none"]), "<form") {
		t.Errorf("%s", text)
	}
	webkittest.Fits(t, pages)
}
