package guard_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/guard"
	"github.com/curfew-id/curfew/guard/guardtest"
)

// full is a token as the server mints it, with all the claims it knows.
func full(srv *guardtest.Server, i int) string {
	id := func(n int) string { return fmt.Sprintf("%08x-8b86-4d01-b42d-%012x", n, i) }
	return srv.Token(guardtest.Token{
		User: id(1), Client: id(2), Grant: id(3), Session: id(4), Device: id(5), CP1: true,
		Scopes: []string{"Mail.Read", "Mail.Send", "User.Read"}, Roles: []string{"Task.Run"},
		Claims: map[string]any{"wids": []string{id(6), id(7)}},
	})
}

func TestCheckOfAKnownTokenAllocatesNothing(t *testing.T) {
	srv := guardtest.New(t)
	g := srv.Guard(t)
	token := full(srv, 1)
	want(t, g, token, 0)
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := g.Check(token); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkCheckKnown: goal at most 300 ns and no allocation (DESIGN §10).
// Idle: the set has not changed since. Moving: it changes before every check,
// so every check looks its owner up among 100,000 cutoffs. Judged: as idle, after
// everybody's tokens came in doubt and were judged again.
func BenchmarkCheckKnown(b *testing.B) {
	for _, name := range []string{"idle", "moving", "judged"} {
		b.Run(name, func(b *testing.B) {
			srv := guardtest.New(b)
			cuts := make([]cutoff.Cutoff, 0, 100)
			for i := range 100_000 {
				cuts = append(cuts, cutoff.Cutoff{Scope: cutoff.User, ID: fmt.Sprintf("%08x-8b86-4d01-b42d-%012x", 9, i), Reach: cutoff.Everything})
				if len(cuts) == cap(cuts) {
					srv.Cut(cuts...)
					cuts = make([]cutoff.Cutoff, 0, 100)
				}
			}
			g := srv.Guard(b)
			tokens := make([]string, 1024)
			for i := range tokens {
				tokens[i] = full(srv, i)
				if _, err := g.Check(tokens[i]); err != nil {
					b.Fatal(err)
				}
			}
			if name == "judged" {
				pos := srv.JudgeAgain()
				for g.Status().Position < pos {
					time.Sleep(time.Millisecond)
				}
				for _, token := range tokens {
					if _, err := g.Check(token); err != nil {
						b.Fatal(err)
					}
				}
				if n := srv.Asked(); n != len(tokens) {
					b.Fatalf("asked %d times for %d tokens", n, len(tokens))
				}
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if name == "moving" {
					g.Touch()
				}
				if _, err := g.Check(tokens[i&1023]); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

// BenchmarkFirstSight: goal at most 1.15 × the bare signature check. The two
// take turns, so that a noisy machine disturbs both alike; x-bare is the ratio
// of their medians.
func BenchmarkFirstSight(b *testing.B) {
	for _, alg := range []string{"ES256", "RS256", "EdDSA"} {
		b.Run(alg, func(b *testing.B) {
			srv := guardtest.New(b)
			srv.RotateKey(alg)
			g := srv.Guard(b, func(c *guard.Config) { c.CacheSize = 16 })
			tokens := make([]string, 512) // far more than the cache keeps
			for i := range tokens {
				tokens[i] = full(srv, i)
			}
			_, pub := srv.Key()
			var alone, check []time.Duration
			i := 0
			for b.Loop() {
				start := time.Now()
				if !bare(pub, tokens[i&511]) {
					b.Fatal("bad signature")
				}
				mid := time.Now()
				if _, err := g.Check(tokens[i&511]); err != nil {
					b.Fatal(err)
				}
				alone, check = append(alone, mid.Sub(start)), append(check, time.Since(mid))
				i++
			}
			slices.Sort(alone)
			slices.Sort(check)
			x, y := float64(alone[len(alone)/2]), float64(check[len(check)/2])
			b.ReportMetric(x, "bare-ns")
			b.ReportMetric(y, "check-ns")
			b.ReportMetric(y/x, "x-bare")
		})
	}
}

// bare is what any verifier must do: find the signature, hash, verify.
func bare(pub crypto.PublicKey, token string) bool {
	dot := strings.LastIndexByte(token, '.')
	sig, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil {
		return false
	}
	signed := []byte(token[:dot])
	switch pub := pub.(type) {
	case *ecdsa.PublicKey:
		d := sha256.Sum256(signed)
		return ecdsa.Verify(pub, d[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
	case *rsa.PublicKey:
		d := sha256.Sum256(signed)
		return rsa.VerifyPKCS1v15(pub, crypto.SHA256, d[:], sig) == nil
	}
	return ed25519.Verify(pub.(ed25519.PublicKey), signed, sig)
}

// BenchmarkLineWithHeld: how long a line takes to go over 10,000 held requests.
func BenchmarkLineWithHeld(b *testing.B) {
	srv := guardtest.New(b)
	g := srv.Guard(b)
	token := full(srv, 1)
	h := g.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { guard.Hold(r.Context()) }))
	for range 10_000 {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	if n := g.Status().Held; n != 10_000 {
		b.Fatalf("%d held", n)
	}
	l := cutoff.Line{Pos: 1, Cuts: []cutoff.Cutoff{{Scope: cutoff.User, ID: grace, Reach: cutoff.Everything}}}
	for b.Loop() {
		g.CutHeld(&l)
	}
}
