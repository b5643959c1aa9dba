package relay

import (
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/fault"
)

func TestReceiptsThatNoDatabaseTakesAsNamesAreNotFound(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		for _, odd := range []string{"rc_\x00", "rc_\xff"} {
			_, err := h.s.Receipt(t.Context(), h.admin, odd)
			if !fault.Is(err, fault.NotFound) {
				t.Errorf("receipt %q: %v", odd, err)
			}
			if all, err := h.s.Receipts(t.Context(), h.admin, odd, 0, 10); err != nil || len(all) > 0 {
				t.Errorf("receipts about %q: %v", odd, err)
			}
		}
	})
}

func TestAReceiptDoesNotBecomeCompleteByForgetting(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		_, _ = h.guard("mail-1", mail) // asks, and is never heard of again
		c := h.cut()
		if v := h.receipt(c); v.Complete || v.Guards != 1 {
			t.Fatalf("%+v", v)
		}
		h.clock.move(26 * time.Hour)
		if _, err := h.db.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if v := h.receipt(c); v.Complete || v.Confirmed > 0 {
			t.Errorf("nobody has confirmed it, and a day later it is complete: %+v", v)
		}
	})
}
