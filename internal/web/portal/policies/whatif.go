package policies

import (
	"net/http"
	"net/netip"
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

// WhatIf is the page that asks what would be: of a sign-in, or of a change. The form
// is a question, so it travels in the address, and nothing is done.
type WhatIf struct {
	desk.Shell
	Tabs    []desk.Tab
	Intro   string
	Problem *webkit.Problem
	Sets    []webkit.Fieldset
	Hidden  []desk.Hidden
	// The answer; nil: nothing was asked yet.
	Answer       *Answer
	Consequences []desk.Consequence
	Cards        []registry.Card
}

// Answer is the answer in one sentence.
type Answer struct {
	Mark registry.Mark
	Text string
	Warn bool
}

// PageTitle is the frame, marked when the question came back with mistakes.
func (w WhatIf) PageTitle() webkit.Frame { return w.Frame.Failing(w.Problem != nil) }

func (s *Server) getWhatIf(v *desk.Visit) error {
	// Who may not read policies may ask nothing.
	docs, err := s.Govern.List(v.Ctx(), v.Actor, govern.Policy)
	if err != nil {
		return err
	}
	b, err := s.book(v)
	if err != nil {
		return err
	}
	change := v.Q.Get("what") != ""
	view := &WhatIf{Tabs: []desk.Tab{{Text: "A sign-in", URL: desk.PathWhatIf, Count: -1, Current: !change}, {Text: "A change", URL: desk.PathWhatIf + "?what=change", Count: -1, Current: change}}}
	m := registry.Mistakes{}
	if change {
		view.Intro, view.Hidden, view.Sets = "What would end, be asked, or stay, of what is alive now. Nothing is done.", []desk.Hidden{{Name: "what", Value: "change"}}, changeFields(docs)
		if v.Q.Has("do") {
			err = s.ifChanged(v, b, view, m)
		}
	} else {
		view.Intro, view.Sets = "What the policies would do with a sign-in, as they are now. What is left open is not known, and never helps.", signInFields()
		if v.Q.Has("user") {
			err = s.ifSignedIn(v, b, view, m)
		}
	}
	if v.Q.Has("do") || v.Q.Has("user") {
		registry.Fill(view.Sets, v.Q, m)
	}
	status := http.StatusOK
	switch {
	case len(m) > 0:
		view.Problem, status = m.Problem(view.Sets), http.StatusUnprocessableEntity
	case fault.Is(err, fault.Invalid), fault.Is(err, fault.NotFound), fault.Is(err, fault.Conflict):
		view.Problem, status = &webkit.Problem{Items: []webkit.ProblemItem{{Text: fault.Public(err)}}}, webkit.StatusOf(err)
	case err != nil:
		return err
	}
	if view.Problem != nil {
		view.Problem.Title = "Error: no answer"
	}
	view.Shell = v.Shell("What if")
	return desk.Show(v, whatIfPage, status, *view)
}

func choose(name, label, hint string, pairs ...string) webkit.Field {
	f := webkit.Field{Name: name, Label: label, Hint: hint, Select: true}
	for i := 0; i+1 < len(pairs); i += 2 {
		f.Choices = append(f.Choices, webkit.Choice{Value: pairs[i], Label: pairs[i+1]})
	}
	return f
}

var risks = []string{"", "Not known", "none", "None", "low", "Low", "medium", "Medium", "high", "High"}

func signInFields() []webkit.Fieldset {
	return []webkit.Fieldset{
		{Legend: "Who and what", Fields: []webkit.Field{
			{Name: "user", Label: "Person", Hint: "The whole user name, or the object id.", Required: true, Autocomplete: "off", Max: 300},
			{Name: "app", Label: "Application or resource", Hint: "The client id, or the identifier of the resource.", Autocomplete: "off", Max: 300, Mono: true},
			choose("act", "What is done", "", "", "Sign in to an application", "security-info", "Register a way to prove who one is", "device", "Register a device"),
		}},
		{Legend: "From where and with what", Fields: []webkit.Field{
			{Name: "ip", Label: "Address", Hint: "IPv4 or IPv6.", Autocomplete: "off", Max: 60, Mono: true},
			{Name: "country", Label: "Country", Hint: "Two letters. Empty: that of the address, if it is known.", Autocomplete: "off", Max: 2, Mono: true},
			choose("platform", "Platform", "", "", "Not known", "windows", "Windows", "macOS", "macOS", "linux", "Linux", "iOS", "iOS", "android", "Android"),
			choose("program", "Program", "", "", "Not known", "browser", "A browser", "native", "An app"),
			choose("device", "Device", "", "", "None is recognised", "known", "Recognised, compliance not known", "compliant", "Recognised and compliant", "not-compliant", "Recognised, not compliant"),
			choose("flow", "By", "", "", "The program itself", "device-code", "Device code"),
		}},
		{Legend: "Proof and risk", Fields: []webkit.Field{
			choose("proof", "Given beside the password", "", "", "Nothing", "otp", "A code of an authenticator app", "passkey", "A passkey", "recovery", "A recovery code"),
			choose("risk", "Risk of the sign-in", "", risks...),
			choose("user-risk", "Risk of the account", "", risks...),
		}},
	}
}

// read is what a question says, in govern's words.
func (s *Server) read(v *desk.Visit, m registry.Mistakes) (x govern.SignIn, err error) {
	if x.User, err = s.person(v, m); err != nil {
		return x, err
	}
	if app := strings.TrimSpace(v.Q.Get("app")); app != "" {
		x.Apps = []string{app}
	} else if v.Q.Get("act") == "" {
		m["app"] = "Write an application or a resource"
	}
	switch v.Q.Get("act") {
	case "security-info":
		x.Action, x.Apps = policy.RegisterSecurityInfo, nil
	case "device":
		x.Action, x.Apps = policy.RegisterDevice, nil
	}
	if ip := strings.TrimSpace(v.Q.Get("ip")); ip != "" {
		if x.Address, err = netip.ParseAddr(ip); err != nil {
			m["ip"] = "This is no address"
		}
	}
	if c := strings.ToUpper(strings.TrimSpace(v.Q.Get("country"))); c != "" {
		if len(c) != 2 || strings.Trim(c, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			m["country"] = "Write two letters, such as FI"
		} else {
			x.Country = policy.Country{c[0], c[1]}
		}
	}
	x.Platform = map[string]policy.Platform{"windows": policy.Windows, "macOS": policy.MacOS, "linux": policy.Linux, "iOS": policy.IOS, "android": policy.Android}[v.Q.Get("platform")]
	x.Program = map[string]policy.ClientType{"browser": policy.Browser, "native": policy.Native}[v.Q.Get("program")]
	x.Flow = policy.NoFlow
	if v.Q.Get("flow") == "device-code" {
		x.Flow = policy.DeviceCode
	}
	if d := v.Q.Get("device"); d != "" {
		x.Device = policy.Device{ID: directory.NewID[directory.Device](v.Now()), Compliant: map[string]policy.Tri{"compliant": policy.Yes, "not-compliant": policy.No}[d]}
	}
	x.Methods = map[string]policy.Methods{"otp": policy.SoftwareOTP.Set(), "passkey": policy.Passkey.Set(), "recovery": policy.RecoveryCode.Set()}[v.Q.Get("proof")]
	risk := map[string]policy.Risk{"none": policy.NoRisk, "low": policy.LowRisk, "medium": policy.MediumRisk, "high": policy.HighRisk}
	x.SignInRisk, x.UserRisk = risk[v.Q.Get("risk")], risk[v.Q.Get("user-risk")]
	return x, nil
}

func (s *Server) person(v *desk.Visit, m registry.Mistakes) (directory.UserID, error) {
	ref := strings.TrimSpace(v.Q.Get("user"))
	if ref == "" {
		m["user"] = "Write who"
		return directory.UserID{}, nil
	}
	u, err := s.Manage.User(v.Ctx(), v.Actor, ref)
	if fault.Is(err, fault.NotFound) {
		m["user"] = "There is nobody of that name"
		return directory.UserID{}, nil
	}
	if err != nil {
		return directory.UserID{}, err
	}
	return u.User.ID, nil
}

func (s *Server) ifSignedIn(v *desk.Visit, b *book, view *WhatIf, m registry.Mistakes) error {
	x, err := s.read(v, m)
	if err != nil || len(m) > 0 {
		return err
	}
	e, err := s.Govern.Evaluate(v.Ctx(), v.Actor, x)
	if err != nil {
		return err
	}
	var by []string
	table := registry.NewTable("Policies", "Policy", "State", "Applies", "Outcome", "Why")
	for _, applies := range []bool{true, false} {
		for _, r := range e.Results {
			if r.Applies != applies {
				continue
			}
			if r.Applies && len(r.Missing) > 0 && r.Policy.State == policy.On {
				by = append(by, r.Policy.Name)
			}
			table.Add("", nil, registry.Cell{Text: r.Policy.Name, URL: desk.PolicyPath(r.Policy.ID), Wrap: true}, registry.Cell{Mark: state(r.Policy.State)}, registry.Text(map[bool]string{true: "Yes", false: "No"}[r.Applies]), b.outcome(r), text(why(r)))
		}
	}
	who := desk.Calling(e.User)
	switch {
	case e.Spared:
		view.Answer = &Answer{Mark: registry.Mark{Icon: "ended", Tone: "t-ok"}, Text: who + " gets in. No policy touches the account: it is spared."}
	case e.Decision == policy.Block:
		view.Answer = &Answer{Mark: registry.Mark{Icon: "failed", Tone: "t-danger"}, Text: who + " is blocked by " + few(by, 3) + "."}
	case e.Decision == policy.Ask:
		view.Answer = &Answer{Mark: registry.Mark{Icon: "closes", Tone: "t-warn"}, Text: who + " is asked for " + b.needs(e.Needs) + " by " + few(by, 3) + ".", Warn: true}
		if !e.Able {
			view.Answer.Text += " Nothing that is registered could give it."
		}
	default:
		view.Answer = &Answer{Mark: registry.Mark{Icon: "ended", Tone: "t-ok"}, Text: who + " gets in."}
	}
	facts := registry.Card{Title: "Where, and for how long", Facts: []registry.Fact{{Label: "Named locations", Values: e.Places}}}
	if e.Country != (policy.Country{}) && e.Country != policy.Nowhere {
		facts.Facts = append(facts.Facts, registry.Fact{Label: "Country", Values: []string{e.Country.String()}})
	}
	facts.Facts = append(facts.Facts, registry.Fact{Label: "Limits", Values: limitWords(e.Limits)})
	view.Cards = []registry.Card{{Title: "Policies", Empty: "There are no policies: everybody may come from everywhere.", Table: table}, facts}
	return nil
}

func limitWords(l policy.Limits) (all []string) {
	x := policy.Session{Persistent: l.Persistent, AppEnforced: l.AppEnforced, Continuous: l.Continuous}
	if l.Frequency > 0 {
		x.Frequency = &policy.Frequency{Life: l.Frequency}
	}
	all = limits(&x)
	if l.Second > 0 {
		all = append(all, limits(&policy.Session{Frequency: &policy.Frequency{Life: l.Second, Secondary: true}})...)
	}
	return all
}

// outcome is what one policy would do.
func (b *book) outcome(r policy.Result) registry.Cell {
	if !r.Applies {
		return registry.Text("")
	}
	m := registry.Mark{Icon: "ended", Tone: "t-ok", Word: "Satisfied"}
	switch {
	case slices.Contains(r.Missing, "block"):
		m = registry.Mark{Icon: "failed", Tone: "t-danger", Word: "Blocks"}
	case len(r.Missing) > 0:
		m = registry.Mark{Icon: "closes", Tone: "t-warn", Word: "Asks for " + b.needs(r.Missing)}
	}
	if r.Policy.State != policy.On {
		m.Word = "Would: " + strings.ToLower(m.Word[:1]) + m.Word[1:]
	}
	return registry.Cell{Mark: m, Wrap: true}
}

// why is why a policy applies, or does not.
func why(r policy.Result) string {
	switch {
	case r.Policy.State == policy.Off:
		return "It is off"
	case !r.Applies:
		return "Not about " + reasons(r.RuledOut)
	case len(r.Unknown) > 0:
		return "Not known: " + reasons(r.Unknown)
	}
	return "All its conditions hold"
}

func changeFields(docs []*govern.Document) []webkit.Fieldset {
	policies, roles := []string{"", "–"}, []string{"", "–"}
	for _, d := range docs {
		policies = append(policies, d.ID(), d.Name()+" ("+strings.ToLower(state(d.Policy.State).Word)+")")
	}
	for _, r := range role.All() {
		roles = append(roles, string(r.ID), r.Name)
	}
	return []webkit.Fieldset{{Legend: "If this changed", Fields: []webkit.Field{
		choose("do", "What", "", "disable", "A person's account is disabled", "remove-role", "A person's role is taken away", "on", "A policy is turned on", "report", "A policy only reports", "off", "A policy is turned off", "delete", "A policy is deleted"),
		{Name: "user", Label: "Person", Hint: "For an account or a role: the whole user name, or the object id.", Autocomplete: "off", Max: 300},
		choose("role", "Role", "For a role.", roles...),
		choose("policy", "Policy", "For a policy.", policies...),
	}}}
}

func (s *Server) ifChanged(v *desk.Visit, b *book, view *WhatIf, m registry.Mistakes) (err error) {
	var x govern.Suppose
	do := v.Q.Get("do")
	switch do {
	case "disable", "remove-role":
		if x.User, err = s.person(v, m); err != nil {
			return err
		}
		if do == "remove-role" {
			if x.Role = directory.RoleID(v.Q.Get("role")); x.Role == "" {
				m["role"] = "Choose a role"
			}
		}
	case "on", "report", "off", "delete":
		x.Kind, x.Ref = govern.Policy, v.Q.Get("policy")
		if x.Ref == "" {
			m["policy"] = "Choose a policy"
		}
		x.Delete = do == "delete"
		x.Doc = []byte(map[string]string{"on": acts[TurnOn.Slug].patch, "report": acts[Report.Slug].patch, "off": acts[TurnOff.Slug].patch}[do])
	default:
		m["do"] = "Choose what changes"
	}
	if len(m) > 0 {
		return nil
	}
	what, e, err := s.Govern.WhatIf(v.Ctx(), v.Actor, x)
	if err != nil {
		return err
	}
	view.Answer = &Answer{Mark: registry.Mark{Icon: "info", Tone: "t-2"}, Text: what}
	if n := lockedOut(e); n != nil {
		view.Answer = &Answer{Mark: registry.Mark{Icon: "failed", Tone: "t-danger"}, Text: what + " " + n.Sentence}
	}
	view.Consequences, view.Cards = b.consequences(e), b.fates(e)
	return nil
}
