package ssf

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/proof"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Server answers other systems.
type Server struct {
	Issue  *issue.Service
	Revoke *revoke.Service
	// ProviderKeys returns the keys of an identity provider; anew asks for them once
	// more, because one was used that is not among them. Nil: no provider is believed.
	ProviderKeys func(ctx context.Context, p *directory.Provider, anew bool) (*proof.Keys, error)
	Domain       func() string // of the directory; empty while it has none
	Log          *slog.Logger  // nil: nowhere

	pace pace
}

// The path of the endpoint, in both layouts.
const (
	plainGlobal  = "/oauth2/global-token-revocation"
	tenantGlobal = "/oauth2/v2.0/global-token-revocation"
)

// Register adds the routes. They use a wildcard as their first segment, so they
// need a mux without subtree patterns of others.
func (s *Server) Register(mux *http.ServeMux) {
	mux.HandleFunc(plainGlobal, s.route(s.Issue.Base+plainGlobal, s.postGlobal))
	tenant := s.route(s.Issue.Base+"/"+s.Issue.Tenant+tenantGlobal, s.postGlobal)
	mux.HandleFunc("/{tenant}"+tenantGlobal, func(w http.ResponseWriter, r *http.Request) {
		if t, d := r.PathValue("tenant"), s.Domain(); !strings.EqualFold(t, s.Issue.Tenant) && (d == "" || !strings.EqualFold(t, d)) {
			s.fail(w, r, fault.New(fault.NotFound, "There is no such directory here."))
			return
		}
		tenant(w, r)
	})
}

// wire is how a kind of fault is told.
type wire struct {
	status int
	code   string
}

// wires maps every kind; a test checks that none is missing.
var wires = map[fault.Kind]wire{
	fault.Internal:        {http.StatusInternalServerError, "server_error"},
	fault.Invalid:         {http.StatusBadRequest, "invalid_request"},
	fault.Unauthenticated: {http.StatusUnauthorized, "invalid_token"},
	fault.Denied:          {http.StatusForbidden, "insufficient_scope"},
	fault.NotFound:        {http.StatusNotFound, "user_not_found"},
	fault.Conflict:        {http.StatusUnprocessableEntity, "unable_to_process"},
	fault.Revoked:         {http.StatusUnauthorized, "invalid_token"},
	fault.Limited:         {http.StatusTooManyRequests, "slow_down"},
	fault.Unavailable:     {http.StatusServiceUnavailable, "temporarily_unavailable"},
}

// errNoToken: nothing was presented, so no error code is told (RFC 6750 §3.1).
var errNoToken = errors.New("no token")

func (s *Server) route(endpoint string, f func(http.ResponseWriter, *http.Request, string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			writeError(w, http.StatusMethodNotAllowed, "invalid_request", "This address takes POST.")
			return
		}
		if err := f(w, r, endpoint); err != nil {
			s.fail(w, r, err)
		}
	}
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	t := wires[fault.KindOf(err)]
	switch t.status {
	case http.StatusInternalServerError:
		if s.Log != nil && r.Context().Err() == nil { // the caller may be gone; half a connection may be left to tell
			s.Log.ErrorContext(r.Context(), "ssf", "error", err, "request", webkit.RequestID(r.Context()))
		}
	case http.StatusUnauthorized:
		challenge := `Bearer error="` + t.code + `"`
		if errors.Is(err, errNoToken) {
			challenge = `Bearer realm=""`
		}
		w.Header().Set("WWW-Authenticate", challenge)
	case http.StatusForbidden:
		w.Header().Set("WWW-Authenticate", `Bearer error="`+t.code+`", scope="`+directory.GlobalRevocation+`"`)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "5")
	}
	writeError(w, t.status, t.code, fault.Public(err))
}

func writeError(w http.ResponseWriter, status int, code, text string) {
	b, err := json.Marshal(struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{code, text})
	if err != nil {
		panic("ssf: " + err.Error()) // strings only
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(b, '\n')) // who does not read it asks again
}

// caller is who asks: one of the two is set.
type caller struct {
	name  string // for the pace
	actor directory.Actor
	order *revoke.Order
}

