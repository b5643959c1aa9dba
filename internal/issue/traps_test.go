package issue_test

import (
	"context"
	"testing"

	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// Trap 1 (threads 53, 54): a revocation that is compared by time leaves a hole as
// wide as the clock's unit, or makes people wait. Here the clock stands still: what
// was made before and what is made after bear the same instant to the nanosecond.
// The old dies, the new lives, several times over.
func TestTrap01TheInstantOfTheRevokeIsNoHole(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		before := w.signIn()
		pending, err := w.code(w.Session(w.Ada), allScopes)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if !w.alive(before.Access) {
				t.Fatal("dead before it was cut")
			}
			if _, err := w.revoke.User(context.Background(), operator, w.Ada.ID, revoke.Options{}); err != nil {
				t.Fatal(err)
			}
			after := w.signIn()
			if a, b := claims(t, before.Access), claims(t, after.Access); a.IssuedAt != b.IssuedAt || a.Born >= b.Born {
				t.Fatalf("iat %d and %d, born %d and %d", a.IssuedAt, b.IssuedAt, a.Born, b.Born)
			}
			if w.alive(before.Access) {
				t.Error("the access token of the same instant lives")
			}
			if _, err := w.refresh(before.Refresh, ""); sub(err) != "invalid_grant/bad_token" {
				t.Errorf("the refresh token of the same instant: %v", err)
			}
			if _, err := w.redeem(pending); sub(err) != "invalid_grant/bad_token" {
				t.Errorf("the code of the same instant: %v", err)
			}
			if !w.alive(after.Access) {
				t.Error("the new access token of the same instant is dead")
			}
			next, err := w.refresh(after.Refresh, "")
			if err != nil {
				t.Fatalf("the new refresh token of the same instant: %v", err)
			}
			if pending, err = w.code(w.Session(w.Ada), allScopes); err != nil {
				t.Fatal(err)
			}
			before = next
		}
	})
}
