package portal

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Sizes of a page of users; a hundred rows keep it under 100 KB.
var userSizes = []int{25, 50, 100}

const (
	defaultSize = 50
	maxQuery    = 120 // characters searched for
	facets      = 8   // departments offered as a filter
)

// list is what the address of the users list asks for.
type list struct {
	v                               *visit
	query, status, role, department string
	descending                      bool
	size, at                        int
	after, before                   string // key of the page's edge; at most one is set
	users                           directory.UserQuery
	nobody                          bool // the role filter leaves nobody
	holders                         map[directory.UserID][]directory.RoleID
}

// with is the address of the same list with changes, from its first page; a change
// to "" takes a field away.
func (l *list) with(changes ...string) string {
	u := url.Values{}
	set := func(k, v string) {
		if u.Del(k); v != "" {
			u.Set(k, v)
		}
	}
	set("q", l.query)
	set("status", l.status)
	set("role", l.role)
	set("department", l.department)
	if l.descending {
		set("sort", "-name")
	}
	if l.size != defaultSize {
		set("size", strconv.Itoa(l.size))
	}
	for i := 0; i+1 < len(changes); i += 2 {
		set(changes[i], changes[i+1])
	}
	if len(u) == 0 {
		return desk.PathUsers
	}
	return desk.PathUsers + "?" + u.Encode()
}

func (v *visit) list() (*list, error) {
	l := &list{v: v, query: strings.TrimSpace(v.Q.Get("q")), status: v.Q.Get("status"), role: v.Q.Get("role"), department: v.Q.Get("department"),
		descending: v.Q.Get("sort") == "-name", size: defaultSize, after: v.Q.Get("after"), before: v.Q.Get("before")}
	if r := []rune(l.query); len(r) > maxQuery {
		l.query = string(r[:maxQuery])
	}
	if n, err := strconv.Atoi(v.Q.Get("size")); err == nil && slices.Contains(userSizes, n) {
		l.size = n
	}
	if n, err := strconv.Atoi(v.Q.Get("at")); err == nil && n > 1 && (l.after != "" || l.before != "") {
		l.at = n
	} else {
		l.at = 1
	}
	var err error
	if l.holders, err = v.Holders(); err != nil {
		return nil, err
	}
	l.users = directory.UserQuery{Top: l.size, After: l.after, Order: directory.Order{Field: directory.FieldDisplayName, Desc: l.descending}, Search: search(l.query)}
	if l.before != "" {
		l.users.After, l.users.Order.Desc = l.before, !l.descending
	}
	var all []*directory.Expr
	if l.status == "enabled" || l.status == "disabled" {
		all = append(all, &directory.Expr{Op: directory.Equal, Field: directory.FieldEnabled, Values: []directory.Value{directory.Bool(l.status == "enabled")}})
	} else {
		l.status = ""
	}
	if l.department != "" {
		all = append(all, &directory.Expr{Op: directory.Equal, Field: directory.FieldDepartment, Values: []directory.Value{directory.Text(l.department)}})
	}
	if l.role != "" {
		in := &directory.Expr{Op: directory.In, Field: directory.FieldID}
		for id, roles := range l.holders {
			if l.role == "any" || slices.Contains(roles, directory.RoleID(l.role)) {
				in.Values = append(in.Values, directory.IDValue(id))
			}
		}
		if len(in.Values) == 0 {
			l.nobody = true
		} else {
			all = append(all, in)
		}
	}
	if len(all) > 0 {
		l.users.Filter = &directory.Expr{Op: directory.And, Args: all}
	}
	return l, nil
}

// search finds people by the beginnings of words of their name or user name. What
// is typed of an address is found by its first part, of which there are few, and
// then compared: each word of a domain begins a word of everybody.
func search(q string) *directory.Expr {
	if q == "" {
		return nil
	}
	words := func(f directory.Field, q string) *directory.Expr {
		return &directory.Expr{Op: directory.HasWords, Field: f, Values: []directory.Value{directory.Text(q)}}
	}
	if local, _, ok := strings.Cut(q, "@"); ok && len(directory.Words(local)) > 0 {
		return &directory.Expr{Op: directory.And, Args: []*directory.Expr{words(directory.FieldName, local),
			{Op: directory.StartsWith, Field: directory.FieldName, Values: []directory.Value{directory.Text(q)}}}}
	}
	return &directory.Expr{Op: directory.Or, Args: []*directory.Expr{words(directory.FieldDisplayName, q), words(directory.FieldName, q)}}
}

func (s *Server) getUsers(v *visit) error {
	began := time.Now()
	l, err := v.list()
	if err != nil {
		return err
	}
	view := Users{Query: l.query, SortURL: l.with("sort", "-name"), Descending: l.descending, ClearURL: desk.PathUsers,
		CanRevokeAll: role.Allowed(v.Actor, role.CutDirectory, role.Target{}).OK}
	if l.descending {
		view.SortURL = l.with("sort", "")
	}
	ordinary := role.Target{ID: directory.NewID[directory.User](began)}
	for _, verb := range []desk.Verb{RevokeSessions, DisableAccount, EnableAccount} {
		if role.Allowed(v.Actor, action[verb], ordinary).OK {
			view.Bulk = append(view.Bulk, verb)
		}
	}
	var rows []*directory.User
	if !l.nobody {
		rows, view.Found, err = l.read(&view.Paging)
		if err != nil {
			return err
		}
	}
	if view.Rows, err = v.userRows(rows, l.holders); err != nil {
		return err
	}
	view.Filters, view.Hidden = l.filters(rows)
	view.Shell = v.Shell("Users")
	view.Empty = view.UserCount == 0
	view.Took = time.Since(began)
	return desk.Show(v.Visit, usersPage, http.StatusOK, view)
}

