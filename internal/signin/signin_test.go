package signin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

const (
	adaName  = "ada@contoso.example"
	adaFirst = "otter window lilac 41"
	adaNext  = "copper harbour fig 77"
	firefox  = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
)

// clock is moved by tests only.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time          { return time.UnixMicro(c.at.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.at.Add(d.Microseconds()) }

// room is a service on a real database, with a hash that costs nothing.
type room struct {
	*Service
	t      *testing.T
	clock  *clock
	hashes atomic.Int64
	// onHash runs inside the pool, on each hash, when set.
	mu     sync.Mutex
	onHash func(password string)
}

func open(t *testing.T, url string, hooks store.Hooks) *room {
	t.Helper()
	r := &room{t: t, clock: &clock{}}
	r.clock.at.Store(time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC).UnixMicro())
	db, err := store.Open(t.Context(), store.Config{URL: url, Now: r.clock.now, Hooks: hooks, Poll: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	quiet := slog.New(slog.DiscardHandler)
	h := NewHasher()
	h.now = r.clock.now
	h.derive = func(password, salt []byte, p params, n uint32) []byte {
		r.hashes.Add(1)
		r.mu.Lock()
		f := r.onHash
		r.mu.Unlock()
		if f != nil {
			f(string(password))
		}
		sum := sha256.Sum256(append(append([]byte{byte(p.time)}, salt...), password...))
		return sum[:n]
	}
	l := grant.DefaultLifetimes()
	r.Service = &Service{DB: db, Lifetimes: l, Now: r.clock.now, Hasher: h, Limits: NewLimits(),
		Revoke: &revoke.Service{DB: db, Log: quiet, Lifetimes: l, Now: r.clock.now}}
	return r
}

// atHash runs f on the next hash, once.
func (r *room) atHash(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.onHash = func(string) {
		r.mu.Lock()
		r.onHash = nil
		r.mu.Unlock()
		f()
	}
}

func sqlite(t *testing.T) string { return filepath.Join(t.TempDir(), "curfew.db") }

var engines = map[string]func(*testing.T) string{"sqlite": sqlite, "postgres": func(t *testing.T) string { return storetest.Postgres(t) }}

// onBoth runs one body on SQLite and on PostgreSQL.
func onBoth(t *testing.T, body func(t *testing.T, r *room)) {
	t.Parallel()
	for name, url := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := open(t, url(t), store.Hooks{})
			r.give(r.user("root@contoso.example", ""), role.GlobalAdministrator) // the store lets nobody be disabled without one
			body(t, r)
		})
	}
}

// each runs a case for somebody of its own in the room all cases share.
func (r *room) each(t *testing.T, name string, f func(t *testing.T, who string)) {
	t.Run(name, func(t *testing.T) {
		before := r.t
		r.t = t
		defer func() { r.t = before }()
		f(t, strings.ReplaceAll(name, " ", "-")+"@contoso.example")
	})
}

// update is a write that must succeed.
func (r *room) update(f func(*store.Tx) error) {
	r.t.Helper()
	if err := r.DB.Update(context.Background(), f); err != nil {
		r.t.Fatal(err)
	}
}

// user creates somebody.
func (r *room) user(name, password string, change ...func(*directory.User)) *directory.User {
	r.t.Helper()
	u := &directory.User{ID: directory.NewID[directory.User](r.clock.now()), Name: name, DisplayName: "Ada Lovelace", Enabled: true, Created: r.clock.now()}
	if password != "" {
		hash, err := r.Hasher.Hash(r.t.Context(), password, false)
		if err != nil {
			r.t.Fatal(err)
		}
		u.Password = directory.Credential{Hash: hash, Version: 1, Changed: r.clock.now()}
	}
	for _, f := range change {
		f(u)
	}
	r.update(func(tx *store.Tx) error { return tx.CreateUser(u) })
	return u
}

func (r *room) give(u *directory.User, id directory.RoleID) {
	r.t.Helper()
	r.update(func(tx *store.Tx) error {
		return tx.AssignRole(directory.RoleAssignment{ID: directory.NewID[directory.RoleAssignment](r.clock.now()), Role: id, User: u.ID, Created: r.clock.now()})
	})
}

// change changes somebody's row as an administrator's verb does.
func (r *room) change(u *directory.User, f func(*directory.User)) {
	r.t.Helper()
	r.update(func(tx *store.Tx) error {
		_, err := tx.ChangeUser(u.ID, store.UserChange{}, func(u *directory.User) error { f(u); return nil })
		return err
	})
}

func disable(u *directory.User) { u.Enabled = false }

