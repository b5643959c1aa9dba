package main

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
)

// actFlags are on everything that writes.
func actFlags(cmd *cobra.Command, act *client.Act) {
	cmd.Flags().StringVar(&act.Reason, "reason", "", "why; written into ledger, receipt and audit log")
	cmd.Flags().BoolVar(&act.DryRun, "dry-run", false, "check everything, say what would happen, change nothing")
}

// checkAct refuses what could not be sent.
func checkAct(cmd *cobra.Command, act client.Act) error {
	if strings.ContainsFunc(act.Reason, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return usagef(cmd, "the reason is one line without control characters")
	}
	return nil
}

// verdict is how one target fared.
type verdict struct {
	state string // revoked, disabled, …; over, planned; refused, failed, unsure
	text  string // after the state on the line
	need  string // of a refusal: the roles that would do
	err   error
}

// judge turns an error about one target into its verdict.
func judge(err error) verdict {
	var lost *client.Lost
	switch {
	case client.Denied(err):
		text, need := refusal(err.Error())
		return verdict{state: "refused", text: text, need: need, err: err}
	case errors.As(err, &lost):
		return verdict{state: "unsure", text: "we do not know whether it was done: " + err.Error() + "; doing it again is safe", err: err}
	}
	return verdict{state: "failed", text: strings.TrimSuffix(explain(err).Error(), "."), err: err}
}

var (
	holdsRole = regexp.MustCompile(`(?:^| )(holds [^.]+|is a member of a role-assignable group)\. `)
	needsRole = regexp.MustCompile(` needs? ([^.]+)\.`)
	youHold   = regexp.MustCompile(`You hold ([^.]+)\.$`)
)

// refusal shortens the server's sentences about a missing role to what fits on a
// line, and names the roles that would do. Other sentences stay as they are.
func refusal(text string) (short, need string) {
	if m := needsRole.FindStringSubmatch(text); m != nil {
		need = m[1]
	}
	own := youHold.FindStringSubmatch(text)
	switch holds := holdsRole.FindStringSubmatch(text); {
	case holds != nil && own != nil:
		return holds[1] + "; you hold " + own[1], need
	case own != nil && need != "":
		return "needs " + need + "; you hold " + own[1], need
	}
	return strings.TrimSuffix(text, "."), need
}

// tally counts verdicts and turns them into the last line and the exit code.
type tally struct {
	done, refused, failed int
	unsure                int // of failed
	signedOut             error
	needs                 []string // hints
}

func (t *tally) add(name string, v verdict, todo string) {
	var out *client.SignedOut
	switch {
	case v.err == nil:
		t.done++
	case v.state == "refused":
		t.refused++
		if v.need != "" && len(t.needs) < 3 {
			t.needs = append(t.needs, todo+" "+name+" needs "+v.need+".")
		}
	default:
		t.failed++
		if errors.As(v.err, &out) {
			t.signedOut = v.err
		}
	}
	if v.state == "unsure" {
		t.unsure++
	}
}

func (t *tally) code() int {
	switch {
	case t.signedOut != nil:
		return exitSignedOut
	case t.refused > 0 && t.done == 0 && t.failed == 0:
		return exitRefused
	case t.refused > 0 || t.failed > 0:
		return exitSome
	}
	return exitDone
}

// hints come after the last line.
func (t *tally) hints(c *console) {
	for _, n := range t.needs {
		c.hint(n)
	}
	if t.signedOut != nil {
		c.hint(explain(t.signedOut).hint)
	}
}

// colour of a state, by its word.
func stateColour(state string) string {
	switch state {
	case "ended", "closed", "over", "confirmed", "answering", "enabled":
		return term.Green
	case "lives", "closes", "silent", "no guard", "disabled", "unsure":
		return term.Amber
	case "refused", "failed":
		return term.Red
	case "waiting", "unknown", "gone", "dry run":
		return term.Grey
	}
	return ""
}

// deed is something done to several targets, one after the other.
type deed struct {
	past   string // "disabled"
	gerund string // "disabling"
	ask    string // what a person at a terminal is asked first; empty: nothing
	act    client.Act
	do     func(ctx context.Context, t target) (client.Done, error)
}

// outcome is the JSON of one target.
type outcome struct {
	Target  string   `json:"target"`
	State   string   `json:"state"`
	Receipt string   `json:"receipt,omitempty"`
	Effects []string `json:"effects,omitempty"`
	Message string   `json:"message,omitempty"`
}

// forEach does the deed to each target, prints a line for each, carries on after
// a failure, and returns the exit code as an error.
func (c *console) forEach(ctx context.Context, all []target, d deed) error {
	wide := 0
	for _, t := range all {
		wide = max(wide, term.Width(term.Clean(t.name)))
	}
	var sum tally
	for i, t := range all {
		var v verdict
		var done client.Done
		err := ctx.Err()
		if err == nil {
			done, err = d.do(ctx, t)
		}
		switch {
		case err != nil:
			v = judge(err)
		case d.act.DryRun:
			v = verdict{state: "dry run", text: strings.Join(done.Effects, " ")}
		default:
			v = verdict{state: d.past}
			if done.Receipt != "" {
				v.text = "receipt " + done.Receipt
			}
		}
		if c.JSON {
			o := outcome{Target: t.name, State: v.state, Receipt: done.Receipt, Effects: done.Effects}
			if v.state == "dry run" {
				o.State = "planned"
			}
			if err != nil {
				o.Message = explain(err).Error()
			}
			if err := c.Line(o); err != nil {
				return err
			}
		} else {
			c.targetLine(t.name, wide, v)
		}
		sum.add(t.name, v, d.gerund)
		var out *client.SignedOut
		if errors.As(err, &out) {
			// Everything that follows would fail in the same way.
			sum.failed += len(all) - i - 1
			break
		}
	}
	if len(all) > 1 && !c.JSON {
		word := d.past
		if d.act.DryRun {
			word = "would be " + d.past
		}
		c.Printf("\n%s %s, %s, %s.\n", term.Num(sum.done), word, c.counted(sum.refused, "refused"), c.counted(sum.failed, "failed"))
	}
	sum.hints(c)
	return exit(sum.code())
}

// counted is a number of a last line; it is red when there is something.
func (c *console) counted(n int, word string) string {
	if n == 0 {
		return "0 " + word
	}
	return c.Paint(term.Red, term.Num(n)+" "+word)
}

// targetLine is "name  state  text". Names are padded so that lines align.
func (c *console) targetLine(name string, wide int, v verdict) {
	name = term.Clean(name)
	line := c.Paint(term.Bold, name) + strings.Repeat(" ", max(0, wide-term.Width(name))) + "  "
	if v.state != "" {
		line += c.Paint(stateColour(v.state), v.state)
	}
	if v.text != "" {
		if v.state != "" {
			line += "  "
		}
		line += term.Clean(v.text)
	}
	c.Printf("%s\n", line)
}
