package main

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
)

// thought is a sign-in, or a change, that is only thought of.
type thought struct {
	user, ip, country, platform, client, device, trust, risk, userRisk, flow, action, context string
	apps                                                                                      []string
	compliant                                                                                 bool

	change, policy, location, remove, disable, role string
}

func policyTestCommand(c *console) *cobra.Command {
	var x thought
	cmd := &cobra.Command{Use: "test", Short: "Ask what the policies would do with a sign-in, or what a change would do", Args: cobra.NoArgs,
		Long: `Ask what the policies would do with a sign-in: somebody gives a password, and nothing more. What
is not said is not known, and never helps.

Or ask what a change would do to the sessions and grants that live now: of a policy, or of a
person. Nothing is changed. It is told by what a --dry-run of the change tells.`,
		Example: `  curfew policy test --user ada@contoso.example --app mail --ip 203.0.113.9 --platform windows --client browser --risk high
  curfew policy test --change new.json
  curfew policy test --policy "Two factors" --change patch.json
  curfew policy test --delete "Two factors"
  curfew policy test --disable ada@contoso.example
  curfew policy test --user ada@contoso.example --remove-role "Helpdesk Administrator"`}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, _ []string) error {
		changes := 0
		for _, s := range []string{x.change, x.remove, x.disable, x.role} {
			if s != "" {
				changes++
			}
		}
		signIn := len(x.apps) > 0 || x.action != "" || x.context != ""
		switch {
		case changes > 1 || changes == 1 && signIn, x.role != "" && x.user == "":
			return usageError(cmd, errNoChange)
		case changes == 0 && (!signIn || x.user == ""):
			return usagef(cmd, "say who signs in to what (--user and --app), or a change (--change, --delete, --disable, --remove-role)")
		}
		api, err := c.client()
		if err != nil {
			return err
		}
		if changes == 1 {
			return c.suppose(ctx, api, &x)
		}
		return c.evaluate(ctx, cmd, api, &x)
	})
	f := cmd.Flags()
	f.StringVar(&x.user, "user", "", "who signs in, or loses --remove-role")
	f.StringArrayVar(&x.apps, "app", nil, "client_id or resource that is signed in to; once for each")
	f.StringVar(&x.action, "action", "", "instead: registerSecurityInformation or registerOrJoinDevices")
	f.StringVar(&x.context, "context", "", "instead: an authentication context, c1 to c99")
	f.StringVar(&x.ip, "ip", "", "address that it comes from")
	f.StringVar(&x.country, "country", "", "country that it comes from, such as DE; that of --ip when absent")
	f.StringVar(&x.platform, "platform", "", "android, iOS, windows, macOS or linux")
	f.StringVar(&x.client, "client", "", "browser, or mobileAppsAndDesktopClients")
	f.StringVar(&x.flow, "flow", "", "none, deviceCodeFlow or authenticationTransfer")
	f.StringVar(&x.device, "device", "", "object id of the device")
	f.BoolVar(&x.compliant, "compliant", false, "the device is compliant; --compliant=false: it is not")
	f.StringVar(&x.trust, "trust", "", "how the device belongs to the directory: AzureAD, ServerAD or Workplace")
	f.StringVar(&x.risk, "risk", "", "risk of the sign-in: none, low, medium or high")
	f.StringVar(&x.userRisk, "user-risk", "", "risk of the account")
	f.StringVar(&x.change, "change", "", "file with a new policy, or with a patch of --policy or --location; - is standard input")
	f.StringVar(&x.policy, "policy", "", "policy that --change is a patch of")
	f.StringVar(&x.location, "location", "", "named location that --change is a patch of")
	f.StringVar(&x.remove, "delete", "", "policy that is deleted")
	f.StringVar(&x.disable, "disable", "", "user who is disabled")
	f.StringVar(&x.role, "remove-role", "", "role, by name or id, that --user loses")
	cmd.MarkFlagsMutuallyExclusive("policy", "location")
	return cmd
}

