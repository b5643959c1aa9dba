package issue_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

const (
	home = "192.0.2.17"
	cafe = "198.51.100.9"
)

// said collects what a world's token service logs.
type said struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(b)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

func (w *world) listen() *said {
	s := &said{}
	w.issue.Log = slog.New(slog.NewJSONHandler(s, nil))
	return s
}

// from refreshes from an address.
func (w *world) from(ctx context.Context, ip, token, scope string) (*issue.Tokens, error) {
	return w.issue.Refresh(ctx, w.client, issue.RefreshRequest{Token: token, Scope: scope, Issuer: grant.Tenant, Arrived: w.Clock.Now(), Meta: issue.Meta{IP: ip, Request: "req-1"}})
}

// must refreshes from an address and expects an outcome.
func (w *world) must(ip, token, scope string, want grant.Outcome) *issue.Tokens {
	w.t.Helper()
	tok, err := w.from(context.Background(), ip, token, scope)
	if err != nil || tok.Outcome != want {
		w.t.Fatalf("refresh from %s: %+v, %v", ip, tok, err)
	}
	return tok
}

// alarms lists the alarms on ada, as the audit tab of her page does.
func (w *world) alarms() (all []audit.Record) {
	w.t.Helper()
	w.Read(func(tx *store.Tx) error {
		records, err := tx.Audits(store.AuditQuery{Target: w.Ada.ID.String(), Limit: 100})
		for _, r := range records {
			if r.Action == "Suspicious refresh token retry" {
				all = append(all, r)
			}
		}
		return err
	})
	return all
}

func TestARetryFromAnotherNetworkIsAnsweredAndTold(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		log := w.listen()
		first := w.signIn()
		second := w.must(home, first.Refresh, "", grant.Rotated)
		for _, scope := range []string{"", "", "api://drive/Read"} { // the thief insists
			again := w.must(cafe, first.Refresh, scope, grant.Retried)
			if again.Refresh != second.Refresh || !w.alive(again.Access) {
				t.Fatal("the answer to a suspicious retry is another one")
			}
		}
		all := w.alarms()
		if len(all) != 1 {
			t.Fatalf("%d records: %+v", len(all), all)
		}
		r := all[0]
		want := []audit.Change{{Property: "Grant.Id", New: first.Grant.String()}, {Property: "Condition", New: "another network"}, {Property: "Network", Old: "192.0.2.0/24", New: "198.51.100.0/24"}}
		if r.Target.Name != w.Ada.Name || r.Actor.Kind != "system" || r.Client != "tripboard" || r.Request != "req-1" || r.IP != "" || !slices.Equal(r.Changes, want) {
			t.Errorf("record %+v", r)
		}
		if want := "A refresh token of Tripboard was used from 192.0.2.0/24 and, shortly after, from 198.51.100.0/24. Either answers were lost on the way, or somebody else holds the tokens too."; r.Elaborate != want {
			t.Errorf("it says %q", r.Elaborate)
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		lines := log.String()
		if strings.Count(lines, "\n") != 1 || !strings.Contains(lines, `"level":"WARN"`) || !strings.Contains(lines, first.Grant.String()) || !strings.Contains(lines, w.Ada.ID.String()) {
			t.Errorf("log: %s", lines)
		}
		for _, secret := range []string{home, cafe, grant.Prefix, "eyJ"} {
			if strings.Contains(lines, secret) || strings.Contains(string(text), secret) {
				t.Errorf("%q is in the log or the record: %s%s", secret, lines, text)
			}
		}
		w.Clock.Add(time.Hour)
		third := w.must(cafe, second.Refresh, "", grant.Rotated)
		w.must(home, second.Refresh, "", grant.Retried)
		if n := len(w.alarms()); n != 2 {
			t.Errorf("an hour later, the other way round: %d records", n)
		}
		w.must(home, third.Refresh, "", grant.Rotated)
	})
}

func TestRetriesInThreeGenerationsRunningAreTold(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		tok := w.signIn()
		for i, want := range []int{0, 0, 1} {
			w.Clock.Add(50 * time.Minute)
			next := w.must(home, tok.Refresh, "", grant.Rotated)
			w.must(home, tok.Refresh, "", grant.Retried)
			w.must(home, tok.Refresh, "", grant.Retried)
			if n := len(w.alarms()); n != want {
				t.Fatalf("generation %d: %d records", i+1, n)
			}
			tok = next
		}
		r := w.alarms()[0]
		if want := "The last 3 refresh tokens of Tripboard were each used twice. Either answers were lost on the way, or somebody else holds the tokens too."; r.Elaborate != want {
			t.Errorf("it says %q", r.Elaborate)
		}
		if want := (audit.Change{Property: "Condition", New: "generations in a row"}); !slices.Contains(r.Changes, want) {
			t.Errorf("changes %+v", r.Changes)
		}
	})
}

