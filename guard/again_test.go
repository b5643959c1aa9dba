package guard_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/guard"
	"github.com/curfew-id/curfew/guard/guardtest"
)

func asked(t *testing.T, srv *guardtest.Server, n int) {
	t.Helper()
	if got := srv.Asked(); got != n {
		t.Fatalf("asked %d times, want %d", got, n)
	}
}

func always(v guardtest.Verdict) func(guardtest.Question) guardtest.Verdict {
	return func(guardtest.Question) guardtest.Verdict { return v }
}

func TestATokenInDoubtIsJudgedOnceAndThenAcceptedAsBefore(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		srv.Cut()
		g := srv.Guard(t)
		a, b := srv.Token(guardtest.Token{User: ada, Device: "laptop"}), srv.Token(guardtest.Token{User: grace})
		want(t, g, a, 0)
		want(t, g, b, 0)
		asked(t, srv, 0)
		n := 0
		for _, c := range []cutoff.Cutoff{{Scope: cutoff.All}, {Scope: cutoff.User, ID: ada}, {Scope: cutoff.Device, ID: "laptop"}} {
			srv.JudgeAgain(c)
			settle()
			asked(t, srv, n) // nobody asks before it is used: no stampede
			for range 10 {
				want(t, g, a, 0)
			}
			n++
			asked(t, srv, n)
			want(t, g, srv.Token(guardtest.Token{User: ada}), 0) // born after the line
			want(t, g, b, 0)
			if c.Scope == cutoff.All {
				n++
			}
			asked(t, srv, n)
		}
	})
}

func TestARefusalIsToldAsTheClientUnderstands(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		srv.Cut()
		g := srv.Guard(t)
		ok := g.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		for _, c := range []struct {
			name   string
			cp1    bool
			v      guardtest.Verdict
			kind   guard.Kind
			status int
			code   string // in the challenge
		}{
			{"policy", false, guardtest.Verdict{Refused: "policy"}, guard.Barred, 401, "invalid_token"},
			{"policy, capable", true, guardtest.Verdict{Refused: "policy"}, guard.Barred, 401, "insufficient_claims"},
			{"step up", false, guardtest.Verdict{Refused: "step_up"}, guard.StepUp, 401, "insufficient_user_authentication"},
			{"step up, capable", true, guardtest.Verdict{Refused: "step_up"}, guard.Barred, 401, "insufficient_claims"},
			{"revoked", true, guardtest.Verdict{Refused: "revoked"}, guard.Revoked, 401, "insufficient_claims"},
			{"something new", false, guardtest.Verdict{Refused: "weather"}, guard.Barred, 401, "invalid_token"},
			{"the server is down", true, guardtest.Verdict{Status: 503}, guard.Unjudged, 503, ""},
			{"it does not know us", true, guardtest.Verdict{Status: 401}, guard.Unjudged, 503, ""},
			{"it lags", true, guardtest.Verdict{Judged: 1}, guard.Unjudged, 503, ""},
		} {
			token := srv.Token(guardtest.Token{User: ada, CP1: c.cp1})
			want(t, g, token, 0)
			srv.Judge(always(c.v))
			srv.JudgeAgain()
			settle()
			if got := kind(g, token); got != c.kind {
				t.Errorf("%s: %v, want %v", c.name, got, c.kind)
			}
			resp := get(ok, "Bearer "+token)
			challenge := resp.Header.Get("WWW-Authenticate")
			if resp.StatusCode != c.status || (c.code != "") != strings.Contains(challenge, `error="`+c.code+`"`) || (challenge == "") != (c.code == "") {
				t.Errorf("%s: %d %q", c.name, resp.StatusCode, challenge)
			}
			if c.status == 503 && resp.Header.Get("Retry-After") == "" {
				t.Errorf("%s: it does not say when to come again", c.name)
			}
			if c.status == 503 { // and it is asked again each time: nothing was learned
				srv.Judge(nil)
				want(t, g, token, 0)
			}
		}
	})
}

