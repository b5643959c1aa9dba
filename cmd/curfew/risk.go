package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
)

func riskCommand(c *console) *cobra.Command {
	about := func(verb, short string, d deed, do func(*client.Client, context.Context, string, client.Act) (client.Done, error)) *cobra.Command {
		return riskSetCommand(c, &cobra.Command{Use: verb + " USER…|-", Short: short, Args: cobra.MinimumNArgs(1), Example: "  curfew risk " + verb + " ada@contoso.example --reason \"Ticket 4711\""}, d,
			func(ctx context.Context, api *client.Client, ref string, act client.Act) (client.Done, error) {
				id, err := userID(ctx, api, ref)
				if err != nil {
					return client.Done{}, err
				}
				return do(api, ctx, id, act)
			})
	}
	rule := func(verb, short string, on bool) *cobra.Command {
		return riskSetCommand(c, &cobra.Command{Use: verb + " RULE…", Short: short, Args: cobra.MinimumNArgs(1), Example: "  curfew risk rule " + verb + " new_network"}, deed{past: "switched " + verb, gerund: "switching"},
			func(ctx context.Context, api *client.Client, ref string, act client.Act) (client.Done, error) {
				return api.SetRiskRule(ctx, ref, on, act)
			})
	}
	return group("risk", "Accounts at risk, and what is looked for", riskListCommand(c), riskShowCommand(c),
		about("confirm", "Say that somebody else has the account: its risk is high until that is dismissed", deed{past: "confirmed", gerund: "confirming"}, (*client.Client).ConfirmRisk),
		about("dismiss", "Say that what was found about accounts is nothing", deed{past: "dismissed", gerund: "dismissing"}, (*client.Client).DismissRisk),
		group("rule", "The rules by which risk is found", riskRulesCommand(c), rule("on", "Look for something", true), rule("off", "Look for something no longer; what was found stays found", false)))
}

// riskSetCommand does something to each of what is named.
func riskSetCommand(c *console, cmd *cobra.Command, d deed, do func(context.Context, *client.Client, string, client.Act) (client.Done, error)) *cobra.Command {
	var act client.Act
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		d.act = act
		err := c.onNamed(ctx, cmd, args, d, func(ctx context.Context, api *client.Client, ref string) (client.Done, error) {
			return do(ctx, api, ref, act)
		})
		if err == nil && d.past == "confirmed" && !act.DryRun {
			c.Sayf("This ends nothing by itself: policies about the risk of accounts do, at each next use.\nTo end everything now: curfew revoke user\n")
		}
		return err
	})
	actFlags(cmd, &act)
	return cmd
}

func riskListCommand(c *console) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List accounts about which something was found", Args: cobra.NoArgs, RunE: c.api(func(ctx context.Context, api *client.Client, _ []string) error {
		all, err := api.RiskyUsers(ctx)
		if err != nil {
			return err
		}
		rows := [][]term.Cell{term.Head("user", "risk", "state", "changed", "why", "id")}
		for _, u := range all {
			why := ""
			if len(u.Reasons) > 0 {
				why = u.Reasons[0]
			}
			rows = append(rows, term.Cells(u.Name, u.Level, u.State, c.When(u.Updated), dash(why), u.ID))
		}
		return riskRows(c, all, rows, "Nothing was ever found about anybody.", "see what is looked for: curfew risk rule list")
	})}
}

// riskRows writes a listing as a table, or each of it as a line of JSON.
func riskRows[T any](c *console, all []*T, rows [][]term.Cell, none, hint string) error {
	if !c.listsJSON() {
		return c.list(rows, none, hint)
	}
	for _, x := range all {
		if err := c.Line(x); err != nil {
			return err
		}
	}
	return nil
}

func riskShowCommand(c *console) *cobra.Command {
	return &cobra.Command{Use: "show USER", Short: "Show what was found about an account, and what administrators said", Args: cobra.ExactArgs(1), RunE: c.api(func(ctx context.Context, api *client.Client, args []string) error {
		id, err := userID(ctx, api, args[0])
		if err != nil {
			return err
		}
		u, err := api.RiskyUser(ctx, id)
		if err != nil {
			return err
		}
		all, err := api.RiskHistory(ctx, id)
		if err != nil {
			return err
		}
		if c.listsJSON() {
			return riskRows(c, all, nil, "", "")
		}
		c.Printf("%s  risk %s, %s\n", c.Paint(term.Bold, term.Clean(u.Name)), u.Level, u.State)
		rows := [][]term.Cell{term.Head("when", "rule", "weight", "state", "by", "address", "why")}
		for _, e := range all {
			rows = append(rows, term.Cells(c.When(e.At), e.Rule, e.Level, e.State, dash(e.Speaker), dash(e.IP), e.Why))
		}
		return c.list(rows, "Nothing was ever found.", "")
	})}
}

func riskRulesCommand(c *console) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the rules with what they weigh", Args: cobra.NoArgs, RunE: c.api(func(ctx context.Context, api *client.Client, _ []string) error {
		all, err := api.RiskRules(ctx)
		if err != nil {
			return err
		}
		rows := [][]term.Cell{term.Head("rule", "state", "weight", "about", "finds")}
		for _, r := range all {
			state := "off"
			if r.Enabled {
				state = "on"
			}
			rows = append(rows, term.Cells(r.ID, state, strconv.Itoa(r.Weight), r.About, r.Text))
		}
		return riskRows(c, all, rows, "There are no rules.", "")
	})}
}
