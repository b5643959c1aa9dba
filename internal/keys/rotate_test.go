package keys_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/keys"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// node is one node of a directory.
type node struct {
	*keys.Service
	t  *testing.T
	db *store.DB
}

// nodes starts n nodes of one directory: stores of their own where the engine has
// several, or else several services over one.
func nodes(t *testing.T, e storetest.Engine, n int, hooks store.Hooks) ([]node, *storetest.Clock) {
	t.Helper()
	clock := storetest.NewClock()
	open := e.New(t)
	var all []node
	for i := range n {
		var db *store.DB
		if i == 0 || e.Postgres {
			db = storetest.Open(t, open(store.Config{Now: clock.Now, Hooks: hooks}))
		} else {
			db = all[0].db
		}
		hooks = store.Hooks{} // of the first one only
		k, err := keys.Open(t.Context(), db, bytesOf('a'), clock.Now)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, node{k, t, db})
	}
	return all, clock
}

func (n node) fresh() {
	n.t.Helper()
	if err := n.db.Fresh(n.t.Context()); err != nil {
		n.t.Fatal(err)
	}
}

func (n node) tend() {
	n.t.Helper()
	n.fresh()
	if err := n.Tend(n.t.Context()); err != nil {
		n.t.Fatal(err)
	}
}

func (n node) sign(alg string) (token, kid string) {
	n.t.Helper()
	n.fresh() // as whoever issues does
	token, err := n.Sign(n.t.Context(), keys.AccessToken, alg, []byte(`{"sub":"ada"}`))
	if err != nil {
		n.t.Fatal(err)
	}
	_, kid, err = n.Verify(token, keys.AccessToken)
	if err != nil {
		n.t.Fatal(err)
	}
	return token, kid
}

func (n node) verifies(token string) bool {
	n.t.Helper()
	_, _, err := n.Verify(token, keys.AccessToken)
	if err != nil && !errors.Is(err, keys.ErrToken) {
		n.t.Fatal(err)
	}
	return err == nil
}

// published lists the ids in the document that this node serves.
func (n node) published() (ids []string) {
	n.t.Helper()
	n.fresh()
	for _, k := range published(n.t, n.Service).Keys {
		ids = append(ids, k.KeyID)
	}
	return ids
}

func (n node) list() (all []keys.Key) {
	n.t.Helper()
	if err := n.db.Read(n.t.Context(), func(tx *store.Tx) (err error) { all, err = n.List(tx); return err }); err != nil {
		n.t.Fatal(err)
	}
	return all
}

// states is what list says in short: "ES256 retired, ES256 current".
func (n node) states() string {
	n.t.Helper()
	var s []string
	for _, k := range n.list() {
		s = append(s, k.Alg+" "+string(k.State))
	}
	return strings.Join(s, ", ")
}

func (n node) want(states string) {
	n.t.Helper()
	if got := n.states(); got != states {
		n.t.Fatalf("keys are %q, not %q", got, states)
	}
}

func (n node) update(f func(*store.Tx) error) {
	n.t.Helper()
	if err := n.db.Update(n.t.Context(), f); err != nil {
		n.t.Fatal(err)
	}
}

func (n node) make(algs ...string) keys.Fresh {
	n.t.Helper()
	f, err := n.Make(algs...)
	if err != nil {
		n.t.Fatal(err)
	}
	return f
}

func (n node) rotate(soon bool, algs ...string) (changed bool) {
	n.t.Helper()
	fresh := n.make(algs...)
	n.update(func(tx *store.Tx) (err error) { changed, err = n.Rotate(tx, fresh, soon); return err })
	return changed
}

func (n node) retire(id string, fresh keys.Fresh) error {
	return n.db.Update(n.t.Context(), func(tx *store.Tx) error { return n.Retire(tx, fresh, id) })
}

