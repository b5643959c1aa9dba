package govern

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
)

// Every exported method, called by somebody without any role, by an application
// without the permission, and with a dry run, is refused; one that is not in this
// list fails the test.
func TestThePowerlessAreRefusedEverywhere(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	p := h.create(Policy, doc("Mail", "disabled", "mail", "}"+mfa), How{})
	grace := h.ids["grace"]
	calls := map[string]func(a directory.Actor, how How) error{
		"List": func(a directory.Actor, _ How) error { _, err := h.List(ctx, a, Policy); return err },
		"Show": func(a directory.Actor, _ How) error { _, err := h.Show(ctx, a, Policy, p.ID()); return err },
		"Create": func(a directory.Actor, how How) error {
			_, _, err := h.Create(ctx, a, Location, []byte(place), how)
			return err
		},
		"Change": func(a directory.Actor, how How) error {
			_, err := h.Change(ctx, a, Policy, p.ID(), []byte(`{}`), how)
			return err
		},
		"Delete": func(a directory.Actor, how How) error { _, err := h.Delete(ctx, a, Policy, p.ID(), how); return err },
		"Declare": func(a directory.Actor, _ How) error {
			return h.DB.Update(ctx, func(tx *store.Tx) error {
				a, err := tx.ActorNow(a)
				if err == nil {
					_, err = h.Declare(tx, a, Location, "Office", place)
				}
				return err
			})
		},
		"Results":        func(a directory.Actor, _ How) error { _, err := h.Results(ctx, a, p.ID(), 7); return err },
		"Spare":          func(a directory.Actor, how How) error { _, err := h.Spare(ctx, a, grace, true, how); return err },
		"SparedAccounts": func(a directory.Actor, _ How) error { _, err := h.SparedAccounts(ctx, a); return err },
		"Evaluate": func(a directory.Actor, _ How) error {
			_, err := h.Evaluate(ctx, a, SignIn{User: grace, Apps: []string{"mail"}})
			return err
		},
		"WhatIf": func(a directory.Actor, _ How) error {
			_, _, err := h.WhatIf(ctx, a, Suppose{Kind: Policy, Ref: p.ID(), Delete: true})
			if _, _, err2 := h.WhatIf(ctx, a, Suppose{User: h.ids["ada"]}); !fault.Is(err2, fault.Denied) {
				return err2
			}
			return err
		},
	}
	typ := reflect.TypeFor[*Service]()
	for i := range typ.NumMethod() {
		name := typ.Method(i).Name
		call := calls[name]
		if call == nil {
			t.Errorf("%s is not tested with a powerless actor", name)
			continue
		}
		h.give("ada", role.UserAdministrator) // much, and nothing of this
		for who, a := range map[string]directory.Actor{"nobody": {}, "ada": h.actor("ada"), "robot": {App: "robot", AppOnly: true, Scopes: []string{"Group.ReadWrite.All", "RoleManagement.ReadWrite.Directory"}},
			"grace through a client that may little": func() directory.Actor { a := h.actor("grace"); a.Scopes = []string{"User.Read"}; return a }()} {
			if name == "WhatIf" && who == "ada" {
				continue // sees what her revocations would end
			}
			for _, dry := range []bool{false, true} {
				if err := call(a, How{Act: manage.Act{DryRun: dry}}); !fault.Is(err, fault.Denied) {
					t.Errorf("%s by %s, dry %v: %v", name, who, dry, err)
				}
			}
		}
		h.update(func(tx *store.Tx) error {
			all, err := tx.Assignments()
			for _, x := range all {
				if err == nil && x.User == h.ids["ada"] {
					_, err = tx.RemoveRole(x.ID)
				}
			}
			return err
		})
	}
	if refused := h.audits("Delete conditional access policy"); len(refused) != 4 || refused[0].Result != audit.Refused {
		t.Errorf("refusals on record: %+v", refused) // a dry run is no attempt
	}
}

