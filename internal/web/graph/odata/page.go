package odata

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
)

// Row is one thing of a listing that is held in memory: groups, roles,
// assignments, applications. There are few of each; people are listed by the
// store.
type Row[T any] struct {
	ID    string
	Value func(directory.Field) directory.Value
	Item  T
}

// Page returns those of rows that q asks for, in its order; the $skiptoken of the
// next page, if there is one; and how many there are on all pages. It keeps rows'
// backing array. Kind: Invalid, for a $skiptoken that is not of this order.
func Page[T any](q Query, rows []Row[T]) (page []Row[T], next string, count int, err error) {
	rows = slices.DeleteFunc(rows, func(r Row[T]) bool { return !q.Filter.Match(r.Value) || !q.Search.Match(r.Value) })
	count = len(rows)
	key := func(r Row[T]) string { return sortKey(q.Order, r.ID, r.Value) }
	slices.SortFunc(rows, func(a, b Row[T]) int {
		if q.Order.Desc {
			a, b = b, a
		}
		return strings.Compare(key(a), key(b))
	})
	head := "+" + string(q.Order.Field) + "\x00"
	if q.Order.Desc {
		head = "-" + head[1:]
	}
	if q.SkipToken != "" {
		b, err := base64.RawURLEncoding.DecodeString(q.SkipToken)
		last, ok := strings.CutPrefix(string(b), head)
		if err != nil || !ok {
			return nil, "", 0, errToken
		}
		rows = slices.DeleteFunc(rows, func(r Row[T]) bool { return key(r) == last || key(r) < last != q.Order.Desc })
	}
	if top := (&directory.UserQuery{Top: q.Top}).Limit(); len(rows) > top {
		rows = rows[:top]
		next = base64.RawURLEncoding.EncodeToString([]byte(head + key(rows[top-1])))
	}
	return rows, next, count, nil
}

// sortKey orders rows as texts: the field, then the id. Without a field the order
// is that of ids, oldest first.
func sortKey(o directory.Order, id string, value func(directory.Field) directory.Value) string {
	if o.Field == "" {
		return id
	}
	v := value(o.Field)
	key := strings.ToLower(v.Text)
	if v.Kind == directory.KindTime && !v.Time.IsZero() {
		key = v.Time.UTC().Format("2006-01-02T15:04:05.000000000Z")
	}
	return key + "\x00" + id
}