func TestAKeyIsPublishedBeforeItSignsAndVerifiesUntilItsLastTokenHasExpired(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		all, clock := nodes(t, e, 2, store.Hooks{})
		a, b := all[0], all[1]
		token, old := a.sign("")
		step := func(d time.Duration) { clock.Add(d); a.tend(); b.tend() }

		step(keys.Every - keys.Lead - time.Second)
		a.want("ES256 current")
		step(time.Second)
		a.want("ES256 current, ES256 next")
		if got := a.published(); len(got) != 2 || !slices.Equal(got, b.published()) {
			t.Fatalf("published: %v and %v", got, b.published())
		}
		next := a.list()[1].ID

		step(keys.Lead - time.Microsecond)
		for _, n := range all {
			if _, kid := n.sign(""); kid != old {
				t.Fatal("a key signs before its time")
			}
		}
		last, _ := b.sign("")
		step(time.Microsecond)
		a.want("ES256 retired, ES256 current")
		for i, n := range all {
			newer, kid := n.sign("")
			if kid != next {
				t.Fatal("the old key signs after its time")
			}
			if !all[1-i].verifies(newer) || !n.verifies(token) || !n.verifies(last) {
				t.Fatal("a token does not verify at both nodes")
			}
		}

		// The last token of the old key was signed just before; one hour is its
		// life, and one hour more is for clocks.
		step(2*time.Hour - time.Microsecond)
		if !a.verifies(last) || !b.verifies(last) || len(a.published()) != 2 {
			t.Fatal("the old key went while a token of it may live")
		}
		step(time.Microsecond)
		a.want("ES256 current")
		if got := b.published(); a.verifies(last) || b.verifies(last) || !slices.Equal(got, []string{next}) {
			t.Fatalf("the old key is still there: %v", got)
		}
	})
}

// The life of a token may be lengthened while a key is on its way out.
func TestAKeyOutlivesTheLongestTokenEverHandedOut(t *testing.T) {
	t.Parallel()
	all, clock := nodes(t, storetest.Engines()[0], 1, store.Hooks{})
	n := all[0]
	n.rotate(true, directory.ES256)
	token, _ := n.sign("")
	n.update(func(tx *store.Tx) error {
		return tx.SaveResource(&directory.Resource{ID: "api://mail", TokenLife: 28 * time.Hour, Guarded: true})
	})
	clock.Add(keys.Soon + 28*time.Hour)
	n.tend()
	if !n.verifies(token) {
		t.Fatal("a token of 28 hours lost its key")
	}
	clock.Add(time.Hour)
	n.tend()
	if n.verifies(token) {
		t.Fatal("the key is still there")
	}
}

func TestOfSeveralNodesOneRotates(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		var other func()
		var once sync.Once
		hooks := store.Hooks{}
		if e.Postgres { // SQLite has one writer: nobody comes in between
			hooks.BeforeLock = func(*store.Tx) {
				if other != nil {
					once.Do(other)
				}
			}
		}
		all, clock := nodes(t, e, 2, hooks)
		clock.Add(keys.Every)
		other = all[1].tend
		all[0].tend()
		all[1].tend()
		all[0].want("ES256 current, ES256 next")
		if !slices.Equal(all[0].published(), all[1].published()) {
			t.Error("the nodes publish different keys")
		}
	})
}

func TestManyNodesAtOnceMakeOneFirstKey(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		all, _ := nodes(t, e, 2, store.Hooks{})
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				if _, err := all[i%2].Sign(t.Context(), keys.IDToken, directory.EdDSA, nil); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		all[0].want("ES256 current, EdDSA next")
	})
}

