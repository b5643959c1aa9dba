package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
)

func applyCommand(c *console) *cobra.Command {
	var act client.Act
	var name string
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Make the directory what a file says: users, groups, roles, applications, resources, named locations, policies",
		Long: `Make the directory what a TOML file says: all of it or nothing. What the file does
not mention is left alone; done again it changes nothing.

Passwords and secrets that the file names by *_env or *_file are read here, from
your environment and from files beside it, and sent by value. A policy or a named
location stands in the file as its document in Graph's JSON, known again by displayName.`,
		Example: "  curfew apply -f contoso.toml --dry-run\n  curfew apply -f contoso.toml --reason \"New intranet\"",
		Args:    cobra.NoArgs,
	}
	cmd.RunE = c.api(func(ctx context.Context, api *client.Client, _ []string) error {
		if err := checkAct(cmd, act); err != nil {
			return err
		}
		src, err := c.manifest(name)
		if err != nil {
			return &failure{exitUsage, err, ""}
		}
		r, err := api.Apply(ctx, src, act)
		if err != nil {
			return err
		}
		return c.applied(r, act)
	})
	cmd.Flags().StringVarP(&name, "file", "f", "", "the file; - is standard input")
	cobra.CheckErr(cmd.MarkFlagRequired("file"))
	actFlags(cmd, &act)
	return cmd
}

func (c *console) applied(r *client.ApplyReport, act client.Act) error {
	if c.JSON {
		return c.Line(r)
	}
	var rows [][]term.Cell
	for _, x := range r.Changes {
		rows = append(rows, term.Cells(x.Kind, x.Name, x.What))
	}
	c.Table(c.Out, "", rows)
	switch {
	case act.DryRun:
		c.Printf("Dry run: %s, %s unchanged. Nothing was done.\n", term.Count(len(r.Changes), "change", "changes"), term.Num(r.Unchanged))
	default:
		c.Printf("%s, %s unchanged.\n", term.Count(len(r.Changes), "change", "changes"), term.Num(r.Unchanged))
	}
	return nil
}

const maxManifest = 1 << 20

// manifest reads a manifest and puts in the secrets that it names by variable or
// file. The server must not read its own files and variables for us.
func (c *console) manifest(name string) ([]byte, error) {
	dir := "."
	var r io.Reader = c.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		r, dir = f, filepath.Dir(name)
	}
	src, err := io.ReadAll(io.LimitReader(r, maxManifest+1))
	switch {
	case err != nil:
		return nil, err
	case len(src) > maxManifest:
		return nil, errors.New("the file is larger than 1 MiB; to create many users, import them")
	}
	return inline(src, func(env string) (string, error) {
		if v := c.Getenv(env); v != "" {
			return v, nil
		}
		return "", fmt.Errorf("the environment variable %q is not set", env)
	}, func(file string) (string, error) {
		if !filepath.IsAbs(file) {
			file = filepath.Join(dir, file)
		}
		b, err := os.ReadFile(file)
		return strings.TrimRight(string(b), "\r\n"), err
	})
}

// secretLine is a key on a line of its own that names a secret elsewhere.
var secretLine = regexp.MustCompile(`^(\s*)(password|secret)_(env|file)\s*=\s*(.+?)\s*$`)

// inline replaces password_env = "X" by password = "…" and the like, line by
// line, so that what the server says about lines fits the file. Where a file says
// it in another form than on a line of its own, that is refused and not guessed.
func inline(src []byte, env, file func(string) (string, error)) ([]byte, error) {
	named := 0
	var doc map[string]any
	if _, err := toml.Decode(string(bytes.TrimPrefix(src, []byte("\xef\xbb\xbf"))), &doc); err != nil {
		// The parser's words could repeat a secret; the line says enough.
		var pe toml.ParseError
		if errors.As(err, &pe) {
			return nil, fmt.Errorf("line %d is no valid TOML", pe.Position.Line)
		}
		return nil, errors.New("the file is no valid TOML")
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, x := range v {
				if k == "password_env" || k == "password_file" || k == "secret_env" || k == "secret_file" {
					named++
				}
				walk(x)
			}
		case []map[string]any:
			for _, x := range v {
				walk(x)
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(doc)
	lines := strings.SplitAfter(string(src), "\n")
	for i, line := range lines {
		m := secretLine.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		if m == nil {
			continue
		}
		var value struct{ V string }
		if _, err := toml.Decode("V = "+m[4], &value); err != nil || value.V == "" {
			return nil, fmt.Errorf("line %d: %s_%s is not a text", i+1, m[2], m[3])
		}
		from := env
		if m[3] == "file" {
			from = file
		}
		secret, err := from(value.V)
		if err == nil && secret == "" {
			err = errors.New("it is empty")
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		lines[i] = m[1] + m[2] + " = " + tomlString(secret) + "\n"
		named--
	}
	if named != 0 {
		return nil, errors.New("each password_env, password_file, secret_env and secret_file must stand on a line of its own")
	}
	return []byte(strings.Join(lines, "")), nil
}

// tomlString writes a basic string of TOML.
func tomlString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, "\\u%04X", r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
