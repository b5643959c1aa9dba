package guard

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/curfew-id/curfew/guard/internal/again"
	"github.com/curfew-id/curfew/guard/internal/jose"
)

// Check verifies a bearer token and answers with its claims, or with a
// [*Refusal]. Of a token seen before it allocates nothing. Of a key never seen it
// may wait up to two seconds for the server, of one that must be judged again three.
// A token that is bound to a key is refused: see [Guard.CheckRequest]. From which
// address it was shown is not known here, which helps nobody.
func (g *Guard) Check(token string) (*Claims, error) {
	e, err := g.check(context.Background(), token, netip.Addr{})
	if err != nil {
		return nil, err
	}
	if e.claims.bound != (confirmation{}) {
		return nil, &Refusal{Kind: Invalid, Claims: e.claims, cause: errBound, dpop: e.claims.bound.jkt != ""}
	}
	return e.claims, nil
}

func (g *Guard) check(ctx context.Context, token string, from netip.Addr) (*entry, error) {
	now := g.now()
	if since, closed := g.staleSince(now); closed {
		return nil, &Refusal{Kind: Stale, Since: since}
	}
	if token == "" {
		return nil, &Refusal{Kind: Missing, cause: errMissing}
	}
	e := g.cache.get(token)
	if e != nil && e.key.withdrawn.Load() {
		g.cache.drop(token)
		e = nil
	}
	var err error
	if e == nil {
		e, err = g.verify(token)
		if err == nil && e.key.withdrawn.Load() { // there may be another by now
			e, err = g.verify(token)
		}
		if err != nil {
			return nil, &Refusal{Kind: Invalid, cause: err}
		}
		now = g.now() // verifying may have waited for a key
		if err := g.judge(e, now, from); err != nil && err != errOwed {
			return nil, err // not kept: it may live long before it is good
		}
		// The token may be part of a larger buffer of the caller's.
		token = strings.Clone(token)
		if e.token == "" {
			e.token = token
		}
		e = g.cache.put(token, e, now.wall)
	}
	if err = g.judge(e, now, from); err == errOwed {
		err = g.settle(ctx, e, from)
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

// verify does what needs doing once: everything that cannot change.
func (g *Guard) verify(token string) (*entry, error) {
	var err error
	var inner string
	if len(token) > MaxTokenLen {
		return nil, errLong
	}
	if strings.Count(token, ".") == 4 {
		if token, err = jose.Open(token, g.decrypters); err != nil {
			return nil, err
		}
		inner = token
	}
	last := g.header.Load()
	p, err := parse(token, last)
	if err != nil {
		return nil, err
	}
	k := g.find(p.kid)
	if k == nil {
		return nil, errKey
	}
	if k.Alg != p.alg {
		return nil, errHeader
	}
	if !k.Verify(p.signed, p.signature) {
		return nil, errSignature
	}
	if last == nil || last.encoded != p.encoded { // good: worth remembering
		g.header.Store(&header{strings.Clone(p.encoded), p.alg, p.kid})
	}
	c, err := readClaims(p.payload)
	if err != nil {
		return nil, err
	}
	if !g.feed.knows(c.Issuer) {
		return nil, errIssuer
	}
	if c.Audience != g.cfg.Audience {
		return nil, errAudience
	}
	// Sums in seconds cannot overflow; nanoseconds of far dates would.
	e := &entry{claims: c, owner: c.owner(), key: k, token: inner}
	e.passes.Store(again.Born(c.Born, c.located, c.from))
	e.exp = wallNanos(c.Expires.Unix() + int64(g.cfg.ExpiryLeeway.Seconds()))
	if !c.NotBefore.IsZero() {
		e.nbf = wallNanos(c.NotBefore.Unix() - int64(g.cfg.NotBeforeLeeway.Seconds()))
	}
	return e, nil
}

// wallNanos clamps: a date beyond the year 2262 is for ever, one before 1970
// long ago.
func wallNanos(sec int64) int64 {
	const last = 1<<63/1_000_000_000 - 1
	return min(max(sec, 0), last) * 1_000_000_000
}

// judge looks at everything that can change: the guard's own freshness, time,
// floor and cutoffs. It is what a check of a known token costs. errOwed: nothing
// speaks against the token but that it must be judged again.
func (g *Guard) judge(e *entry, now instant, from netip.Addr) error {
	v := g.view.Load()
	if !v.open || v.vouched.since(now) > g.cfg.MaxStaleness {
		since, _ := g.staleSince(now)
		return &Refusal{Kind: Stale, Since: since}
	}
	if now.wall >= e.exp {
		return &Refusal{Kind: Invalid, Claims: e.claims, cause: errExpired}
	}
	if now.wall < e.nbf {
		return &Refusal{Kind: Invalid, Claims: e.claims, cause: errEarly}
	}
	if e.claims.Born < v.floor {
		return &Refusal{Kind: Revoked, Claims: e.claims, cause: errRevoked, at: now.wall}
	}
	pass := e.passes.Load().Of(from)
	owed := pass == nil // never seen from there
	if owed || pass.Alive.Load() != v.version {
		var dead bool
		if dead, owed = g.look(e, pass); dead {
			return &Refusal{Kind: Revoked, Claims: e.claims, cause: errRevoked, at: now.wall}
		}
	}
	// Last, so that a client whose token was cut together with its key is told to
	// get another one.
	if e.key.withdrawn.Load() {
		return &Refusal{Kind: Invalid, Claims: e.claims, cause: errKey}
	}
	if owed {
		return errOwed
	}
	if pass.Until != 0 && now.wall >= pass.Until {
		return g.outlived(e, now)
	}
	return nil
}

// outlived refuses a token that the server, when it judged it again, gave less time
// than it says itself.
func (g *Guard) outlived(e *entry, now instant) error {
	why := &Refusal{Kind: Barred, Claims: e.claims, cause: errStepUp, at: now.wall}
	if !e.claims.capable() {
		why.Kind = StepUp
	}
	return why
}

// look looks e up under the lock that keeps set, floor and version together: a
// snapshot may just have replaced a set by one that leaves more to the floor.
func (g *Guard) look(e *entry, pass *again.Pass) (dead, owed bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	v := g.view.Load()
	if e.claims.Born < v.floor || v.set.Dead(&e.owner, e.claims.Born, tokenKind) {
		return true, false
	}
	if pass == nil || v.set.Judge(&e.owner) > pass.Pos {
		return false, true
	}
	pass.Alive.Store(v.version)
	return false, false
}

// knows reports whether tokens of iss are accepted.
func (f *feed) knows(iss string) bool { return slices.Contains(*f.issuers.Load(), iss) }
