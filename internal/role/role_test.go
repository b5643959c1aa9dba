package role

import (
	"slices"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
)

var (
	ada   = directory.UserID{1}
	anita = directory.UserID{2}
)

// person is an actor at a first-party surface with the named roles.
func person(t *testing.T, names ...string) directory.Actor {
	t.Helper()
	return directory.Actor{User: ada, Name: "ada@contoso.example", Held: directory.Held{Roles: ids(t, names...)}}
}

func ids(t *testing.T, names ...string) []directory.RoleID {
	t.Helper()
	var out []directory.RoleID
	for _, n := range names {
		r, ok := FindName(n)
		if !ok {
			t.Fatalf("no role %q", n)
		}
		out = append(out, r.ID)
	}
	return out
}

func holding(t *testing.T, names ...string) Target {
	t.Helper()
	return Target{ID: anita, Held: directory.Held{Roles: ids(t, names...)}}
}

func TestOneRoleMustSufficeForAllOfTheTarget(t *testing.T) {
	t.Parallel()
	both := holding(t, "Authentication Administrator", "User Administrator")
	if d := Allowed(person(t, "Authentication Administrator", "User Administrator"), RevokeSessions, both); d.OK {
		t.Error("two halves added up")
	}
	if d := Allowed(person(t, "User Administrator"), RevokeSessions, holding(t, "Helpdesk Administrator", "Reports Reader")); !d.OK {
		t.Error("all roles within reach, and refused")
	}
	member := holding(t, "Directory Readers")
	member.Held.RoleAssignableMember = true
	if Allowed(person(t, "User Administrator"), RevokeSessions, member).OK {
		t.Error("member of a role-assignable group reached")
	}
}

func TestOwnAccount(t *testing.T) {
	t.Parallel()
	me := Target{ID: ada, Held: directory.Held{Roles: ids(t, "Global Administrator")}}
	for _, a := range []Action{RevokeSessions, RevokeSession, ChangePassword, ReadUsers, ReadRoles, ReadDevices, UpdateDevice, DisableDevice, DeleteDevice, CutDevice, ReadSignIns, ReadReceipts, RemoveConsent} {
		if d := Allowed(person(t), a, me); !d.OK {
			t.Errorf("own %s: %s", a, d.Sentence("Ada"))
		}
		if Allowed(person(t), a, Target{ID: anita}).OK {
			t.Errorf("%s of somebody else, without a role", a)
		}
		if Allowed(directory.Actor{}, a, Target{}).OK {
			t.Errorf("nobody may %s of nobody", a)
		}
	}
	if d := Allowed(person(t, "Global Administrator"), ResetPassword, me); d.OK || !strings.Contains(d.Sentence("Ada"), "current one") {
		t.Errorf("own reset: %v %q", d.OK, d.Sentence("Ada"))
	}
	for _, a := range []Action{CreateMethod, DeleteMethod} {
		if d := Allowed(person(t, "Global Administrator"), a, me); d.OK || !strings.Contains(d.Sentence("Ada"), "account page") {
			t.Errorf("own %s: %v %q", a, d.OK, d.Sentence("Ada"))
		}
	}
	if d := Allowed(person(t), ReadMethods, me); !d.OK {
		t.Errorf("own methods: %s", d.Sentence("Ada"))
	}
	if d := Allowed(person(t, "Global Administrator"), ChangePassword, Target{ID: anita}); d.OK || d.Sentence("Anita") != "Only Anita can change this password. It can be reset instead." {
		t.Errorf("somebody else's change: %v %q", d.OK, d.Sentence("Anita"))
	}
	if Allowed(person(t), DisableUser, Target{ID: ada}).OK {
		t.Error("disabled own account without a role")
	}
	if !Allowed(person(t, "Global Administrator"), DisableUser, me).OK {
		t.Error("whether the last one may is the store's to say")
	}
}

func TestOperatorAndSystemMayEverything(t *testing.T) {
	t.Parallel()
	for _, a := range append(Actions(), "made/up") {
		for _, actor := range []directory.Actor{{Operator: true}, {System: true}} {
			if d := Allowed(actor, a, Target{}); !d.OK || d.Err("x") != nil || d.Sentence("x") != "" {
				t.Errorf("%+v may not %s", actor, a)
			}
		}
	}
}

