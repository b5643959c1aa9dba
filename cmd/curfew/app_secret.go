package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
)

func appSecretCommand(c *console) *cobra.Command {
	return group("secret", "Secrets by which applications prove who they are", appSecretAddCommand(c), appSecretRotateCommand(c), appSecretRemoveCommand(c))
}

// makesSecret makes a secret of an application.
type makesSecret func(ctx context.Context, api *client.Client, app string, expires time.Time) (*client.NewSecret, client.Done, error)

func appSecretAddCommand(c *console) *cobra.Command {
	var act client.Act
	var expires string
	cmd := &cobra.Command{Use: "add CLIENT_ID", Short: "Make one more secret and print it, once; the others stay good",
		Long: `Make one more secret. The secret alone goes to standard output, so that it can be
piped to where it is kept; everything else is said on standard error.`,
		Example: "  curfew app secret add mail --expires 180d | pass insert -m contoso/mail", Args: cobra.ExactArgs(1)}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		return c.makeSecret(ctx, cmd, args[0], expires, act, "", func(ctx context.Context, api *client.Client, app string, at time.Time) (*client.NewSecret, client.Done, error) {
			return api.AddSecret(ctx, app, at, act)
		})
	})
	expiresFlag(cmd, &expires)
	actFlags(cmd, &act)
	return cmd
}

func appSecretRotateCommand(c *console) *cobra.Command {
	var act client.Act
	var expires, overlap string
	var yes bool
	cmd := &cobra.Command{Use: "rotate CLIENT_ID", Short: "Make a secret and remove all others, at once or a while later",
		Long: `Make a secret and remove all others: the application's own access tokens end, and
it is locked out until it has the new one. What people gave it goes on. With
--overlap the others go on working that long, and nothing ends until then. The
secret alone goes to standard output.`,
		Example: `  curfew app secret rotate mail --reason "Secret was in a log" --yes > mail.secret
  curfew app secret rotate mail --overlap 24h > mail.secret`, Args: cobra.ExactArgs(1)}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		both, err := length(overlap)
		if err != nil {
			return usagef(cmd, "--overlap: %w", err)
		}
		ask := unless(yes || both > 0, "Remove all other secrets of "+args[0]+" at once?")
		return c.makeSecret(ctx, cmd, args[0], expires, act, ask, func(ctx context.Context, api *client.Client, app string, at time.Time) (*client.NewSecret, client.Done, error) {
			return api.RotateSecret(ctx, app, at, both, act)
		})
	})
	expiresFlag(cmd, &expires)
	cmd.Flags().StringVar(&overlap, "overlap", "", "how long the other secrets go on working, such as 24h; at once when absent")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	actFlags(cmd, &act)
	return cmd
}

func expiresFlag(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "expires", "", "when it stops working: a length of time such as 180d, or a day such as 2027-03-01; never when absent")
}

// makeSecret makes a secret and prints it: the value alone on stdout, for a pipe.
func (c *console) makeSecret(ctx context.Context, cmd *cobra.Command, app, expires string, act client.Act, ask string, do makesSecret) error {
	if err := checkAct(cmd, act); err != nil {
		return err
	}
	at, err := c.until(expires)
	if err != nil {
		return usagef(cmd, "--expires: %w", err)
	}
	api, err := c.client()
	if err != nil {
		return err
	}
	if ask != "" && !act.DryRun {
		if err := c.confirm(ask); err != nil {
			return err
		}
	}
	made, done, err := do(ctx, api, app, at)
	switch {
	case err != nil:
		return noSuch(err, "application", app, "curfew app list")
	case act.DryRun:
		return c.planned(app, done)
	case c.JSON:
		return c.Line(struct {
			App string `json:"app"`
			*client.NewSecret
			Receipt string `json:"receipt,omitempty"`
		}{app, made, done.Receipt})
	}
	c.Printf("%s\n", made.Value)
	until := "does not expire"
	if !made.Expires.IsZero() {
		until = "until " + c.When(made.Expires)
	}
	c.Sayf("secret %s of %s, %s\n", made.ID, app, until)
	if !made.OldUntil.IsZero() {
		c.Sayf("the secrets before it work until %s\n", c.When(made.OldUntil))
	}
	if done.Receipt != "" {
		c.Sayf("its own access tokens are cut, receipt %s\n", done.Receipt)
	}
	c.Sayf("%s\n", c.Dim("It is not shown again."))
	return nil
}

func appSecretRemoveCommand(c *console) *cobra.Command {
	var act client.Act
	cmd := &cobra.Command{Use: "remove CLIENT_ID SECRET_ID…|-", Short: "Remove secrets; the application's own access tokens end",
		Long: `Remove secrets by their ids, which curfew app show names. The application's own
access tokens end; it proves itself with another secret to get new ones.`,
		Example: "  curfew app show mail\n  curfew app secret remove mail 019d2a41-…", Args: cobra.MinimumNArgs(2)}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		return c.onNamed(ctx, cmd, args[1:], deed{past: "removed", gerund: "removing", act: act}, func(ctx context.Context, api *client.Client, id string) (client.Done, error) {
			return api.RemoveSecret(ctx, args[0], id, act)
		})
	})
	actFlags(cmd, &act)
	return cmd
}
