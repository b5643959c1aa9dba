package issue

import (
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/keys"
)

// Acting is the act claim (RFC 8693 §4.1): the application that acts for the
// person, and inside it the one that did before.
type Acting struct {
	Subject string  `json:"sub"` // client_id
	Before  *Acting `json:"act,omitempty"`
}

// hang writes the chain of a grant into the claims; guard's package comment says
// what they mean.
func (a *Access) hang(g *grant.Grant) {
	if len(g.Chain) == 0 {
		return
	}
	a.Act = &Acting{Subject: string(g.App)}
	last := a.Act
	for _, l := range g.Chain {
		a.GIDs = append(a.GIDs, l.Grant.String())
		last.Before = &Acting{Subject: string(l.App)}
		last = last.Before
	}
}

// chain reads what hang wrote. Every token here was signed by us; one that does
// not say exactly what it was made from is refused all the same, as at a guard.
func (a *Access) chain() (chain []cutoff.Link, err error) {
	if len(a.GIDs) == 0 && a.Act == nil {
		return nil, nil
	}
	if a.Act == nil || a.Act.Subject != a.ClientID || len(a.GIDs) > cutoff.MaxChain {
		return nil, keys.ErrToken
	}
	x := a.Act.Before
	for _, g := range a.GIDs {
		if x == nil || x.Subject == "" || g == "" {
			return nil, keys.ErrToken
		}
		chain = append(chain, cutoff.Link{Grant: g, App: x.Subject})
		x = x.Before
	}
	if x != nil || len(chain) == 0 {
		return nil, keys.ErrToken
	}
	return chain, nil
}

// belongs lists what the token belongs to.
func (a *Access) belongs() (cutoff.Belongs, error) {
	chain, err := a.chain()
	return cutoff.Belongs{User: a.OID, Session: a.SID, Grant: a.GID, App: a.ClientID, Device: a.DeviceID, Chain: chain}, err
}

// Owner says which cutoffs cover the token.
func (a *Access) Owner() cutoff.Owner {
	b, _ := a.belongs() // verify has refused what cannot be read
	return cutoff.NewOwner(b)
}

// spaLife is how long what a browser-only application was given lasts, used or
// not: nothing in a browser keeps a refresh token from scripts (RT-04, and what
// people know from Entra).
const spaLife = 24 * time.Hour

// end is when a grant of app that begins at start ends whatever is done with it;
// zero: never. The beginning counts and not the last proof of the person: a
// session may be older than the whole life allowed, and the grant would be over
// before its first use.
func (s *Service) end(start time.Time, app *directory.App, redirect string) (end time.Time) {
	for _, life := range []time.Duration{s.Lifetimes.GrantAbsolute, app.GrantAbsolute} {
		if life > 0 {
			end = earlier(end, start.Add(life))
		}
	}
	if app.MatchSPARedirect(redirect) {
		end = earlier(end, start.Add(spaLife))
	}
	return end
}

// earlier returns the earlier of two instants, where zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
