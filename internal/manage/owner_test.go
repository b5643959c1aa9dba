package manage

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

func (h *house) app(id directory.AppID, n NewApp) {
	h.t.Helper()
	n.ID = id
	if n.Name == nil {
		n.Name = ptr(string(id))
	}
	_, _, err := h.CreateApp(h.t.Context(), operator, n, Act{})
	h.must(err)
}

// Where nobody is asked to consent, asking for more is consenting for everybody: a
// client that may change applications and not consent cannot do it that way.
func TestAFirstPartyApplicationGainsNothingWithoutTheRightToConsent(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	h.person("gail", role.GlobalAdministrator)
	carol := h.person("carol", role.ApplicationAdministrator)
	through := carol
	through.App, through.Scopes = "console", []string{"Application.ReadWrite.All"}
	_, err := h.CreateResource(ctx, operator, "api://mail", ResourcePatch{Name: ptr("Mail"), Scopes: &[]directory.Scope{{Name: "Read"}, {Name: "Write"}}}, Act{})
	h.must(err)
	perm := func(names ...string) *[]directory.Permission {
		return &[]directory.Permission{{Resource: "api://mail", Scopes: names}}
	}
	h.app("desk", NewApp{AppPatch: AppPatch{Public: ptr(true), FirstParty: ptr(true), Permissions: perm("Read")}})
	update := func(a directory.Actor, p AppPatch) error {
		_, err := h.UpdateApp(ctx, a, "desk", p, Act{})
		return err
	}
	want(t, update(through, AppPatch{Permissions: perm("Read", "Write")}), fault.Denied)
	want(t, update(through, AppPatch{Permissions: &[]directory.Permission{{Resource: directory.OwnAPI, Scopes: []string{"Directory.AccessAsUser.All"}}}}), fault.Denied)
	h.must(update(through, AppPatch{Permissions: perm("Read"), Name: ptr("Desk")}))
	h.must(update(carol, AppPatch{Permissions: perm("Read", "Write")}))
	h.must(update(through, AppPatch{Permissions: perm("Write")}))         // less
	h.must(update(through, AppPatch{FirstParty: ptr(false)}))             // from now on people are asked
	h.must(update(through, AppPatch{Permissions: perm("Read", "Write")})) // so this gives nothing
	want(t, update(through, AppPatch{FirstParty: ptr(true)}), fault.Denied)
}

