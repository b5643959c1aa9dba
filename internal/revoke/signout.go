package revoke

import (
	"context"
	"errors"
	"fmt"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
)

// SignOut ends the browser session for the person who is in it. Grants with
// offline_access stay: signing out is not revoking (OpenID Connect Back-Channel
// Logout 1.0 §2.7).
//
// Nobody stays signed in because they have signed out too often. Beyond the
// allowance a session in which no application was given anything ends by its row
// alone, which every node reads at every use; the line would have had nobody to
// tell. Otherwise there is a line all the same: what takes access away is not
// withheld, and each such session costs a password and a code. What is left of a
// session that ended by its row is a code made in it, for its minute. Sparing the
// row and clearing the cookie in this browser alone would leave a copied one alive.
func (s *Service) SignOut(ctx context.Context, id directory.SessionID) (Result, error) {
	quiet := false
	res, err := s.cut(ctx, directory.Actor{System: true}, Options{}, func(tx *store.Tx, _ directory.Actor, _ [32]byte) (*store.Cut, error) {
		quiet = false
		x, err := tx.Session(id)
		if errors.Is(err, store.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		u, err := tx.User(x.User)
		if err != nil {
			return nil, err
		}
		if alive, err := aliveSession(tx, x); err != nil || !alive {
			return nil, err
		}
		next, err := tx.Pace(u.ID, ownSignOuts, paceAtOnce, paceEvery)
		if err != nil {
			return nil, fmt.Errorf("count a sign-out of user %s: %w", u.ID, err)
		}
		row, err := tx.Row(standing.SessionSignedOut)
		if err != nil {
			return nil, err
		}
		if !next.IsZero() && !row.Has(standing.TheUsers) { // else there is more to end than this row
			if quiet, err = forgetSession(tx, x, u); err != nil || quiet {
				return nil, err
			}
		}
		return s.cutSession(tx, x, u, standing.SessionSignedOut)
	})
	res.Already = res.Already && !quiet
	return res, err
}

// forgetSession ends a session by its row, unless a grant that was given in it is
// alive. The session is held, so that none is being born.
func forgetSession(tx *store.Tx, x *grant.Session, u *directory.User) (bool, error) {
	if err := tx.HoldSession(x.ID); err != nil {
		return false, err
	}
	grants, err := tx.GrantsOfSession(x.ID)
	if err != nil {
		return false, err
	}
	for _, g := range grants {
		if alive, err := aliveGrant(tx, g); err != nil || alive {
			return false, err
		}
	}
	tx.Audit(audit.Record{Action: "Revoke session", Target: sessionParty(x, u), Whose: u.ID.String(),
		Elaborate: "Signed out too often for a line in the ledger. The session ended by its row; no application had anything of it."})
	return true, tx.DeleteSession(x.ID)
}
