package main

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
)

// signInFilter are the flags that pick sign-ins.
type signInFilter struct {
	text              map[string]*string // by the server's name
	failed, succeeded bool
	from, to          string
}

var signInFlags = []struct{ flag, filter, help string }{
	{"user", "user", "of this user, by user name or id"},
	{"app", "app", "to this application, by its client id"},
	{"error", "error", "refused with this number, such as 53003"},
	{"kind", "kind", "interactive, silent (renewals and other uses of what a person gave) or application"},
	{"ip", "ip", "from this address"},
	{"status", "status", "what the policies did: success, failure or notApplied"},
	{"policy", "policy", "to which this policy applied, by its id"},
	{"outcome", "outcome", "with --policy: what it did, such as reportOnlyFailure"},
	{"risk", "risk", "with this risk: low, medium or high"},
	{"request", "request", "with this correlation id"},
	{"grant", "grant", "by this grant"},
	{"session", "session", "in this browser session"},
}

var signInKinds = map[string]string{"interactive": "interactiveUser", "silent": "nonInteractiveUser", "application": "servicePrincipal"}

func (f *signInFilter) flags(cmd *cobra.Command) {
	f.text = map[string]*string{}
	for _, x := range signInFlags {
		f.text[x.filter] = cmd.Flags().String(x.flag, "", x.help)
	}
	cmd.Flags().StringVar(&f.from, "from", "", "since then: an instant such as 2026-03-02T12:00:00Z, or how long ago, such as 24h")
	cmd.Flags().StringVar(&f.to, "to", "", "before then, in the same form")
	cmd.Flags().BoolVar(&f.failed, "failed", false, "refused ones only")
	cmd.Flags().BoolVar(&f.succeeded, "succeeded", false, "the others only")
	cmd.MarkFlagsMutuallyExclusive("failed", "succeeded")
}

func (f *signInFilter) values(cmd *cobra.Command) (url.Values, error) {
	v := url.Values{}
	for name, text := range f.text {
		if *text != "" {
			v.Set(name, *text)
		}
	}
	if k := v.Get("kind"); k != "" {
		if signInKinds[k] == "" {
			return nil, usagef(cmd, "--kind is interactive, silent or application, not %q", k)
		}
		v.Set("kind", signInKinds[k])
	}
	for _, x := range []struct{ name, text string }{{"from", f.from}, {"to", f.to}} {
		if x.text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, x.text)
		if ago, bad := time.ParseDuration(x.text); bad == nil && ago >= 0 {
			at, err = time.Now().Add(-ago), nil
		}
		if err != nil {
			return nil, usagef(cmd, "--%s is an instant such as 2026-03-02T12:00:00Z, or how long ago, such as 24h, not %q", x.name, x.text)
		}
		v.Set(x.name, at.UTC().Format(time.RFC3339Nano))
	}
	switch {
	case f.failed:
		v.Set("result", "failure")
	case f.succeeded:
		v.Set("result", "success")
	}
	return v, nil
}

func signInCommand(c *console) *cobra.Command {
	return group("signin", "The log of sign-ins", signInListCommand(c), signInExportCommand(c))
}

func signInListCommand(c *console) *cobra.Command {
	f, limit := &signInFilter{}, 50
	cmd := &cobra.Command{Use: "list", Short: "List sign-ins, the newest first", Args: cobra.NoArgs,
		Example: "  curfew signin list --user ada@contoso.example --failed --from 24h\n  curfew signin list --error 53003 --json"}
	cmd.RunE = c.api(func(ctx context.Context, api *client.Client, _ []string) error {
		v, err := f.values(cmd)
		if err != nil {
			return err
		}
		rows := [][]term.Cell{term.Head("at", "user", "application", "how", "from", "result", "why")}
		err = api.SignIns(ctx, v, limit, func(s *client.SignIn) error {
			if c.listsJSON() {
				return c.Line(s.Raw)
			}
			rows = append(rows, signInRow(c, s))
			return nil
		})
		if err != nil {
			return err
		}
		return c.list(rows, "No sign-ins.", "")
	})
	f.flags(cmd)
	cmd.Flags().IntVar(&limit, "limit", limit, "at most so many")
	return cmd
}

func signInRow(c *console, s *client.SignIn) []term.Cell {
	row := term.Cells(c.Sec(s.At), dash(s.User), dash(cmp.Or(s.AppName, s.App)), dash(s.Flow), dash(s.IP), "ok", s.Status.Reason)
	switch {
	case s.Missing > 0:
		row[5] = term.Cell{Text: "missing", Colour: term.Red}
	case s.Status.Number == 0:
		row[5].Colour = term.Green
	default:
		row[5] = term.Cell{Text: "refused " + strconv.Itoa(s.Status.Number), Colour: term.Red}
	}
	return row
}

func signInExportCommand(c *console) *cobra.Command {
	f, format, file := &signInFilter{}, "jsonl", ""
	cmd := &cobra.Command{Use: "export", Short: "Write all sign-ins, or those that a filter leaves, as JSON lines or CSV", Args: cobra.NoArgs,
		Example: "  curfew signin export --from 168h --format csv -o signins.csv"}
	cmd.RunE = c.api(func(ctx context.Context, api *client.Client, _ []string) error {
		if format != "jsonl" && format != "csv" {
			return usagef(cmd, "--format is jsonl or csv, not %q", format)
		}
		v, err := f.values(cmd)
		if err != nil {
			return err
		}
		if file == "" {
			return api.ExportSignIns(ctx, v, format, c.Out)
		}
		out, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		return errors.Join(api.ExportSignIns(ctx, v, format, out), out.Close())
	})
	f.flags(cmd)
	cmd.Flags().StringVar(&format, "format", format, "jsonl or csv")
	cmd.Flags().StringVarP(&file, "output", "o", "", "write to this file, which must not be there yet")
	return cmd
}