func TestARefusalIsRememberedUntilALaterLineOrAnotherAddress(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		srv.Cut()
		g := srv.Guard(t)
		token := srv.Token(guardtest.Token{User: ada})
		srv.Judge(func(q guardtest.Question) guardtest.Verdict {
			if q.Address == netip.MustParseAddr("192.0.2.7") {
				return guardtest.Verdict{}
			}
			return guardtest.Verdict{Refused: "policy"}
		})
		srv.JudgeAgain()
		settle()
		for range 20 {
			want(t, g, token, guard.Barred)
		}
		asked(t, srv, 1)
		srv.JudgeAgain()
		settle()
		want(t, g, token, guard.Barred)
		asked(t, srv, 2)
		time.Sleep(11 * time.Second) // and not for ever
		want(t, g, token, guard.Barred)
		asked(t, srv, 3)
		r := httptest.NewRequest("GET", "https://mail.contoso.example/", nil)
		r.RemoteAddr = "192.0.2.7:4711"
		r.Header.Set("Authorization", "Bearer "+token)
		if _, err := g.CheckRequest(r); err != nil {
			t.Fatal(err)
		}
		asked(t, srv, 4)
	})
}

func TestWhoCannotAskDoesNotAccept(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		srv.Cut()
		g := srv.Guard(t)
		token := srv.Token(guardtest.Token{User: ada})
		want(t, g, token, 0)
		hang := make(chan struct{})
		srv.Judge(func(guardtest.Question) guardtest.Verdict { <-hang; return guardtest.Verdict{} })
		srv.JudgeAgain()
		settle()
		began := time.Now()
		want(t, g, token, guard.Unjudged)
		if d := time.Since(began); d != 3*time.Second {
			t.Errorf("refused after %v", d)
		}
		close(hang)
		want(t, g, token, 0)
	})
}

func TestManyRequestsWithOneTokenAskOnce(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		srv.Cut()
		g := srv.Guard(t)
		for _, seen := range []bool{true, false} {
			token := srv.Token(guardtest.Token{User: ada})
			if seen {
				want(t, g, token, 0)
			}
			before := srv.Asked()
			hang := make(chan struct{})
			srv.Judge(func(guardtest.Question) guardtest.Verdict { <-hang; return guardtest.Verdict{} })
			srv.JudgeAgain()
			settle()
			var all sync.WaitGroup
			for range 100 {
				all.Go(func() {
					if k := kind(g, token); k != 0 {
						t.Errorf("refused: %v", k)
					}
				})
			}
			settle()
			close(hang)
			all.Wait()
			asked(t, srv, before+1)
		}
	})
}

func TestManyTokensWaitForTheirTurn(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		srv.Cut()
		g := srv.Guard(t)
		var now, most atomic.Int32
		began := time.Now()
		srv.Judge(func(guardtest.Question) guardtest.Verdict {
			if n := now.Add(1); time.Since(began) < 2900*time.Millisecond { // then the guard gives up, and the server does not know yet
				most.Store(max(most.Load(), n))
			}
			time.Sleep(100 * time.Millisecond)
			now.Add(-1)
			return guardtest.Verdict{}
		})
		var tokens []string
		for i := range 1500 {
			tokens = append(tokens, srv.Token(guardtest.Token{User: ada, Grant: fmt.Sprint("g", i)}))
		}
		srv.JudgeAgain()
		settle()
		var all sync.WaitGroup
		var accepted atomic.Int32
		for _, token := range tokens {
			all.Go(func() {
				switch k := kind(g, token); k {
				case 0:
					accepted.Add(1)
				case guard.Unjudged: // its turn did not come
				default:
					t.Errorf("%v", k)
				}
			})
		}
		all.Wait()
		if n := most.Load(); n > 32 || n < 30 {
			t.Errorf("%d questions at once", n)
		}
		if n := accepted.Load(); n < 900 || n > 1000 { // 32 at once, a tenth of a second each, for three seconds
			t.Errorf("%d accepted", n)
		}
		time.Sleep(time.Second) // the server finishes what was given up
	})
}

