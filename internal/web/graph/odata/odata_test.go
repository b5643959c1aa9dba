package odata

import (
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
)

// people to ask about, by first name.
func people() map[string]*directory.User {
	day := func(d int) time.Time { return time.Date(2026, 3, d, 8, 0, 0, 0, time.UTC) }
	return map[string]*directory.User{
		"ada":     {ID: directory.UserID{1}, Name: "ada@contoso.example", DisplayName: "Ada Lovelace", Mail: "ada.lovelace@contoso.example", Department: "Research", Enabled: true, Created: day(1)},
		"grace":   {ID: directory.UserID{2}, Name: "grace@contoso.example", DisplayName: "Grace Hopper", Department: "research", JobTitle: "Rear admiral (\"amazing\")", Enabled: true, Created: day(2)},
		"mallory": {ID: directory.UserID{3}, Name: "mallory@evil.example", DisplayName: "Mallory O'Hara", Mail: "m@evil.example", Department: "Sales", Created: day(3), Deleted: day(4)},
	}
}

func found(e *directory.Expr) string {
	var names []string
	for _, n := range []string{"ada", "grace", "mallory"} {
		if e.Match(people()[n].Value) {
			names = append(names, n)
		}
	}
	return strings.Join(names, " ")
}

func TestFilterFinds(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string]string{
		"displayName eq 'Ada Lovelace'":                                          "ada",
		"DISPLAYNAME EQ 'ada lovelace'":                                          "ada",
		"displayName eq 'Mallory O''Hara'":                                       "mallory",
		"displayName ne 'Ada Lovelace'":                                          "grace mallory",
		"department in ('Research', 'Sales')":                                    "ada grace mallory",
		"department in ('Sales')":                                                "mallory",
		"accountEnabled eq false":                                                "mallory",
		"accountEnabled eq true":                                                 "ada grace",
		"accountEnabled ne true":                                                 "mallory",
		"accountEnabled in (true,false)":                                         "ada grace mallory",
		"startswith(displayName,'gr')":                                           "grace",
		"startsWith(displayName, 'gr') eq true":                                  "grace",
		"startsWith(displayName, 'gr') eq false":                                 "ada mallory",
		"startsWith(displayName, 'gr') ne false":                                 "grace",
		"endsWith(userPrincipalName,'@CONTOSO.example')":                         "ada grace",
		"not endswith(userPrincipalName,'@contoso.example')":                     "mallory",
		"not (accountEnabled eq true and department eq 'research')":              "mallory",
		"not not accountEnabled eq true":                                         "ada grace",
		"mail eq null":                                                           "grace",
		"mail ne null":                                                           "ada mallory",
		"mail in (null,'m@evil.example')":                                        "grace mallory",
		"deletedDateTime eq null":                                                "ada grace",
		"deletedDateTime lt 2027-01-01":                                          "mallory",
		"createdDateTime ge 2026-03-02T08:00:00Z":                                "grace mallory",
		"createdDateTime gt 2026-03-02T08:00:00Z":                                "mallory",
		"createdDateTime le 2026-03-02T10:00:00+02:00":                           "ada grace",
		"createdDateTime lt 2026-03-02t08:00:00z":                                "ada",
		"createdDateTime eq 2026-03-02T08:00:00.000Z":                            "grace",
		"createdDateTime ge 2026-03-02":                                          "grace mallory",
		"id eq '02000000-0000-0000-0000-000000000000'":                           "grace",
		"id eq 02000000-0000-0000-0000-000000000000":                             "grace",
		"id ne 02000000-0000-0000-0000-000000000000":                             "ada mallory",
		"id in ('01000000-0000-0000-0000-000000000000')":                         "ada",
		"displayName eq 'x' or displayName eq 'y' and accountEnabled eq true":    "",
		"accountEnabled eq false or department eq 'research' and mail eq null":   "grace mallory",
		"(accountEnabled eq false or department eq 'research') and mail eq null": "grace",
		"((((mail eq null))))":                                                   "grace",
		"  mail\teq  null  ":                                                     "grace",
		"jobTitle eq 'and'":                                                      "",
		"displayName eq ''":                                                      "",
		"displayName eq '(),'''":                                                 "",
	} {
		e, err := Users.parseFilter(filter)
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		if got := found(e); got != want {
			t.Errorf("%s finds %q, want %q", filter, got, want)
		}
		again, err := Users.parseFilter(writeFilter(e))
		if err != nil || !reflect.DeepEqual(e, again) {
			t.Errorf("%s became %s: %v", filter, writeFilter(e), err)
		}
	}
}

