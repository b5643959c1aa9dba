package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
)

// cutAtOnce is how many revocations are on their way at a time.
const cutAtOnce = 8

// revokeOptions are common to all of curfew revoke.
type revokeOptions struct {
	act  client.Act
	wait time.Duration
	yes  bool
}

func (o *revokeOptions) flags(cmd *cobra.Command) {
	actFlags(cmd, &o.act)
	cmd.Flags().DurationVar(&o.wait, "wait", 0, "wait until every guard has confirmed, at most so long (10s when no time is given)")
	cmd.Flags().Lookup("wait").NoOptDefVal = "10s"
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
}

func (o *revokeOptions) check(cmd *cobra.Command) error {
	switch {
	case o.wait < 0 || o.wait > time.Hour:
		return usagef(cmd, "--wait is between 0 and 1h")
	case o.act.DryRun && cmd.Flags().Changed("wait"):
		return usagef(cmd, "a dry run has nothing to wait for")
	}
	return checkAct(cmd, o.act)
}

func revokeCommand(c *console) *cobra.Command {
	cmd := group("revoke", "End sessions, grants and access tokens",
		revokeUserCommand(c),
		revokeByID(c, "session", "End browser sessions, and the grants given in them",
			func(api *client.Client) cutter { return api.RevokeSession }),
		revokeByID(c, "grant", "End what an application may do for somebody",
			func(api *client.Client) cutter { return api.RevokeGrant }),
		revokeByID(c, "device", "End what is on a device: sessions, grants, access tokens",
			func(api *client.Client) cutter { return api.RevokeDevice }),
		revokeByID(c, "app", "End what an application holds, for everybody",
			func(api *client.Client) cutter { return api.RevokeApp }),
		revokeAllCommand(c))
	cmd.Long = `End sessions, grants and access tokens.

A line for each target says that it is cut; with --wait more lines say what has
become of access everywhere. What nobody guards lives until it expires and is
named with its time. Revoking again is safe.`
	return cmd
}

// cutter revokes one thing.
type cutter func(ctx context.Context, ref string, act client.Act) (*client.Cut, error)

// planner says, in a dry run, what revoking one thing would end; nil: nothing is known.
type planner func(ctx context.Context, ref string) (*client.Exposure, error)

func revokeUserCommand(c *console) *cobra.Command {
	var o revokeOptions
	var app string
	cmd := &cobra.Command{
		Use:   "user USER…|-",
		Short: "End everything somebody holds: sessions, grants, access tokens",
		Example: `  curfew revoke user ada@contoso.example --wait --reason "Laptop lost"
  curfew user list --search ada@contoso.example | curfew revoke user - --wait
  curfew revoke user ada@contoso.example --app tripboard`,
		Args: cobra.MinimumNArgs(1),
	}
	cmd.RunE = c.revoke(&o, "id", func(api *client.Client) cutter {
		if app == "" {
			return api.RevokeUser
		}
		return func(ctx context.Context, ref string, act client.Act) (*client.Cut, error) {
			return api.RevokeUserApp(ctx, ref, app, act)
		}
	}, "userPrincipalName")
	o.flags(cmd)
	cmd.Flags().StringVar(&app, "app", "", "only what this application (its client_id) holds for them")
	return cmd
}

func revokeByID(c *console, noun, short string, cut func(*client.Client) cutter) *cobra.Command {
	var o revokeOptions
	what := "ID"
	if noun == "app" {
		what = "CLIENT_ID"
	}
	cmd := &cobra.Command{Use: noun + " " + what + "…|-", Short: short, Args: cobra.MinimumNArgs(1)}
	if noun != "app" {
		cmd.Example = "  curfew " + noun + " list ada@contoso.example | curfew revoke " + noun + " -"
	}
	cmd.RunE = c.revoke(&o, "id", cut, "id")
	o.flags(cmd)
	return cmd
}

// revoke is a command that cuts each of its targets.
func (c *console) revoke(o *revokeOptions, field string, cut func(*client.Client) cutter, name string) func(*cobra.Command, []string) error {
	return run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		if err := o.check(cmd); err != nil {
			return err
		}
		all, err := c.targets(cmd, args, name, field, name)
		if err != nil {
			return err
		}
		api, err := c.client()
		if err != nil {
			return err
		}
		if len(all) > 1 && !o.yes && !o.act.DryRun {
			if err := c.confirm("Revoke " + term.Num(len(all)) + "?"); err != nil {
				return err
			}
		}
		var plan planner
		if cmd.Name() == "user" && !cmd.Flags().Changed("app") {
			plan = api.Exposure
		}
		return c.cutAll(ctx, api, all, *o, cut(api), plan)
	})
}

