package person

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/device"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/factor"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/receipt"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Server serves these tabs and confirmations. All of it is needed.
type Server struct {
	*desk.Desk
	Factor *factor.Service
	Device *device.Service
}

// The verbs on methods.
var (
	RemoveMethod = desk.Verb{Slug: "remove", Label: "Remove", Busy: "Removing…", Keep: "Keep method", Icon: "x", Doing: "take a method away", Cuts: true}
	ResetMethods = desk.Verb{Slug: "reset", Label: "Reset methods", Busy: "Resetting…", Keep: "Keep methods", Icon: "renew", Doing: "take methods away", Cuts: true}
	GivePass     = desk.Verb{Slug: "pass", Label: "Temporary access pass", Busy: "Making…", Keep: "Give none", Icon: "key", Doing: "give a temporary access pass"}
)

// Register adds the routes to a mux that webkit.Browser wraps.
func (s *Server) Register(mux *http.ServeMux) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		mux.HandleFunc(method+" "+desk.PathUsers+"/{id}/methods/{verb}", s.Page(desk.SectionUsers, s.act))
		mux.HandleFunc(method+" "+desk.PathUsers+"/{id}/methods/{verb}/{part}", s.Page(desk.SectionUsers, s.act))
		mux.HandleFunc(method+" "+desk.PathDevices+"/{id}/{verb}", s.Page(desk.SectionDevices, s.actDevice))
	}
	mux.HandleFunc("GET "+desk.PathDevices, s.Page(desk.SectionDevices, s.getDevices))
}

const methodsWord = "methods"

func tab(id directory.UserID) string { return desk.UserPath(id.String()) + "?tab=" + methodsWord }

func methodPath(id directory.UserID, verb desk.Verb, part string) string {
	path := desk.UserPath(id.String()) + "/methods/" + verb.Slug
	if part != "" {
		path += "/" + url.PathEscape(part)
	}
	return path
}

// kinds are the kinds of methods in words.
var kinds = map[directory.MethodKind]registry.Mark{directory.MethodTOTP: {Icon: "phone", Tone: "t-1", Word: "Authenticator app"}, directory.MethodPasskey: {Icon: "key", Tone: "t-1", Word: "Passkey"},
	directory.MethodCodes: {Icon: "list", Tone: "t-1", Word: "Recovery codes"}, directory.MethodPass: {Icon: "waiting", Tone: "t-1", Word: "Temporary access pass"}}

func called(m factor.Method) string {
	word := kinds[m.Kind].Word
	if m.Name != "" && !strings.EqualFold(m.Name, word) {
		return word + " " + m.Name
	}
	return word
}

// Methods is the tab.
func (s *Server) Methods() desk.UserTab {
	return desk.UserTab{Word: methodsWord, Text: "Methods", Cards: func(v *desk.Visit, o *desk.Offers, p desk.Person) ([]registry.Card, error) {
		card := registry.Card{Title: "Methods", Hint: "beside the password", Empty: p.Name + " has registered none: a password is all that can be given.", Table: registry.NewTable("Methods", "Method", "Name", "Added", "Last used", "Remark")}
		who, err := s.Factor.Methods(v.Ctx(), v.Actor, p.ID.String())
		if fault.Is(err, fault.Denied) {
			return []registry.Card{{Title: "Methods", Empty: fault.Public(err)}}, nil
		}
		if err != nil {
			return nil, err
		}
		c := v.Clock(v.Now())
		when := func(at time.Time) registry.Cell {
			if at.IsZero() {
				return registry.Cell{Text: "never", Soft: true}
			}
			return registry.Text(c.When(at))
		}
		for _, m := range who.Methods {
			remark := registry.Text("")
			switch {
			case m.Kind == directory.MethodCodes:
				remark = registry.Text(webkit.Count(m.Left, "code left", "codes left"))
			case !m.Expires.IsZero() && !m.Expires.After(v.Now()):
				remark = registry.Cell{Mark: registry.Mark{Icon: "disabled", Tone: "t-2", Word: "Ended " + c.When(m.Expires)}}
			case m.Kind == directory.MethodPass:
				remark = registry.Cell{Mark: registry.Mark{Icon: "lives", Tone: "t-warn", Word: "Until " + c.When(m.Expires)}, Sub: map[bool]string{true: "good once"}[m.Once]}
			case m.Synced:
				remark = registry.Cell{Text: "Its owner's other devices may have it, too", Wrap: true}
			}
			name := registry.Text(m.Name)
			name.Wrap = true
			card.Table.Add("of "+called(m), []registry.Button{o.Button(RemoveMethod, role.DeleteMethod, p.Target, methodPath(p.ID, RemoveMethod, m.ID.String()))},
				registry.Cell{Mark: kinds[m.Kind], Text: called(m)}, name, when(m.Created), when(m.Used), remark)
		}
		card.Acts = []registry.Button{o.Button(GivePass, role.CreateMethod, p.Target, methodPath(p.ID, GivePass, ""))}
		if len(who.Methods) > 0 {
			card.Acts = append(card.Acts, o.Button(ResetMethods, role.DeleteMethod, p.Target, methodPath(p.ID, ResetMethods, "")))
		}
		return []registry.Card{card}, nil
	}}
}

