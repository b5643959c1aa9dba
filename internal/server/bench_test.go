package server_test

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// hammer runs b.N requests from 16 callers and reports CPU of this process (server
// and callers together), p99 and rate.
func hammer(b *testing.B, one func(caller int)) {
	const callers = 16
	took := make([]time.Duration, 0, b.N)
	var mu sync.Mutex
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ResetTimer()
	cpu := cpuTime()
	for i := range callers {
		wg.Go(func() {
			var mine []time.Duration
			for left.Add(-1) >= 0 && !b.Failed() {
				start := time.Now()
				one(i)
				mine = append(mine, time.Since(start))
			}
			mu.Lock()
			took = append(took, mine...)
			mu.Unlock()
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N)/1000, "cpu-µs/op")
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}

// BenchmarkHTTPRefresh is the whole refresh grant over TLS on loopback, callers
// and server in one process: access and ID token, durable.
func BenchmarkHTTPRefresh(b *testing.B) {
	for name, db := range databases {
		b.Run(name, func(b *testing.B) {
			n := start(b, db(b))
			current := make([]string, 16)
			for i := range current {
				current[i] = n.signIn(b, mailScope, "ada@contoso.example").Refresh
			}
			hammer(b, func(i int) {
				status, t := n.token(b, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {current[i]}})
				if status != http.StatusOK || t.ID == "" {
					b.Errorf("%d %+v", status, t)
				}
				current[i] = t.Refresh
			})
		})
	}
}

// BenchmarkHTTPIntrospect is introspection by a guard's client, over TLS.
func BenchmarkHTTPIntrospect(b *testing.B) {
	n := start(b, "")
	token := n.signIn(b, mailScope, "ada@contoso.example").Access
	form := url.Values{"token": {token}}.Encode()
	hammer(b, func(int) {
		req, err := http.NewRequest(http.MethodPost, n.base+"/oauth2/introspect", strings.NewReader(form))
		if err != nil {
			b.Error(err)
			return
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth("mail-api", "a-long-secret-for-the-mail-api")
		res, err := n.http.Do(req)
		if err != nil {
			b.Error(err)
			return
		}
		text, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if !strings.Contains(string(text), `"active":true`) {
			b.Errorf("%s", text)
		}
	})
}

// BenchmarkHTTPNothing is the cost of the same round trip without any work, to
// subtract: TLS, HTTP and the caller.
func BenchmarkHTTPNothing(b *testing.B) {
	n := start(b, "")
	hammer(b, func(int) {
		if res, _ := n.get(b, "/healthz"); res.StatusCode != http.StatusOK {
			b.Error(res.Status)
		}
	})
}

// BenchmarkHTTPKeys is the JWKS document.
func BenchmarkHTTPKeys(b *testing.B) {
	n := start(b, "")
	hammer(b, func(int) {
		if res, _ := n.get(b, "/oauth2/keys"); res.StatusCode != http.StatusOK {
			b.Error(res.Status)
		}
	})
}
