package guard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/guard/internal/jose"
)

// key is one of the issuer's.
type key struct {
	jose.Key
	withdrawn atomic.Bool // no longer published: what it signed is verified anew
}

const (
	maxKeys       = 64
	keysEvery     = 5 * time.Minute  // refresh without a reason
	keysAgain     = 5 * time.Second  // the least between two fetches for unknown kids
	keysForgotten = 24 * time.Hour   // keys not confirmed for so long are dropped
	keysPatience  = 2 * time.Second  // how long a request waits for a new key
	callTimeout   = 10 * time.Second // register, keys, goodbye
)

// keyring holds the issuer's keys. Run's key loop alone fetches; a check that
// meets an unknown kid asks it to, at most once in keysAgain.
type keyring struct {
	set  atomic.Pointer[map[string]*key]
	poke chan struct{}

	mu      sync.Mutex
	pending chan struct{}   // closed when the fetch that was asked for is over; nil: none
	again   int64           // monotonic ns before which no unknown kid causes a fetch
	over    bool            // nobody fetches any more
	asOf    cutoff.Pos      // the ledger position as of which the server gave the set
	need    cutoff.Pos      // keys as of an older position are not taken
	old     map[string]*key // withdrawn ones: what they signed is refused, but read
}

func (k *keyring) init() {
	k.poke = make(chan struct{}, 1)
	k.set.Store(&map[string]*key{})
	k.old = map[string]*key{}
}

func (k *keyring) loaded() bool { return len(*k.set.Load()) > 0 }

// find returns the key named kid, a withdrawn one if that is all there is. Of an
// unknown one it asks the server, within limits: inventing names buys nobody more
// than one fetch in keysAgain.
func (g *Guard) find(kid string) *key {
	k := &g.keys
	if found := (*k.set.Load())[kid]; found != nil {
		return found
	}
	now := g.now().mono
	k.mu.Lock()
	if k.pending == nil && k.old[kid] == nil && now >= k.again && g.running.Load() {
		k.again = now + int64(keysAgain)
		k.ask()
	}
	pending := k.pending
	k.mu.Unlock()
	if pending != nil {
		patience := time.NewTimer(keysPatience)
		defer patience.Stop()
		select {
		case <-pending:
		case <-patience.C:
		}
	}
	if found := (*k.set.Load())[kid]; found != nil { // it may have come meanwhile
		return found
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.old[kid]
}

// ask wants a fetch that has not begun yet. The caller holds mu, and nothing is
// pending.
func (k *keyring) ask() {
	if k.over {
		return
	}
	k.pending = make(chan struct{})
	select {
	case k.poke <- struct{}{}:
	default: // one that was asked for before is still to begin
	}
}

// asked returns what to settle after a fetch that begins now.
func (k *keyring) asked() chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.pending
}

// settle ends the wait of those who asked before a fetch began.
func (k *keyring) settle(asked chan struct{}) {
	k.mu.Lock()
	if asked != nil && asked == k.pending {
		close(k.pending)
		k.pending = nil
	}
	k.mu.Unlock()
}

func (k *keyring) release() {
	k.mu.Lock()
	k.over = true
	pending := k.pending
	k.mu.Unlock()
	k.settle(pending)
}

// distrust forgets the keys when they are older than the newest cutoff of the
// whole directory, or than the floor. Whoever has got hold of a signing key can
// write any born into what he signs, so the cutoff that comes with the key's
// withdrawal would not end it: the guard must not use the key once it knows the
// line. Everybody's tokens are dead by it, so a fetch is all it costs. It is
// called with the view that is about to be published; the caller holds g.mu.
func (g *Guard) distrust(v *view) {
	pos := max(v.floor, v.set.Latest(&nobody, tokenKind))
	k := &g.keys
	k.mu.Lock()
	stale := pos > k.need && pos > k.asOf
	k.need = max(k.need, pos)
	if stale && len(*k.set.Load()) > 0 {
		k.replace(map[string]*key{}, 0)
		if k.pending == nil {
			k.ask()
		}
	}
	k.mu.Unlock()
	if stale {
		select {
		case g.holds.wake <- struct{}{}: // what is held by such a key ends now
		default:
		}
	}
}

