package issue

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"sync"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/clientauth"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/keys"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/journal"
)

// Service issues and judges tokens.
type Service struct {
	DB        *store.DB
	Keys      *keys.Service
	Revoke    *revoke.Service
	Base      string // public URL without a trailing slash
	MTLS      string // where clients show certificates (RFC 8705 §5), in the same form; empty: nowhere
	Tenant    string // the directory's GUID
	Lifetimes grant.Lifetimes
	Access    *access.Service // asks the policies; nil: all the same, and knows less
	Now       func() time.Time
	Log       *slog.Logger
	// ClientKeys are those that clients publish; nil: such clients cannot prove who
	// they are.
	ClientKeys *clientauth.Published

	// Journal is the sign-in log; nil: none is kept.
	Journal *journal.Journal
	// Suspect is told of a refresh from two networks; nil: nobody is.
	Suspect func(tx *store.Tx, g *grant.Grant, ip, why string) error

	// Strangers bounds what is stored for who has proven nothing.
	Strangers clientauth.Strangers

	reg     registry
	known   knownTokens
	holding sync.Once
	holds   clientauth.Holder
}

// Issuer returns the iss of tokens from one of the two layouts.
func (s *Service) Issuer(i grant.Issuer) string {
	if i == grant.Plain {
		return s.Base
	}
	return s.Base + "/" + s.Tenant + "/v2.0"
}

// Endpoint is the address of one of the endpoints that both layouts have.
func (s *Service) Endpoint(i grant.Issuer, name string) string {
	if i == grant.Plain {
		return s.Base + "/oauth2/" + name
	}
	return s.Base + "/" + s.Tenant + "/oauth2/v2.0/" + name
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
	Agent   string // User-Agent
	Request string // correlation id
	// CP1: the client declared that it understands claims challenges.
	CP1 bool
	// Elsewhere: the resource sees another address and refused a token because of it.
	Elsewhere bool
	Contexts  []string // authentication contexts that are demanded: "c1"
	// Key names the key that the request proves to hold, see [Service.Holds].
	// Access tokens are bound to it.
	Key string

	note *note // of the request
}

// Tokens is what a token request gets.
type Tokens struct {
	Access           string
	Refresh          string // empty: no offline_access
	ID               string // empty: no openid
	ExpiresIn        time.Duration
	RefreshExpiresIn time.Duration
	GrantExpiresIn   time.Duration // until everything ends, used or not; 0: no such end
	Scope            string        // as asked, what was granted of it
	User             directory.UserID
	Grant            directory.GrantID
	DPoP             bool          // token_type is DPoP, not Bearer
	Type             string        // issued_token_type of a token exchange; empty: none was
	Outcome          grant.Outcome // of a refresh
	// Ruling is what the policies said; nil: no person is behind the tokens.
	Ruling *access.Ruling

	jti string
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
	long      bool                               // some resource has lives above an hour
	until     map[directory.ResourceID]time.Time // until when guards vouch, if long
	read      time.Time                          // when that was read
}

// guardsEvery is how old what is known of guards may be: whether a token lives
// longer than an hour turns on it, and its own lag is larger.
const guardsEvery = time.Second

func (r *registry) get(ctx context.Context, s *Service) (*registrations, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cur != nil {
		lines, head, _, ok := s.DB.View().After(r.cur.pos)
		if ok && !touchesRegistrations(lines) {
			r.cur.pos = head
			return r.guarded(ctx, s)
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
			next.long = next.long || x.TokenLife > time.Hour
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	r.cur = next
	return r.guarded(ctx, s)
}

// guarded is the current registrations with what is known of guards, as far as it
// matters. The caller holds mu.
func (r *registry) guarded(ctx context.Context, s *Service) (*registrations, error) {
	now := s.Now()
	if age := now.Sub(r.cur.read); !r.cur.long || age >= 0 && age < guardsEvery {
		return r.cur, nil
	}
	next := *r.cur // others read it
	err := s.DB.Read(ctx, func(tx *store.Tx) (err error) {
		next.until, err = tx.GuardedUntil()
		return err
	})
	if err != nil {
		return nil, err
	}
	next.read, r.cur = now, &next
	return r.cur, nil
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
