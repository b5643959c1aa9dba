package standing_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/standing"
)

var somebody = standing.Victim{User: "ada", App: "mail", Identity: "robot", Session: "s", Grants: []string{"g"}, Device: "d"}

// covered reports whether whatever a ends is ended by b as well. A person's
// everything holds their sessions, grants, what any application has of them, and what
// is on their devices, where nobody else is recognised.
func covered(a cutoff.Cutoff, b []cutoff.Cutoff) bool {
	return slices.ContainsFunc(b, func(x cutoff.Cutoff) bool {
		reaches := x.Reach == cutoff.Everything || x.Reach == a.Reach
		inside := x.Scope == cutoff.All || x.Scope == a.Scope && x.ID == a.ID ||
			x.Scope == cutoff.User && x.ID == "ada" && (a.Scope == cutoff.Session || a.Scope == cutoff.Grant || a.Scope == cutoff.UserApp || a.Scope == cutoff.Device)
		return reaches && inside
	})
}

func TestWhatMayBeChosenIsNeverNarrower(t *testing.T) {
	for _, r := range standing.Table {
		before := r
		for _, x := range r.Wider() {
			w, err := standing.Widening{}.Choose(string(r.Event), x.Name)
			if err != nil {
				t.Fatal(err)
			}
			chosen := w.Row(r.Event)
			if chosen.Cause != r.Cause || chosen.Text != r.Text || x.Text == "" {
				t.Errorf("%s %s is another event: %+v", r.Event, x.Name, chosen)
			}
			for _, a := range before.Cuts(somebody) {
				if !covered(a, chosen.Cuts(somebody)) {
					t.Errorf("%s %s spares %s, which ends without it", r.Event, x.Name, a)
				}
			}
			if slices.Equal(words(chosen.Cuts(somebody)), words(before.Cuts(somebody))) && chosen.Spares == before.Spares {
				t.Errorf("%s %s is no wider", r.Event, x.Name)
			}
			before = chosen
		}
	}
	for _, e := range []standing.Event{standing.UserRevoked, standing.EveryoneRevoked, standing.UserDisabled, standing.UserDeleted} {
		if len(standing.RowOf(e).Wider()) > 0 {
			t.Errorf("%s can be changed", e)
		}
	}
}

func TestNothingCanBeNarrowed(t *testing.T) {
	for name, says := range map[string]string{
		"user_revoked tokens":      "can be neither narrowed nor widened",
		"user_disabled nothing":    "can be neither narrowed nor widened",
		"role_removed nothing":     "role removed, or a group that gives it or that a policy names) can be widened to everything, and never narrowed",
		"role_removed tokens":      "never narrowed",
		"signed_out ":              "widened to grants or everything",
		"rights_added Everything":  "widened to tokens or everything",
		"earthquake everything":    "There is no event “earthquake”",
		"consent_withdrawn grants": "never narrowed",
	} {
		event, value, _ := strings.Cut(name, " ")
		w, err := standing.Widening{}.Choose(event, value)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Public(err), says) || w != nil {
			t.Errorf("%s: %v %v", name, w, err)
		}
	}
}

func TestAChoiceIsStoredReadAndTakenBack(t *testing.T) {
	none := standing.ReadWidening([]byte(`{}`))
	w, err := none.Choose("signed_out", "grants")
	if err == nil {
		w, err = w.Choose("role_removed", "everything")
	}
	if err != nil || none.Row(standing.SessionSignedOut).Has(standing.GivenInIt) {
		t.Fatal(err, none)
	}
	w = standing.ReadWidening(w.Format())
	if r := w.Row(standing.SessionSignedOut); !r.Has(standing.GivenInIt) || r.Has(standing.TheUsers) {
		t.Errorf("%+v", r)
	}
	if r := w.Row(standing.RoleRemoved); !slices.Equal(words(r.Cuts(somebody)), []string{"user:ada everything"}) {
		t.Errorf("%+v", r)
	}
	if w, err = w.Choose("role_removed", standing.Unset); err != nil || !slices.Equal(words(w.Row(standing.RoleRemoved).Cuts(somebody)), []string{"user:ada tokens"}) {
		t.Errorf("%v %v", w, err)
	}
	if r := w.Row(standing.PasswordReplaced); !r.Spares {
		t.Error("nobody chose to end the current session")
	}
}

func TestSettingsSayWhatTheyEnd(t *testing.T) {
	got := map[string]string{}
	for _, x := range (standing.Widening{standing.SessionSignedOut: "grants", standing.RoleRemoved: "of a newer version"}).Settings() {
		got[x.Name] = x.Value + ": " + x.Ends + " of " + strings.Join(x.Choices, " ")
	}
	for name, want := range map[string]string{
		"lifecycle.signed_out":    "grants: grants with `offline_access` that were given in that session end too of grants everything",
		"lifecycle.role_removed":  "of a newer version: everything of that person ends, browser sessions too of everything",
		"lifecycle.key_dropped":   "default:  of everything",
		"lifecycle.user_disabled": "",
	} {
		if got[name] != want {
			t.Errorf("%s: %q", name, got[name])
		}
	}
}

func TestDoubtAboutASettingEndsMore(t *testing.T) {
	for _, doc := range []string{``, `not JSON`, `{"Lifecycle":{"role_removed":1}}`, `{"Lifecycle":{"role_removed":"of a newer version","signed_out":"too","user_revoked":"nothing"}}`} {
		w := standing.ReadWidening([]byte(doc))
		for _, e := range []standing.Event{standing.RoleRemoved, standing.SessionSignedOut, standing.UserRevoked} {
			if got := words(w.Row(e).Cuts(somebody)); !slices.Equal(got, []string{"user:ada everything"}) {
				t.Errorf("%q: %s ends %v", doc, e, got)
			}
		}
	}
}
