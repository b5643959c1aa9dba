package guard

import (
	"sync"
	"sync/atomic"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/guard/internal/again"
)

// entry is a token whose signature and claims were found good once. What can
// change (time, staleness, floor, cutoffs, the key's withdrawal) is looked at
// on every check.
type entry struct {
	claims *Claims
	owner  cutoff.Owner
	key    *key
	token  string // as the server knows it: what was inside, if it came encrypted
	exp    int64  // wall ns from which it is refused, leeway included
	nbf    int64  // wall ns before which it is refused, leeway included
	// passes say up to where the token was judged. While the view has the version
	// that the pass of an address was found good at, look-ups are skipped.
	passes atomic.Pointer[again.Passes] // written under doubt.mu
	doubt  doubt
}

// cache keeps entries under the whole token, compared in full. Keyed by jti or
// signature, one token could pass for another. Only verified tokens enter, so
// strangers cannot fill it; its size bounds what everybody else can.
type cache struct {
	limit  int // per shard
	shards [16]cacheShard
}

type cacheShard struct {
	mu sync.RWMutex
	m  map[string]*entry
}

// evict makes room: expired ones among a few picked at random (maps start
// anywhere), or else the last of these. The caller holds mu.
func (s *cacheShard) evict(now int64) {
	tries, victim := 0, ""
	for token, e := range s.m {
		if victim = token; e.exp <= now {
			break
		}
		if tries++; tries == 8 {
			break
		}
	}
	delete(s.m, victim)
}

func (c *cache) init(size int) {
	c.limit = max(1, size/len(c.shards))
	for i := range c.shards {
		c.shards[i].m = make(map[string]*entry)
	}
}

// shard picks by bytes near the end of the signature: the last character of
// all carries only some of its bits.
func shard(token string) int {
	n := len(token)
	if n < 4 {
		return 0
	}
	return int(token[n-2]^token[n-3]*7) & 15
}

func (c *cache) get(token string) *entry {
	s := &c.shards[shard(token)]
	s.mu.RLock()
	e := s.m[token]
	s.mu.RUnlock()
	return e
}

// put returns the entry that is kept: the one that is there already, so that all who
// show a token wait for the same judgement, unless its key was withdrawn.
func (c *cache) put(token string, e *entry, now int64) *entry {
	s := &c.shards[shard(token)]
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.m[token]
	if was != nil && !was.key.withdrawn.Load() {
		return was
	}
	if was == nil && len(s.m) >= c.limit {
		s.evict(now)
	}
	s.m[token] = e
	return e
}

func (c *cache) drop(token string) {
	s := &c.shards[shard(token)]
	s.mu.Lock()
	delete(s.m, token)
	s.mu.Unlock()
}
