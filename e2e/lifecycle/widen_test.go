package lifecycle_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/standing"
)

// widest is what each event ends when it was widened as far as it can be.
var widest = map[standing.Event][]artefact{
	standing.PasswordReplaced: hers,
	standing.RoleRemoved:      hers,
	standing.UserUnassigned:   hers,
	standing.RightsGiven:      hers,
	standing.FactorAdded:      hers,
	standing.FactorRemoved:    hers,
	standing.FactorGiven:      all(hers, []artefact{ticket}),
	standing.SessionSignedOut: hers,
	standing.SessionRevoked:   hers,
	standing.GrantRevoked:     hers,
	standing.GrantReturned:    hers,
	standing.GrantReused:      hers,
	standing.UserAppRevoked:   hers,
	standing.DeviceRevoked:    hers,
	standing.DeviceTurnedOff:  hers,
	standing.DeviceGone:       hers,
	standing.DeviceReported:   hers,
	standing.UserWithdrew:     hers,
	standing.ClientNarrowed:   all(inThisApp, halfDone, itself, nobodysYet),
	standing.CredentialGone:   all(inThisApp, halfDone, itself, nobodysYet),
	standing.KeyStolen:        artefacts,
}

func eventOf(t *testing.T, row standing.Event) event {
	t.Helper()
	for _, e := range grid() {
		if e.row == row && e.variant == "" {
			return e
		}
	}
	t.Fatalf("no event %s", row)
	return event{}
}

func TestEveryWideningEndsMore(t *testing.T) {
	for _, r := range standing.Table {
		if _, reached := widest[r.Event]; len(r.Wider()) > 0 && !reached && unreachable[r.Event] == "" {
			t.Errorf("%s can be widened, and nobody expects anything of it", r.Event)
		}
	}
	w := newWorld(t, "")
	// As a file, but for what would end Henry's session whenever he is assigned, and
	// Ada's before she could remove what she has added.
	var file strings.Builder
	file.WriteString("[lifecycle]\n")
	for e := range widest {
		if e != standing.RightsGiven && e != standing.FactorAdded {
			file.WriteString(string(e) + " = \"everything\"\n")
		}
	}
	w.must(t, http.MethodPost, "/v1.0/curfew/apply", file.String())
	t.Run("widest", func(t *testing.T) {
		for row, dead := range widest {
			if row == standing.KeyStolen || row == standing.RightsGiven || row == standing.FactorAdded {
				continue
			}
			e := eventOf(t, row)
			e.dead = dead
			t.Run(e.name(), func(t *testing.T) {
				t.Parallel()
				w.cells(t, e, e.paths[0])
			})
		}
	})
	// Choices between, and back again, one after the other.
	for _, x := range []struct {
		row   standing.Event
		value string
		dead  []artefact
	}{
		{standing.SessionSignedOut, "grants", all(halfDone, oneGrant, []artefact{sessionHere, refreshOther, tokenOnline, consentPage, enrolment})},
		{standing.SessionSignedOut, standing.Unset, eventOf(t, standing.SessionSignedOut).dead},
		{standing.RoleRemoved, standing.Unset, herTokens},
		{standing.FactorAdded, "everything", hers},
		{standing.FactorAdded, standing.Unset, []artefact{enrolment}},
		{standing.RightsGiven, "tokens", herTokens},
		{standing.RightsGiven, "everything", hers},
		{standing.RightsGiven, standing.Unset, nil},
	} {
		t.Run(string(x.row)+", "+x.value, func(t *testing.T) {
			ok[client.Done](t)(w.cli.Set(t.Context(), "lifecycle."+string(x.row), x.value, act))
			e := eventOf(t, x.row)
			e.dead = x.dead
			w.cells(t, e, e.paths[0])
		})
	}
	t.Run("key dropped", func(t *testing.T) {
		l := w.live(t, nil)
		ok[*client.Keys](t)(w.cli.RotateKeys(t.Context(), client.KeyChange{Now: true, Drop: true, Confirm: domain}, act))
		if o := w.henry.here(t); o.alive {
			t.Error("somebody else's session still works")
		}
		w.enter(t)
		w.henryEnters(t)
		w.heard(t)
		l.check(t, func(a artefact) bool { return a == henrys })
	})
}

func TestChangingSettingsEndsNothing(t *testing.T) {
	w := newWorld(t, "")
	l := w.live(t, nil)
	w.must(t, http.MethodPatch, "/v1.0/curfew/settings/lifecycle.role_removed", map[string]any{"value": "everything"})
	ok[client.Done](t)(w.cli.Set(t.Context(), "lifecycle.grant_reused", "everything", act))
	l.applies(t, "[lifecycle]\npassword_changed = \"everything\"\n")
	w.heard(t)
	l.check(t, func(artefact) bool { return true })
	set, err := w.cli.Settings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var chosen []string
	for _, x := range set {
		if x.Value != standing.Unset {
			chosen = append(chosen, x.Name+" "+x.Value)
		}
	}
	if want := []string{"lifecycle.password_changed everything", "lifecycle.role_removed everything", "lifecycle.grant_reused everything"}; !slices.Equal(chosen, want) {
		t.Errorf("set: %v", chosen)
	}
	for name, status := range map[string]int{"lifecycle.role_removed": http.StatusBadRequest, "lifecycle.user_revoked": http.StatusBadRequest, "lifecycle.earthquake": http.StatusBadRequest} {
		if got, text := w.api(t, w.token, http.MethodPatch, "/v1.0/curfew/settings/"+name, map[string]any{"value": "nothing"}); got != status || !strings.Contains(text, strings.TrimPrefix(name, "lifecycle.")) {
			t.Errorf("narrowing %s: %d %s", name, got, text)
		}
	}
	if got, text := w.api(t, l.got[ownAPI], http.MethodPatch, "/v1.0/curfew/settings/lifecycle.role_removed", map[string]any{"value": "default"}); got != http.StatusForbidden {
		t.Errorf("Ada set something: %d %s", got, text)
	}
}
