package signin

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/text/unicode/norm"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

func wantTooMany(t *testing.T, err error) time.Time {
	t.Helper()
	var many *TooMany
	if !fault.Is(err, fault.Limited) || !errors.As(err, &many) {
		t.Fatalf("got %v, want Limited", err)
	}
	return many.Until
}

func TestGuessingIsThrottledBeforeHashing(t *testing.T) {
	onBoth(t, func(t *testing.T, r *room) {
		r.user(adaName, adaFirst)
		before := r.hashes.Load()
		wrong := func(ip string) error {
			a := attempt(adaName, "something else")
			a.IP = ip
			_, _, err := r.Password(t.Context(), a)
			return err
		}
		for range perPair.burst {
			wantKind(t, wrong("192.0.2.66"), fault.Unauthenticated, ErrPair)
		}
		err := wrong("192.0.2.66")
		until := wantTooMany(t, err)
		if n := r.hashes.Load() - before; n != int64(perPair.burst) {
			t.Errorf("%d hashes for %d tries that were let through", n, perPair.burst)
		}
		if got := fault.Public(err); got != "Too many tries. Try again at 12:01 UTC." {
			t.Error(got)
		}
		if want := r.clock.now().Add(perPair.every); !until.Equal(want) {
			t.Errorf("until %v, want %v", until, want)
		}
		// The right password does not help at this address, and is not tried.
		a := attempt(adaName, adaFirst)
		a.IP = "192.0.2.66"
		_, _, err = r.Password(t.Context(), a)
		wantTooMany(t, err)
		// The owner, elsewhere, gets in.
		r.alive(r.in(attempt(adaName, adaFirst)).Cookie)

		r.clock.advance(until.Sub(r.clock.now()) - time.Microsecond)
		wantTooMany(t, wrong("192.0.2.66"))
		r.clock.advance(time.Microsecond)
		wantKind(t, wrong("192.0.2.66"), fault.Unauthenticated, ErrPair)
		wantTooMany(t, wrong("192.0.2.66"))
	})
}

