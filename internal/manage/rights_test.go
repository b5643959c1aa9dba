package manage

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// Trace 5: a profile edit has begun, a disable commits, the edit writes: the
// user is still disabled. And the same for an application.
func TestEditDoesNotUndoDisable(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		ctx := t.Context()
		h.person("gail", role.GlobalAdministrator)
		h.person("ada")
		_, _, err := h.CreateApp(ctx, operator, NewApp{ID: "mail", AppPatch: AppPatch{Name: ptr("Mail")}}, Act{})
		h.must(err)
		for what, c := range map[string]struct {
			edit, disable func(s *Service) error
			enabled       func() bool
		}{
			"user": {
				func(s *Service) error {
					_, err := s.UpdateUser(ctx, operator, h.ids["ada"], Patch{JobTitle: ptr("Analyst")}, Act{})
					return err
				},
				func(s *Service) error { _, err := s.SetEnabled(ctx, operator, h.ids["ada"], false, Act{}); return err },
				func() bool { return h.user("ada").Enabled },
			},
			"app": {
				func(s *Service) error {
					_, err := s.UpdateApp(ctx, operator, "mail", AppPatch{Publisher: ptr("Contoso")}, Act{})
					return err
				},
				func(s *Service) error { _, err := s.SetAppEnabled(ctx, operator, "mail", false, Act{}); return err },
				func() bool { a, err := h.App(ctx, operator, "mail"); h.must(err); return a.Enabled },
			},
		} {
			// On SQLite one file has one process and one writer: the edit is held before it begins.
			var armed atomic.Bool
			held, goOn := make(chan struct{}), make(chan struct{})
			editor := h.Service
			if h.DB.Postgres() {
				editor = service(open(t, url, store.Hooks{AfterHead: func(*store.Tx) {
					if armed.CompareAndSwap(true, false) {
						close(held)
						<-goOn
					}
				}}))
				armed.Store(true)
			} else {
				close(held)
			}
			done := make(chan error, 1)
			go func() {
				if !h.DB.Postgres() {
					<-goOn
				}
				done <- c.edit(editor)
			}()
			<-held
			h.must(c.disable(h.Service))
			close(goOn)
			if err := <-done; err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if c.enabled() {
				t.Errorf("%s: the edit enabled it again", what)
			}
		}
	})
}

// The row is read by an edit of an application, then disabled by another
// transaction, then written by the first: it must start over.
func TestAppEditStartsOver(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.Postgres(t)) // SQLite has one writer: nothing comes between a read and a write
	ctx := t.Context()
	_, _, err := h.CreateApp(ctx, operator, NewApp{ID: "mail", AppPatch: AppPatch{Name: ptr("Mail")}}, Act{})
	h.must(err)
	runs := 0
	_, err = h.write(ctx, operator, Act{}, false, func(c *step) error {
		old, err := c.Tx.App("mail")
		if err != nil {
			return err
		}
		if runs++; runs == 1 {
			if _, err := h.SetAppEnabled(ctx, operator, "mail", false, Act{}); err != nil {
				return err
			}
		}
		a := *old
		a.Publisher = "Contoso"
		_, err = c.saveApp(old, &a)
		return err
	})
	h.must(err)
	a, err := h.App(ctx, operator, "mail")
	h.must(err)
	if runs != 2 || a.Enabled || a.Publisher != "Contoso" {
		t.Errorf("%d runs, %+v", runs, a)
	}
}

func TestLastGlobalAdministrator(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		ctx := t.Context()
		gail := h.person("gail", role.GlobalAdministrator)
		as, err := h.Assignments(ctx, gail, AssignmentQuery{User: gail.User})
		h.must(err)
		if len(as) != 1 || as[0].RoleName != "Global Administrator" || as[0].Holder != "gail@contoso.example" {
			t.Fatalf("%+v", as)
		}
		_, err = h.Unassign(ctx, gail, as[0].ID, Act{})
		want(t, err, fault.Conflict)
		_, err = h.SetEnabled(ctx, gail, gail.User, false, Act{})
		want(t, err, fault.Conflict)
		_, err = h.DeleteUser(ctx, gail, gail.User, Act{})
		want(t, err, fault.Conflict)

		// Two remove each other at once: one of them stays.
		for range 5 {
			gail = h.actor("gail")
			other := directory.Actor{}
			if h.ids["greg"].IsZero() {
				other = h.person("greg", role.GlobalAdministrator)
			} else {
				for _, who := range []string{"gail", "greg"} {
					_, err := h.SetEnabled(ctx, operator, h.ids[who], true, Act{})
					h.must(err)
				}
				gail, other = h.actor("gail"), h.actor("greg")
			}
			errs := make([]error, 2)
			var wg sync.WaitGroup
			wg.Go(func() { _, errs[0] = h.SetEnabled(ctx, gail, other.User, false, Act{}) })
			wg.Go(func() { _, errs[1] = h.SetEnabled(ctx, other, gail.User, false, Act{}) })
			wg.Wait()
			if (errs[0] == nil) == (errs[1] == nil) {
				t.Errorf("%v, %v", errs[0], errs[1])
			}
			if h.user("gail").Enabled == h.user("greg").Enabled {
				t.Error("not exactly one is left")
			}
		}
	})
}