func TestFilterRefuses(t *testing.T) {
	t.Parallel()
	deep := func(n int) string { return strings.Repeat("(", n) + "mail eq null" + strings.Repeat(")", n) }
	many := func(n int) string { return strings.Repeat("mail eq null or ", n-1) + "mail eq null" }
	for _, ok := range []string{deep(maxDepth), many(maxTerms)} {
		if _, err := Users.parseFilter(ok); err != nil {
			t.Errorf("%.40s… at the limit: %v", ok, err)
		}
	}
	for filter, want := range map[string]Code{
		"":                                BadRequest,
		"mail":                            BadRequest,
		"mail eq":                         BadRequest,
		"mail eq 'x":                      BadRequest,
		"mail eq x":                       BadRequest,
		"mail eq 12":                      BadRequest,
		"mail eq \"x\"":                   BadRequest,
		"mail eq 'x' and":                 BadRequest,
		"mail eq 'x' or or mail eq 'y'":   UnsupportedQuery,
		"mail eq 'x')":                    BadRequest,
		"(mail eq 'x'":                    BadRequest,
		"mail eq 'x' mail eq 'y'":         BadRequest,
		"mail has 'x'":                    BadRequest,
		"mail 'x'":                        BadRequest,
		"'x' eq mail":                     BadRequest,
		"mail in ()":                      BadRequest,
		"mail in ('x',)":                  BadRequest,
		"mail in 'x'":                     BadRequest,
		"mail in ('x'":                    BadRequest,
		"accountEnabled eq 'true'":        BadRequest,
		"accountEnabled eq null":          BadRequest,
		"id eq null":                      BadRequest,
		"id eq 'ada'":                     BadRequest,
		"createdDateTime ge '2026-03-02'": BadRequest,
		"createdDateTime ge null":         BadRequest,
		"createdDateTime ge 0001-01-01":   BadRequest,
		"createdDateTime ge 2026-13-02":   BadRequest,
		"startswith(mail)":                BadRequest,
		"startswith('a','b')":             BadRequest,
		"startswith(mail,mail)":           BadRequest,
		"startswith(mail,null)":           BadRequest,
		"startswith(mail,'x'":             BadRequest,
		"startswith(mail,'x') eq 'true'":  BadRequest,
		"startswith mail":                 UnsupportedQuery,
		"mail eq 'x'; drop":               BadRequest,
		"mail gt 'x'":                     UnsupportedQuery,
		"password eq 'x'":                 UnsupportedQuery,
		"contains(mail,'x')":              UnsupportedQuery,
		"startswith(accountEnabled,'x')":  UnsupportedQuery,
		"businessPhones/any(p:p eq '1')":  UnsupportedQuery,
		deep(maxDepth + 1):                UnsupportedQuery,
		many(maxTerms + 1):                UnsupportedQuery,
		strings.Repeat("not ", maxDepth+1) + "mail eq null":     UnsupportedQuery,
		"mail in (" + strings.Repeat("'x',", maxTerms) + "'x')": UnsupportedQuery,
		strings.Repeat("(", 4000):                               UnsupportedQuery,
	} {
		e, err := Users.parseFilter(filter)
		refused(t, filter, err, want)
		if e != nil {
			t.Errorf("%.60s: refused and read", filter)
		}
	}
}

func refused(t *testing.T, what string, err error, want Code) {
	t.Helper()
	var c Code
	if !fault.Is(err, fault.Invalid) || !errors.As(err, &c) || c != want {
		t.Errorf("%.60s: %v, want %s", what, err, want)
		return
	}
	if s := fault.Public(err); !strings.HasSuffix(s, ".") || strings.Contains(s, "drop") {
		t.Errorf("%.60s: sentence %q", what, s)
	}
}

