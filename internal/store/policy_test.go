package store_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

var block = storetest.Policy(1, "", storetest.Blocks)

// verdict is what the policies say in tx of somebody who comes from 192.0.2.10.
func verdict(t *testing.T, tx *store.Tx, who directory.UserID) policy.Decision {
	t.Helper()
	set, err := tx.Policies()
	if err != nil {
		t.Fatal(err)
	}
	v := set.Decide(&policy.Facts{Now: tx.Now, User: who, Client: "tripboard", Resource: "api://mail", AuthTime: tx.Now})
	return v.Decision
}

func decided(t *testing.T, w *storetest.World) (d policy.Decision) {
	t.Helper()
	w.Read(func(tx *store.Tx) error { d = verdict(t, tx, w.Ada.ID); return nil })
	return d
}

func TestPoliciesAreAsCurrentAsTheHead(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		want := func(when string, d policy.Decision) {
			t.Helper()
			for range 2 { // read, and kept
				if got := decided(t, w); got != d {
					t.Fatalf("%s: %s, want %s", when, got, d)
				}
			}
		}
		want("without policies", policy.Allow)
		w.Rule(block)
		want("one that blocks", policy.Block)
		w.Revoke(w.Ada) // a line that changes no policy
		want("after another line", policy.Block)
		w.Rule(storetest.Policy(1, "", `"state":"disabled",`+storetest.Blocks))
		want("switched off", policy.Allow)
		w.Rule(block)
		want("on again", policy.Block)
		spared := &store.Document{Kind: store.SparedDocument, ID: w.Ada.ID.String(), Doc: "{}"}
		w.Rule(spared)
		want("spared", policy.Allow)
		w.Unrule(spared)
		want("not spared", policy.Block)
		w.Unrule(block)
		want("deleted", policy.Allow)
	})
}

func TestATransactionSeesItsOwnPoliciesAndNobodySeesThoseThatCameToNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		decided(t, w)
		undone := errors.New("undone")
		err := w.DB.Update(context.Background(), func(tx *store.Tx) error {
			if d := verdict(t, tx, w.Ada.ID); d != policy.Allow {
				t.Errorf("before: %s", d)
			}
			if err := storetest.Rule(tx, block); err != nil {
				return err
			}
			if d := verdict(t, tx, w.Ada.ID); d != policy.Block {
				t.Errorf("its own: %s", d)
			}
			return undone
		})
		if !errors.Is(err, undone) {
			t.Fatal(err)
		}
		if d := decided(t, w); d != policy.Allow {
			t.Errorf("after it was undone: %s", d)
		}
	})
}

// On SQLite a transaction's head may be of a job that is not durable yet: its
// policies count for those after it in the same commit, and are not kept if that
// commit fails.
func TestPoliciesOfAnEarlierJobCountInTheSameCommitOnly(t *testing.T) {
	t.Parallel()
	for _, e := range storetest.Engines() {
		if e.Postgres {
			continue
		}
		w := storetest.NewWorld(t, e, store.Hooks{})
		decided(t, w)
		var seen, later policy.Decision
		errs := together(t, w.DB,
			func(tx *store.Tx) error { return storetest.Rule(tx, block) },
			func(tx *store.Tx) error { seen = verdict(t, tx, w.Ada.ID); return nil },
			func(tx *store.Tx) error { return tx.Plain("ROLLBACK") }) // as a full disk does
		if seen != policy.Block || errs[0] == nil || errs[1] == nil {
			t.Fatalf("beside an uncommitted policy: %s, %v", seen, errs)
		}
		if d := decided(t, w); d != policy.Allow {
			t.Errorf("a policy that was never committed decides: %s", d)
		}
		errs = together(t, w.DB,
			func(tx *store.Tx) error {
				if err := storetest.Rule(tx, block); err != nil {
					return err
				}
				return errors.New("refused")
			},
			func(tx *store.Tx) error { seen = verdict(t, tx, w.Ada.ID); return nil },
			func(tx *store.Tx) error { return storetest.Rule(tx, block) },
			func(tx *store.Tx) error { later = verdict(t, tx, w.Ada.ID); return nil })
		if errs[0] == nil || errs[1] != nil || errs[2] != nil || seen != policy.Allow || later != policy.Block {
			t.Errorf("after one that was refused %s, after one that was not %s, %v", seen, later, errs)
		}
		if d := decided(t, w); d != policy.Block {
			t.Errorf("committed: %s", d)
		}
	}
}

