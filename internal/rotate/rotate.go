package rotate

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/keys"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
)

// Service lets administrators see and change the signing keys.
type Service struct {
	DB     *store.DB
	Keys   *keys.Service
	Revoke *revoke.Service
}

// SigningKey is a key as administrators see it.
type SigningKey = keys.Key

// KeyChange says how signing keys are to be changed.
type KeyChange struct {
	Alg string // empty: every algorithm that has a key
	// Now uses the next key as soon as no cache can lack it, instead of a day
	// later. With Drop it is used at once.
	Now bool
	// Drop removes the old keys, those that are retired or not used yet as well,
	// and ends every grant and access token of the directory: for keys that
	// somebody else may hold. It needs Now, and what revoking everyone needs.
	Drop   bool
	Reason string // at most 500 bytes
	DryRun bool
}

// KeysChanged is what became of it.
type KeysChanged struct {
	Keys    []keys.Key     // as they are now, or would be after a dry run
	Already bool           // the next key was there: nothing was written
	Receipt *store.Receipt // of Drop; nil after a dry run
}

// SigningKeys lists the keys. Kinds: Denied, Unavailable.
func (s *Service) SigningKeys(ctx context.Context, actor directory.Actor) (all []keys.Key, err error) {
	err = s.DB.Read(ctx, func(tx *store.Tx) error {
		a, err := tx.ActorNow(actor)
		if err != nil {
			return err
		}
		if err := role.Allowed(a, role.ReadKeys, role.Target{}).Err(""); err != nil {
			return err
		}
		all, err = s.Keys.List(tx)
		return err
	})
	return all, err
}

// RotateKeys publishes new signing keys, which take over later, or with Drop at
// once. Kinds: Denied, Invalid, Revoked (the actor was cut meanwhile), Unavailable.
func (s *Service) RotateKeys(ctx context.Context, actor directory.Actor, c KeyChange) (*KeysChanged, error) {
	if !directory.ValidSigningAlg(c.Alg) {
		return nil, fault.New(fault.Invalid, "Tokens are signed with ES256, RS256 or EdDSA.")
	}
	if c.Drop && !c.Now {
		return nil, fault.New(fault.Invalid, "Old keys are dropped only when the new ones are used now.")
	}
	// Judged before the keys are made, which is slow, and again with the rest.
	if err := s.DB.Read(ctx, func(tx *store.Tx) error { return mayChangeKeys(tx, actor) }); err != nil {
		return nil, s.refusedKeys(ctx, actor, c, err)
	}
	used, err := s.Keys.InUse()
	if err != nil {
		return nil, err
	}
	if c.Alg != "" {
		if used = slices.DeleteFunc(used, func(alg string) bool { return alg != c.Alg }); len(used) == 0 && !c.Drop {
			used = []string{c.Alg}
		}
	}
	fresh, err := s.Keys.Make(used...)
	if err != nil {
		return nil, err
	}
	if c.Drop {
		return s.dropKeys(ctx, actor, c, fresh)
	}
	return s.changeKeys(ctx, actor, c, func(tx *store.Tx) (bool, error) { return s.Keys.Rotate(tx, fresh, c.Now) })
}

// RetireKey takes one key out of use before its time: see [keys.Service.Retire].
// Of the change only reason and dry run count. Kinds: Denied, NotFound, Conflict,
// Invalid, Revoked, Unavailable.
func (s *Service) RetireKey(ctx context.Context, actor directory.Actor, id string, c KeyChange) (*KeysChanged, error) {
	if err := s.DB.Read(ctx, func(tx *store.Tx) error { return mayChangeKeys(tx, actor) }); err != nil {
		return nil, s.refusedKeys(ctx, actor, c, err)
	}
	k, err := s.Keys.Find(id)
	if err != nil {
		return nil, err
	}
	var fresh keys.Fresh
	needed, err := s.Keys.Needs(ctx, k.Alg)
	if err == nil && needed && k.State == keys.Current {
		fresh, err = s.Keys.Make(k.Alg)
	}
	if err != nil {
		return nil, err
	}
	return s.changeKeys(ctx, actor, c, func(tx *store.Tx) (bool, error) { return true, s.Keys.Retire(tx, fresh, id) })
}

func mayChangeKeys(tx *store.Tx, actor directory.Actor) error {
	a, err := tx.ActorNow(actor)
	if err != nil {
		return err
	}
	return role.Allowed(a, role.UpdateKeys, role.Target{}).Err("")
}

// maxReason bounds the reason, in bytes.
const maxReason = 500

var errDryRun = errors.New("dry run")

// changeKeys runs f on the actor's behalf.
func (s *Service) changeKeys(ctx context.Context, actor directory.Actor, c KeyChange, f func(*store.Tx) (bool, error)) (*KeysChanged, error) {
	if len(c.Reason) > maxReason {
		return nil, fault.New(fault.Invalid, "The reason is too long: 500 characters at most.")
	}
	out := &KeysChanged{}
	err := s.DB.Update(ctx, func(tx *store.Tx) error {
		tx.By(store.By{Actor: actor, Reason: c.Reason})
		if err := mayChangeKeys(tx, actor); err != nil {
			return err
		}
		changed, err := f(tx)
		if err != nil {
			return err
		}
		out.Already = !changed
		if out.Keys, err = s.Keys.List(tx); err != nil || !c.DryRun {
			return err
		}
		return errDryRun
	})
	if errors.Is(err, errDryRun) {
		err = nil
	}
	if err != nil {
		return nil, s.refusedKeys(ctx, actor, c, err)
	}
	return out, nil
}

// dropKeys replaces the keys of c.Alg, or all of them, and ends every token, in
// one transaction.
func (s *Service) dropKeys(ctx context.Context, actor directory.Actor, c KeyChange, fresh keys.Fresh) (*KeysChanged, error) {
	named := directory.SigningAlgs()
	if c.Alg != "" {
		named = []string{c.Alg}
	}
	out := &KeysChanged{}
	res, err := s.Revoke.Tokens(ctx, actor, standing.KeyStolen, revoke.Options{Reason: c.Reason, DryRun: c.DryRun}, func(tx *store.Tx) error {
		if err := mayChangeKeys(tx, actor); err != nil {
			return err
		}
		err := s.Keys.Drop(tx, fresh, named)
		if err == nil {
			out.Keys, err = s.Keys.List(tx)
		}
		return err
	})
	out.Receipt = res.Receipt
	if err != nil {
		return nil, err
	}
	return out, nil
}

// refusedKeys writes a refusal to the audit log, in a transaction of its own, and
// returns it. Other errors it returns as they are.
func (s *Service) refusedKeys(ctx context.Context, actor directory.Actor, c KeyChange, why error) error {
	if !fault.Is(why, fault.Denied) || c.DryRun {
		return why
	}
	actor.Owner, actor.Born = cutoff.Owner{}, cutoff.MaxPos // whoever was cut is refused on record as well
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := s.DB.Update(ctx, func(tx *store.Tx) error {
		tx.By(store.By{Actor: actor, Reason: c.Reason})
		tx.Audit(audit.Record{Action: "Change signing keys", Result: audit.Refused, Target: audit.Party{Kind: "directory", Name: "signing keys"}, Elaborate: fault.Public(why)})
		return nil
	})
	return errors.Join(why, err)
}
