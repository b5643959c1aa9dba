package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
)

func deviceCommand(c *console) *cobra.Command {
	return group("device", "Browsers that people registered", deviceListCommand(c), deviceShowCommand(c), deviceEnabledCommand(c, false), deviceEnabledCommand(c, true),
		deviceCompliantCommand(c), deviceRenameCommand(c), deviceLostCommand(c), deviceDeleteCommand(c))
}

func deviceStatus(d *client.Device) string {
	switch {
	case d.ReportedLost != nil:
		return "lost"
	case d.AccountEnabled:
		return "enabled"
	}
	return "disabled"
}

func deviceCompliance(d *client.Device) string {
	switch {
	case d.IsCompliant == nil:
		return "not known"
	case *d.IsCompliant:
		return "compliant"
	}
	return "not compliant"
}

func deviceListCommand(c *console) *cobra.Command {
	return &cobra.Command{Use: "list [USER]", Short: "List devices, of a user or of everybody", Args: cobra.MaximumNArgs(1),
		Example: "  curfew device list ada@contoso.example | curfew revoke device -",
		RunE: c.api(func(ctx context.Context, api *client.Client, args []string) error {
			var all []*client.Device
			var err error
			if len(args) == 0 {
				all, err = api.Devices(ctx)
			} else {
				var id string
				if id, err = userID(ctx, api, args[0]); err == nil {
					all, err = api.DevicesOf(ctx, id)
				}
			}
			if err != nil {
				return err
			}
			rows := [][]term.Cell{term.Head("name", "owner", "system", "status", "compliance", "last seen", "id")}
			for _, d := range all {
				if c.listsJSON() {
					if err := c.Line(d); err != nil {
						return err
					}
					continue
				}
				row := term.Cells(d.DisplayName, d.Owner.Name, dash(d.OperatingSystem), deviceStatus(d), deviceCompliance(d), c.When(d.LastSeen), d.ID)
				row[3].Colour = stateColour(row[3].Text)
				rows = append(rows, row)
			}
			return c.list(rows, "No devices.", "people register them on their account page, after signing in")
		})}
}

func deviceShowCommand(c *console) *cobra.Command {
	return &cobra.Command{Use: "show ID", Short: "Show a device", Args: cobra.ExactArgs(1), RunE: c.api(func(ctx context.Context, api *client.Client, args []string) error {
		d, err := api.Device(ctx, args[0])
		if err != nil {
			return noSuch(err, "device", args[0], "curfew device list")
		}
		if c.listsJSON() {
			return c.Line(d)
		}
		c.Printf("%s  %s\n", c.Paint(term.Bold, term.Clean(d.DisplayName)), term.Clean(d.ID))
		lost := "no"
		if d.ReportedLost != nil {
			lost = c.When(*d.ReportedLost)
		}
		c.facts([][2]string{{"owner", d.Owner.Name}, {"system", dash(d.OperatingSystem)}, {"status", deviceStatus(d)}, {"compliance", deviceCompliance(d)}, {"reported lost", lost},
			{"registered", c.When(d.Registered)}, {"last seen", c.When(d.LastSeen)}})
		return nil
	})}
}

func deviceEnabledCommand(c *console, enabled bool) *cobra.Command {
	verb, past, gerund, short := "disable", "disabled", "disabling", "Disable devices, which ends what is on them"
	if enabled {
		verb, past, gerund, short = "enable", "enabled", "enabling", "Let devices be recognised again; what was ended stays ended"
	}
	return deviceSetCommand(c, verb, short, deed{past: past, gerund: gerund}, func() map[string]any { return map[string]any{"accountEnabled": enabled} }, nil)
}

func deviceCompliantCommand(c *console) *cobra.Command {
	var not bool
	return deviceSetCommand(c, "compliant", "Say that devices are compliant, or with --not that they are not", deed{past: "marked", gerund: "marking"},
		func() map[string]any { return map[string]any{"isCompliant": !not} },
		func(cmd *cobra.Command) {
			cmd.Flags().BoolVar(&not, "not", false, "they are not")
		})
}

// deviceSetCommand sets properties of devices.
func deviceSetCommand(c *console, verb, short string, d deed, set func() map[string]any, flags func(*cobra.Command)) *cobra.Command {
	cmd := &cobra.Command{Use: verb + " ID…|-", Short: short, Args: cobra.MinimumNArgs(1), Example: "  curfew device list ada@contoso.example | curfew device " + verb + " -"}
	var act client.Act
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		d.act = act
		return c.onNamed(ctx, cmd, args, d, func(ctx context.Context, api *client.Client, id string) (client.Done, error) {
			return api.UpdateDevice(ctx, id, set(), act)
		})
	})
	if flags != nil {
		flags(cmd)
	}
	actFlags(cmd, &act)
	return cmd
}

func deviceRenameCommand(c *console) *cobra.Command {
	var act client.Act
	cmd := &cobra.Command{Use: "rename ID NAME", Short: "Give a device another name", Args: cobra.ExactArgs(2)}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		return c.onNamed(ctx, cmd, args[:1], deed{past: "renamed", gerund: "renaming", act: act}, func(ctx context.Context, api *client.Client, id string) (client.Done, error) {
			return api.UpdateDevice(ctx, id, map[string]any{"displayName": args[1]}, act)
		})
	})
	actFlags(cmd, &act)
	return cmd
}

func deviceLostCommand(c *console) *cobra.Command {
	var act client.Act
	cmd := &cobra.Command{Use: "lost ID…|-", Short: "Report devices lost: they are disabled, and what is on them ends", Args: cobra.MinimumNArgs(1),
		Example: "  curfew device lost 0193f1c2-… --reason \"left in a train\""}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		return c.onNamed(ctx, cmd, args, deed{past: "lost", gerund: "reporting", act: act}, func(ctx context.Context, api *client.Client, id string) (client.Done, error) {
			return api.ReportDeviceLost(ctx, id, act)
		})
	})
	actFlags(cmd, &act)
	return cmd
}

func deviceDeleteCommand(c *console) *cobra.Command {
	var act client.Act
	var yes bool
	cmd := &cobra.Command{Use: "delete ID…|-", Short: "Forget devices, which ends what is on them", Args: cobra.MinimumNArgs(1), Example: "  curfew device delete 0193f1c2-… --dry-run"}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		return c.onNamed(ctx, cmd, args, deed{past: "deleted", gerund: "deleting", act: act, ask: unless(yes, "Delete "+strings.Join(args, ", ")+"?")}, func(ctx context.Context, api *client.Client, id string) (client.Done, error) {
			return api.DeleteDevice(ctx, id, act)
		})
	})
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	actFlags(cmd, &act)
	return cmd
}
