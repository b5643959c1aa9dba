package deliver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/egress"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

func TestARevokedUserIsToldToEveryApplicationOfTheirs(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := open(t, e, store.Hooks{})
		w.app("mailroom")
		w.app("library")
		w.app("cinema")
		w.app("quiet", func(a *directory.App) { a.BackChannelLogoutURI = "" })
		s := w.Session(w.Ada)
		w.in("mailroom", s)
		w.in("mailroom", w.Session(w.Ada), offline)
		w.in("library", s, plain)
		w.in("library", s)
		w.in("cinema", w.Session(w.Grace))
		w.in("quiet", s)
		w.Revoke(w.Ada)
		w.settle()
		w.want("a revocation", "mailroom", of(w.Ada))
		w.want("of somebody else", "cinema")
		got := w.took("library") // once for each issuer it knows her by
		if len(got) != 2 || got[0].Issuer == got[1].Issuer || got[0].SID+got[1].SID != "" {
			t.Errorf("library: %+v", got)
		}
		w.Disable(w.Ada)
		w.settle()
		w.want("disabled", "mailroom", of(w.Ada))
		w.Update(func(tx *store.Tx) error {
			_, err := tx.ChangeUser(w.Ada.ID, store.UserChange{}, func(u *directory.User) error { u.Deleted = w.Clock.Now(); return nil })
			return err
		})
		w.settle()
		w.want("deleted", "mailroom", of(w.Ada))
		if w.settle(); w.took("library") == nil || w.took("library") != nil {
			t.Error("told again, though nothing happened")
		}
	})
}

func TestALogoutTokenIsSignedAsTheApplicationsIDTokensAre(t *testing.T) {
	t.Parallel()
	w := open(t, storetest.Engines()[0], store.Hooks{})
	s := w.Session(w.Ada)
	seen := map[string]bool{}
	for _, alg := range []string{"", "ES256", "RS256", "EdDSA"} {
		id := directory.AppID("app" + alg)
		w.app(id, func(a *directory.App) { a.SigningAlg = alg })
		w.in(id, s)
	}
	w.Revoke(w.Ada)
	w.settle()
	for _, alg := range []string{"", "ES256", "RS256", "EdDSA"} {
		got := w.took(directory.AppID("app" + alg))
		if len(got) != 1 || got[0].alg != max(alg, "ES256") && alg != "EdDSA" || alg != "" && got[0].alg != alg || seen[got[0].JTI] {
			t.Errorf("%q: %+v", alg, got)
			continue
		}
		seen[got[0].JTI] = true
	}
}

