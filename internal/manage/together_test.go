package manage

import (
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/standing"
)

// TestTogetherIsAllOrNothing: several verbs, one transaction, one receipt each.
func TestTogetherIsAllOrNothing(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		ctx := t.Context()
		ca := h.person("carl", role.CloudAppAdministrator)
		register := func(id directory.AppID, resource directory.ResourceID, act Act) ([]*Receipt, error) {
			return h.Together(ctx, ca, act, func(s *Service) error {
				if _, _, err := s.CreateApp(ctx, ca, NewApp{ID: id, AppPatch: AppPatch{Name: ptr("Mail")}}, act); err != nil {
					return err
				}
				_, err := s.CreateResource(ctx, ca, resource, ResourcePatch{Name: ptr("Mail"), App: &id}, act)
				return err
			})
		}
		_, err := register("mail", "api://mail", Act{DryRun: true})
		h.must(err)
		if _, err := h.App(ctx, ca, "mail"); !fault.Is(err, fault.NotFound) {
			t.Errorf("a dry run left something: %v", err)
		}
		_, err = register("mail", "api://mail", Act{})
		h.must(err)
		head := h.head()
		_, err = register("other", "api://mail", Act{})
		want(t, err, fault.Conflict)
		if _, err := h.App(ctx, ca, "other"); !fault.Is(err, fault.NotFound) || h.head() != head {
			t.Errorf("half was done: %v", err)
		}
		receipts, err := h.Together(ctx, ca, Act{Reason: "both"}, func(s *Service) error {
			if _, err := s.SetAppEnabled(ctx, ca, "mail", false, Act{Reason: "both"}); err != nil {
				return err
			}
			return s.UpdateResource(ctx, ca, "api://mail", ResourcePatch{Name: ptr("Post")}, Act{})
		})
		if err != nil || len(receipts) != 1 || receipts[0].Cause != standing.AppDisabled {
			t.Errorf("%+v %v", receipts, err)
		}
		// The application goes, the resource stays: others hold tokens for it.
		_, err = h.DeleteApp(ctx, ca, "mail", Act{})
		h.must(err)
		if r, err := h.Resource(ctx, ca, "api://mail"); err != nil || r.App != "" {
			t.Errorf("%+v %v", r, err)
		}
	})
}

func TestAnOwnerChangesTheAPIOfTheApplication(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	ada, mallory := h.person("ada"), h.person("mallory")
	app := directory.AppID("mail")
	_, _, err := h.CreateApp(ctx, operator, NewApp{ID: app, AppPatch: AppPatch{Name: ptr("Mail")}}, Act{})
	h.must(err)
	_, err = h.CreateResource(ctx, operator, "api://mail", ResourcePatch{Name: ptr("Mail"), App: &app}, Act{})
	h.must(err)
	_, err = h.CreateResource(ctx, operator, "api://other", ResourcePatch{Name: ptr("Other")}, Act{})
	h.must(err)
	h.must(h.AddOwner(ctx, operator, app, h.ids["ada"], Act{}))
	scopes := &[]directory.Scope{{ID: "5d2c5b3e-9c5f-4b9e-9f52-0f0d6a1f7c11", Name: "Mail.Read", Text: "Read your mail", Title: "Read"}}
	h.must(h.UpdateResource(ctx, ada, "api://mail", ResourcePatch{Scopes: scopes}, Act{}))
	want(t, h.UpdateResource(ctx, mallory, "api://mail", ResourcePatch{Scopes: scopes}, Act{}), fault.Denied)
	want(t, h.UpdateResource(ctx, ada, "api://other", ResourcePatch{Scopes: scopes}, Act{}), fault.Denied)
	want(t, h.UpdateResource(ctx, operator, "api://other", ResourcePatch{App: &app}, Act{}), fault.Invalid)
	if all, err := h.Resources(ctx, ada); err != nil || len(all) != 1 || all[0].ID != "api://mail" {
		t.Errorf("%+v %v", all, err)
	}
	// Whoever knows no ids does not lose them.
	h.must(h.UpdateResource(ctx, operator, "api://mail", ResourcePatch{Scopes: &[]directory.Scope{{Name: "Mail.Read", Text: "Read"}, {Name: "Mail.Send"}}}, Act{}))
	if r, err := h.Resource(ctx, operator, "api://mail"); err != nil || r.Scopes[0].ID != (*scopes)[0].ID || r.Scopes[0].Title != "Read" || r.Scopes[0].Text != "Read" || len(r.Scopes) != 2 {
		t.Errorf("%+v %v", r, err)
	}
}

