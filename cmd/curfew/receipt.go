package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
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
		rows := [][]term.Cell{term.Head("at", "about", "by", "cause", "guards", "state", "receipt")}
		for _, r := range all {
			if c.listsJSON() {
				if err := c.raw(r.Raw); err != nil {
					return err
				}
				continue
			}
			state, text := standing(c, r)
			row := term.Cells(c.When(r.At), dash(r.Target.Name), dash(r.Actor.Name), dash(r.Cause), fmt.Sprintf("%d of %d", r.Confirmed, r.Guards), strings.TrimSpace(state+" "+text), r.ID)
			row[5].Colour = stateColour(state)
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
		return "over", "since " + c.When(r.OverSince)
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
	c.Printf("%s  %s\n", c.Paint(term.Bold, term.Clean(dash(r.Target.Name))), term.Clean(c.cutText(r)))
	facts := [][]term.Cell{term.Cells("cause", dash(r.Cause)), term.Cells("by", dash(r.Actor.Name))}
	if r.Reason != "" {
		facts = append(facts, term.Cells("reason", r.Reason))
	}
	if r.Kept {
		facts = append(facts, term.Cells("kept", "the session of "+r.Actor.Name))
	}
	facts = append(facts, term.Cells("guards", c.guardsLine(r)))
	for _, row := range facts {
		row[0].Colour = term.Grey
	}
	c.Table(c.Out, "  ", facts)
	c.Printf("\n")
	c.Table(c.Out, "  ", c.stateRows(r, true))
	var left rest
	left.add(r, true)
	switch text := left.text(c); {
	case text != "":
		c.Printf("\n%s\n", c.Paint(term.Amber, text))
	case r.Title == "over":
		c.Printf("\nOver since %s.\n", c.Sec(r.OverSince))
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
		text += ", slowest " + term.Span(ms(r.SlowestMs))
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
		case c.ErrTTY:
			var left rest
			left.add(r, true)
			c.Sayf("\r\x1b[K%s", c.Dim(c.guardsLine(r)+"  "+left.text(c)))
		}
		return !r.Counted || r.Title != "over"
	}
	var err error
	if show(r) {
		err = api.Follow(ctx, r.ID, show)
	}
	if c.ErrTTY && !c.listsJSON() {
		c.Sayf("\r\x1b[K")
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
func (c *console) raw(b json.RawMessage) error { return c.Line(b) }

// dash stands for what is not there.
func dash(s string) string {
	if s == "" {
		return term.None
	}
	return s
}

// list prints a table, if it has more than its head, or says on stderr that there
// is nothing and what to do.
func (c *console) list(rows [][]term.Cell, empty, hint string) error {
	switch {
	case c.listsJSON():
	case len(rows) > 1:
		c.Table(c.Out, "", rows)
	default:
		c.Sayf("%s\n", empty)
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