// reset is an administrator's reset.
func (r *room) reset(u *directory.User, password string, mustChange bool) {
	r.t.Helper()
	hash, err := r.Hasher.Hash(context.Background(), password, true)
	if err != nil {
		r.t.Fatal(err)
	}
	r.change(u, func(u *directory.User) {
		u.Password = directory.Credential{Hash: hash, Version: u.Password.Version + 1, Changed: r.clock.now(), MustChange: mustChange}
	})
}

func (r *room) revoke(u *directory.User) {
	r.t.Helper()
	if err := r.DB.Urgent(context.Background(), func(tx *store.Tx) error {
		_, _, err := tx.RevokeUser(u.ID, directory.SessionID{}, [32]byte{})
		return err
	}); err != nil {
		r.t.Error(err)
	}
}

func attempt(name, password string) Attempt {
	return Attempt{Username: name, Password: password, IP: "192.0.2.7", Agent: firefox, Request: "r1"}
}

func (r *room) in(a Attempt) *Signed {
	r.t.Helper()
	signed, must, err := r.Password(r.t.Context(), a)
	if err != nil || must != nil {
		r.t.Fatalf("sign in as %s: must change %v, %v", a.Username, must, err)
	}
	return signed
}

// alive and ended say what a cookie is worth.
func (r *room) alive(cookie string) *Signed {
	r.t.Helper()
	signed, err := r.Session(r.t.Context(), cookie, "192.0.2.7")
	if err != nil {
		r.t.Fatalf("session is not good: %v", err)
	}
	return signed
}

func (r *room) ended(cookie string, want ...standing.Cause) {
	r.t.Helper()
	_, err := r.Session(r.t.Context(), cookie, "192.0.2.7")
	wantDead(r.t, err, want...)
}

func wantDead(t *testing.T, err error, want ...standing.Cause) {
	t.Helper()
	var d *standing.Dead
	if !fault.Is(err, fault.Revoked) || !errors.As(err, &d) {
		t.Fatalf("got %v, want a dead one", err)
	}
	if len(d.Causes) != len(want) {
		t.Fatalf("causes %v, want %v", d.Causes, want)
	}
	for _, c := range want {
		if !d.Has(c) {
			t.Fatalf("causes %v, want %v", d.Causes, want)
		}
	}
}

func wantKind(t *testing.T, err error, kind fault.Kind, is error) {
	t.Helper()
	if !fault.Is(err, kind) || is != nil && !errors.Is(err, is) {
		t.Fatalf("got %v, want %v with %v", err, kind, is)
	}
}

func TestSignInOpensASession(t *testing.T) {
	onBoth(t, func(t *testing.T, r *room) {
		ada := r.user(adaName, adaFirst)
		r.give(ada, role.UserAdministrator)
		a := attempt(" ADA@contoso.example", adaFirst)
		a.Keep = true
		signed := r.in(a)
		if len(signed.Cookie) != 43 || signed.Session.Cookie != sha256.Sum256([]byte(signed.Cookie)) {
			t.Errorf("cookie %q does not belong to its hash", signed.Cookie)
		}
		x, actor := r.alive(signed.Cookie), r.alive(signed.Cookie).Actor
		if x.User.ID != ada.ID || x.Cookie != "" || !x.Session.Kept || x.Session.Agent != "Firefox on Linux" || x.Session.IP != "192.0.2.7" || x.Session.AMR[0] != "pwd" {
			t.Errorf("session %+v", x.Session)
		}
		if actor.User != ada.ID || actor.Name != adaName || !actor.Held.Has(role.UserAdministrator) || actor.Session != x.Session.ID || actor.Born != x.Session.Born ||
			actor.Owner != x.Session.Owner() || !actor.AuthTime.Equal(r.clock.now()) || actor.IP != "192.0.2.7" {
			t.Errorf("actor %+v", actor)
		}
		if _, err := r.Session(t.Context(), signed.Cookie+"x", ""); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("a cookie nobody has: %v", err)
		}
		if _, err := r.Session(t.Context(), "", ""); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("no cookie: %v", err)
		}
	})
}

func TestWrongPairTellsNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, r *room) {
		r.user(adaName, adaFirst)
		r.user("nopassword@contoso.example", "")
		r.user("disabled@contoso.example", adaFirst, disable)
		r.user("app@contoso.example", adaFirst, func(u *directory.User) { u.Service = true })
		gone := r.user("gone@contoso.example", adaFirst)
		r.change(gone, func(u *directory.User) { u.Deleted = r.clock.now() })
		long := string(make([]byte, 70000))
		for name, a := range map[string]Attempt{
			"wrong password":          attempt(adaName, "something else"),
			"no password":             attempt(adaName, ""),
			"password too long":       attempt(adaName, adaFirst+long),
			"unknown name":            attempt("grace@contoso.example", adaFirst),
			"no name":                 attempt("", adaFirst),
			"name that is not text":   attempt("ada\x00\xff", adaFirst),
			"name too long":           attempt(long, adaFirst),
			"user without a password": attempt("nopassword@contoso.example", ""),
			"disabled, wrong":         attempt("disabled@contoso.example", "something else"),
			"deleted, right":          attempt("gone@contoso.example", adaFirst),
			"service account, right":  attempt("app@contoso.example", adaFirst),
		} {
			before := r.hashes.Load()
			signed, must, err := r.Password(t.Context(), a)
			if signed != nil || must != nil || !fault.Is(err, fault.Unauthenticated) || !errors.Is(err, ErrPair) || fault.Public(err) != "The user name or the password is not right" {
				t.Errorf("%s: %v", name, err)
			}
			if n := r.hashes.Load() - before; n != 1 {
				t.Errorf("%s: %d hashes, want 1 as for everybody", name, n)
			}
		}
		_, _, err := r.Password(t.Context(), attempt("disabled@contoso.example", adaFirst))
		wantDead(t, err, standing.Disabled)
		if fault.Public(err) != "This account is disabled." {
			t.Error(fault.Public(err))
		}
	})
}

// A revoke that commits after the sign-in has read its head, and before or after
// it has judged the user, leaves no live session. Only PostgreSQL can interleave
// so; SQLite has one writer.
func TestTrace1RevokeDuringSignInLeavesNoSession(t *testing.T) {
	t.Parallel()
	for _, place := range []string{"after the head", "after the facts"} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			var armed atomic.Bool
			var hold func()
			fire := func() {
				// The store's own followers read heads too.
				if bytes.Contains(debug.Stack(), []byte("(*Service).open(")) && armed.CompareAndSwap(true, false) {
					hold()
				}
			}
			hooks := store.Hooks{AfterHead: func(*store.Tx) { fire() }}
			if place == "after the facts" {
				hooks = store.Hooks{Exec: func(q string) error {
					if len(q) > 20 && q[:20] == "INSERT INTO sessions" {
						fire()
					}
					return nil
				}}
			}
			r := open(t, storetest.Postgres(t), hooks)
			ada := r.user(adaName, adaFirst)
			hold = func() { r.revoke(ada) }
			r.atHash(func() { armed.Store(true) })
			signed, must, err := r.Password(t.Context(), attempt(adaName, adaFirst))
			if armed.Load() || must != nil {
				t.Fatal("the sign-in was not held")
			}
			if err == nil {
				r.ended(signed.Cookie, standing.Revoked)
			} else if !fault.Is(err, fault.Revoked) {
				t.Fatal(err)
			}
			r.update(func(tx *store.Tx) error {
				all, err := tx.Sessions(ada.ID, 10)
				for _, x := range all {
					if causes, err := r.judge(tx, x, ada); err != nil || len(causes) == 0 {
						t.Errorf("session %s is alive (%v)", x.ID, err)
					}
				}
				return err
			})
			r.alive(r.in(attempt(adaName, adaFirst)).Cookie) // P6
		})
	}
}

func TestResetBetweenHashAndTransactionLeavesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, r *room) {
		ada := r.user(adaName, adaFirst)
		next, err := r.Hasher.Hash(t.Context(), adaNext, false)
		if err != nil {
			t.Fatal(err)
		}
		r.atHash(func() {
			r.change(ada, func(u *directory.User) {
				u.Password = directory.Credential{Hash: next, Version: 2, Changed: r.clock.now()}
			})
		})
		_, _, err = r.Password(t.Context(), attempt(adaName, adaFirst))
		wantKind(t, err, fault.Unauthenticated, ErrPair)
		r.alive(r.in(attempt(adaName, adaNext)).Cookie)

		r.atHash(func() { r.change(ada, disable) })
		_, _, err = r.Password(t.Context(), attempt(adaName, adaNext))
		wantDead(t, err, standing.Disabled)
	})
}