// Who reads reads, who writes writes, and only a Global Administrator spares.
func TestRolesAndPermissionsAreThoseOfEntra(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	for _, c := range []struct {
		role               directory.RoleID
		read, write, spare bool
	}{
		{role.SecurityReader, true, false, false}, {role.GlobalReader, true, false, false}, {role.ConditionalAccessAdmin, true, true, false}, {role.SecurityAdministrator, true, true, false}, {role.GlobalAdministrator, true, true, true},
		{role.UserAdministrator, false, false, false},
	} {
		a := h.person(strings.ReplaceAll(string(c.role[:8]), "-", ""), c.role)
		_, err := h.List(ctx, a, Location)
		if (err == nil) != c.read {
			t.Errorf("%s reads: %v", c.role, err)
		}
		made, _, err := h.Create(ctx, a, Location, []byte(place), How{})
		if (err == nil) != c.write {
			t.Errorf("%s writes: %v", c.role, err)
		}
		if err == nil {
			_, err = h.Delete(ctx, a, Location, made.ID(), How{})
			h.must(err)
		}
		if _, err = h.Spare(ctx, a, h.ids["ada"], true, How{Act: manage.Act{DryRun: true}}); (err == nil) != c.spare {
			t.Errorf("%s spares: %v", c.role, err)
		}
	}
	robot := directory.Actor{App: "robot", AppOnly: true, Scopes: []string{"Policy.Read.All"}}
	if _, err := h.List(ctx, robot, Policy); err != nil {
		t.Error(err)
	}
	_, _, err := h.Create(ctx, robot, Location, []byte(place), How{})
	want(t, err, fault.Denied, "Policy.ReadWrite.ConditionalAccess")
	robot.Scopes = []string{"Policy.ReadWrite.ConditionalAccess"}
	_, _, err = h.Create(ctx, robot, Location, []byte(place), How{})
	h.must(err)
	_, err = h.SparedAccounts(ctx, robot)
	want(t, err, fault.Denied)
}

func TestAPolicyIsCreatedChangedAndDeleted(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		var head = func() (n int) {
			h.must(h.DB.Read(ctx, func(tx *store.Tx) error {
				lines, err := tx.LinesBefore(0, 1000)
				for _, l := range lines {
					if l.Cause == standing.RowOf(standing.PolicyChanged).Cause {
						n++
						if cutoff.Ends(l.Cuts) || len(l.Cuts) != 1 || l.Receipt != "" {
							t.Errorf("a change of policy cuts %v, with the receipt %q", l.Cuts, l.Receipt)
						}
					}
				}
				return err
			}))
			return n
		}
		var said []string
		p := h.create(Policy, strings.Replace(doc("Two factors", "enabledForReportingButNotEnforced", "mail", "}"+mfa), `{`, `{"id":"11111111-1111-1111-1111-111111111111","createdDateTime":"2001-01-01T00:00:00Z",`, 1), How{Act: manage.Act{Effects: &said}})
		if p.ID() == "11111111-1111-1111-1111-111111111111" || p.Policy.Created.Year() == 2001 {
			t.Error("id and instants are the server's to give")
		}
		if len(said) != 1 || said[0] != "Creates the policy Two factors, report-only." {
			t.Errorf("said %q", said)
		}
		if got := h.show(Policy, "two FACTORS"); got.ID() != p.ID() || string(got.Format()) != string(p.Format()) || got.Version == 0 {
			t.Errorf("by name: %+v", got)
		}
		if n := head(); n != 1 {
			t.Errorf("%d lines", n)
		}
		change := func(patch string) *Document {
			t.Helper()
			_, err := h.Change(ctx, h.actor("grace"), Policy, p.ID(), []byte(patch), How{})
			h.must(err)
			return h.show(Policy, p.ID())
		}
		// What says nothing new is no change.
		before := h.show(Policy, p.ID())
		h.clock.Add(5e9)
		if got := change(`{"state":"enabledForReportingButNotEnforced","conditions":{"platforms":null}}`); got.Version != before.Version || head() != 1 {
			t.Errorf("version %d after nothing, %d lines", got.Version, head())
		}
		got := change(`{"displayName":"Two factors for Mail","conditions":{"users":{"excludeUsers":["` + h.ids["ada"].String() + `"]},"locations":{"includeLocations":["All"],"excludeLocations":["AllTrusted"]}}}`)
		q := got.Policy
		if q.Name != "Two factors for Mail" || !q.Include.All || len(q.Exclude.Users) != 1 || !q.ExcludePlaces.Trusted || q.Grant == nil || q.State != policy.ReportOnly || !q.Modified.After(q.Created) || !q.Created.Equal(p.Policy.Created) {
			t.Errorf("merged: %+v", q)
		}
		// A list replaces the list; null takes an object away, and members inside.
		got = change(`{"conditions":{"users":{"excludeUsers":[]},"locations":null},"grantControls":{"builtInControls":["compliantDevice"]},"sessionControls":{"signInFrequency":{"isEnabled":true,"type":"hours","value":4}}}`)
		if q = got.Policy; len(q.Exclude.Users) != 0 || q.ExcludePlaces.Trusted || q.Grant.Controls != policy.NeedCompliantDevice || !q.Grant.Any || q.Session.Frequency == nil {
			t.Errorf("merged: %+v", q)
		}
		if got = change(`{"sessionControls":{"signInFrequency":null,"persistentBrowser":null},"grantControls":{"operator":"AND"}}`); got.Policy.Session != nil && got.Policy.Session.Frequency != nil {
			t.Errorf("merged: %+v", got.Policy.Session)
		}
		_, err := h.Change(ctx, h.actor("grace"), Policy, p.ID(), []byte(`{"state":"disabled"}`), How{IfVersion: before.Version})
		want(t, err, fault.Conflict, "Somebody else changed this")
		_, err = h.Change(ctx, h.actor("grace"), Policy, p.ID(), []byte(`{"id":"11111111-1111-1111-1111-111111111111"}`), How{})
		want(t, err, fault.Invalid, "$.id")
		_, err = h.Delete(ctx, h.actor("grace"), Policy, "Two factors for Mail", How{Act: manage.Act{Reason: "over"}})
		h.must(err)
		_, err = h.Show(ctx, h.actor("grace"), Policy, p.ID())
		want(t, err, fault.NotFound)
		for action, n := range map[string]int{"Add conditional access policy": 1, "Update conditional access policy": 3, "Delete conditional access policy": 1} {
			all := h.audits(action)
			if len(all) != n || all[0].Target.ID != p.ID() || all[0].Actor.Name != "grace@contoso.example" || len(all[0].Changes) == 0 {
				t.Errorf("%s: %+v", action, all)
			}
		}
		last := h.audits("Update conditional access policy")[0]
		if x := (audit.Change{Property: "grantControls.operator", Old: "OR", New: "AND"}); !reflect.DeepEqual(last.Changes[0], x) {
			t.Errorf("changes %+v", last.Changes)
		}
		if n := head(); n != 5 {
			t.Errorf("%d lines", n)
		}
	})
}

