package govern

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
)

var dry = How{Act: manage.Act{DryRun: true}}

// fate finds what becomes of a grant or a session.
func fate(t *testing.T, e *Effect, g *grant.Grant, s *grant.Session) Fate {
	t.Helper()
	for _, f := range e.Fates {
		if g != nil && f.Grant == g.ID || s != nil && f.Session == s.ID {
			return f
		}
	}
	t.Errorf("nothing is said of it: %+v", e)
	return Fate{}
}

// What a dry run tells is what a what-if tells, and what then happens.
func TestADryRunTellsWhatEndsAndWhatStaysUntilWhen(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		office, away := h.session("ada", "192.0.2.7"), h.session("ada", "198.51.100.7")
		in, out, other := h.grant(office, "mail"), h.grant(away, "mail"), h.grant(away, "drive")
		gone := h.grant(away, "mail")
		h.update(func(tx *store.Tx) error { // cut already: nothing is said of it
			c, err := tx.Event(standing.GrantRevoked, standing.Victim{Grants: []string{gone.ID.String()}}, directoryParty)
			if err == nil {
				tx.Cut(c)
			}
			return err
		})
		h.create(Location, place, How{})
		text := doc("Mail from the office", "enabled", "mail", `,"locations":{"includeLocations":["All"],"excludeLocations":["AllTrusted"]}}`+block)
		_, e, err := h.Create(ctx, h.actor("grace"), Policy, []byte(text), dry)
		h.must(err)
		if e.Sessions != (Tally{Stays: 2}) || e.Grants != (Tally{Ends: 1, Stays: 2}) || e.Part || e.Rows != 6 || e.Left != 0 || e.Lockout.Out || !has(e.Lockout.In, "grace@contoso.example") {
			t.Errorf("%+v", e)
		}
		if f := fate(t, e, out, nil); f.Kind != policy.Ends || !slices.Equal(f.By, []string{"Mail from the office"}) || !f.Until.Equal(out.Created.Truncate(time.Second).Add(time.Hour)) || f.UserName != "ada@contoso.example" || f.AppName != "Mail" {
			t.Errorf("away: %+v", f) // the access token lives on: nobody guards api://mail
		}
		for _, g := range []*grant.Grant{in, other} {
			if f := fate(t, e, g, nil); f.Kind != 0 || !f.Until.Equal(g.Ends(h.Lifetimes)) {
				t.Errorf("stays: %+v", f)
			}
		}
		if len(e.Apps) != 2 || e.Apps[0] != (AppFate{App: "mail", Name: "Mail", Tally: Tally{Ends: 1, Stays: 1}}) || e.Apps[1].App != "drive" {
			t.Errorf("%+v", e.Apps)
		}
		if all, err := h.List(ctx, h.actor("grace"), Policy); err != nil || len(all) != 0 {
			t.Errorf("a dry run wrote %v", all)
		}
		_, again, err := h.WhatIf(ctx, h.actor("grace"), Suppose{Kind: Policy, Doc: []byte(text)})
		h.must(err)
		if a, b := told2(e), told2(again); a != b {
			t.Errorf("a dry run says\n%s\nand a what-if\n%s", a, b)
		}

		// On, it is what was said: the set decides so.
		p := h.create(Policy, text, How{})
		h.must(h.DB.Read(ctx, func(tx *store.Tx) error {
			set, err := tx.Policies()
			if err != nil {
				return err
			}
			c := &step{Tx: tx, s: h.Service}
			for g, want := range map[*grant.Grant]policy.Decision{in: policy.Allow, out: policy.Block, other: policy.Allow} {
				a, err := c.grant(g, c.people())
				if err != nil || a == nil {
					t.Fatal(a, err)
				}
				uses, err := c.uses(a, set)
				if err != nil {
					return err
				}
				for _, f := range uses {
					if v := set.Decide(&f); v.Decision != want {
						t.Errorf("%s: %v, want %v", g.App, v.Decision, want)
					}
				}
			}
			return nil
		}))
		// Deleting it opens what it kept shut; asking for a factor asks.
		_, e, err = h.WhatIf(ctx, h.actor("grace"), Suppose{Kind: Policy, Ref: p.ID(), Delete: true})
		h.must(err)
		if e.Grants != (Tally{Opens: 1, Stays: 2}) || fate(t, e, out, nil).By[0] != "Mail from the office" {
			t.Errorf("%+v", e)
		}
		_, e, err = h.WhatIf(ctx, h.actor("grace"), Suppose{Kind: Policy, Ref: p.ID(), Doc: []byte(`{"conditions":{"applications":{"includeApplications":["drive"]},"locations":null},"grantControls":{"builtInControls":["mfa"]}}`)})
		h.must(err)
		if f := fate(t, e, other, nil); f.Kind != policy.Asks || !slices.Equal(f.Needs, []string{"mfa"}) {
			t.Errorf("%+v", f)
		}
		// Moving a location is a change like any other.
		_, e, err = h.WhatIf(ctx, h.actor("grace"), Suppose{Kind: Location, Ref: "Office", Doc: []byte(`{"isTrusted":false}`)})
		h.must(err)
		if f := fate(t, e, in, nil); f.Kind != policy.Ends {
			t.Errorf("%+v", f)
		}
		// A frequency shortens what is fresh and asks of what is not.
		h.clock.Add(90 * time.Minute)
		fresh := h.grant(h.session("ada", "192.0.2.7"), "drive")
		_, e, err = h.WhatIf(ctx, h.actor("grace"), Suppose{Kind: Policy, Doc: []byte(doc("Each hour", "enabled", "drive", `},"sessionControls":{"signInFrequency":{"isEnabled":true,"type":"hours","value":1}}}`))})
		h.must(err)
		if a, b := fate(t, e, fresh, nil), fate(t, e, other, nil); a.Kind != policy.Shortens || b.Kind != policy.Asks || a.Until.IsZero() || !has(b.By, "Each hour") {
			t.Errorf("%+v %+v", a, b)
		}
		what, e, err := h.WhatIf(ctx, h.actor("grace"), Suppose{Kind: Policy, Ref: p.ID(), Doc: []byte(`{"state":"enabled"}`)})
		h.must(err)
		if what != "Changes nothing." || e.Rows != 0 {
			t.Errorf("%q %+v", what, e)
		}
		// Who has accepted terms of use is not asked for them.
		tou := h.create(Terms, `{"displayName":"House rules","text":"Close the door."}`, How{})
		h.update(func(tx *store.Tx) error {
			d, err := tx.Document(store.TermsDocument, tou.ID())
			if err != nil {
				return err
			}
			return tx.AcceptTerms(h.ids["ada"], tou.ID(), d.Version)
		})
		h.grant(h.session("grace", "192.0.2.7"), "drive")
		terms := strings.Replace(doc("Terms", "enabled", "drive", "}"+mfa), `["mfa"]`, `[],"termsOfUse":["`+tou.ID()+`"]`, 1)
		_, e, err = h.WhatIf(ctx, h.actor("grace"), Suppose{Kind: Policy, Doc: []byte(terms)})
		h.must(err)
		if e.Grants.Asks != 1 || fate(t, e, fresh, nil).Kind != 0 {
			t.Errorf("%+v", e.Grants)
		}
		// A thought is not refused for locking everybody out; it tells so.
		_, e, err = h.WhatIf(ctx, h.actor("grace"), Suppose{Kind: Policy, Doc: []byte(doc("Nobody", "enabled", "All", "}"+block))})
		h.must(err)
		if !e.Lockout.Out || e.Sessions.Ends != 4 {
			t.Errorf("%+v", e)
		}
	})
}

