package govern

import (
	"net/netip"
	"slices"
	"strings"

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
	if p.registered, err = ps.c.registered(u); err != nil {
		return nil, err
	}
	ps.all[id] = p
	return p, nil
}

// registered are the methods that somebody could give. A temporary pass is not among
// them: it ends by itself, and what is judged is to hold longer.
func (c *step) registered(u *directory.User) (m policy.Methods, err error) {
	if u.Password.Hash != "" {
		m |= policy.Password.Set()
	}
	all, err := c.Tx.Methods(u.ID)
	for kind, is := range map[directory.MethodKind]policy.Method{directory.MethodTOTP: policy.SoftwareOTP, directory.MethodPasskey: policy.Passkey, directory.MethodCodes: policy.RecoveryCode} {
		if directory.HasMethod(all, c.Now, kind) {
			m |= is.Set()
		}
	}
	return m, err
}

// facts are those of a person who signs in anew, from where nobody knows.
func (p *person) facts(c *step) policy.Facts {
	return policy.Facts{Now: c.Now, User: p.user.ID, Groups: p.groups, Roles: p.held.Roles, Registered: p.registered}
}

// from adds where a session was opened, and by what.
func (c *step) from(f *policy.Facts, s *grant.Session) {
	if s == nil {
		return
	}
	f.Address, f.Platform = address(s.IP), platform(s.Agent)
	f.Country = c.country(f.Address)
	f.Methods, f.AuthTime = policy.MethodsOf(s.AMR), s.AuthTime
	f.Flow, f.Program = policy.NoFlow, policy.Browser
}

func (c *step) country(a netip.Addr) policy.Country {
	if c.s.Country == nil || !a.IsValid() {
		return policy.Country{}
	}
	x, ok := c.s.Country(a)
	if !ok {
		return policy.Country{}
	}
	return x
}

// address reads what a session remembers; the zero Addr: it could not be read.
func address(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap()
}

// platform reads the words in which a session remembers what opened it.
func platform(agent string) policy.Platform {
	for _, x := range []struct {
		word string
		is   policy.Platform
	}{{"Windows Phone", policy.WindowsPhone}, {"Windows", policy.Windows}, {"Android", policy.Android}, {"iOS", policy.IOS}, {"iPhone", policy.IOS}, {"iPad", policy.IOS}, {"macOS", policy.MacOS}, {"Linux", policy.Linux}} {
		if strings.Contains(agent, x.word) {
			return x.is
		}
	}
	return 0
}

// Bounds of what is looked at of administrators.
const (
	maxAdmins = 500
	maxPlaces = 20 // of each
)

// administrators are the sign-ins, to where policies are changed, of everybody who
// holds Global Administrator and could sign in: from where their sessions were
// opened, the newest of them, and from a place that nobody knows.
func (c *step) administrators() (facts []policy.Facts, err error) {
	all, err := c.Tx.Assignments()
	if err != nil {
		return nil, err
	}
	var ids []directory.UserID
	for _, a := range all {
		switch {
		case a.Role != role.GlobalAdministrator:
		case !a.User.IsZero():
			ids = append(ids, a.User)
		default:
			more, err := c.Tx.Members(a.Group)
			if err != nil {
				return nil, err
			}
			ids = append(ids, more...)
		}
	}
	slices.SortFunc(ids, func(a, b directory.UserID) int { return strings.Compare(string(a[:]), string(b[:])) })
	ids = slices.Compact(ids)
	ps := c.people()
	for _, id := range ids[:min(len(ids), maxAdmins)] {
		p, err := ps.of(id)
		if err != nil {
			return nil, err
		}
		if !p.user.Enabled || !p.user.Deleted.IsZero() || p.user.Service || !p.held.Has(role.GlobalAdministrator) {
			continue
		}
		f := p.facts(c)
		f.Client, f.Resource = portalApp, directory.OwnAPI
		facts = append(facts, f)
		sessions, err := c.Tx.Sessions(id, maxPlaces)
		if err != nil {
			return nil, err
		}
		for _, s := range sessions {
			f := p.facts(c)
			f.Client, f.Resource = portalApp, directory.OwnAPI
			c.from(&f, s)
			f.Methods = 0 // they sign in anew
			facts = append(facts, f)
		}
	}
	return facts, nil
}

// The portal and the account pages, as policies see them.
const (
	portalApp  directory.AppID = "curfew-portal"
	accountApp directory.AppID = "curfew-account"
)
