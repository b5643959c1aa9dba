package portal

import (
	"net/http"
	"net/url"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// confirm begins the confirmation of a verb on a user.
func (v *visit) confirm(p *person, verb desk.Verb) *desk.Confirm {
	c := &desk.Confirm{Verb: verb, Action: v.R.URL.EscapedPath(), KeepURL: desk.UserPath(p.id), Undo: desk.CannotUndo,
		ReasonHint: "Goes on the receipt and into the audit log. " + p.first() + " does not see it."}
	d := role.Allowed(v.Actor, action[verb], p.target)
	c.Refusal = v.Refusal([]desk.Verb{verb}, []role.Decision{d}, p.User.ID, p.name, desk.UserPath(p.id))
	return c
}

// userConfirm is the confirmation of a verb on a whole user.
func (v *visit) userConfirm(p *person, verb desk.Verb) (*desk.Confirm, error) {
	c := v.confirm(p, verb)
	if verb == EnableAccount {
		c.Question, c.Undo = "Enable "+p.name+"'s account?", "Can be disabled again."
		c.Consequences = []desk.Consequence{{Kind: AtOnce, What: "New sign-ins", When: "work at once", Why: ""},
			{Kind: EndUnknown, What: "What had ended", When: "stays ended", Why: "Every browser and app has to sign in again."}}
		return c, nil
	}
	x, err := v.Exposure(p.User.ID)
	if err != nil {
		return nil, err
	}
	c.Consequences = v.Consequences(x, len(x.Sessions), len(x.Grants), desk.Tokens(x))
	switch verb {
	case RevokeSessions:
		c.Question = "Revoke " + p.name + "'s sessions?"
		why := "The account is disabled."
		if p.User.Enabled {
			why = p.first() + " can sign in again at once, unless you disable the account."
			if p.User.ID != v.User.ID && role.Allowed(v.Actor, role.DisableUser, p.target).OK {
				c.Widen = &webkit.Check{Name: "widen", Label: "Disable the account as well", Hint: "No new sign-in until somebody enables it again."}
			}
		}
		if !p.User.Service {
			c.Consequences = append(c.Consequences, desk.Consequence{Kind: EndUnknown, What: "Password and account", When: "stay as they are", Why: why})
		}
	case DisableAccount:
		c.Question, c.Undo = "Disable "+p.name+"'s account?", "Enabling again brings nothing back."
		c.Consequences = append(c.Consequences, desk.Consequence{Kind: AtOnce, What: "New sign-ins", When: "refused at once", Why: "Until somebody enables the account again."})
	case ResetPassword:
		c.Question = "Reset " + p.name + "'s password?"
		c.Consequences = append(c.Consequences, desk.Consequence{Kind: AtOnce, What: "The old password", When: "ends at once", Why: "You get a temporary one, shown once. " + p.first() + " must change it at the next sign-in."})
	}
	return c, nil
}

func (s *Server) getVerb(v *visit) error {
	verb, ok := ParseBulkVerb(v.R.PathValue("verb"))
	if !ok {
		return fault.New(fault.NotFound, "There is no such page.")
	}
	p, err := v.person()
	if err != nil {
		return err
	}
	c, err := v.userConfirm(p, verb)
	if err != nil {
		return err
	}
	return c.Show(v.Visit, http.StatusOK)
}

// onUser is the confirmed act on a user: do returns where to go on.
func (v *visit) onUser(verb desk.Verb, do func(*person, webkit.Form) (string, error)) error {
	p, err := v.person()
	if err != nil {
		return err
	}
	return v.Submit(func() (*desk.Confirm, error) { return v.userConfirm(p, verb) }, func(f webkit.Form) error {
		where, err := do(p, f)
		if err == nil && where != "" {
			v.To(where)
		}
		return err
	})
}

// profile is the page of a user after an act, with its receipt; word says what to
// tell when there is none.
func (v *visit) profile(id string, r *manage.Receipt, word string) string {
	if r == nil {
		return desk.UserPath(id) + "?done=" + word
	}
	v.keep(r)
	return desk.UserPath(id) + "?receipt=" + url.QueryEscape(r.ID)
}

// keep remembers a cut's tokens, with the names of their applications.
func (v *visit) keep(r *manage.Receipt) {
	v.s.cuts.Keep(r, func(id directory.AppID) string {
		if a, err := v.s.Manage.App(v.Ctx(), v.Actor, id); err == nil && a.Name != "" {
			return a.Name
		}
		return string(id)
	})
}

// postRevoke is the button: it reads the form and says who asks. The verb decides.
func (s *Server) postRevoke(v *visit) error {
	return v.onUser(RevokeSessions, func(p *person, f webkit.Form) (string, error) {
		if f.Has("widen") { // disabling ends everything, too: one act, one receipt
			r, err := s.Manage.SetEnabled(v.Ctx(), v.Actor, p.User.ID, false, manage.Act{Reason: f.Get("reason")})
			if err != nil || r != nil {
				return v.profile(p.id, r, ""), err
			}
		}
		res, err := s.Revoke.User(v.Ctx(), v.Actor, p.User.ID, revoke.Options{Reason: f.Get("reason")})
		return v.profile(p.id, res.Receipt, "already"), err
	})
}

func (s *Server) postDisable(v *visit) error { return v.postEnabled(DisableAccount, false, "disabled") }
func (s *Server) postEnable(v *visit) error  { return v.postEnabled(EnableAccount, true, "enabled") }

func (v *visit) postEnabled(verb desk.Verb, enabled bool, word string) error {
	return v.onUser(verb, func(p *person, f webkit.Form) (string, error) {
		r, err := v.s.Manage.SetEnabled(v.Ctx(), v.Actor, p.User.ID, enabled, manage.Act{Reason: f.Get("reason")})
		return v.profile(p.id, r, word), err
	})
}

// postReset shows the temporary password in its own answer: it is stored nowhere.
func (s *Server) postReset(v *visit) error {
	return v.onUser(ResetPassword, func(p *person, f webkit.Form) (string, error) {
		password, r, err := s.Manage.SetPassword(v.Ctx(), v.Actor, p.User.ID, "", true, manage.Act{Reason: f.Get("reason")})
		if err != nil {
			return "", err
		}
		view := desk.Once{Shell: v.Shell("New password for " + p.name), Heading: "New password for " + p.name, Facts: []registry.Fact{{Label: "User name", Values: []string{p.User.Name}}},
			Label: "Temporary password", Secret: password, Hint: "Shown once, now. It must be changed at the next sign-in.", Copy: "Copy password", Rest: "The old password ended.",
			Back: webkit.Link{Text: "Back to " + p.name, URL: desk.UserPath(p.id)}}
		if r != nil {
			view.ReceiptURL = v.profile(p.id, r, "")
			view.Rest = "The old password ended at " + view.Milli(r.At) + "."
			if r.Rest != nil {
				view.Rest = webkit.Count(r.Rest.Sessions, "browser session", "browser sessions") + " and " + webkit.Count(r.Rest.Grants, "grant", "grants") + " ended with the old password at " + view.Milli(r.At) + "."
			}
		}
		return "", desk.Show(v.Visit, desk.OncePage, http.StatusOK, view)
	})
}

// part finds a session or a grant of the exposure; nil sends to the profile, which
// says that it is over already.
func (v *visit) part(verb desk.Verb, pick func(*relay.Exposure, *desk.Confirm) bool) (*person, *desk.Confirm, error) {
	p, err := v.person()
	if err != nil {
		return nil, nil, err
	}
	x, err := v.Exposure(p.User.ID)
	if err != nil {
		return nil, nil, err
	}
	c := v.confirm(p, verb)
	if !pick(x, c) {
		return p, nil, nil
	}
	return p, c, nil
}

func (v *visit) sessionConfirm() (*person, *desk.Confirm, error) {
	return v.part(RevokeSession, func(x *relay.Exposure, c *desk.Confirm) bool {
		for _, b := range x.Sessions {
			if b.ID.String() != v.R.PathValue("session") {
				continue
			}
			device := b.Agent
			if device == "" {
				device = "this browser"
			}
			c.Question = "End the session in " + device + "?"
			c.Intro = "Signed in " + v.Clock(x.Now).When(b.AuthTime) + " from " + b.IP + "."
			if b.ID == v.Session.ID {
				c.Intro += " It is the one you are in."
			}
			grants := 0
			var ts []relay.TokenView
			for _, g := range x.Grants {
				if g.Session == b.ID {
					grants++
					ts = append(ts, g.Tokens...)
				}
			}
			c.Consequences = append(v.Consequences(x, 1, grants, ts), desk.Consequence{Kind: EndUnknown, What: "Other browsers and apps", When: "stay as they are", Why: ""})
			return true
		}
		return false
	})
}

func (v *visit) grantConfirm() (*person, *desk.Confirm, error) {
	return v.part(RevokeGrant, func(x *relay.Exposure, c *desk.Confirm) bool {
		for _, g := range x.Grants {
			if g.ID.String() != v.R.PathValue("grant") {
				continue
			}
			c.Question = "Revoke the grant of " + g.AppName + "?"
			c.Consequences = append(v.Consequences(x, 0, 1, g.Tokens), desk.Consequence{Kind: EndUnknown, What: "Browser sessions", When: "stay as they are", Why: g.AppName + " can get a new grant in a browser that is signed in."})
			return true
		}
		return false
	})
}

func (s *Server) getSession(v *visit) error { return v.getPart(v.sessionConfirm) }
func (s *Server) getGrant(v *visit) error   { return v.getPart(v.grantConfirm) }

func (v *visit) getPart(build func() (*person, *desk.Confirm, error)) error {
	p, c, err := build()
	if err != nil {
		return err
	}
	if c == nil {
		return v.To(desk.UserPath(p.id) + "?done=already")
	}
	return c.Show(v.Visit, http.StatusOK)
}

func (s *Server) postSession(v *visit) error {
	id, err := directory.ParseID[directory.Session](v.R.PathValue("session"))
	if err != nil {
		return fault.New(fault.NotFound, "There is no such session.")
	}
	return v.postPart(v.sessionConfirm, func(o revoke.Options) (revoke.Result, error) { return s.Revoke.Session(v.Ctx(), v.Actor, id, o) })
}

func (s *Server) postGrant(v *visit) error {
	id, err := directory.ParseID[directory.Grant](v.R.PathValue("grant"))
	if err != nil {
		return fault.New(fault.NotFound, "There is no such grant.")
	}
	return v.postPart(v.grantConfirm, func(o revoke.Options) (revoke.Result, error) { return s.Revoke.Grant(v.Ctx(), v.Actor, id, o) })
}

// postPart revokes what belongs to the user whom the address names, and nobody else.
func (v *visit) postPart(build func() (*person, *desk.Confirm, error), cut func(revoke.Options) (revoke.Result, error)) error {
	p, c, err := build()
	if err != nil {
		return err
	}
	if c == nil {
		return v.To(desk.UserPath(p.id) + "?done=already")
	}
	return v.Submit(func() (*desk.Confirm, error) { return c, nil }, func(f webkit.Form) error {
		res, err := cut(revoke.Options{Reason: f.Get("reason")})
		if err == nil {
			v.To(v.profile(p.id, res.Receipt, "already"))
		}
		return err
	})
}
