package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
)

// record is a kind of thing that people hold for a while.
type record[T any] struct {
	noun  string
	of    func(*client.Client, context.Context, string) ([]*T, error)
	held  func(*client.Client, context.Context, client.Of) ([]*T, error)
	one   func(*client.Client, context.Context, string) (*T, error)
	head  []term.Cell
	row   func(*console, *T) []term.Cell
	facts func(*console, *T) [][2]string
	title func(*T) (what, id string, causes []string)
	ofApp string // what --app selects
}

func sessionCommand(c *console) *cobra.Command {
	r := &record[client.Session]{noun: "session", of: (*client.Client).Sessions, held: (*client.Client).SessionsOf, one: (*client.Client).Session,
		ofApp: "in which everybody let this application in, by its client id",
		head:  term.Head("user", "browser", "address", "since", "last used", "ends", "id"),
		row: func(c *console, s *client.Session) []term.Cell {
			return term.Cells(s.User, dash(s.Agent), dash(s.IP), c.When(s.Created), c.When(s.LastUsed), c.When(s.Ends), s.ID)
		},
		title: func(s *client.Session) (string, string, []string) { return s.User, s.ID, s.Causes },
		facts: func(c *console, s *client.Session) [][2]string {
			kept := "until the browser is closed"
			if s.Kept {
				kept = "across restarts of the browser"
			}
			signedIn := ""
			if !s.AuthTime.IsZero() { // an identity provider need not say
				signedIn = c.When(s.AuthTime)
			}
			return [][2]string{{"browser", s.Agent}, {"address", s.IP}, {"device", s.Device}, {"through", s.Provider}, {"signed in", signedIn}, {"kept", kept},
				{"since", c.When(s.Created)}, {"last used", c.When(s.LastUsed)}, {"ends", c.unlessUsed(s.Ends)}}
		}}
	return group("session", "Browser sessions", r.list(c), r.show(c))
}

func grantCommand(c *console) *cobra.Command {
	r := &record[client.Grant]{noun: "grant", of: (*client.Client).Grants, held: (*client.Client).GrantsOf, one: (*client.Client).Grant,
		ofApp: "of everybody in this application, by its client id, and those made from them",
		head:  term.Head("user", "application", "for", "since", "last used", "access tokens", "id"),
		row: func(c *console, g *client.Grant) []term.Cell {
			var resources []string
			for _, p := range g.Scopes {
				resources = append(resources, p.Resource)
			}
			return term.Cells(g.User, dash(g.AppName)+via(g), dash(strings.Join(resources, ", ")), c.When(g.Created), c.When(g.LastUsed), dash(liveTokens(c, g)), g.ID)
		},
		title: func(g *client.Grant) (string, string, []string) {
			return g.User + " in " + dash(g.AppName), g.ID, g.Causes
		},
		facts: func(c *console, g *client.Grant) [][2]string {
			facts := [][2]string{{"client id", g.App}, {"may", scopes(g.Scopes)}, {"session", g.Session}, {"device", g.Device},
				{"since", c.When(g.Created)}, {"last used", c.When(g.LastUsed)}, {"ends", c.unlessUsed(g.Ends)}, {"access tokens", liveTokens(c, g)}}
			for i, l := range g.Chain {
				name := "and that from"
				if i == 0 {
					name = "made from"
				}
				facts = append(facts, [2]string{name, l.Grant + " of " + l.App})
			}
			for _, l := range g.Made {
				facts = append(facts, [2]string{"gave", l.Grant + " to " + l.App})
			}
			return facts
		}}
	return group("grant", "What applications may do for people", r.list(c), r.show(c))
}

// via names the applications that a grant came through.
func via(g *client.Grant) string {
	var apps []string
	for _, l := range g.Chain {
		apps = append(apps, l.App)
	}
	if len(apps) == 0 {
		return ""
	}
	return " for " + strings.Join(apps, " for ")
}

func liveTokens(c *console, g *client.Grant) string {
	var live []string
	for _, t := range g.Tokens {
		live = append(live, t.ResourceName+" until "+c.Sec(t.Expires))
	}
	return strings.Join(live, ", ")
}

