package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
)

func appCommand(c *console) *cobra.Command {
	return group("app", "Registered applications", appListCommand(c), appShowCommand(c))
}

func appListCommand(c *console) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List applications", Args: cobra.NoArgs, RunE: c.api(func(ctx context.Context, api *client.Client, _ []string) error {
		all, err := api.Apps(ctx)
		if err != nil {
			return err
		}
		rows := [][]cell{head("name", "client id", "status", "kind", "guards")}
		for _, a := range all {
			if c.listsJSON() {
				if err := c.line(a); err != nil {
					return err
				}
				continue
			}
			row := cells(dash(a.Name), a.ID, appStatus(a), appKind(a), dash(strings.Join(a.Guards, ", ")))
			row[2].colour = stateColour(row[2].text)
			rows = append(rows, row)
		}
		return c.list(rows, "No applications.", "curfew apply -f FILE")
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
	return &cobra.Command{Use: "show CLIENT_ID", Short: "Show an application", Args: cobra.ExactArgs(1), RunE: c.api(func(ctx context.Context, api *client.Client, args []string) error {
		a, err := api.App(ctx, args[0])
		if err != nil {
			return err
		}
		if c.listsJSON() {
			return c.line(a)
		}
		permissions := func(all []client.Permission) string {
			var out []string
			for _, p := range all {
				out = append(out, p.Resource+": "+strings.Join(p.Scopes, " "))
			}
			return strings.Join(out, "; ")
		}
		c.printf("%s  %s\n", c.paint(bold, clean(dash(a.Name))), clean(a.ID))
		facts := [][]cell{cells("status", appStatus(a)), cells("kind", appKind(a))}
		for _, f := range [][2]string{{"publisher", a.Publisher}, {"redirects to", strings.Join(a.RedirectURIs, " ")}, {"may ask for", permissions(a.Permissions)},
			{"holds itself", permissions(a.AppPermissions)}, {"may guard", strings.Join(a.Guards, ", ")}, {"created", c.when(a.Created)}} {
			if f[1] != "" {
				facts = append(facts, cells(f[0], f[1]))
			}
		}
		for _, row := range facts {
			row[0].colour = grey
		}
		facts[0][1].colour = stateColour(facts[0][1].text)
		c.table(c.out, "  ", facts)
		return nil
	})}
}

func sessionCommand(c *console) *cobra.Command {
	return group("session", "Browser sessions", listOfUsers(c, "session", func(ctx context.Context, api *client.Client, user string, rows *[][]cell) error {
		all, err := api.Sessions(ctx, user)
		if err != nil {
			return err
		}
		if len(*rows) == 0 {
			*rows = append(*rows, head("user", "browser", "address", "since", "last used", "ends", "id"))
		}
		for _, s := range all {
			if c.listsJSON() {
				if err := c.line(s); err != nil {
					return err
				}
				continue
			}
			*rows = append(*rows, cells(user, dash(s.Agent), dash(s.IP), c.when(s.Created), c.when(s.LastUsed), c.when(s.Ends), s.ID))
		}
		return nil
	}))
}

func grantCommand(c *console) *cobra.Command {
	return group("grant", "What applications may do for people", listOfUsers(c, "grant", func(ctx context.Context, api *client.Client, user string, rows *[][]cell) error {
		all, err := api.Grants(ctx, user)
		if err != nil {
			return err
		}
		if len(*rows) == 0 {
			*rows = append(*rows, head("user", "application", "for", "since", "last used", "access tokens", "id"))
		}
		for _, g := range all {
			if c.listsJSON() {
				if err := c.line(g); err != nil {
					return err
				}
				continue
			}
			var resources []string
			for _, p := range g.Scopes {
				resources = append(resources, p.Resource)
			}
			var live []string
			for _, t := range g.Tokens {
				live = append(live, t.ResourceName+" until "+c.sec(t.Expires))
			}
			*rows = append(*rows, cells(user, dash(g.AppName), dash(strings.Join(resources, ", ")), c.when(g.Created), c.when(g.LastUsed), dash(strings.Join(live, ", ")), g.ID))
		}
		return nil
	}))
}

