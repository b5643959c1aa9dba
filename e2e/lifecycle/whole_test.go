package lifecycle_test

import (
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/server"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// What concerns the whole directory has a server to itself, one event after the
// other.
func TestWhatEndsForEverybody(t *testing.T) {
	for name, database := range map[string]func(testing.TB) string{"sqlite": func(testing.TB) string { return "" }, "postgres": func(tb testing.TB) string { return storetest.Postgres(tb) }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, database(t))
			for _, x := range []struct {
				name string
				do   func(*testing.T, *world)
				dead []artefact
			}{
				{"signing keys rotated, by the API", func(t *testing.T, w *world) { w.must(t, http.MethodPost, "/v1.0/curfew/keys/rotate", map[string]any{}) }, nil},
				{"signing keys rotated, by the command line", func(t *testing.T, w *world) {
					ok[*client.Keys](t)(w.cli.RotateKeys(t.Context(), client.KeyChange{}, act))
				}, nil},
				{"everyone revoked, by the API", func(t *testing.T, w *world) {
					w.must(t, http.MethodPost, "/v1.0/curfew/everyone/revoke", map[string]any{"confirm": domain, "reason": "lifecycle"})
				}, artefacts},
				{"everyone revoked, by the command line", func(t *testing.T, w *world) {
					ok[*client.Cut](t)(w.cli.RevokeEveryone(t.Context(), domain, false, act))
				}, artefacts},
				{"everyone revoked, in the portal", func(t *testing.T, w *world) {
					p := w.admin.post(t, "/portal/revoke-all", url.Values{"reason": {"lifecycle"}, "domain": {domain}})
					if p.status != http.StatusSeeOther {
						t.Fatalf("%d %s", p.status, p.text)
					}
					if o := w.admin.here(t); !o.alive {
						t.Errorf("whoever revoked everyone in the portal is out: %s", o.why)
					}
				}, artefacts},
				{"a signing key dropped, by the API", func(t *testing.T, w *world) {
					w.must(t, http.MethodPost, "/v1.0/curfew/keys/rotate", map[string]any{"now": true, "drop": true, "confirm": domain, "reason": "lifecycle"})
				}, all(herTokens, itself)},
				{"a signing key dropped, by the command line", func(t *testing.T, w *world) {
					ok[*client.Keys](t)(w.cli.RotateKeys(t.Context(), client.KeyChange{Now: true, Drop: true, Confirm: domain}, act))
				}, all(herTokens, itself)},
				{"history lost", restore, artefacts},
			} {
				t.Run(x.name, func(t *testing.T) {
					w.enter(t)
					w.henryEnters(t)
					l := w.live(t, nil)
					old := w.henry
					x.do(t, w)
					w.enter(t) // the administrator's token may be gone as well
					w.heard(t)
					if o, want := old.here(t), !slices.Contains(x.dead, henrys); o.alive != want {
						t.Errorf("somebody else's session lives: %v, want %v", o.alive, want)
					}
					w.henryEnters(t)
					l.check(t, func(a artefact) bool { return a == henrys || !slices.Contains(x.dead, a) })
				})
			}
		})
	}
}

// restore is what an operator does after a backup was put back.
func restore(t *testing.T, w *world) {
	t.Helper()
	w.stop()
	s, err := server.Open(t.Context(), w.cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Restore(t.Context())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", strings.Replace(strings.TrimPrefix(w.base, "https://"), "localhost", "127.0.0.1", 1))
	if err != nil {
		t.Fatal(err)
	}
	w.tls.CloseIdleConnections()
	w.serve(t, l)
}
