package relay

import (
	"errors"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/store"
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

// A cut of very many counts no tokens one by one. A resource that nobody guarded
// then, and somebody guards now, must not drop out of its receipt.
func TestAGuardThatCameAfterACutOfVeryManyIsOnItsReceipt(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		var c *store.Cut
		h.update(func(tx *store.Tx) (err error) {
			c, _, err = tx.RevokeUser(h.ada, directory.SessionID{}, [32]byte{})
			return err
		})
		h.update(func(tx *store.Tx) error {
			return tx.SaveRest(c.Receipt, &store.Rest{More: 1, Last: start.Add(3600e9)})
		})
		p, _ := h.guard("mail-1", mail)
		rowOf(t, h.receipt(c), p)
	})
}

// The node was started after the new history had overtaken the stranger's cursor:
// only the database can tell that its mark is another.
func TestAStrangerIsAWitnessAlsoAtANodeThatWasJustStarted(t *testing.T) {
	t.Parallel()
	h, _, _ := lose(t, 1)
	_, head := h.eras()
	for range 6 {
		h.cut()
	}
	h.s = &Service{DB: h.db, Secret: make([]byte, 32), Now: h.clock.now}
	if err := h.s.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	stranger := directory.NewID[store.Guard](start)
	_, err := h.s.Ask(t.Context(), h.app, Ask{Process: stranger, After: h.s.seal(stranger, store.Witness{Pos: head + 2, Mark: store.Mark{1}})})
	if !errors.Is(err, ErrUnknownProcess) {
		t.Fatalf("error %v, want an unknown process", err)
	}
	if n, _ := h.eras(); n != 1 {
		t.Fatalf("%d eras", n)
	}
}
