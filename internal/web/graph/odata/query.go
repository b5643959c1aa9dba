package odata

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
)

// Limits of one request's query options.
const (
	maxOption = 4096 // bytes of one option
	maxDepth  = 20   // parentheses and nots inside one another
	maxTerms  = 100  // comparisons and values in a filter, terms in a search
)

// Code is the Graph error code that a fault asks for. It travels as the hidden
// cause: find it with errors.As.
type Code string

// Error makes a code fit to be a cause.
func (c Code) Error() string { return string(c) }

// The codes of query options.
const (
	BadRequest       Code = "BadRequest"               // it cannot be read
	UnsupportedQuery Code = "Request_UnsupportedQuery" // it can be read, and is not answered
)

// Unreadable returns a fault of kind Invalid that carries BadRequest.
func Unreadable(public string) error { return fault.Wrap(fault.Invalid, public, BadRequest) }

// Unsupported returns a fault of kind Invalid that carries UnsupportedQuery.
func Unsupported(public string) error { return fault.Wrap(fault.Invalid, public, UnsupportedQuery) }

// Schema says what can be asked about one kind of thing.
type Schema struct {
	Entity string // "microsoft.graph.user"
	// Filter are the properties that can be filtered and ordered by, under their
	// Graph names in lower case.
	Filter map[string]Property
	// Search are the fields a search term without a property looks in.
	Search []directory.Field
	// Selects are the properties that can be selected, as Graph spells them.
	Selects []string
}

// Property is what stands behind a name in a filter.
type Property struct {
	Field directory.Field
	Kind  directory.ValueKind
}

// Users is the schema of /users. Names are matched ignoring case, as Graph does.
var Users = Schema{
	Entity: "microsoft.graph.user",
	Filter: map[string]Property{
		"id":                {directory.FieldID, directory.KindID},
		"userprincipalname": {directory.FieldName, directory.KindText},
		"displayname":       {directory.FieldDisplayName, directory.KindText},
		"givenname":         {directory.FieldGivenName, directory.KindText},
		"surname":           {directory.FieldSurname, directory.KindText},
		"mail":              {directory.FieldMail, directory.KindText},
		"mailnickname":      {directory.FieldNickname, directory.KindText},
		"jobtitle":          {directory.FieldJobTitle, directory.KindText},
		"department":        {directory.FieldDepartment, directory.KindText},
		"officelocation":    {directory.FieldOffice, directory.KindText},
		"mobilephone":       {directory.FieldMobile, directory.KindText},
		"preferredlanguage": {directory.FieldLanguage, directory.KindText},
		"accountenabled":    {directory.FieldEnabled, directory.KindBool},
		"createddatetime":   {directory.FieldCreated, directory.KindTime},
		"deleteddatetime":   {directory.FieldDeleted, directory.KindTime},
	},
	Search: []directory.Field{directory.FieldDisplayName, directory.FieldName, directory.FieldMail},
	Selects: []string{"id", "accountEnabled", "userPrincipalName", "displayName", "givenName", "surname", "mail", "mailNickname",
		"jobTitle", "department", "officeLocation", "mobilePhone", "businessPhones", "otherMails", "preferredLanguage", "userType",
		"createdDateTime", "deletedDateTime", "creationType", "externalUserState", "identities", "lastPasswordChangeDateTime",
		"passwordPolicies", "passwordProfile", "signInSessionsValidFromDateTime", "refreshTokensValidFromDateTime", "signInActivity",
		"onPremisesSyncEnabled", "employeeLeaveDateTime", "isManagementRestricted", "securityIdentifier"},
}

// Query is the query options of a request, read.
type Query struct {
	Filter    *directory.Expr
	Search    *directory.Expr
	Order     directory.Order
	Select    []string // as Graph spells them, each once; empty: the default ones
	Top       int      // zero: not asked for
	Count     bool
	SkipToken string
}

var errToken = Unreadable("The $skiptoken is not from a page of this listing.")

// User makes the query one for users. It returns a fault of kind Invalid when
// $skiptoken is not from a page of this order.
func (q Query) User() (directory.UserQuery, error) {
	if q.SkipToken != "" {
		if _, _, err := q.Order.ParsePageKey(q.SkipToken); err != nil {
			return directory.UserQuery{}, errToken
		}
	}
	return directory.UserQuery{Filter: q.Filter, Search: q.Search, Order: q.Order, Top: q.Top, After: q.SkipToken, Count: q.Count}, nil
}

