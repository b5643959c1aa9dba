package risks_test

import (
	"slices"
	"testing"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/risk"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/risks"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// A new password satisfies policies that demand one, until something newer is found:
// what was let in by it is judged again, whatever the level says.
func TestAFindingAfterANewPasswordPutsInDoubt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		add := func() (c *store.Cut) {
			t.Helper()
			w.Clock.Add(1e9)
			w.Update(func(tx *store.Tx) (err error) {
				c, err = risks.Add(tx, &risks.Detection{User: w.Ada.ID, Rule: risk.TokenReused, IP: "192.0.2.1", Why: "A fact."})
				return err
			})
			return c
		}
		if c := add(); c == nil {
			t.Fatal("a first finding is no event")
		}
		if c := add(); c != nil {
			t.Errorf("the same again: %+v", c)
		}
		w.Clock.Add(1e9)
		w.Update(func(tx *store.Tx) error {
			_, err := tx.ChangeUser(w.Ada.ID, store.UserChange{}, func(u *directory.User) error { u.Password.Changed = tx.Now; return nil })
			return err
		})
		if c := add(); c == nil || len(c.Cuts) != 1 || c.Cuts[0].Reach != cutoff.Judge {
			t.Errorf("after a new password: %+v", c)
		}
		if c := add(); c != nil {
			t.Errorf("and again: %+v", c)
		}
	})
}

func TestARiskThatChangesPutsInDoubt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		s := w.Session(w.Ada)
		g := w.Grant(s, true)
		add := func(r risk.Rule, in directory.SessionID) (c *store.Cut) {
			t.Helper()
			w.Clock.Add(1e9) // ids of one instant have no order
			w.Update(func(tx *store.Tx) (err error) {
				c, err = risks.Add(tx, &risks.Detection{User: w.Ada.ID, Session: in, Rule: r, IP: "192.0.2.1", Why: "A fact."})
				return err
			})
			return c
		}
		of := func() (st risks.State, session policy.Risk) {
			t.Helper()
			w.Read(func(tx *store.Tx) (err error) {
				if st, err = risks.Of(tx, w.Ada.ID); err == nil {
					session, err = risks.OfSession(tx, s.ID)
				}
				return err
			})
			return st, session
		}
		doubt := []cutoff.Cutoff{{Scope: cutoff.User, ID: w.Ada.ID.String(), Reach: cutoff.Judge}}
		for _, tt := range []struct {
			rule  risk.Rule
			in    directory.SessionID
			line  bool
			level policy.Risk
			state string
			here  policy.Risk
		}{
			{risk.NewNetwork, s.ID, true, policy.LowRisk, risks.AtRisk, policy.LowRisk},
			{risk.NewNetwork, directory.SessionID{}, false, policy.LowRisk, risks.AtRisk, policy.LowRisk},
			{risk.TokenReused, directory.SessionID{}, true, policy.MediumRisk, risks.AtRisk, policy.LowRisk},
			{risk.Confirmed, directory.SessionID{}, true, policy.HighRisk, risks.Compromised, policy.LowRisk},
			{risk.TwoNetworks, directory.SessionID{}, false, policy.HighRisk, risks.Compromised, policy.LowRisk},
		} {
			c := add(tt.rule, tt.in)
			if (c != nil) != tt.line {
				t.Fatalf("%s: line %+v", tt.rule, c)
			}
			if c != nil && (c.Cause != standing.RiskAltered || c.Receipt != "" || len(c.Cuts) != 1 || c.Cuts[0].Scope != doubt[0].Scope || c.Cuts[0].ID != doubt[0].ID || c.Cuts[0].Reach != doubt[0].Reach) {
				t.Errorf("%s: %+v", tt.rule, c)
			}
			if st, here := of(); st.Level != tt.level || st.State != tt.state || here != tt.here || !st.Since.Equal(w.Clock.Now()) {
				t.Errorf("%s: %+v, the session %v", tt.rule, st, here)
			}
		}
		if !w.SessionAlive(s.ID) || !w.GrantAlive(g.ID) {
			t.Error("a risk ended something by itself")
		}
		w.Clock.Add(1e9)
		var c *store.Cut
		w.Update(func(tx *store.Tx) (err error) {
			c, err = risks.Dismiss(tx, &risks.Detection{User: w.Ada.ID, Rule: risk.Dismissed, Actor: "grace@contoso.example", Why: "It was me."})
			return err
		})
		if st, here := of(); c == nil || st.Level != policy.NoRisk || st.State != risks.Dismissed || here != policy.NoRisk {
			t.Errorf("dismissed: %+v %+v %v", c, st, here)
		}
		w.Read(func(tx *store.Tx) error {
			all, err := risks.Detections(tx, w.Ada.ID, directory.ID[risks.Detection]{}, 10)
			var rules []risk.Rule
			for _, d := range all {
				rules = append(rules, d.Rule)
				if d.Closed.IsZero() || d.User != w.Ada.ID {
					t.Errorf("%+v", d)
				}
			}
			if want := []risk.Rule{risk.Dismissed, risk.TwoNetworks, risk.Confirmed, risk.TokenReused, risk.NewNetwork, risk.NewNetwork}; !slices.Equal(rules, want) {
				t.Errorf("%v", rules)
			}
			others, err2 := risks.Detections(tx, w.Grace.ID, directory.ID[risks.Detection]{}, 10)
			some, err3 := risks.Detections(tx, directory.UserID{}, all[1].ID, 2)
			if len(others) != 0 || err2 != nil || err3 != nil || len(some) != 2 || some[0].Rule != risk.Confirmed || some[1].Session != (directory.SessionID{}) {
				t.Errorf("%v %v %+v %v", others, err2, some, err3)
			}
			risky, err4 := risks.Risky(tx, risks.Query{}, directory.UserID{}, 10)
			if err4 != nil || len(risky) != 1 || risky[0].User != w.Ada.ID {
				t.Errorf("%+v %v", risky, err4)
			}
			return err
		})
	})
}