// One row is written by a refresh, and nothing is told, of a client that moves
// between networks, loses an answer now and then, or redeems one token for each
// of its resources.
func TestOrdinaryRefreshesRaiseNoAlarmAndWriteOneRow(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		var mu sync.Mutex
		var wrote []string
		w := newWorld(t, e, store.Hooks{Exec: func(q string) error {
			mu.Lock()
			defer mu.Unlock()
			if !strings.HasPrefix(q, "INSERT INTO nodes") { // heartbeats
				wrote = append(wrote, q)
			}
			return nil
		}})
		log := w.listen()
		tok := w.signIn()
		mu.Lock()
		wrote = nil
		mu.Unlock()
		refreshes := 0
		for i := range 8 {
			w.Clock.Add(55 * time.Minute)
			ip := []string{home, cafe, "2001:db8::1"}[i%3]
			next := w.must(ip, tok.Refresh, "", grant.Rotated)
			w.must(ip, tok.Refresh, "api://drive/Read", grant.Retried)
			if i%3 == 0 {
				w.must(ip, tok.Refresh, "", grant.Retried)
				refreshes++
			}
			tok, refreshes = next, refreshes+2
		}
		if all := w.alarms(); len(all) != 0 || log.String() != "" {
			t.Errorf("told: %+v\n%s", all, log)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, q := range wrote {
			if !strings.HasPrefix(q, "UPDATE grants") {
				t.Errorf("a refresh wrote: %s", q)
			}
		}
		if len(wrote) != refreshes {
			t.Errorf("%d refreshes wrote %d times", refreshes, len(wrote))
		}
	})
}

func TestAnAlarmThatCannotBeWrittenFailsNoRefresh(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		var full atomic.Bool
		w := newWorld(t, e, store.Hooks{Exec: func(q string) error {
			if full.Load() && strings.HasPrefix(q, "INSERT INTO audits") {
				return errors.New("disk full")
			}
			return nil
		}})
		log := w.listen()
		first := w.signIn()
		full.Store(true)
		second := w.must(home, first.Refresh, "", grant.Rotated)
		if again := w.must(cafe, first.Refresh, "", grant.Retried); again.Refresh != second.Refresh {
			t.Error("another successor")
		}
		w.must(home, second.Refresh, "", grant.Rotated)
		if lines := log.String(); !strings.Contains(lines, `"level":"ERROR"`) || !strings.Contains(lines, "disk full") || !strings.Contains(lines, first.Grant.String()) {
			t.Errorf("the lost record is not on the log: %s", lines)
		}
		if n := len(w.alarms()); n != 0 {
			t.Errorf("%d records", n)
		}
	})
}

func TestNeitherHangingUpNorARevokeInBetweenHidesAnAlarm(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		var between func()
		w := newWorld(t, e, store.Hooks{AfterRotate: func() {
			if f := between; f != nil {
				between = nil
				f()
			}
		}})
		first := w.signIn()
		w.must(home, first.Refresh, "", grant.Rotated)
		ctx, hangUp := context.WithCancel(t.Context())
		between = hangUp
		if _, err := w.from(ctx, cafe, first.Refresh, ""); err != nil {
			t.Fatal(err)
		}
		if ctx.Err() == nil || len(w.alarms()) != 1 {
			t.Errorf("the thief hung up, and %d records are left", len(w.alarms()))
		}
		other := w.signIn()
		w.must(home, other.Refresh, "", grant.Rotated)
		between = func() { w.Revoke(w.Ada) }
		if _, err := w.from(t.Context(), cafe, other.Refresh, ""); sub(err) != "invalid_grant/bad_token" {
			t.Fatalf("the retry outlived the revoke: %v", err)
		}
		if n := len(w.alarms()); n != 2 {
			t.Errorf("the revoke hid the alarm: %d records", n)
		}
	})
}

func TestRetriesAtOnceRaiseOneAlarm(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		first := w.signIn()
		w.must(home, first.Refresh, "", grant.Rotated)
		var wg sync.WaitGroup
		for i := range 6 { // three for each resource
			wg.Go(func() {
				if _, err := w.from(context.Background(), cafe, first.Refresh, []string{"", "api://drive/Read"}[i%2]); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := len(w.alarms()); n != 1 {
			t.Fatalf("%d records", n)
		}
	})
}
