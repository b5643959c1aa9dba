package guard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// request is what Middleware puts into the context.
type request struct {
	g    *Guard
	e    *entry
	from netip.Addr
}

type requestKey struct{}

// FromContext returns the claims of the request that Middleware let through.
func FromContext(ctx context.Context) (*Claims, bool) {
	r, ok := ctx.Value(requestKey{}).(*request)
	if !ok {
		return nil, false
	}
	return r.e.claims, true
}

// Middleware lets requests through whose token is live and answers the others.
// The token comes from the Authorization header and nowhere else: not from the
// query, whose place is every log, and not from a form.
func (g *Guard) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.cfg.URL != "" && r.URL.Path == g.metadataPath && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			g.serveMetadata(w) // says how to get a token: it needs none
			return
		}
		from := g.cfg.ClientAddress(r)
		e, err := g.checkRequest(r, from)
		if err != nil {
			g.note(r, err)
			g.Refuse(w, err)
			return
		}
		if g.cfg.DemandNonce && e.claims.bound.jkt != "" {
			w.Header().Set("DPoP-Nonce", g.nonce(g.now())) // for the next request (RFC 9449 §8.2)
			w.Header().Add("Access-Control-Expose-Headers", "DPoP-Nonce")
		}
		ctx := context.WithValue(r.Context(), requestKey{}, &request{g, e, from})
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// note logs a refusal: kinds and ids, never the token. Only refusals of genuine
// tokens are at a level that is usually on; anybody can cause the others.
func (g *Guard) note(r *http.Request, err error) {
	why := refusal(err)
	if c := why.Claims; c != nil {
		g.log.InfoContext(r.Context(), "request refused", "kind", why.Kind.String(), "why", why.Error(),
			"user", c.User, "client", c.ClientID, "grant", c.Grant, "token", c.ID, "born", c.Born)
		return
	}
	g.log.DebugContext(r.Context(), "request refused", "kind", why.Kind.String(), "why", why.Error())
}

// credentials finds the token, and whether it comes under the scheme DPoP. Two
// Authorization headers are two claims to an identity: no choice between them is
// right. Where no proof could be judged there is no such scheme as DPoP.
func (g *Guard) credentials(h http.Header) (token string, dpop bool, err error) {
	values := h.Values("Authorization")
	if len(values) == 0 {
		return "", false, &Refusal{Kind: Missing, cause: errMissing}
	}
	if len(values) > 1 {
		return "", false, &Refusal{Kind: Request, cause: errSeveral}
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	dpop = g.cfg.URL != "" && strings.EqualFold(scheme, "DPoP")
	if !dpop && !strings.EqualFold(scheme, "Bearer") {
		return "", false, &Refusal{Kind: Missing, cause: errMissing}
	}
	if token = strings.TrimLeft(token, " "); token == "" {
		return "", dpop, &Refusal{Kind: Invalid, cause: errForm, dpop: dpop}
	}
	return token, dpop, nil
}

// Require returns middleware that answers 403 insufficient_scope unless the
// token carries every one of the scopes. It stands behind Middleware. It panics
// if a scope is not one RFC 6749 §3.3 allows.
func (g *Guard) Require(scopes ...string) func(http.Handler) http.Handler {
	for _, s := range scopes {
		mustToken("scope", s)
	}
	list := strings.Join(scopes, " ")
	return g.demand(func(c *Claims, _ instant) *Refusal {
		for _, s := range scopes {
			if !c.HasScope(s) {
				return &Refusal{Kind: Scope, Claims: c, scopes: list, dpop: c.bound.jkt != "", cause: errors.New("the token does not carry the scope this request needs")}
			}
		}
		return nil
	})
}

// RequireACR returns middleware that answers 401
// insufficient_user_authentication (RFC 9470) unless the token's acr is one of
// values and the person signed in no longer than maxAge ago. No values: any
// acr; maxAge zero: any age. It stands behind Middleware, and panics if a value
// cannot stand in a challenge.
func (g *Guard) RequireACR(maxAge time.Duration, values ...string) func(http.Handler) http.Handler {
	var params []string
	if len(values) > 0 {
		for _, v := range values {
			mustToken("acr value", v)
		}
		params = append(params, "acr_values", strings.Join(values, " "))
	}
	if maxAge > 0 {
		params = append(params, "max_age", strconv.FormatInt(int64(maxAge/time.Second), 10))
	}
	refuse := func(c *Claims, why string) *Refusal {
		return &Refusal{Kind: StepUp, Claims: c, params: params, acrs: values, cause: errors.New(why), dpop: c.bound.jkt != ""}
	}
	return g.demand(func(c *Claims, now instant) *Refusal {
		if len(values) > 0 && !slices.Contains(values, c.ACR) {
			return refuse(c, "a different authentication level is required")
		}
		if maxAge > 0 && (c.AuthTime.IsZero() || now.wall-wallNanos(c.AuthTime.Unix()) > int64(maxAge)) {
			return refuse(c, "more recent authentication is required")
		}
		return nil
	})
}

// RequireContext returns middleware that answers 401 insufficient_user_authentication
// unless the token satisfies an authentication context, "c1" to "c99": what that takes
// is for policies of the directory to say. Clients that declared
// cp1 get a claims challenge to take to the authorization endpoint, others acr_values. It stands behind Middleware, and panics if the name cannot
// stand in a challenge.
func (g *Guard) RequireContext(name string) func(http.Handler) http.Handler {
	mustToken("authentication context", name)
	return g.demand(func(c *Claims, _ instant) *Refusal {
		if slices.ContainsFunc(c.Contexts, func(has string) bool { return strings.EqualFold(has, name) }) {
			return nil
		}
		return &Refusal{Kind: StepUp, Claims: c, params: []string{"acr_values", name}, acrs: []string{name}, cause: errors.New("an authentication context is required that the token does not satisfy"), dpop: c.bound.jkt != ""}
	})
}

func (g *Guard) demand(judge func(*Claims, instant) *Refusal) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			why := &Refusal{Kind: Missing, cause: errMissing}
			// Claims another guard let through say nothing here: its audience
			// is another one.
			if q, ok := r.Context().Value(requestKey{}).(*request); ok && q.g == g {
				why = judge(q.e.claims, g.now())
			}
			if why != nil {
				g.note(r, why)
				g.Refuse(w, why)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// mustToken panics unless s is a scope-token; commas go too, because clients
// split challenges at them.
func mustToken(what, s string) {
	ok := s != ""
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' || c == ',' {
			ok = false
		}
	}
	if !ok {
		panic(fmt.Sprintf("guard: %s %q cannot stand in a challenge", what, s))
	}
}
