package guard

import (
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/guard/internal/dpop"
	"github.com/curfew-id/curfew/guard/internal/jose"
	"github.com/curfew-id/curfew/guard/internal/where"
	"github.com/curfew-id/curfew/guard/internal/wire"
)

// Secret is a client secret. It prints as dots, in logs and in JSON too.
type Secret string

const dots = "••••••"

// String returns dots.
func (Secret) String() string { return dots }

// GoString returns dots.
func (Secret) GoString() string { return dots }

// MarshalText returns dots.
func (Secret) MarshalText() ([]byte, error) { return []byte(dots), nil }

// LogValue returns dots.
func (Secret) LogValue() slog.Value { return slog.StringValue(dots) }

// Config says whom a guard trusts and what it guards. Issuer, ClientID,
// ClientSecret and Audience are required; the rest has working zeros.
type Config struct {
	Issuer       string // base URL of the server; https, or http on loopback
	ClientID     string // the resource's own client, which may guard Audience
	ClientSecret Secret
	Audience     string // the resource; a token's aud must equal it

	// DecryptionKeys are for a resource that has its tokens encrypted: the private
	// halves of the keys it registers, the one before as well while a new one
	// takes over. *rsa.PrivateKey, *ecdsa.PrivateKey or *ecdh.PrivateKey; at most
	// 8. A token that was only signed is good all the same.
	DecryptionKeys []crypto.PrivateKey

	// URL is where clients reach the resource, https (http on loopback), without
	// query: "https://mail.contoso.example". With it the guard takes tokens that
	// are bound to a DPoP key, whose proofs name the address they are for, and
	// publishes the resource's metadata (RFC 9728). What stands in front of the
	// guard must leave paths as they are. Zero: neither.
	URL string
	// Scopes are published in the metadata, as clients ask for them.
	Scopes []string
	// DemandNonce refuses proofs without a nonce of this guard's: they cannot be
	// made in advance. NonceSecret is shared by instances that take each other's
	// nonces; zero: a random one.
	DemandNonce bool
	NonceSecret Secret

	Name         string        // shown to administrators; zero: the ClientID
	MaxStaleness time.Duration // how old the view may become; zero: 10 s; 1 s … 5 min

	ExpiryLeeway    time.Duration // added to exp; zero: none; at most 5 min
	NotBeforeLeeway time.Duration // taken off nbf; zero: 30 s; negative: none; at most 5 min

	CacheSize  int          // verified tokens remembered; zero: 16,384
	HTTPClient *http.Client // its Transport and Jar are used; zero: a new one

	// ClientAddress says where a request comes from, for policies about places; zero:
	// the other end of the connection. Behind proxies see [BehindProxies]. The zero
	// Addr is an address that is not known, which helps nobody.
	ClientAddress func(*http.Request) netip.Addr

	Log *slog.Logger // zero: slog.Default()

	// Now and Mono replace the clocks that are read (not the timers that wait):
	// Now is the wall clock, Mono time since any fixed start, on a clock nobody
	// sets. Tests give both or neither.
	Now  func() time.Time
	Mono func() time.Duration
}

// Guard verifies tokens and follows the feed. Make one with New, run it with
// Run; everything else may be called from any goroutine at any time.
//
// Lock order: mu, then feed.mu or keys.mu; the others are taken alone. Nothing is
// called out to while one is held.
type Guard struct {
	cfg        Config
	decrypters []jose.Decrypter
	wait       time.Duration // how long the server may hold a question
	base       time.Time     // start of the monotonic clock
	client     *http.Client
	log        *slog.Logger

	view  atomic.Pointer[view] // written under mu
	cache cache
	keys  keyring
	holds holds
	feed  feed

	origin, metadataPath string // of URL; empty without it
	metadata             []byte
	asks                 chan struct{} // one for each question that is out
	nonceKey             [sha256.Size]byte
	proofs               dpop.Used

	header atomic.Pointer[header] // of the last token found good; saves reading it again

	running   atomic.Bool
	streaming atomic.Bool
	authURI   atomic.Pointer[string]

	mu      sync.RWMutex // guards the set in view (for reading: RLock) and what follows
	stopped bool
	ahead   []cutoff.Line // lines of the stream beyond the last answer's head
	bad     uint64        // lines that could not be read, ever
	lastErr error         // why the last call failed; nil after a good answer
	changed chan struct{} // closed and replaced when view, keys or lastErr change
}

