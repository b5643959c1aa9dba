package registry

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Mistakes are sentences about fields, by name, without full stop.
type Mistakes map[string]string

// note keeps the first mistake of a field.
func (m Mistakes) note(field string, err error) {
	if err != nil && m[field] == "" {
		m[field] = strings.TrimSuffix(fault.Public(err), ".")
	}
}

// Problem is the summary above the form, in the order of the fields; nil without
// mistakes.
func (m Mistakes) Problem(sets []webkit.Fieldset) *webkit.Problem {
	p := &webkit.Problem{Title: "Error: nothing was saved"}
	for _, s := range sets {
		for _, f := range s.Fields {
			if f.Error != "" {
				p.Items = append(p.Items, webkit.ProblemItem{Field: f.Name, Text: f.Error})
			}
		}
	}
	if p.Items == nil {
		return nil
	}
	return p
}

// Fill writes what was typed into the fields of a form that comes back, and the
// mistakes beside them.
func Fill(sets []webkit.Fieldset, f webkit.Form, m Mistakes) {
	for _, s := range sets {
		for i := range s.Fields {
			x := &s.Fields[i]
			x.Value, x.Error = f.Get(x.Name), m[x.Name]
		}
	}
}

// lines are the items of a list with one on each line.
func lines(s string) (out []string) {
	for l := range strings.Lines(s) {
		if l = strings.TrimSpace(l); l != "" {
			out = append(out, l)
		}
	}
	return out
}

// WriteSpan writes a span of time so that ReadSpan reads the same; zero is empty.
func WriteSpan(d time.Duration) string {
	for _, u := range units {
		if d > 0 && d%u.of == 0 {
			return webkit.Count(int(d/u.of), u.one, u.many)
		}
	}
	if d == 0 {
		return ""
	}
	return d.String()
}

var units = []struct {
	of        time.Duration
	one, many string
}{{24 * time.Hour, "day", "days"}, {time.Hour, "hour", "hours"}, {time.Minute, "minute", "minutes"}, {time.Second, "second", "seconds"}}

var span = regexp.MustCompile(`^([0-9][0-9,]{0,8}) ?(d|days?|h|hours?|m|min|minutes?|s|seconds?)$`)

// ReadSpan reads "90 days", "12 h" or "36h0m0s"; empty is zero. Kinds: Invalid.
func ReadSpan(s string) (time.Duration, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	if s == "" {
		return 0, nil
	}
	if m := span.FindStringSubmatch(s); m != nil {
		n, err := strconv.Atoi(strings.ReplaceAll(m[1], ",", ""))
		for _, u := range units {
			if err == nil && u.one[0] == m[2][0] && n <= int(maxSpan/u.of) {
				return time.Duration(n) * u.of, nil
			}
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 && d <= maxSpan {
		return d, nil
	}
	return 0, fault.New(fault.Invalid, "Write a number and a unit, such as 90 days, 12 hours or 45 minutes.")
}

const maxSpan = 100 * 366 * 24 * time.Hour

// WritePermissions writes a line for each resource: its identifier, then the scopes.
func WritePermissions(ps []directory.Permission) string {
	var out []string
	for _, p := range ps {
		out = append(out, string(p.Resource)+" "+strings.Join(p.Scopes, " "))
	}
	return strings.Join(out, "\n")
}

// ReadPermissions reads such lines. Kinds: Invalid.
func ReadPermissions(s string) ([]directory.Permission, error) {
	out := []directory.Permission{}
	for _, l := range lines(s) {
		words := strings.Fields(l)
		if len(words) < 2 {
			return nil, fault.New(fault.Invalid, "Write the scopes behind the resource "+fault.Quote(words[0])+".")
		}
		out = append(out, directory.Permission{Resource: directory.ResourceID(words[0]), Scopes: words[1:]})
	}
	return out, nil
}

// writeKeys writes public keys as a JWK Set (RFC 7517 §5); none is empty.
func writeKeys(keys []directory.AppKey) string {
	if len(keys) == 0 {
		return ""
	}
	var all []string
	for _, k := range keys {
		all = append(all, k.JWK)
	}
	return "{\"keys\":[\n" + strings.Join(all, ",\n") + "\n]}"
}

// readKeys reads a JWK Set, or one key. Whether each is good the verb says. Kinds:
// Invalid.
func readKeys(s string) ([]string, error) {
	out := []string{}
	if strings.TrimSpace(s) == "" {
		return out, nil
	}
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal([]byte(s), &set); err != nil {
		return nil, fault.Wrap(fault.Invalid, "Write one JSON Web Key, or a JWK Set.", err)
	}
	if set.Keys == nil {
		return []string{s}, nil
	}
	for _, k := range set.Keys {
		out = append(out, string(k))
	}
	return out, nil
}

// writeScopes writes a line for each scope: its name, "admin" when only an
// administrator can consent, and what people read.
func writeScopes(all []directory.Scope) string {
	var out []string
	for _, x := range all {
		l := x.Name
		if x.AdminOnly {
			l += " (admin)"
		}
		if x.Text != "" {
			l += " " + x.Text
		}
		out = append(out, l)
	}
	return strings.Join(out, "\n")
}

func readScopes(s string) ([]directory.Scope, error) {
	out := []directory.Scope{}
	for _, l := range lines(s) {
		name, rest, _ := strings.Cut(l, " ")
		x := directory.Scope{Name: name, Text: strings.TrimSpace(rest)}
		if text, ok := strings.CutPrefix(x.Text, "(admin)"); ok {
			x.AdminOnly, x.Text = true, strings.TrimSpace(text)
		}
		if err := directory.CheckScope(name); err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}

func uris(s string) ([]string, error) {
	out := []string{}
	for _, u := range lines(s) {
		if err := directory.CheckRedirectURI(u); err != nil {
			return nil, err
		}
		out = append(out, u)
	}
	return out, nil
}

func minutes(s string) (int, error) {
	if s = strings.TrimSpace(s); s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 10 || n > 60 {
		return 0, fault.New(fault.Invalid, fmt.Sprintf("Access tokens live between 10 and 60 minutes: %s is not such a number.", fault.Quote(s)))
	}
	return n, nil
}