// identify reads the one Authorization header: an access token of ours, or a token
// that an identity provider signed for this endpoint.
func (s *Server) identify(w http.ResponseWriter, r *http.Request, endpoint string) (*caller, error) {
	all := r.Header.Values("Authorization")
	if len(all) == 0 {
		return nil, fault.Wrap(fault.Unauthenticated, "An access token is needed.", errNoToken)
	}
	scheme, token, _ := strings.Cut(all[0], " ")
	token = strings.TrimSpace(token)
	if len(all) > 1 || !strings.EqualFold(scheme, "Bearer") && !strings.EqualFold(scheme, "DPoP") || token == "" || len(token) > proof.MaxStatement {
		return nil, fault.New(fault.Unauthenticated, "There must be one Authorization header: Bearer (or DPoP) and a token.")
	}
	if u, err := proof.Peek(token); err == nil && strings.EqualFold(strings.TrimPrefix(strings.ToLower(u.Type), "application/"), orderType) {
		return s.ordered(r, token, endpoint, u.Issuer)
	}
	if strings.EqualFold(scheme, "DPoP") {
		w.Header().Set("DPoP-Nonce", s.Issue.Nonce())
	}
	key, err := s.Issue.Holds(r.Context(), webkit.Possession(r, scheme, token))
	if fault.Is(err, fault.Invalid) {
		return nil, fault.Wrap(fault.Unauthenticated, fault.Public(err), err)
	}
	if err != nil {
		return nil, err
	}
	actor, _, err := s.Issue.Actor(r.Context(), token, issue.Meta{IP: webkit.Address(r), Key: key})
	if err != nil {
		return nil, err
	}
	actor.Request, actor.IP = webkit.RequestID(r.Context()), webkit.Address(r)
	return &caller{name: "app " + string(actor.App) + " " + actor.User.String(), actor: actor}, nil
}

// An identity provider's token: its header typ, and how long it may live. Okta's
// live five minutes.
const (
	orderType = "global-token-revocation+jwt"
	orderLife = 10 * time.Minute
)

// ordered verifies the word of an identity provider: by its keys, from its issuer,
// as the client that this directory is there, for this endpoint (GTR-03).
func (s *Server) ordered(r *http.Request, token, endpoint, issuer string) (*caller, error) {
	p, err := s.Revoke.Provider(r.Context(), issuer)
	if err != nil {
		return nil, err
	}
	if s.ProviderKeys == nil || p.ClientID == "" {
		return nil, fault.New(fault.Unauthenticated, "That identity provider is not one of this directory.")
	}
	var claims *proof.Claims
	for _, anew := range []bool{false, true} {
		keys, kerr := s.ProviderKeys(r.Context(), p, anew)
		if kerr != nil {
			return nil, fault.Wrap(fault.Unavailable, "The keys of that identity provider cannot be read now.", kerr)
		}
		claims, err = proof.Verify(token, keys, proof.Want{Algs: proof.AssertionAlgs, Types: []string{orderType}, Issuer: p.Issuer, Subject: p.ClientID,
			Audience: []string{endpoint}, OnlyAudience: true, Now: s.now(), MaxLife: orderLife, NeedJTI: true})
		if !errors.Is(err, proof.ErrKey) {
			break
		}
	}
	if err != nil {
		why := "it is not signed by that identity provider for this address"
		var refusal *proof.Refusal
		if errors.As(err, &refusal) {
			why = refusal.Text
		}
		if s.Log != nil {
			s.Log.WarnContext(r.Context(), "an order of an identity provider was not believed", "provider", p.ID, "why", err, "request", webkit.RequestID(r.Context()))
		}
		return nil, fault.Wrap(fault.Unauthenticated, "The token is not accepted: "+why+".", err)
	}
	return &caller{name: "provider " + string(p.ID), order: &revoke.Order{Provider: p, JTI: claims.JTI, Expires: claims.Expires.Add(proof.Leeway),
		IP: webkit.Address(r), Request: webkit.RequestID(r.Context())}}, nil
}

func (s *Server) now() time.Time { return s.Issue.Now() }

// Each caller may ask so often at once, and then once in so much time: enough for
// an incident, on each node.
const (
	atOnce     = 200
	onceIn     = 100 * time.Millisecond
	maxCallers = 1000
)

// pace remembers when the allowance of each caller is whole again (GCRA).
type pace struct {
	mu    sync.Mutex
	whole map[string]time.Time // guarded by mu
}

// take takes a place, or says how long to wait.
func (p *pace) take(caller string, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.whole == nil {
		p.whole = map[string]time.Time{}
	}
	if len(p.whole) >= maxCallers {
		for name, at := range p.whole {
			if !at.After(now) {
				delete(p.whole, name)
			}
		}
	}
	at := p.whole[caller]
	if at.Before(now) {
		at = now
	}
	if wait := at.Add(onceIn).Sub(now) - atOnce*onceIn; wait > 0 {
		return wait
	}
	p.whole[caller] = at.Add(onceIn)
	return 0
}
