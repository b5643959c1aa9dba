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
		section desk.Section
		h       func(*visit) error
	}{
		{"GET /{$}", desk.SectionOverview, home},
		{"GET " + desk.PathOverview + "/{$}", desk.SectionOverview, home},
		{"GET " + desk.PathOverview, desk.SectionOverview, s.getOverview},
		{"GET " + desk.PathUsers, desk.SectionUsers, s.getUsers},
		{"GET " + desk.PathBulk, desk.SectionUsers, func(v *visit) error { return v.To(desk.PathUsers) }},
		{"POST " + desk.PathBulk, desk.SectionUsers, s.postBulk},
		{"GET " + desk.PathBulkNow, desk.SectionUsers, func(v *visit) error { return v.To(desk.PathUsers) }},
		{"POST " + desk.PathBulkNow, desk.SectionUsers, s.postBulkNow},
		{"GET " + desk.PathUsers + "/{id}", desk.SectionUsers, s.getUser},
		{"GET " + desk.PathUsers + "/{id}/{verb}", desk.SectionUsers, s.getVerb},
		{"POST " + desk.PathUsers + "/{id}/revoke", desk.SectionUsers, s.postRevoke},
		{"POST " + desk.PathUsers + "/{id}/disable", desk.SectionUsers, s.postDisable},
		{"POST " + desk.PathUsers + "/{id}/enable", desk.SectionUsers, s.postEnable},
		{"POST " + desk.PathUsers + "/{id}/reset-password", desk.SectionUsers, s.postReset},
		{"GET " + desk.PathUsers + "/{id}/sessions/{session}/revoke", desk.SectionUsers, s.getSession},
		{"POST " + desk.PathUsers + "/{id}/sessions/{session}/revoke", desk.SectionUsers, s.postSession},
		{"GET " + desk.PathUsers + "/{id}/grants/{grant}/revoke", desk.SectionUsers, s.getGrant},
		{"POST " + desk.PathUsers + "/{id}/grants/{grant}/revoke", desk.SectionUsers, s.postGrant},
		{"GET " + desk.PathRevokeAll, desk.SectionUsers, s.getRevokeAll},
		{"POST " + desk.PathRevokeAll, desk.SectionUsers, s.postRevokeAll},
		{"GET " + desk.PathApplications, desk.SectionApplications, s.getApplications},
		{"GET " + desk.PathNewApp, desk.SectionApplications, s.getAppForm},
		{"POST " + desk.PathNewApp, desk.SectionApplications, s.postAppForm},
		{"GET " + desk.PathApplications + "/{id}", desk.SectionApplications, s.getApplication},
		{"GET " + desk.PathApplications + "/{id}/edit", desk.SectionApplications, s.getAppForm},
		{"POST " + desk.PathApplications + "/{id}/edit", desk.SectionApplications, s.postAppForm},
		{"GET " + desk.PathApplications + "/{id}/permissions", desk.SectionApplications, s.getRights},
		{"POST " + desk.PathApplications + "/{id}/permissions", desk.SectionApplications, s.postRights},
		{"GET " + desk.PathApplications + "/{id}/{verb}", desk.SectionApplications, s.getAppVerb},
		{"POST " + desk.PathApplications + "/{id}/{verb}", desk.SectionApplications, s.postAppVerb},
		{"GET " + desk.PathApplications + "/{id}/{verb}/{part}", desk.SectionApplications, s.getAppVerb},
		{"POST " + desk.PathApplications + "/{id}/{verb}/{part}", desk.SectionApplications, s.postAppVerb},
		{"GET " + desk.PathResources, desk.SectionResources, s.getResources},
		{"GET " + desk.PathNewResource, desk.SectionResources, s.getResourceForm},
		{"POST " + desk.PathNewResource, desk.SectionResources, s.postResourceForm},
		{"GET " + desk.PathResources + "/{id}", desk.SectionResources, s.getResource},
		{"GET " + desk.PathResources + "/{id}/edit", desk.SectionResources, s.getResourceForm},
		{"POST " + desk.PathResources + "/{id}/edit", desk.SectionResources, s.postResourceForm},
		{"GET " + desk.PathResources + "/{id}/delete", desk.SectionResources, s.getDeleteResource},
		{"POST " + desk.PathResources + "/{id}/delete", desk.SectionResources, s.postDeleteResource},
		{"GET " + desk.PathGuards, desk.SectionGuards, s.getGuards},
		{"GET " + desk.PathReceipts, desk.SectionReceipts, s.getReceipts},
		{"GET " + desk.PathReceipts + "/{id}", desk.SectionReceipts, s.getReceipt},
		{"GET " + desk.PathReceipts + "/{id}/live", desk.SectionReceipts, s.getLive},
		{"GET " + desk.PathAudit, desk.SectionAudit, s.getAudit},
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
