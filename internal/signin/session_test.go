package signin

import (
	"errors"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
)

func TestSessionEnds(t *testing.T) {
	ends := map[string]struct {
		keep bool
		do   func(r *room, ada *directory.User, x *Signed)
		want []standing.Cause
	}{
		"revoked":      {do: func(r *room, ada *directory.User, x *Signed) { r.revoke(ada) }, want: []standing.Cause{standing.Revoked}},
		"signed out":   {do: func(r *room, ada *directory.User, x *Signed) { r.SignOut(r.t.Context(), x.Cookie) }, want: []standing.Cause{standing.SignedOut}},
		"disabled":     {do: func(r *room, ada *directory.User, x *Signed) { r.change(ada, disable) }, want: []standing.Cause{standing.Disabled}},
		"reset":        {do: func(r *room, ada *directory.User, x *Signed) { r.reset(ada, adaNext, false) }, want: []standing.Cause{standing.PasswordReset}},
		"idle":         {do: func(r *room, ada *directory.User, x *Signed) { r.clock.advance(r.Lifetimes.SessionIdle) }, want: []standing.Cause{standing.Idle}},
		"kept, idle":   {keep: true, do: func(r *room, ada *directory.User, x *Signed) { r.clock.advance(r.Lifetimes.SessionKept) }, want: []standing.Cause{standing.Idle}},
		"idle, not it": {keep: true, do: func(r *room, ada *directory.User, x *Signed) { r.clock.advance(r.Lifetimes.SessionIdle) }},
		"deleted": {do: func(r *room, ada *directory.User, x *Signed) {
			r.change(ada, func(u *directory.User) { u.Deleted = r.clock.now() })
		}, want: []standing.Cause{standing.Deleted}},
		"absolute": {keep: true, do: func(r *room, ada *directory.User, x *Signed) {
			for range 3 {
				r.clock.advance(59 * 24 * time.Hour)
				r.alive(x.Cookie) // used, so never idle
			}
			r.clock.advance(3 * 24 * time.Hour)
		}, want: []standing.Cause{standing.Over}},
		"disabled and idle": {do: func(r *room, ada *directory.User, x *Signed) {
			r.change(ada, disable)
			r.clock.advance(r.Lifetimes.SessionIdle)
		}, want: []standing.Cause{standing.Disabled, standing.Idle}},
	}
	onBoth(t, func(t *testing.T, r *room) {
		for name, c := range ends {
			r.each(t, name, func(t *testing.T, who string) {
				ada := r.user(who, adaFirst)
				a := attempt(who, adaFirst)
				a.Keep = c.keep
				x := r.in(a)
				r.alive(x.Cookie)
				c.do(r, ada, x)
				if c.want == nil {
					r.alive(x.Cookie)
					return
				}
				r.ended(x.Cookie, c.want...)
			})
		}
	})
}

func TestLastUseIsWrittenEveryFewMinutes(t *testing.T) {
	onBoth(t, func(t *testing.T, r *room) {
		r.user(adaName, adaFirst)
		x := r.in(attempt(adaName, adaFirst))
		start := r.clock.now()
		r.clock.advance(touchEvery - time.Second)
		if got := r.alive(x.Cookie).Session.LastUsed; !got.Equal(start) {
			t.Errorf("written after %v", got.Sub(start))
		}
		r.clock.advance(time.Second)
		r.alive(x.Cookie)
		if got := r.alive(x.Cookie).Session.LastUsed; !got.Equal(r.clock.now()) {
			t.Errorf("last used %v, want %v", got, r.clock.now())
		}
	})
}

func TestProvingAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, r *room) {
		ada := r.user(adaName, adaFirst)
		r.user("grace@contoso.example", adaNext)
		x := r.in(attempt(adaName, adaFirst))
		r.clock.advance(time.Hour)
		again := attempt(adaName, adaFirst)
		again.Reprove = x.Cookie
		y := r.in(again)
		if y.Cookie != "" || y.Session.ID != x.Session.ID || y.Session.Born != x.Session.Born || !y.Actor.AuthTime.Equal(r.clock.now()) {
			t.Errorf("not the same session, proven now: %+v", y.Session)
		}
		if got := r.alive(x.Cookie); !got.Session.AuthTime.Equal(r.clock.now()) {
			t.Errorf("auth_time %v", got.Session.AuthTime)
		}

		wrong := again
		wrong.Password = "something else"
		if _, _, err := r.Password(t.Context(), wrong); !errors.Is(err, ErrPair) {
			t.Fatal(err)
		}
		r.alive(x.Cookie) // a wrong password ends nothing

		// Somebody else at the same browser.
		grace := attempt("grace@contoso.example", adaNext)
		grace.Reprove = x.Cookie
		z := r.in(grace)
		r.alive(z.Cookie)
		r.ended(x.Cookie, standing.SignedOut)

		// What is dead is not woken by proving again: a new session is.
		again.Reprove = x.Cookie
		w := r.in(again)
		if w.Cookie == "" || w.Session.ID == x.Session.ID {
			t.Fatal("a dead session was proven again")
		}
		r.revoke(ada)
		r.ended(x.Cookie, standing.SignedOut, standing.Revoked)
		r.ended(w.Cookie, standing.Revoked)
	})
}

func TestSignOutOfNobody(t *testing.T) {
	t.Parallel()
	r := open(t, sqlite(t), store.Hooks{})
	if err := r.SignOut(t.Context(), "never handed out"); err != nil {
		t.Fatal(err)
	}
}