func TestActorWhoIsNobodyMayNothing(t *testing.T) {
	t.Parallel()
	for _, a := range Actions() {
		roles := ids(t, "Global Administrator")
		for _, actor := range []directory.Actor{{}, {Held: directory.Held{Roles: roles}}, {AppOnly: true, App: "x", Held: directory.Held{Roles: roles}}} {
			for _, target := range []Target{{}, {ID: anita}} {
				if Allowed(actor, a, target).OK {
					t.Errorf("%+v may %s", actor, a)
				}
			}
		}
	}
}

func TestServiceAccounts(t *testing.T) {
	t.Parallel()
	backup := Target{ID: anita, Service: true}
	for _, a := range []Action{RevokeSessions, RevokeSession, DisableUser, EnableUser, DeleteUser, RestoreUser} {
		for _, r := range []string{"Application Administrator", "Cloud Application Administrator", "User Administrator", "Global Administrator"} {
			if !Allowed(person(t, r), a, backup).OK {
				t.Errorf("%s may not %s a service account", r, a)
			}
		}
		for _, strong := range []Target{
			{ID: anita, Service: true, Held: directory.Held{Roles: ids(t, "Directory Readers")}},
			{ID: anita, Service: true, Held: directory.Held{RoleAssignableMember: true}},
			{ID: anita, Service: true, Permissions: []string{"User.Read.All", "Directory.ReadWrite.All"}},
			{ID: anita},
		} {
			if d := Allowed(person(t, "Application Administrator"), a, strong); d.OK {
				t.Errorf("Application Administrator may %s %+v", a, strong)
			}
		}
	}
	for _, a := range []Action{ResetPassword, ChangePassword, RenameUser} {
		if d := Allowed(person(t, "Global Administrator"), a, backup); d.OK || d.Sentence("Backup") != "Backup is an application's identity. It has no password and no user name." {
			t.Errorf("%s: %v %q", a, d.OK, d.Sentence("Backup"))
		}
	}
}

