package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
)

func consentCommand(c *console) *cobra.Command {
	return group("consent", "Consents: what applications may have, of one person or of everybody", consentListCommand(c), consentGrantCommand(c), consentWithdrawCommand(c))
}

func consentListCommand(c *console) *cobra.Command {
	return &cobra.Command{Use: "list CLIENT_ID", Short: "List what was consented to for an application", Args: cobra.ExactArgs(1), RunE: c.api(func(ctx context.Context, api *client.Client, args []string) error {
		all, err := api.Consents(ctx, args[0])
		if err != nil {
			return noSuch(err, "application", args[0], "curfew app list")
		}
		rows := [][]term.Cell{term.Head("whose", "resource", "scopes", "given")}
		for _, x := range all {
			if c.listsJSON() {
				if err := c.Line(x); err != nil {
					return err
				}
				continue
			}
			whose := "everybody"
			if x.User != "" {
				whose = x.Name
			}
			rows = append(rows, term.Cells(whose, x.Resource, strings.Join(x.Scopes, " "), c.When(x.Given)))
		}
		return c.list(rows, "Nobody consented to anything for it.", "curfew consent grant "+args[0]+" --permission api://mail/Mail.Read")
	})}
}

// consentUser is the user of --user; "" is everybody.
func consentUser(ctx context.Context, api *client.Client, ref string) (string, error) {
	if ref == "" {
		return "", nil
	}
	return userID(ctx, api, ref)
}

func consentGrantCommand(c *console) *cobra.Command {
	var act client.Act
	var user string
	var named []string
	cmd := &cobra.Command{Use: "grant CLIENT_ID", Short: "Consent for everybody, or with --user for one person", Args: cobra.ExactArgs(1),
		Long: `Consent for everybody, or with --user for one person. What is named replaces what was
consented to at those resources; what is taken away with that ends at once.`,
		Example: "  curfew consent grant tripboard --permission api://mail/Mail.Read"}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		ps, err := permissions(named)
		if err != nil {
			return usagef(cmd, "--permission: %w", err)
		}
		if len(ps) == 0 {
			return usagef(cmd, "--permission is missing")
		}
		return c.onNamed(ctx, cmd, args, deed{past: "consented", gerund: "consenting", act: act}, func(ctx context.Context, api *client.Client, id string) (client.Done, error) {
			whose, err := consentUser(ctx, api, user)
			if err != nil {
				return client.Done{}, err
			}
			return api.GrantConsent(ctx, id, whose, ps, act)
		})
	})
	cmd.Flags().StringArrayVar(&named, "permission", nil, "RESOURCE/SCOPE; once for each")
	cmd.Flags().StringVar(&user, "user", "", "for this person only")
	actFlags(cmd, &act)
	return cmd
}

func consentWithdrawCommand(c *console) *cobra.Command {
	var act client.Act
	var user, resource string
	var yes bool
	cmd := &cobra.Command{Use: "withdraw CLIENT_ID", Short: "Withdraw everybody's consent, or with --user one person's; what it gave ends", Args: cobra.ExactArgs(1),
		Long: `Withdraw what administrators consented to for everybody, or with --user what one
person did. The grants and access tokens that rest on it end at once.`,
		Example: "  curfew consent withdraw tripboard --user ada@contoso.example --reason \"Not approved\""}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		whom := user
		if whom == "" {
			whom = "everybody"
		}
		return c.onNamed(ctx, cmd, args, deed{past: "withdrawn", gerund: "withdrawing", act: act, ask: unless(yes, "Withdraw the consent of "+whom+" to "+args[0]+"?")}, func(ctx context.Context, api *client.Client, id string) (client.Done, error) {
			whose, err := consentUser(ctx, api, user)
			if err != nil {
				return client.Done{}, err
			}
			return api.WithdrawConsent(ctx, id, whose, resource, act)
		})
	})
	cmd.Flags().StringVar(&user, "user", "", "this person's")
	cmd.Flags().StringVar(&resource, "resource", "", "at this resource only")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	actFlags(cmd, &act)
	return cmd
}