// question is the confirmation of a verb on somebody's methods, and what does it: it
// returns where to go on, or nothing when it has answered itself.
type question struct {
	*desk.Confirm
	do func(webkit.Form, manage.Act) (string, error)
}

// ask builds the confirmation that the address names.
func (s *Server) ask(v *desk.Visit) (*question, error) {
	u, err := s.Manage.User(v.Ctx(), v.Actor, v.R.PathValue("id"))
	if err != nil {
		return nil, err
	}
	id, name, part := u.User.ID, desk.Calling(u.User), v.R.PathValue("part")
	target := role.Target{ID: id, Held: u.Held, Service: u.User.Service}
	c := &desk.Confirm{Action: v.R.URL.EscapedPath(), KeepURL: tab(id), Undo: desk.CannotUndo, ReasonHint: "Goes on the receipt and into the audit log."}
	q := &question{Confirm: c}
	// Who may not read the methods may not do anything to them; the notice says so.
	who, err := s.Factor.Methods(v.Ctx(), v.Actor, id.String())
	if err != nil && !fault.Is(err, fault.Denied) {
		return nil, err
	}
	action := role.DeleteMethod
	switch slug := v.R.PathValue("verb"); {
	case slug == RemoveMethod.Slug && part != "":
		c.Verb, c.Question = RemoveMethod, "Remove a method of "+name+"?"
		if who != nil {
			m, err := find(who, part)
			if err != nil {
				return nil, err
			}
			c.Question = "Remove " + called(*m) + " of " + name + "?"
			q.do = func(_ webkit.Form, act manage.Act) (string, error) {
				r, err := s.Factor.RemoveOf(v.Ctx(), v.Actor, id.String(), m.Kind, m.ID, act)
				return after(v, tab(id), onProfile(id, r)), err
			}
		}
	case slug == ResetMethods.Slug && part == "":
		c.Verb, c.Question = ResetMethods, "Reset the methods of "+name+"?"
		if who != nil && len(who.Methods) == 0 {
			return nil, desk.ErrNoPart
		}
		q.do = func(_ webkit.Form, act manage.Act) (string, error) {
			r, err := s.Factor.Reset(v.Ctx(), v.Actor, id.String(), act)
			return after(v, tab(id), onProfile(id, r)), err
		}
	case slug == GivePass.Slug && part == "":
		action, c.Verb, c.Question, c.Undo = role.CreateMethod, GivePass, "Give "+name+" a temporary access pass?", "Can be taken away again."
		c.Intro = "It is shown once. Whoever has it signs in as " + name + ", with both factors, and can register methods."
		c.Extra = []webkit.Field{{Name: "life", Label: "It ends after", Hint: "10 minutes to 30 days, such as 1 hour.", Value: webkit.Span(factor.DefaultPass), Autocomplete: "off", Max: 40, Autofocus: true}, {Name: "once", Label: "Good once", Hint: "It ends with the first sign-in.", Check: true}}
		q.do = func(f webkit.Form, act manage.Act) (string, error) { return "", s.give(v, id, name, f, act) }
	default:
		return nil, fault.New(fault.NotFound, "There is no such page.")
	}
	o := v.Offers()
	o.May(c.Verb, action, target)
	c.Refusal = o.Refusal(id, name, tab(id))
	if c.Refusal != nil {
		return q, nil
	}
	replaced := who != nil && hasPass(who, v.Now())
	if action == role.CreateMethod && !replaced {
		c.Consequences = []desk.Consequence{{Kind: receipt.EndUnknown, What: "What is signed in", When: "stays as it is"}}
		return q, nil
	}
	x, err := v.Exposure(id)
	if err != nil {
		return nil, err
	}
	c.Consequences = append(v.Consequences(x, len(x.Sessions), len(x.Grants), desk.Tokens(x)), stays(c.Verb))
	if replaced && action == role.CreateMethod {
		c.Intro += " It takes the place of the pass that is still good, and ends what was signed in."
	}
	return q, nil
}

