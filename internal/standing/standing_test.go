package standing_test

import (
	"slices"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/standing"
)

func TestCheckListsEveryCause(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 4, 0, 0, time.UTC)
	good := func() standing.Facts {
		return standing.Facts{Now: now, User: &directory.User{Enabled: true}, App: &directory.App{Enabled: true}, NeedsApp: true, Ends: now.Add(time.Second), End: now.Add(time.Hour)}
	}
	for _, tt := range []struct {
		name   string
		change func(*standing.Facts)
		want   []standing.Cause
	}{
		{"good", func(*standing.Facts) {}, nil},
		{"no limits", func(f *standing.Facts) { f.Ends, f.End = time.Time{}, time.Time{} }, nil},
		{"no application needed", func(f *standing.Facts) { f.App, f.NeedsApp = nil, false }, nil},
		{"user not found", func(f *standing.Facts) { f.User = nil }, []standing.Cause{standing.Unknown}},
		{"disabled", func(f *standing.Facts) { f.User.Enabled = false }, []standing.Cause{standing.Disabled}},
		{"deleted, whatever else", func(f *standing.Facts) { f.User.Enabled, f.User.Deleted = false, now }, []standing.Cause{standing.Deleted}},
		{"application gone", func(f *standing.Facts) { f.App = nil }, []standing.Cause{standing.AppDeleted}},
		{"application disabled", func(f *standing.Facts) { f.App.Enabled = false }, []standing.Cause{standing.AppDisabled}},
		{"not assigned", func(f *standing.Facts) { f.Unassigned = true }, []standing.Cause{standing.Unassigned}},
		{"idle, at the very instant", func(f *standing.Facts) { f.Ends = now }, []standing.Cause{standing.Idle}},
		{"over, at the very instant", func(f *standing.Facts) { f.End = now }, []standing.Cause{standing.Over}},
		{"cut twice for one cause", func(f *standing.Facts) {
			f.Cuts = []standing.Cut{{Cause: standing.Revoked}, {Cause: standing.PasswordReset}, {Cause: standing.Revoked}}
		}, []standing.Cause{standing.Revoked, standing.PasswordReset}},
		{"what it was made from is idle", func(f *standing.Facts) { f.Above = []standing.Facts{good(), {Now: now, User: f.User, Ends: now}} }, []standing.Cause{standing.Idle}},
		{"something further above was cut", func(f *standing.Facts) {
			a := good()
			a.Above = []standing.Facts{{Now: now, User: f.User, Cuts: []standing.Cut{{Cause: standing.Reused}}}}
			f.Above, f.Cuts = []standing.Facts{a}, []standing.Cut{{Cause: standing.Reused}}
		}, []standing.Cause{standing.Reused}},
		{"what it was made from is good", func(f *standing.Facts) { f.Above = []standing.Facts{good()} }, nil},
		{"a policy allows", func(f *standing.Facts) { f.Policy = &policy.Verdict{Decision: policy.Allow} }, nil},
		{"a policy blocks", func(f *standing.Facts) { f.Policy = &policy.Verdict{} }, []standing.Cause{standing.PolicyBlocks}},
		{"a policy asks", func(f *standing.Facts) { f.Policy = &policy.Verdict{Decision: policy.Ask, Needs: policy.NeedMFA} }, []standing.Cause{standing.PolicyAsks}},
		{"a policy asks, and does not say for what", func(f *standing.Facts) { f.Policy = &policy.Verdict{Decision: policy.Ask} }, []standing.Cause{standing.PolicyAsks}},
		{"a policy's lifetime is over", func(f *standing.Facts) { f.Policy = &policy.Verdict{Decision: policy.Ask, Needs: policy.NeedSecond} }, []standing.Cause{standing.PolicyLifetime}},
		{"both", func(f *standing.Facts) {
			f.Policy = &policy.Verdict{Decision: policy.Ask, Needs: policy.NeedSignIn | policy.NeedMFA}
		}, []standing.Cause{standing.PolicyAsks, standing.PolicyLifetime}},
		{"what it was made from is gone", func(f *standing.Facts) { f.Orphan = true }, []standing.Cause{standing.Orphaned}},
		{"everything at once", func(f *standing.Facts) {
			f.Cuts, f.User.Enabled, f.App.Enabled, f.Ends, f.End = []standing.Cut{{Cause: standing.Disabled}}, false, false, now, now
		}, []standing.Cause{standing.Disabled, standing.AppDisabled, standing.Idle, standing.Over}},
	} {
		f := good()
		tt.change(&f)
		if got := standing.Check(f); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestDeadNamesItsCauses(t *testing.T) {
	d := &standing.Dead{Causes: []standing.Cause{standing.Disabled, standing.Revoked}}
	if d.Error() != "no longer good: disabled, revoked" || !d.Has(standing.Revoked) || d.Has(standing.Idle) {
		t.Fatal(d)
	}
}