// The interleavings. H is the head that the server read before its facts, J a line
// that puts in doubt.

func TestAChangeBetweenFactsAndAnswerIsAskedForAgain(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) { // J1, facts at H=J1, J2, answer H
		srv.Cut()
		g := srv.Guard(t)
		token := srv.Token(guardtest.Token{User: ada})
		want(t, g, token, 0)
		var calls int
		srv.Judge(func(q guardtest.Question) guardtest.Verdict {
			if calls++; calls == 1 {
				srv.JudgeAgain() // what it finds would refuse; the first answer does not know
				return guardtest.Verdict{Judged: q.Head}
			}
			return guardtest.Verdict{Refused: "policy"}
		})
		srv.JudgeAgain()
		settle()
		kind(g, token) // may be accepted once, should the line not be here yet
		settle()
		want(t, g, token, guard.Barred)
		asked(t, srv, 2)
	})
}

func TestAnAnswerThatOvertakesALineIsNotAskedForTwice(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) { // J1 here, J2 on its way, answer H=J2, J2 arrives
		srv.Cut()
		g := srv.Guard(t)
		token := srv.Token(guardtest.Token{User: ada})
		srv.JudgeAgain()
		settle()
		srv.CloseStreams(true)
		settle()
		late := make(chan struct{})
		srv.Tamper(func(map[string]any) { <-late })
		var judged cutoff.Pos
		srv.Judge(func(q guardtest.Question) guardtest.Verdict {
			judged = q.Head + 1
			return guardtest.Verdict{Judged: judged}
		})
		want(t, g, token, 0)
		asked(t, srv, 1)
		srv.Tamper(nil)
		close(late)
		settle()
		if pos := srv.JudgeAgain(); pos != judged {
			t.Fatalf("the line is %d, judged up to %d", pos, judged)
		}
		time.Sleep(6 * time.Second)
		want(t, g, token, 0)
		asked(t, srv, 1)
		srv.JudgeAgain()
		time.Sleep(6 * time.Second)
		srv.Judge(nil)
		want(t, g, token, 0)
		asked(t, srv, 2)
	})
}

func TestLinesThatComeFasterThanAnswersRefuse(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		srv.Cut()
		g := srv.Guard(t)
		token := srv.Token(guardtest.Token{User: ada})
		srv.Judge(func(q guardtest.Question) guardtest.Verdict {
			next := srv.JudgeAgain()
			for g.Status().Position < next { // it is here before the answer
				time.Sleep(time.Millisecond)
			}
			return guardtest.Verdict{Judged: q.Head}
		})
		srv.JudgeAgain()
		settle()
		want(t, g, token, guard.Unjudged)
		asked(t, srv, 3)
		srv.Judge(nil)
		want(t, g, token, 0)
	})
}

func TestARestartedGuardAsksForWhatWasJudgedBefore(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		srv.Cut()
		token := srv.Token(guardtest.Token{User: ada})
		srv.JudgeAgain()
		g, stop := srv.Start(t)
		if err := g.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		want(t, g, token, 0)
		asked(t, srv, 1)
		stop()
		again := srv.Guard(t)
		want(t, again, token, 0) // the snapshot has the line; what was judged is not kept
		asked(t, srv, 2)
		srv.SnapshotNext() // a new set, the same memory
		srv.Cut()
		settle()
		want(t, again, token, 0)
		asked(t, srv, 2)
	})
}

