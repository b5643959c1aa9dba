package role

import (
	"slices"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/directory"
)

// The two published tables, as text: rows are what the target holds, columns
// are what the actor holds.
const resetTable = `
                                        | Password | Helpdesk | Authentication | User | Privileged Authentication | Global
(none)                                  | y | y | y | y | y | y
(role-assignable group)                 | - | - | - | - | y | y
(role that is not known)                | - | - | - | - | y | y
Directory Readers                       | y | y | y | y | y | y
Guest Inviter                           | y | y | y | y | y | y
Password Administrator                  | y | y | y | y | y | y
Message Center Reader                   | - | y | y | y | y | y
Reports Reader                          | - | y | y | y | y | y
Usage Summary Reports Reader            | - | y | y | y | y | y
User Experience Success Manager         | - | y | y | y | y | y
Helpdesk Administrator                  | - | y | - | y | y | y
Authentication Administrator            | - | - | y | - | y | y
User Administrator                      | - | - | - | y | y | y
Groups Administrator                    | - | - | - | y | y | y
Global Administrator                    | - | - | - | - | y | y
Privileged Authentication Administrator | - | - | - | - | y | y
Privileged Role Administrator           | - | - | - | - | y | y
Security Administrator                  | - | - | - | - | y | y
Security Operator                       | - | - | - | - | y | y
Security Reader                         | - | - | - | - | y | y
Global Reader                           | - | - | - | - | y | y
Conditional Access Administrator        | - | - | - | - | y | y
Application Administrator               | - | - | - | - | y | y
Cloud Application Administrator         | - | - | - | - | y | y
Application Developer                   | - | - | - | - | y | y
Cloud Device Administrator              | - | - | - | - | y | y
Intune Administrator                    | - | - | - | - | y | y
Directory Writers                       | - | - | - | - | y | y
Authentication Policy Administrator     | - | - | - | - | y | y
Exchange Administrator                  | - | - | - | - | y | y
SharePoint Administrator                | - | - | - | - | y | y
Teams Administrator                     | - | - | - | - | y | y
Hybrid Identity Administrator           | - | - | - | - | y | y
Domain Name Administrator               | - | - | - | - | y | y
External Identity Provider Administrator| - | - | - | - | y | y
B2C IEF Keyset Administrator            | - | - | - | - | y | y
Lifecycle Workflows Administrator       | - | - | - | - | y | y
Authentication Extensibility Administrator | - | - | - | - | y | y
Attribute Provisioning Administrator    | - | - | - | - | y | y
Attribute Provisioning Reader           | - | - | - | - | y | y
Agent ID Administrator                  | - | - | - | - | y | y
Partner Tier1 Support                   | - | - | - | - | y | y
Partner Tier2 Support                   | - | - | - | - | y | y
`

