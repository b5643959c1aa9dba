package server

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"path/filepath"

	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/device"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/geo"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/devices"
	"github.com/curfew-id/curfew/internal/watch"
	webdevice "github.com/curfew-id/curfew/internal/web/device"
	graphaccess "github.com/curfew-id/curfew/internal/web/graph/access"
	graphapi "github.com/curfew-id/curfew/internal/web/graph/api"
	graphdevices "github.com/curfew-id/curfew/internal/web/graph/devices"
	graphrisk "github.com/curfew-id/curfew/internal/web/graph/risk"
	"github.com/curfew-id/curfew/internal/web/pages"
)

// known is what there is to know of where somebody comes from.
type known struct {
	// geo says where an address is; nil: there is no file.
	geo    *geo.Database
	device *device.Service
	// after is where somebody goes on who comes from another provider.
	after func(ctx context.Context, signed *signin.Signed, next string) string
	watch *watch.Service
}

// constructKnown comes before whatever asks where somebody is. The revoking of
// devices is connected when there is one to revoke by.
func (s *Server) constructKnown() {
	s.geo = geo.Open(s.cfg.GeoIP, s.log, s.now)
	s.device = &device.Service{DB: s.db, Origin: s.cfg.PublicURL, Log: s.log, Permit: func(tx *store.Tx, a directory.Actor, x *grant.Session) error {
		u := (&access.Use{Held: a.Held, Action: policy.RegisterDevice, Program: policy.Browser, IP: a.IP, Interactive: true}).OfSession(x)
		_, err := s.access.Judge(tx, u)
		return err
	}}
}

// deviceFacts is what policies go by of the device of a session or grant. One that
// is not there any more is none.
func deviceFacts(tx *store.Tx, id directory.DeviceID) (policy.Device, error) {
	d, err := devices.Get(tx, id)
	if errors.Is(err, store.ErrNotFound) {
		return policy.Device{}, nil
	}
	return policy.DeviceOf(d), err
}

// knownPages are where browsers are registered and known again.
func (s *Server) knownPages(people *http.ServeMux, visitors *pages.Server) {
	d := &webdevice.Server{Server: visitors, Device: s.device}
	d.Routes(people)
	visitors.Known, s.after = d.Onwards, d.After
}

// knownRoutes are what the API says of them.
func (s *Server) knownRoutes(own *graphapi.Server) graphapi.Routes {
	d := graphdevices.Server{Server: own, Device: s.device}
	all := d.Routes()
	maps.Copy(all, d.OwnRoutes())
	r := graphrisk.Server{Server: own, Watch: s.watch}
	maps.Copy(all, r.Routes())
	maps.Copy(all, r.OwnRoutes())
	return all
}

// places is what administrators are told of the database of countries.
func (s *Server) places() (p graphaccess.Places, named bool) {
	st, named := s.geo.Status()
	if named {
		p = graphaccess.Places{File: filepath.Base(st.Path), Type: st.Type, Built: st.Built, Trouble: st.Trouble}
	}
	return p, named
}
