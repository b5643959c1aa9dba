package policies

import (
	"net/http"
	"time"

	"github.com/curfew-id/curfew/internal/govern"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
)

// Server serves the pages of policies. Desk and Govern are needed.
type Server struct {
	*desk.Desk
	Govern *govern.Service
	// Places tells of the database of countries: its type, its date (zero: nothing is
	// known) and why it cannot be used; false: none was named. nil: nothing is said.
	Places func() (kind string, built time.Time, trouble string, named bool)
}

// The verbs on policies, locations and spared accounts.
var (
	TurnOn       = desk.Verb{Slug: "turn-on", Label: "Turn on", Busy: "Turning on…", Keep: "Leave it as it is", Icon: "shield", Doing: "change policies", Cuts: true}
	Report       = desk.Verb{Slug: "report-only", Label: "Report only", Busy: "Saving…", Keep: "Leave it as it is", Icon: "eye", Doing: "change policies"}
	TurnOff      = desk.Verb{Slug: "turn-off", Label: "Turn off", Busy: "Turning off…", Keep: "Leave it as it is", Icon: "disabled", Doing: "change policies"}
	Edit         = desk.Verb{Slug: "edit", Label: "Edit", Busy: "Saving…", Keep: "Change nothing", Icon: "edit", Doing: "change policies", Form: true}
	Delete       = desk.Verb{Slug: "delete", Label: "Delete", Busy: "Deleting…", Keep: "Keep policy", Icon: "x", Doing: "delete policies", Cuts: true}
	Create       = desk.Verb{Slug: "create", Label: "New policy", Busy: "Creating…", Keep: "Create none", Icon: "plus", Doing: "create policies", Form: true}
	CreatePlace  = desk.Verb{Slug: "create", Label: "New location", Busy: "Creating…", Keep: "Create none", Icon: "plus", Doing: "create locations", Form: true}
	DeletePlace  = desk.Verb{Slug: "delete", Label: "Delete", Busy: "Deleting…", Keep: "Keep location", Icon: "x", Doing: "delete locations", Cuts: true}
	Spare        = desk.Verb{Slug: "add", Label: "Spare an account", Busy: "Saving…", Keep: "Spare nobody", Icon: "plus", Doing: "change spared accounts"}
	SpareNoMore  = desk.Verb{Slug: "remove", Label: "Spare no more", Busy: "Saving…", Keep: "Keep it spared", Icon: "x", Doing: "change spared accounts", Cuts: true}
	ShowAccounts = desk.Verb{Slug: "spared", Label: "Spared accounts", Icon: "key", Doing: "read spared accounts", Form: true}
)

// Register adds the routes to a mux that webkit.Browser wraps.
func (s *Server) Register(mux *http.ServeMux) {
	for _, x := range []struct {
		pattern string
		section desk.Section
		h       func(*desk.Visit) error
	}{
		{"GET " + desk.PathPolicies, desk.SectionPolicies, s.getPolicies},
		{"GET " + desk.PathNewPolicy, desk.SectionPolicies, s.getStarts},
		{"GET " + desk.PathNewPolicy + "/{start}", desk.SectionPolicies, s.getStart},
		{"POST " + desk.PathNewPolicy + "/{start}", desk.SectionPolicies, s.postStart},
		{"GET " + desk.PathPolicies + "/{id}", desk.SectionPolicies, s.getPolicy},
		{"GET " + desk.PathPolicies + "/{id}/edit", desk.SectionPolicies, s.getEdit},
		{"POST " + desk.PathPolicies + "/{id}/edit", desk.SectionPolicies, s.postEdit},
		{"GET " + desk.PathPolicies + "/{id}/{verb}", desk.SectionPolicies, s.getAct},
		{"POST " + desk.PathPolicies + "/{id}/{verb}", desk.SectionPolicies, s.postAct},
		{"GET " + desk.PathSpared, desk.SectionPolicies, s.getSpared},
		{"GET " + desk.PathSpared + "/add", desk.SectionPolicies, s.getSpare},
		{"POST " + desk.PathSpared + "/add", desk.SectionPolicies, s.postSpare},
		{"GET " + desk.PathSpared + "/{id}/remove", desk.SectionPolicies, s.getSpareNoMore},
		{"POST " + desk.PathSpared + "/{id}/remove", desk.SectionPolicies, s.postSpareNoMore},
		{"GET " + desk.PathLocations, desk.SectionLocations, s.getPlaces},
		{"GET " + desk.PathNewLocation, desk.SectionLocations, s.getPlaceForm},
		{"POST " + desk.PathNewLocation, desk.SectionLocations, s.postPlaceForm},
		{"GET " + desk.PathLocations + "/{id}", desk.SectionLocations, s.getPlace},
		{"GET " + desk.PathLocations + "/{id}/edit", desk.SectionLocations, s.getPlaceForm},
		{"POST " + desk.PathLocations + "/{id}/edit", desk.SectionLocations, s.postPlaceForm},
		{"GET " + desk.PathLocations + "/{id}/delete", desk.SectionLocations, s.getDeletePlace},
		{"POST " + desk.PathLocations + "/{id}/delete", desk.SectionLocations, s.postDeletePlace},
		{"GET " + desk.PathWhatIf, desk.SectionWhatIf, s.getWhatIf},
	} {
		mux.HandleFunc(x.pattern, s.Page(x.section, x.h))
	}
}
