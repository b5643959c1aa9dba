package policies

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/govern"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// lately is what "in 7 days" counts: whole days, today included.
const lately = 7

// touched is how many sign-ins a policy applied to lately.
func (s *Server) touched(v *desk.Visit, id string) (registry.Cell, error) {
	r, err := s.Govern.Results(v.Ctx(), v.Actor, id, lately)
	if fault.Is(err, fault.NotFound) { // deleted since
		return registry.Text(""), nil
	}
	if err != nil || !r.Kept {
		return registry.Text(""), err
	}
	return number(r.Total.Satisfied + r.Total.Asked + r.Total.Refused), nil
}

// number is a cell with a figure; zero is grey.
func number(n int64) registry.Cell {
	if n == 0 {
		return registry.Cell{Text: "0", Soft: true}
	}
	return registry.Text(webkit.Num(n))
}

var states = []struct {
	word, text string
	state      policy.State
}{{"on", "On", policy.On}, {"report-only", "Report only", policy.ReportOnly}, {"off", "Off", policy.Off}}

// done are the sentences about what was just done.
func done(word string) string {
	return map[string]string{
		"on": "The policy is on. What was handed out before is judged by it at its next use.", "report": "The policy only reports. What it would have done is written into the sign-ins.", "off": "The policy is off.",
		"saved": "Saved. What was handed out before is judged anew at its next use.", "created": "The policy was created.", "deleted": "It was deleted. What was handed out before is judged anew at its next use.", "same": "Nothing was changed: it was so already.",
		"place": "The location was created.", "spared": "No policy touches that account any more.", "unspared": "Policies hold for that account again.",
	}[word]
}

func (s *Server) getPolicies(v *desk.Visit) error {
	all, err := s.Govern.List(v.Ctx(), v.Actor, govern.Policy)
	if err != nil {
		return err
	}
	b, err := s.book(v)
	if err != nil {
		return err
	}
	o := v.Offers()
	view := desk.Things{Heading: "Policies", Query: strings.TrimSpace(v.Q.Get("q")), Search: "Name of a policy", ListURL: desk.PathPolicies, Done: done(v.Q.Get("done")),
		Commands: []desk.Command{o.Command(Create, role.CreatePolicy, role.Target{}, desk.PathNewPolicy), o.Command(ShowAccounts, role.ReadSpared, role.Target{}, desk.PathSpared)}}
	view.Refusal = o.Refusal(directory.UserID{}, "", desk.PathPolicies)
	if len(all) == 0 {
		view.Empty, view.Command = "No policies: everybody may come from everywhere.", "curfew policy create policy.json --dry-run"
	}
	status := v.Q.Get("state")
	with := func(k, x string) string {
		u := url.Values{"q": {view.Query}, "state": {status}}
		u.Set(k, x)
		for k := range u {
			if u.Get(k) == "" {
				u.Del(k)
			}
		}
		return strings.TrimSuffix(desk.PathPolicies+"?"+u.Encode(), "?")
	}
	pill, want := desk.Filter{Label: "State"}, policy.State(0)
	for _, x := range states {
		pill.Options = append(pill.Options, webkit.Link{Text: x.text, URL: with("state", x.word)})
		if x.word == status {
			want, pill.Value, pill.ClearURL = x.state, x.text, with("state", "")
			view.Hidden = []desk.Hidden{{Name: "state", Value: status}}
		}
	}
	view.Filters = []desk.Filter{pill}
	all = slices.DeleteFunc(all, func(d *govern.Document) bool {
		return want != 0 && d.Policy.State != want || !strings.Contains(strings.ToLower(d.Name()), strings.ToLower(view.Query))
	})
	slices.SortStableFunc(all, func(x, y *govern.Document) int {
		return strings.Compare(strings.ToLower(x.Name()), strings.ToLower(y.Name()))
	})
	view.Found = len(all)
	from, to, paging := v.Slice(len(all), func(from string) string { return with("from", from) })
	view.Paging = paging
	view.Table = registry.NewTable("Policies", "Name", "State", "Who", "What", "Demands", "Last changed", ">Sign-ins in 7 days")
	c := v.Clock(v.Now())
	for _, d := range all[from:to] {
		p := d.Policy
		who := registry.Cell{Text: few(b.people(p.Include), 2), Wrap: true}
		if n := len(b.people(p.Exclude)); n > 0 {
			who.Sub = "but not " + few(b.people(p.Exclude), 2)
		}
		what := registry.Cell{Text: few(b.reaches(p.Apps), 2), Wrap: true}
		if len(p.Apps.Exclude) > 0 {
			what.Sub = "but not " + few(b.called(p.Apps.Exclude), 2)
		}
		asks := append(b.demands(p.Grant), limits(p.Session)...)
		demands := registry.Cell{Text: few(asks, 2), Wrap: true}
		if p.Grant != nil && p.Grant.Any && p.Session == nil {
			demands.Text = joined(p.Grant, asks)
		}
		touched, err := s.touched(v, d.ID())
		if err != nil {
			return err
		}
		view.Table.Add(d.Name(), nil, registry.Cell{Text: d.Name(), URL: desk.PolicyPath(d.ID()), Wrap: true}, registry.Cell{Mark: state(p.State)}, who, what, demands, registry.Text(c.When(d.Modified())), touched)
	}
	view.Shell = v.Shell("Policies")
	return desk.Show(v, desk.ThingsPage, http.StatusOK, view)
}
