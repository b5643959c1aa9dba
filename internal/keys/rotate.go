package keys

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/store"
)

// Run rotates on schedule until ctx is done. Every node runs it.
func (s *Service) Run(ctx context.Context) {
	const regularly, calm = time.Minute, time.Second
	wait := func(d time.Duration, changed <-chan struct{}) bool {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-ctx.Done():
			return false
		case <-t.C:
		case <-changed:
		}
		return true
	}
	for {
		changed := s.db.View().Changed() // a registration may ask for another algorithm
		if err := s.Tend(ctx); err != nil && ctx.Err() == nil {
			if s.Log != nil {
				s.Log.Warn("signing keys not tended", "error", err)
			}
			changed = nil
		}
		// An import of a thousand applications is looked at once a second.
		if !wait(regularly, changed) || !wait(calm, nil) {
			return
		}
	}
}

// Tend does what is due now: it makes the first key of an algorithm that a
// registration asks for, publishes the next key some time before its turn, and
// removes those whose last token has expired. Kinds: Unavailable.
func (s *Service) Tend(ctx context.Context) error {
	asked, err := s.asked(ctx)
	if err != nil {
		return err
	}
	r, err := s.current()
	if err != nil {
		return err
	}
	every := s.Every
	if every == 0 {
		every = Every
	}
	w := due(r.rows(), r.longest, every, asked, s.now())
	if len(w.gone) > 0 { // tokens may live longer by now than when the keys were read
		if r, err = s.again(); err != nil {
			return err
		}
		w = due(r.rows(), r.longest, every, asked, s.now())
	}
	if len(w.make)+len(w.gone) == 0 {
		return nil
	}
	fresh, err := s.Make(w.make...)
	if err != nil {
		return err
	}
	return s.db.Update(ctx, func(tx *store.Tx) error {
		rows, err := tx.HoldKeys()
		if err != nil {
			return err
		}
		longest, err := tx.LongestLife()
		if err != nil {
			return err
		}
		now := s.now()
		w := due(rows, longest, every, asked, now) // another node may have been first
		for _, alg := range w.make {
			if last(rows, alg) == nil {
				err = fresh.publishFirst(tx, rows, alg, now)
			} else {
				err = fresh.publish(tx, rows, alg, now, now.Add(Lead))
			}
			if err != nil {
				return err
			}
		}
		for _, id := range w.gone {
			if err := remove(tx, rows, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// Use returns the algorithm to sign with for a registration that asks for alg and
// was made at since: that one, but ES256 while the first key of it is younger than
// Soon and the registration was older than that when the key was made. Who reads
// the tokens of such a registration may have a copy of the published keys which
// lacks that one; a new one has to work at once. Kinds: Unavailable.
func (s *Service) Use(ctx context.Context, alg string, since time.Time) (string, error) {
	if alg == "" || alg == directory.ES256 {
		return directory.ES256, nil
	}
	k, err := s.signing(ctx, alg)
	if err != nil {
		return "", err
	}
	if s.now().Before(k.Active) && since.Before(k.Created.Add(-Soon)) {
		return directory.ES256, nil
	}
	return alg, nil
}

// first makes the first key of an algorithm, or the first since the last one was
// retired: at need, to be used once it has been published for long enough.
func (s *Service) first(ctx context.Context, alg string) error {
	s.making.Lock() // of many requests that need it, one makes it
	defer s.making.Unlock()
	if r, err := s.current(); err != nil || r.signing(alg, s.now()) != nil {
		return err
	}
	fresh, err := s.Make(alg)
	if err != nil {
		return err
	}
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		rows, err := tx.HoldKeys()
		if err != nil || last(rows, alg) != nil { // another node was first
			return err
		}
		return fresh.publishFirst(tx, rows, alg, s.now())
	})
	if err != nil {
		return err
	}
	_, err = s.again() // the first of a directory has no line that tells of it
	return err
}

// Fresh are keys that were made and not published yet, by algorithm. Making them
// is slow, so it comes before the transaction that publishes them.
type Fresh map[string]store.Key

// Make makes a key for each algorithm. Kinds: Invalid.
func (s *Service) Make(named ...string) (Fresh, error) {
	f := Fresh{}
	for _, alg := range named {
		k, err := s.generate(alg)
		if err != nil {
			return nil, err
		}
		f[alg] = k
	}
	return f, nil
}

// InUse lists the algorithms that have a key. Kinds: Unavailable.
func (s *Service) InUse() ([]string, error) {
	r, err := s.current()
	if err != nil {
		return nil, err
	}
	return algs(r.rows()), nil
}

// publish adds the fresh key of an algorithm to rows, to take over at active.
// Without a fresh one nothing happens: the next to tend the keys does it.
func (f Fresh) publish(tx *store.Tx, rows []store.Key, alg string, now, active time.Time) error {
	k, ok := f[alg]
	if !ok {
		return nil
	}
	k.Created, k.Active = now, active
	if old := last(rows, alg); old != nil {
		if err := tx.TimeKey(old.ID, old.Active, active); err != nil {
			return err
		}
	}
	tx.Audit(audit.Record{Action: "Publish signing key", Target: party(k), Elaborate: "in use from " + active.UTC().Format(time.RFC3339)})
	return tx.CreateKey(k)
}

// publishFirst is publish where no key of the algorithm is in use. The very first
// key of a directory signs at once: nobody has read any keys yet.
func (f Fresh) publishFirst(tx *store.Tx, rows []store.Key, alg string, now time.Time) error {
	if len(rows) == 0 {
		return f.publish(tx, rows, alg, now, now)
	}
	return f.publish(tx, rows, alg, now, now.Add(Soon))
}

func remove(tx *store.Tx, rows []store.Key, id string) error {
	i := slices.IndexFunc(rows, func(k store.Key) bool { return k.ID == id })
	tx.Audit(audit.Record{Action: "Remove signing key", Target: party(rows[i])})
	return tx.DeleteKey(id)
}

func party(k store.Key) audit.Party { return audit.Party{Kind: "key", ID: k.ID, Name: k.Alg} }

// List describes all keys as of the transaction, by algorithm, the default first,
// and of each the oldest first.
func (s *Service) List(tx *store.Tx) ([]Key, error) {
	rows, err := tx.Keys()
	if err != nil {
		return nil, err
	}
	longest, err := tx.LongestLife()
	if err != nil {
		return nil, err
	}
	var all []Key
	for _, alg := range directory.SigningAlgs() {
		for _, k := range rows {
			if k.Alg == alg {
				all = append(all, describe(k, longest, s.now()))
			}
		}
	}
	return all, nil
}

// Rotate publishes the fresh keys, each to take over from the one of its
// algorithm: a day later, or with soon as soon as no cache can lack it. Where
// the next key is published already it stays the next one; soon brings it
// forward. changed says whether anything was done. Who may do it is the caller's
// to judge.
func (s *Service) Rotate(tx *store.Tx, fresh Fresh, soon bool) (changed bool, err error) {
	rows, err := tx.HoldKeys()
	if err != nil {
		return false, err
	}
	now := s.now()
	for _, alg := range directory.SigningAlgs() {
		if _, ok := fresh[alg]; !ok {
			continue
		}
		k := last(rows, alg)
		switch {
		case k == nil:
			err = fresh.publishFirst(tx, rows, alg, now)
		case !now.Before(k.Active) && soon:
			err = fresh.publish(tx, rows, alg, now, now.Add(Soon))
		case !now.Before(k.Active):
			err = fresh.publish(tx, rows, alg, now, now.Add(Lead))
		case soon && k.Created.Add(Soon).Before(k.Active):
			err = advance(tx, rows, k, later(now, k.Created.Add(Soon)))
		default:
			continue
		}
		if err != nil {
			return false, err
		}
		changed = true
	}
	return changed, nil
}

// advance lets the next key take over at another time.
func advance(tx *store.Tx, rows []store.Key, k *store.Key, active time.Time) error {
	if old := before(rows, k.ID); old != nil {
		if err := tx.TimeKey(old.ID, old.Active, active); err != nil {
			return err
		}
	}
	tx.Audit(audit.Record{Action: "Advance signing key", Target: party(*k), Elaborate: "in use from " + active.UTC().Format(time.RFC3339)})
	return tx.TimeKey(k.ID, active, k.Retired)
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// Drop removes every key of the algorithms at once, published, used or neither,
// and puts the fresh ones in their place. It is for keys that somebody else may
// hold, who can sign what no cutoff ends: any born he likes. So the caller cuts
// all tokens of the directory in the same transaction, upon which guards forget
// the keys they have. Who may do it is the caller's to judge. Kinds: NotFound,
// when there is nothing to drop.
func (s *Service) Drop(tx *store.Tx, fresh Fresh, named []string) error {
	rows, err := tx.HoldKeys()
	if err != nil {
		return err
	}
	now, dropped := s.now(), 0
	for _, k := range rows {
		if slices.Contains(named, k.Alg) {
			if err := remove(tx, rows, k.ID); err != nil {
				return err
			}
			dropped++
		}
	}
	if dropped == 0 {
		return errNoKey
	}
	for _, alg := range named {
		if err := fresh.publish(tx, nil, alg, now, now); err != nil {
			return err
		}
	}
	return nil
}

var errNoKey = fault.New(fault.NotFound, "There is no such signing key.")

// Find returns the key with this id. Kinds: NotFound, Unavailable.
func (s *Service) Find(id string) (Key, error) {
	r, err := s.current()
	if err != nil {
		return Key{}, err
	}
	k := r.byID[id]
	if k == nil {
		return Key{}, errNoKey
	}
	return describe(k.Key, r.longest, s.now()), nil
}

// Retire takes one key out of use before its time. The next key is withdrawn,
// and the one in use goes on. The one in use is replaced as by Rotate with soon,
// by the fresh key of its algorithm, or, where nobody asks for that algorithm and
// so none was made, by none. A retired one ends by itself: to end it sooner is to
// end what it signed, and that is Drop. Who may do it is the caller's to judge.
// Kinds: NotFound, Conflict.
func (s *Service) Retire(tx *store.Tx, fresh Fresh, id string) error {
	rows, err := tx.HoldKeys()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(rows, func(k store.Key) bool { return k.ID == id })
	if i < 0 {
		return errNoKey
	}
	now, k := s.now(), rows[i]
	_, replaced := fresh[k.Alg]
	switch state := describe(k, 0, now).State; {
	case state == Next:
		if old := before(rows, id); old != nil {
			if err := tx.TimeKey(old.ID, old.Active, k.Retired); err != nil {
				return err
			}
		}
		return remove(tx, rows, id)
	case state == Retired:
		longest, err := tx.LongestLife()
		if err != nil {
			return err
		}
		return fault.New(fault.Conflict, fmt.Sprintf("This key signs no more and ends by itself at %s. To end it at once, with every token of the directory, rotate and drop the old keys.", ends(k, longest).UTC().Format(time.RFC3339)))
	case replaced:
		_, err = s.Rotate(tx, Fresh{k.Alg: fresh[k.Alg]}, true)
		return err
	case k.Alg == directory.ES256 || !k.Retired.IsZero():
		return fault.New(fault.Conflict, "Somebody else is changing the signing keys. Nothing was done; try again.")
	}
	tx.Audit(audit.Record{Action: "Retire signing key", Target: party(k)})
	return tx.TimeKey(id, k.Active, now)
}

// Needs reports whether a registration asks for an algorithm. Kinds: Unavailable.
func (s *Service) Needs(ctx context.Context, alg string) (bool, error) {
	asked, err := s.asked(ctx)
	return slices.Contains(asked, alg), err
}