func TestALineLostOnTheStreamPutsInDoubtWithTheAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		srv.Cut()
		g := srv.Guard(t)
		token := srv.Token(guardtest.Token{User: ada})
		want(t, g, token, 0)
		settle()
		srv.Judge(always(guardtest.Verdict{Refused: "policy"}))
		srv.LoseLines(1)
		srv.Delay(0, 2*time.Second)
		srv.JudgeAgain()
		settle()
		want(t, g, token, 0) // it does not know yet
		time.Sleep(2 * time.Second)
		settle()
		srv.Delay(0, 0)
		want(t, g, token, guard.Barred)
	})
}

func TestJudgedAgainIsNotAliveAgain(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		srv.Cut()
		g := srv.Guard(t)
		token := srv.Token(guardtest.Token{User: ada})
		want(t, g, token, 0)
		srv.Judge(always(guardtest.Verdict{Judged: cutoff.MaxPos})) // whatever it says
		srv.JudgeAgain()
		settle()
		want(t, g, token, 0)
		srv.CutUser(ada)
		settle()
		want(t, g, token, guard.Revoked)
		srv.JudgeAgain()
		settle()
		want(t, g, token, guard.Revoked)
		asked(t, srv, 1)
	})
}

func TestTheServerMayGiveLessTime(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		srv.Cut()
		g := srv.Guard(t)
		plain, capable := srv.Token(guardtest.Token{User: ada}), srv.Token(guardtest.Token{User: ada, CP1: true})
		until := time.Now().Add(10 * time.Minute)
		srv.Judge(always(guardtest.Verdict{Until: until}))
		srv.JudgeAgain()
		settle()
		ctx, done := hold(t, g, plain)
		defer done()
		want(t, g, capable, 0)
		time.Sleep(10*time.Minute - time.Second)
		want(t, g, capable, 0)
		<-ctx.Done()
		if d := time.Until(until); d > 0 || d < -time.Second {
			t.Errorf("the held one was cut %v before the end", d)
		}
		cause(t, ctx, guard.StepUp)
		time.Sleep(time.Second)
		want(t, g, capable, guard.Barred)
		srv.Judge(nil) // a later judgement may give more again, never more than the token says
		srv.JudgeAgain()
		settle()
		want(t, g, capable, 0)
		time.Sleep(time.Hour)
		want(t, g, capable, guard.Invalid)
	})
}

func TestHeldRequestsAreJudgedAgainAtOnceOrCut(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		srv.Cut()
		g := srv.Guard(t)
		open := func(user string) context.Context {
			ctx, done := hold(t, g, srv.Token(guardtest.Token{User: user}))
			t.Cleanup(done)
			return ctx
		}
		a, b := open(ada), open(grace)
		srv.Judge(func(q guardtest.Question) guardtest.Verdict {
			if q.Claims["oid"] == ada {
				return guardtest.Verdict{Refused: "policy"}
			}
			return guardtest.Verdict{}
		})
		began := time.Now()
		srv.JudgeAgain()
		<-a.Done()
		if d := time.Since(began); d > 0 {
			t.Errorf("cut after %v", d)
		}
		cause(t, a, guard.Barred)
		settle()
		if b.Err() != nil {
			t.Fatalf("grace: %v", context.Cause(b))
		}
		asked(t, srv, 2)
		hang := make(chan struct{})
		defer close(hang)
		srv.Judge(func(guardtest.Question) guardtest.Verdict { <-hang; return guardtest.Verdict{} })
		var more []context.Context
		for range 200 { // far more than can be asked for before the limit
			more = append(more, open(ada))
		}
		began = time.Now()
		srv.JudgeAgain()
		<-b.Done()
		cause(t, b, guard.Unjudged)
		for _, ctx := range more {
			<-ctx.Done()
			cause(t, ctx, guard.Unjudged)
		}
		if d := time.Since(began); d > 10*time.Second {
			t.Errorf("the last was cut after %v, beyond MaxStaleness", d)
		}
	})
}

