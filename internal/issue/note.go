package issue

import (
	"errors"

	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/store/journal"
)

// note is what the sign-in log is told of one request for tokens. What is learnt on the way is put here by whoever learns it.
type note struct {
	to     *journal.Journal
	client *Client
	entry  journal.Entry
	user   *directory.User // whose the request is
	grant  *grant.Grant
	draft  *draft // the last one, as far as it came
}

// note begins one. It goes along in m.
func (s *Service) note(flow string, kind journal.Kind, client *Client, m *Meta) *note {
	m.note = &note{to: s.Journal, client: client, entry: journal.Entry{Kind: kind, Flow: flow, IP: m.IP, Request: m.Request}}
	return m.note
}

// noteVisit begins that of somebody in front of a browser who goes to an application.
func (s *Service) noteVisit(r *AuthorizeRequest) *note {
	m := Meta{IP: r.IP, Request: r.Request}
	n := s.note("authorize", journal.Interactive, &Client{App: r.App}, &m)
	n.draft = &draft{resource: r.Plan.Resource}
	return n
}

// visited says in which session.
func (n *note) visited(u *directory.User, x *grant.Session) {
	n.saw(u, nil)
	n.entry.Session, n.entry.Device, n.entry.Methods, n.entry.Agent = x.ID, x.Device, x.AMR, x.Agent
}

// saw says whose the request is, before it is judged. g may be nil.
func (n *note) saw(u *directory.User, g *grant.Grant) {
	if n != nil {
		n.user, n.grant = u, g
	}
}

// end writes it down, but not where nobody proved anything: whoever can send bytes could fill the log with it.
func (n *note) end(t *Tokens, err error) {
	if n.to == nil || errors.Is(err, errPending) || n.user == nil && (n.client.Public || n.entry.Kind == journal.Interactive) {
		return
	}
	e := &n.entry
	e.App, e.AppName = n.client.ID, n.client.Name
	if u := n.user; u != nil {
		e.User, e.UserName, e.Display = u.ID, u.Name, u.DisplayName
	}
	if d := n.draft; d != nil {
		if d.resource != nil {
			e.Resource, e.ResourceName = d.resource.ID, d.resource.Name
		}
		if d.grant != nil {
			n.grant = d.grant
		}
	}
	if g := n.grant; g != nil {
		e.Grant, e.Session, e.Device, e.Methods = g.ID, g.Session, g.Device, g.AMR
	}
	var ruling *access.Ruling
	if refused := (*access.Refused)(nil); errors.As(err, &refused) {
		ruling = refused.Ruling
	} else if n.draft != nil {
		ruling = n.draft.ruling
	}
	if ruling != nil {
		f := &ruling.Facts
		e.Applied = n.to.Judged(ruling.Set, f, &ruling.Verdict)
		e.Program, e.Compliant, e.Trust, e.SignInRisk, e.UserRisk = f.Program, f.Device.Compliant, f.Device.Trust, f.SignInRisk, f.UserRisk
		if f.Country != policy.Nowhere && f.Country != (policy.Country{}) {
			e.Country = f.Country.String()
		}
	}
	if err == nil {
		e.Token = t.jti
	} else {
		refused(e, err)
	}
	n.to.Add(e)
}

// refused says why, in what the client was told.
func refused(e *journal.Entry, err error) {
	e.Error, e.Reason = journal.Number(fault.KindOf(err)), fault.Public(err)
	if told := (*Error)(nil); errors.As(err, &told) && told.Number != 0 {
		e.Error = told.Number
	}
}
