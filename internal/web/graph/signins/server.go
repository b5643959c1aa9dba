package signins

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/review"
	"github.com/curfew-id/curfew/internal/web/graph/api"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

type (
	call   = api.Call
	object = api.Object
)

// Server answers about sign-ins.
type Server struct {
	*api.Server
	Review *review.Service
}

// Routes are the addresses under Microsoft's names, for [api.Server.Register].
func (s Server) Routes() api.Routes {
	return api.Routes{"GET /auditLogs/signIns": s.list, "GET /auditLogs/signIns/{id}": s.one}
}

// OwnRoutes are ours.
func (s Server) OwnRoutes() api.Routes {
	return api.Routes{"GET /curfew/signIns": s.find, "GET /curfew/signIns/export": s.export}
}

// page is how many are listed unless $top says otherwise.
const page = 100

func (s Server) list(c *call) error {
	o, err := c.Query(&schema)
	if err != nil {
		return err
	}
	if o.Count {
		return odata.Unsupported("The log of sign-ins is not counted.")
	}
	if o.Order != (directory.Order{}) && (o.Order.Field != directory.FieldCreated || !o.Order.Desc) {
		return odata.Unsupported("Sign-ins are listed the newest first: $orderby=createdDateTime desc.")
	}
	q := review.Query{Limit: o.Top}
	if q.Limit == 0 {
		q.Limit = page
	}
	if err := where(&q, o.Filter); err != nil {
		return err
	}
	if q.Before, err = cursor(o.SkipToken); err != nil {
		return err
	}
	return s.answer(c, q, "auditLogs/signIns"+api.Selected(o.Select), "$skiptoken", o.Select)
}

func cursor(text string) (id review.ID, err error) {
	if text == "" {
		return id, nil
	}
	if id, err = directory.ParseID[review.Entry](text); err != nil {
		return id, odata.Unreadable("The $skiptoken is not from a page of this listing.")
	}
	return id, nil
}

func (s Server) answer(c *call, q review.Query, context, option string, names []string) error {
	all, next, err := s.Review.SignIns(c.Ctx(), c.Actor, q)
	if err != nil {
		return err
	}
	value := make([]object, len(all))
	for i := range all {
		if value[i] = written(&all[i]); names != nil {
			value[i] = value[i].Pick(names)
		}
	}
	more := ""
	if !next.IsZero() {
		more = s.Next(c, option, next.String())
	}
	s.Page(c, context, -1, more, value)
	return nil
}

func (s Server) one(c *call) error {
	id, err := directory.ParseID[review.Entry](c.R.PathValue("id"))
	if err != nil {
		return fault.New(fault.NotFound, "There is no such sign-in, or it is not kept any more.")
	}
	e, err := s.Review.SignIn(c.Ctx(), c.Actor, id)
	if err != nil {
		return err
	}
	return s.Entity(c, &schema, "auditLogs/signIns", api.Row{Item: func() object { return written(e) }})
}

func (s Server) find(c *call) error {
	q, rest, err := asked(c)
	if err != nil {
		return err
	}
	q.Limit = page
	if t := rest.Get("top"); t != "" {
		if q.Limit, err = strconv.Atoi(t); err != nil || q.Limit < 1 || q.Limit > review.MaxPage {
			return odata.Unreadable("top must be a number from 1 to 1000.")
		}
	}
	if q.Before, err = cursor(rest.Get("before")); err != nil {
		return err
	}
	return s.answer(c, q, "", "before", nil)
}

// writeTime bounds how long a reader may take over one page of a stream.
const writeTime = 30 * time.Second

// export streams everything. What goes wrong after the first line cannot be told
// by a status any more: the connection breaks off, see [Stream].
func (s Server) export(c *call) error {
	q, rest, err := asked(c)
	if err != nil {
		return err
	}
	format := rest.Get("format")
	if format == "" {
		format = "jsonl"
	}
	if format != "jsonl" && format != "csv" {
		return odata.Unreadable("format is jsonl or csv.")
	}
	return Stream(c.W, format, func(f func(*review.Entry) error) error { return s.Review.Export(c.Ctx(), c.Actor, q, f) })
}

// Stream writes sign-ins as a file, jsonl or csv: all that each gives to its function.
// It returns an error as long as nothing was sent; afterwards it breaks off.
func Stream(w http.ResponseWriter, format string, each func(func(*review.Entry) error) error) error {
	rc := http.NewResponseController(w)
	begun, n := false, 0
	sheet := csv.NewWriter(w)
	begin := func() error {
		begun = true
		w.Header().Set("Content-Disposition", `attachment; filename="signins.`+format+`"`)
		w.Header().Set("Content-Type", map[string]string{"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8; header=present"}[format])
		_ = rc.SetWriteDeadline(time.Now().Add(writeTime)) // recorders in tests have none
		if format == "csv" {
			return sheet.Write(heads())
		}
		return nil
	}
	err := each(func(e *review.Entry) error {
		if !begun {
			if err := begin(); err != nil {
				return err
			}
		}
		if n++; n%review.MaxPage == 0 {
			_ = rc.SetWriteDeadline(time.Now().Add(writeTime))
		}
		if format == "csv" {
			return sheet.Write(cells(e))
		}
		b, err := api.Encode(written(e))
		if err == nil {
			_, err = w.Write(append(b, '\n'))
		}
		return err
	})
	switch {
	case err != nil && !begun:
		return err
	case err == nil && !begun:
		err = begin()
	}
	if sheet.Flush(); err == nil {
		err = sheet.Error()
	}
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

// asked reads our own filters, and returns what else there is.
func asked(c *call) (q review.Query, rest url.Values, err error) {
	values, err := url.ParseQuery(c.R.URL.RawQuery)
	if err != nil {
		return q, nil, odata.Unreadable("The query cannot be read.")
	}
	for name, all := range values {
		if len(all) != 1 || len(all[0]) > 1024 {
			return q, nil, odata.Unreadable("A filter is given more than once, or is too long.")
		}
		read, ok := filters[name]
		switch v := all[0]; {
		case ok && v != "":
			if problem := read(&q, v); problem != "" {
				return q, nil, odata.Unreadable(name + " must be " + problem + ".")
			}
		case !ok && name != "top" && name != "before" && name != "format":
			return q, nil, odata.Unsupported("There is no such filter" + odata.Quoted(name) + ".")
		}
	}
	return q, values, nil
}
