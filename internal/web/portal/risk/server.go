package risk

import (
	"net/http"
	"strconv"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/policy"
	rules "github.com/curfew-id/curfew/internal/risk"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/watch"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/receipt"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Server serves these pages. All of it is needed.
type Server struct {
	*desk.Desk
	Watch *watch.Service
}

// The verbs on accounts and rules.
var (
	Confirm   = desk.Verb{Slug: "confirm", Label: "Confirm compromised", Busy: "Confirming…", Keep: "Leave as it is", Icon: "failed", Doing: "confirm a risk"}
	Dismiss   = desk.Verb{Slug: "dismiss", Label: "Dismiss", Busy: "Dismissing…", Keep: "Leave as it is", Icon: "x", Doing: "dismiss a risk"}
	SwitchOn  = desk.Verb{Slug: "on", Label: "Switch on", Busy: "Switching…", Keep: "Leave it off", Icon: "ended", Doing: "change what is looked for"}
	SwitchOff = desk.Verb{Slug: "off", Label: "Switch off", Busy: "Switching…", Keep: "Leave it on", Icon: "disabled", Doing: "change what is looked for"}
)

const word = "risk"

// Register adds the routes to a mux that webkit.Browser wraps.
func (s *Server) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET "+desk.PathRisk, s.Page(desk.SectionRisk, s.get))
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		mux.HandleFunc(method+" "+desk.PathRisk+"/{verb}/{part}", s.Page(desk.SectionRisk, s.act))
	}
}

func path(verb desk.Verb, part string) string { return desk.PathRisk + "/" + verb.Slug + "/" + part }

// levels are risks in words.
var levels = map[policy.Risk]registry.Mark{0: {Icon: "ended", Tone: "t-2", Word: "None"}, policy.NoRisk: {Icon: "ended", Tone: "t-2", Word: "None"}, policy.LowRisk: {Icon: "lives", Tone: "t-warn", Word: "Low"},
	policy.MediumRisk: {Icon: "lives", Tone: "t-warn", Word: "Medium"}, policy.HighRisk: {Icon: "failed", Tone: "t-danger", Word: "High"}}

var states = map[string]string{watch.AtRisk: "found by rules", watch.Compromised: "confirmed by an administrator", watch.Dismissed: "dismissed", watch.Remediated: "closed by a new password"}

// acts are the buttons about one account.
func acts(o *desk.Offers, u watch.User) []registry.Button {
	target, id := role.Target{ID: u.User}, u.User.String()
	var all []registry.Button
	if u.State.State != watch.Compromised {
		all = append(all, o.Button(Confirm, role.UpdateRisk, target, path(Confirm, id)))
	}
	if u.Level > policy.NoRisk {
		all = append(all, o.Button(Dismiss, role.UpdateRisk, target, path(Dismiss, id)))
	}
	return all
}

