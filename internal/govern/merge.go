package govern

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/policy/wire"
)

// node is a JSON value: an object keeps its members in order, everything else is
// its text.
type node struct {
	object bool
	names  []string
	items  []node
	text   string
}

// Bounds of documents, as the reader has them.
const (
	maxDepth   = 12
	maxMembers = 2000 // of one object
)

// parse reads one JSON value. What two readers could understand differently, a
// member named twice, is refused here: merging would choose one of them. Kind:
// Invalid, with the path.
func parse(b []byte) (node, error) {
	if len(b) > wire.MaxBytes {
		return node{}, at("$", "longer than "+strconv.Itoa(wire.MaxBytes)+" bytes")
	}
	if !json.Valid(b) {
		return node{}, at("$", "not one JSON value")
	}
	return parseAt(b, "$", 0)
}

func at(path, why string) error {
	return fault.Wrap(fault.Invalid, "At "+path+": "+why+".", &wire.Fault{Path: path, Why: why})
}

func parseAt(b []byte, path string, depth int) (node, error) {
	b = bytes.TrimSpace(b)
	if len(b) == 0 || b[0] != '{' {
		var flat bytes.Buffer
		if err := json.Compact(&flat, b); err != nil {
			return node{}, at(path, "not one JSON value")
		}
		return node{text: flat.String()}, nil
	}
	if depth == maxDepth {
		return node{}, at(path, "nested too deep")
	}
	n := node{object: true}
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		return n, at(path, "not one JSON value")
	}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return n, at(path, "not one JSON value")
		}
		below := path + step1(name)
		if len(n.names) == maxMembers {
			return n, at(path, "more than "+strconv.Itoa(maxMembers)+" entries")
		}
		if slices.Contains(n.names, name) {
			return n, at(below, "named twice")
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return n, at(below, "not one JSON value")
		}
		x, err := parseAt(raw, below, depth+1)
		if err != nil {
			return n, err
		}
		n.names, n.items = append(n.names, name), append(n.items, x)
	}
	return n, nil
}

// step1 is a step of a JSONPath. What is no plain name was typed by somebody: it is
// quoted and cut short.
func step1(name string) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
	if name != "" && len(name) <= 64 && strings.Trim(name, letters) == "" {
		return "." + name
	}
	r := []rune(name)
	return "[" + strconv.Quote(string(r[:min(len(r), 64)])) + "]"
}

func (n *node) get(name string) *node {
	if i := slices.Index(n.names, name); i >= 0 {
		return &n.items[i]
	}
	return nil
}

func (n *node) set(name string, x node) {
	if old := n.get(name); old != nil {
		*old = x
		return
	}
	n.names, n.items = append(n.names, name), append(n.items, x)
}

func (n *node) drop(name string) {
	if i := slices.Index(n.names, name); i >= 0 {
		n.names, n.items = slices.Delete(n.names, i, i+1), slices.Delete(n.items, i, i+1)
	}
}

// merge changes n by a patch, as Graph does: an object inside an object is merged
// member by member, null takes a member away, and a list replaces the list (RFC
// 7396). What is not mentioned stays; an object of which nothing is left goes too.
func (n *node) merge(patch node) {
	for i, name := range patch.names {
		x := patch.items[i]
		old := n.get(name)
		switch {
		case !x.object && x.text == "null":
			n.drop(name)
		case x.object && old != nil && old.object:
			if old.merge(x); len(old.names) == 0 {
				n.drop(name)
			}
		case x.object: // nulls inside mean nothing yet
			fresh := node{object: true}
			fresh.merge(x)
			n.set(name, fresh)
		default:
			n.set(name, x)
		}
	}
}

// strip drops members that are null: they say nothing.
func (n *node) strip() {
	for i := len(n.names) - 1; i >= 0; i-- {
		if x := &n.items[i]; x.object {
			x.strip()
		} else if x.text == "null" {
			n.drop(n.names[i])
		}
	}
}

// format writes the value; members in their order.
func (n *node) format(b []byte) []byte {
	if !n.object {
		return append(b, n.text...)
	}
	b = append(b, '{')
	for i, name := range n.names {
		if i > 0 {
			b = append(b, ',')
		}
		q, _ := json.Marshal(name) // a string always has a form
		b = n.items[i].format(append(append(b, q...), ':'))
	}
	return append(b, '}')
}

// maxTold bounds one value of a change in the audit log, in bytes.
const maxTold = 2000

// differences lists the members that differ, by path without the dollar, down to
// what is no object. Empty and absent are the same.
func differences(path string, old, now *node) (out []audit.Change) {
	var names []string
	for _, n := range []*node{old, now} {
		if n != nil && n.object {
			for _, name := range n.names {
				if !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
	}
	if names == nil {
		a, b := told(old), told(now)
		if a == b {
			return nil
		}
		return []audit.Change{{Property: path, Old: a, New: b}}
	}
	for _, name := range names {
		below := name
		if path != "" {
			below = path + step1(name)
		}
		if path == "" && (name == "id" || strings.HasSuffix(name, "DateTime") || name == "templateId") {
			continue // they say nothing about what the document does
		}
		var a, b *node
		if old != nil && old.object {
			a = old.get(name)
		}
		if now != nil && now.object {
			b = now.get(name)
		}
		out = append(out, differences(below, a, b)...)
	}
	return out
}

func told(n *node) string {
	if n == nil || n.object || n.text == "null" || n.text == "[]" {
		return ""
	}
	s := n.text
	var plain string
	if json.Unmarshal([]byte(s), &plain) == nil {
		s = plain
	}
	if len(s) > maxTold {
		s = strings.ToValidUTF8(s[:maxTold], "") + "…"
	}
	return s
}
