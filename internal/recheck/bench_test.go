package recheck_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/curfew-id/curfew/internal/recheck"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// BenchmarkJudge is what the server pays for one token after a change of policies,
// apart from the request itself: without policies, and with 200 that all apply.
func BenchmarkJudge(b *testing.B) {
	for _, n := range []int{0, 200} {
		b.Run(fmt.Sprint(n, " policies"), func(b *testing.B) {
			h := newHouse(b, storetest.Engines()[0])
			for i := range n {
				h.Rule(storetest.Policy(i+1, "", `"sessionControls":{"signInFrequency":{"value":9,"type":"days","authenticationType":"primaryAndSecondaryAuthentication","frequencyInterval":"timeBased","isEnabled":true}}`))
			}
			var tokens []string
			for range 256 {
				tokens = append(tokens, h.token())
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				a, err := h.recheck.Judge(context.Background(), h.guard, recheck.Question{Token: tokens[i&255], Pos: 1, Address: inside})
				if err != nil || !a.Active {
					b.Fatal(a, err)
				}
				i++
			}
		})
	}
}