func TestAnAlgorithmGetsItsKeyWhenARegistrationAsksForIt(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		all, clock := nodes(t, e, 2, store.Hooks{})
		a, b := all[0], all[1]
		a.tend()
		a.want("ES256 current")
		app := &directory.App{ID: "tripboard", Object: directory.NewID[directory.App](clock.Now()), Enabled: true, Public: true, SigningAlg: directory.RS256}
		a.update(func(tx *store.Tx) error { return tx.SaveApp(app) })
		a.update(func(tx *store.Tx) error {
			return tx.SaveResource(&directory.Resource{ID: "api://mail", SigningAlg: directory.EdDSA})
		})
		b.tend()
		a.want("ES256 current, RS256 next, EdDSA next")
		// Published at every node before any token was signed with them.
		for _, alg := range []string{directory.RS256, directory.EdDSA} {
			was := a.published()
			if _, kid := b.sign(alg); !slices.Contains(was, kid) {
				t.Errorf("%s signs with a key that was not published", alg)
			}
		}

		// Who was there long before the key gets it when no copy of the published
		// keys can lack it; who has just come, at once.
		use := func(want string, since time.Time) {
			t.Helper()
			for i, n := range all {
				if alg, err := n.Use(t.Context(), directory.RS256, since); err != nil || alg != want {
					t.Errorf("node %d signs with %s (%v), not %s", i, alg, err, want)
				}
			}
		}
		made := clock.Now()
		use(directory.ES256, made.Add(-keys.Soon-time.Second))
		use(directory.RS256, made.Add(-keys.Soon))
		clock.Add(keys.Soon - time.Microsecond)
		use(directory.ES256, made.Add(-keys.Soon-time.Second))
		clock.Add(time.Microsecond)
		use(directory.RS256, made.Add(-keys.Soon-time.Second))

		// When nobody asks any more the key stays and gets no successor.
		app.SigningAlg = ""
		a.update(func(tx *store.Tx) error { return tx.SaveApp(app) })
		clock.Add(keys.Every)
		a.tend()
		a.want("ES256 current, ES256 next, RS256 current, EdDSA current, EdDSA next")
	})
}

// A node that has not followed yet meets a token of one that has.
func TestAnUnknownKeyIsLookedForOnceASecond(t *testing.T) {
	t.Parallel()
	all, clock := nodes(t, storetest.Engines()[0], 2, store.Hooks{})
	a, b := all[0], all[1]
	token, first := a.sign("")
	none := func(string) bool { return false }
	b.Forget(none)
	if !b.verifies(token) {
		t.Fatal("the key was not looked for")
	}
	b.Forget(none)
	if b.verifies(token) {
		t.Fatal("looked for twice in a second")
	}
	clock.Add(time.Second)
	if !b.verifies(token) {
		t.Fatal("never looked for again")
	}
	// Names that cannot be ours cost nothing.
	b.Forget(func(kid string) bool { return kid == first })
	clock.Add(time.Second)
	for _, head := range []string{`{"alg":"ES256","typ":"at+jwt","kid":"mallory"}`, `{"alg":"HS256","typ":"at+jwt","kid":"` + first + `"}`, `{"alg":"ES256","typ":"JWT","kid":"` + first + `"}`, `{}`, `x`} {
		if b.verifies(encode(head) + ".e30.AAAA") {
			t.Fatalf("%s passed", head)
		}
	}
	b.Forget(none)
	if !b.verifies(token) {
		t.Error("a header that cannot be ours used up the look of this second")
	}
}

func TestRotateByCommand(t *testing.T) {
	t.Parallel()
	all, clock := nodes(t, storetest.Engines()[0], 1, store.Hooks{})
	n := all[0]
	n.sign(directory.EdDSA)
	clock.Add(keys.Soon)
	begin := clock.Now()

	if !n.rotate(false, directory.ES256) {
		t.Fatal("nothing was done")
	}
	if k := n.list()[1]; !k.Active.Equal(begin.Add(keys.Lead)) || k.State != keys.Next || !n.list()[0].Retired.Equal(k.Active) {
		t.Fatalf("the next key: %+v after %+v", k, n.list()[0])
	}
	if n.rotate(false, directory.ES256) {
		t.Fatal("a second next key")
	}
	n.want("ES256 current, ES256 next, EdDSA current")

	// In a hurry the next key is brought forward, no further than caches allow.
	clock.Add(time.Minute)
	if !n.rotate(true, directory.ES256, directory.EdDSA) {
		t.Fatal("nothing was brought forward")
	}
	if k := n.list()[1]; !k.Active.Equal(begin.Add(keys.Soon)) || !n.list()[0].Retired.Equal(k.Active) {
		t.Fatalf("brought forward to %v", k.Active)
	}
	if k := n.list()[3]; k.Alg != directory.EdDSA || !k.Active.Equal(clock.Now().Add(keys.Soon)) {
		t.Fatalf("the next key of the other algorithm: %+v", k)
	}
	if n.rotate(true, directory.ES256) {
		t.Fatal("brought forward twice")
	}
	clock.Add(keys.Soon)
	n.want("ES256 retired, ES256 current, EdDSA retired, EdDSA current")

	// One that has been published for long enough is used at once.
	n.rotate(false, directory.ES256)
	clock.Add(time.Hour)
	n.rotate(true, directory.ES256)
	if k := n.list()[2]; !k.Active.Equal(clock.Now()) || k.State != keys.Current {
		t.Fatalf("%+v", k)
	}
}

