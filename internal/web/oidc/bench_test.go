package oidc_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// quiet takes an answer and keeps nothing.
type quiet struct {
	h      http.Header
	status int
}

func (q *quiet) Header() http.Header         { return q.h }
func (q *quiet) Write(b []byte) (int, error) { return len(b), nil }
func (q *quiet) WriteHeader(s int)           { q.status = s }

func benchmark(b *testing.B, w *world, method, path, body string, header ...string) {
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(method, base+path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		q := &quiet{h: http.Header{}, status: 200}
		w.handler.ServeHTTP(q, r)
		if q.status != 200 {
			b.Fatal(q.status)
		}
	}
}

func BenchmarkDiscovery(b *testing.B) {
	benchmark(b, newWorld(b), "GET", "/common/v2.0/.well-known/openid-configuration", "")
}

func BenchmarkJWKS(b *testing.B) { benchmark(b, newWorld(b), "GET", "/oauth2/keys", "") }

func BenchmarkIntrospection(b *testing.B) {
	w := newWorld(b)
	access := text(b, w.tokens(allScopes), "access_token")
	benchmark(b, w, "POST", "/oauth2/introspect", url.Values{"token": {access}}.Encode(), mailroom...)
}

// BenchmarkIntrospectionInDoubt is the same for a token that was born before the last
// change of a policy, and has not been renewed.
func BenchmarkIntrospectionInDoubt(b *testing.B) {
	w := newWorld(b)
	access := text(b, w.tokens(allScopes), "access_token")
	w.Rule(storetest.Policy(1, "", `"sessionControls":{"signInFrequency":{"value":9,"type":"days","authenticationType":"primaryAndSecondaryAuthentication","frequencyInterval":"timeBased","isEnabled":true}}`))
	benchmark(b, w, "POST", "/oauth2/introspect", url.Values{"token": {access}}.Encode(), mailroom...)
}

// BenchmarkRefresh is the whole refresh grant over the handler: access and ID
// token, durable, 16 callers, each with a grant of its own.
func BenchmarkRefresh(b *testing.B) {
	w := newWorld(b)
	const callers = 16
	tokens := make([]string, callers)
	for i := range tokens {
		tokens[i] = text(b, w.post("/common/oauth2/v2.0/token", codeForm(w.code(allScopes, grant.Tenant))), "refresh_token")
	}
	var next atomic.Int64
	b.SetParallelism(callers / 2)
	b.ReportAllocs()
	b.ResetTimer()
	start := time.Now()
	b.RunParallel(func(p *testing.PB) {
		mine := int(next.Add(1)-1) % callers
		token := tokens[mine]
		for p.Next() {
			rec := w.post("/common/oauth2/v2.0/token", refreshForm(token))
			if rec.Code != http.StatusOK {
				b.Errorf("%d %s", rec.Code, rec.Body)
				return
			}
			_, rest, _ := strings.Cut(rec.Body.String(), `"refresh_token":"`)
			token, _, _ = strings.Cut(rest, `"`)
		}
	})
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "refreshes/s")
}
