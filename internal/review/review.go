package review

import (
	"context"
	"errors"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/journal"
)

// What the log has, for surfaces.
type (
	Entry  = journal.Entry
	ID     = journal.ID
	Kind   = journal.Kind
	Status = journal.Status
	Result = journal.Result
	Query  = journal.Query
)

// The kinds and statuses of entries.
const (
	Interactive = journal.Interactive
	Silent      = journal.Silent
	AsItself    = journal.Service
	Gap         = journal.Gap
	// Spared is the id under which an entry says that no policy touches the account.
	Spared = journal.Spared

	NotApplied = journal.NotApplied
	Passed     = journal.Passed
	Failed     = journal.Failed
)

// MaxPage bounds a page.
const MaxPage = journal.MaxPage

// Service reads the log.
type Service struct {
	DB      *store.DB
	Journal *journal.Journal // nil: no log is kept
}

// may judges who asks about whose sign-ins: zero is everybody's. With a name it
// looks the person up, by whose id the log has an index; one that is nobody's any
// more is looked for as it was written.
func (s *Service) may(ctx context.Context, actor directory.Actor, q *Query) error {
	if !actor.Operator && s.DB.View().Dead(&actor.Owner, actor.Born, actor.Kind) {
		return fault.New(fault.Revoked, "Your session has ended. Sign in again.")
	}
	err := s.DB.Read(ctx, func(tx *store.Tx) error {
		a, err := tx.ActorNow(actor)
		if err != nil {
			return err
		}
		all := role.Allowed(a, role.ReadSignIns, role.Target{})
		if q.UserName != "" && (all.OK || directory.FoldName(q.UserName) == directory.FoldName(a.Name)) {
			u, err := tx.UserByName(q.UserName)
			switch {
			case err == nil && (q.User.IsZero() || q.User == u.ID):
				q.User, q.UserName = u.ID, ""
			case err != nil && !errors.Is(err, store.ErrNotFound):
				return err
			}
		}
		if q.User.IsZero() {
			return all.Err("")
		}
		return role.Allowed(a, role.ReadSignIns, role.Target{ID: q.User}).Err("")
	})
	if err == nil && s.Journal == nil {
		err = fault.New(fault.NotFound, "No log of sign-ins is kept here: --signin-log is off.")
	}
	return err
}

// SignIns lists sign-ins, the newest first, and returns the cursor of what comes
// after; zero: nothing does. A page may have fewer than were asked for, even none,
// before a cursor. Kinds: Denied, NotFound (there is no log), Unavailable.
func (s *Service) SignIns(ctx context.Context, actor directory.Actor, q Query) (page []Entry, next ID, err error) {
	if err := s.may(ctx, actor, &q); err != nil {
		return nil, next, err
	}
	return s.Journal.List(ctx, q)
}

// SignIn returns one. Kinds as SignIns, and NotFound.
func (s *Service) SignIn(ctx context.Context, actor directory.Actor, id ID) (*Entry, error) {
	var own directory.UserID
	if err := s.may(ctx, actor, &Query{}); err != nil {
		if !fault.Is(err, fault.Denied) || s.may(ctx, actor, &Query{User: actor.User}) != nil {
			return nil, err
		}
		own = actor.User
	}
	e, err := s.Journal.Entry(ctx, id)
	// Whether there is one of somebody else's is not for everybody to know.
	if errors.Is(err, journal.ErrNotFound) || err == nil && !own.IsZero() && e.User != own {
		return nil, fault.New(fault.NotFound, "There is no such sign-in, or it is not kept any more.")
	}
	return e, err
}

// Export calls f for every sign-in that q asks for, the newest first. f's error
// ends it. Who asks is judged again for every page. Kinds as SignIns.
func (s *Service) Export(ctx context.Context, actor directory.Actor, q Query, f func(*Entry) error) error {
	q.Limit = MaxPage
	for {
		page, next, err := s.SignIns(ctx, actor, q)
		if err != nil {
			return err
		}
		for i := range page {
			if err := f(&page[i]); err != nil {
				return err
			}
		}
		if next.IsZero() {
			return nil
		}
		q.Before = next
	}
}
