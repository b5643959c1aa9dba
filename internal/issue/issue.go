package issue

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"log/slog"
	"sync"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/keys"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
)

// Service issues and judges tokens.
type Service struct {
	DB        *store.DB
	Keys      *keys.Service
	Revoke    *revoke.Service
	Base      string // public URL without a trailing slash
	Tenant    string // the directory's GUID
	Lifetimes grant.Lifetimes
	Now       func() time.Time
	Log       *slog.Logger

	reg   registry
	known knownTokens
}

// Issuer returns the iss of tokens from one of the two layouts.
func (s *Service) Issuer(i grant.Issuer) string {
	if i == grant.Plain {
		return s.Base
	}
	return s.Base + "/" + s.Tenant + "/v2.0"
}

// Audience returns the aud of access tokens for a resource.
func (s *Service) Audience(r directory.ResourceID) string {
	if r == directory.OwnAPI {
		return s.Base + "/graph"
	}
	return string(r)
}

// Meta is what a request tells about itself.
type Meta struct {
	IP      string
	Request string // correlation id
	// CP1: the client declared that it understands claims challenges.
	CP1 bool
}

// Tokens is what a token request gets.
type Tokens struct {
	Access           string
	Refresh          string // empty: no offline_access
	ID               string // empty: no openid
	ExpiresIn        time.Duration
	RefreshExpiresIn time.Duration
	Scope            string // as asked, what was granted of it
	User             directory.UserID
	Grant            directory.GrantID
	Outcome          grant.Outcome // of a refresh
}

// Credentials are what a client presents at the token endpoint.
type Credentials struct {
	ID     directory.AppID
	Secret string // empty: none was sent
}

// Client is an authenticated client.
type Client struct {
	*directory.App
	secret []byte // SHA-256 of what it presented; nil for public clients
}

// still reports whether app, as read inside a transaction, would authenticate
// the client as well: a secret may have been removed meanwhile.
func (c *Client) still(app *directory.App, now time.Time) bool {
	if app.ID != c.ID || app.Object != c.Object {
		return false
	}
	return app.Version == c.Version || authentic(app, c.secret, now)
}

func authentic(app *directory.App, secret []byte, now time.Time) bool {
	if app.Public {
		return secret == nil
	}
	ok := 0
	for _, x := range app.Secrets {
		if x.Expires.IsZero() || now.Before(x.Expires) {
			ok |= subtle.ConstantTimeCompare(x.Hash, secret)
		}
	}
	return ok == 1
}

// Client authenticates a client. A public one must not present a secret, a
// confidential one must. Kinds: Unauthenticated, Revoked (disabled).
func (s *Service) Client(ctx context.Context, c Credentials) (*Client, error) {
	r, err := s.reg.get(ctx, s)
	if err != nil {
		return nil, err
	}
	app := r.apps[c.ID]
	if app == nil {
		return nil, errClient
	}
	var hash []byte
	if c.Secret != "" {
		h := sha256.Sum256([]byte(c.Secret))
		hash = h[:]
	}
	switch {
	case !app.Public && hash == nil:
		return nil, refuse(fault.Unauthenticated, "invalid_client", 7000218, "", "This client must authenticate: send its secret.")
	case !authentic(app, hash, s.Now()):
		return nil, errClient
	case !app.Enabled:
		return nil, dead([]standing.Cause{standing.AppDisabled})
	}
	return &Client{App: app, secret: hash}, nil
}

// App returns a registered application without authenticating it, for the
// authorization endpoint. ErrNotFound kinds: NotFound, Revoked.
func (s *Service) App(ctx context.Context, id directory.AppID) (*directory.App, error) {
	r, err := s.reg.get(ctx, s)
	if err != nil {
		return nil, err
	}
	app := r.apps[id]
	if app == nil {
		return nil, refuse(fault.NotFound, "unauthorized_client", 700016, "", "There is no such application in this directory.")
	}
	if !app.Enabled {
		return nil, dead([]standing.Cause{standing.AppDisabled})
	}
	return app, nil
}

// Resource returns a registered resource or the directory's own API.
func (s *Service) Resource(ctx context.Context, id directory.ResourceID) (*directory.Resource, error) {
	r, err := s.reg.get(ctx, s)
	if err != nil {
		return nil, err
	}
	if x := r.resources[id]; x != nil {
		return x, nil
	}
	return nil, fault.New(fault.NotFound, "There is no such resource.")
}

// registry holds all registrations in memory and follows the ledger: a change
// of one is a line. What is decided by them is compared again inside the
// transaction that issues.
type registry struct {
	mu  sync.Mutex
	cur *registrations // guarded by mu
}

type registrations struct {
	pos       cutoff.Pos
	apps      map[directory.AppID]*directory.App
	resources map[directory.ResourceID]*directory.Resource
}

func (r *registry) get(ctx context.Context, s *Service) (*registrations, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cur != nil {
		lines, head, _, ok := s.DB.View().After(r.cur.pos)
		if ok && !touchesRegistrations(lines) {
			r.cur.pos = head
			return r.cur, nil
		}
	}
	next := &registrations{apps: map[directory.AppID]*directory.App{}, resources: map[directory.ResourceID]*directory.Resource{directory.OwnAPI: directory.OwnResource()}}
	err := s.DB.Read(ctx, func(tx *store.Tx) error {
		next.pos = tx.Head
		apps, err := tx.Apps()
		if err != nil {
			return err
		}
		for _, a := range apps {
			next.apps[a.ID] = a
		}
		resources, err := tx.Resources()
		for _, x := range resources {
			next.resources[x.ID] = x
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	r.cur = next
	return next, nil
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

// lastLook is the step between "durable" and "signed": whoever was cut by now
// gets nothing.
func (s *Service) lastLook(ctx context.Context, o *cutoff.Owner, born cutoff.Pos) error {
	if err := s.DB.Fresh(ctx); err != nil {
		return fault.Wrap(fault.Unavailable, "The ledger could not be read. Nothing was issued.", err)
	}
	if s.DB.View().Dead(o, born, cutoff.Token) {
		return dead([]standing.Cause{standing.Revoked})
	}
	return nil
}

func hashOf(secret string) [32]byte { return sha256.Sum256([]byte(secret)) }

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
