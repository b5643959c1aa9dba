package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
)

// governed is a noun of conditional access: documents in Graph's form.
type governed struct {
	kind, noun, what string // of the API, on the command line, in sentences
	head             []string
	row              func(*console, *client.Document) []string
	facts            func(*console, *client.Document) [][2]string
	empty, next      string
	also             func(context.Context, *console, *client.Client) error // said below a list; nil: nothing
}

var policies = governed{kind: client.Policies, noun: "policy", what: "policy", head: []string{"name", "state", "for", "to", "then", "changed"},
	row: func(c *console, d *client.Document) []string {
		return []string{d.Name, policyState(d), policyUsers(d), policyApps(d), policyThen(d), c.When(d.Modified)}
	},
	facts: func(c *console, d *client.Document) [][2]string {
		return [][2]string{{"id", d.ID}, {"state", policyState(d)}, {"for", policyUsers(d)}, {"to", policyApps(d)}, {"then", policyThen(d)}, {"changed", c.When(d.Modified)}}
	},
	empty: "No policies: everybody may come from everywhere.", next: "curfew policy create policy.json --dry-run"}

var locations = governed{kind: client.Locations, noun: "location", what: "named location", head: []string{"name", "trusted", "where", "changed"},
	row: func(c *console, d *client.Document) []string {
		return []string{d.Name, yesNo(d.Trusted), shortened(where(d)), c.When(d.Modified)}
	},
	facts: func(c *console, d *client.Document) [][2]string {
		return append([][2]string{{"id", d.ID}, {"trusted", yesNo(d.Trusted)}, {"changed", c.When(d.Modified)}}, each("where", where(d))...)
	},
	also: sayPlaces, empty: "No named locations.", next: "curfew location create office.json"}

// sayPlaces tells whether countries are known at all: without a database a policy
// about countries applies to everybody.
func sayPlaces(ctx context.Context, c *console, api *client.Client) error {
	p, err := api.Places(ctx)
	switch {
	case err != nil:
		return err
	case !p.Database:
		c.Sayf("No country is known: no database of places was named (--geoip-file).\n")
	case p.Built.IsZero():
		c.Sayf("No country is known: %s cannot be used: %s\n", p.File, p.Trouble)
	case p.Trouble != "":
		c.Sayf("Countries are known by %s (%s) of %s. Its newest state cannot be used: %s\n", p.File, p.Type, c.When(p.Built), p.Trouble)
	default:
		c.Sayf("Countries are known by %s (%s) of %s.\n", p.File, p.Type, c.When(p.Built))
	}
	return nil
}

var strengths = governed{kind: client.Strengths, noun: "strength", what: "authentication strength", head: []string{"name", "built in", "one of"},
	row: func(c *console, d *client.Document) []string {
		return []string{d.Name, yesNo(d.Kind == "builtIn"), shortened(d.Combinations)}
	},
	facts: func(c *console, d *client.Document) [][2]string {
		return append([][2]string{{"id", d.ID}, {"built in", yesNo(d.Kind == "builtIn")}, {"says", d.Description}}, each("one of", d.Combinations)...)
	}}

var contexts = governed{kind: client.Contexts, noun: "context", what: "authentication context", head: []string{"id", "name", "open to applications"},
	row: func(c *console, d *client.Document) []string { return []string{d.ID, d.Name, yesNo(d.Available)} },
	facts: func(c *console, d *client.Document) [][2]string {
		return [][2]string{{"id", d.ID}, {"open to applications", yesNo(d.Available)}, {"says", d.Description}}
	},
	empty: "No authentication contexts.", next: `echo '{"id":"c1","displayName":"Secrets","isAvailable":true}' | curfew context create -`}

var terms = governed{kind: client.Terms, noun: "terms", what: "terms of use", head: []string{"name", "changed"},
	row: func(c *console, d *client.Document) []string { return []string{d.Name, c.When(d.Modified)} },
	facts: func(c *console, d *client.Document) [][2]string {
		return [][2]string{{"id", d.ID}, {"changed", c.When(d.Modified)}, {"text", term.Clean(d.Text)}}
	},
	empty: "No terms of use.", next: `echo '{"displayName":"House rules","text":"…"}' | curfew terms create -`}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func policyState(d *client.Document) string {
	switch d.State {
	case "enabled":
		return "on"
	case "disabled":
		return "off"
	}
	return "report-only"
}

