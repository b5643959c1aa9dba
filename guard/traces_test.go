package guard_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/guard"
	"github.com/curfew-id/curfew/guard/guardtest"
)

// The guard's half of the traces that break designs like ours, with their
// numbers. Time is the bubble's: minutes pass in microseconds, and whatever is
// still running at the end fails the test.

func bubble(t *testing.T, f func(t *testing.T, srv *guardtest.Server)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { f(t, guardtest.NewPiped(t)) })
}

// settle lets everything happen that needs no time.
func settle() { synctest.Wait() }

// never checks every 10 ms for d that the token is not accepted.
func never(t *testing.T, g *guard.Guard, token string, d time.Duration) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if kind(g, token) == 0 {
			t.Fatalf("accepted, %v before the end; %+v", time.Until(end), g.Status())
		}
	}
}

func TestTrace10StreamLineWithoutItsPredecessor(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g := srv.Guard(t)
		a, b := srv.Token(guardtest.Token{User: ada}), srv.Token(guardtest.Token{User: grace})
		settle()
		srv.LoseLines(1)
		srv.Delay(0, 2*time.Second)
		first := srv.CutUser(ada)
		second := srv.CutUser(grace)
		settle()
		want(t, g, b, guard.Revoked) // the stream brought it
		want(t, g, a, 0)             // lost on the stream
		st := g.Status()
		if pos, _ := srv.Acknowledged(st.Process); pos != 0 || st.Confirmed != 0 || st.Position != second {
			t.Fatalf("acknowledged %d, confirmed %d, position %d: the stream must move nothing but the position", pos, st.Confirmed, st.Position)
		}
		time.Sleep(2 * time.Second)
		settle()
		want(t, g, a, guard.Revoked) // it came with the answer
		time.Sleep(time.Second)
		if pos, _ := srv.Acknowledged(st.Process); pos < first {
			t.Errorf("acknowledged %d, want %d", pos, second)
		}
	})
}

func TestTrace12ViewThatCannotBeVouchedForCloses(t *testing.T) {
	for name, fault := range map[string]func(*guardtest.Server){
		"answer delayed past max_staleness":     func(s *guardtest.Server) { s.Delay(0, 30*time.Second) },
		"question delayed":                      func(s *guardtest.Server) { s.Delay(30*time.Second, 0) },
		"node lags, question held, age grows":   func(s *guardtest.Server) { s.Lag(true) },
		"network swallows everything":           func(s *guardtest.Server) { s.Silence(true) },
		"server is down":                        func(s *guardtest.Server) { s.Fail(503) },
		"credentials withdrawn":                 func(s *guardtest.Server) { s.Fail(401) },
		"another question's answer":             tamper(func(a map[string]any) { a["nonce"] = "x" }),
		"no age":                                tamper(func(a map[string]any) { delete(a, "age_ms") }),
		"negative age":                          tamper(func(a map[string]any) { a["age_ms"] = -1e9 }),
		"age null":                              tamper(func(a map[string]any) { a["age_ms"] = nil }),
		"negative held":                         tamper(func(a map[string]any) { a["held_ms"] = -1 }),
		"enormous age":                          tamper(func(a map[string]any) { a["age_ms"] = 1e300 }),
		"no cursor":                             tamper(func(a map[string]any) { a["cursor"] = "" }),
		"ledger went backwards":                 tamper(func(a map[string]any) { a["head"], a["lines"] = 2, nil }),
		"head out of range":                     tamper(func(a map[string]any) { a["head"] = int64(1) << 53 }),
		"line beyond the head":                  tamper(func(a map[string]any) { a["lines"] = []cutoff.Line{{Pos: 99}} }),
		"lines out of order":                    tamper(func(a map[string]any) { a["lines"] = []cutoff.Line{{Pos: 2}, {Pos: 1}} }),
		"lines are not a list":                  tamper(func(a map[string]any) { a["lines"] = "none" }),
		"nothing heard although streams go on":  func(s *guardtest.Server) { s.Delay(0, time.Hour) },
		"held longer than the question existed": func(s *guardtest.Server) { tamper(func(a map[string]any) { a["held_ms"] = 1e12 })(s); s.Lag(true) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *guardtest.Server) {
				srv.Cut()
				srv.Cut()
				srv.Cut()
				g := srv.Guard(t)
				token := srv.Token(guardtest.Token{User: ada})
				srv.CloseStreams(true)
				time.Sleep(7 * time.Second) // in the middle of things
				want(t, g, token, 0)
				broke := time.Now()
				fault(srv)
				settle()
				srv.CutUser(ada)
				// It may be accepted while the view was true less than 10 s ago.
				for kind(g, token) == 0 {
					if time.Since(broke) > 10*time.Second {
						t.Fatalf("accepted %v after the last instant the guard could vouch for; %+v", time.Since(broke), g.Status())
					}
					time.Sleep(10 * time.Millisecond)
				}
				st := g.Status()
				if k := kind(g, token); k == guard.Stale {
					if !st.Closed || st.ClosedSince.After(time.Now()) || time.Since(st.ClosedSince) > 2*time.Second {
						t.Errorf("closed %v since %v", st.Closed, st.ClosedSince)
					}
				}
				never(t, g, token, 30*time.Second)
				if k := kind(g, srv.Token(guardtest.Token{User: grace})); k != guard.Stale {
					t.Fatalf("others: %v, want stale", k)
				}
				// And it comes back by itself.
				srv.Tamper(nil)
				srv.Silence(false)
				srv.Fail(0)
				srv.Delay(0, 0)
				srv.Lag(false)
				srv.CloseStreams(false)
				time.Sleep(70 * time.Second)
				want(t, g, token, guard.Revoked)
				want(t, g, srv.Token(guardtest.Token{User: grace}), 0)
			})
		})
	}
}

