package server

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/clientauth"
	"github.com/curfew-id/curfew/internal/config"
	"github.com/curfew-id/curfew/internal/deliver"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/egress"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/federate"
	"github.com/curfew-id/curfew/internal/govern"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/keys"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/manage/manifest"
	"github.com/curfew-id/curfew/internal/recheck"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/review"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/rotate"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/journal"
	"github.com/curfew-id/curfew/internal/upstream"
	"github.com/curfew-id/curfew/internal/web/account"
	"github.com/curfew-id/curfew/internal/web/feed"
	"github.com/curfew-id/curfew/internal/web/graph"
	graphaccess "github.com/curfew-id/curfew/internal/web/graph/access"
	graphapi "github.com/curfew-id/curfew/internal/web/graph/api"
	graphown "github.com/curfew-id/curfew/internal/web/graph/own"
	"github.com/curfew-id/curfew/internal/web/graph/registration"
	"github.com/curfew-id/curfew/internal/web/graph/signins"
	"github.com/curfew-id/curfew/internal/web/oidc"
	"github.com/curfew-id/curfew/internal/web/pages"
	"github.com/curfew-id/curfew/internal/web/ssf"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Server is one assembled node.
type Server struct {
	cfg    config.Config
	log    *slog.Logger
	now    func() time.Time
	db     *store.DB
	keys   *keys.Service
	revoke *revoke.Service
	signin *signin.Service
	issue  *issue.Service
	manage *manage.Service
	relay  *relay.Service
	govern *govern.Service
	factors
	// journal is the log of sign-ins; nil: there is none.
	journal *journal.Journal
	// egress asks other people's servers, deliver tells them.
	egress  *egress.Client
	deliver *deliver.Service
	// upstream asks other identity providers, federate lets people in through them.
	upstream *upstream.Client
	federate *federate.Service
	known    // browsers and places
	// access asks the policies for everything that issues or accepts.
	access *access.Service
	used   chan access.Witnessed // uses of accounts that no policy touches, to be written down

	tls     *tls.Config // nil: plain http
	name    atomic.Pointer[directoryName]
	handler http.Handler
	mutual  http.Handler // behind mutual TLS
}

// operator is who acts at the machine itself, with the data folder in hand.
var operator = directory.Actor{Operator: true, Name: "operator"}

// CLIClient is the client_id of the built-in command line.
const CLIClient directory.AppID = "curfew-cli"

// Open constructs and connects a node: keys and database are made at the first
// start, history is checked, the manifest is applied. Nothing listens yet. Close
// what it returns. Kinds: Invalid, Conflict, Unavailable.
func Open(ctx context.Context, cfg config.Config, log *slog.Logger) (*Server, error) {
	return OpenAt(ctx, cfg, log, time.Now)
}

