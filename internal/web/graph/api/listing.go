package api

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

// Row is one thing of a listing that is held in memory.
type Row = odata.Row[func() Object]

// Query reads the query options for a listing.
func (c *Call) Query(s *odata.Schema) (odata.Query, error) {
	values, err := url.ParseQuery(c.R.URL.RawQuery)
	if err != nil {
		return odata.Query{}, odata.Unreadable("The query cannot be read.")
	}
	return s.Parse(values)
}

// Single reads the query options for one entity: only $select means something.
func (c *Call) Single(s *odata.Schema) ([]string, error) {
	q, err := c.Query(s)
	if err != nil {
		return nil, err
	}
	if q.Filter != nil || q.Search != nil || q.Top != 0 || q.Count || q.SkipToken != "" || q.Order != (directory.Order{}) {
		return nil, odata.Unsupported("Of one entity only $select can be asked.")
	}
	return q.Select, nil
}

// Selected is the part of @odata.context that repeats $select.
func Selected(names []string) string {
	if names == nil {
		return ""
	}
	return "(" + strings.Join(names, ",") + ")"
}

// List answers with those of rows that the query options ask for.
func (s *Server) List(c *Call, sc *odata.Schema, context string, rows []Row) error {
	q, err := c.Query(sc)
	if err != nil {
		return err
	}
	rows, token, count, err := odata.Page(q, rows)
	if err != nil {
		return err
	}
	out := make([]Object, len(rows))
	for i, r := range rows {
		out[i] = r.Item()
		if q.Select != nil {
			out[i] = out[i].Pick(append([]string{"@odata.type"}, q.Select...))
		}
	}
	if !q.Count {
		count = -1
	}
	s.Page(c, context+Selected(q.Select), count, s.NextPage(c, token), out)
	return nil
}

// Answer lists what a verb returned.
func Answer[T any](s *Server, c *Call, sc *odata.Schema, context string, all []T, of func(T) Row, err error) error {
	if err != nil {
		return err
	}
	rows := make([]Row, len(all))
	for i, x := range all {
		rows[i] = of(x)
	}
	return s.List(c, sc, context, rows)
}

// Entity answers with one thing of a listing.
func (s *Server) Entity(c *Call, sc *odata.Schema, set string, r Row) error {
	names, err := c.Single(sc)
	if err != nil {
		return err
	}
	o := r.Item()
	if names != nil {
		o = o.Pick(names)
	}
	c.Write(http.StatusOK, append(Object{{"@odata.context", s.Context(c, set+Selected(names)+"/$entity")}}, o...))
	return nil
}

// NextPage is the address of the page with this $skiptoken, if there is one.
func (s *Server) NextPage(c *Call, token string) string {
	if token == "" {
		return ""
	}
	return s.Next(c, "$skiptoken", token)
}

// Page writes one page of a collection; count is told unless negative, next is
// the address of the page after.
func (s *Server) Page(c *Call, context string, count int, next string, value []Object) {
	var out Object
	if context != "" {
		out = append(out, Member{"@odata.context", s.Context(c, context)})
	}
	if count >= 0 {
		out = append(out, Member{"@odata.count", count})
	}
	if next != "" {
		out = append(out, Member{"@odata.nextLink", next})
	}
	c.Write(http.StatusOK, append(out, Member{"value", value}))
}

// Next is the address of the next page: that of this one, with one option
// replaced.
func (s *Server) Next(c *Call, option, value string) string {
	q := c.R.URL.Query()
	for name := range q {
		if strings.EqualFold(strings.TrimPrefix(name, "$"), strings.TrimPrefix(option, "$")) {
			q.Del(name)
		}
	}
	q.Set(option, value)
	path := strings.TrimPrefix(c.R.URL.EscapedPath(), Version)
	return s.Root(c) + path + "?" + strings.ReplaceAll(q.Encode(), "%24", "$")
}

// Fields makes the value function of a row.
func Fields(of map[directory.Field]directory.Value) func(directory.Field) directory.Value {
	return func(f directory.Field) directory.Value { return of[f] }
}