// What ends what, DESIGN §7: the column "other", as far as it is back-channel logout.
func TestEachEndIsToldToWhomItConcernsAndNobodyElse(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := open(t, e, store.Hooks{})
		w.app("mailroom")
		w.app("library")
		ctx := context.Background()
		cut := func(c ...cutoff.Cutoff) {
			w.Update(func(tx *store.Tx) error {
				tx.Cut(&store.Cut{Cuts: c, Cause: standing.Revoked, WithReceipt: true})
				return nil
			})
		}

		s, other := w.Session(w.Ada), w.Session(w.Ada)
		w.in("mailroom", s)
		w.in("mailroom", other)
		w.in("library", s, offline)
		w.signOut(s)
		w.settle()
		w.want("signed out", "mailroom", of(w.Ada, s))
		w.want("signed out of a session with a lasting grant", "library", of(w.Ada, s))
		do(t, func() (revoke.Result, error) { return w.revoke.Session(ctx, w.grace(), other.ID, revoke.Options{}) })
		w.settle()
		w.want("one session revoked", "mailroom", of(w.Ada, other))
		w.want("one session revoked", "library")

		// All but one: those that ended, by name, where the spared one is known.
		s, other = w.Session(w.Ada), w.Session(w.Ada)
		w.in("mailroom", s)
		w.in("mailroom", other)
		w.in("library", other)
		w.keep(s, w.Ada)
		w.settle()
		w.want("all but one", "mailroom", of(w.Ada, other))
		w.want("all but one, which is not known there", "library", of(w.Ada))

		// One application of one person, and consent withdrawn.
		do(t, func() (revoke.Result, error) {
			return w.revoke.UserApp(ctx, w.grace(), w.Ada.ID, "mailroom", revoke.Options{})
		})
		w.settle()
		w.want("one application", "mailroom", of(w.Ada))
		w.want("one application, not this one", "library")

		// A grant: by somebody, while it is the last of its session there.
		s = w.Session(w.Ada)
		g, twin := w.in("mailroom", s), w.in("mailroom", s)
		do(t, func() (revoke.Result, error) { return w.revoke.Grant(ctx, w.grace(), g.ID, revoke.Options{}) })
		w.settle()
		w.want("one of two grants of a session", "mailroom")
		do(t, func() (revoke.Result, error) { return w.revoke.Grant(ctx, w.grace(), twin.ID, revoke.Options{}) })
		w.settle()
		w.want("the last of them", "mailroom", of(w.Ada, s))
		for _, e := range []standing.Event{standing.GrantReturned, standing.GrantReused} {
			g := w.in("mailroom", w.Session(w.Ada))
			do(t, func() (revoke.Result, error) { return w.revoke.EndGrant(ctx, g.ID, e, "") })
		}
		w.settle()
		w.want("given back, or used twice", "mailroom")
		parent := w.in("library", w.Session(w.Ada))
		made := w.Made(parent, "mailroom")
		do(t, func() (revoke.Result, error) { return w.revoke.Grant(ctx, w.grace(), made.ID, revoke.Options{}) })
		w.settle()
		w.want("made from another grant", "mailroom")

		// Tokens alone end nobody's session.
		cut(cutoff.Cutoff{Scope: cutoff.User, ID: w.Ada.ID.String(), Reach: cutoff.Tokens}, cutoff.Cutoff{Scope: cutoff.App, ID: "mailroom", Reach: cutoff.Tokens}, cutoff.Cutoff{Scope: cutoff.All, Reach: cutoff.Tokens})
		w.settle()
		w.want("tokens only", "mailroom")

		// By device code there is no session to name.
		w.Revoke(w.Ada)
		w.settle()
		w.took("mailroom")
		w.took("library")
		w.in("mailroom", w.Session(w.Grace), device)
		old := w.Session(w.Grace)
		w.in("mailroom", old)
		w.keep(old, w.Grace)
		w.settle()
		w.want("a device code beside a spared session", "mailroom")

		// The application itself, and everybody.
		w.in("mailroom", w.Session(w.Ada))
		w.in("library", w.Session(w.Ada))
		do(t, func() (revoke.Result, error) { return w.revoke.App(ctx, w.grace(), "mailroom", revoke.Options{}) })
		w.settle()
		w.want("an application", "mailroom", of(w.Ada), of(w.Grace))
		w.want("another application", "library")
		do(t, func() (revoke.Result, error) { return w.revoke.Everyone(ctx, w.grace(), revoke.Options{}) })
		w.settle()
		w.want("everybody", "mailroom", of(w.Ada), of(w.Grace))
		w.want("everybody", "library", of(w.Ada))
		if err := w.DB.Restore(ctx); err != nil {
			t.Fatal(err)
		}
		w.settle()
		w.want("history lost", "library", of(w.Ada))
	})
}

func TestANoticeThatComesLateNamesTheSessionsItEnds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := open(t, e, store.Hooks{})
		w.app("mailroom")
		old, older := w.Session(w.Ada), w.Session(w.Ada)
		w.in("mailroom", old)
		w.in("mailroom", older)
		w.answers("mailroom", http.StatusBadGateway)
		w.signOut(older)
		w.Revoke(w.Ada)
		w.settle()
		w.want("while it is down", "mailroom")
		now := w.Session(w.Ada)
		w.in("mailroom", now)
		w.answers("mailroom", 0)
		w.Clock.Add(hour)
		w.settle()
		// The session signed out of was told by its own line, and is not told twice.
		w.want("late", "mailroom", of(w.Ada, older), of(w.Ada, old))
		w.Revoke(w.Ada)
		w.settle()
		w.want("the next one is for all of them again", "mailroom", of(w.Ada))
	})
}

func TestAnApplicationThatWantsSidsGetsNothingElse(t *testing.T) {
	t.Parallel()
	w := open(t, storetest.Engines()[0], store.Hooks{})
	w.app("mailroom", func(a *directory.App) { a.BackChannelSession = true })
	one, two := w.Session(w.Ada), w.Session(w.Ada)
	w.in("mailroom", one)
	w.in("mailroom", one, offline)
	w.in("mailroom", two)
	w.in("mailroom", one, device)
	w.Revoke(w.Ada)
	w.settle()
	w.want("a revocation", "mailroom", of(w.Ada, one), of(w.Ada, two))
}

