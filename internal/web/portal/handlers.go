package portal

import (
	"net/http"

	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/receipt"
)

// Server serves the portal, but for what has rooms of its own beside it.
type Server struct {
	*desk.Desk
	Revoke *revoke.Service
	// Tabs are further tabs on the profile of a person, after the first.
	Tabs []desk.UserTab

	cuts receipt.Cuts
}

// Register adds the routes to a mux that webkit.Browser wraps.
func (s *Server) Register(mux *http.ServeMux) {
	for _, x := range []struct {
		pattern string
		section Section
		h       func(*visit) error
	}{
		{"GET /{$}", desk.SectionOverview, home},
		{"GET " + PathOverview + "/{$}", desk.SectionOverview, home},
		{"GET " + PathOverview, desk.SectionOverview, s.getOverview},
		{"GET " + PathUsers, desk.SectionUsers, s.getUsers},
		{"GET " + PathBulk, desk.SectionUsers, func(v *visit) error { return v.To(PathUsers) }},
		{"POST " + PathBulk, desk.SectionUsers, s.postBulk},
		{"GET " + pathBulkNow, desk.SectionUsers, func(v *visit) error { return v.To(PathUsers) }},
		{"POST " + pathBulkNow, desk.SectionUsers, s.postBulkNow},
		{"GET " + PathUsers + "/{id}", desk.SectionUsers, s.getUser},
		{"GET " + PathUsers + "/{id}/{verb}", desk.SectionUsers, s.getVerb},
		{"POST " + PathUsers + "/{id}/revoke", desk.SectionUsers, s.postRevoke},
		{"POST " + PathUsers + "/{id}/disable", desk.SectionUsers, s.postDisable},
		{"POST " + PathUsers + "/{id}/enable", desk.SectionUsers, s.postEnable},
		{"POST " + PathUsers + "/{id}/reset-password", desk.SectionUsers, s.postReset},
		{"GET " + PathUsers + "/{id}/sessions/{session}/revoke", desk.SectionUsers, s.getSession},
		{"POST " + PathUsers + "/{id}/sessions/{session}/revoke", desk.SectionUsers, s.postSession},
		{"GET " + PathUsers + "/{id}/grants/{grant}/revoke", desk.SectionUsers, s.getGrant},
		{"POST " + PathUsers + "/{id}/grants/{grant}/revoke", desk.SectionUsers, s.postGrant},
		{"GET " + PathRevokeAll, desk.SectionUsers, s.getRevokeAll},
		{"POST " + PathRevokeAll, desk.SectionUsers, s.postRevokeAll},
		{"GET " + PathApplications, desk.SectionApplications, s.getApplications},
		{"GET " + PathNewApp, desk.SectionApplications, s.getAppForm},
		{"POST " + PathNewApp, desk.SectionApplications, s.postAppForm},
		{"GET " + PathApplications + "/{id}", desk.SectionApplications, s.getApplication},
		{"GET " + PathApplications + "/{id}/edit", desk.SectionApplications, s.getAppForm},
		{"POST " + PathApplications + "/{id}/edit", desk.SectionApplications, s.postAppForm},
		{"GET " + PathApplications + "/{id}/permissions", desk.SectionApplications, s.getRights},
		{"POST " + PathApplications + "/{id}/permissions", desk.SectionApplications, s.postRights},
		{"GET " + PathApplications + "/{id}/{verb}", desk.SectionApplications, s.getAppVerb},
		{"POST " + PathApplications + "/{id}/{verb}", desk.SectionApplications, s.postAppVerb},
		{"GET " + PathApplications + "/{id}/{verb}/{part}", desk.SectionApplications, s.getAppVerb},
		{"POST " + PathApplications + "/{id}/{verb}/{part}", desk.SectionApplications, s.postAppVerb},
		{"GET " + PathResources, desk.SectionResources, s.getResources},
		{"GET " + PathNewResource, desk.SectionResources, s.getResourceForm},
		{"POST " + PathNewResource, desk.SectionResources, s.postResourceForm},
		{"GET " + PathResources + "/{id}", desk.SectionResources, s.getResource},
		{"GET " + PathResources + "/{id}/edit", desk.SectionResources, s.getResourceForm},
		{"POST " + PathResources + "/{id}/edit", desk.SectionResources, s.postResourceForm},
		{"GET " + PathResources + "/{id}/delete", desk.SectionResources, s.getDeleteResource},
		{"POST " + PathResources + "/{id}/delete", desk.SectionResources, s.postDeleteResource},
		{"GET " + PathGuards, desk.SectionGuards, s.getGuards},
		{"GET " + PathReceipts, desk.SectionReceipts, s.getReceipts},
		{"GET " + PathReceipts + "/{id}", desk.SectionReceipts, s.getReceipt},
		{"GET " + PathReceipts + "/{id}/live", desk.SectionReceipts, s.getLive},
		{"GET " + PathAudit, desk.SectionAudit, s.getAudit},
	} {
		mux.HandleFunc(x.pattern, s.Page(x.section, func(v *desk.Visit) error { return x.h(&visit{v, s}) }))
	}
}

// visit is a request to this room.
type visit struct {
	*desk.Visit
	s *Server
}

func home(v *visit) error { return v.Home() }
