package account

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/curfew-id/curfew/internal/device"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/web/pages"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

const devicesAt = "/account/devices"

// OwnDevices are the browsers that the reader registered.
type OwnDevices struct {
	Rows        []OwnDevice
	RegisterURL string // empty: this browser is registered
}

// OwnDevice is one of them.
type OwnDevice struct {
	Name, Kind        string // Kind: as of OwnSession
	State, Icon, Tone string
	Registered, Seen  time.Time
	Current           bool
	LostAction        string // posting it says that it is lost; empty: that was said
	DeleteAction      string
}

// devices lists the reader's, the newest first: all that one person may have.
func (s *Server) devices(ctx context.Context, signed *signin.Signed) (*OwnDevices, error) {
	if s.Device == nil {
		return nil, nil
	}
	all, _, err := s.Device.Devices(ctx, signed.Actor, device.Query{User: signed.User.ID})
	if err != nil {
		return nil, err
	}
	own := &OwnDevices{RegisterURL: devicesAt + "/register"}
	c := webkit.Clock{Now: s.Now()}
	for _, d := range all {
		at := devicesAt + "/" + d.ID.String()
		row := OwnDevice{Name: d.Name, Kind: kindOf(d.Name + " on " + d.Platform), Registered: d.Created.In(c.Now.Location()), Seen: d.LastSeen.In(c.Now.Location()), Current: d.ID == signed.Session.Device, DeleteAction: at + "/delete"}
		if row.Current {
			own.RegisterURL = ""
		}
		if d.Lost.IsZero() {
			row.LostAction = at + "/lost"
		}
		row.Icon, row.Tone, row.State = condition(d.Device, c)
		own.Rows = append(own.Rows, row)
	}
	return own, nil
}

// condition is a device's state: what keeps it out before what is said of it.
func condition(d *directory.Device, c webkit.Clock) (icon, tone, state string) {
	switch {
	case !d.Lost.IsZero():
		return "failed", "t-danger", "Lost since " + c.When(d.Lost.In(c.Now.Location()))
	case !d.Enabled:
		return "disabled", "t-3", "Disabled"
	case d.Compliant == directory.Compliant:
		return "ended", "t-ok", "Compliant"
	case d.Compliant == directory.NotCompliant:
		return "lives", "t-warn", "Not compliant"
	}
	return "ended", "t-1", "Registered"
}

// endDevice is a button of the list. No policy keeps anybody from it. The session may
// be one of those that end: then the page after it is the last of this sign-in.
func (s *Server) endDevice(f func(context.Context, directory.Actor, directory.DeviceID, manage.Act) (*manage.Receipt, error), reason, done string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, err := webkit.ParseForm(w, r); err != nil {
			s.Fail(w, r, err)
			return
		}
		signed := s.Owner(w, r, "/account", nil)
		if signed == nil {
			return
		}
		id, err := directory.ParseID[directory.Device](r.PathValue("id"))
		if err != nil {
			s.Fail(w, r, fault.New(fault.NotFound, "There is no such device."))
			return
		}
		// Whether it is one's own is judged by the verb.
		receipt, err := f(r.Context(), signed.Actor, id, manage.Act{Reason: reason})
		switch {
		case err != nil:
			s.Fail(w, r, err)
		case receipt == nil:
			pages.GoTo(w, "/account?done=nothing")
		case id == signed.Session.Device:
			s.ClearCookie(w)
			s.showEnded(w, r, s.ended(r, signed.Actor, receipt.ID))
		default:
			pages.GoTo(w, "/account?done="+done+"&receipt="+url.QueryEscape(receipt.ID))
		}
	}
}