// A line that another node has written, and this one has not followed yet, counts.
func TestPoliciesOfAnotherNodeCountAtOnce(t *testing.T) {
	onPostgres(t, func(t *testing.T, e storetest.Engine) {
		open := e.New(t)
		clock := storetest.NewClock()
		here := storetest.Open(t, open(store.Config{Now: clock.Now, Poll: time.Hour}))
		there := storetest.Open(t, open(store.Config{Now: clock.Now, Poll: time.Hour}))
		ctx := context.Background()
		for i := range 20 {
			want, doc := policy.Block, block
			if i%2 == 1 {
				want, doc = policy.Allow, storetest.Policy(1, "", `"state":"disabled",`+storetest.Blocks)
			}
			if err := there.Update(ctx, func(tx *store.Tx) error { return storetest.Rule(tx, doc) }); err != nil {
				t.Fatal(err)
			}
			for _, in := range []func(context.Context, func(*store.Tx) error) error{here.Read, here.Update} {
				if err := in(ctx, func(tx *store.Tx) error {
					if d := verdict(t, tx, directory.UserID{1}); d != want {
						t.Errorf("change %d: %s, want %s", i, d, want)
					}
					return nil
				}); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// What was judged before a policy changed is not handed out after it.
func TestAPolicyThatChangesWhileARefreshIsJudgedOvertakesIt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		var hook once
		w := storetest.NewWorld(t, e, store.Hooks{AfterRotate: hook.fire})
		g := w.Grant(w.Session(w.Ada), true)
		judge := func(f *store.Refresh) error {
			v := f.Policies.Decide(&policy.Facts{User: w.Ada.ID, Client: "tripboard"})
			if v.Decision == policy.Block {
				return errors.New("blocked")
			}
			return nil
		}
		if _, err := w.DB.Rotate(t.Context(), g.ID, judge); err != nil {
			t.Fatal(err)
		}
		hook.arm(func() { w.Rule(block) })
		if _, err := w.DB.Rotate(t.Context(), g.ID, judge); !errors.Is(err, store.ErrOvertaken) {
			t.Errorf("judged before and answered after the change: %v", err)
		}
		if _, err := w.DB.Rotate(t.Context(), g.ID, judge); err == nil || err.Error() != "blocked" {
			t.Errorf("judged again: %v", err)
		}
	})
}

// Two administrators who change policies at once are judged one after the other,
// each by what the other has left.
func TestChangesOfPoliciesGoOneAfterTheOther(t *testing.T) {
	onPostgres(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		decided(t, w)
		second := make(chan error, 1)
		var start sync.Once
		err := w.DB.Update(context.Background(), func(tx *store.Tx) error {
			if err := tx.HoldPolicies(); err != nil {
				return err
			}
			start.Do(func() {
				go func() {
					second <- w.DB.Update(context.Background(), func(tx *store.Tx) error {
						if err := tx.HoldPolicies(); err != nil {
							return err
						}
						if d := verdict(t, tx, w.Ada.ID); d != policy.Block {
							t.Errorf("the second does not see the first: %s", d)
						}
						return nil
					})
				}()
			})
			select { // it must wait for this commit
			case err := <-second:
				second <- err
				t.Error("the second did not wait")
			case <-time.After(200 * time.Millisecond):
			}
			return storetest.Rule(tx, block)
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-second; err != nil {
			t.Fatal(err)
		}
	})
}

func TestADocumentThatCannotBeReadLetsNobodyInWhoIsNotSpared(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		w.Rule(&store.Document{Kind: store.SparedDocument, ID: w.Grace.ID.String(), Doc: "{}"})
		other := *block
		other.ID = storetest.PolicyID(2)
		for what, d := range map[string]*store.Document{
			"a policy that is not JSON": {Kind: store.PolicyDocument, ID: storetest.PolicyID(2), Doc: "{"},
			"a policy of another id":    &other,
			"a location of no ranges":   {Kind: store.LocationDocument, ID: storetest.PolicyID(2), Doc: "{}"},
			"a strength of nothing":     {Kind: store.StrengthDocument, ID: storetest.PolicyID(2), Doc: "{}"},
			"a spared nobody":           {Kind: store.SparedDocument, ID: "ada", Doc: "{}"},
		} {
			w.Rule(d)
			err := w.DB.Read(t.Context(), func(tx *store.Tx) error { _, err := tx.Policies(); return err })
			if !fault.Is(err, fault.Unavailable) {
				t.Errorf("%s: %v", what, err)
			}
			g := w.Grant(w.Session(w.Ada), true)
			if _, err := w.DB.Rotate(t.Context(), g.ID, func(*store.Refresh) error { return nil }); !fault.Is(err, fault.Unavailable) {
				t.Errorf("%s, at a refresh: %v", what, err)
			}
			w.Read(func(tx *store.Tx) error {
				set, _ := tx.Policies()
				for who, want := range map[directory.UserID]policy.Decision{w.Ada.ID: policy.Block, w.Grace.ID: policy.Allow} {
					for _, f := range []policy.Facts{{User: who}, {User: who, Client: "tripboard", Resource: "api://mail"}, {User: who, Action: policy.RegisterSecurityInfo}, {User: who, Action: policy.RegisterDevice}} {
						if v := set.Decide(&f); v.Decision != want {
							t.Errorf("%s, somebody who is spared %v: %s", what, want == policy.Allow, v.Decision)
						}
					}
				}
				return nil
			})
			spared := w.Grant(w.Session(w.Grace), true)
			if _, err := w.DB.Rotate(t.Context(), spared.ID, func(*store.Refresh) error { return nil }); err != nil {
				t.Errorf("%s, at a refresh by somebody who is spared: %v", what, err)
			}
			w.Unrule(d)
		}
		if d := decided(t, w); d != policy.Allow {
			t.Errorf("put right: %s", d)
		}
	})
}

func TestADocumentIsChangedAsItWasRead(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		save := func(d store.Document) error {
			return w.DB.Update(context.Background(), func(tx *store.Tx) error { return tx.SaveDocument(&d) })
		}
		if err := save(*block); err != nil {
			t.Fatal(err)
		}
		if err := save(*block); !errors.Is(err, store.ErrDuplicate) {
			t.Errorf("created twice: %v", err)
		}
		var d *store.Document
		w.Read(func(tx *store.Tx) (err error) { d, err = tx.Document(block.Kind, block.ID); return err })
		if err := save(*d); err != nil {
			t.Errorf("changed: %v", err)
		}
		if err := save(*d); !errors.Is(err, store.ErrStale) {
			t.Errorf("changed as it was before: %v", err)
		}
		w.Unrule(block)
		if err := save(*d); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("changed though it was deleted: %v", err)
		}
		w.Rule(block)
		w.Read(func(tx *store.Tx) error {
			all, err := tx.Documents(store.PolicyDocument)
			if err != nil || len(all) != 1 || all[0].Version == d.Version || all[0].Version == d.Version+1 {
				t.Errorf("created anew with a version that was there before: %+v %v", all, err)
			}
			return nil
		})
	})
}

