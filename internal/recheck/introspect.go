package recheck

import (
	"context"
	"net/netip"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/store"
)

// Introspect is [issue.Service.Introspect], and judges an access token again where
// something put it in doubt after it was born, or where it is used from an address other
// than the one it is good from. address is where the resource server sees it; empty: it
// does not say, and then no place is a good one, as at a guard.
//
// No answer is remembered: what was in doubt is judged at each introspection until it is
// renewed, so that a proof that grows too old meanwhile is seen too. Kinds: Unavailable.
func (s *Service) Introspect(ctx context.Context, caller *issue.Client, token, address string, m issue.Meta) (*issue.Introspection, error) {
	x, err := s.Issue.Introspect(ctx, caller, token, m)
	if err != nil || !x.Active || x.Token == nil || x.Doubt <= x.Token.Born && !moved(x.Token.From, address) {
		return x, err
	}
	resource := directory.ResourceID(x.Token.Audience)
	if x.Token.Audience == s.Issue.Audience(directory.OwnAPI) {
		resource = directory.OwnAPI
	}
	out := &Answer{}
	if err := s.DB.Read(ctx, func(tx *store.Tx) error {
		*out = Answer{Judged: tx.Head, Expires: x.Expires}
		return s.judge(tx, x.Token, resource, address, out)
	}); err != nil {
		return nil, err
	}
	if out.Judged < x.Doubt { // this history has lost the line that this node knows
		return nil, fault.New(fault.Unavailable, "The ledger does not have the line after which the token is in doubt. Ask again.")
	}
	if out.Refused != "" || out.Expires <= s.Issue.Now().Unix() {
		return &issue.Introspection{}, nil
	}
	x.Expires = out.Expires
	return x, nil
}

// moved reports whether a token that is good from one address is used from another.
// Which one is not asked where nobody says it.
func moved(from, address string) bool {
	if from == "" || address == "" {
		return false
	}
	a, err := netip.ParseAddr(from)
	b, other := netip.ParseAddr(address)
	return err != nil || other != nil || a.Unmap() != b.Unmap()
}
