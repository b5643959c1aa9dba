package signin

import (
	"bytes"
	"context"
	"errors"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// grantIn gives an application a grant in a session.
func (r *room) grantIn(x *Signed) directory.GrantID {
	r.t.Helper()
	g := &grant.Grant{ID: directory.NewID[directory.Grant](r.clock.now()), User: x.User.ID, App: "mail", Session: x.Session.ID, Offline: true,
		Created: r.clock.now(), LastUsed: r.clock.now(), AuthTime: r.clock.now(), State: grant.State{Generation: 1}}
	r.update(func(tx *store.Tx) error { return tx.CreateGrant(g) })
	return g.ID
}

func (r *room) grantAlive(id directory.GrantID) (alive bool) {
	r.t.Helper()
	r.update(func(tx *store.Tx) error {
		g, err := tx.Grant(id)
		if err != nil {
			return err
		}
		o := g.Owner()
		p, err := tx.Latest(&o, cutoff.Token)
		alive = g.Born >= p
		return err
	})
	return alive
}

func TestOwnPasswordChangeKeepsOnlyThisSession(t *testing.T) {
	onBoth(t, func(t *testing.T, r *room) {
		ada := r.user(adaName, adaFirst)
		here, there := r.in(attempt(adaName, adaFirst)), r.in(attempt(adaName, adaFirst))
		mine, other := r.grantIn(here), r.grantIn(there)
		me := r.alive(here.Cookie)
		r.clock.advance(time.Second)
		cookie, receipt, err := r.ChangePassword(t.Context(), me, adaFirst, adaNext)
		if err != nil {
			t.Fatal(err)
		}
		if x := r.alive(cookie); x.Session.ID != here.Session.ID || x.Session.Born != me.Session.Born || x.Actor.Born != me.Actor.Born {
			t.Errorf("stored %+v, brought up to date %+v", x.Session, me.Session)
		}
		if _, err := r.Session(t.Context(), here.Cookie, ""); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("the old cookie value: %v", err)
		}
		r.ended(there.Cookie, standing.PasswordChanged)
		if !r.grantAlive(mine) || r.grantAlive(other) {
			t.Errorf("grant of this session alive %v, of the other %v", r.grantAlive(mine), r.grantAlive(other))
		}
		if receipt.Cause != standing.PasswordChanged || !receipt.Kept || receipt.Rest == nil || receipt.Rest.Sessions != 1 || receipt.Rest.Grants != 1 {
			t.Errorf("receipt %+v, rest %+v", receipt, receipt.Rest)
		}
		_, _, err = r.Password(t.Context(), attempt(adaName, adaFirst))
		wantKind(t, err, fault.Unauthenticated, ErrPair)
		r.alive(r.in(attempt(adaName, adaNext)).Cookie)
		wantAudit(t, r, "Change user password", ada)
	})
}

func TestOwnPasswordChangeWithoutASession(t *testing.T) {
	onBoth(t, func(t *testing.T, r *room) {
		r.user(adaName, adaFirst)
		x := r.in(attempt(adaName, adaFirst))
		byToken := &Signed{User: x.User, Actor: x.Actor}
		cookie, receipt, err := r.ChangePassword(t.Context(), byToken, adaFirst, adaNext)
		if err != nil || cookie != "" || receipt.Cause != standing.PasswordChanged || receipt.Kept {
			t.Fatalf("cookie %q, receipt %+v, %v", cookie, receipt, err)
		}
		r.ended(x.Cookie, standing.PasswordChanged)
	})
}

func TestOwnPasswordChangeRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, r *room) {
		r.user(adaName, adaFirst)
		mallory := r.user("mallory@contoso.example", "sand anchor violet 5")
		r.give(mallory, role.GlobalAdministrator)
		x := r.in(attempt(adaName, adaFirst))
		m := r.in(attempt("mallory@contoso.example", "sand anchor violet 5"))
		for name, c := range map[string]struct {
			signed        *Signed
			current, next string
			kind          fault.Kind
			is            error
		}{
			"somebody else's, by a Global Administrator": {&Signed{User: x.User, Session: m.Session, Actor: m.Actor}, adaFirst, adaNext, fault.Denied, nil},
			"by nobody":          {&Signed{User: x.User}, adaFirst, adaNext, fault.Denied, nil},
			"client without it":  {&Signed{User: x.User, Actor: directory.Actor{User: x.User.ID, Scopes: []string{"User.Read"}}}, adaFirst, adaNext, fault.Denied, nil},
			"wrong current":      {x, "something else", adaNext, fault.Invalid, ErrCurrent},
			"empty current":      {x, "", adaNext, fault.Invalid, ErrCurrent},
			"unfit new one":      {x, adaFirst, "short", fault.Invalid, ErrNew},
			"the same once more": {x, adaFirst, adaFirst, fault.Invalid, ErrNew},
		} {
			cookie, _, err := r.ChangePassword(t.Context(), c.signed, c.current, c.next)
			if cookie != "" || !fault.Is(err, c.kind) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("%s: %v", name, err)
			}
		}
		r.alive(x.Cookie)
		r.alive(r.in(attempt(adaName, adaFirst)).Cookie)
	})
}

// An administrator's revoke that commits during an own password change leaves
// the session dead, and the change undone.
func TestTrace2RevokeDuringOwnPasswordChange(t *testing.T) {
	t.Parallel()
	for place, c := range map[string]struct {
		hooks func(fire func()) store.Hooks
		cut   func(r *room, x *Signed)
	}{
		"after the head": {
			func(fire func()) store.Hooks { return store.Hooks{AfterHead: func(*store.Tx) { fire() }} },
			func(r *room, x *Signed) { r.revoke(x.User) },
		},
		// The user's row is locked by then; a revoke of the session alone is not held up.
		"before the lock": {
			func(fire func()) store.Hooks { return store.Hooks{BeforeLock: func(*store.Tx) { fire() }} },
			func(r *room, x *Signed) { r.Revoke.SignOut(context.Background(), x.Session.ID) },
		},
	} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			var armed atomic.Bool
			var hold func()
			r := open(t, storetest.Postgres(t), c.hooks(func() {
				if bytes.Contains(debug.Stack(), []byte("(*Service).replace(")) && armed.CompareAndSwap(true, false) {
					hold()
				}
			}))
			r.user(adaName, adaFirst)
			x := r.in(attempt(adaName, adaFirst))
			hold = func() { c.cut(r, x) }
			armed.Store(true)
			cookie, _, err := r.ChangePassword(t.Context(), x, adaFirst, adaNext)
			if armed.Load() {
				t.Fatal("the change was not held")
			}
			if cookie != "" || !fault.Is(err, fault.Revoked) {
				t.Fatalf("cookie %q, %v", cookie, err)
			}
			if _, err := r.Session(t.Context(), x.Cookie, ""); !fault.Is(err, fault.Revoked) {
				t.Fatalf("the session lives: %v", err)
			}
			r.alive(r.in(attempt(adaName, adaFirst)).Cookie) // nothing was changed
		})
	}
}

// A reset by an administrator between the hash and the transaction wins.
func TestResetDuringOwnPasswordChange(t *testing.T) {
	onBoth(t, func(t *testing.T, r *room) {
		ada := r.user(adaName, adaFirst)
		x := r.in(attempt(adaName, adaFirst))
		r.atHash(func() { r.reset(ada, "third moon pickle 9", false) })
		_, _, err := r.ChangePassword(t.Context(), x, adaFirst, adaNext)
		wantKind(t, err, fault.Invalid, ErrCurrent)
		r.ended(x.Cookie, standing.PasswordReset)
		r.alive(r.in(attempt(adaName, "third moon pickle 9")).Cookie)
	})
}