// A document that is not understood whole changes nothing, and the path is told.
func TestBadDocumentsAreRefusedWithTheirPath(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	p := h.create(Policy, doc("Mail", "disabled", "mail", "}"+mfa), How{})
	l := h.create(Location, place, How{})
	for _, c := range []struct {
		kind       Kind
		ref        string // empty: created
		doc        string
		path, says string
	}{
		{Policy, "", `[1]`, "$", "an object"},
		{Policy, "", `{"displayName":"x","displayName":"y"}`, "$.displayName", "named twice"},
		{Policy, "", strings.Replace(doc("x", "enabled", "mail", "}"+mfa), "state", "stat", 1), "$.stat", "unknown"},
		{Policy, "", `{` + strings.Repeat(`"":1,`, 3000) + `"a":1}`, `$[""]`, "named twice"},
		{Policy, "", many(3000), "$", "more than 2000 entries"},
		{Policy, "", strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20), "$.a.a.a", "nested too deep"},
		{Policy, "", doc("x", "enabled", "nowhere", "}"+mfa), "$.conditions.applications.includeApplications[0]", "does not exist"},
		{Policy, "", strings.Replace(doc("x", "enabled", "mail", "}"+mfa), `["All"]`, `["11111111-1111-1111-1111-111111111111"]`, 1), "$.conditions.users.includeUsers[0]", "does not exist"},
		{Policy, "", doc("x", "enabled", "mail", `,"locations":{"includeLocations":["22222222-2222-2222-2222-222222222222"]}}`+mfa), "$.conditions.locations.includeLocations[0]", "does not exist"},
		{Policy, "", strings.Replace(doc("x", "enabled", "mail", "}"+mfa), `["mfa"]`, `["mfa","block"]`, 1), "$.grantControls.builtInControls[1]", "alone"},
		{Policy, "", strings.Replace(doc("x", "enabled", "mail", "}"+mfa), `["mfa"]`, `[],"termsOfUse":["22222222-2222-2222-2222-222222222222"]`, 1), "$.grantControls.termsOfUse[0]", "does not exist"},
		{Policy, p.ID(), `{"conditions":{"users":{"includeUser":["All"]}}}`, "$.conditions.users.includeUser", "unknown"},
		{Policy, p.ID(), `{"conditions":{"users":{"a":1,"a":2}}}`, "$.conditions.users.a", "named twice"},
		{Policy, p.ID(), `{"grantControls":null}`, "$", "neither demands nor limits"},
		{Policy, p.ID(), `{"state":"on"}`, "$.state", "is not one of"},
		{Location, l.ID(), `{"ipRanges":[{"@odata.type":"#microsoft.graph.iPv4CidrRange","cidrAddress":"192.0.2.1/24"}]}`, "$.ipRanges[0].cidrAddress", "a range as"},
		{Location, "", strings.Replace(place, "isTrusted", "isTrustworthy", 1), "$.isTrustworthy", "unknown"},
		{Strength, "", `{"displayName":"x","policyType":"builtIn","allowedCombinations":["fido2"]}`, "$.policyType", "custom"},
		{Strength, "", `{"displayName":"x","allowedCombinations":["palm"]}`, "$.allowedCombinations[0]", "is not some of"},
		{Context, "", `{"id":"c100","displayName":"x"}`, "$.id", "c1 to c99"},
		{Terms, "", `{"displayName":"x","text":"y","file":{}}`, "$.file", "unknown"},
		{Terms, "", `{"displayName":"x"}`, "$.text", "empty"},
	} {
		var err error
		if c.ref == "" {
			_, _, err = h.Create(ctx, h.actor("grace"), c.kind, []byte(c.doc), How{})
		} else {
			_, err = h.Change(ctx, h.actor("grace"), c.kind, c.ref, []byte(c.doc), How{})
		}
		if want(t, err, fault.Invalid, "At "+c.path, c.says); !strings.Contains(c.says, "deep") {
			want(t, err, fault.Invalid, "At "+c.path+":")
		}
	}
	if n := len(h.audits("Update conditional access policy")); n != 0 {
		t.Errorf("%d changes", n)
	}
}