func TestSecretOfAPowerfulApplicationIsForGlobalAdministrators(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		target Target
		want   bool
	}{
		{"no identity", Target{}, true},
		{"identity without power", Target{ID: anita, Service: true, Permissions: []string{"User.Read.All"}}, true},
		{"with a role", Target{ID: anita, Service: true, Held: directory.Held{Roles: ids(t, "Directory Readers")}}, false},
		{"in a role-assignable group", Target{ID: anita, Service: true, Held: directory.Held{RoleAssignableMember: true}}, false},
		{"with a writing permission", Target{ID: anita, Service: true, Permissions: []string{"User.Read.All", "RoleManagement.ReadWrite.Directory"}}, false},
	} {
		if got := Allowed(person(t, "Application Administrator"), UpdateAppKeys, c.target).OK; got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		if !Allowed(person(t, "Global Administrator"), UpdateAppKeys, c.target).OK {
			t.Errorf("%s: Global Administrator refused", c.name)
		}
		app := directory.Actor{AppOnly: true, App: "x", Scopes: []string{"Application.ReadWrite.All"}}
		if got := Allowed(app, UpdateAppKeys, c.target).OK; got != c.want {
			t.Errorf("%s, by an application: %v", c.name, got)
		}
	}
	d := Allowed(person(t, "Application Administrator"), UpdateAppKeys, Target{ID: anita, Service: true, Permissions: []string{"User.Read.All", "RoleManagement.ReadWrite.Directory"}})
	want := "Backup holds RoleManagement.ReadWrite.Directory. Your role cannot act on it. To change the application's secrets you need Global Administrator. You hold Application Administrator."
	if got := d.Sentence("Backup"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestOwnersChangeTheirApplicationAndNothingElse(t *testing.T) {
	t.Parallel()
	may := []Action{ReadApps, UpdateApp, UpdateAppKeys, AssignApp}
	for _, a := range Actions() {
		if got := Allowed(person(t), a, Target{ID: anita, Service: true, Owned: true}).OK; got != slices.Contains(may, a) {
			t.Errorf("an owner may %s: %v", a, got)
		}
		app := directory.Actor{AppOnly: true, App: "x", Scopes: []string{}}
		if Allowed(app, a, Target{Owned: true}).OK {
			t.Errorf("an application without permissions may %s", a)
		}
	}
	for name, target := range map[string]Target{
		"a role":                  {ID: anita, Service: true, Owned: true, Held: directory.Held{Roles: ids(t, "Directory Readers")}},
		"a role-assignable group": {ID: anita, Service: true, Owned: true, Held: directory.Held{RoleAssignableMember: true}},
		"a writing permission":    {ID: anita, Service: true, Owned: true, Permissions: []string{"User.ReadWrite.All"}},
	} {
		d := Allowed(person(t), UpdateAppKeys, target)
		if d.OK || !slices.Equal(d.Missing, []directory.RoleID{GlobalAdministrator}) {
			t.Errorf("an owner gives secrets to an application with %s: %v, missing %v", name, d.OK, d.Missing)
		}
		if !Allowed(person(t), UpdateApp, target).OK {
			t.Errorf("an owner of an application with %s cannot change its address", name)
		}
	}
	through := person(t)
	through.Scopes = []string{"User.Read"}
	if Allowed(through, UpdateApp, Target{Owned: true}).OK {
		t.Error("an owner through a client without the permission")
	}
	through.Scopes = []string{"Application.ReadWrite.All"}
	if !Allowed(through, UpdateApp, Target{Owned: true}).OK {
		t.Error("an owner through a client with the permission was refused")
	}
}

func TestDelegatedNeedsScopeAndRole(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		action Action
		scope  string
		role   string
		target directory.UserID
		want   bool
	}{
		{RevokeSessions, "User.RevokeSessions.All", "User Administrator", anita, true},
		{RevokeSessions, "User.ReadWrite.All", "User Administrator", anita, true},
		{RevokeSessions, "Directory.ReadWrite.All", "User Administrator", anita, true},
		{RevokeSessions, "Directory.AccessAsUser.All", "User Administrator", anita, true},
		{RevokeSessions, "User.ReadWrite", "User Administrator", anita, false},
		{RevokeSessions, "User.Read", "Global Administrator", anita, false},
		{RevokeSessions, "User.ReadWrite.All", "Reports Reader", anita, false},
		{RevokeSessions, "Directory.AccessAsUser.All", "", anita, false},
		{RevokeSessions, "User.ReadWrite", "", ada, true},
		{RevokeSessions, "Directory.AccessAsUser.All", "", ada, true},
		{RevokeSessions, "User.Read", "", ada, false},
		{RevokeSessions, "", "Global Administrator", ada, false},
		{ChangePassword, "Directory.AccessAsUser.All", "", ada, true},
		{ChangePassword, "User-PasswordProfile.ReadWrite.All", "", ada, true},
		{ChangePassword, "User.ReadWrite", "", ada, false},
		{ReadUsers, "User.Read", "", ada, true},
		{ReadUsers, "User.ReadWrite", "", ada, true},
		{ReadUsers, "User.Read", "Global Administrator", anita, false},
		{ReadUsers, "User.Read.All", "Directory Readers", anita, true},
		{ReadUsers, "User.Read.All", "", anita, false},
		{DisableUser, "User.EnableDisableAccount.All", "User Administrator", anita, true},
		{DisableUser, "User.RevokeSessions.All", "User Administrator", anita, false},
		{ResetPassword, "User-PasswordProfile.ReadWrite.All", "Helpdesk Administrator", anita, true},
		{ResetPassword, "Directory.ReadWrite.All", "Helpdesk Administrator", anita, false},
		{DeleteUser, "Directory.ReadWrite.All", "User Administrator", anita, false},
		{DeleteUser, "User.DeleteRestore.All", "User Administrator", anita, true},
		{RenameUser, "User.ManageIdentities.All", "User Administrator", anita, true},
		{CutDirectory, "Directory.ReadWrite.All", "Global Administrator", directory.UserID{}, false},
		{CutDirectory, "Directory.AccessAsUser.All", "Global Administrator", directory.UserID{}, true},
		{CutDirectory, "Directory.AccessAsUser.All", "User Administrator", directory.UserID{}, false},
		{AssignRole, "RoleManagement.ReadWrite.Directory", "Privileged Role Administrator", anita, true},
		{AssignRole, "Directory.ReadWrite.All", "Privileged Role Administrator", anita, false},
		{UpdateMember, "GroupMember.ReadWrite.All", "Groups Administrator", directory.UserID{}, true},
		{CreateApp, "Application.ReadWrite.All", "Application Administrator", directory.UserID{}, true},
		{ReadAudit, "AuditLog.Read.All", "Reports Reader", directory.UserID{}, true},
	} {
		actor := person(t)
		if c.role != "" {
			actor = person(t, c.role)
		}
		actor.App, actor.Scopes = "portal", []string{}
		if c.scope != "" {
			actor.Scopes = []string{"openid", c.scope}
		}
		d := Allowed(actor, c.action, Target{ID: c.target})
		if d.OK != c.want {
			t.Errorf("%s with %q and %q on %v: %v, want %v: %s", c.action, c.scope, c.role, c.target[0], d.OK, c.want, d.Sentence("Anita"))
		}
	}
	// a first-party surface needs no permission, a client without one has none
	none := person(t, "Global Administrator")
	none.Scopes = []string{}
	for _, a := range Actions() {
		if Allowed(none, a, Target{ID: anita}).OK {
			t.Errorf("%s without any permission", a)
		}
	}
}