const sensitiveTable = `
                                        | Password | Helpdesk | Authentication | User | Privileged Authentication | Global
(none)                                  | - | - | y | y | y | y
(role-assignable group)                 | - | - | - | - | y | y
(role that is not known)                | - | - | - | - | y | y
Directory Readers                       | - | - | y | y | y | y
Guest Inviter                           | - | - | y | y | y | y
Password Administrator                  | - | - | y | y | y | y
Message Center Reader                   | - | - | y | y | y | y
Reports Reader                          | - | - | y | y | y | y
Usage Summary Reports Reader            | - | - | y | y | y | y
User Experience Success Manager         | - | - | y | y | y | y
Helpdesk Administrator                  | - | - | - | y | y | y
Authentication Administrator            | - | - | y | - | y | y
User Administrator                      | - | - | - | y | y | y
Groups Administrator                    | - | - | - | y | y | y
Global Administrator                    | - | - | - | - | y | y
Privileged Authentication Administrator | - | - | - | - | y | y
Privileged Role Administrator           | - | - | - | - | y | y
Security Administrator                  | - | - | - | - | y | y
Security Operator                       | - | - | - | - | y | y
Security Reader                         | - | - | - | - | y | y
Global Reader                           | - | - | - | - | y | y
Conditional Access Administrator        | - | - | - | - | y | y
Application Administrator               | - | - | - | - | y | y
Cloud Application Administrator         | - | - | - | - | y | y
Application Developer                   | - | - | - | - | y | y
Cloud Device Administrator              | - | - | - | - | y | y
Intune Administrator                    | - | - | - | - | y | y
Directory Writers                       | - | - | - | - | y | y
Authentication Policy Administrator     | - | - | - | - | y | y
Exchange Administrator                  | - | - | - | - | y | y
SharePoint Administrator                | - | - | - | - | y | y
Teams Administrator                     | - | - | - | - | y | y
Hybrid Identity Administrator           | - | - | - | - | y | y
Domain Name Administrator               | - | - | - | - | y | y
External Identity Provider Administrator| - | - | - | - | y | y
B2C IEF Keyset Administrator            | - | - | - | - | y | y
Lifecycle Workflows Administrator       | - | - | - | - | y | y
Authentication Extensibility Administrator | - | - | - | - | y | y
Attribute Provisioning Administrator    | - | - | - | - | y | y
Attribute Provisioning Reader           | - | - | - | - | y | y
Agent ID Administrator                  | - | - | - | - | y | y
Partner Tier1 Support                   | - | - | - | - | y | y
Partner Tier2 Support                   | - | - | - | - | y | y
`

// methodTable is the published one for authentication methods: sensitiveTable without
// User Administrator, who manages no methods in Entra.
func methodTable() string {
	rows := strings.Split(strings.TrimSpace(sensitiveTable), "\n")
	for i, row := range rows[1:] {
		cells := strings.Split(row, "|")
		cells[4] = " - "
		rows[i+1] = strings.Join(cells, "|")
	}
	return strings.Join(rows, "\n")
}

func TestMatrixIsThePublishedOne(t *testing.T) {
	t.Parallel()
	columns := []string{"Password Administrator", "Helpdesk Administrator", "Authentication Administrator", "User Administrator",
		"Privileged Authentication Administrator", "Global Administrator"}
	for _, c := range []struct {
		table   string
		actions []Action
	}{
		{resetTable, []Action{RevokeSessions, RevokeSession, ResetPassword}},
		{sensitiveTable, []Action{DisableUser, EnableUser, DeleteUser, RestoreUser, RenameUser, UpdateUserPhone, LinkUser}},
		{methodTable(), []Action{CreateMethod, DeleteMethod}},
	} {
		rows := strings.Split(strings.TrimSpace(c.table), "\n")[1:]
		// every role of the catalogue has its row, and there are three more
		if len(rows) != len(All())+3 {
			t.Fatalf("%d rows for %d roles", len(rows), len(All()))
		}
		for _, row := range rows {
			cells := strings.Split(row, "|")
			if len(cells) != 7 {
				t.Fatalf("row %q", row)
			}
			name := strings.TrimSpace(cells[0])
			target := Target{ID: anita}
			switch name {
			case "(none)":
			case "(role-assignable group)":
				target.Held.RoleAssignableMember = true
			case "(role that is not known)":
				target.Held.Roles = []directory.RoleID{"00000000-0000-4000-8000-000000000000"}
			default:
				target = holding(t, name)
			}
			for i, column := range columns {
				want := strings.TrimSpace(cells[i+1]) == "y"
				for _, action := range c.actions {
					d := Allowed(person(t, column), action, target)
					if d.OK != want {
						t.Errorf("%s may %s on %s: %v, want %v", column, action, name, d.OK, want)
					}
					// whatever is proposed must do, and refuse nobody in vain
					for _, m := range d.Missing {
						a := person(t)
						a.Held.Roles = []directory.RoleID{m}
						if !Allowed(a, action, target).OK {
							t.Errorf("%s on %s: proposes %s, which may not", action, name, nameOf(m))
						}
					}
					if !d.OK && len(d.Missing) == 0 {
						t.Errorf("%s on %s: no role proposed", action, name)
					}
				}
			}
			for _, r := range All() {
				if !slices.Contains(columns, r.Name) {
					for _, action := range c.actions {
						if Allowed(person(t, r.Name), action, target).OK {
							t.Errorf("%s has no column and may %s on %s", r.Name, action, name)
						}
					}
				}
			}
		}
	}
}

