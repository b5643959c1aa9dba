package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
)

func roleCommand(c *console) *cobra.Command {
	return group("role", "Roles: who may do what to whom", roleListCommand(c), roleMembersCommand(c), roleAssignCommand(c, true), roleAssignCommand(c, false))
}

func roleListCommand(c *console) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List roles, the least powerful first", Args: cobra.NoArgs, RunE: c.api(func(ctx context.Context, api *client.Client, _ []string) error {
		all, err := api.Roles(ctx)
		if err != nil {
			return err
		}
		rows := [][]term.Cell{term.Head("role", "privileged", "what it may do")}
		for _, r := range all {
			if c.listsJSON() {
				if err := c.Line(r); err != nil {
					return err
				}
				continue
			}
			privileged := term.None
			if r.Privileged {
				privileged = "yes"
			}
			rows = append(rows, term.Cells(r.DisplayName, privileged, dash(r.Description)))
		}
		return c.list(rows, "No roles.", "")
	})}
}

// findRole finds a role by name or id. It guesses nothing.
func findRole(ctx context.Context, api *client.Client, ref string) (*client.Role, error) {
	all, err := api.Roles(ctx)
	if err != nil {
		return nil, err
	}
	var near []string
	for _, r := range all {
		if strings.EqualFold(r.DisplayName, strings.TrimSpace(ref)) || strings.EqualFold(r.ID, ref) {
			return r, nil
		}
		if strings.Contains(strings.ToLower(r.DisplayName), strings.ToLower(strings.TrimSpace(ref))) {
			near = append(near, r.DisplayName)
		}
	}
	hint := "curfew role list"
	if len(near) > 0 && len(near) < 4 {
		hint = "there is " + strings.Join(near, ", ")
	}
	return nil, &failure{exitSome, fmt.Errorf("there is no role %q", ref), hint}
}

func roleMembersCommand(c *console) *cobra.Command {
	return &cobra.Command{Use: "members ROLE", Short: "List who holds a role", Example: `  curfew role members "Global Administrator"`, Args: cobra.ExactArgs(1),
		RunE: c.api(func(ctx context.Context, api *client.Client, args []string) error {
			r, err := findRole(ctx, api, args[0])
			if err != nil {
				return err
			}
			all, err := api.Holders(ctx, r.ID)
			if err != nil {
				return err
			}
			rows := [][]term.Cell{term.Head("name", "user name", "kind", "id")}
			for _, h := range all {
				kind, name := "user", h.UserPrincipalName
				if h.IsGroup() {
					kind, name = "group", term.None
				}
				if c.listsJSON() {
					if err := c.Line(struct {
						Kind string `json:"kind"`
						Role string `json:"role"`
						client.User
					}{kind, r.DisplayName, h.User}); err != nil {
						return err
					}
					continue
				}
				rows = append(rows, term.Cells(dash(h.DisplayName), dash(name), kind, h.ID))
			}
			return c.list(rows, "Nobody holds "+r.DisplayName+".", "")
		})}
}

func roleAssignCommand(c *console, assign bool) *cobra.Command {
	var act client.Act
	var toGroup bool
	verb, past, gerund, short := "unassign", "unassigned", "unassigning", "Take a role away, which ends grants and access tokens"
	if assign {
		verb, past, gerund, short = "assign", "assigned", "assigning", "Give a role to users, or with --group to a group"
	}
	cmd := &cobra.Command{Use: verb + " ROLE USER…|-", Short: short, Args: cobra.MinimumNArgs(2), Example: "  curfew role " + verb + " \"User Administrator\" grace@contoso.example"}
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
		r, err := findRole(ctx, api, args[0])
		if err != nil {
			return err
		}
		return c.forEach(ctx, all, deed{past: past, gerund: gerund, act: act, do: func(ctx context.Context, t target) (done client.Done, err error) {
			id := ""
			if toGroup {
				var g *client.Group
				if g, err = api.Group(ctx, t.ref); err == nil {
					id = g.ID
				}
			} else {
				id, err = userID(ctx, api, t.ref)
			}
			if err != nil {
				return done, err
			}
			if assign {
				return api.Assign(ctx, r.ID, id, act)
			}
			held, err := api.Assignments(ctx, r.ID, id)
			if err != nil {
				return done, err
			}
			if len(held) == 0 {
				return done, failf("", "does not hold %s directly", r.DisplayName)
			}
			return api.Unassign(ctx, held[0].ID, act)
		}})
	})
	cmd.Flags().BoolVar(&toGroup, "group", false, "the names are of groups that can hold roles")
	actFlags(cmd, &act)
	return cmd
}