func TestOwnersChangeTheRegistration(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	h.person("gail", role.GlobalAdministrator)
	ada, grace := h.person("ada"), h.person("grace")
	_, err := h.CreateResource(ctx, operator, "api://mail", ResourcePatch{Name: ptr("Mail"), Scopes: &[]directory.Scope{{Name: "Read"}}, AppRoles: &[]string{"All"}}, Act{})
	h.must(err)
	h.app("web", NewApp{WithSecret: true})
	_, err = h.UpdateApp(ctx, ada, "web", AppPatch{Publisher: ptr("Ada")}, Act{})
	want(t, err, fault.Denied)
	h.must(h.AddOwner(ctx, operator, "web", ada.User, Act{Reason: "she wrote it"}))
	want(t, h.AddOwner(ctx, operator, "web", ada.User, Act{}), fault.Conflict)
	want(t, h.AddOwner(ctx, operator, "web", directory.NewID[directory.User](time.Now()), Act{}), fault.NotFound)
	var identity directory.UserID
	h.must(h.DB.Read(ctx, func(tx *store.Tx) error {
		a, err := tx.App("web")
		identity = a.Principal
		return err
	}))
	want(t, h.AddOwner(ctx, operator, "web", identity, Act{}), fault.Invalid)

	perm := []directory.Permission{{Resource: "api://mail", Scopes: []string{"Read"}}}
	for what, c := range map[string]struct {
		do  func(directory.Actor) error
		may bool
	}{
		"name": {func(a directory.Actor) error {
			_, err := h.UpdateApp(ctx, a, "web", AppPatch{Name: ptr("Web")}, Act{})
			return err
		}, true},
		"redirect URIs": {func(a directory.Actor) error {
			_, err := h.UpdateApp(ctx, a, "web", AppPatch{RedirectURIs: &[]string{"https://web.example/cb"}}, Act{})
			return err
		}, true},
		"what it asks people for": {func(a directory.Actor) error {
			_, err := h.UpdateApp(ctx, a, "web", AppPatch{Permissions: &perm}, Act{})
			return err
		}, true},
		"assignment required": {func(a directory.Actor) error {
			_, err := h.UpdateApp(ctx, a, "web", AppPatch{AssignmentRequired: ptr(true)}, Act{})
			return err
		}, true},
		"a secret": {func(a directory.Actor) error { _, err := h.AddSecret(ctx, a, "web", time.Time{}, Act{}); return err }, true},
		"a new secret": {func(a directory.Actor) error {
			_, _, err := h.RotateSecret(ctx, a, "web", time.Time{}, time.Hour, Act{})
			return err
		}, true},
		"assign": {func(a directory.Actor) error {
			_, err := h.AssignApp(ctx, a, "web", NewAppAssignment{User: grace.User}, Act{})
			return err
		}, true},
		"another owner": {func(a directory.Actor) error { return h.AddOwner(ctx, a, "web", h.ids["gail"], Act{}) }, true},
		"read":          {func(a directory.Actor) error { _, err := h.App(ctx, a, "web"); return err }, true},
		"list owners":   {func(a directory.Actor) error { _, err := h.Owners(ctx, a, "web"); return err }, true},
		"permissions of its own": {func(a directory.Actor) error {
			_, err := h.UpdateApp(ctx, a, "web", AppPatch{AppPermissions: &[]directory.Permission{{Resource: "api://mail", Scopes: []string{"All"}}}}, Act{})
			return err
		}, false},
		"first party": {func(a directory.Actor) error {
			_, err := h.UpdateApp(ctx, a, "web", AppPatch{FirstParty: ptr(true)}, Act{})
			return err
		}, false},
		"guards": {func(a directory.Actor) error {
			_, err := h.UpdateApp(ctx, a, "web", AppPatch{Guards: &[]directory.ResourceID{"api://mail"}}, Act{})
			return err
		}, false},
		"consent": {func(a directory.Actor) error { _, err := h.GrantConsent(ctx, a, "web", perm, Act{}); return err }, false},
		"enable":  {func(a directory.Actor) error { _, err := h.SetAppEnabled(ctx, a, "web", true, Act{}); return err }, false},
		"disable": {func(a directory.Actor) error { _, err := h.SetAppEnabled(ctx, a, "web", false, Act{}); return err }, false},
		"delete":  {func(a directory.Actor) error { _, err := h.DeleteApp(ctx, a, "web", Act{}); return err }, false},
	} {
		if err := c.do(ada); (err == nil) != c.may || err != nil && !fault.Is(err, fault.Denied) {
			t.Errorf("%s by an owner: %v", what, err)
		}
		if err := c.do(grace); !fault.Is(err, fault.Denied) {
			t.Errorf("%s by nobody: %v", what, err)
		}
	}
	apps, err := h.Apps(ctx, ada)
	if err != nil || len(apps) != 1 || apps[0].ID != "web" {
		t.Errorf("an owner's list: %v %v", apps, err)
	}
	owners, err := h.Owners(ctx, operator, "web")
	if err != nil || len(owners) != 2 || owners[0].Name != ada.Name || owners[0].Password.Hash != "" {
		t.Errorf("owners: %v %v", owners, err)
	}
	seen := false
	for _, r := range h.audits("web") {
		seen = seen || r.Action == "Add owner to application" && r.Reason == "she wrote it" && r.Changes[0].New == ada.Name
	}
	if !seen {
		t.Error("making an owner is not in the audit log")
	}
	h.must(h.RemoveOwner(ctx, operator, "web", ada.User, Act{}))
	want(t, h.RemoveOwner(ctx, operator, "web", ada.User, Act{}), fault.NotFound)
	_, err = h.AddSecret(ctx, ada, "web", time.Time{}, Act{})
	want(t, err, fault.Denied)
}