// read reads one page and counts. Going back reads the reverse order. How many
// there are in all is known from the navigation.
func (l *list) read(p *desk.Paging) (rows []*directory.User, found int, err error) {
	found = -1
	if l.users.Filter == nil && l.users.Search == nil {
		found = l.v.UserCount()
	}
	l.users.Count = found < 0
	page, err := l.v.s.Manage.Users(l.v.Ctx(), l.v.Actor, l.users)
	if l.users.Count {
		found = page.Count
	}
	if err != nil || len(page.Users) == 0 {
		return nil, found, err
	}
	rows = page.Users
	more := page.Next != ""
	hasPrev, hasNext := l.after != "", more
	if l.before != "" {
		slices.Reverse(rows)
		hasPrev, hasNext = more, true
	}
	if !hasPrev {
		l.at = 1
	}
	order, first, last := l.users.Order, rows[0], rows[len(rows)-1]
	*p = desk.Paging{From: l.at, To: l.at + len(rows) - 1, Total: found, Size: l.size}
	p.Total = max(p.Total, p.To) // somebody was deleted meanwhile
	if hasNext {
		order.Desc = l.descending
		p.NextURL = l.with("after", order.PageKey(last), "at", strconv.Itoa(l.at+len(rows)))
	}
	if hasPrev {
		order.Desc = !l.descending
		p.PrevURL = l.with("before", order.PageKey(first), "at", strconv.Itoa(max(1, l.at-l.size)))
	}
	for _, n := range userSizes {
		size := strconv.Itoa(n)
		if n == defaultSize {
			size = ""
		}
		p.Sizes = append(p.Sizes, webkit.Link{Text: strconv.Itoa(n), URL: l.with("size", size), Current: n == l.size})
	}
	return rows, found, nil
}

// filters are the pills, and the hidden fields that keep them while searching.
// Departments are offered as they stand on the page.
func (l *list) filters(rows []*directory.User) (pills []desk.Filter, hidden []desk.Hidden) {
	pill := func(label, name, value, words string, options []webkit.Link) {
		f := desk.Filter{Label: label}
		if value == "" {
			f.Options = options
		} else {
			f.Value, f.ClearURL = words, l.with(name, "")
			hidden = append(hidden, desk.Hidden{Name: name, Value: value})
		}
		if f.Value != "" || len(f.Options) > 0 {
			pills = append(pills, f)
		}
	}
	status := map[string]string{"enabled": "Enabled", "disabled": "Disabled"}
	pill("Status", "status", l.status, status[l.status], []webkit.Link{{Text: "Enabled", URL: l.with("status", "enabled")}, {Text: "Disabled", URL: l.with("status", "disabled")}})
	held := map[directory.RoleID]bool{}
	for _, roles := range l.holders {
		for _, r := range roles {
			held[r] = true
		}
	}
	roles := []webkit.Link{{Text: "Any role", URL: l.with("role", "any")}}
	words := "Any role"
	if l.role != "any" {
		words = "Unknown role"
	}
	for _, r := range role.All() {
		if held[r.ID] {
			roles = append(roles, webkit.Link{Text: r.Name, URL: l.with("role", string(r.ID))})
		}
		if string(r.ID) == l.role {
			words = r.Name
		}
	}
	pill("Role", "role", l.role, words, roles)
	var departments []webkit.Link
	for _, u := range rows {
		if u.Department != "" && len(departments) < facets && !slices.ContainsFunc(departments, func(x webkit.Link) bool { return x.Text == u.Department }) {
			departments = append(departments, webkit.Link{Text: u.Department, URL: l.with("department", u.Department)})
		}
	}
	pill("Department", "department", l.department, l.department, departments)
	if l.descending {
		hidden = append(hidden, desk.Hidden{Name: "sort", Value: "-name"})
	}
	if l.size != defaultSize {
		hidden = append(hidden, desk.Hidden{Name: "size", Value: strconv.Itoa(l.size)})
	}
	return pills, hidden
}

// readersAtOnce bounds how many rows' figures are read side by side.
const readersAtOnce = 4

// userRows adds to each user what is open. Who may not see that gets unknown.
func (v *visit) userRows(users []*directory.User, holders map[directory.UserID][]directory.RoleID) ([]UserRow, error) {
	rows, errs := make([]UserRow, len(users)), make([]error, readersAtOnce)
	var readers sync.WaitGroup
	for n := range readersAtOnce {
		readers.Go(func() {
			for i := n; i < len(users) && errs[n] == nil; i += readersAtOnce {
				rows[i], errs[n] = v.userRow(users[i], role.Names(holders[users[i].ID]))
			}
		})
	}
	readers.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func (v *visit) userRow(u *directory.User, roles []string) (UserRow, error) {
	row := UserRow{ID: u.ID.String(), Name: desk.Calling(u), UserName: u.Name, Account: account(u), Roles: roles, Sessions: -1, Grants: -1, Tokens: -1}
	x, err := v.s.Relay.Exposure(v.Ctx(), v.Actor, u.ID)
	switch {
	case fault.Is(err, fault.Denied) || fault.Is(err, fault.NotFound):
		return row, nil
	case err != nil:
		return row, err
	}
	row.Sessions, row.Grants, row.Tokens, row.Ends = len(x.Sessions), len(x.Grants), len(desk.Tokens(x)), overall(x)
	for _, b := range x.Sessions {
		if b.AuthTime.After(row.LastSignIn) {
			row.LastSignIn = b.AuthTime
		}
	}
	return row, nil
}

func account(u *directory.User) Account {
	switch {
	case !u.Enabled:
		return Disabled
	case u.Service:
		return ServiceAccount
	case u.Password.MustChange:
		return NewPasswordDue
	}
	return Enabled
}
