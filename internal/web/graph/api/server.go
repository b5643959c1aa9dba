package api

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/curfew-id/curfew/internal/deliver"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/federate"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/rotate"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Server answers the API. Everything but Log and Now is needed.
type Server struct {
	Manage *manage.Service
	Relay  *relay.Service
	Revoke *revoke.Service
	Issue  *issue.Service
	Rotate *rotate.Service
	SignIn *signin.Service
	// Deliver is who is told of logouts; nil: nobody.
	Deliver *deliver.Service
	// Federate is about other identity providers.
	Federate *federate.Service
	Base     string // public URL without a trailing slash
	Tenant   string // the directory's GUID
	// Domain returns the name people know the directory by. Whoever revokes
	// everyone types it.
	Domain func(context.Context) (string, error)
	Log    *slog.Logger
	Now    func() time.Time

	// Streams counts the open event streams.
	Streams atomic.Int64

	routes *http.ServeMux // set by Register, then only read
}

// Routes are handlers by method and path below /v1.0, as http.ServeMux writes
// patterns.
type Routes map[string]func(*Call) error

const (
	Version = "/v1.0" // under which everything is answered
	beta    = "/beta"
	// Self stands for whoever asks; Microsoft's SDKs write it for /me.
	Self = "me-token-to-replace"
)

// Register adds the routes of all tables, under /v1.0/ and the few of /beta/.
func (s *Server) Register(mux *http.ServeMux, tables ...Routes) {
	s.routes = http.NewServeMux()
	for _, table := range tables {
		for pattern, f := range table {
			method, path, _ := strings.Cut(pattern, " ")
			s.routes.HandleFunc(method+" "+Version+path, s.route(f))
		}
	}
	s.routes.HandleFunc("/", s.route(s.nothing))
	mux.Handle(Version+"/", s)
	mux.Handle(beta+"/", s)
}

// ServeHTTP sets what every answer carries and brings the path into one form.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := directory.NewID[Call](s.Time()).String()
	h := w.Header()
	h.Set("request-id", id)
	h.Set("client-request-id", clientRequestID(r, id))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("OData-Version", "4.0")
	// Tokens come in a header and never by themselves, so any origin may ask.
	// Scripts see the challenge only when told that they may.
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "WWW-Authenticate, DPoP-Nonce, request-id, client-request-id, Retry-After, Location, Curfew-Receipt")
	if r.Method == http.MethodOptions {
		h.Set("Access-Control-Allow-Methods", "GET, POST, PATCH, DELETE")
		h.Set("Access-Control-Allow-Headers", "Authorization, *")
		h.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	plain, escaped, err := Normal(r.URL.EscapedPath())
	if err != nil {
		s.Fail(&Call{W: w, R: r}, err)
		return
	}
	u := *r.URL
	u.Path, u.RawPath = plain, escaped
	inner := *r
	inner.URL = &u
	s.routes.ServeHTTP(w, &inner)
	r.Pattern = inner.Pattern // for the log line
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// clientRequestID echoes the client's id when it looks like one.
func clientRequestID(r *http.Request, otherwise string) string {
	id := r.Header.Get("client-request-id")
	if id == "" || len(id) > 64 || strings.Trim(id, letters+"0123456789-{}") != "" {
		return otherwise
	}
	return id
}

// keyed is a segment in OData's canonical form: users('ada@contoso.example'),
// users(userPrincipalName='…'). A quote inside is doubled.
var keyed = regexp.MustCompile(`^([A-Za-z]+)\((?:([A-Za-z]+)=)?'((?:[^']|'')*)'\)$`)

// alternate are the properties that may stand as a key; the id may always.
var alternate = map[string]string{"users": "userPrincipalName", "directoryRoles": "roleTemplateId", "applications": "appId", "devices": "deviceId", "servicePrincipals": "appId"}

// ByClientID begins a segment that is a client_id where an object id is usual.
const ByClientID = "(appId)"

// Normal rewrites an escaped path: keys in parentheses become segments, /me
// becomes /users/{self}, /beta becomes /v1.0.
func Normal(escaped string) (plain, out string, err error) {
	nowhere := fault.New(fault.NotFound, "There is nothing at this address.")
	var segments []string
	for i, raw := range strings.Split(strings.TrimSuffix(strings.TrimPrefix(escaped, "/"), "/"), "/") {
		seg, err := url.PathUnescape(raw)
		switch {
		case err != nil || !utf8.ValidString(seg) || strings.ContainsRune(seg, 0):
			return "", "", odata.Unreadable("The address is not a text.")
		case seg == "" || seg == "." || seg == "..":
			return "", "", nowhere
		}
		m := keyed.FindStringSubmatch(seg)
		switch {
		case i == 1 && seg == "me":
			segments = append(segments, "users", Self)
		case m != nil && m[3] != "" && m[3] != "." && m[3] != "..":
			key := strings.ReplaceAll(m[3], "''", "'")
			if m[2] != "" && m[2] != "id" && m[2] != alternate[m[1]] {
				return "", "", nowhere
			}
			if m[2] == "appId" {
				key = ByClientID + key
			}
			segments = append(segments, m[1], key)
		default:
			segments = append(segments, seg)
		}
	}
	if "/"+segments[0] == beta {
		if len(segments) < 2 || segments[1] != "users" {
			return "", "", fault.New(fault.NotFound, "Under /beta only users are answered. Use /v1.0.")
		}
		segments[0] = Version[1:]
	}
	for _, seg := range segments {
		plain += "/" + seg
		out += "/" + url.PathEscape(seg)
	}
	return plain, out, nil
}

// Call is one request with who makes it.
type Call struct {
	W      http.ResponseWriter
	R      *http.Request
	Actor  directory.Actor
	Access *issue.Access // nil: nothing is known about the token
	Token  string
	Key    string // that the request proves to hold, for [issue.Service.Own]

	dpop bool // the token came under the scheme DPoP
}

// route identifies, runs one handler and tells its error.
func (s *Server) route(f func(*Call) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := &Call{W: w, R: r}
		err := s.identify(c)
		if err == nil {
			err = f(c)
		}
		if err != nil {
			s.Fail(c, err)
		}
	}
}

