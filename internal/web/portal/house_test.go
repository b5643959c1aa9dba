package portal

import (
	"net/http"
	"testing"

	"github.com/curfew-id/curfew/internal/web/portal/portaltest"
)

// house is the house with this room's pages.
type house struct {
	*portaltest.House
	server *Server
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := new(house)
	h.House = portaltest.New(t, func(x *portaltest.House, mux *http.ServeMux) {
		h.server = &Server{Desk: x.Desk, Revoke: x.Revoke}
		h.server.Register(mux)
	})
	return h
}