func revokeAllCommand(c *console) *cobra.Command {
	var o revokeOptions
	var confirm string
	var except bool
	cmd := &cobra.Command{
		Use:   "all",
		Short: "End everything of everybody",
		Long: `End everything of everybody. All people sign in again, all applications ask for
new tokens. It needs a reason, the directory's domain typed out, and a sign-in not
older than ten minutes.`,
		Args: cobra.NoArgs,
	}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, _ []string) error {
		if err := o.check(cmd); err != nil {
			return err
		}
		api, err := c.client()
		if err != nil {
			return err
		}
		but := ""
		if except {
			but = " except you"
		}
		if confirm == "" && !o.act.DryRun && c.canAsk() {
			if confirm, err = c.ask("Revoke everyone" + but + "? Everybody signs in again. Type the directory's domain to go on:"); err != nil || confirm == "" {
				return failf("", "nothing was done")
			}
		}
		if confirm == "" && o.act.DryRun {
			me, err := api.Identity(ctx)
			if err != nil {
				return err
			}
			confirm = me.Domain // nothing will be done
		}
		if confirm == "" {
			return usagef(cmd, "name the directory's domain: --confirm contoso.example")
		}
		if o.act.Reason == "" && !o.act.DryRun && c.canAsk() {
			if o.act.Reason, err = c.ask("Reason:"); err != nil {
				return failf("", "nothing was done")
			}
		}
		if o.act.Reason == "" && !o.act.DryRun {
			return usagef(cmd, "say why: --reason \"…\"")
		}
		return c.cutAll(ctx, api, []target{{"", "everyone" + but}}, o, func(ctx context.Context, _ string, act client.Act) (*client.Cut, error) {
			return api.RevokeEveryone(ctx, confirm, except, act)
		}, nil)
	})
	o.flags(cmd)
	cmd.Flags().StringVar(&confirm, "confirm", "", "the directory's domain, typed out")
	cmd.Flags().BoolVar(&except, "except-me", false, "keep the session in which this connection was made")
	return cmd
}

// attempt is a target on its way.
type attempt struct {
	target
	plan  *client.Exposure // in a dry run, where it can be known
	cut   *client.Cut
	err   error
	after time.Time     // when the answer came
	ready chan struct{} // closed when cut and err are set
}

// cutAll cuts all targets, several at a time, and prints them in order: nobody's
// revocation waits for the printing, or for the guards, of somebody else's.
func (c *console) cutAll(ctx context.Context, api *client.Client, all []target, o revokeOptions, cut cutter, plan planner) error {
	attempts := make([]*attempt, len(all))
	wide := 0
	for i, t := range all {
		attempts[i] = &attempt{target: t, ready: make(chan struct{})}
		wide = max(wide, term.Width(term.Clean(t.name)))
	}
	var next sync.Mutex
	var at int
	var owned sync.WaitGroup
	defer owned.Wait()
	for range min(cutAtOnce, len(all)) {
		owned.Go(func() {
			for {
				next.Lock()
				i := at
				at++
				next.Unlock()
				if i >= len(attempts) {
					return
				}
				a := attempts[i]
				if a.err = ctx.Err(); a.err == nil {
					// Ctrl-C starts no more, and lets those under way be answered.
					a.cut, a.err = cut(context.WithoutCancel(ctx), a.ref, o.act)
				}
				if a.err == nil && o.act.DryRun && plan != nil {
					a.plan, _ = plan(ctx, a.ref) // who may revoke need not be allowed to look
				}
				a.after = c.Now()
				close(a.ready)
			}
		})
	}
	var sum tally
	var left rest
	var last *client.Receipt
	unconfirmed := 0
	for i, a := range attempts {
		<-a.ready
		if a.err != nil {
			v := judge(a.err)
			if err := c.printFailed(a, wide, v); err != nil {
				return err
			}
			sum.add(a.name, v, "revoking")
			continue
		}
		sum.add(a.name, verdict{state: "revoked"}, "")
		if err := c.printCut(ctx, api, a, wide, i == 0, o, &left, &unconfirmed, &last); err != nil {
			return err
		}
	}
	c.lastLine(sum, left, o)
	sum.hints(c)
	if last != nil && (len(left.names) > 0 || unconfirmed > 0) && sum.signedOut == nil {
		c.Sayf("%s  curfew receipt show %s --follow\n", c.Dim("Follow it with"), last.ID)
	}
	if code := sum.code(); code != exitDone {
		return exit(code)
	}
	if unconfirmed > 0 {
		return exit(exitUnconfirmed)
	}
	return nil
}

// cutLine is the JSON of one target. Fields are only ever added.
type cutLine struct {
	Target    string            `json:"target"`
	State     string            `json:"state"` // revoked, over, planned, refused, failed, unsure
	At        *time.Time        `json:"at,omitempty"`
	Ledger    int64             `json:"ledger,omitempty"`
	Receipt   string            `json:"receipt,omitempty"`
	Guards    *int              `json:"guards,omitempty"`
	Confirmed *int              `json:"confirmed,omitempty"`
	Complete  *bool             `json:"complete,omitempty"` // every guard has confirmed
	Left      []json.RawMessage `json:"left,omitempty"`     // rows of the receipt that are not over
	Effects   []string          `json:"effects,omitempty"`
	Message   string            `json:"message,omitempty"`
}