// Two at once, as after a double click: one of them changes the password.
func TestTwoOwnPasswordChangesAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, r *room) {
		r.user(adaName, adaFirst)
		x := r.in(attempt(adaName, adaFirst))
		var mu sync.Mutex
		var won []string
		var all sync.WaitGroup
		both := []*Signed{r.alive(x.Cookie), r.alive(x.Cookie)}
		for i, next := range []string{adaNext, "third moon pickle 9"} {
			mine := both[i]
			all.Go(func() {
				cookie, _, err := r.ChangePassword(t.Context(), mine, adaFirst, next)
				switch {
				case err == nil:
					mu.Lock()
					defer mu.Unlock()
					won = append(won, next)
					if _, err := r.Session(t.Context(), cookie, ""); err != nil {
						t.Error(err)
					}
				case !fault.Is(err, fault.Revoked) && !errors.Is(err, ErrCurrent):
					t.Errorf("got %v", err)
				}
			})
		}
		all.Wait()
		if len(won) != 1 {
			t.Fatalf("won: %q", won)
		}
		r.in(attempt(adaName, won[0]))
	})
}

// Two at once with one ticket: one of them sets the password.
func TestATicketIsGoodOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, r *room) {
		r.user(adaName, adaFirst, func(u *directory.User) { u.Password.MustChange = true })
		_, must, err := r.Password(t.Context(), attempt(adaName, adaFirst))
		if err != nil {
			t.Fatal(err)
		}
		var won atomic.Int32
		var all sync.WaitGroup
		for _, next := range []string{adaNext, "third moon pickle 9", "fourth heron teapot 3"} {
			all.Go(func() {
				x, err := r.FinishChange(t.Context(), must.Ticket, next, attempt("", ""))
				switch {
				case err == nil:
					won.Add(1)
					r.alive(x.Cookie)
				case !fault.Is(err, fault.Revoked):
					t.Errorf("got %v", err)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 {
			t.Errorf("%d won", won.Load())
		}
	})
}

func TestNewPasswords(t *testing.T) {
	t.Parallel()
	s := &Service{}
	ada := &directory.User{Name: "ada.lovelace@contoso.example", DisplayName: "Ada Lovelace", GivenName: "Ada", Surname: "Lovelace"}
	for password, fit := range map[string]bool{
		"otter window lilac 41":                   true,
		"xWwvJ]6NMw+bWH-d":                        true,
		"ünïcödé pässwörter":                      true,
		"🦦🪟🌸🐢🍋🧭🎻🪁🧊🔑🌙🐝":                            true,
		"correct horse battery staple":            false,
		"short":                                   false,
		"elevenchars":                             false,
		"":                                        false,
		"passwordpassword":                        false,
		"P@ssw0rd1234":                            false,
		"Summer2026!!":                            false,
		"aaaaaaaaaaaaaaaa":                        false,
		"ababababababab":                          false,
		"qwertyuiop123456":                        false,
		"Ada-Lovelace-2026":                       false,
		"contoso.example.1":                       false,
		"adalovelace1":                            false,
		"otter window\x00lilac":                   false,
		"otter window \xff lilac":                 false,
		strings.Repeat("otter window lilac ", 14): false, // over 256 bytes
	} {
		if err := s.CheckNew(ada, password); (err == nil) != fit {
			t.Errorf("%q: %v", password, err)
		} else if err != nil && (!fault.Is(err, fault.Invalid) || !errors.Is(err, ErrNew)) {
			t.Errorf("%q: %v", password, err)
		}
	}
	if err := s.CheckNew(nil, "otter window lilac 41"); err != nil {
		t.Error(err)
	}
}

func TestSetUpMakesTheFirstAdministratorOnce(t *testing.T) {
	for name, url := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := open(t, url(t), store.Hooks{})
			ctx := t.Context()
			old, err := r.SetupLink(ctx)
			if err != nil {
				t.Fatal(err)
			}
			link, err := r.SetupLink(ctx)
			if err != nil {
				t.Fatal(err)
			}
			a := attempt("", "")
			setUp := func(secret, username, password string) (*Signed, error) {
				return r.SetUp(ctx, secret, username, "Grace Hopper", password, a)
			}
			_, err = setUp(old, "grace@contoso.example", adaFirst)
			wantKind(t, err, fault.Revoked, nil) // a newer link ended it
			_, err = setUp("invented", "grace@contoso.example", adaFirst)
			wantKind(t, err, fault.Revoked, nil)
			_, err = setUp(link, "grace@contoso.example", "short")
			wantKind(t, err, fault.Invalid, ErrNew)
			for _, bad := range []string{"", "grace", "@contoso.example", "grace@", "a b@contoso.example", "a@b@c", "a\x00@b", "\xff@b"} {
				_, err = setUp(link, bad, adaFirst)
				wantKind(t, err, fault.Invalid, ErrName)
			}
			if n := r.hashes.Load(); n != 0 {
				t.Errorf("%d hashes for what was refused", n)
			}

			var won atomic.Pointer[Signed]
			var all sync.WaitGroup
			for _, username := range []string{"grace@contoso.example", "mallory@contoso.example"} {
				all.Go(func() {
					x, err := setUp(link, username, adaFirst)
					if err == nil && !won.CompareAndSwap(nil, x) {
						t.Error("two were set up")
					} else if err != nil && !fault.Is(err, fault.Revoked) && !fault.Is(err, fault.Conflict) {
						t.Errorf("got %v", err)
					}
				})
			}
			all.Wait()
			if won.Load() == nil {
				t.Fatal("nobody was set up")
			}
			x := r.alive(won.Load().Cookie)
			if !x.Held.Has(role.GlobalAdministrator) || x.User.DisplayName != "Grace Hopper" {
				t.Errorf("signed in as %+v holding %v", x.User, x.Held)
			}
			r.update(func(tx *store.Tx) error {
				if n, err := tx.GlobalAdministrators(); n != 1 || err != nil {
					t.Errorf("%d administrators, %v", n, err)
				}
				d, err := tx.Directory()
				if d.Domain != "contoso.example" {
					t.Errorf("domain %q", d.Domain)
				}
				return err
			})
			r.alive(r.in(attempt(x.User.Name, adaFirst)).Cookie)
			_, err = r.SetupLink(ctx)
			wantKind(t, err, fault.Conflict, nil)
			_, err = setUp(link, "mallory@contoso.example", adaFirst)
			wantKind(t, err, fault.Conflict, nil)
			wantAudit(t, r, "Add member to role", x.User)
		})
	}
}

