package own

import (
	"cmp"
	"context"
	"strconv"

	"github.com/curfew-id/curfew/internal/deliver"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/web/graph/api"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

// deliveryRoutes are who is told of logouts, and what they were not told. A server
// that tells nobody has none.
func (s Server) deliveryRoutes() api.Routes {
	if s.Deliver == nil {
		return nil
	}
	return api.Routes{
		"GET /curfew/deliveries":              s.getDeliveries,
		"POST /curfew/deliveries/{id}/retry":  s.postDelivery,
		"GET /curfew/deadLetters":             s.getDeadLetters,
		"POST /curfew/deadLetters/{id}/retry": s.postDeadLetter(s.Deliver.Retry),
		"POST /curfew/deadLetters/{id}/drop":  s.postDeadLetter(s.Deliver.Drop),
	}
}

func (s Server) getDeliveries(c *call) error {
	if _, err := c.Parameters(); err != nil {
		return err
	}
	all, err := s.Deliver.Recipients(c.Ctx(), c.Actor)
	if err == nil {
		s.Page(c, "", -1, "", views(all))
	}
	return err
}

// getDeadLetters pages by the id of the last one seen.
func (s Server) getDeadLetters(c *call) error {
	q, err := c.Parameters("after", "top")
	if err != nil {
		return err
	}
	var after deliver.LetterID
	if q["after"] != "" {
		err = after.UnmarshalText([]byte(q["after"]))
	}
	limit, terr := strconv.Atoi(cmp.Or(q["top"], "100"))
	if err != nil || terr != nil || limit < 1 || limit > deliver.MaxLetters {
		return odata.Unreadable("The query parameter after is an id, and top a number from 1 to " + strconv.Itoa(deliver.MaxLetters) + ".")
	}
	all, err := s.Deliver.Letters(c.Ctx(), c.Actor, after, limit)
	if err != nil {
		return err
	}
	next := ""
	if len(all) == limit {
		next = s.Next(c, "after", all[limit-1].ID.String())
	}
	s.Page(c, "", -1, next, views(all))
	return nil
}

func (s Server) postDelivery(c *call) error {
	return s.deliveryAct(c, func(act deliver.Act) error { return s.Deliver.Wake(c.Ctx(), c.Actor, app(c), act) })
}

func (s Server) postDeadLetter(f func(context.Context, directory.Actor, deliver.LetterID, deliver.Act) error) func(*call) error {
	return func(c *call) error {
		return s.deliveryAct(c, func(act deliver.Act) error {
			var which deliver.LetterID
			if err := which.UnmarshalText([]byte(c.R.PathValue("id"))); err != nil {
				return fault.Wrap(fault.NotFound, "There is no such dead letter.", err)
			}
			return f(c.Ctx(), c.Actor, which, act)
		})
	}
}

func (s Server) deliveryAct(c *call, f func(deliver.Act) error) error {
	return c.Do(func(act manage.Act) (*manage.Receipt, error) {
		return nil, f(deliver.Act{Reason: act.Reason, DryRun: act.DryRun})
	})
}
