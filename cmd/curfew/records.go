package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
)

func guardCommand(c *console) *cobra.Command {
	return group("guard", "Guards in front of applications", &cobra.Command{Use: "list", Short: "List guards, silent ones first, and resources that none guards", Args: cobra.NoArgs,
		RunE: c.api(func(ctx context.Context, api *client.Client, _ []string) error {
			all, err := api.Guards(ctx)
			if err != nil {
				return err
			}
			rows := [][]term.Cell{term.Head("state", "guard", "protects", "answered", "refuses from", "limit", "ledger", "version")}
			for _, g := range all {
				if c.listsJSON() {
					if err := c.Line(g); err != nil {
						return err
					}
					continue
				}
				row := term.Cells(g.State, dash(g.Name), dash(g.ResourceName), term.None, term.None, term.None, term.None, dash(g.Version))
				if g.State == "lives" {
					row[0].Text = "no guard"
				} else {
					row[5].Text, row[6].Text = term.Span(ms(g.MaxStalenessMs)), term.Num(g.Acked)
				}
				if g.AgeMs >= 0 && !g.Answered.IsZero() {
					row[3].Text = term.Span(ms(g.AgeMs)) + " ago"
				}
				if g.State == "closes" || g.State == "closed" {
					row[4].Text = c.Tenth(g.ClosesAt)
				}
				row[0].Colour = stateColour(row[0].Text)
				row[6].Right = true
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
		rows := [][]term.Cell{term.Head("ledger", "at", "cause", "by", "cuts", "receipt")}
		rows[0][0].Right = true
		for _, l := range all {
			if c.listsJSON() {
				if err := c.Line(l); err != nil {
					return err
				}
				continue
			}
			var cuts []string
			for _, x := range l.Cuts {
				cuts = append(cuts, strings.TrimSpace(x.Scope+" "+x.ID)+" ("+x.Reach+")")
			}
			if len(cuts) > 3 {
				cuts = append(cuts[:3], "and "+term.Num(len(l.Cuts)-3)+" more")
			}
			row := term.Cells(term.Num(l.Pos), c.Milli(l.At), dash(l.Cause), dash(l.Actor), dash(strings.Join(cuts, ", ")), dash(l.Receipt))
			row[0].Right = true
			rows = append(rows, row)
		}
		return c.list(rows, "The ledger is empty.", "")
	})}
	cmd.Flags().IntVar(&limit, "limit", 50, "at most so many")
	return group("ledger", "The ordered list of everything that was cut", cmd)
}