// nobody belongs to the directory only.
var nobody cutoff.Owner

// refreshKeys is Run's key loop.
func (g *Guard) refreshKeys(ctx context.Context) {
	uri, ok := g.feed.jwks(ctx)
	if !ok {
		return
	}
	good := g.now()
	var tries int
	for {
		asked := g.keys.asked()
		err := g.fetchKeys(ctx, uri)
		if !errors.Is(err, errOldKeys) { // else the next try is near, and worth waiting for
			g.keys.settle(asked)
		}
		wait := jitter(keysEvery)
		if err != nil && ctx.Err() == nil {
			g.log.Warn("fetch keys", "error", err)
			g.failed(err)
			wait = backoff(&tries, 30*time.Second)
			if good.since(g.now()) > keysForgotten {
				g.keys.forget()
			}
		} else {
			tries, good = 0, g.now()
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-g.keys.poke:
			timer.Stop()
		}
		if u, ok := g.feed.jwks(ctx); ok { // the server may have told a new one
			uri = u
		}
	}
}

func (g *Guard) fetchKeys(ctx context.Context, uri string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Cache-Control", "no-cache") // whatever stands in between
	known := g.view.Load().pos
	resp, err := g.client.Do(req)
	if err != nil {
		return fmt.Errorf("fetch keys: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("fetch keys: status %d", resp.StatusCode)
	}
	var doc struct{ Keys []json.RawMessage }
	if err := json.NewDecoder(http.MaxBytesReader(nil, resp.Body, 1<<20)).Decode(&doc); err != nil {
		return fmt.Errorf("read keys: %w", err)
	}
	if len(doc.Keys) > maxKeys {
		return fmt.Errorf("read keys: %d keys are too many", len(doc.Keys))
	}
	fresh, twice := map[string]*key{}, map[string]bool{}
	for _, raw := range doc.Keys {
		var j jose.JWK
		if json.Unmarshal(raw, &j) != nil {
			continue // of a kind we do not know
		}
		k, ok := j.Key()
		if !ok || j.Kid == "" {
			continue
		}
		if _, ok := fresh[j.Kid]; ok {
			twice[j.Kid] = true
		}
		fresh[j.Kid] = &key{Key: k}
	}
	for kid := range twice { // which of the two was meant cannot be told: neither
		delete(fresh, kid)
	}
	if len(fresh) == 0 {
		return fmt.Errorf("read keys: none of %d keys is usable", len(doc.Keys))
	}
	if err := g.keys.take(fresh, asOf(resp.Header, known)); err != nil {
		return fmt.Errorf("read keys: %w", err)
	}
	g.mu.Lock()
	g.tell()
	g.mu.Unlock()
	return nil
}

// asOf is the ledger position at which the server read the keys. A server that
// does not say is taken to have known what this guard had applied before asking.
func asOf(h http.Header, known cutoff.Pos) cutoff.Pos {
	n, err := strconv.ParseInt(h.Get("Curfew-Position"), 10, 64)
	if err != nil || n < 0 || cutoff.Pos(n) > cutoff.MaxPos {
		return known
	}
	return cutoff.Pos(n)
}

var errOldKeys = errors.New("they are older than a cutoff of the whole directory; a node lags, or a cache does")

// take publishes fresh unless they are too old.
func (k *keyring) take(fresh map[string]*key, at cutoff.Pos) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if at < k.need {
		return errOldKeys
	}
	k.replace(fresh, at)
	return nil
}

// forget drops all keys.
func (k *keyring) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.replace(map[string]*key{}, 0)
}

// replace publishes fresh, keeping the identity of keys that stay. The caller
// holds mu.
func (k *keyring) replace(fresh map[string]*key, at cutoff.Pos) {
	k.asOf = at
	old := *k.set.Load()
	for kid, was := range old {
		if is, ok := fresh[kid]; ok && is.Equal(&was.Key) {
			fresh[kid] = was
		}
	}
	k.set.Store(&fresh)
	for kid, was := range old {
		if fresh[kid] != was {
			was.withdrawn.Store(true)
			if len(k.old) >= maxKeys {
				clear(k.old)
			}
			k.old[kid] = was
		}
	}
	for kid := range fresh {
		delete(k.old, kid)
	}
}
