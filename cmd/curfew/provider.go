package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
)

func providerCommand(c *console) *cobra.Command {
	return group("provider", "Other identity providers through which people sign in", providerListCommand(c), providerShowCommand(c), providerCreateCommand(c), providerUpdateCommand(c),
		providerDeleteCommand(c), providerLinkCommand(c), providerUnlinkCommand(c), providerLinksCommand(c))
}

var providerProperties = []property{
	{"client-id", "clientId", plain, "what this directory is called there"},
	{"private-key-jwt", "privateKeyJwt", truth, "this directory proves itself there by a signature instead of a secret; its keys are at /oauth2/keys"},
	{"scope", "scopes", plains, "asked for beside openid; once for each"},
	{"user-name-claim", "userNameClaim", plain, "claim that becomes the user name of somebody created; preferred_username when absent"},
	{"mail-claim", "mailClaim", plain, "claim that becomes their mail address, if it is verified; email when absent"},
	{"display-name-claim", "displayNameClaim", plain, "claim that becomes their name; name when absent"},
	{"create-users", "createUsers", truth, "people who are linked to nobody become new users, in the domains named"},
	{"domain", "domains", plains, "domain in which it may create users; once for each"},
	{"enabled", "enabled", truth, "people can sign in through it"},
}

// secretFlags say where a secret comes from that another server gave: never from
// an argument, which everybody on the machine can read.
type secretFlags struct{ env, file string }

func (s *secretFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.env, "secret-env", "", "environment variable that holds the client secret")
	cmd.Flags().StringVar(&s.file, "secret-file", "", "file that holds the client secret; - is standard input")
	cmd.MarkFlagsMutuallyExclusive("secret-env", "secret-file")
}

func (c *console) providerSecret(s secretFlags) (string, error) {
	var b []byte
	var err error
	switch {
	case s.env != "":
		b = []byte(c.Getenv(s.env))
	case s.file == "-":
		b, err = io.ReadAll(io.LimitReader(c.in, 8192))
	case s.file != "":
		b, err = os.ReadFile(s.file)
	}
	v := strings.TrimRight(string(b), "\r\n")
	switch {
	case err != nil:
		return "", err
	case v == "" && s.env != "":
		return "", fmt.Errorf("the environment variable %q is not set", s.env)
	case v == "" && s.file != "":
		return "", errors.New("the file with the secret is empty")
	}
	return v, nil
}

// providerSet reads the flags of a registration.
func (c *console) providerSet(cmd *cobra.Command, name string, secret secretFlags) (map[string]any, error) {
	set, err := c.propertiesOf(cmd, providerProperties)
	if err != nil {
		return nil, err
	}
	if cmd.Flags().Changed("name") {
		set["name"] = name
	}
	v, err := c.providerSecret(secret)
	if v != "" {
		set["secret"] = v
	}
	return set, err
}

func providerListCommand(c *console) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List identity providers", Args: cobra.NoArgs, RunE: c.api(func(ctx context.Context, api *client.Client, _ []string) error {
		all, err := api.Providers(ctx)
		if err != nil {
			return err
		}
		rows := [][]term.Cell{term.Head("name", "id", "status", "people", "issuer")}
		for _, p := range all {
			if c.listsJSON() {
				if err := c.Line(p); err != nil {
					return err
				}
				continue
			}
			row := term.Cells(dash(p.Name), p.ID, providerStatus(p), term.Num(p.People), p.Issuer)
			row[2].Colour = stateColour(row[2].Text)
			rows = append(rows, row)
		}
		return c.list(rows, "No identity providers.", "curfew provider create ID --issuer https://…")
	})}
}

func providerStatus(p *client.Provider) string {
	if p.Enabled {
		return "enabled"
	}
	return "disabled"
}

