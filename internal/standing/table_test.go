package standing_test

import (
	"slices"
	"testing"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/standing"
)

func TestEachEventCutsWhatItsRowSays(t *testing.T) {
	v := standing.Victim{User: "ada", App: "mail", Identity: "robot", Session: "s", Grants: []string{"g", "h"}, Device: "d"}
	user := []string{"user:ada everything"}
	want := map[standing.Event][]string{
		standing.UserRevoked:      user,
		standing.EveryoneRevoked:  {"all: everything"},
		standing.UserDisabled:     user,
		standing.UserDeleted:      user,
		standing.PasswordReplaced: user,
		standing.PasswordGiven:    user,
		standing.RoleRemoved:      {"user:ada tokens"},
		standing.UserUnassigned:   {"user_app:ada:mail tokens"},
		standing.RightsGiven:      nil,
		standing.UserEnabled:      nil,
		standing.SessionSignedOut: {"session:s everything"},
		standing.SessionRevoked:   {"session:s everything", "grant:g everything", "grant:h everything"},
		standing.GrantRevoked:     {"grant:g everything", "grant:h everything"},
		standing.GrantReturned:    {"grant:g everything", "grant:h everything"},
		standing.GrantReused:      {"grant:g everything", "grant:h everything"},
		standing.UserAppRevoked:   {"user_app:ada:mail everything"},
		standing.DeviceRevoked:    {"device:d everything", "grant:g everything", "grant:h everything"},
		standing.DeviceTurnedOff:  {"device:d everything", "grant:g everything", "grant:h everything"},
		standing.DeviceGone:       {"device:d everything", "grant:g everything", "grant:h everything"},
		standing.DeviceReported:   {"device:d everything", "grant:g everything", "grant:h everything"},
		standing.DeviceTurnedOn:   nil,
		standing.DeviceJudged:     {"device:d judge"},
		standing.UserWithdrew:     {"user_app:ada:mail everything"},
		standing.AdminWithdrew:    {"app:mail everything"},
		standing.ClientRevoked:    {"app:mail everything"},
		standing.ClientDisabled:   {"app:mail everything"},
		standing.ClientDeleted:    {"app:mail everything", "user:robot everything"},
		standing.ClientNarrowed:   {"app:mail tokens"},
		standing.IdentityReplaced: {"user:robot everything"},
		standing.CredentialGone:   {"user:robot tokens"},
		standing.ClientChanged:    nil,
		standing.KeysTimed:        nil,
		standing.SettingChanged:   nil,
		standing.KeyStolen:        {"all: tokens"},
		standing.HistoryGone:      {"all: everything"},
		standing.ProviderGone:     {"session:s everything", "grant:g everything", "grant:h everything"},
		standing.UserUnlinked:     {"session:s everything", "grant:g everything", "grant:h everything"},
		standing.LoggedOutThere:   {"session:s everything"},
		standing.ProviderAltered:  nil,
		standing.UserLinked:       nil,
		standing.PolicyChanged:    {"all: judge"},
		standing.Concerned:        {"user:ada judge"},
		standing.RiskChanged:      {"user:ada judge"},
		standing.FactorAdded:      nil,
		standing.FactorGiven:      nil,
		standing.FactorRemoved:    user,
		standing.FactorReset:      user,
	}
	for _, r := range standing.Table {
		got := words(r.Cuts(v))
		if w, known := want[r.Event]; !known || !slices.Equal(got, w) {
			t.Errorf("%s cuts %v, want %v", r.Event, got, w)
		}
		if again := standing.RowOf(r.Event); again.Text != r.Text || again.Text == "" || again.Cause == "" {
			t.Errorf("the row of %s is %+v", r.Event, again)
		}
		if r.Spares != (r.Event == standing.PasswordReplaced || r.Event == standing.FactorRemoved) {
			t.Errorf("%s spares a session: %v", r.Event, r.Spares)
		}
		delete(want, r.Event)
	}
	if len(want) > 0 {
		t.Errorf("events without a row: %v", want)
	}
}

func words(cuts []cutoff.Cutoff) (all []string) {
	for _, c := range cuts {
		all = append(all, c.String())
	}
	return all
}

func TestWhatIsNotThereOrDeadAlreadyIsNotCut(t *testing.T) {
	if got := standing.RowOf(standing.SessionRevoked).Cuts(standing.Victim{User: "ada", Grants: []string{"g"}}); len(got) != 1 || got[0].Scope != cutoff.Grant {
		t.Errorf("a dead session with a grant: %v", got)
	}
	if got := standing.RowOf(standing.ClientDeleted).Cuts(standing.Victim{App: "mail"}); len(got) != 1 || got[0].Scope != cutoff.App {
		t.Errorf("an application without an identity: %v", got)
	}
	if r := standing.RowOf(standing.SessionSignedOut); r.Has(standing.GivenInIt) || !r.Has(standing.TheSessions) {
		t.Error("signing out ends the grants of the session")
	}
}

func TestAnUnknownEventSparesNothing(t *testing.T) {
	if got := words(standing.RowOf("earthquake").Cuts(standing.Victim{})); !slices.Equal(got, []string{"all: everything"}) {
		t.Errorf("%v", got)
	}
}