func TestSearchFinds(t *testing.T) {
	t.Parallel()
	for search, want := range map[string]string{
		`"displayName:lov"`:                        "ada",
		`"displayName:LOVE AD"`:                    "ada",
		`"displayName:ove"`:                        "",
		`"userPrincipalName:grace"`:                "grace",
		`"userPrincipalName:grace@con"`:            "grace",
		`UserPrincipalName:grace`:                  "grace",
		`"mail:lovelace"`:                          "ada",
		`contoso`:                                  "ada grace",
		`"contoso"`:                                "ada grace",
		`"displayName:ada" OR "displayName:grace"`: "ada grace",
		`"contoso" AND "displayName:grace"`:        "grace",
		`contoso grace`:                            "grace",
		`ada or grace and hopper`:                  "ada grace",
		`(ada or grace) and hopper`:                "grace",
		`"displayName:o'hara"`:                     "mallory",
		`"jobTitle:\"amazing\""`:                   "grace",
		`"jobTitle:12:30"`:                         "",
		`"12:30"`:                                  "",
	} {
		e, err := Users.parseSearch(search)
		if err != nil {
			t.Errorf("%s: %v", search, err)
			continue
		}
		if got := found(e); got != want {
			t.Errorf("%s finds %q, want %q", search, got, want)
		}
		again, err := Users.parseSearch(writeSearch(e))
		if err != nil || !reflect.DeepEqual(e, again) {
			t.Errorf("%s became %s: %v", search, writeSearch(e), err)
		}
	}
	for search, want := range map[string]Code{
		``:                      BadRequest,
		`"`:                     BadRequest,
		`"ada`:                  BadRequest,
		`"ada\"`:                BadRequest,
		`""`:                    BadRequest,
		`"--"`:                  BadRequest,
		`"displayName:"`:        BadRequest,
		`ada OR`:                BadRequest,
		`OR ada`:                BadRequest,
		`ada AND`:               BadRequest,
		`(ada`:                  BadRequest,
		`ada)`:                  BadRequest,
		`()`:                    BadRequest,
		`NOT ada`:               UnsupportedQuery,
		`"drop:x"`:              UnsupportedQuery,
		`"accountEnabled:true"`: UnsupportedQuery,
		strings.Repeat("(", maxDepth+1) + "a" + strings.Repeat(")", maxDepth+1): UnsupportedQuery,
		strings.Repeat("a ", maxTerms+1):                                        UnsupportedQuery,
	} {
		_, err := Users.parseSearch(search)
		if search == `"drop:x"` {
			var c Code
			if !errors.As(err, &c) || c != want {
				t.Errorf("%s: %v", search, err)
			}
			continue
		}
		refused(t, search, err, want)
	}
}

