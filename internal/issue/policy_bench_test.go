package issue_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// many are n policies that all apply and let through who has given two factors: the
// case that costs most.
func many(n int, group string) (all []*store.Document) {
	for i := range n {
		all = append(all, storetest.Policy(i+1, `"users":{"includeUsers":["All"],"excludeGroups":["`+group+`"]},"platforms":{"includePlatforms":["all"],"excludePlatforms":["iOS"]},
			"locations":{"includeLocations":["All"],"excludeLocations":["`+storetest.PolicyID(0x900)+`"]}`, storetest.AsksMFA+`,"sessionControls":{"signInFrequency":{"isEnabled":true,"type":"days","value":30,"frequencyInterval":"timeBased","authenticationType":"primaryAndSecondaryAuthentication"}}`))
	}
	if n > 0 {
		all = append(all, storetest.Location(0x900, "198.51.100.0/24", false))
	}
	return all
}

// BenchmarkRefreshUnderPolicies is BenchmarkRefresh with policies, in one run.
func BenchmarkRefreshUnderPolicies(b *testing.B) {
	for _, e := range storetest.Engines() {
		for _, n := range []int{0, 20, 200} {
			b.Run(fmt.Sprintf("%s/%d", e.Name, n), func(b *testing.B) {
				w := newPolicyWorld(b, e, store.Hooks{})
				w.issue.Access.Risk = nil
				w.facts.amr = "pwd otp"
				w.Update(func(tx *store.Tx) error { return tx.AddMember(group(b, tx, "others"), w.Ada.ID) })
				w.Rule(many(n, w.staff.String())...)
				const callers = 16
				tokens := make([]string, callers)
				for i := range tokens {
					c, err := w.begin(w.session(), allScopes)
					if err != nil {
						b.Fatal(err)
					}
					t, err := w.take(c)
					if err != nil {
						b.Fatal(err)
					}
					tokens[i] = t.Refresh
				}
				var left atomic.Int64
				left.Store(int64(b.N))
				var wg sync.WaitGroup
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				b.ResetTimer()
				cpu := cpuTime()
				for i := range callers {
					wg.Go(func() {
						for left.Add(-1) >= 0 {
							t, err := w.renew(tokens[i], "")
							if err != nil {
								b.Error(err)
								return
							}
							tokens[i] = t.Refresh
						}
					})
				}
				wg.Wait()
				b.StopTimer()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N)/1000, "cpu-µs/op")
				b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(b.N), "allocs/refresh")
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "refreshes/s")
			})
		}
	}
}

func group(b *testing.B, tx *store.Tx, name string) directory.GroupID {
	id := directory.NewID[directory.Group](tx.Now)
	if err := tx.CreateGroup(directory.Group{ID: id, Name: name, Created: tx.Now}); err != nil {
		b.Fatal(err)
	}
	return id
}

// BenchmarkJudge is what the policies cost of a refresh, alone: no rows are read but
// those that a refresh has read anyway.
func BenchmarkJudge(b *testing.B) {
	for _, n := range []int{0, 20, 200} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newPolicyWorld(b, storetest.Engines()[0], store.Hooks{})
			w.Rule(many(n, w.staff.String())...)
			s := &access.Service{DB: w.DB}
			w.Read(func(tx *store.Tx) error {
				u := &access.Use{User: w.Ada.ID, Grouped: true, Client: "tripboard", Resource: "api://mail", Program: policy.Native, Platform: policy.Linux, IP: office,
					Flow: policy.NoFlow, AMR: []string{"pwd", "otp"}, AuthTime: tx.Now, SecondTime: tx.Now}
				b.ReportAllocs()
				for b.Loop() {
					if _, err := s.Judge(tx, u); err != nil {
						b.Fatal(err)
					}
				}
				return nil
			})
		})
	}
}