func TestProofIsKept(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		s := w.Session(w.Ada)
		signedIn := w.Clock.Now()
		w.Clock.Add(time.Hour)
		prove := func(amr ...string) *grant.Session {
			t.Helper()
			w.Update(func(tx *store.Tx) error { return tx.ProveSecond(s.ID, w.Clock.Now(), amr) })
			var x *grant.Session
			w.Read(func(tx *store.Tx) (err error) { x, err = tx.Session(s.ID); return err })
			return x
		}
		if x := prove(grant.AMROTP); !x.AuthTime.Equal(signedIn) || !x.SecondTime.Equal(w.Clock.Now()) || !slices.Equal(x.AMR, []string{"pwd", "otp"}) || x.Born != s.Born {
			t.Errorf("a second factor: %+v", x)
		}
		if x := prove(grant.AMRPasskey); !x.AuthTime.Equal(w.Clock.Now()) || !slices.Equal(x.AMR, []string{"pwd", "otp", "fido"}) {
			t.Errorf("a passkey: %+v", x)
		}
		if err := w.DB.Update(t.Context(), func(tx *store.Tx) error { return tx.ProveSecond(directory.SessionID{1}, tx.Now, nil) }); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("of no session: %v", err)
		}
		g := &grant.Grant{ID: directory.NewID[directory.Grant](w.Clock.Now()), User: w.Ada.ID, App: w.App.ID, Session: s.ID, Offline: true, Issuer: grant.Plain, Created: w.Clock.Now(),
			SecondTime: w.Clock.Now(), Platform: policy.Linux, Flow: policy.DeviceCode, Contexts: []string{"c1", "c99"}}
		w.Update(func(tx *store.Tx) error { return tx.CreateGrant(g) })
		w.Read(func(tx *store.Tx) error {
			x, err := tx.Grant(g.ID)
			if err != nil || !x.SecondTime.Equal(g.SecondTime) || x.Platform != g.Platform || x.Flow != g.Flow || !slices.Equal(x.Contexts, g.Contexts) || x.Issuer != grant.Plain || !x.Offline {
				t.Errorf("%+v %v", x, err)
			}
			return nil
		})
	})
}