// The directory's own pages have no rows, and can be named all the same.
func TestPoliciesCanBeAboutOurOwnPages(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	for _, id := range []string{"curfew", "curfew-portal", "curfew-account"} {
		h.create(Policy, doc("About "+id, "enabledForReportingButNotEnforced", id, "}"+mfa), How{})
		e, err := h.Evaluate(t.Context(), h.actor("grace"), SignIn{User: h.ids["ada"], Apps: []string{id}})
		h.must(err)
		applies := 0
		for _, r := range e.Results {
			if r.Applies {
				applies++
			}
		}
		if applies != map[string]int{"curfew": 1, "curfew-portal": 2, "curfew-account": 2}[id] {
			t.Errorf("%s: %d apply", id, applies)
		}
	}
}

// many is an object of n members.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"a%d":1`, i)
	}
	return "{" + b.String()[1:] + "}"
}

func TestWhatAPolicyNamesStays(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	l := h.create(Location, place, How{})
	s := h.create(Strength, `{"displayName":"Keys","allowedCombinations":["fido2"]}`, How{})
	c := h.create(Context, `{"id":"c7","displayName":"Payroll","isAvailable":true}`, How{})
	tou := h.create(Terms, `{"displayName":"House rules","text":"Close the door."}`, How{})
	named := map[*Document]string{
		l:   doc("By place", "disabled", "mail", `,"locations":{"includeLocations":["All"],"excludeLocations":["`+l.ID()+`"]}}`+block),
		s:   strings.Replace(doc("By strength", "disabled", "mail", "}"+mfa), `["mfa"]`, `[],"authenticationStrength":{"id":"`+s.ID()+`"}`, 1),
		c:   strings.Replace(doc("By context", "disabled", "mail", "}"+mfa), `"includeApplications":["mail"]`, `"includeAuthenticationContextClassReferences":["c7"]`, 1),
		tou: strings.Replace(doc("By terms", "disabled", "mail", "}"+mfa), `["mfa"]`, `[],"termsOfUse":["`+tou.ID()+`"]`, 1),
	}
	for d, text := range named {
		p := h.create(Policy, text, How{})
		_, err := h.Delete(ctx, h.actor("grace"), d.Kind, d.ID(), How{})
		want(t, err, fault.Conflict, p.Name(), d.Name())
		_, err = h.Delete(ctx, h.actor("grace"), Policy, p.ID(), How{})
		h.must(err)
		_, err = h.Delete(ctx, h.actor("grace"), d.Kind, d.ID(), How{})
		h.must(err)
	}
	builtIn := policy.BuiltInStrengths()[0].ID
	_, err := h.Delete(ctx, h.actor("grace"), Strength, builtIn, How{})
	want(t, err, fault.Conflict, "built in")
	_, err = h.Change(ctx, h.actor("grace"), Strength, builtIn, []byte(`{"displayName":"Weaker"}`), How{})
	want(t, err, fault.Conflict, "built in")
	// A context that is not there is created by changing it, as on Graph.
	_, err = h.Change(ctx, h.actor("grace"), Context, "c9", []byte(`{"displayName":"Secrets","isAvailable":true}`), How{})
	h.must(err)
	if d := h.show(Context, "c9"); d.Name() != "Secrets" {
		t.Errorf("%+v", d)
	}
	_, _, err = h.Create(ctx, h.actor("grace"), Context, []byte(`{"id":"c9","displayName":"Others"}`), How{})
	want(t, err, fault.Conflict, "c9")
}

