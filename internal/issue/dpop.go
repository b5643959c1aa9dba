package issue

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/clientauth"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
)

// confirm is the cnf claim for a key's name; nil for none.
func confirm(key string) *Confirmation {
	switch {
	case key == "":
		return nil
	case strings.HasPrefix(key, clientauth.X5T):
		return &Confirmation{X5T: key[len(clientauth.X5T):]}
	}
	return &Confirmation{JKT: key[len(clientauth.JKT):]}
}

// keyOf is the name of the key that the claim holds; "" for none.
func keyOf(c *Confirmation) string {
	switch {
	case c == nil:
		return ""
	case c.X5T != "":
		return clientauth.X5T + c.X5T
	}
	return clientauth.JKT + c.JKT
}

// Holds returns the name of the key that a request proves to hold, see
// [clientauth.Holder]. Kinds: Invalid (invalid_dpop_proof, use_dpop_nonce).
func (s *Service) Holds(ctx context.Context, p clientauth.Possession) (string, error) {
	reg, err := s.reg.get(ctx, s)
	if err != nil {
		return "", err
	}
	app := reg.apps[p.Client]
	return s.holder().Prove(p, app != nil && app.RequireDPoP)
}

// Nonce is the nonce for DPoP proofs now, the same on all nodes.
func (s *Service) Nonce() string { return s.holder().Nonce() }

func (s *Service) holder() *clientauth.Holder {
	s.holding.Do(func() {
		s.holds = clientauth.Holder{Bases: slices.DeleteFunc([]string{s.Base, s.MTLS}, func(b string) bool { return b == "" }), Secret: s.Keys.Derive("dpop nonce"), Now: func() time.Time { return s.Now() }}
	})
	return &s.holds
}

// errHolder: a token or grant is bound to a key, and the request proves to hold
// none or another one.
var errHolder = refuse(fault.Invalid, "invalid_grant", 70000, "", "The grant is bound to a key that this request does not prove to hold.")

// mustHold refuses to give bearer tokens to an application that is registered for
// bound ones only (RFC 9449 §5.2).
func mustHold(app *directory.App, key string) error {
	if app.RequireDPoP && !strings.HasPrefix(key, clientauth.JKT) {
		return clientauth.ErrProof("This application gets tokens bound to a key only: send a DPoP proof.")
	}
	return nil
}

// binds says which key the refresh tokens of a new grant are bound to. Those of
// clients that prove who they are at each use need no other binding (RFC 9449
// §5), unless they are to stay the same at each use.
func binds(app *directory.App, key string) string {
	if app.Public || app.Refresh == directory.RefreshBound {
		return key
	}
	return ""
}

// held reports whether whoever shows an access token may: the key it is bound to
// was proven. A DPoP proof beside a token that is not bound to its key is refused,
// too (RFC 9449 §7.1).
func held(a *Access, key string) bool {
	bound := keyOf(a.CNF)
	return bound == key || bound == "" && !strings.HasPrefix(key, clientauth.JKT)
}