func (c *console) printFailed(a *attempt, wide int, v verdict) error {
	if c.JSON {
		return c.Line(cutLine{Target: a.name, State: v.state, Message: explain(a.err).Error()})
	}
	c.targetLine(a.name, wide, v)
	return nil
}

// printPlan prints what a dry run found out: the bounds, from the same place as
// the pages have them.
func (c *console) printPlan(a *attempt, wide int) error {
	text := "would be cut"
	if a.cut.Already {
		text = "it has ended already"
	}
	var effects []string
	if x := a.plan; x != nil {
		text = "would end " + term.Count(len(x.Sessions), "session", "sessions") + " and " + term.Count(len(x.Grants), "grant", "grants") + " at once"
		effects = append(effects, text)
		for _, l := range x.Lanes {
			what := term.Count(len(l.Bars), "access token", "access tokens") + " in " + l.Name
			switch l.Ends.Kind {
			case "within":
				effects = append(effects, what+" within "+term.Span(ms(l.Ends.WithinMs)))
			case "not_before":
				effects = append(effects, what+" not before "+c.Sec(l.Ends.At)+", it has no guard")
			}
		}
		text = strings.Join(effects, "; ")
	}
	if c.JSON {
		return c.Line(cutLine{Target: a.name, State: "planned", Effects: effects})
	}
	c.targetLine(a.name, wide, verdict{state: "dry run", text: text})
	return nil
}

// printCut prints one target that was cut, and waits for its guards if asked to.
func (c *console) printCut(ctx context.Context, api *client.Client, a *attempt, wide int, first bool, o revokeOptions, left *rest, unconfirmed *int, last **client.Receipt) error {
	r := a.cut.Receipt
	switch {
	case o.act.DryRun || a.cut.DryRun:
		return c.printPlan(a, wide)
	case r == nil:
		if c.JSON {
			return c.Line(cutLine{Target: a.name, State: "over"})
		}
		c.targetLine(a.name, wide, verdict{state: "over", text: "it had ended before; nothing was written"})
		return nil
	}
	*last = r
	if o.wait > 0 && first && !c.JSON && !r.Settled() {
		guards := "the guards"
		if r.Counted {
			guards = term.Count(r.Guards, "guard", "guards")
		}
		c.Sayf("%s\n", c.Dim("Waiting for "+guards+", at most "+term.Span(o.wait)+". Ctrl-C stops the waiting, not the revoking."))
	}
	if !c.JSON {
		c.targetLine(a.name, wide, verdict{text: c.cutText(r)})
	}
	if o.wait > 0 {
		r = follow(ctx, api, r, a.after.Add(o.wait))
		*last = r
		if !r.Counted || !r.Complete {
			*unconfirmed++
		}
	}
	left.add(r, o.wait > 0)
	if c.JSON {
		l := cutLine{Target: a.name, State: "revoked", At: &r.At, Ledger: r.Pos, Receipt: r.ID}
		if r.Counted {
			l.Guards, l.Confirmed, l.Complete = &r.Guards, &r.Confirmed, &r.Complete
		}
		for _, row := range r.Left {
			b, err := json.Marshal(row)
			if err != nil {
				return err
			}
			l.Left = append(l.Left, b)
		}
		return c.Line(l)
	}
	if o.wait > 0 {
		c.Table(c.Out, "  ", c.stateRows(r, false))
	}
	return nil
}

// follow waits until nothing of a receipt can change any more by waiting, or the
// time is over, and returns it as last known. Losing the connection only makes
// that older.
func follow(ctx context.Context, api *client.Client, r *client.Receipt, until time.Time) *client.Receipt {
	if r.Settled() {
		return r
	}
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	err := api.Follow(ctx, r.ID, func(now *client.Receipt) bool {
		r = now
		return !now.Settled()
	})
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		// The last event may be as old as the waiting: ask how it stands.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if now, err := api.Receipt(ctx, r.ID); err == nil {
			return now
		}
	}
	return r
}

// lastLine counts. With --json it is talk.
func (c *console) lastLine(sum tally, left rest, o revokeOptions) {
	word := " revoked, "
	if o.act.DryRun {
		word = " would be revoked, "
	}
	text := term.Num(sum.done) + word + c.counted(sum.refused, "refused") + ", " + c.counted(sum.failed, "failed") + "."
	if n := left.text(c); n != "" {
		text += "  " + c.Paint(term.Amber, n)
	}
	if c.JSON {
		c.Sayf("%s\n", text)
		return
	}
	c.Printf("\n%s\n", text)
}