func TestQueryOptions(t *testing.T) {
	t.Parallel()
	first := people()["ada"]
	byName := directory.Order{Field: directory.FieldDisplayName, Desc: true}
	for raw, want := range map[string]Query{
		"":                    {},
		"api-version=1.6&x=y": {},
		"$top=5&$count=true":  {Top: 5, Count: true},
		"top=999&count=FALSE": {Top: 999},
		"$format=application/json;odata.metadata=none":                {},
		"$select=id,DISPLAYNAME, id ,signInSessionsValidFromDateTime": {Select: []string{"id", "displayName", "signInSessionsValidFromDateTime"}},
		"$orderby=displayName desc":                                   {Order: byName},
		"$orderby=createdDateTime":                                    {Order: directory.Order{Field: directory.FieldCreated}},
		"$orderBy=id desc":                                            {Order: directory.Order{Desc: true}},
		"$skiptoken=abc":                                              {SkipToken: "abc"},
		"$filter=mail eq null":                                        {Filter: &directory.Expr{Op: directory.Equal, Field: directory.FieldMail, Values: []directory.Value{directory.Text("")}}},
		"$search=\"mail:x\"":                                          {Search: &directory.Expr{Op: directory.HasWords, Field: directory.FieldMail, Values: []directory.Value{directory.Text("x")}}},
	} {
		got, err := Users.Parse(values(t, raw))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v %v, want %+v", raw, got, err, want)
		}
	}
	for raw, want := range map[string]Code{
		"$top=0":                  BadRequest,
		"$top=1000":               BadRequest,
		"$top=-1":                 BadRequest,
		"$top=%2B5":               BadRequest,
		"$top=":                   BadRequest,
		"$count=1":                BadRequest,
		"$select=nothing":         BadRequest,
		"$select=":                BadRequest,
		"$orderby=":               BadRequest,
		"$orderby=mail up":        BadRequest,
		"$orderby=mail desc desc": BadRequest,
		"$orderby=mail,surname":   UnsupportedQuery,
		"$orderby=accountEnabled": UnsupportedQuery,
		"$orderby=password":       UnsupportedQuery,
		"$skip=1":                 UnsupportedQuery,
		"skip=1":                  UnsupportedQuery,
		"$expand=memberOf":        UnsupportedQuery,
		"$format=xml":             UnsupportedQuery,
		"$nonsense=1":             UnsupportedQuery,
		"$top=1&top=2":            BadRequest,
		"$top=1&$top=2":           BadRequest,
		"$filter=mail eq 'a%00b'": BadRequest,
		"$filter=mail eq 'a%ffb'": BadRequest,
		"filter=nonsense":         UnsupportedQuery,
		"$search=":                BadRequest,
		"$skiptoken=" + strings.Repeat("a", maxOption+1): BadRequest,
	} {
		_, err := Users.Parse(values(t, raw))
		refused(t, raw, err, want)
	}

	key := byName.PageKey(first)
	q, err := Users.Parse(url.Values{"$orderby": {"displayName desc"}, "$skiptoken": {key}, "$top": {"2"}, "$count": {"true"}})
	if err != nil {
		t.Fatal(err)
	}
	uq, err := q.User()
	if err != nil || !reflect.DeepEqual(uq, directory.UserQuery{Order: byName, Top: 2, After: key, Count: true}) {
		t.Errorf("%+v %v", uq, err)
	}
	q.Order = directory.Order{}
	_, err = q.User()
	refused(t, "a token of another order", err, BadRequest)
}