// A role that a group still gives is not lost; what is lost is cut, sessions stay.
func TestRoleRemovalIsJudgedByItsNetEffect(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		ctx := t.Context()
		h.person("gail", role.GlobalAdministrator)
		h.person("ada")
		ada := h.ids["ada"]
		direct := h.give(role.HelpdeskAdministrator, NewAssignment{Role: role.HelpdeskAdministrator, User: ada})
		_, err := h.Assign(ctx, operator, NewAssignment{Role: role.HelpdeskAdministrator, User: ada}, Act{})
		want(t, err, fault.Conflict)
		plain, err := h.CreateGroup(ctx, operator, NewGroup{Name: "plain"}, Act{})
		h.must(err)
		_, err = h.Assign(ctx, operator, NewAssignment{Role: role.HelpdeskAdministrator, Group: plain.ID}, Act{})
		want(t, err, fault.Invalid)
		desk, err := h.CreateGroup(ctx, operator, NewGroup{Name: "desk", RoleAssignable: true}, Act{})
		h.must(err)
		h.give(role.HelpdeskAdministrator, NewAssignment{Role: role.HelpdeskAdministrator, Group: desk.ID})
		h.must(h.AddMember(ctx, operator, desk.ID, ada, Act{}))
		h.must(h.AddMember(ctx, operator, desk.ID, ada, Act{}))

		born := h.head()
		r, err := h.Unassign(ctx, operator, direct, Act{})
		h.must(err)
		if r != nil || h.dead("ada", born, cutoff.Token) {
			t.Errorf("a role that a group still gives was cut: %+v", r)
		}
		view, err := h.Group(ctx, operator, "DESK")
		h.must(err)
		if len(view.Members) != 1 || view.Members[0].ID != ada || len(view.Roles) != 1 {
			t.Errorf("%+v", view)
		}
		r, err = h.DeleteGroup(ctx, operator, desk.ID, Act{Reason: "reorganised"})
		h.must(err)
		if r == nil || r.Cause != standing.RightsRemoved || r.Target.ID != ada.String() || r.Reason != "reorganised" || r.Rest == nil {
			t.Fatalf("%+v", r)
		}
		if !h.dead("ada", born, cutoff.Token) || h.dead("ada", born, cutoff.Browser) {
			t.Error("tokens live or the session is dead")
		}
		// Membership of an ordinary group carries nothing.
		h.must(h.AddMember(ctx, operator, plain.ID, ada, Act{}))
		born = h.head()
		r, err = h.RemoveMember(ctx, operator, plain.ID, ada, Act{})
		h.must(err)
		if r != nil || h.head() != born {
			t.Errorf("%+v", r)
		}
		_, err = h.RemoveMember(ctx, operator, plain.ID, ada, Act{})
		want(t, err, fault.NotFound)
	})
}

// Of the receipts that came to be while a transaction ran, its own are found.
func TestReceiptsOfOthersAreNotOurs(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.Postgres(t)) // SQLite has one writer
	ctx := t.Context()
	h.person("ada")
	h.person("bob")
	n := func(who string) NewAssignment {
		return NewAssignment{Role: role.HelpdeskAdministrator, User: h.ids[who]}
	}
	ada, bob := h.give(role.HelpdeskAdministrator, n("ada")), h.give(role.HelpdeskAdministrator, n("bob"))
	var other *store.Receipt
	all, err := h.write(ctx, operator, Act{}, false, func(c *step) (err error) {
		if other, err = h.Unassign(ctx, operator, bob, Act{}); err != nil {
			return err
		}
		a, err := c.Tx.Assignment(ada)
		if err != nil {
			return err
		}
		return c.unassign(a)
	})
	h.must(err)
	if len(all) != 1 || all[0].Target.ID != h.ids["ada"].String() || other == nil || other.Target.ID != h.ids["bob"].String() {
		t.Errorf("%+v %+v", all, other)
	}
}