// Trap 13: a receiver is down for an hour, then up.
func TestTrap13AReceiverThatWasDownIsToldEverythingInOrderAndHoldsUpNobody(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := open(t, e, store.Hooks{})
		w.app("mailroom")
		w.app("library")
		w.answers("mailroom", http.StatusServiceUnavailable)
		var want []string
		for range 5 {
			s := w.Session(w.Ada)
			w.in("mailroom", s)
			w.in("library", s)
			w.signOut(s)
			want = append(want, s.ID.String())
			w.settle()
			w.want("the one that is up", "library", of(w.Ada, s))
		}
		start := w.asked
		for range 60 { // an hour in minutes
			w.Clock.Add(time.Minute)
			w.settle()
		}
		if n := w.asked - start; n < 10 || n > 40 {
			t.Errorf("asked %d times in an hour", n)
		}
		r := w.row("mailroom")
		if r.Attempts < 10 || r.Failing.IsZero() || !strings.Contains(r.Error, "503") || !r.Next.After(w.Clock.Now()) {
			t.Errorf("row: %+v", r)
		}
		w.answers("mailroom", 0)
		w.s = w.service() // and this node was restarted
		w.Clock.Add(maxWait)
		w.settle()
		var got []string
		for _, x := range w.took("mailroom") {
			got = append(got, x.SID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("told %v, want %v", got, want)
		}
		if r := w.row("mailroom"); r.Pos != w.head() || r.Attempts != 0 || !r.Failing.IsZero() || r.Error != "" || !r.Next.IsZero() {
			t.Errorf("afterwards: %+v", r)
		}
	})
}

func TestACrashBetweenSendingAndWritingSendsTwiceAndNeverNotAtAll(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		var crash atomic.Bool
		w := open(t, e, store.Hooks{Exec: func(q string) error {
			if crash.Load() && strings.HasPrefix(q, "UPDATE recipients") {
				return errors.New("the machine stopped")
			}
			return nil
		}})
		w.app("mailroom")
		s := w.Session(w.Ada)
		w.in("mailroom", s)
		w.signOut(s)
		w.mu.Lock()
		w.during = func(string) func() { crash.Store(true); return func() {} }
		w.mu.Unlock()
		if err := w.s.pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.s.owned.Wait()
		w.want("before the crash", "mailroom", of(w.Ada, s))
		if r := w.row("mailroom"); r.Pos >= w.head() {
			t.Fatalf("the cursor was written: %+v", r)
		}
		crash.Store(false)
		w.mu.Lock()
		w.during = nil
		w.mu.Unlock()
		w.s = w.service()
		w.settle()
		w.want("while the dead node's lease goes on", "mailroom")
		w.Clock.Add(lease)
		w.settle()
		w.want("afterwards", "mailroom", of(w.Ada, s))
		w.Clock.Add(hour)
		w.settle()
		w.want("and no more", "mailroom")
	})
}

func TestTwoNodesTellEachLineOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := open(t, e, store.Hooks{})
		w.app("mailroom")
		two := w.service()
		for range 10 {
			s := w.Session(w.Ada)
			w.in("mailroom", s)
			w.signOut(s)
			for _, n := range []*Service{w.s, two} {
				if err := n.pass(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			w.s.owned.Wait()
			two.owned.Wait()
			w.Clock.Add(lease) // whoever came second looks again
			settle(t, two)
			w.settle()
			w.want("by two nodes", "mailroom", of(w.Ada, s))
		}
	})
}

// A node that stood still through its lease must not move the cursor of the one
// that took over.
func TestANodeThatLostItsClaimWritesNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := open(t, e, store.Hooks{})
		w.app("mailroom")
		s := w.Session(w.Ada)
		w.in("mailroom", s)
		w.signOut(s)
		slow, _, err := w.s.claim(t.Context(), "logout:mailroom", w.head())
		if err != nil || slow == nil {
			t.Fatal(err)
		}
		if x, next, err := w.s.claim(t.Context(), "logout:mailroom", w.head()); x != nil || next.IsZero() || err != nil {
			t.Fatalf("claimed twice: %v %v", next, err)
		}
		w.Clock.Add(lease)
		w.settle()
		done := *w.row("mailroom")
		if err := slow.run(t.Context()); !errors.Is(err, errTaken) {
			t.Errorf("the slow node: %v", err)
		}
		if r := w.row("mailroom"); *r != done {
			t.Errorf("the row changed: %+v, was %+v", r, done)
		}
	})
}