func TestNobodyLocksEverybodyOutUnlessTheyMeanIt(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		grace := h.actor("grace") // has a password and nothing else
		all := doc("Two factors for all", "enabled", "All", "}"+mfa)
		_, _, err := h.Create(ctx, grace, Policy, []byte(all), How{})
		want(t, err, fault.Conflict, "No Global Administrator could sign in", "Two factors for all")
		var out *LockedOut
		if !errors.As(err, &out) || !out.Lockout.Out || !has(out.Lockout.By, "Two factors for all") {
			t.Errorf("%v", err)
		}
		_, _, err = h.Create(ctx, grace, Policy, []byte(all), How{Act: manage.Act{DryRun: true}})
		want(t, err, fault.Conflict)
		// Report-only keeps nobody out; switching it on would.
		p := h.create(Policy, strings.Replace(all, "enabled", "enabledForReportingButNotEnforced", 1), How{})
		_, err = h.Change(ctx, grace, Policy, p.ID(), []byte(`{"state":"enabled"}`), How{})
		want(t, err, fault.Conflict)
		// Where grace is known to come from counts.
		h.create(Location, place, How{})
		elsewhere := doc("Not from elsewhere", "enabled", "All", `,"locations":{"includeLocations":["All"],"excludeLocations":["AllTrusted"]}}`+block)
		_, _, err = h.Create(ctx, grace, Policy, []byte(elsewhere), How{})
		want(t, err, fault.Conflict, "Not from elsewhere")
		h.session("grace", "198.51.100.7")
		_, _, err = h.Create(ctx, h.actor("grace"), Policy, []byte(elsewhere), How{})
		want(t, err, fault.Conflict)
		h.session("grace", "192.0.2.77")
		e := h.create(Policy, elsewhere, How{})
		// And the place cannot be moved away under her.
		_, err = h.Change(ctx, h.actor("grace"), Location, "Office", []byte(`{"isTrusted":false}`), How{})
		want(t, err, fault.Conflict, "Not from elsewhere")
		_, err = h.Delete(ctx, h.actor("grace"), Policy, e.ID(), How{})
		h.must(err)

		// What they have registered counts: a second factor is enough to be asked for one.
		m := &directory.Method{ID: directory.NewID[directory.Method](h.clock.Now()), User: h.ids["grace"], Kind: directory.MethodTOTP, Name: "Phone", Created: h.clock.Now(), Doc: "{}"}
		h.update(func(tx *store.Tx) error { _, err := tx.AddMethod(m, store.UserChange{}); return err })
		_, err = h.Change(ctx, h.actor("grace"), Policy, p.ID(), []byte(`{"state":"enabled"}`), dry)
		h.must(err)
		// Not those of an administrator who is disabled.
		h.person("hedy", role.GlobalAdministrator)
		_, err = h.manage.SetEnabled(ctx, operator, h.ids["grace"], false, manage.Act{})
		h.must(err)
		_, err = h.Change(ctx, operator, Policy, p.ID(), []byte(`{"state":"enabled"}`), dry)
		want(t, err, fault.Conflict)
		_, err = h.manage.SetEnabled(ctx, operator, h.ids["grace"], true, manage.Act{})
		h.must(err)
		h.update(func(tx *store.Tx) error {
			_, _, err := tx.RemoveMethods(h.ids["grace"], store.UserChange{}, func(*directory.Method) bool { return true })
			return err
		})

		// A spared account that is a Global Administrator is a way back in.
		h.person("anita", role.GlobalAdministrator)
		_, err = h.Spare(ctx, h.actor("grace"), h.ids["anita"], true, How{})
		h.must(err)
		_, err = h.Change(ctx, h.actor("grace"), Policy, p.ID(), []byte(`{"state":"enabled"}`), How{})
		h.must(err)
		_, err = h.Spare(ctx, h.actor("grace"), h.ids["anita"], false, How{})
		want(t, err, fault.Conflict, "Two factors for all")
		_, err = h.Spare(ctx, h.actor("grace"), h.ids["anita"], false, How{Force: true, Act: manage.Act{Reason: "we mean it"}})
		h.must(err)
		if r := h.audits("Remove account spared by conditional access"); len(r) != 1 || r[0].Elaborate != "Forced." || r[0].Target.Name != "anita@contoso.example" {
			t.Errorf("%+v", r)
		}
		// Nobody gets in now. What makes it no worse needs no force, or there would be no way back.
		_, err = h.Change(ctx, operator, Policy, p.ID(), []byte(`{"displayName":"Two factors"}`), How{})
		h.must(err)
		_, _, err = h.Create(ctx, operator, Policy, []byte(doc("Nobody", "enabled", "All", "}"+block)), How{})
		want(t, err, fault.Conflict)
		_, err = h.Delete(ctx, operator, Policy, p.ID(), How{})
		h.must(err)
	})
}