func TestAssignToOneHolder(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	h.person("ada")
	g, err := h.CreateGroup(ctx, operator, NewGroup{Name: "desk", RoleAssignable: true}, Act{})
	h.must(err)
	for _, n := range []NewAssignment{{}, {User: h.ids["ada"], Group: g.ID}} {
		n.Role = role.HelpdeskAdministrator
		_, err := h.Assign(ctx, operator, n, Act{})
		want(t, err, fault.Invalid)
	}
	for _, n := range []NewAssignment{{Role: "none", User: h.ids["ada"]}, {Role: role.GuestInviter, User: directory.NewID[directory.User](time.Now())},
		{Role: role.GuestInviter, Group: directory.NewID[directory.Group](time.Now())}} {
		_, err := h.Assign(ctx, operator, n, Act{})
		want(t, err, fault.NotFound)
	}
	// The id of a role in capitals is the same role.
	h.give(role.GuestInviter, NewAssignment{Role: directory.RoleID(strings.ToUpper(string(role.GuestInviter))), User: h.ids["ada"]})
	_, err = h.Assign(ctx, operator, NewAssignment{Role: role.GuestInviter, User: h.ids["ada"]}, Act{})
	want(t, err, fault.Conflict)
}

func TestGroupsByWhoMayHoldRoles(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	ua := h.person("uma", role.UserAdministrator)
	g, err := h.CreateGroup(ctx, ua, NewGroup{Name: "all", Description: "everybody"}, Act{})
	h.must(err)
	_, err = h.CreateGroup(ctx, ua, NewGroup{Name: "ALL"}, Act{})
	want(t, err, fault.Conflict)
	_, err = h.CreateGroup(ctx, ua, NewGroup{Name: "tier 0", RoleAssignable: true}, Act{})
	want(t, err, fault.Denied)
	tier0, err := h.CreateGroup(ctx, operator, NewGroup{Name: "tier 0", RoleAssignable: true}, Act{})
	h.must(err)
	want(t, h.AddMember(ctx, ua, tier0.ID, ua.User, Act{}), fault.Denied)
	h.must(h.AddMember(ctx, ua, g.ID, ua.User, Act{}))
	h.must(h.UpdateGroup(ctx, ua, g.ID, GroupPatch{Name: ptr("everybody")}, Act{}))
	want(t, h.UpdateGroup(ctx, ua, g.ID, GroupPatch{Name: ptr("tier 0")}, Act{}), fault.Conflict)
	want(t, h.UpdateGroup(ctx, ua, g.ID, GroupPatch{Name: ptr("")}, Act{}), fault.Invalid)
	_, err = h.DeleteGroup(ctx, ua, tier0.ID, Act{})
	want(t, err, fault.Denied)
	_, err = h.DeleteGroup(ctx, ua, g.ID, Act{})
	h.must(err)
}

