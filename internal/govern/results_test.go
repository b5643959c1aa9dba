package govern

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/journal"
)

func TestResultsSayWhatAPolicyDidAndWouldHaveDone(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	p := h.create(Policy, doc("Two factors for Mail", "enabledForReportingButNotEnforced", "mail", "}"+mfa), How{})
	if r, err := h.Results(ctx, h.actor("grace"), p.ID(), 7); err != nil || r.Kept || r.Days != nil {
		t.Errorf("without a log: %+v %v", r, err)
	}
	var err error
	h.Journal, err = journal.Open(ctx, journal.Config{URL: filepath.Join(t.TempDir(), "signins.db"), Now: h.clock.Now, Log: slog.New(slog.DiscardHandler)})
	h.must(err)
	t.Cleanup(func() { h.Journal.Close() })
	// use writes down a use of an application with some methods, as the rooms that sign in do.
	use := func(kind journal.Kind, app directory.AppID, given policy.Methods) {
		t.Helper()
		h.must(h.DB.Read(ctx, func(tx *store.Tx) error {
			set, err := tx.Policies()
			if err != nil {
				return err
			}
			c := &step{Tx: tx, s: h.Service}
			x, err := c.people().of(h.ids["ada"])
			if err != nil {
				return err
			}
			f, err := c.facts(x, &access.Use{Client: app, AuthTime: tx.Now}, set)
			if err != nil {
				return err
			}
			f.Methods = given
			v := set.Decide(&f)
			h.Journal.Add(&journal.Entry{Kind: kind, Flow: "code", User: h.ids["ada"], App: f.Client, Applied: h.Journal.Judged(set, &f, &v)})
			return nil
		}))
	}
	use(journal.Interactive, "mail", policy.Password.Set())
	h.clock.Add(24 * time.Hour)
	use(journal.Interactive, "mail", policy.Password.Set())
	use(journal.Silent, "mail", policy.Password.Set()|policy.SoftwareOTP.Set())
	use(journal.Silent, "drive", policy.Password.Set())
	h.clock.Add(24 * time.Hour)
	_, err = h.Change(ctx, operator, Policy, p.ID(), []byte(`{"state":"enabled"}`), How{})
	h.must(err)
	use(journal.Silent, "mail", policy.Password.Set())

	r, err := h.Results(ctx, h.actor("grace"), "two factors for mail", 2)
	h.must(err)
	day := h.clock.Now().UTC().Truncate(24 * time.Hour)
	if len(r.Days) != 2 || !r.Days[1].Day.Equal(day) || r.Days[0].Counts != (Counts{Asked: 1, Satisfied: 1, NotApplied: 1, Reported: 3, Silent: 2}) || r.Days[1].Counts != (Counts{Refused: 1, Silent: 1}) {
		t.Errorf("%+v", r.Days)
	}
	if !r.Kept || r.Total != (Counts{Asked: 1, Satisfied: 1, Refused: 1, NotApplied: 1, Reported: 3, Silent: 3}) {
		t.Errorf("%+v", r.Total)
	}
	if r, err = h.Results(ctx, h.actor("grace"), p.ID(), 3); err != nil || r.Total.Asked != 2 {
		t.Errorf("%+v %v", r, err)
	}
	for _, n := range []int{0, 367, -1} {
		_, err = h.Results(ctx, h.actor("grace"), p.ID(), n)
		want(t, err, fault.Invalid)
	}
	_, err = h.Results(ctx, h.actor("grace"), "nothing", 7)
	want(t, err, fault.NotFound)
}
