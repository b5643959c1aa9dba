package device

import (
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/web/webkit"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

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
	frame := webkit.Frame{Clock: webkit.Clock{Now: time.Date(2026, 3, 2, 12, 4, 12, 0, time.UTC)}, Title: "Register this device", Directory: "contoso.example"}
	put("register")(registerPage.HTML(Register{Frame: frame, UserName: "ada@contoso.example", Next: "/account", Skip: "/account", Challenge: RegisterPath + "/challenge", Post: RegisterPath,
		Name: webkit.Field{Name: "name", Label: "Name of the device", Value: "Firefox on Linux", Autocomplete: "off", Required: true}}))
	put("recognise")(recognisePage.HTML(Recognise{Frame: frame, Next: "/oauth2/authorize?client_id=x", Else: "/oauth2/authorize?client_id=x", Begin: RecognisePath + "/challenge", Post: RecognisePath}))
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
