package recheck_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/keys"
	"github.com/curfew-id/curfew/internal/recheck"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// live gives ada n grants, and returns an access token of some of them, all over the
// table.
func (h *house) live(b *testing.B, n, some int) (tokens []string) {
	b.Helper()
	now, s := h.Clock.Now(), h.Session(h.Ada)
	alg, err := h.issue.Keys.Use(b.Context(), "", now)
	if err != nil {
		b.Fatal(err)
	}
	every, born := n/some, h.head()
	for done := 0; done < n; done += 5000 {
		h.Update(func(tx *store.Tx) error {
			for i := done; i < min(n, done+5000); i++ {
				g := &grant.Grant{ID: directory.NewID[directory.Grant](now), User: h.Ada.ID, App: h.App.ID, Session: s.ID, Offline: true, Created: now, LastUsed: now, AuthTime: now, AMR: []string{"pwd"},
					Scopes: []directory.Permission{{Resource: "api://mail", Scopes: []string{"Read"}}},
					State:  grant.State{Generation: 3, Rotated: []int64{now.UnixMicro()}, Tokens: []grant.Token{{Resource: "api://mail", Expires: now.Unix() + 3600, Issued: now.Unix()}}}}
				if err := tx.CreateGrant(g); err != nil {
					return err
				}
				if i%every != 0 || len(tokens) == some {
					continue
				}
				doc, err := json.Marshal(&issue.Access{Issuer: h.issue.Issuer(grant.Tenant), Subject: h.Ada.ID.String(), OID: h.Ada.ID.String(), Audience: "api://mail", ClientID: string(h.App.ID), TID: h.issue.Tenant,
					Scp: "Read", IssuedAt: now.Unix(), NotBefor: now.Unix(), Expires: now.Unix() + 3600, AuthTime: now.Unix(), Born: born, GID: g.ID.String(), JTI: fmt.Sprint(i)})
				if err != nil {
					return err
				}
				t, err := h.issue.Keys.Sign(context.Background(), keys.AccessToken, alg, doc)
				if err != nil {
					return err
				}
				tokens = append(tokens, t)
			}
			return nil
		})
	}
	return tokens
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkMillion is a change of policies while there are a thousand and a million
// live grants (SQLite), and then what judging one token again costs the server when it
// is next shown. Tokens are shown in random order: whoever is asked about was not
// asked about before. Nothing happens in between: a guard asks when a token is used,
// and 32 at once (TestManyTokensWaitForTheirTurn).
func BenchmarkMillion(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		if testing.Short() {
			n = min(n, 20_000)
		}
		h := newHouse(b, storetest.Engines()[0])
		tokens := h.live(b, n, min(n, 2000))
		change := func(hours int) {
			h.Rule(storetest.Policy(1, "", fmt.Sprintf(`"sessionControls":{"signInFrequency":{"value":%d,"type":"hours","authenticationType":"primaryAndSecondaryAuthentication","frequencyInterval":"timeBased","isEnabled":true}}`, 2+hours%20)))
		}
		b.Run(fmt.Sprintf("grants=%d/change", n), func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				change(len(took))
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
		b.Run(fmt.Sprintf("grants=%d/judge", n), func(b *testing.B) {
			b.ReportAllocs()
			order, i, cpu := rand.Perm(len(tokens)), 0, cpuTime()
			for b.Loop() {
				if i%len(order) == 0 {
					b.StopTimer()
					change(i)
					b.StartTimer()
				}
				a, err := h.recheck.Judge(context.Background(), h.guard, recheck.Question{Token: tokens[order[i%len(order)]], Pos: 1, Address: inside})
				if err != nil || !a.Active {
					b.Fatal(a, err)
				}
				i++
			}
			b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N)/1000, "cpu-µs/op")
		})
	}
}