func values(t *testing.T, raw string) url.Values {
	t.Helper()
	v, err := url.ParseQuery(strings.NewReplacer(" ", "%20", `"`, "%22", ";", "%3B").Replace(raw))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSelectableNamesAreSpelledOnce(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range Users.Selects {
		if seen[strings.ToLower(s)] {
			t.Errorf("%s twice", s)
		}
		seen[strings.ToLower(s)] = true
	}
	for name, p := range Users.Filter {
		if !seen[name] || name != strings.ToLower(name) {
			t.Errorf("%s can be filtered by, not selected", name)
		}
		if got := new(directory.User).Value(p.Field).Kind; got != p.Kind {
			t.Errorf("%s is of kind %d, Users have %d", name, p.Kind, got)
		}
	}
}

// writeFilter is the inverse of parseFilter, to compare with.
func writeFilter(e *directory.Expr) string {
	name := func(f directory.Field) string {
		for n, p := range Users.Filter {
			if p.Field == f {
				return n
			}
		}
		return "?"
	}
	value := func(v directory.Value) string {
		switch v.Kind {
		case directory.KindBool:
			if v.Bool {
				return "true"
			}
			return "false"
		case directory.KindTime:
			if v.Time.IsZero() {
				return "null"
			}
			return v.Time.Format(time.RFC3339Nano)
		}
		return "'" + strings.ReplaceAll(v.Text, "'", "''") + "'"
	}
	sub := func(a *directory.Expr) string {
		if a.Op == directory.And || a.Op == directory.Or {
			return "(" + writeFilter(a) + ")"
		}
		return writeFilter(a)
	}
	list := func(keyword string) string {
		var s []string
		for _, a := range e.Args {
			s = append(s, sub(a))
		}
		return strings.Join(s, keyword)
	}
	switch e.Op {
	case directory.And:
		return list(" and ")
	case directory.Or:
		return list(" or ")
	case directory.Not:
		switch a := e.Args[0]; a.Op {
		case directory.Equal:
			return strings.Replace(writeFilter(a), " eq ", " ne ", 1)
		case directory.StartsWith, directory.EndsWith:
			return writeFilter(a) + " eq false"
		default:
			return "not " + sub(a)
		}
	case directory.StartsWith:
		return "startswith(" + name(e.Field) + "," + value(e.Values[0]) + ")"
	case directory.EndsWith:
		return "endswith(" + name(e.Field) + "," + value(e.Values[0]) + ")"
	case directory.In:
		var s []string
		for _, v := range e.Values {
			s = append(s, value(v))
		}
		return name(e.Field) + " in (" + strings.Join(s, ",") + ")"
	}
	op := map[directory.Op]string{directory.Equal: "eq", directory.Before: "lt", directory.AtMost: "le", directory.After: "gt", directory.AtLeast: "ge"}[e.Op]
	return name(e.Field) + " " + op + " " + value(e.Values[0])
}

func writeSearch(e *directory.Expr) string {
	term := func(prefix, s string) string {
		return `"` + prefix + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
	}
	if e.Op == directory.Or && len(e.Args) == len(Users.Search) {
		usual := true
		for i, a := range e.Args {
			usual = usual && a.Op == directory.HasWords && a.Field == Users.Search[i] && a.Values[0] == e.Args[0].Values[0]
		}
		if v := e.Args[0].Values; usual && !strings.Contains(v[0].Text, ":") {
			return term("", v[0].Text)
		}
	}
	switch e.Op {
	case directory.HasWords:
		for n, p := range Users.Filter {
			if p.Field == e.Field {
				return term(n+":", e.Values[0].Text)
			}
		}
	}
	var s []string
	for _, a := range e.Args {
		w := writeSearch(a)
		if a.Op == directory.And || a.Op == directory.Or {
			w = "(" + w + ")"
		}
		s = append(s, w)
	}
	return strings.Join(s, map[directory.Op]string{directory.And: " AND ", directory.Or: " OR "}[e.Op])
}

func FuzzFilter(f *testing.F) {
	for _, s := range []string{"mail eq 'a''b' and not (accountEnabled ne true or createdDateTime le 2026-03-02T08:00:00.5+02:00)",
		"startswith(displayName,'x') eq false", "id in (02000000-0000-0000-0000-000000000000)", "deletedDateTime ne null", "((", "not not mail eq ''"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := Users.parseFilter(s)
		if err != nil {
			if e != nil || !fault.Is(err, fault.Invalid) {
				t.Fatalf("%q: %v %v", s, e, err)
			}
			return
		}
		again, err := Users.parseFilter(writeFilter(e))
		if err != nil || !reflect.DeepEqual(e, again) {
			t.Fatalf("%q became %q: %v", s, writeFilter(e), err)
		}
		negated := &directory.Expr{Op: directory.Not, Args: []*directory.Expr{e}}
		for _, u := range people() {
			if e.Match(u.Value) == negated.Match(u.Value) {
				t.Fatalf("%q: neither it nor its opposite", s)
			}
		}
	})
}

func FuzzSearch(f *testing.F) {
	for _, s := range []string{`"displayName:a\"b" AND (c OR "mail:d")`, `ada lovelace`, `"\\"`, `a"b"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := Users.parseSearch(s)
		if err != nil {
			if e != nil || !fault.Is(err, fault.Invalid) {
				t.Fatalf("%q: %v %v", s, e, err)
			}
			return
		}
		w := writeSearch(e)
		again, err := Users.parseSearch(w)
		if strings.Count(w, "(") > strings.Count(s, "(") || strings.Count(w, `"`) > 2*maxTerms {
			return // written out, it can pass a limit that it kept
		}
		if err != nil || !reflect.DeepEqual(e, again) {
			t.Fatalf("%q became %q: %v", s, w, err)
		}
		for _, u := range people() {
			e.Match(u.Value)
		}
	})
}
