package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/curfew-id/curfew/guard"
)

// BenchmarkEnforced is how long after the answer to an administrator, and after the
// request was sent, the last of ten guards refuses a token that is out: a policy that
// is switched on, for which each guard asks the server about the token first, beside a
// revocation, in turns. Everything over TLS, with server, guards and administrator in
// this process.
func BenchmarkEnforced(b *testing.B) {
	for name, db := range databases {
		b.Run(name, func(b *testing.B) {
			n := start(b, db(b))
			var guards []*guard.Guard
			for i := range 10 {
				guards = append(guards, n.mailService(b, func(c *guard.Config) { c.Name = fmt.Sprint("mail-", i) }).guard)
			}
			admin := n.anew(b).signIn(b, graphScope, "grace@contoso.example").Access
			const off, on = `{"state":"disabled"}`, `{"state":"enabled"}`
			id := n.policy(b, admin, "", blocks)
			set := func(state string) {
				n.graph(b, admin, http.MethodPatch, "/identity/conditionalAccess/policies/"+id, state, http.StatusNoContent)
			}
			set(off)
			// Each guard on its own: while one asks, the others are not kept waiting.
			wait := func(token string, good bool) {
				var all sync.WaitGroup
				for _, g := range guards {
					all.Go(func() {
						for end := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Microsecond) {
							if _, err := g.Check(token); (err == nil) == good {
								return
							} else if time.Now().After(end) {
								b.Errorf("not yet %v: %v", good, err)
								return
							}
						}
					})
				}
				all.Wait()
			}
			took := map[string][]time.Duration{}
			round := func(what, token string, act func()) {
				wait(token, true)
				sent := time.Now()
				act()
				answered := time.Now()
				wait(token, false)
				took[what+"-sent"] = append(took[what+"-sent"], time.Since(sent))
				took[what] = append(took[what], time.Since(answered))
			}
			for b.Loop() {
				token := n.anew(b).signIn(b, mailScope, "ada@contoso.example").Access
				round("policy", token, func() { set(on) })
				set(off)
				round("revoke", token, func() { n.revoke(b, admin, "ada@contoso.example") })
			}
			for what, all := range took {
				slices.Sort(all)
				for _, p := range []int{50, 99} {
					b.ReportMetric(float64(all[len(all)*p/100].Microseconds())/1000, fmt.Sprintf("%s-p%d-ms", what, p))
				}
			}
		})
	}
}
