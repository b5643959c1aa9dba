package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
)

func settingCommand(c *console) *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "List settings: what can be made to end more than it always ends", Args: cobra.NoArgs}
	list.RunE = c.api(func(ctx context.Context, api *client.Client, _ []string) error {
		all, err := api.Settings(ctx)
		if err != nil {
			return err
		}
		rows := [][]term.Cell{term.Head("setting", "value", "others", "when")}
		for _, x := range all {
			if c.listsJSON() {
				if err := c.Line(x); err != nil {
					return err
				}
				continue
			}
			rows = append(rows, term.Cells(x.Name, x.Value, strings.Join(x.Choices, ", "), x.Text))
		}
		return c.list(rows, "There is no setting.", "")
	})
	return group("setting", "What administrators can widen of what ends what", list, settingSetCommand(c))
}

func settingSetCommand(c *console) *cobra.Command {
	var act client.Act
	cmd := &cobra.Command{Use: "set SETTING VALUE", Short: "Let an event end more, or no more than it always ends (default)",
		Long: `Let an event end more than it always ends. The value default takes that back; what
has ended stays ended. Nothing can be made to end less: docs/lifecycle.md is the least.`,
		Example: "  curfew setting set lifecycle.role_removed everything\n  curfew setting set lifecycle.signed_out default", Args: cobra.ExactArgs(2)}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		return c.onNamed(ctx, cmd, args[:1], deed{past: "set", gerund: "setting", act: act}, func(ctx context.Context, api *client.Client, name string) (client.Done, error) {
			return api.Set(ctx, name, args[1], act)
		})
	})
	actFlags(cmd, &act)
	return cmd
}