func TestPermissionsOfApplicationsAreGivenAndTaken(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		ctx := t.Context()
		ca, pra := h.person("carl", role.CloudAppAdministrator), h.person("petra", role.PrivilegedRoleAdministrator)
		_, err := h.CreateResource(ctx, operator, "api://mail", ResourcePatch{Name: ptr("Mail"), AppRoles: &[]string{"Read", "Write"}, Scopes: &[]directory.Scope{{Name: "Use"}}}, Act{})
		h.must(err)
		_, _, err = h.CreateApp(ctx, operator, NewApp{ID: "robot", WithSecret: true, AppPatch: AppPatch{Name: ptr("Robot")}}, Act{})
		h.must(err)
		want(t, h.GrantAppPermission(ctx, ca, "robot", "api://mail", "Read", Act{}), fault.Denied)
		want(t, h.GrantAppPermission(ctx, pra, "robot", "api://mail", "Everything", Act{}), fault.NotFound)
		want(t, h.GrantAppPermission(ctx, pra, "nobody", "api://mail", "Read", Act{}), fault.NotFound)
		h.must(h.GrantAppPermission(ctx, pra, "robot", "api://mail", "Read", Act{}))
		h.must(h.GrantAppPermission(ctx, pra, "robot", "api://mail", "Write", Act{}))
		want(t, h.GrantAppPermission(ctx, pra, "robot", "api://mail", "Read", Act{}), fault.Conflict)
		if a := h.stored("robot"); len(a.AppPermissions) != 1 || strings.Join(a.AppPermissions[0].Scopes, " ") != "Read Write" {
			t.Errorf("%+v", a.AppPermissions)
		}
		// Taking away ends what was handed out, and administrators of applications may.
		r, err := h.RemoveAppPermission(ctx, ca, "robot", "api://mail", "Read", Act{})
		if err != nil || r == nil || r.Cause != standing.AppNarrowed {
			t.Errorf("%+v %v", r, err)
		}
		_, err = h.RemoveAppPermission(ctx, pra, "robot", "api://mail", "Read", Act{})
		want(t, err, fault.NotFound)

		// Out of use: everything that others gave it is gone with its identity.
		ada := h.person("ada")
		h.must(h.UpdateAppPermissions(t, "robot"))
		_, err = h.GrantConsentFor(ctx, ca, ada.User, "robot", []directory.Permission{{Resource: "api://mail", Scopes: []string{"Use"}}}, Act{})
		h.must(err)
		if all, _, err := h.ConsentsTo(ctx, ca, "robot", directory.UserID{}, 10); err != nil || len(all) != 1 || all[0].User != ada.User {
			t.Errorf("%+v %v", all, err)
		}
		_, err = h.AssignApp(ctx, ca, "robot", NewAppAssignment{User: ada.User}, Act{})
		h.must(err)
		before := h.stored("robot")
		if r, err = h.TakeIdentity(ctx, ca, "robot", Act{}); err != nil || r == nil {
			t.Fatalf("%+v %v", r, err)
		}
		a := h.stored("robot")
		consents, _, err := h.ConsentsTo(ctx, ca, "robot", directory.UserID{}, 10)
		h.must(err)
		assigned, err := h.AppAssignments(ctx, ca, "robot")
		h.must(err)
		if a.Enabled || !a.Principal.IsZero() || len(a.AppPermissions)+len(consents)+len(assigned) != 0 {
			t.Errorf("%+v %v %v", a, consents, assigned)
		}
		// A new identity is another one and has nothing.
		h.must(h.GiveIdentity(ctx, ca, "robot", Act{}))
		if a = h.stored("robot"); a.Principal.IsZero() || a.Principal == before.Principal || a.Enabled {
			t.Errorf("%+v", a)
		}
		head := h.head()
		h.must(h.GiveIdentity(ctx, ca, "robot", Act{}))
		if h.head() != head {
			t.Error("a second identity was made")
		}
	})
}

// UpdateAppPermissions lets an application ask for what the tests consent to.
func (h *house) UpdateAppPermissions(t *testing.T, id directory.AppID) error {
	_, err := h.UpdateApp(t.Context(), operator, id, AppPatch{Permissions: &[]directory.Permission{{Resource: "api://mail", Scopes: []string{"Use"}}}}, Act{})
	return err
}

