package feed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"flag"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/store"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata")

const (
	mail   = directory.ResourceID("api://mail")
	secret = "correct horse:battery/staple+%"
)

var start = time.Date(2026, 3, 2, 12, 4, 31, 0, time.UTC)

// house is a real server on loopback over a real store.
type house struct {
	t       testing.TB
	db      *store.DB
	relay   *relay.Service
	app     *directory.App
	ada     directory.UserID
	url     string
	mux     *http.ServeMux
	serving atomic.Int64
	rules   bool // cut changes policies instead
}

func newHouse(t testing.TB, hooks store.Hooks) *house {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{URL: filepath.Join(t.TempDir(), "curfew.db"), Hooks: hooks})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	h := &house{t: t, db: db, ada: directory.NewID[directory.User](start), mux: http.NewServeMux()}
	h.app = &directory.App{ID: "mail", Object: directory.NewID[directory.App](start), Name: "Mail", Enabled: true, Guards: []directory.ResourceID{mail}}
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.SaveApp(h.app); err != nil {
			return err
		}
		return tx.CreateUser(&directory.User{ID: h.ada, Name: "ada@contoso.example", Enabled: true, Created: start})
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.serving.Add(1)
		defer h.serving.Add(-1)
		h.mux.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	h.url = srv.URL
	h.relay = &relay.Service{DB: db, Secret: bytes.Repeat([]byte{7}, 32), Issuers: []string{h.url, h.url + "/t/v2.0"},
		JWKSURI: h.url + "/oauth2/keys", IntrospectURI: h.url + "/oauth2/introspect", AuthorizeURI: h.url + "/t/oauth2/v2.0/authorize"}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { h.relay.Run(ctx) })
	t.Cleanup(func() { cancel(); done.Wait() })
	want := sha256.Sum256([]byte(secret))
	s := &Server{Relay: h.relay, Authenticate: func(_ context.Context, id, given string) (*directory.App, error) {
		got := sha256.Sum256([]byte(given))
		if id == "broken" {
			return nil, errors.New("disk on fire at /dev/sda")
		}
		if id == "busy" {
			return nil, fault.New(fault.Limited, "Too many tries.")
		}
		if id != "mail" || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			return nil, fault.New(fault.Denied, "No such client mail-internal.")
		}
		return h.app, nil
	}}
	s.Register(h.mux)
	return h
}
