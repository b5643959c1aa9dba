package upstream

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/egress"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/proof"
)

// Client asks identity providers. Egress and Now are needed.
type Client struct {
	Egress *egress.Client
	Now    func() time.Time
	Log    *slog.Logger // nil: nowhere

	metadata cache[*Metadata]
	keys     cache[*proof.Keys]
}

// Metadata is what a provider says of itself (OpenID Connect Discovery 1.0 §3).
type Metadata struct {
	Issuer        string   `json:"issuer"`
	Authorization string   `json:"authorization_endpoint"`
	Token         string   `json:"token_endpoint"`
	JWKS          string   `json:"jwks_uri"`
	TokenAuth     []string `json:"token_endpoint_auth_methods_supported"`
	TokenAuthAlgs []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	Challenges    []string `json:"code_challenge_methods_supported"`
	NamesItself   bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207
}

// Metadata returns what the provider of an issuer says of itself. Kinds:
// Unavailable (no, or no usable answer), Invalid or Denied (an address that must not
// be asked).
func (c *Client) Metadata(ctx context.Context, issuer string) (*Metadata, error) {
	return c.metadata.get(ctx, c, issuer, false, c.discover)
}

// Discover is Metadata asked for anew, and the keys with it: for the moment
// somebody registers a provider.
func (c *Client) Discover(ctx context.Context, issuer string) (*Metadata, error) {
	m, err := c.discover(ctx, issuer)
	if err == nil {
		_, err = c.fetchKeys(ctx, m.JWKS)
	}
	return m, err
}

func (c *Client) discover(ctx context.Context, issuer string) (*Metadata, error) {
	b, err := c.getJSON(ctx, strings.TrimSuffix(issuer, "/")+directory.WellKnown)
	if err != nil {
		return nil, err
	}
	var m Metadata
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, unusable(issuer, "its metadata is not JSON of the form expected")
	}
	if m.Issuer != issuer { // Discovery §4.3; RFC 9700 §4.4.2: what mix-up rests on
		return nil, unusable(issuer, "its metadata names another issuer: "+fault.Quote(m.Issuer))
	}
	if len(m.Challenges) > 0 && !slices.Contains(m.Challenges, "S256") {
		return nil, unusable(issuer, "it does not take PKCE with S256")
	}
	for name, at := range map[string]string{"token_endpoint": m.Token, "jwks_uri": m.JWKS, "authorization_endpoint": m.Authorization} {
		if err := c.Egress.Check(at); err != nil {
			return nil, fault.Wrap(fault.KindOf(err), "The "+name+" of the identity provider cannot be used. "+fault.Public(err), err)
		}
	}
	return &m, nil
}

func unusable(issuer, why string) error {
	host := ""
	if u, err := url.Parse(issuer); err == nil {
		host = u.Host
	}
	return fault.New(fault.Unavailable, "The identity provider at "+host+" cannot be used: "+why+".")
}

// Keys returns what a provider signs with; anew asks once more, because a key was
// used that is not among them. Kinds as Metadata.
func (c *Client) Keys(ctx context.Context, p *directory.Provider, anew bool) (*proof.Keys, error) {
	m, err := c.Metadata(ctx, p.Issuer)
	if err != nil {
		return nil, err
	}
	return c.keys.get(ctx, c, m.JWKS, anew, c.fetchKeys)
}

func (c *Client) fetchKeys(ctx context.Context, at string) (*proof.Keys, error) {
	b, err := c.getJSON(ctx, at)
	if err != nil {
		return nil, err
	}
	keys, err := proof.ParseKeys(b)
	if err != nil || keys.Len() == 0 {
		return nil, fault.Wrap(fault.Unavailable, "The identity provider publishes no keys that can be used.", err)
	}
	return keys, nil
}

func (c *Client) getJSON(ctx context.Context, at string) ([]byte, error) {
	a, err := c.Egress.Get(ctx, at, http.Header{"Accept": {"application/json"}})
	if err != nil {
		return nil, err
	}
	if a.Status != http.StatusOK {
		return nil, fault.New(fault.Unavailable, fmt.Sprintf("The identity provider answered %d where its metadata or keys should be.", a.Status))
	}
	return a.Body, nil
}

// How long metadata and keys are believed, and how often a provider is asked.
const (
	fresh      = 5 * time.Minute
	stale      = time.Hour // while it does not answer
	pause      = 30 * time.Second
	maxEntries = 1000
)

// cache keeps what was read from other servers, in this process.
type cache[T any] struct {
	mu sync.Mutex
	m  map[string]*entry[T] // guarded by mu
}

type entry[T any] struct {
	mu    sync.Mutex // held while the server is asked: others wait for the answer
	v     T
	at    time.Time // of v; zero: there is none
	tried time.Time
	err   error // of the last try
}

func (k *cache[T]) entry(name string) *entry[T] {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.m[name]
	if e == nil {
		if k.m == nil || len(k.m) >= maxEntries {
			k.m = map[string]*entry[T]{}
		}
		e = &entry[T]{}
		k.m[name] = e
	}
	return e
}

func (k *cache[T]) get(ctx context.Context, c *Client, name string, anew bool, fetch func(context.Context, string) (T, error)) (v T, err error) {
	e := k.entry(name)
	e.mu.Lock()
	defer e.mu.Unlock()
	now := c.Now()
	if (anew || e.at.IsZero() || now.Sub(e.at) >= fresh) && (now.Sub(e.tried) >= pause || now.Before(e.tried)) {
		e.tried = now
		got, err := fetch(ctx, name)
		if e.err = err; err == nil {
			e.v, e.at = got, now
		} else {
			if c.Log != nil {
				c.Log.WarnContext(ctx, "an identity provider was asked in vain", "error", err)
			}
			if ctx.Err() != nil { // the caller left: not the provider's fault
				e.tried = time.Time{}
			}
		}
	}
	if e.at.IsZero() || now.Sub(e.at) >= stale || now.Before(e.at.Add(-pause)) {
		if e.err != nil {
			return v, e.err
		}
		return v, fault.New(fault.Unavailable, "The identity provider does not answer. Try again in a moment.")
	}
	return e.v, nil
}