func providerShowCommand(c *console) *cobra.Command {
	return &cobra.Command{Use: "show ID", Short: "Show an identity provider, and what to register there", Args: cobra.ExactArgs(1), RunE: c.api(func(ctx context.Context, api *client.Client, args []string) error {
		p, err := api.Provider(ctx, args[0])
		if err != nil {
			return noSuch(err, "identity provider", args[0], "curfew provider list")
		}
		if c.listsJSON() {
			return c.Line(p)
		}
		c.Printf("%s  %s\n", c.Paint(term.Bold, term.Clean(dash(p.Name))), term.Clean(p.ID))
		secret, unknown := "none: PKCE alone", "turned away"
		if p.HasSecret {
			secret = "kept sealed"
		}
		if p.PrivateKeyJWT {
			secret = "none: a signature, by the keys at /oauth2/keys"
		}
		if p.CreateUsers {
			unknown = "created in " + strings.Join(p.Domains, ", ")
		}
		c.facts([][2]string{{"status", providerStatus(p)}, {"issuer", p.Issuer}, {"client id", p.ClientID}, {"secret", secret}, {"scopes", strings.Join(append([]string{"openid"}, p.Scopes...), " ")},
			{"people linked", term.Num(p.People)}, {"unknown people", unknown}, {"user name from", p.UserNameClaim}, {"mail from", p.MailClaim}, {"name from", p.DisplayNameClaim},
			{"register there", "redirect URI  " + p.RedirectURI}, {"register there", "back-channel logout  " + p.BackChannelLogoutURI}, {"created", c.When(p.Created)}})
		return nil
	})}
}

func providerCreateCommand(c *console) *cobra.Command {
	var act client.Act
	var issuer, name string
	var secret secretFlags
	cmd := &cobra.Command{Use: "create ID", Short: "Register an identity provider", Args: cobra.ExactArgs(1),
		Long: `Register an OpenID provider by its issuer, or by the address of its metadata. The server
asks it at once: the metadata must name that issuer, to the letter. ID stands in the redirect
URI, which curfew provider show prints and the other side has to know.

People are found by issuer and subject only, never by an address: they link their accounts
themselves, or you link them with curfew provider link.`,
		Example: `  curfew provider create partner --name Partner --issuer https://id.partner.example --client-id curfew --secret-file partner.secret
  curfew provider create partner --issuer https://id.partner.example --client-id curfew --secret-env PARTNER_SECRET --create-users --domain partner.example`}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		if err := checkAct(cmd, act); err != nil {
			return err
		}
		if issuer == "" {
			return usagef(cmd, "--issuer is missing")
		}
		set, err := c.providerSet(cmd, name, secret)
		if err != nil {
			return err
		}
		maps.Copy(set, map[string]any{"id": args[0], "issuer": issuer})
		api, err := c.client()
		if err != nil {
			return err
		}
		p, done, err := api.CreateProvider(ctx, set, act)
		switch {
		case err != nil:
			return err
		case act.DryRun:
			return c.planned(args[0], done)
		case c.JSON:
			return c.Line(p)
		}
		c.targetLine(p.Name, 0, verdict{state: "created", text: p.ID})
		c.Sayf("register there: redirect URI %s, back-channel logout %s\n", p.RedirectURI, p.BackChannelLogoutURI)
		return nil
	})
	cmd.Flags().StringVar(&issuer, "issuer", "", "issuer, or the address of its metadata; it never changes")
	cmd.Flags().StringVar(&name, "name", "", "name on the button of the sign-in page; the id when absent")
	secret.add(cmd)
	propertyFlagsOf(cmd, providerProperties)
	actFlags(cmd, &act)
	return cmd
}

func providerUpdateCommand(c *console) *cobra.Command {
	var act client.Act
	var name string
	var secret secretFlags
	cmd := &cobra.Command{Use: "update ID", Short: "Change an identity provider", Args: cobra.ExactArgs(1),
		Long: "Change what the flags name, and nothing else." + appHelp + `
Disabling it, or another client id, ends every session that came through it and the grants
given in them; enabling it again revives none.`,
		Example: "  curfew provider update partner --secret-file new.secret\n  curfew provider update partner --enabled=false --reason \"Partner was broken into\""}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		set, err := c.providerSet(cmd, name, secret)
		if err != nil {
			return err
		}
		if len(set) == 0 {
			return usagef(cmd, "say what to change, with a flag")
		}
		return c.onNamed(ctx, cmd, args, deed{past: "updated", gerund: "updating", act: act}, func(ctx context.Context, api *client.Client, id string) (client.Done, error) {
			return api.UpdateProvider(ctx, id, set, act)
		})
	})
	cmd.Flags().StringVar(&name, "name", "", "name on the button of the sign-in page")
	secret.add(cmd)
	propertyFlagsOf(cmd, providerProperties)
	actFlags(cmd, &act)
	return cmd
}