// maxToken bounds an access token; ours have about a kilobyte.
const maxToken = 16 << 10

// identify reads the access token and says who acts.
func (s *Server) identify(c *Call) (err error) {
	all := c.R.Header.Values("Authorization")
	if len(all) == 0 {
		return fault.Wrap(fault.Unauthenticated, "Access token is empty.", noToken)
	}
	scheme, token, _ := strings.Cut(all[0], " ")
	token = strings.TrimSpace(token)
	if len(all) > 1 || !strings.EqualFold(scheme, "Bearer") && !strings.EqualFold(scheme, "DPoP") || token == "" || len(token) > maxToken {
		return fault.New(fault.Unauthenticated, "There must be one Authorization header: Bearer (or DPoP) and an access token.")
	}
	c.Token, c.dpop = token, strings.EqualFold(scheme, "DPoP")
	if c.dpop {
		c.W.Header().Set("DPoP-Nonce", s.Issue.Nonce())
	}
	if c.Key, err = s.Issue.Holds(c.R.Context(), webkit.Possession(c.R, scheme, token)); fault.Is(err, fault.Invalid) {
		return fault.Wrap(fault.Unauthenticated, fault.Public(err), err)
	}
	if err != nil {
		return err
	}
	c.Actor, c.Access, err = s.Issue.Actor(c.R.Context(), token, issue.Meta{IP: webkit.Address(c.R), Key: c.Key})
	if err != nil {
		return err
	}
	c.Actor.Request = c.requestID()
	if host, _, err := net.SplitHostPort(c.R.RemoteAddr); err == nil {
		c.Actor.IP = host
	}
	return nil
}

// nothing answers for addresses and methods without a handler.
func (s *Server) nothing(c *Call) error {
	var allow []string
	for _, method := range []string{"DELETE", "GET", "PATCH", "POST"} {
		r := *c.R
		r.Method = method
		if _, pattern := s.routes.Handler(&r); pattern != "/" && pattern != "" {
			allow = append(allow, method)
		}
	}
	if allow == nil {
		return fault.New(fault.NotFound, "There is nothing at this address.")
	}
	c.W.Header().Set("Allow", strings.Join(allow, ", "))
	return fault.Wrap(fault.Invalid, "This address takes "+strings.Join(allow, ", ")+".", notAllowed)
}

// Time is the instant of this server.
func (s *Server) Time() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

// Ctx is the context of the request.
func (c *Call) Ctx() context.Context { return c.R.Context() }

func (c *Call) requestID() string { return c.W.Header().Get("request-id") }

// Root is where this request's addresses begin, with the version it was asked
// under.
func (s *Server) Root(c *Call) string {
	if strings.HasPrefix(c.R.RequestURI, beta+"/") {
		return s.Base + beta
	}
	return s.Base + Version
}

// Context is the @odata.context of an answer.
func (s *Server) Context(c *Call, what string) string { return s.Root(c) + "/$metadata#" + what }