func tamper(f func(map[string]any)) func(*guardtest.Server) {
	return func(s *guardtest.Server) { s.Tamper(f) }
}

func TestTrace13RestartedGuardAtALaggingNode(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		a, b := srv.Token(guardtest.Token{User: ada}), srv.Token(guardtest.Token{User: grace})
		srv.Lag(true)
		srv.CutUser(ada)
		g, _ := srv.Start(t)
		never(t, g, a, 20*time.Second)
		want(t, g, b, guard.Stale)
		srv.Lag(false)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := g.Ready(ctx); err != nil {
			t.Fatal(err)
		}
		want(t, g, a, guard.Revoked)
		want(t, g, b, 0)
	})
}

func TestTrace13DishonestlyOldSnapshotStaysClosed(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		srv.Tamper(func(a map[string]any) { a["age_ms"] = 10_001 })
		g, _ := srv.Start(t)
		never(t, g, srv.Token(guardtest.Token{}), 30*time.Second)
	})
}

// clocks are a guard's two clocks, which a test can push apart.
type clocks struct {
	base time.Time
	push atomic.Int64 // added to the wall clock
}

func (c *clocks) use(cfg *guard.Config) {
	c.base = time.Now()
	cfg.Now = func() time.Time { return time.Now().Add(time.Duration(c.push.Load())) }
	cfg.Mono = func() time.Duration { return time.Since(c.base) }
}

func TestTrace16SuspendedGuardRefuses(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		var c clocks
		g := srv.Guard(t, c.use)
		a := srv.Token(guardtest.Token{User: ada, Life: 9 * time.Hour})
		b := srv.Token(guardtest.Token{User: grace, Life: 9 * time.Hour})
		time.Sleep(3 * time.Second)
		want(t, g, a, 0)
		held, done := hold(t, g, b)
		defer done()
		srv.LoseLines(1)
		srv.Delay(0, 7*time.Second) // what was on its way when the machine slept is slow to die
		settle()
		srv.CutUser(ada)
		settle()
		srv.Delay(0, 0)
		c.push.Store(int64(time.Hour)) // the monotonic clock stood still
		want(t, g, a, guard.Stale)     // at once, before anything has run
		never(t, g, a, 1050*time.Millisecond)
		if held.Err() == nil {
			t.Error("a held request outlived the suspension")
		}
		time.Sleep(500 * time.Millisecond) // but is not waited for
		want(t, g, a, guard.Revoked)
		want(t, g, b, 0)
	})
}

func TestTrace16ClockSetBackDoesNotMakeTheViewYoung(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		var c clocks
		g := srv.Guard(t, c.use)
		a := srv.Token(guardtest.Token{User: ada, Life: 9 * time.Hour, Claims: map[string]any{"nbf": nil}})
		time.Sleep(3 * time.Second)
		srv.Silence(true)
		c.push.Store(-int64(time.Hour))
		want(t, g, a, 0)
		time.Sleep(10*time.Second + time.Millisecond)
		never(t, g, a, time.Minute)
		srv.Silence(false)
		time.Sleep(10 * time.Second)
		want(t, g, a, 0)
	})
}