func policyUsers(d *client.Document) string {
	u := d.Conditions.Users
	var out []string
	people := 0
	for _, x := range u.Include {
		if client.IsID(x) {
			people++
		} else {
			out = append(out, x)
		}
	}
	if people > 0 {
		out = append(out, term.Count(people, "person", "people"))
	}
	if n := len(u.Groups); n > 0 {
		out = append(out, term.Count(n, "group", "groups"))
	}
	if n := len(u.Roles); n > 0 {
		out = append(out, term.Count(n, "role", "roles"))
	}
	return strings.Join(out, ", ")
}

func policyApps(d *client.Document) string {
	a := d.Conditions.Applications
	return shortened(append(append(append([]string{}, a.Include...), a.Actions...), a.Contexts...))
}

// policyThen is what a policy does where it applies.
func policyThen(d *client.Document) string {
	var out []string
	if g := d.Grant; g != nil {
		out = append(out, g.Controls...)
		if g.Strength != nil {
			out = append(out, "strength "+g.Strength.ID)
		}
		if n := len(g.Terms); n > 0 {
			out = append(out, "terms of use")
		}
		if g.Operator == "OR" && len(out) > 1 {
			out = []string{strings.Join(out, " or ")}
		}
	}
	for _, name := range []string{"signInFrequency", "persistentBrowser", "applicationEnforcedRestrictions", "continuousAccessEvaluation"} {
		if raw := d.Session[name]; len(raw) > 0 && string(raw) != "null" {
			out = append(out, name)
		}
	}
	return strings.Join(out, ", ")
}

// shortened names the first three of a list.
func shortened(all []string) string {
	if len(all) > 3 {
		return strings.Join(all[:3], ", ") + " and " + term.Num(len(all)-3) + " more"
	}
	return strings.Join(all, ", ")
}

func where(d *client.Document) (all []string) {
	for _, r := range d.Ranges {
		all = append(all, r.CIDR)
	}
	all = append(all, d.Countries...)
	if d.Unknown {
		all = append(all, "countries not known")
	}
	return all
}

func policyCommand(c *console) *cobra.Command {
	state := func(verb, short, state, past, gerund string) *cobra.Command {
		return c.governedChange(policies, verb+" POLICY…|-", short, "  curfew policy "+verb+" \"Two factors\" --dry-run", `{"state":"`+state+`"}`, past, gerund)
	}
	return group("policy", "Conditional access policies: who gets in from where, with what", c.governedList(policies), c.governedShow(policies), c.governedCreate(policies), c.governedUpdate(policies),
		state("enable", "Switch policies on", "enabled", "on", "switching on"), state("disable", "Switch policies off", "disabled", "off", "switching off"),
		state("report-only", "Let policies decide nothing, and only report what they would", "enabledForReportingButNotEnforced", "report-only", "making report-only"),
		c.governedDelete(policies), policyTestCommand(c), policyResultsCommand(c), spareCommand(c))
}

func (c *console) governed(g governed, short string) *cobra.Command {
	return group(g.noun, short, c.governedList(g), c.governedShow(g), c.governedCreate(g), c.governedUpdate(g), c.governedDelete(g))
}

func (c *console) governedList(g governed) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List them", Args: cobra.NoArgs, RunE: c.api(func(ctx context.Context, api *client.Client, _ []string) error {
		all, err := api.Documents(ctx, g.kind)
		if err != nil {
			return err
		}
		rows := [][]term.Cell{term.Head(g.head...)}
		for _, d := range all {
			if c.listsJSON() {
				if err := c.Line(d); err != nil {
					return err
				}
				continue
			}
			row := g.row(c, d)
			for i := range row {
				row[i] = dash(row[i])
			}
			rows = append(rows, term.Cells(row...))
		}
		if err := c.list(rows, g.empty, g.next); err != nil || g.also == nil || c.listsJSON() {
			return err
		}
		return g.also(ctx, c, api)
	})}
}

