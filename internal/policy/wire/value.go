package wire

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/curfew-id/curfew/internal/fault"
)

// Limits of a document.
const (
	MaxBytes = 512 << 10
	maxDepth = 12
	maxText  = MaxTerms // the longest; others have bounds of their own
	maxRule  = 4096     // bytes of a filter for devices
	maxList  = 2000     // entries of one list
)

// Fault says where a document is wrong, and how.
type Fault struct {
	Path string // JSONPath: $.conditions.users.includeUsers[2]
	Why  string
}

// Error is for logs; the public sentence is that of the fault around it.
func (f *Fault) Error() string { return f.Path + ": " + f.Why }

func refusal(path, why string) error {
	return fault.Wrap(fault.Invalid, "At "+path+": "+why+".", &Fault{Path: path, Why: why})
}

// kind of a JSON value.
type kind uint8

const (
	null kind = iota
	boolean
	number
	text
	list
	object
)

var kindNames = [...]string{"null", "true or false", "a number", "a text", "a list", "an object"}

// value is a JSON value with the order and the repeats of its members.
type value struct {
	kind  kind
	text  string // of a text, and of a number as written
	on    bool
	items []value  // of a list and an object
	names []string // of an object
}

// decode reads a document. What two readers could understand differently is
// refused: a member named twice, text that is not UTF-8.
func decode(b []byte) (value, error) {
	switch {
	case len(b) > MaxBytes:
		return value{}, refusal("$", "longer than "+strconv.Itoa(MaxBytes)+" bytes")
	case !utf8.Valid(b):
		return value{}, refusal("$", "not UTF-8")
	case !json.Valid(b): // from here on no token is an error
		return value{}, refusal("$", "not one JSON value")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	return next(dec, "$", 0)
}

func next(dec *json.Decoder, path string, depth int) (v value, err error) {
	t, _ := dec.Token()
	switch t := t.(type) {
	case bool:
		v = value{kind: boolean, on: t}
	case json.Number:
		v = value{kind: number, text: t.String()}
	case string:
		if len(t) > maxText {
			return v, refusal(path, "too long a text")
		}
		v = value{kind: text, text: t}
	case json.Delim:
		if depth == maxDepth {
			return v, refusal(path, "nested too deep")
		}
		v.kind = list
		if t == '{' {
			v.kind = object
		}
		err = v.fill(dec, path, depth+1)
	}
	return v, err
}

// fill reads what is in a list or an object, and its end.
func (v *value) fill(dec *json.Decoder, path string, depth int) error {
	for dec.More() {
		at := path + index(len(v.items))
		if len(v.items) == maxList {
			return refusal(path, "more than "+strconv.Itoa(maxList)+" entries")
		}
		if v.kind == object {
			t, _ := dec.Token()
			name, _ := t.(string)
			at = path + member(name)
			if slices.Contains(v.names, name) {
				return refusal(at, "named twice")
			}
			v.names = append(v.names, name)
		}
		x, err := next(dec, at, depth)
		if err != nil {
			return err
		}
		v.items = append(v.items, x)
	}
	_, _ = dec.Token()
	return nil
}

func index(i int) string { return "[" + strconv.Itoa(i) + "]" }

// member is a step of a JSONPath. What is no plain name was typed by somebody: it
// is quoted and cut short.
func member(name string) string {
	plain := name != "" && len(name) <= 64
	for i := range len(name) {
		c := name[i]
		plain = plain && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || i > 0 && c >= '0' && c <= '9')
	}
	if plain {
		return "." + name
	}
	r := []rune(name)
	return "[" + strconv.Quote(string(r[:min(len(r), 64)])) + "]"
}

// encode appends the value as JSON, members in their order.
func (v *value) encode(b []byte) []byte {
	switch v.kind {
	case boolean:
		return strconv.AppendBool(b, v.on)
	case number:
		return append(b, v.text...)
	case text:
		q, _ := json.Marshal(v.text) // a string always has a form
		return append(b, q...)
	case list, object:
		open, end := byte('['), byte(']')
		if v.kind == object {
			open, end = '{', '}'
		}
		b = append(b, open)
		for i := range v.items {
			if i > 0 {
				b = append(b, ',')
			}
			if v.kind == object {
				b = append(append(append(b, '"'), v.names[i]...), '"', ':') // our own names need no escapes
			}
			b = v.items[i].encode(b)
		}
		return append(b, end)
	}
	return append(b, "null"...)
}
