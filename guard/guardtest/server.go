package guardtest

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/guard"
)

// What every server of this package accepts. The secret has characters that
// must be encoded before they go into Basic credentials.
const (
	ClientID     = "mail"
	ClientSecret = "s3cr:t +&ü"
	Audience     = "api://mail"
	Tenant       = "2f1d7a10-0000-4000-8000-00000c0ffee0"
)

// Server is an issuer and its feed. Its methods may be called at any time from
// any goroutine.
type Server struct {
	URL string // base URL, without trailing slash

	client *http.Client
	t      testing.TB

	mu       sync.Mutex // guards everything below
	now      func() time.Time
	keys     map[string]signer // by kid
	current  string            // kid that signs
	keyloads int               // how often the keys were fetched
	ledger   []cutoff.Line     // in ascending order
	floor    cutoff.Pos
	known    map[string]*process
	judge    func(Question) Verdict
	asked    int // how often a token was judged again
	faults   faults
	changed  chan struct{} // closed and replaced when ledger or faults change
}

type signer struct {
	alg  string
	priv crypto.Signer
}

// process is one registered guard.
type process struct {
	acked   cutoff.Pos
	asks    int
	cursors map[string]cutoff.Pos // what it was given
	gone    bool
}

type faults struct {
	silent    bool
	down      int // status code; 0: none
	to, from  time.Duration
	loseLines int
	double    bool
	lagging   bool
	lagHead   cutoff.Pos
	lagSince  time.Time
	snapshot  bool
	tamper    func(answer map[string]any)
	raw       [][]byte // to be written to streams as they are
	noStream  bool
}

func newServer(t testing.TB) *Server {
	s := &Server{
		t: t, now: time.Now, keys: map[string]signer{}, known: map[string]*process{},
		changed: make(chan struct{}),
	}
	s.RotateKey("ES256")
	return s
}

// New starts a server on a free loopback port. It ends with the test.
func New(t testing.TB) *Server {
	t.Helper()
	s := newServer(t)
	h := httptest.NewServer(s.handler())
	s.URL, s.client = h.URL, h.Client()
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		h.CloseClientConnections()
		h.Close()
	})
	return s
}

// NewPiped starts a server that is reached through pipes in memory, by
// [Server.Client] only. Inside a synctest bubble its time is the bubble's.
func NewPiped(t testing.TB) *Server {
	t.Helper()
	s := newServer(t)
	s.URL = "http://issuer.localhost"
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	h := &http.Server{Handler: s.handler()}
	var served sync.WaitGroup
	served.Go(func() { h.Serve(l) })
	tr := &http.Transport{DialContext: l.dial, MaxIdleConnsPerHost: 8}
	s.client = &http.Client{Transport: tr}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		h.Close()
		served.Wait()
	})
	return s
}

type pipeListener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr implements net.Listener.
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "guardtest"} }

// Client returns a client that reaches the server.
func (s *Server) Client() *http.Client { return s.client }

// Config returns the configuration of a guard of this server.
func (s *Server) Config() guard.Config {
	return guard.Config{
		Issuer: s.URL, ClientID: ClientID, ClientSecret: ClientSecret, Audience: Audience,
		HTTPClient: s.client, Log: slog.New(slog.DiscardHandler),
	}
}

// Guard starts a guard, changed by adjust, and waits until it is ready. It ends
// with the test.
func (s *Server) Guard(t testing.TB, adjust ...func(*guard.Config)) *guard.Guard {
	t.Helper()
	g, _ := s.Start(t, adjust...)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := g.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return g
}

// Start starts a guard without waiting for it, and returns a function
// that ends it and waits. It ends with the test anyhow.
func (s *Server) Start(t testing.TB, adjust ...func(*guard.Config)) (*guard.Guard, func()) {
	t.Helper()
	cfg := s.Config()
	for _, f := range adjust {
		f(&cfg)
	}
	g, err := guard.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		if err := g.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	}()
	stop := func() { cancel(); <-over }
	t.Cleanup(stop)
	return g, stop
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /oauth2/keys", s.getKeys)
	mux.HandleFunc("POST /feed", s.client401(s.register))
	mux.HandleFunc("GET /feed", s.client401(s.getFeed))
	mux.HandleFunc("DELETE /feed", s.client401(s.goodbye))
	mux.HandleFunc("POST /oauth2/introspect", s.client401(s.introspect))
	return mux
}

// client401 checks client credentials as RFC 6749 §2.3.1 encodes them, and
// applies the faults every call suffers.
func (s *Server) client401(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		f := s.faults
		s.mu.Unlock()
		if !sleep(r.Context(), f.to) || f.silent && !s.hush(r) {
			panic(http.ErrAbortHandler)
		}
		if f.down != 0 {
			fail(w, f.down, "temporarily_unavailable")
			return
		}
		id, secret, ok := r.BasicAuth()
		id, errID := url.QueryUnescape(id)
		secret, errSecret := url.QueryUnescape(secret)
		if !ok || errID != nil || errSecret != nil || id != ClientID || secret != ClientSecret {
			w.Header().Set("WWW-Authenticate", "Basic")
			fail(w, http.StatusUnauthorized, "invalid_client")
			return
		}
		next(w, r)
	}
}

// hush waits while the server is silent; false: the caller went away.
func (s *Server) hush(r *http.Request) bool {
	for {
		s.mu.Lock()
		silent, changed := s.faults.silent, s.changed
		s.mu.Unlock()
		if !silent {
			return true
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return false
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func fail(w http.ResponseWriter, status int, code string) {
	reply(w, status, map[string]any{"error": code, "error_description": "guardtest: " + code})
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // the guard is gone if this fails
}

func (s *Server) goodbye(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.known[r.URL.Query().Get("process")]
	if p == nil {
		fail(w, http.StatusNotFound, "unknown_process")
		return
	}
	p.gone = true
	w.WriteHeader(http.StatusNoContent)
}

// wake tells every waiting question to look again. The caller holds mu.
func (s *Server) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func randomID() string {
	var b [16]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}