func TestApplicationsActByPermission(t *testing.T) {
	t.Parallel()
	admin, plain := holding(t, "Global Administrator"), Target{ID: anita}
	reader := holding(t, "Directory Readers")
	member := Target{ID: anita, Held: directory.Held{RoleAssignableMember: true}}
	for _, c := range []struct {
		action Action
		scopes string
		target Target
		want   bool
	}{
		{RevokeSessions, "User.RevokeSessions.All", plain, true},
		{RevokeSessions, "User.RevokeSessions.All", admin, true},
		{RevokeSessions, "User.ReadWrite.All", admin, true},
		{RevokeSessions, "User.Read.All", plain, false},
		{RevokeSessions, "User.ReadWrite", plain, false},
		{RevokeSessions, "Directory.AccessAsUser.All", plain, false},
		{DisableUser, "User.EnableDisableAccount.All", plain, true},
		{DisableUser, "User.ReadWrite.All", plain, true},
		{DisableUser, "User.ReadWrite.All", admin, false},
		{DisableUser, "User.ReadWrite.All", reader, false},
		{DisableUser, "User.ReadWrite.All", member, false},
		{DisableUser, "RoleManagement.ReadWrite.Directory", admin, false},
		{DisableUser, "User.ReadWrite.All RoleManagement.ReadWrite.Directory", admin, true},
		{DisableUser, "User.ReadWrite.All RoleManagement.ReadWrite.Directory", member, true},
		{ResetPassword, "User.ReadWrite.All", plain, true},
		{ResetPassword, "User.ReadWrite.All", admin, false},
		{ResetPassword, "Directory.ReadWrite.All", plain, false},
		{ResetPassword, "Directory.ReadWrite.All RoleManagement.ReadWrite.Directory", plain, false},
		{DeleteUser, "User.ReadWrite.All", plain, true},
		{DeleteUser, "User.ReadWrite.All", admin, false},
		{DeleteUser, "Directory.ReadWrite.All", plain, false},
		{RenameUser, "User.ReadWrite.All", admin, false},
		{UpdateUserPhone, "User.ReadWrite.All", admin, false},
		{UpdateUser, "User.ReadWrite.All", admin, true},
		{ChangePassword, "User.ReadWrite.All", plain, false},
		{CutDirectory, "Directory.ReadWrite.All RoleManagement.ReadWrite.Directory", Target{}, false},
		{UpdateKeys, "Directory.ReadWrite.All RoleManagement.ReadWrite.Directory", Target{}, false},
		{UpdateSpared, "Policy.ReadWrite.ConditionalAccess Directory.ReadWrite.All", Target{}, false},
		{UpdatePolicy, "Policy.ReadWrite.ConditionalAccess", Target{}, true},
		{UpdatePolicy, "Policy.Read.All", Target{}, false},
		{ReadPolicies, "Policy.Read.All", Target{}, true},
		{CutApp, "Application.ReadWrite.All", Target{}, true},
		{ReadUsers, "Directory.Read.All", Target{}, true},
		{ReadUsers, "User.Read", plain, false},
		{AssignRole, "RoleManagement.ReadWrite.Directory", Target{}, true},
		{AssignRole, "Directory.ReadWrite.All", Target{}, false},
		{UpdateRoleGroup, "Group.ReadWrite.All", Target{}, false},
		{UpdateGroup, "Group.ReadWrite.All", Target{}, true},
		{RevokeSessions, "User.RevokeSessions.All", Target{}, false},
	} {
		actor := directory.Actor{App: "soar", AppOnly: true, User: ada, Scopes: strings.Fields(c.scopes),
			Held: directory.Held{Roles: ids(t, "Global Administrator")}} // roles must not help
		d := Allowed(actor, c.action, c.target)
		if d.OK != c.want {
			t.Errorf("%s with %q on %v: %v, want %v: %s", c.action, c.scopes, c.target.Held, d.OK, c.want, d.Sentence("Anita"))
		}
		if !d.OK && len(d.Missing) > 0 {
			t.Errorf("%s: a role is proposed to an application", c.action)
		}
		own := c.target
		own.ID = ada
		if c.action == ChangePassword && Allowed(actor, c.action, own).OK {
			t.Error("an application changed a password of its own")
		}
	}
}

