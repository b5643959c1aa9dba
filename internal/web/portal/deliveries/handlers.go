package deliveries

import (
	"net/http"
	"net/url"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/deliver"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/receipt"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Server serves the pages of deliveries.
type Server struct{ *desk.Desk }

// Register adds the routes to a mux that webkit.Browser wraps.
func (s *Server) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET "+desk.PathDeliveries, s.Page(desk.SectionDeliveries, s.getDeliveries))
	mux.HandleFunc("GET "+desk.PathDeliveries+"/{verb}/{part}", s.Page(desk.SectionDeliveries, s.getDelivery))
	mux.HandleFunc("POST "+desk.PathDeliveries+"/{verb}/{part}", s.Page(desk.SectionDeliveries, s.postDelivery))
}

// The verbs on deliveries.
var (
	WakeRecipient = desk.Verb{Slug: registry.WakeRecipient, Label: "Try now", Busy: "Asking…", Keep: "Wait", Icon: "renew", Doing: "try it now"}       // a failing application, now
	RetryLetter   = desk.Verb{Slug: registry.RetryLetter, Label: "Try again", Busy: "Asking…", Keep: "Keep letter", Icon: "renew", Doing: "try again"} // a dead letter
	DropLetter    = desk.Verb{Slug: registry.DropLetter, Label: "Drop", Busy: "Dropping…", Keep: "Keep letter", Icon: "x", Doing: "drop a letter", Cuts: true}
)

// path is the confirmation page of a verb on a recipient or a dead letter.
func path(v desk.Verb, part string) string {
	return desk.PathDeliveries + "/" + v.Slug + "/" + url.PathEscape(part)
}

// verbs are the verbs on deliveries, by their word in the address.
var verbs = map[string]desk.Verb{registry.WakeRecipient: WakeRecipient, registry.RetryLetter: RetryLetter, registry.DropLetter: DropLetter}

// may says beforehand what the verbs will say.
func (s *Server) may(v *desk.Visit, asked ...desk.Verb) (bool, *desk.Refusal) {
	d := role.Allowed(v.Actor, role.UpdateApp, role.Target{})
	ds := make([]role.Decision, len(asked))
	for i := range ds {
		ds[i] = d
	}
	return d.OK, v.Refusal(asked, ds, directory.UserID{}, "", desk.PathDeliveries)
}

func (s *Server) getDeliveries(v *desk.Visit) error {
	all, err := s.Deliver.Recipients(v.Ctx(), v.Actor)
	if err != nil {
		return err
	}
	var after deliver.LetterID
	if text := v.Q.Get("after"); text != "" {
		if err := after.UnmarshalText([]byte(text)); err != nil {
			return fault.New(fault.Invalid, "This is not a page of this list.")
		}
	}
	letters, err := s.Deliver.Letters(v.Ctx(), v.Actor, after, desk.ListSize+1)
	if err != nil {
		return err
	}
	next := ""
	if len(letters) > desk.ListSize {
		letters = letters[:desk.ListSize]
		next = v.Next(desk.ListSize, desk.PathDeliveries+"?after="+letters[desk.ListSize-1].ID.String())
	}
	ok, n := s.may(v, RetryLetter, DropLetter)
	if len(letters) == 0 && registry.Failing(all) == 0 {
		n = nil // nothing is offered
	}
	page := v.Cards()
	page.Offer = func(word, part string) registry.Button {
		return desk.Button(verbs[word], path(verbs[word], part), !ok)
	}
	var head cutoff.Pos
	o := v.Overview()
	if o != nil {
		head = o.Head
	}
	dead := page.Letters(s.named(v, letters, all))
	dead.From, dead.NextURL = v.At(), next
	view := desk.Thing{Shell: v.Shell("Deliveries"), Name: "Deliveries", Refusal: n, Done: map[string]string{"told": "The application was told, and confirmed it.", "dropped": "The letter was dropped. The application is not told.", "woken": "The application is being asked now."}[v.Q.Get("done")],
		Cards: []registry.Card{page.Recipients(all, head, o != nil, desk.AppPath), dead}}
	return desk.Show(v, desk.ThingPage, http.StatusOK, view)
}

