package issue_test

import (
	"context"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// Each grant can make a line that nobody may refuse, so a script that signs in and
// gives back without end is stopped where grants are born.
func TestNobodyGetsGrantsWithoutEnd(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		session := w.Session(w.Ada)
		one := func() error {
			t.Helper()
			code, err := w.code(session, allScopes)
			if err != nil {
				t.Fatal(err)
			}
			tok, err := w.redeem(code)
			if err == nil {
				err = w.issue.RevokeToken(context.Background(), w.client, tok.Refresh)
			}
			return err
		}
		for i := range 1000 {
			if err := one(); err != nil {
				t.Fatalf("number %d: %v", i+1, err)
			}
		}
		code, err := w.code(session, allScopes)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.redeem(code); !fault.Is(err, fault.Limited) {
			t.Fatalf("one more: %v", err)
		}
		w.Clock.Add(100 * time.Millisecond)
		if _, err := w.redeem(code); err != nil {
			t.Errorf("the same code a moment later: %v", err)
		}
		if err := one(); !fault.Is(err, fault.Limited) {
			t.Errorf("and another: %v", err)
		}
		// A code that is used twice ends what it gave, whatever the allowance says.
		if _, err := w.redeem(code); fault.Is(err, fault.Limited) || err == nil {
			t.Errorf("a second use: %v", err)
		}
	})
}

// Beyond its allowance a sign-out appends no line: what was made in the session
// must be judged by its row.
func TestACodeDiesWithASessionThatEndedWithoutALine(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		for range 10 {
			if r, err := w.revoke.SignOut(t.Context(), w.Session(w.Ada).ID); err != nil || r.Receipt == nil {
				t.Fatalf("%+v %v", r, err)
			}
		}
		session := w.Session(w.Ada)
		code, err := w.code(session, allScopes)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := w.revoke.SignOut(t.Context(), session.ID); err != nil || r.Receipt != nil {
			t.Fatalf("this sign-out was to be quiet: %+v %v", r, err)
		}
		_, err = w.redeem(code)
		refusedAs(t, "a code of that session", err, "invalid_grant", 70008)
	})
}