func TestAThousandRecipientsAreToldSoManyAtATime(t *testing.T) {
	t.Parallel()
	w := open(t, storetest.Engines()[0], store.Hooks{})
	s := w.Session(w.Ada)
	const apps = 1000
	w.Update(func(tx *store.Tx) error {
		for i := range apps {
			id := directory.AppID(fmt.Sprintf("app%d", i))
			if err := tx.SaveApp(&directory.App{ID: id, Object: directory.NewID[directory.App](w.Clock.Now()), Enabled: true, Public: true, BackChannelLogoutURI: w.server.URL + "/" + string(id)}); err != nil {
				return err
			}
			if err := tx.CreateGrant(&grant.Grant{ID: directory.NewID[directory.Grant](w.Clock.Now()), User: w.Ada.ID, App: id, Session: s.ID, Created: w.Clock.Now(), LastUsed: w.Clock.Now(),
				AuthTime: w.Clock.Now(), State: grant.State{Generation: 1}}); err != nil {
				return err
			}
		}
		return nil
	})
	var now, most atomic.Int32
	w.during = func(string) func() {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		return func() { now.Add(-1) }
	}
	w.Revoke(w.Ada)
	w.settle()
	for i := range apps {
		w.want("one of a thousand", directory.AppID(fmt.Sprintf("app%d", i)), of(w.Ada))
	}
	if most.Load() > atOnce || most.Load() < 2 {
		t.Errorf("%d at a time, the bound is %d", most.Load(), atOnce)
	}
}

func TestACutOfEverybodyGoesThroughAllUsersInTurns(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := open(t, e, store.Hooks{})
		w.app("mailroom")
		w.app("library")
		var want []string
		w.Update(func(tx *store.Tx) error {
			want = nil
			for i := range 150 {
				u := storetest.Person(fmt.Sprintf("person%d", i), w.Clock.Now())
				if err := tx.CreateUser(u); err != nil {
					return err
				}
				app := directory.AppID("library")
				if i%3 == 0 {
					app = "mailroom"
					want = append(want, of(u))
				}
				for range 1 + i%40 { // more rows than are looked at at once
					g := &grant.Grant{ID: directory.NewID[directory.Grant](w.Clock.Now()), User: u.ID, App: app, Session: directory.NewID[directory.Session](w.Clock.Now()), Created: w.Clock.Now(),
						LastUsed: w.Clock.Now(), AuthTime: w.Clock.Now(), State: grant.State{Generation: 1}}
					if err := tx.CreateGrant(g); err != nil {
						return err
					}
				}
			}
			return nil
		})
		// It fails in the middle, once, and goes on from there.
		var n atomic.Int32
		w.mu.Lock()
		w.answer["mailroom"] = func() int {
			if n.Add(1) == 41 {
				return http.StatusBadGateway
			}
			return http.StatusOK
		}
		w.mu.Unlock()
		do(t, func() (revoke.Result, error) {
			return w.revoke.Everyone(context.Background(), w.grace(), revoke.Options{})
		})
		w.settle()
		if r := w.row("mailroom"); r.Item == "" || r.Attempts != 1 {
			t.Errorf("in the middle: %+v", r)
		}
		w.Clock.Add(maxWait)
		w.settle()
		got := w.took("mailroom")
		seen := map[string]int{}
		for _, x := range got {
			seen[x.User+x.SID]++
		}
		if len(seen) != len(want) || len(got) > len(want)+sideBySide {
			t.Errorf("%d users told in %d notices, want %d", len(seen), len(got), len(want))
		}
		for _, u := range want {
			if seen[u] == 0 {
				t.Errorf("%s was not told", u)
			}
		}
	})
}

