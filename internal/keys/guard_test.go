package keys_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/curfew-id/curfew/guard"
	"github.com/curfew-id/curfew/guard/guardtest"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/keys"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// balanced answers for the keys of a test issuer with those of real nodes, in
// turn, and lets everything else through.
type balanced struct {
	http.RoundTripper
	nodes   []node
	turn    atomic.Int64
	fetched *atomic.Int64 // how often; nil: nobody counts
}

func (b *balanced) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/keys") {
		return b.RoundTripper.RoundTrip(r)
	}
	if b.fetched != nil {
		b.fetched.Add(1)
	}
	doc, _, err := b.nodes[int(b.turn.Add(1))%len(b.nodes)].JWKS()
	if err != nil {
		return nil, err
	}
	// The position is of another ledger than the one this guard follows.
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Curfew-Position": {strconv.FormatInt(1<<53-1, 10)}}, Body: io.NopCloser(bytes.NewReader(doc)), Request: r}, nil
}

// A guard, two nodes behind a balancer, and a whole rotation: no good token is
// ever refused. Months pass for the keys and none for the guard, so it has to look
// for the new key when it meets it.
func TestAGuardFollowsARotationWithoutRefusingOneGoodToken(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		all, clock := nodes(t, e, 2, store.Hooks{})
		a, b := all[0], all[1]
		srv := guardtest.New(t)
		g := srv.Guard(t, func(c *guard.Config) {
			c.HTTPClient = &http.Client{Transport: &balanced{RoundTripper: srv.Client().Transport, nodes: all}}
		})
		type token struct {
			text string
			ends time.Time // by the keys' clock
		}
		var out []token
		round := func() {
			t.Helper()
			now := clock.Now()
			for _, n := range all {
				n.fresh()
				out = append(out, token{n.issue(srv, ""), now.Add(time.Hour)})
			}
			for _, x := range out {
				if !now.Before(x.ends) {
					continue
				}
				if _, err := g.Check(x.text); err != nil {
					t.Fatalf("at %v a good token was refused: %v; keys %s", now, err, a.states())
				}
			}
		}
		round()
		step := func(d time.Duration) {
			t.Helper()
			clock.Add(d)
			a.tend()
			b.tend()
			round()
		}
		step(keys.Every - keys.Lead) // the next one is published
		for range 49 {
			step(30 * time.Minute)
		}
		a.want("ES256 retired, ES256 current")
		for range 6 {
			step(30 * time.Minute)
		}
		a.want("ES256 current")
		first := out[0].text
		if a.verifies(first) || b.verifies(first) {
			t.Error("the first key still verifies")
		}
	})
}

// The same in the guard's own time: what it reads every five minutes is all it
// needs, and it never has to look for a key it does not know. Then the resource
// asks for another algorithm, whose first key is made by that.
func TestAGuardHasEveryKeyBeforeItIsUsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(30 * 365 * 24 * time.Hour) // eras are counted from 2026
		db := storetest.Open(t, storetest.Engines()[0].New(t)(store.Config{}))
		k, err := keys.Open(t.Context(), db, bytesOf('a'), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		k.Every = keys.Lead + time.Hour
		n := node{k, t, db}
		srv := guardtest.NewPiped(t)
		var fetched atomic.Int64
		g := srv.Guard(t, func(c *guard.Config) {
			c.HTTPClient = &http.Client{Transport: &balanced{RoundTripper: srv.Client().Transport, nodes: []node{n}, fetched: &fetched}}
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { n.Run(ctx); close(ended) }()

		mail := &directory.Resource{ID: "api://mail", Created: time.Now()}
		good := func(want string) {
			t.Helper()
			alg, err := n.Use(t.Context(), mail.SigningAlg, mail.Created)
			if err != nil || alg != want {
				t.Fatalf("signs with %s (%v), not %s", alg, err, want)
			}
			before := fetched.Load()
			if _, err := g.Check(n.issue(srv, alg)); err != nil {
				t.Fatalf("a good token was refused: %v", err)
			}
			if fetched.Load() != before {
				t.Fatal("the guard had to look for the key")
			}
		}
		for n.states() == "ES256 current" {
			time.Sleep(time.Minute)
		}
		for range 5 * 60 { // over the change to the next one
			good("ES256")
			time.Sleep(5 * time.Minute)
		}
		for strings.Contains(n.states(), "retired") {
			time.Sleep(time.Minute)
		}
		mail.SigningAlg = directory.EdDSA
		n.update(func(tx *store.Tx) error { return tx.SaveResource(mail) })
		good("ES256")
		time.Sleep(keys.Soon - time.Minute)
		good("ES256")
		time.Sleep(2 * time.Minute)
		good("EdDSA")

		// A resource that was registered after the key has nobody who could lack it.
		if alg, err := n.Use(t.Context(), directory.RS256, time.Now().Add(time.Second)); err != nil || alg != directory.RS256 {
			t.Errorf("a new registration gets %s: %v", alg, err)
		}
		if s := n.states(); !strings.Contains(s, "RS256 next") {
			t.Errorf("keys: %s", s)
		}
		cancel()
		<-ended
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
}

// issue signs an access token for the guard.
func (n node) issue(srv *guardtest.Server, alg string) string {
	n.t.Helper()
	body, err := base64.RawURLEncoding.DecodeString(strings.Split(srv.Token(guardtest.Token{Life: 3 * time.Hour}), ".")[1])
	if err != nil {
		n.t.Fatal(err)
	}
	token, err := n.Sign(n.t.Context(), keys.AccessToken, alg, body)
	if err != nil {
		n.t.Fatal(err)
	}
	return token
}
