package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/curfew-id/curfew/guard"
	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// raiser finds that ada is compromised when somebody else is half done.
type raiser struct {
	*site
	n     *node
	guard *guard.Guard

	mu    sync.Mutex
	at    string // where; guarded by mu
	over  chan error
	alone bool // whoever is there holds the only writer
}

// arm has the risk raised at the next pass of a place.
func (r *raiser) arm(at string, alone bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at, r.alone, r.over = at, alone, make(chan error, 1)
}

func (r *raiser) pass(at string) {
	r.mu.Lock()
	hit := r.at == at
	if hit {
		r.at = ""
	}
	over, alone := r.over, r.alone && !r.engine.Postgres
	r.mu.Unlock()
	if !hit {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		over <- r.n.watch.Confirm(context.Background(), operator, r.Ada.ID, manage.Act{})
	}()
	if !alone { // else it comes as soon as the writer lets it
		<-done
	}
}

// raised waits until the risk is written.
func (r *raiser) raised() {
	r.t.Helper()
	r.mu.Lock()
	at := r.at
	r.mu.Unlock()
	if at != "" {
		r.t.Fatalf("nobody passed %q", at)
	}
	if err := <-r.over; err != nil {
		r.t.Fatal(err)
	}
}

// elsewhere leads requests for the issuer to where it listens.
type elsewhere struct{ to *url.URL }

func (e elsewhere) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = e.to.Scheme, e.to.Host
	return http.DefaultTransport.RoundTrip(r)
}

func newRaiser(t *testing.T, e storetest.Engine) *raiser {
	t.Helper()
	r := &raiser{site: newSite(t, e)}
	app := *r.App
	app.FirstParty = true // nobody is asked for consent
	r.Update(func(tx *store.Tx) error { return tx.SaveApp(&app) })
	r.shut(0, false)
	r.cfg[0].Hooks.AfterRotate = func() { r.pass("rotated") }
	r.open(0)
	r.n = r.nodes[0]
	r.n.between = func() { r.pass("judged") }
	watch := r.n.signin.Watch
	r.n.signin.Watch = func(tx *store.Tx, x *grant.Session) error {
		err := watch(tx, x)
		r.pass("born")
		return err
	}
	if _, _, err := r.n.manage.SetPassword(t.Context(), operator, r.Ada.ID, "correct horse battery", false, manage.Act{}); err != nil {
		t.Fatal(err)
	}
	r.Rule(storetest.Policy(1, `"userRiskLevels":["high"]`, storetest.Blocks))

	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		q.Host = "id.contoso.example"
		r.n.handler.ServeHTTP(w, q)
	}))
	to, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if r.guard, err = guard.New(guard.Config{Issuer: modelBase, ClientID: guardClient, ClientSecret: guardPassword, Audience: string(mail), HTTPClient: &http.Client{Transport: elsewhere{to}},
		Log: slog.New(slog.DiscardHandler), Now: r.Clock.Now, Mono: func() time.Duration { return time.Since(start) }}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() { defer close(over); r.guard.Run(ctx) }()
	t.Cleanup(func() { stop(); <-over; srv.CloseClientConnections(); srv.Close() })
	ready, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := r.guard.Ready(ready); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *raiser) accepted(token string) bool {
	_, err := r.guard.Check(token)
	return err == nil
}

// blockedByPolicy reports whether it was the policy that refused.
func blockedByPolicy(err error) bool {
	var p *access.Refused
	return errors.As(err, &p)
}

