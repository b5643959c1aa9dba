package oidc

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/recheck"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Server answers applications and resource servers.
type Server struct {
	Issue *issue.Service
	// JWKS returns the published keys, rendered, and the position of the ledger
	// as of which they are.
	JWKS func() ([]byte, cutoff.Pos, error)
	// Check reports what is wrong with an authorization request that a client wants
	// to push, as a fault with an [issue.Error] behind it.
	Check func(ctx context.Context, issuer grant.Issuer, q url.Values) error
	// Again introspects, and judges access tokens again for guards; nil: neither is done.
	Again *recheck.Service
	// Domain returns the directory's domain; empty while it has none.
	Domain func() string
	// Registrations are taken by protocol; nil: they are not.
	Registrations *Registrations
	Log           *slog.Logger // nil: nowhere
}

// handler answers one request of one layout; what it returns is told by fail.
type handler func(http.ResponseWriter, *http.Request, grant.Issuer) error

// Register adds the routes. They use a wildcard as their first segment, so they
// need a mux without subtree patterns of others.
func (s *Server) Register(mux *http.ServeMux) {
	const read, post = "GET, HEAD", "POST"
	docs := s.documents()
	type endpoint struct {
		tenant, plain string // paths; empty: the layout has none
		serve         handler
		methods       string
		open          bool // to scripts of any origin
	}
	all := []endpoint{
		{"/{tenant}/v2.0/.well-known/openid-configuration", "/.well-known/openid-configuration", s.document(docs), read, true},
		{"/.well-known/oauth-authorization-server/{tenant}/v2.0", "/.well-known/oauth-authorization-server", s.document(docs), read, true},
		{"/{tenant}/discovery/v2.0/keys", "/oauth2/keys", s.getKeys, read, true},
		{"/{tenant}/oauth2/v2.0/token", "/oauth2/token", s.postToken, post, true},
		{"/{tenant}/oauth2/v2.0/devicecode", "/oauth2/devicecode", s.postDevice, post, false},
		{"/{tenant}/oauth2/v2.0/par", "/oauth2/par", s.postPAR, post, true},
		{"/{tenant}/oauth2/v2.0/introspect", "/oauth2/introspect", s.postIntrospect, post, false},
		{"/{tenant}/oauth2/v2.0/revoke", "/oauth2/revoke", s.postRevoke, post, false},
		{"", "/oidc/userinfo", s.userinfo, "GET, POST", true},
		{"", "/oauth2/userinfo", s.userinfo, "GET, POST", true},
		{"", "/common/discovery/instance", s.getInstance, read, true},
	}
	if s.Registrations != nil {
		all = append(all, endpoint{"/{tenant}/oauth2/v2.0/register", "/oauth2/register", s.postRegister, post, false},
			endpoint{"/{tenant}/oauth2/v2.0/register/{client}", "/oauth2/register/{client}", s.oneRegistration, "GET, DELETE", false})
	}
	for _, x := range all {
		if x.tenant != "" {
			mux.HandleFunc(x.tenant, s.route(grant.Tenant, x.methods, x.open, s.inTenant(x.serve)))
		}
		mux.HandleFunc(x.plain, s.route(grant.Plain, x.methods, x.open, x.serve))
	}
}

// route lets through the methods named, answers preflights where scripts of any
// origin may read (no cookie is looked at, so an origin gains nothing by it), and
// tells errors.
func (s *Server) route(issuer grant.Issuer, methods string, open bool, serve handler) http.HandlerFunc {
	allowed := strings.Split(methods, ", ")
	return func(w http.ResponseWriter, r *http.Request) {
		if open {
			h := w.Header()
			h["Access-Control-Allow-Origin"] = star
			h["Access-Control-Expose-Headers"] = exposed
			if r.Method == http.MethodOptions {
				h.Set("Access-Control-Allow-Methods", methods)
				h.Set("Access-Control-Allow-Headers", allowedHeaders)
				h.Set("Access-Control-Max-Age", "86400")
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		var err error = methodError(methods)
		if slices.Contains(allowed, r.Method) {
			err = serve(w, r, issuer)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	}
}

// inTenant checks the part of an address that names the directory.
func (s *Server) inTenant(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request, i grant.Issuer) error {
		if !webkit.NamesTenant(r.PathValue("tenant"), s.Issue.Tenant, s.Domain()) {
			return errTenant
		}
		return h(w, r, i)
	}
}

// methodError is the refusal of a method; it names those that are let through.
type methodError string

func (e methodError) Error() string { return "method not allowed" }

// allowedHeaders are those that browser applications send, Microsoft's library
// among them.
const allowedHeaders = "Authorization, DPoP, Content-Type, Accept, client-request-id, return-client-request-id, X-AnchorMailbox, x-client-SKU, x-client-VER, x-client-OS, x-client-CPU, x-client-current-telemetry, x-client-last-telemetry, x-ms-lib-capability"

// Header values that never change, shared so that a request does not allocate
// them. Nobody may write to them.
var (
	star     = []string{"*"}
	exposed  = []string{"WWW-Authenticate, DPoP-Nonce, x-ms-request-id"}
	noStore  = []string{"no-store"}
	noCache  = []string{"no-cache"}
	jsonType = []string{"application/json"}
)

func (s *Server) now() time.Time { return s.Issue.Now() }

// private marks an answer that no cache may keep (RFC 6749 §5.1).
func private(w http.ResponseWriter) {
	h := w.Header()
	h["Content-Type"] = jsonType
	h["Cache-Control"] = noStore
	h["Pragma"] = noCache
}

var errTenant = &problem{kind: fault.Invalid, code: "invalid_request", number: 90002, text: "There is no such tenant here. Use the directory's id, its domain, common or organizations."}