// told2 is an effect to be compared.
func told2(e *Effect) string {
	b, _ := json.Marshal(e)
	return string(b)
}

// A what-if reads for seconds: who asks while others do is asked to wait.
func TestOnlySoManyLookAtATime(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	var all []func()
	for range maxLooking {
		done, err := h.look()
		h.must(err)
		all = append(all, done)
	}
	off := Suppose{Kind: Policy, Doc: []byte(doc("x", "disabled", "mail", "}"+mfa))}
	_, _, err := h.WhatIf(t.Context(), h.actor("grace"), off)
	want(t, err, fault.Limited)
	for _, done := range all {
		done()
	}
	_, _, err = h.WhatIf(t.Context(), h.actor("grace"), off)
	h.must(err)
}

func TestMoreThanIsLookedAtIsToldAsAPart(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	s := h.session("ada", "192.0.2.7")
	for range 7 {
		h.grant(s, "mail")
	}
	n := h.counting()
	n.judge = func(_ *step, all []*alive) ([]Fate, error) { return make([]Fate, len(all)), nil }
	n.rows, n.page = 5, 2
	h.must(n.everybody(t.Context()))
	if e := n.done(); !e.Part || e.Rows != 7 || e.Grants.Stays != 6 || e.Sessions.Stays != 1 {
		t.Errorf("%+v", e) // one session, and three pages of two grants
	}
}

