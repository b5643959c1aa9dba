package issue_test

import (
	"context"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// guardedMail makes tokens for the mail live up to 28 hours, while the guard that it
// returns the heartbeat of goes on.
func (w *world) guardedMail() (beat func(), resource func(guarded bool), gone func()) {
	w.t.Helper()
	resource = func(guarded bool) {
		w.Update(func(tx *store.Tx) error {
			r, err := tx.Resource("api://mail")
			if err != nil {
				return err
			}
			r.TokenLife, r.Guarded = 28*time.Hour, guarded
			return tx.SaveResource(r)
		})
	}
	resource(true)
	g := &store.Guard{ID: directory.NewID[store.Guard](w.Clock.Now()), Name: "mail-1", App: "mail-api", Resource: "api://mail", MaxStaleness: 10 * time.Second}
	w.Update(func(tx *store.Tx) error { g.Registered = tx.Now; return tx.CreateGuard(g) })
	save := func(change func(*store.Tx)) {
		w.Update(func(tx *store.Tx) error { change(tx); return tx.SaveGuard(g) })
		w.Clock.Add(2 * time.Second) // what is known of guards is that old at most
	}
	return func() { save(func(tx *store.Tx) { g.Answered, g.Acked = tx.Now, tx.Head }) }, resource, func() { save(func(tx *store.Tx) { g.Gone = tx.Now }) }
}

// long is a life of 28 hours, spread.
const long = 28 * time.Hour

func isLife(got, want time.Duration) bool {
	return got == want || want == long && got > 20*time.Hour-time.Second && got <= 28*time.Hour
}

// TestALongLifeNeedsALiveGuardAtEachIssue: what was proven when the resource was
// called guarded is asked again whenever a token is made.
func TestALongLifeNeedsALiveGuardAtEachIssue(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		ask, resource, gone := w.guardedMail()
		tokens := w.signIn()
		renewAs := func(what string, cp1 bool, want time.Duration) {
			t.Helper()
			var err error
			tokens, err = w.issue.Refresh(context.Background(), w.client, issue.RefreshRequest{Token: tokens.Refresh, Issuer: grant.Tenant, Meta: issue.Meta{CP1: cp1}})
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if !isLife(tokens.ExpiresIn, want) {
				t.Errorf("%s: %v, want %v", what, tokens.ExpiresIn, want)
			}
		}
		renew := func(what string, want time.Duration) { t.Helper(); renewAs(what, true, want) }
		renew("a guard that acknowledged nothing", time.Hour)
		ask()
		renew("a live guard", long)
		renewAs("a client that would not understand a challenge", false, time.Hour)
		w.Clock.Add(10*time.Second + store.GuardLag)
		renew("a silent guard", time.Hour)
		ask()
		renew("it is back", long)
		resource(false)
		renew("guarded no longer", time.Hour)
		resource(true)
		renew("guarded again", long)
		gone()
		renew("it said goodbye", time.Hour)
	})
}

// Written before it is handed out: no token lives longer than its row says, though
// each try, of the same token too, throws the dice again.
func TestALongLifeIsSpreadAndTheRowKnowsTheLongest(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		ask, _, _ := w.guardedMail()
		ask()
		code, err := w.code(w.Session(w.Ada), allScopes)
		if err != nil {
			t.Fatal(err)
		}
		tokens, err := w.issue.Code(context.Background(), w.client, issue.CodeRequest{Code: code, RedirectURI: "https://tripboard.example/cb", Verifier: verifier, Issuer: grant.Tenant, Meta: issue.Meta{CP1: true}})
		if err != nil {
			t.Fatal(err)
		}
		shortest, longest, latest := long, time.Duration(0), int64(0)
		look := func(x *issue.Tokens) {
			t.Helper()
			a := claims(t, x.Access)
			latest = max(latest, a.Expires)
			shortest, longest = min(shortest, x.ExpiresIn), max(longest, x.ExpiresIn)
			if !isLife(x.ExpiresIn, long) || a.Expires != w.Clock.Now().Add(x.ExpiresIn).Unix() {
				t.Fatalf("a life of %v that ends at %d", x.ExpiresIn, a.Expires)
			}
			w.Read(func(tx *store.Tx) error {
				g, err := tx.Grant(x.Grant)
				if err != nil {
					return err
				}
				if got := g.State.Tokens[0].Expires; got != latest {
					t.Errorf("the row says that all is over at %d, the last token ends at %d", got, latest)
				}
				return nil
			})
		}
		look(tokens)
		for range 20 {
			ask()
			r := issue.RefreshRequest{Token: tokens.Refresh, Issuer: grant.Tenant, Meta: issue.Meta{CP1: true}}
			first, err := w.issue.Refresh(context.Background(), w.client, r)
			if err != nil {
				t.Fatal(err)
			}
			look(first)
			retried, err := w.issue.Refresh(context.Background(), w.client, r)
			if err != nil || retried.Outcome != grant.Retried || retried.Refresh != first.Refresh {
				t.Fatalf("%v %v", retried, err)
			}
			look(retried)
			tokens = retried
		}
		if longest-shortest < 2*time.Hour {
			t.Errorf("41 tokens live between %v and %v", shortest, longest)
		}
	})
}

