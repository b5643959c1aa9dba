package signin

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/store"
)

// Party is an application that somebody signed in to in a session.
type Party struct {
	App    *directory.App // shared with other readers: do not change
	Issuer grant.Issuer   // of the ID token it got
}

// Parties lists who got something of a session, whether it is still good or not, by
// client_id and issuer: who must hear that the session is over. What was made from
// another grant is no sign-in. Kinds: Unavailable.
func (s *Service) Parties(ctx context.Context, id directory.SessionID) (all []Party, err error) {
	err = s.DB.Read(ctx, func(tx *store.Tx) error {
		all = nil
		grants, err := tx.GrantsOfSession(id)
		if err != nil {
			return err
		}
		for _, g := range grants {
			p := Party{Issuer: g.Issuer}
			if len(g.Chain) > 0 {
				continue
			}
			if p.App, err = tx.App(g.App); errors.Is(err, store.ErrNotFound) {
				continue
			} else if err != nil {
				return err
			}
			same := func(q Party) bool { return q.App.ID == p.App.ID && q.Issuer == p.Issuer }
			if !slices.ContainsFunc(all, same) {
				all = append(all, p)
			}
		}
		slices.SortFunc(all, func(a, b Party) int {
			return cmp.Or(cmp.Compare(a.App.ID, b.App.ID), cmp.Compare(a.Issuer, b.Issuer))
		})
		return nil
	})
	return all, err
}
