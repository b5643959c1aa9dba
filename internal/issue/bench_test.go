package issue_test

import (
	"crypto/sha256"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

func sum(s string) []byte { h := sha256.Sum256([]byte(s)); return h[:] }

// BenchmarkRefresh is the refresh grant below HTTP: access and ID token,
// durable, 16 callers each with a grant of its own. CPU is this process's;
// PostgreSQL's own comes on top and is measured by make bench.
func BenchmarkRefresh(b *testing.B) {
	for _, e := range storetest.Engines() {
		b.Run(e.Name, func(b *testing.B) {
			w := newWorld(b, e, store.Hooks{})
			const callers = 16
			tokens := make([]string, callers)
			for i := range tokens {
				tokens[i] = w.signIn().Refresh
			}
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
					for left.Add(-1) >= 0 {
						start := time.Now()
						t, err := w.refresh(tokens[i], "")
						if err != nil {
							b.Error(err)
							return
						}
						tokens[i] = t.Refresh
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
			if len(took) > 0 {
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "refreshes/s")
			runtime.KeepAlive(w)
		})
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