// What policies say of a long life: the proof of the person ends it, and without
// continuous evaluation, or where the resource sees another address, there is none.
func TestPoliciesShortenALongLife(t *testing.T) {
	t.Parallel()
	const office = `"locations":{"includeLocations":["All"],"excludeLocations":["00000000-0000-4000-8000-000000000009"]}`
	every := func(n, unit string) string {
		return `"sessionControls":{"signInFrequency":{"value":` + n + `,"type":"` + unit + `","authenticationType":"primaryAndSecondaryAuthentication","frequencyInterval":"timeBased","isEnabled":true}}`
	}
	const off, strict = `"sessionControls":{"continuousAccessEvaluation":{"mode":"disabled"}}`, `"sessionControls":{"continuousAccessEvaluation":{"mode":"strictLocation"}}`
	const ip = "192.0.2.7"
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		ask, _, _ := w.guardedMail()
		w.Rule(storetest.Location(9, "192.0.2.0/24", false))
		began := w.Clock.Now()
		tokens := w.signIn()
		for _, c := range []struct {
			name      string
			elsewhere bool
			rules     []*store.Document
			ends      time.Duration // after the person was proven; 0: as life
			life      time.Duration
			from      string
		}{
			{"nothing", false, nil, 0, long, ""},
			{"proof every eight hours", false, []*store.Document{storetest.Policy(1, "", every("8", "hours"))}, 8 * time.Hour, 0, ""},
			{"proof every two days", false, []*store.Document{storetest.Policy(1, "", every("2", "days"))}, 0, long, ""},
			{"a place", false, []*store.Document{storetest.Policy(1, office, storetest.Blocks)}, 0, long, ip},
			{"a place, and the resource sees another", true, []*store.Document{storetest.Policy(1, office, storetest.Blocks)}, 0, time.Hour, ""},
			{"a place, strictly, and the resource sees another", true, []*store.Document{storetest.Policy(1, office, storetest.Blocks), storetest.Policy(2, "", strict)}, 0, long, ip},
			{"a place, and no continuous evaluation", false, []*store.Document{storetest.Policy(1, office, storetest.Blocks), storetest.Policy(2, "", off)}, 0, time.Hour, ""},
		} {
			w.Rule(storetest.Policy(1, "", every("90", "days")), storetest.Policy(2, "", every("90", "days")))
			w.Rule(c.rules...)
			ask()
			var err error
			tokens, err = w.issue.Refresh(context.Background(), w.client, issue.RefreshRequest{Token: tokens.Refresh, Issuer: grant.Tenant, Meta: issue.Meta{CP1: true, IP: ip, Elsewhere: c.elsewhere}})
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			a := claims(t, tokens.Access)
			if c.ends != 0 {
				if a.Expires != began.Add(c.ends).Unix() {
					t.Errorf("%s: it ends at %d, the proof at %d", c.name, a.Expires, began.Add(c.ends).Unix())
				}
			} else if !isLife(tokens.ExpiresIn, c.life) {
				t.Errorf("%s: %v, want %v", c.name, tokens.ExpiresIn, c.life)
			}
			if a.From != c.from {
				t.Errorf("%s: good from %q, want %q", c.name, a.From, c.from)
			}
		}
	})
}

// TestADisabledScopeIsAskedForNoMore: by name it is refused, and .default leaves it out.
func TestADisabledScopeIsAskedForNoMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.Engines()[0], store.Hooks{})
	w.Update(func(tx *store.Tx) error {
		r, err := tx.Resource("api://mail")
		if err != nil {
			return err
		}
		r.Scopes[1].Disabled = true // Write
		return tx.SaveResource(r)
	})
	if _, err := w.issue.Plan(context.Background(), w.client.App, "api://mail/Write", nil); err == nil {
		t.Error("a disabled scope was planned")
	}
	p, err := w.issue.Plan(context.Background(), w.client.App, "api://mail/.default", nil)
	if err != nil || len(p.Scopes) != 1 || p.Scopes[0] != "Read" {
		t.Errorf("%+v %v", p, err)
	}
}
