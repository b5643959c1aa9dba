package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
)

func appCommand(c *console) *cobra.Command {
	return group("app", "Registered applications", appListCommand(c), appShowCommand(c), appCreateCommand(c), appUpdateCommand(c),
		appEnabledCommand(c, true), appEnabledCommand(c, false), appDeleteCommand(c), appSecretCommand(c), appOwnerCommand(c),
		appAssignmentsCommand(c), appAssignCommand(c), appUnassignCommand(c))
}

func appListCommand(c *console) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List applications", Args: cobra.NoArgs, RunE: c.api(func(ctx context.Context, api *client.Client, _ []string) error {
		all, err := api.Apps(ctx)
		if err != nil {
			return err
		}
		rows := [][]term.Cell{term.Head("name", "client id", "status", "kind", "guards")}
		for _, a := range all {
			if c.listsJSON() {
				if err := c.Line(a); err != nil {
					return err
				}
				continue
			}
			row := term.Cells(dash(a.Name), a.ID, appStatus(a), appKind(a), dash(strings.Join(a.Guards, ", ")))
			row[2].Colour = stateColour(row[2].Text)
			rows = append(rows, row)
		}
		return c.list(rows, "No applications.", "curfew app create NAME")
	})}
}

func appStatus(a *client.App) string {
	if a.Enabled {
		return "enabled"
	}
	return "disabled"
}

func appKind(a *client.App) string {
	if a.Public {
		return "public"
	}
	return "confidential"
}

func appShowCommand(c *console) *cobra.Command {
	return &cobra.Command{Use: "show CLIENT_ID", Short: "Show an application and its secrets' ids", Args: cobra.ExactArgs(1), RunE: c.api(func(ctx context.Context, api *client.Client, args []string) error {
		a, err := api.App(ctx, args[0])
		if err != nil {
			return noSuch(err, "application", args[0], "curfew app list")
		}
		if c.listsJSON() {
			return c.Line(a)
		}
		c.Printf("%s  %s\n", c.Paint(term.Bold, term.Clean(dash(a.Name))), term.Clean(a.ID))
		c.facts(appFacts(c, a))
		return nil
	})}
}

// appFacts are what an application's registration says, without what it leaves at
// its usual value.
func appFacts(c *console, a *client.App) [][2]string {
	trust := ""
	if a.FirstParty {
		trust = "first party: nobody is asked for consent"
	}
	device := ""
	if a.DeviceCode {
		device = "may be used"
	}
	minutes := ""
	if a.AccessTokenMinutes > 0 {
		minutes = term.Num(a.AccessTokenMinutes) + " min"
	}
	facts := [][2]string{{"status", appStatus(a)}, {"kind", appKind(a)}, {"publisher", a.Publisher}, {"trust", trust}, {"device code", device}}
	facts = append(facts, each("redirects to", a.RedirectURIs)...)
	facts = append(facts, each("in a browser at", a.SPARedirectURIs)...)
	facts = append(facts, each("after logout", a.PostLogoutURIs)...)
	facts = append(facts, each("may ask for", permitted(a.Permissions))...)
	facts = append(facts, each("holds itself", permitted(a.AppPermissions))...)
	facts = append(facts, each("may guard", a.Guards)...)
	facts = append(facts, [2]string{"access tokens", minutes}, [2]string{"identity", a.Principal})
	facts = append(facts, protocolFacts(a)...)
	for _, s := range a.Secrets {
		until := "does not expire"
		if !s.Expires.IsZero() {
			until = "until " + c.When(s.Expires)
			if s.Expires.Before(c.Now()) {
				until = "expired " + c.When(s.Expires)
			}
		}
		facts = append(facts, [2]string{"secret", s.ID + "  " + s.Hint + "…  made " + c.When(s.Created) + ", " + until})
	}
	for _, k := range a.Keys {
		facts = append(facts, [2]string{"key", k.ID + "  made " + c.When(k.Created)})
	}
	return append(facts, [2]string{"created", c.When(a.Created)})
}

// protocolFacts are those of what an application proves and is told.
func protocolFacts(a *client.App) [][2]string {
	var demands []string
	for _, d := range []struct {
		set  bool
		what string
	}{{a.RequirePAR, "pushed requests"}, {a.RequireDPoP, "tokens bound to a key"}} {
		if d.set {
			demands = append(demands, d.what)
		}
	}
	absolute, assigned := "", ""
	if a.GrantAbsoluteMs > 0 {
		absolute = term.Span(ms(a.GrantAbsoluteMs)) + " after the sign-in"
	}
	if a.AssignmentRequired {
		assigned = "only who is assigned"
	}
	logout := func(address string, session bool) string {
		if address != "" && session {
			return address + "  with the session"
		}
		return address
	}
	return [][2]string{{"lets in", assigned}, {"refresh", a.Refresh}, {"grants end", absolute}, {"only with", strings.Join(demands, ", ")}, {"signed with", a.SigningAlg},
		{"keys at", a.KeysURI}, {"told of logout", logout(a.BackChannelLogoutURI, a.BackChannelSession)},
		{"shown at logout", logout(a.FrontChannelLogoutURI, a.FrontChannelSession)}}
}

// permitted writes permissions as their flags are written.
func permitted(all []client.Permission) (out []string) {
	for _, p := range all {
		for _, s := range p.Scopes {
			out = append(out, p.Resource+"/"+s)
		}
	}
	return out
}

// each gives every value a line of its own: addresses are long.
func each(name string, values []string) (out [][2]string) {
	for _, v := range values {
		out = append(out, [2]string{name, v})
	}
	return out
}

// facts prints what is known about one thing. A name that repeats is printed once.
func (c *console) facts(all [][2]string) {
	var rows [][]term.Cell
	before := ""
	for _, f := range all {
		if f[1] == "" {
			continue
		}
		row := term.Cells(f[0], f[1])
		row[0].Colour = term.Grey
		if f[0] == before {
			row[0].Text = ""
		}
		before = f[0]
		if f[0] == "status" {
			row[1].Colour = stateColour(f[1])
		}
		rows = append(rows, row)
	}
	c.Table(c.Out, "  ", rows)
}

// noSuch names what was not found, and where to look.
func noSuch(err error, what, name, hint string) error {
	if client.NotFound(err) {
		return failf(hint, "there is no %s %q", what, name)
	}
	return err
}
