package guard_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/curfew-id/curfew/guard"
	"github.com/curfew-id/curfew/guard/guardtest"
)

const (
	ada   = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
	grace = "0b3c1c2e-7a41-4e57-9c7e-3a1f0a6f1d22"
)

// kind returns why a token was refused; 0: it was not.
func kind(g *guard.Guard, token string) guard.Kind {
	_, err := g.Check(token)
	if err == nil {
		return 0
	}
	var r *guard.Refusal
	if !errors.As(err, &r) {
		return 255
	}
	return r.Kind
}

func want(t *testing.T, g *guard.Guard, token string, k guard.Kind) {
	t.Helper()
	if got := kind(g, token); got != k {
		_, err := g.Check(token)
		t.Fatalf("check: %v (%v), want %v; %+v", got, err, k, g.Status())
	}
}

// eventually polls: for what crosses real sockets. Inside a bubble it costs nothing.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 10 s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// get puts the token on a request and returns what the middleware says.
func get(h http.Handler, header ...string) *http.Response {
	r := httptest.NewRequest("GET", "https://mail.contoso.example/inbox", nil)
	for _, v := range header {
		r.Header.Add("Authorization", v)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestRevokedTokenIsRefusedOverRealSockets(t *testing.T) {
	t.Parallel()
	srv := guardtest.New(t)
	srv.Cut() // so that the ledger is not empty
	g := srv.Guard(t)
	a, b := srv.Token(guardtest.Token{User: ada}), srv.Token(guardtest.Token{User: grace})
	want(t, g, a, 0)
	want(t, g, b, 0)
	pos := srv.CutUser(ada)
	began := time.Now()
	eventually(t, "refusal", func() bool { return kind(g, a) == guard.Revoked })
	t.Logf("refused after %v", time.Since(began))
	want(t, g, b, 0)
	want(t, g, srv.Token(guardtest.Token{User: ada}), 0) // born after the cut
	eventually(t, "acknowledgement", func() bool {
		p, _ := srv.Acknowledged(g.Status().Process)
		return p == pos
	})
}

func TestGuardLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // a goroutine that stays fails the bubble
		srv := guardtest.NewPiped(t)
		g, stop := srv.Start(t)
		if err := g.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		token := srv.Token(guardtest.Token{})
		want(t, g, token, 0)
		if n := len(srv.Processes()); n != 1 {
			t.Fatalf("%d processes registered, want 1", n)
		}
		stop()
		if n := len(srv.Processes()); n != 0 {
			t.Errorf("%d processes after the goodbye, want 0", n)
		}
		want(t, g, token, guard.Stale)
		if err := g.Ready(t.Context()); err == nil {
			t.Error("a stopped guard says it is ready")
		}
		if err := g.Run(context.Background()); err == nil {
			t.Error("a guard ran twice")
		}
	})
}

// lingering lets go of a stream a second after it was told to.
type lingering struct{ http.RoundTripper }

func (l lingering) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Accept") != "text/event-stream" {
		return l.RoundTripper.RoundTrip(r)
	}
	<-r.Context().Done()
	time.Sleep(time.Second)
	return nil, r.Context().Err()
}

func TestRunWaitsForItsGoroutines(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g, stop := srv.Start(t, func(c *guard.Config) { c.HTTPClient = &http.Client{Transport: lingering{srv.Client().Transport}} })
		if err := g.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		settle()
		began := time.Now()
		stop()
		if d := time.Since(began); d < time.Second {
			t.Errorf("Run returned after %v, before its stream loop", d)
		}
	})
}
