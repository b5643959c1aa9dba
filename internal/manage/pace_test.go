package manage

import (
	"errors"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

func TestWithdrawingOnesOwnConsentIsThrottled(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		clock := storetest.NewClock()
		h := &house{t: t, ids: map[string]directory.UserID{}}
		h.Service = service(storetest.Open(t, e.New(t)(store.Config{Now: clock.Now, Sleep: clock.Add})))
		ctx := t.Context()
		ada, eve, cleo := h.person("ada"), h.person("eve"), h.person("cleo", role.CloudAppAdministrator)
		consents := func(u directory.UserID) int {
			var n int
			h.must(h.DB.Read(ctx, func(tx *store.Tx) error { all, err := tx.ConsentsOf(u); n = len(all); return err }))
			return n
		}
		withdraw := func(a directory.Actor, u directory.UserID) error {
			h.must(h.DB.Update(ctx, func(tx *store.Tx) error {
				return tx.SaveConsent(directory.Consent{User: u, App: "web", Resource: "api://mail", Scopes: []string{"Mail.Read"}, Given: tx.Now})
			}))
			a.Born = cutoff.MaxPos // the consent's end does not end the actor
			_, err := h.WithdrawConsent(ctx, a, u, "web", Act{})
			return err
		}
		for range 20 {
			_, err := h.WithdrawConsent(ctx, ada, ada.User, "web", Act{})
			want(t, err, fault.NotFound) // takes no place
		}
		for range 10 {
			h.must(withdraw(ada, ada.User))
		}
		before := h.head()
		err := withdraw(ada, ada.User)
		want(t, err, fault.Limited)
		if many := (*revoke.TooMany)(nil); !errors.As(err, &many) || !many.Until.Equal(clock.Now().Add(30*time.Second)) {
			t.Errorf("%v", err)
		}
		if h.head() != before || consents(ada.User) != 1 {
			t.Errorf("refused, and %d lines, %d consents", h.head()-before, consents(ada.User))
		}
		h.must(withdraw(eve, eve.User))
		for range 30 { // by an administrator, and for everybody by the operator
			h.must(withdraw(cleo, ada.User))
			h.must(withdraw(operator, directory.UserID{}))
		}
		clock.Add(30 * time.Second)
		h.must(withdraw(ada, ada.User))
		want(t, withdraw(ada, ada.User), fault.Limited)
	})
}
