package directory

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Field names a property that can be filtered, searched or ordered by, in the
// words of the house. Packages with rows of their own declare their own fields.
type Field string

// The fields of users (and FieldID, FieldName, FieldDisplayName, FieldCreated of
// whatever else has them).
const (
	FieldID          Field = "id"
	FieldName        Field = "name" // User.Name, the user principal name
	FieldDisplayName Field = "display_name"
	FieldGivenName   Field = "given_name"
	FieldSurname     Field = "surname"
	FieldMail        Field = "mail"
	FieldNickname    Field = "nickname"
	FieldJobTitle    Field = "job_title"
	FieldDepartment  Field = "department"
	FieldOffice      Field = "office"
	FieldMobile      Field = "mobile"
	FieldLanguage    Field = "language"
	FieldEnabled     Field = "enabled"
	FieldCreated     Field = "created"
	FieldDeleted     Field = "deleted"
)

// ValueKind is what a Value holds.
type ValueKind uint8

// The kinds of values.
const (
	KindText   ValueKind = iota // Text; compared ignoring case (strings.ToLower)
	KindID                      // Text, a UUID in lower case
	KindBool                    // Bool
	KindTime                    // Time; zero: absent
	KindNumber                  // Text, decimal digits; of surfaces, no user has one
)

// Value is one value of a field, or one to compare it with. Nothing is null: an
// absent text is "", an absent time is the zero time, so there is no third
// truth value and Not is the exact opposite.
type Value struct {
	Kind ValueKind
	Text string
	Bool bool
	Time time.Time
}

// Text returns a value that compares ignoring case.
func Text(s string) Value { return Value{Kind: KindText, Text: s} }

// Bool returns a truth value.
func Bool(b bool) Value { return Value{Kind: KindBool, Bool: b} }

// Instant returns a value for a point in time.
func Instant(t time.Time) Value { return Value{Kind: KindTime, Time: t.UTC()} }

// IDValue returns the value of an object id.
func IDValue[Of any](id ID[Of]) Value { return Value{Kind: KindID, Text: id.String()} }

// Op is what an Expr does.
type Op uint8

// The operators. The comment says which parts of an Expr each one uses.
const (
	And        Op = iota + 1 // Args, one or more
	Or                       // Args, one or more
	Not                      // Args[0]
	Equal                    // Field, Values[0]; any kind
	In                       // Field, Values, one or more: equal to one of them
	Before                   // Field, Values[0]; times: strictly less. Absent: false
	AtMost                   // Field, Values[0]; times. Absent: false
	After                    // Field, Values[0]; times: strictly greater. Absent: false
	AtLeast                  // Field, Values[0]; times. Absent: false
	StartsWith               // Field, Values[0]; texts
	EndsWith                 // Field, Values[0]; texts
	HasWords                 // Field, Values[0]; texts: each word of the value begins a word of the field; see SearchText
)

// Expr is a condition on one row, as plain data: surfaces parse into it, the
// store translates it into SQL, and Match says what it means. Where SQL and
// Match disagree, the SQL is wrong.
type Expr struct {
	Op     Op
	Args   []*Expr
	Field  Field
	Values []Value
}

// Match reports whether the row whose fields get returns meets the condition. A
// nil Expr is met by every row. An Op, or an ordering of a kind, that is not
// listed above is met by none.
func (e *Expr) Match(get func(Field) Value) bool {
	if e == nil {
		return true
	}
	is := func(a *Expr) bool { return a.Match(get) }
	switch e.Op {
	case And:
		return !slices.ContainsFunc(e.Args, func(a *Expr) bool { return !is(a) })
	case Or:
		return slices.ContainsFunc(e.Args, is)
	case Not:
		return !is(e.Args[0])
	case Equal, In:
		return slices.ContainsFunc(e.Values, get(e.Field).equal)
	}
	has, want := get(e.Field), e.Values[0]
	switch e.Op {
	case Before, AtMost, After, AtLeast:
		if has.Time.IsZero() {
			return false
		}
		switch c := has.Time.Compare(want.Time); e.Op {
		case Before:
			return c < 0
		case AtMost:
			return c <= 0
		case After:
			return c > 0
		default:
			return c >= 0
		}
	case StartsWith:
		return strings.HasPrefix(strings.ToLower(has.Text), strings.ToLower(want.Text))
	case EndsWith:
		return strings.HasSuffix(strings.ToLower(has.Text), strings.ToLower(want.Text))
	case HasWords:
		text := SearchText(has.Text)
		words := Words(want.Text)
		return len(words) > 0 && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, " "+w) })
	}
	return false
}

func (v Value) equal(w Value) bool {
	switch v.Kind {
	case KindBool:
		return v.Bool == w.Bool
	case KindTime:
		return v.Time.Equal(w.Time)
	}
	//lint:ignore SA6005 the store folds with ToLower; EqualFold would find what SQL does not
	return strings.ToLower(v.Text) == strings.ToLower(w.Text)
}

