package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/config"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

const (
	mail  = directory.ResourceID("api://mail")
	drive = directory.ResourceID("api://drive")

	allScopes = "openid profile offline_access api://mail/Read"

	codeVerifier  = "a-code-verifier-of-forty-three-characters-or-more"
	modelBase     = "https://id.contoso.example"
	guardClient   = "mail"
	guardPassword = "a secret: with + and ü"
)

// site is a directory under test: one database, and the nodes that serve it.
type site struct {
	*storetest.World // its DB is that of the node that acts
	t                *testing.T
	engine           storetest.Engine
	cfg              []store.Config // one for each node
	nodes            []*node
	lagging          atomic.Bool // the second node does not hear of what the first one writes
}

// node is one server process, reached without a socket.
type node struct {
	*Server
	index     int
	opened    time.Time
	shut      bool
	killed    atomic.Bool
	client    *issue.Client  // the application of people
	service   *issue.Client  // the mail service, which guards mail and calls drive for people
	serving   sync.WaitGroup // handlers that run
	between   func()         // called while something is judged, after the policies were read; nil: nothing is
	stopRelay func()         // returns when acknowledgements are written
}

var errLagging = errors.New("this node cannot commit")

// newSite fills a directory: two resources, an application of people, and a
// client that may guard both.
func newSite(t *testing.T, e storetest.Engine) *site {
	t.Helper()
	s := &site{t: t, engine: e}
	dir := t.TempDir()
	var cfg store.Config
	prepare := e.New
	e.New = func(tb testing.TB) func(store.Config) store.Config {
		complete := prepare(tb)
		return func(c store.Config) store.Config {
			// On PostgreSQL too: it lies beside the master key, not in the database.
			c.Mark = filepath.Join(dir, "mark-0")
			cfg = complete(c)
			return cfg
		}
	}
	s.World = storetest.NewWorld(t, e, store.Hooks{})
	s.fill()
	if err := s.DB.Close(); err != nil {
		t.Fatal(err)
	}
	s.cfg, s.nodes = []store.Config{cfg}, make([]*node, 1, 2)
	if e.Postgres {
		second := cfg
		second.Mark = filepath.Join(dir, "mark-1")
		// It hears neither the bell nor polls: it knows what its heartbeats and
		// its own transactions read, or what the machine lets it read.
		second.URL, second.Poll = deafened(t, cfg.URL), time.Hour
		second.Hooks.Exec = func(q string) error {
			if s.lagging.Load() && bytes.HasPrefix([]byte(q), []byte("INSERT INTO nodes")) {
				return errLagging
			}
			return nil
		}
		s.cfg, s.nodes = append(s.cfg, second), append(s.nodes, nil)
	}
	for i := range s.nodes {
		s.open(i)
	}
	t.Cleanup(func() {
		for i := range s.nodes {
			s.shut(i, false)
		}
	})
	return s
}

func (s *site) fill() {
	now := s.Clock.Now()
	app := *s.App
	app.Permissions = []directory.Permission{{Resource: mail, Scopes: []string{"Read", "Write"}}, {Resource: drive, Scopes: []string{"Read"}}, {Resource: directory.OwnAPI, Scopes: []string{"openid", "profile"}}}
	s.App = &app
	secret := sha256.Sum256([]byte(guardPassword))
	s.Update(func(tx *store.Tx) error {
		for _, id := range []directory.ResourceID{mail, drive} {
			if err := tx.SaveResource(&directory.Resource{ID: id, Name: string(id[6:]), Scopes: []directory.Scope{{Name: "Read", Text: "Read"}, {Name: "Write", Text: "Write"}}}); err != nil {
				return err
			}
		}
		if err := tx.SaveApp(&app); err != nil {
			return err
		}
		return tx.SaveApp(&directory.App{ID: guardClient, Object: directory.NewID[directory.App](now), Name: "Mail API", Enabled: true, Guards: []directory.ResourceID{mail, drive},
			Permissions: []directory.Permission{{Resource: drive, Scopes: []string{"Read", "Write"}}},
			Secrets:     []directory.AppSecret{{ID: "1", Hash: secret[:], Created: now}}})
	})
}

// open starts the process of a node.
func (s *site) open(i int) {
	s.t.Helper()
	db, err := store.Open(context.Background(), s.cfg[i])
	if err != nil {
		s.t.Fatal(err)
	}
	cfg := config.Default()
	cfg.PublicURL = modelBase
	n := &node{Server: &Server{cfg: cfg, log: slog.New(slog.DiscardHandler), now: s.Clock.Now, db: db}, index: i, opened: s.Clock.Now()}
	if err := n.construct(context.Background(), make([]byte, 32), grant.DefaultLifetimes()); err != nil {
		s.t.Fatal(err)
	}
	n.hook()
	if n.client, err = n.issue.Client(context.Background(), issue.Credentials{ID: s.App.ID}); err != nil {
		s.t.Fatal(err)
	}
	if n.service, err = n.issue.Client(context.Background(), issue.Credentials{ID: guardClient, Secret: guardPassword}); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := n.relay.Run(ctx); err != nil && ctx.Err() == nil && !n.killed.Load() { // one that is killed may not have begun
			s.t.Errorf("relay: %v", err)
		}
	})
	n.stopRelay = func() { cancel(); running.Wait() }
	s.nodes[i] = n
	if i == 0 {
		s.DB = db
	}
}

