package graph

import (
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

const (
	maxBody   = 1 << 20   // of JSON and TOML, unpacked
	maxImport = 200 << 20 // of CSV, unpacked
	bodyTime  = 30 * time.Second
	fileTime  = 10 * time.Minute
)

// text reads a whole body of one of the media types.
func (c *call) text(types ...string) ([]byte, error) {
	return odata.Read(c.w, c.r, maxBody, bodyTime, types...)
}

// object reads the body as a JSON object.
func (c *call) object(f odata.Form) error {
	b, err := c.text("application/json")
	if err != nil {
		return err
	}
	return f.Read(b)
}

// Headers of ours, for requests whose body is Microsoft's.
const (
	reasonHeader = "Curfew-Reason"
	dryRunHeader = "Curfew-Dry-Run"
)

// act reads how something is to be done. In a dry run effects are collected.
func (c *call) act() (manage.Act, error) {
	act := manage.Act{Reason: c.r.Header.Get(reasonHeader)}
	if !utf8.ValidString(act.Reason) {
		return act, odata.Unreadable("The header " + reasonHeader + " is not valid UTF-8.")
	}
	switch c.r.Header.Get(dryRunHeader) {
	case "", "false":
	case "true":
		act.DryRun, act.Effects = true, &[]string{}
	default: // whoever asks for a dry run in words we do not know gets none
		return act, odata.Unreadable("The header " + dryRunHeader + " must be true or false.")
	}
	return act, nil
}

// order reads headers and body of a write.
func (c *call) order(f odata.Form) (manage.Act, error) {
	act, err := c.act()
	if err == nil {
		err = c.object(f)
	}
	return act, err
}

// ownOrder is order for addresses of ours, where the body may say it too.
func (c *call) ownOrder(f odata.Form) (manage.Act, error) {
	var reason *string
	var dry *bool
	f["reason"], f["dryRun"] = odata.Text(&reason), odata.Truth(&dry)
	act, err := c.order(f)
	if reason != nil {
		act.Reason = *reason
	}
	if dry != nil && *dry {
		act.DryRun, act.Effects = true, &[]string{}
	}
	return act, err
}

// done answers a write: what it would do, or the entity, or nothing more than
// that it is done. The receipt of what it cut is named in a header.
func (c *call) done(act manage.Act, r *manage.Receipt, status int, entity object) error {
	if act.DryRun {
		c.write(http.StatusOK, object{{"dryRun", true}, {"effects", *act.Effects}})
		return nil
	}
	if r != nil {
		c.w.Header().Set("Curfew-Receipt", r.ID)
	}
	if entity == nil {
		c.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	c.write(status, entity)
	return nil
}

// finish answers a write that has no entity to show.
func (c *call) finish(act manage.Act, r *manage.Receipt, err error) error {
	if err != nil {
		return err
	}
	return c.done(act, r, 0, nil)
}

// do runs a write whose body means nothing.
func (c *call) do(f func(manage.Act) (*manage.Receipt, error)) error {
	act, err := c.act()
	if err != nil {
		return err
	}
	r, err := f(act)
	return c.finish(act, r, err)
}

// parameters reads the query of an address of ours: the names allowed, each once.
func (c *call) parameters(allowed ...string) (map[string]string, error) {
	q, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return nil, odata.Unreadable("The query cannot be read.")
	}
	out := map[string]string{}
	for name, values := range q {
		known := false
		for _, a := range allowed {
			known = known || a == name
		}
		switch {
		case !known:
			return nil, odata.Unsupported("There is a query parameter that this address does not know" + odata.Quoted(name) + ".")
		case len(values) != 1:
			return nil, odata.Unreadable("The query parameter " + name + " is there twice.")
		case !utf8.ValidString(values[0]) || strings.ContainsRune(values[0], 0):
			return nil, odata.Unreadable("The query parameter " + name + " is not a text.")
		}
		out[name] = values[0]
	}
	return out, nil
}

// id reads an object id of the path.
func id[Of any](c *call, name string) (directory.ID[Of], error) {
	x, err := directory.ParseID[Of](c.r.PathValue(name))
	if err != nil {
		return x, fault.Wrap(fault.NotFound, "There is nothing at this address: an object id is expected.", err)
	}
	return x, nil
}