// A stranger with many addresses uses up the account's own limit. The owner is
// let through where they are signed in, and only there.
func TestAStrangerCannotLockTheOwnerOut(t *testing.T) {
	onBoth(t, func(t *testing.T, r *room) {
		ada := r.user(adaName, adaFirst)
		var told []string
		r.Attacked = func(u *directory.User) { told = append(told, u.Name) }
		r.in(attempt(adaName, adaFirst))
		for i := range perAccount.burst {
			a := attempt(adaName, "something else")
			a.IP = fmt.Sprintf("198.51.100.%d", i)
			_, _, err := r.Password(t.Context(), a)
			wantKind(t, err, fault.Unauthenticated, ErrPair)
		}
		before := r.hashes.Load()
		a := attempt(adaName, "something else")
		a.IP = "203.0.113.9"
		_, _, err := r.Password(t.Context(), a)
		wantTooMany(t, err)
		if r.hashes.Load() != before {
			t.Error("hashed all the same")
		}
		// She is told once, and the audit log says it once, however long it goes on.
		for range 3 {
			_, _, err = r.Password(t.Context(), a)
			wantTooMany(t, err)
		}
		if len(told) != 1 || told[0] != ada.Name {
			t.Errorf("told: %v", told)
		}
		var log []audit.Record
		if err := r.DB.Read(t.Context(), func(tx *store.Tx) (err error) {
			log, err = tx.Audits(store.AuditQuery{Target: ada.ID.String(), Limit: 100})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		said := slices.DeleteFunc(log, func(x audit.Record) bool { return x.Action != "Account under attack" || x.Result != audit.Failure })
		if len(said) != 1 {
			t.Errorf("the audit log says it %d times: %+v", len(said), log)
		}
		r.in(attempt(adaName, adaFirst))
		// A session that was cut vouches for no address.
		r.revoke(ada)
		_, _, err = r.Password(t.Context(), attempt(adaName, adaFirst))
		wantTooMany(t, err)
	})
}

func TestManyAccountsFromOneAddress(t *testing.T) {
	t.Parallel()
	r := open(t, sqlite(t), store.Hooks{})
	r.user(adaName, adaFirst)
	try := func(i int, ip string) error {
		a := attempt(fmt.Sprintf("user%d@contoso.example", i), "Winter2026")
		a.IP = ip
		_, _, err := r.Password(t.Context(), a)
		return err
	}
	for i := range perAddress.burst { // all over one /64
		wantKind(t, try(i, fmt.Sprintf("2001:db8:1:2::%x", i)), fault.Unauthenticated, ErrPair)
	}
	wantTooMany(t, try(1000, "2001:db8:1:2:ffff::1"))
	wantKind(t, try(1000, "2001:db8:1:3::1"), fault.Unauthenticated, ErrPair)
}

func TestRightPasswordsAreNotCounted(t *testing.T) {
	t.Parallel()
	r := open(t, sqlite(t), store.Hooks{})
	r.user(adaName, adaFirst)
	for range 3 * perAddress.burst {
		r.in(attempt(adaName, adaFirst))
	}
}

func TestNewPasswordsCountTriesToo(t *testing.T) {
	t.Parallel()
	r := open(t, sqlite(t), store.Hooks{})
	r.user(adaName, adaFirst)
	x := r.in(attempt(adaName, adaFirst))
	for range perPair.burst {
		_, _, err := r.ChangePassword(t.Context(), x, "something else", adaNext)
		wantKind(t, err, fault.Invalid, ErrCurrent)
	}
	_, _, err := r.ChangePassword(t.Context(), x, adaFirst, adaNext)
	wantTooMany(t, err)
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "192.0.2.7:443": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8::1": "2001:db8::/64",
		"[2001:db8::1]:443": "2001:db8::/64", "fe80::1%eth0": "fe80::/64", "": "", "unix": "unix",
	} {
		if got := network(ip); got != want {
			t.Errorf("%q is %q, want %q", ip, got, want)
		}
	}
}

// A flood of keys neither grows the memory nor makes us forget who is throttled.
func TestABucketForgetsWhoOwesLeast(t *testing.T) {
	t.Parallel()
	b := newBucket(perPair)
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for b.take("guesser", now).IsZero() {
	}
	for i := range 2 * maxKeys {
		if until := b.take(fmt.Sprint("key ", i), now); !until.IsZero() {
			t.Fatal("a key that never tried is throttled")
		}
	}
	if len(b.full) > maxKeys {
		t.Errorf("%d keys are held", len(b.full))
	}
	if b.take("guesser", now).IsZero() {
		t.Error("forgotten")
	}
}

func TestStormIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := NewHasher()
		h.ordinary = make(chan struct{}, 2)
		var now, most, done atomic.Int64
		h.derive = func(password, salt []byte, p params, n uint32) []byte {
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(33 * time.Millisecond)
			now.Add(-1)
			done.Add(1)
			return make([]byte, n)
		}
		var limited atomic.Int64
		var all sync.WaitGroup
		start := time.Now()
		for range 1000 {
			all.Go(func() {
				if _, err := h.Hash(t.Context(), "x", false); fault.Is(err, fault.Limited) {
					limited.Add(1)
				} else if err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if most.Load() != 2 {
			t.Errorf("%d hashes at once, want 2", most.Load())
		}
		// Whoever came to revoke does not stand in that line.
		if _, err := h.Hash(t.Context(), "x", true); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(start); waited > 100*time.Millisecond {
			t.Errorf("somebody with a role waited %v", waited)
		}
		all.Wait()
		if most.Load() > 3 || now.Load() != 0 || h.waiting.Load() != 0 || h.ahead.Load() != 0 || len(h.ordinary) != 0 || len(h.reserved) != 0 {
			t.Errorf("at most %d at once; left over: %d hashing, %d and %d waiting, %d and %d places", most.Load(), now.Load(), h.waiting.Load(), h.ahead.Load(), len(h.ordinary), len(h.reserved))
		}
		if bound := int64(2 + 2*waitersPerPlace + 1); done.Load() > bound || done.Load()+limited.Load() != 1001 {
			t.Errorf("%d hashed (at most %d), %d refused", done.Load(), bound, limited.Load())
		}
	})
}

func TestWaitingEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := NewHasher()
		h.ordinary = make(chan struct{}, 1)
		h.ordinary <- struct{}{} // a hash that never ends
		start := time.Now()
		_, err := h.Hash(t.Context(), "x", false)
		wantTooMany(t, err)
		if waited := time.Since(start); waited != longestWait {
			t.Errorf("waited %v", waited)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		_, _, err = h.Verify(ctx, "", "x", false)
		if !fault.Is(err, fault.Unavailable) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		if _, err := h.Hash(ctx, "x", true); !fault.Is(err, fault.Unavailable) {
			t.Errorf("a caller that is gone got a place: %v", err)
		}
	})
}

func TestPlacesAreFewerThanCores(t *testing.T) {
	t.Parallel()
	h, n := NewHasher(), runtime.GOMAXPROCS(0)
	if got := cap(h.ordinary) + cap(h.reserved); cap(h.ordinary) < 1 || cap(h.reserved) != 1 || n > 2 && got != n-1 || n <= 2 && got != 2 {
		t.Errorf("%d and %d places on %d cores", cap(h.ordinary), cap(h.reserved), n)
	}
}