// named adds the names of what letters are about.
func (s *Server) named(v *desk.Visit, letters []deliver.Letter, all []deliver.Recipient) (out []registry.Letter) {
	people := map[directory.UserID]string{}
	for _, l := range letters {
		x := registry.Letter{Letter: l, Act: receipt.Act(string(l.Cause), "user")}
		if l.Cause == "" {
			x.Act = "lost with the ledger's history"
		}
		for _, r := range all {
			if r.App == l.App {
				x.AppName = r.Name
			}
		}
		if _, known := people[l.User]; !known && !l.User.IsZero() {
			people[l.User] = ""
			if u, err := s.Manage.User(v.Ctx(), v.Actor, l.User.String()); err == nil {
				people[l.User] = desk.Calling(u.User)
			}
		}
		x.Whose = people[l.User]
		out = append(out, x)
	}
	return out
}

// letter finds the dead letter that the address names.
func (s *Server) letter(v *desk.Visit, id deliver.LetterID, all []deliver.Recipient) (registry.Letter, error) {
	var after deliver.LetterID
	for {
		page, err := s.Deliver.Letters(v.Ctx(), v.Actor, after, deliver.MaxLetters)
		if err != nil {
			return registry.Letter{}, err
		}
		for _, l := range page {
			if l.ID == id {
				return s.named(v, []deliver.Letter{l}, all)[0], nil
			}
		}
		if len(page) < deliver.MaxLetters {
			return registry.Letter{}, desk.ErrNoPart
		}
		after = page[len(page)-1].ID
	}
}

// delivery is the confirmation of a verb on a recipient or a letter, and what does it.
func (s *Server) delivery(v *desk.Visit) (c *desk.Confirm, do func(deliver.Act) error, word string, err error) {
	verb, ok := verbs[v.R.PathValue("verb")]
	if !ok {
		return nil, nil, "", fault.New(fault.NotFound, "There is no such page.")
	}
	all, err := s.Deliver.Recipients(v.Ctx(), v.Actor)
	if err != nil {
		return nil, nil, "", err
	}
	_, n := s.may(v, verb)
	c = &desk.Confirm{Verb: verb, Action: v.R.URL.EscapedPath(), KeepURL: desk.PathDeliveries, Undo: desk.CannotUndo, ReasonHint: "Goes into the audit log.", Refusal: n}
	if verb == WakeRecipient {
		for _, r := range all {
			if string(r.App) == v.R.PathValue("part") && r.State == deliver.Failing {
				c.Put(registry.AskWake(r))
				return c, func(a deliver.Act) error { return s.Deliver.Wake(v.Ctx(), v.Actor, r.App, a) }, "woken", nil
			}
		}
		return nil, nil, "", desk.ErrNoPart
	}
	var id deliver.LetterID
	if id.UnmarshalText([]byte(v.R.PathValue("part"))) != nil {
		return nil, nil, "", desk.ErrNoPart
	}
	l, err := s.letter(v, id, all)
	if err != nil {
		return nil, nil, "", err
	}
	if verb == RetryLetter {
		c.Put(registry.AskRetry(l))
		return c, func(a deliver.Act) error { return s.Deliver.Retry(v.Ctx(), v.Actor, id, a) }, "told", nil
	}
	c.Put(registry.AskDrop(l))
	return c, func(a deliver.Act) error { return s.Deliver.Drop(v.Ctx(), v.Actor, id, a) }, "dropped", nil
}

func (s *Server) getDelivery(v *desk.Visit) error {
	c, _, _, err := s.delivery(v)
	if err != nil {
		return err
	}
	return c.Show(v, http.StatusOK)
}

func (s *Server) postDelivery(v *desk.Visit) error {
	c, do, word, err := s.delivery(v)
	if err != nil {
		return err
	}
	return v.Submit(func() (*desk.Confirm, error) { return c, nil }, func(f webkit.Form) error {
		if c.Unreasoned(f) {
			return &desk.Mistake{Field: "reason", Text: "Give a reason"}
		}
		if err := do(deliver.Act{Reason: f.Get("reason")}); err != nil {
			return err
		}
		return v.To(desk.PathDeliveries + "?done=" + word)
	})
}
