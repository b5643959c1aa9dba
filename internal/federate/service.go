package federate

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/keys"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/upstream"
)

// Service is the verb. Everything but Log is needed.
type Service struct {
	DB       *store.DB
	Keys     *keys.Service
	Upstream *upstream.Client
	Revoke   *revoke.Service
	SignIn   *signin.Service
	Base     string // public URL without a trailing slash
	// Issuers are our own iss: this directory is no other identity provider.
	Issuers []string
	Log     *slog.Logger // nil: nowhere
}

var (
	errNoProvider = fault.New(fault.NotFound, "There is no such identity provider.")
	errNoUser     = fault.New(fault.NotFound, "There is no such user.")
	errDryRun     = errors.New("dry run")
)

// maxReason bounds the reason, in bytes.
const maxReason = 500

// step is one run of a transaction's closure.
type step struct {
	*store.Tx
	s       *Service
	actor   directory.Actor
	cut     *store.Cut
	said    []string
	refused *audit.Record
}

// allow asks role.Allowed and remembers a refusal for the audit log.
func (c *step) allow(activity string, about audit.Party, action role.Action, target role.Target) error {
	err := role.Allowed(c.actor, action, target).Err(about.Name)
	if err != nil {
		c.refused = &audit.Record{Action: activity, Result: audit.Refused, Target: about, Elaborate: fault.Public(err)}
	}
	return err
}

func (s *Service) read(ctx context.Context, actor directory.Actor, f func(*step) error) error {
	return s.DB.Read(ctx, func(tx *store.Tx) error {
		a, err := tx.ActorNow(actor)
		if err != nil {
			return err
		}
		return f(&step{Tx: tx, s: s, actor: a})
	})
}

// write runs f on the actor's behalf and returns the receipt of what it cut. A dry
// run undoes it at the end; a refusal is audited.
func (s *Service) write(ctx context.Context, actor directory.Actor, act manage.Act, f func(*step) error) (*store.Receipt, error) {
	if len(act.Reason) > maxReason {
		return nil, fault.New(fault.Invalid, "The reason is too long: 500 characters at most.")
	}
	var c *step
	err := s.DB.Urgent(ctx, func(tx *store.Tx) error {
		tx.By(store.By{Actor: actor, Reason: act.Reason})
		a, err := tx.ActorNow(actor)
		if err != nil {
			return err
		}
		c = &step{Tx: tx, s: s, actor: a}
		if err := f(c); err != nil || !act.DryRun {
			return err
		}
		return errDryRun
	})
	if errors.Is(err, errDryRun) {
		err = nil
	}
	if err != nil {
		return nil, errors.Join(err, s.auditRefusal(ctx, actor, act, c, err))
	}
	if act.Effects != nil {
		*act.Effects = append(*act.Effects, c.said...)
	}
	if act.DryRun || c.cut == nil || c.cut.Receipt == "" {
		return nil, nil
	}
	r, err := s.Revoke.Count(ctx, c.cut.Receipt)
	if err != nil { // the cut stands; it is counted at the next start
		s.log().Error("the rest of a revocation could not be counted", "receipt", c.cut.Receipt, "error", err)
		return &store.Receipt{ID: c.cut.Receipt, Pos: c.cut.Pos, At: c.cut.At, Cause: c.cut.Cause, Target: c.cut.Target, Reason: act.Reason, Cuts: c.cut.Cuts}, nil
	}
	return r, nil
}

// auditRefusal writes down that somebody was refused, in a transaction of its own.
func (s *Service) auditRefusal(ctx context.Context, actor directory.Actor, act manage.Act, c *step, err error) error {
	if c == nil || c.refused == nil || act.DryRun || !fault.Is(err, fault.Denied) {
		return nil
	}
	actor.Owner, actor.Born = cutoff.Owner{}, cutoff.MaxPos // whoever was cut is refused on record as well
	return s.DB.Update(ctx, func(tx *store.Tx) error {
		tx.By(store.By{Actor: actor, Reason: act.Reason})
		tx.Audit(*c.refused)
		return nil
	})
}

func (s *Service) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

// missing turns the store's ErrNotFound into what was asked for.
func missing(err, sentence error) error {
	if errors.Is(err, store.ErrNotFound) {
		return sentence
	}
	return err
}

// freshProof is how recently somebody must have signed in to link an account.
const freshProof = 10 * time.Minute
