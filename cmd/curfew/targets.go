package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/term"
)

// target is one thing that a command is to act on, as it was named.
type target struct {
	ref  string // what the server is asked for
	name string // what is printed
}

// maxTargets bounds what is read from stdin.
const maxTargets = 1_000_000

// targets are the arguments, or with "-" the lines of stdin: plain words, one to
// a line, or JSON objects with one of the given fields, the first of them that is
// there; name is the field to print. Everything is read before anything is done:
// a line that is not understood stops it all. None at all is an error too, so
// that a search that found nobody does not look like a revocation that worked.
func (c *console) targets(cmd *cobra.Command, args []string, name string, fields ...string) ([]target, error) {
	var all []target
	for _, a := range args {
		if a != "-" {
			if strings.TrimSpace(a) == "" {
				return nil, usagef(cmd, "an argument is empty")
			}
			all = append(all, target{a, a})
			continue
		}
		read, err := readTargets(c.in, name, fields)
		if err != nil {
			return nil, usageError(cmd, err)
		}
		all = append(all, read...)
	}
	if len(all) == 0 {
		return nil, usagef(cmd, "standard input named nothing to act on; nothing was done")
	}
	seen := map[string]bool{}
	once := all[:0]
	for _, t := range all {
		if !seen[strings.ToLower(t.ref)] {
			seen[strings.ToLower(t.ref)] = true
			once = append(once, t)
		}
	}
	return once, nil
}

func readTargets(r io.Reader, name string, fields []string) (all []target, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 4<<20)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\uFEFF"))
		switch {
		case text == "" || strings.HasPrefix(text, "#"):
			continue
		case strings.HasPrefix(text, "{"):
			t, err := jsonTarget(text, name, fields)
			if err != nil {
				return nil, fmt.Errorf("line %d of standard input: %w", n, err)
			}
			all = append(all, t)
		case strings.ContainsAny(text, " \t,;\"[]"):
			return nil, fmt.Errorf("line %d of standard input is neither one name nor a JSON object: %q", n, shorten(text))
		default:
			all = append(all, target{text, text})
		}
		if len(all) > maxTargets {
			return nil, fmt.Errorf("standard input names more than %s things", term.Num(maxTargets))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	return all, nil
}

func jsonTarget(text, name string, fields []string) (target, error) {
	var doc map[string]any
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return target{}, errors.New("this is not JSON: " + err.Error())
	}
	for _, f := range fields {
		if ref, ok := doc[f].(string); ok && ref != "" {
			t := target{ref, ref}
			if s, ok := doc[name].(string); ok && s != "" {
				t.name = s
			}
			return t, nil
		}
	}
	return target{}, fmt.Errorf("this object has no %s", strings.Join(fields, " and no "))
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}