// OpenAt is Open for a node that goes by another clock: one that a test moves.
func OpenAt(ctx context.Context, cfg config.Config, log *slog.Logger, now func() time.Time) (*Server, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	s := &Server{cfg: cfg, log: log, now: now}
	var err error
	if s.tls, err = tlsConfig(cfg, s.now); err != nil {
		return nil, err
	}
	master, err := keys.LoadMaster(cfg.MasterKey)
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	url := cfg.Database
	if url == "" {
		url = filepath.Join(cfg.Data, "curfew.db")
	}
	lifetimes := grant.DefaultLifetimes()
	s.db, err = store.Open(ctx, store.Config{URL: url, Mark: filepath.Join(filepath.Dir(cfg.MasterKey), "mark"), Now: s.now, Lifetimes: lifetimes, Log: log})
	if err != nil {
		return nil, err
	}
	if err = s.openJournal(ctx, url); err == nil {
		err = s.construct(ctx, master, lifetimes)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Server) construct(ctx context.Context, master []byte, lifetimes grant.Lifetimes) (err error) {
	if s.keys, err = keys.Open(ctx, s.db, master, s.now); err != nil {
		return err
	}
	s.keys.Log = s.log
	var d store.Directory
	if err := s.db.Read(ctx, func(tx *store.Tx) (err error) { d, err = tx.Directory(); return err }); err != nil {
		return err
	}
	s.constructKnown()
	base, tenant := s.cfg.PublicURL, d.Tenant.String()
	s.egress = &egress.Client{}
	if s.egress.Allow, err = egress.ParseAllow(s.cfg.Egress); err != nil {
		return err
	}
	s.revoke = &revoke.Service{DB: s.db, Log: s.log, Lifetimes: lifetimes, Now: s.now}
	s.used = make(chan access.Witnessed, 64)
	s.access = &access.Service{DB: s.db, Country: s.geo.Country, Device: deviceFacts, Witness: s.witnessed}
	s.signin = &signin.Service{Access: s.access, DB: s.db, Revoke: s.revoke, Lifetimes: lifetimes, Now: s.now, Log: s.log, Hasher: signin.NewHasher(), Limits: signin.NewLimits(), Journal: s.journal}
	s.issue = &issue.Service{Access: s.access, DB: s.db, Keys: s.keys, Revoke: s.revoke, Base: base, MTLS: s.cfg.MTLSURL, Tenant: tenant, Lifetimes: lifetimes, Now: s.now, Log: s.log, ClientKeys: &clientauth.Published{Fetch: s.fetchKeys, Log: s.log}, Journal: s.journal}
	s.manage = &manage.Service{DB: s.db, Revoke: s.revoke, Now: s.now, Log: s.log, API: directory.OwnAPI, Reserved: []string{base},
		Hash: func(ctx context.Context, password string) (string, error) {
			return s.signin.Hasher.Hash(ctx, password, true)
		},
		CheckPassword: s.signin.CheckNew}
	s.govern = &govern.Service{DB: s.db, Access: s.access, Lifetimes: lifetimes, Journal: s.journal, Log: s.log}
	govern.Watch(s.govern)
	s.manage.Govern = func(tx *store.Tx, actor directory.Actor, kind string, d *manifest.Document) (string, error) {
		return s.govern.Declare(tx, actor, govern.Kind(kind), d.Name, d.Document)
	}
	s.relay = &relay.Service{DB: s.db, Secret: s.keys.Derive("feed cursor"), Now: s.now, Log: s.log, Lifetimes: lifetimes,
		Issuers: []string{s.issue.Issuer(grant.Plain), s.issue.Issuer(grant.Tenant)}, JWKSURI: base + "/oauth2/keys",
		IntrospectURI: base + "/oauth2/introspect", AuthorizeURI: base + "/" + tenant + "/oauth2/v2.0/authorize"}
	s.revoke.Issuers = s.relay.Issuers
	s.deliver = &deliver.Service{DB: s.db, Keys: s.keys, Issuer: s.issue.Issuer, Egress: s.egress, Now: s.now, Log: s.log}
	s.device.Revoke = s.revoke
	s.constructRisk()
	s.constructFederation()
	if err := s.constructFactors(); err != nil {
		return err
	}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	s.handler = s.route()
	return nil
}

// prepare writes what a directory needs before it serves: the command line's
// client, the manifest, receipts that a crash left uncounted.
func (s *Server) prepare(ctx context.Context) error {
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		tx.By(store.By{Actor: operator})
		if _, err := tx.App(CLIClient); !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return tx.SaveApp(&directory.App{ID: CLIClient, Object: directory.NewID[directory.App](s.now()), Name: "curfew command line", Publisher: "curfew", Enabled: true,
			Public: true, FirstParty: true, DeviceCode: true, RedirectURIs: []string{"http://localhost", "http://127.0.0.1"}, Created: s.now(),
			Permissions: []directory.Permission{{Resource: directory.OwnAPI, Scopes: []string{"openid", "profile", "Directory.AccessAsUser.All"}}}})
	})
	if err != nil {
		return fmt.Errorf("register the command line: %w", err)
	}
	if s.cfg.Apply != "" {
		if _, err := s.Apply(ctx, s.cfg.Apply); err != nil {
			return err
		}
	}
	return s.revoke.CountAll(ctx)
}

// Handler answers everything. Requests that match no route of an API go to the
// pages.
func (s *Server) Handler() http.Handler { return s.handler }