func TestWhatIfSomebodyWereDisabledOrLostARole(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	h.person("anita", role.GlobalAdministrator, role.HelpdeskAdministrator)
	s := h.session("anita", "192.0.2.7")
	g := h.grant(s, "mail")
	other := h.grant(h.session("ada", "192.0.2.8"), "mail")
	what, e, err := h.WhatIf(ctx, h.actor("grace"), Suppose{User: h.ids["anita"]})
	h.must(err)
	if what != "Disables anita@contoso.example." || e.Sessions != (Tally{Ends: 1}) || e.Grants != (Tally{Ends: 1}) || e.Lockout.Out || has(e.Lockout.In, "anita@contoso.example") {
		t.Errorf("%q %+v", what, e)
	}
	if f := fate(t, e, g, nil); !f.Until.Equal(g.Created.Truncate(time.Second).Add(time.Hour)) || f.By[0] != "account disabled" {
		t.Errorf("%+v", f)
	}
	// A role removed ends tokens, and no session; widened, sessions too.
	lost := Suppose{User: h.ids["anita"], Role: role.HelpdeskAdministrator}
	_, e, err = h.WhatIf(ctx, h.actor("grace"), lost)
	h.must(err)
	if e.Sessions != (Tally{Stays: 1}) || e.Grants != (Tally{Ends: 1}) || !has(e.Lockout.In, "anita@contoso.example") {
		t.Errorf("%+v", e)
	}
	h.must(h.manage.SetSetting(ctx, operator, "lifecycle.role_removed", "everything", manage.Act{}))
	_, e, err = h.WhatIf(ctx, h.actor("grace"), lost)
	h.must(err)
	if e.Sessions != (Tally{Ends: 1}) {
		t.Errorf("%+v", e)
	}
	// It is what happens.
	h.update(func(tx *store.Tx) error {
		all, err := tx.Assignments()
		for _, a := range all {
			if err == nil && a.User == lost.User && a.Role == lost.Role {
				_, err = tx.RemoveRole(a.ID)
			}
		}
		return err
	})
	h.must(h.DB.Read(ctx, func(tx *store.Tx) error {
		c := &step{Tx: tx, s: h.Service}
		a, err := c.session(s, c.people())
		b, err2 := c.grant(g, c.people())
		x, err3 := c.grant(other, c.people())
		if a != nil || b != nil || x == nil || err != nil || err2 != nil || err3 != nil {
			t.Errorf("alive: %v %v %v; %v %v %v", a, b, x, err, err2, err3)
		}
		return nil
	}))
	_, _, err = h.WhatIf(ctx, h.actor("grace"), lost)
	want(t, err, fault.NotFound, "does not hold")
	// A role that a group gives all the same is not lost.
	_, err = h.manage.CreateGroup(ctx, operator, manage.NewGroup{Name: "Desk", RoleAssignable: true}, manage.Act{})
	h.must(err)
	v, err := h.manage.Group(ctx, operator, "Desk")
	h.must(err)
	h.must(h.manage.AddMember(ctx, operator, v.Group.ID, lost.User, manage.Act{}))
	_, err = h.manage.Assign(ctx, operator, manage.NewAssignment{Group: v.Group.ID, Role: lost.Role}, manage.Act{})
	h.must(err)
	h.give("anita", lost.Role)
	g = h.grant(h.session("anita", "192.0.2.7"), "mail")
	what, e, err = h.WhatIf(ctx, h.actor("grace"), lost)
	h.must(err)
	if e.Grants != (Tally{Stays: 1}) || fate(t, e, g, nil).Kind != 0 || what != "Removes the role Helpdesk Administrator from anita@contoso.example. A group gives it all the same." {
		t.Errorf("%q %+v", what, e)
	}
	// The last but one who could put things right.
	_, e, err = h.WhatIf(ctx, h.actor("grace"), Suppose{User: h.ids["grace"], Role: role.GlobalAdministrator})
	h.must(err)
	if e.Lockout.Out || !reflect.DeepEqual(e.Lockout.In, []string{"anita@contoso.example"}) {
		t.Errorf("%+v", e.Lockout)
	}
}

// What a lost role does not end may be kept out by a policy that leaves its holders out,
// and may be let in where one is about them.
func TestWhatIfARoleThatPoliciesNameWereLost(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	h.person("anita", role.HelpdeskAdministrator)
	h.grant(h.session("anita", "192.0.2.7"), "mail")
	lost := Suppose{User: h.ids["anita"], Role: role.HelpdeskAdministrator}
	for members, want := range map[string]Tally{`"includeUsers":["All"],"excludeRoles":["` + string(lost.Role) + `"]`: {Ends: 1}, `"includeRoles":["` + string(lost.Role) + `"]`: {Opens: 1}} {
		p := h.create(Policy, strings.Replace(doc("About the desk", "enabled", "curfew-account", "}"+block), `"includeUsers":["All"]`, members, 1), How{})
		_, e, err := h.WhatIf(ctx, h.actor("grace"), lost)
		h.must(err)
		if e.Sessions != want || e.Grants != (Tally{Ends: 1}) {
			t.Errorf("%s: sessions %+v, grants %+v", members, e.Sessions, e.Grants)
		}
		for _, f := range e.Fates {
			if !f.Session.IsZero() && (f.Cut || !has(f.By, "About the desk")) || !f.Grant.IsZero() && !f.Cut {
				t.Errorf("%s: %+v", members, f)
			}
		}
		_, err = h.Delete(ctx, h.actor("grace"), Policy, p.ID(), How{})
		h.must(err)
	}
	// Nobody else gets in than who is left out for it.
	h.create(Policy, strings.Replace(doc("Desk only", "enabled", "All", "}"+block), `"includeUsers":["All"]`, `"includeUsers":["All"],"excludeRoles":["`+string(lost.Role)+`"]`, 1), How{Force: true})
	h.give("grace", lost.Role)
	_, e, err := h.WhatIf(ctx, h.actor("grace"), Suppose{User: h.ids["grace"], Role: lost.Role})
	h.must(err)
	if !e.Lockout.Out || !has(e.Lockout.By, "Desk only") {
		t.Errorf("%+v", e.Lockout)
	}
}