func TestWhatIsRefusedForGoodOrTooOldIsADeadLetterAndTheRestGoesOn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := open(t, e, store.Hooks{})
		w.app("mailroom")
		out := func() *grant.Session {
			s := w.Session(w.Ada)
			w.in("mailroom", s)
			w.signOut(s)
			return s
		}
		w.answers("mailroom", http.StatusBadRequest)
		refused := out()
		refusedAt := w.head()
		w.settle()
		if w.asked != 1 {
			t.Errorf("a 400 was asked %d times", w.asked)
		}
		w.answers("mailroom", 0)
		next := out()
		w.settle()
		w.want("after a 400", "mailroom", of(w.Ada, next))

		w.answers("mailroom", http.StatusInternalServerError)
		tooOld := out()
		tooOldAt := w.head()
		for range 24 * 20 {
			w.Clock.Add(3 * time.Minute)
			w.settle()
		}
		young := out()
		for range 10 {
			w.Clock.Add(maxWait)
			w.settle()
		}
		w.answers("mailroom", 0)
		w.Clock.Add(maxWait)
		w.settle()
		w.want("after a day", "mailroom", of(w.Ada, young))

		letters := do(t, func() ([]Letter, error) { return w.s.Letters(t.Context(), w.grace(), LetterID{}, 10) })
		if len(letters) != 2 {
			t.Fatalf("%d dead letters: %+v", len(letters), letters)
		}
		a, b := letters[0], letters[1]
		if a.App != "mailroom" || a.Pos != refusedAt || a.Rest || a.User != w.Ada.ID || a.Session != refused.ID.String() || a.Error != "The application answered 400 (invalid_request)." || a.Cause != standing.SignedOut {
			t.Errorf("refused: %+v", a)
		}
		if b.Pos != tooOldAt || !b.Rest || b.Attempts < fewTries || b.Error != "The application answered 500." || b.GivenUp.Sub(b.Cut) < MaxAge {
			t.Errorf("too old: %+v", b)
		}
		var records []audit.Record
		w.Read(func(tx *store.Tx) (err error) {
			records, err = tx.Audits(store.AuditQuery{Target: "mailroom", Limit: 10})
			return err
		})
		if len(records) != 2 || records[0].Action != giveUpActivity || records[0].Result != audit.Failure || records[0].Actor.Kind != "system" {
			t.Errorf("audit: %+v", records)
		}

		// Nothing is lost: they can be sent again, or dropped.
		if err := w.s.Retry(t.Context(), w.grace(), b.ID, Act{DryRun: true}); err != nil || w.took("mailroom") != nil {
			t.Errorf("dry run: %v", err)
		}
		if err := w.s.Retry(t.Context(), w.grace(), b.ID, Act{}); err != nil {
			t.Error(err)
		}
		w.want("retried", "mailroom", of(w.Ada, tooOld))
		w.answers("mailroom", http.StatusBadRequest)
		if err := w.s.Retry(t.Context(), w.grace(), a.ID, Act{}); err == nil || !strings.Contains(err.Error(), "400") {
			t.Errorf("retried in vain: %v", err)
		}
		if letters = do(t, func() ([]Letter, error) { return w.s.Letters(t.Context(), w.grace(), LetterID{}, 10) }); len(letters) != 1 || letters[0].Attempts != 2 {
			t.Errorf("left: %+v", letters)
		}
		if err := w.s.Drop(t.Context(), w.grace(), a.ID, Act{DryRun: true}); err != nil {
			t.Error(err)
		}
		if err := w.s.Drop(t.Context(), w.grace(), a.ID, Act{Reason: "the application is rid of it"}); err != nil {
			t.Error(err)
		}
		if err := w.s.Drop(t.Context(), w.grace(), a.ID, Act{}); err == nil {
			t.Error("dropped twice")
		}
	})
}

func TestADeadLetterReadsWhenItIsRetriedAsItWouldThen(t *testing.T) {
	t.Parallel()
	w := open(t, storetest.Engines()[0], store.Hooks{})
	w.app("mailroom")
	old := w.Session(w.Ada)
	w.in("mailroom", old)
	w.answers("mailroom", http.StatusBadRequest)
	w.Revoke(w.Ada)
	w.settle()
	w.answers("mailroom", 0)
	w.in("mailroom", w.Session(w.Ada))
	letters := do(t, func() ([]Letter, error) { return w.s.Letters(t.Context(), w.grace(), LetterID{}, 10) })
	if len(letters) != 1 || letters[0].Session != "" {
		t.Fatalf("%+v", letters)
	}
	if err := w.s.Retry(t.Context(), w.grace(), letters[0].ID, Act{}); err != nil {
		t.Error(err)
	}
	w.want("retried after a new sign-in", "mailroom", of(w.Ada, old))
}

