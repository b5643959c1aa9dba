package signins

import (
	"net/http"
	"strings"

	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/review"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

var (
	kinds    = map[review.Kind]string{review.Interactive: "Interactive", review.Silent: "Not interactive", review.AsItself: "Application as itself"}
	flows    = map[string]string{"password": "Password", "provider": "Another identity provider", "code": "Authorization code", "refresh": "Renewal", "device": "Device code", "client_credentials": "As itself", "exchange": "Token exchange", "session": "Browser session", "passkey": "Passkey"}
	programs = map[policy.ClientType]string{policy.Browser: "A browser", policy.Native: "An app", policy.ActiveSync: "Exchange ActiveSync", policy.ActiveSyncSupported: "Exchange ActiveSync", policy.OtherClient: "Another client"}
	risks    = map[policy.Risk]string{policy.NoRisk: "None", policy.LowRisk: "Low", policy.MediumRisk: "Medium", policy.HighRisk: "High"}
	methods  = map[string]string{"pwd": "Password", "otp": "Code of an authenticator app", "fido": "Passkey", "tap": "Temporary access pass", "rc": "Recovery code", "fed": "Another identity provider"}
)

// result is how a sign-in went.
func result(e *review.Entry) registry.Mark {
	switch {
	case e.Kind == review.Gap:
		return registry.Mark{Icon: "lives", Tone: "t-warn", Word: "Not written down"}
	case e.Error == 0:
		return registry.Mark{Icon: "ended", Tone: "t-ok", Word: "Success"}
	}
	return registry.Mark{Icon: "failed", Tone: "t-danger", Word: "Failure"}
}

// access is what the policies together said.
func access(e *review.Entry) registry.Mark {
	switch e.Status() {
	case review.Passed:
		return registry.Mark{Icon: "ended", Tone: "t-ok", Word: "Passed"}
	case review.Failed:
		return registry.Mark{Icon: "refused", Tone: "t-1", Word: "Refused or asked"}
	case review.NotApplied:
		return registry.Mark{Icon: "ring", Tone: "t-2", Word: "Did not apply"}
	}
	return registry.Mark{Icon: "ring", Tone: "t-3", Word: webkit.None}
}

func signInPath(id review.ID) string { return desk.PathSignIns + "/" + id.String() }

// who is how a page calls whose sign-in it was.
func who(e *review.Entry) string {
	for _, name := range []string{e.Display, e.UserName} {
		if name != "" {
			return name
		}
	}
	if e.Kind == review.AsItself {
		return app(e)
	}
	return "Nobody we know"
}

func app(e *review.Entry) string {
	if e.AppName != "" {
		return e.AppName
	}
	return string(e.App)
}

// place is where an address is, in words.
func place(e *review.Entry) string {
	return strings.Join(strings.Fields(strings.Join([]string{e.City, e.Country}, " ")), ", ")
}

func words(s string) registry.Cell {
	x := registry.Text(s)
	x.Wrap = true
	return x
}

// table lists sign-ins. Each leads to its page by its time.
func table(v *desk.Visit, all []review.Entry) *registry.Table {
	t := registry.NewTable("Sign-ins, newest first", "At", "Person", "Application", "Result", "Conditional access", "Address", "Kind")
	c := v.Clock(v.Now())
	for i := range all {
		e := &all[i]
		if e.Kind == review.Gap {
			t.Add("", nil, registry.Text(c.When(e.At)), words(webkit.Num(e.Missing)+" before this are missing: the log could not keep up."), registry.Text(""), registry.Cell{Mark: result(e)}, registry.Text(""), registry.Text(""), registry.Text(""))
			continue
		}
		person := registry.Cell{Text: who(e), Wrap: true}
		if !e.User.IsZero() {
			person.URL = desk.UserPath(e.User.String())
		}
		if e.UserName != "" && e.Display != "" {
			person.Sub = e.UserName
		}
		why := registry.Cell{Mark: result(e), Wrap: true}
		if e.Error != 0 {
			why.Sub = e.Reason
		}
		from := registry.Cell{Text: e.IP, Mono: true, Sub: place(e)}
		if e.IP == "" {
			from = registry.Text("")
		}
		t.Add("", nil, registry.Cell{Text: c.Sec(e.At), URL: signInPath(e.ID)}, person, registry.Cell{Text: app(e), Sub: resource(e), Wrap: true}, why, registry.Cell{Mark: access(e)}, from, registry.Text(kinds[e.Kind]))
	}
	return t
}

func resource(e *review.Entry) string {
	if e.ResourceName != "" {
		return e.ResourceName
	}
	return string(e.Resource)
}

func (s *Server) getSignIn(v *desk.Visit) error {
	var id review.ID
	if err := id.UnmarshalText([]byte(v.R.PathValue("id"))); err != nil {
		return fault.New(fault.NotFound, "There is no such sign-in, or it is not kept any more.")
	}
	e, err := s.Review.SignIn(v.Ctx(), v.Actor, id)
	if err != nil {
		return err
	}
	c := v.Clock(v.Now())
	name := who(e) + ", " + c.When(e.At)
	view := desk.Thing{Icon: "list", Name: name, ID: e.ID.String(), Chips: []registry.Mark{result(e)}}
	if e.Status() != 0 {
		x := access(e)
		x.Word = "Conditional access: " + strings.ToLower(x.Word)
		view.Chips = append(view.Chips, x)
	}
	view.Cards = []registry.Card{s.facts(v, e), applied(e)}
	view.Shell = v.Shell(name)
	view.Crumbs = []webkit.Link{v.In(), {Text: name}}
	return desk.Show(v, desk.ThingPage, http.StatusOK, view)
}

// facts are a sign-in in plain words. What is not known is left out, where it says
// nothing, or a dash, where its absence matters.
func (s *Server) facts(v *desk.Visit, e *review.Entry) registry.Card {
	card := registry.Card{Title: "What happened"}
	add := func(label string, mono bool, remark string, values ...string) {
		var all []string
		for _, x := range values {
			if x != "" {
				all = append(all, x)
			}
		}
		if len(all) > 0 {
			card.Facts = append(card.Facts, registry.Fact{Label: label, Values: all, Remark: remark, Mono: mono})
		}
	}
	c := v.Clock(v.Now())
	if e.Error != 0 {
		add("Why not", false, "AADSTS"+plain(e.Error), e.Reason)
	}
	add("At", false, c.Zone(), e.At.In(c.Now.Location()).Format("Monday 2 January 2006, 15:04:05.000"))
	add("Person", false, "", who(e), e.UserName)
	add("Application", false, "", app(e))
	add("Resource", false, "", resource(e))
	add("By", false, kinds[e.Kind], flow(e.Flow))
	add("Address", true, place(e), e.IP)
	add("Program", false, "", programs[e.Program], e.Agent)
	var given []string
	for _, m := range e.Methods {
		if w := methods[m]; w != "" {
			given = append(given, w)
		}
	}
	add("Given", false, "", given...)
	if !e.Device.IsZero() {
		add("Device", true, map[policy.Tri]string{policy.Yes: "Compliant", policy.No: "Not compliant"}[e.Compliant], e.Device.String())
	}
	add("Risk of the sign-in", false, "", risks[e.SignInRisk])
	add("Risk of the account", false, "", risks[e.UserRisk])
	add("Session", true, "", zero(e.Session.IsZero(), e.Session.String()))
	add("Grant", true, "", zero(e.Grant.IsZero(), e.Grant.String()))
	add("Access token", true, "", e.Token)
	add("Request", true, "", e.Request)
	return card
}

func zero(is bool, text string) string {
	if is {
		return ""
	}
	return text
}

func flow(word string) string {
	if w := flows[word]; w != "" {
		return w
	}
	return word
}

// outcomes are what a policy did, in words.
var outcomes = map[policy.Outcome]registry.Mark{
	policy.Success: {Icon: "ended", Tone: "t-ok", Word: "Satisfied"}, policy.Failure: {Icon: "failed", Tone: "t-danger", Word: "Refused, or asked for more"}, policy.NotApplied: {Icon: "ring", Tone: "t-2", Word: "Did not apply"},
	policy.ReportSuccess: {Icon: "eye", Tone: "t-2", Word: "Would be satisfied"}, policy.ReportFailure: {Icon: "eye", Tone: "t-danger", Word: "Would refuse"}, policy.ReportInterrupted: {Icon: "eye", Tone: "t-warn", Word: "Would ask for more"}, policy.ReportNotApplied: {Icon: "ring", Tone: "t-2", Word: "Would not apply"},
}

// applied is every policy that was looked at, those that applied first.
func applied(e *review.Entry) registry.Card {
	card := registry.Card{Title: "Policies", Empty: "No policy was asked.", Table: registry.NewTable("Policies", "Policy", "What it did", "Demands", "Limits")}
	if e.Applied == nil {
		return card
	}
	for _, idle := range []bool{false, true} {
		for _, r := range e.Applied.Policies {
			if (r.Outcome == policy.NotApplied || r.Outcome == policy.ReportNotApplied) != idle {
				continue
			}
			m, ok := outcomes[r.Outcome]
			if !ok {
				m = registry.Mark{Icon: "ring", Tone: "t-2", Word: string(r.Outcome)}
			}
			to := desk.PolicyPath(r.ID)
			if r.ID == review.Spared {
				to = desk.PathSpared
			}
			card.Table.Add("", nil, registry.Cell{Text: r.Name, URL: to, Wrap: true}, registry.Cell{Mark: m, Wrap: true}, words(inWords(r.Demands, registry.Demand)), words(inWords(r.Limits, registry.Limit)))
		}
	}
	return card
}

// Tab is the tab on the profile of a person.
func (s *Server) Tab() desk.UserTab {
	return desk.UserTab{Word: "sign-ins", Text: "Sign-ins", Cards: func(v *desk.Visit, o *desk.Offers, p desk.Person) ([]registry.Card, error) {
		a := &asked{path: desk.UserPath(p.ID.String()), Query: review.Query{User: p.ID}, fields: map[string][]string{"tab": {"sign-ins"}}}
		card := registry.Card{Title: "Sign-ins", Hint: "newest first", Empty: "No sign-in is written down."}
		all, next, err := s.read(v, a.Query)
		if fault.Is(err, fault.Denied) || fault.Is(err, fault.NotFound) {
			card.Empty = fault.Public(err)
			return []registry.Card{card}, nil
		}
		if err != nil {
			return nil, err
		}
		card.Table = table(v, all)
		if !next.IsZero() {
			card.From, card.NextURL = v.At(), v.Next(len(all), a.with("before", next.String()))
			if len(all) == 0 {
				card.Empty = "None in the part of the log that was looked at."
			}
		}
		return []registry.Card{card}, nil
	}}
}

// plain is a number of a protocol, which is not grouped.
func plain(n int) string { return strings.ReplaceAll(webkit.Num(n), ",", "") }

func inWords(names []string, word func(string) string) string {
	var all []string
	for _, n := range names {
		all = append(all, word(n))
	}
	return webkit.And(all)
}
