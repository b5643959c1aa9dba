package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
)

func appCommand(c *console) *cobra.Command {
	return group("app", "Registered applications", appListCommand(c), appShowCommand(c))
}

func appListCommand(c *console) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List applications", Args: cobra.NoArgs, RunE: c.api(func(ctx context.Context, api *client.Client, _ []string) error {
		all, err := api.Apps(ctx)
		if err != nil {
			return err
		}
		rows := [][]cell{head("name", "client id", "status", "kind", "guards")}
		for _, a := range all {
			if c.listsJSON() {
				if err := c.line(a); err != nil {
					return err
				}
				continue
			}
			row := cells(dash(a.Name), a.ID, appStatus(a), appKind(a), dash(strings.Join(a.Guards, ", ")))
			row[2].colour = stateColour(row[2].text)
			rows = append(rows, row)
		}
		return c.list(rows, "No applications.", "curfew apply -f FILE")
	})}
}

func appStatus(a *client.App) string {
	if a.Enabled {
		return "enabled"
	}
	return "disabled"
}

func appKind(a *client.App) string {
	if a.Public {
		return "public"
	}
	return "confidential"
}

func appShowCommand(c *console) *cobra.Command {
	return &cobra.Command{Use: "show CLIENT_ID", Short: "Show an application", Args: cobra.ExactArgs(1), RunE: c.api(func(ctx context.Context, api *client.Client, args []string) error {
		a, err := api.App(ctx, args[0])
		if err != nil {
			return err
		}
		if c.listsJSON() {
			return c.line(a)
		}
		permissions := func(all []client.Permission) string {
			var out []string
			for _, p := range all {
				out = append(out, p.Resource+": "+strings.Join(p.Scopes, " "))
			}
			return strings.Join(out, "; ")
		}
		c.printf("%s  %s\n", c.paint(bold, clean(dash(a.Name))), clean(a.ID))
		facts := [][]cell{cells("status", appStatus(a)), cells("kind", appKind(a))}
		for _, f := range [][2]string{{"publisher", a.Publisher}, {"redirects to", strings.Join(a.RedirectURIs, " ")}, {"may ask for", permissions(a.Permissions)},
			{"holds itself", permissions(a.AppPermissions)}, {"may guard", strings.Join(a.Guards, ", ")}, {"created", c.when(a.Created)}} {
			if f[1] != "" {
				facts = append(facts, cells(f[0], f[1]))
			}
		}
		for _, row := range facts {
			row[0].colour = grey
		}
		facts[0][1].colour = stateColour(facts[0][1].text)
		c.table(c.out, "  ", facts)
		return nil
	})}
}

func guardCommand(c *console) *cobra.Command {
	return group("guard", "Guards in front of applications", &cobra.Command{Use: "list", Short: "List guards, silent ones first, and resources that none guards", Args: cobra.NoArgs,
		RunE: c.api(func(ctx context.Context, api *client.Client, _ []string) error {
			all, err := api.Guards(ctx)
			if err != nil {
				return err
			}
			rows := [][]cell{head("state", "guard", "protects", "answered", "refuses from", "limit", "ledger", "version")}
			for _, g := range all {
				if c.listsJSON() {
					if err := c.line(g); err != nil {
						return err
					}
					continue
				}
				row := cells(g.State, dash(g.Name), dash(g.ResourceName), none, none, none, none, dash(g.Version))
				if g.State == "lives" {
					row[0].text = "no guard"
				} else {
					row[5].text, row[6].text = span(ms(g.MaxStalenessMs)), num(g.Acked)
				}
				if g.AgeMs >= 0 && !g.Answered.IsZero() {
					row[3].text = span(ms(g.AgeMs)) + " ago"
				}
				if g.State == "closes" || g.State == "closed" {
					row[4].text = c.tenth(g.ClosesAt)
				}
				row[0].colour = stateColour(row[0].text)
				row[6].right = true
				rows = append(rows, row)
			}
			return c.list(rows, "No guards, and nothing to guard.", "curfew apply -f FILE")
		})})
}

func ledgerCommand(c *console) *cobra.Command {
	var limit int
	cmd := &cobra.Command{Use: "list", Short: "List lines of the ledger, the newest first", Args: cobra.NoArgs, RunE: c.api(func(ctx context.Context, api *client.Client, _ []string) error {
		all, err := api.Ledger(ctx, limit)
		if err != nil {
			return err
		}
		rows := [][]cell{head("ledger", "at", "cause", "by", "cuts", "receipt")}
		rows[0][0].right = true
		for _, l := range all {
			if c.listsJSON() {
				if err := c.line(l); err != nil {
					return err
				}
				continue
			}
			var cuts []string
			for _, x := range l.Cuts {
				cuts = append(cuts, strings.TrimSpace(x.Scope+" "+x.ID)+" ("+x.Reach+")")
			}
			if len(cuts) > 3 {
				cuts = append(cuts[:3], "and "+num(len(l.Cuts)-3)+" more")
			}
			row := cells(num(l.Pos), c.at(l.At, "15:04:05.000", ""), dash(l.Cause), dash(l.Actor), dash(strings.Join(cuts, ", ")), dash(l.Receipt))
			row[0].right = true
			rows = append(rows, row)
		}
		return c.list(rows, "The ledger is empty.", "")
	})}
	cmd.Flags().IntVar(&limit, "limit", 50, "at most so many")
	return group("ledger", "The ordered list of everything that was cut", cmd)
}