// A risk comes up while something is half done, that was judged without it. What is
// handed out all the same is not accepted by a guard that knows of the risk.
func TestNoTokenOutlivesTheRiskUnderWhichItWasJudged(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		r := newRaiser(t, e)
		n := r.n
		enter := func() (directory.SessionID, error) {
			in, _, err := n.signin.Password(context.Background(), signin.Attempt{Username: r.Ada.Name, Password: "correct horse battery", IP: "192.0.2.7"})
			if err != nil {
				return directory.SessionID{}, err
			}
			return in.Session.ID, nil
		}
		code := func(id directory.SessionID) (string, error) { return n.code(&grant.Session{ID: id}, allScopes) }
		must := func(text string, err error) string {
			r.t.Helper()
			if err != nil {
				r.t.Fatal(err)
			}
			return text
		}
		session := func() directory.SessionID {
			r.t.Helper()
			id, err := enter()
			if err != nil {
				r.t.Fatal(err)
			}
			return id
		}
		first := func() *issue.Tokens {
			r.t.Helper()
			tok, err := n.redeem(must(code(session())))
			if err != nil {
				r.t.Fatal(err)
			}
			return tok
		}
		refresh := func(token string) (*issue.Tokens, error) {
			return n.issue.Refresh(context.Background(), n.client, issue.RefreshRequest{Token: token, Issuer: grant.Tenant, Arrived: n.now()})
		}
		for _, x := range []struct {
			name, at string
			alone    bool
			do       func(raise func()) (*issue.Tokens, error)
		}{
			{"the birth of a session", "born", true, func(raise func()) (*issue.Tokens, error) {
				raise()
				id, err := enter()
				r.raised()
				if err != nil {
					return nil, err
				}
				c, err := code(id)
				if err != nil {
					return nil, err
				}
				return n.redeem(c)
			}},
			{"the birth of a code", "judged", true, func(raise func()) (*issue.Tokens, error) {
				id := session()
				raise()
				c, err := code(id)
				r.raised()
				if err != nil {
					return nil, err
				}
				return n.redeem(c)
			}},
			{"a code that is redeemed", "judged", true, func(raise func()) (*issue.Tokens, error) {
				c := must(code(session()))
				raise()
				tok, err := n.redeem(c)
				r.raised()
				return tok, err
			}},
			{"a refresh that is judged", "judged", true, func(raise func()) (*issue.Tokens, error) {
				tok := first()
				raise()
				tok, err := refresh(tok.Refresh)
				r.raised()
				return tok, err
			}},
			{"a refresh that is durable", "rotated", false, func(raise func()) (*issue.Tokens, error) {
				tok := first()
				raise()
				tok, err := refresh(tok.Refresh)
				r.raised()
				return tok, err
			}},
			{"a guard's question", "judged", false, func(raise func()) (*issue.Tokens, error) {
				tok := first()
				if !r.accepted(tok.Access) {
					r.t.Error("refused before anything was found")
				}
				// Puts the token in doubt, so that the guard asks at its next use.
				r.Rule(storetest.Policy(2, `"users":{"includeUsers":["None"]}`, storetest.Blocks))
				raise()
				until(r.t, "the guard to ask", func() bool {
					r.accepted(tok.Access)
					r.mu.Lock()
					defer r.mu.Unlock()
					return r.at == ""
				})
				r.raised()
				return tok, nil
			}},
		} {
			t.Run(x.name, func(t *testing.T) {
				r.t = t
				if tok, err := x.do(func() { r.arm(x.at, x.alone) }); err == nil {
					until(t, "the guard to refuse", func() bool { return !r.accepted(tok.Access) })
					for range 3 {
						if r.accepted(tok.Access) {
							t.Error("accepted after it was refused")
						}
					}
					if _, err := refresh(tok.Refresh); !blockedByPolicy(err) {
						t.Errorf("and renewed: %v", err)
					}
					// It was the risk: nothing of it is dead.
					if err := n.watch.Dismiss(t.Context(), operator, r.Ada.ID, manage.Act{}); err != nil {
						t.Fatal(err)
					}
					until(t, "the guard to accept", func() bool { return r.accepted(tok.Access) })
				} else if !blockedByPolicy(err) {
					t.Errorf("not for the risk: %v", err)
				} else if err := n.watch.Dismiss(t.Context(), operator, r.Ada.ID, manage.Act{}); err != nil {
					t.Fatal(err)
				}
			})
		}
	})
}