func TestAppLife(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		ctx := t.Context()
		ca := h.person("carl", role.CloudAppAdministrator)
		_, err := h.CreateResource(ctx, ca, "api://mail", ResourcePatch{Name: ptr("Mail"), Scopes: &[]directory.Scope{{Name: "Mail.Read"}, {Name: "Mail.Send"}}, AppRoles: &[]string{"Mail.Read.All"}}, Act{})
		h.must(err)
		perms := []directory.Permission{{Resource: "api://mail", Scopes: []string{"Mail.Read", "Mail.Send"}}}
		a, secret, err := h.CreateApp(ctx, ca, NewApp{ID: "web", WithSecret: true, AppPatch: AppPatch{Name: ptr("Web"), Permissions: &perms, RedirectURIs: &[]string{"https://web.contoso.example/cb"}}}, Act{})
		h.must(err)
		if !strings.HasPrefix(secret.Value, "cfs_") || len(secret.Value) != 44 || a.Principal.IsZero() || len(a.Secrets) != 1 || a.Secrets[0].Hash != nil || a.Secrets[0].Hint != secret.Value[4:7] {
			t.Errorf("%v %+v", secret, a)
		}
		if strings.Contains(secret.String(), secret.Value) {
			t.Error("a secret prints itself")
		}
		_, _, err = h.CreateApp(ctx, ca, NewApp{ID: "web", AppPatch: AppPatch{Name: ptr("Web")}}, Act{})
		want(t, err, fault.Conflict)

		cut := func(cause standing.Cause, r *store.Receipt, err error) {
			t.Helper()
			h.must(err)
			if r == nil || r.Cause != cause || r.Target.ID != "web" || r.Rest == nil {
				t.Errorf("%s: %+v", cause, r)
			}
		}
		head := h.head()
		r, err := h.UpdateApp(ctx, ca, "web", AppPatch{Publisher: ptr("Contoso")}, Act{})
		h.must(err)
		if r != nil || h.head() == head {
			t.Errorf("a change ended something, or caches are not told: %+v", r)
		}
		r, err = h.UpdateApp(ctx, ca, "web", AppPatch{Permissions: &[]directory.Permission{{Resource: "api://mail", Scopes: []string{"Mail.Read"}}}}, Act{})
		cut(standing.AppNarrowed, r, err)
		_, r, err = h.RotateSecret(ctx, ca, "web", time.Time{}, 0, Act{})
		cut(standing.SecretRemoved, r, err)
		more, err := h.AddSecret(ctx, ca, "web", time.Now().Add(time.Hour), Act{})
		h.must(err)
		_, err = h.AddSecret(ctx, ca, "web", time.Now().Add(-time.Hour), Act{})
		want(t, err, fault.Invalid)
		r, err = h.RemoveSecret(ctx, ca, "web", more.ID, Act{})
		cut(standing.SecretRemoved, r, err)
		_, err = h.RemoveSecret(ctx, ca, "web", more.ID, Act{})
		want(t, err, fault.NotFound)
		r, err = h.SetAppEnabled(ctx, ca, "web", false, Act{})
		cut(standing.AppDisabled, r, err)

		// To give rights to an application takes more than managing it; so does
		// becoming one that has them.
		own := AppPatch{AppPermissions: &[]directory.Permission{{Resource: "api://mail", Scopes: []string{"Mail.Read.All"}}}}
		_, err = h.UpdateApp(ctx, ca, "web", own, Act{})
		want(t, err, fault.Denied)
		_, err = h.UpdateApp(ctx, operator, "web", own, Act{})
		h.must(err)
		h.must(h.DB.Update(ctx, func(tx *store.Tx) error {
			return tx.SaveResource(&directory.Resource{ID: api, Name: "API", AppRoles: []string{"User.ReadWrite.All"}})
		}))
		h.Revoke.Now = time.Now
		_, err = h.UpdateApp(ctx, operator, "web", AppPatch{AppPermissions: &[]directory.Permission{{Resource: "https://graph.microsoft.com", Scopes: []string{"User.ReadWrite.All"}}}}, Act{})
		h.must(err)
		_, err = h.AddSecret(ctx, ca, "web", time.Time{}, Act{})
		want(t, err, fault.Denied)

		want(t, h.DeleteResource(ctx, ca, "api://mail", Act{}), fault.Conflict)
		want(t, h.UpdateResource(ctx, ca, "api://mail", ResourcePatch{Scopes: &[]directory.Scope{}}, Act{}), fault.Conflict)
		_, err = h.DeleteUser(ctx, operator, a.Principal, Act{})
		want(t, err, fault.Conflict)
		_, _, err = h.SetPassword(ctx, operator, a.Principal, "", false, Act{})
		want(t, err, fault.Invalid)

		r, err = h.DeleteApp(ctx, ca, "web", Act{})
		cut(standing.AppDeleted, r, err)
		if _, err := h.Service.User(ctx, operator, a.Principal.String()); !fault.Is(err, fault.NotFound) {
			t.Error("the identity of a deleted application is there")
		}
		again, _, err := h.CreateApp(ctx, operator, NewApp{ID: "web", WithSecret: true, AppPatch: AppPatch{Name: ptr("Web")}}, Act{})
		h.must(err)
		if again.Principal == a.Principal || again.Object == a.Object {
			t.Error("a re-created application inherits an identity")
		}
		h.must(h.DeleteResource(ctx, ca, "api://mail", Act{}))
	})
}

