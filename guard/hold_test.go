package guard_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/guard"
	"github.com/curfew-id/curfew/guard/guardtest"
)

// hold sends a request with the token through the middleware and returns the
// context that Hold made of it.
func hold(t *testing.T, g *guard.Guard, token string) (context.Context, context.CancelFunc) {
	t.Helper()
	var ctx context.Context
	var done context.CancelFunc
	resp := get(g.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ctx, done = guard.Hold(r.Context())
	})), "Bearer "+token)
	if ctx == nil {
		t.Fatalf("refused with %d", resp.StatusCode)
	}
	return ctx, done
}

func cause(t *testing.T, ctx context.Context, k guard.Kind) {
	t.Helper()
	var r *guard.Refusal
	if !errors.As(context.Cause(ctx), &r) || r.Kind != k {
		t.Errorf("cause %v, want %v", context.Cause(ctx), k)
	}
}

func TestHeldRequestEndsWhenItsTokenIsCut(t *testing.T) {
	for name, from := range map[string]time.Duration{"by stream": time.Second, "by answer": 0} {
		t.Run(name, func(t *testing.T) { heldAndCut(t, from) })
	}
}

func heldAndCut(t *testing.T, from time.Duration) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g := srv.Guard(t)
		srv.Delay(0, from)
		srv.CloseStreams(from == 0)
		settle()
		for name, c := range map[string]cutoff.Cutoff{
			"user":    {Scope: cutoff.User, ID: ada, Reach: cutoff.Everything},
			"tokens":  {Scope: cutoff.User, ID: ada, Reach: cutoff.Tokens},
			"grant":   {Scope: cutoff.Grant, ID: "g1", Reach: cutoff.Tokens},
			"session": {Scope: cutoff.Session, ID: "s1", Reach: cutoff.Everything},
			"app":     {Scope: cutoff.App, ID: "outlook", Reach: cutoff.Everything},
			"userapp": {Scope: cutoff.UserApp, ID: cutoff.UserAppID(ada, "outlook"), Reach: cutoff.Everything},
			"device":  {Scope: cutoff.Device, ID: "d1", Reach: cutoff.Everything},
			"all":     {Scope: cutoff.All, Reach: cutoff.Tokens},
		} {
			ctx, done := hold(t, g, srv.Token(guardtest.Token{User: ada, Client: "outlook", Grant: "g1", Session: "s1", Device: "d1"}))
			other, done2 := hold(t, g, srv.Token(guardtest.Token{User: grace, Client: "owa", Grant: "g2"}))
			began := time.Now()
			srv.Cut(c)
			<-ctx.Done()
			if d := time.Since(began); d > 0 { // no timer is on the way, not even one of a millisecond
				t.Errorf("%s: cut after %v", name, d)
			}
			cause(t, ctx, guard.Revoked)
			settle()
			if (other.Err() != nil) != (name == "all") {
				t.Errorf("%s: somebody else's request: %v", name, context.Cause(other))
			}
			done()
			done2()
		}
		if n := g.Status().Held; n != 0 {
			t.Errorf("%d requests still held", n)
		}
	})
}

func TestHeldRequestEndsWithItsToken(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g := srv.Guard(t)
		time.Sleep(300 * time.Millisecond) // off the watch's rhythm
		made := time.Now()
		ctx, done := hold(t, g, srv.Token(guardtest.Token{Life: 90 * time.Second}))
		defer done()
		<-ctx.Done()
		// exp is in whole seconds, rounded down
		if d := time.Since(made.Add(90 * time.Second).Truncate(time.Second)); d < 0 || d > time.Millisecond {
			t.Errorf("ended %v after exp", d)
		}
		cause(t, ctx, guard.Invalid)
	})
}

func TestHeldRequestEndsWhenTheGuardCloses(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g := srv.Guard(t)
		ctx, done := hold(t, g, srv.Token(guardtest.Token{}))
		defer done()
		time.Sleep(2500 * time.Millisecond)
		srv.Silence(true)
		began := time.Now()
		<-ctx.Done()
		if d := time.Since(began); d > 10*time.Second || d < 2*time.Second {
			t.Errorf("ended %v after the last word", d)
		}
		cause(t, ctx, guard.Stale)
	})
}

func TestHeldRequestEndsWhenTheGuardStops(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g, stop := srv.Start(t)
		if err := g.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, done := hold(t, g, srv.Token(guardtest.Token{}))
		defer done()
		stop()
		cause(t, ctx, guard.Stale)
	})
}

func TestHoldAfterTheCutEndsAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g := srv.Guard(t)
		settle()
		resp := get(g.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			srv.CutUser(ada) // between the check and the hold
			settle()
			ctx, done := guard.Hold(r.Context())
			defer done()
			cause(t, ctx, guard.Revoked)
		})), "Bearer "+srv.Token(guardtest.Token{User: ada}))
		if resp.StatusCode != 200 {
			t.Errorf("status %d", resp.StatusCode)
		}
	})
}

func TestHoldWithoutMiddlewareIsOver(t *testing.T) {
	t.Parallel()
	ctx, done := guard.Hold(context.Background())
	defer done()
	if !errors.Is(context.Cause(ctx), guard.ErrUnguarded) {
		t.Errorf("cause %v", context.Cause(ctx))
	}
}

func TestHoldThatIsDoneIsLetGo(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g := srv.Guard(t)
		ctx, done := hold(t, g, srv.Token(guardtest.Token{}))
		if g.Status().Held != 1 || ctx.Err() != nil {
			t.Fatal("not held")
		}
		done()
		if g.Status().Held != 0 || ctx.Err() == nil {
			t.Error("still held")
		}
	})
}

// A handler that is blocked in a read or a write on a real connection notices too.
func TestHeldUnblocksReadersAndWriters(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"read", "write"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			srv := guardtest.New(t)
			g := srv.Guard(t)
			started, ended := make(chan struct{}), make(chan error, 1)
			app := httptest.NewServer(g.Middleware(g.Held(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				close(started)
				var err error
				for b := make([]byte, 64<<10); err == nil; {
					if what == "read" {
						_, err = r.Body.Read(b)
					} else {
						_, err = w.Write(b)
					}
				}
				ended <- err
			}))))
			defer app.Close()
			body, w := io.Pipe()
			defer w.Close()
			req, _ := http.NewRequest("POST", app.URL, body)
			if what == "write" {
				req.Body = nil
			}
			req.Header.Set("Authorization", "Bearer "+srv.Token(guardtest.Token{User: ada}))
			go func() {
				if resp, err := app.Client().Do(req); err == nil {
					<-t.Context().Done() // reads nothing, so that the writer blocks
					resp.Body.Close()
				}
			}()
			<-started
			srv.CutUser(ada)
			select {
			case <-ended:
			case <-time.After(10 * time.Second):
				t.Error("still blocked after 10 s")
			}
		})
	}
}