// The actions without a matrix, as text: who may, on nobody in particular.
const plainTable = `
microsoft.directory/users/basic/update: Directory Writers, Authentication Administrator, User Administrator, Privileged Authentication Administrator, Global Administrator
microsoft.directory/users/create: Directory Writers, User Administrator, Global Administrator
microsoft.directory/users/standard/read: *
microsoft.directory/roleAssignments/create: Privileged Role Administrator, Global Administrator
microsoft.directory/roleAssignments/delete: Privileged Role Administrator, Global Administrator
microsoft.directory/roleAssignments/standard/read: *
microsoft.directory/groups/standard/read: *
microsoft.directory/groups/create: Groups Administrator, Directory Writers, User Administrator, Global Administrator
microsoft.directory/groups/basic/update: Groups Administrator, Directory Writers, User Administrator, Global Administrator
microsoft.directory/groups/delete: Groups Administrator, User Administrator, Global Administrator
microsoft.directory/groups/members/update: Groups Administrator, Directory Writers, User Administrator, Global Administrator
microsoft.directory/groupsAssignableToRoles/create: Privileged Role Administrator, Global Administrator
microsoft.directory/groupsAssignableToRoles/allProperties/update: Privileged Role Administrator, Global Administrator
microsoft.directory/groupsAssignableToRoles/delete: Privileged Role Administrator, Global Administrator
microsoft.directory/applications/standard/read: *
microsoft.directory/applications/create: Cloud Application Administrator, Application Administrator, Global Administrator
microsoft.directory/applications/basic/update: Cloud Application Administrator, Application Administrator, Global Administrator
microsoft.directory/applications/delete: Cloud Application Administrator, Application Administrator, Global Administrator
microsoft.directory/applications/credentials/update: Cloud Application Administrator, Application Administrator, Global Administrator
microsoft.directory/servicePrincipals/appRoleAssignedTo/update: Privileged Role Administrator, Global Administrator
microsoft.directory/oAuth2PermissionGrants/create: Cloud Application Administrator, Application Administrator, Privileged Role Administrator, Global Administrator
microsoft.directory/oAuth2PermissionGrants/delete: User Administrator, Cloud Application Administrator, Application Administrator, Privileged Role Administrator, Global Administrator
curfew/apps/assignments/update: User Administrator, Cloud Application Administrator, Application Administrator, Global Administrator
curfew/app/cut: Cloud Application Administrator, Application Administrator, Global Administrator
microsoft.directory/devices/standard/read: *
microsoft.directory/devices/disable: Cloud Device Administrator, Intune Administrator, Global Administrator
microsoft.directory/devices/enable: Cloud Device Administrator, Intune Administrator, Global Administrator
microsoft.directory/devices/delete: Cloud Device Administrator, Intune Administrator, Global Administrator
microsoft.directory/devices/basic/update: Cloud Device Administrator, Intune Administrator, Global Administrator
curfew/devices/compliance/update: Cloud Device Administrator, Intune Administrator, Global Administrator
curfew/devices/cut: Cloud Device Administrator, Intune Administrator, Global Administrator
microsoft.directory/conditionalAccessPolicies/standard/read: Security Reader, Global Reader, Conditional Access Administrator, Security Operator, Security Administrator, Global Administrator
microsoft.directory/conditionalAccessPolicies/create: Conditional Access Administrator, Security Administrator, Global Administrator
microsoft.directory/conditionalAccessPolicies/basic/update: Conditional Access Administrator, Security Administrator, Global Administrator
microsoft.directory/conditionalAccessPolicies/delete: Conditional Access Administrator, Security Administrator, Global Administrator
microsoft.directory/identityProtection/allProperties/read: Security Reader, Global Reader, Security Operator, Security Administrator, Global Administrator
curfew/riskDetections/read: Security Reader, Global Reader, Security Operator, Security Administrator, Global Administrator
microsoft.directory/identityProtection/allProperties/update: Security Operator, Security Administrator, Global Administrator
curfew/riskRules/update: Security Administrator, Global Administrator
microsoft.directory/auditLogs/allProperties/read: Reports Reader, Security Reader, Global Reader, Cloud Device Administrator, Cloud Application Administrator, Application Administrator, Security Operator, Security Administrator, Global Administrator
microsoft.directory/signInReports/allProperties/read: Reports Reader, Security Reader, Global Reader, Cloud Device Administrator, Cloud Application Administrator, Application Administrator, Security Operator, Security Administrator, Global Administrator
microsoft.directory/identityProviders/standard/read: Global Reader, External Identity Provider Administrator, Security Operator, Security Administrator, Global Administrator
microsoft.directory/identityProviders/allProperties/update: External Identity Provider Administrator, Global Administrator
microsoft.directory/users/authenticationMethods/standard/read: Global Reader, Authentication Administrator, Privileged Authentication Administrator, Global Administrator
curfew/directory/cut: Global Administrator
curfew/sparedAccounts/read: Global Administrator
curfew/sparedAccounts/update: Global Administrator
curfew/keys/read: Security Reader, Global Reader, Security Operator, Security Administrator, Global Administrator
curfew/keys/update: Global Administrator
curfew/ledger/read: Reports Reader, Security Reader, Global Reader, Security Operator, Security Administrator, Global Administrator
curfew/guards/read: Reports Reader, Security Reader, Global Reader, Password Administrator, Helpdesk Administrator, Cloud Device Administrator, Intune Administrator, Authentication Administrator, User Administrator, Cloud Application Administrator, Application Administrator, Security Operator, Security Administrator, Privileged Authentication Administrator, Privileged Role Administrator, Global Administrator
curfew/receipts/read: Reports Reader, Security Reader, Global Reader, Password Administrator, Helpdesk Administrator, Cloud Device Administrator, Intune Administrator, Authentication Administrator, User Administrator, Cloud Application Administrator, Application Administrator, Security Operator, Security Administrator, Privileged Authentication Administrator, Privileged Role Administrator, Global Administrator
`

