package odata

import (
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
)

// parseSearch reads a $search:
//
//	search = and { "OR" and }
//	and    = term { [ "AND" ] term }
//	term   = "(" search ")" | [ property ":" ] words
//
// A term stands in double quotes, where a backslash takes away the meaning of a
// quote or backslash after it; a term without spaces may stand bare, as Graph
// PowerShell passes it. Each word of a term must begin a word of the property,
// or of one of the usual properties when none is named.
func (s *Schema) parseSearch(text string) (*directory.Expr, error) {
	p := &parser{schema: s, option: "$search", text: text}
	p.next = p.searchToken
	p.advance()
	e := p.search()
	if p.err == nil && p.token.kind != end {
		p.fail("nothing more is expected")
	}
	if p.err != nil {
		return nil, p.err
	}
	return e, nil
}

func (p *parser) search() *directory.Expr { return p.list(directory.Or, "or", p.searchAnd) }

// searchAnd reads terms with AND or nothing between them.
func (p *parser) searchAnd() *directory.Expr {
	args := []*directory.Expr{p.searchTerm()}
	for p.take(word, "and") || p.token.kind == quote || p.is(symbol, "(") || p.token.kind == word && !p.is(word, "or") {
		args = append(args, p.searchTerm())
	}
	if len(args) == 1 {
		return args[0]
	}
	return &directory.Expr{Op: directory.And, Args: args}
}

func (p *parser) searchTerm() *directory.Expr {
	if p.take(symbol, "(") {
		return p.deeper(func() *directory.Expr {
			e := p.search()
			p.need(")")
			return e
		})
	}
	p.count()
	t := p.token
	switch {
	case t.kind == end || t.kind == symbol:
		p.fail("a term is expected")
		return nil
	case p.is(word, "and") || p.is(word, "or"):
		p.fail("a term is expected; quote the word to search for it")
		return nil
	case p.is(word, "not"):
		p.stop(Unsupported("$search does not support NOT. Use $filter."))
		return nil
	}
	fields, words := p.schema.Search, t.text
	if name, rest, ok := strings.Cut(t.text, ":"); ok && name != "" && strings.Trim(name, letters) == "" {
		prop, known := p.schema.Filter[strings.ToLower(name)]
		if !known || prop.Kind != directory.KindText {
			p.stop(Unsupported("$search cannot look in this property" + Quoted(name) + "."))
			return nil
		}
		fields, words = []directory.Field{prop.Field}, rest
	}
	if len(directory.Words(words)) == 0 {
		p.fail("there is no word to search for")
		return nil
	}
	p.advance()
	alts := make([]*directory.Expr, len(fields))
	for i, f := range fields {
		alts[i] = &directory.Expr{Op: directory.HasWords, Field: f, Values: []directory.Value{directory.Text(words)}}
	}
	if len(alts) == 1 {
		return alts[0]
	}
	return &directory.Expr{Op: directory.Or, Args: alts}
}

func (p *parser) searchToken() token {
	start := p.pos
	switch p.text[start] {
	case '(', ')':
		p.pos++
		return token{symbol, p.text[start:p.pos], start}
	case '"':
		var b strings.Builder
		for p.pos++; p.pos < len(p.text); p.pos++ {
			c := p.text[p.pos]
			if c == '"' {
				p.pos++
				return token{quote, b.String(), start}
			}
			if c == '\\' && p.pos+1 < len(p.text) {
				p.pos++
				c = p.text[p.pos]
			}
			b.WriteByte(c)
		}
		p.token.at = start
		p.fail("the term is not closed")
		return p.token
	}
	for p.pos < len(p.text) && strings.IndexByte(" \t()\"", p.text[p.pos]) < 0 {
		p.pos++
	}
	return token{word, p.text[start:p.pos], start}
}
