package api

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
	MaxBody  = 1 << 20 // of JSON and TOML, unpacked
	bodyTime = 30 * time.Second
)

// Text reads a whole body of one of the media types.
func (c *Call) Text(types ...string) ([]byte, error) {
	return odata.Read(c.W, c.R, MaxBody, bodyTime, types...)
}

// Body reads the body as a JSON object.
func (c *Call) Body(f odata.Form) error {
	b, err := c.Text("application/json")
	if err != nil {
		return err
	}
	return f.Read(b)
}

// Headers of ours, for requests whose body is Microsoft's.
const (
	reasonHeader = "Curfew-Reason"
	DryRunHeader = "Curfew-Dry-Run"
)

// Act reads how something is to be done. In a dry run effects are collected.
func (c *Call) Act() (manage.Act, error) {
	act := manage.Act{Reason: c.R.Header.Get(reasonHeader)}
	if !utf8.ValidString(act.Reason) {
		return act, odata.Unreadable("The header " + reasonHeader + " is not valid UTF-8.")
	}
	switch c.R.Header.Get(DryRunHeader) {
	case "", "false":
	case "true":
		act.DryRun, act.Effects = true, &[]string{}
	default: // whoever asks for a dry run in words we do not know gets none
		return act, odata.Unreadable("The header " + DryRunHeader + " must be true or false.")
	}
	return act, nil
}

// Order reads headers and body of a write.
func (c *Call) Order(f odata.Form) (manage.Act, error) {
	act, err := c.Act()
	if err == nil {
		err = c.Body(f)
	}
	return act, err
}

// OwnOrder is Order for addresses of ours, where the body may say it too.
func (c *Call) OwnOrder(f odata.Form) (manage.Act, error) {
	var reason *string
	var dry *bool
	f["reason"], f["dryRun"] = odata.Text(&reason), odata.Truth(&dry)
	act, err := c.Order(f)
	if reason != nil {
		act.Reason = *reason
	}
	if dry != nil && *dry {
		act.DryRun, act.Effects = true, &[]string{}
	}
	return act, err
}

// Done answers a write: what it would do, or the entity, or nothing more than
// that it is done. The receipt of what it cut is named in a header.
func (c *Call) Done(act manage.Act, r *manage.Receipt, status int, entity Object) error {
	if act.DryRun {
		c.Write(http.StatusOK, Object{{"dryRun", true}, {"effects", *act.Effects}})
		return nil
	}
	if r != nil {
		c.W.Header().Set("Curfew-Receipt", r.ID)
	}
	if entity == nil {
		c.W.WriteHeader(http.StatusNoContent)
		return nil
	}
	c.Write(status, entity)
	return nil
}

// Finish answers a write that has no entity to show.
func (c *Call) Finish(act manage.Act, r *manage.Receipt, err error) error {
	if err != nil {
		return err
	}
	return c.Done(act, r, 0, nil)
}

// Do runs a write whose body means nothing.
func (c *Call) Do(f func(manage.Act) (*manage.Receipt, error)) error {
	act, err := c.Act()
	if err != nil {
		return err
	}
	r, err := f(act)
	return c.Finish(act, r, err)
}

// Parameters reads the query of an address of ours: the names allowed, each once.
func (c *Call) Parameters(allowed ...string) (map[string]string, error) {
	q, err := url.ParseQuery(c.R.URL.RawQuery)
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

// ID reads an object id of the path.
func ID[Of any](c *Call, name string) (directory.ID[Of], error) {
	x, err := directory.ParseID[Of](c.R.PathValue(name))
	if err != nil {
		return x, fault.Wrap(fault.NotFound, "There is nothing at this address: an object id is expected.", err)
	}
	return x, nil
}

// User resolves the user of the path: an id, a user name, or whoever asks. A
// name is looked up as the caller, who must be allowed to read users for that.
func (s *Server) User(c *Call) (directory.UserID, error) {
	ref := c.R.PathValue("user")
	if ref == Self {
		return c.Actor.User, nil
	}
	if id, err := directory.ParseID[directory.User](ref); err == nil {
		return id, nil
	}
	v, err := s.Manage.User(c.Ctx(), c.Actor, ref)
	if err != nil {
		return directory.UserID{}, err
	}
	return v.User.ID, nil
}