// The powers of an owner are no more than those of somebody who cannot be the
// application: what it holds as itself is for Global Administrators to hand out.
func TestOwnersDoNotBecomeAPowerfulApplication(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	gail, ada := h.person("gail", role.GlobalAdministrator), h.person("ada")
	_, err := h.CreateResource(ctx, operator, "api://mail", ResourcePatch{Name: ptr("Mail"), AppRoles: &[]string{"Mail.ReadWrite.All", "Mail.Read.All"}}, Act{})
	h.must(err)
	h.API = "api://mail" // stands for our own API
	h.app("bot", NewApp{WithSecret: true, AppPatch: AppPatch{AppPermissions: &[]directory.Permission{{Resource: "api://mail", Scopes: []string{"Mail.ReadWrite.All"}}}}})
	h.app("reader", NewApp{WithSecret: true, AppPatch: AppPatch{AppPermissions: &[]directory.Permission{{Resource: "api://mail", Scopes: []string{"Mail.Read.All"}}}}})
	h.app("first", NewApp{WithSecret: true, AppPatch: AppPatch{FirstParty: ptr(true)}})
	for _, id := range []directory.AppID{"bot", "reader", "first"} {
		h.must(h.AddOwner(ctx, operator, id, ada.User, Act{}))
	}
	key := `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	for what, do := range map[string]func(directory.AppID) error{
		"add": func(id directory.AppID) error { _, err := h.AddSecret(ctx, ada, id, time.Time{}, Act{}); return err },
		"rotate": func(id directory.AppID) error {
			_, _, err := h.RotateSecret(ctx, ada, id, time.Time{}, 0, Act{})
			return err
		},
		"key": func(id directory.AppID) error {
			_, err := h.UpdateApp(ctx, ada, id, AppPatch{Protocol: Protocol{Keys: &[]string{key}}}, Act{})
			return err
		},
	} {
		err := do("bot")
		want(t, err, fault.Denied)
		if !strings.Contains(fault.Public(err), "Global Administrator") {
			t.Errorf("%s: %v", what, err)
		}
		if err := do("reader"); err != nil {
			t.Errorf("%s of one that only reads: %v", what, err)
		}
		want(t, do("first"), fault.Denied)
	}
	_, err = h.UpdateApp(ctx, ada, "bot", AppPatch{Publisher: ptr("Ada")}, Act{})
	h.must(err)
	_, err = h.UpdateApp(ctx, ada, "first", AppPatch{RedirectURIs: &[]string{"https://mallory.example/"}}, Act{})
	want(t, err, fault.Denied)
	_, err = h.AddSecret(ctx, gail, "bot", time.Time{}, Act{})
	h.must(err)
}

func TestOwnersWhoAreDisabledOrDeletedCanNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	h.person("gail", role.GlobalAdministrator)
	ada, grace := h.person("ada"), h.person("grace")
	h.app("web", NewApp{WithSecret: true})
	h.must(h.AddOwner(ctx, operator, "web", ada.User, Act{}))
	h.must(h.AddOwner(ctx, operator, "web", grace.User, Act{}))
	_, err := h.SetEnabled(ctx, operator, ada.User, false, Act{})
	h.must(err)
	_, err = h.DeleteUser(ctx, operator, grace.User, Act{})
	h.must(err)
	for _, name := range []string{"ada", "grace"} {
		a := h.actor(name) // born after the cutoff, as no session or token could be
		_, err := h.UpdateApp(ctx, a, "web", AppPatch{Publisher: ptr(name)}, Act{})
		want(t, err, fault.Denied)
		_, err = h.AddSecret(ctx, a, "web", time.Time{}, Act{})
		want(t, err, fault.Denied)
		_, err = h.App(ctx, a, "web")
		want(t, err, fault.Denied)
	}
	owners, err := h.Owners(ctx, operator, "web")
	if err != nil || len(owners) != 1 || owners[0].Name != ada.Name {
		t.Errorf("owners: %v %v", owners, err)
	}
}

// appCut reports whether something of a user and an application born at pos is dead.
func (h *house) appCut(name string, app directory.AppID, pos cutoff.Pos, k cutoff.Kind) bool {
	h.t.Helper()
	o := cutoff.NewOwner(cutoff.Belongs{User: h.ids[name].String(), App: string(app)})
	var p cutoff.Pos
	h.must(h.DB.Read(h.t.Context(), func(tx *store.Tx) (err error) { p, err = tx.Latest(&o, k); return err }))
	return pos < p
}

// DESIGN §7: an assignment, or a group that is assigned to an application, taken
// away; the net effect of the transaction counts.
func TestTakingAnAssignmentAwayEndsWhatThePersonHoldsOfThatApplication(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		ctx := t.Context()
		h.person("gail", role.GlobalAdministrator)
		ada, grace := h.person("ada"), h.person("grace")
		for _, id := range []directory.AppID{"web", "other"} {
			h.app(id, NewApp{})
		}
		team, err := h.CreateGroup(ctx, operator, NewGroup{Name: "team"}, Act{})
		h.must(err)
		both, err := h.CreateGroup(ctx, operator, NewGroup{Name: "both"}, Act{})
		h.must(err)
		assign := func(n NewAppAssignment) directory.AppAssignmentID {
			t.Helper()
			a, err := h.AssignApp(ctx, operator, "web", n, Act{})
			h.must(err)
			return a.ID
		}
		// ends runs do and checks whose tokens of web end by it; sessions never do.
		ends := func(what string, do func() error, who ...string) {
			t.Helper()
			born := h.head()
			if err := do(); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			for _, name := range []string{"ada", "grace"} {
				if got := h.appCut(name, "web", born, cutoff.Token); got != slices.Contains(who, name) {
					t.Errorf("%s: tokens of %s ended: %v", what, name, got)
				}
				if h.appCut(name, "other", born, cutoff.Token) || h.appCut(name, "web", born, cutoff.Browser) {
					t.Errorf("%s: %s lost more than that", what, name)
				}
			}
		}
		unassign := func(id directory.AppAssignmentID, receipt bool) func() error {
			return func() error {
				r, err := h.UnassignApp(ctx, operator, "web", id, Act{Reason: "moved"})
				if err == nil && (r != nil) != receipt {
					t.Errorf("receipt %v, want %v", r, receipt)
				}
				return err
			}
		}
		var direct, group, group2 directory.AppAssignmentID
		ends("assigning", func() error {
			direct, group, group2 = assign(NewAppAssignment{User: ada.User}), assign(NewAppAssignment{Group: team.ID}), assign(NewAppAssignment{Group: both.ID, Role: "Reader"})
			return nil
		})
		want(t, second(h.AssignApp(ctx, operator, "web", NewAppAssignment{User: ada.User}, Act{})), fault.Conflict)
		want(t, second(h.AssignApp(ctx, operator, "web", NewAppAssignment{User: ada.User, Group: team.ID}, Act{})), fault.Invalid)
		want(t, second(h.AssignApp(ctx, operator, "web", NewAppAssignment{}, Act{})), fault.Invalid)
		want(t, second(h.AssignApp(ctx, operator, "web", NewAppAssignment{User: grace.User, Role: "a b"}, Act{})), fault.Invalid)
		want(t, second(h.AssignApp(ctx, operator, "web", NewAppAssignment{Group: directory.GroupID{9}}, Act{})), fault.NotFound)
		want(t, second(h.AssignApp(ctx, operator, "none", NewAppAssignment{User: ada.User}, Act{})), fault.NotFound)
		want(t, second(h.UnassignApp(ctx, operator, "other", direct, Act{})), fault.NotFound)
		ends("joining groups", func() error {
			for _, g := range []directory.GroupID{team.ID, both.ID} {
				for _, u := range []directory.UserID{ada.User, grace.User} {
					if err := h.AddMember(ctx, operator, g, u, Act{}); err != nil {
						return err
					}
				}
			}
			return nil
		})
		all, err := h.AppAssignments(ctx, operator, "web")
		if err != nil || len(all) != 3 || all[0].Name != ada.Name || all[1].Name != "team" || all[2].Name != "both" || all[2].Role != "Reader" {
			t.Errorf("listed: %+v %v", all, err)
		}
		own, err := h.AppAssignmentsOf(ctx, h.actor("ada"), ada.User)
		if err != nil || len(own) != 1 || own[0].App != "web" {
			t.Errorf("own: %+v %v", own, err)
		}
		ends("the direct one, with two groups left", unassign(direct, false))
		want(t, unassign(direct, false)(), fault.NotFound)
		ends("leaving one of two groups", func() error { return second(h.RemoveMember(ctx, operator, team.ID, ada.User, Act{})) })
		ends("the group that only grace has another to", unassign(group2, true), "ada")
		ends("deleting the last group", func() error { return second(h.DeleteGroup(ctx, operator, team.ID, Act{})) }, "grace")
		want(t, unassign(group, false)(), fault.NotFound)
		again := assign(NewAppAssignment{User: ada.User})
		ends("the only one", unassign(again, true), "ada")
		ends("an application of that name again", func() error {
			if err := second(h.AssignApp(ctx, operator, "other", NewAppAssignment{User: ada.User}, Act{})); err != nil {
				return err
			}
			return nil
		})
		h.must(second(h.DeleteApp(ctx, operator, "other", Act{})))
		h.app("other", NewApp{})
		if all, err := h.AppAssignments(ctx, operator, "other"); err != nil || len(all) != 0 {
			t.Errorf("a re-created application has %v %v", all, err)
		}
	})
}

func second[T any](_ T, err error) error { return err }

// Requiring an assignment where none was is taking access away from everybody who
// has none: all of the application's grants end, and those who are assigned get
// new ones without being asked.
func TestRequiringAssignmentEndsTheApplicationsGrants(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	h.person("gail", role.GlobalAdministrator)
	h.person("ada")
	h.app("web", NewApp{})
	born := h.head()
	r, err := h.UpdateApp(ctx, operator, "web", AppPatch{AssignmentRequired: ptr(true)}, Act{})
	h.must(err)
	if r == nil || !h.appCut("ada", "web", born, cutoff.Token) || h.appCut("ada", "web", born, cutoff.Browser) {
		t.Errorf("receipt %v", r)
	}
	born = h.head()
	h.must(second(h.UpdateApp(ctx, operator, "web", AppPatch{AssignmentRequired: ptr(false)}, Act{})))
	if h.appCut("ada", "web", born, cutoff.Token) {
		t.Error("letting everybody in ended something")
	}
}

func TestRotateWithOverlap(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	h.person("gail", role.GlobalAdministrator)
	h.app("web", NewApp{WithSecret: true})
	soon, err := h.AddSecret(ctx, operator, "web", time.Now().Add(time.Hour), Act{})
	h.must(err)
	born := h.head()
	var said []string
	before := time.Now()
	made, r, err := h.RotateSecret(ctx, operator, "web", time.Time{}, 24*time.Hour, Act{Effects: &said})
	h.must(err)
	if r != nil || h.appCut("gail", "web", born, cutoff.Token) {
		t.Errorf("an overlap ended something: %v", r)
	}
	if d := made.OldUntil.Sub(before); d < 24*time.Hour || d > 25*time.Hour {
		t.Errorf("old secrets until %v", made.OldUntil)
	}
	if len(said) != 2 || !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, "work until "+made.OldUntil.Format(time.RFC3339)) }) {
		t.Errorf("said %q", said)
	}
	a, err := h.App(ctx, operator, "web")
	h.must(err)
	if len(a.Secrets) != 3 || !a.Secrets[0].Expires.Equal(made.OldUntil) || a.Secrets[1].ID != soon.ID || !a.Secrets[1].Expires.Before(made.OldUntil) || !a.Secrets[2].Expires.IsZero() {
		t.Errorf("%+v", a.Secrets)
	}
	for _, d := range []time.Duration{-time.Second, 90*24*time.Hour + time.Second} {
		_, _, err := h.RotateSecret(ctx, operator, "web", time.Time{}, d, Act{})
		want(t, err, fault.Invalid)
	}
	made, _, err = h.RotateSecret(ctx, operator, "web", time.Time{}, 0, Act{})
	h.must(err)
	if a, err = h.App(ctx, operator, "web"); err != nil || len(a.Secrets) != 1 || a.Secrets[0].ID != made.ID || !made.OldUntil.IsZero() {
		t.Errorf("%+v %v", a.Secrets, err)
	}
}
