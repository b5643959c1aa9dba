package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
)

func keyCommand(c *console) *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "List the keys that tokens are signed with", Args: cobra.NoArgs}
	list.RunE = c.api(func(ctx context.Context, api *client.Client, _ []string) error {
		all, err := api.SigningKeys(ctx)
		if err != nil {
			return err
		}
		return c.keys(all)
	})
	return group("key", "Keys that tokens are signed with", list, keyRotateCommand(c), keyRetireCommand(c))
}

func (c *console) keys(all []*client.Key) error {
	rows := [][]term.Cell{term.Head("state", "algorithm", "published", "signs from", "signs until", "gone", "id")}
	for _, k := range all {
		if c.listsJSON() {
			if err := c.Line(k); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, term.Cells(k.State, k.Alg, c.When(k.Created), c.When(k.Active), c.When(k.Retired), c.When(k.Ends), k.ID))
	}
	return c.list(rows, "There is no key.", "")
}

func keyRotateCommand(c *console) *cobra.Command {
	var act client.Act
	var k client.KeyChange
	cmd := &cobra.Command{Use: "rotate", Short: "Publish the next key, which takes over a day later",
		Long: `Publish the next key of each algorithm. It takes over a day later, or with --now as
soon as no cache can lack it. --drop is for keys that somebody else may hold: the
old ones are gone at once and every grant and access token of the directory ends.
It needs --now, a reason, the directory's domain typed out and a fresh sign-in.`,
		Example: "  curfew key rotate\n  curfew key rotate --now --drop --confirm contoso.example --reason \"Key leaked\"", Args: cobra.NoArgs}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, _ []string) error {
		switch {
		case k.Drop && k.Confirm == "":
			return usagef(cmd, "name the directory's domain: --confirm contoso.example")
		case k.Drop && act.Reason == "" && !act.DryRun:
			return usagef(cmd, "say why: --reason \"…\"")
		}
		return c.changeKeys(cmd, act, func(api *client.Client) (*client.Keys, error) { return api.RotateKeys(ctx, k, act) })
	})
	cmd.Flags().StringVar(&k.Alg, "alg", "", "ES256, RS256 or EdDSA; every algorithm in use when absent")
	cmd.Flags().BoolVar(&k.Now, "now", false, "let the next key take over as soon as it is safe")
	cmd.Flags().BoolVar(&k.Drop, "drop", false, "remove the old keys at once and end every token")
	cmd.Flags().StringVar(&k.Confirm, "confirm", "", "the directory's domain, typed out")
	actFlags(cmd, &act)
	return cmd
}

func keyRetireCommand(c *console) *cobra.Command {
	var act client.Act
	cmd := &cobra.Command{Use: "retire ID", Short: "Take one key out of use before its time", Args: cobra.ExactArgs(1)}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		return c.changeKeys(cmd, act, func(api *client.Client) (*client.Keys, error) { return api.RetireKey(ctx, args[0], act) })
	})
	actFlags(cmd, &act)
	return cmd
}

func (c *console) changeKeys(cmd *cobra.Command, act client.Act, f func(*client.Client) (*client.Keys, error)) error {
	if err := checkAct(cmd, act); err != nil {
		return err
	}
	api, err := c.client()
	if err != nil {
		return err
	}
	out, err := f(api)
	if err != nil {
		return err
	}
	switch {
	case act.DryRun:
		c.Sayf("Nothing was done. The keys would be:\n")
	case out.Already:
		c.Sayf("The next key was there already.\n")
	case out.Receipt != nil:
		c.Sayf("Every token is cut, that of this connection as well: connect again. Receipt %s\n", out.Receipt.ID)
	}
	all := make([]*client.Key, len(out.Keys))
	for i := range out.Keys {
		all[i] = &out.Keys[i]
	}
	return c.keys(all)
}