func (c *console) evaluate(ctx context.Context, cmd *cobra.Command, api *client.Client, x *thought) error {
	user, err := userID(ctx, api, x.user)
	if err != nil {
		return noSuch(err, "user", x.user, "curfew user list")
	}
	in, device := map[string]any{}, map[string]any{}
	for name, v := range map[string]string{"devicePlatform": x.platform, "clientAppType": x.client, "signInRiskLevel": x.risk, "userRiskLevel": x.userRisk, "country": x.country, "ipAddress": x.ip} {
		if v != "" {
			in[name] = v
		}
	}
	if x.flow != "" {
		in["authenticationFlow"] = map[string]any{"transferMethod": x.flow}
	}
	if x.device != "" {
		device["deviceId"] = x.device
	}
	if x.trust != "" {
		device["trustType"] = x.trust
	}
	if cmd.Flags().Changed("compliant") {
		device["isCompliant"] = x.compliant
	}
	if len(device) > 0 {
		in["deviceInfo"] = device
	}
	to, where := map[string]any{"includeApplications": x.apps}, strings.Join(x.apps, ", ")
	switch {
	case x.action != "":
		to, where = map[string]any{"userAction": x.action}, x.action
	case x.context != "":
		to, where = map[string]any{"authenticationContextValue": x.context}, x.context
	}
	e, err := api.Evaluate(ctx, map[string]any{"signInIdentity": map[string]any{"userId": user}, "signInContext": to, "signInConditions": in})
	if err != nil {
		return err
	}
	if c.listsJSON() {
		return c.Line(e)
	}
	rows := [][]term.Cell{term.Head("policy", "state", "applies", "outcome", "why")}
	var by []string
	for _, p := range e.Policies {
		d := client.Document{State: p.State}
		why := strings.ReplaceAll(p.Reasons, ",", ", ")
		switch {
		case p.Reasons == "policyNotEnabled":
			why = "it is off"
		case p.Applies && len(p.Unknown) > 0:
			why = "not known: " + strings.Join(p.Unknown, ", ")
		case p.Applies:
			why = "all conditions hold"
		default:
			why = "not its " + why
		}
		out := term.None
		switch {
		case p.Applies && len(p.Missing) > 0:
			if out = strings.Join(p.Missing, ", "); out != "block" {
				out = "asks for " + out
			} else {
				out = "blocks"
			}
			if p.State == "enabled" {
				by = append(by, p.Name)
			} else {
				out = "would: " + out
			}
		case p.Applies:
			out = "satisfied"
		}
		rows = append(rows, term.Cells(p.Name, policyState(&d), yesNo(p.Applies), out, why))
	}
	if len(rows) > 1 {
		c.Table(c.Out, "", rows)
		c.Printf("\n")
	}
	place := ""
	if len(e.Locations) > 0 {
		place = " from " + strings.Join(e.Locations, ", ")
	}
	if e.Country != "" {
		place += " (" + e.Country + ")"
	}
	outcome := c.Paint(term.Green, "allowed")
	switch e.Decision {
	case "block":
		outcome = c.Paint(term.Red, "blocked") + " by " + term.Clean(strings.Join(by, ", "))
	case "ask":
		outcome = c.Paint(term.Amber, "asked for "+term.Clean(strings.Join(e.Needs, ", "))) + " by " + term.Clean(strings.Join(by, ", "))
		if !e.Able {
			outcome += "; nothing that is registered could give it"
		}
	}
	c.Printf("%s to %s%s: %s\n", term.Clean(x.user), term.Clean(where), term.Clean(place), outcome)
	if e.Spared {
		c.Printf("No policy touches this account: it is spared.\n")
	}
	for _, l := range e.Limits {
		c.Printf("limit  %s\n", term.Clean(l))
	}
	return nil
}

func (c *console) suppose(ctx context.Context, api *client.Client, x *thought) error {
	in := map[string]any{}
	switch {
	case x.disable != "" || x.role != "":
		who := x.disable + x.user
		if x.disable != "" {
			who, in["disable"] = x.disable, true
		}
		id, err := userID(ctx, api, who)
		if err != nil {
			return noSuch(err, "user", who, "curfew user list")
		}
		in["user"] = id
		if x.role != "" {
			r, err := findRole(ctx, api, x.role)
			if err != nil {
				return err
			}
			in["removeRole"] = r.ID
		}
	case x.remove != "":
		in["id"], in["delete"] = x.remove, true
	default:
		doc, err := c.document(x.change)
		if err != nil {
			return err
		}
		in["document"] = json.RawMessage(doc)
		if x.policy != "" {
			in["id"] = x.policy
		}
		if x.location != "" {
			in["kind"], in["id"] = "location", x.location
		}
	}
	p, err := api.Suppose(ctx, in)
	if err != nil {
		return err
	}
	if c.listsJSON() {
		return c.Line(p)
	}
	return c.plan("", p)
}

// maxStaying bounds the fates of which those that stay are listed, too.
const maxStaying = 40

