package journal_test

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/journal"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// BenchmarkAdd is all that an entry costs, from the verdict to the disk: CPU of
// this process for each, with 20 policies that apply and 16 people.
func BenchmarkAdd(b *testing.B) {
	for _, e := range storetest.Engines() {
		b.Run(e.Name, func(b *testing.B) {
			cfg := e.New(b)(store.Config{})
			storetest.Open(b, cfg)
			j, err := journal.Open(b.Context(), journal.Config{URL: journal.Beside(cfg.URL), Room: 1 << 20})
			if err != nil {
				b.Fatal(err)
			}
			defer j.Close()
			var all []policy.Policy
			for i := range 20 {
				all = append(all, on(fmt.Sprintf("policy-%02d", i), fmt.Sprintf("Second factor for the mail %d", i)))
			}
			s := set(b, all...)
			f := facts("mail")
			f.Methods |= policy.SoftwareOTP.Set()
			v := s.Decide(f)
			people := make([]journal.Entry, 16)
			now := time.Now()
			for i := range people {
				people[i] = *whole(now)
				people[i].User, people[i].Grant = directory.NewID[directory.User](now), directory.NewID[directory.Grant](now)
			}
			cpu := cpuTime()
			for i := 0; b.Loop(); i++ {
				e := people[i%16]
				e.At, e.Error, e.Reason = time.Time{}, 0, ""
				e.Applied = j.Judged(s, f, &v)
				j.Add(&e)
				if i%4000 == 3999 { // as fast as it is written
					if err := j.Flush(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			}
			if err := j.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N)/1000, "cpu-µs/op")
			if j.Lost() > 0 {
				b.Errorf("%d lost", j.Lost())
			}
			runtime.KeepAlive(people)
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