func scopes(all []client.Permission) string {
	var out []string
	for _, p := range all {
		out = append(out, strings.TrimSpace(p.Resource+": "+strings.Join(p.Scopes, " ")))
	}
	return strings.Join(out, "; ")
}

// unlessUsed is an end that use puts off.
func (c *console) unlessUsed(t time.Time) string { return c.When(t) + ", unless it is used before" }

func (r *record[T]) list(c *console) *cobra.Command {
	var of client.Of
	cmd := &cobra.Command{Use: "list [USER…|-]", Short: "List live " + r.noun + "s of users, or of one application or device",
		Example: "  curfew " + r.noun + " list ada@contoso.example\n  curfew " + r.noun + " list --app mail | curfew revoke " + r.noun + " -"}
	cmd.Flags().StringVar(&of.Device, "device", "", "of everybody on this device, by its id")
	cmd.Flags().StringVar(&of.App, "app", "", r.ofApp)
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		named := 0
		for _, x := range []bool{len(args) > 0, of.App != "", of.Device != ""} {
			if x {
				named++
			}
		}
		if named != 1 {
			return usagef(cmd, "say whose: users, or one of the flags")
		}
		if len(args) == 0 {
			api, err := c.client()
			if err != nil {
				return err
			}
			all, err := r.held(api, ctx, of)
			if err != nil {
				return err
			}
			rows, err := r.rows(c, [][]term.Cell{r.head}, all)
			if err != nil {
				return err
			}
			return c.list(rows, "No "+r.noun+" is live.", "")
		}
		return r.ofUsers(ctx, c, cmd, args)
	})
	return cmd
}

// rows adds one row for each, or prints it at once where lines are JSON.
func (r *record[T]) rows(c *console, rows [][]term.Cell, all []*T) ([][]term.Cell, error) {
	for _, x := range all {
		if c.listsJSON() {
			if err := c.Line(x); err != nil {
				return nil, err
			}
			continue
		}
		rows = append(rows, r.row(c, x))
	}
	return rows, nil
}

func (r *record[T]) ofUsers(ctx context.Context, c *console, cmd *cobra.Command, args []string) error {
	targets, err := c.targets(cmd, args, "userPrincipalName", "id", "userPrincipalName")
	if err != nil {
		return err
	}
	api, err := c.client()
	if err != nil {
		return err
	}
	rows := [][]term.Cell{r.head}
	var sum tally
	for _, t := range targets {
		ref := t.ref
		if t.name != t.ref {
			ref = t.name // read by name, so that lines say the name
		}
		all, err := r.of(api, ctx, ref)
		if err == nil {
			rows, err = r.rows(c, rows, all)
		}
		switch {
		case err == nil:
			sum.done++
		case len(targets) == 1:
			return err
		default:
			v := judge(err)
			sum.add(t.name, v, "reading")
			c.Sayf("%s  %s  %s\n", term.Clean(t.name), v.state, term.Clean(v.text))
		}
	}
	if sum.done > 0 {
		if err := c.list(rows, "No "+r.noun+" is live.", ""); err != nil {
			return err
		}
	}
	return exit(sum.code())
}

func (r *record[T]) show(c *console) *cobra.Command {
	return &cobra.Command{Use: "show ID", Short: "Show one " + r.noun + ", live or ended", Args: cobra.ExactArgs(1), RunE: c.api(func(ctx context.Context, api *client.Client, args []string) error {
		x, err := r.one(api, ctx, args[0])
		if err != nil {
			return err
		}
		if c.listsJSON() {
			return c.Line(x)
		}
		what, id, causes := r.title(x)
		c.Printf("%s  %s\n", c.Paint(term.Bold, term.Clean(what)), term.Clean(id))
		state := "live"
		if len(causes) > 0 {
			state = "ended: " + strings.ReplaceAll(strings.Join(causes, ", "), "_", " ")
		}
		facts := [][]term.Cell{term.Cells("state", state)}
		for _, f := range r.facts(c, x) {
			if f[1] != "" {
				facts = append(facts, term.Cells(f[0], term.Clean(f[1])))
			}
		}
		for _, row := range facts {
			row[0].Colour = term.Grey
		}
		c.Table(c.Out, "  ", facts)
		return nil
	})}
}
