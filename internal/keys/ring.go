package keys

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
)

// ring is the keys as they stood at a position of the ledger. It is replaced
// whole.
type ring struct {
	signers []*signer // the oldest first
	byID    map[string]*signer
	byHead  map[string]headed // by encoded header, dot included
	jwks    []byte
	longest time.Duration // life of a token, as of the read
	// seen is the position up to which no line has changed the keys.
	seen atomic.Int64
}

// headed is what one of our headers says.
type headed struct {
	*signer
	typ Type
}

// signing returns the key that signs with alg at now; nil: there is none. One
// whose time has not come signs if it is the only one; see Use for who asks it to.
func (r *ring) signing(alg string, now time.Time) *signer {
	var best, early *signer
	for _, k := range r.signers {
		switch {
		case k.Alg != alg || !k.Retired.IsZero() && !now.Before(k.Retired):
		case !now.Before(k.Active):
			best = k // of two, the newer
		case early == nil:
			early = k
		}
	}
	if best == nil {
		return early
	}
	return best
}

// rows are the keys without their private halves.
func (r *ring) rows() []store.Key {
	all := make([]store.Key, len(r.signers))
	for i, k := range r.signers {
		all[i] = k.Key
	}
	return all
}

// reader reads the ring, one caller at a time.
type reader struct {
	mu   sync.Mutex
	last time.Time // guarded by mu: when a key nobody knew was looked for
}

// readTime bounds a read of the keys. Several callers wait for it, so none of
// their deadlines is its own.
const readTime = 3 * time.Second

// current returns the keys as of this node's view of the ledger. Whoever brought
// the view up to the primary before calling signs and verifies with the keys of
// the primary: a key that was dropped is not used once its line was followed.
// Kinds: Unavailable.
func (s *Service) current() (*ring, error) {
	r := s.ring.Load()
	if s.follows(r) {
		return r, nil
	}
	s.reader.mu.Lock()
	defer s.reader.mu.Unlock()
	if r := s.ring.Load(); s.follows(r) { // somebody else was here
		return r, nil
	}
	return s.read()
}

// follows reports whether no line up to the view's head has changed the keys
// since r was read.
func (s *Service) follows(r *ring) bool {
	seen := r.seen.Load()
	head, _ := s.db.View().Head()
	if int64(head) <= seen { // the ring was read from the primary: it may be ahead
		return true
	}
	lines, head, _, known := s.db.View().After(cutoff.Pos(seen))
	if !known {
		return false
	}
	for _, l := range lines {
		switch l.Cause {
		case standing.KeysChanged, standing.KeyDropped, standing.HistoryLost:
			return false
		}
	}
	r.seen.CompareAndSwap(seen, int64(head)) // or somebody has got further
	return true
}

// look reads the keys anew because somebody showed one that is not there: this
// node's view may lag behind the node that published it. Whoever makes up names
// causes one read a second.
func (s *Service) look() (*ring, error) {
	s.reader.mu.Lock()
	defer s.reader.mu.Unlock()
	now := s.now()
	if since := now.Sub(s.reader.last); since >= 0 && since < time.Second {
		return s.ring.Load(), nil
	}
	s.reader.last = now
	return s.read()
}

// again reads the keys anew, whatever the ledger says.
func (s *Service) again() (*ring, error) {
	s.reader.mu.Lock()
	defer s.reader.mu.Unlock()
	return s.read()
}

// read replaces the ring. The caller holds reader.mu, or nobody else knows s yet.
func (s *Service) read() (*ring, error) {
	ctx, cancel := context.WithTimeout(context.Background(), readTime)
	defer cancel()
	var rows []store.Key
	var longest time.Duration
	var head cutoff.Pos
	err := s.db.Read(ctx, func(tx *store.Tx) (err error) {
		head = tx.Head
		if rows, err = tx.Keys(); err == nil {
			longest, err = tx.LongestLife()
		}
		return err
	})
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "The signing keys could not be read. Try again.", err)
	}
	r, err := s.build(rows)
	if err != nil {
		return nil, err
	}
	r.longest = longest
	r.seen.Store(int64(head))
	s.ring.Store(r)
	return r, nil
}

func (s *Service) build(rows []store.Key) (*ring, error) {
	r := &ring{byID: map[string]*signer{}, byHead: map[string]headed{}}
	old := s.ring.Load()
	set := struct {
		Keys []json.RawMessage `json:"keys"`
	}{[]json.RawMessage{}}
	for _, row := range rows {
		var k *signer
		if old != nil && old.byID[row.ID] != nil { // its times may be others; unwrapping RSA is slow
			row.Public = old.byID[row.ID].Public
			k = newSigner(row, old.byID[row.ID].private)
		} else {
			var err error
			if k, err = s.unwrap(row); err != nil {
				return nil, err
			}
		}
		r.signers = append(r.signers, k)
		r.byID[k.ID] = k
		for typ, head := range k.heads {
			r.byHead[head] = headed{k, typ}
		}
		set.Keys = append(set.Keys, json.RawMessage(k.Public))
	}
	var err error
	if r.jwks, err = json.Marshal(set); err != nil {
		return nil, fmt.Errorf("render keys: %w", err)
	}
	return r, nil
}

// need remembers which algorithms the registrations name.
type need struct {
	mu   sync.Mutex
	pos  cutoff.Pos // guarded by mu: of the registrations that were looked at
	algs []string   // guarded by mu; nil: never looked
}

// asked lists the algorithms that are needed: the default, and what any
// registration names.
func (s *Service) asked(ctx context.Context) ([]string, error) {
	a := &s.need
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.algs != nil {
		if lines, head, _, known := s.db.View().After(a.pos); known && !touchesRegistrations(lines) {
			a.pos = head
			return a.algs, nil
		}
	}
	named := map[string]bool{directory.ES256: true}
	err := s.db.Read(ctx, func(tx *store.Tx) error {
		a.pos = tx.Head
		apps, err := tx.Apps()
		if err != nil {
			return err
		}
		for _, x := range apps {
			named[x.SigningAlg] = true
		}
		resources, err := tx.Resources()
		for _, x := range resources {
			named[x.SigningAlg] = true
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	a.algs = []string{}
	for _, alg := range directory.SigningAlgs() {
		if named[alg] {
			a.algs = append(a.algs, alg)
		}
	}
	return a.algs, nil
}

func touchesRegistrations(lines []store.LineAt) bool {
	for _, l := range lines {
		switch l.Cause {
		case standing.AppChanged, standing.AppDisabled, standing.AppDeleted, standing.AppNarrowed, standing.SecretRemoved, standing.HistoryLost:
			return true
		}
	}
	return false
}
