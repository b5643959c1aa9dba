package govern

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/journal"
)

// Service is the verb. DB is needed; the rest may be zero.
type Service struct {
	DB        *store.DB
	Lifetimes grant.Lifetimes
	// Access gathers what policies are told of a use; nil: it knows no country,
	// nothing of devices, and no risk.
	Access *access.Service
	// Journal is the log of sign-ins; nil: there is none.
	Journal *journal.Journal
	Log     *slog.Logger

	looking atomic.Int32 // what-ifs that go through rows now
}

// maxLooking bounds the what-ifs that go through rows at a time: each reads for
// seconds, in steps, and renewals need the same readers.
const maxLooking = 2

// look admits one more what-if, until done is called. Kind: Limited.
func (s *Service) look() (done func(), err error) {
	done = func() { s.looking.Add(-1) }
	if s.looking.Add(1) > maxLooking {
		done()
		return nil, fault.New(fault.Limited, "Others are asking what a change would do. Try again in a moment.")
	}
	return done, nil
}

// How says how something is changed.
type How struct {
	manage.Act
	// Force: even if no Global Administrator could get in afterwards.
	Force bool
	// IfVersion is the version that this changes; zero: whichever there is.
	IfVersion int64
}

// maxReason bounds the reason, in bytes.
const maxReason = 500

// step is one run of a transaction's closure.
type step struct {
	*store.Tx
	s       *Service
	actor   directory.Actor // with the roles held as of this transaction
	refused *audit.Record   // why the transaction ends in a refusal
}

// read runs f in a read transaction with the actor's roles as of it.
func (s *Service) read(ctx context.Context, actor directory.Actor, f func(*step) error) error {
	return s.DB.Read(ctx, func(tx *store.Tx) error {
		a, err := tx.ActorNow(actor)
		if err != nil {
			return err
		}
		return f(&step{Tx: tx, s: s, actor: a})
	})
}

// write runs f on the actor's behalf. A refusal for want of a role is audited.
func (s *Service) write(ctx context.Context, actor directory.Actor, act manage.Act, f func(*step) error) error {
	if len(act.Reason) > maxReason {
		return fault.New(fault.Invalid, "The reason is too long: 500 characters at most.")
	}
	var c *step
	err := s.DB.Update(ctx, func(tx *store.Tx) error {
		tx.By(store.By{Actor: actor, Reason: act.Reason})
		a, err := tx.ActorNow(actor)
		if err != nil {
			return err
		}
		c = &step{Tx: tx, s: s, actor: a}
		return f(c)
	})
	if err != nil {
		s.auditRefusal(ctx, actor, act, c, err)
	}
	return err
}

// auditRefusal writes down that somebody was refused. The refusal stands whether or
// not it can be written down.
func (s *Service) auditRefusal(ctx context.Context, actor directory.Actor, act manage.Act, c *step, err error) {
	if c == nil || c.refused == nil || !fault.Is(err, fault.Denied) {
		return
	}
	actor.Owner, actor.Born = cutoff.Owner{}, cutoff.MaxPos // whoever was cut is refused on record as well
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		tx.By(store.By{Actor: actor, Reason: act.Reason})
		tx.Audit(*c.refused)
		return nil
	})
	if err != nil {
		s.log().Error("refusal not audited", "action", c.refused.Action, "target", c.refused.Target.ID, "error", err)
	}
}

// allow asks role.Allowed and remembers a refusal for the audit log.
func (c *step) allow(activity string, about audit.Party, action role.Action, target role.Target) error {
	err := role.Allowed(c.actor, action, target).Err("")
	if err != nil && activity != "" {
		c.refused = &audit.Record{Action: activity, Result: audit.Refused, Target: about, Elaborate: fault.Public(err)}
	}
	return err
}

func (s *Service) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

// missing turns the store's ErrNotFound into the sentence for what was asked.
func missing(err error, sentence string) error {
	if errors.Is(err, store.ErrNotFound) {
		return fault.Wrap(fault.NotFound, sentence, err)
	}
	return err
}
