package guard_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/guard"
	"github.com/curfew-id/curfew/guard/guardtest"
)

var everyToken = cutoff.Cutoff{Scope: cutoff.All, Reach: cutoff.Tokens}

// between changes how the guard gets the keys; everything else goes through.
type between struct {
	http.RoundTripper
	keys func(*http.Request, http.RoundTripper) (*http.Response, error)
}

func (b between) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/keys") {
		return b.keys(r, b.RoundTripper)
	}
	return b.RoundTripper.RoundTrip(r)
}

func through(srv *guardtest.Server, keys func(*http.Request, http.RoundTripper) (*http.Response, error)) func(*guard.Config) {
	return func(c *guard.Config) {
		c.HTTPClient = &http.Client{Transport: between{srv.Client().Transport, keys}}
	}
}

// Mallory has the key: he writes the largest born there is, which no cutoff
// reaches. What ends his tokens is that the guard forgets the key with the line.
func TestAKeyIsForgottenWithACutOfTheWholeDirectory(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		srv.Cut()
		g := srv.Guard(t)
		settle()
		stolen, _ := srv.Key()
		forged := srv.Token(guardtest.Token{Born: cutoff.MaxPos, Life: 28 * time.Hour})
		later := srv.Token(guardtest.Token{Born: cutoff.MaxPos, User: grace}) // not seen before the cut
		good := srv.Token(guardtest.Token{CP1: true})
		want(t, g, forged, 0)
		want(t, g, good, 0)
		held, done := hold(t, g, forged)
		defer done()
		fetches := srv.KeyFetches()

		srv.RotateKey("ES256")
		srv.DropKey(stolen)
		srv.Cut(everyToken)
		settle()
		want(t, g, forged, guard.Invalid)
		want(t, g, later, guard.Invalid)
		cause(t, held, guard.Invalid)
		// An honest client with the same key learns that it must get another token.
		want(t, g, good, guard.Revoked)
		want(t, g, srv.Token(guardtest.Token{}), 0)
		if n := srv.KeyFetches() - fetches; n != 1 {
			t.Errorf("%d fetches", n)
		}
		time.Sleep(time.Hour)
		want(t, g, forged, guard.Invalid)
	})
}

// A cut of everybody that has nothing to do with keys costs one fetch, and new
// tokens of the same key are good at once.
func TestKeysThatStayAreGoodAgainAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g := srv.Guard(t)
		settle()
		old := srv.Token(guardtest.Token{})
		want(t, g, old, 0)
		srv.Cut(cutoff.Cutoff{Scope: cutoff.All, Reach: cutoff.Everything})
		now := srv.Token(guardtest.Token{})
		settle()
		want(t, g, old, guard.Revoked)
		want(t, g, now, 0)
		// Lines about one user are none of the keys' business.
		before := srv.KeyFetches()
		srv.CutUser(grace)
		settle()
		if n := srv.KeyFetches() - before; n != 0 {
			t.Errorf("%d fetches for a line about one user", n)
		}
	})
}

// A node that lags, or a cache in between, still has the key that was dropped.
func TestKeysOlderThanTheCutAreNotTaken(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		srv.Cut()
		var mu sync.Mutex
		var kept *http.Response // the last answer
		var body []byte
		lagging := false
		g := srv.Guard(t, through(srv, func(r *http.Request, to http.RoundTripper) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			if !lagging {
				resp, err := to.RoundTrip(r)
				if err != nil {
					return nil, err
				}
				if body, err = io.ReadAll(resp.Body); err != nil {
					return nil, err
				}
				kept = resp
			}
			again := *kept
			again.Body = io.NopCloser(bytes.NewReader(body))
			return &again, nil
		}))
		settle()
		forged := srv.Token(guardtest.Token{Born: cutoff.MaxPos, Life: 28 * time.Hour})
		want(t, g, forged, 0)
		stolen, _ := srv.Key()
		mu.Lock()
		lagging = true
		mu.Unlock()
		srv.RotateKey("ES256")
		srv.DropKey(stolen)
		srv.Cut(everyToken)
		settle()
		never(t, g, forged, 5*time.Second)
		mu.Lock()
		lagging = false
		mu.Unlock()
		began := time.Now()
		good := srv.Token(guardtest.Token{})
		for kind(g, good) != 0 {
			if time.Since(began) > 31*time.Second {
				t.Fatal("the guard does not take the new keys")
			}
			time.Sleep(10 * time.Millisecond)
		}
		want(t, g, forged, guard.Invalid)
	})
}

// A server that does not say as of when its keys are is believed when it was
// asked after the cut.
func TestKeysWithoutAPositionAreOnesFromAfterTheCut(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		srv.Cut()
		g := srv.Guard(t, through(srv, func(r *http.Request, to http.RoundTripper) (*http.Response, error) {
			if r.Header.Get("Cache-Control") != "no-cache" {
				return nil, errors.New("a cache may answer this")
			}
			resp, err := to.RoundTrip(r)
			if err == nil {
				resp.Header.Del("Curfew-Position")
			}
			return resp, err
		}))
		settle()
		forged := srv.Token(guardtest.Token{Born: cutoff.MaxPos, Life: 28 * time.Hour})
		want(t, g, forged, 0)
		stolen, _ := srv.Key()
		srv.RotateKey("ES256")
		srv.DropKey(stolen)
		srv.Cut(everyToken)
		settle()
		want(t, g, forged, guard.Invalid)
		want(t, g, srv.Token(guardtest.Token{}), 0)
	})
}

// After hours without a line the cut may lie below the floor, and no snapshot
// tells of it: keys from before the floor are not trusted either.
func TestKeysFromBeforeTheFloorAreForgotten(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		srv.Cut()
		g := srv.Guard(t)
		settle()
		forged := srv.Token(guardtest.Token{Born: cutoff.MaxPos, Life: 28 * time.Hour})
		want(t, g, forged, 0)
		stolen, _ := srv.Key()
		srv.CloseStreams(true)
		srv.Fail(503)
		time.Sleep(3 * time.Hour)
		srv.RotateKey("ES256")
		srv.DropKey(stolen)
		srv.Raise(srv.Cut(everyToken))
		srv.SnapshotNext()
		srv.Fail(0)
		never(t, g, forged, time.Minute)
		want(t, g, forged, guard.Invalid)
		want(t, g, srv.Token(guardtest.Token{}), 0)
	})
}

// A rotation as curfew does it: the next key is published long before it signs.
func TestARotationIsFollowedWithoutAskingAndWithoutARefusal(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g := srv.Guard(t)
		old, _ := srv.Key()
		last, ends := srv.Token(guardtest.Token{Life: 2 * time.Hour}), time.Now().Add(2*time.Hour)
		want(t, g, last, 0)
		next := srv.PublishKey("ES256")
		time.Sleep(10 * time.Minute) // keys.Soon
		srv.UseKey(next)
		before := srv.KeyFetches()
		for range 60 {
			want(t, g, last, 0)
			want(t, g, srv.Token(guardtest.Token{}), 0)
		}
		if n := srv.KeyFetches() - before; n != 0 {
			t.Errorf("%d fetches when the key was first used", n)
		}
		for range 119 {
			time.Sleep(time.Minute)
			want(t, g, srv.Token(guardtest.Token{}), 0)
			if time.Now().Before(ends) {
				want(t, g, last, 0)
			}
		}
		time.Sleep(time.Hour)
		srv.DropKey(old)
		time.Sleep(10 * time.Minute)
		want(t, g, last, guard.Invalid)
		want(t, g, srv.Token(guardtest.Token{}), 0)
	})
}