func TestTheServerIsToldTheAddressThatTheGuardSees(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		srv.Cut()
		var got netip.Addr
		srv.Judge(func(q guardtest.Question) guardtest.Verdict { got = q.Address; return guardtest.Verdict{} })
		srv.JudgeAgain()
		proxies := guard.BehindProxies(netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"))
		for _, c := range []struct {
			name    string
			address func(*http.Request) netip.Addr
			remote  string
			header  []string
			want    string // empty: not known
		}{
			{"the connection's", nil, "192.0.2.7:1", nil, "192.0.2.7"},
			{"whatever a header says", nil, "192.0.2.7:1", []string{"198.51.100.1"}, "192.0.2.7"},
			{"v4 in v6", nil, "[::ffff:192.0.2.7]:1", nil, "192.0.2.7"},
			{"with a zone", nil, "[fe80::1%eth0]:1", nil, "fe80::1"},
			{"none that can be read", nil, "@", nil, ""},
			{"not from a proxy", proxies, "192.0.2.7:1", []string{"198.51.100.1"}, "192.0.2.7"},
			{"from a proxy", proxies, "10.0.0.1:1", []string{"198.51.100.1"}, "198.51.100.1"},
			{"from two, in two headers", proxies, "10.0.0.1:1", []string{"203.0.113.9, 198.51.100.1", "10.0.0.2"}, "198.51.100.1"},
			{"what the client claims before it", proxies, "10.0.0.1:1", []string{"10.0.0.9, 198.51.100.1"}, "198.51.100.1"},
			{"with a port", proxies, "10.0.0.1:1", []string{"198.51.100.1:443"}, "198.51.100.1"},
			{"v6", proxies, "[fd00::1]:1", []string{"2001:db8::5"}, "2001:db8::5"},
			{"a proxy that says nothing", proxies, "10.0.0.1:1", nil, ""},
			{"a proxy that says nonsense", proxies, "10.0.0.1:1", []string{"unknown"}, ""},
			{"nothing but proxies", proxies, "10.0.0.1:1", []string{"10.0.0.3"}, "10.0.0.3"},
			{"too many", proxies, "10.0.0.1:1", []string{strings.Repeat("10.0.0.3,", 40) + "10.0.0.3"}, ""},
		} {
			g := srv.Guard(t, func(cfg *guard.Config) { cfg.ClientAddress = c.address })
			r := httptest.NewRequest("GET", "https://mail.contoso.example/", nil)
			r.RemoteAddr = c.remote
			for _, v := range c.header {
				r.Header.Add("X-Forwarded-For", v)
			}
			r.Header.Set("Authorization", "Bearer "+srv.Token(guardtest.Token{User: ada, Born: 1}))
			got = netip.MustParseAddr("0.0.0.1")
			if _, err := g.CheckRequest(r); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			if text := map[bool]string{true: got.String()}[got.IsValid()]; text != c.want {
				t.Errorf("%s: the server was told %q, want %q", c.name, text, c.want)
			}
		}
	})
}

func TestAnEncryptedTokenIsJudgedByWhatIsInside(t *testing.T) {
	t.Parallel()
	srv := guardtest.New(t)
	srv.Cut()
	k := rsaPair(t, 2048)
	g := srv.Guard(t, decrypting(k))
	inner := srv.Token(guardtest.Token{User: ada, Born: 1})
	srv.JudgeAgain()
	eventually(t, "the line", func() bool { return g.Status().Position == 2 })
	want(t, g, seal(t, jose.RSA_OAEP_256, jose.A256GCM, &k.PublicKey, inner, "JWT"), 0)
	asked(t, srv, 1)
}

// meddle changes answers of the introspection endpoint on their way.
type meddle struct {
	http.RoundTripper
	answer string
}

func (m meddle) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := m.RoundTripper.RoundTrip(r)
	if err == nil && strings.HasSuffix(r.URL.Path, "/introspect") {
		resp.Body.Close()
		w := httptest.NewRecorder()
		w.Header().Set("Content-Type", "application/json")
		w.WriteString(m.answer)
		resp = w.Result()
	}
	return resp, err
}