// Words splits a text into its words: runs of letters, marks and digits, in
// lower case.
func Words(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r)
	})
}

// SearchText is the form in which HasWords looks at a text: each word with one
// space before it. A word w of the query begins a word of the text exactly when
// SearchText contains " "+w; words hold no character that LIKE treats specially,
// so a store that keeps this column can ask LIKE '% w%'.
func SearchText(s string) string {
	var b strings.Builder
	for _, w := range Words(s) {
		b.WriteByte(' ')
		b.WriteString(w)
	}
	return b.String()
}

// Value returns the value of a field of the user, and an empty text for a field
// that users do not have.
func (u *User) Value(f Field) Value {
	switch f {
	case FieldID:
		return IDValue(u.ID)
	case FieldEnabled:
		return Bool(u.Enabled)
	case FieldCreated:
		return Instant(u.Created)
	case FieldDeleted:
		return Instant(u.Deleted)
	case FieldName:
		return Text(u.Name)
	case FieldDisplayName:
		return Text(u.DisplayName)
	case FieldGivenName:
		return Text(u.GivenName)
	case FieldSurname:
		return Text(u.Surname)
	case FieldMail:
		return Text(u.Mail)
	case FieldNickname:
		return Text(u.Nickname)
	case FieldJobTitle:
		return Text(u.JobTitle)
	case FieldDepartment:
		return Text(u.Department)
	case FieldOffice:
		return Text(u.Office)
	case FieldMobile:
		return Text(u.Mobile)
	case FieldLanguage:
		return Text(u.Language)
	}
	return Value{}
}

// Order is the order of a listing. Rows that are equal in Field come by id, in
// the same direction. The zero Order is by id alone: oldest first.
type Order struct {
	Field Field
	Desc  bool
}

// UserQuery asks for a page of users.
type UserQuery struct {
	Filter *Expr // nil: everybody
	Search *Expr // met as well as Filter; nil: everybody
	Order  Order
	Top    int    // rows to a page, 1 to MaxTop; zero: DefaultTop
	After  string // where the page before ended, made by PageKey; empty: from the start
	Count  bool   // also count all that match, whatever the page
	// Deleted asks for deleted users instead of existing ones.
	Deleted bool
	// Service asks for service accounts instead of people.
	Service bool
}

// Sizes of a page.
const (
	DefaultTop = 100
	MaxTop     = 999
)

// Limit returns Top, or what stands for it when it is zero or out of range.
func (q *UserQuery) Limit() int {
	if q.Top <= 0 {
		return DefaultTop
	}
	return min(q.Top, MaxTop)
}

// ErrPage is returned for a paging key that is not one of this order.
var ErrPage = errors.New("not a paging key of this order")

type pageKey struct {
	Field Field  `json:"f,omitempty"`
	Desc  bool   `json:"d,omitempty"`
	Kind  uint8  `json:"k,omitempty"`
	Text  string `json:"t,omitempty"`
	Bool  bool   `json:"b,omitempty"`
	Time  int64  `json:"n,omitempty"` // Unix nanoseconds; absent times are left out
	ID    UserID `json:"i"`
}

// PageKey returns the key of the page that begins after u.
//
// Trust: the key is not signed. Whoever makes one up chooses where a listing
// begins that they may read anyway.
func (o Order) PageKey(u *User) string {
	k := pageKey{Field: o.Field, Desc: o.Desc, ID: u.ID}
	if o.Field != "" {
		v := u.Value(o.Field)
		k.Kind, k.Text, k.Bool = uint8(v.Kind), strings.ToLower(v.Text), v.Bool
		if !v.Time.IsZero() {
			k.Time = v.Time.UnixNano()
		}
	}
	b, err := json.Marshal(k)
	if err != nil {
		panic(err) // plain fields: cannot fail
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// ParsePageKey reads a key of this order: the value of Field (texts in lower
// case, the zero Value when ordered by id alone) and the id of the last row
// before the page. It returns ErrPage for anything else.
func (o Order) ParsePageKey(s string) (Value, UserID, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return Value{}, UserID{}, ErrPage
	}
	var k pageKey
	if json.Unmarshal(b, &k) != nil || k.Field != o.Field || k.Desc != o.Desc || k.ID.IsZero() || strings.ContainsRune(k.Text, 0) ||
		ValueKind(k.Kind) != new(User).Value(o.Field).Kind {
		return Value{}, UserID{}, ErrPage
	}
	v := Value{Kind: ValueKind(k.Kind), Text: k.Text, Bool: k.Bool}
	if k.Time != 0 {
		v.Time = time.Unix(0, k.Time).UTC()
	}
	return v, k.ID, nil
}
