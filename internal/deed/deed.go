package deed

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

// Doer does. All fields but Log are needed.
type Doer struct {
	DB     *store.DB
	Revoke *revoke.Service
	Log    *slog.Logger // nil: nowhere
}

// Step is one run of a transaction's closure.
type Step struct {
	*store.Tx
	Actor directory.Actor // with the roles held as of this transaction
	// Cut is what ended, for the receipt; nil: nothing.
	Cut *store.Cut
	// Said is a sentence for each thing that is done.
	Said []string

	refused *audit.Record
}

// Allow asks [role.Allowed]; called is what a refusal calls the target. The refusal is
// remembered for the audit log; an empty activity is not worth a record.
func (c *Step) Allow(activity string, about audit.Party, called string, action role.Action, target role.Target) error {
	err := role.Allowed(c.Actor, action, target).Err(called)
	if err != nil && activity != "" {
		c.refused = &audit.Record{Action: activity, Result: audit.Refused, Target: about, Elaborate: fault.Public(err)}
		if !target.ID.IsZero() && about.ID != target.ID.String() {
			c.refused.Whose = target.ID.String()
		}
	}
	return err
}

// maxReason bounds the reason, in bytes.
const maxReason = 500

var errDryRun = errors.New("dry run")

// Do runs f on the actor's behalf and returns the receipt of what it cut; nil: nothing
// ended, or it was a dry run. Kinds: Invalid for too long a reason, Revoked, those of
// f, Unavailable.
func (d Doer) Do(ctx context.Context, actor directory.Actor, act manage.Act, f func(*Step) error) (*store.Receipt, error) {
	if len(act.Reason) > maxReason {
		return nil, fault.New(fault.Invalid, "The reason is too long: 500 characters at most.")
	}
	var c *Step
	err := d.DB.Urgent(ctx, func(tx *store.Tx) error {
		tx.By(store.By{Actor: actor, Reason: act.Reason})
		a, err := tx.ActorNow(actor)
		if err != nil {
			return err
		}
		c = &Step{Tx: tx, Actor: a}
		if err := f(c); err != nil || !act.DryRun {
			return err
		}
		return errDryRun
	})
	if errors.Is(err, errDryRun) {
		err = nil
	}
	if err != nil {
		if c != nil && c.refused != nil && !act.DryRun && fault.Is(err, fault.Denied) {
			d.refuse(ctx, actor, act, *c.refused)
		}
		return nil, err
	}
	if act.Effects != nil {
		*act.Effects = append(*act.Effects, c.Said...)
	}
	if act.DryRun {
		return nil, nil
	}
	return d.Revoke.Counted(ctx, c.Cut, act.Reason), nil
}

// refuse writes down that somebody was refused, in a transaction of its own. The
// refusal stands whether or not it can be written down.
func (d Doer) refuse(ctx context.Context, actor directory.Actor, act manage.Act, r audit.Record) {
	actor.Owner, actor.Born = cutoff.Owner{}, cutoff.MaxPos // whoever was cut is refused on record as well
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := d.DB.Update(ctx, func(tx *store.Tx) error {
		tx.By(store.By{Actor: actor, Reason: act.Reason})
		tx.Audit(r)
		return nil
	})
	if err != nil && d.Log != nil {
		d.Log.Error("refusal not audited", "action", r.Action, "target", r.Target.ID, "error", err)
	}
}

// Look runs f in a read transaction with the actor's roles as of it. That who
// asks is still somebody is the surface's to say, as for every reading. Kinds: those
// of f, Unavailable.
func Look(ctx context.Context, db *store.DB, actor directory.Actor, f func(*Step) error) error {
	return db.Read(ctx, func(tx *store.Tx) error {
		a, err := tx.ActorNow(actor)
		if err != nil {
			return err
		}
		return f(&Step{Tx: tx, Actor: a})
	})
}