func (s *Server) route() http.Handler {
	// Tenant paths begin with a wildcard, so they need muxes of their own.
	api, protocol, admin, people := http.NewServeMux(), http.NewServeMux(), http.NewServeMux(), http.NewServeMux()
	base := s.cfg.PublicURL
	client := func(ctx context.Context, id, secret string) (*directory.App, error) {
		c, err := s.issue.Client(ctx, issue.Credentials{ID: directory.AppID(id), Secret: secret})
		if err != nil {
			return nil, err
		}
		return c.App, nil
	}
	visitors := &pages.Server{Issue: s.issue, SignIn: s.signin, Revoke: s.revoke, Relay: s.relay, Manage: s.manage, Secret: s.keys.Derive("browser state"), Domain: s.domain,
		Park: s.park, Parked: s.parked, Ways: s.ways, Factors: true, Portal: "/portal", Log: s.log}
	again := &recheck.Service{DB: s.db, Issue: s.issue, Access: s.access, Lifetimes: s.issue.Lifetimes}
	protocols := &oidc.Server{Issue: s.issue, Again: again, JWKS: s.keys.JWKS, Check: visitors.Check, Domain: s.domain, Log: s.log}
	if s.cfg.Register == "token" {
		protocols.Registrations = &oidc.Registrations{Manage: s.manage, Secret: s.keys.Derive("registration access token")}
	}
	protocols.Register(protocol)
	(&ssf.Server{Issue: s.issue, Revoke: s.revoke, ProviderKeys: s.upstream.Keys, Domain: s.domain, Log: s.log}).Register(protocol)
	others := s.federationPages(visitors)
	others.RegisterProtocol(protocol)
	others.Register(people)
	own := &graphapi.Server{Manage: s.manage, Relay: s.relay, Revoke: s.revoke, Issue: s.issue, Rotate: &rotate.Service{DB: s.db, Keys: s.keys, Revoke: s.revoke}, SignIn: s.signin, Deliver: s.deliver, Federate: s.federate, Base: base, Tenant: s.issue.Tenant,
		Domain: func(context.Context) (string, error) { return s.domain(), nil }, Log: s.log, Now: s.now}
	rules := graphaccess.Server{Server: own, Govern: s.govern, Places: s.places}
	log := signins.Server{Server: own, Review: &review.Service{DB: s.db, Journal: s.journal}}
	own.Register(api, graph.Server{Server: own}.Routes(), registration.Server{Server: own}.Routes(), graphown.Server{Server: own}.Routes(),
		rules.Routes(), rules.OwnRoutes(), s.methodRoutes(own), s.knownRoutes(own), log.Routes(), log.OwnRoutes())
	(&feed.Server{Relay: s.relay, Authenticate: client, Log: s.log}).Register(api)
	api.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { s.plain(w, http.StatusOK, "ok") })
	api.HandleFunc("GET /readyz", s.ready)
	api.Handle("GET /assets/", webkit.Assets())

	visitors.Register(people)
	(&account.Server{Server: visitors, Factor: s.factor, Device: s.device}).Register(people)
	s.knownPages(people, visitors)
	s.adminPages(admin, base)
	browser := webkit.Browser(firstOf(admin, people), pages.Bypass...)
	other := firstOf(api, protocol)
	s.mutual = s.observed(other)
	return s.observed(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := other.Handler(r); pattern != "" {
			other.ServeHTTP(w, r)
			return
		}
		browser.ServeHTTP(w, r)
	}))
}

// observed is what every request goes through first.
func (s *Server) observed(next http.Handler) http.Handler {
	return webkit.Observe(s.log, boundBody(bodyTime, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if strings.HasPrefix(s.cfg.PublicURL, "https://") {
			w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})))
}

// muxes asks several muxes in order; the last one answers what none knows.
type muxes []*http.ServeMux

func firstOf(m ...*http.ServeMux) muxes { return m }

// Handler returns the mux that has a route for r, and that route's pattern.
func (m muxes) Handler(r *http.Request) (*http.ServeMux, string) {
	for _, x := range m {
		if _, pattern := x.Handler(r); pattern != "" {
			return x, pattern
		}
	}
	return m[len(m)-1], ""
}