func (c *console) governedShow(g governed) *cobra.Command {
	return &cobra.Command{Use: "show NAME", Short: "Show one, by name or id; --json is the whole document", Args: cobra.ExactArgs(1), RunE: c.api(func(ctx context.Context, api *client.Client, args []string) error {
		d, err := api.Document(ctx, g.kind, args[0])
		if err != nil {
			return noSuch(err, g.what, args[0], "curfew "+g.noun+" list")
		}
		if c.listsJSON() {
			return c.Line(d)
		}
		c.Printf("%s\n", c.Paint(term.Bold, term.Clean(d.Name)))
		c.facts(g.facts(c, d))
		c.Sayf("\n")
		c.hint("curfew " + g.noun + " show " + d.ID + " --json  is the whole document")
		return nil
	})}
}

// maxDocument is what the server takes.
const maxDocument = 512 << 10

// document reads a file that is to be sent.
func (c *console) document(file string) ([]byte, error) {
	in := c.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxDocument+1))
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	switch {
	case err != nil:
		return nil, err
	case len(b) > maxDocument:
		return nil, errors.New("the document is longer than 512 KiB")
	case !json.Valid(b):
		return nil, errors.New("the document is not JSON")
	}
	return b, nil
}

// govern are the flags of what changes conditional access.
type govern struct {
	client.Act
	force bool
}

func (g *govern) flags(cmd *cobra.Command) {
	actFlags(cmd, &g.Act)
	cmd.Flags().BoolVar(&g.force, "force", false, "even if no Global Administrator could sign in afterwards")
}

func (c *console) governedCreate(g governed) *cobra.Command {
	var how govern
	cmd := &cobra.Command{Use: "create FILE", Short: "Create one from a document in Microsoft Graph's form; - is standard input", Args: cobra.ExactArgs(1),
		Long: `Create one from a document in Microsoft Graph's form, such as curfew ` + g.noun + ` show --json prints.
Its id and dates are given by the server. What is not understood is refused, with its place.`,
		Example: "  curfew " + g.noun + " create " + g.noun + ".json --dry-run"}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		if err := checkAct(cmd, how.Act); err != nil {
			return err
		}
		doc, err := c.document(args[0])
		if err != nil {
			return err
		}
		api, err := c.client()
		if err != nil {
			return err
		}
		d, plan, err := api.CreateDocument(ctx, g.kind, doc, how.Act, how.force)
		switch {
		case err != nil:
			return err
		case how.DryRun:
			return c.plan(args[0], plan)
		case c.JSON:
			return c.Line(d)
		}
		c.targetLine(d.Name, 0, verdict{state: "created", text: d.ID})
		return nil
	})
	how.flags(cmd)
	return cmd
}

func (c *console) governedUpdate(g governed) *cobra.Command {
	var how govern
	cmd := &cobra.Command{Use: "update NAME FILE", Short: "Change one by what a file says; - is standard input", Args: cobra.ExactArgs(2),
		Long: `Change one by what a file says, in Microsoft Graph's form: what it does not mention stays, null
takes something away, a list replaces the list.`,
		Example: `  echo '{"conditions":{"locations":null}}' | curfew policy update "Two factors" -`}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		doc, err := c.document(args[1])
		if err != nil {
			return err
		}
		return c.onGoverned(ctx, cmd, g, args[:1], deed{past: "updated", gerund: "updating"}, how, func(ctx context.Context, api *client.Client, ref string) (*client.Planned, error) {
			return api.ChangeDocument(ctx, g.kind, ref, doc, how.Act, how.force)
		})
	})
	how.flags(cmd)
	return cmd
}

// governedChange is an update that is always the same.
func (c *console) governedChange(g governed, use, short, example, patch, past, gerund string) *cobra.Command {
	var how govern
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.MinimumNArgs(1), Example: example}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		return c.onGoverned(ctx, cmd, g, args, deed{past: past, gerund: gerund}, how, func(ctx context.Context, api *client.Client, ref string) (*client.Planned, error) {
			return api.ChangeDocument(ctx, g.kind, ref, []byte(patch), how.Act, how.force)
		})
	})
	how.flags(cmd)
	return cmd
}

