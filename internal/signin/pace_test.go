package signin

import (
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/revoke"
)

// The allowance for each sort of acts on what is one's own, as internal/revoke
// has it.
const (
	atOnce   = 10
	comeBack = 30 * time.Second
)

func (r *room) head() cutoff.Pos {
	p, _ := r.DB.View().Head()
	return p
}

func TestOwnPasswordChangesAreThrottled(t *testing.T) {
	onBoth(t, func(t *testing.T, r *room) {
		r.user(adaName, adaFirst)
		me := r.in(attempt(adaName, adaFirst))
		now, next := adaFirst, adaNext
		for i := range atOnce {
			cookie, _, err := r.ChangePassword(t.Context(), me, now, next)
			if err != nil {
				t.Fatalf("change %d: %v", i+1, err)
			}
			me.Cookie = cookie
			now, next = next, now
		}
		before := r.head()
		_, _, err := r.ChangePassword(t.Context(), me, now, next)
		if until := wantTooMany(t, err); !until.Equal(r.clock.now().Add(comeBack)) {
			t.Errorf("until %v, now %v", until, r.clock.now())
		}
		if s := fault.Public(err); !strings.HasSuffix(s, "Nothing was changed. Try again in 30 seconds.") {
			t.Error(s)
		}
		if r.head() != before {
			t.Error("refused, and a line")
		}
		r.alive(me.Cookie)
		r.in(attempt(adaName, now)) // the password is what it was
		// An administrator's reset and the change it asks for are not hers to repeat.
		grace := r.user("grace@contoso.example", adaFirst)
		for range 2 * atOnce {
			r.reset(grace, adaFirst, true)
			_, must, err := r.Password(t.Context(), attempt("grace@contoso.example", adaFirst))
			if err != nil || must == nil {
				t.Fatal(err)
			}
			if _, err := r.FinishChange(t.Context(), must.Ticket, adaNext, attempt("", "")); err != nil {
				t.Fatal(err)
			}
		}
		r.clock.advance(comeBack)
		if _, _, err := r.ChangePassword(t.Context(), me, now, next); err != nil {
			t.Errorf("after %v: %v", comeBack, err)
		}
	})
}

// Whoever sits at a copied cookie, or knows the password and signs in and out,
// uses up what they can: the owner still ends it all by a new password.
func TestNobodyUsesUpTheChangeOfThePassword(t *testing.T) {
	onBoth(t, func(t *testing.T, r *room) {
		ada := r.user(adaName, adaFirst)
		thief := r.in(attempt(adaName, adaFirst))
		for range 2 * atOnce {
			res, err := r.Revoke.User(t.Context(), thief.Actor, ada.ID, revoke.Options{KeepSession: thief.Session.ID})
			if fault.Is(err, fault.Limited) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			thief = r.alive(res.Cookie)
		}
		for range 2 * atOnce {
			if err := r.SignOut(t.Context(), r.in(attempt(adaName, adaFirst)).Cookie); err != nil {
				t.Fatal(err)
			}
		}
		me := r.in(attempt(adaName, adaFirst))
		if _, _, err := r.ChangePassword(t.Context(), me, adaFirst, adaNext); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Revoke.User(t.Context(), thief.Actor, ada.ID, revoke.Options{}); err == nil {
			t.Error("the thief's session lives")
		}
	})
}

func TestSigningInAndOutAgainAndAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, r *room) {
		r.user(adaName, adaFirst)
		r.user("grace@contoso.example", adaNext)
		before := r.head()
		for i := range 3 * atOnce {
			x := r.in(attempt(adaName, adaFirst))
			if i%2 == 0 {
				if err := r.SignOut(t.Context(), x.Cookie); err != nil {
					t.Fatal(err)
				}
			} else { // somebody else signs in at the same browser
				grace := attempt("grace@contoso.example", adaNext)
				grace.Reprove = x.Cookie
				r.alive(r.in(grace).Cookie)
			}
			if y, err := r.Session(t.Context(), x.Cookie, ""); err == nil {
				t.Fatalf("sign-out %d left %v signed in", i+1, y.User.Name)
			}
		}
		if lines := r.head() - before; lines != atOnce {
			t.Errorf("%d lines, want %d", lines, atOnce)
		}
	})
}
