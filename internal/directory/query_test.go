package directory

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func test(op Op, f Field, v ...Value) *Expr { return &Expr{Op: op, Field: f, Values: v} }
func group(op Op, args ...*Expr) *Expr      { return &Expr{Op: op, Args: args} }
func matches(e *Expr, u *User) bool         { return e.Match(u.Value) }
func adaLovelace() *User {
	return &User{ID: UserID{1}, Name: "ada@contoso.example", DisplayName: "Ada Lovelace-Ångström", Mail: "Ada.L@contoso.example", Enabled: true, Created: noon}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	ada := adaLovelace()
	yes, no := test(Equal, FieldEnabled, Bool(true)), test(Equal, FieldEnabled, Bool(false))
	for name, c := range map[string]struct {
		e    *Expr
		want bool
	}{
		"nothing asked":                 {nil, true},
		"equal, ignoring case":          {test(Equal, FieldName, Text("ADA@Contoso.example")), true},
		"equal, ignoring case of Å":     {test(Equal, FieldDisplayName, Text("ada lovelace-åNGSTRÖM")), true},
		"not equal":                     {test(Equal, FieldName, Text("grace@contoso.example")), false},
		"absent":                        {test(Equal, FieldJobTitle, Text("")), true},
		"id":                            {test(Equal, FieldID, IDValue(ada.ID)), true},
		"other id":                      {test(Equal, FieldID, IDValue(UserID{2})), false},
		"in":                            {test(In, FieldSurname, Text("x"), Text("")), true},
		"in none":                       {test(In, FieldSurname, Text("x"), Text("y")), false},
		"same instant, other zone":      {test(Equal, FieldCreated, Instant(noon.In(time.FixedZone("", 3600)))), true},
		"absent time":                   {test(Equal, FieldDeleted, Value{Kind: KindTime}), true},
		"before":                        {test(Before, FieldCreated, Instant(noon.Add(1))), true},
		"before itself":                 {test(Before, FieldCreated, Instant(noon)), false},
		"at most itself":                {test(AtMost, FieldCreated, Instant(noon)), true},
		"at most less":                  {test(AtMost, FieldCreated, Instant(noon.Add(-1))), false},
		"after":                         {test(After, FieldCreated, Instant(noon.Add(-1))), true},
		"after itself":                  {test(After, FieldCreated, Instant(noon)), false},
		"at least itself":               {test(AtLeast, FieldCreated, Instant(noon)), true},
		"at least more":                 {test(AtLeast, FieldCreated, Instant(noon.Add(1))), false},
		"absent is not before":          {test(Before, FieldDeleted, Instant(noon)), false},
		"absent is not at most":         {test(AtMost, FieldDeleted, Instant(noon)), false},
		"starts":                        {test(StartsWith, FieldDisplayName, Text("ADA l")), true},
		"starts in the middle":          {test(StartsWith, FieldDisplayName, Text("lov")), false},
		"ends":                          {test(EndsWith, FieldName, Text("@CONTOSO.example")), true},
		"ends early":                    {test(EndsWith, FieldName, Text("contoso")), false},
		"word":                          {test(HasWords, FieldDisplayName, Text("love")), true},
		"words in any order":            {test(HasWords, FieldDisplayName, Text("ÅNG Ada")), true},
		"middle of a word":              {test(HasWords, FieldDisplayName, Text("ove")), false},
		"one word of two":               {test(HasWords, FieldDisplayName, Text("ada grace")), false},
		"no word":                       {test(HasWords, FieldDisplayName, Text("%_")), false},
		"and":                           {group(And, yes, yes), true},
		"and one not":                   {group(And, yes, no), false},
		"or":                            {group(Or, no, yes), true},
		"or none":                       {group(Or, no, no), false},
		"not":                           {group(Not, no), true},
		"not yes":                       {group(Not, yes), false},
		"an operator that is none":      {test(Op(99), FieldName, Text("x")), false},
		"a field that users lack":       {test(Equal, "shoe_size", Text("44")), false},
		"a field that users lack, none": {test(Equal, "shoe_size", Text("")), true},
	} {
		if got := matches(c.e, ada); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestEveryFieldIsItsOwn(t *testing.T) {
	t.Parallel()
	u := &User{Name: "n", DisplayName: "d", GivenName: "g", Surname: "s", Mail: "m", Nickname: "k", JobTitle: "j",
		Department: "e", Office: "o", Mobile: "b", Language: "l", Deleted: noon}
	for f, want := range map[Field]string{FieldName: "n", FieldDisplayName: "d", FieldGivenName: "g", FieldSurname: "s", FieldMail: "m", FieldNickname: "k",
		FieldJobTitle: "j", FieldDepartment: "e", FieldOffice: "o", FieldMobile: "b", FieldLanguage: "l"} {
		if got := u.Value(f); got != Text(want) {
			t.Errorf("%s is %+v", f, got)
		}
	}
	if !u.Value(FieldDeleted).Time.Equal(noon) {
		t.Error("deleted")
	}
}

func TestSearchText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                      "",
		"--":                    "",
		"Ada  LOVELACE":         " ada lovelace",
		"ada.l@contoso.example": " ada l contoso example",
		"100% O'Hara_x":         " 100 o hara x",
		"re\u0301sume\u0301":    " re\u0301sume\u0301", // marks belong to their letters
	} {
		got := SearchText(in)
		if got != want || strings.ContainsAny(got, `%_\`) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	for top, want := range map[int]int{0: 100, -1: 100, 1: 1, 999: 999, 1000: 999} {
		if q := (UserQuery{Top: top}); q.Limit() != want {
			t.Errorf("%d: %d", top, q.Limit())
		}
	}
}

func TestPageKeyRoundTrip(t *testing.T) {
	t.Parallel()
	ada := adaLovelace()
	for _, c := range []struct {
		order Order
		want  Value
	}{
		{Order{}, Value{}},
		{Order{Desc: true}, Value{}},
		{Order{Field: FieldDisplayName}, Text("ada lovelace-ångström")},
		{Order{Field: FieldSurname, Desc: true}, Text("")},
		{Order{Field: FieldEnabled}, Bool(true)},
		{Order{Field: FieldCreated}, Instant(noon)},
		{Order{Field: FieldDeleted}, Value{Kind: KindTime}},
	} {
		key := c.order.PageKey(ada)
		v, id, err := c.order.ParsePageKey(key)
		if err != nil || id != ada.ID || v != c.want {
			t.Errorf("%+v: %+v %v %v", c.order, v, id, err)
		}
		for _, other := range []Order{{Field: FieldMail}, {Field: c.order.Field, Desc: !c.order.Desc}} {
			if _, _, err := other.ParsePageKey(key); !errors.Is(err, ErrPage) {
				t.Errorf("a key of %+v is one of %+v", c.order, other)
			}
		}
	}
	raw := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for _, bad := range []string{"", "!", raw("x"), raw("{}"), raw(`{"i":"ada"}`), raw(`{"k":3,"i":"01000000-0000-0000-0000-000000000000"}`)} {
		if _, _, err := (Order{}).ParsePageKey(bad); !errors.Is(err, ErrPage) {
			t.Errorf("%q is a key", bad)
		}
	}
	if _, _, err := (Order{Field: FieldMail}).ParsePageKey(raw(`{"f":"mail","t":"a\u0000","i":"01000000-0000-0000-0000-000000000000"}`)); !errors.Is(err, ErrPage) {
		t.Error("a key with a zero byte in it")
	}
}

func FuzzPageKey(f *testing.F) {
	f.Add(Order{Field: FieldDisplayName}.PageKey(adaLovelace()), "display_name", false)
	f.Fuzz(func(t *testing.T, key, field string, desc bool) {
		o := Order{Field: Field(field), Desc: desc}
		v, id, err := o.ParsePageKey(key)
		if err == nil && (id.IsZero() || v.Kind != new(User).Value(o.Field).Kind) {
			t.Fatalf("%q: %+v %v", key, v, id)
		}
	})
}

func TestWordsFindTheirOwnText(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"Ada Lovelace", "İstanbul", "ǅ", "straße 12b", "中文 名字"} {
		text := SearchText(s)
		if slices.ContainsFunc(Words(s), func(w string) bool { return !strings.Contains(text, " "+w) }) {
			t.Errorf("%q does not find itself", s)
		}
	}
}