func providerDeleteCommand(c *console) *cobra.Command {
	var act client.Act
	var yes bool
	cmd := &cobra.Command{Use: "delete ID…|-", Short: "Delete identity providers with all links, which ends what came through them", Args: cobra.MinimumNArgs(1),
		Example: "  curfew provider delete partner --dry-run"}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		return c.onNamed(ctx, cmd, args, deed{past: "deleted", gerund: "deleting", act: act, ask: unless(yes, "Delete "+strings.Join(args, ", ")+"?")}, func(ctx context.Context, api *client.Client, id string) (client.Done, error) {
			return api.DeleteProvider(ctx, id, act)
		})
	})
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	actFlags(cmd, &act)
	return cmd
}

func providerLinkCommand(c *console) *cobra.Command {
	var act client.Act
	cmd := &cobra.Command{Use: "link ID SUBJECT USER", Short: "Say that a subject of an identity provider is a user here", Args: cobra.ExactArgs(3),
		Long: `Say that a subject (the sub of its ID tokens, to the letter) is a user here. Whoever can sign
in to that account can sign in here as that user, so it takes the role that could reset
their password.`,
		Example: "  curfew provider link partner 00u1a2b3c4 ada@contoso.example"}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		return c.onUser(ctx, cmd, args[2:], deed{past: "linked", gerund: "linking", act: act}, func(ctx context.Context, api *client.Client, user string) (client.Done, error) {
			return api.LinkUser(ctx, args[0], args[1], user, act)
		})
	})
	actFlags(cmd, &act)
	return cmd
}

func providerUnlinkCommand(c *console) *cobra.Command {
	var act client.Act
	cmd := &cobra.Command{Use: "unlink ID USER…|-", Short: "Take users' links away, which ends what came through them", Args: cobra.MinimumNArgs(2),
		Example: "  curfew provider unlink partner ada@contoso.example"}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		return c.onUser(ctx, cmd, args[1:], deed{past: "unlinked", gerund: "unlinking", act: act}, func(ctx context.Context, api *client.Client, user string) (client.Done, error) {
			return api.UnlinkUser(ctx, args[0], user, act)
		})
	})
	actFlags(cmd, &act)
	return cmd
}

// onUser does a deed to users by their object ids.
func (c *console) onUser(ctx context.Context, cmd *cobra.Command, args []string, d deed, do func(context.Context, *client.Client, string) (client.Done, error)) error {
	if err := checkAct(cmd, d.act); err != nil {
		return err
	}
	all, err := c.targets(cmd, args, "userPrincipalName", "id", "userPrincipalName")
	if err != nil {
		return err
	}
	api, err := c.client()
	if err != nil {
		return err
	}
	d.do = func(ctx context.Context, t target) (client.Done, error) {
		id, err := userID(ctx, api, t.ref)
		if err != nil {
			return client.Done{}, err
		}
		return do(ctx, api, id)
	}
	return c.forEach(ctx, all, d)
}

func providerLinksCommand(c *console) *cobra.Command {
	return &cobra.Command{Use: "links USER", Short: "List who a user is elsewhere", Args: cobra.ExactArgs(1), RunE: c.api(func(ctx context.Context, api *client.Client, args []string) error {
		id, err := userID(ctx, api, args[0])
		if err != nil {
			return err
		}
		all, err := api.Links(ctx, id)
		if err != nil {
			return err
		}
		rows := [][]term.Cell{term.Head("provider", "subject", "since")}
		for _, l := range all {
			if c.listsJSON() {
				if err := c.Line(l); err != nil {
					return err
				}
				continue
			}
			rows = append(rows, term.Cells(l.Provider, l.Subject, c.When(l.Linked)))
		}
		return c.list(rows, "Linked to nobody.", "curfew provider link ID SUBJECT "+args[0])
	})}
}
