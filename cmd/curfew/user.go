package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
)

func userCommand(c *console) *cobra.Command {
	return group("user", "People: find, create, change, disable, delete",
		userListCommand(c), userShowCommand(c), userCreateCommand(c), userUpdateCommand(c), userEnabledCommand(c, false), userEnabledCommand(c, true),
		userDeleteCommand(c), userPasswordCommand(c), userImportCommand(c))
}

func userListCommand(c *console) *cobra.Command {
	var q client.UserQuery
	var enabled, disabled bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List users; into a pipe as JSON lines",
		Long: `List users. Into a pipe the answer is JSON lines, which other commands read with -.

--search finds people by the beginnings of the words of their names. A whole user
name or mail address finds only who has it, or, when nobody does, whose begins so.`,
		Example: `  curfew user list --search ada
  curfew user list --disabled
  curfew user list --search ada@contoso.example | curfew revoke user - --wait
  curfew user list --filter "department eq 'Research'" | curfew user disable -`,
		Args: cobra.NoArgs,
	}
	cmd.RunE = c.api(func(ctx context.Context, api *client.Client, _ []string) error {
		if cmd.Flags().Changed("search") && strings.TrimSpace(q.Search) == "" {
			// A variable that was empty must not mean everybody.
			return usagef(cmd, "--search is empty")
		}
		test := ""
		switch {
		case enabled:
			test = "accountEnabled eq true"
		case disabled:
			test = "accountEnabled eq false"
		}
		if test != "" && q.Filter != "" {
			test = "(" + q.Filter + ") and " + test
		}
		if test != "" {
			q.Filter = test
		}
		rows := [][]term.Cell{term.Head("name", "user name", "status", "department", "id")}
		for u, err := range api.Users(ctx, q) {
			if err != nil {
				return err
			}
			if c.listsJSON() {
				if err := c.Line(u); err != nil {
					return err
				}
				continue
			}
			row := term.Cells(dash(u.DisplayName), u.UserPrincipalName, status(u), dash(u.Department), u.ID)
			row[2].Colour = stateColour(row[2].Text)
			rows = append(rows, row)
		}
		if q.Search != "" {
			return c.list(rows, "Nobody matches \""+term.Clean(q.Search)+"\".", "")
		}
		return c.list(rows, "No users.", "curfew user import people.csv")
	})
	f := cmd.Flags()
	f.StringVar(&q.Search, "search", "", "name, user name or mail address, or the beginning of one")
	f.StringVar(&q.Filter, "filter", "", "filter of OData, such as \"startswith(displayName,'A')\"")
	f.BoolVar(&enabled, "enabled", false, "only those who may sign in")
	f.BoolVar(&disabled, "disabled", false, "only those who may not")
	f.IntVar(&q.Limit, "limit", 0, "at most so many; 0 is all")
	cmd.MarkFlagsMutuallyExclusive("enabled", "disabled")
	return cmd
}

func status(u *client.User) string {
	if u.Enabled() {
		return "enabled"
	}
	return "disabled"
}

// shownUser is the JSON of user show.
type shownUser struct {
	*client.User
	Roles    []string         `json:"roles"`
	Groups   []string         `json:"groups"`
	Exposure *client.Exposure `json:"exposure,omitempty"`
}

func userShowCommand(c *console) *cobra.Command {
	return &cobra.Command{
		Use:   "show USER…|-",
		Short: "Show a user, what is live, and how it would end",
		Args:  cobra.MinimumNArgs(1),
		RunE: run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			all, err := c.targets(cmd, args, "userPrincipalName", "id", "userPrincipalName")
			if err != nil {
				return err
			}
			api, err := c.client()
			if err != nil {
				return err
			}
			var sum tally
			for i, t := range all {
				if i > 0 && !c.listsJSON() {
					c.Printf("\n")
				}
				err := c.showUser(ctx, api, t.ref)
				if err == nil {
					sum.done++
					continue
				}
				if len(all) == 1 {
					return err
				}
				v := judge(err)
				sum.add(t.name, v, "reading")
				c.Sayf("%s  %s  %s\n", term.Clean(t.name), v.state, term.Clean(v.text))
			}
			return exit(sum.code())
		}),
	}
}

func (c *console) showUser(ctx context.Context, api *client.Client, ref string) error {
	u, err := api.User(ctx, ref)
	if err != nil {
		return err
	}
	s := shownUser{User: u, Roles: []string{}, Groups: []string{}}
	member, err := api.MemberOf(ctx, u.ID)
	if err != nil && !client.Denied(err) {
		return err
	}
	s.Roles, s.Groups = append(s.Roles, member.Roles...), append(s.Groups, member.Groups...)
	// Who may not see what is open still sees the person.
	if s.Exposure, err = api.Exposure(ctx, u.ID); err != nil {
		if !client.Denied(err) {
			return err
		}
		s.Exposure = nil
	}
	if c.listsJSON() {
		return c.Line(s)
	}
	c.Printf("%s  %s\n", c.Paint(term.Bold, term.Clean(dash(u.DisplayName))), term.Clean(u.UserPrincipalName))
	facts := [][]term.Cell{term.Cells("status", status(u)), term.Cells("id", u.ID)}
	for _, f := range [][2]string{{"title", u.JobTitle}, {"department", u.Department}, {"office", u.OfficeLocation}, {"mail", u.Mail}, {"mobile", u.MobilePhone},
		{"roles", strings.Join(s.Roles, ", ")}, {"groups", strings.Join(s.Groups, ", ")}} {
		if f[1] != "" {
			facts = append(facts, term.Cells(f[0], f[1]))
		}
	}
	facts = append(facts, term.Cells("created", c.When(instant(u.Created))), term.Cells("password", c.When(instant(u.PasswordChanged))), term.Cells("revoked", c.When(instant(u.ValidFrom))))
	for _, row := range facts {
		row[0].Colour = term.Grey
	}
	facts[0][1].Colour = stateColour(facts[0][1].Text)
	c.Table(c.Out, "  ", facts)
	if s.Exposure != nil {
		c.Printf("\n")
		c.showExposure(s.Exposure)
	}
	return nil
}

// showExposure says what is live and how it would end, place by place.
func (c *console) showExposure(x *client.Exposure) {
	if len(x.Lanes) == 0 {
		c.Printf("  Nothing is live.\n")
		return
	}
	more := ""
	if x.More {
		more = " (and more)"
	}
	c.Printf("  Live: %s, %s%s. If you revoke now, it ends\n", term.Count(len(x.Sessions), "session", "sessions"), term.Count(len(x.Grants), "grant", "grants"), more)
	var rows [][]term.Cell
	for i, l := range x.Lanes {
		what := term.Count(len(l.Bars), "access token", "access tokens")
		if i == 0 && l.Name == "curfew" {
			what = "sessions and grants"
		}
		row := term.Cells(l.Name, what, guardText(l), "")
		switch l.Ends.Kind {
		case "at_once":
			row[3].Text = "at once"
		case "within":
			row[3].Text = "within " + term.Span(ms(l.Ends.WithinMs))
		case "not_before":
			row[3] = term.Cell{Text: "not before " + c.Sec(l.Ends.At), Colour: term.Amber}
		}
		rows = append(rows, row)
	}
	c.Table(c.Out, "  ", rows)
}

func guardText(l client.Lane) string {
	switch {
	case l.Guards > 0:
		return term.Count(l.Guards, "guard", "guards")
	case l.Guarded:
		return term.None
	}
	return "no guard"
}