// Applications whose ids differ by case have identities of their own, and no
// person can take the name of one.
func TestIdentities(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	seen := map[directory.UserID]bool{}
	for _, id := range []directory.AppID{"mail", "MAIL", "ada@contoso.example"} {
		a, _, err := h.CreateApp(ctx, operator, NewApp{ID: id, WithSecret: true, AppPatch: AppPatch{Name: ptr("Mail")}}, Act{})
		h.must(err)
		if a.Principal.IsZero() || seen[a.Principal] {
			t.Errorf("%s has the identity of another", id)
		}
		seen[a.Principal] = true
	}
	h.person("ada")
	_, _, err := h.CreateUser(ctx, operator, NewUser{Name: "app:mail@contoso.example", DisplayName: "Eve"}, Act{})
	want(t, err, fault.Invalid)
	page, err := h.Users(ctx, operator, directory.UserQuery{Service: true})
	h.must(err)
	if len(page.Users) != 3 {
		t.Errorf("%d identities", len(page.Users))
	}
	_, err = h.UpdateApp(ctx, operator, "mail", AppPatch{Public: ptr(true)}, Act{})
	want(t, err, fault.Invalid)
	_, err = h.AddSecret(ctx, operator, "none", time.Time{}, Act{})
	want(t, err, fault.NotFound)
}

func TestConsents(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		ctx := t.Context()
		ada := h.person("ada")
		ca := h.person("carl", role.CloudAppAdministrator)
		_, err := h.CreateResource(ctx, operator, "api://mail", ResourcePatch{Name: ptr("Mail"), Scopes: &[]directory.Scope{{Name: "Mail.Read"}, {Name: "Mail.Send"}}}, Act{})
		h.must(err)
		_, _, err = h.CreateApp(ctx, operator, NewApp{ID: "web", AppPatch: AppPatch{Name: ptr("Web")}}, Act{})
		h.must(err)
		give := func(scopes ...string) (*store.Receipt, error) {
			return h.GrantConsent(ctx, ca, "web", []directory.Permission{{Resource: "api://mail", Scopes: scopes}}, Act{})
		}
		r, err := give("Mail.Read", "Mail.Send", "Mail.Read")
		h.must(err)
		all, err := h.Consents(ctx, ca, directory.UserID{})
		h.must(err)
		if r != nil || len(all) != 1 || !slices.Equal(all[0].Scopes, []string{"Mail.Read", "Mail.Send"}) {
			t.Errorf("%+v %+v", r, all)
		}
		_, err = give("Mail.Burn")
		want(t, err, fault.NotFound)
		_, err = give()
		want(t, err, fault.Invalid)
		r, err = give("Mail.Read")
		h.must(err)
		if r == nil || r.Cause != standing.ConsentWithdrawn {
			t.Errorf("narrowing: %+v", r)
		}
		// One's own, without any role.
		h.must(h.DB.Update(ctx, func(tx *store.Tx) error {
			return tx.SaveConsent(directory.Consent{User: ada.User, App: "web", Resource: "api://mail", Scopes: []string{"Mail.Read"}, Given: tx.Now})
		}))
		all, err = h.Consents(ctx, ada, ada.User)
		h.must(err)
		if len(all) != 1 {
			t.Errorf("%+v", all)
		}
		r, err = h.WithdrawConsent(ctx, ada, ada.User, "web", Act{})
		h.must(err)
		if r == nil || r.Cause != standing.ConsentWithdrawn || r.Cuts[0].Scope != cutoff.UserApp {
			t.Errorf("%+v", r)
		}
		_, err = h.WithdrawConsent(ctx, ada, ada.User, "web", Act{})
		want(t, err, fault.NotFound)
		_, err = h.WithdrawConsent(ctx, ada, directory.UserID{}, "web", Act{})
		want(t, err, fault.Denied)
		r, err = h.WithdrawConsent(ctx, ca, directory.UserID{}, "web", Act{})
		h.must(err)
		if r == nil || r.Cuts[0].Scope != cutoff.App {
			t.Errorf("%+v", r)
		}
	})
}

func TestNameDirectory(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	gail, ua := h.person("gail", role.GlobalAdministrator), h.person("uma", role.UserAdministrator)
	want(t, h.NameDirectory(ctx, ua, "contoso.example", "Contoso", Act{}), fault.Denied)
	want(t, h.NameDirectory(ctx, gail, "contoso example", "Contoso", Act{}), fault.Invalid)
	h.must(h.NameDirectory(ctx, gail, "contoso.example", "Contoso", Act{}))
	h.must(h.DB.Read(ctx, func(tx *store.Tx) error {
		d, err := tx.Directory()
		if d.Domain != "contoso.example" || d.Name != "Contoso" {
			t.Errorf("%+v", d)
		}
		return err
	}))
}