// The pool's reserved place is given by the role that is held, read before hashing.
func TestAdministratorsSignInDuringAStorm(t *testing.T) {
	onBoth(t, func(t *testing.T, r *room) {
		r.give(r.user("grace@contoso.example", adaNext), role.HelpdeskAdministrator)
		r.user(adaName, adaFirst)
		for range cap(r.Hasher.ordinary) {
			r.Hasher.ordinary <- struct{}{}
		}
		r.in(attempt("grace@contoso.example", adaNext))
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, _, err := r.Password(ctx, attempt(adaName, adaFirst))
		wantKind(t, err, fault.Unavailable, context.DeadlineExceeded)
		for range cap(r.Hasher.ordinary) {
			<-r.Hasher.ordinary
		}
		for range 2 * perPair.burst { // what was never compared was not counted
			r.in(attempt(adaName, adaFirst))
		}
	})
}

func TestHashes(t *testing.T) {
	t.Parallel()
	h := NewHasher()
	ctx := t.Context()
	phc, err := h.Hash(ctx, "Ångström's otter", false)
	if err != nil || !strings.HasPrefix(phc, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatalf("%q, %v", phc, err)
	}
	again, _ := h.Hash(ctx, "Ångström's otter", true)
	if again == phc {
		t.Error("no salt")
	}
	// From the reference implementation's command line: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 4 -l 24 -e
	const reference = "$argon2id$v=19$m=65536,t=2,p=4$c29tZXNhbHQ$GpZ3sK/oH9p7VIiV56G/64Zo/8GaUw434IimaPqxwCo"
	for _, c := range []struct {
		phc, password string
		ok, rehash    bool
	}{
		{phc, "Ångström's otter", true, false},
		{phc, norm.NFD.String("Ångström's otter"), true, false},
		{phc, "Angstrom's otter", false, false},
		{phc, "", false, false},
		{"", "", false, false},
		{h.dummy, "", false, false},
		{reference, "password", true, true},
		{reference, "passwore", false, false},
	} {
		ok, rehash, err := h.Verify(ctx, c.phc, c.password, false)
		if ok != c.ok || rehash != c.rehash || err != nil {
			t.Errorf("%q against %q: %v, %v, %v", c.password, c.phc, ok, rehash, err)
		}
	}
	for _, bad := range []string{"x", "$argon2i$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$GpZ3sK/oH9p7VIiV56G/64Zo", "$argon2id$v=16$m=19456,t=2,p=1$c29tZXNhbHQ$GpZ3sK/oH9p7VIiV56G/64Zo",
		"$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ$GpZ3sK/oH9p7VIiV56G/64Zo", "$argon2id$v=19$m=19456,t=0,p=1$c29tZXNhbHQ$GpZ3sK/oH9p7VIiV56G/64Zo",
		"$argon2id$v=19$m=19456,t=2,p=1,x=1$c29tZXNhbHQ$GpZ3sK/oH9p7VIiV56G/64Zo", "$argon2id$v=19$m=19456,t=2,p=1$$", "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$!"} {
		if ok, _, err := h.Verify(ctx, bad, "password", false); ok || err == nil || fault.KindOf(err) != fault.Internal {
			t.Errorf("%q: %v, %v", bad, ok, err)
		}
	}
}

func FuzzPHC(f *testing.F) {
	f.Add("$argon2id$v=19$m=65536,t=2,p=4$c29tZXNhbHQ$GpZ3sK/oH9p7VIiV56G/64Zo/8GaUw434IimaPqxwCo")
	f.Add("$argon2id$v=19$m=0,t=0,p=0$$")
	f.Fuzz(func(t *testing.T, phc string) {
		p, salt, key, err := decode(phc)
		if err == nil && encode(p, salt, key) != phc {
			t.Errorf("%q reads as %q", phc, encode(p, salt, key))
		}
	})
}

func TestAgents(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		firefox: "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0":                  "Edge on Windows",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36":                                "Chrome on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15":                          "Safari on macOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1":        "Safari on iPhone",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/126.0.6478.35 Mobile/15E148 Safari/604.1": "Chrome on iPhone",
		"Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36":     "Samsung Internet on Android",
		"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36":                                 "Chrome on ChromeOS",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 OPR/112.0.0.0":                  "Opera on Windows",
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.0.0 Safari/537.36":                                  "Chrome on Linux",
		"Go-http-client/1.1": "A Go program",
		"curl/8.5.0":         "curl",
		"Mozilla/5.0 (X11; FreeBSD amd64) Something/1.0": "A browser on FreeBSD",
		"":                         "An unknown browser",
		"<script>alert()</script>": "An unknown browser",
	} {
		if got := agent(header); got != want {
			t.Errorf("%q is %q, want %q", header, got, want)
		}
	}
}

// The sign-in of somebody who does not exist costs what a wrong password costs,
// with the real hash.
func BenchmarkWrongPassword(b *testing.B) {
	h := NewHasher()
	phc, _ := h.Hash(b.Context(), "otter window lilac 41", false)
	for name, stored := range map[string]string{"known": phc, "unknown": ""} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				h.Verify(b.Context(), stored, "something else", false)
			}
		})
	}
}