func stays(verb desk.Verb) desk.Consequence {
	c := desk.Consequence{Kind: receipt.EndUnknown, What: "The password", When: "stays as it is", Why: "Signing in needs a method again only where a policy asks for two factors."}
	if verb.Slug == ResetMethods.Slug {
		c.Why = "Methods have to be registered anew, where policies let somebody do so."
	}
	return c
}

func hasPass(who *factor.Person, now time.Time) bool {
	for _, m := range who.Methods {
		if m.Kind == directory.MethodPass && (m.Expires.IsZero() || m.Expires.After(now)) {
			return true
		}
	}
	return false
}

func find(who *factor.Person, part string) (*factor.Method, error) {
	for i := range who.Methods {
		if who.Methods[i].ID.String() == part {
			return &who.Methods[i], nil
		}
	}
	return nil, desk.ErrNoPart
}

// after is where to go on: to the receipt of what ended, for those who may read it,
// or back.
func after(v *desk.Visit, back, receipt string) string {
	if receipt != "" && role.Allowed(v.Actor, role.ReadReceipts, role.Target{}).OK {
		return receipt
	}
	return back
}

// onProfile is where the receipt of what ended is shown on somebody's profile; empty:
// nothing did.
func onProfile(id directory.UserID, r *factor.Receipt) string {
	if r == nil {
		return ""
	}
	return desk.UserPath(id.String()) + "?receipt=" + url.QueryEscape(r.ID)
}

// give makes a pass and shows it, in the answer to the post itself: it is stored
// nowhere.
func (s *Server) give(v *desk.Visit, id directory.UserID, name string, f webkit.Form, act manage.Act) error {
	wish := factor.PassWish{Once: f.Has("once")}
	var err error
	if wish.Life, err = registry.ReadSpan(f.Get("life")); err != nil {
		return &desk.Mistake{Field: "life", Text: strings.TrimSuffix(fault.Public(err), ".")}
	}
	made, err := s.Factor.IssuePass(v.Ctx(), v.Actor, id.String(), wish, act)
	if fault.Is(err, fault.Invalid) {
		return &desk.Mistake{Field: "life", Text: strings.TrimSuffix(fault.Public(err), ".")}
	}
	if err != nil {
		return err
	}
	view := desk.Once{Shell: v.Shell("Temporary access pass for " + name), Heading: "Temporary access pass for " + name, Label: "Pass", Secret: made.Value, Copy: "Copy pass",
		Hint: "Shown once, now. It ends " + v.Clock(v.Now()).When(made.Method.Expires) + ".", Back: webkit.Link{Text: "Back to " + name, URL: tab(id)}}
	if wish.Once {
		view.Hint = strings.TrimSuffix(view.Hint, ".") + ", or with the first sign-in."
	}
	if made.Receipt != nil {
		view.Rest = "The old pass ended at " + view.Milli(made.Receipt.At) + ", and what was signed in with it."
		if role.Allowed(v.Actor, role.ReadReceipts, role.Target{}).OK {
			view.ReceiptURL = desk.UserPath(id.String()) + "?receipt=" + url.QueryEscape(made.Receipt.ID)
		}
	}
	return desk.Show(v, desk.OncePage, http.StatusOK, view)
}

func (s *Server) act(v *desk.Visit) error {
	q, err := s.ask(v)
	if err != nil {
		return err
	}
	return answer(v, q)
}

// answer shows a question, or does what it asks.
func answer(v *desk.Visit, q *question) error {
	if v.R.Method != http.MethodPost {
		return q.Show(v, http.StatusOK)
	}
	return v.Submit(func() (*desk.Confirm, error) { return q.Confirm, nil }, func(f webkit.Form) error {
		if q.do == nil {
			return fault.New(fault.Denied, q.Refusal.Sentence)
		}
		where, err := q.do(f, manage.Act{Reason: f.Get("reason")})
		if err == nil && where != "" {
			return v.To(where)
		}
		return err
	})
}
