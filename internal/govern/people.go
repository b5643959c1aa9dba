package govern

import (
	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/role"
)

// person is what policies are told of somebody, read once for many facts.
type person struct {
	user       *directory.User
	held       directory.Held
	groups     []directory.GroupID
	registered policy.Methods
}

// people reads them as they are asked for.
type people struct {
	c   *step
	all map[directory.UserID]*person
}

func (c *step) people() *people { return &people{c: c, all: map[directory.UserID]*person{}} }

func (ps *people) of(id directory.UserID) (*person, error) {
	if p := ps.all[id]; p != nil {
		return p, nil
	}
	u, err := ps.c.Tx.User(id)
	if err != nil {
		return nil, err
	}
	p := &person{user: u}
	if p.held, err = ps.c.Held(id); err != nil {
		return nil, err
	}
	groups, err := ps.c.GroupsOf(id)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		p.groups = append(p.groups, g.ID)
	}
	if p.registered, err = access.Registered(ps.c.Tx, id); err != nil {
		return nil, err
	}
	ps.all[id] = p
	return p, nil
}

// facts are what policies are told of a use by somebody.
func (c *step) facts(p *person, u *access.Use, set *policy.Set) (policy.Facts, error) {
	u.User, u.Held, u.Groups, u.Grouped = p.user.ID, p.held, p.groups, true
	f, err := c.s.Access.Facts(c.Tx, u, set)
	f.Registered = p.registered
	return f, err
}

// Bounds of what is looked at of administrators.
const (
	maxAdmins = 500
	maxPlaces = 20 // of each
)

// administrators are the sign-ins, to where policies are changed, of everybody who
// holds Global Administrator and could sign in: from where their sessions were
// opened, the newest of them, and from a place that nobody knows.
func (c *step) administrators(set *policy.Set) (facts []policy.Facts, err error) {
	ids, err := c.Tx.Holders(role.GlobalAdministrator)
	if err != nil {
		return nil, err
	}
	ps := c.people()
	for _, id := range ids[:min(len(ids), maxAdmins)] {
		p, err := ps.of(id)
		if err != nil {
			return nil, err
		}
		if !p.user.Enabled || !p.user.Deleted.IsZero() || p.user.Service || !p.held.Has(role.GlobalAdministrator) {
			continue
		}
		sessions, err := c.Tx.Sessions(id, maxPlaces)
		if err != nil {
			return nil, err
		}
		for _, x := range append([]*grant.Session{nil}, sessions...) {
			u := &access.Use{Client: access.Portal, Resource: directory.OwnAPI}
			if x != nil {
				u = u.OfSession(x)
				u.IP, u.Program = x.IP, policy.Browser
			}
			u.AMR = nil // they sign in anew
			f, err := c.facts(p, u, set)
			if err != nil {
				return nil, err
			}
			facts = append(facts, f)
		}
	}
	return facts, nil
}
