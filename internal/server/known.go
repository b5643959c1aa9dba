package server

import (
	"github.com/curfew-id/curfew/internal/device"
	"github.com/curfew-id/curfew/internal/geo"
)

// known is what there is to know of where somebody comes from.
type known struct {
	// geo says where an address is; nil: there is no file.
	geo    *geo.Database
	device *device.Service
}

// constructKnown comes before whatever asks where somebody is. The revoking of
// devices is connected when there is one to revoke by.
func (s *Server) constructKnown() {
	s.geo = geo.Open(s.cfg.GeoIP, s.log, s.now)
	s.device = &device.Service{DB: s.db, Origin: s.cfg.PublicURL, Log: s.log}
}
