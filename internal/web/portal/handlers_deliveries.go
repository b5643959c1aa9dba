package portal

import (
	"net/http"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/deliver"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// deliveryVerbs are the verbs on deliveries, by their word in the address.
var deliveryVerbs = map[string]Verb{registry.WakeRecipient: WakeRecipient, registry.RetryLetter: RetryLetter, registry.DropLetter: DropLetter}

// mayDeliver says beforehand what the verbs will say.
func (v *visit) mayDeliver(verbs ...Verb) (bool, *Refusal) {
	d := role.Allowed(v.Actor, role.UpdateApp, role.Target{})
	ds := make([]role.Decision, len(verbs))
	for i := range ds {
		ds[i] = d
	}
	return d.OK, v.refusal(verbs, ds, directory.UserID{}, "", PathDeliveries)
}

func (s *Server) getDeliveries(v *visit) error {
	all, err := s.Deliver.Recipients(v.ctx(), v.Actor)
	if err != nil {
		return err
	}
	var after deliver.LetterID
	if text := v.q.Get("after"); text != "" {
		if err := after.UnmarshalText([]byte(text)); err != nil {
			return fault.New(fault.Invalid, "This is not a page of this list.")
		}
	}
	letters, err := s.Deliver.Letters(v.ctx(), v.Actor, after, listSize+1)
	if err != nil {
		return err
	}
	next := ""
	if len(letters) > listSize {
		letters = letters[:listSize]
		next = v.next(listSize, PathDeliveries+"?after="+letters[listSize-1].ID.String())
	}
	may, n := v.mayDeliver(RetryLetter, DropLetter)
	if len(letters) == 0 && registry.Failing(all) == 0 {
		n = nil // nothing is offered
	}
	page := v.cards()
	page.Offer = func(word, part string) registry.Button {
		return button(deliveryVerbs[word], deliveryPath(deliveryVerbs[word], part), !may)
	}
	var head cutoff.Pos
	o := s.vitals.overview(func() (*relay.Overview, error) { return s.Relay.Overview(v.ctx(), v.Actor) })
	if o != nil {
		head = o.Head
	}
	dead := page.Letters(v.named(letters, all))
	dead.From, dead.NextURL = v.at(), next
	view := Thing{Shell: v.shell("Deliveries"), Name: "Deliveries", Refusal: n, Done: map[string]string{"told": "The application was told, and confirmed it.", "dropped": "The letter was dropped. The application is not told.", "woken": "The application is being asked now."}[v.q.Get("done")],
		Cards: []registry.Card{page.Recipients(all, head, o != nil, AppPath), dead}}
	return show(v, thingPage, http.StatusOK, view)
}

// named adds the names of what letters are about.
func (v *visit) named(letters []deliver.Letter, all []deliver.Recipient) (out []registry.Letter) {
	people := map[directory.UserID]string{}
	for _, l := range letters {
		x := registry.Letter{Letter: l, Act: act(string(l.Cause), "user")}
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
			if u, err := v.s.Manage.User(v.ctx(), v.Actor, l.User.String()); err == nil {
				people[l.User] = calling(u.User)
			}
		}
		x.Whose = people[l.User]
		out = append(out, x)
	}
	return out
}

// letter finds the dead letter that the address names.
func (v *visit) letter(id deliver.LetterID, all []deliver.Recipient) (registry.Letter, error) {
	var after deliver.LetterID
	for {
		page, err := v.s.Deliver.Letters(v.ctx(), v.Actor, after, deliver.MaxLetters)
		if err != nil {
			return registry.Letter{}, err
		}
		for _, l := range page {
			if l.ID == id {
				return v.named([]deliver.Letter{l}, all)[0], nil
			}
		}
		if len(page) < deliver.MaxLetters {
			return registry.Letter{}, errNoPart
		}
		after = page[len(page)-1].ID
	}
}

// delivery is the confirmation of a verb on a recipient or a letter, and what does it.
func (v *visit) delivery() (c *Confirm, do func(deliver.Act) error, word string, err error) {
	verb, ok := deliveryVerbs[v.r.PathValue("verb")]
	if !ok {
		return nil, nil, "", fault.New(fault.NotFound, "There is no such page.")
	}
	all, err := v.s.Deliver.Recipients(v.ctx(), v.Actor)
	if err != nil {
		return nil, nil, "", err
	}
	_, n := v.mayDeliver(verb)
	c = &Confirm{Verb: verb, Action: v.r.URL.EscapedPath(), KeepURL: PathDeliveries, Undo: cannotUndo, ReasonHint: "Goes into the audit log.", Refusal: n}
	if verb == WakeRecipient {
		for _, r := range all {
			if string(r.App) == v.r.PathValue("part") && r.State == deliver.Failing {
				c.put(registry.AskWake(r))
				return c, func(a deliver.Act) error { return v.s.Deliver.Wake(v.ctx(), v.Actor, r.App, a) }, "woken", nil
			}
		}
		return nil, nil, "", errNoPart
	}
	var id deliver.LetterID
	if id.UnmarshalText([]byte(v.r.PathValue("part"))) != nil {
		return nil, nil, "", errNoPart
	}
	l, err := v.letter(id, all)
	if err != nil {
		return nil, nil, "", err
	}
	if verb == RetryLetter {
		c.put(registry.AskRetry(l))
		return c, func(a deliver.Act) error { return v.s.Deliver.Retry(v.ctx(), v.Actor, id, a) }, "told", nil
	}
	c.put(registry.AskDrop(l))
	return c, func(a deliver.Act) error { return v.s.Deliver.Drop(v.ctx(), v.Actor, id, a) }, "dropped", nil
}

func (s *Server) getDelivery(v *visit) error {
	c, _, _, err := v.delivery()
	if err != nil {
		return err
	}
	return c.show(v, http.StatusOK)
}

func (s *Server) postDelivery(v *visit) error {
	c, do, word, err := v.delivery()
	if err != nil {
		return err
	}
	return v.submit(func() (*Confirm, error) { return c, nil }, func(f webkit.Form) error {
		if c.unreasoned(f) {
			return &mistake{"reason", "Give a reason"}
		}
		if err := do(deliver.Act{Reason: f.Get("reason")}); err != nil {
			return err
		}
		return v.to(PathDeliveries + "?done=" + word)
	})
}

// undelivered is what the overview says about deliveries that fail; nothing to those
// who may not see them.
func (v *visit) undelivered() (needs []Need) {
	all, err := v.s.Deliver.Recipients(v.ctx(), v.Actor)
	if err != nil {
		return nil
	}
	look := webkit.Link{Text: "Deliveries", URL: PathDeliveries}
	c := v.clock(v.s.now())
	for _, r := range all {
		name := r.Name
		if name == "" {
			name = string(r.App)
		}
		if r.State == deliver.Failing {
			needs = append(needs, Need{Failed, name + " cannot be told since " + c.When(r.Failing), "Back-channel logout: " + r.Error + " Next try " + c.Sec(r.Next) + ".", look})
		}
		if r.DeadLetters > 0 {
			needs = append(needs, Need{Failed, webkit.Count(r.DeadLetters, "notice", "notices") + " to " + name + " given up", "Its own sessions may still be open.", look})
		}
	}
	return needs
}
