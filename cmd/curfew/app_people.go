package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
)

func appOwnerCommand(c *console) *cobra.Command {
	return group("owner", "People who may change a registration without holding a role", appOwnersCommand(c), appOwnCommand(c, true), appOwnCommand(c, false))
}

func appOwnersCommand(c *console) *cobra.Command {
	return &cobra.Command{Use: "list CLIENT_ID", Short: "List who owns an application", Args: cobra.ExactArgs(1), RunE: c.api(func(ctx context.Context, api *client.Client, args []string) error {
		all, err := api.Owners(ctx, args[0])
		if err != nil {
			return noSuch(err, "application", args[0], "curfew app list")
		}
		rows := [][]term.Cell{term.Head("user name", "id")}
		for _, o := range all {
			if c.listsJSON() {
				if err := c.Line(o); err != nil {
					return err
				}
				continue
			}
			rows = append(rows, term.Cells(dash(o.Name), o.ID))
		}
		return c.list(rows, "Nobody owns it.", "curfew app owner add "+args[0]+" USER")
	})}
}

func appOwnCommand(c *console, add bool) *cobra.Command {
	verb, past, gerund, short := "remove", "removed", "removing", "Take an application from its owners"
	if add {
		verb, past, gerund, short = "add", "added", "adding", "Make users owners of an application"
	}
	var act client.Act
	cmd := &cobra.Command{Use: verb + " CLIENT_ID USER…|-", Short: short, Example: "  curfew app owner " + verb + " mail grace@contoso.example", Args: cobra.MinimumNArgs(2)}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		if err := checkAct(cmd, act); err != nil {
			return err
		}
		all, err := c.targets(cmd, args[1:], "userPrincipalName", "id", "userPrincipalName")
		if err != nil {
			return err
		}
		api, err := c.client()
		if err != nil {
			return err
		}
		return c.forEach(ctx, all, deed{past: past, gerund: gerund, act: act, do: func(ctx context.Context, t target) (client.Done, error) {
			id, err := userID(ctx, api, t.ref)
			switch {
			case err != nil:
				return client.Done{}, err
			case add:
				return api.AddOwner(ctx, args[0], id, act)
			}
			return api.RemoveOwner(ctx, args[0], id, act)
		}})
	})
	actFlags(cmd, &act)
	return cmd
}

func appAssignmentsCommand(c *console) *cobra.Command {
	return &cobra.Command{Use: "assignments CLIENT_ID", Short: "List who is assigned to an application", Args: cobra.ExactArgs(1), RunE: c.api(func(ctx context.Context, api *client.Client, args []string) error {
		all, err := api.AppAssignments(ctx, args[0])
		if err != nil {
			return noSuch(err, "application", args[0], "curfew app list")
		}
		rows := [][]term.Cell{term.Head("name", "kind", "role", "since", "id")}
		for _, a := range all {
			if c.listsJSON() {
				if err := c.Line(a); err != nil {
					return err
				}
				continue
			}
			kind := "user"
			if a.Group != "" {
				kind = "group"
			}
			rows = append(rows, term.Cells(dash(a.Name), kind, dash(a.Role), c.When(a.Created), a.ID))
		}
		return c.list(rows, "Nobody is assigned to it.", "curfew app assign "+args[0]+" USER")
	})}
}

func appAssignCommand(c *console) *cobra.Command {
	var act client.Act
	var toGroup bool
	cmd := &cobra.Command{Use: "assign CLIENT_ID USER…|-", Short: "Let users in, or with --group the members of groups", Args: cobra.MinimumNArgs(2),
		Long: `Assign users or groups to an application. It matters once the application requires
it: curfew app update CLIENT_ID --assignment-required.`,
		Example: "  curfew app assign mail ada@contoso.example\n  curfew app assign mail --group Research"}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		if err := checkAct(cmd, act); err != nil {
			return err
		}
		name := "userPrincipalName"
		if toGroup {
			name = "displayName"
		}
		all, err := c.targets(cmd, args[1:], name, "id", name)
		if err != nil {
			return err
		}
		api, err := c.client()
		if err != nil {
			return err
		}
		return c.forEach(ctx, all, deed{past: "assigned", gerund: "assigning", act: act, do: func(ctx context.Context, t target) (client.Done, error) {
			if toGroup {
				g, err := api.Group(ctx, t.ref)
				if err != nil {
					return client.Done{}, err
				}
				return api.AssignApp(ctx, args[0], g.ID, true, act)
			}
			id, err := userID(ctx, api, t.ref)
			if err != nil {
				return client.Done{}, err
			}
			return api.AssignApp(ctx, args[0], id, false, act)
		}})
	})
	cmd.Flags().BoolVar(&toGroup, "group", false, "the names are those of groups")
	actFlags(cmd, &act)
	return cmd
}

func appUnassignCommand(c *console) *cobra.Command {
	var act client.Act
	cmd := &cobra.Command{Use: "unassign CLIENT_ID NAME…|-", Short: "Take an application from users or groups; who has no other way in loses its tokens", Args: cobra.MinimumNArgs(2),
		Long: `Take assignments away, by the name of the user or group, or by their id or that of
the assignment. Whoever is not assigned in another way loses the grants and access
tokens of that application.`,
		Example: "  curfew app unassign mail ada@contoso.example --reason \"Left the team\""}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		if err := checkAct(cmd, act); err != nil {
			return err
		}
		all, err := c.targets(cmd, args[1:], "name", "id", "name")
		if err != nil {
			return err
		}
		api, err := c.client()
		if err != nil {
			return err
		}
		have, err := api.AppAssignments(ctx, args[0])
		if err != nil {
			return noSuch(err, "application", args[0], "curfew app list")
		}
		return c.forEach(ctx, all, deed{past: "unassigned", gerund: "unassigning", act: act, do: func(ctx context.Context, t target) (done client.Done, err error) {
			found := false
			for _, a := range have {
				if !strings.EqualFold(a.Name, t.ref) && a.ID != t.ref && a.User != t.ref && a.Group != t.ref {
					continue
				}
				found = true
				if done, err = api.UnassignApp(ctx, args[0], a.ID, act); err != nil {
					return done, err
				}
			}
			if !found {
				err = failf("curfew app assignments "+args[0], "it is not assigned to this application")
			}
			return done, err
		}})
	})
	actFlags(cmd, &act)
	return cmd
}