func TestAnAddressThatLeadsInsideIsNeverAsked(t *testing.T) {
	t.Parallel()
	w := open(t, storetest.Engines()[0], store.Hooks{})
	w.s.Egress = &egress.Client{}
	w.app("mailroom")
	w.app("metadata", func(a *directory.App) { a.BackChannelLogoutURI = "https://169.254.169.254/" })
	w.app("clear", func(a *directory.App) { a.BackChannelLogoutURI = "http://app.contoso.example/" })
	s := w.Session(w.Ada)
	for _, id := range []directory.AppID{"mailroom", "metadata", "clear"} {
		w.in(id, s)
	}
	w.Revoke(w.Ada)
	w.settle()
	for _, id := range []directory.AppID{"mailroom", "metadata", "clear"} {
		if r := w.row(id); r.Attempts != 1 || r.Error == "" {
			t.Errorf("%s: %+v", id, r)
		}
	}
	if w.asked != 0 {
		t.Errorf("asked %d times", w.asked)
	}
}

func TestAnAddressCountsFromWhenItIsRegistered(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := open(t, e, store.Hooks{})
		a := w.app("mailroom", func(a *directory.App) { a.BackChannelLogoutURI = "" })
		w.in("mailroom", w.Session(w.Ada))
		w.Revoke(w.Ada)
		save := func(uri string) {
			x := *a
			x.BackChannelLogoutURI = uri
			w.Update(func(tx *store.Tx) error { return tx.SaveApp(&x) })
		}
		save(w.server.URL + "/mailroom")
		w.settle()
		w.want("what happened before", "mailroom")
		w.Revoke(w.Ada)
		save("")
		w.settle()
		w.want("after the address was taken away", "mailroom")
		save(w.server.URL + "/wrong")
		w.answers("wrong", http.StatusNotFound)
		w.mu.Lock()
		w.during = nil
		w.mu.Unlock()
		w.Update(func(tx *store.Tx) error { return tx.DeleteApp("mailroom") })
		w.settle()
		if err := w.DB.Read(t.Context(), func(tx *store.Tx) error { _, err := tx.Recipient("logout:mailroom"); return err }); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a recipient without an application: %v", err)
		}
	})
}

func TestCursorsOfThoseWhomNothingConcernsFollow(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := open(t, e, store.Hooks{})
		w.app("mailroom")
		w.app("library")
		s := w.Session(w.Ada)
		w.in("library", s)
		w.answers("library", http.StatusBadGateway)
		w.Revoke(w.Ada)
		w.Revoke(w.Grace)
		w.settle()
		w.Clock.Add(idleEvery)
		w.settle()
		if r := w.row("mailroom"); r.Pos != w.head() {
			t.Errorf("mailroom at %d, head %d", r.Pos, w.head())
		}
		if r := w.row("library"); r.Pos >= w.head()-1 {
			t.Errorf("library was moved over what it does not know: %+v", r)
		}
	})
}

func TestRecipientsAreShownAsTheyStand(t *testing.T) {
	t.Parallel()
	w := open(t, storetest.Engines()[0], store.Hooks{})
	w.app("library")
	w.app("mailroom")
	s := w.Session(w.Ada)
	w.in("mailroom", s)
	w.answers("mailroom", http.StatusTeapot)
	w.Revoke(w.Ada)
	w.settle()
	all := do(t, func() ([]Recipient, error) { return w.s.Recipients(t.Context(), w.grace()) })
	if len(all) != 2 || all[0].App != "library" || all[0].State != UpToDate || all[1].State != Failing || all[1].Error != "The application answered 418." || all[1].Attempts != 1 ||
		all[1].Host != strings.TrimPrefix(w.server.URL, "https://") {
		t.Errorf("%+v", all)
	}
	// It can be tried again at once.
	w.answers("mailroom", 0)
	w.settle()
	w.want("before its wait is over", "mailroom")
	if err := w.s.Wake(t.Context(), w.grace(), "mailroom", Act{}); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.want("woken", "mailroom", of(w.Ada))
	if err := w.s.Wake(t.Context(), w.grace(), "nobody", Act{}); !fault.Is(err, fault.NotFound) {
		t.Errorf("woke nobody: %v", err)
	}
}

