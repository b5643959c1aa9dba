package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
)

func deliveryCommand(c *console) *cobra.Command {
	return group("delivery", "Applications that are told of logouts, and what they were not told", deliveryListCommand(c), deliveryRetryCommand(c), deliveryDropCommand(c))
}

func deliveryListCommand(c *console) *cobra.Command {
	var dead bool
	cmd := &cobra.Command{Use: "list", Short: "List applications that are told, or with --dead what was given up", Args: cobra.NoArgs,
		Example: "  curfew delivery list\n  curfew delivery list --dead | curfew delivery retry -",
		RunE: c.api(func(ctx context.Context, api *client.Client, _ []string) error {
			if dead {
				return c.deadLetters(ctx, api)
			}
			return c.deliveries(ctx, api)
		})}
	cmd.Flags().BoolVar(&dead, "dead", false, "list dead letters instead")
	return cmd
}

func (c *console) deliveries(ctx context.Context, api *client.Client) error {
	all, err := api.Deliveries(ctx)
	if err != nil {
		return err
	}
	rows := [][]term.Cell{term.Head("state", "application", "client id", "asked at", "since", "attempts", "next", "dead letters", "why")}
	for _, d := range all {
		if c.listsJSON() {
			if err := c.Line(d); err != nil {
				return err
			}
			continue
		}
		row := term.Cells("up to date", dash(d.Name), d.App, dash(d.Host), term.None, term.None, term.None, term.Num(d.DeadLetters), dash(d.Error))
		switch row[0].Colour = term.Green; d.State {
		case "failing":
			row[0], row[4].Text, row[5].Text, row[6].Text = term.Cell{Text: "failing", Colour: term.Red}, c.When(d.Failing), term.Num(d.Attempts), c.Sec(d.Next)
		case "waiting":
			row[0] = term.Cell{Text: "waiting", Colour: term.Grey}
		}
		row[5].Right, row[7].Right = true, true
		rows = append(rows, row)
	}
	return c.list(rows, "No application is told of logouts.", "curfew apply -f FILE")
}

func (c *console) deadLetters(ctx context.Context, api *client.Client) error {
	all, err := api.DeadLetters(ctx)
	if err != nil {
		return err
	}
	rows := [][]term.Cell{term.Head("application", "ledger", "cause", "cut", "user", "session", "given up", "why", "id")}
	for _, d := range all {
		if c.listsJSON() {
			if err := c.Line(d); err != nil {
				return err
			}
			continue
		}
		user, session := dash(d.User), "all"
		switch {
		case d.Rest && d.User == "":
			user = "everybody of that line"
		case d.Rest:
			user = "everybody after " + d.User
		case d.Session != "":
			session = d.Session
		}
		row := term.Cells(d.App, term.Num(d.Pos), dash(d.Cause), c.When(d.Cut), user, session, c.When(d.GivenUp), dash(d.Error), d.ID)
		row[1].Right = true
		rows = append(rows, row)
	}
	return c.list(rows, "Nothing was given up.", "")
}

func deliveryRetryCommand(c *console) *cobra.Command {
	var act client.Act
	cmd := &cobra.Command{Use: "retry ID|CLIENT_ID…|-", Short: "Send dead letters again, or try a failing application now", Args: cobra.MinimumNArgs(1),
		Example: "  curfew delivery retry mailroom\n  curfew delivery list --dead | curfew delivery retry -"}
	cmd.RunE = c.onDeliveries(&act, "retried", "retrying", func(ctx context.Context, api *client.Client, ref string) (client.Done, error) {
		done, err := api.RetryDeadLetter(ctx, ref, act)
		// A client_id is any text. What is no dead letter may be an application.
		if e := (*client.Error)(nil); errors.As(err, &e) && e.Status == http.StatusNotFound {
			return api.RetryDelivery(ctx, ref, act)
		}
		return done, err
	})
	actFlags(cmd, &act)
	return cmd
}

func deliveryDropCommand(c *console) *cobra.Command {
	var act client.Act
	cmd := &cobra.Command{Use: "drop ID…|-", Short: "Forget dead letters: the application is never told", Args: cobra.MinimumNArgs(1)}
	cmd.RunE = c.onDeliveries(&act, "dropped", "dropping", func(ctx context.Context, api *client.Client, ref string) (client.Done, error) {
		return api.DropDeadLetter(ctx, ref, act)
	})
	actFlags(cmd, &act)
	return cmd
}

func (c *console) onDeliveries(act *client.Act, past, gerund string, one func(context.Context, *client.Client, string) (client.Done, error)) func(*cobra.Command, []string) error {
	return run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		if err := checkAct(cmd, *act); err != nil {
			return err
		}
		all, err := c.targets(cmd, args, "id", "id", "app")
		if err != nil {
			return err
		}
		api, err := c.client()
		if err != nil {
			return err
		}
		return c.forEach(ctx, all, deed{past: past, gerund: gerund, act: *act, do: func(ctx context.Context, t target) (client.Done, error) { return one(ctx, api, t.ref) }})
	})
}