// plan prints what a change would do.
func (c *console) plan(name string, p *client.Planned) error {
	if c.JSON {
		return c.Line(struct {
			outcome
			WhatIf *client.WhatIf `json:"whatIf,omitempty"`
		}{outcome{Target: name, State: "planned", Effects: p.Effects}, p.WhatIf})
	}
	text := strings.Join(p.Effects, " ")
	if text == "" {
		text = "Changes nothing."
	}
	if name != "" {
		c.targetLine(name, 0, verdict{state: "dry run", text: text})
	} else {
		c.Printf("%s\n", term.Clean(text))
	}
	w := p.WhatIf
	if w == nil || len(p.Effects) == 0 || w.Rows == 0 && len(w.Admins.In) == 0 && !w.Admins.Out {
		return nil
	}
	rows := [][]term.Cell{term.Head("user", "what", "fate", "until", "by")}
	shown := 0
	for _, f := range w.Fates {
		stays := f.Fate == "stays"
		if stays && len(w.Fates) > maxStaying {
			continue
		}
		what := "browser session"
		if f.Grant != "" {
			what = "grant of " + f.AppName
		}
		fate := f.Fate
		if fate == "opens" {
			fate = "asked for less"
		}
		if len(f.Needs) > 0 {
			fate = "asks for " + strings.Join(f.Needs, ", ")
		}
		until := "at the next use"
		switch {
		case f.AtOnce && f.Until == nil:
			until = "at once"
		case f.Fate == "opens", f.Until == nil && stays:
			until = term.None
		case f.Until != nil && (stays || f.Fate == "shortens"):
			until = c.When(*f.Until) + ", if not used"
		case f.Until != nil:
			until = "a token lives until " + c.Sec(*f.Until)
		}
		rows = append(rows, term.Cells(f.UserName, what, fate, until, dash(strings.Join(f.By, ", "))))
		if !stays {
			shown++
		}
	}
	if len(rows) > 1 {
		c.Printf("\n")
		c.Table(c.Out, "", rows)
	}
	c.Printf("\n%s\n%s\n", tallied("sessions", w.Sessions), tallied("grants", w.Grants))
	for _, a := range w.Apps {
		if gone := a.Ends + a.Asks; gone > 0 {
			c.Printf("%s: %s of %s\n", term.Clean(a.Name), term.Num(gone), term.Count(gone+a.Shortens+a.Opens+a.Stays, "grant", "grants"))
		}
	}
	if touched := w.Sessions.Touched() + w.Grants.Touched(); touched > shown {
		c.Sayf("%s more are not listed.\n", term.Num(touched-shown))
	}
	if w.Part {
		c.Sayf("Only the newest were looked at, %s: there are more.\n", term.Count(w.Rows, "row", "rows"))
	}
	switch a := w.Admins; {
	case a.Out && len(a.By) > 0:
		c.Printf("%s  No Global Administrator could sign in, because of %s.\n", c.Paint(term.Red, "locked out"), term.Clean(strings.Join(a.By, ", ")))
	case a.Out:
		c.Printf("%s  No Global Administrator could sign in.\n", c.Paint(term.Red, "locked out"))
	default:
		c.Printf("Global Administrators who still get in: %s\n", term.Clean(shortened(a.In)))
	}
	return nil
}

// tallied counts what is alive by what becomes of it, without zeros but the last.
func tallied(what string, t client.Tally) string {
	var out []string
	for _, x := range []struct {
		n    int
		word string
	}{{t.Ends, "end"}, {t.Asks, "are asked for more"}, {t.Shortens, "are shortened"}, {t.Opens, "are asked for less"}} {
		if x.n > 0 {
			out = append(out, term.Num(x.n)+" "+x.word)
		}
	}
	return what + ": " + strings.Join(append(out, term.Num(t.Stays)+" stay"), ", ")
}

func policyResultsCommand(c *console) *cobra.Command {
	days := 7
	cmd := &cobra.Command{Use: "results POLICY", Short: "Show what a policy did, or would have done, with the sign-ins of the last days", Args: cobra.ExactArgs(1),
		Long: `Show what a policy did with the sign-ins of the last days; while it was report-only, what it
would have done. Uses of a grant count as well as people at the sign-in page.`,
		Example: "  curfew policy results \"Two factors\" --days 30"}
	cmd.RunE = c.api(func(ctx context.Context, api *client.Client, args []string) error {
		r, err := api.PolicyResults(ctx, args[0], days)
		if err != nil {
			return noSuch(err, "policy", args[0], "curfew policy list")
		}
		if c.listsJSON() {
			return c.Line(r)
		}
		if !r.Kept {
			c.Sayf("This server keeps no log of sign-ins, so nothing is known.\n")
			return nil
		}
		rows := [][]term.Cell{term.Head("day", "satisfied", "asked", "refused", "not applied")}
		row := func(name string, n client.Counts) []term.Cell {
			cells := term.Cells(name, term.Num(n.Satisfied), term.Num(n.Asked), term.Num(n.Refused), term.Num(n.NotApplied))
			for i := range cells[1:] {
				cells[i+1].Right = true
			}
			return cells
		}
		for _, d := range r.Days {
			rows = append(rows, row(d.Day, d.Counts))
		}
		c.Table(c.Out, "", append(rows, row("all", r.Total)))
		would := ""
		if r.Total.Reported > 0 {
			would = "; " + term.Num(r.Total.Reported) + " while the policy only reported"
		}
		c.Printf("\n%s: %s, %s without a person%s\n", term.Clean(r.Policy.Name), term.Count(r.Total.Satisfied+r.Total.Asked+r.Total.Refused+r.Total.NotApplied, "sign-in", "sign-ins"), term.Num(r.Total.Silent), would)
		if r.Lost > 0 {
			c.Sayf("%s could not be written down since the server started.\n", term.Count(r.Lost, "sign-in", "sign-ins"))
		}
		return nil
	})
	cmd.Flags().IntVar(&days, "days", days, "how many, today included")
	return cmd
}