// view is what a check needs, published as one pointer. All but the set behind
// it is immutable.
type view struct {
	set     *cutoff.Set
	version uint64     // grows whenever the set or the floor changed
	floor   cutoff.Pos // tokens born before it are refused
	head    cutoff.Pos // of the last answer
	pos     cutoff.Pos // the largest position applied, stream included
	vouched instant    // everything committed before it is in the set
	open    bool       // false: nothing is vouched for, whatever the age
	closed  time.Time  // since when, if not open
}

// instant is one moment on both clocks, in nanoseconds.
type instant struct{ mono, wall int64 }

func (i instant) add(d time.Duration) instant { return instant{i.mono + int64(d), i.wall + int64(d)} }

// since is the age of i at now: the larger of the two clocks.
func (i instant) since(now instant) time.Duration {
	return time.Duration(max(now.mono-i.mono, now.wall-i.wall))
}

func (g *Guard) now() instant {
	if g.cfg.Now != nil {
		return instant{int64(g.cfg.Mono()), g.cfg.Now().UnixNano()}
	}
	t := time.Now()
	return instant{int64(t.Sub(g.base)), t.UnixNano()}
}

func wallTime(ns int64) time.Time { return time.Unix(0, ns).UTC() }

// New checks the configuration and returns a guard that refuses everything
// until Run has followed the feed.
func New(cfg Config) (*Guard, error) {
	cfg.Issuer = strings.TrimSuffix(cfg.Issuer, "/")
	if err := wire.CheckURL(cfg.Issuer); err != nil {
		return nil, fmt.Errorf("guard: issuer: %w", err)
	}
	if cfg.ClientID == "" || cfg.ClientSecret == "" || cfg.Audience == "" {
		return nil, errors.New("guard: ClientID, ClientSecret and Audience are required")
	}
	if (cfg.Now == nil) != (cfg.Mono == nil) {
		return nil, errors.New("guard: Now and Mono come together")
	}
	if cfg.URL != "" {
		cfg.URL = strings.TrimSuffix(cfg.URL, "/")
		if err := wire.CheckURL(cfg.URL); err != nil {
			return nil, fmt.Errorf("guard: URL: %w", err)
		}
	}
	if cfg.Name == "" {
		cfg.Name = cfg.ClientID
	}
	if cfg.MaxStaleness == 0 {
		cfg.MaxStaleness = 10 * time.Second
	}
	if cfg.MaxStaleness < time.Second || cfg.MaxStaleness > 5*time.Minute {
		return nil, errors.New("guard: MaxStaleness is 1s to 5m")
	}
	if cfg.NotBeforeLeeway == 0 {
		cfg.NotBeforeLeeway = 30 * time.Second
	}
	cfg.NotBeforeLeeway = max(cfg.NotBeforeLeeway, 0)
	if cfg.ExpiryLeeway < 0 || cfg.ExpiryLeeway > 5*time.Minute || cfg.NotBeforeLeeway > 5*time.Minute {
		return nil, errors.New("guard: a leeway is at most 5m")
	}
	if cfg.CacheSize == 0 {
		cfg.CacheSize = 1 << 14
	}
	if cfg.CacheSize < 0 {
		return nil, errors.New("guard: CacheSize is negative")
	}
	if len(cfg.DecryptionKeys) > jose.MaxDecrypters {
		return nil, fmt.Errorf("guard: at most %d DecryptionKeys", jose.MaxDecrypters)
	}
	var decrypters []jose.Decrypter
	for i, k := range cfg.DecryptionKeys {
		d, err := jose.NewDecrypter(k)
		if err != nil {
			return nil, fmt.Errorf("guard: DecryptionKeys[%d]: %w", i, err)
		}
		decrypters = append(decrypters, d)
	}
	cfg.DecryptionKeys = nil // what prints a configuration prints no key
	if cfg.ClientAddress == nil {
		cfg.ClientAddress = where.Remote
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	g := &Guard{
		cfg:        cfg,
		decrypters: decrypters,
		wait:       min(5*time.Second, cfg.MaxStaleness/2),
		base:       time.Now(),
		log:        cfg.Log.With("guard", cfg.Name, "resource", cfg.Audience),
		changed:    make(chan struct{}),
		asks:       make(chan struct{}, asksAtOnce),
	}
	g.nonceKey = nonceKey([]byte(cfg.NonceSecret))
	g.describe()
	// A copy: the feed outlasts any timeout meant for ordinary calls (each call
	// has its own deadline), and credentials follow no redirect.
	c := http.Client{}
	if cfg.HTTPClient != nil {
		c.Transport, c.Jar = cfg.HTTPClient.Transport, cfg.HTTPClient.Jar
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	g.client = &c
	g.cache.init(cfg.CacheSize)
	g.keys.init()
	g.holds.init()
	g.feed.init()
	g.view.Store(&view{set: new(cutoff.Set), closed: wallTime(g.now().wall)})
	return g, nil
}

// BehindProxies is a [Config.ClientAddress] for a service behind proxies: of a
// request that comes from one of them it follows X-Forwarded-For backwards to the
// first address that is not a proxy's. Name every network in which proxies are and
// nothing else: whoever is in one can claim to be anywhere. A header that cannot be
// read leaves the address unknown.
func BehindProxies(proxies ...netip.Prefix) func(*http.Request) netip.Addr {
	return where.Behind(proxies...)
}

var errRunsOnce = errors.New("guard: Run was called before")

// Run follows the feed until ctx ends, then says goodbye to the server and
// returns nil. It owns every goroutine of the guard and waits for them. Trouble
// with the server is logged and tried again for ever: meanwhile the guard's
// own limit closes it. A guard runs once.
func (g *Guard) Run(ctx context.Context) error {
	if !g.running.CompareAndSwap(false, true) {
		return errRunsOnce
	}
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	all.Go(func() { g.follow(ctx) })
	all.Go(func() { g.stream(ctx) })
	all.Go(func() { g.refreshKeys(ctx) })
	all.Go(func() { g.watch(ctx) })
	all.Go(func() { g.rejudge(ctx) })
	<-ctx.Done()
	g.mu.Lock()
	g.stopped = true
	g.close("stopped")
	g.mu.Unlock()
	g.cutHeld(nil)
	all.Wait()
	g.goodbye(context.WithoutCancel(ctx))
	g.keys.release()
	g.client.CloseIdleConnections()
	return nil
}

// close publishes a view that vouches for nothing. The caller holds mu.
func (g *Guard) close(why string) {
	v := *g.view.Load()
	if v.open {
		v.open, v.closed = false, wallTime(g.now().wall)
		g.view.Store(&v)
		g.log.Warn("guard closed", "why", why, "position", v.pos)
	}
	g.tell()
}

// tell wakes whoever waits in Ready. The caller holds mu.
func (g *Guard) tell() {
	close(g.changed)
	g.changed = make(chan struct{})
}

func (g *Guard) failed(err error) {
	g.mu.Lock()
	g.lastErr = err
	g.tell()
	g.mu.Unlock()
}

// Ready waits until the guard has keys and a fresh view. Its error says what
// is missing, with the last failure of a call to the server.
func (g *Guard) Ready(ctx context.Context) error {
	for {
		g.mu.RLock()
		changed, last, stopped := g.changed, g.lastErr, g.stopped
		g.mu.RUnlock()
		if stopped {
			return errors.New("guard: not running")
		}
		_, closed := g.staleSince(g.now())
		if !closed && g.keys.loaded() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("guard: not ready: %w", errors.Join(ctx.Err(), last))
		}
	}
}

// staleSince says whether the guard is closed at now, and since when.
func (g *Guard) staleSince(now instant) (time.Time, bool) {
	v := g.view.Load()
	if !v.open {
		return v.closed, true
	}
	if age := v.vouched.since(now); age > g.cfg.MaxStaleness {
		return wallTime(now.wall - int64(age-g.cfg.MaxStaleness)), true
	}
	return time.Time{}, false
}

// Status is what a status page needs to know.
type Status struct {
	Process     string        // id the server gave this process; empty: not registered
	Position    cutoff.Pos    // largest ledger position applied
	Confirmed   cutoff.Pos    // head of the last answer; the next ask acknowledges it
	Floor       cutoff.Pos    // tokens born before it are refused
	Age         time.Duration // how old the view is; meaningless before the first answer
	Closed      bool          // everything is refused
	ClosedSince time.Time     // zero unless Closed
	Streaming   bool          // the stream is connected
	Held        int           // long-lived requests that would be cut
	Cutoffs     int           // scope:id pairs in the set
	LastError   error         // of the last call to the server; nil if it was answered
}

// Status returns the guard's state.
func (g *Guard) Status() Status {
	now := g.now()
	since, closed := g.staleSince(now)
	g.mu.RLock()
	v := g.view.Load()
	st := Status{
		Process: g.feed.process(), Position: v.pos, Confirmed: v.head, Floor: v.floor,
		Age: v.vouched.since(now), Closed: closed, ClosedSince: since,
		Cutoffs: v.set.Len(), LastError: g.lastErr,
	}
	g.mu.RUnlock()
	st.Streaming = g.streaming.Load()
	st.Held = g.holds.len()
	return st
}
