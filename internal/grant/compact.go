package grant

import (
	"encoding/base64"
	"errors"
	"net/netip"
	"slices"
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
//
// and, where there is any of it, a fourth of a letter and a value each, separated
// by spaces:
//
//	f   place of Resource among the tokens
//	n   Network: its 3 (IPv4) or 6 bytes (IPv6) in base64url
//	r   Row
//	e i Alarmed: of Elsewhere, of InARow
func (s *State) Format() string {
	b := make([]byte, 0, 160)
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
	return string(s.appendWatch(b))
}

// alarmLetters stand for the elements of Alarmed.
const alarmLetters = "ei"

// appendWatch appends the fourth part.
func (s *State) appendWatch(b []byte) []byte {
	sep := byte('|')
	field := func(letter byte) {
		b = append(b, sep, letter)
		sep = ' '
	}
	if i := slices.IndexFunc(s.Tokens, func(t Token) bool { return t.Resource == s.Resource }); i >= 0 {
		field('f')
		b = strconv.AppendInt(b, int64(i), 10)
	}
	if a := s.Network.Addr(); a.Is4() {
		field('n')
		ip := a.As4()
		b = base64.RawURLEncoding.AppendEncode(b, ip[:ipv4Bits/8])
	} else if a.Is6() {
		field('n')
		ip := a.As16()
		b = base64.RawURLEncoding.AppendEncode(b, ip[:ipv6Bits/8])
	}
	if s.Row > 0 {
		field('r')
		b = strconv.AppendInt(b, int64(s.Row), 10)
	}
	for i, told := range s.Alarmed {
		if told != 0 {
			field(alarmLetters[i])
			b = strconv.AppendInt(b, told, 10)
		}
	}
	return b
}

// ParseState reads what Format wrote. What it cannot read is an error: a grant
// whose state is unreadable is not renewed.
func ParseState(text string) (State, error) {
	var s State
	rotated, rest, ok := strings.Cut(text, "|")
	retries, rest, ok2 := strings.Cut(rest, "|")
	tokens, watch, _ := strings.Cut(rest, "|")
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
	for f := range strings.FieldsSeq(watch) {
		if err := s.parseWatch(f[0], f[1:]); err != nil {
			return s, err
		}
	}
	return s, err
}

// parseWatch reads one field of the fourth part.
func (s *State) parseWatch(letter byte, value string) error {
	if letter == 'n' {
		return s.parseNetwork(value)
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 {
		return errState
	}
	switch i := strings.IndexByte(alarmLetters, letter); {
	case i >= 0:
		s.Alarmed[i] = n
	case letter == 'r':
		s.Row = int(n)
	case letter == 'f' && n < int64(len(s.Tokens)):
		s.Resource = s.Tokens[n].Resource
	default:
		return errState
	}
	return nil
}

func (s *State) parseNetwork(value string) error {
	var ip [16]byte
	if len(value) > base64.RawURLEncoding.EncodedLen(ipv6Bits/8) {
		return errState
	}
	n, err := base64.RawURLEncoding.Strict().Decode(ip[:], []byte(value))
	switch {
	case err == nil && n == ipv4Bits/8:
		s.Network = netip.PrefixFrom(netip.AddrFrom4([4]byte(ip[:4])), ipv4Bits)
	case err == nil && n == ipv6Bits/8:
		s.Network = netip.PrefixFrom(netip.AddrFrom16(ip), ipv6Bits)
	default:
		return errState
	}
	return nil
}
