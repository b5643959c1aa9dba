package grant

import (
	"errors"
	"strings"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
)

// A chain is how a grant came to be when no sign-in gave it: an application
// exchanged an access token of the grant above (RFC 8693, on-behalf-of). What
// ends a link ends everything below it, so each grant knows its whole chain and
// nobody has to walk up to judge a token.

// Link is one step up: a grant, and the application that held it.
type Link struct {
	Grant directory.GrantID
	App   directory.AppID
}

// Parent returns the grant this one was made from; zero for one that a sign-in
// gave.
func (g *Grant) Parent() directory.GrantID {
	if len(g.Chain) == 0 {
		return directory.GrantID{}
	}
	return g.Chain[0].Grant
}

// Below returns the chain of what is made from g.
func (g *Grant) Below() []Link {
	return append([]Link{{g.ID, g.App}}, g.Chain...)
}

// EndsWith returns the session that takes the grant with it, or zero. A grant
// with offline_access only remembers the session it was given in; one that was
// made from another names a session exactly when that one ends with it.
func (g *Grant) EndsWith() directory.SessionID {
	if g.Offline && len(g.Chain) == 0 {
		return directory.SessionID{}
	}
	return g.Session
}

// Belongs lists what the grant and its access tokens belong to.
func (g *Grant) Belongs() cutoff.Belongs {
	b := directory.Belongs(g.User, g.EndsWith(), g.ID, g.App, g.Device)
	for _, l := range g.Chain {
		b.Chain = append(b.Chain, cutoff.Link{Grant: l.Grant.String(), App: string(l.App)})
	}
	return b
}

// Owner says which cutoffs cover the grant and its access tokens.
func (g *Grant) Owner() cutoff.Owner { return cutoff.NewOwner(g.Belongs()) }

var errChain = errors.New("unreadable chain of a grant")

// FormatChain writes a chain for its column: a grant id, a colon and a client_id
// for each link, separated by spaces. No client_id holds white space.
func FormatChain(chain []Link) string {
	var b strings.Builder
	for i, l := range chain {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(l.Grant.String())
		b.WriteByte(':')
		b.WriteString(string(l.App))
	}
	return b.String()
}

// ParseChain reads what FormatChain wrote. What it cannot read is an error: a
// grant whose chain is unreadable would miss the cutoffs of what it was made
// from.
func ParseChain(text string) (chain []Link, err error) {
	if text == "" {
		return nil, nil
	}
	for f := range strings.SplitSeq(text, " ") {
		id, app, _ := strings.Cut(f, ":")
		g, err := directory.ParseID[directory.Grant](id)
		if err != nil || app == "" || len(chain) == cutoff.MaxChain {
			return nil, errChain
		}
		chain = append(chain, Link{g, directory.AppID(app)})
	}
	return chain, nil
}