func TestNobodyWithoutTheRoleReadsOrChangesDeliveries(t *testing.T) {
	t.Parallel()
	w := open(t, storetest.Engines()[0], store.Hooks{})
	w.app("mailroom")
	w.in("mailroom", w.Session(w.Ada))
	w.answers("mailroom", http.StatusBadRequest)
	w.Revoke(w.Ada)
	w.settle()
	id := do(t, func() ([]Letter, error) { return w.s.Letters(t.Context(), w.grace(), LetterID{}, 10) })[0].ID
	mallory := directory.Actor{User: w.Ada.ID, Name: "mallory", Born: w.head()}
	ctx := t.Context()
	for name, err := range map[string]error{
		"recipients": second(w.s.Recipients(ctx, mallory)), "letters": second(w.s.Letters(ctx, mallory, LetterID{}, 10)),
		"wake": w.s.Wake(ctx, mallory, "mailroom", Act{}), "retry": w.s.Retry(ctx, mallory, id, Act{}), "drop": w.s.Drop(ctx, mallory, id, Act{}),
		"drop, dry": w.s.Drop(ctx, mallory, id, Act{DryRun: true}),
	} {
		if !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var records []audit.Record
	w.Read(func(tx *store.Tx) (err error) {
		records, err = tx.Audits(store.AuditQuery{Actor: w.Ada.ID.String(), Limit: 10})
		return err
	})
	if len(records) != 3 || records[0].Result != audit.Refused {
		t.Errorf("refusals on record: %+v", records)
	}
	reader := w.grace()
	reader.Scopes = []string{"AuditLog.Read.All"}
	if err := w.s.Drop(ctx, reader, id, Act{}); !fault.Is(err, fault.Denied) {
		t.Errorf("through a client that may only read: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestRunTellsAtOnceAndStops(t *testing.T) {
	t.Parallel()
	w := open(t, storetest.Engines()[0], store.Hooks{})
	w.app("mailroom")
	s := w.Session(w.Ada)
	w.in("mailroom", s)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.s.Run(ctx) }()
	arrived := make(chan struct{}, 10)
	w.mu.Lock()
	w.during = func(string) func() { return func() { arrived <- struct{}{} } }
	w.mu.Unlock()
	w.signOut(s)
	select {
	case <-arrived:
	case <-time.After(10 * time.Second):
		t.Error("nobody was told")
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	w.want("by Run", "mailroom", of(w.Ada, s))
}

func TestADeadLetterThatCannotBeWrittenIsNotLost(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		var full atomic.Bool
		w := open(t, e, store.Hooks{Exec: func(q string) error {
			if full.Load() && strings.HasPrefix(q, "INSERT INTO dead_letters") {
				return errors.New("the disk is full")
			}
			return nil
		}})
		w.app("mailroom")
		w.in("mailroom", w.Session(w.Ada))
		w.answers("mailroom", http.StatusBadRequest)
		full.Store(true)
		w.Revoke(w.Ada)
		w.settle()
		full.Store(false)
		w.Clock.Add(hour)
		w.settle()
		if letters := do(t, func() ([]Letter, error) { return w.s.Letters(t.Context(), w.grace(), LetterID{}, 10) }); len(letters) != 1 {
			t.Errorf("%d dead letters", len(letters))
		}
	})
}

func TestAUserWithVeryManyGrantsIsFoundBehindThem(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := open(t, e, store.Hooks{})
		w.app("mailroom")
		w.Update(func(tx *store.Tx) error {
			for i := range 2001 { // as many as are looked at at once, and one
				app := directory.AppID("library")
				if i == 2000 {
					app = "mailroom"
				}
				if err := tx.CreateGrant(&grant.Grant{ID: directory.NewID[directory.Grant](w.Clock.Now()), User: w.Ada.ID, App: app, Created: w.Clock.Now(), LastUsed: w.Clock.Now(),
					AuthTime: w.Clock.Now(), State: grant.State{Generation: 1}}); err != nil {
					return err
				}
			}
			return nil
		})
		do(t, func() (revoke.Result, error) {
			return w.revoke.Everyone(context.Background(), w.grace(), revoke.Options{})
		})
		w.settle()
		w.want("everybody", "mailroom", of(w.Ada))
	})
}
