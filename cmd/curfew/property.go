package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
)

// property is a flag of a registration and the property of the API that it sets.
// Lists are set as a whole: the flag is given once for each of them, and once
// with an empty value for none.
type property struct {
	flag, name string
	kind       kind
	help       string
}

// kind says how a flag is written.
type kind int

const (
	plain    kind = iota
	truth         // a switch
	whole         // a number
	lasting       // a length of time, sent in milliseconds
	plains        // a list of texts
	permits       // a list of RESOURCE/SCOPE, as in the scope parameter of OAuth
	scopeSet      // a list of NAME=TEXT
	publics       // a list of files with public keys
	public        // one file with one public key
)

func propertyFlagsOf(cmd *cobra.Command, all []property) {
	f := cmd.Flags()
	for _, p := range all {
		switch p.kind {
		case truth:
			f.Bool(p.flag, false, p.help)
		case whole:
			f.Int(p.flag, 0, p.help)
		case plains, permits, scopeSet, publics:
			f.StringArray(p.flag, nil, p.help)
		default:
			f.String(p.flag, "", p.help)
		}
	}
}

// propertiesOf are those whose flags were given.
func (c *console) propertiesOf(cmd *cobra.Command, all []property) (map[string]any, error) {
	set := map[string]any{}
	for _, p := range all {
		if !cmd.Flags().Changed(p.flag) {
			continue
		}
		v, err := c.propertyValue(cmd, p)
		if err != nil {
			return nil, usagef(cmd, "--%s: %w", p.flag, err)
		}
		if more, ok := v.([]client.Scope); ok { // two flags write the scopes
			before, _ := set[p.name].([]client.Scope)
			v = append(before, more...)
		}
		set[p.name] = v
	}
	return set, nil
}

func (c *console) propertyValue(cmd *cobra.Command, p property) (any, error) {
	f := cmd.Flags()
	switch p.kind {
	case truth:
		return f.GetBool(p.flag)
	case whole:
		return f.GetInt(p.flag)
	case lasting:
		d, err := length(f.Lookup(p.flag).Value.String())
		return d.Milliseconds(), err
	case plains:
		return listed(f.GetStringArray(p.flag))
	case permits:
		list, err := listed(f.GetStringArray(p.flag))
		if err != nil {
			return nil, err
		}
		return permissions(list)
	case scopeSet:
		list, err := listed(f.GetStringArray(p.flag))
		if err != nil {
			return nil, err
		}
		return scopesOf(list, strings.HasPrefix(p.flag, "admin-"))
	case publics:
		files, err := listed(f.GetStringArray(p.flag))
		if err != nil {
			return nil, err
		}
		keys := []string{}
		for _, name := range files {
			more, err := c.publicKeys(name)
			if err != nil {
				return nil, err
			}
			keys = append(keys, more...)
		}
		return keys, nil
	case public:
		name := f.Lookup(p.flag).Value.String()
		if name == "" {
			return "", nil
		}
		keys, err := c.publicKeys(name)
		if err == nil && len(keys) != 1 {
			err = fmt.Errorf("%s holds %d keys; one is needed", name, len(keys))
		}
		if err != nil {
			return nil, err
		}
		return keys[0], nil
	}
	return f.Lookup(p.flag).Value.String(), nil
}

// listed turns the one empty value into no value.
func listed(values []string, err error) ([]string, error) {
	out := []string{}
	for _, v := range values {
		switch {
		case v != "":
			out = append(out, v)
		case len(values) > 1:
			return nil, errors.New("an empty value stands for an empty list, and others were given beside it")
		}
	}
	return out, err
}

// permissions reads RESOURCE/SCOPE and puts what is at one resource together. A
// scope has no slash in it, so the last one divides.
func permissions(list []string) ([]client.Permission, error) {
	out := []client.Permission{}
	for _, text := range list {
		i := strings.LastIndexByte(text, '/')
		if i <= 0 || i == len(text)-1 || strings.HasSuffix(text[:i], "/") {
			return nil, fmt.Errorf("%q is not RESOURCE/SCOPE, such as api://mail/Mail.Read", text)
		}
		at, scope := text[:i], text[i+1:]
		known := false
		for j := range out {
			if known = out[j].Resource == at; known {
				out[j].Scopes = append(out[j].Scopes, scope)
				break
			}
		}
		if !known {
			out = append(out, client.Permission{Resource: at, Scopes: []string{scope}})
		}
	}
	return out, nil
}

func scopesOf(list []string, adminOnly bool) ([]client.Scope, error) {
	out := []client.Scope{}
	for _, text := range list {
		name, what, ok := strings.Cut(text, "=")
		if name = strings.TrimSpace(name); !ok || name == "" || strings.TrimSpace(what) == "" {
			return nil, fmt.Errorf("%q is not NAME=TEXT, such as \"Mail.Read=Read your mail\"", text)
		}
		out = append(out, client.Scope{Name: name, Text: strings.TrimSpace(what), AdminOnly: adminOnly})
	}
	return out, nil
}

// length reads a length of time: as Go writes it, or in whole days. Empty is none.
func length(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n int
		if n, err = strconv.Atoi(days); n > maxDays {
			err = errors.New("too long")
		}
		d = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no length of time, such as 90d, 24h or 90m", s)
	}
	return d, nil
}

// maxDays is more than a duration is ever asked for, and less than one can hold.
const maxDays = 100_000

// until reads an instant: a length of time from now, a day (to its end, in the
// person's zone) or an RFC 3339 instant. Empty is never.
func (c *console) until(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, s, c.Zone); err == nil {
		return t.AddDate(0, 0, 1), nil
	}
	d, err := length(s)
	if err != nil || d == 0 {
		return time.Time{}, fmt.Errorf("%q is neither a length of time, such as 90d, nor a day, such as 2027-03-01", s)
	}
	return c.Now().Add(d), nil
}