func TestSetUpInANamedDirectory(t *testing.T) {
	for name, url := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := open(t, url(t), store.Hooks{})
			r.update(func(tx *store.Tx) error { return tx.NameDirectory("contoso.example", "Contoso") })
			r.user("taken@contoso.example", "")
			link, err := r.SetupLink(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = r.SetUp(t.Context(), link, "grace@fabrikam.example", "", adaFirst, Attempt{})
			wantKind(t, err, fault.Invalid, ErrName)
			_, err = r.SetUp(t.Context(), link, "TAKEN", "", adaFirst, Attempt{})
			wantKind(t, err, fault.Conflict, ErrName)
			r.clock.advance(setupLife - time.Second)
			var won atomic.Int32
			var all sync.WaitGroup
			for _, username := range []string{"grace", "hopper"} {
				all.Go(func() {
					x, err := r.SetUp(t.Context(), link, username, "", adaFirst, Attempt{})
					if err != nil {
						return
					}
					won.Add(1)
					if x.User.Name != username+"@contoso.example" || x.User.DisplayName != username {
						t.Errorf("set up %+v", x.User)
					}
				})
			}
			all.Wait()
			if won.Load() != 1 {
				t.Errorf("%d administrators were set up", won.Load())
			}
		})
	}
}

func TestSetUpLinkEnds(t *testing.T) {
	t.Parallel()
	r := open(t, sqlite(t), store.Hooks{})
	link, err := r.SetupLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.clock.advance(setupLife)
	_, err = r.SetUp(t.Context(), link, "grace@contoso.example", "", adaFirst, Attempt{})
	wantDead(t, err, standing.Over)
}