func TestTrace17IdleFeedWithLatencyNeverRefuses(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g := srv.Guard(t)
		srv.CloseStreams(true)
		srv.Delay(500*time.Millisecond, 500*time.Millisecond)
		token := srv.Token(guardtest.Token{})
		_, before := srv.Acknowledged(g.Status().Process)
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			want(t, g, token, 0)
		}
		_, after := srv.Acknowledged(g.Status().Process)
		if n := after - before; n < 8 || n > 15 {
			t.Errorf("%d questions in a minute: not a long-poll of 5 s", n)
		}
	})
}

func TestSlowSnapshotIsNotFresh(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		token := srv.Token(guardtest.Token{})
		srv.Delay(0, 20*time.Second)
		g, _ := srv.Start(t)
		time.Sleep(time.Second)
		srv.Delay(0, 300*time.Millisecond)
		never(t, g, token, 19*time.Second)
		time.Sleep(20 * time.Millisecond)
		if st := g.Status(); st.Age < 20*time.Second || !st.Closed {
			t.Fatalf("a snapshot that took 20 s: %+v", st)
		}
		time.Sleep(300 * time.Millisecond) // the next question is not held
		settle()
		want(t, g, token, 0)
	})
}

func TestSnapshotDoesNotForgetWhatTheStreamBrought(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g := srv.Guard(t)
		a := srv.Token(guardtest.Token{User: ada})
		settle()
		srv.Delay(0, 2*time.Second)
		srv.SnapshotNext()
		srv.Cut() // the question under way is answered with a snapshot of this
		settle()
		srv.CutUser(ada)
		settle()
		want(t, g, a, guard.Revoked)
		never(t, g, a, 10*time.Second)
		if st := g.Status(); st.Confirmed != 2 {
			t.Errorf("confirmed %d, want 2", st.Confirmed)
		}
	})
}

func TestSnapshotReplacesTheSet(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g := srv.Guard(t)
		srv.Cut()
		a := srv.Token(guardtest.Token{User: ada}) // born 1
		srv.CutUser(grace)
		time.Sleep(time.Second)
		if n := g.Status().Cutoffs; n != 1 {
			t.Fatalf("%d cutoffs, want 1", n)
		}
		srv.Raise(2)
		srv.SnapshotNext()
		srv.Cut()
		time.Sleep(time.Second)
		st := g.Status()
		if st.Cutoffs != 0 || st.Floor != 2 {
			t.Errorf("after the snapshot: %d cutoffs, floor %d", st.Cutoffs, st.Floor)
		}
		want(t, g, a, guard.Revoked) // born before the floor, whatever exp says
		want(t, g, srv.Token(guardtest.Token{User: ada}), 0)
	})
}

// The cutoff itself is forgotten, and the guard may be slow to see exp pass.
func TestTrace9ATokenBornBeforeTheFloorIsRefusedWhateverItsExpiry(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g := srv.Guard(t)
		srv.Cut()
		a := srv.Token(guardtest.Token{CP1: true}) // born 1
		want(t, g, a, 0)
		held, done := hold(t, g, a)
		defer done()
		time.Sleep(time.Second)
		srv.Raise(2)
		srv.Cut()
		settle()
		want(t, g, a, guard.Revoked)
		cause(t, held, guard.Revoked)
	})
}

func TestUnknownScopeOnTheStreamCloses(t *testing.T) {
	for _, event := range []string{
		`{"pos":1,"cuts":[{"scope":"tenant","id":"x","reach":"everything"}]}`,
		`{"pos":1,"cuts":[{"scope":"user","id":"x","reach":"some"}]}`,
		`{"pos":1,"cuts":[{"scope":"user","reach":"everything"}]}`,
		`{"pos":0}`, `{"pos":1`, `[]`,
	} {
		t.Run(event, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *guardtest.Server) {
				g := srv.Guard(t)
				token := srv.Token(guardtest.Token{})
				held, done := hold(t, g, token)
				defer done()
				settle()
				srv.Delay(time.Second, 0)
				srv.StreamRaw(event)
				settle()
				want(t, g, token, guard.Stale)
				if held.Err() == nil {
					t.Error("a held request goes on")
				}
				never(t, g, token, 990*time.Millisecond) // until a question asked since is answered
				time.Sleep(100 * time.Millisecond)
				want(t, g, token, 0)
			})
		})
	}
}

func TestUnknownScopeInAnAnswerCloses(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g := srv.Guard(t)
		srv.CloseStreams(true)
		token := srv.Token(guardtest.Token{})
		settle()
		srv.Tamper(func(a map[string]any) {
			a["lines"] = json.RawMessage(`[{"pos":1,"cuts":[{"scope":"tenant","id":"x","reach":"everything"}]}]`)
		})
		srv.Cut()
		settle()
		want(t, g, token, guard.Stale) // at once, not when the view has grown old
		never(t, g, token, time.Minute)
		if err := g.Status().LastError; err == nil || !strings.Contains(err.Error(), "cannot be read") {
			t.Errorf("last error: %v", err)
		}
		srv.Tamper(nil)
		time.Sleep(5 * time.Second)
		want(t, g, token, 0)
	})
}