func (c *console) governedDelete(g governed) *cobra.Command {
	var how govern
	var yes bool
	cmd := &cobra.Command{Use: "delete NAME…|-", Short: "Delete them; one that a policy names stays", Args: cobra.MinimumNArgs(1), Example: "  curfew " + g.noun + " delete Old --dry-run"}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		return c.onGoverned(ctx, cmd, g, args, deed{past: "deleted", gerund: "deleting", ask: unless(yes, "Delete "+strings.Join(args, ", ")+"?")}, how, func(ctx context.Context, api *client.Client, ref string) (*client.Planned, error) {
			return api.DeleteDocument(ctx, g.kind, ref, how.Act, how.force)
		})
	})
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	how.flags(cmd)
	return cmd
}

// onGoverned does a deed to each; of a dry run of one the whole plan is told.
func (c *console) onGoverned(ctx context.Context, cmd *cobra.Command, g governed, args []string, d deed, how govern, do func(context.Context, *client.Client, string) (*client.Planned, error)) error {
	d.act = how.Act
	if how.DryRun && len(args) == 1 && args[0] != "-" {
		if err := checkAct(cmd, how.Act); err != nil {
			return err
		}
		api, err := c.client()
		if err != nil {
			return err
		}
		plan, err := do(ctx, api, args[0])
		if err != nil {
			return noSuch(err, g.what, args[0], "curfew "+g.noun+" list")
		}
		return c.plan(args[0], plan)
	}
	return c.onNamed(ctx, cmd, args, d, func(ctx context.Context, api *client.Client, ref string) (client.Done, error) {
		plan, err := do(ctx, api, ref)
		if plan == nil {
			plan = &client.Planned{}
		}
		return client.Done{DryRun: plan.DryRun, Effects: plan.Effects}, noSuch(err, g.what, ref, "")
	})
}

func spareCommand(c *console) *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "List the accounts that no policy touches", Args: cobra.NoArgs, RunE: c.api(func(ctx context.Context, api *client.Client, _ []string) error {
		all, err := api.SparedAccounts(ctx)
		if err != nil {
			return err
		}
		rows := [][]term.Cell{term.Head("user", "name", "status", "global administrator", "last used")}
		for _, s := range all {
			if c.listsJSON() {
				if err := c.Line(s); err != nil {
					return err
				}
				continue
			}
			status, used := "enabled", "never seen"
			if !s.Enabled {
				status = "disabled"
			}
			if s.LastUsed != nil {
				used = c.When(*s.LastUsed)
			}
			row := term.Cells(s.UserName, dash(s.Name), status, yesNo(s.Admin), used)
			row[2].Colour = stateColour(status)
			rows = append(rows, row)
		}
		return c.list(rows, "No account is spared. If a policy locks everybody out, nobody can put it right.", "curfew policy spare add breakglass@contoso.example")
	})}
	return group("spare", "Accounts that no policy touches, for the day one locks everybody else out", list,
		c.spareVerb("add USER…|-", "Spare accounts of all policies", true, "spared", "sparing"), c.spareVerb("remove USER…|-", "Spare accounts no longer", false, "removed", "removing"))
}

func (c *console) spareVerb(use, short string, spare bool, past, gerund string) *cobra.Command {
	var how govern
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.MinimumNArgs(1), Long: short + `.

A spared account is a way past all policies: keep few, each with a long password that nobody
uses day by day, and watch the audit log for it.`}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		return c.onUser(ctx, cmd, args, deed{past: past, gerund: gerund, act: how.Act}, func(ctx context.Context, api *client.Client, user string) (client.Done, error) {
			plan, err := api.Spare(ctx, user, spare, how.Act, how.force)
			if plan == nil {
				plan = &client.Planned{}
			}
			return client.Done{DryRun: plan.DryRun, Effects: plan.Effects}, err
		})
	})
	how.flags(cmd)
	return cmd
}

var errNoChange = errors.New("say one change: --change FILE, --delete POLICY, --disable USER, or --user USER --remove-role ROLE")