func TestSentences(t *testing.T) {
	t.Parallel()
	through := func(a directory.Actor, scopes ...string) directory.Actor {
		a.App, a.Scopes = "soar", append([]string{}, scopes...)
		return a
	}
	alone := func(scopes ...string) directory.Actor {
		return directory.Actor{App: "soar", AppOnly: true, Scopes: scopes}
	}
	unknownRole := Target{ID: anita, Held: directory.Held{Roles: []directory.RoleID{"0000"}}}
	group := Target{ID: anita, Held: directory.Held{RoleAssignableMember: true}}
	for _, c := range []struct {
		actor  directory.Actor
		action Action
		target Target
		want   string
	}{
		{person(t, "User Administrator"), RevokeSessions, holding(t, "Global Administrator"),
			"Anita holds Global Administrator. Your role cannot act on it. To revoke sessions you need Privileged Authentication Administrator or Global Administrator. You hold User Administrator."},
		{person(t, "User Administrator", "Groups Administrator"), DisableUser, holding(t, "Directory Readers", "Authentication Administrator"),
			"Anita holds Authentication Administrator. Your roles cannot act on it. To disable the account you need Authentication Administrator, Privileged Authentication Administrator or Global Administrator. You hold User Administrator and Groups Administrator."},
		{person(t), RevokeSessions, holding(t, "Helpdesk Administrator", "Global Administrator", "Security Reader"),
			"Anita holds Global Administrator. To revoke sessions you need Privileged Authentication Administrator or Global Administrator. You hold no role."},
		{person(t, "Helpdesk Administrator"), DisableUser, Target{ID: anita},
			"To disable the account you need a role such as Authentication Administrator or User Administrator. You hold Helpdesk Administrator."},
		{person(t, "Helpdesk Administrator"), RevokeSessions, group,
			"Anita is a member of a role-assignable group. Your role cannot act on its members. To revoke sessions you need Privileged Authentication Administrator or Global Administrator. You hold Helpdesk Administrator."},
		{person(t, "User Administrator"), RevokeSessions, unknownRole,
			"Anita holds a role that is not known here (0000). Your role cannot act on it. To revoke sessions you need Privileged Authentication Administrator or Global Administrator. You hold User Administrator."},
		{person(t, "User Administrator"), CutDirectory, Target{},
			"To cut the directory you need Global Administrator. You hold User Administrator."},
		{through(person(t, "User Administrator"), "User.Read"), RevokeSessions, Target{ID: anita},
			"To revoke sessions the application needs a permission such as User.RevokeSessions.All or User.ReadWrite.All. It holds User.Read."},
		{through(person(t, "Global Administrator")), CutDirectory, Target{},
			"To cut the directory the application needs Directory.AccessAsUser.All. It holds no permission."},
		{through(person(t, "User Administrator"), "openid", "profile", "User.Read"), RestoreUser, holding(t, "Global Administrator"),
			"Anita holds Global Administrator. Your role cannot act on it. To restore the user you need Privileged Authentication Administrator or Global Administrator. You hold User Administrator. To restore the user the application needs User.DeleteRestore.All, User.ReadWrite.All or Directory.AccessAsUser.All. It holds openid, profile and User.Read."},
		{alone("User.ReadWrite.All"), ResetPassword, holding(t, "Directory Readers", "Global Administrator"),
			"Anita holds Global Administrator. Permissions of the application alone cannot act on it. To reset the password the application needs RoleManagement.ReadWrite.Directory. It holds User.ReadWrite.All."},
		{alone("User.ReadWrite.All"), ResetPassword, group,
			"Anita is a member of a role-assignable group. Permissions of the application alone cannot act on its members. To reset the password the application needs RoleManagement.ReadWrite.Directory. It holds User.ReadWrite.All."},
		{alone("User.Read.All"), RevokeSessions, Target{ID: anita},
			"To revoke sessions the application needs User.RevokeSessions.All, User.ReadWrite.All or Directory.ReadWrite.All. It holds User.Read.All."},
		{alone("Directory.ReadWrite.All"), CutDirectory, Target{}, "To cut the directory a person is needed. An application cannot do it on its own."},
		{person(t, "Global Administrator"), RevokeSessions, Target{}, "To revoke sessions a user must be named."},
		{person(t, "Global Administrator"), "made/up", Target{}, "Nobody may do this."},
		{directory.Actor{}, ReadUsers, Target{}, "To read users you need to sign in."},
		{person(t, "User Administrator"), ResetPassword, Target{ID: ada}, "Nobody resets their own password. Change it with the current one."},
	} {
		d := Allowed(c.actor, c.action, c.target)
		if got := d.Sentence("Anita"); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
		if err := d.Err("Anita"); !fault.Is(err, fault.Denied) || fault.Public(err) != c.want {
			t.Errorf("Err: %v", err)
		}
	}
	d := Allowed(person(t, "User Administrator"), RevokeSessions, holding(t, "Global Administrator"))
	if got := d.Sentence(""); !strings.HasPrefix(got, "This user holds Global Administrator.") {
		t.Errorf("without a name: %s", got)
	}
	if d.Holds != "Global Administrator" || !slices.Equal(d.Missing, []directory.RoleID{PrivilegedAuthAdministrator, GlobalAdministrator}) {
		t.Errorf("holds %q, missing %v", d.Holds, Names(d.Missing))
	}
	// six would do; least power first
	d = Allowed(person(t), RevokeSessions, Target{ID: anita})
	if got := strings.Join(Names(d.Missing), ", "); got != "Password Administrator, Helpdesk Administrator, Authentication Administrator, User Administrator, Privileged Authentication Administrator, Global Administrator" {
		t.Errorf("missing %s", got)
	}
}