func TestRetire(t *testing.T) {
	t.Parallel()
	all, clock := nodes(t, storetest.Engines()[0], 1, store.Hooks{})
	n := all[0]
	if err := n.retire("mallory", nil); !fault.Is(err, fault.NotFound) {
		t.Errorf("a key that is not there: %v", err)
	}
	n.rotate(false, directory.ES256)
	first, next := n.list()[0].ID, n.list()[1].ID

	// The next one: withdrawn, as if it had never been.
	if err := n.retire(next, nil); err != nil {
		t.Fatal(err)
	}
	n.want("ES256 current")
	if k := n.list()[0]; !k.Retired.IsZero() || !k.Ends.IsZero() {
		t.Fatalf("the one in use still ends: %+v", k)
	}

	// The one in use: not without a successor, who takes over soon.
	if err := n.retire(first, nil); !fault.Is(err, fault.Conflict) {
		t.Errorf("retired without a successor: %v", err)
	}
	if err := n.retire(first, n.make(directory.ES256)); err != nil {
		t.Fatal(err)
	}
	clock.Add(keys.Soon)
	n.want("ES256 retired, ES256 current")

	// One that is retired already: it ends by itself, and the sentence says when.
	if err := n.retire(first, n.make(directory.ES256)); !fault.Is(err, fault.Conflict) || !strings.Contains(fault.Public(err), n.list()[0].Ends.Format(time.RFC3339)) {
		t.Errorf("retired twice: %v", err)
	}

	// One of an algorithm that nobody asks for: no successor.
	_, eddsa := n.sign(directory.EdDSA)
	clock.Add(keys.Soon)
	if needs, err := n.Needs(t.Context(), directory.EdDSA); err != nil || needs {
		t.Fatalf("needed: %v %v", needs, err)
	}
	if err := n.retire(eddsa, nil); err != nil {
		t.Fatal(err)
	}
	n.want("ES256 retired, ES256 current, EdDSA retired")
	if _, again := n.sign(directory.EdDSA); again == eddsa {
		t.Error("a retired key signs")
	}
}

func TestADroppedKeyIsGoneAtEveryNodeOnceTheLineIsFollowed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		all, clock := nodes(t, e, 2, store.Hooks{})
		a, b := all[0], all[1]
		other, eddsa := a.sign(directory.EdDSA)
		a.rotate(true, directory.ES256)
		clock.Add(keys.Soon)
		retired := a.list()[0].ID
		a.rotate(false, directory.ES256)
		token, stolen := a.sign("")
		if len(b.published()) != 4 {
			t.Fatalf("keys: %s", a.states())
		}
		before, _ := a.db.View().Head()
		fresh := a.make(directory.ES256)
		a.update(func(tx *store.Tx) error {
			tx.Cut(&store.Cut{Cause: standing.KeyDropped, Cuts: []cutoff.Cutoff{{Scope: cutoff.All, Reach: cutoff.Tokens}}})
			return a.Drop(tx, fresh, []string{directory.ES256})
		})
		if lines, _, _, ok := a.db.View().After(before); !ok || len(lines) != 1 {
			t.Errorf("%d lines", len(lines))
		}
		for i, n := range all {
			ids := n.published()
			if len(ids) != 2 || slices.Contains(ids, stolen) || slices.Contains(ids, retired) || !slices.Contains(ids, eddsa) {
				t.Errorf("node %d publishes %v", i, ids)
			}
			if has, err := n.Has(stolen); err != nil || has || n.verifies(token) {
				t.Errorf("node %d verifies by the dropped key (%v)", i, err)
			}
			if !n.verifies(other) {
				t.Errorf("node %d lost the key of another algorithm", i)
			}
			if _, kid := n.sign(""); kid == stolen || !slices.Contains(ids, kid) {
				t.Errorf("node %d signs with %s", i, kid)
			}
		}
		a.want("ES256 current, EdDSA current")
	})
}

