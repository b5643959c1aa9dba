package manage

import (
	"slices"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage/manifest"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/standing"
)

func TestSettingsAreWidenedByGlobalAdministratorsOnly(t *testing.T) {
	t.Parallel()
	engines(t, settingsAreWidened)
}

func settingsAreWidened(t *testing.T, url string) {
	h := newHouse(t, url)
	ctx := t.Context()
	grace, ada := h.person("grace", role.GlobalAdministrator), h.person("ada", role.UserAdministrator)
	value := func(name string) string {
		t.Helper()
		all, err := h.Settings(ctx, grace)
		h.must(err)
		i := slices.IndexFunc(all, func(s *standing.Setting) bool { return s.Name == name })
		if i < 0 || len(all[i].Choices) == 0 {
			t.Fatalf("%s is not among the settings", name)
		}
		return all[i].Value
	}
	const name = "lifecycle.role_removed"
	want(t, h.SetSetting(ctx, ada, name, "everything", Act{}), fault.Denied)
	for _, narrower := range []string{"nothing", "sessions", ""} {
		err := h.SetSetting(ctx, grace, name, narrower, Act{})
		want(t, err, fault.Invalid)
		if !strings.Contains(fault.Public(err), "role_removed") {
			t.Errorf("the row is not named: %v", err)
		}
	}
	want(t, h.SetSetting(ctx, grace, "lifecycle.user_disabled", "tokens", Act{}), fault.Invalid)
	head := h.head()
	h.must(h.SetSetting(ctx, grace, name, "everything", Act{DryRun: true}))
	if h.head() != head || value(name) != standing.Unset {
		t.Fatal("refusals or a dry run changed something")
	}
	h.must(h.SetSetting(ctx, grace, name, "everything", Act{Reason: "strict"}))
	if h.head() != head+1 || value(name) != "everything" {
		t.Fatalf("head %d after %d, %s", h.head(), head, value(name))
	}
	if r := h.audits("")[0]; r.Action != updateSettings || r.Result == audit.Refused || len(r.Changes) != 1 || r.Changes[0].Property != name || r.Changes[0].New != "everything" {
		t.Errorf("audit: %+v", r)
	}
	h.must(h.SetSetting(ctx, grace, name, "everything", Act{}))
	if h.head() != head+1 {
		t.Error("the same again wrote a line")
	}

	m, err := manifest.Parse(strings.NewReader("[lifecycle]\nrole_removed = 'default'\nsigned_out = 'grants'\n"), manifest.Options{})
	h.must(err)
	rep, err := h.Apply(ctx, grace, m, Act{})
	h.must(err)
	if len(rep.Changes) != 2 || value(name) != standing.Unset || value("lifecycle.signed_out") != "grants" {
		t.Errorf("applied: %+v", rep)
	}
	if rep, err = h.Apply(ctx, grace, m, Act{}); err != nil || len(rep.Changes) != 0 || rep.Unchanged != 1 {
		t.Errorf("applied again: %+v %v", rep, err)
	}
	_, err = h.Apply(ctx, ada, m, Act{})
	want(t, err, fault.Denied)
	m, err = manifest.Parse(strings.NewReader("[lifecycle]\nuser_revoked = 'nothing'\n"), manifest.Options{})
	h.must(err)
	_, err = h.Apply(ctx, grace, m, Act{})
	want(t, err, fault.Invalid)
}
