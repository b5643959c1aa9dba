package feed

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/relay"
)

// Server answers guards.
type Server struct {
	Relay *relay.Service
	// Authenticate verifies a client's id and secret. Every fault but Limited and
	// Unavailable is told as "invalid_client"; anything else is internal.
	Authenticate func(ctx context.Context, id, secret string) (*directory.App, error)
	Log          *slog.Logger // nil: nowhere
}

// path is the feed's, below the server's public URL.
const path = "/feed"

// Register adds the routes.
func (s *Server) Register(mux *http.ServeMux) {
	mux.HandleFunc("POST "+path, s.route(s.postFeed))
	mux.HandleFunc("GET "+path, s.route(s.getFeed))
	mux.HandleFunc("DELETE "+path, s.route(s.deleteFeed))
	mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", "DELETE, GET, HEAD, POST")
		writeError(w, http.StatusMethodNotAllowed, "invalid_request", "The feed takes GET, POST and DELETE.")
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
	fault.Unauthenticated: {http.StatusUnauthorized, "invalid_client"},
	fault.Denied:          {http.StatusForbidden, "access_denied"},
	fault.NotFound:        {http.StatusNotFound, "unknown_process"},
	fault.Conflict:        {http.StatusConflict, "conflict"},
	fault.Revoked:         {http.StatusUnauthorized, "invalid_client"},
	fault.Limited:         {http.StatusTooManyRequests, "slow_down"},
	fault.Unavailable:     {http.StatusServiceUnavailable, "temporarily_unavailable"},
}

// route authenticates, runs one handler, and tells its error.
func (s *Server) route(f func(http.ResponseWriter, *http.Request, *directory.App) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		app, err := s.authenticate(r)
		if err == nil {
			err = f(w, r, app)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	}
}

// errSent: the answer has begun; nothing can be told any more.
var errSent = errors.New("answer interrupted")

func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, errSent) {
		return
	}
	kind := fault.KindOf(err)
	t := wires[kind]
	switch t.status {
	case http.StatusInternalServerError:
		if s.Log != nil && r.Context().Err() == nil { // the caller may be gone; half a connection may be left to tell
			s.Log.ErrorContext(r.Context(), "feed", "error", err)
		}
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Basic realm="curfew feed", charset="UTF-8"`)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	}
	writeError(w, t.status, t.code, fault.Public(err))
}

func writeError(w http.ResponseWriter, status int, code, text string) {
	writeJSON(w, status, struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{code, text})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic("feed: " + err.Error()) // strings only
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	extend(w)
	w.WriteHeader(status)
	w.Write(append(b, '\n')) // who does not read it asks again
}

// authenticate reads the client's credentials. RFC 6749 §2.3.1: both parts are
// form-urlencoded before Basic's own encoding.
func (s *Server) authenticate(r *http.Request) (*directory.App, error) {
	bad := func(cause error) error {
		return fault.Wrap(fault.Unauthenticated, "The client is not known, or its secret is not right.", cause)
	}
	if len(r.Header.Values("Authorization")) != 1 {
		return nil, bad(errors.New("not one Authorization header"))
	}
	user, pass, ok := r.BasicAuth()
	if !ok {
		return nil, bad(errors.New("not Basic"))
	}
	id, err := url.QueryUnescape(user)
	if err != nil {
		return nil, bad(err)
	}
	secret, err := url.QueryUnescape(pass)
	if err != nil {
		return nil, bad(err)
	}
	if !directory.ValidAppID(id) || secret == "" || len(secret) > 1024 {
		return nil, bad(errors.New("malformed credentials"))
	}
	app, err := s.Authenticate(r.Context(), id, secret)
	switch fault.KindOf(err) {
	case fault.Limited, fault.Unavailable:
		return nil, err
	case fault.Internal:
		if err != nil {
			return nil, err
		}
		return app, nil
	}
	return nil, bad(err)
}

// params reads the query: exactly the names allowed, each at most once.
func params(r *http.Request, allowed ...string) (map[string]string, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, "The query cannot be read.", err)
	}
	out := make(map[string]string, len(q))
	for name, values := range q {
		known := false
		for _, a := range allowed {
			known = known || a == name
		}
		if !known {
			return nil, fault.New(fault.Invalid, "There is a parameter that the feed does not know.")
		}
		if len(values) != 1 {
			return nil, fault.New(fault.Invalid, "The parameter "+name+" is there twice.")
		}
		out[name] = values[0]
	}
	return out, nil
}

func process(q map[string]string) (relay.ProcessID, error) {
	var id relay.ProcessID
	if err := id.UnmarshalText([]byte(q["process"])); err != nil {
		return id, fault.Wrap(fault.Invalid, "The parameter process must be the id given at registration.", err)
	}
	return id, nil
}

// wantsStream reports whether the caller accepts server-sent events.
func wantsStream(r *http.Request) bool {
	for _, h := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(h, ",") {
			t, _, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(t), "text/event-stream") {
				return true
			}
		}
	}
	return false
}
