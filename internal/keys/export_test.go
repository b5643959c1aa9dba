package keys

import "github.com/curfew-id/curfew/internal/store"

// Forget makes s know only the keys that keep says, as a node does that has not
// followed the ledger yet.
func (s *Service) Forget(keep func(kid string) bool) {
	r := s.ring.Load()
	var rows []store.Key
	for _, k := range r.signers {
		if keep(k.ID) {
			rows = append(rows, k.Key)
		}
	}
	stale, err := s.build(rows)
	if err != nil {
		panic(err) // all of them are unwrapped already
	}
	stale.longest = r.longest
	stale.seen.Store(r.seen.Load())
	s.ring.Store(stale)
}

// Fill takes all turns of RS256 signatures, and returns what gives them back.
func (s *Service) Fill() (leave func()) {
	for range cap(s.rsa) {
		s.rsa <- struct{}{}
	}
	return func() {
		for range cap(s.rsa) {
			s.rsa.leave()
		}
	}
}