// Parse reads the query options for a listing. Options may be written
// without the dollar sign, as on Graph; names that are no option of OData are
// other people's and are left alone. It returns faults of kind Invalid that
// carry a code.
func (s *Schema) Parse(values url.Values) (Query, error) {
	var q Query
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		all := values[name]
		option := strings.ToLower(strings.TrimPrefix(name, "$"))
		known := slices.Contains(options, option)
		switch {
		case !known && strings.HasPrefix(name, "$"):
			return Query{}, Unsupported("A query option of this request is not supported. Supported are $filter, $search, $select, $orderby, $top, $count and $skiptoken.")
		case !known:
			continue
		case len(all) != 1 || seen[option]:
			return Query{}, Unreadable("The query option $" + option + " is given more than once.")
		case len(all[0]) > maxOption:
			return Query{}, Unreadable("The query option $" + option + " is longer than 4096 bytes.")
		case !utf8.ValidString(all[0]) || strings.ContainsRune(all[0], 0):
			// PostgreSQL refuses such a text; SQLite does not. Neither sees it.
			return Query{}, Unreadable("The query option $" + option + " is not a text.")
		}
		seen[option] = true
		if err := s.option(&q, option, all[0]); err != nil {
			return Query{}, err
		}
	}
	return q, nil
}

// options in lower case, those that are only there to be refused included:
// written without the dollar sign they must not pass for somebody else's.
var options = []string{"filter", "search", "select", "orderby", "top", "count", "skiptoken", "format", "skip", "expand", "apply", "compute", "deltatoken"}

func (s *Schema) option(q *Query, name, value string) (err error) {
	switch name {
	case "filter":
		q.Filter, err = s.parseFilter(value)
	case "search":
		if s.Search == nil {
			return Unsupported("$search is not supported here.")
		}
		q.Search, err = s.parseSearch(value)
	case "select":
		q.Select, err = s.parseSelect(value)
	case "orderby":
		q.Order, err = s.parseOrder(value)
	case "top":
		q.Top, err = strconv.Atoi(value)
		if err != nil || q.Top < 1 || q.Top > directory.MaxTop || value[0] == '+' {
			return Unreadable("$top must be a number from 1 to 999.")
		}
	case "count":
		q.Count = strings.EqualFold(value, "true")
		if !q.Count && !strings.EqualFold(value, "false") {
			return Unreadable("$count must be true or false.")
		}
	case "skiptoken":
		q.SkipToken = value
	case "format":
		if !strings.EqualFold(value, "json") && !strings.HasPrefix(strings.ToLower(value), "application/json") {
			return Unsupported("Only JSON is written.")
		}
	case "skip":
		return Unsupported("The query option $skip is not supported. Follow @odata.nextLink to page.")
	default:
		return Unsupported("The query option $" + name + " is not supported.")
	}
	return err
}

// parseSelect reads a comma-separated list of properties.
func (s *Schema) parseSelect(value string) ([]string, error) {
	var out []string
	for name := range strings.SplitSeq(value, ",") {
		name = strings.TrimSpace(name)
		i := slices.IndexFunc(s.Selects, func(p string) bool { return strings.EqualFold(p, name) })
		if i < 0 {
			return nil, Unreadable("$select names a property that " + s.Entity + " does not have" + Quoted(name) + ".")
		}
		if !slices.Contains(out, s.Selects[i]) {
			out = append(out, s.Selects[i])
		}
	}
	return out, nil
}

// parseOrder reads one property and a direction.
func (s *Schema) parseOrder(value string) (directory.Order, error) {
	words := strings.Fields(value)
	if strings.Contains(value, ",") {
		return directory.Order{}, Unsupported("$orderby takes one property.")
	}
	if len(words) == 0 || len(words) > 2 || len(words) == 2 && !strings.EqualFold(words[1], "asc") && !strings.EqualFold(words[1], "desc") {
		return directory.Order{}, Unreadable("$orderby must be a property, then asc or desc.")
	}
	p, ok := s.Filter[strings.ToLower(words[0])]
	if !ok || p.Kind == directory.KindBool {
		return directory.Order{}, Unsupported("$orderby cannot use this property" + Quoted(words[0]) + ".")
	}
	o := directory.Order{Field: p.Field, Desc: len(words) == 2 && strings.EqualFold(words[1], "desc")}
	if p.Kind == directory.KindID {
		o.Field = "" // every order ends with the id; this one begins with it
	}
	return o, nil
}

// Quoted returns a property name for use in a sentence, or nothing when it does
// not look like one: sentences are not a place for other people's text.
func Quoted(name string) string {
	if len(name) == 0 || len(name) > 64 || strings.Trim(name, letters+"0123456789_/") != "" {
		return ""
	}
	return " (" + name + ")"
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
