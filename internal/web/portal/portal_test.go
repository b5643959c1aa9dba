package portal

import (
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

func TestEveryPageInEveryState(t *testing.T) {
	t.Parallel()
	known := []string{desk.PathUsers, desk.PathApplications, desk.PathNewApp, desk.PathResources, desk.PathNewResource, desk.PathGuards, desk.PathDeliveries, desk.PathReceipts, desk.PathAudit, desk.PathPolicies, desk.PathLocations, desk.PathWhatIf, desk.PathSignIns, desk.PathDevices, desk.PathRisk, desk.PathRevokeAll, desk.PathAccount, desk.PathSignOut, "/assets/"}
	for name, page := range pages(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := webkittest.Check(t, page)
			for _, e := range d.Elements {
				for _, a := range []string{"href", "action"} {
					u := e.Attr[a]
					ok := u == "" || u == desk.PathOverview || strings.HasPrefix(u, "#") || strings.HasPrefix(u, "https://id.contoso.example/") || strings.HasPrefix(u, "http://127.0.0.1"+desk.PathOverview)
					for _, k := range known {
						ok = ok || strings.HasPrefix(u, k)
					}
					if !ok {
						t.Errorf("%s leads to %q, which is no page", e.Name, u)
					}
				}
				if e.Name == "form" && strings.EqualFold(e.Attr["method"], "post") && !strings.HasPrefix(name, "confirm") && !strings.HasPrefix(name, "form") && e.Attr["action"] != desk.PathBulk {
					t.Errorf("%s acts without a confirmation", e.Attr["action"])
				}
			}
		})
	}
}

func TestNoPageIsWiderThanItsWindow(t *testing.T) { webkittest.Fits(t, pages(t)) }
