package feed

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/curfew-id/curfew/guard"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/store"
)

// TestRealGuardsConfirmACut runs the public guard against this server: it
// registers, takes the snapshot, applies the line and acknowledges it.
func TestRealGuardsConfirmACut(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Hooks{})
	h.mux.HandleFunc("GET /oauth2/keys", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"keys":[]}`)
	})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	var guards []*guard.Guard
	for _, name := range []string{"mail-1", "mail-2"} {
		g, err := guard.New(guard.Config{Issuer: h.url, ClientID: "mail", ClientSecret: secret, Audience: string(mail), Name: name, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		running.Go(func() { g.Run(ctx) })
		guards = append(guards, g)
	}
	defer running.Wait()
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for _, g := range guards {
		for s := g.Status(); s.Closed || !s.Streaming; s = g.Status() {
			<-tick.C
			if t.Context().Err() != nil {
				t.Fatalf("the guard does not open: %+v", s)
			}
		}
	}
	c := h.cut()
	err := h.db.Update(t.Context(), func(tx *store.Tx) error {
		all, err := tx.Guards()
		if err != nil {
			return err
		}
		rest := &store.Rest{}
		for _, g := range all {
			rest.Guards = append(rest.Guards, g.ID)
		}
		return tx.SaveRest(c.Receipt, rest)
	})
	if err != nil {
		t.Fatal(err)
	}
	bell := h.relay.Watch(t.Context(), c.Receipt)
	for {
		v, err := h.relay.Receipt(t.Context(), directory.Actor{Operator: true}, c.Receipt)
		if err != nil {
			t.Fatal(err)
		}
		if v.Complete {
			if v.Guards != 2 || v.Slowest <= 0 {
				t.Fatalf("complete with %d guards, slowest %s", v.Guards, v.Slowest)
			}
			t.Logf("2 of 2 confirmed, slowest %s", v.Slowest)
			break
		}
		if _, ok := <-bell; !ok {
			t.Fatalf("never complete: %+v", v)
		}
	}
	for _, g := range guards {
		if s := g.Status(); s.Position < c.Pos || s.Closed {
			t.Errorf("guard at %d, the cut is %d", s.Position, c.Pos)
		}
	}
	cancel()
	running.Wait()
	left, err := h.relay.Guards(t.Context(), directory.Actor{Operator: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range left {
		if g.Process != "" {
			t.Errorf("%s said goodbye and is still listed as %s", g.Name, g.State)
		}
	}
}
