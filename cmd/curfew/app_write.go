package main

import (
	"context"
	"maps"
	"strings"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
)

// appProperties are the flags of an application's registration.
var appProperties = []property{
	{"publisher", "publisher", plain, "who made it, shown where people are asked for consent"},
	{"public", "public", truth, "it runs where no secret can be kept: a native or browser application"},
	{"first-party", "firstParty", truth, "nobody is asked for consent"},
	{"device-code", "deviceCode", truth, "people may let it in with a code from another device"},
	{"redirect-uri", "redirectUris", plains, "address that people come back to; once for each"},
	{"post-logout-uri", "postLogoutUris", plains, "address that people may be sent to after signing out; once for each"},
	{"permission", "permissions", permits, "RESOURCE/SCOPE that it may ask people for; once for each"},
	{"app-permission", "appPermissions", permits, "RESOURCE/ROLE that it holds as itself; once for each"},
	{"guard", "guards", plains, "resource that it may guard, and whose access tokens it may exchange; once for each"},
	{"access-token-minutes", "accessTokenMinutes", whole, "life of its access tokens, 10 to 60; 0 is what each resource says"},
	{"spa-redirect-uri", "spaRedirectUris", plains, "address of a browser-only application: scripts there may ask for tokens, grants end after 24 hours; once for each"},
	{"key", "keys", publics, "file with its public keys (JWK, JWK set, PEM), by which it proves who it is instead of a secret; - is standard input; once for each"},
	{"jwks-uri", "keysUri", plain, "address at which it publishes its keys itself"},
	{"refresh", "refresh", plain, "how refresh tokens are renewed: rotate, strict, or bound to a key"},
	{"grant-absolute", "grantAbsoluteMs", lasting, "end of its grants however often they are renewed, 1h to ten years; 0 is never"},
	{"require-pushed-requests", "requirePAR", truth, "authorization requests must be pushed (RFC 9126)"},
	{"require-dpop", "requireDPoP", truth, "tokens are handed out only bound to a key (RFC 9449)"},
	{"signing-alg", "signingAlg", plain, "of its ID and logout tokens: ES256, RS256 or EdDSA"},
	{"backchannel-logout-uri", "backChannelLogoutUri", plain, "address that is told when somebody's session ends"},
	{"backchannel-logout-session", "backChannelSession", truth, "it wants to be told the session, not just the person"},
	{"frontchannel-logout-uri", "frontChannelLogoutUri", plain, "page that is loaded in a frame when somebody signs out"},
	{"frontchannel-logout-session", "frontChannelSession", truth, "that page is given iss and sid"},
	{"assignment-required", "assignmentRequired", truth, "only people who are assigned to it get in; see curfew app assign"},
}

// appHelp says how lists are written, in all commands that have them.
const appHelp = `
A list is replaced as a whole: give its flag once for each value, or once with ""
to empty it.`

func appCreateCommand(c *console) *cobra.Command {
	var act client.Act
	var id string
	var secret, disabled bool
	cmd := &cobra.Command{Use: "create NAME", Short: "Register an application",
		Long: "Register an application. Without --client-id its client id is made by the server." + appHelp,
		Example: `  curfew app create "Mail" --client-id mail --with-secret --redirect-uri https://mail.contoso.example/callback --permission api://mail/Mail.Read
  curfew app create "Mail guard" --with-secret --guard api://mail
  curfew app create "Desktop" --public --redirect-uri http://localhost --device-code`,
		Args: cobra.ExactArgs(1)}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		if err := checkAct(cmd, act); err != nil {
			return err
		}
		set, err := c.propertiesOf(cmd, appProperties)
		if err != nil {
			return err
		}
		maps.Copy(set, map[string]any{"name": args[0], "enabled": !disabled, "withSecret": secret})
		if id != "" {
			set["id"] = id
		}
		api, err := c.client()
		if err != nil {
			return err
		}
		a, made, done, err := api.CreateApp(ctx, set, act)
		switch {
		case err != nil:
			return err
		case act.DryRun:
			return c.planned(args[0], done)
		case c.JSON:
			return c.Line(struct {
				*client.App
				Secret *client.NewSecret `json:"secret,omitempty"`
			}{a, made})
		}
		c.targetLine(a.Name, 0, verdict{state: "created", text: "client id " + a.ID})
		if made != nil {
			c.Printf("  secret  %s\n", made.Value)
			c.Sayf("%s\n", c.Dim("It is not shown again."))
		}
		return nil
	})
	f := cmd.Flags()
	f.StringVar(&id, "client-id", "", "client id; it cannot be changed later")
	f.BoolVar(&secret, "with-secret", false, "make a secret and print it, once")
	f.BoolVar(&disabled, "disabled", false, "nobody can use it yet")
	propertyFlagsOf(cmd, appProperties)
	actFlags(cmd, &act)
	return cmd
}