func TestTermsAreAcceptedAsTheyAreWorded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		terms := &store.Document{Kind: store.TermsDocument, ID: storetest.PolicyID(5), Doc: `{}`}
		accepted := func() (all []string) {
			w.Read(func(tx *store.Tx) (err error) { all, err = tx.Accepted(w.Ada.ID); return err })
			return all
		}
		accept := func(tx *store.Tx) error {
			d, err := tx.Document(store.TermsDocument, terms.ID)
			if err != nil {
				return err
			}
			return tx.AcceptTerms(w.Ada.ID, terms.ID, d.Version)
		}
		if err := w.DB.Update(t.Context(), accept); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("terms that are not there: %v", err)
		}
		for range 2 { // as they were, and reworded
			w.Rule(terms)
			if got := accepted(); len(got) != 0 {
				t.Errorf("accepted before: %v", got)
			}
			if err := w.DB.Update(t.Context(), func(tx *store.Tx) error { return tx.AcceptTerms(w.Ada.ID, terms.ID, 1) }); !errors.Is(err, store.ErrStale) {
				t.Errorf("as they were worded before: %v", err)
			}
			w.Update(accept)
			if got := accepted(); !slices.Equal(got, []string{terms.ID}) {
				t.Errorf("accepted: %v", got)
			}
		}
		w.Unrule(terms)
		if got := accepted(); len(got) != 0 {
			t.Errorf("deleted: %v", got)
		}
	})
}

// The log says loudly, and not at each use, why nobody gets in.
func TestTheLogNamesWhatCannotBeRead(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		var said strings.Builder
		clock := storetest.NewClock()
		db := storetest.Open(t, e.New(t)(store.Config{Now: clock.Now, Log: slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelError}))}))
		if err := db.Update(t.Context(), func(tx *store.Tx) error {
			return storetest.Rule(tx, &store.Document{Kind: store.PolicyDocument, ID: storetest.PolicyID(7), Doc: "{"})
		}); err != nil {
			t.Fatal(err)
		}
		for minute := range 3 {
			for range 5 {
				if err := db.Read(t.Context(), func(tx *store.Tx) error { _, err := tx.Policies(); return err }); !fault.Is(err, fault.Unavailable) {
					t.Fatal(err)
				}
			}
			if n := strings.Count(said.String(), "cannot be judged by"); n != minute+1 || !strings.Contains(said.String(), storetest.PolicyID(7)) {
				t.Errorf("after minute %d: %s", minute, &said)
			}
			clock.Add(time.Minute)
		}
	})
}