// A backup brings back the keys it holds; a node goes by them, not by what it
// remembers.
func TestKeysAreReadAnewWhenHistoryWasLost(t *testing.T) {
	t.Parallel()
	all, _ := nodes(t, storetest.Engines()[0], 1, store.Hooks{})
	n := all[0]
	n.Forget(func(string) bool { return false })
	if err := n.db.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := n.published(); len(got) != 1 {
		t.Errorf("published after the era: %v", got)
	}
}

func TestRS256WaitsForItsTurnAndTheOthersDoNot(t *testing.T) {
	t.Parallel()
	all, _ := nodes(t, storetest.Engines()[0], 1, store.Hooks{})
	n := all[0]
	for _, alg := range directory.SigningAlgs() {
		n.sign(alg)
	}
	leave := n.Fill()
	ctx, cancel := context.WithCancel(t.Context())
	waits := make(chan error)
	go func() {
		_, err := n.Sign(ctx, keys.IDToken, directory.RS256, nil)
		waits <- err
	}()
	n.sign(directory.ES256)
	n.sign(directory.EdDSA)
	select {
	case err := <-waits:
		t.Fatalf("did not wait: %v", err)
	default:
	}
	cancel()
	if err := <-waits; !fault.Is(err, fault.Unavailable) {
		t.Fatalf("given up: %v", err)
	}
	leave()
	n.sign(directory.RS256)
}

// Whoever can write to the database cannot make one key out of another.
func TestARowIsTakenForNothingButItself(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(rows []store.Key) store.Key{
		"the box of another key":  func(rows []store.Key) store.Key { rows[0].Wrapped = rows[1].Wrapped; return rows[0] },
		"another algorithm":       func(rows []store.Key) store.Key { rows[0].Alg = directory.EdDSA; return rows[0] },
		"a key that is too short": func(rows []store.Key) store.Key { rows[0].Wrapped = rows[0].Wrapped[:5]; return rows[0] },
	} {
		clock := storetest.NewClock()
		db := storetest.Open(t, storetest.Engines()[0].New(t)(store.Config{Now: clock.Now}))
		open := func() (*keys.Service, error) { return keys.Open(t.Context(), db, bytesOf('a'), clock.Now) }
		k, err := open()
		if err != nil {
			t.Fatal(err)
		}
		clock.Add(time.Second) // so that it is the second one
		if _, err := k.Sign(t.Context(), keys.IDToken, directory.EdDSA, nil); err != nil {
			t.Fatal(err)
		}
		err = db.Update(t.Context(), func(tx *store.Tx) error {
			rows, err := tx.Keys()
			if err != nil {
				return err
			}
			row := change(rows)
			if err := tx.DeleteKey(row.ID); err != nil {
				return err
			}
			return tx.CreateKey(row)
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := open(); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

// What is published is what is in the box, not what stands beside it.
func TestAForeignPublicKeyInTheDatabaseIsNotPublished(t *testing.T) {
	t.Parallel()
	all, clock := nodes(t, storetest.Engines()[0], 1, store.Hooks{})
	n := all[0]
	was := n.published()
	n.update(func(tx *store.Tx) error {
		rows, err := tx.Keys()
		if err != nil {
			return err
		}
		rows[0].Public = `{"kty":"oct","k":"bWFsbG9yeQ","kid":"mallory"}`
		if err := tx.DeleteKey(rows[0].ID); err != nil {
			return err
		}
		return tx.CreateKey(rows[0])
	})
	k, err := keys.Open(t.Context(), n.db, bytesOf('a'), clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	if got := (node{k, t, n.db}).published(); !slices.Equal(got, was) {
		t.Errorf("published %v", got)
	}
}

func TestRunTendsTheKeysUntilItIsStopped(t *testing.T) {
	t.Parallel()
	all, clock := nodes(t, storetest.Engines()[0], 1, store.Hooks{})
	n := all[0]
	clock.Add(keys.Every)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	before, _ := n.db.View().Head()
	go func() { n.Run(ctx); close(ended) }()
	if err := n.db.View().Wait(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-ended
	n.want("ES256 current, ES256 next")
}