func TestCatalogue(t *testing.T) {
	t.Parallel()
	seen, labelled := map[string]bool{}, 0
	for _, r := range All() {
		if _, err := directory.ParseID[directory.RoleAssignment](string(r.ID)); err != nil || strings.ToLower(string(r.ID)) != string(r.ID) {
			t.Errorf("%s: id %q", r.Name, r.ID)
		}
		if seen[r.Name] || seen[string(r.ID)] || !strings.HasSuffix(r.Description, ".") {
			t.Errorf("%s: twice, or badly described", r.Name)
		}
		seen[r.Name], seen[string(r.ID)] = true, true
		if r.Privileged {
			labelled++
		}
		if got, ok := Find(directory.RoleID(strings.ToUpper(string(r.ID)))); !ok || got != r {
			t.Errorf("%s not found by its id", r.Name)
		}
		if got, ok := FindName(" " + strings.ToUpper(r.Name) + " "); !ok || got != r {
			t.Errorf("%s not found by its name", r.Name)
		}
	}
	if labelled != 29 { // in the published list of January 2026
		t.Errorf("%d roles are labelled privileged", labelled)
	}
	for _, n := range []string{"Global Admin", "", "administrator"} {
		if _, ok := FindName(n); ok {
			t.Errorf("%q is a role", n)
		}
	}
	if _, ok := Find(""); ok {
		t.Error("the empty id is a role")
	}
	if got := ActionsOf(""); len(got) != 0 {
		t.Errorf("the empty role may %v", got)
	}
	list := All()
	list[0].Name = "changed"
	if All()[0].Name == "changed" {
		t.Error("All hands out the catalogue itself")
	}
}
