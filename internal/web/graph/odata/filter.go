package odata

import (
	"strconv"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
)

// parseFilter reads a $filter. The grammar, loosest first; words in any case:
//
//	filter  = and { "or" and }
//	and     = not { "and" not }
//	not     = "not" not | "(" filter ")" | test
//	test    = property ("eq" | "ne") literal
//	        | property ("lt" | "le" | "gt" | "ge") date-time
//	        | property "in" "(" literal { "," literal } ")"
//	        | ("startswith" | "endswith") "(" property "," string ")" [ ("eq" | "ne") boolean ]
//	literal = string | boolean | "null" | date-time | date | guid
//
// A string stands in single quotes, a quote inside is doubled.
func (s *Schema) parseFilter(text string) (*directory.Expr, error) {
	p := &parser{schema: s, option: "$filter", text: text}
	p.next = p.filterToken
	p.advance()
	e := p.or(p.not)
	if p.err == nil && p.token.kind != end {
		p.fail("nothing more is expected")
	}
	if p.err != nil {
		return nil, p.err
	}
	return e, nil
}

type tokenKind uint8

const (
	end    tokenKind = iota
	word             // a name, a keyword, a number, a date
	quote            // a string, unescaped
	symbol           // one of ( ) ,
)

type token struct {
	kind tokenKind
	text string
	at   int // byte offset, for error messages
}

// parser is a recursive descent over one option. After the first error it stays
// at the end, so that every loop finishes.
type parser struct {
	schema *Schema
	option string
	text   string
	pos    int
	token  token
	next   func() token
	depth  int
	terms  int
	err    error
}

func (p *parser) advance() {
	for p.pos < len(p.text) && (p.text[p.pos] == ' ' || p.text[p.pos] == '\t') {
		p.pos++
	}
	if p.pos >= len(p.text) || p.err != nil {
		p.token = token{kind: end, at: len(p.text)}
		return
	}
	p.token = p.next()
}

func (p *parser) stop(err error) {
	if p.err == nil {
		p.err = err
	}
	p.pos, p.token = len(p.text), token{kind: end, at: len(p.text)}
}

// fail reports what was expected at the token in hand.
func (p *parser) fail(expected string) {
	p.stop(Unreadable("The " + p.option + " cannot be read at character " + strconv.Itoa(p.token.at+1) + ": " + expected + "."))
}

func (p *parser) is(kind tokenKind, text string) bool {
	return p.token.kind == kind && strings.EqualFold(p.token.text, text)
}

func (p *parser) take(kind tokenKind, text string) bool {
	if !p.is(kind, text) {
		return false
	}
	p.advance()
	return true
}

func (p *parser) need(sym string) {
	if !p.take(symbol, sym) {
		p.fail("“" + sym + "” is expected")
	}
}

// deeper runs f one level down.
func (p *parser) deeper(f func() *directory.Expr) *directory.Expr {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxDepth {
		p.stop(Unsupported("The " + p.option + " is nested more than 20 deep."))
		return nil
	}
	return f()
}

func (p *parser) count() {
	if p.terms++; p.terms > maxTerms {
		p.stop(Unsupported("The " + p.option + " has more than 100 terms."))
	}
}

// or reads alternatives whose parts inner reads.
func (p *parser) or(inner func() *directory.Expr) *directory.Expr {
	return p.list(directory.Or, "or", func() *directory.Expr { return p.list(directory.And, "and", inner) })
}

func (p *parser) list(op directory.Op, keyword string, inner func() *directory.Expr) *directory.Expr {
	args := []*directory.Expr{inner()}
	for p.take(word, keyword) {
		args = append(args, inner())
	}
	if len(args) == 1 {
		return args[0]
	}
	return &directory.Expr{Op: op, Args: args}
}

func (p *parser) not() *directory.Expr {
	switch {
	case p.take(word, "not"):
		return p.deeper(func() *directory.Expr { return negate(p.not()) })
	case p.take(symbol, "("):
		return p.deeper(func() *directory.Expr {
			e := p.or(p.not)
			p.need(")")
			return e
		})
	}
	return p.test()
}

func negate(e *directory.Expr) *directory.Expr {
	return &directory.Expr{Op: directory.Not, Args: []*directory.Expr{e}}
}

func (p *parser) test() *directory.Expr {
	p.count()
	if p.token.kind != word {
		p.fail("a property is expected")
		return nil
	}
	name := p.token
	p.advance()
	if p.is(symbol, "(") {
		return p.function(name)
	}
	prop := p.property(name)
	op := p.token
	if op.kind != word {
		p.fail("an operator is expected")
		return nil
	}
	p.advance()
	switch o := strings.ToLower(op.text); o {
	case "eq":
		return p.compare(directory.Equal, prop)
	case "ne":
		return negate(p.compare(directory.Equal, prop))
	case "lt", "le", "gt", "ge":
		if prop.Kind != directory.KindTime {
			p.stop(Unsupported("The " + p.option + " compares by order what is not a date-time."))
		}
		return p.compare(map[string]directory.Op{"lt": directory.Before, "le": directory.AtMost, "gt": directory.After, "ge": directory.AtLeast}[o], prop)
	case "in":
		p.need("(")
		e := p.compare(directory.In, prop)
		for p.take(symbol, ",") {
			p.count()
			e.Values = append(e.Values, p.literal(prop, true))
		}
		p.need(")")
		return e
	}
	p.token = op
	p.fail("an operator is expected: eq, ne, in, lt, le, gt or ge")
	return nil
}