func (s *Server) get(v *desk.Visit) error {
	after, _ := directory.ParseID[directory.User](v.Q.Get("after")) // else from the first
	all, next, err := s.Watch.Users(v.Ctx(), v.Actor, watch.Query{}, after)
	if err != nil {
		return err
	}
	looked, err := s.Watch.Rules(v.Ctx(), v.Actor)
	if err != nil {
		return err
	}
	o, c := v.Offers(), v.Clock(v.Now())
	people := registry.Card{Title: "Accounts", Hint: "about which something was found", Empty: "Nothing was ever found about anybody.", Table: registry.NewTable("Accounts", "Account", "Risk", "Why", "Changed"),
		Note: "A risk ends nothing by itself. Policies about the risk of an account or a sign-in say what it means."}
	for _, u := range all {
		why := registry.Cell{Text: states[u.State.State], Soft: true, Wrap: true}
		if len(u.Why) > 0 {
			why = registry.Cell{Text: u.Why[0].Why, Sub: states[u.State.State], Wrap: true}
			if n := len(u.Why) - 1; n > 0 {
				why.Sub += "; " + webkit.Num(n) + " more"
			}
		}
		people.Table.Add("of "+u.Name, acts(o, u), registry.Cell{Text: u.Name, URL: desk.UserPath(u.User.String()) + "?tab=" + word, Wrap: true}, registry.Cell{Mark: levels[u.Level]}, why, registry.Text(c.When(u.Updated)))
	}
	if !next.IsZero() {
		people.From, people.NextURL = v.At(), v.Next(len(all), desk.PathRisk+"?after="+next.String())
	}
	card := registry.Card{Title: "Rules", Hint: "what is looked for", Table: registry.NewTable("Rules", "Rule", "State", ">Weight", "About", "Finds"),
		Note: "The weights of different rules are added: " + strconv.Itoa(rules.Low) + " is low, " + strconv.Itoa(rules.Medium) + " medium, " + strconv.Itoa(rules.High) + " high. Where no rule about sign-ins is on, their risk is not known, and policies about it apply to everybody."}
	for _, r := range looked {
		about, verb, mark := "account", SwitchOn, registry.Mark{Icon: "disabled", Tone: "t-2", Word: "Off"}
		if r.SignIn {
			about = "sign-in and account"
		}
		if r.On {
			verb, mark = SwitchOff, registry.Mark{Icon: "ended", Tone: "t-ok", Word: "On"}
		}
		card.Table.Add(titles[r.Rule], []registry.Button{o.Button(verb, role.SetRiskRules, role.Target{}, path(verb, string(r.Rule)))},
			registry.Cell{Text: titles[r.Rule], Wrap: true}, registry.Cell{Mark: mark}, registry.Text(webkit.Num(r.Weight)), registry.Cell{Text: about, Wrap: true}, registry.Cell{Text: r.Text, Wrap: true})
	}
	view := desk.Thing{Name: "Risk", Cards: []registry.Card{people, card}, Refusal: o.Refusal(directory.UserID{}, "", desk.PathRisk)}
	view.Shell = v.Shell("Risk")
	return desk.Show(v, desk.ThingPage, http.StatusOK, view)
}

// titles are the rules for people.
var titles = map[rules.Rule]string{rules.TokenReused: "Token reused", rules.TwoNetworks: "Two networks", rules.ImpossibleTravel: "Impossible travel", rules.PasswordSpray: "Password spray",
	rules.NewNetwork: "New network", rules.NewProgram: "New kind of browser", rules.Confirmed: "Confirmed", rules.Dismissed: "Dismissed", rules.Changed: "Password changed", rules.Reset: "Password reset"}

// Tab is the tab on a profile.
func (s *Server) Tab() desk.UserTab {
	return desk.UserTab{Word: word, Text: "Risk", Cards: func(v *desk.Visit, o *desk.Offers, p desk.Person) ([]registry.Card, error) {
		u, err := s.Watch.User(v.Ctx(), v.Actor, p.ID)
		if fault.Is(err, fault.Denied) {
			return []registry.Card{{Title: "Risk", Empty: fault.Public(err)}}, nil
		}
		if err != nil {
			return nil, err
		}
		before := watch.DetectionID{}
		if text := v.Q.Get("before"); text != "" && before.UnmarshalText([]byte(text)) != nil {
			return nil, fault.New(fault.Invalid, "This is not a page of this list.")
		}
		all, next, err := s.Watch.History(v.Ctx(), v.Actor, p.ID, before)
		if err != nil {
			return nil, err
		}
		card := registry.Card{Title: "Risk", Hint: "of the account: " + levels[u.Level].Word, Empty: "Nothing was ever found about " + p.Name + ".", Acts: acts(o, u), Table: registry.NewTable("Findings", "What", "When", "Why", "State", "Address")}
		c := v.Clock(v.Now())
		for _, d := range all {
			state := registry.Text("counts")
			if !d.Closed.IsZero() {
				state = registry.Cell{Text: "closed", Sub: c.When(d.Closed), Soft: true}
			}
			card.Table.Add(titles[d.Rule], nil, registry.Cell{Text: titles[d.Rule], Sub: d.Actor, Wrap: true}, registry.Text(c.When(d.At)), registry.Cell{Text: d.Why, Wrap: true}, state, registry.Text(d.IP))
		}
		if next != "" {
			card.From, card.NextURL = v.At(), v.Next(len(all), desk.UserPath(p.ID.String())+"?tab="+word+"&before="+next)
		}
		return []registry.Card{card}, nil
	}}
}

