package graph

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

// row is one thing of a listing that is held in memory.
type row = odata.Row[func() object]

// query reads the query options for a listing.
func (c *call) query(s *odata.Schema) (odata.Query, error) {
	values, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return odata.Query{}, odata.Unreadable("The query cannot be read.")
	}
	return s.Parse(values)
}

// single reads the query options for one entity: only $select means something.
func (c *call) single(s *odata.Schema) ([]string, error) {
	q, err := c.query(s)
	if err != nil {
		return nil, err
	}
	if q.Filter != nil || q.Search != nil || q.Top != 0 || q.Count || q.SkipToken != "" || q.Order != (directory.Order{}) {
		return nil, odata.Unsupported("Of one entity only $select can be asked.")
	}
	return q.Select, nil
}

// selected is the part of @odata.context that repeats $select.
func selected(names []string) string {
	if names == nil {
		return ""
	}
	return "(" + strings.Join(names, ",") + ")"
}

// list answers with those of rows that the query options ask for.
func (s *Server) list(c *call, sc *odata.Schema, context string, rows []row) error {
	q, err := c.query(sc)
	if err != nil {
		return err
	}
	rows, token, count, err := odata.Page(q, rows)
	if err != nil {
		return err
	}
	out := make([]object, len(rows))
	for i, r := range rows {
		out[i] = r.Item()
		if q.Select != nil {
			out[i] = out[i].pick(append([]string{"@odata.type"}, q.Select...))
		}
	}
	if !q.Count {
		count = -1
	}
	s.page(c, context+selected(q.Select), count, s.nextPage(c, token), out)
	return nil
}

// answer lists what a verb returned.
func answer[T any](s *Server, c *call, sc *odata.Schema, context string, all []T, of func(T) row, err error) error {
	if err != nil {
		return err
	}
	rows := make([]row, len(all))
	for i, x := range all {
		rows[i] = of(x)
	}
	return s.list(c, sc, context, rows)
}

// nextPage is the address of the page with this $skiptoken, if there is one.
func (s *Server) nextPage(c *call, token string) string {
	if token == "" {
		return ""
	}
	return s.next(c, "$skiptoken", token)
}

// page writes one page of a collection; count is told unless negative, next is
// the address of the page after.
func (s *Server) page(c *call, context string, count int, next string, value []object) {
	var out object
	if context != "" {
		out = append(out, member{"@odata.context", s.context(c, context)})
	}
	if count >= 0 {
		out = append(out, member{"@odata.count", count})
	}
	if next != "" {
		out = append(out, member{"@odata.nextLink", next})
	}
	c.write(http.StatusOK, append(out, member{"value", value}))
}

// next is the address of the next page: that of this one, with one option
// replaced.
func (s *Server) next(c *call, option, value string) string {
	q := c.r.URL.Query()
	for name := range q {
		if strings.EqualFold(strings.TrimPrefix(name, "$"), strings.TrimPrefix(option, "$")) {
			q.Del(name)
		}
	}
	q.Set(option, value)
	path := strings.TrimPrefix(c.r.URL.EscapedPath(), version1)
	return s.root(c) + path + "?" + strings.ReplaceAll(q.Encode(), "%24", "$")
}

// fields makes the value function of a row.
func fields(of map[directory.Field]directory.Value) func(directory.Field) directory.Value {
	return func(f directory.Field) directory.Value { return of[f] }
}
