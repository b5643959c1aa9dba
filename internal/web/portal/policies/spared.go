package policies

import (
	"net/http"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/govern"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/receipt"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

func (s *Server) getSpared(v *desk.Visit) error {
	all, err := s.Govern.SparedAccounts(v.Ctx(), v.Actor)
	if err != nil {
		return err
	}
	o := v.Offers()
	view := desk.Thing{Name: "Spared accounts", Done: done(v.Q.Get("done")), Commands: []desk.Command{o.Command(Spare, role.UpdateSpared, role.Target{}, desk.PathSpared+"/add")}}
	card := registry.Card{Title: "No policy touches them", Note: "For the day on which a policy locks everybody else out. Keep two that hold Global Administrator, with a long password in a safe; each of their sign-ins is worth a look.",
		Empty: "No account is spared. If a policy locks everybody out, nobody can put it right.", Command: "curfew policy spare add breakglass@contoso.example", Table: registry.NewTable("Spared accounts", "Name", "User name", "Status", "Role", "Last used")}
	c := v.Clock(v.Now())
	for _, x := range all {
		id := x.User.ID.String()
		help := registry.Cell{Mark: registry.Mark{Icon: "star", Tone: "t-1", Word: "Global Administrator"}}
		if !x.Admin {
			help = registry.Cell{Mark: registry.Mark{Icon: "lives", Tone: "t-warn", Word: "Not a Global Administrator"}, Sub: "It helps nobody on that day.", Wrap: true}
		}
		used := registry.Text("")
		if !x.LastUsed.IsZero() {
			used = registry.Text(c.When(x.LastUsed))
		}
		card.Table.Add(desk.Calling(x.User), []registry.Button{o.Button(SpareNoMore, role.UpdateSpared, role.Target{}, desk.PathSpared+"/"+id+"/remove")},
			registry.Cell{Text: desk.Calling(x.User), URL: desk.UserPath(id), Wrap: true}, registry.Mono(x.User.Name), registry.Cell{Mark: registry.Enabled(x.User.Enabled)}, help, used)
	}
	view.Cards, view.Refusal = []registry.Card{card}, o.Refusal(directory.UserID{}, "", desk.PathSpared)
	view.Shell = v.Shell("Spared accounts")
	view.Crumbs = []webkit.Link{v.In(), {Text: "Spared accounts"}}
	return desk.Show(v, desk.ThingPage, http.StatusOK, view)
}

func (s *Server) spareConfirm(v *desk.Visit, verb desk.Verb, question string) *desk.Confirm {
	c := &desk.Confirm{Verb: verb, Question: question, Action: v.R.URL.EscapedPath(), KeepURL: desk.PathSpared, ReasonHint: "Goes into the audit log.", ReasonRequired: true}
	o := v.Offers()
	o.Command(verb, role.UpdateSpared, role.Target{}, "")
	c.Refusal = o.Refusal(directory.UserID{}, "", desk.PathSpared)
	return c
}

func (s *Server) spareOne(v *desk.Visit) (*desk.Confirm, error) {
	if _, err := s.Govern.SparedAccounts(v.Ctx(), v.Actor); err != nil {
		return nil, err
	}
	c := s.spareConfirm(v, Spare, "Spare an account of all policies?")
	c.Undo = "Can be taken back."
	c.Extra = []webkit.Field{{Name: "who", Label: "Who", Hint: "The whole user name, or the object id.", Autocomplete: "off", Max: 300, Required: true, Autofocus: true}}
	c.Consequences = []desk.Consequence{{Kind: receipt.AtOnce, What: "No policy", When: "touches it any more", Why: "It gets in with its password alone, from everywhere, for as long as its sessions last."}}
	return c, nil
}

func (s *Server) getSpare(v *desk.Visit) error {
	c, err := s.spareOne(v)
	if err != nil {
		return err
	}
	return c.Show(v, http.StatusOK)
}

func (s *Server) postSpare(v *desk.Visit) error {
	return v.Submit(func() (*desk.Confirm, error) { return s.spareOne(v) }, func(f webkit.Form) error {
		ref := strings.TrimSpace(f.Get("who"))
		if err := reasoned(v, f); err != nil {
			return err
		}
		if ref == "" {
			return &desk.Mistake{Field: "who", Text: "Write who"}
		}
		u, err := s.Manage.User(v.Ctx(), v.Actor, ref)
		if fault.Is(err, fault.NotFound) {
			return &desk.Mistake{Field: "who", Text: "There is nobody of that name"}
		}
		if err != nil {
			return err
		}
		if _, err := s.Govern.Spare(v.Ctx(), v.Actor, u.User.ID, true, govern.How{Act: manage.Act{Reason: f.Get("reason")}}); err != nil {
			return err
		}
		return v.To(desk.PathSpared + "?done=spared")
	})
}

// reasoned asks those who may for a reason; the others are refused by the verb.
func reasoned(v *desk.Visit, f webkit.Form) error {
	if strings.TrimSpace(f.Get("reason")) == "" && role.Allowed(v.Actor, role.UpdateSpared, role.Target{}).OK {
		return &desk.Mistake{Field: "reason", Text: "Give a reason"}
	}
	return nil
}

// spared finds the account that the address names.
func (s *Server) spared(v *desk.Visit) (*govern.Spared, error) {
	all, err := s.Govern.SparedAccounts(v.Ctx(), v.Actor)
	if err != nil {
		return nil, err
	}
	for _, x := range all {
		if x.User.ID.String() == v.R.PathValue("id") {
			return &x, nil
		}
	}
	return nil, desk.ErrNoPart
}

func (s *Server) spareNoMore(v *desk.Visit) (*desk.Confirm, *govern.Spared, error) {
	x, err := s.spared(v)
	if err != nil {
		return nil, nil, err
	}
	c := s.spareConfirm(v, SpareNoMore, "Let policies hold for "+desk.Calling(x.User)+" again?")
	c.Undo = "Can be spared again."
	if c.Refusal == nil {
		e, err := s.Govern.Spare(v.Ctx(), v.Actor, x.User.ID, false, govern.How{Act: manage.Act{DryRun: true}, Force: true})
		if err != nil {
			return nil, nil, err
		}
		b, err := s.book(v)
		if err != nil {
			return nil, nil, err
		}
		c.Consequences, c.Intro, c.Refusal = b.consequences(e), part(e), lockedOut(e)
	}
	return c, x, nil
}

func (s *Server) getSpareNoMore(v *desk.Visit) error {
	c, _, err := s.spareNoMore(v)
	if err != nil {
		return err
	}
	return c.Show(v, http.StatusOK)
}

func (s *Server) postSpareNoMore(v *desk.Visit) error {
	x, err := s.spared(v)
	if err != nil {
		return err
	}
	return v.Submit(func() (*desk.Confirm, error) { c, _, err := s.spareNoMore(v); return c, err }, func(f webkit.Form) error {
		if err := reasoned(v, f); err != nil {
			return err
		}
		if _, err := s.Govern.Spare(v.Ctx(), v.Actor, x.User.ID, false, govern.How{Act: manage.Act{Reason: f.Get("reason")}}); err != nil {
			return err
		}
		return v.To(desk.PathSpared + "?done=unspared")
	})
}
