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
	"github.com/curfew-id/curfew/internal/store/journal"
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

// BenchmarkRefreshLogged is what the sign-in log costs a refresh that 20 policies
// judge, all of it: the entry, and its way to the disk. Rounds with it and without it take turns, because
// this kind of machine is not the same from one second to the next.
func BenchmarkRefreshLogged(b *testing.B) {
	for _, e := range storetest.Engines() {
		b.Run(e.Name, func(b *testing.B) {
			url := ""
			open := e.New
			e.New = func(tb testing.TB) func(store.Config) store.Config {
				complete := open(tb)
				return func(c store.Config) store.Config { c = complete(c); url = c.URL; return c }
			}
			w := newWorld(b, e, store.Hooks{})
			j, err := journal.Open(b.Context(), journal.Config{URL: journal.Beside(url)})
			if err != nil {
				b.Fatal(err)
			}
			defer j.Close()
			var docs []*store.Document
			for i := range 20 { // that all apply
				docs = append(docs, storetest.Policy(i+1, "", `"sessionControls":{"signInFrequency":{"isEnabled":true,"type":"days","value":30,"frequencyInterval":"timeBased"}}`))
			}
			w.Rule(docs...)
			const callers, round = 16, 500
			tokens := make([]string, callers)
			for i := range tokens {
				tokens[i] = w.signIn().Refresh
			}
			var spent [2]time.Duration
			n := 0
			for b.Loop() {
				logged := n % 2
				n++
				w.issue.Journal = nil
				if logged == 1 {
					w.issue.Journal = j
				}
				var left atomic.Int64
				left.Store(round)
				var wg sync.WaitGroup
				cpu := cpuTime()
				for i := range callers {
					wg.Go(func() {
						for left.Add(-1) >= 0 {
							t, err := w.refresh(tokens[i], "")
							if err != nil {
								b.Error(err)
								return
							}
							tokens[i] = t.Refresh
						}
					})
				}
				wg.Wait()
				if logged == 1 {
					if err := j.Flush(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
				spent[logged] += cpuTime() - cpu
			}
			per := func(i int) float64 { return float64(spent[i]) / float64(round*((n+1-i)/2)) / 1000 }
			b.ReportMetric(per(0), "cpu-µs/without")
			b.ReportMetric(per(1), "cpu-µs/with")
			b.ReportMetric(100*(per(1)/per(0)-1), "%")
			if j.Lost() > 0 {
				b.Errorf("%d lost", j.Lost())
			}
		})
	}
}
