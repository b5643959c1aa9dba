package policies

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/govern"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/figure"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// chartDays is how many days the chart of a policy shows.
const chartDays = 14

// series are the outcomes of the chart, from the bottom up.
var series = []figure.Series{{Name: "Passed", Class: "live"}, {Name: "Asked for more", Class: "wild", Hatched: true}, {Name: "Refused", Class: "bad-bar"}}

// commands are the verbs of a policy in its state.
func commands(o *desk.Offers, p *policy.Policy) (all []desk.Command) {
	path := desk.PolicyPath(p.ID)
	for _, x := range []struct {
		verb desk.Verb
		in   policy.State
	}{{TurnOn, policy.On}, {Report, policy.ReportOnly}, {TurnOff, policy.Off}} {
		if p.State != x.in {
			all = append(all, o.Command(x.verb, role.UpdatePolicy, role.Target{}, path+"/"+x.verb.Slug))
		}
	}
	return append(all, o.Command(Edit, role.UpdatePolicy, role.Target{}, path+"/edit"), o.Command(Delete, role.DeletePolicy, role.Target{}, path+"/delete"))
}

func (s *Server) getPolicy(v *desk.Visit) error {
	d, err := s.Govern.Show(v.Ctx(), v.Actor, govern.Policy, v.R.PathValue("id"))
	if err != nil {
		return err
	}
	if d.ID() != v.R.PathValue("id") { // by name, or in capitals
		return v.To(desk.PolicyPath(d.ID()))
	}
	b, err := s.book(v)
	if err != nil {
		return err
	}
	o := v.Offers()
	view := desk.Thing{Icon: "closes", Name: d.Name(), ID: d.ID(), Chips: []registry.Mark{state(d.Policy.State)}, Commands: commands(o, d.Policy), Done: done(v.Q.Get("done"))}
	view.Refusal = o.Refusal(directory.UserID{}, d.Name(), desk.PolicyPath(d.ID()))
	view.Cards = []registry.Card{b.plain(d)}
	if err := s.results(v, d, &view); err != nil {
		return err
	}
	text := indented(d)
	view.Code = &desk.Code{Title: "The document", Hint: "as Graph has it", Text: text, Rows: min(24, strings.Count(text, "\n")+1)}
	view.Shell = v.Shell(d.Name())
	view.Crumbs = []webkit.Link{{Text: "Policies", URL: desk.PathPolicies}, {Text: d.Name()}}
	return desk.Show(v, desk.ThingPage, http.StatusOK, view)
}

// plain is a policy in plain words.
func (b *book) plain(d *govern.Document) registry.Card {
	p := d.Policy
	card := registry.Card{Title: "What it says"}
	add := func(label, remark string, values []string) {
		card.Facts = append(card.Facts, registry.Fact{Label: label, Values: values, Remark: remark})
	}
	add("Who", "", b.people(p.Include))
	if out := b.people(p.Exclude); len(out) > 0 {
		add("But not", "Nor the accounts that all policies spare.", out)
	}
	add("What", "", b.reaches(p.Apps))
	if len(p.Apps.Exclude) > 0 {
		add("But not at", "", b.called(p.Apps.Exclude))
	}
	if all := b.conditions(p); len(all) > 0 {
		add("Conditions", "", all)
	} else {
		add("Conditions", "", []string{"Whatever the place, the device and the program"})
	}
	demands := b.demands(p.Grant)
	switch {
	case p.Grant != nil && len(demands) > 1:
		add("Demands", map[bool]string{true: "One of them is enough.", false: "All of them."}[p.Grant.Any], demands)
	case p.Grant != nil:
		add("Demands", "", demands)
	default:
		add("Demands", "", []string{"Nothing more"})
	}
	if all := limits(p.Session); len(all) > 0 {
		add("Limits", "", all)
	}
	if at := d.Modified(); !at.IsZero() {
		add("Last changed", "", []string{b.v.Clock(b.v.Now()).When(at)})
	}
	return card
}

// results adds what the policy did in the last days, as a chart and as a table.
func (s *Server) results(v *desk.Visit, d *govern.Document, view *desk.Thing) error {
	r, err := s.Govern.Results(v.Ctx(), v.Actor, d.ID(), chartDays)
	if err != nil {
		return err
	}
	card := registry.Card{Title: "What it did in " + webkit.Num(chartDays) + " days", Hint: "sign-ins and renewals, by day (UTC)"}
	if !r.Kept {
		card.Hint, card.Empty = "", "No log of sign-ins is kept here, so that nothing is known."
		view.Cards = append(view.Cards, card)
		return nil
	}
	clock := v.Clock(v.Now())
	clock.Now = clock.Now.UTC() // days are counted there
	card.Chart = &figure.Days{Clock: clock, Title: card.Title, Series: series, Empty: "It applied to no sign-in in " + webkit.Num(chartDays) + " days."}
	table := registry.NewTable("What it did, by day", "Day", ">Passed", ">Asked for more", ">Refused", ">Did not apply", ">Without a person")
	for _, x := range r.Days {
		card.Chart.Days = append(card.Chart.Days, figure.Day{At: x.Day, Counts: []int64{x.Satisfied, x.Asked, x.Refused}})
		if x.Counts != (govern.Counts{}) {
			table.Add("", nil, registry.Text(clock.Day(x.Day)), number(x.Satisfied), number(x.Asked), number(x.Refused), number(x.NotApplied), number(x.Silent))
		}
	}
	if len(table.Rows) > 0 {
		card.Table = table
	}
	switch d.Policy.State {
	case policy.ReportOnly:
		card.Note = "While it only reports, nobody is asked or refused by it: this is what would have happened."
	case policy.Off:
		card.Note = "It is off: it does nothing. This is from when it was not."
	}
	if r.Lost > 0 {
		card.Note += " " + webkit.Count(int(r.Lost), "sign-in was", "sign-ins were") + " not written down, and may be missing here."
	}
	view.Cards = append(view.Cards, card)
	return nil
}

// indented is a document as people read it.
func indented(d *govern.Document) string {
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(d.Format()), "", "  "); err != nil { // we wrote it
		return string(d.Format())
	}
	return b.String()
}
