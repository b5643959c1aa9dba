package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
)

func methodCommand(c *console) *cobra.Command {
	return group("method", "How people prove who they are beside the password: authenticator apps, passkeys, codes, passes",
		methodListCommand(c), methodRemoveCommand(c), methodResetCommand(c), methodPassCommand(c))
}

func methodListCommand(c *console) *cobra.Command {
	return &cobra.Command{Use: "list USER", Short: "List how a user proves who they are", Args: cobra.ExactArgs(1), Example: "  curfew method list ada@contoso.example",
		RunE: c.api(func(ctx context.Context, api *client.Client, args []string) error {
			all, err := api.Methods(ctx, args[0])
			if err != nil {
				return noSuch(err, "user", args[0], "curfew user list --search "+args[0])
			}
			rows := [][]term.Cell{term.Head("id", "kind", "name", "since", "last used", "")}
			for _, m := range all {
				if c.listsJSON() {
					if err := c.Line(m); err != nil {
						return err
					}
					continue
				}
				used, more := "never", ""
				switch {
				case m.Kind == "password":
					used = ""
				case !m.Used.IsZero():
					used = c.When(m.Used)
				}
				switch {
				case m.Kind == "recovery codes":
					more = fmt.Sprintf("%d left", m.Left)
				case !m.Expires.IsZero():
					more = "until " + c.When(m.Expires)
					if m.Once {
						more += ", good once"
					}
				}
				rows = append(rows, term.Cells(m.ID, m.Kind, m.Name, c.When(m.Created), used, more))
			}
			return c.list(rows, "This user has no method, and no password.", "curfew method pass "+args[0]+" --once")
		})}
}

func methodRemoveCommand(c *console) *cobra.Command {
	var act client.Act
	var yes bool
	cmd := &cobra.Command{Use: "remove USER ID…", Short: "Take methods of a user away, which ends everything of theirs", Args: cobra.MinimumNArgs(2),
		Example: "  curfew method remove ada@contoso.example 0197f3c2-7b1e-7c44-9d3a-5f0e2b8a6c11 --reason \"Stolen phone\""}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		return c.onNamed(ctx, cmd, args[1:], deed{past: "removed", gerund: "removing", act: act, ask: unless(yes, "Take this from "+args[0]+", and end everything of theirs?")}, func(ctx context.Context, api *client.Client, id string) (client.Done, error) {
			return api.RemoveMethod(ctx, args[0], id, act)
		})
	})
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	actFlags(cmd, &act)
	return cmd
}

func methodResetCommand(c *console) *cobra.Command {
	var act client.Act
	var yes bool
	cmd := &cobra.Command{Use: "reset USER…|-", Short: "Take all methods of users away, so that they register anew; ends everything of theirs", Args: cobra.MinimumNArgs(1),
		Long: `Take all methods but the password away. Everything the users hold ends at once. They sign in
with the password, or with a pass (curfew method pass), and register methods anew.`,
		Example: "  curfew method reset ada@contoso.example --reason \"Lost phone\" && curfew method pass ada@contoso.example --once"}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		return c.onUser(ctx, cmd, args, deed{past: "reset", gerund: "resetting", act: act, ask: unless(yes, "Take all methods of these users away, and end everything of theirs?")}, func(ctx context.Context, api *client.Client, user string) (client.Done, error) {
			return api.ResetMethods(ctx, user, act)
		})
	})
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	actFlags(cmd, &act)
	return cmd
}

func methodPassCommand(c *console) *cobra.Command {
	var act client.Act
	var lifetime string
	var once bool
	cmd := &cobra.Command{Use: "pass USER", Short: "Give a user a temporary access pass and print it, once", Args: cobra.ExactArgs(1),
		Long: `Give a user a temporary access pass: with it they sign in without anything else, and register
methods. It stands for both factors, so hand it over as you would a key. A pass that is still
good is taken away by a new one, which ends everything of that user. The pass alone goes to
standard output.`,
		Example: "  curfew method pass ada@contoso.example --life 1h --once"}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		if err := checkAct(cmd, act); err != nil {
			return err
		}
		life, err := length(lifetime)
		if err != nil {
			return usagef(cmd, "--life: %w", err)
		}
		api, err := c.client()
		if err != nil {
			return err
		}
		value, m, done, err := api.GivePass(ctx, args[0], life, once, act)
		if err != nil {
			return noSuch(err, "user", args[0], "curfew user list --search "+args[0])
		}
		if act.DryRun {
			return c.planned(args[0], done)
		}
		if c.JSON {
			return c.Line(map[string]any{"target": args[0], "pass": value, "id": m.ID, "expires": m.Expires, "once": m.Once, "receipt": done.Receipt})
		}
		how := "as often as needed"
		if m.Once {
			how = "once"
		}
		c.Printf("%s\n", value)
		c.Sayf("the pass of %s is good %s until %s\n", args[0], how, c.When(m.Expires))
		if done.Receipt != "" {
			c.Sayf("it takes the place of another one; everything of theirs has ended, receipt %s\n", done.Receipt)
		}
		c.Sayf("%s\n", c.Dim("It is not shown again."))
		return nil
	})
	cmd.Flags().StringVar(&lifetime, "life", "", "how long it is good, from 10m to 30d; an hour when absent")
	cmd.Flags().BoolVar(&once, "once", false, "good for one sign-in only")
	actFlags(cmd, &act)
	return cmd
}
