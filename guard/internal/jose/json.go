package jose

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Reader is a reader of JSON as strict as a token deserves: duplicate members, invalid
// UTF-8, lone surrogates and deep nesting are errors, and names are compared
// exactly. encoding/json takes the last of two members and ignores case, so
// two verifiers could read two different tokens out of the same bytes
// (RFC 8725 §2.4). It reads from a string and returns substrings of it.
type Reader struct {
	s     string
	i     int
	depth int
}

const (
	maxDepth   = 8
	maxMembers = 128
)

// ErrJSON is what everything but strict JSON is.
var ErrJSON = errors.New("not strict JSON")

// Space goes on to what is not white space.
func (r *Reader) Space() {
	for r.i < len(r.s) {
		switch r.s[r.i] {
		case ' ', '\t', '\r', '\n':
			r.i++
		default:
			return
		}
	}
}

// Peek returns the next byte that is not white space, or 0 at the end.
func (r *Reader) Peek() byte {
	r.Space()
	if r.i == len(r.s) {
		return 0
	}
	return r.s[r.i]
}

func (r *Reader) take(c byte) bool {
	if r.Peek() != c {
		return false
	}
	r.i++
	return true
}

// Object calls member for each member, with the reader at its value.
func (r *Reader) Object(member func(name string) error) error {
	if !r.take('{') {
		return ErrJSON
	}
	if r.depth++; r.depth > maxDepth {
		return ErrJSON
	}
	defer func() { r.depth-- }()
	if r.take('}') {
		return nil
	}
	var room [32]string
	names := room[:0]
	for {
		r.Space()
		name, err := r.String()
		if err != nil {
			return err
		}
		for _, n := range names {
			if n == name {
				return ErrJSON
			}
		}
		if names = append(names, name); len(names) > maxMembers || !r.take(':') {
			return ErrJSON
		}
		if err := member(name); err != nil {
			return err
		}
		if r.take('}') {
			return nil
		}
		if !r.take(',') {
			return ErrJSON
		}
	}
}

// Array calls element for each element, with the reader at it.
func (r *Reader) Array(element func() error) error {
	if !r.take('[') {
		return ErrJSON
	}
	if r.depth++; r.depth > maxDepth {
		return ErrJSON
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
			return ErrJSON
		}
	}
}

// String reads a string. Without escapes it allocates nothing.
func (r *Reader) String() (string, error) {
	if !r.take('"') {
		return "", ErrJSON
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
			return "", ErrJSON
		}
		r.i++
	}
	return "", ErrJSON
}

// escaped reads a string that has escapes in it, at leisure: none of our own
// claims has any.
func (r *Reader) escaped(start int) (string, error) {
	for ; r.i < len(r.s) && r.s[r.i] != '"'; r.i++ {
		if r.s[r.i] == '\\' {
			r.i++
		}
	}
	if r.i >= len(r.s) {
		return "", ErrJSON
	}
	r.i++
	var out string
	// A lone surrogate becomes the replacement character, which stands for
	// "not text": whoever writes it on purpose is refused along with it.
	if err := json.Unmarshal([]byte(r.s[start-1:r.i]), &out); err != nil || strings.ContainsRune(out, utf8.RuneError) {
		return "", ErrJSON
	}
	return out, nil
}

// scalar takes the letters and signs of a number, true, false or null.
func (r *Reader) scalar() string {
	r.Space()
	start := r.i
	for r.i < len(r.s) && strings.IndexByte(" \t\r\n,]}", r.s[r.i]) < 0 {
		r.i++
	}
	return r.s[start:r.i]
}

// Integer reads a whole number of at most 53 bits, written without fraction
// and exponent.
func (r *Reader) Integer() (int64, error) {
	s := r.scalar()
	n, err := strconv.ParseInt(s, 10, 64)
	// One way to write each number: no leading zero, no plus, no "-0".
	if err != nil || n > 1<<53-1 || n < -(1<<53-1) || strconv.FormatInt(n, 10) != s {
		return 0, ErrJSON
	}
	return n, nil
}

// Skip reads a value nobody asked for, as strictly as any other.
func (r *Reader) Skip() error {
	switch c := r.Peek(); c {
	case '{':
		return r.Object(func(string) error { return r.Skip() })
	case '[':
		return r.Array(r.Skip)
	case '"':
		_, err := r.String()
		return err
	}
	if !json.Valid([]byte(r.scalar())) {
		return ErrJSON
	}
	return nil
}

// Strings reads an array of strings.
func (r *Reader) Strings() (list []string, err error) {
	err = r.Array(func() error {
		r.Space()
		s, err := r.String()
		list = append(list, s)
		return err
	})
	return list, err
}

// ReadObject reads one object and nothing after it.
func ReadObject(s string, member func(r *Reader, name string) error) error {
	if !utf8.ValidString(s) {
		return ErrJSON
	}
	r := Reader{s: s}
	if err := r.Object(func(name string) error { return member(&r, name) }); err != nil {
		return err
	}
	if r.Peek() != 0 || r.i != len(s) {
		return ErrJSON
	}
	return nil
}
