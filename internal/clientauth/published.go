package clientauth

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/proof"
)

// keySource is where the keys came from that a credential was judged by:
// published at uri, or, with an empty uri, written down in the registration.
type keySource struct {
	uri       string
	published *proof.Keys
}

// of returns the keys of an application: those of the registration as it is now.
// Published ones do not change within a request.
func (k *keySource) of(app *directory.App, now time.Time) *proof.Keys {
	if k.uri != "" {
		return k.published
	}
	return registeredKeys(app, now)
}

func registeredKeys(app *directory.App, now time.Time) *proof.Keys {
	var jwks []json.RawMessage
	for _, k := range app.Keys[:min(len(app.Keys), proof.MaxKeys)] {
		if k.Expires.IsZero() || now.Before(k.Expires) {
			jwks = append(jwks, json.RawMessage(k.JWK))
		}
	}
	keys, err := proof.NewKeys(jwks...)
	if err != nil {
		return &proof.Keys{} // a registration that holds a private key is worth nothing
	}
	return keys
}

// withKeys judges a credential by a client's keys. When they are published and
// none is the right one, they are read again, in case the client has a new one.
func (v *Verifier) withKeys(ctx context.Context, app *directory.App, k *keySource, judge func(*proof.Keys) error) error {
	if k.uri = app.KeysURI; k.uri == "" {
		return judge(registeredKeys(app, v.Now()))
	}
	for _, again := range []bool{false, true} {
		keys, err := v.Published.get(ctx, v.Now(), k.uri, again)
		if err != nil {
			return err
		}
		k.published = keys
		if err = judge(keys); again || !errors.Is(err, proof.ErrKey) && !errors.Is(err, proof.ErrSignature) {
			return err
		}
	}
	return nil
}

// How long keys that a client publishes are believed. One that it took back is
// accepted for up to keysFresh, or up to keysStale while its server does not
// answer; a server is asked at most once each keysPause, whoever sends what.
const (
	keysFresh = 5 * time.Minute
	keysStale = time.Hour
	keysPause = 30 * time.Second
	maxURIs   = 10000
)

// Published are the keys read from clients' servers, in this process.
type Published struct {
	// Fetch gets the JWK set at a URL.
	Fetch func(ctx context.Context, url string) ([]byte, error)
	Log   *slog.Logger

	mu sync.Mutex
	m  map[string]*keysAt // guarded by mu
}

type keysAt struct {
	mu    sync.Mutex // held while the server is asked: others wait for the answer
	keys  *proof.Keys
	at    time.Time // of keys
	tried time.Time
}

func (p *Published) entry(uri string) *keysAt {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.m[uri]
	if e == nil {
		if p.m == nil || len(p.m) >= maxURIs {
			p.m = map[string]*keysAt{}
		}
		e = &keysAt{}
		p.m[uri] = e
	}
	return e
}

func (p *Published) get(ctx context.Context, now time.Time, uri string, again bool) (*proof.Keys, error) {
	if p == nil {
		return nil, errUnread
	}
	e := p.entry(uri)
	e.mu.Lock()
	defer e.mu.Unlock()
	fresh := e.keys != nil && now.Sub(e.at) < keysFresh
	if (!fresh || again) && now.Sub(e.tried) >= keysPause {
		e.tried = now
		b, err := p.Fetch(ctx, uri)
		if err == nil {
			var keys *proof.Keys
			if keys, err = proof.ParseKeys(b); err == nil {
				e.keys, e.at = keys, now
			}
		}
		if err != nil {
			p.Log.WarnContext(ctx, "keys of a client", "error", err)
			if ctx.Err() != nil { // the caller left: not the server's fault
				e.tried = time.Time{}
			}
		}
	}
	if e.keys == nil || now.Sub(e.at) >= keysStale {
		return nil, errUnread
	}
	return e.keys, nil
}

var errUnread = fault.New(fault.Unavailable, "The keys that this client publishes could not be read.")
