package policy

import (
	"errors"
	"slices"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
)

// Tri is a claim that may not be known.
type Tri uint8

// The answers.
const (
	Unknown Tri = iota
	Yes
	No
)

func (t Tri) not() Tri { return [...]Tri{Unknown, No, Yes}[t] }

func claim(b bool) Tri {
	if b {
		return Yes
	}
	return No
}

// Trust is how a device belongs to the directory.
type Trust uint8

// The trusts.
const (
	NotKnown   Trust = iota
	Joined           // AzureAD
	Hybrid           // ServerAD
	Registered       // Workplace
)

var trustNames = []string{"", "AzureAD", "ServerAD", "Workplace"}

// Device is the device of a sign-in, as its registration says. The zero Device:
// none was recognised, and then nothing is known of it.
type Device struct {
	ID        directory.DeviceID
	Compliant Tri
	Trust     Trust
}

// Rule is a parsed rule of a device filter. The zero Rule fits nothing.
type Rule struct{ nodes []node }

type operator uint8

const (
	opNone operator = iota
	opAnd
	opOr
	opNot
	opCompliant
	opTrust
	opID
)

// node is a step of a rule. The operands of and, or and not stand before it.
type node struct {
	op   operator
	a, b int
	ids  []directory.DeviceID
	set  uint8 // of compliant and trust: the values that fit, as bits
}

// maxRule bounds the parts of a rule.
const maxRule = 64

var errRule = errors.New(`is no rule that is understood here: device.isCompliant -eq True, device.trustType -eq "Workplace" (or AzureAD, ServerAD), device.deviceId -in ["GUID"], with -eq, -ne, -in, -notIn, -and, -or, -not and brackets`)

// ParseRule reads the part of Entra's rule language that is about what curfew
// knows of a device: whether it is compliant, how it belongs to the directory,
// and which one it is.
func ParseRule(s string) (Rule, error) {
	p := ruleParser{tokens: ruleTokens(s)}
	p.or(0)
	if p.bad || len(p.tokens) > 0 || len(p.nodes) > maxRule {
		return Rule{}, errRule
	}
	return Rule{nodes: p.nodes}, nil
}

// ruleTokens cuts a rule into words, quoted texts (with their first quote) and
// signs. What cannot be cut is one token that nothing accepts.
func ruleTokens(s string) (out []string) {
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		n := 0
		switch {
		case strings.ContainsRune("()[],", rune(s[0])):
			n = 1
		case s[0] == '"' || s[0] == '\'':
			if n = strings.IndexByte(s[1:], s[0]); n < 0 {
				return []string{"?"}
			}
			out, s = append(out, s[:n+1]), s[n+2:]
			continue
		default:
			if n = strings.IndexAny(s, " \t\r\n()[],\"'"); n < 0 {
				n = len(s)
			}
		}
		out, s = append(out, s[:n]), s[n:]
	}
	return out
}

type ruleParser struct {
	tokens []string
	nodes  []node
	bad    bool
}

// word takes the next token if it is w, ignoring case as Entra does.
func (p *ruleParser) word(w string) bool {
	if len(p.tokens) == 0 || !strings.EqualFold(p.tokens[0], w) {
		return false
	}
	p.tokens = p.tokens[1:]
	return true
}

func (p *ruleParser) take() string {
	if len(p.tokens) == 0 {
		p.bad = true
		return ""
	}
	t := p.tokens[0]
	p.tokens = p.tokens[1:]
	return t
}

func (p *ruleParser) add(n node) int {
	p.nodes = append(p.nodes, n)
	return len(p.nodes) - 1
}

func (p *ruleParser) or(depth int) int {
	a := p.and(depth)
	for !p.bad && p.word("-or") {
		b := p.and(depth)
		a = p.add(node{op: opOr, a: a, b: b})
	}
	return a
}

func (p *ruleParser) and(depth int) int {
	a := p.term(depth)
	for !p.bad && p.word("-and") {
		b := p.term(depth)
		a = p.add(node{op: opAnd, a: a, b: b})
	}
	return a
}

func (p *ruleParser) term(depth int) int {
	if depth > 16 {
		p.bad = true
		return 0
	}
	if p.word("-not") {
		return p.add(node{op: opNot, a: p.term(depth + 1)})
	}
	if p.word("(") {
		a := p.or(depth + 1)
		p.bad = p.bad || !p.word(")")
		return a
	}
	attribute, operator := strings.ToLower(p.take()), strings.ToLower(p.take())
	var values []string
	switch operator {
	case "-eq", "-ne":
		values = []string{p.take()}
	case "-in", "-notin":
		p.bad = p.bad || !p.word("[")
		for values = append(values, p.take()); !p.bad && p.word(","); {
			values = append(values, p.take())
		}
		p.bad = p.bad || !p.word("]")
	default:
		p.bad = true
	}
	n := node{}
	for _, v := range values {
		quoted := v != "" && (v[0] == '"' || v[0] == '\'')
		i, known := 0, false
		switch attribute {
		case "device.iscompliant":
			n.op = opCompliant
			i, known = slices.Index([]string{"", "true", "false"}, strings.ToLower(v)), !quoted && (operator == "-eq" || operator == "-ne")
		case "device.trusttype":
			n.op = opTrust
			i, known = slices.Index(trustNames, strings.TrimLeft(v, `"'`)), quoted
		case "device.deviceid":
			n.op = opID
			id, err := directory.ParseID[directory.Device](strings.TrimLeft(v, `"'`))
			n.ids, i, known = append(n.ids, id), 1, quoted && err == nil && !id.IsZero()
		}
		if i < 1 || !known {
			p.bad = true
			return 0
		}
		n.set |= 1 << i
	}
	at := p.add(n)
	if operator == "-ne" || operator == "-notin" {
		return p.add(node{op: opNot, a: at})
	}
	return at
}

// fits says whether the rule fits a device. What is not known of the device is
// not known of the rule, unless the rest of it decides.
func (r Rule) fits(d Device) Tri { return r.at(len(r.nodes)-1, d) }

func (r Rule) at(i int, d Device) Tri {
	if i < 0 {
		return No
	}
	switch n := &r.nodes[i]; n.op {
	case opAnd:
		a := r.at(n.a, d)
		if a == No {
			return No
		}
		if b := r.at(n.b, d); b == No || a == Yes {
			return b
		}
		return Unknown
	case opOr:
		a := r.at(n.a, d)
		if a == Yes {
			return Yes
		}
		if b := r.at(n.b, d); b == Yes || a == No {
			return b
		}
		return Unknown
	case opNot:
		return r.at(n.a, d).not()
	case opCompliant:
		if d.Compliant == Unknown {
			return Unknown
		}
		return claim(n.set>>d.Compliant&1 == 1)
	case opTrust:
		if d.Trust == NotKnown {
			return Unknown
		}
		return claim(n.set>>d.Trust&1 == 1)
	default:
		if d.ID.IsZero() {
			return Unknown
		}
		return claim(slices.Contains(n.ids, d.ID))
	}
}