// planned answers the dry run of something that would be created.
func (c *console) planned(name string, done client.Done) error {
	if c.JSON {
		return c.Line(outcome{Target: name, State: "planned", Effects: done.Effects})
	}
	c.targetLine(name, 0, verdict{state: "dry run", text: strings.Join(done.Effects, " ")})
	return nil
}

func appUpdateCommand(c *console) *cobra.Command {
	var act client.Act
	var name string
	cmd := &cobra.Command{Use: "update CLIENT_ID", Short: "Change an application's registration",
		Long: "Change what the flags name, and nothing else." + appHelp + `
What is taken away from an application ends: permissions with the grants and access
tokens that rest on them.`,
		Example: `  curfew app update mail --redirect-uri https://mail.contoso.example/callback --redirect-uri https://mail.contoso.example/silent
  curfew app update mail --permission "" --dry-run`,
		Args: cobra.ExactArgs(1)}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		set, err := c.propertiesOf(cmd, appProperties)
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
			return api.UpdateApp(ctx, id, set, act)
		})
	})
	cmd.Flags().StringVar(&name, "name", "", "name as people read it")
	propertyFlagsOf(cmd, appProperties)
	actFlags(cmd, &act)
	return cmd
}

// onNamed does a deed to everything that the arguments, or the lines of standard
// input, name by its id.
func (c *console) onNamed(ctx context.Context, cmd *cobra.Command, args []string, d deed, do func(context.Context, *client.Client, string) (client.Done, error)) error {
	if err := checkAct(cmd, d.act); err != nil {
		return err
	}
	all, err := c.targets(cmd, args, "id", "id")
	if err != nil {
		return err
	}
	api, err := c.client()
	if err != nil {
		return err
	}
	if d.ask != "" && !d.act.DryRun {
		if err := c.confirm(d.ask); err != nil {
			return err
		}
	}
	d.do = func(ctx context.Context, t target) (client.Done, error) { return do(ctx, api, t.ref) }
	return c.forEach(ctx, all, d)
}

func appEnabledCommand(c *console, enabled bool) *cobra.Command {
	var act client.Act
	verb, past, gerund, short := "disable", "disabled", "disabling", "Disable applications, which ends what people gave them and what they hold"
	if enabled {
		verb, past, gerund, short = "enable", "enabled", "enabling", "Let applications in again; what was ended stays ended"
	}
	cmd := &cobra.Command{Use: verb + " CLIENT_ID…|-", Short: short, Args: cobra.MinimumNArgs(1), Example: "  curfew app " + verb + " mail --reason \"Ticket 4711\""}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		return c.onNamed(ctx, cmd, args, deed{past: past, gerund: gerund, act: act}, func(ctx context.Context, api *client.Client, id string) (client.Done, error) {
			return api.SetAppEnabled(ctx, id, enabled, act)
		})
	})
	actFlags(cmd, &act)
	return cmd
}

func appDeleteCommand(c *console) *cobra.Command {
	var act client.Act
	var yes bool
	cmd := &cobra.Command{Use: "delete CLIENT_ID…|-", Short: "Delete applications, which ends all that they hold", Args: cobra.MinimumNArgs(1),
		Long: `Delete applications: their grants and access tokens end, their secrets, consents and
identities are gone, and a new application of the same client id inherits nothing.`,
		Example: "  curfew app delete mail --dry-run"}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		return c.onNamed(ctx, cmd, args, deed{past: "deleted", gerund: "deleting", act: act, ask: unless(yes, "Delete "+strings.Join(args, ", ")+"?")}, func(ctx context.Context, api *client.Client, id string) (client.Done, error) {
			return api.DeleteApp(ctx, id, act)
		})
	})
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	actFlags(cmd, &act)
	return cmd
}

// unless is a question that --yes answers.
func unless(yes bool, question string) string {
	if yes {
		return ""
	}
	return term.Clean(question)
}
