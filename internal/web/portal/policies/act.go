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
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// act is one verb on a policy: its question and what it does.
type act struct {
	verb            desk.Verb
	action          role.Action
	patch           string // empty: it is deleted
	question, intro string // the question ends in the name
	undo, done      string
}

var acts = map[string]act{
	TurnOn.Slug:  {TurnOn, role.UpdatePolicy, `{"state":"enabled"}`, "Turn on ", "", "Can be turned off again. What ended stays ended.", "on"},
	Report.Slug:  {Report, role.UpdatePolicy, `{"state":"enabledForReportingButNotEnforced"}`, "Only report with ", "It refuses nobody. What it would have done is written into each sign-in.", "Can be turned on again.", "report"},
	TurnOff.Slug: {TurnOff, role.UpdatePolicy, `{"state":"disabled"}`, "Turn off ", "", "Can be turned on again.", "off"},
	Delete.Slug:  {Delete, role.DeletePolicy, "", "Delete ", "", desk.CannotUndo, "deleted"},
}

// act finds the verb and the policy that the address names.
func (s *Server) act(v *desk.Visit) (act, *govern.Document, error) {
	x, ok := acts[v.R.PathValue("verb")]
	if !ok {
		return x, nil, fault.New(fault.NotFound, "There is no such page.")
	}
	d, err := s.Govern.Show(v.Ctx(), v.Actor, govern.Policy, v.R.PathValue("id"))
	return x, d, err
}

// ask is the confirmation: what the change would do, told by the verb that does it.
func (s *Server) ask(v *desk.Visit, x act, d *govern.Document) (*desk.Confirm, error) {
	c := &desk.Confirm{Verb: x.verb, Question: x.question + d.Name() + "?", Intro: x.intro, Action: v.R.URL.EscapedPath(), KeepURL: desk.PolicyPath(d.ID()), Undo: x.undo, ReasonHint: "Goes into the audit log."}
	o := v.Offers()
	o.Command(x.verb, x.action, role.Target{}, "")
	c.Refusal = o.Refusal(directory.UserID{}, d.Name(), v.R.URL.EscapedPath())
	_, e, err := s.Govern.WhatIf(v.Ctx(), v.Actor, govern.Suppose{Kind: govern.Policy, Ref: d.ID(), Doc: []byte(x.patch), Delete: x.patch == ""})
	if err != nil {
		return nil, err
	}
	b, err := s.book(v)
	if err != nil {
		return nil, err
	}
	c.Consequences = b.consequences(e)
	c.Intro = strings.TrimSpace(c.Intro + " " + part(e))
	if c.Refusal == nil {
		c.Refusal = lockedOut(e)
	}
	return c, nil
}

func (s *Server) getAct(v *desk.Visit) error {
	x, d, err := s.act(v)
	if err != nil {
		return err
	}
	c, err := s.ask(v, x, d)
	if err != nil {
		return err
	}
	return c.Show(v, http.StatusOK)
}

func (s *Server) postAct(v *desk.Visit) error {
	x, d, err := s.act(v)
	if err != nil {
		return err
	}
	return v.Submit(func() (*desk.Confirm, error) { return s.ask(v, x, d) }, func(f webkit.Form) error {
		how := govern.How{Act: manage.Act{Reason: f.Get("reason")}}
		if x.patch == "" {
			if _, err := s.Govern.Delete(v.Ctx(), v.Actor, govern.Policy, d.ID(), how); err != nil {
				return err
			}
			return v.To(desk.PathPolicies + "?done=" + x.done)
		}
		if _, err := s.Govern.Change(v.Ctx(), v.Actor, govern.Policy, d.ID(), []byte(x.patch), how); err != nil {
			return err
		}
		return v.To(desk.PolicyPath(d.ID()) + "?done=" + x.done)
	})
}