func TestAConsentIsWithdrawnAtOneResource(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		ctx := t.Context()
		ada, ca := h.person("ada"), h.person("carl", role.CloudAppAdministrator)
		_, _, err := h.CreateApp(ctx, operator, NewApp{ID: "web", AppPatch: AppPatch{Name: ptr("Web")}}, Act{})
		h.must(err)
		for _, id := range []directory.ResourceID{"api://mail", "api://drive"} {
			_, err := h.CreateResource(ctx, operator, id, ResourcePatch{Name: ptr("X"), Scopes: &[]directory.Scope{{Name: "Read"}, {Name: "Write"}}}, Act{})
			h.must(err)
			_, err = h.GrantConsentFor(ctx, ca, ada.User, "web", []directory.Permission{{Resource: id, Scopes: []string{"Read", "Write"}}}, Act{})
			h.must(err)
		}
		_, err = h.GrantConsentFor(ctx, ada, ada.User, "web", []directory.Permission{{Resource: "api://mail", Scopes: []string{"Read"}}}, Act{})
		want(t, err, fault.Denied)
		// Less than before cuts; more does not.
		r, err := h.GrantConsentFor(ctx, ca, ada.User, "web", []directory.Permission{{Resource: "api://mail", Scopes: []string{"Read"}}}, Act{})
		if err != nil || r == nil || r.Cause != standing.ConsentWithdrawn {
			t.Errorf("narrowed: %+v %v", r, err)
		}
		if r, err = h.GrantConsentFor(ctx, ca, ada.User, "web", []directory.Permission{{Resource: "api://mail", Scopes: []string{"Read", "Write"}}}, Act{}); err != nil || r != nil {
			t.Errorf("widened: %+v %v", r, err)
		}
		if r, err = h.WithdrawConsentAt(ctx, ada, ada.User, "web", "api://mail", Act{}); err != nil || r == nil {
			t.Errorf("%+v %v", r, err)
		}
		if all, err := h.Consents(ctx, ada, ada.User); err != nil || len(all) != 1 || all[0].Resource != "api://drive" {
			t.Errorf("%+v %v", all, err)
		}
		_, err = h.WithdrawConsentAt(ctx, ada, ada.User, "web", "api://mail", Act{})
		want(t, err, fault.NotFound)
	})
}

func TestRolesOfAnApplicationAreCheckedAndStayWhileSomebodyHasThem(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	ada := h.person("ada")
	_, _, err := h.CreateApp(ctx, operator, NewApp{ID: "web", AppPatch: AppPatch{Name: ptr("Web")}}, Act{})
	h.must(err)
	good := directory.AppRole{ID: "5d2c5b3e-9c5f-4b9e-9f52-0f0d6a1f7c11", Name: "Editor", Title: "Editors", Users: true}
	set := func(roles ...directory.AppRole) error {
		_, err := h.UpdateApp(ctx, operator, "web", AppPatch{Roles: &roles}, Act{})
		return err
	}
	for name, f := range map[string]func(r *directory.AppRole){
		"no GUID": func(r *directory.AppRole) { r.ID = "x" }, "no name": func(r *directory.AppRole) { r.Name = "" }, "no title": func(r *directory.AppRole) { r.Title = "" },
		"for nobody": func(r *directory.AppRole) { r.Users = false }, "a text too long": func(r *directory.AppRole) { r.Text = strings.Repeat("x", 1025) },
	} {
		bad := good
		f(&bad)
		if err := set(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	want(t, set(good, good), fault.Invalid)
	h.must(set(good))
	x, err := h.AssignApp(ctx, operator, "web", NewAppAssignment{User: ada.User, Role: "Editor"}, Act{})
	h.must(err)
	want(t, set(), fault.Conflict)
	_, err = h.UnassignApp(ctx, operator, "web", x.ID, Act{})
	h.must(err)
	h.must(set())
	made, err := h.AddNamedSecret(ctx, operator, "web", "pipeline", time.Time{}, Act{})
	h.must(err)
	if a := h.stored("web"); len(a.Secrets) != 1 || a.Secrets[0].Name != "pipeline" || a.Secrets[0].ID != made.ID {
		t.Errorf("%+v", a.Secrets)
	}
}