// act asks whether to do what the address names, or does it.
func (s *Server) act(v *desk.Visit) error {
	c, do, err := s.ask(v)
	if err != nil {
		return err
	}
	if v.R.Method != http.MethodPost {
		return c.Show(v, http.StatusOK)
	}
	return v.Submit(func() (*desk.Confirm, error) { return c, nil }, func(f webkit.Form) error {
		if err := do(manage.Act{Reason: f.Get("reason")}); err != nil {
			return err
		}
		return v.To(c.KeepURL)
	})
}

// ask is the confirmation that the address names, and what does it.
func (s *Server) ask(v *desk.Visit) (*desk.Confirm, func(manage.Act) error, error) {
	part, o := v.R.PathValue("part"), v.Offers()
	c := &desk.Confirm{Action: v.R.URL.EscapedPath(), KeepURL: desk.PathRisk, ReasonHint: "Goes into the audit log."}
	again := desk.Consequence{Kind: receipt.EndUnknown, What: "Sessions and tokens", When: "are judged again at their next use", Why: "They end nowhere but where a policy about risk says so."}
	switch slug := v.R.PathValue("verb"); slug {
	case Confirm.Slug, Dismiss.Slug:
		id, err := directory.ParseID[directory.User](part)
		if err != nil {
			return nil, nil, desk.ErrNoPart
		}
		u, err := s.Watch.User(v.Ctx(), v.Actor, id)
		if err != nil {
			return nil, nil, err
		}
		do := s.Watch.Confirm
		c.Verb, c.Question, c.Undo = Confirm, "Is the account of "+u.Name+" compromised?", "Can be dismissed."
		c.Intro = "Its risk is high until somebody dismisses it."
		if slug == Dismiss.Slug {
			do = s.Watch.Dismiss
			c.Verb, c.Question, c.Undo = Dismiss, "Dismiss what was found about "+u.Name+"?", "Can be confirmed again."
			c.Intro = "All findings are closed, those about sign-ins too, and count no longer."
		}
		c.KeepURL, c.Consequences = desk.UserPath(id.String())+"?tab="+word, []desk.Consequence{again}
		o.May(c.Verb, role.UpdateRisk, role.Target{ID: id})
		c.Refusal = o.Refusal(id, u.Name, c.KeepURL)
		return c, func(act manage.Act) error { return do(v.Ctx(), v.Actor, id, act) }, nil
	case SwitchOn.Slug, SwitchOff.Slug:
		row, ok := rules.Of(rules.Rule(part))
		if !ok {
			return nil, nil, desk.ErrNoPart
		}
		on := slug == SwitchOn.Slug
		c.Verb, c.Question, c.Undo, c.Intro = SwitchOn, "Look for this: "+titles[row.Rule]+"?", "Can be switched off again.", "It finds: "+row.Text+"."
		if !on {
			c.Verb, c.Question, c.Undo = SwitchOff, "Look no longer for this: "+titles[row.Rule]+"?", "Can be switched on again; what happens meanwhile is not found."
		}
		again.What = "Everybody's sessions and tokens"
		c.Consequences = []desk.Consequence{again, {Kind: receipt.EndUnknown, What: "What was found", When: "stays found"}}
		o.May(c.Verb, role.SetRiskRules, role.Target{})
		c.Refusal = o.Refusal(directory.UserID{}, "", c.KeepURL)
		return c, func(act manage.Act) error {
			return s.Watch.SetRules(v.Ctx(), v.Actor, map[rules.Rule]bool{row.Rule: on}, act)
		}, nil
	}
	return nil, nil, fault.New(fault.NotFound, "There is no such page.")
}
