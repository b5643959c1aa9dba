package grant

import (
	"errors"
	"strconv"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
)

// A grant's columns are written on every refresh and kept by the million, so
// they have a form of their own, about half of JSON's size and a tenth of its
// work. Identifiers of resources and names of scopes hold no white space.

// FormatScopes writes permissions: one line for each resource, its identifier
// and then its scopes, separated by spaces.
func FormatScopes(ps []directory.Permission) string {
	var b strings.Builder
	for i, p := range ps {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(string(p.Resource))
		for _, s := range p.Scopes {
			b.WriteByte(' ')
			b.WriteString(s)
		}
	}
	return b.String()
}

// ParseScopes reads what FormatScopes wrote.
func ParseScopes(text string) []directory.Permission {
	var ps []directory.Permission
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 0 {
			ps = append(ps, directory.Permission{Resource: directory.ResourceID(f[0]), Scopes: f[1:]})
		}
	}
	return ps
}

var errState = errors.New("unreadable state of a grant")

// A resource is any URI without white space, so what separates is escaped in it.
var (
	escaper   = strings.NewReplacer("%", "%25", ",", "%2C", "|", "%7C", "=", "%3D")
	unescaper = strings.NewReplacer("%25", "%", "%2C", ",", "%7C", "|", "%3D", "=")
)

func escape(r directory.ResourceID) string { return escaper.Replace(string(r)) }

func unescape(s string) directory.ResourceID {
	if strings.Contains(s, "%") {
		s = unescaper.Replace(s)
	}
	return directory.ResourceID(s)
}

// Format writes the state but for its generation: three parts separated by bars,
//
//	rotations, in µs, separated by commas
//	resource=retries, separated by spaces
//	resource expiry life, in seconds, separated by commas
func (s *State) Format() string {
	b := make([]byte, 0, 96)
	for i, r := range s.Rotated {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, r, 10)
	}
	b = append(b, '|')
	sep := false
	for r, n := range s.Retries {
		if sep {
			b = append(b, ' ')
		}
		sep = true
		b = append(b, escape(r)...)
		b = append(b, '=')
		b = strconv.AppendInt(b, int64(n), 10)
	}
	b = append(b, '|')
	for i, t := range s.Tokens {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, escape(t.Resource)...)
		b = append(b, ' ')
		b = strconv.AppendInt(b, t.Expires, 10)
		b = append(b, ' ')
		b = strconv.AppendInt(b, t.Expires-t.Issued, 10)
	}
	return string(b)
}

// ParseState reads what Format wrote. What it cannot read is an error: a grant
// whose state is unreadable is not renewed.
func ParseState(text string) (State, error) {
	var s State
	rotated, rest, ok := strings.Cut(text, "|")
	retries, tokens, ok2 := strings.Cut(rest, "|")
	if !ok || !ok2 {
		return s, errState
	}
	var err error
	num := func(x string) int64 {
		n, e := strconv.ParseInt(x, 10, 64)
		if e != nil {
			err = errState
		}
		return n
	}
	if rotated != "" {
		for r := range strings.SplitSeq(rotated, ",") {
			s.Rotated = append(s.Rotated, num(r))
		}
	}
	for f := range strings.FieldsSeq(retries) {
		i := strings.LastIndexByte(f, '=')
		if i < 0 {
			return s, errState
		}
		if s.Retries == nil {
			s.Retries = make(map[directory.ResourceID]int)
		}
		s.Retries[unescape(f[:i])] = int(num(f[i+1:]))
	}
	if tokens != "" {
		for t := range strings.SplitSeq(tokens, ",") {
			f := strings.Split(t, " ")
			if len(f) != 3 {
				return s, errState
			}
			e := num(f[1])
			s.Tokens = append(s.Tokens, Token{Resource: unescape(f[0]), Expires: e, Issued: e - num(f[2])})
		}
	}
	return s, err
}
