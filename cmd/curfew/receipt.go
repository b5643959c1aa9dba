package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
)

func receiptCommand(c *console) *cobra.Command {
	return group("receipt", "What was cut, when, and who has confirmed it", receiptListCommand(c), receiptShowCommand(c))
}

func receiptListCommand(c *console) *cobra.Command {
	var user string
	var limit int
	cmd := &cobra.Command{Use: "list", Short: "List receipts, the newest first", Args: cobra.NoArgs, RunE: c.api(func(ctx context.Context, api *client.Client, _ []string) error {
		id := ""
		if user != "" {
			u, err := api.User(ctx, user)
			if err != nil {
				return err
			}
			id = u.ID
		}
		all, err := api.Receipts(ctx, id, limit)
		if err != nil {
			return err
		}
		rows := [][]cell{head("at", "about", "by", "cause", "guards", "state", "receipt")}
		for _, r := range all {
			if c.listsJSON() {
				if err := c.raw(r.Raw); err != nil {
					return err
				}
				continue
			}
			state, text := standing(c, r)
			row := cells(c.when(r.At), dash(r.Target.Name), dash(r.Actor.Name), dash(r.Cause), fmt.Sprintf("%d of %d", r.Confirmed, r.Guards), strings.TrimSpace(state+" "+text), r.ID)
			row[5].colour = stateColour(state)
			rows = append(rows, row)
		}
		return c.list(rows, "No receipts yet.", "")
	})}
	cmd.Flags().StringVar(&user, "user", "", "only those about this user")
	cmd.Flags().IntVar(&limit, "limit", 50, "at most so many")
	return cmd
}

// standing is a receipt's state in a word and until when.
func standing(c *console, r *client.Receipt) (state, text string) {
	switch {
	case !r.Counted:
		return "waiting", "for the count"
	case r.Title == "over":
		return "over", "since " + c.when(r.OverSince)
	}
	var left rest
	left.add(r, true)
	if text := left.text(c); text != "" {
		return r.Left[len(r.Left)-1].State, strings.TrimSuffix(strings.TrimPrefix(text, "Not over: "), ".")
	}
	return "waiting", ""
}

func receiptShowCommand(c *console) *cobra.Command {
	var followIt bool
	cmd := &cobra.Command{Use: "show RECEIPT", Short: "Show a receipt as it stands", Args: cobra.ExactArgs(1), RunE: c.api(func(ctx context.Context, api *client.Client, args []string) error {
		r, err := api.Receipt(ctx, args[0])
		if err != nil {
			return err
		}
		if followIt {
			return c.followReceipt(ctx, api, r)
		}
		return c.showReceipt(r)
	})}
	cmd.Flags().BoolVar(&followIt, "follow", false, "go on until nothing is left; on a terminal one line says how it stands")
	return cmd
}

// showReceipt prints a receipt in the order of all surfaces: what and when, the
// count of guards, then the places, what is left last.
func (c *console) showReceipt(r *client.Receipt) error {
	if c.listsJSON() {
		return c.raw(r.Raw)
	}
	c.printf("%s  %s\n", c.paint(bold, clean(dash(r.Target.Name))), clean(c.cutText(r)))
	facts := [][]cell{cells("cause", dash(r.Cause)), cells("by", dash(r.Actor.Name))}
	if r.Reason != "" {
		facts = append(facts, cells("reason", r.Reason))
	}
	if r.Kept {
		facts = append(facts, cells("kept", "the session of "+r.Actor.Name))
	}
	facts = append(facts, cells("guards", c.guardsLine(r)))
	for _, row := range facts {
		row[0].colour = grey
	}
	c.table(c.out, "  ", facts)
	c.printf("\n")
	c.table(c.out, "  ", c.stateRows(r, true))
	var left rest
	left.add(r, true)
	switch text := left.text(c); {
	case text != "":
		c.printf("\n%s\n", c.paint(amber, text))
	case r.Title == "over":
		c.printf("\nOver since %s.\n", c.sec(r.OverSince))
	}
	return nil
}

func (c *console) guardsLine(r *client.Receipt) string {
	switch {
	case !r.Counted:
		return "being counted"
	case r.Guards == 0:
		return "there was none"
	}
	text := fmt.Sprintf("%d of %d confirmed", r.Confirmed, r.Guards)
	if r.SlowestMs > 0 {
		text += ", slowest " + span(ms(r.SlowestMs))
	}
	return text
}

// followReceipt shows a receipt until nothing is left. On a terminal a status
// line on stderr is rewritten; into a pipe each change is a line of JSON.
func (c *console) followReceipt(ctx context.Context, api *client.Client, r *client.Receipt) error {
	show := func(now *client.Receipt) bool {
		r = now
		switch {
		case c.listsJSON():
			if c.raw(r.Raw) != nil {
				return false
			}
		case c.errTTY:
			var left rest
			left.add(r, true)
			c.sayf("\r\x1b[K%s", c.dim(c.guardsLine(r)+"  "+left.text(c)))
		}
		return !r.Counted || r.Title != "over"
	}
	var err error
	if show(r) {
		err = api.Follow(ctx, r.ID, show)
	}
	if c.errTTY && !c.listsJSON() {
		c.sayf("\r\x1b[K")
	}
	if c.listsJSON() {
		return err
	}
	if serr := c.showReceipt(r); serr != nil {
		return serr
	}
	return err
}

// raw answers with an object as the server wrote it.
func (c *console) raw(b json.RawMessage) error { return c.line(b) }

// dash stands for what is not there.
func dash(s string) string {
	if s == "" {
		return none
	}
	return s
}

// list prints a table, if it has more than its head, or says on stderr that there
// is nothing and what to do.
func (c *console) list(rows [][]cell, empty, hint string) error {
	switch {
	case c.listsJSON():
	case len(rows) > 1:
		c.table(c.out, "", rows)
	default:
		c.sayf("%s\n", empty)
		if hint != "" {
			c.hint(hint)
		}
	}
	return nil
}

// instant is for what the server may leave out.
func instant(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