func TestAnswersThatSayNothingOfTheTokenRefuse(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		srv.Cut()
		token := srv.Token(guardtest.Token{User: ada, Claims: map[string]any{"jti": "the one"}})
		srv.JudgeAgain()
		for _, c := range []struct {
			answer string
			kind   guard.Kind
		}{
			{`{"active":true,"judged":2,"jti":"the one"}`, 0},
			{`{"active":true,"judged":9,"jti":"the one","more":[1]}`, 0},
			{`{"active":true,"judged":2,"jti":"another"}`, guard.Unjudged},
			{`{"active":true,"judged":2}`, guard.Unjudged},
			{`{"active":true,"jti":"the one"}`, guard.Unjudged},
			{`{"active":true,"judged":1,"jti":"the one"}`, guard.Unjudged},
			{`{"active":true,"judged":9007199254740992,"jti":"the one"}`, guard.Unjudged},
			{`{"active":true,"judged":-1,"jti":"the one"}`, guard.Unjudged},
			{`{"active":true,"judged":2,"jti":"the one","exp":-1}`, guard.Unjudged},
			{`{"active":"yes","judged":2,"jti":"the one"}`, guard.Unjudged},
			{`{"active":false}`, guard.Barred},
			{`{}`, guard.Barred},
			{`null`, guard.Barred},
			{`[]`, guard.Unjudged},
			{`{"active":true,"judged":2,"jti":"the one"}{}`, guard.Unjudged},
			{``, guard.Unjudged},
			{`{"active":true,"judged":2,"jti":"the one","x":"` + strings.Repeat("x", 70000) + `"}`, guard.Unjudged},
		} {
			g := srv.Guard(t, func(cfg *guard.Config) {
				cfg.HTTPClient = &http.Client{Transport: meddle{srv.Client().Transport, c.answer}}
			})
			if got := kind(g, token); got != c.kind {
				t.Errorf("%.80s: %v, want %v", c.answer, got, c.kind)
			}
		}
	})
}

func TestAServerThatDoesNotSayWhereToAskAdmitsNothingInDoubt(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		srv.Cut()
		token := srv.Token(guardtest.Token{User: ada})
		srv.JudgeAgain()
		g := srv.Guard(t, func(cfg *guard.Config) { cfg.HTTPClient = &http.Client{Transport: silentAbout{srv.Client().Transport}} })
		want(t, g, token, guard.Unjudged)
		want(t, g, srv.Token(guardtest.Token{User: ada}), 0)
	})
}

// silentAbout takes the introspection endpoint out of registrations.
type silentAbout struct{ http.RoundTripper }

func (s silentAbout) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s.RoundTripper.RoundTrip(r)
	if err == nil && r.Method == http.MethodPost {
		b := new(strings.Builder)
		buf := make([]byte, 4096)
		for {
			n, rerr := resp.Body.Read(buf)
			b.Write(buf[:n])
			if rerr != nil {
				break
			}
		}
		resp.Body.Close()
		w := httptest.NewRecorder()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(resp.StatusCode)
		w.WriteString(strings.Replace(b.String(), "introspection_endpoint", "other", 1))
		resp = w.Result()
	}
	return resp, err
}

func TestATokenBoundToACertificateIsJudgedAgainAsAnyOther(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		srv.Cut()
		g := srv.Guard(t)
		c := certificate(t)
		sum := sha256.Sum256(c.Raw)
		token := srv.Token(guardtest.Token{User: ada, Claims: map[string]any{"cnf": map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}}})
		srv.JudgeAgain()
		settle()
		r := httptest.NewRequest("GET", "https://mail.contoso.example/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		if _, err := g.CheckRequest(r); err == nil {
			t.Error("taken without the certificate")
		}
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c}}
		if _, err := g.CheckRequest(r); err != nil {
			t.Error(err)
		}
		asked(t, srv, 1)
	})
}
