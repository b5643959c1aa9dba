package signin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/store"
)

// Elsewhere is somebody whom another identity provider has proven.
type Elsewhere struct {
	User     directory.UserID
	Provider directory.ProviderID
	SID      string    // of the provider's session
	AuthTime time.Time // zero: it did not say
	AMR      []string
	// Born is the head under which the sign-in began. What came of it was proven
	// outside this database and cannot be looked at again, so the session takes it.
	Born cutoff.Pos
}

// federated stands in amr before what the provider said, so that nobody takes its
// "pwd" for a password of ours.
const federated = grant.AMRFederated

// Entered is what Enter did, for Left.
type Entered struct {
	*Signed
	stranger directory.SessionID
	attempt  Attempt
}

// Enter opens a session for somebody who was proven elsewhere, in the transaction
// in which the surface's verb has judged that proof. A live session of this browser
// that came the same way is proven anew instead. A cutoff since e.Born refuses it
// here or before the commit. Call Left after the commit. Kinds: Revoked with
// *standing.Dead.
func (s *Service) Enter(tx *store.Tx, e Elsewhere, a Attempt) (*Entered, error) {
	u, held, err := admissible(tx, e.User, e.Born)
	if err != nil {
		return nil, err
	}
	done := &Entered{attempt: a}
	methods := slices.Compact(append([]string{federated}, e.AMR...))
	if a.Reprove != "" {
		old, err := tx.SessionByCookie(hashSecret(a.Reprove))
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return nil, err
		case old.User != u.ID || old.Provider != e.Provider:
			done.stranger = old.ID
		default:
			causes, err := s.judge(tx, old, u)
			if err != nil {
				return nil, err
			}
			if len(causes) == 0 {
				old.AuthTime, old.LastUsed, old.AMR, old.UpstreamSID = e.AuthTime, tx.Now, grant.Reproved(old.AMR, methods), e.SID
				if err := tx.ReproveSessionThrough(old); err != nil {
					return nil, err
				}
				done.Signed = signedAs(old, u, held, a.IP, a.Request)
			}
		}
	}
	if done.Signed == nil {
		fresh := newSecret()
		x := newSession(tx, u, fresh, a)
		x.Born, x.AuthTime, x.AMR, x.Provider, x.UpstreamSID = e.Born, e.AuthTime, methods, e.Provider, e.SID
		if err := s.keep(tx, x, held, a); err != nil {
			return nil, err
		}
		if err := s.create(tx, x); err != nil {
			return nil, fmt.Errorf("create session: %w", err)
		}
		done.Signed = signedAs(x, u, held, a.IP, a.Request)
		done.Cookie = fresh.value
	}
	// As in open: a session that a revocation has overtaken is refused here.
	tx.By(store.By{Actor: done.Actor})
	return done, nil
}

// Left ends the session that this browser had before, if it was another one, and
// notes the outcome. Should it fail, the new session is not handed out either.
// Kinds: Unavailable.
func (s *Service) Left(ctx context.Context, e *Entered, request string) error {
	if !e.stranger.IsZero() {
		if _, err := s.Revoke.SignOut(ctx, e.stranger); err != nil {
			return fmt.Errorf("sign out the session that was here before: %w", err)
		}
	}
	how, flow := string(e.Session.Provider), "provider"
	if how == "" {
		how, flow = strings.Join(e.Session.AMR, "+"), "factor"
	}
	s.outcome("signed in through "+how, e.User, e.Session, request, nil)
	s.note(flow, e.User, e.Session, e.attempt, 0, nil)
	return nil
}