func TestPlainActions(t *testing.T) {
	t.Parallel()
	blind := []string{"Usage Summary Reports Reader", "Message Center Reader", "User Experience Success Manager"}
	listed := []Action{RevokeSessions, RevokeSession, ResetPassword, ChangePassword, DisableUser, EnableUser, DeleteUser, RestoreUser, RenameUser, UpdateUserPhone, LinkUser, CreateMethod, DeleteMethod}
	for line := range strings.Lines(strings.TrimSpace(plainTable)) {
		action, who, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			t.Fatalf("line %q", line)
		}
		listed = append(listed, Action(action))
		names := strings.Split(who, ", ")
		for _, r := range All() {
			want := slices.Contains(names, r.Name) || who == "*" && !slices.Contains(blind, r.Name)
			if got := Allowed(person(t, r.Name), Action(action), Target{}).OK; got != want {
				t.Errorf("%s may %s: %v, want %v", r.Name, action, got, want)
			}
			if got := slices.Contains(ActionsOf(r.ID), Action(action)); got != want {
				t.Errorf("ActionsOf(%s) has %s: %v, want %v", r.Name, action, got, want)
			}
		}
		if Allowed(person(t), Action(action), Target{}).OK {
			t.Errorf("nobody in particular may %s", action)
		}
	}
	slices.Sort(listed)
	if !slices.Equal(listed, Actions()) {
		t.Errorf("the tables of this test name\n%v\nbut the actions are\n%v", listed, Actions())
	}
}