func TestASignInIsEvaluated(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	h.Access = &access.Service{DB: h.DB, Country: func(a netip.Addr) (policy.Country, bool) {
		if a == netip.MustParseAddr("203.0.113.9") {
			return policy.Country{'N', 'Z'}, true
		}
		return policy.Nowhere, true
	}}
	h.create(Location, place, How{})
	h.create(Policy, doc("Two factors for Mail", "enabled", "mail", "}"+mfa), How{})
	h.create(Policy, doc("Not from outside", "enabledForReportingButNotEnforced", "drive", `,"locations":{"includeLocations":["All"],"excludeLocations":["AllTrusted"]}}`+block), How{})
	h.create(Policy, doc("Off", "disabled", "All", "}"+block), How{})
	ask := func(x SignIn) *Evaluation {
		t.Helper()
		x.User = h.ids["ada"]
		e, err := h.Evaluate(ctx, h.actor("grace"), x)
		h.must(err)
		return e
	}
	outcome := func(e *Evaluation) map[string]policy.Outcome {
		m := map[string]policy.Outcome{}
		for _, r := range e.Results {
			m[r.Policy.Name] = r.Outcome
		}
		return m
	}
	e := ask(SignIn{Apps: []string{"mail"}, Address: netip.MustParseAddr("203.0.113.9")})
	if e.Decision != policy.Ask || !slices.Equal(e.Needs, []string{"mfa"}) || e.Able || e.Country.String() != "NZ" || len(e.Places) != 0 || e.User.Password.Hash != "" {
		t.Errorf("%+v", e)
	}
	if got := outcome(e); !reflect.DeepEqual(got, map[string]policy.Outcome{"Two factors for Mail": policy.Failure, "Not from outside": policy.ReportNotApplied, "Off": policy.NotEnabled}) {
		t.Errorf("%v", got)
	}
	e = ask(SignIn{Apps: []string{"api://drive"}, Address: netip.MustParseAddr("192.0.2.9")})
	if e.Decision != policy.Allow || !slices.Equal(e.Places, []string{"Office"}) {
		t.Errorf("%+v", e)
	}
	// A policy applies if it does to one of several; the strictest counts.
	if e = ask(SignIn{Apps: []string{"mail", "drive"}}); e.Decision != policy.Ask {
		t.Errorf("%+v", e)
	}
	e = ask(SignIn{Apps: []string{"drive", "mail"}})
	if got := outcome(e); e.Decision != policy.Ask || got["Two factors for Mail"] != policy.Failure || got["Not from outside"] != policy.ReportFailure {
		t.Errorf("%+v %v", e, got)
	}
	e = ask(SignIn{Apps: []string{"mail"}, Methods: policy.SoftwareOTP.Set()})
	if e.Decision != policy.Allow || !e.Able {
		t.Errorf("%+v", e)
	}
	if e = ask(SignIn{Action: policy.RegisterSecurityInfo}); e.Decision != policy.Allow {
		t.Errorf("%+v", e)
	}
	for _, x := range []SignIn{{User: h.ids["ada"], Apps: []string{"nothing"}}, {User: directory.UserID{7}, Apps: []string{"mail"}}} {
		_, err := h.Evaluate(ctx, h.actor("grace"), x)
		want(t, err, fault.NotFound)
	}
	_, err := h.Evaluate(ctx, h.actor("grace"), SignIn{User: h.ids["ada"]})
	want(t, err, fault.Invalid)
	_, err = h.Spare(ctx, h.actor("grace"), h.ids["ada"], true, How{})
	h.must(err)
	if e = ask(SignIn{Apps: []string{"mail"}}); e.Decision != policy.Allow || !e.Spared {
		t.Errorf("%+v", e)
	}
}