// compare reads the literal of a comparison.
func (p *parser) compare(op directory.Op, prop Property) *directory.Expr {
	return &directory.Expr{Op: op, Field: prop.Field, Values: []directory.Value{p.literal(prop, op == directory.Equal || op == directory.In)}}
}

func (p *parser) function(name token) *directory.Expr {
	var op directory.Op
	switch strings.ToLower(name.text) {
	case "startswith":
		op = directory.StartsWith
	case "endswith":
		op = directory.EndsWith
	default:
		p.stop(Unsupported("The " + p.option + " uses a function that is not supported. Supported are startswith and endswith."))
		return nil
	}
	p.need("(")
	arg := p.token
	if arg.kind != word {
		p.fail("a property is expected")
	}
	p.advance()
	prop := p.property(arg)
	if prop.Kind != directory.KindText {
		p.stop(Unsupported("The " + p.option + " uses " + strings.ToLower(name.text) + " on what is not a text."))
	}
	p.need(",")
	if p.token.kind != quote {
		p.fail("a string in single quotes is expected")
	}
	e := &directory.Expr{Op: op, Field: prop.Field, Values: []directory.Value{directory.Text(p.token.text)}}
	p.advance()
	p.need(")")
	equal := p.is(word, "eq")
	if !equal && !p.is(word, "ne") {
		return e
	}
	p.advance()
	truth := p.is(word, "true")
	if !truth && !p.is(word, "false") {
		p.fail("true or false is expected")
	}
	p.advance()
	if truth == equal {
		return e
	}
	return negate(e)
}

func (p *parser) property(name token) Property {
	prop, ok := p.schema.Filter[strings.ToLower(name.text)]
	if !ok && p.err == nil {
		p.stop(Unsupported("The " + p.option + " uses a property that " + p.schema.Entity + " does not have or that cannot be filtered by" + Quoted(name.text) + "."))
	}
	return prop
}

// literal reads a value for the property. The absence of a value, null, is the
// empty text or the zero time.
func (p *parser) literal(prop Property, nullable bool) directory.Value {
	v, t := directory.Value{Kind: prop.Kind}, p.token
	null := nullable && p.is(word, "null")
	bad := ""
	switch prop.Kind {
	case directory.KindText:
		if v.Text = t.text; null {
			v.Text = ""
		} else if t.kind != quote {
			bad = "a string in single quotes is expected"
		}
	case directory.KindID:
		// OData writes a GUID bare, scripts for Graph quote it.
		id, err := directory.ParseID[directory.User](t.text)
		if v.Text = id.String(); err != nil || t.kind != word && t.kind != quote {
			bad = "an object id is expected"
		}
	case directory.KindBool:
		if v.Bool = p.is(word, "true"); !v.Bool && !p.is(word, "false") {
			bad = "true or false is expected"
		}
	case directory.KindNumber:
		_, err := strconv.ParseUint(t.text, 10, 31)
		if v.Text = t.text; err != nil || t.kind != word {
			bad = "a whole number is expected"
		}
	case directory.KindTime:
		var ok bool
		if v.Time, ok = parseTime(t.text); !null && (!ok || t.kind != word) {
			bad = "a date-time such as 2026-03-02T12:00:00Z is expected, without quotes"
		}
	}
	if bad != "" {
		p.fail(bad)
		return v
	}
	p.advance()
	return v
}

// parseTime reads an Edm.DateTimeOffset, or an Edm.Date as its midnight in UTC.
// A year that has no room in RFC 3339 once it is in UTC is none.
func parseTime(s string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, strings.ToUpper(s))
	if err != nil {
		t, err = time.Parse(time.DateOnly, s)
	}
	if t = t.UTC(); err != nil || t.Year() < 1 || t.Year() > 9999 || t.IsZero() {
		return time.Time{}, false
	}
	return t, true
}

func (p *parser) filterToken() token {
	start := p.pos
	switch c := p.text[start]; {
	case c == '(' || c == ')' || c == ',':
		p.pos++
		return token{symbol, p.text[start:p.pos], start}
	case c == '\'':
		s, n := unquote(p.text[start:])
		p.pos += n
		if n == 0 {
			p.token.at = start
			p.fail("the string is not closed")
			return p.token
		}
		return token{quote, s, start}
	}
	for p.pos < len(p.text) && wordByte(p.text[p.pos]) {
		p.pos++
	}
	if p.pos == start {
		p.token.at = start
		p.fail("this character means nothing here")
		return p.token
	}
	return token{word, p.text[start:p.pos], start}
}

func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_./:+-$", c) >= 0
}

// unquote reads a string in single quotes at the start of s and returns it with
// the number of bytes read; zero when it is not closed.
func unquote(s string) (string, int) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != '\'' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 == len(s) || s[i+1] != '\'' {
			return b.String(), i + 1
		}
		b.WriteByte('\'')
		i++
	}
	return "", 0
}
