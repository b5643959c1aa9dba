package guard

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A reader of JSON as strict as a token deserves: duplicate members, invalid
// UTF-8, lone surrogates and deep nesting are errors, and names are compared
// exactly. encoding/json takes the last of two members and ignores case, so
// two verifiers could read two different tokens out of the same bytes
// (RFC 8725 §2.4). It reads from a string and returns substrings of it.
type jsonReader struct {
	s     string
	i     int
	depth int
}

const (
	maxDepth   = 8
	maxMembers = 128
)

var errJSON = errors.New("not strict JSON")

func (r *jsonReader) space() {
	for r.i < len(r.s) {
		switch r.s[r.i] {
		case ' ', '\t', '\r', '\n':
			r.i++
		default:
			return
		}
	}
}

// peek returns the next byte that is not white space, or 0 at the end.
func (r *jsonReader) peek() byte {
	r.space()
	if r.i == len(r.s) {
		return 0
	}
	return r.s[r.i]
}

func (r *jsonReader) take(c byte) bool {
	if r.peek() != c {
		return false
	}
	r.i++
	return true
}

// object calls member for each member, with the reader at its value.
func (r *jsonReader) object(member func(name string) error) error {
	if !r.take('{') {
		return errJSON
	}
	if r.depth++; r.depth > maxDepth {
		return errJSON
	}
	defer func() { r.depth-- }()
	if r.take('}') {
		return nil
	}
	var room [32]string
	names := room[:0]
	for {
		r.space()
		name, err := r.string()
		if err != nil {
			return err
		}
		for _, n := range names {
			if n == name {
				return errJSON
			}
		}
		if names = append(names, name); len(names) > maxMembers || !r.take(':') {
			return errJSON
		}
		if err := member(name); err != nil {
			return err
		}
		if r.take('}') {
			return nil
		}
		if !r.take(',') {
			return errJSON
		}
	}
}

func (r *jsonReader) array(element func() error) error {
	if !r.take('[') {
		return errJSON
	}
	if r.depth++; r.depth > maxDepth {
		return errJSON
	}
	defer func() { r.depth-- }()
	if r.take(']') {
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		if r.take(']') {
			return nil
		}
		if !r.take(',') {
			return errJSON
		}
	}
}

// string reads a string. Without escapes it allocates nothing.
func (r *jsonReader) string() (string, error) {
	if !r.take('"') {
		return "", errJSON
	}
	start := r.i
	for r.i < len(r.s) {
		switch c := r.s[r.i]; {
		case c == '"':
			r.i++
			return r.s[start : r.i-1], nil
		case c == '\\':
			return r.escaped(start)
		case c < ' ':
			return "", errJSON
		}
		r.i++
	}
	return "", errJSON
}

// escaped reads a string that has escapes in it, at leisure: none of our own
// claims has any.
func (r *jsonReader) escaped(start int) (string, error) {
	for ; r.i < len(r.s) && r.s[r.i] != '"'; r.i++ {
		if r.s[r.i] == '\\' {
			r.i++
		}
	}
	if r.i >= len(r.s) {
		return "", errJSON
	}
	r.i++
	var out string
	// A lone surrogate becomes the replacement character, which stands for
	// "not text": whoever writes it on purpose is refused along with it.
	if err := json.Unmarshal([]byte(r.s[start-1:r.i]), &out); err != nil || strings.ContainsRune(out, utf8.RuneError) {
		return "", errJSON
	}
	return out, nil
}

// scalar takes the letters and signs of a number, true, false or null.
func (r *jsonReader) scalar() string {
	r.space()
	start := r.i
	for r.i < len(r.s) && strings.IndexByte(" \t\r\n,]}", r.s[r.i]) < 0 {
		r.i++
	}
	return r.s[start:r.i]
}

// integer reads a whole number of at most 53 bits, written without fraction
// and exponent.
func (r *jsonReader) integer() (int64, error) {
	s := r.scalar()
	n, err := strconv.ParseInt(s, 10, 64)
	// One way to write each number: no leading zero, no plus, no "-0".
	if err != nil || n > 1<<53-1 || n < -(1<<53-1) || strconv.FormatInt(n, 10) != s {
		return 0, errJSON
	}
	return n, nil
}

// skip reads a value nobody asked for, as strictly as any other.
func (r *jsonReader) skip() error {
	switch c := r.peek(); c {
	case '{':
		return r.object(func(string) error { return r.skip() })
	case '[':
		return r.array(r.skip)
	case '"':
		_, err := r.string()
		return err
	}
	if !json.Valid([]byte(r.scalar())) {
		return errJSON
	}
	return nil
}

func (r *jsonReader) strings() (list []string, err error) {
	err = r.array(func() error {
		r.space()
		s, err := r.string()
		list = append(list, s)
		return err
	})
	return list, err
}

// readObject reads one object and nothing after it.
func readObject(s string, member func(r *jsonReader, name string) error) error {
	if !utf8.ValidString(s) {
		return errJSON
	}
	r := jsonReader{s: s}
	if err := r.object(func(name string) error { return member(&r, name) }); err != nil {
		return err
	}
	if r.peek() != 0 || r.i != len(s) {
		return errJSON
	}
	return nil
}
