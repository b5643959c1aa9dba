package server

import (
	"net/http"
	"time"

	"github.com/curfew-id/curfew/internal/review"
	graphsignins "github.com/curfew-id/curfew/internal/web/graph/signins"
	"github.com/curfew-id/curfew/internal/web/portal"
	"github.com/curfew-id/curfew/internal/web/portal/deliveries"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/person"
	"github.com/curfew-id/curfew/internal/web/portal/policies"
	"github.com/curfew-id/curfew/internal/web/portal/risk"
	"github.com/curfew-id/curfew/internal/web/portal/signins"
)

// adminPages adds the rooms of the portal; base is the public URL.
func (s *Server) adminPages(mux *http.ServeMux, base string) {
	d := &desk.Desk{SignIn: s.signin, Manage: s.manage, Relay: s.relay, Deliver: s.deliver, Base: base, Secure: s.cfg.Secure(), Domain: s.domain, Log: s.log, Now: s.now}
	log := &signins.Server{Desk: d, Review: &review.Service{DB: s.db, Journal: s.journal}, File: graphsignins.Stream}
	log.Register(mux)
	who := &person.Server{Desk: d, Factor: s.factor, Device: s.device}
	who.Register(mux)
	risky := &risk.Server{Desk: d, Watch: s.watch}
	risky.Register(mux)
	(&portal.Server{Desk: d, Revoke: s.revoke, Tabs: []desk.UserTab{log.Tab(), who.Devices(), who.Methods(), risky.Tab()}}).Register(mux)
	(&deliveries.Server{Desk: d}).Register(mux)
	(&policies.Server{Desk: d, Govern: s.govern, Places: func() (string, time.Time, string, bool) {
		p, named := s.places()
		return p.Type, p.Built, p.Trouble, named
	}}).Register(mux)
}