// recorder notes every question and can fail some.
type recorder struct {
	http.RoundTripper
	mu   sync.Mutex
	asks []url.Values
}

func (r *recorder) RoundTrip(q *http.Request) (*http.Response, error) {
	if q.Method == "GET" && q.URL.Path == "/feed" && q.Header.Get("Accept") == "application/json" {
		r.mu.Lock()
		r.asks = append(r.asks, q.URL.Query())
		r.mu.Unlock()
	}
	return r.RoundTripper.RoundTrip(q)
}

func TestFirstAskAfterAFailureDoesNotWait(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		rec := &recorder{RoundTripper: srv.Client().Transport}
		g := srv.Guard(t, func(c *guard.Config) { c.HTTPClient = &http.Client{Transport: rec} })
		time.Sleep(12 * time.Second)
		srv.Fail(503)
		time.Sleep(6 * time.Second)
		srv.Fail(0)
		time.Sleep(12 * time.Second)
		want(t, g, srv.Token(guardtest.Token{}), 0)
		rec.mu.Lock()
		defer rec.mu.Unlock()
		var held, failed int
		for i, q := range rec.asks {
			switch {
			case i == 0 && (q.Has("after") || q.Has("wait")):
				t.Error("the first question is not for a snapshot")
			case q.Get("wait") == "5s":
				held++
			case i > 0 && q.Has("wait"):
				t.Errorf("question %d waits %s", i, q.Get("wait"))
			case i > 0:
				failed++
			}
			if i > 0 && q.Get("nonce") == rec.asks[i-1].Get("nonce") {
				t.Error("a nonce was used twice")
			}
		}
		if held < 4 || failed < 2 || failed > 30 {
			t.Errorf("%d held and %d unheld questions", held, failed)
		}
	})
}

func TestForgottenProcessRegistersAnewWithoutClosing(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g := srv.Guard(t)
		token := srv.Token(guardtest.Token{User: ada})
		was := g.Status().Process
		srv.ForgetProcesses()
		for range 1000 {
			time.Sleep(10 * time.Millisecond)
			want(t, g, token, 0)
		}
		st := g.Status()
		if st.Process == was || len(srv.Processes()) != 1 || !st.Streaming {
			t.Errorf("process %s, was %s; streaming %v", st.Process, was, st.Streaming)
		}
		srv.CutUser(ada)
		settle()
		want(t, g, token, guard.Revoked)
	})
}

func TestDoubledAndLostStreamLinesDoNoHarm(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g := srv.Guard(t)
		srv.DoubleLines(true)
		srv.LoseLines(3)
		for range 10 {
			old := srv.Token(guardtest.Token{User: ada})
			want(t, g, old, 0)
			srv.CutUser(ada)
			time.Sleep(50 * time.Millisecond)
			want(t, g, old, guard.Revoked)
		}
		if st := g.Status(); st.Position != 10 || st.Confirmed != 10 {
			t.Errorf("%+v", st)
		}
	})
}

func TestStreamComesBack(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g := srv.Guard(t)
		settle()
		if !g.Status().Streaming {
			t.Fatal("not streaming")
		}
		srv.CloseStreams(true)
		time.Sleep(time.Second)
		if g.Status().Streaming {
			t.Fatal("streaming although streams are closed")
		}
		token := srv.Token(guardtest.Token{User: ada})
		srv.CutUser(ada)
		settle()
		want(t, g, token, guard.Revoked) // the long-poll brings it just the same
		srv.CloseStreams(false)
		time.Sleep(6 * time.Second)
		if !g.Status().Streaming {
			t.Error("the stream did not come back")
		}
	})
}

func TestWrongCredentialsNeverOpen(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		for name, f := range map[string]func(*guard.Config){
			"secret":   func(c *guard.Config) { c.ClientSecret = "wrong" },
			"resource": func(c *guard.Config) { c.Audience = "api://drive" },
		} {
			g, stop := srv.Start(t, f)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			err := g.Ready(ctx)
			cancel()
			if err == nil || !strings.Contains(err.Error(), map[string]string{"secret": "invalid_client", "resource": "access_denied"}[name]) {
				t.Errorf("%s: ready says %v", name, err)
			}
			stop()
		}
	})
}