// shut ends the process of a node, whose requests the caller has ended. One that
// is killed does not write down any more what guards acknowledged last.
func (s *site) shut(i int, killed bool) {
	s.t.Helper()
	n := s.nodes[i]
	if n.shut {
		return
	}
	n.shut = true
	n.serving.Wait()
	if n.killed.Store(killed); !killed {
		n.stopRelay()
	}
	if err := n.Close(); err != nil {
		s.t.Error(err)
	}
	n.stopRelay()
}

// head is the newest ledger position in this node's view.
func (n *node) head() cutoff.Pos {
	pos, _ := n.db.View().Head()
	return pos
}

// code asks for a code in a session.
func (n *node) code(s *grant.Session, scope string) (string, error) {
	plan, err := n.issue.Plan(context.Background(), n.client.App, scope, nil)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(codeVerifier))
	return n.issue.Authorize(context.Background(), issue.AuthorizeRequest{App: n.client.App, Session: s.ID, Plan: plan, Scope: scope,
		RedirectURI: "https://tripboard.example/cb", Challenge: base64.RawURLEncoding.EncodeToString(sum[:]), Nonce: "n", Issuer: grant.Tenant})
}

func (n *node) redeem(code string) (*issue.Tokens, error) {
	return n.issue.Code(context.Background(), n.client, issue.CodeRequest{Code: code, RedirectURI: "https://tripboard.example/cb", Verifier: codeVerifier, Issuer: grant.Tenant})
}

// refresh redeems the newest refresh token of a grant, or another of its.
func (n *node) refresh(g *mGrant, token, scope string) (*issue.Tokens, error) {
	client := n.client
	if g.root != nil {
		client = n.service
	}
	return n.issue.Refresh(context.Background(), client, issue.RefreshRequest{Token: token, Scope: scope, Issuer: grant.Tenant, Arrived: n.now()})
}

// exchange is the mail service's: it was shown a token and calls drive with one
// of its own.
func (n *node) exchange(shown string) (*issue.Tokens, error) {
	return n.issue.OnBehalfOf(context.Background(), n.service, issue.OnBehalfOfRequest{Assertion: shown, Use: "on_behalf_of",
		Scope: "api://drive/.default openid offline_access profile", Issuer: grant.Tenant})
}

// deafened returns a connection string for the same database through a proxy
// that delivers no notifications: what the server says to a connection that
// listens goes nowhere.
func deafened(t *testing.T, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	const name = ".s.PGSQL.5432"
	q := u.Query()
	there := filepath.Join(q.Get("host"), name)
	dir, err := os.MkdirTemp("", "deaf") // a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { relayDeaf(client, there) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
		os.RemoveAll(dir)
	})
	q.Set("host", dir)
	u.RawQuery = q.Encode()
	return u.String()
}

// relayDeaf copies both ways until either side is gone.
func relayDeaf(client net.Conn, there string) {
	defer client.Close()
	server, err := net.Dial("unix", there)
	if err != nil {
		return
	}
	defer server.Close()
	var deaf atomic.Bool
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer client.Close()
		b := make([]byte, 32<<10)
		for {
			n, err := server.Read(b)
			if err != nil {
				return
			}
			if !deaf.Load() {
				if _, err := client.Write(b[:n]); err != nil {
					return
				}
			}
		}
	}()
	b := make([]byte, 32<<10)
	for {
		n, err := client.Read(b)
		if bytes.Contains(b[:n], []byte("LISTEN curfew_ledger")) {
			deaf.Store(true)
		}
		if _, werr := server.Write(b[:n]); err != nil || werr != nil {
			break
		}
	}
	server.Close()
	<-over
}

// until polls: what it waits for is told to nobody.
func until(t interface {
	Helper()
	Fatalf(string, ...any)
}, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !is(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited %s for %s", patience, what)
		}
	}
}

// patience bounds every wait for something that must come.
const patience = 20 * time.Second

// asServed is a request as the server of a node sees it.
func asServed(ctx context.Context, r *http.Request) *http.Request {
	q := r.Clone(ctx)
	q.RemoteAddr, q.RequestURI = "192.0.2.7:4711", r.URL.RequestURI()
	if q.Body == nil {
		q.Body = http.NoBody
	}
	return q
}
