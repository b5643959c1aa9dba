package portaltest

import (
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/deliver"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/egress"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/keys"
	"github.com/curfew-id/curfew/internal/store"
)

// Undelivered is an application that failed to be told of somebody's end, and a letter
// to it that was given up. The line is the newest of the ledger.
func (h *House) Undelivered(address, name string) (letter deliver.LetterID) {
	h.T.Helper()
	now := h.Time()
	g := &grant.Grant{ID: directory.NewID[directory.Grant](now), User: h.IDs[name], App: "payroll", Offline: true, Created: now, LastUsed: now, AuthTime: now, State: grant.State{Generation: 1}}
	h.Update(func(tx *store.Tx) error {
		if err := tx.SaveApp(&directory.App{ID: "payroll", Object: directory.NewID[directory.App](now), Name: "Payroll", Enabled: true, BackChannelLogoutURI: address}); err != nil {
			return err
		}
		return tx.CreateGrant(g)
	})
	h.Update(func(tx *store.Tx) error {
		_, _, err := tx.RevokeUser(h.IDs[name], directory.SessionID{}, [32]byte{})
		return err
	})
	pos := h.Head()
	letter = directory.NewID[store.DeadLetter](now)
	h.Update(func(tx *store.Tx) error {
		r, err := tx.Recipient(store.KindLogout + ":payroll")
		if err != nil {
			return err
		}
		was := r.Next
		r.Attempts, r.Failing, r.Error, r.Next = 7, now.Add(-26*time.Hour), "The application answered 503.", now.Add(4*time.Minute)
		if err := tx.SaveRecipient(r, was); err != nil {
			return err
		}
		return tx.CreateDeadLetter(&store.DeadLetter{ID: letter, Recipient: r.ID, Pos: pos, Item: h.IDs[name].String() + "//t", Attempts: 12, Error: "The application answered 503.", At: now.Add(-2 * time.Hour)})
	})
	return letter
}

// Telling is the server of an application that is told, and what the portal's
// deliveries need to tell it.
func (h *House) Telling(status *atomic.Int64) (address string, told *atomic.Int64) {
	h.T.Helper()
	told = new(atomic.Int64)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil && strings.HasPrefix(string(body), "logout_token=") {
			told.Add(1)
		}
		w.WriteHeader(int(status.Load()))
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	h.T.Cleanup(srv.Close)
	k, err := keys.Open(h.T.Context(), h.DB, []byte(strings.Repeat("k", 32)), h.Time)
	if err != nil {
		h.T.Fatal(err)
	}
	allow, err := egress.ParseAllow("127.0.0.1")
	if err != nil {
		h.T.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	h.Deliver.Keys, h.Deliver.Egress, h.Deliver.Issuer = k, &egress.Client{Allow: allow, Roots: roots}, func(grant.Issuer) string { return "https://id.contoso.example" }
	h.T.Cleanup(h.Deliver.Egress.Close)
	return srv.URL + "/bye", told
}

// Head is the newest position of the ledger.
func (h *House) Head() cutoff.Pos {
	pos, _ := h.DB.View().Head()
	return pos
}
