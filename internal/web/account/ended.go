package account

import (
	"net/http"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/web/pages"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

var endedPage = webkit.NewPage[EndedPage](set, "ended")

// Ended is a receipt in the words of whose it is: what is left stands first.
type Ended struct {
	webkit.Clock
	Receipt           string
	Device            string // whose end it is alone; empty: everything's
	At                time.Time
	Kept              bool // this browser stays signed in
	Sessions, Grants  int
	Counted           bool // what was still out there is known
	Guards, Confirmed int
	Left              []LeftRow
}

// LeftRow is a place that still accepts something, or may.
type LeftRow struct{ Icon, What, When, Why string }

// EndedPage is shown where nothing is left to be signed in with.
type EndedPage struct {
	webkit.Frame
	Ended *Ended // nil: nothing had to be ended
}

// ended reads a receipt about the reader; nil: there is none that they may read.
func (s *Server) ended(r *http.Request, actor directory.Actor, id string) *Ended {
	if id == "" || len(id) > 100 {
		return nil
	}
	v, err := s.Relay.Receipt(r.Context(), actor, id)
	if err != nil || v.About != actor.User || v.Target.Kind != "user" && v.Target.Kind != "device" {
		return nil // what was ended is ended all the same; the page says what it knows
	}
	c := webkit.Clock{Now: s.Now()}
	e := &Ended{Clock: c, Receipt: v.ID, At: v.At.In(c.Now.Location()), Kept: v.Kept, Sessions: v.Sessions, Grants: v.Grants, Counted: v.Counted, Guards: v.Guards, Confirmed: v.Confirmed}
	if v.Target.Kind == "device" {
		e.Device = v.Target.Name
	}
	for _, row := range v.Left {
		e.Left = append(e.Left, left(c, row))
	}
	return e
}

// left says of one place how long it stays open, and why.
func left(c webkit.Clock, row relay.Row) LeftRow {
	at := row.At.In(c.Now.Location())
	switch row.State {
	case relay.Lives:
		return LeftRow{"lives", row.Protects, "until " + c.Sec(at), "No guard. Nothing can end it sooner."}
	case relay.Closes:
		return LeftRow{"closes", row.Protects + ", at " + row.Where, "by " + c.Sec(at), "This guard is silent. It refuses everything by itself then."}
	case relay.Waiting:
		return LeftRow{"waiting", row.Protects + ", at " + row.Where, "waiting", "This guard has not confirmed yet."}
	}
	why := row.Why
	if why == "" {
		why = "Whether it is over is not known."
	}
	return LeftRow{"info", row.Protects, "unknown", why}
}

// showEnded is the page after the last session of somebody has ended, this one too.
func (s *Server) showEnded(w http.ResponseWriter, r *http.Request, e *Ended) {
	title := "Signed out everywhere"
	if e != nil && e.Device != "" {
		title = "Signed out on this device"
	}
	pages.Show(s.Server, w, r, endedPage, http.StatusOK, EndedPage{Frame: s.Frame(r, title), Ended: e})
}
