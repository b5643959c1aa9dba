package main

import (
	"context"
	"maps"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
)

// resourceProperties are the flags of a resource's registration.
var resourceProperties = []property{
	{"scope", "scopes", scopeSet, "NAME=TEXT of a permission, TEXT as people read it at consent; once for each"},
	{"admin-scope", "scopes", scopeSet, "NAME=TEXT of a permission that only an administrator can consent to; once for each"},
	{"app-role", "appRoles", plains, "what applications can hold as themselves; once for each"},
	{"token-life", "tokenLifeMs", lasting, "life of its access tokens, 10m to 28h, more than 1h only with --guarded"},
	{"guarded", "guarded", truth, "every instance is behind a guard, one of which must be live when this is said"},
	{"signing-alg", "signingAlg", plain, "of its access tokens: ES256, RS256 or EdDSA"},
	{"encryption-key", "encryptionKey", public, "file with a public key to which its access tokens are encrypted (JWK or PEM); - is standard input"},
}

func resourceCommand(c *console) *cobra.Command {
	return group("resource", "Resources: what access tokens are for", resourceListCommand(c), resourceShowCommand(c), resourceCreateCommand(c), resourceUpdateCommand(c), resourceDeleteCommand(c))
}

func resourceListCommand(c *console) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List resources", Args: cobra.NoArgs, RunE: c.api(func(ctx context.Context, api *client.Client, _ []string) error {
		all, err := api.Resources(ctx)
		if err != nil {
			return err
		}
		rows := [][]term.Cell{term.Head("name", "id", "scopes", "app roles", "access tokens")}
		for _, r := range all {
			if c.listsJSON() {
				if err := c.Line(r); err != nil {
					return err
				}
				continue
			}
			rows = append(rows, term.Cells(dash(r.Name), r.ID, dash(strings.Join(scopeNames(r), " ")), dash(strings.Join(r.AppRoles, " ")), tokenLife(r)))
		}
		return c.list(rows, "No resources.", "curfew resource create api://mail --name Mail --scope \"Mail.Read=Read your mail\"")
	})}
}

func scopeNames(r *client.Resource) (names []string) {
	for _, s := range r.Scopes {
		names = append(names, s.Name)
	}
	return names
}

// tokenLife is how long the resource's access tokens live. Zero is the usual hour.
func tokenLife(r *client.Resource) string {
	if r.TokenLifeMs == 0 {
		return "1 h"
	}
	life := term.Span(ms(r.TokenLifeMs))
	if ms(r.TokenLifeMs) > time.Hour {
		life += ", while a guard answers"
	}
	return life
}

func resourceShowCommand(c *console) *cobra.Command {
	return &cobra.Command{Use: "show RESOURCE", Short: "Show a resource and its scopes", Args: cobra.ExactArgs(1), RunE: c.api(func(ctx context.Context, api *client.Client, args []string) error {
		r, err := api.Resource(ctx, args[0])
		if err != nil {
			return noSuch(err, "resource", args[0], "curfew resource list")
		}
		if c.listsJSON() {
			return c.Line(r)
		}
		c.Printf("%s  %s\n", c.Paint(term.Bold, term.Clean(dash(r.Name))), term.Clean(r.ID))
		var scopes []string
		for _, s := range r.Scopes {
			text := s.Name + "  " + s.Text
			if s.AdminOnly {
				text += " (an administrator consents)"
			}
			scopes = append(scopes, text)
		}
		facts := append(each("scope", scopes), each("app role", r.AppRoles)...)
		if r.Guarded {
			facts = append(facts, [2]string{"guarded", "yes, every instance"})
		}
		c.facts(append(facts, [2]string{"access tokens", tokenLife(r)}, [2]string{"signed with", r.SigningAlg}, [2]string{"created", c.When(r.Created)}))
		return nil
	})}
}

func resourceCreateCommand(c *console) *cobra.Command {
	var act client.Act
	var name string
	cmd := &cobra.Command{Use: "create RESOURCE", Short: "Register a resource by its identifier, the audience of its tokens",
		Example: `  curfew resource create api://mail --name Mail --scope "Mail.Read=Read your mail" --admin-scope "Mail.All=Read everybody's mail"`, Args: cobra.ExactArgs(1)}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		if err := checkAct(cmd, act); err != nil {
			return err
		}
		set, err := c.propertiesOf(cmd, resourceProperties)
		if err != nil {
			return err
		}
		if name == "" {
			return usagef(cmd, "--name is missing")
		}
		maps.Copy(set, map[string]any{"id": args[0], "name": name})
		api, err := c.client()
		if err != nil {
			return err
		}
		r, done, err := api.CreateResource(ctx, set, act)
		switch {
		case err != nil:
			return err
		case act.DryRun:
			return c.planned(args[0], done)
		case c.JSON:
			return c.Line(r)
		}
		c.targetLine(r.Name, 0, verdict{state: "created", text: r.ID})
		return nil
	})
	cmd.Flags().StringVar(&name, "name", "", "name as people read it; required")
	propertyFlagsOf(cmd, resourceProperties)
	actFlags(cmd, &act)
	return cmd
}

func resourceUpdateCommand(c *console) *cobra.Command {
	var act client.Act
	var name string
	cmd := &cobra.Command{Use: "update RESOURCE", Short: "Change a resource's registration",
		Long: "Change what the flags name, and nothing else." + appHelp + ` --scope and --admin-scope are one list.

--guarded says that every instance of the resource is behind a guard. It is believed
while a guard of the resource is live, and lets its access tokens live up to 28 hours.
Tokens that are made while no guard answers live one hour; --guarded=false makes that
the rule again. What was given before lives to its end, and receipts say so.`,
		Example: `  curfew resource update api://mail --token-life 30m`, Args: cobra.ExactArgs(1)}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		set, err := c.propertiesOf(cmd, resourceProperties)
		if err != nil {
			return err
		}
		if cmd.Flags().Changed("name") {
			set["name"] = name
		}
		if len(set) == 0 {
			return usagef(cmd, "say what to change, with a flag")
		}
		return c.onNamed(ctx, cmd, args, deed{past: "updated", gerund: "updating", act: act}, func(ctx context.Context, api *client.Client, id string) (client.Done, error) {
			return api.UpdateResource(ctx, id, set, act)
		})
	})
	cmd.Flags().StringVar(&name, "name", "", "name as people read it")
	propertyFlagsOf(cmd, resourceProperties)
	actFlags(cmd, &act)
	return cmd
}

func resourceDeleteCommand(c *console) *cobra.Command {
	var act client.Act
	var yes bool
	cmd := &cobra.Command{Use: "delete RESOURCE…|-", Short: "Delete resources that no application names any more", Args: cobra.MinimumNArgs(1),
		Long: `Delete resources that no application names any more. Access tokens for them that are
out live to their own end; guards go on refusing what is cut.`,
		Example: "  curfew resource delete api://mail --dry-run"}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		return c.onNamed(ctx, cmd, args, deed{past: "deleted", gerund: "deleting", act: act, ask: unless(yes, "Delete "+strings.Join(args, ", ")+"?")}, func(ctx context.Context, api *client.Client, id string) (client.Done, error) {
			return api.DeleteResource(ctx, id, act)
		})
	})
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	actFlags(cmd, &act)
	return cmd
}