// listOfUsers is a list of what some users have.
func listOfUsers(c *console, noun string, one func(ctx context.Context, api *client.Client, user string, rows *[][]cell) error) *cobra.Command {
	return &cobra.Command{Use: "list USER…|-", Short: "List live " + noun + "s of users", Args: cobra.MinimumNArgs(1),
		Example: "  curfew " + noun + " list ada@contoso.example\n  curfew " + noun + " list ada@contoso.example | curfew revoke " + noun + " -",
		RunE: run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			all, err := c.targets(cmd, args, "userPrincipalName", "id", "userPrincipalName")
			if err != nil {
				return err
			}
			api, err := c.client()
			if err != nil {
				return err
			}
			var rows [][]cell
			var sum tally
			for _, t := range all {
				ref := t.ref
				if t.name != t.ref {
					ref = t.name // read by name, so that lines say the name
				}
				err := one(ctx, api, ref, &rows)
				switch {
				case err == nil:
					sum.done++
				case len(all) == 1:
					return err
				default:
					v := judge(err)
					sum.add(t.name, v, "reading")
					c.sayf("%s  %s  %s\n", clean(t.name), v.state, clean(v.text))
				}
			}
			if sum.done > 0 {
				if err := c.list(rows, "No "+noun+" is live.", ""); err != nil {
					return err
				}
			}
			return exit(sum.code())
		})}
}

func guardCommand(c *console) *cobra.Command {
	return group("guard", "Guards in front of applications", &cobra.Command{Use: "list", Short: "List guards, silent ones first, and resources that none guards", Args: cobra.NoArgs,
		RunE: c.api(func(ctx context.Context, api *client.Client, _ []string) error {
			all, err := api.Guards(ctx)
			if err != nil {
				return err
			}
			rows := [][]cell{head("state", "guard", "protects", "answered", "refuses from", "limit", "ledger", "version")}
			for _, g := range all {
				if c.listsJSON() {
					if err := c.line(g); err != nil {
						return err
					}
					continue
				}
				row := cells(g.State, dash(g.Name), dash(g.ResourceName), none, none, none, none, dash(g.Version))
				if g.State == "lives" {
					row[0].text = "no guard"
				} else {
					row[5].text, row[6].text = span(ms(g.MaxStalenessMs)), num(g.Acked)
				}
				if g.AgeMs >= 0 && !g.Answered.IsZero() {
					row[3].text = span(ms(g.AgeMs)) + " ago"
				}
				if g.State == "closes" || g.State == "closed" {
					row[4].text = c.tenth(g.ClosesAt)
				}
				row[0].colour = stateColour(row[0].text)
				row[6].right = true
				rows = append(rows, row)
			}
			return c.list(rows, "No guards, and nothing to guard.", "curfew apply -f FILE")
		})})
}

func ledgerCommand(c *console) *cobra.Command {
	var limit int
	cmd := &cobra.Command{Use: "list", Short: "List lines of the ledger, the newest first", Args: cobra.NoArgs, RunE: c.api(func(ctx context.Context, api *client.Client, _ []string) error {
		all, err := api.Ledger(ctx, limit)
		if err != nil {
			return err
		}
		rows := [][]cell{head("ledger", "at", "cause", "by", "cuts", "receipt")}
		rows[0][0].right = true
		for _, l := range all {
			if c.listsJSON() {
				if err := c.line(l); err != nil {
					return err
				}
				continue
			}
			var cuts []string
			for _, x := range l.Cuts {
				cuts = append(cuts, strings.TrimSpace(x.Scope+" "+x.ID)+" ("+x.Reach+")")
			}
			if len(cuts) > 3 {
				cuts = append(cuts[:3], "and "+num(len(l.Cuts)-3)+" more")
			}
			row := cells(num(l.Pos), c.at(l.At, "15:04:05.000", ""), dash(l.Cause), dash(l.Actor), dash(strings.Join(cuts, ", ")), dash(l.Receipt))
			row[0].right = true
			rows = append(rows, row)
		}
		return c.list(rows, "The ledger is empty.", "")
	})}
	cmd.Flags().IntVar(&limit, "limit", 50, "at most so many")
	return group("ledger", "The ordered list of everything that was cut", cmd)
}
