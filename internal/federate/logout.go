package federate

import (
	"context"
	"errors"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/store"
)

// Logout follows a provider's logout token: the sessions that came through its
// session, or its subject, end. It returns how many. Kinds: NotFound (no such
// provider), Invalid (the token is not accepted, or was used before), Unavailable.
func (s *Service) Logout(ctx context.Context, id directory.ProviderID, token, ip, request string) (ended int, err error) {
	var p *directory.Provider
	err = s.DB.Read(ctx, func(tx *store.Tx) error {
		p, err = tx.Provider(id)
		if errors.Is(err, store.ErrNotFound) || err == nil && !p.Enabled {
			return errNoProvider
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	l, err := s.Upstream.Logout(ctx, p, token)
	if err != nil {
		s.log().WarnContext(ctx, "a logout token was not believed", "provider", id, "why", err, "request", request)
		return 0, err
	}
	ended, err = s.Revoke.LoggedOut(ctx, revoke.Order{Provider: p, JTI: l.JTI, Expires: l.Expires, IP: ip, Request: request}, l.Subject, l.SID)
	if fault.Is(err, fault.Unauthenticated) { // it was changed or disabled between the two looks
		err = fault.Wrap(fault.Unavailable, "The identity provider was changed meanwhile. Send it again.", err)
	}
	return ended, err
}