// ServeHTTP answers with the first mux that has a route.
func (m muxes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x, _ := m.Handler(r)
	x.ServeHTTP(w, r)
}

// directoryName is the directory's domain as of a ledger position: whoever
// changes it writes a line.
type directoryName struct {
	pos    cutoff.Pos
	domain string
}

// domain returns the directory's domain, empty while it has none. A read that
// fails leaves what was known: the domain is for people to read and for tenant
// names in addresses, never a decision about access.
func (s *Server) domain() string {
	head, _ := s.db.View().Head()
	if n := s.name.Load(); n != nil && n.pos == head {
		return n.domain
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	n := &directoryName{pos: head}
	err := s.db.Read(ctx, func(tx *store.Tx) error {
		d, err := tx.Directory()
		n.domain = d.Domain
		return err
	})
	if err != nil {
		if old := s.name.Load(); old != nil {
			return old.domain
		}
		return ""
	}
	s.name.Store(n)
	return n.domain
}

// kindParked are requests that other sites posted, kept until the browser asks
// for them by GET.
const kindParked = "parked"

func (s *Server) park(ctx context.Context, doc string, life time.Duration) (string, error) {
	name := rand.Text()
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		return tx.CreateTicket(&store.Ticket{Hash: sha256.Sum256([]byte(name)), Kind: kindParked, Expires: tx.Now.Add(life), Doc: doc})
	})
	return name, err
}

func (s *Server) parked(ctx context.Context, name string) (doc string, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		t, err := tx.Ticket(kindParked, sha256.Sum256([]byte(name)))
		if errors.Is(err, store.ErrNotFound) || err == nil && !tx.Now.Before(t.Expires) {
			return fault.New(fault.NotFound, "That request is over. Go back to the application and start again.")
		}
		if err == nil {
			doc = t.Doc
		}
		return err
	})
	return doc, err
}

func (s *Server) plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}

// ready says whether this node may answer: the database answers and the view is
// young enough for guards.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := s.db.Ping(ctx); err != nil {
		s.plain(w, http.StatusServiceUnavailable, "the database does not answer")
		return
	}
	if age := s.db.Age(); age > relay.MaxAge {
		s.plain(w, http.StatusServiceUnavailable, "the view is too old")
		return
	}
	s.plain(w, http.StatusOK, "ready")
}

// Listen opens the port and returns where it is.
func (s *Server) Listen() (net.Listener, error) { return net.Listen("tcp", s.cfg.Listen) }

// Run serves on l until ctx is done, then lets running requests finish for at
// most ten seconds and closes the store. It owns everything it starts.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	base, stopRequests := context.WithCancel(context.Background()) // held questions end with it
	fronts, err := s.fronts(base, l)
	if err != nil {
		stopRequests()
		return errors.Join(err, l.Close(), s.Close())
	}
	var owned sync.WaitGroup
	work, stopWork := context.WithCancel(context.Background())
	owned.Go(func() {
		if err := s.relay.Run(work); err != nil {
			s.log.Error("the relay ended", "error", err)
		}
	})
	owned.Go(func() { s.sweep(work) })
	owned.Go(func() {
		if err := s.deliver.Run(work); err != nil {
			s.log.Error("delivery ended", "error", err)
		}
	})
	owned.Go(func() { s.keys.Run(work) })
	owned.Go(func() { s.witness(work) })
	if s.mail != nil {
		owned.Go(func() { s.mail.Run(work) })
	}
	served := make(chan error, len(fronts))
	for _, f := range fronts {
		go func() { served <- f.serve() }()
	}
	select {
	case err = <-served:
	case <-ctx.Done():
	}
	stopRequests()
	err = errors.Join(err, shut(fronts))
	stopWork()
	owned.Wait()
	return errors.Join(err, s.Close())
}

// Close writes the end of the log of sign-ins and closes the store. Run does it
// itself.
func (s *Server) Close() error {
	if s.db == nil {
		return nil
	}
	return errors.Join(s.journal.Close(), s.db.Close())
}