// Two changes at once, each of which leaves the other's administrator in, do not
// leave nobody.
func TestTwoChangesAtOnceDoNotLockEverybodyOut(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, h *house) {
		h.person("anita", role.GlobalAdministrator)
		for range 4 {
			errs := make([]error, 2)
			made := make([]*Document, 2)
			var wg sync.WaitGroup
			for i, name := range []string{"grace", "anita"} {
				wg.Add(1)
				go func() {
					defer wg.Done()
					text := strings.Replace(doc("Not "+name, "enabled", "All", "}"+block), `["All"]`, `["`+h.ids[name].String()+`"]`, 1)
					made[i], _, errs[i] = h.Create(t.Context(), operator, Policy, []byte(text), How{})
				}()
			}
			wg.Wait()
			if refused := fault.Is(errs[0], fault.Conflict) != fault.Is(errs[1], fault.Conflict); !refused {
				t.Errorf("one of them had to be refused: %v, %v", errs[0], errs[1])
			}
			for _, d := range made {
				if d != nil {
					_, err := h.Delete(t.Context(), operator, Policy, d.ID(), How{})
					h.must(err)
				}
			}
		}
	})
}

func TestSparedAccountsAreListedAddedAndRemoved(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	var said []string
	_, err := h.Spare(ctx, h.actor("grace"), h.ids["grace"], true, How{Act: manage.Act{DryRun: true, Effects: &said}})
	h.must(err)
	if all, err := h.SparedAccounts(ctx, h.actor("grace")); err != nil || len(all) != 0 || !has(said, "Spares grace@contoso.example of all policies.") {
		t.Errorf("%v %v %q", all, err, said)
	}
	for _, name := range []string{"grace", "ada"} {
		_, err = h.Spare(ctx, h.actor("grace"), h.ids[name], true, How{})
		h.must(err)
	}
	_, err = h.Spare(ctx, h.actor("grace"), h.ids["ada"], true, How{})
	want(t, err, fault.Conflict, "already")
	s := h.session("grace", "192.0.2.1")
	all, err := h.SparedAccounts(ctx, h.actor("grace"))
	h.must(err)
	if len(all) != 2 || all[0].User.Name != "ada@contoso.example" || all[0].Admin || !all[1].Admin || !all[1].LastUsed.Equal(s.LastUsed) || all[1].User.Password.Hash != "" {
		t.Errorf("%+v", all)
	}
	_, err = h.Spare(ctx, h.actor("grace"), h.ids["ada"], false, How{})
	h.must(err)
	_, err = h.Spare(ctx, h.actor("grace"), h.ids["ada"], false, How{})
	want(t, err, fault.NotFound)
	_, err = h.Spare(ctx, h.actor("grace"), directory.UserID{1}, true, How{})
	want(t, err, fault.NotFound)
	if n := len(h.audits("Add account spared by conditional access")); n != 2 {
		t.Errorf("%d records", n)
	}
}