func TestRulesAreKept(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		want := func(on, reuse bool) {
			t.Helper()
			w.Read(func(tx *store.Tx) error {
				rules, err := risks.Rules(tx)
				if rules.On(risk.NewNetwork) != on || rules.On(risk.TokenReused) != reuse {
					t.Errorf("%v", rules)
				}
				return err
			})
		}
		want(false, true)
		for _, on := range []bool{true, false, true} {
			w.Update(func(tx *store.Tx) error {
				if err := risks.SetRule(tx, risk.TokenReused, !on); err != nil {
					return err
				}
				return risks.SetRule(tx, risk.NewNetwork, on)
			})
			want(on, !on)
		}
	})
}

func TestFindingsAreFoundByWhatTheyAre(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		add := func(u *directory.User, r risk.Rule) {
			t.Helper()
			w.Clock.Add(1e9)
			w.Update(func(tx *store.Tx) error {
				_, err := risks.Add(tx, &risks.Detection{User: u.ID, Rule: r, Why: "A fact."})
				return err
			})
		}
		add(w.Ada, risk.NewNetwork)
		add(w.Ada, risk.TokenReused)
		add(w.Ada, "a rule of a newer version")
		w.Clock.Add(1e9)
		w.Update(func(tx *store.Tx) error {
			return risks.Remediate(tx, &risks.Detection{User: w.Ada.ID, Rule: risk.Reset, Why: "A new one."}, tx.Now)
		})
		add(w.Grace, risk.Confirmed)
		add(w.Grace, risk.NewProgram)
		for name, x := range map[string]struct {
			q    risks.Query
			want []risk.Rule
			who  []directory.UserID
		}{
			"all":             {risks.Query{}, []risk.Rule{risk.NewProgram, risk.Confirmed, risk.Reset, "a rule of a newer version", risk.TokenReused, risk.NewNetwork}, []directory.UserID{w.Ada.ID, w.Grace.ID}},
			"low":             {risks.Query{Level: policy.LowRisk}, []risk.Rule{risk.NewProgram, risk.NewNetwork}, nil},
			"medium":          {risks.Query{Level: policy.MediumRisk}, []risk.Rule{risk.TokenReused}, nil},
			"high":            {risks.Query{Level: policy.HighRisk}, []risk.Rule{risk.Confirmed, "a rule of a newer version"}, []directory.UserID{w.Grace.ID}},
			"none":            {risks.Query{Level: policy.NoRisk}, []risk.Rule{risk.Reset}, []directory.UserID{w.Ada.ID}},
			"at risk":         {risks.Query{State: risks.AtRisk}, []risk.Rule{risk.NewProgram}, nil},
			"confirmed":       {risks.Query{State: risks.Compromised, Level: policy.HighRisk}, []risk.Rule{risk.Confirmed}, []directory.UserID{w.Grace.ID}},
			"dismissed":       {risks.Query{State: risks.Dismissed}, nil, nil},
			"remediated, low": {risks.Query{State: risks.Remediated, Level: policy.LowRisk}, []risk.Rule{risk.NewNetwork}, nil},
			"of grace, low":   {risks.Query{User: w.Grace.ID, Level: policy.LowRisk}, []risk.Rule{risk.NewProgram}, nil},
		} {
			w.Read(func(tx *store.Tx) error {
				all, err := risks.Find(tx, x.q, directory.ID[risks.Detection]{}, 10)
				if err != nil {
					return err
				}
				var got []risk.Rule
				for _, d := range all {
					got = append(got, d.Rule)
					one, err := risks.Find(tx, risks.Query{ID: d.ID}, directory.ID[risks.Detection]{}, 10)
					if err != nil || len(one) != 1 || one[0].ID != d.ID {
						t.Errorf("%s: %v %v", name, one, err)
					}
				}
				if !slices.Equal(got, x.want) {
					t.Errorf("%s: %v, want %v", name, got, x.want)
				}
				rows, err := risks.Risky(tx, x.q, directory.UserID{}, 10)
				var who []directory.UserID
				for _, s := range rows {
					who = append(who, s.User)
				}
				missing := func(id directory.UserID) bool { return !slices.Contains(who, id) } // ids of one instant have no order
				if x.q.User.IsZero() && (len(who) != len(x.who) || slices.ContainsFunc(x.who, missing)) {
					t.Errorf("%s: accounts %v, want %v", name, who, x.who)
				}
				return err
			})
		}
	})
}
