package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
)

func groupCommand(c *console) *cobra.Command {
	return group("group", "Groups and who is in them",
		groupListCommand(c), groupShowCommand(c), groupCreateCommand(c), groupDeleteCommand(c), groupMemberCommand(c, true), groupMemberCommand(c, false))
}

func groupListCommand(c *console) *cobra.Command {
	var search string
	cmd := &cobra.Command{Use: "list", Short: "List groups", Args: cobra.NoArgs, RunE: c.api(func(ctx context.Context, api *client.Client, _ []string) error {
		all, err := api.Groups(ctx, search)
		if err != nil {
			return err
		}
		rows := [][]term.Cell{term.Head("name", "roles", "description", "id")}
		for _, g := range all {
			if c.listsJSON() {
				if err := c.Line(g); err != nil {
					return err
				}
				continue
			}
			can := term.None
			if g.RoleAssignable {
				can = "can hold"
			}
			rows = append(rows, term.Cells(g.DisplayName, can, dash(g.Description), g.ID))
		}
		return c.list(rows, "No groups.", "curfew group create NAME")
	})}
	cmd.Flags().StringVar(&search, "search", "", "what a word of the name begins with")
	return cmd
}

func groupShowCommand(c *console) *cobra.Command {
	return &cobra.Command{Use: "show GROUP", Short: "Show a group and its members", Args: cobra.ExactArgs(1), RunE: c.api(func(ctx context.Context, api *client.Client, args []string) error {
		g, err := api.Group(ctx, args[0])
		if err != nil {
			return err
		}
		members, err := api.Members(ctx, g.ID)
		if err != nil {
			return err
		}
		if c.listsJSON() {
			return c.Line(struct {
				*client.Group
				Members []*client.User `json:"members"`
			}{g, append([]*client.User{}, members...)})
		}
		c.Printf("%s  %s\n", c.Paint(term.Bold, term.Clean(g.DisplayName)), term.Clean(g.Description))
		c.Printf("  id  %s\n\n", g.ID)
		rows := [][]term.Cell{term.Head("name", "user name", "status", "id")}
		for _, u := range members {
			row := term.Cells(dash(u.DisplayName), u.UserPrincipalName, status(u), u.ID)
			row[2].Colour = stateColour(row[2].Text)
			rows = append(rows, row)
		}
		return c.list(rows, "Nobody is in it.", "")
	})}
}

func groupCreateCommand(c *console) *cobra.Command {
	var act client.Act
	var description string
	var roles bool
	cmd := &cobra.Command{Use: "create NAME", Short: "Create a group", Args: cobra.ExactArgs(1)}
	cmd.RunE = c.api(func(ctx context.Context, api *client.Client, args []string) error {
		if err := checkAct(cmd, act); err != nil {
			return err
		}
		g, done, err := api.CreateGroup(ctx, args[0], description, roles, act)
		switch {
		case err != nil:
			return err
		case act.DryRun && c.JSON:
			return c.Line(outcome{Target: args[0], State: "planned", Effects: done.Effects})
		case act.DryRun:
			c.targetLine(args[0], 0, verdict{state: "dry run", text: strings.Join(done.Effects, " ")})
		case c.JSON:
			return c.Line(g)
		default:
			c.targetLine(g.DisplayName, 0, verdict{state: "created", text: "id " + g.ID})
		}
		return nil
	})
	cmd.Flags().StringVar(&description, "description", "", "what it is for")
	cmd.Flags().BoolVar(&roles, "role-assignable", false, "it can hold roles; this cannot be changed later")
	actFlags(cmd, &act)
	return cmd
}

func groupDeleteCommand(c *console) *cobra.Command {
	var act client.Act
	var yes bool
	cmd := &cobra.Command{Use: "delete GROUP…|-", Short: "Delete groups", Args: cobra.MinimumNArgs(1)}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		if err := checkAct(cmd, act); err != nil {
			return err
		}
		all, err := c.targets(cmd, args, "displayName", "id", "displayName")
		if err != nil {
			return err
		}
		api, err := c.client()
		if err != nil {
			return err
		}
		if !yes && !act.DryRun {
			if err := c.confirm("Delete " + term.Count(len(all), "group", "groups") + "?"); err != nil {
				return err
			}
		}
		return c.forEach(ctx, all, deed{past: "deleted", gerund: "deleting", act: act, do: func(ctx context.Context, t target) (client.Done, error) {
			g, err := api.Group(ctx, t.ref)
			if err != nil {
				return client.Done{}, err
			}
			return api.DeleteGroup(ctx, g.ID, act)
		}})
	})
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	actFlags(cmd, &act)
	return cmd
}

func groupMemberCommand(c *console, add bool) *cobra.Command {
	var act client.Act
	verb, past, gerund, short := "remove", "removed", "removing", "Take users out of a group"
	if add {
		verb, past, gerund, short = "add", "added", "adding", "Put users into a group"
	}
	cmd := &cobra.Command{Use: verb + " GROUP USER…|-", Short: short, Args: cobra.MinimumNArgs(2),
		Example: "  curfew user list --filter \"department eq 'Research'\" | curfew group " + verb + " Research -"}
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
		g, err := api.Group(ctx, args[0])
		if err != nil {
			return err
		}
		return c.forEach(ctx, all, deed{past: past, gerund: gerund, act: act, do: func(ctx context.Context, t target) (client.Done, error) {
			id, err := userID(ctx, api, t.ref)
			if err != nil {
				return client.Done{}, err
			}
			if add {
				return api.AddMember(ctx, g.ID, id, act)
			}
			return api.RemoveMember(ctx, g.ID, id, act)
		}})
	})
	actFlags(cmd, &act)
	return cmd
}

// userID is the object id of a user that is named by id or user name.
func userID(ctx context.Context, api *client.Client, ref string) (string, error) {
	if client.IsID(ref) {
		return ref, nil
	}
	u, err := api.User(ctx, ref)
	if err != nil {
		return "", err
	}
	return u.ID, nil
}
