package own

import (
	"cmp"
	"context"
	"net/http"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/web/graph/api"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

// liveRoutes show sessions and grants one by one, and by who holds them.
func (s Server) liveRoutes() api.Routes {
	return api.Routes{
		"GET /curfew/sessions/{id}":         one(s.Relay.Session),
		"GET /curfew/grants/{id}":           one(s.Relay.Grant),
		"GET /curfew/apps/{id}/grants":      held(s, ofApp, s.Relay.GrantsOf),
		"GET /curfew/devices/{id}/grants":   held(s, ofDevice, s.Relay.GrantsOf),
		"GET /curfew/devices/{id}/sessions": held(s, ofDevice, s.Relay.SessionsOf),
	}
}

func one[View seen, Of any](f func(context.Context, directory.Actor, directory.ID[Of]) (*View, error)) func(*call) error {
	return func(c *call) error {
		if _, err := c.Parameters(); err != nil {
			return err
		}
		which, err := api.ID[Of](c, "id")
		if err != nil {
			return err
		}
		v, err := f(c.Ctx(), c.Actor, which)
		if err == nil {
			c.Write(http.StatusOK, view(v))
		}
		return err
	}
}

func ofApp(c *call) (relay.Holder, error) { return relay.Holder{App: app(c)}, nil }

func ofDevice(c *call) (relay.Holder, error) {
	d, err := api.ID[directory.Device](c, "id")
	return relay.Holder{Device: d}, err
}

// held answers with one page. A page may be empty and another follow.
func held[View seen, Of any](s Server, of func(*call) (relay.Holder, error), f func(context.Context, directory.Actor, relay.Holder, directory.ID[Of]) ([]View, directory.ID[Of], error)) func(*call) error {
	return func(c *call) error {
		q, err := c.Parameters("before")
		if err != nil {
			return err
		}
		h, err := of(c)
		if err != nil {
			return err
		}
		before, err := directory.ParseID[Of](cmp.Or(q["before"], directory.ID[Of]{}.String()))
		if err != nil {
			return odata.Unreadable("The query parameter before is an object id.")
		}
		all, next, err := f(c.Ctx(), c.Actor, h, before)
		if err != nil {
			return err
		}
		link := ""
		if !next.IsZero() {
			link = s.Next(c, "before", next.String())
		}
		s.Page(c, "", -1, link, views(all))
		return nil
	}
}