// Trace 3 with the second step there is: the new password.
func TestTrace3ResetBetweenTwoStepsLeavesNoSession(t *testing.T) {
	between := map[string]func(r *room, ada *directory.User){
		"reset":   func(r *room, ada *directory.User) { r.reset(ada, "third moon pickle 9", true) },
		"revoke":  func(r *room, ada *directory.User) { r.revoke(ada) },
		"disable": func(r *room, ada *directory.User) { r.change(ada, disable) },
		"delete": func(r *room, ada *directory.User) {
			r.change(ada, func(u *directory.User) { u.Deleted = r.clock.now() })
		},
		"expiry": func(r *room, ada *directory.User) { r.clock.advance(r.Lifetimes.Ticket) },
	}
	onBoth(t, func(t *testing.T, r *room) {
		for name, do := range between {
			for _, when := range []string{"before the step", "during the hash"} {
				r.each(t, name+" "+when, func(t *testing.T, who string) {
					ada := r.user(who, adaFirst, func(u *directory.User) { u.Password.MustChange = true })
					_, must, err := r.Password(t.Context(), attempt(who, adaFirst))
					if err != nil || must == nil {
						t.Fatalf("must change %v, %v", must, err)
					}
					if when == "before the step" {
						do(r, ada)
					} else {
						r.atHash(func() { do(r, ada) })
					}
					if signed, err := r.FinishChange(t.Context(), must.Ticket, adaNext, attempt("", "")); !fault.Is(err, fault.Revoked) || signed != nil {
						t.Fatalf("got %v, %v", signed, err)
					}
					r.update(func(tx *store.Tx) error {
						u, err := tx.User(ada.ID)
						if ok, _, _ := r.Hasher.Verify(t.Context(), u.Password.Hash, adaNext, true); ok {
							t.Error("the new password was set")
						}
						if all, _ := tx.Sessions(ada.ID, 10); len(all) > 0 {
							t.Errorf("%d sessions", len(all))
						}
						return err
					})
				})
			}
		}
	})
}

func TestPasswordThatMustBeChanged(t *testing.T) {
	onBoth(t, func(t *testing.T, r *room) {
		ada := r.user(adaName, adaFirst)
		before := r.in(attempt(adaName, adaFirst))
		r.reset(ada, "third moon pickle 9", true)
		r.ended(before.Cookie, standing.PasswordReset)
		signed, must, err := r.Password(t.Context(), attempt(adaName, "third moon pickle 9"))
		if err != nil || must == nil || signed != nil {
			t.Fatalf("signed %v, must change %v, %v", signed, must, err)
		}
		if _, err := r.Session(t.Context(), must.Ticket, ""); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("a ticket is no cookie: %v", err)
		}
		a := attempt("", "")
		_, err = r.FinishChange(t.Context(), must.Ticket, "short", a)
		wantKind(t, err, fault.Invalid, ErrNew)
		_, err = r.FinishChange(t.Context(), must.Ticket, "third moon pickle 9", a)
		wantKind(t, err, fault.Invalid, ErrNew)
		_, err = r.FinishChange(t.Context(), must.Ticket+"x", adaNext, a)
		wantKind(t, err, fault.Revoked, nil)

		done, err := r.FinishChange(t.Context(), must.Ticket, adaNext, a)
		if err != nil {
			t.Fatal(err)
		}
		if x := r.alive(done.Cookie); x.Session.Born != done.Session.Born || x.Actor.Born != done.Actor.Born || x.User.Password.MustChange {
			t.Errorf("handed out %+v, stored %+v", done.Session, x.Session)
		}
		_, err = r.FinishChange(t.Context(), must.Ticket, "fourth heron teapot 3", a)
		wantKind(t, err, fault.Revoked, nil)
		_, _, err = r.Password(t.Context(), attempt(adaName, "third moon pickle 9"))
		wantKind(t, err, fault.Unauthenticated, ErrPair)
		again := r.in(attempt(adaName, adaNext))
		r.alive(again.Cookie)
		wantAudit(t, r, "Change user password", ada)
	})
}

func wantAudit(t *testing.T, r *room, action string, target *directory.User) {
	t.Helper()
	var page []audit.Record
	err := r.DB.Read(t.Context(), func(tx *store.Tx) (err error) { page, err = tx.Audits(store.AuditQuery{}); return err })
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range page {
		if x.Action == action && x.Target.ID == target.ID.String() && x.Result == audit.Success && x.Pos > 0 && x.Actor.Name != "" {
			return
		}
	}
	t.Errorf("no %q in %+v", action, page)
}

func TestOldParametersAreReplacedAtSignIn(t *testing.T) {
	onBoth(t, func(t *testing.T, r *room) {
		old := params{memory: 8 * 1024, time: 1, threads: 1}
		salt := []byte("0123456789abcdef")
		ada := r.user(adaName, "", func(u *directory.User) {
			u.Password = directory.Credential{Hash: encode(old, salt, r.Hasher.derive([]byte(adaFirst), salt, old, keyLen)), Version: 4}
		})
		first := r.in(attempt(adaName, adaFirst))
		var u *directory.User
		r.update(func(tx *store.Tx) (err error) { u, err = tx.User(ada.ID); return err })
		if p, _, _, err := decode(u.Password.Hash); err != nil || p != current || u.Password.Version != 4 {
			t.Errorf("stored %q, version %d (%v)", u.Password.Hash, u.Password.Version, err)
		}
		r.alive(first.Cookie) // the same password: nothing ends
		second := r.in(attempt(adaName, adaFirst))
		r.alive(second.Cookie)
		if got := r.alive(second.Cookie).User.Password.Hash; got != u.Password.Hash {
			t.Error("replaced again")
		}
	})
}
